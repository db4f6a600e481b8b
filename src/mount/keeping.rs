//! Clips that are kept: protected by an extended attribute of them, or of what they are in.

use std::ffi::OsStr;

use fuser::Errno;

use super::errno;
use super::served::Served;
use crate::named::parse_until;
use crate::ring::Usage;
use crate::units::ByteCount;
use crate::view::Inode;

/// The attribute that protects. Set on a directory or a range it is one of the clips in it.
const KEEP: &str = "user.reelfs.keep";

impl Served {
    /// Sets an extended attribute; `flags` are those of setxattr(2).
    pub(super) fn set_extended(
        &self,
        inode: u64,
        name: &OsStr,
        value: &[u8],
        flags: i32,
    ) -> Result<(), Errno> {
        self.check_writable()?;
        if name != KEEP {
            return Err(Errno::EROFS);
        }
        let is_kept = || self.extended(inode).iter().any(|(name, _)| *name == KEEP);
        match flags {
            libc::XATTR_CREATE if is_kept() => return Err(Errno::EEXIST),
            libc::XATTR_REPLACE if !is_kept() => return Err(Errno::ENODATA),
            _ => {}
        }
        let (named, kind) = self.named(inode)?;
        let clips = kind.clips(named)?;
        if clips.is_empty() {
            return Err(Errno::ENODATA);
        }
        let until = str::from_utf8(value).map_err(|_| Errno::EINVAL)?;
        let zone = self.shown().tree().zone();
        let until = parse_until(until, &zone, self.library().now()).map_err(|error| {
            log::warn!("not kept: {error}; forever, 2027-01-31 and 90d say until when");
            Errno::EINVAL
        })?;
        let kept = self.shown().keep(&clips, until, self.library());
        kept.map(drop).map_err(|error| errno::of_change(&error))
    }

    /// Removes an extended attribute.
    pub(super) fn remove_extended(&self, inode: u64, name: &OsStr) -> Result<(), Errno> {
        self.check_writable()?;
        if name != KEEP {
            return Err(Errno::EROFS);
        }
        let (named, kind) = self.named(inode)?;
        let clips = kind.clips(named)?;
        if clips.is_empty() {
            return Err(Errno::ENODATA);
        }
        match self.shown().release(&clips, self.library()) {
            Ok(0) => Err(Errno::ENODATA),
            Ok(_) => Ok(()),
            Err(error) => Err(errno::of_change(&error)),
        }
    }

    /// How full that is which an inode is in: the ring, or what of it may be kept.
    pub(super) fn usage(&self, inode: u64) -> Usage {
        let usage = self.library().usage();
        let is_kept =
            Inode::decode(inode) == Some(Inode::Kept) || self.shown().tree().is_below_kept(inode);
        if !is_kept {
            return usage;
        }
        let (size, used) = (self.library().keep_max(), usage.kept);
        let free = ByteCount(size.0.saturating_sub(used.0));
        Usage { size, used, free, ..usage }
    }
}
