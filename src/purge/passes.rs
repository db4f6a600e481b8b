//! One pass after another: what is due is gathered, held where it is too much, and carried out.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::account::{self, Account};
use super::brake::{Brake, Gathered};
use super::{REMINDER_NANOS, REST, Reclaimer, Shared, Suspension};
use crate::catalogue::Catalogue;
use crate::clock::{Clock, Reading, Stopwatch, Verdict};
use crate::retention::{Action, Decisions, Due, Policy, decide, events_over, over_quota};
use crate::ring::{Reason, RingError, StateRequest};
use crate::units::{ClipKey, StreamKey};

/// What became of a decision at once.
enum Marked {
    /// Nothing, or all that there was to do.
    No,
    /// Its clip is in the trash, or out of it.
    Moved,
    /// Its clip is to be freed.
    ToFree(Reason),
}

/// What the thread works with.
pub(super) struct Passes<C> {
    pub shared: Arc<Shared>,
    pub catalogue: Arc<RwLock<Catalogue>>,
    pub reclaimer: C,
    pub clock: Arc<dyn Clock>,
    pub brake: Brake,
    /// Boot time when the log last said that the clock is doubted.
    pub reminded_at: Option<i64>,
    /// The first clip that was redated last.
    pub redated: Option<ClipKey>,
}

impl<C: Reclaimer> Passes<C> {
    pub(super) fn run(mut self) {
        loop {
            let more = self.pass();
            let mut state = self.shared.state();
            state.counters.passes += 1;
            let rest = if more { REST } else { state.settings.every };
            drop(state);
            if !self.shared.wait(rest) {
                return;
            }
        }
    }

    /// One pass; answers whether it left something that was due.
    fn pass(&mut self) -> bool {
        let reading = self.clock.read();
        let (verdict, confirmed, settings) = {
            let mut state = self.shared.state();
            let verdict = state.guard.observe(&reading);
            (verdict, state.guard.is_confirmed(&reading), state.settings.clone())
        };
        self.watch_ahead(&reading);
        if self.redate(&reading, verdict, confirmed, settings.policy.created) {
            return true;
        }
        let mut gathered = match self.gather(&settings.policy, verdict) {
            Ok(gathered) => gathered,
            Err(suspension) => {
                self.suspended(suspension, reading.boot.0);
                return false;
            }
        };
        self.resumed();
        let is_put_off = self.add_over_quota(&mut gathered, &settings.policy, verdict);
        self.hold(&mut gathered, settings.brake, &reading);
        let (due, is_all) = gathered.due();
        let done = self.carry_out(&due, settings.wipe);
        self.forget_events(&settings.policy, verdict);
        done && (!is_all || is_put_off && !due.is_empty())
    }

    /// All that is due; the catalogue is locked for a part of it at a time.
    fn gather(&self, policy: &Policy, verdict: Verdict) -> Result<Gathered, Suspension> {
        let (mut gathered, mut from) = (Gathered::default(), None);
        loop {
            let decisions = decide(&self.catalogue(), policy, verdict, from);
            match decisions {
                Decisions::Suspended { since, step_nanos, reason } => {
                    return Err(Suspension { since, step_nanos, reason });
                }
                Decisions::Due { due, next } => {
                    gathered.add(&due);
                    from = next;
                }
            }
            if from.is_none() || self.shared.stopping() {
                break;
            }
        }
        Ok(gathered)
    }

    /// Adds what cameras have too much of; where other footage of one goes, the next pass sees what
    /// is left then. Answers whether there is such a camera.
    fn add_over_quota(&self, gathered: &mut Gathered, policy: &Policy, verdict: Verdict) -> bool {
        let mut is_put_off = false;
        for quota in &policy.quotas {
            if quota.streams.iter().any(|stream| gathered.gives_up(*stream)) {
                is_put_off = true;
                continue;
            }
            let over = over_quota(&self.catalogue(), quota, verdict);
            gathered.add(&over);
        }
        is_put_off
    }

    fn hold(&mut self, gathered: &mut Gathered, share_max: Option<u8>, reading: &Reading) {
        let confirmed = std::mem::take(&mut self.shared.state().confirmed);
        let mut brake = std::mem::take(&mut self.brake);
        confirmed.into_iter().for_each(|stream| brake.confirm(stream));
        brake.hold(gathered, share_max, &self.catalogue(), reading.boot);
        self.shared.state().held = brake.held().clone();
        self.brake = brake;
    }

    /// What nothing is left of, and nothing can be claimed by any more.
    fn forget_events(&self, policy: &Policy, verdict: Verdict) {
        let over = events_over(&self.catalogue(), policy, verdict);
        for (stream, event) in over {
            self.reclaimer.withdraw(stream.stream, event);
        }
    }

    pub(super) fn catalogue(&self) -> std::sync::RwLockReadGuard<'_, Catalogue> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn suspended(&mut self, suspension: Suspension, boot_nanos: i64) {
        self.shared.state().counters.suspension = Some(suspension);
        let due = |at: i64| boot_nanos.saturating_sub(at) >= REMINDER_NANOS;
        if self.reminded_at.is_none_or(due) {
            self.reminded_at = Some(boot_nanos);
            log::warn!(
                "nothing is deleted until the clock is confirmed: it is {} ahead of the last time \
                 that was known ({})",
                account::duration(suspension.step_nanos),
                suspension.reason,
            );
        }
    }

    fn resumed(&mut self) {
        if self.reminded_at.take().is_some() {
            log::info!("the clock is trusted again: what is due is deleted");
        }
        self.shared.state().counters.suspension = None;
    }

    /// Carries decisions out; `false` where not all of it could be done. All clips are marked
    /// first: the ring makes the marks durable together, where one after the other each would wait
    /// for a flush.
    fn carry_out(&self, due: &[Due], wipe: bool) -> bool {
        let mut accounts: BTreeMap<StreamKey, Account> = BTreeMap::new();
        let mut failures = Vec::new();
        let mut marked: Vec<(Due, Reason)> = Vec::new();
        for due in due {
            match self.mark(due) {
                Marked::No => {}
                Marked::ToFree(reason) => marked.push((*due, reason)),
                Marked::Moved => {
                    let account = accounts.entry(due.stream).or_default();
                    account.count_moved(due.action == Action::Restore, due.used);
                }
            }
        }
        let mut complete = true;
        for (due, reason) in marked {
            if self.shared.stopping() {
                complete = false;
                break;
            }
            let began = Stopwatch::start();
            let outcome = self.reclaimer.free(due.clip.clip(), wipe);
            let account = accounts.entry(due.stream).or_default();
            account.took += began.elapsed();
            match outcome {
                Ok(bytes) => {
                    account.count(due.why, reason, bytes);
                    let mut state = self.shared.state();
                    state.counters.clips += 1;
                    state.counters.bytes += bytes;
                }
                // The next clip may be better off: one bad sector must not keep all others.
                Err(error) => failures.push((due.clip, error)),
            }
            if let Some((_, RingError::Closed)) = failures.last() {
                break;
            }
            std::thread::sleep(REST);
        }
        self.log(&accounts);
        complete && self.note_failures(&failures)
    }

    fn log(&self, accounts: &BTreeMap<StreamKey, Account>) {
        for (stream, account) in accounts {
            let name = self.catalogue().stream(*stream).map(|fact| fact.name().to_owned());
            account.log(&name.unwrap_or_else(|| format!("stream {stream}")));
        }
    }

    /// Counts failures and logs them in one line; `true` where there was none.
    fn note_failures(&self, failures: &[(ClipKey, RingError)]) -> bool {
        let Some((clip, error)) = failures.first() else { return true };
        self.shared.state().counters.failures += failures.len() as u64;
        log::warn!(
            "{} clips can't be purged and are tried again; the first is {clip}: {error}",
            failures.len(),
        );
        false
    }

    /// Does what can be done at once.
    fn mark(&self, due: &Due) -> Marked {
        // Between decision and deed somebody may have restored the clip, or kept it; what is on
        // its way to the ring, the ring compares.
        let state = self.catalogue().clip(due.clip).map(|clip| clip.state);
        if state != Some(due.state) {
            return Marked::No;
        }
        let change = |request| self.reclaimer.change_state(due.clip.clip(), due.state, request);
        let (request, done) = match due.action {
            Action::Release => (StateRequest::Release, Marked::No),
            Action::Retire { until } => (StateRequest::Retire { until }, Marked::Moved),
            Action::Restore => (StateRequest::Restore, Marked::Moved),
            Action::Purge(reason) if due.state.is_purging() => return Marked::ToFree(reason),
            Action::Purge(reason) => (StateRequest::Expire, Marked::ToFree(reason)),
        };
        if !change(request) {
            return Marked::No;
        }
        let mut state = self.shared.state();
        match due.action {
            Action::Retire { .. } => state.counters.retired += 1,
            Action::Restore => state.counters.brought_back += 1,
            Action::Release | Action::Purge(_) => {}
        }
        done
    }
}
