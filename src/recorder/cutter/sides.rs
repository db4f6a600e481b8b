//! What accompanies the video of a stream: sound and records, each a track of its own. Pure.
//!
//! They follow: chunks and clips begin and end where the video says so, and what a track beside it
//! does, or fails to do, is no affair of the video. Each has a clock of its own, and the wall is
//! where they meet. Where the camera tells when it captured what, the time between a sound and a
//! picture is what its own clock says; else both are told from their arrival.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use super::hiccups::Hiccups;
use super::pending::Taken;
use super::sound::{self, Place, Waiting};
use super::tie::Tie;
use super::usual::Told;
use super::wall_clock::WallClock;
use crate::camera::{Frame, Parameters};
use crate::clock::Reading;
use crate::segment::{TrackKind, TrackNumber};
use crate::units::{BootTime, NANOS_PER_SECOND, Ticks, WallTime};

/// Tracks beside the video at most: as many as a chunk holds (`segment`).
const SIDES_MAX: usize = 15;
/// What waits of one while there is no clip that it could be in, in nanoseconds.
const WAITING_NANOS_MAX: i64 = 5 * NANOS_PER_SECOND;
/// What waits of one at all, in bytes.
const WAITING_BYTES_MAX: usize = 2 << 20;
/// What is cut before the next picture has come is kept for so long, in nanoseconds: none of them
/// is later.
const AHEAD_NANOS_MAX: i64 = 5 * NANOS_PER_SECOND;
/// Sound of which nothing came for so long, in nanoseconds, is not waited for.
const SILENT_NANOS: i64 = NANOS_PER_SECOND;

/// What is told of a clock that has run for so long, in nanoseconds, is what late frames are
/// compared with.
const KNOWN_NANOS: i64 = 15 * NANOS_PER_SECOND;

/// Sound of a clip goes on with that of the clip before where that ended less than this before it
/// begins, or behind that, in nanoseconds.
const APART_NANOS: i64 = 20_000_000;

/// All tracks beside the video, in the order in which they were seen.
#[derive(Default)]
pub(super) struct Sides {
    all: Vec<Side>,
    /// When a frame of any track came last, and when the first one behind a silence of all.
    last: Option<BootTime>,
    resumed: Option<BootTime>,
}

/// One of them.
struct Side {
    number: TrackNumber,
    kind: Option<TrackKind>,
    parameters: Option<Arc<Parameters>>,
    hiccups: Hiccups,
    clock: Option<Clock>,
    /// Frames that have come, in order, and are in no chunk.
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// What has been cut when it was not known that the clip goes on behind it, and where each ends
    /// in the clip, in ticks.
    ahead: VecDeque<(Waiting, i64)>,
    /// What it is in the clip that is open: its parameters, and up to where it is, in ticks.
    in_clip: Option<(Arc<Parameters>, i64)>,
    /// Where what was cut last ends.
    ended: Option<WallTime>,
    tie: Tie,
    /// Its times come from the clock of the camera, and not from their arrival.
    is_tied: bool,
    /// Up to when it has come.
    reached: Option<BootTime>,
    /// When its last frame came.
    received: Option<BootTime>,
}

/// Where the stamps of a track lie.
struct Clock {
    wall: WallClock,
    first_pts: i64,
    timescale: u32,
}

impl Clock {
    fn new(frame: &Frame) -> Clock {
        let wall = WallClock::new(frame.received, frame.pts, frame.timescale);
        Clock { wall, first_pts: frame.pts, timescale: frame.timescale }
    }

    /// When a frame is told to be captured; one comes `now`.
    fn told(&self, pts: i64, now: &Reading) -> Told<BootTime> {
        let age_nanos = now.boot.0.saturating_sub(self.wall.begun().boot.0);
        Told::new(self.wall.told_at(pts), age_nanos > KNOWN_NANOS)
    }

    fn captured_at(&self, pts: i64) -> WallTime {
        let ticks = pts.saturating_sub(self.first_pts).saturating_add(self.wall.shift());
        self.wall.wall_at(ticks)
    }
}

impl Sides {
    /// Takes a frame.
    pub(super) fn push(&mut self, frame: Frame) {
        let known = self.all.iter().any(|side| side.number == frame.track);
        if !known && self.all.len() < SIDES_MAX {
            self.all.push(Side::new(frame.track));
        }
        if let Some(side) = self.all.iter_mut().find(|side| side.number == frame.track) {
            side.push(frame);
        }
    }

    /// Goes on with the frames of which it is clear when they were captured, or with all where
    /// there is no `now`. `tie` is by how much the clock that nobody sets is ahead of the camera's,
    /// in nanoseconds, as the video has it.
    pub(super) fn take_judged(&mut self, tie: Option<i64>, has_clip: bool, now: Option<BootTime>) {
        for side in &mut self.all {
            while let Some(frame) = side.hiccups.pop(now) {
                side.take(frame, tie, has_clip);
            }
        }
    }

    /// Bytes that wait.
    pub(super) fn byte_count(&self) -> usize {
        self.all.iter().map(|side| side.bytes).sum()
    }

    /// A frame of any track comes.
    pub(super) fn note_arrival(&mut self, now: BootTime) {
        let last = self.last.replace(now);
        if last.is_none_or(|last| now.0.saturating_sub(last.0) > SILENT_NANOS) {
            self.resumed = Some(now);
        }
    }

    /// Whether all sound that comes has come up to then.
    pub(super) fn have_reached(&self, time: BootTime, now: &Reading) -> bool {
        let is_old = |at: Option<BootTime>| {
            at.is_none_or(|at| now.boot.0.saturating_sub(at.0) > SILENT_NANOS)
        };
        // Where nothing came at all, the pictures may be ahead of the sound that comes with them.
        let has_resumed = !is_old(self.resumed);
        let sounds = self.all.iter().filter(|side| side.kind == Some(TrackKind::Audio));
        sounds
            .filter_map(|side| Some((side.reached?, side.received)))
            .all(|(reached, received)| reached >= time || (is_old(received) && !has_resumed))
    }

    /// Nanoseconds since the first frame that waits was received.
    pub(super) fn age_nanos(&self, now: &Reading) -> i64 {
        let firsts = self.all.iter().filter_map(|side| side.waiting.front());
        let ages = firsts.map(|it| now.boot.0.saturating_sub(it.frame.received.boot.0));
        ages.max().unwrap_or(0)
    }

    /// Whether something that comes can't be in the clip.
    pub(super) fn have_other_format(&self) -> bool {
        self.all.iter().any(|side| {
            let waits = side.waiting.front().map(|it| &it.parameters.encoded);
            side.in_clip.as_ref().is_some_and(|(own, _)| waits.is_some_and(|it| *it != own.encoded))
        })
    }

    /// A clip begins.
    pub(super) fn clip_begins(&mut self) {
        for side in &mut self.all {
            side.in_clip = None;
            side.ahead.clear();
        }
    }

    /// Cuts what waits, for the clip that begins at `start`: what lies before `to`, or all.
    pub(super) fn cut(&mut self, start: WallTime, to: Option<WallTime>) -> Vec<Taken> {
        self.in_order().filter_map(|side| side.cut(start, to)).collect()
    }

    /// The same where the next picture has not come. Sound is kept: the clip may end with that one,
    /// before what is cut.
    pub(super) fn cut_ahead(&mut self, start: WallTime, to: Option<WallTime>) -> Vec<Taken> {
        self.in_order().filter_map(|side| side.cut_ahead(start, to)).collect()
    }

    /// Records come last, because a chunk ends with them: they are not in the file.
    fn in_order(&mut self) -> impl Iterator<Item = &mut Side> {
        self.all.sort_by_key(|side| side.kind == Some(TrackKind::Timed));
        self.all.iter_mut()
    }

    /// A clip ends: sound behind that, which was cut for it, is the next one's.
    pub(super) fn clip_ends(&mut self, start: WallTime, end: WallTime) {
        self.all.iter_mut().for_each(|side| side.take_back(start, end));
    }

    /// The clock of the wall was set: the next times are told anew.
    pub(super) fn end_run(&mut self) {
        self.all.iter_mut().for_each(Side::forget_clock);
    }

    /// The session is over.
    pub(super) fn end(&mut self) {
        self.all.clear();
    }
}

impl Side {
    fn new(number: TrackNumber) -> Side {
        Side {
            number,
            kind: None,
            parameters: None,
            hiccups: Hiccups::default(),
            clock: None,
            waiting: VecDeque::new(),
            bytes: 0,
            ahead: VecDeque::new(),
            in_clip: None,
            ended: None,
            tie: Tie::default(),
            is_tied: false,
            reached: None,
            received: None,
        }
    }

    fn push(&mut self, frame: Frame) {
        if let Some(parameters) = &frame.parameters {
            self.kind = Some(parameters.format.codec.track_kind());
        }
        // Records come when something happens.
        let scale = (self.kind == Some(TrackKind::Audio)).then_some(1.0);
        let received = frame.received;
        self.received = Some(received.boot);
        // What the camera's clock tells is not when it arrived.
        let clock = self.clock.as_ref().filter(|_| !self.is_tied);
        let told = |pts| clock.map_or(Told::Unknown, |clock| clock.told(pts, &received));
        if self.hiccups.push(frame, scale, told) {
            self.forget_clock();
        }
    }

    /// Times are told anew from here; those of what has been cut are what they were.
    fn forget_clock(&mut self) {
        self.clock = None;
        self.ahead.clear();
    }

    /// Goes on with a frame.
    fn take(&mut self, mut frame: Frame, tie: Option<i64>, has_clip: bool) {
        if frame.parameters.is_some() {
            self.parameters = frame.parameters.take();
        }
        let Some(parameters) = self.parameters.clone() else { return };
        self.observe(&frame, tie);
        self.bytes += frame.data.len();
        self.waiting.push_back(Waiting { frame, parameters });
        while let Some((first, last)) = self.waiting.front().zip(self.waiting.back()) {
            let (first, last) = (first.frame.received.boot, last.frame.received.boot);
            let is_old = !has_clip && last.0.saturating_sub(first.0) > WAITING_NANOS_MAX;
            if self.bytes <= WAITING_BYTES_MAX && !is_old {
                break;
            }
            self.take_first();
        }
    }

    /// Follows the clock. What it can't follow is told anew from here.
    fn observe(&mut self, frame: &Frame, tie: Option<i64>) {
        let end = frame.end();
        let timescale = self.clock.as_ref().map(|clock| clock.timescale);
        if timescale.is_some_and(|timescale| timescale != frame.timescale) {
            self.forget_clock();
            self.tie = Tie::default();
        }
        let told = self.tie.told(frame, tie);
        let (at, seen) = told.map_or((end, frame.received), |told| (frame.pts, told));
        if mem::replace(&mut self.is_tied, told.is_some()) != told.is_some()
            && let Some(clock) = &mut self.clock
        {
            clock.wall.forget();
        }
        let clock = self.clock.get_or_insert_with(|| Clock::new(frame));
        if clock.wall.observe(at, &seen).is_some() {
            *clock = Clock::new(frame);
            clock.wall.observe(at, &seen);
            self.ahead.clear();
        }
        self.reached = Some(clock.wall.boot_at(end));
    }

    /// Cuts what waits, and keeps it for a while.
    fn cut_ahead(&mut self, start: WallTime, to: Option<WallTime>) -> Option<Taken> {
        if self.kind != Some(TrackKind::Audio) {
            return self.cut(start, to);
        }
        let (cut, frames) = self.cut_samples(start, to)?;
        let mut end = self.in_clip.as_ref().map_or(0, |(_, end)| *end);
        let place = self.ahead.len();
        for it in frames.into_iter().rev() {
            let ticks = it.ticks();
            self.ahead.insert(place, (it, end));
            end -= ticks;
        }
        let received = |(it, _): &(Waiting, i64)| it.frame.received.boot.0;
        let last = self.ahead.back().map_or(0, received);
        while self.ahead.front().is_some_and(|it| last - received(it) > AHEAD_NANOS_MAX) {
            self.ahead.pop_front();
        }
        Some(cut)
    }

    /// Waits with what was cut and lies behind the end of the clip; the rest is where it should be.
    fn take_back(&mut self, start: WallTime, end: WallTime) {
        let ahead = mem::take(&mut self.ahead);
        let Some(clock) = &self.clock else { return };
        let length = Ticks::from_nanos(end.nanos_since(start), clock.timescale).0;
        for (mut it, to) in ahead.into_iter().rev().take_while(|(_, to)| *to > length) {
            it.skip(length.saturating_sub(to - it.ticks()));
            self.bytes += it.frame.data.len();
            self.waiting.push_front(it);
            self.ended = Some(end);
        }
    }

    fn take_first(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front()?;
        self.bytes -= waiting.frame.data.len();
        Some(waiting)
    }

    fn cut(&mut self, start: WallTime, to: Option<WallTime>) -> Option<Taken> {
        self.cut_samples(start, to).map(|(taken, _)| taken)
    }

    /// Answers the frames, too, of which the samples are made.
    fn cut_samples(
        &mut self,
        start: WallTime,
        to: Option<WallTime>,
    ) -> Option<(Taken, Vec<Waiting>)> {
        let first = self.waiting.front()?;
        let (parameters, from) = match &self.in_clip {
            Some((own, to)) if own.encoded == first.parameters.encoded => {
                (Arc::clone(own), Some(*to))
            }
            Some(_) => return None,
            None => (Arc::clone(&first.parameters), None),
        };
        let clock = self.clock.as_mut()?;
        clock.wall.settle();
        clock.wall.steer(first.frame.pts, i64::MAX);
        let timescale = clock.timescale;
        let ticks = |time: WallTime| Ticks::from_nanos(time.nanos_since(start), timescale).0;
        let apart = self.ended.map(|ended| ended.nanos_since(start).saturating_abs());
        let place = Place {
            from,
            goes_on: apart.is_some_and(|nanos| nanos < APART_NANOS),
            to: to.map_or(i64::MAX, ticks),
            at: &|pts| ticks(clock.captured_at(pts)),
            timescale,
        };
        let cut = sound::cut(&mut self.waiting, &parameters, &place);
        self.bytes = self.waiting.iter().map(|it| it.frame.data.len()).sum();
        let cut = cut?;
        self.in_clip = Some((Arc::clone(&parameters), cut.to));
        self.ended = Some(start.plus_nanos(Ticks(cut.to).to_nanos(timescale)));
        let taken = Taken {
            track: self.number,
            timescale,
            start: start.plus_nanos(Ticks(cut.from).to_nanos(timescale)),
            parameters,
            samples: cut.samples,
            data: cut.data,
        };
        Some((taken, cut.taken))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use claxon::FlacReader;

    use super::Sides;
    use crate::camera::{Frame, Packets, Parameters, Pcm, ReorderDepth, Sound};
    use crate::clock::Reading;
    use crate::recorder::cutter::{Action, Cutter, CutterSettings, HandOut};
    use crate::segment::{
        AudioParameters, Codec, EndReason, Look, ParameterSet, TrackNumber, TrackTable,
        VideoParameters,
    };
    use crate::units::{BootTime, NANOS_PER_SECOND, Ticks, WallTime};

    const START: i64 = 1_790_000_003 * NANOS_PER_SECOND;
    const MILLI: i64 = 1_000_000;
    const RATE: u32 = 8000;
    /// Samples of a packet.
    const LENGTH: i64 = 320;

    fn at(nanos: i64) -> Reading {
        Reading {
            wall: WallTime(START + nanos),
            boot: BootTime(1 + nanos),
            boot_id: [3; 16],
            synchronised: true,
        }
    }

    fn parameters(sound: Option<Sound>) -> Arc<Parameters> {
        parameters_of(640, sound)
    }

    /// Those of pictures that are so wide, or of a sound.
    fn parameters_of(width: u16, sound: Option<Sound>) -> Arc<Parameters> {
        let video = VideoParameters { width, height: 360, pixel_aspect: (1, 1), look: Look::PLAIN };
        let audio = AudioParameters { sample_rate: RATE, channels: 1 };
        let set = ParameterSet {
            codec: if sound.is_some() { Codec::Flac } else { Codec::H264 },
            configuration: vec![7; 9],
            video: sound.is_none().then_some(video),
            audio: sound.is_some().then_some(audio),
        };
        let made = Parameters::new(&set, set.encode().into(), ReorderDepth::Known(0));
        Arc::new(Parameters { sound, ..made })
    }

    fn frame(track: u8, pts: i64, received_nanos: i64, data: Vec<u8>) -> Frame {
        Frame {
            track: TrackNumber(track),
            pts,
            timescale: if track == 0 { 90_000 } else { RATE },
            data,
            is_key: true,
            duration: (track == 1).then_some(LENGTH as u32),
            received: at(received_nanos),
            ..Frame::default()
        }
    }

    /// A clip: its beginning, its length in nanoseconds, and what it has of the sound.
    type Clip = (WallTime, i64, Vec<(TrackTable, Vec<u8>)>);

    /// Pictures, and packets of a sound, in the order in which they come: each packet, of 40 ms,
    /// `late_nanos` after its end, but for those that are missing.
    fn frames(sound: Sound, late_nanos: i64, is_missing: fn(i64) -> bool) -> Vec<Frame> {
        let (mut frames, mut told) = (Vec::new(), Some(parameters(Some(sound))));
        for number in 0..25 * 22_i64 {
            let mut picture = frame(0, 3600 * number, number * 40 * MILLI, vec![0; 8]);
            picture.is_key = number % 25 == 0;
            picture.parameters = (number == 0).then(|| parameters(None));
            frames.push(picture);
            if is_missing(number) {
                continue;
            }
            let data: Vec<u8> = (0..LENGTH)
                .flat_map(|place| {
                    ((number * LENGTH + place) % 30_000 + 1).to_le_bytes()[..2].to_vec()
                })
                .collect();
            let received = (number + 1) * 40 * MILLI + late_nanos;
            let mut packet = frame(1, 77 + LENGTH * number, received, data);
            packet.parameters = told.take();
            frames.push(packet);
        }
        frames.sort_by_key(|frame| frame.received.boot);
        frames
    }

    /// What becomes of them.
    fn record(sound: Sound, late_nanos: i64, is_missing: fn(i64) -> bool) -> Vec<Clip> {
        record_all(frames(sound, late_nanos, is_missing))
    }

    fn record_all(frames: Vec<Frame>) -> Vec<Clip> {
        let clip = 5 * NANOS_PER_SECOND;
        let boundary = move |start: WallTime| WallTime((start.0.div_euclid(clip) + 1) * clip);
        let mut cutter = Cutter::new(CutterSettings {
            flush_interval: Duration::from_secs(2),
            chunk_bytes_max: 1 << 20,
            boundary: Arc::new(boundary),
            keeps_damaged: true,
        });
        let mut clips: Vec<Clip> = Vec::new();
        let mut flushed = 0;
        let mut take = |out: HandOut| {
            let actions = out.offer(|chunk| {
                if chunk.begins_clip {
                    clips.push((chunk.table.anchor.wall, 0, Vec::new()));
                }
                let mut data = chunk.data.as_slice();
                for track in chunk.table.tracks {
                    let (own, rest) = data.split_at(track.byte_count() as usize);
                    data = rest;
                    if track.track == TrackNumber(1) {
                        clips.last_mut().expect("a clip").2.push((track, own.to_vec()));
                    }
                }
                Ok(())
            });
            for action in actions.expect("nothing is refused") {
                if let Action::End { length_nanos, .. } = action {
                    clips.last_mut().expect("a clip").1 = length_nanos;
                }
            }
        };
        let mut now = at(0);
        for frame in frames {
            now = frame.received;
            cutter.push(frame);
            while let Some(out) = cutter.next(&now) {
                take(out);
            }
            if now.boot.0 - flushed > 2 * NANOS_PER_SECOND {
                flushed = now.boot.0;
                take(cutter.flush_due(&now));
            }
        }
        cutter.hold_no_more();
        while let Some(out) = cutter.next(&now) {
            take(out);
        }
        take(cutter.stop(EndReason::Stopped, &now));
        clips
    }

    /// The samples of a clip, which follow one another from its beginning on.
    fn decoded(pcm: &Pcm, chunks: &[(TrackTable, Vec<u8>)]) -> Vec<i16> {
        let mut stream = [b"fLaC", &pcm.configuration()[..]].concat();
        let mut end = 0;
        for (table, data) in chunks {
            assert_eq!(table.start, Ticks(end), "without a hole");
            end = table.expected_end().0;
            stream.extend_from_slice(data);
        }
        let mut reader = FlacReader::new(&stream[..]).expect("a stream");
        let samples: Vec<i16> =
            reader.samples().map(|sample| sample.expect("a sample") as i16).collect();
        assert_eq!(samples.len() as i64, end);
        samples
    }

    /// Those of all clips, one behind another.
    fn decoded_all(pcm: &Pcm, clips: &[Clip]) -> Vec<i16> {
        clips.iter().flat_map(|(.., chunks)| decoded(pcm, chunks)).collect()
    }

    /// Behind which of the samples that were sent in a row another one follows than did then.
    fn torn_at(all: &[i16]) -> Option<usize> {
        let next = |value: i16| i64::from(value) % 30_000 + 1;
        all.windows(2).position(|pair| next(pair[0]) != i64::from(pair[1]))
    }

    #[test]
    fn every_sample_is_in_one_clip_which_begins_with_its_first_picture() {
        let pcm = Pcm::new(RATE, 1);
        for late in [0, 130 * MILLI, 600 * MILLI] {
            let clips = record(Sound::Pcm(pcm.clone()), late, |_| false);
            assert_eq!(clips.len(), 5);
            let mut all = Vec::new();
            for (_, length, chunks) in &clips {
                let samples = decoded(&pcm, chunks);
                let lasts = samples.len() as i64 * NANOS_PER_SECOND / i64::from(RATE);
                assert!((lasts - length).abs() < MILLI, "{late}: {lasts} of {length}");
                all.extend(samples);
            }
            // All but what had not come at the end, or lies before the first picture.
            assert!(all.len() as i64 > LENGTH * (25 * 22 - 20), "{late}: {}", all.len());
            // That it comes late by as much each time nobody can know.
            let silent = all.iter().take_while(|sample| **sample == 0).count();
            assert!(silent as i64 * NANOS_PER_SECOND / i64::from(RATE) <= late, "{silent}");
            assert_eq!(torn_at(&all[silent..]), None, "{late}");
        }
    }

    /// The same in frames four times as long: nothing of one comes before its end.
    fn longer(frames: Vec<Frame>) -> Vec<Frame> {
        let mut longer: Vec<Frame> = Vec::new();
        let mut parts = 0;
        for frame in frames {
            if frame.track == TrackNumber(0) {
                longer.push(frame);
                continue;
            }
            let sounds = longer.iter().rposition(|it| it.track == TrackNumber(1));
            match sounds.filter(|_| parts % 4 != 0) {
                None => longer.push(frame),
                Some(at) => {
                    let mut whole = longer.remove(at);
                    whole.data.extend(&frame.data);
                    whole.duration = whole.duration.zip(frame.duration).map(|(a, b)| a + b);
                    longer.push(Frame { received: frame.received, ..whole });
                }
            }
            parts += 1;
        }
        longer
    }

    #[test]
    fn frames_that_last_long_are_not_late() {
        let pcm = Pcm::new(RATE, 1);
        let clips = record_all(longer(frames(Sound::Pcm(pcm.clone()), 0, |_| false)));
        let all = decoded_all(&pcm, &clips);
        assert!(all.len() as i64 > LENGTH * (25 * 22 - 20), "{}", all.len());
        assert_eq!(torn_at(&all), None);
    }

    #[test]
    fn what_is_missing_is_silence_of_the_same_length() {
        let pcm = Pcm::new(RATE, 1);
        let clips = record(Sound::Pcm(pcm.clone()), 0, |number| (60..120).contains(&number));
        let all = decoded_all(&pcm, &clips);
        let silent = all.iter().filter(|sample| **sample == 0).count() as i64;
        assert_eq!(silent, 60 * LENGTH);
    }

    #[test]
    fn where_a_whole_camera_falls_behind_sound_and_pictures_stay_together() {
        let pcm = Pcm::new(RATE, 1);
        for stop_millis in [300, 2000] {
            let mut frames = frames(Sound::Pcm(pcm.clone()), 0, |_| false);
            for frame in &mut frames {
                if frame.received.boot.0 > at(12 * NANOS_PER_SECOND).boot.0 {
                    let nanos = frame.received.boot.0 - at(0).boot.0;
                    frame.received = at(nanos + stop_millis * MILLI);
                }
            }
            let clips = record_all(frames);
            let all = decoded_all(&pcm, &clips);
            let rate = i64::from(RATE);
            let begins = all.windows(400).position(|part| part.iter().all(|sample| *sample == 0));
            let begins = begins.expect("silence") as i64;
            let silent = all.iter().filter(|sample| **sample == 0).count() as i64;
            assert!((begins - 12 * rate).abs() <= LENGTH, "{stop_millis}: {begins}");
            let length = stop_millis * rate / 1000;
            assert!((silent - length).abs() <= LENGTH, "{stop_millis}: {silent} of {length}");
        }
    }

    /// What is heard where pictures, but not their sound, come as if received at another time.
    /// The clock of the pictures runs fast by `ppm`.
    fn heard_where_pictures_come(
        ppm: i64,
        at_nanos: impl Fn(i64) -> i64,
        becomes_wide: impl Fn(i64) -> bool,
    ) -> Vec<i16> {
        let pcm = Pcm::new(RATE, 1);
        let mut frames = frames(Sound::Pcm(pcm.clone()), 0, |_| false);
        let mut wide = Some(parameters_of(1280, None));
        for frame in frames.iter_mut().filter(|frame| frame.track == TrackNumber(0)) {
            let nanos = frame.received.boot.0 - at(0).boot.0;
            frame.pts += frame.pts * ppm / 1_000_000;
            frame.received = at(at_nanos(nanos));
            if frame.is_key && becomes_wide(nanos) {
                frame.parameters = wide.take();
            }
        }
        frames.sort_by_key(|frame| frame.received.boot);
        let clips = record_all(frames);
        let heard = clips.iter().flat_map(|(_, length_nanos, chunks)| {
            let length = Ticks::from_nanos(*length_nanos, RATE).0 as usize;
            let mut all = decoded(&pcm, chunks);
            // What goes on behind a clip's last picture is not in its file (`mp4`).
            all.truncate(length);
            all
        });
        // The first clip begins with its first picture, which may be a moment before the sound.
        heard.skip_while(|value| *value == 0).collect()
    }

    #[test]
    fn sound_goes_on_where_pictures_stand_still_whenever_a_clip_ends() {
        for place in 0..100 {
            let from = 10 * NANOS_PER_SECOND + place * 50 * MILLI;
            let to = from + [600, 1300, 1500, 2700][place as usize % 4] * MILLI;
            let ppm = [0, 150, -233, 277][place as usize / 4 % 4];
            let stopped = |nanos: i64| if nanos > from { nanos + to - from } else { nanos };
            let delayed = |nanos: i64| if nanos > from { nanos.max(to) } else { nanos };
            for (name, all) in [
                ("the camera", heard_where_pictures_come(ppm, stopped, |_| false)),
                ("the network", heard_where_pictures_come(ppm, delayed, |_| false)),
                ("a change", heard_where_pictures_come(ppm, delayed, |nanos| nanos > from)),
            ] {
                let millis = [from / MILLI, to / MILLI];
                assert_eq!(torn_at(&all), None, "{name} stands still: {millis:?} ms");
            }
        }
    }

    #[test]
    fn where_all_stood_still_pictures_wait_for_the_sound_that_comes_behind_them() {
        let pcm = Pcm::new(RATE, 1);
        for later in [0, 50, 400] {
            let mut frames = frames(Sound::Pcm(pcm.clone()), 0, |_| false);
            for frame in &mut frames {
                let nanos = frame.received.boot.0 - at(0).boot.0;
                let later = if frame.track == TrackNumber(0) { 0 } else { later };
                if nanos > 10_500 * MILLI {
                    frame.received = at(nanos.max((13_500 + later) * MILLI));
                }
            }
            frames.sort_by_key(|frame| (frame.received.boot, frame.track));
            let clips = record_all(frames);
            let all = decoded_all(&pcm, &clips);
            assert_eq!(torn_at(&all), None, "{later} ms");
        }
    }

    #[test]
    fn what_a_camera_tells_of_pictures_by_another_clock_moves_no_sound() {
        let pcm = Pcm::new(RATE, 1);
        for off in [0, -3600, 60, 3] {
            let mut frames = frames(Sound::Pcm(pcm.clone()), 0, |_| false);
            for frame in &mut frames {
                let off = if frame.track == TrackNumber(0) { off } else { 0 };
                // As reports do that agree for a while.
                let captured = Ticks(frame.pts).to_nanos(frame.timescale) + off * NANOS_PER_SECOND;
                let is_told = captured > 7 * NANOS_PER_SECOND || off != 0;
                frame.captured = is_told.then_some(WallTime(START / 2 + captured));
            }
            let clips = record_all(frames);
            let all = decoded_all(&pcm, &clips);
            let torn = torn_at(&all[LENGTH as usize..]);
            assert_eq!(torn, None, "{off} s");
            assert!(all.len() as i64 > LENGTH * (25 * 22 - 25), "{off} s: {}", all.len());
        }
    }

    #[test]
    fn records_are_cut_behind_the_sound_whichever_came_first() {
        let set = ParameterSet {
            codec: Codec::TimedText,
            configuration: b"text/plain".to_vec(),
            video: None,
            audio: None,
        };
        let text = Parameters::new(&set, set.encode().into(), ReorderDepth::Known(0));
        let sound = Sound::Packets(Packets { ticks: LENGTH as u32, silence: None });
        let mut sides = Sides::default();
        for (track, parameters) in [(1, Arc::new(text)), (2, parameters(Some(sound)))] {
            let parameters = Some(parameters);
            let lasts = Some(LENGTH as u32);
            let frame = frame(track, 0, 40 * MILLI, vec![1; 5]);
            sides.push(Frame { parameters, duration: lasts, ..frame });
            sides.take_judged(None, true, None);
        }
        let cut = sides.cut(WallTime(START), None);
        let tracks: Vec<u8> = cut.iter().map(|taken| taken.track.0).collect();
        assert_eq!(tracks, [2, 1]);
    }

    #[test]
    fn packets_stay_whole_and_a_clip_begins_with_the_one_across_its_beginning() {
        let silence: Arc<[u8]> = Arc::from([9; 3].as_slice());
        let sound = Sound::Packets(Packets { ticks: LENGTH as u32, silence: Some(silence) });
        let clips = record(sound, 20 * MILLI, |number| number < 30);
        let mut numbers = Vec::new();
        for (_, length, chunks) in &clips {
            let (first, _) = chunks.first().expect("sound");
            assert!((-LENGTH + 1..=0).contains(&first.start.0), "{:?}", first.start);
            let mut end = first.start;
            for (table, data) in chunks {
                assert_eq!(table.start, end);
                end = table.expected_end();
                let mut data = data.as_slice();
                for sample in &table.samples {
                    let (packet, rest) = data.split_at(sample.size as usize);
                    data = rest;
                    numbers.push(
                        (packet.len() > 3).then(|| i16::from_le_bytes([packet[0], packet[1]])),
                    );
                }
            }
            assert!(end.to_nanos(RATE) <= *length);
        }
        let heard: Vec<i64> = numbers.iter().flatten().map(|first| i64::from(*first) - 1).collect();
        assert_eq!(heard[0], 30 * LENGTH);
        let next = |first: i64| (first + LENGTH) % 30_000;
        assert!(heard.windows(2).all(|pair| next(pair[0]) == pair[1]));
        let silent = numbers.iter().filter(|number| number.is_none()).count();
        assert!((29..=31).contains(&silent), "{silent}");
    }
}
