//! Where a camera's pictures come from: an address, or a program.

use std::path::Path;

use url::Url;

use super::document::ConfigError;
use super::keys::{self, Key};
use super::section::{MAIN, Section};
use crate::camera::{ONVIF, Transport};
use crate::onvif::{Address, Wanted};

/// The stream that is taken for the camera's smaller one.
const SUB: &str = "sub";

/// Where a camera's pictures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `rtsp://`, with a host, without credentials.
    Rtsp(Url),
    /// `onvif://`, the same, and which of the camera's streams it is.
    Onvif(Url, Wanted),
    /// A program, an absolute path or a name without a slash, and its arguments.
    Command(Vec<String>),
}

/// What an address may be; what is not written in one as it is has its code.
const FORMS: &str = "\"rtsp://HOST/PATH\", or \"onvif://HOST\", a blank as %20";

/// What belongs to an address.
const OF_URL: [&Key; 4] = [
    &keys::CAMERA_URL,
    &keys::CAMERA_USERNAME,
    &keys::CAMERA_PASSWORD_FILE,
    &keys::CAMERA_TRANSPORT,
];

impl Origin {
    pub(super) fn read(section: &Section<'_>) -> Result<Origin, ConfigError> {
        let Some(command) = section.optional_words(&keys::CAMERA_COMMAND)? else {
            return read_url(section);
        };
        for key in OF_URL {
            if let Some(other) = section.own(key) {
                return Err(other.refuse("is of a camera with an address; this one has `command`"));
            }
        }
        let mut words = command.value.clone();
        let Some(program) = words.first_mut().filter(|program| !program.is_empty()) else {
            return Err(command.refuse("names no program"));
        };
        if program.contains('/') {
            *program = section.absolute(program).to_string_lossy().into_owned();
            let is_there = Path::new(program).is_file();
            if !is_there {
                return Err(command.refuse(format!("{program} is no file")));
            }
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err(command.refuse("has a NUL character in it"));
        }
        Ok(Origin::Command(words))
    }
}

/// The text of the url is never part of an error: a password may stand in it.
fn read_url(section: &Section<'_>) -> Result<Origin, ConfigError> {
    let text = section.string(&keys::CAMERA_URL)?;
    let url = Url::parse(&text.value)
        .map_err(|error| text.refuse(format!("not an address: {error}; write {FORMS}")))?;
    if !["rtsp", ONVIF].contains(&url.scheme()) {
        let reason = format!("{}:// is not supported; rtsp:// and onvif:// are", url.scheme());
        return Err(text.refuse(reason));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let advice = "holds a user name or a password; say `username` and `password_file` instead";
        return Err(text.refuse(advice));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(text.refuse(format!("names no host; write {FORMS}")));
    }
    if url.scheme() != ONVIF {
        return Ok(Origin::Rtsp(url));
    }
    let address = Address::parse(&url).map_err(|reason| text.refuse(reason))?;
    let wanted = match (section.stream_name(), address.wanted) {
        (None | Some(MAIN), wanted) | (_, wanted @ Wanted::Profile(_)) => wanted,
        (Some(SUB), _) => Wanted::Sub,
        (Some(_), _) => {
            let advice = "says not which stream this is: name it, onvif://HOST?profile=TOKEN";
            return Err(text.refuse(advice));
        }
    };
    Ok(Origin::Onvif(url, wanted))
}

pub(super) fn read_transport(section: &Section<'_>) -> Result<Transport, ConfigError> {
    let Some(text) = section.optional_string(&keys::CAMERA_TRANSPORT)? else {
        return Ok(Transport::default());
    };
    Transport::named(&text.value).ok_or_else(|| {
        let names: Vec<&str> = Transport::NAMES.iter().map(|(name, _)| *name).collect();
        text.refuse(format!("{:?} is none; there are {}", text.value, names.join(", ")))
    })
}
