//! Opening clips, closed and growing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use super::ArchiveError;
use super::attributes::{DIGEST_ATTRIBUTE, attributes};
use super::file::ClipFile;
use super::range::KnownSets;
use super::updater::fact_of;
use crate::catalogue::Catalogue;
use crate::index::Index;
use crate::mp4::{Chunk, Movie};
use crate::ring::{ClipContents, Ending, Ring};
use crate::segment::{ClipFact, NameForm};
use crate::units::{ClipId, ClipKey, RingNumber, WallTime};

/// Open clips that are kept at hand, for players that open a file anew for each seek.
const OPEN_CLIPS_MAX: usize = 64;
/// Memory that they may take together, in bytes.
const OPEN_CLIPS_BYTES_MAX: usize = 64 << 20;

/// The readers' side: clips as files.
pub struct Archive {
    pub(super) ring: Arc<Ring>,
    catalogue: Arc<RwLock<Catalogue>>,
    pub(super) index: Arc<Index>,
    /// Opened last first.
    open: Mutex<VecDeque<(ClipId, Arc<ClipFile>)>>,
    pub(super) known_sets: KnownSets,
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
        Archive { ring, catalogue, index, open: Mutex::default(), known_sets: KnownSets::default() }
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
        if let Some(open) = self.recall(clip, fact.start) {
            return Ok(open);
        }
        let indexed = self.index.contents(clip).and_then(|bytes| ClipContents::decode(&bytes).ok());
        // An entry that does not fit the fact is not this clip's: the ring is the truth.
        let file = match indexed.map(|contents| self.lay_out(clip, &fact, &contents)) {
            Some(Ok(file)) => file,
            _ => {
                let contents = self.ring.contents(clip)?;
                let file = self.lay_out(clip, &fact, &contents)?;
                self.index.put(clip, contents.encode());
                file
            }
        };
        let file = Arc::new(file);
        self.remember(clip, &file);
        Ok(file)
    }

    /// The contents of a closed clip.
    ///
    /// # Errors
    /// It is gone, or can't be read.
    pub(super) fn contents(&self, clip: ClipId) -> Result<ClipContents, ArchiveError> {
        contents(&self.index, &self.ring, clip)
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
        // Chunks may become durable between looking the clip up and reading its contents: the
        // sums are taken from the contents themselves.
        let contents = self.ring.contents(clip)?;
        let malformed = |reason| ArchiveError::Malformed { clip, reason };
        let growth = super::updater::growth_of(&contents).map_err(malformed)?;
        let Some(growth) = growth else { return Ok(None) };
        let fact = fact_of(growth, Ending::Closed, NameForm::Seconds);
        let file = Arc::new(self.lay_out(clip, &fact, &contents)?);
        let uuid = &self.ring.superblock().ring_uuid;
        let mut attributes = attributes(camera, uuid, clip, &fact);
        attributes.retain(|(name, _)| *name != DIGEST_ATTRIBUTE);
        Ok(Some(GrowingFile { file, start: fact.start, end: fact.end, attributes }))
    }

    fn lay_out(
        &self,
        clip: ClipId,
        fact: &ClipFact,
        contents: &ClipContents,
    ) -> Result<ClipFile, ArchiveError> {
        let chunks = contents.chunks.iter().map(|chunk| Chunk {
            table: &chunk.table,
            parameters: &chunk.parameters,
            data_length: chunk.place.data_length,
        });
        let movie = Movie::new(fact, &contents.parameters, chunks)
            .map_err(|reason| ArchiveError::Movie { clip, reason })?;
        let places = contents.chunks.iter().map(|chunk| chunk.place).collect();
        Ok(ClipFile::new(self.ring.clone(), clip, fact.start, movie, places))
    }

    fn recall(&self, clip: ClipId, start: WallTime) -> Option<Arc<ClipFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // One may have been remembered behind the moment in which the clip was redated.
        let is_it = |known: &(ClipId, Arc<ClipFile>)| known.0 == clip && known.1.start() == start;
        let at = open.iter().position(is_it)?;
        let found = open.remove(at)?;
        let file = found.1.clone();
        open.push_front(found);
        Some(file)
    }

    fn remember(&self, clip: ClipId, file: &Arc<ClipFile>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_front((clip, file.clone()));
        let mut memory = 0;
        let kept = open.iter().take_while(|(_, file)| {
            memory += file.memory();
            memory <= OPEN_CLIPS_BYTES_MAX
        });
        let kept = kept.count().min(OPEN_CLIPS_MAX);
        open.truncate(kept);
    }

    /// The clip has other times: the file that is made of it is another one.
    pub fn reopen(&self, clip: ClipId) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(known, _)| *known != clip);
    }

    /// The clip is not listed any more: it is not opened from memory either.
    pub fn forget(&self, clip: ClipId) {
        self.reopen(clip);
        self.known_sets.forget(clip);
        self.index.forget(clip);
    }
}

/// The contents of a closed clip, from the index where that knows it.
pub(super) fn contents(
    index: &Index,
    ring: &Ring,
    clip: ClipId,
) -> Result<ClipContents, ArchiveError> {
    let indexed = index.contents(clip).and_then(|bytes| ClipContents::decode(&bytes).ok());
    match indexed {
        Some(contents) => Ok(contents),
        None => Ok(ring.contents(clip)?),
    }
}
