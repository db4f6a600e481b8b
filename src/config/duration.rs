//! Lengths of time in words: `2s`, `10m`, `24h`, `14d`.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Units and their length in milliseconds, longest first.
const UNITS: [(&str, u64); 6] = [
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Why a text is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It does not begin with a digit.
    #[error("{0:?} is not a duration: a whole number and a unit, such as 10m")]
    NoNumber(String),
    /// Nothing behind the number.
    #[error("{0:?} has no unit: ms, s, m, h, d or w")]
    NoUnit(String),
    /// Something else behind the number.
    #[error("{0:?} is not a unit: ms, s, m, h, d and w are")]
    UnknownUnit(String),
    /// It does not fit.
    #[error("{0:?} is too long")]
    TooLong(String),
}

/// Reads a whole number with one of the units ms, s, m, h, d (24 hours), w (7 days).
///
/// # Errors
/// Says which part is missing or wrong.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    if number.is_empty() {
        return Err(DurationError::NoNumber(text.to_owned()));
    }
    if unit.is_empty() {
        return Err(DurationError::NoUnit(text.to_owned()));
    }
    let millis = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, millis)| *millis);
    let millis = millis.ok_or_else(|| DurationError::UnknownUnit(unit.to_owned()))?;
    let number: Option<u64> = number.parse().ok();
    let total = number.and_then(|number| number.checked_mul(millis));
    total.map(Duration::from_millis).ok_or_else(|| DurationError::TooLong(text.to_owned()))
}

/// As [`parse`], of a length between two others, both included.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_within(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let value = parse(text).map_err(|error| error.to_string())?;
    match range.contains(&value) {
        true => Ok(value),
        false => {
            let [value, least, most] = [value, *range.start(), *range.end()].map(self::text);
            Err(format!("{value} is not from {least} to {most}"))
        }
    }
}

/// The shortest text that [`parse`] reads as `duration`, which is cut to whole milliseconds.
/// Weeks are not used: `14d` is what people write.
#[must_use]
pub fn text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let whole = |unit: &&(&str, u64)| millis.is_multiple_of(unit.1);
    let (name, length) = UNITS[1..].iter().find(whole).unwrap_or(&("ms", 1));
    format!("{}{name}", millis / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_back() {
        for known in ["0s", "1ms", "200ms", "2s", "90s", "10m", "25h", "14d"] {
            assert_eq!(text(parse(known).unwrap()), known);
        }
        assert_eq!(text(parse("24h").unwrap()), "1d");
        assert_eq!(text(parse("2w").unwrap()), "14d");
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused() {
        let huge = "99999999999999999999s";
        assert_eq!(parse(huge), Err(DurationError::TooLong(huge.to_owned())));
        assert!(parse("18446744073709551615w").is_err());
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        assert!(matches!(parse(""), Err(DurationError::NoNumber(_))));
        assert!(matches!(parse("h"), Err(DurationError::NoNumber(_))));
        assert!(matches!(parse("5"), Err(DurationError::NoUnit(_))));
        assert!(matches!(parse("5 min"), Err(DurationError::UnknownUnit(_))));
        assert!(matches!(parse("1.5h"), Err(DurationError::UnknownUnit(_))));
    }
}
