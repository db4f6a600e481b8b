//! H.265: what its bytes say of pictures, and of what decodes them. Pure.
//!
//! The size of pictures, which nothing can be recorded without, is read here, from the beginning of
//! a set. What lies behind much that cameras write wrongly (the shape of a pixel, the rate) is read
//! by the library, where it understands such a set.

use std::borrow::Cow;

use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, decode_nal};
use retina::codec::h265::nal;

use super::coding::{Coding, ReorderDepth};
use super::nal::{Decoding, NalCodec, Pictures, Plain};
use super::sdp::Format;
use super::sei::{MESSAGES_BYTES, recovery_point};
use super::sets::{CONFIGURATION_BYTES_MAX, Sets};
use super::units::{Fragment, Kind, Role, Syntax, Wrapping};
use crate::segment::{Codec, Look, ParameterSet, TrackKind, VideoParameters};

/// Described as RFC 7798, 7.1 has it.
pub(super) const CODING: Coding = Coding {
    described: ("video", "h265"),
    kind: TrackKind::Video,
    clock_rate: Some(90_000),
    name: "H.265",
    depacketizer: |format| Ok(Box::new(Pictures::new(&CODEC, format))),
};

pub(super) static CODEC: NalCodec = NalCodec { syntax: &SYNTAX, told_sets, plain, decoding };

/// ITU-T H.265, table 7-1; RFC 7798, 4.4.
pub(super) static SYNTAX: Syntax = Syntax { wrapping, kind };

/// Types of units (table 7-1).
const RASL: [u8; 2] = [8, 9];
const IRAP_FIRST: u8 = 16;
const CRA: u8 = 21;
const IRAP_LAST: u8 = 23;
const SLICE_LAST: u8 = 31;
const VPS_TYPE: u8 = 32;
const SPS_TYPE: u8 = 33;
const PPS_TYPE: u8 = 34;
const DELIMITER: u8 = 35;
const END_OF_SEQUENCE: u8 = 36;
const END_OF_STREAM: u8 = 37;
const FILLER: u8 = 38;
const SEI: u8 = 39;
const SEI_BEHIND: u8 = 40;
/// Types of payloads (RFC 7798, 4.4.2 and 4.4.3).
const AGGREGATE: u8 = 48;
const FRAGMENT: u8 = 49;

/// Orders of sets.
const VPS: u8 = 0;
const SPS: u8 = 1;
const PPS: u8 = 2;
/// What stands before the bytes of a unit.
const HEADER: usize = 2;

fn unit_type(header: u8) -> u8 {
    header >> 1 & 0x3f
}

fn wrapping(payload: &[u8]) -> Wrapping {
    let &[first, second, ..] = payload else { return Wrapping::Unknown };
    match unit_type(first) {
        // The forbidden bit: somebody on the way saw that it is broken.
        _ if first & 0x80 != 0 => Wrapping::Unknown,
        0..AGGREGATE => Wrapping::Single,
        AGGREGATE => Wrapping::Aggregate(HEADER),
        FRAGMENT => match payload.get(HEADER) {
            None => Wrapping::Unknown,
            Some(third) => Wrapping::Fragment(Fragment {
                header: [first & 0x81 | (third & 0x3f) << 1, second],
                header_length: HEADER,
                body: HEADER + 1,
                is_first: third & 0x80 != 0,
                is_last: third & 0x40 != 0,
            }),
        },
        _ => Wrapping::Unknown,
    }
}

fn kind(unit: &[u8]) -> Kind {
    let &[first, second, ..] = unit else { return Kind::Other };
    // What adds a layer to pictures is no picture: decoders of the base leave it out.
    if first & 1 != 0 || second & 0xf8 != 0 {
        return Kind::Other;
    }
    match unit_type(first) {
        slice @ 0..=SLICE_LAST => Kind::Slice {
            role: match slice {
                IRAP_FIRST..=CRA => Role::Key,
                _ if RASL.contains(&slice) => Role::Leading,
                _ => Role::Other,
            },
            // `first_slice_segment_in_pic_flag` (7.3.6.1).
            is_first: unit.get(HEADER).is_some_and(|third| third & 0x80 != 0),
        },
        // `vps_video_parameter_set_id` (7.3.2.1).
        VPS_TYPE => unit.get(HEADER).map_or(Kind::Other, |it| Kind::Set(VPS, u32::from(it >> 4))),
        SPS_TYPE => Sps::read(unit).map_or(Kind::Other, |sps| Kind::Set(SPS, sps.number)),
        PPS_TYPE => pps_numbers(unit).map_or(Kind::Other, |[number, _]| Kind::Set(PPS, number)),
        DELIMITER => Kind::Delimiter,
        // It can be right at once (D.2.8 `recovery_poc_cnt`), and is no key picture for that: mp4
        // files know such by their type (ISO/IEC 14496-15, 8.4.3).
        SEI => match body(unit, MESSAGES_BYTES).is_some_and(|it| recovery_point(&it).is_some()) {
            true => Kind::Recovery { is_at_once: false },
            false => Kind::Other,
        },
        END_OF_SEQUENCE | END_OF_STREAM | FILLER | SEI_BEHIND => Kind::Trailer,
        _ => Kind::Other,
    }
}

/// So much of a set or a slice is looked at for its numbers, in bytes.
const NUMBERS_BYTES: usize = 24;
/// The same of a sequence set: with seven layers in time, each with a profile, and bytes that keep
/// start codes away.
const SPS_BYTES: usize = 256;
/// Sets of each order are told apart by numbers below these (7.4.3.2.1, 7.4.3.3.1).
const SPS_COUNT: u32 = 16;
const PPS_COUNT: u32 = 64;

/// What a unit says behind its header, of so many bytes at most.
fn body(unit: &[u8], bytes_max: usize) -> Option<Cow<'_, [u8]>> {
    // The library wants a header of one byte.
    let unit = unit.get(HEADER - 1..unit.len().min(bytes_max))?;
    if unit.is_empty() { None } else { decode_nal(unit).ok() }
}

/// Numbers of a picture set: its own, and that of its sequence (7.3.2.3.1).
fn pps_numbers(unit: &[u8]) -> Option<[u32; 2]> {
    let rbsp = body(unit, NUMBERS_BYTES)?;
    let mut bits = BitReader::new(&*rbsp);
    let numbers = [bits.read_ue("picture set").ok()?, bits.read_ue("sequence set").ok()?];
    (numbers[0] < PPS_COUNT && numbers[1] < SPS_COUNT).then_some(numbers)
}

/// The number of the picture set that a slice counts on (7.3.6.1).
fn slice_number(unit: &[u8]) -> Option<u32> {
    let is_irap = (IRAP_FIRST..=IRAP_LAST).contains(&unit_type(*unit.first()?));
    let rbsp = body(unit, NUMBERS_BYTES)?;
    let mut bits = BitReader::new(&*rbsp);
    bits.skip(1 + u32::from(is_irap), "flags").ok()?;
    bits.read_ue("picture set").ok()
}

/// The beginning of a sequence set (7.3.2.2.1).
#[derive(Debug, PartialEq, Eq)]
struct Sps {
    number: u32,
    /// Profile, compatibility, constraints, level: as a configuration has them.
    profile: [u8; 12],
    /// Layers in time, 1 to 8.
    layers: u8,
    is_nested: bool,
    chroma: u32,
    /// Bits of a sample, above 8: of brightness and of colour.
    depths: [u32; 2],
    /// Cropped, in pixels.
    size: (u32, u32),
    /// Pictures that are decoded before one that is shown before them, at most.
    reordered: u32,
}

impl Sps {
    /// `None` where it can't be one.
    fn read(unit: &[u8]) -> Option<Sps> {
        let rbsp = body(unit, SPS_BYTES)?;
        let sps = Sps::from_bits(BitReader::new(&*rbsp)).ok()??;
        let is_sane =
            sps.number < SPS_COUNT && sps.chroma <= 3 && sps.depths.iter().all(|d| *d < 8);
        is_sane.then_some(sps)
    }

    /// Without a value where the cropped size is none.
    fn from_bits(mut bits: impl BitRead) -> Result<Option<Sps>, BitReaderError> {
        bits.skip(4, "video set")?;
        let layers_behind: u8 = bits.read(3, "layers")?;
        let is_nested = bits.read_bool("nesting")?;
        let profile: [u8; 12] = bits.read_to("profile")?;
        skip_layers(&mut bits, layers_behind)?;
        let number = bits.read_ue("number")?;
        let chroma = bits.read_ue("chroma")?;
        if chroma == 3 {
            bits.skip(1, "separate planes")?;
        }
        let coded = (bits.read_ue("width")?, bits.read_ue("height")?);
        let mut window = [0; 4];
        if bits.read_bool("window")? {
            for edge in &mut window {
                *edge = bits.read_ue("edge")?;
            }
        }
        // The edges are in samples of colour (7.4.3.2.1).
        let unit = (1 + u32::from(chroma == 1 || chroma == 2), 1 + u32::from(chroma == 1));
        let cropped = |length: u32, unit: u32, edges: &[u32]| {
            let edges = edges[0].checked_add(edges[1])?.checked_mul(unit)?;
            length.checked_sub(edges).filter(|left| *left > 0)
        };
        let size = (cropped(coded.0, unit.0, &window[..2]), cropped(coded.1, unit.1, &window[2..]));
        let depths = [bits.read_ue("depth")?, bits.read_ue("depth of colour")?];
        let _ = bits.read_ue("bits of the order")?;
        let is_each_told = bits.read_bool("each layer")?;
        let mut reordered = 0;
        // The last one is that of all layers.
        for _ in 0..=if is_each_told { layers_behind } else { 0 } {
            let _ = bits.read_ue("pictures kept")?;
            reordered = bits.read_ue("pictures reordered")?;
            let _ = bits.read_ue("latency")?;
        }
        let (Some(width), Some(height)) = size else { return Ok(None) };
        let size = (width, height);
        let layers = layers_behind + 1;
        Ok(Some(Sps { number, profile, layers, is_nested, chroma, depths, size, reordered }))
    }
}

/// What is told of each layer but the last (7.3.3).
fn skip_layers(bits: &mut impl BitRead, count: u8) -> Result<(), BitReaderError> {
    if count == 0 {
        return Ok(());
    }
    let told: u16 = bits.read_to("what is told")?;
    for layer in 0..count {
        let has = |bit: u8| told << (2 * layer + bit) & 0x8000 != 0;
        bits.skip(88 * u32::from(has(0)) + 8 * u32::from(has(1)), "layer")?;
    }
    Ok(())
}

/// Sets of a description (RFC 7798, 7.1).
fn told_sets(format: &Format) -> Vec<Vec<u8>> {
    let values = ["sprop-vps", "sprop-sps", "sprop-pps"].map(|name| format.parameter(name));
    let values = values.into_iter().flatten().flat_map(|value| value.split(','));
    values.filter_map(super::coding::base64).collect()
}

/// Payloads have decoding order numbers where a description allows units out of that order (RFC
/// 7798, 4.4 and 7.1 `sprop-max-don-diff`).
fn plain(format: &Format) -> Option<Plain> {
    let allowed = format.parameter("sprop-max-don-diff")?.parse::<u32>().ok()?;
    (allowed > 0).then_some(without_order)
}

/// A payload without decoding order numbers.
fn without_order(payload: &[u8]) -> Vec<u8> {
    /// Of the first unit, and of each other one of an aggregate.
    const NUMBER: usize = 2;
    const DIFFERENCE: usize = 1;
    let (header, body) = payload.split_at(payload.len().min(HEADER));
    let behind = |bytes: &[u8], count: usize| bytes.get(count..).unwrap_or_default().to_vec();
    let kept = match (header.first().map(|first| unit_type(*first)), body.first()) {
        (Some(FRAGMENT), Some(piece)) if piece & 0x80 != 0 => {
            [vec![*piece], behind(body, 1 + NUMBER)].concat()
        }
        (Some(FRAGMENT), _) => body.to_vec(),
        (Some(AGGREGATE), _) => {
            let mut kept = Vec::with_capacity(body.len());
            let mut rest = body.get(NUMBER..).unwrap_or_default();
            while let Some(length) = rest.first_chunk::<2>() {
                let end = rest.len().min(2 + usize::from(u16::from_be_bytes(*length)));
                kept.extend_from_slice(&rest[..end]);
                rest = rest.get(end + DIFFERENCE..).unwrap_or_default();
            }
            kept
        }
        _ => behind(body, NUMBER),
    };
    [header, &kept].concat()
}

/// What decodes a picture: of all sets, those of its slice count.
fn decoding(sets: &Sets, slice: &[u8]) -> Option<Decoding> {
    let pps = slice_number(slice).and_then(|number| sets.get(PPS, number));
    let pps = pps.or_else(|| sets.of(PPS).next())?;
    let [_, number] = pps_numbers(pps)?;
    let unit = sets.get(SPS, number).or_else(|| sets.of(SPS).next())?;
    let sps = Sps::read(unit)?;
    let (width, height) = (u16::try_from(sps.size.0).ok()?, u16::try_from(sps.size.1).ok()?);
    let whole = whole(unit).filter(|whole| {
        // It does not understand each form of what stands before the size.
        whole.all_pixel_dimensions().is_ok_and(|size| size.display == (width, height))
    });
    let told = whole.as_ref().and_then(nal::Sps::vui);
    let aspect = told.and_then(|told| told.aspect_ratio()?.get());
    let timing = told.and_then(|told| told.timing_info());
    Some(Decoding {
        set: ParameterSet {
            codec: Codec::H265,
            configuration: configuration(sets, &sps),
            video: Some(VideoParameters {
                width,
                height,
                pixel_aspect: aspect.unwrap_or((1, 1)),
                look: Look::PLAIN,
            }),
            audio: None,
        },
        reorder_depth: ReorderDepth::Known(sps.reordered as usize),
        has_colour: false,
        has_fields: false,
        codec: whole.as_ref().map_or_else(|| "hvc1".to_owned(), nal::Sps::rfc6381_codec),
        frame_rate: timing
            .filter(|timing| timing.num_units_in_tick() > 0 && timing.time_scale() > 0)
            .map(|timing| f64::from(timing.time_scale()) / f64::from(timing.num_units_in_tick())),
    })
}

/// All of a sequence set, where the library understands it.
fn whole(unit: &[u8]) -> Option<nal::Sps> {
    let (_, bits) = nal::split(unit).ok()?;
    nal::Sps::from_bits(bits).ok()
}

/// An HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1.2) with every set; what it says of
/// pictures is of `active`.
fn configuration(sets: &Sets, active: &Sps) -> Vec<u8> {
    /// Of one order all are here (8.3.3.1.3), and lengths of units have four bytes.
    const IS_COMPLETE: u8 = 0x80;
    const LENGTH_BYTES: u8 = 4;
    let mut bytes = vec![1];
    bytes.extend(active.profile);
    // How pictures are parted, and what can be decoded at once: not known.
    bytes.extend([0xf0, 0, 0xfc]);
    bytes.push(0xfc | active.chroma as u8);
    bytes.extend(active.depths.map(|depth| 0xf8 | depth as u8));
    // The rate is not told here.
    bytes.extend([0, 0]);
    bytes.push(active.layers << 3 | u8::from(active.is_nested) << 2 | (LENGTH_BYTES - 1));
    let mut room = CONFIGURATION_BYTES_MAX;
    let arrays = [(VPS, VPS_TYPE), (SPS, SPS_TYPE), (PPS, PPS_TYPE)];
    let arrays = arrays.map(|(order, kind)| (kind, sets.fitting(order, &mut room)));
    let arrays: Vec<_> = arrays.into_iter().filter(|(_, chosen)| !chosen.is_empty()).collect();
    bytes.push(arrays.len() as u8);
    for (kind, chosen) in arrays {
        bytes.push(IS_COMPLETE | kind);
        bytes.extend((chosen.len() as u16).to_be_bytes());
        for set in chosen {
            bytes.extend((set.len() as u16).to_be_bytes());
            bytes.extend_from_slice(set);
        }
    }
    bytes
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::camera::sets::push_unit;

    const VPS_UNIT: [u8; 24] = [
        0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00,
        0x03, 0x00, 0x00, 0x03, 0x00, 0x3f, 0x95, 0x94, 0x09,
    ];
    /// 642 × 362, pixels of 16:11, 25 pictures a second, as x265 writes it.
    pub(in crate::camera) const SPS_UNIT: [u8; 44] = [
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x3f, 0xa0, 0x05, 0x12, 0x01, 0x71, 0xc9, 0x26, 0x59, 0x59, 0x64, 0x93, 0x2b,
        0xc1, 0x1a, 0x02, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x32, 0x10,
    ];
    pub(in crate::camera) const PPS_UNIT: [u8; 7] = [0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40];
    const KEY_SLICE: [u8; 5] = [0x28, 0x01, 0xaf, 0x78, 0x40];

    fn sets(units: &[&[u8]]) -> Sets {
        let mut sets = Sets::default();
        for unit in units {
            assert!(sets.take(&SYNTAX, unit), "{unit:x?}");
        }
        sets
    }

    #[test]
    fn payloads_are_told_apart() {
        assert_eq!(wrapping(&[0x26, 1]), Wrapping::Single);
        assert_eq!(wrapping(&[0x60, 1]), Wrapping::Aggregate(2));
        let Wrapping::Fragment(piece) = wrapping(&[0x62, 9, 0x93]) else { panic!("a fragment") };
        assert_eq!((piece.header, piece.is_first, piece.is_last), ([0x26, 9], true, false));
        for odd in [&[0x26][..], &[0xa6, 1], &[0x62, 1], &[0x64, 1, 2], &[0x7e, 1]] {
            assert_eq!(wrapping(odd), Wrapping::Unknown, "{odd:x?}");
        }
    }

    #[test]
    fn units_are_told_apart() {
        let slice = |role, is_first| Kind::Slice { role, is_first };
        assert_eq!(kind(&KEY_SLICE), slice(Role::Key, true));
        assert_eq!(kind(&[0x2a, 1, 0x80]), slice(Role::Key, true), "CRA");
        assert_eq!(kind(&[0x20, 1, 0x00]), slice(Role::Key, false), "BLA");
        assert_eq!(kind(&[0x10, 1, 0x80]), slice(Role::Leading, true), "RASL");
        assert_eq!(kind(&[0x0e, 1, 0x80]), slice(Role::Other, true), "RADL");
        assert_eq!(kind(&[0x02, 1]), slice(Role::Other, false));
        assert_eq!(kind(&VPS_UNIT), Kind::Set(VPS, 0));
        assert_eq!((kind(&SPS_UNIT), kind(&PPS_UNIT)), (Kind::Set(SPS, 0), Kind::Set(PPS, 0)));
        for other in [&[0x44, 1][..], &[0x42, 1, 1], &[0x40, 1], &[0x4e, 1, 5], &[0x26, 9, 0x80]] {
            assert_eq!(kind(other), Kind::Other, "{other:x?}");
        }
        let recovery = [0x4e, 1, 6, 1, 0xc4, 0x80];
        assert_eq!(kind(&recovery), Kind::Recovery { is_at_once: false });
        assert_eq!((kind(&[0x46, 1, 0x50]), kind(&[0x50, 1])), (Kind::Delimiter, Kind::Trailer));
    }

    #[test]
    fn sets_tell_what_decodes_a_picture() {
        let decoding = decoding(&sets(&[&VPS_UNIT, &SPS_UNIT, &PPS_UNIT]), &KEY_SLICE).unwrap();
        let video = decoding.set.video.unwrap();
        assert_eq!((video.width, video.height, video.pixel_aspect), (642, 362, (16, 11)));
        assert_eq!(decoding.reorder_depth, ReorderDepth::Known(2));
        assert_eq!((decoding.codec.as_str(), decoding.frame_rate), ("hvc1.1.6.L63.90", Some(25.0)));
        let mut wanted = vec![
            1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x3f, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0,
            0, 0x0f, 3,
        ];
        for (kind, set) in [(0xa0, &VPS_UNIT[..]), (0xa1, &SPS_UNIT), (0xa2, &PPS_UNIT)] {
            wanted.extend([kind, 0, 1, 0, set.len() as u8]);
            wanted.extend(set);
        }
        assert_eq!(decoding.set.configuration, wanted);
    }

    #[test]
    fn every_set_is_in_the_configuration_and_that_of_the_slice_counts() {
        // Another picture set, number 1, and a slice that names it.
        let second = [0x44, 0x01, 0x50, 0x5c, 0xad, 0x18, 0x90];
        let sets = sets(&[&PPS_UNIT, &second, &SPS_UNIT]);
        let decoding = decoding(&sets, &[0x02, 0x01, 0xa0]).unwrap();
        assert!(decoding.set.configuration.ends_with(&second));
        assert_eq!(slice_number(&[0x02, 0x01, 0xa0]), Some(1));
        assert_eq!(slice_number(&[0x28, 0x01, 0x90]), Some(1), "one more flag in a key picture");
        assert_eq!(slice_number(&[0x28]), None);
    }

    #[test]
    fn a_sequence_set_with_layers_in_time_is_read() {
        // Behind the profile: the level of one layer, and the profile of the next.
        let layers = format!("0000 0101 {} 0110 {}", "0".repeat(96), "0".repeat(12 + 8 + 88));
        // Number 0, 4:2:0, 642 × 362, 8 bits, and for each layer what is reordered: 0, 1, 2.
        let rest = "1 010 0000000001010000011 00000000101101011 0 1 1 1 1";
        let text = format!("{layers} {rest} 00101 1 1 00101 010 1 00101 011 1");
        let bits: Vec<u8> = text.bytes().filter(|it| *it != b' ').map(|it| it - b'0').collect();
        let byte = |bits: &[u8]| (0..8).fold(0, |sum, at| sum << 1 | bits.get(at).unwrap_or(&0));
        let bytes: Vec<u8> = bits.chunks(8).map(byte).collect();
        let sps = Sps::from_bits(BitReader::new(&bytes[..])).unwrap().unwrap();
        assert_eq!((sps.layers, sps.size, sps.reordered), (3, (642, 362), 2));
    }

    #[test]
    fn a_set_that_is_cut_short_is_none() {
        for length in 0..SPS_UNIT.len() {
            assert!(Sps::read(&SPS_UNIT[..length]).is_none() || length > 24, "{length}");
            let _ = kind(&SPS_UNIT[..length.max(1)]);
        }
    }

    #[test]
    fn sets_of_a_description_are_read() {
        let parameters = "sprop-vps=QAEM; sprop-sps=\"QgEB,QgEC\";sprop-pps=RAHB".to_owned();
        let told = told_sets(&Format { parameters, ..Format::default() });
        let wanted = [[0x40, 1, 0x0c], [0x42, 1, 1], [0x42, 1, 2], [0x44, 1, 0xc1]];
        assert_eq!(told, wanted);
    }

    #[test]
    fn decoding_order_numbers_are_left_out() {
        let described = |parameters: &str| {
            plain(&Format { parameters: parameters.to_owned(), ..Format::default() }).is_some()
        };
        assert!(described("sprop-max-don-diff=2") && !described("sprop-max-don-diff=0"));
        assert!(!described("sprop-vps=QAEM"));
        let cases: [(&[u8], &[u8]); 6] = [
            (&[0x26, 1, 0, 7, 9, 9], &[0x26, 1, 9, 9]),
            (&[0x62, 1, 0x93, 0, 7, 9], &[0x62, 1, 0x93, 9]),
            (&[0x62, 1, 0x13, 9, 9], &[0x62, 1, 0x13, 9, 9]),
            (
                &[0x60, 1, 0, 7, 0, 2, 9, 9, 1, 0, 1, 8, 2, 0, 9, 7],
                &[0x60, 1, 0, 2, 9, 9, 0, 1, 8, 0, 9, 7],
            ),
            (&[0x26, 1, 0], &[0x26, 1]),
            (&[0x60], &[0x60]),
        ];
        for (numbered, wanted) in cases {
            assert_eq!(without_order(numbered), wanted, "{numbered:x?}");
        }
    }

    #[test]
    fn sets_stand_behind_the_delimiter() {
        let (delimiter, slice) = ([0x46, 1, 0x50], [0x26, 1, 0x80]);
        let (mut picture, mut wanted) = (Vec::new(), Vec::new());
        push_unit(&mut picture, &delimiter);
        push_unit(&mut wanted, &delimiter);
        push_unit(&mut wanted, &PPS_UNIT);
        for to in [&mut picture, &mut wanted] {
            push_unit(to, &slice);
        }
        let front = sets(&[&PPS_UNIT]).in_front(&[]);
        assert_eq!(crate::camera::sets::with_front(&SYNTAX, &front, &picture), wanted);
    }
}
