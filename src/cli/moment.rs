//! Points in time as people write and read them.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use crate::config::duration;
use crate::units::WallTime;
use crate::zone::Zone;

/// A point in time as somebody wrote it. It becomes a [`WallTime`] in a zone and at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// With an offset or `Z`.
    Absolute(DateTime<Utc>),
    /// Date and time in the zone.
    Local(NaiveDateTime),
    /// A time so many days before today, in the zone.
    DaysAgo(u64, NaiveTime),
    /// So long ago.
    Ago(Duration),
}

/// Why a text is not a point in time, or not one of a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    /// None of the forms.
    #[error(
        "not a time; write \"2026-11-21 13:05\", 2026-11-21T13:05:00+01:00, 13:05, today, \
         \"yesterday 13:05\" or -10m"
    )]
    NotATime,
    /// The clock is put forward over it.
    #[error("{0} does not exist in {1}: the clock is put forward over it")]
    Skipped(NaiveDateTime, Zone),
    /// Before 1677 or after 2262: nanoseconds since 1970 do not fit 64 bits.
    #[error("out of range")]
    OutOfRange,
}

const DATE_TIMES: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"];
const TIMES: [&str; 2] = ["%H:%M:%S%.f", "%H:%M"];

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Moment, MomentError> {
        if let Some(length) = text.strip_prefix('-') {
            let length = duration::parse(length).map_err(|_| MomentError::NotATime)?;
            return Ok(Moment::Ago(length));
        }
        if let Ok(absolute) = DateTime::parse_from_rfc3339(text) {
            return Ok(Moment::Absolute(absolute.to_utc()));
        }
        let date_time = |form: &str| NaiveDateTime::parse_from_str(text, form).ok();
        if let Some(local) = DATE_TIMES.iter().find_map(|form| date_time(form)) {
            return Ok(Moment::Local(local));
        }
        if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Ok(Moment::Local(date.and_time(NaiveTime::MIN)));
        }
        let (days, rest) = match text {
            _ if text.starts_with("today") => (0, &text["today".len()..]),
            _ if text.starts_with("yesterday") => (1, &text["yesterday".len()..]),
            _ => return parse_time(text).map(|time| Moment::DaysAgo(0, time)),
        };
        match (rest, rest.strip_prefix(' ')) {
            ("", _) => Ok(Moment::DaysAgo(days, NaiveTime::MIN)),
            (_, Some(time)) => parse_time(time).map(|time| Moment::DaysAgo(days, time)),
            (_, None) => Err(MomentError::NotATime),
        }
    }
}

fn parse_time(text: &str) -> Result<NaiveTime, MomentError> {
    let time = |form: &str| NaiveTime::parse_from_str(text, form).ok();
    TIMES.iter().find_map(|form| time(form)).ok_or(MomentError::NotATime)
}

impl Moment {
    /// The point in time that is meant in `zone` at `now`. Of a local time that the clock shows
    /// twice, the first.
    ///
    /// # Errors
    /// A local time that the clock skips; a time that does not fit 64 bits of nanoseconds.
    pub fn resolve(self, zone: &Zone, now: WallTime) -> Result<WallTime, MomentError> {
        let local = match self {
            Moment::Absolute(time) => return wall_time(time),
            Moment::Ago(length) => {
                let nanos =
                    i64::try_from(length.as_nanos()).map_err(|_| MomentError::OutOfRange)?;
                return Ok(now.plus_nanos(-nanos));
            }
            Moment::Local(local) => local,
            Moment::DaysAgo(days, time) => {
                let today = zone.local(now).date_naive();
                let day = today.checked_sub_days(Days::new(days));
                day.ok_or(MomentError::OutOfRange)?.and_time(time)
            }
        };
        match zone.times_of(&local) {
            LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => wall_time(time.to_utc()),
            LocalResult::None => Err(MomentError::Skipped(local, zone.clone())),
        }
    }
}

fn wall_time(time: DateTime<Utc>) -> Result<WallTime, MomentError> {
    time.timestamp_nanos_opt().map(WallTime).ok_or(MomentError::OutOfRange)
}

/// A point in time for people, in `zone`, to the millisecond: `2026-11-21 13:05:00.120 +0100`.
#[must_use]
pub fn time_text(time: WallTime, zone: &Zone) -> String {
    zone.local(time).format("%Y-%m-%d %H:%M:%S%.3f %z").to_string()
}

/// A point in time for programs: RFC 3339 in UTC with all nine decimals.
#[must_use]
pub fn time_rfc3339(time: WallTime) -> String {
    DateTime::from_timestamp_nanos(time.0).format("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 12:00:00 UTC, 13:00 in Berlin.
    const NOW: WallTime = WallTime(1_795_262_400_000_000_000);

    fn berlin() -> Zone {
        Zone::named("Europe/Berlin").expect("in the database")
    }

    fn resolved(text: &str) -> String {
        let moment: Moment = text.parse().expect(text);
        time_rfc3339(moment.resolve(&berlin(), NOW).expect(text)).replace(".000000000", "")
    }

    #[test]
    fn every_documented_form_is_read() {
        assert_eq!(resolved("2026-11-21T13:05:00"), "2026-11-21T12:05:00Z");
        assert_eq!(resolved("2026-11-21T13:05:00Z"), "2026-11-21T13:05:00Z");
        assert_eq!(resolved("2026-11-21T13:05:00+02:00"), "2026-11-21T11:05:00Z");
        assert_eq!(resolved("2026-11-21 13:05"), "2026-11-21T12:05:00Z");
        assert_eq!(resolved("2026-07-01"), "2026-06-30T22:00:00Z");
        assert_eq!(resolved("13:05"), "2026-11-21T12:05:00Z");
        assert_eq!(resolved("today"), "2026-11-20T23:00:00Z");
        assert_eq!(resolved("today 13:05:30"), "2026-11-21T12:05:30Z");
        assert_eq!(resolved("yesterday 13:05"), "2026-11-20T12:05:00Z");
        assert_eq!(resolved("-10m"), "2026-11-21T11:50:00Z");
    }

    #[test]
    fn anything_else_is_refused() {
        for wrong in ["", "-", "-10", "25:00", "todayish", "today13:05", "2026-02-30", "now"] {
            assert_eq!(wrong.parse::<Moment>(), Err(MomentError::NotATime), "{wrong:?}");
        }
    }

    #[test]
    fn of_a_repeated_hour_the_first_is_meant_and_a_skipped_one_is_refused() {
        assert_eq!(resolved("2026-10-25 02:30"), "2026-10-25T00:30:00Z");
        let skipped: Moment = "2026-03-29 02:30".parse().unwrap();
        let error = skipped.resolve(&berlin(), NOW).unwrap_err();
        assert!(matches!(error, MomentError::Skipped(..)), "{error}");
        assert!(error.to_string().contains("Europe/Berlin"));
    }

    #[test]
    fn a_time_that_does_not_fit_is_refused() {
        let late: Moment = "2300-01-01".parse().unwrap();
        assert_eq!(late.resolve(&berlin(), NOW), Err(MomentError::OutOfRange));
        let long: Moment = "-99999w".parse().unwrap();
        assert_eq!(long.resolve(&berlin(), NOW), Err(MomentError::OutOfRange));
    }

    #[test]
    fn a_time_is_printed_with_its_offset() {
        assert_eq!(time_text(NOW, &berlin()), "2026-11-21 13:00:00.000 +0100");
        assert_eq!(time_rfc3339(NOW), "2026-11-21T12:00:00.000000000Z");
    }
}
