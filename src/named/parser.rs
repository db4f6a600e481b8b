//! Reads the times of a name.

use std::ops::Range;

use chrono::offset::LocalResult;
use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

use super::NameError;
use crate::units::{NANOS_PER_SECOND, WallTime};
use crate::zone::Zone;

/// Digits of a fraction of a second at most.
const FRACTION_DIGITS_MAX: usize = 9;
/// No clock is put forward by more.
const DAY_NANOS: i64 = 24 * 3600 * NANOS_PER_SECOND;

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

/// What is left of a name, and what its times are relative to.
#[derive(Clone)]
pub(super) struct Parser<'a> {
    pub rest: &'a str,
    pub zone: &'a Zone,
    pub now: WallTime,
}

impl<'a> Parser<'a> {
    /// One time, where that is what is next.
    pub(super) fn instant(&mut self) -> Option<WallTime> {
        match self.point().ok()? {
            Point::At(time) => Some(time),
            Point::Now => Some(self.now),
            Point::Clock(_) | Point::Day(_) | Point::Before(_) => None,
        }
    }

    pub(super) fn range(&mut self) -> Result<Range<WallTime>, NameError> {
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
            (Point::Day(day), _) => self.end_of(day)?,
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

    /// A time that is to come: a day stands for its end, a length counts from now on.
    pub(super) fn until(&mut self) -> Result<WallTime, NameError> {
        let whole = self.rest;
        match self.point()? {
            Point::At(time) => Ok(time),
            Point::Day(day) => self.end_of(day),
            Point::Before(nanos) => Ok(self.now.plus_nanos(nanos)),
            Point::Clock(_) | Point::Now => Err(NameError::Time(whole.to_owned())),
        }
    }

    fn end_of(&self, day: NaiveDate) -> Result<WallTime, NameError> {
        let next = day.checked_add_days(Days::new(1));
        self.local(next.ok_or_else(|| NameError::Far(day.to_string()))?.into())
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
    pub(super) fn take(&mut self, expected: &str) -> bool {
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

    pub(super) fn missing(&self, expected: &'static str) -> NameError {
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
        'w' => 7 * 24 * 3600,
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
