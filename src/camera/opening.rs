//! From a camera's address to a session that plays.

use std::time::Duration;

use url::Url;

use super::dialogue::{Described, Dialogue, Whereabouts};
use super::endpoint::Endpoint;
use super::error::{CameraError, Failure, one_line};
use super::hosts::{Hosts, Stale};
use super::inflow::Inflow;
use super::order::Arrived;
use super::track::{Chosen, chosen};
use super::way::{Way, set_up};
use crate::clock::Clock;

/// From the first packet to the list of streams: connection, requests, those of them that are asked
/// for credentials once more. Cheap cameras take a second or two to wake their encoder.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(15);
/// One request and its answer.
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);
/// One request and its answer.
const PLAY_TIMEOUT: Duration = Duration::from_secs(10);
/// What is taken before PLAY is answered, in bytes.
const EARLY_BYTES_MAX: usize = 16 << 20;
/// Another address than the camera's is asked so often in a row.
const REDIRECTIONS_MAX: usize = 5;

/// A session that plays.
pub(super) struct Opened {
    pub(super) dialogue: Dialogue,
    /// What made its description; empty where that does not say.
    pub(super) tool: String,
    pub(super) inflow: Inflow,
    pub(super) way: Way,
}

/// Opens a session and starts it.
///
/// # Errors
/// Names the step that failed and why. Every step has a time-out.
pub(super) async fn open(
    camera: &Endpoint,
    hosts: &Hosts,
    clock: &dyn Clock,
) -> Result<Opened, CameraError> {
    let known = hosts.known(&camera.url);
    if let Some(stale) = known.stale {
        end_stale(camera, stale).await;
        hosts.change(&camera.url, |known| known.stale = None);
    }
    let asked = describe(camera);
    let (mut dialogue, described) = within("describe", DESCRIBE_TIMEOUT, asked).await?;
    let description = &described.description;
    if description.is_cut {
        let count = description.media.len();
        let text = format!("only the first {count} media are looked at: that is the limit");
        camera.voice.say(log::Level::Warn, &text);
    }
    let Chosen { mut tracks, left_out } = chosen(description, camera.has_sound)?;
    for what in left_out {
        say_once(camera, hosts, &format!("left out: {what}"));
    }
    let is_pictures_only = hosts.known(&camera.url).wants_pictures_only();
    if is_pictures_only {
        tracks.truncate(1);
    }
    let way = set_up(&mut dialogue, &described, &mut tracks, camera, hosts);
    let way = match within("set-up", SETUP_TIMEOUT, way).await {
        Ok(way) => way,
        Err(error) => {
            // Where there are tracks, the pictures were granted.
            learn(camera, hosts, is_pictures_only, !tracks.is_empty(), &error);
            return Err(given_up(dialogue, error));
        }
    };
    let has_more = tracks.len() > 1;
    let first = described.medium(tracks.first().map_or(0, |track| track.stream));
    let mut inflow = Inflow::new(tracks, &camera.voice);
    let mut room = EARLY_BYTES_MAX;
    // Some cameras send before they say that they do.
    let mut early = |channel: u8, bytes: &[u8]| {
        if let Some(left) = room.checked_sub(bytes.len()) {
            room = left;
            inflow.take(channel, Arrived { bytes, at: &clock.read() });
        }
    };
    let played = dialogue.play(&first, &mut early);
    if let Err(error) = within("play", PLAY_TIMEOUT, played).await {
        learn(camera, hosts, is_pictures_only, has_more, &error);
        return Err(given_up(dialogue, error));
    }
    way.report();
    let tool = one_line(described.description.tool.as_deref().unwrap_or_default());
    Ok(Opened { dialogue, tool, inflow, way })
}

/// Says what is left out of a camera, unless that was said before.
pub(super) fn say_once(camera: &Endpoint, hosts: &Hosts, text: &str) {
    if hosts.is_news(&camera.url, text) {
        camera.voice.say(log::Level::Warn, text);
    }
}

/// Learns what to ask for from a session that failed. Where only the pictures were asked for, the
/// rest was not why the one before did; where more was, that may be why.
fn learn(
    camera: &Endpoint,
    hosts: &Hosts,
    is_pictures_only: bool,
    has_more: bool,
    error: &CameraError,
) {
    // One that is busy, or refuses the login, does so whatever is asked for.
    if matches!(error.failure(), Failure::Busy | Failure::Denied) {
        return;
    }
    if is_pictures_only {
        let text = format!("its pictures alone fail, too, all is asked for: {error}");
        say_once(camera, hosts, &text);
        hosts.ask_for_all(&camera.url);
    } else if has_more {
        let text = format!("only its pictures are asked for in the next hour: {error}");
        say_once(camera, hosts, &text);
        hosts.take_pictures_only(&camera.url);
    }
}

/// Ends what a camera may hold for us by now, without waiting for it.
fn given_up(mut dialogue: Dialogue, error: CameraError) -> CameraError {
    if dialogue.session.is_some() {
        tokio::spawn(async move {
            let is_heard = dialogue.end().await;
            log::debug!("a session was given up, and that was heard: {is_heard}");
        });
    }
    error
}

/// One step with its time-out.
async fn within<T>(
    stage: &'static str,
    limit: Duration,
    step: impl Future<Output = Result<T, CameraError>>,
) -> Result<T, CameraError> {
    let timed_out = |_| CameraError::TimedOut { stage, waited: limit };
    tokio::time::timeout(limit, step).await.map_err(timed_out)?.map_err(|error| error.at(stage))
}

/// Finds the camera, where it points to another address, and what it offers.
async fn describe(camera: &Endpoint) -> Result<(Dialogue, Described), CameraError> {
    let mut url = camera.url.clone();
    for _ in 0..=REDIRECTIONS_MAX {
        let (dialogue, whereabouts) = match whereabouts(camera, &url, true).await {
            // Some cameras take one request on a connection, or do not know the first one.
            Err(CameraError::Ended | CameraError::Protocol { .. }) => {
                whereabouts(camera, &url, false).await?
            }
            found => found?,
        };
        match whereabouts {
            Whereabouts::Here(described) => return Ok((dialogue, described)),
            Whereabouts::At(there) => url = there,
        }
    }
    let why = format!("redirected more than {REDIRECTIONS_MAX} times");
    Err(CameraError::Refused { stage: "describe", why })
}

async fn whereabouts(
    camera: &Endpoint,
    url: &Url,
    asks_options: bool,
) -> Result<(Dialogue, Whereabouts), CameraError> {
    let mut dialogue = match asks_options {
        true => Dialogue::begin(camera, url).await?,
        false => Dialogue::connect(camera, url).await?,
    };
    let whereabouts = dialogue.describe().await?;
    Ok((dialogue, whereabouts))
}

/// Ends a session that an old server may mix with the next one, or waits until it has done so.
async fn end_stale(camera: &Endpoint, stale: Stale) {
    let asked = async {
        let mut dialogue = Dialogue::begin(camera, &camera.url).await?;
        dialogue.session = Some(stale.session.clone());
        dialogue.tear_down().await
    };
    if !matches!(tokio::time::timeout(SETUP_TIMEOUT, asked).await, Ok(Ok(()))) {
        let wait = stale.until.left();
        if !wait.is_zero() {
            let text = format!("waits {} s for its old session to end", wait.as_secs() + 1);
            camera.voice.say(log::Level::Info, &text);
            tokio::time::sleep(wait).await;
        }
    }
}
