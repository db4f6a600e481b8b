//! Boxes: what a file and each of its boxes consist of (ISO/IEC 14496-12, 4.2).

use crate::demux::cursor::Cursor;
use crate::demux::{Problem, Source};

/// What a box is.
pub(super) type BoxType = [u8; 4];

/// The boxes within the body of another, up to one that is cut off.
pub(super) fn children(body: &[u8]) -> impl Iterator<Item = (BoxType, &[u8])> {
    let mut rest = Cursor(body);
    std::iter::from_fn(move || {
        let mut at = rest;
        let (short, kind) = (at.u32()?, at.array()?);
        let (length, header) = match short {
            0 => (rest.0.len() as u64, 8),
            1 => (at.u64()?, 16),
            length => (u64::from(length), 8),
        };
        let length = usize::try_from(length).ok()?.checked_sub(header)?;
        let body = at.take(length)?;
        rest = at;
        Some((kind, body))
    })
}

/// The first box of a kind within the body of another.
pub(super) fn child<'a>(body: &'a [u8], kind: &BoxType) -> Option<&'a [u8]> {
    children(body).find(|(found, _)| found == kind).map(|(_, body)| body)
}

/// The body of a full box behind its version and flags (ISO/IEC 14496-12, 4.2), and those.
pub(super) fn full(body: &[u8]) -> Option<(u8, u32, Cursor<'_>)> {
    let mut body = Cursor(body);
    let word = body.u32()?;
    Some(((word >> 24) as u8, word & 0x00ff_ffff, body))
}

/// A box of a file: what it is, and where its body lies, in bytes from the beginning of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) kind: BoxType,
    /// Where the box begins.
    pub(super) start: u64,
    pub(super) body: u64,
    /// Behind its end, which may be behind that of the file.
    pub(super) end: u64,
}

impl Header {
    /// The box that begins at `start`; `None` where none does.
    pub(super) fn read(source: &dyn Source, start: u64) -> Result<Option<Header>, Problem> {
        let left = source.length().saturating_sub(start);
        let mut bytes = [0; 16];
        let length = left.min(bytes.len() as u64) as usize;
        let there = bytes.get_mut(..length).unwrap_or_default();
        source.read_at(start, there)?;
        let mut at = Cursor(there);
        let (Some(short), Some(kind)) = (at.u32(), at.array()) else { return Ok(None) };
        let (length, header) = match short {
            0 => (left, 8),
            1 => match at.u64() {
                Some(length) => (length, 16),
                None => return Ok(None),
            },
            length => (u64::from(length), 8),
        };
        let is_named = kind.iter().all(|byte| (0x20..0x7f).contains(byte) || *byte == 0xa9);
        if length < header || !is_named {
            return Ok(None);
        }
        let end = start.saturating_add(length);
        Ok(Some(Header { kind, start, body: start + header, end }))
    }
}
