//! Local time: which offset from UTC a zone's clock has, and when. Pure.
//!
//! A zone is one of the time zone database, which is built in, or what a TZif file (RFC 9636) or a
//! `TZ` string (POSIX.1-2024, 8.3) says of it.

use std::fmt;
use std::sync::Arc;

use chrono::offset::LocalResult;
use chrono::{DateTime, Datelike, FixedOffset, NaiveDateTime, Offset, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use jiff::tz::AmbiguousOffset;

use crate::units::{NANOS_PER_SECOND, WallTime};

/// When the rule of a `TZ` string names none: what the C library takes then.
const RULE_DEFAULT: &str = ",M3.2.0,M11.1.0";

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Named(Tz),
    Rules { source: Arc<str>, rules: jiff::tz::TimeZone },
}

/// The second time that a clock shows an hour, or how much of one it was put back by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondPass {
    /// The first local time that is shown again.
    pub from: NaiveDateTime,
    /// The first local time behind it.
    pub to: NaiveDateTime,
}

impl Zone {
    /// The zone whose clock shows UTC.
    pub const UTC: Zone = Zone(Kind::Named(Tz::UTC));

    /// The zone of that name in the time zone database; `None` where there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Zone> {
        name.parse().ok().map(|zone| Zone(Kind::Named(zone)))
    }

    /// The names of all zones in the time zone database.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// The zone that a `TZ` string of POSIX describes: `CET-1CEST,M3.5.0,M10.5.0/3`, `<+03>-3`.
    ///
    /// # Errors
    /// Says why it is none.
    pub fn posix(text: &str) -> Result<Zone, String> {
        let parsed = jiff::tz::TimeZone::posix(text).or_else(|error| match text.contains(',') {
            true => Err(error),
            false => jiff::tz::TimeZone::posix(&format!("{text}{RULE_DEFAULT}")).map_err(|_| error),
        });
        let rules = parsed.map_err(|error| error.to_string())?;
        Ok(Zone(Kind::Rules { source: text.into(), rules }))
    }

    /// The zone that the content of a TZif file describes; `source` says which file that is.
    ///
    /// # Errors
    /// Says why it is none.
    pub fn tzif(source: &str, bytes: &[u8]) -> Result<Zone, String> {
        let rules = jiff::tz::TimeZone::tzif(source, bytes).map_err(|error| error.to_string())?;
        Ok(Zone(Kind::Rules { source: source.into(), rules }))
    }

    /// Whether the zone is one of the time zone database.
    #[must_use]
    pub fn is_named(&self) -> bool {
        matches!(self.0, Kind::Named(_))
    }

    /// Seconds by which local time is ahead of UTC at `wall`.
    #[must_use]
    pub fn offset_seconds(&self, wall: WallTime) -> i32 {
        match &self.0 {
            Kind::Named(zone) => {
                let utc = DateTime::from_timestamp_nanos(wall.0).naive_utc();
                zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()
            }
            Kind::Rules { rules, .. } => {
                // All of 64 bits of nanoseconds is in the range of a timestamp.
                let time = jiff::Timestamp::from_nanosecond(i128::from(wall.0)).unwrap_or_default();
                fixed(rules.to_offset(time).seconds()).local_minus_utc()
            }
        }
    }

    /// The local date and time at `wall`.
    #[must_use]
    pub fn local(&self, wall: WallTime) -> DateTime<FixedOffset> {
        let offset = fixed(self.offset_seconds(wall));
        DateTime::from_timestamp_nanos(wall.0).with_timezone(&offset)
    }

    /// The minute of the local week at `wall`, counted from the beginning of Monday.
    #[must_use]
    pub fn minute_of_week(&self, wall: WallTime) -> u32 {
        let local = self.local(wall);
        let hours = local.weekday().num_days_from_monday() * 24 + local.hour();
        hours * 60 + local.minute()
    }

    /// When the clock shows `local`: once, never, or twice, the earlier first.
    #[must_use]
    pub fn times_of(&self, local: &NaiveDateTime) -> LocalResult<DateTime<FixedOffset>> {
        let offsets = match &self.0 {
            Kind::Named(zone) => zone.offset_from_local_datetime(local).map(|offset| offset.fix()),
            Kind::Rules { rules, .. } => offsets_by_rules(rules, local),
        };
        offsets.map(|offset| {
            // At the ends of chrono's range, far outside of ours, any time will do.
            let utc = local.checked_sub_offset(offset).unwrap_or(*local);
            DateTime::from_naive_utc_and_offset(utc, offset)
        })
    }

    /// Whether the clock shows the local time of `wall` twice, in the hour that a change of the
    /// clock repeats. True for both passes.
    #[must_use]
    pub fn shows_twice(&self, wall: WallTime) -> bool {
        matches!(self.times_of(&self.local(wall).naive_local()), LocalResult::Ambiguous(..))
    }

    /// What is repeated, where `wall` is in the second pass of it.
    #[must_use]
    pub fn second_pass(&self, wall: WallTime) -> Option<SecondPass> {
        let local = self.local(wall);
        let LocalResult::Ambiguous(first, second) = self.times_of(&local.naive_local()) else {
            return None;
        };
        if local.offset() != second.offset() {
            return None;
        }
        let first_pass = WallTime(first.timestamp_nanos_opt()?);
        let change = DateTime::from_timestamp_nanos(self.change_between(first_pass, wall).0);
        let from = change.with_timezone(second.offset()).naive_local();
        let to = change.with_timezone(first.offset()).naive_local();
        Some(SecondPass { from, to })
    }

    /// The instant of the clock change between `before` and `after`, whose offsets differ.
    #[must_use]
    pub fn change_between(&self, before: WallTime, after: WallTime) -> WallTime {
        let old = self.offset_seconds(before);
        let (mut low, mut high) = (before.0, after.0);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.offset_seconds(WallTime(middle)) == old {
                low = middle;
            } else {
                high = middle;
            }
        }
        WallTime(high)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Named(zone) => f.write_str(zone.name()),
            Kind::Rules { source, .. } => f.write_str(source),
        }
    }
}

/// Whether the clock of any zone in the database shows its time of `wall` twice.
#[must_use]
pub fn is_shown_twice_anywhere(wall: WallTime) -> bool {
    TZ_VARIANTS.iter().any(|zone| Zone(Kind::Named(*zone)).shows_twice(wall))
}

fn offsets_by_rules(rules: &jiff::tz::TimeZone, local: &NaiveDateTime) -> LocalResult<FixedOffset> {
    let small = |value: u32| i8::try_from(value).unwrap_or(0);
    let nanos = i32::try_from(local.nanosecond() % NANOS_PER_SECOND as u32).unwrap_or(0);
    let civil = i16::try_from(local.year()).map(|year| {
        let (month, day) = (small(local.month()), small(local.day()));
        let (hour, minute, second) =
            (small(local.hour()), small(local.minute()), small(local.second()));
        jiff::civil::DateTime::new(year, month, day, hour, minute, second, nanos)
    });
    // Years that only chrono knows have no local time.
    let Ok(Ok(civil)) = civil else { return LocalResult::None };
    match rules.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => LocalResult::Single(fixed(offset.seconds())),
        AmbiguousOffset::Gap { .. } => LocalResult::None,
        AmbiguousOffset::Fold { before, after } => {
            LocalResult::Ambiguous(fixed(before.seconds()), fixed(after.seconds()))
        }
    }
}

/// An offset of a day or more, which POSIX allows and no zone has, is cut to less.
fn fixed(seconds: i32) -> FixedOffset {
    const LESS_THAN_A_DAY: i32 = 86_399;
    let seconds = seconds.clamp(-LESS_THAN_A_DAY, LESS_THAN_A_DAY);
    FixedOffset::east_opt(seconds).unwrap_or(Utc.fix())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK_NANOS: i64 = 7 * 86_400 * NANOS_PER_SECOND;

    fn named(name: &str) -> Zone {
        Zone::named(name).expect(name)
    }

    #[test]
    fn a_zone_that_was_renamed_is_known_by_both_names_and_is_the_same() {
        for (old, new) in [
            ("Europe/Kiev", "Europe/Kyiv"),
            ("Asia/Calcutta", "Asia/Kolkata"),
            ("America/Godthab", "America/Nuuk"),
            ("Asia/Rangoon", "Asia/Yangon"),
            ("US/Pacific", "America/Los_Angeles"),
        ] {
            let (old, new) = (named(old), named(new));
            for week in 0..70 * 52 {
                let time = WallTime(week * WEEK_NANOS);
                assert_eq!(old.offset_seconds(time), new.offset_seconds(time), "{new} at {time}");
            }
        }
    }

    #[test]
    fn rules_say_what_the_database_says() {
        let (rules, berlin) = (Zone::posix("CET-1CEST,M3.5.0,M10.5.0/3"), named("Europe/Berlin"));
        let rules = rules.expect("a rule");
        // From 2000 on, around each hour of a year with both changes, and for forty years.
        for time in (0..24 * 366)
            .map(|hour| (1_767_225_600 + hour * 3600) * NANOS_PER_SECOND)
            .chain((0..40 * 52).map(|week| 946_684_800 * NANOS_PER_SECOND + week * WEEK_NANOS))
            .map(WallTime)
        {
            assert_eq!(rules.local(time), berlin.local(time));
            assert_eq!(rules.second_pass(time), berlin.second_pass(time));
            let local = berlin.local(time).naive_local();
            assert_eq!(rules.times_of(&local), berlin.times_of(&local));
        }
        let skipped = "2026-03-29T02:30:00".parse().expect("a time");
        assert_eq!(rules.times_of(&skipped), LocalResult::None);
    }

    #[test]
    fn what_any_zone_shows_twice_is_known_without_its_name() {
        let at = |text: &str| {
            let time = DateTime::parse_from_rfc3339(text).expect(text);
            WallTime(time.timestamp_nanos_opt().expect(text))
        };
        for time in ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-04-04T15:10:00Z"] {
            assert!(is_shown_twice_anywhere(at(time)), "{time}");
        }
        assert!(!is_shown_twice_anywhere(at("2026-07-01T12:00:00Z")));
        assert!(!is_shown_twice_anywhere(at("2026-03-29T00:30:00Z")), "forward");
    }

    #[test]
    fn all_times_have_a_local_one() {
        for zone in [named("Europe/Berlin"), Zone::posix("<+24>-24").expect("a rule")] {
            for time in [WallTime(i64::MIN), WallTime(0), WallTime(i64::MAX)] {
                let local = zone.local(time);
                assert_eq!(local.offset().local_minus_utc(), zone.offset_seconds(time));
                let _ = (zone.shows_twice(time), zone.second_pass(time));
            }
        }
        assert!(Zone::tzif("nothing", b"TZif2").is_err() && Zone::posix("Europe/Berln").is_err());
    }
}
