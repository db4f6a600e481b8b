//! Overwriting the samples of a clip with zeros. The headers stay, so that neighbours in shared
//! blocks can still be walked.

use std::io;
use std::sync::RwLock;

use super::chunk::ChunkKind;
use super::state::Shared;
use super::superblock::Superblock;
use super::types::Extent;
use super::walk;
use crate::device::{self, AlignedBuffer, Device};
use crate::units::{BlockNumber, ByteCount, ClipId, DeviceOffset, PAGE_BYTES};

/// Pages that may refuse before those beside one that does are not tried one by one any more: each
/// may take a dying disk seconds.
const REFUSED_SINGLY_MAX: u64 = 256;

/// What overwriting a clip came to.
#[derive(Debug, Default)]
pub(super) struct Wiped {
    /// Blocks with pages that refuse, each once, and what the device said.
    pub refused: Vec<(BlockNumber, io::Error)>,
    /// How many pages refuse.
    pub refused_pages: u64,
    /// The device went on the way: there may be more to wipe, and nothing is said of any block.
    pub is_away: bool,
}

/// Overwrites the samples of a closed clip, all that the device takes. Without a flush.
pub(super) fn wipe(
    device: &dyn Device,
    superblock: &Superblock,
    shared: &RwLock<Shared>,
    clip: ClipId,
) -> Wiped {
    let record = { Shared::read(shared).space.clip(clip).cloned() };
    let mut wiped = Wiped::default();
    for extent in record.iter().flat_map(|record| &record.extents) {
        wiped.wipe_extent(device, superblock, extent);
        if !device.is_present() {
            wiped.is_away = true;
            break;
        }
    }
    if wiped.refused_pages > 0 {
        Shared::write(shared).counters.write_errors += wiped.refused_pages;
    }
    wiped
}

impl Wiped {
    /// Zeros the samples in the extent. Where no header can be read any more, samples of this clip
    /// may lie: such pages are zeroed whole. Parameter sets stay, other clips may use them.
    fn wipe_extent(&mut self, device: &dyn Device, superblock: &Superblock, extent: &Extent) {
        let header = walk::block_header(device, superblock, extent.block).unwrap_or_default();
        if header.is_some_and(|(header, _)| header.life != extent.life) {
            // Somebody else's, whatever the facts say.
            return;
        }
        let mut page = extent.first_page;
        while page < extent.end_page {
            // A page that can't be read is written without being read.
            let header = walk::header_at(device, superblock, extent.block, page);
            let header = header.unwrap_or_default();
            let header = header.filter(|header| header.fixed.life == extent.life);
            let (pages, keep) = header.as_ref().map_or((1, 0), |header| {
                (header.fixed.pages(), header.fixed.header_length as usize)
            });
            let end = page.saturating_add(pages).min(extent.end_page);
            let kept = header.is_some_and(|header| header.fixed.kind != ChunkKind::Media);
            if !kept {
                let start = superblock.geometry.page_start(extent.block, page);
                self.blank(device, extent.block, start, end - page, keep);
            }
            page = end;
        }
    }

    /// Zeros pages but for the first `keep` bytes: all at once, or each that takes it.
    fn blank(
        &mut self,
        device: &dyn Device,
        block: BlockNumber,
        start: DeviceOffset,
        pages: u32,
        keep: usize,
    ) {
        let page_bytes = PAGE_BYTES as usize;
        let together = blank(device, start, pages as usize * page_bytes, keep);
        let Err(error) = together else { return };
        if self.refused_pages >= REFUSED_SINGLY_MAX {
            return self.refuse(block, u64::from(pages), error);
        }
        for page in keep / page_bytes..pages as usize {
            let at = start + ByteCount((page * page_bytes) as u64);
            let kept = keep.saturating_sub(page * page_bytes);
            if let Err(error) = blank(device, at, page_bytes, kept) {
                self.refuse(block, 1, error);
            }
        }
    }

    fn refuse(&mut self, block: BlockNumber, pages: u64, error: io::Error) {
        self.refused_pages += pages;
        if self.refused.last().is_none_or(|(last, _)| *last != block) {
            self.refused.push((block, error));
        }
    }
}

/// Zeros `length` bytes at `offset`, but for the first `keep`.
fn blank(device: &dyn Device, offset: DeviceOffset, length: usize, keep: usize) -> io::Result<()> {
    let kept = keep.min(length);
    let mut pages = AlignedBuffer::zeroed(length);
    if kept > 0 {
        let head = device::read(device, offset, kept.next_multiple_of(PAGE_BYTES as usize))?;
        pages[..kept].copy_from_slice(&head[..kept]);
    }
    device.write_at(offset, &pages)
}
