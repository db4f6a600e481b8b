//! Where clips go: the few calls of the ring that a recorder makes.

use crate::ring::{NewChunk, Refused, Timing, Writer};
use crate::units::{ClipId, StreamNumber, WallTime};

/// Takes clips. None of the calls waits for a device.
pub trait Sink: Send + 'static {
    /// A number for a new clip.
    fn new_clip(&self) -> ClipId;

    /// Says which clocks a clip that begins takes its times from.
    fn time_clip(&self, stream: StreamNumber, clip: ClipId, timing: Timing);

    /// Takes the next chunk of a clip.
    ///
    /// # Errors
    /// If it is not taken: nothing of it will be stored.
    fn append(&self, chunk: NewChunk) -> Result<(), Refused>;

    /// Ends a clip behind the chunks so far: `reason` is `EndReason::code`, `length_nanos` the
    /// settled length in nanoseconds.
    fn end_clip(&self, clip: ClipId, reason: u8, length_nanos: Option<i64>);

    /// Records an observation (`Observation::encode`).
    fn observe(&self, stream: StreamNumber, from: WallTime, to: WallTime, fact: Vec<u8>);
}

impl Sink for Writer {
    fn new_clip(&self) -> ClipId {
        Writer::new_clip(self)
    }

    fn time_clip(&self, stream: StreamNumber, clip: ClipId, timing: Timing) {
        Writer::time_clip(self, stream, clip, timing);
    }

    fn append(&self, chunk: NewChunk) -> Result<(), Refused> {
        Writer::append(self, chunk)
    }

    fn end_clip(&self, clip: ClipId, reason: u8, length_nanos: Option<i64>) {
        Writer::end_clip(self, clip, reason, length_nanos);
    }

    fn observe(&self, stream: StreamNumber, from: WallTime, to: WallTime, fact: Vec<u8>) {
        Writer::observe(self, stream, from, to, fact);
    }
}
