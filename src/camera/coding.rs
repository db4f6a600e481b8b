//! Codings that are recorded: the one place where a camera's word for one becomes a codec.
//!
//! [`RECORDED`] has a row for each. A row says how a description names the coding and what puts its
//! frames together; whoever takes frames from there on asks the row and knows no codec. Another
//! codec is another row, with a file for its bytes.

use std::sync::Arc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::odd::Odd;
use super::parameters::Parameters;
use super::rtp::Packet;
use super::sdp::Format;
use super::source::Place;
use super::track::{SoundFacts, VideoFacts};
use super::{aac, h264, h265, jpeg, opus, pcm, records};
use crate::clock::Reading;
use crate::segment::TrackKind;

/// How the frames of a stream are coded.
pub(super) struct Coding {
    /// Media type (RFC 8866, 5.14) and encoding name (RFC 8866, 6.6) of a description, in lower
    /// case.
    pub(super) described: (&'static str, &'static str),
    /// What such a track is.
    pub(super) kind: TrackKind,
    /// Ticks a second, where the payload format leaves no choice: some descriptions say another,
    /// and the camera stamps as it should.
    pub(super) clock_rate: Option<u32>,
    /// What people call it.
    pub(super) name: &'static str,
    /// What puts its frames together; or why nothing can, as it is described.
    pub(super) depacketizer: fn(&Format) -> Result<Box<dyn Depacketizer>, String>,
}

static RECORDED: [Coding; 10] = [
    h264::CODING,
    h265::CODING,
    jpeg::CODING,
    aac::CODING,
    opus::CODING,
    pcm::PCMU,
    pcm::PCMA,
    pcm::L16,
    records::TEXT,
    records::GZIP,
];

/// Puts the frames of one track together from its packets. What comes is bounded and in order.
pub(super) trait Depacketizer: Send + Sync {
    /// Takes the next packet.
    ///
    /// # Errors
    /// If nothing can be made of it; what there is goes on.
    fn push(&mut self, packet: &Packet<'_>, place: Place, received: &Reading) -> Result<(), Odd>;

    /// The next frame that is complete.
    fn next(&mut self) -> Option<Coded>;

    /// Whether a frame waits for the next packet that may be complete.
    fn waits(&self) -> bool {
        false
    }

    /// Nothing more comes, or not soon: what waits is taken as complete.
    fn flush(&mut self) {}

    /// Frames so far, whether they could be decoded or not.
    fn heard(&self) -> Heard;

    /// Whether it is known what decodes them; a description tells all of sound and records.
    fn has_parameters(&self) -> bool {
        true
    }

    /// What is known of its pictures, where it has any.
    fn video_facts(&self) -> VideoFacts {
        VideoFacts::default()
    }

    /// What is known of its sound, where it is any.
    fn sound_facts(&self) -> Option<SoundFacts> {
        None
    }
}

/// Frames that have come of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) frames: u64,
    pub(super) key_frames: u64,
}

/// A frame, without what it has in common with all others of its track. See
/// [`Frame`](super::Frame).
#[derive(Clone, Debug)]
pub(super) struct Coded {
    pub(super) time: i64,
    pub(super) data: Vec<u8>,
    pub(super) is_key: bool,
    pub(super) is_recovery: bool,
    pub(super) is_leading: bool,
    pub(super) duration: Option<u32>,
    pub(super) parameters: Option<Arc<Parameters>>,
    pub(super) lost_packets: u32,
    pub(super) received: Reading,
}

/// How many frames may be decoded before one that is shown before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReorderDepth {
    /// The parameters say so.
    Known(usize),
    /// Nothing says so: taken as 0 until a presentation time goes back.
    Unknown,
}

impl Coding {
    /// The coding that a description means; `None` where it is none that is recorded.
    pub(super) fn described_as(media: &str, encoding: &str) -> Option<&'static Coding> {
        RECORDED.iter().find(|coding| {
            let (known_media, known_encoding) = coding.described;
            known_media == media && known_encoding.eq_ignore_ascii_case(encoding)
        })
    }

    /// All pictures that could have been recorded, for people.
    pub(super) fn names() -> String {
        let pictures = RECORDED.iter().filter(|coding| coding.kind == TrackKind::Video);
        let names: Vec<&str> = pictures.map(|coding| coding.name).collect();
        match names.split_last() {
            Some((last, others)) if !others.is_empty() => {
                format!("{} or {last}", others.join(", "))
            }
            _ => names.concat(),
        }
    }
}

/// Bytes of a description, with or without padding; `None` where there are none.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let text = text.trim().trim_matches('"');
    let bytes = GeneralPurpose::new(&STANDARD, LENIENT).decode(text).ok()?;
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coding_is_found_by_its_description_in_any_case_of_its_name() {
        for coding in &RECORDED {
            let (media, encoding) = coding.described;
            for name in [encoding.to_owned(), encoding.to_ascii_uppercase()] {
                let found = Coding::described_as(media, &name).expect("it is recorded");
                assert_eq!(found.name, coding.name);
            }
            assert!(Coding::described_as("text", encoding).is_none());
        }
        assert!(Coding::described_as("video", "vp8").is_none());
    }
}
