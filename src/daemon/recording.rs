//! What works on a ring that can be written: recorders, purge, scrub.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::reporter::Parts;
use super::superblocks::Caretaker;
use super::{DaemonError, Store, scrub, tables};
use crate::camera::{Camera, Hosts};
use crate::clock::{Clock, ClockGuard, KnownTime};
use crate::config::{CameraConfig, CameraName, Config};
use crate::live::Live;
use crate::purge::{self, Purger};
use crate::recorder::{self, Boundary, RecorderHandle, RecorderSettings};
use crate::retention::Quota;
use crate::ring::Writer;
use crate::segment::Switch;
use crate::units::{StreamKey, StreamNumber, WallTime};
use crate::view::clip_boundary_after;
use crate::zone::Zone;

/// A chunk's samples at most, in bytes; smaller where a block is.
const CHUNK_BYTES_MAX: u64 = 8 << 20;
/// Room that a block's and a chunk's headers are left, in bytes.
const HEADER_ROOM_BYTES: u64 = 128 << 10;

/// A camera, its settings, and the stream of the ring that is its.
#[derive(Clone)]
pub(super) struct Placed {
    pub settings: CameraConfig,
    pub session: Camera,
    pub stream: StreamNumber,
    /// How it was switched by hand when it was placed: of a stream that is new the ring may not
    /// have heard yet.
    pub switch: Option<Switch>,
}

impl Placed {
    pub(super) fn name(&self) -> &str {
        self.settings.name.as_str()
    }
}

/// What recorders have in common.
pub(super) struct Recording {
    hosts: Arc<Hosts>,
    writer: Writer,
    clock: Arc<dyn Clock>,
    ticks: watch::Sender<u64>,
    runtime: Handle,
    flush_interval: Duration,
    chunk_bytes_max: usize,
    /// That of the names of clips.
    zone: Zone,
    live: Live,
}

/// A camera that is recorded.
pub(super) struct Recorded {
    pub settings: CameraConfig,
    pub recorder: RecorderHandle,
    /// The longest clip, in seconds; it may change.
    clip_seconds: Arc<AtomicU64>,
    /// When somebody asked last for the clip to end that grew then, in nanoseconds since 1970.
    asked_end: Arc<AtomicI64>,
}

impl Recorded {
    pub(super) fn name(&self) -> &str {
        self.settings.name.as_str()
    }

    /// Takes settings that change nothing about its session.
    pub(super) fn take(&mut self, config: &Config, settings: &CameraConfig) {
        self.settings = settings.clone();
        self.clip_seconds.store(clip_seconds(config, self.name()), Ordering::Relaxed);
    }

    /// The clip that grows ends with the first key frame of `now` or later.
    pub(super) fn end_clip(&self, now: WallTime) {
        self.asked_end.store(now.0, Ordering::Relaxed);
    }

    /// Asks each to stop, and then waits for all of them.
    pub(super) fn stop_all(all: Vec<Recorded>) {
        all.iter().for_each(|recorded| recorded.recorder.request_stop());
        for recorded in all {
            let name = recorded.settings.name;
            if !recorded.recorder.stop() {
                let name = name.as_str();
                log::warn!("{name}: did not stop in time; its last seconds may be missing");
            }
        }
    }
}

/// The longest clip of a camera, in seconds.
fn clip_seconds(config: &Config, camera: &str) -> u64 {
    let length = config.clip_of(camera);
    if length < config.clip {
        log::warn!("{camera}: clips of {length:?} at most: its retain is short");
    }
    length.as_secs()
}

impl Recording {
    pub(super) fn new(config: &Config, zone: Zone, store: &Store, runtime: &Handle) -> Self {
        let block_length = store.archive.ring().superblock().geometry.block_length;
        Recording {
            hosts: Arc::new(Hosts::default()),
            writer: store.writer.clone(),
            clock: store.clock.clone(),
            ticks: store.ticks.clone(),
            runtime: runtime.clone(),
            flush_interval: config.ring.flush,
            chunk_bytes_max: CHUNK_BYTES_MAX.min(block_length.0 - HEADER_ROOM_BYTES) as usize,
            zone,
            live: store.live.clone(),
        }
    }

    /// Begins to record a camera.
    pub(super) fn start(&self, config: &Config, camera: Placed) -> Recorded {
        let Placed { settings, session, stream, .. } = camera;
        let clip_seconds = Arc::new(AtomicU64::new(clip_seconds(config, settings.name.as_str())));
        let asked_end = Arc::new(AtomicI64::new(i64::MIN));
        let of_recorder = RecorderSettings {
            camera: session,
            hosts: self.hosts.clone(),
            stream,
            flush_interval: self.flush_interval,
            chunk_bytes_max: self.chunk_bytes_max,
            boundary: boundary(self.zone.clone(), clip_seconds.clone(), asked_end.clone()),
            keeps_damaged: settings.keeps_damaged,
            clock: self.clock.clone(),
            live: self.live.clone(),
        };
        let (sink, ticks) = (self.writer.clone(), self.ticks.subscribe());
        let recorder = recorder::spawn(&self.runtime, of_recorder, sink, ticks);
        Recorded { settings, recorder, clip_seconds, asked_end }
    }
}

/// Where clips of a camera are cut.
fn boundary(zone: Zone, clip_seconds: Arc<AtomicU64>, asked_end: Arc<AtomicI64>) -> Boundary {
    Arc::new(move |start| {
        let length = Duration::from_secs(clip_seconds.load(Ordering::Relaxed));
        let usual = clip_boundary_after(&zone, length, start);
        // Of a clip that began later nobody spoke.
        let asked = Some(WallTime(asked_end.load(Ordering::Relaxed))).filter(|end| *end > start);
        asked.map_or(usual, |asked| usual.min(asked))
    })
}

/// Starts all of it but the recorders of the cameras, which are in the order of the configuration.
pub(super) fn begin(
    config: &Config,
    cameras: Vec<Placed>,
    store: &Store,
) -> Result<Parts, DaemonError> {
    let known = store.opening.known_clock.map(|clock| KnownTime {
        wall: clock.wall,
        boot: clock.boot,
        boot_id: clock.boot_id,
    });
    let settings = purge_settings(config, store, &cameras);
    let (catalogue, clock) = (store.catalogue.clone(), store.clock.clone());
    let guard = ClockGuard::new(known);
    let purger = Purger::start(settings, catalogue, store.writer.clone(), clock, guard)
        .map_err(|source| DaemonError::System { what: "the purge", source })?;
    let caretaker = Caretaker::start(store)?;
    let scrubber = scrub::start_scrub(config, store, &caretaker)?;
    tables::add_missing_tables(store);
    let (purger, caretaker) = (Some(purger), Some(caretaker));
    Ok(Parts { cameras, purger, scrubber, caretaker, ..Parts::default() })
}

/// What the purge goes by, with all cameras of the configuration.
pub(super) fn purge_settings(
    config: &Config,
    store: &Store,
    cameras: &[Placed],
) -> purge::Settings {
    let ring = store.archive.number();
    let mut quotas: BTreeMap<&CameraName, Quota> = BTreeMap::new();
    for Placed { settings, stream, .. } in cameras {
        let Some(max) = settings.max else { continue };
        let quota = quotas.entry(&settings.camera).or_insert(Quota { streams: Vec::new(), max });
        quota.streams.push(StreamKey { ring, stream: *stream });
    }
    let quotas = quotas.into_values().collect();
    let cameras = cameras.iter().map(|Placed { settings, stream, .. }| {
        (StreamKey { ring, stream: *stream }, settings.retain.clone())
    });
    purge::Settings {
        every: config.purge_interval(),
        wipe: config.purge.wipe,
        policy: crate::retention::Policy {
            general: config.retain.clone(),
            retain_removed: config.purge.removed_retain,
            quotas,
            cameras: cameras.collect(),
            created: store.archive.ring().superblock().created,
        },
        brake: config.purge.brake,
    }
}
