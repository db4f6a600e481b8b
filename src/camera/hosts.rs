//! What is remembered of cameras from one session to the next.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use super::finder::Finder;
use super::header::SessionId;
use super::patience::Pace;
use crate::clock::Deadline;

/// An old live555 server ends a session that nobody ended after so long.
const STALE_SESSION_TIMEOUT: Duration = Duration::from_secs(65);
/// What a server calls itself that sends packets of a session into whatever connection gets the
/// same file descriptor, and the first version that does not.
const LIVE555: &str = "LIVE555 Streaming Media v";
const LIVE555_MENDED: &str = "2017.06.04";
/// A session that ends near its time-out although it was kept alive is renewed before that, at this
/// part of its length in percent.
const RENEWAL_PERCENT: u32 = 75;

/// How often cameras look for sessions that are over.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// By address of a camera's stream: what concerns one of them is no other's affair, but for how
/// many sessions the camera has room for.
#[derive(Default)]
pub struct Hosts {
    /// One entry for each stream of the configuration.
    known: Mutex<HashMap<String, Known>>,
    /// One entry for each host and port that has refused a session for want of room.
    full: Mutex<HashMap<(String, Option<u16>), Full>>,
    /// Where cameras are that are asked for their streams.
    pub(super) finder: Finder,
}

/// A camera that had no room for a session.
struct Full {
    /// The stream that it was for.
    stream: Url,
    until: Deadline,
}

/// More is not said of the tracks that are left out of one stream.
const TOLD_MAX: usize = 8;
/// Sound and records of a camera that ended a session because of them are asked for again after so
/// long: the reason may have been another one.
const PICTURES_ONLY: Duration = Duration::from_secs(3600);

/// A camera that had no room for a session is not asked for a second one of another stream for so
/// long: it would have the place of the one that waits.
const FULL: Duration = Duration::from_secs(3600);

/// What is remembered of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// It refused TCP and took UDP.
    pub(super) wants_udp: bool,
    /// That it refuses to keep sessions alive was said.
    pub(super) is_refusal_told: bool,
    /// What was said of tracks that are left out.
    told: Vec<String>,
    /// Whoever asks for more than the pictures gets nothing, up to then.
    pictures_only: Option<Deadline>,
    /// How old the last session was that it ended.
    last_age: Option<Duration>,
    /// It ends sessions of which it has heard nothing for so long, whatever it says.
    pub(super) patience: Option<Duration>,
    /// How fast its pictures came.
    pub(super) pace: Pace,
    /// How long its sessions live, whatever is done.
    pub(super) lives: Option<Duration>,
    /// A session of a server with the error above that was not ended.
    pub(super) stale: Option<Stale>,
}

/// A session that may still be at work.
#[derive(Clone, Debug)]
pub(super) struct Stale {
    pub(super) session: SessionId,
    pub(super) until: Deadline,
}

impl Known {
    /// Whether only pictures are asked for.
    pub(super) fn wants_pictures_only(&self) -> bool {
        self.pictures_only.is_some_and(|until| !until.is_over())
    }
}

impl Hosts {
    pub(super) fn known(&self, url: &Url) -> Known {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(url.as_str()).cloned().unwrap_or_default()
    }

    pub(super) fn change(&self, url: &Url, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(known.entry(url.as_str().to_owned()).or_default());
    }

    /// The camera of this stream has no room for another session.
    pub(super) fn note_full(&self, url: &Url) {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        full.insert(host(url), Full { stream: url.clone(), until: Deadline::after(FULL) });
    }

    /// Whether a second session of this stream takes the place of no other stream's.
    pub(super) fn has_room_beside(&self, url: &Url) -> bool {
        let full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        full.get(&host(url)).is_none_or(|full| full.stream == *url || full.until.is_over())
    }

    /// Whether nothing like this was said before of what is left out.
    pub(super) fn is_news(&self, url: &Url, text: &str) -> bool {
        let mut is_news = false;
        self.change(url, |known| {
            is_news = known.told.len() < TOLD_MAX && !known.told.iter().any(|told| told == text);
            if is_news {
                known.told.push(text.to_owned());
            }
        });
        is_news
    }

    /// A session came to nothing in which more was asked for than the pictures.
    pub(super) fn take_pictures_only(&self, url: &Url) {
        let until = Deadline::after(PICTURES_ONLY);
        self.change(url, |known| known.pictures_only = Some(until));
    }

    /// A session came to nothing although only the pictures were asked for.
    pub(super) fn ask_for_all(&self, url: &Url) {
        self.change(url, |known| known.pictures_only = None);
    }

    /// A session was not ended in good order.
    pub(super) fn left_open(&self, url: &Url, tool: &str, session: Option<SessionId>) {
        let Some(session) = session.filter(|_| mixes_sessions(tool)) else { return };
        let until = Deadline::after(STALE_SESSION_TIMEOUT);
        self.change(url, |known| known.stale = Some(Stale { session, until }));
    }

    /// A session has been ended by the camera at that age: as its time-out has it, although it was
    /// kept alive, or time and again at the same age, perhaps because it wants to hear more of us.
    pub(super) fn ended(&self, url: &Url, age: Duration, timeout: Duration) {
        let is_near = |other: Duration, part: u32| age.abs_diff(other) <= age / part;
        self.change(url, |known| {
            // Less by a hair, or more by how often the camera looks: hardly by chance.
            let is_its_time = age >= timeout * 19 / 20 && age <= timeout * 11 / 10 + LOOK_MAX;
            let is_again = known.last_age.is_some_and(|last| is_near(last, 10));
            if age > timeout * 2 {
                (known.lives, known.patience) = (None, None);
            } else if is_its_time {
                known.lives = Some(age);
            } else if is_again && age < timeout {
                known.patience = Some(age);
            }
            known.last_age = Some(age);
        });
    }
}

fn host(url: &Url) -> (String, Option<u16>) {
    (url.host_str().unwrap_or_default().to_owned(), url.port())
}

/// When a session of that life is renewed.
pub(super) fn renewal_after(life: Duration) -> Duration {
    life * RENEWAL_PERCENT / 100
}

/// Whether a server of that name has the error.
fn mixes_sessions(tool: &str) -> bool {
    tool.strip_prefix(LIVE555)
        .is_some_and(|version| !version.is_empty() && version < LIVE555_MENDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_servers_mix_sessions() {
        assert!(mixes_sessions("LIVE555 Streaming Media v2013.02.11"));
        assert!(mixes_sessions("LIVE555 Streaming Media v2017.06.03"));
        for tool in
            ["LIVE555 Streaming Media v2017.06.04", "LIVE555 Streaming Media v", "GStreamer", ""]
        {
            assert!(!mixes_sessions(tool), "{tool}");
        }
    }

    #[test]
    fn what_is_known_of_a_stream_is_no_other_s_affair() {
        let hosts = Hosts::default();
        let url = |path: &str| Url::parse(&format!("rtsp://cam/{path}")).unwrap();
        let session = SessionId::parse("1");
        hosts.left_open(&url("1"), "GStreamer", session.clone());
        assert!(hosts.known(&url("1")).stale.is_none());
        hosts.left_open(&url("1"), "LIVE555 Streaming Media v2013.02.11", session);
        assert!(hosts.known(&url("1")).stale.is_some());
        assert!(hosts.known(&url("2")).stale.is_none());
    }

    #[test]
    fn a_camera_without_room_for_one_stream_is_asked_for_no_second_session_of_another() {
        let hosts = Hosts::default();
        let url = |address: &str| Url::parse(&format!("rtsp://{address}")).unwrap();
        assert!(hosts.has_room_beside(&url("cam/main")));
        hosts.note_full(&url("cam/sub"));
        assert!(!hosts.has_room_beside(&url("cam/main")));
        assert!(hosts.has_room_beside(&url("cam/sub")), "it waits for its own place");
        assert!(hosts.has_room_beside(&url("cam:8554/main")), "another camera behind one address");
    }

    #[test]
    fn a_session_that_ends_with_its_time_out_is_renewed_before() {
        let (hosts, url) = (Hosts::default(), Url::parse("rtsp://cam/").unwrap());
        let seconds = Duration::from_secs;
        hosts.ended(&url, seconds(10), seconds(60));
        assert_eq!((hosts.known(&url).lives, hosts.known(&url).patience), (None, None));
        hosts.ended(&url, seconds(10), seconds(60));
        assert_eq!(hosts.known(&url).patience, Some(seconds(10)), "twice at the same age");
        hosts.ended(&url, seconds(61), seconds(60));
        assert_eq!(hosts.known(&url).lives.map(renewal_after), Some(seconds(61) * 75 / 100));
    }
}
