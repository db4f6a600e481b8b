//! What sources say of streams: by stream and event, the last that was said. Bounded: who says too
//! much takes the room of what they said first, and of nobody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ring::fact::Fact;
use crate::units::{EventId, StreamNumber, WallTime};

/// An event of a stream as a record beside its opaque part, in bytes, at most.
const EVENT_FACT_BYTES: u64 = 48;

/// The events of all streams.
#[derive(Clone, Debug, Default)]
pub struct Events {
    streams: BTreeMap<StreamNumber, OfStream>,
    bytes: u64,
}

#[derive(Clone, Debug, Default)]
struct OfStream {
    events: BTreeMap<EventId, (WallTime, Arc<[u8]>)>,
    by_start: BTreeSet<(WallTime, EventId)>,
    bytes: u64,
}

impl Events {
    /// What was said of an event takes the place of what was said of it before; nothing withdraws
    /// it.
    pub(super) fn set(
        &mut self,
        stream: StreamNumber,
        event: EventId,
        start: WallTime,
        fact: &Arc<[u8]>,
    ) {
        let of_stream = self.streams.entry(stream).or_default();
        if let Some((before, old)) = of_stream.events.remove(&event) {
            of_stream.by_start.remove(&(before, event));
            let bytes = record_bytes(&old);
            (of_stream.bytes, self.bytes) = (of_stream.bytes - bytes, self.bytes - bytes);
        }
        if fact.is_empty() {
            if of_stream.events.is_empty() {
                self.streams.remove(&stream);
            }
            return;
        }
        let bytes = record_bytes(fact);
        of_stream.events.insert(event, (start, fact.clone()));
        of_stream.by_start.insert((start, event));
        (of_stream.bytes, self.bytes) = (of_stream.bytes + bytes, self.bytes + bytes);
    }

    /// What was said of an event last.
    #[must_use]
    pub fn get(&self, stream: StreamNumber, event: EventId) -> Option<&(WallTime, Arc<[u8]>)> {
        self.streams.get(&stream)?.events.get(&event)
    }

    /// All of them, by stream.
    pub fn iter(&self) -> impl Iterator<Item = (StreamNumber, EventId, WallTime, &Arc<[u8]>)> {
        self.streams.iter().flat_map(|(&stream, known)| {
            let events = known.events.iter();
            events.map(move |(&event, (start, fact))| (stream, event, *start, fact))
        })
    }

    /// The one that goes first where they take more than `bytes_max` with one more of `stream`
    /// that has so many `bytes`: the oldest of the stream that has most.
    #[must_use]
    pub fn first_to_go(
        &self,
        stream: StreamNumber,
        bytes: usize,
        bytes_max: u64,
    ) -> Option<(StreamNumber, EventId)> {
        let more = bytes as u64 + EVENT_FACT_BYTES;
        if self.bytes + more <= bytes_max {
            return None;
        }
        let with_new = |(number, known): &(&StreamNumber, &OfStream)| {
            known.bytes + if **number == stream { more } else { 0 }
        };
        let (number, most) = self.streams.iter().max_by_key(with_new)?;
        most.by_start.first().map(|(_, event)| (*number, *event))
    }

    pub(super) fn facts(&self) -> impl Iterator<Item = Fact> {
        self.iter().map(|(stream, event, start, fact)| Fact::Event {
            stream,
            event,
            start,
            fact: fact.clone(),
        })
    }

    /// What they take as records, in bytes, at most.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn record_bytes(fact: &[u8]) -> u64 {
    fact.len() as u64 + EVENT_FACT_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(events: &mut Events, stream: u32, number: u8, start: i64, bytes: usize) {
        let (stream, event) = (StreamNumber(stream), EventId([number; 16]));
        events.set(stream, event, WallTime(start), &vec![1; bytes].into());
    }

    #[test]
    fn the_last_that_is_said_of_an_event_holds_until_it_is_withdrawn() {
        let mut events = Events::default();
        said(&mut events, 1, 7, 10, 100);
        said(&mut events, 1, 7, 20, 50);
        said(&mut events, 2, 7, 5, 10);
        let all: Vec<_> = events.iter().map(|(s, _, at, fact)| (s.0, at.0, fact.len())).collect();
        assert_eq!(all, [(1, 20, 50), (2, 5, 10)]);
        assert_eq!(events.bytes(), 50 + 10 + 2 * EVENT_FACT_BYTES);
        let facts: Vec<Fact> = events.facts().collect();
        let most = facts.iter().map(Fact::record_length).sum::<usize>() as u64;
        assert!(most <= events.bytes(), "{most}");
        [1, 2].iter().for_each(|stream| said(&mut events, *stream, 7, 0, 0));
        assert_eq!((events.iter().count(), events.bytes()), (0, 0));
        said(&mut events, 3, 7, 0, 0);
        assert!(events.streams.is_empty(), "nothing is left of what was never said");
    }

    #[test]
    fn who_says_most_loses_what_it_said_first() {
        let mut events = Events::default();
        (0..9).for_each(|number| said(&mut events, 1, number, 100 - i64::from(number), 100));
        said(&mut events, 2, 0, 1, 100);
        let most = events.bytes();
        let to_go = |stream: u32, bytes: usize, most: u64| {
            events.first_to_go(StreamNumber(stream), bytes, most).map(|(s, id)| (s.0, id.0[0]))
        };
        assert_eq!(to_go(2, 100, most + 100 + EVENT_FACT_BYTES), None);
        assert_eq!(to_go(2, 100, most), Some((1, 8)), "the oldest of who has most");
        assert_eq!(to_go(2, 2000, most), Some((2, 0)), "with what it says now it has most");
        assert_eq!(Events::default().first_to_go(StreamNumber(1), 10, 0), None);
    }
}
