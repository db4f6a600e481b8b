//! Samples of a file become chunks, chunks become clips. Pure.
//!
//! As in the recorder, a clip begins at a key frame, its tick 0 is the moment at which its first
//! picture is shown, and its successor begins where it ends: all times come from decode times
//! since the first picture of the run, so that no rounding adds up.

use crate::clock::Reading;
use crate::import::MediaSample;
use crate::recorder::Boundary;
use crate::segment::{
    Anchor, ChunkTable, ClockQuality, EndReason, Sample, SampleFlags, TrackKind, TrackNumber,
    TrackTable,
};
use crate::units::{NANOS_PER_SECOND, Ticks, WallTime};

/// A chunk ends before a key frame when it is this long, in nanoseconds.
const CHUNK_NANOS_MIN: i64 = NANOS_PER_SECOND;
/// A chunk ends before any frame when it is this long, in nanoseconds.
const CHUNK_NANOS_MAX: i64 = 4 * NANOS_PER_SECOND;
/// A chunk never holds more frames: its table has to fit beside its samples into a block.
const CHUNK_SAMPLES_MAX: usize = 4096;
/// Times of a file that are apart by more than its durations say are a gap beyond this, in
/// nanoseconds: fragments state their times with the rounding of whoever wrote them.
const GAP_NANOS_MIN: i64 = NANOS_PER_SECOND / 2;

/// The next step to take with the ring.
#[derive(Debug)]
pub(super) enum Step {
    /// A clip begins with the chunk that follows.
    Begin {
        /// When its first picture is shown.
        start: WallTime,
    },
    /// The next chunk of the clip.
    Chunk(ChunkTable, Vec<u8>),
    /// The clip ends.
    End {
        /// Why.
        reason: EndReason,
        /// Its length, in nanoseconds.
        length_nanos: i64,
    },
}

/// A time line without a gap: from decode times to the wall.
#[derive(Clone, Copy)]
struct Run {
    first_dts: i64,
    first_wall: WallTime,
    timescale: u32,
}

impl Run {
    fn wall_at(&self, dts: i64) -> WallTime {
        self.first_wall.plus_nanos(self.nanos_between(self.first_dts, dts))
    }

    fn nanos_between(&self, from: i64, to: i64) -> i64 {
        Ticks(to.saturating_sub(from)).to_nanos(self.timescale)
    }
}

/// The clip that samples go into.
struct Clip {
    start_dts: i64,
    start: WallTime,
    begun: bool,
}

/// A sample that waits to be handed in.
struct Waiting {
    dts: i64,
    duration: u32,
    offset: i32,
    size: u32,
    sync: bool,
}

/// How a file is cut.
pub(super) struct Cut {
    /// When the file's presentation begins.
    pub start: WallTime,
    /// Ticks a second.
    pub timescale: u32,
    /// Where clips end.
    pub boundary: Boundary,
    /// The most bytes that a chunk's samples may have, unless one sample alone has more.
    pub chunk_bytes_max: usize,
    /// All clocks, for the anchors.
    pub now: Reading,
}

/// Cuts one file.
pub(super) struct Cutter {
    cut: Cut,
    run: Option<Run>,
    clip: Option<Clip>,
    waiting: Vec<Waiting>,
    data: Vec<u8>,
    /// Samples before the first key frame, or between a gap and the next one.
    skipped: u64,
}

impl Cutter {
    /// Nothing has come yet.
    pub fn new(cut: Cut) -> Cutter {
        Cutter { cut, run: None, clip: None, waiting: Vec::new(), data: Vec::new(), skipped: 0 }
    }

    /// Samples that were left out: those that no key frame precedes.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Takes the next sample in the order of decoding.
    pub fn push(&mut self, sample: MediaSample) -> Vec<Step> {
        let mut steps = Vec::new();
        let dts = sample.dts.0;
        let offset = i32::try_from(sample.pts.0.saturating_sub(dts)).unwrap_or(0);
        if self.settle_before(dts) {
            self.close(EndReason::TimeJump, None, &mut steps);
            self.run = None;
        }
        if sample.sync {
            self.key_frame(dts, sample.pts.0, &mut steps);
        } else if self.clip.is_none() {
            self.skipped += 1;
            return steps;
        } else if self.length_of_chunk(dts) >= CHUNK_NANOS_MAX {
            self.hand_in(&mut steps);
        }
        let full = self.data.len() + sample.data.len() > self.cut.chunk_bytes_max;
        if full || self.waiting.len() >= CHUNK_SAMPLES_MAX {
            self.hand_in(&mut steps);
        }
        self.waiting.push(Waiting {
            dts,
            duration: sample.duration,
            offset,
            // The reader of the file has sizes of 32 bits.
            size: sample.data.len() as u32,
            sync: sample.sync,
        });
        self.data.extend_from_slice(&sample.data);
        steps
    }

    /// The file is over.
    pub fn finish(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        self.close(EndReason::Stopped, None, &mut steps);
        steps
    }

    /// Settles the duration of the last sample now that its successor's time is known. Answers
    /// whether there is a gap between the two, or no order.
    fn settle_before(&mut self, dts: i64) -> bool {
        let (Some(last), Some(run)) = (self.waiting.last_mut(), &self.run) else { return false };
        let distance = dts.saturating_sub(last.dts);
        let beyond = run.nanos_between(last.dts.saturating_add(i64::from(last.duration)), dts);
        match u32::try_from(distance) {
            Ok(distance) if distance > 0 && beyond <= GAP_NANOS_MIN => {
                last.duration = distance;
                false
            }
            _ => true,
        }
    }

    fn key_frame(&mut self, dts: i64, pts: i64, steps: &mut Vec<Step>) {
        let timescale = self.cut.timescale;
        let first_wall = self.cut.start.plus_nanos(Ticks(pts).to_nanos(timescale));
        let run = *self.run.get_or_insert(Run { first_dts: dts, first_wall, timescale });
        let here = run.wall_at(dts);
        if self.clip.as_ref().is_some_and(|clip| (self.cut.boundary)(clip.start) <= here) {
            self.close(EndReason::Boundary, Some(dts), steps);
        } else if self.length_of_chunk(dts) >= CHUNK_NANOS_MIN {
            self.hand_in(steps);
        }
        self.clip.get_or_insert(Clip { start_dts: dts, start: here, begun: false });
    }

    /// Nanoseconds from the first waiting sample to a decode time.
    fn length_of_chunk(&self, dts: i64) -> i64 {
        match (self.waiting.first(), &self.run) {
            (Some(first), Some(run)) => run.nanos_between(first.dts, dts),
            _ => 0,
        }
    }

    /// Hands in what waits, as a chunk.
    fn hand_in(&mut self, steps: &mut Vec<Step>) {
        let (Some(clip), Some(first)) = (&mut self.clip, self.waiting.first()) else { return };
        if !clip.begun {
            clip.begun = true;
            steps.push(Step::Begin { start: clip.start });
        }
        let start = Ticks(first.dts - clip.start_dts);
        let samples = self.waiting.drain(..).map(|waiting| Sample {
            duration: waiting.duration,
            size: waiting.size,
            composition_offset: waiting.offset,
            flags: SampleFlags { sync: waiting.sync, ..SampleFlags::default() },
        });
        let track = TrackTable {
            track: TrackNumber(0),
            kind: TrackKind::Video,
            timescale: self.cut.timescale,
            parameters: 0,
            codec_delay: 0,
            start,
            samples: samples.collect(),
        };
        let anchor = Anchor {
            wall: clip.start,
            boot: self.cut.now.boot,
            boot_id: self.cut.now.boot_id,
            camera: None,
            quality: ClockQuality::Given,
        };
        let data = std::mem::take(&mut self.data);
        steps.push(Step::Chunk(ChunkTable { anchor, tracks: vec![track] }, data));
    }

    /// Hands in what waits and ends the clip, at the decode time of its successor where there is
    /// one.
    fn close(&mut self, reason: EndReason, next: Option<i64>, steps: &mut Vec<Step>) {
        let behind = self.waiting.last().map(|last| last.dts + i64::from(last.duration.max(1)));
        if let Some(last) = self.waiting.last_mut() {
            // A last sample of no length would not be shown at all.
            last.duration = last.duration.max(1);
        }
        self.hand_in(steps);
        let (Some(clip), Some(run)) = (self.clip.take(), &self.run) else { return };
        let end = next.or(behind).unwrap_or(clip.start_dts);
        let length_nanos = run.wall_at(end).nanos_since(clip.start);
        steps.push(Step::End { reason, length_nanos });
    }
}
