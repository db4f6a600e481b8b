//! Everything that is served: which directory answers for an inode, and how its answer is given.

use std::sync::Arc;

use fuser::{Errno, FileAttr, FileHandle, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen};

use super::announcing::{Announcer, Hidden};
use super::attributes::{Described, Ownership};
use super::clips::Clips;
use super::directory::{AddLine, Directory, Found, Line, immutable, log_failure};
use super::disk_queue::{Answer, DiskQueue, Pending};
use super::errno;
use super::handles::{Content, Handle, Handles};
use super::live::LiveFiles;
use super::made::MadeFiles;
use super::newest::Newest;
use super::notifier::Notifier;
use super::now::Now;
use super::operations::{Operation, RequestCounts, Timed, Timer};
use super::ranges::Ranges;
use super::root::Root;
use super::trash::Trash;
use super::waiting::WaitingRoom;
use crate::library::{Attribute, Library};
use crate::shown::Shown;
use crate::view::Inode;

/// See the [module](self).
pub(super) struct Served {
    shown: Arc<Shown>,
    library: Arc<dyn Library>,
    handles: Arc<Handles>,
    disk: DiskQueue,
    newest: Arc<Newest>,
    pub(super) made: Arc<MadeFiles>,
    root: Root,
    clips: Arc<Clips>,
    trash: Trash,
    now: Now,
    ranges: Arc<Ranges>,
    live: Arc<LiveFiles>,
    waiting: WaitingRoom,
    counts: RequestCounts,
    is_read_only: bool,
    /// `None` where nothing is announced.
    pub(super) hidden: Option<Arc<Hidden>>,
}

/// How something is served.
pub(super) struct Manner {
    /// Whom everything belongs to.
    pub(super) owner: Ownership,
    /// Whether the root lists all that is in it.
    pub(super) list_special: bool,
    /// Whether nothing can be changed.
    pub(super) is_read_only: bool,
    /// Where requests are counted.
    pub(super) counts: RequestCounts,
}

/// Cookies of `.` and `..`; those of a tree's entries are above.
const SELF_COOKIE: u64 = 1;
const PARENT_COOKIE: u64 = 2;

impl Served {
    /// Serves what is shown, with the bytes from `library`. What `announcer` announces, it answers.
    pub(super) fn new(
        shown: Arc<Shown>,
        library: Arc<dyn Library>,
        manner: Manner,
        (disk, waiting): (DiskQueue, WaitingRoom),
        (notifier, announcer): (Notifier, Option<Arc<Announcer>>),
    ) -> Served {
        let Manner { owner, list_special, is_read_only, counts } = manner;
        let newest = Arc::new(Newest::default());
        let (made, handles) = (notifier.made(), notifier.handles());
        let clips = Arc::new(Clips {
            shown: Arc::clone(&shown),
            library: Arc::clone(&library),
            owner,
            made: Arc::clone(&made),
        });
        let now = Now {
            shown: Arc::clone(&shown),
            library: Arc::clone(&library),
            owner,
            newest: Arc::clone(&newest),
        };
        let ranges = Arc::new(Ranges {
            shown: Arc::clone(&shown),
            library: Arc::clone(&library),
            owner,
            made: Arc::clone(&made),
            refused: Arc::default(),
        });
        let live = Arc::new(LiveFiles::new(Arc::clone(&shown), Arc::clone(&library), owner));
        let hidden = announcer
            .map(|announcer| Arc::new(Hidden { shown: Arc::clone(&shown), owner, announcer }));
        let root = Root {
            hidden: hidden.clone(),
            clips: Arc::clone(&clips),
            ranges: Arc::clone(&ranges),
            live: Arc::clone(&live),
            counts: counts.clone(),
            list_special,
        };
        Served {
            shown,
            library,
            handles,
            disk,
            waiting,
            counts,
            is_read_only,
            newest,
            made,
            root,
            live,
            hidden,
            ranges,
            trash: Trash { clips: Arc::clone(&clips), notifier },
            clips,
            now,
        }
    }

    pub(super) fn shown(&self) -> &Shown {
        &self.shown
    }

    pub(super) fn library(&self) -> &dyn Library {
        &*self.library
    }

    /// A request begins.
    pub(super) fn begin(&self, operation: Operation) -> Timer {
        self.counts.begin(operation)
    }

    /// What an inode names, and the kind of directory that answers for it: its own, or that of the
    /// directory which it is in.
    pub(super) fn named(&self, inode: u64) -> Result<(Inode, &dyn Directory), Errno> {
        let named = Inode::decode(inode).ok_or(Errno::ESTALE)?;
        let directory: &dyn Directory = match named {
            Inode::Root | Inode::Status | Inode::Log | Inode::Metrics => &self.root,
            Inode::Now | Inode::Growing(_) => &self.now,
            Inode::Live | Inode::LiveFile(_) => &*self.live,
            Inode::Trash => &self.trash,
            Inode::Announce | Inode::Leaving | Inode::LeavingDirectory => {
                &**self.hidden.as_ref().ok_or(Errno::ESTALE)?
            }
            Inode::Kept => &*self.clips,
            Inode::Ranges | Inode::Range(_) | Inode::RangeLog(_) => &*self.ranges,
            Inode::Directory(_) if self.shown.tree().is_trash(inode) => &self.trash,
            Inode::Directory(_) if self.is_of_ranges(named) => &*self.ranges,
            // A clip is read alike in the trash and outside of it.
            Inode::Directory(_) | Inode::Clip(_) | Inode::Redated(_) => &*self.clips,
        };
        Ok((named, directory))
    }

    /// Whether a directory is one of ranges: it is not in the tree.
    fn is_of_ranges(&self, directory: Inode) -> bool {
        self.shown.tree().node(directory.word()).is_none()
            && self.ranges.camera_of(directory).is_some()
    }

    /// What an inode is, open files without a name included.
    pub(super) fn describe(&self, inode: u64) -> Result<Described, Errno> {
        self.or_open(inode, self.named(inode).and_then(|(named, kind)| kind.describe(named)))
    }

    /// Answers a lookup.
    pub(super) fn look_up(
        &self,
        asker: u32,
        (parent, name): (u64, &str),
        reply: Timed<ReplyEntry>,
    ) {
        let own = self.hidden.as_ref().and_then(|hidden| hidden.found(asker, parent, name));
        let found = match (own, name) {
            (Some(found), _) => found.map(Found::Here),
            // Asked by inode alone, of files too, when an NFS client comes back with a handle.
            (None, ".") => self.look_up_again(parent),
            (None, "..") => {
                self.parent(parent).and_then(|inode| self.describe(inode)).map(Found::Here)
            }
            _ => self.named(parent).and_then(|(parent, kind)| kind.look_up(parent, name)),
        };
        self.answer(found, reply, give_entry);
    }

    fn look_up_again(&self, inode: u64) -> Result<Found<Described>, Errno> {
        let found = self.named(inode).and_then(|(named, kind)| kind.look_up_again(named));
        found.or_else(|errno| self.or_open(inode, Err(errno)).map(Found::Here))
    }

    /// A file that is open and has no name any more, where that is what an inode is.
    fn or_open(&self, inode: u64, found: Result<Described, Errno>) -> Result<Described, Errno> {
        found.or_else(|errno| {
            let handle = self.handles.of_inode(inode).ok_or(errno)?;
            Ok(immutable(FileAttr { nlink: 0, ..handle.attributes }))
        })
    }

    fn parent(&self, inode: u64) -> Result<u64, Errno> {
        self.named(inode).and_then(|(named, kind)| kind.parent(named))
    }

    /// Gives what was found, or an error: at once, or when the disk has been asked.
    fn answer<R: Answer, T: 'static>(
        &self,
        found: Result<Found<T>, Errno>,
        reply: R,
        give: impl FnOnce(R, T) + Send + 'static,
    ) {
        match found {
            Ok(Found::Here(found)) => give(reply, found),
            Ok(Found::OnDisk(look)) => self.disk.run(reply, move |pending| match look() {
                Ok(found) => pending.answer(|reply| give(reply, found())),
                Err(errno) => pending.fail(errno),
            }),
            Ok(Found::Coming(expect)) => self.waiting.expect(expect, reply, give),
            // Of a lookup, too, an error, not an entry without inode: what is absent now may be
            // there in a moment, and must not be cached as absent.
            Err(errno) => reply.fail(errno),
        }
    }

    /// Gives the lines of a directory from behind a cookie on to `add`, until it says that it has
    /// no room.
    pub(super) fn list(&self, inode: u64, after: u64, add: &mut AddLine<'_>) -> Result<(), Errno> {
        let dots = [(SELF_COOKIE, ".", inode), (PARENT_COOKIE, "..", self.parent(inode)?)];
        for (cookie, name, inode) in dots.into_iter().skip(after.min(PARENT_COOKIE) as usize) {
            let described = self.describe(inode)?;
            if add(&Line { cookie, name, described }) {
                return Ok(());
            }
        }
        let behind = if after <= PARENT_COOKIE { 0 } else { after };
        let (named, kind) = self.named(inode)?;
        kind.list(named, behind, add)
    }

    /// Answers an open for reading.
    pub(super) fn open(self: &Arc<Self>, inode: u64, reply: Timed<ReplyOpen>) {
        let found = self.named(inode).and_then(|(named, kind)| kind.open(named));
        let served = Arc::clone(self);
        self.answer(found, reply, move |reply, handle| served.give_handle(handle, reply));
    }

    /// Forgets lookups.
    pub(super) fn forget(&self, inode: u64, lookups: u64) {
        if let Some(inode) = Inode::decode(inode) {
            self.made.forget(inode, lookups);
        }
    }

    fn give_handle(&self, handle: Handle, reply: Timed<ReplyOpen>) {
        use fuser::FopenFlags as Flags;
        let is_range = matches!(Inode::decode(handle.attributes.ino.0), Some(Inode::Range(_)));
        let flags = match handle.content {
            // What the kernel keeps of it is forgotten when a clip in it goes, as long as it is
            // open: another open begins anew.
            Content::File(_) if is_range => Flags::FOPEN_NOFLUSH,
            Content::File(_) => Flags::FOPEN_KEEP_CACHE | Flags::FOPEN_NOFLUSH,
            // It has no size before it is made, or another one each time, and is never to be read
            // from a cache.
            Content::Made(_) | Content::Snapshot(_) => {
                Flags::FOPEN_DIRECT_IO | Flags::FOPEN_NOFLUSH
            }
            // Nor is there anything to seek in.
            Content::Live(_) => {
                Flags::FOPEN_DIRECT_IO | Flags::FOPEN_NONSEEKABLE | Flags::FOPEN_NOFLUSH
            }
        };
        match self.handles.add(handle) {
            Some(number) => reply.give(|reply| reply.opened(number, flags)),
            None => reply.fail(Errno::ENFILE),
        }
    }

    /// Answers a read: all bytes that are within the file, or an error.
    pub(super) fn read(
        &self,
        number: FileHandle,
        offset: u64,
        length: u32,
        mut reply: Timed<ReplyData>,
    ) {
        let Some(handle) = self.handles.get(number) else {
            return reply.fail(Errno::EBADF);
        };
        let size = match &handle.content {
            Content::File(file) | Content::Snapshot(file) => file.size(),
            Content::Made(bytes) => bytes.len() as u64,
            Content::Live(_) => {
                reply.is_of(Operation::ReadLive);
                return self.waiting.read(handle, length as usize, reply);
            }
        };
        let length = size.saturating_sub(offset).min(u64::from(length)) as u32;
        if length == 0 {
            return reply.give(|reply| reply.data(&[]));
        }
        match &handle.content {
            Content::Made(bytes) => {
                let bytes = &bytes[offset as usize..][..length as usize];
                reply.give(|reply| reply.data(bytes));
            }
            Content::File(_) | Content::Snapshot(_) => self.disk.run(reply, move |pending| {
                read_file(&handle, offset, length, pending);
            }),
            Content::Live(_) => reply.fail(Errno::EIO),
        }
    }

    /// Closes a file.
    pub(super) fn close(&self, number: FileHandle) {
        self.handles.remove(number);
    }

    /// Makes an open file durable, and answers then.
    pub(super) fn sync_file(&self, inode: u64, reply: Timed<ReplyEmpty>) {
        let is_made = match Inode::decode(inode) {
            Some(Inode::Growing(_)) => true,
            other => other.is_some_and(|inode| self.made.get(inode).is_some()),
        };
        if is_made {
            self.sync(reply);
        } else {
            // A closed clip is durable before it is listed.
            reply.give(ReplyEmpty::ok);
        }
    }

    /// Makes everything durable, and answers then.
    pub(super) fn sync(&self, reply: Timed<ReplyEmpty>) {
        let library = Arc::clone(&self.library);
        let (newest, made) = (Arc::clone(&self.newest), Arc::clone(&self.made));
        self.disk.run(reply, move |pending| match library.sync() {
            Ok(()) => {
                // What has just become durable is in the next snapshot.
                newest.outdate();
                made.outdate();
                pending.answer(|reply| reply.give(ReplyEmpty::ok));
            }
            Err(error) => {
                log::error!("sync: {error}");
                pending.fail(errno::of_read(&error));
            }
        });
    }

    /// Extended attributes of an inode; none where it has none.
    pub(super) fn extended(&self, inode: u64) -> Vec<Attribute> {
        self.named(inode).map(|(named, kind)| kind.extended(named)).unwrap_or_default()
    }

    /// The kernel refuses changes itself where it is mounted so, until somebody mounts it anew.
    pub(super) fn check_writable(&self) -> Result<(), Errno> {
        if self.is_read_only { Err(Errno::EROFS) } else { Ok(()) }
    }
}

pub(super) fn give_entry(reply: Timed<ReplyEntry>, found: Described) {
    let Described { attributes, generation, attribute_ttl, entry_ttl } = found;
    reply.give(|reply| {
        reply.entry_with_ttls(&attribute_ttl, &entry_ttl, &attributes, generation);
    });
}

fn read_file(handle: &Handle, offset: u64, length: u32, pending: Pending<Timed<ReplyData>>) {
    let (Content::File(file) | Content::Snapshot(file)) = &handle.content else {
        return pending.fail(Errno::EIO);
    };
    let inode = handle.attributes.ino;
    match file.read(offset, length) {
        // The kernel would fill up a short answer with zeros.
        Ok(bytes) if bytes.len() == length as usize => {
            pending.answer(|reply| reply.give(|reply| reply.data(&bytes)));
        }
        Ok(bytes) => {
            log::error!("inode {inode}: {} bytes at {offset}, {length} expected", bytes.len());
            pending.fail(Errno::EIO);
        }
        Err(error) => {
            log_failure("read", &format!("inode {inode} at {offset}"), &error);
            pending.fail(match file.tells_holes() {
                true => Errno::ENODATA,
                false => errno::of_read(&error),
            });
        }
    }
}
