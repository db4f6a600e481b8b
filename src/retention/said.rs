//! Which events are over for good: nothing can be claimed by them any more, and nothing of what
//! they speak of is left. Pure.

use crate::catalogue::Catalogue;
use crate::clock::Verdict;
use crate::segment::EventFact;
use crate::units::{EventId, StreamKey, WallTime, nanos_of};

use super::terms::{Policy, Terms};

/// Events that are forgotten at once at most.
const FORGOTTEN_MAX: usize = 1000;

/// Events that are to be forgotten, the oldest of each stream first; none while the clock is
/// doubted, or no camera is configured.
#[must_use]
pub fn events_over(
    catalogue: &Catalogue,
    policy: &Policy,
    verdict: Verdict,
) -> Vec<(StreamKey, EventId)> {
    let Verdict::Trusted(now) = verdict else { return Vec::new() };
    let streams = catalogue.streams().map(|(stream, _)| stream);
    let streams = streams.filter(|_| !policy.cameras.is_empty());
    let over = streams.flat_map(|stream| {
        let terms = policy.terms(catalogue, stream).unwrap_or_else(|| policy.general.clone());
        let old = catalogue.events_of(stream).take(FORGOTTEN_MAX);
        old.filter(move |event| is_over(catalogue, stream, &terms, event, now))
            .map(move |event| (stream, event.event_id()))
    });
    over.take(FORGOTTEN_MAX).collect()
}

fn is_over(
    catalogue: &Catalogue,
    stream: StreamKey,
    terms: &Terms,
    event: &EventFact,
    now: WallTime,
) -> bool {
    let of_class = terms.of(event.class);
    let end = event.end_at(now, nanos_of(terms.stale)).plus_nanos(nanos_of(of_class.post));
    // One that claims nothing is of some interest for as long as it could be about the present.
    let period = of_class.period.unwrap_or(terms.hold.saturating_add(terms.late));
    if end >= now.minus(period) {
        return false;
    }
    let times = event.start.minus(of_class.pre)..end.plus_nanos(1);
    let grows = catalogue.growing_of(stream).is_some_and(|(_, growth)| growth.start <= end);
    !grows && catalogue.clips_overlapping(stream, times).next().is_none()
}
