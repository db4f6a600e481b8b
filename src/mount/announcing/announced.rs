//! How many changes were told, and why others were not: counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::status::{Exposition, Kind};

/// Why nobody hears of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    /// More waited than may.
    Queue,
    /// Its directory was locked until the deadline.
    Busy,
    /// It was undone, or its directory is gone.
    Gone,
    /// There was no process to make the call.
    Process,
    /// The kernel made no request of the call.
    Refused,
}

/// As `.metrics` calls them, in their order.
const REASONS: [&str; 5] = ["queue full", "directory busy", "gone", "no process", "refused"];

/// See the [module](self).
#[derive(Default)]
pub(in crate::mount) struct Announced {
    told: AtomicU64,
    skipped: [AtomicU64; REASONS.len()],
}

impl Announced {
    pub(in crate::mount) fn note(&self) {
        self.told.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn skip(&self, why: Skipped) {
        self.skipped[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Those of all views, for `.metrics`; a view may have a label.
    pub(in crate::mount) fn tell_all<'a>(
        views: impl Iterator<Item = (Option<(&'a str, &'a str)>, &'a Announced)> + Clone,
        out: &mut Exposition,
    ) {
        let name = "reelfs_announcements_total";
        let help = "Changes of the tree that were told to programs that watch directories.";
        out.begin(name, Kind::Counter, help);
        for (view, announced) in views.clone() {
            out.sample(name, view.as_slice(), announced.told.load(Ordering::Relaxed));
        }
        let name = "reelfs_announcements_skipped_total";
        out.begin(name, Kind::Counter, "Changes of the tree that were not, by reason.");
        for (view, announced) in views {
            for (reason, count) in REASONS.iter().zip(&announced.skipped) {
                let labels: Vec<_> = view.into_iter().chain([("reason", *reason)]).collect();
                out.sample(name, &labels, count.load(Ordering::Relaxed));
            }
        }
    }
}
