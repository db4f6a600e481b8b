//! A device that refuses: one place of it, or everything.
//!
//! A block that refuses a write, or again and again a read, is bad only if the device takes writes
//! elsewhere: it is said in the ledger with the next flush, and holds once the ledger has taken it.
//! Where that fails, too, nothing is said of any block, and recording pauses until a flush
//! succeeds.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use super::{Core, Growing};
use crate::ring::fact::Fact;
use crate::units::{BlockNumber, StreamNumber};

/// Blocks that may refuse a write between two flushes before no more are tried.
const SUSPECTS_MAX: usize = 16;
/// Flushes in a row that may fail before nothing more is taken until one succeeds: each costs
/// every stream a block.
const FAILURES_MAX: u64 = 2;
/// Between two lines in the log about a device that fails.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(600);
/// So many blocks become bad because they can't be read, at most, ...
const UNREAD_MAX: usize = 4;
/// ... in this time: where more can't, it is the disk that is in trouble, perhaps for a moment, and
/// a ring must not lose all its blocks for that.
const UNREAD_INTERVAL: Duration = Duration::from_secs(600);
/// Between two lines in the log about blocks that are bad, ...
const BAD_INTERVAL: Duration = Duration::from_secs(60);
/// ... and how many of them it names.
const BAD_NAMED: usize = 16;
/// How long nothing is tried after the device had no room: a file in a full file system.
const FULL_PAUSE: Duration = Duration::from_secs(5);
/// Facts that wait for a flush at most. Beyond it a checkpoint takes their place.
const PENDING_FACTS_MAX: usize = 16 << 10;

impl Core {
    /// Whether nothing of the last flush intervals is safe.
    pub(super) fn is_failing(&self) -> bool {
        self.state().counters.commits_failed > 0
    }

    /// Whether a chunk may be tried at all.
    pub(in crate::ring) fn takes_chunks(&self) -> bool {
        let failed = self.state().counters.commits_failed;
        let waits_for_room = self.full.is_some_and(|full| full.elapsed() < FULL_PAUSE);
        self.device.is_present()
            && failed < FAILURES_MAX
            && self.suspects.len() < SUSPECTS_MAX
            && !waits_for_room
    }

    /// The device has taken a chunk.
    pub(in crate::ring) fn room_again(&mut self) {
        if self.full.take().is_some() {
            log::warn!("ring: there is room for it again, recording goes on");
        }
    }

    /// The block has refused a write. That there is no room for it says nothing of the block: the
    /// ring is a file with holes, in a file system that is full.
    pub(in crate::ring) fn suspect(&mut self, block: BlockNumber, error: &io::Error) {
        if !self.device.is_present() {
            return;
        }
        if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            if self.full.replace(Instant::now()).is_none() {
                log::error!(
                    "ring: recording pauses until there is room for block {block} in the file: \
                     {error}"
                );
            }
            return;
        }
        let due = self.bad_told.is_none_or(|at| at.elapsed() >= BAD_INTERVAL);
        if self.suspects.is_empty() && !self.is_failing() && due {
            log::error!("ring: block {block} refuses a write: {error}");
        }
        self.suspects.push(block);
    }

    /// Blocks that readers have come across. One that is being written to, or is about to be, is
    /// left until it is full.
    pub(super) fn unreadable(&self) -> Vec<BlockNumber> {
        let state = self.state();
        let space = &state.space;
        let is_idle = |block: &BlockNumber| {
            !space.is_bad(*block)
                && !space.is_reserved(*block)
                && !space.open_blocks().any(|(_, fill)| fill.block == *block)
                && !self.open.values().any(|open| open.block == *block)
                && !self.abandoned.contains_key(block)
        };
        state.unreadable.iter().copied().filter(is_idle).collect()
    }

    /// Says of the suspects that they are bad, for the ledger alone as yet.
    pub(super) fn accuse(&mut self) -> Vec<BlockNumber> {
        let mut suspects = std::mem::take(&mut self.suspects);
        let unreadable = self.unreadable();
        self.state_mut().unreadable.retain(|block| !unreadable.contains(block));
        self.unread_at.retain(|at| at.elapsed() < UNREAD_INTERVAL);
        // The rest is met again, if it is they.
        let some = UNREAD_MAX.saturating_sub(self.unread_at.len());
        for block in unreadable.into_iter().take(some) {
            self.unread_at.push(Instant::now());
            suspects.push(block);
        }
        self.pending.extend(suspects.iter().map(|&block| Fact::Bad { block }));
        suspects
    }

    /// The ledger has taken it: the blocks are not used again.
    pub(super) fn convict(&mut self, suspects: &[BlockNumber]) {
        self.bad_untold.extend(suspects);
        for &block in suspects {
            if let Err(contradiction) = self.state_mut().space.apply(&Fact::Bad { block }) {
                log::error!("ring: {contradiction}");
            }
        }
    }

    /// Tells of bad blocks: at once of the first, then of all that there were in an interval.
    pub(super) fn tell_of_bad_blocks(&mut self) {
        let due = self.bad_told.is_none_or(|at| at.elapsed() >= BAD_INTERVAL);
        if self.bad_untold.is_empty() || !due {
            return;
        }
        self.bad_told = Some(Instant::now());
        let blocks = std::mem::take(&mut self.bad_untold);
        let named = blocks.iter().take(BAD_NAMED).map(|block| format!("block {block}"));
        let named = named.collect::<Vec<String>>().join(", ");
        match blocks.len().saturating_sub(BAD_NAMED) {
            0 => log::error!("ring: bad, and not used any more: {named}"),
            more => log::error!("ring: bad, and not used any more: {named} and {more} others"),
        }
    }

    /// The ledger has not taken it, but where an eviction has flushed before: that they refused
    /// says nothing about these blocks.
    pub(super) fn acquit(&mut self, suspects: Vec<BlockNumber>) {
        let taken = |block: &BlockNumber| self.unannounced.contains(&Fact::Bad { block: *block });
        let (taken, others): (Vec<_>, Vec<_>) = suspects.into_iter().partition(taken);
        self.convict(&taken);
        self.pending.retain(|fact| !matches!(fact, Fact::Bad { block } if others.contains(block)));
    }

    /// The stream leaves its block: what was written there and counts as dropped lies behind what
    /// is durable in it. A crash must not find it again.
    pub(in crate::ring) fn abandon(&mut self, stream: StreamNumber) {
        if let Some(open) = self.open.remove(&stream) {
            self.abandoned.insert(open.block, stream);
        }
    }

    /// Says so, once the facts about what is durable in these blocks have been recorded. A block
    /// that no fact speaks of begins another life, and serves again unless it is bad.
    pub(super) fn leave_abandoned(&mut self) {
        for (block, stream) in std::mem::take(&mut self.abandoned) {
            let grows = |growing: &Growing| growing.current.is_some_and(|at| at.block == block);
            let (open, reserved, bad) = {
                let space = &self.state().space;
                let open = space.open_blocks().any(|(of, at)| of == stream && at.block == block);
                (open, space.is_reserved(block), space.is_bad(block))
            };
            if self.growing.values().any(grows) {
                self.abandoned.insert(block, stream);
            } else if open {
                self.record(Fact::Left { stream });
            } else if reserved {
                let life = self.sequences.next();
                if self.record(Fact::Reserved { block, life }) && !bad {
                    self.reserving.push((block, life));
                }
            }
        }
    }

    pub(super) fn complain(&mut self, error: &io::Error) {
        let failed = {
            let mut state = self.state_mut();
            state.counters.commits_failed += 1;
            state.counters.commits_failed
        };
        let due = self.failure_complaint.is_none_or(|at| at.elapsed() >= COMPLAINT_INTERVAL);
        if failed == 1 || due {
            log::error!("ring: nothing since the last flush is safe: {error}");
            self.failure_complaint = Some(Instant::now());
        } else if failed == FAILURES_MAX {
            log::error!("ring: recording pauses until the device takes a flush");
        }
    }

    pub(super) fn well_again(&mut self) {
        let failed = std::mem::take(&mut self.state_mut().counters.commits_failed);
        if failed > 0 {
            log::warn!("ring: the device is well again after {failed} flushes that failed");
            self.failure_complaint = None;
        }
    }

    /// What waits is bounded, however long the device takes nothing: the facts in force say the
    /// same. Of closed clips only the pending fact knows that they have not been listed yet.
    pub(super) fn keep_for_the_next_flush(&mut self, fact: Fact) {
        if self.pending.len() >= PENDING_FACTS_MAX {
            self.pending.retain(|fact| matches!(fact, Fact::Clip { .. } | Fact::Bad { .. }));
            self.checkpoint_due = true;
        }
        self.pending.push(fact);
    }
}
