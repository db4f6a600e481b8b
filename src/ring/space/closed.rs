//! Clips that are closed, and where their tables are.

use std::sync::Arc;

use super::{ClipRecord, Contradiction, EXTENT_FACT_BYTES, Space, closed_bytes, redating_bytes};
use crate::ring::types::{ClipState, Extent};
use crate::units::{ClipId, StreamNumber};

impl Space {
    pub(super) fn close_clip(
        &mut self,
        clip: ClipId,
        stream: StreamNumber,
        extents: u32,
        table: &[Extent],
        fact: &Arc<[u8]>,
    ) -> Result<(), Contradiction> {
        for extent in table {
            self.check_extent(extent)?;
        }
        if extents == 0 {
            // Its footage lies elsewhere: nothing was said of it before.
            self.check_stream(stream)?;
            self.clips
                .entry(clip)
                .or_insert_with(|| ClipRecord { stream, ..ClipRecord::default() });
        }
        let record = self.clips.get_mut(&clip);
        let have = record.as_ref().map_or(0, |record| record.extents.len() as u32);
        let Some(record) = record.filter(|_| have == extents) else {
            return Err(Contradiction(format!("clip {clip} of {extents} extents has {have}")));
        };
        if record.state.is_some() {
            return Ok(());
        }
        self.fact_bytes += closed_bytes(fact, table.len());
        self.fact_bytes -= record.fact.len() as u64;
        record.fact = fact.clone();
        record.table = table.to_vec();
        record.state = Some(ClipState::Closed);
        for extent in table {
            self.hold_extent(extent);
            self.fill_up(stream, extent);
        }
        Ok(())
    }

    /// A clip is redated once: the name that it gets then is never another.
    pub(super) fn redate(
        &mut self,
        clip: ClipId,
        redating: &Arc<[u8]>,
    ) -> Result<(), Contradiction> {
        let record = self.clips.get_mut(&clip).filter(|record| record.state.is_some());
        let Some(record) = record else {
            return Err(Contradiction(format!("redating of unknown clip {clip}")));
        };
        if record.redating.is_none() {
            self.fact_bytes += redating_bytes(Some(redating));
            record.redating = Some(redating.clone());
        }
        Ok(())
    }

    pub(super) fn add_table_copy(
        &mut self,
        clip: ClipId,
        table: &[Extent],
    ) -> Result<(), Contradiction> {
        for extent in table {
            self.check_extent(extent)?;
        }
        let record = self.clips.get_mut(&clip).filter(|record| record.state.is_some());
        let Some(record) = record else {
            return Err(Contradiction(format!("table of unknown clip {clip}")));
        };
        if !record.table_copy.is_empty() {
            return Ok(());
        }
        record.table_copy = table.to_vec();
        let stream = record.stream;
        self.fact_bytes += table.len() as u64 * EXTENT_FACT_BYTES;
        for extent in table {
            self.hold_extent(extent);
            self.fill_up(stream, extent);
        }
        Ok(())
    }
}
