//! What sources say of streams, on its way to the ledger.

use std::sync::atomic::Ordering;
use std::sync::mpsc::TrySendError;

use super::{Request, Writer};
use crate::ring::error::StateRefused;
use crate::units::{EventId, StreamNumber};

impl Writer {
    /// Adds what is said of an event to what is known of it
    /// ([`Interpreter::event_said`](crate::ring::Interpreter::event_said)), durable with the next
    /// flush. Never waits.
    ///
    /// # Errors
    /// The ring does not keep up, or is closed; nothing is added then.
    pub fn say_of_event(
        &self,
        stream: StreamNumber,
        event: EventId,
        said: Vec<u8>,
    ) -> Result<(), StateRefused> {
        if self.inner.queued.closed.load(Ordering::Acquire) {
            return Err(StateRefused::Closed);
        }
        let sent = self.inner.requests.try_send(Request::SayOfEvent { stream, event, said });
        sent.map_err(|error| match error {
            TrySendError::Full(_) => StateRefused::QueueFull,
            TrySendError::Disconnected(_) => StateRefused::Closed,
        })
    }

    /// Forgets an event, durable with the next flush. Never waits.
    ///
    /// # Errors
    /// As [`Writer::say_of_event`].
    pub fn withdraw_event(&self, stream: StreamNumber, event: EventId) -> Result<(), StateRefused> {
        self.say_of_event(stream, event, Vec::new())
    }
}
