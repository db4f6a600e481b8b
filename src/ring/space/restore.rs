//! After damage: what the ledger area before still knows, and what can't be true any more.

use std::collections::{BTreeMap, BTreeSet};

use super::queries::facts_of_clip;
use super::{ClipRecord, Space};
use crate::ring::fact::Fact;
use crate::ring::types::Extent;
use crate::units::{BlockNumber, ClipId, Sequence};

impl Space {
    /// Takes over what an older ledger area knows and rotten pages of a checkpoint may have said:
    /// its clips and streams, but not those that `newer` facts say are gone, nor clips whose
    /// blocks have begun another life since. What newer facts say of their states holds. Answers
    /// how many clips came back.
    pub fn restore(&mut self, older: &Space, newer: &[Fact]) -> usize {
        let mut gone = BTreeSet::new();
        let (mut states, mut redatings) = (BTreeMap::new(), BTreeMap::new());
        for fact in newer {
            match fact {
                Fact::Gone { clip, .. } => drop(gone.insert(*clip)),
                Fact::State { clip, .. } => drop(states.insert(*clip, fact)),
                Fact::Redated { clip, .. } => drop(redatings.insert(*clip, fact)),
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
            let extents = record.all_extents();
            let reused = |e: &Extent| self.life(e.block).is_none_or(|life| life > e.life);
            let known = self.clip(clip).is_some_and(|record| record.state.is_some());
            if known || gone.contains(&clip) || extents.clone().any(reused) {
                continue;
            }
            let mut facts = Vec::new();
            facts_of_clip(clip, record, &mut facts);
            let newer = [redatings.get(&clip), states.get(&clip)].into_iter().flatten();
            facts.extend(newer.map(|fact| (*fact).clone()));
            restored += usize::from(facts.iter().all(|fact| self.apply(fact).is_ok()));
        }
        // What was said since stands behind it.
        self.events = older.events.clone();
        for fact in newer {
            if let Fact::Event { stream, event, start, fact } = fact {
                self.events.set(*stream, *event, *start, fact);
            }
        }
        let newer = std::mem::replace(&mut self.carried, older.carried.clone());
        newer.each(|kind, body| self.carried.add(kind, body));
        restored
    }

    /// A block has begun a later life than the facts know: what they say of it is over.
    pub fn begin_life(&mut self, block: BlockNumber, life: Sequence) {
        let Some(known) = self.blocks.get_mut(block.0 as usize).map(|known| &mut known.life) else {
            return;
        };
        *known = life.max(*known);
        if self.reserved.remove(&block).is_some() {
            self.release(block);
        }
    }

    /// Nobody knows any more where streams have left their blocks: each goes on in another one.
    pub fn leave_open_blocks(&mut self) {
        for fill in std::mem::take(&mut self.open).into_values() {
            self.release(fill.block);
        }
    }

    /// Forgets clips whose blocks have begun another life: that they are gone was said in a fact
    /// that is lost.
    pub fn drop_overwritten(&mut self) {
        let overwritten = |record: &ClipRecord| {
            let mut extents = record.all_extents();
            extents.any(|extent| self.life(extent.block) != Some(extent.life))
        };
        let clips = self.clips.iter().filter(|(_, record)| overwritten(record));
        let clips: Vec<ClipId> = clips.map(|(&clip, _)| clip).collect();
        for clip in clips {
            self.forget(clip);
        }
    }

    /// Forgets what is known of clips that grow.
    pub fn drop_growing(&mut self) {
        let growing = self.clips.iter().filter(|(_, record)| record.state.is_none());
        let growing: Vec<ClipId> = growing.map(|(&clip, _)| clip).collect();
        for clip in growing {
            self.forget(clip);
        }
    }

    /// Gives back what an earlier session reserved and did not begin. For the time between reading
    /// the ledger and writing to it; a later reservation of such a block says the same.
    pub fn drop_reservations(&mut self) {
        for block in std::mem::take(&mut self.reserved).into_keys() {
            self.release(block);
        }
    }
}
