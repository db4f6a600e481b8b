//! How long pictures are waited for: three of the steps that a camera usually takes, and longer
//! where nothing tells its rate and it answers. Pure.

use std::time::Duration;

use super::track::Frame;
use crate::units::{BootTime, Ticks};

/// Whatever the rate. Short enough that a dead connection, which TCP itself reports after a quarter
/// of an hour, costs little.
const TIMEOUT_MIN: Duration = Duration::from_secs(15);
/// A camera that sends a picture a minute is one.
const STEP_MAX: Duration = Duration::from_secs(60);
/// So many steps without a picture are more than a late one.
const STEPS: u32 = 3;
/// Steps below this one are waited for anyhow.
const SLOW_STEP: Duration = Duration::from_secs(5);

/// What is known of a camera's pace.
pub(super) struct Patience {
    /// Between pictures, as the description or an earlier session has it; zero where nothing does.
    told: Duration,
    /// Earlier sessions had pictures that came faster than it is slow.
    was_fast: bool,
    /// The longest times between pictures, falling: one of them may be a hiccup, two are its pace.
    longest: [Duration; 2],
    last: Option<Last>,
    pictures: u64,
}

#[derive(Clone, Copy)]
struct Last {
    pts: i64,
    received: BootTime,
}

/// What is remembered of a camera's pace from one session to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// The usual step that was longest, where one was slow.
    pub(super) slow_step: Option<Duration>,
    /// Whether pictures have come that were not slow.
    pub(super) was_fast: bool,
}

impl Patience {
    /// For a camera that is described with so many pictures a second, and was seen with that pace.
    pub(super) fn new(frame_rate: Option<f64>, pace: Pace) -> Patience {
        let described = frame_rate.and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok());
        let told = [described, pace.slow_step].into_iter().flatten().max().unwrap_or_default();
        let told = told.min(STEP_MAX);
        let was_fast = pace.was_fast;
        Patience { told, was_fast, longest: [Duration::ZERO; 2], last: None, pictures: 0 }
    }

    /// Takes note of a picture. Answers whether the next one is waited for longer than before.
    pub(super) fn note(&mut self, frame: &Frame) -> bool {
        let before = self.timeout();
        let now = Last { pts: frame.pts, received: frame.received.boot };
        self.pictures += 1;
        if let Some(last) = self.last.replace(now) {
            // Some send what they have at once, and stamp it as it was taken.
            let stamped = Ticks(now.pts.saturating_sub(last.pts)).to_nanos(frame.timescale);
            let passed = now.received.0.saturating_sub(last.received.0);
            let step = Duration::from_nanos(stamped.max(passed).max(0).cast_unsigned());
            self.take(step.min(STEP_MAX));
        }
        self.timeout() > before
    }

    fn take(&mut self, step: Duration) {
        let [first, second] = &mut self.longest;
        if step > *first {
            *second = std::mem::replace(first, step);
        } else if step > *second {
            *second = step;
        }
    }

    /// How long a picture is waited for.
    pub(super) fn timeout(&self) -> Duration {
        (self.told.max(self.longest[1]) * STEPS).max(TIMEOUT_MIN)
    }

    /// How long one is waited for of a camera that answers: where nothing tells its rate, it may be
    /// a slow one.
    pub(super) fn timeout_if_alive(&self) -> Duration {
        let may_be_slow = match self.pictures {
            0 => !self.was_fast,
            1 => true,
            2 => self.longest[0] >= SLOW_STEP,
            _ => false,
        };
        let is_unknown = self.told.is_zero() && may_be_slow;
        if is_unknown { STEP_MAX * STEPS } else { self.timeout() }
    }

    /// Whether that is longer.
    pub(super) fn is_longer_if_alive(&self) -> bool {
        self.timeout_if_alive() > self.timeout()
    }

    /// What the next session should know.
    pub(super) fn pace(&self) -> Pace {
        let usual = self.told.max(self.longest[1]);
        let slow_step = (usual >= SLOW_STEP).then_some(usual);
        // Of the shorter steps nothing is kept: two pictures without a long step tell it.
        let was_fast = self.was_fast || (self.pictures > 2 && self.longest[1] < SLOW_STEP);
        Pace { slow_step, was_fast }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Reading;
    use crate::segment::TrackNumber;
    use crate::units::WallTime;

    const SECOND: i64 = 1_000_000_000;

    fn frame(stamped: i64, received: i64) -> Frame {
        let boot = BootTime(received * SECOND);
        let wall = WallTime(0);
        Frame {
            track: TrackNumber(0),
            pts: stamped * 90_000,
            timescale: 90_000,
            is_key: true,
            received: Reading { wall, boot, boot_id: [0; 16], synchronised: true },
            ..Frame::default()
        }
    }

    fn waits(patience: &Patience) -> (u64, u64) {
        (patience.timeout().as_secs(), patience.timeout_if_alive().as_secs())
    }

    fn seen(pace: Pace, times: &[(i64, i64)]) -> Patience {
        let mut patience = Patience::new(None, pace);
        for (stamped, received) in times {
            patience.note(&frame(*stamped, *received));
        }
        patience
    }

    #[test]
    fn a_rate_that_is_described_is_waited_for() {
        let of = |rate| waits(&Patience::new(Some(rate), Pace::default()));
        assert_eq!(of(25.0), (15, 15));
        assert_eq!(of(0.05), (60, 60));
        assert_eq!(of(1.0 / 60.0), (180, 180));
        assert_eq!(of(1e-3), (180, 180), "no camera does that");
        assert_eq!(of(1e-300), (15, 180));
    }

    #[test]
    fn a_step_that_was_seen_twice_is_waited_for() {
        let none = Pace::default();
        assert_eq!(waits(&seen(none, &[])), (15, 180), "nothing tells its rate");
        assert_eq!(waits(&seen(none, &[(0, 0)])), (15, 180));
        assert_eq!(waits(&seen(none, &[(0, 0), (20, 20)])), (15, 180));
        let hiccup = [(0, 0), (1, 1), (2, 2), (22, 22)];
        assert_eq!(waits(&seen(none, &hiccup)), (15, 15), "it may be a hiccup");
        let slow = seen(none, &[(0, 0), (20, 20), (40, 40)]);
        assert_eq!((waits(&slow), slow.pace().was_fast), ((60, 60), false));
        assert_eq!(waits(&seen(none, &[(0, 0), (20, 0), (40, 0)])), (60, 60), "sent at once");
        assert_eq!(waits(&seen(none, &[(0, 0), (0, 20), (0, 40)])), (60, 60), "stamped at once");
        assert_eq!(waits(&seen(none, &[(0, 0), (9000, 1), (0, 2), (1, 3)])), (15, 15));
        let mut next = Patience::new(None, slow.pace());
        assert_eq!(waits(&next), (60, 60), "what was seen is known");
        assert!(!next.note(&frame(0, 0)));
    }

    #[test]
    fn a_fast_camera_that_is_silent_is_left_at_once_and_one_that_slows_down_is_not_left_again() {
        let fast = seen(Pace::default(), &[(0, 0), (1, 1), (2, 2), (3, 3)]);
        assert_eq!(waits(&fast), (15, 15));
        assert!(fast.pace().was_fast);
        assert_eq!(waits(&seen(fast.pace(), &[])), (15, 15), "its encoder hangs");
        assert_eq!(waits(&seen(fast.pace(), &[(0, 0)])), (15, 180), "or it is slow now");
    }
}
