//! A disk that dies slowly, below the real program with real cameras: places that it refuses to
//! write or to read, a disk that vanishes and comes back, one that stalls, one whose cache forgets.
//!
//! The disk is `support/faultfs.rs`, as the ring file or below a loop device: needs root.
//! `REELFS_ROUNDS=n` for n random rounds (then the stall lasts a minute, too), `REELFS_SEED=n` for
//! the ones of before.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/chance.rs"]
mod chance;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/faultfs.rs"]
mod faultfs;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cameras::Cameras;
use chance::Dice;
use clips::{clips_of, closed_clips};
use daemon::{Daemon, Site, run_tool, text, try_tool, wait_until};
use faultfs::{FaultFs, Kind};
use reelfs::device::{Access, AlignedBuffer, Device, FileDevice};
use reelfs::ring::{BlockUse, Inspection, QUEUE_BYTES_MAX, read_superblock};
use reelfs::units::{BlockNumber, DeviceOffset};

const PAGE: u64 = 4096;
const MIB: u64 = 1 << 20;
/// What one checksum covers, in bytes: see `src/ring/FORMAT.md`.
const UNIT: u64 = 16 << 10;
/// What is read of a clip at once, in bytes.
const PIECE: usize = 64 << 10;
const FLUSH: Duration = Duration::from_secs(1);
const SECOND: i64 = 1_000_000_000;
/// About a block each second.
const LARGE: [&str; 6] = ["--gop", "25", "--bitrate", "8000k", "--size", "1280x720"];

/// A site whose ring is on a disk that fails on command.
struct Bench {
    site: Site,
    faulty: FaultFs,
}

impl Bench {
    /// With 20 seconds of a camera, in clips of ten, of which each piece is there once.
    fn with_yard(mebibytes: u64) -> Bench {
        let mut bench = Bench::new(mebibytes);
        bench.site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
        let noise = ["-vf", "noise=alls=40:allf=t+u", "-qp", "36"];
        let file = clips::footage(&bench.site.path(""), "yard.mp4", 20, &noise);
        bench.site.import("yard", "2026-03-01T12:00:00Z", &file);
        bench
    }

    /// With an empty ring of so many MiB.
    fn new(mebibytes: u64) -> Bench {
        let site = Site::without_ring();
        let folder = site.path("faulty");
        fs::create_dir(&folder).expect("a folder");
        format(&site, &folder.join("backing"), mebibytes);
        let faulty = FaultFs::start(&folder);
        symlink(faulty.disk(), site.ring_path()).expect("a link");
        Bench { site, faulty }
    }

    /// Where blocks lie on the disk, in bytes.
    fn blocks(&self, blocks: Range<u32>) -> Range<u64> {
        let device = FileDevice::open(&self.faulty.backing(), Access::ReadOnly).expect("the ring");
        let geometry = read_superblock(&device).expect("the ring").0.geometry;
        let at = |block| geometry.block_start(BlockNumber(block)).0;
        at(blocks.start)..at(blocks.end)
    }

    /// A daemon that is started from now on does not find the camera at this address.
    fn unplug(&mut self, url: &str) {
        self.site.cameras = self.site.cameras.replace(url, "rtsp://127.0.0.1:1/");
    }

    /// Whether every closed clip plays, and which there are.
    fn assert_all_play(&self) -> Vec<PathBuf> {
        let mount = self.site.mount();
        let clips: Vec<PathBuf> =
            closed_clips(&mount).iter().map(|clip| mount.join(clip)).collect();
        clips.iter().for_each(|clip| clips::assert_plays(clip));
        clips
    }
}

fn format(site: &Site, path: &Path, mebibytes: u64) {
    let size = format!("{mebibytes}M");
    let words = ["format", "--size", &size, "--block-size", "1M", text(path)];
    let output = site.reelfs(&words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn device_state(daemon: &Daemon) -> String {
    daemon.status()["device"]["state"].as_str().expect("a state").to_owned()
}

fn device_count(daemon: &Daemon, name: &str) -> u64 {
    daemon.status()["device"][name].as_u64().expect("a count")
}

fn frames(daemon: &Daemon, camera: &str) -> u64 {
    daemon.camera(camera)["frames"].as_u64().expect("a count")
}

fn wait_more_frames(daemon: &Daemon, camera: &str) {
    let before = frames(daemon, camera);
    wait_until("more frames", 20, || frames(daemon, camera) > before + 50);
}

/// What reading a page of a file around every cache comes to.
fn read_page(file: &File, at: u64) -> io::Result<AlignedBuffer> {
    let mut page = AlignedBuffer::zeroed(PAGE as usize);
    file.read_at(&mut page, at)?;
    Ok(page)
}

fn open_direct(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)
}

/// A file whose pages stay in the page cache, whoever tells the kernel to drop it.
struct Pinned {
    start: *mut libc::c_void,
    length: usize,
}

impl Pinned {
    fn new(path: &Path) -> Pinned {
        let file = File::open(path).expect("it opens");
        let length = file.metadata().expect("stat").len() as usize;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a new mapping of a file that is open, at an address that the kernel chooses.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, flags, file.as_raw_fd(), 0)
        };
        assert_ne!(start, libc::MAP_FAILED, "{}", io::Error::last_os_error());
        Pinned { start, length }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this very length, and nobody refers to it.
        unsafe { libc::munmap(self.start, self.length) };
    }
}

#[test]
fn a_disk_that_fails_on_command() {
    faultfs::serve_if_asked();
    let folder = tempfile::tempdir().expect("a folder");
    let backing = File::create(folder.path().join("backing")).expect("a file");
    backing.set_len(MIB).expect("its length");
    let mut faulty = FaultFs::start(folder.path());
    let device = FileDevice::open(&faulty.disk(), Access::Exclusive).expect("it opens");
    assert!(device.is_direct());
    let mut page = AlignedBuffer::zeroed(PAGE as usize);
    let marked = |mark: u8| AlignedBuffer::from_bytes(&[mark; PAGE as usize]);

    device.write_at(DeviceOffset(PAGE), &marked(1)).expect("it takes it");
    faulty.fail(Kind::Write, PAGE..2 * PAGE, 1);
    device.write_at(DeviceOffset(2 * PAGE), &marked(2)).expect("another place");
    device.write_at(DeviceOffset(PAGE), &marked(3)).expect_err("the place that fails");
    device.write_at(DeviceOffset(PAGE), &marked(4)).expect("once only");
    faulty.fail(Kind::Flush, 0..1, 0);
    device.flush().expect_err("for ever");
    faulty.mend();
    device.flush().expect("mended");

    faulty.make_volatile();
    device.write_at(DeviceOffset(PAGE), &marked(5)).expect("it takes it");
    device.flush().expect("it is on the disk");
    device.write_at(DeviceOffset(PAGE), &marked(6)).expect("it takes it");
    device.read_at(DeviceOffset(PAGE), &mut page).expect("it reads");
    assert_eq!(page[0], 6, "from its cache");
    assert_eq!(faulty.cut(1, 0), 1);
    device.read_at(DeviceOffset(PAGE), &mut page).expect_err("no power");
    faulty.come_back();
    device.read_at(DeviceOffset(PAGE), &mut page).expect("it reads");
    assert_eq!(page[0], 5, "what was flushed");

    faulty.hang();
    let (sent, came) = channel();
    let hanging = std::thread::spawn(move || {
        let read = device.read_at(DeviceOffset(0), &mut AlignedBuffer::zeroed(PAGE as usize));
        sent.send(read.is_ok()).expect("somebody waits");
        device
    });
    assert!(came.recv_timeout(Duration::from_millis(300)).is_err(), "it hangs");
    faulty.release();
    assert_eq!(came.recv_timeout(Duration::from_secs(10)), Ok(true));
    let device = hanging.join().expect("it ends");
    let [reads, writes, flushes, failed] = faulty.counts();
    assert!(reads >= 4 && writes >= 6 && flushes >= 3, "{reads} {writes} {flushes}");
    assert_eq!(failed, 3);
    faulty.kill();
    device.read_at(DeviceOffset(0), &mut page).expect_err("nobody serves it");
    drop(device);
    faulty.unmount();
    assert!(!faulty.disk().exists());
    faulty.mount_again();
    assert!(faulty.disk().exists());
}

#[test]
fn a_block_that_takes_no_write_is_bad_and_recording_goes_on_elsewhere() {
    let cameras = Cameras::start(&LARGE);
    let mut bench = Bench::new(48);
    bench.site.add_camera("door", &cameras.url(1), "");
    let refused = bench.blocks(4..6);
    bench.faulty.fail(Kind::Write, refused, 0);
    let daemon = bench.site.run();
    wait_until("bad blocks", 30, || daemon.status()["ring"]["bad_blocks"] == 2);
    assert!(daemon.log().contains("not used any more: block 4"), "{}", daemon.log());
    wait_more_frames(&daemon, "door");
    assert!(device_count(&daemon, "write_errors") >= 2);
    assert_eq!(device_state(&daemon), "present");
    let state = daemon.camera("door")["state"].clone();
    assert_eq!(state, "recording");
    daemon.stop();

    let device = FileDevice::open(&bench.faulty.backing(), Access::ReadOnly).expect("the ring");
    let inspection = Inspection::open(&device).expect("the ring");
    for block in 3..7 {
        let found = inspection.block(BlockNumber(block)).expect("it reads").used_for;
        assert_eq!(found == BlockUse::Bad, (4..6).contains(&block), "{block}: {found:?}");
    }
    bench.unplug(&cameras.url(1));
    let daemon = bench.site.run();
    let clips = bench.assert_all_play();
    let frames = clips::frames(&clips);
    let span = frames[frames.len() - 1].number - frames[0].number + 1;
    let missing = span - frames.len() as u64;
    // Each of the two costs what waits for a flush, and the rest of a group.
    assert!(missing <= 2 * 3 * 25, "{missing} of {span} frames are missing");
    daemon.stop();
}

/// A page well within the samples of a clip, found on the disk by its bytes: where it is in the
/// clip, and on the disk.
fn page_of_samples(bench: &Bench, clip: &[u8]) -> (usize, u64) {
    let ring = fs::read(bench.faulty.backing()).expect("the ring");
    let found = |at: usize| {
        let wanted = &clip[at..at + 32];
        let mut places = ring.windows(32).enumerate().filter(|(_, bytes)| *bytes == wanted);
        let place = places.next().expect("it is on the disk").0 as u64;
        assert!(places.next().is_none(), "there once");
        place / PAGE * PAGE
    };
    // Not the one that a chunk begins in: without its header nothing of it can be vouched for.
    let is_header = |page: u64| ring[page as usize..].starts_with(b"rlCH");
    let middle = clip.len() / 2;
    let places = [middle, middle + 2 * PAGE as usize].map(|at| (at, found(at)));
    places.into_iter().find(|(_, page)| !is_header(*page)).expect("samples")
}

#[test]
fn a_place_that_cannot_be_read_is_an_error_there_and_nowhere_else() {
    let mut bench = Bench::with_yard(32);
    let mount = bench.site.mount();
    let clip = mount.join("2026-03-01/yard/12-00-00.mp4");
    let neighbour = mount.join("2026-03-01/yard/12-00-10.mp4");
    let daemon = bench.site.run();
    let (whole, other) = (fs::read(&clip).expect("a clip"), fs::read(&neighbour).expect("a clip"));
    daemon.stop();

    let (at, page) = page_of_samples(&bench, &whole);
    bench.faulty.fail(Kind::Read, page..page + PAGE, 0);

    let daemon = bench.site.run();
    let file = open_direct(&clip).expect("it opens");
    let mut refused = Vec::new();
    for begin in (0..whole.len() as u64).step_by(PAGE as usize) {
        match read_page(&file, begin) {
            Ok(found) => {
                let expected = &whole[begin as usize..whole.len().min((begin + PAGE) as usize)];
                assert!(&found[..expected.len()] == expected, "other bytes at {begin}");
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EIO), "{error}");
                refused.push(begin);
            }
        }
    }
    assert!(refused.contains(&(at as u64 / PAGE * PAGE)), "{at}: {refused:?}");
    // The bytes of a page on the disk are in two units at most, each read as a whole.
    assert!(refused.len() as u64 <= 2 * UNIT / PAGE + 1, "{refused:?}");
    assert!(refused.windows(2).all(|pair| pair[1] == pair[0] + PAGE), "{refused:?}");
    assert!(fs::read(&neighbour).expect("its neighbour") == other);
    assert!(device_count(&daemon, "read_errors") > 0);
    assert_eq!(device_state(&daemon), "present", "an error of one place");
    assert_eq!(daemon.log().matches("a reader gets EIO").count(), 1, "said once: {}", daemon.log());
    daemon.stop();
    // No other footage shall come there.
    let device = FileDevice::open(&bench.faulty.backing(), Access::ReadOnly).expect("the ring");
    let inspection = Inspection::open(&device).expect("the ring");
    let of_page = (0..inspection.superblock.geometry.block_count).map(BlockNumber).find(|block| {
        let start = inspection.superblock.geometry.block_start(*block).0;
        (start..start + inspection.superblock.geometry.block_length.0).contains(&page)
    });
    let found = inspection.block(of_page.expect("a block")).expect("it reads").used_for;
    assert_eq!(found, BlockUse::Bad);
}

#[test]
fn a_scrub_tells_how_far_it_is_and_finds_what_cannot_be_read() {
    const BLOCKS_MIN: f64 = 8.0;
    let mut bench = Bench::with_yard(16);
    let daemon = bench.site.run();
    let clip = bench.site.mount().join("2026-03-01/yard/12-00-00.mp4");
    let whole = fs::read(&clip).expect("a clip");
    daemon.stop();
    let (_, page) = page_of_samples(&bench, &whole);
    bench.faulty.fail(Kind::Read, page..page + PAGE, 0);

    bench.site.ring += "scrub = \"5s\"\n";
    let daemon = bench.site.run();
    let scrub = || daemon.status()["scrub"].clone();
    let (mut seen, mut last) = (BTreeSet::new(), 0.0);
    // From wherever the time says to the end of a pass.
    wait_until("a pass is complete", 60, || {
        let scrub = scrub();
        let percent = scrub["progress_percent"].as_f64().expect("a number");
        let is_complete = scrub["last_complete"].is_string();
        assert!((0.0..100.0).contains(&percent), "{percent}");
        assert!(is_complete || percent >= last, "{percent} % after {last} %");
        seen.insert(percent.round() as u64);
        last = if is_complete { last } else { percent };
        is_complete
    });
    assert!(seen.len() as f64 >= BLOCKS_MIN, "it moves: {seen:?}");
    assert!(last >= 100.0 - 200.0 / BLOCKS_MIN, "it comes to its end: {seen:?}");
    let found = scrub();
    assert_eq!(found["damaged"], 1, "{found}");
    let latest = &found["latest"][0];
    assert_eq!(latest["camera"], "yard", "{found}");
    let block = latest["block"].as_u64().expect("a number") as u32;
    assert!(bench.blocks(block..block + 1).contains(&page), "{page}: {found}");
    assert!(latest["found"].as_str().is_some_and(|found| found.contains("1 of")), "{found}");
    assert_eq!(device_state(&daemon), "present", "an error of one place");
    let chunks = found["chunks"].as_u64().expect("a count");
    wait_until("another pass", 60, || scrub()["chunks"].as_u64() >= Some(2 * chunks));
    assert_eq!(scrub()["damaged"], 1, "told once");
    daemon.stop();
}

/// What holds while the device is gone.
fn assert_copes_without(daemon: &Daemon, site: &Site, known: &[String]) {
    assert_eq!(device_state(daemon), "gone");
    let log = daemon.log();
    assert_eq!(log.matches("recording pauses: ").count(), 1, "said once:\n{log}");
    let begun = Instant::now();
    assert_eq!(&closed_clips(&site.mount())[..known.len()], known);
    for clip in known {
        let path = site.mount().join(clip);
        assert!(fs::metadata(&path).expect("stat").len() > 0);
        // Past every cache, and far from what opening it has read.
        let read = open_direct(&path).and_then(|file| {
            let middle = fs::metadata(&path)?.len() / 2 / PAGE * PAGE;
            read_page(&file, middle).map(drop)
        });
        let errno = read.expect_err("it is not there").raw_os_error();
        assert_eq!(errno, Some(libc::EIO));
        let removed = fs::remove_file(&path).expect_err("it can't be kept in mind");
        assert_eq!(removed.raw_os_error(), Some(libc::EIO));
    }
    let synced = File::open(site.mount()).and_then(|root| root.sync_all());
    assert_eq!(synced.expect_err("no disk").raw_os_error(), Some(libc::EIO));
    assert!(begun.elapsed() < Duration::from_secs(5), "nothing waits: {:?}", begun.elapsed());
    let status = site.reelfs(&["status", "--config", text(&site.config())]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("gone for"), "{status}");
}

#[test]
fn a_disk_that_vanishes_is_used_again_when_it_is_back_and_nothing_in_its_place_is_touched() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut bench = Bench::new(32);
    bench.site.add_camera("door", &cameras.url(1), "");
    let daemon = bench.site.run();
    wait_until("a clip", 30, || !clips_of(&bench.site.mount(), "door").is_empty());
    let known = closed_clips(&bench.site.mount());
    let used = daemon.kernel_number("VmRSS") << 10;
    let older = fs::read(bench.faulty.backing()).expect("the ring");
    wait_more_frames(&daemon, "door");

    bench.faulty.kill();
    wait_until("it is missed", 10, || daemon.log().contains("recording pauses: "));
    assert_copes_without(&daemon, &bench.site, &known);
    // In its place: nothing; an empty file; a file as long; another ring; a copy of this one.
    bench.faulty.unmount();
    let place = bench.faulty.disk();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!place.exists(), "nothing is created");
    let length = fs::metadata(bench.faulty.backing()).expect("the ring").len();
    let other = bench.site.path("other");
    format(&bench.site, &other, 32);
    let candidates = [(Vec::new(), "bytes"), (vec![0; length as usize], "no reelfs superblock")];
    let other_ring = (fs::read(&other).expect("a ring"), "another ring is there");
    let older = (older, "an older copy of the ring");
    for (content, reason) in candidates.into_iter().chain([other_ring, older]) {
        fs::write(&place, &content).expect("a file");
        wait_until(reason, 10, || {
            let status = daemon.status();
            status["device"]["refused"].as_str().is_some_and(|refused| refused.contains(reason))
        });
        std::thread::sleep(Duration::from_millis(1500));
        assert!(fs::read(&place).expect("the file") == content, "{reason}: untouched");
        fs::remove_file(&place).expect("removed");
    }
    assert_eq!(device_state(&daemon), "gone");
    assert!((daemon.kernel_number("VmRSS") << 10) < used + (64 << 20), "memory is bounded");

    bench.faulty.mount_again();
    wait_until("it is back", 10, || daemon.log().contains("recording goes on"));
    wait_more_frames(&daemon, "door");
    assert_eq!(device_state(&daemon), "present");
    let camera = daemon.camera("door");
    assert_eq!(camera["reconnects"], 0, "the session has lasted: {camera}");
    assert!(camera["dropped"]["the device is gone"].as_u64() > Some(0), "{camera}");
    daemon.stop();
    bench.unplug(&cameras.url(1));
    let daemon = bench.site.run();
    let found = closed_clips(&bench.site.mount());
    assert!(found.len() >= known.len() + 2, "before, and after: {found:?}");
    assert!(known.iter().all(|clip| found.contains(clip)), "{known:?} of {found:?}");
    bench.assert_all_play();
    daemon.stop();
}

/// A loop device; detached when dropped.
struct Loop(String);

/// See `linux/loop.h`.
const LOOP_CLR_FD: libc::c_ulong = 0x4c01;
const LOOP_CTL_REMOVE: libc::c_ulong = 0x4c81;
/// From here on nobody finds one who looks for a free one.
const LOOP_APART: u32 = 1000;

impl Loop {
    fn over(path: &Path) -> Loop {
        let words = ["--find", "--show", "--direct-io=on", text(path)];
        Loop(run_tool("losetup", &words).trim().to_owned())
    }

    /// One that nobody takes who looks for a free one while it is detached.
    fn apart(path: &Path) -> Loop {
        let device = Loop(format!("/dev/loop{}", LOOP_APART + std::process::id() % 1_000_000));
        device.attach(path);
        device
    }

    /// Whoever looks whether it is back has it open at moments.
    fn attach(&self, path: &Path) {
        let words = ["--direct-io=on", &self.0, text(path)];
        wait_until("attached", 10, || try_tool("losetup", &words).status.success());
    }

    fn is_attached(&self) -> bool {
        let name = self.0.trim_start_matches("/dev/");
        Path::new(&format!("/sys/block/{name}/loop")).exists()
    }

    /// Takes it away from a daemon that records to it. `losetup --detach` waits for the last one
    /// who has it open; only they themselves, being alone, can have it detached at once: so the
    /// order is given with a copy of their own descriptor.
    fn detach_under(&self, daemon: &Daemon) {
        let folder = PathBuf::from(format!("/proc/{}/fd", daemon.id()));
        let entries = fs::read_dir(&folder).expect("its descriptors");
        let paths = entries.map(|entry| entry.expect("a descriptor").path());
        let is_it = |path: &PathBuf| fs::read_link(path).is_ok_and(|to| to == Path::new(&self.0));
        let open: Vec<PathBuf> = paths.filter(is_it).collect();
        assert_eq!(open.len(), 1, "it has the device open once: {open:?}");
        let number = open[0].file_name().and_then(|name| name.to_str()).expect("a number");
        let copy = descriptor_of(daemon.id(), number.parse().expect("a number"));
        // Where somebody else has it open at this moment, that is for later.
        wait_until("detached", 10, || {
            // SAFETY: LOOP_CLR_FD takes no argument, and the descriptor is open.
            unsafe { libc::ioctl(copy.as_raw_fd(), LOOP_CLR_FD) };
            read_page(&copy, 0).is_err()
        });
    }
}

/// A copy of another process's descriptor: one and the same open file.
fn descriptor_of(process: u32, number: i32) -> File {
    let owned = |found: libc::c_long| {
        assert!(found >= 0, "{}", io::Error::last_os_error());
        // SAFETY: a descriptor that the kernel has just made for us alone.
        unsafe { OwnedFd::from_raw_fd(found as i32) }
    };
    // SAFETY: takes two numbers, and refuses those that name nothing.
    let process = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) });
    let pidfd = process.as_raw_fd();
    // SAFETY: takes three numbers, and refuses those that name nothing.
    let copy = owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd, number, 0) });
    File::from(copy)
}

impl Drop for Loop {
    fn drop(&mut self) {
        try_tool("losetup", &["--detach", &self.0]);
        let number = self.0.trim_start_matches("/dev/loop").parse::<u32>();
        let Some(number) = number.ok().filter(|number| *number >= LOOP_APART) else { return };
        if let Ok(control) = OpenOptions::new().read(true).write(true).open("/dev/loop-control") {
            // SAFETY: takes a number, and refuses that of a device in use.
            unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_REMOVE, number) };
        }
    }
}

#[test]
fn a_block_device_that_vanishes_is_used_again_when_it_is_back() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut bench = Bench::new(32);
    let device = Loop::over(&bench.faulty.disk());
    let spare = bench.site.path("spare");
    fs::write(&spare, vec![7; 32 << 20]).expect("a file");
    let foreign = Loop::over(&spare);
    let place = |path: &str| {
        // Whether it is the first one or not.
        let _ = fs::remove_file(bench.site.ring_path());
        symlink(path, bench.site.ring_path()).expect("a link");
    };
    place(&device.0);
    bench.site.add_camera("door", &cameras.url(1), "");
    let daemon = bench.site.run();
    wait_until("a clip", 30, || !clips_of(&bench.site.mount(), "door").is_empty());
    let known = closed_clips(&bench.site.mount());

    bench.faulty.vanish();
    wait_until("it is missed", 10, || daemon.log().contains("recording pauses: "));
    assert_copes_without(&daemon, &bench.site, &known);
    let _ = fs::remove_file(bench.site.ring_path());
    symlink(&foreign.0, bench.site.ring_path()).expect("a link");
    wait_until("it is looked at", 10, || daemon.log().contains("no reelfs superblock"));
    fs::remove_file(bench.site.ring_path()).expect("removed");
    symlink(&spare, bench.site.ring_path()).expect("a link");
    wait_until("it is looked at", 10, || daemon.log().contains("a file for a device"));
    assert!(fs::read(&spare).expect("it").iter().all(|byte| *byte == 7), "untouched");
    fs::remove_file(bench.site.ring_path()).expect("removed");
    symlink(&device.0, bench.site.ring_path()).expect("a link");
    bench.faulty.come_back();
    wait_until("it is back", 10, || daemon.log().contains("recording goes on"));
    wait_more_frames(&daemon, "door");
    bench.assert_all_play();
    daemon.stop();
}

#[test]
fn a_loop_device_that_is_detached_is_used_again_when_it_is_attached_again() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut site = Site::without_ring();
    let backing = site.path("backing");
    format(&site, &backing, 32);
    let device = Loop::apart(&backing);
    symlink(&device.0, site.ring_path()).expect("a link");
    site.add_camera("door", &cameras.url(1), "");
    let daemon = site.run();
    wait_until("a clip", 30, || !clips_of(&site.mount(), "door").is_empty());
    let known = closed_clips(&site.mount());

    device.detach_under(&daemon);
    wait_until("it is missed", 10, || daemon.log().contains("recording pauses: "));
    assert_copes_without(&daemon, &site, &known);
    wait_until("it has let go of it", 10, || !device.is_attached());
    let left = fs::read(&backing).expect("the ring");
    // The device is still there, and nothing is behind it.
    wait_until("it is looked at", 10, || {
        let status = daemon.status();
        status["device"]["refused"].as_str().is_some_and(|refused| refused.contains("it has 0"))
    });
    std::thread::sleep(Duration::from_millis(1500));
    assert!(fs::read(&backing).expect("the ring") == left, "nothing is written");
    device.attach(&backing);
    wait_until("it is back", 10, || daemon.log().contains("recording goes on"));
    wait_more_frames(&daemon, "door");
    assert_eq!(device_state(&daemon), "present");
    let camera = daemon.camera("door");
    assert_eq!(camera["reconnects"], 0, "the session has lasted: {camera}");
    assert!(camera["dropped"]["the device is gone"].as_u64() > Some(0), "{camera}");
    let mount = site.mount();
    let found = closed_clips(&mount);
    assert!(known.iter().all(|clip| found.contains(clip)), "{known:?} of {found:?}");
    found.iter().for_each(|clip| clips::assert_plays(&mount.join(clip)));
    daemon.stop();
}

/// How long what is worked on takes, on a thread of its own so that the test goes on if it hangs.
fn timed<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> (T, Duration) {
    let (done, wait) = channel();
    let begun = Instant::now();
    std::thread::spawn(move || done.send(work()));
    let result = wait.recv_timeout(Duration::from_secs(60)).expect("within a minute");
    (result, begun.elapsed())
}

/// What holds while the disk does not answer; `clip` is cached with these bytes.
fn assert_served_while_stalled(daemon: &Daemon, mount: &Path, clip: &Path, bytes: &[u8]) {
    let path = clip.to_owned();
    let (read, took) =
        timed(move || open_direct(&path).and_then(|file| read_page(&file, MIB).map(drop)));
    assert_eq!(read.expect_err("no answer").raw_os_error(), Some(libc::EIO));
    assert!((9..=13).contains(&took.as_secs()), "{took:?}");
    let mut reader = Command::new("dd")
        .args(["iflag=direct", "bs=4096", "skip=300", "count=1", "of=/dev/null", "status=none"])
        .arg(format!("if={}", text(clip)))
        .stderr(Stdio::null())
        .spawn()
        .expect("dd");
    let path = mount.to_owned();
    let (listed, took) = timed(move || closed_clips(&path));
    assert!(listed.iter().any(|name| mount.join(name) == clip), "{listed:?}");
    assert!(took < Duration::from_secs(3), "memory answers: {took:?}");
    let path = clip.to_owned();
    let (found, took) = timed(move || fs::read(&path));
    assert!(found.expect("it is cached") == bytes);
    assert!(took < Duration::from_secs(3), "the cache answers: {took:?}");
    assert_eq!(device_state(daemon), "stalled");
    reader.kill().expect("it runs");
    let (ended, took) = timed(move || reader.wait());
    ended.expect("it ends");
    assert!(took < Duration::from_secs(12), "once its request is answered: {took:?}");
}

/// What of a camera's frames is not in its clips: each time to the end of a group, and as many as
/// were counted. Of the group in which it begins what was handed over before is kept.
fn assert_groups_are_missing(server: &Cameras, mount: &Path, camera: u16, counted: u64) {
    let log = server.log();
    let begins_group = |line: &&serde_json::Value| line["camera"] == camera && line["key"] == true;
    let begins: BTreeSet<u64> =
        log.iter().filter(begins_group).filter_map(|line| line["frame"].as_u64()).collect();
    let name = format!("yard-{camera}");
    let clips: Vec<PathBuf> = clips_of(mount, &name).iter().map(|clip| mount.join(clip)).collect();
    // In the order of their numbers: names of clips of one second are in none.
    let numbers: BTreeSet<u64> = clips::frames(&clips).iter().map(|frame| frame.number).collect();
    let mut missing = 0;
    for (before, found) in numbers.iter().zip(numbers.iter().skip(1)) {
        let next = before + 1;
        let to_the_end = next == *found || begins.contains(found);
        assert!(to_the_end, "{name}: {next}..{found} are missing, and {found} begins no group");
        missing += found - next;
    }
    assert_eq!(missing, counted, "{name}: missing, and counted as dropped");
}

#[test]
fn a_disk_that_stalls_costs_whole_groups_beyond_the_queue_and_no_session() {
    const CAMERAS: u16 = 6;
    const REASON: &str = "the device does not keep up";
    let stall = Duration::from_secs(if rounds_asked().is_some() { 60 } else { 13 });
    let count = CAMERAS.to_string();
    let server = Cameras::start(&[&LARGE[..], &["--cameras", &count]].concat());
    let mut bench = Bench::new(512);
    for number in 1..=CAMERAS {
        bench.site.add_camera(&format!("yard-{number}"), &server.url(number), "");
    }
    let daemon = bench.site.run();
    let mount = bench.site.mount();
    wait_until("a clip", 30, || !clips_of(&mount, "yard-1").is_empty());
    let first = mount.join(&clips_of(&mount, "yard-1")[0]);
    let cached = fs::read(&first).expect("a clip");
    let pinned = Pinned::new(&first);
    // A jump of the beginning, when so many cameras begin at once, is told after a few seconds.
    std::thread::sleep(Duration::from_secs(5));
    let said_before = daemon.log().len();

    bench.faulty.hang();
    let stalled = Instant::now();
    assert_served_while_stalled(&daemon, &mount, &first, &cached);
    drop(pinned);
    std::thread::sleep(stall.saturating_sub(stalled.elapsed()));
    let dropped = || {
        let of = |number| daemon.camera(&format!("yard-{number}"))["dropped"][REASON].as_u64();
        (1..=CAMERAS).filter_map(of).sum::<u64>()
    };
    wait_until("the queue is full", 60, || dropped() > 0);
    let resident = daemon.kernel_number("VmRSS") << 10;
    assert!(resident < 3 * QUEUE_BYTES_MAX as u64, "{resident} bytes");
    bench.faulty.release();
    wait_until("it answers", 20, || device_state(&daemon) == "present");
    for number in 1..=CAMERAS {
        let name = format!("yard-{number}");
        wait_more_frames(&daemon, &name);
        let camera = daemon.camera(&name);
        assert_eq!(camera["reconnects"], 0, "{camera}");
        assert_eq!(camera["state"], "recording", "{camera}");
    }
    let log = daemon.log().split_off(said_before);
    // What was gathered before is told later.
    let jumped = |line: &&str| line.contains("time jumped") && !line.contains("times, last");
    assert_eq!(log.lines().find(jumped), None, "no clock has jumped");
    assert!(log.contains("answers again"), "{log}");
    let took = stalled.elapsed();
    let count = |number| daemon.camera(&format!("yard-{number}"))["dropped"][REASON].as_u64();
    let counted: Vec<u64> = (1..=CAMERAS).map(|number| count(number).unwrap_or(0)).collect();
    daemon.stop();
    (1..=CAMERAS).for_each(|number| bench.unplug(&server.url(number)));
    let daemon = bench.site.run();
    for (number, counted) in (1..=CAMERAS).zip(&counted) {
        assert_groups_are_missing(&server, &mount, number, *counted);
    }
    daemon.stop();
    let (took, dropped) = (took.as_secs(), counted.iter().sum::<u64>());
    println!("stalled for {took} s, {dropped} frames dropped");
    println!("torture: faults target=stall rounds=1 cuts=0 frames-dropped={dropped} failures=0");
}

#[test]
fn a_daemon_stops_while_its_disk_stalls() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut bench = Bench::new(32);
    bench.site.add_camera("door", &cameras.url(1), "");
    let mut daemon = bench.site.run();
    daemon.wait_recording("door");
    bench.faulty.hang();
    std::thread::sleep(Duration::from_secs(2));
    let begun = Instant::now();
    daemon.signal("TERM");
    wait_until("it is unmounted", 15, || !daemon::is_mounted(&bench.site.mount()));
    wait_until("it has given up", 40, || daemon.log().contains("daemon] stopped"));
    println!("given up after {:?}", begun.elapsed());
    bench.faulty.release();
    assert_eq!(daemon.wait_end().code(), Some(1), "a service manager is told");
    assert!(daemon.log().contains("does not answer"), "{}", daemon.log());
    let daemon = bench.site.run();
    bench.assert_all_play();
    daemon.stop();
}

fn rounds_asked() -> Option<u64> {
    std::env::var("REELFS_ROUNDS").ok().map(|rounds| rounds.parse().expect("a number of rounds"))
}

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    std::env::var("REELFS_SEED").map_or(now, |seed| seed.parse().expect("a seed"))
}

/// What a run of rounds has come to.
#[derive(Default)]
struct Score {
    rounds: u64,
    cuts: u64,
    lost_max: i64,
    /// Pieces of clips that were EIO while places could not be read.
    refused: u64,
}

/// The power goes while the daemon records: answers how much of the footage is lost, in ns.
fn cut_power(bench: &mut Bench, daemon: Daemon, dice: &mut Dice) -> i64 {
    bench.faulty.cut(dice.below(u64::MAX), [0, 50, 90][dice.below(3) as usize]);
    let cut_at =
        SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as i64;
    daemon.kill();
    bench.faulty.come_back();
    let cameras = std::mem::take(&mut bench.site.cameras);
    bench.site.add_camera("door", "rtsp://127.0.0.1:1/", "");
    let daemon = bench.site.run();
    let clips = bench.assert_all_play();
    let last = clips::frames(&clips).iter().map(|frame| frame.sent).max().expect("frames");
    daemon.stop();
    bench.site.cameras = cameras;
    cut_at - last
}

/// Closed clips by their path in the mount, with their bytes.
fn closed_bytes(mount: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |clip: String| {
        // A full ring gives up the oldest.
        let bytes = fs::read(mount.join(&clip)).ok()?;
        Some((clip, bytes))
    };
    closed_clips(mount).into_iter().filter_map(read).collect()
}

/// Reads what a clip begins with, past every cache: in how many pieces that is EIO, where the clip
/// is still there. What is read is right.
fn pieces_refused(clip: &Path, expected: &[u8]) -> Option<u64> {
    let mut refused = 0;
    let mut failed = |error: io::Error| {
        let is_eio = error.raw_os_error() == Some(libc::EIO);
        assert!(is_eio || !clip.exists(), "{}: {error}", clip.display());
        refused += 1;
    };
    match open_direct(clip) {
        Ok(file) => {
            let mut buffer = AlignedBuffer::zeroed(PIECE);
            for (number, piece) in expected.chunks(PIECE).enumerate() {
                match file.read_at(&mut buffer, (number * PIECE) as u64) {
                    Ok(length) => {
                        assert!(&buffer[..length] == piece, "{}: bytes", clip.display());
                    }
                    Err(error) => failed(error),
                }
            }
        }
        Err(error) => failed(error),
    }
    clip.exists().then_some(refused)
}

/// A fault that costs no frame and no session, nor anything that was there before it.
fn without_loss(
    bench: &mut Bench,
    daemon: &Daemon,
    fault: impl FnOnce(&mut Bench, &BTreeMap<String, Vec<u8>>),
) {
    let mount = bench.site.mount();
    // What earlier faults have cost is counted by then.
    bench.faulty.mend();
    wait_more_frames(daemon, "door");
    let before = daemon.camera("door");
    let known = closed_bytes(&mount);
    assert!(!known.is_empty());
    fault(bench, &known);
    wait_more_frames(daemon, "door");
    assert_eq!(device_state(daemon), "present");
    let after = daemon.camera("door");
    for what in ["dropped", "reconnects"] {
        assert_eq!(after[what], before[what], "{what}");
    }
    let refused = known.iter().map(|(clip, bytes)| pieces_refused(&mount.join(clip), bytes));
    let left: Vec<u64> = refused.flatten().collect();
    assert!(left.iter().all(|refused| *refused == 0), "what was EIO reads again: {left:?}");
    let names = closed_clips(&mount);
    // From the oldest on, and in no other order.
    let gone = known.keys().take_while(|clip| !names.contains(clip)).count();
    assert!(known.keys().skip(gone).all(|clip| names.contains(clip)), "{known:?}: {names:?}");
}

/// Places can't be read for a while; answers how many pieces of clips were EIO.
fn refuse_reads(bench: &mut Bench, daemon: &Daemon, dice: &mut Dice) -> u64 {
    // From the first one on: it is in use.
    let blocks = bench.blocks(0..1 + dice.below(40) as u32);
    let time = Duration::from_millis(dice.below(4000));
    let mut refused = 0;
    without_loss(bench, daemon, |bench, known| {
        let mount = bench.site.mount();
        bench.faulty.fail(Kind::Read, blocks, 0);
        let found =
            known.iter().filter_map(|(clip, bytes)| pieces_refused(&mount.join(clip), bytes));
        refused = found.sum();
        std::thread::sleep(time);
        bench.faulty.mend();
    });
    refused
}

/// A disk that takes its time for one kind of request, but never so long that it stalls.
fn slow_down(bench: &mut Bench, daemon: &Daemon, dice: &mut Dice) {
    let kind = [Kind::Read, Kind::Write, Kind::Flush][dice.below(3) as usize];
    // Of reads a reader may need some, and is to have them within ten seconds.
    let delay_max = if kind == Kind::Read { 300 } else { 1500 };
    let delay = Duration::from_millis(1 + dice.below(delay_max));
    let time = Duration::from_millis(1000 + dice.below(4000));
    without_loss(bench, daemon, |bench, known| {
        let began = Instant::now();
        bench.faulty.delay(kind, delay);
        for (clip, bytes) in known.iter().rev().take(2) {
            let (clip, first) = (bench.site.mount().join(clip), bytes.len().min(PIECE));
            let refused = pieces_refused(&clip, &bytes[..first]);
            assert!(refused.is_none_or(|refused| refused == 0), "it is slow, and answers");
        }
        std::thread::sleep(time.saturating_sub(began.elapsed()));
        bench.faulty.mend();
    });
}

/// Kinds of faults that [`bring_on`] knows.
const FAULTS: u64 = 8;
/// With these a run begins, so that each has them: a power cut, places that can't be read, delays.
const FIRST_FAULTS: [u64; 3] = [0, 6, 7];

/// Lets something happen to the disk while the daemon records.
fn bring_on(
    fault: u64,
    bench: &mut Bench,
    daemon: Daemon,
    dice: &mut Dice,
    score: &mut Score,
) -> Daemon {
    let first = dice.below(40) as u32;
    let some = bench.blocks(first..first + 2);
    match fault {
        0 => {
            let lost = cut_power(bench, daemon, dice);
            let allowed = FLUSH.as_nanos() as i64 + SECOND;
            assert!(lost <= allowed, "{} ms are lost", lost / 1_000_000);
            (score.cuts, score.lost_max) = (score.cuts + 1, score.lost_max.max(lost));
            return bench.site.run();
        }
        1 => {
            bench.faulty.vanish();
            std::thread::sleep(Duration::from_millis(dice.below(4000)));
            bench.faulty.come_back();
        }
        2 => {
            bench.faulty.hang();
            std::thread::sleep(Duration::from_millis(dice.below(4000)));
            bench.faulty.release();
        }
        3 => bench.faulty.fail(Kind::Write, some, 1 + dice.below(3) as u32),
        4 => bench.faulty.fail(Kind::Flush, 0..1, 1 + dice.below(3) as u32),
        5 => bench.faulty.fail(Kind::Write, 0..64 * MIB, 1 + dice.below(6) as u32),
        6 => score.refused += refuse_reads(bench, &daemon, dice),
        _ => slow_down(bench, &daemon, dice),
    }
    daemon
}

#[test]
fn whatever_the_disk_does_recording_goes_on_and_a_power_cut_costs_little() {
    let seed = seed();
    println!("REELFS_SEED={seed}");
    let mut dice = Dice(seed | 1);
    let mut score = Score::default();
    let server = Cameras::start(&["--gop", "50", "--bitrate", "2000k"]);
    let mut bench = Bench::new(48);
    bench.site.ring = format!("flush = \"{}s\"", FLUSH.as_secs());
    bench.site.add_camera("door", &server.url(1), "");
    bench.faulty.make_volatile();
    let mut daemon = bench.site.run();
    for round in 0..rounds_asked().unwrap_or(FIRST_FAULTS.len() as u64) {
        wait_more_frames(&daemon, "door");
        std::thread::sleep(Duration::from_millis(dice.below(2500)));
        let first = FIRST_FAULTS.get(round as usize).copied();
        let fault = first.unwrap_or_else(|| dice.below(FAULTS));
        println!("round {round}: fault {fault}");
        daemon = bring_on(fault, &mut bench, daemon, &mut dice, &mut score);
        wait_more_frames(&daemon, "door");
        score.rounds += 1;
    }
    daemon.stop();
    bench.unplug(&server.url(1));
    let daemon = bench.site.run();
    let clips = bench.assert_all_play();
    let numbers: Vec<u64> = clips::frames(&clips).iter().map(|frame| frame.number).collect();
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len(), "each frame once");
    daemon.stop();
    println!("{} pieces of clips could not be read for a while", score.refused);
    println!(
        "torture: faults rounds={} cuts={} seconds-lost-max={:.2} failures=0",
        score.rounds,
        score.cuts,
        score.lost_max as f64 / SECOND as f64
    );
}

/// A file system in memory; unmounted when dropped.
struct Small(PathBuf);

impl Small {
    fn at(path: PathBuf, size: &str) -> Small {
        fs::create_dir(&path).expect("a folder");
        run_tool("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", text(&path)]);
        Small(path)
    }

    fn resize(&self, size: &str) {
        run_tool("mount", &["-o", &format!("remount,size={size}"), text(&self.0)]);
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        try_tool("umount", &["--lazy", text(&self.0)]);
    }
}

#[test]
fn a_full_file_system_below_a_ring_with_holes_costs_no_block() {
    let cameras = Cameras::start(&LARGE);
    let mut site = Site::without_ring();
    let small = Small::at(site.path("small"), "12m");
    let ring = small.0.join("ring");
    let words = ["format", "--sparse", "--size", "64M", "--block-size", "1M", text(&ring)];
    let output = site.reelfs(&words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    symlink(&ring, site.ring_path()).expect("a link");
    site.add_camera("door", &cameras.url(1), "");
    let daemon = site.run();
    let pauses = "recording pauses until there is room";
    wait_until("it is full", 60, || daemon.log().contains(pauses));
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!(daemon.log().matches(pauses).count(), 1, "said once: {}", daemon.log());
    assert_eq!(device_state(&daemon), "present");
    small.resize("96m");
    wait_until("it goes on", 20, || daemon.log().contains("the device takes it again"));
    wait_more_frames(&daemon, "door");
    assert_eq!(daemon.status()["ring"]["bad_blocks"], 0);
    assert!(!daemon.log().contains("not used any more"), "{}", daemon.log());
    daemon.stop();
    site.cameras = site.cameras.replace(&cameras.url(1), "rtsp://127.0.0.1:1/");
    let daemon = site.run();
    let mount = site.mount();
    let clips: Vec<String> = closed_clips(&mount);
    assert!(clips.len() >= 2, "before, and after: {clips:?}");
    clips.iter().for_each(|clip| clips::assert_plays(&mount.join(clip)));
    daemon.stop();
}

#[test]
fn a_disk_too_slow_for_a_while_costs_whole_groups_counted_and_said_once_a_minute() {
    const CAMERAS: u16 = 6;
    const REASON: &str = "the device does not keep up";
    let count = CAMERAS.to_string();
    let options = ["--cameras", &count, "--sound", "pcma"];
    let server = Cameras::start(&[&LARGE[..], &options].concat());
    let mut bench = Bench::new(512);
    let names: Vec<String> = (1..=CAMERAS).map(|number| format!("yard-{number}")).collect();
    for (name, number) in names.iter().zip(1..) {
        bench.site.add_camera(name, &server.url(number), "");
    }
    let daemon = bench.site.run();
    names.iter().for_each(|name| daemon.wait_recording(name));
    let said_before = daemon.log().len();
    let begun = Instant::now();

    // 512 KiB at a time: a tenth of what comes.
    bench.faulty.delay(Kind::Write, Duration::from_millis(1000));
    let counts = || -> Vec<u64> {
        let of = |name: &String| daemon.camera(name)["dropped"][REASON].as_u64().unwrap_or(0);
        names.iter().map(of).collect()
    };
    wait_until("every camera has lost something", 60, || counts().iter().all(|lost| *lost > 0));
    let resident = daemon.kernel_number("VmRSS") << 10;
    assert!(resident < 3 * QUEUE_BYTES_MAX as u64, "{resident} bytes");
    bench.faulty.mend();
    for name in &names {
        wait_more_frames(&daemon, name);
        let camera = daemon.camera(name);
        assert_eq!(camera["state"], "recording", "{camera}");
        assert_eq!(camera["reconnects"], 0, "{camera}");
        assert_eq!(camera["lost_packets"], 0, "the network has lost nothing: {camera}");
    }
    let counted = counts();
    let log = daemon.log().split_off(said_before);
    let minutes = begun.elapsed().as_secs() as usize / 60 + 1;
    for name in &names {
        let is_said = |line: &&str| line.contains(REASON) && line.contains(name.as_str());
        let lines = log.lines().filter(is_said).count();
        assert!((1..=minutes).contains(&lines), "{lines} lines in {minutes} min: {log}");
    }
    daemon.stop();
    let checked = bench.site.reelfs(&["check", text(&bench.site.ring_path())]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    (1..=CAMERAS).for_each(|number| bench.unplug(&server.url(number)));
    let daemon = bench.site.run();
    let mount = bench.site.mount();
    for (number, counted) in (1..=CAMERAS).zip(&counted) {
        assert_groups_are_missing(&server, &mount, number, *counted);
    }
    // With their sound.
    clips_of(&mount, &names[0]).iter().for_each(|clip| clips::assert_plays(&mount.join(clip)));
    daemon.stop();
    println!("{} frames dropped in {:?}", counted.iter().sum::<u64>(), begun.elapsed());
}
