//! Pictures in the payload of a stream (ISO/IEC 13818-1, 2.14 and 2.17): units behind start codes,
//! one picture with each time stamp; several behind one are parted by their delimiters.

use std::collections::VecDeque;
use std::ops::Range;

use super::Unit;
use super::lane::{Gathered, Part};
use super::stamps::{APART_TICKS_MAX, STEP_TICKS, Stamped};
use crate::demux::{Coding, Entry};

/// A picture at most, in bytes.
const PICTURE_BYTES_MAX: usize = 16 << 20;
/// Pictures behind one time stamp at most: what is more is left to the last one.
const PIECES_MAX: usize = 256;
/// Parts units (ITU-T H.264 and H.265, annex B).
const START_CODE: [u8; 3] = [0, 0, 1];

/// The pictures of one stream.
pub(super) struct Pictures {
    entry: Entry,
    is_told: bool,
    open: Option<Open>,
    is_behind_loss: bool,
    /// Those that something is missing of.
    pub(super) torn: u64,
}

/// What came since the last time stamp.
struct Open {
    stamped: Stamped,
    is_entry: bool,
    gathered: Gathered,
}

impl Pictures {
    pub(super) fn new(entry: Entry) -> Pictures {
        Pictures { entry, is_told: false, open: None, is_behind_loss: false, torn: 0 }
    }

    pub(super) fn push(&mut self, part: &Part<'_>, stream: usize, units: &mut VecDeque<Unit>) {
        if let Some(stamped) = part.stamp {
            if let Some(open) = self.open.as_mut().filter(|_| stamped.is_back) {
                open.stamped.step_before(&stamped);
            }
            self.finish(Some(stamped.dts), stream, units);
            let (is_entry, gathered) = (part.is_entry, Gathered::default());
            self.open = Some(Open { stamped, is_entry, gathered });
        }
        let Some(open) = &mut self.open else { return };
        open.gathered.add(part);
        if open.gathered.bytes.len() > PICTURE_BYTES_MAX {
            self.lose();
        }
    }

    /// Packets are missing.
    pub(super) fn lose(&mut self) {
        self.is_behind_loss = true;
        self.torn += u64::from(self.open.take().is_some());
    }

    /// Hands out what is open; `next` is when what follows is decoded.
    pub(super) fn finish(&mut self, next: Option<i64>, stream: usize, units: &mut VecDeque<Unit>) {
        let Some(Open { stamped, is_entry, gathered }) = self.open.take() else { return };
        let pieces = self.pieces(&gathered.bytes);
        let step = next.map(|next| next.saturating_sub(stamped.dts) / pieces.len().max(1) as i64);
        let step = step.filter(|step| (1..APART_TICKS_MAX).contains(step)).unwrap_or(STEP_TICKS);
        let places: Vec<(u64, u8)> = pieces.iter().map(|it| gathered.place(it.start)).collect();
        let is_one = pieces.len() == 1;
        let mut bytes = gathered.bytes;
        for (number, (piece, place)) in pieces.into_iter().zip(places).enumerate() {
            let data = match is_one {
                true => std::mem::take(&mut bytes),
                false => bytes.get(piece).unwrap_or_default().to_vec(),
            };
            let later = step.saturating_mul(number as i64);
            let is_first = number == 0;
            units.push_back(Unit {
                stream,
                entry: (!std::mem::replace(&mut self.is_told, true)).then(|| self.entry.clone()),
                pts: stamped.pts.saturating_add(later),
                dts: stamped.dts.saturating_add(later),
                sync: is_first && is_entry || self.has_sets(&data),
                data,
                is_behind_loss: std::mem::take(&mut self.is_behind_loss),
                is_anew: is_first && stamped.is_anew,
                place,
            });
        }
    }

    /// The type of a unit that begins so.
    fn kind(&self, unit: &[u8]) -> Option<u8> {
        let first = *unit.first()?;
        Some(if self.entry.coding == Coding::H265 { first >> 1 & 0x3f } else { first & 0x1f })
    }

    /// Where pictures are: each begins with a delimiter, but for the first one.
    fn pieces(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let delimiter = if self.entry.coding == Coding::H265 { 35 } else { 9 };
        // What is before the first delimiter belongs to the picture of it.
        let delimiters = self.units_of(bytes, delimiter);
        let mut starts: Vec<usize> = delimiters.skip(1).take(PIECES_MAX - 1).collect();
        starts.insert(0, 0);
        let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
        starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
    }

    /// Whether what decodes pictures comes with this one.
    fn has_sets(&self, picture: &[u8]) -> bool {
        let set = if self.entry.coding == Coding::H265 { 33 } else { 7 };
        self.units_of(picture, set).next().is_some()
    }

    /// Where units of a type are, behind their start codes.
    fn units_of<'a>(&'a self, bytes: &'a [u8], kind: u8) -> impl Iterator<Item = usize> + 'a {
        memchr::memmem::find_iter(bytes, &START_CODE).filter(move |at| {
            let unit = bytes.get(at + START_CODE.len()..).unwrap_or_default();
            self.kind(unit) == Some(kind)
        })
    }
}
