//! The ring, open for an import alone.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Job, camera_of};
use crate::archive::{CatalogueUpdater, Listener, register};
use crate::catalogue::{Catalogue, Change};
use crate::clock::{Clock, Reading};
use crate::command::CommandError;
use crate::command::contents::of_ring;
use crate::config::Config;
use crate::daemon::refuse_mixed_up;
use crate::device::{Access, Device, FileDevice, OpenError};
use crate::ring::{self, Ring, Settings, Writer};
use crate::units::{ClipId, Counted, RingNumber, StreamKey, StreamNumber, WallTime};

/// Nobody shows what is imported while it is.
struct Nobody;

impl Listener for Nobody {
    fn changed(&mut self, _: &Change) {}
    fn flush_due(&mut self) {}
}

/// The ring, open for this command alone.
pub(super) struct Opened {
    pub(super) ring: Arc<Ring>,
    pub(super) writer: Writer,
    pub(super) catalogue: Arc<RwLock<Catalogue>>,
    pub(super) now: Reading,
}

impl Opened {
    pub(super) fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Opened, CommandError> {
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
                .naming_in(config.zone.clone());
        let settings = Settings { flush_interval: config.ring.flush, wipe: config.purge.wipe };
        let (ring, writer, _) = Ring::open(device, clock.clone(), &settings, Box::new(updater))
            .map_err(of_ring(path))?;
        Ok(Opened { ring, writer, catalogue, now: clock.read() })
    }

    pub(super) fn ring_number(&self) -> RingNumber {
        self.ring.superblock().ring_number
    }

    /// The stream of a camera, where the ring has one.
    pub(super) fn known_stream(&self, camera: &str) -> Option<StreamKey> {
        let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        catalogue.stream_of(self.ring_number(), camera).map(|(stream, _)| stream)
    }

    /// The camera's stream, new or known; the ring is told what has changed about it.
    pub(super) fn stream(
        &self,
        config: &Config,
        job: &Job<'_>,
    ) -> Result<StreamNumber, CommandError> {
        let uuid = *uuid::Uuid::new_v4().as_bytes();
        let retain = config.retain_of(&job.camera);
        let registration = {
            let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
            let camera = camera_of(config, &job.camera)?;
            let cameras = std::slice::from_ref(camera);
            refuse_mixed_up(config, cameras, &catalogue, self.ring_number())?;
            let ring = self.ring_number();
            register(&catalogue, ring, &job.camera, retain, self.now.wall, uuid)
        };
        let stream = registration.stream.unwrap_or_else(|| self.writer.new_stream());
        if registration.changed {
            self.writer.set_stream(stream, registration.fact.encode());
            // Its name has to be known before a block's header says it.
            self.writer.sync().map_err(of_ring(&config.ring.device))?;
        }
        Ok(stream)
    }

    /// Where the last of some clips ends that are in the ring.
    pub(super) fn end_of(&self, clips: &[ClipId]) -> Option<WallTime> {
        let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        let taken = catalogue.clips().filter(|clip| clip.listed() && clips.contains(&clip.id()));
        taken.map(|clip| clip.fact.end).max()
    }

    /// What the writer could not store, and what had to make room, it has counted.
    pub(super) fn refuse_losses(&self, config: &Config) -> Result<(), CommandError> {
        let device = config.ring.device.display();
        let counters = self.ring.counters();
        if counters.evicted > 0 {
            log::warn!("{device}: {} made room for it", Counted(counters.evicted, "clip"));
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
