//! Presentation times in the order of decoding become decode times and composition offsets. Pure.
//!
//! RTP carries presentation times only, mp4 wants decode times that grow and offsets from them to
//! the presentation times. With a reorder depth of d (no picture is decoded more than d pictures
//! after one that is shown behind it) the decode time of picture j is the (j−d)-th smallest
//! presentation time, which is known when picture j arrives. The first d pictures have no such
//! time: theirs are continued backwards from the first one.

use std::collections::VecDeque;

use crate::camera::ReorderDepth;

/// Pictures that lie before something else follow it so many ticks apart: they keep their order.
const SQUEEZED_TICKS: i64 = 2;

/// The largest reorder depth: no decoder holds more pictures (ITU-T H.264, A.3.1 h).
const DEPTH_MAX: usize = 16;

/// How far pictures are apart: the median of the last steps, so that one gap does not count.
#[derive(Clone, Debug, Default)]
pub struct Interval {
    steps: VecDeque<i64>,
}

impl Interval {
    /// Enough for a median that a few odd steps do not move.
    const STEPS_MAX: usize = 9;

    /// Takes one step between neighbours in the order of presentation, in ticks.
    pub fn note(&mut self, step: i64) {
        if step > 0 {
            if self.steps.len() == Self::STEPS_MAX {
                self.steps.pop_front();
            }
            self.steps.push_back(step);
        }
    }

    /// Takes it that pictures are so far apart, in ticks, until they show it.
    pub fn expect(&mut self, step: i64) {
        (0..Self::STEPS_MIN).for_each(|_| self.note(step));
    }

    /// A single step may be a gap and says nothing.
    const STEPS_MIN: usize = 3;

    /// Whether a step is much longer than any that is remembered.
    #[must_use]
    pub fn is_outdone_by(&self, step: i64) -> bool {
        let longest = self.steps.iter().max().copied().unwrap_or(0);
        step > longest.saturating_mul(2)
    }

    /// The median, in ticks; `None` before the third step.
    #[must_use]
    pub fn median(&self) -> Option<i64> {
        let mut steps: Vec<i64> = self.steps.iter().copied().collect();
        steps.sort_unstable();
        (steps.len() >= Self::STEPS_MIN).then(|| steps[steps.len() / 2])
    }
}

/// Decode time and composition offset of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Decode time, in ticks; larger than that of the picture before.
    pub time: i64,
    /// Presentation time less decode time, in ticks; never negative.
    pub offset: i32,
}

/// What would begin at `wanted` begins at `floor`, in ticks.
#[derive(Clone, Copy, Debug)]
struct Squeeze {
    wanted: i64,
    floor: i64,
    interval: i64,
}

impl Squeeze {
    fn moved(&self, pts: i64) -> i64 {
        let behind = pts.saturating_sub(self.wanted).max(0).saturating_mul(SQUEEZED_TICKS);
        pts.max(self.floor.saturating_add(behind / self.interval))
    }
}

/// Makes decode times out of presentation times.
#[derive(Clone, Debug)]
pub struct DecodeTimes {
    depth: usize,
    may_rise: bool,
    /// Presentation times that no picture has taken as its decode time, ascending; at most
    /// `depth` of them between two pictures.
    waiting: VecDeque<i64>,
    /// The last presentation times since the restart, to see how far one goes back.
    recent: VecDeque<i64>,
    /// When the last pictures are decoded and presented: no two at once.
    presented: VecDeque<(i64, i64)>,
    last: Option<i64>,
    /// Pictures lie before something else.
    squeeze: Option<Squeeze>,
}

impl DecodeTimes {
    /// Times for a stream of the given depth.
    #[must_use]
    pub fn new(depth: ReorderDepth) -> DecodeTimes {
        let (depth, may_rise) = match depth {
            ReorderDepth::Known(depth) => (depth.min(DEPTH_MAX), false),
            ReorderDepth::Unknown => (0, true),
        };
        DecodeTimes {
            depth,
            may_rise,
            waiting: VecDeque::new(),
            recent: VecDeque::new(),
            presented: VecDeque::new(),
            last: None,
            squeeze: None,
        }
    }

    /// Goes on with parameters that say another depth. A depth that was learned is kept where
    /// the new parameters say nothing.
    pub fn set_depth(&mut self, depth: ReorderDepth) {
        match depth {
            ReorderDepth::Known(depth) => {
                (self.depth, self.may_rise) = (depth.min(DEPTH_MAX), false);
            }
            ReorderDepth::Unknown => self.may_rise = true,
        }
    }

    /// Forgets the pictures so far, because some are missing or a run begins, but not the depth
    /// that they taught. Times grow from `last`: the decode time of the picture before.
    pub fn restart(&mut self, last: Option<i64>) {
        self.waiting.clear();
        self.recent.clear();
        // Those behind it may come again.
        self.presented.retain(|(time, _)| last.is_some_and(|last| *time <= last));
        (self.last, self.squeeze) = (last, None);
    }

    /// The same, where the first picture would be decoded at `wanted`, and none may be before
    /// `floor`, which is later: those that should be follow it closely, in their order.
    /// `interval` is how far they are apart. All in ticks.
    pub fn restart_behind(&mut self, floor: i64, wanted: i64, interval: i64) {
        self.restart(Some(floor.saturating_sub(1)));
        self.squeeze = Some(Squeeze { wanted, floor, interval: interval.max(1) });
    }

    /// Decode time of the last picture, in ticks.
    #[must_use]
    pub fn last(&self) -> Option<i64> {
        self.last
    }

    /// Takes the next picture in the order of decoding. `interval` is how far pictures are
    /// apart, in ticks: it places the first pictures after a restart.
    pub fn push(&mut self, pts: i64, interval: i64) -> Decoded {
        let pts = self.squeeze.map_or(pts, |squeeze| squeeze.moved(pts));
        self.learn(pts);
        let place = self.waiting.partition_point(|waiting| *waiting <= pts);
        self.waiting.insert(place, pts);
        let mut time = None;
        while self.waiting.len() > self.depth {
            time = self.waiting.pop_front();
        }
        let time = time.unwrap_or_else(|| {
            let missing = (self.depth + 1 - self.waiting.len()) as i64;
            let first = self.waiting.front().copied().unwrap_or(pts);
            first.saturating_sub(missing.saturating_mul(interval.max(1)))
        });
        let time = self.last.map_or(time, |last| time.max(last.saturating_add(1)));
        self.last = Some(time);
        let mut presented = pts.max(time).min(time.saturating_add(i64::from(i32::MAX)));
        let is_taken = |at: i64| self.presented.iter().any(|(_, taken)| *taken == at);
        while is_taken(presented) && presented < i64::MAX {
            presented = presented.saturating_add(1);
        }
        if self.presented.len() == DEPTH_MAX {
            self.presented.pop_front();
        }
        self.presented.push_back((time, presented));
        let offset = presented.saturating_sub(time).min(i64::from(i32::MAX));
        Decoded { time, offset: offset as i32 }
    }

    /// Raises the depth where nobody stated one and a picture comes that is shown before more
    /// of its predecessors than the depth allows.
    fn learn(&mut self, pts: i64) {
        if self.may_rise {
            let behind = self.recent.iter().filter(|earlier| **earlier > pts).count();
            self.depth = self.depth.max(behind.min(DEPTH_MAX));
        }
        if self.recent.len() == DEPTH_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(pts);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Groups of one reference picture and `b` pictures shown before it, in decode order.
    fn with_b_pictures(groups: usize, b: usize, interval: i64) -> Vec<i64> {
        let mut order = vec![0];
        for group in 0..groups {
            let first = 1 + group * (b + 1);
            order.push(first + b);
            order.extend(first..first + b);
        }
        order.into_iter().map(|picture| picture as i64 * interval).collect()
    }

    fn times(depth: ReorderDepth, pts: &[i64], interval: i64) -> Vec<Decoded> {
        let mut times = DecodeTimes::new(depth);
        pts.iter().map(|pts| times.push(*pts, interval)).collect()
    }

    #[test]
    fn without_reordering_decode_times_are_presentation_times() {
        let pts = [100, 3700, 7300, 10900];
        for depth in [ReorderDepth::Known(0), ReorderDepth::Unknown] {
            let decoded = times(depth, &pts, 3600);
            assert!(decoded.iter().zip(pts).all(|(d, pts)| (d.time, d.offset) == (pts, 0)));
        }
    }

    #[test]
    fn a_steady_stream_with_b_pictures_has_steady_decode_times() {
        let pts = with_b_pictures(20, 2, 3600);
        let decoded = times(ReorderDepth::Known(1), &pts, 3600);
        assert!(decoded.windows(2).all(|pair| pair[1].time - pair[0].time == 3600));
        assert_eq!(decoded[0], Decoded { time: -3600, offset: 3600 });
    }

    #[test]
    fn a_depth_that_nobody_stated_is_learned() {
        let mut times = DecodeTimes::new(ReorderDepth::Unknown);
        for pts in with_b_pictures(4, 2, 3600) {
            times.push(pts, 3600);
        }
        assert_eq!(times.depth, 1);
    }

    #[test]
    fn repeated_times_grow_by_the_least() {
        let decoded = times(ReorderDepth::Known(0), &[10, 10, 5, 20], 5);
        let got: Vec<i64> = decoded.iter().map(|decoded| decoded.time).collect();
        assert_eq!(got, [10, 11, 12, 20]);
    }

    #[test]
    fn no_two_pictures_are_presented_at_once() {
        let presented = |depth, pts: &[i64]| -> Vec<i64> {
            let decoded = times(ReorderDepth::Known(depth), pts, 5);
            decoded.iter().map(|decoded| decoded.time + i64::from(decoded.offset)).collect()
        };
        assert_eq!(presented(1, &[10, 10, 20]), [10, 11, 20]);
        // Decode times can't be earlier, and are when the third one is presented: as the first is.
        let mut late = DecodeTimes::new(ReorderDepth::Known(2));
        late.restart(Some(100));
        let decoded = [103, 90, 95, 130].map(|pts| late.push(pts, 1));
        let presented = decoded.map(|decoded| decoded.time + i64::from(decoded.offset));
        assert_eq!(presented, [103, 102, 104, 130]);
    }

    #[test]
    fn pictures_that_lie_before_something_else_keep_their_order() {
        for (b, depth) in [(0, 0), (1, 1), (3, 1)] {
            let pts = with_b_pictures(20, b, 3600);
            let mut times = DecodeTimes::new(ReorderDepth::Known(depth));
            let wanted = -3600 * depth as i64;
            times.restart_behind(28_790, wanted, 3600);
            let decoded: Vec<_> = pts.iter().map(|pts| times.push(*pts, 3600)).collect();
            assert!(decoded.windows(2).all(|pair| pair[0].time < pair[1].time));
            assert_eq!(decoded[0].time, 28_790, "{b}");
            let presented = decoded.iter().map(|decoded| decoded.time + i64::from(decoded.offset));
            let mut shown: Vec<(i64, i64)> = pts.iter().copied().zip(presented).collect();
            shown.sort_unstable();
            assert!(shown.windows(2).all(|pair| pair[0].1 < pair[1].1), "{b}: {shown:?}");
            // What is later by no more than the order takes is on time.
            assert!(shown.iter().all(|(pts, at)| *pts < 30_000 || at == pts), "{b}: {shown:?}");
        }
    }

    #[test]
    fn the_median_does_not_follow_one_gap() {
        let mut interval = Interval::default();
        assert_eq!(interval.median(), None);
        for step in [3600, 3600, 900_000, 3600, 3590] {
            interval.note(step);
        }
        assert_eq!(interval.median(), Some(3600));
    }

    proptest! {
        #[test]
        fn decode_times_grow_and_presentation_times_are_kept(
            groups in 1_usize..20,
            b in 0_usize..8,
            interval in 100_i64..10_000,
            start in 0..1_i64 << 40,
        ) {
            let pts: Vec<i64> =
                with_b_pictures(groups, b, interval).iter().map(|pts| pts + start).collect();
            let depth = usize::from(b > 0);
            let decoded = times(ReorderDepth::Known(depth), &pts, interval);
            for pair in decoded.windows(2) {
                prop_assert!(pair[0].time < pair[1].time);
            }
            for (decoded, pts) in decoded.iter().zip(&pts) {
                prop_assert_eq!(decoded.time + i64::from(decoded.offset), *pts);
            }
        }

        #[test]
        fn any_times_at_all_give_growing_decode_times_and_no_negative_offset(
            pts in proptest::collection::vec(any::<i32>(), 1..60),
            depth in 0_usize..20,
            known: bool,
        ) {
            let depth = if known { ReorderDepth::Known(depth) } else { ReorderDepth::Unknown };
            let pts: Vec<i64> = pts.into_iter().map(i64::from).collect();
            let decoded = times(depth, &pts, 3600);
            prop_assert!(decoded.windows(2).all(|pair| pair[0].time < pair[1].time));
            prop_assert!(decoded.iter().all(|decoded| decoded.offset >= 0));
            let presented = |decoded: &Decoded| decoded.time + i64::from(decoded.offset);
            let presented: Vec<i64> = decoded.iter().map(presented).collect();
            for near in presented.windows(DEPTH_MAX + 1) {
                prop_assert!(!near[..DEPTH_MAX].contains(&near[DEPTH_MAX]), "{near:?}");
            }
        }
    }
}
