//! Pages onto the device: in large writes, and around places that refuse them.

use std::io;

use super::{STRIDE_PAGES, Tail};
use crate::device::{AlignedBuffer, Device, is_of_one_place};
use crate::ring::fact::Fact;
use crate::ring::geometry::Geometry;
use crate::ring::page::{self, PageHeader, RECORDS_BYTES_MAX};
use crate::units::{ByteCount, PAGE_BYTES};

/// Refusals in a row after which a device that has just failed is believed to do so again: it may
/// take seconds to refuse. One that was well is asked until the hole is as long as it may be.
const REFUSALS_MAX: u32 = 2;

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
    /// The device was well, and places that refuse are passed over however many they are.
    pub patient: bool,
}

impl Pages<'_> {
    /// Writes records, a page each, behind `tail`, which moves on. What refuses to be written is
    /// passed over, in steps that double: the next page names the one before it, as if it had been
    /// part of a flush that failed. A refusal that is not about a place ends it at once.
    ///
    /// # Errors
    /// What the device says, also where it refuses all of what is left; or that the area is full.
    /// The pages count as used in either case.
    pub fn write(&self, tail: &mut Tail, records: &[Vec<u8>]) -> io::Result<()> {
        self.check_room(tail, records.len())?;
        let mut tried = tail.next_page;
        let written = self.write_around(tail, records, &mut tried);
        if written.is_err() {
            // Any part of a write that was refused may be there.
            tail.next_page = tail.next_page.max(tried);
        }
        written
    }

    /// `tried` becomes the place behind the last that a write was tried at.
    fn write_around(
        &self,
        tail: &mut Tail,
        records: &[Vec<u8>],
        tried: &mut u32,
    ) -> io::Result<()> {
        let (mut rest, mut batch_pages) = (records, STRIDE_PAGES);
        let (mut step, mut in_a_row, mut passed_over) = (1, 0, 0);
        let mut refusal = None;
        while !rest.is_empty() {
            let batch = &rest[..rest.len().min(batch_pages)];
            self.check_room(tail, batch.len()).map_err(|full| refusal.take().unwrap_or(full))?;
            *tried = (*tried).max(tail.next_page + batch.len() as u32);
            let Err(error) = self.write_batch(tail, batch) else {
                rest = &rest[batch.len()..];
                batch_pages = (2 * batch.len()).min(STRIDE_PAGES);
                (step, in_a_row, refusal) = (1, 0, None);
                continue;
            };
            in_a_row += 1;
            let gives_up = !self.patient && in_a_row >= REFUSALS_MAX;
            if gives_up || !is_of_one_place(&error) || !self.device.is_present() {
                return Err(error);
            }
            refusal = Some(error);
            if batch.len() == 1 {
                tail.next_page += step;
                passed_over += step;
                step *= 2;
            }
            batch_pages = 1;
        }
        if passed_over > 0 {
            log::error!("ledger: {passed_over} pages of area {} are passed over", tail.area);
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

    /// Moves `tail` on only where it succeeds.
    fn write_batch(&self, tail: &mut Tail, batch: &[Vec<u8>]) -> io::Result<()> {
        let mut behind = tail.clone();
        let mut buffer = AlignedBuffer::zeroed(batch.len() * PAGE_BYTES as usize);
        let offset = ByteCount(u64::from(tail.next_page) * PAGE_BYTES);
        for (records, slot) in batch.iter().zip(buffer.chunks_mut(PAGE_BYTES as usize)) {
            let header = PageHeader {
                generation: tail.generation,
                epoch: self.epoch,
                number: behind.next_page,
                previous: behind.previous,
                flushed_pages: tail.flushed_pages,
                checkpointed: tail.checkpointed,
            };
            let (page, checksum) = page::seal(self.ring_uuid, &header, records);
            slot.copy_from_slice(&page);
            behind.next_page += 1;
            behind.previous = checksum;
        }
        self.device.write_at(self.geometry.ledger_start(tail.area) + offset, &buffer)?;
        behind.hole_start = behind.next_page;
        *tail = behind;
        Ok(())
    }
}
