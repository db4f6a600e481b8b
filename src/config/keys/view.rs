//! Keys of `[view]` and `[[view]]`.

use super::{Absent, HOUR, Key, Kind, VIEW, seconds};

/// `view.mount`
pub const VIEW_MOUNT: Key = Key {
    section: &VIEW,
    name: "mount",
    kind: Kind::Path,
    absent: Absent::Missing,
    example: "\"/srv/cameras\"",
    text: "Where the tree is mounted: an empty directory. A mount that a killed run has left \
           there is replaced.",
};

/// `view.zone`
pub const VIEW_ZONE: Key = Key {
    section: &VIEW,
    name: "zone",
    kind: Kind::Text,
    absent: Absent::Means("that of the variable TZ, or else of the system"),
    example: "\"Europe/Berlin\"",
    text: "Time zone of names and days, by its name in the time zone database. Times are stored \
           in UTC: a change renames the clips. Where it is not given, TZ may be anything that the \
           C library understands, and /etc/localtime a link, a copy or mounted from a host; a \
           zone without a name is used as its rules say. What is not understood, and what the C \
           library takes for another zone, is warned of.",
};

/// `view.layout`
pub const VIEW_LAYOUT: Key = Key {
    section: &VIEW,
    name: "layout",
    kind: Kind::Text,
    absent: Absent::Default("%Y-%m-%d/{camera}/%H-%M-%S.mp4"),
    example: "\"%Y-%m-%d/{camera}/%H-%M-%S.mp4\"",
    text: "Path of a clip below the mount: day, camera, hour or frigate, or a pattern. The fields \
           of a pattern are those of strftime(3) for the time at which the clip begins, {camera} \
           for the camera's name and, where its streams are apart, {stream} for theirs. One whose \
           names would not sort in time, or not tell two clips apart, is refused; see LAYOUTS in \
           reelfs(7). A change renames the clips.",
};

/// `view.clip`
pub const VIEW_CLIP: Key = Key {
    section: &VIEW,
    name: "clip",
    kind: seconds(10, HOUR),
    absent: Absent::Default("10m"),
    example: "\"10m\"",
    text: "Longest clip. It divides an hour: clips begin on its multiples, at the first key frame \
           there, and at local midnight. Views that say it say the same. Clips of a camera are a \
           quarter of its retain at most: each is purged as a whole, when all of it is as old as \
           that.",
};

/// `view.allow_other`
pub const VIEW_ALLOW_OTHER: Key = Key {
    section: &VIEW,
    name: "allow_other",
    kind: Kind::Boolean,
    absent: Absent::Default("false"),
    example: "false",
    text: "Whether users other than the one who runs the daemon may enter the mount; a file \
           server such as Samba needs it. Where the daemon does not run as root, \
           /etc/fuse.conf has to say user_allow_other.",
};

/// `view.list_special`
pub const VIEW_LIST_SPECIAL: Key = Key {
    section: &VIEW,
    name: "list_special",
    kind: Kind::Boolean,
    absent: Absent::Default("false"),
    example: "true",
    text: "List live, .range, .trash, .status.json and the like in the root. They are found by \
           their names in any case; listed, they are also met by whatever walks the tree: rsync \
           and find see what was removed, too, and files without an end.",
};

/// `view.announce`
pub const VIEW_ANNOUNCE: Key = Key {
    section: &VIEW,
    name: "announce",
    kind: Kind::Boolean,
    absent: Absent::Default("true"),
    example: "false",
    text: "Tell programs that watch directories, by inotify(7) or fanotify(7), of clips and \
           directories that appear and go. A process of its own does, as ordinary calls in the \
           mount; see WATCHING DIRECTORIES in reelfs(7). Of a view that is read_only nothing is \
           told: the kernel refuses the calls.",
};

/// `view.cameras`
pub const VIEW_CAMERAS: Key = Key {
    section: &VIEW,
    name: "cameras",
    kind: Kind::Words,
    absent: Absent::Means("all cameras"),
    example: "[\"front-door\", \"yard*\"]",
    text: "The cameras that it shows, by name, each with its streams, or single streams; a word \
           with * or ? is a pattern for whole names. Nothing in such a view tells of any other: \
           .status.json, .metrics and .log, which are of all of them, are not in it.",
};

/// `view.read_only`
pub const VIEW_READ_ONLY: Key = Key {
    section: &VIEW,
    name: "read_only",
    kind: Kind::Boolean,
    absent: Absent::Default("false"),
    example: "false",
    text: "Whether nothing can be changed through it: rm, mv and setfattr are told that the file \
           system is read-only (EROFS).",
};

/// `view.uid`
pub const VIEW_UID: Key = Key {
    section: &VIEW,
    name: "uid",
    kind: Kind::Number { most: ID_MAX },
    absent: Absent::Means("the user that the daemon runs as"),
    example: "0",
    text: "Number of the user whom everything in it belongs to. Only that user, and root, may \
           remove something under the default umask. Others than the daemon's own user need \
           allow_other.",
};

/// `view.gid`
pub const VIEW_GID: Key = Key {
    section: &VIEW,
    name: "gid",
    kind: Kind::Number { most: ID_MAX },
    absent: Absent::Means("the group that the daemon runs as"),
    example: "0",
    text: "Number of the group that everything in it belongs to.",
};

/// `view.umask`
pub const VIEW_UMASK: Key = Key {
    section: &VIEW,
    name: "umask",
    kind: Kind::Permissions,
    absent: Absent::Default("022"),
    example: "\"027\"",
    text: "Permissions that nobody has, in octal as of umask(2): files have 0444 without them, \
           directories 0777. With 002 the group may remove clips, with 027 others see nothing.",
};

/// The last number is none: chown(2) takes it for no change.
const ID_MAX: u32 = u32::MAX - 1;
