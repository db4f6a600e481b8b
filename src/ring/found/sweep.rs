//! Looking through blocks for what no fact speaks of any more: after facts were lost for good.

use std::collections::{BTreeMap, BTreeSet};

use super::left::{LeftBehind, LostChunks};
use super::pieces::{self, Pieces};
use super::tail::{self, Tail};
use crate::ring::block::BlockHeader;
use crate::ring::blocks::{BlockReader, ChunkAt};
use crate::ring::chunk::{self, ChunkKind, UNIT_BYTES};
use crate::ring::types::FoundStream;
use crate::ring::walk::{self, Walk};
use crate::units::{
    BlockNumber, ByteCount, ClipId, PAGE_BYTES, SessionNumber, StreamNumber, WallTime,
};

/// Blocks without a header, one behind another, after which the part of a ring that has never been
/// used begins: blocks are taken in their order.
const UNUSED_MAX: u32 = 4096;

/// How much of a ring is looked through.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Clips whose last chunk is of an earlier epoch are not looked for.
    pub since_epoch: u64,
    /// Whether to pass over the part that was never used, from where it begins to the ring's end.
    pub used_part_only: bool,
}

/// What was found.
#[derive(Default)]
pub struct Sweep {
    pub pieces: Pieces,
    pub streams: BTreeMap<StreamNumber, FoundStream>,
    /// Streams of blocks whose header can't be read.
    pub nameless: BTreeSet<StreamNumber>,
    /// The highest of anything that was met.
    pub epoch_max: u64,
    pub session_max: SessionNumber,
    pub blocks_read: u32,
    /// Blocks whose header can't be read.
    pub blocks_unreadable: u32,
    /// What was there once and can't be read.
    pub lost: Vec<LostChunks>,
}

/// Looks through blocks. `progress` hears of each before it is read.
pub fn sweep(
    reader: BlockReader<'_>,
    blocks: impl Iterator<Item = BlockNumber>,
    scope: Scope,
    progress: &mut dyn FnMut(BlockNumber),
) -> Sweep {
    let mut sweep = Sweep::default();
    let mut unused = 0;
    let mut last = BlockNumber(0);
    for block in blocks {
        // The part that was never used ends with the ring: the search goes on at its beginning.
        if block < last {
            unused = 0;
        } else if scope.used_part_only && unused >= UNUSED_MAX {
            continue;
        }
        last = block;
        progress(block);
        sweep.blocks_read += 1;
        let header = walk::whole_block(reader, block).unwrap_or_else(|error| {
            log::error!("recovery: header of block {block}: {error}");
            None
        });
        let (header, walk) = header.unzip();
        let Some(walk) = walk.or_else(|| tail::headless(reader, block, None)) else {
            unused += 1;
            continue;
        };
        unused = 0;
        sweep.blocks_unreadable += u32::from(header.is_none());
        sweep.look_into(reader, walk, header.as_ref());
    }
    sweep
        .pieces
        .retain(|_, pieces| pieces.iter().any(|piece| piece.epoch_max >= scope.since_epoch));
    sweep.cut_torn(reader);
    sweep.name_the_nameless(reader.ring_uuid());
    sweep
}

impl Sweep {
    /// What the last session left behind, as what is to be adopted; what is lost is told in the
    /// log.
    pub fn of((left, epoch_max): (Vec<LeftBehind>, u64)) -> Sweep {
        let mut sweep = Sweep { epoch_max, ..Sweep::default() };
        for LeftBehind { block, life, chunks, lost, .. } in &left {
            pieces::sort(*block, *life, chunks, &mut sweep.pieces);
            for place in lost {
                place.tell(*block);
            }
        }
        sweep.lost = left.iter().flat_map(LeftBehind::lost_chunks).collect();
        sweep
    }

    /// How many chunks are lost.
    pub fn chunks_lost(&self) -> usize {
        self.lost.iter().map(|lost| lost.place.chunks as usize).sum()
    }

    fn look_into(&mut self, reader: BlockReader<'_>, walk: Walk<'_>, header: Option<&BlockHeader>) {
        let mut tail = Tail::read(walk, None, u32::MAX);
        let (block, life) = (tail.block, tail.life);
        let stream = tail.chunks.first().map(|first| first.header.fixed.stream);
        let lost = tail.without_sets(reader, u64::MAX);
        lost.iter().for_each(|place| place.tell(block));
        self.session_max = self.session_max.max(life.session());
        for at in &tail.chunks {
            self.epoch_max = self.epoch_max.max(at.header.fixed.epoch);
            self.session_max = self.session_max.max(at.header.fixed.clip.0.session());
        }
        match (header, tail.chunks.first()) {
            (Some(header), _) => self.note(header),
            (None, Some(first)) => drop(self.nameless.insert(first.header.fixed.stream)),
            (None, None) => {}
        }
        let wiped = wiped_clips(reader, block, &tail.chunks);
        let mut here = Pieces::new();
        pieces::sort(block, life, &tail.chunks, &mut here);
        if let Some(stream) = stream {
            let left = LeftBehind { stream, block, life, chunks: tail.chunks, lost };
            self.lost.extend(left.lost_chunks());
        }
        here.retain(|clip, _| !wiped.contains(clip));
        for (clip, pieces) in here {
            self.pieces.entry(clip).or_default().extend(pieces);
        }
    }

    fn note(&mut self, header: &BlockHeader) {
        let found = self.streams.entry(header.stream).or_insert_with(|| FoundStream {
            uuid: header.stream_uuid,
            name: header.name.clone(),
            since: header.start,
            last: header.start,
        });
        found.since = found.since.min(header.start);
        if header.start > found.last {
            found.last = header.start;
            found.name.clone_from(&header.name);
        }
    }

    /// Streams of which no header is left have lost their names.
    fn name_the_nameless(&mut self, ring_uuid: &[u8; 16]) {
        for stream in std::mem::take(&mut self.nameless) {
            self.streams.entry(stream).or_insert_with(|| {
                let mut uuid = *ring_uuid;
                uuid[12..].iter_mut().zip(stream.0.to_be_bytes()).for_each(|(of, by)| *of ^= by);
                let (name, since) = (format!("stream-{stream}"), WallTime(0));
                FoundStream { uuid, name, since, last: since }
            });
        }
    }

    /// Chunks of the last epoch may have been under way when the power went.
    fn cut_torn(&mut self, reader: BlockReader<'_>) {
        for pieces in self.pieces.values_mut() {
            for piece in pieces.iter_mut().filter(|piece| piece.epoch_max >= self.epoch_max) {
                *piece = pieces::without_torn(reader, piece, self.epoch_max);
            }
            pieces.retain(|piece| piece.extent.chunks > 0);
        }
    }
}

/// Clips of which these chunks are, and whose samples were overwritten with zeros when they were
/// purged: one look at the first unit of each tells.
fn wiped_clips(
    reader: BlockReader<'_>,
    block: BlockNumber,
    chunks: &[ChunkAt],
) -> BTreeSet<ClipId> {
    let (mut seen, mut wiped) = (BTreeSet::new(), BTreeSet::new());
    for at in chunks {
        let fixed = &at.header.fixed;
        if fixed.kind != ChunkKind::Media || !seen.insert(fixed.clip) {
            continue;
        }
        let start = u64::from(fixed.header_length);
        let end = start + u64::from(fixed.data_length.min(UNIT_BYTES));
        let first = start - start % PAGE_BYTES;
        let length = ByteCount(end).rounded_up(PAGE_BYTES).0 - first;
        let page = at.page + (first / PAGE_BYTES) as u32;
        let Ok(bytes) = reader.pages(block, page, length as usize) else { continue };
        let unit = &bytes[(start - first) as usize..(end - first) as usize];
        let sound = chunk::first_damaged(&at.header.unit_checksums, 0, unit).is_none();
        if !sound && unit.iter().all(|byte| *byte == 0) {
            wiped.insert(fixed.clip);
        }
    }
    wiped
}
