//! Format version 1 has a place for everything that is to come: H.265 with several parameter sets,
//! pictures out of order, AAC with its delay, Opus, timed records. An image of that version stays
//! in `tests/data`, opens for ever, and is still what this program writes.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reelfs::archive::{Archive, CatalogueUpdater, Listener};
use reelfs::catalogue::{Catalogue, Change};
use reelfs::device::Device;
use reelfs::index::Index;
use reelfs::ring::{
    self, BlockHeader, DiskLabel, DurableChunk, Ending, FormatOptions, FoundStream, Geometry,
    Interpreter, NewChunk, News, Ring, Settings, Superblock, Writer, format,
};
use reelfs::segment::{
    Anchor, AudioParameters, ChunkTable, ClipFact, ClockQuality, Codec, EndReason, Look,
    ParameterSet, Sample, SampleFlags, StreamFact, StreamName, TrackKind, TrackNumber, TrackTable,
    VideoParameters,
};
use reelfs::units::{BlockNumber, BootTime, ClipId, RingNumber, StreamNumber, Ticks, WallTime};
use support::disk::{Disk, Image};
use support::memory::Still;

const LENGTH: u64 = 14 << 20;
const GOLDEN: &str = "tests/data/ring-v1.runs";
const START: i64 = 1_795_267_800_000_000_000;
const CHUNKS: i64 = 16;

struct Deaf;

impl Listener for Deaf {
    fn changed(&mut self, _: &Change) {}
    fn flush_due(&mut self) {}
}

struct Open {
    archive: Archive,
    writer: Writer,
    catalogue: Arc<RwLock<Catalogue>>,
    _index: tempfile::TempDir,
}

/// Closes clips under the first version of the mp4 assembly, as the first programs did.
struct Earlier(CatalogueUpdater);

impl Interpreter for Earlier {
    fn close_clip(
        &mut self,
        clip: ClipId,
        stream: StreamNumber,
        ending: Ending,
    ) -> Option<Vec<u8>> {
        let closed = ClipFact::decode(&self.0.close_clip(clip, stream, ending)?).unwrap();
        Some(ClipFact { output_version: 1, ..closed }.encode())
    }

    fn chunk_durable(&mut self, clip: ClipId, chunk: &DurableChunk<'_>) {
        self.0.chunk_durable(clip, chunk);
    }

    fn growth(&mut self, clip: ClipId) -> Vec<u8> {
        self.0.growth(clip)
    }

    fn resume(&mut self, clip: ClipId, stream: StreamNumber, growth: &[u8]) {
        self.0.resume(clip, stream, growth);
    }

    fn features(&mut self, table: &[u8], parameters: &[Arc<[u8]>]) -> u64 {
        self.0.features(table, parameters)
    }

    fn split(
        &mut self,
        chunk: NewChunk,
        data_bytes_max: usize,
    ) -> Result<(NewChunk, NewChunk), NewChunk> {
        self.0.split(chunk, data_bytes_max)
    }

    fn describe(&self, stream: StreamNumber) -> ([u8; 16], String) {
        self.0.describe(stream)
    }

    fn stream_found(&mut self, stream: StreamNumber, found: &FoundStream) -> Vec<u8> {
        self.0.stream_found(stream, found)
    }

    fn news(&mut self, news: &News) {
        self.0.news(news);
    }

    fn flush_due(&mut self) {
        self.0.flush_due();
    }
}

fn open(disk: &Arc<Disk>) -> Open {
    let catalogue = Arc::new(RwLock::new(Catalogue::new()));
    let number = ring::read_superblock(&**disk).unwrap().0.ring_number;
    let updater = CatalogueUpdater::new(catalogue.clone(), number, Box::new(Deaf));
    let updater = Earlier(updater);
    let settings = Settings { flush_interval: Duration::from_secs(3600), wipe: false };
    let device: Arc<dyn Device> = disk.clone();
    let (ring, writer, opening) =
        Ring::open(device, Arc::new(Still::at(START)), &settings, Box::new(updater)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let uuid = ring.superblock().ring_uuid;
    let index = Arc::new(Index::open(directory.path(), uuid, opening.session));
    let archive = Archive::new(ring, catalogue.clone(), index);
    Open { archive, writer, catalogue, _index: directory }
}

fn parameter_sets() -> Vec<Arc<[u8]>> {
    // Main profile, level 3.1, lengths of four bytes, no parameter sets of their own; told apart
    // by their average frame rate.
    let hevc = |rate: u8| {
        let profile = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
        let rest = [0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, rate, 0x0f, 0];
        ParameterSet {
            codec: Codec::H265,
            configuration: [&profile[..], &rest].concat(),
            video: Some(VideoParameters {
                width: 704,
                height: 576,
                pixel_aspect: (12, 11),
                look: Look::PLAIN,
            }),
            audio: None,
        }
    };
    let audio = |codec, configuration: &[u8], sample_rate| ParameterSet {
        codec,
        configuration: configuration.to_vec(),
        video: None,
        audio: Some(AudioParameters { sample_rate, channels: 2 }),
    };
    let records = ParameterSet {
        codec: Codec::TimedText,
        configuration: b"application/json".to_vec(),
        video: None,
        audio: None,
    };
    let sets = [
        hevc(1),
        hevc(2),
        audio(Codec::Aac, &[0x12, 0x10], 44_100),
        audio(Codec::Opus, &[0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0], 48_000),
        records,
    ];
    sets.iter().map(|set| Arc::from(set.encode())).collect()
}

fn sample(duration: u32, size: u32, composition_offset: i32, sync: bool) -> Sample {
    let flags = SampleFlags { sync, ..SampleFlags::default() };
    Sample { duration, size, composition_offset, flags }
}

fn track(track: u8, set: u8, start: i64, samples: Vec<Sample>) -> TrackTable {
    let (kind, timescale, codec_delay) = match track {
        0 => (TrackKind::Video, 90_000, 0),
        1 => (TrackKind::Audio, 44_100, 2112),
        2 => (TrackKind::Audio, 48_000, 312),
        _ => (TrackKind::Timed, 1000, 0),
    };
    TrackTable {
        track: TrackNumber(track),
        kind,
        timescale,
        parameters: set,
        codec_delay,
        start: Ticks(start),
        samples,
    }
}

/// 160 ms of everything. Pictures come out of order with negative offsets; the video's parameter
/// set changes for the chunks 4 to 7 and flaps back; a timed record comes with each third chunk.
fn table(number: i64) -> ChunkTable {
    let key = number % 4 == 0;
    let pictures = vec![
        sample(3600, 400, 0, key),
        sample(3600, 90, 7200, false),
        sample(3600, 30, -3600, false),
        sample(3600, 35, -3600, false),
    ];
    let aac = (0..7).map(|n| sample(1024, 20 + n, 0, true)).collect();
    let opus = (0..8).map(|n| sample(960, 10 + n, 0, true)).collect();
    let mut tracks = vec![
        track(0, u8::from((4..8).contains(&number)), number * 14_400, pictures),
        track(1, 2, number * 7168 - 2112, aac),
        track(2, 3, number * 7680 - 312, opus),
    ];
    if number % 3 == 0 {
        tracks.push(track(3, 4, number * 160, vec![sample(480, 17, 0, true)]));
    }
    let anchor = Anchor {
        wall: WallTime(START),
        boot: BootTime(5),
        boot_id: [9; 16],
        camera: Some(WallTime(START - 1)),
        quality: ClockQuality::Synchronised,
    };
    ChunkTable { anchor, tracks }
}

fn samples_of(table: &ChunkTable, number: i64) -> Vec<u8> {
    // Each sample of the video is one NAL unit behind its length, as a parser expects it.
    let mut data = Vec::new();
    for track in &table.tracks {
        for sample in &track.samples {
            let begin = data.len();
            data.extend((sample.size - 4).to_be_bytes());
            data.extend([if sample.flags.sync { 0x26 } else { 0x02 }, 0x01]);
            data.resize(begin + sample.size as usize, number as u8 ^ 0x5a);
        }
    }
    data
}

/// A ring with one clip of everything, written in a fixed order.
fn write() -> Arc<Disk> {
    let disk = Disk::blank(LENGTH);
    let options = FormatOptions {
        block_length: Some(1 << 20),
        label: "golden".into(),
        ring_uuid: [0x11; 16],
        node_uuid: [0x22; 16],
        pool_uuid: None,
        now: Still::at(START).0,
        disk_label: None,
    };
    format(&*disk, &options).unwrap();
    let open = open(&disk);
    let stream = open.writer.new_stream();
    let name = StreamName { name: "front-door".into(), since: WallTime(START) };
    let fact = StreamFact {
        uuid: [3; 16],
        names: vec![name],
        retain_nanos: None,
        removed: None,
        switch: None,
    };
    open.writer.set_stream(stream, fact.encode());
    let clip = open.writer.new_clip();
    let sets = parameter_sets();
    for number in 0..CHUNKS {
        let table = table(number);
        let data = samples_of(&table, number);
        append(&open.writer, clip, stream, &sets, &table, data);
        if number % 5 == 4 {
            open.writer.sync().unwrap();
        }
    }
    let reason = EndReason::Boundary.code();
    open.writer.end_clip(clip, reason, Some(CHUNKS * 160_000_000));
    open.writer.close().unwrap();
    disk
}

fn append(
    writer: &Writer,
    clip: ClipId,
    stream: StreamNumber,
    sets: &[Arc<[u8]>],
    table: &ChunkTable,
    data: Vec<u8>,
) {
    let (parameters, table) = (sets.to_vec(), Arc::from(table.encode()));
    writer.append(NewChunk { clip, stream, parameters, table, data }).unwrap();
}

fn from_runs(runs: &[u8]) -> Image {
    let mut image = Image::blank(LENGTH);
    image.write(0, &support::runs::bytes(runs, LENGTH as usize));
    image
}

fn golden() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    if std::env::var_os("REELFS_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, support::runs::of(&write().image().bytes())).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The one clip of the ring, as a file.
fn rendered(disk: &Arc<Disk>) -> Vec<u8> {
    let open = open(disk);
    let clip = {
        let catalogue = open.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(catalogue.stream_named("front-door").unwrap().0.stream, StreamNumber(1));
        let mut clips = catalogue.clips().map(|clip| clip.id());
        (clips.next().unwrap(), clips.next()).0
    };
    let file = open.archive.open_clip(clip).unwrap();
    let bytes = file.read(0, file.size() as u32).unwrap().to_vec();
    assert_eq!(bytes.len() as u64, file.size());
    open.writer.close().unwrap();
    bytes
}

#[test]
fn the_image_of_version_1_opens_and_its_clip_has_the_bytes_that_it_always_had() {
    let bytes = rendered(&Disk::from_image(from_runs(&golden())));
    assert_eq!(
        blake3::hash(&bytes).to_hex().as_str(),
        "91ba4081b059edc0c095e27eaae2e9a3007f79e70f607ca8cc549b5e3d291fbf"
    );
}

/// The same ring under another number: its superblocks alone say it.
fn renumbered(number: RingNumber) -> Arc<Disk> {
    let mut image = from_runs(&golden());
    let mut page = vec![0; 4096];
    assert!(image.read(0, &mut page));
    let superblock = Superblock::decode(&page).unwrap();
    assert_eq!(superblock.ring_number, RingNumber(0), "as version 1 has always been");
    let copy = superblock.geometry.superblock_copy().0;
    let page = Superblock { ring_number: number, ..superblock }.encode();
    for offset in [0, copy] {
        image.write(offset, &page);
    }
    Disk::from_image(image)
}

#[test]
fn a_ring_has_the_number_that_its_superblock_says_and_the_same_clips_under_it() {
    let bytes = rendered(&Disk::from_image(from_runs(&golden())));
    let keys = |disk: &Arc<Disk>| {
        let open = open(disk);
        let catalogue = open.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<_> = catalogue.clips().map(|clip| clip.key).collect();
        open.writer.close().unwrap();
        keys
    };
    let first = keys(&renumbered(RingNumber(0)));
    assert_eq!((first.len(), first[0].number()), (1, first[0].clip().number()));
    let disk = renumbered(RingNumber(5));
    assert!(rendered(&disk) == bytes);
    for _ in 0..2 {
        let fifth = keys(&disk);
        assert_eq!(
            (fifth.len(), fifth[0].ring(), fifth[0].clip()),
            (1, RingNumber(5), first[0].clip())
        );
        assert_eq!(fifth[0].number(), first[0].number() | 5 << 32);
    }
}

/// Every block's header in an image, with the place of its page.
fn headers(image: &Image, geometry: &Geometry) -> Vec<(u64, Vec<u8>)> {
    let places = (0..geometry.block_count).map(|block| geometry.block_start(BlockNumber(block)).0);
    let pages = places.map(|place| {
        let mut page = vec![0; 4096];
        assert!(image.read(place, &mut page));
        (place, page)
    });
    pages.filter(|(_, page)| page.starts_with(b"rlBK")).collect()
}

#[test]
fn what_is_written_today_is_what_version_1_has_always_been_and_two_additions() {
    let mut image = write().image();
    let mut page = vec![0; 4096];
    assert!(image.read(0, &mut page));
    let geometry = Superblock::decode(&page).unwrap().geometry;
    // The superblocks half a MiB inside, ...
    for place in &geometry.superblock_places()[2..] {
        let mut inner = vec![0; 4096];
        assert!(image.read(place.0, &mut inner) && inner == page);
        image.write(place.0, &[0; 4096]);
    }
    // ... and where the ring's parts are, in the headers of blocks.
    let headers = headers(&image, &geometry);
    assert!(!headers.is_empty());
    for (place, page) in headers {
        let header = BlockHeader::decode(&page).unwrap();
        assert_eq!(header.geometry, Some(geometry));
        image.write(place, &BlockHeader { geometry: None, ..header }.encode());
    }
    let (today, golden) = (support::runs::of(&image.bytes()), golden());
    let differs = today.iter().zip(&golden).position(|(a, b)| a != b);
    assert!(today == golden, "{} and {} bytes, {differs:?}", today.len(), golden.len());
}

/// What the first programs of version 1 ask of a superblock: magic, checksum, version, features,
/// and the region among the records, whatever other records there are. Answers length of the
/// device and of a ledger area, start and number of blocks.
fn read_as_before(page: &[u8]) -> Option<[u64; 4]> {
    let number = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().unwrap());
    let short = |at: usize| usize::from(u16::from_le_bytes(page[at..at + 2].try_into().unwrap()));
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&page[..8]), &[0; 4]);
    let checksum = crc32c::crc32c_append(checksum, &page[12..]);
    let is_one = page.starts_with(b"reelfs\r\n")
        && page[8..12] == checksum.to_le_bytes()
        && page[12..16] == 1_u32.to_le_bytes()
        && number(32) == 0;
    let mut at = 168;
    while is_one && short(at) != 0 {
        if short(at) == 1 && short(at + 2) == 40 {
            return Some([0, 8, 16, 24].map(|field| number(at + 4 + field)));
        }
        at += 4 + short(at + 2);
    }
    None
}

#[test]
fn a_ring_of_today_is_one_to_the_first_programs_of_version_1() {
    let disk = write();
    let (superblock, _) = ring::read_superblock(&*disk).unwrap();
    let geometry = superblock.geometry;
    let region = [
        geometry.length.0,
        geometry.ledger_area.0,
        geometry.blocks_start.0,
        u64::from(geometry.block_count),
    ];
    assert_eq!(read_as_before(&superblock.encode()), Some(region));
    let disk_label = Some(DiskLabel::new(geometry.length, 512));
    let labelled = Superblock { disk_label, ..superblock.clone() };
    assert_eq!(read_as_before(&labelled.encode()), Some(region));
    let headers = headers(&disk.image(), &geometry);
    assert!(!headers.is_empty());
    for (place, page) in headers {
        // Two checksums, the ring, and the number of the block in front of what was reserved.
        assert_eq!(page[4..8], crc32c::crc32c(&page[8..512]).to_le_bytes(), "at {place}");
        assert_eq!(page[8..24], superblock.ring_uuid);
        let block = u32::from_le_bytes(page[24..28].try_into().unwrap());
        assert_eq!(geometry.block_start(BlockNumber(block)).0, place);
        let content = u32::from_le_bytes(page[512..516].try_into().unwrap());
        assert_eq!(content, crc32c::crc32c(&page[516..]));
    }
}

fn saved(directory: &tempfile::TempDir) -> PathBuf {
    let path = directory.path().join("clip.mp4");
    std::fs::write(&path, rendered(&write())).unwrap();
    path
}

fn output(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(file)
        .output()
        .unwrap_or_else(|error| panic!("{program}, which scripts/test installs: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn ffprobe_finds_every_sample_of_every_track_where_it_was_put() {
    let directory = tempfile::tempdir().unwrap();
    let file = saved(&directory);
    let show = ["-v", "error", "-of", "csv=p=0", "-show_entries"];
    let streams =
        output("ffprobe", &[&show[..], &["stream=codec_name,codec_tag_string"]].concat(), &file);
    let names: Vec<&str> = streams.lines().collect();
    assert_eq!(names[..3], ["hevc,hvc1", "aac,mp4a", "opus,Opus"], "{streams}");
    let show = ["-v", "error", "-of", "json", "-show_entries", "packet=stream_index,pts,size"];
    let shown: serde_json::Value = serde_json::from_str(&output("ffprobe", &show, &file)).unwrap();
    let mut found: Vec<Vec<(i64, u32)>> = vec![Vec::new(); 4];
    for packet in shown["packets"].as_array().unwrap() {
        let stream = packet["stream_index"].as_u64().unwrap() as usize;
        let size = packet["size"].as_str().unwrap().parse().unwrap();
        found[stream].push((packet["pts"].as_i64().unwrap(), size));
    }
    for (stream, found) in found.iter().enumerate() {
        let mut expected = Vec::new();
        for number in 0..CHUNKS {
            let table = table(number);
            let tracks = table.tracks.iter().filter(|t| usize::from(t.track.0) == stream);
            for track in tracks {
                let mut time = track.start.0;
                for sample in &track.samples {
                    let shown = time + i64::from(sample.composition_offset);
                    expected.push((shown, sample.size));
                    time += i64::from(sample.duration);
                }
            }
        }
        assert_eq!(*found, expected, "track {stream}");
    }
}

#[test]
fn a_second_demuxer_counts_the_same_samples() {
    let directory = tempfile::tempdir().unwrap();
    let file = saved(&directory);
    let shown = output("mediainfo", &["--Output=JSON", "--Full"], &file);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let tracks = shown["media"]["track"].as_array().unwrap();
    let of = |kind: &str, format: &str| {
        let found = tracks.iter().find(|t| t["@type"] == kind && t["Format"] == format);
        found.unwrap_or_else(|| panic!("no {format} in {shown:#}"))
    };
    assert_eq!(of("Video", "HEVC")["FrameCount"], (4 * CHUNKS).to_string().as_str());
    assert_eq!(of("Video", "HEVC")["CodecID"], "hvc1");
    let aac = of("Audio", "AAC");
    assert_eq!(aac["SamplingRate"], "44100");
    assert_eq!(of("Audio", "Opus")["SamplingRate"], "48000");
}
