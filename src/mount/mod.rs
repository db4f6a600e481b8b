//! FUSE requests in, tree and bytes out: the only room that knows fuser and errno.
//!
//! A thin adapter. What names and inodes stand for, the tree knows, and
//! [`Shown`](crate::shown::Shown) changes it; where bytes come from, a
//! [`Library`](crate::library::Library).
//!
//! A request goes from `filesystem` to `served`, which asks the kind of directory that its inode is
//! of, or in: `root`, `clips`, `trash`, `now`, `live` or `ranges`. Each of these is a type that
//! implements `directory::Directory`; what it finds, at once or on the disk, `served` gives to the
//! kernel.
//!
//! What is decided here is how the kernel is talked to:
//!
//! - Closed clips never change. Their pages, names and attributes are cached for an hour, and a
//!   [`Notifier`] says when one leaves. What is absent is not cached.
//! - A growing clip's file shifts as it grows: who opens it gets one snapshot of it, and reads that
//!   past all caches.
//! - `getattr`, `lookup` and `readdir` are answered from memory. What may wait for the disk goes
//!   through a queue that leaves threads for the rest, and is answered with EIO in the end: the
//!   kernel can't interrupt a request, so a process that waits for one can't even be killed.
//! - Programs that watch directories hear of changes by what a process of its own calls
//!   (`announcing`).
//! - What cameras send at this moment is never cached, and can't be sought in. Who waits for it
//!   does so in a room of its own (`waiting`), for half a second at most.
//! - Who may do what, the kernel decides by the bits of each file (`default_permissions`); a mount
//!   that is read-only is one for the kernel, too.
//! - Nothing is unmounted behind a killed daemon's back: that takes a helper process, and
//!   `allow_other`. The next run finds a dead mount of its own kind and replaces it.

mod announcing;
mod attributes;
mod changing;
mod clips;
mod directory;
mod disk_queue;
mod errno;
mod filesystem;
mod handles;
mod keeping;
mod live;
mod made;
mod name;
mod newest;
mod notifier;
mod now;
mod operations;
mod place;
mod ranges;
mod root;
mod served;
mod session;
mod trash;
mod waiting;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use announcing::{AnnounceError, announce};
pub use notifier::Notifier;
pub use operations::RequestCounts;
pub use place::{Lost, MountError, examine, prepare, refuse_nested};
pub use session::{Mounted, Options, Owner, mount};

/// Where it is logged that an answer could not be given, as an error. It is none where who asked
/// was killed meanwhile, which is common; why else it can be is told to nobody then.
pub const GONE_READERS_LOG: &str = "fuser::reply";

// A request that panics is answered with EIO, and the ones behind it are served all the same:
// what a lock guards is changed in steps that each leave it whole.

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
