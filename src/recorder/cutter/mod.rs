//! Frames become chunks, chunks become clips. Pure.
//!
//! A frame comes with the number of its track. What is its own affair, decode times and waiting, a
//! [`Track`] sees to; where its ticks lie on the wall, its [`TimeLine`] knows. What frames of a
//! track need of one another is the matter of its kind: [`Video`] knows groups and gaps, and leads.
//! The [`Cutter`] above them decides where chunks and clips end, and hands them out as chunks with
//! all their tracks ([`HandOut`]). Only `camera` knows a codec: here it is a [`Format`], which
//! stays the same in a clip, and a reorder depth.
//!
//! | part | knows |
//! |---|---|
//! | [`Cutter`] | where chunks and clips end; all that is below |
//! | `cuts` | where chunks and clips end |
//! | `hand_out` | what is done in which order, and what a refused chunk costs |
//! | `chunk` | tracks side by side, of whatever clock rates |
//! | `video` | groups, losses, pauses, gaps |
//! | `sides`, `sound`, `tie` | sound and records, which follow the video |
//! | `track` | one track's parameters, decode times, frames that wait |
//! | `clip`, `time_line`, `wall_clock` | wall times; neither codecs nor kinds of tracks |
//! | `strays`, `hiccups`, `lateness`, `usual`, `stamps`, `rate` | what stamps are worth: first |
//! | `pending`, `decode_times`, `gap`, `damage` | values |
//!
//! Arrows point down. Words: a *run* is the time of one connection, until it jumps. Frames that are
//! missing from it leave a *gap*, which lasts to the next key frame, and which ends the clip; the
//! run goes on behind it.
//!
//! [`Format`]: crate::camera::Format
//! [`TimeLine`]: time_line::TimeLine
//! [`Track`]: track::Track

mod chunk;
mod clip;
mod cuts;
mod damage;
mod decode_times;
mod gap;
mod hand_out;
mod hiccups;
mod lateness;
mod pending;
mod rate;
mod sides;
mod sound;
mod stamps;
mod strays;
mod tie;
mod time_line;
mod track;
mod usual;
mod video;
mod wall_clock;

pub use chunk::Chunk;
pub use clip::Boundary;
pub(super) use decode_times::{DecodeTimes, Interval};
pub use hand_out::{Action, HandOut, Refusal};
pub use rate::Rate;

use std::collections::VecDeque;
use std::time::Duration;

use clip::OpenClip;
use hiccups::Hiccups;
use sides::Sides;
use stamps::Stamps;
use time_line::Ended;
use video::{Break, Pace, Video, is_long};

use super::drops::{DropReason, Drops};
use crate::camera::Frame;
use crate::clock::Reading;
use crate::segment::{EndReason, Observation, TrackNumber};
use crate::units::NANOS_PER_SECOND;

/// What is younger than this when a flush comes waits for the next one, in nanoseconds: it would
/// be a chunk of a page or two, and promise 5 leaves a second beside the flush interval.
const FLUSH_AGE_MIN_NANOS: i64 = NANOS_PER_SECOND / 2;

/// The same where stamps run away: their rate is known soon, and what is cut before is astray.
const ASTRAY_AGE_MIN_NANOS: i64 = NANOS_PER_SECOND;

/// A clip that finds no key frame to end at is ended by force when it is this long, in
/// nanoseconds: memory and tables of whoever opens it depend on its length.
const CLIP_DURATION_MAX_NANOS: i64 = 2 * 3600 * NANOS_PER_SECOND;

/// Pictures wait so long for the sound that belongs to them, in nanoseconds: so much less than a
/// second that what waits is in the next flush.
const HOLD_NANOS_MAX: i64 = 750_000_000;

/// The track that leads.
const VIDEO: TrackNumber = TrackNumber(0);

/// How to cut.
#[derive(Clone)]
pub struct CutterSettings {
    /// How often the ring is flushed.
    pub flush_interval: Duration,
    /// The most bytes that a chunk's samples may have: a block less its headers.
    pub chunk_bytes_max: usize,
    /// Where clips end.
    pub boundary: Boundary,
    /// Whether frames are kept, and marked, that follow a lost one, up to the next key frame.
    pub keeps_damaged: bool,
}

/// Cuts one stream.
pub struct Cutter {
    settings: CutterSettings,
    video: Video,
    /// Pictures that wait for sound.
    held: VecDeque<Frame>,
    holds: bool,
    sides: Sides,
    hiccups: Hiccups,
    stamps: Stamps,
    clip: Option<OpenClip>,
    /// The clip before.
    ended: Option<Ended>,
    drops: Drops,
}

/// What is seen of a frame's time.
#[derive(Default)]
struct Watched {
    /// The run should end before the next group.
    jump: Option<Break>,
    /// The camera sent nothing for so long before the frame, in nanoseconds.
    pause: Option<i64>,
    seen: Option<Observation>,
}

impl Cutter {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(settings: CutterSettings) -> Cutter {
        Cutter {
            settings,
            video: Video::new(),
            held: VecDeque::new(),
            holds: true,
            sides: Sides::default(),
            hiccups: Hiccups::default(),
            stamps: Stamps::new(),
            clip: None,
            ended: None,
            drops: Drops::default(),
        }
    }

    /// Frames kept so far that follow a lost one.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.video.damaged()
    }

    /// Frames left out so far.
    #[must_use]
    pub fn drops(&self) -> Drops {
        self.drops
    }

    /// Whether frames become a clip at the moment.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.clip.is_some()
    }

    /// What the camera's clock is worth, where that is news: something to be said.
    pub fn rate_news(&mut self) -> Option<Rate> {
        self.stamps.news()
    }

    /// Takes the next frame of a track in the order of decoding.
    pub fn push(&mut self, frame: Frame) {
        if frame.timescale == 0 {
            return;
        }
        self.sides.note_arrival(frame.received.boot);
        if frame.track != VIDEO {
            self.sides.push(frame);
            return;
        }
        let track = &self.video.track;
        let told = |stamp| self.stamps.told(stamp, |time| track.told_at(time));
        if self.hiccups.push(frame, self.stamps.scale(), told) {
            self.stamps.tell_anew();
        }
    }

    /// Goes on with the frames of which it is clear when they were captured.
    fn take_judged(&mut self, now: &Reading) {
        let now = self.holds.then_some(now.boot);
        self.sides.take_judged(self.video.tie(), self.clip.is_some(), now);
        while let Some(mut frame) = self.hiccups.pop(now) {
            let track = &self.video.track;
            frame.pts = self.stamps.time_of(&frame, |time| track.told_at(time));
            self.held.push_back(frame);
        }
    }

    /// What the next frame leads to that has waited for the sound that belongs to it, up to a
    /// named time.
    pub fn next(&mut self, now: &Reading) -> Option<HandOut> {
        self.take_judged(now);
        let frame = self.held.front()?;
        let age_nanos = now.boot.0.saturating_sub(frame.received.boot.0);
        let at = self.video.track.boot_at(frame.pts);
        let waits = at.is_some_and(|at| !self.sides.have_reached(at, now));
        if self.holds && waits && age_nanos < HOLD_NANOS_MAX {
            return None;
        }
        let frame = self.held.pop_front()?;
        let mut out = HandOut::default();
        self.sort(&frame, &mut out);
        self.video.received(&frame);
        Some(out)
    }

    /// Nothing more comes: frames wait no longer.
    pub fn hold_no_more(&mut self) {
        self.holds = false;
    }

    fn sort(&mut self, frame: &Frame, out: &mut HandOut) {
        let seen = self.sort_in(frame, out);
        out.observe(seen);
    }

    /// Answers what is remembered of the way of a frame, behind all else.
    fn sort_in(&mut self, frame: &Frame, out: &mut HandOut) -> Option<Observation> {
        let Watched { jump, pause, seen } = self.watch_time(frame, out);
        if self.video.track.is_running()
            && let Some(loss) = Break::loss(frame)
        {
            match self.settings.keeps_damaged && !pause.is_some_and(is_long) {
                true => self.video.damage(frame),
                false => self.interrupt(loss, &frame.received, out),
            }
        }
        if let Some(change) = self.video.take_parameters(frame, self.clip.is_some()) {
            self.interrupt(change, &frame.received, out);
        }
        if frame.data.len() > self.settings.chunk_bytes_max {
            let number = frame.data.len() as i64;
            let too_large = Break { reason: DropReason::TooLarge, number };
            self.interrupt(too_large, &frame.received, out);
        } else if self.video.begins_group(frame) {
            if let Some(jump) = jump {
                self.interrupt(jump, &frame.received, out);
                self.video.track.end_run();
                self.sides.end_run();
            }
            self.group(frame, out);
            return seen;
        }
        if !self.video.is_left_out(&frame.received) {
            match self.video.leads(frame) {
                true => self.drops.add(DropReason::Leading, 1),
                false => self.other_frame(frame, out),
            }
        }
        self.video.count(&mut self.drops);
        seen
    }

    /// A flush comes: hands out what would be too old at the next one.
    pub fn flush_due(&mut self, now: &Reading) -> HandOut {
        let mut out = HandOut::default();
        let astray = self.begins_astray(now);
        let age_min = if astray { ASTRAY_AGE_MIN_NANOS } else { FLUSH_AGE_MIN_NANOS };
        let age = self.video.track.age_nanos(now).max(self.sides.age_nanos(now));
        if age >= age_min {
            self.cut(None, now, &mut out);
        }
        out
    }

    /// The stream is over for now: hands everything out and ends the clip.
    pub fn stop(&mut self, reason: EndReason, now: &Reading) -> HandOut {
        let mut out = HandOut::default();
        self.close(reason, None, now, &mut out);
        self.hiccups.forget();
        self.stamps.forget();
        self.sides.end();
        self.holds = true;
        for seen in self.video.end(now.wall) {
            out.observe(seen);
        }
        out
    }

    /// A chunk that was handed out was not taken. Answers what is to be done instead of what was
    /// to follow it.
    pub fn refused(&mut self, refusal: Refusal, now: &Reading) -> Vec<Action> {
        let mut actions: Vec<Action> = refusal.end().into_iter().collect();
        let mut gap = refusal.gap();
        if self.video.track.waits_with_key() {
            // The group behind the refused one is whole: a clip of its own begins with it.
            if let Some(clip) = &mut self.clip {
                clip.begin_anew();
                self.sides.clip_begins();
            }
        } else {
            gap.frames += self.video.track.drop_waiting();
            self.clip = None;
        }
        self.drops.add(gap.reason, gap.frames);
        if self.clip.is_some() || self.video.has_gap() {
            actions.extend(gap.observation(now.wall).map(Action::Observe));
        } else {
            self.video.open_gap(gap);
        }
        actions
    }

    /// Follows the run's clock. A jump that can't wait ends the run at once.
    fn watch_time(&mut self, frame: &Frame, out: &mut HandOut) -> Watched {
        if self.stamps.catches_up() {
            self.video.track.forget_arrivals();
        }
        let mut watched = Watched::default();
        match self.video.pace(frame) {
            Pace::Steady => {}
            Pace::Paused(_) if self.video.has_gap() => {}
            Pace::Paused(nanos) => {
                watched.pause = Some(nanos);
                watched.seen = Some(self.video.paused(nanos, frame));
            }
            Pace::Off(jump) if jump.is_of_camera() && self.stamps.may_be_off() => {}
            Pace::Off(jump) => watched.jump = Some(jump),
            Pace::Torn(broken) => {
                self.interrupt(broken, &frame.received, out);
                self.video.track.end_run();
            }
        }
        watched
    }

    /// Ends the clip here; what comes is dropped up to the next key frame.
    fn interrupt(&mut self, broken: Break, now: &Reading, out: &mut HandOut) {
        let end = match broken.reason {
            DropReason::TimeJump | DropReason::ClockSet => EndReason::TimeJump,
            DropReason::ParametersChanged => EndReason::ParametersChanged,
            _ => EndReason::Loss,
        };
        self.close(end, None, now, out);
        self.video.leave_out(broken, now);
    }

    /// A frame comes with which a group begins.
    fn group(&mut self, frame: &Frame, out: &mut HandOut) {
        if !self.video.track.has_parameters() {
            return;
        }
        let (restart, seen) = self.video.begin_group(frame);
        if restart {
            self.video.track.foresee(&self.held, self.ended.as_ref());
        }
        self.video.track.place();
        let ahead = self.video.track.decode_times_ahead(frame);
        if !restart {
            self.end_before(frame, &ahead, out);
        }
        let anew = self.clip.is_none() && !restart;
        let decoded = self.video.track.take_ahead(ahead, anew);
        if self.clip.is_none() {
            self.clip = Some(OpenClip::new(&frame.received));
            self.video.track.enter_clip();
            self.video.clip_begins();
            self.sides.clip_begins();
        }
        let marks = self.video.marks(frame, true);
        self.video.track.wait(frame, decoded, marks);
        seen.into_iter().for_each(|seen| out.observe(seen));
    }

    fn other_frame(&mut self, frame: &Frame, out: &mut HandOut) {
        if !self.video.track.has_parameters() {
            return;
        }
        if self.clip_length_nanos(self.video.track.last_time()) > CLIP_DURATION_MAX_NANOS {
            let endless = Break { reason: DropReason::NoKeyFrame, number: 0 };
            self.interrupt(endless, &frame.received, out);
            self.group(frame, out);
            return;
        }
        let fits = self.fits(frame);
        if !fits {
            self.video.track.place();
        }
        let decoded = self.video.track.decode_time(frame);
        if !fits {
            self.cut(Some(decoded.time), &frame.received, out);
        }
        let marks = self.video.marks(frame, false);
        self.video.track.wait(frame, decoded, marks);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::camera::{Parameters, ReorderDepth};
    use crate::ring::Refused;
    use crate::segment::{
        ChunkTable, Codec, Look, ParameterSet, SampleFlags, TrackNumber, VideoParameters,
    };
    use crate::units::{BootTime, Ticks, WallTime};

    const START: i64 = 1_790_000_003 * NANOS_PER_SECOND;
    const CLIP: i64 = 5 * NANOS_PER_SECOND;
    const BYTES_MAX: usize = 5000;
    const INTERVAL: i64 = 3600;

    fn reading(nanos: i64) -> Reading {
        Reading {
            wall: WallTime(START + nanos),
            boot: BootTime(1 + nanos),
            boot_id: [3; 16],
            synchronised: true,
        }
    }

    fn parameters(width: u16, mark: u8) -> Arc<Parameters> {
        let video = VideoParameters { width, height: 360, pixel_aspect: (1, 1), look: Look::PLAIN };
        let set = ParameterSet {
            codec: Codec::H264,
            configuration: vec![mark; 9],
            video: Some(video),
            audio: None,
        };
        Arc::new(Parameters::new(&set, set.encode().into(), ReorderDepth::Unknown))
    }

    /// A clip as it was handed out.
    #[derive(Debug)]
    struct Clip {
        start: WallTime,
        chunks: Vec<(ChunkTable, Vec<u8>, Arc<[u8]>)>,
        end: Option<(EndReason, i64)>,
    }

    /// A camera at 25 pictures a second, a cutter, and what came out.
    struct Bench {
        cutter: Cutter,
        clips: Vec<Clip>,
        observed: usize,
        frame: i64,
        sent: u64,
        refuse: Option<Refused>,
    }

    impl Bench {
        fn new() -> Bench {
            let boundary = |start: WallTime| WallTime((start.0.div_euclid(CLIP) + 1) * CLIP);
            let cutter = Cutter::new(CutterSettings {
                flush_interval: Duration::from_secs(2),
                chunk_bytes_max: BYTES_MAX,
                boundary: Arc::new(boundary),
                keeps_damaged: true,
            });
            let clips = Vec::new();
            Bench { cutter, clips, observed: 0, frame: 0, sent: 0, refuse: None }
        }

        fn now(&self) -> Reading {
            reading(self.frame * NANOS_PER_SECOND / 25)
        }

        fn frame(&mut self, is_key: bool) -> Frame {
            let received = self.now();
            let data = self.frame.to_be_bytes().repeat(if is_key { 20 } else { 5 });
            let parameters = (self.frame == 0).then(|| parameters(640, 0));
            let pts = 1_000_000 + self.frame * INTERVAL;
            self.frame += 1;
            Frame {
                track: TrackNumber(0),
                pts,
                timescale: 90_000,
                data,
                is_key,
                parameters,
                received,
                ..Frame::default()
            }
        }

        fn send(&mut self, frame: Frame) {
            self.sent += 1;
            let now = frame.received;
            self.cutter.push(frame);
            while let Some(out) = self.cutter.next(&now) {
                self.take(out, &now);
            }
        }

        /// Groups of 25, from a key frame on.
        fn run(&mut self, frames: i64) {
            for _ in 0..frames {
                let frame = self.frame(self.frame % 25 == 0);
                self.send(frame);
                if self.frame % 50 == 11 {
                    let now = self.now();
                    let out = self.cutter.flush_due(&now);
                    self.take(out, &now);
                }
            }
        }

        fn take(&mut self, out: HandOut, now: &Reading) {
            let actions = match out.offer(|chunk| self.append(chunk)) {
                Ok(actions) => actions,
                Err(refusal) => self.cutter.refused(refusal, now),
            };
            for action in actions {
                self.take_one(action);
            }
        }

        fn append(&mut self, chunk: Chunk) -> Result<(), Refused> {
            assert!(!chunk.begins_clip || self.clips.last().is_none_or(|clip| clip.end.is_some()));
            if let Some(why) = self.refuse.take() {
                if !chunk.begins_clip
                    && why == Refused::ClipEnded
                    && let Some(clip) = self.clips.last_mut()
                {
                    clip.end = Some((EndReason::Evicted, 0));
                }
                return Err(why);
            }
            if chunk.begins_clip {
                let start = chunk.table.anchor.wall;
                assert_eq!(chunk.table.tracks[0].start, Ticks(0));
                assert!(chunk.table.tracks[0].samples[0].flags.sync);
                self.clips.push(Clip { start, chunks: Vec::new(), end: None });
            }
            let clip = self.clips.last_mut().expect("a clip has begun");
            assert!(clip.end.is_none());
            assert!(chunk.data.len() <= BYTES_MAX);
            assert_eq!(chunk.table.byte_count(), chunk.data.len() as u64);
            assert_eq!(clip.start, chunk.table.anchor.wall);
            let [set] = chunk.parameters.try_into().expect("one set");
            clip.chunks.push((chunk.table, chunk.data, set));
            Ok(())
        }

        fn take_one(&mut self, action: Action) {
            match action {
                Action::End { reason, length_nanos } => {
                    let clip = self.clips.last_mut().expect("a clip has begun");
                    assert!(clip.end.is_none() && length_nanos > 0, "{reason:?} {length_nanos}");
                    clip.end = Some((reason, length_nanos));
                }
                Action::Observe(_) => self.observed += 1,
            }
        }

        fn stop(&mut self) {
            let now = self.now();
            self.cutter.hold_no_more();
            while let Some(out) = self.cutter.next(&now) {
                self.take(out, &now);
            }
            let out = self.cutter.stop(EndReason::Stopped, &now);
            self.take(out, &now);
        }

        fn ends(&self) -> Vec<EndReason> {
            self.clips.iter().filter_map(|clip| clip.end).map(|(reason, _)| reason).collect()
        }

        fn recorded(&self) -> u64 {
            let chunks = self.clips.iter().flat_map(|clip| &clip.chunks);
            chunks.map(|(table, ..)| table.tracks[0].samples.len() as u64).sum()
        }

        fn marked(&self, is_marked: fn(&SampleFlags) -> bool) -> usize {
            let chunks = self.clips.iter().flat_map(|clip| &clip.chunks);
            let samples = chunks.flat_map(|(table, ..)| &table.tracks[0].samples);
            samples.filter(|sample| is_marked(&sample.flags)).count()
        }

        fn dropped(&self) -> u64 {
            self.cutter.drops().losses() + self.cutter.drops().of(DropReason::BeforeKeyFrame)
        }

        /// What holds whatever happens: decode times grow, boundaries join, nothing vanishes.
        fn check(&self) {
            let leading = self.cutter.drops().of(DropReason::Leading);
            assert_eq!(self.recorded() + self.dropped() + leading, self.sent);
            for clip in &self.clips {
                let mut last = -1;
                for (table, ..) in &clip.chunks {
                    let track = &table.tracks[0];
                    let mut time = track.start.0;
                    for sample in &track.samples {
                        assert!(time > last, "{time} follows {last}");
                        last = time;
                        time += i64::from(sample.duration);
                    }
                }
                let (_, length) = clip.end.expect("all clips have ended");
                assert!(length == 0 || length >= Ticks(last).to_nanos(90_000));
            }
            for pair in self.clips.windows(2) {
                let (reason, length) = pair[0].end.expect("all clips have ended");
                let end = pair[0].start.plus_nanos(length);
                let joined = reason == EndReason::Boundary && self.observed == 0;
                let next = pair[1].start;
                assert!(if joined { end == next } else { end <= next }, "{end} {next} {reason:?}");
            }
        }
    }

    #[test]
    fn a_steady_camera_is_cut_at_the_first_key_frame_behind_each_boundary() {
        let mut bench = Bench::new();
        bench.run(25 * 22);
        bench.stop();
        bench.check();
        assert_eq!(bench.dropped(), 0);
        let starts: Vec<i64> =
            bench.clips.iter().map(|clip| (clip.start.0 - START) / NANOS_PER_SECOND).collect();
        assert_eq!(starts, [0, 2, 7, 12, 17]);
        let mut frames = 0_i64;
        for (_, data, _) in bench.clips.iter().flat_map(|clip| &clip.chunks) {
            for bytes in data.chunks(8) {
                let frame = i64::from_be_bytes(bytes.try_into().expect("eight"));
                assert!(frame == frames || frame == frames - 1);
                frames = frames.max(frame + 1);
            }
        }
        assert_eq!(frames, 25 * 22);
    }

    #[test]
    fn frames_before_the_first_key_frame_are_no_loss() {
        let mut bench = Bench::new();
        for _ in 0..7 {
            let frame = bench.frame(false);
            bench.send(frame);
        }
        bench.frame = 25;
        bench.run(30);
        bench.stop();
        bench.check();
        assert_eq!((bench.dropped(), bench.cutter.drops().losses(), bench.observed), (7, 0, 0));
    }

    #[test]
    fn what_follows_a_lost_packet_is_kept_and_marked_up_to_the_next_key_frame() {
        let mut bench = Bench::new();
        bench.run(35);
        let mut frame = bench.frame(false);
        frame.lost_packets = 3;
        bench.send(frame);
        bench.run(30);
        let mut frame = bench.frame(false);
        frame.lost_packets = 1;
        bench.send(frame);
        bench.frame = 75;
        let mut frame = bench.frame(true);
        frame.lost_packets = 1;
        bench.send(frame);
        bench.run(20);
        bench.stop();
        bench.check();
        assert_eq!(
            (bench.ends(), bench.dropped()),
            (vec![EndReason::Boundary, EndReason::Stopped], 0)
        );
        assert_eq!((bench.marked(|flags| flags.damaged), bench.cutter.damaged()), (16, 16));
        assert_eq!(bench.observed, 2, "one for each group");
    }

    #[test]
    fn who_wants_no_damaged_frames_gets_none() {
        let mut bench = Bench::new();
        bench.cutter.settings.keeps_damaged = false;
        bench.run(35);
        let mut frame = bench.frame(false);
        frame.lost_packets = 3;
        bench.send(frame);
        bench.run(60);
        bench.stop();
        bench.check();
        assert_eq!(bench.ends(), [EndReason::Loss, EndReason::Stopped]);
        assert_eq!(bench.cutter.drops().of(DropReason::Loss), 15);
        assert_eq!(bench.clips[1].start.0 - START, 2 * NANOS_PER_SECOND);
    }

    #[test]
    fn another_picture_size_is_another_clip_and_a_clip_keeps_its_parameters() {
        let mut bench = Bench::new();
        bench.run(60);
        let mut frame = bench.frame(false);
        frame.parameters = Some(parameters(640, 1));
        bench.send(frame);
        bench.run(14);
        let mut frame = bench.frame(true);
        frame.parameters = Some(parameters(1280, 1));
        bench.send(frame);
        bench.run(20);
        bench.stop();
        bench.check();
        assert_eq!(bench.dropped(), 0);
        assert_eq!(
            bench.ends(),
            [EndReason::Boundary, EndReason::ParametersChanged, EndReason::Stopped]
        );
        let sets = |clip: usize| bench.clips[clip].chunks.iter().map(|(.., set)| Arc::clone(set));
        assert!(sets(1).all(|set| set == parameters(640, 0).encoded));
        assert!(sets(2).all(|set| set == parameters(1280, 1).encoded));
        let (_, length) = bench.clips[1].end.expect("an end");
        assert_eq!(bench.clips[1].start.plus_nanos(length), bench.clips[2].start);
    }

    #[test]
    fn a_frame_larger_than_a_chunk_costs_its_group() {
        let mut bench = Bench::new();
        bench.run(30);
        let mut frame = bench.frame(false);
        frame.data = vec![0; BYTES_MAX + 1];
        bench.send(frame);
        bench.run(40);
        bench.stop();
        bench.check();
        assert_eq!(bench.cutter.drops().of(DropReason::TooLarge), 20);
        assert_eq!(bench.observed, 1);
    }

    #[test]
    fn a_pause_amid_a_group_lasts_in_the_file_as_long_as_it_did() {
        let mut bench = Bench::new();
        bench.run(30);
        bench.frame += 25 * 4;
        bench.run(45);
        bench.stop();
        bench.check();
        assert_eq!(bench.dropped(), 0);
        assert_eq!(bench.marked(|flags| flags.resumed), 1);
        let clip = bench.clips.iter().find(|clip| clip.start.0 - START == 0).expect("a clip");
        let mut times = Vec::new();
        for (table, ..) in &clip.chunks {
            let mut time = table.tracks[0].start.0;
            for sample in &table.tracks[0].samples {
                times.push((time / INTERVAL, sample.flags.resumed));
                time += i64::from(sample.duration);
            }
        }
        assert_eq!(times[29..31], [(29, false), (130, true)]);
        assert_eq!(bench.observed, 1);
    }

    #[test]
    fn behind_a_long_pause_a_clip_begins_with_the_next_key_frame_and_nothing_is_dropped() {
        for (sent, ends) in [(30, 150), (50, 50)] {
            let mut bench = Bench::new();
            bench.run(sent);
            bench.frame += 25 * 12;
            bench.run(45);
            bench.stop();
            bench.check();
            assert_eq!(bench.dropped(), 0);
            let (reason, length) = bench.clips[0].end.expect("an end");
            let frames = if ends == 150 { 350 } else { 50 };
            assert_eq!((reason, length), (EndReason::Loss, frames * NANOS_PER_SECOND / 25));
        }
    }

    #[test]
    fn a_slow_camera_loses_nothing_whatever_its_step() {
        for step in [75, 250, 1500] {
            let mut bench = Bench::new();
            for number in 0..40 {
                let frame = bench.frame(number % 10 == 0);
                bench.send(frame);
                bench.frame += step - 1;
            }
            bench.stop();
            bench.check();
            assert_eq!(bench.dropped(), 0);
            assert!(bench.marked(|flags| flags.resumed) <= 1, "{step}");
            assert!(!bench.ends().contains(&EndReason::TimeJump));
        }
    }

    #[test]
    fn a_time_that_leaps_while_no_time_passes_is_ruled_out_by_the_arrival() {
        let mut bench = Bench::new();
        bench.run(60);
        let mut frame = bench.frame(false);
        frame.pts += 4 * 90_000;
        bench.send(frame);
        bench.run(30);
        bench.stop();
        bench.check();
        assert_eq!((bench.dropped(), bench.observed), (0, 0));
        assert!(!bench.ends().contains(&EndReason::TimeJump));
    }

    #[test]
    fn a_chunk_that_the_queue_refuses_ends_the_clip_where_it_began() {
        let mut bench = Bench::new();
        bench.run(100);
        bench.refuse = Some(Refused::QueueFull);
        bench.run(100);
        bench.stop();
        bench.check();
        assert!(bench.refuse.is_none());
        assert!(bench.ends().contains(&EndReason::Loss));
        assert!(bench.cutter.drops().of(DropReason::QueueFull) > 0);
        assert_eq!(bench.observed, 1);
    }

    #[test]
    fn what_waits_is_never_older_than_the_flush_interval_and_a_second() {
        let mut bench = Bench::new();
        for frame in 0..25 * 30 {
            let frame = bench.frame(frame == 0);
            bench.send(frame);
            if bench.frame % 50 == 0 {
                let now = bench.now();
                let out = bench.cutter.flush_due(&now);
                bench.take(out, &now);
            }
            assert!(bench.cutter.video.track.age_nanos(&bench.now()) <= 3 * NANOS_PER_SECOND);
        }
    }

    #[test]
    fn a_stream_without_key_frames_is_cut_by_force_and_goes_on() {
        let mut bench = Bench::new();
        let frame = bench.frame(true);
        bench.send(frame);
        for _ in 0..25 * 7300 {
            let frame = bench.frame(false);
            bench.send(frame);
        }
        bench.stop();
        bench.check();
        assert_eq!(bench.ends(), [EndReason::Loss, EndReason::Stopped]);
        assert_eq!(bench.dropped(), 0);
    }

    #[test]
    fn reordered_pictures_keep_their_times_across_chunks_and_clips() {
        let mut bench = Bench::new();
        let mut sent = Vec::new();
        // Groups of 25: a key frame, then one picture ahead of the two that are shown before it.
        let ahead = |place: i64| match place % 3 {
            _ if place == 0 => 0,
            1 => 2,
            _ => -1,
        };
        for frame in 0..25 * 21 {
            let place = frame % 25;
            let mut frame = bench.frame(place == 0);
            frame.pts += ahead(place) * INTERVAL;
            sent.push(frame.pts - 1_000_000);
            bench.send(frame);
            if bench.frame % 50 == 13 {
                let now = bench.now();
                let out = bench.cutter.flush_due(&now);
                bench.take(out, &now);
            }
        }
        bench.stop();
        bench.check();
        let mut shown = Vec::new();
        for clip in &bench.clips {
            let tables = || clip.chunks.iter().map(|(table, ..)| &table.tracks[0]);
            let first = tables().next().map_or(0, |track| track.samples[0].composition_offset);
            for track in tables() {
                let mut time = track.start.0;
                for sample in &track.samples {
                    let ticks = time + i64::from(sample.composition_offset - first);
                    let wall = clip.start.0 - bench.clips[0].start.0;
                    shown.push(Ticks::from_nanos(wall, 90_000).0 + ticks);
                    time += i64::from(sample.duration);
                }
                let (_, placed) = track.samples.split_last().expect("samples");
                assert!(placed.iter().all(|sample| i64::from(sample.duration) == INTERVAL));
            }
        }
        assert_eq!(shown, sent);
        assert_eq!(bench.clips.len(), 5);
    }

    #[test]
    fn a_clip_of_open_groups_begins_with_the_picture_that_is_shown_first() {
        let mut bench = Bench::new();
        // In the order of decoding: a key frame, two that are shown before it, and so on.
        for frame in 0..25 * 12 {
            let place = frame % 24;
            let mut frame = bench.frame(place == 0);
            frame.pts += if place % 3 == 0 { 2 } else { -1 } * INTERVAL;
            frame.is_leading = matches!(place, 1 | 2);
            if let Some(told) = &mut frame.parameters {
                Arc::make_mut(told).reorder_depth = ReorderDepth::Known(1);
            }
            bench.send(frame);
        }
        bench.stop();
        bench.check();
        // Of the first clip, and of the two behind boundaries.
        assert_eq!(bench.cutter.drops().of(DropReason::Leading), 2 * bench.clips.len() as u64);
        assert_eq!(bench.cutter.drops().losses(), 0);
        let first = &bench.clips[0];
        for clip in &bench.clips {
            let table = &clip.chunks[0].0.tracks[0];
            let key = i64::from_be_bytes(clip.chunks[0].1[..8].try_into().expect("eight"));
            assert_eq!(i64::from(table.samples[0].composition_offset), INTERVAL, "frame {key}");
            let shown = clip.start.nanos_since(first.start);
            assert_eq!(shown, key * NANOS_PER_SECOND / 25, "frame {key}");
        }
        assert!(bench.clips.len() > 2);
    }

    #[derive(Clone, Debug)]
    enum Event {
        Frames(i64),
        Lose(u32),
        Skip(i64),
        Refuse(Refused),
        Larger,
        Parameters(u16, u8),
        Reconnect,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let refused = prop_oneof![
            Just(Refused::QueueFull),
            Just(Refused::DeviceAway),
            Just(Refused::ClipEnded),
        ];
        let event = prop_oneof![
            6 => (1_i64..200).prop_map(Event::Frames),
            1 => (1_u32..9).prop_map(Event::Lose),
            1 => (1_i64..300).prop_map(Event::Skip),
            1 => refused.prop_map(Event::Refuse),
            1 => Just(Event::Larger),
            1 => (640_u16..643, 0_u8..3).prop_map(|(width, mark)| Event::Parameters(width, mark)),
            1 => Just(Event::Reconnect),
        ];
        proptest::collection::vec(event, 1..30)
    }

    proptest! {
        #[test]
        fn whatever_happens_every_frame_is_recorded_once_or_counted_as_dropped(
            events in events(), slip in 0_i64..40,
        ) {
            let mut bench = Bench::new();
            bench.run(1 + slip);
            for event in events {
                match event {
                    Event::Frames(frames) => bench.run(frames),
                    Event::Skip(frames) => bench.frame += frames,
                    Event::Refuse(why) => bench.refuse = Some(why),
                    Event::Lose(packets) => {
                        let mut frame = bench.frame(bench.frame % 25 == 0);
                        frame.lost_packets = packets;
                        bench.send(frame);
                    }
                    Event::Larger => {
                        let mut frame = bench.frame(bench.frame % 25 == 0);
                        frame.data = vec![0; BYTES_MAX + 1];
                        bench.send(frame);
                    }
                    Event::Parameters(width, mark) => {
                        let mut frame = bench.frame(bench.frame % 25 == 0);
                        frame.parameters = Some(parameters(width, mark));
                        bench.send(frame);
                    }
                    Event::Reconnect => {
                        bench.stop();
                        bench.frame += 25;
                        let mut frame = bench.frame(false);
                        frame.parameters = Some(parameters(640, 0));
                        bench.send(frame);
                    }
                }
            }
            bench.refuse = None;
            bench.stop();
            bench.check();
        }
    }
}
