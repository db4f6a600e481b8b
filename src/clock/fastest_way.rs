//! How fast a way is at its best. Pure.

use crate::units::{BootTime, NANOS_PER_SECOND};

/// How long a way is looked at to know how fast it can be: clocks at its other end are not quite
/// right.
const WINDOW_NANOS: i64 = 10 * NANOS_PER_SECOND;

/// By how much what comes is later than its own time at least, in nanoseconds: in this window of
/// time and in the one before.
#[derive(Clone, Copy, Debug)]
pub struct FastestWay {
    since: BootTime,
    now: i64,
    before: i64,
}

impl FastestWay {
    /// Something that came then was later than its own time by `lead` nanoseconds.
    #[must_use]
    pub fn new(lead: i64, received: BootTime) -> FastestWay {
        FastestWay { since: received, now: lead, before: lead }
    }

    /// The same of something that came behind that.
    pub fn note(&mut self, lead: i64, received: BootTime) {
        if received.0.saturating_sub(self.since.0) > WINDOW_NANOS {
            (self.since, self.before, self.now) = (received, self.now, lead);
        }
        self.now = self.now.min(lead);
    }

    /// The least of it, in nanoseconds.
    #[must_use]
    pub fn lead(&self) -> i64 {
        self.now.min(self.before)
    }
}
