//! A range that has been opened, and what can be said of it.

use std::ops::Range;

use super::RangeContent;
use crate::segment::ClockQuality;
use crate::units::{ClipId, WallTime};

/// A range that is a file.
pub struct OpenedRange {
    /// Of which camera it is.
    pub camera: String,
    /// Its content.
    pub content: RangeContent,
    /// When it begins: with its first picture.
    pub start: WallTime,
    /// When the last of what it has ends.
    pub end: WallTime,
    /// How long it is, in nanoseconds.
    pub length_nanos: i64,
    /// When nothing was recorded, or nothing that is in the file.
    pub gaps: Vec<Range<WallTime>>,
    /// Footage that could not be in it, and why.
    pub omitted: Vec<(Range<WallTime>, &'static str)>,
    /// The clips that it has something of.
    pub clips: Vec<ClipId>,
    /// What is shown of them.
    pub shown: Shown,
    /// Two files that have this in common have the same bytes.
    pub identity: [u8; 32],
}

/// What a range shows of clips.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Pictures, without those that are made or hidden.
    pub frames: u64,
    /// RFC 6381 name of the codec of the first one.
    pub codec: String,
    /// Width and height of the first one, in pixels.
    pub picture: (u16, u16),
    /// How well the time was known, of all clips.
    pub quality: Vec<ClockQuality>,
}
