//! Which clocks the times of clips come from: what it takes to put them right later.

use std::collections::BTreeMap;

use crate::ring::fact::Fact;
use crate::ring::types::Timing;
use crate::units::{ClipId, StreamNumber};

/// Timings of one stream that are in force at most: a clock that is set more often in one boot
/// takes no more of the ledger, and what was recorded first can't be put right then.
const TIMINGS_PER_STREAM_MAX: usize = 64;

/// A timing as a record, in bytes, at most.
const TIMING_FACT_BYTES: u64 = 64;

/// The timings of the last boot, by stream and the first clip that each is true of.
#[derive(Clone, Debug, Default)]
pub struct Timings(BTreeMap<StreamNumber, BTreeMap<ClipId, Timing>>);

impl Timings {
    /// The boot clock of another boot says nothing of them.
    pub(super) fn enter_boot(&mut self, boot_id: &[u8; 16]) {
        for timings in self.0.values_mut() {
            timings.retain(|_, timing| timing.clock.boot_id == *boot_id);
        }
        self.0.retain(|_, timings| !timings.is_empty());
    }

    pub(super) fn add(&mut self, stream: StreamNumber, clip: ClipId, timing: Timing) {
        let timings = self.0.entry(stream).or_default();
        timings.entry(clip).or_insert(timing);
        while timings.len() > TIMINGS_PER_STREAM_MAX {
            timings.pop_first();
        }
    }

    /// Whether the clip of a stream is known to be timed like this.
    #[must_use]
    pub fn cover(&self, stream: StreamNumber, clip: ClipId, timing: &Timing) -> bool {
        let before = self.0.get(&stream).and_then(|timings| timings.range(..=clip).next_back());
        before.is_some_and(|(_, known)| known.covers(timing))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (StreamNumber, ClipId, Timing)> {
        let of_stream = |(&stream, timings)| -> Vec<_> {
            let timings: &BTreeMap<ClipId, Timing> = timings;
            timings.iter().map(|(&clip, &timing)| (stream, clip, timing)).collect()
        };
        self.0.iter().flat_map(of_stream)
    }

    pub(super) fn facts(&self) -> impl Iterator<Item = Fact> {
        self.iter().map(|(stream, clip, timing)| Fact::Timed { stream, clip, timing })
    }

    pub(super) fn fact_bytes(&self) -> u64 {
        self.0.values().map(|timings| timings.len() as u64 * TIMING_FACT_BYTES).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::types::ClockFact;
    use crate::units::{BootTime, Sequence, WallTime};

    const STREAM: StreamNumber = StreamNumber(1);

    fn clip(number: u64) -> ClipId {
        ClipId(Sequence(number))
    }

    fn timing(wall: i64, boot: i64, boot_id: u8, synchronised: bool) -> Timing {
        let boot_id = [boot_id; 16];
        Timing {
            clock: ClockFact { wall: WallTime(wall), boot: BootTime(boot), boot_id },
            synchronised,
        }
    }

    #[test]
    fn a_clip_is_timed_as_the_one_before_until_the_clock_is_set() {
        let mut timings = Timings::default();
        assert!(!timings.cover(STREAM, clip(1), &timing(1000, 10, 1, false)));
        timings.add(STREAM, clip(1), timing(1000, 10, 1, false));
        let later = timing(1_000_001_000, 1_000_000_000, 1, false);
        assert!(timings.cover(STREAM, clip(2), &later), "both clocks have gone on");
        assert!(!timings.cover(StreamNumber(2), clip(2), &later));
        let others = [
            timing(5_000_001_000, 1_000_000_000, 1, false),
            timing(1_000_001_000, 1_000_000_000, 2, false),
            timing(1_000_001_000, 1_000_000_000, 1, true),
        ];
        assert!(others.iter().all(|other| !timings.cover(STREAM, clip(2), other)));
        timings.add(STREAM, clip(2), others[2]);
        assert!(timings.cover(STREAM, clip(3), &later), "it was right then as well");
    }

    #[test]
    fn what_another_boot_timed_is_dropped_and_the_rest_is_bounded() {
        let mut timings = Timings::default();
        for number in 0..100 {
            timings.add(STREAM, clip(number), timing(number as i64 * 10_000_000, 0, 1, false));
        }
        assert_eq!(timings.iter().count(), TIMINGS_PER_STREAM_MAX);
        assert_eq!(timings.iter().next().map(|(_, clip, _)| clip), Some(clip(36)));
        timings.enter_boot(&[1; 16]);
        assert_eq!(timings.iter().count(), TIMINGS_PER_STREAM_MAX);
        timings.enter_boot(&[2; 16]);
        assert_eq!((timings.iter().count(), timings.fact_bytes()), (0, 0));
    }
}
