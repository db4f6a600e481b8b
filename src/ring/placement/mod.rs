//! Where things are put: the blocks that streams go on in, those that are ready for them, those
//! whose next life the coming flush makes durable, and those that streams have left.

mod open;

use std::collections::{BTreeMap, VecDeque};

pub use open::{OpenBlock, Part, Written};

use super::space::Fill;
use crate::units::{BlockNumber, Sequence, StreamNumber};

/// Blocks reserved ahead at least.
const RESERVED_MIN: usize = 2;

/// The blocks that are being written to, or are about to be.
#[derive(Default)]
pub struct Placement {
    open: BTreeMap<StreamNumber, OpenBlock>,
    ready: VecDeque<(BlockNumber, Sequence)>,
    /// Reserved by facts that the coming flush makes durable.
    reserving: Vec<(BlockNumber, Sequence)>,
    /// Since the last flush.
    blocks_taken: usize,
    /// Blocks that streams have left because of a failure, until the facts say so.
    abandoned: BTreeMap<BlockNumber, StreamNumber>,
}

impl Placement {
    /// The block that the stream goes on in.
    pub fn block_of(&self, stream: StreamNumber) -> Option<&OpenBlock> {
        self.open.get(&stream)
    }

    /// The same, to be written to.
    pub fn block_of_mut(&mut self, stream: StreamNumber) -> Option<&mut OpenBlock> {
        self.open.get_mut(&stream)
    }

    /// The stream goes on in the block that the facts in force call open.
    pub fn resume(&mut self, stream: StreamNumber, fill: &Fill) {
        self.open.insert(stream, OpenBlock::resumed(fill));
    }

    /// Gives the stream a block that is ready; answers whether there was one.
    pub fn open_ready(&mut self, stream: StreamNumber) -> bool {
        let Some((block, life)) = self.ready.pop_front() else { return false };
        self.blocks_taken += 1;
        self.open.insert(stream, OpenBlock::fresh(block, life));
        true
    }

    /// Whether the stream has a block to go on in; it gets one that is ready where it has none.
    pub fn has_or_opens(&mut self, stream: StreamNumber) -> bool {
        self.open.contains_key(&stream) || self.open_ready(stream)
    }

    /// The stream's block is full: it goes on in another.
    pub fn leave_full(&mut self, stream: StreamNumber) {
        self.open.remove(&stream);
    }

    /// Whether a block can be opened before the next flush.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How many blocks to reserve for what two more flush intervals like the last one will take,
    /// of so many in all. Called once in each interval.
    pub fn wanted_ahead(&mut self, block_count: usize) -> usize {
        let taken = std::mem::take(&mut self.blocks_taken);
        (2 * taken + 1).clamp(RESERVED_MIN, (block_count / 4).max(1))
    }

    /// Blocks that are reserved, durably or with the coming flush, and not taken.
    pub fn reserved_count(&self) -> usize {
        self.ready.len() + self.reserving.len()
    }

    /// A fact reserves the block for this life: it is ready once that is durable.
    pub fn reserve(&mut self, block: BlockNumber, life: Sequence) {
        self.reserving.push((block, life));
    }

    /// A flush covers the facts that reserve blocks.
    pub fn reservations_are_durable(&mut self) {
        self.ready.extend(self.reserving.drain(..));
    }

    /// Whether a stream goes on in the block, or has left it and no fact says so yet.
    pub fn is_in_use(&self, block: BlockNumber) -> bool {
        self.open.values().any(|open| open.block() == block) || self.abandoned.contains_key(&block)
    }

    /// The stream leaves its block: what was written there and counts as dropped lies behind what
    /// is durable in it. A crash must not find it again.
    pub fn abandon(&mut self, stream: StreamNumber) {
        if let Some(open) = self.open.remove(&stream) {
            self.abandoned.insert(open.block(), stream);
        }
    }

    /// The same for a block that holds something of the stream that counts as dropped.
    pub fn abandon_block(&mut self, block: BlockNumber, stream: StreamNumber) {
        self.abandoned.insert(block, stream);
    }

    /// Takes the blocks of which the facts have to say that they were left.
    pub fn take_abandoned(&mut self) -> BTreeMap<BlockNumber, StreamNumber> {
        std::mem::take(&mut self.abandoned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamNumber = StreamNumber(1);

    fn ready(blocks: std::ops::Range<u32>) -> Placement {
        let mut placement = Placement::default();
        for block in blocks {
            placement.reserve(BlockNumber(block), Sequence(u64::from(block) + 100));
        }
        placement.reservations_are_durable();
        placement
    }

    #[test]
    fn a_block_is_opened_only_once_its_reservation_is_durable() {
        let mut placement = Placement::default();
        placement.reserve(BlockNumber(3), Sequence(7));
        assert_eq!(placement.reserved_count(), 1);
        assert!(!placement.has_ready() && !placement.has_or_opens(STREAM));
        placement.reservations_are_durable();
        assert!(placement.has_or_opens(STREAM));
        let open = placement.block_of(STREAM).expect("it was opened");
        assert_eq!((open.block(), open.life()), (BlockNumber(3), Sequence(7)));
        assert!(placement.is_in_use(BlockNumber(3)) && !placement.has_ready());
    }

    #[test]
    fn blocks_are_opened_in_the_order_of_their_reservation() {
        let mut placement = ready(4..6);
        assert!(placement.open_ready(STREAM) && placement.open_ready(StreamNumber(2)));
        let block = |stream| placement.block_of(stream).map(OpenBlock::block);
        assert_eq!(block(STREAM), Some(BlockNumber(4)));
        assert_eq!(block(StreamNumber(2)), Some(BlockNumber(5)));
    }

    #[test]
    fn twice_what_an_interval_took_is_wanted_and_at_most_a_quarter_of_the_ring() {
        let mut placement = ready(0..4);
        assert_eq!(placement.wanted_ahead(1000), RESERVED_MIN);
        for stream in 0..4 {
            assert!(placement.open_ready(StreamNumber(stream)));
        }
        assert_eq!(placement.wanted_ahead(1000), 9);
        // What an interval took counts once.
        assert_eq!(placement.wanted_ahead(1000), RESERVED_MIN);
        let mut placement = ready(0..4);
        for stream in 0..4 {
            assert!(placement.open_ready(StreamNumber(stream)));
        }
        assert_eq!(placement.wanted_ahead(12), 3);
    }

    #[test]
    fn an_abandoned_block_is_in_use_until_the_facts_have_been_told() {
        let mut placement = ready(4..5);
        assert!(placement.open_ready(STREAM));
        placement.abandon(STREAM);
        assert!(placement.block_of(STREAM).is_none() && placement.is_in_use(BlockNumber(4)));
        assert_eq!(placement.take_abandoned(), BTreeMap::from([(BlockNumber(4), STREAM)]));
        assert!(!placement.is_in_use(BlockNumber(4)));
        // One that is full is left without a word.
        let mut placement = ready(4..5);
        assert!(placement.open_ready(STREAM));
        placement.leave_full(STREAM);
        assert!(placement.take_abandoned().is_empty());
    }
}
