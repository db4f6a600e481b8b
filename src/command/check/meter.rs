//! How far a check has come, on standard error: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::ProgressBar;

use crate::check::{Phase, Progress};
use crate::cli::quantity::{duration_text, size_text};
use crate::clock::{Stopwatch, Throttle, since_boot};
use crate::command::progress::progress_bar;
use crate::units::ByteCount;

/// Between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows one phase after another.
pub(super) struct Meter {
    is_terminal: bool,
    phase: Option<Phase>,
    began: Stopwatch,
    lines: Throttle,
    bar: ProgressBar,
}

impl Meter {
    /// Nothing is shown yet.
    pub fn new() -> Meter {
        let is_terminal = std::io::stderr().is_terminal();
        let (began, lines) = (Stopwatch::start(), Throttle::every(LINE_INTERVAL));
        Meter { is_terminal, phase: None, began, lines, bar: ProgressBar::hidden() }
    }

    /// Shows how far it has come.
    pub fn show(&mut self, progress: Progress) {
        if self.phase != Some(progress.phase) {
            self.begin(progress);
        }
        if self.is_terminal {
            self.bar.set_position(progress.done);
        } else if self.lines.take(since_boot()) {
            eprintln!("{}", line(progress, self.began.elapsed()));
        }
    }

    fn begin(&mut self, progress: Progress) {
        self.phase = Some(progress.phase);
        self.began = Stopwatch::start();
        self.lines = Throttle::begun(LINE_INTERVAL, since_boot());
        if !self.is_terminal {
            return;
        }
        self.bar.finish_and_clear();
        let template = match progress.phase {
            Phase::Clips => "clips {wide_bar} {pos} of {len}, {eta} left",
            Phase::Blocks => "blocks {wide_bar} {pos} of {len}, {eta} left",
            Phase::Device => {
                "looking for the ring {wide_bar} {binary_bytes} of {binary_total_bytes}, \
                 {binary_bytes_per_sec}, {eta} left"
            }
            Phase::Samples => {
                "samples {wide_bar} {binary_bytes} of {binary_total_bytes}, \
                 {binary_bytes_per_sec}, {eta} left"
            }
        };
        self.bar = progress_bar(progress.total, template);
    }

    /// Prints something without the bar in its way.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        if self.is_terminal { self.bar.suspend(print) } else { print() }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn line(progress: Progress, elapsed: Duration) -> String {
    let Progress { phase, done, total } = progress;
    let percent = (done * 100).checked_div(total).unwrap_or(100);
    let left = total.saturating_sub(done) as f64 / done.max(1) as f64 * elapsed.as_secs_f64();
    let left = match done {
        0 => String::new(),
        _ => format!(", {} left", duration_text(Duration::from_secs(left.min(1e9) as u64))),
    };
    match phase {
        Phase::Clips => format!("clips: {percent} % of {total}{left}"),
        Phase::Blocks => format!("blocks: {percent} % of {total}{left}"),
        Phase::Samples | Phase::Device => {
            let what = if phase == Phase::Device { "looking for the ring" } else { "samples" };
            let rate = (done as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
            let [total, rate] = [total, rate].map(|bytes| size_text(ByteCount(bytes)));
            format!("{what}: {percent} % of {total}, {rate}/s{left}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long_still() {
        let progress = Progress { phase: Phase::Samples, done: 1 << 30, total: 4 << 30 };
        let text = line(progress, Duration::from_secs(64));
        assert_eq!(text, "samples: 25 % of 4.00 GiB, 16.0 MiB/s, 3m 12s left");
        let progress = Progress { phase: Phase::Clips, done: 0, total: 7 };
        assert_eq!(line(progress, Duration::ZERO), "clips: 0 % of 7");
        let progress = Progress { phase: Phase::Blocks, done: 0, total: 0 };
        assert_eq!(line(progress, Duration::ZERO), "blocks: 100 % of 0");
    }
}
