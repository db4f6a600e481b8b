//! What is said of events: that one begins, goes on or is over; which there are; that one was none.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::named::parse_rfc3339;
use crate::units::{NANOS_PER_SECOND, WallTime};

/// A point in time: RFC 3339, or seconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Time {
    /// Seconds, with their parts.
    Seconds(f64),
    /// RFC 3339.
    Text(String),
}

impl Time {
    /// When that is.
    ///
    /// # Errors
    /// What is no time.
    pub fn wall(&self) -> Result<WallTime, String> {
        match self {
            Time::Text(text) => {
                parse_rfc3339(text).ok_or_else(|| format!("{text:?} is no time of RFC 3339"))
            }
            Time::Seconds(seconds) => {
                let nanos = (seconds * NANOS_PER_SECOND as f64).round();
                let fits = nanos.is_finite() && nanos.abs() < i64::MAX as f64;
                fits.then_some(WallTime(nanos as i64))
                    .ok_or_else(|| format!("{seconds} is no time, in seconds since 1970"))
            }
        }
    }
}

/// An event, as a source tells of it. What is not said of one that is known stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventAsk {
    /// Of which camera, with all of its streams, or of which stream.
    pub camera: String,
    /// What the source calls it; a new one where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Who says it; `socket` where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// `detection`, `alert` or `manual`; a detection where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// What it is; `event` where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it began; now where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Time>,
    /// When it was over; it goes on where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Time>,
    /// How long it lasts from its beginning on, as a duration of the configuration, in place of
    /// its end.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<String>,
    /// When its source said so: what is said later holds. Now where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// Where in the picture, by names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zones: Option<Vec<String>>,
    /// How sure its source is, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Whatever else is to be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether the answer waits until it is on the disk.
    pub sync: bool,
    /// The configuration that is meant, as an absolute path; whichever where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
}

/// Events that go on are over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EndAsk {
    /// Of which camera, or stream.
    pub camera: String,
    /// Which; all that go on where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Of which source; of any where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Since when; now where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Time>,
    /// Whether the answer waits until it is on the disk.
    pub sync: bool,
    /// The configuration that is meant; whichever where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
}

/// Which events are meant. What is absent is any.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsWanted {
    /// Of which camera, or stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// What the source calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Of which source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How much it is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Those that were not over then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// Those that began before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
    /// The newest first.
    pub newest: bool,
    /// No more than these; [`EventsWanted::LIMIT_MAX`] at most, and where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Without the first ones.
    pub offset: usize,
    /// The configuration that is meant; whichever where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
}

impl EventsWanted {
    /// Events that are listed at once.
    pub const LIMIT_MAX: usize = 10_000;
}

/// What is asked of events.
#[derive(Clone, Debug, PartialEq)]
pub enum EventsAsk {
    /// One is told of.
    Add(EventAsk),
    /// Some are over.
    End(EndAsk),
    /// Which there are.
    List(EventsWanted),
    /// They were none: their records go, the footage stays as long as something else claims it.
    Remove(EventsWanted),
}

/// What is known of an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventRow {
    /// What its source calls it.
    pub id: String,
    /// Who has told of it.
    pub source: String,
    /// Of which stream, by the name that it had then.
    pub camera: String,
    /// How much it is worth.
    pub class: String,
    /// What it is.
    pub label: String,
    /// When it began, RFC 3339.
    pub start: String,
    /// When it was over; absent while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// When its source said so last.
    pub updated: String,
    /// Where in the picture.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// How sure its source is, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Whatever else was said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// So much before it is claimed, too, in seconds.
    pub pre_seconds: f64,
    /// And so much behind it.
    pub post_seconds: f64,
    /// Whether anything is left of what it claims: `some`, or `none`.
    pub footage: String,
    /// Clips that it touches.
    pub clips: usize,
    /// What those take on the device.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ask_is_written_as_the_manual_has_it() {
        let told = r#"{"camera":"front-door","label":"person","start":1795219200.5,"for":"30s""#;
        let text = format!("{told},\"sync\":false}}");
        let ask: EventAsk = serde_json::from_str(&text).expect("an ask");
        assert_eq!((ask.label.as_deref(), ask.length.as_deref()), (Some("person"), Some("30s")));
        let start = ask.start.as_ref().map(Time::wall);
        assert_eq!(start, Some(Ok(WallTime(1_795_219_200_500_000_000))));
        assert_eq!(serde_json::to_string(&ask).expect("JSON"), text);
        let short = r#"{"camera":"yard"}"#;
        assert!(serde_json::from_str::<EventAsk>(short).is_ok(), "all else has a meaning");
        for wrong in [r#"{"camera":"a","lable":"x"}"#, r#"{"camera":3}"#, r#"{"zones":"a"}"#] {
            assert!(serde_json::from_str::<EventAsk>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_is_a_number_or_a_text() {
        let wall = |text: &str| serde_json::from_str::<Time>(text).expect("JSON").wall();
        assert_eq!(wall("0"), Ok(WallTime(0)));
        assert_eq!(wall("-1.5"), Ok(WallTime(-1_500_000_000)));
        assert_eq!(wall(r#""1970-01-01T01:00:01+01:00""#), Ok(WallTime(1_000_000_000)));
        for wrong in ["1e300", "9.3e9", r#""yesterday""#, r#""""#] {
            assert!(wall(wrong).is_err(), "{wrong}");
        }
    }
}
