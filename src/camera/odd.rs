//! What a camera sends that nothing can be made of: counted, told now and then, and no reason to
//! end a session.

use std::time::Duration;

use super::records::RECORD_BYTES_MAX;
use super::voice::Voice;
use crate::clock::{Throttle, since_boot};

/// Between two lines of the log.
const LINE_INTERVAL: Duration = Duration::from_secs(60);

/// A picture at most, in bytes: as much as the largest chunk of a ring.
pub(super) const PICTURE_BYTES_MAX: usize = 8 << 20;

/// A packet that nothing can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Odd {
    #[error("a payload that begins with {0:02x}")]
    Unknown(u8),
    #[error("something that is no packet")]
    NoPacket,
    #[error("a fragment of which the beginning is missing")]
    NoBeginning,
    #[error("another unit before a fragmented one is complete")]
    NoEnd,
    #[error("a part of a sample")]
    HalfSample,
    #[error("sound whose headers do not tell where its units are")]
    BadHeaders,
    #[error("a unit of sound that is larger than any may be")]
    LargeUnit,
    #[error("a record over the limit of {} KiB", RECORD_BYTES_MAX >> 10)]
    LargeRecord,
    #[error("records over the limit of {} KiB a second", RECORD_BYTES_MAX >> 10)]
    ManyRecords,
    #[error("a compressed record that can't be expanded")]
    NotCompressed,
    #[error("a picture over the limit of {} MiB", PICTURE_BYTES_MAX >> 20)]
    TooLarge,
    #[error("a picture over 2040 pixels of which nothing tells the size")]
    NoSize,
    #[error("a picture of which the tables are missing")]
    NoTables,
}

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
