//! What is said of keys that there are not.

use super::keys::{self, Key, SectionKind};
use super::nearest::nearest;

/// In a section.
pub(super) fn unknown_key(section: &SectionKind, name: &str) -> String {
    if let Some(elsewhere) = keys::KEYS.iter().find(|key| key.name == name) {
        return format!("no such key; `{name}` belongs to [{}]", elsewhere.section.name);
    }
    unknown_to(keys::of(section), name)
}

/// Among those that are known.
pub(super) fn unknown_to(known: impl IntoIterator<Item = &'static Key>, name: &str) -> String {
    let known: Vec<&str> = known.into_iter().map(|key| key.name).collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("no such key; did you mean `{near}`?"),
        None => format!("no such key; there are {}", known.join(", ")),
    }
}
