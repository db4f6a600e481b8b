//! Grey pictures in H.264. Clauses are those of ISO/IEC 14496-10 (ITU-T H.264).
//!
//! Macroblocks are predicted from nothing at all and have no residual, which is grey; they are
//! coded with variable-length codes (CAVLC). The pictures behind skip all macroblocks.

use super::nal::{add_unit, end_payload, unsigned};
use crate::bits::BitWriter;
use crate::segment::VideoParameters;

/// The last ones that there are: no camera's sets are overwritten.
const SEQUENCE_SET: u32 = 31;
const PICTURE_SET: u32 = 255;
/// Tells a key frame from the next one, should that follow at once (7.4.3).
const IDR_PICTURE: u32 = 1000;

/// Width and height of a macroblock, in pixels.
const MACROBLOCK: u32 = 16;
/// Bits of `frame_num`.
const FRAME_NUMBER_BITS: u32 = 8;
/// Beyond this many pictures numbers would have to begin anew.
const PICTURES_MAX: usize = 1 << FRAME_NUMBER_BITS;

/// Profiles whose sequence sets say how chroma is sampled (7.3.2.1.1).
const HIGH_PROFILES: [u8; 12] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134];

/// NAL units' types, with how much others refer to them (7.3.1).
const SEQUENCE: u8 = 0x67;
const PICTURE: u8 = 0x68;
const KEY_SLICE: u8 = 0x65;
const SKIPPED_SLICE: u8 = 0x41;

/// See [`pictures`](super::pictures); `configuration` is an AVCDecoderConfigurationRecord (ISO/IEC
/// 14496-15, 5.3.3.1).
pub(super) fn pictures(
    configuration: &[u8],
    video: VideoParameters,
    count: usize,
) -> Option<Vec<Vec<u8>>> {
    let [_, profile, constraints, level, length_size, ..] = *configuration else { return None };
    if count > PICTURES_MAX {
        return None;
    }
    let prefix = usize::from(length_size & 3) + 1;
    let blocks = [video.width, video.height].map(|side| u32::from(side).div_ceil(MACROBLOCK));
    let mut first = Vec::new();
    let sets = sequence_set([profile, constraints, level], video, blocks);
    add_unit(&mut first, prefix, &[SEQUENCE], end_payload(sets))?;
    add_unit(&mut first, prefix, &[PICTURE], end_payload(picture_set()))?;
    add_unit(&mut first, prefix, &[KEY_SLICE], end_payload(key_slice(blocks)))?;
    let others = (1..count).map(|number| {
        let mut sample = Vec::new();
        let slice = end_payload(skipped_slice(number as u32, blocks));
        add_unit(&mut sample, prefix, &[SKIPPED_SLICE], slice)?;
        Some(sample)
    });
    std::iter::once(Some(first)).chain(others).take(count).collect()
}

/// 7.3.2.1.1, and the part of annex E that says that pictures are shown as they are decoded.
fn sequence_set(profile: [u8; 3], video: VideoParameters, [columns, rows]: [u32; 2]) -> BitWriter {
    let mut bits = BitWriter::default();
    profile.iter().for_each(|byte| bits.put(u64::from(*byte), 8));
    unsigned(&mut bits, SEQUENCE_SET);
    if HIGH_PROFILES.contains(&profile[0]) {
        unsigned(&mut bits, 1); // 4:2:0
        unsigned(&mut bits, 0); // eight bits of luma
        unsigned(&mut bits, 0); // and of chroma
        bits.put(0, 2); // neither lossless nor scaled
    }
    unsigned(&mut bits, FRAME_NUMBER_BITS - 4);
    unsigned(&mut bits, 2); // shown in the order of decoding
    unsigned(&mut bits, 1); // one picture is referred to
    bits.put(0, 1); // and numbers have no gap
    unsigned(&mut bits, columns - 1);
    unsigned(&mut bits, rows - 1);
    bits.put(0b11, 2); // frames, and what goes with them
    let right = (columns * MACROBLOCK - u32::from(video.width)) / 2;
    let bottom = (rows * MACROBLOCK - u32::from(video.height)) / 2;
    let is_cropped = right > 0 || bottom > 0;
    bits.put(u64::from(is_cropped), 1);
    if is_cropped {
        [0, right, 0, bottom].iter().for_each(|side| unsigned(&mut bits, *side));
    }
    usability(&mut bits, video);
    bits
}

/// E.1.1.
fn usability(bits: &mut BitWriter, video: VideoParameters) {
    let has_shape = !matches!(video.pixel_aspect, (0, _) | (_, 0) | (1, 1));
    bits.put(1, 1);
    bits.put(u64::from(has_shape), 1);
    if has_shape {
        bits.put(255, 8); // in numbers
        bits.put(u64::from(video.pixel_aspect.0), 16);
        bits.put(u64::from(video.pixel_aspect.1), 16);
    }
    bits.put(0, 7); // overscan, signal, chroma's place, timing, both buffers, structure: not told
    bits.put(0b11, 2); // restricted, but for where vectors point to
    [0, 0, 15, 15].iter().for_each(|limit| unsigned(bits, *limit));
    unsigned(bits, 0); // no picture waits for another
    unsigned(bits, 1); // one is kept
}

/// 7.3.2.2.
fn picture_set() -> BitWriter {
    let mut bits = BitWriter::default();
    unsigned(&mut bits, PICTURE_SET);
    unsigned(&mut bits, SEQUENCE_SET);
    bits.put(0, 2); // CAVLC, no fields
    unsigned(&mut bits, 0); // one slice group
    unsigned(&mut bits, 0); // one reference forwards
    unsigned(&mut bits, 0); // and backwards
    bits.put(0, 3); // no weights
    (0..3).for_each(|_| unsigned(&mut bits, 0)); // quantizers as they are
    bits.put(0b100, 3); // slices say whether they are deblocked
    bits
}

/// What slices begin with (7.3.3).
fn slice(kind: u32, frame_number: u32) -> BitWriter {
    let mut bits = BitWriter::default();
    unsigned(&mut bits, 0);
    unsigned(&mut bits, kind);
    unsigned(&mut bits, PICTURE_SET);
    bits.put(u64::from(frame_number), FRAME_NUMBER_BITS);
    bits
}

fn key_slice([columns, rows]: [u32; 2]) -> BitWriter {
    /// Intra of 16×16 pixels, all of the mean of what is around, without a residual (7.3.5 and
    /// table 7-11): the kind of macroblock, that of its chroma, the same quantizer, no coefficient.
    const GREY: u64 = 0b0010_0111;
    let mut bits = slice(7, 0);
    unsigned(&mut bits, IDR_PICTURE);
    bits.put(0, 2); // what is before it is shown, and it is kept like others
    end_of_slice_header(&mut bits);
    (0..columns * rows).for_each(|_| bits.put(GREY, 8));
    bits
}

fn skipped_slice(number: u32, [columns, rows]: [u32; 2]) -> BitWriter {
    let mut bits = slice(5, number);
    bits.put(0, 3); // as many references as usual, in the usual order, kept as usual
    end_of_slice_header(&mut bits);
    unsigned(&mut bits, columns * rows);
    bits
}

fn end_of_slice_header(bits: &mut BitWriter) {
    unsigned(bits, 0); // the quantizer of the set
    unsigned(bits, 1); // not deblocked
}
