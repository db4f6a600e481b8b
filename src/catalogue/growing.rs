//! Clips that still grow: what flushes cover of them so far; and those that have ended, until they
//! are known to be closed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Catalogue;
use crate::segment::{ChunkTable, ClipFact, EntryFacts, Growth};
use crate::units::{ClipKey, StreamKey};

/// Ended clips at most: each waits for a flush. Where none is possible, no more of them come.
const ENDED_MAX: usize = 1 << 12;

/// By key; a stream has one, and for a moment at a boundary two.
#[derive(Debug, Default)]
pub(super) struct Growing {
    clips: BTreeMap<ClipKey, (StreamKey, Growth)>,
    ended: BTreeMap<ClipKey, (StreamKey, Arc<ClipFact>)>,
}

impl Growing {
    pub(super) fn remove(&mut self, clip: ClipKey) -> Option<(StreamKey, Growth)> {
        self.ended.remove(&clip);
        self.clips.remove(&clip)
    }
}

impl Catalogue {
    /// Adds a durable chunk to a clip, which begins to grow with its first one: the chunk's table,
    /// the digest of its samples, and for each of its parameter sets what they count for.
    pub fn grow(
        &mut self,
        clip: ClipKey,
        stream: StreamKey,
        table: &ChunkTable,
        digest: &[u8; 32],
        entries: &[EntryFacts],
    ) {
        let begin = || (stream, Growth::new(table));
        let (_, growth) = self.growing.clips.entry(clip).or_insert_with(begin);
        growth.add(table, digest, entries);
    }

    /// After a restart: a clip goes on growing from these sums.
    pub fn resume(&mut self, clip: ClipKey, stream: StreamKey, growth: Growth) {
        self.growing.clips.insert(clip, (stream, growth));
    }

    /// A growing clip of a stream: the one that was begun last.
    #[must_use]
    pub fn growing_of(&self, stream: StreamKey) -> Option<(ClipKey, &Growth)> {
        let mut newest_first = self.growing.clips.iter().rev();
        newest_first
            .find(|(_, (owner, _))| *owner == stream)
            .map(|(clip, (_, growth))| (*clip, growth))
    }

    /// A growing clip.
    #[must_use]
    pub fn growing(&self, clip: ClipKey) -> Option<(StreamKey, &Growth)> {
        self.growing.clips.get(&clip).map(|(stream, growth)| (*stream, growth))
    }

    /// A clip that has ended came to this; the next flush closes it.
    pub fn ended(&mut self, clip: ClipKey, stream: StreamKey, fact: Arc<ClipFact>) {
        self.growing.ended.insert(clip, (stream, fact));
        while self.growing.ended.len() > ENDED_MAX {
            self.growing.ended.pop_first();
        }
    }

    /// The clips of a stream that have ended and are not known to be closed yet, in the order of
    /// their keys.
    pub fn ended_of(&self, stream: StreamKey) -> impl Iterator<Item = (ClipKey, &Arc<ClipFact>)> {
        let ended = self.growing.ended.iter();
        ended.filter(move |(_, (owner, _))| *owner == stream).map(|(clip, (_, fact))| (*clip, fact))
    }

    /// The clip grows no more: what it came to. `None` where no chunk of it was ever added.
    pub fn end_growing(&mut self, clip: ClipKey) -> Option<(StreamKey, Growth)> {
        self.growing.remove(clip)
    }
}
