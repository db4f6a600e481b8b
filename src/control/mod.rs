//! What a daemon is asked to do while it runs, over a socket of the system.
//!
//! HTTP, so that any program can ask: `POST /record` with an object of JSON, [`RecordAsk`],
//! `POST /clips` with a [`ClipsAsk`], `POST /events` with an [`EventAsk`] and so on are each
//! answered with one, [`Answer`]. The socket may be used by its owner and its group, nobody else;
//! an ask is small, few are served at once, and each has its time. The only room that knows hyper.

mod client;
mod clips;
mod events;
mod expire;
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::duration;

pub use client::ask;
pub use clips::{ClipsAsk, Span, Verb};
pub use events::{EndAsk, EventAsk, EventRow, EventsAsk, EventsWanted, Time};
pub use expire::ExpireAsk;
pub use server::{Asked, Control};

/// Where cameras are switched.
const RECORD_PATH: &str = "/record";
/// Where clips are kept, removed and restored.
const CLIPS_PATH: &str = "/clips";
/// Where footage is asked for that is due to go.
const EXPIRE_PATH: &str = "/expire";
/// Where events are told of.
const EVENTS_PATH: &str = "/events";
/// Where it is said that they are over.
const END_PATH: &str = "/events/end";
/// Where they are asked for.
const LIST_PATH: &str = "/events/list";
/// Where it is said that they were none.
const REMOVE_PATH: &str = "/events/rm";

/// Paths of a thousand clips are shorter.
const ASK_BYTES_MAX: usize = 1 << 20;
/// A message that is longer tells of no event.
const EVENT_BYTES_MAX: usize = 64 << 10;

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
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// To switch cameras.
    Record(RecordAsk),
    /// To do something with clips.
    Clips(ClipsAsk),
    /// To know of events, or to tell of them.
    Events(EventsAsk),
    /// To know what is due to go, or to have it go.
    Expire(ExpireAsk),
}

impl Ask {
    /// The configuration that is meant.
    #[must_use]
    pub fn config(&self) -> Option<&Path> {
        match self {
            Ask::Record(ask) => ask.config.as_deref(),
            Ask::Clips(ask) => ask.config.as_deref(),
            Ask::Expire(ask) => ask.config.as_deref(),
            Ask::Events(EventsAsk::Add(ask)) => ask.config.as_deref(),
            Ask::Events(EventsAsk::End(ask)) => ask.config.as_deref(),
            Ask::Events(EventsAsk::List(ask) | EventsAsk::Remove(ask)) => ask.config.as_deref(),
        }
    }

    /// Where it is asked.
    fn path(&self) -> &'static str {
        match self {
            Ask::Record(_) => RECORD_PATH,
            Ask::Clips(_) => CLIPS_PATH,
            Ask::Expire(_) => EXPIRE_PATH,
            Ask::Events(EventsAsk::Add(_)) => EVENTS_PATH,
            Ask::Events(EventsAsk::End(_)) => END_PATH,
            Ask::Events(EventsAsk::List(_)) => LIST_PATH,
            Ask::Events(EventsAsk::Remove(_)) => REMOVE_PATH,
        }
    }

    /// As JSON.
    fn encode(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Ask::Record(ask) => serde_json::to_vec(ask),
            Ask::Clips(ask) => serde_json::to_vec(ask),
            Ask::Expire(ask) => serde_json::to_vec(ask),
            Ask::Events(EventsAsk::Add(ask)) => serde_json::to_vec(ask),
            Ask::Events(EventsAsk::End(ask)) => serde_json::to_vec(ask),
            Ask::Events(EventsAsk::List(ask) | EventsAsk::Remove(ask)) => serde_json::to_vec(ask),
        }
    }

    /// What is asked at a path in so many bytes; `None` where nothing is asked there.
    fn decode(path: &str, body: &[u8]) -> Option<serde_json::Result<Ask>> {
        Some(match path {
            RECORD_PATH => serde_json::from_slice(body).map(Ask::Record),
            CLIPS_PATH => serde_json::from_slice(body).map(Ask::Clips),
            EXPIRE_PATH => serde_json::from_slice(body).map(Ask::Expire),
            EVENTS_PATH => serde_json::from_slice(body).map(|it| Ask::Events(EventsAsk::Add(it))),
            END_PATH => serde_json::from_slice(body).map(|it| Ask::Events(EventsAsk::End(it))),
            LIST_PATH => serde_json::from_slice(body).map(|it| Ask::Events(EventsAsk::List(it))),
            REMOVE_PATH => {
                serde_json::from_slice(body).map(|it| Ask::Events(EventsAsk::Remove(it)))
            }
            _ => return None,
        })
    }

    /// How long one at a path may be, in bytes; `None` where nothing is asked there.
    fn bytes_max(path: &str) -> Option<usize> {
        match path {
            RECORD_PATH | CLIPS_PATH | EXPIRE_PATH => Some(ASK_BYTES_MAX),
            EVENTS_PATH | END_PATH | LIST_PATH | REMOVE_PATH => Some(EVENT_BYTES_MAX),
            _ => None,
        }
    }
}

/// What came of an ask.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// What was done, in lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<String>,
    /// Which events there are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventRow>,
    /// Why something, or all of it, was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<Result<Vec<String>, String>> for Answer {
    fn from(outcome: Result<Vec<String>, String>) -> Answer {
        match outcome {
            Ok(done) => Answer { done, ..Answer::default() },
            Err(why) => Answer { error: Some(why), ..Answer::default() },
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
