//! What sources say of streams.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::Catalogue;
use crate::segment::{EventFact, Malformed};
use crate::units::{EventId, StreamKey, WallTime};

/// The events of all streams.
#[derive(Debug, Default)]
pub(super) struct Events {
    by_start: BTreeMap<(StreamKey, WallTime, EventId), Arc<EventFact>>,
    starts: BTreeMap<(StreamKey, EventId), WallTime>,
    /// Those that go on.
    open: BTreeSet<(StreamKey, EventId)>,
    /// No event of a stream that is over has been longer than this, in nanoseconds.
    length_max: BTreeMap<StreamKey, i64>,
}

impl Events {
    /// Nothing withdraws the event.
    ///
    /// # Errors
    /// Names the first field that is not what it should be; what was known stays.
    pub(super) fn set(
        &mut self,
        stream: StreamKey,
        event: EventId,
        fact: &[u8],
    ) -> Result<(), Malformed> {
        let fact = if fact.is_empty() { None } else { Some(EventFact::decode(fact)?) };
        if let Some(start) = self.starts.remove(&(stream, event)) {
            self.by_start.remove(&(stream, start, event));
            self.open.remove(&(stream, event));
        }
        let Some(fact) = fact else { return Ok(()) };
        match fact.end {
            None => _ = self.open.insert((stream, event)),
            Some(end) => {
                let longest = self.length_max.entry(stream).or_default();
                *longest = end.nanos_since(fact.start).max(*longest);
            }
        }
        self.starts.insert((stream, event), fact.start);
        self.by_start.insert((stream, fact.start, event), Arc::new(fact));
        Ok(())
    }
}

/// Before all others.
const FIRST: EventId = EventId([0; 16]);
/// Behind all others.
const LAST: EventId = EventId([u8::MAX; 16]);

impl Catalogue {
    /// What is known of an event.
    #[must_use]
    pub fn event(&self, stream: StreamKey, event: EventId) -> Option<&Arc<EventFact>> {
        let start = self.events.starts.get(&(stream, event))?;
        self.events.by_start.get(&(stream, *start, event))
    }

    /// The events of a stream, by when they began.
    pub fn events_of(
        &self,
        stream: StreamKey,
    ) -> impl DoubleEndedIterator<Item = &Arc<EventFact>> + use<'_> {
        let all = (stream, WallTime(i64::MIN), FIRST)..=(stream, WallTime(i64::MAX), LAST);
        self.events.by_start.range(all).map(|(_, event)| event)
    }

    /// The events of a stream that may have something to do with `times`: all that began before
    /// their end and were not over before their beginning, and all that go on.
    pub fn events_near(
        &self,
        stream: StreamKey,
        times: Range<WallTime>,
    ) -> impl Iterator<Item = &Arc<EventFact>> + use<'_> {
        let longest = self.events.length_max.get(&stream).copied().unwrap_or_default();
        let from = times.start.plus_nanos(longest.saturating_neg()).min(times.end);
        let over = (stream, from, FIRST)..(stream, times.end, FIRST);
        let over = self.events.by_start.range(over).map(|(_, event)| event);
        let over = over.filter(move |it| it.end.is_some_and(|end| end >= times.start));
        let open = self.events.open.range((stream, FIRST)..=(stream, LAST));
        let open = open.filter_map(move |(stream, event)| self.event(*stream, *event));
        over.chain(open.filter(move |event| event.start < times.end))
    }

    /// How many events there are.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.events.by_start.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::News;
    use crate::segment::EventClass;
    use crate::units::{RingNumber, StreamNumber};

    const RING: RingNumber = RingNumber(0);
    const STREAM: StreamKey = StreamKey { ring: RING, stream: StreamNumber(4) };

    fn said(to: &mut Catalogue, id: &str, start: i64, end: Option<i64>) {
        let fact = EventFact {
            source: "s".into(),
            id: id.into(),
            class: EventClass::Alert,
            label: "person".into(),
            start: WallTime(start),
            end: end.map(WallTime),
            heard: WallTime(start),
            zones: Vec::new(),
            score_permille: None,
            text: String::new(),
        };
        let (stream, event) = (STREAM.stream, fact.event_id());
        let news = News::EventSet { stream, event, fact: fact.encode().into() };
        to.apply(RING, &news).expect("an event");
    }

    fn near(catalogue: &Catalogue, times: Range<i64>) -> Vec<String> {
        let times = WallTime(times.start)..WallTime(times.end);
        catalogue.events_near(STREAM, times).map(|event| event.id.clone()).collect()
    }

    #[test]
    fn events_are_found_by_the_time_that_they_lasted() {
        let mut catalogue = Catalogue::new();
        said(&mut catalogue, "long", 100, Some(900));
        said(&mut catalogue, "short", 400, Some(410));
        said(&mut catalogue, "open", 300, None);
        assert_eq!(near(&catalogue, 500..600), ["long", "open"]);
        assert_eq!(near(&catalogue, 0..100), Vec::<String>::new());
        assert_eq!(near(&catalogue, 0..101), ["long"]);
        assert_eq!(near(&catalogue, 405..406), ["long", "short", "open"]);
        let [from, to] = [1000, 900];
        assert_eq!(near(&catalogue, from..to), ["open"], "a span that is none");
        said(&mut catalogue, "open", 350, Some(360));
        assert_eq!(near(&catalogue, 500..600), ["long"]);
        let ids: Vec<_> = catalogue.events_of(STREAM).map(|event| event.id.as_str()).collect();
        assert_eq!(ids, ["long", "open", "short"]);
        let other = StreamKey { stream: StreamNumber(5), ..STREAM };
        assert_eq!(catalogue.events_of(other).count(), 0);
    }

    #[test]
    fn what_is_withdrawn_is_gone_and_what_is_no_event_changes_nothing() {
        let mut catalogue = Catalogue::new();
        said(&mut catalogue, "a", 1, Some(2));
        let event = crate::segment::event_id("s", "a");
        let (stream, garbage) = (STREAM.stream, [9; 5].into());
        assert!(catalogue.apply(RING, &News::EventSet { stream, event, fact: garbage }).is_err());
        assert_eq!(catalogue.event(STREAM, event).map(|event| event.start), Some(WallTime(1)));
        let nothing = News::EventSet { stream, event, fact: [].into() };
        catalogue.apply(RING, &nothing).expect("it is withdrawn");
        assert_eq!((catalogue.event_count(), catalogue.event(STREAM, event)), (0, None));
    }
}
