//! The ledger's two areas on the device: appended page by page, never rewritten in place.
//!
//! Each area begins with a checkpoint (all facts in force) and goes on with the log, which is
//! written to both: either alone says everything. When one fills, a new checkpoint is written in
//! the place of the older one, in pieces, beside the running log, and serves once it is complete
//! and flushed.

mod read_on;
mod replay;
mod scan;
mod write;

pub use read_on::{Log, More};
pub use replay::{Findings, LedgerError, Replay};

use std::io;

use super::fact::Fact;
use super::geometry::Geometry;
use super::superblock::Superblock;
use crate::device::{AlignedBuffer, Device};
use crate::units::{ByteCount, PAGE_BYTES};
use write::{Pages, paginate};

/// Read and written at once, in pages: 1 MiB.
const STRIDE_PAGES: usize = 256;

/// Pages that are passed over in a row at most, because they refused to be written or a flush
/// failed: behind as many without a page the area counts as ended. 16 MiB.
const HOLE_PAGES_MAX: u32 = 16 * STRIDE_PAGES as u32;

/// A checkpoint begins when this part of the area is used, in percent: what is left must take the
/// log until it is complete.
const CHECKPOINT_AT_PERCENT: u32 = 60;

/// A checkpoint that was refused is tried again when the log has grown by this part of its area.
const RETRIES_PER_AREA: u32 = 64;

/// A device that fails is asked with patience again after so many flushes in a row.
const FAILURES_PER_TRIAL: u32 = 16;

/// All facts in force may take this part of an area, in percent; beyond it the oldest clips have
/// to go, or the ledger could not turn.
const FACTS_MAX_PERCENT: u64 = 40;

/// Where the next page goes, in one filling of one area.
#[derive(Clone, Debug)]
struct Tail {
    area: usize,
    generation: u64,
    next_page: u32,
    /// Checksum that the next page names.
    previous: u32,
    /// Pages that a flush has covered, and the checksum of the last of them.
    flushed_pages: u32,
    flushed_previous: u32,
    /// Behind the last page that the device has taken: those up to `next_page` are passed over.
    hole_start: u32,
    flushed_hole_start: u32,
    /// Whether the checkpoint at the beginning is complete.
    checkpointed: bool,
}

impl Tail {
    fn empty(area: usize, generation: u64) -> Tail {
        Tail {
            area,
            generation,
            next_page: 0,
            previous: 0,
            flushed_pages: 0,
            flushed_previous: 0,
            hole_start: 0,
            flushed_hole_start: 0,
            checkpointed: false,
        }
    }

    fn flushed(&mut self) {
        self.flushed_pages = self.next_page;
        self.flushed_previous = self.previous;
        self.flushed_hole_start = self.hole_start;
    }

    /// What was written since the last flush counts for nothing. Its place is not used again: a
    /// page of it may be there all the same.
    fn flush_failed(&mut self) {
        self.previous = self.flushed_previous;
        self.flushed_pages = self.next_page;
        self.hole_start = self.flushed_hole_start;
    }

    /// Pages that may be written behind it, in an area of so many.
    fn room(&self, area_pages: u32) -> u32 {
        let hole = self.next_page - self.hole_start;
        if hole > HOLE_PAGES_MAX { 0 } else { area_pages.saturating_sub(self.next_page) }
    }
}

/// A checkpoint that is being written.
#[derive(Debug)]
struct Checkpoint {
    tail: Tail,
    /// Facts of the snapshot, encoded, a page's worth each; the first `written` are on the device.
    records: Vec<Vec<u8>>,
    written: usize,
    /// Facts that have been logged since the snapshot was taken.
    since: Vec<Fact>,
}

/// The ledger, open to append.
#[derive(Debug)]
pub struct Ledger {
    ring_uuid: [u8; 16],
    geometry: Geometry,
    tail: Tail,
    /// Where the log goes a second time: the area that served before. None while a checkpoint is
    /// being written over it.
    mirror: Option<Tail>,
    /// The highest generation that either area has seen: an abandoned checkpoint used one, too.
    generation_max: u64,
    checkpoint: Option<Checkpoint>,
    /// No checkpoint begins before the log is this long, in pages: the last one was refused.
    not_before: u32,
    /// Set by a checkpoint whose last page is written and waits for a flush.
    complete: Option<Tail>,
    /// The checkpoint holds facts that the log beside it lacks.
    stands_in: bool,
    /// Writes and flushes in a row that failed.
    failures: u32,
}

impl Ledger {
    /// Writes a ledger of these facts into both areas, in place of what was there, without a
    /// flush. The last fact is the end of the checkpoint. The ledger goes on behind it.
    ///
    /// # Errors
    /// What the device says.
    pub fn create(
        device: &dyn Device,
        superblock: &Superblock,
        epoch: u64,
        facts: &[Fact],
    ) -> io::Result<Ledger> {
        let blank = AlignedBuffer::zeroed(STRIDE_PAGES * PAGE_BYTES as usize);
        for area in 0..2 {
            let start = superblock.geometry.ledger_start(area);
            for at in (0..superblock.geometry.ledger_area.0).step_by(blank.len()) {
                let left = (superblock.geometry.ledger_area.0 - at).min(blank.len() as u64);
                if left == blank.len() as u64 {
                    device.write_at(start + ByteCount(at), &blank)?;
                } else {
                    let rest = AlignedBuffer::zeroed(left as usize);
                    device.write_at(start + ByteCount(at), &rest)?;
                }
            }
        }
        let mut ledger = Ledger::blank(superblock);
        ledger.append(device, epoch, facts)?;
        Ok(ledger)
    }

    /// A ledger in which nothing is written yet.
    pub fn blank(superblock: &Superblock) -> Ledger {
        Ledger::at(superblock, Tail::empty(0, 2), Some(Tail::empty(1, 1)), 2)
    }

    /// A ledger that goes on at `tail`.
    fn at(superblock: &Superblock, tail: Tail, mirror: Option<Tail>, generation: u64) -> Ledger {
        Ledger {
            ring_uuid: superblock.ring_uuid,
            geometry: superblock.geometry,
            tail,
            mirror,
            generation_max: generation,
            checkpoint: None,
            not_before: 0,
            complete: None,
            stands_in: false,
            failures: 0,
        }
    }

    /// Appends facts as pages, without a flush. Nothing is written for no facts.
    ///
    /// # Errors
    /// What the device says, or that the area is full. The pages count as used in either case.
    /// An error of one copy alone is none: the other serves, and the next checkpoint takes the
    /// place of the one that failed.
    pub fn append(&mut self, device: &dyn Device, epoch: u64, facts: &[Fact]) -> io::Result<()> {
        if facts.is_empty() {
            return Ok(());
        }
        let records = paginate(facts);
        let pages = pages(device, epoch, &self.geometry, &self.ring_uuid, self.failures);
        let served = pages.write(&mut self.tail, &records);
        let copied = self.mirror.as_mut().map(|mirror| pages.write(mirror, &records));
        match (served, copied) {
            (Ok(()), Some(Err(_))) => self.mirror = None,
            (Ok(()), _) => {}
            (Err(error), Some(Ok(()))) => {
                log::error!("ledger: area {} takes no page: {error}", self.tail.area);
                self.tail = self.mirror.take().unwrap_or_else(|| self.tail.clone());
            }
            (Err(error), _) => return Err(error),
        }
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.since.extend_from_slice(facts);
        }
        Ok(())
    }

    /// Whether a checkpoint should begin now.
    #[must_use]
    pub fn wants_checkpoint(&self) -> bool {
        let used = u64::from(self.tail.next_page) * 100;
        let limit = u64::from(self.area_pages()) * u64::from(CHECKPOINT_AT_PERCENT);
        let due = used >= limit || self.mirror.is_none();
        let due = due && self.tail.next_page >= self.not_before;
        due && self.checkpoint.is_none() && self.complete.is_none()
    }

    /// Whether these facts still fit behind the log; where they do not, a checkpoint that holds
    /// them has to take its place.
    #[must_use]
    pub fn has_room_for(&self, facts: &[Fact]) -> bool {
        paginate(facts).len() <= self.tail.room(self.area_pages()) as usize
    }

    /// Begins a checkpoint with all facts in force; logging goes on beside it. One that is under
    /// way is given up.
    pub fn begin_checkpoint(&mut self, facts: &[Fact]) {
        let tail = Tail::empty(1 - self.tail.area, self.generation_max + 1);
        self.mirror = None;
        self.stands_in = false;
        self.generation_max = tail.generation;
        let records = paginate(facts);
        self.checkpoint = Some(Checkpoint { tail, records, written: 0, since: Vec::new() });
    }

    /// Writes a checkpoint with all facts in force, of which the log lacks some: it does not go on
    /// as a second copy when this one serves.
    ///
    /// # Errors
    /// As [`Ledger::advance_checkpoint`].
    pub fn stand_in(&mut self, device: &dyn Device, epoch: u64, facts: &[Fact]) -> io::Result<()> {
        self.begin_checkpoint(facts);
        self.stands_in = true;
        self.advance_checkpoint(device, epoch, usize::MAX)
    }

    /// Writes up to `pages_max` pages of a running checkpoint, and its end where they suffice; the
    /// next flush makes it valid, and [`Ledger::flushed`] has to be called after it.
    ///
    /// # Errors
    /// What the device says; the checkpoint is given up then, and the log goes on where it is.
    pub fn advance_checkpoint(
        &mut self,
        device: &dyn Device,
        epoch: u64,
        pages_max: usize,
    ) -> io::Result<()> {
        let Some(mut checkpoint) = self.checkpoint.take() else { return Ok(()) };
        // Forgotten when it has succeeded.
        self.not_before = self.tail.next_page + self.area_pages() / RETRIES_PER_AREA;
        let Checkpoint { tail, records, written, since } = &mut checkpoint;
        let until = records.len().min(*written + pages_max.max(1));
        let pages = pages(device, epoch, &self.geometry, &self.ring_uuid, self.failures);
        pages.write(tail, &records[*written..until])?;
        *written = until;
        if *written < records.len() {
            self.not_before = 0;
            self.checkpoint = Some(checkpoint);
            return Ok(());
        }
        since.push(Fact::CheckpointEnd);
        pages.write(tail, &paginate(since))?;
        tail.checkpointed = true;
        self.not_before = 0;
        self.complete = Some(checkpoint.tail);
        Ok(())
    }

    /// Whether a checkpoint is being written.
    #[must_use]
    pub fn is_checkpointing(&self) -> bool {
        self.checkpoint.is_some()
    }

    /// A flush has covered everything appended so far: a complete checkpoint takes over.
    pub fn flushed(&mut self) {
        self.failures = 0;
        if let Some(tail) = self.complete.take() {
            log::debug!("ledger: generation {} serves in area {}", tail.generation, tail.area);
            let before = std::mem::replace(&mut self.tail, tail);
            self.mirror = (!self.stands_in).then_some(before);
        }
        self.tail.flushed();
        if let Some(mirror) = &mut self.mirror {
            mirror.flushed();
        }
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.tail.flushed();
        }
    }

    /// A write or a flush failed: what was appended since the last good flush counts as not
    /// written, and a checkpoint that was under way is given up.
    pub fn flush_failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.complete = None;
        self.checkpoint = None;
        self.stands_in = false;
        self.tail.flush_failed();
        if let Some(mirror) = &mut self.mirror {
            mirror.flush_failed();
        }
    }

    /// Bytes that all facts in force may take as records.
    #[must_use]
    pub fn facts_bytes_max(&self) -> u64 {
        self.geometry.ledger_area.0 * FACTS_MAX_PERCENT / 100
    }

    fn area_pages(&self) -> u32 {
        (self.geometry.ledger_area.0 / PAGE_BYTES) as u32
    }
}

fn pages<'a>(
    device: &'a dyn Device,
    epoch: u64,
    geometry: &'a Geometry,
    ring_uuid: &'a [u8; 16],
    failures: u32,
) -> Pages<'a> {
    let patient = failures.is_multiple_of(FAILURES_PER_TRIAL);
    Pages { device, geometry, ring_uuid, epoch, patient }
}
