//! Every key of the configuration: type, range, default and text. The only place that has them.

mod camera;
mod retain;
mod view;

use std::time::Duration;

pub use camera::*;
pub use retain::*;
pub use view::*;

pub use super::kind::{Absent, Key, Kind, OFF, Repeats, SectionKind};

/// `[ring]`
pub const RING: SectionKind =
    SectionKind { name: "ring", repeats: Repeats::Never, text: "Where footage is stored." };

/// `[view]`
pub const VIEW: SectionKind = SectionKind {
    name: "view",
    repeats: Repeats::AtWill,
    text: "How footage is shown: as a tree of files. [[view]], once for each, shows it in several \
           ways at once, each at a place of its own. `clip`, and the zone of the first one, in \
           which clips are cut and hours of recording are, are those of all.",
};

/// `[purge]`
pub const PURGE: SectionKind = SectionKind {
    name: "purge",
    repeats: Repeats::Never,
    text: "How footage goes: removed by hand, or too old. What is neither stays until the ring \
           needs the space for something newer.",
};

/// `[retain]`
pub const RETAIN_SECTION: SectionKind = SectionKind {
    name: "retain",
    repeats: Repeats::Never,
    text: "How long footage stays, and for what: by its age, and by what cameras and other \
           programs say of it; see EVENTS in reelfs(7). A camera may say each key otherwise, in a \
           section [camera.retain] below its own. A clip stays, or goes, as a whole.",
};

/// `[control]`
pub const CONTROL: SectionKind = SectionKind {
    name: "control",
    repeats: Repeats::Never,
    text: "How a daemon is told what to do while it runs.",
};

/// `[[camera]]`
pub const CAMERA: SectionKind = SectionKind {
    name: "camera",
    repeats: Repeats::Always,
    text: "A camera to record; one section for each. None at all is allowed: what is in the ring \
           is then served, and nothing recorded.",
};

/// All sections, in the order of the manual.
pub const SECTIONS: [&SectionKind; 6] = [&RING, &VIEW, &PURGE, &RETAIN_SECTION, &CONTROL, &CAMERA];

const fn seconds(least: u64, most: u64) -> Kind {
    Kind::Duration { least: Duration::from_secs(least), most: Duration::from_secs(most) }
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Longer than any disk lives, and short enough that no sum of times overflows, in seconds.
const CENTURY: u64 = 36_500 * DAY;

/// Footage younger than this never expires by age, so that a slip (`14s` for `14d`) is refused
/// rather than carried out.
const RETAIN: Kind = seconds(60, CENTURY);

/// `ring.device`
pub const RING_DEVICE: Key = Key {
    section: &RING,
    name: "device",
    kind: Kind::Path,
    absent: Absent::Missing,
    example: "\"/dev/disk/by-partlabel/reelfs\"",
    text: "The block device or file that `reelfs format` has made into a ring. A name under \
           /dev/disk/by-partlabel, by-id or by-uuid stays the same when disks are added; \
           /dev/sdb may not.",
};

/// `ring.index`
pub const RING_INDEX: Key = Key {
    section: &RING,
    name: "index",
    kind: Kind::Path,
    absent: Absent::Default("/var/lib/reelfs/index"),
    example: "\"/var/lib/reelfs/index\"",
    text: "Directory of the index: a cache that makes clips open faster. It belongs on a disk \
           that is faster than the ring's, and may be deleted at any time.",
};

/// `ring.flush`
pub const RING_FLUSH: Key = Key {
    section: &RING,
    name: "flush",
    kind: Kind::Duration { least: Duration::from_millis(200), most: Duration::from_secs(60) },
    absent: Absent::Default("2s"),
    example: "\"2s\"",
    text: "Time between flushes. A power cut costs each camera at most this and one second; a \
           removal outlives one when a flush has covered it. Shorter ones cost a spinning disk \
           more of its time.",
};

/// `ring.scrub`
pub const RING_SCRUB: Key = Key {
    section: &RING,
    name: "scrub",
    kind: Kind::DurationOrOff { least: Duration::from_secs(1), most: Duration::from_secs(CENTURY) },
    absent: Absent::Default("30d"),
    example: "\"30d\"",
    text: "Time in which all footage is read once in the background and tried against its \
           checksums, so that rot is known before somebody needs what it hit. It reads at idle \
           priority and makes way for recording; what it finds is in the log and in `reelfs \
           status`. `off` switches it off.",
};

/// `ring.keep_max`
pub const RING_KEEP_MAX: Key = Key {
    section: &RING,
    name: "keep_max",
    kind: Kind::Share { most: 90 },
    absent: Absent::Default("30%"),
    example: "\"30%\"",
    text: "How much of the ring may be kept: protected by hand from removal, age and the ring's \
           need for space. More is refused. It counts in whole blocks; what is kept already stays \
           kept when this becomes less.",
};

/// `purge.every`
pub const PURGE_EVERY: Key = Key {
    section: &PURGE,
    name: "every",
    kind: seconds(1, HOUR),
    absent: Absent::Default("1m"),
    example: "\"1m\"",
    text: "Time between two passes over what has to go; no longer than a quarter of the shortest \
           retain.",
};

/// `purge.grace`
pub const PURGE_GRACE: Key = Key {
    section: &PURGE,
    name: "grace",
    kind: seconds(0, CENTURY),
    absent: Absent::Default("24h"),
    example: "\"24h\"",
    text: "Time between a clip's removal by hand and its purge. Only then is its space given \
           back, unless the ring needs it sooner.",
};

/// `purge.wipe`
pub const PURGE_WIPE: Key = Key {
    section: &PURGE,
    name: "wipe",
    kind: Kind::Boolean,
    absent: Absent::Default("false"),
    example: "false",
    text: "Whether a purge overwrites the samples on the device with zeros, so that they can't be \
           read back from it either. Without it, they stay until something newer is written over \
           them.",
};

/// `purge.retain`
pub const PURGE_RETAIN: Key = Key {
    section: &PURGE,
    name: "retain",
    kind: RETAIN,
    absent: Absent::Means("clips do not expire by age"),
    example: "\"30d\"",
    text: "Age at which clips of cameras without a retain of their own expire; they are purged by \
           the next pass, without grace. It counts from the end of a clip: the oldest that can \
           be read is up to a clip and a pass older, and never more than half of retain.",
};

/// `purge.removed_retain`
pub const PURGE_REMOVED_RETAIN: Key = Key {
    section: &PURGE,
    name: "removed_retain",
    kind: RETAIN,
    absent: Absent::Means("the last retain known of each goes on"),
    example: "\"7d\"",
    text: "Age at which clips of cameras expire that have left the configuration, instead of the \
           retain that they had. While no camera is configured at all, nothing grows old.",
};

/// `purge.brake`
pub const PURGE_BRAKE: Key = Key {
    section: &PURGE,
    name: "brake",
    kind: Kind::ShareOrOff { most: 100 },
    absent: Absent::Default("50%"),
    example: "\"50%\"",
    text: "How much of a camera's footage one pass gives up by age, or because nothing claims it, \
           beyond a GiB: more is more likely a slip, in these settings or in what tells of events, \
           than a wish. Then nothing of that camera is given up, the log and `reelfs status` say \
           so, and `reelfs expire --confirm` has it go on. `off` switches it off. What the ring \
           gives up for want of space is not held.",
};

/// `control.socket`
pub const CONTROL_SOCKET: Key = Key {
    section: &CONTROL,
    name: "socket",
    kind: Kind::Path,
    absent: Absent::Default("/run/reelfs/control"),
    example: "\"/run/reelfs/control\"",
    text: "The socket at which the daemon listens to `reelfs record`, `keep` and the like, and to \
           any program that speaks HTTP over one; see RECORDING AT HOURS and KEEPING in reelfs(7). \
           The daemon's user and group may use it. Each daemon of a machine has its own.",
};

/// All keys, in the order of the manual.
pub const KEYS: [&Key; 52] = [
    &RING_DEVICE,
    &RING_INDEX,
    &RING_FLUSH,
    &RING_SCRUB,
    &RING_KEEP_MAX,
    &VIEW_MOUNT,
    &VIEW_ZONE,
    &VIEW_LAYOUT,
    &VIEW_CLIP,
    &VIEW_ALLOW_OTHER,
    &VIEW_LIST_SPECIAL,
    &VIEW_ANNOUNCE,
    &VIEW_CAMERAS,
    &VIEW_READ_ONLY,
    &VIEW_UID,
    &VIEW_GID,
    &VIEW_UMASK,
    &PURGE_EVERY,
    &PURGE_GRACE,
    &PURGE_WIPE,
    &PURGE_RETAIN,
    &PURGE_REMOVED_RETAIN,
    &PURGE_BRAKE,
    &RETAIN_CONTINUOUS,
    &RETAIN_DETECTIONS,
    &RETAIN_ALERTS,
    &RETAIN_MANUAL,
    &RETAIN_PRE,
    &RETAIN_POST,
    &RETAIN_DETECTIONS_PRE,
    &RETAIN_DETECTIONS_POST,
    &RETAIN_ALERTS_PRE,
    &RETAIN_ALERTS_POST,
    &RETAIN_MANUAL_PRE,
    &RETAIN_MANUAL_POST,
    &RETAIN_HOLD,
    &RETAIN_LATE,
    &RETAIN_STALE,
    &CONTROL_SOCKET,
    &CAMERA_NAME,
    &CAMERA_URL,
    &CAMERA_COMMAND,
    &CAMERA_STREAMS,
    &CAMERA_USERNAME,
    &CAMERA_PASSWORD_FILE,
    &CAMERA_TRANSPORT,
    &CAMERA_AUDIO,
    &CAMERA_DAMAGED,
    &CAMERA_ENABLED,
    &CAMERA_RECORD,
    &CAMERA_RETAIN,
    &CAMERA_MAX,
];

/// The keys of a section, in the order of the manual.
pub fn of(section: &SectionKind) -> impl Iterator<Item = &'static Key> + use<'_> {
    KEYS.into_iter().filter(move |key| key.section == section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{duration, permissions, share, size};

    #[test]
    fn every_default_is_a_value_that_the_key_allows() {
        for key in KEYS {
            let Absent::Default(default) = key.absent else { continue };
            match key.kind {
                Kind::Duration { least, most }
                | Kind::DurationOrOff { least, most }
                | Kind::DurationOrSection { least, most } => {
                    let value = duration::parse(default).unwrap();
                    assert!(least <= value && value <= most, "{}", key.label());
                }
                Kind::Share { most } | Kind::ShareOrOff { most } => {
                    assert!(share::parse(default, most).is_ok(), "{}", key.label());
                }
                Kind::Boolean => assert!(default.parse::<bool>().is_ok(), "{}", key.label()),
                Kind::Number { most } => {
                    assert!(default.parse::<u32>().unwrap() <= most, "{}", key.label());
                }
                Kind::Permissions => {
                    assert!(permissions::parse(default).is_ok(), "{}", key.label());
                }
                Kind::Size { least } => {
                    assert!(size::parse(default, 1024).unwrap() >= least, "{}", key.label());
                }
                Kind::Text | Kind::Path | Kind::Words | Kind::Streams => {
                    assert!(!default.is_empty(), "{}", key.label());
                }
            }
        }
    }

    #[test]
    fn no_section_has_two_keys_of_one_name() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..at].iter().all(|other| other.label() != key.label()));
        }
    }
}
