//! What can be wrong with a chunk, in words.

use std::fmt;
use std::ops::Range;

use crate::units::{ClipId, Sequence};

/// What is wrong at a place of a block. Shown with [`fmt::Display`]: what was found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The device does not read it.
    Unreadable {
        /// What the device said.
        reason: String,
    },
    /// No chunk's header, or one whose checksum is wrong.
    NoHeader,
    /// No sound parameter set.
    NoSet,
    /// The header of another life of the block, or of another ring.
    OtherLife {
        /// The life that it names.
        life: Sequence,
    },
    /// A chunk of another number than that which should be here.
    OtherNumber {
        /// Its number in the block.
        found: u32,
        /// The number that should be here.
        expected: u32,
    },
    /// It does not name the chunk before it.
    OtherPredecessor {
        /// The header checksum that it names.
        found: u32,
        /// That of the chunk before.
        expected: u32,
    },
    /// A chunk of another clip.
    OtherClip {
        /// The clip that it names.
        found: ClipId,
        /// The clip whose extent this is.
        expected: ClipId,
    },
    /// A chunk of another number in its clip.
    OtherNumberInClip {
        /// The number that it has.
        found: u32,
        /// The number that should be here.
        expected: u32,
    },
    /// Units of 16 KiB of the data whose checksums are wrong, or that the device does not read.
    Units {
        /// Which, counted from 0.
        damaged: Vec<u32>,
        /// How many the chunk has.
        of: u32,
    },
    /// All checksums are right, and the digest is not that of the data.
    Digest,
    /// The chunks of the extent end before it does.
    ShortExtent {
        /// Chunks that are there.
        found: u32,
        /// Chunks that the facts say.
        expected: u32,
    },
    /// The last chunk of the extent is not the one that the facts know.
    OtherSeal {
        /// Its header checksum.
        found: u32,
        /// What the facts say.
        expected: u32,
    },
}

impl Wrong {
    /// What should have been found.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Wrong::Unreadable { .. } | Wrong::NoHeader => "the header of a chunk".into(),
            Wrong::NoSet => "the parameter set that the chunks behind it use".into(),
            Wrong::OtherLife { .. } => "a chunk of the life that the facts know".into(),
            Wrong::OtherNumber { expected, .. } => format!("chunk {expected} of the block"),
            Wrong::OtherPredecessor { expected, .. } => format!("predecessor {expected:08x}"),
            Wrong::OtherClip { expected, .. } => format!("a chunk of clip {expected}"),
            Wrong::OtherNumberInClip { expected, .. } => format!("chunk {expected} of the clip"),
            Wrong::Units { .. } => "data with the checksums of the header".into(),
            Wrong::Digest => "data with the digest of the header".into(),
            Wrong::ShortExtent { expected, .. } => format!("{expected} chunks"),
            Wrong::OtherSeal { expected, .. } => format!("last header checksum {expected:08x}"),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Unreadable { reason } => write!(f, "unreadable: {reason}"),
            Wrong::NoHeader => write!(f, "no header, or a damaged one"),
            Wrong::NoSet => write!(f, "no parameter set, or a damaged one"),
            Wrong::OtherLife { life } => write!(f, "a chunk of life {life}"),
            Wrong::OtherNumber { found, .. } => write!(f, "chunk {found} of the block"),
            Wrong::OtherPredecessor { found, .. } => write!(f, "predecessor {found:08x}"),
            Wrong::OtherClip { found, .. } => write!(f, "a chunk of clip {found}"),
            Wrong::OtherNumberInClip { found, .. } => write!(f, "chunk {found} of the clip"),
            Wrong::Units { damaged, of } => {
                let first = damaged.first().copied().unwrap_or(0);
                write!(f, "{} of {of} units damaged, the first is {first}", damaged.len())
            }
            Wrong::Digest => write!(f, "another digest, with right checksums"),
            Wrong::ShortExtent { found, .. } => write!(f, "{found} chunks"),
            Wrong::OtherSeal { found, .. } => write!(f, "last header checksum {found:08x}"),
        }
    }
}

/// Something wrong, with its place in the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Pages that are hit, from the beginning of the block.
    pub pages: Range<u32>,
    /// The chunk's number in its clip, where its header can be read.
    pub number_in_clip: Option<u32>,
    /// Its sample table, where its header can be read: which samples are hit.
    pub table: Option<Vec<u8>>,
    /// What is wrong.
    pub wrong: Wrong,
}
