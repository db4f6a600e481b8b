//! NAL units: how packets carry them, and the few things of their bytes that pictures depend on.
//!
//! What codecs do apart is a [`Syntax`]; whoever puts pictures together asks it and knows no codec.

/// What is at the beginning of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// The payload is a unit.
    Single,
    /// Units, each with a length of two bytes before it, behind so many bytes.
    Aggregate(usize),
    /// A piece of a unit.
    Fragment(Fragment),
    /// What nobody sends, or nobody needs.
    Unknown,
}

/// A piece of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    /// The header of the whole unit, and its length.
    pub(super) header: [u8; 2],
    pub(super) header_length: usize,
    /// Where its bytes begin in the payload.
    pub(super) body: usize,
    pub(super) is_first: bool,
    pub(super) is_last: bool,
}

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A part of a picture.
    Slice {
        role: Role,
        /// The picture begins with it.
        is_first: bool,
    },
    /// What decodes pictures: sets in the order in which decoders want them, then by their number.
    Set(u8, u32),
    /// Says that a picture begins.
    Delimiter,
    /// Says that decoding can begin with the picture that it is before, and that what is decoded is
    /// right some pictures later.
    Recovery {
        /// Or with that one itself.
        is_at_once: bool,
    },
    /// Anything else that belongs to a picture.
    Other,
    /// The same, of the picture before it: it comes behind all of its slices.
    Trailer,
}

/// What a picture is to those around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Decoding can begin with it.
    Key,
    /// Nothing but itself is needed to decode it, and others behind it may need what came before.
    Intra,
    /// It needs pictures from before the key picture that it follows, and is shown before that.
    Leading,
    Other,
}

/// What a codec's units look like.
pub(super) struct Syntax {
    /// Of a payload that is not empty.
    pub(super) wrapping: fn(&[u8]) -> Wrapping,
    /// Of a unit that is not empty. Its beginning is enough, but for sets.
    pub(super) kind: fn(&[u8]) -> Kind,
}

/// Parts units (ITU-T H.264 and H.265, annex B).
const START_CODE: [u8; 3] = [0, 0, 1];
/// Bytes of a unit that tell its kind.
const BEGINNING: usize = 4;

/// Without start codes at its beginning, which some cameras leave there.
pub(super) fn without_start_code(payload: &[u8]) -> &[u8] {
    let zeros = payload.iter().take_while(|byte| **byte == 0).count();
    match payload.get(zeros) {
        Some(1) if zeros >= 2 => &payload[zeros + 1..],
        _ => payload,
    }
}

/// Whether start codes part a unit into several.
pub(super) fn is_stream(unit: &[u8]) -> bool {
    memchr::memmem::find(unit, &START_CODE).is_some()
}

/// Without zeros at its end, which are no part of a unit (ITU-T H.264, 7.4.1).
pub(super) fn without_zeros(unit: &[u8]) -> &[u8] {
    let length = unit.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    &unit[..length]
}

/// The units between start codes, without zeros at their ends; none of them is empty.
pub(super) fn parted(unit: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    let mut start = 0;
    let starts = memchr::memmem::find_iter(unit, &START_CODE);
    for end in starts.map(|at| (at, at + START_CODE.len())).chain([(unit.len(), unit.len())]) {
        let piece = without_zeros(&unit[start.min(end.0)..end.0]);
        if !piece.is_empty() {
            units.push(piece);
        }
        start = end.1;
    }
    units
}

impl Syntax {
    /// The kind of the first unit that a payload holds, where it holds the beginning of one.
    pub(super) fn first_kind(&self, payload: &[u8]) -> Option<Kind> {
        let payload = without_start_code(payload);
        if payload.is_empty() {
            return None;
        }
        match (self.wrapping)(payload) {
            Wrapping::Single => Some((self.kind)(payload)),
            Wrapping::Aggregate(skip) => {
                aggregated(payload.get(skip..)?).next().map(|unit| (self.kind)(unit))
            }
            Wrapping::Fragment(fragment) if fragment.is_first => {
                let mut beginning = fragment.header[..fragment.header_length].to_vec();
                beginning.extend(payload.get(fragment.body..)?.iter().take(BEGINNING));
                Some((self.kind)(&beginning))
            }
            Wrapping::Fragment(_) | Wrapping::Unknown => None,
        }
    }

    /// Whether a payload is of a picture of which there is more before it.
    pub(super) fn begins_amid(&self, payload: &[u8]) -> bool {
        let payload = without_start_code(payload);
        let goes_on = |payload| match (self.wrapping)(payload) {
            Wrapping::Fragment(piece) => !piece.is_first,
            _ => false,
        };
        let kind = self.first_kind(payload);
        let is_rest = matches!(kind, Some(Kind::Slice { is_first: false, .. }));
        is_rest || (!payload.is_empty() && goes_on(payload))
    }
}

/// The units of an aggregate, up to where it is cut short; none of them is empty.
pub(super) fn aggregated(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        loop {
            let (length, behind) = rest.split_first_chunk::<2>()?;
            let unit = behind.get(..usize::from(u16::from_be_bytes(*length)))?;
            rest = &behind[unit.len()..];
            if !unit.is_empty() {
                return Some(unit);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_part_units() {
        let unit = [0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 1, 0, 0, 1, 0x65, 0, 0];
        assert!(is_stream(&unit));
        assert_eq!(parted(&unit), [&[0x67, 1][..], &[0x68, 2], &[0x65]]);
        assert_eq!(parted(&[0, 0, 1, 9]), [&[9][..]]);
        assert!(parted(&[]).is_empty() && parted(&[0, 0, 1]).is_empty());
        assert_eq!(without_start_code(&[0, 0, 0, 1, 7]), [7]);
        assert_eq!(without_start_code(&[0, 1, 7]), [0, 1, 7]);
        assert!(without_start_code(&[]).is_empty());
    }

    #[test]
    fn aggregates_end_where_they_are_cut_short() {
        let whole = [0, 1, 9, 0, 0, 0, 2, 7, 7, 0, 9, 1];
        assert_eq!(aggregated(&whole).collect::<Vec<_>>(), [&[9][..], &[7, 7]]);
        assert_eq!(aggregated(&[0]).count(), 0);
    }
}
