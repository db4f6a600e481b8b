//! What is asked of clips: to keep them, to remove them, to bring them back.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::named::parse_rfc3339;
use crate::units::WallTime;

/// What is to be done with clips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// They are protected.
    Keep,
    /// They are protected no more.
    Unkeep,
    /// They are removed; those in the trash, for good.
    Rm,
    /// They are brought back from the trash.
    Restore,
}

/// To do something with clips.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipsAsk {
    /// What.
    #[serde(rename = "do")]
    pub verb: Verb,
    /// Of what is kept: `forever`, a day, a time or a length, as of `user.reelfs.keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Files and directories, by their paths below the mount of a view.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Where that view is mounted, as its settings have it; the first one where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<PathBuf>,
    /// All of a camera that was recorded in some time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// Nothing is done, and it is said what would be.
    #[serde(default)]
    pub dry_run: bool,
    /// The configuration that is meant, as an absolute path; whichever where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
}

/// Time of a camera.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Its name.
    pub camera: String,
    /// From when on, RFC 3339; from its beginning on where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Up to when, RFC 3339; up to now where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl Span {
    /// From when on, and up to when.
    ///
    /// # Errors
    /// What is no time, or ends before it begins.
    pub fn times(&self) -> Result<(WallTime, WallTime), String> {
        let time = |said: &Option<String>, otherwise: i64| match said {
            None => Ok(WallTime(otherwise)),
            Some(text) => {
                parse_rfc3339(text).ok_or_else(|| format!("{text:?} is no time of RFC 3339"))
            }
        };
        let (from, to) = (time(&self.from, i64::MIN)?, time(&self.to, i64::MAX)?);
        if from < to { Ok((from, to)) } else { Err("it ends before it begins".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ask_is_written_as_the_manual_has_it() {
        let text = r#"{"do":"keep","until":"90d","paths":["2026-11-21"],"dry_run":false}"#;
        let ask: ClipsAsk = serde_json::from_str(text).expect("an ask");
        assert_eq!((ask.verb, ask.paths.len(), &ask.span), (Verb::Keep, 1, &None));
        assert_eq!(serde_json::to_string(&ask).expect("JSON"), text);
        for wrong in [r#"{"do":"burn"}"#, r#"{"paths":["a"]}"#, r#"{"do":"rm","path":"a"}"#] {
            assert!(serde_json::from_str::<ClipsAsk>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_span_is_open_where_nothing_is_said() {
        let span = |from: Option<&str>, to: Option<&str>| {
            let [from, to] = [from, to].map(|text| text.map(str::to_owned));
            Span { camera: "a".to_owned(), from, to }.times()
        };
        let second = WallTime(1_000_000_000);
        assert_eq!(span(None, None), Ok((WallTime(i64::MIN), WallTime(i64::MAX))));
        let said = span(Some("1970-01-01T01:00:01+01:00"), Some("1970-01-01T00:00:02Z"));
        assert_eq!(said, Ok((second, WallTime(2_000_000_000))));
        assert!(span(Some("1970-01-01T00:00:02Z"), Some("1970-01-01T00:00:02Z")).is_err());
        assert!(span(Some("yesterday"), None).is_err());
    }
}
