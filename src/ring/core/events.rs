//! What sources say of streams: put together with what was said before, within their room.

use std::sync::Arc;

use super::Core;
use crate::ring::fact::Fact;
use crate::ring::types::{EventSaid, News};
use crate::units::{EventId, StreamNumber};

impl Core {
    /// Takes what is said of an event; nothing withdraws it. It holds at once, and is durable with
    /// the next flush.
    pub fn say_of_event(&mut self, stream: StreamNumber, event: EventId, said: &[u8]) {
        let before = { self.state().space.events().get(stream, event).cloned() };
        if said.is_empty() {
            if before.is_some() {
                self.withdraw(stream, event);
            }
            return;
        }
        let old = before.as_ref().map(|(_, fact)| &**fact);
        let Some(EventSaid { start, fact }) = self.interpreter.event_said(old, said) else {
            return;
        };
        if !self.ensure_events() {
            return;
        }
        if before.is_none() {
            self.make_room_for_event(stream, fact.len());
        }
        let fact: Arc<[u8]> = fact.into();
        if self.record(Fact::Event { stream, event, start, fact: fact.clone() }) {
            self.interpreter.news(&News::EventSet { stream, event, fact });
        }
    }

    fn make_room_for_event(&mut self, stream: StreamNumber, bytes: usize) {
        loop {
            let first = { self.state().space.event_to_go(stream, bytes) };
            let Some((of, event)) = first else { return };
            log::debug!("ring: event {event} of stream {of} makes room for another");
            self.state_mut().counters.events_dropped += 1;
            self.withdraw(of, event);
        }
    }

    fn withdraw(&mut self, stream: StreamNumber, event: EventId) {
        let known = { self.state().space.events().get(stream, event).map(|(start, _)| *start) };
        let Some(start) = known else { return };
        let nothing: Arc<[u8]> = Arc::from([]);
        self.record(Fact::Event { stream, event, start, fact: nothing.clone() });
        self.interpreter.news(&News::EventSet { stream, event, fact: nothing });
    }
}
