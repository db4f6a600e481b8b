//! One part of the file: its sums, and what is made when it is read.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::blank::Blank;
use super::clip::Clip;
use super::{TRACKS, TableBytes};
use crate::mp4::tables::{Entries, PackedEntries, TABLES, Table};
use crate::mp4::{Chunk, Mp4Error};
use crate::segment::{ChunkTable, TrackTable, TrackTotals};

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

/// Where bytes of samples come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// From a chunk of the clip: which one, and which of its bytes.
    Ring(usize, Range<u32>),
    /// From memory.
    Made(Arc<[u8]>, Range<usize>),
}

impl Data {
    pub(super) fn length(&self) -> u64 {
        match self {
            Data::Ring(_, range) => u64::from(range.end - range.start),
            Data::Made(_, range) => range.len() as u64,
        }
    }
}

/// Takes samples that lie together: of which track, with their times in ticks of the file since
/// the part's zero, and where their bytes are.
pub(super) type AddSamples<'a> = dyn FnMut(usize, &TrackTable, Vec<Data>) + 'a;

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

/// What bytes of a part are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartPiece<'a> {
    /// These.
    Made(&'a [u8]),
    /// Bytes of a chunk of its clip.
    Media {
        /// Which chunk, counted from 0.
        chunk: usize,
        /// Which bytes of its samples.
        range: Range<u32>,
    },
}

/// The tables of a part.
pub struct PartTables([Option<PackedEntries>; TRACKS]);

impl PartTables {
    /// Memory that they take, in bytes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.0.iter().flatten().map(PackedEntries::memory).sum()
    }

    /// Some bytes of one of them; fewer where it does not have them.
    #[must_use]
    pub fn bytes(&self, wanted: &TableBytes) -> Cow<'_, [u8]> {
        let range = wanted.range.start as usize..wanted.range.end as usize;
        match self.0.get(wanted.track) {
            Some(Some(entries)) => entries.bytes(wanted.table, range),
            _ => Cow::default(),
        }
    }
}

/// The samples of a part: where each piece of them ends, in bytes from the part's first, and what
/// it is.
pub struct PartData(Vec<(u64, Data)>);

/// Collects what `chunks` hands over.
///
/// # Errors
/// [`Mp4Error`]: what it answers, or that it is not what the sums say.
pub(super) fn load(
    part: &Part,
    header_length: u64,
    is_there: impl Fn(usize, Table) -> bool,
    chunks: impl FnOnce(&mut AddSamples<'_>) -> Result<(), Mp4Error>,
) -> Result<(PartTables, PartData), Mp4Error> {
    let mut tables: [Option<Entries>; TRACKS] = std::array::from_fn(|track| {
        let stretch = part.stretches[track].as_ref()?;
        let before = |table: Table| stretch.before[table as usize];
        let entries = Entries::new(stretch.first, |table| is_there(track, table));
        Some(entries.behind(before(Table::Sizes), before(Table::Chunks)))
    });
    let mut data: Vec<(u64, Data)> = Vec::new();
    let mut end = 0;
    chunks(&mut |track, table, pieces| {
        let Some(entries) = &mut tables[track] else { return };
        let offset = header_length + part.offset + end;
        entries.add(part.ats[track] + table.start.0, &table.samples, offset, 1);
        for piece in pieces {
            end += piece.length();
            add_data(&mut data, end, piece);
        }
    })?;
    for (track, (entries, stretch)) in tables.iter_mut().zip(&part.stretches).enumerate() {
        let (Some(entries), Some(stretch)) = (entries, stretch) else { continue };
        entries.settle(stretch.end);
        check(track, entries, stretch, &is_there)?;
    }
    if end != part.length {
        return Err(disagreement("length of its samples", end, part.length));
    }
    let packed = tables.map(|entries| entries.map(PackedEntries::new));
    Ok((PartTables(packed), PartData(data)))
}

impl PartData {
    /// Memory that it takes, in bytes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.0.len() * size_of::<(u64, Data)>()
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
            pieces.push(match data {
                Data::Ring(chunk, range) => PartPiece::Media {
                    chunk: *chunk,
                    range: range.start + from as u32..range.start + to as u32,
                },
                Data::Made(bytes, range) => {
                    PartPiece::Made(&bytes[range.start + from as usize..range.start + to as usize])
                }
            });
        }
        pieces
    }
}

/// Adds data that ends at `end`, to what lies right in front of it where it can be.
fn add_data(data: &mut Vec<(u64, Data)>, end: u64, piece: Data) {
    if piece.length() == 0 {
        return;
    }
    match (data.last_mut(), &piece) {
        (Some((last_end, Data::Ring(last, range))), Data::Ring(chunk, more))
            if last == chunk && range.end == more.start =>
        {
            range.end = more.end;
            *last_end = end;
        }
        _ => data.push((end, piece)),
    }
}

fn check(
    track: usize,
    entries: &Entries,
    stretch: &Stretch,
    is_there: impl Fn(usize, Table) -> bool,
) -> Result<(), Mp4Error> {
    for table in Table::ALL.into_iter().filter(|table| is_there(track, *table)) {
        let found = entries.table(table).len() as u64;
        let expected = stretch.counts[table as usize] * table.entry_bytes();
        if found != expected {
            return Err(disagreement("length of a table", found, expected));
        }
    }
    Ok(())
}

fn disagreement(what: &'static str, found: u64, expected: u64) -> Mp4Error {
    let (found, expected) = (found.to_string(), expected.to_string());
    Mp4Error::Disagrees { place: "a part".to_owned(), what, found, expected }
}
