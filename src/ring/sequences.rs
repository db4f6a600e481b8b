//! The numbers of clips, lives and streams.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::units::{Sequence, SessionNumber, StreamNumber};

/// Gives out the numbers of a session: each once, and once there are no more, those of the next.
/// That one is then the last that blocks and clips speak of, and the ring is opened as the one
/// behind it.
#[derive(Debug)]
pub struct Sequences {
    session: SessionNumber,
    counter: AtomicU64,
    stream: AtomicU32,
}

impl Sequences {
    pub(crate) fn new(session: SessionNumber, next_stream: u32) -> Sequences {
        Sequences { session, counter: AtomicU64::new(1), stream: AtomicU32::new(next_stream) }
    }

    pub(super) fn next(&self) -> Sequence {
        Sequence::counted(self.session, self.counter.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn next_stream(&self) -> StreamNumber {
        StreamNumber(self.stream.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_never_ends_goes_on_in_the_next_and_no_number_is_given_twice() {
        let sequences = Sequences::new(SessionNumber(7), 1);
        let first = sequences.next();
        sequences.counter.store((1 << 32) - 2, Ordering::Relaxed);
        let around: Vec<Sequence> = (0..4).map(|_| sequences.next()).collect();
        assert!(first < around[0] && around.is_sorted_by(|a, b| a < b), "{around:?}");
        let sessions: Vec<u32> = around.iter().map(|number| number.session().0).collect();
        assert_eq!(sessions, [7, 7, 8, 8]);
    }
}
