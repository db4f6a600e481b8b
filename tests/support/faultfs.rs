//! A disk that fails on command: a FUSE file system with one big file, `disk`, which serves as the
//! ring itself, or below a loop device.
//!
//! It is a process of its own, so that it can be killed, and so that the tests never wait for it:
//! the test executable runs itself again, and [`serve_if_asked`] takes over there. Needs root.
#![allow(dead_code, reason = "each test file uses its own part of this")]

#[path = "faultfs/server.rs"]
mod server;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};

/// Tells the test executable to be the server: folder, a colon, and the length of the disk.
const ASKED: &str = "REELFS_TEST_FAULTFS";
/// For the server to come up, and to answer a command.
const PATIENCE: Duration = Duration::from_secs(20);

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    Flush,
}

impl Kind {
    const ALL: [(Kind, &str); 3] =
        [(Kind::Read, "read"), (Kind::Write, "write"), (Kind::Flush, "flush")];

    fn word(self) -> &'static str {
        Kind::ALL[self as usize].1
    }

    fn of(word: &str) -> Kind {
        let found = Kind::ALL.iter().find(|(_, known)| *known == word);
        found.unwrap_or_else(|| panic!("no kind of request: {word}")).0
    }
}

/// The disk. The server is killed and everything unmounted when it is dropped.
pub struct FaultFs {
    folder: PathBuf,
    length: u64,
    server: Option<(Child, BufReader<UnixStream>)>,
}

impl FaultFs {
    /// Serves `folder/backing`, a file that is there, as `folder/mounted/disk`.
    pub fn start(folder: &Path) -> FaultFs {
        std::fs::create_dir_all(folder.join("mounted")).expect("a folder");
        let length = std::fs::metadata(folder.join("backing")).expect("the backing file").len();
        let mut this = FaultFs { folder: folder.to_owned(), length, server: None };
        this.mount_again();
        this
    }

    /// The big file.
    pub fn disk(&self) -> PathBuf {
        self.folder.join("mounted/disk")
    }

    /// What is on the disk, behind its back: flushed and, unless it is `volatile`, written.
    pub fn backing(&self) -> PathBuf {
        self.folder.join("backing")
    }

    /// Starts the server on what is in the backing file; after [`FaultFs::kill`].
    pub fn mount_again(&mut self) {
        assert!(self.server.is_none(), "it is mounted");
        let control = self.folder.join("control");
        // Left from the time before.
        let _ = std::fs::remove_file(&control);
        let listener = UnixListener::bind(&control).expect("a socket");
        let folder = self.folder.to_str().expect("a path in UTF-8");
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "a_disk_that_fails_on_command", "--nocapture"])
            .env(ASKED, format!("{folder}:{}", self.length))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("this program runs again");
        listener.set_nonblocking(true).expect("a socket");
        let until = Instant::now() + PATIENCE;
        let socket = loop {
            match listener.accept() {
                Ok((socket, _)) => break socket,
                Err(_) => assert!(Instant::now() < until, "the faulty disk does not come up"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        socket.set_nonblocking(false).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        self.server = Some((child, BufReader::new(socket)));
        self.tell("counts");
    }

    fn tell(&mut self, command: &str) -> String {
        let (_, socket) = self.server.as_mut().expect("it is mounted");
        writeln!(socket.get_mut(), "{command}").expect("the faulty disk listens");
        let mut answer = String::new();
        socket.read_line(&mut answer).expect("the faulty disk answers");
        answer.trim().to_owned()
    }

    /// Answers EIO to the next `times` requests of a kind that touch a range (any flush does), or
    /// to all of them where `times` is 0.
    pub fn fail(&mut self, kind: Kind, range: std::ops::Range<u64>, times: u32) {
        let length = range.end - range.start;
        self.tell(&format!("fail {} {} {length} {times}", kind.word(), range.start));
    }

    /// Takes its time for each request of a kind.
    pub fn delay(&mut self, kind: Kind, time: Duration) {
        self.tell(&format!("delay {} {}", kind.word(), time.as_millis()));
    }

    /// Answers nothing until [`FaultFs::release`], or for a minute and a half: nobody is to wait
    /// for a test that has failed.
    pub fn hang(&mut self) {
        self.tell("hang");
    }

    /// Answers everything that waits, and goes on.
    pub fn release(&mut self) {
        self.tell("release");
    }

    /// From now on keeps what is written in a cache that a power cut empties, until a flush.
    pub fn make_volatile(&mut self) {
        self.tell("volatile");
    }

    /// The power goes: of what was not flushed each page stays with this chance in percent, and
    /// every request fails until [`FaultFs::come_back`]. Answers how many pages are lost.
    pub fn cut(&mut self, seed: u64, stays: u64) -> u64 {
        self.tell(&format!("cut {seed} {stays}")).parse().expect("a count")
    }

    /// Every request fails with ENXIO, as of a disk that is unplugged.
    pub fn vanish(&mut self) {
        self.tell("vanish");
    }

    /// Ends `vanish` and `cut`.
    pub fn come_back(&mut self) {
        self.tell("return");
    }

    /// No fault and no delay any more.
    pub fn mend(&mut self) {
        self.tell("mend");
    }

    /// Requests so far: reads, writes, flushes; and how many of them failed.
    pub fn counts(&mut self) -> [u64; 4] {
        let answer = self.tell("counts");
        let mut numbers = answer.split(' ').map(|number| number.parse().expect("a count"));
        std::array::from_fn(|_| numbers.next().expect("four counts"))
    }

    /// Kills the server: whoever has the file open gets ENOTCONN, and what was not flushed of a
    /// volatile disk is lost. The path stays dead until [`FaultFs::unmount`].
    pub fn kill(&mut self) {
        if let Some((mut child, _)) = self.server.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Takes what a killed server has left out of the tree: the path is that of a plain folder.
    pub fn unmount(&self) {
        while umount2(&self.folder.join("mounted"), MntFlags::MNT_DETACH).is_ok() {}
    }
}

impl Drop for FaultFs {
    fn drop(&mut self) {
        self.kill();
        self.unmount();
    }
}

/// To be called first by the test `a_disk_that_fails_on_command` of each executable that uses
/// this; does not come back in a process that [`FaultFs`] has started.
pub fn serve_if_asked() {
    let Some(asked) = std::env::var_os(ASKED) else { return };
    let asked = asked.into_string().expect("UTF-8");
    let (folder, length) = asked.rsplit_once(':').expect("a folder and a length");
    server::serve(Path::new(folder), length.parse().expect("a length"));
    std::process::exit(0);
}
