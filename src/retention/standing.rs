//! What claims a clip, and for how long.

use std::time::Duration;

use super::misdated::Misdated;
use super::terms::Terms;
use crate::catalogue::{Catalogue, Clip};
use crate::segment::EventFact;
use crate::units::{StreamKey, WallTime, nanos_of};

/// How a clip stands. It goes as a whole: it is claimed as long as any part of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Something claims it, or may do so yet.
    Claimed,
    /// Something did, and the longest that it did for is over.
    Old(Duration),
    /// Nothing ever did.
    Quiet,
}

/// Looks at the clips of one stream.
pub(super) struct Judge<'a> {
    catalogue: &'a Catalogue,
    stream: StreamKey,
    terms: &'a Terms,
    now: WallTime,
    misdated: Misdated<'a>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        catalogue: &'a Catalogue,
        stream: StreamKey,
        terms: &'a Terms,
        created: WallTime,
        now: WallTime,
    ) -> Judge<'a> {
        let misdated = Misdated::new(catalogue, created, now);
        Judge { catalogue, stream, terms, now, misdated }
    }

    /// No clip that begins later than this can go; `None` where none can at all.
    pub(super) fn youngest(&self) -> Option<WallTime> {
        let continuous = self.terms.continuous?;
        let hold = if self.terms.know_events() { self.terms.hold } else { Duration::ZERO };
        Some(self.now.minus(continuous.max(hold)))
    }

    /// All claims count: the longest wins.
    pub(super) fn standing(&mut self, clip: &Clip) -> Standing {
        let Some(continuous) = self.terms.continuous else { return Standing::Claimed };
        let is_over = |since: WallTime, period: Duration| since < self.now.minus(period);
        // Most are too young, and nothing else has to be known of them.
        if !is_over(clip.fact.end, continuous) {
            return Standing::Claimed;
        }
        let dated_behind = self.misdated.age(clip);
        let end = dated_behind.map_or(clip.fact.end, |behind| behind.max(clip.fact.end));
        if !is_over(end, continuous) {
            return Standing::Claimed;
        }
        let mut longest = (!continuous.is_zero()).then_some(continuous);
        if self.terms.know_events() {
            // What is said of it may still be under way.
            if !is_over(end, self.terms.hold.saturating_add(self.terms.longest_pre())) {
                return Standing::Claimed;
            }
            let claimed = match dated_behind {
                None => self.claim_of_events(clip),
                // When it was recorded nobody knows, nor what happened then.
                Some(_) => self.terms.longest_period(),
            };
            longest = longest.max(claimed);
        }
        match longest {
            None => Standing::Quiet,
            Some(period) if is_over(end, period) => Standing::Old(period),
            Some(_) => Standing::Claimed,
        }
    }

    /// For how long events claim a clip, from its end on.
    fn claim_of_events(&self, clip: &Clip) -> Option<Duration> {
        let (start, end) = (clip.fact.start, clip.fact.end);
        let from = start.minus(self.terms.longest_post());
        let to = end.plus_nanos(nanos_of(self.terms.longest_pre()).saturating_add(1));
        let near = self.catalogue.events_near(self.stream, from..to);
        near.filter_map(|event| self.claim(event, start, end)).max()
    }

    /// For how long one does.
    fn claim(&self, event: &EventFact, start: WallTime, end: WallTime) -> Option<Duration> {
        let terms = self.terms.of(event.class);
        let until = event.end_at(self.now, nanos_of(self.terms.stale));
        let touches =
            event.start.minus(terms.pre) < end && until.plus_nanos(nanos_of(terms.post)) >= start;
        terms.period.filter(|_| touches)
    }
}
