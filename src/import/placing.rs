//! Where files lie in time, and in which order. Pure.
//!
//! Few files say when they were recorded, and many that do say something else: when they were
//! closed, when the first of them was, or when somebody copied them. So what is believed is told,
//! and what somebody says beside it wins.

use std::fmt;
use std::path::PathBuf;

use super::footage::Survey;
use crate::units::{NANOS_PER_SECOND, WallTime};

/// 2000-01-01, in seconds: before that no file has times since 1970.
const CALENDAR_SECONDS_MIN: i64 = 946_684_800;
/// Clocks of files may be ahead of this one by so much, in nanoseconds.
const AHEAD_NANOS_MAX: i64 = 5 * NANOS_PER_SECOND;
/// Files whose creation times have whole seconds follow one another where they are apart by no
/// more, in nanoseconds; by the length of a group, where writers close a file a group too late.
const APART_NANOS_MIN: i64 = NANOS_PER_SECOND;
const APART_NANOS_MAX: i64 = 10 * NANOS_PER_SECOND;
/// The same of files whose own times say it, which may be rounded.
const ROUNDED_NANOS_MAX: i64 = NANOS_PER_SECOND / 2;

/// What says when files begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// The first picture of the first file is of this time, and each file begins where the one
    /// before it ends.
    At(WallTime),
    /// Their own times, which are seconds since 1970.
    OwnTimes,
    /// Their names do.
    Named,
    /// When each was made, as it says; or its own times, where those are since 1970.
    Created,
}

/// How it is known when a file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dated {
    /// Somebody said so.
    Told,
    /// It follows the file before.
    Behind,
    /// It says when it was made.
    Created,
    /// Its times are since 1970.
    OwnTimes,
    /// Its name does.
    Named,
}

impl fmt::Display for Dated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dated::Told => "as --start says",
            Dated::Behind => "right behind the file before",
            Dated::Created => "its creation time; --start gives another",
            Dated::OwnTimes => "its own times",
            Dated::Named => "its name",
        })
    }
}

/// A file with its place in time.
#[derive(Clone, Debug)]
pub struct Placed {
    /// What is known of it.
    pub survey: Survey,
    /// When its first picture was captured.
    pub start: WallTime,
    /// Where its last picture ends.
    pub end: WallTime,
    /// How that is known.
    pub known: Dated,
}

/// Why files have no place in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// Nothing says when it was recorded.
    #[error("{}: it does not say when it was made: give --start", path.display())]
    NoTime {
        /// The file.
        path: PathBuf,
    },
    /// It was asked for times that it does not have.
    #[error("{}: its own times are not seconds since 1970: give --start a time", path.display())]
    NoOwnTimes {
        /// The file.
        path: PathBuf,
    },
}

/// Gives each file its place in time. Answers what there is to say of the order, too.
///
/// # Errors
/// If it can't be known.
pub fn placed(
    files: Vec<Survey>,
    beginning: Beginning,
    now: WallTime,
) -> Result<(Vec<Placed>, Option<String>), Misplaced> {
    match beginning {
        Beginning::At(start) => Ok(chained(files, start)),
        Beginning::OwnTimes => {
            let alien = files.iter().find(|file| own_start(file, now).is_none());
            match alien {
                Some(file) => Err(Misplaced::NoOwnTimes { path: file.path.clone() }),
                None => dated(files, now),
            }
        }
        Beginning::Named | Beginning::Created => dated(files, now),
    }
}

/// Whether a file's own times are since 1970.
#[must_use]
pub fn has_own_times(file: &Survey, now: WallTime) -> bool {
    own_start(file, now).is_some()
}

/// When a file begins whose times are since 1970.
fn own_start(file: &Survey, now: WallTime) -> Option<WallTime> {
    let range =
        CALENDAR_SECONDS_MIN * NANOS_PER_SECOND..now.0.saturating_add(24 * 3600 * NANOS_PER_SECOND);
    range.contains(&file.first_nanos).then_some(WallTime(file.first_nanos))
}

/// One file behind another, from `start` on.
fn chained(mut files: Vec<Survey>, start: WallTime) -> (Vec<Placed>, Option<String>) {
    let said = sort(&mut files);
    let mut next = (start, Dated::Told);
    let placed = files.into_iter().map(|survey| {
        let (start, known) = next;
        let end = start.plus_nanos(survey.length_nanos);
        next = (end, Dated::Behind);
        Placed { survey, start, end, known }
    });
    (placed.collect(), said)
}

/// Puts files in the order in which they were recorded, as far as anything says it.
fn sort(files: &mut [Survey]) -> Option<String> {
    let given: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    let by = if own_times_follow(files) {
        files.sort_by_key(|file| file.first_nanos);
        "own times"
    } else if files.iter().all(|file| file.created.is_some()) && creations(files) > 1 {
        files.sort_by_key(|file| file.created);
        "creation times"
    } else if given.is_sorted() {
        // As a shell lists them: 10 before 2.
        files.sort_by_key(|file| natural(&file.path.to_string_lossy()));
        "numbers"
    } else {
        return None;
    };
    let is_same = files.iter().map(|file| &file.path).eq(&given);
    (!is_same).then(|| format!("the files are taken in the order of their {by}"))
}

/// How many different times files say that they were made at.
fn creations(files: &[Survey]) -> usize {
    let mut all: Vec<Option<WallTime>> = files.iter().map(|file| file.created).collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}

/// Whether files are parts of one time line, as segments of a recorder are.
fn own_times_follow(files: &[Survey]) -> bool {
    let mut spans: Vec<(i64, i64)> = files
        .iter()
        .map(|file| (file.first_nanos, file.first_nanos.saturating_add(file.length_nanos)))
        .collect();
    spans.sort_unstable();
    let follow = |pair: &[(i64, i64)]| match pair {
        [(_, end), (next, _)] => next.saturating_add(ROUNDED_NANOS_MAX) >= *end,
        _ => true,
    };
    spans.len() > 1 && spans.windows(2).all(follow)
}

/// A name with its numbers as numbers.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.find(|it: char| it.is_ascii_digit()).unwrap_or(rest.len());
        let (text, behind) = rest.split_at(digits);
        let length = behind.find(|it: char| !it.is_ascii_digit()).unwrap_or(behind.len());
        let (number, behind) = behind.split_at(length);
        parts.push((text.to_owned(), number.parse().unwrap_or(u64::MAX)));
        rest = behind;
    }
    parts
}

/// Each file where it says.
fn dated(files: Vec<Survey>, now: WallTime) -> Result<(Vec<Placed>, Option<String>), Misplaced> {
    let given: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    let is_one_zero = creations(&files) < files.len();
    // Of parts of one time line that say when each was made, the first picture was then.
    let is_delayed = is_one_zero || !own_times_follow(&files);
    let mut placed = Vec::with_capacity(files.len());
    for survey in files {
        let own = own_start(&survey, now);
        let (start, known) = match (survey.named, own, survey.created) {
            (Some(named), ..) => (named.at, Dated::Named),
            (None, Some(start), _) => (start, Dated::OwnTimes),
            (None, None, Some(created)) => {
                let delay = if is_delayed { survey.first_nanos } else { 0 };
                (created.plus_nanos(delay), Dated::Created)
            }
            (None, None, None) => return Err(Misplaced::NoTime { path: survey.path }),
        };
        let end = start.plus_nanos(survey.length_nanos);
        placed.push(Placed { survey, start, end, known });
    }
    placed.sort_by_key(|file| file.start);
    let is_same = placed.iter().map(|file| &file.survey.path).eq(&given);
    let said = (!is_same).then(|| "the files are taken in the order of their times".to_owned());
    join(&mut placed, is_one_zero);
    Ok((placed, said))
}

/// Has files follow one another that seem to be apart, or over one another, by less than their
/// times tell.
fn join(files: &mut [Placed], is_exact: bool) {
    let mut before: Option<(WallTime, WallTime, i64)> = None;
    for file in files {
        let (over_max, apart_max) = match (file.known, file.survey.named) {
            (Dated::Created, _) if !is_exact => {
                (APART_NANOS_MIN, file.survey.group_nanos.clamp(APART_NANOS_MIN, APART_NANOS_MAX))
            }
            (Dated::Named, Some(named)) => {
                let rounded = named.rounded_nanos.clamp(ROUNDED_NANOS_MAX, APART_NANOS_MAX);
                (rounded, rounded)
            }
            _ => (ROUNDED_NANOS_MAX, ROUNDED_NANOS_MAX),
        };
        // What their times tell of the two alone: what is off by less adds up from file to file.
        let told_end = file.end;
        if let Some((told, end, before_max)) = before {
            let apart = file.start.nanos_since(told);
            if (-over_max..=apart_max.max(before_max)).contains(&apart) {
                (file.start, file.end) = (end, end.plus_nanos(file.survey.length_nanos));
                file.known = Dated::Behind;
            }
        }
        before = Some((told_end, file.end, apart_max));
    }
}

impl Placed {
    /// Whether it ends later than it can have been recorded.
    #[must_use]
    pub fn is_future(&self, now: WallTime) -> bool {
        self.end.nanos_since(now) > AHEAD_NANOS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::super::naming::Named;
    use super::*;

    const SECOND: i64 = NANOS_PER_SECOND;
    const NOW: WallTime = WallTime(1_800_000_000 * SECOND);

    fn file(name: &str, first_s: i64, length_s: i64, created_s: Option<i64>) -> Survey {
        Survey {
            path: name.into(),
            first_nanos: first_s * SECOND,
            length_nanos: length_s * SECOND,
            group_nanos: 2 * SECOND,
            created: created_s.map(|seconds| WallTime(NOW.0 + seconds * SECOND)),
            named: None,
            byte_count: 1,
            largest_sample: 1,
            pictures: 1,
            remarks: Vec::new(),
        }
    }

    /// Names and seconds since `NOW`, and how that is known.
    fn at(files: Vec<Survey>, beginning: Beginning) -> (Vec<(String, i64, Dated)>, Option<String>) {
        let (placed, said) = placed(files, beginning, NOW).expect("they have a place");
        let placed = placed.iter().map(|file| {
            let name = file.survey.path.display().to_string();
            (name, file.start.nanos_since(NOW) / SECOND, file.known)
        });
        (placed.collect(), said)
    }

    fn named(files: &[(&str, i64, Dated)]) -> Vec<(String, i64, Dated)> {
        files.iter().map(|(name, at, known)| ((*name).to_owned(), *at, *known)).collect()
    }

    #[test]
    fn parts_of_one_time_line_follow_one_another_from_the_first_picture_on() {
        let parts = vec![file("10", 60, 6, None), file("2", 12, 6, None), file("1", 6, 6, None)];
        let (placed, said) = at(parts, Beginning::At(NOW));
        let wanted = [("1", 0, Dated::Told), ("2", 6, Dated::Behind), ("10", 12, Dated::Behind)];
        assert_eq!(placed, named(&wanted));
        assert_eq!(said.as_deref(), Some("the files are taken in the order of their own times"));
    }

    #[test]
    fn files_without_any_time_are_taken_by_their_numbers_or_as_they_are_given() {
        let shell = vec![file("p10", 0, 6, None), file("p2", 0, 6, None)];
        let (placed, said) = at(shell, Beginning::At(NOW));
        assert_eq!(placed, named(&[("p2", 0, Dated::Told), ("p10", 6, Dated::Behind)]));
        assert!(said.is_some_and(|said| said.contains("numbers")));
        let chosen = vec![file("b", 0, 6, None), file("a", 0, 6, None)];
        let (placed, said) = at(chosen, Beginning::At(NOW));
        assert_eq!(placed, named(&[("b", 0, Dated::Told), ("a", 6, Dated::Behind)]));
        assert_eq!(said, None);
    }

    #[test]
    fn parts_of_one_creation_time_lie_where_their_own_times_say() {
        let parts = vec![file("0", 0, 6, Some(-60)), file("2", 12, 6, Some(-60))];
        let (placed, said) = at(parts, Beginning::Created);
        assert_eq!(placed, named(&[("0", -60, Dated::Created), ("2", -48, Dated::Created)]));
        assert_eq!(said, None);
    }

    #[test]
    fn files_whose_creation_times_are_a_group_too_late_are_not_torn_apart() {
        let parts =
            vec![file("0", 0, 6, Some(-60)), file("1", 0, 6, Some(-52)), file("2", 0, 6, Some(-9))];
        let (placed, _) = at(parts, Beginning::Created);
        let wanted =
            [("0", -60, Dated::Created), ("1", -54, Dated::Behind), ("2", -9, Dated::Created)];
        assert_eq!(placed, named(&wanted));
    }

    #[test]
    fn parts_of_one_time_line_that_were_made_one_by_one_begin_when_they_were() {
        let parts = vec![file("0", 0, 6, Some(-60)), file("1", 6, 6, Some(-40))];
        let (placed, _) = at(parts, Beginning::Created);
        assert_eq!(placed, named(&[("0", -60, Dated::Created), ("1", -40, Dated::Created)]));
        let late = vec![file("0", 2, 6, Some(-60))];
        assert_eq!(at(late, Beginning::Created).0, named(&[("0", -58, Dated::Created)]));
    }

    #[test]
    fn times_since_1970_are_known_as_such() {
        let epoch = |ago: i64| 1_800_000_000 - ago;
        let parts = || vec![file("b", epoch(50), 6, Some(-1)), file("a", epoch(60), 6, Some(-1))];
        for beginning in [Beginning::Created, Beginning::OwnTimes] {
            let (placed, said) = at(parts(), beginning);
            assert_eq!(placed, named(&[("a", -60, Dated::OwnTimes), ("b", -50, Dated::OwnTimes)]));
            assert!(said.is_some());
        }
        let relative = vec![file("a", 0, 6, Some(-1))];
        let refused = placed(relative, Beginning::OwnTimes, NOW).expect_err("they are not");
        assert_eq!(refused, Misplaced::NoOwnTimes { path: "a".into() });
        let silent = placed(vec![file("a", 0, 6, None)], Beginning::Created, NOW);
        assert_eq!(silent.expect_err("no time"), Misplaced::NoTime { path: "a".into() });
    }

    #[test]
    fn files_whose_names_have_whole_seconds_follow_one_another() {
        let by_name = |name: &str, at_s: i64| {
            let at = WallTime(NOW.0 + at_s * SECOND);
            let named = Some(Named { at, rounded_nanos: SECOND });
            Survey { named, ..file(name, 1_700_000_000, 10, Some(-5)) }
        };
        let files =
            vec![by_name("b", -50), by_name("a", -60), by_name("c", -41), by_name("d", -28)];
        let (placed, _) = at(files, Beginning::Named);
        let wanted = [
            ("a", -60, Dated::Named),
            ("b", -50, Dated::Behind),
            ("c", -40, Dated::Behind),
            ("d", -28, Dated::Named),
        ];
        assert_eq!(placed, named(&wanted));
    }

    #[test]
    fn what_names_are_off_by_does_not_add_up() {
        let length = 60 * SECOND + 3_000_000;
        let files = (0..1000).map(|minute: i64| {
            let at = WallTime(NOW.0 - (1000 - minute) * 60 * SECOND);
            let named = Some(Named { at, rounded_nanos: SECOND });
            Survey { named, length_nanos: length, ..file(&format!("{minute:04}"), 0, 60, None) }
        });
        let (placed, _) = placed(files.collect(), Beginning::Named, NOW).expect("they have one");
        assert!(placed.windows(2).all(|pair| pair[0].end == pair[1].start), "one session");
    }

    #[test]
    fn what_ends_later_than_now_cannot_have_been_recorded() {
        let (placed, _) = placed(vec![file("a", 0, 60, Some(-50))], Beginning::Created, NOW)
            .expect("it has a place");
        assert!(placed.iter().all(|file| file.is_future(NOW)));
    }
}
