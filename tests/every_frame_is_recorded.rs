//! The whole way, from a real RTSP server to files on a real mount: every frame that the server
//! sent after the first key frame is in the clips, bit-exact, and its time in the file is the time
//! at which it was sent. Promises 2, 3 and 4.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cameras::Cameras;
use clips::{Frame, attribute, attribute_time, clips_of};
use daemon::{Site, wait_until};

/// What "on the wall" means: promise 4, in ns.
const CLOCK_ERROR_MAX: i64 = 200_000_000;

/// Digests of the frames that a camera sent, by number, and when, in ns since 1970.
fn sent(cameras: &Cameras, camera: u64) -> HashMap<u64, (String, i64)> {
    let log = cameras.log();
    let of_camera = log.iter().filter(|line| line["camera"] == camera);
    let entry = |line: &serde_json::Value| {
        let number = line["frame"].as_u64().expect("a number");
        let md5 = line["md5"].as_str().expect("a digest").to_owned();
        (number, (md5, line["sent"].as_i64().expect("a time")))
    };
    of_camera.map(entry).collect()
}

/// Each clip begins where the last one ended, to the nanosecond, with a key frame; and each frame
/// in it was sent when `user.reelfs.start` and its time in the file say.
fn assert_joined_on_the_wall(paths: &[PathBuf]) {
    for pair in paths.windows(2) {
        assert_eq!(attribute_time(&pair[0], "end"), attribute_time(&pair[1], "start"), "{pair:?}");
    }
    for path in paths {
        let start = attribute_time(path, "start");
        let frames = clips::frames(std::slice::from_ref(path));
        assert!(frames[0].key, "{path:?} begins with a key frame");
        assert_eq!(frames.len().to_string(), attribute(path, "frames"));
        for frame in frames {
            let error = start + frame.time - frame.sent;
            assert!(error.abs() < CLOCK_ERROR_MAX, "{path:?}: {} ms", error / 1_000_000);
        }
    }
}

/// The frames of clips are what was sent, and none is missing in between.
fn assert_complete(frames: &[Frame], sent: &HashMap<u64, (String, i64)>) {
    let first = frames[0].number;
    for (at, frame) in frames.iter().enumerate() {
        assert_eq!(frame.number, first + at as u64, "a frame is missing or twice");
        assert_eq!(frame.md5, sent[&frame.number].0, "frame {}", frame.number);
    }
    let began = sent.values().map(|(_, at)| *at).min().expect("something was sent");
    let behind = frames[0].sent - began;
    assert!(behind < 2_000_000_000, "recording began {} ms late", behind / 1_000_000);
}

/// Between two frames of the test cameras.
const FRAME_MILLIS: f64 = 40.0;

/// mkvmerge gives the last picture the usual duration, in milliseconds; ours carries what the
/// camera's clock was steered by in the chunk, 500 ppm at most of a few seconds, with a chunk
/// that waited for a busy machine.
const LAST_DURATION_ERROR_MAX: f64 = 5.0;

/// ffmpeg, its demuxer, and one that shares no code with it.
fn assert_judges_agree(path: &Path, frames: &[Frame], codec: &str) {
    clips::assert_plays(path);
    let expected: Vec<&str> = frames.iter().map(|frame| frame.whole.as_str()).collect();
    assert_eq!(clips::packet_digests(path), expected, "{path:?}");
    let tracks = clips::mkvmerge_tracks(path);
    let [track] = &tracks[..] else { panic!("{path:?}: {tracks:?}") };
    assert_eq!(track.codec, codec);
    assert_eq!(track.times.len(), frames.len(), "{path:?}");
    let mut shown: Vec<f64> = frames.iter().map(|frame| frame.time as f64 / 1e6).collect();
    shown.sort_by(f64::total_cmp);
    for (time, ours) in track.times.iter().zip(&shown) {
        assert!((time - ours).abs() <= 1.0, "{path:?}: {time} ms against {ours} ms");
    }
    // A stop may come behind a picture and before those that are shown ahead of it: the clip is
    // as long as the pictures that it has, and mkvmerge counts those that are missing.
    let missing = shown[shown.len() - 1] - (shown.len() - 1) as f64 * FRAME_MILLIS;
    let missing = if missing > FRAME_MILLIS / 2.0 { missing } else { 0.0 };
    let length = (attribute_time(path, "end") - attribute_time(path, "start")) as f64 / 1e6;
    let error = (track.end - length).abs();
    let allowed = LAST_DURATION_ERROR_MAX + missing;
    assert!(error <= allowed, "{path:?}: {} ms against {length} ms", track.end);
}

/// Cameras by name, with what the server is told, and what mkvmerge calls the codec.
const SERVERS: [(&str, &[&str], &str); 5] = [
    ("plain", &["--gop", "25"], "V_MPEG4/ISO/AVC"),
    ("reordered", &["--bframes", "--gop", "30"], "V_MPEG4/ISO/AVC"),
    ("plain-h265", &["--codec", "h265", "--gop", "25"], "V_MPEGH/ISO/HEVC"),
    ("reordered-h265", &["--codec", "h265", "--bframes", "--gop", "30"], "V_MPEGH/ISO/HEVC"),
    // Its parameter sets are others every second.
    (
        "flapping-h265",
        &["--codec", "h265", "--gop", "25", "--samesize", "--paramchange", "1"],
        "V_MPEGH/ISO/HEVC",
    ),
];

fn now_nanos() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as i64
}

#[test]
fn every_frame_is_in_the_clips_bit_exact_and_on_time() {
    let servers = SERVERS.map(|(_, options, _)| Cameras::start(options));
    let mut site = Site::new("64M");
    for ((camera, _, _), server) in SERVERS.iter().zip(&servers) {
        site.add_camera(camera, &server.url(1), "");
    }
    let daemon = site.run();
    let mount = site.mount();
    wait_until("two clips of each camera", 40, || {
        SERVERS.iter().all(|(camera, _, _)| clips_of(&mount, camera).len() >= 2)
    });
    for (camera, _, _) in SERVERS {
        let status = daemon.camera(camera);
        assert_eq!(status["state"], "recording", "{status}");
        assert_eq!((&status["reconnects"], &status["lost_packets"]), (&0.into(), &0.into()));
        assert_eq!(status["dropped"], serde_json::json!({}));
    }
    let before = clips::identities(&mount);
    let stopped_at = now_nanos();
    daemon.stop();

    // What the first run recorded to its very end is looked at in the second one's mount.
    site.cameras.clear();
    site.add_camera("plain", "rtsp://127.0.0.1:1/", "");
    let daemon = site.run();
    let after = clips::identities(&mount);
    for (clip, identity) in &before {
        assert_eq!(after.get(clip), Some(identity), "{clip}");
    }
    for ((camera, _, codec), server) in SERVERS.iter().zip(&servers) {
        let paths: Vec<PathBuf> =
            clips_of(&mount, camera).iter().map(|clip| mount.join(clip)).collect();
        assert!((3..=7).contains(&paths.len()), "{paths:?}");
        assert_joined_on_the_wall(&paths);
        let frames = clips::frames(&paths);
        assert_complete(&frames, &sent(server, 1));
        let last = frames.last().expect("frames").sent;
        assert!(stopped_at - last < 500_000_000, "the last {} ns are missing", stopped_at - last);
        for path in &paths {
            assert_judges_agree(path, &clips::frames(std::slice::from_ref(path)), codec);
        }
    }
    daemon.stop();
}

/// Presentation time in ns, digest of the scan, and of the whole picture, of each frame of clips.
fn jpeg_frames(paths: &[PathBuf]) -> Vec<(i64, String, String)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/framecheck.py");
    let paths = paths.iter().map(|path| daemon::text(path));
    let words: Vec<&str> = [script].into_iter().chain(paths).collect();
    let lines = daemon::run_tool("/usr/bin/python3", &words);
    let frame = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let text = |key: &str| value[key].as_str().expect("a digest").to_owned();
        let seconds = value["t"].as_f64().expect("a time");
        assert_eq!(value["key"], true);
        ((seconds * 1e9).round() as i64, text("md5"), text("whole"))
    };
    lines.lines().map(frame).collect()
}

#[test]
fn every_jpeg_picture_is_in_the_clips_bit_exact_and_on_time() {
    // One length for each picture of its loop: it is known again by its bytes.
    let cameras = Cameras::start(&["--codec", "jpeg", "--bitrate", "4000k", "--seconds", "60"]);
    let mut site = Site::new("64M");
    site.add_camera("jpeg", &cameras.url(1), "");
    let daemon = site.run();
    let mount = site.mount();
    wait_until("two clips", 40, || clips_of(&mount, "jpeg").len() >= 2);
    let paths: Vec<PathBuf> =
        clips_of(&mount, "jpeg").iter().map(|clip| mount.join(clip)).collect();
    let sent: Vec<(String, i64)> = {
        let sent = sent(&cameras, 1);
        let numbers: std::collections::BTreeMap<_, _> = sent.into_iter().collect();
        numbers.into_values().collect()
    };
    for path in &paths {
        let start = attribute_time(path, "start");
        assert_eq!(attribute(path, "codec"), "jpeg");
        let frames = jpeg_frames(std::slice::from_ref(path));
        let first = sent.iter().position(|(md5, _)| *md5 == frames[0].1).expect("it was sent");
        for ((time, md5, _), (wanted, at)) in frames.iter().zip(&sent[first..]) {
            assert_eq!(md5, wanted, "{path:?}");
            let error = start + time - at;
            assert!(error.abs() < CLOCK_ERROR_MAX, "{path:?}: {} ms", error / 1_000_000);
        }
        clips::assert_plays(path);
        let whole: Vec<&str> = frames.iter().map(|frame| frame.2.as_str()).collect();
        assert_eq!(clips::packet_digests(path), whole, "{path:?}");
        // A demuxer that shares no code with ffmpeg.
        let shown = daemon::run_tool("mediainfo", &["--Output=JSON", daemon::text(path)]);
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        let track = &shown["media"]["track"][1];
        assert_eq!((&track["Format"], &track["Width"]), (&"JPEG".into(), &"640".into()), "{track}");
        assert_eq!(track["FrameCount"], frames.len().to_string(), "{track}");
    }
    let counts = paths.iter().map(|path| jpeg_frames(std::slice::from_ref(path)).len());
    assert!(counts.sum::<usize>() > 250);
    daemon.stop();
}

#[test]
fn a_daemon_that_stood_still_reads_what_waits_and_loses_none_of_it() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut site = Site::new("64M");
    site.add_camera("door", &cameras.url(1), "");
    let daemon = site.run();
    daemon.wait_recording("door");
    std::thread::sleep(Duration::from_secs(2));
    // Longer than a camera may be silent.
    daemon.signal("STOP");
    std::thread::sleep(Duration::from_secs(18));
    daemon.signal("CONT");
    std::thread::sleep(Duration::from_secs(4));
    assert!(!daemon.log().contains("without footage"), "{}", daemon.log());
    assert_eq!(daemon.camera("door")["reconnects"], 0, "{}", daemon.log());
    daemon.stop();
    // What comes while the daemon stops may be in the clips.
    let sent = sent(&cameras, 1);
    let daemon = site.run();
    let paths: Vec<PathBuf> =
        clips_of(&site.mount(), "door").iter().map(|clip| site.mount().join(clip)).collect();
    for pair in paths.windows(2) {
        assert_eq!(attribute_time(&pair[0], "end"), attribute_time(&pair[1], "start"), "{pair:?}");
    }
    assert_complete(&clips::frames(&paths), &sent);
    daemon.stop();
}
