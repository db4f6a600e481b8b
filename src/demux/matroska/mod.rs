//! Matroska and WebM (RFC 9559): whole, as they are written live, or what is left of them.
//!
//! A file is walked through from element to element. Those that hold others are entered where
//! samples are in them, whatever length they say; so one that was never finished, and two that were
//! put one behind another, are files like any other. Behind what is no element the next cluster
//! is looked for.
//!
//! | part | knows |
//! |---|---|
//! | `elements` | what a file consists of |
//! | `tracks` | what decodes samples |
//! | `blocks` | samples |

mod blocks;
mod elements;
mod tracks;

use blocks::Block;
use elements::{Element, child, children, integer, integer_in, next_cluster};
use tracks::Described;

use super::{
    Coding, Contents, Entry, Kind, Packing, Problem, Remark, Sample, Source, Track, samples_max,
};
use crate::matroska::{EPOCH_NANOS, id};
use crate::units::{NANOS_PER_SECOND, Ticks, WallTime};

/// What a file begins with.
const HEAD: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];
/// Nanoseconds of a tick where a file does not say (RFC 9559, 5.1.2.9).
const TICK_NANOS: i64 = 1_000_000;
/// Ticks a second of ours at most: what is finer is rounded.
const TICKS_MAX: i64 = 1_000_000;
/// Samples are so far apart where nothing says it, in nanoseconds.
const STEP_NANOS: i64 = NANOS_PER_SECOND / 25;
/// What is read of a description, in bytes.
const DESCRIPTION_BYTES_MAX: u64 = 16 << 20;
/// All that are looked at.
const TRACKS_MAX: usize = 32;
/// A track has few.
const ENTRIES_MAX: usize = 256;
/// Stretches without an element that are looked through.
const STRAYS_MAX: usize = 64;
/// What is looked through at a time for the next cluster, in bytes.
const WINDOW_BYTES: usize = 1 << 20;

/// Whether a file that begins like this is one.
pub(super) fn is_one(head: &[u8; 12]) -> bool {
    head.starts_with(&HEAD)
}

/// Takes a file apart.
pub(super) fn contents(source: &dyn Source) -> Result<Contents, Problem> {
    let mut walk = Walk::new(source);
    let mut at = 0;
    while at < source.length() {
        at = walk.step(at)?;
    }
    walk.finish()
}

/// A track while its file is walked through.
struct Lane {
    number: u64,
    kind: Kind,
    entries: Vec<Entry>,
    packing: Packing,
    /// Between samples, in nanoseconds; 0 where it is not told.
    step_nanos: i64,
    samples: Vec<Sample>,
    is_behind_loss: bool,
}

/// A file on the way through it.
struct Walk<'a> {
    source: &'a dyn Source,
    lanes: Vec<Lane>,
    created: Option<WallTime>,
    /// Nanoseconds of a tick of the file.
    tick_nanos: i64,
    /// Ticks a second of ours, once there is a sample.
    timescale: Option<u32>,
    /// By how much what comes is later than it says, in nanoseconds: it is behind another segment.
    shift_nanos: i64,
    /// Where the last sample ends so far, in nanoseconds.
    end_nanos: i64,
    /// The next sample is the first one of another segment.
    begins_segment: bool,
    /// When the cluster begins, in ticks of the file.
    timestamp: i64,
    /// Where it ends, the highest number where that is not known; `None` beside clusters.
    cluster_end: Option<u64>,
    /// Of which lane the samples of the last block are, and how many.
    last: (usize, usize),
    count: u64,
    strays: usize,
    remarks: Vec<Remark>,
}

impl<'a> Walk<'a> {
    fn new(source: &'a dyn Source) -> Walk<'a> {
        Walk {
            source,
            lanes: Vec::new(),
            created: None,
            tick_nanos: TICK_NANOS,
            timescale: None,
            shift_nanos: 0,
            end_nanos: 0,
            begins_segment: false,
            timestamp: 0,
            cluster_end: None,
            last: (0, 0),
            count: 0,
            strays: 0,
            remarks: Vec::new(),
        }
    }

    /// Looks at what is at a place, and answers where the next one is.
    fn step(&mut self, at: u64) -> Result<u64, Problem> {
        if self.cluster_end.is_some_and(|end| at >= end) {
            self.cluster_end = None;
        }
        let Some(element) = Element::read(self.source, at)? else { return self.pass(at, None) };
        let end = element.end.unwrap_or(u64::MAX);
        let limit = self.cluster_end.unwrap_or(u64::MAX);
        match element.id {
            id::SEGMENT => self.begins_segment = self.count > 0,
            id::CLUSTER => (self.cluster_end, self.timestamp) = (Some(end), 0),
            id::BLOCK_GROUP if end <= limit => self.last = (0, 0),
            _ if !self.is_expected(&element) || !element.may_have(end - element.body) => {
                return self.pass(at, None);
            }
            _ if end <= self.source.length() && end <= limit => {
                self.take(&element, end)?;
                return Ok(end);
            }
            _ => return self.pass(at, Some(&element)),
        }
        Ok(element.body)
    }

    /// Whether an element has its place here; what is beside clusters ends one that does not say
    /// where it ends.
    fn is_expected(&mut self, element: &Element) -> bool {
        match self.cluster_end {
            Some(_) if element.is_of_cluster() => true,
            Some(u64::MAX) if element.is_of_segment() => {
                self.cluster_end = None;
                true
            }
            Some(_) => false,
            // What nobody knows yet has a long identifier.
            None => element.is_of_segment() || element.id > 0xff_ffff,
        }
    }

    /// What is there is no element, or one that is cut off: goes on where the next cluster is.
    fn pass(&mut self, at: u64, element: Option<&Element>) -> Result<u64, Problem> {
        let next = match self.strays {
            STRAYS_MAX => None,
            _ => next_cluster(self.source, at + 1)?,
        };
        self.strays += 1;
        let is_in_cluster = self.cluster_end.take().is_some();
        let until = next.unwrap_or(self.source.length());
        match element.filter(|_| next.is_none()) {
            Some(element) if !is_in_cluster && element.is_unneeded() => {}
            Some(_) => self.remarks.push(Remark::Ends { kind: "block".to_owned(), offset: at }),
            None => self.damaged(at, until - at),
        }
        Ok(until)
    }

    fn damaged(&mut self, offset: u64, length: u64) {
        self.remarks.push(Remark::Damaged { offset, length });
        self.lanes.iter_mut().for_each(|lane| lane.is_behind_loss = true);
    }

    /// Another segment begins with a sample of that time: it is put behind the one before, unless
    /// it goes on from there.
    fn begin_segment(&mut self, nanos: i64) {
        self.shift_nanos = 0;
        if nanos >= self.end_nanos {
            return;
        }
        self.shift_nanos = self.end_nanos.saturating_sub(nanos);
        let pictures = self.lanes.iter().find(|lane| lane.kind == Kind::Video);
        let sample = pictures.map_or(0, |lane| lane.samples.len() as u64) + 1;
        self.remarks.push(Remark::TimesAnew { sample });
    }

    fn take(&mut self, element: &Element, end: u64) -> Result<(), Problem> {
        match element.id {
            id::INFO => self.describe_file(&self.body(element, end)?),
            id::TRACKS => {
                let body = self.body(element, end)?;
                let entries = children(&body).filter(|(id, _)| *id == id::TRACK_ENTRY);
                let described = entries.filter_map(|(_, body)| tracks::described(body));
                described.for_each(|described| self.describe(described));
            }
            id::TIMESTAMP => {
                let ticks = integer(&self.body(element, end)?);
                self.timestamp = ticks.and_then(|ticks| i64::try_from(ticks).ok()).unwrap_or(0);
            }
            id::SIMPLE_BLOCK | id::BLOCK => match Block::read(self.source, element.body, end)? {
                // Of a group it is told behind it what it needs.
                Some(block) => self.add(&block, element.id == id::BLOCK || block.is_key)?,
                None => self.damaged(element.body, end - element.body),
            },
            id::REFERENCE_BLOCK => self.of_last(|sample| sample.sync = false),
            id::BLOCK_DURATION => {
                let ticks = integer(&self.body(element, end)?).unwrap_or(0);
                let nanos = self.nanos(i64::try_from(ticks).unwrap_or(0));
                let ticks = u32::try_from(self.ticks(nanos)).unwrap_or(0);
                self.of_last(|sample| sample.duration = ticks);
            }
            _ => {}
        }
        Ok(())
    }

    fn body(&self, element: &Element, end: u64) -> Result<Vec<u8>, Problem> {
        let mut body = vec![0; (end - element.body) as usize];
        self.source.read_at(element.body, &mut body)?;
        Ok(body)
    }

    fn describe_file(&mut self, body: &[u8]) {
        let scale = integer_in(body, id::TIMESTAMP_SCALE).and_then(|it| i64::try_from(it).ok());
        self.tick_nanos = scale.filter(|scale| *scale > 0).unwrap_or(TICK_NANOS);
        let date = child(body, id::DATE).and_then(|body| body.try_into().ok());
        let date = date.map(|date| i64::from_be_bytes(date).saturating_add(EPOCH_NANOS));
        self.created = self.created.or(date.map(WallTime));
    }

    /// A track, which may be known from another segment.
    fn describe(&mut self, described: Described) {
        let Described { number, kind, entry, packing, step_nanos } = described;
        let step_nanos = match i64::try_from(step_nanos).unwrap_or(0) {
            0 => usual_step(&entry),
            told => told,
        };
        let count = self.lanes.len();
        match self.lanes.iter_mut().find(|lane| lane.number == number) {
            Some(lane) => {
                let is_news = lane.entries.last() != Some(&entry);
                if is_news && lane.packing == packing && lane.entries.len() < ENTRIES_MAX {
                    lane.entries.push(entry);
                }
            }
            None if count < TRACKS_MAX => {
                let (entries, samples, is_behind_loss) = (vec![entry], Vec::new(), false);
                self.lanes.push(Lane {
                    number,
                    kind,
                    entries,
                    packing,
                    step_nanos,
                    samples,
                    is_behind_loss,
                });
            }
            None => {}
        }
    }

    fn nanos(&self, ticks: i64) -> i64 {
        ticks.saturating_mul(self.tick_nanos)
    }

    /// In ticks of ours.
    fn ticks(&mut self, nanos: i64) -> i64 {
        let tick_nanos = self.tick_nanos;
        let timescale = *self.timescale.get_or_insert_with(|| timescale(tick_nanos));
        Ticks::from_nanos(nanos, timescale).0
    }

    fn add(&mut self, block: &Block, sync: bool) -> Result<(), Problem> {
        self.last = (0, 0);
        let Some(number) = self.lanes.iter().position(|lane| lane.number == block.track) else {
            return Ok(());
        };
        let ticks = self.timestamp.saturating_add(block.timestamp.into());
        let told = self.nanos(ticks);
        if std::mem::take(&mut self.begins_segment) {
            self.begin_segment(told);
        }
        let mut nanos = told.saturating_add(self.shift_nanos);
        self.count += block.samples.len() as u64;
        if self.count > samples_max(self.source.length()) {
            return Err(Problem::Unsupported(format!("{} samples", self.count)));
        }
        for (offset, size) in block.samples.iter().copied().filter(|(_, size)| *size > 0) {
            let pts = self.ticks(nanos);
            let Some(lane) = self.lanes.get_mut(number) else { break };
            let step_nanos = if lane.step_nanos > 0 { lane.step_nanos } else { STEP_NANOS };
            lane.samples.push(Sample {
                pts,
                offset,
                skip: 0,
                size,
                duration: 0,
                entry: (lane.entries.len() - 1) as u16,
                sync,
                shown: block.is_shown,
                is_behind_loss: std::mem::take(&mut lane.is_behind_loss),
            });
            self.last = (number, self.last.1 + 1);
            nanos = nanos.saturating_add(step_nanos);
            self.end_nanos = self.end_nanos.max(nanos);
        }
        Ok(())
    }

    /// Changes the samples of the last block.
    fn of_last(&mut self, change: impl FnMut(&mut Sample)) {
        let (number, count) = self.last;
        let Some(lane) = self.lanes.get_mut(number) else { return };
        lane.samples.iter_mut().rev().take(count).for_each(change);
    }

    fn finish(self) -> Result<Contents, Problem> {
        let timescale = self.timescale.unwrap_or(timescale(self.tick_nanos));
        if self.lanes.is_empty() {
            return Err(Problem::Malformed("no element says what its tracks are".to_owned()));
        }
        let tracks = self.lanes.into_iter().map(|lane| {
            let step = lane.step(timescale);
            let Lane { number, kind, entries, packing, mut samples, .. } = lane;
            samples.iter_mut().filter(|it| it.duration == 0).for_each(|it| it.duration = step);
            Track { number, kind, timescale, entries, samples, packing }
        });
        Ok(Contents { tracks: tracks.collect(), created: self.created, remarks: self.remarks })
    }
}

impl Lane {
    /// How far samples usually are apart, in ticks.
    fn step(&self, timescale: u32) -> u32 {
        if self.step_nanos > 0 {
            return u32::try_from(Ticks::from_nanos(self.step_nanos, timescale).0).unwrap_or(0);
        }
        let mut times: Vec<i64> = self.samples.iter().map(|sample| sample.pts).collect();
        times.sort_unstable();
        let pairs = times.iter().zip(times.iter().skip(1));
        let mut steps: Vec<i64> = pairs.map(|(time, next)| next.saturating_sub(*time)).collect();
        steps.sort_unstable();
        steps.get(steps.len() / 2).and_then(|step| u32::try_from(*step).ok()).unwrap_or(0)
    }
}

/// How far packets of a coding usually are apart, in nanoseconds; 0 of another one.
fn usual_step(entry: &Entry) -> i64 {
    match (&entry.coding, entry.sample_rate) {
        (Coding::Aac, Some(rate)) => 1024 * NANOS_PER_SECOND / i64::from(rate),
        (Coding::Opus, _) => NANOS_PER_SECOND / 50,
        _ => 0,
    }
}

/// Ticks a second of ours for those of a file: the same, where a second has a whole number of them.
fn timescale(tick_nanos: i64) -> u32 {
    let ticks = NANOS_PER_SECOND / tick_nanos;
    let is_exact = ticks > 0 && NANOS_PER_SECOND % tick_nanos == 0 && ticks <= TICKS_MAX;
    (if is_exact { ticks } else { TICKS_MAX }) as u32
}
