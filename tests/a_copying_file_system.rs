//! A ring's file on btrfs, which copies what is written unless a file says otherwise: it takes
//! its own size and no more, however often it is written over.
//!
//! Needs root, as CI has it; without it a test says so and fails.

#[path = "support/daemon.rs"]
mod daemon;
mod support;

use std::path::{Path, PathBuf};

use daemon::{run_tool, text, try_tool};

use reelfs::device::{Access, AlignedBuffer, Device, FileDevice};
use reelfs::units::DeviceOffset;
use support::disk::Dice;

const MIB: u64 = 1 << 20;
const FILE_SYSTEM_BYTES: u64 = 256 * MIB;
/// More than half of what the file system has for data.
const RING: &str = "104M";
const ROUNDS: u64 = 20;
const WRITE_BYTES: usize = 512 << 10;
const WRITES_PER_FLUSH: u64 = 8;

/// A btrfs of its own; unmounted when dropped, also by a panic.
struct Btrfs {
    mounted: PathBuf,
    _directory: tempfile::TempDir,
}

impl Btrfs {
    fn new() -> Btrfs {
        let directory = tempfile::tempdir().expect("a directory");
        let (image, mounted) = (directory.path().join("image"), directory.path().join("mounted"));
        let file = std::fs::File::create(&image).expect("a file");
        file.set_len(FILE_SYSTEM_BYTES).expect("a sparse file");
        std::fs::create_dir(&mounted).expect("a directory");
        run_tool("mkfs.btrfs", &["--quiet", text(&image)]);
        run_tool("mount", &["-o", "loop", text(&image), text(&mounted)]);
        Btrfs { mounted, _directory: directory }
    }
}

impl Drop for Btrfs {
    fn drop(&mut self) {
        try_tool("umount", &[text(&self.mounted)]);
    }
}

fn format(arguments: &[&str], ring: &Path) -> String {
    let words = [&["format"], arguments, &[text(ring)]].concat();
    let output = try_tool(env!("CARGO_BIN_EXE_reelfs"), &words);
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn a_ring_on_btrfs_is_written_over_again_and_again_and_fills_no_more_than_its_size() {
    let btrfs = Btrfs::new();
    let ring = btrfs.mounted.join("ring");
    let said = format(&["--size", RING], &ring);
    assert!(!said.contains("copied on write"), "{said}");
    let device = FileDevice::open(&ring, Access::Exclusive).expect("it is ours");
    let mut dice = Dice::new(1);
    let page: Vec<u8> = (0..WRITE_BYTES).map(|_| dice.roll(256) as u8).collect();
    let writes = device.length().0 / WRITE_BYTES as u64;
    for round in 0..ROUNDS {
        for number in 0..writes {
            // Scattered, as many streams are in many blocks.
            let at = (number * 37 + round) % writes * WRITE_BYTES as u64;
            let bytes = AlignedBuffer::from_bytes(&page);
            let written = device.write_at(DeviceOffset(at), &bytes);
            written.unwrap_or_else(|error| panic!("round {round}, write {number}: {error}"));
            if number % WRITES_PER_FLUSH == 0 {
                device.flush().unwrap_or_else(|error| panic!("round {round}: {error}"));
            }
        }
    }
}

#[test]
fn a_file_that_is_copied_on_write_is_warned_of_where_it_becomes_a_ring() {
    let btrfs = Btrfs::new();
    let ring = btrfs.mounted.join("ring");
    let file = std::fs::File::create(&ring).expect("there is room");
    file.set_len(64 * MIB).expect("a sparse file");
    drop(file);
    let said = format(&[], &ring);
    assert!(said.contains("ring: is copied on write"), "{said}");
    assert!(said.contains("chattr +C"), "{said}");
}
