//! Files without an end: samples one by one, as they come. Pure.
//!
//! Nothing is known of what follows: a sample of mp4 is a fragment of its own, a cluster of
//! Matroska has no length, and MPEG-TS has been made for this. The file begins with a key frame,
//! which is decoded at its time zero.
//!
//! | container | in front | a sample | when there is nothing |
//! |---|---|---|---|
//! | `movie` | `ftyp`, `moov` | `moof`, `mdat` | an empty `free` |
//! | `matroska` | the segment, without a length | a block, in clusters | a `Void` |
//! | `transport` | nothing | packets; tables in front of key frames | an empty packet |

mod matroska;
mod movie;
mod transport;

use std::sync::Arc;

use self::matroska::Clusters;
use self::movie::Movie;
use self::transport::Packets;
use super::segments::Placed;
use super::{SOUND, VIDEO, transport as packed};
use crate::segment::{Codec, ParameterSet};
use crate::units::{Ticks, WallTime};

/// What decodes the tracks of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndlessTracks {
    /// Pictures.
    pub video: Arc<ParameterSet>,
    /// Sound, where there is any.
    pub sound: Option<Arc<ParameterSet>>,
}

impl EndlessTracks {
    /// Whether samples of the others have a place in a file of these: sets of pictures that are
    /// coded alike come in band.
    #[must_use]
    pub fn go_on_with(&self, others: &EndlessTracks) -> bool {
        let (own, other) = (&self.video, &others.video);
        own.codec == other.codec && own.video == other.video && self.sound == others.sound
    }

    /// Those that there are, with their numbers.
    fn each(&self) -> impl Iterator<Item = (usize, &ParameterSet)> {
        let sets = [(VIDEO, Some(&self.video)), (SOUND, self.sound.as_ref())];
        sets.into_iter().filter_map(|(track, set)| Some((track, &**set?)))
    }
}

/// A container that needs no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndlessForm {
    /// Fragmented mp4 (ISO/IEC 14496-12, 8.8).
    Movie,
    /// Matroska (RFC 9559).
    Matroska,
    /// MPEG-TS (ISO/IEC 13818-1).
    Transport,
}

impl EndlessForm {
    /// All of them, by what a name ends in.
    pub const ALL: [(&'static str, EndlessForm); 3] = [
        (".mp4", EndlessForm::Movie),
        (".mkv", EndlessForm::Matroska),
        (".ts", EndlessForm::Transport),
    ];
}

/// A sample as it comes. Times are in nanoseconds since the beginning of the file.
#[derive(Clone, Copy, Debug)]
pub struct Arriving<'a> {
    /// Of sound, or a picture.
    pub is_sound: bool,
    /// When it is decoded: not before the one of its track before.
    pub decoded_nanos: i64,
    /// When it is shown, or heard.
    pub shown_nanos: i64,
    /// How long it lasts, about.
    pub length_nanos: i64,
    /// Decoding can begin with it.
    pub is_sync: bool,
    /// Its bytes.
    pub data: &'a [u8],
}

impl Arriving<'_> {
    fn track(&self) -> usize {
        if self.is_sound { SOUND } else { VIDEO }
    }

    /// The same in a file of so many ticks a second, without its bytes.
    fn placed(&self, timescale: u32) -> Placed {
        let ticks = |nanos| Ticks::from_nanos(nanos, timescale).0;
        let decoded = ticks(self.decoded_nanos);
        let offset = ticks(self.shown_nanos) - decoded;
        Placed {
            decoded,
            composition_offset: offset.clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            duration: ticks(self.length_nanos).clamp(1, u32::MAX.into()) as u32,
            is_sync: self.is_sync,
            size: self.data.len() as u32,
            data: Vec::new(),
        }
    }
}

/// Bytes of a file for a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// These, and then those of the sample.
    InFront(Vec<u8>),
    /// These, which have those of the sample in them.
    Whole(Vec<u8>),
}

/// A kind of file without an end.
trait Endless: Send {
    /// What stands in front of the samples.
    fn header(&self) -> Vec<u8>;

    /// The next sample.
    fn put(&mut self, sample: &Arriving<'_>) -> Put;

    /// What is passed by whoever reads: between two samples, when there is none.
    fn nothing(&self) -> Vec<u8>;
}

/// A file without an end, as it is made.
pub struct EndlessFile(Box<dyn Endless>);

impl EndlessFile {
    /// One that begins at `start`.
    ///
    /// # Errors
    /// In words: why there is none.
    pub fn new(
        form: EndlessForm,
        tracks: &EndlessTracks,
        start: WallTime,
    ) -> Result<EndlessFile, String> {
        if let Codec::Unknown(code) = tracks.video.codec {
            return Err(format!("its pictures are of a coding, {code}, that is not known"));
        }
        Ok(EndlessFile(match form {
            EndlessForm::Movie => Box::new(Movie::new(tracks.clone(), start)),
            EndlessForm::Matroska => Box::new(Clusters::new(tracks.clone(), start)),
            EndlessForm::Transport if packed::fits(&tracks.video) => Box::new(Packets::new(tracks)),
            EndlessForm::Transport => {
                return Err("MPEG-TS has no place for such pictures; .mp4 and .mkv have".to_owned());
            }
        }))
    }

    /// What stands in front of the samples, in bytes.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        self.0.header()
    }

    /// The next sample.
    pub fn put(&mut self, sample: &Arriving<'_>) -> Put {
        self.0.put(sample)
    }

    /// Bytes between two samples that whoever reads passes.
    #[must_use]
    pub fn nothing(&self) -> Vec<u8> {
        self.0.nothing()
    }
}
