//! Chunks into blocks: where each goes, what is written with it, what happens at a block's end.

use std::collections::HashMap;
use std::sync::Arc;

use super::block::BlockHeader;
use super::chunk::{self, ChunkKind, FIXED_BYTES, UNIT_BYTES};
use super::compose::{Part, Written, compose};
use super::core::{Core, Growing, OpenBlock, Undurable};
use super::superblock::REST_PAGES_MIN;
use super::types::{ClipContents, Ending, Extent, NewChunk};
use crate::units::{ClipId, PAGE_BYTES, StreamNumber};

/// Attempts at finding space before a chunk is given up: each closes or evicts a clip.
const SPACE_ATTEMPTS_MAX: usize = 64;

/// Parameter sets that one chunk may use: their count is a byte.
const PARAMETERS_MAX: usize = u8::MAX as usize;

/// Why a chunk is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotStored {
    #[error("its clip has ended")]
    ClipEnded,
    #[error("everything on the ring is kept or growing")]
    NoSpace,
    #[error("a sample is larger than a block")]
    TooLarge,
    #[error("the device refuses it")]
    Device,
}

impl Core {
    /// Writes a chunk behind the others of its clip; in parts where a block ends.
    ///
    /// # Errors
    /// See [`NotStored`]; the clip has ended then, at the latest before this chunk.
    pub fn append(&mut self, chunk: NewChunk) -> Result<(), NotStored> {
        let clip = chunk.clip;
        let mut rest = Some(chunk);
        while let Some(chunk) = rest.take() {
            match self.append_part(chunk) {
                Ok(remaining) => rest = remaining,
                Err(reason) => {
                    if reason != NotStored::ClipEnded {
                        self.end_clip(clip, Ending::DeviceError);
                        self.state_mut().end(clip);
                    }
                    self.state_mut().counters.chunks_dropped += 1;
                    return Err(reason);
                }
            }
        }
        Ok(())
    }

    /// Writes as much of a chunk as the block takes; answers the rest.
    fn append_part(&mut self, chunk: NewChunk) -> Result<Option<NewChunk>, NotStored> {
        if chunk.parameters.len() > PARAMETERS_MAX {
            return Err(NotStored::TooLarge);
        }
        if !self.takes_chunks() {
            return Err(NotStored::Device);
        }
        let block_pages = self.superblock.geometry.block_pages();
        let fresh = self.ensure_open(chunk.stream)?;
        if self.state().has_ended(chunk.clip) {
            return Err(NotStored::ClipEnded);
        }
        let Some(open) = self.open.get(&chunk.stream) else { return Err(NotStored::Device) };
        let missing = missing_parameters(open, &chunk.parameters);
        let sets: u32 = missing.iter().map(|set| chunk::page_count(0, 0, set.len())).sum();
        let rest_pages = (block_pages - open.next_page).saturating_sub(sets);
        let counts = (chunk.parameters.len(), chunk.table.len(), chunk.data.len());
        if chunk::page_count(counts.0, counts.1, counts.2) <= rest_pages {
            self.write_media(&chunk, &missing)?;
            return Ok(None);
        }
        if rest_pages >= REST_PAGES_MIN
            && let Some(data_bytes_max) = data_room(rest_pages, counts.0, counts.1)
        {
            match self.interpreter.split(chunk, data_bytes_max) {
                Ok((first, second)) => {
                    let counts = (first.parameters.len(), first.table.len(), first.data.len());
                    if chunk::page_count(counts.0, counts.1, counts.2) > rest_pages {
                        return Err(NotStored::TooLarge);
                    }
                    self.write_media(&first, &missing)?;
                    return Ok(Some(second));
                }
                Err(whole) if fresh => {
                    log::warn!("ring: {} bytes of one sample do not fit a block", whole.data.len());
                    return Err(NotStored::TooLarge);
                }
                Err(whole) => {
                    self.open.remove(&whole.stream);
                    return Ok(Some(whole));
                }
            }
        }
        if fresh {
            return Err(NotStored::TooLarge);
        }
        self.open.remove(&chunk.stream);
        Ok(Some(chunk))
    }

    /// Sees to it that the stream has a block to go on in; answers whether nothing is in it yet.
    pub(super) fn ensure_open(&mut self, stream: StreamNumber) -> Result<bool, NotStored> {
        if let Some(open) = self.open.get(&stream) {
            return Ok(!open.begun);
        }
        for _ in 0..SPACE_ATTEMPTS_MAX {
            if self.open_ready(stream) {
                return Ok(true);
            }
            self.commit().map_err(|_| NotStored::Device)?;
            if self.ready.is_empty() && self.state().space.oldest_evictable().is_none() {
                self.end_oldest_growing()?;
            }
        }
        Err(NotStored::NoSpace)
    }

    /// Gives the stream a block that is ready; answers whether there was one.
    pub(super) fn open_ready(&mut self, stream: StreamNumber) -> bool {
        let Some((block, life)) = self.ready.pop_front() else { return false };
        self.blocks_taken += 1;
        let open = OpenBlock {
            block,
            life,
            next_page: 1,
            next_chunk: 0,
            seal: 0,
            parameters: HashMap::new(),
            begun: false,
        };
        self.open.insert(stream, open);
        true
    }

    /// Nothing that is closed can go: the oldest growing clip is closed early, to go next.
    fn end_oldest_growing(&mut self) -> Result<(), NotStored> {
        let Some(&clip) = self.growing.keys().next() else { return Err(NotStored::NoSpace) };
        log::warn!("ring: growing clip {clip} is closed early, the ring is full of growing clips");
        self.end_clip(clip, Ending::Evicted);
        self.state_mut().end(clip);
        self.settle().map_err(|_| NotStored::Device)
    }

    fn write_media(&mut self, chunk: &NewChunk, missing: &[Arc<[u8]>]) -> Result<(), NotStored> {
        let number = self.growing.get(&chunk.clip).map_or(0, |growing| growing.next_number);
        let written = self.write_chunk(&Part {
            kind: ChunkKind::Media,
            stream: chunk.stream,
            clip: chunk.clip,
            number_in_clip: number,
            parameters: &chunk.parameters,
            missing,
            table: &chunk.table,
            data: &chunk.data,
        })?;
        let growing = self.growing.entry(chunk.clip).or_insert_with(|| Growing {
            stream: chunk.stream,
            extents: 0,
            current: None,
            durable: None,
            next_number: 0,
            contents: ClipContents::default(),
        });
        growing.next_number += 1;
        let clip_chunks = growing.next_number;
        growing.contents.push(written.place, &chunk.parameters, chunk.table.clone());
        let left = extend(growing, &extent_of(&written, clip_chunks));
        if let Some((ordinal, extent)) = left {
            let (clip, stream) = (chunk.clip, chunk.stream);
            self.undurable.push(Undurable::Extent { clip, stream, ordinal, extent });
        }
        self.undurable.push(Undurable::Chunk {
            clip: chunk.clip,
            stream: chunk.stream,
            place: written.place,
            parameters: chunk.parameters.clone(),
            table: chunk.table.clone(),
            digest: written.digest,
        });
        Ok(())
    }

    /// One write: the block's header if it is new, parameter sets that the block lacks, the chunk.
    /// The block must have room for all of it.
    pub(super) fn write_chunk(&mut self, new: &Part<'_>) -> Result<Written, NotStored> {
        let stream = new.stream;
        let begin = self.open.get(&stream).is_some_and(|open| !open.begun);
        let header = begin.then(|| self.block_header(stream)).flatten();
        let Some(open) = self.open.get_mut(&stream) else { return Err(NotStored::Device) };
        if let Some(header) = &header {
            open.seal = BlockHeader::seal(header);
        }
        let (uuid, epoch) = (self.superblock.ring_uuid, self.epoch);
        let composed = compose(open, new, header.as_deref(), uuid, epoch);
        let block = open.block;
        let offset = self.superblock.geometry.page_start(block, composed.base_page);
        if let Err(error) = self.write(offset, &composed.pages) {
            self.abandon(stream);
            self.suspect(block, &error);
            return Err(NotStored::Device);
        }
        self.room_again();
        let Some(open) = self.open.get_mut(&stream) else { return Err(NotStored::Device) };
        open.begun = true;
        open.next_page = composed.written.end_page;
        open.next_chunk = composed.written.first_chunk + composed.written.chunks;
        open.seal = composed.written.seal;
        open.parameters.extend(composed.new_sets);
        Ok(composed.written)
    }

    fn block_header(&self, stream: StreamNumber) -> Option<Vec<u8>> {
        let open = self.open.get(&stream)?;
        let (stream_uuid, name) = self.interpreter.describe(stream);
        let header = BlockHeader {
            ring_uuid: self.superblock.ring_uuid,
            block: open.block,
            origin_uuid: self.superblock.ring_uuid,
            life: open.life,
            stream,
            stream_uuid,
            name,
            start: self.clock.read().wall,
            chain: 0,
        };
        Some(header.encode())
    }

    /// Ends a clip behind the chunks written so far. Nothing happens for one that has none.
    pub fn end_clip(&mut self, clip: ClipId, ending: Ending) {
        self.state_mut().ended.remove(&clip);
        let Some(mut growing) = self.growing.remove(&clip) else { return };
        let stream = growing.stream;
        let table = match ending {
            // Evicted: it is about to go, and its table would take the space that is wanted.
            Ending::DeviceError | Ending::Evicted => Vec::new(),
            _ => self.write_table(clip, &growing),
        };
        let mut extents = growing.extents;
        if let Some(extent) = growing.current.take() {
            self.undurable.push(Undurable::Extent { clip, stream, ordinal: extents, extent });
            extents += 1;
        }
        let durable = growing.durable;
        self.undurable.push(Undurable::End { clip, stream, ending, extents, table, durable });
        if !matches!(ending, Ending::DeviceError | Ending::Evicted) {
            self.write_table_copies(stream);
        }
    }
}

fn missing_parameters(open: &OpenBlock, wanted: &[Arc<[u8]>]) -> Vec<Arc<[u8]>> {
    let mut missing: Vec<Arc<[u8]>> = Vec::new();
    for set in wanted {
        if !open.parameters.contains_key(set) && !missing.contains(set) {
            missing.push(set.clone());
        }
    }
    missing
}

/// Bytes of samples that fit `pages` pages beside a header of at most this size.
pub(super) fn data_room(pages: u32, parameters: usize, table_length: usize) -> Option<usize> {
    let bytes = pages as usize * PAGE_BYTES as usize;
    let units = bytes.div_ceil(UNIT_BYTES as usize);
    let header = FIXED_BYTES + 4 * parameters + table_length + 4 * units;
    bytes.checked_sub(header).filter(|room| *room > 0)
}

pub(super) fn extent_of(written: &Written, clip_chunks: u32) -> Extent {
    Extent {
        block: written.place.block,
        life: written.place.life,
        first_page: written.first_page,
        end_page: written.end_page,
        first_chunk: written.first_chunk,
        chunks: written.chunks,
        clip_chunks,
        seal: written.seal,
    }
}

/// Adds a chunk to the clip's current extent, or begins another; answers the one that it left.
fn extend(growing: &mut Growing, next: &Extent) -> Option<(u32, Extent)> {
    match &mut growing.current {
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
            growing.extents += 1;
            Some((growing.extents - 1, left))
        }
    }
}
