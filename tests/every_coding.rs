//! What real encoders write becomes frames that say how decoding can begin with them: open groups,
//! leading pictures, recovery points, of each codec; and those become clips that play, picture by
//! picture.

#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/made.rs"]
mod made;
#[path = "support/odd_camera.rs"]
mod odd_camera;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use clips::{attribute_time, clips_of};
use daemon::{Site, text, try_tool, wait_until};
use made::box_body;
use odd_camera::{OddCamera, Oddity, Packet};
use reelfs::camera::{Camera, Frame, Replay};
use reelfs::clock::Reading;
use reelfs::units::{BootTime, NANOS_PER_SECOND, WallTime};

/// Pictures a second, and ticks of RTP.
const RATE: u32 = 25;
const CLOCK_RATE: u32 = 90_000;
/// From one clip to the next, the first pictures are told to be as far apart as they were shown;
/// the wall clock moves that by less.
const OFF_NANOS_MAX: i64 = 5_000_000;

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
    is_slice: fn(u8) -> bool,
}

const H264: Codec = Codec {
    encoder: "libx264",
    parameters: "-x264-params",
    stream: "h264",
    encoding: "H264",
    quiet: "",
    is_delimiter: |header| header & 31 == 9,
    is_slice: |header| (1..=5).contains(&(header & 31)),
};
const H265: Codec = Codec {
    encoder: "libx265",
    parameters: "-x265-params",
    stream: "hevc",
    encoding: "H265",
    quiet: ":log-level=error",
    is_delimiter: |header| header >> 1 & 63 == 35,
    is_slice: |header| header >> 1 & 63 < 32,
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

/// A packet for each unit: of which picture it is, its bytes, and whether it is of the picture
/// itself.
fn packets(codec: &Codec, pictures: &[Encoded]) -> Vec<(usize, Vec<u8>, bool)> {
    let mut packets = Vec::new();
    for (place, picture) in pictures.iter().enumerate() {
        for (at, unit) in picture.units.iter().enumerate() {
            let marker = u8::from(at + 1 == picture.units.len());
            let length = u16::try_from(12 + unit.len()).expect("a small unit");
            let mut bytes = vec![b'$', 0];
            bytes.extend(length.to_be_bytes());
            bytes.extend([0x80, marker << 7 | 96]);
            bytes.extend((packets.len() as u16).to_be_bytes());
            bytes.extend(picture.time.to_be_bytes());
            bytes.extend([0, 0, 0, 1]);
            bytes.extend(unit);
            packets.push((place, bytes, (codec.is_slice)(unit[0])));
        }
    }
    packets
}

/// The frames that packets become.
fn received<'a>(codec: &Codec, packets: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<Frame> {
    let camera = Camera::new("door", "rtsp://h/", None, None).expect("a URL");
    let description =
        format!("m=video 0 RTP/AVP 96\na=rtpmap:96 {}/{CLOCK_RATE}\n", codec.encoding);
    let mut replay = Replay::new(camera, &description).expect("it is recorded");
    let (wall, boot) = (WallTime(0), BootTime(0));
    let now = Reading { wall, boot, boot_id: [0; 16], synchronised: true };
    let mut frames = Vec::new();
    for packet in packets {
        frames.extend(replay.push(packet, &now).expect("a session"));
    }
    frames.extend(replay.finish());
    frames
}

/// The frames that such pictures become.
fn frames(codec: &Codec, pictures: &[Encoded]) -> Vec<Frame> {
    let packets = packets(codec, pictures);
    let frames = received(codec, packets.iter().map(|(_, packet, _)| packet));
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
fn what_arrives_whole_is_kept_bit_by_bit_whatever_else_is_lost_or_sent_twice() {
    for (codec, options) in [(&H264, "keyint=25:slices=3"), (&H265, "keyint=25:slices=3")] {
        let pictures = encoded(codec, options);
        let packets = packets(codec, &pictures);
        let slices = packets.iter().filter(|(.., is_slice)| *is_slice).count();
        assert!(slices >= 2 * pictures.len(), "{}: {slices} slices", codec.stream);
        let twice = packets.iter().flat_map(|(_, packet, _)| [packet, packet]);
        let bytes = |frames: &[Frame]| -> Vec<(i64, Vec<u8>)> {
            frames.iter().map(|frame| (frame.pts, frame.data.clone())).collect()
        };
        let whole = bytes(&frames(codec, &pictures));
        assert!(bytes(&received(codec, twice)) == whole, "{}: twice", codec.stream);
        for (percent, seed) in
            [2, 5, 25].into_iter().flat_map(|it| (1..=8).map(move |seed| (it, seed)))
        {
            let name = format!("{}: {percent} % with seed {seed}", codec.stream);
            let lost = lost(&packets, percent, seed);
            let kept = packets.iter().enumerate().filter(|(at, _)| !lost.contains(at));
            let kept = received(codec, kept.map(|(_, (_, packet, _))| packet));
            let places = lost.iter().map(|at| (packets[*at].0, packets[*at].2));
            let torn: BTreeSet<usize> = places.clone().filter(|it| it.1).map(|it| it.0).collect();
            let touched: BTreeSet<usize> = places.map(|(place, _)| place).collect();
            assert!(!lost.is_empty() && touched.len() < pictures.len(), "{name}");
            let wanted: Vec<usize> = (0..pictures.len()).filter(|it| !torn.contains(it)).collect();
            let times = |frame: &Frame| frame.pts;
            let wanted_times: Vec<i64> = wanted.iter().map(|place| whole[*place].0).collect();
            assert_eq!(kept.iter().map(times).collect::<Vec<i64>>(), wanted_times, "{name}");
            let mut behind = 0;
            for (place, frame) in wanted.into_iter().zip(&kept) {
                // What was lost of it is a message, or sets that are known.
                let is_same = touched.contains(&place) || frame.data == whole[place].1;
                assert!(is_same, "{name}: {place}");
                let before = lost.iter().filter(|at| (behind..=place).contains(&packets[**at].0));
                assert_eq!(frame.lost_packets as usize, before.count(), "{name}: {place}");
                behind = place + 1;
            }
        }
    }
}

/// Places of packets that are lost: so many of a hundred, but not before the camera is known to
/// count them one by one.
fn lost(packets: &[(usize, Vec<u8>, bool)], percent: u64, seed: u64) -> BTreeSet<usize> {
    const KNOWN: usize = 12;
    let mut state = seed;
    let mut is_lost = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 100 < percent
    };
    (0..packets.len()).filter(|at| is_lost() && packets[*at].0 >= KNOWN).collect()
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

/// The same pictures with one more set of each kind that has a number beside it, which no picture
/// names.
fn with_a_second_picture_set(mut pictures: Vec<Encoded>) -> Vec<Encoded> {
    // Sequence and picture of the number 0, one bit each (ITU-T H.265, 7.3.2.3, 9.2): the number 1
    // is three bits. What is behind the end of the body is the trailing bit, which moves along.
    for picture in &mut pictures {
        let sets = picture.units.iter().filter(|unit| unit[0] >> 1 & 63 == 34);
        let seconds: Vec<Vec<u8>> = sets.map(|unit| renumbered(unit)).collect();
        let at = picture.units.iter().take_while(|unit| unit[0] >> 1 & 63 > 31).count();
        picture.units.splice(at..at, seconds);
    }
    pictures
}

/// A PPS of H.265 of the number 0 with the number 1.
fn renumbered(unit: &[u8]) -> Vec<u8> {
    let body = unit[2..].iter().flat_map(|byte| (0..8).map(move |bit| byte >> (7 - bit) & 1));
    let bits: Vec<u8> = body.collect();
    assert_eq!(bits[0], 1, "the number 0");
    let bits = [&[0, 1, 0], &bits[1..]].concat();
    let bytes = bits
        .chunks(8)
        .map(|byte| byte.iter().zip((0..8).rev()).fold(0, |sum, (bit, place)| sum | bit << place));
    let mut unit: Vec<u8> = unit[..2].iter().copied().chain(bytes).collect();
    while unit.last() == Some(&0) {
        unit.pop();
    }
    unit
}

/// Groups of both in turn: those of the first with the sets of one number, of the second another.
fn by_turns(first: Vec<Encoded>, second: Vec<Encoded>) -> Vec<Encoded> {
    let groups = first.into_iter().zip(second).enumerate();
    let chosen =
        groups.map(
            |(number, (first, second))| {
                if (number / RATE as usize).is_multiple_of(2) { first } else { second }
            },
        );
    chosen.collect()
}

/// A camera that sends these pictures again and again.
fn sending(codec: &'static Codec, pictures: &Arc<Vec<Encoded>>) -> OddCamera {
    let (pictures, step) = (Arc::clone(pictures), CLOCK_RATE / RATE);
    let mut before = vec![0];
    for picture in pictures.iter() {
        before.push(before[before.len() - 1] + picture.units.len());
    }
    let packets = move |frame: u64, plain: Vec<Packet>| {
        let (count, frame) = (pictures.len(), frame as usize);
        let (turn, place) = (frame / count, frame % count);
        let picture = &pictures[place];
        let first = turn * before[count] + before[place];
        let units = picture.units.iter().enumerate().map(|(at, unit)| Packet {
            marker: at + 1 == picture.units.len(),
            sequence: (first + at) as u16,
            time: picture.time.wrapping_add((turn * count) as u32 * step),
            payload: unit.clone(),
            ..plain[0].clone()
        });
        units.collect()
    };
    let lines = format!("a=rtpmap:96 {}/{CLOCK_RATE}", codec.encoding);
    let description = move |text: String| {
        let told = text.lines().filter(|line| !line.starts_with("a=fmtp"));
        let told = told.map(|line| if line.starts_with("a=rtpmap") { &lines } else { line });
        told.flat_map(|line| [line, "\r\n"]).collect()
    };
    OddCamera::start(Oddity {
        description: Box::new(description),
        packets: Box::new(packets),
        ..Oddity::default()
    })
}

/// What ffmpeg says of a picture that lets go of one that led the group and was left out; nothing
/// that is shown needs it.
const LET_GO: &str = "mmco: unref short failure";

/// A digest of each decoded picture, in the order in which they are shown, as ffmpeg decodes them
/// without any other word.
fn decoded(words: &[&str], file: &Path) -> Vec<String> {
    let output = ["-fps_mode", "passthrough", "-f", "framemd5", "-"];
    let all = [&["-v", "error"], words, &["-i", text(file), "-map", "0:v"], &output].concat();
    let told = try_tool("ffmpeg", &all);
    let said = String::from_utf8_lossy(&told.stderr);
    let is_whole = said.lines().all(|line| line.ends_with(LET_GO));
    assert!(told.status.success() && is_whole, "{}: {said}", file.display());
    let lines = String::from_utf8(told.stdout).expect("text");
    let lines = lines.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(", ").next().expect("a digest").to_owned()).collect()
}

/// How many parameter sets are in the sample entry of a clip, by the type of unit.
fn sets_of_entry(codec: &Codec, clip: &Path) -> BTreeMap<u8, usize> {
    let mut sets = BTreeMap::new();
    if codec.stream == "h264" {
        let entry = box_body(clip, b"avcC");
        sets.insert(7, usize::from(entry[5] & 31));
        let sizes = (0..sets[&7])
            .fold(6, |at, _| at + 2 + usize::from(u16::from_be_bytes([entry[at], entry[at + 1]])));
        sets.insert(8, usize::from(entry[sizes]));
        return sets;
    }
    let entry = box_body(clip, b"hvcC");
    let mut at = 23;
    for _ in 0..entry[22] {
        let count = u16::from_be_bytes([entry[at + 1], entry[at + 2]]);
        sets.insert(entry[at] & 63, usize::from(count));
        at += 3;
        for _ in 0..count {
            at += 2 + usize::from(u16::from_be_bytes([entry[at], entry[at + 1]]));
        }
    }
    sets
}

/// A camera, what it sends, and what is to be found in a clip of it.
struct Case {
    name: &'static str,
    codec: &'static Codec,
    pictures: Arc<Vec<Encoded>>,
    /// In the sample entry, by the type of unit.
    sets: &'static [(u8, usize)],
    /// Clips that end because a set comes that was not there before.
    clips_before: usize,
}

fn cases() -> Vec<Case> {
    let case = |name, codec, pictures, sets| {
        let clips_before = usize::from(name == "sets-h264");
        Case { name, codec, pictures: Arc::new(pictures), sets, clips_before }
    };
    let with_number =
        |id: u8| encoded(&H264, &format!("keyint=25:min-keyint=25:bframes=0:qp=30:sps-id={id}"));
    let closed = "keyint=25:min-keyint=25:open-gop=0:bframes=2";
    let open = "open-gop=1:keyint=25:min-keyint=25:bframes=3:b-pyramid";
    vec![
        case("sets-h264", &H264, by_turns(with_number(0), with_number(1)), &[(7, 2), (8, 2)]),
        case(
            "sets-h265",
            &H265,
            with_a_second_picture_set(encoded(&H265, closed)),
            &[(32, 1), (33, 1), (34, 2)],
        ),
        case("open-h264", &H264, encoded(&H264, &format!("{open}=normal")), &[(7, 1), (8, 1)]),
        case(
            "open-h265",
            &H265,
            encoded(&H265, &format!("{open}=1:radl=0")),
            &[(32, 1), (33, 1), (34, 1)],
        ),
    ]
}

/// Which pictures are in a clip, by their places in the order in which they are shown.
fn places(case: &Case, sent: &[String], clip: &Path) -> Vec<usize> {
    let place = |digest: String| {
        let place = sent.iter().position(|other| *other == digest);
        place.unwrap_or_else(|| panic!("{}: no such picture was sent", clip.display()))
    };
    let places: Vec<usize> = decoded(&[], clip).into_iter().map(place).collect();
    // Of those that are shown first, one is that which the clip begins with, and none leads it.
    let times = case.pictures.iter().filter(|picture| picture.is_entry).map(|it| it.time);
    let entries: Vec<usize> = times.map(|time| (time * RATE / CLOCK_RATE) as usize).collect();
    assert!(entries.contains(&places[0]), "{}: {} is no entry", clip.display(), places[0]);
    places
}

/// How many pictures lead the one that is shown at that place.
fn leading(pictures: &[Encoded], place: usize) -> usize {
    let time = place as u32 * CLOCK_RATE / RATE;
    let behind = pictures.iter().skip_while(|picture| picture.time != time).skip(1);
    behind.take_while(|picture| !picture.is_entry).filter(|picture| picture.time < time).count()
}

/// When the first picture of a clip is shown, in seconds.
fn first_time(clip: &Path) -> f64 {
    let words = ["-v", "error", "-select_streams", "v", "-show_entries", "frame=pts_time"];
    let words = [&words[..], &["-read_intervals", "%+#1", "-of", "csv=p=0", text(clip)]].concat();
    run("ffprobe", &words).trim().trim_matches(',').parse().expect("a time")
}

#[test]
fn what_encoders_write_is_in_the_clips_picture_by_picture() {
    let cases = cases();
    let servers: Vec<OddCamera> =
        cases.iter().map(|case| sending(case.codec, &case.pictures)).collect();
    let mut site = Site::new("64M");
    for (case, server) in cases.iter().zip(&servers) {
        site.add_camera(case.name, &server.url(), "");
    }
    let daemon = site.run();
    let mount = site.mount();
    // One that was begun amid ten seconds, and one that begins with a group behind them.
    let count = |case: &Case| case.clips_before + 2;
    wait_until("a clip of each camera is followed by another", 60, || {
        cases.iter().all(|case| clips_of(&mount, case.name).len() >= count(case) - 1)
    });
    std::thread::sleep(Duration::from_secs(2));
    daemon.stop();
    let daemon = site.run();
    for case in &cases {
        let stream = site.path(case.name);
        let units = case.pictures.iter().flat_map(|picture| &picture.units);
        let bytes: Vec<u8> = units.flat_map(|unit| [&[0, 0, 0, 1], &unit[..]].concat()).collect();
        std::fs::write(&stream, bytes).expect("room for the stream");
        let sent = decoded(&["-f", case.codec.stream], &stream);
        assert_eq!(sent.len(), case.pictures.len());
        let clips = clips_of(&mount, case.name);
        assert!(clips.len() >= count(case), "{}: {clips:?}", case.name);
        let clips = clips.into_iter().take(count(case)).skip(case.clips_before);
        let clips: Vec<PathBuf> = clips.map(|clip| mount.join(clip)).collect();
        let length = sent.len();
        let mut begun: Vec<(Vec<usize>, i64)> = Vec::new();
        for clip in &clips {
            let places = places(case, &sent, clip);
            let steps = places.windows(2).filter(|two| (two[0] + 1) % length != two[1]);
            assert_eq!(steps.count(), 0, "{}: {places:?}", clip.display());
            let sets: BTreeMap<u8, usize> = case.sets.iter().copied().collect();
            assert_eq!(sets_of_entry(case.codec, clip), sets, "{}", clip.display());
            assert_eq!(first_time(clip), 0.0, "{}", clip.display());
            begun.push((places, attribute_time(clip, "start")));
        }
        let [(before, start), (behind, next)] = &begun[..] else { panic!("two clips") };
        // What leads a clip is in none, and nothing else is missing.
        let missing = (behind[0] + length - before[before.len() - 1] - 1) % length;
        assert_eq!(missing, leading(&case.pictures, behind[0]), "{}: {begun:?}", case.name);
        let step = NANOS_PER_SECOND / i64::from(RATE);
        let (all, apart) = (length as i64 * step, (behind[0] as i64 - before[0] as i64) * step);
        let off = (next - start - apart).rem_euclid(all);
        assert!(off.min(all - off) < OFF_NANOS_MAX, "{}: {begun:?}", case.name);
    }
    daemon.stop();
}
