//! Ranges with cuts, gaps and other settings, shown to real players: which pictures each of them
//! shows, when, what it shows behind a seek, and where the sound is.

#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/made.rs"]
mod made;

use std::path::{Path, PathBuf};
use std::process::Command;

use daemon::{Site, text};
use made::{Coded, Film, Track, box_body, encode, numbered, packets, write_films};
use reelfs::segment::{Codec, Look, ParameterSet, VideoParameters};

/// Length of each clip, in s.
const SECONDS: usize = 4;
/// Pictures a second. Each has its number in it; those of a clip begin with a whole hundred.
const RATE: usize = 25;
const PICTURES: usize = SECONDS * RATE;
/// When the clips begin, in s behind the first: gaps of 3 s, a minute and an hour.
const BEGINS: [usize; 4] = [0, 7, 71, 3675];
/// The first and the last picture of the range: both between key frames and, where there are such,
/// predicted from what comes behind them.
const FIRST: usize = 38;
const LAST: usize = 363;
const RANGE: &str = "2026-07-01T12-00-01.52--13-01-17.56.mp4";
/// Into footage, into the longest gap and behind it, in s; the pictures there begin at other times.
const SEEKS: [f64; 3] = [6.7, 1000.3, 3674.7];

/// What a picture is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Picture {
    Number(usize),
    Grey,
}
use Picture::{Grey, Number};

/// What is in the range: pictures with their times in s, grey ones a second apart in gaps.
fn expected() -> Vec<(f64, Picture)> {
    let time = |clip: usize, second: f64| BEGINS[clip] as f64 + second - FIRST as f64 / RATE as f64;
    let mut pictures = Vec::new();
    for (clip, begin) in BEGINS.iter().enumerate() {
        let numbers = (clip * PICTURES).max(FIRST)..=(clip * PICTURES + PICTURES - 1).min(LAST);
        let shown = |number| (time(clip, (number % PICTURES) as f64 / RATE as f64), Number(number));
        pictures.extend(numbers.map(shown));
        let gap = BEGINS.get(clip + 1).map_or(0, |next| next - begin - SECONDS);
        pictures.extend((0..gap).map(|second| (time(clip, (SECONDS + second) as f64), Grey)));
    }
    pictures
}

fn video(site: &Site, first: usize, size: (usize, usize), settings: &[&str]) -> Track {
    const TICKS: u32 = 90_000;
    let input = numbered(first, (SECONDS, RATE), size, 10);
    let coding = ["-f", "lavfi", "-i", &input, "-c:v", "libx264", "-pix_fmt", "yuv420p"];
    let groups = ["-g", "50", "-sc_threshold", "0", "-level", "3", "-video_track_timescale"];
    let words = [&coding[..], settings, &groups, &["90000"]].concat();
    let file = encode(site, "pictures.mov", &words);
    let (width, height) = (size.0 as u16, size.1 as u16);
    let video = Some(VideoParameters { width, height, pixel_aspect: (1, 1), look: Look::PLAIN });
    let configuration = box_body(&file, b"avcC");
    let set = ParameterSet { codec: Codec::H264, configuration, video, audio: None };
    let duration = TICKS / RATE as u32;
    let packets = packets(&file);
    assert_eq!(packets.len(), PICTURES);
    let early = (0..).zip(&packets).map(|(at, (shown, _))| i64::from(duration) * at - shown);
    let lag = early.max().expect("packets");
    let sample = |(at, (shown, coded)): (i64, (i64, Coded))| {
        let offset = (shown + lag - i64::from(duration) * at) as i32;
        Coded { duration, offset, ..coded }
    };
    let samples = (0..).zip(packets).map(sample).collect();
    Track { sets: vec![set; SECONDS], timescale: TICKS, delay: 0, samples }
}

const PLAIN: &str = "plain";
const REORDERED: &str = "reordered";

/// Two cameras, one of them with B-frames: their second clip has other settings, their third
/// another size, and their fourth those of the first again.
fn site() -> Site {
    let mut site = Site::new("32M");
    let (large, small) = ((320, 64), (160, 32));
    let plain = ["-bf", "0", "-profile:v", "main"];
    let other = ["-bf", "0", "-profile:v", "main", "-refs", "3", "-coder", "0"];
    let reordered = ["-bf", "2", "-b_strategy", "0", "-profile:v", "main"];
    let high = ["-bf", "2", "-b_strategy", "0", "-profile:v", "high", "-refs", "2"];
    let clips = |settings: [&[&str]; 2]| -> Vec<[Track; 2]> {
        let clip = |(at, (size, which)): (usize, (_, usize))| {
            [
                video(&site, at * PICTURES, size, settings[which]),
                made::beeps(&site, Codec::Aac, SECONDS),
            ]
        };
        [(large, 0), (large, 1), (small, 0), (large, 0)].into_iter().enumerate().map(clip).collect()
    };
    let cameras = [(PLAIN, clips([&plain, &other])), (REORDERED, clips([&reordered, &high]))];
    let films: Vec<(&str, Film)> = cameras
        .iter()
        .map(|(name, clips)| {
            let begins = BEGINS.iter().map(|begin| *begin as i64);
            (*name, begins.zip(clips.iter().map(|clip| &clip[..])).collect())
        })
        .collect();
    write_films(&site, &films);
    for name in [PLAIN, REORDERED] {
        site.add_camera(name, "rtsp://127.0.0.1:1/", "retain = \"4000d\"\n");
    }
    site
}

fn range(site: &Site, camera: &str) -> PathBuf {
    site.mount().join(format!(".range/{camera}/{RANGE}"))
}

/// What a program showed from its start or a seek on.
#[derive(Debug, Default)]
struct Shown {
    /// With their times in s.
    pictures: Vec<(f64, Picture)>,
    /// When beeps began, in s.
    beeps: Vec<f64>,
}

/// What a program showed in the beginning and behind each seek: see `shown.py`.
fn shown(program: &str, file: &Path, words: &[String]) -> Vec<Shown> {
    const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/shown.py");
    // What scripts/servers installs.
    const PINNED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/servers/python/bin/python");
    let python = if program == PYAV { PINNED } else { "/usr/bin/python3" };
    let home = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(python);
    command.args([SCRIPT, program, text(file)]).args(words).env("HOME", home.path());
    let output = command.output().unwrap_or_else(|error| panic!("{python}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words:?}: {said}");
    let mut found = vec![Shown::default()];
    for line in String::from_utf8(output.stdout).expect("text").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let time = words[1].parse().expect("a time");
        let now = found.last_mut().expect("the first");
        match words[0] {
            "seek" => found.push(Shown::default()),
            "beep" => now.beeps.push(time),
            _ if words[2] == "grey" => now.pictures.push((time, Grey)),
            _ => now.pictures.push((time, Number(words[2].parse().expect("a clear number")))),
        }
    }
    found
}

const PYAV: &str = "pyav";

/// What a program is known to do, and no other one may.
struct Program {
    name: &'static str,
    /// It shows the pictures in front of the first one, all of them within a millisecond.
    shows_front: bool,
    /// It shows what the last picture is predicted from, where that comes behind it.
    shows_behind: bool,
    /// A seek leads to the key frame in front, and whoever uses it drops what is too early.
    starts_at_key_frames: bool,
    /// Behind a seek its times begin at 0.
    counts_anew: bool,
}

const EXACT: Program = Program {
    name: "ffmpeg",
    shows_front: false,
    shows_behind: false,
    starts_at_key_frames: false,
    counts_anew: false,
};
const PROGRAMS: [Program; 4] = [
    EXACT,
    Program { name: PYAV, starts_at_key_frames: true, ..EXACT },
    Program { name: "mpv", shows_front: true, shows_behind: true, counts_anew: true, ..EXACT },
    Program { name: "gstreamer", shows_front: true, ..EXACT },
];

/// Each picture is the one of its time, and none is missing.
fn assert_same(what: &str, found: &[(f64, Picture)], expected: &[(f64, Picture)]) {
    for ((time, picture), (due, wanted)) in found.iter().zip(expected) {
        let is_it = picture == wanted && (time - due).abs() < 0.002;
        assert!(is_it, "{what}: {picture:?} at {time} s, not {wanted:?} at {due} s");
    }
    assert_eq!(found.len(), expected.len(), "{what}");
}

fn assert_plays(program: &Program, camera: &str, range: &Path) {
    let what = format!("{}, {camera}", program.name);
    let played = shown(program.name, range, &["pictures".to_owned()]).remove(0).pictures;
    let (front, pictures) = played.split_at(if program.shows_front { FIRST } else { 0 });
    for (number, (time, picture)) in front.iter().enumerate() {
        assert!(*picture == Number(number) && time.abs() < 0.001, "{what}: {picture:?} at {time}");
    }
    let mut expected = expected();
    if program.shows_behind && camera == REORDERED {
        expected.push(behind(&expected));
    }
    assert_same(&what, pictures, &expected);
}

/// What the last picture is predicted from where there are B-frames.
fn behind(expected: &[(f64, Picture)]) -> (f64, Picture) {
    let (last, _) = expected.last().expect("pictures");
    (last + 2.0 / RATE as f64, Number(LAST + 2))
}

/// Behind a seek come the picture that is due, or the next one, and those behind it.
fn assert_seeks(program: &Program, camera: &str, range: &Path) {
    let expected = expected();
    let seeks = SEEKS.map(|seek| seek.to_string());
    let found = shown(program.name, range, &seeks);
    assert_eq!(found.len(), 1 + SEEKS.len());
    for (seek, found) in SEEKS.iter().zip(&found[1..]) {
        let what = format!("{}, {camera}, behind a seek to {seek}", program.name);
        let mut pictures = found.pictures.clone();
        let due = expected.iter().rposition(|(time, _)| time <= seek).expect("a picture");
        if program.starts_at_key_frames {
            let early = pictures.iter().filter(|(time, _)| *time < expected[due].0 - 0.002).count();
            assert_same(&what, &pictures[..early], &expected[due - early..due]);
            pictures.drain(..early);
        }
        let from = match pictures[0].1 {
            // Of grey pictures the times alone tell which they are.
            Grey if program.counts_anew || pictures[0].0 > *seek => due + 1,
            picture => due + usize::from(picture != expected[due].1),
        };
        let expected = &expected[from..from + pictures.len()];
        if program.counts_anew {
            pictures.iter_mut().for_each(|picture| picture.0 += expected[0].0);
        }
        // A picture that is cut begins with the seek.
        if pictures[0].1 == expected[0].1 && pictures[0].0 == *seek {
            pictures[0].0 = expected[0].0;
        }
        assert!(pictures.len() >= 12, "{what}");
        assert_same(&what, &pictures, expected);
    }
}

fn assert_pictures(camera: &str) {
    let site = site();
    let daemon = site.run();
    let range = range(&site, camera);
    for program in &PROGRAMS {
        assert_plays(program, camera, &range);
        assert_seeks(program, camera, &range);
    }
    daemon.stop();
}

#[test]
fn every_player_shows_a_range_to_the_picture_and_finds_every_time_in_it() {
    assert_pictures(PLAIN);
}

#[test]
fn so_it_does_where_pictures_are_not_decoded_in_their_order() {
    assert_pictures(REORDERED);
}

/// When beeps are due: with these pictures, at these times.
fn beeps() -> Vec<(usize, f64)> {
    let is_one = |number: &usize| number.is_multiple_of(RATE) && !number.is_multiple_of(PICTURES);
    let beep = |(time, picture)| match picture {
        Number(number) => Some((number, time)).filter(|(number, _)| is_one(number)),
        Grey => None,
    };
    expected().into_iter().filter_map(beep).collect()
}

/// How far a beep may be from its picture, in s.
const BESIDE: f64 = 0.04;

#[test]
fn sound_is_beside_its_picture_behind_gaps_as_well() {
    let site = site();
    let daemon = site.run();
    for program in &PROGRAMS {
        let heard = shown(program.name, &range(&site, REORDERED), &["sound".to_owned()]);
        let heard = &heard[0].beeps;
        let due = beeps();
        let off: Vec<f64> = heard.iter().zip(&due).map(|(heard, (_, due))| heard - due).collect();
        let is_beside = off.iter().all(|off| off.abs() < BESIDE);
        assert!(is_beside && heard.len() == due.len(), "{}: {off:?}", program.name);
    }
    daemon.stop();
}

/// What VLC plays: from where, and for how long, in s. From the beginning, over a gap; footage; the
/// end of a gap; the midst of the longest one; its end, and what is behind it.
const STRETCHES: [(f64, f64); 5] =
    [(0.0, 8.0), (7.7, 2.5), (67.2, 6.5), (1000.3, 1.5), (3672.5, 4.5)];
/// What a busy machine may be late with a picture, in s.
const LATE: f64 = 0.15;
/// What VLC takes to begin to play, in s; what is late because of it follows at once.
const START: f64 = 0.7;
/// VLC decodes so many pictures ahead, and drops them where their size or profile changes.
const AHEAD: usize = 26;

/// Whether VLC may drop a picture: behind the third clip the size changes, and behind the second
/// one with B-frames the profile.
fn may_drop(camera: &str, number: usize) -> bool {
    let changes: &[usize] = if camera == PLAIN { &[2] } else { &[1, 2] };
    let left = PICTURES - number % PICTURES;
    changes.contains(&(number / PICTURES)) && left <= AHEAD
}

/// When VLC began with the file, on its clock, as most of the pictures of a stretch tell.
fn origin(shown: &Shown, expected: &[(f64, Picture)], seek: f64) -> f64 {
    let due = |picture| expected.iter().find(|(_, known)| *known == picture).map(|found| found.0);
    let numbered = shown.pictures.iter().filter(|(_, picture)| *picture != Grey);
    let mut origins: Vec<f64> =
        numbered.filter_map(|(wall, picture)| Some(wall - due(*picture)?)).collect();
    origins.sort_by(f64::total_cmp);
    origins.get(origins.len() / 2).copied().unwrap_or(shown.pictures[0].0 - seek)
}

/// Each picture of a stretch is the one of its time, and those that VLC is not known to drop are
/// there.
fn assert_stretch(camera: &str, (seek, seconds): (f64, f64), shown: &Shown) {
    let what = format!("VLC, {camera}, from {seek}");
    let expected = expected();
    let origin = origin(shown, &expected, seek);
    let (mut numbers, mut greys) = (Vec::new(), 0);
    for (wall, picture) in &shown.pictures {
        let time = wall - origin;
        let late = if time < seek + START { START } else { LATE };
        let is_due = |(due, known): &&(f64, Picture)| {
            // A grey one stands for a second, or until what is behind the gap.
            let stands = if *picture == Grey { 1.0 } else { 0.0 };
            let is_asked_for = seek < due + stands + 0.05 && *due < seek + seconds + START;
            is_asked_for && known == picture && (due - LATE..due + stands + late).contains(&time)
        };
        let is_hidden = seek == 0.0 && *picture < Number(FIRST) && time.abs() < LATE;
        let behind = behind(&expected);
        let is_behind = camera == REORDERED && is_due(&&behind);
        let is_known = is_hidden || is_behind || expected.iter().any(|known| is_due(&known));
        assert!(is_known, "{what}: {picture:?} at {time}");
        greys += usize::from(*picture == Grey);
        if let (Number(number), false) = (picture, is_hidden) {
            numbers.push(*number);
        }
    }
    for (due, picture) in expected {
        let is_in = (seek..seek + seconds - START).contains(&due);
        if let (true, Number(number)) = (is_in, picture) {
            let is_there = numbers.contains(&number) || may_drop(camera, number);
            assert!(is_there, "{what}: {number} is missing: {numbers:?}");
        }
    }
    assert!(numbers.is_sorted() && (greys > 0 || seek == 7.7), "{what}: {shown:?}");
    // Where nothing changes soon, the last picture does not stay when the gap has begun.
    for (due, begin) in [(0.0, 2.48), (7.7, 9.48)] {
        let mut walls = shown.pictures.iter().filter(|(_, picture)| *picture == Grey);
        let is_prompt = walls.any(|(wall, _)| (wall - origin - begin).abs() < LATE);
        assert!(camera != PLAIN || seek != due || is_prompt, "{what}: the gap is not shown");
    }
    for heard in &shown.beeps {
        let off = beeps().iter().map(|(_, due)| (heard - origin - due).abs()).fold(1.0, f64::min);
        assert!(off < BESIDE, "{what}: heard {off} s beside its picture");
    }
}

#[test]
fn vlc_shows_every_picture_of_a_range_at_its_time_but_those_before_another_size() {
    let site = site();
    let daemon = site.run();
    let words: Vec<String> =
        STRETCHES.iter().flat_map(|(seek, length)| [seek, length].map(f64::to_string)).collect();
    std::thread::scope(|scope| {
        for camera in [PLAIN, REORDERED] {
            let (range, words) = (range(&site, camera), &words);
            scope.spawn(move || {
                let shown = shown("vlc", &range, words);
                assert_eq!(shown.len(), 1 + STRETCHES.len());
                for (stretch, shown) in STRETCHES.iter().zip(&shown[1..]) {
                    assert_stretch(camera, *stretch, shown);
                }
                let beeps: usize = shown.iter().map(|shown| shown.beeps.len()).sum();
                assert!(beeps >= 10, "VLC, {camera}: {beeps} beeps");
            });
        }
    });
    daemon.stop();
}
