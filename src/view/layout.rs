//! Where a clip is found: the `layout` of the configuration, and the names that it gives.

use std::fmt::Write as _;

use chrono::{Datelike, Timelike};

use super::hour::{LocalStart, NameHour};
use super::inode::{LIVE_NAME, NOW_NAME};
use crate::segment::{NameForm, NameRank};
use crate::units::WallTime;
use crate::zone::Zone;

/// Every clip's name ends with it.
pub const CLIP_SUFFIX: &str = ".mp4";

/// Top-level names that are not a layout's to give. Everything with a leading dot is, too.
const RESERVED: [&str; 2] = [NOW_NAME, LIVE_NAME];

/// Behind the hour that is shown for the second time, as in the hours 2A and 2B of timetables.
const SECOND_PASS: char = 'b';

/// What SMB does not allow in a name, `/` aside.
const NOT_PORTABLE: &[char] = &['<', '>', ':', '"', '\\', '|', '?', '*'];

/// The most that a camera's name takes of a file name, in bytes; more is cut.
const CAMERA_BYTES_MAX: usize = 128;

/// The most that a component may come to, in bytes: a name has 255, less what a clip may add
/// (`.000-4294967295+0200.mp4`; `b00` and `s000n16777215.mp4` are less), and less what tells two
/// clips of one name apart (`~3fffffffffffffff`).
const COMPONENT_BYTES_MAX: usize = 255 - 24 - 17;

/// The words that may stand for a pattern, and the zone that it is shown in: the configured one
/// (false) or always UTC (true).
const PRESETS: [(&str, &str, bool); 2] = [
    ("default", "%Y-%m-%d/{camera}/%H-%M-%S.mp4", false),
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
    directories: Vec<Vec<Piece>>,
    stem: Vec<Piece>,
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

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Camera,
    Year,
    YearOfCentury,
    Month,
    Day,
    DayOfYear,
    /// The first one of a component, which sorts: see [`NameHour`].
    SortingHour,
    /// What stands behind it where the hour is shown for the second time, in front of what follows.
    SecondPass,
    Hour,
    Minute,
    Second,
}

impl Piece {
    /// The most bytes that it comes to.
    fn bytes_max(&self) -> usize {
        match self {
            Piece::Text(text) => text.len(),
            // One more than the cut: see `portable` and `Layout::path`.
            Piece::Camera => CAMERA_BYTES_MAX + 1,
            Piece::Year => 4,
            Piece::DayOfYear => 3,
            // Part of what a clip may add: see `COMPONENT_BYTES_MAX`.
            Piece::SecondPass => 0,
            _ => 2,
        }
    }
}

impl Layout {
    /// Reads a pattern or the name of a preset (`default`, `frigate`).
    ///
    /// A pattern is a relative path with `{camera}`, `%Y %y %m %d %j %H %M %S`, `%F` for
    /// `%Y-%m-%d` and `%%` for a percent sign, and ends with `.mp4`.
    ///
    /// # Errors
    /// Says why the pattern does not give every clip a name of its own that every client can
    /// read.
    pub fn parse(pattern: &str) -> Result<Layout, LayoutError> {
        let preset = PRESETS.iter().find(|(name, ..)| *name == pattern);
        let (text, utc) = preset.map_or((pattern, false), |(_, text, utc)| (*text, *utc));
        Self::parse_pattern(text, utc)
            .map_err(|reason| LayoutError { pattern: pattern.to_owned(), reason })
    }

    fn parse_pattern(text: &str, utc: bool) -> Result<Layout, String> {
        let Some(stem) = text.strip_suffix(CLIP_SUFFIX) else {
            return Err(format!("has to end with {CLIP_SUFFIX}"));
        };
        let mut components = Vec::new();
        for component in stem.split('/') {
            components.push(parse_component(component)?);
        }
        let stem = components.pop().unwrap_or_default();
        let layout = Layout { directories: components, stem, utc };
        layout.check_top()?;
        layout.check_distinct()?;
        Ok(layout)
    }

    /// The root's names are shared with what is not a clip.
    fn check_top(&self) -> Result<(), String> {
        let top = self.directories.first().unwrap_or(&self.stem);
        let Some(Piece::Text(text)) = top.first() else {
            return Ok(());
        };
        if text.starts_with('.') {
            return Err("names with a leading dot are reserved at the top".to_owned());
        }
        if top.len() == 1 && !self.directories.is_empty() && is_reserved(text) {
            return Err(format!("{text:?} is reserved at the top"));
        }
        Ok(())
    }

    fn check_distinct(&self) -> Result<(), String> {
        let all: Vec<&Piece> = self.directories.iter().flatten().chain(&self.stem).collect();
        let has = |piece: Piece| all.contains(&&piece);
        let day = has(Piece::DayOfYear) || has(Piece::Month) && has(Piece::Day);
        let needs = [
            (has(Piece::Camera), "{camera}"),
            (has(Piece::Year) || has(Piece::YearOfCentury), "%Y"),
            (day, "%m and %d"),
            (has(Piece::SortingHour), "%H"),
            (has(Piece::Minute), "%M"),
            (has(Piece::Second), "%S"),
        ];
        let missing: Vec<&str> =
            needs.iter().filter(|(there, _)| !there).map(|(_, what)| *what).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!("does not tell all clips apart without {}", missing.join(", ")))
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
        let camera = portable(camera);
        let mut directories: Vec<String> =
            self.directories.iter().map(|pieces| render(pieces, &local, &camera)).collect();
        if let Some(top) = directories.first_mut()
            && is_reserved(top)
        {
            top.push('_');
        }
        let mut file = render(&self.stem, &local, &camera);
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
    portable(camera) + CLIP_SUFFIX
}

/// The name of the directory in which a camera's ranges are.
#[must_use]
pub fn ranges_name(camera: &str) -> String {
    portable(camera)
}

fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

fn parse_component(component: &str) -> Result<Vec<Piece>, String> {
    if component.is_empty() {
        return Err("has an empty component".to_owned());
    }
    if component == "." || component == ".." {
        return Err(format!("has a component {component:?}"));
    }
    if component.ends_with(['.', ' ']) {
        return Err(format!("{component:?} ends with a dot or a space, which SMB can't show"));
    }
    let mut pieces = Vec::new();
    let mut rest = component;
    while let Some(first) = rest.chars().next() {
        rest = if let Some(behind) = rest.strip_prefix("{camera}") {
            pieces.push(Piece::Camera);
            behind
        } else if let Some(behind) = rest.strip_prefix('%') {
            parse_field(behind, &mut pieces)?
        } else {
            push_char(&mut pieces, first)?;
            &rest[first.len_utf8()..]
        };
    }
    mark_sorting_hour(&mut pieces);
    if pieces.iter().map(Piece::bytes_max).sum::<usize>() > COMPONENT_BYTES_MAX {
        return Err(format!("{component:?} can get longer than {COMPONENT_BYTES_MAX} bytes"));
    }
    Ok(pieces)
}

/// Has the first hour sort. Its mark stands right behind it, `02b-10`, but behind all that follows
/// where that would sort behind the mark: `02h10` is in front of `02hb10`, not of `02bh10`.
fn mark_sorting_hour(pieces: &mut Vec<Piece>) {
    let Some(hour) = pieces.iter().position(|piece| *piece == Piece::Hour) else { return };
    pieces[hour] = Piece::SortingHour;
    let behind = &pieces[hour + 1..];
    let until = behind.iter().position(|piece| !matches!(piece, Piece::Text(_) | Piece::Camera));
    let between = &behind[..until.unwrap_or(behind.len())];
    let at = if between.iter().all(sorts_in_front_of_mark) { 0 } else { between.len() };
    pieces.insert(hour + 1 + at, Piece::SecondPass);
}

/// By bytes, and for whoever goes by letters and digits alone, as many locales do.
fn sorts_in_front_of_mark(piece: &Piece) -> bool {
    let Piece::Text(text) = piece else { return false };
    text.starts_with(|c| c < SECOND_PASS) && !text.contains(char::is_alphabetic)
}

/// Reads what follows a percent sign, answers what follows that.
fn parse_field<'a>(text: &'a str, pieces: &mut Vec<Piece>) -> Result<&'a str, String> {
    let mut chars = text.chars();
    let piece = match chars.next() {
        Some('Y') => Piece::Year,
        Some('y') => Piece::YearOfCentury,
        Some('m') => Piece::Month,
        Some('d') => Piece::Day,
        Some('j') => Piece::DayOfYear,
        Some('H') => Piece::Hour,
        Some('M') => Piece::Minute,
        Some('S') => Piece::Second,
        Some('F') => {
            let dash = || Piece::Text("-".to_owned());
            pieces.extend([Piece::Year, dash(), Piece::Month, dash(), Piece::Day]);
            return Ok(chars.as_str());
        }
        Some('%') => {
            push_char(pieces, '%')?;
            return Ok(chars.as_str());
        }
        Some(other) => return Err(format!("%{other} is none of %Y %y %m %d %j %H %M %S %F %%")),
        None => return Err("ends a component with %".to_owned()),
    };
    pieces.push(piece);
    Ok(chars.as_str())
}

fn push_char(pieces: &mut Vec<Piece>, char: char) -> Result<(), String> {
    match char {
        '{' | '}' => return Err("has a brace that is not part of {camera}".to_owned()),
        _ if char.is_control() || NOT_PORTABLE.contains(&char) => {
            return Err(format!("has {char:?}, which SMB can't show"));
        }
        _ => {}
    }
    if let Some(Piece::Text(text)) = pieces.last_mut() {
        text.push(char);
    } else {
        pieces.push(Piece::Text(char.into()));
    }
    Ok(())
}

/// A camera's name as part of a file name. What a configuration allows passes unchanged; what an
/// older or foreign ring may hold becomes something that every client can show.
fn portable(camera: &str) -> String {
    let mut name = String::with_capacity(camera.len());
    for char in camera.chars() {
        let bad = char == '/' || char.is_control() || NOT_PORTABLE.contains(&char);
        let char = if bad || char == '.' && name.is_empty() { '_' } else { char };
        if name.len() + char.len_utf8() > CAMERA_BYTES_MAX {
            break;
        }
        name.push(char);
    }
    if name.is_empty() || name.ends_with(['.', ' ']) {
        name.push('_');
    }
    name
}

fn render(pieces: &[Piece], start: &LocalStart, camera: &str) -> String {
    let local = &start.time;
    let mut name = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => name.push_str(text),
            Piece::Camera => name.push_str(camera),
            Piece::Year => push_number(&mut name, local.year().unsigned_abs(), 4),
            Piece::YearOfCentury => {
                push_number(&mut name, local.year().rem_euclid(100).unsigned_abs(), 2);
            }
            Piece::Month => push_number(&mut name, local.month(), 2),
            Piece::Day => push_number(&mut name, local.day(), 2),
            Piece::DayOfYear => push_number(&mut name, local.ordinal(), 3),
            Piece::Hour => push_number(&mut name, local.hour(), 2),
            Piece::SortingHour => push_number(&mut name, start.hour.sorts_as(), 2),
            Piece::SecondPass => push_second_pass(&mut name, start.hour),
            Piece::Minute => push_number(&mut name, local.minute(), 2),
            Piece::Second => push_number(&mut name, local.second(), 2),
        }
    }
    name
}

fn push_number(name: &mut String, number: u32, digits: usize) {
    // Writing to a String can't fail.
    let _ = write!(name, "{number:0digits$}");
}

/// Behind every minute of the hour, in front of the next one: digits sort in front of letters,
/// whatever a client makes of punctuation.
fn push_second_pass(name: &mut String, hour: NameHour) {
    match hour {
        NameHour::Only(_) => {}
        NameHour::Again(_) => name.push(SECOND_PASS),
        NameHour::AgainBehind { own, .. } => {
            name.push(SECOND_PASS);
            push_number(name, own, 2);
        }
    }
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
