//! A ring of a million blocks and 60,000 clips is mounted and records within seconds of `run`,
//! from one sequential read of its ledger.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use cameras::Cameras;
use daemon::{Daemon, Site};
use reelfs::archive::{CatalogueUpdater, Listener};
use reelfs::camera::Frame;
use reelfs::catalogue::{Catalogue, Change};
use reelfs::clock::SystemClock;
use reelfs::device::{AlignedBuffer, Device, FileDevice};
use reelfs::import::{Footage, Frames};
use reelfs::ring::{FormatOptions, Geometry, NewChunk, Opening, Ring, Settings, Writer, format};
use reelfs::segment::{
    Anchor, ChunkTable, ClockQuality, Sample, SampleFlags, StreamFact, StreamName, TrackKind,
    TrackNumber, TrackTable,
};
use reelfs::units::{
    BootTime, ByteCount, ClipId, DeviceOffset, RingNumber, StreamNumber, Ticks, WallTime,
};

const PAGE: u64 = 4096;
const LENGTH: ByteCount = ByteCount(8 << 40);
const STREAMS: usize = 16;
const CLIPS: usize = 60_000;
/// Extents of each clip: all of them together are as many as a full ring has, a block each.
const EXTENTS: usize = 17;
/// Chunks handed in between two flushes: fewer than the queue takes.
const BATCH: usize = 4_000;
/// Seconds of footage in each clip that grows when the power goes.
const GROWN: usize = 8;
const SECOND: i64 = 1_000_000_000;
/// 2026-01-01 in UTC.
const BEGINNING: i64 = 1_767_225_600 * SECOND;
/// A busy machine, and a program without optimisation.
const START_MAX: Duration = Duration::from_secs(10);
const READ_BYTES_MIN: u64 = 1 << 20;
/// What the daemon may hold in memory, in bytes: for each block and each extent, ...
const PLACE_BYTES_MAX: u64 = 128;
/// ... for each clip with its name and its sums, ...
const CLIP_BYTES_MAX: u64 = 1024;
/// ... and for itself. Nothing is held for a sample.
const PROGRAM_BYTES_MAX: u64 = 64 << 20;

/// Keeps the ledger and the superblocks, and of the blocks what is written once `keeps` is set:
/// nobody reads the rest, and it would be four gigabytes.
#[derive(Default)]
struct Kept {
    pages: Mutex<BTreeMap<u64, Arc<[u8]>>>,
    reads: Mutex<Vec<Range<u64>>>,
    keeps: AtomicBool,
}

impl Kept {
    /// What is there now; nobody has read it.
    fn copy(&self) -> Arc<Kept> {
        let pages = Mutex::new(self.pages.lock().expect("alive").clone());
        Arc::new(Kept { pages, keeps: AtomicBool::new(true), ..Kept::default() })
    }

    fn write_to(&self, path: &Path) {
        FileDevice::create(path, LENGTH, true).expect("a sparse file of 8 TiB");
        let file = OpenOptions::new().write(true).open(path).expect("the file");
        for (page, bytes) in &*self.pages.lock().expect("alive") {
            file.write_all_at(bytes, page * PAGE).expect("it is written");
        }
    }
}

impl Device for Kept {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        self.reads.lock().expect("alive").push(offset.0..offset.0 + buffer.len() as u64);
        let pages = self.pages.lock().expect("alive");
        buffer.fill(0);
        let first = offset.0 / PAGE;
        let end = first + buffer.len() as u64 / PAGE;
        for (page, bytes) in pages.range(first..end) {
            let at = ((page - first) * PAGE) as usize;
            buffer[at..at + PAGE as usize].copy_from_slice(bytes);
        }
        Ok(())
    }

    fn write_at(&self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()> {
        let blocks = geometry().blocks_start.0..geometry().superblock_copy().0;
        if blocks.contains(&offset.0) && !self.keeps.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut pages = self.pages.lock().expect("alive");
        for (index, page) in bytes.chunks(PAGE as usize).enumerate() {
            let at = offset.0 / PAGE + index as u64;
            if page.iter().all(|byte| *byte == 0) {
                pages.remove(&at);
            } else {
                pages.insert(at, Arc::from(page));
            }
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn length(&self) -> ByteCount {
        LENGTH
    }
}

fn geometry() -> Geometry {
    Geometry::plan(LENGTH, None).expect("a ring fits")
}

/// Nobody looks while the ring is written.
struct Nobody;

impl Listener for Nobody {
    fn changed(&mut self, _: &Change) {}
    fn flush_due(&mut self) {}
}

fn open(device: &Arc<Kept>) -> (Arc<RwLock<Catalogue>>, Writer, Opening) {
    let settings = Settings { flush_interval: Duration::from_secs(3_600), wipe: false };
    let catalogue = Arc::new(RwLock::new(Catalogue::new()));
    let updater = CatalogueUpdater::new(catalogue.clone(), RingNumber(0), Box::new(Nobody));
    let clock = Arc::new(SystemClock::new());
    let opened = Ring::open(device.clone(), clock, &settings, Box::new(updater));
    let (_, writer, opening) = opened.expect("the ring");
    (catalogue, writer, opening)
}

/// Writes clips, a second of footage to a chunk.
struct Author<'a> {
    writer: &'a Writer,
    parameters: Arc<[u8]>,
    timescale: u32,
    waiting: usize,
}

impl Author<'_> {
    fn append(&mut self, stream: u32, clip: ClipId, start: i64, second: usize, of: &[Frame]) {
        let sample = |sample: &Frame| Sample {
            duration: self.timescale / of.len() as u32,
            size: sample.data.len() as u32,
            composition_offset: 0,
            flags: SampleFlags { sync: sample.is_key, ..SampleFlags::default() },
        };
        let track = TrackTable {
            track: TrackNumber(0),
            kind: TrackKind::Video,
            timescale: self.timescale,
            parameters: 0,
            codec_delay: 0,
            start: Ticks(second as i64 * i64::from(self.timescale)),
            samples: of.iter().map(sample).collect(),
        };
        let anchor = Anchor {
            wall: WallTime(start),
            boot: BootTime(0),
            boot_id: [0; 16],
            camera: None,
            quality: ClockQuality::Synchronised,
        };
        let chunk = NewChunk {
            clip,
            stream: StreamNumber(stream),
            parameters: vec![self.parameters.clone()],
            table: ChunkTable { anchor, tracks: vec![track] }.encode().into(),
            data: of.iter().flat_map(|sample| &sample.data).copied().collect(),
        };
        self.writer.append(chunk).expect("it is taken");
        self.waiting += 1;
        if self.waiting == BATCH {
            self.sync();
        }
    }

    fn sync(&mut self) {
        self.writer.sync().expect("it is durable");
        self.waiting = 0;
    }
}

/// Two clips of a stream at a time, a chunk of the one and a chunk of the other: each chunk is an
/// extent of its own, as if it lay in another block.
fn write_archive(author: &mut Author<'_>, streams: &[u32], frame: &[Frame]) {
    for round in 0..CLIPS / STREAMS / 2 {
        for stream in streams {
            let pair = [author.writer.new_clip(), author.writer.new_clip()];
            for second in 0..EXTENTS {
                for (which, clip) in pair.iter().enumerate() {
                    let start = BEGINNING + (2 * round + which) as i64 * 300 * SECOND;
                    author.append(*stream, *clip, start, second, frame);
                }
            }
            pair.iter().for_each(|clip| author.writer.end_clip(*clip, 0, None));
        }
    }
    author.sync();
}

/// A ring as a crash leaves it: full of clips, and some growing.
fn vast_ring(footage: &Footage) -> Arc<Kept> {
    let device = Arc::new(Kept::default());
    let options = FormatOptions {
        block_length: None,
        label: "vast".into(),
        ring_uuid: [1; 16],
        node_uuid: [2; 16],
        pool_uuid: None,
        now: reelfs::clock::Clock::read(&SystemClock::new()),
        disk_label: None,
    };
    format(&*device, &options).expect("it is large enough");
    let begun = WallTime(BEGINNING);
    let frames = Frames::new(footage, begun, begun).expect("they decode");
    let samples: Vec<Frame> = frames.map(|frame| frame.expect("a frame")).collect();
    let seconds: Vec<&[Frame]> = samples.chunk_by(|_, next| !next.is_key).collect();
    assert!(seconds.len() >= GROWN, "a key frame each second: {}", seconds.len());
    let frame = Frame { data: vec![1; 64], ..samples[0].clone() };
    let parameters = samples[0].parameters.as_ref().expect("with the first frame");
    let parameters = Arc::clone(&parameters.encoded);
    let timescale = footage.timescale();

    let (_, writer, _) = open(&device);
    let streams: Vec<u32> = (0..STREAMS).map(|_| writer.new_stream().0).collect();
    for stream in &streams {
        let names = vec![StreamName { name: format!("cam-{stream}"), since: WallTime(BEGINNING) }];
        let uuid = [*stream as u8; 16];
        let fact = StreamFact { uuid, names, retain_nanos: None, removed: None, switch: None };
        writer.set_stream(StreamNumber(*stream), fact.encode());
    }
    let mut author =
        Author { writer: &writer, parameters: parameters.clone(), timescale, waiting: 0 };
    write_archive(&mut author, &streams, std::slice::from_ref(&frame));
    writer.close().expect("it closes");

    device.keeps.store(true, Ordering::Relaxed);
    let (_, writer, _) = open(&device);
    let mut author = Author { writer: &writer, parameters, timescale, waiting: 0 };
    for stream in &streams {
        let clip = writer.new_clip();
        for (second, samples) in seconds.iter().take(GROWN).enumerate() {
            let start = BEGINNING + (CLIPS / STREAMS) as i64 * 300 * SECOND;
            author.append(*stream, clip, start, second, samples);
        }
    }
    author.sync();
    device
}

/// Opening reads the ledger from its beginning to its end, in long pieces, and little else.
fn check_reads(device: &Arc<Kept>) {
    let device = device.copy();
    let began = Instant::now();
    let (catalogue, _writer, opening) = open(&device);
    let seconds = began.elapsed().as_secs_f64();
    assert!(!opening.was_clean && opening.clips_recovered == STREAMS, "{opening:?}");
    let ledger = geometry().ledger_start(0).0..geometry().blocks_start.0;
    let reads = device.reads.lock().expect("alive").clone();
    let (of_ledger, others): (Vec<_>, Vec<_>) =
        reads.into_iter().partition(|read| ledger.contains(&read.start));
    let seeks = of_ledger.windows(2).filter(|two| two[0].end != two[1].start).count();
    let bytes: u64 = of_ledger.iter().map(|read| read.end - read.start).sum();
    let long = of_ledger.iter().all(|read| read.end - read.start >= READ_BYTES_MIN);
    println!(
        "opened in {seconds:.2} s: {} MiB of ledger in {} reads with {seeks} seeks, {} other reads",
        bytes >> 20,
        of_ledger.len(),
        others.len()
    );
    assert!(long && seeks <= 1, "each area once, a MiB at a time: {of_ledger:?}");
    // Per stream: its open block, and for each chunk found there its header, its samples and its
    // parameter set, with the header of that, twice; once for each block whether that can be read.
    // Behind the last chunks others may follow: 64 MiB are looked at in all, a MiB at a time.
    let most = 8 + STREAMS * (6 + 6 * GROWN) + 64;
    assert!(others.len() <= most, "{} reads outside the ledger, {most} at most", others.len());
    assert_eq!(catalogue.read().expect("alive").clips().count(), CLIPS + STREAMS);
}

fn seconds_to_record(daemon: &Daemon) -> f64 {
    let log = daemon.log();
    let behind = log.split("recording after ").nth(1).expect("it records");
    behind.split(' ').next().expect("a figure").parse().expect("a number")
}

#[test]
fn a_ring_of_a_million_blocks_records_within_seconds() {
    let began = Instant::now();
    let mut site = Site::without_ring();
    let file = clips::footage(&site.path(""), "grown.mp4", GROWN as u32 + 2, &[]);
    let device = vast_ring(&Footage::open(&file).expect("footage"));
    assert!(geometry().block_count > 1_000_000, "{:?}", geometry());
    println!("{CLIPS} clips written after {:.1} s", began.elapsed().as_secs_f64());
    check_reads(&device);
    device.write_to(&site.ring_path());
    drop(device);

    let server = Cameras::start(&[]);
    site.add_camera("yard", &server.url(1), "");
    let daemon = site.run();
    let seconds = seconds_to_record(&daemon);
    daemon.wait_recording("yard");
    let (peak, now) = (daemon.kernel_number("VmHWM") >> 10, daemon.kernel_number("VmRSS") >> 10);
    println!("recording after {seconds:.2} s; memory {now} MiB, at most {peak} MiB");
    let places = u64::from(geometry().block_count) + (CLIPS * EXTENTS) as u64;
    let most = places * PLACE_BYTES_MAX + CLIPS as u64 * CLIP_BYTES_MAX + PROGRAM_BYTES_MAX;
    assert!(now <= most >> 20, "{now} MiB in memory, {} at most", most >> 20);
    // While it is read, the ledger is there, too.
    let ledger = 2 * geometry().ledger_area.0;
    assert!(peak <= (most + ledger) >> 20, "{peak} MiB in memory at the start");
    assert!(seconds < START_MAX.as_secs_f64(), "{}", daemon.log());
    let listed = clips::closed_clips(&site.mount());
    println!("listed after {:.1} s", began.elapsed().as_secs_f64());
    assert!(listed.len() >= CLIPS + STREAMS, "{} clips are listed", listed.len());
    let grown = listed.iter().filter(|clip| clip.contains("/cam-1/")).max().expect("clips");
    clips::assert_plays(&site.mount().join(grown));
    daemon.stop();
    println!("{:.1} s in all", began.elapsed().as_secs_f64());
}
