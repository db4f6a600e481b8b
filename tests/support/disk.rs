//! A disk that forgets: what was flushed is kept apart from what was only written, every write and
//! flush is logged, and a power cut may keep, drop or tear each write that no flush covered.
//!
//! It can also fail chosen reads, writes and flushes, once or for ever, be slow, rot, and be full
//! of what something else left on it. Whatever is left to chance is rolled from a seed.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

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

    /// On a larger disk, as a volume grows.
    pub fn grow(&mut self, length: u64) {
        self.pages.resize(length as usize / PAGE, Page::Blank);
    }

    /// A disk that something else has filled: no page of it means anything.
    pub fn garbage(length: u64, seed: u64) -> Image {
        let mut dice = Dice::new(seed);
        let mut page = || {
            let bytes: Vec<u8> = (0..PAGE).map(|_| dice.roll(256) as u8).collect();
            Page::Bytes(Arc::new(bytes.try_into().expect("a page")))
        };
        let few: Vec<Page> = (0..16).map(|_| page()).collect();
        Image { pages: few.iter().cycle().take(length as usize / PAGE).cloned().collect() }
    }

    /// A copy that shares no page with this one: counting who shares a page costs two threads
    /// more than the pages.
    pub fn unshared(&self) -> Image {
        let copied = |page: &Page| match page {
            Page::Bytes(bytes) => Page::Bytes(Arc::new(**bytes)),
            other => other.clone(),
        };
        Image { pages: self.pages.iter().map(copied).collect() }
    }

    /// Takes over what another image has in the pages from `offset` on.
    fn take_over(&mut self, other: &Image, offset: u64, length: usize) {
        let pages = offset as usize / PAGE..(offset as usize + length).div_ceil(PAGE);
        self.pages[pages.clone()].clone_from_slice(&other.pages[pages]);
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

    /// All bytes; pages that can't be read are zeros.
    pub fn bytes_or_zeros(&self) -> Vec<u8> {
        let mut all = vec![0; self.pages.len() * PAGE];
        for (page, slot) in self.pages.iter().zip(all.chunks_mut(PAGE)) {
            if let Page::Bytes(bytes) = page {
                slot.copy_from_slice(&bytes[..]);
            }
        }
        all
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

    /// The disk after a kill here: everything that was written is there.
    pub fn written(&self) -> Image {
        let mut image = self.flushed.clone();
        for event in &self.waiting {
            if let Event::Write { offset, bytes } = event {
                image.write(*offset, bytes);
            }
        }
        image
    }

    /// A disk whose writer was killed here: all of it reads back, and what no flush has covered
    /// waits in its log for one.
    pub fn killed(&self) -> Arc<Disk> {
        let disk = Disk::from_image(self.written());
        disk.state().log.extend(self.waiting.iter().map(|event| (*event).clone()));
        disk
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

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    Write,
    Flush,
}

/// Operations that touch `range` fail with EIO, `left` times; `u64::MAX` is for ever.
#[derive(Clone, Debug)]
pub struct Fault {
    pub operation: Operation,
    pub range: Range<u64>,
    pub left: u64,
}

/// What a cut would find, and when it comes.
struct Power {
    flushed: Image,
    /// Writes that no flush has covered.
    waiting: Vec<(u64, Arc<Vec<u8>>)>,
    /// Writes and flushes until the power goes.
    left: Option<u64>,
    off: bool,
    dice: Dice,
}

impl Power {
    /// Counts a write or a flush; whether the power is there to do it.
    fn lasts(&mut self) -> bool {
        if let Some(left) = &mut self.left {
            self.off |= *left == 0;
            *left = left.saturating_sub(1);
        }
        !self.off
    }
}

struct State {
    image: Image,
    log: Vec<Event>,
    /// Where the writes went that a failed flush should have covered.
    failed_writes: Vec<u64>,
    /// Where it is set, events are not logged.
    power: Option<Power>,
    faults: Vec<Fault>,
}

impl State {
    fn fails(&mut self, operation: Operation, range: &Range<u64>) -> bool {
        let hit = self.faults.iter_mut().find(|fault| {
            let touched = range.start < fault.range.end && range.end > fault.range.start;
            fault.operation == operation && fault.left > 0 && touched
        });
        let Some(fault) = hit else { return false };
        if fault.left < u64::MAX {
            fault.left -= 1;
        }
        true
    }

    /// Any part of a write that fails may be there.
    fn write_fails(&mut self, offset: u64, bytes: &[u8]) {
        let Some(power) = &mut self.power else { return };
        apply_torn(&mut self.image, offset, bytes, &mut power.dice);
        power.flushed.take_over(&self.image, offset, bytes.len());
    }

    /// What it should have covered may be gone for good, and may be read from a cache all the
    /// same.
    fn flush_fails(&mut self) {
        if let Some(power) = &mut self.power {
            let cached = power.dice.roll(2) == 0;
            for (offset, bytes) in std::mem::take(&mut power.waiting) {
                apply_torn(&mut power.flushed, offset, &bytes, &mut power.dice);
                if !cached {
                    self.image.take_over(&power.flushed, offset, bytes.len());
                }
            }
            return;
        }
        let since = self.log.iter().rev().map_while(|event| match event {
            Event::Write { offset, .. } => Some(*offset),
            Event::Flush => None,
        });
        self.failed_writes.extend(since);
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.image.write(offset, bytes);
        let bytes = Arc::new(bytes.to_vec());
        match &mut self.power {
            Some(power) => power.waiting.push((offset, bytes)),
            None => self.log.push(Event::Write { offset, bytes }),
        }
    }

    fn flush(&mut self) {
        let Some(power) = &mut self.power else { return self.log.push(Event::Flush) };
        for (offset, bytes) in power.waiting.drain(..) {
            power.flushed.take_over(&self.image, offset, bytes.len());
        }
    }
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
    /// How long each operation takes, in microseconds.
    pub slowness: AtomicU64,
    length: u64,
}

fn failure() -> io::Error {
    io::Error::from_raw_os_error(libc::EIO)
}

impl Disk {
    pub fn blank(length: u64) -> Arc<Disk> {
        Disk::from_image(Image::blank(length))
    }

    pub fn from_image(image: Image) -> Arc<Disk> {
        Disk::new(image, None)
    }

    /// A disk that knows at any time what a cut would leave, and does not log.
    pub fn on_power(image: Image, seed: u64) -> Arc<Disk> {
        let (flushed, dice) = (image.clone(), Dice::new(seed));
        let power = Power { flushed, waiting: Vec::new(), left: None, off: false, dice };
        Disk::new(image, Some(power))
    }

    fn new(image: Image, power: Option<Power>) -> Arc<Disk> {
        let length = image.length();
        let (log, failed_writes, faults) = (Vec::new(), Vec::new(), Vec::new());
        Arc::new(Disk {
            state: Mutex::new(State { image, log, failed_writes, power, faults }),
            reads: AtomicU64::new(0),
            watched: Mutex::new(None),
            watched_reads: AtomicU64::new(0),
            failing_flushes: AtomicU64::new(0),
            refusing: Mutex::new(None),
            slowness: AtomicU64::new(0),
            length,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody died")
    }

    pub fn image(&self) -> Image {
        self.state().image.clone()
    }

    pub fn log(&self) -> Vec<Event> {
        self.state().log.clone()
    }

    /// Where the writes went that a failed flush should have covered.
    pub fn failed_writes(&self) -> Vec<u64> {
        self.state().failed_writes.clone()
    }

    pub fn events(&self) -> usize {
        self.state().log.len()
    }

    /// Flips bits of what is on the disk.
    pub fn flip(&self, offset: u64, mask: u8) {
        let mut state = self.state();
        state.image.flip(offset, mask);
        if let Some(power) = &mut state.power {
            power.flushed.flip(offset, mask);
        }
    }

    /// Some of the operations to come fail.
    pub fn fail(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// No operation fails any more.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Operations that were to fail for a time don't any more; those that fail for ever do.
    pub fn heal_for_a_time(&self) {
        self.state().faults.retain(|fault| fault.left == u64::MAX);
    }

    /// Whether a write or a flush may still fail.
    pub fn may_fail(&self) -> bool {
        let fails = |fault: &Fault| fault.left > 0 && fault.operation != Operation::Read;
        self.state().faults.iter().any(fails)
    }

    /// The power goes when so many more writes and flushes have been done.
    pub fn cut_after(&self, events: u64) {
        self.state().power.as_mut().expect("a disk on power").left = Some(events);
    }

    /// The power stays.
    pub fn cut_never(&self) {
        self.state().power.as_mut().expect("a disk on power").left = None;
    }

    /// The power has gone: nothing works any more.
    pub fn is_off(&self) -> bool {
        self.state().power.as_ref().is_some_and(|power| power.off)
    }

    /// What is there when the power is back.
    pub fn after_a_cut(&self, dice: &mut Dice) -> Image {
        let state = self.state();
        let power = state.power.as_ref().expect("a disk on power");
        let mut image = power.flushed.clone();
        for (offset, bytes) in &power.waiting {
            apply_torn(&mut image, *offset, bytes, dice);
        }
        image
    }

    fn take_time(&self) {
        let micros = self.slowness.load(Ordering::Relaxed);
        if micros > 0 {
            std::thread::sleep(Duration::from_micros(micros));
        }
    }
}

impl Device for Disk {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        self.take_time();
        self.reads.fetch_add(1, Ordering::Relaxed);
        let range = offset.0..offset.0 + buffer.len() as u64;
        if let Some(watched) = &*self.watched.lock().unwrap()
            && range.start < watched.end
            && range.end > watched.start
        {
            self.watched_reads.fetch_add(1, Ordering::Relaxed);
        }
        if range.end > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut state = self.state();
        if state.power.as_ref().is_some_and(|power| power.off)
            || state.fails(Operation::Read, &range)
        {
            return Err(failure());
        }
        state.image.read(offset.0, buffer).then_some(()).ok_or_else(failure)
    }

    fn write_at(&self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()> {
        self.take_time();
        assert!(offset.0.is_multiple_of(PAGE as u64), "unaligned write");
        assert!(offset.0 + bytes.len() as u64 <= self.length, "write behind the end");
        let range = offset.0..offset.0 + bytes.len() as u64;
        let refused = self
            .refusing
            .lock()
            .unwrap()
            .as_ref()
            .is_some_and(|refusing| range.start < refusing.end && range.end > refusing.start);
        let mut state = self.state();
        if state.power.as_ref().is_some_and(|power| power.off) {
            return Err(failure());
        }
        if refused || state.fails(Operation::Write, &range) {
            state.write_fails(offset.0, bytes);
            return Err(failure());
        }
        // One that the power goes away under may be there all the same.
        state.write(offset.0, bytes);
        let lasts = state.power.as_mut().is_none_or(Power::lasts);
        lasts.then_some(()).ok_or_else(failure)
    }

    fn flush(&self) -> io::Result<()> {
        self.take_time();
        let mut state = self.state();
        if !state.power.as_mut().is_none_or(Power::lasts) {
            return Err(failure());
        }
        let failing = self.failing_flushes.load(Ordering::Relaxed);
        if failing > 0 || state.fails(Operation::Flush, &(0..self.length)) {
            self.failing_flushes.store(failing.saturating_sub(1), Ordering::Relaxed);
            state.flush_fails();
            return Err(failure());
        }
        state.flush();
        Ok(())
    }

    fn length(&self) -> ByteCount {
        ByteCount(self.length)
    }
}
