//! Freeing clips, and overwriting their samples with zeros before. The headers stay, so that
//! neighbours in shared blocks can still be walked.

use std::io;
use std::sync::{PoisonError, RwLock};

use super::RingError;
use super::chunk::ChunkKind;
use super::core::Shared;
use super::superblock::Superblock;
use super::types::{ClipState, Extent};
use super::walk;
use super::writer::{Request, Writer};
use crate::device::{self, AlignedBuffer, Device};
use crate::units::{BlockNumber, ByteCount, ClipId, Counted, DeviceOffset, PAGE_BYTES};

/// How often the samples of a clip are zeroed at most, where flushes fail meanwhile.
const WIPES_MAX: usize = 3;
/// Blocks that are called bad with one flush: fewer than make the writer pause.
const BAD_AT_ONCE: usize = 8;

/// Pages that may refuse before those beside one that does are not tried one by one any more: each
/// may take a dying disk seconds.
const REFUSED_SINGLY_MAX: u64 = 256;

/// What overwriting a clip came to.
#[derive(Debug, Default)]
pub(super) struct Wiped {
    /// Blocks with pages that refuse, each once, and what the device said.
    pub refused: Vec<(BlockNumber, io::Error)>,
    /// How many pages refuse.
    refused_pages: u64,
    /// The device went on the way: there may be more to wipe, and nothing is said of any block.
    pub is_away: bool,
}

impl Writer {
    /// Frees a clip that is being purged, or will be once the writer comes to it: overwritten with
    /// zeros if `wipe`, then gone. One that is in another state by then stays. Answers the space
    /// that it took.
    ///
    /// A page that refuses the zeros when this is called again, while the device takes others,
    /// keeps what it held: the log says so, and its block is bad and not used any more.
    ///
    /// # Errors
    /// The device failed, or a page refuses for the first time, or the ring is closed; the clip
    /// stays hidden, and purging goes on when this is called again, also after the next start.
    pub fn free(&self, clip: ClipId, wipe: bool) -> Result<ByteCount, RingError> {
        let used = {
            let shared = self.inner.shared.read().unwrap_or_else(PoisonError::into_inner);
            let record = shared.space.clip(clip).filter(|record| record.state.is_some());
            record.map_or(ByteCount(0), super::ClipRecord::used)
        };
        if wipe {
            self.sync()?;
            if !self.state_of(clip).is_some_and(ClipState::is_purging) {
                return Ok(ByteCount(0));
            }
            self.wipe(clip)?;
        }
        if self.send(Request::Forget { clip }) { Ok(used) } else { Err(RingError::Closed) }
    }

    /// The zeros have to be on the disk before the ledger forgets where they belong: also those
    /// that were written before a flush of somebody else's failed.
    fn wipe(&self, clip: ClipId) -> Result<(), RingError> {
        let inner = &self.inner;
        let flush_errors = || {
            let shared = inner.shared.read().unwrap_or_else(PoisonError::into_inner);
            shared.counters.flush_errors
        };
        for _ in 0..WIPES_MAX {
            let before = flush_errors();
            let wiped = wipe(&*inner.device, &inner.superblock, &inner.shared, clip);
            if wiped.is_away {
                return Err(failed(clip, io::ErrorKind::NotConnected.into()));
            }
            self.sync()?;
            if flush_errors() == before {
                return self.give_up_blocks(clip, wiped);
            }
        }
        Err(failed(clip, io::Error::other("flushes fail meanwhile")))
    }

    /// What refuses zeros twice takes none later either. Only where the device takes it that the
    /// blocks are bad is it they that fail, and not all of it.
    fn give_up_blocks(&self, clip: ClipId, wiped: Wiped) -> Result<(), RingError> {
        let (pages, blocks) = (wiped.refused_pages, wiped.refused.len() as u64);
        let known = || self.inner.wipes_refused.lock().unwrap_or_else(PoisonError::into_inner);
        if pages == 0 {
            known().remove(&clip);
            return Ok(());
        }
        let is_first = known().insert(clip);
        let all_bad = self.accuse(wiped.refused)?;
        let pages = Counted(pages, "page");
        if is_first || !all_bad {
            return Err(failed(clip, io::Error::other(format!("{pages} refused the zeros"))));
        }
        known().remove(&clip);
        log::error!(
            "ring: {pages} of clip {clip} refuse to be overwritten, and may still be read from the \
             device: {} not used any more",
            Counted(blocks, "block"),
        );
        Ok(())
    }

    /// Has the ledger say that these blocks are bad; false where it does not take that.
    fn accuse(&self, mut refused: Vec<(BlockNumber, io::Error)>) -> Result<bool, RingError> {
        let is_bad = |block: BlockNumber| {
            let shared = self.inner.shared.read().unwrap_or_else(PoisonError::into_inner);
            shared.space.is_bad(block)
        };
        refused.retain(|(block, _)| !is_bad(*block));
        let blocks: Vec<BlockNumber> = refused.iter().map(|(block, _)| *block).collect();
        let mut refused = refused.into_iter().peekable();
        while refused.peek().is_some() {
            for (block, error) in refused.by_ref().take(BAD_AT_ONCE) {
                self.send(Request::Suspect { block, error });
            }
            self.sync()?;
        }
        Ok(blocks.into_iter().all(is_bad))
    }
}

fn failed(clip: ClipId, source: io::Error) -> RingError {
    RingError::Device { what: format!("wiping clip {clip}"), source }
}

/// Overwrites the samples of a closed clip, all that the device takes. Without a flush.
pub(super) fn wipe(
    device: &dyn Device,
    superblock: &Superblock,
    shared: &RwLock<Shared>,
    clip: ClipId,
) -> Wiped {
    let record = {
        let state = shared.read().unwrap_or_else(PoisonError::into_inner);
        state.space.clip(clip).cloned()
    };
    let mut wiped = Wiped::default();
    for extent in record.iter().flat_map(|record| &record.extents) {
        wiped.wipe_extent(device, superblock, extent);
        if !device.is_present() {
            wiped.is_away = true;
            break;
        }
    }
    if wiped.refused_pages > 0 {
        let mut state = shared.write().unwrap_or_else(PoisonError::into_inner);
        state.counters.write_errors += wiped.refused_pages;
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
