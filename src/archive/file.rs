//! A clip as a file: bytes that are made, and ranges that are read from the ring.

use std::ops::Deref;
use std::sync::Arc;

use super::ArchiveError;
use crate::mp4::{Movie, Piece};
use crate::ring::{ChunkPlace, Ring};
use crate::units::{ClipId, WallTime};

/// Bytes of a file, without a copy where they lie together.
pub type Bytes<'a> = Box<dyn Deref<Target = [u8]> + Send + 'a>;

/// A clip laid out as an mp4 file. Its content never changes.
pub struct ClipFile {
    ring: Arc<Ring>,
    clip: ClipId,
    start: WallTime,
    movie: Movie,
    places: Vec<ChunkPlace>,
}

impl ClipFile {
    pub(super) fn new(
        ring: Arc<Ring>,
        clip: ClipId,
        start: WallTime,
        movie: Movie,
        places: Vec<ChunkPlace>,
    ) -> ClipFile {
        ClipFile { ring, clip, start, movie, places }
    }

    /// Which clip it is.
    #[must_use]
    pub fn clip(&self) -> ClipId {
        self.clip
    }

    /// When it begins: another time is another file.
    #[must_use]
    pub fn start(&self) -> WallTime {
        self.start
    }

    /// Its size, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.movie.size()
    }

    /// Memory that it takes, in bytes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.movie.header_length() + self.places.len() * size_of::<ChunkPlace>()
    }

    /// The bytes from `offset` on, `length` of them or as many as there are.
    ///
    /// # Errors
    /// The clip is gone, its bytes are damaged, or the device failed: all of the range or nothing.
    pub fn read(&self, offset: u64, length: u32) -> Result<Bytes<'_>, ArchiveError> {
        let end = offset.saturating_add(u64::from(length)).min(self.size());
        let mut pieces = self.movie.pieces(offset..end.max(offset)).peekable();
        let Some(first) = pieces.next() else { return Ok(Box::new(&[][..])) };
        if pieces.peek().is_none() {
            return self.piece(first);
        }
        let mut joined = Vec::with_capacity((end - offset) as usize);
        for piece in std::iter::once(first).chain(pieces) {
            joined.extend_from_slice(&self.piece(piece)?);
        }
        Ok(Box::new(joined))
    }

    fn piece<'a>(&'a self, piece: Piece<'a>) -> Result<Bytes<'a>, ArchiveError> {
        match piece {
            Piece::Made(bytes) => Ok(Box::new(bytes)),
            Piece::Media { chunk, range } => {
                let place = self.places.get(chunk).ok_or(ArchiveError::Gone(self.clip))?;
                Ok(Box::new(self.ring.read(self.clip, place, range)?))
            }
        }
    }
}
