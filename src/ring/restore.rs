//! Pages that say nothing new, written again: headers of blocks, parameter sets, clip tables.
//!
//! Each is made from what says the same elsewhere. A chunk is written only where its header comes
//! to the checksum that another place names, the fact of a table or the chunk behind a set: what
//! was lost is then there again byte for byte, and the chain goes on behind it. Nothing that can be
//! read is written over.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::block::BlockHeader;
use super::blocks::ChunkAt;
use super::chunk::{self, ChunkHeader, ChunkKind, Content};
use super::inspect::Inspection;
use super::space::ClipRecord;
use super::types::{ClipContents, Extent};
use super::walk;
use crate::units::{BlockNumber, ClipId, PAGE_BYTES, Sequence, StreamNumber, WallTime};

/// Epochs that are tried for a chunk: those of its neighbours are close. A guess takes less than a
/// microsecond.
const EPOCHS_MAX: u64 = 1 << 20;

/// What the header of a block says of the stream whose samples are in it.
#[derive(Clone, Debug)]
pub struct BlockLabel {
    /// The stream, under a number that other rings know.
    pub stream_uuid: [u8; 16],
    /// Its name at that time.
    pub name: String,
    /// When the block's first clip began.
    pub start: WallTime,
}

/// What was written again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Headers of blocks.
    pub headers: u32,
    /// Parameter sets.
    pub sets: u32,
    /// Pieces of clip tables.
    pub tables: u32,
    /// What could not be, with the reason.
    pub left: Vec<String>,
}

/// A chunk that is to be written again.
struct Lost<'a> {
    kind: ChunkKind,
    block: BlockNumber,
    life: Sequence,
    page: u32,
    stream: StreamNumber,
    clip: ClipId,
    number_in_clip: u32,
    data: &'a [u8],
    /// It was written in this epoch, or not much later.
    epoch_min: u64,
    /// Header checksum that is named elsewhere.
    checksum: u32,
}

/// A block whose header may be lost, by the first chunk in it that a clip has.
struct Held<'a> {
    life: Sequence,
    first_chunk: u32,
    record: &'a ClipRecord,
}

impl Inspection<'_> {
    /// Writes again what can't be read, and can be made from other places; nobody else may have
    /// the ring open. `label` says of whom a block is, by one of its clips.
    ///
    /// # Errors
    /// The device takes no flush. Places that it does not read or write are left.
    pub fn restore(&self, label: &dyn Fn(&ClipRecord) -> BlockLabel) -> io::Result<Restored> {
        let mut restored = Restored::default();
        self.restore_headers(label, &mut restored);
        let readable = |record: &ClipRecord| record.state.is_some_and(|state| !state.is_purging());
        for (clip, record) in self.clips().filter(|(_, record)| readable(record)) {
            // What costs footage is told by a check, and can't be written again.
            let Some(contents) = self.sound_contents(clip, record) else { continue };
            self.restore_sets(record, &contents, &mut restored);
            self.restore_tables(clip, record, &contents, &mut restored);
        }
        self.device.flush()?;
        Ok(restored)
    }

    fn restore_headers(&self, label: &dyn Fn(&ClipRecord) -> BlockLabel, restored: &mut Restored) {
        let mut held: BTreeMap<BlockNumber, Held<'_>> = BTreeMap::new();
        for (_, record) in self.clips() {
            for extent in record.extents.iter().filter(|extent| !self.is_bad(extent.block)) {
                let first = Held { life: extent.life, first_chunk: extent.first_chunk, record };
                let known = held.get(&extent.block);
                if known.is_none_or(|known| extent.first_chunk < known.first_chunk) {
                    held.insert(extent.block, first);
                }
            }
        }
        for (block, held) in held {
            let read = self.reader().block_header(block);
            // One of another life is not damaged: somebody else knows why it is there.
            if matches!(read, Ok(Some(_))) {
                continue;
            }
            match self.write_header(block, &held, label(held.record)) {
                Ok(()) => restored.headers += 1,
                Err(error) => restored.left.push(format!("header of block {block}: {error}")),
            }
        }
    }

    fn write_header(
        &self,
        block: BlockNumber,
        held: &Held<'_>,
        label: BlockLabel,
    ) -> io::Result<()> {
        let ring_uuid = self.superblock.ring_uuid;
        let mut header = BlockHeader {
            ring_uuid,
            block,
            geometry: Some(self.superblock.geometry),
            origin_uuid: ring_uuid,
            life: held.life,
            stream: held.record.stream,
            stream_uuid: label.stream_uuid,
            name: label.name,
            start: label.start,
            chain: 0,
        };
        let first = self.reader().header_at(block, 1)?;
        let first = first.filter(|first| first.fixed.life == held.life);
        if let Some(first) = first.filter(|first| first.fixed.number_in_block == 0)
            && first.fixed.predecessor != BlockHeader::seal(&header.encode())
        {
            header.chain = first.fixed.predecessor;
        }
        self.write_pages(block, 0, &header.encode())
    }

    /// What a clip's table says, from whichever place still does.
    fn sound_contents(&self, clip: ClipId, record: &ClipRecord) -> Option<ClipContents> {
        let tables = [&record.table, &record.table_copy];
        let sound = tables.into_iter().find_map(|table| self.table(clip, table).ok().flatten());
        sound.or_else(|| walk::contents_of(self.reader(), &record.extents).ok())
    }

    fn restore_sets(&self, record: &ClipRecord, contents: &ClipContents, restored: &mut Restored) {
        let mut seen = BTreeSet::new();
        for chunk in &contents.chunks {
            let place = &chunk.place;
            let header = self.reader().header_at(place.block, place.first_page);
            let header = header.ok().flatten().filter(|header| header.fixed.life == place.life);
            let Some(header) = header else { continue };
            let sets =
                chunk.parameters.iter().map(|&set| contents.parameters.get(usize::from(set)));
            for (&page, set) in header.parameter_pages.iter().zip(sets) {
                let Some(set) = set.filter(|_| seen.insert((place.block, page))) else { continue };
                let found = self.parameter_set(place.block, place.life, page);
                if matches!(found, Ok(Some(_))) {
                    continue;
                }
                match self.restore_set(record.stream, place.block, page, place.life, set) {
                    Ok(()) => restored.sets += 1,
                    Err(error) => restored.left.push(format!(
                        "parameter set at page {page} of block {}: {error}",
                        place.block
                    )),
                }
            }
        }
    }

    fn restore_set(
        &self,
        stream: StreamNumber,
        block: BlockNumber,
        page: u32,
        life: Sequence,
        set: &Arc<[u8]>,
    ) -> io::Result<()> {
        let behind = page.saturating_add(chunk::page_count(0, 0, set.len()));
        let next = self.reader().header_at(block, behind)?;
        let next = next.filter(|next| next.fixed.life == life);
        let next = next.ok_or_else(|| io::Error::other("there is no chunk behind it"))?.fixed;
        self.restore_chunk(&Lost {
            kind: ChunkKind::Parameters,
            block,
            life,
            page,
            stream,
            clip: next.clip,
            number_in_clip: next.number_in_clip,
            data: set,
            // They were one write.
            epoch_min: next.epoch,
            checksum: next.predecessor,
        })
    }

    fn restore_tables(
        &self,
        clip: ClipId,
        record: &ClipRecord,
        contents: &ClipContents,
        restored: &mut Restored,
    ) {
        let last = contents.chunks.last().map(|chunk| &chunk.place);
        let last =
            last.and_then(|last| self.reader().header_at(last.block, last.first_page).ok()?);
        let epoch_min = last.map_or(0, |last| last.fixed.epoch);
        for table in [&record.table, &record.table_copy] {
            if self.table(clip, table).is_ok() {
                continue;
            }
            let encoded = contents.encode();
            let mut rest = &encoded[..];
            for (extent, number) in table.iter().zip(0..) {
                let (piece, behind) = rest.split_at(piece_length(extent, rest.len()));
                rest = behind;
                if self.table_piece(clip, extent).is_ok() {
                    continue;
                }
                let lost = Lost {
                    kind: ChunkKind::Table,
                    block: extent.block,
                    life: extent.life,
                    page: extent.first_page,
                    stream: record.stream,
                    clip,
                    number_in_clip: number,
                    data: piece,
                    epoch_min,
                    checksum: extent.seal,
                };
                match self.restore_chunk(&lost) {
                    Ok(()) => restored.tables += 1,
                    Err(error) => restored.left.push(format!("table of clip {clip}: {error}")),
                }
            }
        }
    }

    fn restore_chunk(&self, lost: &Lost<'_>) -> io::Result<()> {
        let (before, predecessor) = self.chain_before(lost)?;
        let mut fixed = ChunkHeader {
            kind: lost.kind,
            ring_uuid: self.superblock.ring_uuid,
            life: lost.life,
            clip: lost.clip,
            stream: lost.stream,
            number_in_clip: lost.number_in_clip,
            number_in_block: before.as_ref().map_or(0, |at| at.header.fixed.number_in_block + 1),
            predecessor,
            epoch: before.as_ref().map_or(0, |at| at.header.fixed.epoch).max(lost.epoch_min),
            header_length: 0,
            data_length: 0,
            digest: [0; 32],
            checksum: 0,
        };
        let mut pages = chunk::buffer_for(chunk::page_count(0, 0, lost.data.len()));
        let content = Content { parameter_pages: &[], table: &[], data: lost.data };
        chunk::encode(&mut fixed, &content, &mut pages);
        let first = fixed.epoch;
        let mut epochs = first..self.epoch().saturating_add(1).min(first + EPOCHS_MAX);
        if !epochs.any(|epoch| chunk::stamp(&mut fixed, epoch, &mut pages) == lost.checksum) {
            return Err(io::Error::other("what is known does not come to its checksum"));
        }
        self.write_pages(lost.block, lost.page, &pages)
    }

    /// The chunk before a lost one, and what the lost one names as its predecessor.
    fn chain_before(&self, lost: &Lost<'_>) -> io::Result<(Option<ChunkAt>, u32)> {
        let whole = walk::whole_block(self.reader(), lost.block)?;
        let Some((_, mut walk)) = whole.filter(|(header, _)| header.life == lost.life) else {
            return Err(io::Error::other("its block has no header"));
        };
        let mut before = None;
        while walk.page < lost.page {
            let Some(at) = walk.step()? else { break };
            before = Some(at);
        }
        match walk.predecessor.filter(|_| walk.page == lost.page) {
            Some(predecessor) => Ok((before, predecessor)),
            None => Err(io::Error::other("the chunks before it are damaged, too")),
        }
    }

    fn write_pages(&self, block: BlockNumber, page: u32, bytes: &[u8]) -> io::Result<()> {
        let geometry = &self.superblock.geometry;
        let pages = (bytes.len() as u64 / PAGE_BYTES) as u32;
        if u64::from(page) + u64::from(pages) > u64::from(geometry.block_pages()) {
            return Err(io::Error::other("it would not end in its block"));
        }
        let mut buffer = chunk::buffer_for(pages);
        buffer.copy_from_slice(bytes);
        self.device.write_at(geometry.page_start(block, page), &buffer)
    }
}

/// How much of a table lies in one of its extents: all of it, or as much as the pages take.
fn piece_length(extent: &Extent, rest: usize) -> usize {
    let pages = extent.end_page.saturating_sub(extent.first_page);
    if chunk::page_count(0, 0, rest) <= pages {
        return rest;
    }
    chunk::data_room(pages, 0, 0).unwrap_or(0).min(rest)
}
