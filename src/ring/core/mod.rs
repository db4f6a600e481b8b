//! What the writer does, one step after another: no thread, no queue, no time-out. A test can cut
//! the power after each of its writes.
//!
//! Order of writes: chunks, then a flush, then the facts about them, which ride along with the
//! next flush. A block's next life is reserved durably before it begins.

mod commit;
mod durable;
mod evict;
mod refusal;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use super::Sequences;
use super::fact::Fact;
use super::ledger::Ledger;
use super::page::RECORDS_BYTES_MAX;
use super::space::{self, Space};
use super::superblock::Superblock;
use super::tables::OwedCopy;
use super::types::{
    ChunkPlace, ClipContents, ClipState, Ending, Extent, Interpreter, News, Reason, StateRequest,
};
use crate::clock::Clock;
use crate::device::{AlignedBuffer, Device};
use crate::units::{BlockNumber, ClipId, DeviceOffset, Sequence, StreamNumber};

/// Blocks reserved ahead at least.
const RESERVED_MIN: usize = 2;

/// What readers and the writer share. Locked for moments, never across I/O.
pub(super) struct Shared {
    /// The facts in force, and those that the next flush makes durable.
    pub space: Space,
    /// Chunks of growing clips that a flush covers.
    pub growing: HashMap<ClipId, GrowingContents>,
    /// Growing clips that the ring ended by itself; their recorders do not know yet.
    pub ended: BTreeSet<ClipId>,
    /// Blocks of which the device does not read something, and that the writer has not heard of.
    pub unreadable: BTreeSet<BlockNumber>,
    /// Counted for `status`.
    pub counters: Counters,
    /// The epoch of the last ledger pages that a flush covers.
    pub ledger_epoch: u64,
}

/// Clips that ended by themselves and whose recorders have not been told: more than any set of
/// streams has at once. Beyond it the oldest are forgotten.
const ENDED_MAX: usize = 4096;

impl Shared {
    /// The clip takes no more chunks; its recorder hears so when it comes with the next.
    pub fn end(&mut self, clip: ClipId) {
        self.ended.insert(clip);
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_first();
        }
    }

    /// Whether the clip takes no more chunks.
    pub fn has_ended(&self, clip: ClipId) -> bool {
        self.ended.contains(&clip)
            || self.space.clip(clip).is_some_and(|record| record.state.is_some())
    }
}

/// The readable part of a growing clip.
#[derive(Clone, Default)]
pub(super) struct GrowingContents {
    /// Whose.
    pub stream: StreamNumber,
    /// What a flush covers.
    pub contents: ClipContents,
}

/// What the writer has done since the ring was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Writes to the device.
    pub writes: u64,
    /// Bytes in them.
    pub write_bytes: u64,
    /// Flushes.
    pub flushes: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Flushes that failed.
    pub flush_errors: u64,
    /// Clips evicted.
    pub evicted: u64,
    /// Chunks that could not be stored.
    pub chunks_dropped: u64,
    /// Flush intervals in a row of which nothing is safe; 0 while the device is well.
    pub commits_failed: u64,
}

impl Counters {
    /// Writes and flushes that failed.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.write_errors + self.flush_errors
    }
}

/// A block that a stream is writing into.
pub(super) struct OpenBlock {
    pub block: BlockNumber,
    pub life: Sequence,
    pub next_page: u32,
    pub next_chunk: u32,
    pub seal: u32,
    /// Parameter sets that the block holds, and their first pages.
    pub parameters: HashMap<Arc<[u8]>, u32>,
    /// Whether its header is written.
    pub begun: bool,
}

/// A clip that is being written.
pub(super) struct Growing {
    pub stream: StreamNumber,
    /// Extents that are behind it.
    pub extents: u32,
    pub current: Option<Extent>,
    /// What the last flush covered of it: ordinal and extent.
    pub durable: Option<(u32, Extent)>,
    pub next_number: u32,
    pub contents: ClipContents,
}

/// What the next flush will cover, in order.
pub(super) enum Undurable {
    Chunk {
        clip: ClipId,
        stream: StreamNumber,
        place: ChunkPlace,
        parameters: Vec<Arc<[u8]>>,
        table: Arc<[u8]>,
        digest: [u8; 32],
    },
    Extent {
        clip: ClipId,
        stream: StreamNumber,
        ordinal: u32,
        extent: Extent,
    },
    TableCopy {
        clip: ClipId,
        stream: StreamNumber,
        extents: Vec<Extent>,
    },
    End {
        clip: ClipId,
        stream: StreamNumber,
        ending: Ending,
        extents: u32,
        table: Vec<Extent>,
        /// As in [`Growing`].
        durable: Option<(u32, Extent)>,
    },
}

/// The writer's state.
pub(super) struct Core {
    pub device: Arc<dyn Device>,
    pub clock: Arc<dyn Clock>,
    pub superblock: Superblock,
    pub shared: Arc<RwLock<Shared>>,
    pub interpreter: Box<dyn Interpreter>,
    pub sequences: Arc<Sequences>,
    /// Whether clips that leave have their samples zeroed first.
    pub wipe: bool,
    pub(super) ledger: Ledger,
    pub(super) epoch: u64,
    pub(super) open: BTreeMap<StreamNumber, OpenBlock>,
    pub(super) growing: BTreeMap<ClipId, Growing>,
    pub(super) ready: VecDeque<(BlockNumber, Sequence)>,
    reserving: Vec<(BlockNumber, Sequence)>,
    /// Facts for the next flush.
    pending: Vec<Fact>,
    /// Facts that are durable and not announced yet.
    unannounced: Vec<Fact>,
    pub(super) undurable: Vec<Undurable>,
    pub(super) blocks_taken: usize,
    /// Tables that wait for their streams to go on in another block.
    pub(super) copies_owed: BTreeMap<StreamNumber, Vec<OwedCopy>>,
    /// Blocks that have refused a write since the last flush.
    pub(super) suspects: Vec<BlockNumber>,
    /// When blocks were called bad lately because they can't be read.
    pub(super) unread_at: Vec<Instant>,
    /// Bad blocks that the log has not told of, and when it last did.
    pub(super) bad_untold: Vec<BlockNumber>,
    pub(super) bad_told: Option<Instant>,
    /// When the device last had no room for a block.
    pub(super) full: Option<Instant>,
    /// Blocks that streams have left because of a failure, until the facts say so.
    pub(super) abandoned: BTreeMap<BlockNumber, StreamNumber>,
    /// The facts in force hold more than is pending: only a checkpoint says it all.
    checkpoint_due: bool,
    /// When the log last said that the device fails.
    failure_complaint: Option<Instant>,
    /// Clips evicted since the log last said that the ledger is full, and when that was.
    evicted_for_ledger: u64,
    ledger_complaint: Option<Instant>,
}

/// What a [`Core`] is made of.
pub(super) struct Parts {
    pub device: Arc<dyn Device>,
    pub clock: Arc<dyn Clock>,
    pub superblock: Superblock,
    pub interpreter: Box<dyn Interpreter>,
    pub sequences: Arc<Sequences>,
    pub ledger: Ledger,
    pub epoch: u64,
    pub space: Space,
    pub wipe: bool,
}

impl Core {
    /// A writer that goes on where the facts in force end.
    pub fn new(parts: Parts) -> Core {
        let shared = Shared {
            space: parts.space,
            growing: HashMap::new(),
            ended: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            counters: Counters::default(),
            ledger_epoch: 0,
        };
        Core {
            device: parts.device,
            clock: parts.clock,
            superblock: parts.superblock,
            shared: Arc::new(RwLock::new(shared)),
            interpreter: parts.interpreter,
            sequences: parts.sequences,
            wipe: parts.wipe,
            ledger: parts.ledger,
            epoch: parts.epoch,
            open: BTreeMap::new(),
            growing: BTreeMap::new(),
            ready: VecDeque::new(),
            reserving: Vec::new(),
            pending: Vec::new(),
            unannounced: Vec::new(),
            undurable: Vec::new(),
            blocks_taken: 0,
            copies_owed: BTreeMap::new(),
            suspects: Vec::new(),
            unread_at: Vec::new(),
            bad_untold: Vec::new(),
            bad_told: None,
            full: None,
            abandoned: BTreeMap::new(),
            checkpoint_due: false,
            failure_complaint: None,
            evicted_for_ledger: 0,
            ledger_complaint: None,
        }
    }

    /// Goes on in the blocks that the facts in force call open.
    pub fn adopt_open_blocks(&mut self) {
        let fills: Vec<_> = self.state().space.open_blocks().collect();
        for (stream, fill) in fills {
            if self.state().space.is_bad(fill.block) {
                self.record(Fact::Left { stream });
                continue;
            }
            let open = OpenBlock {
                block: fill.block,
                life: fill.life,
                next_page: fill.end_page,
                next_chunk: fill.next_chunk,
                seal: fill.seal,
                parameters: HashMap::new(),
                begun: true,
            };
            self.open.insert(stream, open);
        }
    }

    pub(super) fn state(&self) -> RwLockReadGuard<'_, Shared> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state_mut(&self) -> RwLockWriteGuard<'_, Shared> {
        self.shared.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a fact true now and durable with the next flush; false where it contradicts those in
    /// force, or does not fit a page.
    pub fn record(&mut self, fact: Fact) -> bool {
        if fact.record_length() > RECORDS_BYTES_MAX {
            log::error!("ring: not recorded: a fact of {} bytes", fact.record_length());
            return false;
        }
        let applied = self.state_mut().space.apply(&fact);
        match applied {
            Ok(()) => self.keep_for_the_next_flush(fact),
            Err(contradiction) => {
                log::error!("ring: not recorded: {contradiction}");
                return false;
            }
        }
        true
    }

    /// Changes the state of a closed clip as it allows.
    pub fn change_state(&mut self, clip: ClipId, request: StateRequest) {
        let known = self.state().space.clip(clip).and_then(|record| record.state);
        let Some(known) = known else { return };
        if let Ok(state) = known.after(request)
            && state != known
        {
            self.record(Fact::State { clip, state });
            self.interpreter.news(&News::StateSet { clip, state });
        }
    }

    /// Sets what is known of a stream.
    pub fn set_stream(&mut self, stream: StreamNumber, fact: Arc<[u8]>) {
        if self.record(Fact::Stream { stream, fact: fact.clone() }) {
            self.interpreter.news(&News::StreamSet { stream, fact });
        }
    }

    /// The closed clip is gone, for the reason that its state tells, or else for `otherwise`.
    pub fn forget(&mut self, clip: ClipId, otherwise: Reason) {
        let fact = {
            let state = self.state();
            let closed = state.space.clip(clip).filter(|record| record.state.is_some());
            closed.map(|record| space::gone(clip, record, otherwise))
        };
        if let Some(fact @ Fact::Gone { reason, .. }) = fact {
            self.forget_table_copy(clip);
            self.record(fact);
            self.interpreter.news(&News::ClipGone { clip, reason });
        }
    }

    /// A clip that is being purged is gone.
    pub fn forget_purged(&mut self, clip: ClipId) {
        let state = self.state().space.clip(clip).and_then(|record| record.state);
        if let Some(ClipState::Purging { reason }) = state {
            self.forget(clip, reason);
        }
    }

    pub(super) fn write(&mut self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()> {
        let written = self.device.write_at(offset, bytes);
        let mut state = self.state_mut();
        state.counters.writes += 1;
        state.counters.write_bytes += bytes.len() as u64;
        state.counters.write_errors += u64::from(written.is_err());
        written
    }
}
