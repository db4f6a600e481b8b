//! Grey pictures in H.265. Clauses are those of ITU-T H.265.
//!
//! Units of 32×32 pixels, each one block that is predicted from what is around it, which is grey
//! where there is nothing, and that has no residual. The pictures behind skip all of them.

use super::cabac::{Coder, Context};
use super::nal::{add_unit, end_payload, unsigned};
use crate::bits::BitWriter;
use crate::segment::VideoParameters;

/// The last ones that there are: no camera's sets are overwritten.
const VIDEO_SET: u64 = 15;
const SEQUENCE_SET: u32 = 15;
const PICTURE_SET: u32 = 63;

/// Width and height of a unit, in pixels: of what every level allows.
const UNIT: u32 = 32;
/// Bits of a picture's number in the order of showing.
const NUMBER_BITS: u32 = 8;
const PICTURES_MAX: usize = 1 << NUMBER_BITS;
/// The quantizer that slices have.
const QUANTIZER: i32 = 26;

/// Types of NAL units (table 7-1).
const VIDEO: u8 = 32;
const SEQUENCE: u8 = 33;
const PICTURE: u8 = 34;
const KEY_SLICE: u8 = 20;
const SLICE: u8 = 1;

/// What a decoder configuration says (ISO/IEC 14496-15, 8.3.3.1).
struct Stream<'a> {
    /// Profile, compatibility, constraints and level, as sets have them (7.3.3).
    profile: &'a [u8],
    /// Bits above eight, of luma and chroma.
    more_bits: [u8; 2],
    /// Bytes of the lengths in front of NAL units.
    prefix: usize,
}

/// See [`pictures`](super::pictures); `configuration` is an HEVCDecoderConfigurationRecord.
pub(super) fn pictures(
    configuration: &[u8],
    video: VideoParameters,
    count: usize,
) -> Option<Vec<Vec<u8>>> {
    let profile = configuration.get(1..13)?;
    let [chroma, luma_bits, chroma_bits, _, _, length_size] = *configuration.get(16..22)? else {
        return None;
    };
    // 4:2:0 alone, of up to 16 bits.
    if chroma & 3 != 1 || count > PICTURES_MAX {
        return None;
    }
    let prefix = usize::from(length_size & 3) + 1;
    let stream = Stream { profile, more_bits: [luma_bits & 7, chroma_bits & 7], prefix };
    let units = [video.width, video.height].map(|side| u32::from(side).div_ceil(UNIT));
    let mut first = Vec::new();
    let mut add = |kind, bits| add_unit(&mut first, stream.prefix, &[kind << 1, 1], bits);
    add(VIDEO, end_payload(video_set(&stream)))?;
    add(SEQUENCE, end_payload(sequence_set(&stream, video, units)))?;
    add(PICTURE, end_payload(picture_set()))?;
    add(KEY_SLICE, key_slice(units))?;
    let others = (1..count).map(|number| {
        let mut sample = Vec::new();
        let slice = skipped_slice(number as u64, units);
        add_unit(&mut sample, stream.prefix, &[SLICE << 1, 1], slice)?;
        Some(sample)
    });
    std::iter::once(Some(first)).chain(others).take(count).collect()
}

fn profile(bits: &mut BitWriter, stream: &Stream<'_>) {
    stream.profile.iter().for_each(|byte| bits.put(u64::from(*byte), 8));
}

/// How many pictures are kept, and that none waits for another.
fn order(bits: &mut BitWriter) {
    bits.put(1, 1);
    [1, 0, 0].iter().for_each(|value| unsigned(bits, *value));
}

/// 7.3.2.1.
fn video_set(stream: &Stream<'_>) -> BitWriter {
    let mut bits = BitWriter::default();
    bits.put(VIDEO_SET, 4);
    bits.put(0b11, 2); // the base layer is in the stream
    bits.put(0, 6 + 3); // the only one, of one rate
    bits.put(1, 1);
    bits.put(0xffff, 16);
    profile(&mut bits, stream);
    order(&mut bits);
    bits.put(0, 6);
    unsigned(&mut bits, 0);
    bits.put(0, 2); // no timing, no extension
    bits
}

/// 7.3.2.2.
fn sequence_set(
    stream: &Stream<'_>,
    video: VideoParameters,
    [columns, rows]: [u32; 2],
) -> BitWriter {
    let mut bits = BitWriter::default();
    bits.put(VIDEO_SET, 4);
    bits.put(0, 3);
    bits.put(1, 1);
    profile(&mut bits, stream);
    unsigned(&mut bits, SEQUENCE_SET);
    unsigned(&mut bits, 1); // 4:2:0
    let (width, height) = (columns * UNIT, rows * UNIT);
    unsigned(&mut bits, width);
    unsigned(&mut bits, height);
    let right = (width - u32::from(video.width)) / 2;
    let bottom = (height - u32::from(video.height)) / 2;
    bits.put(1, 1);
    [0, right, 0, bottom].iter().for_each(|side| unsigned(&mut bits, *side));
    stream.more_bits.iter().for_each(|more| unsigned(&mut bits, u32::from(*more)));
    unsigned(&mut bits, NUMBER_BITS - 4);
    order(&mut bits);
    unsigned(&mut bits, UNIT.ilog2() - 3); // the least block
    unsigned(&mut bits, 0); // is the largest
    unsigned(&mut bits, 0); // transforms from 4×4
    unsigned(&mut bits, UNIT.ilog2() - 2); // up to one of all of it
    unsigned(&mut bits, 0); // never divided
    unsigned(&mut bits, 0);
    bits.put(0, 4); // not scaled, not divided unevenly, no offsets, no plain samples
    // One set of references: the picture before.
    [1, 1, 0, 0].iter().for_each(|value| unsigned(&mut bits, *value));
    bits.put(1, 1);
    bits.put(0, 3); // no long references, no motion from other pictures, no strong smoothing
    usability(&mut bits, video);
    bits.put(0, 1);
    bits
}

/// E.2.1: the shape of a pixel, where it is not square.
fn usability(bits: &mut BitWriter, video: VideoParameters) {
    let has_shape = !matches!(video.pixel_aspect, (0, _) | (_, 0) | (1, 1));
    bits.put(u64::from(has_shape), 1);
    if has_shape {
        bits.put(1, 1);
        bits.put(255, 8);
        bits.put(u64::from(video.pixel_aspect.0), 16);
        bits.put(u64::from(video.pixel_aspect.1), 16);
        bits.put(0, 9); // nothing else is told
    }
}

/// 7.3.2.3.
fn picture_set() -> BitWriter {
    let mut bits = BitWriter::default();
    unsigned(&mut bits, PICTURE_SET);
    unsigned(&mut bits, SEQUENCE_SET);
    bits.put(0, 1 + 1 + 3 + 1 + 1); // slices have nothing more, and signs are told
    (0..3).for_each(|_| unsigned(&mut bits, 0)); // one reference either way, the usual quantizer
    bits.put(0, 3); // free prediction, no transform skipped, one quantizer for all
    (0..2).for_each(|_| unsigned(&mut bits, 0)); // chroma's, too
    bits.put(0, 1 + 2 + 1 + 2 + 1); // no weights, nothing lossless, no tiles, no filter over slices
    bits.put(0b101, 3); // not deblocked, and no slice says otherwise
    bits.put(0, 2); // not scaled, references in the usual order
    unsigned(&mut bits, 0);
    bits.put(0, 2); // no extension
    bits
}

/// What ends the header of a slice (7.3.2.12).
fn align(mut bits: BitWriter) -> BitWriter {
    bits.put(1, 1);
    BitWriter::behind(bits.finish())
}

fn key_slice([columns, rows]: [u32; 2]) -> BitWriter {
    let mut bits = BitWriter::default();
    bits.put(0b10, 2); // the first of its picture; what is before it is shown
    unsigned(&mut bits, PICTURE_SET);
    unsigned(&mut bits, 2);
    unsigned(&mut bits, 0); // the quantizer of the set
    let mut coder = Coder::behind(align(bits));
    // Tables 9-11, 9-13, 9-14, 9-17 and 9-18, for slices of this kind.
    let [mut whole, mut predicted, mut chroma, mut has_luma, mut has_chroma] =
        [184, 184, 63, 141, 94].map(|initial| Context::new(initial, QUANTIZER));
    for unit in 1..=columns * rows {
        coder.put(&mut whole, true); // not divided
        coder.put(&mut predicted, true); // in a way that is probable here:
        coder.put_even(false); // the first of these, planar
        coder.put(&mut chroma, false); // chroma as luma
        coder.put(&mut has_chroma, false); // no residual of either chroma
        coder.put(&mut has_chroma, false);
        coder.put(&mut has_luma, false); // nor of luma
        coder.put_end(unit == columns * rows);
    }
    coder.finish()
}

fn skipped_slice(number: u64, [columns, rows]: [u32; 2]) -> BitWriter {
    let mut bits = BitWriter::default();
    bits.put(1, 1);
    unsigned(&mut bits, PICTURE_SET);
    unsigned(&mut bits, 1);
    bits.put(number, NUMBER_BITS);
    bits.put(1, 1); // the references of the set
    bits.put(0, 1); // as many as usual
    unsigned(&mut bits, 4); // motion is that of the one candidate: none
    unsigned(&mut bits, 0);
    let mut coder = Coder::behind(align(bits));
    // Table 9-10, by how many of the units to the left and above are skipped.
    let mut skipped = [197, 185, 201].map(|initial| Context::new(initial, QUANTIZER));
    for unit in 0..columns * rows {
        let around = usize::from(unit % columns > 0) + usize::from(unit >= columns);
        coder.put(&mut skipped[around], true);
        coder.put_end(unit + 1 == columns * rows);
    }
    coder.finish()
}
