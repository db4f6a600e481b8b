//! Trying the extents of a ring that is open, beside its writer.

use std::sync::RwLockReadGuard;

use super::{Depth, ExtentTrial, Fault, Pace, Tried};
use crate::ring::read::Ring;
use crate::ring::state::Shared;
use crate::ring::types::{ClipState, Extent};
use crate::units::{BlockNumber, ByteCount, ClipId, PAGE_BYTES};

/// An extent of a closed clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldExtent {
    /// Whose.
    pub clip: ClipId,
    /// Where.
    pub extent: Extent,
    /// It holds a piece of the clip's table, which is a cache, rather than samples.
    pub is_table: bool,
}

/// What trying an extent came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Chunks that could be made out.
    pub chunks: u64,
    /// Pages tried, in bytes.
    pub bytes: ByteCount,
    /// What is wrong; empty where the clip has gone meanwhile.
    pub faults: Vec<Fault>,
    /// The device is not there: nothing was tried.
    pub is_away: bool,
}

impl Ring {
    fn facts(&self) -> RwLockReadGuard<'_, Shared> {
        Shared::read(&self.shared)
    }

    /// The extents of closed clips in a block, in the order in which they lie. Goes through all
    /// clips: a millisecond where there are 60,000.
    #[must_use]
    pub fn extents_in(&self, block: BlockNumber) -> Vec<HeldExtent> {
        let mut held = Vec::new();
        for (clip, record) in self.facts().space.clips() {
            if record.state.is_none_or(ClipState::is_purging) {
                continue;
            }
            let parts =
                [(&record.extents, false), (&record.table, true), (&record.table_copy, true)];
            for (extents, is_table) in parts {
                let here = extents.iter().filter(|extent| extent.block == block);
                held.extend(here.map(|&extent| HeldExtent { clip, extent, is_table }));
            }
        }
        held.sort_by_key(|held| held.extent.first_page);
        held
    }

    /// Tries all of an extent: headers, chain, checksums and digests. Reads `stride` bytes at once
    /// at most, and asks `pace` before each read. What is wrong has been so twice; with a clip that
    /// is gone afterwards, or a device that is away, nothing is.
    pub fn scrub(&self, held: &HeldExtent, stride: ByteCount, pace: &mut Pace<'_>) -> Scrubbed {
        let mut scrubbed = Scrubbed { is_away: !self.device.is_present(), ..Scrubbed::default() };
        if scrubbed.is_away || !self.holds(held) {
            return scrubbed;
        }
        let (chunks, bytes, faults) = self.try_extent(held, stride, pace);
        (scrubbed.chunks, scrubbed.bytes) = (chunks, bytes);
        if faults.is_empty() {
            return scrubbed;
        }
        // An error of the moment is no rot.
        let (_, _, again) = self.try_extent(held, stride, pace);
        scrubbed.is_away = !self.device.is_present();
        if !scrubbed.is_away && self.holds(held) {
            scrubbed.faults = faults.into_iter().filter(|fault| again.contains(fault)).collect();
            for fault in &scrubbed.faults {
                self.doubt(held.extent.block, fault.pages.clone());
            }
        }
        scrubbed
    }

    /// Chunks that could be made out, bytes, and what is wrong.
    fn try_extent(
        &self,
        held: &HeldExtent,
        stride: ByteCount,
        pace: &mut Pace<'_>,
    ) -> (u64, ByteCount, Vec<Fault>) {
        let (mut chunks, mut bytes, mut faults) = (0, ByteCount(0), Vec::new());
        let trial = ExtentTrial::new(self.reader(), &held.extent, Depth::Data, stride, pace);
        for tried in trial {
            match tried {
                Tried::Chunk(chunk) => {
                    chunks += 1;
                    bytes += ByteCount(chunk.pages.len() as u64 * PAGE_BYTES);
                    faults.extend(chunk.faults);
                }
                Tried::Lost(fault) => {
                    bytes += ByteCount(fault.pages.len() as u64 * PAGE_BYTES);
                    faults.push(fault);
                }
            }
        }
        (chunks, bytes, faults)
    }

    /// Whether the extent is still its clip's, and that of the block's present life.
    fn holds(&self, held: &HeldExtent) -> bool {
        let facts = self.facts();
        let state = facts.space.state_of(held.clip);
        state.is_some_and(|state| !state.is_purging())
            && facts.space.life(held.extent.block) == Some(held.extent.life)
    }
}
