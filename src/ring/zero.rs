//! Overwriting the samples of a clip with zeros. The headers stay, so that neighbours in shared
//! blocks can still be walked.

use std::io;
use std::ops::Range;
use std::sync::RwLock;

use super::blocks::BlockReader;
use super::chunk::ChunkKind;
use super::state::Shared;
use super::superblock::Superblock;
use super::types::Extent;
use crate::device::{AlignedBuffer, Device};
use crate::units::{BlockNumber, ClipId, PAGE_BYTES};

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
    let reader = BlockReader::new(device, superblock);
    let mut wiped = Wiped::default();
    for extent in record.iter().flat_map(|record| &record.extents) {
        wiped.wipe_extent(device, reader, extent);
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
    fn wipe_extent(&mut self, device: &dyn Device, reader: BlockReader<'_>, extent: &Extent) {
        let header = reader.block_header(extent.block).unwrap_or_default();
        if header.is_some_and(|(header, _)| header.life != extent.life) {
            // Somebody else's, whatever the facts say.
            return;
        }
        let mut page = extent.first_page;
        while page < extent.end_page {
            // A page that can't be read is written without being read.
            let header = reader.header_at(extent.block, page).unwrap_or_default();
            let header = header.filter(|header| header.fixed.life == extent.life);
            let (pages, keep) = header.as_ref().map_or((1, 0), |header| {
                (header.fixed.pages(), header.fixed.header_length as usize)
            });
            let end = page.saturating_add(pages).min(extent.end_page);
            let kept = header.is_some_and(|header| header.fixed.kind != ChunkKind::Media);
            if !kept {
                self.blank(Blank { device, reader, block: extent.block }, page..end, keep);
            }
            page = end;
        }
    }

    /// Zeros pages but for the first `keep` bytes: all at once, or each that takes it.
    fn blank(&mut self, blank: Blank<'_>, pages: Range<u32>, keep: usize) {
        let Err(error) = blank.zero(pages.start, pages.len(), keep) else { return };
        if self.refused_pages >= REFUSED_SINGLY_MAX {
            return self.refuse(blank.block, pages.len() as u64, error);
        }
        let page_bytes = PAGE_BYTES as usize;
        for page in keep / page_bytes..pages.len() {
            let kept = keep.saturating_sub(page * page_bytes);
            if let Err(error) = blank.zero(pages.start + page as u32, 1, kept) {
                self.refuse(blank.block, 1, error);
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

/// A block that is overwritten.
#[derive(Clone, Copy)]
struct Blank<'a> {
    device: &'a dyn Device,
    reader: BlockReader<'a>,
    block: BlockNumber,
}

impl Blank<'_> {
    /// Zeros so many pages from one on, but for the first `keep` bytes.
    fn zero(self, first_page: u32, count: usize, keep: usize) -> io::Result<()> {
        let length = count * PAGE_BYTES as usize;
        let kept = keep.min(length);
        let mut pages = AlignedBuffer::zeroed(length);
        if kept > 0 {
            let head_length = kept.next_multiple_of(PAGE_BYTES as usize);
            let head = self.reader.pages(self.block, first_page, head_length)?;
            pages[..kept].copy_from_slice(&head[..kept]);
        }
        let geometry = self.reader.geometry();
        self.device.write_at(geometry.page_start(self.block, first_page), &pages)
    }
}
