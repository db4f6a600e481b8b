//! One chunk into the block that its stream goes on in.

use super::Core;
use crate::ring::block::BlockHeader;
use crate::ring::placement::{OpenBlock, Part, Written};
use crate::units::StreamNumber;

impl Core {
    /// One write: the block's header if it is new, parameter sets that the block lacks, the chunk.
    /// The block must have room for all of it. `None` where the device refuses it: the stream has
    /// left the block then, which is under suspicion.
    pub(in crate::ring) fn write_chunk(&mut self, new: &Part<'_>) -> Option<Written> {
        let stream = new.stream;
        let open = self.placement.block_of(stream)?;
        let header = open.is_fresh().then(|| self.block_header(stream, open));
        let (uuid, epoch) = (self.superblock.ring_uuid, self.facts.epoch());
        let composed = open.compose(new, header.as_deref(), uuid, epoch);
        let block = open.block();
        let offset = self.superblock.geometry.page_start(block, composed.base_page);
        if let Err(error) = self.write(offset, &composed.pages) {
            self.placement.abandon(stream);
            self.suspect(block, &error);
            return None;
        }
        self.trouble.taken_again();
        self.placement.block_of_mut(stream).map(|open| open.advance(composed))
    }

    fn block_header(&self, stream: StreamNumber, open: &OpenBlock) -> Vec<u8> {
        let (stream_uuid, name) = self.interpreter.describe(stream);
        let header = BlockHeader {
            ring_uuid: self.superblock.ring_uuid,
            block: open.block(),
            geometry: Some(self.superblock.geometry),
            origin_uuid: self.superblock.ring_uuid,
            life: open.life(),
            stream,
            stream_uuid,
            name,
            start: self.clock.read().wall,
            chain: 0,
        };
        header.encode()
    }
}
