//! What a daemon is asked to do while it runs, over a socket of the system.
//!
//! HTTP, so that any program can ask: `POST /record` with an object of JSON, [`Ask`], is answered
//! with one, [`Answer`]. The socket may be used by its owner and its group, nobody else; an ask is
//! small, few are served at once, and each has its time. The only room that knows hyper.

mod client;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::duration;

pub use client::ask;
pub use server::{Asked, Control};

/// Where cameras are switched.
const RECORD_PATH: &str = "/record";

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
pub struct Ask {
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

impl Ask {
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

/// What came of an ask: a line for each stream that it concerns, or why nothing was done.
pub type Answer = Result<Vec<String>, String>;

/// An answer as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    done: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(record: To, length: &str) -> Ask {
        let (cameras, length) = (vec!["yard".to_owned()], Some(length.to_owned()));
        Ask { cameras, record, config: None, length }
    }

    #[test]
    fn a_length_is_a_duration_of_a_year_at_most_and_of_a_switch() {
        assert_eq!(ask(To::Off, "2h").length(), Ok(Some(Duration::from_secs(7200))));
        for (to, length) in [(To::Off, "0s"), (To::On, "367d"), (To::Off, "soon"), (To::Auto, "1h")]
        {
            assert!(ask(to, length).length().is_err(), "{length}");
        }
        assert_eq!(Ask { length: None, ..ask(To::Auto, "") }.length(), Ok(None));
    }

    #[test]
    fn an_ask_is_written_as_the_manual_has_it() {
        let text = r#"{"cameras":["yard"],"record":"off","for":"2h"}"#;
        assert_eq!(serde_json::from_str::<Ask>(text).unwrap(), ask(To::Off, "2h"));
        assert_eq!(serde_json::to_string(&ask(To::Off, "2h")).unwrap(), text);
        for wrong in [r#"{"cameras":["yard"]}"#, r#"{"cameras":"yard","record":"off"}"#, "[]"] {
            assert!(serde_json::from_str::<Ask>(wrong).is_err(), "{wrong}");
        }
    }
}
