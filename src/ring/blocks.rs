//! The one reader of blocks: pages, headers and chunks of a ring's blocks, checked. Whatever reads
//! footage, looks for it or tries it, does so through here.

use std::io;
use std::sync::Arc;

use super::block::BlockHeader;
use super::chunk::{self, ChunkKind, Header, Peek};
use super::geometry::Geometry;
use super::superblock::Superblock;
use crate::device::{self, AlignedBuffer, Device};
use crate::units::{BlockNumber, ByteCount, PAGE_BYTES, Sequence, SessionNumber};

/// Reads the blocks of one ring.
#[derive(Clone, Copy)]
pub struct BlockReader<'a> {
    device: &'a dyn Device,
    superblock: &'a Superblock,
}

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

    /// The samples in the bytes of the whole chunk, or what else it holds.
    #[must_use]
    pub fn data_in<'a>(&self, chunk: &'a [u8]) -> &'a [u8] {
        let start = self.header.fixed.header_length as usize;
        &chunk[start..start + self.header.fixed.data_length as usize]
    }
}

impl<'a> BlockReader<'a> {
    /// Reads the blocks that `superblock` describes from `device`.
    #[must_use]
    pub fn new(device: &'a dyn Device, superblock: &'a Superblock) -> BlockReader<'a> {
        BlockReader { device, superblock }
    }

    /// Where blocks lie, and how long they are.
    #[must_use]
    pub fn geometry(self) -> &'a Geometry {
        &self.superblock.geometry
    }

    /// The ring whose blocks these are: what others have left there is not read.
    #[must_use]
    pub fn ring_uuid(self) -> &'a [u8; 16] {
        &self.superblock.ring_uuid
    }

    /// So many bytes, whole pages, from a page of a block on.
    ///
    /// # Errors
    /// What the device says.
    pub fn pages(self, block: BlockNumber, page: u32, length: usize) -> io::Result<AlignedBuffer> {
        device::read(self.device, self.geometry().page_start(block, page), length)
    }

    /// The header of a block with the seal that its first chunk names, if it is one of this ring
    /// and in its place.
    ///
    /// # Errors
    /// What the device says.
    pub fn block_header(self, block: BlockNumber) -> io::Result<Option<(BlockHeader, u32)>> {
        let page = self.pages(block, 0, PAGE_BYTES as usize)?;
        let header = BlockHeader::decode(&page)
            .filter(|header| header.ring_uuid == *self.ring_uuid() && header.block == block);
        Ok(header.map(|header| (header, BlockHeader::seal(&page))))
    }

    /// The header of the chunk that begins at a page of a block; `None` where none does.
    ///
    /// # Errors
    /// What the device says.
    pub fn header_at(self, block: BlockNumber, page: u32) -> io::Result<Option<Header>> {
        let geometry = self.geometry();
        if block.0 >= geometry.block_count || page == 0 || page >= geometry.block_pages() {
            return Ok(None);
        }
        let room = u64::from(geometry.block_pages() - page) * PAGE_BYTES;
        let mut bytes = self.pages(block, page, PAGE_BYTES as usize)?;
        let Peek::Header(length) = chunk::peek(&bytes, room) else { return Ok(None) };
        if length > bytes.len() {
            let whole = ByteCount(length as u64).rounded_up(PAGE_BYTES);
            bytes = self.pages(block, page, whole.0 as usize)?;
        }
        Ok(chunk::decode(&bytes).filter(|header| header.fixed.ring_uuid == *self.ring_uuid()))
    }

    /// All pages of a chunk, unchecked.
    ///
    /// # Errors
    /// What the device says.
    pub fn whole_chunk(self, block: BlockNumber, at: &ChunkAt) -> io::Result<AlignedBuffer> {
        self.pages(block, at.page, at.header.fixed.pages() as usize * PAGE_BYTES as usize)
    }

    /// The samples of a chunk, or what else it holds; `None` where a checksum is wrong.
    ///
    /// # Errors
    /// What the device says.
    pub fn data_of(self, block: BlockNumber, at: &ChunkAt) -> io::Result<Option<Vec<u8>>> {
        let bytes = self.whole_chunk(block, at)?;
        let data = at.data_in(&bytes);
        let sound = chunk::first_damaged(&at.header.unit_checksums, 0, data).is_none();
        Ok(sound.then(|| data.to_vec()))
    }

    /// The parameter set at a page of a block; `None` where there is no sound one of this life.
    ///
    /// # Errors
    /// What the device says.
    pub fn parameter_set(
        self,
        block: BlockNumber,
        life: Sequence,
        page: u32,
    ) -> io::Result<Option<Arc<[u8]>>> {
        let header = self.header_at(block, page)?.filter(|header| {
            header.fixed.kind == ChunkKind::Parameters && header.fixed.life == life
        });
        let Some(header) = header else { return Ok(None) };
        Ok(self.data_of(block, &ChunkAt { page, header })?.map(Arc::from))
    }

    /// The parameter sets that a chunk names, in its order; `None` where one of them is damaged.
    ///
    /// # Errors
    /// What the device says.
    pub fn parameters_of(
        self,
        block: BlockNumber,
        header: &Header,
    ) -> io::Result<Option<Vec<Arc<[u8]>>>> {
        let mut sets = Vec::with_capacity(header.parameter_pages.len());
        for &page in &header.parameter_pages {
            let set = self.parameter_set(block, header.fixed.life, page)?;
            let Some(set) = set else { return Ok(None) };
            sets.push(set);
        }
        Ok(Some(sets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::chunk::{ChunkHeader, Content};
    use crate::units::{ClipId, DeviceOffset, StreamNumber};

    const BLOCK: BlockNumber = BlockNumber(2);
    const LIFE: Sequence = Sequence(7);

    /// A device that can only be read.
    struct Image(Vec<u8>);

    impl Device for Image {
        fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
            let (start, length) = (offset.0 as usize, buffer.len());
            buffer.copy_from_slice(&self.0[start..start + length]);
            Ok(())
        }

        fn write_at(&self, _: DeviceOffset, _: &AlignedBuffer) -> io::Result<()> {
            Err(io::ErrorKind::ReadOnlyFilesystem.into())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }

        fn length(&self) -> ByteCount {
            ByteCount(self.0.len() as u64)
        }
    }

    /// A parameter set at the first page of a block.
    fn image(superblock: &Superblock) -> Image {
        let mut fixed = ChunkHeader {
            kind: ChunkKind::Parameters,
            ring_uuid: superblock.ring_uuid,
            life: LIFE,
            clip: ClipId(Sequence(9)),
            stream: StreamNumber(1),
            number_in_clip: 0,
            number_in_block: 0,
            predecessor: 0,
            epoch: 1,
            header_length: 0,
            data_length: 0,
            digest: [0; 32],
            checksum: 0,
        };
        let mut pages = chunk::buffer_for(chunk::page_count(0, 0, 3));
        let content = Content { parameter_pages: &[], table: &[], data: b"set" };
        chunk::encode(&mut fixed, &content, &mut pages);
        let start = superblock.geometry.page_start(BLOCK, 1).0 as usize;
        let mut bytes = vec![0; 12 << 20];
        bytes[start..start + pages.len()].copy_from_slice(&pages);
        Image(bytes)
    }

    #[test]
    fn what_is_read_is_of_this_ring_this_life_and_sound() {
        let mut superblock = Superblock::of_a_small_ring();
        let mut image = image(&superblock);
        let set = |image: &Image, superblock: &Superblock, life| {
            BlockReader::new(image, superblock).parameter_set(BLOCK, life, 1).expect("it is read")
        };
        assert_eq!(set(&image, &superblock, LIFE).as_deref(), Some(&b"set"[..]));
        assert_eq!(set(&image, &superblock, Sequence(8)), None);
        superblock.ring_uuid = [4; 16];
        assert_eq!(set(&image, &superblock, LIFE), None);
        superblock.ring_uuid = [3; 16];
        let header = BlockReader::new(&image, &superblock).header_at(BLOCK, 1);
        let header = header.expect("it is read").expect("a chunk");
        let at = superblock.geometry.page_start(BLOCK, 1).0 + u64::from(header.fixed.header_length);
        image.0[at as usize] ^= 1;
        assert_eq!(set(&image, &superblock, LIFE), None);
    }

    #[test]
    fn no_chunk_begins_outside_a_block_or_in_its_header() {
        let superblock = Superblock::of_a_small_ring();
        let image = image(&superblock);
        let reader = BlockReader::new(&image, &superblock);
        let (blocks, pages) = (superblock.geometry.block_count, superblock.geometry.block_pages());
        for (block, page) in [(BLOCK, 0), (BLOCK, pages), (BlockNumber(blocks), 1)] {
            assert!(reader.header_at(block, page).expect("nothing is read").is_none());
        }
        assert!(reader.block_header(BLOCK).expect("it is read").is_none());
    }
}
