//! Codings that are recorded: the one place where a camera's word for one becomes a codec.
//!
//! [`RECORDED`] has a row for each. A row says how a description names the coding, what its units
//! look like, and what can only be read from its bytes; whoever takes frames from there on asks the
//! row and knows no codec. Another codec is another row, with a file for its bytes.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::h264;
use super::sdp::Format;
use super::sets::Sets;
use super::units::Syntax;
use crate::segment::ParameterSet;

/// How the frames of a stream are coded.
pub(super) struct Coding {
    /// Media type (RFC 8866, 5.14) and encoding name (RFC 8866, 6.6) of a description, in lower
    /// case.
    pub(super) described: (&'static str, &'static str),
    /// Ticks a second, where the payload format leaves no choice: some descriptions say another,
    /// and the camera stamps as it should.
    pub(super) clock_rate: Option<u32>,
    /// What people call it.
    pub(super) name: &'static str,
    /// What its units look like.
    pub(super) syntax: &'static Syntax,
    /// Parameter sets that a description tells.
    pub(super) told_sets: fn(&Format) -> Vec<Vec<u8>>,
    /// Puts units in front of a picture's, behind what has to be first.
    pub(super) with_front: fn(Vec<u8>, &[u8]) -> Vec<u8>,
    /// What decodes the picture that a unit belongs to; `None` where the sets do not say.
    pub(super) decoding: fn(&Sets, &[u8]) -> Option<Decoding>,
}

static RECORDED: [Coding; 1] = [h264::CODING];

/// What the parameter sets of a picture say.
pub(super) struct Decoding {
    pub(super) set: ParameterSet,
    pub(super) reorder_depth: ReorderDepth,
    /// A picture may be two fields, each of which begins like a picture.
    pub(super) has_fields: bool,
    /// RFC 6381 name of the codec.
    pub(super) codec: String,
    /// Pictures a second.
    pub(super) frame_rate: Option<f64>,
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

    /// All that could have been recorded, for people.
    pub(super) fn names() -> String {
        let names: Vec<&str> = RECORDED.iter().map(|coding| coding.name).collect();
        names.join(" or ")
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
            assert!(Coding::described_as("application", encoding).is_none());
        }
        assert!(Coding::described_as("video", "jpeg").is_none());
    }
}
