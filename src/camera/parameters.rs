//! What decodes the frames of a track, as its camera tells it. Pure.

use std::sync::Arc;

use super::coding::ReorderDepth;
use super::sound::Sound;
use crate::segment::{Codec, ParameterSet};

/// What decodes the frames of a track, from one of them on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The encoded [`ParameterSet`]. Parameters are the same when these bytes are.
    pub encoded: Arc<[u8]>,
    /// What they have in common with all others that a clip may hold.
    pub format: Format,
    /// How far the order of decoding may differ from that of presentation.
    pub reorder_depth: ReorderDepth,
    /// How frames become samples of an mp4; of sound only.
    pub sound: Option<Sound>,
}

/// What is the same in all samples of a track of one clip: a track of an mp4 has one size
/// (ISO/IEC 14496-12, 8.3.2), and players do not change decoders within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// How they are coded.
    pub codec: Codec,
    /// Width and height, in pixels; of video only.
    pub picture: Option<(u16, u16)>,
    /// Quarter turns clockwise that make them upright.
    pub quarter_turns: u8,
}

impl Parameters {
    /// A parameter set, its encoding, and what its decoder configuration says of reordering.
    #[must_use]
    pub fn new(set: &ParameterSet, encoded: Arc<[u8]>, reorder_depth: ReorderDepth) -> Parameters {
        let picture = set.video.map(|video| (video.width, video.height));
        let quarter_turns = set.video.map_or(0, |video| video.look.quarter_turns);
        let format = Format { codec: set.codec, picture, quarter_turns };
        Parameters { encoded, format, reorder_depth, sound: None }
    }
}
