//! Clips that still grow: what flushes cover of them so far.

use std::collections::BTreeMap;

use super::Catalogue;
use crate::segment::{ChunkTable, EntryFacts, Growth};
use crate::units::{ClipKey, StreamKey};

/// By key; a stream has one, and for a moment at a boundary two.
#[derive(Debug, Default)]
pub(super) struct Growing(BTreeMap<ClipKey, (StreamKey, Growth)>);

impl Growing {
    pub(super) fn remove(&mut self, clip: ClipKey) -> Option<(StreamKey, Growth)> {
        self.0.remove(&clip)
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
        let (_, growth) = self.growing.0.entry(clip).or_insert_with(begin);
        growth.add(table, digest, entries);
    }

    /// After a restart: a clip goes on growing from these sums.
    pub fn resume(&mut self, clip: ClipKey, stream: StreamKey, growth: Growth) {
        self.growing.0.insert(clip, (stream, growth));
    }

    /// A growing clip of a stream: the one that was begun last.
    #[must_use]
    pub fn growing_of(&self, stream: StreamKey) -> Option<(ClipKey, &Growth)> {
        let mut newest_first = self.growing.0.iter().rev();
        newest_first
            .find(|(_, (owner, _))| *owner == stream)
            .map(|(clip, (_, growth))| (*clip, growth))
    }

    /// A growing clip.
    #[must_use]
    pub fn growing(&self, clip: ClipKey) -> Option<(StreamKey, &Growth)> {
        self.growing.0.get(&clip).map(|(stream, growth)| (*stream, growth))
    }

    /// The clip grows no more: what it came to. `None` where no chunk of it was ever added.
    pub fn end_growing(&mut self, clip: ClipKey) -> Option<(StreamKey, Growth)> {
        self.growing.remove(clip)
    }
}
