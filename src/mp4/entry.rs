//! Sample entries: how a parameter set looks in an mp4, and what its codec is called.

use super::boxes::BoxWriter;
use crate::segment::{
    AudioParameters, Codec, EntryFacts, Look, Malformed, ParameterSet, VideoParameters,
};

/// The longest decoder configuration that is taken, in bytes. Those of cameras are below a
/// kilobyte; a forged one must not fill the memory of every reader.
pub(super) const CONFIGURATION_BYTES_MAX: usize = 1 << 20;

/// The file's only data reference: the file itself (ISO/IEC 14496-12, 8.7.2).
const DATA_REFERENCE: u16 = 1;
/// 72 dots an inch, as 16.16 fixed point: what every writer says (ISO/IEC 14496-12, 12.1.3).
const RESOLUTION: u32 = 72 << 16;
/// 24-bit colour without alpha (ISO/IEC 14496-12, 12.1.3).
const DEPTH: u16 = 0x18;
/// Bits a sample, which decoders of compressed audio ignore (ISO/IEC 14496-12, 12.2.3).
const SAMPLE_BITS: u16 = 16;
/// The sample rate that an Opus entry names (Encapsulation of Opus in ISO BMFF, 4.3.1).
const OPUS_RATE: u32 = 48_000;

/// For video that says nothing of its pictures; no set that was read from a ring does that.
const NO_PICTURE: VideoParameters =
    VideoParameters { width: 0, height: 0, pixel_aspect: (1, 1), look: Look::PLAIN };

/// Reads an encoded parameter set that is to become a sample entry.
///
/// # Errors
/// Names the first field that is not what it should be, a configuration longer than
/// [`CONFIGURATION_BYTES_MAX`], or a codec that this program can't show.
pub(crate) fn decode(encoded: &[u8]) -> Result<ParameterSet, Malformed> {
    match bounded(encoded)? {
        ParameterSet { codec: Codec::Unknown(code), .. } => {
            Err(Malformed { what: "codec", at: 1, reason: format!("{code} is not known") })
        }
        parameters => Ok(parameters),
    }
}

fn bounded(encoded: &[u8]) -> Result<ParameterSet, Malformed> {
    let parameters = ParameterSet::decode(encoded)?;
    match parameters.configuration.len() {
        length if length <= CONFIGURATION_BYTES_MAX => Ok(parameters),
        length => Err(Malformed {
            what: "decoder configuration",
            at: 0,
            reason: format!("{length} bytes, expected at most {CONFIGURATION_BYTES_MAX}"),
        }),
    }
}

/// What an encoded parameter set counts for in the sums over a clip. One whose codec is not known
/// has a name and no sample entry: the clip stays, and can't be opened.
///
/// # Errors
/// Names the first field of `encoded` that is not what it should be.
pub fn entry_facts(encoded: &[u8]) -> Result<EntryFacts, Malformed> {
    let parameters = bounded(encoded)?;
    let mut mark = [0; 16];
    mark.copy_from_slice(&blake3::hash(encoded).as_bytes()[..16]);
    Ok(EntryFacts {
        mark,
        sample_entry_bytes: sample_entry(&parameters).len() as u32,
        codec: codec_name(&parameters),
        picture: parameters.video.map_or((0, 0), |video| (video.width, video.height)),
    })
}

/// The sample entry of a track whose samples `parameters` decodes, as a box. Its length depends
/// on the lengths of the parts of `parameters` alone. The configuration is below 2²⁴ bytes, which
/// [`entry_facts`] refuses to exceed.
#[must_use]
pub fn sample_entry(parameters: &ParameterSet) -> Vec<u8> {
    let mut to = BoxWriter::default();
    let configuration = parameters.configuration.as_slice();
    let video = parameters.video.unwrap_or(NO_PICTURE);
    let audio = parameters.audio.unwrap_or(AudioParameters { sample_rate: 0, channels: 0 });
    match parameters.codec {
        // ISO/IEC 14496-15, 5.4.2: parameter sets are in the entry. That those of newer clips are
        // in the samples, too, is what every player takes where the sets change.
        Codec::H264 => visual(&mut to, b"avc1", &video, |to| {
            to.plain(b"avcC", |to| to.raw(configuration));
        }),
        // ISO/IEC 14496-15, 8.4.1: the same, and what Apple's players ask for.
        Codec::H265 => visual(&mut to, b"hvc1", &video, |to| {
            to.plain(b"hvcC", |to| to.raw(configuration));
        }),
        // ISO/IEC 14496-14, 5.6.1.
        Codec::Aac => sound(&mut to, b"mp4a", audio.channels, audio.sample_rate, |to| {
            to.full(b"esds", 0, 0, |to| elementary_stream(to, configuration));
        }),
        // Encapsulation of Opus in ISO BMFF, 4.3.1.
        Codec::Opus => sound(&mut to, b"Opus", audio.channels, OPUS_RATE, |to| {
            to.plain(b"dOps", |to| to.raw(configuration));
        }),
        // Encapsulation of FLAC in ISO BMFF, 3.3.1 and 3.3.2.
        Codec::Flac => sound(&mut to, b"fLaC", audio.channels, audio.sample_rate, |to| {
            to.full(b"dfLa", 0, 0, |to| to.raw(configuration));
        }),
        // ISO/IEC 23008-12, H.3, without tables in the entry. More programs know it than `mp4v` of
        // object type 0x6C, which mkvmerge skips.
        Codec::Jpeg => visual(&mut to, b"jpeg", &video, |_| ()),
        Codec::Unknown(_) => {}
        // ISO/IEC 14496-12, 12.3.3.2: TextMetaDataSampleEntry, without a content encoding.
        Codec::TimedText => to.plain(b"mett", |to| {
            entry_header(to);
            to.terminated(b"");
            to.terminated(configuration);
        }),
    }
    to.finish()
}

/// How many bytes the lengths in front of NAL units have; `None` of what has no such units.
pub(crate) fn length_size(parameters: &ParameterSet) -> Option<u8> {
    let at = match parameters.codec {
        Codec::H264 => 4,
        Codec::H265 => 21,
        _ => return None,
    };
    parameters.configuration.get(at).map(|byte| (byte & 3) + 1)
}

/// The NAL units of a parameter set as they stand in front of a picture, each behind its length;
/// `None` where the configuration is cut short (ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1).
pub(crate) fn sets_in_band(parameters: &ParameterSet) -> Option<Vec<u8>> {
    let size = usize::from(length_size(parameters)?);
    let mut in_band = Vec::new();
    let mut add = |from: &mut &[u8]| {
        let (length, rest) = from.split_first_chunk::<2>()?;
        let (unit, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        in_band.extend_from_slice(&(unit.len() as u32).to_be_bytes()[4 - size..]);
        in_band.extend_from_slice(unit);
        *from = rest;
        Some(())
    };
    let configuration = parameters.configuration.as_slice();
    if parameters.codec == Codec::H264 {
        let (count, mut rest) = configuration.get(5..)?.split_first()?;
        (0..count & 0x1f).try_for_each(|_| add(&mut rest))?;
        let (count, mut rest) = rest.split_first()?;
        (0..*count).try_for_each(|_| add(&mut rest))?;
        return Some(in_band);
    }
    let (arrays, mut rest) = configuration.get(22..)?.split_first()?;
    for _ in 0..*arrays {
        let (head, units) = rest.split_first_chunk::<3>()?;
        rest = units;
        let count = u16::from_be_bytes([head[1], head[2]]);
        (0..count).try_for_each(|_| add(&mut rest))?;
    }
    Some(in_band)
}

/// The name of the codec: RFC 6381, 3.3 and 3.4 (`avc1.640028`, `mp4a.40.2`), ISO/IEC 14496-15,
/// annex E (`hvc1.1.6.L120.90`), `opus`, `flac`, `jpeg`, or the MIME type of timed text.
#[must_use]
pub fn codec_name(parameters: &ParameterSet) -> String {
    let configuration = parameters.configuration.as_slice();
    match parameters.codec {
        Codec::H264 => match configuration {
            [_, profile, constraints, level, ..] => {
                format!("avc1.{profile:02X}{constraints:02X}{level:02X}")
            }
            _ => "avc1".to_owned(),
        },
        Codec::H265 => hevc_name(configuration).unwrap_or_else(|| "hvc1".to_owned()),
        Codec::Aac => match audio_object_type(configuration) {
            Some(object_type) => format!("mp4a.40.{object_type}"),
            None => "mp4a.40".to_owned(),
        },
        Codec::Opus => "opus".to_owned(),
        Codec::Flac => "flac".to_owned(),
        Codec::Jpeg => "jpeg".to_owned(),
        Codec::TimedText => String::from_utf8_lossy(configuration).into_owned(),
        Codec::Unknown(code) => format!("unknown ({code})"),
    }
}

/// What every sample entry begins with (ISO/IEC 14496-12, 8.5.2.2).
fn entry_header(to: &mut BoxWriter) {
    to.zeros(6);
    to.u16(DATA_REFERENCE);
}

/// VisualSampleEntry (ISO/IEC 14496-12, 12.1.3) with the codec's own box and the shape of its
/// pixels (12.1.4).
fn visual(
    to: &mut BoxWriter,
    kind: &[u8; 4],
    video: &VideoParameters,
    body: impl FnOnce(&mut BoxWriter),
) {
    to.plain(kind, |to| {
        entry_header(to);
        to.zeros(16);
        to.u16(video.width);
        to.u16(video.height);
        to.u32(RESOLUTION);
        to.u32(RESOLUTION);
        to.zeros(4);
        to.u16(1);
        to.zeros(32);
        to.u16(DEPTH);
        to.i16(-1);
        body(to);
        let (horizontal, vertical) = pixel_aspect(video);
        to.plain(b"pasp", |to| {
            to.u32(u32::from(horizontal));
            to.u32(u32::from(vertical));
        });
        if let Some(numbers) = video.look.clean_aperture {
            to.plain(b"clap", |to| numbers.iter().for_each(|number| to.u32(*number)));
        }
        if let Some(colour) = video.look.colour {
            to.plain(b"colr", |to| {
                to.raw(b"nclx");
                for code in [colour.primaries, colour.transfer, colour.matrix] {
                    to.u16(code);
                }
                to.raw(&[u8::from(colour.is_full_range) << 7]);
            });
        }
    });
}

/// The shape of a pixel; square where the parameter set says nonsense.
pub(crate) fn pixel_aspect(video: &VideoParameters) -> (u16, u16) {
    match video.pixel_aspect {
        (0, _) | (_, 0) => (1, 1),
        aspect => aspect,
    }
}

/// AudioSampleEntry (ISO/IEC 14496-12, 12.2.3) with the codec's own box.
fn sound(
    to: &mut BoxWriter,
    kind: &[u8; 4],
    channels: u16,
    sample_rate: u32,
    body: impl FnOnce(&mut BoxWriter),
) {
    to.plain(kind, |to| {
        entry_header(to);
        to.zeros(8);
        to.u16(channels);
        to.u16(SAMPLE_BITS);
        to.zeros(4);
        // 16.16 fixed point: a rate that does not fit is read from the configuration.
        to.u32(u16::try_from(sample_rate).map_or(0, |rate| u32::from(rate) << 16));
        body(to);
    });
}

/// TextSampleEntry (3GPP TS 26.245, 5.16) of subtitles over such pictures: white in the middle of
/// the lowest line, one in twenty.
pub(super) fn subtitles(picture: &VideoParameters) -> Vec<u8> {
    const CENTRE: u8 = 1;
    const BOTTOM: u8 = 0xff;
    const FONT: &[u8] = b"Sans-Serif";
    const FONT_ID: u16 = 1;
    const LINES: u16 = 20;
    const WHITE: u32 = 0xffff_ffff;
    const HALF_BLACK: u32 = 0x80;

    let mut to = BoxWriter::default();
    to.plain(b"tx3g", |to| {
        entry_header(to);
        to.u32(0);
        to.raw(&[CENTRE, BOTTOM]);
        to.u32(HALF_BLACK);
        let line = picture.height / LINES;
        [0, 0, picture.height, picture.width].iter().for_each(|edge| to.u16(*edge));
        to.zeros(2 + 2);
        to.u16(FONT_ID);
        to.u8(0);
        to.u8(u8::try_from(line).unwrap_or(u8::MAX));
        to.u32(WHITE);
        to.plain(b"ftab", |to| {
            to.u16(1);
            to.u16(FONT_ID);
            to.u8(FONT.len() as u8);
            to.raw(FONT);
        });
    });
    to.finish()
}

/// ES_Descriptor (ISO/IEC 14496-1, 7.2.6.5) of AAC, as ISO/IEC 14496-14, 3.1.2 wants it.
fn elementary_stream(to: &mut BoxWriter, configuration: &[u8]) {
    const ES_DESCRIPTOR: u8 = 3;
    const DECODER_CONFIG: u8 = 4;
    const DECODER_SPECIFIC: u8 = 5;
    const SYNC_LAYER_CONFIG: u8 = 6;
    /// Tag and length.
    const HEADER: usize = 5;
    /// MPEG-4 audio (ISO/IEC 14496-1, table 5).
    const OBJECT_TYPE: u8 = 0x40;
    /// Audio, not upstream, and the reserved bit, which is 1 (table 6).
    const STREAM_TYPE: u8 = 5 << 2 | 1;
    /// Settings of the synchronisation layer that are fixed for mp4 files.
    const SYNC_LAYER_MP4: u8 = 2;

    let specific = configuration.len();
    let decoder = 13 + HEADER + specific;
    let whole = 3 + HEADER + decoder + HEADER + 1;
    descriptor(to, ES_DESCRIPTOR, whole);
    to.u16(0);
    to.u8(0);
    descriptor(to, DECODER_CONFIG, decoder);
    to.u8(OBJECT_TYPE);
    to.u8(STREAM_TYPE);
    // Buffer size, greatest and average bit rate: not known.
    to.zeros(3 + 4 + 4);
    descriptor(to, DECODER_SPECIFIC, specific);
    to.raw(configuration);
    descriptor(to, SYNC_LAYER_CONFIG, 1);
    to.u8(SYNC_LAYER_MP4);
}

/// Tag and length of a descriptor, the length always in four bytes of seven bits each
/// (ISO/IEC 14496-1, 8.3.3).
fn descriptor(to: &mut BoxWriter, tag: u8, length: usize) {
    to.u8(tag);
    for shift in [21, 14, 7] {
        to.u8((length >> shift) as u8 | 0x80);
    }
    to.u8(length as u8 & 0x7f);
}

/// ISO/IEC 14496-15, annex E.3: profile, compatibility, tier and level, constraints.
fn hevc_name(configuration: &[u8]) -> Option<String> {
    let [_, profile, rest @ ..] = configuration else { return None };
    let (compatibility, rest) = rest.split_first_chunk::<4>()?;
    let (constraints, rest) = rest.split_first_chunk::<6>()?;
    let level = rest.first()?;
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let compatibility = u32::from_be_bytes(*compatibility).reverse_bits();
    let mut name = format!("hvc1.{space}{}.{compatibility:X}.{tier}{level}", profile & 0x1f);
    let kept = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..kept] {
        name.push_str(&format!(".{byte:X}"));
    }
    Some(name)
}

/// Audio object type of an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
fn audio_object_type(configuration: &[u8]) -> Option<u8> {
    /// The type that says that the real one follows, less 32, in six bits.
    const ESCAPE: u8 = 31;
    match (configuration.first()? >> 3, configuration) {
        (ESCAPE, [first, second, ..]) => Some(32 + ((first & 7) << 3 | second >> 5)),
        (ESCAPE, _) => None,
        (object_type, _) => Some(object_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(codec: Codec, configuration: &[u8]) -> ParameterSet {
        let video =
            VideoParameters { width: 1920, height: 1080, pixel_aspect: (1, 1), look: Look::PLAIN };
        ParameterSet {
            codec,
            configuration: configuration.to_vec(),
            video: Some(video),
            audio: None,
        }
    }

    fn audio(codec: Codec, configuration: &[u8]) -> ParameterSet {
        let audio = AudioParameters { sample_rate: 44_100, channels: 2 };
        ParameterSet {
            codec,
            configuration: configuration.to_vec(),
            video: None,
            audio: Some(audio),
        }
    }

    #[test]
    fn codecs_are_named_as_the_standards_name_them() {
        let h264 = video(Codec::H264, &[1, 0x64, 0, 0x28, 0xff]);
        assert_eq!(codec_name(&h264), "avc1.640028");
        let hvcc = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 120, 0xf0];
        assert_eq!(codec_name(&video(Codec::H265, &hvcc)), "hvc1.1.6.L120.90");
        assert_eq!(codec_name(&audio(Codec::Aac, &[0x12, 0x10])), "mp4a.40.2");
        assert_eq!(codec_name(&audio(Codec::Aac, &[0xf9, 0x46])), "mp4a.40.42");
        assert_eq!(codec_name(&audio(Codec::Opus, &[])), "opus");
        assert_eq!(codec_name(&audio(Codec::Flac, &[])), "flac");
        assert_eq!(codec_name(&video(Codec::Jpeg, &[])), "jpeg");
    }

    #[test]
    fn a_configuration_that_is_cut_short_has_a_name_still() {
        for length in 0..4 {
            assert_eq!(codec_name(&video(Codec::H264, &[1; 4][..length])), "avc1");
        }
        for length in 0..13 {
            assert_eq!(codec_name(&video(Codec::H265, &[1; 13][..length])), "hvc1");
        }
        assert_eq!(codec_name(&audio(Codec::Aac, &[])), "mp4a.40");
        assert_eq!(codec_name(&audio(Codec::Aac, &[0xff])), "mp4a.40");
    }

    #[test]
    fn facts_of_a_set_agree_with_the_entry_that_it_becomes() {
        let parameters = video(Codec::H264, &[1, 0x42, 0, 0x1e]);
        let encoded = parameters.encode();
        let facts = entry_facts(&encoded).expect("a whole parameter set");
        assert_eq!(facts.sample_entry_bytes as usize, sample_entry(&parameters).len());
        assert_eq!(facts.picture, (1920, 1080));
        assert_eq!(facts.codec, "avc1.42001E");
        assert_eq!(facts.mark, blake3::hash(&encoded).as_bytes()[..16]);
    }

    #[test]
    fn a_configuration_without_end_is_refused() {
        let parameters = video(Codec::H264, &vec![0; CONFIGURATION_BYTES_MAX + 1]);
        let error = entry_facts(&parameters.encode()).expect_err("too long");
        assert_eq!(error.what, "decoder configuration");
    }

    #[test]
    fn every_entry_is_one_box_of_the_length_that_it_names() {
        let timed = ParameterSet {
            codec: Codec::TimedText,
            configuration: b"application/json".to_vec(),
            video: None,
            audio: None,
        };
        let sets = [
            video(Codec::H264, &[1; 40]),
            video(Codec::H265, &[1; 200]),
            audio(Codec::Aac, &[0x12, 0x10]),
            audio(Codec::Opus, &[0; 11]),
            audio(Codec::Flac, &[0x80, 0, 0, 34]),
            video(Codec::Jpeg, &[]),
            timed,
        ];
        let recorded = sets.iter().map(sample_entry);
        for entry in recorded.chain([subtitles(&NO_PICTURE)]) {
            let length = u32::from_be_bytes([entry[0], entry[1], entry[2], entry[3]]);
            assert_eq!(length as usize, entry.len(), "{:?}", &entry[4..8]);
        }
    }
}
