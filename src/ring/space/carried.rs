//! Facts of kinds that this program does not know: carried along as they are, in their order. What
//! they mean, and which of them are over, their own program knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ring::fact::Fact;

type Record = (u8, Arc<[u8]>);

/// The facts, the one said last at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    facts: BTreeMap<u64, Record>,
    places: BTreeMap<Record, u64>,
    next: u64,
    bytes: u64,
}

impl Carried {
    /// One that is said again is in force once, and was said last: whatever of an earlier one it
    /// puts right, it does so again.
    pub fn add(&mut self, kind: u8, body: &Arc<[u8]>) {
        let record = (kind, body.clone());
        let place = self.next;
        self.next += 1;
        match self.places.insert(record.clone(), place) {
            Some(earlier) => drop(self.facts.remove(&earlier)),
            None => {
                let fact = Fact::Unknown { kind, body: body.clone() };
                self.bytes += fact.record_length() as u64;
            }
        }
        self.facts.insert(place, record);
    }

    /// In their order.
    pub fn facts(&self) -> impl Iterator<Item = Fact> {
        self.facts.values().map(|(kind, body)| Fact::Unknown { kind: *kind, body: body.clone() })
    }

    /// Hands each out, in their order.
    pub fn each(&self, mut give: impl FnMut(u8, &Arc<[u8]>)) {
        self.facts.values().for_each(|(kind, body)| give(*kind, body));
    }

    /// What they take as records, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_that_is_said_again_is_in_force_once_and_was_said_last() {
        let mut carried = Carried::default();
        let said = [(20, 1), (21, 1), (20, 2), (20, 1)];
        said.iter().for_each(|&(kind, byte)| carried.add(kind, &Arc::from([byte])));
        let kept: Vec<Fact> = carried.facts().collect();
        let expected = [(21, 1), (20, 2), (20, 1)];
        let expected = expected.map(|(kind, byte)| Fact::Unknown { kind, body: Arc::from([byte]) });
        assert_eq!(kept, expected);
        let bytes: usize = expected.iter().map(Fact::record_length).sum();
        assert_eq!(carried.bytes(), bytes as u64);
    }
}
