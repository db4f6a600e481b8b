//! What the ledger says of a stream, and of things that happened to it.

#![warn(clippy::indexing_slicing)]

use crate::units::WallTime;
use crate::wire::{Decoder, Encoder, Malformed};

/// Where somebody has switched its recording by hand; 1 where nobody has.
const STREAM_VERSION: u8 = 2;
const UNSWITCHED_VERSION: u8 = 1;
const OBSERVATION_VERSION: u8 = 1;

/// A name of a stream, and since when it had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamName {
    /// As in the configuration and the tree.
    pub name: String,
    /// When it got this name.
    pub since: WallTime,
}

/// What somebody has said by hand of whether a stream is recorded, in place of its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Whether it is recorded.
    pub is_on: bool,
    /// When its settings hold again; `None`: when somebody says so.
    pub until: Option<WallTime>,
}

/// One camera's one feed. The newest fact of a stream is the whole truth about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFact {
    /// Never changes, and is the same on another ring that the stream is copied to.
    pub uuid: [u8; 16],
    /// Its names, oldest first; at least one, the last is in force.
    pub names: Vec<StreamName>,
    /// The last known `retain`, in nanoseconds; `None` where footage stays until it is evicted.
    pub retain_nanos: Option<i64>,
    /// When the stream left the configuration; `None` while it is in it.
    pub removed: Option<WallTime>,
    /// Whether it is recorded, where somebody has said so by hand.
    pub switch: Option<Switch>,
}

impl StreamFact {
    /// The name in force.
    #[must_use]
    pub fn name(&self) -> &str {
        self.names.last().map_or("", |name| &name.name)
    }

    /// The name in force at `time`: what a clip that began then is listed under. Before the first
    /// name's date it is the first name.
    ///
    /// A name that is added must be dated after the beginning of every clip that there is, also
    /// where the clock has gone back since: a closed clip keeps its name.
    #[must_use]
    pub fn name_at(&self, time: WallTime) -> &str {
        let in_force = self.names.iter().filter(|name| name.since <= time);
        let newest = in_force.max_by_key(|name| name.since).or(self.names.first());
        newest.map_or("", |name| &name.name)
    }

    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let version = if self.switch.is_some() { STREAM_VERSION } else { UNSWITCHED_VERSION };
        let mut to = Encoder::new(version);
        to.raw(&self.uuid);
        to.u64(self.names.len() as u64);
        for name in &self.names {
            to.text(&name.name);
            to.i64(name.since.0);
        }
        encode_option(&mut to, self.retain_nanos);
        encode_option(&mut to, self.removed.map(|time| time.0));
        if let Some(switch) = self.switch {
            to.byte(u8::from(switch.is_on));
            encode_option(&mut to, switch.until.map(|time| time.0));
        }
        to.finish()
    }

    /// Reads what [`StreamFact::encode`] wrote.
    ///
    /// # Errors
    /// Names the first field that is not what it should be; a stream without a name is an error.
    pub fn decode(bytes: &[u8]) -> Result<StreamFact, Malformed> {
        let (mut from, version) = Decoder::of_versions(bytes, STREAM_VERSION, "stream fact")?;
        let uuid = from.array("stream UUID")?;
        let count = from.count(2, "names of the stream")?;
        if count == 0 {
            return Err(from.wrong("names of the stream", "none"));
        }
        let names = (0..count)
            .map(|_| {
                let name = from.text("stream name")?;
                Ok(StreamName { name, since: WallTime(from.i64("name's date")?) })
            })
            .collect::<Result<_, Malformed>>()?;
        let retain_nanos = decode_option(&mut from, "retain")?;
        let removed = decode_option(&mut from, "removal date")?.map(WallTime);
        let switch = match version {
            UNSWITCHED_VERSION => None,
            _ => Some(Switch {
                is_on: from.byte("switch")? != 0,
                until: decode_option(&mut from, "end of the switch")?.map(WallTime),
            }),
        };
        from.finish("stream fact")?;
        Ok(StreamFact { uuid, names, retain_nanos, removed, switch })
    }
}

/// What kind of thing was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObservationKind {
    /// Samples were dropped because they could not be stored; `number` is how many.
    Dropped,
    /// Samples did not arrive: lost on the network or by the camera; `number` is how many packets.
    Lost,
    /// The camera could not be reached, or its connection broke.
    Disconnected,
    /// The camera's time jumped or stood still, or the machine's clock was set; `number` is by how
    /// many milliseconds.
    TimeJump,
    /// The camera sent nothing for longer than usual, and nothing was lost; `number` is for how
    /// many milliseconds.
    Pause,
    /// Samples did not arrive, and frames behind them were kept, up to the next one that decodes
    /// alone; `number` is how many were kept.
    Damaged,
    /// It was not to be recorded: switched off by hand, or by its hours. Said where it begins, with
    /// one time for both, and once more as a whole.
    Off,
    /// What a later program noted, under a number that this one does not know.
    Unknown(u8),
}

impl ObservationKind {
    const ALL: [ObservationKind; 7] = [
        ObservationKind::Dropped,
        ObservationKind::Lost,
        ObservationKind::Disconnected,
        ObservationKind::TimeJump,
        ObservationKind::Pause,
        ObservationKind::Damaged,
        ObservationKind::Off,
    ];

    /// The number that stands for this kind on the ring.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            ObservationKind::Dropped => 0,
            ObservationKind::Lost => 1,
            ObservationKind::Disconnected => 2,
            ObservationKind::TimeJump => 3,
            ObservationKind::Pause => 4,
            ObservationKind::Damaged => 5,
            ObservationKind::Off => 6,
            ObservationKind::Unknown(code) => code,
        }
    }

    /// The kind behind a number.
    #[must_use]
    pub fn from_code(code: u8) -> ObservationKind {
        let known = Self::ALL.into_iter().find(|kind| kind.code() == code);
        known.unwrap_or(ObservationKind::Unknown(code))
    }
}

/// Something that happened to a stream between two times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When it began.
    pub from: WallTime,
    /// When it was over.
    pub to: WallTime,
    /// What it was.
    pub kind: ObservationKind,
    /// How many, how far: see the kind.
    pub number: i64,
    /// A few words; at most [`Observation::TEXT_BYTES_MAX`] are kept.
    pub text: String,
}

impl Observation {
    /// Longer texts are cut: a fact must fit a ledger page with room to spare, in bytes.
    pub const TEXT_BYTES_MAX: usize = 200;

    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new(OBSERVATION_VERSION);
        to.byte(self.kind.code());
        to.i64(self.from.0);
        to.i64(self.to.0);
        to.i64(self.number);
        to.text(&self.text[..self.text.floor_char_boundary(Self::TEXT_BYTES_MAX)]);
        to.finish()
    }

    /// Reads what [`Observation::encode`] wrote.
    ///
    /// # Errors
    /// Names the first field that is not what it should be.
    pub fn decode(bytes: &[u8]) -> Result<Observation, Malformed> {
        let mut from = Decoder::new(bytes, OBSERVATION_VERSION, "observation")?;
        let kind = ObservationKind::from_code(from.byte("kind of observation")?);
        let observation = Observation {
            kind,
            from: WallTime(from.i64("beginning")?),
            to: WallTime(from.i64("end")?),
            number: from.i64("number")?,
            text: from.text("text")?,
        };
        from.finish("observation")?;
        Ok(observation)
    }
}

fn encode_option(to: &mut Encoder, value: Option<i64>) {
    to.byte(u8::from(value.is_some()));
    if let Some(value) = value {
        to.i64(value);
    }
}

fn decode_option(from: &mut Decoder<'_>, what: &'static str) -> Result<Option<i64>, Malformed> {
    match from.byte(what)? {
        0 => Ok(None),
        1 => Ok(Some(from.i64(what)?)),
        other => Err(from.wrong(what, format!("mark {other}, not 0 or 1"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fact(names: &[(&str, i64)]) -> StreamFact {
        let named = |(name, since): &(&str, i64)| StreamName {
            name: (*name).to_owned(),
            since: WallTime(*since),
        };
        let names = names.iter().map(named).collect();
        StreamFact { uuid: [1; 16], names, retain_nanos: None, removed: None, switch: None }
    }

    #[test]
    fn a_clip_is_listed_under_the_name_that_was_in_force_when_it_began() {
        let fact = fact(&[("front", 10), ("back", 20), ("side", 20), ("roof", 15)]);
        let names = [(9, "front"), (10, "front"), (14, "front"), (15, "roof"), (20, "side")];
        for (time, name) in names {
            assert_eq!(fact.name_at(WallTime(time)), name, "at {time}");
        }
        assert_eq!(fact.name(), "roof", "the last one set is in force");
    }

    #[test]
    fn a_stream_without_a_name_is_refused() {
        let error = StreamFact::decode(&fact(&[]).encode()).expect_err("no name");
        assert_eq!(error.what, "names of the stream");
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters() {
        let observation = Observation {
            from: WallTime(1),
            to: WallTime(2),
            kind: ObservationKind::Lost,
            number: 3,
            text: "a".to_owned() + &"ä".repeat(200),
        };
        let decoded = Observation::decode(&observation.encode()).expect("an observation");
        assert_eq!(decoded.text, "a".to_owned() + &"ä".repeat(99));
    }

    proptest! {
        #[test]
        fn a_stream_fact_comes_back(
            uuid in any::<[u8; 16]>(),
            names in prop::collection::vec((".{0,20}", any::<i64>()), 1..4),
            retain_nanos in any::<Option<i64>>(),
            removed in any::<Option<i64>>(),
            switch in any::<Option<(bool, Option<i64>)>>(),
        ) {
            let named = |(name, since)| StreamName { name, since: WallTime(since) };
            let names = names.into_iter().map(named).collect();
            let switch = switch.map(|(is_on, until)| Switch { is_on, until: until.map(WallTime) });
            let removed = removed.map(WallTime);
            let fact = StreamFact { uuid, names, retain_nanos, removed, switch };
            let bytes = fact.encode();
            prop_assert_eq!(StreamFact::decode(&bytes), Ok(fact));
            for length in 0..bytes.len() {
                prop_assert!(StreamFact::decode(&bytes[..length]).is_err());
            }
        }

        #[test]
        fn an_observation_comes_back(
            numbers in any::<(i64, i64, i64)>(),
            code: u8,
            text in ".{0,40}",
        ) {
            let observation = Observation {
                from: WallTime(numbers.0),
                to: WallTime(numbers.1),
                kind: ObservationKind::from_code(code),
                number: numbers.2,
                text,
            };
            prop_assert_eq!(observation.kind.code(), code);
            prop_assert_eq!(Observation::decode(&observation.encode()), Ok(observation));
        }

        #[test]
        fn arbitrary_bytes_are_a_value_or_a_reason(
            bytes in prop::collection::vec(any::<u8>(), 0..100)
        ) {
            let _ = StreamFact::decode(&bytes);
            let _ = Observation::decode(&bytes);
        }
    }
}
