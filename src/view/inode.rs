//! Inodes: what each of them names, and how 64 bits say so. Written and read here alone.
//!
//! | bits 63, 62 | the bits below | [`Inode`] |
//! |---|---|---|
//! | 0, 0 | 1 | the root, as FUSE has it |
//! | 0, 0 | session (22 bits), ring (8), counter (32), together above 1 | a clip |
//! | 0, 1 | 0 | `.status.json` |
//! | 0, 1 | a count, with bits 61 to 59 clear | a snapshot of what grows |
//! | 0, 1 | the last three such counts, which no snapshot gets | what leaves, `.metrics`, `.log` |
//! | 0, 1 | bit 59, and a name's hash, with bits 61 and 60 clear | a file in `live` |
//! | 0, 1 | bit 60, and a count, with bits 61 and 59 clear | a range that has been named |
//! | 0, 1 | bits 60 and 59, and a path's hash | what is said of the ranges of a camera |
//! | 0, 1 | bit 61, and a name's hash | a name in `now` that is listed: no snapshot yet |
//! | 1, 0 | a path's hash | a directory; those that are always there are known ones |
//! | 1, 1 | as those of a clip | a clip that has got other times than those it was listed with |
//!
//! An inode that is listed in the tree has a *cookie*: its place in the listing of its directory.
//! It has to be positive as a signed number, so that a directory's has bit 62 instead of bit 63; a
//! clip's is the inode that it was first listed with.
//!
//! A clip's session and counter are those of its id, which its ring never gives out again; the ring
//! is its number in the tree, which is in its superblock ([`ClipKey`]). So two files never share an
//! inode, and none changes when the daemon restarts or devices are named in another order. A
//! directory's comes from its path alone: clips of several rings may be in one.

use crate::units::ClipKey;

/// The root's inode, as FUSE has it.
pub const ROOT: u64 = 1;

/// The directory of growing clips, in the root. It is in the tree; what it lists is not.
pub const NOW_NAME: &str = "now";

/// The directory of what cameras send at this moment, in the root: found by its name, not listed.
pub const LIVE_NAME: &str = "live";

/// The directory of removed clips, in the root: found by its name, not listed.
pub const TRASH_NAME: &str = ".trash";

/// The directory of kept clips, in the root: found by its name, not listed.
pub const KEPT_NAME: &str = ".kept";

/// The directory of ranges, in the root: found by its name, not listed.
pub const RANGE_NAME: &str = ".range";

/// Where clips appear from that the mount announces, in the root: found by its name, not listed.
pub const ANNOUNCE_NAME: &str = ".announce";

/// What could not be made of the ranges that were asked for, in the directory of a camera's.
pub const RANGE_LOG_NAME: &str = ".log";

/// The status file, in the root: found by its name, not listed.
pub const STATUS_NAME: &str = ".status.json";

/// What the daemon counts, in the root: found by its name, not listed.
pub const METRICS_NAME: &str = ".metrics";

/// The last lines of the log, in the root: found by its name, not listed.
pub const LOG_NAME: &str = ".log";

/// Set in a directory's inode.
const DIRECTORY_BIT: u64 = 1 << 63;

/// Set in the inode of what is made while it is served, and in the cookie of a directory.
const MADE_BIT: u64 = 1 << 62;

/// Set in the inode of a growing clip's file.
const GROWING_BIT: u64 = 1 << 61;

/// Set in the inode of what is in the directory of ranges, where the one above is not.
const RANGE_BIT: u64 = 1 << 60;

/// Set in that of what is said of ranges, and, without the one above, of a file in `live`.
const LOG_BIT: u64 = 1 << 59;

/// What a path's hash may fill.
pub(super) const HASH_MASK: u64 = MADE_BIT - 1;

/// What a name's hash may fill.
const MADE_MASK: u64 = GROWING_BIT - 1;

/// What the mount itself says, and a clip that leaves: what is made, below the bits above.
const LEAVING: u64 = LOG_BIT - 3;
const METRICS: u64 = LOG_BIT - 2;
const LOG: u64 = LOG_BIT - 1;

/// What a count of ranges may fill, or the hash of a path or a name.
const RANGE_MASK: u64 = LOG_BIT - 1;

/// Made of the path as any other directory's; written out, so that it is known without hashing.
const NOW: u64 = 0xAA8F_98E4_EE9B_0E47;
const LIVE: u64 = 0xBBE1_6D3D_612E_1EE1;
const TRASH: u64 = 0x9ACC_138A_B22E_4D4D;
const KEPT: u64 = 0x8CF3_B3FE_41B8_3AE3;
const RANGES: u64 = 0x8278_DD3B_A189_7229;
const ANNOUNCE: u64 = 0x982D_7DE7_FE48_6320;
const LEAVING_DIRECTORY: u64 = 0x8EBF_7D67_CA82_BF46;

/// What an inode stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inode {
    /// The root.
    Root,
    /// The directory of growing clips.
    Now,
    /// The directory of what cameras send.
    Live,
    /// A file in it.
    LiveFile(NameHash),
    /// The directory of removed clips; those below it are any directories.
    Trash,
    /// The directory of kept clips; those below it are any directories.
    Kept,
    /// The directory of ranges; one in it is any directory, and a camera's.
    Ranges,
    /// The directory that clips appear from; it holds nothing that anybody can name.
    Announce,
    /// A directory that is gone already, as who announces that sees it.
    LeavingDirectory,
    /// Any other directory of the tree.
    Directory(PathHash),
    /// A closed clip.
    Clip(ClipKey),
    /// A closed clip that was recorded on a wrong clock, once it has got its times: its name and
    /// its bytes are others, so that it is another file to whoever keeps either.
    Redated(ClipKey),
    /// A clip that is gone already, as who announces that sees it.
    Leaving,
    /// The status file.
    Status,
    /// What the daemon counts.
    Metrics,
    /// The last lines of the log.
    Log,
    /// A range that has been named: the how-manieth of this mount, from 0 on.
    Range(u64),
    /// What is said of the ranges in the directory at a path.
    RangeLog(PathHash),
    /// The file of a growing clip in [`Inode::Now`], whichever clip of its camera grows.
    Growing(NameHash),
}

/// What a directory's path comes to: the same after every restart and upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PathHash(u64);

/// What a growing clip's name comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameHash(u64);

impl Inode {
    /// What `word` stands for; `None` where it is none that was ever given out.
    #[must_use]
    pub fn decode(word: u64) -> Option<Inode> {
        let made = word & MADE_MASK;
        match (word & DIRECTORY_BIT != 0, word & MADE_BIT != 0) {
            (false, false) if word == ROOT => Some(Inode::Root),
            (false, false) => ClipKey::from_number(word).map(Inode::Clip),
            (false, true) if word & GROWING_BIT != 0 => Some(Inode::Growing(NameHash(made))),
            (false, true) if made == 0 => Some(Inode::Status),
            (false, true) if word & RANGE_BIT != 0 && word & LOG_BIT != 0 => {
                Some(Inode::RangeLog(PathHash(word & RANGE_MASK)))
            }
            (false, true) if word & RANGE_BIT != 0 => Some(Inode::Range(word & RANGE_MASK)),
            (false, true) if word & LOG_BIT != 0 => {
                Some(Inode::LiveFile(NameHash(word & RANGE_MASK)))
            }
            (false, true) if made == LEAVING => Some(Inode::Leaving),
            (false, true) if made == METRICS => Some(Inode::Metrics),
            (false, true) if made == LOG => Some(Inode::Log),
            (false, true) => None,
            (true, false) if word == NOW => Some(Inode::Now),
            (true, false) if word == LIVE => Some(Inode::Live),
            (true, false) if word == TRASH => Some(Inode::Trash),
            (true, false) if word == KEPT => Some(Inode::Kept),
            (true, false) if word == RANGES => Some(Inode::Ranges),
            (true, false) if word == ANNOUNCE => Some(Inode::Announce),
            (true, false) if word == LEAVING_DIRECTORY => Some(Inode::LeavingDirectory),
            (true, false) => Some(Inode::Directory(PathHash(word & HASH_MASK))),
            (true, true) => ClipKey::from_number(word & HASH_MASK).map(Inode::Redated),
        }
    }

    /// The 64 bits that stand for it.
    #[must_use]
    pub fn word(self) -> u64 {
        match self {
            Inode::Root => ROOT,
            Inode::Now => NOW,
            Inode::Live => LIVE,
            Inode::LiveFile(NameHash(hash)) => MADE_BIT | LOG_BIT | hash,
            Inode::Trash => TRASH,
            Inode::Kept => KEPT,
            Inode::Ranges => RANGES,
            Inode::Announce => ANNOUNCE,
            Inode::LeavingDirectory => LEAVING_DIRECTORY,
            Inode::Directory(PathHash(hash)) => DIRECTORY_BIT | hash,
            Inode::Clip(clip) => clip.number(),
            Inode::Redated(clip) => DIRECTORY_BIT | MADE_BIT | clip.number(),
            Inode::Status => MADE_BIT,
            Inode::Leaving => MADE_BIT | LEAVING,
            Inode::Metrics => MADE_BIT | METRICS,
            Inode::Log => MADE_BIT | LOG,
            Inode::Range(count) => MADE_BIT | RANGE_BIT | count & RANGE_MASK,
            Inode::RangeLog(PathHash(hash)) => MADE_BIT | RANGE_BIT | LOG_BIT | hash,
            Inode::Growing(NameHash(hash)) => MADE_BIT | GROWING_BIT | hash,
        }
    }

    /// The file that a clip is.
    #[must_use]
    pub fn of_clip(clip: ClipKey, redated: bool) -> Inode {
        if redated { Inode::Redated(clip) } else { Inode::Clip(clip) }
    }

    /// The file `name` in the directory of growing clips.
    #[must_use]
    pub fn growing(name: &str) -> Inode {
        Inode::Growing(NameHash(hash(name) & MADE_MASK))
    }

    /// The file `name` in the directory of what cameras send.
    #[must_use]
    pub fn live(name: &str) -> Inode {
        Inode::LiveFile(NameHash(hash(&format!("{LIVE_NAME}/{name}")) & RANGE_MASK))
    }

    /// The directory of the ranges of a camera.
    #[must_use]
    pub fn ranges_of(camera: &str) -> Inode {
        Inode::directory(&format!("{RANGE_NAME}/{camera}"), 0, HASH_MASK)
    }

    /// What is said of the ranges of a camera.
    #[must_use]
    pub fn range_log_of(camera: &str) -> Inode {
        let path = format!("{RANGE_NAME}/{camera}/{RANGE_LOG_NAME}");
        Inode::RangeLog(PathHash(hash(&path) & RANGE_MASK))
    }

    /// The directory at `path`. Two paths may come to the same, at odds of 2⁻⁶²: `attempt` makes
    /// the second of them another. `mask` is [`HASH_MASK`], less in a test of this.
    pub(super) fn directory(path: &str, attempt: u32, mask: u64) -> Inode {
        let hash = match attempt {
            0 => hash(path),
            // No path holds a NUL, so this is nobody else's first choice.
            _ => hash(&format!("{path}\0{attempt}")),
        };
        Inode::Directory(PathHash(hash & mask & HASH_MASK))
    }

    /// Where it stands in the listing of a directory.
    #[must_use]
    pub fn cookie(self) -> u64 {
        match self {
            Inode::Root
            | Inode::Now
            | Inode::Live
            | Inode::Trash
            | Inode::Kept
            | Inode::Ranges
            | Inode::Announce
            | Inode::LeavingDirectory
            | Inode::Directory(_) => self.word() & HASH_MASK | MADE_BIT,
            Inode::Redated(clip) => clip.number(),
            Inode::Clip(_)
            | Inode::Leaving
            | Inode::Status
            | Inode::Metrics
            | Inode::Log
            | Inode::LiveFile(_)
            | Inode::Range(_)
            | Inode::RangeLog(_)
            | Inode::Growing(_) => self.word(),
        }
    }
}

/// The other way round: the inode behind a cookie of the tree.
pub(super) fn word_of_cookie(cookie: u64) -> u64 {
    match cookie & MADE_BIT != 0 {
        true => cookie & HASH_MASK | DIRECTORY_BIT,
        false => cookie,
    }
}

fn hash(text: &str) -> u64 {
    let digest = blake3::hash(text.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{ClipId, RingNumber, Sequence, SessionNumber};

    fn clip(number: u64) -> Inode {
        Inode::Clip(ClipKey::from_number(number).expect("a clip's number"))
    }

    fn redated(number: u64) -> Inode {
        Inode::of_clip(ClipKey::from_number(number).expect("a clip's number"), true)
    }

    fn directory(path: &str, attempt: u32) -> u64 {
        Inode::directory(path, attempt, HASH_MASK).word()
    }

    #[test]
    fn a_path_has_the_same_inode_for_ever() {
        assert_eq!(directory("2026-11-21", 0), 0x99DE_9950_7246_C784);
        assert_ne!(
            directory("2026-11-21", 0),
            directory("2026-11-21", 1),
            "a second attempt is another number"
        );
    }

    #[test]
    fn a_cookie_leads_back_to_its_directory_and_is_a_valid_offset() {
        let inode = Inode::directory("2026-11-21/front-door", 0, HASH_MASK);
        for inode in [inode, Inode::Now, Inode::Trash] {
            let cookie = inode.cookie();
            assert!(i64::try_from(cookie).is_ok());
            assert_eq!(word_of_cookie(cookie), inode.word());
        }
        let clip = clip(3 << 40 | 5);
        assert_eq!((clip.cookie(), word_of_cookie(clip.cookie())), (clip.word(), clip.word()));
    }

    #[test]
    fn what_is_always_there_has_the_inode_of_its_path() {
        let known = [
            (NOW_NAME, Inode::Now),
            (LIVE_NAME, Inode::Live),
            (TRASH_NAME, Inode::Trash),
            (KEPT_NAME, Inode::Kept),
            (RANGE_NAME, Inode::Ranges),
            (ANNOUNCE_NAME, Inode::Announce),
            (".announce/\0", Inode::LeavingDirectory),
        ];
        for (name, inode) in known {
            assert_eq!(inode.word(), directory(name, 0), "{name}");
        }
    }

    #[test]
    fn every_kind_has_its_inode_for_ever() {
        let of_ring = |ring, session, counter| {
            let id = ClipId(Sequence::new(SessionNumber(session), counter));
            Inode::Clip(ClipKey::new(RingNumber(ring), id).expect("a sound id"))
        };
        let written = [
            (Inode::Root, 1),
            (clip(2), 2),
            (of_ring(0, 7, 9), 0x0000_0700_0000_0009),
            (of_ring(1, 7, 9), 0x0000_0701_0000_0009),
            (of_ring(255, 7, 9), 0x0000_07FF_0000_0009),
            (clip(MADE_BIT - 1), 0x3FFF_FFFF_FFFF_FFFF),
            (redated(3 << 40 | 5), 0xC000_0300_0000_0005),
            (Inode::Status, 0x4000_0000_0000_0000),
            (Inode::Leaving, 0x47FF_FFFF_FFFF_FFFD),
            (Inode::Metrics, 0x47FF_FFFF_FFFF_FFFE),
            (Inode::Log, 0x47FF_FFFF_FFFF_FFFF),
            (Inode::live("a.mp4"), 0x497D_8806_DC30_4A5F),
            (Inode::Range(0), 0x5000_0000_0000_0000),
            (Inode::Range(RANGE_MASK), 0x57FF_FFFF_FFFF_FFFF),
            (Inode::range_log_of("a"), 0x5FCA_2516_C698_9EC1),
            (Inode::growing("a.mp4"), 0x6584_FE4B_BD62_0248),
            (Inode::Trash, 0x9ACC_138A_B22E_4D4D),
            (Inode::Now, 0xAA8F_98E4_EE9B_0E47),
            (Inode::Live, LIVE),
            (Inode::directory("2026-11-21", 0, HASH_MASK), 0x99DE_9950_7246_C784),
        ];
        for (inode, word) in written {
            assert_eq!(inode.word(), word, "{inode:?}");
            assert_eq!(Inode::decode(word), Some(inode), "{word:#x}");
        }
        assert_eq!(Inode::decode(0), None);
        assert_eq!(Inode::decode(3 << 62), None, "no clip has that number");
        assert_eq!(Inode::decode(MADE_BIT | 1), None, "nothing that is made has it");
    }

    proptest::proptest! {
        /// No word stands for two things, and nothing has two words.
        #[test]
        fn every_word_is_one_inode_or_none(word: u64, kind in 0..4_u64, small in 0..4_u64) {
            let of_a_kind = kind << 62 | word & HASH_MASK;
            for word in [word, of_a_kind, of_a_kind & !GROWING_BIT, kind << 62 | small] {
                match Inode::decode(word) {
                    Some(inode) => proptest::prop_assert_eq!(inode.word(), word, "{:?}", inode),
                    None => proptest::prop_assert!(
                        word == 0 || word >> 62 == 3 || (1..LEAVING).contains(&(word ^ MADE_BIT))
                    ),
                }
            }
        }
    }
}
