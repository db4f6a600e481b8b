//! What `stat` and `getfattr` say, and for how long the kernel may believe it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{Errno, FileAttr, FileType, Generation, INodeNo, ReplyXattr};

use crate::library::Attribute;
use crate::units::WallTime;
use crate::view::{Node, NodeKind};

/// Closed clips and snapshots never change, and who removes one says so.
pub(super) const FILE_TTL: Duration = Duration::from_secs(3600);

/// A directory changes with each clip; one question a second for each costs nothing.
pub(super) const DIRECTORY_TTL: Duration = Duration::from_secs(1);

/// What has to be asked for every time.
pub(super) const NO_TTL: Duration = Duration::ZERO;

/// What a umask takes from.
const DIRECTORY_MODE: u16 = 0o777;
const FILE_MODE: u16 = 0o444;

/// What `st_blocks` counts in, in bytes; POSIX leaves it open, Linux does not.
const STAT_BLOCK_BYTES: u64 = 512;

/// What a file is written in, were it written, in bytes: a page. The kernel takes it for the
/// inode's block size, so it has to be one that a page cache knows.
const IO_BYTES: u32 = 4096;

/// Whom everything belongs to, and who may do what with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ownership {
    /// User.
    pub(super) uid: u32,
    /// Group.
    pub(super) gid: u32,
    /// Permissions that nobody has.
    pub(super) umask: u16,
}

/// An inode, and how long it and its name may be believed.
#[derive(Clone, Copy)]
pub(super) struct Described {
    /// What `stat` says.
    pub(super) attributes: FileAttr,
    /// Tells it from an earlier use of its number.
    pub(super) generation: Generation,
    /// How long its attributes hold.
    pub(super) attribute_ttl: Duration,
    /// How long its name holds.
    pub(super) entry_ttl: Duration,
}

impl Ownership {
    /// A read-only file that was finished at `modified`.
    pub(super) fn file(self, inode: u64, size: u64, start: WallTime, end: WallTime) -> FileAttr {
        let end = system_time(end);
        FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: size.div_ceil(STAT_BLOCK_BYTES),
            atime: end,
            mtime: end,
            ctime: end,
            crtime: system_time(start),
            kind: FileType::RegularFile,
            perm: FILE_MODE & !self.umask,
            nlink: 1,
            uid: self.uid,
            gid: self.gid,
            rdev: 0,
            blksize: IO_BYTES,
            flags: 0,
        }
    }

    /// A clip or a directory of the tree.
    pub(super) fn node(self, node: &Node) -> Described {
        match node.kind {
            NodeKind::Clip { start, size, .. } => Described {
                attributes: self.file(node.inode, size, start, node.modified),
                generation: Generation(node.generation),
                attribute_ttl: FILE_TTL,
                entry_ttl: FILE_TTL,
            },
            NodeKind::Directory { subdirectories } => {
                let file = self.file(node.inode, 0, node.modified, node.modified);
                let attributes = FileAttr {
                    kind: FileType::Directory,
                    perm: DIRECTORY_MODE & !self.umask,
                    nlink: subdirectories.saturating_add(2),
                    ..file
                };
                Described {
                    attributes,
                    generation: Generation(node.generation),
                    attribute_ttl: DIRECTORY_TTL,
                    entry_ttl: DIRECTORY_TTL,
                }
            }
        }
    }
}

fn system_time(wall: WallTime) -> SystemTime {
    let distance = Duration::from_nanos(wall.0.unsigned_abs());
    let time = if wall.0 < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(UNIX_EPOCH)
}

/// Answers `getxattr`. `size` is the room that the asker has, in bytes; 0 asks for the length.
pub(super) fn give_one(attributes: &[Attribute], name: &OsStr, size: u32, reply: ReplyXattr) {
    match attributes.iter().find(|(key, _)| key.as_bytes() == name.as_bytes()) {
        Some((_, value)) => give(value.as_bytes(), size, reply),
        None if name.as_bytes().starts_with(b"user.") => reply.error(Errno::ENODATA),
        // ACLs, labels and capabilities are not kept at all. `ls -l` then asks for one file, not
        // for each, and nothing of this is cached by the kernel.
        None => reply.error(Errno::EOPNOTSUPP),
    }
}

/// Answers `listxattr`; `size` as in [`give_one`].
pub(super) fn give_names(attributes: &[Attribute], size: u32, reply: ReplyXattr) {
    let mut names = Vec::new();
    for (name, _) in attributes {
        names.extend_from_slice(name.as_bytes());
        names.push(0);
    }
    give(&names, size, reply);
}

fn give(bytes: &[u8], size: u32, reply: ReplyXattr) {
    match u32::try_from(bytes.len()) {
        Ok(length) if size == 0 => reply.size(length),
        Ok(length) if length <= size => reply.data(bytes),
        _ => reply.error(Errno::ERANGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_and_after_1970_are_kept_to_the_nanosecond() {
        let wall = 1_795_219_200_123_456_789;
        let since = system_time(WallTime(wall)).duration_since(UNIX_EPOCH).expect("after");
        assert_eq!(since.as_nanos(), wall as u128);
        let before = UNIX_EPOCH.duration_since(system_time(WallTime(-wall))).expect("before");
        assert_eq!(before.as_nanos(), wall as u128);
        system_time(WallTime(i64::MIN));
    }

    #[test]
    fn a_file_has_as_many_blocks_as_its_size_says() {
        let owner = Ownership { uid: 1, gid: 2, umask: 0o022 };
        for (size, blocks) in [(0, 0), (1, 1), (512, 1), (513, 2)] {
            assert_eq!(owner.file(5, size, WallTime(0), WallTime(0)).blocks, blocks);
        }
    }
}
