//! Until when something is kept, as it is said by hand.

use chrono::DateTime;

use super::NameError;
use super::parser::Parser;
use crate::units::WallTime;
use crate::zone::Zone;

/// What says that there is no end.
const FOREVER: &str = "forever";

/// Reads a time of RFC 3339, with its offset.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<WallTime> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    time.timestamp_nanos_opt().map(WallTime)
}

/// Reads until when something is to be kept; `None`: until somebody says otherwise.
///
/// ```text
/// until  = "forever" / day / time / length   a day: up to its end; a length: from now on
/// ```
///
/// A time is one of a name, or of RFC 3339.
///
/// # Errors
/// What is wrong with it, as that it is over.
pub fn parse_until(text: &str, zone: &Zone, now: WallTime) -> Result<Option<WallTime>, NameError> {
    let text = text.trim();
    if text == FOREVER {
        return Ok(None);
    }
    let until = match parse_rfc3339(text) {
        Some(time) => time,
        None => {
            let in_names = text.replace(':', "-");
            let mut parser = Parser { rest: &in_names, zone, now };
            let until = parser.until()?;
            if !parser.rest.is_empty() {
                return Err(NameError::Time(text.to_owned()));
            }
            until
        }
    };
    match until > now {
        true => Ok(Some(until)),
        false => Err(NameError::Over(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NANOS_PER_SECOND;

    /// 2026-11-21 13:00:00 UTC, in s.
    const NOON: i64 = 1_795_266_000;

    fn parsed(text: &str) -> Result<Option<i64>, NameError> {
        let zone = Zone::named("Europe/Berlin").expect("a zone");
        let until = parse_until(text, &zone, WallTime(NOON * NANOS_PER_SECOND))?;
        Ok(until.map(|until| until.0 / NANOS_PER_SECOND - NOON))
    }

    #[test]
    fn it_is_for_ever_or_up_to_a_time_or_for_a_while() {
        const DAY: i64 = 86_400;
        let said = [
            ("forever", None),
            ("forever\n", None),
            ("90d", Some(90 * DAY)),
            ("2w1d12h", Some(15 * DAY + 43_200)),
            ("2026-11-21", Some(10 * 3600)),
            ("2027-01-31", Some(10 * 3600 + 71 * DAY)),
            ("2026-11-21T14:00:01", Some(1)),
            ("2026-11-21T14-00-01", Some(1)),
            ("2026-11-21T13-00-01Z", Some(1)),
            ("2026-11-21T13:00:01.5Z", Some(1)),
            ("2026-11-21T15:00:01+02:00", Some(1)),
        ];
        for (text, seconds) in said {
            assert_eq!(parsed(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_or_is_over_is_refused() {
        let wrong = [
            "",
            "now",
            "soon",
            "90",
            "d",
            "14-00-01",
            "2026-11-21T",
            "2026-02-30",
            "90d--now",
            "for ever",
            "99999999999999d",
            "2026-11-21T25:00:00",
        ];
        for text in wrong {
            assert!(parsed(text).is_err(), "{text:?}");
        }
        for over in ["2026-11-20", "2026-11-21T14:00:00", "0s", "1999-01-01T00:00:00Z"] {
            assert_eq!(parsed(over), Err(NameError::Over(over.to_owned())));
        }
    }
}
