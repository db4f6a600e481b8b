//! The sample tables of one track, collected chunk by chunk.

use super::Mp4Error;
use super::layout::lists_sync_samples;
use crate::segment::{TrackTable, TrackTotals};

/// Entries of a track's tables as they stand in the boxes, and what they were made from.
pub(super) struct TrackTables<'a> {
    /// What the fact promises.
    pub promised: &'a TrackTotals,
    /// What the chunks held so far; `None` before the first.
    counted: Option<TrackTotals>,
    /// Decode time of the next sample as the entries of `stts` add up to, in ticks of the clip.
    decode_time: i64,
    /// Parameter sets in the order of their first use: sample entry 1, 2, …
    pub entries: Vec<u16>,
    /// Duration of the first sample, in ticks.
    pub first_duration: u32,
    pub stts: Vec<u8>,
    pub ctts: Vec<u8>,
    pub stss: Vec<u8>,
    pub stsc: Vec<u8>,
    pub stsz: Vec<u8>,
    pub co64: Vec<u8>,
}

impl<'a> TrackTables<'a> {
    pub(super) fn new(promised: &'a TrackTotals) -> TrackTables<'a> {
        TrackTables {
            promised,
            counted: None,
            decode_time: promised.start.0,
            entries: Vec::new(),
            first_duration: 0,
            stts: Vec::new(),
            ctts: Vec::new(),
            stss: Vec::new(),
            stsc: Vec::new(),
            stsz: Vec::new(),
            co64: Vec::new(),
        }
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
        match self.counted {
            Some(_) => self.settle(table.start.0),
            None => self.first_duration = table.samples.first().map_or(0, |first| first.duration),
        }
        let counted = self.counted.get_or_insert_with(|| TrackTotals::new(table));
        let samples_before = counted.samples;
        counted.add(table);
        let chunk_number = counted.chunks;

        let description = self.description(parameters);
        put(&mut self.stsc, &[chunk_number, table.samples.len() as u32, description]);
        self.co64.extend_from_slice(&offset.to_be_bytes());
        for sample in &table.samples {
            put(&mut self.stsz, &[sample.size]);
        }
        self.add_durations(table);
        if promised.reordered {
            let offsets = table.samples.iter().map(|sample| sample.composition_offset as u32);
            put_runs(&mut self.ctts, offsets);
        }
        if lists_sync_samples(promised) {
            for (number, sample) in (samples_before + 1..).zip(&table.samples) {
                if sample.flags.sync {
                    put(&mut self.stss, &[number as u32]);
                }
            }
        }
        Ok(())
    }

    /// The sample entry that stands for a parameter set, counted from 1.
    fn description(&mut self, parameters: u16) -> u32 {
        let known = self.entries.iter().position(|entry| *entry == parameters);
        let index = known.unwrap_or_else(|| {
            self.entries.push(parameters);
            self.entries.len() - 1
        });
        index as u32 + 1
    }

    /// Durations of all but the last sample, which [`TrackTables::settle`] adds.
    fn add_durations(&mut self, table: &TrackTable) {
        let but_last = table.samples.split_last().map_or(&[][..], |(_, rest)| rest);
        put_runs(&mut self.stts, but_last.iter().map(|sample| sample.duration));
        let length: i64 = but_last.iter().map(|sample| i64::from(sample.duration)).sum();
        self.decode_time = self.decode_time.saturating_add(length);
    }

    /// Gives the last sample so far the duration that lets the next one, or the end, come at
    /// `next`. What a chunk promised too much is taken off here, so that errors do not add up.
    fn settle(&mut self, next: i64) {
        let wanted = next.saturating_sub(self.decode_time);
        let duration = wanted.clamp(0, i64::from(u32::MAX)) as u32;
        put(&mut self.stts, &[1, duration]);
        self.decode_time = self.decode_time.saturating_add(i64::from(duration));
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
        self.settle(promised.end.0);
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
        let entries = self.entries.len();
        self.agree("number of sample entries", &entries, &promised.sample_entries.into())
    }

    /// Length of all tables, in bytes.
    pub(super) fn length(&self) -> usize {
        [&self.stts, &self.ctts, &self.stss, &self.stsc, &self.stsz, &self.co64]
            .iter()
            .map(|table| table.len())
            .sum()
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
