//! What real encoders write becomes frames that say how decoding can begin with them: open groups,
//! leading pictures, recovery points, of each codec. No camera and no network.

use std::path::Path;
use std::process::Command;

use reelfs::camera::{Camera, Frame, Replay};
use reelfs::clock::Reading;
use reelfs::units::{BootTime, WallTime};

/// Pictures a second, and ticks of RTP.
const RATE: u32 = 25;
const CLOCK_RATE: u32 = 90_000;

/// A codec, as ffmpeg and a description name it.
struct Codec {
    encoder: &'static str,
    parameters: &'static str,
    stream: &'static str,
    encoding: &'static str,
    /// An option that lets the encoder be silent.
    quiet: &'static str,
    /// Of a unit, by its first byte.
    is_delimiter: fn(u8) -> bool,
}

const H264: Codec = Codec {
    encoder: "libx264",
    parameters: "-x264-params",
    stream: "h264",
    encoding: "H264",
    quiet: "",
    is_delimiter: |header| header & 31 == 9,
};
const H265: Codec = Codec {
    encoder: "libx265",
    parameters: "-x265-params",
    stream: "hevc",
    encoding: "H265",
    quiet: ":log-level=error",
    is_delimiter: |header| header >> 1 & 63 == 35,
};

/// A picture of the encoder, in the order of decoding.
struct Encoded {
    units: Vec<Vec<u8>>,
    /// When it is shown, in ticks.
    time: u32,
    /// Whether the encoder says that decoding can begin with it.
    is_entry: bool,
}

fn run(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().expect("it is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Four seconds of a test picture.
fn encoded(codec: &Codec, options: &str) -> Vec<Encoded> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    let (file, stream) = (path("film.mp4"), path("film.units"));
    let source = format!("testsrc2=size=320x240:rate={RATE}");
    let words = ["-v", "error", "-f", "lavfi", "-i", &source, "-t", "4", "-pix_fmt", "yuv420p"];
    let options = format!("{options}:scenecut=0{}", codec.quiet);
    run(
        "ffmpeg",
        &[&words[..], &["-c:v", codec.encoder, codec.parameters, &options, &file]].concat(),
    );
    let name = codec.stream;
    let filters = format!("{name}_mp4toannexb,{name}_metadata=aud=insert");
    run(
        "ffmpeg",
        &["-v", "error", "-i", &file, "-c", "copy", "-bsf:v", &filters, "-f", name, &stream],
    );
    let shown = ["-v", "error", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0", &file];
    let lines = run("ffprobe", &shown);
    let pictures = pictures(codec, Path::new(&stream));
    assert_eq!(lines.lines().count(), pictures.len(), "one packet for each picture");
    let packets = lines.lines().map(|line| {
        let (time, flags) = line.split_once(',').expect("two fields");
        let seconds: f64 = time.parse().expect("a time");
        ((seconds * f64::from(CLOCK_RATE)).round() as u32, flags.contains('K'))
    });
    let pictures = pictures.into_iter().zip(packets);
    pictures.map(|(units, (time, is_entry))| Encoded { units, time, is_entry }).collect()
}

fn pictures(codec: &Codec, stream: &Path) -> Vec<Vec<Vec<u8>>> {
    let bytes = std::fs::read(stream).expect("a stream");
    let starts: Vec<usize> =
        (0..bytes.len() - 2).filter(|at| bytes[*at..].starts_with(&[0, 0, 1])).collect();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let mut pictures: Vec<Vec<Vec<u8>>> = Vec::new();
    for (start, end) in starts.iter().zip(ends) {
        let unit = &bytes[start + 3..end];
        let zeros = unit.iter().rev().take_while(|byte| **byte == 0).count();
        let unit = &unit[..unit.len() - zeros];
        if (codec.is_delimiter)(unit[0]) {
            pictures.push(Vec::new());
        }
        pictures.last_mut().expect("a delimiter").push(unit.to_vec());
    }
    pictures
}

/// The frames that such pictures become, a packet for each unit.
fn frames(codec: &Codec, pictures: &[Encoded]) -> Vec<Frame> {
    let camera = Camera::new("door", "rtsp://h/", None, None).expect("a URL");
    let description =
        format!("m=video 0 RTP/AVP 96\na=rtpmap:96 {}/{CLOCK_RATE}\n", codec.encoding);
    let mut replay = Replay::new(camera, &description).expect("it is recorded");
    let (wall, boot) = (WallTime(0), BootTime(0));
    let now = Reading { wall, boot, boot_id: [0; 16], synchronised: true };
    let mut sequence = 0_u16;
    let mut frames = Vec::new();
    for picture in pictures {
        for (at, unit) in picture.units.iter().enumerate() {
            let marker = u8::from(at + 1 == picture.units.len());
            let length = u16::try_from(12 + unit.len()).expect("a small unit");
            let mut bytes = vec![b'$', 0];
            bytes.extend(length.to_be_bytes());
            bytes.extend([0x80, marker << 7 | 96]);
            bytes.extend(sequence.to_be_bytes());
            bytes.extend(picture.time.to_be_bytes());
            bytes.extend([0, 0, 0, 1]);
            bytes.extend(unit);
            frames.extend(replay.push(&bytes, &now).expect("a session"));
            sequence = sequence.wrapping_add(1);
        }
    }
    frames.extend(replay.finish());
    let times = |frame: &Frame| frame.pts as u32;
    let wanted: Vec<u32> = pictures.iter().map(|picture| picture.time).collect();
    assert_eq!(frames.iter().map(times).collect::<Vec<u32>>(), wanted, "each is a frame");
    frames
}

fn numbers(frames: &[Frame], is_it: impl Fn(&Frame) -> bool) -> Vec<usize> {
    (0..frames.len()).filter(|at| is_it(&frames[*at])).collect()
}

fn entries(pictures: &[Encoded]) -> Vec<usize> {
    (0..pictures.len()).filter(|at| pictures[*at].is_entry).collect()
}

/// Those that are shown before the last entry before them.
fn shown_before_their_entry(pictures: &[Encoded]) -> Vec<usize> {
    let mut entry = 0;
    (0..pictures.len())
        .filter(|at| {
            entry = if pictures[*at].is_entry { pictures[*at].time } else { entry };
            pictures[*at].time < entry
        })
        .collect()
}

#[test]
fn open_groups_begin_with_key_frames_and_what_leads_them_is_told() {
    for (codec, options) in [
        (&H264, "open-gop=1:keyint=25:bframes=3:b-pyramid=normal"),
        (&H264, "open-gop=1:keyint=25:bframes=2:slices=3"),
        (&H265, "open-gop=1:keyint=25:min-keyint=25:bframes=3:b-pyramid=1:radl=0"),
    ] {
        let pictures = encoded(codec, options);
        let frames = frames(codec, &pictures);
        assert_eq!(numbers(&frames, |it| it.is_key), entries(&pictures), "{options}");
        assert!(entries(&pictures).len() >= 4, "{options}");
        let leading = numbers(&frames, |it| it.is_leading);
        assert_eq!(leading, shown_before_their_entry(&pictures), "{options}");
        assert!(leading.len() >= 3, "{options}: {leading:?}");
        assert!(numbers(&frames, |it| it.is_recovery).is_empty(), "{options}");
    }
}

#[test]
fn closed_groups_have_no_leading_frames() {
    for (codec, options) in [
        (&H264, "open-gop=0:keyint=25:bframes=3:b-pyramid=normal"),
        (&H265, "open-gop=0:keyint=25:min-keyint=25:bframes=3:b-pyramid=1"),
    ] {
        let pictures = encoded(codec, options);
        let frames = frames(codec, &pictures);
        assert_eq!(numbers(&frames, |it| it.is_key), entries(&pictures), "{options}");
        assert!(numbers(&frames, |it| it.is_leading || it.is_recovery).is_empty(), "{options}");
    }
}

#[test]
fn pictures_that_are_refreshed_bit_by_bit_recover_where_it_is_marked() {
    let pictures = encoded(&H264, "intra-refresh=1:keyint=25:bframes=0");
    let marked = frames(&H264, &pictures);
    assert_eq!(numbers(&marked, |it| it.is_key), [0]);
    let entries = entries(&pictures);
    assert_eq!(numbers(&marked, |it| it.is_key || it.is_recovery), entries);
    assert!(entries.len() >= 3, "{entries:?}");
    for at in entries {
        let sets = marked[at].data.windows(5).filter(|it| it[..3] == [0, 0, 0]);
        let kinds: Vec<u8> = sets.map(|it| it[4] & 31).collect();
        assert!(kinds.contains(&7) && kinds.contains(&8), "{at}: all sets are in front");
    }
    // x265 marks nothing, and nothing is made up.
    let frames = frames(&H265, &encoded(&H265, "intra-refresh=1:keyint=25:bframes=0"));
    assert_eq!(numbers(&frames, |it| it.is_key || it.is_recovery), [0]);
}
