//! Looking at a ring without opening it: nothing is written, also while a daemon records.

use std::sync::Arc;

use super::block::BlockHeader;
use super::blocks::{BlockReader, ChunkAt};
use super::chunk::{self, ChunkKind};
use super::error::RingError;
use super::fact::Fact;
use super::found::{read_ledger, read_superblock};
use super::ledger::Findings;
use super::space::{ClipRecord, Space};
use super::superblock::Superblock;
use super::types::{ChunkPlace, Extent, Usage};
use super::walk;
use crate::device::Device;
use crate::units::{BlockNumber, ClipId, EventId, Sequence, StreamNumber, WallTime};

/// A ring as it stands on the device.
pub struct Inspection<'a> {
    pub(super) device: &'a dyn Device,
    /// What the ring is.
    pub superblock: Superblock,
    /// The first superblock is damaged.
    pub superblock_from_copy: bool,
    /// The ledger's facts, in their order.
    pub facts: Vec<Fact>,
    /// What the ledger said of itself.
    pub findings: Findings,
    epoch: u64,
    pub(super) space: Space,
}

/// What a block is in use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockUse {
    /// Nothing refers to it.
    Free,
    /// Its next life may begin.
    Reserved,
    /// A stream goes on in it.
    Open,
    /// Clips are in it.
    Filled,
    /// The device refused a write, or to read something of it.
    Bad,
}

/// A block, from the facts and its header.
#[derive(Clone, Debug)]
pub struct BlockSummary {
    /// Which.
    pub block: BlockNumber,
    /// What it is in use for.
    pub used_for: BlockUse,
    /// The life that the facts know.
    pub life: Sequence,
    /// How many facts refer to it.
    pub holders: u32,
    /// Its header, where it has one that is sound.
    pub header: Option<BlockHeader>,
}

/// A chunk with what its checksums say.
#[derive(Clone, Debug)]
pub struct ChunkReport {
    /// Its first page in the block.
    pub page: u32,
    /// What it holds.
    pub kind: ChunkKind,
    /// Its clip.
    pub clip: ClipId,
    /// Its stream.
    pub stream: StreamNumber,
    /// Its number in the clip.
    pub number_in_clip: u32,
    /// Opaque sample table.
    pub table: Vec<u8>,
    /// The samples.
    pub data: Vec<u8>,
    /// BLAKE3 that the header gives.
    pub digest: [u8; 32],
    /// Units of the samples whose checksum is wrong.
    pub damaged_units: Vec<usize>,
    /// Whether the digest is that of the samples.
    pub digest_matches: bool,
}

impl<'a> Inspection<'a> {
    /// Reads superblock and ledger.
    ///
    /// # Errors
    /// See [`RingError`].
    pub fn open(device: &'a dyn Device) -> Result<Inspection<'a>, RingError> {
        let (superblock, superblock_from_copy) = read_superblock(device)?;
        let (space, replay) = read_ledger(device, &superblock)?;
        Ok(Inspection {
            device,
            superblock,
            superblock_from_copy,
            epoch: replay.epoch,
            facts: replay.facts,
            findings: replay.findings,
            space,
        })
    }

    pub(super) fn reader(&self) -> BlockReader<'_> {
        BlockReader::new(self.device, &self.superblock)
    }

    /// All clips that the facts know, oldest first; those that grow have no state.
    pub fn clips(&self) -> impl Iterator<Item = (ClipId, &ClipRecord)> {
        self.space.clips()
    }

    /// All streams with their facts.
    pub fn streams(&self) -> impl Iterator<Item = (StreamNumber, &[u8])> {
        self.space.streams().map(|(stream, fact)| (stream, &**fact))
    }

    /// Observations, oldest first.
    pub fn observations(&self) -> impl Iterator<Item = (StreamNumber, WallTime, WallTime, &[u8])> {
        self.space.observations()
    }

    /// What sources say of streams: of each event the last that was said.
    pub fn events(&self) -> impl Iterator<Item = (StreamNumber, EventId, &Arc<[u8]>)> {
        self.space.events().iter().map(|(stream, event, _, fact)| (stream, event, fact))
    }

    /// How full the ring is.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.space.usage()
    }

    /// Whether the last session ended in order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.space.is_clean()
    }

    /// The last session.
    #[must_use]
    pub fn session(&self) -> crate::units::SessionNumber {
        self.space.session()
    }

    /// The highest epoch of any page of the ledger.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether a chunk of a clip lies at a place.
    #[must_use]
    pub fn has_chunk(&self, clip: ClipId, place: &ChunkPlace) -> bool {
        let header = self.reader().header_at(place.block, place.first_page);
        header.is_ok_and(|header| {
            header.is_some_and(|header| {
                let fixed = &header.fixed;
                fixed.life == place.life
                    && fixed.clip == clip
                    && fixed.data_length == place.data_length
            })
        })
    }

    /// A block, from the facts and its header.
    ///
    /// # Errors
    /// The device failed.
    pub fn block(&self, block: BlockNumber) -> Result<BlockSummary, RingError> {
        let header = self.reader().block_header(block).map_err(|source| failed(block, source))?;
        let open = self.space.open_blocks().any(|(_, fill)| fill.block == block);
        let reserved = self.space.reserved().any(|(reserved, _)| reserved == block);
        let holders = self.space.holders(block);
        let used_for = match holders {
            _ if self.space.is_bad(block) => BlockUse::Bad,
            0 => BlockUse::Free,
            _ if open => BlockUse::Open,
            _ if reserved => BlockUse::Reserved,
            _ => BlockUse::Filled,
        };
        Ok(BlockSummary {
            block,
            used_for,
            life: self.space.life(block).unwrap_or_default(),
            holders,
            header: header.map(|(header, _)| header),
        })
    }

    /// The chunks of a block's present life, with their checksums tried.
    ///
    /// # Errors
    /// The device failed.
    pub fn chunks(&self, block: BlockNumber) -> Result<Vec<ChunkReport>, RingError> {
        let fail = |source| failed(block, source);
        let whole = walk::whole_block(self.reader(), block).map_err(fail)?;
        let Some((_, mut walk)) = whole else { return Ok(Vec::new()) };
        let mut reports = Vec::new();
        while let Some(at) = walk.step().map_err(fail)? {
            reports.push(self.report(block, at).map_err(fail)?);
        }
        Ok(reports)
    }

    /// Hands out the chunks of an extent whose tables are wanted, with their checksums tried, until
    /// `give` wants no more. Ends where a header can't be read.
    ///
    /// # Errors
    /// The device failed.
    pub fn each_chunk(
        &self,
        extent: &Extent,
        wanted: impl Fn(&[u8]) -> bool,
        mut give: impl FnMut(ChunkReport) -> bool,
    ) -> Result<(), RingError> {
        let (block, life) = (extent.block, extent.life);
        let fail = |source| failed(block, source);
        let (page, number) = (extent.first_page, extent.first_chunk);
        let reader = self.reader();
        let mut walk = walk::Walk { reader, block, life, page, number, predecessor: None };
        for _ in 0..extent.chunks {
            let Some(at) = walk.step().map_err(fail)? else { break };
            if at.header.fixed.kind == ChunkKind::Media
                && wanted(&at.header.table)
                && !give(self.report(block, at).map_err(fail)?)
            {
                break;
            }
        }
        Ok(())
    }

    fn report(&self, block: BlockNumber, at: ChunkAt) -> std::io::Result<ChunkReport> {
        let fixed = &at.header.fixed;
        let data = at.data_in(&self.reader().whole_chunk(block, &at)?).to_vec();
        let units = data.chunks(chunk::UNIT_BYTES as usize).zip(&at.header.unit_checksums);
        let damaged_units = units
            .enumerate()
            .filter(|(_, (unit, expected))| crc32c::crc32c(unit) != **expected)
            .map(|(index, _)| index)
            .collect();
        Ok(ChunkReport {
            page: at.page,
            kind: fixed.kind,
            clip: fixed.clip,
            stream: fixed.stream,
            number_in_clip: fixed.number_in_clip,
            digest: fixed.digest,
            damaged_units,
            digest_matches: *blake3::hash(&data).as_bytes() == fixed.digest,
            table: at.header.table,
            data,
        })
    }
}

fn failed(block: BlockNumber, source: std::io::Error) -> RingError {
    RingError::Device { what: format!("reading block {block}"), source }
}
