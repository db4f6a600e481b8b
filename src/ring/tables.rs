//! Clip tables: what it takes to open a clip, written behind it, and once more elsewhere.
//!
//! A block that is lost shall cost its own samples and nothing else. A table that lies in the
//! block of its clip's last samples would be lost with them, and with both the rest of the clip:
//! no file can be laid out without the sizes of all samples. So it is written a second time, into
//! the block that the stream goes on in.

use super::chunk::{self, ChunkKind};
use super::core::Core;
use super::geometry::REST_PAGES_MIN;
use super::placement::{OpenBlock, Part};
use super::types::Extent;
use super::under_way::{Growing, OwedCopy, TABLE_CHUNKS_MIN};
use crate::units::{ClipId, StreamNumber};

/// A table in more pieces than this is not written: it is a cache, and the clip is very long.
const TABLE_PIECES_MAX: usize = 4;
impl Core {
    /// Writes the clip's table behind it. It is a cache: where it can't be written, there is none.
    pub(super) fn write_table(&mut self, clip: ClipId, growing: &Growing) -> Vec<Extent> {
        let chunks = growing.contents.chunks.len();
        let complete = chunks == growing.next_number as usize;
        if !complete || chunks < TABLE_CHUNKS_MIN {
            return Vec::new();
        }
        let table = growing.contents.encode();
        let extents = self.write_table_pieces(clip, growing.stream, &table);
        let last = growing.current.map(|extent| extent.block);
        let is_with_the_last = extents.iter().any(|extent| Some(extent.block) == last);
        let in_several_blocks = growing.extents > 0;
        if extents.is_empty() || (is_with_the_last && in_several_blocks) {
            let avoid = last.filter(|_| in_several_blocks);
            self.tables.owe(growing.stream, OwedCopy { clip, table, avoid });
        }
        extents
    }

    /// Takes the table of a closed clip that has none.
    pub(in crate::ring) fn add_table(&mut self, clip: ClipId, table: Vec<u8>) {
        let (stream, avoid) = {
            let state = self.state();
            let record = state.space.clip(clip).filter(|record| record.lacks_table());
            let Some(record) = record else { return };
            let last = record.extents.last().map(|extent| extent.block);
            let elsewhere = record.extents.iter().any(|extent| Some(extent.block) != last);
            (record.stream, last.filter(|_| elsewhere))
        };
        self.tables.owe(stream, OwedCopy { clip, table, avoid });
    }

    /// Writes the tables that wait for the stream to go on in another block. Only behind the end
    /// of a clip: the fact about a copy says that the stream goes on behind it, and a crash would
    /// lose the chunks before it of a clip that grows, which no fact speaks of yet.
    pub(super) fn write_table_copies(&mut self, stream: StreamNumber) {
        let Some(block) = self.placement.block_of(stream).map(OpenBlock::block) else { return };
        let due = self.tables.take_due(stream, block);
        for OwedCopy { clip, table, .. } in due {
            let extents = self.write_table_pieces(clip, stream, &table);
            if !extents.is_empty() {
                self.clips.table_copied(clip, stream, extents);
            }
        }
    }

    fn write_table_pieces(
        &mut self,
        clip: ClipId,
        stream: StreamNumber,
        table: &[u8],
    ) -> Vec<Extent> {
        let mut extents: Vec<Extent> = Vec::new();
        let mut rest = table;
        while !rest.is_empty() {
            // A block that is ready, or none: no flush may come between a clip's growing and end.
            let has_block = self.placement.has_or_opens(stream);
            if extents.len() == TABLE_PIECES_MAX || !has_block {
                return Vec::new();
            }
            let Some(open) = self.placement.block_of(stream) else { return Vec::new() };
            let rest_pages = open.rest_pages(self.superblock.geometry.block_pages());
            let whole = chunk::page_count(0, 0, rest.len()) <= rest_pages;
            let room = chunk::data_room(rest_pages, 0, 0).filter(|_| rest_pages >= REST_PAGES_MIN);
            let Some(room) = room.or(whole.then_some(rest.len())) else {
                self.placement.leave_full(stream);
                continue;
            };
            let (piece, behind) = rest.split_at(if whole { rest.len() } else { room });
            let part = Part {
                kind: ChunkKind::Table,
                stream,
                clip,
                number_in_clip: extents.len() as u32,
                parameters: &[],
                missing: &[],
                table: &[],
                data: piece,
            };
            let Some(written) = self.write_chunk(&part) else { return Vec::new() };
            extents.push(written.extent(0));
            rest = behind;
        }
        extents
    }
}
