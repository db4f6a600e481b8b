//! What a name asks for that is made by being named: stretches of time, and a form of file. Pure.
//!
//! ```text
//! name   = range *( "," range ) "." form
//! range  = day / from "--" to
//! from   = time / day / length         a length: so long before `to`
//! to     = time / clock / day / "now"  a clock: the next time that shows it; a day: its end
//! time   = day "T" clock [ offset ]
//! day    = 2026-11-21
//! clock  = 13-05-00 [ "." 1*9 digits ]
//! offset = "Z" / ( "+" / "-" ) hhmm
//! length = 1*( digits ( "d" / "h" / "m" / "s" ) )
//! ```
//!
//! A time without an offset is that of the tree's zone: the first one, where the clock shows it
//! twice; where it never does, the time that it would be had the clock not been put forward. A
//! range has the footage that begins at `from` or later, and before `to`.

#![warn(clippy::indexing_slicing)]

use std::ops::Range;

use chrono::offset::LocalResult;
use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

use crate::units::{NANOS_PER_SECOND, WallTime};
use crate::zone::Zone;

/// Digits of a fraction of a second at most.
const FRACTION_DIGITS_MAX: usize = 9;
/// No clock is put forward by more.
const DAY_NANOS: i64 = 24 * 3600 * NANOS_PER_SECOND;

/// Why a name asks for nothing that can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// What stands behind the ranges is none.
    #[error("{0:?} is no form of file: there are {forms}", forms = Form::names())]
    Form(String),
    /// What should be a time is none.
    #[error("{0:?} is no time: one is like 2026-11-21T13-05-00, 2026-11-21, 10m or now")]
    Time(String),
    /// There is no such date or time of day.
    #[error("{0:?} is in no calendar and on no clock")]
    Calendar(String),
    /// It is further away than can be counted.
    #[error("{0:?} is too far away")]
    Far(String),
    /// Something is missing.
    #[error("{expected} is missing before {found:?}")]
    Missing {
        /// What should be there.
        expected: &'static str,
        /// What is.
        found: String,
    },
    /// A range without length.
    #[error("{0:?} ends before it begins")]
    Backwards(String),
}

/// How a file of ranges is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// What becomes of time in which nothing was recorded.
    pub gaps: Gaps,
    /// What kind of file it is.
    pub container: Container,
}

/// What becomes of time in which nothing was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gaps {
    /// It is shown as that.
    Shown,
    /// The last picture stays.
    Held,
    /// It is left out.
    LeftOut,
    /// There is no file.
    Refused,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Container {
    /// ISO/IEC 14496-12.
    Mp4,
    /// The time on the wall, as subtitles (WebVTT) for the mp4 of the same name.
    Captions,
    /// What the mp4 of the same name has in it.
    Json,
}

impl Form {
    const GAPS: [(&'static str, Gaps); 4] = [
        ("", Gaps::Shown),
        ("held.", Gaps::Held),
        ("joined.", Gaps::LeftOut),
        ("strict.", Gaps::Refused),
    ];
    const CONTAINERS: [(&'static str, Container); 3] =
        [("mp4", Container::Mp4), ("vtt", Container::Captions), ("json", Container::Json)];

    /// All of them, with their names.
    fn all() -> impl Iterator<Item = (String, Form)> {
        Form::GAPS.into_iter().flat_map(|(first, gaps)| {
            let named =
                move |(last, container)| (format!("{first}{last}"), Form { gaps, container });
            Form::CONTAINERS.into_iter().map(named)
        })
    }

    fn named(name: &str) -> Option<Form> {
        Form::all().find(|(own, _)| own == name).map(|(_, form)| form)
    }

    fn names() -> String {
        Form::all().map(|(name, _)| format!(".{name}")).collect::<Vec<_>>().join(", ")
    }
}

/// What a name asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// At least one, none of them empty; in the order of the file, which may be any.
    pub ranges: Vec<Range<WallTime>>,
    /// How it is made.
    pub form: Form,
}

impl Named {
    /// Reads a name; `now` is what it calls so.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn parse(name: &str, zone: &Zone, now: WallTime) -> Result<Named, NameError> {
        let mut parser = Parser { rest: name, zone, now };
        let mut ranges = Vec::new();
        loop {
            ranges.push(parser.range()?);
            if !parser.take(",") {
                break;
            }
        }
        if !parser.take(".") {
            return Err(parser.missing("\",\" or \".\""));
        }
        let form = Form::named(parser.rest).ok_or_else(|| NameError::Form(parser.rest.into()))?;
        Ok(Named { ranges, form })
    }
}

/// What stands where a range begins or ends.
enum Point {
    At(WallTime),
    /// A time of day.
    Clock(NaiveTime),
    Day(NaiveDate),
    Now,
    /// So many nanoseconds before the end.
    Before(i64),
}

struct Parser<'a> {
    rest: &'a str,
    zone: &'a Zone,
    now: WallTime,
}

impl<'a> Parser<'a> {
    fn range(&mut self) -> Result<Range<WallTime>, NameError> {
        let whole = self.rest;
        let from = self.point()?;
        let to = match &from {
            Point::Day(day) if !self.rest.starts_with("--") => Point::Day(*day),
            _ if self.take("--") => self.point()?,
            _ => return Err(self.missing("\"--\"")),
        };
        let said = whole.strip_suffix(self.rest).unwrap_or(whole);
        let begin = match from {
            Point::At(time) => Some(time),
            Point::Day(day) => Some(self.local(day.into())?),
            Point::Before(_) => None,
            Point::Clock(_) | Point::Now => return Err(NameError::Time(said.to_owned())),
        };
        let to = match (to, begin) {
            (Point::At(time), _) => time,
            (Point::Now, _) => self.now,
            (Point::Day(day), _) => {
                let next = day.checked_add_days(Days::new(1));
                self.local(next.ok_or_else(|| NameError::Far(said.to_owned()))?.into())?
            }
            (Point::Clock(clock), Some(begin)) => self.next(begin, clock)?,
            (Point::Clock(_) | Point::Before(_), _) => {
                return Err(NameError::Time(said.to_owned()));
            }
        };
        let from = match from {
            Point::Before(nanos) => to.plus_nanos(-nanos),
            _ => begin.unwrap_or(to),
        };
        if from < to { Ok(from..to) } else { Err(NameError::Backwards(said.to_owned())) }
    }

    fn point(&mut self) -> Result<Point, NameError> {
        if self.take("now") {
            return Ok(Point::Now);
        }
        if let Some(nanos) = self.length()? {
            return Ok(Point::Before(nanos));
        }
        let Some(day) = self.shaped("dddd-dd-dd") else {
            let clock = self.shaped("dd-dd-dd").ok_or_else(|| NameError::Time(self.word()))?;
            return self.clock(clock).map(Point::Clock);
        };
        let date = NaiveDate::parse_from_str(day, "%Y-%m-%d");
        let date = date.map_err(|_| NameError::Calendar(day.to_owned()))?;
        match self.shaped("Tdd-dd-dd") {
            Some(clock) => self.time(date, clock.trim_start_matches('T')).map(Point::At),
            None => Ok(Point::Day(date)),
        }
    }

    /// A time of day, the fraction of its last second included.
    fn clock(&mut self, clock: &str) -> Result<NaiveTime, NameError> {
        let time = NaiveTime::parse_from_str(clock, "%H-%M-%S").ok();
        // A leap second is on no clock that this program reads.
        let time = time.filter(|time| time.nanosecond() < NANOS_PER_SECOND as u32);
        let time = time.and_then(|time| time.with_nanosecond(self.fraction()));
        time.ok_or_else(|| NameError::Calendar(clock.to_owned()))
    }

    /// What follows a date and the time of that day.
    fn time(&mut self, date: NaiveDate, clock: &str) -> Result<WallTime, NameError> {
        let local = date.and_time(self.clock(clock)?);
        match self.offset_minutes()? {
            None => self.local(local),
            Some(minutes) => {
                let utc = local.checked_sub_signed(TimeDelta::minutes(minutes));
                wall(utc.and_then(nanos_of), local)
            }
        }
    }

    /// Nanoseconds; none where no fraction follows.
    fn fraction(&mut self) -> u32 {
        let behind = self.rest.strip_prefix('.').unwrap_or_default();
        let digits = digits_of(behind).min(FRACTION_DIGITS_MAX);
        let (text, rest) = behind.split_at(digits);
        let Ok(value) = text.parse::<u32>() else { return 0 };
        self.rest = rest;
        value * 10_u32.pow((FRACTION_DIGITS_MAX - digits) as u32)
    }

    /// By how many minutes the clock is ahead of UTC, where that is said.
    fn offset_minutes(&mut self) -> Result<Option<i64>, NameError> {
        if self.take("Z") {
            return Ok(Some(0));
        }
        // Two minus signs are the end of the time.
        let Some(text) = self.shaped("+dddd").or_else(|| self.shaped("-dddd")) else {
            return Ok(None);
        };
        let (sign, digits) = text.split_at(1);
        let number: i64 = digits.parse().map_err(|_| NameError::Calendar(text.to_owned()))?;
        let (hours, minutes) = (number / 100, number % 100);
        if hours >= 24 || minutes >= 60 {
            return Err(NameError::Calendar(text.to_owned()));
        }
        let ahead = hours * 60 + minutes;
        Ok(Some(if sign == "-" { -ahead } else { ahead }))
    }

    /// When the zone's clock shows a time.
    fn local(&self, local: NaiveDateTime) -> Result<WallTime, NameError> {
        let nanos = match self.zone.times_of(&local) {
            LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => {
                time.timestamp_nanos_opt()
            }
            LocalResult::None => nanos_of(local).map(|utc| {
                let before = WallTime(utc.saturating_sub(DAY_NANOS));
                let offset = i64::from(self.zone.offset_seconds(before)) * NANOS_PER_SECOND;
                utc.saturating_sub(offset)
            }),
        };
        wall(nanos, local)
    }

    /// When the zone's clock next shows a time of day.
    fn next(&self, behind: WallTime, clock: NaiveTime) -> Result<WallTime, NameError> {
        let date = self.zone.local(behind).date_naive();
        let today = self.local(date.and_time(clock))?;
        let again = self.zone.times_of(&date.and_time(clock)).latest();
        let again = again.and_then(|time| time.timestamp_nanos_opt()).map(WallTime);
        if let Some(next) = [Some(today), again].into_iter().flatten().find(|it| *it > behind) {
            return Ok(next);
        }
        let tomorrow = date.checked_add_days(Days::new(1));
        let tomorrow = tomorrow.ok_or_else(|| NameError::Far(date.to_string()))?;
        self.local(tomorrow.and_time(clock))
    }

    /// Nanoseconds, where a length follows.
    fn length(&mut self) -> Result<Option<i64>, NameError> {
        let (mut rest, mut sum) = (self.rest, 0_i64);
        loop {
            let (digits, behind) = rest.split_at(digits_of(rest));
            let unit = behind.chars().next().and_then(nanos_of_unit);
            let Some(unit) = unit.filter(|_| !digits.is_empty()) else { break };
            let nanos = digits.parse::<i64>().ok().and_then(|count| count.checked_mul(unit));
            let longer = nanos.and_then(|nanos| sum.checked_add(nanos));
            sum = longer.ok_or_else(|| NameError::Far(self.word()))?;
            rest = behind.get(1..).unwrap_or_default();
        }
        let is_any = rest.len() < self.rest.len();
        self.rest = rest;
        Ok(is_any.then_some(sum))
    }

    /// Takes what is next, where it is that.
    fn take(&mut self, expected: &str) -> bool {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes what is next, where it has that shape: a `d` stands for any digit.
    fn shaped(&mut self, shape: &str) -> Option<&'a str> {
        let (found, rest) = self.rest.split_at_checked(shape.len())?;
        let fits = |(wanted, byte): (u8, u8)| match wanted {
            b'd' => byte.is_ascii_digit(),
            _ => byte == wanted,
        };
        let is_it = shape.bytes().zip(found.bytes()).all(fits);
        is_it.then(|| {
            self.rest = rest;
            found
        })
    }

    fn missing(&self, expected: &'static str) -> NameError {
        NameError::Missing { expected, found: self.word() }
    }

    /// What is next, up to where something else begins.
    fn word(&self) -> String {
        let end = ["--", ","].iter().filter_map(|end| self.rest.find(end)).min();
        self.rest.get(..end.unwrap_or(self.rest.len())).unwrap_or_default().to_owned()
    }
}

/// How many digits a text begins with.
fn digits_of(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The length of what a letter stands for.
fn nanos_of_unit(unit: char) -> Option<i64> {
    let seconds = match unit {
        'd' => 24 * 3600,
        'h' => 3600,
        'm' => 60,
        's' => 1,
        _ => return None,
    };
    Some(seconds * NANOS_PER_SECOND)
}

fn nanos_of(utc: NaiveDateTime) -> Option<i64> {
    utc.and_utc().timestamp_nanos_opt()
}

fn wall(nanos: Option<i64>, local: NaiveDateTime) -> Result<WallTime, NameError> {
    nanos.map(WallTime).ok_or_else(|| NameError::Far(local.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 13:00:00 UTC.
    const NOON: i64 = 1_795_266_000;

    fn parsed(name: &str) -> Result<Named, NameError> {
        let zone = Zone::named("Europe/Berlin").expect("a zone");
        Named::parse(name, &zone, WallTime(NOON * NANOS_PER_SECOND))
    }

    /// Begin and end of the ranges that a name asks for, in seconds since [`NOON`].
    fn seconds(name: &str) -> Vec<(f64, f64)> {
        let of = |time: WallTime| (time.0 - NOON * NANOS_PER_SECOND) as f64 / 1e9;
        let named = parsed(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        named.ranges.iter().map(|range| (of(range.start), of(range.end))).collect()
    }

    #[test]
    fn every_way_to_name_a_time_is_understood() {
        let named = [
            ("2026-11-21T14-00-00--2026-11-21T14-00-10.mp4", (0.0, 10.0)),
            ("2026-11-21T14-00-00.25--14-00-10.mp4", (0.25, 10.0)),
            ("2026-11-21T14-00-00--14-00-10.000000001.mp4", (0.0, 10.000_000_001)),
            ("2026-11-21T13-00-00Z--2026-11-21T08-00-10-0500.mp4", (0.0, 10.0)),
            ("2026-11-21T18-30-00.5+0530--2026-11-21T18-30-02+0530.mp4", (0.5, 2.0)),
            ("10m--now.mp4", (-600.0, 0.0)),
            ("1d2h3m4s--2026-11-21T14-00-00.mp4", (-93_784.0, 0.0)),
            ("2026-11-21.mp4", (-50_400.0, 36_000.0)),
            ("2026-11-21--2026-11-22.mp4", (-50_400.0, 122_400.0)),
            ("2026-11-21T23-59-50--00-00-10.mp4", (35_990.0, 36_010.0)),
            ("2026-11-21--now.held.mp4", (-50_400.0, 0.0)),
        ];
        for (name, expected) in named {
            assert_eq!(seconds(name), [expected], "{name}");
        }
        let several = "2026-11-21T14-00-05--14-00-06,2026-11-21T14-00-00--14-00-01.joined.mp4";
        assert_eq!(seconds(several), [(5.0, 6.0), (0.0, 1.0)]);
    }

    #[test]
    fn the_form_is_the_end_of_the_name() {
        for (end, form) in Form::all() {
            let named = parsed(&format!("1h--now.{end}")).map(|named| named.form);
            assert_eq!(named, Ok(form), "{end}");
        }
        let held = Form { gaps: Gaps::Held, container: Container::Captions };
        assert_eq!(parsed("1h--now.held.vtt").map(|named| named.form), Ok(held));
    }

    #[test]
    fn an_hour_that_repeats_is_the_first_one_and_one_that_is_left_out_goes_on() {
        let clocks = |name: &str| {
            let range = parsed(name).expect("a name").ranges.remove(0);
            [range.start, range.end].map(|time| {
                let local = Zone::UTC.local(time);
                local.format("%m-%d %H:%M").to_string()
            })
        };
        let twice = clocks("2026-10-25T02-30-00--2026-10-25T02-30-00+0100.mp4");
        assert_eq!(twice, ["10-25 00:30", "10-25 01:30"]);
        assert_eq!(clocks("2026-03-29T02-30-00--03-45-00.mp4"), ["03-29 01:30", "03-29 01:45"]);
        let second = clocks("2026-10-25T02-30-00+0100--02-45-00.mp4");
        assert_eq!(second, ["10-25 01:30", "10-25 01:45"], "within the second pass");
        let into = clocks("2026-10-25T02-30-00--02-25-00.mp4");
        assert_eq!(into, ["10-25 00:30", "10-25 01:25"], "55 minutes later");
        assert_eq!(clocks("2026-10-25.mp4"), ["10-24 22:00", "10-25 23:00"], "a day of 25 hours");
    }

    #[test]
    fn what_asks_for_nothing_is_told_why() {
        let time = |text: &str| NameError::Time(text.to_owned());
        let calendar = |text: &str| NameError::Calendar(text.to_owned());
        let backwards = |text: &str| NameError::Backwards(text.to_owned());
        let missing =
            |expected, found: &str| NameError::Missing { expected, found: found.to_owned() };
        let refused = [
            ("", time("")),
            ("README", time("README")),
            (".mp4", time(".mp4")),
            ("yesterday--now.mp4", time("yesterday")),
            ("now--now.mp4", time("now--now")),
            ("13-00-00--now.mp4", time("13-00-00--now")),
            ("10m--13-00-00.mp4", time("10m--13-00-00")),
            ("2026-11-21T13-00-00--10m.mp4", time("2026-11-21T13-00-00--10m")),
            ("2026-02-29.mp4", calendar("2026-02-29")),
            ("2026-11-21T24-00-00--now.mp4", calendar("24-00-00")),
            ("2026-11-21T23-59-60--now.mp4", calendar("23-59-60")),
            ("2026-11-21T13-00-00+2400--now.mp4", calendar("+2400")),
            ("0s--now.mp4", backwards("0s--now")),
            ("2026-11-22--2026-11-21.mp4", backwards("2026-11-22--2026-11-21")),
            ("9999-12-31.mp4", NameError::Far("9999-12-31 00:00:00".to_owned())),
            ("99999999999999999999d--now.mp4", NameError::Far("99999999999999999999d".to_owned())),
            ("2026-11-21T13-00-00.mp4", missing("\"--\"", ".mp4")),
            ("1h--now", missing("\",\" or \".\"", "")),
            ("1h--now mp4", missing("\",\" or \".\"", " mp4")),
            ("1h--now.MP4", NameError::Form("MP4".to_owned())),
            ("1h--now.mp4/x", NameError::Form("mp4/x".to_owned())),
            ("1h--now,.mp4", time(".mp4")),
        ];
        for (name, error) in refused {
            assert_eq!(parsed(name), Err(error), "{name:?}");
        }
    }

    proptest::proptest! {
        /// Whatever is asked for, nothing panics, and what is understood has a length.
        #[test]
        fn any_text_is_a_name_or_a_reason(
            words in proptest::collection::vec(
                "2026-1[0-3]-[0-3][0-9](T[0-2][0-9]-[0-6][0-9]-00)?|[0-9]{1,20}[dhms]|now|,|--|\\.\
                 |Z|[+-][0-9]{4}|mp4|\\PC",
                0..8,
            ),
        ) {
            if let Ok(named) = parsed(&words.concat()) {
                proptest::prop_assert!(named.ranges.iter().all(|range| range.start < range.end));
            }
        }
    }
}
