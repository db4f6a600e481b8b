//! A device that refuses: one place of it, or everything. What that means for blocks and facts;
//! what is known of it is kept in [`Trouble`](crate::ring::trouble::Trouble).

use std::io;

use super::Core;
use crate::ring::fact::Fact;
use crate::units::BlockNumber;

impl Core {
    /// Whether a chunk may be tried at all.
    pub(in crate::ring) fn takes_chunks(&self) -> bool {
        let failed = self.state().counters.commits_failed;
        !self.is_waiting()
            && self.device.is_present()
            && self.trouble.lets_try(failed, self.clock.boot())
    }

    /// The block has refused a write.
    pub(in crate::ring) fn suspect(&mut self, block: BlockNumber, error: &io::Error) {
        if self.device.is_present() {
            let flushes_fail = self.is_failing();
            self.trouble.suspect(block, error, flushes_fail, self.clock.boot());
        }
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
                && !self.placement.is_in_use(*block)
        };
        state.unreadable.iter().copied().filter(is_idle).collect()
    }

    /// Says of the suspects that they are bad, for the ledger alone as yet.
    pub(super) fn propose_bad(&mut self) -> Vec<BlockNumber> {
        let unreadable = self.unreadable();
        self.state_mut().unreadable.retain(|block| !unreadable.contains(block));
        let suspects = self.trouble.take_suspects(unreadable, self.clock.boot());
        self.facts.push_bad(&suspects);
        suspects
    }

    /// The ledger has taken it: the blocks are not used again.
    pub(super) fn mark_bad(&mut self, suspects: &[BlockNumber]) {
        self.trouble.marked_bad(suspects);
        for &block in suspects {
            if let Err(contradiction) = self.state_mut().space.apply(&Fact::Bad { block }) {
                log::error!("ring: {contradiction}");
            }
        }
    }

    /// The ledger has not taken it, but where an eviction has flushed before: that they refused
    /// says nothing about these blocks.
    pub(super) fn clear(&mut self, suspects: Vec<BlockNumber>) {
        let taken = self.facts.retract_bad(suspects);
        self.mark_bad(&taken);
    }

    /// Says of abandoned blocks that they were left, once the facts about what is durable in them
    /// have been recorded. A block that no fact speaks of begins another life, and serves again
    /// unless it is bad.
    pub(super) fn leave_abandoned(&mut self) {
        for (block, stream) in self.placement.take_abandoned() {
            let (open, reserved, bad) = {
                let space = &self.state().space;
                let open = space.open_blocks().any(|(of, at)| of == stream && at.block == block);
                (open, space.is_reserved(block), space.is_bad(block))
            };
            if self.clips.grow_in(block) {
                self.placement.abandon_block(block, stream);
            } else if open {
                self.record(Fact::Left { stream });
            } else if reserved {
                let life = self.sequences.next();
                if self.record(Fact::Reserved { block, life }) && !bad {
                    self.placement.reserve(block, life);
                }
            }
        }
    }

    pub(super) fn commit_failed(&mut self, error: &io::Error) {
        if self.is_waiting() {
            return self.waits_on(error);
        }
        let failed = {
            let mut state = self.state_mut();
            state.counters.commits_failed += 1;
            state.counters.commits_failed
        };
        self.trouble.flush_failed(failed, error, self.clock.boot());
    }

    pub(super) fn commit_succeeded(&mut self) {
        if self.is_waiting() {
            return;
        }
        let failed = std::mem::take(&mut self.state_mut().counters.commits_failed);
        self.trouble.flushed_after(failed);
    }
}
