//! Which clips expire and why: from catalogue, settings and guarded clock to decisions. Pure.
//!
//! - A clip stays as long as anything claims it: the age up to which all footage of its stream
//!   stays, or an event that touches it. All claims count, and the longest wins.
//! - A clip whose claims have all run out is purged, without grace.
//! - A clip that nothing ever claimed is retired: it is in the trash until events about it can't
//!   come any more, and comes back by itself where one does.
//! - Where a camera has more than it may, its oldest clips are purged, whatever claims them.
//! - An expiring clip is purged when its deadline has passed.
//! - A kept clip is left alone; when its protection is over it is an ordinary clip again.
//! - A clip that is certainly dated too early ages with the next one that is not; what happened in
//!   it nobody knows, and it stays for the longest that anything would keep it.
//! - While the clock is doubted, nothing is decided at all.
//!
//! What is not said deletes nothing: a stream without `continuous` never expires, and a
//! configuration without a single camera, which is more likely a mistake than a wish, lets nothing
//! grow old.

mod misdated;
mod quota;
mod said;
mod standing;
mod terms;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::catalogue::{Catalogue, Clip};
use crate::clock::{Doubt, Verdict};
use crate::ring::{ClipState, Reason, StateRequest};
use crate::units::{ByteCount, ClipKey, StreamKey, WallTime, nanos_of};
use standing::{Judge, Standing};

pub use quota::{Quota, over_quota};
pub use said::events_over;
pub use terms::{EventTerms, Policy, Terms};

/// Decisions that are made at once at most: the catalogue is locked for milliseconds, also when a
/// `retain` of a year becomes one of a day.
pub const DUE_MAX: usize = 1000;

/// Clips that are looked at at once at most, for the same reason.
const LOOKED_AT_MAX: usize = 5000;

/// Why something is to be done with a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It is older than its stream's `retain`, or than what claimed it longest was to keep it for.
    OlderThan {
        /// What that was.
        retain: Duration,
    },
    /// It is old enough, and nothing has claimed it.
    Unclaimed,
    /// Its camera has more than it may.
    OverQuota {
        /// What it may.
        max: ByteCount,
    },
    /// It was retired, and something claims it now.
    Claimed,
    /// It was removed, or retired, and the time in which it could come back is over.
    GraceOver,
    /// Its purge was begun and not finished.
    Interrupted,
    /// It was kept until a time that has passed.
    ProtectionOver,
}

/// What to do with a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Free it for good, at once.
    Purge(Reason),
    /// Put it into the trash.
    Retire {
        /// When it is to be purged.
        until: WallTime,
    },
    /// Take it out of there again.
    Restore,
    /// Make it an ordinary closed clip.
    Release,
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// About which clip.
    pub clip: ClipKey,
    /// Whose.
    pub stream: StreamKey,
    /// The state that it was made in: in another one it does not hold.
    pub state: ClipState,
    /// Space that the clip takes on the device.
    pub used: ByteCount,
    /// What to do.
    pub action: Action,
    /// Why.
    pub why: Why,
}

/// How far a pass has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    stream: StreamKey,
    start: WallTime,
    clip: ClipKey,
}

/// What a part of a pass came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decisions {
    /// To be carried out.
    Due {
        /// Some more than [`DUE_MAX`] at most.
        due: Vec<Due>,
        /// Where the next part begins, unless this was the last one.
        next: Option<Place>,
    },
    /// The clock is doubted; see [`Verdict::Suspended`].
    Suspended {
        /// When the doubt began, as the doubted clock shows it.
        since: WallTime,
        /// How far the clock is ahead of what is known, in nanoseconds.
        step_nanos: i64,
        /// Why it is doubted.
        reason: Doubt,
    },
}

/// Decides what is due, from where the part before ended. Deadlines come first, then each stream's
/// clips from the oldest on.
#[must_use]
pub fn decide(
    catalogue: &Catalogue,
    policy: &Policy,
    verdict: Verdict,
    from: Option<Place>,
) -> Decisions {
    let now = match verdict {
        Verdict::Trusted(now) => now,
        Verdict::Suspended { since, step_nanos, reason } => {
            return Decisions::Suspended { since, step_nanos, reason };
        }
    };
    let mut part = Part { catalogue, policy, now, due: Vec::new(), looked_at: 0 };
    if from.is_none() {
        part.look_at_deadlines();
    }
    let mut streams: BTreeSet<StreamKey> = catalogue.streams().map(|(number, _)| number).collect();
    // What is said of a configured stream holds also where its fact was lost.
    streams.extend(policy.cameras.keys());
    let first = from.map(|place| place.stream);
    for stream in streams.into_iter().filter(|stream| first.is_none_or(|first| *stream >= first)) {
        let behind = from.filter(|place| place.stream == stream);
        if let Some(next) = part.look_at_stream(stream, behind) {
            return Decisions::Due { due: part.due, next: Some(next) };
        }
    }
    Decisions::Due { due: part.due, next: None }
}

/// One part of a pass.
struct Part<'a> {
    catalogue: &'a Catalogue,
    policy: &'a Policy,
    now: WallTime,
    due: Vec<Due>,
    looked_at: usize,
}

impl Part<'_> {
    fn look_at_deadlines(&mut self) {
        let (catalogue, now) = (self.catalogue, self.now);
        for clip in catalogue.clips_marked() {
            if self.due.len() == DUE_MAX {
                return;
            }
            let decided = self.claimed_again(clip).or_else(|| deadline_passed(clip, now));
            self.due.extend(decided);
        }
    }

    /// Where something was said of a clip after it was retired, or it has got its right times.
    fn claimed_again(&self, clip: &Clip) -> Option<Due> {
        let ClipState::Expiring { until, reason: Reason::Quiet } = clip.state else { return None };
        let terms = self.policy.terms(self.catalogue, clip.stream)?;
        // It was given up before it was recorded, as its times are now: what was decided then was
        // decided by a wrong clock.
        let is_redated = until <= clip.fact.end;
        let standing = self.judge(clip.stream, &terms).standing(clip);
        let comes_back = is_redated || standing == Standing::Claimed;
        comes_back.then(|| due(clip, Action::Restore, Why::Claimed))
    }

    fn judge<'a>(&'a self, stream: StreamKey, terms: &'a Terms) -> Judge<'a> {
        Judge::new(self.catalogue, stream, terms, self.policy.created, self.now)
    }

    /// Answers how far it has come, where that is not to the end.
    fn look_at_stream(&mut self, stream: StreamKey, behind: Option<Place>) -> Option<Place> {
        let terms = self.policy.terms(self.catalogue, stream)?;
        let policy = self.policy;
        let mut judge = Judge::new(self.catalogue, stream, &terms, policy.created, self.now);
        let youngest = judge.youngest()?;
        let from = behind.map_or(WallTime(i64::MIN), |place| place.start);
        let mut at = behind;
        for clip in self.catalogue.clips_starting(stream, from..youngest) {
            let place = Place { stream, start: clip.fact.start, clip: clip.key };
            if at.is_some_and(|at| place <= at) {
                continue;
            }
            if self.looked_at >= LOOKED_AT_MAX || self.due.len() >= DUE_MAX {
                return at.or(Some(Place { stream, start: from, clip: ClipKey::MIN }));
            }
            self.looked_at += 1;
            at = Some(place);
            let decided = match (clip.state, judge.standing(clip)) {
                (ClipState::Closed | ClipState::Found, Standing::Old(retain)) => {
                    expire(clip, Why::OlderThan { retain })
                }
                // Of what was found, somebody is still to say whether it is to be there.
                (ClipState::Closed, Standing::Quiet) => {
                    let until = self.now.plus_nanos(nanos_of(terms.late));
                    Some(due(clip, Action::Retire { until }, Why::Unclaimed))
                }
                _ => None,
            };
            self.due.extend(decided);
        }
        None
    }
}

fn deadline_passed(clip: &Clip, now: WallTime) -> Option<Due> {
    match clip.state {
        // Only its own program knows whether an unknown one's time is over.
        ClipState::Closed | ClipState::Found | ClipState::Unknown(_) => None,
        ClipState::Kept { until } => until
            .filter(|until| *until < now)
            .map(|_| due(clip, Action::Release, Why::ProtectionOver)),
        ClipState::Expiring { until, .. } if until >= now => None,
        ClipState::Expiring { .. } => expire(clip, Why::GraceOver),
        ClipState::Purging { .. } => expire(clip, Why::Interrupted),
    }
}

/// `None` where the clip's state does not allow it.
fn expire(clip: &Clip, why: Why) -> Option<Due> {
    let state = clip.state.after(StateRequest::Expire).ok()?;
    state.reason().map(|reason| due(clip, Action::Purge(reason), why))
}

fn due(clip: &Clip, action: Action, why: Why) -> Due {
    Due {
        clip: clip.key,
        stream: clip.stream,
        state: clip.state,
        used: clip.used.bytes,
        action,
        why,
    }
}

#[cfg(test)]
mod tests;
