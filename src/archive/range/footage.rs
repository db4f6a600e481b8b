//! The clips that a file is made of, as far as their samples are read.

use std::ops::Range;
use std::sync::Arc;

use super::Chunks;
use crate::archive::open::{chunks, of_contents};
use crate::archive::recent::Recent;
use crate::archive::{Archive, ArchiveError};
use crate::compilation::{PartData, PartPiece, Place, SegmentedFile};
use crate::index::Index;
use crate::mp4::Mp4Error;
use crate::ring::{ChunkPlace, ClipContents, Ring, Verified};
use crate::units::ClipId;

/// Memory that the places of chunks take which are kept at hand, in bytes.
const CHUNKS_BYTES_MAX: usize = 1 << 20;

/// A clip, and where its contents are.
#[derive(Clone)]
pub(super) struct Contents {
    pub clip: ClipId,
    /// Those that it has now, of one that still grows; the index or the ring has all others.
    pub grown: Option<Arc<ClipContents>>,
}

impl Contents {
    /// What `make` makes of them.
    ///
    /// # Errors
    /// The clip is gone, can't be read, or what `make` answers.
    pub(super) fn make<T>(
        &self,
        index: &Index,
        ring: &Ring,
        make: impl Fn(&ClipContents) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        match &self.grown {
            Some(contents) => make(contents),
            None => of_contents(index, ring, self.clip, make),
        }
    }
}

/// See the [module](self).
pub(super) struct Footage {
    ring: Arc<Ring>,
    index: Arc<Index>,
    clips: Vec<Contents>,
    /// Where the chunks of clips are, by the clips' numbers.
    chunks: Recent<usize, Vec<ChunkPlace>>,
}

impl Footage {
    pub(super) fn new(archive: &Archive, clips: Vec<Contents>) -> Footage {
        let (ring, index) = (archive.ring.clone(), archive.index.clone());
        // What is read now is kept, however large it is.
        Footage { ring, index, clips, chunks: Recent::new(CHUNKS_BYTES_MAX, 1..=usize::MAX) }
    }

    /// Whether a clip is one of them.
    pub(super) fn holds(&self, clip: ClipId) -> bool {
        self.clips.iter().any(|contents| contents.clip == clip)
    }

    pub(super) fn memory(&self) -> usize {
        self.clips.len() * size_of::<Contents>()
    }

    /// What is made of the chunks of a clip, or of none.
    ///
    /// # Errors
    /// The clip is gone, can't be read, or what `make` answers.
    pub(super) fn with<T>(
        &self,
        clip: Option<usize>,
        make: impl Fn(Chunks<'_>) -> Result<T, Mp4Error>,
    ) -> Result<T, ArchiveError> {
        let movie = |clip| move |reason| ArchiveError::Movie { clip, reason };
        let Some((number, source)) = clip.and_then(|clip| Some((clip, self.clips.get(clip)?)))
        else {
            return make(Box::new(std::iter::empty())).map_err(movie(ClipId::default()));
        };
        let (made, places) = source.make(&self.index, &self.ring, |contents| {
            let made = make(Box::new(chunks(contents))).map_err(movie(source.clip))?;
            let places: Vec<ChunkPlace> = contents.chunks.iter().map(|chunk| chunk.place).collect();
            Ok((made, places))
        })?;
        self.chunks.keep(number, places.len() * size_of::<ChunkPlace>(), places);
        Ok(made)
    }

    /// A segment of a file.
    ///
    /// # Errors
    /// As [`Footage::with`].
    pub(super) fn segment(
        &self,
        file: &SegmentedFile,
        number: usize,
    ) -> Result<PartData, ArchiveError> {
        let mut all = Vec::new();
        let mut last = None;
        for part in file.parts_of(number) {
            last = file.clip_of(part).or(last);
            let gather = |chunks: Chunks<'_>| file.gather(number, part, chunks);
            all.push(self.with(file.clip_of(part), gather)?);
        }
        let clip = last.and_then(|clip| self.clips.get(clip)).map(|contents| contents.clip);
        file.finish(number, all)
            .map_err(|reason| ArchiveError::Movie { clip: clip.unwrap_or_default(), reason })
    }

    /// Appends some bytes of samples.
    ///
    /// # Errors
    /// A clip is gone, bytes are damaged, or the device failed.
    pub(super) fn append(
        &self,
        joined: &mut Vec<u8>,
        data: &PartData,
        wanted: &Range<u64>,
    ) -> Result<(), ArchiveError> {
        let pieces = data.pieces(wanted);
        let media = self.read(pieces.iter().flat_map(places_of).collect())?;
        for piece in &pieces {
            match piece {
                PartPiece::Packed(packed, range) => {
                    let mut sample = Vec::new();
                    packed.sample().for_each(|piece| media.append(&mut sample, &piece));
                    joined.extend_from_slice(&packed.pack(&sample)[range.clone()]);
                }
                piece => media.append(joined, piece),
            }
        }
        Ok(())
    }

    /// Reads these places, those that lie together at once: samples that are apart in the file are
    /// often beside one another on the ring, where some thousand bytes have one checksum.
    fn read(&self, mut places: Vec<Place>) -> Result<Media, ArchiveError> {
        places.sort_by_key(|place| (place.clip, place.chunk, place.range.start));
        let mut together: Vec<Place> = Vec::new();
        for place in places {
            match together.last_mut() {
                Some(last)
                    if (last.clip, last.chunk) == (place.clip, place.chunk)
                        && place.range.start <= last.range.end =>
                {
                    last.range.end = last.range.end.max(place.range.end);
                }
                _ => together.push(place),
            }
        }
        let read = |place: Place| {
            let bytes = self.read_place(&place)?;
            Ok((place, bytes))
        };
        together.into_iter().map(read).collect::<Result<_, ArchiveError>>().map(Media)
    }

    fn read_place(&self, place: &Place) -> Result<Verified, ArchiveError> {
        let Place { clip: number, chunk, range } = place.clone();
        let clip = self.clips.get(number).map(|contents| contents.clip).unwrap_or_default();
        let places = match self.chunks.get(&number) {
            Some(places) => places,
            None => {
                self.with(Some(number), |_| Ok(()))?;
                self.chunks.get(&number).ok_or(ArchiveError::Gone(clip))?
            }
        };
        let place = places.get(chunk).ok_or(ArchiveError::Gone(clip))?;
        Ok(self.ring.read(clip, place, range)?)
    }
}

/// Where the bytes of a piece are on the ring.
fn places_of(piece: &PartPiece<'_>) -> Vec<Place> {
    match piece {
        PartPiece::Made(_) => Vec::new(),
        PartPiece::Media(place) => vec![place.clone()],
        PartPiece::Packed(packed, _) => {
            let places = packed.sample().filter_map(|piece| match piece {
                PartPiece::Media(place) => Some(place),
                PartPiece::Made(_) | PartPiece::Packed(..) => None,
            });
            places.collect()
        }
    }
}

/// Bytes that were read, by their places, in order.
struct Media(Vec<(Place, Verified)>);

impl Media {
    /// Appends a piece that is not made of packets: a sample is none.
    fn append(&self, joined: &mut Vec<u8>, piece: &PartPiece<'_>) {
        match piece {
            PartPiece::Made(bytes) => joined.extend_from_slice(bytes),
            PartPiece::Media(place) => joined.extend_from_slice(self.bytes(place)),
            PartPiece::Packed(..) => {}
        }
    }

    fn bytes(&self, place: &Place) -> &[u8] {
        let key = |place: &Place| (place.clip, place.chunk, place.range.start);
        let behind = self.0.partition_point(|(known, _)| key(known) <= key(place));
        let Some((known, bytes)) = behind.checked_sub(1).and_then(|at| self.0.get(at)) else {
            return &[];
        };
        let from = (place.range.start - known.range.start) as usize;
        let length = (place.range.end - place.range.start) as usize;
        bytes.get(from..from + length).unwrap_or_default()
    }
}
