//! Patterns of paths: read, and refused where names that they give could be taken for one another,
//! could not be shown, or would not sort in time.

use super::field::{Field, Given, push_number};
use super::hour::{LocalStart, NameHour};
use super::inode::{LIVE_NAME, NOW_NAME};

/// Every clip's name ends with it.
pub const CLIP_SUFFIX: &str = ".mp4";

/// Top-level names that are not a layout's to give. Everything with a leading dot is, too.
const RESERVED: [&str; 2] = [NOW_NAME, LIVE_NAME];

/// Behind the hour that is shown for the second time, as in the hours 2A and 2B of timetables.
const SECOND_PASS: char = 'b';

/// What SMB does not allow in a name, `/` aside.
pub(super) const NOT_PORTABLE: &[char] = &['<', '>', ':', '"', '\\', '|', '?', '*'];

/// The most that a camera's name takes of a file name, in bytes; more is cut.
pub(super) const CAMERA_BYTES_MAX: usize = 128;

/// The same where the camera and its stream are each on their own: as much as a configuration
/// allows both of them.
const PART_BYTES_MAX: usize = 64;

/// The most that a component may come to, in bytes: a name has 255, less what a clip may add
/// (`.000-4294967295+0200.mp4`; `b00` and `s000n16777215.mp4` are less), and less what tells two
/// clips of one name apart (`~3fffffffffffffff`).
const COMPONENT_BYTES_MAX: usize = 255 - 24 - 17;

/// What a component is made of, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Camera,
    Stream,
    Field(Field),
    /// The first hour of a component, which sorts: see [`NameHour`].
    SortingHour,
    /// What stands behind it where the hour is shown for the second time, in front of what follows.
    SecondPass,
}

impl Piece {
    /// The most bytes that it comes to, where a name comes to so many.
    fn bytes_max(&self, name_bytes_max: usize) -> usize {
        match self {
            Piece::Text(text) => text.len(),
            // One more than the cut: see `portable` and `Layout::path`.
            Piece::Camera | Piece::Stream => name_bytes_max + 1,
            Piece::Field(field) => field.bytes_max(),
            Piece::SortingHour => Field::Hour.bytes_max(),
            // Part of what a clip may add: see `COMPONENT_BYTES_MAX`.
            Piece::SecondPass => 0,
        }
    }

    fn is_name(&self) -> bool {
        matches!(self, Piece::Camera | Piece::Stream)
    }

    /// The field that it is.
    fn field(&self) -> Option<Field> {
        match self {
            Piece::Field(field) => Some(*field),
            Piece::SortingHour => Some(Field::Hour),
            _ => None,
        }
    }
}

/// A pattern: directories, and a file name without its extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) directories: Vec<Vec<Piece>>,
    pub(super) stem: Vec<Piece>,
}

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// Why it gives no good names.
    pub(super) fn parse(text: &str) -> Result<Pattern, String> {
        let Some(stem) = text.strip_suffix(CLIP_SUFFIX) else {
            return Err(format!("has to end with {CLIP_SUFFIX}"));
        };
        let mut components = Vec::new();
        for component in stem.split('/') {
            components.push(parse_component(component)?);
        }
        let stem = components.pop().unwrap_or_default();
        let pattern = Pattern { directories: components, stem };
        pattern.check_length(text)?;
        pattern.check_top()?;
        pattern.check_distinct()?;
        pattern.check_names()?;
        pattern.check_order()?;
        Ok(pattern)
    }

    fn components(&self) -> impl Iterator<Item = &Vec<Piece>> {
        self.directories.iter().chain([&self.stem])
    }

    /// Whether a camera's streams have a field of their own.
    pub(super) fn has_stream(&self) -> bool {
        self.components().flatten().any(|piece| *piece == Piece::Stream)
    }

    /// The most that a camera's name takes of a file name, in bytes; more is cut.
    pub(super) fn name_bytes_max(&self) -> usize {
        if self.has_stream() { PART_BYTES_MAX } else { CAMERA_BYTES_MAX }
    }

    /// A name has an end.
    fn check_length(&self, text: &str) -> Result<(), String> {
        let name = self.name_bytes_max();
        for (pieces, component) in self.components().zip(text.split('/')) {
            if pieces.iter().map(|piece| piece.bytes_max(name)).sum::<usize>() > COMPONENT_BYTES_MAX
            {
                return Err(format!(
                    "{component:?} can get longer than {COMPONENT_BYTES_MAX} bytes"
                ));
            }
        }
        Ok(())
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
        let fields: Vec<Field> = self.components().flatten().filter_map(Piece::field).collect();
        let has = |field: Field| fields.contains(&field) || fields.contains(&Field::EpochSecond);
        let week = has(Field::IsoYear) && has(Field::IsoWeek) && has(Field::IsoDay);
        let day = has(Field::DayOfYear) || has(Field::Month) && has(Field::Day) || week;
        let needs = [
            (self.components().flatten().any(|piece| *piece == Piece::Camera), "{camera}"),
            (has(Field::Year) || has(Field::YearOfCentury) || week, "%Y"),
            (day, "%m and %d"),
            (has(Field::Hour), "%H"),
            (has(Field::Minute), "%M"),
            (has(Field::Second), "%S"),
        ];
        let missing: Vec<&str> =
            needs.iter().filter(|(there, _)| !there).map(|(_, what)| *what).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!("does not tell all clips apart without {}", missing.join(", ")))
    }

    /// A camera `a` with a stream `b-c` is not to be taken for a camera `a-b` with a stream `c`.
    fn check_names(&self) -> Result<(), String> {
        for component in self.components() {
            let names: Vec<usize> =
                (0..component.len()).filter(|at| component[*at].is_name()).collect();
            let runs_together = |pair: &[usize]| {
                let between = component[pair[0] + 1..pair[1]].iter();
                component[pair[0]] != component[pair[1]] && !between.into_iter().any(parts_names)
            };
            if names.windows(2).any(runs_together) {
                let advice = "put a dot or a slash between them";
                return Err(format!("{{camera}} and {{stream}} run together; {advice}"));
            }
            if !names.is_empty() {
                // The first component that has one of them tells it in all that follow.
                return Ok(());
            }
        }
        Ok(())
    }

    /// A name never sorts against time: of one camera, in one directory.
    fn check_order(&self) -> Result<(), String> {
        let mut given = Given::default();
        let fields = self.components().flatten().filter_map(Piece::field);
        fields.into_iter().try_for_each(|field| given.follow(field))
    }
}

/// Whether a name at the top is not a layout's to give.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

/// Whether it is what neither a camera's name and its stream's have both: a stream's has no dot.
fn parts_names(piece: &Piece) -> bool {
    let Piece::Text(text) = piece else { return false };
    text.contains(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c))
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
        } else if let Some(behind) = rest.strip_prefix("{stream}") {
            pieces.push(Piece::Stream);
            behind
        } else if let Some(behind) = rest.strip_prefix('%') {
            parse_field(behind, &mut pieces)?
        } else {
            push_char(&mut pieces, first)?;
            &rest[first.len_utf8()..]
        };
    }
    mark_sorting_hour(&mut pieces);
    Ok(pieces)
}

/// Has the first hour sort. Its mark stands right behind it, `02b-10`, but behind all that follows
/// where that would sort behind the mark: `02h10` is in front of `02hb10`, not of `02bh10`.
fn mark_sorting_hour(pieces: &mut Vec<Piece>) {
    let hour = pieces.iter().position(|piece| *piece == Piece::Field(Field::Hour));
    let Some(hour) = hour else { return };
    pieces[hour] = Piece::SortingHour;
    let behind = &pieces[hour + 1..];
    let until =
        behind.iter().position(|piece| !matches!(piece, Piece::Text(_)) && !piece.is_name());
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
    match chars.next() {
        Some('F') => {
            let dash = || Piece::Text("-".to_owned());
            let [year, month, day] = [Field::Year, Field::Month, Field::Day].map(Piece::Field);
            pieces.extend([year, dash(), month, dash(), day]);
        }
        Some('%') => push_char(pieces, '%')?,
        Some(letter) => pieces.push(Piece::Field(Field::of(letter)?)),
        None => return Err("ends a component with %".to_owned()),
    }
    Ok(chars.as_str())
}

fn push_char(pieces: &mut Vec<Piece>, char: char) -> Result<(), String> {
    match char {
        '{' | '}' => return Err("has a brace that is not part of {camera} or {stream}".to_owned()),
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

/// The name that a component comes to.
pub(super) fn render(
    pieces: &[Piece],
    start: &LocalStart,
    (camera, stream): (&str, &str),
) -> String {
    let mut name = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => name.push_str(text),
            Piece::Camera => name.push_str(camera),
            Piece::Stream => name.push_str(stream),
            Piece::Field(field) => field.push(&mut name, start),
            Piece::SortingHour => push_number(&mut name, start.hour.sorts_as(), 2),
            Piece::SecondPass => push_second_pass(&mut name, start.hour),
        }
    }
    name
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

#[cfg(test)]
mod tests;
