//! Walking the chunks of a block: each header says where the next one begins.

use std::io;
use std::sync::Arc;

use super::block::BlockHeader;
use super::blocks::{BlockReader, ChunkAt};
use super::chunk::ChunkKind;
use super::types::{ChunkPlace, ClipContents, Extent};
use crate::units::{BlockNumber, Sequence};

/// The chunks of one life of a block, from some place on. Ends where the chain does.
pub struct Walk<'a> {
    /// What is read.
    pub reader: BlockReader<'a>,
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
        let Some(header) = self.reader.header_at(self.block, self.page)? else {
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

/// A walk over all chunks of the present life of a block; `None` where the block has no header of
/// this ring that can be read.
///
/// # Errors
/// What the device says.
pub fn whole_block<'a>(
    reader: BlockReader<'a>,
    block: BlockNumber,
) -> io::Result<Option<(BlockHeader, Walk<'a>)>> {
    let header = reader.block_header(block)?;
    Ok(header.map(|(header, seal)| {
        let (life, predecessor) = (header.life, Some(seal));
        let walk = Walk { reader, block, life, page: 1, number: 0, predecessor };
        (header, walk)
    }))
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
    reader: BlockReader<'_>,
    extents: &[Extent],
) -> Result<ClipContents, Unwalkable> {
    let mut contents = ClipContents::default();
    for extent in extents {
        let mut walk = Walk {
            reader,
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
            let sets = reader.parameters_of(extent.block, &at.header)?;
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
