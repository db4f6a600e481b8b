//! Inode numbers and listing cookies, and how they are told apart.

use crate::units::ClipId;

/// The root's inode, as FUSE has it.
pub const ROOT: u64 = 1;

/// Set, with bit 63 clear, in the inode of everything that is not in the tree: whoever serves the
/// tree gives these out.
pub const SERVED_BIT: u64 = 1 << 62;

/// Set in a directory's inode.
const DIRECTORY_BIT: u64 = 1 << 63;

/// What a hash may fill.
pub(super) const HASH_MASK: u64 = SERVED_BIT - 1;

const _: () = assert!(HASH_MASK & (SERVED_BIT | DIRECTORY_BIT) == 0);

/// A number below 2⁶² that depends on `name` alone, the same after every restart and upgrade.
#[must_use]
pub fn name_number(name: &str) -> u64 {
    let digest = blake3::hash(name.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_le_bytes(first) & HASH_MASK
}

/// The inode of the directory at `path`. Two paths may share one, at odds of 2⁻⁶²: `attempt`
/// gives the second of them another. `mask` is [`HASH_MASK`], less in a test of this.
pub(super) fn directory(path: &str, attempt: u32, mask: u64) -> u64 {
    let hash = match attempt {
        0 => name_number(path),
        // No path holds a NUL, so this is nobody else's first choice.
        _ => name_number(&format!("{path}\0{attempt}")),
    };
    hash & mask | DIRECTORY_BIT
}

/// Where a clip stands in a listing.
pub(super) fn clip_cookie(clip: ClipId) -> u64 {
    debug_assert!(clip.number() > ROOT && clip.number() < SERVED_BIT);
    clip.number()
}

/// Where a directory stands in a listing: a seek offset is signed, so bit 63 has to go, and bit
/// 62 keeps it off the clips.
pub(super) fn directory_cookie(inode: u64) -> u64 {
    inode & HASH_MASK | SERVED_BIT
}

/// The other way round: which inode stands behind a cookie that is a directory's.
pub(super) fn directory_of(cookie: u64) -> u64 {
    cookie & HASH_MASK | DIRECTORY_BIT
}

/// Whether a cookie is a directory's.
pub(super) fn is_directory_cookie(cookie: u64) -> bool {
    cookie & SERVED_BIT != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_same_inode_for_ever() {
        assert_eq!(directory("2026-11-21", 0, HASH_MASK), 0x99DE_9950_7246_C784);
        assert_ne!(
            directory("2026-11-21", 0, HASH_MASK),
            directory("2026-11-21", 1, HASH_MASK),
            "a second attempt is another number"
        );
    }

    #[test]
    fn a_cookie_leads_back_to_its_directory_and_is_a_valid_offset() {
        let inode = directory("2026-11-21/front-door", 0, HASH_MASK);
        let cookie = directory_cookie(inode);
        assert!(i64::try_from(cookie).is_ok());
        assert!(is_directory_cookie(cookie));
        assert_eq!(directory_of(cookie), inode);
    }
}
