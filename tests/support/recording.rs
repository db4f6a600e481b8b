//! A recorder with a sink that keeps everything, for tests without a ring.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use reelfs::camera::{Camera, Hosts};
use reelfs::clock::{Clock, Reading};
use reelfs::live::Live;
use reelfs::recorder::{RecorderHandle, RecorderSettings, Sink, StreamStatus, spawn};
use reelfs::ring::{NewChunk, Refused, Timing};
use reelfs::segment::{ChunkTable, EndReason, Observation, TrackKind};
use reelfs::units::{BootTime, ClipId, Sequence, StreamNumber, Ticks, WallTime};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::cameras::Cameras;

/// One sample of a clip.
#[derive(Debug)]
pub struct Sample {
    /// When it is presented, on the wall.
    pub wall: WallTime,
    /// In ticks.
    pub duration: u32,
    /// Composition offset, in ticks.
    pub offset: i32,
    /// Whether it is a key frame.
    pub sync: bool,
    /// Whether something before it was lost.
    pub damaged: bool,
    /// Whether the camera sent nothing before it for longer than usual.
    pub resumed: bool,
    /// Whether it is the last one of its chunk.
    pub last: bool,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// One clip.
#[derive(Debug)]
pub struct Clip {
    /// Wall time of its first picture.
    pub start: WallTime,
    /// Why it ended, and its settled length in ns.
    pub end: Option<(EndReason, i64)>,
    /// In the order of decoding.
    pub samples: Vec<Sample>,
}

#[derive(Default)]
struct Kept {
    clips: BTreeMap<u64, Clip>,
    observed: Vec<Observation>,
}

#[derive(Clone, Default)]
struct Keeper {
    kept: Arc<Mutex<Kept>>,
    clips: Arc<AtomicU64>,
    refuse: Arc<AtomicU64>,
}

impl Sink for Keeper {
    fn new_clip(&self) -> ClipId {
        ClipId(Sequence(self.clips.fetch_add(1, Ordering::SeqCst)))
    }

    fn time_clip(&self, _: StreamNumber, _: ClipId, _: Timing) {}

    fn append(&self, chunk: NewChunk) -> Result<(), Refused> {
        let less = |left: u64| left.checked_sub(1);
        if self.refuse.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Err(Refused::QueueFull);
        }
        let table = ChunkTable::decode(&chunk.table).expect("a table");
        assert_eq!(table.byte_count(), chunk.data.len() as u64);
        assert_eq!(chunk.parameters.len(), table.tracks.len());
        // What is beside the pictures is told of by tests of its own.
        let Some(track) = table.tracks.first().filter(|track| track.kind == TrackKind::Video)
        else {
            return Ok(());
        };
        let mut kept = self.kept.lock().expect("no panic");
        let clip = kept.clips.entry(chunk.clip.number()).or_insert_with(|| Clip {
            start: table.anchor.wall,
            end: None,
            samples: Vec::new(),
        });
        assert_eq!(clip.start, table.anchor.wall, "one anchor for each clip");
        assert!(clip.end.is_none(), "nothing follows the end of a clip");
        let first_offset =
            clip.samples.first().map_or(track.samples[0].composition_offset, |s| s.offset);
        let (mut time, mut at) = (track.start.0, 0);
        for (index, sample) in track.samples.iter().enumerate() {
            let shown = time + i64::from(sample.composition_offset - first_offset);
            let end = at + sample.size as usize;
            clip.samples.push(Sample {
                wall: clip.start.plus_nanos(Ticks(shown).to_nanos(track.timescale)),
                duration: sample.duration,
                offset: sample.composition_offset,
                sync: sample.flags.sync,
                damaged: sample.flags.damaged,
                resumed: sample.flags.resumed,
                last: index + 1 == track.samples.len(),
                data: chunk.data[at..end].to_vec(),
            });
            (time, at) = (time + i64::from(sample.duration), end);
        }
        Ok(())
    }

    fn end_clip(&self, clip: ClipId, reason: u8, length_nanos: Option<i64>) {
        let mut kept = self.kept.lock().expect("no panic");
        let clip = kept.clips.get_mut(&clip.number()).expect("a clip with chunks");
        assert!(clip.end.is_none(), "a clip ends once");
        let reason = EndReason::from_code(reason);
        clip.end = Some((reason, length_nanos.expect("a settled length")));
    }

    fn observe(&self, _: StreamNumber, from: WallTime, to: WallTime, fact: Vec<u8>) {
        let observation = Observation::decode(&fact).expect("an observation");
        assert_eq!((observation.from, observation.to), (from, to));
        assert!(from <= to);
        self.kept.lock().expect("no panic").observed.push(observation);
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn read(&self) -> Reading {
        let nanos = |clock| {
            let time = clock_gettime(clock).expect("a clock");
            time.tv_sec() * 1_000_000_000 + time.tv_nsec()
        };
        Reading {
            wall: WallTime(nanos(ClockId::CLOCK_REALTIME)),
            boot: BootTime(nanos(ClockId::CLOCK_BOOTTIME)),
            boot_id: [7; 16],
            synchronised: true,
        }
    }
}

/// One recorder at work.
pub struct Recording {
    runtime: Runtime,
    handle: RecorderHandle,
    keeper: Keeper,
}

impl Cameras {
    /// Records a camera.
    pub fn record(&self, camera: u16) -> Recording {
        Recording::start(&self.url(camera), None)
    }

    /// How many frames a camera sent from the first to the last one of `clips`.
    pub fn received_since_first(&self, camera: u16, clips: &[Clip]) -> Option<usize> {
        let stamp = |clip: &Clip, last: bool| {
            let sample = if last { clip.samples.last() } else { clip.samples.first() };
            crate::frames::stamp(&sample?.data).map(|stamp| stamp.frame)
        };
        let range = stamp(clips.first()?, false)?..=stamp(clips.last()?, true)?;
        let sent = self.sent();
        Some(sent.keys().filter(|key| key.0 == camera && range.contains(&key.1)).count())
    }
}

/// Clips begin at multiples of this.
pub const CLIP: Duration = Duration::from_secs(5);
/// As on a ring: a flush every two seconds.
const FLUSH_INTERVAL: Duration = Duration::from_secs(2);

impl Recording {
    /// Records a URL in clips of five seconds.
    pub fn start(url: &str, login: Option<(&str, &str)>) -> Recording {
        let (username, password) = login.unzip();
        let own = |word: &str| word.to_string();
        let camera = Camera::new("test", url, username.map(own), password.map(own));
        Recording::of(camera.expect("a camera"))
    }

    /// The same of a camera.
    pub fn of(camera: Camera) -> Recording {
        let _ = env_logger::builder().is_test(true).try_init();
        let runtime = Runtime::new().expect("a runtime");
        let keeper = Keeper::default();
        let (ticker, ticks) = watch::channel(0);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(FLUSH_INTERVAL).await;
                ticker.send_modify(|tick| *tick += 1);
            }
        });
        let clip = CLIP.as_nanos() as i64;
        let settings = RecorderSettings {
            camera,
            hosts: Arc::new(Hosts::default()),
            stream: StreamNumber(1),
            flush_interval: FLUSH_INTERVAL,
            chunk_bytes_max: 768 << 10,
            boundary: Arc::new(move |start| WallTime((start.0.div_euclid(clip) + 1) * clip)),
            keeps_damaged: true,
            clock: Arc::new(SystemClock),
            live: Live::default(),
        };
        let handle = spawn(runtime.handle(), settings, keeper.clone(), ticks);
        Recording { runtime, handle, keeper }
    }

    /// How it goes.
    pub fn status(&self) -> StreamStatus {
        self.handle.status()
    }

    /// Refuses the next chunks, as a ring does that does not keep up.
    pub fn refuse(&self, chunks: u64) {
        self.keeper.refuse.store(chunks, Ordering::SeqCst);
    }

    /// Stops and answers all clips.
    pub fn stop(self) -> Vec<Clip> {
        self.finish().0
    }

    /// Stops and answers all clips, and what was observed.
    pub fn finish(self) -> (Vec<Clip>, Vec<Observation>) {
        assert!(self.handle.stop(), "stops in time");
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        let kept = std::mem::take(&mut *self.keeper.kept.lock().expect("no panic"));
        (kept.clips.into_values().collect(), kept.observed)
    }
}
