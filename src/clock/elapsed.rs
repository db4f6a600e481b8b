//! Time that runs: how long something has taken, how long it may take, how often it is said.
//!
//! Nothing that becomes a fact is decided by these but by a [`Clock`](super::Clock), which a test
//! replaces.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::units::BootTime;

/// Runs from its start on, in time that does not jump (`CLOCK_MONOTONIC`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// As if it had been started that long ago; `None` where that is before the machine's start.
    #[must_use]
    pub fn started(ago: Duration) -> Option<Stopwatch> {
        Instant::now().checked_sub(ago).map(Stopwatch)
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Time since the start; starts again.
    pub fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now.duration_since(std::mem::replace(&mut self.0, now))
    }
}

/// Does what may wait for a device or a mount that does not answer, on a thread of its own. Where
/// that is not done in time the thread is left to end with the process.
///
/// # Errors
/// `TimedOut`; or there can't be a thread.
pub fn within<T: Send + 'static>(
    limit: Duration,
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (done, wait) = sync_channel(1);
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Whoever waited may have given up.
        let _ = done.send(work());
    })?;
    wait.recv_timeout(limit)
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}")))
}

/// The end of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// That long from now.
    #[must_use]
    pub fn after(wait: Duration) -> Deadline {
        Deadline(Instant::now() + wait)
    }

    /// What is left of the wait; nothing once it is over.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether the wait is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// As much later, but no sooner than `least` from now: a beat that does not hurry after it has
    /// been held up.
    #[must_use]
    pub fn next(self, interval: Duration, least: Duration) -> Deadline {
        Deadline((self.0 + interval).max(Instant::now() + least))
    }
}

/// Lets something through once in an interval: a line in the log that would be written for each
/// of a thousand requests.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    interval: Duration,
    last: Option<BootTime>,
}

impl Throttle {
    /// Lets the first one through.
    #[must_use]
    pub fn every(interval: Duration) -> Throttle {
        Throttle { interval, last: None }
    }

    /// Lets the first one through when an interval is over from `now` on.
    #[must_use]
    pub fn begun(interval: Duration, now: BootTime) -> Throttle {
        Throttle { interval, last: Some(now) }
    }

    /// Whether the interval is over since it last let one through.
    #[must_use]
    pub fn is_ready(&self, now: BootTime) -> bool {
        self.last.is_none_or(|last| now.since(last) >= self.interval)
    }

    /// The same; where it is, the interval begins anew.
    pub fn take(&mut self, now: BootTime) -> bool {
        let is_ready = self.is_ready(now);
        if is_ready {
            self.last = Some(now);
        }
        is_ready
    }
}

/// A [`Throttle`] for each of some things.
#[derive(Debug)]
pub struct Throttles<K> {
    interval: Duration,
    of: Mutex<HashMap<K, Throttle>>,
}

impl<K: Clone + Eq + Hash> Throttles<K> {
    /// So many things are remembered; then all are forgotten, and let something through again.
    const MOST: usize = 256;

    /// Lets the first one of each through.
    #[must_use]
    pub fn every(interval: Duration) -> Throttles<K> {
        Throttles { interval, of: Mutex::new(HashMap::new()) }
    }

    /// Whether the interval is over since one of this thing was let through; where it is, it
    /// begins anew.
    pub fn take(&self, thing: &K, now: BootTime) -> bool {
        let mut all = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= Self::MOST && !all.contains_key(thing) {
            all.clear();
        }
        let throttle = all.entry(thing.clone());
        throttle.or_insert_with(|| Throttle::every(self.interval)).take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NANOS_PER_SECOND;

    fn seconds(seconds: i64) -> BootTime {
        BootTime(seconds * NANOS_PER_SECOND)
    }

    #[test]
    fn one_in_an_interval_comes_through() {
        let mut throttle = Throttle::every(Duration::from_secs(60));
        let taken: Vec<i64> = (5..200).filter(|now| throttle.take(seconds(*now))).collect();
        assert_eq!(taken, [5, 65, 125, 185]);
    }

    #[test]
    fn where_the_interval_has_begun_the_first_one_waits_for_its_end() {
        let mut throttle = Throttle::begun(Duration::from_secs(60), seconds(5));
        let taken: Vec<i64> = (5..130).filter(|now| throttle.take(seconds(*now))).collect();
        assert_eq!(taken, [65, 125]);
    }

    #[test]
    fn what_is_only_asked_is_not_taken() {
        let mut throttle = Throttle::every(Duration::from_secs(60));
        assert!(throttle.is_ready(seconds(0)) && throttle.take(seconds(0)));
        assert!(!throttle.is_ready(seconds(59)) && throttle.is_ready(seconds(60)));
        assert!(!throttle.is_ready(seconds(-60)), "a clock that went back lets nothing through");
    }

    #[test]
    fn a_beat_that_was_held_up_does_not_hurry() {
        let (interval, least) = (Duration::from_secs(10), Duration::from_secs(2));
        let long_ago = Deadline(Instant::now() - Duration::from_secs(60));
        assert!(long_ago.is_over() && long_ago.left().is_zero());
        let next = long_ago.next(interval, least).left();
        assert!(next <= least && next > Duration::from_secs(1), "{next:?}");
        let soon = Deadline::after(Duration::from_secs(5)).next(interval, least).left();
        assert!(soon > Duration::from_secs(14), "{soon:?}");
    }

    #[test]
    fn a_stopwatch_tells_the_time_since_it_was_started() {
        let Some(mut watch) = Stopwatch::started(Duration::from_secs(1)) else {
            return assert!(Instant::now().checked_sub(Duration::from_secs(1)).is_none());
        };
        assert!(watch.elapsed() >= Duration::from_secs(1));
        assert!(watch.lap() >= Duration::from_secs(1));
        assert!(watch.elapsed() < Duration::from_secs(1), "it was started again");
    }
}
