//! What is asked of how long footage stays.

use std::collections::BTreeMap;
use std::time::Duration;

use super::quota::Quota;
use crate::catalogue::Catalogue;
use crate::segment::EventClass;
use crate::units::{StreamKey, WallTime, length_of};

/// How long footage of a stream stays that an event of some class claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventTerms {
    /// From the end of what it claims on; `None`: events of the class claim nothing.
    pub period: Option<Duration>,
    /// So much before its beginning is claimed, too.
    pub pre: Duration,
    /// And so much behind its end.
    pub post: Duration,
}

/// How long footage of a stream stays, and for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// All of it, from its end on; zero: only what an event claims; `None`: until the ring needs
    /// the space.
    pub continuous: Option<Duration>,
    /// What is claimed by a detection.
    pub detections: EventTerms,
    /// What is claimed by an alert.
    pub alerts: EventTerms,
    /// What is claimed by what somebody said by hand.
    pub manual: EventTerms,
    /// Where events claim something, nothing is given up earlier than this after its end.
    pub hold: Duration,
    /// How long what was given up for want of an event can be brought back by one.
    pub late: Duration,
    /// An event that goes on, and of which nothing was heard for so long, ended when it was last
    /// heard of.
    pub stale: Duration,
}

impl Terms {
    /// Those that let everything grow this old, whatever is said of it.
    #[must_use]
    pub fn of_age(continuous: Option<Duration>) -> Terms {
        Terms { continuous, ..Terms::default() }
    }

    fn classes(&self) -> [&EventTerms; 3] {
        [&self.detections, &self.alerts, &self.manual]
    }

    /// Whether an event of any class claims anything.
    #[must_use]
    pub fn know_events(&self) -> bool {
        self.classes().iter().any(|terms| terms.period.is_some())
    }

    /// Those of a class; of one that only a later program knows, those that keep longest.
    #[must_use]
    pub fn of(&self, class: EventClass) -> EventTerms {
        match class {
            EventClass::Detection => self.detections,
            EventClass::Alert => self.alerts,
            EventClass::Manual => self.manual,
            EventClass::Unknown(_) => EventTerms {
                period: self.longest_period(),
                pre: self.longest_pre(),
                post: self.longest_post(),
            },
        }
    }

    /// How long what may have been worth keeping stays, where nobody knows whether it was.
    #[must_use]
    pub fn longest_period(&self) -> Option<Duration> {
        self.classes().iter().filter_map(|terms| terms.period).max()
    }

    /// How far before its beginning an event claims anything, at most.
    #[must_use]
    pub fn longest_pre(&self) -> Duration {
        self.claiming().map(|terms| terms.pre).max().unwrap_or_default()
    }

    /// How far behind its end an event claims anything, at most.
    #[must_use]
    pub fn longest_post(&self) -> Duration {
        self.claiming().map(|terms| terms.post).max().unwrap_or_default()
    }

    fn claiming(&self) -> impl Iterator<Item = &EventTerms> {
        self.classes().into_iter().filter(|terms| terms.period.is_some())
    }
}

/// What the configuration says about how long footage stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `[retain]`: of events, for streams that have left the configuration.
    pub general: Terms,
    /// `[purge] removed_retain`: for streams that have left the configuration.
    pub retain_removed: Option<Duration>,
    /// Cameras that may have no more than so much.
    pub quotas: Vec<Quota>,
    /// The streams of the configured cameras.
    pub cameras: BTreeMap<StreamKey, Terms>,
    /// When the ring was made, by the clock of then: nothing was recorded before.
    pub created: WallTime,
}

impl Policy {
    /// What holds for a stream: what its camera says; for one that has left the configuration
    /// what is said of those, else the last `retain` known of it, and what events claim of any.
    /// `None` where nothing of it grows old.
    #[must_use]
    pub fn terms(&self, catalogue: &Catalogue, stream: StreamKey) -> Option<Terms> {
        if self.cameras.is_empty() {
            return None;
        }
        if let Some(own) = self.cameras.get(&stream) {
            return Some(own.clone());
        }
        let known = || catalogue.stream(stream)?.retain_nanos.map(length_of);
        // A length that is none can only be damage, or of a time when events were told of it: it
        // would delete everything.
        let retain = self.retain_removed.or_else(known).filter(|retain| !retain.is_zero())?;
        Some(Terms { continuous: Some(retain), ..self.general.clone() })
    }
}
