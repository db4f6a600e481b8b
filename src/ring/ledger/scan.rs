//! Reading an area: which of its pages belong to the log.

use std::io;
use std::ops::Range;

use super::{Findings, STRIDE_PAGES, Tail};
use crate::device::{AlignedBuffer, Device};
use crate::ring::fact::Fact;
use crate::ring::page::{self, PageHeader, Slot};
use crate::ring::superblock::Superblock;
use crate::units::{ByteCount, DeviceOffset, PAGE_BYTES};

/// Pages of one generation of an area, as they were found.
pub(super) struct Scan {
    pub(super) generation: u64,
    strides: Vec<AlignedBuffer>,
    accepted: Vec<u32>,
    pub(super) tail: Tail,
    pub(super) epoch: u64,
    pub(super) findings: Findings,
}

/// Reads the pages of one area, as far as its generation goes; `None` where it holds none.
pub(super) fn scan(
    device: &dyn Device,
    superblock: &Superblock,
    area: usize,
) -> io::Result<Option<Scan>> {
    let geometry = &superblock.geometry;
    let start = geometry.ledger_start(area);
    let mut pages: Vec<Seen> = Vec::new();
    let mut strides = Vec::new();
    let mut generation = None;
    let area_bytes = geometry.ledger_area.0;
    let stride_bytes = STRIDE_PAGES as u64 * PAGE_BYTES;
    for at in (0..area_bytes).step_by(stride_bytes as usize) {
        let range = at..(at + stride_bytes).min(area_bytes);
        let stride = read_stride(device, start, &range)?;
        let first = (at / PAGE_BYTES) as u32;
        let before = pages.len();
        for (index, bytes) in stride.chunks(PAGE_BYTES as usize).enumerate() {
            let Slot::Sealed { header, checksum, .. } = page::open(&superblock.ring_uuid, bytes)
            else {
                continue;
            };
            let number = first + index as u32;
            let wanted = *generation.get_or_insert(header.generation);
            if header.generation > wanted && at == 0 {
                // A page of the filling before stood first only because page 0 is rotten.
                generation = Some(header.generation);
                pages.clear();
            }
            if Some(header.generation) == generation && header.number == number {
                pages.push(Seen { header, checksum });
            }
        }
        strides.push(stride);
        if pages.len() == before {
            break;
        }
    }
    let Some(generation) = generation else { return Ok(None) };
    Ok(Some(accept(area, generation, strides, &pages)))
}

fn read_stride(
    device: &dyn Device,
    start: DeviceOffset,
    range: &Range<u64>,
) -> io::Result<AlignedBuffer> {
    let length = (range.end - range.start) as usize;
    match crate::device::read(device, start + ByteCount(range.start), length) {
        Ok(buffer) => Ok(buffer),
        Err(error) => {
            // One bad sector must not take a megabyte of pages with it: page by page, and what
            // can't be read stays zeros, which is a rotten page to the caller.
            log::warn!("ledger: {error}; reading page by page");
            let mut buffer = AlignedBuffer::zeroed(length);
            let mut readable = false;
            for (index, slot) in buffer.chunks_mut(PAGE_BYTES as usize).enumerate() {
                let offset = ByteCount(range.start + index as u64 * PAGE_BYTES);
                if let Ok(page) = crate::device::read(device, start + offset, slot.len()) {
                    slot.copy_from_slice(&page);
                    readable = true;
                }
            }
            if readable { Ok(buffer) } else { Err(error) }
        }
    }
}

#[derive(Clone, Copy)]
struct Seen {
    header: PageHeader,
    checksum: u32,
}

/// Decides which pages belong to the log. A gap before pages of the last epoch is a torn tail: no
/// flush had covered them. A gap before an earlier epoch is rot.
fn accept(area: usize, generation: u64, strides: Vec<AlignedBuffer>, pages: &[Seen]) -> Scan {
    let epoch_max = pages.iter().map(|page| page.header.epoch).max().unwrap_or(0);
    let mut findings =
        Findings { pages_read: (strides.len() * STRIDE_PAGES) as u32, ..Findings::default() };
    let mut accepted: Vec<u32> = Vec::with_capacity(pages.len());
    let mut tail = Tail { area, generation, next_page: 0, previous: 0 };
    let mut epoch = 0;
    for seen in pages {
        let header = &seen.header;
        let gap = header.number != tail.next_page;
        let stale = header.epoch < epoch || (!gap && header.previous != tail.previous);
        if stale {
            break;
        }
        if gap {
            if header.epoch == epoch_max {
                findings.torn_tail += 1;
                continue;
            }
            findings.rotten.extend((tail.next_page..header.number).map(|page| (area, page)));
        }
        epoch = header.epoch;
        accepted.push(header.number);
        tail.next_page = header.number + 1;
        tail.previous = seen.checksum;
    }
    Scan { generation, strides, accepted, tail, epoch, findings }
}

pub(super) fn facts_of(scan: &Scan) -> (Vec<Fact>, u32) {
    let mut facts = Vec::new();
    let mut unreadable = 0;
    for number in &scan.accepted {
        let stride = &scan.strides[*number as usize / STRIDE_PAGES];
        let at = (*number as usize % STRIDE_PAGES) * PAGE_BYTES as usize;
        let bytes = &stride[at..at + PAGE_BYTES as usize];
        let uuid = page::ring_uuid(bytes);
        let Slot::Sealed { records, .. } = page::open(&uuid, bytes) else { continue };
        for (kind, body) in Fact::records(records) {
            match Fact::decode(kind, body) {
                Ok(Some(fact)) => facts.push(fact),
                Ok(None) => unreadable += 1,
                Err(error) => {
                    log::warn!("ledger page {number}: {error}");
                    unreadable += 1;
                }
            }
        }
    }
    (facts, unreadable)
}
