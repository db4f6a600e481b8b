//! What a pass would do, before it does.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::account::{mebibytes, words};
use super::{Purger, Suspension};
use crate::catalogue::Catalogue;
use crate::clock::Verdict;
use crate::retention::{Action, Decisions, Due, Policy, decide, over_quota};
use crate::ring::Reason;
use crate::units::{ByteCount, StreamKey, WallTime};

/// What would become of some clips of a stream, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Whose.
    pub stream: StreamKey,
    /// What, and why, for people.
    pub words: String,
    /// How many.
    pub clips: u64,
    /// Space that they take on the device.
    pub bytes: ByteCount,
}

impl Preview {
    /// For people, of a camera of that name.
    #[must_use]
    pub fn line(&self, name: &str) -> String {
        let noun = if self.clips == 1 { "clip" } else { "clips" };
        format!("{name}: {} {noun}, {}: {}", self.clips, mebibytes(self.bytes), self.words)
    }
}

impl Purger {
    /// What its decisions go by at the moment.
    ///
    /// # Errors
    /// Why nothing is decided at all.
    pub fn policy(&self) -> Result<Policy, Suspension> {
        let state = self.shared.state();
        match state.counters.suspension {
            Some(suspension) => Err(suspension),
            None => Ok(state.settings.policy.clone()),
        }
    }
}

/// What the next pass would do if it came now, the brake aside; `catalogue` is locked for a part of
/// it at a time.
#[must_use]
pub fn preview(policy: &Policy, catalogue: &RwLock<Catalogue>, now: WallTime) -> Vec<Preview> {
    let mut all = Sums::new();
    let mut from = None;
    loop {
        let decisions = {
            let catalogue = catalogue.read().unwrap_or_else(PoisonError::into_inner);
            decide(&catalogue, policy, Verdict::Trusted(now), from)
        };
        let Decisions::Due { due, next } = decisions else { break };
        due.iter().for_each(|due| add(due, &mut all));
        from = next;
        if from.is_none() {
            break;
        }
    }
    for quota in &policy.quotas {
        // Where other footage of it goes, what is left then may be no more than it may have.
        if all.keys().any(|(stream, _)| quota.streams.contains(stream)) {
            continue;
        }
        let over = {
            let catalogue = catalogue.read().unwrap_or_else(PoisonError::into_inner);
            over_quota(&catalogue, quota, Verdict::Trusted(now))
        };
        over.iter().for_each(|due| add(due, &mut all));
    }
    let preview = |((stream, words), (clips, bytes))| Preview { stream, words, clips, bytes };
    all.into_iter().map(preview).collect()
}

type Sums = BTreeMap<(StreamKey, String), (u64, ByteCount)>;

fn add(due: &Due, to: &mut Sums) {
    let (clips, bytes) = to.entry((due.stream, words_of(due))).or_default();
    *clips += 1;
    *bytes += due.used;
}

fn words_of(due: &Due) -> String {
    let (what, reason) = match due.action {
        Action::Purge(reason) => ("purged, as ", reason),
        Action::Retire { .. } => ("into the trash, as ", Reason::Quiet),
        Action::Restore => ("back from the trash, as ", Reason::Quiet),
        Action::Release => ("", Reason::Expired),
    };
    format!("{what}{}", words(due.why, reason))
}
