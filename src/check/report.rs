//! What a check has come to: counted, told as it is found, and bounded.

use std::collections::BTreeMap;

use serde::Serialize;

use super::finding::{Cost, Finding, Loss};

/// Findings that are kept for the JSON form, and while a daemon writes: beyond it they are
/// counted. A disk on which so much is wrong does not need the list.
pub const FINDINGS_MAX: usize = 10_000;

/// What there is to say of a ring.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Disagreements, in the order in which they were found; [`FINDINGS_MAX`] of them at most.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub findings_count: u64,
    /// How many of them cost footage.
    pub footage_count: u64,
    /// What is worth knowing and no damage.
    pub notes: Vec<String>,
    /// Closed clips that were looked at.
    pub clips: u64,
    /// Chunks of them.
    pub chunks: u64,
    /// Chunks of which all data was read and tried.
    pub chunks_tried: u64,
    /// Both copies of the ledger are whole.
    pub ledger_is_sound: bool,
    /// The ledger says everything that it ever said, in one copy at least.
    pub ledger_is_complete: bool,
    /// Blocks are ahead of the ledger: a rescue finds what is in them, and nothing else does.
    pub has_unknown: bool,
    /// A header, a set or a table is to be written again: something else says the same.
    pub has_copies_damaged: bool,
    /// A superblock is to be written again.
    pub superblock_is_damaged: bool,
    /// The last session did not end in order: the next opening for writing closes what grows.
    pub is_unclean: bool,
    /// Footage that no fact speaks of yet, and that can't be read: clips are closed without it.
    #[serde(skip)]
    pub left_out: Vec<Loss>,
    /// The index differs from the ring.
    pub index_differs: bool,
}

impl Report {
    /// What the findings alone make the exit status: 0 none, 1 none that costs footage, 2 some.
    #[must_use]
    pub fn status(&self) -> u8 {
        match (self.findings_count, self.footage_count) {
            (0, _) => 0,
            (_, 0) => 1,
            _ => 2,
        }
    }

    /// Takes something that is wrong.
    pub(super) fn take(&mut self, finding: Finding) {
        let is_copied = matches!(finding.cost, Cost::Nothing | Cost::Cache);
        self.has_copies_damaged |= finding.place.block.is_some() && is_copied;
        self.findings_count += 1;
        self.footage_count += u64::from(matches!(finding.cost, Cost::Footage(_)));
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    /// Leaves out what `is_gone` says.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&Finding) -> bool) {
        for finding in std::mem::take(&mut self.findings) {
            if is_gone(&finding) {
                self.findings_count -= 1;
                self.footage_count -= u64::from(matches!(finding.cost, Cost::Footage(_)));
            } else {
                self.findings.push(finding);
            }
        }
    }

    /// The cameras and clips whose footage is hit, in order, each once.
    #[must_use]
    pub fn losses(&self) -> Vec<String> {
        named(self.footage())
    }

    /// As [`Report::losses`], behind a repair: what a check `after` it still finds, and what that
    /// can't know of, because clips were closed without it.
    #[must_use]
    pub fn losses_after(&self, after: &Report) -> Vec<String> {
        named(self.left_out.iter().chain(after.footage()))
    }

    fn footage(&self) -> impl Iterator<Item = &Loss> {
        self.findings.iter().filter_map(|finding| match &finding.cost {
            Cost::Footage(loss) => Some(loss),
            _ => None,
        })
    }
}

/// The cameras and clips that are hit, in order, each once.
pub(super) fn named<'a>(losses: impl Iterator<Item = &'a Loss>) -> Vec<String> {
    let mut clips: BTreeMap<(&str, &Option<String>), Option<&String>> = BTreeMap::new();
    for loss in losses {
        let begin = loss.clip_start.as_ref().or(loss.from.as_ref());
        let known = clips.entry((&loss.camera, &loss.clip)).or_insert(begin);
        *known = [*known, begin].into_iter().flatten().min();
    }
    let words = clips.into_iter().map(|((camera, clip), begin)| {
        let clip = clip.as_ref().map(|clip| format!(" clip {clip}")).unwrap_or_default();
        let begin = begin.map(|begin| format!(" of {begin}")).unwrap_or_default();
        format!("{camera}{clip}{begin}")
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::{Loss, Place};

    fn finding(cost: Cost) -> Finding {
        Finding { place: Place::of("clip"), found: "a".into(), expected: "b".into(), cost }
    }

    #[test]
    fn footage_outweighs_everything_and_nothing_is_clean() {
        let mut report = Report::default();
        assert_eq!(report.status(), 0);
        report.take(finding(Cost::Cache));
        assert_eq!(report.status(), 1);
        let loss =
            Loss { camera: "yard".into(), clip: None, clip_start: None, from: None, to: None };
        report.take(finding(Cost::Footage(loss)));
        assert_eq!(report.status(), 2);
        assert_eq!(report.losses(), ["yard"]);
        report.forget(|finding| finding.cost != Cost::Cache);
        assert_eq!((report.status(), report.findings.len()), (1, 1));
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_counted_is_not() {
        let mut report = Report::default();
        for _ in 0..FINDINGS_MAX + 5 {
            report.take(finding(Cost::Nothing));
        }
        assert_eq!(report.findings.len(), FINDINGS_MAX);
        assert_eq!(report.findings_count, FINDINGS_MAX as u64 + 5);
    }
}
