//! The time line of one connection, until its time jumps. Pure.

use super::wall_clock::{WallClock, is_gap};
use crate::clock::Reading;

/// The time line that the clips of one connection share.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) clock: WallClock,
    /// Point behind the last frame that was cut, as it was expected then.
    pub(super) end: i64,
    timescale: u32,
    /// Presentation time of the frame before, recorded or not.
    last_pts: i64,
    /// Decode time of the run's first frame, once it is final: point 0.
    origin: Option<i64>,
    cut_to: Option<i64>,
}

impl Run {
    pub(super) fn new(begun: Reading, first_pts: i64, timescale: u32) -> Run {
        Run {
            clock: WallClock::new(begun, first_pts, timescale),
            end: 0,
            timescale,
            last_pts: first_pts,
            origin: None,
            cut_to: None,
        }
    }

    pub(super) fn timescale(&self) -> u32 {
        self.timescale
    }

    /// Ticks from the frame before to this one, which is the frame before from now on.
    pub(super) fn step(&mut self, pts: i64) -> i64 {
        pts.saturating_sub(std::mem::replace(&mut self.last_pts, pts))
    }

    pub(super) fn continues(&self, step: i64, interval: Option<i64>, timescale: u32) -> bool {
        timescale == self.timescale && !is_gap(step, interval, timescale)
    }

    /// The first chunk of the run is cut, and begins with this decode time.
    pub(super) fn settle(&mut self, first: i64) {
        self.clock.settle();
        self.origin.get_or_insert(first);
    }

    /// The place of a decode time on the run's line, in ticks. Before the first chunk is cut,
    /// `first` is the decode time of its first frame as far as it is known.
    pub(super) fn point(&self, time: i64, first: i64, shift: i64) -> i64 {
        time - self.origin.unwrap_or(first) + shift
    }

    /// Decode time of the last frame that was cut.
    pub(super) fn cut_to(&self) -> Option<i64> {
        self.cut_to
    }

    pub(super) fn cut(&mut self, last: i64) {
        self.cut_to = Some(last);
    }

    /// Steers where a chunk begins with this decode time, and never so far that times would
    /// not grow.
    pub(super) fn steer(&mut self, time: i64) {
        if let Some(last) = self.cut_to {
            self.clock.steer(time, time.saturating_sub(last) / 2);
        }
    }
}
