//! What blocks say of clips, chunk by chunk, where no fact does.

use std::collections::BTreeMap;

use crate::device::{self, Device};
use crate::ring::chunk::{self, ChunkKind};
use crate::ring::superblock::Superblock;
use crate::ring::types::Extent;
use crate::ring::walk::{self, ChunkAt, Walk};
use crate::units::{BlockNumber, ClipId, PAGE_BYTES, Sequence, StreamNumber};

/// Consecutive chunks of one clip in one life of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Whose.
    pub stream: StreamNumber,
    /// Number in the clip of the first media chunk.
    pub first_number: u32,
    /// The highest epoch of a chunk in it.
    pub epoch_max: u64,
    /// Where, as a fact would say it.
    pub extent: Extent,
}

/// The pieces of each clip, in no order.
pub(super) type Pieces = BTreeMap<ClipId, Vec<Piece>>;

/// The chunks that a walk meets, up to where the chain ends or a header can't be read.
pub(super) fn chunks(mut walk: Walk<'_>) -> Vec<ChunkAt> {
    let mut chunks = Vec::new();
    loop {
        match walk.step() {
            Ok(Some(at)) => chunks.push(at),
            Ok(None) => break,
            Err(error) => {
                log::error!("recovery: block {}: {error}", walk.block);
                break;
            }
        }
    }
    chunks
}

/// The chunks of a block, also behind places where no header can be read, and without those whose
/// parameter sets can't be. What lies behind such a place is of the life, or it is not taken.
pub(super) fn chunks_and_on(mut walk: Walk<'_>) -> Vec<ChunkAt> {
    let (device, superblock) = (walk.device, walk.superblock);
    let (block, life) = (walk.block, walk.life);
    let mut found = Vec::new();
    loop {
        let chunks = chunks(Walk { ..walk });
        match chunks.last() {
            Some(last) => {
                walk.page = last.page + last.header.fixed.pages();
                walk.number = last.header.fixed.number_in_block + 1;
            }
            // Looked for there, and gone: the device reads it now and then.
            None if walk.predecessor.is_none() => walk.page += 1,
            None => {}
        }
        found.extend(chunks);
        let Some((page, number)) = next_of_life(&walk) else { break };
        walk = Walk { device, superblock, block, life, page, number, predecessor: None };
    }
    let mut sets = BTreeMap::new();
    found.retain(|at| {
        at.header.parameter_pages.iter().all(|&page| {
            *sets.entry(page).or_insert_with(|| {
                let set = walk::parameter_set(device, superblock, block, life, page);
                matches!(set, Ok(Some(_)))
            })
        })
    });
    found
}

/// Pages that are looked at together, for the next header behind one that can't be read.
const LOOK_PAGES: u32 = 256;

/// Where the next chunk of this life may begin, and its number in the block.
fn next_of_life(walk: &Walk<'_>) -> Option<(u32, u32)> {
    let geometry = &walk.superblock.geometry;
    let mut from = walk.page;
    while from < geometry.block_pages() {
        let pages = LOOK_PAGES.min(geometry.block_pages() - from);
        let length = pages as usize * PAGE_BYTES as usize;
        let read = device::read(walk.device, geometry.page_start(walk.block, from), length).ok();
        for page in from..from + pages {
            let at = (page - from) as usize * PAGE_BYTES as usize;
            if read.as_ref().is_some_and(|bytes| !chunk::may_begin(&bytes[at..])) {
                continue;
            }
            let header = walk::header_at(walk.device, walk.superblock, walk.block, page);
            let Ok(Some(header)) = header else { continue };
            if header.fixed.life == walk.life && header.fixed.number_in_block >= walk.number {
                return Some((page, header.fixed.number_in_block));
            }
        }
        from += pages;
    }
    None
}

/// The piece up to its first chunk of the last epoch whose samples are not whole: that one was
/// under way when the power went.
pub(super) fn without_torn(
    device: &dyn Device,
    superblock: &Superblock,
    piece: &Piece,
    epoch_max: u64,
) -> Piece {
    let Extent { block, life, first_page: page, first_chunk: number, .. } = piece.extent;
    let walk = Walk { device, superblock, block, life, page, number, predecessor: None };
    let mut chunks = chunks(walk);
    chunks.truncate(piece.extent.chunks as usize);
    cut_torn(device, superblock, block, &mut chunks, epoch_max);
    let mut left = Pieces::new();
    sort(block, life, &chunks, &mut left);
    let left = left.into_values().next().and_then(|mut pieces| pieces.pop());
    left.unwrap_or(Piece { extent: Extent { chunks: 0, ..piece.extent }, ..*piece })
}

/// Chunks of the last epoch may have been under way when the power went: the first whose samples
/// are not whole ends the block. Those of earlier epochs were covered by a flush.
pub(super) fn cut_torn(
    device: &dyn Device,
    superblock: &Superblock,
    block: BlockNumber,
    chunks: &mut Vec<ChunkAt>,
    epoch_max: u64,
) {
    let whole = chunks.iter().take_while(|at| {
        at.header.fixed.epoch < epoch_max
            || matches!(walk::data_of(device, superblock, block, at), Ok(Some(_)))
    });
    let whole = whole.count();
    chunks.truncate(whole);
}

/// Sorts consecutive chunks of a block to their clips. A parameter set stands before the chunk
/// that needs it and belongs to its piece; a table is a cache that is not worth finding.
pub(super) fn sort(block: BlockNumber, life: Sequence, chunks: &[ChunkAt], pieces: &mut Pieces) {
    let Some(first) = chunks.first() else { return };
    let (mut page, mut number) = (first.page, first.header.fixed.number_in_block);
    let mut behind = page;
    for at in chunks {
        let fixed = &at.header.fixed;
        if at.page != behind {
            // Something was passed over.
            (page, number) = (at.page, fixed.number_in_block);
        }
        behind = at.page + fixed.pages();
        if fixed.kind == ChunkKind::Parameters {
            continue;
        }
        let (first_page, first_chunk) = (page, number);
        (page, number) = (at.page + fixed.pages(), fixed.number_in_block + 1);
        if fixed.kind != ChunkKind::Media {
            continue;
        }
        let next = Extent {
            block,
            life,
            first_page,
            end_page: page,
            first_chunk,
            chunks: number - first_chunk,
            clip_chunks: fixed.number_in_clip.saturating_add(1),
            seal: fixed.checksum,
        };
        let of_clip = pieces.entry(fixed.clip).or_default();
        match of_clip.last_mut() {
            Some(piece) if continues(&piece.extent, &next, fixed.number_in_clip) => {
                let extent = &mut piece.extent;
                extent.end_page = next.end_page;
                extent.chunks += next.chunks;
                extent.clip_chunks = next.clip_chunks;
                extent.seal = next.seal;
                piece.epoch_max = piece.epoch_max.max(fixed.epoch);
            }
            _ => of_clip.push(Piece {
                stream: fixed.stream,
                first_number: fixed.number_in_clip,
                epoch_max: fixed.epoch,
                extent: next,
            }),
        }
    }
}

fn continues(before: &Extent, next: &Extent, number: u32) -> bool {
    before.life == next.life && before.end_page == next.first_page && before.clip_chunks == number
}
