//! Keys of `[[camera]]`, and of its streams.

use std::time::Duration;

use super::{Absent, CAMERA, CENTURY, Key, Kind};

/// `camera.name`
pub const CAMERA_NAME: Key = Key {
    section: &CAMERA,
    name: "name",
    kind: Kind::Text,
    absent: Absent::Missing,
    example: "\"front-door\"",
    text: "Its name in the tree: 1 to 64 letters (a to z), digits, `-`, `_` and `.`, with no dot \
           at either end; not `now` or `live`, nor a name that Windows keeps for itself. No two \
           cameras have the same, in upper or lower case, nor has footage in the ring one that \
           differs by case alone. The footage of a camera goes by its name: another name is \
           another camera.",
};

/// `camera.url`
pub const CAMERA_URL: Key = Key {
    section: &CAMERA,
    name: "url",
    kind: Kind::Text,
    absent: Absent::Means("it has streams, or a command"),
    example: "\"rtsp://192.0.2.10/stream1\"",
    text: "Where it is: rtsp://HOST[:PORT]/PATH, without user name and password; or \
           onvif://HOST[:PORT], with a serial number in the host's place where there is none, for \
           a camera that says itself where its stream is. See CAMERAS THAT ARE FOUND in \
           reelfs(7).",
};

/// `camera.command`
pub const CAMERA_COMMAND: Key = Key {
    section: &CAMERA,
    name: "command",
    kind: Kind::Words,
    absent: Absent::Means("it has a url"),
    example: "[\"ffmpeg\", \"-i\", \"/dev/video0\", \"-f\", \"mpegts\", \"-\"]",
    text: "In place of url, a program and its arguments: it is run without a shell, and has to \
           write MPEG-TS to its standard output, with H.264 or H.265, and AAC or Opus, as it is \
           taken. It is run again when it ends, and ended with all that it has started. See \
           PROGRAMS AS CAMERAS in reelfs(7).",
};

/// `camera.streams`
pub const CAMERA_STREAMS: Key = Key {
    section: &CAMERA,
    name: "streams",
    kind: Kind::Streams,
    absent: Absent::Means("it has one, by url or command"),
    example: "{ main = \"rtsp://192.0.2.10/1\", sub = \"rtsp://192.0.2.10/2\" }",
    text: "In place of url, several streams of one camera, each recorded on its own. The one \
           called main has the camera's name in the tree, each other one the camera's name, a dot \
           and its own: front-door and front-door.sub. A stream may be a section instead, \
           [camera.streams.sub], with the keys url, command, transport, audio, damaged, enabled, \
           record and retain; what it does not say, its camera does.",
};

/// `camera.username`
pub const CAMERA_USERNAME: Key = Key {
    section: &CAMERA,
    name: "username",
    kind: Kind::Text,
    absent: Absent::Means("the camera asks for none"),
    example: "\"viewer\"",
    text: "Name to log in to the camera with.",
};

/// `camera.password_file`
pub const CAMERA_PASSWORD_FILE: Key = Key {
    section: &CAMERA,
    name: "password_file",
    kind: Kind::Path,
    absent: Absent::Means("the password is empty"),
    example: "\"/etc/reelfs/front-door.password\"",
    text: "File with the password for username, on one line. It is read at the start, and again \
           when the camera has refused it: another one is tried at once. There is a warning where \
           others than its owner may read it.",
};

/// `camera.transport`
pub const CAMERA_TRANSPORT: Key = Key {
    section: &CAMERA,
    name: "transport",
    kind: Kind::Text,
    absent: Absent::Default("auto"),
    example: "\"tcp\"",
    text: "How its packets come: \"tcp\", on the connection that asks for them; \"udp\", beside \
           it, where packets may be lost and a firewall may stand in the way; \"auto\", over TCP, \
           and over UDP where the camera refuses that.",
};

/// `camera.audio`
pub const CAMERA_AUDIO: Key = Key {
    section: &CAMERA,
    name: "audio",
    kind: Kind::Boolean,
    absent: Absent::Default("true"),
    example: "false",
    text: "Whether its sound is recorded, where it sends some. Without it the camera is not asked \
           for sound.",
};

/// `camera.damaged`
pub const CAMERA_DAMAGED: Key = Key {
    section: &CAMERA,
    name: "damaged",
    kind: Kind::Text,
    absent: Absent::Default("keep"),
    example: "\"drop\"",
    text: "What becomes of frames that follow a lost packet, up to the next key frame: \"keep\", \
           they are recorded and marked, and decoders show what they can; \"drop\", they are left \
           out, and the clip ends.",
};

/// `camera.enabled`
pub const CAMERA_ENABLED: Key = Key {
    section: &CAMERA,
    name: "enabled",
    kind: Kind::Boolean,
    absent: Absent::Default("true"),
    example: "false",
    text: "Whether it is recorded. One that is not is left alone: no connection is made, its \
           footage stays and expires as before, and nobody is told that it is missing.",
};

/// `camera.record`
pub const CAMERA_RECORD: Key = Key {
    section: &CAMERA,
    name: "record",
    kind: Kind::Text,
    absent: Absent::Default("always"),
    example: "\"mon-fri 18:00-07:00, sat-sun 00:00-24:00\"",
    text: "When it is recorded: \"always\", \"off\", or at hours of the week on the clock of \
           view.zone, with commas between; without a day it is every day, and what ends no later \
           than it begins ends on the next one. `reelfs record` switches it by hand, whatever is \
           said here. While it is off no connection is made, and nobody is told that it is \
           missing.",
};

/// `camera.retain`
pub const CAMERA_RETAIN: Key = Key {
    section: &CAMERA,
    name: "retain",
    kind: Kind::DurationOrSection {
        least: Duration::from_secs(60),
        most: Duration::from_secs(CENTURY),
    },
    absent: Absent::Means("that of [retain], or of [purge]"),
    example: "\"14d\"",
    text: "Age at which its clips expire; they are purged by the next pass, without grace. Or a \
           section of keys of [retain], of what is otherwise for this camera. Where \
           purge.removed_retain says nothing else, it goes on when the camera has left the \
           configuration.",
};

/// `camera.max`
pub const CAMERA_MAX: Key = Key {
    section: &CAMERA,
    name: "max",
    kind: Kind::Size { least: 16 << 20 },
    absent: Absent::Means("as much as the ring has room for"),
    example: "\"500G\"",
    text: "How much its clips may take, those of all its streams together: beyond it its oldest \
           are purged by the next pass, whatever claims them. What grows counts, and what is kept, \
           which stays.",
};

/// The keys of a camera that each of its streams may say for itself.
pub const OF_STREAM: [&Key; 8] = [
    &CAMERA_URL,
    &CAMERA_COMMAND,
    &CAMERA_TRANSPORT,
    &CAMERA_AUDIO,
    &CAMERA_DAMAGED,
    &CAMERA_ENABLED,
    &CAMERA_RECORD,
    &CAMERA_RETAIN,
];
