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

impl Catalogue {
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
