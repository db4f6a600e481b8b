//! News of the ring's clips to what is shown, and to what is kept of them beside the ring.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tokio::sync::watch;

use crate::archive::{Archive, Listener};
use crate::catalogue::{Catalogue, Change, Clip};
use crate::mp4;
use crate::shown::Shown;
use crate::units::ClipKey;
use crate::view::{ListedClip, Place};

/// Keeps what is shown in step with the catalogue.
pub(super) struct TreeKeeper {
    pub catalogue: Arc<RwLock<Catalogue>>,
    /// Each view.
    pub shown: Vec<Arc<Shown>>,
    /// There once the ring is open.
    pub archive: Arc<OnceLock<Arc<Archive>>>,
    /// Counts up when a flush is due.
    pub ticks: watch::Sender<u64>,
}

impl Listener for TreeKeeper {
    fn changed(&mut self, change: &Change) {
        match change {
            Change::Listed(clip) => {
                self.list(*clip, "closed");
                if let Some(archive) = self.archive.get() {
                    archive.keep_contents(clip.clip());
                }
            }
            Change::Restored(clip) => {
                self.each(|shown| shown.put_back(*clip));
                // One that was found by a recovery may not have been shown at all.
                self.list(*clip, "listed again");
            }
            Change::Hidden(clip) | Change::Restated(clip) => self.restate(*clip),
            Change::Redated(clip) => {
                if let Some(archive) = self.archive.get() {
                    archive.reopen(clip.clip());
                }
                self.show(*clip, |all, listed, _| all.iter().for_each(|it| it.redate(listed)));
            }
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
    fn each(&self, change: impl Fn(&Shown)) {
        self.shown.iter().for_each(|shown| change(shown));
    }

    /// Shows a clip among the files, and says in the log `how` it came there, unless this is the
    /// start, when all of them do.
    fn list(&self, key: ClipKey, how: &str) {
        self.show(key, |all, listed, frames| {
            let places = all.iter().filter_map(|shown| shown.list(listed));
            let first = places.collect::<Vec<_>>().into_iter().next();
            let is_watched = all.iter().any(|shown| shown.is_watched());
            if let (Some(Place { name, .. }), true) = (first, is_watched) {
                log::info!("{}: {name} is {how}: {frames} frames", listed.camera);
            }
        });
    }

    fn show(&self, key: ClipKey, show: impl FnOnce(&[Arc<Shown>], &ListedClip<'_>, u64)) {
        let found = {
            let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
            let named = |clip: &Clip| (clip.fact.clone(), clip.redated, catalogue.camera_of(clip));
            catalogue.clip(key).map(named)
        };
        let Some((fact, redated, camera)) = found else { return };
        let size = match mp4::size(&fact) {
            Ok(size) => size,
            Err(error) => {
                log::error!("clip {key} of {camera} can't be shown: {error}");
                return;
            }
        };
        let listed = ListedClip {
            clip: key,
            redated,
            camera: &camera,
            start: fact.start,
            end: fact.end,
            form: fact.name_form,
            size,
        };
        show(&self.shown, &listed, fact.frames());
    }

    /// Removed clips are in the trash, kept ones among those, too; what is being purged is nowhere.
    fn restate(&self, key: ClipKey) {
        let state = {
            let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
            catalogue.clip(key).map(|clip| clip.state)
        };
        match state {
            Some(state) if state.is_in_trash() => self.each(|shown| shown.discard(key)),
            Some(state) if state.is_purging() => self.each(|shown| shown.hide(key)),
            Some(state) if state.is_kept() => self.each(|shown| shown.show_kept(key)),
            Some(_) => self.each(|shown| _ = shown.hide_kept(key)),
            None => {}
        }
    }

    fn drop_clip(&self, clip: &Clip) {
        self.each(|shown| shown.drop_clip(clip.key));
        if let Some(archive) = self.archive.get() {
            archive.forget(clip.id());
        }
    }
}
