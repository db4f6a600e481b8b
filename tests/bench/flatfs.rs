//! The least that a FUSE server can be: one flat file behind one name, for `scripts/bench` to
//! measure the mount against. It asks of fuser what the mount asks: the difference that is left
//! is what assembling a clip from the ring costs.
//!
//! `flatfs PATH FIRST LENGTH DIRECTORY` serves so many bytes of a file or block device, from FIRST
//! on, as `DIRECTORY/file` until it is unmounted. FIRST is a multiple of 4096.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEntry,
    ReplyOpen, Request, SessionACL,
};

const NAME: &str = "file";
const FILE: INodeNo = INodeNo(2);
const HOUR: Duration = Duration::from_secs(3600);
const THREADS: usize = 8;
const BACKGROUND_MAX: u16 = 64;
const READ_AHEAD_KIB: u32 = 2048;
/// Direct reads begin and end on multiples of it, and so does the buffer that they go to.
const SECTOR: usize = 4096;

struct Flat {
    file: File,
    first: u64,
    size: u64,
}

impl Flat {
    fn attributes(&self, ino: INodeNo) -> Option<FileAttr> {
        let (kind, size) = match ino {
            INodeNo::ROOT => (FileType::Directory, 0),
            FILE => (FileType::RegularFile, self.size),
            _ => return None,
        };
        Some(FileAttr {
            ino,
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: if kind == FileType::Directory { 0o755 } else { 0o444 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: SECTOR as u32,
            flags: 0,
        })
    }

    /// Gives the bytes of a range, which is within the file, without a copy.
    fn read(&self, range: std::ops::Range<u64>, give: impl FnOnce(&[u8])) -> io::Result<()> {
        let sector = SECTOR as u64;
        let from = range.start / sector * sector;
        let length = (range.end - from).next_multiple_of(sector) as usize;
        let mut buffer = vec![0_u8; length + SECTOR];
        let shift = buffer.as_ptr().align_offset(SECTOR);
        let aligned = &mut buffer[shift..shift + length];
        let mut filled = 0;
        // The last sector of the file is not a whole one.
        while filled < (range.end - from) as usize {
            match self.file.read_at(&mut aligned[filled..], self.first + from + filled as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        give(&aligned[(range.start - from) as usize..(range.end - from) as usize]);
        Ok(())
    }
}

impl Filesystem for Flat {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for flag in [InitFlags::FUSE_PARALLEL_DIROPS, InitFlags::FUSE_EXPLICIT_INVAL_DATA] {
            // What the kernel lacks, the mount goes without, too.
            let _ = config.add_capabilities(flag);
        }
        let _ = config.set_max_background(BACKGROUND_MAX);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.attributes(FILE) {
            Some(file) if parent == INodeNo::ROOT && name == NAME => {
                reply.entry(&HOUR, &file, Generation(0));
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(ino) {
            Some(attributes) => reply.attr(&HOUR, &attributes),
            None => reply.error(Errno::ESTALE),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH;
        reply.opened(FileHandle(0), flags);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let end = self.size.min(offset + u64::from(size));
        if offset >= end {
            return reply.data(&[]);
        }
        let mut reply = Some(reply);
        let read = self.read(offset..end, |bytes| {
            if let Some(reply) = reply.take() {
                reply.data(bytes);
            }
        });
        if let (Err(_), Some(reply)) = (read, reply) {
            reply.error(Errno::EIO);
        }
    }
}

fn serve(path: &Path, first: u64, size: u64, directory: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)?;
    let flat = Flat { file, first, size };
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("flatfs".into()), MountOption::NoAtime];
    config.acl = SessionACL::Owner;
    config.n_threads = Some(THREADS);
    config.clone_fd = true;
    let session = fuser::Session::new(flat, directory, &config)?.spawn()?;
    let device = fs::metadata(directory)?.dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let setting = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    fs::write(setting, READ_AHEAD_KIB.to_string())?;
    session.join()
}

fn main() -> io::Result<()> {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let number = |word: &OsString| word.to_str().and_then(|word| word.parse().ok());
    if let [path, first, length, directory] = &words[..]
        && let (Some(first), Some(length)) = (number(first), number(length))
    {
        return serve(path.as_ref(), first, length, directory.as_ref());
    }
    Err(io::Error::other("usage: flatfs PATH FIRST LENGTH DIRECTORY"))
}
