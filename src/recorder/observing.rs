//! Gathers what is observed, so that a stream that breaks every second fills neither ledger nor
//! log. Pure.

use crate::segment::Observation;
use crate::units::WallTime;

/// An observation that is complete, and of how many it was gathered.
pub(super) type Gathered = (Observation, u64);

/// Observations of one kind that begin within this are told as one, in nanoseconds.
const GATHER_NANOS: i64 = 60 * 1_000_000_000;

/// The observation that is being gathered.
#[derive(Debug, Default)]
pub(super) struct Observing {
    held: Option<Observation>,
    gathered: u64,
}

impl Observing {
    /// Takes an observation. Answers the one before, where this one is not part of it.
    pub(super) fn take(&mut self, new: Observation) -> Option<Gathered> {
        if let Some(held) = &mut self.held
            && held.kind == new.kind
            && (0..GATHER_NANOS).contains(&new.from.nanos_since(held.from))
        {
            self.gathered += 1;
            held.to = held.to.max(new.to);
            held.number = held.number.saturating_add(new.number);
            held.text = format!("{} times, last: {}", self.gathered, new.text);
            return None;
        }
        let before = self.end();
        (self.held, self.gathered) = (Some(new), 1);
        before
    }

    /// The observation that is complete by now.
    pub(super) fn due(&mut self, now: WallTime) -> Option<Gathered> {
        let from = self.held.as_ref()?.from;
        let open = (0..GATHER_NANOS).contains(&now.nanos_since(from));
        if open { None } else { self.end() }
    }

    /// Nothing more is gathered.
    pub(super) fn end(&mut self) -> Option<Gathered> {
        self.held.take().map(|held| (held, self.gathered))
    }

    /// Whether the observation taken last is the first of its kind for now: worth a line at once.
    pub(super) fn is_news(&self) -> bool {
        self.gathered == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::ObservationKind;

    fn seen(second: i64, kind: ObservationKind) -> Observation {
        let from = WallTime(second * 1_000_000_000);
        Observation { from, to: from, kind, number: 2, text: "lost".to_string() }
    }

    #[test]
    fn a_stream_that_breaks_every_second_is_told_once_a_minute() {
        let mut observing = Observing::default();
        let mut told = Vec::new();
        for second in 0..3600 {
            told.extend(observing.due(WallTime(second * 1_000_000_000)));
            told.extend(observing.take(seen(second, ObservationKind::Lost)));
            assert_eq!(observing.is_news(), second % 60 == 0);
        }
        told.extend(observing.end());
        assert_eq!(told.len(), 60);
        assert_eq!(told.iter().map(|told| told.0.number).sum::<i64>(), 2 * 3600);
        assert_eq!(told[0].0.text, "60 times, last: lost");
    }

    #[test]
    fn kinds_are_told_apart_and_a_clock_set_back_holds_nothing_up() {
        let mut observing = Observing::default();
        assert_eq!(observing.take(seen(100, ObservationKind::Lost)), None);
        let before = observing.take(seen(101, ObservationKind::TimeJump));
        assert_eq!(before, Some((seen(100, ObservationKind::Lost), 1)));
        assert_eq!(observing.due(WallTime(0)), Some((seen(101, ObservationKind::TimeJump), 1)));
        assert_eq!(observing.end(), None);
    }
}
