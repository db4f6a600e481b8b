//! Clip tables: what it takes to open a clip, written behind it, and once more elsewhere.
//!
//! A block that is lost shall cost its own samples and nothing else. A table that lies in the
//! block of its clip's last samples would be lost with them, and with both the rest of the clip:
//! no file can be laid out without the sizes of all samples. So it is written a second time, into
//! the block that the stream goes on in.

use super::append::{REST_PAGES_MIN, data_room, extent_of};
use super::chunk::{self, ChunkKind};
use super::compose::Part;
use super::core::{Core, Growing, Undurable};
use super::types::Extent;
use crate::units::{BlockNumber, ClipId, StreamNumber};

/// Clips of one block and fewer chunks get no table: walking them costs as little, and they are
/// lost with their block anyway.
const TABLE_CHUNKS_MIN: usize = 12;
/// A table in more pieces than this is not written: it is a cache, and the clip is very long.
const TABLE_PIECES_MAX: usize = 4;
/// Tables of a stream that wait for its next block, at most.
const COPIES_OWED_MAX: usize = 4;

/// A table that is to be written once more, into another block.
pub(super) struct OwedCopy {
    clip: ClipId,
    table: Vec<u8>,
    /// Where it must not be.
    block: BlockNumber,
}

impl Core {
    /// Writes the clip's table behind it. It is a cache: where it can't be written, there is none.
    pub(super) fn write_table(&mut self, clip: ClipId, growing: &Growing) -> Vec<Extent> {
        let chunks = growing.contents.chunks.len();
        let complete = chunks == growing.next_number as usize;
        if !complete || (chunks < TABLE_CHUNKS_MIN && growing.extents == 0) {
            return Vec::new();
        }
        let table = growing.contents.encode();
        let extents = self.write_table_pieces(clip, growing.stream, &table);
        let last = growing.current.map(|extent| extent.block);
        if let Some(block) = last.filter(|last| extents.iter().any(|e| e.block == *last)) {
            let owed = self.copies_owed.entry(growing.stream).or_default();
            owed.push(OwedCopy { clip, table, block });
            if owed.len() > COPIES_OWED_MAX {
                owed.remove(0);
            }
        }
        extents
    }

    /// Writes the tables that wait for the stream to go on in another block. Only behind the end
    /// of a clip: the fact about a copy says that the stream goes on behind it, and a crash would
    /// lose the chunks before it of a clip that grows, which no fact speaks of yet.
    pub(super) fn write_table_copies(&mut self, stream: StreamNumber) {
        let Some(block) = self.open.get(&stream).map(|open| open.block) else { return };
        let Some(owed) = self.copies_owed.get_mut(&stream) else { return };
        let due: Vec<OwedCopy> = owed.extract_if(.., |copy| copy.block != block).collect();
        for OwedCopy { clip, table, .. } in due {
            let extents = self.write_table_pieces(clip, stream, &table);
            if !extents.is_empty() {
                self.undurable.push(Undurable::TableCopy { clip, extents });
            }
        }
    }

    /// The clip did not end as its table says.
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
            if extents.len() == TABLE_PIECES_MAX || self.ensure_open(stream).is_err() {
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
