//! Codings that are recorded: the one place where a camera's word for one becomes a codec.
//!
//! [`RECORDED`] has a row for each. A row says how a description names the coding, what `segment`
//! calls it, and what can only be read from its bytes; whoever takes frames from there on asks the
//! row and knows no codec. Another codec is another row, with a file for its bytes.

use super::h264;
use crate::segment::Codec;

/// How the frames of a stream are coded.
pub(super) struct Coding {
    /// Media type (RFC 8866, 5.14) and encoding name (RFC 8866, 6.6) of a description, in lower
    /// case.
    pub(super) described: (&'static str, &'static str),
    /// What people call it.
    pub(super) name: &'static str,
    /// What the ring calls it.
    pub(super) codec: Codec,
    /// What the bytes of a frame hold.
    pub(super) content: fn(&[u8]) -> Content,
    /// Whether a frame has its own beginning: what was left out before it may have been that.
    pub(super) begins_whole: fn(&[u8]) -> bool,
    /// What a decoder configuration, in the form that the codec names, says of reordering.
    pub(super) reorder_depth: fn(&[u8]) -> ReorderDepth,
}

static RECORDED: [Coding; 1] = [h264::CODING];

/// What the bytes of a frame hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing to be decoded: only a delimiter, filler or messages.
    Nothing,
    /// A frame that decoding can begin with.
    Key,
    /// Another.
    Other,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coding_is_found_by_its_description_in_any_case_of_its_name() {
        for coding in &RECORDED {
            let (media, encoding) = coding.described;
            for name in [encoding.to_owned(), encoding.to_ascii_uppercase()] {
                let found = Coding::described_as(media, &name).expect("it is recorded");
                assert_eq!((found.name, found.codec), (coding.name, coding.codec));
            }
            assert!(Coding::described_as("application", encoding).is_none());
        }
        assert!(Coding::described_as("video", "jpeg").is_none());
    }
}
