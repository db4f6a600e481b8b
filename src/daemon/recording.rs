//! What works on a ring that can be written: recorders, purge, scrub.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::reporter::Parts;
use super::superblocks::Caretaker;
use super::{DaemonError, Store, scrub, tables};
use crate::camera::{Camera, Hosts};
use crate::clock::{ClockGuard, KnownTime};
use crate::config::Config;
use crate::purge::{self, Purger};
use crate::recorder::{self, Boundary, RecorderSettings};
use crate::units::{StreamKey, StreamNumber};
use crate::view::{Layout, clip_boundary_after};

/// A chunk's samples at most, in bytes; smaller where a block is.
const CHUNK_BYTES_MAX: u64 = 8 << 20;
/// Room that a block's and a chunk's headers are left, in bytes.
const HEADER_ROOM_BYTES: u64 = 128 << 10;

/// Starts all of it. `cameras` come with their names and streams, in the order of the
/// configuration.
pub(super) fn begin(
    config: &Config,
    layout: &Layout,
    cameras: Vec<(Camera, (String, StreamNumber))>,
    store: &Store,
    runtime: &Handle,
) -> Result<Parts, DaemonError> {
    let purger = Some(start_purge(config, store, &cameras)?);
    let caretaker = Caretaker::start(store)?;
    let scrubber = scrub::start_scrub(config, store, &caretaker)?;
    let geometry = store.archive.ring().superblock().geometry;
    let chunk_bytes_max = CHUNK_BYTES_MAX.min(geometry.block_length.0 - HEADER_ROOM_BYTES);
    let hosts = Arc::new(Hosts::default());
    let recorders = cameras
        .into_iter()
        .map(|(camera, (name, stream))| {
            let settings = RecorderSettings {
                camera,
                hosts: hosts.clone(),
                stream,
                flush_interval: config.ring.flush,
                chunk_bytes_max: chunk_bytes_max as usize,
                boundary: boundary(config, layout, &name),
                keeps_damaged: config.keeps_damaged(&name),
                clock: store.clock.clone(),
            };
            let (sink, ticks) = (store.writer.clone(), store.ticks.subscribe());
            (name, recorder::spawn(runtime, settings, sink, ticks))
        })
        .collect();
    tables::add_missing_tables(store);
    Ok(Parts { recorders, purger, scrubber, caretaker: Some(caretaker) })
}

/// Where clips of a camera are cut.
fn boundary(config: &Config, layout: &Layout, camera: &str) -> Boundary {
    let (zone, length) = (layout.zone(&config.view.zone), config.clip_of(camera));
    if length < config.view.clip {
        log::info!("{camera}: clips of {length:?} at most: its retain is short");
    }
    Arc::new(move |wall| clip_boundary_after(&zone, length, wall))
}

fn start_purge(
    config: &Config,
    store: &Store,
    cameras: &[(Camera, (String, StreamNumber))],
) -> Result<Purger, DaemonError> {
    let ring = store.archive.number();
    let cameras = config
        .cameras
        .iter()
        .zip(cameras)
        .map(|(camera, (_, (_, stream)))| (StreamKey { ring, stream: *stream }, camera.retain));
    let settings = purge::Settings {
        every: config.purge_interval(),
        wipe: config.purge.wipe,
        policy: crate::retention::Policy {
            retain_default: config.purge.retain,
            cameras: cameras.collect(),
            created: store.archive.ring().superblock().created,
        },
    };
    let known = store.opening.known_clock.map(|clock| KnownTime {
        wall: clock.wall,
        boot: clock.boot,
        boot_id: clock.boot_id,
    });
    let (catalogue, clock) = (store.catalogue.clone(), store.clock.clone());
    Purger::start(settings, catalogue, store.writer.clone(), clock, ClockGuard::new(known))
        .map_err(|source| DaemonError::System { what: "the purge", source })
}
