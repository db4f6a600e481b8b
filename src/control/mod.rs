//! What a daemon is asked to do while it runs, over a socket of the system.
//!
//! HTTP, so that any program can ask: `POST /record` with an object of JSON, [`RecordAsk`], and
//! `POST /clips` with a [`ClipsAsk`] are each answered with one, [`Answer`]. The socket may be used
//! by its owner and its group, nobody else; an ask is small, few are served at once, and each has
//! its time. The only room that knows hyper.

mod client;
mod clips;
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::duration;

pub use client::ask;
pub use clips::{ClipsAsk, Span, Verb};
pub use server::{Asked, Control};

/// Where cameras are switched.
const RECORD_PATH: &str = "/record";
/// Where clips are kept, removed and restored.
const CLIPS_PATH: &str = "/clips";

/// What is to become of cameras' recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum To {
    /// They are recorded, whatever their hours are.
    On,
    /// They are not recorded.
    Off,
    /// As their settings say.
    Auto,
}

/// To switch cameras by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordAsk {
    /// Names of cameras, with all of their streams, or of single streams.
    pub cameras: Vec<String>,
    /// To what.
    pub record: To,
    /// The configuration that is meant, as an absolute path: another daemon may listen there.
    /// Whichever listens where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// For how long, as a duration of the configuration; until somebody says so where it is absent.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub length: Option<String>,
}

impl RecordAsk {
    /// A year, in seconds: who means longer says no time.
    const LENGTH_SECONDS_MAX: u64 = 366 * 86_400;

    /// For how long.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn length(&self) -> Result<Option<Duration>, String> {
        let Some(text) = &self.length else { return Ok(None) };
        if self.record == To::Auto {
            return Err("for how long has no meaning with auto".to_owned());
        }
        let range = Duration::from_secs(1)..=Duration::from_secs(Self::LENGTH_SECONDS_MAX);
        duration::parse_within(text, &range).map(Some)
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To switch cameras.
    Record(RecordAsk),
    /// To do something with clips.
    Clips(ClipsAsk),
}

impl Ask {
    /// The configuration that is meant.
    #[must_use]
    pub fn config(&self) -> Option<&Path> {
        match self {
            Ask::Record(ask) => ask.config.as_deref(),
            Ask::Clips(ask) => ask.config.as_deref(),
        }
    }
}

/// What came of an ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What was done, in lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<String>,
    /// Why something, or all of it, was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<Result<Vec<String>, String>> for Answer {
    fn from(outcome: Result<Vec<String>, String>) -> Answer {
        match outcome {
            Ok(done) => Answer { done, error: None },
            Err(why) => Answer { done: Vec::new(), error: Some(why) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(record: To, length: &str) -> RecordAsk {
        let (cameras, length) = (vec!["yard".to_owned()], Some(length.to_owned()));
        RecordAsk { cameras, record, config: None, length }
    }

    #[test]
    fn a_length_is_a_duration_of_a_year_at_most_and_of_a_switch() {
        assert_eq!(ask(To::Off, "2h").length(), Ok(Some(Duration::from_secs(7200))));
        for (to, length) in [(To::Off, "0s"), (To::On, "367d"), (To::Off, "soon"), (To::Auto, "1h")]
        {
            assert!(ask(to, length).length().is_err(), "{length}");
        }
        assert_eq!(RecordAsk { length: None, ..ask(To::Auto, "") }.length(), Ok(None));
    }

    #[test]
    fn an_ask_is_written_as_the_manual_has_it() {
        let text = r#"{"cameras":["yard"],"record":"off","for":"2h"}"#;
        assert_eq!(serde_json::from_str::<RecordAsk>(text).unwrap(), ask(To::Off, "2h"));
        assert_eq!(serde_json::to_string(&ask(To::Off, "2h")).unwrap(), text);
        for wrong in [r#"{"cameras":["yard"]}"#, r#"{"cameras":"yard","record":"off"}"#, "[]"] {
            assert!(serde_json::from_str::<RecordAsk>(wrong).is_err(), "{wrong}");
        }
    }
}
