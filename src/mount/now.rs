//! `now`: what grows, as snapshots that a lookup makes.

use std::sync::Arc;

use fuser::Errno;

use super::attributes::{Described, NO_TTL, Ownership};
use super::directory::{AddLine, Directory, Found, Line, immutable, log_failure};
use super::errno;
use super::handles::Handle;
use super::snapshots::Snapshots;
use crate::library::{Attribute, Library};
use crate::shown::Shown;
use crate::units::ClipKey;
use crate::view::{Inode, growing_name};

/// See the [module](self).
pub(super) struct Now {
    pub(super) shown: Arc<Shown>,
    pub(super) library: Arc<dyn Library>,
    pub(super) owner: Ownership,
    pub(super) snapshots: Arc<Snapshots>,
}

impl Directory for Now {
    fn look_up(&self, _parent: Inode, name: &str) -> Result<Found<Described>, Errno> {
        let cameras = self.library.growing_cameras();
        let camera = cameras.into_iter().find(|camera| growing_name(camera) == name);
        let camera = camera.ok_or(Errno::ENOENT)?;
        if let Some(fresh) = self.snapshots.fresh(&camera) {
            return Ok(Found::Here(fresh.described(self.owner)));
        }
        let (library, owner) = (Arc::clone(&self.library), self.owner);
        let snapshots = Arc::clone(&self.snapshots);
        Ok(Found::OnDisk(Box::new(move || match library.snapshot(&camera) {
            Ok(Some(made)) => {
                Ok(Box::new(move || snapshots.keep(&camera, Inode::Now, made).described(owner)))
            }
            Ok(None) => Err(Errno::ENOENT),
            Err(error) => {
                log_failure("snapshot", &camera, &error);
                Err(errno::of_open(&error))
            }
        })))
    }

    /// A listing makes no snapshot. What it says of the files is not to be believed for a moment,
    /// so that `stat` asks.
    fn list(&self, _inode: Inode, after: u64, add: &mut AddLine<'_>) -> Result<(), Errno> {
        let cameras = self.library.growing_cameras();
        let names = cameras.iter().map(|camera| growing_name(camera));
        let mut lines: Vec<_> = names.map(|name| (Inode::unmade(&name).word(), name)).collect();
        lines.sort();
        lines.dedup();
        for (cookie, name) in lines.iter().filter(|(cookie, _)| *cookie > after) {
            let attributes = self.owner.file(*cookie, 0, Default::default(), Default::default());
            let described =
                Described { attribute_ttl: NO_TTL, entry_ttl: NO_TTL, ..immutable(attributes) };
            if add(&Line { cookie: *cookie, name, described }) {
                break;
            }
        }
        Ok(())
    }

    fn describe(&self, inode: Inode) -> Result<Described, Errno> {
        match inode {
            Inode::Now => {
                let node = self.shown.tree().node(inode.word());
                node.map(|node| self.owner.node(&node)).ok_or(Errno::ESTALE)
            }
            _ => {
                let numbered = self.snapshots.get(inode).ok_or(Errno::ESTALE)?;
                Ok(numbered.described(self.owner))
            }
        }
    }

    fn look_up_again(&self, inode: Inode) -> Result<Described, Errno> {
        match self.snapshots.look_up(inode) {
            Some(numbered) => Ok(numbered.described(self.owner)),
            None => self.describe(inode),
        }
    }

    fn parent(&self, inode: Inode) -> Result<u64, Errno> {
        match inode {
            Inode::Now => self.shown.tree().parent(inode.word()).ok_or(Errno::ESTALE),
            _ => self.snapshots.get(inode).map(|made| made.parent).ok_or(Errno::ESTALE),
        }
    }

    fn open(&self, inode: Inode) -> Result<Found<Handle>, Errno> {
        if inode == Inode::Now {
            return Err(Errno::EISDIR);
        }
        let numbered = self.snapshots.get(inode).ok_or(Errno::ESTALE)?;
        Ok(Found::Here(numbered.handle(self.owner)))
    }

    fn extended(&self, inode: Inode) -> Vec<Attribute> {
        let numbered = self.snapshots.get(inode);
        numbered.map(|numbered| numbered.snapshot.attributes.clone()).unwrap_or_default()
    }

    fn clips(&self, inode: Inode) -> Result<Vec<ClipKey>, Errno> {
        let made = self.snapshots.get(inode);
        made.map(|made| made.snapshot.clips.clone()).ok_or(Errno::EPERM)
    }

    fn unlink(&self, _parent: Inode, _name: &str) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Only files are in it.
    fn rmdir(&self, _parent: Inode, _name: &str) -> Result<(), Errno> {
        Err(Errno::ENOTDIR)
    }
}
