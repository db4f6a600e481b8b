//! Files of others taken apart: their tracks, and where the samples of each are, and when. Reads
//! what it is given and nothing else; no input can make it panic, or take more memory than a small
//! multiple of what is there.
//!
//! What a file says is taken as far as it can be understood, and no further than it is needed: of a
//! file that was cut off all is there that is whole, and what nobody records is only named. What
//! was left out a [`Remark`] says.
//!
//! | part | knows |
//! |---|---|
//! | `mp4` | mp4 and QuickTime files, whole, in fragments, or what is left of them |
//! | `matroska` | Matroska and WebM |
//! | `transport` | MPEG-TS, as a file or as it comes |
//! | `cursor` | numbers in bytes |
//! | `source` | where bytes are read from |
//! | `remark` | what there is to say of a file |

#![warn(clippy::indexing_slicing)]

mod cursor;
mod matroska;
mod mp4;
mod remark;
mod source;
mod transport;

pub use remark::{Problem, Remark};
pub(crate) use source::FileSource;
pub use source::Source;
pub(crate) use transport::{STAMPS_PER_SECOND, Transport, Unit};

use std::io;

use crate::units::WallTime;

/// How the samples of a track are coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coding {
    /// H.264, units behind their lengths; the configuration is an AVCDecoderConfigurationRecord
    /// (ISO/IEC 14496-15, 5.3.3.1). Without one, units behind start codes (ITU-T H.264, annex B).
    H264,
    /// H.265 likewise (ISO/IEC 14496-15, 8.3.3.1).
    H265,
    /// JPEG pictures.
    Jpeg,
    /// AAC; the configuration is an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
    Aac,
    /// Opus; the configuration is the body of a `dOps` box (Encapsulation of Opus in ISO BMFF,
    /// 4.3.2).
    Opus,
    /// FLAC; the configuration is that of a `dfLa` box behind its version and flags (Encapsulation
    /// of FLAC in ISO BMFF, 3.3.2).
    Flac,
    /// Samples, of all channels by turns.
    Pcm(PcmForm),
    /// Another one, as people call it.
    Other(String),
}

impl Coding {
    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Coding::Other(name) => name,
            known => known.known_name(),
        }
    }

    /// The same of one that is taken apart.
    #[must_use]
    pub fn known_name(&self) -> &'static str {
        match self {
            Coding::H264 => "H.264",
            Coding::H265 => "H.265",
            Coding::Jpeg => "JPEG",
            Coding::Aac => "AAC",
            Coding::Opus => "Opus",
            Coding::Flac => "FLAC",
            Coding::Pcm(PcmForm::MuLaw | PcmForm::ALaw) => "G.711",
            Coding::Pcm(_) => "PCM",
            Coding::Other(_) => "another one",
        }
    }
}

/// What samples without compression look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PcmForm {
    /// 16 bits, the low byte first.
    LittleEndian,
    /// 16 bits, the high byte first.
    BigEndian,
    /// ITU-T G.711, µ-law.
    MuLaw,
    /// ITU-T G.711, A-law.
    ALaw,
}

impl PcmForm {
    /// Bytes of a sample of one channel.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            PcmForm::LittleEndian | PcmForm::BigEndian => 2,
            PcmForm::MuLaw | PcmForm::ALaw => 1,
        }
    }
}

/// What the samples of a track are to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Sound,
    /// Anything else: text, time codes, data.
    Other,
}

/// What decodes samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How they are coded.
    pub coding: Coding,
    /// The decoder configuration, in the form that `coding` names.
    pub configuration: Vec<u8>,
    /// Width and height of pictures, in pixels, where the file says so.
    pub size: Option<(u16, u16)>,
    /// Pixel aspect ratio, horizontal and vertical, where the file says so.
    pub pixel_aspect: Option<(u16, u16)>,
    /// What its colours mean, where the file says so: `ColourPrimaries`, `TransferCharacteristics`
    /// and `MatrixCoefficients` (ISO/IEC 23091-2), and whether values have their full range.
    pub colour: Option<[u16; 4]>,
    /// What of pictures is to be seen (ISO/IEC 14496-12, 12.1.4.1), where the file says so.
    pub clean_aperture: Option<[u32; 8]>,
    /// Quarter turns clockwise that make pictures upright.
    pub quarter_turns: u8,
    /// Samples of sound a second, where the file says so.
    pub sample_rate: Option<u32>,
    /// Channels of sound, where the file says so.
    pub channels: Option<u16>,
}

impl Entry {
    /// Of a coding of which nothing else is known.
    #[must_use]
    pub fn of(coding: Coding) -> Entry {
        Entry {
            coding,
            configuration: Vec::new(),
            size: None,
            pixel_aspect: None,
            colour: None,
            clean_aperture: None,
            quarter_turns: 0,
            sample_rate: None,
            channels: None,
        }
    }
}

/// A track of a file.
#[derive(Clone, Debug)]
pub struct Track {
    /// Its number in the file, for people.
    pub number: u64,
    /// What it is.
    pub kind: Kind,
    /// Ticks a second; not 0.
    pub timescale: u32,
    /// What decodes its samples; at least one.
    pub entries: Vec<Entry>,
    /// Its samples in the order of decoding: those that are whole.
    pub samples: Vec<Sample>,
    /// How those lie in the file.
    pub(crate) packing: Packing,
}

/// How the samples of a track lie in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// As they are.
    Plain,
    /// Without these bytes, with which each begins.
    Stripped(Vec<u8>),
    /// In packets, among those of others.
    Transport(transport::Layer),
}

impl Track {
    /// Reads a sample of it.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read(&self, source: &dyn Source, sample: &Sample) -> io::Result<Vec<u8>> {
        let before = match &self.packing {
            Packing::Plain => &[][..],
            Packing::Stripped(before) => before,
            Packing::Transport(layer) => return layer.read(source, sample),
        };
        let mut data = before.to_vec();
        data.resize(before.len() + sample.size as usize, 0);
        source.read_at(sample.offset, data.get_mut(before.len()..).unwrap_or_default())?;
        Ok(data)
    }
}

/// A sample of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it is shown, in ticks from the beginning of the file.
    pub pts: i64,
    /// Where it lies, in bytes from the beginning of the file; of one in packets, the first of
    /// those.
    pub offset: u64,
    /// What that packet has before it, in bytes.
    pub skip: u8,
    /// In bytes.
    pub size: u32,
    /// Ticks to the next sample in the order of decoding, as the file says; 0 where it does not.
    pub duration: u32,
    /// Which of the track's entries decodes it.
    pub entry: u16,
    /// Whether decoding can begin here, as the file says.
    pub sync: bool,
    /// Whether it is shown; a sample that is not may be needed to decode those behind it.
    pub shown: bool,
    /// Whether samples are missing before it.
    pub is_behind_loss: bool,
}

/// What is in a file.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Its tracks, in its order.
    pub tracks: Vec<Track>,
    /// When it was made, as it says.
    pub created: Option<WallTime>,
    /// What there is to say of it.
    pub remarks: Vec<Remark>,
}

/// Samples of all tracks of a file at most: seven days at 25 frames a second.
const SAMPLES_MAX: u64 = 1 << 24;
/// Samples are longer than this on average, in bytes: forged tables that list the same bytes again
/// and again would fill the memory.
const SAMPLE_BYTES_MIN: u64 = 4;

/// Samples that all tracks of a file of so many bytes can have.
fn samples_max(length: u64) -> u64 {
    SAMPLES_MAX.min(1024 + length / SAMPLE_BYTES_MIN)
}

/// Takes a file apart. No more of its samples is read than it takes to know where they are.
///
/// # Errors
/// [`Problem`] where nothing can be made of it.
pub fn contents(source: &dyn Source) -> Result<Contents, Problem> {
    let mut head = [0; 12];
    let length = source.length().min(head.len() as u64) as usize;
    let beginning = head.get_mut(..length).unwrap_or_default();
    source.read_at(0, beginning)?;
    if mp4::is_one(&head) {
        return mp4::contents(source);
    }
    if matroska::is_one(&head) {
        return matroska::contents(source);
    }
    match transport::is_one(source)? {
        true => transport::contents(source),
        false => Err(Problem::Unknown),
    }
}
