//! Facts on their way into the ledger, and from there to whoever waits for them to be durable.

use std::io;
use std::sync::RwLock;

use crate::device::Device;
use crate::ring::fact::Fact;
use crate::ring::ledger::Ledger;
use crate::ring::space::Space;
use crate::ring::state::Shared;
use crate::units::BlockNumber;

/// Facts that wait for a flush at most. Beyond it a checkpoint takes their place.
const PENDING_FACTS_MAX: usize = 16 << 10;
/// Pages of a checkpoint that ride along with one flush: 4 MiB.
const CHECKPOINT_PAGES: usize = 1024;

/// The ledger, and the facts that it does not have yet, or has since the last announcement.
pub struct FactQueue {
    ledger: Ledger,
    /// Counts flushes that succeeded.
    epoch: u64,
    /// Facts for the next flush.
    pending: Vec<Fact>,
    /// Facts that are durable and not announced yet.
    unannounced: Vec<Fact>,
    /// The facts in force hold more than is pending: only a checkpoint says it all.
    checkpoint_due: bool,
}

impl FactQueue {
    /// Nothing waits; the next flush is of this epoch.
    pub fn new(ledger: Ledger, epoch: u64) -> FactQueue {
        let (pending, unannounced) = (Vec::new(), Vec::new());
        FactQueue { ledger, epoch, pending, unannounced, checkpoint_due: false }
    }

    /// The epoch of what is written now.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The device has been flushed.
    pub fn begin_epoch(&mut self) {
        self.epoch += 1;
    }

    /// Whether no fact waits for a flush.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether a flush would bring the ledger forward.
    pub fn wants_flush(&self) -> bool {
        !self.pending.is_empty() || self.ledger.is_checkpointing() || self.ledger.wants_checkpoint()
    }

    /// Facts that wait for a flush.
    pub fn pending(&self) -> &[Fact] {
        &self.pending
    }

    /// What the facts of a checkpoint may take, in bytes.
    pub fn facts_bytes_max(&self) -> u64 {
        self.ledger.facts_bytes_max()
    }

    /// Takes a fact for the next flush. What waits is bounded, however long the device takes
    /// nothing: the facts in force say the same. Of clips that are closed or redated only the
    /// pending fact knows that they have not been listed so yet.
    pub fn push(&mut self, fact: Fact) {
        if self.pending.len() >= PENDING_FACTS_MAX {
            let told = |fact: &Fact| {
                matches!(fact, Fact::Clip { .. } | Fact::Redated { .. } | Fact::Bad { .. })
            };
            self.pending.retain(told);
            self.checkpoint_due = true;
        }
        self.pending.push(fact);
    }

    /// Says of blocks that they are bad, for the ledger alone as yet.
    pub fn push_bad(&mut self, blocks: &[BlockNumber]) {
        self.pending.extend(blocks.iter().map(|&block| Fact::Bad { block }));
    }

    /// Takes back that these blocks are bad, where the ledger has not taken it; answers those of
    /// which it has.
    pub fn retract_bad(&mut self, blocks: Vec<BlockNumber>) -> Vec<BlockNumber> {
        let taken = |block: &BlockNumber| self.unannounced.contains(&Fact::Bad { block: *block });
        let (taken, others): (Vec<_>, Vec<_>) = blocks.into_iter().partition(taken);
        self.pending.retain(|fact| !matches!(fact, Fact::Bad { block } if others.contains(block)));
        taken
    }

    /// Begins a checkpoint now, where none is under way.
    pub fn begin_checkpoint(&mut self, shared: &RwLock<Shared>) {
        if !self.ledger.is_checkpointing() {
            let facts = self.in_force(&Shared::read(shared).space);
            self.ledger.begin_checkpoint(&facts);
        }
    }

    /// With what is said of bad blocks, which holds only once the ledger has taken it.
    fn in_force(&self, space: &Space) -> Vec<Fact> {
        let mut facts = space.facts();
        let said = self.unannounced.iter().chain(&self.pending);
        facts.extend(said.filter(|fact| matches!(fact, Fact::Bad { .. })).cloned());
        facts
    }

    /// Writes the pending facts, and a part of the checkpoint that is under way.
    ///
    /// # Errors
    /// What the device says of the facts. Where it does not take the checkpoint, that is counted
    /// and tried again.
    pub fn write(&mut self, device: &dyn Device, shared: &RwLock<Shared>) -> io::Result<()> {
        if self.checkpoint_due || !self.ledger.has_room_for(&self.pending) {
            // The facts in force hold the pending ones, too.
            let facts = self.in_force(&Shared::read(shared).space);
            return self.ledger.stand_in(device, self.epoch, &facts);
        }
        self.ledger.append(device, self.epoch, &self.pending)?;
        if self.ledger.wants_checkpoint() {
            self.begin_checkpoint(shared);
        }
        let advanced = self.ledger.advance_checkpoint(device, self.epoch, CHECKPOINT_PAGES);
        if let Err(error) = advanced {
            // The log has taken the facts, and there is room in it for a while.
            Shared::write(shared).counters.write_errors += 1;
            log::error!("ledger: the other area takes no checkpoint, tried again later: {error}");
        }
        Ok(())
    }

    /// A flush covers what was [written](FactQueue::write); answers whether that was any fact.
    pub fn are_durable(&mut self) -> bool {
        self.ledger.flushed();
        self.checkpoint_due = false;
        let any = !self.pending.is_empty();
        self.unannounced.append(&mut self.pending);
        any
    }

    /// Nothing is known of what was written since the last flush.
    pub fn flush_failed(&mut self) {
        self.ledger.flush_failed();
    }

    /// Takes the facts that have become durable.
    pub fn take_durable(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.unannounced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::superblock::Superblock;
    use crate::units::{ClipId, Sequence, StreamNumber};

    const BAD: Fact = Fact::Bad { block: BlockNumber(3) };

    fn queue() -> FactQueue {
        FactQueue::new(Ledger::blank(&Superblock::of_a_small_ring()), 7)
    }

    fn left(stream: u32) -> Fact {
        Fact::Left { stream: StreamNumber(stream) }
    }

    #[test]
    fn facts_are_announced_once_and_in_their_order() {
        let mut facts = queue();
        assert!(facts.is_empty() && !facts.are_durable());
        facts.push(left(1));
        facts.push(left(2));
        assert!(facts.wants_flush() && facts.take_durable().is_empty());
        assert!(facts.are_durable() && facts.is_empty());
        assert_eq!(facts.take_durable(), [left(1), left(2)]);
        assert!(facts.take_durable().is_empty());
    }

    #[test]
    fn a_block_is_called_bad_by_what_the_ledger_has_taken_alone() {
        let mut facts = queue();
        facts.push_bad(&[BlockNumber(3)]);
        assert!(facts.are_durable());
        facts.push_bad(&[BlockNumber(4)]);
        facts.push(left(1));
        let taken = facts.retract_bad(vec![BlockNumber(3), BlockNumber(4)]);
        assert_eq!(taken, [BlockNumber(3)]);
        assert_eq!(facts.pending, [left(1)]);
        assert_eq!(facts.take_durable(), [BAD]);
    }

    #[test]
    fn a_checkpoint_says_of_bad_blocks_what_does_not_hold_yet() {
        let mut facts = queue();
        let space = Space::new(&Superblock::of_a_small_ring().geometry);
        facts.push_bad(&[BlockNumber(3)]);
        assert!(!space.facts().contains(&BAD) && facts.in_force(&space).contains(&BAD));
    }

    #[test]
    fn what_waits_is_bounded_and_keeps_what_only_it_knows() {
        let mut facts = queue();
        let closed = Fact::Clip {
            clip: ClipId(Sequence(9)),
            stream: StreamNumber(1),
            extents: 0,
            table: Vec::new(),
            fact: [].into(),
        };
        facts.push(closed.clone());
        facts.push_bad(&[BlockNumber(3)]);
        for _ in 2..PENDING_FACTS_MAX {
            facts.push(left(1));
        }
        assert!(!facts.checkpoint_due);
        facts.push(left(2));
        assert!(facts.checkpoint_due);
        assert_eq!(facts.pending, [closed, BAD, left(2)]);
        assert!(facts.are_durable() && !facts.checkpoint_due);
    }
}
