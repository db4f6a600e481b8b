//! H.264: what its bytes say of a frame, and of the order in which frames are decoded. Pure.

use h264_reader::nal::sps::{PicOrderCntType, SeqParameterSet};
use h264_reader::rbsp::{BitReader, decode_nal};

use super::coding::{Coding, Content, ReorderDepth};
use crate::segment::Codec;

/// Described as RFC 6184, 8.1 has it.
pub(super) const CODING: Coding = Coding {
    described: ("video", "h264"),
    name: "H.264",
    codec: Codec::H264,
    content,
    begins_whole,
    reorder_depth,
};

/// Looks for slices (`nal_unit_type` 1 to 5; ITU-T H.264, table 7-1) among NAL units with
/// lengths of four bytes. The library calls a unit without any slice a key frame.
fn content(mut data: &[u8]) -> Content {
    let mut found = Content::Nothing;
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        let length = (u32::from_be_bytes(*length) as usize).min(rest.len());
        match rest[..length].first().map(|header| header & 0x1f) {
            Some(5) => return Content::Key,
            Some(1..=4) => found = Content::Other,
            _ => {}
        }
        data = &rest[length..];
    }
    found
}

/// Whether the first slice is that of the first macroblock: `first_mb_in_slice` is the first field
/// of a slice's header, and 0 is one bit that is set (ITU-T H.264, 7.3.3, 9.1).
fn begins_whole(mut data: &[u8]) -> bool {
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        let length = (u32::from_be_bytes(*length) as usize).min(rest.len());
        if let [header, slice, ..] = rest[..length]
            && matches!(header & 0x1f, 1 | 2 | 5)
        {
            return slice & 0x80 != 0;
        }
        data = &rest[length..];
    }
    false
}

/// What the sequence parameters say (ITU-T H.264, E.2.1 `max_num_reorder_frames`).
fn reorder_depth(configuration: &[u8]) -> ReorderDepth {
    sequence_parameters(configuration).map_or(ReorderDepth::Unknown, |sps| depth_of(&sps))
}

/// The first SPS of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1.2): five bytes,
/// the number of sets in the low five bits of the sixth, then each with a length of two bytes.
fn sequence_parameters(configuration: &[u8]) -> Option<SeqParameterSet> {
    let (fixed, rest) = configuration.split_first_chunk::<6>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    if fixed[5] & 0x1f == 0 {
        return None;
    }
    let nal = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
    let rbsp = decode_nal(nal).ok()?;
    SeqParameterSet::from_bits(BitReader::new(&*rbsp)).ok()
}

fn depth_of(sps: &SeqParameterSet) -> ReorderDepth {
    const BASELINE: u8 = 66;
    let stated = sps.vui_parameters.as_ref().and_then(|vui| vui.bitstream_restrictions.as_ref());
    if u8::from(sps.profile_idc) == BASELINE
        || matches!(sps.pic_order_cnt, PicOrderCntType::TypeTwo)
    {
        return ReorderDepth::Known(0);
    }
    match stated {
        Some(stated) => ReorderDepth::Known(stated.max_num_reorder_frames as usize),
        None => ReorderDepth::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(headers: &[u8]) -> Vec<u8> {
        headers.iter().flat_map(|header| [0, 0, 0, 2, *header, 0x80]).collect()
    }

    #[test]
    fn a_unit_without_slices_is_no_picture() {
        assert_eq!(content(&units(&[0x09, 0x06, 0x0c])), Content::Nothing);
        assert_eq!(content(&units(&[0x09, 0x06, 0x65])), Content::Key);
        assert_eq!(content(&units(&[0x09, 0x41])), Content::Other);
        assert_eq!(content(&[0, 0, 0]), Content::Nothing);
        assert_eq!(content(&[0xff, 0xff, 0xff, 0xff, 0x41]), Content::Other);
        assert_eq!(content(&[]), Content::Nothing);
    }

    #[test]
    fn a_frame_without_its_first_slice_is_not_whole() {
        let frame = |slice: u8| [0, 0, 0, 2, 0x67, 0x42, 0, 0, 0, 2, 0x65, slice];
        assert!(begins_whole(&frame(0x88)));
        assert!(!begins_whole(&frame(0x40)));
        assert!(!begins_whole(&[0, 0, 0, 1, 0x65]));
        assert!(!begins_whole(&[]));
    }

    #[test]
    fn garbage_has_an_unknown_depth() {
        for bytes in [&b""[..], &[1, 2, 3, 4, 5, 0xe1, 0xff, 0xff], &[0; 40]] {
            assert_eq!(reorder_depth(bytes), ReorderDepth::Unknown);
        }
    }
}
