//! Sample entries: what decodes the samples of a track (ISO/IEC 14496-12, 8.5.2; QuickTime File
//! Format, "Sample Description Atoms").

use super::boxes::{BoxType, child, children, full};
use crate::demux::cursor::Cursor;
use crate::demux::{Coding, Entry, Kind, PcmForm};

/// Fields of every entry (ISO/IEC 14496-12, 8.5.2.2), and of those of pictures (12.1.3), in bytes.
const ENTRY_BYTES: usize = 8;
const PICTURE_BYTES: usize = 70;
/// A movie has few.
const ENTRIES_MAX: usize = 256;

/// The entries of the body of an `stsd`.
pub(super) fn entries(stsd: &[u8], kind: Kind) -> Vec<Entry> {
    let Some((_, _, mut list)) = full(stsd) else { return Vec::new() };
    if list.skip(4).is_none() {
        return Vec::new();
    }
    let all = children(list.0).take(ENTRIES_MAX);
    let read = all.map(|(name, body)| {
        match kind {
            Kind::Video => picture(&name, body),
            Kind::Sound => sound(&name, body),
            Kind::Other => None,
        }
        .unwrap_or_else(|| Entry::of(Coding::Other(named(&name))))
    });
    read.collect()
}

/// A name of four bytes, for people.
pub(super) fn named(name: &BoxType) -> String {
    name.escape_ascii().to_string()
}

fn picture(name: &BoxType, body: &[u8]) -> Option<Entry> {
    let mut at = Cursor(body);
    at.skip(ENTRY_BYTES + 16)?;
    let size = (at.u16()?, at.u16()?);
    at.skip(PICTURE_BYTES - 20)?;
    let boxes = at.0;
    let (coding, configuration) = match name {
        b"avc1" | b"avc2" | b"avc3" | b"avc4" => (Coding::H264, child(boxes, b"avcC")?),
        b"hvc1" | b"hev1" | b"hvc2" | b"hev2" => (Coding::H265, child(boxes, b"hvcC")?),
        b"jpeg" | b"mjpg" | b"MJPG" | b"AVDJ" => (Coding::Jpeg, &[][..]),
        b"mp4v" => match object_type(child(boxes, b"esds")?)? {
            (0x6c, _) => (Coding::Jpeg, &[][..]),
            (0x20, _) => (Coding::Other("MPEG-4 Visual".to_owned()), &[][..]),
            (kind, _) => (Coding::Other(format!("mp4v.{kind:02x}")), &[][..]),
        },
        b"encv" => (Coding::Other("encrypted".to_owned()), &[][..]),
        _ => return None,
    };
    let pixel_aspect = child(boxes, b"pasp").and_then(|body| {
        let mut body = Cursor(body);
        let told = (u16::try_from(body.u32()?).ok()?, u16::try_from(body.u32()?).ok()?);
        Some(told).filter(|(width, height)| *width > 0 && *height > 0)
    });
    Some(Entry {
        configuration: configuration.to_vec(),
        size: Some(size),
        pixel_aspect,
        colour: child(boxes, b"colr").and_then(colour),
        clean_aperture: child(boxes, b"clap").and_then(|body| {
            let mut body = Cursor(body);
            let mut numbers = [0; 8];
            for number in &mut numbers {
                *number = body.u32()?;
            }
            Some(numbers)
        }),
        ..Entry::of(coding)
    })
}

/// Of a `colr` that names what colours mean (ISO/IEC 14496-12, 12.1.5; QuickTime's has no range).
fn colour(body: &[u8]) -> Option<[u16; 4]> {
    let mut body = Cursor(body);
    let kind = body.array::<4>()?;
    let codes = [body.u16()?, body.u16()?, body.u16()?];
    let range = match &kind {
        b"nclx" => u16::from(body.u8()? >> 7),
        b"nclc" => 0,
        _ => return None,
    };
    // 2 is "unspecified" in each of them.
    let [primaries, transfer, matrix] = codes;
    (codes != [2; 3]).then_some([primaries, transfer, matrix, range])
}

fn sound(name: &BoxType, body: &[u8]) -> Option<Entry> {
    let mut at = Cursor(body);
    at.skip(ENTRY_BYTES)?;
    let version = at.u16()?;
    at.skip(6)?;
    let (mut channels, mut bits) = (u32::from(at.u16()?), u32::from(at.u16()?));
    at.skip(4)?;
    let mut rate = at.u32()? >> 16;
    let mut is_little = name == b"sowt";
    // QuickTime's own (QuickTime File Format, "Sound Sample Description").
    match version {
        1 => at.skip(16)?,
        2 => {
            at.skip(4)?;
            rate = f64::from_bits(at.u64()?) as u32;
            channels = at.u32()?;
            at.skip(4)?;
            bits = at.u32()?;
            is_little = at.u32()? & 2 == 0;
            at.skip(8)?;
        }
        _ => {}
    }
    let boxes = child(at.0, b"wave").unwrap_or(at.0);
    let form = if is_little { PcmForm::LittleEndian } else { PcmForm::BigEndian };
    let (coding, configuration) = match name {
        b"mp4a" => match object_type(child(boxes, b"esds")?)? {
            (0x40 | 0x66 | 0x67 | 0x68, Some(specific)) => (Coding::Aac, specific),
            (0x69 | 0x6b, _) => (Coding::Other("MP3".to_owned()), &[][..]),
            (kind, _) => (Coding::Other(format!("mp4a.{kind:02x}")), &[][..]),
        },
        b"Opus" => (Coding::Opus, child(boxes, b"dOps")?),
        b"fLaC" => (Coding::Flac, full(child(boxes, b"dfLa")?)?.2.0),
        b"sowt" | b"twos" | b"lpcm" if bits == 16 => (Coding::Pcm(form), &[][..]),
        b"ipcm" => {
            let (_, _, mut told) = full(child(boxes, b"pcmC")?)?;
            let form = match (told.u8()? & 1, told.u8()?) {
                (1, 16) => PcmForm::LittleEndian,
                (0, 16) => PcmForm::BigEndian,
                _ => return None,
            };
            (Coding::Pcm(form), &[][..])
        }
        b"ulaw" => (Coding::Pcm(PcmForm::MuLaw), &[][..]),
        b"alaw" => (Coding::Pcm(PcmForm::ALaw), &[][..]),
        b".mp3" => (Coding::Other("MP3".to_owned()), &[][..]),
        b"ac-3" => (Coding::Other("AC-3".to_owned()), &[][..]),
        _ => return None,
    };
    let configuration = configuration.to_vec();
    let channels = u16::try_from(channels).ok();
    let sample_rate = Some(rate).filter(|rate| *rate > 0);
    Some(Entry { configuration, sample_rate, channels, ..Entry::of(coding) })
}

/// The object type of an `esds`, and what is specific to its decoder (ISO/IEC 14496-1, 7.2.6).
fn object_type(esds: &[u8]) -> Option<(u8, Option<&[u8]>)> {
    const ES: u8 = 3;
    const DECODER: u8 = 4;
    const SPECIFIC: u8 = 5;
    let stream = descriptor(full(esds)?.2, ES)?;
    let mut at = Cursor(stream);
    at.skip(2)?;
    let flags = at.u8()?;
    if flags & 0x80 != 0 {
        at.skip(2)?;
    }
    if flags & 0x40 != 0 {
        let length = at.u8()?;
        at.skip(usize::from(length))?;
    }
    if flags & 0x20 != 0 {
        at.skip(2)?;
    }
    let mut decoder = Cursor(descriptor(at, DECODER)?);
    let kind = decoder.u8()?;
    let specific = decoder.skip(12).and_then(|()| descriptor(decoder, SPECIFIC));
    Some((kind, specific))
}

/// The body of the first descriptor with that tag (ISO/IEC 14496-1, 8.3.3).
fn descriptor(mut at: Cursor<'_>, wanted: u8) -> Option<&[u8]> {
    loop {
        let tag = at.u8()?;
        let mut length = 0_usize;
        for _ in 0..4 {
            let byte = at.u8()?;
            length = length << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let body = at.take(length.min(at.0.len()))?;
        if tag == wanted {
            return Some(body);
        }
    }
}
