//! Gathers what is observed, so that a stream that breaks every second fills neither ledger nor
//! log: of each kind one observation a minute, and one line. Pure.

use crate::segment::{Observation, ObservationKind};
use crate::units::WallTime;

/// Observations of one kind within this are told as one, in nanoseconds; a kind has one line in
/// the log in so long.
const GATHER_NANOS: i64 = 60 * 1_000_000_000;

/// An observation that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gathered {
    pub(super) observation: Observation,
    /// Whether the log has not said it yet.
    pub(super) is_news: bool,
}

/// What is gathered of one kind.
#[derive(Debug)]
struct OfKind {
    kind: ObservationKind,
    held: Option<Held>,
    /// When the log said something of it last.
    said: Option<WallTime>,
}

#[derive(Debug)]
struct Held {
    begun: WallTime,
    observation: Observation,
    count: u64,
    is_said: bool,
}

/// The observations that are being gathered, one of each kind at most: kinds that alternate, as
/// loss and damage do, are still told once a minute each.
#[derive(Debug, Default)]
pub(super) struct Observing(Vec<OfKind>);

impl Observing {
    /// Takes an observation. Answers whether it is to be said at once, and the one of its kind
    /// before, where this one is not part of it.
    pub(super) fn take(&mut self, new: Observation, now: WallTime) -> (bool, Option<Gathered>) {
        let of_kind = self.of(new.kind);
        if let Some(held) = &mut of_kind.held
            && is_within(held.begun, now)
        {
            let observation = &mut held.observation;
            held.count += 1;
            observation.from = observation.from.min(new.from);
            observation.to = observation.to.max(new.to);
            observation.number = observation.number.saturating_add(new.number);
            observation.text = format!("{} times, last: {}", held.count, new.text);
            return (false, None);
        }
        let before = of_kind.end(now);
        let is_said = !of_kind.said.is_some_and(|said| is_within(said, now));
        if is_said {
            of_kind.said = Some(now);
        }
        of_kind.held = Some(Held { begun: now, observation: new, count: 1, is_said });
        (is_said, before)
    }

    /// The observations that are complete by now.
    pub(super) fn due(&mut self, now: WallTime) -> Vec<Gathered> {
        let is_due =
            |it: &&mut OfKind| it.held.as_ref().is_some_and(|it| !is_within(it.begun, now));
        self.0.iter_mut().filter(is_due).filter_map(|it| it.end(now)).collect()
    }

    /// Nothing more is gathered.
    pub(super) fn end(&mut self, now: WallTime) -> Vec<Gathered> {
        self.0.iter_mut().filter_map(|it| it.end(now)).collect()
    }

    fn of(&mut self, kind: ObservationKind) -> &mut OfKind {
        let at = self.0.iter().position(|it| it.kind == kind).unwrap_or_else(|| {
            self.0.push(OfKind { kind, held: None, said: None });
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}

impl OfKind {
    fn end(&mut self, now: WallTime) -> Option<Gathered> {
        let Held { observation, count, is_said, .. } = self.held.take()?;
        let is_news = count > 1 || !is_said;
        if is_news {
            self.said = Some(now);
        }
        Some(Gathered { observation, is_news })
    }
}

/// A clock that was set back holds nothing up.
fn is_within(since: WallTime, now: WallTime) -> bool {
    (0..GATHER_NANOS).contains(&now.nanos_since(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> WallTime {
        WallTime(second * 1_000_000_000)
    }

    fn seen(second: i64, kind: ObservationKind) -> Observation {
        let text = "lost".to_string();
        Observation { from: at(second), to: at(second), kind, number: 2, text }
    }

    #[test]
    fn a_stream_that_breaks_every_second_in_two_ways_is_told_of_each_once_a_minute() {
        let mut observing = Observing::default();
        let (mut told, mut lines) = (Vec::new(), Vec::new());
        for second in 0..3600 {
            let due = observing.due(at(second));
            lines.extend(due.iter().filter(|it| it.is_news).map(|_| second));
            told.extend(due);
            for kind in [ObservationKind::Dropped, ObservationKind::Lost] {
                let (is_news, before) = observing.take(seen(second, kind), at(second));
                assert_eq!(before, None);
                lines.extend(is_news.then_some(second));
            }
        }
        told.extend(observing.end(at(3600)));
        let (dropped, lost): (Vec<_>, Vec<_>) =
            told.iter().partition(|it| it.observation.kind == ObservationKind::Dropped);
        assert_eq!((dropped.len(), lost.len()), (60, 60));
        assert_eq!(lost.iter().map(|it| it.observation.number).sum::<i64>(), 2 * 3600);
        assert_eq!(lost[0].observation.text, "60 times, last: lost");
        let wanted: Vec<i64> = (0..60).flat_map(|minute| [minute * 60; 2]).collect();
        assert_eq!(lines, wanted);
    }

    #[test]
    fn one_that_was_not_said_when_it_came_is_said_when_it_is_complete() {
        let mut observing = Observing::default();
        let lost = |second| seen(second, ObservationKind::Lost);
        assert!(observing.take(lost(0), at(0)).0);
        assert!(!observing.take(lost(59), at(59)).0);
        assert!(observing.due(at(60))[0].is_news);
        assert!(!observing.take(lost(70), at(70)).0, "there was a line ten seconds ago");
        let told = observing.due(at(130));
        assert_eq!(told, [Gathered { observation: lost(70), is_news: true }]);
    }

    #[test]
    fn a_clock_set_back_holds_nothing_up() {
        let mut observing = Observing::default();
        let jump = seen(101, ObservationKind::TimeJump);
        assert_eq!(observing.take(jump.clone(), at(101)), (true, None));
        assert_eq!(observing.due(at(0)), [Gathered { observation: jump, is_news: false }]);
        assert_eq!(observing.end(at(0)), []);
        assert!(observing.take(seen(1, ObservationKind::TimeJump), at(1)).0);
    }
}
