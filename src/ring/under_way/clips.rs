//! Clips that grow, and what the next flush will cover of them, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ring::types::{ChunkPlace, ClipContents, Ending, Extent, NewChunk};
use crate::units::{BlockNumber, ClipId, StreamNumber};

/// A clip that is being written.
pub struct Growing {
    pub stream: StreamNumber,
    /// Extents that are behind it.
    pub extents: u32,
    pub current: Option<Extent>,
    /// What the last flush covered of it: ordinal and extent.
    durable: Option<(u32, Extent)>,
    pub next_number: u32,
    pub contents: ClipContents,
}

/// What the next flush will cover.
pub enum Undurable {
    Chunk {
        clip: ClipId,
        stream: StreamNumber,
        place: ChunkPlace,
        parameters: Vec<Arc<[u8]>>,
        table: Arc<[u8]>,
        digest: [u8; 32],
    },
    Extent {
        clip: ClipId,
        stream: StreamNumber,
        ordinal: u32,
        extent: Extent,
    },
    TableCopy {
        clip: ClipId,
        stream: StreamNumber,
        extents: Vec<Extent>,
    },
    End {
        clip: ClipId,
        stream: StreamNumber,
        ending: Ending,
        extents: u32,
        table: Vec<Extent>,
        /// As in [`Growing`].
        durable: Option<(u32, Extent)>,
    },
}

/// The clips that grow, and what was written since the last flush.
#[derive(Default)]
pub struct Clips {
    growing: BTreeMap<ClipId, Growing>,
    undurable: Vec<Undurable>,
}

/// What a flush that failed did not cover.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    pub chunks: u64,
    /// Blocks that hold some of it, with their streams.
    pub blocks: Vec<(BlockNumber, StreamNumber)>,
    /// Streams of tables that were written once more. A table is a cache, and its clip is durable
    /// without it; what would follow it in its block is not.
    pub streams: Vec<StreamNumber>,
    /// The clips that it belonged to, and where the last good flush left each.
    pub clips: Vec<DroppedClip>,
}

/// A clip that ends where the last good flush left it.
#[derive(Debug, PartialEq, Eq)]
pub struct DroppedClip {
    pub clip: ClipId,
    pub stream: StreamNumber,
    /// Ordinal and extent; `None` where no flush covered any of it.
    pub durable: Option<(u32, Extent)>,
}

impl Clips {
    /// Whether a flush would cover something.
    pub fn are_undurable(&self) -> bool {
        !self.undurable.is_empty()
    }

    /// The clips that grow, oldest first.
    pub fn growing(&self) -> impl Iterator<Item = ClipId> {
        self.growing.keys().copied()
    }

    /// The number in its clip that the next chunk has.
    pub fn next_number(&self, clip: ClipId) -> u32 {
        self.growing.get(&clip).map_or(0, |growing| growing.next_number)
    }

    /// Whether a clip goes on in the block.
    pub fn grow_in(&self, block: BlockNumber) -> bool {
        let is_there = |growing: &Growing| growing.current.is_some_and(|at| at.block == block);
        self.growing.values().any(is_there)
    }

    /// A chunk of a clip was written at a place; `extent_of` says, for the number of chunks that
    /// the clip has with it, which pages it took.
    pub fn grow(
        &mut self,
        chunk: &NewChunk,
        (place, digest): (ChunkPlace, [u8; 32]),
        extent_of: impl FnOnce(u32) -> Extent,
    ) {
        let (clip, stream) = (chunk.clip, chunk.stream);
        let growing = self.growing.entry(clip).or_insert_with(|| Growing {
            stream,
            extents: 0,
            current: None,
            durable: None,
            next_number: 0,
            contents: ClipContents::default(),
        });
        growing.next_number += 1;
        growing.contents.push(place, &chunk.parameters, chunk.table.clone());
        let left = growing.extend(&extent_of(growing.next_number));
        if let Some((ordinal, extent)) = left {
            self.undurable.push(Undurable::Extent { clip, stream, ordinal, extent });
        }
        self.undurable.push(Undurable::Chunk {
            clip,
            stream,
            place,
            parameters: chunk.parameters.clone(),
            table: chunk.table.clone(),
            digest,
        });
    }

    /// The clip grows no more; it is for the caller to say how it [ended](Clips::end).
    pub fn take(&mut self, clip: ClipId) -> Option<Growing> {
        self.growing.remove(&clip)
    }

    /// A clip that was taken out has ended, with its table in these extents.
    pub fn end(&mut self, clip: ClipId, growing: &Growing, ending: Ending, table: Vec<Extent>) {
        let Growing { stream, durable, mut extents, .. } = *growing;
        if let Some(extent) = growing.current {
            self.undurable.push(Undurable::Extent { clip, stream, ordinal: extents, extent });
            extents += 1;
        }
        self.undurable.push(Undurable::End { clip, stream, ending, extents, table, durable });
    }

    /// A clip's table was written once more.
    pub fn table_copied(&mut self, clip: ClipId, stream: StreamNumber, extents: Vec<Extent>) {
        self.undurable.push(Undurable::TableCopy { clip, stream, extents });
    }

    /// Takes what a flush has covered.
    pub fn take_covered(&mut self) -> Vec<Undurable> {
        std::mem::take(&mut self.undurable)
    }

    /// A flush covers all of what grows.
    pub fn are_durable(&mut self) {
        for growing in self.growing.values_mut() {
            growing.durable = growing.current.map(|extent| (growing.extents, extent));
        }
    }

    /// Takes what a flush that failed should have covered: it counts as not written, and the clips
    /// that it belonged to grow no more.
    pub fn drop_undurable(&mut self) -> Dropped {
        let mut dropped = Dropped::default();
        let mut hit: BTreeMap<ClipId, (StreamNumber, Option<(u32, Extent)>)> = BTreeMap::new();
        for item in std::mem::take(&mut self.undurable) {
            let (clip, stream, durable) = match item {
                Undurable::Chunk { clip, stream, place, .. } => {
                    dropped.chunks += 1;
                    dropped.blocks.push((place.block, stream));
                    (clip, stream, None)
                }
                Undurable::TableCopy { stream, .. } => {
                    dropped.streams.push(stream);
                    continue;
                }
                Undurable::Extent { clip, stream, .. } => (clip, stream, None),
                Undurable::End { clip, stream, durable, table, .. } => {
                    dropped.blocks.extend(table.iter().map(|extent| (extent.block, stream)));
                    (clip, stream, durable)
                }
            };
            let entry = hit.entry(clip).or_insert((stream, None));
            entry.1 = entry.1.or(durable);
        }
        for (clip, (stream, ended_at)) in hit {
            let growing = self.growing.remove(&clip);
            let durable = growing.and_then(|growing| growing.durable).or(ended_at);
            dropped.clips.push(DroppedClip { clip, stream, durable });
        }
        dropped
    }
}

impl Growing {
    /// Adds a chunk to the current extent, or begins another; answers the one that it left.
    fn extend(&mut self, next: &Extent) -> Option<(u32, Extent)> {
        match &mut self.current {
            Some(current)
                if current.life == next.life
                    && current.first_chunk + current.chunks == next.first_chunk =>
            {
                current.end_page = next.end_page;
                current.chunks += next.chunks;
                current.seal = next.seal;
                current.clip_chunks = next.clip_chunks;
                None
            }
            current => {
                let left = current.replace(*next)?;
                self.extents += 1;
                Some((self.extents - 1, left))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Sequence;

    const STREAM: StreamNumber = StreamNumber(1);
    const CLIP: ClipId = ClipId(Sequence(9));

    fn extent(block: u32, chunk: u32, clip_chunks: u32) -> Extent {
        Extent {
            block: BlockNumber(block),
            life: Sequence(u64::from(block) + 100),
            first_page: chunk + 1,
            end_page: chunk + 2,
            first_chunk: chunk,
            chunks: 1,
            clip_chunks,
            seal: 1000 * block + chunk,
        }
    }

    fn grow(clips: &mut Clips, block: u32, chunk: u32) {
        let (parameters, table, data) = (Vec::new(), Arc::from(&b"t"[..]), vec![1]);
        let new = NewChunk { clip: CLIP, stream: STREAM, parameters, table, data };
        let place = ChunkPlace {
            block: BlockNumber(block),
            life: Sequence(u64::from(block) + 100),
            first_page: chunk + 1,
            header_length: 100,
            data_length: 1,
        };
        clips.grow(&new, (place, [0; 32]), |clip_chunks| extent(block, chunk, clip_chunks));
    }

    #[test]
    fn chunks_behind_one_another_are_one_extent() {
        let mut clips = Clips::default();
        grow(&mut clips, 4, 0);
        grow(&mut clips, 4, 1);
        assert_eq!(clips.next_number(CLIP), 2);
        let growing = clips.take(CLIP).expect("it grows");
        let whole = Extent { end_page: 3, chunks: 2, seal: 4001, ..extent(4, 0, 2) };
        assert_eq!((growing.extents, growing.current), (0, Some(whole)));
        let covered = clips.take_covered();
        assert!(covered.iter().all(|item| matches!(item, Undurable::Chunk { .. })));
        assert_eq!(covered.len(), 2);
    }

    #[test]
    fn another_block_ends_the_extent_before_the_chunk_in_it() {
        let mut clips = Clips::default();
        grow(&mut clips, 4, 0);
        grow(&mut clips, 5, 0);
        assert!(clips.grow_in(BlockNumber(5)) && !clips.grow_in(BlockNumber(4)));
        let covered = clips.take_covered();
        assert!(matches!(
            covered[..],
            [
                Undurable::Chunk { .. },
                Undurable::Extent { ordinal: 0, .. },
                Undurable::Chunk { .. }
            ]
        ));
    }

    #[test]
    fn a_flush_that_failed_takes_a_clip_back_to_the_last_good_one() {
        let mut clips = Clips::default();
        grow(&mut clips, 4, 0);
        drop(clips.take_covered());
        clips.are_durable();
        grow(&mut clips, 4, 1);
        grow(&mut clips, 5, 0);
        let dropped = clips.drop_undurable();
        let durable = Some((0, extent(4, 0, 1)));
        assert_eq!(dropped.clips, [DroppedClip { clip: CLIP, stream: STREAM, durable }]);
        assert_eq!(dropped.chunks, 2);
        assert_eq!(dropped.blocks, [(BlockNumber(4), STREAM), (BlockNumber(5), STREAM)]);
        assert_eq!(clips.growing().count(), 0);
        assert_eq!(clips.drop_undurable(), Dropped::default());
    }

    #[test]
    fn a_clip_that_ended_before_the_flush_failed_is_known_by_its_end() {
        let mut clips = Clips::default();
        grow(&mut clips, 4, 0);
        drop(clips.take_covered());
        clips.are_durable();
        let growing = clips.take(CLIP).expect("it grows");
        clips.end(CLIP, &growing, Ending::Closed, vec![extent(6, 0, 0)]);
        clips.table_copied(ClipId(Sequence(3)), StreamNumber(2), vec![extent(7, 0, 0)]);
        let dropped = clips.drop_undurable();
        let durable = Some((0, extent(4, 0, 1)));
        assert_eq!(dropped.clips, [DroppedClip { clip: CLIP, stream: STREAM, durable }]);
        assert_eq!(dropped.blocks, [(BlockNumber(6), STREAM)]);
        assert_eq!((dropped.chunks, &dropped.streams[..]), (0, &[StreamNumber(2)][..]));
    }
}
