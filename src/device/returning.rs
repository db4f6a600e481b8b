//! A device that may vanish and come back: a plug that was pulled, a cable that is loose.
//!
//! After an error it is asked whether it is there at all: where neither its first nor its last
//! page can be read, it is gone. Its descriptor is let go of, everything fails at once, and what
//! is at its path is looked at once a second, until the holder recognises it. Nothing is ever
//! created, and nothing is written to what the holder has not recognised.
//!
//! A file is looked at with each flush, since writing into one that was deleted fails nowhere. It
//! stays open while it is gone: that is all that is left of it.

use std::collections::BTreeMap;
use std::fs::FileType;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::holder::{DeviceHolder, Health};
use super::misfortune::Misfortune;
use super::{Access, AlignedBuffer, Device, FileDevice, OpenError, read};
use crate::clock::Stopwatch;
use crate::units::{ByteCount, DeviceOffset, PAGE_BYTES};

/// How often a device that is gone is looked for, and one that is there is asked how long its
/// requests have been waiting.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A request that takes longer is a stall: a disk that has to spin up takes less, and a request
/// of the mount is given up after twice as long.
const STALL_MIN: Duration = Duration::from_secs(5);

/// A [`FileDevice`] that may vanish, and is used again when its holder knows it.
pub struct ReturningDevice {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    kind: FileType,
    access: Access,
    length: ByteCount,
    holder: Arc<dyn DeviceHolder>,
    state: Mutex<State>,
    changed: Condvar,
    /// Held by whoever asks whether it is there, so that a hundred errors ask once.
    asking: Mutex<()>,
}

struct State {
    /// With the number of times that it has come back.
    present: Option<Present>,
    gone: Option<Gone>,
    /// `returns` of the oldest write that no flush covers.
    unflushed: Option<u64>,
    /// When the requests under way began, by ticket.
    under_way: BTreeMap<u64, Stopwatch>,
    next_ticket: u64,
    read_errors: u64,
    is_closed: bool,
}

#[derive(Clone)]
struct Present {
    device: Arc<FileDevice>,
    returns: u64,
}

struct Gone {
    since: Stopwatch,
    returns: u64,
    refused: Option<String>,
    /// What is left of a file that is not at its path.
    kept: Option<Arc<FileDevice>>,
}

/// Why what is at the path is not the device.
enum Away {
    /// There is nothing, or nothing that can be opened.
    Absent,
    /// There is something.
    Refused(String),
}

impl ReturningDevice {
    /// Opens what is at `path` for one holder, as [`FileDevice::open_as_allowed`] does.
    ///
    /// # Errors
    /// See [`OpenError`]: a device that is not there at first is not waited for.
    pub fn open(path: &Path, holder: Arc<dyn DeviceHolder>) -> Result<ReturningDevice, OpenError> {
        let failed = |source| OpenError::System { path: path.to_owned(), source };
        let device = Arc::new(FileDevice::open_as_allowed(path)?);
        let state = State {
            present: Some(Present { device: device.clone(), returns: 0 }),
            gone: None,
            unflushed: None,
            under_way: BTreeMap::new(),
            next_ticket: 0,
            read_errors: 0,
            is_closed: false,
        };
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            kind: device.kind(),
            access: device.access(),
            length: device.length(),
            holder,
            state: Mutex::new(state),
            changed: Condvar::new(),
            asking: Mutex::default(),
        });
        let watched = shared.clone();
        std::thread::Builder::new()
            .name("device".into())
            .spawn(move || watched.watch())
            .map_err(failed)?;
        Ok(ReturningDevice { shared })
    }

    /// Something else is on it than the holder's: it is let go of as if it were gone, until the
    /// holder recognises it again. `reason` is for the log, and for [`Health::refused`].
    pub fn disown(&self, reason: &str) {
        let mut state = self.shared.state();
        let Some(present) = state.present.take() else { return };
        let (since, refused) = (Stopwatch::start(), Some(reason.to_owned()));
        state.gone = Some(Gone { since, returns: present.returns, refused, kept: None });
        drop(state);
        self.shared.holder.disowned(reason);
        self.shared.changed.notify_all();
    }

    /// How it is, at this moment. Does not wait for it.
    #[must_use]
    pub fn health(&self) -> Health {
        let state = self.shared.state();
        Health {
            gone: state.gone.as_ref().map(|gone| gone.since.elapsed()),
            refused: state.gone.as_ref().and_then(|gone| gone.refused.clone()),
            stalled: state.longest_wait().filter(|waited| *waited >= STALL_MIN),
            read_errors: state.read_errors,
        }
    }
}

impl Drop for ReturningDevice {
    fn drop(&mut self) {
        // Not waited for: it may be at a device that hangs.
        self.shared.state().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl Device for ReturningDevice {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        let read = self.shared.attempt(|device| {
            let read = device.read_at(offset, buffer);
            self.shared.state().read_errors += u64::from(read.is_err());
            read
        });
        read.map(|_| ())
    }

    fn write_at(&self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()> {
        let before = self.shared.state().present.as_ref().map(|present| present.returns);
        let written = self.shared.attempt(|device| device.write_at(offset, bytes));
        // Part of one that failed may be there, too.
        if let Some(returns) = written.as_ref().ok().copied().or(before) {
            self.shared.state().unflushed.get_or_insert(returns);
        }
        written.map(|_| ())
    }

    fn flush(&self) -> io::Result<()> {
        // Whatever comes of it, the caller knows what is safe: nothing is owed to the next flush.
        let (unflushed, present) = {
            let mut state = self.shared.state();
            (state.unflushed.take(), state.present.clone())
        };
        if let (Some(written), Some(present)) = (unflushed, present)
            && written != present.returns
        {
            let path = self.shared.path.display();
            let reason = format!("{path}: gone since the last flush, with what was written");
            return Err(io::Error::new(ErrorKind::NotConnected, reason));
        }
        self.shared.attempt(FileDevice::flush)?;
        self.shared.check_place()
    }

    fn length(&self) -> ByteCount {
        self.shared.length
    }

    fn is_present(&self) -> bool {
        self.shared.state().present.is_some()
    }

    fn is_writable(&self) -> bool {
        self.shared.access == Access::Exclusive
    }
}

impl State {
    fn longest_wait(&self) -> Option<Duration> {
        self.under_way.values().map(|since| since.elapsed()).max()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the device, where it is there; answers how often it had come back.
    fn attempt(&self, act: impl FnOnce(&FileDevice) -> io::Result<()>) -> io::Result<u64> {
        let (present, ticket) = {
            let mut state = self.state();
            let Some(present) = state.present.clone() else {
                let reason = format!("{} is gone", self.path.display());
                return Err(io::Error::new(ErrorKind::NotConnected, reason));
            };
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.under_way.insert(ticket, Stopwatch::start());
            (present, ticket)
        };
        let done = act(&present.device);
        if let Err(error) = &done {
            self.suspect(&present, error);
        }
        self.state().under_way.remove(&ticket);
        done.map(|()| present.returns)
    }

    /// An error may be that of one place, or the device's end.
    fn suspect(&self, present: &Present, error: &io::Error) {
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if self.uses(present) && !self.is_there(&present.device) {
            self.lose(present, None, error);
        }
    }

    /// Where its file is not what was opened, it is gone, too.
    fn check_place(&self) -> io::Result<()> {
        let Some(present) = self.state().present.clone() else { return Ok(()) };
        let Some(misfortune) = present.device.misfortune() else { return Ok(()) };
        let kept = match misfortune {
            // It is in the way of what is put in its place.
            Misfortune::Shortened { .. } => None,
            Misfortune::Elsewhere { .. } => Some(present.device.clone()),
        };
        let error = io::Error::new(ErrorKind::NotConnected, misfortune.to_string());
        self.lose(&present, kept, &error);
        Err(error)
    }

    fn lose(&self, present: &Present, kept: Option<Arc<FileDevice>>, error: &io::Error) {
        {
            let mut state = self.state();
            // It may have been disowned, and be back, while it was asked.
            if state.present.as_ref().is_none_or(|used| used.returns != present.returns) {
                return;
            }
            state.present = None;
            let (since, returns) = (Stopwatch::start(), present.returns);
            state.gone = Some(Gone { since, returns, refused: None, kept });
        }
        self.changed.notify_all();
        self.holder.vanished(error);
    }

    fn uses(&self, present: &Present) -> bool {
        self.state().present.as_ref().is_some_and(|used| used.returns == present.returns)
    }

    fn is_there(&self, device: &FileDevice) -> bool {
        let page = PAGE_BYTES as usize;
        let last = DeviceOffset(self.length.0.saturating_sub(PAGE_BYTES));
        [DeviceOffset(0), last].into_iter().any(|at| read(device, at, page).is_ok())
    }

    /// What the thread does until the device is closed.
    fn watch(&self) {
        let mut told_stall = None;
        let mut state = self.state();
        while !state.is_closed {
            let waited = self.changed.wait_timeout(state, LOOK_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let (is_gone, wait) = (state.gone.is_some(), state.longest_wait());
            if state.is_closed {
                return;
            }
            drop(state);
            self.tell_stall(wait, &mut told_stall);
            if is_gone {
                self.look();
            }
            state = self.state();
        }
    }

    fn tell_stall(&self, wait: Option<Duration>, told: &mut Option<Stopwatch>) {
        match (wait.filter(|wait| *wait >= STALL_MIN), &told) {
            (Some(wait), None) => {
                *told = Stopwatch::started(wait);
                self.holder.stalls(wait);
            }
            (None, Some(since)) => {
                self.holder.answers(since.elapsed());
                *told = None;
            }
            _ => {}
        }
    }

    /// Looks at what is at the path, and takes it back where it is the device.
    fn look(&self) {
        match self.recognised() {
            Ok(device) => self.take_back(device),
            Err(away) => {
                let refused = match away {
                    Away::Absent => None,
                    Away::Refused(reason) => Some(reason),
                };
                let mut state = self.state();
                let Some(gone) = &mut state.gone else { return };
                let news = refused.clone().filter(|_| gone.refused != refused);
                gone.refused = refused;
                drop(state);
                if let Some(reason) = news {
                    self.holder.stays_away(&reason);
                }
            }
        }
    }

    /// Looked at first, and only then opened as it was; what is still open, and back at its path,
    /// is looked at alone.
    fn recognised(&self) -> Result<Arc<FileDevice>, Away> {
        let kept = self.state().gone.as_ref().and_then(|gone| gone.kept.clone());
        if let Some(kept) = kept.filter(|kept| kept.misfortune().is_none()) {
            self.holder.recognise(&*kept).map_err(Away::Refused)?;
            return Ok(kept);
        }
        drop(self.judged(Access::ReadOnly)?);
        self.judged(self.access).map(Arc::new)
    }

    fn judged(&self, access: Access) -> Result<FileDevice, Away> {
        let device = FileDevice::open(&self.path, access).map_err(|error| match error {
            OpenError::System { .. } => Away::Absent,
            error => Away::Refused(error.to_string()),
        })?;
        if device.kind() != self.kind {
            return Err(Away::Refused("it is a file for a device, or the reverse".to_owned()));
        }
        if device.length() != self.length {
            let (found, expected) = (device.length(), self.length);
            return Err(Away::Refused(format!("it has {found} bytes, {expected} expected")));
        }
        self.holder.recognise(&device).map_err(Away::Refused)?;
        Ok(device)
    }

    fn take_back(&self, device: Arc<FileDevice>) {
        let away = {
            let mut state = self.state();
            let Some(gone) = state.gone.take() else { return };
            let returns = gone.returns + 1;
            state.present = Some(Present { device, returns });
            gone.since.elapsed()
        };
        self.holder.returned(away);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const LENGTH: u64 = 8 * PAGE_BYTES;
    const SOON: Duration = Duration::from_secs(10);

    /// Knows its device by the first byte, and tells what it is told.
    struct Told(Mutex<Sender<String>>);

    impl Told {
        fn tell(&self, what: String) {
            let _ = self.0.lock().expect("nobody died").send(what);
        }
    }

    impl DeviceHolder for Told {
        fn recognise(&self, device: &dyn Device) -> Result<(), String> {
            let page = read(device, DeviceOffset(0), 4096).map_err(|error| error.to_string())?;
            if page[0] == b'r' { Ok(()) } else { Err("foreign".to_owned()) }
        }

        fn disowned(&self, reason: &str) {
            self.tell(format!("disowned: {reason}"));
        }

        fn vanished(&self, _: &io::Error) {
            self.tell("vanished".to_owned());
        }

        fn stays_away(&self, reason: &str) {
            self.tell(reason.to_owned());
        }

        fn returned(&self, _: Duration) {
            self.tell("returned".to_owned());
        }

        fn stalls(&self, _: Duration) {}

        fn answers(&self, _: Duration) {}
    }

    struct Bench {
        directory: tempfile::TempDir,
        told: Receiver<String>,
        device: ReturningDevice,
    }

    impl Bench {
        fn new() -> Bench {
            let directory = tempfile::tempdir().expect("a directory");
            fs::write(directory.path().join("disk"), vec![b'r'; LENGTH as usize]).expect("a file");
            let (sender, told) = channel();
            let holder = Arc::new(Told(Mutex::new(sender)));
            let device = ReturningDevice::open(&directory.path().join("disk"), holder);
            Bench { device: device.expect("it opens"), directory, told }
        }

        fn path(&self) -> PathBuf {
            self.directory.path().join("disk")
        }

        /// A file that is cut to nothing answers no read any more, and can still be written to.
        fn vanish(&self) {
            let file = fs::OpenOptions::new().write(true).open(self.path()).expect("a file");
            file.set_len(0).expect("cut");
            fs::rename(self.path(), self.directory.path().join("away")).expect("moved");
            self.read().map(drop).expect_err("nothing to read");
            assert_eq!(self.told(), "vanished");
        }

        fn put(&self, first: u8, length: u64) {
            let mut bytes = vec![0; length as usize];
            bytes[0] = first;
            fs::write(self.directory.path().join("new"), bytes).expect("a file");
            fs::rename(self.directory.path().join("new"), self.path()).expect("moved");
        }

        fn told(&self) -> String {
            self.told.recv_timeout(SOON).expect("it is told")
        }

        fn read(&self) -> io::Result<AlignedBuffer> {
            read(&self.device, DeviceOffset(PAGE_BYTES), 4096)
        }

        fn write(&self) -> io::Result<()> {
            self.device.write_at(DeviceOffset(PAGE_BYTES), &AlignedBuffer::from_bytes(b"new"))
        }
    }

    #[test]
    fn an_error_of_one_place_is_passed_on_and_nothing_else() {
        let bench = Bench::new();
        let behind = read(&bench.device, DeviceOffset(LENGTH), 4096);
        behind.map(drop).expect_err("behind the end");
        assert!(bench.device.is_present());
        assert_eq!(bench.device.health(), Health { read_errors: 1, ..Health::default() });
        bench.read().expect("it is there");
    }

    #[test]
    fn a_device_that_is_gone_fails_at_once_and_is_used_again_when_it_is_back() {
        let bench = Bench::new();
        bench.vanish();
        assert!(!bench.device.is_present());
        assert!(bench.device.health().gone.is_some());
        bench.write().expect_err("gone");
        bench.device.flush().expect_err("gone");
        bench.put(b'r', LENGTH);
        assert_eq!(bench.told(), "returned");
        assert!(bench.device.is_present());
        bench.write().expect("it is back");
        bench.device.flush().expect("it is back");
        let page = fs::read(bench.path()).expect("the file");
        assert!(page[PAGE_BYTES as usize..].starts_with(b"new"));
    }

    #[test]
    fn what_is_in_its_place_is_left_alone() {
        let bench = Bench::new();
        bench.vanish();
        bench.put(b'x', LENGTH);
        assert_eq!(bench.told(), "foreign");
        assert_eq!(bench.device.health().refused.as_deref(), Some("foreign"));
        bench.put(b'r', LENGTH / 2);
        assert!(bench.told().contains("16384 bytes, 32768 expected"));
        bench.write().expect_err("gone");
        fs::remove_file(bench.path()).expect("removed");
        std::thread::sleep(2 * LOOK_INTERVAL);
        assert!(!bench.path().exists(), "nothing is created");
        assert_eq!(bench.device.health().refused, None);
    }

    #[test]
    fn a_flush_does_not_vouch_for_what_was_written_before_it_vanished() {
        let bench = Bench::new();
        bench.write().expect("it is there");
        bench.vanish();
        bench.put(b'r', LENGTH);
        assert_eq!(bench.told(), "returned");
        bench.device.flush().expect_err("the write is lost");
        bench.write().expect("written again");
        bench.device.flush().expect("it is on the disk");
    }
}
