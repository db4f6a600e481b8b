//! How far the times of clips can be trusted: which clocks they come from, and which are right.

use std::ops::Range;

use super::{Catalogue, Clip};
use crate::ring::Timing;
use crate::units::{ClipKey, StreamKey};

/// Which clocks the clips of a stream take their times from, up to where others are said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTiming {
    /// Whose.
    pub stream: StreamKey,
    /// Which clips; those of other streams are among them.
    pub clips: Range<ClipKey>,
    /// The clocks.
    pub timing: Timing,
}

/// So many are known of a stream, as in the ring: a clock that is set every hour makes no end of
/// them, and the earliest are of clips that were redated, or can't be.
const TIMINGS_PER_STREAM_MAX: usize = 64;

impl Catalogue {
    pub(super) fn add_timing(&mut self, stream: StreamKey, first: ClipKey, timing: Timing) {
        self.timings.insert((stream, first), timing);
        let theirs = (stream, ClipKey::MIN)..=(stream, ClipKey::MAX);
        if self.timings.range(theirs.clone()).count() > TIMINGS_PER_STREAM_MAX {
            let earliest = self.timings.range(theirs).next().map(|(key, _)| *key);
            earliest.and_then(|key| self.timings.remove(&key));
        }
    }

    /// What is known of the clocks that clips were recorded on, by stream and in their order.
    pub fn timings(&self) -> impl Iterator<Item = StreamTiming> {
        let mut following = self.timings.keys().skip(1);
        self.timings.iter().map(move |(&(stream, first), &timing)| {
            let next = following.next().filter(|(other, _)| *other == stream);
            let clips = first..next.map_or(ClipKey::MAX, |(_, next)| *next);
            StreamTiming { stream, clips, timing }
        })
    }

    /// The last clip before `key`, of any stream of its ring, that was recorded at a time that is
    /// known to be right.
    #[must_use]
    pub fn dated_before(&self, key: ClipKey) -> Option<&Clip> {
        let mut before = self.dated.range(..key).rev();
        self.clips.get(before.find(|other| other.ring() == key.ring())?)
    }

    /// The first such clip behind `key`.
    #[must_use]
    pub fn dated_behind(&self, key: ClipKey) -> Option<&Clip> {
        let mut behind = self.dated.range(key..);
        self.clips.get(behind.find(|other| **other != key && other.ring() == key.ring())?)
    }
}
