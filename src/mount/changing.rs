//! What requests would change in the tree: asked by somebody, or by the process that announces what
//! has changed already.

use std::ffi::OsStr;

use fuser::{Errno, ReplyEntry};

use super::announcing::Event;
use super::disk_queue::Answer;
use super::operations::Timed;
use super::served::{Served, give_entry};

impl Served {
    /// Removes a file.
    pub(super) fn unlink(&self, asker: u32, parent: u64, name: &str) -> Result<(), Errno> {
        self.change(asker, Event::Gone, (parent, name), || {
            let done = self.named(parent).and_then(|(parent, kind)| kind.unlink(parent, name));
            // Whoever hears that a clip is removed finds it in no range any more.
            self.made.outdate();
            done
        })
    }

    /// Removes an empty directory.
    pub(super) fn rmdir(&self, asker: u32, parent: u64, name: &str) -> Result<(), Errno> {
        self.change(asker, Event::Dropped, (parent, name), || {
            self.named(parent).and_then(|(parent, kind)| kind.rmdir(parent, name))
        })
    }

    /// Gives a file or a directory another place: the kind of directory that it is in says whether.
    pub(super) fn rename(
        &self,
        asker: u32,
        (parent, name): (u64, &str),
        (new_parent, new_name): (u64, &str),
    ) -> Result<(), Errno> {
        self.change(asker, Event::Listed, (new_parent, new_name), || {
            let (parent, kind) = self.named(parent)?;
            let (new_parent, _) = self.named(new_parent)?;
            let done = kind.rename((parent, name), (new_parent, new_name));
            self.made.outdate();
            done
        })
    }

    /// Answers who makes a directory: nobody may, and for the process it is there already.
    pub(super) fn make_directory(
        &self,
        asker: u32,
        (parent, name): (u64, &OsStr),
        reply: Timed<ReplyEntry>,
    ) {
        let made = self.hidden.as_ref().zip(name.to_str());
        let made = made.ok_or(Errno::EROFS);
        match made.and_then(|(hidden, name)| hidden.make_directory(asker, parent, name)) {
            Ok(made) => give_entry(reply, made),
            Err(errno) => reply.fail(errno),
        }
    }

    /// Carries a change of what has a name out, unless who asks for it announces it.
    fn change(
        &self,
        asker: u32,
        event: Event,
        target: (u64, &str),
        change: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        self.check_writable()?;
        let Some(hidden) = &self.hidden else { return change() };
        match hidden.answered(asker, event, target) {
            Some(answer) => answer,
            None => hidden.requested(event, target, change),
        }
    }
}
