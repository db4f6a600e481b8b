//! A picture while its packets come. Pure.

use super::odd::Odd;
use super::sets::push_unit;
use super::units::{
    Fragment, Kind, Role, Syntax, Wrapping, aggregated, is_stream, parted, without_zeros,
};
use crate::clock::Reading;

/// Parameter sets of one picture at most.
const SETS_MAX: usize = 300;
/// The same, in bytes.
const SETS_BYTES_MAX: usize = 256 << 10;

/// From when on what is decoded is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovery {
    AtOnce,
    Later,
}

/// How decoding can begin with a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It can.
    Key,
    /// It can, and pictures behind it that are shown before it can't be decoded then: it is no key
    /// picture by its type.
    OpenKey,
    /// It can, and is right some pictures later.
    Recovery,
    /// Not at all: its type says that it can't be decoded where decoding begins with the key
    /// picture before it.
    Leading,
    /// Not at all.
    None,
}

/// A picture that is not complete.
pub(super) struct Open {
    pub(super) time: i64,
    pub(super) received: Reading,
    pub(super) data: Vec<u8>,
    pub(super) sets: Vec<Vec<u8>>,
    sets_bytes: usize,
    /// Where a unit began that comes in fragments, and whether it is a slice.
    pub(super) fragment: Option<usize>,
    is_slice: bool,
    pub(super) lost: u32,
    pub(super) skipped: u32,
    pub(super) has_marker: bool,
    pub(super) is_doubtful: bool,
    /// Something of it is missing.
    pub(super) is_torn: bool,
    pub(super) slices: u32,
    pub(super) key_slices: u32,
    pub(super) intra_slices: u32,
    pub(super) leading_slices: u32,
    /// Decoding can begin with it, and is right with it or later.
    pub(super) recovery: Option<Recovery>,
    pub(super) first_slices: u32,
    pub(super) begins_whole: bool,
    pub(super) slice: usize,
}

impl Open {
    pub(super) fn new(time: i64, received: Reading, capacity: usize) -> Open {
        Open {
            time,
            received,
            data: Vec::with_capacity(capacity),
            sets: Vec::new(),
            sets_bytes: 0,
            fragment: None,
            is_slice: false,
            lost: 0,
            skipped: 0,
            has_marker: false,
            is_doubtful: false,
            is_torn: false,
            slices: 0,
            key_slices: 0,
            intra_slices: 0,
            leading_slices: 0,
            recovery: None,
            first_slices: 0,
            begins_whole: false,
            slice: 0,
        }
    }

    /// What comes in fragments will not be complete. A message that is not costs no picture.
    pub(super) fn lose_fragment(&mut self) {
        if let Some(start) = self.fragment.take() {
            self.data.truncate(start);
            self.is_torn |= self.is_slice;
        }
    }

    /// Takes note of a unit that begins at that place.
    pub(super) fn note(&mut self, kind: Kind, at: usize) {
        let Kind::Slice { is_first, .. } = kind else { return };
        if self.slices == 0 {
            (self.begins_whole, self.slice) = (is_first, at);
        }
        self.slices += 1;
        self.first_slices += u32::from(is_first);
    }

    /// Takes note of what a whole unit is to the picture.
    pub(super) fn note_whole(&mut self, kind: Kind) {
        match kind {
            Kind::Slice { role: Role::Key, .. } => self.key_slices += 1,
            Kind::Slice { role: Role::Intra, .. } => self.intra_slices += 1,
            Kind::Slice { role: Role::Leading, .. } => self.leading_slices += 1,
            Kind::Recovery { is_at_once: true } => self.recovery = Some(Recovery::AtOnce),
            Kind::Recovery { is_at_once: false } => {
                self.recovery.get_or_insert(Recovery::Later);
            }
            _ => {}
        }
    }

    /// What a whole picture is to those around it.
    pub(super) fn access(&self) -> Access {
        let is_all = |slices: u32| slices == self.slices;
        match self.recovery {
            _ if is_all(self.key_slices) => Access::Key,
            Some(Recovery::AtOnce) if is_all(self.key_slices + self.intra_slices) => {
                Access::OpenKey
            }
            Some(_) => Access::Recovery,
            None if is_all(self.leading_slices) => Access::Leading,
            None => Access::None,
        }
    }

    /// Whether a whole picture needs no other to be decoded.
    pub(super) fn is_intra(&self) -> bool {
        self.slices > 0 && self.key_slices + self.intra_slices == self.slices
    }

    /// Adds the units of a payload, or the piece that it is.
    ///
    /// # Errors
    /// If it is a piece of which the beginning is missing.
    pub(super) fn add(
        &mut self,
        syntax: &Syntax,
        payload: &[u8],
        wrapping: Wrapping,
    ) -> Result<(), Odd> {
        match wrapping {
            Wrapping::Unknown => {}
            Wrapping::Single => add_unit(syntax, self, payload),
            Wrapping::Aggregate(skip) => {
                for unit in aggregated(payload.get(skip..).unwrap_or_default()) {
                    add_unit(syntax, self, unit);
                }
            }
            Wrapping::Fragment(piece) => return add_fragment(syntax, self, payload, &piece),
        }
        Ok(())
    }

    fn add_set(&mut self, unit: &[u8]) {
        self.sets_bytes += unit.len();
        if self.sets.len() < SETS_MAX && self.sets_bytes <= SETS_BYTES_MAX {
            self.sets.push(unit.to_owned());
        }
    }
}

/// Adds a piece of a unit.
fn add_fragment(
    syntax: &Syntax,
    open: &mut Open,
    payload: &[u8],
    piece: &Fragment,
) -> Result<(), Odd> {
    let body = payload.get(piece.body..).unwrap_or_default();
    if piece.is_first {
        open.fragment = Some(open.data.len());
        open.data.extend([0; 4]);
        open.data.extend(&piece.header[..piece.header_length]);
    }
    let Some(start) = open.fragment else {
        let kind = (syntax.kind)(&piece.header[..piece.header_length]);
        // Where something is missing, or something of it came before, the beginning was of the same
        // picture.
        let is_of_it = open.lost > 0 || open.slices > 0 || !open.data.is_empty();
        open.is_torn |= is_of_it && matches!(kind, Kind::Slice { .. });
        return Err(Odd::NoBeginning);
    };
    open.data.extend_from_slice(body);
    if piece.is_first {
        let kind = (syntax.kind)(&open.data[start + 4..]);
        open.is_slice = matches!(kind, Kind::Slice { .. });
        open.note(kind, start);
    }
    if piece.is_last {
        open.fragment = None;
        close_unit(syntax, open, start);
    }
    Ok(())
}

/// A unit is complete that came in fragments. Slices are counted already.
fn close_unit(syntax: &Syntax, open: &mut Open, start: usize) {
    let unit = &open.data[start + 4..];
    let kind = (syntax.kind)(unit);
    let is_slice = matches!(kind, Kind::Slice { .. });
    if is_slice && !is_stream(unit) {
        let length = without_zeros(unit).len();
        open.note_whole(kind);
        open.data.truncate(start + 4 + length);
        open.data[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
        return;
    }
    let unit = open.data.split_off(start);
    for (index, piece) in parted(&unit[4..]).into_iter().enumerate() {
        if index == 0 && is_slice {
            open.note_whole((syntax.kind)(piece));
            push_unit(&mut open.data, piece);
        } else {
            add_unit(syntax, open, piece);
        }
    }
}

/// Adds a unit, or several where start codes part it.
fn add_unit(syntax: &Syntax, open: &mut Open, unit: &[u8]) {
    for unit in parted(unit) {
        match (syntax.kind)(unit) {
            Kind::Set(..) => open.add_set(unit),
            // The picture that it belongs to is over.
            Kind::Trailer if open.slices == 0 => {}
            kind => {
                open.note(kind, open.data.len());
                open.note_whole(kind);
                push_unit(&mut open.data, unit);
            }
        }
    }
}
