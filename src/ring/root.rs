//! A clip's *root*: one digest of what it holds, wherever that lies.

use std::io;

use super::blocks::BlockReader;
use super::chunk::ChunkKind;
use super::error::ReadError;
use super::inspect::Inspection;
use super::read::Ring;
use super::space::ClipRecord;
use super::state::Shared;
use super::types::Extent;
use super::walk::Walk;
use crate::units::ClipId;

/// BLAKE3 over the canonical contents of a clip's media chunks, in their order. Of each chunk these
/// are its kind (1 byte), clip (8), number in the clip (4), length of the table (4), table, number
/// of parameter sets (1), BLAKE3 of each set (32), BLAKE3 of the data (32); numbers little-endian.
///
/// Times are in the tables, so they are covered as the samples are. Where a chunk lies is not, nor
/// when and how it was written there: page, epoch, checksums. A copy has the same root.
#[derive(Default)]
pub struct ClipRoot(blake3::Hasher);

impl ClipRoot {
    /// Adds the chunk with the number `number` in the clip: its encoded table, its encoded
    /// parameter sets, and the BLAKE3 of its data.
    pub fn add<P: AsRef<[u8]>>(
        &mut self,
        clip: ClipId,
        number: u32,
        table: &[u8],
        parameters: &[P],
        digest: &[u8; 32],
    ) {
        self.0.update(&[ChunkKind::Media.code()]);
        self.0.update(&clip.number().to_le_bytes());
        self.0.update(&number.to_le_bytes());
        self.0.update(&(table.len() as u32).to_le_bytes());
        self.0.update(table);
        self.0.update(&[parameters.len() as u8]);
        for set in parameters {
            self.0.update(blake3::hash(set.as_ref()).as_bytes());
        }
        self.0.update(digest);
    }

    /// The root of what was added.
    #[must_use]
    pub fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

impl Ring {
    /// The root of a closed clip, from the headers of its chunks: a read or more for each. The
    /// samples are not read; what the headers say of them is for a scrub to try.
    ///
    /// # Errors
    /// The clip is gone or elsewhere, a header is damaged, or the device failed.
    pub fn root(&self, clip: ClipId) -> Result<[u8; 32], ReadError> {
        let record = Shared::read(&self.shared).space.clip(clip).cloned();
        let record = record.ok_or(ReadError::Gone(clip))?;
        root_of(self.reader(), clip, &record)
    }
}

impl Inspection<'_> {
    /// The same of a ring that is only looked at.
    ///
    /// # Errors
    /// As [`Ring::root`].
    pub fn root(&self, clip: ClipId) -> Result<[u8; 32], ReadError> {
        let record = self.clips().find(|(known, _)| *known == clip).map(|(_, record)| record);
        root_of(self.reader(), clip, record.ok_or(ReadError::Gone(clip))?)
    }
}

fn root_of(
    reader: BlockReader<'_>,
    clip: ClipId,
    record: &ClipRecord,
) -> Result<[u8; 32], ReadError> {
    if record.is_elsewhere() {
        return Err(ReadError::Elsewhere(clip));
    }
    if record.state.is_none() || record.is_purging() {
        return Err(ReadError::Gone(clip));
    }
    let mut root = ClipRoot::default();
    for extent in &record.extents {
        add_extent(reader, clip, extent, &mut root)?;
    }
    Ok(root.finish())
}

fn add_extent(
    reader: BlockReader<'_>,
    clip: ClipId,
    extent: &Extent,
    root: &mut ClipRoot,
) -> Result<(), ReadError> {
    let (block, life) = (extent.block, extent.life);
    let (page, number) = (extent.first_page, extent.first_chunk);
    let mut walk = Walk { reader, block, life, page, number, predecessor: None };
    let failed = |source: io::Error| ReadError::Device { what: format!("clip {clip}"), source };
    for _ in 0..extent.chunks {
        let page = walk.page;
        let damaged =
            || ReadError::Damaged(format!("clip {clip}: no chunk of it at page {page} of {block}"));
        let at = walk.step().map_err(failed)?.ok_or_else(damaged)?;
        let fixed = &at.header.fixed;
        if fixed.kind != ChunkKind::Media {
            continue;
        }
        let sets = reader.parameters_of(block, &at.header).map_err(failed)?;
        let sets = sets.ok_or_else(damaged)?;
        root.add(clip, fixed.number_in_clip, &at.header.table, &sets, &fixed.digest);
    }
    Ok(())
}
