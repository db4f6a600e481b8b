//! What a crash left in blocks that no fact speaks of yet: found, tried, sorted to its clips.

use std::collections::BTreeMap;

use super::Opening;
use crate::device::Device;
use crate::ring::chunk::ChunkKind;
use crate::ring::core::Core;
use crate::ring::fact::Fact;
use crate::ring::space::Space;
use crate::ring::superblock::Superblock;
use crate::ring::types::{ClipState, DurableChunk, Ending, Extent, Reason};
use crate::ring::walk::{self, ChunkAt, Walk};
use crate::units::{BlockNumber, ClipId, Sequence, StreamNumber, WallTime};

/// Nobody can vouch for it: whether it was deleted is not known. It can be restored, is not shown
/// as if nothing had happened, and goes first where space is needed.
pub(super) const FOUND: ClipState =
    ClipState::Expiring { until: WallTime(i64::MAX), reason: Reason::Deleted };

/// Chunks of one life of a block that no fact speaks of.
pub(super) struct Found {
    block: BlockNumber,
    life: Sequence,
    chunks: Vec<ChunkAt>,
}

impl Found {
    fn epoch_max(&self) -> u64 {
        self.chunks.iter().map(|at| at.header.fixed.epoch).max().unwrap_or(0)
    }
}

/// Walks the blocks that streams were going on in, and those reserved for a next life. Answers
/// what is there, and the highest epoch that anything durable has.
pub(super) fn find(
    device: &dyn Device,
    superblock: &Superblock,
    space: &Space,
    ledger_epoch: u64,
) -> (Vec<Found>, u64) {
    let mut found = Vec::new();
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
        let header = walk::block_header(device, superblock, block).unwrap_or_else(|error| {
            log::error!("recovery: header of block {block}: {error}");
            None
        });
        let (_, seal) = header.filter(|(header, _)| header.life == life)?;
        let predecessor = Some(seal);
        Some(Walk { device, superblock, block, life, page: 1, number: 0, predecessor })
    });
    for mut walk in open.chain(begun) {
        let (block, life) = (walk.block, walk.life);
        let mut chunks = Vec::new();
        loop {
            match walk.step() {
                // An earlier session's chunks that no fact speaks of were gone before it ended.
                Ok(Some(at)) if at.header.fixed.clip.0.session() == space.session() => {
                    chunks.push(at);
                }
                Ok(_) => break,
                Err(error) => {
                    log::error!("recovery: block {block}: {error}");
                    break;
                }
            }
        }
        if !chunks.is_empty() {
            found.push(Found { block, life, chunks });
        }
    }
    let epoch_max = found.iter().map(Found::epoch_max).max().unwrap_or(0).max(ledger_epoch);
    for found in &mut found {
        cut_torn(device, superblock, found, epoch_max);
    }
    found.sort_by_key(|found| found.life);
    (found, epoch_max)
}

/// Chunks of the last epoch may have been under way when the power went: the first whose samples
/// are not whole ends the block. Those of earlier epochs were covered by a flush.
fn cut_torn(device: &dyn Device, superblock: &Superblock, found: &mut Found, epoch_max: u64) {
    let whole = found.chunks.iter().take_while(|at| {
        at.header.fixed.epoch < epoch_max
            || matches!(walk::data_of(device, superblock, found.block, at), Ok(Some(_)))
    });
    let whole = whole.count();
    found.chunks.truncate(whole);
}

/// What was found of one clip.
#[derive(Default)]
struct Remains {
    stream: StreamNumber,
    /// The number that the next chunk must have: behind a gap nothing is the clip's.
    next_number: u32,
    /// Extents, each with its media chunks.
    extents: Vec<(Extent, Vec<ChunkAt>)>,
}

/// Closes the clips that were growing: what the facts know of them, and what was found behind it.
pub(super) fn adopt(core: &mut Core, found: Vec<Found>, opening: &mut Opening) {
    let mut clips: BTreeMap<ClipId, Remains> = BTreeMap::new();
    for (clip, record) in core.state().space.clips() {
        if record.state.is_none() {
            let next_number = record.extents.last().map_or(0, |extent| extent.clip_chunks);
            let remains = Remains { stream: record.stream, next_number, extents: Vec::new() };
            clips.insert(clip, remains);
        }
    }
    for found in found {
        collect(core, found, &mut clips);
    }
    clips.retain(|clip, remains| {
        !remains.extents.is_empty() || core.state().space.clip(*clip).is_some()
    });
    for (clip, remains) in clips {
        opening.clips_recovered += 1;
        opening.chunks_recovered += remains.extents.iter().map(|(_, c)| c.len()).sum::<usize>();
        if close_remains(core, clip, &remains) {
            opening.clips_found.push(clip);
        }
    }
}

/// Sorts the chunks of a block to their clips. A parameter set stands before the chunk that needs
/// it and belongs to its extent; a table is a cache that is not worth finding.
fn collect(core: &Core, found: Found, clips: &mut BTreeMap<ClipId, Remains>) {
    let (mut page, mut number) = match found.chunks.first() {
        Some(at) => (at.page, at.header.fixed.number_in_block),
        None => return,
    };
    for at in found.chunks {
        let fixed = at.header.fixed.clone();
        let (end_page, end_number) = (at.page + fixed.pages(), fixed.number_in_block + 1);
        let closed = core.state().space.clip(fixed.clip).is_some_and(|r| r.state.is_some());
        if fixed.kind == ChunkKind::Parameters {
            continue;
        }
        let (first_page, first_chunk) = (page, number);
        (page, number) = (end_page, end_number);
        if fixed.kind != ChunkKind::Media || closed {
            continue;
        }
        let remains = clips.entry(fixed.clip).or_default();
        remains.stream = fixed.stream;
        if fixed.number_in_clip != remains.next_number {
            continue;
        }
        remains.next_number += 1;
        let next = Extent {
            block: found.block,
            life: found.life,
            first_page,
            end_page,
            first_chunk,
            chunks: end_number - first_chunk,
            clip_chunks: remains.next_number,
            seal: fixed.checksum,
        };
        match remains.extents.last_mut() {
            Some((extent, chunks))
                if extent.life == next.life && extent.end_page == next.first_page =>
            {
                extent.end_page = next.end_page;
                extent.chunks += next.chunks;
                extent.clip_chunks = next.clip_chunks;
                extent.seal = next.seal;
                chunks.push(at);
            }
            _ => remains.extents.push((next, vec![at])),
        }
    }
}

/// Answers whether nobody can vouch for the clip; [`FOUND`] is its state then, and not told yet.
fn close_remains(core: &mut Core, clip: ClipId, remains: &Remains) -> bool {
    let stream = remains.stream;
    let (known, growth) = {
        let state = core.state();
        let record = state.space.clip(clip);
        let growth = record.map(|record| record.fact.clone()).unwrap_or_default();
        (record.map_or(Vec::new(), |record| record.extents.clone()), growth)
    };
    // A growing clip's extents come with its sums: without them its later facts have rotted.
    let rotten = growth.is_empty() && !known.is_empty();
    if rotten {
        for extent in &known {
            tell_again(core, clip, extent);
        }
    } else if !known.is_empty() {
        core.interpreter.resume(clip, stream, &growth);
    }
    let mut ordinal = known.len() as u32;
    for (extent, chunks) in &remains.extents {
        for at in chunks {
            tell(core, clip, extent.block, at);
        }
        core.record_extent(clip, stream, ordinal, *extent);
        ordinal += 1;
    }
    core.seal(clip, stream, Ending::Recovered, ordinal, Vec::new());
    if rotten {
        log::warn!("recovery: clip {clip}: its facts have rotted; what its blocks say is expiring");
        core.record(Fact::State { clip, state: FOUND });
    }
    rotten
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

/// Tells the chunks of an extent as its blocks have them.
fn tell_again(core: &mut Core, clip: ClipId, extent: &Extent) {
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
    for _ in 0..extent.chunks {
        let Ok(Some(at)) = walk.step() else {
            log::warn!("recovery: clip {clip}: a chunk in block {} is gone", extent.block);
            return;
        };
        if at.header.fixed.kind == ChunkKind::Media {
            tell(core, clip, extent.block, &at);
        }
    }
}
