//! The process that serves the faulty disk.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyWrite, Request, SessionACL, WriteFlags,
};

use super::Kind;

const NAME: &str = "disk";
const DISK: INodeNo = INodeNo(2);
const HOUR: Duration = Duration::from_secs(3600);
const PAGE: u64 = 4096;
/// A request that hangs for longer goes on.
const HANG_MAX: Duration = Duration::from_secs(90);

struct Fault {
    kind: Kind,
    range: Range<u64>,
    /// `None`: for ever.
    left: Option<u32>,
}

#[derive(Default)]
struct State {
    faults: Vec<Fault>,
    delays: [Duration; 3],
    hangs: bool,
    is_gone: bool,
    /// Pages that no flush covers, by their number; `None` where writes last at once.
    cache: Option<BTreeMap<u64, Vec<u8>>>,
    counts: [u64; 4],
}

struct Disk {
    backing: File,
    length: u64,
    state: Mutex<State>,
    released: Condvar,
}

type Done<T> = Result<T, Errno>;

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody died")
    }

    /// Counts a request and does to it what was ordered. What it returns may be held on to: the
    /// request happens at one moment.
    fn admit(&self, kind: Kind, range: &Range<u64>) -> Done<MutexGuard<'_, State>> {
        let delay = {
            let mut state = self.state();
            state.counts[kind as usize] += 1;
            state.delays[kind as usize]
        };
        std::thread::sleep(delay);
        let waited = self.released.wait_timeout_while(self.state(), HANG_MAX, |state| state.hangs);
        let mut state = waited.expect("nobody died").0;
        let refused = state.refuses(kind, range);
        state.counts[3] += u64::from(refused.is_some());
        match refused {
            Some(errno) => Err(errno),
            None => Ok(state),
        }
    }

    fn read(&self, range: Range<u64>) -> Done<Vec<u8>> {
        let range = range.start.min(self.length)..range.end.min(self.length);
        let state = self.admit(Kind::Read, &range)?;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.backing.read_exact_at(&mut bytes, range.start).map_err(|_| Errno::EIO)?;
        let cached = state
            .cache
            .iter()
            .flat_map(|cache| cache.range(range.start / PAGE..range.end.div_ceil(PAGE)));
        for (number, page) in cached {
            let (from, to) = overlap(number * PAGE..(number + 1) * PAGE, &range);
            let at = |place: u64, start: u64| (place - start) as usize;
            bytes[at(from, range.start)..at(to, range.start)]
                .copy_from_slice(&page[at(from, number * PAGE)..at(to, number * PAGE)]);
        }
        Ok(bytes)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Done<u32> {
        let range = offset..offset + bytes.len() as u64;
        if range.end > self.length {
            return Err(Errno::ENOSPC);
        }
        let mut state = self.admit(Kind::Write, &range)?;
        let Some(cache) = &mut state.cache else {
            self.backing.write_all_at(bytes, offset).map_err(|_| Errno::EIO)?;
            return Ok(bytes.len() as u32);
        };
        for number in range.start / PAGE..range.end.div_ceil(PAGE) {
            let page = cache.entry(number).or_insert_with(|| {
                let mut page = vec![0; PAGE as usize];
                // What lies behind the end of the backing file reads as zeros.
                let _ = self.backing.read_at(&mut page, number * PAGE);
                page
            });
            let (from, to) = overlap(number * PAGE..(number + 1) * PAGE, &range);
            let at = |place: u64, start: u64| (place - start) as usize;
            page[at(from, number * PAGE)..at(to, number * PAGE)]
                .copy_from_slice(&bytes[at(from, offset)..at(to, offset)]);
        }
        Ok(bytes.len() as u32)
    }

    fn flush(&self) -> Done<()> {
        let mut state = self.admit(Kind::Flush, &(0..self.length))?;
        for (number, page) in state.cache.iter_mut().flat_map(std::mem::take) {
            self.backing.write_all_at(&page, number * PAGE).map_err(|_| Errno::EIO)?;
        }
        Ok(())
    }

    /// Carries a command out and answers what is to be said.
    fn obey(&self, command: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        let number = |at: usize| words[at].parse::<u64>().expect("a number");
        let mut state = self.state();
        match words[0] {
            "fail" => {
                let range = number(2)..number(2) + number(3);
                let left = Some(number(4) as u32).filter(|times| *times > 0);
                state.faults.push(Fault { kind: Kind::of(words[1]), range, left });
            }
            "delay" => state.delays[Kind::of(words[1]) as usize] = Duration::from_millis(number(2)),
            "hang" => state.hangs = true,
            "release" => state.hangs = false,
            "volatile" => state.cache = Some(BTreeMap::new()),
            "cut" => {
                state.is_gone = true;
                return self.lose(&mut state, number(1), number(2)).to_string();
            }
            "vanish" => state.is_gone = true,
            "return" => state.is_gone = false,
            "mend" => (state.faults, state.delays) = Default::default(),
            "counts" => return state.counts.map(|count| count.to_string()).join(" "),
            other => panic!("no command: {other}"),
        }
        self.released.notify_all();
        "done".to_owned()
    }

    fn lose(&self, state: &mut State, seed: u64, stays: u64) -> u64 {
        let mut random = seed | 1;
        let mut lost = 0;
        for (number, page) in state.cache.iter_mut().flat_map(std::mem::take) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if random % 100 < stays {
                self.backing.write_all_at(&page, number * PAGE).expect("the backing file");
            } else {
                lost += 1;
            }
        }
        lost
    }

    fn attributes(&self, ino: INodeNo) -> FileAttr {
        let is_disk = ino == DISK;
        let size = if is_disk { self.length } else { 0 };
        FileAttr {
            ino,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_disk { FileType::RegularFile } else { FileType::Directory },
            perm: if is_disk { 0o600 } else { 0o755 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: PAGE as u32,
            flags: 0,
        }
    }
}

impl State {
    fn refuses(&mut self, kind: Kind, range: &Range<u64>) -> Option<Errno> {
        if self.is_gone {
            return Some(Errno::ENXIO);
        }
        let touched = |fault: &Fault| {
            let meets = fault.range.start < range.end && range.start < fault.range.end;
            fault.kind == kind && (kind == Kind::Flush || meets) && fault.left != Some(0)
        };
        let fault = self.faults.iter_mut().find(|fault| touched(fault))?;
        fault.left = fault.left.map(|left| left - 1);
        Some(Errno::EIO)
    }
}

fn overlap(page: Range<u64>, range: &Range<u64>) -> (u64, u64) {
    (page.start.max(range.start), page.end.min(range.end))
}

struct Served(Arc<Disk>);

impl Served {
    /// Each request has a thread of its own: one that hangs is in nobody's way.
    fn apart(&self, work: impl FnOnce(&Disk) + Send + 'static) {
        let disk = Arc::clone(&self.0);
        std::thread::spawn(move || work(&disk));
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match parent == INodeNo::ROOT && name == NAME {
            true => reply.entry(&HOUR, &self.0.attributes(DISK), Generation(0)),
            false => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&HOUR, &self.0.attributes(ino));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let flags = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES;
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
        self.apart(move |disk| match disk.read(offset..offset + u64::from(size)) {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        });
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let data = data.to_vec();
        self.apart(move |disk| match disk.write(offset, &data) {
            Ok(count) => reply.written(count),
            Err(errno) => reply.error(errno),
        });
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.apart(move |disk| match disk.flush() {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        });
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }
}

/// Serves until whoever started it is gone, or lets go of its end of the socket.
pub(super) fn serve(folder: &Path, length: u64) {
    let backing = OpenOptions::new().read(true).write(true).open(folder.join("backing"));
    let disk = Arc::new(Disk {
        backing: backing.expect("the backing file"),
        length,
        state: Mutex::default(),
        released: Condvar::new(),
    });
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("faultfs".into())];
    config.acl = SessionACL::All;
    let session = fuser::Session::new(Served(disk.clone()), folder.join("mounted"), &config);
    let session = session.expect("the faulty disk is mounted (this needs root)");
    let _session = session.spawn().expect("a thread");
    let socket = UnixStream::connect(folder.join("control")).expect("whoever started this");
    let mut answers = socket.try_clone().expect("a socket");
    for command in BufReader::new(socket).lines().map_while(Result::ok) {
        let answer = disk.obey(&command);
        if writeln!(answers, "{answer}").is_err() {
            break;
        }
    }
    // Not in order: requests may hang, and nobody is to wait for them.
    std::process::exit(0);
}
