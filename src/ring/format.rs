//! Making a ring: superblocks, and a ledger with nothing in it.

use super::disk_label::DiskLabel;
use super::error::RingError;
use super::fact::Fact;
use super::geometry::{Geometry, SUPERBLOCK_AREA};
use super::ledger::Ledger;
use super::superblock::Superblock;
use super::types::ClockFact;
use crate::clock::Reading;
use crate::device::{AlignedBuffer, Device};
use crate::units::{ByteCount, DeviceOffset, PAGE_BYTES, SessionNumber};

/// What a new ring is to be.
#[derive(Clone, Debug)]
pub struct FormatOptions {
    /// Block size, in bytes; chosen by the length of the device where it is `None`.
    pub block_length: Option<u64>,
    /// A name for people.
    pub label: String,
    /// Random: this ring, and the machine.
    pub ring_uuid: [u8; 16],
    /// The machine that formats it.
    pub node_uuid: [u8; 16],
    /// The set of rings that it belongs to; `None`: it is the only one of its own.
    pub pool_uuid: Option<[u8; 16]>,
    /// Now.
    pub now: Reading,
    /// What is to tell other programs that the whole disk is taken, where it is one.
    pub disk_label: Option<DiskLabel>,
}

/// Makes a ring on a device. Whatever was there is gone.
///
/// # Errors
/// The size does not suit, or the device failed; no valid superblock is left behind then.
pub fn format(device: &dyn Device, options: &FormatOptions) -> Result<Superblock, RingError> {
    let geometry = Geometry::plan(device.length(), options.block_length)?;
    let superblock = Superblock {
        node_uuid: options.node_uuid,
        pool_uuid: options.pool_uuid.unwrap_or(options.ring_uuid),
        created: options.now.wall,
        label: options.label.clone(),
        disk_label: options.disk_label,
        ..Superblock::alone(options.ring_uuid, geometry)
    };
    let clock = ClockFact::from(&options.now);
    let facts =
        [Fact::Session { number: SessionNumber(1), clock }, Fact::Clean, Fact::CheckpointEnd];
    let written = || -> std::io::Result<()> {
        // Marks of other file systems and partition tables, at both ends.
        let blank = AlignedBuffer::zeroed(SUPERBLOCK_AREA.0 as usize);
        device.write_at(DeviceOffset(0), &blank)?;
        device.write_at(DeviceOffset(device.length().0 - SUPERBLOCK_AREA.0), &blank)?;
        Ledger::create(device, &superblock, 0, &facts)?;
        device.flush()?;
        let page = AlignedBuffer::from_bytes(&superblock.encode());
        let [first, copies @ ..] = geometry.superblock_places();
        for copy in copies {
            device.write_at(copy, &page)?;
        }
        device.flush()?;
        device.write_at(first, &page)?;
        device.flush()
    };
    written().map_err(|source| RingError::Device { what: "formatting".into(), source })?;
    Ok(superblock)
}

/// The part of a ring that is not blocks, in bytes: superblocks and ledger.
#[must_use]
pub fn overhead(geometry: &Geometry) -> ByteCount {
    let blocks = u64::from(geometry.block_count) * geometry.block_length.0;
    ByteCount(geometry.length.0 - blocks)
}

/// Length of a block's header, in bytes.
pub const BLOCK_HEADER_BYTES: u64 = PAGE_BYTES;
