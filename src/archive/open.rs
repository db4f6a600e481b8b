//! Opening clips, closed and growing.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::ArchiveError;
use super::attributes::{OF_CLOSED, Whose, attributes};
use super::file::ClipFile;
use super::range::KnownSets;
use super::recent::Recent;
use super::updater::{fact_of, growth_of};
use crate::catalogue::Catalogue;
use crate::compilation::SegmentedFile;
use crate::index::Index;
use crate::mp4::{Chunk, Movie};
use crate::named::Container;
use crate::ring::{ClipContents, Ending, Ring};
use crate::segment::{ClipFact, NameForm};
use crate::units::{ClipId, ClipKey, RingNumber, WallTime};

/// Open clips that are kept at hand, for players that open a file anew for each seek.
const OPEN_CLIPS_MAX: usize = 64;
/// Memory that they may take together, in bytes.
const OPEN_CLIPS_BYTES_MAX: usize = 64 << 20;
/// The same of files of segments, of which every segment may be asked for by itself: some days.
const SEGMENTED_BYTES_MAX: usize = 6 << 20;

/// The readers' side: clips as files.
pub struct Archive {
    pub(super) ring: Arc<Ring>,
    catalogue: Arc<RwLock<Catalogue>>,
    pub(super) index: Arc<Index>,
    open: Recent<ClipId, ClipFile>,
    pub(super) known_sets: KnownSets,
    /// Files of segments, by what their bytes depend on and what kind they are.
    pub(super) segmented: Recent<([u8; 32], Container), SegmentedFile>,
}

/// What flushes cover of a growing clip at one moment.
pub struct GrowingFile {
    /// Its content.
    pub file: Arc<ClipFile>,
    /// When it begins.
    pub start: WallTime,
    /// When it ends so far.
    pub end: WallTime,
    /// Its extended attributes.
    pub attributes: Vec<(&'static str, String)>,
}

impl Archive {
    /// An archive on a ring that is open.
    #[must_use]
    pub fn new(ring: Arc<Ring>, catalogue: Arc<RwLock<Catalogue>>, index: Arc<Index>) -> Archive {
        let open = Recent::new(OPEN_CLIPS_BYTES_MAX, 0..=OPEN_CLIPS_MAX);
        let segmented = Recent::new(SEGMENTED_BYTES_MAX, 1..=usize::MAX);
        Archive { ring, catalogue, index, open, known_sets: KnownSets::default(), segmented }
    }

    /// The catalogue, to look things up in. To be held for moments only.
    pub fn catalogue(&self) -> RwLockReadGuard<'_, Catalogue> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ring below.
    #[must_use]
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// The ring's number among those of the catalogue.
    #[must_use]
    pub fn number(&self) -> RingNumber {
        self.ring.superblock().ring_number
    }

    /// Opens a closed clip. One or two device reads, or none where the index knows it.
    ///
    /// # Errors
    /// It is gone, or its tables can't be read.
    pub fn open_clip(&self, clip: ClipId) -> Result<Arc<ClipFile>, ArchiveError> {
        let fact = {
            let catalogue = self.catalogue();
            let known = ClipKey::new(self.number(), clip).and_then(|key| catalogue.clip(key));
            let readable = known.filter(|found| found.readable());
            readable.map(|found| found.fact.clone()).ok_or(ArchiveError::Gone(clip))?
        };
        // One may have been kept behind the moment in which the clip was redated.
        if let Some(open) = self.open.get(&clip).filter(|open| open.start() == fact.start) {
            return Ok(open);
        }
        let lay_out = |contents: &ClipContents| self.lay_out(clip, &fact, contents);
        let file = of_contents(&self.index, &self.ring, clip, lay_out)?;
        Ok(self.open.keep(clip, file.memory(), file))
    }

    /// Has the index keep what the ring says of a clip that has just closed: then it opens without
    /// a seek, and also where its headers rot later. Waits for nothing; it is read on the index's
    /// thread.
    pub fn keep_contents(&self, clip: ClipId) {
        let ring = self.ring.clone();
        self.index.put_later(clip, move || match ring.contents(clip) {
            Ok(contents) => Some(contents.encode()),
            Err(error) => {
                log::debug!("not indexed: {error}");
                None
            }
        });
    }

    /// Opens what flushes cover of a camera's growing clip; `None` where nothing grows.
    ///
    /// # Errors
    /// Its tables can't be read.
    pub fn open_growing(&self, camera: &str) -> Result<Option<GrowingFile>, ArchiveError> {
        let clip = {
            let catalogue = self.catalogue();
            let stream = catalogue.stream_of(self.number(), camera).map(|(stream, _)| stream);
            stream.and_then(|stream| catalogue.growing_of(stream)).map(|(clip, _)| clip.clip())
        };
        let Some(clip) = clip else { return Ok(None) };
        let Some((fact, contents)) = self.grown(clip)? else { return Ok(None) };
        let file = Arc::new(self.lay_out(clip, &fact, &contents)?);
        let stream = self.catalogue().stream_of(self.number(), camera).map(|(_, it)| it.uuid);
        let ring = self.ring.superblock().ring_uuid;
        let whose = Whose { camera: camera.to_owned(), stream, ring };
        let mut attributes = attributes(&whose, clip, &fact);
        attributes.retain(|(name, _)| !OF_CLOSED.contains(name));
        Ok(Some(GrowingFile { file, start: fact.start, end: fact.end, attributes }))
    }

    /// What flushes cover of a growing clip, as if it had ended there; `None` where that is
    /// nothing.
    ///
    /// # Errors
    /// It is gone, or its tables can't be read.
    pub(super) fn grown(
        &self,
        clip: ClipId,
    ) -> Result<Option<(ClipFact, ClipContents)>, ArchiveError> {
        // Chunks may become durable between looking the clip up and reading its contents: the
        // sums are taken from the contents themselves.
        let contents = self.ring.contents(clip)?;
        let growth = growth_of(&contents);
        let growth = growth.map_err(|reason| ArchiveError::Malformed { clip, reason })?;
        let fact = growth.map(|growth| fact_of(growth, Ending::Closed, NameForm::Seconds));
        Ok(fact.map(|fact| (fact, contents)))
    }

    fn lay_out(
        &self,
        clip: ClipId,
        fact: &ClipFact,
        contents: &ClipContents,
    ) -> Result<ClipFile, ArchiveError> {
        let movie = Movie::new(fact, &contents.parameters, chunks(contents))
            .map_err(|reason| ArchiveError::Movie { clip, reason })?;
        let places = contents.chunks.iter().map(|chunk| chunk.place).collect();
        Ok(ClipFile::new(self.ring.clone(), clip, fact.start, movie, places))
    }

    /// The clip has other times: the file that is made of it is another one.
    pub fn reopen(&self, clip: ClipId) {
        self.open.forget(&clip);
    }

    /// The clip is not listed any more: it is not opened from memory either.
    pub fn forget(&self, clip: ClipId) {
        self.reopen(clip);
        self.known_sets.forget(clip);
        self.index.forget(clip);
    }
}

/// What `make` makes of the contents of a closed clip: those of the index, or, where it has none
/// that it can be made of, those of the ring, which the index keeps then. An entry that does not
/// fit is not this clip's: the ring is the truth.
///
/// # Errors
/// The clip is gone, can't be read, or what `make` answers.
pub(super) fn of_contents<T>(
    index: &Index,
    ring: &Ring,
    clip: ClipId,
    make: impl Fn(&ClipContents) -> Result<T, ArchiveError>,
) -> Result<T, ArchiveError> {
    let indexed = index.contents(clip).and_then(|bytes| ClipContents::decode(&bytes).ok());
    if let Some(Ok(made)) = indexed.map(|contents| make(&contents)) {
        return Ok(made);
    }
    let contents = ring.contents(clip)?;
    let made = make(&contents)?;
    index.put(clip, contents.encode());
    Ok(made)
}

/// The chunks of a clip as the assembly needs them.
pub(super) fn chunks(contents: &ClipContents) -> impl Iterator<Item = Chunk<'_>> + Clone {
    contents.chunks.iter().map(|chunk| Chunk {
        table: &chunk.table,
        parameters: &chunk.parameters,
        data_length: chunk.place.data_length,
    })
}
