//! Parts of clips as one file: clips, pieces of clips, and what is made for the gaps between them.
//! Pure.
//!
//! There may be a thousand parts, of two hundred million samples: what is kept of each are its
//! sums, so that its place on the time line is known. [`Compilation`] lays them one behind another;
//! each container makes a file of that, and knows nothing of the others:
//!
//! | container | shape | made when it is read |
//! |---|---|---|
//! | [`MovieFile`] | as a clip's: `ftyp`, `moov`, `mdat` | the tables of a part |
//! | [`Compilation::fragments`] | `ftyp`, `moov`, then many `moof` and `mdat` | a segment |
//! | [`Compilation::matroska`] | what is where, then many clusters | a segment |
//! | [`Compilation::transport`] | packets of 188 bytes | a segment; packets as they are read |
//!
//! Files of segments have in common how segments are found and made: `segments` and `segmented`.
//! What has no end, because it is made of what comes, is `endless`: the same containers, sample by
//! sample.
//!
//! **What all parts have in common** is said in [`Common`]: one sample entry for all pictures, that
//! of the first part (their parameter sets are in band, or put in front of key frames here), one
//! for all sound, and one time line for each. Ticks are the least in which the times of all parts
//! are whole. What does not fit is not taken: see [`Common::takes`].
//!
//! **Decode times go on** from part to part, whatever the pictures' reordering: every composition
//! offset is made larger by as much as the part's lags behind that of the part that lags most.
//!
//! **A cut** begins with the key frame in front of it. What nobody asked for is decoded in ticks of
//! its own, one each, right in front of the first picture that is wanted, and presented there: at
//! the beginning of the file the one edit hides it, and at a join it is shown for some ten
//! microseconds each. What is needed to decode pictures that are shown earlier, and itself is shown
//! behind the end, is presented in the last ticks. This is the shape that players agree on; see
//! *Ranges* in the manual.
//!
//! A file of segments begins with that key frame instead: nobody who is fed with segments honours
//! an edit.
//!
//! **A gap** is a part, too: grey pictures, one a second, of which one in a while is a key frame,
//! and silence. Where none can be made, the last picture lasts.
//!
//! Read `fit` (what parts have in common), `clip`, `cut` and `blank` (parts), `laying` (their
//! order), then the containers; `clock` is a track of one of them.

mod blank;
mod clip;
mod clock;
mod cut;
mod ebml;
mod endless;
mod fit;
mod fragments;
mod keys;
mod laying;
mod matroska;
mod movie;
mod packets;
mod part;
mod segmented;
mod segments;
mod transport;

use std::sync::Arc;

pub use cut::{Cut, Wanted};
pub use endless::{Arriving, EndlessFile, EndlessForm, EndlessTracks, Put};
pub use fit::{ClipSets, Common, first_shown};
pub use keys::key_frames;
pub use movie::{FilePiece, MovieFile, PartTables, TableBytes};
pub use packets::Packed;
pub use part::{PartData, PartPiece, Place};
pub use segmented::{Counted, Segment, SegmentedFile, SegmentedPiece, Segmenting};
pub use segments::{Gathered, Listed, Segmenter};

use self::blank::Pattern;
use self::laying::{Laying, Shown, arrange, place, usual_packet};
use self::part::{AddSamples, Part, Source, Stretch};
use crate::mp4::layout::Presentation;
use crate::mp4::tables::TABLES;
use crate::mp4::trak::{Media, Trak};
use crate::mp4::{Chunk, Mp4Error};
use crate::segment::{ClipFact, ParameterSet};
use crate::units::{Ticks, WallTime};

/// Tracks of the file: pictures, and sound.
const TRACKS: usize = 2;
const VIDEO: usize = 0;
const SOUND: usize = 1;

/// What a file is made of, in the order in which it is shown.
#[derive(Clone, Copy, Debug)]
pub enum Ingredient<'a> {
    /// The how-manieth of the clips that the file is made of, or a piece of it. [`Common`] takes
    /// its pictures.
    Clip {
        /// Which.
        clip: usize,
        /// What the ledger says of it.
        fact: &'a ClipFact,
        /// What decodes it.
        sets: &'a ClipSets,
        /// Which piece, where it is not whole.
        cut: Option<&'a Arc<Cut>>,
    },
    /// Nothing, and it is shown as that, for so many nanoseconds.
    Blank(i64),
    /// Nothing, and the last picture lasts, for so many nanoseconds.
    Held(i64),
}

/// Grey pictures, one a second, from one key frame to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GreyGroup {
    /// As many as one segment has.
    Short = 5,
    /// As few bytes as is sensible.
    Long = 60,
}

/// Parts, one behind another on one time line.
pub struct Compilation {
    common: Common,
    parts: Vec<Part>,
    pattern: Pattern,
    /// When it begins, and how long it is, in nanoseconds.
    start: WallTime,
    total_nanos: i64,
    /// When each track is presented.
    shown: [Option<Shown>; TRACKS],
    /// Length of all samples, in bytes.
    data_length: u64,
}

/// A track of the file.
struct Track<'a> {
    number: usize,
    /// Ticks a second.
    timescale: u32,
    /// When it is presented.
    shown: Shown,
    set: &'a ParameterSet,
}

impl<'a> Track<'a> {
    /// What boxes tell of it, which is presented as `shown` says and has so many entries in its
    /// tables.
    fn trak(&self, shown: Presentation, counts: [Option<u64>; TABLES]) -> Trak<'a> {
        Trak {
            id: self.number as u32 + 1,
            media: Media::Recorded(self.set.codec.track_kind(), vec![self.set]),
            timescale: self.timescale,
            shown: Some(shown),
            media_length: self.shown.media_length,
            describes: None,
            first_duration: self.shown.first_duration,
            counts,
            sample_bytes: None,
        }
    }
}

impl Compilation {
    /// Lays out `ingredients`, the first of which begins at `start`. Of grey pictures one in
    /// `grey_group` is a key frame.
    ///
    /// # Errors
    /// [`Mp4Error::TooLarge`] where an mp4 can't hold it.
    pub fn new(
        common: Common,
        start: WallTime,
        ingredients: &[Ingredient<'_>],
        grey_group: GreyGroup,
    ) -> Result<Compilation, Mp4Error> {
        let packet = ingredients.iter().find_map(usual_packet).unwrap_or(0);
        let pattern = Pattern::new(&common, packet, grey_group as u32);
        let mut layout = Laying::new(&common, &pattern);
        for ingredient in ingredients {
            match ingredient {
                Ingredient::Clip { clip, fact, sets, cut } => {
                    layout.add_clip(*clip, fact, sets, *cut)?;
                }
                Ingredient::Blank(nanos) => layout.add_blank(*nanos)?,
                Ingredient::Held(nanos) => layout.hold(*nanos),
            }
        }
        let (mut parts, total_nanos) = layout.finish()?;
        if parts.iter().all(|part| part.stretches[VIDEO].is_none()) {
            return Err(Mp4Error::NoPictures);
        }
        let shown = arrange(&common, &mut parts, total_nanos)?;
        let data_length = place(&mut parts);
        Ok(Compilation { common, parts, pattern, start, total_nanos, shown, data_length })
    }

    /// The tracks that it has, each with its parameter set.
    fn tracks(&self) -> impl Iterator<Item = Track<'_>> {
        let sets = [Some(&*self.common.video), self.common.sound.as_deref()];
        let tracks = (0..TRACKS).zip(self.shown).zip(sets);
        tracks.filter_map(|((number, shown), set)| {
            Some(Track {
                number,
                timescale: self.common.timescales[number],
                shown: shown?,
                set: set?,
            })
        })
    }

    /// Memory that it takes, in bytes, about.
    fn memory(&self) -> usize {
        self.parts.len() * size_of::<Part>()
    }

    /// What the parts have of a track, in order.
    fn stretches(&self, track: usize) -> impl DoubleEndedIterator<Item = &Stretch> {
        self.parts.iter().filter_map(move |part| part.stretches[track].as_ref())
    }

    /// By how much the file has to begin earlier, so that nothing of a track is decoded before
    /// that; in nanoseconds.
    fn early_nanos(&self, track: usize) -> i64 {
        let first = self.stretches(track).next().map_or(0, |first| first.first);
        self.nanos(track, first).min(0).saturating_neg()
    }

    /// When a sample of a track is shown, in nanoseconds since the beginning of the file.
    fn shown_nanos(&self, track: usize, decoded: i64, composition_offset: i32) -> i64 {
        let shown = decoded + i64::from(composition_offset) - self.lag_of(track);
        self.nanos(track, shown)
    }

    /// By how much presentation of a track lags behind decoding, in its ticks.
    fn lag_of(&self, track: usize) -> i64 {
        if track == VIDEO { self.common.lag } else { 0 }
    }

    /// Ticks of a track in nanoseconds.
    fn nanos(&self, track: usize, ticks: i64) -> i64 {
        Ticks(ticks).to_nanos(self.common.timescales[track])
    }

    /// Which of the clips a part is made of; none for one that is made.
    fn clip_of(&self, part: usize) -> Option<usize> {
        match &self.parts.get(part)?.source {
            Source::Clip(clip) => Some(clip.number),
            Source::Blank(_) => None,
        }
    }

    /// Hands over all samples of a part, from the chunks of its clip where it has one.
    ///
    /// # Errors
    /// [`Mp4Error::Table`] where a table can't be read.
    fn samples<'a>(
        &self,
        part: usize,
        chunks: impl IntoIterator<Item = Chunk<'a>>,
        add: &mut AddSamples<'_>,
    ) -> Result<(), Mp4Error> {
        match &self.parts[part].source {
            Source::Clip(clip) => clip.chunks(&self.common, chunks, add),
            Source::Blank(blank) => {
                blank.chunks(&self.common, &self.pattern, add);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
