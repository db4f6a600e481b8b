//! What came to format version 1 behind feature bits: damage and pauses, codecs, facts and values
//! that a program does not know. An image of it stays in `tests/data`, and opens for ever.
//!
//! It needs root: FUSE, a loop device, e2fsprogs, rsync and attr.

#[path = "support/daemon.rs"]
mod daemon;
mod support;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use daemon::{Site, run_tool, text, wait_until};
use reelfs::archive::{Archive, CatalogueUpdater, Listener};
use reelfs::catalogue::{Catalogue, Change};
use reelfs::device::Device;
use reelfs::index::Index;
use reelfs::ring::{
    ClipState, Fact, FormatOptions, Geometry, Inspection, LATER_FACTS, LATER_FOOTAGE, NewChunk,
    ReadError, Ring, RingError, Settings, StateRequest, Superblock, UnknownState, Writer,
    find_superblock, format, read_superblock, restore_superblocks,
};
use reelfs::segment::{
    Anchor, AudioParameters, ChunkTable, ClipFact, ClockQuality, Codec, EndReason, Look,
    Observation, ObservationKind, ParameterSet, Pause, Sample, SampleFlags, StreamFact, StreamName,
    TrackKind, TrackNumber, TrackTable, VideoParameters,
};
use reelfs::units::{
    BootTime, ByteCount, ClipId, RingNumber, Sequence, SessionNumber, StreamNumber, Ticks, WallTime,
};
use serde_json::Value;
use support::disk::{Disk, Event, Image};
use support::memory::Still;

const LENGTH: u64 = 14 << 20;
const GOLDEN: &str = "tests/data/ring-v2.runs";
const START: i64 = 1_795_267_800_000_000_000;
const SECOND: i64 = 1_000_000_000;
const STREAM: StreamNumber = StreamNumber(1);
const CHUNKS: i64 = 6;
const PAGE: u64 = 4096;

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

fn try_open(disk: &Arc<Disk>) -> Result<Open, RingError> {
    let catalogue = Arc::new(RwLock::new(Catalogue::new()));
    let updater = CatalogueUpdater::new(catalogue.clone(), RingNumber(0), Box::new(Deaf));
    let settings = Settings { flush_interval: Duration::from_secs(3600), wipe: false };
    let device: Arc<dyn Device> = disk.clone();
    let (ring, writer, opening) =
        Ring::open(device, Arc::new(Still::at(START)), &settings, Box::new(updater))?;
    let directory = tempfile::tempdir().unwrap();
    let uuid = ring.superblock().ring_uuid;
    let index = Arc::new(Index::open(directory.path(), uuid, opening.session));
    let archive = Archive::new(ring, catalogue.clone(), index);
    Ok(Open { archive, writer, catalogue, _index: directory })
}

fn open(disk: &Arc<Disk>) -> Open {
    try_open(disk).unwrap_or_else(|error| panic!("{error}"))
}

fn blank() -> Arc<Disk> {
    let disk = Disk::blank(LENGTH);
    let options = FormatOptions {
        block_length: Some(1 << 20),
        label: "golden".into(),
        ring_uuid: [0x12; 16],
        node_uuid: [0x22; 16],
        pool_uuid: Some([0x33; 16]),
        now: Still::at(START).0,
        disk_label: None,
    };
    format(&*disk, &options).unwrap();
    disk
}

/// MJPEG, FLAC and records.
fn parameter_sets() -> Vec<Arc<[u8]>> {
    let video =
        VideoParameters { width: 704, height: 576, pixel_aspect: (1, 1), look: Look::PLAIN };
    let jpeg = ParameterSet {
        codec: Codec::Jpeg,
        configuration: Vec::new(),
        video: Some(video),
        audio: None,
    };
    let flac = ParameterSet {
        codec: Codec::Flac,
        configuration: [&[0x80, 0, 0, 34][..], &[1; 34]].concat(),
        video: None,
        audio: Some(AudioParameters { sample_rate: 8000, channels: 1 }),
    };
    let records = ParameterSet {
        codec: Codec::TimedText,
        configuration: b"application/json".to_vec(),
        video: None,
        audio: None,
    };
    [jpeg, flac, records].iter().map(|set| Arc::from(set.encode())).collect()
}

fn track(track: u8, start: i64, samples: Vec<Sample>) -> TrackTable {
    let (kind, timescale) = match track {
        0 => (TrackKind::Video, 90_000),
        1 => (TrackKind::Audio, 8000),
        _ => (TrackKind::Timed, 1000),
    };
    let (track, start) = (TrackNumber(track), Ticks(start));
    TrackTable { track, kind, timescale, parameters: track.0, codec_delay: 0, start, samples }
}

fn sample(duration: u32, size: u32, flags: SampleFlags) -> Sample {
    Sample { duration, size, composition_offset: 0, flags }
}

fn record_text(number: i64) -> String {
    format!("{{\"motion\":\n{number}}}")
}

/// Half a second each. In chunk 2 a picture is damaged, and two follow it; chunk 3 comes 5 s late,
/// and in chunk 4 a picture lasts for 3 s. Each second chunk has a record.
fn table(number: i64) -> ChunkTable {
    let whole = SampleFlags { sync: true, ..SampleFlags::default() };
    let damaged = SampleFlags { damaged: true, ..whole };
    let resumed = SampleFlags { resumed: true, ..whole };
    let pictures = match number {
        2 => [(22_500, damaged), (22_500, damaged)],
        3 => [(22_500, resumed), (22_500, whole)],
        4 => [(270_000, whole), (22_500, resumed)],
        _ => [(22_500, whole), (22_500, whole)],
    };
    let late = if number >= 3 { 5 } else { 0 } * 1000 + if number >= 5 { 2750 } else { 0 };
    let start = number * 500 + late;
    let pictures = pictures.iter().map(|(duration, flags)| sample(*duration, 300, *flags));
    let mut tracks = vec![
        track(0, start * 90, pictures.collect()),
        track(1, start * 8, vec![sample(2000, 90, whole), sample(2000, 90, whole)]),
    ];
    if number % 2 == 0 {
        tracks.push(track(
            2,
            start + 40,
            vec![sample(100, record_text(number).len() as u32, whole)],
        ));
    }
    let anchor = Anchor {
        wall: WallTime(START),
        boot: BootTime(5),
        boot_id: [9; 16],
        camera: None,
        quality: ClockQuality::Synchronised,
    };
    ChunkTable { anchor, tracks }
}

fn samples_of(table: &ChunkTable, number: i64) -> Vec<u8> {
    let mut data = Vec::new();
    for track in &table.tracks {
        match track.kind {
            TrackKind::Timed => data.extend(record_text(number).bytes()),
            _ => data.resize(data.len() + track.byte_count() as usize, number as u8 ^ 0x5a),
        }
    }
    data
}

fn append(open: &Open, clip: ClipId, stream: StreamNumber, number: i64) {
    let (table, parameters) = (table(number), parameter_sets());
    let (data, table) = (samples_of(&table, number), Arc::from(table.encode()));
    open.writer.append(NewChunk { clip, stream, parameters, table, data }).unwrap();
}

/// A chunk that the first programs of version 1 could have written.
fn append_plain(open: &Open, clip: ClipId, number: i64) {
    let video =
        VideoParameters { width: 704, height: 576, pixel_aspect: (1, 1), look: Look::PLAIN };
    let configuration = vec![1, 0x42, 0, 0x1e, 0xff, 0xe0, 0];
    let set = ParameterSet { codec: Codec::H264, configuration, video: Some(video), audio: None };
    let flags = SampleFlags { sync: true, ..SampleFlags::default() };
    let mut table = table(0);
    table.tracks = vec![track(0, number * 45_000, vec![sample(45_000, 5000, flags)])];
    let (parameters, table) = (vec![Arc::from(set.encode())], Arc::from(table.encode()));
    let chunk = NewChunk { clip, stream: STREAM, parameters, table, data: vec![7; 5000] };
    open.writer.append(chunk).unwrap();
}

fn name_streams(open: &Open) {
    for (name, uuid) in [("front-door", [3; 16]), ("yard", [4; 16])] {
        let names = vec![StreamName { name: name.into(), since: WallTime(START) }];
        let fact = StreamFact { uuid, names, retain_nanos: None, removed: None, switch: None };
        open.writer.set_stream(open.writer.new_stream(), fact.encode());
    }
}

/// A ring with a clip of everything that is new, and behind it what later programs said.
fn write() -> Image {
    let disk = blank();
    let open = open(&disk);
    name_streams(&open);
    let clip = open.writer.new_clip();
    for number in 0..CHUNKS {
        append(&open, clip, STREAM, number);
        open.writer.sync().unwrap();
    }
    open.writer.end_clip(clip, EndReason::Boundary.code(), None);
    open.writer.close().unwrap();
    let mut image = disk.image();
    let fact = closed_fact(&disk);
    say(&mut image, &later_facts(&fact));
    image
}

fn closed_fact(disk: &Arc<Disk>) -> ClipFact {
    let inspection = Inspection::open(&**disk).unwrap();
    let (_, record) = inspection.clips().next().unwrap();
    ClipFact::decode(&record.fact).unwrap()
}

/// The clip whose footage lies elsewhere.
fn elsewhere() -> ClipId {
    ClipId(Sequence::new(SessionNumber(2), 1 << 20))
}

/// What a later program has said: a clip without extents in a state of its own, an observation and
/// an end of kinds of their own, and facts of kinds of their own.
fn later_facts(fact: &ClipFact) -> Vec<Fact> {
    let (from, to) = (WallTime(START), WallTime(START + SECOND));
    let kind = ObservationKind::Unknown(77);
    let seen = Observation { from, to, kind, number: 4, text: "later".into() };
    let state = ClipState::Unknown(UnknownState::new(9, &[1, 2, 3]).unwrap());
    let lies = ClipFact {
        end_reason: EndReason::Unknown(200),
        quality: ClockQuality::Unknown(7),
        start: WallTime(START + 60 * SECOND),
        end: WallTime(START + 70 * SECOND),
        ..fact.clone()
    };
    let (clip, stream, fact) = (elsewhere(), StreamNumber(2), lies.encode().into());
    let unknown = |kind, body: &[u8]| Fact::Unknown { kind, body: Arc::from(body) };
    vec![
        unknown(18, &[1, 2, 3]),
        Fact::Clip { clip, stream, extents: 0, table: Vec::new(), fact },
        Fact::State { clip, state },
        Fact::Observation { stream: STREAM, from, to, fact: seen.encode().into() },
        unknown(31, &[7; 900]),
        unknown(200, &[]),
        unknown(18, &[1, 2, 4]),
        Fact::Clean,
    ]
}

/// Of a ledger page: where its fields lie (FORMAT.md, Ledger).
const UUID: std::ops::Range<usize> = 8..24;
const GENERATION: std::ops::Range<usize> = 24..32;
const EPOCH: std::ops::Range<usize> = 32..40;
const NUMBER: std::ops::Range<usize> = 40..44;
const PREVIOUS: std::ops::Range<usize> = 44..48;
const USED: std::ops::Range<usize> = 48..50;
const FLUSHED: std::ops::Range<usize> = 52..56;

/// All pages of the filling that a ledger area has now.
fn ledger_pages(image: &Image, geometry: &Geometry, area: usize) -> Vec<(u64, Vec<u8>)> {
    let start = geometry.ledger_start(area).0;
    let mut pages: Vec<(u64, Vec<u8>)> = Vec::new();
    for place in (start..start + geometry.ledger_area.0).step_by(PAGE as usize) {
        let mut page = vec![0; PAGE as usize];
        assert!(image.read(place, &mut page));
        let number = (pages.len() as u32).to_le_bytes();
        let goes_on = pages.first().is_none_or(|(_, first)| page[GENERATION] == first[GENERATION]);
        if !page.starts_with(b"rlLP") || page[NUMBER] != number || !goes_on {
            break;
        }
        pages.push((place, page));
    }
    pages
}

/// Says facts in a page behind the last one of each area, as a later program would.
fn say(image: &mut Image, facts: &[Fact]) {
    let mut records = Vec::new();
    facts.iter().for_each(|fact| fact.append_to(&mut records));
    let mut page = vec![0; PAGE as usize];
    assert!(image.read(0, &mut page));
    let geometry = Superblock::decode(&page).unwrap().geometry;
    for area in 0..2 {
        let pages = ledger_pages(image, &geometry, area);
        let Some((place, last)) = pages.last() else { continue };
        let mut next = last.clone();
        let epoch = u64::from_le_bytes(last[EPOCH].try_into().unwrap()) + 1;
        let number = (pages.len() as u32).to_le_bytes();
        next[EPOCH].copy_from_slice(&epoch.to_le_bytes());
        next[NUMBER].copy_from_slice(&number);
        next[FLUSHED].copy_from_slice(&number);
        next[PREVIOUS].copy_from_slice(&last[4..8]);
        next[USED].copy_from_slice(&(records.len() as u16).to_le_bytes());
        next[56..].fill(0);
        next[56..56 + records.len()].copy_from_slice(&records);
        next[4..8].fill(0);
        let checksum = crc32c::crc32c(&next);
        next[4..8].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(next[UUID], [0x12; 16]);
        image.write(place + PAGE, &next);
    }
}

fn from_runs(runs: &[u8]) -> Image {
    let mut image = Image::blank(LENGTH);
    image.write(0, &support::runs::bytes(runs, LENGTH as usize));
    image
}

fn golden() -> Image {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    if std::env::var_os("REELFS_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, support::runs::of(&write().bytes())).unwrap();
    }
    let runs = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    from_runs(&runs)
}

fn unknown_facts(disk: &Disk) -> Vec<(u8, Vec<u8>)> {
    let inspection = Inspection::open(disk).unwrap();
    let unknown = inspection.facts.iter().filter_map(|fact| match fact {
        Fact::Unknown { kind, body } => Some((*kind, body.to_vec())),
        _ => None,
    });
    unknown.collect()
}

/// The facts that a later program said, as they stand in the records.
fn is_later(fact: &Fact) -> bool {
    match fact {
        Fact::Unknown { .. } => true,
        Fact::Clip { clip, .. } | Fact::State { clip, .. } => *clip == elsewhere(),
        Fact::Observation { .. } => true,
        _ => false,
    }
}

fn later_records(disk: &Disk) -> Vec<Vec<u8>> {
    let inspection = Inspection::open(disk).unwrap();
    let later = inspection.facts.iter().filter(|fact| is_later(fact));
    let record = |fact: &Fact| {
        let mut record = Vec::new();
        fact.append_to(&mut record);
        record
    };
    let mut records: Vec<Vec<u8>> = later.map(record).collect();
    records.sort();
    records
}

#[test]
fn the_image_of_version_2_opens_and_says_what_it_always_said() {
    let image = golden();
    let disk = Disk::from_image(image.unshared());
    let (superblock, _) = read_superblock(&*disk).unwrap();
    assert_eq!((superblock.compat, superblock.ro_compat), (0, LATER_FOOTAGE));
    assert_eq!((superblock.incompat, superblock.pool_uuid), (0, [0x33; 16]));
    let fact = closed_fact(&disk);
    assert_eq!((fact.frames(), fact.damaged(), fact.records()), (12, 2, 3));
    let pause = |from: i64, length: i64| Pause {
        from_nanos: from * 1_000_000,
        length_nanos: length * 1_000_000,
    };
    assert_eq!(fact.pauses.listed(), [pause(1500, 5000), pause(7000, 3000)]);
    assert_eq!(fact.pauses.more(), (0, 0));
    let expected = [(18, vec![1, 2, 3]), (31, vec![7; 900]), (200, vec![]), (18, vec![1, 2, 4])];
    assert_eq!(unknown_facts(&disk), expected);
    drop(superblock);
    assert!(disk.image().bytes() == image.bytes(), "looking changes nothing");
    let open = open(&disk);
    let clips: Vec<ClipId> = {
        let catalogue = open.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        catalogue.clips().map(|clip| clip.id()).collect()
    };
    assert_eq!((clips.len(), clips[1]), (2, elsewhere()));
    let file = open.archive.open_clip(clips[0]).unwrap();
    let bytes = file.read(0, file.size() as u32).unwrap().to_vec();
    assert_eq!(blake3::hash(&bytes).to_hex().as_str(), RENDERED);
    let lies = open.archive.ring().contents(elsewhere());
    assert!(matches!(lies, Err(ReadError::Elsewhere(clip)) if clip == elsewhere()), "{lies:?}");
    assert!(open.archive.open_clip(elsewhere()).is_err());
    for request in [StateRequest::Restore, StateRequest::Purge, StateRequest::Expire] {
        open.writer.change_state(elsewhere(), request).expect_err("a state that is not known");
    }
    open.writer.close().unwrap();
}

/// What the clip of the image is as a file.
const RENDERED: &str = "a54376b77a3ef485cad7f524d084a11d57e6713af85f8d354ee2fae62c80af62";

#[test]
fn what_later_programs_said_goes_through_three_checkpoints_as_it_was() {
    let mut image = golden();
    let said = later_records(&Disk::from_image(image.unshared()));
    assert_eq!(said.len(), 7);
    let order = unknown_facts(&Disk::from_image(image.unshared()));
    let geometry = read_superblock(&*Disk::from_image(image.unshared())).unwrap().0.geometry;
    let generation = |image: &Image| {
        let of_area = |area| {
            let pages = ledger_pages(image, &geometry, area);
            pages.last().map_or(0, |(_, p)| u64::from_le_bytes(p[GENERATION].try_into().unwrap()))
        };
        of_area(0).max(of_area(1))
    };
    for round in 1..=3_i64 {
        let before = generation(&image);
        // A page that has rotted is mended by a checkpoint.
        let areas = [0, 1].map(|area| ledger_pages(&image, &geometry, area));
        let newest = areas.iter().max_by_key(|pages| pages.len()).unwrap();
        image.flip(newest[newest.len() / 2].0 + 100, 1);
        let disk = Disk::from_image(image);
        let open = open(&disk);
        let clip = open.writer.new_clip();
        for number in 0..4 {
            append_plain(&open, clip, number);
            open.writer.sync().unwrap();
        }
        open.writer.end_clip(clip, EndReason::Stopped.code(), None);
        open.writer.close().unwrap();
        image = disk.image();
        assert!(generation(&image) > before, "round {round}: no checkpoint");
        let disk = Disk::from_image(image.unshared());
        assert_eq!(later_records(&disk), said, "round {round}");
        assert_eq!(unknown_facts(&disk), order, "round {round}");
    }
    let disk = Disk::from_image(image);
    let inspection = Inspection::open(&*disk).unwrap();
    let (_, record) = inspection.clips().find(|(clip, _)| *clip == elsewhere()).unwrap();
    let fact = ClipFact::decode(&record.fact).unwrap();
    assert_eq!(
        (fact.end_reason, fact.quality),
        (EndReason::Unknown(200), ClockQuality::Unknown(7))
    );
}

fn bits_on(disk: &Disk) -> Vec<u64> {
    let (superblock, _) = read_superblock(disk).unwrap();
    let image = disk.image();
    let places = superblock.geometry.superblock_places();
    let bits = places.map(|place| {
        let mut page = vec![0; PAGE as usize];
        assert!(image.read(place.0, &mut page));
        Superblock::decode(&page).unwrap().ro_compat
    });
    bits.to_vec()
}

#[test]
fn a_ring_gets_its_feature_bit_before_the_first_footage_that_needs_it_and_not_before() {
    let disk = blank();
    let open = open(&disk);
    name_streams(&open);
    let clip = open.writer.new_clip();
    append_plain(&open, clip, 0);
    open.writer.sync().unwrap();
    assert_eq!(bits_on(&disk), [0; 4]);
    let (plain, geometry) = (disk.log().len(), open.archive.ring().superblock().geometry);
    open.writer.end_clip(clip, EndReason::Boundary.code(), None);
    let clip = open.writer.new_clip();
    append(&open, clip, STREAM, 3);
    open.writer.sync().unwrap();
    assert_eq!(bits_on(&disk), [LATER_FOOTAGE; 4]);
    assert_eq!(open.archive.ring().superblock_now().ro_compat, LATER_FOOTAGE);
    open.writer.close().unwrap();
    // The first superblock is written and flushed before the others, and all before the chunk.
    let log = &disk.log()[plain..];
    let write_at = |wanted: u64| {
        log.iter().position(|e| matches!(e, Event::Write { offset, .. } if *offset == wanted))
    };
    let places =
        geometry.superblock_places().map(|place| write_at(place.0).expect("it is written"));
    let flush_behind = |at: usize| {
        at + log[at..].iter().position(|event| matches!(event, Event::Flush)).expect("a flush")
    };
    let needs_it = |event: &Event| match event {
        // Its block is new to the stream or not: the chunk's table says five seconds.
        Event::Write { bytes, .. } => {
            let table = table(3).encode();
            bytes.windows(table.len()).any(|window| window == table)
        }
        Event::Flush => false,
    };
    let chunk = log.iter().position(needs_it).expect("the chunk is written");
    assert!(places[1..].iter().all(|place| *place > flush_behind(places[0])), "{places:?}");
    assert!(places.iter().all(|place| flush_behind(*place) < chunk), "{places:?}, {chunk}");
}

#[test]
fn without_any_ledger_the_tables_alone_tell_damage_and_pauses() {
    let mut image = golden();
    let told = closed_fact(&Disk::from_image(image.unshared()));
    let geometry = read_superblock(&*Disk::from_image(image.unshared())).unwrap().0.geometry;
    for area in 0..2 {
        let zeros = vec![0; geometry.ledger_area.0 as usize];
        image.write(geometry.ledger_start(area).0, &zeros);
    }
    // Nor any superblock: what this program may have written is then taken for written.
    for place in geometry.superblock_places() {
        image.write(place.0, &[0; PAGE as usize]);
    }
    let disk = Disk::from_image(image);
    let found = find_superblock(&*disk, &mut |_| {}).unwrap();
    assert_eq!(found.superblock.ro_compat, LATER_FOOTAGE | LATER_FACTS);
    restore_superblocks(&*disk, &found).unwrap();
    let catalogue = Arc::new(RwLock::new(Catalogue::new()));
    let updater = CatalogueUpdater::new(catalogue, RingNumber(0), Box::new(Deaf));
    let device: Arc<dyn Device> = disk.clone();
    let clock = Arc::new(Still::at(START));
    Ring::rescue(device, clock, Box::new(updater), &mut |_, _| {}).unwrap();
    let fact = closed_fact(&disk);
    assert_eq!((fact.tracks, fact.pauses), (told.tracks, told.pauses));
    assert_eq!(bits_on(&disk), [LATER_FOOTAGE | LATER_FACTS; 4]);
}

#[test]
fn a_bit_that_a_power_cut_left_in_one_superblock_is_in_all_of_them_after_it() {
    let disk = blank();
    let (superblock, _) = read_superblock(&*disk).unwrap();
    let places = superblock.geometry.superblock_places();
    let marked = Superblock { ro_compat: LATER_FOOTAGE, ..superblock };
    for place in places {
        let mut image = disk.image();
        image.write(place.0, &marked.encode());
        let disk = Disk::from_image(image);
        open(&disk).writer.close().unwrap();
        assert_eq!(bits_on(&disk), [LATER_FOOTAGE; 4], "at {place:?}");
    }
}

#[test]
fn where_the_first_superblock_takes_no_bit_footage_that_needs_it_is_not_written() {
    let disk = blank();
    let open = open(&disk);
    name_streams(&open);
    *disk.refusing.lock().unwrap() = Some(0..PAGE);
    let clip = open.writer.new_clip();
    append(&open, clip, STREAM, 3);
    open.writer.sync().unwrap();
    assert_eq!((open.archive.ring().counters().chunks_dropped, bits_on(&disk)[0]), (1, 0));
    let plain = open.writer.new_clip();
    append_plain(&open, plain, 0);
    open.writer.sync().unwrap();
    *disk.refusing.lock().unwrap() = None;
    let clip = open.writer.new_clip();
    append(&open, clip, STREAM, 3);
    open.writer.end_clip(clip, EndReason::Boundary.code(), None);
    open.writer.sync().unwrap();
    assert_eq!(open.archive.ring().counters().chunks_dropped, 1);
    assert_eq!(bits_on(&disk), [LATER_FOOTAGE; 4]);
    assert!(open.archive.open_clip(clip).is_ok());
    open.writer.close().unwrap();
}

#[test]
fn footage_of_a_codec_or_kind_that_is_not_known_stays_and_cannot_be_opened() {
    let disk = blank();
    let open = open(&disk);
    name_streams(&open);
    let set = ParameterSet {
        codec: Codec::Unknown(99),
        configuration: vec![1, 2, 3],
        video: None,
        audio: None,
    };
    let mut clips = Vec::new();
    for kind in [TrackKind::Video, TrackKind::Unknown(40)] {
        let clip = open.writer.new_clip();
        let mut table = table(0);
        table.tracks.truncate(1);
        table.tracks[0].kind = kind;
        let data = samples_of(&table, 0);
        let (parameters, table) = (vec![Arc::from(set.encode())], Arc::from(table.encode()));
        let chunk = NewChunk { clip, stream: STREAM, parameters, table, data };
        open.writer.append(chunk).unwrap();
        open.writer.end_clip(clip, EndReason::Boundary.code(), None);
        open.writer.sync().unwrap();
        let error = open.archive.open_clip(clip).err().expect("nobody can show it").to_string();
        assert!(error.contains("99 is not known") || error.contains("not known: 40"), "{error}");
        clips.push(clip);
    }
    open.writer.close().unwrap();
    assert_eq!(bits_on(&disk), [LATER_FOOTAGE; 4]);
    let inspection = Inspection::open(&*disk).unwrap();
    let kept: Vec<ClipId> = inspection.clips().map(|(clip, _)| clip).collect();
    assert_eq!(kept, clips);
    let (_, record) = inspection.clips().nth(1).unwrap();
    let fact = ClipFact::decode(&record.fact).unwrap();
    assert_eq!(fact.tracks[0].kind, TrackKind::Unknown(40));
}

#[test]
fn a_program_that_does_not_know_a_bit_says_so_and_only_looks() {
    let mut image = golden();
    let mut page = vec![0; PAGE as usize];
    assert!(image.read(0, &mut page));
    let superblock = Superblock::decode(&page).unwrap();
    let later = Superblock { ro_compat: LATER_FOOTAGE | LATER_FACTS | 8, ..superblock };
    for place in later.geometry.superblock_places() {
        image.write(place.0, &later.encode());
    }
    let disk = Disk::from_image(image);
    let error = try_open(&disk).err().expect("it is refused");
    assert!(matches!(error, RingError::ReadOnly { features: 8 }), "{error}");
    assert_eq!(Inspection::open(&*disk).unwrap().clips().count(), 2);
    assert!(disk.log().iter().all(|event| matches!(event, Event::Flush)), "it is written to");
}

#[test]
fn more_than_a_checkpoint_can_carry_is_not_written_over() {
    let mut image = golden();
    let area =
        read_superblock(&*Disk::from_image(image.unshared())).unwrap().0.geometry.ledger_area;
    let body: Arc<[u8]> = Arc::from([7; 4000]);
    for number in 0..=area.0 / 10 / 4000 {
        let mut body = body.to_vec();
        body[..8].copy_from_slice(&number.to_le_bytes());
        say(&mut image, &[Fact::Unknown { kind: 20, body: body.into() }]);
    }
    let error = try_open(&Disk::from_image(image)).err().expect("it is refused");
    assert!(matches!(error, RingError::TooMuchUnknown { .. }), "{error}");
}

/// Chunks of one clip on a ring, with those of another in front of them or not.
fn copied(other_first: bool) -> (ClipId, [u8; 32], Vec<u32>) {
    let disk = blank();
    let open = open(&disk);
    name_streams(&open);
    let (other, clip) = (open.writer.new_clip(), open.writer.new_clip());
    for number in (0..CHUNKS).filter(|_| other_first) {
        append(&open, other, StreamNumber(2), number);
        open.writer.sync().unwrap();
    }
    for number in 0..CHUNKS {
        append(&open, clip, STREAM, number);
    }
    open.writer.end_clip(clip, EndReason::Boundary.code(), None);
    open.writer.sync().unwrap();
    let ring = open.archive.ring();
    let root = ring.root(clip).unwrap();
    let contents = ring.contents(clip).unwrap();
    let blocks = contents.chunks.iter().map(|chunk| chunk.place.block.0).collect();
    open.writer.close().unwrap();
    assert_eq!(Inspection::open(&*disk).unwrap().root(clip).unwrap(), root);
    (clip, root, blocks)
}

#[test]
fn a_clip_has_the_same_root_wherever_it_lies() {
    let (here, there) = (copied(false), copied(true));
    assert_eq!(here.0, there.0, "the same clip");
    assert_ne!(here.2, there.2, "in other places");
    assert_eq!(here.1, there.1);
    // By hand, from what FORMAT.md says.
    let mut contents = Vec::new();
    for number in 0..CHUNKS {
        let table = table(number);
        contents.push(1);
        contents.extend(here.0.number().to_le_bytes());
        contents.extend((number as u32).to_le_bytes());
        contents.extend((table.encode().len() as u32).to_le_bytes());
        contents.extend(table.encode());
        contents.push(3);
        parameter_sets().iter().for_each(|set| contents.extend(blake3::hash(set).as_bytes()));
        contents.extend(blake3::hash(&samples_of(&table, number)).as_bytes());
    }
    assert_eq!(here.1, *blake3::hash(&contents).as_bytes());
}

/// A loop file with ext4; unmounted when dropped.
struct Ext4(PathBuf);

impl Ext4 {
    fn new(site: &Site) -> Ext4 {
        let (file, at) = (site.path("ext4.img"), site.path("ext4"));
        let made = std::fs::File::create(&file).and_then(|file| file.set_len(16 << 20));
        made.expect("a file");
        run_tool("mkfs.ext4", &["-q", text(&file)]);
        std::fs::create_dir(&at).expect("a directory");
        run_tool("mount", &["-o", "loop", text(&file), text(&at)]);
        Ext4(at)
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        daemon::try_tool("umount", &[text(&self.0)]);
    }
}

fn attributes(file: &Path) -> String {
    let words = ["--absolute-names", "--dump", text(file)];
    run_tool("getfattr", &words).lines().skip(1).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_mounted_clip_tells_its_damage_and_its_pauses_and_copies_take_it_along() {
    let site = Site::without_ring();
    std::fs::write(site.ring_path(), golden().bytes()).expect("the ring");
    let daemon = site.run();
    let clip = site.mount().join("2026-11-21/front-door/13-30-00.mp4");
    wait_until("the clip", 10, || clip.exists());
    let told = attributes(&clip);
    for line in [
        "user.reelfs.damaged=\"2\"",
        "user.reelfs.gaps=\"2026-11-21T13:30:01.500000000Z 5.000\\012\
         2026-11-21T13:30:07.000000000Z 3.000\"",
        "user.reelfs.records=\"3\"",
        "user.reelfs.blocks=\"1\"",
        "user.reelfs.frames=\"12\"",
        "user.reelfs.id=\"12121212-1212-1212-1212-121212121212 ",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    let ext4 = Ext4::new(&site);
    run_tool("cp", &["-a", text(&clip), text(&ext4.0.join("cp.mp4"))]);
    run_tool("rsync", &["-aX", text(&clip), text(&ext4.0.join("rsync.mp4"))]);
    for copy in ["cp.mp4", "rsync.mp4"] {
        assert_eq!(attributes(&ext4.0.join(copy)), told, "{copy}");
    }
    daemon.stop();
    let ring = site.ring_path();
    let check = site.reelfs(&["check", text(&ring)]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}

#[test]
fn inspect_shows_records_and_what_it_does_not_know() {
    let site = Site::without_ring();
    std::fs::write(site.ring_path(), golden().bytes()).expect("the ring");
    let inspect = |words: &[&str]| {
        let ring = site.ring_path();
        let output = site.reelfs(&[&["inspect", text(&ring)], words].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {errors}");
        String::from_utf8(output.stdout).expect("text")
    };
    let json = |words: &[&str]| -> Value {
        serde_json::from_str(&inspect(&[words, &["--json"]].concat())).expect("JSON")
    };
    let lines = inspect(&["records", "--camera", "front-door"]);
    let texts: Vec<&str> = lines.lines().map(|line| line.rsplit("  ").next().unwrap()).collect();
    assert_eq!(texts.len(), 3, "{lines}");
    assert!(lines.lines().next().unwrap().ends_with("{\"motion\": 0}"), "{lines}");
    let all = json(&["records", "--camera", "front-door"]);
    let times: Vec<&str> =
        all.as_array().unwrap().iter().map(|r| r["time"].as_str().unwrap()).collect();
    let expected = ["00.040000000Z", "01.040000000Z", "07.040000000Z"];
    assert_eq!(times, expected.map(|time| format!("2026-11-21T13:30:{time}")));
    assert_eq!((&all[1]["text"], &all[1]["sound"]), (&record_text(2).into(), &true.into()));
    let some = ["--from", "2026-11-21T13:30:01Z", "--to", "2026-11-21T13:30:07Z"];
    let some = json(&[&["records"], &some[..]].concat());
    assert_eq!(some.as_array().unwrap().len(), 1, "{some}");
    assert_eq!(json(&["records", "--camera", "yard"]).as_array().unwrap().len(), 0);
    let clips = json(&["clips"]);
    assert_eq!((&clips[0]["damaged_frames"], &clips[0]["records"]), (&2.into(), &3.into()));
    assert_eq!(clips[0]["pauses"][0]["seconds"], 5.0);
    assert_eq!((&clips[1]["state"], &clips[1]["state_reason"]), (&"unknown".into(), &"9".into()));
    assert_eq!(clips[1]["end_reason"], "unknown (200)");
    let ledger = inspect(&["ledger"]);
    for said in ["of kind 18, 3 bytes: 010204", "of kind 200, 0 bytes", "unknown (77) (4) later"] {
        assert!(ledger.contains(said), "{said}: {ledger}");
    }
    assert!(inspect(&["ring"]).contains("33333333-3333-3333-3333-333333333333"));
    let length = ByteCount(LENGTH).0.to_string();
    let pool = "44444444-4444-4444-4444-444444444444";
    let path = site.path("pool.img");
    let output = site.reelfs(&["format", "--size", &length, "--pool", pool, text(&path)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = site.reelfs(&["inspect", text(&path), "ring", "--json"]);
    let ring: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&ring["pool_uuid"], &ring["ro_compat"]), (&pool.into(), &0.into()));
}
