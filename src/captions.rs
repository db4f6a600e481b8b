//! The time on the wall as subtitles, one for each second of it. Pure.
//!
//! Every cue is as long as every other: a day of them is a length, and any stretch is made when it
//! is read. [`Captions`] are cues; as a file (WebVTT, W3C, 4) they are
//!
//! ```text
//! WEBVTT
//!
//! 00:00:00.000 --> 00:00:00.480
//! 2026-11-21 13:05:00+01:00
//!
//! 00:00:00.480 --> 00:00:01.480
//! 2026-11-21 13:05:01+01:00
//! ```

use std::ops::Range;

use crate::units::{NANOS_PER_SECOND, WallTime};
use crate::zone::Zone;

const HEAD: &[u8] = b"WEBVTT\n\n";
const NANOS_PER_MILLISECOND: i64 = 1_000_000;

/// Time of a file that is time on the wall without a jump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// From when to when in the file, in nanoseconds.
    pub shown: Range<i64>,
    /// What the wall says at its beginning.
    pub wall: WallTime,
}

impl Section {
    /// Until the wall's next whole second; none where it begins with one.
    fn first_nanos(&self) -> i64 {
        let since = self.wall.0.rem_euclid(NANOS_PER_SECOND);
        if since == 0 { 0 } else { NANOS_PER_SECOND - since }
    }

    fn cues(&self) -> i64 {
        let length = (self.shown.end - self.shown.start).max(0);
        let first = self.first_nanos().min(length);
        let whole = (length - first + NANOS_PER_SECOND - 1) / NANOS_PER_SECOND;
        i64::from(first > 0) + whole
    }

    /// How many cues one behind another are as long, the first and the last apart.
    fn runs(&self) -> impl Iterator<Item = Run> {
        let cues = self.cues();
        let firsts = [0, 1.min(cues), (cues - 1).max(1).min(cues), cues];
        let edges =
            firsts.map(|cue| if cue < cues { self.cue(cue).0.start } else { self.shown.end });
        let runs = (0..3).map(move |run| Run {
            cues: (firsts[run + 1] - firsts[run]).unsigned_abs(),
            shown: edges[run]..edges[run + 1],
        });
        runs.filter(|run| run.cues > 0)
    }

    /// From when to when a cue is shown, and what it says.
    fn cue(&self, number: i64) -> (Range<i64>, WallTime) {
        let first = self.first_nanos();
        let begun = i64::from(first > 0);
        let edge = |number: i64| (first + (number - begun) * NANOS_PER_SECOND).max(0);
        let (begin, next) = (edge(number), edge(number + 1));
        let (from, to) = (self.shown.start + begin, self.shown.start + next);
        (from..to.min(self.shown.end), self.wall.plus_nanos(begin))
    }
}

/// Cues one behind another, each of which is shown as long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// How many, at least one.
    pub cues: u64,
    /// From when to when in the file, in nanoseconds.
    pub shown: Range<i64>,
}

/// Length of what a cue says, in bytes.
pub const TOLD_BYTES: usize = "2026-11-21 13:05:00+01:00".len();

/// See the [module](crate::captions).
#[derive(Clone, Debug)]
pub struct Captions {
    sections: Vec<Section>,
    /// The how-manieth cue each section's first one is.
    firsts: Vec<i64>,
    cues: i64,
    zone: Zone,
    /// Digits of the hours of the file.
    hours_width: usize,
}

impl Captions {
    /// Of sections in the order of the file, in a zone.
    #[must_use]
    pub fn new(sections: Vec<Section>, zone: Zone) -> Captions {
        let mut cues = 0;
        let firsts = sections.iter().map(|section| {
            let first = cues;
            cues += section.cues();
            first
        });
        let firsts = firsts.collect();
        let end = sections.last().map_or(0, |last| last.shown.end);
        let hours = end / (3600 * NANOS_PER_SECOND);
        let hours_width = hours.to_string().len().max(2);
        Captions { sections, firsts, cues, zone, hours_width }
    }

    /// Length of the file, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        HEAD.len() as u64 + self.cues.unsigned_abs() * self.cue_bytes() as u64
    }

    /// Memory that it takes, in bytes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.sections.len() * (size_of::<Section>() + size_of::<i64>())
    }

    /// The bytes `range` of the file; what lies behind its end is left out.
    #[must_use]
    pub fn bytes(&self, range: Range<u64>) -> Vec<u8> {
        let range = range.start..range.end.min(self.size());
        let head = HEAD.len() as u64;
        let mut bytes = Vec::new();
        if range.start < head {
            bytes.extend_from_slice(&HEAD[range.start as usize..range.end.min(head) as usize]);
        }
        let wanted = range.start.max(head) - head..range.end.max(head) - head;
        let length = self.cue_bytes() as u64;
        let first = wanted.start / length;
        let mut cues = Vec::new();
        for number in first..wanted.end.div_ceil(length) {
            cues.extend_from_slice(self.text(number as i64).as_bytes());
        }
        let skipped = (wanted.start - first * length) as usize;
        let count = (wanted.end - wanted.start) as usize;
        bytes.extend(cues.into_iter().skip(skipped).take(count));
        bytes
    }

    /// How many cues there are.
    #[must_use]
    pub fn cues(&self) -> u64 {
        self.cues.unsigned_abs()
    }

    /// All cues in order, those together that are as long.
    pub fn runs(&self) -> impl Iterator<Item = Run> {
        self.sections.iter().flat_map(Section::runs)
    }

    /// What a cue says, counted from 0: so many [bytes](TOLD_BYTES).
    #[must_use]
    pub fn told(&self, number: u64) -> String {
        self.cue(number as i64).1
    }

    fn cue_bytes(&self) -> usize {
        let time = self.hours_width + ":00:00.000".len();
        2 * time + " --> \n".len() + TOLD_BYTES + "\n\n".len()
    }

    fn cue(&self, number: i64) -> (Range<i64>, String) {
        let section = self.firsts.partition_point(|first| *first <= number).saturating_sub(1);
        let (shown, wall) = self.sections[section].cue(number - self.firsts[section]);
        (shown, self.zone.local(wall).format("%Y-%m-%d %H:%M:%S%:z").to_string())
    }

    fn text(&self, number: i64) -> String {
        let (shown, told) = self.cue(number);
        format!("{} --> {}\n{told}\n\n", self.time(shown.start), self.time(shown.end))
    }

    /// Rounded down: a cue ends no later than the next one begins.
    fn time(&self, nanos: i64) -> String {
        let millis = nanos / NANOS_PER_MILLISECOND;
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        let width = self.hours_width;
        format!("{hours:0width$}:{minutes:02}:{:02}.{millis:03}", seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 13:05:00 UTC.
    const BEGIN: WallTime = WallTime(1_795_266_300 * NANOS_PER_SECOND);

    fn section(from: f64, to: f64, wall: f64) -> Section {
        let nanos = |seconds: f64| (seconds * 1e9) as i64;
        Section { shown: nanos(from)..nanos(to), wall: BEGIN.plus_nanos(nanos(wall)) }
    }

    fn text(captions: &Captions) -> String {
        String::from_utf8(captions.bytes(0..u64::MAX)).expect("text")
    }

    #[test]
    fn each_second_of_the_wall_is_a_cue_and_a_jump_begins_anew() {
        let zone = Zone::named("Europe/Berlin").expect("a zone");
        let sections = vec![section(0.0, 1.75, 0.5), section(1.75, 3.0, 3600.0)];
        let captions = Captions::new(sections, zone);
        let expected = "WEBVTT\n\n\
            00:00:00.000 --> 00:00:00.500\n2026-11-21 14:05:00+01:00\n\n\
            00:00:00.500 --> 00:00:01.500\n2026-11-21 14:05:01+01:00\n\n\
            00:00:01.500 --> 00:00:01.750\n2026-11-21 14:05:02+01:00\n\n\
            00:00:01.750 --> 00:00:02.750\n2026-11-21 15:05:00+01:00\n\n\
            00:00:02.750 --> 00:00:03.000\n2026-11-21 15:05:01+01:00\n\n";
        assert_eq!(text(&captions), expected);
        assert_eq!(captions.size(), expected.len() as u64);
    }

    #[test]
    fn what_is_short_has_one_and_what_is_empty_none() {
        let text = |sections| text(&Captions::new(sections, Zone::UTC));
        let one = "WEBVTT\n\n00:00:00.000 --> 00:00:00.100\n2026-11-21 13:05:00+00:00\n\n";
        assert_eq!(text(vec![section(0.0, 0.1, 0.25)]), one);
        assert_eq!(text(vec![section(0.0, 0.1, 0.0)]), one);
        assert_eq!(text(Vec::new()), "WEBVTT\n\n");
    }

    #[test]
    fn hours_of_a_week_have_three_digits() {
        let week = Captions::new(vec![section(0.0, 168.0 * 3600.0, 0.0)], Zone::UTC);
        assert_eq!(week.size(), 8 + 168 * 3600 * week.cue_bytes() as u64);
        let end = String::from_utf8(week.bytes(week.size() - 59..u64::MAX)).expect("text");
        assert_eq!(end, "167:59:59.000 --> 168:00:00.000\n2026-11-28 13:04:59+00:00\n\n");
    }

    proptest::proptest! {
        #[test]
        fn any_stretch_is_that_of_the_whole(
            lengths in proptest::collection::vec(
                (0..5 * NANOS_PER_SECOND, 0..9 * NANOS_PER_SECOND),
                0..5,
            ),
            cut: (u16, u16),
        ) {
            let (mut at, mut wall, mut sections) = (0, BEGIN, Vec::new());
            for (length, jump) in lengths {
                wall = wall.plus_nanos(jump);
                sections.push(Section { shown: at..at + length, wall });
                (at, wall) = (at + length, wall.plus_nanos(length));
            }
            let captions = Captions::new(sections, Zone::UTC);
            let whole = captions.bytes(0..u64::MAX);
            proptest::prop_assert_eq!(whole.len() as u64, captions.size());
            let (mut number, mut shown) = (0, 0);
            for run in captions.runs() {
                let length = (run.shown.end - run.shown.start) / run.cues as i64;
                for cue in number..number + run.cues as i64 {
                    let (times, told) = captions.cue(cue);
                    proptest::prop_assert_eq!(times, shown..shown + length);
                    proptest::prop_assert_eq!(told.len(), TOLD_BYTES);
                    shown += length;
                }
                number += run.cues as i64;
            }
            proptest::prop_assert_eq!((number, shown), (captions.cues, at));
            let [a, b] = [cut.0, cut.1].map(|at| usize::from(at) % (whole.len() + 1));
            let (from, to) = (a.min(b), a.max(b));
            proptest::prop_assert_eq!(&captions.bytes(from as u64..to as u64), &whole[from..to]);
        }
    }
}
