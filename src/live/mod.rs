//! What cameras send at this moment, for whoever watches.
//!
//! A recorder hands each frame to the [`Feed`] of its stream before anything else is done with it:
//! it is ahead of the disk, and nothing of it is promised. A [`Viewer`] reads the frames as a file
//! without an end: from the newest key frame on, and each as soon as it comes. The frames are there
//! once, however many read them.
//!
//! A stream without viewers keeps the group of pictures that it is in, so that the next one begins
//! at once; one with viewers keeps a second group, and two seconds, for those that are slow. Who is
//! slower still is taken to the newest key frame. So a viewer costs the recorder nothing that it
//! would wait for: it copies each frame, watched or not, and wakes whoever answers the viewers.
//!
//! | part | knows |
//! |---|---|
//! | [`Live`] | which streams there are |
//! | `channel` | the frames of one stream, and on which line of time they are |
//! | `viewer` | one file of them |

mod channel;
mod viewer;

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use channel::{Feed, LiveSample};
pub use viewer::{Taken, Viewer};

use self::channel::Channel;
use crate::compilation::EndlessForm;
use crate::units::{BootTime, WallTime};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All streams that are recorded at the moment.
#[derive(Clone, Default)]
pub struct Live {
    channels: Arc<Mutex<HashMap<String, Arc<Channel>>>>,
    signal: Arc<Signal>,
}

/// Tells that something has come.
#[derive(Default)]
struct Signal {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Signal {
    fn give(&self) {
        *lock(&self.count) += 1;
        self.changed.notify_all();
    }
}

/// Why a stream can't be watched yet, or at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotYet {
    /// It may come; says what there is to wait for.
    Waiting(&'static str),
    /// It will not.
    Never(String),
}

impl Live {
    /// Where a recorder puts the frames of a stream from now on. Who watched a former one of that
    /// name sees the end.
    #[must_use]
    pub fn feed(&self, stream: &str) -> Feed {
        let channel = Arc::new(Channel::new(stream, self.signal.clone()));
        let former = lock(&self.channels).insert(stream.to_owned(), channel.clone());
        if let Some(former) = former {
            former.end();
        }
        Feed::new(channel, self.clone())
    }

    /// The feed of a stream is gone.
    fn remove(&self, channel: &Arc<Channel>) {
        channel.end();
        let mut channels = lock(&self.channels);
        if channels.get(channel.stream()).is_some_and(|known| Arc::ptr_eq(known, channel)) {
            channels.remove(channel.stream());
        }
    }

    /// A file of what a stream sends, from its newest key frame on; it is `now`, by both clocks.
    ///
    /// # Errors
    /// Why there is none, or not yet.
    pub fn watch(
        &self,
        stream: &str,
        form: EndlessForm,
        now: (WallTime, BootTime),
    ) -> Result<Viewer, NotYet> {
        let channel = lock(&self.channels).get(stream).cloned();
        match channel {
            Some(channel) => Viewer::new(channel, form, now),
            None => Err(NotYet::Never("it is not recorded".to_owned())),
        }
    }

    /// How many watch each stream that is recorded, by the name of the stream.
    #[must_use]
    pub fn viewers(&self) -> Vec<(String, usize)> {
        let channels: Vec<Arc<Channel>> = lock(&self.channels).values().cloned().collect();
        let count = |channel: Arc<Channel>| (channel.stream().to_owned(), channel.viewers());
        let mut viewers: Vec<_> = channels.into_iter().map(count).collect();
        viewers.sort_unstable();
        viewers
    }

    /// How often something has come.
    #[must_use]
    pub fn count(&self) -> u64 {
        *lock(&self.signal.count)
    }

    /// Waits until that is more than `seen`, or for so long.
    pub fn wait(&self, seen: u64, longest: Duration) {
        let count = lock(&self.signal.count);
        let _ = self.signal.changed.wait_timeout_while(count, longest, |count| *count == seen);
    }

    /// Wakes whoever waits.
    pub fn wake(&self) {
        self.signal.give();
    }
}

#[cfg(test)]
mod tests;
