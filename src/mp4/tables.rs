//! The sample tables of one track, collected chunk by chunk.

use std::borrow::Cow;
use std::ops::Range;

use super::Mp4Error;
use super::layout::lists_sync_samples;
use crate::segment::{Sample, TrackTable, TrackTotals};

/// A table of a track's samples, in the order of the file. Clauses are those of ISO/IEC 14496-12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// How long samples last: `stts` (8.6.1.2).
    Durations,
    /// How much later than it is decoded each is presented: `ctts` (8.6.1.3).
    Offsets,
    /// At which of them decoding can begin: `stss` (8.6.2).
    SyncSamples,
    /// How many are in each chunk: `stsc` (8.7.4).
    Chunks,
    /// How long they are: `stsz` (8.7.3).
    Sizes,
    /// Where chunks begin: `co64` (8.7.5).
    Places,
}

/// How many kinds of [`Table`] there are.
pub(crate) const TABLES: usize = 6;

impl Table {
    pub(crate) const ALL: [Table; TABLES] = [
        Table::Durations,
        Table::Offsets,
        Table::SyncSamples,
        Table::Chunks,
        Table::Sizes,
        Table::Places,
    ];

    /// Length of an entry, in bytes.
    pub(crate) fn entry_bytes(self) -> u64 {
        match self {
            Table::SyncSamples | Table::Sizes => 4,
            Table::Durations | Table::Offsets | Table::Places => 8,
            Table::Chunks => 12,
        }
    }

    /// How many entries samples make that add up to `totals`.
    pub(crate) fn entries(self, totals: &TrackTotals) -> u64 {
        match self {
            Table::Durations => totals.duration_runs.into(),
            Table::Offsets => totals.offset_runs.into(),
            Table::SyncSamples => totals.sync_samples,
            Table::Sizes => totals.samples,
            Table::Chunks | Table::Places => totals.chunks.into(),
        }
    }
}

/// Entries as they stand in the boxes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    tables: [Vec<u8>; TABLES],
    /// Samples so far, those in front of these tables included.
    samples: u64,
    /// Chunks, likewise.
    chunks: u64,
    /// Decode time of the next sample as the durations add up to.
    decode_time: i64,
    is_begun: bool,
    has_offsets: bool,
    has_sync_samples: bool,
}

impl Entries {
    /// Of samples that are decoded from `start` on, in the tables that `is_there` says yes to.
    pub(crate) fn new(start: i64, is_there: impl Fn(Table) -> bool) -> Entries {
        Entries {
            decode_time: start,
            has_offsets: is_there(Table::Offsets),
            has_sync_samples: is_there(Table::SyncSamples),
            ..Entries::default()
        }
    }

    /// Behind so many other samples, and their chunks.
    pub(crate) fn behind(self, samples: u64, chunks: u64) -> Entries {
        Entries { samples, chunks, ..self }
    }

    /// The entries of one table.
    pub(crate) fn table(&self, table: Table) -> &[u8] {
        &self.tables[table as usize]
    }

    /// Adds a chunk of samples, the first of them decoded at `start`; they lie at `offset` in the
    /// file and belong to the sample entry of that number.
    pub(crate) fn add(&mut self, start: i64, samples: &[Sample], offset: u64, description: u32) {
        if std::mem::replace(&mut self.is_begun, true) {
            self.settle(start);
        }
        let samples_before = self.samples;
        self.samples += samples.len() as u64;
        self.chunks += 1;
        let chunk = [self.chunks as u32, samples.len() as u32, description];
        put(self.entries_of(Table::Chunks), &chunk);
        self.entries_of(Table::Places).extend_from_slice(&offset.to_be_bytes());
        let sizes = self.entries_of(Table::Sizes);
        sizes.reserve(4 * samples.len());
        samples.iter().for_each(|sample| put(sizes, &[sample.size]));
        if self.has_offsets {
            let offsets = samples.iter().map(|sample| sample.composition_offset as u32);
            put_runs(self.entries_of(Table::Offsets), offsets);
        }
        if self.has_sync_samples {
            let sync = self.entries_of(Table::SyncSamples);
            for (number, sample) in (samples_before + 1..).zip(samples) {
                if sample.flags.sync {
                    put(sync, &[number as u32]);
                }
            }
        }
        // The last one lasts until the next chunk begins.
        let but_last = samples.split_last().map_or(&[][..], |(_, rest)| rest);
        put_runs(self.entries_of(Table::Durations), but_last.iter().map(|sample| sample.duration));
        let length: i64 = but_last.iter().map(|sample| i64::from(sample.duration)).sum();
        self.decode_time = self.decode_time.saturating_add(length);
    }

    /// Gives the last sample so far the duration that lets the next one, or the end, come at
    /// `next`. What a chunk promised too much is taken off here, so that errors do not add up.
    pub(crate) fn settle(&mut self, next: i64) {
        let wanted = next.saturating_sub(self.decode_time);
        let duration = wanted.clamp(0, i64::from(u32::MAX)) as u32;
        put(self.entries_of(Table::Durations), &[1, duration]);
        self.decode_time = self.decode_time.saturating_add(i64::from(duration));
    }

    /// Length of all tables, in bytes.
    pub(crate) fn length(&self) -> usize {
        self.tables.iter().map(Vec::len).sum()
    }

    fn entries_of(&mut self, table: Table) -> &mut Vec<u8> {
        &mut self.tables[table as usize]
    }
}

/// Whether the track has such a table.
fn has(track: &TrackTotals, table: Table) -> bool {
    match table {
        Table::Offsets => track.reordered,
        Table::SyncSamples => lists_sync_samples(track),
        _ => true,
    }
}

/// Entries that are kept for a while: those of sizes take half as much.
#[derive(Debug)]
pub(crate) struct PackedEntries {
    /// Those of all other tables.
    entries: Entries,
    /// Seven bits of each size a byte, the lowest first; a further one follows a set highest bit.
    sizes: Vec<u8>,
}

impl PackedEntries {
    /// Of tables that are complete.
    pub(crate) fn new(mut entries: Entries) -> PackedEntries {
        let plain = std::mem::take(entries.entries_of(Table::Sizes));
        let mut sizes = Vec::with_capacity(plain.len() / 2);
        for size in plain.chunks_exact(4) {
            let mut left = size.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
            while left >= 0x80 {
                sizes.push(left as u8 | 0x80);
                left >>= 7;
            }
            sizes.push(left as u8);
        }
        sizes.shrink_to_fit();
        entries.tables.iter_mut().for_each(Vec::shrink_to_fit);
        PackedEntries { entries, sizes }
    }

    /// Some bytes of a table; fewer where it does not have them.
    pub(crate) fn bytes(&self, table: Table, range: Range<usize>) -> Cow<'_, [u8]> {
        if table != Table::Sizes {
            return Cow::Borrowed(self.entries.table(table).get(range).unwrap_or_default());
        }
        let (first, behind) = (range.start / 4, range.end.div_ceil(4));
        let mut bytes = Vec::with_capacity(4 * (behind - first));
        let (mut size, mut shift, mut number) = (0_u32, 0, 0);
        for byte in &self.sizes {
            size |= u32::from(byte & 0x7f) << shift;
            shift += 7;
            if *byte >= 0x80 {
                continue;
            }
            if number >= first {
                put(&mut bytes, &[size]);
            }
            (size, shift, number) = (0, 0, number + 1);
            if number >= behind {
                break;
            }
        }
        let skipped = range.start - 4 * first;
        bytes.drain(..skipped.min(bytes.len()));
        bytes.truncate(range.len());
        Cow::Owned(bytes)
    }

    /// Memory that they take, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.entries.length() + self.sizes.len()
    }
}

/// The tables of a track of a clip, and what they were made from.
pub(super) struct TrackTables<'a> {
    /// What the fact promises.
    pub promised: &'a TrackTotals,
    /// What the chunks held so far; `None` before the first.
    counted: Option<TrackTotals>,
    /// Parameter sets in the order of their first use: sample entry 1, 2, …
    pub sets: Vec<u16>,
    /// Duration of the first sample, in ticks.
    pub first_duration: u32,
    /// What is in the boxes.
    pub entries: Entries,
}

impl<'a> TrackTables<'a> {
    pub(super) fn new(promised: &'a TrackTotals) -> TrackTables<'a> {
        TrackTables {
            promised,
            counted: None,
            sets: Vec::new(),
            first_duration: 0,
            entries: Entries::new(promised.start.0, |table| has(promised, table)),
        }
    }

    /// How many entries the track has in a table; `None` where it has no such table.
    pub(super) fn count(&self, table: Table) -> Option<u64> {
        has(self.promised, table).then(|| table.entries(self.promised))
    }

    /// Adds the samples of one more chunk, which lie at `offset` in the file and are decoded by
    /// the clip's parameter set `parameters`.
    ///
    /// # Errors
    /// [`Mp4Error::Disagrees`] where the chunk is of another kind than the track.
    pub(super) fn add(
        &mut self,
        table: &TrackTable,
        offset: u64,
        parameters: u16,
    ) -> Result<(), Mp4Error> {
        let promised = self.promised;
        self.agree("kind", &table.kind, &promised.kind)?;
        self.agree("timescale", &table.timescale, &promised.timescale)?;
        if self.counted.is_none() {
            self.first_duration = table.samples.first().map_or(0, |first| first.duration);
        }
        let counted = self.counted.get_or_insert_with(|| TrackTotals::new(table));
        counted.add(table);
        let description = self.description(parameters);
        self.entries.add(table.start.0, &table.samples, offset, description);
        Ok(())
    }

    /// The sample entry that stands for a parameter set, counted from 1.
    fn description(&mut self, parameters: u16) -> u32 {
        let known = self.sets.iter().position(|entry| *entry == parameters);
        let index = known.unwrap_or_else(|| {
            self.sets.push(parameters);
            self.sets.len() - 1
        });
        index as u32 + 1
    }

    /// Closes the tables behind the last chunk.
    ///
    /// # Errors
    /// [`Mp4Error::Disagrees`] where the chunks do not hold what the fact promises.
    pub(super) fn finish(&mut self) -> Result<(), Mp4Error> {
        let promised = self.promised;
        let Some(counted) = self.counted.clone() else {
            return Err(self.disagreement("number of chunks", "0", promised.chunks));
        };
        self.entries.settle(promised.end.0);
        self.agree("number of chunks", &counted.chunks, &promised.chunks)?;
        self.agree("number of samples", &counted.samples, &promised.samples)?;
        self.agree("number of bytes", &counted.bytes, &promised.bytes)?;
        self.agree("codec delay", &counted.codec_delay, &promised.codec_delay)?;
        self.agree("number of duration runs", &counted.duration_runs, &promised.duration_runs)?;
        self.agree("number of offset runs", &counted.offset_runs, &promised.offset_runs)?;
        self.agree("number of sync samples", &counted.sync_samples, &promised.sync_samples)?;
        self.agree("reordering", &counted.reordered, &promised.reordered)?;
        self.agree("start", &counted.start, &promised.start)?;
        self.agree("first composition offset", &counted.first_offset, &promised.first_offset)?;
        let sets = self.sets.len();
        self.agree("number of sample entries", &sets, &promised.sample_entries.into())
    }

    fn agree<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &'static str,
        found: &T,
        expected: &T,
    ) -> Result<(), Mp4Error> {
        if found == expected {
            return Ok(());
        }
        Err(self.disagreement(what, format!("{found:?}"), format!("{expected:?}")))
    }

    fn disagreement(
        &self,
        what: &'static str,
        found: impl ToString,
        expected: impl ToString,
    ) -> Mp4Error {
        Mp4Error::Disagrees {
            place: format!("track {}", self.promised.track.0),
            what,
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }
}

fn put(table: &mut Vec<u8>, entry: &[u32]) {
    for field in entry {
        table.extend_from_slice(&field.to_be_bytes());
    }
}

/// An entry of count and value for each run of equal values.
fn put_runs(table: &mut Vec<u8>, values: impl Iterator<Item = u32>) {
    let mut run: Option<(u32, u32)> = None;
    for value in values {
        match &mut run {
            Some((count, same)) if *same == value => *count += 1,
            _ => {
                if let Some((count, same)) = run.replace((1, value)) {
                    put(table, &[count, same]);
                }
            }
        }
    }
    if let Some((count, value)) = run {
        put(table, &[count, value]);
    }
}
