//! What becomes of settings that change while they are in force. Pure.

use std::path::PathBuf;

use super::keys::{self, Key};
use super::{CameraConfig, Config, PurgeConfig, RingConfig, ViewConfig};

/// A key, and whether two configurations say the same under it.
type Compared = (&'static Key, fn(&Config, &Config) -> bool);

/// Keys that take effect when the daemon starts.
const AT_RESTART: [Compared; 17] = [
    (&keys::RING_DEVICE, |one, other| one.ring.device == other.ring.device),
    (&keys::RING_INDEX, |one, other| one.ring.index == other.ring.index),
    (&keys::RING_FLUSH, |one, other| one.ring.flush == other.ring.flush),
    (&keys::RING_SCRUB, |one, other| one.ring.scrub == other.ring.scrub),
    (&keys::VIEW_MOUNT, |one, other| {
        let mounts = |config: &Config| config.views.iter().map(|it| it.mount.clone()).collect();
        let [one, other]: [Vec<PathBuf>; 2] = [one, other].map(mounts);
        one == other
    }),
    (&keys::VIEW_ZONE, |one, other| have_same(one, other, |a, b| a.zone == b.zone)),
    (&keys::VIEW_LAYOUT, |one, other| have_same(one, other, |a, b| a.layout == b.layout)),
    (&keys::VIEW_ALLOW_OTHER, |one, other| {
        have_same(one, other, |a, b| a.allow_other == b.allow_other)
    }),
    (&keys::VIEW_LIST_SPECIAL, |one, other| {
        have_same(one, other, |a, b| a.list_special == b.list_special)
    }),
    (&keys::VIEW_ANNOUNCE, |one, other| have_same(one, other, |a, b| a.announce == b.announce)),
    (&keys::VIEW_CAMERAS, |one, other| have_same(one, other, |a, b| a.cameras == b.cameras)),
    (&keys::VIEW_READ_ONLY, |one, other| have_same(one, other, |a, b| a.read_only == b.read_only)),
    (&keys::VIEW_UID, |one, other| have_same(one, other, |a, b| a.uid == b.uid)),
    (&keys::VIEW_GID, |one, other| have_same(one, other, |a, b| a.gid == b.gid)),
    (&keys::VIEW_UMASK, |one, other| have_same(one, other, |a, b| a.umask == b.umask)),
    (&keys::CONTROL_SOCKET, |one, other| one.control.socket == other.control.socket),
    (&keys::PURGE_WIPE, |one, other| one.purge.wipe == other.purge.wipe),
];

/// Whether the views that are in both have the same, as far as `is_same` looks. One that is in one
/// of them alone differs by its mount.
fn have_same(
    one: &Config,
    other: &Config,
    is_same: impl Fn(&ViewConfig, &ViewConfig) -> bool,
) -> bool {
    one.views.iter().all(|view| {
        let namesake = other.views.iter().find(|it| it.mount == view.mount);
        namesake.is_none_or(|namesake| is_same(view, namesake))
    })
}

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
            views: self.views.clone(),
            zone: self.zone.clone(),
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
    use crate::zone::Zone;

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
        assert!(!now.views[0].list_special && !now.views[0].allow_other);
        assert_eq!(now.clip, Duration::from_secs(300));
        assert_eq!(now.purge.grace, Duration::from_secs(3600));
        assert_eq!(now.retain.continuous, Some(Duration::from_secs(3 * 86_400)));
        assert_eq!(now.cameras.len(), 1);
        let (again, later) = now.changed_to(now.clone());
        assert_eq!((again.views, later), (now.views, Vec::new()));
    }

    #[test]
    fn views_are_compared_by_their_mounts() {
        let views = |text: &str| {
            let ring = "[ring]\ndevice = \"ring\"\n";
            Config::parse(Path::new("/r/reelfs.toml"), &format!("{ring}{text}")).expect("settings")
        };
        let a = "[[view]]\nmount = \"a\"\nzone = \"UTC\"\n";
        let b = "[[view]]\nmount = \"b\"\nzone = \"Asia/Tokyo\"\n";
        let old = views(&format!("{a}{b}"));
        let later = |text: &str| old.changed_to(views(text)).1;
        assert_eq!(later(&format!("{a}{b}")), Vec::<String>::new());
        assert_eq!(later(a), ["view.mount"], "one goes");
        assert_eq!(later(&format!("{b}{a}")), ["view.mount"], "another one is the first");
        let changed =
            format!("{a}read_only = true\numask = \"077\"\n{b}cameras = [\"x\"]\nuid = 3\n");
        assert_eq!(later(&changed), ["view.cameras", "view.read_only", "view.uid", "view.umask"]);
        let (now, _) = old.changed_to(views(&changed));
        assert_eq!((now.views, now.zone), (old.views.clone(), Zone::UTC));
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
