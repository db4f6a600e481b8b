//! What there is to say of a file.

use std::io;

/// Why nothing can be made of a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("neither mp4, nor Matroska, nor MPEG-TS")]
    Unknown,
    /// Its index was never written.
    #[error("no moov box: the recording was not finished, and says nothing of its samples")]
    NoIndex,
    /// It has no pictures.
    #[error("no video track")]
    NoVideo,
    /// Its pictures are coded in another way.
    #[error("the video is {0}; H.264, H.265 and JPEG are recorded")]
    Coding(String),
    /// Not one of its pictures is whole.
    #[error("not one of its pictures is whole")]
    Empty,
    /// It is more than the reader handles.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// It contradicts itself or the standard.
    #[error("malformed: {0}")]
    Malformed(String),
}

/// What is of no packet of a file may have been of none, in bytes.
const BESIDE_BYTES_MAX: u64 = 64 << 10;

/// Something to be said of a file that is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Remark {
    /// Samples of a track are missing: it is cut off, or its tables are.
    #[error("{kind}: {missing} of {count} samples are not in the file, which is cut off")]
    CutOff {
        /// What the track is to people.
        kind: &'static str,
        /// Samples that are not whole.
        missing: u64,
        /// Samples that there should be.
        count: u64,
    },
    /// A track is left out.
    #[error("track {number} is left out: {what}")]
    LeftOut {
        /// The number of the track in the file.
        number: u64,
        /// What it is, and why.
        what: String,
    },
    /// A file that is written piece by piece ends within one: what would have followed is missing.
    #[error("the file ends within the {kind} at byte {offset}: it was not finished")]
    Ends {
        /// What it ends in.
        kind: String,
        /// In bytes from the beginning of the file.
        offset: u64,
    },
    /// Something that is no part of the container lies in it.
    #[error("{length} bytes from byte {offset} on are no box, and passed")]
    Stray {
        /// In bytes from the beginning of the file.
        offset: u64,
        /// In bytes.
        length: u64,
    },
    /// Samples of which packets are missing are left out.
    #[error("{kind}: packets are missing of {count} of its samples, which are left out")]
    Torn {
        /// What the track is to people.
        kind: &'static str,
        /// How many.
        count: u64,
    },
    /// Nothing can be read between samples.
    #[error("{length} bytes from byte {offset} on are damaged: what was in them is left out")]
    Damaged {
        /// In bytes from the beginning of the file.
        offset: u64,
        /// In bytes.
        length: u64,
    },
    /// Samples have no bytes: nothing is left out with them.
    #[error("{kind}: {count} of its samples are empty, and passed")]
    Empty {
        /// What the track is to people.
        kind: &'static str,
        /// How many.
        count: u64,
    },
    /// Samples name a sample entry that is not there.
    #[error("{kind}: nothing says how {count} of its samples are coded, which are left out")]
    NoEntry {
        /// What the track is to people.
        kind: &'static str,
        /// How many.
        count: u64,
    },
    /// Frames of ADTS hold several packets of AAC, which only a decoder can part.
    #[error("sound: {count} frames hold several packets of AAC each, and are left out")]
    Unparted {
        /// How many.
        count: u64,
    },
    /// Sound is coded in another way from somewhere on.
    #[error("sound: {count} of its samples are coded in another way than the first, and left out")]
    Recoded {
        /// How many.
        count: u64,
    },
    /// There are other bytes between packets.
    #[error("{bytes} bytes are of no packet, and passed")]
    NoPackets {
        /// How many.
        bytes: u64,
    },
    /// Times begin anew in the middle: what follows is put behind what was before.
    #[error("its times begin anew at sample {sample}: the rest is put behind what is before")]
    TimesAnew {
        /// The number of the sample, from 1.
        sample: u64,
    },
}

impl Remark {
    /// Whether pictures or sound are missing that the file should have.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        match self {
            // Something may stand before the first packet.
            Remark::NoPackets { bytes } => *bytes > BESIDE_BYTES_MAX,
            Remark::CutOff { .. }
            | Remark::Ends { .. }
            | Remark::Torn { .. }
            | Remark::Recoded { .. }
            | Remark::NoEntry { .. }
            | Remark::Unparted { .. }
            | Remark::Damaged { .. } => true,
            Remark::LeftOut { .. }
            | Remark::Stray { .. }
            | Remark::Empty { .. }
            | Remark::TimesAnew { .. } => false,
        }
    }
}
