//! What the last session left behind the facts when it did not end in order: in the blocks that
//! streams were going on in, and in those that were reserved for a next life.

use std::io;

use super::pieces::{self, Piece, Pieces};
use super::tail::{self, LostPlace, Tail};
use crate::ring::blocks::{BlockReader, ChunkAt};
use crate::ring::chunk::ChunkKind;
use crate::ring::space::Space;
use crate::ring::types::Extent;
use crate::ring::walk::{self, Walk};
use crate::units::{BlockNumber, ClipId, Sequence, StreamNumber};

/// What is in one of the blocks.
#[derive(Clone, Debug)]
pub struct LeftBehind {
    /// Whose it is.
    pub stream: StreamNumber,
    /// Where.
    pub block: BlockNumber,
    /// In which life of it.
    pub life: Sequence,
    /// In their order; tables of clips included.
    pub(super) chunks: Vec<ChunkAt>,
    /// Where chunks were that had been flushed and can't be read any more.
    pub lost: Vec<LostPlace>,
}

/// Looks into all of these blocks; answers, too, the highest epoch of anything that is durable.
///
/// # Errors
/// The device reads nothing at all. What it does not read here and there is lost.
pub fn left_behind(
    reader: BlockReader<'_>,
    space: &Space,
    ledger_epoch: u64,
) -> io::Result<(Vec<LeftBehind>, u64)> {
    let open = space.open_blocks().map(|(_, fill)| Walk {
        reader,
        block: fill.block,
        life: fill.life,
        page: fill.end_page,
        number: fill.next_chunk,
        predecessor: Some(fill.seal),
    });
    let pages_ahead = tail::pages_ahead(space.open_blocks().count() + space.reserved().count());
    let mut failed = false;
    let mut begun = Vec::new();
    for (block, life) in space.reserved() {
        let whole = walk::whole_block(reader, block);
        failed |= whole.is_err();
        begun.extend(match whole {
            Ok(Some((header, walk))) => Some(walk).filter(|_| header.life == life),
            Ok(None) | Err(_) => tail::headless(reader, block, Some((life, pages_ahead))),
        });
    }
    let session = Some(space.session());
    let mut tails: Vec<Tail> =
        open.chain(begun).map(|walk| Tail::read(walk, session, pages_ahead)).collect();
    if failed || tails.iter().any(|tail| tail.failed) {
        tail::reads_anything(reader)?;
    }
    tails.retain(|tail| !tail.chunks.is_empty());
    let epochs = tails.iter().flat_map(|tail| &tail.chunks).map(|at| at.header.fixed.epoch);
    let epoch_max = epochs.max().unwrap_or(0).max(ledger_epoch);
    let left = tails.into_iter().map(|mut tail| {
        let (stream, block, life) = (tail.chunks[0].header.fixed.stream, tail.block, tail.life);
        // A flush says nothing of a write that was refused: any part of it may be there.
        let from_epoch = if space.is_bad(block) { 0 } else { epoch_max };
        tail.end_at_torn(from_epoch);
        let lost = tail.without_sets(reader, from_epoch);
        pieces::cut_torn(reader, block, &mut tail.chunks, from_epoch);
        LeftBehind { stream, block, life, chunks: tail.chunks, lost }
    });
    Ok((left.collect(), epoch_max))
}

/// Chunks that are lost, with what is known of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostChunks {
    /// Whose they were.
    pub stream: StreamNumber,
    /// In which block.
    pub block: BlockNumber,
    /// Where in it, and how many.
    pub place: LostPlace,
    /// The clips of the chunks with samples before and behind, and the sample tables of these.
    pub beside: [Option<(ClipId, Vec<u8>)>; 2],
}

impl LeftBehind {
    /// What is lost here; what costs no chunk is left out.
    pub fn lost_chunks(&self) -> impl Iterator<Item = LostChunks> {
        let lost = self.lost.iter().filter(|place| place.chunks > 0);
        lost.map(|place| LostChunks {
            stream: self.stream,
            block: self.block,
            place: place.clone(),
            beside: self.beside(place),
        })
    }

    /// How many of its chunks hold samples.
    #[must_use]
    pub fn media_chunks(&self) -> usize {
        self.media().count()
    }

    /// What of it belongs to which clip.
    #[must_use]
    pub fn extents(&self) -> Vec<(ClipId, Extent)> {
        let mut pieces = Pieces::new();
        pieces::sort(self.block, self.life, &self.chunks, &mut pieces);
        let of_clip = |(clip, pieces): (ClipId, Vec<Piece>)| {
            pieces.into_iter().map(move |piece| (clip, piece.extent))
        };
        pieces.into_iter().flat_map(of_clip).collect()
    }

    /// The sample tables of the chunks before and behind a place, with the clips that they are of.
    #[must_use]
    pub fn beside(&self, place: &LostPlace) -> [Option<(ClipId, Vec<u8>)>; 2] {
        let before = self.media().take_while(|at| at.page < place.pages.start).last();
        let behind = self.media().find(|at| at.page >= place.pages.end);
        [before, behind].map(|at| at.map(|at| (at.header.fixed.clip, at.header.table.clone())))
    }

    fn media(&self) -> impl Iterator<Item = &ChunkAt> {
        self.chunks.iter().filter(|at| at.header.fixed.kind == ChunkKind::Media)
    }
}
