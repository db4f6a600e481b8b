//! What a camera sends that nothing can be made of: counted, told now and then, and no reason to
//! end a session.

use std::time::Duration;

use super::voice::Voice;
use crate::clock::{Throttle, since_boot};

/// Between two lines of the log.
const LINE_INTERVAL: Duration = Duration::from_secs(60);

/// Those of one session.
pub(super) struct Oddities {
    untold: u64,
    lines: Throttle,
}

impl Oddities {
    pub(super) fn new() -> Oddities {
        Oddities { untold: 0, lines: Throttle::every(LINE_INTERVAL) }
    }

    /// Takes note of one.
    pub(super) fn note(&mut self, voice: &Voice, what: &str) {
        self.untold += 1;
        if self.lines.take(since_boot()) {
            let more = match std::mem::take(&mut self.untold) - 1 {
                0 => String::new(),
                more => format!(" ({more} more before it)"),
            };
            voice.say(log::Level::Warn, &format!("left out{more}: {what}"));
        }
    }
}
