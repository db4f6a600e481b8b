//! `reelfs import`: existing mp4 files into the ring, as a camera's footage.

mod cut;
mod store;

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::contents::of_ring;
use super::progress::progress_bar;
use super::{CommandError, WhileRead, camera_named};
use crate::archive::{CatalogueUpdater, Listener, register};
use crate::catalogue::{Catalogue, Change};
use crate::cli::quantity::{duration_text, size_text};
use crate::clock::Clock;
use crate::config::{CameraConfig, Config};
use crate::daemon::refuse_mixed_up;
use crate::device::{Access, Device, FileDevice, OpenError};
use crate::import::Footage;
use crate::ring::{self, Ring, Settings, Writer};
use crate::units::{ByteCount, Counted, RingNumber, StreamKey, StreamNumber, WallTime};
use crate::view::{clip_boundary_after, utc_timestamp};
use store::Store;

/// Footage may reach this far into what is there, in nanoseconds: a file's creation time has
/// whole seconds, so that one segment seems to begin before its predecessor ends.
const OVERLAP_NANOS_MAX: i64 = crate::units::NANOS_PER_SECOND;

/// What to import.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The camera of the configuration whose footage it is.
    pub camera: String,
    /// When the first file begins, each other one where the one before it ends; where it is
    /// `None`, each begins at its own creation time.
    pub start: Option<WallTime>,
    /// Footage is taken also where it would expire at once, or overlaps what is there.
    pub force: bool,
    /// mp4 files with H.264 video.
    pub files: Vec<PathBuf>,
}

/// A file with its place in time.
struct Placed {
    path: PathBuf,
    footage: Footage,
    start: WallTime,
    end: WallTime,
}

/// Puts files into the ring and prints a line for each. All of them are looked at before anything
/// is written.
///
/// # Errors
/// A file that can't be imported, a camera that is not in the configuration, footage that would
/// expire at once or overlaps what is there; a daemon that runs on the ring, or a ring that fails:
/// what was imported until then stays.
pub fn import(
    config: &Config,
    request: &ImportRequest,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    camera_of(config, &request.camera)?;
    let files = place_all(request)?;
    let now = clock.read().wall;
    let retain = config.retain_of(&request.camera);
    if !request.force {
        refuse_expired(&files, retain, now)?;
    }
    let opened = Opened::open(config, clock)?;
    let outcome = opened.take_all(config, request, &files, clock, &mut WhileRead::new(out));
    // Also after an error: what was taken is closed in order.
    let closed = opened.writer.close().map_err(of_ring(&config.ring.device));
    outcome?;
    closed?;
    opened.refuse_losses(config)
}

fn camera_of<'a>(config: &'a Config, camera: &str) -> Result<&'a CameraConfig, CommandError> {
    camera_named(config, camera).map_err(|known| {
        CommandError::Usage(format!("no camera {camera:?} in the configuration: {known}"))
    })
}

/// Opens all files and gives each its place in time.
fn place_all(request: &ImportRequest) -> Result<Vec<Placed>, CommandError> {
    let mut follows = request.start;
    let mut files: Vec<Placed> = Vec::with_capacity(request.files.len());
    for path in &request.files {
        let footage = Footage::open(path)?;
        let start = follows.or(footage.created()).ok_or_else(|| {
            let path = path.display();
            CommandError::Usage(format!("{path}: it does not say when it was made: give --start"))
        })?;
        let end = start.plus_nanos(footage.duration().to_nanos(footage.timescale()));
        if request.start.is_some() {
            follows = Some(end);
        }
        files.push(Placed { path: path.clone(), footage, start, end });
    }
    // Clips of a stream are written in the order of their times, as a recorder would have done.
    files.sort_by_key(|file| file.start);
    if !request.force {
        for pair in files.windows(2) {
            if pair[0].end.nanos_since(pair[1].start) > OVERLAP_NANOS_MAX {
                return Err(overlap(&pair[1], &pair[0].path.display().to_string()));
            }
        }
    }
    Ok(files)
}

fn overlap(file: &Placed, what: &str) -> CommandError {
    let (path, start) = (file.path.display(), utc_timestamp(file.start));
    CommandError::Failed(format!(
        "{path}: its footage from {start} on overlaps {what}; --force takes it regardless"
    ))
}

fn refuse_expired(
    files: &[Placed],
    retain: Option<Duration>,
    now: WallTime,
) -> Result<(), CommandError> {
    let Some(retain) = retain else { return Ok(()) };
    let oldest_kept = now.minus(retain);
    let Some(file) = files.iter().find(|file| file.end < oldest_kept) else { return Ok(()) };
    Err(CommandError::Failed(format!(
        "{}: its footage ends at {}, and the camera's retain is {}: it would expire at once; \
         --force takes it regardless",
        file.path.display(),
        utc_timestamp(file.end),
        duration_text(retain)
    )))
}

/// Nobody shows what is imported while it is.
struct Nobody;

impl Listener for Nobody {
    fn changed(&mut self, _: &Change) {}
    fn flush_due(&mut self) {}
}

/// The ring, open for this command alone.
struct Opened {
    ring: Arc<Ring>,
    writer: Writer,
    catalogue: Arc<RwLock<Catalogue>>,
}

impl Opened {
    fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Opened, CommandError> {
        let path = &config.ring.device;
        let device = FileDevice::open(path, Access::Exclusive).map_err(|error| match error {
            OpenError::InUse { path } => {
                let path = path.display();
                CommandError::Failed(format!("{path} is in use: stop the daemon first"))
            }
            absent if absent.is_absent() => {
                CommandError::Failed(config.no_ring(absent).to_string())
            }
            other => CommandError::Device(other),
        })?;
        let device: Arc<dyn Device> = Arc::new(device);
        let catalogue = Arc::new(RwLock::new(Catalogue::new()));
        let (superblock, _) = ring::read_superblock(&*device).map_err(of_ring(path))?;
        let updater =
            CatalogueUpdater::new(catalogue.clone(), superblock.ring_number, Box::new(Nobody))
                .naming_in(config.view.zone.clone());
        let settings = Settings { flush_interval: config.ring.flush, wipe: config.purge.wipe };
        let (ring, writer, _) = Ring::open(device, clock.clone(), &settings, Box::new(updater))
            .map_err(of_ring(path))?;
        Ok(Opened { ring, writer, catalogue })
    }

    fn ring_number(&self) -> RingNumber {
        self.ring.superblock().ring_number
    }

    fn take_all(
        &self,
        config: &Config,
        request: &ImportRequest,
        files: &[Placed],
        clock: &Arc<dyn Clock>,
        out: &mut dyn Write,
    ) -> Result<(), CommandError> {
        let stream = self.stream(config, request, clock)?;
        if !request.force {
            self.refuse_overlaps(stream, files)?;
        }
        let bytes = files.iter().map(|file| file.footage.byte_count()).sum();
        let template = "{wide_bar} {binary_bytes} of {binary_total_bytes}, {eta} left";
        let bar = progress_bar(bytes, template);
        let block_length = self.ring.superblock().geometry.block_length;
        let (clip, zone) = (config.clip_of(&request.camera), config.view.zone.clone());
        let boundary = Arc::new(move |start| clip_boundary_after(&zone, clip, start));
        let mut store = Store::new(&self.writer, stream, block_length, boundary, clock.read());
        for file in files {
            let taken = store
                .take(&file.path, &file.footage, file.start, &bar)
                .map_err(|error| error.of_ring(&config.ring.device))?;
            let line = format!(
                "{}: {} from {}: {}, {}, {}",
                file.path.display(),
                request.camera,
                utc_timestamp(taken.start),
                Counted(taken.frames, "frame"),
                size_text(ByteCount(taken.bytes)),
                Counted(taken.clips, "clip")
            );
            bar.suspend(|| writeln!(out, "{line}"))?;
        }
        bar.finish_and_clear();
        Ok(out.flush()?)
    }

    /// The camera's stream, new or known; the ring is told what has changed about it.
    fn stream(
        &self,
        config: &Config,
        request: &ImportRequest,
        clock: &Arc<dyn Clock>,
    ) -> Result<StreamNumber, CommandError> {
        let uuid = *uuid::Uuid::new_v4().as_bytes();
        let retain = config.retain_of(&request.camera);
        let now = clock.read().wall;
        let registration = {
            let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
            let camera = camera_of(config, &request.camera)?;
            let cameras = std::slice::from_ref(camera);
            refuse_mixed_up(config, cameras, &catalogue, self.ring_number())?;
            register(&catalogue, self.ring_number(), &request.camera, retain, now, uuid)
        };
        let stream = registration.stream.unwrap_or_else(|| self.writer.new_stream());
        if registration.changed {
            self.writer.set_stream(stream, registration.fact.encode());
            // Its name has to be known before a block's header says it.
            self.writer.sync().map_err(of_ring(&config.ring.device))?;
        }
        Ok(stream)
    }

    fn refuse_overlaps(&self, stream: StreamNumber, files: &[Placed]) -> Result<(), CommandError> {
        let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        let stream = StreamKey { ring: self.ring_number(), stream };
        for file in files {
            let inner =
                file.start.plus_nanos(OVERLAP_NANOS_MAX)..file.end.plus_nanos(-OVERLAP_NANOS_MAX);
            let mut clips = catalogue.clips_overlapping(stream, inner);
            if let Some(clip) = clips.find(|clip| clip.listed()) {
                let (start, end) = (utc_timestamp(clip.fact.start), utc_timestamp(clip.fact.end));
                return Err(overlap(file, &format!("the camera's clip from {start} to {end}")));
            }
        }
        Ok(())
    }

    /// What the writer could not store, and what had to make room, it has counted.
    fn refuse_losses(&self, config: &Config) -> Result<(), CommandError> {
        let device = config.ring.device.display();
        let counters = self.ring.counters();
        if counters.evicted > 0 {
            log::warn!("{device}: {} of the oldest clips made room for it", counters.evicted);
        }
        match counters.chunks_dropped {
            0 => Ok(()),
            dropped => Err(CommandError::Failed(format!(
                "{device}: {} could not be stored: see the log",
                Counted(dropped, "chunk")
            ))),
        }
    }
}
