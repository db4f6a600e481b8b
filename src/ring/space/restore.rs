//! What the ledger area before still knows, where pages of a checkpoint are rotten.

use std::collections::{BTreeMap, BTreeSet};

use super::Space;
use super::queries::facts_of_clip;
use crate::ring::fact::Fact;
use crate::ring::types::Extent;

impl Space {
    /// Takes over what an older ledger area knows and rotten pages of a checkpoint may have said:
    /// its clips and streams, but not those that `newer` facts say are gone, nor clips whose
    /// blocks have begun another life since. What newer facts say of their states holds. Answers
    /// how many clips came back.
    pub fn restore(&mut self, older: &Space, newer: &[Fact]) -> usize {
        let mut gone = BTreeSet::new();
        let mut states = BTreeMap::new();
        for fact in newer {
            match fact {
                Fact::Gone { clip, .. } => drop(gone.insert(*clip)),
                Fact::State { clip, .. } => drop(states.insert(*clip, fact)),
                _ => {}
            }
        }
        for (&stream, fact) in &older.streams {
            if !self.streams.contains_key(&stream) {
                // The number was possible when the older area was read.
                let _ = self.set_stream(stream, fact);
            }
        }
        let mut restored = 0;
        for (&clip, record) in &older.clips {
            let extents = record.extents.iter().chain(&record.table);
            let reused = |e: &Extent| self.life(e.block).is_none_or(|life| life > e.life);
            let known = self.clip(clip).is_some_and(|record| record.state.is_some());
            if known || gone.contains(&clip) || extents.clone().any(reused) {
                continue;
            }
            let mut facts = Vec::new();
            facts_of_clip(clip, record, &mut facts);
            facts.extend(states.get(&clip).map(|fact| (*fact).clone()));
            restored += usize::from(facts.iter().all(|fact| self.apply(fact).is_ok()));
        }
        restored
    }
}
