//! Facts from a device may be forged: their numbers are held to what can be before they are used.

use std::ops::Range;

use super::{Contradiction, Fill, Space};
use crate::ring::types::Extent;
use crate::units::{BlockNumber, StreamNumber};

/// More chunks than a clip can have.
const CLIP_CHUNKS_MAX: u32 = u32::MAX >> 1;

impl Space {
    pub(super) fn check_place(
        &self,
        block: BlockNumber,
        pages: Range<u32>,
    ) -> Result<(), Contradiction> {
        let known = (block.0 as usize) < self.blocks.len();
        if !known || pages.start == 0 || pages.end < pages.start || pages.end > self.pages_per_block
        {
            return Err(Contradiction(format!(
                "pages {pages:?} of block {block}: the ring has {} blocks of {} pages",
                self.blocks.len(),
                self.pages_per_block
            )));
        }
        Ok(())
    }

    /// The next chunk is numbered on from there: each one before it takes a page at least, behind
    /// that of the block's header.
    pub(super) fn check_fill(&self, fill: &Fill) -> Result<(), Contradiction> {
        self.check_place(fill.block, 1..fill.end_page)?;
        if fill.next_chunk >= fill.end_page {
            return Err(Contradiction(format!("impossible chunk numbers: {fill:?}")));
        }
        Ok(())
    }

    /// Numbers in an extent are added to and counted on: forged ones must not overflow.
    pub(super) fn check_extent(&self, extent: &Extent) -> Result<(), Contradiction> {
        self.check_place(extent.block, extent.first_page..extent.end_page)?;
        let chunks_end = extent.first_chunk.checked_add(extent.chunks);
        if chunks_end.is_none_or(|end| end > self.pages_per_block)
            || extent.clip_chunks > CLIP_CHUNKS_MAX
        {
            return Err(Contradiction(format!("impossible chunk numbers: {extent:?}")));
        }
        Ok(())
    }

    /// The last number is never given out: the next one could not be.
    pub(super) fn check_stream(&self, stream: StreamNumber) -> Result<(), Contradiction> {
        let possible = stream.0 < u32::MAX;
        possible.then_some(()).ok_or_else(|| Contradiction(format!("stream number {stream}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::fact::Fact;
    use crate::ring::geometry::Geometry;
    use crate::units::{ByteCount, Sequence};

    #[test]
    fn a_fill_with_more_chunks_than_pages_is_refused() {
        let geometry = Geometry::plan(ByteCount(14 << 20), Some(1 << 20)).expect("a ring");
        let mut space = Space::new(&geometry);
        let mut applied = |next_chunk: u32| {
            let (stream, block) = (StreamNumber(1), BlockNumber(2));
            let (life, end_page, seal) = (Sequence(3), 5, 6);
            let fill = Fact::Fill { stream, block, life, end_page, next_chunk, seal };
            space.apply(&fill).is_ok()
        };
        assert!(applied(0) && applied(4));
        assert!(!applied(5) && !applied(u32::MAX), "its successor could not be counted");
    }
}
