//! A clip, as the facts have it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ring::types::{ClipState, Extent, Used};
use crate::units::{BlockNumber, ByteCount, PAGE_BYTES, StreamNumber};

/// What the ring knows of a clip.
#[derive(Clone, Debug, Default)]
pub struct ClipRecord {
    /// Whose.
    pub stream: StreamNumber,
    /// Where its chunks are, in order.
    pub extents: Vec<Extent>,
    /// Where its table is.
    pub table: Vec<Extent>,
    /// Where its table is once more.
    pub table_copy: Vec<Extent>,
    /// Opaque: sums while it grows, the clip's fact once it is closed.
    pub fact: Arc<[u8]>,
    /// Opaque: where it was recorded on a wrong clock, by how much its times are others.
    pub redating: Option<Arc<[u8]>>,
    /// `None` while it grows.
    pub state: Option<ClipState>,
}

impl ClipRecord {
    /// Everything that it refers to.
    pub fn all_extents(&self) -> impl Iterator<Item = &Extent> + Clone {
        self.extents.iter().chain(&self.table).chain(&self.table_copy)
    }

    /// Whether it is closed and nothing of its footage is on this ring.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.state.is_some() && self.extents.is_empty()
    }

    /// Whether it is being freed.
    #[must_use]
    pub fn is_purging(&self) -> bool {
        self.state.is_some_and(ClipState::is_purging)
    }

    /// Whether it is closed, can be read, and opens by its chunks' headers alone.
    #[must_use]
    pub fn lacks_table(&self) -> bool {
        let readable = self.state.is_some() && !self.is_purging();
        let has_none = self.table.is_empty() && self.table_copy.is_empty();
        readable && has_none && !self.is_elsewhere()
    }

    /// What it takes on the device.
    #[must_use]
    pub fn used(&self) -> Used {
        let pages: u64 =
            self.all_extents().map(|e| u64::from(e.end_page.saturating_sub(e.first_page))).sum();
        let blocks: BTreeSet<BlockNumber> = self.all_extents().map(|extent| extent.block).collect();
        Used { bytes: ByteCount(pages * PAGE_BYTES), blocks: blocks.len() as u32 }
    }
}
