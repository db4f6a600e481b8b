//! Chunks into blocks: where each goes, what is written with it, what happens at a block's end.

use std::io;
use std::sync::Arc;

use super::chunk::{self, ChunkKind};
use super::core::Core;
use super::fact::Fact;
use super::geometry::REST_PAGES_MIN;
use super::placement::Part;
use super::types::{Ending, NewChunk};
use crate::units::{ClipId, StreamNumber};

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
        if let Err(error) = self.ensure_features(&chunk) {
            log::error!("superblock: it does not take what footage like this needs: {error}");
            return Err(NotStored::Device);
        }
        let block_pages = self.superblock.geometry.block_pages();
        let fresh = self.ensure_open(chunk.stream)?;
        if self.state().has_ended(chunk.clip) {
            return Err(NotStored::ClipEnded);
        }
        let open = self.placement.block_of(chunk.stream).ok_or(NotStored::Device)?;
        let missing = open.missing_parameters(&chunk.parameters);
        let sets: u32 = missing.iter().map(|set| chunk::page_count(0, 0, set.len())).sum();
        let rest_pages = open.rest_pages(block_pages).saturating_sub(sets);
        let counts = (chunk.parameters.len(), chunk.table.len(), chunk.data.len());
        if chunk::page_count(counts.0, counts.1, counts.2) <= rest_pages {
            self.write_media(&chunk, &missing)?;
            return Ok(None);
        }
        if rest_pages >= REST_PAGES_MIN
            && let Some(data_bytes_max) = chunk::data_room(rest_pages, counts.0, counts.1)
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
                    self.placement.leave_full(whole.stream);
                    return Ok(Some(whole));
                }
            }
        }
        if fresh {
            return Err(NotStored::TooLarge);
        }
        self.placement.leave_full(chunk.stream);
        Ok(Some(chunk))
    }

    /// Sees to it that the stream has a block to go on in; answers whether nothing is in it yet.
    fn ensure_open(&mut self, stream: StreamNumber) -> Result<bool, NotStored> {
        if let Some(open) = self.placement.block_of(stream) {
            return Ok(open.is_fresh());
        }
        for _ in 0..SPACE_ATTEMPTS_MAX {
            if self.placement.open_ready(stream) {
                return Ok(true);
            }
            self.commit().map_err(|_| NotStored::Device)?;
            if !self.placement.has_ready() && self.state().space.oldest_evictable().is_none() {
                self.end_oldest_growing()?;
            }
        }
        Err(NotStored::NoSpace)
    }

    /// Nothing that is closed can go: the oldest growing clip is closed early, to go next.
    fn end_oldest_growing(&mut self) -> Result<(), NotStored> {
        let clip = self.clips.growing().next().ok_or(NotStored::NoSpace)?;
        log::warn!("ring: growing clip {clip} is closed early, the ring is full of growing clips");
        self.end_clip(clip, Ending::Evicted);
        self.state_mut().end(clip);
        self.settle().map_err(|_| NotStored::Device)
    }

    fn write_media(&mut self, chunk: &NewChunk, missing: &[Arc<[u8]>]) -> Result<(), NotStored> {
        let written = self.write_chunk(&Part {
            kind: ChunkKind::Media,
            stream: chunk.stream,
            clip: chunk.clip,
            number_in_clip: self.clips.next_number(chunk.clip),
            parameters: &chunk.parameters,
            missing,
            table: &chunk.table,
            data: &chunk.data,
        });
        let written = written.ok_or(NotStored::Device)?;
        let at = (written.place, written.digest);
        self.clips.grow(chunk, at, |clip_chunks| written.extent(clip_chunks));
        Ok(())
    }

    /// Ends a clip behind the chunks written so far. Nothing happens for one that has none.
    pub fn end_clip(&mut self, clip: ClipId, ending: Ending) {
        self.state_mut().ended.remove(&clip);
        let Some(growing) = self.clips.take(clip) else { return };
        // Evicted: it is about to go, and its table would take the space that is wanted.
        let has_table = !matches!(ending, Ending::DeviceError | Ending::Evicted);
        let table = if has_table { self.write_table(clip, &growing) } else { Vec::new() };
        self.clips.end(clip, &growing, ending, table);
        if has_table {
            self.write_table_copies(growing.stream);
        }
    }

    /// Ends what still grows, and makes the end of the session durable. One that has not begun,
    /// because nothing could be written, leaves the ring as it was.
    ///
    /// # Errors
    /// As [`Core::commit`].
    pub fn close(&mut self) -> io::Result<()> {
        if self.is_waiting() {
            return Ok(());
        }
        let growing: Vec<ClipId> = self.clips.growing().collect();
        for clip in growing {
            self.end_clip(clip, Ending::Closed);
        }
        self.settle()?;
        if !self.clips.are_undurable() {
            self.record(Fact::Clean);
        }
        self.flush_facts()
    }
}
