//! How long to wait before a camera is tried again. Pure.

use std::time::Duration;

use crate::camera::Failure;

/// A camera that was recorded until a moment ago and closed the connection is back at once.
const AT_ONCE: Duration = Duration::from_millis(400);
/// Waits behind sessions that ended, one after another: the camera is there.
const ENDED_SECONDS: [u64; 3] = [1, 2, 5];
/// Waits behind what says that nobody is there, or that there is nothing to record. A camera that
/// comes back is recorded half a minute later at the latest, and one that stays away costs next to
/// nothing.
const AWAY_SECONDS: [u64; 6] = [1, 2, 4, 8, 16, 30];
/// Waits behind a camera that says that it has too many guests: it is not to be pressed.
const BUSY_SECONDS: [u64; 2] = [10, 30];
/// Waits behind a login that was refused: a third one would have the camera lock the account, also
/// for its owner.
const DENIED_SECONDS: [u64; 2] = [2, 300];
/// So much recording in one go is a recovery.
const GOOD: Duration = Duration::from_secs(5);
/// Waits are varied by up to this part, so that the cameras behind one switch that was off do not
/// all come back in the same instant.
const JITTER_PERCENT: u64 = 10;

/// The waits of one camera.
#[derive(Clone, Debug)]
pub struct Backoff {
    /// What has failed last, and how often in a row.
    last: Option<(Failure, usize)>,
    /// Logins that were refused since the last recovery, whatever else has failed in between: some
    /// cameras close the connection while they have locked an account.
    denied: usize,
    /// The same of a camera that was busy.
    busy: usize,
    random: u64,
}

impl Backoff {
    /// Nothing has failed yet. Cameras with different seeds vary their waits differently.
    #[must_use]
    pub fn new(seed: u64) -> Backoff {
        // Neighbouring seeds must not give neighbouring sequences (splitmix64).
        Backoff {
            last: None,
            denied: 0,
            busy: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// How long to wait after a session that recorded for so long before it failed.
    pub fn after(&mut self, recorded: Duration, failure: Failure) -> Duration {
        if recorded >= GOOD {
            self.recovered();
            return self.varied(AT_ONCE);
        }
        let in_a_row = match self.last {
            Some((last, count)) if last == failure => count,
            _ => 0,
        };
        self.last = Some((failure, in_a_row + 1));
        let count = match failure {
            Failure::Denied => Some(&mut self.denied),
            Failure::Busy => Some(&mut self.busy),
            Failure::Ended | Failure::Away => None,
        };
        let before = count.map_or(in_a_row, |count| std::mem::replace(count, *count + 1));
        let seconds: &[u64] = match failure {
            Failure::Ended => &ENDED_SECONDS,
            Failure::Away => &AWAY_SECONDS,
            Failure::Busy => &BUSY_SECONDS,
            Failure::Denied => &DENIED_SECONDS,
        };
        self.varied(Duration::from_secs(seconds[before.min(seconds.len() - 1)]))
    }

    /// Whatever has failed may be in order now: it was recorded, or has another password.
    pub fn recovered(&mut self) {
        (self.last, self.denied, self.busy) = (None, 0, 0);
    }

    fn varied(&mut self, wait: Duration) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let millis = wait.as_millis() as u64;
        let jitter = self.random % (millis * JITTER_PERCENT / 100 + 1);
        Duration::from_millis(millis - jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same failure again and again is waited for so many seconds, or up to a tenth less.
    fn expect(backoff: &mut Backoff, recorded: u64, failure: Failure, waits: &[u64]) {
        for seconds in waits {
            let wait = backoff.after(Duration::from_secs(recorded), failure).as_millis() as u64;
            let most = seconds * 1000;
            assert!((most * 9 / 10..=most).contains(&wait), "{failure:?}: {wait} of {most} ms");
        }
    }

    #[test]
    fn a_camera_that_was_recorded_is_tried_at_once_however_often_it_ends() {
        let mut backoff = Backoff::new(3);
        for _ in 0..10 {
            let wait = backoff.after(Duration::from_secs(5), Failure::Ended);
            assert!(wait <= Duration::from_millis(500), "{wait:?}");
        }
    }

    #[test]
    fn waits_grow_by_what_has_failed() {
        use Failure::{Away, Busy, Denied, Ended};
        let mut backoff = Backoff::new(4);
        expect(&mut backoff, 4, Ended, &[1, 2, 5, 5, 5]);
        expect(&mut backoff, 0, Away, &[1, 2, 4, 8, 16, 30, 30, 30]);
        expect(&mut backoff, 0, Busy, &[10, 30, 30]);
        expect(&mut backoff, 0, Denied, &[2, 300, 300]);
        // One recovery, and all of it begins anew.
        backoff.after(GOOD, Denied);
        expect(&mut backoff, 0, Denied, &[2]);
        // A camera that drops who it denies has refused a login all the same.
        expect(&mut backoff, 0, Ended, &[1]);
        expect(&mut backoff, 0, Denied, &[300]);
        expect(&mut backoff, 0, Away, &[1, 2]);
        expect(&mut backoff, 0, Ended, &[1]);
        backoff.recovered();
        expect(&mut backoff, 0, Denied, &[2]);
    }

    #[test]
    fn cameras_do_not_come_back_together() {
        let waits: std::collections::HashSet<Duration> = (0..20)
            .map(|seed| {
                let mut backoff = Backoff::new(seed);
                backoff.after(Duration::ZERO, Failure::Away);
                backoff.after(Duration::ZERO, Failure::Away)
            })
            .collect();
        assert!(waits.len() > 10);
    }
}
