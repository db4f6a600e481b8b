//! Fields of a pattern: what each says of the time at which a clip begins, and where it may stand
//! so that names sort in time.

use std::fmt::{Display, Write as _};

use chrono::{Datelike, Timelike};

use super::hour::LocalStart;

/// A field, as strftime(3) has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Year,
    YearOfCentury,
    Month,
    MonthName,
    MonthShort,
    Day,
    DayOfYear,
    IsoYear,
    IsoWeek,
    IsoDay,
    WeekFromMonday,
    WeekFromSunday,
    Weekday,
    WeekdayShort,
    Hour,
    Minute,
    Second,
    EpochSecond,
}

const FIELDS: [(char, Field); 18] = [
    ('Y', Field::Year),
    ('y', Field::YearOfCentury),
    ('m', Field::Month),
    ('B', Field::MonthName),
    ('b', Field::MonthShort),
    ('d', Field::Day),
    ('j', Field::DayOfYear),
    ('G', Field::IsoYear),
    ('V', Field::IsoWeek),
    ('u', Field::IsoDay),
    ('W', Field::WeekFromMonday),
    ('U', Field::WeekFromSunday),
    ('A', Field::Weekday),
    ('a', Field::WeekdayShort),
    ('H', Field::Hour),
    ('M', Field::Minute),
    ('S', Field::Second),
    ('s', Field::EpochSecond),
];

/// Fields of strftime(3) that no name can have, and why.
const REFUSED: [(&[char], &str); 7] = [
    (&['I', 'l', 'p', 'P', 'r'], "does not sort in time; %H does"),
    (&['T', 'R', 'X', 'c', '+'], "has colons, which SMB can't show; write %H-%M-%S"),
    (&['D', 'x'], "has slashes, and does not sort in time; write %F"),
    (&['e', 'k'], "begins with a blank; %d and %H do not"),
    (&['z', 'Z'], "does not sort in time; what a clock shows twice is marked without it"),
    (&['C', 'g', 'w', 'h'], "is not known; %Y, %G, %u and %b are"),
    (&['n', 't'], "is no character of a name"),
];

/// A part of time that is given once a field has said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Year,
    IsoYear,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

const UNITS: usize = Unit::Second as usize + 1;

impl Unit {
    /// The field that gives it.
    fn field(self) -> &'static str {
        match self {
            Unit::Year => "%Y",
            Unit::IsoYear => "%G",
            Unit::Month => "%m",
            Unit::Week => "%V",
            Unit::Day => "%d",
            Unit::Hour => "%H",
            Unit::Minute => "%M",
            Unit::Second => "%S",
        }
    }
}

/// What the fields so far have given.
#[derive(Debug, Default)]
pub(super) struct Given([bool; UNITS]);

impl Given {
    fn add(&mut self, units: &[Unit]) {
        units.iter().for_each(|unit| self.0[*unit as usize] = true);
    }

    /// Another field follows.
    ///
    /// # Errors
    /// It does not sort in time behind those.
    pub(super) fn follow(&mut self, field: Field) -> Result<(), String> {
        if let Some(unit) = field.within().filter(|unit| !self.0[*unit as usize]) {
            let (field, unit) = (field.letter(), unit.field());
            return Err(format!("%{field} does not sort in time without {unit} in front of it"));
        }
        // Whoever knows the day knows what it is in.
        let day = [Unit::Year, Unit::IsoYear, Unit::Month, Unit::Week, Unit::Day];
        match field {
            Field::Year | Field::YearOfCentury => self.add(&[Unit::Year]),
            Field::IsoYear => self.add(&[Unit::IsoYear]),
            Field::Month => self.add(&[Unit::Month]),
            Field::IsoWeek => self.add(&[Unit::Week]),
            Field::Day | Field::DayOfYear | Field::IsoDay => self.add(&day),
            Field::Hour => self.add(&[Unit::Hour]),
            Field::Minute => self.add(&[Unit::Minute]),
            Field::Second => self.add(&[Unit::Second]),
            Field::EpochSecond => {
                self.add(&day);
                self.add(&[Unit::Hour, Unit::Minute, Unit::Second]);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Field {
    /// The field behind a percent sign.
    ///
    /// # Errors
    /// There is none, and why.
    pub(super) fn of(letter: char) -> Result<Field, String> {
        if let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == letter) {
            return Ok(*field);
        }
        match REFUSED.iter().find(|(known, _)| known.contains(&letter)) {
            Some((_, why)) => Err(format!("%{letter} {why}")),
            None => {
                let mut known: String =
                    FIELDS.iter().map(|(known, _)| format!("%{known} ")).collect();
                known.push_str("%F %%");
                Err(format!("%{letter} is none of {known}"))
            }
        }
    }

    fn letter(self) -> char {
        FIELDS.iter().find(|(_, field)| *field == self).map_or('?', |(letter, _)| *letter)
    }

    /// Within what it grows as time does; `None` where it always does.
    fn within(self) -> Option<Unit> {
        match self {
            Field::Year | Field::YearOfCentury | Field::IsoYear | Field::EpochSecond => None,
            Field::Month | Field::DayOfYear | Field::WeekFromMonday | Field::WeekFromSunday => {
                Some(Unit::Year)
            }
            Field::IsoWeek => Some(Unit::IsoYear),
            Field::IsoDay => Some(Unit::Week),
            // By the alphabet: it has to be one and the same.
            Field::MonthName | Field::MonthShort | Field::Day => Some(Unit::Month),
            Field::Weekday | Field::WeekdayShort | Field::Hour => Some(Unit::Day),
            Field::Minute => Some(Unit::Hour),
            Field::Second => Some(Unit::Minute),
        }
    }

    /// The most bytes that it comes to.
    pub(super) fn bytes_max(self) -> usize {
        match self {
            Field::MonthName | Field::Weekday => "September".len(),
            Field::Year | Field::IsoYear => 4,
            Field::DayOfYear | Field::MonthShort | Field::WeekdayShort => 3,
            // The seconds of all times that a clip may have.
            Field::EpochSecond => 11,
            _ => 2,
        }
    }

    pub(super) fn push(self, name: &mut String, start: &LocalStart) {
        let local = &start.time;
        let (number, digits) = match self {
            Field::Year => (local.year().unsigned_abs(), 4),
            Field::YearOfCentury => (local.year().rem_euclid(100).unsigned_abs(), 2),
            Field::IsoYear => (local.iso_week().year().unsigned_abs(), 4),
            Field::IsoWeek => (local.iso_week().week(), 2),
            Field::IsoDay => (local.weekday().number_from_monday(), 1),
            Field::WeekFromMonday => {
                ((local.ordinal() + 6 - local.weekday().num_days_from_monday()) / 7, 2)
            }
            Field::WeekFromSunday => {
                ((local.ordinal() + 6 - local.weekday().num_days_from_sunday()) / 7, 2)
            }
            Field::Month => (local.month(), 2),
            Field::Day => (local.day(), 2),
            Field::DayOfYear => (local.ordinal(), 3),
            Field::Hour => (local.hour(), 2),
            Field::Minute => (local.minute(), 2),
            Field::Second => (local.second(), 2),
            Field::EpochSecond => {
                return push_text(name, format_args!("{:010}", local.timestamp()));
            }
            Field::MonthName => return push_text(name, local.format("%B")),
            Field::MonthShort => return push_text(name, local.format("%b")),
            Field::Weekday => return push_text(name, local.format("%A")),
            Field::WeekdayShort => return push_text(name, local.format("%a")),
        };
        push_number(name, number, digits);
    }
}

fn push_text(name: &mut String, text: impl Display) {
    // Writing to a String can't fail.
    let _ = write!(name, "{text}");
}

/// A number of so many digits, at least.
pub(super) fn push_number(name: &mut String, number: u32, digits: usize) {
    push_text(name, format_args!("{number:0digits$}"));
}
