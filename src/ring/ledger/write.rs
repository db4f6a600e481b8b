//! Pages onto the device: in large writes, and around places that refuse them.

use std::io;

use super::{STRIDE_PAGES, Tail};
use crate::device::{AlignedBuffer, Device};
use crate::ring::fact::Fact;
use crate::ring::page::{self, PageHeader, RECORDS_BYTES_MAX};
use crate::ring::superblock::Geometry;
use crate::units::{ByteCount, PAGE_BYTES};

/// Pages of one write that may refuse it: they are passed over. Beyond it, it is the device that
/// fails.
const REFUSALS_MAX: usize = 4;

/// The area is full: nothing was written. Cannot happen while checkpoints are taken in time.
#[derive(Debug, thiserror::Error)]
#[error("ledger area {area} is full: {pages} pages")]
struct AreaFull {
    area: usize,
    pages: u32,
}

/// Packs facts into pages' worth of records. Each fact fits a page by the limits of its parts.
pub(super) fn paginate(facts: &[Fact]) -> Vec<Vec<u8>> {
    let mut pages = Vec::new();
    let mut current = Vec::with_capacity(RECORDS_BYTES_MAX);
    for fact in facts {
        let before = current.len();
        fact.append_to(&mut current);
        if current.len() > RECORDS_BYTES_MAX {
            let last = current.split_off(before);
            pages.push(std::mem::replace(&mut current, last));
        }
    }
    if !current.is_empty() {
        pages.push(current);
    }
    pages
}

/// Where pages go, and what each of them says.
pub(super) struct Pages<'a> {
    pub device: &'a dyn Device,
    pub geometry: &'a Geometry,
    pub ring_uuid: &'a [u8; 16],
    pub epoch: u64,
}

impl Pages<'_> {
    /// Writes records, a page each, behind `tail`, which moves on.
    ///
    /// # Errors
    /// What the device says, or that the area is full. The pages count as used in either case.
    pub fn write(&self, tail: &mut Tail, records: &[Vec<u8>]) -> io::Result<()> {
        self.check_room(tail, records.len())?;
        for batch in records.chunks(STRIDE_PAGES) {
            let before = tail.clone();
            if self.write_batch(tail, batch).is_err() {
                *tail = before;
                self.write_around(tail, batch)?;
            }
        }
        Ok(())
    }

    fn check_room(&self, tail: &Tail, pages: usize) -> io::Result<()> {
        let area_pages = (self.geometry.ledger_area.0 / PAGE_BYTES) as usize;
        if pages <= tail.room(area_pages as u32) as usize {
            return Ok(());
        }
        let full = AreaFull { area: tail.area, pages: area_pages as u32 };
        Err(io::Error::new(io::ErrorKind::StorageFull, full))
    }

    /// Page by page. Behind one that can't be written the next names the page before it, as if
    /// it had been part of a flush that failed.
    fn write_around(&self, tail: &mut Tail, records: &[Vec<u8>]) -> io::Result<()> {
        let mut refusals = 0;
        for record in records.chunks(1) {
            loop {
                self.check_room(tail, 1)?;
                let previous = tail.previous;
                let Err(error) = self.write_batch(tail, record) else { break };
                tail.previous = previous;
                refusals += 1;
                if refusals > REFUSALS_MAX || !self.device.is_present() {
                    return Err(error);
                }
            }
        }
        if refusals > 0 {
            log::error!("ledger: {refusals} pages of area {} refuse to be written", tail.area);
        }
        Ok(())
    }

    fn write_batch(&self, tail: &mut Tail, batch: &[Vec<u8>]) -> io::Result<()> {
        let mut buffer = AlignedBuffer::zeroed(batch.len() * PAGE_BYTES as usize);
        let offset = ByteCount(u64::from(tail.next_page) * PAGE_BYTES);
        for (records, slot) in batch.iter().zip(buffer.chunks_mut(PAGE_BYTES as usize)) {
            let header = PageHeader {
                generation: tail.generation,
                epoch: self.epoch,
                number: tail.next_page,
                previous: tail.previous,
                flushed_pages: tail.flushed_pages,
                checkpointed: tail.checkpointed,
            };
            let (page, checksum) = page::seal(self.ring_uuid, &header, records);
            slot.copy_from_slice(&page);
            tail.next_page += 1;
            tail.previous = checksum;
        }
        self.device.write_at(self.geometry.ledger_start(tail.area) + offset, &buffer)?;
        tail.hole_start = tail.next_page;
        Ok(())
    }
}
