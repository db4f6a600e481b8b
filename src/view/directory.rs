//! One directory of the tree: its entries by cookie, and by name.

use std::collections::{BTreeMap, BTreeSet};

use crate::units::WallTime;

/// A directory of the tree.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) parent: u64,
    pub(super) name: Box<str>,
    pub(super) generation: u64,
    pub(super) subdirectories: u32,
    /// Whether it is `.trash`, or below it.
    pub(super) is_trash: bool,
    pub(super) newest: WallTime,
    pub(super) sums: Sums,
    pub(super) entries: BTreeMap<u64, Listed>,
    /// Checksum of each name, and its cookie: a third of the memory of a second copy of the names.
    names: BTreeSet<(u32, u64)>,
}

/// What all clips in a directory, and below it, come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many there are.
    pub clips: u64,
    /// Length of their files, in bytes.
    pub bytes: u64,
}

/// What a directory knows of an entry.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: Box<str>,
    /// `None` for a directory, whose inode is in its cookie.
    pub(super) clip: Option<ClipTimes>,
}

/// What `stat` says of a clip.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClipTimes {
    pub(super) redated: bool,
    pub(super) start: WallTime,
    pub(super) end: WallTime,
    pub(super) size: u64,
}

impl Directory {
    /// An empty one, as old as time.
    pub(super) fn new(parent: u64, name: &str, generation: u64, is_trash: bool) -> Directory {
        Directory {
            parent,
            name: name.into(),
            generation,
            subdirectories: 0,
            is_trash,
            newest: WallTime(0),
            sums: Sums::default(),
            entries: BTreeMap::new(),
            names: BTreeSet::new(),
        }
    }

    /// Where `name` stands in the listing.
    pub(super) fn cookie_of(&self, name: &str) -> Option<u64> {
        let sum = checksum(name);
        self.names
            .range((sum, 0)..=(sum, u64::MAX))
            .map(|(_, cookie)| *cookie)
            .find(|cookie| self.entries.get(cookie).is_some_and(|listed| &*listed.name == name))
    }

    /// Lists a clip, or a directory.
    pub(super) fn add(&mut self, cookie: u64, name: &str, clip: Option<ClipTimes>) {
        self.names.insert((checksum(name), cookie));
        self.subdirectories += u32::from(clip.is_none());
        self.entries.insert(cookie, Listed { name: name.into(), clip });
    }

    /// Takes an entry off the listing.
    pub(super) fn take(&mut self, cookie: u64) -> Option<Listed> {
        let listed = self.entries.remove(&cookie)?;
        self.names.remove(&(checksum(&listed.name), cookie));
        self.subdirectories -= u32::from(listed.clip.is_none());
        Some(listed)
    }
}

fn checksum(name: &str) -> u32 {
    crc32c::crc32c(name.as_bytes())
}
