//! Keys of `[retain]`, and of a camera's own.

use super::{Absent, CENTURY, DAY, HOUR, Key, RETAIN, RETAIN_SECTION, seconds};

/// `retain.continuous`
pub const RETAIN_CONTINUOUS: Key = Key {
    section: &RETAIN_SECTION,
    name: "continuous",
    kind: seconds(0, CENTURY),
    absent: Absent::Means("purge.retain, or else until the ring needs the space"),
    example: "\"3d\"",
    text: "Age up to which all footage stays, whatever is said of it; \"0s\": only what an event \
           of a class below claims. It counts as purge.retain does, which means the same.",
};

const fn of_class(name: &'static str, text: &'static str) -> Key {
    Key {
        section: &RETAIN_SECTION,
        name,
        kind: RETAIN,
        absent: Absent::Means("such events claim nothing"),
        example: "\"30d\"",
        text,
    }
}

/// `retain.detections`
pub const RETAIN_DETECTIONS: Key = of_class(
    "detections",
    "Age up to which footage stays that a detection claims: every clip of which some part lies \
     between `pre` before its beginning and `post` behind its end.",
);

/// `retain.alerts`
pub const RETAIN_ALERTS: Key =
    of_class("alerts", "The same of alerts. Where several claim a clip, the longest wins.");

/// `retain.manual`
pub const RETAIN_MANUAL: Key =
    of_class("manual", "The same of events that somebody has added by hand.");

const fn beside(name: &'static str, absent: Absent, text: &'static str) -> Key {
    let (kind, example) = (seconds(0, HOUR / 6), "\"10s\"");
    Key { section: &RETAIN_SECTION, name, kind, absent, example, text }
}

/// `retain.pre`
pub const RETAIN_PRE: Key =
    beside("pre", Absent::Default("5s"), "Time before an event that it claims, too.");

/// `retain.post`
pub const RETAIN_POST: Key =
    beside("post", Absent::Default("5s"), "Time behind an event that it claims, too.");

const LIKE_PRE: Absent = Absent::Means("pre");
const LIKE_POST: Absent = Absent::Means("post");

/// `retain.detections_pre`
pub const RETAIN_DETECTIONS_PRE: Key = beside("detections_pre", LIKE_PRE, "`pre` of detections.");
/// `retain.detections_post`
pub const RETAIN_DETECTIONS_POST: Key =
    beside("detections_post", LIKE_POST, "`post` of detections.");
/// `retain.alerts_pre`
pub const RETAIN_ALERTS_PRE: Key = beside("alerts_pre", LIKE_PRE, "`pre` of alerts.");
/// `retain.alerts_post`
pub const RETAIN_ALERTS_POST: Key = beside("alerts_post", LIKE_POST, "`post` of alerts.");
/// `retain.manual_pre`
pub const RETAIN_MANUAL_PRE: Key = beside("manual_pre", LIKE_PRE, "`pre` of manual events.");
/// `retain.manual_post`
pub const RETAIN_MANUAL_POST: Key = beside("manual_post", LIKE_POST, "`post` of manual events.");

/// `retain.hold`
pub const RETAIN_HOLD: Key = Key {
    section: &RETAIN_SECTION,
    name: "hold",
    kind: seconds(0, 7 * DAY),
    absent: Absent::Default("10m"),
    example: "\"10m\"",
    text: "Where events claim something, no clip is given up earlier than this, and `pre`, after \
           its end: so late an event may come and cost nothing.",
};

/// `retain.late`
pub const RETAIN_LATE: Key = Key {
    section: &RETAIN_SECTION,
    name: "late",
    kind: seconds(0, 30 * DAY),
    absent: Absent::Default("1h"),
    example: "\"1h\"",
    text: "How long a clip that nothing has claimed stays in .trash, as quiet, before it is \
           purged. An event that claims it meanwhile brings it back.",
};

/// `retain.stale`
pub const RETAIN_STALE: Key = Key {
    section: &RETAIN_SECTION,
    name: "stale",
    kind: seconds(60, 30 * DAY),
    absent: Absent::Default("1h"),
    example: "\"1h\"",
    text: "An event that goes on, and of which nothing was heard for so long, ended when it was \
           last heard of.",
};
