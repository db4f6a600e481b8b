//! Parameter sets: what a decoder has to know before the first sample.

#![warn(clippy::indexing_slicing)]

use super::table::TrackKind;
use crate::wire::{Decoder, Encoder, Malformed};

const VERSION: u8 = 1;

/// How the samples of a track are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264; the configuration is an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
    H264,
    /// H.265; the configuration is an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1).
    H265,
    /// AAC; the configuration is an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
    Aac,
    /// Opus; the configuration is the body of a `dOps` box (Encapsulation of Opus in ISO BMFF,
    /// 4.3.2).
    Opus,
    /// Timed text records; the configuration is their MIME type (ISO/IEC 14496-12, 12.3.3, `mett`).
    TimedText,
    /// FLAC; the configuration is the body of a `dfLa` box behind its version and flags
    /// (Encapsulation of FLAC in ISO BMFF, 3.3.2): metadata blocks, the first of them STREAMINFO.
    Flac,
    /// JPEG pictures, each of them whole (ITU-T T.81); there is no configuration.
    Jpeg,
    /// What a later program records, under a number that this one does not know.
    Unknown(u8),
}

impl Codec {
    const ALL: [Codec; 7] = [
        Codec::H264,
        Codec::H265,
        Codec::Aac,
        Codec::Opus,
        Codec::TimedText,
        Codec::Flac,
        Codec::Jpeg,
    ];

    fn code(self) -> u8 {
        match self {
            Codec::H264 => 0,
            Codec::H265 => 1,
            Codec::Aac => 2,
            Codec::Opus => 3,
            Codec::TimedText => 4,
            Codec::Flac => 5,
            Codec::Jpeg => 6,
            Codec::Unknown(code) => code,
        }
    }

    fn from_code(code: u8) -> Codec {
        Codec::ALL.get(usize::from(code)).copied().unwrap_or(Codec::Unknown(code))
    }

    /// Whether the first programs of version 1 of the ring's format have no word for it.
    #[must_use]
    pub fn is_later(self) -> bool {
        matches!(self, Codec::Flac | Codec::Jpeg | Codec::Unknown(_))
    }

    /// The kind of track that such samples make; nobody knows of one that is not known.
    #[must_use]
    pub fn track_kind(self) -> TrackKind {
        match self {
            Codec::H264 | Codec::H265 | Codec::Jpeg => TrackKind::Video,
            Codec::Aac | Codec::Opus | Codec::Flac => TrackKind::Audio,
            Codec::TimedText => TrackKind::Timed,
            Codec::Unknown(code) => TrackKind::Unknown(code),
        }
    }
}

/// What only pictures have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoParameters {
    /// Cropped width, in pixels.
    pub width: u16,
    /// Cropped height, in pixels.
    pub height: u16,
    /// Pixel aspect ratio, horizontal and vertical; 1:1 where the stream says nothing.
    pub pixel_aspect: (u16, u16),
    /// What is said of them beside the stream.
    pub look: Look,
}

/// How pictures are to be seen, where the stream itself does not say it: what a container said of
/// imported ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Quarter turns clockwise, 0 to 3, that make them upright.
    pub quarter_turns: u8,
    /// What their colours mean.
    pub colour: Option<Colour>,
    /// What of them is to be seen: width, height and the offsets of the middle, horizontal and
    /// vertical, each as a numerator and a denominator (ISO/IEC 14496-12, 12.1.4.1 `clap`).
    pub clean_aperture: Option<[u32; 8]>,
}

/// What colours mean (ISO/IEC 23091-2, 8.1 to 8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// `ColourPrimaries`.
    pub primaries: u16,
    /// `TransferCharacteristics`.
    pub transfer: u16,
    /// `MatrixCoefficients`.
    pub matrix: u16,
    /// Whether values have their full range.
    pub is_full_range: bool,
}

/// Marks of what a parameter set says of pictures: size and shape, and their look behind that.
const WITH_VIDEO: u8 = 1;
const WITH_LOOK: u8 = 2;

/// What only audio has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioParameters {
    /// Samples a second.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u16,
}

/// Everything a decoder has to know before the first sample; becomes one sample entry of an mp4.
/// Two sets are the same when their encodings are: they are compared by bytes, never by a
/// camera's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSet {
    /// How the samples are coded.
    pub codec: Codec,
    /// The decoder configuration, in the form that `codec` names.
    pub configuration: Vec<u8>,
    /// Present for video.
    pub video: Option<VideoParameters>,
    /// Present for audio.
    pub audio: Option<AudioParameters>,
}

impl Look {
    /// As the stream says.
    pub const PLAIN: Look = Look { quarter_turns: 0, colour: None, clean_aperture: None };

    fn encode(&self, to: &mut Encoder) {
        to.byte(self.quarter_turns);
        to.byte(u8::from(self.colour.is_some()));
        if let Some(Colour { primaries, transfer, matrix, is_full_range }) = self.colour {
            for code in [primaries, transfer, matrix] {
                to.u32(u32::from(code));
            }
            to.byte(u8::from(is_full_range));
        }
        to.byte(u8::from(self.clean_aperture.is_some()));
        for number in self.clean_aperture.iter().flatten() {
            to.u32(*number);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Look, Malformed> {
        let quarter_turns = from.byte("quarter turns")?;
        if quarter_turns > 3 {
            return Err(from.wrong("quarter turns", format!("{quarter_turns}, expected 0 to 3")));
        }
        let colour = match from.byte("colour mark")? {
            0 => None,
            _ => Some(Colour {
                primaries: from.u16("colour")?,
                transfer: from.u16("colour")?,
                matrix: from.u16("colour")?,
                is_full_range: from.byte("colour range")? != 0,
            }),
        };
        let mut clean_aperture = None;
        if from.byte("clean aperture mark")? != 0 {
            let mut numbers = [0; 8];
            for number in &mut numbers {
                *number = from.u32("clean aperture")?;
            }
            clean_aperture = Some(numbers);
        }
        Ok(Look { quarter_turns, colour, clean_aperture })
    }
}

impl ParameterSet {
    /// Whether the first programs of version 1 of the ring's format can't read it.
    #[must_use]
    pub fn is_later(&self) -> bool {
        self.codec.is_later() || self.video.is_some_and(|video| video.look != Look::default())
    }

    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new(VERSION);
        to.byte(self.codec.code());
        to.bytes(&self.configuration);
        let has_look = self.video.is_some_and(|video| video.look != Look::default());
        to.byte(match self.video {
            None => 0,
            Some(_) if has_look => WITH_LOOK,
            Some(_) => WITH_VIDEO,
        });
        if let Some(video) = self.video {
            for number in [video.width, video.height, video.pixel_aspect.0, video.pixel_aspect.1] {
                to.u32(u32::from(number));
            }
            if has_look {
                video.look.encode(&mut to);
            }
        }
        to.byte(u8::from(self.audio.is_some()));
        if let Some(audio) = self.audio {
            to.u32(audio.sample_rate);
            to.u32(u32::from(audio.channels));
        }
        to.finish()
    }

    /// Reads what [`ParameterSet::encode`] wrote.
    ///
    /// # Errors
    /// Names the first field that is not what it should be; video without a picture size and
    /// audio without a rate are errors, too.
    pub fn decode(bytes: &[u8]) -> Result<ParameterSet, Malformed> {
        let mut from = Decoder::new(bytes, VERSION, "parameter set")?;
        let codec = Codec::from_code(from.byte("codec")?);
        let configuration = from.bytes("decoder configuration")?.to_vec();
        let video = match from.byte("video mark")? {
            0 => None,
            mark => Some(VideoParameters {
                width: from.u16("picture width")?,
                height: from.u16("picture height")?,
                pixel_aspect: (from.u16("pixel aspect")?, from.u16("pixel aspect")?),
                look: match mark {
                    WITH_LOOK => Look::decode(&mut from)?,
                    _ => Look::default(),
                },
            }),
        };
        let audio = match from.byte("audio mark")? {
            0 => None,
            _ => Some(AudioParameters {
                sample_rate: from.u32("sample rate")?,
                channels: from.u16("channels")?,
            }),
        };
        let kind = codec.track_kind();
        let is_known = !matches!(codec, Codec::Unknown(_));
        if is_known
            && ((kind == TrackKind::Video) != video.is_some()
                || (kind == TrackKind::Audio) != audio.is_some())
        {
            return Err(from.wrong("parameter set", format!("wrong kind of facts for {codec:?}")));
        }
        from.finish("parameter set")?;
        Ok(ParameterSet { codec, configuration, video, audio })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn look(numbers: (u16, u16, u16, u16, u32, u16)) -> Look {
        let colour = Colour {
            primaries: numbers.0,
            transfer: numbers.1,
            matrix: numbers.2,
            is_full_range: numbers.3.is_multiple_of(2),
        };
        Look {
            quarter_turns: (numbers.5 % 4) as u8,
            colour: (!numbers.4.is_multiple_of(3)).then_some(colour),
            clean_aperture: numbers.4.is_multiple_of(5).then_some([numbers.4; 8]),
        }
    }

    fn parameters() -> impl Strategy<Value = ParameterSet> {
        let configuration = prop::collection::vec(any::<u8>(), 0..200);
        let numbers = any::<(u16, u16, u16, u16, u32, u16)>();
        (0..9_u8, configuration, numbers).prop_map(|(codec, configuration, numbers)| {
            let codec = Codec::from_code(codec);
            let video = VideoParameters {
                width: numbers.0,
                height: numbers.1,
                pixel_aspect: (numbers.2, numbers.3),
                look: look(numbers),
            };
            let audio = AudioParameters { sample_rate: numbers.4, channels: numbers.5 };
            ParameterSet {
                codec,
                configuration,
                video: (codec.track_kind() == TrackKind::Video || codec == Codec::Unknown(8))
                    .then_some(video),
                audio: (codec.track_kind() == TrackKind::Audio).then_some(audio),
            }
        })
    }

    #[test]
    fn every_codec_stands_at_its_code() {
        for (code, codec) in (0..).zip(Codec::ALL) {
            assert_eq!(codec.code(), code);
        }
        for code in 0..=u8::MAX {
            assert_eq!(Codec::from_code(code).code(), code);
        }
    }

    #[test]
    fn facts_of_the_wrong_kind_are_refused() {
        let configuration = vec![1, 2, 3];
        let set = ParameterSet { codec: Codec::H264, configuration, video: None, audio: None };
        ParameterSet::decode(&set.encode()).expect_err("video without a picture");
    }

    proptest! {
        #[test]
        fn a_parameter_set_comes_back(set in parameters()) {
            let bytes = set.encode();
            prop_assert_eq!(ParameterSet::decode(&bytes), Ok(set));
            for length in 0..bytes.len() {
                prop_assert!(ParameterSet::decode(&bytes[..length]).is_err());
            }
        }

        #[test]
        fn arbitrary_bytes_are_a_value_or_a_reason(
            bytes in prop::collection::vec(any::<u8>(), 0..100)
        ) {
            let _ = ParameterSet::decode(&bytes);
        }
    }
}
