//! Clips of any shape, written into a ring through the library: what no recorder makes yet, or
//! none ever will.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use reelfs::archive::{CatalogueUpdater, Listener};
use reelfs::catalogue::{Catalogue, Change};
use reelfs::clock::SystemClock;
use reelfs::device::{Access, FileDevice};
use reelfs::ring::{NewChunk, Ring, Settings, Writer};
use reelfs::segment::{
    Anchor, AudioParameters, ChunkTable, ClockQuality, Codec, EndReason, ParameterSet, Sample,
    SampleFlags, StreamFact, StreamName, TrackNumber, TrackTable,
};
use reelfs::units::{BootTime, ClipId, RingNumber, StreamNumber, Ticks, WallTime};
use serde_json::Value;

use crate::daemon::{Site, run_tool, text};

/// When all footage begins: 2026-07-01 12:00 UTC, in ns since 1970.
pub const START: WallTime = WallTime(1_782_907_200_000_000_000);

/// One coded frame, packet or record, as it goes into the ring.
#[derive(Clone, Debug)]
pub struct Coded {
    /// In ticks.
    pub duration: u32,
    /// Composition offset, in ticks.
    pub offset: i32,
    /// Whether decoding may begin here.
    pub sync: bool,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// A track as it goes into the ring.
pub struct Track {
    /// For each chunk, which is a second.
    pub sets: Vec<ParameterSet>,
    /// Ticks a second.
    pub timescale: u32,
    /// Priming, in ticks.
    pub delay: u32,
    /// In decode order.
    pub samples: Vec<Coded>,
}

impl Track {
    /// Decode time of the first sample: priming lies before tick 0.
    pub fn start(&self) -> i64 {
        -i64::from(self.delay)
    }

    /// Presentation times in ticks, in the order of decoding.
    pub fn shown(&self) -> Vec<i64> {
        let mut time = self.start();
        let mut shown = Vec::new();
        for sample in &self.samples {
            shown.push(time + i64::from(sample.offset));
            time += i64::from(sample.duration);
        }
        shown
    }

    /// The samples of one chunk, with the decode time of the first.
    fn of_chunk(&self, chunk: usize) -> (i64, Vec<Coded>) {
        let mut time = self.start();
        let mut found: Option<i64> = None;
        let mut samples = Vec::new();
        for sample in &self.samples {
            let second = (time.max(0) / i64::from(self.timescale)) as usize;
            if second.min(self.sets.len() - 1) == chunk {
                found.get_or_insert(time);
                samples.push(sample.clone());
            }
            time += i64::from(sample.duration);
        }
        (found.expect("something of each track in each chunk"), samples)
    }
}

/// The body of the first box of a kind that is found anywhere in a file.
pub fn box_body(file: &Path, kind: &[u8; 4]) -> Vec<u8> {
    let bytes = fs::read(file).expect("a file");
    let at = bytes.windows(4).position(|four| four == kind).expect("such a box");
    let length = u32::from_be_bytes(bytes[at - 4..at].try_into().expect("4 bytes")) as usize;
    bytes[at + 4..at - 4 + length].to_vec()
}

/// The packets of an mp4 file with one track, which ffmpeg has made.
pub fn packets(file: &Path) -> Vec<(i64, Coded)> {
    let bytes = fs::read(file).expect("a file");
    let words = ["-v", "error", "-show_entries", "packet=pts,duration,pos,size,flags"];
    let probed = run_tool("ffprobe", &[&words[..], &["-of", "json", text(file)]].concat());
    let probed: Value = serde_json::from_str(&probed).expect("JSON");
    let packet = |packet: &Value| {
        let number = |key: &str| -> usize {
            packet[key].as_str().and_then(|text| text.parse().ok()).expect("a number")
        };
        let data = bytes[number("pos")..][..number("size")].to_vec();
        let duration = packet["duration"].as_u64().unwrap_or(0) as u32;
        let sync = packet["flags"].as_str().is_some_and(|flags| flags.starts_with('K'));
        (packet["pts"].as_i64().expect("a time"), Coded { duration, offset: 0, sync, data })
    };
    probed["packets"].as_array().expect("packets").iter().map(packet).collect()
}

/// A file that ffmpeg makes as `words` say.
pub fn encode(site: &Site, name: &str, words: &[&str]) -> PathBuf {
    let file = site.path(name);
    run_tool("ffmpeg", &[&["-v", "error", "-y"], words, &[text(&file)]].concat());
    file
}

/// What makes ffmpeg draw pictures of a size, so many seconds of so many a second, which carry
/// their numbers from `first` on: as that many squares, each a tenth as wide.
pub fn numbered(
    first: usize,
    (seconds, rate): (usize, usize),
    (width, height): (usize, usize),
    bits: usize,
) -> String {
    let side = width / 10;
    let mut filter = format!("color=gray:size={width}x{height}:rate={rate}:duration={seconds}");
    for bit in 0..bits {
        let is_set = format!("mod(floor((n+{first})/{})\\,2)", 1 << (bits - 1 - bit));
        for (color, when) in [("black", "1"), ("white", is_set.as_str())] {
            let place = format!("x={}:y=0:w={side}:h={side}", bit * side);
            filter += &format!(",drawbox={place}:color={color}:t=fill:enable='{when}'");
        }
    }
    filter
}

/// A beep of 100 ms at each whole second but the first, for some seconds.
pub fn beeps(site: &Site, codec: Codec, seconds: usize) -> Track {
    // What a camera's G.711 becomes, in whole packets.
    let flac = &["-c:a", "flac", "-sample_fmt", "s16", "-frame_size", "1000", "-strict", "-2"];
    let (rate, packet, delay, encoder): (_, _, _, &[&str]) = match codec {
        Codec::Aac => (48_000, 1024, 1024, &["-c:a", "aac"]),
        Codec::Opus => (48_000, 960, 312, &["-c:a", "libopus"]),
        _ => (8000, 1000, 0, flac),
    };
    let wave = "0.6*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.1)*gte(t\\,0.9)";
    let input = format!("aevalsrc={wave}:s={rate}:d={seconds}");
    let words = [&["-f", "lavfi", "-i", &input, "-ac", "1"], encoder].concat();
    let file = encode(site, "sound.mp4", &words);
    let configuration = match codec {
        // AAC-LC, 48 kHz, mono (ISO/IEC 14496-3, 1.6.2.1).
        Codec::Aac => vec![0x11, 0x88],
        Codec::Opus => box_body(&file, b"dOps"),
        _ => box_body(&file, b"dfLa")[4..].to_vec(),
    };
    let audio = Some(AudioParameters { sample_rate: rate, channels: 1 });
    let set = ParameterSet { codec, configuration, video: None, audio };
    let packets = packets(&file).into_iter();
    let samples = packets.map(|(_, coded)| Coded { duration: packet, sync: true, ..coded });
    Track { sets: vec![set; seconds], timescale: rate, delay, samples: samples.collect() }
}

/// Nobody looks while the ring is written.
struct Nobody;

impl Listener for Nobody {
    fn changed(&mut self, _: &Change) {}
    fn flush_due(&mut self) {}
}

fn chunk(tracks: &[Track], number: usize, writer_clip: ClipId, wall: WallTime) -> NewChunk {
    let anchor = Anchor {
        wall,
        boot: BootTime(0),
        boot_id: [0; 16],
        camera: None,
        quality: ClockQuality::Given,
    };
    let mut table = ChunkTable { anchor, tracks: Vec::new() };
    let (mut parameters, mut data) = (Vec::new(), Vec::new());
    for (index, track) in tracks.iter().enumerate() {
        let (start, coded) = track.of_chunk(number);
        let set = &track.sets[number];
        parameters.push(set.encode().into());
        data.extend(coded.iter().flat_map(|sample| &sample.data).copied());
        let sample = |sample: &Coded| Sample {
            duration: sample.duration,
            size: sample.data.len() as u32,
            composition_offset: sample.offset,
            flags: SampleFlags { sync: sample.sync, ..SampleFlags::default() },
        };
        table.tracks.push(TrackTable {
            track: TrackNumber(index as u8),
            kind: set.codec.track_kind(),
            timescale: track.timescale,
            parameters: index as u8,
            codec_delay: track.delay,
            start: Ticks(start),
            samples: coded.iter().map(sample).collect(),
        });
    }
    let table = table.encode().into();
    NewChunk { clip: writer_clip, stream: StreamNumber(0), parameters, table, data }
}

/// Writes a clip of each camera into the site's ring, all from [`START`] on, a second a chunk.
pub fn write_ring(site: &Site, cameras: &[(&str, &[Track])]) {
    write_clips(site, cameras, &[0]);
}

/// The same clip of each camera several times: so many seconds behind [`START`].
pub fn write_clips(site: &Site, cameras: &[(&str, &[Track])], seconds_behind: &[i64]) {
    let clips = |tracks| seconds_behind.iter().map(|behind| (*behind, tracks)).collect();
    let cameras: Vec<(&str, Film)> =
        cameras.iter().map(|(name, tracks)| (*name, clips(*tracks))).collect();
    write_films(site, &cameras);
}

/// Clips, and how many seconds behind [`START`] each begins.
pub type Film<'a> = Vec<(i64, &'a [Track])>;

/// A film of each camera.
pub fn write_films(site: &Site, cameras: &[(&str, Film)]) {
    let device = FileDevice::open(&site.ring_path(), Access::Exclusive).expect("the ring");
    let settings = Settings { flush_interval: Duration::from_secs(1), wipe: false };
    let updater = CatalogueUpdater::new(
        Arc::new(RwLock::new(Catalogue::new())),
        RingNumber(0),
        Box::new(Nobody),
    );
    let clock = Arc::new(SystemClock::new());
    let (_ring, writer, _): (_, Writer, _) =
        Ring::open(Arc::new(device), clock, &settings, Box::new(updater)).expect("the ring");
    for (number, (name, film)) in cameras.iter().enumerate() {
        let stream = writer.new_stream();
        let names = vec![StreamName { name: (*name).to_owned(), since: START }];
        let uuid = [number as u8 + 7; 16];
        let fact = StreamFact { uuid, names, retain_nanos: None, removed: None, switch: None };
        writer.set_stream(stream, fact.encode());
        for (behind, tracks) in film {
            let clip = writer.new_clip();
            let wall = START.plus_nanos(behind * 1_000_000_000);
            let seconds = tracks[0].sets.len();
            for second in 0..seconds {
                let chunk = NewChunk { stream, ..chunk(tracks, second, clip, wall) };
                writer.append(chunk).expect("it is taken");
            }
            let length = seconds as i64 * 1_000_000_000;
            writer.end_clip(clip, EndReason::Stopped.code(), Some(length));
        }
    }
    writer.close().expect("closed in order");
}
