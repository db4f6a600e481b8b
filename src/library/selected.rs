//! A library of some cameras: nothing in it tells of any other.

use std::sync::Arc;

use super::{Attribute, Changes, Footage, Library, LibraryError, OpenFile, Snapshot, Told};
use crate::live::Live;
use crate::named::{Form, Named};
use crate::ring::Usage;
use crate::units::{ByteCount, ClipKey, WallTime};
use crate::view::Selection;
use crate::zone::Zone;

/// What a library has of some cameras. Clips are asked for by who shows them, and shows those of
/// these cameras alone.
pub struct SelectedLibrary {
    library: Arc<dyn Library>,
    cameras: Selection,
}

impl SelectedLibrary {
    /// What `library` has of these cameras.
    #[must_use]
    pub fn new(library: Arc<dyn Library>, cameras: Selection) -> SelectedLibrary {
        SelectedLibrary { library, cameras }
    }

    fn own(&self, mut cameras: Vec<String>) -> Vec<String> {
        cameras.retain(|camera| self.cameras.has(camera));
        cameras
    }
}

impl Footage for SelectedLibrary {
    fn open_clip(&self, clip: ClipKey) -> Result<Arc<dyn OpenFile>, LibraryError> {
        self.library.open_clip(clip)
    }

    fn snapshot(&self, camera: &str) -> Result<Option<Snapshot>, LibraryError> {
        match self.cameras.has(camera) {
            true => self.library.snapshot(camera),
            false => Ok(None),
        }
    }

    fn range(
        &self,
        camera: &str,
        named: &Named,
        zone: &Zone,
        is_listed: &dyn Fn(ClipKey) -> Option<bool>,
    ) -> Result<Snapshot, LibraryError> {
        match self.cameras.has(camera) {
            true => self.library.range(camera, named, zone, is_listed),
            false => Err(LibraryError::Gone),
        }
    }

    fn clip_as(
        &self,
        clip: ClipKey,
        form: Form,
        zone: &Zone,
        stem: &str,
    ) -> Result<Snapshot, LibraryError> {
        self.library.clip_as(clip, form, zone, stem)
    }

    fn now(&self) -> WallTime {
        self.library.now()
    }

    fn cameras(&self) -> Vec<String> {
        self.own(self.library.cameras())
    }

    fn growing_cameras(&self) -> Vec<String> {
        self.own(self.library.growing_cameras())
    }

    fn live(&self) -> Option<Live> {
        self.library.live()
    }

    fn usage(&self) -> Usage {
        self.library.usage()
    }

    fn keep_max(&self) -> ByteCount {
        self.library.keep_max()
    }

    fn attributes(&self, clip: ClipKey) -> Option<Vec<Attribute>> {
        self.library.attributes(clip)
    }

    /// It would be of all cameras.
    fn told(&self, what: Told) -> Option<Vec<u8>> {
        self.library.told(what).filter(|_| self.cameras.is_all())
    }
}

impl Changes for SelectedLibrary {
    fn remove(&self, clip: ClipKey) -> Result<(), LibraryError> {
        self.library.remove(clip)
    }

    fn restore(&self, clip: ClipKey) -> Result<(), LibraryError> {
        self.library.restore(clip)
    }

    fn purge(&self, clip: ClipKey) -> Result<(), LibraryError> {
        self.library.purge(clip)
    }

    fn keep(
        &self,
        clips: &[ClipKey],
        until: Option<WallTime>,
    ) -> Result<Vec<ClipKey>, LibraryError> {
        self.library.keep(clips, until)
    }

    fn release(&self, clips: &[ClipKey]) -> Result<Vec<ClipKey>, LibraryError> {
        self.library.release(clips)
    }

    fn sync(&self) -> Result<(), LibraryError> {
        self.library.sync()
    }
}
