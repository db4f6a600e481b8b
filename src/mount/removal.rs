//! What people do to clips: remove them, bring them back, give them up for good.

use fuser::Errno;

use super::served::{STATUS_NAME, Served, log_failure};
use super::{errno, read, write};
use crate::library::{LibraryError, Watcher};
use crate::units::ClipId;
use crate::view::{NodeKind, ROOT, TRASH_NAME};

impl Served {
    /// Removes a clip into `.trash`; in there it gives it up for good.
    pub(super) fn unlink(&self, parent: u64, name: &str) -> Result<(), Errno> {
        let (node, now, is_trash) = {
            let tree = read(&self.tree);
            (tree.lookup(parent, name), tree.now_inode(), tree.is_trash(parent))
        };
        if parent == now || parent == ROOT && name == STATUS_NAME {
            return Err(Errno::EPERM);
        }
        let NodeKind::Clip { clip, .. } = node.ok_or(Errno::ENOENT)?.kind else {
            return Err(Errno::EISDIR);
        };
        // No lock is held: the library may tell the tree itself.
        let removed = if is_trash { self.library.purge(clip) } else { self.library.remove(clip) };
        match removed {
            // Whoever was quicker, it is gone now, as was asked.
            Ok(()) | Err(LibraryError::Gone) => {}
            Err(error) => {
                log_failure("remove", &format!("clip {clip}"), &error);
                return Err(Errno::EIO);
            }
        }
        if is_trash || removed.is_err() {
            let place = write(&self.tree).remove(clip);
            if let Some(place) = place {
                self.notifier.clip_gone(&place);
            }
        } else {
            let moved = write(&self.tree).discard(clip);
            if let Some(moved) = moved {
                self.notifier.clip_moved(&moved);
            }
        }
        Ok(())
    }

    /// Restores a clip, or all of a directory, from `.trash`: to where it belongs, or into the
    /// root, which puts it there, too. Nothing else can be renamed.
    pub(super) fn rename(
        &self,
        (parent, name): (u64, &str),
        (new_parent, new_name): (u64, &str),
    ) -> Result<(), Errno> {
        let (node, clips) = {
            let tree = read(&self.tree);
            let to_its_place = new_parent == ROOT || tree.home_of(parent) == Some(new_parent);
            let is_trash = tree.is_trash(parent) && name != TRASH_NAME;
            if !is_trash || !to_its_place || name != new_name {
                return Err(Errno::EPERM);
            }
            let node = tree.lookup(parent, name).ok_or(Errno::ENOENT)?;
            let clips = match node.kind {
                NodeKind::Clip { clip, .. } => vec![clip],
                NodeKind::Directory { .. } => tree.clips_below(node.inode),
            };
            (node, clips)
        };
        for clip in clips {
            self.restore(clip)?;
        }
        if let NodeKind::Directory { .. } = node.kind {
            let gone = write(&self.tree).drop_emptied_trash(node.inode);
            for directory in &gone {
                self.notifier.directory_gone(directory);
            }
        }
        // The kernel has moved its own entry, which stands for what was in the trash.
        self.notifier.name_changed(parent, node.inode, name);
        self.notifier.name_changed(new_parent, node.inode, new_name);
        Ok(())
    }

    fn restore(&self, clip: ClipId) -> Result<(), Errno> {
        if let Err(error) = self.library.restore(clip) {
            log_failure("restore", &format!("clip {clip}"), &error);
            return match error {
                LibraryError::Gone => Err(Errno::ENOENT),
                _ => Err(Errno::EIO),
            };
        }
        let moved = write(&self.tree).restore(clip);
        if let Some(moved) = moved {
            self.notifier.clip_moved(&moved);
        }
        Ok(())
    }

    /// Removes an empty directory.
    pub(super) fn rmdir(&self, parent: u64, name: &str) -> Result<(), Errno> {
        if parent == read(&self.tree).now_inode() {
            return Err(Errno::ENOTDIR);
        }
        match write(&self.tree).rmdir(parent, name) {
            Ok(_gone) => Ok(()),
            Err(error) => Err(errno::of_rmdir(error)),
        }
    }
}
