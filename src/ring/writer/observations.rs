//! What is noted of a stream, on its way to the ledger.

use std::sync::atomic::Ordering;

use super::{Queued, Request, Writer};
use crate::ring::fact::Fact;
use crate::ring::types::QUEUE_OBSERVATIONS_MAX;
use crate::units::{StreamNumber, WallTime};

impl Writer {
    /// Records an observation. Never waits: while the disk has not answered for so long that
    /// [`QUEUE_OBSERVATIONS_MAX`] wait, it is left out. What it tells of was counted by whoever
    /// saw it, and a gap is seen without it; a recorder that waited would lose footage.
    pub fn observe(&self, stream: StreamNumber, from: WallTime, to: WallTime, fact: Vec<u8>) {
        let waiting = &self.inner.queued.observations;
        let request = Request::Record(Fact::Observation { stream, from, to, fact: fact.into() });
        if waiting.fetch_add(1, Ordering::AcqRel) >= QUEUE_OBSERVATIONS_MAX
            || self.inner.requests.try_send(request).is_err()
        {
            waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Queued {
    /// A fact has left the queue.
    pub(super) fn took(&self, fact: &Fact) {
        if matches!(fact, Fact::Observation { .. }) {
            self.observations.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
