//! What is shown: the tree, and who is told when it changes. Nobody else changes either.
//!
//! Several trees may show the same clips, each in its own way. What somebody asks for in one of
//! them is seen in all of them at once.
//!
//! A change comes in two ways. Somebody asks for it: it is carried out on the spot, so that who
//! asked sees it at once. And the ring tells of it when it became true, of what was asked for, too:
//! what is as the news says already is left as it is, and told to nobody twice.
//!
//! A verb is one function here, for who asks; a place where a clip can be is one, for the news.

use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use crate::library::{Changes, LibraryError, Watcher};
use crate::units::{BootTime, ClipKey, WallTime};
use crate::view::{ListedClip, MadeDirectory, Moved, Place, RemoveError, Selection, Tree};

/// See the [module](self).
pub struct Shown {
    tree: RwLock<Tree>,
    cameras: Selection,
    watchers: RwLock<Arc<[Arc<dyn Watcher>]>>,
    /// Those that show the same clips.
    others: OnceLock<Vec<Weak<Shown>>>,
}

impl Shown {
    /// Shows `tree`, to nobody yet.
    #[must_use]
    pub fn new(tree: Tree) -> Shown {
        Self::of(tree, Selection::ALL)
    }

    /// The same, for clips of some cameras.
    #[must_use]
    pub fn of(tree: Tree, cameras: Selection) -> Shown {
        let (tree, watchers) = (RwLock::new(tree), RwLock::default());
        Shown { tree, cameras, watchers, others: OnceLock::new() }
    }

    /// These show the same clips from now on, once and for all.
    pub fn join(all: &[Arc<Shown>]) {
        for shown in all {
            let others = all.iter().filter(|other| !Arc::ptr_eq(shown, other));
            let _ = shown.others.set(others.map(Arc::downgrade).collect());
        }
    }

    /// Has this one and the others change, one after another: no lock is held over two of them.
    fn each(&self, change: impl Fn(&Shown)) {
        change(self);
        let others = self.others.get().into_iter().flatten().filter_map(Weak::upgrade);
        others.for_each(|other| change(&other));
    }

    /// From now on `watchers` are told, in their order, and whoever was told before is not.
    pub fn watched_by(&self, watchers: &[Arc<dyn Watcher>]) {
        *self.watchers.write().unwrap_or_else(PoisonError::into_inner) = watchers.into();
    }

    /// Whether anybody has ever been told.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        !self.watchers().is_empty()
    }

    /// The tree, to look at. Not to be held over a call that changes it.
    pub fn tree(&self) -> RwLockReadGuard<'_, Tree> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn tree_to_change(&self) -> RwLockWriteGuard<'_, Tree> {
        self.tree.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn watchers(&self) -> Arc<[Arc<dyn Watcher>]> {
        self.watchers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// No lock is held meanwhile: a watcher may look at the tree.
    fn tell(&self, what: impl Fn(&dyn Watcher)) {
        self.watchers().iter().for_each(|watcher| what(&**watcher));
    }
}

/// What somebody asks for.
impl Shown {
    /// Removes a clip into the trash. Where it is gone meanwhile, that is what was asked.
    ///
    /// # Errors
    /// Where the library refuses; the clip is shown as before.
    pub fn remove(&self, clip: ClipKey, library: &dyn Changes) -> Result<(), LibraryError> {
        // The tree is not locked: the news may come before the answer.
        match library.remove(clip) {
            Ok(()) => self.each(|shown| shown.discard(clip)),
            Err(LibraryError::Gone) => self.each(|shown| shown.hide(clip)),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Gives a removed clip up for good. Where it is gone meanwhile, that is what was asked.
    ///
    /// # Errors
    /// Where the library refuses; the clip is shown as before.
    pub fn purge(&self, clip: ClipKey, library: &dyn Changes) -> Result<(), LibraryError> {
        match library.purge(clip) {
            Ok(()) | Err(LibraryError::Gone) => self.each(|shown| shown.hide(clip)),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Lists a removed clip again.
    ///
    /// # Errors
    /// Where it is gone, or the library refuses; the clip is shown as before.
    pub fn restore(&self, clip: ClipKey, library: &dyn Changes) -> Result<(), LibraryError> {
        library.restore(clip)?;
        self.each(|shown| shown.put_back(clip));
        Ok(())
    }

    /// Protects clips until a time, or until somebody releases them; answers how many.
    ///
    /// # Errors
    /// Where the library refuses; all are shown as before.
    pub fn keep(
        &self,
        clips: &[ClipKey],
        until: Option<WallTime>,
        library: &dyn Changes,
    ) -> Result<usize, LibraryError> {
        let kept = library.keep(clips, until)?;
        self.each(|shown| kept.iter().for_each(|clip| shown.show_kept(*clip)));
        Ok(kept.len())
    }

    /// Ends the protection of those of these clips that have one; answers how many those are.
    ///
    /// # Errors
    /// Where the library refuses; all are shown as before.
    pub fn release(&self, clips: &[ClipKey], library: &dyn Changes) -> Result<usize, LibraryError> {
        let released = library.release(clips)?;
        self.each(|shown| released.iter().for_each(|clip| _ = shown.hide_kept(*clip)));
        Ok(released.len())
    }

    /// Removes an empty directory. The asker knows, and nobody else is told.
    ///
    /// # Errors
    /// Where it is none, holds something, or is always there.
    pub fn remove_directory(&self, parent: u64, name: &str) -> Result<(), RemoveError> {
        self.tree_to_change().rmdir(parent, name).map(drop)
    }

    /// Drops a directory of the trash, and those in it, where no clip is left in any of them.
    pub fn drop_emptied_trash(&self, inode: u64) {
        let gone = self.tree_to_change().drop_emptied_trash(inode);
        self.tell(|watcher| gone.iter().for_each(|gone| watcher.directory_gone(gone)));
    }

    /// Drops directories that have been empty for a minute of calls to this; `now` is boot time.
    pub fn drop_empty(&self, now: BootTime) {
        let gone = self.tree_to_change().drop_empty(now);
        self.tell(|watcher| gone.iter().for_each(|gone| watcher.directory_gone(gone)));
    }
}

/// Where a clip is, as the news says.
impl Shown {
    /// Among the files, if its camera is shown. Answers where, unless it was shown already, there
    /// or in the trash.
    pub fn list(&self, clip: &ListedClip<'_>) -> Option<Place> {
        if !self.cameras.has(clip.camera) {
            return None;
        }
        let (place, made) = {
            let mut tree = self.tree_to_change();
            if tree.place(clip.clip).is_some() {
                return None;
            }
            (tree.insert(clip), tree.take_made())
        };
        self.tell_made(&made);
        self.tell(|watcher| watcher.clip_closed(&place));
        Some(place)
    }

    /// Where its new times put it, if it was shown: in the trash, if it was there.
    pub fn redate(&self, clip: &ListedClip<'_>) {
        let released = self.hide_kept(clip.clip);
        let (before, now, made) = {
            let mut tree = self.tree_to_change();
            let Some(before) = tree.remove(clip.clip) else { return };
            let mut now = tree.insert(clip);
            if tree.is_trash(before.parent)
                && let Some(moved) = tree.discard(clip.clip)
            {
                now = moved.to;
            }
            (before, now, tree.take_made())
        };
        self.tell(|watcher| watcher.clip_gone(&before));
        self.tell_made(&made);
        self.tell(|watcher| watcher.clip_closed(&now));
        if released {
            self.show_kept(clip.clip);
        }
    }

    /// Among the kept ones, too, if it is listed.
    pub fn show_kept(&self, clip: ClipKey) {
        let place = self.tree_to_change().keep(clip);
        if let Some(place) = place {
            self.tell(|watcher| watcher.clip_kept(&place));
        }
    }

    /// Not among the kept ones; answers whether it was.
    pub fn hide_kept(&self, clip: ClipKey) -> bool {
        let place = self.tree_to_change().release(clip);
        place.inspect(|place| self.tell(|watcher| watcher.clip_released(place))).is_some()
    }

    /// In the trash, if it was listed.
    pub fn discard(&self, clip: ClipKey) {
        self.hide_kept(clip);
        let moved = self.tree_to_change().discard(clip);
        self.tell_moved(moved);
    }

    /// Out of the trash, if it was there.
    pub fn put_back(&self, clip: ClipKey) {
        let (moved, made) = {
            let mut tree = self.tree_to_change();
            (tree.restore(clip), tree.take_made())
        };
        self.tell_made(&made);
        self.tell_moved(moved);
    }

    /// Nowhere: it can't be read any more.
    pub fn hide(&self, clip: ClipKey) {
        self.hide_kept(clip);
        let place = self.tree_to_change().remove(clip);
        if let Some(place) = place {
            self.tell(|watcher| watcher.clip_gone(&place));
        }
    }

    /// Nowhere, and its bytes are overwritten.
    pub fn drop_clip(&self, clip: ClipKey) {
        self.hide(clip);
        self.tell(|watcher| watcher.clip_purged(clip));
    }

    fn tell_made(&self, made: &[MadeDirectory]) {
        self.tell(|watcher| made.iter().for_each(|made| watcher.directory_made(made)));
    }

    fn tell_moved(&self, moved: Option<Moved>) {
        if let Some(moved) = moved {
            self.tell(|watcher| watcher.clip_moved(&moved));
        }
    }
}

#[cfg(test)]
mod tests;
