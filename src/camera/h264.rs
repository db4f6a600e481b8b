//! H.264: what its bytes say of pictures, and of what decodes them. Pure.

use h264_reader::nal::sps::{FrameMbsFlags, PicOrderCntType, SeqParameterSet};
use h264_reader::rbsp::{BitRead, BitReader, decode_nal};
use retina::codec::h26x::Framing;
use retina::codec::h264::parameters_from_sps_and_pps;

use super::coding::{Coding, ReorderDepth};
use super::nal::{Decoding, NalCodec, Pictures};
use super::sdp::Format;
use super::sei::{MESSAGES_BYTES, recovery_point};
use super::sets::{CONFIGURATION_BYTES_MAX, Sets};
use super::units::{Fragment, Kind, Role, Syntax, Wrapping};
use crate::segment::{Codec, Look, ParameterSet, TrackKind, VideoParameters};

/// Described as RFC 6184, 8.1 has it.
pub(super) const CODING: Coding = Coding {
    described: ("video", "h264"),
    kind: TrackKind::Video,
    clock_rate: Some(90_000),
    name: "H.264",
    depacketizer: |format| Ok(Box::new(Pictures::new(&CODEC, format))),
};

pub(super) static CODEC: NalCodec =
    NalCodec { syntax: &SYNTAX, told_sets, plain: |_| None, decoding };

/// ITU-T H.264, table 7-1; RFC 6184, table 1.
pub(super) static SYNTAX: Syntax = Syntax { wrapping, kind };

/// Orders of sets: sequence, picture.
const SPS: u8 = 0;
const PPS: u8 = 1;
/// Sets of one kind that a decoder configuration can hold (ISO/IEC 14496-15, 5.3.3.1.2).
const SPS_COUNT_MAX: usize = 31;
const PPS_COUNT_MAX: usize = 255;

fn wrapping(payload: &[u8]) -> Wrapping {
    let header = payload[0];
    match header & 0x1f {
        // The forbidden bit: somebody on the way saw that it is broken.
        _ if header & 0x80 != 0 => Wrapping::Unknown,
        1..=23 => Wrapping::Single,
        24 => Wrapping::Aggregate(1),
        28 => match payload.get(1) {
            None => Wrapping::Unknown,
            Some(second) => Wrapping::Fragment(Fragment {
                header: [header & 0xe0 | second & 0x1f, 0],
                header_length: 1,
                body: 2,
                is_first: second & 0x80 != 0,
                is_last: second & 0x40 != 0,
            }),
        },
        _ => Wrapping::Unknown,
    }
}

fn kind(unit: &[u8]) -> Kind {
    let first = unit.get(1).copied().unwrap_or(0);
    match unit[0] & 0x1f {
        // `first_mb_in_slice` is the first field of a slice, and 0 is one bit that is set (7.3.3).
        1 | 2 => Kind::Slice { role: role(unit), is_first: first & 0x80 != 0 },
        3 | 4 => Kind::Slice { role: Role::Other, is_first: false },
        5 => Kind::Slice { role: Role::Key, is_first: first & 0x80 != 0 },
        6 => recovery(unit).unwrap_or(Kind::Other),
        7 => set(unit, SPS, 31),
        8 => set(unit, PPS, 255),
        9 => Kind::Delimiter,
        _ => Kind::Other,
    }
}

/// That of a slice that is none of a key picture (7.3.3, table 7-6: I, and I in all slices).
fn role(unit: &[u8]) -> Role {
    match numbers(unit) {
        Some([_, 2 | 7]) => Role::Intra,
        _ => Role::Other,
    }
}

/// A recovery point among messages (D.1.8 `recovery_frame_cnt`).
fn recovery(unit: &[u8]) -> Option<Kind> {
    let messages = decode_nal(&unit[..unit.len().min(MESSAGES_BYTES)]).ok()?;
    let frames = BitReader::new(recovery_point(&messages)?).read_ue("frames").ok()?;
    Some(Kind::Recovery { is_at_once: frames == 0 })
}

/// A set, where its number is one (7.4.2.1.1, 7.4.2.2).
fn set(unit: &[u8], order: u8, number_max: u32) -> Kind {
    let number = numbers(unit).map(|[number]| number).filter(|number| *number <= number_max);
    number.map_or(Kind::Other, |number| Kind::Set(order, number))
}

/// So much of a set or a slice is looked at for its numbers, in bytes.
const NUMBERS_BYTES: usize = 24;

/// The first fields of a unit, of those that are coded as numbers (9.1).
fn numbers<const COUNT: usize>(unit: &[u8]) -> Option<[u32; COUNT]> {
    let rbsp = decode_nal(&unit[..unit.len().min(NUMBERS_BYTES)]).ok()?;
    // Profile and level of a sequence come first (7.3.2.1.1).
    let ahead = if unit[0] & 0x1f == 7 { 3 } else { 0 };
    let mut bits = BitReader::new(rbsp.get(ahead..)?);
    let mut found = [0; COUNT];
    for number in &mut found {
        *number = bits.read_ue("number").ok()?;
    }
    Some(found)
}

/// Sets of a description (RFC 6184, 8.1 `sprop-parameter-sets`).
fn told_sets(format: &Format) -> Vec<Vec<u8>> {
    let value = format.parameter("sprop-parameter-sets").unwrap_or_default();
    value.split(',').filter_map(super::coding::base64).collect()
}

/// What decodes a picture: of all sets, those of its slice count.
fn decoding(sets: &Sets, slice: &[u8]) -> Option<Decoding> {
    // `pic_parameter_set_id` stands behind `first_mb_in_slice` and `slice_type` (7.3.3).
    let pps = numbers(slice).and_then(|[_, _, number]| sets.get(PPS, number));
    let pps = pps.or_else(|| sets.of(PPS).next())?;
    // Behind its own number it has that of its sequence (7.3.2.2).
    let [_, sps_number] = numbers(pps)?;
    let sps = sets.get(SPS, sps_number).or_else(|| sets.of(SPS).next())?;
    // The library wants a set of pictures only to repeat it.
    let few = &pps[..pps.len().min(CONFIGURATION_BYTES_MAX)];
    let told = parameters_from_sps_and_pps(sps, few, Framing::FourByteLength).ok()?;
    let small = |(a, b): (u32, u32)| Some((u16::try_from(a).ok()?, u16::try_from(b).ok()?));
    let (width, height) = small(told.pixel_dimensions())?;
    let aspect = told.pixel_aspect_ratio().and_then(small);
    let parsed = parsed(sps);
    Some(Decoding {
        set: ParameterSet {
            codec: Codec::H264,
            configuration: configuration(sets, sps),
            video: Some(VideoParameters {
                width,
                height,
                pixel_aspect: aspect.filter(|(a, b)| *a > 0 && *b > 0).unwrap_or((1, 1)),
                look: Look::default(),
            }),
            audio: None,
        },
        reorder_depth: parsed.as_ref().map_or(ReorderDepth::Unknown, depth_of),
        has_colour: parsed.as_ref().is_some_and(has_colour),
        has_fields: parsed.is_some_and(|sps| sps.frame_mbs_flags != FrameMbsFlags::Frames),
        codec: told.rfc6381_codec().to_owned(),
        // The parameters give the duration of a picture, as a fraction of a second.
        frame_rate: told
            .frame_rate()
            .filter(|(length, _)| *length > 0)
            .map(|(length, scale)| f64::from(scale) / f64::from(length)),
    })
}

/// Whether it says what colours mean (E.2.1 `colour_description_present_flag`).
fn has_colour(sps: &SeqParameterSet) -> bool {
    let usability = sps.vui_parameters.as_ref();
    let signal = usability.and_then(|usability| usability.video_signal_type.as_ref());
    signal.is_some_and(|signal| signal.colour_description.is_some())
}

fn parsed(sps: &[u8]) -> Option<SeqParameterSet> {
    let rbsp = decode_nal(sps).ok()?;
    SeqParameterSet::from_bits(BitReader::new(&*rbsp)).ok()
}

/// An AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1.2) with every set; profile and level
/// are those of `active`.
fn configuration(sets: &Sets, active: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend(active.iter().skip(1).chain([&0; 3]).take(3));
    // Lengths of units have four bytes.
    bytes.push(0xff);
    let mut room = CONFIGURATION_BYTES_MAX;
    for (order, count_max, reserved) in [(SPS, SPS_COUNT_MAX, 0xe0), (PPS, PPS_COUNT_MAX, 0)] {
        let mut chosen = sets.fitting(order, &mut room);
        chosen.truncate(count_max);
        bytes.push(reserved | chosen.len() as u8);
        for set in chosen {
            bytes.extend((set.len() as u16).to_be_bytes());
            bytes.extend_from_slice(set);
        }
    }
    bytes
}

/// What the sequence parameters say (ITU-T H.264, E.2.1 `max_num_reorder_frames`).
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
pub(super) mod tests {
    use super::*;

    /// 320 × 240, main profile, as x264 writes it.
    pub(in crate::camera) const SPS_UNIT: [u8; 24] = [
        0x67, 0x4d, 0x40, 0x0d, 0xec, 0xa0, 0xa0, 0xfd, 0x80, 0x88, 0x00, 0x00, 0x03, 0x00, 0x08,
        0x00, 0x00, 0x03, 0x01, 0x90, 0x78, 0xa1, 0x4c, 0xb0,
    ];
    pub(in crate::camera) const PPS_UNIT: [u8; 5] = [0x68, 0xeb, 0xe3, 0xcb, 0x20];
    const KEY_SLICE: [u8; 4] = [0x65, 0x88, 0x84, 0x00];

    fn sets(units: &[&[u8]]) -> Sets {
        let mut sets = Sets::default();
        for unit in units {
            assert!(sets.take(&SYNTAX, unit), "{unit:x?}");
        }
        sets
    }

    #[test]
    fn payloads_are_told_apart() {
        assert_eq!(wrapping(&[0x65]), Wrapping::Single);
        assert_eq!(wrapping(&[0x78]), Wrapping::Aggregate(1));
        let Wrapping::Fragment(piece) = wrapping(&[0x7c, 0x85]) else { panic!("a fragment") };
        assert_eq!((piece.header[0], piece.is_first, piece.is_last), (0x65, true, false));
        for odd in [&[0x60][..], &[0xe5], &[0x7c], &[0x79], &[0x7d], &[0x7f]] {
            assert_eq!(wrapping(odd), Wrapping::Unknown, "{odd:x?}");
        }
    }

    #[test]
    fn units_are_told_apart() {
        assert_eq!(kind(&KEY_SLICE), Kind::Slice { role: Role::Key, is_first: true });
        assert_eq!(kind(&[0x41, 0x40]), Kind::Slice { role: Role::Other, is_first: false });
        assert_eq!(kind(&[0x41]), Kind::Slice { role: Role::Other, is_first: false });
        assert_eq!((kind(&SPS_UNIT), kind(&PPS_UNIT)), (Kind::Set(SPS, 0), Kind::Set(PPS, 0)));
        assert_eq!(kind(&[0x68]), Kind::Other);
        assert_eq!((kind(&[9]), kind(&[6, 5])), (Kind::Delimiter, Kind::Other));
        // An I slice at the beginning of a picture, and a P slice.
        assert_eq!(kind(&[0x41, 0b1011_0000]), Kind::Slice { role: Role::Intra, is_first: true });
        assert_eq!(kind(&[0x41, 0b1110_0000]), Kind::Slice { role: Role::Other, is_first: true });
        assert_eq!(kind(&[6, 6, 1, 0xc4, 0x80]), Kind::Recovery { is_at_once: true });
        assert_eq!(kind(&[6, 6, 1, 0x4c, 0x80]), Kind::Recovery { is_at_once: false });
    }

    #[test]
    fn one_set_of_each_kind_gives_what_the_library_gives() {
        let decoding = decoding(&sets(&[&SPS_UNIT, &PPS_UNIT]), &KEY_SLICE).unwrap();
        let theirs = parameters_from_sps_and_pps(&SPS_UNIT, &PPS_UNIT, Framing::FourByteLength);
        assert_eq!(decoding.set.configuration, theirs.unwrap().extra_data());
        let video = decoding.set.video.unwrap();
        assert_eq!((video.width, video.height), (320, 240));
        assert_eq!((decoding.has_fields, decoding.codec.as_str()), (false, "avc1.4D400D"));
        assert_eq!(decoding.frame_rate, Some(25.0));
    }

    #[test]
    fn every_set_is_in_the_configuration_unless_it_is_vast() {
        let second = [0x68, 0x5b, 0xec, 0xb2, 0x2c];
        let vast = [&[0x68, 0x6f][..], &[0x55; CONFIGURATION_BYTES_MAX]].concat();
        let sets = sets(&[&SPS_UNIT, &PPS_UNIT, &second, &vast]);
        let configuration = decoding(&sets, &KEY_SLICE).unwrap().set.configuration;
        let pictures = 6 + 2 + SPS_UNIT.len();
        assert_eq!((configuration[5], configuration[pictures]), (0xe1, 2));
        assert!(configuration.ends_with(&second));
        assert!(decoding(&Sets::default(), &KEY_SLICE).is_none());
    }

    #[test]
    fn sets_of_a_description_are_read_however_they_are_written() {
        let told = |value: &str| {
            let parameters = format!("sprop-parameter-sets={value}");
            told_sets(&Format { parameters, ..Format::default() })
        };
        let both = vec![vec![0x67, 0x4d, 0x40], vec![0x68, 0xee, 0x3c, 0x80]];
        assert_eq!(told("Z01A,aO48gA=="), both);
        assert_eq!(told("Z01A,aO48gA"), both, "without padding");
        assert_eq!(told("\"Z01A, aO48gA==\"; x"), both);
        assert_eq!(told("Z01A,,*,aO48gA==,").len(), 2);
    }
}
