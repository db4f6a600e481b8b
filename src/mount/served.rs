//! Everything that is served: the tree, the snapshots of `now/`, the status file.

use std::sync::Arc;

use fuser::{
    Errno, FileHandle, FileType, Generation, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen,
};

use super::attributes::{Described, FILE_TTL, NO_TTL, Owner};
use super::disk_queue::{DiskQueue, Pending};
use super::errno;
use super::handles::{Content, Handle, Handles};
use super::notifier::Notifier;
use super::snapshots::{Numbered, Snapshots};
use crate::library::{Attribute, Library, LibraryError, OpenFile};
use crate::shown::Shown;
use crate::units::ClipId;
use crate::view::{NodeKind, ROOT, SERVED_BIT, growing_name, name_number};

/// The status file, in the root: found by name, not listed.
pub(super) const STATUS_NAME: &str = ".status.json";

/// Its inode; snapshots count up from the next.
pub(super) const STATUS_INODE: u64 = SERVED_BIT;

/// Marks the inode that a listing of `now/` shows for a name, which stands for no snapshot: it
/// takes a lookup to make one. No count of snapshots gets here.
const UNMADE_BIT: u64 = 1 << 61;

/// See the [module](self).
pub(super) struct Served {
    pub(super) shown: Arc<Shown>,
    pub(super) library: Arc<dyn Library>,
    pub(super) owner: Owner,
    pub(super) snapshots: Snapshots,
    pub(super) handles: Handles,
    pub(super) disk: DiskQueue,
    pub(super) notifier: Notifier,
}

/// One line of a listing.
pub(super) struct Line<'a> {
    pub(super) cookie: u64,
    pub(super) name: &'a str,
    pub(super) described: Described,
}

/// Cookies of `.` and `..`; those of a tree's entries are above.
const SELF_COOKIE: u64 = 1;
const PARENT_COOKIE: u64 = 2;

impl Served {
    /// What an inode is, open files without a name included.
    pub(super) fn describe(&self, inode: u64) -> Result<Described, Errno> {
        if inode == STATUS_INODE {
            return Ok(self.status());
        }
        if let Some(node) = self.shown.tree().node(inode) {
            return Ok(self.owner.node(&node));
        }
        if let Some(snapshot) = self.snapshots.get(inode) {
            return Ok(self.snapshot(&Numbered { inode, snapshot }));
        }
        let handle = self.handles.of_inode(inode).ok_or(Errno::ESTALE)?;
        let attributes = fuser::FileAttr { nlink: 0, ..handle.attributes };
        Ok(immutable(attributes))
    }

    /// Answers a lookup.
    pub(super) fn look_up(self: &Arc<Self>, parent: u64, name: &str, reply: ReplyEntry) {
        let now = self.shown.tree().now_inode();
        if parent == now && name != "." && name != ".." {
            return self.look_up_growing(name, reply);
        }
        let found = match name {
            // Asked by inode alone, of files too, when an NFS client comes back with a handle.
            "." => self.describe_again(parent),
            ".." => self.parent(parent).and_then(|inode| self.describe(inode)),
            STATUS_NAME if parent == ROOT => Ok(self.status()),
            _ => {
                let node = self.shown.tree().lookup(parent, name);
                node.map(|node| self.owner.node(&node)).ok_or(Errno::ENOENT)
            }
        };
        give_entry(found, reply);
    }

    fn look_up_growing(self: &Arc<Self>, name: &str, reply: ReplyEntry) {
        let cameras = self.library.growing_cameras();
        let Some(camera) = cameras.into_iter().find(|camera| growing_name(camera) == name) else {
            return reply.error(Errno::ENOENT);
        };
        if let Some(fresh) = self.snapshots.fresh(&camera) {
            return give_entry(Ok(self.snapshot(&fresh)), reply);
        }
        let served = Arc::clone(self);
        self.disk.run(reply, move |pending| match served.library.snapshot(&camera) {
            Ok(Some(made)) => pending.answer(|reply| {
                let numbered = served.snapshots.keep(&camera, made);
                give_entry(Ok(served.snapshot(&numbered)), reply);
            }),
            Ok(None) => pending.fail(Errno::ENOENT),
            Err(error) => {
                log_failure("snapshot", &camera, &error);
                pending.fail(errno::of_open(&error));
            }
        });
    }

    /// As [`Served::describe`], for an answer that counts as a lookup.
    fn describe_again(&self, inode: u64) -> Result<Described, Errno> {
        match self.snapshots.look_up(inode) {
            Some(numbered) => Ok(self.snapshot(&numbered)),
            None => self.describe(inode),
        }
    }

    fn parent(&self, inode: u64) -> Result<u64, Errno> {
        if inode == STATUS_INODE {
            return Ok(ROOT);
        }
        let tree = self.shown.tree();
        if self.snapshots.get(inode).is_some() {
            return Ok(tree.now_inode());
        }
        tree.parent(inode).ok_or(Errno::ESTALE)
    }

    fn status(&self) -> Described {
        let size = self.library.status_json().len() as u64;
        let modified = self.shown.tree().node(ROOT).map(|root| root.modified).unwrap_or_default();
        Described {
            attributes: self.owner.file(STATUS_INODE, size, modified, modified),
            generation: Generation(0),
            attribute_ttl: NO_TTL,
            entry_ttl: FILE_TTL,
        }
    }

    /// The inode never changes; which inode the name stands for does.
    fn snapshot(&self, numbered: &Numbered) -> Described {
        let Numbered { inode, snapshot } = numbered;
        let size = snapshot.file.size();
        let attributes = self.owner.file(*inode, size, snapshot.start, snapshot.end);
        Described { entry_ttl: NO_TTL, ..immutable(attributes) }
    }

    /// Gives the lines of a directory from behind a cookie on to `add`, until it says that it has
    /// no room.
    pub(super) fn list(
        &self,
        inode: u64,
        after: u64,
        mut add: impl FnMut(&Line<'_>) -> bool,
    ) -> Result<(), Errno> {
        let dots = [(SELF_COOKIE, ".", inode), (PARENT_COOKIE, "..", self.parent(inode)?)];
        for (cookie, name, inode) in dots.into_iter().skip(after.min(PARENT_COOKIE) as usize) {
            let described = self.describe(inode)?;
            if add(&Line { cookie, name, described }) {
                return Ok(());
            }
        }
        let behind = if after <= PARENT_COOKIE { 0 } else { after };
        let tree = self.shown.tree();
        if inode == tree.now_inode() {
            drop(tree);
            self.list_growing(behind, add);
            return Ok(());
        }
        for entry in tree.list(inode, behind).ok_or(Errno::ENOENT)? {
            let described = self.owner.node(&entry.node);
            if add(&Line { cookie: entry.cookie, name: entry.name, described }) {
                break;
            }
        }
        Ok(())
    }

    /// A listing makes no snapshot. What it says of the files is not to be believed for a moment,
    /// so that `stat` asks.
    fn list_growing(&self, after: u64, mut add: impl FnMut(&Line<'_>) -> bool) {
        let cameras = self.library.growing_cameras();
        let mut lines: Vec<(u64, String)> = cameras
            .iter()
            .map(|camera| growing_name(camera))
            .map(|name| (name_number(&name) | SERVED_BIT | UNMADE_BIT, name))
            .collect();
        lines.sort();
        lines.dedup();
        for (cookie, name) in lines.iter().filter(|(cookie, _)| *cookie > after) {
            let attributes = self.owner.file(*cookie, 0, Default::default(), Default::default());
            let described =
                Described { attribute_ttl: NO_TTL, entry_ttl: NO_TTL, ..immutable(attributes) };
            if add(&Line { cookie: *cookie, name, described }) {
                return;
            }
        }
    }

    /// Answers an open for reading.
    pub(super) fn open(self: &Arc<Self>, inode: u64, reply: ReplyOpen) {
        if inode == STATUS_INODE {
            let attributes = self.status().attributes;
            let content = Content::Made(self.library.status_json());
            return self.give_handle(Handle { attributes, content }, reply);
        }
        if let Some(snapshot) = self.snapshots.get(inode) {
            let content = Content::File(Arc::clone(&snapshot.file));
            let attributes = self.snapshot(&Numbered { inode, snapshot }).attributes;
            return self.give_handle(Handle { attributes, content }, reply);
        }
        let Some(node) = self.shown.tree().node(inode) else {
            return reply.error(Errno::ESTALE);
        };
        let NodeKind::Clip { clip, size, .. } = node.kind else {
            return reply.error(Errno::EISDIR);
        };
        let attributes = self.owner.node(&node).attributes;
        let served = Arc::clone(self);
        self.disk.run(reply, move |pending| match served.open_clip(clip, size) {
            Ok(file) => pending.answer(|reply| {
                served.give_handle(Handle { attributes, content: Content::File(file) }, reply);
            }),
            Err(error) => pending.fail(errno::of_open(&error)),
        });
    }

    fn open_clip(&self, clip: ClipId, size: u64) -> Result<Arc<dyn OpenFile>, LibraryError> {
        let opened = self.library.open_clip(clip).and_then(|file| match file.size() {
            found if found == size => Ok(file),
            found => Err(LibraryError::Damaged(format!("{found} bytes, {size} expected"))),
        });
        if let Err(error) = &opened {
            log_failure("open", &format!("clip {clip}"), error);
        }
        opened
    }

    fn give_handle(&self, handle: Handle, reply: ReplyOpen) {
        use fuser::FopenFlags as Flags;
        let flags = match handle.content {
            Content::File(_) => Flags::FOPEN_KEEP_CACHE | Flags::FOPEN_NOFLUSH,
            // It has no size before it is made, and is never to be read from a cache.
            Content::Made(_) => Flags::FOPEN_DIRECT_IO | Flags::FOPEN_NOFLUSH,
        };
        match self.handles.add(handle) {
            Some(number) => reply.opened(number, flags),
            None => reply.error(Errno::ENFILE),
        }
    }

    /// Answers a read: all bytes that are within the file, or an error.
    pub(super) fn read(&self, number: FileHandle, offset: u64, length: u32, reply: ReplyData) {
        let Some(handle) = self.handles.get(number) else {
            return reply.error(Errno::EBADF);
        };
        let size = match &handle.content {
            Content::File(file) => file.size(),
            Content::Made(bytes) => bytes.len() as u64,
        };
        let length = size.saturating_sub(offset).min(u64::from(length)) as u32;
        if length == 0 {
            return reply.data(&[]);
        }
        match &handle.content {
            Content::Made(bytes) => reply.data(&bytes[offset as usize..][..length as usize]),
            Content::File(_) => self.disk.run(reply, move |pending| {
                read_file(&handle, offset, length, pending);
            }),
        }
    }

    /// Makes everything durable, and answers then.
    pub(super) fn sync(self: &Arc<Self>, reply: ReplyEmpty) {
        let served = Arc::clone(self);
        self.disk.run(reply, move |pending| match served.library.sync() {
            Ok(()) => {
                // What has just become durable is in the next snapshot.
                served.snapshots.outdate();
                pending.answer(ReplyEmpty::ok);
            }
            Err(error) => {
                log::error!("sync: {error}");
                pending.fail(errno::of_read(&error));
            }
        });
    }

    /// Extended attributes of an inode; none where it has none.
    pub(super) fn extended(&self, inode: u64) -> Vec<Attribute> {
        if let Some(snapshot) = self.snapshots.get(inode) {
            return snapshot.attributes.clone();
        }
        let kind = self.shown.tree().node(inode).map(|node| node.kind);
        match kind {
            Some(NodeKind::Clip { clip, .. }) => self.library.attributes(clip).unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

fn immutable(attributes: fuser::FileAttr) -> Described {
    debug_assert!(attributes.kind == FileType::RegularFile);
    let generation = Generation(0);
    Described { attributes, generation, attribute_ttl: FILE_TTL, entry_ttl: FILE_TTL }
}

fn give_entry(found: Result<Described, Errno>, reply: ReplyEntry) {
    match found {
        Ok(Described { attributes, generation, attribute_ttl, entry_ttl }) => {
            reply.entry_with_ttls(&attribute_ttl, &entry_ttl, &attributes, generation);
        }
        // An error, not an entry without inode: what is absent now may be there in a moment, and
        // must not be cached as absent.
        Err(errno) => reply.error(errno),
    }
}

fn read_file(handle: &Handle, offset: u64, length: u32, pending: Pending<ReplyData>) {
    let Content::File(file) = &handle.content else {
        return pending.fail(Errno::EIO);
    };
    let inode = handle.attributes.ino;
    match file.read(offset, length) {
        // The kernel would fill up a short answer with zeros.
        Ok(bytes) if bytes.len() == length as usize => pending.answer(|reply| reply.data(&bytes)),
        Ok(bytes) => {
            log::error!("inode {inode}: {} bytes at {offset}, {length} expected", bytes.len());
            pending.fail(Errno::EIO);
        }
        Err(error) => {
            log_failure("read", &format!("inode {inode} at {offset}"), &error);
            pending.fail(errno::of_read(&error));
        }
    }
}

/// Not for everybody: a disk that is dying would fill the log, and the library says what is wrong
/// with it as often as is good.
pub(super) fn log_failure(what: &str, which: &str, error: &LibraryError) {
    log::debug!("{what} {which}: {error}");
}
