//! The bytes of files that are made of several clips.

use std::sync::Arc;

use super::footage::Footage;
use crate::archive::recent::Recent;
use crate::archive::{ArchiveError, Bytes};
use crate::compilation::{
    FilePiece, MovieFile, PartData, PartTables, SegmentedFile, SegmentedPiece,
};

/// Memory that tables take which are kept at hand, in bytes: those of a day of one camera.
const TABLES_BYTES_MAX: usize = 6 << 20;
/// The same of the places of samples.
const PLACES_BYTES_MAX: usize = 1 << 20;

/// How a file is laid out.
enum Layout {
    /// Its tables are in front; made, and kept, part by part.
    Movie(Box<MovieFile>, Recent<usize, PartTables>),
    /// Made segment by segment.
    Segmented(Arc<SegmentedFile>),
}

/// A range laid out as one file. Its content never changes.
pub struct RangeFile {
    footage: Footage,
    layout: Layout,
    /// By the numbers of their parts, or segments.
    places: Recent<usize, PartData>,
}

impl RangeFile {
    pub(super) fn movie(footage: Footage, file: MovieFile) -> RangeFile {
        // What is read now is kept, however large it is.
        let tables = Recent::new(TABLES_BYTES_MAX, 1..=usize::MAX);
        RangeFile::new(footage, Layout::Movie(Box::new(file), tables))
    }

    pub(super) fn segmented(footage: Footage, file: Arc<SegmentedFile>) -> RangeFile {
        RangeFile::new(footage, Layout::Segmented(file))
    }

    fn new(footage: Footage, layout: Layout) -> RangeFile {
        let places = Recent::new(PLACES_BYTES_MAX, 1..=usize::MAX);
        RangeFile { footage, layout, places }
    }

    /// Its size, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.layout {
            Layout::Movie(file, _) => file.size(),
            Layout::Segmented(file) => file.size(),
        }
    }

    /// What it is made of.
    pub(super) fn footage(&self) -> &Footage {
        &self.footage
    }

    /// Memory that it takes while it is not read, in bytes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let layout = match &self.layout {
            Layout::Movie(file, _) => file.memory(),
            Layout::Segmented(file) => file.memory(),
        };
        layout + self.footage.memory()
    }

    /// The bytes from `offset` on, `length` of them or as many as there are.
    ///
    /// # Errors
    /// A clip is gone, bytes are damaged, or the device failed: all of the range or nothing.
    pub fn read(&self, offset: u64, length: u32) -> Result<Bytes<'_>, ArchiveError> {
        let end = offset.saturating_add(u64::from(length)).min(self.size());
        let range = offset..end.max(offset);
        let mut joined = Vec::with_capacity((range.end - range.start) as usize);
        match &self.layout {
            Layout::Movie(file, tables) => {
                for piece in file.pieces(range) {
                    self.add_of_movie(&mut joined, (file, tables), piece)?;
                }
            }
            Layout::Segmented(file) => {
                for piece in file.pieces(range) {
                    self.add_of_segmented(&mut joined, file, piece)?;
                }
            }
        }
        Ok(Box::new(joined))
    }

    fn add_of_movie(
        &self,
        joined: &mut Vec<u8>,
        (file, tables): (&MovieFile, &Recent<usize, PartTables>),
        piece: FilePiece<'_>,
    ) -> Result<(), ArchiveError> {
        let load = |part: usize| {
            let load = |chunks: super::Chunks<'_>| file.load(part, chunks);
            let (made, data) = self.footage.with(file.clip_of(part), load)?;
            let made = tables.keep(part, made.memory(), made);
            Ok::<_, ArchiveError>((made, self.places.keep(part, data.memory(), data)))
        };
        match piece {
            FilePiece::Made(bytes) => joined.extend_from_slice(&bytes),
            FilePiece::Table(part, wanted) => {
                let tables = match tables.get(&part) {
                    Some(tables) => tables,
                    None => load(part)?.0,
                };
                joined.extend_from_slice(&tables.bytes(&wanted));
            }
            FilePiece::Data(part, wanted) => {
                let places = match self.places.get(&part) {
                    Some(places) => places,
                    None => load(part)?.1,
                };
                self.footage.append(joined, &places, &wanted)?;
            }
        }
        Ok(())
    }

    fn add_of_segmented(
        &self,
        joined: &mut Vec<u8>,
        file: &SegmentedFile,
        piece: SegmentedPiece<'_>,
    ) -> Result<(), ArchiveError> {
        match piece {
            SegmentedPiece::Made(bytes) => joined.extend_from_slice(bytes),
            SegmentedPiece::Segment(number, wanted) => {
                let places = match self.places.get(&number) {
                    Some(places) => places,
                    None => {
                        let data = self.footage.segment(file, number)?;
                        self.places.keep(number, data.memory(), data)
                    }
                };
                self.footage.append(joined, &places, &wanted)?;
            }
        }
        Ok(())
    }
}
