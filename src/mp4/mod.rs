//! Chunks to mp4: exact size, boxes, and the pieces of which the file consists. Pure.
//!
//! A file is `ftyp`, `moov` and one `mdat`, whose header always takes 16 bytes. The `mdat` is the
//! data of the clip's chunks, one after another, as they lie on the ring, but for timed records;
//! all that is made is in front of it.
//!
//! **Sizes are additive.** Each table entry belongs to one chunk, runs are not merged across
//! chunks, offsets and times always take 64 bits, and which boxes are there depends on the
//! [`ClipFact`](crate::segment::ClipFact) alone. So [`size`] is a constant plus a sum of counts,
//! and `stat` builds nothing. [`Movie::new`] compares what the tables hold with what the fact
//! promised, and refuses to make a file of another size.
//!
//! **Bytes are for ever.** They depend on the fact, the tables and the parameter sets, and on
//! nothing else: no clock, no order of a map. A clip keeps the [`OUTPUT_VERSION`] that it was
//! closed under; a change of a single byte is a new version, beside the old one.
//!
//! | version | timed records | sound is presented |
//! |---|---|---|
//! | 1 | a track with the handler `meta` | to its own end |
//! | 2 | neither a track nor their bytes, last in each chunk | to the end of the video at most |
//!
//! FLAC came with version 2; its samples are in no `roll` group.
//!
//! Nobody plays records, and some programs complain of them; sound that goes on behind the video
//! would put the next clip off where two are joined. The bytes of video alone are the same in both
//! versions. What made changing parameter sets play everywhere is in the samples themselves: one
//! sample entry, and the sets in front of each key frame (`ring/FORMAT.md`).
//!
//! **Time.** Tick *t* of the clip is media time *t* − `start` of a track, and is presented *t*
//! after the clip's start. The first picture is presented at tick 0, unless the clip's first chunks
//! were lost. A track that begins later is delayed by an empty edit; what it has of priming
//! (`codec_delay`), or of samples from before tick 0, is cut off by the edit. A track has one edit,
//! or two where it is delayed. Players differ on all but the plainest of this, see *Sound* in
//! `ring/FORMAT.md`: whoever records lets sound begin with the first picture.
//!
//! Read `layout` (what there is, how long), `trak` (what a track is) and `moov` (how it looks),
//! `entry` (sample entries), `tables` (samples), `file` (pieces); `mvex` for what stands in front
//! of fragments.

pub(crate) mod boxes;
pub(crate) mod entry;
mod file;
pub(crate) mod layout;
pub(crate) mod moov;
pub(crate) mod mvex;
pub(crate) mod tables;
pub(crate) mod trak;

pub(crate) use entry::sets_in_band;
pub use entry::{codec_name, entry_facts, sample_entry};
pub use file::{Chunk, Movie, Piece};
pub use layout::size;

use crate::segment::Malformed;

/// The version of the assembly under which clips are closed now.
pub const OUTPUT_VERSION: u16 = 2;

/// Why a clip can't be made into a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mp4Error {
    /// The clip was closed by a newer program.
    #[error("mp4 output version {0} is not known, the newest known is {OUTPUT_VERSION}")]
    UnknownVersion(u16),
    /// A later program recorded what this one can't show.
    #[error("track {track} is of a kind that is not known: {kind}")]
    UnknownTrack {
        /// Its number.
        track: u8,
        /// The number of its kind.
        kind: u8,
    },
    /// More than the format can say.
    #[error("{what}: {found} is more than an mp4 can hold, {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u128,
        /// How much there may be.
        limit: u64,
    },
    /// A sample table is not one.
    #[error("sample table of chunk {chunk}: {reason}")]
    Table {
        /// Which chunk of the clip, counted from 0.
        chunk: usize,
        /// What is wrong with it.
        reason: Malformed,
    },
    /// A parameter set is not one.
    #[error("parameter set {number}: {reason}")]
    Parameters {
        /// Which of the clip, counted from 0.
        number: usize,
        /// What is wrong with it.
        reason: Malformed,
    },
    /// There is nothing to be seen.
    #[error("no pictures")]
    NoPictures,
    /// Fact, tables and parameter sets of the clip say different things.
    #[error("{place}: {what} is {found}, expected {expected}")]
    Disagrees {
        /// Track or chunk.
        place: String,
        /// What they disagree on.
        what: &'static str,
        /// What the tables hold.
        found: String,
        /// What the fact promises.
        expected: String,
    },
}
