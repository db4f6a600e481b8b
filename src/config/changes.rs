//! What becomes of settings that change while they are in force. Pure.

use super::keys::{self, Key};
use super::{CameraConfig, Config, PurgeConfig, RingConfig, ViewConfig};

/// A key, and whether two configurations say the same under it.
type Compared = (&'static Key, fn(&Config, &Config) -> bool);

/// Keys that take effect when the daemon starts.
const AT_RESTART: [Compared; 11] = [
    (&keys::RING_DEVICE, |one, other| one.ring.device == other.ring.device),
    (&keys::RING_INDEX, |one, other| one.ring.index == other.ring.index),
    (&keys::RING_FLUSH, |one, other| one.ring.flush == other.ring.flush),
    (&keys::RING_SCRUB, |one, other| one.ring.scrub == other.ring.scrub),
    (&keys::VIEW_MOUNT, |one, other| one.view.mount == other.view.mount),
    (&keys::VIEW_ZONE, |one, other| one.view.zone == other.view.zone),
    (&keys::VIEW_LAYOUT, |one, other| one.view.layout == other.view.layout),
    (&keys::VIEW_ALLOW_OTHER, |one, other| one.view.allow_other == other.view.allow_other),
    (&keys::VIEW_LIST_SPECIAL, |one, other| one.view.list_special == other.view.list_special),
    (&keys::CONTROL_SOCKET, |one, other| one.control.socket == other.control.socket),
    (&keys::PURGE_WIPE, |one, other| one.purge.wipe == other.purge.wipe),
];

/// Whether what a key says takes effect when the daemon starts, and no earlier.
pub(super) fn needs_restart(key: &Key) -> bool {
    AT_RESTART.iter().any(|(own, _)| own.label() == key.label())
}

impl Config {
    /// These settings with whatever of `new` can take effect at once, and the keys of which it
    /// says something else that can't.
    #[must_use]
    pub fn changed_to(&self, new: Config) -> (Config, Vec<String>) {
        let later = AT_RESTART.iter().filter(|(_, is_same)| !is_same(self, &new));
        let later = later.map(|(key, _)| key.label()).collect();
        let changed = Config {
            ring: RingConfig { keep_max: new.ring.keep_max, ..self.ring.clone() },
            control: self.control.clone(),
            view: ViewConfig { clip: new.view.clip, ..self.view.clone() },
            purge: PurgeConfig { wipe: self.purge.wipe, ..new.purge },
            ..new
        };
        (changed, later)
    }
}

impl CameraConfig {
    /// Whether a session that was begun with these settings is one with those.
    #[must_use]
    pub fn has_session_of(&self, other: &CameraConfig) -> bool {
        // A password that has changed is for the next login, which asks for it.
        let login = |camera: &CameraConfig| {
            let login = camera.credentials.as_ref();
            login.map(|login| (login.username.clone(), login.password_file.clone()))
        };
        other.enabled
            && self.name == other.name
            && self.origin == other.origin
            && login(self) == login(other)
            && self.transport == other.transport
            && self.audio == other.audio
            && self.keeps_damaged == other.keeps_damaged
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    fn config(ring: &str, view: &str, purge: &str, cameras: &str) -> Config {
        let text = format!(
            "[ring]\ndevice = \"ring\"\n{ring}\n[view]\nmount = \"m\"\nzone = \"UTC\"\n{view}\n\
             [purge]\n{purge}\n{cameras}"
        );
        Config::parse(Path::new("/r/reelfs.toml"), &text).expect("a configuration")
    }

    #[test]
    fn what_needs_a_restart_stays_as_it_is_and_is_named() {
        let old = config("flush = \"1s\"", "", "", "");
        let ring = "flush = \"5s\"\nindex = \"i\"\nscrub = \"off\"\nkeep_max = \"5%\"";
        let view = "clip = \"5m\"\nlist_special = true\nallow_other = true";
        let purge = "wipe = true\ngrace = \"1h\"\nretain = \"3d\"\nevery = \"2m\"";
        let new = config(ring, view, purge, "[[camera]]\nname = \"a\"\nurl = \"rtsp://h/\"");
        let (now, later) = old.changed_to(new);
        let named = [
            "ring.index",
            "ring.flush",
            "ring.scrub",
            "view.allow_other",
            "view.list_special",
            "purge.wipe",
        ];
        assert_eq!(later, named);
        assert_eq!((now.ring.keep_max, now.purge.wipe), (5, false));
        assert_eq!(now.ring, RingConfig { keep_max: 5, ..old.ring.clone() });
        assert!(!now.view.list_special && !now.view.allow_other);
        assert_eq!(now.view.clip, Duration::from_secs(300));
        assert_eq!(now.purge.grace, Duration::from_secs(3600));
        assert_eq!(now.purge.retain, Some(Duration::from_secs(3 * 86_400)));
        assert_eq!(now.cameras.len(), 1);
        let (again, later) = now.changed_to(now.clone());
        assert_eq!((again.view, later), (now.view, Vec::new()));
    }

    #[test]
    fn a_session_goes_on_where_nothing_that_it_was_begun_with_changes() {
        let camera = |more: &str| {
            let url = "url = \"rtsp://h/1\"";
            let section = format!("[[camera]]\nname = \"a\"\n{url}\n{more}");
            config("", "", "", &section).cameras.remove(0)
        };
        let old = camera("");
        assert!(old.has_session_of(&camera("retain = \"3d\"")));
        for more in [
            "transport = \"udp\"",
            "audio = false",
            "enabled = false",
            "damaged = \"drop\"",
            "username = \"u\"",
        ] {
            assert!(!old.has_session_of(&camera(more)), "{more}");
        }
    }
}
