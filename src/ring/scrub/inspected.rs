//! What `check` asks of a ring that is only looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::{Depth, ExtentTrial, Pace};
use crate::device::{self, Device};
use crate::ring::blocks::ChunkAt;
use crate::ring::chunk::ChunkKind;
use crate::ring::fact::Fact;
use crate::ring::found::{LeftBehind, left_behind};
use crate::ring::inspect::Inspection;
use crate::ring::space::{Fill, Space};
use crate::ring::superblock::{NotASuperblock, Superblock};
use crate::ring::types::{ClipContents, Extent};
use crate::ring::walk;
use crate::units::{
    BlockNumber, ByteCount, ClipId, DeviceOffset, PAGE_BYTES, Sequence, StreamNumber,
};

/// The longest table that is read, in bytes: a clip of an hour takes about one MiB.
const TABLE_BYTES_MAX: u64 = 64 << 20;

/// One of the superblocks.
#[derive(Clone, Debug)]
pub struct SuperblockCopy {
    /// Where it lies.
    pub offset: DeviceOffset,
    /// Its page, where the device reads it, or what the device says.
    pub page: Result<Vec<u8>, String>,
    /// What the page says.
    pub decoded: Result<Superblock, NotASuperblock>,
}

/// The superblocks of the ring that `superblock` describes: the first page and the last one, and
/// behind them those that rings of earlier programs lack.
#[must_use]
pub fn superblock_copies(device: &dyn Device, superblock: &Superblock) -> [SuperblockCopy; 4] {
    superblock.geometry.superblock_places().map(|offset| {
        let page = device::read(device, offset, PAGE_BYTES as usize);
        let page = page.map(|page| page.to_vec()).map_err(|error| error.to_string());
        let decoded = match &page {
            Ok(page) => Superblock::decode(page),
            Err(_) => Err(NotASuperblock::Foreign),
        };
        SuperblockCopy { offset, page, decoded }
    })
}

/// Chunks of a clip that no fact speaks of, in one block.
#[derive(Clone, Debug)]
pub struct UnknownClip {
    /// Which clip.
    pub clip: ClipId,
    /// Name of its stream, as the block's header has it.
    pub name: String,
    /// The first of its chunks.
    pub first_page: u32,
    /// How many chunks with samples.
    pub chunks: u32,
    /// Sample tables of the first and the last of them.
    pub tables: [Vec<u8>; 2],
}

/// A clip's table can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoTable {
    /// Where.
    pub block: BlockNumber,
    /// Its first page in the block.
    pub page: u32,
    /// What was found there.
    pub found: String,
}

impl<'a> Inspection<'a> {
    /// Facts that contradict others, each with its words, and with the clip that it speaks of.
    #[must_use]
    pub fn contradictions(&self) -> Vec<(Option<ClipId>, String)> {
        let mut found = Vec::new();
        if self.findings.unreadable_facts == 0 {
            return found;
        }
        let mut space = Space::new(&self.superblock.geometry);
        for fact in &self.facts {
            let Err(contradiction) = space.apply(fact) else { continue };
            let clip = match fact {
                Fact::Extent { clip, .. }
                | Fact::Clip { clip, .. }
                | Fact::TableCopy { clip, .. }
                | Fact::State { clip, .. } => Some(*clip),
                _ => None,
            };
            found.push((clip, contradiction.to_string()));
        }
        found
    }

    /// Which life of a block the facts know.
    #[must_use]
    pub fn life(&self, block: BlockNumber) -> Sequence {
        self.space.life(block).unwrap_or_default()
    }

    /// How many facts hold a block: 0 is free.
    #[must_use]
    pub fn holders(&self, block: BlockNumber) -> u32 {
        self.space.holders(block)
    }

    /// Whether the device refused a write into the block, or to read something of it.
    #[must_use]
    pub fn is_bad(&self, block: BlockNumber) -> bool {
        self.space.is_bad(block)
    }

    /// The blocks that streams go on in.
    pub fn open_blocks(&self) -> impl Iterator<Item = (StreamNumber, Fill)> {
        self.space.open_blocks()
    }

    /// Blocks whose next life may have begun.
    pub fn reserved(&self) -> impl Iterator<Item = (BlockNumber, Sequence)> {
        self.space.reserved()
    }

    /// The free block that is taken next.
    #[must_use]
    pub fn next_free(&self) -> Option<BlockNumber> {
        self.space.next_free()
    }

    /// The chunks of an extent, each tried; see [`ExtentTrial::new`].
    pub fn trial<'b>(
        &'b self,
        extent: &Extent,
        depth: Depth,
        stride: ByteCount,
        pace: &'b mut Pace<'b>,
    ) -> ExtentTrial<'b> {
        ExtentTrial::new(self.reader(), extent, depth, stride, pace)
    }

    /// The parameter set at a page of a block; `None` where there is no sound one of this life.
    ///
    /// # Errors
    /// What the device says.
    pub fn parameter_set(
        &self,
        block: BlockNumber,
        life: Sequence,
        page: u32,
    ) -> io::Result<Option<Arc<[u8]>>> {
        self.reader().parameter_set(block, life, page)
    }

    /// What a table of a clip, or its copy, says; `None` where there is none.
    ///
    /// # Errors
    /// Where a piece of the table is damaged, and what was found there.
    pub fn table(&self, clip: ClipId, table: &[Extent]) -> Result<Option<ClipContents>, NoTable> {
        let mut encoded = Vec::new();
        let Some(first) = table.first() else { return Ok(None) };
        for extent in table {
            encoded.extend(self.table_piece(clip, extent)?);
            if encoded.len() as u64 > TABLE_BYTES_MAX {
                return Err(no_table(extent, format!("more than {TABLE_BYTES_MAX} bytes")));
            }
        }
        let decoded = ClipContents::decode(&encoded);
        decoded.map(Some).map_err(|error| no_table(first, error.to_string()))
    }

    /// The bytes of a clip's table that lie in one of its extents.
    ///
    /// # Errors
    /// They are damaged, and what was found there.
    pub fn table_piece(&self, clip: ClipId, extent: &Extent) -> Result<Vec<u8>, NoTable> {
        let (block, page) = (extent.block, extent.first_page);
        let device = |error: io::Error| no_table(extent, error.to_string());
        let header = self.reader().header_at(block, page);
        let header = header.map_err(device)?.filter(|header| {
            let fixed = &header.fixed;
            (fixed.kind, fixed.life, fixed.clip) == (ChunkKind::Table, extent.life, clip)
        });
        let header = header.ok_or_else(|| no_table(extent, "no header of it".into()))?;
        let at = ChunkAt { page, header };
        let data = self.reader().data_of(block, &at).map_err(device)?;
        data.ok_or_else(|| no_table(extent, "a wrong checksum".into()))
    }

    /// Chunks behind what the facts know, that the next opening for writing will take over.
    ///
    /// # Errors
    /// The device reads nothing at all.
    pub fn behind(&self) -> io::Result<Vec<LeftBehind>> {
        let left = left_behind(self.reader(), &self.space, self.epoch());
        left.map(|(left, _)| left)
    }

    /// The clips in a block's present life that no fact in force speaks of, nor says to be gone,
    /// and whose numbers are above `horizon`.
    ///
    /// # Errors
    /// What the device says.
    pub fn unknown_clips(
        &self,
        block: BlockNumber,
        horizon: Sequence,
        gone: &BTreeSet<ClipId>,
    ) -> io::Result<Vec<UnknownClip>> {
        let whole = walk::whole_block(self.reader(), block)?;
        let Some((header, mut walk)) = whole else { return Ok(Vec::new()) };
        let mut found: BTreeMap<ClipId, UnknownClip> = BTreeMap::new();
        while let Some(at) = walk.step()? {
            let clip = at.header.fixed.clip;
            let known = self.space.clip(clip).is_some() || gone.contains(&clip);
            if at.header.fixed.kind != ChunkKind::Media || known || clip.0 <= horizon {
                continue;
            }
            let unknown = found.entry(clip).or_insert_with(|| UnknownClip {
                clip,
                name: header.name.clone(),
                first_page: at.page,
                chunks: 0,
                tables: [at.header.table.clone(), Vec::new()],
            });
            unknown.chunks += 1;
            unknown.tables[1] = at.header.table;
        }
        Ok(found.into_values().collect())
    }

    /// The highest number that the checkpoint knows: what has a higher one began behind it.
    #[must_use]
    pub fn checkpoint_horizon(&self) -> Sequence {
        let checkpoint = self.facts.iter().take_while(|fact| **fact != Fact::CheckpointEnd);
        checkpoint.map(number_of).max().unwrap_or_default()
    }

    /// The highest number that any fact knows. The life of a block is reserved durably before it
    /// begins: a block with a later one has been told of by a ledger that is lost.
    #[must_use]
    pub fn newest_number(&self) -> Sequence {
        self.facts.iter().map(number_of).max().unwrap_or_default()
    }
}

/// The highest number that a fact names.
fn number_of(fact: &Fact) -> Sequence {
    match fact {
        Fact::Reserved { life, .. } | Fact::Fill { life, .. } => *life,
        Fact::Extent { clip, extent, .. } => clip.0.max(extent.life),
        Fact::Clip { clip, .. }
        | Fact::TableCopy { clip, .. }
        | Fact::State { clip, .. }
        | Fact::Gone { clip, .. } => clip.0,
        _ => Sequence::default(),
    }
}

fn no_table(extent: &Extent, found: String) -> NoTable {
    NoTable { block: extent.block, page: extent.first_page, found }
}
