//! Every checksum and digest of every sample, block after block.

use std::collections::BTreeMap;

use super::finding::{Finding, Place};
use super::names::span_of_table;
use super::{Checker, Phase};
use crate::ring::{ChunkKind, ClipRecord, Depth, Extent, Fault, Tried, TriedChunk, Wrong};
use crate::units::{BlockNumber, ByteCount, ClipId, PAGE_BYTES, StreamNumber};

/// Read at once, in bytes: what a spinning disk reads in the time of a seek or two.
const STRIDE: ByteCount = ByteCount(4 << 20);

impl Checker<'_> {
    pub(super) fn check_samples(&mut self) {
        let mut blocks: BTreeMap<BlockNumber, Vec<(ClipId, StreamNumber, Extent)>> =
            BTreeMap::new();
        let mut bytes_total = 0;
        for (clip, record) in self.inspection.clips() {
            let stream = record.stream;
            if record.is_purging() {
                continue;
            }
            for extent in &record.extents {
                bytes_total += length_of(extent);
                blocks.entry(extent.block).or_default().push((clip, stream, *extent));
            }
        }
        for (clip, stream, extent) in std::mem::take(&mut self.behind) {
            bytes_total += length_of(&extent);
            blocks.entry(extent.block).or_default().push((clip, stream, extent));
        }
        let mut bytes = 0;
        for mut extents in blocks.into_values() {
            extents.sort_by_key(|(_, _, extent)| extent.first_page);
            for (clip, stream, extent) in extents {
                self.step(Phase::Samples, bytes, bytes_total);
                bytes += length_of(&extent);
                self.check_extent(clip, stream, &extent);
            }
        }
        self.step(Phase::Samples, bytes, bytes_total);
    }

    /// `stream` is that of the clip, which the facts need not know yet.
    fn check_extent(&mut self, clip: ClipId, stream: StreamNumber, extent: &Extent) {
        let mut faults: Vec<Fault> = Vec::new();
        let mut always = |_| true;
        let trial = self.inspection.trial(extent, Depth::Data, STRIDE, &mut always);
        let mut tried = 0;
        for step in trial {
            // What is wrong with headers and parameter sets has been told clip by clip.
            if let Tried::Chunk(chunk) = step
                && chunk.kind == ChunkKind::Media
            {
                tried += 1;
                faults.extend(of_data(*chunk));
            }
        }
        self.report.chunks_tried += tried;
        if faults.is_empty() {
            return;
        }
        let unknown = || ClipRecord { stream, ..ClipRecord::default() };
        let record = self.record(clip).unwrap_or_else(unknown);
        for fault in faults {
            self.tell_fault(clip, &record, extent, &fault);
        }
    }

    fn record(&self, clip: ClipId) -> Option<ClipRecord> {
        let mut clips = self.inspection.clips();
        clips.find(|(known, _)| *known == clip).map(|(_, record)| record.clone())
    }

    fn tell_fault(&mut self, clip: ClipId, record: &ClipRecord, extent: &Extent, fault: &Fault) {
        let geometry = &self.inspection.superblock.geometry;
        let place = Place::block("chunk", geometry, extent.block, fault.pages.start);
        let place = Place { chunk: fault.number_in_clip, life: Some(extent.life.0), ..place };
        let span = fault.table.as_ref().and_then(|table| span_of_table(table));
        self.tell(Finding {
            place: place.with_clip(clip),
            found: fault.wrong.to_string(),
            expected: fault.wrong.expected(),
            cost: self.names.loss(clip, record, span),
        });
    }
}

fn of_data(chunk: TriedChunk) -> impl Iterator<Item = Fault> {
    let faults = chunk.faults.into_iter();
    faults.filter(|fault| matches!(fault.wrong, Wrong::Units { .. } | Wrong::Digest))
}

fn length_of(extent: &Extent) -> u64 {
    u64::from(extent.end_page.saturating_sub(extent.first_page)) * PAGE_BYTES
}
