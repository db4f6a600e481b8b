//! FUSE requests in, answers out. What is served is decided in [`Served`]; here stands which
//! request asks for what, and what every request that would change something is told.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, INodeNo, IoctlFlags, KernelConfig, LockOwner,
    OpenAccMode, OpenFlags, PollEvents, PollFlags, PollNotifier, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl,
    ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyXattr, Request, TimeOrNow,
};

use super::attributes::{give_names, give_one};
use super::name::{NAME_BYTES_MAX, name_of};
use super::operations::Operation;
use super::served::Served;
use super::session;
use crate::units::PAGE_BYTES;

/// The file system as fuser sees it.
pub(super) struct Requests {
    pub(super) served: Arc<Served>,
    /// Told when the last request has been served.
    pub(super) ended: Sender<()>,
    /// Whether this process has mounted it itself.
    pub(super) direct: bool,
}

fn give_empty(done: Result<(), Errno>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

impl Filesystem for Requests {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        session::ask_kernel(config, self.direct);
        Ok(())
    }

    fn destroy(&mut self) {
        // Nobody may be left who waits for it.
        let _ = self.ended.send(());
    }

    fn lookup(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.run(Operation::LookUp, |timer| match name_of(name) {
            Ok(name) => self.served.look_up(req.pid(), (parent.0, name), timer.with(reply)),
            Err(errno) => reply.error(errno),
        });
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        self.run(Operation::Forget, |_timer| self.served.forget(ino.0, nlookup));
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        self.run(Operation::GetAttr, |_timer| match self.served.describe(ino.0) {
            Ok(described) => reply.attr(&described.attribute_ttl, &described.attributes),
            Err(errno) => reply.error(errno),
        });
    }

    fn open(&self, _req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.run(Operation::Open, |timer| match flags.acc_mode() {
            OpenAccMode::O_RDONLY if flags.0 & libc::O_TRUNC == 0 => {
                self.served.open(ino.0, timer.with(reply));
            }
            _ => reply.error(Errno::EROFS),
        });
    }

    fn read(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.run(Operation::Read, |timer| self.served.read(fh, offset, size, timer.with(reply)));
    }

    fn flush(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn release(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.run(Operation::Release, |_timer| {
            self.served.close(fh);
            reply.ok();
        });
    }

    fn fsync(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.run(Operation::Fsync, |timer| self.served.sync_file(ino.0, timer.with(reply)));
    }

    fn readdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        self.run(Operation::ReadDir, |_timer| {
            let listed = self.served.list(ino.0, offset, &mut |line| {
                let attributes = &line.described.attributes;
                reply.add(attributes.ino, line.cookie, attributes.kind, line.name)
            });
            match listed {
                Ok(()) => reply.ok(),
                Err(errno) => reply.error(errno),
            }
        });
    }

    fn readdirplus(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        self.run(Operation::ReadDirPlus, |_timer| {
            let listed = self.served.list(ino.0, offset, &mut |line| {
                let told = &line.described;
                let (ino, ttl) = (told.attributes.ino, told.entry_ttl);
                reply.add(ino, line.cookie, line.name, &ttl, &told.attributes, told.generation)
            });
            match listed {
                Ok(()) => reply.ok(),
                Err(errno) => reply.error(errno),
            }
        });
    }

    fn fsyncdir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.run(Operation::FsyncDir, |timer| self.served.sync(timer.with(reply)));
    }

    fn statfs(&self, _req: &Request, ino: INodeNo, reply: ReplyStatfs) {
        self.run(Operation::StatFs, |_timer| {
            let usage = self.served.usage(ino.0);
            let (size, free) = (usage.size.0 / PAGE_BYTES, usage.free.0 / PAGE_BYTES);
            // Inodes are not counted: 0 of 0, as Btrfs says it.
            let page = PAGE_BYTES as u32;
            reply.statfs(size, free, free, 0, 0, page, NAME_BYTES_MAX, page);
        });
    }

    fn getxattr(&self, _req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        self.run(Operation::GetXattr, |_timer| {
            give_one(&self.served.extended(ino.0), name, size, reply);
        });
    }

    fn listxattr(&self, _req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        self.run(Operation::ListXattr, |_timer| {
            give_names(&self.served.extended(ino.0), size, reply);
        });
    }

    fn unlink(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.run(Operation::Unlink, |_timer| {
            let done = name_of(name).and_then(|name| self.served.unlink(req.pid(), parent.0, name));
            give_empty(done, reply);
        });
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.run(Operation::RmDir, |_timer| {
            let done = name_of(name).and_then(|name| self.served.rmdir(req.pid(), parent.0, name));
            give_empty(done, reply);
        });
    }

    fn rename(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        self.run(Operation::Rename, |_timer| {
            // That nothing may be in the way, the kernel has seen to.
            let renamed = match (name.to_str(), newname.to_str()) {
                _ if !RenameFlags::RENAME_NOREPLACE.contains(flags) => Err(Errno::EINVAL),
                (Some(name), Some(new)) => {
                    self.served.rename(req.pid(), (parent.0, name), (newparent.0, new))
                }
                _ => Err(Errno::EPERM),
            };
            give_empty(renamed, reply);
        });
    }

    // What is not there, said without the warning that fuser's own answers log.

    fn lseek(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: i64,
        _whence: i32,
        reply: ReplyLseek,
    ) {
        // The kernel then answers itself: all data, no hole.
        reply.error(Errno::ENOSYS);
    }

    fn poll(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _ph: PollNotifier,
        _events: PollEvents,
        _flags: PollFlags,
        reply: ReplyPoll,
    ) {
        // The kernel then answers itself: always ready.
        reply.error(Errno::ENOSYS);
    }

    fn ioctl(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _flags: IoctlFlags,
        _cmd: u32,
        _in_data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    // What would change the tree.

    fn setattr(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        _size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        reply.error(Errno::EROFS);
    }

    fn mknod(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        reply.error(Errno::EROFS);
    }

    fn mkdir(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        self.run(Operation::MkDir, |timer| {
            self.served.make_directory(req.pid(), (parent.0, name), timer.with(reply));
        });
    }

    fn create(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        reply.error(Errno::EROFS);
    }

    fn setxattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        self.run(Operation::SetXattr, |_timer| {
            give_empty(self.served.set_extended(ino.0, name, value, flags), reply);
        });
    }

    fn removexattr(&self, _req: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.run(Operation::RemoveXattr, |_timer| {
            give_empty(self.served.remove_extended(ino.0, name), reply);
        });
    }

    fn link(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _newparent: INodeNo,
        _newname: &OsStr,
        reply: ReplyEntry,
    ) {
        reply.error(Errno::EPERM);
    }

    fn symlink(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _link_name: &OsStr,
        _target: &Path,
        reply: ReplyEntry,
    ) {
        reply.error(Errno::EPERM);
    }
}
