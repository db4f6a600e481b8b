//! The stamps of a camera become times: as they are, where its clock is one; scaled, where that is
//! off by a steady rate; those of the arrival, where they are worth nothing. Pure.
//!
//! It stands before everything that reads times: behind it every camera has a clock that runs as
//! time does. Stamps are mapped by *bends*: pieces of a line that joins and always rises, so that
//! pictures that are shown in another order than they come keep it, and nothing that was told is
//! told again. What was told before the rate was known is off; from there on time runs faster or
//! slower until what is told is what is captured. While no rate is off there is no bend, and a
//! stamp is a time to the tick.

use std::collections::VecDeque;

use super::rate::{Arrivals, Rate};
use super::usual::Told;
use crate::camera::Frame;
use crate::units::{BootTime, NANOS_PER_SECOND, Ticks};

/// How often the rate is looked at, in nanoseconds of arrival: while it becomes known, and later.
const LOOK_NANOS: i64 = NANOS_PER_SECOND / 4;
const LATER_LOOK_NANOS: i64 = NANOS_PER_SECOND;
/// When it is later, in seconds of a session.
const LATER_S: f64 = 15.0;

/// What is told is brought to what was captured where it is off by the first, until it is off by
/// less than the second, in nanoseconds; the rest is left to steering.
const ASTRAY_NANOS: i64 = 50_000_000;
const THERE_NANOS: i64 = 20_000_000;
/// Within about this long, in nanoseconds.
const CATCH_UP_NANOS: i64 = NANOS_PER_SECOND / 2;
/// By time that runs at this pace.
const PACE_MIN: f64 = 1.0 / 32.0;
const PACE_MAX: f64 = 3.0;

/// A camera whose clock may be far off is given so long to show it, in seconds, before it counts
/// as one whose time has jumped.
const YOUNG_S: f64 = 3.0;

/// Bends that pictures can be behind that come out of order.
const BENDS_MAX: usize = 8;

/// A line is in the log at most each so many nanoseconds.
const SAID_NANOS: i64 = 60 * NANOS_PER_SECOND;
/// A rate that is known better by this part is no news.
const NEWS_MIN: f64 = 0.02;

/// From this stamp on, times rise by `slope` ticks for each tick of the stamps.
#[derive(Clone, Copy, Debug)]
struct Bend {
    stamp: i64,
    time: i64,
    slope: f64,
}

impl Bend {
    fn time_of(&self, stamp: i64) -> i64 {
        let risen = stamp.saturating_sub(self.stamp) as f64 * self.slope;
        self.time.saturating_add(risen.round() as i64)
    }
}

/// The stamps of a session so far.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// The largest stamp.
    stamp: i64,
    /// The time of the frame before.
    time: i64,
    received: BootTime,
    timescale: u32,
    looked: BootTime,
}

/// The stamps of one track.
#[derive(Debug)]
pub(super) struct Stamps {
    rate: Rate,
    arrivals: Arrivals,
    bends: VecDeque<Bend>,
    last: Option<Last>,
    /// How fast time runs by now: 1, unless it catches up.
    pace: f64,
    /// A rate was off: what is told may still be.
    is_returning: bool,
    said: (Rate, Option<BootTime>),
}

impl Stamps {
    /// Of a camera of which nothing is known.
    pub(super) fn new() -> Stamps {
        Stamps {
            rate: Rate::AsStamped,
            arrivals: Arrivals::default(),
            bends: VecDeque::new(),
            last: None,
            pace: 1.0,
            is_returning: false,
            said: (Rate::AsStamped, None),
        }
    }

    /// A session is over: the next one begins anew, with the same rate.
    pub(super) fn forget(&mut self) {
        let (rate, said) = (self.rate, self.said);
        *self = Stamps { rate, said, ..Stamps::new() };
    }

    /// Whether time runs faster or slower than it should, to catch up.
    pub(super) fn catches_up(&self) -> bool {
        (self.pace - 1.0).abs() > f64::EPSILON
    }

    /// Whether a clock that runs away may be one of another rate.
    pub(super) fn may_be_off(&self) -> bool {
        self.catches_up() || (self.rate == Rate::AsStamped && self.arrivals.age_s() < YOUNG_S)
    }

    /// What is told is too late: frames have come earlier.
    pub(super) fn tell_anew(&mut self) {
        self.is_returning = true;
    }

    /// When a frame that is stamped so is told to be captured; `told` says it of a time.
    pub(super) fn told(
        &self,
        stamp: i64,
        told: impl Fn(i64) -> Option<BootTime>,
    ) -> Told<BootTime> {
        let told = told(self.map(stamp)).filter(|_| !self.catches_up());
        Told::new(told, self.arrivals.age_s() > LATER_S)
    }

    /// Ticks of the stamps for each tick of time; `None` where they are worth nothing.
    pub(super) fn scale(&self) -> Option<f64> {
        match self.rate {
            Rate::Scaled(rate) => Some(rate),
            Rate::AsStamped => Some(1.0),
            Rate::Arrival => None,
        }
    }

    /// Whether stamps run much faster than time.
    pub(super) fn run_away(&self, now: BootTime) -> bool {
        self.arrivals.run_away(now)
    }

    /// What is known of the rate and has not been said.
    pub(super) fn news(&mut self) -> Option<Rate> {
        let now = self.last?.received;
        let (before, when) = self.said;
        let is_news = match (before, self.rate) {
            (Rate::Scaled(before), Rate::Scaled(rate)) => (rate / before - 1.0).abs() > NEWS_MIN,
            (before, rate) => before != rate,
        };
        let quiet = when.is_none_or(|when| now.0.saturating_sub(when.0) >= SAID_NANOS);
        (is_news && quiet).then(|| {
            self.said = (self.rate, Some(now));
            self.rate
        })
    }

    /// The time of a frame, in ticks. `told` is when a frame of a time is told to be captured,
    /// where that has been settled.
    pub(super) fn time_of(&mut self, frame: &Frame, told: impl Fn(i64) -> Option<BootTime>) -> i64 {
        if self.last.is_some_and(|last| last.timescale != frame.timescale) {
            self.forget();
        }
        let jumped = self.arrivals.take(frame.pts, frame.timescale, frame.received.boot);
        let Some(mut last) = self.last else { return self.first(frame) };
        if jumped {
            // The jump is kept, and the rate behind it.
            let step = frame.pts.saturating_sub(last.stamp);
            let time = self.map(last.stamp).saturating_add(step);
            last.stamp = frame.pts;
            self.rebase(frame.pts, time);
        }
        if frame.received.boot.0.saturating_sub(last.looked.0) >= self.look_nanos() {
            last.looked = frame.received.boot;
            self.look(&last, told);
        }
        let time = match self.rate {
            Rate::Arrival => {
                let passed = frame.received.boot.0.saturating_sub(last.received.0).max(0);
                let risen = Ticks::from_nanos((passed as f64 * self.pace) as i64, last.timescale);
                let time = last.time.saturating_add(risen.0.max(1));
                self.rebase(frame.pts, time);
                time
            }
            _ => self.map(frame.pts),
        };
        let stamp = match self.rate {
            Rate::Arrival => frame.pts,
            _ => frame.pts.max(last.stamp),
        };
        self.last = Some(Last { stamp, time, received: frame.received.boot, ..last });
        time
    }

    fn look_nanos(&self) -> i64 {
        let is_later = self.arrivals.age_s() > LATER_S && !self.catches_up();
        if is_later { LATER_LOOK_NANOS } else { LOOK_NANOS }
    }

    fn first(&mut self, frame: &Frame) -> i64 {
        let (stamp, received) = (frame.pts, frame.received.boot);
        let timescale = frame.timescale;
        self.last = Some(Last { stamp, time: stamp, received, timescale, looked: received });
        if self.rate != Rate::AsStamped {
            self.bend(stamp, stamp);
        }
        stamp
    }

    fn map(&self, stamp: i64) -> i64 {
        let bend = self.bends.iter().rev().find(|bend| bend.stamp <= stamp);
        bend.or(self.bends.front()).map_or(stamp, |bend| bend.time_of(stamp))
    }

    /// The only bend is from here on, where there is any.
    fn rebase(&mut self, stamp: i64, time: i64) {
        if stamp != time || !self.bends.is_empty() {
            self.bends.clear();
            self.bend(stamp, time);
        }
    }

    fn bend(&mut self, stamp: i64, time: i64) {
        let slope = self.pace / self.scale().unwrap_or(1.0);
        if self.bends.back().is_some_and(|bend| bend.slope == slope) {
            return;
        }
        if self.bends.len() == BENDS_MAX {
            self.bends.pop_front();
        }
        self.bends.push_back(Bend { stamp, time, slope });
    }

    /// Looks whether the rate is what it was, and whether what is told is what was captured.
    fn look(&mut self, last: &Last, told: impl Fn(i64) -> Option<BootTime>) {
        let before = self.rate;
        self.rate = self.arrivals.rate(before);
        self.is_returning |= before != Rate::AsStamped && self.rate == Rate::AsStamped;
        if self.rate == Rate::AsStamped && !self.is_returning {
            return;
        }
        // Of stamps that are worth nothing the last one alone has a time.
        let time = match before {
            Rate::Arrival => last.time,
            _ => self.map(last.stamp),
        };
        let captured = match self.rate {
            Rate::Arrival => Some(last.received),
            _ => self.arrivals.captured(last.stamp, last.timescale, self.scale().unwrap_or(1.0)),
        };
        let off =
            told(time).zip(captured).map(|(told, captured)| told.0.saturating_sub(captured.0));
        self.pace = self.pace_for(off.unwrap_or(0));
        self.is_returning &= self.catches_up();
        self.bend(last.stamp, time);
    }

    /// How fast time has to run where what is told is so many nanoseconds ahead.
    fn pace_for(&self, off: i64) -> f64 {
        let enough = if self.catches_up() { THERE_NANOS } else { ASTRAY_NANOS };
        if off.saturating_abs() < enough {
            return 1.0;
        }
        (1.0 - off as f64 / CATCH_UP_NANOS as f64).clamp(PACE_MIN, PACE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use crate::camera::{Frame, Parameters, ReorderDepth};
    use crate::clock::Reading;
    use crate::recorder::cutter::{Action, Cutter, CutterSettings, HandOut, Rate};
    use crate::segment::{
        ChunkTable, Codec, EndReason, Look, ParameterSet, TrackNumber, VideoParameters,
    };
    use crate::units::{BootTime, NANOS_PER_SECOND, Ticks, WallTime};

    const START: i64 = 1_790_000_003 * NANOS_PER_SECOND;
    const TIMESCALE: u32 = 90_000;
    const MILLI: i64 = 1_000_000;

    fn at(nanos: i64) -> Reading {
        Reading {
            wall: WallTime(START + nanos),
            boot: BootTime(START / 7 + nanos),
            boot_id: [3; 16],
            synchronised: true,
        }
    }

    /// A picture as it comes.
    #[derive(Clone, Copy, Debug)]
    struct Sent {
        pts: i64,
        arrival: i64,
        is_key: bool,
    }

    /// Where a picture was stored: when it is told to be captured, in nanoseconds, and its place
    /// among those that were sent.
    #[derive(Clone, Copy, Debug)]
    struct Stored {
        number: usize,
        told: i64,
    }

    #[derive(Debug)]
    struct Clip {
        start: i64,
        end: Option<(EndReason, i64)>,
    }

    /// A cutter, and what came out of it.
    struct Bench {
        cutter: Cutter,
        sent: usize,
        flushed: i64,
        /// By how much the clock of this machine was set so far, in nanoseconds.
        set_by: i64,
        stored: Vec<Stored>,
        clips: Vec<Clip>,
        rates: Vec<Rate>,
        tables: Vec<ChunkTable>,
    }

    impl Bench {
        fn new() -> Bench {
            let clip = 5 * NANOS_PER_SECOND;
            let boundary = move |start: WallTime| WallTime((start.0.div_euclid(clip) + 1) * clip);
            let cutter = Cutter::new(CutterSettings {
                flush_interval: Duration::from_secs(2),
                chunk_bytes_max: 1 << 20,
                boundary: Arc::new(boundary),
                keeps_damaged: true,
            });
            let (stored, clips, rates) = (Vec::new(), Vec::new(), Vec::new());
            Bench {
                cutter,
                sent: 0,
                flushed: 0,
                set_by: 0,
                stored,
                clips,
                rates,
                tables: Vec::new(),
            }
        }

        fn send(&mut self, frame: Sent, begins_session: bool) {
            let now = self.at(frame.arrival);
            if frame.arrival - self.flushed >= 2 * NANOS_PER_SECOND {
                self.flushed = frame.arrival;
                while let Some(out) = self.cutter.next(&now) {
                    self.take(out);
                }
                let out = self.cutter.flush_due(&now);
                self.take(out);
            }
            let video = VideoParameters {
                width: 640,
                height: 360,
                pixel_aspect: (1, 1),
                look: Look::PLAIN,
            };
            let set = ParameterSet {
                codec: Codec::H264,
                configuration: vec![1; 9],
                video: Some(video),
                audio: None,
            };
            let parameters = Parameters::new(&set, set.encode().into(), ReorderDepth::Unknown);
            self.cutter.push(Frame {
                track: TrackNumber(0),
                pts: frame.pts,
                timescale: TIMESCALE,
                data: (self.sent as u64).to_be_bytes().to_vec(),
                is_key: frame.is_key,
                parameters: begins_session.then(|| Arc::new(parameters)),
                received: now,
                ..Frame::default()
            });
            self.sent += 1;
            while let Some(out) = self.cutter.next(&now) {
                self.take(out);
            }
            self.rates.extend(self.cutter.rate_news());
        }

        fn at(&self, nanos: i64) -> Reading {
            let now = at(nanos);
            Reading { wall: now.wall.plus_nanos(self.set_by), ..now }
        }

        fn session(&mut self, frames: &[Sent]) {
            for (place, frame) in frames.iter().enumerate() {
                self.send(*frame, place == 0);
            }
            self.over(frames.last().map_or(0, |frame| frame.arrival));
        }

        /// The session is over.
        fn over(&mut self, at: i64) {
            let now = self.at(at);
            self.cutter.hold_no_more();
            while let Some(out) = self.cutter.next(&now) {
                self.take(out);
            }
            let out = self.cutter.stop(EndReason::Disconnected, &now);
            self.take(out);
        }

        fn take(&mut self, out: HandOut) {
            let actions = out.offer(|chunk| {
                let (track, anchor) = (&chunk.table.tracks[0], chunk.table.anchor.wall.0 - START);
                if chunk.begins_clip {
                    self.clips.push(Clip { start: anchor, end: None });
                }
                let mut time = track.start.0;
                for (sample, bytes) in track.samples.iter().zip(chunk.data.chunks(8)) {
                    let number = u64::from_be_bytes(bytes.try_into().expect("eight")) as usize;
                    let shown = time + i64::from(sample.composition_offset);
                    let told = anchor + Ticks(shown).to_nanos(TIMESCALE);
                    self.stored.push(Stored { number, told });
                    time += i64::from(sample.duration);
                }
                self.tables.push(chunk.table);
                Ok(())
            });
            for action in actions.expect("nothing is refused") {
                match action {
                    Action::End { reason, length_nanos } => {
                        let clip = self.clips.last_mut().expect("a clip has begun");
                        clip.end = Some((reason, clip.start + length_nanos));
                    }
                    Action::Observe(_) => {}
                }
            }
        }

        /// Whatever happens clips follow one another.
        fn check(&self) {
            for pair in self.clips.windows(2) {
                let (_, end) = pair[0].end.expect("all clips have ended");
                assert!(end <= pair[1].start, "{:?} and {:?}", pair[0], pair[1]);
            }
        }

        /// Cuts behind a time that no boundary asks for.
        fn cuts(&self, from: i64) -> usize {
            let ends = self.clips.iter().filter_map(|clip| clip.end);
            ends.filter(|(reason, end)| *reason == EndReason::TimeJump && *end >= from).count()
        }
    }

    fn random(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        }
    }

    /// A camera that sends so many pictures a second, whose clock runs at `rate`, through a network
    /// that delays by up to `jitter` nanoseconds, and which had kept `kept` nanoseconds of footage:
    /// the time of capture of each picture is 0 where somebody connects.
    #[derive(Clone, Copy, Debug)]
    struct Odd {
        frame_rate: i64,
        rate: f64,
        jitter: i64,
        kept: i64,
        group: usize,
        seed: u64,
    }

    impl Odd {
        fn captured(&self, number: usize) -> i64 {
            number as i64 * NANOS_PER_SECOND / self.frame_rate - self.kept
        }

        fn frames(&self, length: i64) -> Vec<Sent> {
            let mut random = random(self.seed);
            let mut last = 0;
            let count = ((length + self.kept) * self.frame_rate / NANOS_PER_SECOND) as usize;
            let frames = (0..count).map(|number| {
                let captured = self.captured(number);
                let media = (captured + self.kept) as f64 * self.rate;
                let delay = (random() % (self.jitter as u64 + 1)) as i64;
                // TCP: in order.
                last = (captured.max(0) + delay).max(last + 100_000);
                let pts = 77_000 + Ticks::from_nanos(media as i64, TIMESCALE).0;
                Sent { pts, arrival: last, is_key: number % self.group == 0 }
            });
            frames.collect()
        }
    }

    /// The largest error from a time of capture on.
    fn error(bench: &Bench, odd: &Odd, from: i64) -> i64 {
        let errors = bench.stored.iter().map(|stored| (odd.captured(stored.number), stored.told));
        let errors = errors.filter(|(captured, _)| *captured >= from);
        errors.map(|(captured, told)| (told - captured).abs()).max().unwrap_or(0)
    }

    fn odd() -> impl Strategy<Value = Odd> {
        let rate = prop_oneof![
            2 => (-1.0..1.08_f64).prop_map(|power| 10_f64.powf(power)),
            1 => 0.8..1.2_f64,
        ];
        (5_i64..=30, rate, 0_i64..=100, 0_i64..=4000, 5_usize..=120, any::<u64>()).prop_map(
            |(frame_rate, rate, jitter, kept, group, seed)| {
                // One group at most: from its key frame on.
                let group_nanos = (group as i64 - 1) * NANOS_PER_SECOND / frame_rate;
                let (jitter, kept) = (jitter * MILLI, (kept * MILLI).min(group_nanos));
                Odd { frame_rate, rate, jitter, kept, group, seed }
            },
        )
    }

    /// A clock that is right, whose pictures are as late as that.
    fn right(frame_rate: i64, seconds: i64, delay: impl Fn(i64) -> i64) -> Vec<Sent> {
        let frames = (0..seconds * frame_rate).map(|number| {
            let captured = number * NANOS_PER_SECOND / frame_rate;
            let pts = 77_000 + Ticks::from_nanos(captured, TIMESCALE).0;
            Sent { pts, arrival: captured + delay(captured), is_key: number % frame_rate == 0 }
        });
        frames.collect()
    }

    #[test]
    fn a_clock_that_is_right_is_left_alone_whatever_the_network_does() {
        let second = NANOS_PER_SECOND;
        // Kept and sent at once; a network that stands still, gets slower, is slow for a while.
        let kept = |at: i64| (4 * second - at).max(at / 1000);
        let stalls = |at: i64| (8 * second - at).max(0) * i64::from(at > 5 * second);
        let slower = |at: i64| (at / second).min(3) * 60 * MILLI;
        let slow = |at: i64| if (5 * second..9 * second).contains(&at) { 400 * MILLI } else { 0 };
        let drains = |at: i64| (at / 3).min((3 * second - at / 3).max(0));
        type Delay<'a> = &'a dyn Fn(i64) -> i64;
        // With what is told too late at most, in milliseconds: no more than a network is slow for
        // longer than it takes to judge it.
        let networks: [(&str, Delay<'_>, i64); 5] = [
            ("kept", &kept, 50),
            ("stalls", &stalls, 0),
            ("slower", &slower, 180),
            ("slow", &slow, 400),
            ("drains", &|at| if at > 10 * second { drains(at - 10 * second) } else { 0 }, 0),
        ];
        for (name, delay, late_max) in networks {
            for frame_rate in [1, 5, 25] {
                let mut bench = Bench::new();
                bench.session(&right(frame_rate, 40, delay));
                bench.check();
                let what = format!("{name} at {frame_rate} a second");
                assert_eq!(bench.rates, [], "{what}");
                let captured = |number: usize| number as i64 * second / frame_rate;
                for stored in &bench.stored {
                    let late = (stored.told - captured(stored.number)) / MILLI;
                    assert!((0..=late_max).contains(&late), "{what}: {late} ms, {stored:?}");
                    let is_over = captured(stored.number) > 14 * second;
                    assert!(name != "slow" || !is_over || late < 30, "{what}: {late} ms");
                }
                let steps = bench.tables.iter().flat_map(|table| {
                    let samples = table.tracks[0].samples.split_last().expect("samples").1;
                    samples.iter().map(|sample| i64::from(sample.duration)).collect::<Vec<_>>()
                });
                let odd: Vec<i64> = steps.filter(|step| *step != 90_000 / frame_rate).collect();
                assert!(late_max > 50 || odd.is_empty(), "{what}: {odd:?}");
            }
        }
    }

    #[test]
    fn stamps_that_say_nothing_give_way_to_the_arrival() {
        let second = i64::from(TIMESCALE);
        let all_the_same = |_: i64| 77_000_i64;
        let nearly = |number: i64| 77_000 + number;
        let leaps = |number: i64| 77_000 + number * 3600 + (number / 50 % 2) * 40 * second;
        type Stamp<'a> = &'a dyn Fn(i64) -> i64;
        let stamps: [(&str, Stamp<'_>, &[Rate]); 3] = [
            ("same", &all_the_same, &[Rate::Arrival]),
            ("nearly", &nearly, &[Rate::Arrival]),
            // Ruled out one by one.
            ("leaps", &leaps, &[]),
        ];
        for (name, stamp, rates) in stamps {
            let mut frames = right(25, 30, |_| 0);
            for (number, frame) in frames.iter_mut().enumerate() {
                frame.pts = stamp(number as i64);
            }
            let mut bench = Bench::new();
            bench.session(&frames);
            bench.check();
            assert_eq!(bench.rates, rates, "{name}");
            let late = bench.stored.iter().filter(|stored| stored.number > 250);
            let worst = late.map(|stored| (stored.told - frames[stored.number].arrival).abs());
            let worst = worst.max().expect("frames");
            assert!(worst < 60 * MILLI, "{name}: {} ms", worst / MILLI);
            assert_eq!(bench.cuts(10 * NANOS_PER_SECOND), 0, "{name}");
        }
    }

    #[test]
    fn a_rate_is_kept_over_sessions_and_dropped_when_it_is_not_true_any_more() {
        let length = 20 * NANOS_PER_SECOND;
        let odd = Odd { frame_rate: 25, rate: 0.84, jitter: 0, kept: 0, group: 25, seed: 1 };
        let later = |frames: &[Sent], by: i64| -> Vec<Sent> {
            frames.iter().map(|sent| Sent { arrival: sent.arrival + by, ..*sent }).collect()
        };
        let mut bench = Bench::new();
        bench.session(&odd.frames(length));
        let [Rate::Scaled(rate)] = bench.rates[..] else { panic!("{:?}", bench.rates) };
        assert!((rate - 0.84).abs() < 0.001, "{rate}");
        let before = bench.stored.len();
        bench.session(&later(&odd.frames(length), length + NANOS_PER_SECOND));
        for stored in &bench.stored[before..] {
            let captured = odd.captured(stored.number - before) + length + NANOS_PER_SECOND;
            assert!((stored.told - captured).abs() < 30 * MILLI, "{stored:?}");
        }
        assert_eq!(bench.rates.len(), 1, "it was said");
        let before = bench.stored.len();
        let again = 3 * length;
        bench.session(&later(&right(25, 40, |_| 0), again));
        assert_eq!(bench.rates[1..], [Rate::AsStamped]);
        for stored in &bench.stored[before + 250..] {
            let captured = (stored.number - before) as i64 * 40 * MILLI + again;
            assert!((stored.told - captured).abs() < 100 * MILLI, "{stored:?}");
        }
        bench.check();
    }

    #[test]
    fn what_is_sent_once_more_takes_no_time_and_what_follows_is_on_time() {
        let mut bench = Bench::new();
        let length = 10 * NANOS_PER_SECOND;
        bench.session(&right(25, 10, |_| 0));
        let before = bench.stored.len();
        // Half a second later the camera is there again, with the last three seconds.
        let kept = 3 * NANOS_PER_SECOND;
        let odd = Odd { frame_rate: 25, rate: 1.0, jitter: 0, kept, group: 75, seed: 1 };
        let connected = length + NANOS_PER_SECOND / 2;
        let later = odd.frames(length).into_iter();
        let later: Vec<Sent> =
            later.map(|sent| Sent { arrival: sent.arrival + connected, ..sent }).collect();
        bench.session(&later);
        bench.check();
        let mut again = 0;
        for stored in &bench.stored[before..] {
            let captured = odd.captured(stored.number - before) + connected;
            if captured < length {
                assert!((length..length + 2 * MILLI).contains(&stored.told), "{stored:?}");
                again += 1;
            } else {
                assert!((stored.told - captured).abs() < 20 * MILLI, "{stored:?}");
            }
        }
        assert!((60..70).contains(&again), "{again} frames");
        assert_eq!(bench.rates, []);
    }

    /// A camera whose time falls behind: each so often nothing is sent for a while, and what comes
    /// then is stamped as if no time had passed; or its time stands still for as long.
    #[derive(Clone, Debug)]
    struct Hiccuping {
        frame_rate: i64,
        ppm: i64,
        jitter: i64,
        /// When, for how long, in nanoseconds, and whether frames come meanwhile.
        hiccups: Vec<(i64, i64, bool)>,
        seed: u64,
    }

    impl Hiccuping {
        /// What is sent, and when it was captured.
        fn frames(&self, length: i64) -> (Vec<Sent>, Vec<i64>) {
            let mut random = random(self.seed);
            let (mut hiccups, mut captured) = (self.hiccups.iter().peekable(), 0);
            let (mut media, mut last, mut number) = (0, 0, 0);
            let (mut sent, mut times) = (Vec::new(), Vec::new());
            let step = NANOS_PER_SECOND / self.frame_rate;
            let mut still_to = 0;
            while captured < length {
                match hiccups.next_if(|(at, ..)| *at <= captured) {
                    Some((_, long, true)) => still_to = captured + long,
                    Some((_, long, false)) => captured += long,
                    None => {}
                }
                let delay = (random() % (self.jitter as u64 + 1)) as i64;
                last = (captured + delay).max(last + 100_000);
                let pts =
                    77_000 + Ticks::from_nanos(media + media / 1_000_000 * self.ppm, TIMESCALE).0;
                sent.push(Sent { pts, arrival: last, is_key: number % 50 == 0 });
                times.push(captured);
                media += if captured < still_to { 0 } else { step };
                (captured, number) = (captured + step, number + 1);
            }
            (sent, times)
        }
    }

    fn hiccuping() -> impl Strategy<Value = Hiccuping> {
        let hiccup = (12_000_i64..40_000, 100_i64..5000, proptest::bool::weighted(0.3));
        let hiccups = proptest::collection::vec(hiccup, 0..6).prop_map(|all| {
            let mut at = 0;
            let place = |(later, long, comes): (i64, i64, bool)| {
                at += (later + long) * MILLI;
                (at - long * MILLI, long * MILLI, comes)
            };
            all.into_iter().map(place).collect()
        });
        (8_i64..=60, -300_i64..=300, 0_i64..=200, hiccups, any::<u64>()).prop_map(
            |(frame_rate, ppm, jitter, hiccups, seed)| {
                let jitter = jitter * MILLI;
                Hiccuping { frame_rate, ppm, jitter, hiccups, seed }
            },
        )
    }

    /// What happens while a camera is recorded for hours.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        /// The network stands still for so long, in nanoseconds, and then delivers all.
        Stall(i64),
        /// The camera's time falls behind.
        Hiccup(i64),
        /// The camera's time jumps.
        Jump(i64),
        /// One stamp is off by this.
        Wild(i64),
        /// The clock of this machine is set.
        Set(i64),
        /// The session is over for so long; the next one begins with what was kept meanwhile.
        Away(i64),
    }

    impl Event {
        /// Seconds that may be told wrongly behind it.
        fn wrong_s(self, is_off: bool) -> f64 {
            match self {
                Event::Stall(_) => 0.5,
                Event::Hiccup(_) => 1.5,
                Event::Jump(_) => 3.0,
                Event::Wild(_) => 0.5,
                Event::Set(_) => 0.0,
                Event::Away(_) if is_off => 2.0,
                Event::Away(_) => 1.0,
            }
        }
    }

    fn event() -> impl Strategy<Value = Event> {
        let hours = 3600 * NANOS_PER_SECOND;
        let far =
            prop_oneof![-10 * hours..-10 * NANOS_PER_SECOND, 10 * NANOS_PER_SECOND..10 * hours];
        prop_oneof![
            4 => (200..5000_i64).prop_map(|millis| Event::Stall(millis * MILLI)),
            4 => (100..5000_i64).prop_map(|millis| Event::Hiccup(millis * MILLI)),
            1 => far.clone().prop_map(Event::Jump),
            2 => far.prop_map(Event::Wild),
            1 => (-hours..24 * hours).prop_map(Event::Set),
            2 => (500..60_000_i64).prop_map(|millis| Event::Away(millis * MILLI)),
        ]
    }

    /// A camera, for an hour or two: what happens each so many seconds.
    #[derive(Clone, Debug)]
    struct Hours {
        frame_rate: i64,
        rate: f64,
        jitter: i64,
        events: Vec<(i64, Event)>,
        seed: u64,
    }

    fn hours() -> impl Strategy<Value = Hours> {
        let ppm = |ppm: i64| 1.0 + ppm as f64 / 1_000_000.0;
        let rate = prop_oneof![3 => (-300..=300_i64).prop_map(ppm), 1 => 0.84..1.16_f64];
        let events = proptest::collection::vec((30..240_i64, event()), 30);
        (8..=30_i64, rate, 0..=150_i64, events, any::<u64>()).prop_map(
            |(frame_rate, rate, jitter, events, seed)| {
                let jitter = jitter * MILLI;
                Hours { frame_rate, rate, jitter, events, seed }
            },
        )
    }

    impl Hours {
        /// Records it. Answers how many frames are told wrongly, how many may be, and of how many.
        fn record(&self, bench: &mut Bench) -> (usize, usize, usize) {
            let mut random = random(self.seed);
            let step = NANOS_PER_SECOND / self.frame_rate;
            let (mut captured, mut last, mut begins) = (0, 0, true);
            // Of the camera's clock: what has passed by it, and what it is off by.
            let (mut media, mut base) = (0_i64, 1_i64 << 50);
            // When each was captured, on the wall by what it showed before and behind.
            let mut meant: Vec<(i64, [i64; 2])> = Vec::new();
            let is_off = (self.rate - 1.0).abs() > 0.001;
            let mut wrong_s = if is_off { 10.0 } else { 1.0 };
            let mut set_before = 0;
            for (seconds, event) in &self.events {
                wrong_s += event.wrong_s(is_off);
                let (mut held_to, mut wild) = (0, 0);
                match *event {
                    Event::Stall(long) => held_to = captured + long,
                    Event::Hiccup(long) => captured += long,
                    Event::Jump(by) => base += by,
                    Event::Wild(by) => wild = by,
                    Event::Set(by) => {
                        set_before = bench.set_by;
                        bench.set_by += by;
                    }
                    Event::Away(long) => {
                        bench.over(last);
                        held_to = captured + long;
                        let kept = long.min(step * 49);
                        (captured, base) = (held_to - kept, base + 7 * NANOS_PER_SECOND);
                        begins = true;
                    }
                }
                let until = captured + seconds * NANOS_PER_SECOND;
                while captured < until {
                    let delay = (random() % (self.jitter as u64 + 1)) as i64;
                    last = (captured.max(held_to) + delay).max(last + 100_000);
                    let stamp =
                        base + (media as f64 * self.rate) as i64 + std::mem::take(&mut wild);
                    let pts = Ticks::from_nanos(stamp, TIMESCALE).0;
                    let is_key = begins || meant.len().is_multiple_of(50);
                    meant.push((captured, [set_before, bench.set_by]));
                    bench.send(Sent { pts, arrival: last, is_key }, std::mem::take(&mut begins));
                    (captured, media) = (captured + step, media + step);
                }
                set_before = bench.set_by;
            }
            bench.over(last);
            let allowed = 100 * MILLI + self.jitter / 2;
            let is_wrong = |stored: &&Stored| {
                let (captured, walls) = meant[stored.number];
                let off = |wall: &i64| (stored.told - captured - wall).abs();
                walls.iter().map(off).min().is_none_or(|off| off > allowed)
            };
            let wrong = bench.stored.iter().filter(is_wrong).count();
            (wrong, (wrong_s * self.frame_rate as f64) as usize, meant.len())
        }
    }

    /// Anything that can happen to a picture: how far its stamp and its arrival are behind those of
    /// the one before, in milliseconds.
    fn steps() -> impl Strategy<Value = Vec<(i64, i64, bool, bool)>> {
        let stamp = prop_oneof![
            9 => Just(40_i64), 2 => -200..400_i64, 1 => -90_000..90_000_i64, 1 => Just(0)
        ];
        let arrival = prop_oneof![9 => Just(40_i64), 2 => 0..100_i64, 1 => 0..20_000_i64];
        let step = (stamp, arrival, proptest::bool::weighted(0.2), proptest::bool::weighted(0.02));
        proptest::collection::vec(step, 1..600)
    }

    /// How many frames are told more than 100 ms off.
    fn wrong_by_far(sent: &[Sent], captured: &[i64]) -> usize {
        let mut bench = Bench::new();
        bench.session(sent);
        bench.check();
        assert_eq!(bench.stored.len(), sent.len());
        let off = |stored: &&Stored| (stored.told - captured[stored.number]).abs() > 100 * MILLI;
        bench.stored.iter().filter(off).count()
    }

    #[test]
    fn time_that_falls_behind_is_seen_at_once_on_a_machine_with_much_to_do() {
        for (nth, long) in [200, 900, 1500, 4000].into_iter().enumerate() {
            let hiccups = (1..=4).map(|at| (at * 23 * NANOS_PER_SECOND, long * MILLI, false));
            let hiccups: Vec<_> = hiccups.collect();
            let camera = Hiccuping { frame_rate: 25, ppm: 0, jitter: 0, hiccups, seed: 0 };
            let (mut sent, captured) = camera.frames(120 * NANOS_PER_SECOND);
            // Behind that it does something else each 300 ms or so, for 50 to 90 ms, up to four
            // seconds, and reads then what came.
            let mut random = random(nth as u64 + 1);
            let (mut busy, mut free) = (0, 0);
            let is_behind = |arrival: i64| {
                let since = |(at, long, _): &(i64, i64, bool)| arrival - at - long;
                camera
                    .hiccups
                    .iter()
                    .any(|hiccup| (0..4 * NANOS_PER_SECOND).contains(&since(hiccup)))
            };
            for frame in sent.iter_mut().filter(|frame| is_behind(frame.arrival)) {
                while frame.arrival >= free {
                    busy = free + (150 + random() as i64 % 150) * MILLI;
                    free = busy + (50 + random() as i64 % 40) * MILLI;
                }
                if frame.arrival > busy {
                    frame.arrival = free;
                }
            }
            assert_eq!(wrong_by_far(&sent, &captured), 0, "{long} ms");
        }
    }

    #[test]
    fn time_that_falls_behind_soon_after_a_session_has_begun_is_seen() {
        // Pictures that the camera had kept come at once; it is clear how they come soon after.
        for (kept, jitter, known) in [(0, 0, 1), (0, 30, 1), (20, 0, 13), (20, 30, 13)] {
            for long in [1500, 3000] {
                for at in known..40_i64 {
                    let hiccups = vec![((at * 100 - 60) * MILLI, long * MILLI, false)];
                    let (seed, jitter) = (at as u64, jitter * MILLI);
                    let camera = Hiccuping { frame_rate: 25, ppm: 0, jitter, hiccups, seed };
                    let (mut sent, captured) = camera.frames(20 * NANOS_PER_SECOND);
                    let begun = sent[kept].arrival;
                    for (frame, nth) in sent.iter_mut().zip(0..).take(kept) {
                        frame.arrival = begun + nth * MILLI / 10;
                    }
                    let wrong = wrong_by_far(&sent, &captured);
                    assert_eq!(wrong, 0, "{kept} kept, {jitter} ns, {long} ms at {at} of 100 ms");
                }
            }
        }
    }

    #[test]
    fn a_slow_clock_behind_a_network_that_delays_much_does_not_fall_behind_by_leaps() {
        for (frame_rate, rate, jitter, kept, seed) in [
            (9, 0.921_013, 91, 312, 6_351_635_739_336_734_384),
            (8, 0.898_448, 85, 3507, 9_868_172_904_595_583_628),
            (23, 0.874_296, 96, 1357, 13_320_600_741_772_743_044),
        ] {
            let (jitter, kept) = (jitter * MILLI, kept * MILLI);
            let odd = Odd { frame_rate, rate, jitter, kept, group: 99, seed };
            let mut bench = Bench::new();
            bench.session(&odd.frames(40 * NANOS_PER_SECOND));
            let worst = error(&bench, &odd, 10 * NANOS_PER_SECOND);
            assert!(worst < 100 * MILLI, "{} ms: {odd:?}", worst / MILLI);
        }
    }

    #[test]
    fn what_is_late_just_before_time_falls_behind_did_not_fall_behind() {
        for (count, late) in [(1, 120), (1, 300), (2, 300), (4, 200), (6, 400)] {
            for long in [600, 1500, 3000] {
                let at = 20 * NANOS_PER_SECOND;
                let hiccups = vec![(at, long * MILLI, false)];
                let camera = Hiccuping { frame_rate: 25, ppm: 0, jitter: 0, hiccups, seed: 0 };
                let (mut sent, captured) = camera.frames(2 * at);
                let before = captured.iter().filter(|captured| **captured < at).count();
                for frame in &mut sent[before - count..before] {
                    frame.arrival += late * MILLI;
                }
                let wrong = wrong_by_far(&sent, &captured);
                assert_eq!(wrong, 0, "{count} frames are {late} ms late, before {long} ms");
            }
        }
    }

    #[test]
    fn time_that_fell_behind_does_not_do_so_again_where_delays_are_as_before() {
        let (jitter, long) = (183 * MILLI, 558 * MILLI);
        let hiccups = vec![(17_380 * MILLI, long, false)];
        let seed = 6_348_946_318_619_914_802;
        let camera = Hiccuping { frame_rate: 29, ppm: 0, jitter, hiccups, seed };
        let (sent, captured) = camera.frames(30 * NANOS_PER_SECOND);
        let mut bench = Bench::new();
        bench.session(&sent);
        let off = |stored: &&Stored| (stored.told - captured[stored.number]).abs();
        let wrong = bench.stored.iter().filter(|it| off(it) > 100 * MILLI + jitter / 2).count();
        assert!(wrong <= 29, "{wrong} of a second");
    }

    #[test]
    fn pictures_that_are_shown_before_one_that_came_before_time_fell_behind_still_are() {
        for reordered in 1..=3_usize {
            for first in 0..=reordered {
                let length = 40 * NANOS_PER_SECOND;
                let camera =
                    Hiccuping { frame_rate: 25, ppm: 0, jitter: 0, hiccups: Vec::new(), seed: 0 };
                let (shown, _) = camera.frames(length);
                let group = reordered + 1;
                // Each group but the first begins with the one that is shown last.
                let order = (1..shown.len() / group - 1).flat_map(|nth| {
                    let begin = nth * group + 1;
                    std::iter::once(begin + reordered).chain(begin..begin + reordered)
                });
                let mut sent = vec![shown[0]];
                sent.extend(order.map(|nth| Sent { is_key: false, ..shown[nth] }));
                let at = 120 * group + first + 1;
                for (nth, frame) in sent.iter_mut().enumerate() {
                    let late = if nth < at { 0 } else { 3 * NANOS_PER_SECOND };
                    frame.arrival = shown[nth + reordered].arrival + late;
                }
                let mut bench = Bench::new();
                bench.session(&sent);
                let mut stored = bench.stored.clone();
                stored.sort_by_key(|stored| stored.told);
                let times: Vec<i64> = stored.iter().map(|it| sent[it.number].pts).collect();
                assert!(times.is_sorted(), "{reordered} reordered, {first} before");
            }
        }
    }

    #[test]
    fn time_that_falls_behind_is_seen_where_the_network_stands_still_right_then() {
        for (kept, apart) in [(1000, 1), (2000, 100), (2000, 2000), (4000, 300), (2000, 12_000)] {
            let at = 27 * NANOS_PER_SECOND;
            let hiccups = vec![(at, 3000 * MILLI, false)];
            let camera = Hiccuping { frame_rate: 25, ppm: 0, jitter: 0, hiccups, seed: 0 };
            let (mut sent, captured) = camera.frames(3 * at);
            let mut last = 0;
            for sent in sent.iter_mut().filter(|sent| sent.arrival > at) {
                let held_to = at + (3000 + kept) * MILLI;
                sent.arrival = sent.arrival.max(held_to).max(last + apart * 1000);
                last = sent.arrival;
            }
            // Where it delivers slowly, what it kept is written before all of it is there.
            let bound = if apart * 1000 < 10 * MILLI { 0 } else { 90 };
            let wrong = wrong_by_far(&sent, &captured);
            assert!(wrong <= bound, "{kept} ms kept, {apart} us apart: {wrong}");
        }
    }

    #[test]
    fn a_clock_that_stands_still_for_some_frames_is_seen_at_once() {
        for frame_rate in [8, 10, 15, 25] {
            for frames in 2..=5 {
                let long = (frames * NANOS_PER_SECOND).div_euclid(frame_rate) - MILLI;
                let hiccups = vec![(12 * NANOS_PER_SECOND, long, true)];
                let camera = Hiccuping { frame_rate, ppm: 0, jitter: 0, hiccups, seed: 0 };
                let (sent, captured) = camera.frames(60 * NANOS_PER_SECOND);
                let wrong = wrong_by_far(&sent, &captured);
                assert!(wrong <= frame_rate as usize, "{frame_rate} fps, {frames}: {wrong} wrong");
            }
        }
    }

    proptest! {
        #[test]
        fn a_clock_that_is_off_by_a_steady_rate_is_right_from_the_tenth_second_on(odd in odd()) {
            let mut bench = Bench::new();
            bench.session(&odd.frames(40 * NANOS_PER_SECOND));
            bench.check();
            // A group that was kept may be cut before anything has told its rate: it runs further
            // ahead than can be caught up with in ten seconds.
            let runs_ahead = odd.kept > 0 && odd.rate > 4.0;
            let from = if runs_ahead { 20 } else { 10 };
            let worst = error(&bench, &odd, from * NANOS_PER_SECOND);
            prop_assert!(worst < 100 * MILLI + odd.jitter, "{} ms", worst / MILLI);
            prop_assert!(bench.cuts(10 * NANOS_PER_SECOND) <= 1, "{:?}", bench.clips);
        }

        #[test]
        fn clips_never_overlap_whatever_a_camera_stamps_and_whenever_it_comes(steps in steps()) {
            let mut bench = Bench::new();
            let (mut pts, mut arrival, mut session) = (1 << 40, 0, Vec::new());
            for (stamp, later, is_key, is_over) in steps {
                pts += stamp * 90;
                arrival += later * MILLI;
                let is_key = is_key || session.is_empty();
                session.push(Sent { pts, arrival, is_key });
                if is_over {
                    bench.session(&std::mem::take(&mut session));
                }
            }
            bench.session(&session);
            bench.check();
            let has_ended = |clip: &Clip| clip.end.is_some_and(|(_, end)| end >= clip.start);
            let not_ended = bench.clips.iter().find(|clip| !has_ended(clip));
            prop_assert!(not_ended.is_none(), "{:?}", not_ended);
        }
    }

    proptest! {
        // Minutes each.
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn where_time_falls_behind_at_most_a_second_is_told_wrongly(camera in hiccuping()) {
            let (sent, captured) = camera.frames(240 * NANOS_PER_SECOND);
            let mut bench = Bench::new();
            bench.session(&sent);
            bench.check();
            prop_assert_eq!(bench.stored.len(), sent.len());
            let allowed = 100 * MILLI + camera.jitter / 2;
            let wrong = |stored: &&Stored| (stored.told - captured[stored.number]).abs() > allowed;
            let wrong: Vec<&Stored> = bench.stored.iter().filter(wrong).collect();
            // What is hardly more than what delays vary by takes longer to be sure of.
            let seconds = |long: i64| if long > allowed + 2 * camera.jitter { 1 } else { 2 };
            let most = camera.hiccups.iter().map(|(_, long, _)| seconds(*long)).sum::<usize>();
            let most = camera.frame_rate as usize * most;
            let first = wrong.first().map(|stored| captured[stored.number] / MILLI);
            prop_assert!(wrong.len() <= most, "{} of {most}, {first:?}", wrong.len());
            prop_assert_eq!(bench.cuts(0), 0);
        }
    }

    proptest! {
        // An hour each.
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

        #[test]
        fn over_hours_in_which_all_happens_time_is_true_but_for_moments(camera in hours()) {
            let mut bench = Bench::new();
            let (wrong, allowed, sent) = camera.record(&mut bench);
            prop_assert!(wrong <= allowed, "{wrong} of {sent} are wrong, {allowed} may be");
            prop_assert_eq!(bench.stored.len(), sent);
        }
    }
}
