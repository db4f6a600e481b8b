//! Blocks, chunks, ledger: a crash-safe ring of opaque bytes and facts on a device.
//!
//! # The subrooms
//!
//! A file or folder here names only what stands below it in this table; `tests/layers.rs` holds it
//! to that, and the calls between the files of the writer's state (`core`) to one direction.
//!
//! | subroom | purpose |
//! |---|---|
//! | `follow` | a ring that another process writes, or nobody, as it goes on |
//! | `wipe` | frees clips for good, zeroed first where that is wanted |
//! | `writer`, `recovery` | the thread that writes and its handle; opening, and a ledger anew |
//! | `append` | chunks of clips into blocks, ends of clips, the end of a session |
//! | `tables` | clip tables behind their clips, and once more elsewhere |
//! | `core` | the writer's state: facts recorded, flushes, evictions, refusals |
//! | `restore`, `scrub` | pages written again from what others say; footage tried |
//! | `root` | what a clip holds as one digest, wherever it lies |
//! | `inspect`, `read` | a ring that is only looked at; clips and samples of one that is open |
//! | `found` | what a device says of a ring that nobody writes to |
//! | `placement` | where things are put: open, ready, reserved and abandoned blocks |
//! | `under_way` | what is under way to the disk: facts, growing clips, tables that are owed |
//! | `trouble` | what is wrong with the device, and what the log was told of it |
//! | `zero` | samples overwritten with zeros |
//! | `state` | what readers and the writer share |
//! | `format` | a new ring |
//! | `space`, `ledger` | the facts in force and the blocks that they hold; facts on disk |
//! | `walk`, `blocks` | chunk after chunk of a block; the one reader of blocks |
//! | `block`, `chunk`, `fact`, `page`, `contents`, `superblock` | what is written, byte by byte |
//! | `error`, `sequences`, `layout`, `types` | what all of these name |
//!
#![doc = include_str!("FORMAT.md")]

mod append;
mod block;
mod blocks;
mod chunk;
mod contents;
mod core;
mod disk_label;
mod error;
mod fact;
mod follow;
mod format;
mod found;
mod geometry;
mod inspect;
mod layout;
mod ledger;
mod page;
mod placement;
mod read;
mod recovery;
mod restore;
mod root;
mod scrub;
mod sequences;
mod space;
mod state;
mod superblock;
mod tables;
mod trouble;
mod types;
mod under_way;
mod walk;
mod wipe;
mod writer;
mod zero;

use std::sync::Arc;

pub use block::BlockHeader;
pub use chunk::{ChunkHeader, ChunkKind, FIXED_BYTES as CHUNK_FIXED_BYTES, UNIT_BYTES};
pub use disk_label::DiskLabel;
pub use error::{KeepRefused, ReadError, Refused, RingError, StateRefused};
pub use fact::Fact;
pub use follow::Follower;
pub use format::{BLOCK_HEADER_BYTES, FormatOptions, format, overhead};
pub use found::{FoundSuperblock, LeftBehind, LostChunks, LostPlace};
pub use found::{
    find_superblock, read_superblock, repair_superblocks, restore_superblocks, tend_superblocks,
    write_superblocks,
};
pub use geometry::{BLOCKS_MIN, Geometry, Unsuitable, places_text};
pub use inspect::{BlockSummary, BlockUse, ChunkReport, Inspection};
pub use ledger::Findings;
pub use read::{Ring, Verified};
pub use recovery::{Opening, Rescued};
pub use restore::{BlockLabel, Restored};
pub use root::ClipRoot;
pub use scrub::{
    Depth, ExtentTrial, Fault, HeldExtent, NoTable, Pace, Scrubbed, SuperblockCopy, Tried,
    TriedChunk, UnknownClip, Wrong, superblock_copies,
};
pub use sequences::Sequences;
pub use space::{ClipRecord, Fill};
pub use state::Counters;
pub use superblock::{LABEL_BYTES_MAX, LATER_FACTS, LATER_FOOTAGE, NotASuperblock, Superblock};
pub use types::*;
pub use writer::Writer;

use crate::clock::Clock;
use crate::device::Device;
use crate::units::BlockNumber;
use recovery::Unwritable;
use state::Shared;

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
        Ring::begin(device, clock, settings, interpreter, Unwritable::Refuse)
    }

    /// The same, also where nothing can be written: it can be read then, nothing can be changed
    /// ([`Opening::unwritable`]), and the writer tries now and then whether the session can begin.
    ///
    /// # Errors
    /// See [`RingError`].
    pub fn open_or_wait(
        device: Arc<dyn Device>,
        clock: Arc<dyn Clock>,
        settings: &Settings,
        interpreter: Box<dyn Interpreter>,
    ) -> Result<(Arc<Ring>, Writer, Opening), RingError> {
        Ring::begin(device, clock, settings, interpreter, Unwritable::Wait)
    }

    /// What this ring is now: the bits that its superblocks have got since it was opened included.
    #[must_use]
    pub fn superblock_now(&self) -> Superblock {
        let ro_compat = Shared::read(&self.shared).ro_compat;
        Superblock { ro_compat, ..self.superblock.clone() }
    }

    fn begin(
        device: Arc<dyn Device>,
        clock: Arc<dyn Clock>,
        settings: &Settings,
        interpreter: Box<dyn Interpreter>,
        unwritable: Unwritable,
    ) -> Result<(Arc<Ring>, Writer, Opening), RingError> {
        let opened = recovery::open(device.clone(), clock, settings, interpreter, unwritable);
        let (core, opening) = opened?;
        let ring = Ring::new(device, core.superblock.clone(), core.shared.clone());
        let writer = Writer::start(core, settings.flush_interval);
        Ok((Arc::new(ring), writer, opening))
    }
}
