//! The newest snapshot of each growing clip's file.
//!
//! What it said of itself stays, so that `fstat` has an answer; its content stays a moment, so that
//! `stat` and the `open` behind it make one snapshot, and who has it open keeps it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::lock;
use crate::clock::Stopwatch;
use crate::library::{Attribute, OpenFile, Snapshot};
use crate::units::{ClipKey, WallTime};
use crate::view::Inode;

/// How long the next one who asks gets the snapshot that the last one got.
const FRESH: Duration = Duration::from_secs(1);

/// How much memory those take together, in bytes; a snapshot's tables take up to a few hundred
/// kilobytes.
const FRESH_BYTES_MAX: usize = 64 << 20;

/// What a snapshot says of itself.
pub(super) struct Seen {
    /// Its size, in bytes.
    pub(super) size: u64,
    /// When it begins.
    pub(super) start: WallTime,
    /// When it ends.
    pub(super) end: WallTime,
    /// Its extended attributes.
    pub(super) attributes: Vec<Attribute>,
    /// The clips that it has something of.
    pub(super) clips: Vec<ClipKey>,
    /// Memory that its content takes, in bytes, about.
    memory: usize,
}

/// A snapshot, and its content.
#[derive(Clone)]
pub(super) struct Fresh {
    /// What it says of itself.
    pub(super) seen: Arc<Seen>,
    /// Its content.
    pub(super) file: Arc<dyn OpenFile>,
}

/// See the [module](self). There is one for each camera at most, whether or not it still grows.
#[derive(Default)]
pub(super) struct Newest(Mutex<HashMap<Inode, Kept>>);

struct Kept {
    seen: Arc<Seen>,
    made: Stopwatch,
    /// `None` where the next one who asks gets another snapshot.
    file: Option<Arc<dyn OpenFile>>,
}

impl Kept {
    fn fresh(&self) -> Option<Fresh> {
        let file = self.file.clone().filter(|_| self.made.elapsed() < FRESH)?;
        Some(Fresh { seen: Arc::clone(&self.seen), file })
    }
}

impl Newest {
    /// The newest of a file, if it is fresh.
    pub(super) fn fresh(&self, inode: Inode) -> Option<Fresh> {
        lock(&self.0).get(&inode)?.fresh()
    }

    /// What the newest of a file says; `None` where none was made yet.
    pub(super) fn seen(&self, inode: Inode) -> Option<Arc<Seen>> {
        lock(&self.0).get(&inode).map(|kept| Arc::clone(&kept.seen))
    }

    /// Keeps a new one of a file.
    pub(super) fn keep(&self, inode: Inode, snapshot: Snapshot) -> Fresh {
        let Snapshot { file, start, end, attributes, clips, identity: _, memory } = snapshot;
        let seen = Arc::new(Seen { size: file.size(), start, end, attributes, clips, memory });
        let fresh = Fresh { seen: Arc::clone(&seen), file: Arc::clone(&file) };
        let mut all = lock(&self.0);
        all.insert(inode, Kept { seen, made: Stopwatch::start(), file: Some(file) });
        drop_contents(&mut all, inode);
        fresh
    }

    /// The next one who asks for any file gets a new one.
    pub(super) fn outdate(&self) {
        lock(&self.0).values_mut().for_each(|kept| kept.file = None);
    }
}

/// Drops the contents of those that are not fresh, and of the oldest of too many, but not that of
/// `inode`.
fn drop_contents(all: &mut HashMap<Inode, Kept>, inode: Inode) {
    let mut others: Vec<&mut Kept> =
        all.iter_mut().filter(|(other, _)| **other != inode).map(|(_, kept)| kept).collect();
    others.sort_by_key(|kept| kept.made.elapsed());
    let mut memory = 0_usize;
    for kept in others.into_iter().filter(|kept| kept.file.is_some()) {
        memory = memory.saturating_add(kept.seen.memory);
        if memory > FRESH_BYTES_MAX || kept.fresh().is_none() {
            kept.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::made::tests::Empty;
    use crate::view::growing_name;

    fn of(camera: &str) -> Inode {
        Inode::growing(&growing_name(camera))
    }

    /// One that ends at `end` and takes so much memory.
    fn snapshot(end: i64, memory: usize) -> Snapshot {
        Snapshot {
            clips: Vec::new(),
            file: Arc::new(Empty),
            start: WallTime(0),
            end: WallTime(end),
            attributes: Vec::new(),
            identity: None,
            memory,
        }
    }

    #[test]
    fn who_asks_at_once_gets_the_same_and_a_sync_ends_that() {
        let newest = Newest::default();
        assert!(newest.seen(of("a")).is_none());
        let first = newest.keep(of("a"), snapshot(1, 0));
        let again = newest.fresh(of("a")).expect("fresh");
        assert!(Arc::ptr_eq(&again.seen, &first.seen) && Arc::ptr_eq(&again.file, &first.file));
        assert!(newest.fresh(of("b")).is_none());
        newest.outdate();
        assert!(newest.fresh(of("a")).is_none());
        assert_eq!(newest.seen(of("a")).map(|seen| seen.end), Some(WallTime(1)), "fstat asks");
        newest.keep(of("a"), snapshot(2, 0));
        assert_eq!(newest.seen(of("a")).map(|seen| seen.end), Some(WallTime(2)));
    }

    #[test]
    fn contents_take_no_more_memory_than_they_may() {
        let newest = Newest::default();
        for (end, camera) in ["a", "b", "c", "d"].into_iter().enumerate() {
            newest.keep(of(camera), snapshot(end as i64, FRESH_BYTES_MAX / 2));
        }
        let fresh = ["a", "b", "c", "d"].map(|camera| newest.fresh(of(camera)).is_some());
        assert_eq!(fresh, [false, true, true, true], "the last and as much as may be");
        let seen = ["a", "d"].map(|camera| newest.seen(of(camera)).map(|seen| seen.end.0));
        assert_eq!(seen, [Some(0), Some(3)], "what they said stays");
    }
}
