//! Where a clip is found: the `layout` of the configuration, and the names that it gives.

use chrono::Timelike;

use super::cameras::camera_and_stream;
use super::field::push_number;
use super::hour::LocalStart;
use super::pattern::{CAMERA_BYTES_MAX, NOT_PORTABLE, Pattern, is_reserved, render};
use crate::segment::{NameForm, NameRank};
use crate::units::WallTime;
use crate::zone::Zone;

pub use super::pattern::CLIP_SUFFIX;

/// The words that may stand for a pattern, and the zone that it is shown in: the configured one
/// (false) or always UTC (true).
const PRESETS: [(&str, &str, bool); 5] = [
    ("default", "%Y-%m-%d/{camera}/%H-%M-%S.mp4", false),
    ("day", "%Y-%m-%d/{camera}/%H-%M-%S.mp4", false),
    ("camera", "{camera}/%Y-%m-%d/%H-%M-%S.mp4", false),
    ("hour", "%Y-%m-%d/%H/{camera}/%H-%M-%S.mp4", false),
    ("frigate", "%Y-%m-%d/%H/{camera}/%M.%S.mp4", true),
];

/// Why a pattern can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layout {pattern:?}: {reason}")]
pub struct LayoutError {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it, and what would be right.
    pub reason: String,
}

/// Where clips are found: directories, and a file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pattern: Pattern,
    utc: bool,
}

/// Where one clip is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipPath {
    /// From the root down; none where files lie in the root.
    pub directories: Vec<String>,
    /// With its extension.
    pub file: String,
}

impl Layout {
    /// Reads a pattern or the name of a preset (`day`, which is the default, `camera`, `hour`,
    /// `frigate`).
    ///
    /// A pattern is a relative path with `{camera}`, perhaps `{stream}`, fields of strftime(3),
    /// `%F` for `%Y-%m-%d` and `%%` for a percent sign, and ends with `.mp4`. With `{stream}`,
    /// `{camera}` is the camera alone ([`camera_and_stream`]).
    ///
    /// # Errors
    /// Says why the pattern does not give every clip a name of its own that every client can
    /// read, and that sorts in time.
    pub fn parse(pattern: &str) -> Result<Layout, LayoutError> {
        let preset = PRESETS.iter().find(|(name, ..)| *name == pattern);
        let (text, utc) = preset.map_or((pattern, false), |(_, text, utc)| (*text, *utc));
        match Pattern::parse(text) {
            Ok(pattern) => Ok(Layout { pattern, utc }),
            Err(reason) => Err(LayoutError { pattern: pattern.to_owned(), reason }),
        }
    }

    /// The zone that names are in: `configured`, unless the layout fixes one. Clips have to be
    /// cut in the same ([`clip_boundary_after`](super::clip_boundary_after)).
    #[must_use]
    pub fn zone(&self, configured: &Zone) -> Zone {
        if self.utc { Zone::UTC } else { configured.clone() }
    }

    /// Where the clip of `camera` that began at `start` is found.
    #[must_use]
    pub fn path(&self, zone: &Zone, camera: &str, start: WallTime, form: NameForm) -> ClipPath {
        let local = LocalStart::new(&self.zone(zone), start, form);
        let (camera, stream) = match self.pattern.has_stream() {
            true => camera_and_stream(camera),
            false => (camera, ""),
        };
        let bytes_max = self.pattern.name_bytes_max();
        let names = (&*portable(camera, bytes_max), &*portable(stream, bytes_max));
        let directories = self.pattern.directories.iter();
        let mut directories: Vec<String> =
            directories.map(|pieces| render(pieces, &local, names)).collect();
        if let Some(top) = directories.first_mut()
            && is_reserved(top)
        {
            top.push('_');
        }
        let mut file = render(&self.pattern.stem, &local, names);
        push_form(&mut file, form, local.time.nanosecond() / 1_000_000);
        if let Some(seconds) = local.told_offset_seconds {
            push_offset(&mut file, seconds);
        }
        file.push_str(CLIP_SUFFIX);
        ClipPath { directories, file }
    }
}

/// The name of a camera's growing clip in `now/`.
#[must_use]
pub fn growing_name(camera: &str) -> String {
    portable(camera, CAMERA_BYTES_MAX) + CLIP_SUFFIX
}

/// The name of the directory in which a camera's ranges are.
#[must_use]
pub fn ranges_name(camera: &str) -> String {
    portable(camera, CAMERA_BYTES_MAX)
}

/// A camera's name as part of a file name. What a configuration allows passes unchanged; what an
/// older or foreign ring may hold becomes something that every client can show.
fn portable(camera: &str, bytes_max: usize) -> String {
    let mut name = String::with_capacity(camera.len());
    for char in camera.chars() {
        let bad = char == '/' || char.is_control() || NOT_PORTABLE.contains(&char);
        let char = if bad || char == '.' && name.is_empty() { '_' } else { char };
        if name.len() + char.len_utf8() > bytes_max {
            break;
        }
        name.push(char);
    }
    if name.is_empty() || name.ends_with(['.', ' ']) {
        name.push('_');
    }
    name
}

/// A form sorts by the character in front of the milliseconds, against the dot of the extension
/// or, where a client ignores punctuation, against its `m`.
fn push_form(name: &mut String, form: NameForm, milliseconds: u32) {
    let mark = match form {
        NameForm::Seconds | NameForm::InOrder { rank: NameRank::Second, .. } => return,
        NameForm::Milliseconds | NameForm::Numbered(_) => '.',
        NameForm::InOrder { rank: NameRank::Before, .. } => '-',
        NameForm::InOrder { rank: NameRank::Behind, .. } => 's',
    };
    name.push(mark);
    push_number(name, milliseconds, 3);
    match form {
        NameForm::Numbered(number) => {
            name.push('-');
            push_number(name, number, 1);
        }
        NameForm::InOrder { number: number @ 2.., .. } => {
            name.push('n');
            push_number(name, number, 2);
        }
        _ => {}
    }
}

/// `+0200`; seconds, which only history has, are cut.
fn push_offset(name: &mut String, seconds: i32) {
    name.push(if seconds < 0 { '-' } else { '+' });
    let minutes = seconds.unsigned_abs() / 60;
    push_number(name, minutes / 60, 2);
    push_number(name, minutes % 60, 2);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NANOS_PER_SECOND;
    use chrono::DateTime;

    fn zone(name: &str) -> Zone {
        Zone::named(name).expect("in the database")
    }

    fn at(text: &str) -> WallTime {
        let parsed = DateTime::parse_from_rfc3339(text).expect("a time in the test");
        WallTime(parsed.timestamp_nanos_opt().expect("in range"))
    }

    fn path(layout: &str, start: &str, form: NameForm) -> String {
        let layout = Layout::parse(layout).expect("a good layout");
        let path = layout.path(&zone("Europe/Berlin"), "front-door", at(start), form);
        let mut parts = path.directories;
        parts.push(path.file);
        parts.join("/")
    }

    fn refusal(pattern: &str) -> String {
        Layout::parse(pattern).expect_err("a bad layout").reason
    }

    #[test]
    fn a_clip_is_found_under_its_local_day_and_its_camera() {
        assert_eq!(
            path("default", "2026-11-21T13:10:00.25+01:00", NameForm::Seconds),
            "2026-11-21/front-door/13-10-00.mp4"
        );
        assert_eq!(
            path("%Y/%j/{camera}%%%y_%H%M%S.mp4", "2026-11-20T23:10:09Z", NameForm::Seconds),
            "2026/325/front-door%26_001009.mp4"
        );
        assert_eq!(
            path("%F_%H-%M-%S_{camera}.mp4", "2026-11-20T23:10:09Z", NameForm::Seconds),
            "2026-11-21_00-10-09_front-door.mp4"
        );
    }

    #[test]
    fn the_frigate_preset_is_in_utc() {
        assert_eq!(
            path("frigate", "2026-11-21T00:10:09+01:00", NameForm::Seconds),
            "2026-11-20/23/front-door/10.09.mp4"
        );
        let frigate = Layout::parse("frigate").expect("a preset");
        assert_eq!(frigate.zone(&zone("Europe/Berlin")), Zone::UTC);
    }

    #[test]
    fn each_preset_has_the_names_that_it_always_had() {
        let start = "2026-11-21T00:10:09+01:00";
        for (preset, wanted) in [
            ("default", "2026-11-21/front-door/00-10-09.mp4"),
            ("day", "2026-11-21/front-door/00-10-09.mp4"),
            ("camera", "front-door/2026-11-21/00-10-09.mp4"),
            ("hour", "2026-11-21/00/front-door/00-10-09.mp4"),
            ("frigate", "2026-11-20/23/front-door/10.09.mp4"),
        ] {
            assert_eq!(path(preset, start, NameForm::Seconds), wanted, "{preset}");
        }
        assert_eq!(PRESETS.len(), 5, "each is here");
    }

    #[test]
    fn a_stream_is_told_from_its_camera_where_the_layout_has_a_place_for_it() {
        let layout = |pattern: &str| Layout::parse(pattern).expect("a good layout");
        let path = |pattern: &str, name: &str| {
            let path = layout(pattern).path(&Zone::UTC, name, WallTime(0), NameForm::Seconds);
            [path.directories, vec![path.file]].concat().join("/")
        };
        let apart = "{camera}/{stream}/%F/%H-%M-%S.mp4";
        assert_eq!(path(apart, "front-door"), "front-door/main/1970-01-01/00-00-00.mp4");
        assert_eq!(path(apart, "front-door.sub"), "front-door/sub/1970-01-01/00-00-00.mp4");
        assert_eq!(path("camera", "front-door.sub"), "front-door.sub/1970-01-01/00-00-00.mp4");
        let first = "{stream}/%F/{camera}/%H-%M-%S.mp4";
        assert_eq!(path(first, "yard.now"), "now_/1970-01-01/yard/00-00-00.mp4");
        assert_eq!(path("%F_{camera}.{stream}_%H-%M-%S.mp4", "a.b"), "1970-01-01_a.b_00-00-00.mp4");
        assert!(refusal("{stream}/%F/%H-%M-%S.mp4").contains("{camera}"));
        for glued in ["{camera}-{stream}", "{camera}{stream}", "{stream}_%d{camera}"] {
            let reason = refusal(&format!("%F/{glued}/%H-%M-%S.mp4"));
            assert!(reason.contains("run together"), "{glued}: {reason}");
        }
        layout("{camera}/%F/{camera}-{stream}/%H-%M-%S.mp4");
    }

    #[test]
    fn a_layout_that_does_not_sort_in_time_is_refused_with_the_field_and_the_reason() {
        for (pattern, reason) in [
            ("%d-%m-%Y/{camera}/%H-%M-%S.mp4", "%d does not sort in time without %m in front"),
            ("%m-%d-%Y/{camera}/%H-%M-%S.mp4", "%m does not sort in time without %Y in front"),
            ("{camera}/%H/%F/%M-%S.mp4", "%H does not sort in time without %d in front"),
            ("%F/{camera}/%M-%H-%S.mp4", "%M does not sort in time without %H in front"),
            ("%F/{camera}/%H-%S-%M.mp4", "%S does not sort in time without %M in front"),
            ("%Y/%B/%m/%d/{camera}/%H-%M-%S.mp4", "%B does not sort in time without %m in front"),
            ("%G-%m-%d/{camera}/%Y%H%M%S.mp4", "%m does not sort in time without %Y in front"),
            ("%Y-%V-%u/{camera}/%m%d%H%M%S.mp4", "%V does not sort in time without %G in front"),
            ("%F/{camera}/%I-%M-%S.mp4", "%I does not sort in time; %H does"),
            ("%F/{camera}/%H-%M-%S%z.mp4", "%z does not sort in time; what a clock shows twice"),
            ("%D/{camera}/%H-%M-%S.mp4", "%D has slashes"),
            ("%F/{camera}/%H-%M-%S-%Q.mp4", "%Q is none of %Y %y %m"),
        ] {
            assert!(refusal(pattern).contains(reason), "{pattern}: {}", refusal(pattern));
        }
        let start = "2026-12-31T23:10:09+01:00";
        for (pattern, wanted) in [
            ("%Y/%m-%b/%d-%a/{camera}/%H%M%S.mp4", "2026/12-Dec/31-Thu/front-door/231009.mp4"),
            ("%G-W%V-%u/{camera}/%H%M%S.mp4", "2026-W53-4/front-door/231009.mp4"),
            (
                "%Y-%W-%U/%F-%A/{camera}/%s.mp4",
                "2026-52-52/2026-12-31-Thursday/front-door/1798755009.mp4",
            ),
            ("{camera}/%s-%B.mp4", "front-door/1798755009-December.mp4"),
        ] {
            assert_eq!(path(pattern, start, NameForm::Seconds), wanted);
        }
    }

    #[test]
    fn a_second_clip_in_one_second_is_told_apart() {
        let start = "2026-11-21T13:10:00.25+01:00";
        let name = |rank, number| path("default", start, NameForm::InOrder { rank, number });
        assert!(name(NameRank::Second, 1).ends_with("/13-10-00.mp4"));
        assert!(name(NameRank::Behind, 1).ends_with("/13-10-00s250.mp4"));
        assert!(name(NameRank::Behind, 2).ends_with("/13-10-00s250n02.mp4"));
        assert!(name(NameRank::Before, 1).ends_with("/13-10-00-250.mp4"));
        // As earlier builds called them.
        assert!(path("default", start, NameForm::Milliseconds).ends_with("/13-10-00.250.mp4"));
        assert!(path("default", start, NameForm::Numbered(2)).ends_with("/13-10-00.250-2.mp4"));
    }

    #[test]
    fn the_second_pass_of_a_repeated_hour_sorts_behind_the_first() {
        let form = NameForm::InOrder { rank: NameRank::Second, number: 1 };
        let name = |layout, start| path(layout, start, form);
        assert!(name("default", "2026-10-25T02:30:00+02:00").ends_with("/02-30-00.mp4"));
        assert!(name("default", "2026-10-25T02:30:00+01:00").ends_with("/02b-30-00.mp4"));
        assert!(name("default", "2026-10-25T03:00:00+01:00").ends_with("/03-00-00.mp4"));
        let second = "2026-10-25T02:30:00+01:00";
        let hourly = "%F/%H/{camera}/%M.%S.mp4";
        assert_eq!(name(hourly, second), "2026-10-25/02b/front-door/30.00.mp4");
        assert!(name("%F/{camera}/%Hh%Mm%Ss.mp4", second).ends_with("/02hb30m00s.mp4"));
        assert_eq!(
            name("%F/%H Uhr/{camera}/%M.%S.mp4", second),
            "2026-10-25/02 Uhrb/front-door/30.00.mp4"
        );
        assert!(name("%F/%H{camera}%M%S.mp4", second).ends_with("/02front-doorb3000.mp4"));
        assert!(name("%F/{camera}/%H%M%S_%H.mp4", second).ends_with("/02b3000_02.mp4"));
    }

    #[test]
    fn a_repeated_hour_of_an_earlier_build_carries_its_offset() {
        let name = |start| path("default", start, NameForm::Seconds);
        assert!(name("2026-10-25T02:30:00+02:00").ends_with("/02-30-00+0200.mp4"));
        assert!(name("2026-10-25T02:30:00+01:00").ends_with("/02-30-00+0100.mp4"));
        assert!(name("2026-10-25T01:59:59+02:00").ends_with("/01-59-59.mp4"));
        assert!(name("2026-10-25T03:00:00+01:00").ends_with("/03-00-00.mp4"));
        assert!(
            path("default", "2026-10-25T02:30:00+02:00", NameForm::Numbered(3))
                .ends_with("/02-30-00.000-3+0200.mp4")
        );
    }

    #[test]
    fn days_of_23_and_25_hours_name_every_minute_once() {
        let layout = Layout::parse("default").expect("a preset");
        for (day, minutes) in [("2026-03-29", 23 * 60), ("2026-10-25", 25 * 60)] {
            let mut names = std::collections::BTreeSet::new();
            let noon = at(&format!("{day}T12:00:00Z"));
            for minute in -15 * 60..15 * 60 {
                let start = noon.plus_nanos(minute * 60 * NANOS_PER_SECOND);
                let path = layout.path(&zone("Europe/Berlin"), "a", start, NameForm::Seconds);
                if path.directories[0] == day {
                    assert!(names.insert(path.file), "each name once");
                }
            }
            assert_eq!(names.len(), minutes, "{day}");
        }
    }

    #[test]
    fn a_layout_that_mixes_clips_up_is_refused() {
        assert!(refusal("%F/%H-%M-%S.mp4").contains("{camera}"));
        assert!(refusal("%F/{camera}/%H-%M.mp4").ends_with("%S"));
        assert!(refusal("{camera}/%H-%M-%S.mp4").contains("%m and %d"));
        assert!(refusal("").contains(".mp4"));
        assert!(refusal("%F/{camera}/%H-%M-%S.mkv").contains(".mp4"));
    }

    #[test]
    fn a_layout_that_a_client_cannot_show_is_refused() {
        assert!(refusal("%F/{camera}/%H:%M:%S.mp4").contains("':'"));
        assert!(refusal("%F/{camera}/%T.mp4").contains("%T"));
        assert!(refusal("%F//{camera}/%H-%M-%S.mp4").contains("empty"));
        assert!(refusal("/%F/{camera}/%H-%M-%S.mp4").contains("empty"));
        assert!(refusal("../%F/{camera}/%H-%M-%S.mp4").contains("\"..\""));
        assert!(refusal("%F/{camera}/a./%H-%M-%S.mp4").contains("dot"));
        assert!(refusal("%F/{camera/%H-%M-%S.mp4").contains("brace"));
        assert!(refusal("%F/{camera}/%H-%M-%S%.mp4").contains('%'));
    }

    #[test]
    fn reserved_names_are_nobodys() {
        assert!(refusal("now/%F/{camera}/%H-%M-%S.mp4").contains("reserved"));
        assert!(refusal("Live/%F/{camera}/%H-%M-%S.mp4").contains("reserved"));
        assert!(refusal(".x/%F/{camera}/%H-%M-%S.mp4").contains("reserved"));
        let layout = Layout::parse("{camera}/%F/%H-%M-%S.mp4").expect("a good layout");
        for (camera, top) in [("now", "now_"), (".x", "_x"), ("a/b:c", "a_b_c"), ("", "_")] {
            let path = layout.path(&Zone::UTC, camera, WallTime(0), NameForm::Seconds);
            assert_eq!(path.directories[0], top);
        }
    }

    #[test]
    fn no_name_is_longer_than_a_file_system_allows() {
        let pattern = format!("{}/%F/%H-%M-%S{{camera}}{}.mp4", "%Y".repeat(50), "x".repeat(60));
        let layout = Layout::parse(&pattern).expect("a long layout");
        let camera = "\u{1F4F7}".repeat(300);
        let path = layout.path(&Zone::UTC, &camera, WallTime(0), NameForm::Numbered(u32::MAX));
        assert!(path.file.len() + "~3fffffffffffffff".len() <= 255);
        assert!(path.directories.iter().all(|name| name.len() <= 255));
        assert!(refusal("%F/{camera}{camera}/%H-%M-%S.mp4").contains("longer"));
    }
}
