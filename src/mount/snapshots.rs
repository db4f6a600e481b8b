//! The snapshots of `now/` that the kernel knows, each with an inode of its own.
//!
//! The bytes of a growing clip's file shift as it grows, and a page cache that belonged to one
//! inode would mix two of them. So a snapshot keeps its inode and its content until the kernel
//! forgets it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::lock;
use crate::clock::Stopwatch;
use crate::library::Snapshot;
use crate::view::Inode;

/// How long a lookup gets the snapshot that the last one got. `cp` stats a file, opens it, and
/// refuses it when it is another by then.
const FRESH: Duration = Duration::from_secs(1);

/// How many are kept; a snapshot's tables take up to a few hundred kilobytes. The oldest go
/// first, and who has one of them open keeps it.
const KEPT_MAX: usize = 256;

/// A snapshot and its inode.
#[derive(Clone)]
pub(super) struct Numbered {
    /// Its inode.
    pub(super) inode: Inode,
    /// Its content.
    pub(super) snapshot: Arc<Snapshot>,
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Snapshots(Mutex<State>);

#[derive(Default)]
struct State {
    made: u64,
    /// By the count that their inodes name.
    kept: BTreeMap<u64, Kept>,
    newest: HashMap<String, (u64, Stopwatch)>,
}

struct Kept {
    snapshot: Arc<Snapshot>,
    lookups: u64,
}

impl State {
    fn look_up(&mut self, count: u64) -> Option<Numbered> {
        let kept = self.kept.get_mut(&count)?;
        kept.lookups += 1;
        Some(kept.numbered(count))
    }
}

impl Kept {
    fn numbered(&self, count: u64) -> Numbered {
        Numbered { inode: Inode::Snapshot(count), snapshot: Arc::clone(&self.snapshot) }
    }
}

/// `None` where it is no snapshot's.
fn count_of(inode: Inode) -> Option<u64> {
    match inode {
        Inode::Snapshot(count) => Some(count),
        _ => None,
    }
}

impl Snapshots {
    /// The camera's newest snapshot, if it is fresh; counts as a lookup.
    pub(super) fn fresh(&self, camera: &str) -> Option<Numbered> {
        let mut state = lock(&self.0);
        let (count, made) = *state.newest.get(camera)?;
        if made.elapsed() >= FRESH {
            return None;
        }
        state.look_up(count)
    }

    /// Keeps a new snapshot of a camera; counts as a lookup.
    pub(super) fn keep(&self, camera: &str, snapshot: Snapshot) -> Numbered {
        let mut state = lock(&self.0);
        state.made += 1;
        let count = state.made;
        let kept = Kept { snapshot: Arc::new(snapshot), lookups: 1 };
        let numbered = kept.numbered(count);
        state.kept.insert(count, kept);
        state.newest.insert(camera.to_owned(), (count, Stopwatch::start()));
        while state.kept.len() > KEPT_MAX {
            state.kept.pop_first();
        }
        numbered
    }

    /// The snapshot with an inode; `None` where it has been dropped, or is something else.
    pub(super) fn get(&self, inode: Inode) -> Option<Numbered> {
        let count = count_of(inode)?;
        lock(&self.0).kept.get(&count).map(|kept| kept.numbered(count))
    }

    /// Counts a lookup of an inode that the kernel knows.
    pub(super) fn look_up(&self, inode: Inode) -> Option<Numbered> {
        lock(&self.0).look_up(count_of(inode)?)
    }

    /// The kernel has forgotten an inode `lookups` times.
    pub(super) fn forget(&self, inode: Inode, lookups: u64) {
        let Some(count) = count_of(inode) else {
            return;
        };
        let mut state = lock(&self.0);
        let Some(kept) = state.kept.get_mut(&count) else {
            return;
        };
        kept.lookups = kept.lookups.saturating_sub(lookups);
        if kept.lookups == 0 {
            state.kept.remove(&count);
            state.newest.retain(|_, (newest, _)| *newest != count);
        }
    }

    /// The next lookup of every camera makes a new one.
    pub(super) fn outdate(&self) {
        lock(&self.0).newest.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::{Bytes, LibraryError, OpenFile};
    use crate::units::WallTime;

    struct Empty;

    impl OpenFile for Empty {
        fn size(&self) -> u64 {
            0
        }
        fn read(&self, _offset: u64, _length: u32) -> Result<Bytes<'_>, LibraryError> {
            Ok(Box::new(Vec::new()))
        }
    }

    fn snapshot() -> Snapshot {
        let file = Arc::new(Empty);
        Snapshot { file, start: WallTime(0), end: WallTime(0), attributes: Vec::new() }
    }

    #[test]
    fn lookups_close_together_get_one_inode_and_a_sync_ends_that() {
        let snapshots = Snapshots::default();
        let first = snapshots.keep("a", snapshot());
        assert_eq!(snapshots.fresh("a").map(|again| again.inode), Some(first.inode));
        assert!(snapshots.fresh("b").is_none());
        snapshots.outdate();
        assert!(snapshots.fresh("a").is_none());
        assert!(snapshots.get(first.inode).is_some(), "it is still there for who knows it");
        assert_ne!(snapshots.keep("a", snapshot()).inode, first.inode);
    }

    #[test]
    fn a_snapshot_stays_until_every_lookup_is_forgotten() {
        let snapshots = Snapshots::default();
        let first = snapshots.keep("a", snapshot());
        snapshots.fresh("a").expect("fresh");
        snapshots.forget(first.inode, 1);
        assert!(snapshots.get(first.inode).is_some());
        snapshots.forget(first.inode, 1);
        assert!(snapshots.get(first.inode).is_none());
        assert!(snapshots.fresh("a").is_none());
    }

    #[test]
    fn there_are_never_too_many() {
        let snapshots = Snapshots::default();
        let all: Vec<Inode> =
            (0..=KEPT_MAX).map(|_| snapshots.keep("a", snapshot()).inode).collect();
        assert!(snapshots.get(all[0]).is_none());
        assert!(snapshots.get(all[1]).is_some());
    }
}
