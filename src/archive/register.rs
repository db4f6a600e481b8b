//! Cameras of a configuration as streams of the ring: which stream is whose, and what is to be
//! said of it. Pure.

use std::time::Duration;

use crate::catalogue::Catalogue;
use crate::segment::{StreamFact, StreamName};
use crate::units::{RingNumber, StreamNumber, WallTime, nanos_of};

/// What becomes of a camera's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The stream that the ring has for it; `None` where it is new and needs a number
    /// ([`Writer::new_stream`](crate::ring::Writer::new_stream)).
    pub stream: Option<StreamNumber>,
    /// What is true of the stream from now on.
    pub fact: StreamFact,
    /// Whether the ring has to be told: it knows no stream, or another fact.
    pub changed: bool,
}

/// Finds the stream of the camera `name` on `ring` with its `retain` in force, or makes one that
/// begins `now` under `uuid`, which is used for a new stream only. A camera that comes back under
/// the name that it left under goes on in its stream.
#[must_use]
pub fn register(
    catalogue: &Catalogue,
    ring: RingNumber,
    name: &str,
    retain: Option<Duration>,
    now: WallTime,
    uuid: [u8; 16],
) -> Registration {
    let retain_nanos = retain.map(nanos_of);
    match catalogue.stream_of(ring, name) {
        Some((stream, known)) => {
            let fact = StreamFact { retain_nanos, removed: None, ..known.clone() };
            let changed = fact != *known;
            Registration { stream: Some(stream.stream), fact, changed }
        }
        None => {
            let names = vec![StreamName { name: name.to_owned(), since: now }];
            let fact = StreamFact { uuid, names, retain_nanos, removed: None, switch: None };
            Registration { stream: None, fact, changed: true }
        }
    }
}

/// Why a camera can't be called `name`: footage on `ring` has that name but for upper and lower
/// case.
#[must_use]
pub fn mixed_up_with(catalogue: &Catalogue, ring: RingNumber, name: &str) -> Option<String> {
    let similar = catalogue.streams().find(|(stream, fact)| {
        let totals = catalogue.totals(*stream);
        let has_footage = totals.clips + totals.hidden_clips > 0;
        let other = fact.name();
        stream.ring == ring && has_footage && other != name && other.eq_ignore_ascii_case(name)
    });
    let (_, fact) = similar?;
    Some(format!(
        "{name:?} differs from {:?}, of which the ring has footage, in upper and lower case only; \
         a file share would mix them up",
        fact.name()
    ))
}

/// The streams of `ring` that have left the configuration since they were registered, with the
/// facts that say so: all but those of the cameras `configured`. Their last `retain` stays in
/// force.
#[must_use]
pub fn retire(
    catalogue: &Catalogue,
    ring: RingNumber,
    configured: &[&str],
    now: WallTime,
) -> Vec<(StreamNumber, StreamFact)> {
    let registered: Vec<_> = configured
        .iter()
        .filter_map(|name| catalogue.stream_of(ring, name).map(|(stream, _)| stream))
        .collect();
    let left = catalogue
        .streams()
        .filter(|(stream, _)| stream.ring == ring)
        .filter(|(stream, fact)| fact.removed.is_none() && !registered.contains(stream));
    let retired = |fact: &StreamFact| StreamFact { removed: Some(now), ..fact.clone() };
    left.map(|(stream, fact)| (stream.stream, retired(fact))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::News;

    const RING: RingNumber = RingNumber(2);
    const NOW: WallTime = WallTime(5_000_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn set(catalogue: &mut Catalogue, number: u32, fact: &StreamFact) {
        let stream = StreamNumber(number);
        catalogue
            .apply(RING, &News::StreamSet { stream, fact: fact.encode().into() })
            .expect("a fact");
    }

    #[test]
    fn a_new_camera_gets_a_stream_and_keeps_it() {
        let mut catalogue = Catalogue::new();
        let new = register(&catalogue, RING, "door", Some(DAY), NOW, [1; 16]);
        assert_eq!((new.stream, new.changed), (None, true));
        assert_eq!(new.fact.retain_nanos, Some(86_400_000_000_000));
        set(&mut catalogue, 7, &new.fact);
        let later = NOW.plus_nanos(1);
        let again = register(&catalogue, RING, "door", Some(DAY), later, [2; 16]);
        let known = Registration { stream: Some(StreamNumber(7)), fact: new.fact, changed: false };
        assert_eq!(again, known);
        let other = register(&catalogue, RING, "door", None, later, [2; 16]);
        assert_eq!((other.stream, other.changed), (Some(StreamNumber(7)), true));
        assert_eq!(other.fact.uuid, [1; 16]);
    }

    #[test]
    fn a_camera_that_left_and_comes_back_goes_on_in_its_stream() {
        let mut catalogue = Catalogue::new();
        for (number, name) in [(1, "door"), (2, "yard")] {
            let fact = register(&catalogue, RING, name, Some(DAY), NOW, [number as u8; 16]).fact;
            set(&mut catalogue, number, &fact);
        }
        let left = retire(&catalogue, RING, &["yard"], NOW);
        assert_eq!(left.len(), 1);
        let (stream, fact) = &left[0];
        assert_eq!((*stream, fact.removed), (StreamNumber(1), Some(NOW)));
        assert_eq!(fact.retain_nanos, Some(86_400_000_000_000), "its footage expires as before");
        set(&mut catalogue, 1, fact);
        assert_eq!(retire(&catalogue, RING, &["yard"], NOW), [], "said once");
        let back = register(&catalogue, RING, "door", Some(DAY), NOW, [9; 16]);
        assert_eq!((back.stream, back.changed), (Some(StreamNumber(1)), true));
        assert_eq!((back.fact.removed, back.fact.uuid), (None, [1; 16]));
    }
}
