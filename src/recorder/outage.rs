//! A camera that is away: what is logged of it, and how often; what is remembered. Pure.

use std::time::Duration;

use crate::clock::Reading;
use crate::segment::{Observation, ObservationKind};
use crate::units::{BootTime, WallTime, nanos_of};

/// A camera that stays away is in the log once in this time, in nanoseconds, and when the reason
/// changes; a new reason at most once in [`NEWS_NANOS`].
const REMINDER_NANOS: i64 = 600 * 1_000_000_000;
/// Reasons that alternate must not fill the log either.
const NEWS_NANOS: i64 = 60 * 1_000_000_000;

/// From the last frame to the next one; where there was none, from the first failure on. Told in
/// time of the boot clock: the other one may be set meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    since: BootTime,
    from: WallTime,
    attempts: u64,
    error: String,
    logged: BootTime,
    logged_error: String,
}

impl Outage {
    /// One that is noticed `now`; `last_frame` is when the last one came, in this session.
    pub(super) fn new(now: &Reading, last_frame: Option<BootTime>, error: String) -> Outage {
        let since = last_frame.map_or(now.boot, |last| last.min(now.boot));
        let from = now.wall.minus(now.boot.since(since));
        Outage { since, from, attempts: 1, logged: now.boot, logged_error: error.clone(), error }
    }

    /// Takes another failure; answers the line to log, if any.
    pub(super) fn failed(&mut self, now: BootTime, error: String) -> Option<String> {
        self.attempts += 1;
        self.error = error;
        let quiet = nanos_of(now.since(self.logged));
        let news = self.error != self.logged_error && quiet >= NEWS_NANOS;
        if !news && quiet < REMINDER_NANOS {
            return None;
        }
        (self.logged, self.logged_error) = (now, self.error.clone());
        let (away, attempts) = (self.length(now), self.attempts);
        Some(format!("not recorded for {away}, {attempts} attempts: {}", self.error))
    }

    /// How long it has lasted, for a log line.
    pub(super) fn length(&self, now: BootTime) -> String {
        span(now.since(self.since))
    }

    pub(super) fn observation(&self, to: WallTime) -> Observation {
        Observation {
            from: self.from,
            to: to.max(self.from),
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

    fn boot(seconds: i64) -> BootTime {
        BootTime(seconds * 1_000_000_000)
    }

    fn at(wall: i64, boot_seconds: i64) -> Reading {
        let (wall, boot) = (WallTime(wall * 1_000_000_000), boot(boot_seconds));
        Reading { wall, boot, boot_id: [1; 16], synchronised: false }
    }

    #[test]
    fn a_camera_that_stays_away_is_logged_every_ten_minutes() {
        let mut outage = Outage::new(&at(0, 0), None, "refused".to_string());
        let lines = (1..=120).filter_map(|n| outage.failed(boot(n * 30), "refused".to_string()));
        let lines: Vec<String> = lines.collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[0], "not recorded for 10 min 0 s, 21 attempts: refused");
    }

    #[test]
    fn a_new_reason_is_logged_soon() {
        let mut outage = Outage::new(&at(0, 0), None, "refused".to_string());
        assert_eq!(outage.failed(boot(30), "password".to_string()), None);
        assert!(outage.failed(boot(60), "password".to_string()).is_some());
        assert_eq!(outage.failed(boot(90), "refused".to_string()), None);
        assert_eq!(outage.observation(at(95, 95).wall).number, 4);
    }

    #[test]
    fn an_outage_is_as_long_as_no_frame_came_whatever_the_clock_says() {
        let outage = Outage::new(&at(1000, 40), Some(boot(25)), "no frame".to_string());
        let set = at(1_790_000_000, 54);
        assert_eq!(outage.length(set.boot), "29 s");
        assert_eq!(outage.observation(set.wall).from, at(985, 0).wall);
    }

    #[test]
    fn spans_are_short() {
        let spans = [5, 65, 3600, 90_000].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["5 s", "1 min 5 s", "1 h 0 min", "25 h 0 min"]);
    }
}
