//! A camera's settings: name, address, how to log in, how long to keep.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::document::{ConfigError, Document, Located};
use super::hours::Recorded;
use super::origin::{self, Origin};
use super::retain::General;
use super::section::{MAIN, Section};
use super::{CAMERAS_MAX, keys};
use crate::camera::{Camera, CameraError, OnvifCamera, Program, Transport};
use crate::retention::Terms;
use crate::units::ByteCount;

/// No camera takes a longer password, in bytes; a file that goes on was named by mistake.
const PASSWORD_BYTES_MAX: u64 = 1024;

/// Permission bits: its group may read, and everybody.
const MODE_OTHERS_READ: u32 = 0o044;

/// `[[camera]]`, or one of the streams of one.
#[derive(Clone, Debug)]
pub struct CameraConfig {
    /// Its name in the tree.
    pub name: CameraName,
    /// Where its pictures come from.
    pub origin: Origin,
    /// How to log in; `None`: the camera does not ask.
    pub credentials: Option<Credentials>,
    /// How its packets come.
    pub transport: Transport,
    /// Whether its sound is recorded.
    pub audio: bool,
    /// Whether frames are kept that follow a lost one.
    pub keeps_damaged: bool,
    /// The camera that it is a stream of, by its name.
    pub camera: CameraName,
    /// Whether there is anything to do with it.
    pub enabled: bool,
    /// When it is recorded.
    pub recorded: Recorded,
    /// How long its clips stay, and for what.
    pub retain: Terms,
    /// What the clips of its camera may take together.
    pub max: Option<ByteCount>,
    /// Where its name stands.
    pub(super) line: Option<usize>,
}

impl CameraConfig {
    /// What a session with it is begun with.
    ///
    /// # Errors
    /// Its address can't be used.
    pub fn session(&self) -> Result<Camera, CameraError> {
        let username = self.credentials.as_ref().map(|login| login.username.clone());
        let name = self.name.as_str();
        let camera = match &self.origin {
            Origin::Rtsp(url) => Camera::new(name, url.as_str(), username, None)?,
            Origin::Onvif(url, wanted) => {
                let camera = OnvifCamera::new(name, url, wanted.clone(), (username, None))?;
                Camera::Onvif(camera)
            }
            Origin::Command(command) => Camera::Program(Program::new(name, command.clone())),
        };
        let mut camera = camera.with_transport(self.transport).with_audio(self.audio);
        if let Some(login) = &self.credentials {
            let revealed = |password: Password| password.reveal().to_owned();
            camera.take_password(login.password.clone().map(revealed));
            if let Some(file) = login.password_file.clone() {
                let source = move || password_in(&file).map(revealed);
                camera = camera.with_password_source(Arc::new(source));
            }
        }
        Ok(camera)
    }
}

/// How to log in to a camera.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Not empty.
    pub username: String,
    /// May be empty; or why there is none: its file holds something else.
    pub password: Result<Password, String>,
    /// Where it stands.
    pub password_file: Option<PathBuf>,
}

/// A secret: it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A name that is a name on every system that may see the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CameraName(String);

/// Why a text is not a camera's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CameraNameError {
    /// Empty or too long.
    #[error("has {0} characters; 1 to {max} are allowed", max = CameraName::LENGTH_MAX)]
    Length(usize),
    /// A character that some system refuses.
    #[error("{0:?} is not allowed; letters a to z, digits, `-`, `_` and `.` are")]
    Character(char),
    /// Hidden, or a name that Windows cuts.
    #[error("begins or ends with a dot")]
    Dot,
    /// Means something else.
    #[error("{0:?} is taken: choose another name")]
    Taken(String),
}

impl CameraName {
    /// In characters; with the rest of a path it stays below what any system allows.
    pub const LENGTH_MAX: usize = 64;

    /// What the tree has for itself.
    const OF_THE_TREE: [&str; 2] = ["now", "live"];
    /// What Windows has for itself, with a number behind the last two.
    const OF_WINDOWS: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

    /// As in the configuration and the tree.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a camera's stream: the camera's own, or with the stream's behind it.
    fn of_stream(self, stream: &str) -> Result<CameraName, CameraNameError> {
        match stream {
            MAIN => Ok(self),
            other => format!("{}.{other}", self.0).parse(),
        }
    }

    fn is_taken(name: &str) -> bool {
        let lower = name.to_ascii_lowercase();
        let stem = lower.split('.').next().unwrap_or_default();
        let (device, number) = stem.split_at(stem.len().min(3));
        let of_windows = Self::OF_WINDOWS.contains(&device)
            && match device {
                "com" | "lpt" => number.len() == 1 && number.as_bytes()[0].is_ascii_digit(),
                _ => number.is_empty(),
            };
        of_windows || Self::OF_THE_TREE.contains(&lower.as_str())
    }
}

impl FromStr for CameraName {
    type Err = CameraNameError;

    fn from_str(name: &str) -> Result<CameraName, CameraNameError> {
        let portable = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if let Some(wrong) = name.chars().find(|c| !portable(*c)) {
            return Err(CameraNameError::Character(wrong));
        }
        if name.is_empty() || name.len() > Self::LENGTH_MAX {
            return Err(CameraNameError::Length(name.len()));
        }
        if name.starts_with('.') || name.ends_with('.') {
            return Err(CameraNameError::Dot);
        }
        match Self::is_taken(name) {
            true => Err(CameraNameError::Taken(name.to_owned())),
            false => Ok(CameraName(name.to_owned())),
        }
    }
}

impl fmt::Display for CameraName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// All cameras of a file, each stream of one as a camera of its own. What is doubtful but allowed
/// goes to `warnings`.
pub(super) fn read_all(
    document: &Document<'_>,
    retain: &General<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<CameraConfig>, ConfigError> {
    let mut cameras: Vec<CameraConfig> = Vec::new();
    for section in document.sections(&keys::CAMERA)? {
        let streams = section.streams()?;
        let alone = streams.is_empty().then_some(&section);
        for section in alone.into_iter().chain(&streams) {
            if cameras.len() == CAMERAS_MAX {
                return Err(section.refuse(&format!("more than {CAMERAS_MAX} cameras")));
            }
            cameras.push(read(section, &cameras, retain, warnings)?);
        }
    }
    warnings.dedup();
    Ok(cameras)
}

fn read(
    section: &Section<'_>,
    others: &[CameraConfig],
    retain: &General<'_>,
    warnings: &mut Vec<String>,
) -> Result<CameraConfig, ConfigError> {
    let (camera, name, line) = read_name(section, others)?;
    Ok(CameraConfig {
        name,
        camera,
        recorded: Recorded::read(section)?,
        origin: Origin::read(section)?,
        credentials: read_credentials(section, warnings)?,
        transport: origin::read_transport(section)?,
        audio: section.boolean(&keys::CAMERA_AUDIO)?.value,
        keeps_damaged: read_damaged(section)?,
        enabled: section.boolean(&keys::CAMERA_ENABLED)?.value,
        retain: retain.terms_of(section)?,
        max: section.optional_size(&keys::CAMERA_MAX)?,
        line,
    })
}

/// The name of a camera, that of the stream, and its line.
fn read_name(
    section: &Section<'_>,
    others: &[CameraConfig],
) -> Result<(CameraName, CameraName, Option<usize>), ConfigError> {
    let text = section.string(&keys::CAMERA_NAME)?;
    let refused = |error: CameraNameError| text.refuse(error.to_string());
    let camera: CameraName = text.value.parse().map_err(refused)?;
    let name = match section.stream_name() {
        Some(stream) => camera.clone().of_stream(stream).map_err(refused)?,
        None => camera.clone(),
    };
    let same = |other: &&CameraConfig| other.name.0.eq_ignore_ascii_case(&name.0);
    match others.iter().find(same) {
        Some(other) if other.name == name => {
            Err(text.refuse(format!("{:?} is the name of another camera, too", name.0)))
        }
        Some(other) => Err(text.refuse(format!(
            "{:?} differs from {:?} in upper and lower case only; a file share would mix them up",
            name.0, other.name.0
        ))),
        None => Ok((camera, name, text.line)),
    }
}

/// Whether damaged frames are kept.
fn read_damaged(section: &Section<'_>) -> Result<bool, ConfigError> {
    const WAYS: [(&str, bool); 2] = [("keep", true), ("drop", false)];
    let Some(text) = section.optional_string(&keys::CAMERA_DAMAGED)? else { return Ok(true) };
    let way = WAYS.iter().find(|(name, _)| *name == text.value);
    way.map(|(_, keeps)| *keeps)
        .ok_or_else(|| text.refuse(format!("{:?} is none; there are keep, drop", text.value)))
}

fn read_credentials(
    section: &Section<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<Credentials>, ConfigError> {
    let username = section.optional_string(&keys::CAMERA_USERNAME)?;
    let file = section.optional_path(&keys::CAMERA_PASSWORD_FILE)?;
    match (username, file) {
        (None, None) => Ok(None),
        (None, Some(file)) => Err(file.refuse("there is no `username` that it belongs to")),
        (Some(username), None) => {
            let password = Ok(Password(String::new()));
            Ok(Some(Credentials { username: username.value, password, password_file: None }))
        }
        (Some(username), Some(file)) => {
            let password = read_password(&file, warnings)?;
            let password_file = Some(file.value);
            Ok(Some(Credentials { username: username.value, password, password_file }))
        }
    }
}

/// What is in the file may be wrong today and right tomorrow, and is one camera's affair; a file
/// that is not there is a mistake in the configuration.
fn read_password(
    file: &Located<PathBuf>,
    warnings: &mut Vec<String>,
) -> Result<Result<Password, String>, ConfigError> {
    let path = file.value.display();
    let (bytes, mode) = read_secret(&file.value)
        .map_err(|error| file.refuse(format!("{path}: can't be read: {error}")))?;
    if mode & MODE_OTHERS_READ != 0 {
        let who = "others than its owner may read this password";
        warnings.push(format!("{path}: {who}; chmod 600 {path}"));
    }
    let password = password_of(bytes).map_err(|reason| format!("{path}: {reason}"));
    match &password {
        Err(reason) => warnings.push(format!(
            "{reason}: this camera is not recorded until that file holds a password"
        )),
        Ok(password) if password.0.trim() != password.0 => warnings.push(format!(
            "{path}: the password begins or ends with a blank, which is taken as part of it"
        )),
        Ok(_) => {}
    }
    Ok(password)
}

/// Reads a password file anew.
///
/// # Errors
/// It can't be read, or holds no password: with its path, for a log.
pub fn password_in(path: &Path) -> Result<Password, String> {
    let named = |reason: String| format!("{}: {reason}", path.display());
    let (bytes, _) = read_secret(path).map_err(|error| named(format!("can't be read: {error}")))?;
    password_of(bytes).map_err(named)
}

fn read_secret(path: &Path) -> std::io::Result<(Vec<u8>, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(PASSWORD_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok((bytes, mode))
}

/// A line of text; editors put a byte order mark in front of it and empty lines behind it.
fn password_of(bytes: Vec<u8>) -> Result<Password, String> {
    if bytes.len() as u64 > PASSWORD_BYTES_MAX {
        return Err(format!("longer than {PASSWORD_BYTES_MAX} bytes: not a password"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "not UTF-8: not a password".to_owned())?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    let line = text.trim_end_matches(['\n', '\r']);
    match line {
        "" => Err("is empty".to_owned()),
        _ if line.contains(['\n', '\r']) => Err("has more than one line".to_owned()),
        _ if line.contains(char::is_control) => Err("has a control character".to_owned()),
        _ => Ok(Password(line.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::time::Duration;

    use super::*;
    use crate::config::Config;

    const HEAD: &str = "[ring]\ndevice = \"/r\"\n[view]\nmount = \"/m\"\nzone = \"UTC\"\n";

    fn load(camera: &str) -> Result<Config, String> {
        let text = format!("{HEAD}[[camera]]\n{camera}");
        Config::parse(Path::new("c.toml"), &text).map_err(|error| error.to_string())
    }

    fn with_password_file(contents: &[u8], mode: u32) -> (Result<Config, String>, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let name = path.display().to_string();
        let camera = format!(
            "name = \"a\"\nurl = \"rtsp://h/1\"\nusername = \"u\"\npassword_file = \"{name}\"\n"
        );
        (load(&camera), name)
    }

    #[test]
    fn names_are_names_on_every_system() {
        for good in ["front-door", "a", "Hof_2.sub", "computer", "nowhere", "com10"] {
            assert!(good.parse::<CameraName>().is_ok(), "{good}");
        }
        let wrong = |name: &str| name.parse::<CameraName>().unwrap_err();
        assert_eq!(wrong(""), CameraNameError::Length(0));
        assert_eq!(wrong(&"x".repeat(65)), CameraNameError::Length(65));
        assert_eq!(wrong("a/b"), CameraNameError::Character('/'));
        assert_eq!(wrong("a:b"), CameraNameError::Character(':'));
        assert_eq!(wrong("Tür"), CameraNameError::Character('ü'));
        assert_eq!(wrong(".kept"), CameraNameError::Dot);
        assert_eq!(wrong("door."), CameraNameError::Dot);
        for taken in ["now", "Live", "aux", "COM1", "nul.front"] {
            assert_eq!(wrong(taken), CameraNameError::Taken(taken.to_owned()));
        }
    }

    #[test]
    fn two_cameras_of_one_name_are_refused() {
        let two = |name: &str| {
            format!("name = \"a\"\nurl = \"rtsp://h/1\"\n[[camera]]\nname = \"{name}\"\n")
        };
        let error = load(&two("a")).unwrap_err();
        assert_eq!(error, "c.toml:10: camera.name: \"a\" is the name of another camera, too");
        let error = load(&two("A")).unwrap_err();
        assert!(error.contains("upper and lower case only"), "{error}");
    }

    #[test]
    fn a_camera_has_several_streams() {
        let camera = "name = \"a\"\nretain = \"9d\"\nusername = \"u\"\n";
        let read = |streams: &str| load(&format!("{camera}{streams}"));
        let two = "streams = { sub = \"rtsp://h/2\", main = \"rtsp://h/1\" }\n";
        let config = read(two).unwrap();
        let [main, sub] = config.cameras.as_slice() else { panic!("{config:?}") };
        assert_eq!((main.name.as_str(), sub.name.as_str()), ("a", "a.sub"));
        assert!(matches!(&sub.origin, Origin::Rtsp(url) if url.as_str() == "rtsp://h/2"));
        assert_eq!(sub.credentials.as_ref().unwrap().username, "u");
        let own = "[camera.streams]\nmain = \"rtsp://h/1\"\n[camera.streams.sub]\n\
                   url = \"rtsp://h/2\"\nretain = \"3d\"\naudio = false\nenabled = false\n\
                   transport = \"udp\"\n";
        let config = read(own).unwrap();
        let sub = &config.cameras[1];
        assert_eq!(config.retain_of("a"), Some(Duration::from_secs(9 * 86_400)));
        assert_eq!(config.retain_of("a.sub"), Some(Duration::from_secs(3 * 86_400)));
        assert_eq!((sub.transport, sub.audio, sub.enabled), (Transport::Udp, false, false));
        assert!(config.cameras[0].audio && config.cameras[0].enabled);
    }

    #[test]
    fn what_is_wrong_with_a_stream_is_said_where_it_stands() {
        let camera = "name = \"a\"\n";
        let refused = |more: &str| load(&format!("{camera}{more}")).unwrap_err();
        for (more, words) in [
            ("streams = {}\n", "c.toml:8: camera.streams: names none"),
            ("streams = \"rtsp://h/\"\n", "is a text, has to be addresses by name such as"),
            ("streams = { main = 1 }\n", "camera.streams.main: is a number, has to be an address"),
            ("streams = { main = \"http://h/\" }\n", "c.toml:8: camera.streams.main.url: http://"),
            ("streams = { sub = {} }\n", "camera.streams.sub.url: missing: say `url"),
            (
                "streams = { \"a.b\" = \"rtsp://h/\" }\n",
                "c.toml:8: camera.streams.a.b: a stream is called",
            ),
            (
                "url = \"rtsp://h/\"\nstreams = { sub = \"rtsp://h/\" }\n",
                "c.toml:8: camera.url: is of",
            ),
            (
                "[camera.streams.sub]\nurk = 1\n",
                "camera.streams.sub.urk: no such key; did you mean `url`?",
            ),
            (
                "[camera.streams.sub]\nname = \"x\"\n",
                "camera.streams.sub.name: no such key; there are",
            ),
            (
                "streams = { sub = \"rtsp://h/2\" }\n[[camera]]\nname = \"A.sub\"\n\
                 url = \"rtsp://h/\"\n",
                "differs from \"a.sub\" in upper and lower case",
            ),
        ] {
            let error = refused(more);
            assert!(error.contains(words), "{words}: {error}");
        }
        let own = "username = \"u\"\n[camera.streams.sub]\ncommand = [\"ffmpeg\"]\n";
        assert!(load(&format!("{camera}{own}")).is_ok(), "the login is another stream's");
    }

    #[test]
    fn a_camera_without_a_url_is_refused_at_its_section() {
        let error = load("name = \"a\"\n").unwrap_err();
        assert_eq!(error, "c.toml:6: camera.url: missing: say `url = \"…\"` in [[camera]]");
    }

    #[test]
    fn only_rtsp_is_an_address() {
        let error = |url: &str| load(&format!("name = \"a\"\nurl = \"{url}\"\n")).unwrap_err();
        let of_http = error("http://h/1");
        assert_eq!(
            of_http,
            "c.toml:8: camera.url: http:// is not supported; rtsp:// and onvif:// are"
        );
        assert!(error("rtsps://h/1").contains("rtsps:// is not supported"));
        assert!(error("192.0.2.10").contains("not an address"));
        assert!(error("rtsp:///stream").contains("names no host"));
    }

    #[test]
    fn credentials_in_a_url_are_refused_and_not_repeated() {
        let error = load("name = \"a\"\nurl = \"rtsp://me:s3cret@h/1\"\n").unwrap_err();
        assert!(error.contains("say `username` and `password_file` instead"), "{error}");
        assert!(!error.contains("s3cret"));
    }

    #[test]
    fn a_password_loses_what_editors_add_and_is_never_printed() {
        for contents in
            [&b"s3cret"[..], b"s3cret\n", b"s3cret\r\n", b"\xEF\xBB\xBFs3cret\n", b"s3cret\n\n"]
        {
            let (config, _) = with_password_file(contents, 0o600);
            let config = config.unwrap();
            let credentials = config.cameras[0].credentials.as_ref().unwrap();
            assert_eq!(credentials.password.as_ref().unwrap().reveal(), "s3cret");
            assert!(!format!("{config:?}").contains("s3cret"));
            assert_eq!(config.warnings, [""; 0]);
        }
    }

    #[test]
    fn a_blank_at_the_end_of_a_password_is_part_of_it_and_a_warning() {
        let (config, name) = with_password_file(b"s3cret \n", 0o600);
        let config = config.unwrap();
        let credentials = config.cameras[0].credentials.as_ref().unwrap();
        assert_eq!(credentials.password.as_ref().unwrap().reveal(), "s3cret ");
        assert!(config.warnings[0].starts_with(&format!("{name}: the password begins or ends")));
    }

    #[test]
    fn a_password_that_everybody_may_read_is_a_warning() {
        for mode in [0o644, 0o640, 0o604] {
            let (config, name) = with_password_file(b"s3cret\n", mode);
            let warnings = config.unwrap().warnings;
            let who = "others than its owner may read this password";
            let advice = format!("{name}: {who}; chmod 600 {name}");
            assert_eq!(warnings, [advice], "{mode:o}");
        }
    }

    #[test]
    fn a_file_that_holds_no_password_is_that_cameras_affair() {
        let refused = |contents: &[u8]| {
            let (config, name) = with_password_file(contents, 0o600);
            let config = config.unwrap();
            let credentials = config.cameras[0].credentials.clone().unwrap();
            let reason = credentials.password.unwrap_err();
            assert!(config.warnings[0].starts_with(&reason), "{:?}", config.warnings);
            reason.strip_prefix(&format!("{name}: ")).expect(&reason).to_owned()
        };
        assert_eq!(refused(b"\n"), "is empty");
        assert_eq!(refused(b"one\ntwo\n"), "has more than one line");
        assert_eq!(refused(b"one\ttwo\n"), "has a control character");
        assert_eq!(refused(&[0xff, 0xfe]), "not UTF-8: not a password");
        assert_eq!(refused(&[b'x'; 2000]), "longer than 1024 bytes: not a password");
    }

    #[test]
    fn a_password_file_is_read_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        assert!(password_in(&path).unwrap_err().contains("can't be read"));
        fs::write(&path, "one\n").unwrap();
        assert_eq!(password_in(&path).unwrap().reveal(), "one");
    }

    #[test]
    fn an_unreadable_password_file_is_refused_with_name_and_reason() {
        let camera = "name = \"a\"\nurl = \"rtsp://h/1\"\nusername = \"u\"\n";
        let error = load(&format!("{camera}password_file = \"/nowhere/pw\"\n")).unwrap_err();
        assert_eq!(
            error,
            "c.toml:10: camera.password_file: /nowhere/pw: can't be read: \
             No such file or directory (os error 2)"
        );
    }

    #[test]
    fn a_transport_is_one_of_three() {
        let camera = "name = \"a\"\nurl = \"rtsp://h/1\"\n";
        let transport =
            |text: &str| load(&format!("{camera}{text}")).map(|it| it.cameras[0].transport);
        assert_eq!(transport(""), Ok(Transport::Auto));
        assert_eq!(transport("transport = \"udp\"\n"), Ok(Transport::Udp));
        let error = transport("transport = \"UDP\"\n").unwrap_err();
        assert!(error.ends_with("\"UDP\" is none; there are auto, tcp, udp"), "{error}");
    }

    #[test]
    fn damaged_frames_are_kept_or_dropped() {
        let camera = "name = \"a\"\nurl = \"rtsp://h/1\"\n";
        let keeps =
            |text: &str| load(&format!("{camera}{text}")).map(|it| it.cameras[0].keeps_damaged);
        assert_eq!(keeps(""), Ok(true));
        assert_eq!(keeps("damaged = \"keep\"\n"), Ok(true));
        assert_eq!(keeps("damaged = \"drop\"\n"), Ok(false));
        let error = keeps("damaged = \"mark\"\n").unwrap_err();
        assert!(error.ends_with("\"mark\" is none; there are keep, drop"), "{error}");
    }

    #[test]
    fn a_password_needs_a_username() {
        let camera = "name = \"a\"\nurl = \"rtsp://h/1\"\npassword_file = \"/pw\"\n";
        assert!(load(camera).unwrap_err().contains("there is no `username`"));
        let camera = "name = \"a\"\nurl = \"rtsp://h/1\"\nusername = \"u\"\n";
        let config = load(camera).unwrap();
        let credentials = config.cameras[0].credentials.as_ref().unwrap();
        assert_eq!(credentials.password.as_ref().unwrap().reveal(), "");
    }
}
