//! Contents of clips on a fast disk: a bounded cache of what the ring says, in sled.
//!
//! Opening a clip costs a spinning disk a seek or two; what was read then is kept here as opaque
//! bytes. The ring stays the truth: the index may answer nothing at any time, it never answers
//! other bytes than were put in, and nothing waits for it longer than [`ANSWER_WAIT_MAX`].
//!
//! 1. sled runs on one thread, behind a bounded queue; what finds no room in it is not kept.
//! 2. Every record carries a checksum over its key and its bytes, and a record of its own says
//!    which ring and which session they belong to.
//! 3. At the first sign of damage, an error, a panic or a wrong checksum, everything is thrown
//!    away and the index begins anew. Nothing is ever repaired.
//! 4. After [`RESETS_MAX`] of those, or when the thread dies, the daemon goes on without an index.
//!
//! Only `<directory>/sled` and `<directory>/sled.discarded` are ever removed, and no link in the
//! directory is followed, so that one that was named by mistake loses nothing. A link in the place
//! of sled's files is damage as any other; what it leads to is left as it is.

mod audit;
mod place;
mod queue;
mod record;
mod store;
mod worker;

pub use audit::{Audit, NoAudit, set_aside};

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::units::{ClipId, SessionNumber};
use queue::{Queue, Write};

/// The longest that [`Index::contents`] waits for its answer: well below the half second after
/// which a reader that can't be killed is noticed; the ring would have answered by then.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_millis(200);

/// The largest contents that are kept, in bytes: a clip of an hour at 60 frames a second takes
/// about one MiB.
pub const CONTENTS_BYTES_MAX: usize = 4 << 20;

/// Size on disk beyond which the index begins anew, in bytes: about 10,000 clips of ten minutes.
/// sled does not give space back, so that removing single records would not help.
pub const INDEX_BYTES_MAX: u64 = 1 << 30;

/// How often one process begins anew because of damage: a disk that damages it so often is better
/// left alone.
pub const RESETS_MAX: u32 = 3;

/// How long [`Index::close`] waits for what is queued and for the last flush.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Which ring the contents belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexIdentity {
    ring: [u8; 16],
    session: SessionNumber,
}

/// Contents of clips, kept on a fast disk. May be used from several threads.
pub struct Index {
    queue: Arc<Queue>,
    /// The thread has been waited for.
    is_closed: bool,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("ready", &self.ready()).finish_non_exhaustive()
    }
}

impl Index {
    /// Opens the index in `directory` in the background, and begins empty where it is damaged,
    /// belongs to another ring than `ring_uuid`, or is ahead of `session` (the ring was put back
    /// to an earlier state and would give the same ids to other clips). Never fails: where no
    /// index can be had the log says so, and [`Index::contents`] answers nothing.
    #[must_use]
    pub fn open(directory: &Path, ring_uuid: [u8; 16], session: SessionNumber) -> Index {
        Index::open_bounded(directory, IndexIdentity { ring: ring_uuid, session }, INDEX_BYTES_MAX)
    }

    /// No index: whatever is asked is for the ring to answer.
    #[must_use]
    pub fn none() -> Index {
        let queue = Arc::new(Queue::new());
        queue.give_up();
        Index { queue, is_closed: true }
    }

    fn open_bounded(directory: &Path, identity: IndexIdentity, bytes_max: u64) -> Index {
        let queue = Arc::new(Queue::new());
        let worker = worker::Worker::new(directory, identity, bytes_max, Arc::clone(&queue));
        let spawned = std::thread::Builder::new().name("index".into()).spawn(|| worker.run());
        if let Err(error) = spawned {
            log::warn!("going on without an index: no thread for it: {error}");
            queue.give_up();
        }
        Index { queue, is_closed: false }
    }

    /// What was [`put`](Index::put) for a clip; `None` where it is not kept, or did not come
    /// within [`ANSWER_WAIT_MAX`]. After such a time-out nobody else waits until the index has
    /// answered something.
    #[must_use]
    pub fn contents(&self, clip: ClipId) -> Option<Vec<u8>> {
        let (reply, answer) = mpsc::sync_channel(1);
        if !self.queue.ask(clip, reply) {
            return None;
        }
        match answer.recv_timeout(ANSWER_WAIT_MAX) {
            Ok(contents) => contents,
            Err(_) => {
                self.queue.answer_overdue();
                None
            }
        }
    }

    /// Keeps the contents of a clip. Never waits; where the queue is full or the contents are
    /// over [`CONTENTS_BYTES_MAX`] they are not kept.
    pub fn put(&self, clip: ClipId, contents: Vec<u8>) {
        if contents.len() <= CONTENTS_BYTES_MAX {
            self.queue.write(Write::Put(clip, contents));
        }
    }

    /// Keeps what `contents` answers for a clip. It is asked on the index's thread when its turn
    /// comes, and may read a disk: whoever asked meanwhile gets no answer in time, and goes to
    /// the ring. Never waits; where the queue is full it is not asked at all.
    pub fn put_later(
        &self,
        clip: ClipId,
        contents: impl FnOnce() -> Option<Vec<u8>> + Send + 'static,
    ) {
        self.queue.write(Write::PutDeferred(clip, Box::new(contents)));
    }

    /// Forgets a clip. Never waits; where the queue is full its contents stay, which nobody asks
    /// for any more: ids are not reused.
    pub fn forget(&self, clip: ClipId) {
        self.queue.write(Write::Forget(clip));
    }

    /// Whether the index answers: it has been opened, and has not given up.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.queue.ready()
    }

    /// Writes what is queued, makes it durable, and stops; waits for a few seconds at most. An
    /// index that is dropped without it loses what was not yet written, and nothing else.
    pub fn close(mut self) {
        self.is_closed = true;
        self.queue.close(true);
        if !self.queue.wait_stopped(CLOSE_WAIT_MAX) {
            log::warn!("the index did not stop in {CLOSE_WAIT_MAX:?}; leaving it behind");
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        self.queue.close(false);
        // The directory is free for the next index only when the thread has left it.
        self.queue.wait_stopped(CLOSE_WAIT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader};
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::*;
    use crate::units::Sequence;

    const RING: [u8; 16] = [7; 16];
    const SESSION: SessionNumber = SessionNumber(3);
    /// Names the directory to whoever runs this test program as the process to be killed.
    const VICTIM: &str = "REELFS_INDEX_VICTIM";

    fn clip(counter: u64) -> ClipId {
        ClipId(Sequence::new(SessionNumber(1), counter))
    }

    fn contents(counter: u64) -> Vec<u8> {
        let length = 3000 + counter as usize * 517 % 30_000;
        (0..length).map(|at| (at as u64 * 31 + counter) as u8).collect()
    }

    fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !condition() {
            assert!(Instant::now() < deadline, "{what} has not come true");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn open(directory: &Path) -> Index {
        let index = Index::open(directory, RING, SESSION);
        wait_until("an open index", || index.ready());
        index
    }

    /// Puts, and waits until it is there: the queue may be behind.
    fn put(index: &Index, counter: u64) {
        index.put(clip(counter), contents(counter));
        wait_until("what was put", || index.contents(clip(counter)) == Some(contents(counter)));
    }

    /// Asks again for a while: on a busy machine an answer may be overdue.
    fn is_kept(index: &Index, counter: u64) -> bool {
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if let Some(found) = index.contents(clip(counter)) {
                assert_eq!(found.len(), contents(counter).len());
                return found == contents(counter);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    #[test]
    fn what_was_put_is_there_after_closing_and_what_was_forgotten_is_not() {
        let home = tempfile::tempdir().expect("a directory");
        let index = open(home.path());
        (0..50).for_each(|counter| put(&index, counter));
        index.put(clip(60), vec![0; CONTENTS_BYTES_MAX + 1]);
        index.forget(clip(7));
        index.put(clip(8), vec![1; 5]);
        index.close();
        let index = open(home.path());
        assert_eq!(index.contents(clip(7)), None);
        assert_eq!(index.contents(clip(8)), Some(vec![1; 5]));
        assert_eq!(index.contents(clip(60)), None);
        for counter in 9..50 {
            assert!(is_kept(&index, counter), "{counter}");
        }
    }

    #[test]
    fn another_ring_or_an_earlier_state_of_this_one_begins_with_an_empty_index() {
        let home = tempfile::tempdir().expect("a directory");
        let index = open(home.path());
        put(&index, 1);
        index.close();
        let later = Index::open(home.path(), RING, SessionNumber(4));
        wait_until("an open index", || later.ready());
        assert!(is_kept(&later, 1));
        later.close();
        let earlier = open(home.path());
        assert_eq!(earlier.contents(clip(1)), None);
        put(&earlier, 2);
        earlier.close();
        let foreign = Index::open(home.path(), [8; 16], SESSION);
        wait_until("an open index", || foreign.ready());
        assert_eq!(foreign.contents(clip(2)), None);
    }

    #[test]
    fn a_second_process_stays_away() {
        let home = tempfile::tempdir().expect("a directory");
        let first = open(home.path());
        put(&first, 1);
        let second = Index::open(home.path(), RING, SESSION);
        assert!(second.queue.wait_stopped(Duration::from_secs(30)));
        second.put(clip(2), contents(2));
        assert_eq!(second.contents(clip(1)), None);
        assert!(is_kept(&first, 1));
    }

    #[test]
    fn without_a_place_for_it_there_is_no_index_and_no_failure() {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("a-file");
        std::fs::write(&file, "somebody's").expect("a file");
        let index = Index::open(&file, RING, SESSION);
        assert!(index.queue.wait_stopped(Duration::from_secs(30)));
        index.put(clip(1), contents(1));
        assert_eq!(index.contents(clip(1)), None);
        index.close();
        assert_eq!(std::fs::read_to_string(&file).expect("the file"), "somebody's");
    }

    /// All that is below a directory, links as such.
    fn everything(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let entry = entry.expect("an entry");
            let (path, kind) = (entry.path(), entry.file_type().expect("a kind"));
            match kind.is_dir() {
                true => found.extend(everything(&path)),
                false => drop(found.insert(path.clone(), std::fs::read(path).expect("a file"))),
            }
        }
        found
    }

    #[test]
    fn what_a_link_in_the_place_of_the_index_leads_to_is_left_as_it_is() {
        for name in ["sled", "sled/db", "sled/conf", "sled/blobs", "sled.discarded"] {
            let (home, others) = (tempfile::tempdir(), tempfile::tempdir());
            let [home, others] = [home, others].map(|made| made.expect("a directory"));
            // What would be taken for the index, where it is followed.
            let index = open(others.path());
            put(&index, 1);
            index.close();
            let before = everything(others.path());
            std::fs::create_dir(home.path().join("sled")).expect("a directory");
            let link = home.path().join(name);
            let _ = std::fs::remove_dir(&link);
            let below =
                name.strip_prefix("sled/").map_or("sled".to_owned(), |it| format!("sled/{it}"));
            symlink(others.path().join(below), &link).expect("a link");
            std::fs::write(home.path().join("notes"), "somebody's").expect("a file");
            let index = open(home.path());
            assert!(index.contents(clip(1)).is_none(), "{name} was followed");
            put(&index, 2);
            index.close();
            assert!(everything(others.path()) == before, "{name}: the target was written to");
            assert!(name == "sled.discarded" || !link.is_symlink(), "{name}");
            assert_eq!(std::fs::read(home.path().join("notes")).expect("a file"), b"somebody's");
        }
    }

    #[test]
    fn a_lock_that_is_a_link_is_refused_and_one_of_somebody_else_keeps_its_bytes() {
        let home = tempfile::tempdir().expect("a directory");
        let (lock, target) = (home.path().join("lock"), home.path().join("precious"));
        std::fs::write(&target, "somebody's").expect("a file");
        symlink(&target, &lock).expect("a link");
        let index = Index::open(home.path(), RING, SESSION);
        assert!(index.queue.wait_stopped(Duration::from_secs(30)));
        assert!(!home.path().join("sled").exists(), "nothing was made");
        assert_eq!(std::fs::read(&target).expect("a file"), b"somebody's");
        std::fs::rename(&target, &lock).expect("a file in the place of the link");
        put(&open(home.path()), 1);
        assert_eq!(std::fs::read(&lock).expect("a file"), b"somebody's");
    }

    #[test]
    fn contents_that_come_later_are_kept_and_a_panic_over_them_harms_nobody() {
        let home = tempfile::tempdir().expect("a directory");
        let index = open(home.path());
        index.put_later(clip(1), || panic!("somebody else's fault"));
        index.put_later(clip(2), || None);
        index.put_later(clip(3), || Some(vec![0; CONTENTS_BYTES_MAX + 1]));
        index.put_later(clip(4), || Some(contents(4)));
        assert!(is_kept(&index, 4));
        for counter in 1..4 {
            assert_eq!(index.contents(clip(counter)), None, "{counter}");
        }
        index.close();
        assert!(is_kept(&open(home.path()), 4));
    }

    #[test]
    fn an_index_beyond_its_bound_begins_anew() {
        let home = tempfile::tempdir().expect("a directory");
        let identity = IndexIdentity { ring: RING, session: SESSION };
        let index = Index::open_bounded(home.path(), identity, 8 << 20);
        wait_until("an open index", || index.ready());
        put(&index, 1);
        let mut counter = 2;
        wait_until("a new beginning", || {
            index.put(clip(counter), vec![counter as u8; 2 << 20]);
            counter += 1;
            std::thread::sleep(Duration::from_millis(50));
            index.ready() && index.contents(clip(1)).is_none()
        });
        put(&index, 20);
    }

    /// A generator that a failure can be replayed with: xorshift.
    fn random(seed: &mut u64) -> u64 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    }

    #[test]
    fn garbled_files_give_the_right_bytes_or_none_and_a_working_index() {
        let mut seed = 0x5eed_u64;
        for round in 0..20 {
            let home = tempfile::tempdir().expect("a directory");
            let index = open(home.path());
            (0..40).for_each(|counter| put(&index, counter));
            index.close();
            for name in ["db", "conf"] {
                let path = home.path().join("sled").join(name);
                let mut bytes = std::fs::read(&path).expect("sled's file");
                match (round + name.len()) % 5 {
                    0 => bytes.truncate(random(&mut seed) as usize % bytes.len()),
                    1 => bytes.fill(0xa5),
                    2 if name == "db" => continue,
                    _ => {
                        for _ in 0..1 + random(&mut seed) % 200 {
                            let at = random(&mut seed) as usize % bytes.len();
                            bytes[at] ^= 1 << (random(&mut seed) % 8);
                        }
                    }
                }
                std::fs::write(&path, bytes).expect("a garbled file");
            }
            let index = open(home.path());
            for counter in 0..40 {
                let found = index.contents(clip(counter));
                assert!(found.is_none() || found == Some(contents(counter)), "round {round}");
            }
            wait_until("an index that works again", || index.ready());
            put(&index, 100);
            index.close();
            let index = open(home.path());
            assert!(is_kept(&index, 100), "round {round}");
        }
    }

    /// Not a test of its own: what the next one runs in a process that it kills.
    #[test]
    fn the_victim_writes_until_it_is_killed() {
        let Some(directory) = std::env::var_os(VICTIM) else { return };
        let index = open(Path::new(&directory));
        println!();
        for counter in (0..u64::MAX).cycle() {
            index.put(clip(counter % 500), contents(counter % 500));
            if counter % 3 == 0 {
                index.forget(clip(counter / 2 % 500));
            }
            if counter % 40 == 0 {
                println!("victim wrote {counter}");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    #[test]
    fn a_killed_process_leaves_an_index_that_opens_and_never_lies() {
        let home = tempfile::tempdir().expect("a directory");
        let mut seed = 0xdead_u64;
        let mut kept = 0;
        for round in 0..20 {
            let program = std::env::current_exe().expect("this program");
            let mut victim = Command::new(program)
                .args(["--exact", "index::tests::the_victim_writes_until_it_is_killed"])
                .arg("--nocapture")
                .env(VICTIM, home.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("a victim");
            let output = BufReader::new(victim.stdout.take().expect("its output"));
            let enough = 3 + random(&mut seed) as usize % 40;
            let wrote = output.lines().map_while(Result::ok);
            let wrote = wrote.filter(|line| line.starts_with("victim wrote")).take(enough);
            assert_eq!(wrote.count(), enough, "the victim died by itself in round {round}");
            victim.kill().expect("a kill");
            victim.wait().expect("its end");
            let index = open(home.path());
            for counter in 0..500 {
                let found = index.contents(clip(counter));
                assert!(found.is_none() || found == Some(contents(counter)), "round {round}");
                kept += u32::from(found.is_some());
            }
            put(&index, 1000 + round);
        }
        assert!(kept > 0, "nothing ever survived: it was thrown away each time");
    }
}
