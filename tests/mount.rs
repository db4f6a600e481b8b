//! The tree, mounted for real and used with the tools that people use. Needs /dev/fuse and root.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use reelfs::library::{
    Attribute, Bytes, Changes, Footage, Library, LibraryError, OpenFile, Snapshot, Told,
};
use reelfs::mount::{Mounted, Options, mount};
use reelfs::named::{Form, Named};
use reelfs::ring::Usage;
use reelfs::segment::NameForm;
use reelfs::shown::Shown;
use reelfs::units::{BootTime, ByteCount, ClipKey, NANOS_PER_SECOND, WallTime};
use reelfs::view::{Layout, ListedClip, Place, Tree};
use reelfs::zone::Zone;

const MINUTE: i64 = 60 * NANOS_PER_SECOND;
/// 2026-11-21 00:00 UTC.
const DAY: i64 = 1_795_219_200 * NANOS_PER_SECOND;
/// How much a growing clip grows at a time, in bytes.
const GROWTH: usize = 100_000;
/// Where the helper process of a test mounts.
const HELPER_PATH: &str = "REELFS_TEST_HELPER_MOUNT";

fn key(number: u64) -> ClipKey {
    ClipKey::from_number(number).expect("a clip's number")
}

/// Footage in memory.
#[derive(Default)]
struct Memory {
    clips: Mutex<HashMap<ClipKey, Arc<Clip>>>,
    growing: Mutex<Option<u8>>,
    snapshots: AtomicUsize,
    syncs: AtomicUsize,
    removed: Mutex<Vec<ClipKey>>,
    restored: Mutex<Vec<ClipKey>>,
    purged: Mutex<Vec<ClipKey>>,
    gate: Arc<Gate>,
}

/// A union mount over a tree, unmounted when dropped.
struct Overlay(tempfile::TempDir);

impl Overlay {
    fn over(lower: &Path) -> Overlay {
        let overlay = Overlay(tempfile::tempdir().expect("a directory"));
        let upper = overlay.0.path().join("upper");
        fs::create_dir(&upper).expect("a directory");
        // The upper layer of an overlay can't lie on another overlay, as a temporary one may.
        let mount = |kind: &str, options: &str, at: &Path| {
            printed("mount", &["-t", kind, kind, "-o", options, text(at)]);
        };
        mount("tmpfs", "size=1m", &upper);
        for name in ["work", "upper"] {
            fs::create_dir(upper.join(name)).expect("a directory");
        }
        fs::create_dir(overlay.0.path().join("merged")).expect("a directory");
        let upper = text(&upper);
        let options =
            format!("lowerdir={},upperdir={upper}/upper,workdir={upper}/work", text(lower));
        mount("overlay", &options, &overlay.path(""));
        overlay
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join("merged").join(below)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        for name in ["merged", "upper"] {
            let _ = Command::new("umount").arg(self.0.path().join(name)).status();
        }
    }
}

/// What a test makes a disk wait at.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock().expect("no panic") = shut;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let shut = self.shut.lock().expect("no panic");
        drop(self.changed.wait_while(shut, |shut| *shut).expect("no panic"));
    }
}

struct Clip {
    bytes: Vec<u8>,
    evicted: AtomicBool,
    damaged_at: Option<u64>,
    panics: bool,
    gate: Arc<Gate>,
}

impl OpenFile for Clip {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, offset: u64, length: u32) -> Result<Bytes<'_>, LibraryError> {
        self.gate.pass();
        assert!(!self.panics, "as a test");
        if self.evicted.load(Ordering::SeqCst) {
            return Err(LibraryError::Gone);
        }
        let range = offset..offset + u64::from(length);
        if self.damaged_at.is_some_and(|at| range.contains(&at)) {
            return Err(LibraryError::Damaged("checksum".to_owned()));
        }
        Ok(Box::new(&self.bytes[range.start as usize..range.end as usize]))
    }
}

impl Footage for Memory {
    fn open_clip(&self, clip: ClipKey) -> Result<Arc<dyn OpenFile>, LibraryError> {
        let clips = self.clips.lock().expect("no panic");
        let file = clips.get(&clip).ok_or(LibraryError::Gone)?;
        Ok(Arc::clone(file) as Arc<dyn OpenFile>)
    }

    /// The whole content shifts as it grows: every byte says how long the file is.
    fn snapshot(&self, _camera: &str) -> Result<Option<Snapshot>, LibraryError> {
        self.snapshots.fetch_add(1, Ordering::SeqCst);
        let growing = *self.growing.lock().expect("no panic");
        Ok(growing.map(|growths| Snapshot {
            clips: Vec::new(),
            file: Arc::new(clip_of(vec![growths; usize::from(growths) * GROWTH], &self.gate)),
            start: WallTime(DAY),
            end: WallTime(DAY + i64::from(growths) * NANOS_PER_SECOND),
            attributes: vec![("user.reelfs.camera", "a".to_owned())],
            identity: None,
            memory: 0,
        }))
    }

    fn range(
        &self,
        camera: &str,
        named: &Named,
        _: &Zone,
        _: &dyn Fn(ClipKey) -> Option<bool>,
    ) -> Result<Snapshot, LibraryError> {
        let of = self.snapshot(camera)?.ok_or(LibraryError::Gone)?;
        let (start, end) = (named.ranges[0].start, named.ranges[0].end);
        Ok(Snapshot { start, end, identity: Some([7; 32]), ..of })
    }

    fn clip_as(&self, clip: ClipKey, _: Form, _: &Zone, _: &str) -> Result<Snapshot, LibraryError> {
        let (file, time) = (self.open_clip(clip)?, WallTime(DAY));
        let attributes = Vec::new();
        Ok(Snapshot {
            clips: Vec::new(),
            file,
            start: time,
            end: time,
            attributes,
            identity: Some([8; 32]),
            memory: 0,
        })
    }

    fn now(&self) -> WallTime {
        WallTime(DAY)
    }

    fn cameras(&self) -> Vec<String> {
        vec!["a".to_owned()]
    }

    fn growing_cameras(&self) -> Vec<String> {
        let growing = self.growing.lock().expect("no panic");
        growing.iter().map(|_| "a".to_owned()).collect()
    }

    fn usage(&self) -> Usage {
        let gib = |count: u64| ByteCount(count << 30);
        let (size, used, expiring, free) = (gib(10), gib(7), gib(1), gib(3));
        Usage { size, used, expiring, kept: gib(2), free, bad_blocks: 0 }
    }

    fn keep_max(&self) -> ByteCount {
        ByteCount(4 << 30)
    }

    fn attributes(&self, clip: ClipKey) -> Option<Vec<Attribute>> {
        let camera = ("user.reelfs.camera", "a".to_owned());
        Some(vec![("user.reelfs.frames", clip.number().to_string()), camera])
    }

    fn told(&self, _what: Told) -> Option<Vec<u8>> {
        let text = format!("{{\"filler\": \"{}\", \"last\": true}}\n", "x".repeat(70_000));
        Some(text.into_bytes())
    }
}

impl Changes for Memory {
    fn remove(&self, clip: ClipKey) -> Result<(), LibraryError> {
        self.removed.lock().expect("no panic").push(clip);
        Ok(())
    }

    fn restore(&self, clip: ClipKey) -> Result<(), LibraryError> {
        self.restored.lock().expect("no panic").push(clip);
        Ok(())
    }

    fn purge(&self, clip: ClipKey) -> Result<(), LibraryError> {
        self.purged.lock().expect("no panic").push(clip);
        Ok(())
    }

    fn keep(
        &self,
        clips: &[ClipKey],
        _until: Option<WallTime>,
    ) -> Result<Vec<ClipKey>, LibraryError> {
        Ok(clips.to_vec())
    }

    fn release(&self, clips: &[ClipKey]) -> Result<Vec<ClipKey>, LibraryError> {
        Ok(clips.to_vec())
    }

    fn sync(&self) -> Result<(), LibraryError> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

fn clip_of(bytes: Vec<u8>, gate: &Arc<Gate>) -> Clip {
    let gate = Arc::clone(gate);
    Clip { bytes, evicted: AtomicBool::new(false), damaged_at: None, panics: false, gate }
}

/// A mount of some clips, unmounted in the end.
struct Rig {
    mounted: Option<Mounted>,
    shown: Arc<Shown>,
    memory: Arc<Memory>,
    directory: tempfile::TempDir,
}

impl Rig {
    fn new() -> Rig {
        let directory = tempfile::tempdir().expect("a directory");
        let (shown, memory) = (nothing_shown(), Arc::new(Memory::default()));
        let mounted = Some(mount_at(directory.path(), &shown, &memory));
        Rig { mounted, shown, memory, directory }
    }

    /// With `count` clips, ten minutes apart, of each of two cameras.
    fn with_clips(count: u64) -> Rig {
        let rig = Rig::new();
        for number in 0..count {
            rig.add(1000 + 2 * number, "a", number as i64 * 10);
            rig.add(1001 + 2 * number, "b", number as i64 * 10);
        }
        rig
    }

    fn add(&self, number: u64, camera: &str, minute: i64) -> Place {
        let length = 300_000 + (number as usize % 97) * 13;
        self.add_clip(number, camera, minute, clip_of(content(number, length), &self.memory.gate))
    }

    fn add_clip(&self, number: u64, camera: &str, minute: i64, clip: Clip) -> Place {
        let id = key(number);
        let start = WallTime(DAY + minute * MINUTE);
        let listed = ListedClip {
            clip: id,
            redated: false,
            camera,
            start,
            end: start.plus_nanos(10 * MINUTE),
            form: NameForm::Seconds,
            size: clip.size(),
        };
        self.memory.clips.lock().expect("no panic").insert(id, Arc::new(clip));
        self.shown.list(&listed).expect("it was not shown")
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    fn mounted(&self) -> &Mounted {
        self.mounted.as_ref().expect("mounted")
    }

    /// As the daemon does when a clip is evicted.
    fn evict(&self, number: u64) {
        let id = key(number);
        let clip = self.memory.clips.lock().expect("no panic").remove(&id).expect("a clip");
        clip.evicted.store(true, Ordering::SeqCst);
        self.shown.hide(id);
        assert!(self.mounted().notifier().wait_until_told(Duration::from_secs(5)));
    }
}

fn nothing_shown() -> Arc<Shown> {
    let layout = Layout::parse("default").expect("a preset");
    Arc::new(Shown::new(Tree::new(layout, Zone::UTC)))
}

fn mount_at(path: &Path, shown: &Arc<Shown>, memory: &Arc<Memory>) -> Mounted {
    let options = Options { source_name: "a label".to_owned(), ..Options::default() };
    let source = Arc::clone(memory) as Arc<dyn Library>;
    mount(path, &options, Arc::clone(shown), source)
        .expect("a mount; this needs root and /dev/fuse")
}

/// Bytes that differ from clip to clip and from page to page.
fn content(number: u64, length: usize) -> Vec<u8> {
    (0..length).map(|at| ((at / 7) as u64 ^ number.wrapping_mul(at as u64 >> 12)) as u8).collect()
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output();
    output.unwrap_or_else(|error| panic!("this test needs {program}: {error}"))
}

/// What a command prints; it has to succeed, and say nothing on standard error.
fn printed(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && complaint.is_empty(), "{program}: {complaint}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn errno(result: io::Result<impl Sized>) -> i32 {
    result.err().expect("an error").raw_os_error().expect("an errno")
}

#[test]
fn files_are_listed_with_their_sizes_times_modes_and_bytes() {
    let rig = Rig::with_clips(3);
    let root = printed("ls", &[text(&rig.path(""))]);
    assert_eq!(root, "2026-11-21\nnow\n");
    let listing = printed("find", &[text(&rig.path("2026-11-21/a")), "-printf", "%f %m %s %Ts\n"]);
    assert!(listing.contains("00-10-00.mp4 444 300416 1795220400\n"), "{listing}");
    for number in [1000, 1002, 1004] {
        let path = rig.path(&format!("2026-11-21/a/00-{:02}-00.mp4", (number - 1000) * 5));
        let bytes = fs::read(&path).expect("a clip");
        let found = fs::metadata(&path).expect("a clip");
        assert!(bytes == content(number, found.len() as usize));
        assert_eq!((found.ino(), found.blocks()), (number, found.len().div_ceil(512)));
        assert_eq!((found.uid(), found.nlink()), (0, 1));
    }
    let day = fs::metadata(rig.path("2026-11-21")).expect("a day");
    assert_eq!((day.permissions().mode() & 0o777, day.nlink()), (0o755, 4));
    let up = fs::metadata(rig.path("2026-11-21/a/..")).expect("the day");
    assert_eq!(up.ino(), day.ino());
}

#[test]
fn copies_are_whole_and_a_second_rsync_copies_nothing() {
    let rig = Rig::with_clips(5);
    let target = tempfile::tempdir().expect("a directory");
    let (from, to) = (format!("{}/", rig.path("2026-11-21").display()), target.path());
    let first = printed("rsync", &["-ai", &from, text(to)]);
    assert_eq!(first.matches(".mp4").count(), 10, "{first}");
    assert_eq!(printed("rsync", &["-ai", &from, text(to)]), "");
    rig.add(1999, "a", 600);
    let third = printed("rsync", &["-ai", &from, text(to)]);
    assert_eq!(third.matches(".mp4").count(), 1, "{third}");
    assert!(printed("diff", &["-r", &from, text(to)]).is_empty());
    let copy = to.join("copy.mp4");
    printed("cp", &["-a", text(&rig.path("2026-11-21/b/00-20-00.mp4")), text(&copy)]);
    assert!(fs::read(&copy).expect("a copy") == content(1005, 300_000 + (1005 % 97) * 13));
}

#[test]
fn odd_reads_equal_the_whole() {
    let rig = Rig::with_clips(1);
    let mut file = File::open(rig.path("2026-11-21/a/00-00-00.mp4")).expect("a clip");
    let mut whole = Vec::new();
    file.read_to_end(&mut whole).expect("its bytes");
    for (offset, length) in [(0, 1), (4095, 2), (65_537, 4096), (300_000, 1000)] {
        let mut part = vec![0; length];
        let got = file.read_at(&mut part, offset as u64).expect("its bytes");
        assert!(part[..got] == whole[offset..(offset + length).min(whole.len())]);
    }
    let end = file.seek(SeekFrom::End(0)).expect("a size");
    assert_eq!((end, file.read_at(&mut [0; 10], end).expect("the end")), (whole.len() as u64, 0));
}

#[test]
fn df_shows_the_ring() {
    let rig = Rig::new();
    let shown = printed("df", &["-B1", "--output=source,fstype,size,avail", text(&rig.path(""))]);
    let words: Vec<&str> = shown.lines().nth(1).expect("a line").split_whitespace().collect();
    let ring = ["a", "label", "fuse.reelfs", "10737418240", "3221225472"];
    assert_eq!(words, ring);
}

#[test]
fn extended_attributes_are_listed_and_read() {
    let rig = Rig::with_clips(1);
    let script = "
import errno, os, sys
path = sys.argv[1]
assert os.listxattr(path) == ['user.reelfs.frames', 'user.reelfs.camera'], os.listxattr(path)
assert os.getxattr(path, 'user.reelfs.frames') == b'1000'
def refusal(name):
    try:
        os.getxattr(path, name)
    except OSError as error:
        return error.errno
assert refusal('user.reelfs.nothing') == errno.ENODATA
assert refusal('security.capability') == errno.EOPNOTSUPP
assert refusal('system.posix_acl_access') == errno.EOPNOTSUPP
own = os.listxattr(os.path.dirname(path))
assert own == ['user.reelfs.clips', 'user.reelfs.bytes', 'user.reelfs.end'], own
assert os.getxattr(os.path.dirname(path), 'user.reelfs.clips') == b'1'
try:
    os.setxattr(path, 'user.x', b'1')
    raise SystemExit('set')
except OSError as error:
    assert error.errno == errno.EROFS
";
    printed("python3", &["-c", script, text(&rig.path("2026-11-21/a/00-00-00.mp4"))]);
}

#[test]
fn rm_hides_at_once_and_who_has_it_open_reads_on() {
    let rig = Rig::with_clips(2);
    let path = rig.path("2026-11-21/a/00-00-00.mp4");
    let file = File::open(&path).expect("a clip");
    printed("rm", &[text(&path)]);
    assert_eq!(errno(fs::metadata(&path)), libc::ENOENT);
    assert_eq!(*rig.memory.removed.lock().expect("no panic"), [key(1000)]);
    let mut bytes = vec![0; 300_000];
    file.read_exact_at(&mut bytes, 0).expect("its bytes");
    assert!(bytes == content(1000, 300_000));
    assert_eq!(file.metadata().expect("still open").nlink(), 1, "it is in the trash");
    File::open(rig.path("2026-11-21")).expect("a day").sync_all().expect("durable");
    assert_eq!(rig.memory.syncs.load(Ordering::SeqCst), 1);
}

#[test]
fn rm_of_a_day_succeeds_while_clips_arrive_elsewhere() {
    let rig = Rig::with_clips(200);
    rig.add(5000, "a", 24 * 60 * 3);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 5001..5201 {
                rig.add(number, "a", 24 * 60 * 3 + number as i64 - 5000);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        // 200 clips, ten minutes apart, reach into a second day.
        printed("rm", &["-r", text(&rig.path("2026-11-21/b"))]);
        printed("rm", &["-r", text(&rig.path("2026-11-21"))]);
    });
    assert_eq!(printed("ls", &[text(&rig.path(""))]), "2026-11-22\n2026-11-24\nnow\n");
    let left = printed("ls", &[text(&rig.path("2026-11-24/a"))]);
    assert_eq!(left.lines().count(), 201);
    assert_eq!(rig.memory.removed.lock().expect("no panic").len(), 288);
}

#[test]
fn an_evicted_clip_is_gone_at_once_and_an_error_to_its_reader() {
    let rig = Rig::with_clips(2);
    let path = rig.path("2026-11-21/a/00-00-00.mp4");
    let file = File::open(&path).expect("a clip");
    let mut bytes = [0; 4096];
    file.read_exact_at(&mut bytes, 0).expect("its bytes, now cached");
    rig.evict(1000);
    assert_eq!(errno(fs::metadata(&path)), libc::ENOENT);
    assert_eq!(errno(File::open(&path)), libc::ENOENT);
    assert_eq!(errno(file.read_exact_at(&mut bytes, 0)), libc::EIO);
}

#[test]
fn emptied_directories_vanish_and_come_back() {
    let rig = Rig::with_clips(1);
    let path = rig.path("2026-11-21/b");
    let inode = fs::metadata(&path).expect("a camera").ino();
    rig.evict(1001);
    assert_eq!(printed("ls", &[text(&path)]), "");
    for now in [0, 2 * MINUTE] {
        rig.shown.drop_empty(BootTime(now));
    }
    assert!(rig.mounted().notifier().wait_until_told(Duration::from_secs(5)));
    assert_eq!(errno(fs::metadata(&path)), libc::ENOENT);
    rig.add(1003, "b", 10);
    assert_eq!(fs::metadata(&path).expect("again").ino(), inode);
    assert_eq!(printed("ls", &[text(&path)]), "00-10-00.mp4\n");
}

#[test]
fn two_snapshots_open_at_once_are_each_consistent() {
    let rig = Rig::new();
    let path = rig.path("now/a.mp4");
    let consistent = |file: &File, growths: u8| {
        let mut file = file;
        file.seek(SeekFrom::Start(0)).expect("a place");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("its bytes");
        assert_eq!(bytes.len(), usize::from(growths) * GROWTH);
        assert!(bytes.iter().all(|byte| *byte == growths), "a mixture");
    };
    let told = |file: &File| {
        let told = file.metadata().expect("open");
        (told.ino(), told.len() / GROWTH as u64)
    };
    *rig.memory.growing.lock().expect("no panic") = Some(3);
    let first = File::open(&path).expect("a snapshot");
    let mut begin = [0; 5000];
    first.read_exact_at(&mut begin, 0).expect("its bytes");
    *rig.memory.growing.lock().expect("no panic") = Some(5);
    first.sync_all().expect("durable");
    let second = File::open(&path).expect("a snapshot");
    consistent(&second, 5);
    consistent(&first, 3);
    let inode = told(&first).0;
    assert_eq!((told(&first), told(&second)), ((inode, 5), (inode, 5)), "what was opened last");
    *rig.memory.growing.lock().expect("no panic") = Some(7);
    std::thread::sleep(Duration::from_millis(1100));
    consistent(&File::open(&path).expect("a snapshot"), 7);
    consistent(&first, 3);
    consistent(&second, 5);
    assert_eq!(rig.memory.syncs.load(Ordering::SeqCst), 1);
}

/// Containers, union mounts and programs with a descriptor of a path (`O_PATH`) ask by inode.
#[test]
fn who_holds_on_to_the_inode_of_what_grows_opens_what_it_is_by_then() {
    let rig = Rig::new();
    let path = rig.path("now/a.mp4");
    let grown = |growths| *rig.memory.growing.lock().expect("no panic") = growths;
    grown(Some(1));
    let held = fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(&path);
    let held = held.expect("a growing clip");
    let reopen = || fs::read(format!("/proc/self/fd/{}", held.as_raw_fd()));
    assert_eq!(reopen().expect("a snapshot").len(), GROWTH);
    let overlay = Overlay::over(&rig.path(""));
    let above = overlay.path("now/a.mp4");
    for growths in 2..5 {
        grown(Some(growths));
        std::thread::sleep(Duration::from_millis(1100));
        let size = usize::from(growths) * GROWTH;
        assert_eq!(reopen().expect("a snapshot").len(), size);
        assert_eq!(fs::read(&above).expect("through the overlay").len(), size);
        assert_eq!(fs::metadata(&above).expect("through the overlay").len(), size as u64);
    }
    grown(None);
    assert_eq!(errno(reopen()), libc::ENOENT);
    std::thread::sleep(Duration::from_millis(1100));
    grown(Some(6));
    assert_eq!(reopen().expect("the clip behind it").len(), 6 * GROWTH);
    assert_eq!(fs::read(&above).expect("through the overlay").len(), 6 * GROWTH);
}

#[test]
fn a_growing_clip_can_be_copied_and_leaves_when_it_closes() {
    let rig = Rig::new();
    *rig.memory.growing.lock().expect("no panic") = Some(2);
    let target = tempfile::tempdir().expect("a directory");
    let copy = target.path().join("copy.mp4");
    printed("cp", &[text(&rig.path("now/a.mp4")), text(&copy)]);
    assert_eq!(fs::read(&copy).expect("a copy"), vec![2; 2 * GROWTH]);
    let long = printed("ls", &["-l", text(&rig.path("now"))]);
    assert!(long.contains(" 200000 "), "{long}");
    *rig.memory.growing.lock().expect("no panic") = None;
    assert_eq!(printed("ls", &[text(&rig.path("now"))]), "");
    assert_eq!(errno(File::open(rig.path("now/a.mp4"))), libc::ENOENT);
}

#[test]
fn listing_what_grows_makes_no_snapshot() {
    let rig = Rig::new();
    *rig.memory.growing.lock().expect("no panic") = Some(1);
    let names = printed(
        "python3",
        &["-c", "import os,sys; print(os.listdir(sys.argv[1]))", text(&rig.path("now"))],
    );
    assert_eq!(names, "['a.mp4']\n");
    assert_eq!(rig.memory.snapshots.load(Ordering::SeqCst), 0);
}

#[test]
fn the_status_is_found_by_name_and_read_whole() {
    let rig = Rig::new();
    let path = rig.path(".status.json");
    assert_eq!(printed("ls", &["-A", text(&rig.path(""))]), "now\n");
    assert_eq!(Some(printed("cat", &[text(&path)]).into_bytes()), rig.memory.told(Told::Status));
    assert_eq!(printed("jq", &[".last", text(&path)]), "true\n");
    let target = tempfile::tempdir().expect("a directory");
    printed("cp", &[text(&path), text(&target.path().join("copy"))]);
    let copy = fs::read(target.path().join("copy")).expect("a copy");
    assert_eq!(Some(copy), rig.memory.told(Told::Status));
}

#[test]
fn everything_else_that_would_change_something_is_refused() {
    let rig = Rig::with_clips(1);
    *rig.memory.growing.lock().expect("no panic") = Some(1);
    let clip = rig.path("2026-11-21/a/00-00-00.mp4");
    let other = rig.path("2026-11-21/a/other");
    let write = |path: &Path| fs::OpenOptions::new().write(true).open(path);
    assert_eq!(errno(File::create(&other)), libc::EROFS);
    assert_eq!(errno(fs::create_dir(&other)), libc::EROFS);
    assert_eq!(errno(write(&clip)), libc::EROFS);
    assert_eq!(errno(File::create(&clip)), libc::EROFS);
    assert_eq!(errno(fs::set_permissions(&clip, PermissionsExt::from_mode(0o600))), libc::EROFS);
    let file = File::open(&clip).expect("a clip");
    assert_eq!(errno(file.set_modified(std::time::SystemTime::now())), libc::EROFS);
    assert_eq!(errno(std::os::unix::fs::chown(&clip, Some(1), None)), libc::EROFS);
    assert_eq!(errno(fs::rename(&clip, &other)), libc::EPERM);
    assert_eq!(errno(fs::hard_link(&clip, &other)), libc::EPERM);
    assert_eq!(errno(std::os::unix::fs::symlink(&clip, &other)), libc::EPERM);
    assert_eq!(errno(fs::remove_file(rig.path("now/a.mp4"))), libc::EPERM);
    assert_eq!(errno(fs::remove_file(rig.path(".status.json"))), libc::EPERM);
    assert_eq!(errno(fs::remove_dir(rig.path("now"))), libc::EPERM);
    assert_eq!(errno(fs::remove_dir(rig.path("2026-11-21"))), libc::ENOTEMPTY);
    assert_eq!(errno(fs::remove_dir(&clip)), libc::ENOTDIR);
    assert!(rig.memory.removed.lock().expect("no panic").is_empty());
}

#[test]
fn a_name_of_256_bytes_is_too_long_wherever_it_is_and_one_of_255_is_not() {
    let rig = Rig::with_clips(1);
    *rig.memory.growing.lock().expect("no panic") = Some(1);
    let (longest, longer) = ("n".repeat(255), "n".repeat(256));
    let clip = rig.path("2026-11-21/a/00-00-00.mp4");
    for directory in ["", "now", ".trash", ".range", "2026-11-21", "2026-11-21/a"] {
        let path = |name: &str| rig.path(directory).join(name);
        assert_eq!(errno(fs::metadata(path(&longer))), libc::ENAMETOOLONG, "{directory}");
        assert_eq!(errno(File::open(path(&longer))), libc::ENAMETOOLONG, "{directory}");
        assert_eq!(errno(File::create(path(&longer))), libc::ENAMETOOLONG, "{directory}");
        assert_eq!(errno(fs::create_dir(path(&longer))), libc::ENAMETOOLONG, "{directory}");
        assert_eq!(errno(fs::remove_file(path(&longer))), libc::ENAMETOOLONG, "{directory}");
        assert_eq!(errno(fs::remove_dir(path(&longer))), libc::ENAMETOOLONG, "{directory}");
        assert_eq!(errno(fs::rename(&clip, path(&longer))), libc::ENAMETOOLONG, "{directory}");
        assert_eq!(errno(fs::rename(path(&longer), &clip)), libc::ENAMETOOLONG, "{directory}");
        assert_eq!(errno(fs::hard_link(&clip, path(&longer))), libc::ENAMETOOLONG, "{directory}");
        assert_eq!(
            errno(std::os::unix::fs::symlink("x", path(&longer))),
            libc::ENAMETOOLONG,
            "{directory}"
        );
        assert_eq!(errno(fs::metadata(path(&longest))), libc::ENOENT, "{directory}");
        assert_eq!(errno(File::create(path(&longest))), libc::EROFS, "{directory}");
        assert_eq!(errno(fs::rename(&clip, path(&longest))), libc::EPERM, "{directory}");
    }
}

#[test]
fn a_damaged_page_is_an_error_and_the_rest_reads() {
    let rig = Rig::new();
    let mut clip = clip_of(content(7, 500_000), &rig.memory.gate);
    clip.damaged_at = Some(200_000);
    rig.add_clip(1007, "a", 0, clip);
    let file = File::open(rig.path("2026-11-21/a/00-00-00.mp4")).expect("a clip");
    let mut page = [0; 4096];
    let mut damaged = Vec::new();
    for at in 0..122 {
        match file.read_exact_at(&mut page, at * 4096) {
            Ok(()) => assert!(page[..] == content(7, 500_000)[at as usize * 4096..][..4096]),
            Err(error) => damaged.push((at, error.raw_os_error())),
        }
    }
    assert_eq!(damaged, [(200_000 / 4096, Some(libc::EIO))]);
}

#[test]
fn a_panic_is_an_error_to_one_request_and_the_mount_goes_on() {
    let rig = Rig::with_clips(1);
    let mut clip = clip_of(content(7, 5000), &rig.memory.gate);
    clip.panics = true;
    rig.add_clip(1007, "c", 0, clip);
    for _ in 0..20 {
        assert_eq!(errno(fs::read(rig.path("2026-11-21/c/00-00-00.mp4"))), libc::EIO);
    }
    assert!(fs::read(rig.path("2026-11-21/a/00-00-00.mp4")).is_ok());
}

#[test]
fn a_disk_that_hangs_keeps_nobody_from_listing() {
    let rig = Rig::with_clips(30);
    rig.memory.gate.set(true);
    std::thread::scope(|scope| {
        for number in 0..30 {
            let minutes = number * 10;
            let name = format!("2026-11-21/a/{:02}-{:02}-00.mp4", minutes / 60, minutes % 60);
            let path = rig.path(&name);
            scope.spawn(move || fs::read(path).expect("in the end"));
        }
        std::thread::sleep(Duration::from_millis(300));
        let begun = Instant::now();
        assert_eq!(printed("ls", &["-l", text(&rig.path("2026-11-21/b"))]).lines().count(), 31);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        rig.memory.gate.set(false);
    });
}

#[test]
fn a_disk_that_never_answers_is_an_error_after_ten_seconds() {
    let rig = Rig::with_clips(1);
    rig.memory.gate.set(true);
    let begun = Instant::now();
    let mut page = [0; 100];
    let file = File::open(rig.path("2026-11-21/a/00-00-00.mp4")).expect("a clip");
    assert_eq!(errno(file.read_exact_at(&mut page, 0)), libc::EIO);
    // Read-ahead fails first; the page itself is then asked for once more.
    let took = begun.elapsed().as_secs();
    assert!((9..25).contains(&took), "{took} s");
    rig.memory.gate.set(false);
    file.read_exact_at(&mut page, 0).expect("the disk is back");
}

#[test]
fn ten_thousand_entries_are_listed_quickly() {
    let rig = Rig::new();
    for number in 0..10_000u64 {
        let start = WallTime(DAY + number as i64 * 8 * NANOS_PER_SECOND);
        let listed = ListedClip {
            clip: key(number + 1000),
            redated: false,
            camera: "a",
            start,
            end: start,
            form: NameForm::Seconds,
            size: number,
        };
        assert!(rig.shown.list(&listed).is_some());
    }
    let begun = Instant::now();
    let listing = printed("ls", &["-l", text(&rig.path("2026-11-21/a"))]);
    assert_eq!(listing.lines().count(), 10_001);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    println!("ls -l of 10,000: {:?}", begun.elapsed());
}

#[test]
fn an_unmount_ends_while_somebody_has_a_file_open() {
    let mut rig = Rig::with_clips(1);
    let file = File::open(rig.path("2026-11-21/a/00-00-00.mp4")).expect("a clip");
    let begun = Instant::now();
    rig.mounted.take().expect("mounted").unmount().expect("unmounted");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(file.read_at(&mut [0; 10], 0).is_err());
    assert_eq!(fs::read_dir(rig.path("")).expect("a plain directory").count(), 0);
}

#[test]
fn a_mount_that_is_alive_is_not_replaced() {
    let rig = Rig::new();
    let options = Options { source_name: "x".to_owned(), ..Options::default() };
    let source = Arc::clone(&rig.memory) as Arc<dyn Library>;
    let refused = mount(&rig.path(""), &options, nothing_shown(), source).err().expect("taken");
    assert!(refused.to_string().contains("fuse.reelfs is already mounted"), "{refused}");
    assert!(rig.mounted().is_alive());
}

#[test]
fn the_mount_of_a_killed_run_is_replaced() {
    // The run that is killed is this very test, started once more.
    if let Some(path) = std::env::var_os(HELPER_PATH) {
        let _mounted = mount_at(Path::new(&path), &nothing_shown(), &Arc::new(Memory::default()));
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let mut helper = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "the_mount_of_a_killed_run_is_replaced"])
        .env(HELPER_PATH, directory.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("a helper");
    let _cleared = ClearedAway(directory.path().to_owned());
    let begun = Instant::now();
    while !directory.path().join("now").exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the helper does not mount");
        std::thread::sleep(Duration::from_millis(20));
    }
    helper.kill().expect("killed");
    helper.wait().expect("dead");
    assert_eq!(errno(fs::read_dir(directory.path())), libc::ENOTCONN);
    let mounted = mount_at(directory.path(), &nothing_shown(), &Arc::new(Memory::default()));
    assert!(directory.path().join("now").exists());
    mounted.unmount().expect("unmounted");
    assert_eq!(fs::read_dir(directory.path()).expect("nothing left over").count(), 0);
}

/// Leaves no dead mount behind when a test fails.
struct ClearedAway(PathBuf);

impl Drop for ClearedAway {
    fn drop(&mut self) {
        // Nothing is mounted there when all went well.
        let _ = Command::new("umount").arg("-lq").arg(&self.0).output();
    }
}
