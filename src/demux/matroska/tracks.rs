//! What decodes the samples of a track (RFC 9559, 5.1.4; RFC 9559's codec mappings,
//! draft-ietf-cellar-codec).

use super::elements::{child, children, float_in, integer_in};
use crate::demux::cursor::Cursor;
use crate::demux::{Coding, Entry, Kind, Packing, PcmForm};
use crate::matroska::id;

/// Types of tracks (RFC 9559, 5.1.4.1.3).
const VIDEO: u64 = 1;
const AUDIO: u64 = 2;
/// Header stripping (RFC 9559, 5.1.4.1.31.6).
const HEADER_STRIPPING: u64 = 3;
/// Samples begin with no more that was taken away, in bytes.
const STRIPPED_BYTES_MAX: usize = 64;
/// A BITMAPINFOHEADER, in bytes; and where in it the coding is named.
const BITMAP_BYTES: usize = 40;
const BITMAP_CODING: usize = 16;
/// Samples without compression (WAVEFORMATEX, `wFormatTag`).
const WAVE_PCM: u16 = 1;
const WAVE_A_LAW: u16 = 6;
const WAVE_MU_LAW: u16 = 7;

/// A track, as its file describes it.
pub(super) struct Described {
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) entry: Entry,
    pub(super) packing: Packing,
    /// Between samples, in nanoseconds; 0 where it does not say.
    pub(super) step_nanos: u64,
}

/// Reads a `TrackEntry`; `None` where it has no number.
pub(super) fn described(body: &[u8]) -> Option<Described> {
    let number = integer_in(body, id::TRACK_NUMBER)?;
    let kind = match integer_in(body, id::TRACK_TYPE) {
        Some(VIDEO) => Kind::Video,
        Some(AUDIO) => Kind::Sound,
        _ => Kind::Other,
    };
    let name = child(body, id::CODEC).unwrap_or_default();
    // Zeros may end a text (RFC 8794, 13).
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let private = child(body, id::CODEC_PRIVATE).unwrap_or_default();
    let coded = match kind {
        Kind::Video => picture(name, private),
        Kind::Sound => sound(name, private, body),
        Kind::Other => None,
    };
    let named = || Coding::Other(String::from_utf8_lossy(name).escape_debug().to_string());
    let (coding, configuration) = coded.unwrap_or_else(|| (named(), Vec::new()));
    let (coding, packing) = match packing(body) {
        Ok(packing) => (coding, packing),
        Err(why) => (Coding::Other(why.to_owned()), Packing::Plain),
    };
    let mut entry = Entry { configuration, ..Entry::of(coding) };
    if let Some(video) = child(body, id::VIDEO) {
        look(video, &mut entry);
    }
    if let Some(audio) = child(body, id::AUDIO) {
        let rate = float_in(audio, id::SAMPLING_FREQUENCY).unwrap_or(8000.0);
        entry.sample_rate = Some(rate as u32).filter(|rate| *rate > 0);
        let channels = integer_in(audio, id::CHANNELS).unwrap_or(1);
        entry.channels = u16::try_from(channels).ok();
    }
    let step_nanos = integer_in(body, id::DEFAULT_DURATION).unwrap_or(0);
    Some(Described { number, kind, entry, packing, step_nanos })
}

fn picture(name: &[u8], private: &[u8]) -> Option<(Coding, Vec<u8>)> {
    let (coding, configuration) = match name {
        b"V_MPEG4/ISO/AVC" => (Coding::H264, private),
        b"V_MPEGH/ISO/HEVC" => (Coding::H265, private),
        b"V_MJPEG" => (Coding::Jpeg, &[][..]),
        b"V_MS/VFW/FOURCC" => {
            let behind = private.get(BITMAP_BYTES..).unwrap_or_default();
            match private.get(BITMAP_CODING..BITMAP_CODING + 4)? {
                // Units behind lengths where there is a configuration that says how long those are.
                b"H264" | b"h264" | b"avc1" | b"AVC1" | b"X264" | b"x264" => {
                    let is_configured = behind.first() == Some(&1);
                    (Coding::H264, if is_configured { behind } else { &[] })
                }
                b"MJPG" | b"mjpg" => (Coding::Jpeg, &[][..]),
                other => (Coding::Other(other.escape_ascii().to_string()), &[][..]),
            }
        }
        _ => return None,
    };
    Some((coding, configuration.to_vec()))
}

fn sound(name: &[u8], private: &[u8], body: &[u8]) -> Option<(Coding, Vec<u8>)> {
    let bits = child(body, id::AUDIO).and_then(|audio| integer_in(audio, id::BIT_DEPTH));
    let pcm = |form| Some((Coding::Pcm(form), Vec::new()));
    match name {
        b"A_AAC" if !private.is_empty() => Some((Coding::Aac, private.to_vec())),
        b"A_OPUS" => Some((Coding::Opus, of_opus(private)?)),
        b"A_FLAC" => Some((Coding::Flac, private.strip_prefix(b"fLaC")?.to_vec())),
        b"A_PCM/INT/LIT" if bits == Some(16) => pcm(PcmForm::LittleEndian),
        b"A_PCM/INT/BIG" if bits == Some(16) => pcm(PcmForm::BigEndian),
        b"A_MS/ACM" => {
            let little = |at: usize| {
                let bytes = private.get(at..at + 2)?.try_into().ok()?;
                Some(u16::from_le_bytes(bytes))
            };
            match (little(0)?, little(14)?) {
                (WAVE_PCM, 16) => pcm(PcmForm::LittleEndian),
                (WAVE_A_LAW, _) => pcm(PcmForm::ALaw),
                (WAVE_MU_LAW, _) => pcm(PcmForm::MuLaw),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The body of a `dOps` box of what a stream of Opus begins with (RFC 7845, 5.1): the same, with
/// the high bytes first and another version.
fn of_opus(head: &[u8]) -> Option<Vec<u8>> {
    let mut at = Cursor(head.strip_prefix(b"OpusHead")?);
    at.skip(1)?;
    let channels = at.u8()?;
    let mut body = vec![0, channels];
    body.extend(at.u16()?.swap_bytes().to_be_bytes());
    body.extend(at.u32()?.swap_bytes().to_be_bytes());
    body.extend(at.u16()?.swap_bytes().to_be_bytes());
    body.extend_from_slice(at.0);
    Some(body)
}

/// How samples lie in blocks.
///
/// # Errors
/// Why nobody can read them.
fn packing(body: &[u8]) -> Result<Packing, &'static str> {
    let encodings = child(body, id::CONTENT_ENCODINGS).unwrap_or_default();
    let mut encodings = children(encodings).filter(|(id, _)| *id == id::CONTENT_ENCODING);
    let Some((_, encoding)) = encodings.next() else { return Ok(Packing::Plain) };
    if encodings.next().is_some() || child(encoding, id::CONTENT_ENCRYPTION).is_some() {
        return Err("encrypted");
    }
    let compression = child(encoding, id::CONTENT_COMPRESSION).unwrap_or_default();
    let stripped = child(compression, id::CONTENT_COMP_SETTINGS).unwrap_or_default();
    let is_stripped = integer_in(compression, id::CONTENT_COMP_ALGO) == Some(HEADER_STRIPPING);
    match is_stripped && stripped.len() <= STRIPPED_BYTES_MAX {
        true => Ok(Packing::Stripped(stripped.to_vec())),
        false => Err("compressed once more"),
    }
}

/// What pictures look like (RFC 9559, 5.1.4.1.28).
fn look(video: &[u8], entry: &mut Entry) {
    let pixels = |id| integer_in(video, id).and_then(|it| u16::try_from(it).ok());
    let size = pixels(id::PIXEL_WIDTH).zip(pixels(id::PIXEL_HEIGHT));
    entry.size = size;
    let unit = integer_in(video, id::DISPLAY_UNIT).unwrap_or(0);
    let shown = integer_in(video, id::DISPLAY_WIDTH).zip(integer_in(video, id::DISPLAY_HEIGHT));
    // In pixels, or a ratio; in centimetres it tells nothing.
    if let (Some((width, height)), Some((across, down)), 0 | 3) = (size, shown, unit) {
        entry.pixel_aspect = aspect(across, down, width.into(), height.into());
    }
    if let Some(colour) = child(video, id::COLOUR) {
        let code = |id| integer_in(colour, id).and_then(|it| u16::try_from(it).ok()).unwrap_or(2);
        let codes =
            [id::PRIMARIES, id::TRANSFER_CHARACTERISTICS, id::MATRIX_COEFFICIENTS].map(code);
        let is_full = integer_in(colour, id::RANGE) == Some(2);
        let [primaries, transfer, matrix] = codes;
        // 2 is "unspecified" in each of them.
        entry.colour = (codes != [2; 3]).then_some([primaries, transfer, matrix, is_full.into()]);
    }
    let projection = child(video, id::PROJECTION)
        .filter(|body| integer_in(body, id::PROJECTION_TYPE).unwrap_or(0) == 0);
    let roll = projection.and_then(|body| float_in(body, id::PROJECTION_POSE_ROLL)).unwrap_or(0.0);
    // Degrees against the clock; what is no quarter is not turned.
    if roll % 90.0 == 0.0 && roll.abs() <= 360.0 {
        entry.quarter_turns = (-roll / 90.0).rem_euclid(4.0) as u8;
    }
}

/// The shape of a pixel of pictures that are shown in another shape than they have.
fn aspect(across: u64, down: u64, width: u64, height: u64) -> Option<(u16, u16)> {
    let (across, down) = (across.checked_mul(height)?, down.checked_mul(width)?);
    let (mut common, mut rest) = (across, down);
    while rest > 0 {
        (common, rest) = (rest, common % rest);
    }
    let reduced = |part: u64| u16::try_from(part.checked_div(common)?).ok();
    Some((reduced(across)?, reduced(down)?)).filter(|it| *it != (1, 1) && it.0 > 0 && it.1 > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(id: u32, body: &[u8]) -> Vec<u8> {
        let bytes = id.to_be_bytes();
        let first = bytes.iter().position(|byte| *byte != 0).expect("an identifier");
        [&bytes[first..], &[0x40, body.len() as u8], body].concat()
    }

    fn track(kind: u8, name: &[u8], private: &[u8], more: &[u8]) -> Described {
        let body = [
            element(id::TRACK_NUMBER, &[3]),
            element(id::TRACK_TYPE, &[kind]),
            element(id::CODEC, name),
            element(id::CODEC_PRIVATE, private),
            more.to_vec(),
        ];
        described(&body.concat()).expect("a track")
    }

    #[test]
    fn codings_are_known_by_their_names() {
        let mut bitmap = vec![0; BITMAP_BYTES];
        bitmap[16..20].copy_from_slice(b"H264");
        let mut wave = vec![0; 18];
        wave[0] = 7;
        for (kind, name, private, wanted) in [
            (1, &b"V_MPEG4/ISO/AVC"[..], &[1, 2][..], Coding::H264),
            (1, b"V_MS/VFW/FOURCC", &bitmap, Coding::H264),
            (1, b"V_VP9\0\0", &[], Coding::Other("V_VP9".to_owned())),
            (2, b"A_AAC", &[0x12, 0x10], Coding::Aac),
            (2, b"A_MS/ACM", &wave, Coding::Pcm(PcmForm::MuLaw)),
            (2, b"A_FLAC", b"fLaC\x80\0\0\x22", Coding::Flac),
            (17, b"S_TEXT/UTF8", &[], Coding::Other("S_TEXT/UTF8".to_owned())),
        ] {
            let described = track(kind, name, private, &[]);
            assert_eq!((described.number, &described.entry.coding), (3, &wanted));
        }
        let head = [&b"OpusHead\x01\x02"[..], &[0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, 0]].concat();
        let opus = track(2, b"A_OPUS", &head, &[]);
        assert_eq!(opus.entry.configuration, [0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0]);
    }

    #[test]
    fn what_pictures_look_like_is_read() {
        let video = [
            element(id::PIXEL_WIDTH, &[2, 0xd0]),
            element(id::PIXEL_HEIGHT, &[2, 0x40]),
            element(id::DISPLAY_WIDTH, &[4]),
            element(id::DISPLAY_HEIGHT, &[3]),
            element(id::DISPLAY_UNIT, &[3]),
            element(id::COLOUR, &[0x55, 0xb1, 0x81, 9, 0x55, 0xb9, 0x81, 2]),
            element(id::PROJECTION, &element(id::PROJECTION_POSE_ROLL, &(-90_f32).to_be_bytes())),
        ];
        let entry = track(1, b"V_MJPEG", &[], &element(id::VIDEO, &video.concat())).entry;
        assert_eq!((entry.size, entry.pixel_aspect), (Some((720, 576)), Some((16, 15))));
        assert_eq!((entry.colour, entry.quarter_turns), (Some([2, 2, 9, 1]), 1));
        assert_eq!(aspect(720, 576, 720, 576), None);
        assert_eq!(aspect(0, 0, 720, 576), None);
    }

    #[test]
    fn what_was_taken_away_is_known_and_what_is_locked_left_out() {
        let with = |encoding: &[u8]| {
            let encodings =
                element(id::CONTENT_ENCODINGS, &element(id::CONTENT_ENCODING, encoding));
            track(1, b"V_MJPEG", &[], &encodings)
        };
        let settings = |algorithm| {
            let settings = element(id::CONTENT_COMP_SETTINGS, &[0xff, 0xd8]);
            let algorithm = element(id::CONTENT_COMP_ALGO, &[algorithm]);
            element(id::CONTENT_COMPRESSION, &[algorithm, settings].concat())
        };
        assert_eq!(with(&settings(3)).packing, Packing::Stripped(vec![0xff, 0xd8]));
        assert_eq!(
            with(&settings(0)).entry.coding,
            Coding::Other("compressed once more".to_owned())
        );
        let locked = with(&element(id::CONTENT_ENCRYPTION, &[]));
        assert_eq!(locked.entry.coding, Coding::Other("encrypted".to_owned()));
    }
}
