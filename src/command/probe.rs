//! `reelfs probe`: what a camera's stream is, how it comes, and which settings suit it.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::login::{LoginRequest, toml_text};
use super::progress::progress_bar;
use super::{CommandError, camera_named, unless_closed};
use crate::camera::{Camera, Transport};
use crate::cli::quantity::{bit_rate_text, size_text};
use crate::clock::Clock;
use crate::config::Config;
use crate::probe::{Heard, Wanted, advice, better_transport, listen, snapshot};
use crate::units::{ByteCount, Counted};

/// A day, in seconds.
const DAY_SECONDS: f64 = 86_400.0;
/// What a camera is called that has no name yet.
const UNNAMED: &str = "camera";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct ProbeRequest {
    /// An address, or the name of a camera of the configuration.
    pub camera: String,
    /// The configuration, where it is a name.
    pub config: Option<Config>,
    /// How to log in to an address.
    pub login: LoginRequest,
    /// How packets of an address come.
    pub transport: Option<Transport>,
    /// How long to listen, from the first frame on.
    pub length: Duration,
    /// Where what was heard is written to.
    pub save: Option<PathBuf>,
    /// JSON for programs, rather than lines for people.
    pub json: bool,
}

/// Listens to a camera and prints what it is.
///
/// # Errors
/// There is no such camera, it can't be recorded, and why, or the file can't be written.
pub fn probe(
    request: &ProbeRequest,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let camera = session(request)?;
    let saved = request.save.as_deref().map(create).transpose()?;
    let wanted = Wanted { length: request.length, keeps_frames: saved.is_some() };
    let bar = progress_bar(request.length.as_millis() as u64, "{spinner} {wide_bar} {msg}");
    let listened = listen(&camera, clock, wanted, &mut |heard, elapsed| {
        bar.set_position(elapsed.as_millis() as u64);
        bar.set_message(match heard.pictures.frames {
            0 => "connecting".to_owned(),
            frames => Counted(frames, "picture").to_string(),
        });
        bar.tick();
    });
    bar.finish_and_clear();
    let failed = |reason: &dyn std::fmt::Display| {
        CommandError::Failed(format!("{}: {reason}", camera.address()))
    };
    let (heard, frames) = listened.map_err(|reason| failed(&reason))?;
    if let Some((mut file, path)) = saved {
        let bytes = snapshot(frames).map_err(|reason| failed(&reason))?;
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .map_err(|source| CommandError::System { what: path.display().to_string(), source })?;
    }
    let printed = match request.json {
        true => print_json(&camera, &heard, out),
        false => print(request, &camera, &heard, out),
    };
    unless_closed(printed)
}

/// What the session is begun with.
fn session(request: &ProbeRequest) -> Result<Camera, CommandError> {
    let wrong = |reason: &dyn std::fmt::Display| CommandError::Usage(reason.to_string());
    let Some(config) = &request.config else {
        let (username, password) = (request.login.username.clone(), request.login.password()?);
        let camera = Camera::new(UNNAMED, &request.camera, username, password)
            .map_err(|reason| wrong(&reason))?;
        return Ok(camera.with_transport(request.transport.unwrap_or_default()));
    };
    if request.login.username.is_some() || request.transport.is_some() {
        return Err(CommandError::Usage(
            "--username, --password-file and --transport are for an address; a camera of the \
             configuration has its own"
                .to_owned(),
        ));
    }
    let known = camera_named(config, &request.camera).map_err(|known| {
        CommandError::Usage(format!(
            "{:?} is no address (rtsp://…, onvif://…), and no camera of the configuration: {known}",
            request.camera
        ))
    })?;
    known.session().map_err(|reason| wrong(&reason))
}

/// A file that is not there yet: looked at before anybody waits.
fn create(path: &Path) -> Result<(File, &Path), CommandError> {
    let made = File::options().write(true).create_new(true).open(path);
    let file = made.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => {
            CommandError::Failed(format!("{} is there already", path.display()))
        }
        _ => CommandError::System { what: path.display().to_string(), source },
    })?;
    Ok((file, path))
}

fn print(
    request: &ProbeRequest,
    camera: &Camera,
    heard: &Heard,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    writeln!(out, "{:<12}{}", "camera", camera.address())?;
    for (name, value) in rows(heard) {
        writeln!(out, "{name:<12}{value}")?;
    }
    for said in advice(heard) {
        writeln!(out, "{:<12}{said}", "note")?;
    }
    if request.config.is_none() {
        write!(out, "\n{}", section(request, camera, heard))?;
    }
    Ok(out.flush()?)
}

/// What was heard, in words.
fn rows(heard: &Heard) -> Vec<(&'static str, String)> {
    let facts = &heard.facts;
    let or = |text: &str, otherwise: &str| match text.is_empty() {
        true => otherwise.to_owned(),
        false => text.to_owned(),
    };
    let video = &facts.video;
    let (width, height) = video.picture;
    let stated = video
        .frame_rate
        .map_or(String::new(), |rate| format!(" (it says {})", (rate * 100.0).round() / 100.0));
    let rate = heard.pictures.rate();
    let bit_rate =
        heard.pictures.bit_rate().map(|rate| rate + heard.sound.bit_rate().unwrap_or(0.0));
    let per_day = bit_rate.map(|rate| ByteCount((rate / 8.0 * DAY_SECONDS) as u64));
    let group = heard.group().map(|group| {
        let pictures = rate.map_or(0.0, |rate| rate * group.as_secs_f64()).round();
        format!("a key frame each {:.2} s, {pictures} pictures", group.as_secs_f64())
    });
    let times = if facts.has_sender_reports { "of its sender reports" } else { "of arrival" };
    let unknown = || "not known".to_owned();
    vec![
        ("says it is", or(&facts.server, "nothing")),
        ("login", or(facts.login, "not asked for")),
        ("transport", facts.transport.to_owned()),
        ("pictures", format!("{} {}, {width}x{height}", video.coding, video.codec)),
        ("rate", rate.map_or_else(unknown, |rate| format!("{rate:.2} a second{stated}"))),
        ("groups", group.unwrap_or_else(unknown)),
        (
            "bit rate",
            bit_rate.zip(per_day).map_or_else(unknown, |(rate, day)| {
                format!("{}, {} a day", bit_rate_text(rate as u64), size_text(day))
            }),
        ),
        ("sound", facts.sound.as_ref().map_or("none".to_owned(), ToString::to_string)),
        ("records", if heard.records == 0 { "none".to_owned() } else { heard.records.to_string() }),
        (
            "times",
            format!(
                "{times}; pictures come up to {} ms apart from them",
                heard.jitter().as_millis()
            ),
        ),
        ("lost", Counted(heard.lost_packets, "packet").to_string()),
        ("began", format!("{:.2} s after the first request", heard.waited.as_secs_f64())),
    ]
}

/// What the configuration may say: what was asked for, and what suits the camera better.
fn section(request: &ProbeRequest, camera: &Camera, heard: &Heard) -> String {
    let address = toml_text(camera.address());
    let mut text = format!("[[camera]]\nname = \"{UNNAMED}\"\nurl = {address}\n");
    text += &request.login.lines();
    let way = better_transport(heard).or(request.transport);
    let way = way.filter(|way| *way != Transport::Auto);
    if let Some(way) = way
        && let Some((name, _)) = Transport::NAMES.into_iter().find(|(_, known)| *known == way)
    {
        text += &format!("transport = \"{name}\"\n");
    }
    text
}

fn print_json(camera: &Camera, heard: &Heard, out: &mut dyn Write) -> Result<(), CommandError> {
    let Heard { facts, pictures, sound, .. } = heard;
    let (width, height) = facts.video.picture;
    let told = json!({
        "camera": camera.address(),
        "server": facts.server,
        "login": facts.login,
        "transport": facts.transport,
        "codec": facts.video.codec,
        "width": width,
        "height": height,
        "stated_rate": facts.video.frame_rate,
        "rate": pictures.rate(),
        "frames": pictures.frames,
        "group_seconds": heard.group().map(|group| group.as_secs_f64()),
        "bits_per_second": pictures.bit_rate(),
        "sound": facts.sound.as_ref().map(ToString::to_string),
        "sound_packets": sound.frames,
        "sound_bits_per_second": sound.bit_rate(),
        "records": heard.records,
        "sender_reports": facts.has_sender_reports,
        "jitter_seconds": heard.jitter().as_secs_f64(),
        "lost_packets": heard.lost_packets,
        "began_seconds": heard.waited.as_secs_f64(),
        "notes": advice(heard),
    });
    serde_json::to_writer_pretty(&mut *out, &told).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(out.flush()?)
}
