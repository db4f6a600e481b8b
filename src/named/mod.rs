//! What a name asks for that is made by being named: stretches of time, and a form of file. Pure.
//!
//! ```text
//! name   = range *( "," range ) "." form / instant ".key.mp4"
//! range  = day / from "--" to
//! from   = time / day / length         a length: so long before `to`
//! instant = time / "now"
//! to     = time / clock / day / "now"  a clock: the next time that shows it; a day: its end
//! time   = day "T" clock [ offset ]
//! day    = 2026-11-21
//! clock  = 13-05-00 [ "." 1*9 digits ]
//! offset = "Z" / ( "+" / "-" ) hhmm
//! length = 1*( digits ( "w" / "d" / "h" / "m" / "s" ) )
//! ```
//!
//! A time without an offset is that of the tree's zone: the first one, where the clock shows it
//! twice; where it never does, the time that it would be had the clock not been put forward. A
//! range has the footage that begins at `from` or later, and before `to`.

#![warn(clippy::indexing_slicing)]

mod form;
mod parser;
mod until;

use std::fmt;
use std::ops::Range;

use chrono::{DateTime, Utc};

pub use form::{Container, Form, Gaps};
pub use until::{parse_rfc3339, parse_until};

use self::parser::Parser;
use crate::units::{NANOS_PER_SECOND, WallTime};
use crate::zone::Zone;

/// How long before the time that is named a key frame may be.
const STILL_NANOS: i64 = 60 * NANOS_PER_SECOND;

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
    /// A range where one time is meant.
    #[error("a key frame is of one time, {0} is a stretch of it")]
    Instant(String),
    /// A time that is to come, and is not.
    #[error("{0:?} is over")]
    Over(String),
    /// A range without length.
    #[error("{0:?} ends before it begins")]
    Backwards(String),
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
        let mut at_once = parser.clone();
        if let Some(time) = at_once.instant()
            && let Some(form) = at_once.rest.strip_prefix('.').and_then(Form::named)
            && form.container == Container::Still
        {
            let ranges = vec![time.plus_nanos(-STILL_NANOS)..time.plus_nanos(1)];
            return Ok(Named { ranges, form });
        }
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
        if form.container == Container::Still {
            let said = name.strip_suffix(parser.rest).unwrap_or(name).trim_end_matches('.');
            return Err(NameError::Instant(said.to_owned()));
        }
        Ok(Named { ranges, form })
    }
}

/// The name that asks for these times in any zone and at any time.
impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: WallTime| {
            DateTime::<Utc>::from_timestamp_nanos(time.0).format("%Y-%m-%dT%H-%M-%S%.fZ")
        };
        if let (Container::Still, [range]) = (self.form.container, self.ranges.as_slice()) {
            return write!(f, "{}.{}", time(range.end.plus_nanos(-1)), self.form.name());
        }
        for (number, range) in self.ranges.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{}--{}", time(range.start), time(range.end))?;
        }
        write!(f, ".{}", self.form.name())
    }
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
        let ends =
            ["mp4", "frag.mp4", "m3u8", "master.m3u8", "keys.mp4", "timelapse-60x.mp4", "vtt"];
        for gaps in ["", "held.", "joined.", "strict."] {
            for end in ends.map(|end| format!("{gaps}{end}")) {
                let named = parsed(&format!("1h--now.{end}")).map(|named| named.form.name());
                assert_eq!(named, Ok(end));
            }
        }
        let timelapse = parsed("1h--now.timelapse-60x.mp4").map(|named| named.form.container);
        assert_eq!(timelapse, Ok(Container::Timelapse(60)));
        for end in
            ["timelapse-060x.mp4", "timelapse-1x.mp4", "timelapse-x.mp4", "timelapse-10001x.mp4"]
        {
            assert_eq!(parsed(&format!("1h--now.{end}")), Err(NameError::Form(end.to_owned())));
        }
        let held = Form { gaps: Gaps::Held, container: Container::Captions };
        assert_eq!(parsed("1h--now.held.vtt").map(|named| named.form), Ok(held));
    }

    #[test]
    fn a_key_frame_is_asked_for_by_one_time() {
        for name in ["now.key.mp4", "2026-11-21T14-00-00.key.mp4", "2026-11-21T13-00-00Z.key.mp4"] {
            assert_eq!(seconds(name), [(-60.0, 1e-9)], "{name}");
        }
        let fraction = parsed("2026-11-21T14-00-00.25.key.mp4").expect("a name");
        assert_eq!(fraction.to_string(), "2026-11-21T13-00-00.250Z.key.mp4");
        let error = |name: &str| parsed(name).expect_err("no name").to_string();
        assert!(error("10m--now.key.mp4").contains("10m--now is a stretch"));
        assert!(error("now.held.key.mp4").contains("\"--\" is missing"));
        assert!(error("2026-11-21.key.mp4").contains("2026-11-21 is a stretch"));
    }

    #[test]
    fn a_clip_is_asked_for_as_another_kind_of_file_by_the_end_of_its_name() {
        let asked = |name| Form::of_clip(name).map(|(stem, form)| (stem, form.container));
        assert_eq!(asked("13-10-00.frag.mp4"), Some(("13-10-00", Container::Fragments)));
        assert_eq!(asked("13-10-00.250.m3u8"), Some(("13-10-00.250", Container::Playlist)));
        assert_eq!(asked("a.master.m3u8"), Some(("a", Container::MasterPlaylist)));
        for name in
            ["13-10-00.mp4", "13-10-00.held.mp4", "13-10-00", "frag.mp4", ".vtt", "a.key.mp4"]
        {
            assert_eq!(asked(name), None, "{name}");
        }
    }

    #[test]
    fn the_name_for_ever_asks_for_the_same() {
        for name in ["10m--now.held.m3u8", "2026-11-21T14-00-05.25--14-00-06,2026-11-21.frag.mp4"] {
            let named = parsed(name).expect("a name");
            assert_eq!(parsed(&named.to_string()), Ok(named), "{name}");
        }
        let named = parsed("2026-11-21T14-00-05.25--14-00-06.mp4").expect("a name");
        assert_eq!(named.to_string(), "2026-11-21T13-00-05.250Z--2026-11-21T13-00-06Z.mp4");
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
