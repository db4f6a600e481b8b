//! Pictures and sound that show that there is nothing: grey, and silence. Pure.
//!
//! They stand where nothing was recorded, in files that are made of several stretches, so that who
//! looks there sees that nothing is. They are coded as what is around them, with parameter sets of
//! their own in band, and they are small: a key frame in the simplest coding that its standard has,
//! and pictures that only repeat it.
//!
//! | coding | a key frame | one that repeats |
//! |---|---|---|
//! | H.264 | a byte a macroblock: 8 kB at 1920×1080 | some 10 bytes |
//! | JPEG | 12 bits a block of 16×16 pixels | the same again |
//! | H.265 | some 40 bytes and a bit for each block of 32×32: 200 bytes | some 20 bytes |

mod cabac;
mod h264;
mod h265;
mod jpeg;
mod nal;
mod silence;

pub use silence::silence;

use crate::segment::{Codec, ParameterSet};

/// Pictures for a track whose sample entry is `set`: the first is a key frame and decoded without
/// any other, each of the others repeats the one before. `None` where none can be made.
#[must_use]
pub fn pictures(set: &ParameterSet, count: usize) -> Option<Vec<Vec<u8>>> {
    let video = set.video.filter(|video| video.width > 0 && video.height > 0)?;
    match set.codec {
        Codec::H264 => h264::pictures(&set.configuration, video, count),
        Codec::H265 => h265::pictures(&set.configuration, video, count),
        Codec::Jpeg => Some(vec![jpeg::picture(video.width, video.height); count]),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
