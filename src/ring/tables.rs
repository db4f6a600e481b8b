//! Clip tables: what it takes to open a clip, written behind it, and once more elsewhere.
//!
//! A block that is lost shall cost its own samples and nothing else. A table that lies in the
//! block of its clip's last samples would be lost with them, and with both the rest of the clip:
//! no file can be laid out without the sizes of all samples. So it is written a second time, into
//! the block that the stream goes on in.

use super::append::{data_room, extent_of};
use super::chunk::{self, ChunkKind};
use super::compose::Part;
use super::core::{Core, Growing, Undurable};
use super::superblock::REST_PAGES_MIN;
use super::types::Extent;
use crate::units::{BlockNumber, ClipId, StreamNumber};

/// Clips of fewer chunks get no table: losing the header of their only chunk costs all of them.
pub(super) const TABLE_CHUNKS_MIN: usize = 2;
/// A table in more pieces than this is not written: it is a cache, and the clip is very long.
const TABLE_PIECES_MAX: usize = 4;
/// Tables of a stream that wait to be written, at most.
pub(super) const COPIES_OWED_MAX: usize = 4;

/// A table that is to be written behind the next end of a clip: once more, or for the first time.
pub(super) struct OwedCopy {
    clip: ClipId,
    table: Vec<u8>,
    /// Where it is of no use.
    avoid: Option<BlockNumber>,
}

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
            self.owe_table(growing.stream, OwedCopy { clip, table, avoid });
        }
        extents
    }

    fn owe_table(&mut self, stream: StreamNumber, copy: OwedCopy) {
        let owed = self.copies_owed.entry(stream).or_default();
        owed.push(copy);
        if owed.len() > COPIES_OWED_MAX {
            owed.remove(0);
        }
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
        self.owe_table(stream, OwedCopy { clip, table, avoid });
    }

    /// Writes the tables that wait for the stream to go on in another block. Only behind the end
    /// of a clip: the fact about a copy says that the stream goes on behind it, and a crash would
    /// lose the chunks before it of a clip that grows, which no fact speaks of yet.
    pub(super) fn write_table_copies(&mut self, stream: StreamNumber) {
        let Some(block) = self.open.get(&stream).map(|open| open.block) else { return };
        let Some(owed) = self.copies_owed.get_mut(&stream) else { return };
        let due: Vec<OwedCopy> = owed.extract_if(.., |copy| copy.avoid != Some(block)).collect();
        for OwedCopy { clip, table, .. } in due {
            let extents = self.write_table_pieces(clip, stream, &table);
            if !extents.is_empty() {
                self.undurable.push(Undurable::TableCopy { clip, stream, extents });
            }
        }
    }

    /// The clip is gone, or did not end as its table says.
    pub(in crate::ring) fn forget_table_copy(&mut self, clip: ClipId) {
        self.copies_owed.values_mut().for_each(|owed| owed.retain(|copy| copy.clip != clip));
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
            let has_block = self.open.contains_key(&stream) || self.open_ready(stream);
            if extents.len() == TABLE_PIECES_MAX || !has_block {
                return Vec::new();
            }
            let Some(open) = self.open.get(&stream) else { return Vec::new() };
            let rest_pages = self.superblock.geometry.block_pages() - open.next_page;
            let whole = chunk::page_count(0, 0, rest.len()) <= rest_pages;
            let room = data_room(rest_pages, 0, 0).filter(|_| rest_pages >= REST_PAGES_MIN);
            let Some(room) = room.or(whole.then_some(rest.len())) else {
                self.open.remove(&stream);
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
            let Ok(written) = self.write_chunk(&part) else { return Vec::new() };
            extents.push(extent_of(&written, 0));
            rest = behind;
        }
        extents
    }
}
