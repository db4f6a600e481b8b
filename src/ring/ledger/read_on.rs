//! The log of a ledger that another process writes: what has come since it was read last.

use std::io;

use super::scan::{Around, read_around};
use super::{Ledger, Replay};
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
    area_pages: u32,
    /// What is read on.
    own: Place,
    /// The generation of its first page when that was looked at last; `None` inside where that was
    /// no page of this ring.
    first: Option<Option<u64>>,
    /// Checksum of the last page that was read, and its epoch.
    previous: u32,
    epoch: u64,
    /// How far the other area was filled.
    other: Place,
}

/// How far an area was read.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: DeviceOffset,
    generation: u64,
    next_page: u32,
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

impl Replay {
    /// What follows is read from the log.
    #[must_use]
    pub fn into_log(self) -> Log {
        let area_pages = self.ledger.area_pages();
        let Ledger { ring_uuid, geometry, tail, .. } = self.ledger;
        let place = |area, generation, next_page| {
            let start = geometry.ledger_start(area);
            Place { start, generation, next_page }
        };
        let other = self.ends.iter().find(|(area, ..)| *area != tail.area);
        let (_, generation, next_page) = other.copied().unwrap_or_default();
        Log {
            ring_uuid,
            area_pages,
            own: place(tail.area, tail.generation, tail.next_page),
            first: None,
            previous: tail.previous,
            epoch: self.epoch,
            other: place(1 - tail.area, generation, next_page),
        }
    }
}

impl Log {
    /// Reads on: one read where nothing has come.
    ///
    /// # Errors
    /// What the device says; the same is read again next time.
    pub fn read(&mut self, device: &dyn Device) -> io::Result<More> {
        let mut facts = Vec::new();
        loop {
            let before = self.own.next_page;
            let pages = self.pages_to_look_at(before);
            if pages > 0 && !self.take(device, pages, &mut facts)? {
                return Ok(More::Anew);
            }
            if self.own.next_page < before + pages || pages == 0 {
                break;
            }
        }
        Ok(if facts.is_empty() { More::Nothing } else { More::Facts(facts) })
    }

    /// Whether the ledger goes on where the log does not: a checkpoint has begun in its place, or
    /// its area takes no page any more, and the other one does.
    pub fn goes_on_elsewhere(&mut self, device: &dyn Device) -> bool {
        let first = self.first_generation(device, self.own.start);
        let before = self.first.replace(first);
        let is_filled_anew = first.is_some_and(|generation| generation > self.own.generation);
        // Also where it is no page of this ring any more.
        if is_filled_anew || before.is_some_and(|before| before != first) {
            return true;
        }
        let generation = self.first_generation(device, self.other.start).unwrap_or_default();
        if generation != self.other.generation {
            self.other = Place { generation, next_page: 0, ..self.other };
        }
        let mut is_newer = false;
        loop {
            let before = self.other.next_page;
            let pages = self.pages_to_look_at(before);
            // What does not read is no news.
            let Ok(read) = read_pages(device, self.other.page(before), pages) else { break };
            for (number, bytes) in (before..).zip(read.chunks(PAGE_BYTES as usize)) {
                if let Slot::Sealed { header, .. } = page::open(&self.ring_uuid, bytes)
                    && (header.number, header.generation) == (number, generation)
                {
                    self.other.next_page = number + 1;
                    is_newer |= header.checkpointed && header.epoch > self.epoch;
                }
            }
            if self.other.next_page == before {
                break;
            }
        }
        is_newer
    }

    fn first_generation(&self, device: &dyn Device, start: DeviceOffset) -> Option<u64> {
        let first = device::read(device, start, PAGE_BYTES as usize).ok()?;
        match page::open(&self.ring_uuid, &first) {
            Slot::Sealed { header, .. } => Some(header.generation),
            Slot::Blank | Slot::Torn => None,
        }
    }

    fn pages_to_look_at(&self, from: u32) -> u32 {
        LOOK_PAGES.min(self.area_pages.saturating_sub(from))
    }

    /// Takes what follows of so many pages; false where something there does not.
    fn take(&mut self, device: &dyn Device, pages: u32, facts: &mut Vec<Fact>) -> io::Result<bool> {
        let Place { generation, next_page: first, .. } = self.own;
        let read = read_pages(device, self.own.page(first), pages)?;
        for (number, bytes) in (first..).zip(read.chunks(PAGE_BYTES as usize)) {
            let Slot::Sealed { header, checksum, records } = page::open(&self.ring_uuid, bytes)
            else {
                continue;
            };
            if header.number != number || header.generation < generation {
                continue;
            }
            if header.generation == generation && header.epoch < self.epoch {
                // What no flush had covered before a crash, in a place that was passed over since.
                continue;
            }
            let follows = number == self.own.next_page && header.previous == self.previous;
            if header.generation != generation || !follows {
                return Ok(false);
            }
            facts.extend(Fact::records(records).filter_map(|(kind, body)| {
                let fact = Fact::decode(kind, body);
                fact.inspect_err(|error| log::warn!("ledger page {number}: {error}")).ok()
            }));
            self.own.next_page = number + 1;
            (self.previous, self.epoch) = (checksum, header.epoch);
        }
        Ok(true)
    }
}

impl Place {
    fn page(&self, number: u32) -> DeviceOffset {
        self.start + ByteCount(u64::from(number) * PAGE_BYTES)
    }
}

/// Pages one behind another; zeros for those that do not read, where others do.
fn read_pages(device: &dyn Device, start: DeviceOffset, pages: u32) -> io::Result<AlignedBuffer> {
    let Around { bytes, error, is_empty } =
        read_around(device, start, (u64::from(pages) * PAGE_BYTES) as usize);
    match error {
        Some(error) if is_empty => Err(error),
        _ => Ok(bytes),
    }
}
