//! Random histories of clips that are closed, removed, restored, purged and evicted, and random
//! ranges of them, beside a naive model: a list of pictures.
//!
//! `REELFS_ROUNDS=n` plays `n` histories, and `REELFS_SEED=n` the one with that seed.

mod support;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reelfs::archive::{Archive, ArchiveError, CatalogueUpdater, Listener, OpenedRange};
use reelfs::blank;
use reelfs::catalogue::{Catalogue, Change};
use reelfs::device::Device;
use reelfs::index::Index;
use reelfs::named::{Container, Form, Gaps, Named};
use reelfs::ring::{
    FormatOptions, NewChunk, Ring, Settings, StateRefused, StateRequest, Writer, format,
};
use reelfs::segment::{
    Anchor, ChunkTable, ClockQuality, Codec, Look, ParameterSet, Sample, SampleFlags, StreamFact,
    StreamName, TrackKind, TrackNumber, TrackTable, VideoParameters,
};
use reelfs::units::{BootTime, ClipId, ClipKey, RingNumber, StreamNumber, Ticks, WallTime};
use reelfs::zone::Zone;
use support::disk::{Dice, Disk};
use support::memory::Set;

const SECOND: i64 = 1_000_000_000;
const CAMERA: &str = "yard";
const STREAM: StreamNumber = StreamNumber(1);
/// When the first clip begins.
const BEGIN: WallTime = WallTime(1_795_267_845_000_000_000);
/// Ticks a second, and of a picture, and the same in nanoseconds.
const TIMESCALE: u32 = 90_000;
const PICTURE_TICKS: u32 = 3600;
const PICTURE_NANOS: i64 = SECOND / 25;
/// Time without footage that is a gap; see the manual.
const GAP_NANOS_MIN: i64 = 100_000_000;
/// What is in front of what is wanted takes so long a picture.
const TICK_NANOS: i64 = 12_000;
/// The smallest ring that there can be, and some blocks.
const RING_BYTES: u64 = 14 << 20;
const BLOCK_BYTES: u64 = 1 << 20;
const STEPS: u64 = 60;
const ROUNDS: u64 = 40;

/// A clip as it was recorded.
struct Clip {
    pictures: Vec<(WallTime, Vec<u8>)>,
    is_listed: bool,
}

impl Clip {
    fn start(&self) -> WallTime {
        self.pictures[0].0
    }

    fn end(&self) -> WallTime {
        self.pictures[self.pictures.len() - 1].0.plus_nanos(PICTURE_NANOS)
    }
}

/// What a file should show: each picture with its time in it; none for what is made.
#[derive(Default)]
struct Expected {
    pictures: Vec<(i64, Option<Vec<u8>>)>,
    gaps: Vec<Range<WallTime>>,
}

/// The pictures of a range of the clips that are listed, and what is between them.
fn expected(clips: &BTreeMap<ClipId, Clip>, range: &Range<WallTime>, gaps: Gaps) -> Expected {
    let mut all = Expected::default();
    let (mut file, mut until) = (0, range.start);
    let gap = |all: &mut Expected, times: Range<WallTime>, file: &mut i64| {
        let nanos = times.end.nanos_since(times.start);
        let is_gap = nanos > GAP_NANOS_MIN;
        if is_gap {
            all.gaps.push(times);
        }
        match gaps {
            Gaps::LeftOut if is_gap => return,
            Gaps::Shown if is_gap => {
                let seconds = (0..nanos).step_by(SECOND as usize);
                all.pictures.extend(seconds.map(|at| (*file + at, None)));
            }
            // No picture that could last.
            _ if all.pictures.is_empty() => return,
            _ => {}
        }
        *file += nanos;
    };
    let mut listed: Vec<&Clip> = clips.values().filter(|clip| clip.is_listed).collect();
    listed.sort_by_key(|clip| clip.start());
    for clip in listed {
        let own = clip.pictures.iter().filter(|(time, _)| range.contains(time));
        let own: Vec<&(WallTime, Vec<u8>)> = own.collect();
        let (Some((first, _)), Some((last, _))) = (own.first(), own.last()) else { continue };
        if clip.start() >= range.start {
            gap(&mut all, until..*first, &mut file);
        }
        for (time, bytes) in &own {
            all.pictures.push((file + time.nanos_since(*first), Some(bytes.clone())));
        }
        until = last.plus_nanos(PICTURE_NANOS).min(range.end);
        file += until.nanos_since(*first);
    }
    if range.end.nanos_since(until) > GAP_NANOS_MIN {
        gap(&mut all, until..range.end, &mut file);
    }
    all
}

struct Nobody;

impl Listener for Nobody {
    fn changed(&mut self, _: &Change) {}
    fn flush_due(&mut self) {}
}

struct Open {
    archive: Archive,
    catalogue: Arc<RwLock<Catalogue>>,
    index: Arc<Index>,
    writer: Writer,
}

impl Open {
    /// Ends in order: nobody writes to the index any more.
    fn close(self) {
        self.writer.close().expect("a healthy disk");
        drop(self.archive);
        if let Ok(index) = Arc::try_unwrap(self.index) {
            index.close();
        }
    }
}

/// A history under way.
struct Round {
    dice: Dice,
    disk: Arc<Disk>,
    index: tempfile::TempDir,
    clock: Set,
    open: Option<Open>,
    clips: BTreeMap<ClipId, Clip>,
    recorded: u8,
    end: WallTime,
    /// What has happened.
    files: u64,
    refusals: u64,
    gone: u64,
}

fn open(disk: &Arc<Disk>, index: &Path, clock: &Set) -> Open {
    let catalogue = Arc::new(RwLock::new(Catalogue::new()));
    let updater = CatalogueUpdater::new(catalogue.clone(), RingNumber::default(), Box::new(Nobody));
    // Flushes happen when the test says so.
    let settings = Settings { flush_interval: Duration::from_secs(36_000), wipe: false };
    let device: Arc<dyn Device> = disk.clone();
    let (ring, writer, opening) =
        Ring::open(device, Arc::new(clock.clone()), &settings, Box::new(updater)).expect("a ring");
    let uuid = ring.superblock().ring_uuid;
    let index = Arc::new(Index::open(index, uuid, opening.session));
    let archive = Archive::new(ring, catalogue.clone(), index.clone());
    Open { archive, catalogue, index, writer }
}

/// One sequence and one picture set, as an AVCDecoderConfigurationRecord has them.
fn video_set(more: u8) -> Vec<u8> {
    let configuration =
        vec![1, 66, 0xc0, 31, 0xff, 0xe1, 0, 3, 0x67, 66, more, 1, 0, 2, 0x68, 0xce];
    let video = VideoParameters { width: 64, height: 48, pixel_aspect: (1, 1), look: Look::PLAIN };
    ParameterSet { codec: Codec::H264, configuration, video: Some(video), audio: None }.encode()
}

fn is_grey(bytes: &[u8]) -> bool {
    let set = ParameterSet::decode(&video_set(0)).expect("a set");
    let made = blank::pictures(&set, 60).expect("H.264");
    made.iter().any(|picture| picture == bytes)
}

impl Round {
    fn new(seed: u64) -> Round {
        let (disk, clock) = (Disk::blank(RING_BYTES), Set::at(BEGIN.0));
        let options = FormatOptions {
            block_length: Some(BLOCK_BYTES),
            label: "histories".into(),
            ring_uuid: [1; 16],
            node_uuid: [2; 16],
            pool_uuid: None,
            now: *clock.0.lock().expect("alive"),
            disk_label: None,
        };
        format(&*disk, &options).expect("it is large enough");
        let index = tempfile::tempdir().expect("a directory");
        let open = open(&disk, &index.path().join("index"), &clock);
        let names = vec![StreamName { name: CAMERA.to_owned(), since: WallTime(0) }];
        let fact =
            StreamFact { uuid: [3; 16], names, retain_nanos: None, removed: None, switch: None };
        open.writer.set_stream(STREAM, fact.encode());
        let (dice, clips) = (Dice::new(seed), BTreeMap::new());
        Round {
            dice,
            disk,
            index,
            clock,
            open: Some(open),
            clips,
            recorded: 0,
            end: BEGIN,
            files: 0,
            refusals: 0,
            gone: 0,
        }
    }

    fn open(&self) -> &Open {
        self.open.as_ref().expect("it is open")
    }

    fn play(&mut self) {
        self.record();
        for _ in 0..STEPS {
            match self.dice.roll(12) {
                0..3 => self.record(),
                3 | 4 => self.change(|writer, clip| {
                    let until = WallTime(i64::MAX);
                    writer.change_state(clip, StateRequest::Remove { until }).map(|_| false)
                }),
                5 => self.change(|writer, clip| {
                    writer.change_state(clip, StateRequest::Restore).map(|_| true)
                }),
                6 => self.change(|writer, clip| {
                    writer.change_state(clip, StateRequest::Purge)?;
                    Ok(writer.free(clip, false).is_err())
                }),
                _ => drop(self.ask()),
            }
        }
        let asked: Vec<(Named, [u8; 32])> = (0..6).filter_map(|_| self.ask()).collect();
        self.reopen(false);
        self.assert_same(&asked, "after a restart");
        self.reopen(true);
        self.assert_same(&asked, "without the index");
    }

    /// A clip of a few groups, some of which are large, so that others are evicted for it.
    fn record(&mut self) {
        let gap = match self.dice.roll(4) {
            0 | 1 => 0,
            2 => self.dice.roll(150_000_000) as i64,
            _ => self.dice.roll(200 * SECOND as u64) as i64,
        };
        let start = self.end.plus_nanos(gap);
        self.recorded += 1;
        let anchor = Anchor {
            wall: start,
            boot: BootTime(1),
            boot_id: [7; 16],
            camera: None,
            quality: ClockQuality::Synchronised,
        };
        let clip = self.open().writer.new_clip();
        let mut pictures: Vec<(WallTime, Vec<u8>)> = Vec::new();
        for _ in 0..1 + self.dice.roll(4) {
            let begin = pictures.len();
            let key_bytes = if self.dice.roll(2) == 0 { 600_000 } else { 60 };
            for number in begin..begin + 1 + self.dice.roll(40) as usize {
                let size =
                    if number == begin { key_bytes } else { 6 + self.dice.roll(40) as usize };
                let name = [&[0xAA, self.recorded], &(number as u32).to_be_bytes()[..]].concat();
                let time = start.plus_nanos(number as i64 * PICTURE_NANOS);
                pictures.push((time, name.into_iter().cycle().take(size).collect()));
            }
            let samples = pictures[begin..].iter().enumerate().map(|(at, (_, bytes))| Sample {
                duration: PICTURE_TICKS,
                size: bytes.len() as u32,
                composition_offset: 0,
                flags: SampleFlags { sync: at == 0, ..SampleFlags::default() },
            });
            let track = TrackTable {
                track: TrackNumber(0),
                kind: TrackKind::Video,
                timescale: TIMESCALE,
                parameters: 0,
                codec_delay: 0,
                start: Ticks(begin as i64 * i64::from(PICTURE_TICKS)),
                samples: samples.collect(),
            };
            let chunk = NewChunk {
                clip,
                stream: STREAM,
                parameters: vec![Arc::from(video_set(self.recorded))],
                table: Arc::from(ChunkTable { anchor, tracks: vec![track] }.encode()),
                data: pictures[begin..].iter().flat_map(|(_, bytes)| bytes.clone()).collect(),
            };
            self.open().writer.append(chunk).expect("there is room");
        }
        self.open().writer.end_clip(clip, 0, None);
        let recorded = Clip { pictures, is_listed: true };
        self.end = recorded.end();
        self.clips.insert(clip, recorded);
        // All that is known of is decided.
        self.clock.pass(Duration::from_secs(1000));
        self.sync();
    }

    /// What is evicted only the ring knows.
    fn sync(&mut self) {
        self.open().writer.sync().expect("a healthy disk");
        let catalogue = self.open().catalogue.clone();
        let catalogue = catalogue.read().unwrap_or_else(PoisonError::into_inner);
        let before = self.clips.len();
        self.clips.retain(|clip, _| {
            ClipKey::new(RingNumber::default(), *clip)
                .is_some_and(|key| catalogue.clip(key).is_some())
        });
        self.gone += (before - self.clips.len()) as u64;
    }

    /// Another state of some clip, where it may have that; `set` says whether it is listed then.
    fn change(&mut self, set: impl Fn(&Writer, ClipId) -> Result<bool, StateRefused>) {
        let number = self.dice.roll(self.clips.len().max(1) as u64) as usize;
        let writer = self.open().writer.clone();
        let Some((clip, known)) = self.clips.iter_mut().nth(number) else { return };
        if let Ok(is_listed) = set(&writer, *clip) {
            known.is_listed = is_listed;
        }
        self.sync();
    }

    /// A time at an edge of a clip, near one, or anywhere.
    fn time(&mut self) -> WallTime {
        let length = self.end.nanos_since(BEGIN) as u64;
        let any = BEGIN.plus_nanos(self.dice.roll(length + 1) as i64);
        let number = self.dice.roll(self.clips.len().max(1) as u64) as usize;
        let edge = self.clips.values().nth(number).map_or(any, |clip| match any.0 % 2 {
            0 => clip.start(),
            _ => clip.end(),
        });
        match self.dice.roll(4) {
            0 => any,
            1 => edge,
            _ => edge.plus_nanos(self.dice.roll(4 * SECOND as u64) as i64 - 2 * SECOND),
        }
    }

    fn opened(&self, named: &Named) -> Result<OpenedRange, ArchiveError> {
        let now = self.clock.0.lock().expect("alive").wall;
        self.open().archive.open_range(CAMERA, named, (now, &Zone::UTC), &|_| None)
    }

    /// Opens a range and compares it with the model; answers its digest, where there is a file.
    fn ask(&mut self) -> Option<(Named, [u8; 32])> {
        let (a, b) = (self.time(), self.time());
        let range = a.min(b)..a.max(b).max(a.min(b).plus_nanos(1));
        let gaps = [Gaps::Shown, Gaps::Held, Gaps::LeftOut, Gaps::Refused];
        let gaps = gaps[self.dice.roll(4) as usize];
        let form = Form { gaps, container: Container::Mp4 };
        let named = Named { ranges: vec![range.clone()], form };
        let expected = expected(&self.clips, &range, gaps);
        let is_there = expected.pictures.iter().any(|(_, bytes)| bytes.is_some())
            && (gaps != Gaps::Refused || expected.gaps.is_empty());
        let opened = match self.opened(&named) {
            Err(ArchiveError::NoFootage(why)) => {
                assert!(!is_there, "{named}: {why}");
                self.refusals += 1;
                return None;
            }
            opened => opened.unwrap_or_else(|error| panic!("{named}: {error}")),
        };
        assert!(is_there, "{named} should not be there");
        self.files += 1;
        assert_eq!(opened.gaps, expected.gaps, "{named}");
        let bytes = whole(&opened);
        self.check_pieces(&opened, &bytes);
        let found = shown(&bytes);
        assert_eq!(found.len(), expected.pictures.len(), "pictures of {named}");
        for ((time, bytes), (at, own)) in found.iter().zip(&expected.pictures) {
            assert!((time - at).abs() <= TICK_NANOS, "{named}: {time} ns, not {at}");
            let is_it = own.as_ref().map_or_else(|| is_grey(bytes), |own| own == bytes);
            assert!(is_it, "{named}: another picture at {at} ns");
        }
        Some((named, *blake3::hash(&bytes).as_bytes()))
    }

    /// Pieces of any length are those of the whole.
    fn check_pieces(&mut self, opened: &OpenedRange, bytes: &[u8]) {
        for _ in 0..8 {
            let at = self.dice.roll(bytes.len() as u64);
            let length = self.dice.roll(300_000) as u32;
            let piece = opened.content.read(at, length).expect("a piece").to_vec();
            let end = bytes.len().min(at as usize + length as usize);
            assert!(piece == bytes[at as usize..end], "{length} bytes at {at}");
        }
    }

    fn reopen(&mut self, without_index: bool) {
        self.open.take().expect("it is open").close();
        let index = self.index.path().join("index");
        if without_index {
            std::fs::remove_dir_all(&index).expect("the index");
        }
        self.open = Some(open(&self.disk, &index, &self.clock));
    }

    fn assert_same(&self, asked: &[(Named, [u8; 32])], when: &str) {
        for (named, digest) in asked {
            let opened =
                self.opened(named).unwrap_or_else(|error| panic!("{named} {when}: {error}"));
            assert_eq!(blake3::hash(&whole(&opened)).as_bytes(), digest, "{named} {when}");
        }
    }
}

fn whole(opened: &OpenedRange) -> Vec<u8> {
    let size = opened.content.size();
    let bytes = opened.content.read(0, u32::MAX).expect("all of it").to_vec();
    assert_eq!(bytes.len() as u64, size);
    bytes
}

/// The samples that are presented, by a reader that was not written here: when, in nanoseconds of
/// the presentation, and their bytes.
fn shown(bytes: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let file = re_mp4::Mp4::read_bytes(bytes).expect("an mp4");
    let track = file.tracks().values().next().expect("a track");
    let edits = file.moov.traks[0].edts.as_ref().and_then(|edts| edts.elst.as_ref());
    let [edit] = edits.expect("an edit list").entries.as_slice() else { panic!("one edit") };
    let samples = track.samples.iter().map(|sample| {
        let ticks = Ticks(sample.composition_timestamp - edit.media_time as i64);
        let bytes = &bytes[sample.offset as usize..][..sample.size as usize];
        (ticks.to_nanos(track.timescale as u32), bytes.to_vec())
    });
    samples.filter(|(at, _)| *at >= 0).collect()
}

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

#[test]
fn random_ranges_of_random_histories_show_what_a_naive_model_says() {
    let seed = setting("REELFS_SEED");
    let rounds = setting("REELFS_ROUNDS").unwrap_or(if seed.is_some() { 1 } else { ROUNDS });
    let first = seed.unwrap_or(0);
    let (mut files, mut refusals, mut gone) = (0, 0, 0);
    for seed in first..first + rounds {
        println!("again with REELFS_SEED={seed}");
        let mut round = Round::new(seed);
        round.play();
        round.open.take().expect("it is open").close();
        files += round.files;
        refusals += round.refusals;
        gone += round.gone;
    }
    println!("{files} files, {refusals} that are not there, {gone} clips purged or evicted");
    assert!(files > 10 * rounds && refusals > rounds && gone > 3 * rounds);
}
