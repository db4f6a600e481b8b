//! What cameras send at this moment, as files without an end in a real mount.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cameras::Cameras;
use chrono::Utc;
use clips::{Frame, assert_plays, frames};
use daemon::{Daemon, Site, run_tool, text, try_tool, wait_until};

/// What stands in front of a frame's number and the time at which it was sent, in its own bytes.
const MARK: &[u8] = b"reelfs-test-cam!";

/// A daemon that records a camera of each of some kinds.
fn recording(cameras: &[&Cameras]) -> (Site, Daemon) {
    let mut site = Site::new("256M");
    for (number, cameras) in cameras.iter().enumerate() {
        site.add_camera(&format!("yard{number}"), &cameras.url(1), "");
    }
    let daemon = site.run();
    (0..cameras.len()).for_each(|number| daemon.wait_recording(&format!("yard{number}")));
    (site, daemon)
}

fn live(site: &Site, name: &str) -> PathBuf {
    site.mount().join("live").join(name)
}

/// The first bytes of what stands in a unit, without those that keep it from looking like a start
/// code (ITU-T H.264, 7.3.1).
fn plain(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    for byte in bytes.iter().take(40) {
        if !(*byte == 3 && plain.ends_with(&[0, 0])) {
            plain.push(*byte);
        }
    }
    plain
}

/// Reads on for so long, or to the end: what was read, and how late each frame came that begins in
/// what a read gave.
fn read_for(file: &mut File, length: Duration) -> (Vec<u8>, Vec<Duration>) {
    let (begun, mut all, mut late) = (Instant::now(), Vec::new(), Vec::new());
    let mut buffer = vec![0; 1 << 16];
    while begun.elapsed() < length {
        let count = file.read(&mut buffer).expect("what the camera sends");
        let now = Utc::now().timestamp_nanos_opt().expect("this century");
        if count == 0 {
            break;
        }
        let piece = &buffer[..count];
        let marks = piece.windows(MARK.len()).enumerate().filter(|(_, bytes)| *bytes == MARK);
        late.extend(marks.filter_map(|(at, _)| {
            let told = plain(piece.get(at + MARK.len()..)?);
            let sent = told.get(10..)?.first_chunk()?;
            Some(Duration::from_nanos(now.abs_diff(i64::from_be_bytes(*sent))))
        }));
        all.extend_from_slice(piece);
    }
    (all, late)
}

/// Reads a live file from its beginning for so long, into one that stays.
fn record(site: &Site, name: &str, length: Duration) -> (PathBuf, Vec<Duration>) {
    let mut file = File::open(live(site, name)).expect("it is there");
    let (bytes, late) = read_for(&mut file, length);
    let kept = site.path(name);
    fs::write(&kept, bytes).expect("room");
    (kept, late)
}

/// The frames of a file that was read, as they are in a file with an end.
fn frames_of(file: &Path) -> Vec<Frame> {
    let ended = file.with_extension("ended.mp4");
    let words = ["-v", "error", "-y", "-i", text(file), "-map", "0:v", "-c", "copy", text(&ended)];
    run_tool("ffmpeg", &words);
    frames(&[ended])
}

fn are_in_a_row(frames: &[Frame]) -> bool {
    frames.windows(2).all(|pair| pair[0].number + 1 == pair[1].number)
}

/// The codecs of the streams of a file, and how many packets each has.
fn streams(file: &Path) -> Vec<(String, u64)> {
    let words = ["-v", "error", "-count_packets", "-show_entries"];
    let more = ["stream=codec_name,nb_read_packets", "-of", "csv=p=0"];
    let told = run_tool("ffprobe", &[&words[..], &more, &[text(file)]].concat());
    let line = |line: &str| {
        let (codec, count) = line.split_once(',').expect("two fields");
        (codec.to_owned(), count.trim_end_matches(',').parse().expect("a count"))
    };
    let mut all: Vec<(String, u64)> = told.lines().filter(|it| !it.is_empty()).map(line).collect();
    // Those of a programme are told twice.
    let mut seen = BTreeSet::new();
    all.retain(|(codec, _)| seen.insert(codec.clone()));
    all
}

#[test]
fn every_frame_is_read_as_it_comes_in_each_container() {
    let cameras = Cameras::start(&["--gop", "25", "--bframes", "--sound", "aac"]);
    let (site, daemon) = recording(&[&cameras]);
    let length = Duration::from_secs(5);
    let read: Vec<(PathBuf, Vec<Duration>)> = std::thread::scope(|scope| {
        let names = ["yard0.mp4", "yard0.mkv", "yard0.ts"];
        let site = &site;
        let all = names.map(|name| scope.spawn(move || record(site, name, length)));
        all.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    for (file, _) in &read {
        let found = streams(file);
        let [(video, pictures), (audio, packets)] = &found[..] else { panic!("{found:?}") };
        assert_eq!((video.as_str(), audio.as_str()), ("h264", "aac"));
        assert!(*pictures >= 110 && *packets >= 60, "{found:?}");
        assert_plays(file);
    }
    for (file, _) in &read[..2] {
        let frames = frames_of(file);
        assert!(frames[0].key && are_in_a_row(&frames), "{frames:?}");
        let mut times: Vec<i64> = frames.iter().map(|frame| frame.time).collect();
        times.sort_unstable();
        let steps = times.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(steps.clone().all(|step| (step - 40_000_000).abs() <= 1_000_000), "{times:?}");
    }
    let mut late = read[0].1.clone();
    // Those of the group that was there already are as late as it is old.
    late.drain(..25);
    late.sort_unstable();
    println!("late by {:?}, at most {:?}", late[late.len() / 2], late.last());
    assert!(late[late.len() / 2] < Duration::from_millis(300), "{late:?}");

    // Programs play it where it is.
    let path = live(&site, "yard0.mp4");
    let mpv = ["--no-config", "--vo=null", "--ao=null", "--length=2", "--msg-level=all=warn"];
    assert_eq!(run_tool("mpv", &[&mpv[..], &[text(&path)]].concat()), "");
    let location = format!("location={}", text(&live(&site, "yard0.mkv")));
    let sink = ["num-buffers=60", "!", "decodebin", "!", "fakesink"];
    run_tool("gst-launch-1.0", &[&["-q", "filesrc", &location][..], &sink].concat());
    let path = live(&site, "yard0.ts");
    let ffmpeg = ["-v", "error", "-xerror", "-i", text(&path), "-t", "2", "-f", "null", "-"];
    assert_eq!(run_tool("ffmpeg", &ffmpeg), "");
    assert_eq!(daemon.camera("yard0")["dropped"], serde_json::json!({}));
    daemon.stop();
}

/// What a player did: how many pictures it showed, or up to when it played, in s.
struct Played {
    player: &'static str,
    shown: f64,
    took: Duration,
    said: String,
}

/// Plays a file for so many seconds, as fast as the clock goes.
fn play(player: &'static str, file: &Path, seconds: u64) -> Played {
    let (file, length) = (text(file), seconds.to_string());
    let begun = Instant::now();
    let output = match player {
        "VLC" => try_tool("python3", &["tests/support/played.py", file, &length]),
        "mpv" => {
            let length = format!("--length={length}");
            let words = ["--no-config", "--vo=null", "--ao=null", "--msg-level=all=warn"];
            try_tool("mpv", &[&words[..], &[&length, file]].concat())
        }
        "ffplay" => {
            let dummies = ["SDL_VIDEODRIVER=dummy", "SDL_AUDIODRIVER=dummy"];
            let words = ["timeout", "-s", "INT", &length, "ffplay", "-hide_banner", "-stats", file];
            try_tool("env", &[&dummies[..], &words].concat())
        }
        _ => {
            let words = ["-nostdin", "-hide_banner", "-i", file, "-t", &length, "-f", "null", "-"];
            try_tool("ffmpeg", &words)
        }
    };
    let took = begun.elapsed();
    let [out, said] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    let last = |behind: &str| said.rsplit(behind).nth(1).unwrap_or("");
    let shown = match player {
        // Pictures shown, and left out, and whether it has ended.
        "VLC" => match out.split_whitespace().collect::<Vec<&str>>()[..] {
            [shown, _, "playing"] => shown.parse().unwrap_or(0.0),
            _ => panic!("VLC: {out} {said}"),
        },
        // It ends by itself when it has played so much.
        "mpv" => {
            if output.status.success() && said.is_empty() {
                seconds as f64
            } else {
                0.0
            }
        }
        // "   7.43 A-V: -0.003 fd=   0 aq=    0KB".
        "ffplay" => last(" A-V:")
            .rsplit(['\r', '\n'])
            .next()
            .and_then(|it| it.trim().parse().ok())
            .unwrap_or(0.0),
        // "frame=  250 fps= 25 q=-0.0".
        _ => said
            .rsplit("frame=")
            .next()
            .and_then(|it| it.split_whitespace().next()?.parse().ok())
            .unwrap_or(0.0),
    };
    Played { player, shown, took, said: said.into_owned() }
}

/// A short form of `scripts/torture played`, which takes an hour.
#[test]
fn players_go_on_as_long_as_the_camera_sends() {
    let seconds = std::env::var("REELFS_SECONDS").map_or(12, |it| it.parse().expect("a number"));
    let cameras = Cameras::start(&["--gop", "25", "--bframes", "--sound", "aac"]);
    let (site, daemon) = recording(&[&cameras]);
    let resident = || daemon.kernel_number("VmRSS");
    let before = resident();
    let all = [("VLC", "mp4"), ("VLC", "ts"), ("mpv", "mkv"), ("ffplay", "mp4"), ("ffmpeg", "mkv")];
    let played: Vec<Played> = std::thread::scope(|scope| {
        let site = &site;
        let start = |(player, form): (&'static str, &str)| {
            let file = live(site, &format!("yard0.{form}"));
            scope.spawn(move || play(player, &file, seconds))
        };
        let all: Vec<_> = all.map(start).into_iter().collect();
        all.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    println!("torture: live rounds={} failures=0", played.len());
    // All of them, before any is judged.
    played.iter().for_each(|it| println!("{}: {} in {:?}", it.player, it.shown, it.took));
    for Played { player, shown, took, said } in played {
        let pictures = if matches!(player, "VLC" | "ffmpeg") { 25.0 } else { 1.0 };
        // What they take to begin, and a picture in a hundred; or less of the one and more of the
        // other, where they have little time.
        let whole = seconds as f64;
        let least = ((whole - 6.0) * 0.99).max((whole - 4.0) * 0.95) * pictures;
        assert!(shown >= least, "{player}: {shown} of {least} in {took:?}: {said}");
        // One that only reads is ahead by the group that was there already.
        assert!(took.as_secs() + 2 >= seconds, "{player}: {took:?}");
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 40 << 10, "{grown} KiB");
    assert_eq!(daemon.camera("yard0")["dropped"], serde_json::json!({}));
    daemon.stop();
}

#[test]
fn who_is_slow_goes_on_with_a_key_frame_and_who_is_killed_is_gone_at_once() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let (site, daemon) = recording(&[&cameras]);
    let mut slow = File::open(live(&site, "yard0.mp4")).expect("it is there");
    let (mut bytes, _) = read_for(&mut slow, Duration::from_millis(1500));
    std::thread::sleep(Duration::from_secs(6));
    bytes.extend(read_for(&mut slow, Duration::from_millis(2500)).0);
    let kept = site.path("slow.mp4");
    fs::write(&kept, &bytes).expect("room");
    let all = frames_of(&kept);
    let jumps: Vec<&[Frame]> =
        all.windows(2).filter(|pair| pair[0].number + 1 != pair[1].number).collect();
    let [[before, behind]] = jumps[..] else { panic!("one jump: {all:?}") };
    assert!(behind.key && behind.number > before.number + 50, "{before:?} {behind:?}");
    let apart = (behind.time - before.time) - (behind.sent - before.sent);
    assert!(apart.abs() < 200_000_000, "time goes on as on the wall: {apart} ns");
    assert_plays(&kept);

    let mut cat = Command::new("cat");
    cat.arg(live(&site, "yard0.ts")).stdout(Stdio::null());
    let mut killed: Vec<_> = (0..20).map(|_| cat.spawn().expect("cat")).collect();
    std::thread::sleep(Duration::from_millis(700));
    let begun = Instant::now();
    killed.iter_mut().for_each(|child| child.kill().expect("it runs"));
    for child in &mut killed {
        child.wait().expect("it ends");
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    // Nor does one that is open keep the daemon from ending.
    let begun = Instant::now();
    assert!(!daemon.log().contains("ERROR"), "{}", daemon.log());
    daemon.stop();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(slow.read(&mut [0; 10]).map_or(true, |count| count == 0));
}

#[test]
fn a_hundred_readers_have_the_same_frames_and_cost_no_frame_of_the_recording() {
    let cameras = Cameras::start(&["--gop", "25", "--sound", "pcmu"]);
    let (site, daemon) = recording(&[&cameras]);
    let resident = || daemon.kernel_number("VmRSS");
    let before = resident();
    let path = live(&site, "yard0.mp4");
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let read =
            || read_for(&mut File::open(&path).expect("it is there"), Duration::from_secs(3));
        let all: Vec<_> = (0..100).map(|_| scope.spawn(read)).collect();
        all.into_iter().map(|one| one.join().expect("no panic").1.len()).collect()
    });
    assert!(counts.iter().all(|count| (70..110).contains(count)), "{counts:?}");
    let grown = resident().saturating_sub(before);
    assert!(grown < 40 << 10, "{grown} KiB for a hundred readers");
    assert_eq!(daemon.camera("yard0")["dropped"], serde_json::json!({}));
    daemon.stop();
}

#[test]
fn a_camera_that_is_away_is_waited_for_and_one_that_comes_back_goes_on() {
    let options = ["--gop", "25", "--paramchange", "3600", "--sound", "aac"];
    let mut cameras = Cameras::start(&options);
    let mut site = Site::new("256M");
    site.add_camera("yard0", &cameras.url(1), "");
    site.add_camera("gone", "rtsp://127.0.0.1:1/", "");
    let daemon = site.run();
    daemon.wait_recording("yard0");
    let names = |folder: &Path| -> Vec<String> {
        let all = fs::read_dir(folder).expect("a folder");
        all.map(|one| one.expect("a line").file_name().into_string().expect("text")).collect()
    };
    assert!(!names(&site.mount()).contains(&"live".to_owned()), "found by its name alone");
    let listed = names(&site.mount().join("live"));
    assert!(listed.len() == 6 && listed.contains(&"gone.ts".to_owned()), "{listed:?}");
    let begun = Instant::now();
    let error = File::open(live(&site, "attic.mp4")).expect_err("no such camera");
    assert!(error.kind() == ErrorKind::NotFound && begun.elapsed() < Duration::from_secs(1));
    let waits = std::thread::spawn({
        let path = live(&site, "gone.mp4");
        move || {
            let begun = Instant::now();
            (File::open(path).expect_err("nobody sends").raw_os_error(), begun.elapsed())
        }
    });

    // A session that breaks off is a pause in the file, and no end.
    let mut file = File::open(live(&site, "yard0.mp4")).expect("it is there");
    let (mut bytes, _) = read_for(&mut file, Duration::from_secs(2));
    cameras.tell("refuse 3");
    wait_until("it is there again", 30, || {
        bytes.extend(read_for(&mut file, Duration::from_millis(500)).0);
        daemon.camera("yard0")["reconnects"] == 1
    });
    bytes.extend(read_for(&mut file, Duration::from_secs(3)).0);
    let kept = site.path("kept.mp4");
    fs::write(&kept, &bytes).expect("room");
    let all = frames_of(&kept);
    let pause = all.windows(2).max_by_key(|pair| pair[1].time - pair[0].time).expect("frames");
    let seconds = (pause[1].time - pause[0].time) / 1_000_000_000;
    assert!((2..30).contains(&seconds) && pause[1].key, "{pause:?}");
    assert!(all.last().is_some_and(|last| last.sent > pause[1].sent + 1_000_000_000), "{all:?}");
    assert_plays(&kept);
    assert!(bytes.windows(8).any(|bytes| bytes == b"\0\0\0\x08free"), "something to pass");

    // Pictures of another size are another file.
    cameras.tell("paramchange");
    let (_, late) = read_for(&mut file, Duration::from_secs(20));
    assert!(late.len() < 200, "it ends: {} frames", late.len());
    assert_eq!(file.read(&mut [0; 10]).expect("the end"), 0);
    let (again, _) = record(&site, "yard0.mp4", Duration::from_secs(2));
    assert!(frames_of(&again).len() > 30);

    let (error, waited) = waits.join().expect("no panic");
    assert_eq!(error, Some(libc::EIO));
    assert!((9..12).contains(&waited.as_secs()), "{waited:?}");
    assert!(daemon.log().contains("live/gone.mp4: no key frame has come"), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn other_codings_have_the_containers_that_have_a_place_for_them() {
    let h265 = Cameras::start(&["--gop", "25", "--codec", "h265", "--sound", "pcmu"]);
    let jpeg = Cameras::start(&["--codec", "jpeg", "--gop", "25"]);
    let (site, daemon) = recording(&[&h265, &jpeg]);
    let length = Duration::from_secs(2);
    for (name, codecs) in [
        ("yard0.mp4", &["hevc", "flac"][..]),
        ("yard0.mkv", &["hevc", "flac"]),
        ("yard0.ts", &["hevc"]),
        ("yard1.mp4", &["mjpeg"]),
        ("yard1.mkv", &["mjpeg"]),
    ] {
        let (file, _) = record(&site, name, length);
        let found: Vec<String> = streams(&file).into_iter().map(|(codec, _)| codec).collect();
        assert_eq!(found, codecs, "{name}");
        assert_plays(&file);
    }
    let refused = File::open(live(&site, "yard1.ts")).expect_err("no place for JPEG");
    assert_eq!(refused.raw_os_error(), Some(libc::EIO));
    wait_until("why is told", 5, || {
        daemon.log().contains("live/yard1.ts: MPEG-TS has no place for such pictures")
    });
    assert!(!try_tool("ls", &["-l", text(&live(&site, "yard1.ts"))]).stdout.is_empty());
    daemon.stop();
}
