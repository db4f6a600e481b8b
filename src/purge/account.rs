//! What a pass did for one camera, in one line of the log.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::retention::Why;
use crate::ring::Reason;
use crate::units::{ByteCount, NANOS_PER_SECOND, nanos_of};

/// What was purged of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    reasons: BTreeMap<String, u64>,
    clips: u64,
    bytes: ByteCount,
    /// Put into the trash, and taken out again: clips, and their bytes.
    moved: [(u64, ByteCount); 2],
    /// Time that the ring took for it.
    pub(super) took: Duration,
}

impl Account {
    pub(super) fn count(&mut self, why: Why, reason: Reason, bytes: ByteCount) {
        *self.reasons.entry(words(why, reason)).or_default() += 1;
        self.clips += 1;
        self.bytes += bytes;
    }

    pub(super) fn count_moved(&mut self, is_back: bool, used: ByteCount) {
        let (clips, bytes) = &mut self.moved[usize::from(is_back)];
        *clips += 1;
        *bytes += used;
    }

    pub(super) fn log(&self, name: &str) {
        self.lines(name).iter().for_each(|line| log::info!("{line}"));
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let moved = ["that nothing claims is in the trash", "is back, as something claims it"];
        let moved = self.moved.iter().zip(moved).filter(|((clips, _), _)| *clips > 0);
        let mut lines: Vec<String> = moved
            .map(|((clips, bytes), what)| {
                let noun = if *clips == 1 { "clip" } else { "clips" };
                format!("{name}: footage {what}: {clips} {noun}, {}", mebibytes(*bytes))
            })
            .collect();
        if self.clips > 0 {
            lines.push(self.line(name));
        }
        lines
    }

    fn line(&self, name: &str) -> String {
        let reasons: Vec<String> =
            self.reasons.iter().map(|(words, count)| format!("{count} {words}")).collect();
        let noun = if self.clips == 1 { "clip" } else { "clips" };
        format!(
            "{name}: purged {} {noun}, {}, in {:.1} s: {}",
            self.clips,
            mebibytes(self.bytes),
            self.took.as_secs_f64(),
            reasons.join(", "),
        )
    }
}

/// A length in bytes, for the log.
pub(super) fn mebibytes(bytes: ByteCount) -> String {
    format!("{:.1} MiB", bytes.0 as f64 / f64::from(1 << 20))
}

/// Why something is done with a clip.
pub(super) fn words(why: Why, reason: Reason) -> String {
    match (why, reason) {
        (Why::OlderThan { retain }, _) => format!("older than {}", duration(nanos_of(retain))),
        (Why::GraceOver, Reason::Deleted) => "removed, grace over".into(),
        (Why::GraceOver, Reason::Quiet) => "that nothing has claimed".into(),
        (Why::GraceOver, _) => "expired, grace over".into(),
        (Why::Interrupted, _) => "left over from an interrupted purge".into(),
        (Why::ProtectionOver, _) => "no longer protected".into(),
        (Why::OverQuota { max }, _) => format!("over {}", mebibytes(max)),
        (Why::Unclaimed, _) => "that nothing claims".into(),
        (Why::Claimed, _) => "that something claims".into(),
    }
}

/// How far two times are apart, for the log: in whole days from two of them on.
pub(super) fn length(nanos: i64) -> String {
    const DAY_NANOS: i64 = 86_400 * NANOS_PER_SECOND;
    let length = nanos.saturating_abs();
    duration(if length < 2 * DAY_NANOS { length } else { length - length % DAY_NANOS })
}

/// A length of time in the largest unit that divides it, as in the configuration; shortened to
/// the second.
pub(super) fn duration(nanos: i64) -> String {
    let seconds = nanos / NANOS_PER_SECOND;
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let whole = units.iter().find(|(length, _)| seconds != 0 && seconds % length == 0);
    let (length, unit) = whole.copied().unwrap_or((1, "s"));
    format!("{}{unit}", seconds / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_many_how_much_why_and_how_long() {
        let mut account = Account { took: Duration::from_millis(3200), ..Account::default() };
        let retain = Duration::from_secs(14 * 86_400);
        account.count(Why::OlderThan { retain }, Reason::Expired, ByteCount(3 << 20));
        account.count(Why::OlderThan { retain }, Reason::Expired, ByteCount(3 << 20));
        account.count(Why::GraceOver, Reason::Deleted, ByteCount(1 << 19));
        assert_eq!(
            account.line("front-door"),
            "front-door: purged 3 clips, 6.5 MiB, in 3.2 s: 2 older than 14d, 1 removed, grace over"
        );
    }

    #[test]
    fn what_goes_into_the_trash_and_comes_back_has_lines_of_its_own() {
        let mut account = Account::default();
        assert_eq!(account.lines("yard"), [] as [String; 0]);
        account.count_moved(false, ByteCount(2 << 20));
        account.count_moved(false, ByteCount(1 << 20));
        account.count_moved(true, ByteCount(1 << 20));
        let lines = [
            "yard: footage that nothing claims is in the trash: 2 clips, 3.0 MiB",
            "yard: footage is back, as something claims it: 1 clip, 1.0 MiB",
        ];
        assert_eq!(account.lines("yard"), lines);
    }

    #[test]
    fn lengths_of_time_read_as_they_were_written() {
        let spelled = [(90, "90s"), (3600, "1h"), (86_400 * 30, "30d"), (120, "2m"), (0, "0s")];
        for (seconds, words) in spelled {
            assert_eq!(duration(seconds * NANOS_PER_SECOND), words);
        }
    }
}
