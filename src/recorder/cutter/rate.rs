//! How fast a camera's clock runs, seen from when its frames arrive. Pure.
//!
//! A frame arrives later than it was captured, by a delay that varies; never earlier. So of the
//! frames of a moment the one that counts is the one that is the furthest ahead: over a healthy
//! clock those lie on a line, of one second of the camera's for each second here. What a camera had
//! kept and sends at once lies below the line, and so does what a network held up. A rate that is
//! off shows as a line of another slope; it counts where all parts of the line have it, and where
//! it has led further astray than delays can.

use std::collections::VecDeque;

use crate::units::{BootTime, NANOS_PER_SECOND, Ticks};

/// What a camera's stamps are worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// They are times.
    AsStamped,
    /// They are times of a clock that runs at so many times the rate that it states.
    Scaled(f64),
    /// They say nothing: the arrival is the time.
    Arrival,
}

impl Rate {
    /// For the log.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Rate::AsStamped => {
                "the camera's clock runs at the rate that it states again".to_owned()
            }
            Rate::Scaled(rate) => {
                let percent = (rate * 1000.0).round() / 10.0;
                format!(
                    "the camera's clock runs at {percent} % of the rate that it states; its times \
                     are scaled"
                )
            }
            Rate::Arrival => {
                let why = "the camera's times are of no use";
                format!("{why}; frames are recorded with the time at which they come")
            }
        }
    }
}

/// A rate that is less off than this is left to steering, as a part of one.
const OFF_MIN: f64 = 0.0015;
/// A rate that was off and is not by more than this any more is none.
const RIGHT_MAX: f64 = 0.001;
/// A clock that is further off than so many times, in either direction, is none.
const TIMES_MAX: f64 = 16.0;

/// A line has so many parts, and so many of them must have frames.
const PARTS: usize = 12;
const PARTS_MIN: usize = 8;
/// No line is told from less, in seconds: a camera that sends at once what it kept is fast so long.
const SPAN_MIN_S: f64 = 2.0;
/// The same of a clock that is off by this many times, since it leads far astray meanwhile.
const FAR_SPAN_MIN_S: f64 = 1.0;
const FAR_TIMES: f64 = 3.0;
/// From this on little counts, in seconds: delays that grow for as long are rare.
const LONG_S: f64 = 7.0;
/// How far a rate has led astray before it counts, in seconds: over a short line, over a long one.
const ASTRAY_MIN_S: f64 = 0.5;
const LONG_ASTRAY_MIN_S: f64 = 0.08;
/// Both halves of a line show it by this part at least: delays that grew for a while don't.
const SHOWN_MIN: f64 = 0.4;
/// The same where a rate that is known becomes known better.
const BETTER_MIN_S: f64 = 0.03;
/// How far parts may be off the line at least, and at most, in seconds.
const LOOSE_MIN_S: f64 = 0.03;
const LOOSE_MAX_S: f64 = 0.13;
/// After so many looks without a line the oldest quarter is forgotten: the rate has changed.
const UNSTEADY_MAX: u32 = 4;

/// Stamps that said nothing are believed when they make a line of this length, in seconds.
const BELIEVED_S: f64 = 10.0;
/// So many jumps within this time, in seconds, are too many for a clock.
const JUMPS_MAX: usize = 3;
const JUMPS_S: f64 = 60.0;
/// A step that exceeds what has passed times [`TIMES_MAX`] by this is a jump, in seconds; not that
/// of frames that come at once, which were held up or kept.
const JUMP_S: f64 = 2.0;
const BURST_S: f64 = 0.01;
/// No pictures are further out of order than this, in seconds.
const BACK_S: f64 = 10.0;

/// Stamps that run by so many times faster than time run away; within so many seconds.
const AWAY_TIMES: f64 = 4.0;
const MOMENT_S: f64 = 0.5;
/// Less than this tells nothing, in seconds.
const AWAY_MIN_S: f64 = 0.05;

/// Frames that are looked at: of so many seconds, unless those are fewer than so many.
const KEPT_S: f64 = 40.0;
const KEPT_MIN: usize = 64;
/// Bounds memory and work.
const KEPT_MAX: usize = 1024;
/// The time of capture is told by the frames of the last seconds.
const RECENT_S: f64 = 5.0;

/// One frame, in seconds since the first one: of the camera's clock, and of the one here.
#[derive(Clone, Copy, Debug)]
struct Point {
    media: f64,
    arrival: f64,
}

impl Point {
    /// Whether it did not come at once with the one before it.
    fn is_behind(&self, before: &Point) -> bool {
        self.arrival - before.arrival > BURST_S
    }
}

/// The line on which the frames are.
#[derive(Clone, Copy, Debug)]
struct Line {
    rate: f64,
    /// Seconds from its first frame to its last one.
    span: f64,
    /// What its parts are usually off, in seconds.
    spread: f64,
    /// Whether all parts of it are on it.
    is_steady: bool,
    /// How much of what its rate is off both of its halves show at least: 1 is all of it.
    shown: f64,
}

/// The frames of one session as they came.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// Where seconds are counted from.
    zero: Option<(i64, BootTime)>,
    points: VecDeque<Point>,
    /// When the clock jumped lately.
    jumps: VecDeque<f64>,
    unsteady: u32,
}

impl Arrivals {
    /// Takes the next frame. Answers whether the clock has jumped with it.
    pub(super) fn take(&mut self, pts: i64, timescale: u32, received: BootTime) -> bool {
        let point = self.point(pts, timescale, received);
        let jumped = self.is_jump(point);
        if jumped {
            self.points.clear();
            self.jumps.push_back(point.arrival);
        }
        while self.jumps.len() > JUMPS_MAX
            || self.jumps.front().is_some_and(|jump| point.arrival - jump > JUMPS_S)
        {
            self.jumps.pop_front();
        }
        self.points.push_back(point);
        let is_old = |first: &Point| point.arrival - first.arrival > KEPT_S;
        while self.points.len() > KEPT_MAX
            || (self.points.len() > KEPT_MIN && self.points.front().is_some_and(is_old))
        {
            self.points.pop_front();
        }
        jumped
    }

    fn point(&mut self, pts: i64, timescale: u32, received: BootTime) -> Point {
        let (first, begun) = *self.zero.get_or_insert((pts, received));
        let media = Ticks(pts.saturating_sub(first)).to_nanos(timescale);
        Point { media: seconds(media), arrival: seconds(received.0.saturating_sub(begun.0)) }
    }

    fn is_jump(&self, point: Point) -> bool {
        let Some(last) = self.points.back() else { return false };
        let (step, passed) = (point.media - last.media, point.arrival - last.arrival);
        let ahead_by = |point: &Point| point.media - point.arrival;
        let is_ahead =
            || self.points.iter().all(|other| ahead_by(&point) > ahead_by(other) + JUMP_S);
        let is_far = point.is_behind(last) && step > passed * TIMES_MAX + JUMP_S;
        step < -BACK_S || (is_far && is_ahead())
    }

    /// What the stamps are worth by now, where they were worth `known` so far.
    pub(super) fn rate(&mut self, known: Rate) -> Rate {
        if self.jumps.len() >= JUMPS_MAX {
            return Rate::Arrival;
        }
        let Some(line) = self.line() else { return known };
        if !line.is_steady {
            self.unsteady += 1;
            if self.unsteady > UNSTEADY_MAX && line.span > SPAN_MIN_S {
                self.unsteady = 0;
                self.points.drain(..self.points.len() / 4);
            }
            return known;
        }
        self.unsteady = 0;
        line.verdict(known, self.jumps.is_empty())
    }

    /// Whether the stamps of the last moment ran much faster than time. What was held up or kept
    /// does not tell.
    pub(super) fn run_away(&self, now: BootTime) -> bool {
        let Some((_, begun)) = self.zero else { return false };
        let now = seconds(now.0.saturating_sub(begun.0));
        let recent = self.points.iter().rev().take_while(|point| now - point.arrival < MOMENT_S);
        let steps = recent.clone().zip(recent.skip(1));
        let (mut run, mut passed) = (0.0, 0.0);
        for (later, before) in steps.filter(|(later, before)| later.is_behind(before)) {
            run += later.media - before.media;
            passed += later.arrival - before.arrival;
        }
        passed > AWAY_MIN_S && run > passed * AWAY_TIMES
    }

    /// How long the session has lasted, in seconds.
    pub(super) fn age_s(&self) -> f64 {
        self.points.back().map_or(0.0, |last| last.arrival)
    }

    fn span_s(&self) -> f64 {
        let ends = self.points.front().zip(self.points.back());
        ends.map_or(0.0, |(first, last)| last.arrival - first.arrival)
    }

    /// When a frame was captured that is stamped so, by a clock of this rate.
    pub(super) fn captured(&self, pts: i64, timescale: u32, rate: f64) -> Option<BootTime> {
        let (first, begun) = self.zero?;
        let last = self.points.back()?.arrival;
        let recent = self.points.iter().rev().take_while(|point| last - point.arrival < RECENT_S);
        let ahead = recent.map(|point| point.media - point.arrival * rate).reduce(f64::max)?;
        let media = seconds(Ticks(pts.saturating_sub(first)).to_nanos(timescale));
        Some(BootTime(begun.0.saturating_add(nanos((media - ahead) / rate))))
    }

    /// The line through what is ahead in each part of the time: the median of the slopes between
    /// any two of them (Theil and Sen), which a quarter of them can't move.
    fn line(&self) -> Option<Line> {
        let (from, span) = (self.points.front()?.arrival, self.span_s());
        if span < FAR_SPAN_MIN_S {
            return None;
        }
        let mut rate = 1.0;
        let mut parts = Vec::new();
        for _ in 0..3 {
            parts = ahead(&self.points, from, span, rate);
            if parts.len() < PARTS_MIN {
                return None;
            }
            rate = slope(&parts)?;
        }
        let ahead_by: Vec<f64> =
            parts.iter().map(|part| part.media - part.arrival * rate).collect();
        let level = median(ahead_by.clone())?;
        let late = |by: &f64| (level - by) / rate.max(1.0 / TIMES_MAX);
        let off = (rate - 1.0).abs() * span / rate.max(1.0 / TIMES_MAX);
        let loose = (LOOSE_MIN_S + off / 8.0).min(LOOSE_MAX_S);
        let is_early = ahead_by.iter().any(|by| late(by) < -loose);
        let near = ahead_by.iter().filter(|by| late(by).abs() <= loose).count();
        let spread = median(ahead_by.iter().map(|by| late(by).abs()).collect())?;
        let is_steady = !is_early && near * 4 >= parts.len() * 3;
        let (early, recent) = parts.split_at(parts.len() / 2);
        let of_half = |half| slope(half).map_or(0.0, |half| (half - 1.0) / (rate - 1.0));
        Some(Line { rate, span, spread, is_steady, shown: of_half(early).min(of_half(recent)) })
    }
}

impl Line {
    fn verdict(&self, known: Rate, is_whole: bool) -> Rate {
        let is_clock = (1.0 / TIMES_MAX..TIMES_MAX).contains(&self.rate);
        let is_right = (self.rate - 1.0).abs() < OFF_MIN;
        match known {
            Rate::AsStamped if !self.is_off() => known,
            Rate::AsStamped | Rate::Scaled(_) if !is_clock => Rate::Arrival,
            Rate::AsStamped => Rate::Scaled(self.rate),
            Rate::Scaled(_) if self.span >= LONG_S && (self.rate - 1.0).abs() < RIGHT_MAX => {
                Rate::AsStamped
            }
            Rate::Scaled(rate) => {
                let astray = (self.rate / rate - 1.0).abs() * self.span;
                let is_news = astray > BETTER_MIN_S + 2.0 * self.spread;
                match is_news {
                    false => known,
                    true if (self.rate - 1.0).abs() < RIGHT_MAX => Rate::AsStamped,
                    true => Rate::Scaled(self.rate),
                }
            }
            Rate::Arrival if !is_clock || !is_whole || self.span < BELIEVED_S => known,
            Rate::Arrival if is_right => Rate::AsStamped,
            Rate::Arrival => Rate::Scaled(self.rate),
        }
    }

    /// Whether the clock is no clock of the rate that it states.
    fn is_off(&self) -> bool {
        let is_far = !(1.0 / FAR_TIMES..FAR_TIMES).contains(&self.rate);
        let span_min = if is_far { FAR_SPAN_MIN_S } else { SPAN_MIN_S };
        let least = if self.span >= LONG_S { LONG_ASTRAY_MIN_S } else { ASTRAY_MIN_S };
        let off = (self.rate - 1.0).abs();
        let noise = 4.0 * self.spread * self.rate.max(1.0);
        let is_off = off >= OFF_MIN && off * self.span > least + noise;
        is_off && self.span >= span_min && self.shown > SHOWN_MIN
    }
}

/// The frame of each part of the time that a clock of this rate is the furthest ahead with.
fn ahead(points: &VecDeque<Point>, from: f64, span: f64, rate: f64) -> Vec<Point> {
    let mut parts: [Option<Point>; PARTS] = [None; PARTS];
    for point in points {
        let place = ((point.arrival - from) / span * PARTS as f64) as usize;
        let Some(part) = parts.get_mut(place.min(PARTS - 1)) else { continue };
        let by = |point: &Point| point.media - point.arrival * rate;
        if part.is_none_or(|best| by(point) > by(&best)) {
            *part = Some(*point);
        }
    }
    parts.into_iter().flatten().collect()
}

/// The median slope between any two.
fn slope(parts: &[Point]) -> Option<f64> {
    let mut slopes = Vec::with_capacity(parts.len() * parts.len() / 2);
    for (place, one) in parts.iter().enumerate() {
        for other in parts.iter().skip(place + 1) {
            let passed = other.arrival - one.arrival;
            if passed > 0.0 {
                slopes.push((other.media - one.media) / passed);
            }
        }
    }
    median(slopes)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn seconds(nanos: i64) -> f64 {
    nanos as f64 / NANOS_PER_SECOND as f64
}

fn nanos(seconds: f64) -> i64 {
    (seconds * NANOS_PER_SECOND as f64).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 90_000;

    /// Looks each second at a camera of 25 pictures a second, whose clock runs at `rate` up to a
    /// second, and at 1 from there on.
    fn seen(rate: f64, until: f64, seconds: u32) -> Vec<Rate> {
        let (mut arrivals, mut known, mut all) = (Arrivals::default(), Rate::AsStamped, Vec::new());
        for number in 0..seconds * 25 {
            let arrival = f64::from(number) / 25.0;
            let media = arrival.min(until) * rate + (arrival - until).max(0.0);
            arrivals.take((media * 90_000.0) as i64, RATE, BootTime(nanos(arrival)));
            if number % 25 == 24 {
                known = arrivals.rate(known);
                all.push(known);
            }
        }
        all
    }

    #[test]
    fn the_further_off_a_clock_is_the_sooner_it_is_known() {
        for (rate, second) in [(10.5, 2), (2.0, 3), (0.5, 3), (0.8, 4), (1.05, 8), (0.99, 9)] {
            let all = seen(rate, 60.0, 20);
            let first = all.iter().position(|known| *known != Rate::AsStamped).expect("it is off");
            assert!(first < second, "{rate}: {first}");
            let Some(Rate::Scaled(known)) = all.last() else { panic!("{all:?}") };
            assert!((known / rate - 1.0).abs() < 0.001, "{rate}: {known}");
        }
    }

    #[test]
    fn what_a_crystal_is_off_is_no_rate() {
        for rate in [0.9997, 1.0, 1.0003] {
            assert!(seen(rate, 600.0, 300).iter().all(|known| *known == Rate::AsStamped));
        }
    }

    #[test]
    fn a_rate_is_dropped_when_it_is_not_true_any_more() {
        let all = seen(0.84, 30.0, 60);
        assert!(matches!(all[20], Rate::Scaled(_)), "{all:?}");
        assert_eq!(all.last(), Some(&Rate::AsStamped));
    }

    #[test]
    fn a_clock_that_jumps_again_and_again_is_none() {
        let mut arrivals = Arrivals::default();
        let mut jumps = 0;
        for number in 0..1000_i64 {
            let pts = number * 3600 + number / 200 * 3600 * i64::from(RATE);
            jumps += i32::from(arrivals.take(pts, RATE, BootTime(number * 40_000_000)));
            let wanted = if jumps < 3 { Rate::AsStamped } else { Rate::Arrival };
            assert_eq!(arrivals.rate(Rate::AsStamped), wanted, "{number}");
        }
        assert_eq!(jumps, 4);
    }

    #[test]
    fn what_is_said_names_the_rate() {
        let words = Rate::Scaled(0.84).words();
        assert_eq!(
            words,
            "the camera's clock runs at 84 % of the rate that it states; its times are scaled"
        );
    }
}
