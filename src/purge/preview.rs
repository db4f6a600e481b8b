//! What a pass would do, before it does.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::account::{mebibytes, words};
use super::{Purger, Suspension};
use crate::catalogue::Catalogue;
use crate::clock::Verdict;
use crate::retention::{Action, Decisions, Due, Policy, decide};
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
    let mut all: BTreeMap<(StreamKey, String), (u64, ByteCount)> = BTreeMap::new();
    let mut from = None;
    loop {
        let decisions = {
            let catalogue = catalogue.read().unwrap_or_else(PoisonError::into_inner);
            decide(&catalogue, policy, Verdict::Trusted(now), from)
        };
        let Decisions::Due { due, next } = decisions else { break };
        for due in due {
            let (clips, bytes) = all.entry((due.stream, words_of(&due))).or_default();
            *clips += 1;
            *bytes += due.used;
        }
        from = next;
        if from.is_none() {
            break;
        }
    }
    let preview = |((stream, words), (clips, bytes))| Preview { stream, words, clips, bytes };
    all.into_iter().map(preview).collect()
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
