//! Partitioning tools, makers of file systems and another ring on the disk of a ring: which of them
//! ask before they write, and what is left of the footage where they have written. Needs root and
//! loop devices.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/disk.rs"]
#[allow(dead_code, reason = "its dice alone are used here")]
mod disk;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use cameras::Cameras;
use clips::{clips_of, footage, identities};
use daemon::{Site, run_tool, text, try_tool, wait_until};
use disk::Dice;
use reelfs::clock::Stopwatch;
use reelfs::device::{Access, FileDevice, OpenError};
use reelfs::ring::read_superblock;

const MIB: u64 = 1 << 20;

/// A loop device over a file; detached when dropped.
struct Loop {
    device: String,
    backing: PathBuf,
}

impl Loop {
    fn over(backing: &Path, options: &[&str]) -> Loop {
        let words = [&["--find", "--show"], options, &[text(backing)]].concat();
        let device = run_tool("losetup", &words).trim().to_owned();
        Loop { device, backing: backing.to_owned() }
    }

    fn of(site: &Site, mebibytes: u64) -> Loop {
        let backing = site.path("backing");
        File::create(&backing).and_then(|file| file.set_len(mebibytes * MIB)).expect("a file");
        Loop::over(&backing, &[])
    }

    /// The first and the last MiB, as they are on the disk.
    fn ends(&self) -> Vec<u8> {
        run_tool("blockdev", &["--flushbufs", &self.device]);
        let file = File::open(&self.backing).expect("the file");
        let length = file.metadata().expect("it is there").len();
        let mut ends = vec![0; 2 * MIB as usize];
        let (first, last) = ends.split_at_mut(MIB as usize);
        file.read_exact_at(first, 0).expect("it is read");
        file.read_exact_at(last, length - MIB).expect("it is read");
        ends
    }

    fn put_back(&self, image: &[u8]) {
        fs::write(&self.backing, image).expect("the file");
        run_tool("blockdev", &["--flushbufs", &self.device]);
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        try_tool("losetup", &["--detach", &self.device]);
    }
}

/// Runs a line of the shell in which `DISK` is a device; on a terminal where it asks only there.
fn shell(line: &str, disk: &str, is_on_terminal: bool) -> Output {
    let mut command = match is_on_terminal {
        false => Command::new("sh"),
        true => Command::new("script"),
    };
    let words: &[&str] = if is_on_terminal { &["-qec", line, "/dev/null"] } else { &["-c", line] };
    let command = command.args(words).env("DISK", disk).stdin(Stdio::null());
    command.output().expect("scripts/test installs it")
}

fn said(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(error))
}

/// The programs that reelfs(7) lists behind a mark, one a line.
fn listed_in_the_manual(mark: &str) -> Vec<String> {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/reelfs.7");
    let manual = fs::read_to_string(manual).expect("the manual");
    let lines = manual.lines().skip_while(|line| !line.contains(mark));
    let lines = lines.skip_while(|line| *line != ".nf").skip(1);
    let lines = lines.take_while(|line| line.starts_with(".B "));
    lines.map(|line| line[3..].replace('\\', "").trim_matches('"').to_owned()).collect()
}

#[test]
fn the_programs_of_the_manual_ask_before_they_write_over_a_ring_and_the_others_do_not() {
    let site = Site::without_ring();
    // mkfs.xfs makes nothing smaller.
    let disk = Loop::of(&site, 320);
    let formatted = site.reelfs(&["format", &disk.device]);
    assert!(formatted.status.success(), "{}", said(&formatted));
    let ring = disk.ends();
    let on_terminal = ["mkfs.ext4"];
    for (mark, asks) in [("these ask first", true), ("for they do not ask", false)] {
        let programs = listed_in_the_manual(mark);
        assert!(programs.len() >= 6, "{mark}: {programs:?}");
        for program in programs {
            let is_on_terminal = asks && on_terminal.contains(&program.as_str());
            let line = match program.as_str() {
                "sfdisk" => "echo label: gpt | sfdisk $DISK".to_owned(),
                "fdisk" => "printf 'g\\nw\\n' | fdisk $DISK".to_owned(),
                "dd" => "dd if=/dev/zero of=$DISK bs=4096 count=1".to_owned(),
                "parted mklabel gpt" => "parted $DISK mklabel gpt".to_owned(),
                "parted -s mklabel gpt" => "parted -s $DISK mklabel gpt".to_owned(),
                "mkntfs" => "mkntfs -Q $DISK".to_owned(),
                program => format!("{program} $DISK"),
            };
            let output = shell(&line, &disk.device, is_on_terminal);
            let has_written = disk.ends() != ring;
            println!("{program}: {}", if has_written { "writes" } else { "stops" });
            assert_eq!(has_written, !asks, "{program}: {}", said(&output));
            if has_written {
                let again = site.reelfs(&["format", "--force", &disk.device]);
                assert!(again.status.success(), "{}", said(&again));
            }
        }
        // The ring that was made again has another UUID.
        assert!(asks || disk.ends() != ring);
    }
}

/// A ring on a loop device, with footage; what a scrub of it says, and its bytes.
fn recorded(site: &mut Site, bytes: u64) -> (Loop, String, Vec<u8>) {
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    let backing = site.path("backing");
    File::create(&backing).and_then(|file| file.set_len(bytes)).expect("a file");
    let disk = Loop::over(&backing, &[]);
    symlink(&disk.device, site.ring_path()).expect("a link");
    let formatted = site.reelfs(&["format", "--block-size", "1M", &disk.device]);
    assert!(formatted.status.success(), "{}", said(&formatted));
    let file = footage(&site.path(""), "yard.mp4", 120, &[]);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    let clean = said(&site.reelfs(&["check", "--scrub", &disk.device]));
    let (_, looked) = clean.split_once(": clean: ").expect("it is clean");
    let image = fs::read(&disk.backing).expect("the file");
    (disk, looked.to_owned(), image)
}

/// Partition tables, and what else writes to the ends of a disk alone.
const FORMS: [&str; 11] = [
    "parted -s $DISK mklabel gpt",
    "parted -s $DISK mklabel msdos",
    "sgdisk -Z $DISK; sgdisk -o $DISK",
    "echo label: gpt | sfdisk --wipe always $DISK",
    "echo label: dos | sfdisk --wipe always $DISK",
    "printf 'g\\nw\\n' | fdisk -w always $DISK",
    "pvcreate -qq -y -ff $DISK",
    "mkswap -f $DISK",
    "wipefs -a -f $DISK",
    // What other systems call to initialise a disk, and the end of one that is used in full.
    "dd if=/dev/zero of=$DISK bs=64k count=1",
    "dd if=/dev/zero of=$DISK bs=512 count=2048 seek=$(($(blockdev --getsz $DISK) - 2048))",
];

/// Writes over the ring, repairs it, and looks at every sample.
fn write_and_repair(site: &Site, disk: &Loop, looked: &str, form: &str) {
    let output = shell(form, &disk.device, false);
    let repaired = site.reelfs(&["check", "--repair", &disk.device]);
    let heard = said(&repaired);
    assert_eq!(repaired.status.code(), Some(1), "{form}: {} {heard}", said(&output));
    assert!(heard.contains("repaired: superblocks are written again"), "{form}: {heard}");
    let after = said(&site.reelfs(&["check", "--scrub", &disk.device]));
    assert!(after.ends_with(&format!(": clean: {looked}")), "{form}: {after}");
}

#[test]
fn a_partition_table_that_is_written_over_a_ring_is_repaired_in_each_of_its_forms() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let (rounds, seed) = (number("REELFS_ROUNDS").unwrap_or(0), number("REELFS_SEED").unwrap_or(1));
    let mut site = Site::without_ring();
    let (disk, looked, image) = recorded(&mut site, 48 * MIB);
    for form in FORMS {
        write_and_repair(&site, &disk, &looked, form);
        disk.put_back(&image);
    }
    drop(disk);
    // On disks of any length; and what one program has left does not keep the next from the disk.
    println!("REELFS_SEED={seed}");
    let mut dice = Dice::new(seed);
    for round in 1..=rounds {
        let mut site = Site::without_ring();
        let bytes = 40 * MIB + 512 * dice.roll(100_000);
        let (disk, looked, _) = recorded(&mut site, bytes);
        let forms: Vec<&str> =
            (0..4).map(|_| FORMS[dice.roll(FORMS.len() as u64) as usize]).collect();
        println!("round {round} of {rounds}: {bytes} bytes, {forms:?}");
        for form in forms {
            write_and_repair(&site, &disk, &looked, form);
        }
    }
    println!("torture: labels rounds={rounds} failures=0");
}

#[test]
fn where_no_superblock_is_left_a_repair_says_what_finds_the_ring() {
    let mut site = Site::without_ring();
    let (disk, looked, _) = recorded(&mut site, 48 * MIB);
    shell("dd if=/dev/zero of=$DISK bs=1M count=1", &disk.device, false);
    shell("dd if=/dev/zero of=$DISK bs=1M seek=47 count=1", &disk.device, false);
    let lost = disk.ends();
    let refused = site.reelfs(&["check", "--repair", &disk.device]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(said(&refused).contains("reelfs check --rescue"), "{}", said(&refused));
    assert_eq!(disk.ends(), lost, "nothing was changed");
    let rescued = site.reelfs(&["check", "--rescue", &disk.device]);
    assert_eq!(rescued.status.code(), Some(1), "{}", said(&rescued));
    assert!(said(&rescued).contains("from the headers of blocks"), "{}", said(&rescued));
    assert!(said(&rescued).contains("its ledger is good"), "{}", said(&rescued));
    let after = said(&site.reelfs(&["check", "--scrub", &disk.device]));
    assert!(after.ends_with(&format!(": clean: {looked}")), "{after}");
}

#[test]
fn a_tebibyte_without_superblocks_and_ledger_is_rescued_by_its_headers_in_seconds() {
    let mut site = Site::without_ring();
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    let ring = site.ring_path();
    let formatted = site.reelfs(&["format", "--sparse", "--size", "1T", text(&ring)]);
    assert!(formatted.status.success(), "{}", said(&formatted));
    let file = footage(&site.path(""), "yard.mp4", 60, &[]);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    let device = FileDevice::open(&ring, Access::ReadOnly).expect("the ring");
    let geometry = read_superblock(&device).expect("the ring").0.geometry;
    let bytes = OpenOptions::new().write(true).open(&ring).expect("the ring");
    for place in geometry.superblock_places() {
        bytes.write_all_at(&[0; 4096], place.0).expect("it is written");
    }
    let ledger = vec![0; 2 * geometry.ledger_area.0 as usize];
    bytes.write_all_at(&ledger, geometry.ledger_start(0).0).expect("it is written");
    let began = Stopwatch::start();
    let rescued = site.reelfs(&["check", "--rescue", text(&ring)]);
    let took = began.elapsed();
    assert_eq!(rescued.status.code(), Some(1), "{}", said(&rescued));
    // Each block's header is read once, and what is in three blocks.
    println!("{} blocks in {took:?}: {}", geometry.block_count, said(&rescued));
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert!(said(&rescued).contains("6 clips of 1 camera"), "{}", said(&rescued));
    let listed = site.reelfs(&["inspect", text(&ring), "clips", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let clips = listed.as_array().expect("a list");
    assert_eq!(clips.len(), 6);
    assert!(clips.iter().all(|clip| clip["state"] == "found"), "nobody vouches for them");
}

/// Whether a partition table with the one entry is on a device.
fn has_label(device: &str) -> bool {
    let mut sector = [0; 512];
    File::open(device).expect("it").read_exact_at(&mut sector, 0).expect("it is read");
    sector[450] == 0xDA && sector[510..] == [0x55, 0xAA]
}

#[test]
fn a_whole_disk_gets_a_label_and_a_file_does_not() {
    let site = Site::without_ring();
    let disk = Loop::of(&site, 48);
    let format = |words: &[&str]| {
        let formatted = site.reelfs(&[&["format"], words].concat());
        assert!(formatted.status.success(), "{}", said(&formatted));
    };
    format(&["--no-label", &disk.device]);
    assert!(!has_label(&disk.device));
    let added = site.reelfs(&["check", "--repair", "--add-label", &disk.device]);
    assert_eq!(added.status.code(), Some(1), "{}", said(&added));
    assert!(has_label(&disk.device));
    let shown = said(&site.reelfs(&["inspect", &disk.device, "ring"]));
    assert!(shown.contains("says that the disk is taken"), "{shown}");
    let again = site.reelfs(&["check", "--repair", "--add-label", &disk.device]);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    format(&["--force", &disk.device]);
    assert!(has_label(&disk.device));
    let kind = run_tool("blkid", &["-p", "-o", "value", "-s", "PTTYPE", &disk.device]);
    assert_eq!(kind.trim(), "dos");
    let file = site.path("file");
    format(&["--size", "32M", text(&file)]);
    assert!(!has_label(text(&file)));
    let refused = site.reelfs(&["check", "--repair", "--add-label", text(&file)]);
    assert!(said(&refused).contains("only a whole disk"), "{}", said(&refused));
}

#[test]
fn on_sectors_of_4096_bytes_the_label_counts_in_those() {
    let site = Site::without_ring();
    let backing = site.path("backing");
    File::create(&backing).and_then(|file| file.set_len(48 * MIB)).expect("a file");
    let disk = Loop::over(&backing, &["--sector-size", "4096"]);
    let formatted = site.reelfs(&["format", &disk.device]);
    assert!(formatted.status.success(), "{}", said(&formatted));
    let mut sector = [0; 512];
    File::open(&backing).expect("it").read_exact_at(&mut sector, 0).expect("it is read");
    let count = u32::from_le_bytes(sector[458..462].try_into().expect("four bytes"));
    assert_eq!(u64::from(count), 48 * MIB / 4096 - 1);
}

#[test]
fn a_file_and_the_loop_devices_over_it_are_one_place() {
    let site = Site::without_ring();
    let disk = Loop::of(&site, 48);
    let other = Loop::over(&disk.backing, &[]);
    let formatted = site.reelfs(&["format", &disk.device]);
    assert!(formatted.status.success(), "{}", said(&formatted));
    let ways = [Path::new(&disk.device), Path::new(&other.device), &disk.backing];
    for used in ways {
        let open = FileDevice::open(used, Access::Exclusive).expect("nobody has it");
        for way in ways {
            let refused = FileDevice::open(way, Access::Exclusive).map(|_| ());
            let shown = format!("{} while {} is open", way.display(), used.display());
            assert!(matches!(refused, Err(OpenError::InUse { .. })), "{shown}: {refused:?}");
            let seen = FileDevice::open(way, Access::ReadOnly).expect("it may be looked at");
            assert!(seen.is_written_to(), "{shown}");
        }
        let repaired = site.reelfs(&["check", "--repair", &other.device]);
        assert_eq!(repaired.status.code(), Some(3));
        assert!(said(&repaired).contains("in use"), "{}", said(&repaired));
        drop(open);
    }
    // Two rings in one file, one behind the other, are two places.
    let first = Loop::over(&disk.backing, &["--sizelimit", "16777216"]);
    let second = Loop::over(&disk.backing, &["--offset", "16777216"]);
    let open = FileDevice::open(Path::new(&first.device), Access::Exclusive).expect("a place");
    drop(FileDevice::open(Path::new(&second.device), Access::Exclusive).expect("another place"));
    drop(open);
}

#[test]
fn the_daemon_mends_its_superblocks_and_pauses_where_another_ring_is_copied_over_its_own() {
    let mut cameras = Cameras::start(&["--gop", "25"]);
    let mut site = Site::new("48M");
    site.add_camera("door", &cameras.url(1), "");
    site.ring += "scrub = \"2s\"\n";
    let other = Site::new("48M");
    let daemon = site.run();
    daemon.wait_recording("door");
    wait_until("a clip", 30, || !clips_of(&site.mount(), "door").is_empty());
    let ring = OpenOptions::new().read(true).write(true).open(site.ring_path()).expect("the ring");
    let mut superblock = vec![0; 4096];
    ring.read_exact_at(&mut superblock, 0).expect("it is read");
    let last = 48 * MIB - 4096;
    for place in [0, last] {
        ring.write_all_at(&[0x5A; 4096], place).expect("it is written");
    }
    wait_until("they are mended", 30, || {
        [0, last].iter().all(|place| {
            let mut page = vec![0; 4096];
            ring.read_exact_at(&mut page, *place).expect("it is read");
            page == superblock
        })
    });
    let log = daemon.log();
    assert!(log.contains("some program has written over the ring at byte 0, byte "), "{log}");
    let known = identities(&site.mount());
    let saved = fs::read(other.ring_path()).expect("another ring");
    // Nothing is recorded meanwhile: where blocks of its own are left, or written anew, they speak
    // for the daemon's ring.
    cameras.tell("stall 60");
    std::thread::sleep(Duration::from_secs(2));
    ring.write_all_at(&saved[..last as usize], 0).expect("it is written");
    wait_until("recording pauses", 30, || daemon.status()["device"]["state"] == "gone");
    let log = daemon.log();
    assert!(log.contains("recording pauses: "), "{log}");
    assert!(log.contains("another ring is there, "), "{log}");
    assert!(!known.is_empty());
    cameras.tell("stall 1");
    daemon.kill();
}
