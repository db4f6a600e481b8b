//! The bytes of a file that is made of several clips.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::chunks;
use crate::archive::{Archive, ArchiveError, Bytes};
use crate::index::Index;
use crate::mp4::{Compilation, FilePiece, LoadedPart, PartPiece};
use crate::ring::{ChunkPlace, ClipContents, Ring};
use crate::units::ClipId;

/// Memory that parts take which are kept at hand, in bytes.
const LOADED_BYTES_MAX: usize = 6 << 20;

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
    /// Used last first.
    loaded: Mutex<VecDeque<(usize, Arc<Loaded>)>>,
}

/// A part, with the places of its clip's chunks.
struct Loaded {
    part: LoadedPart,
    clip: Option<ClipId>,
    places: Vec<ChunkPlace>,
}

impl Loaded {
    fn memory(&self) -> usize {
        self.part.memory() + self.places.len() * size_of::<ChunkPlace>()
    }
}

impl RangeFile {
    pub(super) fn new(
        archive: &Archive,
        compilation: Compilation,
        clips: Vec<Contents>,
    ) -> RangeFile {
        let (ring, index) = (archive.ring.clone(), archive.index.clone());
        RangeFile { ring, index, compilation, clips, loaded: Mutex::default() }
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
                FilePiece::Of { part, what } => {
                    let loaded = self.part(part)?;
                    for piece in loaded.part.pieces(&what) {
                        self.add(&mut joined, &loaded, piece)?;
                    }
                }
            }
        }
        Ok(Box::new(joined))
    }

    fn add(
        &self,
        joined: &mut Vec<u8>,
        loaded: &Loaded,
        piece: PartPiece<'_>,
    ) -> Result<(), ArchiveError> {
        match (piece, loaded.clip) {
            (PartPiece::Made(bytes), _) => joined.extend_from_slice(bytes),
            (PartPiece::Media { chunk, range }, Some(clip)) => {
                let place = loaded.places.get(chunk).ok_or(ArchiveError::Gone(clip))?;
                joined.extend_from_slice(&self.ring.read(clip, place, range)?);
            }
            (PartPiece::Media { .. }, None) => {}
        }
        Ok(())
    }

    /// A part, from memory or made.
    fn part(&self, number: usize) -> Result<Arc<Loaded>, ArchiveError> {
        if let Some(known) = self.recall(number) {
            return Ok(known);
        }
        let clip = self.compilation.clip_of(number).and_then(|clip| self.clips.get(clip));
        let contents = match clip {
            None => Arc::default(),
            Some(Contents::Known(_, contents)) => contents.clone(),
            Some(Contents::Of(clip)) => {
                Arc::new(super::super::open::contents(&self.index, &self.ring, *clip)?)
            }
        };
        let clip = clip.map(Contents::clip);
        let part = self
            .compilation
            .load(number, chunks(&contents))
            .map_err(|reason| ArchiveError::Movie { clip: clip.unwrap_or_default(), reason })?;
        let places = contents.chunks.iter().map(|chunk| chunk.place).collect();
        let loaded = Arc::new(Loaded { part, clip, places });
        self.remember(number, &loaded);
        Ok(loaded)
    }

    fn recall(&self, number: usize) -> Option<Arc<Loaded>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let at = loaded.iter().position(|(known, _)| *known == number)?;
        let found = loaded.remove(at)?;
        let part = found.1.clone();
        loaded.push_front(found);
        Some(part)
    }

    fn remember(&self, number: usize, part: &Arc<Loaded>) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.push_front((number, part.clone()));
        let mut memory = 0;
        let kept = loaded.iter().take_while(|(_, part)| {
            memory += part.memory();
            memory <= LOADED_BYTES_MAX
        });
        // What is read now is kept, however large it is.
        let kept = kept.count().max(1);
        loaded.truncate(kept);
    }
}
