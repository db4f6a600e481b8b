//! Segments: whole groups of pictures with the sound of their time, which can be decoded alone.
//!
//! A segment is as short as whole groups allow, but [`LENGTH_NANOS`] long: players stall at long
//! ones, and each costs what stands in front of it. Where the time on the wall jumps, one begins.
//!
//! Where each begins and how long it is has to be known before the first byte is read: all samples
//! are counted once, and of each segment a few numbers are kept.

use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};

use super::part::{Data, Part, Stretch, decode_times, taken};
use super::segmented::Counted;
use super::{Compilation, SOUND, TRACKS, VIDEO};
use crate::mp4::tables::Table;
use crate::mp4::{Chunk, Mp4Error};
use crate::segment::{Sample, TrackTable};
use crate::units::NANOS_PER_SECOND;

/// How long a segment is, where groups allow it.
const LENGTH_NANOS: RangeInclusive<i64> = 4 * NANOS_PER_SECOND..=10 * NANOS_PER_SECOND;

/// Says how long samples are in a file.
pub(super) trait Measure {
    /// Bytes that a sample of a track takes.
    fn sample_bytes(&self, track: usize, sample: &Sample) -> u64;

    /// Bytes that a segment takes beside its samples, which has so many of each track and is shown
    /// then.
    fn segment_bytes(&self, counts: [u64; TRACKS], shown_nanos: Range<i64>) -> u64;
}

/// Where a segment begins, and the one before ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Boundary {
    /// In bytes behind what is in front of all segments.
    pub offset: u64,
    /// How many samples of each track are in front of it.
    pub samples: [u64; TRACKS],
    /// Bytes that these take.
    pub bytes: [u64; TRACKS],
    /// When its first picture is shown, in nanoseconds since the beginning of the file.
    pub shown_nanos: i64,
}

/// A boundary as it is found.
#[derive(Clone, Copy)]
struct Draft {
    shown_nanos: i64,
    samples: [u64; TRACKS],
    /// Bytes of samples of each track in front of it.
    bytes: [u64; TRACKS],
}

/// The samples of a part: of which track each is, and when it is decoded, in ticks since the
/// beginning of the file.
pub struct Listed(Vec<(usize, i64, Sample)>);

impl Listed {
    /// # Errors
    /// [`Mp4Error::Table`] where a table can't be read.
    pub(super) fn of<'a>(
        compilation: &Compilation,
        part: usize,
        chunks: impl IntoIterator<Item = Chunk<'a>>,
    ) -> Result<Listed, Mp4Error> {
        let ats = compilation.parts[part].ats;
        let mut all = Vec::new();
        compilation.samples(part, chunks, &mut |track, table, _| {
            let timed = decode_times(table);
            all.extend(timed.map(|(decoded, sample)| (track, ats[track] + decoded, *sample)));
        })?;
        Ok(Listed(all))
    }
}

/// Finds the segments of a file, part by part.
pub struct Segmenter<'a> {
    compilation: &'a Compilation,
    measure: &'a dyn Measure,
    /// When the time on the wall jumps, in nanoseconds since the beginning of the file; the next
    /// one first.
    jumps: VecDeque<i64>,
    drafts: Vec<Draft>,
    /// A key frame in the last one, with which the next may begin.
    candidate: Option<Draft>,
    samples: [u64; TRACKS],
    bytes: [u64; TRACKS],
    /// When packets of sound begin of which it is not known yet in which segment they are, and
    /// their bytes.
    waiting: VecDeque<(i64, u64)>,
    sample_bytes_max: u32,
    /// How many of the drafts know what sound is in front of them.
    settled: usize,
}

impl<'a> Segmenter<'a> {
    pub(super) fn new(
        compilation: &'a Compilation,
        measure: &'a dyn Measure,
        jumps: impl IntoIterator<Item = i64>,
    ) -> Segmenter<'a> {
        // As exactly as ticks say when a picture is shown.
        let in_ticks = |nanos| compilation.nanos(VIDEO, compilation.common.ticks(VIDEO, nanos));
        Segmenter {
            compilation,
            measure,
            jumps: jumps.into_iter().map(in_ticks).collect(),
            drafts: Vec::new(),
            candidate: None,
            samples: [0; TRACKS],
            bytes: [0; TRACKS],
            waiting: VecDeque::new(),
            sample_bytes_max: 0,
            settled: 0,
        }
    }

    /// Counts the samples of the next part.
    pub fn add(&mut self, listed: &Listed) {
        for (track, decoded, sample) in &listed.0 {
            let bytes = self.measure.sample_bytes(*track, sample);
            self.sample_bytes_max = self.sample_bytes_max.max(sample.size);
            if *track == SOUND {
                self.waiting.push_back((self.compilation.nanos(SOUND, *decoded), bytes));
                continue;
            }
            if sample.flags.sync || self.drafts.is_empty() {
                let offset = sample.composition_offset;
                self.add_key_frame(self.compilation.shown_nanos(VIDEO, *decoded, offset));
            }
            self.samples[VIDEO] += 1;
            self.bytes[VIDEO] += bytes;
        }
        let known = self.candidate.or(self.drafts.last().copied());
        self.settle(known.map_or(i64::MIN, |known| known.shown_nanos));
    }

    /// The next picture begins a group.
    fn add_key_frame(&mut self, shown_nanos: i64) {
        let draft = Draft { shown_nanos, samples: self.samples, bytes: self.bytes };
        let jumps = self.jumps.partition_point(|jump| *jump <= shown_nanos);
        let is_jump = self.jumps.drain(..jumps).count() > 0;
        self.split_before(shown_nanos);
        let begin = self.drafts.last().map(|draft| draft.shown_nanos);
        if begin.is_none_or(|begin| is_jump || shown_nanos - begin >= *LENGTH_NANOS.start()) {
            self.drafts.push(draft);
            self.candidate = None;
        } else {
            self.candidate = Some(draft);
        }
    }

    /// A segment that goes on until then would be too long: it ends where it can.
    fn split_before(&mut self, end_nanos: i64) {
        let begin = self.drafts.last().map_or(i64::MAX, |draft| draft.shown_nanos);
        if end_nanos.saturating_sub(begin) > *LENGTH_NANOS.end() {
            self.drafts.extend(self.candidate.take());
        }
    }

    /// Says of packets that begin before some time in which segment they are: in that of whose
    /// pictures the first is not shown later, and else in the first.
    fn settle(&mut self, until_nanos: i64) {
        while let Some((begin, bytes)) = self.waiting.front().copied() {
            if begin >= until_nanos {
                break;
            }
            self.waiting.pop_front();
            self.settle_drafts(|draft| draft.shown_nanos <= begin);
            self.samples[SOUND] += 1;
            self.bytes[SOUND] += bytes;
        }
    }

    fn settle_drafts(&mut self, is_settled: impl Fn(&Draft) -> bool) {
        while let Some(draft) = self.drafts.get_mut(self.settled) {
            if self.settled > 0 && !is_settled(draft) {
                break;
            }
            draft.samples[SOUND] = self.samples[SOUND];
            draft.bytes[SOUND] = self.bytes[SOUND];
            self.settled += 1;
        }
    }

    /// Where each segment begins, and where the last one ends.
    #[must_use]
    pub fn finish(mut self) -> Counted {
        let end_nanos = self.compilation.total_nanos;
        self.split_before(end_nanos);
        self.settle(i64::MAX);
        self.settle_drafts(|_| true);
        let (samples, bytes) = (self.samples, self.bytes);
        self.drafts.push(Draft { shown_nanos: end_nanos, samples, bytes });
        let mut offset = 0;
        let mut boundaries = Vec::with_capacity(self.drafts.len());
        let mut last: Option<Draft> = None;
        for draft in self.drafts {
            if let Some(last) = last.replace(draft) {
                let more = |now: [u64; TRACKS], before: [u64; TRACKS]| {
                    std::array::from_fn(|track| now[track] - before[track])
                };
                let bytes: [u64; TRACKS] = more(draft.bytes, last.bytes);
                let counts = more(draft.samples, last.samples);
                let shown_nanos = last.shown_nanos..draft.shown_nanos;
                offset += self.measure.segment_bytes(counts, shown_nanos);
                offset += bytes.iter().sum::<u64>();
            }
            let Draft { shown_nanos, samples, bytes } = draft;
            boundaries.push(Boundary { offset, samples, bytes, shown_nanos });
        }
        Counted { boundaries, sample_bytes_max: self.sample_bytes_max }
    }
}

/// A sample in its segment; times in ticks of its track since the beginning of the file.
pub(super) struct Placed {
    pub decoded: i64,
    /// By how much it is shown later, the lag of the file included.
    pub composition_offset: i32,
    /// Until the next one is decoded.
    pub duration: u32,
    pub is_sync: bool,
    pub size: u32,
    pub data: Vec<Data>,
}

/// What a segment has of a part.
#[derive(Default)]
pub struct Gathered {
    samples: [Vec<Placed>; TRACKS],
    /// When the first sample of each track is decoded that is behind the segment.
    next: [Option<i64>; TRACKS],
}

/// Which samples of each track are between two boundaries, counted in the file.
pub(super) fn samples_between(begin: &Boundary, end: &Boundary) -> [Range<u64>; TRACKS] {
    std::array::from_fn(|track| begin.samples[track]..end.samples[track])
}

/// The parts that have any of these samples, or one right behind them.
pub(super) fn parts_with(wanted: &[Range<u64>; TRACKS], parts: &[Part]) -> Vec<usize> {
    let has = |part: &Part| {
        part.stretches.iter().zip(wanted).any(|(stretch, wanted)| {
            let own = stretch.as_ref().map_or(0..0, samples_of);
            !wanted.is_empty() && own.start <= wanted.end && wanted.start < own.end
        })
    };
    (0..parts.len()).filter(|number| has(&parts[*number])).collect()
}

impl Gathered {
    /// What there is of these samples in a part.
    ///
    /// # Errors
    /// [`Mp4Error::Table`] where a table can't be read.
    pub(super) fn of<'a>(
        compilation: &Compilation,
        wanted: &[Range<u64>; TRACKS],
        part: usize,
        chunks: impl IntoIterator<Item = Chunk<'a>>,
    ) -> Result<Gathered, Mp4Error> {
        let planned = &compilation.parts[part];
        let mut numbers = planned.stretches.each_ref().map(|stretch| {
            let stretch = stretch.as_ref();
            stretch.map_or(0, |stretch| samples_of(stretch).start)
        });
        let mut gathered = Gathered::default();
        compilation.samples(part, chunks, &mut |track, table, data| {
            let first = numbers[track];
            numbers[track] += table.samples.len() as u64;
            gathered.add(track, &wanted[track], first, (planned.ats[track], table), data);
        })?;
        Ok(gathered)
    }

    fn add(
        &mut self,
        track: usize,
        wanted: &Range<u64>,
        first: u64,
        (at, table): (i64, &TrackTable),
        data: Vec<Data>,
    ) {
        let behind = first + table.samples.len() as u64;
        if wanted.is_empty() || behind <= wanted.start || wanted.end < first {
            return;
        }
        let mut data = VecDeque::from(data);
        for (number, (decoded, sample)) in (first..).zip(decode_times(table)) {
            let own = taken(&mut data, u64::from(sample.size));
            if number == wanted.end {
                self.next[track] = Some(at + decoded);
            }
            if wanted.contains(&number) {
                self.samples[track].push(Placed {
                    decoded: at + decoded,
                    composition_offset: sample.composition_offset,
                    duration: sample.duration,
                    is_sync: sample.flags.sync,
                    size: sample.size,
                    data: own,
                });
            }
        }
    }

    /// All of a segment, each sample lasting until the next one.
    ///
    /// # Errors
    /// [`Mp4Error::Disagrees`] where the parts have fewer than they said.
    pub(super) fn finish(
        compilation: &Compilation,
        wanted: &[Range<u64>; TRACKS],
        parts: Vec<Gathered>,
    ) -> Result<[Vec<Placed>; TRACKS], Mp4Error> {
        let mut all: [Vec<Placed>; TRACKS] = Default::default();
        let next: [i64; TRACKS] = std::array::from_fn(|track| {
            let next = parts.iter().find_map(|part| part.next[track]);
            let end = || compilation.stretches(track).next_back().map(|last| last.end);
            next.or_else(end).unwrap_or(0)
        });
        for part in parts {
            for (all, own) in all.iter_mut().zip(part.samples) {
                all.extend(own);
            }
        }
        for (track, samples) in all.iter_mut().enumerate() {
            let expected = wanted[track].end - wanted[track].start;
            if samples.len() as u64 != expected {
                return Err(Mp4Error::Disagrees {
                    place: "a segment".to_owned(),
                    what: "number of its samples",
                    found: samples.len().to_string(),
                    expected: expected.to_string(),
                });
            }
            let mut next = next[track];
            for sample in samples.iter_mut().rev() {
                sample.duration = (next - sample.decoded).clamp(0, u32::MAX.into()) as u32;
                next = sample.decoded;
            }
        }
        Ok(all)
    }
}

/// Which samples of its track a stretch has, counted in the file.
fn samples_of(stretch: &Stretch) -> Range<u64> {
    let before = stretch.before[Table::Sizes as usize];
    before..before + stretch.counts[Table::Sizes as usize]
}
