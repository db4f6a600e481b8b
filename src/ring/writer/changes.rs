//! States of clips that are asked for: what each request starts from, and where it leads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::mpsc::TrySendError;

use super::{AskedStates, Request, Writer};
use crate::ring::error::{KeepRefused, StateRefused};
use crate::ring::space::ClipRecord;
use crate::ring::state::Shared;
use crate::ring::types::{ClipState, StateRequest};
use crate::units::{ByteCount, ClipId, WallTime};

impl Writer {
    /// Asks for another state of a closed clip: durable with the next flush. Answers the state
    /// that it leads to after everything that was asked for before.
    ///
    /// # Errors
    /// The clip is gone, or its state does not allow it; the ring does not keep up, or is closed.
    pub fn change_state(
        &self,
        clip: ClipId,
        request: StateRequest,
    ) -> Result<ClipState, StateRefused> {
        self.try_change(clip, None, request)
    }

    /// The same, unless the clip is in another state than `from`, or will be by what was asked for
    /// before.
    ///
    /// # Errors
    /// As [`Writer::change_state`], and where the state is another.
    pub fn change_state_from(
        &self,
        clip: ClipId,
        from: ClipState,
        request: StateRequest,
    ) -> Result<ClipState, StateRefused> {
        self.try_change(clip, Some(from), request)
    }

    fn try_change(
        &self,
        clip: ClipId,
        from: Option<ClipState>,
        request: StateRequest,
    ) -> Result<ClipState, StateRefused> {
        let mut states = self.inner.queued.states();
        if self.inner.queued.closed.load(Ordering::Acquire) {
            return Err(StateRefused::Closed);
        }
        let shared = Shared::read(&self.inner.shared);
        let (known, next) = next_state(&shared, &states, clip, request)?;
        if from.is_some_and(|from| from != known) {
            return Err(StateRefused::Changed);
        }
        drop(shared);
        match self.inner.requests.try_send(Request::ChangeState { clip, request }) {
            Ok(()) => states.asked(clip, next),
            Err(TrySendError::Full(_)) => return Err(StateRefused::QueueFull),
            Err(TrySendError::Disconnected(_)) => return Err(StateRefused::Closed),
        }
        Ok(next)
    }

    /// Protects closed clips until a time, or until somebody releases them: durable with the next
    /// flush. Kept clips, these included, may then refer to `bytes_max` of whole blocks; where
    /// they would to more, and to more than before, none of them is protected. Answers those that
    /// are: one that can't be is left out, unless none can.
    ///
    /// # Errors
    /// One of them grows, there is no room for them, or why the first can't be protected.
    pub fn keep(
        &self,
        clips: &[ClipId],
        until: Option<WallTime>,
        bytes_max: ByteCount,
    ) -> Result<Vec<ClipId>, KeepRefused> {
        self.change_all(clips, StateRequest::Keep { until }, Some(bytes_max))
    }

    /// What the blocks of kept clips come to in bytes, and what they would with some more.
    #[must_use]
    pub fn kept_with(&self, clips: &[ClipId]) -> (ByteCount, ByteCount) {
        let states = self.inner.queued.states();
        let shared = Shared::read(&self.inner.shared);
        kept_bytes(&shared, &states, &clips.iter().copied().collect())
    }

    /// Ends the protection of those of these clips that have one, durable with the next flush, and
    /// answers which.
    ///
    /// # Errors
    /// The ring does not keep up, can't be written, or is closed.
    pub fn release(&self, clips: &[ClipId]) -> Result<Vec<ClipId>, KeepRefused> {
        let states = |clip: &ClipId| self.state_asked(*clip).is_some_and(ClipState::is_kept);
        let kept: Vec<ClipId> = clips.iter().copied().filter(states).collect();
        match kept.is_empty() {
            true => Ok(kept),
            false => self.change_all(&kept, StateRequest::Release, None),
        }
    }

    /// All at once, so that a thousand clips take one place in the queue.
    fn change_all(
        &self,
        clips: &[ClipId],
        request: StateRequest,
        kept_bytes_max: Option<ByteCount>,
    ) -> Result<Vec<ClipId>, KeepRefused> {
        let mut states = self.inner.queued.states();
        if self.inner.queued.closed.load(Ordering::Acquire) {
            return Err(StateRefused::Closed.into());
        }
        let next = {
            let shared = Shared::read(&self.inner.shared);
            let next = next_states(&shared, &states, clips, request)?;
            if let Some(most) = kept_bytes_max {
                let (before, after) = kept_bytes(&shared, &states, &next.keys().copied().collect());
                if after > before && after > most {
                    return Err(KeepRefused::NoRoom { before, after, most });
                }
            }
            next
        };
        let changed: Vec<ClipId> = next.keys().copied().collect();
        let sent = Request::ChangeStates { clips: changed.clone(), request };
        match self.inner.requests.try_send(sent) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(StateRefused::QueueFull.into()),
            Err(TrySendError::Disconnected(_)) => return Err(StateRefused::Closed.into()),
        }
        next.into_iter().for_each(|(clip, state)| states.asked(clip, state));
        Ok(changed)
    }

    /// The state that a closed clip will be in once all is done that was asked for; `None` where
    /// it is gone, or grows.
    #[must_use]
    pub fn state_asked(&self, clip: ClipId) -> Option<ClipState> {
        let states = self.inner.queued.states();
        let real = Shared::read(&self.inner.shared).space.state_of(clip)?;
        Some(known(&states, clip, real))
    }
}

/// What a request starts from. The ring itself may have begun to free the clip since another was
/// asked for: nothing leads back from there.
fn known(states: &AskedStates, clip: ClipId, real: ClipState) -> ClipState {
    if real.is_purging() { real } else { states.of(clip).unwrap_or(real) }
}

/// Where a request leads to.
fn next_state(
    shared: &Shared,
    states: &AskedStates,
    clip: ClipId,
    request: StateRequest,
) -> Result<(ClipState, ClipState), StateRefused> {
    let from = known(states, clip, shared.changeable(clip)?);
    Ok((from, from.after(request)?))
}

/// The same for several: without those that do not allow it, unless none does.
fn next_states(
    shared: &Shared,
    states: &AskedStates,
    clips: &[ClipId],
    request: StateRequest,
) -> Result<BTreeMap<ClipId, ClipState>, KeepRefused> {
    let mut all = BTreeMap::new();
    let mut refused = None;
    for &clip in clips {
        if shared.space.clip(clip).is_some_and(|record| record.state.is_none()) {
            return Err(KeepRefused::Grows(clip));
        }
        match next_state(shared, states, clip, request) {
            Ok((_, next)) => _ = all.insert(clip, next),
            Err(why) => refused = refused.or(Some(why)),
        }
    }
    match refused {
        Some(why) if all.is_empty() => Err(why.into()),
        _ => Ok(all),
    }
}

/// What the blocks of kept clips come to, and what they would with some more.
fn kept_bytes(
    shared: &Shared,
    states: &AskedStates,
    more: &BTreeSet<ClipId>,
) -> (ByteCount, ByteCount) {
    let is_kept = |clip: ClipId, record: &ClipRecord| {
        record.state.is_some_and(|real| known(states, clip, real).is_kept())
    };
    let with_more =
        |clip: ClipId, record: &ClipRecord| more.contains(&clip) || is_kept(clip, record);
    (shared.space.bytes_of(is_kept), shared.space.bytes_of(with_more))
}
