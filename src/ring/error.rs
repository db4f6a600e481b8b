//! What goes wrong with a ring, with reading from it, with writing to it.

use std::io;

use super::geometry::Unsuitable;
use super::superblock::NotASuperblock;
use super::types::{QUEUE_BYTES_MAX, Refusal};
use crate::units::{ByteCount, ClipId, Sequence};

/// What went wrong with the ring as a whole.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The device failed.
    #[error("{what}: {source}")]
    Device {
        /// What was being done.
        what: String,
        /// What the device said.
        source: io::Error,
    },
    /// There is no ring here, or none that can be used.
    #[error("{0}")]
    NoSuperblock(NotASuperblock),
    /// Shorter than any ring.
    #[error("{length} bytes are too short for a ring")]
    TooShort {
        /// Length of the device.
        length: ByteCount,
    },
    /// Shorter than it was.
    #[error("truncated: {length} bytes, the ring was made on {expected}")]
    Truncated {
        /// Length of the device now.
        length: ByteCount,
        /// When it was formatted.
        expected: ByteCount,
    },
    /// A later program has written to it, and this one may only look.
    #[error("the ring has features that this program can't write (ro-compat {features:#x})")]
    ReadOnly {
        /// Bits that are set and not known.
        features: u64,
    },
    /// Later programs have said more than a checkpoint of this one can carry over.
    #[error(
        "the ledger has {bytes} bytes of facts that only later versions of reelfs know, and at \
         most {bytes_max} are carried over: it can be read, and not be written"
    )]
    TooMuchUnknown {
        /// As records in the ledger.
        bytes: u64,
        /// At most.
        bytes_max: u64,
    },
    /// Neither ledger area can be used.
    #[error(
        "no complete checkpoint in either ledger area; reelfs check --rescue makes a new ledger \
         from the blocks"
    )]
    LedgerLost,
    /// Something else is where an open ring was.
    #[error("{}", overwritten_by(.by.as_ref()))]
    Overwritten {
        /// The ring that is there instead, where it is one.
        by: Option<[u8; 16]>,
    },
    /// The blocks have nothing that a ledger could speak of.
    #[error(
        "no footage of this ring in any block: there is nothing to rescue, and nothing was \
         changed; reelfs format makes a new ring"
    )]
    NothingToRescue,
    /// The device does not suit.
    #[error(transparent)]
    Unsuitable(#[from] Unsuitable),
    /// The ring has been opened as often as its numbers allow.
    #[error("the ring has been opened {} times and can't be opened again", Sequence::SESSION_MAX)]
    SessionsExhausted,
    /// The writer has stopped.
    #[error("the ring is closed")]
    Closed,
}

fn overwritten_by(ring: Option<&[u8; 16]>) -> String {
    match ring {
        Some(uuid) => format!("another ring is there, {}", uuid::Uuid::from_bytes(*uuid)),
        None => "its superblocks and its ledger are gone: something has written over it".to_owned(),
    }
}

impl RingError {
    /// What the device says, while `what` was being done.
    pub(super) fn device(what: &str) -> impl FnOnce(io::Error) -> RingError {
        let what = what.to_owned();
        move |source| RingError::Device { what, source }
    }
}

/// Why samples can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No such clip, or no longer.
    #[error("clip {0} is gone")]
    Gone(ClipId),
    /// Nothing of it is on this ring.
    #[error("clip {0}: its footage is not on this ring")]
    Elsewhere(ClipId),
    /// The bytes on the device are not the ones that were written.
    #[error("{0}")]
    Damaged(String),
    /// The device failed.
    #[error("{what}: {source}")]
    Device {
        /// What was being read.
        what: String,
        /// What the device said.
        source: io::Error,
    },
}

/// Why a chunk was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The device does not keep up. Drop to the next key frame.
    #[error("the device does not keep up: {QUEUE_BYTES_MAX} bytes are waiting")]
    QueueFull,
    /// The clip has ended (evicted, or the device failed): begin another at the next key frame.
    #[error("the clip has ended")]
    ClipEnded,
    /// The device is gone, for now: drop to the first key frame after it is back.
    #[error("the device is gone")]
    DeviceAway,
    /// Nothing can be written, for now: drop to the first key frame after that.
    #[error("the ring can't be written")]
    Unwritable,
    /// The writer has stopped.
    #[error("the ring is closed")]
    Closed,
}

/// Why no clip was protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeepRefused {
    /// There would be more of it than may be; in bytes of whole blocks.
    #[error("no more may be kept (ring.keep_max): {after} bytes would be, of {most} at most")]
    NoRoom {
        /// What is kept already.
        before: ByteCount,
        /// What would be.
        after: ByteCount,
        /// What may be.
        most: ByteCount,
    },
    /// One of them grows: what is not closed can't be protected.
    #[error("clip {0} grows")]
    Grows(ClipId),
    /// What stands in the way of the first of them.
    #[error(transparent)]
    State(#[from] StateRefused),
}

/// Why the state of a clip was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateRefused {
    /// No such clip, or no longer; or it is growing.
    #[error("the clip is gone")]
    Gone,
    /// It is not in the state that was expected.
    #[error("the clip's state has changed")]
    Changed,
    /// Its state does not allow it.
    #[error(transparent)]
    State(#[from] Refusal),
    /// The device does not keep up.
    #[error("the device does not keep up")]
    QueueFull,
    /// Nothing can be written, for now.
    #[error("the ring can't be written")]
    Unwritable,
    /// The writer has stopped.
    #[error("the ring is closed")]
    Closed,
}
