//! The index is damaged at random, between runs and while it is at work, and its thread dies or
//! hangs in the middle of its work: every clip is listed as before and has the bytes that it has
//! without an index, nothing hangs, and recording goes on in time. Promises 1 and 9.
//!
//! `REELFS_ROUNDS` says how many rounds, `REELFS_SEED` reruns what a failure has printed. Needs
//! root, to mount a small file system that can be full or read-only; without it the test fails.

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, Once, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::statvfs;
use reelfs::archive::{Archive, CatalogueUpdater, Listener};
use reelfs::catalogue::{Catalogue, Change};
use reelfs::device::Device;
use reelfs::index::Index;
use reelfs::ring::{
    ClipContents, FormatOptions, Inspection, NewChunk, Ring, Settings, StateRequest, Writer, format,
};
use reelfs::segment::{
    Anchor, ChunkTable, ClockQuality, Codec, Look, ParameterSet, Sample, SampleFlags, StreamFact,
    StreamName, TrackKind, TrackNumber, TrackTable, VideoParameters,
};
use reelfs::units::{BootTime, ClipId, RingNumber, SessionNumber, StreamNumber, Ticks, WallTime};
use support::disk::{Dice, Disk};
use support::memory::Still;

const ROUNDS: u64 = 200;
const RING_UUID: [u8; 16] = [3; 16];
const START: i64 = 1_795_267_800_000_000_000;
/// Clips that are there from the beginning, and stay.
const CLIPS: u32 = 12;
/// More than a dozen: such a clip has a table on the ring.
const CHUNKS: i64 = 14;
/// Between two chunks of the clip that is being recorded.
const CHUNK_EVERY: Duration = Duration::from_millis(10);
const FLUSH_EVERY: Duration = Duration::from_millis(50);
/// Handing a chunk over takes microseconds. A machine that is busy may stop a thread for a while;
/// an index that is waited for would take longer than this.
const APPEND_WAIT_MAX: Duration = Duration::from_millis(500);
/// A flush of a disk in memory, with the same allowance.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(2);
/// To open a clip: the index's own limit, and the ring's reads.
const OPEN_WAIT_MAX: Duration = Duration::from_secs(2);
/// To close an index that hangs: its own limit, with an allowance.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(7);
/// To be answered, or not: the index's own limit, with an allowance.
const ASK_WAIT_MAX: Duration = Duration::from_secs(1);
/// For the index's thread to die, or to come up.
const DEATH_WAIT_MAX: Duration = Duration::from_secs(20);
/// What the index is given at once so that sled has to write, and to drop what it knew.
const FEED: u64 = 3;
const FEED_BYTES: usize = 3 << 20;
/// Chunks that are recorded before a round is over.
const CHUNKS_MIN: u64 = 5;
/// Length of the file system that the index is on, in bytes.
const HOME_BYTES: u64 = 24 << 20;

/// A file system in memory, for the index alone.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        let home = Home(tempfile::tempdir().expect("a directory"));
        let options = format!("size={HOME_BYTES},mode=700");
        let none: Option<&str> = None;
        mount(Some("tmpfs"), home.path(), Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
            .unwrap_or_else(|errno| panic!("mounting a tmpfs (it needs root): {errno} {none:?}"));
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Whether it took: not while sled, in a thread of its own, lets go of a file.
    fn read_only(&self, on: bool) -> bool {
        let how = if on { MsFlags::MS_RDONLY } else { MsFlags::empty() } | MsFlags::MS_REMOUNT;
        let none: Option<&str> = None;
        match mount(none, self.path(), none, how, none) {
            Err(Errno::EBUSY) if on => false,
            other => other.map(|()| true).expect("another mode"),
        }
    }

    /// Takes all room that is left; none where it is read-only.
    fn fill(&self) {
        if let Ok(mut file) = File::create(self.path().join("filler")) {
            while file.write_all(&[7; 64 << 10]).is_ok() {}
            while file.write_all(&[7; 512]).is_ok() {}
        }
    }

    /// Bytes that can be written.
    fn free(&self) -> u64 {
        let found = statvfs(self.path()).expect("a file system");
        found.blocks_available() * found.fragment_size()
    }

    fn drain(&self) {
        let _ = fs::remove_file(self.path().join("filler"));
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = umount2(self.path(), MntFlags::MNT_DETACH);
    }
}

/// What the daemon does with news: closed clips are indexed, those that are gone forgotten.
#[derive(Clone, Default)]
struct News(Arc<Mutex<Option<Arc<Archive>>>>);

impl News {
    fn tell(&self, archive: Option<Arc<Archive>>) -> Option<Arc<Archive>> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), archive)
    }
}

impl Listener for News {
    fn changed(&mut self, change: &Change) {
        let archive = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (change, archive) {
            (Change::Listed(clip), Some(archive)) => archive.keep_contents(clip.clip()),
            (Change::Gone(clip), Some(archive)) => archive.forget(clip.id()),
            _ => {}
        }
    }

    fn flush_due(&mut self) {}
}

/// A ring in memory that is being recorded to.
struct Recording {
    ring: Arc<Ring>,
    writer: Writer,
    catalogue: Arc<RwLock<Catalogue>>,
    news: News,
    /// Without an index.
    plain: Archive,
    disk: Arc<Disk>,
}

/// A second of ten pictures.
fn chunk(clip: ClipId, stream: u32, number: i64) -> NewChunk {
    let parameters = ParameterSet {
        codec: Codec::H264,
        configuration: vec![1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 2, 0x67, 0x64, 1, 0, 2, 0x68, 0xee],
        video: Some(VideoParameters {
            width: 320,
            height: 240,
            pixel_aspect: (1, 1),
            look: Look::PLAIN,
        }),
        audio: None,
    };
    let picture = |at: u32| Sample {
        duration: 9000,
        size: 20 + at,
        composition_offset: 0,
        flags: SampleFlags { sync: at == 0, ..SampleFlags::default() },
    };
    let track = TrackTable {
        track: TrackNumber(0),
        kind: TrackKind::Video,
        timescale: 90_000,
        parameters: 0,
        codec_delay: 0,
        start: Ticks(number * 90_000),
        samples: (0..10).map(picture).collect(),
    };
    let anchor = Anchor {
        wall: WallTime(START + (clip.number() as i64 & 0xffff_ffff) * 1_000_000_000),
        boot: BootTime(5),
        boot_id: [9; 16],
        camera: None,
        quality: ClockQuality::Synchronised,
    };
    let table = ChunkTable { anchor, tracks: vec![track] };
    let data = vec![clip.number() as u8 ^ number as u8; table.byte_count() as usize];
    let stream = StreamNumber(stream);
    let parameters = vec![parameters.encode().into()];
    NewChunk { clip, stream, parameters, table: table.encode().into(), data }
}

impl Recording {
    fn new() -> Recording {
        let disk = Disk::blank(32 << 20);
        let options = FormatOptions {
            block_length: Some(1 << 20),
            label: "index".into(),
            ring_uuid: RING_UUID,
            node_uuid: [2; 16],
            pool_uuid: None,
            now: Still::at(START).0,
            disk_label: None,
        };
        format(&*disk, &options).expect("a ring");
        let (catalogue, news) = (Arc::new(RwLock::new(Catalogue::new())), News::default());
        let updater =
            CatalogueUpdater::new(catalogue.clone(), RingNumber(0), Box::new(news.clone()));
        let settings = Settings { flush_interval: FLUSH_EVERY, wipe: false };
        let device: Arc<dyn Device> = disk.clone();
        let clock = Arc::new(Still::at(START));
        let (ring, writer, _) =
            Ring::open(device, clock, &settings, Box::new(updater)).expect("a ring");
        let nowhere = Arc::new(open_index(Path::new("/dev/null/none")));
        let plain = Archive::new(ring.clone(), catalogue.clone(), nowhere);
        let recording = Recording { ring, writer, catalogue, news, plain, disk };
        recording.fill();
        recording
    }

    /// The clips that stay.
    fn fill(&self) {
        for stream in [1, 2] {
            let names = vec![StreamName { name: format!("c{stream}"), since: WallTime(START) }];
            let uuid = [stream as u8; 16];
            let fact = StreamFact { uuid, names, retain_nanos: None, removed: None, switch: None };
            self.writer.set_stream(StreamNumber(stream), fact.encode());
        }
        for _ in 0..CLIPS {
            let clip = self.writer.new_clip();
            for number in 0..CHUNKS {
                self.writer.append(chunk(clip, 1, number)).expect("room");
            }
            self.writer.end_clip(clip, 0, None);
            self.writer.sync().expect("a flush");
            let keep = StateRequest::Keep { until: None };
            self.writer.change_state(clip, keep).expect("a closed clip");
        }
        self.writer.sync().expect("a flush");
    }

    fn archive(&self, index: Arc<Index>) -> Arc<Archive> {
        Arc::new(Archive::new(self.ring.clone(), self.catalogue.clone(), index))
    }

    /// Lets the clip's table rot, and the header of its first chunk.
    fn rot(&self, clip: ClipId, contents: &ClipContents) {
        let inspection = Inspection::open(&*self.disk).expect("a ring");
        let (_, record) = inspection.clips().find(|(id, _)| *id == clip).expect("its facts");
        let table = record.table[0];
        let first = contents.chunks[0].place;
        let geometry = inspection.superblock.geometry;
        for (block, page) in [(table.block, table.first_page), (first.block, first.first_page)] {
            self.disk.flip(geometry.page_start(block, page).0 + 20, 1);
        }
    }

    fn clips(&self) -> Vec<ClipId> {
        let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        catalogue.clips().map(|clip| clip.id()).collect()
    }
}

/// Records clip after clip until told to stop; keeps the longest time that a chunk and a flush
/// took.
fn record(writer: &Writer, stop: &AtomicBool, worst: &Worst) {
    while !stop.load(Ordering::Relaxed) {
        let clip = writer.new_clip();
        for number in 0..CHUNKS {
            let began = Instant::now();
            let taken = writer.append(chunk(clip, 2, number));
            worst.append.fetch_max(millis(began), Ordering::Relaxed);
            taken.expect("recording goes on");
            worst.chunks.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(CHUNK_EVERY);
        }
        writer.end_clip(clip, 0, None);
        let began = Instant::now();
        writer.sync().expect("a flush");
        worst.flush.fetch_max(millis(began), Ordering::Relaxed);
    }
}

fn millis(began: Instant) -> u64 {
    began.elapsed().as_millis() as u64
}

/// What recording met, in ms.
#[derive(Default)]
struct Worst {
    append: AtomicU64,
    flush: AtomicU64,
    chunks: AtomicU64,
}

impl Worst {
    /// How many chunks were recorded since there were so many: not too few.
    fn recorded_since(&self, before: u64) -> u64 {
        let chunks = || self.chunks.load(Ordering::Relaxed) - before;
        wait_for("chunks", || chunks() >= CHUNKS_MIN);
        chunks()
    }

    /// Whether recording went on in time.
    fn check(self) {
        let (append, flush) = (self.append.into_inner(), self.flush.into_inner());
        let chunks = self.chunks.into_inner();
        println!("{chunks} chunks, handed over in {append} ms at most, flushed in {flush} ms");
        assert!(append <= APPEND_WAIT_MAX.as_millis() as u64, "a chunk waited {append} ms");
        assert!(flush <= FLUSH_WAIT_MAX.as_millis() as u64, "a flush took {flush} ms");
    }
}

fn open_index(directory: &Path) -> Index {
    Index::open(directory, RING_UUID, SessionNumber(7))
}

fn bytes_of(archive: &Archive, clip: ClipId) -> Option<Vec<u8>> {
    let began = Instant::now();
    let file = archive.open_clip(clip).ok()?;
    assert!(began.elapsed() < OPEN_WAIT_MAX, "a clip opened in {:?}", began.elapsed());
    let bytes = file.read(0, file.size() as u32).ok()?.to_vec();
    assert_eq!(bytes.len() as u64, file.size());
    Some(bytes)
}

/// Everything that can be done to files.
const DAMAGES: u64 = 14;

/// Damages what is in `directory`; answers what was done.
fn damage(directory: &Path, saved: &Path, dice: &mut Dice) -> &'static str {
    let sled = directory.join("sled");
    let files = ["db", "conf"].map(|name| sled.join(name));
    let victim = &files[usize::from(dice.roll(4) == 0)];
    let length = fs::metadata(victim).map_or(0, |found| found.len());
    let some = dice.roll(length.max(1));
    let open = || OpenOptions::new().write(true).open(victim);
    // What can't be done because an earlier damage took the file away is no damage.
    match dice.roll(DAMAGES) {
        0 => done("flip", flip(victim, 1 + dice.roll(200), dice)),
        1 => done("truncate", open().and_then(|file| file.set_len(some))),
        2 => done("empty", open().and_then(|file| file.set_len(0))),
        3 => done("delete", fs::remove_file(victim)),
        4 => done(
            "swap",
            fs::read(&files[0]).and_then(|bytes| {
                fs::copy(&files[1], &files[0])?;
                fs::write(&files[1], bytes)
            }),
        ),
        5 => done("garbage", garbage(victim, some, dice)),
        6 => done("zero", open().and_then(|file| file.write_all_at(&vec![0; 4096], some))),
        7 => done("all zeros", fs::write(victim, vec![0; length as usize])),
        8 => done(
            "a directory for a file",
            fs::remove_file(victim).and_then(|()| fs::create_dir(victim)),
        ),
        9 => done(
            "a file for the directory",
            fs::remove_dir_all(&sled).and_then(|()| fs::write(&sled, "somebody's")),
        ),
        10 => done("delete all", fs::remove_dir_all(directory)),
        11 => done(
            "longer",
            OpenOptions::new()
                .append(true)
                .open(victim)
                .and_then(|mut file| file.write_all(&vec![0xa5; 5000])),
        ),
        12 => done("save", fs::copy(&files[0], saved).map(drop)),
        _ => done("an earlier state", fs::copy(saved, &files[0]).map(drop)),
    }
}

fn done(what: &'static str, outcome: std::io::Result<()>) -> &'static str {
    if outcome.is_ok() { what } else { "nothing" }
}

fn flip(path: &Path, times: u64, dice: &mut Dice) -> std::io::Result<()> {
    let mut bytes = fs::read(path)?;
    if bytes.is_empty() {
        return Ok(());
    }
    for _ in 0..times {
        let at = dice.roll(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.roll(8);
    }
    // In its place: whoever has the file open meets it, too.
    OpenOptions::new().write(true).open(path)?.write_all_at(&bytes, 0)
}

fn garbage(path: &Path, at: u64, dice: &mut Dice) -> std::io::Result<()> {
    let bytes: Vec<u8> = (0..1 + dice.roll(40_000)).map(|_| dice.roll(256) as u8).collect();
    OpenOptions::new().write(true).open(path)?.write_all_at(&bytes, at)
}

/// What becomes of a round beside damage to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// The file system is full.
    Full,
    ReadOnly,
    /// Another thread has the index: this one's ends at once.
    Taken,
    /// It is thrown away again and again, until the thread has had enough.
    Hopeless,
}

impl Trouble {
    fn choose(dice: &mut Dice) -> Trouble {
        match dice.roll(12) {
            0 => Trouble::Full,
            1 => Trouble::ReadOnly,
            2 => Trouble::Taken,
            3 => Trouble::Hopeless,
            _ => Trouble::None,
        }
    }
}

/// What befalls the index's thread in the middle of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// A panic that nothing catches: it is dead at once.
    Killed,
    /// What it reads on the ring's behalf does not come for a while.
    Hangs,
    /// The same, until long after it was to end.
    HangsOn,
    /// Its file system is full, whenever it has made room by beginning anew.
    Full,
    /// Its file is empty, whenever sled wants to read what it has dropped from its memory.
    Emptied,
    /// So is all of its directory.
    Removed,
    /// Where its directory was there is a file.
    Replaced,
}

impl Fate {
    fn choose(round: u64, dice: &mut Dice) -> Fate {
        // That takes as long as closing waits.
        if round % 100 == 50 {
            return Fate::HangsOn;
        }
        match dice.roll(12) {
            0..4 => Fate::Killed,
            4..6 => Fate::Hangs,
            6..8 => Fate::Full,
            8..10 => Fate::Emptied,
            10 => Fate::Removed,
            _ => Fate::Replaced,
        }
    }

    /// Whether the thread does not outlive it.
    fn is_fatal(self) -> bool {
        matches!(self, Fate::Killed | Fate::Full | Fate::Emptied)
    }
}

/// What a panic carries that gets past whoever catches panics.
struct Fatal;

impl Drop for Fatal {
    fn drop(&mut self) {
        // Not a second one at the same time, which would end the process.
        if !std::thread::panicking() {
            panic!("the index's thread is killed by its test");
        }
    }
}

struct Torture {
    recording: Recording,
    home: Home,
    saved: PathBuf,
    expected: Vec<(ClipId, Vec<u8>)>,
    answered: u64,
}

impl Torture {
    fn new() -> Torture {
        let (recording, home) = (Recording::new(), Home::new());
        let clips = recording.clips();
        let read = |clip: &ClipId| bytes_of(&recording.plain, *clip).map(|bytes| (*clip, bytes));
        let expected: Vec<_> = clips.iter().filter_map(read).collect();
        assert_eq!(expected.len(), CLIPS as usize);
        let saved = home.path().join("saved");
        Torture { recording, home, saved, expected, answered: 0 }
    }

    fn directory(&self) -> PathBuf {
        self.home.path().join("index")
    }

    /// Every clip that stays has its bytes, and so has what was recorded last.
    fn check(&mut self, index: &Arc<Index>, dice: &mut Dice) {
        // Anew each time: an archive remembers what was opened.
        let archive = self.recording.archive(index.clone());
        let clips = self.recording.clips();
        for (clip, expected) in &self.expected {
            assert!(clips.contains(clip), "clip {clip} is listed");
            assert!(bytes_of(&archive, *clip).as_ref() == Some(expected), "bytes of clip {clip}");
            self.answered += u64::from(dice.roll(4) == 0 && index.contents(*clip).is_some());
        }
        for clip in clips.iter().rev().take(3) {
            let (with, without) =
                (bytes_of(&archive, *clip), bytes_of(&self.recording.plain, *clip));
            let evicted = !self.recording.clips().contains(clip);
            assert!(evicted || with == without, "bytes of clip {clip}, recorded lately");
        }
    }

    /// One run of the index, with damage before and while it is at work.
    fn round(&mut self, dice: &mut Dice) -> String {
        let trouble = Trouble::choose(dice);
        let mut told = format!("{trouble:?}");
        for _ in 0..dice.roll(3) {
            told += &format!(", {} before", damage(&self.directory(), &self.saved, dice));
        }
        match trouble {
            Trouble::Full => self.home.fill(),
            Trouble::ReadOnly if !self.home.read_only(true) => told += ", not yet",
            _ => {}
        }
        let first = (trouble == Trouble::Taken).then(|| open_index(&self.directory()));
        if let Some(first) = &first {
            wait_until_settled(first);
        }
        let index = Arc::new(open_index(&self.directory()));
        if dice.roll(3) > 0 {
            wait_until_settled(&index);
        }
        self.recording.news.tell(Some(self.recording.archive(index.clone())));
        self.check(&index, dice);
        let damages = if trouble == Trouble::Hopeless { 8 } else { dice.roll(3) };
        for _ in 0..damages {
            told += &format!(", {}", damage(&self.directory(), &self.saved, dice));
            self.check(&index, dice);
        }
        drop(self.recording.news.tell(None));
        self.end(index, dice);
        drop(first);
        self.home.drain();
        self.home.read_only(false);
        told
    }

    /// One run of the index whose thread dies, or hangs, while it is asked and written to.
    fn death(&mut self, fate: Fate, dice: &mut Dice) {
        let index = Arc::new(open_index(&self.directory()));
        wait_for("an open index", || index.ready());
        self.recording.news.tell(Some(self.recording.archive(index.clone())));
        self.check(&index, dice);
        let mut hanging = match fate {
            Fate::Killed => {
                index.put_later(self.recording.writer.new_clip(), || {
                    std::panic::panic_any(Fatal);
                });
                None
            }
            Fate::Hangs | Fate::HangsOn => {
                let ((release, wait), (begun, begins)) = (channel::<()>(), channel());
                index.put_later(self.recording.writer.new_clip(), move || {
                    begun.send(()).ok()?;
                    wait.recv().ok().and(None)
                });
                begins.recv_timeout(DEATH_WAIT_MAX).expect("its turn comes");
                Some(release)
            }
            _ => {
                self.wear_down(fate, &index);
                None
            }
        };
        if fate.is_fatal() {
            wait_for("a dead thread", || {
                asked(&index, self.expected[0].0).is_none() && !index.ready()
            });
        }
        self.check(&index, dice);
        let answer = asked(&index, self.expected[0].0);
        assert!(answer.is_none() || !fate.is_fatal() && hanging.is_none(), "{fate:?}: an answer");
        if fate == Fate::Hangs {
            drop(hanging.take());
            wait_for("an answer again", || index.contents(self.expected[0].0).is_some());
        }
        drop(self.recording.news.tell(None));
        self.end(index, dice);
        drop(hanging);
        wait_for("a free directory", || self.is_free());
        self.home.drain();
        if !matches!(fate, Fate::Killed | Fate::Hangs | Fate::HangsOn) {
            // What it grew to would be the next one's trouble; sled lets go of it in its own time.
            let _ = fs::remove_dir_all(self.directory());
            wait_for("room", || self.home.free() > HOME_BYTES / 2);
        }
    }

    /// Whether no thread has the index any more: one that hangs is left behind.
    fn is_free(&self) -> bool {
        let lock = File::open(self.directory().join("lock"));
        lock.is_err() || lock.is_ok_and(|lock| lock.try_lock_shared().is_ok())
    }

    /// Damages its files and has it write and read, so that it comes to know of it; to its end
    /// where it is to have one.
    fn wear_down(&self, fate: Fate, index: &Index) {
        let directory = self.directory();
        let began = Instant::now();
        for turn in 0_u64.. {
            assert!(began.elapsed() < DEATH_WAIT_MAX, "{fate:?}: it lives after {turn} turns");
            match fate {
                Fate::Full => self.home.fill(),
                Fate::Removed => drop(fs::remove_dir_all(&directory)),
                Fate::Replaced => {
                    let _ = fs::remove_dir_all(directory.join("sled"));
                    let _ = fs::write(directory.join("sled"), "somebody's");
                }
                _ => {}
            }
            for _ in 0..FEED {
                index.put(self.recording.writer.new_clip(), vec![turn as u8; FEED_BYTES]);
            }
            if fate == Fate::Emptied {
                let file = OpenOptions::new().write(true).open(directory.join("sled/db"));
                let _ = file.and_then(|file| file.set_len(0));
            }
            self.expected.iter().for_each(|(clip, _)| drop(asked(index, *clip)));
            if !index.ready() || !fate.is_fatal() && turn >= 2 {
                return;
            }
        }
    }

    fn end(&self, mut index: Arc<Index>, dice: &mut Dice) {
        let began = Instant::now();
        // The ring's thread may be telling it something at this moment.
        let index = loop {
            match Arc::try_unwrap(index) {
                Ok(index) => break index,
                Err(shared) => index = shared,
            }
            assert!(began.elapsed() < CLOSE_WAIT_MAX, "somebody holds the index");
            std::thread::sleep(Duration::from_millis(1));
        };
        if dice.roll(2) == 0 {
            index.close();
        } else {
            drop(index);
        }
        assert!(began.elapsed() < CLOSE_WAIT_MAX, "the index closed in {:?}", began.elapsed());
    }
}

/// What the index answers, in time.
fn asked(index: &Index, clip: ClipId) -> Option<Vec<u8>> {
    let began = Instant::now();
    let answer = index.contents(clip);
    assert!(began.elapsed() < ASK_WAIT_MAX, "the index was waited for: {:?}", began.elapsed());
    answer
}

/// Waits a little for an index that may never be ready.
fn wait_until_settled(index: &Index) {
    let began = Instant::now();
    while !index.ready() && began.elapsed() < Duration::from_millis(100) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < DEATH_WAIT_MAX, "{what}: not after {DEATH_WAIT_MAX:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Panics of the index's threads are meant to be, and would hide the one that is not.
fn hush_the_index() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some("index") {
                tell(panic);
            }
        }));
    });
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")))
}

fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock behind 1970");
    now.as_nanos() as u64 >> 10 & 0xffff_ffff
}

/// Plays rounds while a recorder is at work; each says what it was. Answers how many there were,
/// with what they were played on.
fn in_rounds(mut play: impl FnMut(&mut Torture, u64, &mut Dice) -> String) -> (u64, Torture) {
    let rounds = number("REELFS_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("REELFS_SEED").unwrap_or_else(seed_of_now);
    println!("REELFS_SEED={seed} reruns this");
    hush_the_index();
    let mut torture = Torture::new();
    let (stop, worst) = (AtomicBool::new(false), Worst::default());
    let writer = torture.recording.writer.clone();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let recording = scope.spawn(|| record(&writer, &stop, &worst));
        let _stop = StopAtEnd(&stop);
        for round in 0..rounds {
            // A round of its own can be told from the line; all of them replay from the seed.
            let mut dice = Dice::new(seed.wrapping_add(round));
            let before = worst.chunks.load(Ordering::Relaxed);
            let round_began = Instant::now();
            let told = play(&mut torture, round, &mut dice);
            let chunks = worst.recorded_since(before);
            assert!(!recording.is_finished(), "recording has ended");
            let took = round_began.elapsed();
            println!("round {round}: {told}; {chunks} chunks recorded in {took:?}");
        }
    });
    println!("{:?}", began.elapsed());
    worst.check();
    (rounds, torture)
}

#[test]
fn a_damaged_index_costs_no_byte_no_listing_and_no_frame() {
    let (rounds, torture) = in_rounds(|torture, _, dice| torture.round(dice));
    println!("the index answered {} times", torture.answered);
    assert!(torture.answered > 0 || rounds < ROUNDS, "the index never worked at all");
    println!("torture: index rounds={rounds} cuts=0 failures=0");
}

#[test]
fn an_index_whose_thread_dies_at_work_costs_no_byte_no_listing_and_no_frame() {
    let mut deaths = 0;
    let (rounds, _) = in_rounds(|torture, round, dice| {
        let fate = Fate::choose(round, dice);
        torture.death(fate, dice);
        deaths += u64::from(fate.is_fatal());
        format!("{fate:?}")
    });
    println!("{deaths} deaths");
    println!("torture: index target=thread rounds={rounds} cuts=0 failures=0");
}

/// Ends the recorder whatever becomes of the rounds.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_clip_that_has_closed_opens_although_its_table_and_a_header_have_rotted() {
    let recording = Recording::new();
    let home = tempfile::tempdir().expect("a directory");
    let index = Arc::new(open_index(home.path()));
    let began = Instant::now();
    while !index.ready() {
        assert!(began.elapsed() < Duration::from_secs(30), "the index does not open");
        std::thread::sleep(Duration::from_millis(1));
    }
    let archive = recording.archive(index.clone());
    recording.news.tell(Some(archive.clone()));
    let clip = recording.writer.new_clip();
    for number in 0..CHUNKS {
        recording.writer.append(chunk(clip, 2, number)).expect("room");
    }
    recording.writer.end_clip(clip, 0, None);
    recording.writer.sync().expect("a flush");
    // Nobody has opened it.
    let began = Instant::now();
    while index.contents(clip).is_none() {
        assert!(began.elapsed() < Duration::from_secs(30), "it is not in the index");
        std::thread::sleep(Duration::from_millis(5));
    }
    let kept = ClipContents::decode(&index.contents(clip).expect("its contents"));
    let kept = kept.expect("contents");
    assert_eq!(kept, recording.ring.contents(clip).expect("its contents"));
    recording.rot(clip, &kept);
    assert!(recording.plain.open_clip(clip).is_err(), "the ring alone can't say it any more");
    let file = archive.open_clip(clip).expect("the index knows it");
    assert_eq!(file.read(0, 8).expect("its first box")[4..], *b"ftyp");
    let last = kept.chunks[kept.chunks.len() - 1].place.data_length;
    assert!(file.read(file.size() - u64::from(last), last).is_ok(), "its last chunk");
}
