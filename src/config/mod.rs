//! Settings: a TOML file to checked values, before anything is touched.
//!
//! Every key is defined once, in [`keys`]: its type, range, default and text. The reader takes
//! ranges and defaults from there, the suggestions for a misspelt key its names, and the manual
//! page `reelfs.toml.5` ([`manual()`]) everything. A wrong key, type or value is a [`ConfigError`],
//! which says file, line, key and reason.

mod camera;
mod changes;
mod document;
pub mod duration;
mod hours;
pub mod keys;
mod kind;
mod manual;
mod nearest;
mod origin;
mod permissions;
mod retain;
mod section;
mod share;
pub mod size;
mod unknown;
mod view;
mod zone;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::retention::Terms;
use crate::zone::Zone;

pub use camera::{CameraConfig, CameraName, CameraNameError, Credentials, Password, password_in};
pub use document::ConfigError;
pub use hours::{Hours, Recorded};
pub use manual::{manual, manual_title};
pub use origin::Origin;
pub use permissions::parse as parse_umask;
pub use view::{VIEWS_MAX, ViewConfig};
pub use zone::{parse as parse_zone, system_zone};

use document::Document;
use section::Section;

const HOUR_SECONDS: u64 = 3600;

/// A clip and the time between two purges are each no longer than one of so many parts of
/// `retain`: the oldest footage that can be read is at most half as old again.
const RETAIN_PARTS: u32 = 4;

/// The configuration of a machine, where `--config` says nothing and the current directory has no
/// [`FILE_NAME`].
pub const SYSTEM_FILE: &str = "/etc/reelfs/reelfs.toml";

/// What a configuration is called.
pub const FILE_NAME: &str = "reelfs.toml";

/// A file longer than this is not a configuration, in bytes: [`CAMERAS_MAX`] cameras fit with
/// room for as many comments.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Each camera has a connection, a buffer and a growing clip: what these may take in memory is
/// this many times the limit of one.
pub const CAMERAS_MAX: usize = 256;

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[ring]`: where footage is stored.
    pub ring: RingConfig,
    /// `[view]`, or each `[[view]]`: how it is shown; one at least.
    pub views: Vec<ViewConfig>,
    /// The longest clip: 10 s to 1 h, whole seconds, divides an hour.
    pub clip: Duration,
    /// The zone of the first view: that of times which are of no view.
    pub zone: Zone,
    /// `[purge]`: how it goes.
    pub purge: PurgeConfig,
    /// `[retain]`: how long footage stays, and for what, of cameras that say nothing else.
    pub retain: Terms,
    /// `[control]`: how it is told what to do.
    pub control: ControlConfig,
    /// `[[camera]]`, in the order of the file. None is allowed: old footage is then served.
    pub cameras: Vec<CameraConfig>,
    /// What is allowed and yet likely to be a mistake; to be logged.
    pub warnings: Vec<String>,
    file: PathBuf,
    lines: BTreeMap<String, usize>,
}

/// `[ring]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingConfig {
    /// A block device or a file that `reelfs format` has made into a ring.
    pub device: PathBuf,
    /// Directory of the index.
    pub index: PathBuf,
    /// Time between flushes, 200 ms to 60 s.
    pub flush: Duration,
    /// Time in which all footage is tried once, at least a second; `None`: never.
    pub scrub: Option<Duration>,
    /// How much of the ring may be kept, in percent: 0 to 90.
    pub keep_max: u8,
}

/// `[purge]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeConfig {
    /// Time between two passes, 1 s to 1 h.
    pub every: Duration,
    /// From `rm` to the purge.
    pub grace: Duration,
    /// Whether purged samples are overwritten with zeros.
    pub wipe: bool,
    /// Age at which clips of cameras expire that have left the configuration; `None`: what they
    /// had. At least a minute.
    pub removed_retain: Option<Duration>,
    /// How much of a camera one pass gives up, in percent; `None`: as much as there is.
    pub brake: Option<u8>,
}

/// `[control]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlConfig {
    /// Where the daemon listens.
    pub socket: PathBuf,
}

impl Config {
    /// The file that is meant where none is named: [`FILE_NAME`] in the current directory if it
    /// is there, else [`SYSTEM_FILE`].
    #[must_use]
    pub fn default_path() -> PathBuf {
        let here = PathBuf::from(FILE_NAME);
        if here.exists() { here } else { PathBuf::from(SYSTEM_FILE) }
    }

    /// Reads and checks the file at `path`, and the password files that it names. Relative paths
    /// in it count from its own directory.
    ///
    /// # Errors
    /// The first thing that is wrong, with file, line, key and reason.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = read_text(path).map_err(|reason| ConfigError::of_file(path, reason))?;
        Config::parse(path, &text)
    }

    /// As [`Config::load`], with the contents of the file in hand.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let document = Document::parse(path, text)?;
        document.refuse_unknown_keys()?;
        let mut warnings = Vec::new();
        let purge = read_purge(&document.section(&keys::PURGE)?)?;
        let (views, clip) = view::read_all(&document, &mut warnings)?;
        let ring = read_ring(&document.section(&keys::RING)?, &views)?;
        let general = retain::General::read(&document)?;
        let retain = general.terms()?;
        let cameras = camera::read_all(&document, &general, &mut warnings)?;
        let zone = views.first().map_or(Zone::UTC, |view| view.zone.clone());
        let socket = document.section(&keys::CONTROL)?.path(&keys::CONTROL_SOCKET)?.value;
        let control = ControlConfig { socket };
        let lines = document.lines();
        let file = path.to_path_buf();
        let mut config = Config {
            ring,
            views,
            clip,
            zone,
            purge,
            retain,
            control,
            cameras,
            warnings,
            file,
            lines,
        };
        let likely = [config.shorter_clips(), config.unlikely_views()].concat();
        config.warnings.extend(likely);
        Ok(config)
    }

    /// What is to be said of cameras whose footage goes sooner than a clip would end.
    fn shorter_clips(&self) -> Vec<String> {
        let (file, clip) = (self.file.display(), self.clip);
        let mut said = Vec::new();
        for camera in &self.cameras {
            let name = camera.name.as_str();
            let short = self.retain_of(name).filter(|it| !it.is_zero() && *it < clip);
            let Some(retain) = short else { continue };
            let [retain, clip, own] = [retain, clip, self.clip_of(name)].map(duration::text);
            said.push(format!(
                "{file}: {name}: a retain of {retain} is shorter than a clip of {clip}: its clips \
                 are {own} long"
            ));
        }
        said
    }

    /// The file that it was read from.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The same, as it is known from anywhere.
    #[must_use]
    pub fn absolute_file(&self) -> PathBuf {
        std::path::absolute(&self.file).unwrap_or_else(|_| self.file.clone())
    }

    /// The error that says `reason` of the value of `key` in this file, for a room that knows
    /// more of what a key may say than this one does.
    #[must_use]
    pub fn refuse(&self, key: &keys::Key, reason: impl ToString) -> ConfigError {
        let label = key.label();
        let line = self.lines.get(&label).copied();
        ConfigError::of_key(&self.file, line, label, reason.to_string())
    }

    /// The same of the layout of a view.
    #[must_use]
    pub fn refuse_layout(&self, view: &ViewConfig, reason: impl ToString) -> ConfigError {
        let label = keys::VIEW_LAYOUT.label();
        ConfigError::of_key(&self.file, view.layout_line, label, reason.to_string())
    }

    /// The error of a ring that is not there, which is `reason`.
    #[must_use]
    pub fn no_ring(&self, reason: impl Display) -> ConfigError {
        self.refuse(&keys::RING_DEVICE, format!("{reason}; `reelfs format` makes a ring"))
    }

    /// The error that says `reason` of the name of a camera in this file.
    #[must_use]
    pub fn refuse_camera(&self, camera: &CameraConfig, reason: String) -> ConfigError {
        ConfigError::of_key(&self.file, camera.line, keys::CAMERA_NAME.label(), reason)
    }

    /// The age at which clips of `camera` expire that no event claims; zero where those do not
    /// stay at all. A camera that is not in the configuration has none.
    #[must_use]
    pub fn retain_of(&self, camera: &str) -> Option<Duration> {
        let camera = self.cameras.iter().find(|known| known.name.as_str() == camera)?;
        camera.retain.continuous
    }

    /// The longest clip of `camera`: `view.clip`, or where its footage stays for a shorter while
    /// than four of these, the longest that divides an hour and is no more than a quarter of that.
    /// A clip is purged as a whole: a longer one would outlive its beginning's age by far.
    #[must_use]
    pub fn clip_of(&self, camera: &str) -> Duration {
        let own = self.retain_of(camera).filter(|retain| !retain.is_zero());
        let Some(retain) = own else { return self.clip };
        let most = (retain / RETAIN_PARTS).min(self.clip).as_secs();
        let divides = |seconds: &u64| HOUR_SECONDS.is_multiple_of(*seconds);
        (1..=most).rev().find(divides).map_or(self.clip, Duration::from_secs)
    }

    /// Whether frames of `camera` are kept that follow a lost one.
    #[must_use]
    pub fn keeps_damaged(&self, camera: &str) -> bool {
        let known = self.cameras.iter().find(|known| known.name.as_str() == camera);
        known.is_none_or(|camera| camera.keeps_damaged)
    }

    /// Time between two passes of the purge: `purge.every`, or a quarter of the shortest `retain`
    /// where that is less.
    #[must_use]
    pub fn purge_interval(&self) -> Duration {
        let names = self.cameras.iter().map(|camera| camera.name.as_str());
        let all = names.filter_map(|name| self.retain_of(name)).chain(self.purge.removed_retain);
        let shortest = all.filter(|retain| !retain.is_zero()).min();
        shortest.map_or(self.purge.every, |retain| self.purge.every.min(retain / RETAIN_PARTS))
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| {
        let is_nowhere = path == Path::new(SYSTEM_FILE) && error.kind() == ErrorKind::NotFound;
        let nor = format!("; nor is there a {FILE_NAME} here; --config names another");
        format!("can't be read: {error}{}", if is_nowhere { &nor } else { "" })
    })?;
    let mut text = String::new();
    let count = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    match count.map_err(|error| format!("can't be read: {error}"))? as u64 {
        0..=FILE_BYTES_MAX => Ok(text),
        _ => Err(format!("longer than {FILE_BYTES_MAX} bytes: not a configuration")),
    }
}

fn read_ring(section: &Section<'_>, views: &[ViewConfig]) -> Result<RingConfig, ConfigError> {
    let outside_mount = |key: &keys::Key| {
        let path = section.path(key)?;
        match views.iter().any(|view| path.value.starts_with(&view.mount)) {
            true => Err(path.refuse("lies in the mount point, where it would be hidden")),
            false => Ok(path.value),
        }
    };
    Ok(RingConfig {
        device: outside_mount(&keys::RING_DEVICE)?,
        index: outside_mount(&keys::RING_INDEX)?,
        flush: section.duration(&keys::RING_FLUSH)?.value,
        scrub: section.duration_or_off(&keys::RING_SCRUB)?,
        keep_max: section.share(&keys::RING_KEEP_MAX)?,
    })
}

fn read_purge(section: &Section<'_>) -> Result<PurgeConfig, ConfigError> {
    let retain = |key| Ok(section.optional_duration(key)?.map(|retain| retain.value));
    Ok(PurgeConfig {
        every: section.duration(&keys::PURGE_EVERY)?.value,
        grace: section.duration(&keys::PURGE_GRACE)?.value,
        wipe: section.boolean(&keys::PURGE_WIPE)?.value,
        brake: section.share_or_off(&keys::PURGE_BRAKE)?,
        removed_retain: retain(&keys::PURGE_REMOVED_RETAIN)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
[ring]
device = "/dev/disk/by-partlabel/reelfs"
index = "/var/lib/reelfs/index"
flush = "2s"
[view]
mount = "/srv/cameras"
zone = "Europe/Berlin"
layout = "%Y-%m-%d/{camera}/%H-%M-%S.mp4"
clip = "10m"
allow_other = false
[purge]
every = "1m"
grace = "24h"
wipe = false
retain = "30d"
[[camera]]
name = "front-door"
url = "rtsp://192.0.2.10/stream1"
retain = "14d"
[[camera]]
name = "yard"
url = "rtsp://192.0.2.11/stream1"
"#;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("/etc/reelfs/reelfs.toml"), text)
    }

    /// The message for `WHOLE` with `from` replaced by `to`.
    fn message(from: &str, to: &str) -> String {
        assert!(WHOLE.contains(from), "{from:?} is not in the example");
        parse(&WHOLE.replacen(from, to, 1)).expect_err("must be refused").to_string()
    }

    #[test]
    fn the_example_says_what_it_says() {
        let config = parse(WHOLE).unwrap();
        assert_eq!(config.ring.device, Path::new("/dev/disk/by-partlabel/reelfs"));
        assert_eq!(config.ring.flush, Duration::from_secs(2));
        assert_eq!(config.views[0].zone, Zone::named("Europe/Berlin").unwrap());
        assert_eq!(config.clip, Duration::from_secs(600));
        assert_eq!(config.purge.grace, Duration::from_secs(86_400));
        assert_eq!(config.cameras.len(), 2);
        assert_eq!(config.retain_of("front-door"), Some(Duration::from_secs(14 * 86_400)));
        assert_eq!(config.retain_of("yard"), Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(config.retain_of("gone"), None);
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }

    #[test]
    fn what_is_not_said_has_the_documented_default() {
        let text = "[ring]\ndevice = \"ring.img\"\n[view]\nmount = \"mnt\"\nzone = \"UTC\"\n";
        let config = parse(text).unwrap();
        assert_eq!(config.ring.device, Path::new("/etc/reelfs/ring.img"));
        assert_eq!(config.views[0].mount, Path::new("/etc/reelfs/mnt"));
        assert_eq!(config.ring.index, Path::new("/var/lib/reelfs/index"));
        assert_eq!(config.ring.flush, Duration::from_secs(2));
        assert_eq!(config.views[0].layout, "%Y-%m-%d/{camera}/%H-%M-%S.mp4");
        assert_eq!(config.ring.scrub, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(config.retain.continuous, None);
        assert!(!config.purge.wipe && !config.views[0].allow_other);
        assert!(config.cameras.is_empty());
    }

    #[test]
    fn the_scrub_can_be_switched_off_and_nothing_else_can() {
        let with = |line: &str| WHOLE.replacen("flush = \"2s\"", line, 1);
        assert_eq!(parse(&with("scrub = \"off\"")).unwrap().ring.scrub, None);
        let hour = parse(&with("scrub = \"1h\"")).unwrap().ring.scrub;
        assert_eq!(hour, Some(Duration::from_secs(3600)));
        assert!(parse(&with("flush = \"off\"")).is_err());
        let error = parse(&with("scrub = \"0s\"")).expect_err("too short").to_string();
        assert!(error.contains("ring.scrub: 0s is not from 1s to"), "{error}");
        let error = parse(&with("scrub = 30")).expect_err("a number").to_string();
        assert!(error.ends_with("has to be a duration such as \"30d\", or \"off\""), "{error}");
    }

    #[test]
    fn an_empty_file_is_refused() {
        let error = parse("").unwrap_err().to_string();
        assert_eq!(
            error,
            "/etc/reelfs/reelfs.toml: view.mount: missing: say `mount = \"…\"` in [view]"
        );
    }

    #[test]
    fn a_key_that_is_missing_is_named_with_its_section() {
        let text = "[view]\nmount = \"/mnt\"\n\n[ring]\nflush = \"1s\"\n";
        let error = parse(text).unwrap_err().to_string();
        assert_eq!(
            error,
            "/etc/reelfs/reelfs.toml:4: ring.device: missing: say `device = \"…\"` in [ring]"
        );
    }

    #[test]
    fn a_misspelt_key_gets_the_nearest_as_a_suggestion() {
        let error = message("flush", "flsh");
        assert_eq!(
            error,
            "/etc/reelfs/reelfs.toml:5: ring.flsh: no such key; did you mean `flush`?"
        );
        let error = message("index", "clip");
        assert!(error.ends_with("ring.clip: no such key; `clip` belongs to [view]"), "{error}");
        let error = message("url", "colour-of-the-wall");
        assert!(
            error.ends_with(
                "no such key; there are name, url, command, streams, username, password_file, \
                 transport, audio, damaged, enabled, record, retain, max"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_misspelt_section_gets_a_suggestion() {
        let error = message("[purge]", "[purg]");
        assert_eq!(
            error,
            "/etc/reelfs/reelfs.toml:12: purg: no such section; did you mean `purge`?"
        );
        let error = parse("[camera]\nname = \"a\"\n").unwrap_err().to_string();
        assert!(error.contains(":1: camera: write [[camera]], once for each camera"), "{error}");
        let error = parse("ring = 3\n").unwrap_err().to_string();
        assert!(error.contains(":1: ring: is a number, has to be a section"), "{error}");
    }

    #[test]
    fn broken_toml_is_an_error_with_its_line() {
        let error = message("\"10m\"", "10m\"");
        assert!(error.starts_with("/etc/reelfs/reelfs.toml:10: "), "{error}");
        let error = message("grace", "every");
        assert_eq!(error, "/etc/reelfs/reelfs.toml:14: duplicate key: `every`");
    }

    #[test]
    fn a_wrong_type_is_an_error_that_shows_the_right_one() {
        let error = message("\"2s\"", "2");
        assert_eq!(
            error,
            "/etc/reelfs/reelfs.toml:5: ring.flush: is a number, \
             has to be a duration such as \"2s\""
        );
        let error = message("wipe = false", "wipe = \"no\"");
        assert!(error.ends_with("purge.wipe: is a text, has to be true or false"), "{error}");
        let error = message("\"front-door\"", "7");
        assert!(error.contains(":18: camera.name: is a number, has to be"), "{error}");
    }

    #[test]
    fn a_value_out_of_range_is_an_error_that_shows_the_range() {
        let error = message("\"2s\"", "\"100ms\"");
        assert!(error.ends_with("ring.flush: 100ms is not from 200ms to 1m"), "{error}");
        assert!(message("\"2s\"", "\"61s\"").contains("not from 200ms to 1m"));
        assert!(message("\"10m\"", "\"9s\"").contains("not from 10s to 1h"));
        assert!(message("\"10m\"", "\"2h\"").contains("not from 10s to 1h"));
        assert!(message("\"10m\"", "\"7m\"").contains(":10: view.clip: does not divide an hour"));
        assert!(message("\"10m\"", "\"10500ms\"").contains("does not divide an hour"));
        assert!(message("\"14d\"", "\"59s\"").contains(":20: camera.retain: 59s is not from 1m"));
        assert!(message("\"30d\"", "\"0s\"").contains("purge.retain: 0s is not from 1m"));
        assert!(message("\"1m\"", "\"0s\"").contains("purge.every: 0s is not from 1s to 1h"));
    }

    #[test]
    fn a_duration_without_a_unit_is_an_error() {
        assert!(message("\"24h\"", "\"24\"").contains("purge.grace: \"24\" has no unit"));
        assert!(message("\"24h\"", "\"24 moons\"").contains("\"moons\" is not a unit"));
        assert!(message("\"24h\"", "\"-1h\"").contains("purge.grace: \"-1h\" is not a duration"));
    }

    #[test]
    fn clips_are_a_quarter_of_retain_at_most_and_divide_an_hour() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        for (retain, clip, every) in [
            ("1m", Duration::from_secs(15), Duration::from_secs(15)),
            ("9m", minutes(2), minutes(1)),
            ("20m", minutes(5), minutes(1)),
            ("39m", Duration::from_secs(450), minutes(1)),
            ("40m", minutes(10), minutes(1)),
            ("14d", minutes(10), minutes(1)),
        ] {
            let text = WHOLE.replace("\"14d\"", &format!("{retain:?}"));
            let config = parse(&text).unwrap();
            assert_eq!(config.clip_of("front-door"), clip, "{retain}");
            assert_eq!(config.clip_of("yard"), minutes(10), "30 days");
            assert_eq!(config.purge_interval(), every, "{retain}");
            let said = match retain {
                "1m" => {
                    vec!["a retain of 1m is shorter than a clip of 10m: its clips are 15s long"]
                }
                "9m" => vec!["a retain of 9m is shorter than a clip of 10m: its clips are 2m long"],
                _ => Vec::new(),
            };
            let said: Vec<String> = said
                .iter()
                .map(|words| format!("/etc/reelfs/reelfs.toml: front-door: {words}"))
                .collect();
            assert_eq!(config.warnings, said, "{retain}");
        }
    }

    #[test]
    fn an_unknown_zone_gets_a_suggestion() {
        let error = message("Europe/Berlin", "Europe/Berlni");
        assert!(error.contains(":8: view.zone: "), "{error}");
        assert!(error.ends_with("did you mean `Europe/Berlin`?"), "{error}");
    }

    #[test]
    fn empty_strings_are_refused() {
        assert!(message("\"/srv/cameras\"", "\"\"").ends_with("view.mount: is empty"));
        let error = message("\"%Y-%m-%d/{camera}/%H-%M-%S.mp4\"", "\"\"");
        assert!(error.ends_with(":9: view.layout: is empty"));
    }

    #[test]
    fn ring_and_index_lie_outside_the_mount() {
        let error = message("/var/lib/reelfs/index", "/srv/cameras/index");
        assert!(error.contains(":4: ring.index: lies in the mount point"), "{error}");
    }

    #[test]
    fn a_room_above_can_refuse_a_value_with_its_line() {
        let config = parse(WHOLE).unwrap();
        let error = config.refuse(&keys::VIEW_LAYOUT, "%Q is not a field");
        assert_eq!(error.to_string(), "/etc/reelfs/reelfs.toml:9: view.layout: %Q is not a field");
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error_with_its_name() {
        let error = Config::load(Path::new("/nowhere/reelfs.toml")).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/reelfs.toml: can't be read: No such file"), "{error}");
    }

    #[test]
    fn more_cameras_than_the_limit_are_refused() {
        let camera = |n: usize| format!("[[camera]]\nname = \"c{n}\"\nurl = \"rtsp://h/{n}\"\n");
        let many: String = (0..=CAMERAS_MAX).map(camera).collect();
        let error = parse(&format!("{WHOLE}{many}")).unwrap_err().to_string();
        assert!(error.contains("more than 256 cameras"), "{error}");
    }
}
