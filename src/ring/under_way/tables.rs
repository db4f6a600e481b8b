//! Clip tables that wait for their streams to go on in another block.

use std::collections::BTreeMap;

use crate::units::{BlockNumber, ClipId, StreamNumber};

/// Clips of fewer chunks get no table: losing the header of their only chunk costs all of them.
pub const TABLE_CHUNKS_MIN: usize = 2;
/// Tables of a stream that wait to be written, at most.
pub const COPIES_OWED_MAX: usize = 4;

/// A table that is to be written behind the next end of a clip: once more, or for the first time.
pub struct OwedCopy {
    pub clip: ClipId,
    pub table: Vec<u8>,
    /// Where it is of no use.
    pub avoid: Option<BlockNumber>,
}

/// The tables that wait, of each stream the newest.
#[derive(Default)]
pub struct OwedTables {
    of_streams: BTreeMap<StreamNumber, Vec<OwedCopy>>,
}

impl OwedTables {
    /// Takes a table; of a stream's the oldest goes where they are too many.
    pub fn owe(&mut self, stream: StreamNumber, copy: OwedCopy) {
        let owed = self.of_streams.entry(stream).or_default();
        owed.push(copy);
        if owed.len() > COPIES_OWED_MAX {
            owed.remove(0);
        }
    }

    /// Takes those out that are of use in the block that the stream goes on in.
    pub fn take_due(&mut self, stream: StreamNumber, block: BlockNumber) -> Vec<OwedCopy> {
        let Some(owed) = self.of_streams.get_mut(&stream) else { return Vec::new() };
        owed.extract_if(.., |copy| copy.avoid != Some(block)).collect()
    }

    /// The clip is gone, or did not end as its table says.
    pub fn forget(&mut self, clip: ClipId) {
        self.of_streams.values_mut().for_each(|owed| owed.retain(|copy| copy.clip != clip));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Sequence;

    const STREAM: StreamNumber = StreamNumber(1);

    fn owe(owed: &mut OwedTables, clip: u64, avoid: Option<u32>) {
        let avoid = avoid.map(BlockNumber);
        owed.owe(STREAM, OwedCopy { clip: ClipId(Sequence(clip)), table: Vec::new(), avoid });
    }

    fn due(owed: &mut OwedTables, block: u32) -> Vec<u64> {
        let due = owed.take_due(STREAM, BlockNumber(block));
        due.into_iter().map(|copy| copy.clip.0.0).collect()
    }

    #[test]
    fn a_copy_waits_for_another_block_than_its_clips() {
        let mut owed = OwedTables::default();
        owe(&mut owed, 1, Some(4));
        owe(&mut owed, 2, None);
        assert_eq!(due(&mut owed, 4), [2]);
        assert!(due(&mut owed, 4).is_empty());
        assert_eq!(due(&mut owed, 5), [1]);
        assert!(due(&mut owed, 5).is_empty());
    }

    #[test]
    fn the_newest_are_kept_and_those_of_a_clip_that_is_gone_are_not() {
        let mut owed = OwedTables::default();
        for clip in 1..=COPIES_OWED_MAX as u64 + 2 {
            owe(&mut owed, clip, None);
        }
        owed.forget(ClipId(Sequence(4)));
        assert_eq!(due(&mut owed, 9), [3, 5, 6]);
    }
}
