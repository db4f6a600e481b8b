//! The last lines of the log, and how many lines of each level there were.
//!
//! Whoever logs puts in what it prints; it can be read by everybody who may read the mount. So what
//! other crates say below `info` is left out: that is for who looks for a fault, and may hold what
//! they send.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::Level;

/// How many lines there are at most.
pub const LINES_MAX: usize = 1000;
/// A longer line is cut, in bytes: all of them take a megabyte.
pub const LINE_BYTES_MAX: usize = 1024;
/// Stands where a line was cut.
const CUT: &str = "\u{2026}";
/// What the targets of this program's own lines begin with.
const OWN_TARGET: &str = "reelfs";

/// See the [module](self).
pub struct Logged {
    lines: Mutex<VecDeque<String>>,
    /// By [`Level`].
    counts: [AtomicU64; 5],
}

impl Logged {
    /// Nothing so far.
    #[must_use]
    pub const fn new() -> Logged {
        let counts = [const { AtomicU64::new(0) }; 5];
        Logged { lines: Mutex::new(VecDeque::new()), counts }
    }

    /// This was printed, from that target: one line, or several with line feeds between them.
    pub fn add(&self, level: Level, target: &str, printed: &str) {
        if let Some(count) = self.counts.get(level as usize - 1) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if level > Level::Info && !target.starts_with(OWN_TARGET) {
            return;
        }
        let mut lines = self.lines();
        for line in printed.lines() {
            if lines.len() >= LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(cut(line));
        }
    }

    /// The last lines, the newest at the end, each with a line feed.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines().iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    /// How many were printed, by the name of their level: `error` first.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 5] {
        let mut counts = ["error", "warn", "info", "debug", "trace"].map(|name| (name, 0));
        for ((_, told), count) in counts.iter_mut().zip(&self.counts) {
            *told = count.load(Ordering::Relaxed);
        }
        counts
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Logged {
    fn default() -> Logged {
        Logged::new()
    }
}

fn cut(line: &str) -> String {
    if line.len() <= LINE_BYTES_MAX {
        return line.to_owned();
    }
    line[..line.floor_char_boundary(LINE_BYTES_MAX - CUT.len())].to_owned() + CUT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_there_and_all_are_counted() {
        let logged = Logged::new();
        (0..LINES_MAX + 3).for_each(|number| {
            logged.add(Level::Info, "reelfs::daemon", &format!("line {number}"));
        });
        logged.add(Level::Error, "reelfs::daemon", "two\n    lines");
        let text = logged.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (LINES_MAX, "line 5"));
        assert_eq!(lines[LINES_MAX - 2..], ["two", "    lines"]);
        assert_eq!(logged.counts()[..3], [("error", 1), ("warn", 0), ("info", 1003)]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_between_two_characters() {
        let logged = Logged::new();
        logged.add(Level::Warn, "fuser", &"\u{e4}".repeat(LINE_BYTES_MAX));
        let text = logged.text();
        assert!(text.len() <= LINE_BYTES_MAX + 1 && text.len() > LINE_BYTES_MAX - 4, "{text}");
        assert!(text.ends_with("\u{e4}\u{2026}\n"), "{text}");
    }

    #[test]
    fn what_other_crates_send_is_not_in_it() {
        let logged = Logged::new();
        logged.add(Level::Trace, "retina::client", "Authorization: Basic c2VjcmV0");
        logged.add(Level::Debug, "reelfs::camera", "own");
        assert_eq!(logged.text(), "own\n");
        assert_eq!(logged.counts()[3..], [("debug", 1), ("trace", 1)]);
    }
}
