//! Chunks that no fact speaks of become parts of their clips, and the clips are closed.

use super::Opening;
use super::pieces::{self, Piece, Pieces};
use super::sweep::Sweep;
use crate::device::Device;
use crate::ring::chunk::ChunkKind;
use crate::ring::core::Core;
use crate::ring::fact::Fact;
use crate::ring::space::Space;
use crate::ring::superblock::Superblock;
use crate::ring::types::{ClipState, DurableChunk, Ending, Extent};
use crate::ring::walk::{self, ChunkAt, Walk};
use crate::units::{BlockNumber, ClipId, StreamNumber};

/// What a crash left in blocks that no fact speaks of yet: those that streams were going on in,
/// and those reserved for a next life.
pub(super) fn find(
    device: &dyn Device,
    superblock: &Superblock,
    space: &Space,
    ledger_epoch: u64,
) -> Sweep {
    let open = space.open_blocks().map(|(_, fill)| Walk {
        device,
        superblock,
        block: fill.block,
        life: fill.life,
        page: fill.end_page,
        number: fill.next_chunk,
        predecessor: Some(fill.seal),
    });
    let begun = space.reserved().filter_map(|(block, life)| {
        let found = walk::whole_block(device, superblock, block).unwrap_or_else(|error| {
            log::error!("recovery: header of block {block}: {error}");
            None
        });
        found.filter(|(header, _)| header.life == life).map(|(_, walk)| walk)
    });
    let mut runs: Vec<_> = open
        .chain(begun)
        .map(|walk| {
            let (block, life) = (walk.block, walk.life);
            let mut chunks = pieces::chunks(walk);
            let ours = chunks.iter().take_while(|at| at.may_be_of(space.session())).count();
            chunks.truncate(ours);
            (block, life, chunks)
        })
        .collect();
    let epochs = runs.iter().flat_map(|(_, _, chunks)| chunks).map(|at| at.header.fixed.epoch);
    let epoch_max = epochs.max().unwrap_or(0).max(ledger_epoch);
    let mut pieces = Pieces::new();
    for (block, life, chunks) in &mut runs {
        // A flush says nothing of a write that was refused: any part of it may be there.
        let from_epoch = if space.is_bad(*block) { 0 } else { epoch_max };
        pieces::cut_torn(device, superblock, *block, chunks, from_epoch);
        pieces::sort(*block, *life, chunks, &mut pieces);
    }
    Sweep { pieces, epoch_max, ..Sweep::default() }
}

/// What is to become of a clip that pieces were found of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was growing when the power went.
    Growing,
    /// Nobody can vouch for it, or its last known state is this.
    Found(ClipState),
    /// As found, and the blocks are all that is left: its beginning may be lost.
    Rescued,
    /// It was purged or evicted.
    Gone,
}

/// Closes the clips that were growing: what the facts know of them, and what was found behind it.
/// `standing` judges a clip that the facts do not know as closed.
pub(super) fn adopt(
    core: &mut Core,
    mut found: Pieces,
    standing: &dyn Fn(ClipId) -> Standing,
    opening: &mut Opening,
) {
    let growing = |(clip, record): (ClipId, &crate::ring::space::ClipRecord)| {
        record.state.is_none().then_some(clip)
    };
    let growing: Vec<ClipId> = core.state().space.clips().filter_map(growing).collect();
    for clip in growing {
        found.entry(clip).or_default();
    }
    for (clip, mut pieces) in found {
        let (known, closed) = {
            let state = core.state();
            let record = state.space.clip(clip);
            let closed = record.is_some_and(|record| record.state.is_some());
            (record.map(|record| (record.stream, record.extents.clone())), closed)
        };
        let standing = standing(clip);
        if closed || standing == Standing::Gone {
            continue;
        }
        let next_number = known.iter().filter_map(|(_, extents)| extents.last());
        let next_number = next_number.map(|extent| extent.clip_chunks).next().unwrap_or(0);
        keep_in_order(&mut pieces, next_number, standing);
        let stream = known.as_ref().map(|(stream, _)| *stream);
        let stream = stream.or(pieces.first().map(|piece| piece.stream));
        let Some(stream) = stream else { continue };
        opening.clips_recovered += 1;
        let known = known.map_or(Vec::new(), |(_, extents)| extents);
        if let Some(state) = close(core, (clip, stream), &known, &pieces, standing, opening) {
            opening.clips_found.push((clip, state));
        }
    }
}

/// Of a clip that was growing, nothing is behind a gap: no flush covered it. Of one that nobody can
/// vouch for, what is behind a gap is all that is left; but what has lost its beginning to another
/// life of its block was given up, and is over.
fn keep_in_order(pieces: &mut Vec<Piece>, mut next_number: u32, standing: Standing) {
    pieces.sort_by_key(|piece| (piece.first_number, piece.extent.life));
    let begins = pieces.first().is_some_and(|piece| piece.first_number <= next_number);
    pieces.retain(|piece| {
        let follows = match standing {
            Standing::Growing | Standing::Gone => piece.first_number == next_number,
            Standing::Found(_) => begins && piece.first_number >= next_number,
            Standing::Rescued => piece.first_number >= next_number,
        };
        if follows {
            next_number = piece.extent.clip_chunks;
        }
        follows
    });
}

/// Answers the state of a clip that nobody can vouch for, which is not told yet.
fn close(
    core: &mut Core,
    (clip, stream): (ClipId, StreamNumber),
    known: &[Extent],
    pieces: &[Piece],
    standing: Standing,
    opening: &mut Opening,
) -> Option<ClipState> {
    let growth = core.state().space.clip(clip).map(|record| record.fact.clone());
    let growth = growth.unwrap_or_default();
    // A growing clip's extents come with its sums: without them its later facts have rotted.
    let rotten = growth.is_empty() && !known.is_empty();
    if rotten {
        for extent in known {
            tell_chunks(core, clip, extent);
        }
    } else if !known.is_empty() {
        core.interpreter.resume(clip, stream, &growth);
    }
    let mut ordinal = known.len() as u32;
    for piece in pieces {
        opening.chunks_recovered += tell_chunks(core, clip, &piece.extent);
        core.record_extent(clip, stream, ordinal, piece.extent);
        ordinal += 1;
    }
    core.seal(clip, stream, Ending::Recovered, ordinal, Vec::new());
    let state = match standing {
        Standing::Found(state) => Some(state),
        Standing::Rescued => Some(ClipState::FOUND),
        Standing::Growing | Standing::Gone => rotten.then_some(ClipState::FOUND),
    };
    if rotten {
        log::warn!("recovery: clip {clip}: its facts have rotted; what its blocks say is expiring");
    }
    state.filter(|state| core.record(Fact::State { clip, state: *state }))
}

/// Tells the chunks of an extent as its block has them; answers how many.
fn tell_chunks(core: &mut Core, clip: ClipId, extent: &Extent) -> usize {
    let (device, superblock) = (core.device.clone(), core.superblock.clone());
    let mut walk = Walk {
        device: &*device,
        superblock: &superblock,
        block: extent.block,
        life: extent.life,
        page: extent.first_page,
        number: extent.first_chunk,
        predecessor: None,
    };
    let mut told = 0;
    for _ in 0..extent.chunks {
        let Ok(Some(at)) = walk.step() else {
            log::warn!("recovery: clip {clip}: a chunk in block {} is gone", extent.block);
            break;
        };
        if at.header.fixed.kind == ChunkKind::Media {
            tell(core, clip, extent.block, &at);
            told += 1;
        }
    }
    told
}

fn tell(core: &mut Core, clip: ClipId, block: BlockNumber, at: &ChunkAt) {
    let sets = walk::parameters_of(&*core.device, &core.superblock, block, &at.header);
    let Ok(Some(sets)) = sets else {
        log::warn!("recovery: clip {clip}: parameter sets are unreadable");
        return;
    };
    let chunk = DurableChunk {
        stream: at.header.fixed.stream,
        parameters: &sets,
        table: &at.header.table,
        digest: &at.header.fixed.digest,
    };
    core.interpreter.chunk_durable(clip, &chunk);
}
