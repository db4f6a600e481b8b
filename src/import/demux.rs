//! Opens an mp4 and yields the samples of its H.264 track, one after another.
//!
//! The boxes are read by `re_mp4`, which is held to this room; where the samples lie is worked out
//! in `files`. Nothing but the boxes is read before a sample is asked for.

#![warn(clippy::indexing_slicing)]

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use re_mp4::{Avc1Box, BoxHeader, BoxType, MoofBox, MoovBox, ReadBox, StsdBoxContent, TrakBox};

use super::files::{Place, check_place, fragment_places, table_places};
use super::problem::{DemuxError, Problem};
use crate::segment::{Codec, ParameterSet, VideoParameters};
use crate::units::{NANOS_PER_SECOND, Ticks, WallTime};

/// The longest `moov` or `moof` that is read, in bytes: a day of 25 frames a second takes 26 MB.
const BOX_BYTES_MAX: u64 = 1 << 30;
/// From 1904-01-01, where mp4 counts from (ISO/IEC 14496-12, 8.2.2), to 1970-01-01, in seconds.
const EPOCH_SECONDS: u64 = 2_082_844_800;

/// A sample of the video track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSample {
    /// When it is shown, in ticks from the beginning of the presentation; negative for pictures
    /// that the edit list cuts off.
    pub pts: Ticks,
    /// When it is decoded, on the same time line.
    pub dts: Ticks,
    /// Decode time to the next sample, in ticks.
    pub duration: u32,
    /// Whether decoding can begin here.
    pub sync: bool,
    /// Length-prefixed NAL units, as they are in the file.
    pub data: Vec<u8>,
}

/// An mp4 file with an H.264 track, opened. Holds 40 bytes for each sample.
#[derive(Debug)]
pub struct Footage {
    path: PathBuf,
    file: File,
    parameters: ParameterSet,
    timescale: u32,
    created: Option<WallTime>,
    /// From the track's own time line to the presentation, in ticks.
    shift: i64,
    places: Vec<Place>,
}

impl Footage {
    /// Opens a file and reads its boxes, not its samples.
    ///
    /// # Errors
    /// [`DemuxError`] names the file and what is wrong with it; a file whose samples are not all
    /// there is an error here already.
    pub fn open(path: &Path) -> Result<Footage, DemuxError> {
        let fail = |problem| DemuxError { path: path.to_owned(), problem };
        let file = File::open(path).map_err(|error| fail(error.into()))?;
        // The box reader indexes and subtracts without a check in places: a forged box makes it
        // panic, which must not end the import of the other files.
        let read = catch_unwind(|| read_footage(path, file));
        let forged = "its boxes can't be parsed".to_owned();
        read.unwrap_or(Err(Problem::Malformed(forged))).map_err(fail)
    }

    /// How the samples are decoded.
    #[must_use]
    pub fn parameters(&self) -> &ParameterSet {
        &self.parameters
    }

    /// Ticks a second; not 0.
    #[must_use]
    pub fn timescale(&self) -> u32 {
        self.timescale
    }

    /// When the footage was made, as the file says; `None` where it says nothing.
    #[must_use]
    pub fn created(&self) -> Option<WallTime> {
        self.created
    }

    /// Number of samples; at least 1.
    #[must_use]
    pub fn sample_count(&self) -> usize {
        self.places.len()
    }

    /// Length of all samples, in bytes.
    #[must_use]
    pub fn byte_count(&self) -> u64 {
        self.places.iter().map(|place| u64::from(place.size)).sum()
    }

    /// How long it is shown, in ticks from the beginning of the presentation.
    #[must_use]
    pub fn duration(&self) -> Ticks {
        let ends = self.places.iter().map(|place| {
            let shown = place.decode_time.saturating_add(place.composition_offset);
            shown.saturating_add(i64::from(place.duration))
        });
        Ticks(ends.max().unwrap_or(0).saturating_add(self.shift).max(0))
    }

    /// The samples in decode order; each is read from the file when it is asked for.
    pub fn samples(&self) -> impl Iterator<Item = Result<MediaSample, DemuxError>> {
        self.places.iter().map(|place| {
            let mut data = vec![0; place.size as usize];
            let read = self.file.read_exact_at(&mut data, place.offset);
            read.map_err(|error| DemuxError { path: self.path.clone(), problem: error.into() })?;
            let dts = place.decode_time.saturating_add(self.shift);
            Ok(MediaSample {
                pts: Ticks(dts.saturating_add(place.composition_offset)),
                dts: Ticks(dts),
                duration: place.duration,
                sync: place.sync,
                data,
            })
        })
    }
}

fn read_footage(path: &Path, file: File) -> Result<Footage, Problem> {
    let length = file.metadata()?.len();
    let boxes = read_boxes(&mut BufReader::new(&file), length)?;
    let trak = video_track(&boxes.moov)?;
    let media = &trak.mdia.mdhd;
    if media.timescale == 0 {
        return Err(Problem::Malformed("the timescale of the video track is 0".to_owned()));
    }
    let parameters = match &trak.mdia.minf.stbl.stsd.contents {
        StsdBoxContent::Avc1(entry) => parameter_set(entry),
        other => return Err(Problem::Codec(coding(other))),
    };
    let mut places = table_places(&trak.mdia.minf.stbl, length)?;
    let listed = places.len();
    places.extend(fragment_places(&boxes.moov, &boxes.moofs, trak.tkhd.track_id, &places)?);
    if places.is_empty() {
        return Err(Problem::NoVideo);
    }
    for (index, place) in places.iter().enumerate().skip(listed) {
        check_place(place, length, index + 1, places.len())?;
    }
    let made = [boxes.moov.mvhd.creation_time, trak.tkhd.creation_time];
    Ok(Footage {
        shift: presentation_shift(&boxes.moov, trak)?,
        timescale: media.timescale,
        created: made.into_iter().find(|time| *time != 0).and_then(wall_time),
        path: path.to_owned(),
        file,
        parameters,
        places,
    })
}

struct Boxes {
    moov: MoovBox,
    moofs: Vec<MoofBox>,
}

fn read_boxes(reader: &mut BufReader<&File>, length: u64) -> Result<Boxes, Problem> {
    let mut moov = None;
    let mut moofs = Vec::new();
    let mut at = 0;
    while at < length {
        reader.seek(SeekFrom::Start(at))?;
        let header = match BoxHeader::read(reader) {
            Ok(header) => header,
            Err(_) if at == 0 => return Err(Problem::NotMp4),
            Err(error) => return Err(broken("box header", at, length, error)),
        };
        if at == 0 && header.name != BoxType::FtypBox {
            return Err(Problem::NotMp4);
        }
        // `size` leaves out the second half of a 16-byte header, behind which the reader stands.
        let begin = reader.stream_position()?.saturating_sub(re_mp4::HEADER_SIZE);
        let end = match header.size {
            0 => length,
            size => begin.saturating_add(size),
        };
        let what = format!("{} box", header.name);
        if end > length {
            return Err(Problem::Truncated { what, end, length });
        }
        if end < begin + re_mp4::HEADER_SIZE {
            return Err(Problem::Malformed(format!("{what} of {} bytes", header.size)));
        }
        let is_index = matches!(header.name, BoxType::MoovBox | BoxType::MoofBox);
        if is_index && end - begin > BOX_BYTES_MAX {
            let found = end - begin;
            return Err(Problem::Unsupported(format!("{what} of {found} bytes")));
        }
        match header.name {
            BoxType::MoovBox => {
                let read = MoovBox::read_box(&mut Patience::new(reader, end - begin), end - begin);
                moov = Some(read.map_err(|error| broken(&what, end, length, error))?);
            }
            BoxType::MoofBox => {
                let read = MoofBox::read_box(&mut Patience::new(reader, end - begin), end - begin);
                moofs.push(read.map_err(|error| broken(&what, end, length, error))?);
            }
            _ => {}
        }
        at = end;
    }
    match moov {
        Some(moov) => Ok(Boxes { moov, moofs }),
        None if length == 0 => Err(Problem::NotMp4),
        None => Err(Problem::NoIndex),
    }
}

/// A reader that loses patience. A box of length 0 within another sends the box reader back to
/// where it was, for ever.
struct Patience<'a, 'b> {
    reader: &'a mut BufReader<&'b File>,
    /// What may still be read, in bytes.
    left: u64,
}

impl<'a, 'b> Patience<'a, 'b> {
    /// For a box of `length` bytes: nothing in it is read more than twice, a configuration once
    /// to be parsed and once to be kept.
    fn new(reader: &'a mut BufReader<&'b File>, length: u64) -> Patience<'a, 'b> {
        Patience { reader, left: length.saturating_mul(3) }
    }
}

impl Read for Patience<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or(io::ErrorKind::InvalidData)?;
        Ok(read)
    }
}

impl Seek for Patience<'_, '_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        // What is near is reached within the buffer; `stream_position` comes here, too.
        let at = self.reader.stream_position()?;
        let wanted = match to {
            SeekFrom::Start(wanted) => Some(wanted),
            SeekFrom::Current(distance) => at.checked_add_signed(distance),
            SeekFrom::End(_) => None,
        };
        let distance = wanted.and_then(|wanted| wanted.checked_signed_diff(at));
        match (wanted, distance) {
            (Some(wanted), Some(distance)) => {
                self.reader.seek_relative(distance)?;
                Ok(wanted)
            }
            _ => self.reader.seek(to),
        }
    }
}

fn broken(what: &str, end: u64, length: u64, error: re_mp4::Error) -> Problem {
    match error {
        re_mp4::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Problem::Truncated { what: what.to_owned(), end, length }
        }
        re_mp4::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            Problem::Malformed(format!("{what}: boxes in it point back at themselves"))
        }
        re_mp4::Error::Io(error) => Problem::Io(error),
        other => Problem::Malformed(format!("{what}: {other}")),
    }
}

/// The first track of pictures.
fn video_track(moov: &MoovBox) -> Result<&TrakBox, Problem> {
    let is_video = |trak: &&TrakBox| &trak.mdia.hdlr.handler_type.value == b"vide";
    moov.traks.iter().find(is_video).ok_or(Problem::NoVideo)
}

fn coding(contents: &StsdBoxContent) -> String {
    match contents {
        StsdBoxContent::Unknown(code) => code.to_string(),
        known => known.codec_string().unwrap_or_else(|| "of an unknown kind".to_owned()),
    }
}

fn parameter_set(entry: &Avc1Box) -> ParameterSet {
    let parameters = entry.avcc.sequence_parameter_sets.first();
    let pixel_aspect = parameters.and_then(|nal| pixel_aspect(&nal.bytes)).unwrap_or((1, 1));
    let video = VideoParameters { width: entry.width, height: entry.height, pixel_aspect };
    ParameterSet {
        codec: Codec::H264,
        configuration: entry.avcc.raw.clone(),
        video: Some(video),
        audio: None,
    }
}

/// What a sequence parameter set says of the shape of its pixels (ISO/IEC 14496-10, E.2.1).
fn pixel_aspect(parameters: &[u8]) -> Option<(u16, u16)> {
    use h264_reader::nal::sps::SeqParameterSet;
    use h264_reader::rbsp::{BitReader, ByteReader};
    let bits = BitReader::new(ByteReader::skipping_h264_header(parameters));
    let usability = SeqParameterSet::from_bits(bits).ok()?.vui_parameters?;
    usability.aspect_ratio_info?.get().filter(|(width, height)| *width > 0 && *height > 0)
}

/// From the track's own time line to the presentation, in ticks (ISO/IEC 14496-12, 8.6.6):
/// how long the track is delayed, less where its first edit begins.
fn presentation_shift(moov: &MoovBox, trak: &TrakBox) -> Result<i64, Problem> {
    let Some(edits) = trak.edts.as_ref().and_then(|edts| edts.elst.as_ref()) else {
        return Ok(0);
    };
    let empty = if edits.version == 1 { u64::MAX } else { u64::from(u32::MAX) };
    let delays = edits.entries.iter().take_while(|edit| edit.media_time == empty);
    let delay: u128 = delays.clone().map(|edit| u128::from(edit.segment_duration)).sum();
    let media: Vec<_> = edits.entries.iter().skip(delays.count()).collect();
    let begin = match media.as_slice() {
        [] => 0,
        [edit] if edit.media_rate == 1 => edit.media_time,
        [edit] => {
            let rate = edit.media_rate;
            return Err(Problem::Unsupported(format!("an edit that plays at {rate} times")));
        }
        several => {
            let count = several.len();
            return Err(Problem::Unsupported(format!("an edit list with {count} cuts")));
        }
    };
    let scaled = delay.saturating_mul(u128::from(trak.mdia.mdhd.timescale))
        / u128::from(moov.mvhd.timescale.max(1));
    let delay = i64::try_from(scaled).unwrap_or(i64::MAX);
    Ok(delay.saturating_sub(i64::try_from(begin).unwrap_or(i64::MAX)))
}

/// Times before 1970 are those of writers that count from there, against the standard.
fn wall_time(seconds: u64) -> Option<WallTime> {
    let since_1970 = i64::try_from(seconds.checked_sub(EPOCH_SECONDS).unwrap_or(seconds)).ok()?;
    since_1970.checked_mul(NANOS_PER_SECOND).map(WallTime)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn run(program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{program} is needed: {error}"));
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaint.is_empty(), "{program}: {complaint}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Two seconds of a test picture and a tone, encoded by ffmpeg into `name` with `options`.
    struct Made {
        _directory: tempfile::TempDir,
        path: PathBuf,
    }

    impl Made {
        fn new(name: &str, options: &str) -> Made {
            let directory = tempfile::tempdir().expect("a directory for the file");
            let path = directory.path().join(name);
            let inputs = "-v error -f lavfi -i testsrc=s=192x128:r=25:d=2 \
                          -f lavfi -i sine=d=2 -g 25 -pix_fmt yuv420p";
            let words = inputs.split_whitespace().chain(options.split_whitespace());
            let mut arguments: Vec<&str> = words.collect();
            arguments.push(path.to_str().expect("a temporary path is text"));
            run("ffmpeg", &arguments);
            Made { _directory: directory, path }
        }

        fn cut_to(&self, share: f64) {
            let bytes = std::fs::read(&self.path).expect("what ffmpeg wrote");
            let kept = (bytes.len() as f64 * share) as usize;
            std::fs::write(&self.path, &bytes[..kept]).expect("room for the file");
        }

        fn problem(&self) -> Problem {
            match Footage::open(&self.path) {
                Err(DemuxError { path, problem }) => {
                    assert_eq!(path, self.path);
                    problem
                }
                Ok(_) => panic!("{} opens", self.path.display()),
            }
        }

        /// What ffprobe says of the samples: pts, dts, key, MD5 of the bytes.
        fn probed(&self) -> Vec<(i64, i64, bool, String)> {
            let arguments = "-v error -select_streams v -show_data_hash md5 \
                             -show_entries packet=pts,dts,flags,data_hash -of compact=p=0:nk=1";
            let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
            arguments.push(self.path.to_str().expect("a temporary path is text"));
            let shown = run("ffprobe", &arguments);
            let number = |field: &str| field.parse().expect("a number");
            let lines = shown.lines().map(|line| line.split('|').collect::<Vec<_>>());
            let packets = lines.map(|fields| {
                let key = fields[2].starts_with('K');
                (number(fields[0]), number(fields[1]), key, fields[3].to_owned())
            });
            packets.collect()
        }
    }

    fn assert_as_probed(made: &Made) {
        let footage = Footage::open(&made.path).expect("an mp4");
        let samples: Vec<_> = footage.samples().map(|sample| sample.expect("readable")).collect();
        let probed = made.probed();
        assert_eq!(samples.len(), probed.len());
        assert_eq!(footage.sample_count(), probed.len());
        for (sample, (pts, dts, key, hash)) in samples.iter().zip(&probed) {
            assert_eq!((sample.pts.0, sample.dts.0, sample.sync), (*pts, *dts, *key));
            assert_eq!(format!("MD5:{}", md5(&sample.data)), *hash);
        }
        for pair in samples.windows(2) {
            assert_eq!(pair[0].dts.0 + i64::from(pair[0].duration), pair[1].dts.0);
        }
    }

    /// By the tool of the system: a digest that ffprobe knows, too.
    fn md5(data: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().expect("a file for the sample");
        std::fs::write(file.path(), data).expect("room for the sample");
        let shown = run("md5sum", &[file.path().to_str().expect("a temporary path is text")]);
        shown.split_whitespace().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn samples_are_those_that_ffprobe_finds() {
        assert_as_probed(&Made::new("plain.mp4", "-map 0:v -c:v libx264 -bf 0"));
    }

    #[test]
    fn reordered_pictures_keep_both_their_times() {
        let options = "-map 0:v -map 1:a -c:v libx264 -bf 3 -b_strategy 0 -c:a aac";
        let made = Made::new("reordered.mp4", options);
        assert_as_probed(&made);
        let footage = Footage::open(&made.path).expect("an mp4");
        let first = footage.samples().next().expect("a sample").expect("readable");
        assert_eq!(first.pts, Ticks(0));
        assert!(first.dts < first.pts);
    }

    #[test]
    fn fragments_are_read_like_tables() {
        for flags in ["frag_keyframe+empty_moov", "frag_keyframe+empty_moov+default_base_moof"] {
            let options = "-map 0:v -map 1:a -c:v libx264 -bf 0 -c:a aac -movflags";
            assert_as_probed(&Made::new("fragments.mp4", &format!("{options} {flags}")));
        }
    }

    #[test]
    fn a_delayed_track_is_as_late_as_its_edit_list_says() {
        let options = "-map 0:v -map 1:a -c:v libx264 -bf 2 -c:a aac -vf setpts=PTS+10";
        let made = Made::new("delayed.mp4", options);
        assert_as_probed(&made);
        let footage = Footage::open(&made.path).expect("an mp4");
        let first = footage.samples().next().expect("a sample").expect("readable");
        assert!(first.pts > Ticks(0));
    }

    #[test]
    fn parameters_and_creation_time_are_those_of_the_file() {
        let options = "-map 0:v -c:v libx264 -vf setsar=4/3 -video_track_timescale 90000 \
                       -metadata creation_time=2026-11-21T13:10:00Z";
        let made = Made::new("described.mp4", options);
        let footage = Footage::open(&made.path).expect("an mp4");
        let expected = VideoParameters { width: 192, height: 128, pixel_aspect: (4, 3) };
        assert_eq!(footage.parameters().video, Some(expected));
        assert_eq!(footage.parameters().codec, Codec::H264);
        assert_eq!(footage.parameters().configuration.first(), Some(&1));
        assert_eq!(footage.timescale(), 90_000);
        assert_eq!(footage.created(), Some(WallTime(1_795_266_600 * NANOS_PER_SECOND)));
        let silent = Made::new("silent.mp4", "-map 0:v -c:v libx264");
        assert_eq!(Footage::open(&silent.path).expect("an mp4").created(), None);
    }

    #[test]
    fn a_file_that_is_cut_off_is_called_truncated() {
        let behind = Made::new("behind.mp4", "-map 0:v -c:v libx264");
        behind.cut_to(0.6);
        assert!(matches!(behind.problem(), Problem::Truncated { .. }));
        let front = Made::new("front.mp4", "-map 0:v -c:v libx264 -movflags +faststart");
        front.cut_to(0.9);
        assert!(matches!(front.problem(), Problem::Truncated { .. }));
        let message = Footage::open(&front.path).expect_err("cut off").to_string();
        assert!(message.contains("front.mp4: truncated: mdat box ends at byte"), "{message}");
    }

    #[test]
    fn what_is_not_h264_in_mp4_is_named() {
        let hevc = Made::new("hevc.mp4", "-map 0:v -c:v libx265 -x265-params log-level=none");
        assert!(matches!(hevc.problem(), Problem::Codec(name) if name.starts_with("hev1")));
        let sound = Made::new("sound.mp4", "-map 1:a -c:a aac");
        assert!(matches!(sound.problem(), Problem::NoVideo));
        let matroska = Made::new("footage.mkv", "-map 0:v -c:v libx264");
        assert!(matches!(matroska.problem(), Problem::NotMp4));
        matroska.cut_to(0.0);
        assert!(matches!(matroska.problem(), Problem::NotMp4));
        std::fs::remove_file(&matroska.path).expect("the file is there");
        assert!(matches!(matroska.problem(), Problem::Io(_)));
    }

    #[test]
    fn a_recording_without_its_index_is_named() {
        let made = Made::new("plain.mp4", "-map 0:v -c:v libx264");
        let bytes = std::fs::read(&made.path).expect("what ffmpeg wrote");
        let index = bytes.windows(4).position(|window| window == b"moov").expect("a moov box");
        std::fs::write(&made.path, &bytes[..index - 4]).expect("room for the file");
        assert!(matches!(made.problem(), Problem::NoIndex));
    }

    #[test]
    fn no_single_byte_of_the_boxes_can_end_the_program() {
        for options in ["-bf 2", "-bf 2 -movflags frag_keyframe+empty_moov"] {
            let made = Made::new("forged.mp4", &format!("-map 0:v -c:v libx264 {options}"));
            let bytes = std::fs::read(&made.path).expect("what ffmpeg wrote");
            let index = bytes.windows(4).position(|window| window == b"moov").expect("a moov box");
            for at in (index - 4)..bytes.len().min(index + 1400) {
                for value in [0, 0x7f, 0xff] {
                    let mut forged = bytes.clone();
                    forged[at] = value;
                    std::fs::write(&made.path, &forged).expect("room for the file");
                    if let Ok(footage) = Footage::open(&made.path) {
                        assert!(footage.byte_count() <= 16 * bytes.len() as u64);
                    }
                }
            }
        }
    }
}
