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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::units::BootTime;

    const SECOND: i64 = NANOS_PER_SECOND;
    const START: WallTime = WallTime(1_790_000_003 * SECOND);
    const CLIP: i64 = 10 * SECOND;
    const TIMESCALE: u32 = 90_000;
    /// 25 frames a second.
    const INTERVAL: i64 = 3600;

    /// A clip as it was cut.
    #[derive(Debug, Default)]
    struct Made {
        start: i64,
        chunks: Vec<(ChunkTable, Vec<u8>)>,
        end: Option<(EndReason, i64)>,
    }

    fn cutter(chunk_bytes_max: usize) -> Cutter {
        let boundary = |start: WallTime| WallTime((start.0.div_euclid(CLIP) + 1) * CLIP);
        Cutter::new(Cut {
            start: START,
            timescale: TIMESCALE,
            boundary: Arc::new(boundary),
            chunk_bytes_max,
            now: Reading {
                wall: WallTime(0),
                boot: BootTime(7),
                boot_id: [1; 16],
                synchronised: true,
            },
        })
    }

    /// Frame `number` of a file with a key frame each two seconds, shown two frames after its
    /// decoding.
    fn frame(number: i64) -> MediaSample {
        MediaSample {
            dts: Ticks((number - 2) * INTERVAL),
            pts: Ticks(number * INTERVAL),
            duration: INTERVAL as u32,
            sync: number % 50 == 0,
            data: vec![number as u8; 100],
        }
    }

    fn made(cutter: &mut Cutter, frames: impl Iterator<Item = MediaSample>) -> Vec<Made> {
        let mut clips: Vec<Made> = Vec::new();
        let mut steps: Vec<Step> = frames.flat_map(|frame| cutter.push(frame)).collect();
        steps.extend(cutter.finish());
        for step in steps {
            match step {
                Step::Begin { start } => {
                    clips.push(Made { start: start.0 - START.0, ..Made::default() });
                }
                Step::Chunk(table, data) => {
                    assert_eq!(table.byte_count(), data.len() as u64);
                    clips.last_mut().expect("a clip").chunks.push((table, data));
                }
                Step::End { reason, length_nanos } => {
                    clips.last_mut().expect("a clip").end = Some((reason, length_nanos));
                }
            }
        }
        clips
    }

    #[test]
    fn each_clip_begins_at_a_key_frame_where_the_last_one_ended() {
        let mut cutter = cutter(1 << 20);
        let clips = made(&mut cutter, (0..1000).map(frame));
        let spans: Vec<_> = clips.iter().map(|c| (c.start / SECOND, c.end)).collect();
        let boundary = |seconds: i64| Some((EndReason::Boundary, seconds * SECOND));
        assert_eq!(
            spans,
            [
                (0, boundary(8)),
                (8, boundary(10)),
                (18, boundary(10)),
                (28, boundary(10)),
                (38, Some((EndReason::Stopped, 2 * SECOND))),
            ]
        );
        for clip in &clips {
            let first = &clip.chunks[0].0;
            assert_eq!(first.anchor.wall.0 - START.0, clip.start);
            assert_eq!(first.anchor.quality, ClockQuality::Given);
            assert_eq!(first.tracks[0].start, Ticks(0));
            assert!(clip.chunks.iter().all(|(table, _)| table.tracks[0].samples[0].flags.sync));
            assert!(clip.chunks.iter().all(|(table, _)| table.tracks[0].samples.len() == 50));
        }
        assert_eq!(cutter.skipped(), 0);
    }

    #[test]
    fn what_no_key_frame_precedes_is_left_out_and_the_rest_keeps_its_time() {
        let mut cutter = cutter(1 << 20);
        let clips = made(&mut cutter, (25..150).map(frame));
        assert_eq!(cutter.skipped(), 25);
        assert_eq!(clips.len(), 1);
        assert_eq!(clips[0].start, 2 * SECOND, "frame 50 is shown two seconds into the file");
    }

    #[test]
    fn a_gap_in_the_file_ends_the_clip_and_is_not_papered_over() {
        let mut cutter = cutter(1 << 20);
        let clips = made(&mut cutter, (0..75).chain(120..200).map(frame));
        let spans: Vec<_> = clips.iter().map(|c| (c.start, c.end)).collect();
        assert_eq!(
            spans,
            [
                (0, Some((EndReason::TimeJump, 3 * SECOND))),
                (6 * SECOND, Some((EndReason::Stopped, 2 * SECOND))),
            ]
        );
        assert_eq!(cutter.skipped(), 30);
    }

    #[test]
    fn times_that_go_back_begin_a_new_clip() {
        let mut cutter = cutter(1 << 20);
        let clips = made(&mut cutter, (0..50).chain(0..50).map(frame));
        assert_eq!(clips.len(), 2);
        assert_eq!(clips[0].end, Some((EndReason::TimeJump, 2 * SECOND)));
    }

    #[test]
    fn a_chunk_is_bounded_in_bytes_and_in_time() {
        let clips = made(&mut cutter(1000), (0..50).map(frame));
        assert!(clips[0].chunks.iter().all(|(_, data)| data.len() <= 1000));
        let one_key = (0..500).map(|number| MediaSample { sync: number == 0, ..frame(number) });
        let clips = made(&mut cutter(1 << 20), one_key);
        assert_eq!(clips.len(), 1);
        let lengths = clips[0].chunks.iter().map(|(table, _)| table.tracks[0].samples.len());
        assert_eq!(lengths.collect::<Vec<_>>(), [100, 100, 100, 100, 100]);
        let starts = clips[0].chunks.iter().map(|(table, _)| table.tracks[0].start.0);
        assert_eq!(starts.collect::<Vec<_>>(), [0, 360_000, 720_000, 1_080_000, 1_440_000]);
    }
}
