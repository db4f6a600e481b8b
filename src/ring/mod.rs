//! Blocks, chunks, ledger: a crash-safe ring of opaque bytes and facts on a device.
//!
#![doc = include_str!("FORMAT.md")]

mod append;
mod block;
mod chunk;
mod compose;
mod contents;
mod core;
mod fact;
mod format;
mod inspect;
mod layout;
mod ledger;
mod page;
mod read;
mod recovery;
mod restore;
mod scrub;
mod space;
mod superblock;
mod tables;
mod types;
mod walk;
mod wipe;
mod writer;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use self::core::Counters;
pub use block::BlockHeader;
pub use chunk::{ChunkHeader, ChunkKind, FIXED_BYTES as CHUNK_FIXED_BYTES, UNIT_BYTES};
pub use fact::Fact;
pub use format::{BLOCK_HEADER_BYTES, FormatOptions, format, overhead};
pub use inspect::{BlockSummary, BlockUse, ChunkReport, Inspection};
pub use ledger::Findings;
pub use read::{Ring, Verified};
pub use recovery::{
    LeftBehind, LostChunks, LostPlace, Opening, Rescued, read_superblock, repair_superblocks,
};
pub use restore::{BlockLabel, Restored};
pub use scrub::{
    Depth, ExtentTrial, Fault, HeldExtent, NoTable, Pace, Scrubbed, SuperblockCopy, Tried,
    TriedChunk, UnknownClip, Wrong, superblock_copies,
};
pub use space::{ClipRecord, Fill};
pub use superblock::{
    BLOCKS_MIN, Geometry, LABEL_BYTES_MAX, NotASuperblock, Superblock, Unsuitable,
};
pub use types::*;
pub use writer::{QUEUE_BYTES_MAX, QUEUE_CHUNKS_MAX, Writer};

use crate::clock::Clock;
use crate::device::Device;
use crate::units::{BlockNumber, ByteCount, ClipId, Sequence, SessionNumber, StreamNumber};

/// How a ring is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time between flushes.
    pub flush_interval: Duration,
    /// Whether the samples of deleted clips are zeroed before their space is used again.
    pub wipe: bool,
}

/// What went wrong with the ring as a whole.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The device failed.
    #[error("{what}: {source}")]
    Device {
        /// What was being done.
        what: String,
        /// What the device said.
        source: std::io::Error,
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
    /// Neither ledger area can be used.
    #[error(
        "no complete checkpoint in either ledger area; reelfs check --rescue makes a new ledger \
         from the blocks"
    )]
    LedgerLost,
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

/// Why samples can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No such clip, or no longer.
    #[error("clip {0} is gone")]
    Gone(ClipId),
    /// The bytes on the device are not the ones that were written.
    #[error("{0}")]
    Damaged(String),
    /// The device failed.
    #[error("{what}: {source}")]
    Device {
        /// What was being read.
        what: String,
        /// What the device said.
        source: std::io::Error,
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
    /// The writer has stopped.
    #[error("the ring is closed")]
    Closed,
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
    /// The writer has stopped.
    #[error("the ring is closed")]
    Closed,
}

/// Gives out the numbers of a session: each once.
#[derive(Debug)]
pub struct Sequences {
    session: SessionNumber,
    counter: AtomicU64,
    stream: AtomicU32,
}

impl Sequences {
    pub(crate) fn new(session: SessionNumber, next_stream: u32) -> Sequences {
        Sequences { session, counter: AtomicU64::new(1), stream: AtomicU32::new(next_stream) }
    }

    fn next(&self) -> Sequence {
        Sequence::new(self.session, self.counter.fetch_add(1, Ordering::Relaxed))
    }

    fn next_stream(&self) -> StreamNumber {
        StreamNumber(self.stream.fetch_add(1, Ordering::Relaxed))
    }
}

impl Ring {
    /// Writes a new ledger from the blocks alone, where both areas of it are gone; `progress`
    /// hears the number of each block before it is read, and how many there are. See
    /// [`Rescued`]: whatever is found has to be restored by hand.
    ///
    /// # Errors
    /// See [`RingError`].
    pub fn rescue(
        device: Arc<dyn Device>,
        clock: Arc<dyn Clock>,
        interpreter: Box<dyn Interpreter>,
        progress: &mut dyn FnMut(BlockNumber, u32),
    ) -> Result<Rescued, RingError> {
        recovery::rescue(device, clock, interpreter, progress)
    }

    /// Opens a ring for recording, and starts its writer.
    ///
    /// # Errors
    /// See [`RingError`].
    pub fn open(
        device: Arc<dyn Device>,
        clock: Arc<dyn Clock>,
        settings: &Settings,
        interpreter: Box<dyn Interpreter>,
    ) -> Result<(Arc<Ring>, Writer, Opening), RingError> {
        let (core, opening) = recovery::open(device.clone(), clock, settings, interpreter)?;
        let ring = Ring {
            device,
            superblock: core.superblock.clone(),
            shared: core.shared.clone(),
            checksums: Mutex::default(),
        };
        let writer = Writer::start(core, settings.flush_interval);
        Ok((Arc::new(ring), writer, opening))
    }
}
