//! What cameras and their streams are called, and which of them a view has.

/// The stream that has the name of its camera.
const MAIN: &str = "main";

/// The camera and the stream that a name stands for: `front-door.sub` is `front-door` and `sub`,
/// `front-door` is that and `main`. No two names are taken apart alike.
#[must_use]
pub fn camera_and_stream(name: &str) -> (&str, &str) {
    match name.rsplit_once('.') {
        // A camera that is called `yard.main` is none of `yard`.
        Some((camera, stream)) if !camera.is_empty() && !["", MAIN].contains(&stream) => {
            (camera, stream)
        }
        _ => (name, MAIN),
    }
}

/// Cameras by their names: all, or those that some words mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection(Option<Vec<String>>);

impl Selection {
    /// Of all cameras.
    pub const ALL: Selection = Selection(None);

    /// Those that one of these means: the name of a camera, with its streams, or that of one of
    /// them; or a pattern for a whole name, in which `*` stands for any text and `?` for one
    /// character.
    #[must_use]
    pub fn of(words: Vec<String>) -> Selection {
        Selection(Some(words))
    }

    /// Whether it leaves none out.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// The words; none where it is all cameras.
    #[must_use]
    pub fn words(&self) -> &[String] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether it has what is called `name`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let Some(words) = &self.0 else { return true };
        words.iter().any(|word| match word.contains(['*', '?']) {
            true => matches(word, name),
            false => word == name || word == camera_and_stream(name).0,
        })
    }
}

/// Whether a pattern is of a whole name. It goes back to the last `*` alone: more never helps.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut in_name) = (0, 0);
    let mut star = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(c) if *c == '?' || *c == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some((back, taken)) = star else { return false };
                star = Some((back, taken + 1));
                at = back + 1;
                in_name = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_camera_and_a_stream_and_no_two_are_alike() {
        let names = ["a", "a.sub", "a.main", "a.main.sub", "a.b.c", "a.b", ".a", "a.", "", "."];
        let apart: Vec<_> = names.map(camera_and_stream).into();
        assert_eq!(apart[..3], [("a", "main"), ("a", "sub"), ("a.main", "main")]);
        assert_eq!(apart[3..6], [("a.main", "sub"), ("a.b", "c"), ("a", "b")]);
        for (at, one) in apart.iter().enumerate() {
            assert!(!apart[..at].contains(one), "{one:?}");
        }
    }

    #[test]
    fn a_selection_has_cameras_with_their_streams_streams_and_patterns() {
        let has = |words: &[&str], name: &str| {
            Selection::of(words.iter().map(|word| (*word).to_owned()).collect()).has(name)
        };
        assert!(Selection::ALL.has("x") && !has(&[], "x"));
        assert!(has(&["yard", "door"], "door") && has(&["door"], "door.sub"));
        assert!(!has(&["door.sub"], "door") && has(&["door.sub"], "door.sub"));
        assert!(!has(&["door"], "doors") && !has(&["door"], "front-door"));
        assert!(has(&["doo?"], "door") && !has(&["doo?"], "door.sub"), "a pattern is of all of it");
        assert!(has(&["*"], "") && has(&["*.sub"], "a.sub") && !has(&["*.sub"], "sub"));
        assert!(has(&["a*b*c"], "aXbXbYc") && !has(&["a*b*c"], "aXbXbYcd"));
        assert!(!has(&["?"], "") && has(&["??*"], "ab") && !has(&["Door*"], "door"));
    }

    #[test]
    fn a_pattern_of_many_stars_is_soon_told() {
        let (pattern, name) = ("*a".repeat(500) + "b", "a".repeat(5000));
        assert!(!Selection::of(vec![pattern]).has(&name));
    }
}
