//! The file with one `moov` in front of all samples (ISO/IEC 14496-12): it is laid out as the file
//! of a clip is. A clock, where it has one, is its last track, and in front of all other samples.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;

use super::clock::Clock;
use super::part::{AddSamples, Part, PartData, Stretch};
use super::{Compilation, TRACKS};
use crate::captions::Captions;
use crate::mp4::boxes::{BoxWriter, Hole};
use crate::mp4::moov::{self, MovieClock};
use crate::mp4::tables::{Entries, PackedEntries, TABLES, Table};
use crate::mp4::trak::Trak;
use crate::mp4::{Chunk, Mp4Error};

/// A file of several parts: its sums, and what is made of it at once.
pub struct MovieFile {
    compilation: Compilation,
    clock: Option<Clock>,
    /// What is made at once, and where tables are to be made amid it.
    header: Vec<u8>,
    holes: Vec<(Hole, usize, Table)>,
    header_length: u64,
    /// Which tables each track has.
    present: [[bool; TABLES]; TRACKS],
}

/// A stretch of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilePiece<'a> {
    /// These bytes.
    Made(Cow<'a, [u8]>),
    /// Some bytes of a table of a part, counted from 0, which has to be
    /// [loaded](MovieFile::load).
    Table(usize, TableBytes),
    /// Some bytes of its samples, counted from its first.
    Data(usize, Range<u64>),
}

/// Some bytes of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableBytes {
    /// Of which track, counted from 0.
    pub(super) track: usize,
    /// Which table.
    pub(super) table: Table,
    /// Which bytes, counted from the part's first.
    pub(super) range: Range<u64>,
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

impl MovieFile {
    /// The file of parts, played so many times as fast as they were recorded; as fast, it may have
    /// the time on the wall as subtitles.
    ///
    /// # Errors
    /// [`Mp4Error::TooLarge`] where an mp4 can't hold it.
    pub fn new(
        compilation: Compilation,
        speed: u32,
        captions: Option<Captions>,
    ) -> Result<MovieFile, Mp4Error> {
        let clock = captions.and_then(|captions| Clock::new(captions, &compilation.common));
        let has_clock = clock.is_some();
        let mut file = MovieFile {
            present: present(&compilation.parts),
            compilation,
            clock,
            header: Vec::new(),
            holes: Vec::new(),
            header_length: 0,
        };
        file.write_header(speed)?;
        if has_clock {
            // Where its samples are is known now.
            file.write_header(speed)?;
        }
        Ok(file)
    }

    /// Length of the file, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.parts_begin() + self.compilation.data_length
    }

    /// Where the samples of the first part begin.
    fn parts_begin(&self) -> u64 {
        self.header_length + self.clock.as_ref().map_or(0, Clock::length)
    }

    /// Memory that it takes, in bytes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let clock = self.clock.as_ref().map_or(0, Clock::memory);
        self.header.len() + self.compilation.memory() + clock
    }

    /// Which of the clips a part is made of; none for one that is made.
    #[must_use]
    pub fn clip_of(&self, part: usize) -> Option<usize> {
        self.compilation.clip_of(part)
    }

    /// Makes the tables of a part, and says where its samples are, from the chunks of its clip
    /// where it has one.
    ///
    /// # Errors
    /// [`Mp4Error`]: what can't be read, or is not what the sums say.
    pub fn load<'a>(
        &self,
        part: usize,
        chunks: impl IntoIterator<Item = Chunk<'a>>,
    ) -> Result<(PartTables, PartData), Mp4Error> {
        let planned = &self.compilation.parts[part];
        let is_there = |track: usize, table| self.present[track][table as usize];
        load_part(planned, self.parts_begin(), is_there, |add| {
            self.compilation.samples(part, chunks, add)
        })
    }

    /// What the bytes `range` of the file consist of, in order and without a gap. What lies behind
    /// the end of the file is left out.
    #[must_use]
    pub fn pieces(&self, range: Range<u64>) -> Vec<FilePiece<'_>> {
        let range = range.start..range.end.min(self.size());
        let mut pieces = Vec::new();
        let (mut at, mut written) = (0, 0);
        for (hole, track, table) in &self.holes {
            self.add_made(&mut pieces, &range, at, written..hole.behind);
            at += (hole.behind - written) as u64;
            written = hole.behind;
            if range.start < at + hole.length && at < range.end {
                self.add_table(&mut pieces, &range, at, (*track, *table));
            }
            at += hole.length;
        }
        self.add_made(&mut pieces, &range, at, written..self.header.len());
        let begin = self.parts_begin();
        if let Some(clock) = &self.clock {
            let wanted = range.start.max(self.header_length)..range.end.min(begin);
            if wanted.start < wanted.end {
                let [from, to] = [wanted.start, wanted.end].map(|at| at - self.header_length);
                pieces.push(FilePiece::Made(Cow::Owned(clock.bytes(&(from..to)))));
            }
        }
        let wanted = range.start.max(begin) - begin..range.end.max(begin) - begin;
        let first = self
            .compilation
            .parts
            .partition_point(|part| part.offset + part.length <= wanted.start);
        for (number, part) in self.compilation.parts.iter().enumerate().skip(first) {
            let own = wanted.start.max(part.offset)..wanted.end.min(part.offset + part.length);
            if wanted.end <= part.offset {
                break;
            }
            if own.start < own.end {
                let own = own.start - part.offset..own.end - part.offset;
                pieces.push(FilePiece::Data(number, own));
            }
        }
        pieces
    }

    /// Adds what is wanted of bytes that were written, and stand at `at` in the file.
    fn add_made<'a>(
        &'a self,
        pieces: &mut Vec<FilePiece<'a>>,
        wanted: &Range<u64>,
        at: u64,
        bytes: Range<usize>,
    ) {
        let end = at + bytes.len() as u64;
        let own = wanted.start.max(at)..wanted.end.min(end);
        if own.start < own.end {
            let from = bytes.start + (own.start - at) as usize;
            let length = (own.end - own.start) as usize;
            pieces.push(FilePiece::Made(Cow::Borrowed(&self.header[from..from + length])));
        }
    }

    /// Adds what is wanted of a table that stands at `at` in the file.
    fn add_table(
        &self,
        pieces: &mut Vec<FilePiece<'_>>,
        wanted: &Range<u64>,
        at: u64,
        (track, table): (usize, Table),
    ) {
        let entry_bytes = table.entry_bytes();
        let bounds = |part: &Part| {
            let stretch = part.stretches[track].as_ref();
            stretch.map(|stretch| {
                let before = at + stretch.before[table as usize] * entry_bytes;
                before..before + stretch.counts[table as usize] * entry_bytes
            })
        };
        for (number, part) in self.compilation.parts.iter().enumerate() {
            let Some(all) = bounds(part) else { continue };
            if wanted.end <= all.start {
                break;
            }
            let own = wanted.start.max(all.start)..wanted.end.min(all.end);
            if own.start < own.end {
                let range = own.start - all.start..own.end - all.start;
                pieces.push(FilePiece::Table(number, TableBytes { track, table, range }));
            }
        }
    }

    /// Writes all that is not a table.
    fn write_header(&mut self, speed: u32) -> Result<(), Mp4Error> {
        let traks = self.compilation.tracks().map(|track| {
            let number = track.number;
            let counts = Table::ALL.map(|table| {
                let counted =
                    |part: &Part| part.stretches[number].as_ref().map(Stretch::total(table));
                let is_there = self.present[number][table as usize];
                is_there.then(|| self.compilation.parts.iter().rev().find_map(counted).unwrap_or(0))
            });
            let mut trak = track.trak(track.shown.presentation, counts);
            trak.timescale = faster(trak.timescale, speed)?;
            Ok((number, trak))
        });
        let traks = traks.collect::<Result<Vec<_>, Mp4Error>>()?.into_iter();
        let (numbers, mut traks): (Vec<usize>, Vec<Trak<'_>>) = traks.unzip();
        traks.extend(self.clock.as_ref().map(|clock| clock.trak(TRACKS as u32 + 1)));
        let clock = MovieClock::new(self.compilation.start, &traks, Some(1));
        let data_length = self.size() - self.header_length;
        let mut to = BoxWriter::default();
        let order = RefCell::new(Vec::new());
        moov::write(&mut to, &clock, &traks, data_length, |to, trak, table| {
            if let Some(number) = numbers.get(trak) {
                let count = traks[trak].counts[table as usize].unwrap_or(0);
                to.hole(count * table.entry_bytes());
                order.borrow_mut().push((*number, table));
            } else if let Some(clock) = &self.clock {
                to.raw(&clock.entries(table, self.header_length));
            }
        });
        let (header, holes) = to.finish_with_holes();
        let left_out: u64 = holes.iter().map(|hole| hole.length).sum();
        self.header_length = header.len() as u64 + left_out;
        let limit = u64::from(u32::MAX);
        for (what, found, limit) in [
            ("moov box", self.header_length, limit),
            ("samples of the file", data_length, i64::MAX.unsigned_abs() - limit),
        ] {
            if found > limit {
                return Err(Mp4Error::TooLarge { what, found: found.into(), limit });
            }
        }
        let tables = order.into_inner();
        self.holes = holes.into_iter().zip(tables).map(|(hole, (a, b))| (hole, a, b)).collect();
        self.header = header;
        Ok(())
    }
}

/// Ticks a second, so many times as many.
fn faster(timescale: u32, speed: u32) -> Result<u32, Mp4Error> {
    timescale.checked_mul(speed).ok_or_else(|| Mp4Error::TooLarge {
        what: "ticks a second",
        found: u128::from(timescale) * u128::from(speed),
        limit: u32::MAX.into(),
    })
}

/// Which tables the tracks of a file of these parts have.
fn present(parts: &[Part]) -> [[bool; TABLES]; TRACKS] {
    std::array::from_fn(|track| {
        let stretches = || parts.iter().filter_map(|part| part.stretches[track].as_ref());
        Table::ALL.map(|table| match table {
            Table::Offsets => stretches().any(|stretch| stretch.is_reordered),
            Table::SyncSamples => stretches().any(|Stretch { counts, .. }| {
                counts[Table::SyncSamples as usize] < counts[Table::Sizes as usize]
            }),
            _ => true,
        })
    })
}

/// Collects what `chunks` hands over of a part; those of the first one begin at `begin`.
///
/// # Errors
/// [`Mp4Error`]: what it answers, or that it is not what the sums say.
fn load_part(
    part: &Part,
    begin: u64,
    is_there: impl Fn(usize, Table) -> bool,
    chunks: impl FnOnce(&mut AddSamples<'_>) -> Result<(), Mp4Error>,
) -> Result<(PartTables, PartData), Mp4Error> {
    let mut tables: [Option<Entries>; TRACKS] = std::array::from_fn(|track| {
        let stretch = part.stretches[track].as_ref()?;
        let before = |table: Table| stretch.before[table as usize];
        let entries = Entries::new(stretch.first, |table| is_there(track, table));
        Some(entries.behind(before(Table::Sizes), before(Table::Chunks)))
    });
    let mut data = PartData::default();
    chunks(&mut |track, table, pieces| {
        let Some(entries) = &mut tables[track] else { return };
        let offset = begin + part.offset + data.length();
        entries.add(part.ats[track] + table.start.0, &table.samples, offset, 1);
        pieces.into_iter().for_each(|piece| data.add(piece));
    })?;
    for (track, (entries, stretch)) in tables.iter_mut().zip(&part.stretches).enumerate() {
        let (Some(entries), Some(stretch)) = (entries, stretch) else { continue };
        entries.settle(stretch.end);
        check(track, entries, stretch, &is_there)?;
    }
    if data.length() != part.length {
        return Err(disagreement("length of its samples", data.length(), part.length));
    }
    let packed = tables.map(|entries| entries.map(PackedEntries::new));
    Ok((PartTables(packed), data))
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
