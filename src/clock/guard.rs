//! Decides whether the wall clock may be trusted to delete something. Pure.
//!
//! What is known is one *baseline*: a wall-clock time and the boot-clock time that belongs to it.
//! The boot clock cannot be set, so the baseline plus the boot time since is the time that it
//! should be now. A wall clock at most [`FORWARD_STEP_NANOS_MAX`] ahead of that is trusted; one
//! further ahead is doubted, for as long as it is. The baseline moves only when
//! the clock is *confirmed*, so that many small steps add up like a large one:
//!
//! - the kernel called the clock synchronised for [`CONFIRMATION_NANOS`], without a step, or
//! - somebody said so ([`ClockGuard::confirm`]).
//!
//! That a clock runs evenly, for however long, is no confirmation: a clock ten years ahead does,
//! too. On a machine without time synchronisation a doubt therefore lasts until somebody ends it.
//! That costs space, which eviction gets back in ring order; the other error costs the archive.
//!
//! Across boots the boot clock says nothing. The time for which the machine was switched off
//! counts as a step; up to the limit it is believed, beyond it waits for confirmation.
//!
//! A clock that is behind is trusted: with it everything looks younger than it is, and what is
//! young stays. It leaves the baseline where it is, so that the way back is not a step. A time
//! before [`EARLIEST`] is certainly wrong, and never becomes a baseline: a ring whose first clock
//! shows 1970 believes the first one that does not.

use super::Reading;
use crate::units::{BootTime, NANOS_PER_SECOND, WallTime};

/// How far the wall clock may run ahead of what is known, in nanoseconds: an hour. More than a
/// summer-time mistake, less than any `retain` that would notice.
pub const FORWARD_STEP_NANOS_MAX: i64 = 3600 * NANOS_PER_SECOND;

/// No clock that is right is behind this: 2026-01-01, when this program did not exist yet. A
/// machine without a battery-backed clock starts in 1970, or when its system was built.
pub const EARLIEST: WallTime = WallTime(1_767_225_600 * NANOS_PER_SECOND);

/// For how long the kernel has to call the clock synchronised before that is believed, in
/// nanoseconds of boot time: ten minutes, in which an NTP client polls its servers several times
/// and has voted out or stepped away from a wrong one.
pub const CONFIRMATION_NANOS: i64 = 600 * NANOS_PER_SECOND;

/// Between two readings the wall clock may gain or lose this much, in nanoseconds, and still run
/// evenly: far more than a process is kept from the processor between reading the one clock and
/// the other, far less than the steps that matter.
const EVEN_NANOS_MAX: i64 = NANOS_PER_SECOND;

/// A time that was trusted: what outlives the process in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownTime {
    /// Wall-clock time.
    pub wall: WallTime,
    /// `CLOCK_BOOTTIME` at the same moment.
    pub boot: BootTime,
    /// Which boot; zeros where it is unknown.
    pub boot_id: [u8; 16],
}

/// Why a clock is doubted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It was set forward while the machine ran.
    Stepped,
    /// It is ahead of the last time that was known before this boot: the machine was switched
    /// off, or the clock was set.
    AfterBoot,
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Doubt::Stepped => "the clock was set forward",
            Doubt::AfterBoot => "the machine was switched off, or the clock was set",
        })
    }
}

/// What the clock is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Deadlines may be compared with this time.
    Trusted(WallTime),
    /// No deadline may pass.
    Suspended {
        /// When the doubt began, as the doubted clock shows it.
        since: WallTime,
        /// How far the clock is ahead of what is known, in nanoseconds.
        step_nanos: i64,
        /// Why.
        reason: Doubt,
    },
}

#[derive(Clone, Copy, Debug)]
struct Suspicion {
    since: WallTime,
    reason: Doubt,
}

/// The state behind [`Verdict`]s. Wants to be told of a reading about once a minute.
#[derive(Clone, Debug)]
pub struct ClockGuard {
    /// `boot` and `boot_id` belong to the boot of `last` as soon as there is one.
    baseline: Option<KnownTime>,
    last: Option<Reading>,
    /// Since when the clock has been synchronised and even.
    synchronised_since: Option<BootTime>,
    suspicion: Option<Suspicion>,
}

impl ClockGuard {
    /// A guard that begins with what was known last. `None` is for a ring that nobody ever
    /// recorded on: its first clock is believed, since everything in it will be dated by it.
    #[must_use]
    pub fn new(last_known: Option<KnownTime>) -> ClockGuard {
        let baseline = last_known.filter(|known| known.wall >= EARLIEST);
        ClockGuard { baseline, last: None, synchronised_since: None, suspicion: None }
    }

    /// Takes a reading and says what it is good for.
    pub fn observe(&mut self, reading: &Reading) -> Verdict {
        let new_boot = self.enter_boot(reading);
        self.follow_synchronisation(reading);
        self.last = Some(*reading);
        let ahead = self.ahead(reading);
        if self.is_confirmed(reading) || (new_boot && (0..=FORWARD_STEP_NANOS_MAX).contains(&ahead))
        {
            self.baseline = Some(known(reading));
        }
        self.verdict(reading, new_boot)
    }

    /// Somebody who knows the time says that the clock is right: the reading last observed, or
    /// where there was none the next, becomes what is known.
    pub fn confirm(&mut self) {
        match &self.last {
            Some(last) if last.wall < EARLIEST => {}
            last => self.baseline = last.as_ref().map(known),
        }
        self.suspicion = None;
    }

    /// What is known now: for the ledger, from which the next process begins. Never a doubted
    /// time, so that restarting does not turn a wrong clock into a right one. `None` before the
    /// first reading of a new ring.
    #[must_use]
    pub fn known(&self) -> Option<KnownTime> {
        let baseline = self.baseline?;
        let Some(last) = self.last else { return Some(baseline) };
        let elapsed = last.boot.0.saturating_sub(baseline.boot.0).max(0);
        Some(KnownTime {
            wall: baseline.wall.plus_nanos(elapsed),
            boot: last.boot,
            boot_id: last.boot_id,
        })
    }

    /// Ties the baseline to the boot clock of `reading`; answers whether that is another boot's.
    fn enter_boot(&mut self, reading: &Reading) -> bool {
        let Some(baseline) = &mut self.baseline else {
            self.baseline = Some(known(reading)).filter(|known| known.wall >= EARLIEST);
            return false;
        };
        let same = baseline.boot_id == reading.boot_id
            && reading.boot_id != [0; 16]
            && baseline.boot <= reading.boot;
        // Within one process the boot can't change, even where its id can't be read.
        if same || self.last.is_some_and(|last| last.boot_id == reading.boot_id) {
            return false;
        }
        baseline.boot = reading.boot;
        baseline.boot_id = reading.boot_id;
        true
    }

    fn follow_synchronisation(&mut self, reading: &Reading) {
        let even = self.last.is_some_and(|last| {
            let wall = reading.wall.nanos_since(last.wall);
            let boot = reading.boot.0.saturating_sub(last.boot.0);
            last.boot_id == reading.boot_id && wall.abs_diff(boot) <= EVEN_NANOS_MAX as u64
        });
        if !reading.synchronised {
            self.synchronised_since = None;
        } else if !even || self.synchronised_since.is_none() {
            self.synchronised_since = Some(reading.boot);
        }
    }

    /// Whether the kernel has called the clock synchronised for long enough, up to `reading`, which
    /// is the one observed last.
    #[must_use]
    pub fn is_confirmed(&self, reading: &Reading) -> bool {
        reading.wall >= EARLIEST
            && self
                .synchronised_since
                .is_some_and(|since| reading.boot.0.saturating_sub(since.0) >= CONFIRMATION_NANOS)
    }

    /// How far `reading` is ahead of what is known, in nanoseconds; negative where it is behind.
    fn ahead(&self, reading: &Reading) -> i64 {
        let Some(baseline) = self.baseline else { return 0 };
        let elapsed = reading.boot.0.saturating_sub(baseline.boot.0).max(0);
        reading.wall.nanos_since(baseline.wall.plus_nanos(elapsed))
    }

    fn verdict(&mut self, reading: &Reading, new_boot: bool) -> Verdict {
        let step_nanos = self.ahead(reading);
        if step_nanos <= FORWARD_STEP_NANOS_MAX {
            self.suspicion = None;
            return Verdict::Trusted(reading.wall);
        }
        let reason = if new_boot { Doubt::AfterBoot } else { Doubt::Stepped };
        let since = reading.wall;
        let suspicion = *self.suspicion.get_or_insert(Suspicion { since, reason });
        Verdict::Suspended { since: suspicion.since, step_nanos, reason: suspicion.reason }
    }
}

fn known(reading: &Reading) -> KnownTime {
    KnownTime { wall: reading.wall, boot: reading.boot, boot_id: reading.boot_id }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = NANOS_PER_SECOND;
    const HOUR: i64 = 3600 * SECOND;
    const YEAR: i64 = 365 * 24 * HOUR;
    const START: i64 = 1_800_000_000 * SECOND;

    fn reading(wall: i64, boot: i64, boot_id: u8, synchronised: bool) -> Reading {
        Reading { wall: WallTime(wall), boot: BootTime(boot), boot_id: [boot_id; 16], synchronised }
    }

    fn known_at(wall: i64, boot: i64, boot_id: u8) -> Option<KnownTime> {
        Some(known(&reading(wall, boot, boot_id, false)))
    }

    fn trusted(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Trusted(_))
    }

    #[test]
    fn a_clock_that_runs_evenly_is_trusted_without_synchronisation() {
        let mut guard = ClockGuard::new(None);
        for hour in 0..10_000 {
            assert!(trusted(guard.observe(&reading(START + hour * HOUR, hour * HOUR, 1, false))));
        }
    }

    #[test]
    fn a_clock_stepped_ten_years_ahead_is_never_trusted_by_waiting() {
        let mut guard = ClockGuard::new(None);
        guard.observe(&reading(START, 0, 1, false));
        for day in 1..2000 {
            let boot = day * 24 * HOUR;
            let verdict = guard.observe(&reading(START + 10 * YEAR + boot, boot, 1, false));
            let Verdict::Suspended { since, step_nanos, reason } = verdict else {
                panic!("trusted on day {day}")
            };
            assert_eq!(since, WallTime(START + 10 * YEAR + 24 * HOUR));
            assert_eq!((step_nanos, reason), (10 * YEAR, Doubt::Stepped));
        }
    }

    #[test]
    fn restarts_do_not_turn_a_wrong_clock_into_a_right_one() {
        let mut known = known_at(START, 0, 1);
        for restart in 1..50 {
            let mut guard = ClockGuard::new(known);
            // Every third restart is one of the machine.
            let boot_id = 1 + (restart / 3) as u8;
            let now =
                reading(START + 10 * YEAR + restart * SECOND, restart * SECOND, boot_id, false);
            assert!(!trusted(guard.observe(&now)), "trusted at restart {restart}");
            known = guard.known();
        }
    }

    #[test]
    fn small_steps_add_up() {
        let mut guard = ClockGuard::new(None);
        guard.observe(&reading(START, 0, 1, false));
        assert!(trusted(guard.observe(&reading(START + 40 * 60 * SECOND, 0, 1, false))));
        let mut again = ClockGuard::new(guard.known());
        assert!(!trusted(again.observe(&reading(START + 80 * 60 * SECOND, 1, 1, false))));
    }

    #[test]
    fn ten_minutes_of_synchronisation_confirm_and_less_do_not() {
        let mut guard = ClockGuard::new(known_at(START, 0, 1));
        let wall = |boot: i64| START + 3 * YEAR + boot;
        for minute in 0..10 {
            let boot = minute * 60 * SECOND;
            assert!(!trusted(guard.observe(&reading(wall(boot), boot, 2, true))));
        }
        assert!(trusted(guard.observe(&reading(
            wall(CONFIRMATION_NANOS),
            CONFIRMATION_NANOS,
            2,
            true
        ))));
        let later = CONFIRMATION_NANOS + 60 * SECOND;
        assert!(trusted(guard.observe(&reading(wall(later), later, 2, false))));
    }

    #[test]
    fn a_step_or_a_lost_synchronisation_begins_the_ten_minutes_anew() {
        for (step, synchronised) in [(5 * SECOND, true), (-5 * SECOND, true), (0, false)] {
            let mut guard = ClockGuard::new(known_at(START, 0, 1));
            let base = START + YEAR;
            guard.observe(&reading(base, 0, 2, true));
            let half = CONFIRMATION_NANOS / 2;
            guard.observe(&reading(base + half + step, half, 2, synchronised));
            let full = CONFIRMATION_NANOS + SECOND;
            assert!(!trusted(guard.observe(&reading(base + full + step, full, 2, true))));
            let more = full + CONFIRMATION_NANOS;
            assert!(trusted(guard.observe(&reading(base + more + step, more, 2, true))));
        }
    }

    #[test]
    fn an_operator_ends_a_doubt() {
        let mut guard = ClockGuard::new(known_at(START, 0, 1));
        let after = reading(START + 3 * 24 * HOUR, 10 * SECOND, 2, false);
        let Verdict::Suspended { reason, .. } = guard.observe(&after) else { panic!("trusted") };
        assert_eq!(reason, Doubt::AfterBoot);
        guard.confirm();
        assert!(trusted(guard.observe(&after)));
    }

    #[test]
    fn a_short_time_switched_off_is_believed_each_time() {
        let mut known = known_at(START, 0, 0);
        for boot in 1..200_u8 {
            let mut guard = ClockGuard::new(known);
            let wall = START + i64::from(boot) * 50 * 60 * SECOND;
            assert!(trusted(guard.observe(&reading(wall, 0, boot, false))), "boot {boot}");
            known = guard.known();
        }
    }

    #[test]
    fn the_way_back_from_a_clock_that_was_behind_is_no_step() {
        let mut guard = ClockGuard::new(known_at(START, 500 * SECOND, 1));
        let behind = reading(0, 0, 2, false);
        assert_eq!(guard.observe(&behind), Verdict::Trusted(WallTime(0)));
        let right = reading(START + 20 * 60 * SECOND, 60 * SECOND, 2, false);
        assert!(trusted(guard.observe(&right)));
        let wrong = reading(START + 2 * HOUR, 61 * SECOND, 2, false);
        assert!(!trusted(guard.observe(&wrong)));
        assert!(trusted(guard.observe(&right)), "and back again it is trusted without more");
    }

    #[test]
    fn a_boot_whose_id_is_unknown_is_another_boot() {
        let mut guard = ClockGuard::new(known_at(START, 0, 0));
        // Were it taken for the same boot, five hours would have passed on both clocks.
        assert!(!trusted(guard.observe(&reading(START + 5 * HOUR, 5 * HOUR, 0, false))));
    }

    #[derive(Clone, Debug)]
    enum Event {
        Run { nanos: i64, synchronised: bool },
        Step { nanos: i64 },
        Boot { off_nanos: i64 },
        Restart,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0..20 * 60 * SECOND, any::<bool>())
                .prop_map(|(nanos, synchronised)| Event::Run { nanos, synchronised }),
            1 => (-3 * HOUR..3 * HOUR).prop_map(|nanos| Event::Step { nanos }),
            1 => (0..3 * HOUR).prop_map(|off_nanos| Event::Boot { off_nanos }),
            1 => Just(Event::Restart),
        ]
    }

    proptest! {
        /// The true time is kept beside it; a clock that was never synchronised may be wrong by
        /// whatever it was stepped, but what is trusted is never ahead of the truth by more than
        /// an hour for each boot and one more.
        #[test]
        fn what_is_trusted_is_never_far_ahead_of_the_truth(
            events in prop::collection::vec(event(), 1..60)
        ) {
            let (mut truth, mut boot, mut offset, mut boot_id) = (START, 0_i64, 0_i64, 1_u8);
            let mut guard = ClockGuard::new(known_at(START, 0, 1));
            let mut allowance = FORWARD_STEP_NANOS_MAX;
            for event in events {
                let mut synchronised = false;
                match event {
                    Event::Run { nanos, synchronised: yes } => {
                        truth += nanos;
                        boot += nanos;
                        // Only a clock that is right calls itself synchronised.
                        synchronised = yes && offset == 0;
                    }
                    Event::Step { nanos } => offset += nanos,
                    Event::Boot { off_nanos } => {
                        truth += off_nanos;
                        (boot, boot_id) = (0, boot_id + 1);
                        allowance += FORWARD_STEP_NANOS_MAX;
                        guard = ClockGuard::new(guard.known());
                    }
                    Event::Restart => guard = ClockGuard::new(guard.known()),
                }
                let now = reading(truth + offset, boot, boot_id, synchronised);
                if let Verdict::Trusted(wall) = guard.observe(&now) {
                    prop_assert!(wall.0 - truth <= allowance);
                }
                let known = guard.known().expect("a time is known after a reading");
                prop_assert!(known.wall.0 - truth <= allowance);
            }
        }

        /// No sequence of readings, however wild, panics.
        #[test]
        fn arbitrary_readings_give_a_verdict(
            last in any::<Option<(i64, i64, u8)>>(),
            readings in prop::collection::vec(any::<(i64, i64, u8, bool)>(), 0..20)
        ) {
            let known = last.and_then(|(wall, boot, id)| known_at(wall, boot, id));
            let mut guard = ClockGuard::new(known);
            for (wall, boot, id, synchronised) in readings {
                guard.observe(&reading(wall, boot, id % 2, synchronised));
                let _ = guard.known();
            }
        }
    }
}
