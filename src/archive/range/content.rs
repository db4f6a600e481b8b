//! The bytes of a range, whatever kind of file it is.

use super::file::RangeFile;
use crate::archive::{ArchiveError, Bytes};
use crate::captions::Captions;
use crate::units::ClipId;

/// What is read of a range. It never changes.
pub enum RangeContent {
    /// Pictures and sound.
    File(Box<RangeFile>),
    /// The time on the wall.
    Captions(Captions),
    /// A text.
    Text(Vec<u8>),
}

impl RangeContent {
    /// Its size, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            RangeContent::File(file) => file.size(),
            RangeContent::Captions(captions) => captions.size(),
            RangeContent::Text(text) => text.len() as u64,
        }
    }

    /// Whether it has bytes of a clip.
    #[must_use]
    pub fn holds(&self, clip: ClipId) -> bool {
        matches!(self, RangeContent::File(file) if file.footage().holds(clip))
    }

    /// Memory that it takes while it is not read, in bytes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        match self {
            RangeContent::File(file) => file.memory(),
            RangeContent::Captions(captions) => captions.memory(),
            RangeContent::Text(text) => text.len(),
        }
    }

    /// The bytes from `offset` on, `length` of them or as many as there are.
    ///
    /// # Errors
    /// As [`RangeFile::read`].
    pub fn read(&self, offset: u64, length: u32) -> Result<Bytes<'_>, ArchiveError> {
        let end = offset.saturating_add(u64::from(length));
        match self {
            RangeContent::File(file) => file.read(offset, length),
            RangeContent::Captions(captions) => Ok(Box::new(captions.bytes(offset..end))),
            RangeContent::Text(text) => {
                let length = text.len() as u64;
                let range = offset.min(length) as usize..end.min(length) as usize;
                Ok(Box::new(&text[range]))
            }
        }
    }
}
