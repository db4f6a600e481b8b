//! Walking the chunks of a block: each header says where the next one begins.

use std::io;
use std::sync::Arc;

use super::block::BlockHeader;
use super::chunk::{self, ChunkKind, Header, Peek};
use super::superblock::Superblock;
use super::types::{ChunkPlace, ClipContents, Extent};
use crate::device::{self, Device};
use crate::units::{BlockNumber, ByteCount, PAGE_BYTES, Sequence, SessionNumber};

/// A chunk in a block.
#[derive(Clone, Debug)]
pub struct ChunkAt {
    /// Its first page in the block.
    pub page: u32,
    /// Its header.
    pub header: Header,
}

impl ChunkAt {
    /// Whether the last session may have written it where no fact speaks of it yet. What an earlier
    /// one left there was dropped when that one ended; but a clip of an earlier session may have
    /// been given the table that it lacked.
    #[must_use]
    pub fn may_be_of(&self, session: SessionNumber) -> bool {
        let fixed = &self.header.fixed;
        fixed.kind == ChunkKind::Table || fixed.clip.0.session() == session
    }
}

/// The chunks of one life of a block, from some place on. Ends where the chain does.
pub struct Walk<'a> {
    /// What is read.
    pub device: &'a dyn Device,
    /// Where its blocks are.
    pub superblock: &'a Superblock,
    /// Which block.
    pub block: BlockNumber,
    /// Which life: chunks of another end the walk.
    pub life: Sequence,
    /// Where the next chunk begins, in pages.
    pub page: u32,
    /// Its number in the block.
    pub number: u32,
    /// What it names as its predecessor; `None` where that is not known.
    pub predecessor: Option<u32>,
}

impl Walk<'_> {
    /// The next chunk; `None` at the end of the chain.
    ///
    /// # Errors
    /// What the device says.
    pub fn step(&mut self) -> io::Result<Option<ChunkAt>> {
        let Some(header) = header_at(self.device, self.superblock, self.block, self.page)? else {
            return Ok(None);
        };
        let fixed = &header.fixed;
        // Each chunk before this one takes a page at least, and so does the block's header.
        if fixed.life != self.life
            || fixed.number_in_block != self.number
            || fixed.number_in_block >= self.page
            || self.predecessor.is_some_and(|checksum| checksum != fixed.predecessor)
        {
            return Ok(None);
        }
        let page = self.page;
        self.page += fixed.pages();
        self.number += 1;
        self.predecessor = Some(fixed.checksum);
        Ok(Some(ChunkAt { page, header }))
    }
}

/// The header of the chunk that begins at a page of a block; `None` where none does.
///
/// # Errors
/// What the device says.
pub fn header_at(
    device: &dyn Device,
    superblock: &Superblock,
    block: BlockNumber,
    page: u32,
) -> io::Result<Option<Header>> {
    let geometry = &superblock.geometry;
    if block.0 >= geometry.block_count || page == 0 || page >= geometry.block_pages() {
        return Ok(None);
    }
    let room = u64::from(geometry.block_pages() - page) * PAGE_BYTES;
    let offset = geometry.page_start(block, page);
    let mut bytes = device::read(device, offset, PAGE_BYTES as usize)?;
    let Peek::Header(length) = chunk::peek(&bytes, room) else { return Ok(None) };
    if length > bytes.len() {
        let whole = ByteCount(length as u64).rounded_up(PAGE_BYTES);
        bytes = device::read(device, offset, whole.0 as usize)?;
    }
    Ok(chunk::decode(&bytes).filter(|header| header.fixed.ring_uuid == superblock.ring_uuid))
}

/// The header of a block, if it is one of this ring and in its place.
///
/// # Errors
/// What the device says.
pub fn block_header(
    device: &dyn Device,
    superblock: &Superblock,
    block: BlockNumber,
) -> io::Result<Option<(BlockHeader, u32)>> {
    let page = device::read(device, superblock.geometry.block_start(block), PAGE_BYTES as usize)?;
    let header = BlockHeader::decode(&page)
        .filter(|header| header.ring_uuid == superblock.ring_uuid && header.block == block);
    Ok(header.map(|header| (header, BlockHeader::seal(&page))))
}

/// A walk over all chunks of the present life of a block; `None` where the block has no header of
/// this ring that can be read.
///
/// # Errors
/// What the device says.
pub fn whole_block<'a>(
    device: &'a dyn Device,
    superblock: &'a Superblock,
    block: BlockNumber,
) -> io::Result<Option<(BlockHeader, Walk<'a>)>> {
    let header = block_header(device, superblock, block)?;
    Ok(header.map(|(header, seal)| {
        let (life, predecessor) = (header.life, Some(seal));
        let walk = Walk { device, superblock, block, life, page: 1, number: 0, predecessor };
        (header, walk)
    }))
}

/// The samples of a chunk, or what else it holds; `None` where a checksum is wrong.
///
/// # Errors
/// What the device says.
pub fn data_of(
    device: &dyn Device,
    superblock: &Superblock,
    block: BlockNumber,
    at: &ChunkAt,
) -> io::Result<Option<Vec<u8>>> {
    let fixed = &at.header.fixed;
    let length = fixed.pages() as usize * PAGE_BYTES as usize;
    let offset = superblock.geometry.page_start(block, at.page);
    let bytes = device::read(device, offset, length)?;
    let start = fixed.header_length as usize;
    let data = &bytes[start..start + fixed.data_length as usize];
    let sound = chunk::first_damaged(&at.header.unit_checksums, 0, data).is_none();
    Ok(sound.then(|| data.to_vec()))
}

/// The parameter set at a page of a block; `None` where there is no sound one of this life.
///
/// # Errors
/// What the device says.
pub fn parameter_set(
    device: &dyn Device,
    superblock: &Superblock,
    block: BlockNumber,
    life: Sequence,
    page: u32,
) -> io::Result<Option<Arc<[u8]>>> {
    let header = header_at(device, superblock, block, page)?
        .filter(|header| header.fixed.kind == ChunkKind::Parameters && header.fixed.life == life);
    let Some(header) = header else { return Ok(None) };
    Ok(data_of(device, superblock, block, &ChunkAt { page, header })?.map(Arc::from))
}

/// The parameter sets that a chunk names, in its order; `None` where one of them is damaged.
///
/// # Errors
/// What the device says.
pub fn parameters_of(
    device: &dyn Device,
    superblock: &Superblock,
    block: BlockNumber,
    header: &Header,
) -> io::Result<Option<Vec<Arc<[u8]>>>> {
    let mut sets = Vec::with_capacity(header.parameter_pages.len());
    for &page in &header.parameter_pages {
        let set = parameter_set(device, superblock, block, header.fixed.life, page)?;
        let Some(set) = set else { return Ok(None) };
        sets.push(set);
    }
    Ok(Some(sets))
}

/// Why the chunks of a clip can't be walked.
#[derive(Debug)]
pub enum Unwalkable {
    /// What the device says.
    Device(io::Error),
    /// There is no sound chunk where one should be.
    Damaged {
        /// In which block.
        block: BlockNumber,
        /// Where in it.
        page: u32,
    },
}

impl From<io::Error> for Unwalkable {
    fn from(source: io::Error) -> Unwalkable {
        Unwalkable::Device(source)
    }
}

/// What a clip's table says, from the headers of the chunks in its extents.
///
/// # Errors
/// See [`Unwalkable`].
pub fn contents_of(
    device: &dyn Device,
    superblock: &Superblock,
    extents: &[Extent],
) -> Result<ClipContents, Unwalkable> {
    let mut contents = ClipContents::default();
    for extent in extents {
        let mut walk = Walk {
            device,
            superblock,
            block: extent.block,
            life: extent.life,
            page: extent.first_page,
            number: extent.first_chunk,
            predecessor: None,
        };
        for _ in 0..extent.chunks {
            let damaged = Unwalkable::Damaged { block: extent.block, page: walk.page };
            let Some(at) = walk.step()? else { return Err(damaged) };
            if at.header.fixed.kind != ChunkKind::Media {
                continue;
            }
            let sets = parameters_of(device, superblock, extent.block, &at.header)?;
            let Some(sets) = sets else { return Err(damaged) };
            let place = ChunkPlace {
                block: extent.block,
                life: extent.life,
                first_page: at.page,
                header_length: at.header.fixed.header_length,
                data_length: at.header.fixed.data_length,
            };
            contents.push(place, &sets, Arc::from(at.header.table));
        }
    }
    Ok(contents)
}
