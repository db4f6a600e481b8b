//! The log of a ledger that another process writes: what has come since it was read last.

use std::io;

use super::{Ledger, Tail};
use crate::device::{self, AlignedBuffer, Device};
use crate::ring::fact::Fact;
use crate::ring::page::{self, Slot};
use crate::units::{ByteCount, DeviceOffset, PAGE_BYTES};

/// Pages that are looked at together: about what one flush of many streams writes.
const LOOK_PAGES: u32 = 16;

/// Where one who reads a ledger has got to in it.
#[derive(Debug)]
pub struct Log {
    ring_uuid: [u8; 16],
    start: DeviceOffset,
    area_pages: u32,
    generation: u64,
    next_page: u32,
    previous: u32,
    epoch: u64,
    /// The generation of the area's first page when that was last looked at, `None` inside where it
    /// was not a whole page of this ring.
    first: Option<Option<u64>>,
}

/// What a log has that was not read yet.
#[derive(Debug)]
pub enum More {
    /// Nothing, or what is being written at this moment.
    Nothing,
    /// These facts, in their order.
    Facts(Vec<Fact>),
    /// Something that does not follow what was read: a new checkpoint in its place, or pages said
    /// again behind a flush that failed. The ledger has to be read anew.
    Anew,
}

impl Ledger {
    /// What follows is read from its log; nothing of `epoch` or later has been passed over.
    #[must_use]
    pub fn into_log(self, epoch: u64) -> Log {
        let area_pages = self.area_pages();
        let Ledger { ring_uuid, geometry, tail, .. } = self;
        let Tail { area, generation, next_page, previous, .. } = tail;
        let start = geometry.ledger_start(area);
        Log { ring_uuid, start, area_pages, generation, next_page, previous, epoch, first: None }
    }
}

impl Log {
    /// Reads on: one read where nothing has come, and another one of the area's beginning.
    ///
    /// # Errors
    /// What the device says; the same is read again next time.
    pub fn read(&mut self, device: &dyn Device) -> io::Result<More> {
        let mut facts = Vec::new();
        loop {
            let before = self.next_page;
            let pages = LOOK_PAGES.min(self.area_pages.saturating_sub(before));
            if pages > 0 && !self.take(device, pages, &mut facts)? {
                return Ok(More::Anew);
            }
            if self.next_page < before + pages || pages == 0 {
                break;
            }
        }
        match facts.is_empty() {
            false => Ok(More::Facts(facts)),
            true if self.is_filled_anew(device) => Ok(More::Anew),
            true => Ok(More::Nothing),
        }
    }

    /// Takes what follows of so many pages; false where something there does not.
    fn take(&mut self, device: &dyn Device, pages: u32, facts: &mut Vec<Fact>) -> io::Result<bool> {
        let first = self.next_page;
        let offset = self.start + ByteCount(u64::from(first) * PAGE_BYTES);
        let read = read_pages(device, offset, pages)?;
        for (number, bytes) in (first..).zip(read.chunks(PAGE_BYTES as usize)) {
            let Slot::Sealed { header, checksum, records } = page::open(&self.ring_uuid, bytes)
            else {
                continue;
            };
            if header.number != number || header.generation < self.generation {
                continue;
            }
            if header.generation == self.generation && header.epoch < self.epoch {
                // What no flush had covered before a crash, in a place that was passed over since.
                continue;
            }
            let follows = number == self.next_page && header.previous == self.previous;
            if header.generation != self.generation || !follows {
                return Ok(false);
            }
            facts.extend(Fact::records(records).filter_map(|(kind, body)| {
                let fact = Fact::decode(kind, body);
                fact.inspect_err(|error| log::warn!("ledger page {number}: {error}")).ok()
            }));
            self.next_page = number + 1;
            (self.previous, self.epoch) = (checksum, header.epoch);
        }
        Ok(true)
    }

    /// Whether a checkpoint has begun in the place of what was read, or something else is there.
    fn is_filled_anew(&mut self, device: &dyn Device) -> bool {
        // What does not read is no news.
        let Ok(first) = device::read(device, self.start, PAGE_BYTES as usize) else { return false };
        let now = match page::open(&self.ring_uuid, &first) {
            Slot::Sealed { header, .. } => Some(header.generation),
            Slot::Blank | Slot::Torn => None,
        };
        let before = self.first.replace(now);
        now.is_some_and(|now| now > self.generation) || before.is_some_and(|before| before != now)
    }
}

/// Pages one behind another; zeros for those that do not read.
fn read_pages(device: &dyn Device, start: DeviceOffset, pages: u32) -> io::Result<AlignedBuffer> {
    let length = (u64::from(pages) * PAGE_BYTES) as usize;
    let error = match device::read(device, start, length) {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    let mut all = AlignedBuffer::zeroed(length);
    let mut found = false;
    for (number, slot) in (0..).zip(all.chunks_mut(PAGE_BYTES as usize)) {
        let offset = start + ByteCount(number * PAGE_BYTES);
        if let Ok(page) = device::read(device, offset, slot.len()) {
            slot.copy_from_slice(&page);
            found = true;
        }
    }
    if found { Ok(all) } else { Err(error) }
}
