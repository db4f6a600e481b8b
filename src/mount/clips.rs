//! Directories of closed clips: days, cameras and whatever else the layout has.

use std::sync::Arc;

use fuser::Errno;

use super::attributes::{Described, Ownership};
use super::directory::{AddLine, Directory, Found, Line, log_failure};
use super::errno;
use super::handles::{Content, Handle};
use super::made::MadeFiles;
use crate::library::{Attribute, Library, LibraryError, OpenFile};
use crate::named::Form;
use crate::shown::Shown;
use crate::units::{ClipKey, WallTime};
use crate::view::{CLIP_SUFFIX, Inode, Node, NodeKind, utc_timestamp};

/// See the [module](self).
pub(super) struct Clips {
    pub(super) shown: Arc<Shown>,
    pub(super) library: Arc<dyn Library>,
    pub(super) owner: Ownership,
    /// Files of another kind that clips were asked for as.
    pub(super) made: Arc<MadeFiles>,
}

impl Clips {
    fn node(&self, inode: Inode) -> Result<Node, Errno> {
        self.shown.tree().node(inode.word()).ok_or(Errno::ESTALE)
    }

    /// The clip that is called `name`.
    pub(super) fn clip_named(&self, parent: Inode, name: &str) -> Result<ClipKey, Errno> {
        let node = self.shown.tree().lookup(parent.word(), name);
        match node.ok_or(Errno::ENOENT)?.kind {
            NodeKind::Clip { clip, .. } => Ok(clip),
            NodeKind::Directory { .. } => Err(Errno::EISDIR),
        }
    }

    /// What the clips in a directory, and below it, come to.
    fn of_directory(&self, node: &Node) -> Vec<Attribute> {
        let Some(sums) = self.shown.tree().sums(node.inode) else { return Vec::new() };
        let end = (sums.clips > 0).then(|| ("user.reelfs.end", utc_timestamp(node.modified)));
        let mut attributes = vec![
            ("user.reelfs.clips", sums.clips.to_string()),
            ("user.reelfs.bytes", sums.bytes.to_string()),
        ];
        attributes.extend(end);
        attributes
    }

    /// A clip as a file of another kind, which is not listed.
    fn look_up_as(&self, parent: Inode, name: &str) -> Result<Found<Described>, Errno> {
        let (stem, form) = Form::of_clip(name).ok_or(Errno::ENOENT)?;
        let clip = self.clip_named(parent, &format!("{stem}{CLIP_SUFFIX}"))?;
        let key = format!("{}/{name}", parent.word());
        if let Some(fresh) = self.made.fresh(&key) {
            return Ok(Found::Here(fresh.described(self.owner)));
        }
        let (zone, stem) = (self.shown.tree().zone(), stem.to_owned());
        let (library, owner, made) =
            (Arc::clone(&self.library), self.owner, Arc::clone(&self.made));
        Ok(Found::OnDisk(Box::new(move || {
            let made_of = library.clip_as(clip, form, &zone, &stem).map_err(|error| {
                log_failure("make", &format!("{stem}.{} of clip {clip}", form.name()), &error);
                errno::of_lookup(&error)
            })?;
            Ok(Box::new(move || made.keep(&key, parent, made_of).described(owner)))
        })))
    }
}

impl Directory for Clips {
    /// A directory that is gone is ESTALE: the kernel may have its name still, as behind a `mv` out
    /// of the trash, and looks it up again then.
    fn look_up(&self, parent: Inode, name: &str) -> Result<Found<Described>, Errno> {
        self.node(parent)?;
        let node = self.shown.tree().lookup(parent.word(), name);
        match node {
            Some(node) => Ok(Found::Here(self.owner.node(&node))),
            None => self.look_up_as(parent, name),
        }
    }

    fn list(&self, inode: Inode, after: u64, add: &mut AddLine<'_>) -> Result<(), Errno> {
        let tree = self.shown.tree();
        for entry in tree.list(inode.word(), after).ok_or(Errno::ENOENT)? {
            let described = self.owner.node(&entry.node);
            if add(&Line { cookie: entry.cookie, name: entry.name, described }) {
                break;
            }
        }
        Ok(())
    }

    fn describe(&self, inode: Inode) -> Result<Described, Errno> {
        self.node(inode).map(|node| self.owner.node(&node))
    }

    fn parent(&self, inode: Inode) -> Result<u64, Errno> {
        self.shown.tree().parent(inode.word()).ok_or(Errno::ESTALE)
    }

    fn open(&self, inode: Inode) -> Result<Found<Handle>, Errno> {
        let node = self.node(inode)?;
        let NodeKind::Clip { clip, start, size } = node.kind else {
            return Err(Errno::EISDIR);
        };
        let attributes = self.owner.node(&node).attributes;
        let library = Arc::clone(&self.library);
        Ok(Found::OnDisk(Box::new(move || {
            let file = open_clip(&*library, clip, (start, size)).map_err(|error| {
                log_failure("open", &format!("clip {clip}"), &error);
                errno::of_open(&error)
            })?;
            Ok(Box::new(move || Handle { attributes, content: Content::File(file) }))
        })))
    }

    fn extended(&self, inode: Inode) -> Vec<Attribute> {
        let Ok(node) = self.node(inode) else { return Vec::new() };
        match node.kind {
            NodeKind::Clip { clip, .. } => self.library.attributes(clip).unwrap_or_default(),
            NodeKind::Directory { .. } => self.of_directory(&node),
        }
    }

    fn clips(&self, inode: Inode) -> Result<Vec<ClipKey>, Errno> {
        let node = self.node(inode)?;
        match node.kind {
            NodeKind::Clip { clip, .. } => Ok(vec![clip]),
            NodeKind::Directory { .. } => Ok(self.shown.tree().clips_below(node.inode)),
        }
    }

    /// Removes a clip into the trash.
    fn unlink(&self, parent: Inode, name: &str) -> Result<(), Errno> {
        let clip = self.clip_named(parent, name)?;
        self.shown.remove(clip, &*self.library).map_err(|error| not_removed(clip, &error))
    }

    fn rmdir(&self, parent: Inode, name: &str) -> Result<(), Errno> {
        self.shown.remove_directory(parent.word(), name).map_err(errno::of_rmdir)
    }
}

/// A file whose beginning and size are those that are listed.
fn open_clip(
    library: &dyn Library,
    clip: ClipKey,
    (start, size): (WallTime, u64),
) -> Result<Arc<dyn OpenFile>, LibraryError> {
    let file = library.open_clip(clip)?;
    if file.start().is_some_and(|found| found != start) {
        return Err(LibraryError::Gone);
    }
    match file.size() {
        found if found == size => Ok(file),
        found => Err(LibraryError::Damaged(format!("{found} bytes, {size} expected"))),
    }
}

/// A clip can't be removed.
pub(super) fn not_removed(clip: ClipKey, error: &LibraryError) -> Errno {
    log_failure("remove", &format!("clip {clip}"), error);
    errno::of_change(error)
}
