//! Chunks that no fact speaks of become parts of their clips, and the clips are closed.

use super::opening::Opening;
use crate::ring::blocks::{BlockReader, ChunkAt};
use crate::ring::chunk::ChunkKind;
use crate::ring::core::Core;
use crate::ring::fact::Fact;
use crate::ring::found::{Piece, Pieces};
use crate::ring::space::ClipRecord;
use crate::ring::types::{ClipState, DurableChunk, Ending, Extent};
use crate::ring::walk::Walk;
use crate::units::{BlockNumber, ClipId, StreamNumber};

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
/// `standing` judges a clip that the facts do not know as closed; `epoch_max` is the highest epoch
/// of anything that is durable.
pub(super) fn adopt(
    core: &mut Core,
    (mut found, epoch_max): (Pieces, u64),
    standing: &dyn Fn(ClipId) -> Standing,
    opening: &mut Opening,
) {
    let growing = |(clip, record): (ClipId, &ClipRecord)| record.state.is_none().then_some(clip);
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
        keep_in_order(&mut pieces, next_number, standing, epoch_max);
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

/// Of a clip that was growing, what is behind a gap counts where it is of an earlier epoch than the
/// last: what is missing had been flushed, then, and has rotted. Of one that nobody can vouch for,
/// it is all that is left; but what has lost its beginning to another life of its block was given
/// up, and is over.
fn keep_in_order(
    pieces: &mut Vec<Piece>,
    mut next_number: u32,
    standing: Standing,
    epoch_max: u64,
) {
    pieces.sort_by_key(|piece| (piece.first_number, piece.extent.life));
    let begins = pieces.first().is_some_and(|piece| piece.first_number <= next_number);
    pieces.retain(|piece| {
        let follows = match standing {
            Standing::Growing | Standing::Gone => {
                let had_been_flushed = piece.epoch_first < epoch_max;
                piece.first_number == next_number
                    || (piece.first_number > next_number && had_been_flushed)
            }
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
    core.close_clip(clip, stream, Ending::Recovered, ordinal, Vec::new());
    let state = match standing {
        Standing::Found(state) => Some(state),
        Standing::Rescued => Some(ClipState::Found),
        Standing::Growing | Standing::Gone => rotten.then_some(ClipState::Found),
    };
    if rotten {
        log::warn!("recovery: clip {clip}: its facts have rotted; it is found, in .trash");
    }
    state.filter(|state| core.record(Fact::State { clip, state: *state }))
}

/// Tells the chunks of an extent as its block has them; answers how many.
fn tell_chunks(core: &mut Core, clip: ClipId, extent: &Extent) -> usize {
    let (device, superblock) = (core.device.clone(), core.superblock.clone());
    let mut walk = Walk {
        reader: BlockReader::new(&*device, &superblock),
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
    let reader = BlockReader::new(&*core.device, &core.superblock);
    let sets = reader.parameters_of(block, &at.header);
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
