//! What the ledger says of an event: something that a source says about a stream between two times.

#![warn(clippy::indexing_slicing)]

use crate::units::{EventId, WallTime};
use crate::wire::{Decoder, Encoder, Malformed};

const VERSION: u8 = 1;

/// Zones that one event names at most.
const ZONES_MAX: usize = 12;

/// How much an event is worth. What was once worth more stays worth it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventClass {
    /// Something was detected.
    Detection,
    /// Somebody should look at it.
    Alert,
    /// Somebody said so.
    Manual,
    /// What a later program said, under a number that this one does not know; never less than 3.
    Unknown(u8),
}

impl EventClass {
    /// Those that have a name, in the order of their worth.
    pub const NAMED: [(&str, EventClass); 3] = [
        ("detection", EventClass::Detection),
        ("alert", EventClass::Alert),
        ("manual", EventClass::Manual),
    ];

    /// The class of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<EventClass> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, class)| *class)
    }

    /// The number that stands for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            EventClass::Detection => 0,
            EventClass::Alert => 1,
            EventClass::Manual => 2,
            EventClass::Unknown(code) => code,
        }
    }

    /// The class that a number stands for.
    #[must_use]
    pub const fn from_code(code: u8) -> EventClass {
        match code {
            0 => EventClass::Detection,
            1 => EventClass::Alert,
            2 => EventClass::Manual,
            other => EventClass::Unknown(other),
        }
    }
}

impl std::fmt::Display for EventClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match Self::NAMED.iter().find(|(_, class)| class == self) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "unknown ({})", self.code()),
        }
    }
}

/// Something that a source says about a stream between two times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFact {
    /// Who says it; 1 to [`EventFact::SOURCE_BYTES_MAX`] bytes.
    pub source: String,
    /// What that source calls it; 1 to [`EventFact::ID_BYTES_MAX`] bytes.
    pub id: String,
    /// How much it is worth.
    pub class: EventClass,
    /// What it is, as [`label_of`] has it.
    pub label: String,
    /// When it began.
    pub start: WallTime,
    /// When it was over; `None` while it goes on.
    pub end: Option<WallTime>,
    /// When its source said so, by the source's own time: what is said later holds.
    pub heard: WallTime,
    /// Where in the picture, by names; 12 at most.
    pub zones: Vec<String>,
    /// How sure its source is, in thousandths.
    pub score_permille: Option<u16>,
    /// Whatever else is said of it.
    pub text: String,
}

impl EventFact {
    /// Of the name of a source.
    pub const SOURCE_BYTES_MAX: usize = 64;
    /// Of what a source calls an event.
    pub const ID_BYTES_MAX: usize = 128;
    /// Of each zone's name.
    pub const ZONE_BYTES_MAX: usize = 32;
    /// Of the text.
    pub const TEXT_BYTES_MAX: usize = 256;

    /// Which it is, wherever it is spoken of.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        event_id(&self.source, &self.id)
    }

    /// Until when it lasted, of one that goes on: until now, or until it was last heard of, where
    /// that is longer ago than `stale_nanos`.
    #[must_use]
    pub fn end_at(&self, now: WallTime, stale_nanos: i64) -> WallTime {
        let end = self.end.unwrap_or_else(|| {
            let is_stale = now.nanos_since(self.heard) > stale_nanos;
            if is_stale { self.heard } else { now }
        });
        end.max(self.start)
    }

    /// What is known of an event once both were said, in whichever order: what its source said
    /// later, at the worth of whichever is worth more.
    #[must_use]
    pub fn with(&self, other: &EventFact) -> EventFact {
        let said = |fact: &EventFact| {
            let bytes = EventFact { class: EventClass::Detection, ..fact.clone() }.encode();
            (fact.heard, bytes)
        };
        let later = if said(self) >= said(other) { self } else { other };
        EventFact { class: self.class.max(other.class), ..later.clone() }
    }

    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new(VERSION);
        to.text(&self.source);
        to.text(&self.id);
        to.byte(self.class.code());
        to.text(&self.label);
        to.i64(self.start.0);
        to.byte(u8::from(self.end.is_some()));
        if let Some(end) = self.end {
            to.i64(end.nanos_since(self.start));
        }
        to.i64(self.heard.nanos_since(self.start));
        to.u64(self.zones.len() as u64);
        self.zones.iter().for_each(|zone| to.text(zone));
        to.u32(self.score_permille.map_or(0, |score| u32::from(score) + 1));
        to.text(&self.text);
        to.finish()
    }

    /// Reads what [`EventFact::encode`] wrote.
    ///
    /// # Errors
    /// Names the first field that is not what it should be.
    pub fn decode(bytes: &[u8]) -> Result<EventFact, Malformed> {
        let mut from = Decoder::new(bytes, VERSION, "event")?;
        let (source, id) = (from.text("source")?, from.text("id")?);
        let class = EventClass::from_code(from.byte("class")?);
        let label = from.text("label")?;
        let start = WallTime(from.i64("beginning")?);
        let end = match from.byte("whether it is over")? {
            0 => None,
            _ => Some(start.plus_nanos(from.i64("end")?)),
        };
        let heard = start.plus_nanos(from.i64("when it was heard of")?);
        let count = from.count(1, "zones")?;
        if count > ZONES_MAX {
            return Err(from.wrong("zones", format!("{count} of them")));
        }
        let zones = (0..count).map(|_| from.text("zone")).collect::<Result<_, _>>()?;
        let score_permille = from.u16("score")?.checked_sub(1);
        let text = from.text("text")?;
        from.finish("event")?;
        Ok(EventFact { source, id, class, label, start, end, heard, zones, score_permille, text })
    }

    /// What is wrong with it, beyond what its types say.
    ///
    /// # Errors
    /// Names the first of it.
    pub fn check(&self) -> Result<(), String> {
        let texts = [
            ("source", &self.source, 1, Self::SOURCE_BYTES_MAX),
            ("id", &self.id, 1, Self::ID_BYTES_MAX),
            ("text", &self.text, 0, Self::TEXT_BYTES_MAX),
        ];
        let zones = self.zones.iter().map(|zone| ("zone", zone, 1, Self::ZONE_BYTES_MAX));
        for (what, text, least, most) in texts.into_iter().chain(zones) {
            if !(least..=most).contains(&text.len()) {
                let length = text.len();
                return Err(format!(
                    "its {what} has {length} bytes; {least} to {most} are allowed"
                ));
            }
            if text.chars().any(char::is_control) {
                return Err(format!("its {what} has a control character"));
            }
        }
        if self.zones.len() > ZONES_MAX {
            return Err(format!("it names {} zones; {ZONES_MAX} are allowed", self.zones.len()));
        }
        if self.score_permille.is_some_and(|score| score > 1000) {
            return Err("its score is more than 1".to_owned());
        }
        match self.end {
            Some(end) if end < self.start => Err("it ends before it begins".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Which event a source means.
#[must_use]
pub fn event_id(source: &str, id: &str) -> EventId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(source.len() as u64).to_le_bytes());
    hasher.update(source.as_bytes());
    hasher.update(id.as_bytes());
    let mut digest = [0; 16];
    hasher.finalize_xof().fill(&mut digest);
    EventId(digest)
}

/// Characters of a label at most.
const LABEL_MAX: usize = 32;

/// What an event is, in a form that is a name on every system: small letters, digits, `_` and `-`,
/// 32 of them at most. `None` where nothing is left of it.
#[must_use]
pub fn label_of(said: &str) -> Option<String> {
    let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let mut label = String::new();
    for c in said.chars().map(|c| c.to_ascii_lowercase()) {
        if label.len() >= LABEL_MAX {
            break;
        }
        // Whatever else is said stands as one mark, and not in front.
        match is_fit(c) {
            true => label.push(c),
            false if label.is_empty() || label.ends_with('_') => {}
            false => label.push('_'),
        }
    }
    let label = label.trim_end_matches('_');
    (!label.is_empty()).then(|| label.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(heard: i64) -> EventFact {
        EventFact {
            source: "frigate".into(),
            id: "1795219200.5-x".into(),
            class: EventClass::Detection,
            label: "person".into(),
            start: WallTime(1000),
            end: None,
            heard: WallTime(heard),
            zones: vec!["porch".into()],
            score_permille: Some(870),
            text: String::new(),
        }
    }

    fn any_event() -> impl Strategy<Value = EventFact> {
        let texts = ("[a-z]{1,8}", "[a-z]{1,8}", "[a-z]{1,8}", ".{0,20}");
        let times = (any::<i32>(), proptest::option::of(any::<i32>()), 0..4_i32);
        let rest = (any::<u8>(), proptest::option::of(0..=1000_u16));
        let zones = proptest::collection::vec("[a-z]{1,4}", 0..3);
        (texts, times, rest, zones).prop_map(|(texts, (start, end, heard), rest, zones)| {
            let (source, id, label, text) = texts;
            let time = |at: i32| WallTime(i64::from(at));
            EventFact {
                source,
                id,
                class: EventClass::from_code(rest.0),
                label,
                start: time(start),
                end: end.map(time),
                heard: time(heard),
                zones,
                score_permille: rest.1,
                text,
            }
        })
    }

    #[test]
    fn what_is_said_later_holds_and_the_worth_never_falls() {
        let alert = EventFact { class: EventClass::Alert, ..event(2000) };
        let over = EventFact { end: Some(WallTime(2500)), ..event(3000) };
        let both = EventFact { class: EventClass::Alert, ..over.clone() };
        assert_eq!(alert.with(&over), both);
        assert_eq!(over.with(&alert), both);
        assert_eq!(both.with(&both), both, "the same twice changes nothing");
    }

    #[test]
    fn an_event_that_nobody_speaks_of_any_more_has_ended() {
        let open = event(5000);
        assert_eq!(open.end_at(WallTime(5600), 600), WallTime(5600));
        assert_eq!(open.end_at(WallTime(5601), 600), WallTime(5000));
        let over = EventFact { end: Some(WallTime(4000)), ..open };
        assert_eq!(over.end_at(WallTime(9999), 600), WallTime(4000));
    }

    #[test]
    fn what_was_written_once_is_read_for_ever() {
        let event = EventFact {
            end: Some(WallTime(1500)),
            text: "by the gate".into(),
            class: EventClass::Alert,
            ..event(2000)
        };
        let written = "0107667269676174650e313739353231393230302e352d780106706572736f6ed00f01e8\
                       07d00f0105706f726368e7060b6279207468652067617465";
        let pairs = (0..written.len()).step_by(2).map(|at| &written[at..at + 2]);
        let bytes: Vec<u8> =
            pairs.map(|pair| u8::from_str_radix(pair, 16).expect("two digits")).collect();
        assert_eq!(event.encode(), bytes);
        assert_eq!(EventFact::decode(&bytes), Ok(event));
        assert_eq!(event_id("a", "bc").to_string(), "459d2c485143766658f1d6eb529aff39");
        assert_ne!(event_id("ab", "c"), event_id("a", "bc"));
    }

    #[test]
    fn a_label_is_a_name_everywhere() {
        let labels = [
            ("person", Some("person")),
            ("Delivery Van", Some("delivery_van")),
            (" ../etc/passwd ", Some("etc_passwd")),
            ("Türklingel", Some("t_rklingel")),
            ("人", None),
            ("", None),
        ];
        for (said, label) in labels {
            assert_eq!(label_of(said).as_deref(), label, "{said:?}");
        }
        assert_eq!(label_of(&"ab ".repeat(40)).map(|label| label.len()), Some(32));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let wrong = [
            (EventFact { id: String::new(), ..event(0) }, "its id has 0 bytes"),
            (EventFact { text: "x".repeat(257), ..event(0) }, "its text has 257 bytes"),
            (EventFact { source: "a\nb".into(), ..event(0) }, "a control character"),
            (EventFact { zones: vec!["z".into(); 13], ..event(0) }, "13 zones"),
            (EventFact { end: Some(WallTime(999)), ..event(0) }, "ends before it begins"),
            (EventFact { score_permille: Some(1001), ..event(0) }, "more than 1"),
        ];
        assert_eq!(event(0).check(), Ok(()));
        for (event, why) in wrong {
            let refused = event.check().expect_err(why);
            assert!(refused.contains(why), "{refused}");
        }
        let longest = EventFact {
            source: "s".repeat(EventFact::SOURCE_BYTES_MAX),
            id: "i".repeat(EventFact::ID_BYTES_MAX),
            label: "l".repeat(LABEL_MAX),
            start: WallTime(i64::MAX),
            end: Some(WallTime(i64::MIN)),
            heard: WallTime(i64::MIN),
            zones: vec!["z".repeat(EventFact::ZONE_BYTES_MAX); ZONES_MAX],
            text: "t".repeat(EventFact::TEXT_BYTES_MAX),
            ..event(0)
        };
        let most = longest.encode().len();
        assert!(most <= crate::ring::EVENT_BYTES_MAX, "{most}");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(event in any_event()) {
            prop_assert_eq!(EventFact::decode(&event.encode()), Ok(event));
        }

        #[test]
        fn whichever_order_it_is_said_in_comes_to_the_same(
            said in proptest::collection::vec(any_event(), 3),
        ) {
            let all = |order: [usize; 3]| {
                let mut said = order.map(|at| said[at].clone()).into_iter();
                let first = said.next().expect("three");
                said.fold(first, |known, more| known.with(&more))
            };
            let first = all([0, 1, 2]);
            for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                prop_assert_eq!(&all(order), &first);
            }
        }

        #[test]
        fn any_bytes_are_an_event_or_a_named_reason(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = EventFact::decode(&bytes);
        }
    }
}
