//! Changes of the catalogue into the tree, and from there to the kernel's caches.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tokio::sync::watch;

use crate::archive::{Archive, Listener};
use crate::catalogue::{Catalogue, Change, Clip};
use crate::library::Watcher;
use crate::mount::Notifier;
use crate::mp4;
use crate::ring::ClipState;
use crate::units::ClipId;
use crate::view::{ListedClip, Tree};

/// What is there only once the ring is open: the archive, then the mount.
#[derive(Default)]
pub(super) struct Later {
    pub archive: OnceLock<Arc<Archive>>,
    pub notifier: RwLock<Option<Notifier>>,
}

impl Later {
    fn notifier(&self) -> Option<Notifier> {
        self.notifier.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Keeps the tree in step with the catalogue.
pub(super) struct TreeKeeper {
    pub catalogue: Arc<RwLock<Catalogue>>,
    pub tree: Arc<RwLock<Tree>>,
    pub later: Arc<Later>,
    /// Counts up when a flush is due.
    pub ticks: watch::Sender<u64>,
}

impl Listener for TreeKeeper {
    fn changed(&mut self, change: &Change) {
        match change {
            Change::Listed(clip) => {
                self.list(*clip);
                if let Some(archive) = self.later.archive.get() {
                    archive.keep_contents(*clip);
                }
            }
            Change::Restored(clip) => self.restore(*clip),
            Change::Hidden(clip) | Change::Restated(clip) => self.restate(*clip),
            Change::Gone(clip) => self.drop_clip(clip),
            Change::Nothing | Change::StreamSet(_) | Change::Grown(_) => {}
        }
    }

    fn flush_due(&mut self) {
        tick(&self.ticks);
    }
}

/// Asks every recorder to hand over what it holds.
pub(super) fn tick(ticks: &watch::Sender<u64>) {
    ticks.send_modify(|tick| *tick = tick.wrapping_add(1));
}

impl TreeKeeper {
    fn list(&self, id: ClipId) {
        let found = {
            let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
            catalogue.clip(id).map(|clip| (clip.fact.clone(), catalogue.camera_of(clip)))
        };
        let Some((fact, camera)) = found else { return };
        let size = match mp4::size(&fact) {
            Ok(size) => size,
            Err(error) => {
                log::error!("clip {id} of {camera} can't be shown: {error}");
                return;
            }
        };
        let listed = ListedClip {
            clip: id,
            camera: &camera,
            start: fact.start,
            end: fact.end,
            form: fact.name_form,
            size,
        };
        let place = self.tree.write().unwrap_or_else(PoisonError::into_inner).insert(&listed);
        if let Some(notifier) = self.later.notifier() {
            log::info!("{camera}: {} is closed: {} frames", place.name, fact.frames());
            notifier.clip_closed(&place);
        }
    }

    fn restore(&self, id: ClipId) {
        let moved = self.tree.write().unwrap_or_else(PoisonError::into_inner).restore(id);
        match (moved, self.later.notifier()) {
            (Some(moved), Some(notifier)) => notifier.clip_moved(&moved),
            (Some(_), None) => {}
            // The mount has put it back already, or it was not shown at all.
            (None, _) => self.list(id),
        }
    }

    /// Removed clips are in the trash; those that are being purged are nowhere.
    fn restate(&self, id: ClipId) {
        let state = {
            let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
            catalogue.clip(id).map(|clip| clip.state)
        };
        match state {
            Some(ClipState::Expiring { .. }) => {
                let moved = self.tree.write().unwrap_or_else(PoisonError::into_inner).discard(id);
                if let (Some(moved), Some(notifier)) = (moved, self.later.notifier()) {
                    notifier.clip_moved(&moved);
                }
            }
            Some(ClipState::Purging { .. }) => self.hide(id),
            _ => {}
        }
    }

    fn hide(&self, id: ClipId) {
        let place = self.tree.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        if let (Some(place), Some(notifier)) = (place, self.later.notifier()) {
            notifier.clip_gone(&place);
        }
    }

    fn drop_clip(&self, clip: &Clip) {
        self.hide(clip.id);
        if let Some(notifier) = self.later.notifier() {
            notifier.clip_purged(clip.id);
        }
        if let Some(archive) = self.later.archive.get() {
            archive.forget(clip.id);
        }
    }
}
