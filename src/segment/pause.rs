//! Pauses: when the camera sent nothing, inside a clip, and nothing was lost.

#![warn(clippy::indexing_slicing)]

use super::table::TrackTable;
use crate::units::Ticks;
use crate::wire::{Decoder, Encoder, Malformed};

/// A stretch in which the camera sent nothing and nothing was lost: the sample before lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it began, in nanoseconds since the clip's tick 0: where the sample before was expected
    /// to end if that is the last one of its chunk, or else when that sample began.
    pub from_nanos: i64,
    /// How long it was, in nanoseconds; not negative.
    pub length_nanos: i64,
}

/// The pauses of a clip: the first ones, and how many others there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    listed: Vec<Pause>,
    more: u64,
    more_nanos: i64,
}

impl Pauses {
    /// So many are listed; a fact has to fit a page of the ledger, and a camera may pause for ever.
    pub const LISTED_MAX: usize = 32;

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.more == 0
    }

    /// The first ones, in order.
    #[must_use]
    pub fn listed(&self) -> &[Pause] {
        &self.listed
    }

    /// How many there are behind those, and how long they are together, in nanoseconds.
    #[must_use]
    pub fn more(&self) -> (u64, i64) {
        (self.more, self.more_nanos)
    }

    /// Adds one behind the others.
    pub fn add(&mut self, pause: Pause) {
        if self.listed.len() < Self::LISTED_MAX {
            // Of exact size: those of half a million clips stay in memory.
            self.listed.reserve_exact(1);
            self.listed.push(pause);
        } else {
            self.more = self.more.saturating_add(1);
            self.more_nanos = self.more_nanos.saturating_add(pause.length_nanos);
        }
    }

    /// Adds those that one more chunk of a track tells of; `expected` is where the track was
    /// expected to go on, `None` for its first chunk: nothing of the clip is in front of it.
    pub fn add_chunk(&mut self, table: &TrackTable, expected: Option<Ticks>) {
        let nanos = |ticks: Ticks| ticks.to_nanos(table.timescale);
        let (mut at, mut before) = (table.start, expected);
        for sample in &table.samples {
            if sample.flags.resumed
                && let Some(from) = before
            {
                let from_nanos = nanos(from.min(at));
                let length_nanos = nanos(at).saturating_sub(from_nanos);
                self.add(Pause { from_nanos, length_nanos });
            }
            before = Some(at);
            at = Ticks(at.0.saturating_add(i64::from(sample.duration)));
        }
    }

    pub(super) fn encode(&self, to: &mut Encoder) {
        to.u64(self.listed.len() as u64);
        let mut before = 0_i64;
        for pause in &self.listed {
            to.i64(pause.from_nanos.wrapping_sub(before));
            to.i64(pause.length_nanos);
            before = pause.from_nanos;
        }
        to.u64(self.more);
        to.i64(self.more_nanos);
    }

    pub(super) fn decode(from: &mut Decoder<'_>) -> Result<Pauses, Malformed> {
        let count = from.count(2, "pauses")?;
        if count > Self::LISTED_MAX {
            let reason = format!("{count} listed, expected at most {}", Self::LISTED_MAX);
            return Err(from.wrong("pauses", reason));
        }
        let mut pauses = Pauses { listed: Vec::with_capacity(count), more: 0, more_nanos: 0 };
        let mut before = 0_i64;
        for _ in 0..count {
            let from_nanos = before.wrapping_add(from.i64("beginning of a pause")?);
            let length_nanos = length(from)?;
            pauses.listed.push(Pause { from_nanos, length_nanos });
            before = from_nanos;
        }
        pauses.more = from.u64("further pauses")?;
        pauses.more_nanos = length(from)?;
        if pauses.more == 0 && pauses.more_nanos != 0 {
            let reason = format!("{} ns of none", pauses.more_nanos);
            return Err(from.wrong("length of further pauses", reason));
        }
        Ok(pauses)
    }
}

fn length(from: &mut Decoder<'_>) -> Result<i64, Malformed> {
    match from.i64("length of a pause")? {
        negative @ i64::MIN..0 => Err(from.wrong("length of a pause", format!("{negative}"))),
        length => Ok(length),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::segment::{Sample, SampleFlags, TrackKind, TrackNumber};

    pub(in crate::segment) fn pauses() -> impl Strategy<Value = Pauses> {
        let pause = (any::<i64>(), 0..i64::MAX);
        prop::collection::vec(pause, 0..40).prop_map(|all| {
            let mut pauses = Pauses::default();
            for (from_nanos, length_nanos) in all {
                pauses.add(Pause { from_nanos, length_nanos });
            }
            pauses
        })
    }

    fn table(start: i64, samples: &[(u32, bool)]) -> TrackTable {
        let sample = |&(duration, resumed): &(u32, bool)| Sample {
            duration,
            size: 9,
            composition_offset: 0,
            flags: SampleFlags { resumed, ..SampleFlags::default() },
        };
        TrackTable {
            track: TrackNumber(0),
            kind: TrackKind::Video,
            timescale: 1000,
            parameters: 0,
            codec_delay: 0,
            start: Ticks(start),
            samples: samples.iter().map(sample).collect(),
        }
    }

    fn pause(from: i64, length: i64) -> Pause {
        Pause { from_nanos: from * 1_000_000, length_nanos: length * 1_000_000 }
    }

    #[test]
    fn a_pause_between_chunks_begins_where_the_sample_before_was_expected_to_end() {
        let mut pauses = Pauses::default();
        // Nothing of the clip is in front of its first sample, whatever is said of it.
        pauses.add_chunk(&table(0, &[(40, true), (40, false)]), None);
        pauses.add_chunk(&table(5080, &[(40, true)]), Some(Ticks(80)));
        pauses
            .add_chunk(&table(5120, &[(40, false), (3000, false), (40, true)]), Some(Ticks(5120)));
        assert_eq!(pauses.listed(), [pause(80, 5000), pause(5160, 3000)]);
        assert_eq!(pauses.more(), (0, 0));
    }

    #[test]
    fn pauses_without_end_take_no_more_room_than_many() {
        let mut pauses = Pauses::default();
        for number in 0..100_000 {
            let start = number * 3_000;
            pauses.add_chunk(&table(start, &[(40, true)]), Some(Ticks(start - 2000)));
        }
        let more = 100_000 - Pauses::LISTED_MAX as u64;
        assert_eq!(pauses.listed().len(), Pauses::LISTED_MAX);
        assert_eq!(pauses.more(), (more, more as i64 * 2_000_000_000));
        let mut to = Encoder::default();
        pauses.encode(&mut to);
        assert!(to.finish().len() < 600);
    }

    #[test]
    fn further_pauses_that_are_none_have_no_length() {
        let decoded = |more: u64, more_nanos: i64| {
            let mut bytes = Encoder::new(1);
            bytes.u64(0);
            bytes.u64(more);
            bytes.i64(more_nanos);
            let bytes = bytes.finish();
            Pauses::decode(&mut Decoder::new(&bytes, 1, "pauses").expect("its version"))
        };
        assert_eq!(decoded(0, 0), Ok(Pauses::default()));
        assert_eq!(decoded(3, 64).expect("three").more(), (3, 64));
        assert_eq!(decoded(0, 64).expect_err("of none").what, "length of further pauses");
    }

    #[test]
    fn a_list_that_is_longer_than_any_is_refused() {
        let mut bytes = Encoder::new(1);
        bytes.u64(Pauses::LISTED_MAX as u64 + 1);
        (0..200).for_each(|_| bytes.byte(0));
        let bytes = bytes.finish();
        let mut from = Decoder::new(&bytes, 1, "pauses").expect("its version");
        assert_eq!(Pauses::decode(&mut from).expect_err("too many").what, "pauses");
    }
}
