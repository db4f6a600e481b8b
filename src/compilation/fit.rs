//! What all parts of a file have in common, and what of a clip fits that.

use std::sync::Arc;

use super::{SOUND, TRACKS, VIDEO, part};
use crate::mp4::layout::lead;
use crate::mp4::moov::least_common_multiple;
use crate::mp4::{Chunk, Mp4Error, entry};
use crate::segment::{ClipFact, ClockQuality, Codec, ParameterSet, TrackKind, TrackTotals};
use crate::units::{Ticks, WallTime};

/// Ticks a second of the pictures at least: what is hidden takes some, and is to be short.
const TIMESCALE_MIN: u32 = 90_000;
/// And at most: a picture can last 2³² ticks, which is six minutes then.
const TIMESCALE_MAX: u32 = 12_000_000;
/// The first version whose samples have their parameter sets with them, where they are recorded.
const SETS_IN_BAND: u16 = 2;

/// What decodes a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipSets {
    /// The first parameter set of its pictures.
    pub video: Arc<ParameterSet>,
    /// The first one of its sound, where it has any.
    pub sound: Option<Arc<ParameterSet>>,
}

impl ClipSets {
    /// Finds them in the first chunks of a clip that has those parameter sets.
    ///
    /// # Errors
    /// [`Mp4Error`]: a clip without pictures, or what can't be read.
    pub fn new<'a, P: AsRef<[u8]>>(
        fact: &ClipFact,
        parameters: &[P],
        chunks: impl IntoIterator<Item = Chunk<'a>>,
    ) -> Result<ClipSets, Mp4Error> {
        let wanted = tracks_of(fact).map(|track| track.map(|track| track.track));
        let mut found = [None, None];
        for (number, chunk) in chunks.into_iter().enumerate() {
            let table = part::decoded(number, &chunk)?;
            for track in &table.tracks {
                let Some(own) = wanted.iter().position(|it| *it == Some(track.track)) else {
                    continue;
                };
                let set = chunk.parameters.get(usize::from(track.parameters));
                let encoded = set.and_then(|set| Some((set, parameters.get(usize::from(*set))?)));
                let (set, encoded) = encoded.ok_or_else(|| Mp4Error::Disagrees {
                    place: format!("chunk {number}"),
                    what: "index of a parameter set",
                    found: track.parameters.to_string(),
                    expected: "that of one of the clip".to_owned(),
                })?;
                if found[own].is_none() {
                    let decoded = entry::decode(encoded.as_ref());
                    let number = usize::from(*set);
                    let decoded =
                        decoded.map_err(|reason| Mp4Error::Parameters { number, reason })?;
                    found[own] = Some(Arc::new(decoded));
                }
            }
            if wanted.iter().zip(&found).all(|(track, set)| track.is_none() || set.is_some()) {
                break;
            }
        }
        let [video, sound] = found;
        let video = video.ok_or(Mp4Error::NoPictures)?;
        Ok(ClipSets { video, sound })
    }
}

/// The tracks of a clip that are in the file: the first ones of their kinds.
pub(super) fn tracks_of(fact: &ClipFact) -> [Option<&TrackTotals>; TRACKS] {
    let sound = fact.tracks.iter().find(|track| track.kind == TrackKind::Audio);
    [lead(fact), sound]
}

/// When the first picture of a clip is shown: later than it begins where its first chunks are lost.
#[must_use]
pub fn first_shown(fact: &ClipFact) -> WallTime {
    fact.start.plus_nanos(
        lead(fact).map_or(0, |lead| Ticks(lead.start.0.max(0)).to_nanos(lead.timescale)),
    )
}

/// What all parts of a file have in common.
#[derive(Clone, Debug)]
pub struct Common {
    /// The sample entry of all pictures.
    pub(super) video: Arc<ParameterSet>,
    /// That of all sound.
    pub(super) sound: Option<Arc<ParameterSet>>,
    /// Ticks a second, of each track.
    pub(super) timescales: [u32; TRACKS],
    /// By how much presentation lags behind decoding, in ticks of the pictures.
    pub(super) lag: i64,
    /// Whether any clip has other parameter sets than those of the sample entry: each has to bring
    /// its own then, since those in band hold until others come.
    has_other_sets: bool,
}

impl Common {
    /// Of a file with these clips, at least one. Those that it does not [take](Common::takes) do
    /// not count.
    ///
    /// # Errors
    /// [`Mp4Error::NoPictures`] where there are none.
    pub fn new<'a>(
        clips: impl Iterator<Item = (&'a ClipFact, &'a ClipSets)>,
    ) -> Result<Common, Mp4Error> {
        let mut common: Option<Common> = None;
        let mut lags = Vec::new();
        for (fact, sets) in clips {
            let [Some(video), sound] = tracks_of(fact) else { continue };
            let common = common.get_or_insert_with(|| Common {
                video: sets.video.clone(),
                sound: None,
                timescales: [video.timescale * TIMESCALE_MIN.div_ceil(video.timescale), 1],
                lag: 0,
                has_other_sets: false,
            });
            let both = least_common_multiple(common.timescales[VIDEO], video.timescale);
            let both = both.filter(|both| *both <= TIMESCALE_MAX);
            if let (true, Some(both)) = (same_kind(&common.video, &sets.video), both) {
                common.timescales[VIDEO] = both;
                common.has_other_sets |= common.video.configuration != sets.video.configuration;
                lags.push((video.first_offset, video.timescale));
            }
            if let (None, Some(own), Some(sound)) = (&common.sound, &sets.sound, sound) {
                common.sound = Some(own.clone());
                common.timescales[SOUND] = sound.timescale;
            }
        }
        let mut common = common.ok_or(Mp4Error::NoPictures)?;
        let timescale = common.timescales[VIDEO];
        let lag = |(offset, own): (i32, u32)| i64::from(offset) * i64::from(timescale / own);
        common.lag = lags.into_iter().map(lag).max().unwrap_or(0).max(0);
        Ok(common)
    }

    /// The same of a file of key frames alone: without sound, and without reordering.
    #[must_use]
    pub fn of_key_frames(self) -> Common {
        Common { lag: 0, ..self.without_sound() }
    }

    /// The same of a file without sound.
    #[must_use]
    pub(super) fn without_sound(self) -> Common {
        let [video, _] = self.timescales;
        Common { sound: None, timescales: [video, 1], ..self }
    }

    /// What decodes the pictures, where they do not say anything else.
    #[must_use]
    pub fn video(&self) -> &ParameterSet {
        &self.video
    }

    /// What decodes the sound, where there is any.
    #[must_use]
    pub fn sound(&self) -> Option<&ParameterSet> {
        self.sound.as_deref()
    }

    /// All of it as bytes: files of the same parts that have the same are the same.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let sets = [Some(&self.video), self.sound.as_ref()];
        let mut bytes: Vec<u8> = sets.into_iter().flatten().flat_map(|set| set.encode()).collect();
        let [video, sound] = self.timescales.map(i64::from);
        for number in [video, sound, self.lag, i64::from(self.has_other_sets)] {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }

    /// Whether pictures of a clip can be in the file: they are coded alike, and their times are
    /// whole in ticks of the file.
    #[must_use]
    pub fn takes(&self, fact: &ClipFact, sets: &ClipSets) -> bool {
        let is_whole = |track: &TrackTotals| self.timescales[VIDEO].is_multiple_of(track.timescale);
        same_kind(&self.video, &sets.video) && lead(fact).is_some_and(is_whole)
    }

    /// Whether its sound can be, too: it has the same parameter set.
    #[must_use]
    pub fn takes_sound(&self, fact: &ClipFact, sets: &ClipSets) -> bool {
        let [_, sound] = tracks_of(fact);
        self.sound.is_some()
            && self.sound == sets.sound
            && sound.is_some_and(|sound| sound.timescale == self.timescales[SOUND])
    }

    /// Whether gaps can be shown as such.
    #[must_use]
    pub fn shows_gaps(&self) -> bool {
        crate::blank::pictures(&self.video, 1).is_some()
    }

    /// What goes in front of each key frame of a clip: its parameter sets, where those of the
    /// sample entry are not in force throughout, and it is not known to have them there.
    pub(super) fn prefix(&self, fact: &ClipFact, sets: &ClipSets) -> Option<Arc<[u8]>> {
        let is_recorded = fact.quality != ClockQuality::Given;
        if !self.has_other_sets || is_recorded && fact.output_version >= SETS_IN_BAND {
            return None;
        }
        entry::sets_in_band(&sets.video).filter(|sets| !sets.is_empty()).map(Arc::from)
    }

    /// So many nanoseconds in ticks of a track.
    pub(super) fn ticks(&self, track: usize, nanos: i64) -> i64 {
        Ticks::from_nanos(nanos, self.timescales[track]).0
    }
}

/// Whether one sample entry is enough for both.
fn same_kind(one: &ParameterSet, other: &ParameterSet) -> bool {
    one.codec == other.codec
        && match one.codec {
            Codec::H264 | Codec::H265 => entry::length_size(one) == entry::length_size(other),
            Codec::Jpeg => true,
            _ => one == other,
        }
}
