//! What is logged of a camera: with its name, and never more than a person reads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use log::Level;

use crate::clock::since_boot;
use crate::units::BootTime;

/// Where lines come from, as the log has it.
const TARGET: &str = "reelfs::camera";
/// Lines in a [`WINDOW`] at most.
const LINES_MAX: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);

/// Speaks for one camera. All of its copies share what may be said.
#[derive(Clone)]
pub struct Voice(Arc<Inner>);

struct Inner {
    name: String,
    said: Mutex<Said>,
}

/// What was said in a window.
#[derive(Default)]
struct Said {
    from: Option<BootTime>,
    lines: u32,
    left_out: u32,
}

impl Said {
    /// Whether a line may be said now, and how many were not before it.
    fn take(&mut self, now: BootTime) -> Option<u32> {
        if self.from.is_none_or(|from| now.since(from) >= WINDOW) {
            (self.from, self.lines) = (Some(now), 0);
        }
        if self.lines >= LINES_MAX {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Voice {
    pub(super) fn of(name: &str) -> Voice {
        Voice(Arc::new(Inner { name: name.to_owned(), said: Mutex::default() }))
    }

    /// One line of the log, with the camera's name before it. Behind ten of them in a minute the
    /// next ones are only counted.
    pub fn say(&self, level: Level, text: &str) {
        let name = &self.0.name;
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        match said.take(since_boot()) {
            None => log::debug!(target: TARGET, "{name}: {text}"),
            Some(0) => log::log!(target: TARGET, level, "{name}: {text}"),
            Some(count) => {
                let more = format!("({count} lines before it left out)");
                log::log!(target: TARGET, level, "{name}: {text} {more}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_in_a_minute_are_said_and_the_others_counted() {
        let mut said = Said::default();
        let at = |second: i64| BootTime(second * 1_000_000_000);
        let lines: Vec<_> = (0..30).map(|second| said.take(at(second))).collect();
        assert_eq!(lines.iter().filter(|line| line.is_some()).count(), LINES_MAX as usize);
        assert_eq!(said.take(at(60)), Some(20));
        assert_eq!(said.take(at(61)), Some(0));
    }
}
