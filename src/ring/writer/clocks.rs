//! What is said of clocks: which is trusted, which a clip is timed by, and which was wrong.

use super::{Request, Writer};
use crate::ring::fact::Fact;
use crate::ring::types::{ClockFact, Timing};
use crate::units::{ClipId, StreamNumber};

impl Writer {
    /// Records a wall-clock time that is trusted: what the next session compares its clock with.
    pub fn trust_clock(&self, clock: ClockFact) {
        self.send(Request::Record(Fact::Clock { clock }));
    }

    /// Says which clocks a clip that begins takes its times from: durable with the next flush.
    pub fn time_clip(&self, stream: StreamNumber, clip: ClipId, timing: Timing) {
        self.send(Request::TimeClip(stream, clip, timing));
    }

    /// Says that a closed clip was recorded on a clock that was that far behind, in nanoseconds: it
    /// is redated with the next flush, and never again.
    pub fn redate(&self, clip: ClipId, shift_nanos: i64) {
        self.send(Request::Redate(clip, shift_nanos));
    }
}
