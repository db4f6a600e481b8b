//! Elements: what a file and each of its parts consist of (RFC 8794).

use crate::demux::cursor::Cursor;
use crate::demux::{Problem, Source};
use crate::matroska::id;

/// Bytes of an identifier, and of a length, at most (RFC 8794, 5 and 6).
const ID_BYTES_MAX: u32 = 4;
const LENGTH_BYTES_MAX: u32 = 8;

/// An element of a file: what it is, and where its body lies, in bytes from the beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    pub(super) id: u32,
    pub(super) body: u64,
    /// Behind its end, which may be behind that of the file; `None` where it does not say.
    pub(super) end: Option<u64>,
}

impl Element {
    /// The element that begins at `start`; `None` where none does.
    pub(super) fn read(source: &dyn Source, start: u64) -> Result<Option<Element>, Problem> {
        let mut bytes = [0; 12];
        let left = source.length().saturating_sub(start).min(bytes.len() as u64) as usize;
        let there = bytes.get_mut(..left).unwrap_or_default();
        source.read_at(start, there)?;
        let mut at = Cursor(there);
        let header = identifier(&mut at).zip(length(&mut at));
        let body = start + (there.len() - at.0.len()) as u64;
        Ok(header.map(|(id, length)| {
            let end = length.map(|length| body.saturating_add(length));
            Element { id, body, end }
        }))
    }

    /// Whether it may stand in a cluster, or in a group of one (RFC 9559, 5.1.3).
    pub(super) fn is_of_cluster(&self) -> bool {
        matches!(
            self.id,
            id::TIMESTAMP
                | id::POSITION
                | id::PREV_SIZE
                | id::SILENT_TRACKS
                | id::SIMPLE_BLOCK
                | id::BLOCK_GROUP
                | id::BLOCK
                | id::BLOCK_DURATION
                | id::BLOCK_ADDITIONS
                | id::REFERENCE_BLOCK
                | id::REFERENCE_PRIORITY
                | id::DISCARD_PADDING
                | id::CODEC_STATE
                | id::SLICES
                | id::VOID
                | id::CRC_32
        )
    }

    /// Whether it stands beside clusters.
    pub(super) fn is_of_segment(&self) -> bool {
        self.is_unneeded() || matches!(self.id, id::INFO | id::TRACKS | id::CLUSTER)
    }

    /// Whether nothing is missing where it is cut off: what tells players where to jump, and what
    /// people have written beside.
    pub(super) fn is_unneeded(&self) -> bool {
        matches!(
            self.id,
            id::EBML
                | id::SEEK_HEAD
                | id::CUES
                | id::ATTACHMENTS
                | id::CHAPTERS
                | id::TAGS
                | id::VOID
                | id::CRC_32
        )
    }

    /// Whether it can be as long as that, in bytes.
    pub(super) fn may_have(&self, bytes: u64) -> bool {
        match self.id {
            id::TIMESTAMP | id::BLOCK_DURATION => bytes <= 8,
            id::INFO | id::TRACKS => bytes <= super::DESCRIPTION_BYTES_MAX,
            _ => true,
        }
    }
}

/// An identifier, its marker included.
fn identifier(at: &mut Cursor<'_>) -> Option<u32> {
    let first = at.u8()?;
    let more = first.leading_zeros();
    if more >= ID_BYTES_MAX {
        return None;
    }
    let rest = at.take(more as usize)?;
    Some(rest.iter().fold(u32::from(first), |id, byte| id << 8 | u32::from(*byte)))
}

/// A number of as many bytes as its first one says, without its marker.
pub(super) fn variable(at: &mut Cursor<'_>) -> Option<u64> {
    let (value, _) = marked(at)?;
    Some(value)
}

/// The same, and whether all of its bits are set.
fn marked(at: &mut Cursor<'_>) -> Option<(u64, bool)> {
    let first = at.u8()?;
    let more = first.leading_zeros();
    if more >= LENGTH_BYTES_MAX {
        return None;
    }
    let rest = at.take(more as usize)?;
    let value = u64::from(first) & (0x7f >> more);
    let value = rest.iter().fold(value, |value, byte| value << 8 | u64::from(*byte));
    Some((value, value == (1 << (7 * (more + 1))) - 1))
}

/// A length; within, `None` where it is not known.
#[expect(clippy::option_option, reason = "there may be none, or one that says nothing")]
fn length(at: &mut Cursor<'_>) -> Option<Option<u64>> {
    let (length, is_unknown) = marked(at)?;
    Some((!is_unknown).then_some(length))
}

/// The elements within the body of another, up to one that is cut off.
pub(super) fn children(body: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut at = Cursor(body);
    std::iter::from_fn(move || {
        let (id, length) = (identifier(&mut at)?, length(&mut at)??);
        Some((id, at.take(usize::try_from(length).ok()?)?))
    })
}

/// The first element of a kind within the body of another.
pub(super) fn child(body: &[u8], wanted: u32) -> Option<&[u8]> {
    children(body).find(|(id, _)| *id == wanted).map(|(_, body)| body)
}

/// A number within the body of another element (RFC 8794, 7.2).
pub(super) fn integer_in(body: &[u8], wanted: u32) -> Option<u64> {
    child(body, wanted).and_then(integer)
}

pub(super) fn integer(body: &[u8]) -> Option<u64> {
    (body.len() <= 8).then(|| body.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// The same of one with a point (RFC 8794, 7.3).
pub(super) fn float_in(body: &[u8], wanted: u32) -> Option<f64> {
    let mut at = Cursor(child(body, wanted)?);
    match at.0.len() {
        4 => Some(f32::from_bits(at.u32()?).into()),
        8 => Some(f64::from_bits(at.u64()?)),
        _ => None,
    }
}

/// Where the next cluster begins at `from` or behind it.
pub(super) fn next_cluster(source: &dyn Source, from: u64) -> Result<Option<u64>, Problem> {
    let wanted = id::CLUSTER.to_be_bytes();
    let mut window = vec![0; super::WINDOW_BYTES];
    let mut at = from;
    while at < source.length() {
        let there = (source.length() - at).min(window.len() as u64) as usize;
        let Some(read) = window.get_mut(..there) else { break };
        source.read_at(at, read)?;
        for place in memchr::memmem::find_iter(read, &wanted) {
            let start = at + place as u64;
            // It says first when it is (RFC 9559, 5.1.3.1), maybe behind a checksum (RFC 8794,
            // 11.3.1).
            let Some(cluster) = Element::read(source, start)? else { continue };
            let within = Element::read(source, cluster.body)?;
            if within.is_some_and(|it| matches!(it.id, id::TIMESTAMP | id::CRC_32)) {
                return Ok(Some(start));
            }
        }
        // It may lie across the end of the window.
        at += (there as u64).saturating_sub(wanted.len() as u64 - 1).max(1);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_say_what_they_are_and_how_long() {
        let bytes = [0x42, 0x86, 0x81, 1, 0xec, 0x40, 0x02, 0, 0, 0xa3, 0x85, 1];
        let found: Vec<(u32, usize)> =
            children(&bytes).map(|(id, body)| (id, body.len())).collect();
        assert_eq!(found, [(0x4286, 1), (0xec, 2)], "the last one is cut off");
        let cluster = [0x1f, 0x43, 0xb6, 0x75, 0x01, 255, 255, 255, 255, 255, 255, 255, 0xe7];
        let element = Element::read(&&cluster[..], 0).expect("it is read").expect("an element");
        assert_eq!((element.id, element.body, element.end), (id::CLUSTER, 12, None));
        for bytes in [&[0_u8; 12][..], &[0x1f, 0x43], &[0xa3, 0]] {
            assert!(Element::read(&bytes, 0).expect("it is read").is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn numbers_are_of_any_length() {
        let mut at = Cursor(&[0x81, 0x40, 0x7f, 0xff, 0x10, 0, 1, 2]);
        let read = [(); 4].map(|()| variable(&mut at));
        assert_eq!(read, [Some(1), Some(127), Some(127), Some(258)]);
        assert_eq!((integer(&[]), integer(&[1, 2]), integer(&[0; 9])), (Some(0), Some(258), None));
        let body = [0xb5, 0x84, 0x46, 0xfa, 0, 0];
        assert_eq!(float_in(&body, id::SAMPLING_FREQUENCY), Some(32_000.0));
    }
}
