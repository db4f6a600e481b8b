//! A disk that forgets: what was flushed is kept apart from what was only written, every write and
//! flush is logged, and a power cut may keep, drop or tear each write that no flush covered.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use reelfs::device::{AlignedBuffer, Device};
use reelfs::units::{ByteCount, DeviceOffset};

const PAGE: usize = 4096;
const SECTOR: usize = 512;

/// Never written, there, or unreadable until it is written again.
#[derive(Clone)]
enum Page {
    Blank,
    Bytes(Arc<[u8; PAGE]>),
    Unreadable,
}

impl Page {
    fn bytes(&mut self) -> &mut [u8; PAGE] {
        if !matches!(self, Page::Bytes(_)) {
            *self = Page::Bytes(Arc::new([0; PAGE]));
        }
        let Page::Bytes(bytes) = self else { unreachable!("made so above") };
        Arc::make_mut(bytes)
    }
}

/// What happened to the disk, in order.
#[derive(Clone)]
pub enum Event {
    Write { offset: u64, bytes: Arc<Vec<u8>> },
    Flush,
}

#[derive(Clone)]
pub struct Image {
    pages: Vec<Page>,
}

impl Image {
    pub fn blank(length: u64) -> Image {
        Image { pages: vec![Page::Blank; length as usize / PAGE] }
    }

    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut at = offset as usize;
        let mut rest = bytes;
        while !rest.is_empty() {
            let within = at % PAGE;
            let take = rest.len().min(PAGE - within);
            let page = self.pages[at / PAGE].bytes();
            page[within..within + take].copy_from_slice(&rest[..take]);
            at += take;
            rest = &rest[take..];
        }
    }

    /// Fills the buffer; false where a page of it can't be read.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> bool {
        assert!(offset.is_multiple_of(PAGE as u64) && buffer.len().is_multiple_of(PAGE));
        let first = offset as usize / PAGE;
        for (index, slot) in buffer.chunks_mut(PAGE).enumerate() {
            match &self.pages[first + index] {
                Page::Bytes(page) => slot.copy_from_slice(&page[..]),
                Page::Blank => slot.fill(0),
                Page::Unreadable => return false,
            }
        }
        true
    }

    /// Makes the page at `offset` unreadable until it is written.
    pub fn spoil(&mut self, offset: u64) {
        self.pages[offset as usize / PAGE] = Page::Unreadable;
    }

    /// The length, in bytes.
    pub fn length(&self) -> u64 {
        (self.pages.len() * PAGE) as u64
    }

    pub fn flip(&mut self, offset: u64, mask: u8) {
        self.pages[offset as usize / PAGE].bytes()[offset as usize % PAGE] ^= mask;
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut all = vec![0; self.pages.len() * PAGE];
        self.read(0, &mut all);
        all
    }
}

/// A generator of repeatable accidents (xorshift64*).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

/// One write under a power cut: there, not there, torn at 512 bytes, or in part unreadable.
fn apply_torn(image: &mut Image, offset: u64, bytes: &[u8], dice: &mut Dice) {
    match dice.roll(5) {
        0 => {}
        1 => image.write(offset, bytes),
        2 => {
            let sectors = dice.roll((bytes.len() / SECTOR) as u64 + 1) as usize;
            image.write(offset, &bytes[..sectors * SECTOR]);
        }
        3 => {
            let pages = dice.roll((bytes.len() / PAGE) as u64 + 1) as usize;
            image.write(offset, &bytes[..pages * PAGE]);
            if pages * PAGE < bytes.len() {
                image.spoil(offset + (pages * PAGE) as u64);
            }
        }
        _ => {
            for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                if dice.roll(2) == 0 {
                    image.write(offset + (index * SECTOR) as u64, sector);
                }
            }
        }
    }
}

/// A cut behind each event of a log in turn: what was flushed is applied once.
pub struct Cuts<'a> {
    flushed: Image,
    waiting: Vec<&'a Event>,
    rest: std::slice::Iter<'a, Event>,
}

impl<'a> Cuts<'a> {
    pub fn new(base: Image, log: &'a [Event]) -> Cuts<'a> {
        Cuts { flushed: base, waiting: Vec::new(), rest: log.iter() }
    }

    /// Goes on by one event; false behind the last.
    pub fn step(&mut self) -> bool {
        let Some(event) = self.rest.next() else { return false };
        self.waiting.push(event);
        if matches!(event, Event::Flush) {
            for event in self.waiting.drain(..) {
                if let Event::Write { offset, bytes } = event {
                    self.flushed.write(*offset, bytes);
                }
            }
        }
        true
    }

    /// The disk after a cut here that kept nothing but what was flushed.
    pub fn flushed(&self) -> Image {
        self.flushed.clone()
    }

    /// The disk after a cut here.
    pub fn image(&self, dice: &mut Dice) -> Image {
        let mut image = self.flushed.clone();
        for event in &self.waiting {
            if let Event::Write { offset, bytes } = event {
                apply_torn(&mut image, *offset, bytes, dice);
            }
        }
        image
    }
}

struct State {
    image: Image,
    log: Vec<Event>,
    /// Where the writes went that a failed flush should have covered.
    failed_writes: Vec<u64>,
}

/// The disk as a device: never forgets while the power is on.
pub struct Disk {
    state: Mutex<State>,
    pub reads: AtomicU64,
    pub watched: Mutex<Option<Range<u64>>>,
    pub watched_reads: AtomicU64,
    /// How many of the next flushes fail; what they should have covered may be gone for good.
    pub failing_flushes: AtomicU64,
    /// Writes that touch this range fail.
    pub refusing: Mutex<Option<Range<u64>>>,
    length: u64,
}

impl Disk {
    pub fn blank(length: u64) -> Arc<Disk> {
        Disk::from_image(Image::blank(length))
    }

    pub fn from_image(image: Image) -> Arc<Disk> {
        let length = (image.pages.len() * PAGE) as u64;
        Arc::new(Disk {
            state: Mutex::new(State { image, log: Vec::new(), failed_writes: Vec::new() }),
            reads: AtomicU64::new(0),
            watched: Mutex::new(None),
            watched_reads: AtomicU64::new(0),
            failing_flushes: AtomicU64::new(0),
            refusing: Mutex::new(None),
            length,
        })
    }

    pub fn image(&self) -> Image {
        self.state.lock().unwrap().image.clone()
    }

    pub fn log(&self) -> Vec<Event> {
        self.state.lock().unwrap().log.clone()
    }

    /// Where the writes went that a failed flush should have covered.
    pub fn failed_writes(&self) -> Vec<u64> {
        self.state.lock().unwrap().failed_writes.clone()
    }

    pub fn events(&self) -> usize {
        self.state.lock().unwrap().log.len()
    }

    pub fn flip(&self, offset: u64, mask: u8) {
        self.state.lock().unwrap().image.flip(offset, mask);
    }
}

impl Device for Disk {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if let Some(range) = &*self.watched.lock().unwrap()
            && offset.0 < range.end
            && offset.0 + buffer.len() as u64 > range.start
        {
            self.watched_reads.fetch_add(1, Ordering::Relaxed);
        }
        if offset.0 + buffer.len() as u64 > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let read = self.state.lock().unwrap().image.read(offset.0, buffer);
        read.then_some(()).ok_or_else(|| io::Error::from_raw_os_error(libc::EIO))
    }

    fn write_at(&self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()> {
        assert!(offset.0.is_multiple_of(PAGE as u64), "unaligned write");
        assert!(offset.0 + bytes.len() as u64 <= self.length, "write behind the end");
        let refused = self.refusing.lock().unwrap().as_ref().is_some_and(|range| {
            offset.0 < range.end && offset.0 + bytes.len() as u64 > range.start
        });
        if refused {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        let mut state = self.state.lock().unwrap();
        state.image.write(offset.0, bytes);
        state.log.push(Event::Write { offset: offset.0, bytes: Arc::new(bytes.to_vec()) });
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let failing = self.failing_flushes.load(Ordering::Relaxed);
        if failing > 0 {
            self.failing_flushes.store(failing - 1, Ordering::Relaxed);
            let mut state = self.state.lock().unwrap();
            let since = state.log.iter().rev().map_while(|event| match event {
                Event::Write { offset, .. } => Some(*offset),
                Event::Flush => None,
            });
            let since: Vec<u64> = since.collect();
            state.failed_writes.extend(since);
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        self.state.lock().unwrap().log.push(Event::Flush);
        Ok(())
    }

    fn length(&self) -> ByteCount {
        ByteCount(self.length)
    }
}
