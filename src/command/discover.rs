//! `reelfs discover`: cameras of the network, and sections of the configuration for them.

use std::collections::HashSet;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};

use super::login::{LoginRequest, toml_text};
use super::progress::progress_bar;
use super::{CommandError, unless_closed};
use crate::camera::one_line;
use crate::cli::table::{Align, Table};
use crate::clock::Stopwatch;
use crate::config::CameraName;
use crate::onvif::{self, Address, Found, Information, Login, OnvifError, Profile};
use crate::units::Counted;

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);
/// Stands where nothing is known.
const UNKNOWN: &str = "-";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct DiscoverRequest {
    /// How long to wait for answers.
    pub length: Duration,
    /// Addresses of this machine whose networks are searched; all where there is none.
    pub interfaces: Vec<Ipv4Addr>,
    /// How to log in.
    pub login: LoginRequest,
    /// JSON for programs, rather than lines for people.
    pub json: bool,
}

/// A camera that has answered, and what it has said of itself then.
struct Camera {
    found: Found,
    said: Result<(Information, Vec<Profile>), OnvifError>,
}

/// Searches for cameras and prints what they are.
///
/// # Errors
/// None answers, or no search can be sent.
pub fn discover(request: &DiscoverRequest, out: &mut dyn Write) -> Result<(), CommandError> {
    let password = request.login.password()?.unwrap_or_default();
    let login = request.login.username.clone().map(|username| Login {
        username,
        password,
        is_told_plainly: false,
    });
    let interfaces = match request.interfaces.is_empty() {
        true => onvif::interfaces().map_err(|source| system("the network", source))?,
        false => request.interfaces.clone(),
    };
    if interfaces.is_empty() {
        return Err(CommandError::Failed("this machine is in no network".to_owned()));
    }
    let found = search(&interfaces, request.length)?;
    if found.is_empty() {
        let own: Vec<String> = interfaces.iter().map(ToString::to_string).collect();
        return Err(CommandError::Failed(format!(
            "no camera has answered within {} s to a search from {}: ONVIF may be switched off in \
             it, and a search goes as far as the next router",
            request.length.as_secs(),
            own.join(", ")
        )));
    }
    let cameras = ask_all(found, login.as_ref());
    unless_closed(match request.json {
        true => print_json(&cameras, out),
        false => print(request, &cameras, out),
    })
}

fn system(what: &str, source: io::Error) -> CommandError {
    CommandError::System { what: what.to_owned(), source }
}

fn search(interfaces: &[Ipv4Addr], length: Duration) -> Result<Vec<Found>, CommandError> {
    let bar = progress_bar(length.as_millis() as u64, "{spinner} {wide_bar} {msg}");
    bar.set_message("searching");
    let began = Stopwatch::start();
    let found = std::thread::scope(|scope| {
        let search = scope.spawn(|| onvif::search(interfaces, length));
        while !search.is_finished() {
            bar.set_position(began.elapsed().as_millis() as u64);
            std::thread::sleep(TICK);
        }
        search.join().unwrap_or_else(|_| Err(io::Error::other("it has failed")))
    });
    bar.finish_and_clear();
    found.map_err(|source| system("a search", source))
}

/// Asks each of them who it is, in the order in which they were found.
fn ask_all(found: Vec<Found>, login: Option<&Login>) -> Vec<Camera> {
    let bar = progress_bar(found.len() as u64, "{wide_bar} {pos} of {len} cameras asked");
    let asked = onvif::ask_each(&found, |found| {
        let said = onvif::information(&found.service, login)
            .and_then(|said| Ok((said, onvif::profiles(&found.service, login)?)));
        bar.inc(1);
        said
    });
    bar.finish_and_clear();
    let all = found.into_iter().zip(asked);
    all.filter_map(|(found, said)| Some(Camera { found, said: said? })).collect()
}

impl Camera {
    fn place(&self) -> String {
        let service = &self.found.service;
        let host = service.host_str().unwrap_or_default();
        let path = if service.path() == onvif::SERVICE_PATH { "" } else { service.path() };
        let port = service.port().map_or(String::new(), |port| format!(":{port}"));
        format!("{host}{port}{path}")
    }

    fn profiles(&self) -> &[Profile] {
        self.said.as_ref().map_or(&[], |(_, profiles)| profiles)
    }

    fn serial(&self) -> &str {
        self.said.as_ref().map_or("", |(said, _)| &said.serial)
    }

    /// How the configuration may name it: by its serial number, with which it is found wherever it
    /// is, or by where it is.
    fn address(&self, serials: &[&str]) -> String {
        let is_alone = serials.iter().filter(|serial| **serial == self.serial()).count() == 1;
        let by_serial = Address::of_serial(self.serial()).filter(|_| is_alone);
        by_serial.unwrap_or_else(|| format!("onvif://{}", self.place()))
    }

    /// A name for it that no other one has yet.
    fn name(&self, taken: &mut HashSet<String>) -> String {
        let said = [&self.found.name, &self.found.hardware];
        let said = said.into_iter().find(|said| !said.is_empty());
        let model = || self.said.as_ref().map(|(said, _)| said.model.as_str()).unwrap_or_default();
        let stem = portable(said.map_or_else(model, String::as_str));
        let mut name = stem.clone();
        for number in 2.. {
            if taken.insert(name.to_ascii_lowercase()) {
                break;
            }
            name = format!("{stem}-{number}");
        }
        name
    }

    fn section(&self, request: &DiscoverRequest, serials: &[&str], name: &str) -> String {
        let address = toml_text(&self.address(serials));
        let place = match onvif::of_one_lens(self.profiles()).len() {
            0 | 1 => format!("url = {address}\n"),
            _ => format!("streams = {{ main = {address}, sub = {address} }}\n"),
        };
        format!("[[camera]]\nname = \"{name}\"\n{place}{}", request.login.lines())
    }
}

/// A text as a name of the configuration.
fn portable(text: &str) -> String {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let parts: Vec<&str> = text.split(|c| !is_fit(c)).filter(|part| !part.is_empty()).collect();
    let mut name = parts.join("-").to_ascii_lowercase();
    // Room for a number, and for the name of a stream.
    name.truncate(CameraName::LENGTH_MAX / 2);
    if name.parse::<CameraName>().is_ok() { name } else { "camera".to_owned() }
}

/// Main first, sub last.
fn streams_text(profiles: &[Profile]) -> String {
    let own = onvif::of_one_lens(profiles);
    own.into_iter().map(profile_text).collect::<Vec<_>>().join(", ")
}

fn profile_text(profile: &Profile) -> String {
    let (width, height) = profile.picture;
    format!("{width}x{height} {}", profile.encoding)
}

/// Profiles that are neither main nor sub, nor between them: what names them.
fn others_text(profiles: &[Profile]) -> Option<String> {
    let own = onvif::of_one_lens(profiles);
    let others = profiles.iter().filter(|profile| !own.contains(profile));
    let others: Vec<String> =
        others.map(|it| format!("?profile={} is {}", it.token, profile_text(it))).collect();
    (!others.is_empty()).then(|| one_line(&others.join(", ")))
}

fn print(
    request: &DiscoverRequest,
    cameras: &[Camera],
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let columns = ["address", "name", "camera", "serial number", "streams"];
    let mut table = Table::new(&columns.map(|column| (column, Align::Left)));
    let or_unknown =
        |text: &str| if text.is_empty() { UNKNOWN.to_owned() } else { text.to_owned() };
    for camera in cameras {
        let Found { name, hardware, .. } = &camera.found;
        let (what, streams) = match &camera.said {
            Ok((said, profiles)) => {
                (format!("{} {}", said.manufacturer, said.model), streams_text(profiles))
            }
            Err(_) => (hardware.clone(), String::new()),
        };
        table.push([
            camera.place(),
            or_unknown(&one_line(name)),
            or_unknown(&one_line(&what)),
            or_unknown(&one_line(camera.serial())),
            or_unknown(&one_line(&streams)),
        ]);
    }
    write!(out, "{table}")?;
    for camera in cameras {
        if let Some(others) = others_text(camera.profiles()) {
            writeln!(out, "{}: behind its address, {others}", camera.place())?;
        }
        if let Err(error) = &camera.said {
            let advice = match (error, &request.login.username) {
                (OnvifError::Denied { .. }, None) => "; --username and --password-file log in",
                _ => "",
            };
            let error = one_line(&error.to_string());
            writeln!(out, "{}: says no more of itself: {error}{advice}", camera.place())?;
        }
    }
    writeln!(out, "\n# {}, for reelfs.toml", Counted(cameras.len() as u64, "camera"))?;
    let serials: Vec<&str> = cameras.iter().map(Camera::serial).collect();
    let mut taken = HashSet::new();
    for camera in cameras {
        let name = camera.name(&mut taken);
        write!(out, "{}", camera.section(request, &serials, &name))?;
    }
    Ok(out.flush()?)
}

fn print_json(cameras: &[Camera], out: &mut dyn Write) -> Result<(), CommandError> {
    let serials: Vec<&str> = cameras.iter().map(Camera::serial).collect();
    let told = |camera: &Camera| -> Value {
        let Found { endpoint, service, name, hardware } = &camera.found;
        let said = camera.said.as_ref().ok().map(|(said, _)| said);
        let profiles = camera.profiles().iter().map(|profile| {
            json!({
                "token": profile.token,
                "name": profile.name,
                "encoding": profile.encoding,
                "width": profile.picture.0,
                "height": profile.picture.1,
            })
        });
        json!({
            "url": camera.address(&serials),
            "service": service.as_str(),
            "endpoint": endpoint,
            "name": name,
            "hardware": hardware,
            "manufacturer": said.map(|said| &said.manufacturer),
            "model": said.map(|said| &said.model),
            "serial": said.map(|said| &said.serial),
            "profiles": profiles.collect::<Vec<_>>(),
            "error": camera.said.as_ref().err().map(ToString::to_string),
        })
    };
    let all: Vec<Value> = cameras.iter().map(told).collect();
    serde_json::to_writer_pretty(&mut *out, &all).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_camera_calls_itself_is_a_name() {
        for (said, name) in [
            ("Front Door", "front-door"),
            ("  IPC/HDW-2831 (é) ", "ipc-hdw-2831"),
            ("", "camera"),
            ("???", "camera"),
            ("now", "camera"),
            ("a.b", "a-b"),
        ] {
            assert_eq!(portable(said), name);
        }
        assert_eq!(portable(&"x".repeat(300)).len(), 32);
    }
}
