//! Silence: one packet of each coding, which may follow itself.

use crate::bits::BitWriter;
use crate::flac;
use crate::segment::{Codec, ParameterSet};

/// 20 ms in the 48000 ticks that Opus has a second, whatever is coded (RFC 6716, 2).
const OPUS_TICKS: u32 = 960;

/// A packet of silence for a track whose sample entry is `set`, and how long it lasts, in ticks of
/// the track; `usual` is what its packets last. `None` where none can be made.
#[must_use]
pub fn silence(set: &ParameterSet, usual: u32) -> Option<(Vec<u8>, u32)> {
    let audio = set.audio?;
    if usual == 0 || !matches!(audio.channels, 1 | 2) {
        return None;
    }
    match set.codec {
        Codec::Aac => Some((aac(audio.channels), usual)),
        Codec::Opus => Some((opus(audio.channels), OPUS_TICKS)),
        Codec::Flac => {
            let length = u16::try_from(usual).unwrap_or(u16::MAX);
            Some((flac::silence(&set.configuration, length)?, length.into()))
        }
        _ => None,
    }
}

/// A raw data block (ISO/IEC 14496-3, 4.4.2.1) of one element without any spectrum.
fn aac(channels: u16) -> Vec<u8> {
    /// Global gain (8 bits), a long window without bands (1, 2, 1 and 6 bits), not predicted, and
    /// no pulses, no noise shaping, no gain control.
    const STREAM_BITS: u32 = 8 + 11 + 3;
    let mut bits = BitWriter::default();
    if channels == 1 {
        bits.put(0, 3 + 4); // a single channel, the first
        bits.put(0, STREAM_BITS);
    } else {
        bits.put(1, 3); // a pair of channels
        bits.put(0, 4 + 1); // the first, and each with a window of its own
        bits.put(0, STREAM_BITS);
        bits.put(0, STREAM_BITS);
    }
    bits.put(7, 3); // the end
    bits.finish()
}

/// CELT over the whole band, 20 ms in one frame (RFC 6716, 3.1), which begins with what stands for
/// silence (4.3).
fn opus(channels: u16) -> Vec<u8> {
    let is_stereo = channels == 2;
    vec![31 << 3 | u8::from(is_stereo) << 2, 0xff, 0xfe]
}
