//! How long to wait before a camera is tried again. Pure.

use std::time::Duration;

/// The first wait: a camera that only closed the connection is back at once.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait: a camera that comes back is recorded half a minute later at the latest, and
/// one that stays away costs next to nothing.
const LAST: Duration = Duration::from_secs(30);
/// Only so much recording in one go counts as a recovery: a camera that connects, delivers for a
/// second and fails, for ever, must not be tried every second.
const GOOD: Duration = Duration::from_secs(60);
/// Waits are varied by up to this part, so that the cameras behind one switch that was off do not
/// all come back in the same instant.
const JITTER_PERCENT: u64 = 10;

/// The waits of one camera.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    random: u64,
}

impl Backoff {
    /// Nothing has failed yet. Cameras with different seeds vary their waits differently.
    #[must_use]
    pub fn new(seed: u64) -> Backoff {
        // Neighbouring seeds must not give neighbouring sequences (splitmix64).
        Backoff { next: FIRST, random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// How long to wait after a session that recorded for so long before it failed.
    pub fn after(&mut self, recorded: Duration) -> Duration {
        if recorded >= GOOD {
            self.next = FIRST;
        }
        let wait = self.next;
        self.next = (wait * 2).min(LAST);
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

    fn waits(backoff: &mut Backoff, recorded: Duration, count: usize) -> Vec<u64> {
        (0..count).map(|_| backoff.after(recorded).as_millis().div_ceil(1000) as u64).collect()
    }

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let mut backoff = Backoff::new(3);
        let mut waits: Vec<u64> =
            (0..8).map(|_| backoff.after(Duration::ZERO).as_millis() as u64).collect();
        for (wait, most) in waits.drain(..).zip([1, 2, 4, 8, 16, 30, 30, 30]) {
            assert!(wait <= most * 1000 && wait >= most * 900, "{wait} of {most} s");
        }
    }

    #[test]
    fn only_a_minute_of_recording_counts_as_recovery() {
        let mut backoff = Backoff::new(4);
        assert_eq!(waits(&mut backoff, Duration::from_secs(59), 4), [1, 2, 4, 8]);
        assert_eq!(waits(&mut backoff, Duration::from_secs(60), 2), [1, 1]);
        assert_eq!(waits(&mut backoff, Duration::ZERO, 2), [2, 4]);
    }

    #[test]
    fn cameras_do_not_come_back_together() {
        let waits: std::collections::HashSet<Duration> = (0..20)
            .map(|seed| {
                let mut backoff = Backoff::new(seed);
                backoff.after(Duration::ZERO);
                backoff.after(Duration::ZERO)
            })
            .collect();
        assert!(waits.len() > 10);
    }
}
