//! What somebody may have meant: the known word nearest to a misspelt one.

/// Words with more edits than a third of their letters between them have nothing in common.
const LETTERS_PER_EDIT: usize = 3;

/// Words longer than this get no suggestion, in characters: the time to compare grows with the
/// product of the lengths.
const LETTERS_MAX: usize = 64;

/// The one of `known` that is fewest edits away from `word`, if it is near enough to be meant.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let letters = word.chars().count();
    if letters > LETTERS_MAX {
        return None;
    }
    let edits_max = (letters / LETTERS_PER_EDIT).max(1);
    known
        .into_iter()
        .map(|candidate| (edits(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be put in, left out, replaced, or swapped with their neighbour, to
/// turn `from` into `to` (optimal string alignment).
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replaced = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                let swapped: &Vec<usize> = &before_last;
                least = least.min(swapped[j - 2] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["mount", "zone", "layout", "allow_other"];

    #[test]
    fn a_slip_finds_the_word() {
        assert_eq!(nearest("laoyut", KNOWN), Some("layout"));
        assert_eq!(nearest("Zone", KNOWN), Some("zone"));
        assert_eq!(nearest("allow-other", KNOWN), Some("allow_other"));
    }

    #[test]
    fn another_word_finds_nothing() {
        assert_eq!(nearest("colour", KNOWN), None);
        assert_eq!(nearest("", KNOWN), None);
        assert_eq!(nearest(&"x".repeat(1000), KNOWN), None);
    }
}
