//! What blocks say of clips, chunk by chunk, where no fact does.

use std::collections::BTreeMap;

use crate::ring::blocks::{BlockReader, ChunkAt};
use crate::ring::chunk::ChunkKind;
use crate::ring::types::Extent;
use crate::ring::walk::Walk;
use crate::units::{BlockNumber, ClipId, Sequence, StreamNumber};

/// Consecutive chunks of one clip in one life of a block.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Whose.
    pub stream: StreamNumber,
    /// Number in the clip of the first media chunk.
    pub first_number: u32,
    /// The epoch of its first media chunk.
    pub epoch_first: u64,
    /// The highest epoch of a chunk in it.
    pub epoch_max: u64,
    /// Where, as a fact would say it.
    pub extent: Extent,
}

/// The pieces of each clip, in no order.
pub type Pieces = BTreeMap<ClipId, Vec<Piece>>;

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

/// The piece up to its first chunk of the last epoch whose samples are not whole: that one was
/// under way when the power went.
pub(super) fn without_torn(reader: BlockReader<'_>, piece: &Piece, epoch_max: u64) -> Piece {
    let Extent { block, life, first_page: page, first_chunk: number, .. } = piece.extent;
    let walk = Walk { reader, block, life, page, number, predecessor: None };
    let mut chunks = chunks(walk);
    chunks.truncate(piece.extent.chunks as usize);
    cut_torn(reader, block, &mut chunks, epoch_max);
    let mut left = Pieces::new();
    sort(block, life, &chunks, &mut left);
    let left = left.into_values().next().and_then(|mut pieces| pieces.pop());
    left.unwrap_or(Piece { extent: Extent { chunks: 0, ..piece.extent }, ..*piece })
}

/// Chunks of the last epoch may have been under way when the power went: the first whose samples
/// are not whole ends the block. Those of earlier epochs were covered by a flush.
pub(super) fn cut_torn(
    reader: BlockReader<'_>,
    block: BlockNumber,
    chunks: &mut Vec<ChunkAt>,
    epoch_max: u64,
) {
    let whole = chunks.iter().take_while(|at| {
        at.header.fixed.epoch < epoch_max || matches!(reader.data_of(block, at), Ok(Some(_)))
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
                epoch_first: fixed.epoch,
                epoch_max: fixed.epoch,
                extent: next,
            }),
        }
    }
}

fn continues(before: &Extent, next: &Extent, number: u32) -> bool {
    before.life == next.life && before.end_page == next.first_page && before.clip_chunks == number
}
