//! After a flush: what it made durable is told, and leads to the next facts.

use std::sync::Arc;

use super::Core;
use crate::ring::fact::Fact;
use crate::ring::space;
use crate::ring::types::{DurableChunk, Ending, Extent, News, Reason};
use crate::ring::under_way::{DroppedClip, Undurable};
use crate::units::{ClipId, StreamNumber};

impl Core {
    pub(super) fn announce(&mut self) {
        for fact in self.facts.take_durable() {
            if let Fact::Redated { clip, redating } = fact {
                self.interpreter.news(&News::ClipRedated { clip, redating });
                continue;
            }
            let Fact::Clip { clip, stream, fact, .. } = fact else { continue };
            let used = self.state().space.clip(clip).map(space::ClipRecord::used);
            self.state_mut().growing.remove(&clip);
            // Evicted again before it was listed, or listed already.
            let Some(used) = used.filter(|_| !self.has_told(clip)) else { continue };
            let redating = None;
            self.interpreter.news(&News::ClipClosed { clip, stream, fact, used, redating });
        }
    }

    pub(super) fn tell_what_is_durable(&mut self) {
        let mut grown: Vec<ClipId> = Vec::new();
        for item in self.clips.take_covered() {
            match item {
                Undurable::Chunk { clip, stream, place, parameters, table, digest } => {
                    let chunk = DurableChunk {
                        stream,
                        parameters: &parameters,
                        table: &table,
                        digest: &digest,
                    };
                    self.interpreter.chunk_durable(clip, &chunk);
                    let mut state = self.state_mut();
                    let view = state.growing.entry(clip).or_default();
                    view.stream = stream;
                    view.contents.push(place, &parameters, table.clone());
                    if grown.last() != Some(&clip) {
                        grown.push(clip);
                    }
                }
                Undurable::Extent { clip, stream, ordinal, extent } => {
                    self.record_extent(clip, stream, ordinal, extent);
                }
                Undurable::TableCopy { clip, extents, .. } => {
                    let closed = self.state().space.clip(clip).is_some_and(|r| r.state.is_some());
                    if closed {
                        self.record(Fact::TableCopy { clip, table: extents });
                    }
                }
                Undurable::End { clip, stream, ending, extents, table, .. } => {
                    self.close_clip(clip, stream, ending, extents, table);
                }
            }
        }
        self.leave_abandoned();
        self.clips.are_durable();
        for clip in grown {
            self.interpreter.news(&News::Grown { clip });
        }
    }

    pub(in crate::ring) fn record_extent(
        &mut self,
        clip: ClipId,
        stream: StreamNumber,
        ordinal: u32,
        extent: Extent,
    ) {
        let growth: Arc<[u8]> = Arc::from(self.interpreter.growth(clip));
        self.record(Fact::Extent { clip, stream, ordinal, extent, growth });
    }

    pub(in crate::ring) fn close_clip(
        &mut self,
        clip: ClipId,
        stream: StreamNumber,
        ending: Ending,
        extents: u32,
        table: Vec<Extent>,
    ) {
        match self.interpreter.close_clip(clip, stream, ending) {
            Some(fact) => {
                let fact = Arc::from(fact);
                self.record(Fact::Clip { clip, stream, extents, table, fact });
            }
            None => {
                log::warn!("ring: clip {clip} has nothing that can be shown; dropped");
                self.record(Fact::Gone { clip, reason: Reason::Evicted });
                self.state_mut().growing.remove(&clip);
            }
        }
    }

    /// A flush failed: what it should have covered counts as not written, and the clips that it
    /// belonged to end where the last good flush left them. The facts about that ride along with
    /// the very next flush: they speak of nothing newer.
    pub(super) fn drop_undurable(&mut self) {
        let dropped = self.clips.drop_undurable();
        self.state_mut().counters.chunks_dropped += dropped.chunks;
        for (block, stream) in dropped.blocks {
            self.placement.abandon_block(block, stream);
        }
        dropped.streams.into_iter().for_each(|stream| self.placement.abandon(stream));
        for DroppedClip { clip, stream, durable } in dropped.clips {
            self.placement.abandon(stream);
            self.tables.forget(clip);
            self.state_mut().end(clip);
            let Some((ordinal, extent)) = durable else { continue };
            self.record_extent(clip, stream, ordinal, extent);
            self.close_clip(clip, stream, Ending::DeviceError, ordinal + 1, Vec::new());
        }
        self.leave_abandoned();
    }
}
