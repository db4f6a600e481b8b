//! A camera that is away: what is logged of it, and how often; what is remembered. Pure.

use std::time::Duration;

use crate::segment::{Observation, ObservationKind};
use crate::units::WallTime;

/// A camera that stays away is in the log once in this time, in nanoseconds, and when the reason
/// changes; a new reason at most once in [`NEWS_NANOS`].
const REMINDER_NANOS: i64 = 600 * 1_000_000_000;
/// Reasons that alternate must not fill the log either.
const NEWS_NANOS: i64 = 60 * 1_000_000_000;

/// From the first failure to the next frame.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    since: WallTime,
    attempts: u64,
    error: String,
    logged: WallTime,
    logged_error: String,
}

impl Outage {
    pub(super) fn new(since: WallTime, error: String) -> Outage {
        Outage { since, attempts: 1, logged: since, logged_error: error.clone(), error }
    }

    /// Takes another failure; answers the line to log, if any.
    pub(super) fn failed(&mut self, now: WallTime, error: String) -> Option<String> {
        self.attempts += 1;
        self.error = error;
        let quiet = now.nanos_since(self.logged);
        let news = self.error != self.logged_error && quiet >= NEWS_NANOS;
        if !news && quiet < REMINDER_NANOS {
            return None;
        }
        (self.logged, self.logged_error) = (now, self.error.clone());
        let (away, attempts) = (self.length(now), self.attempts);
        Some(format!("not recorded for {away}, {attempts} attempts: {}", self.error))
    }

    /// How long it has lasted, for a log line.
    pub(super) fn length(&self, now: WallTime) -> String {
        span(now.since(self.since))
    }

    pub(super) fn observation(&self, to: WallTime) -> Observation {
        Observation {
            from: self.since,
            to: to.max(self.since),
            kind: ObservationKind::Disconnected,
            number: i64::try_from(self.attempts).unwrap_or(i64::MAX),
            text: self.error.clone(),
        }
    }
}

/// A time span for a log line, to the second below an hour and to the minute above.
pub(super) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> WallTime {
        WallTime(seconds * 1_000_000_000)
    }

    #[test]
    fn a_camera_that_stays_away_is_logged_every_ten_minutes() {
        let mut outage = Outage::new(at(0), "refused".to_string());
        let lines = (1..=120).filter_map(|n| outage.failed(at(n * 30), "refused".to_string()));
        let lines: Vec<String> = lines.collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[0], "not recorded for 10 min 0 s, 21 attempts: refused");
    }

    #[test]
    fn a_new_reason_is_logged_soon() {
        let mut outage = Outage::new(at(0), "refused".to_string());
        assert_eq!(outage.failed(at(30), "password".to_string()), None);
        assert!(outage.failed(at(60), "password".to_string()).is_some());
        assert_eq!(outage.failed(at(90), "refused".to_string()), None);
        assert_eq!(outage.observation(at(95)).number, 4);
    }

    #[test]
    fn spans_are_short() {
        let spans = [5, 65, 3600, 90_000].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["5 s", "1 min 5 s", "1 h 0 min", "25 h 0 min"]);
    }
}
