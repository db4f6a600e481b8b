//! What can go wrong with a camera, each in one line for the log.

use std::time::Duration;

use super::message::Excess;
use super::secret::hidden;

/// Why there is no picture (any more). One line each, with what failed first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CameraError {
    /// The URL is of no use.
    #[error("bad camera URL: {why}")]
    Url {
        /// What is wrong with it.
        why: String,
    },
    /// The name has no address.
    #[error("can't resolve host {host}: {why}")]
    Resolve {
        /// The host of the URL.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// Nobody listens, or nobody is there.
    #[error("can't connect to {host}:{port}: {why}")]
    Connect {
        /// The host of the URL.
        host: String,
        /// The port of the URL.
        port: u16,
        /// What the system said.
        why: String,
    },
    /// User or password are missing or wrong.
    #[error("authentication failed: {why}")]
    Authentication {
        /// What the camera said, or what is missing for it.
        why: String,
    },
    /// No stream that can be recorded.
    #[error("no {wanted} video: the camera offers {offered}")]
    NoVideo {
        /// The codings that are recorded.
        wanted: String,
        /// Media and encodings offered.
        offered: String,
    },
    /// The camera has no room for another guest.
    #[error("{stage} failed: {why}: the camera is busy")]
    Busy {
        /// What was being done.
        stage: &'static str,
        /// What came back.
        why: String,
    },
    /// The camera answered with an error status.
    #[error("{stage} failed: {why}")]
    Refused {
        /// What was being done.
        stage: &'static str,
        /// What came back.
        why: String,
    },
    /// The camera sent something that is not RTSP, or closed the connection amid something.
    #[error("{stage} failed: {why}")]
    Protocol {
        /// What was being done.
        stage: &'static str,
        /// What came back.
        why: String,
    },
    /// The camera sent more than it has reason to.
    #[error("{stage} failed: {why}")]
    TooMuch {
        /// What was being done.
        stage: &'static str,
        /// The limit that it is over.
        why: String,
    },
    /// Nothing came in time.
    #[error("{stage}: nothing for {} s", .waited.as_secs())]
    TimedOut {
        /// What was being waited for.
        stage: &'static str,
        /// For how long.
        waited: Duration,
    },
    /// The program that was to write the stream did not, or ended.
    #[error("{why}")]
    Program {
        /// Which, and how.
        why: String,
    },
    /// The camera closed the connection in good order.
    #[error("the camera ended the stream")]
    Ended,
}

/// What an error says of the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The camera is there, and has ended the session.
    Ended,
    /// Nobody is there, or there is nothing that can be recorded.
    Away,
    /// The camera has no room for another guest.
    Busy,
    /// The camera refuses the login.
    Denied,
}

impl Failure {
    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Failure::Ended => "ended",
            Failure::Away => "away",
            Failure::Busy => "busy",
            Failure::Denied => "denied",
        }
    }
}

/// Longer words of a camera are cut: they go into logs and observations, in bytes.
const TEXT_BYTES_MAX: usize = 160;

/// Control characters, and those that turn the direction of a line or hide in it (Unicode 15,
/// bidirectional and format controls).
fn is_unfit(letter: char) -> bool {
    let formats = [
        '\u{061C}'..='\u{061C}',
        '\u{180E}'..='\u{180E}',
        '\u{200B}'..='\u{200F}',
        '\u{2028}'..='\u{202E}',
        '\u{2060}'..='\u{206F}',
        '\u{FEFF}'..='\u{FEFF}',
        '\u{E0000}'..='\u{E007F}',
    ];
    letter.is_control() || formats.iter().any(|it| it.contains(&letter))
}

/// The first line of a message, without control characters and secrets, cut to a bearable length:
/// what a camera says must not forge log lines.
#[must_use]
pub fn one_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim();
    let clean: String = line.chars().filter(|letter| !is_unfit(*letter)).collect();
    let clean = hidden(&clean);
    let end = clean.floor_char_boundary(TEXT_BYTES_MAX);
    if end < clean.len() { format!("{}…", &clean[..end]) } else { clean }
}

/// "Not Enough Bandwidth" and "Service Unavailable" (RFC 2326, 11.3.8; 7.1.1).
const BUSY_STATUS: [u16; 2] = [453, 503];

impl CameraError {
    /// What it says of the next attempt.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            CameraError::Authentication { .. } => Failure::Denied,
            CameraError::Busy { .. } => Failure::Busy,
            CameraError::Ended | CameraError::Protocol { .. } => Failure::Ended,
            CameraError::Url { .. }
            | CameraError::Resolve { .. }
            | CameraError::Connect { .. }
            | CameraError::NoVideo { .. }
            | CameraError::Refused { .. }
            | CameraError::TooMuch { .. }
            | CameraError::TimedOut { .. }
            | CameraError::Program { .. } => Failure::Away,
        }
    }

    /// The same, where it is one of the connection, with what was being done.
    pub(super) fn at(self, stage: &'static str) -> CameraError {
        match self {
            CameraError::Protocol { why, .. } => CameraError::Protocol { stage, why },
            CameraError::TooMuch { why, .. } => CameraError::TooMuch { stage, why },
            CameraError::Ended => {
                let why = "the camera closed the connection".to_owned();
                CameraError::Protocol { stage, why }
            }
            other => other,
        }
    }

    /// What a camera answered where it did not grant what was asked.
    pub(super) fn of_status(stage: &'static str, status: u16, why: String) -> CameraError {
        match status {
            401 | 403 => CameraError::Authentication { why },
            status if BUSY_STATUS.contains(&status) => CameraError::Busy { stage, why },
            _ => CameraError::Refused { stage, why },
        }
    }
}

impl From<Excess> for CameraError {
    fn from(excess: Excess) -> CameraError {
        CameraError::TooMuch { stage: "receiving", why: excess.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_camera_says_stays_on_one_line() {
        assert_eq!(one_line("bad\x1b[31m thing\nconn: 1\n"), "bad[31m thing");
        let long = "ü".repeat(500);
        assert!(one_line(&long).len() <= TEXT_BYTES_MAX + 3);
        assert_eq!(one_line(""), "");
        assert_eq!(one_line("a\u{202E}b\u{200B}c"), "abc");
        assert_eq!(one_line("404 of /?pwd=geheim"), "404 of /?pwd=…");
    }
}
