//! The bytes of a file that is made of several clips.

use std::sync::Arc;

use crate::archive::open::{chunks, of_contents};
use crate::archive::recent::Recent;
use crate::archive::{Archive, ArchiveError, Bytes};
use crate::index::Index;
use crate::mp4::{Compilation, FilePiece, PartData, PartPiece, PartTables};
use crate::ring::{ChunkPlace, ClipContents, Ring};
use crate::units::ClipId;

/// Memory that tables take which are kept at hand, in bytes: those of a day of one camera.
const TABLES_BYTES_MAX: usize = 6 << 20;
/// The same of the places of samples.
const PLACES_BYTES_MAX: usize = 1 << 20;

/// Where the contents of a clip are.
pub(super) enum Contents {
    /// In the index, or on the ring.
    Of(ClipId),
    /// These: the clip goes on growing.
    Known(ClipId, Arc<ClipContents>),
}

impl Contents {
    fn clip(&self) -> ClipId {
        match self {
            Contents::Of(clip) | Contents::Known(clip, _) => *clip,
        }
    }
}

/// A range laid out as an mp4 file. Its content never changes.
pub struct RangeFile {
    ring: Arc<Ring>,
    index: Arc<Index>,
    compilation: Compilation,
    clips: Vec<Contents>,
    /// By the numbers of their parts.
    tables: Recent<usize, PartTables>,
    places: Recent<usize, Places>,
}

/// Where the samples of a part are.
struct Places {
    data: PartData,
    clip: Option<ClipId>,
    chunks: Vec<ChunkPlace>,
}

impl Places {
    fn memory(&self) -> usize {
        self.data.memory() + self.chunks.len() * size_of::<ChunkPlace>()
    }
}

impl RangeFile {
    pub(super) fn new(
        archive: &Archive,
        compilation: Compilation,
        clips: Vec<Contents>,
    ) -> RangeFile {
        let (ring, index) = (archive.ring.clone(), archive.index.clone());
        // What is read now is kept, however large it is.
        let tables = Recent::new(TABLES_BYTES_MAX, 1..=usize::MAX);
        let places = Recent::new(PLACES_BYTES_MAX, 1..=usize::MAX);
        RangeFile { ring, index, compilation, clips, tables, places }
    }

    /// Its size, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.compilation.size()
    }

    /// Whether it has bytes of a clip.
    #[must_use]
    pub fn holds(&self, clip: ClipId) -> bool {
        self.clips.iter().any(|contents| contents.clip() == clip)
    }

    /// Memory that it takes while it is not read, in bytes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.compilation.memory() + self.clips.len() * size_of::<Contents>()
    }

    /// The bytes from `offset` on, `length` of them or as many as there are.
    ///
    /// # Errors
    /// A clip is gone, bytes are damaged, or the device failed: all of the range or nothing.
    pub fn read(&self, offset: u64, length: u32) -> Result<Bytes<'_>, ArchiveError> {
        let end = offset.saturating_add(u64::from(length)).min(self.size());
        let mut joined = Vec::with_capacity(end.saturating_sub(offset) as usize);
        for piece in self.compilation.pieces(offset..end.max(offset)) {
            match piece {
                FilePiece::Made(bytes) => joined.extend_from_slice(bytes),
                FilePiece::Table(part, wanted) => {
                    let tables = match self.tables.get(&part) {
                        Some(tables) => tables,
                        None => self.load(part)?.0,
                    };
                    joined.extend_from_slice(&tables.bytes(&wanted));
                }
                FilePiece::Data(part, wanted) => {
                    let places = match self.places.get(&part) {
                        Some(places) => places,
                        None => self.load(part)?.1,
                    };
                    for piece in places.data.pieces(&wanted) {
                        self.add(&mut joined, &places, piece)?;
                    }
                }
            }
        }
        Ok(Box::new(joined))
    }

    fn add(
        &self,
        joined: &mut Vec<u8>,
        places: &Places,
        piece: PartPiece<'_>,
    ) -> Result<(), ArchiveError> {
        match (piece, places.clip) {
            (PartPiece::Made(bytes), _) => joined.extend_from_slice(bytes),
            (PartPiece::Media { chunk, range }, Some(clip)) => {
                let place = places.chunks.get(chunk).ok_or(ArchiveError::Gone(clip))?;
                joined.extend_from_slice(&self.ring.read(clip, place, range)?);
            }
            (PartPiece::Media { .. }, None) => {}
        }
        Ok(())
    }

    /// Makes the tables of a part, and finds its samples.
    fn load(&self, number: usize) -> Result<(Arc<PartTables>, Arc<Places>), ArchiveError> {
        let source = self.compilation.clip_of(number).and_then(|clip| self.clips.get(clip));
        let clip = source.map(Contents::clip);
        let make = |contents: &ClipContents| {
            let (tables, data) = self
                .compilation
                .load(number, chunks(contents))
                .map_err(|reason| ArchiveError::Movie { clip: clip.unwrap_or_default(), reason })?;
            let chunks = contents.chunks.iter().map(|chunk| chunk.place).collect();
            Ok((tables, Places { data, clip, chunks }))
        };
        let (tables, places) = match source {
            None => make(&ClipContents::default())?,
            Some(Contents::Known(_, contents)) => make(contents)?,
            Some(Contents::Of(clip)) => of_contents(&self.index, &self.ring, *clip, make)?,
        };
        let places = self.places.keep(number, places.memory(), places);
        let tables = self.tables.keep(number, tables.memory(), tables);
        Ok((tables, places))
    }
}
