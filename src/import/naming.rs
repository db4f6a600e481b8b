//! Cameras and times that other recorders put into the names of their files. Pure.
//!
//! A pattern is a path from some folder on, with fields in it: those of strftime(3) that have as
//! many digits each, `{camera}`, and `*` for anything within one name. It has to say the day and
//! the hour, or seconds since 1970.

use std::path::Path;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use regex_lite::{Captures, Regex};

use crate::units::{NANOS_PER_SECOND, WallTime};
use crate::zone::Zone;

/// A field: its letter, what it is called in the expression, what it matches.
type Field = (char, &'static str, &'static str);

/// The fields of a time.
const FIELDS: [Field; 9] = [
    ('Y', "year", "[0-9]{4}"),
    ('y', "short", "[0-9]{2}"),
    ('m', "month", "[0-9]{2}"),
    ('d', "day", "[0-9]{2}"),
    ('H', "hour", "[0-9]{2}"),
    ('M', "minute", "[0-9]{2}"),
    ('S', "second", "[0-9]{2}"),
    ('f', "fraction", "[0-9]{1,9}"),
    ('s', "epoch", "[0-9]{9,11}"),
];
const CAMERA: Field = ('c', "camera", "[A-Za-z0-9._-]{1,64}?");
/// What years of two digits count from.
const CENTURY: u32 = 2000;
/// Digits of a fraction of a second at most.
const FRACTION_DIGITS: usize = 9;
/// Patterns are no longer, in bytes.
const PATTERN_BYTES_MAX: usize = 1024;

/// How files are named.
#[derive(Clone, Debug)]
pub struct NamePattern {
    expression: Regex,
    /// Whether names say whose footage it is.
    pub has_camera: bool,
    rounded_nanos: i64,
}

/// What the name of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromName {
    /// Whose footage it is.
    pub camera: Option<String>,
    /// When it begins.
    pub named: Named,
}

/// When a file begins, as its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// That or later.
    pub at: WallTime,
    /// By less than so many nanoseconds.
    pub rounded_nanos: i64,
}

impl NamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<NamePattern, String> {
        if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
            return Err(format!("has {} bytes; 1 to {PATTERN_BYTES_MAX} are allowed", text.len()));
        }
        let mut expression = "^(?:.*/)?".to_owned();
        let mut named: Vec<Field> = Vec::new();
        let mut rest = text.trim_start_matches('/');
        while let Some(letter) = rest.chars().next() {
            let behind = rest.get(letter.len_utf8()..).unwrap_or_default();
            let field;
            (field, rest) = match letter {
                '%' => match of_time(behind)? {
                    (Some(field), behind) => (Some(field), behind),
                    (None, behind) => {
                        expression.push('%');
                        (None, behind)
                    }
                },
                '{' => match behind.strip_prefix("camera}") {
                    Some(behind) => (Some(CAMERA), behind),
                    None => return Err("{ begins nothing but {camera}".to_owned()),
                },
                '*' => {
                    expression.push_str("[^/]*?");
                    (None, behind)
                }
                letter => {
                    expression.push_str(&regex_lite::escape(letter.encode_utf8(&mut [0; 4])));
                    (None, behind)
                }
            };
            let Some((letter, name, digits)) = field else { continue };
            if named.iter().any(|(known, ..)| *known == letter) {
                // What is said twice counts the first time.
                expression.push_str(digits);
            } else {
                expression.push_str(&format!("(?P<{name}>{digits})"));
                named.push((letter, name, digits));
            }
        }
        expression.push('$');
        let has = |wanted: char| named.iter().any(|(letter, ..)| *letter == wanted);
        let has_hour = (has('Y') || has('y')) && ['m', 'd', 'H'].into_iter().all(has);
        if !has_hour && !has('s') {
            return Err("says no time: it needs %Y or %y, %m, %d and %H, or %s".to_owned());
        }
        let rounded_nanos = match () {
            () if has('f') => 1,
            () if has('S') || has('s') => NANOS_PER_SECOND,
            () if has('M') => 60 * NANOS_PER_SECOND,
            () => 3600 * NANOS_PER_SECOND,
        };
        let expression = Regex::new(&expression).map_err(|error| error.to_string())?;
        Ok(NamePattern { expression, has_camera: has(CAMERA.0), rounded_nanos })
    }

    /// What the name of a file says, whose times are of a zone; `None` where it is named in another
    /// way.
    ///
    /// # Errors
    /// It names a time that never was.
    pub fn read(&self, path: &Path, zone: &Zone) -> Result<Option<FromName>, String> {
        let found = path.to_str().and_then(|text| self.expression.captures(text));
        let Some(found) = found else { return Ok(None) };
        let camera = found.name(CAMERA.1).map(|camera| camera.as_str().to_owned());
        let at = time_of(&found, zone).ok_or("its name says a time that never was")?;
        let named = Named { at, rounded_nanos: self.rounded_nanos };
        Ok(Some(FromName { camera, named }))
    }
}

/// The field behind a `%`, `None` for a `%` itself, and what comes behind it.
fn of_time(behind: &str) -> Result<(Option<Field>, &str), String> {
    let letter = behind.chars().next().ok_or("ends with %")?;
    let rest = behind.get(letter.len_utf8()..).unwrap_or_default();
    if letter == '%' {
        return Ok((None, rest));
    }
    match FIELDS.into_iter().find(|(known, ..)| *known == letter) {
        Some(field) => Ok((Some(field), rest)),
        None => {
            let known: Vec<String> = FIELDS.iter().map(|(it, ..)| format!("%{it}")).collect();
            Err(format!("%{letter} is no field of it; there are {}, %%", known.join(", ")))
        }
    }
}

/// The time that fields say. Of an hour that the clock shows twice it is the first one.
fn time_of(found: &Captures<'_>, zone: &Zone) -> Option<WallTime> {
    let number = |name: &str| -> Option<u32> {
        found.name(name).map_or(Some(0), |digits| digits.as_str().parse().ok())
    };
    let fraction = found.name("fraction").map_or("", |digits| digits.as_str());
    let nanos: u32 = format!("{fraction:0<FRACTION_DIGITS$}").parse().ok()?;
    if let Some(epoch) = found.name("epoch") {
        let seconds: i64 = epoch.as_str().parse().ok()?;
        return Some(WallTime(seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos.into())?));
    }
    let year = match found.name("year") {
        Some(_) => number("year")?,
        None => CENTURY + number("short")?,
    };
    let year = i32::try_from(year).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number("month")?, number("day")?)?;
    let time =
        NaiveTime::from_hms_nano_opt(number("hour")?, number("minute")?, number("second")?, nanos)?;
    let at = zone.times_of(&NaiveDateTime::new(date, time)).earliest()?;
    at.timestamp_nanos_opt().map(WallTime)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pattern: &str, path: &str, zone: &str) -> Option<(Option<String>, i64)> {
        let pattern = NamePattern::parse(pattern).expect("a pattern");
        let zone = Zone::named(zone).expect("a zone");
        let read = pattern.read(Path::new(path), &zone).expect("a time that was");
        read.map(|it| (it.camera, it.named.at.0))
    }

    #[test]
    fn names_of_other_recorders_say_camera_and_time() {
        let at = 1_772_370_310 * NANOS_PER_SECOND;
        let yard = || Some("yard".to_owned());
        for (pattern, path, wanted) in [
            (
                "%Y-%m-%d/%H/{camera}/%M.%S.mp4",
                "recordings/2026-03-01/13/yard/05.10.mp4",
                (yard(), at),
            ),
            (
                "{camera}/%Y-%m-%d_%H-%M-%S-%f.mp4",
                "yard/2026-03-01_13-05-10-000125.mp4",
                (yard(), at + 125_000),
            ),
            // motionEye, Motion, Shinobi, and ZoneMinder with its deep storage.
            (
                "{camera}/%Y-%m-%d/%H-%M-%S.mp4",
                "/var/lib/motioneye/yard/2026-03-01/13-05-10.mp4",
                (yard(), at),
            ),
            ("*-%Y%m%d%H%M%S.mp4", "/var/lib/motion/03-20260301130510.mp4", (None, at)),
            (
                "{camera}/%Y-%m-%dT%H-%M-%S.mp4",
                "Shinobi/videos/2Df5hBE/yard/2026-03-01T13-05-10.mp4",
                (yard(), at),
            ),
            (
                "%y/%m/%d/%H/%M/%S/*-video.mp4",
                "/var/cache/zoneminder/events/1/26/03/01/13/05/10/4711-video.mp4",
                (None, at),
            ),
            ("/{camera}_*_%s.ts", "a/yard_main_1772370310.ts", (yard(), at)),
            ("%Y%m%d%H%M%S*", "20260301130510.more.mkv", (None, at)),
            ("100%%/%Y-%m-%dT%H:%M:%S.mp4", "100%/2026-03-01T13:05:10.mp4", (None, at)),
        ] {
            assert_eq!(read(pattern, path, "Etc/UTC"), Some(wanted), "{pattern}");
        }
        let pattern = "{camera}/%Y-%m-%d %H.mp4";
        let berlin = read(pattern, "x/yard/2026-03-01 14.mp4", "Europe/Berlin");
        assert_eq!(berlin, Some((yard(), at - 310 * NANOS_PER_SECOND)));
        for path in ["yard/2026-03-01 14.mp4.tmp", "2026-03-01 14.mp4", "a b/2026-03-01 14.mp4"] {
            assert_eq!(read(pattern, path, "Etc/UTC"), None, "{path}");
        }
    }

    #[test]
    fn a_time_that_never_was_and_one_that_was_twice() {
        let pattern = NamePattern::parse("%Y-%m-%d_%H-%M.mp4").expect("a pattern");
        let zone = Zone::named("Europe/Berlin").expect("a zone");
        let read = |name: &str| pattern.read(Path::new(name), &zone);
        assert!(read("2026-03-29_02-30.mp4").is_err(), "the clock skips it");
        assert!(read("2026-02-30_02-30.mp4").is_err());
        let twice = read("2026-10-25_02-30.mp4").expect("a time").expect("its name");
        assert_eq!(twice.named.at.0, 1_792_888_200 * NANOS_PER_SECOND);
        assert_eq!(twice.named.rounded_nanos, 60 * NANOS_PER_SECOND);
    }

    #[test]
    fn a_pattern_that_says_nothing_is_refused() {
        for (pattern, word) in [
            ("", "0 bytes"),
            ("%Y-%m-%d.mp4", "says no time"),
            ("%q", "%q is no field"),
            ("{name}", "{camera}"),
            ("%s%", "ends with %"),
        ] {
            let error = NamePattern::parse(pattern).expect_err("it is none");
            assert!(error.contains(word), "{pattern}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_and_no_name_end_it_in_a_panic(
            pattern in "[%{}*a-zA-Z0-9/._-]{0,40}|(%[YymdHMSfs%]|[{]camera[}]|[*]|/|x){4,20}",
            path in "[0-9a-z/._-]{0,60}",
        ) {
            if let Ok(pattern) = NamePattern::parse(&pattern) {
                let zone = Zone::named("Europe/Berlin").unwrap();
                let _ = pattern.read(Path::new(&path), &zone);
            }
        }
    }
}
