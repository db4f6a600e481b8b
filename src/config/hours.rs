//! When a camera is recorded: always, never, or at hours of the week.

use std::fmt;

use super::document::ConfigError;
use super::keys;
use super::section::Section;

/// As in the file, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const DAY_MINUTES: u32 = 24 * 60;
const WEEK_MINUTES: u32 = 7 * DAY_MINUTES;
/// More are not written by hand.
const SPANS_MAX: usize = 128;

/// What the settings say of when a camera is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// At any time.
    Always,
    /// Not at all, until somebody switches it on.
    Off,
    /// At these hours, and at no other.
    Hours(Hours),
}

impl Recorded {
    pub(super) fn read(section: &Section<'_>) -> Result<Recorded, ConfigError> {
        let text = section.string(&keys::CAMERA_RECORD)?;
        match text.value.as_str() {
            "always" => Ok(Recorded::Always),
            keys::OFF => Ok(Recorded::Off),
            hours => Hours::parse(hours).map(Recorded::Hours).map_err(|why| text.refuse(why)),
        }
    }

    /// Whether it is recorded at this minute of the week, counted from the beginning of Monday.
    #[must_use]
    pub fn is_on(&self, minute_of_week: u32) -> bool {
        match self {
            Recorded::Always => true,
            Recorded::Off => false,
            Recorded::Hours(hours) => hours.contains(minute_of_week),
        }
    }
}

/// Hours of the week, by the clock on the wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Beginnings, in minutes from the beginning of Monday, and lengths, in minutes.
    spans: Vec<(u32, u32)>,
    text: String,
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl Hours {
    /// Reads `[DAY[-DAY]] HH:MM-HH:MM`, several of them with commas between; without a day it is
    /// every day. What ends no later than it begins ends on the next day.
    ///
    /// # Errors
    /// Which part is none, and why.
    pub fn parse(text: &str) -> Result<Hours, String> {
        let mut spans = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (days, times) = part.rsplit_once(' ').unwrap_or(("", part));
            let wrong = |why: &str| format!("{part:?}: {why}; write \"mon-fri 18:00-07:00\"");
            let days = days_of(days.trim()).ok_or_else(|| wrong("no days"))?;
            let times = times.split_once('-').and_then(|(from, to)| Some((time(from)?, time(to)?)));
            let (from, to) = times.ok_or_else(|| wrong("no time from one hour to another"))?;
            if from == DAY_MINUTES {
                return Err(wrong("a day begins at 00:00"));
            }
            let length = if to > from { to - from } else { to + DAY_MINUTES - from };
            spans.extend(days.into_iter().map(|day| (day * DAY_MINUTES + from, length)));
            if spans.len() > SPANS_MAX {
                return Err(format!("more than {SPANS_MAX} of them"));
            }
        }
        Ok(Hours { spans, text: text.to_owned() })
    }

    fn contains(&self, minute_of_week: u32) -> bool {
        let since = |from: u32| (minute_of_week + WEEK_MINUTES - from) % WEEK_MINUTES;
        self.spans.iter().any(|(from, length)| since(*from) < *length)
    }
}

/// Days of the week by their numbers.
fn days_of(text: &str) -> Option<Vec<u32>> {
    let number = |name: &str| DAYS.iter().position(|day| name.eq_ignore_ascii_case(day));
    let (first, last) = match (text, text.split_once('-')) {
        ("", _) => (0, 6),
        (_, Some((first, last))) => (number(first)?, number(last)?),
        (day, None) => (number(day)?, number(day)?),
    };
    let count = (last + 7 - first) % 7 + 1;
    Some((0..count).map(|day| ((first + day) % 7) as u32).collect())
}

/// Minutes of a day: 00:00 to 24:00.
fn time(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| text.parse::<u32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= DAY_MINUTES).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u32, hour: u32, minute: u32) -> u32 {
        day * DAY_MINUTES + hour * 60 + minute
    }

    #[test]
    fn hours_are_those_of_their_days() {
        let hours = Hours::parse("mon-fri 18:00-07:00, Sat 12:30-24:00").unwrap();
        for (minute, is_on) in [
            (at(0, 17, 59), false),
            (at(0, 18, 0), true),
            (at(1, 6, 59), true),
            (at(1, 7, 0), false),
            (at(5, 6, 59), true),
            (at(5, 12, 29), false),
            (at(5, 23, 59), true),
            (at(6, 0, 0), false),
            (at(0, 1, 0), false),
        ] {
            assert_eq!(hours.contains(minute), is_on, "{minute}");
        }
    }

    #[test]
    fn days_and_times_go_over_the_end_of_week_and_day() {
        let weekend = Hours::parse("fri-mon 22:00-02:00").unwrap();
        assert!(weekend.contains(at(0, 0, 30)) && weekend.contains(at(1, 1, 59)));
        assert!(weekend.contains(at(6, 23, 0)) && !weekend.contains(at(2, 1, 0)));
        let all = Hours::parse("00:00-00:00").unwrap();
        assert!((0..WEEK_MINUTES).all(|minute| all.contains(minute)));
    }

    #[test]
    fn what_are_no_hours_is_refused() {
        for text in [
            "",
            "mon",
            "18:00",
            "8:00-9:00",
            "18:00-25:00",
            "18:60-19:00",
            "24:00-01:00",
            "mo 10:00-11:00",
            "mon- 10:00-11:00",
            "18:00-19:00,",
            "+8:00-09:00",
        ] {
            let error = Hours::parse(text).unwrap_err();
            assert!(error.contains("; write \"mon-fri"), "{text}: {error}");
        }
    }
}
