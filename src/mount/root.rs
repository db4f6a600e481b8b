//! The root: what the layout puts there, what the daemon says, the ways to ranges and to `live`.

use std::sync::Arc;

use fuser::{Errno, Generation};

use super::announcing::Hidden;
use super::attributes::{Described, FILE_TTL, NO_TTL};
use super::clips::Clips;
use super::directory::{AddLine, Directory, Found, Line};
use super::handles::{Content, Handle};
use super::live::LiveFiles;
use super::operations::RequestCounts;
use super::ranges::Ranges;
use crate::library::Told;
use crate::units::ClipKey;
use crate::view::{
    ANNOUNCE_NAME, Inode, KEPT_NAME, LIVE_NAME, LOG_NAME, METRICS_NAME, RANGE_NAME, ROOT,
    STATUS_NAME, TRASH_NAME,
};

/// See the [module](self).
pub(super) struct Root {
    pub(super) clips: Arc<Clips>,
    pub(super) ranges: Arc<Ranges>,
    pub(super) live: Arc<LiveFiles>,
    pub(super) counts: RequestCounts,
    /// `None` where nothing is announced.
    pub(super) hidden: Option<Arc<Hidden>>,
    /// Whether it lists what is otherwise found by its name alone.
    pub(super) list_special: bool,
}

/// Cookies of what has no place among those of the tree: behind all of them.
const SPECIAL_COOKIE: u64 = i64::MAX as u64 - 6;

/// What the daemon says of itself, as files.
const TOLD: [(&str, Inode, Told); 3] = [
    (STATUS_NAME, Inode::Status, Told::Status),
    (METRICS_NAME, Inode::Metrics, Told::Metrics),
    (LOG_NAME, Inode::Log, Told::Log),
];

impl Root {
    /// What such a file holds, where it is one and somebody says it. It is made anew whenever it is
    /// asked for.
    fn content(&self, inode: Inode) -> Option<Vec<u8>> {
        let (_, _, what) = TOLD.iter().find(|(_, told, _)| *told == inode)?;
        let mut content = self.clips.library.told(*what)?;
        if *what == Told::Metrics {
            content.extend(self.counts.text().into_bytes());
        }
        Some(content)
    }

    /// A file with this content.
    fn file(&self, inode: Inode, content: &[u8]) -> Described {
        let root = self.clips.shown.tree().node(ROOT);
        let modified = root.map(|root| root.modified).unwrap_or_default();
        let (inode, size) = (inode.word(), content.len() as u64);
        Described {
            attributes: self.clips.owner.file(inode, size, modified, modified),
            generation: Generation(0),
            attribute_ttl: NO_TTL,
            entry_ttl: FILE_TTL,
        }
    }
}

impl Directory for Root {
    fn look_up(&self, parent: Inode, name: &str) -> Result<Found<Described>, Errno> {
        if let Some((_, inode, _)) = TOLD.iter().find(|(told, ..)| *told == name) {
            let content = self.content(*inode).ok_or(Errno::ENOENT)?;
            return Ok(Found::Here(self.file(*inode, &content)));
        }
        match (name, &self.hidden) {
            (ANNOUNCE_NAME, Some(hidden)) => hidden.describe(Inode::Announce).map(Found::Here),
            (RANGE_NAME, _) => self.ranges.describe(Inode::Ranges).map(Found::Here),
            (LIVE_NAME, _) => self.live.describe(Inode::Live).map(Found::Here),
            _ => self.clips.look_up(parent, name),
        }
    }

    fn list(&self, inode: Inode, after: u64, add: &mut AddLine<'_>) -> Result<(), Errno> {
        let mut is_full = false;
        self.clips.list(inode, after, &mut |line| {
            is_full = add(line);
            is_full
        })?;
        if is_full || !self.list_special {
            return Ok(());
        }
        let special = [
            (LIVE_NAME, self.live.describe(Inode::Live)?),
            (RANGE_NAME, self.ranges.describe(Inode::Ranges)?),
            (TRASH_NAME, self.clips.describe(Inode::Trash)?),
            (KEPT_NAME, self.clips.describe(Inode::Kept)?),
        ];
        let told = TOLD.iter().filter_map(|(name, inode, _)| {
            Some((*name, self.file(*inode, &self.content(*inode)?)))
        });
        for (cookie, (name, described)) in (SPECIAL_COOKIE..).zip(special.into_iter().chain(told)) {
            if cookie > after && add(&Line { cookie, name, described }) {
                break;
            }
        }
        Ok(())
    }

    fn describe(&self, inode: Inode) -> Result<Described, Errno> {
        match self.content(inode) {
            Some(content) => Ok(self.file(inode, &content)),
            None => self.clips.describe(inode),
        }
    }

    fn parent(&self, _inode: Inode) -> Result<u64, Errno> {
        Ok(ROOT)
    }

    fn open(&self, inode: Inode) -> Result<Found<Handle>, Errno> {
        let content = self.content(inode).ok_or(Errno::EISDIR)?;
        let attributes = self.file(inode, &content).attributes;
        Ok(Found::Here(Handle { attributes, content: Content::Made(content) }))
    }

    fn clips(&self, inode: Inode) -> Result<Vec<ClipKey>, Errno> {
        match inode {
            Inode::Root => self.clips.clips(inode),
            _ => Err(Errno::EPERM),
        }
    }

    fn unlink(&self, parent: Inode, name: &str) -> Result<(), Errno> {
        match name {
            _ if TOLD.iter().any(|(told, ..)| *told == name) => Err(Errno::EPERM),
            RANGE_NAME | LIVE_NAME => Err(Errno::EISDIR),
            ANNOUNCE_NAME if self.hidden.is_some() => Err(Errno::EISDIR),
            _ => self.clips.unlink(parent, name),
        }
    }

    fn rmdir(&self, parent: Inode, name: &str) -> Result<(), Errno> {
        match name {
            RANGE_NAME | LIVE_NAME => Err(Errno::EPERM),
            ANNOUNCE_NAME if self.hidden.is_some() => Err(Errno::EPERM),
            _ => self.clips.rmdir(parent, name),
        }
    }
}
