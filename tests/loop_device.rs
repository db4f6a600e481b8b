//! A ring on a real block device: a loop device over a file. Direct I/O, one owner, round and
//! round while readers read, and a kill in between.
//!
//! Needs root, as CI has it; without it a test says so and fails.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reelfs::device::{Access, Device, FileDevice, OpenError};
use reelfs::ring::{FormatOptions, NewChunk, ReadError, Ring, Settings, Writer, format};
use reelfs::units::{ByteCount, ClipId, StreamNumber};
use support::disk::Dice;
use support::memory::{Memory, Still};

const MIB: u64 = 1 << 20;
const RING_BYTES: u64 = 24 * MIB;

/// A loop device; detached when dropped, also by a panic.
struct Loop {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Loop {
    fn new() -> Loop {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("ring");
        FileDevice::create(&file, ByteCount(RING_BYTES), true).expect("a file");
        let file = file.to_str().expect("a plain name");
        let mut command = Command::new("losetup");
        command.args(["--find", "--show", "--direct-io=on", file]);
        let output = command.output().expect("losetup is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "losetup (it needs root): {said}");
        let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        Loop { path, _directory: directory }
    }

    fn device(&self) -> FileDevice {
        let device = FileDevice::open(&self.path, Access::Exclusive).expect("it is ours");
        assert!(device.is_direct(), "a block device takes direct I/O");
        assert_eq!(device.length(), ByteCount(RING_BYTES));
        device
    }

    fn formatted() -> Loop {
        let this = Loop::new();
        let options = FormatOptions {
            block_length: Some(MIB),
            label: "loop".into(),
            ring_uuid: [4; 16],
            node_uuid: [2; 16],
            pool_uuid: None,
            now: Still::at(1_000).0,
            disk_label: None,
        };
        format(&this.device(), &options).expect("it is large enough");
        this
    }

    fn open(&self) -> (Arc<Ring>, Writer, Memory) {
        let memory = Memory::default();
        let settings = Settings { flush_interval: Duration::from_millis(50), wipe: false };
        let clock = Arc::new(Still::at(2_000));
        let device: Arc<dyn Device> = Arc::new(self.device());
        let (ring, writer, _) =
            Ring::open(device, clock, &settings, Box::new(memory.clone())).expect("it opens");
        (ring, writer, memory)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.path).status();
    }
}

/// Samples that say whose they are: a reader can tell a wrong byte without a copy.
fn samples(clip: ClipId, number: u64, length: usize) -> Vec<u8> {
    let mut dice = Dice::new(clip.number() << 8 | number);
    let word = [dice.roll(1 << 31), dice.roll(1 << 31)].map(u64::to_le_bytes).concat();
    (0..length).map(|at| word[at % 16] ^ (at >> 4) as u8).collect()
}

fn chunk(clip: ClipId, stream: u32, data: Vec<u8>) -> NewChunk {
    NewChunk {
        clip,
        stream: StreamNumber(stream),
        parameters: vec![Arc::from(&b"parameters"[..])],
        table: Arc::from(&b"table"[..]),
        data,
    }
}

/// Writes clips of three chunks until `bytes` have been handed in.
fn record(writer: &Writer, bytes: u64, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut written = 0;
    while written < bytes {
        let stream = 1 + dice.roll(2) as u32;
        let clip = writer.new_clip();
        for number in 0..3 {
            // Shorter than a block's rest at times, so that no chunk is divided.
            let length = 100 * (1 + dice.roll(900) as usize);
            written += length as u64;
            let data = samples(clip, number, length);
            while writer.append(chunk(clip, stream, data.clone())).is_err() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        writer.end_clip(clip, 0, None);
    }
}

/// Reads a clip; false where it went meanwhile. Never other bytes than were written.
fn read_clip(ring: &Ring, clip: ClipId) -> bool {
    let contents = match ring.contents(clip) {
        Ok(contents) => contents,
        Err(ReadError::Gone(_)) => return false,
        // Its header was overwritten between the look at the facts and the read.
        Err(ReadError::Damaged(_)) if ring.contents(clip).is_err() => return false,
        Err(error) => panic!("clip {clip}: {error}"),
    };
    let mut all = Vec::new();
    for chunk in &contents.chunks {
        match ring.read(clip, &chunk.place, 0..u32::MAX) {
            Ok(read) => all.extend_from_slice(&read),
            Err(ReadError::Gone(_)) => return false,
            Err(error) => panic!("clip {clip}: {error}"),
        }
    }
    let mut rest = all.as_slice();
    for number in 0..3 {
        let wanted = samples(clip, number, rest.len().min(90_000));
        let same = wanted.iter().zip(rest).take_while(|(a, b)| a == b).count();
        rest = &rest[same / 100 * 100..];
    }
    assert!(rest.is_empty(), "clip {clip}: {} of {} bytes are others", rest.len(), all.len());
    true
}

#[test]
fn a_ring_on_a_block_device_turns_many_times_and_no_reader_sees_a_wrong_byte() {
    let device = Loop::formatted();
    let (ring, writer, memory) = device.open();
    let (over, read) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for seed in 1..=2 {
            let (ring, memory, over, read) = (&ring, &memory, &over, &read);
            scope.spawn(move || {
                let mut dice = Dice::new(seed);
                while !over.load(Ordering::Relaxed) {
                    let closed: Vec<ClipId> =
                        memory.0.lock().expect("alive").closed.keys().copied().collect();
                    if closed.is_empty() {
                        std::thread::sleep(Duration::from_millis(1));
                        continue;
                    }
                    // The oldest are about to go.
                    let among = closed.len().div_ceil(1 + dice.roll(4) as usize) as u64;
                    let clip = closed[dice.roll(among) as usize];
                    read.fetch_add(u64::from(read_clip(ring, clip)), Ordering::Relaxed);
                }
            });
        }
        record(&writer, 12 * RING_BYTES, 3);
        writer.sync().expect("the device is in order");
        over.store(true, Ordering::Relaxed);
    });
    let (read, counters) = (read.into_inner(), ring.counters());
    assert!(counters.evicted > 100 && read > 100, "{} evicted, {read} read", counters.evicted);
    assert_eq!(counters.errors(), 0);
    writer.close().expect("it closes");
}

#[test]
fn what_was_flushed_to_a_block_device_is_there_after_a_writer_that_just_stopped() {
    let device = Loop::formatted();
    let (ring, writer, memory) = device.open();
    record(&writer, 2 * RING_BYTES, 5);
    writer.sync().expect("the device is in order");
    let closed = memory.0.lock().expect("alive").closed.clone();
    // Dropped without being closed, as by a kill: the thread ends with its last handle.
    drop((ring, writer));
    let opened = wait_until_free(&device.path);
    drop(opened);
    let (ring, writer, memory) = device.open();
    let gone = memory.0.lock().expect("alive").gone.clone();
    for (clip, fact) in closed.iter().filter(|(clip, _)| !gone.contains(clip)) {
        assert_eq!(memory.0.lock().expect("alive").closed.get(clip), Some(fact));
        assert!(read_clip(&ring, *clip), "clip {clip} is gone");
    }
    writer.close().expect("it closes");
}

/// The writer's thread has the device until it notices that nobody is left.
fn wait_until_free(path: &Path) -> FileDevice {
    for _ in 0..500 {
        match FileDevice::open(path, Access::Exclusive) {
            Ok(device) => return device,
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    panic!("{} is still in use", path.display());
}

#[test]
fn a_block_device_has_one_writer_and_any_number_of_lookers_on() {
    let device = Loop::formatted();
    let (_ring, writer, _) = device.open();
    let second = FileDevice::open(&device.path, Access::Exclusive);
    assert!(matches!(second, Err(OpenError::InUse { .. })), "a second writer is refused");
    let looking = FileDevice::open(&device.path, Access::ReadOnly).expect("looking is allowed");
    assert!(looking.is_direct());
    writer.close().expect("it closes");
}
