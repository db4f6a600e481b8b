//! When the pictures of a track are shown, and which of them. Pure.
//!
//! A file may leave pictures out that others are built on: those before where it was cut. They
//! are kept, and as good as not shown: each is a tick long, right before the first picture behind
//! them that is shown. What no shown picture needs is left out.

use crate::demux::Sample;

/// Pictures that a decoder can put back in order (ITU-T H.264, A.3.1 h).
const REORDERED_MAX: usize = 16;
/// Ticks a second at least where pictures are squeezed into one each.
const FINE_TICKS: u32 = 90_000;

/// When the samples of a track of pictures are shown.
#[derive(Debug)]
pub(super) struct Order {
    /// For each sample; `None` of one that is left out.
    pub(super) times: Vec<Option<i64>>,
    /// Ticks of `times` for each of the file.
    pub(super) scale: u32,
    /// When the first picture is shown.
    pub(super) first: i64,
    /// Behind the last one.
    pub(super) end: i64,
    /// How many pictures are decoded before one that is shown before them, at most.
    pub(super) depth: usize,
    /// The longest time between pictures that decoding can begin with.
    pub(super) group: i64,
    /// How far pictures usually are apart.
    pub(super) step: i64,
}

impl Order {
    /// `None` where nothing is shown.
    pub(super) fn of(samples: &[Sample], timescale: u32) -> Option<Order> {
        let shown = || samples.iter().filter(|sample| sample.shown);
        let first = shown().map(|sample| sample.pts).min()?;
        let is_squeezed = samples.iter().any(|sample| !sample.shown);
        let scale = if is_squeezed { FINE_TICKS.div_ceil(timescale.max(1)).max(1) } else { 1 };
        let scaled = |time: i64| scaled(time, scale);
        let last = shown().map(|sample| sample.pts).max()?;
        let step = usual_length(samples);
        let end = last.saturating_add(last_length(samples, step));
        let times = times(samples, scale);
        Some(Order {
            depth: depth(&times),
            times,
            scale,
            first: scaled(first),
            end: scaled(end),
            group: scaled(group(samples)),
            step: scaled(step),
        })
    }
}

/// No time is further from the file's own zero, in ticks: what is added to one fits 64 bits.
const TIME_MAX: i64 = 1 << 60;

fn scaled(time: i64, scale: u32) -> i64 {
    time.saturating_mul(scale.into()).clamp(-TIME_MAX, TIME_MAX)
}

fn times(samples: &[Sample], scale: u32) -> Vec<Option<i64>> {
    let mut times = Vec::with_capacity(samples.len());
    let mut rest = samples;
    while let Some((first, behind)) = rest.split_first() {
        let length = 1 + behind.iter().position(|sample| sample.sync).unwrap_or(behind.len());
        let (group, next) = rest.split_at(length);
        // Most groups are shown as a whole.
        if first.shown && group.iter().all(|sample| sample.shown) {
            times.extend(group.iter().map(|it| Some(scaled(it.pts, scale))));
        } else {
            squeeze(group, scale, &mut times);
        }
        rest = next;
    }
    times
}

/// The times of a group of which not all is shown.
fn squeeze(group: &[Sample], scale: u32, times: &mut Vec<Option<i64>>) {
    // For each sample, when the first of those is shown that are decoded behind it.
    let mut before: Vec<Option<i64>> = Vec::with_capacity(group.len());
    let mut first: Option<i64> = None;
    for sample in group.iter().rev() {
        before.push(first);
        if sample.shown {
            first = Some(first.map_or(sample.pts, |first| first.min(sample.pts)));
        }
    }
    before.reverse();
    let mut hidden: Vec<(i64, i64)> = Vec::new();
    for (sample, before) in group.iter().zip(&before) {
        if let (false, Some(before)) = (sample.shown, before) {
            hidden.push((*before, sample.pts));
        }
    }
    hidden.sort_unstable();
    for (sample, before) in group.iter().zip(before) {
        let time = match (sample.shown, before) {
            (true, _) => Some(scaled(sample.pts, scale)),
            (false, None) => None,
            (false, Some(before)) => {
                let behind = hidden.partition_point(|it| *it <= (before, i64::MAX))
                    - hidden.partition_point(|it| *it < (before, sample.pts));
                Some(scaled(before, scale).saturating_sub(behind as i64))
            }
        };
        times.push(time);
    }
}

/// How long pictures are shown usually.
fn usual_length(samples: &[Sample]) -> i64 {
    let mut durations: Vec<u32> =
        samples.iter().map(|sample| sample.duration).filter(|ticks| *ticks > 0).collect();
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied().unwrap_or(1).into()
}

/// How long the last picture is shown: as long as the file says, or as long as pictures of it
/// usually are where that is something else.
fn last_length(samples: &[Sample], usual: i64) -> i64 {
    let told = i64::from(samples.last().map_or(0, |sample| sample.duration));
    let is_usual = told >= usual / 2 && told <= usual.saturating_mul(2) && told > 0;
    if is_usual { told } else { usual }
}

fn depth(times: &[Option<i64>]) -> usize {
    let mut recent = std::collections::VecDeque::with_capacity(REORDERED_MAX);
    let mut depth = 0;
    for time in times.iter().flatten() {
        depth = depth.max(recent.iter().filter(|earlier| *earlier > time).count());
        if recent.len() == REORDERED_MAX {
            recent.pop_front();
        }
        recent.push_back(*time);
    }
    depth
}

fn group(samples: &[Sample]) -> i64 {
    let keys: Vec<i64> =
        samples.iter().filter(|sample| sample.sync).map(|sample| sample.pts).collect();
    let steps = keys.iter().zip(keys.iter().skip(1)).map(|(key, next)| next.saturating_sub(*key));
    steps.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pts: i64, sync: bool, shown: bool) -> Sample {
        let (offset, skip, is_behind_loss) = (0, 0, false);
        Sample { pts, offset, skip, size: 1, duration: 1, entry: 0, sync, shown, is_behind_loss }
    }

    #[test]
    fn what_is_needed_and_not_shown_is_a_tick_long_right_before_what_is() {
        // I P B B, of which the last B and P are shown, and a group of which nothing is.
        let group = [
            sample(-3, true, false),
            sample(0, false, true),
            sample(-2, false, false),
            sample(-1, false, false),
            sample(1, false, true),
            sample(2, false, false),
            sample(3, true, false),
            sample(4, false, false),
        ];
        let order = Order::of(&group, 1000).expect("something is shown");
        assert_eq!(order.scale, 90);
        let times = [Some(-1), Some(0), Some(88), Some(89), Some(90), None, None, None];
        assert_eq!(order.times, times);
        assert_eq!((order.first, order.end, order.depth), (0, 180, 0));
    }

    #[test]
    fn a_track_that_is_shown_as_a_whole_keeps_its_times() {
        let group = [sample(7, true, true), sample(10, false, true), sample(8, false, true)];
        let order = Order::of(&group, 25).expect("all is shown");
        assert_eq!(order.times, [Some(7), Some(10), Some(8)]);
        assert_eq!((order.scale, order.first, order.end, order.depth), (1, 7, 11, 1));
        assert!(Order::of(&[sample(0, true, false)], 25).is_none());
    }
}
