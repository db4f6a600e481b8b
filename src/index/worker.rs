//! The thread that owns the index: opens it, serves its queue, begins anew after damage.

use std::fs::{self, File, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::place::{self, remove_if_there};
use super::queue::{Deferred, Job, Queue, Reply, Write};
use super::store::{Store, Trouble, files};
use super::{CONTENTS_BYTES_MAX, IndexIdentity, RESETS_MAX};
use crate::clock::Stopwatch;
use crate::units::ClipId;

/// Time between flushes while something is written. What a crash loses is read from the ring.
const FLUSH_EVERY: Duration = Duration::from_secs(5);

/// Bytes after which a flush does not wait for [`FLUSH_EVERY`]: bounds what is dirty in memory,
/// and how far the files outgrow their bound.
const UNFLUSHED_BYTES_MAX: usize = 16 << 20;

/// How long to wait for a lock on sled's file that nobody should hold.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(2);

/// How long to wait for work when there is nothing to flush either.
const IDLE_WAIT_MAX: Duration = Duration::from_secs(60);

pub(super) struct Worker {
    directory: PathBuf,
    identity: IndexIdentity,
    bytes_max: u64,
    queue: Arc<Queue>,
    resets: u32,
    /// When the first write that no flush covers was made.
    written_at: Option<Stopwatch>,
    /// Bytes of contents that no flush covers.
    unflushed_bytes: usize,
}

impl Worker {
    pub(super) fn new(
        directory: &Path,
        identity: IndexIdentity,
        bytes_max: u64,
        queue: Arc<Queue>,
    ) -> Worker {
        let directory = directory.to_path_buf();
        Worker {
            directory,
            identity,
            bytes_max,
            queue,
            resets: 0,
            written_at: None,
            unflushed_bytes: 0,
        }
    }

    /// Serves the queue until it is closed, or until there is no index to be had.
    pub(super) fn run(mut self) {
        // Whatever ends this thread: nobody goes on waiting for it.
        let _farewell = Farewell(Arc::clone(&self.queue));
        // Held to the end: tells another process to stay away.
        match self.lock_directory() {
            Ok(lock) => {
                match self.open() {
                    Some(store) => self.serve(store),
                    None => log::warn!("going on without an index"),
                }
                // Closing alone would not do: a child process between `fork` and `exec` has the
                // file open, too.
                if let Err(error) = lock.unlock() {
                    log::debug!("unlocking the index: {error}");
                }
            }
            Err(trouble) => log::warn!("going on without an index: {trouble}"),
        }
    }

    fn lock_directory(&self) -> Result<File, Trouble> {
        let failed = |error| files(&self.directory, error);
        fs::create_dir_all(&self.directory).map_err(failed)?;
        let file = place::open_lock(&self.directory.join("lock"), true)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(failed(io::Error::other("another process uses it")))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.join("sled")
    }

    /// Opens the index; what can't be opened is thrown away, [`RESETS_MAX`] times.
    fn open(&mut self) -> Option<Store> {
        let began = Stopwatch::start();
        loop {
            match Store::open(&self.path(), &self.identity) {
                Ok(store) => return Some(store),
                // sled's own lock, left to a child process as said above: no index but this one
                // is here.
                Err(trouble) if trouble.locked() && began.elapsed() < LOCK_WAIT_MAX => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(trouble) => self.count_reset(&trouble)?,
            }
        }
    }

    fn count_reset(&mut self, trouble: &Trouble) -> Option<()> {
        let path = self.path();
        if self.resets >= RESETS_MAX {
            log::warn!("index {}: {trouble}; this is the last time", path.display());
            return None;
        }
        log::warn!("index {}: {trouble}; beginning with an empty one", path.display());
        self.resets += 1;
        self.discard()
    }

    /// Puts the index aside under one name, so that half of it can't be found, and removes it.
    fn discard(&mut self) -> Option<()> {
        (self.written_at, self.unflushed_bytes) = (None, 0);
        let aside = self.directory.join("sled.discarded");
        let removed = remove_if_there(&aside)
            .and_then(|()| match fs::rename(self.path(), &aside) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            })
            .and_then(|()| remove_if_there(&aside));
        removed
            .inspect_err(|error| {
                log::warn!("index {}: can't be removed: {error}", self.directory.display());
            })
            .ok()
    }

    fn serve(&mut self, mut store: Store) {
        self.queue.opened();
        loop {
            let wait_max = self.written_at.map_or(IDLE_WAIT_MAX, |written_at| {
                FLUSH_EVERY.saturating_sub(written_at.elapsed())
            });
            let done = match self.queue.next(wait_max) {
                Job::Answer(clip, reply) => answer(&store, clip, &reply),
                Job::Write(write) => self.write(&store, write),
                Job::Idle => Ok(()),
                Job::Stop { flush } => {
                    if flush && let Err(trouble) = store.flush() {
                        log::warn!("index: {trouble}");
                    }
                    store.close();
                    return;
                }
            };
            let kept = done.and_then(|()| self.flush_if_due(&store));
            let fits = match kept {
                Ok(fits) => fits,
                Err(trouble) => {
                    store.close();
                    if self.count_reset(&trouble).is_none() {
                        return;
                    }
                    let Some(opened) = self.open() else { return };
                    store = opened;
                    continue;
                }
            };
            if !fits {
                let Some(opened) = self.begin_anew(store) else { return };
                store = opened;
            }
        }
    }

    fn begin_anew(&mut self, store: Store) -> Option<Store> {
        log::info!("the index has reached {} bytes and begins anew", self.bytes_max);
        store.close();
        self.discard()?;
        self.open()
    }

    fn write(&mut self, store: &Store, write: Write) -> Result<(), Trouble> {
        match write {
            Write::Put(clip, contents) => self.put(store, clip, &contents),
            Write::PutDeferred(clip, later) => match got(later) {
                Some(contents) => self.put(store, clip, &contents),
                None => Ok(()),
            },
            Write::Forget(clip) => {
                self.written_at.get_or_insert_with(Stopwatch::start);
                store.forget(clip)
            }
        }
    }

    fn put(&mut self, store: &Store, clip: ClipId, contents: &[u8]) -> Result<(), Trouble> {
        self.written_at.get_or_insert_with(Stopwatch::start);
        self.unflushed_bytes += contents.len();
        store.put(clip, contents)
    }

    /// Flushes when it is time; answers whether the index is within its bound.
    fn flush_if_due(&mut self, store: &Store) -> Result<bool, Trouble> {
        let due = self.written_at.is_some_and(|written_at| written_at.elapsed() >= FLUSH_EVERY);
        if !due && self.unflushed_bytes < UNFLUSHED_BYTES_MAX {
            return Ok(true);
        }
        (self.written_at, self.unflushed_bytes) = (None, 0);
        store.flush()?;
        Ok(store.byte_count()? <= self.bytes_max)
    }
}

/// Lets go of everybody who waits, also where the thread panics.
struct Farewell(Arc<Queue>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// What was to come later. A panic over it is not the index's.
fn got(later: Deferred) -> Option<Vec<u8>> {
    let contents = catch_unwind(AssertUnwindSafe(later)).unwrap_or_else(|_| {
        log::error!("index: what was to be kept could not be read");
        None
    });
    contents.filter(|contents| contents.len() <= CONTENTS_BYTES_MAX)
}

/// Whoever asked hears nothing of damage: the ring answers instead.
fn answer(store: &Store, clip: ClipId, reply: &Reply) -> Result<(), Trouble> {
    let contents = store.contents(clip);
    let (answer, done) = match contents {
        Ok(contents) => (contents, Ok(())),
        Err(trouble) => (None, Err(trouble)),
    };
    // Nobody listens any more where it took too long.
    let _ = reply.try_send(answer);
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Sequence;

    #[test]
    fn a_thread_that_dies_keeps_nobody_waiting() {
        let queue = Arc::new(Queue::new());
        queue.opened();
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        assert!(queue.ask(ClipId(Sequence(1)), reply.clone()));
        let farewell = Farewell(Arc::clone(&queue));
        let died = std::thread::spawn(move || {
            let _farewell = farewell;
            panic!("as a fault in sled might have it");
        });
        assert!(died.join().is_err());
        drop(reply);
        assert!(answer.recv().is_err(), "told at once");
        let (reply, _answer) = std::sync::mpsc::sync_channel(1);
        assert!(!queue.ask(ClipId(Sequence(1)), reply), "and asked no more");
        assert!(queue.wait_stopped(Duration::ZERO));
    }
}
