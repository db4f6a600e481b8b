//! What the writer does, one step after another: no thread, no queue, no time-out. A test can cut
//! the power after each of its writes.
//!
//! Order of writes: chunks, then a flush, then the facts about them, which ride along with the
//! next flush. A block's next life is reserved durably before it begins.

mod commit;
mod durable;
mod events;
mod evict;
mod features;
mod flush;
mod place;
mod refusal;
mod waiting;

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::fact::Fact;
use super::ledger::Ledger;
use super::page::RECORDS_BYTES_MAX;
use super::placement::Placement;
use super::sequences::Sequences;
use super::space::{self, Space};
use super::state::Shared;
use super::superblock::Superblock;
use super::trouble::Trouble;
use super::types::{ClipState, Interpreter, News, Reason, StateRequest, Timing};
use super::under_way::{Clips, FactQueue, OwedTables};
use crate::clock::Clock;
use crate::device::Device;
use crate::units::{ClipId, StreamNumber};
use waiting::Waiting;

/// The writer's state.
pub(super) struct Core {
    pub device: Arc<dyn Device>,
    pub clock: Arc<dyn Clock>,
    pub superblock: Superblock,
    pub shared: Arc<RwLock<Shared>>,
    pub interpreter: Box<dyn Interpreter>,
    pub sequences: Arc<Sequences>,
    /// Whether clips that leave have their samples zeroed first.
    wipe: bool,
    /// Facts under way to the ledger.
    pub(super) facts: FactQueue,
    /// Where things are put.
    pub(super) placement: Placement,
    /// Clips that grow, and what the next flush will cover of them.
    pub(super) clips: Clips,
    /// Tables that wait for their streams to go on in another block.
    pub(super) tables: OwedTables,
    /// What is wrong with the device.
    pub(super) trouble: Trouble,
    /// The session has not begun, because nothing can be written.
    waiting: Option<Waiting>,
    /// The superblocks have not taken a feature bit, and the log was told.
    features_refused: bool,
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
        let mut shared = Shared::new(parts.space);
        shared.ro_compat = parts.superblock.ro_compat;
        Core {
            device: parts.device,
            clock: parts.clock,
            superblock: parts.superblock,
            shared: Arc::new(RwLock::new(shared)),
            interpreter: parts.interpreter,
            sequences: parts.sequences,
            wipe: parts.wipe,
            facts: FactQueue::new(parts.ledger, parts.epoch),
            placement: Placement::default(),
            clips: Clips::default(),
            tables: OwedTables::default(),
            trouble: Trouble::default(),
            waiting: None,
            features_refused: false,
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
            self.placement.resume(stream, &fill);
        }
    }

    pub(super) fn state(&self) -> RwLockReadGuard<'_, Shared> {
        Shared::read(&self.shared)
    }

    pub(super) fn state_mut(&self) -> RwLockWriteGuard<'_, Shared> {
        Shared::write(&self.shared)
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
            Ok(()) => self.facts.push(fact),
            Err(contradiction) => {
                log::error!("ring: not recorded: {contradiction}");
                return false;
            }
        }
        true
    }

    /// Changes the state of a closed clip as it allows.
    pub fn change_state(&mut self, clip: ClipId, request: StateRequest) {
        let known = self.state().space.state_of(clip);
        let Some(known) = known else { return };
        if let Ok(state) = known.after(request)
            && state != known
        {
            self.record(Fact::State { clip, state });
            self.interpreter.news(&News::StateSet { clip, state });
        }
    }

    /// A clip that begins takes its times from these clocks: said where it is news.
    pub fn time_clip(&mut self, stream: StreamNumber, clip: ClipId, timing: Timing) {
        let known = { self.state().space.timings().cover(stream, clip, &timing) };
        // Without a boot's id nobody can tell later whether it is still the same one.
        if !known
            && timing.clock.boot_id != [0; 16]
            && self.record(Fact::Timed { stream, clip, timing })
        {
            self.interpreter.news(&News::StreamTimed { stream, clip, timing });
        }
    }

    /// A closed clip was recorded on a clock that was that far behind: its times are others from
    /// the next flush on. Once for each clip.
    pub fn redate(&mut self, clip: ClipId, shift_nanos: i64) {
        let open = {
            let state = self.state();
            let closed = state.space.clip(clip).filter(|record| record.state.is_some());
            closed.is_some_and(|record| !record.is_purging() && record.redating.is_none())
        };
        if open && let Some(redating) = self.interpreter.redate(clip, shift_nanos) {
            self.record(Fact::Redated { clip, redating: redating.into() });
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
            self.tables.forget(clip);
            self.record(fact);
            self.interpreter.news(&News::ClipGone { clip, reason });
        }
    }

    /// A clip that is being purged is gone.
    pub fn forget_purged(&mut self, clip: ClipId) {
        let state = self.state().space.state_of(clip);
        if let Some(ClipState::Purging { reason }) = state {
            self.forget(clip, reason);
        }
    }
}
