//! Keeps a name from being forgotten while the process makes a call, and the other way round.
//!
//! Both take the lock of a directory in the kernel. The process holds it while it waits for the
//! daemon's answer: were a thread of the daemon to wait for it then, to have a name forgotten, a
//! daemon that is killed at that moment would never end, as nobody would let go.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::super::lock;

/// See the [module](self).
#[derive(Default)]
pub(in crate::mount) struct Gate {
    taken: Mutex<bool>,
    left: Condvar,
}

/// Nobody else passes before it is dropped.
pub(in crate::mount) struct Passing<'a>(&'a Gate);

impl Gate {
    /// Waits for whoever passes; `None` where that takes longer than `limit`.
    pub(in crate::mount) fn pass(&self, limit: Duration) -> Option<Passing<'_>> {
        let waited = self.left.wait_timeout_while(lock(&self.taken), limit, |taken| *taken);
        let (mut taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *taken {
            return None;
        }
        *taken = true;
        Some(Passing(self))
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        *lock(&self.0.taken) = false;
        self.0.left.notify_one();
    }
}
