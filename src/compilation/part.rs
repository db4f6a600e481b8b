//! One part of the file: its sums, and what is made when it is read.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::TRACKS;
use super::blank::Blank;
use super::clip::Clip;
use super::packets::Packed;
use crate::mp4::tables::{TABLES, Table};
use crate::mp4::{Chunk, Mp4Error};
use crate::segment::{ChunkTable, Sample, TrackTable, TrackTotals};

/// What a part is made from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A clip, or a piece of one.
    Clip(Box<Clip>),
    /// Nothing.
    Blank(Blank),
}

/// A part of the file.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub source: Source,
    /// Where its zero is in each track, in ticks from the beginning of the file.
    pub ats: [i64; TRACKS],
    /// How long it is shown.
    pub length_nanos: i64,
    /// Its pictures and its sound.
    pub stretches: [Option<Stretch>; TRACKS],
    /// Where its samples begin, in bytes behind those of the first part.
    pub offset: u64,
    /// Length of its samples, in bytes.
    pub length: u64,
}

impl Part {
    /// The same that much later, in ticks of its tracks.
    pub(super) fn moved(mut self, by: i64) -> Part {
        self.ats.iter_mut().for_each(|at| *at += by);
        for stretch in self.stretches.iter_mut().flatten() {
            stretch.first += by;
            stretch.last += by;
            stretch.end += by;
        }
        self
    }
}

/// What a part has of one track; times in ticks of the track since the beginning of the file.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// When the first sample is decoded.
    pub first: i64,
    /// When the last one is, or not long before that.
    pub last: i64,
    /// When the next part's first one is.
    pub end: i64,
    /// Ticks that the first sample lasts, about.
    pub first_duration: u32,
    /// Whether any is presented at another time than it is decoded.
    pub is_reordered: bool,
    /// Entries of each table.
    pub counts: [u64; TABLES],
    /// The same of all parts in front of it.
    pub before: [u64; TABLES],
}

impl Stretch {
    /// Of samples that add up to `totals`, in ticks since the part's zero, which is `at`.
    pub(super) fn new(totals: &TrackTotals, at: i64) -> Stretch {
        let (first, end) = (at + totals.start.0, at + totals.end.0);
        let mean = (end - first).max(0) / i64::try_from(totals.samples.max(1)).unwrap_or(i64::MAX);
        Stretch {
            first,
            last: end - mean,
            end,
            first_duration: u32::try_from(mean).unwrap_or(u32::MAX),
            is_reordered: totals.reordered,
            counts: Table::ALL.map(|table| table.entries(totals)),
            before: [0; TABLES],
        }
    }

    /// Entries of a table up to the end of this stretch.
    pub(super) fn total(table: Table) -> impl Fn(&Stretch) -> u64 {
        move |stretch| stretch.before[table as usize] + stretch.counts[table as usize]
    }
}

/// Some bytes of a clip's samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which of the clips that the file is made of.
    pub clip: usize,
    /// Which of its chunks, counted from 0.
    pub chunk: usize,
    /// Which bytes of the chunk's samples.
    pub range: Range<u32>,
}

/// Where bytes of samples come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// From the ring.
    Ring(Place),
    /// From memory.
    Made(Arc<[u8]>, Range<usize>),
    /// As packets.
    Packed(Arc<Packed>),
}

impl Data {
    pub(super) fn length(&self) -> u64 {
        match self {
            Data::Ring(Place { range, .. }) => u64::from(range.end - range.start),
            Data::Made(_, range) => range.len() as u64,
            Data::Packed(packed) => packed.length(),
        }
    }

    /// All of it, for who reads.
    pub(super) fn piece(&self) -> PartPiece<'_> {
        self.part(0, self.length())
    }

    /// Some bytes of it.
    fn part(&self, from: u64, to: u64) -> PartPiece<'_> {
        match self {
            Data::Ring(Place { clip, chunk, range }) => PartPiece::Media(Place {
                clip: *clip,
                chunk: *chunk,
                range: range.start + from as u32..range.start + to as u32,
            }),
            Data::Made(bytes, range) => {
                PartPiece::Made(&bytes[range.start + from as usize..range.start + to as usize])
            }
            Data::Packed(packed) => PartPiece::Packed(packed, from as usize..to as usize),
        }
    }

    /// The first bytes of it, so many, and what is left, if any is.
    pub(super) fn split_at(self, bytes: u64) -> (Data, Option<Data>) {
        if bytes >= self.length() {
            return (self, None);
        }
        let (mut first, mut rest) = (self.clone(), self);
        match (&mut first, &mut rest) {
            (Data::Ring(first), Data::Ring(rest)) => {
                first.range.end = first.range.start + bytes as u32;
                rest.range.start = first.range.end;
            }
            (Data::Made(_, first), Data::Made(_, rest)) => {
                first.end = first.start + bytes as usize;
                rest.start = first.end;
            }
            _ => {}
        }
        (first, Some(rest))
    }
}

/// Takes so many bytes off the front.
pub(super) fn taken(data: &mut VecDeque<Data>, mut bytes: u64) -> Vec<Data> {
    let mut own = Vec::new();
    while bytes > 0
        && let Some(first) = data.pop_front()
    {
        let (piece, rest) = first.split_at(bytes);
        bytes -= piece.length();
        own.push(piece);
        if let Some(rest) = rest {
            data.push_front(rest);
        }
    }
    own
}

/// Takes samples that lie together: of which track, with their times in ticks of the file since
/// the part's zero, and where their bytes are.
pub(super) type AddSamples<'a> = dyn FnMut(usize, &TrackTable, Vec<Data>) + 'a;

/// When each of the samples of a table is decoded, in its ticks since the part's zero.
pub(super) fn decode_times(table: &TrackTable) -> impl Iterator<Item = (i64, &Sample)> {
    let mut at = table.start.0;
    table.samples.iter().map(move |sample| {
        let start = at;
        at += i64::from(sample.duration);
        (start, sample)
    })
}

/// The table of a chunk, whose samples are as long as it says.
pub(super) fn decoded(number: usize, chunk: &Chunk<'_>) -> Result<ChunkTable, Mp4Error> {
    let table = ChunkTable::decode(chunk.table)
        .map_err(|reason| Mp4Error::Table { chunk: number, reason })?;
    match table.byte_count() {
        length if length == u64::from(chunk.data_length) => Ok(table),
        length => Err(Mp4Error::Disagrees {
            place: format!("chunk {number}"),
            what: "length of its samples",
            found: length.to_string(),
            expected: chunk.data_length.to_string(),
        }),
    }
}

/// What bytes of samples are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartPiece<'a> {
    /// These.
    Made(&'a [u8]),
    /// Those of a clip.
    Media(Place),
    /// Some bytes of these packets, which have to be made.
    Packed(&'a Packed, Range<usize>),
}

/// The samples of a part: where each piece of them ends, in bytes from its first, and what it is.
#[derive(Default)]
pub struct PartData(Vec<(u64, Data)>);

impl PartData {
    /// Memory that it takes, in bytes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.0.len() * size_of::<(u64, Data)>()
    }

    /// Length of what it has so far, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.0.last().map_or(0, |(end, _)| *end)
    }

    /// Adds a piece, to what lies right in front of it where it can be.
    pub(super) fn add(&mut self, piece: Data) {
        let end = self.length() + piece.length();
        if piece.length() == 0 {
            return;
        }
        match (self.0.last_mut(), &piece) {
            (Some((last_end, Data::Ring(last))), Data::Ring(more))
                if (last.clip, last.chunk, last.range.end)
                    == (more.clip, more.chunk, more.range.start) =>
            {
                last.range.end = more.range.end;
                *last_end = end;
            }
            _ => self.0.push((end, piece)),
        }
    }

    /// What some bytes of it consist of, in order and without a gap.
    #[must_use]
    pub fn pieces(&self, wanted: &Range<u64>) -> Vec<PartPiece<'_>> {
        let first = self.0.partition_point(|(end, _)| *end <= wanted.start);
        let mut pieces = Vec::new();
        for (end, data) in &self.0[first..] {
            let begin = end - data.length();
            if wanted.end <= begin {
                break;
            }
            let from = wanted.start.max(begin) - begin;
            let to = wanted.end.min(*end) - begin;
            pieces.push(data.part(from, to));
        }
        pieces
    }
}
