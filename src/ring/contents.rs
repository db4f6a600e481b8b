//! A clip's table as bytes: the places, sample tables and parameter sets of all its chunks,
//! together, so that opening a long clip costs one or two reads.

use std::sync::Arc;

use super::types::{ChunkPlace, ClipChunk, ClipContents};
use crate::units::{BlockNumber, Sequence};
use crate::wire::{Decoder, Encoder, Malformed};

const VERSION: u8 = 1;

impl ClipContents {
    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new(VERSION);
        to.u64(self.parameters.len() as u64);
        for set in &self.parameters {
            to.bytes(set);
        }
        to.u64(self.chunks.len() as u64);
        for chunk in &self.chunks {
            to.u32(chunk.place.block.0);
            to.u64(chunk.place.life.0);
            to.u32(chunk.place.first_page);
            to.u32(chunk.place.header_length);
            to.u32(chunk.place.data_length);
            to.u64(chunk.parameters.len() as u64);
            for index in &chunk.parameters {
                to.u32(u32::from(*index));
            }
            to.bytes(&chunk.table);
        }
        to.finish()
    }

    /// Reads what [`ClipContents::encode`] wrote.
    ///
    /// # Errors
    /// Names the first field that is not what it should be.
    pub fn decode(bytes: &[u8]) -> Result<ClipContents, Malformed> {
        let mut from = Decoder::new(bytes, VERSION, "clip table")?;
        let count = from.count(1, "parameter sets")?;
        let parameters: Vec<Arc<[u8]>> = (0..count)
            .map(|_| from.bytes("parameter set").map(Arc::from))
            .collect::<Result<_, _>>()?;
        let count = from.count(7, "chunks")?;
        let chunks = (0..count)
            .map(|_| decode_chunk(&mut from, parameters.len()))
            .collect::<Result<_, _>>()?;
        from.finish("clip table")?;
        Ok(ClipContents { chunks, parameters })
    }

    /// Adds a chunk behind the others; its parameter sets are counted once.
    pub fn push(&mut self, place: ChunkPlace, parameters: &[Arc<[u8]>], table: Arc<[u8]>) {
        let parameters = parameters.iter().map(|set| self.index_of(set)).collect();
        self.chunks.push(ClipChunk { place, parameters, table });
    }

    fn index_of(&mut self, set: &Arc<[u8]>) -> u16 {
        let known = self.parameters.iter().position(|known| known == set);
        let index = known.unwrap_or_else(|| {
            self.parameters.push(set.clone());
            self.parameters.len() - 1
        });
        index as u16
    }
}

fn decode_chunk(from: &mut Decoder<'_>, sets: usize) -> Result<ClipChunk, Malformed> {
    let place = ChunkPlace {
        block: BlockNumber(from.u32("block")?),
        life: Sequence(from.u64("life of a block")?),
        first_page: from.u32("first page")?,
        header_length: from.u32("header length")?,
        data_length: from.u32("data length")?,
    };
    let count = from.count(1, "parameter references")?;
    let parameters = (0..count)
        .map(|_| match from.u16("parameter reference")? {
            index if usize::from(index) < sets => Ok(index),
            index => Err(from.wrong("parameter reference", format!("{index} of {sets} sets"))),
        })
        .collect::<Result<_, Malformed>>()?;
    Ok(ClipChunk { place, parameters, table: Arc::from(from.bytes("sample table")?) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contents() -> ClipContents {
        let mut contents = ClipContents::default();
        let sets: Vec<Arc<[u8]>> = vec![Arc::from(&b"first"[..]), Arc::from(&b"second"[..])];
        for number in 0..4_u32 {
            let place = ChunkPlace {
                block: BlockNumber(number),
                life: Sequence(7 << 40 | u64::from(number)),
                first_page: 1 + number,
                header_length: 200,
                data_length: 100_000,
            };
            let used = &sets[..1 + number as usize % 2];
            contents.push(place, used, Arc::from(vec![number as u8; 30]));
        }
        contents
    }

    #[test]
    fn what_was_written_is_read_and_each_parameter_set_counts_once() {
        assert_eq!(contents().parameters.len(), 2);
        assert_eq!(ClipContents::decode(&contents().encode()), Ok(contents()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_table_or_a_named_reason(
            cut in 0_usize..300, at in 0_usize..300, byte: u8,
        ) {
            let mut bytes = contents().encode();
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(length.min(cut));
            if let Ok(read) = ClipContents::decode(&bytes) {
                let known = read.parameters.len();
                let used = read.chunks.iter().flat_map(|chunk| &chunk.parameters);
                prop_assert!(used.copied().all(|set| usize::from(set) < known));
            }
        }
    }
}
