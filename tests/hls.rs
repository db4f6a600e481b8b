//! Playlists over a web server, for what plays them: hls.js and shaka-player in a browser, which
//! show the picture of the time that they say, and programs that play an hour to its last picture.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/made.rs"]
mod made;
#[path = "support/numbered.rs"]
mod numbered;
#[path = "support/ports.rs"]
#[allow(dead_code, reason = "each test file uses its own part of this")]
mod ports;
#[path = "support/web.rs"]
mod web;

use std::fs::Permissions;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use daemon::{Site, text};
use made::{Track, beeps, box_body, packets, write_clips};
use numbered::{COLUMNS, GREY, RATE, ROWS, encode, numbers, runs};
use reelfs::segment::{Codec, Look, ParameterSet, VideoParameters};
use web::{Shown, Web, job};

/// Who has no rights at all.
const NOBODY: u32 = 65_534;

/// When the footage begins: 2026-07-01 12:00 UTC, in s since 1970.
const START: f64 = 1_782_907_200.0;

/// What is recorded in the hour, in s behind its beginning: gaps of 3 s, of a minute and of four.
const STRETCHES: [Range<usize>; 5] = [0..900, 903..1500, 1500..2100, 2160..3000, 3240..3600];

/// An hour of one camera; the third and the fourth stretch have another profile, with pictures out
/// of order, and another size.
fn hour() -> Site {
    let mut site = Site::new("64M");
    site.view = "clip = \"10m\"\nzone = \"UTC\"\n".to_owned();
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "retain = \"4000d\"\n");
    let plain: &[&str] = &["-profile:v", "baseline", "-bf", "0", "-g", "20"];
    let other: &[&str] = &["-profile:v", "main", "-bf", "2", "-g", "20"];
    let file = |number: usize| site.path(&format!("{number}.mp4"));
    std::thread::scope(|scope| {
        for numbers in [[0, 4].as_slice(), &[1, 2, 3]] {
            scope.spawn(move || {
                for number in numbers {
                    let stretch = STRETCHES[*number].clone();
                    match number {
                        2 | 3 => encode(&file(*number), stretch, [256, 144], other),
                        _ => encode(&file(*number), stretch, [320, 180], plain),
                    }
                }
            });
        }
    });
    for (number, stretch) in STRETCHES.iter().enumerate() {
        let start = format!("2026-07-01 12:{:02}:{:02}", stretch.start / 60, stretch.start % 60);
        site.import_with("yard", &start, &file(number), &["--force"]);
    }
    site
}

/// A range of the hour's day.
fn range(camera: &str, times: &str, form: &str) -> String {
    format!(".range/{camera}/2026-07-01T12-{times}.{form}")
}

/// Times to seek to, in s: forward and back across gaps and the changes, into gaps, and close to
/// where they begin and end.
const SEEKS: [f64; 30] = [
    0.05, 1700.35, 899.95, 901.5, 903.25, 902.9, 900.1, 898.65, 2130.0, 3100.5, 1499.95, 1500.25,
    1499.85, 2099.95, 2100.15, 2160.15, 2160.25, 3599.95, 3239.9, 3240.25, 3000.15, 3000.35,
    1439.95, 2500.25, 777.75, 3333.35, 2101.0, 1501.15, 4.05, 3000.55,
];

/// By how much a time may be wrong, in s: what the players round.
const ROUNDING: f64 = 0.01;

/// The picture of a time, in s behind the beginning of the hour; the first stands for what is
/// before.
fn picture_at(seconds: f64) -> i64 {
    let seconds = seconds.max(0.0);
    let is_recorded = |it: &Range<usize>| (it.start as f64..it.end as f64).contains(&seconds);
    match STRETCHES.iter().any(is_recorded) {
        true => (seconds * RATE as f64) as i64,
        false => GREY,
    }
}

/// A player shows the picture of the time that it says, which is the one that was wanted, and
/// grey where there is none.
fn assert_sought(what: &str, shown: &Shown, seeks: &[f64]) {
    assert_eq!((shown.how.as_str(), &shown.said), ("sought", &Vec::new()), "{what}");
    assert_eq!(shown.pictures.len(), seeks.len(), "{what}: {shown:?}");
    for (seek, (time, number)) in seeks.iter().zip(&shown.pictures) {
        let time = time - START;
        let off = time - seek;
        assert!(off.abs() < 1.0 / RATE as f64, "{what}: {time} instead of {seek}");
        let fitting = [-ROUNDING, 0.0, ROUNDING].map(|more| picture_at(time + more));
        assert!(fitting.contains(number), "{what}: {number} at {time}, not {fitting:?}");
    }
}

#[test]
fn browsers_show_the_picture_of_the_time_that_they_say() {
    let site = hour();
    let daemon = site.run();
    let web = Web::start(&site);
    let url = |times, form| web.url(&range("yard", times, form));
    let (all, master) = (url("00-00--13-00-00", "m3u8"), url("00-00--13-00-00", "master.m3u8"));
    // Without pictures out of order.
    let plain = url("00-00--12-24-00", "m3u8");
    let in_plain: Vec<f64> = SEEKS.into_iter().filter(|seek| *seek < 1440.0).collect();
    let runs: [(&str, &[f64]); 4] =
        [(&all, &SEEKS), (&master, &SEEKS), (&all, &[0.05, 2.05]), (&plain, &in_plain)];
    let mut jobs = Vec::new();
    for (url, seeks) in &runs {
        jobs.extend(["hls.js", "shaka"].map(|player| job(player, url, seeks)));
    }
    let shown = web.show(&site.path("browsers"), &jobs);
    for (number, (job, shown)) in jobs.iter().zip(&shown).enumerate() {
        assert_sought(&job.to_string(), shown, runs[number / 2].1);
    }
    daemon.stop();
}

/// Length of a clip with sound, in s, and when it is there once more.
const SECONDS: usize = 4;
const AGAIN: usize = 7;

/// The video of such a clip.
fn short(site: &Site) -> Track {
    let file = site.path("short.mp4");
    encode(&file, 0..SECONDS, [320, 180], &["-bf", "0", "-g", "10"]);
    let configuration = box_body(&file, b"avcC");
    let video =
        Some(VideoParameters { width: 320, height: 180, pixel_aspect: (1, 1), look: Look::PLAIN });
    let set = ParameterSet { codec: Codec::H264, configuration, video, audio: None };
    let samples = packets(&file).into_iter().map(|(_, coded)| coded).collect();
    Track { sets: vec![set; SECONDS], timescale: 90_000, delay: 0, samples }
}

/// By how much a time may be wrong beside sound, in s: hls.js takes what begins first, sound or
/// pictures, for the beginning of a segment, and packets of sound are that long.
const ASIDE: f64 = 0.06;

/// By how much a beep may be heard beside its time, in s: what the browser's own way to the sound
/// card takes, what a busy machine adds, and a packet that is cut at the gap.
const AUDIBLE: f64 = 0.12;

/// A player plays to the end, each picture at its time and each beep, too.
fn assert_played(what: &str, shown: &Shown, beeps: usize) {
    assert_eq!((shown.how.as_str(), &shown.said), ("ended", &Vec::new()), "{what}");
    let (mut before, mut grey, mut behind) = (0, 0, 0);
    for (time, number) in &shown.pictures {
        let time = time - START;
        let picture = |time: f64| match time {
            time if time < SECONDS as f64 => (time * RATE as f64) as i64,
            time if time < AGAIN as f64 => GREY,
            time => ((time - AGAIN as f64) * RATE as f64) as i64,
        };
        let fitting = [-ASIDE, 0.0, ASIDE].map(|more| picture(time + more));
        assert!(fitting.contains(number), "{what}: {number} at {time}, not {fitting:?}");
        match time {
            _ if *number == GREY => grey += 1,
            time if time < AGAIN as f64 => before += 1,
            _ => behind += 1,
        }
    }
    // A browser on a machine that has other work skips pictures.
    let enough = SECONDS * RATE / 4;
    assert!(before > enough && grey > 0 && behind > enough, "{what}: {shown:?}");
    let heard: Vec<f64> = shown.heard.iter().map(|time| time - START).collect();
    let expected = [1.0, 2.0, 3.0, 8.0, 9.0, 10.0];
    let off = heard.iter().zip(expected).map(|(heard, expected)| (heard - expected).abs());
    let worst = off.fold(0.0, f64::max);
    assert!(heard.len() == beeps && worst < AUDIBLE, "{what}: {heard:?}");
}

#[test]
fn browsers_play_a_master_playlist_with_and_without_sound() {
    let mut site = Site::new("32M");
    let names = ["silent", "aac", "flac"];
    for name in names {
        site.add_camera(name, "rtsp://127.0.0.1:1/", "");
    }
    let [aac, flac] = [Codec::Aac, Codec::Flac].map(|codec| beeps(&site, codec, SECONDS));
    let cameras: [(&str, &[Track]); 3] = [
        (names[0], &[short(&site)]),
        (names[1], &[short(&site), aac]),
        (names[2], &[short(&site), flac]),
    ];
    write_clips(&site, &cameras, &[0, AGAIN as i64]);
    let daemon = site.run();
    let web = Web::start(&site);
    let folder = site.path("browsers");
    std::fs::create_dir_all(&folder).expect("a folder");
    let _card = browser::sound_card(&folder);
    let jobs = ["hls.js", "shaka"].map(|player| {
        let url = |name| web.url(&range(name, "00-00--12-00-11", "master.m3u8"));
        names.map(|name| job(player, &url(name), &[]))
    });
    let shown = web.show(&folder, jobs.as_flattened());
    for (number, shown) in shown.iter().enumerate() {
        let beeps = if number % 3 == 0 { 0 } else { 6 };
        assert_played(&jobs.as_flattened()[number].to_string(), shown, beeps);
    }
    daemon.stop();
}

/// What a program writes that is told to play to its end, and to make each picture small.
fn played(name: &str, words: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("for all");
    let file = folder.path().join("pictures");
    let words = words.iter().map(|word| word.replace("FILE", text(&file)));
    let mut command = Command::new("timeout");
    command.args(["50", name]).args(words).env("HOME", folder.path()).stdin(Stdio::null());
    // VLC does not want to run as root.
    if name == "cvlc" && nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().expect("timeout");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}: {said}", output.status);
    std::fs::read(&file).unwrap_or_else(|error| panic!("{name}: {error}: {said}"))
}

/// What VLC shows across the first gap, from 12:14:58 to 12:15:05, as it plays: pictures in order,
/// grey between them, and at most one is missing at the end.
fn assert_shown_by_vlc(url: &str) {
    let options = ["--no-audio", "--no-drop-late-frames", "--no-skip-frames", "--vout", "yuv"];
    let file = ["--yuv-file", "FILE", "--yuv-chroma", "I420", url, "vlc://quit"];
    let shown = played("cvlc", &[&options[..], &file].concat());
    let (width, height) = (320, 180);
    // A line in front of all, and one in front of each picture.
    let is_end = |byte: &u8| *byte == b'\n';
    let mut rest = &shown[shown.iter().position(is_end).expect("a line") + 1..];
    let mut found = Vec::new();
    while let Some(line) = rest.iter().position(is_end) {
        let Some(picture) = rest.get(line + 1..line + 1 + width * height * 3 / 2) else { break };
        let row = &picture[width * height / 4..][..width];
        let small: Vec<u8> = row.iter().step_by(width / COLUMNS).copied().collect();
        found.extend(numbers(&small.repeat(ROWS)));
        rest = &rest[line + 1 + picture.len()..];
    }
    // Each is there as long as it is shown.
    found.dedup();
    let (first, gap, last) = (8980, 9000..9030, 9049);
    let mut expected: Vec<i64> = (first..gap.start).chain([GREY]).chain(gap.end..=last).collect();
    if found.last() == Some(&(last - 1)) {
        expected.pop();
    }
    assert_eq!(found, expected, "VLC");
}

/// The pictures of the hour: each that was recorded, and a grey one a second between.
fn expected() -> Vec<i64> {
    let mut pictures = Vec::new();
    let mut end = 0;
    for stretch in STRETCHES {
        pictures.extend(std::iter::repeat_n(GREY, stretch.start - end));
        pictures.extend((stretch.start * RATE..stretch.end * RATE).map(|number| number as i64));
        end = stretch.end;
    }
    pictures
}

/// Other programs play the hour, and leave out nothing.
fn assert_played_by_others(url: &str) {
    let small = format!("scale={COLUMNS}:{ROWS}:flags=neighbor,format=gray");

    let ffmpeg = ["-v", "error", "-xerror", "-i", url, "-vf", &small, "-vsync", "passthrough"];
    let ffmpeg = played("ffmpeg", &[&ffmpeg[..], &["-f", "rawvideo", "FILE"]].concat());
    assert!(numbers(&ffmpeg) == expected(), "ffmpeg: {:?}", runs(&ffmpeg));

    let filter = format!("--vf=lavfi=[{small}]");
    let mpv = ["--no-config", "--o=FILE", "--of=rawvideo", "--ovc=rawvideo", &filter, url];
    let mpv = played("mpv", &mpv);
    assert!(numbers(&mpv) == expected(), "mpv: {:?}", runs(&mpv));

    let small = format!("video/x-raw,format=GRAY8,width={COLUMNS},height={ROWS}");
    let small = format!("{small},pixel-aspect-ratio=1/1");
    let uri = format!("uri={url}");
    let scale = ["!", "videoscale", "method=nearest-neighbour", "add-borders=false", "!", &small];
    let gstreamer = ["-q", "uridecodebin", &uri, "!", "videoconvert"];
    let file = ["!", "filesink", "location=FILE"];
    let gstreamer = played("gst-launch-1.0", &[&gstreamer[..], &scale, &file].concat());
    assert!(numbers(&gstreamer) == expected(), "GStreamer: {:?}", runs(&gstreamer));

    // When VLC codes what it has decoded, it goes on with the parameter sets that it has, and grey
    // has its own: it leaves that out.
    let small = format!("vcodec=GREY,width={COLUMNS},height={ROWS},threads=1");
    let small = format!("#transcode{{{small}}}:std{{access=file,mux=dummy,dst=FILE}}");
    let vlc = played("cvlc", &["--no-audio", "--sout", &small, url, "vlc://quit"]);
    let mut footage = expected();
    footage.retain(|number| *number != GREY);
    assert!(numbers(&vlc) == footage, "VLC: {:?}", runs(&vlc));
}

#[test]
fn other_programs_play_an_hour_to_its_last_picture() {
    let site = hour();
    let daemon = site.run();
    let web = Web::start(&site);
    let [hour, gap] =
        ["00-00--13-00-00", "14-58--12-15-05"].map(|times| web.url(&range("yard", times, "m3u8")));
    std::thread::scope(|scope| {
        scope.spawn(|| assert_shown_by_vlc(&gap));
        assert_played_by_others(&hour);
    });
    daemon.stop();
}
