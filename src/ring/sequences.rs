//! The numbers of clips, lives and streams.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::units::{Sequence, SessionNumber, StreamNumber};

/// Gives out the numbers of a session: each once.
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
        Sequence::new(self.session, self.counter.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn next_stream(&self) -> StreamNumber {
        StreamNumber(self.stream.fetch_add(1, Ordering::Relaxed))
    }
}
