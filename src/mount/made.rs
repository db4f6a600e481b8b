//! Ranges that were made by being named, and the kernel knows. Each has an inode of its own, and
//! keeps it and its content until the kernel forgets it; one that has the same bytes as before has
//! the same inode.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::attributes::{Described, NO_TTL, Ownership};
use super::directory::immutable;
use super::handles::{Content, Handle};
use super::lock;
use crate::clock::Stopwatch;
use crate::library::Snapshot;
use crate::view::Inode;

/// How long a lookup gets what the last one got. `cp` stats a file, opens it, and refuses it when
/// it is another by then.
const FRESH: Duration = Duration::from_secs(1);

/// How many are kept; a snapshot's tables take up to a few hundred kilobytes. The oldest go
/// first, and who has one of them open keeps it.
const KEPT_MAX: usize = 256;
/// And how much memory they take together, in bytes.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// A snapshot and its inode.
#[derive(Clone)]
pub(super) struct Numbered {
    /// Its inode.
    pub(super) inode: Inode,
    /// That of the directory that it is in.
    pub(super) parent: u64,
    /// Its content.
    pub(super) snapshot: Arc<Snapshot>,
}

impl Numbered {
    /// The inode never changes; which inode the name stands for does.
    pub(super) fn described(&self, owner: Ownership) -> Described {
        let Snapshot { start, end, .. } = *self.snapshot;
        let attributes = owner.file(self.inode.word(), self.snapshot.file.size(), start, end);
        Described { entry_ttl: NO_TTL, ..immutable(attributes) }
    }

    /// The file, opened.
    pub(super) fn handle(&self, owner: Ownership) -> Handle {
        let content = Content::File(Arc::clone(&self.snapshot.file));
        Handle { attributes: self.described(owner).attributes, content }
    }
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct MadeFiles(Mutex<State>);

#[derive(Default)]
struct State {
    made: u64,
    /// By the count that their inodes name.
    kept: BTreeMap<u64, Kept>,
    /// By what they are looked up by, and since when; none where the next lookup makes another.
    newest: HashMap<Arc<str>, (u64, Option<Stopwatch>)>,
}

struct Kept {
    key: Arc<str>,
    parent: u64,
    snapshot: Arc<Snapshot>,
    lookups: u64,
}

impl State {
    fn drop_count(&mut self, count: u64) {
        let Some(dropped) = self.kept.remove(&count) else { return };
        if self.newest.get(&dropped.key).is_some_and(|(newest, _)| *newest == count) {
            self.newest.remove(&dropped.key);
        }
    }

    fn memory(&self) -> usize {
        self.kept.values().map(|kept| kept.snapshot.memory).sum()
    }

    /// The count of the newest one that is looked up by `key` and has the same bytes.
    fn same(&self, key: &str, snapshot: &Snapshot) -> Option<u64> {
        let (count, _) = self.newest.get(key)?;
        let kept = self.kept.get(count)?;
        (snapshot.identity.is_some() && kept.snapshot.identity == snapshot.identity)
            .then_some(*count)
    }
}

impl MadeFiles {
    /// The newest one that is looked up by `key`, if it is fresh; counts as a lookup.
    pub(super) fn fresh(&self, key: &str) -> Option<Numbered> {
        let mut state = lock(&self.0);
        let (count, made) = *state.newest.get(key)?;
        if made?.elapsed() >= FRESH {
            return None;
        }
        count_lookup(&mut state, count)
    }

    /// Keeps a new one that was looked up by `key` in a directory; counts as a lookup.
    pub(super) fn keep(&self, key: &str, parent: Inode, snapshot: Snapshot) -> Numbered {
        let mut state = lock(&self.0);
        if let Some(count) = state.same(key, &snapshot)
            && let Some(numbered) = count_lookup(&mut state, count)
        {
            state.newest.insert(key.into(), (count, Some(Stopwatch::start())));
            return numbered;
        }
        state.made += 1;
        let (count, key) = (state.made, Arc::<str>::from(key));
        let kept = Kept {
            key: key.clone(),
            parent: parent.word(),
            snapshot: Arc::new(snapshot),
            lookups: 1,
        };
        let numbered = numbered(count, &kept);
        state.kept.insert(count, kept);
        state.newest.insert(key, (count, Some(Stopwatch::start())));
        while state.kept.len() > KEPT_MAX || state.kept.len() > 1 && state.memory() > KEPT_BYTES_MAX
        {
            let Some(oldest) = state.kept.keys().next().copied() else { break };
            state.drop_count(oldest);
        }
        numbered
    }

    /// The snapshot with an inode; `None` where it has been dropped, or is something else.
    pub(super) fn get(&self, inode: Inode) -> Option<Numbered> {
        let count = count_of(inode)?;
        lock(&self.0).kept.get(&count).map(|kept| numbered(count, kept))
    }

    /// Counts a lookup of an inode that the kernel knows.
    pub(super) fn look_up(&self, inode: Inode) -> Option<Numbered> {
        count_lookup(&mut lock(&self.0), count_of(inode)?)
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
            state.drop_count(count);
        }
    }

    /// The next lookup of everything makes a new one.
    pub(super) fn outdate(&self) {
        lock(&self.0).newest.values_mut().for_each(|(_, since)| *since = None);
    }
}

fn count_lookup(state: &mut State, count: u64) -> Option<Numbered> {
    let kept = state.kept.get_mut(&count)?;
    kept.lookups += 1;
    Some(numbered(count, kept))
}

fn numbered(count: u64, kept: &Kept) -> Numbered {
    let snapshot = Arc::clone(&kept.snapshot);
    Numbered { inode: Inode::Range(count), parent: kept.parent, snapshot }
}

/// `None` where it is none of these.
fn count_of(inode: Inode) -> Option<u64> {
    match inode {
        Inode::Range(count) => Some(count),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::library::{Bytes, LibraryError, OpenFile};
    use crate::units::WallTime;

    /// A file without content.
    pub(in crate::mount) struct Empty;

    impl OpenFile for Empty {
        fn size(&self) -> u64 {
            0
        }
        fn read(&self, _offset: u64, _length: u32) -> Result<Bytes<'_>, LibraryError> {
            Ok(Box::new(Vec::new()))
        }
    }

    fn snapshot() -> Snapshot {
        Snapshot {
            clips: Vec::new(),
            file: Arc::new(Empty),
            start: WallTime(0),
            end: WallTime(0),
            attributes: Vec::new(),
            identity: None,
            memory: 0,
        }
    }

    #[test]
    fn lookups_close_together_get_one_inode_and_a_sync_ends_that() {
        let made = MadeFiles::default();
        let first = made.keep("a", Inode::Now, snapshot());
        assert_eq!(made.fresh("a").map(|again| again.inode), Some(first.inode));
        assert!(made.fresh("b").is_none());
        made.outdate();
        assert!(made.fresh("a").is_none());
        assert!(made.get(first.inode).is_some(), "it is still there for who knows it");
        assert_ne!(made.keep("a", Inode::Now, snapshot()).inode, first.inode);
    }

    #[test]
    fn a_snapshot_stays_until_every_lookup_is_forgotten() {
        let made = MadeFiles::default();
        let first = made.keep("a", Inode::Now, snapshot());
        made.fresh("a").expect("fresh");
        made.forget(first.inode, 1);
        assert!(made.get(first.inode).is_some());
        made.forget(first.inode, 1);
        assert!(made.get(first.inode).is_none());
        assert!(made.fresh("a").is_none());
    }

    #[test]
    fn there_are_never_too_many() {
        let made = MadeFiles::default();
        let all: Vec<Inode> =
            (0..=KEPT_MAX).map(|_| made.keep("a", Inode::Now, snapshot()).inode).collect();
        assert!(made.get(all[0]).is_none());
        assert!(made.get(all[1]).is_some());
        let large = || Snapshot { memory: KEPT_BYTES_MAX / 2, ..snapshot() };
        let all = ["a", "b", "c"].map(|key| made.keep(key, Inode::Now, large()).inode);
        let kept = all.map(|inode| made.get(inode).is_some());
        assert_eq!(kept, [false, true, true]);
        assert_eq!(lock(&made.0).newest.len(), 2, "nothing is left of the others");
    }

    #[test]
    fn what_has_the_same_bytes_keeps_its_inode() {
        let made = MadeFiles::default();
        let of = |byte: u8| Snapshot { identity: Some([byte; 32]), ..snapshot() };
        let first = made.keep("a", Inode::Now, of(1)).inode;
        made.outdate();
        assert!(made.fresh("a").is_none());
        assert_eq!(made.keep("a", Inode::Now, of(1)).inode, first);
        assert_ne!(made.keep("a", Inode::Now, of(2)).inode, first, "other bytes");
        assert_ne!(
            made.keep("b", Inode::Now, of(2)).inode,
            made.keep("a", Inode::Now, of(2)).inode,
            "another name"
        );
        assert!(made.get(Inode::growing("a")).is_none(), "another kind");
    }
}
