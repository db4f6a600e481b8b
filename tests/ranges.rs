//! Any stretch of time is a file with the right name: of what was imported and what is recorded
//! just now, before and after a restart, and when something of it is deleted.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/yard.rs"]
mod yard;

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use cameras::Cameras;
use clips::{attribute, attribute_time, packet_digests};
use daemon::{Site, run_tool, text, wait_until};
use yard::{RATE, YARD, assert_reads_in_pieces, assert_times, clip, digest, named, site, times};

fn log(site: &Site) -> String {
    fs::read_to_string(named(site, ".log")).expect("a log")
}

#[test]
fn a_range_has_the_packets_of_its_clips_at_the_times_of_the_wall() {
    let site = site();
    let daemon = site.run();
    // What is cut begins with the key frame before it.
    let all = named(&site, "2026-03-28T12-00-01--12-00-29.mp4");
    let [first, second, third] = ["12-00-00", "12-00-04", "12-00-27"].map(|at| clip(&site, at));
    let digests = packet_digests(&all);
    // Each key frame stands behind the sets of its clip, since those are not the same in all.
    assert_eq!(digests[1..4 * RATE], packet_digests(&first)[1..]);
    let own = packet_digests(&second);
    let same = own.iter().zip(&digests[4 * RATE..]).filter(|(own, found)| own == found).count();
    assert_eq!(same, 3 * RATE - 1, "all but the key frame");
    let third = packet_digests(&third);
    let behind = &digests[digests.len() - 2 * RATE..];
    let same = third.iter().zip(behind).filter(|(own, found)| own == found).count();
    assert_eq!(same, 2 * RATE - 2, "all but two key frames");
    clips::assert_plays(&all);

    assert_times(&times(&all), 6);
    assert_eq!(attribute(&all, "gaps"), "2026-03-28T11:00:07.000000000Z 20.000");
    assert_eq!(attribute(&all, "start"), "2026-03-28T11:00:01.000000000Z");
    assert_eq!(attribute(&all, "end"), "2026-03-28T11:00:29.000000000Z");
    assert_eq!(attribute(&all, "duration"), "28.000000000");
    assert_eq!(attribute(&all, "camera"), YARD);
    assert_eq!(attribute(&all, "frames"), (8 * RATE).to_string(), "without grey and hidden ones");
    assert_eq!(
        (attribute(&all, "clips").as_str(), attribute(&all, "clock").as_str()),
        ("3", "given")
    );
    for name in ["stream", "codec", "width", "height"] {
        let own = clip(&site, "12-00-00");
        assert_eq!(attribute(&all, name), attribute(&own, name), "{name}");
    }

    // All demuxers agree on the joined one, which has no gap.
    let joined = named(&site, "2026-03-28T12-00-01--12-00-29.joined.mp4");
    assert_eq!(times(&joined).len(), 8 * RATE);
    assert_eq!(attribute(&joined, "duration"), "8.000000000");
    let tracks = clips::mkvmerge_tracks(&joined);
    assert_eq!(tracks.len(), 1);
    let shown = tracks[0].times.iter().filter(|time| **time >= 0.0).count();
    // Those in front of what is wanted are there for a tick each.
    assert!((8 * RATE..=9 * RATE).contains(&shown), "{shown}");
    let held = named(&site, "2026-03-28T12-00-01--12-00-29.held.mp4");
    assert_eq!(times(&held).len(), 8 * RATE);
    assert!((times(&held)[6 * RATE] - 26.0).abs() < 0.002, "the last picture lasts");
    let strict = named(&site, "2026-03-28T12-00-01--12-00-06.5.strict.mp4");
    assert_eq!(times(&strict).len(), 11 * RATE / 2);
    // Several ranges, in any order.
    let several = named(&site, "2026-03-28T12-00-28--12-00-29,2026-03-28T12-00-00--12-00-02.mp4");
    let told = times(&several);
    assert_eq!(told.len(), 3 * RATE);
    assert!(told.iter().enumerate().all(|(n, time)| (time - n as f64 / RATE as f64).abs() < 0.002));
    // Settings that come back are in force again.
    let back = "2026-03-28T12-00-00--12-00-02,2026-03-28T12-00-04--12-00-06.5,\
                2026-03-28T12-00-00--12-00-01.joined.mp4";
    let back = named(&site, back);
    let words = ["-v", "error", "-xerror", "-i", text(&back), "-enc_time_base", "-1"];
    let words = [&words[..], &["-vsync", "passthrough", "-f", "null", "-"]].concat();
    let output = daemon::try_tool("ffmpeg", &words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    daemon.stop();
}

#[test]
fn a_range_keeps_its_bytes_over_restarts_and_a_lost_index_and_a_removal_makes_another() {
    let site = site();
    let names = [
        "2026-03-28T12-00-01.5--12-00-28.3.mp4",
        "2026-03-28T12-00-01.5--12-00-28.3.joined.mp4",
        "2026-03-28T12-00-05.1--12-00-05.9.mp4",
        "2026-03-28T12-00-00--12-00-04.held.mp4",
    ];
    let digests = || names.map(|name| digest(&named(&site, name)));
    let daemon = site.run();
    let before = digests();
    names.iter().for_each(|name| assert_reads_in_pieces(&named(&site, name)));
    daemon.stop();
    let daemon = site.run();
    assert_eq!(digests(), before, "after a restart");
    daemon.kill();
    fs::remove_dir_all(site.index_path()).expect("the index");
    let daemon = site.run();
    assert_eq!(digests(), before, "without the index");

    // A clip that is removed is a gap of another file; whoever has the old one open has it still.
    let range = named(&site, names[0]);
    let mut open = File::open(&range).expect("a range");
    let inode = open.metadata().expect("its inode").ino();
    assert_eq!(fs::metadata(&range).expect("again").ino(), inode, "the same while it is the same");
    fs::remove_file(clip(&site, "12-00-04")).expect("removed");
    assert_ne!(fs::metadata(&range).expect("another").ino(), inode, "at once");
    let gaps = "2026-03-28T11:00:04.000000000Z 23.000";
    assert_eq!(attribute(&range, "gaps"), gaps);
    let mut bytes = Vec::new();
    open.read_to_end(&mut bytes).expect("its own bytes");
    assert_eq!(blake3::hash(&bytes).to_string(), before[0]);
    // Given up for good, its bytes are an error to who has it open, in the page cache, too.
    fs::remove_file(site.mount().join(".trash/2026-03-28/yard/12-00-04.mp4")).expect("purged");
    wait_until("its bytes can't be read", 20, || {
        open.rewind().expect("its beginning");
        open.read_to_end(&mut bytes).is_err()
    });
    daemon.stop();
}

#[test]
fn key_frames_alone_are_a_file_a_fast_one_and_a_still() {
    let site = site();
    let daemon = site.run();
    let name = |form: &str| named(&site, &format!("2026-03-28T12-00-00--12-00-29.{form}"));
    // One of the first clip, one of the second, grey, and one a second of the third.
    let expected = [0.0, 4.0].into_iter().chain((7..29).map(f64::from));
    let expected: Vec<f64> = expected.collect();
    let close = |told: Vec<f64>, speed: f64| {
        let off = told.iter().zip(&expected).map(|(told, time)| (told - time / speed).abs());
        told.len() == expected.len() && off.fold(0.0, f64::max) < 0.002
    };
    for (form, speed) in [("keys.mp4", 1.0), ("timelapse-20x.mp4", 20.0)] {
        let file = name(form);
        assert!(close(times(&file), speed), "{form}: {:?}", times(&file));
        assert_eq!(clips::mkvmerge_tracks(&file)[0].times.len(), expected.len());
        assert_reads_in_pieces(&file);
        let duration: f64 = attribute(&file, "duration").parse().expect("seconds");
        assert!((duration - 29.0 / speed).abs() < 0.002, "{form}: {duration}");
        assert_eq!(attribute(&file, "frames"), "4", "{form}");
    }
    assert_eq!(times(&name("joined.keys.mp4")).len(), 4);
    let fast = clip(&site, "12-00-27").with_extension("timelapse-5x.mp4");
    assert_eq!(times(&fast), [0.0, 0.2, 0.4, 0.6, 0.8]);

    // The key frame at a time, or before it; in a gap, too, where it is not long ago.
    for (at, key) in
        [("12-00-29.5", "12:00:29"), ("12-00-28", "12:00:28"), ("12-00-20", "12:00:04")]
    {
        let still = named(&site, &format!("2026-03-28T{at}.key.mp4"));
        let start = format!("2026-03-28T{}.000000000Z", key.replacen("12:", "11:", 1));
        assert_eq!(attribute(&still, "start"), start, "{at}");
        assert_eq!(times(&still), [0.0], "{at}");
        assert_eq!(attribute(&still, "frames"), "1", "{at}");
        clips::assert_plays(&still);
    }
    let own = packet_digests(&named(&site, "2026-03-28T12-00-29.5.key.mp4"));
    assert_eq!(own[0], packet_digests(&clip(&site, "12-00-27"))[2 * RATE]);
    daemon.stop();
}

#[test]
fn names_that_ask_for_nothing_are_not_there_and_the_log_says_why() {
    let site = site();
    let daemon = site.run();
    let root = site.mount();
    for found in ["find", "rsync"] {
        let listed = match found {
            "find" => run_tool("find", &[text(&root)]),
            _ => run_tool("rsync", &["-r", "--list-only", text(&root)]),
        };
        assert!(!listed.contains("range"), "{found}: {listed}");
    }
    let absent = [
        ("2026-03-28T12-00-10--12-00-20.mp4", "nothing was recorded then"),
        ("2026-03-28T12-00-00.001--12-00-00.002.mp4", "no picture was recorded then"),
        ("2026-03-29T12-00-00--2026-03-28T12-00-00.mp4", "ends before it begins"),
        (
            "2026-03-28T12-00-00--12-00-29.strict.mp4",
            "nothing was recorded from 2026-03-28T11:00:07.000000000Z to 2026-03-28T11:00:27",
        ),
        ("2026-03-28T12-00-00--12-00-04.avi", "no form of file"),
        ("clip.mp4", "is no time"),
        ("2026-03-28T12-10-00.key.mp4", "nothing was recorded then"),
        ("2026-03-28T12-00-00--12-00-29.key.mp4", "of one time"),
        ("2026-03-28T12-00-00--12-00-29.timelapse-1x.mp4", "no form of file"),
        ("2026-02-30.mp4", "in no calendar"),
        ("9223372036s--now.mp4", "parts of a file"),
    ];
    for (name, why) in absent {
        let begin = Instant::now();
        let error = File::open(named(&site, name)).expect_err(name);
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{name}");
        let log = log(&site);
        let line = log.lines().last().expect("a line");
        assert!(line.contains(name) && line.contains(why), "{name}: {line}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{name}: {:?}", begin.elapsed());
    }
    for (camera, error) in [("garden", libc::ENOENT), ("", libc::EISDIR)] {
        let path = root.join(format!(".range/{camera}"));
        let found = fs::read(&path).expect_err("nothing to read").raw_os_error();
        assert_eq!(found, Some(error), "{camera:?}");
    }
    assert!(File::open(named(&site, &"9".repeat(300))).is_err(), "too long");
    let range = named(&site, "2026-03-28T12-00-00--12-00-04.mp4");
    for error in [
        fs::remove_file(&range).expect_err("not to be removed"),
        fs::remove_dir(root.join(".range")).expect_err("always there"),
        fs::rename(&range, named(&site, "other.mp4")).expect_err("not to be moved"),
    ] {
        let code = error.raw_os_error();
        assert!(matches!(code, Some(libc::EPERM | libc::EROFS)), "{error}");
    }
    let names = run_tool("ls", &["-A", text(&root.join(".range")), text(&named(&site, ""))]);
    assert!(names.contains(YARD) && names.contains(".log"), "{names}");
    daemon.stop();
}

/// The subtitles in a file are those, as three demuxers read them.
fn assert_has_subtitles(site: &Site, file: &Path, expected: &str) {
    let srt = site.path("in-it.srt");
    run_tool("ffmpeg", &["-v", "error", "-i", text(file), "-map", "0:s", text(&srt)]);
    // Its font is told, too.
    let found = fs::read_to_string(srt).expect("subtitles");
    let found = found.replace("</font>", "").replace(r#"<font face="Sans-Serif" size="12">"#, "");
    assert_eq!(found, expected);
    let said: Vec<&str> = expected.lines().filter(|line| line.starts_with("2026")).collect();
    let source = format!("location={}", text(file));
    let words = ["-q", "filesrc", &source, "!", "qtdemux", "name=d", "d.subtitle_0", "!"];
    let told = run_tool("gst-launch-1.0", &[&words[..], &["fdsink"]].concat());
    assert_eq!(told.matches("2026-03-28").count(), said.len(), "{told}");
    said.iter().for_each(|line| assert!(told.contains(line), "{line} in {told}"));
    let told = run_tool("mediainfo", &["--Output=JSON", text(file)]);
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let tracks = told["media"]["track"].as_array().expect("tracks");
    let own = tracks.iter().find(|track| track["@type"] == "Text").expect("subtitles");
    let seen = ["Format", "Duration"].map(|key| own[key].as_str().unwrap_or(""));
    assert_eq!(seen, ["Timed Text", "27.500"]);
}

#[test]
fn the_time_on_the_wall_is_subtitles_and_what_is_in_a_range_is_told() {
    let site = site();
    let daemon = site.run();
    let name = |form: &str| named(&site, &format!("2026-03-28T12-00-01.5--12-00-29.{form}"));
    // Another program's reader: times of the cues in ms, and what they say.
    let words = ["-v", "error", "-show_entries", "packet=pts_time,duration_time", "-of", "csv=p=0"];
    let cues = run_tool("ffprobe", &[&words[..], &[text(&name("vtt"))]].concat());
    let cues: Vec<&str> = cues.lines().collect();
    assert_eq!(cues[..2], ["0.000000,0.500000", "0.500000,1.000000"]);
    assert_eq!((cues.len(), cues[27]), (28, "26.500000,1.000000"));
    let srt = site.path("told.srt");
    let copy = ["-v", "error", "-i", text(&name("vtt")), text(&srt)].map(str::to_owned);
    run_tool("ffmpeg", &copy.each_ref().map(String::as_str));
    let told = fs::read_to_string(srt).expect("subtitles");
    let said: Vec<&str> = told.lines().filter(|line| line.starts_with("2026")).collect();
    assert_eq!((said[0], said[27]), ("2026-03-28 12:00:01+01:00", "2026-03-28 12:00:28+01:00"));
    // Where gaps are left out the time jumps.
    let joined = fs::read_to_string(name("joined.vtt")).expect("subtitles");
    let behind = "00:00:05.500 --> 00:00:06.500\n2026-03-28 12:00:27+01:00\n";
    assert!(joined.contains(behind), "{joined}");
    assert_reads_in_pieces(&name("vtt"));
    assert_has_subtitles(&site, &name("clock.mp4"), &told);
    let pictures = packet_digests(&name("clock.mp4"));
    assert_eq!(pictures, packet_digests(&name("mp4")), "and every other packet");
    assert_reads_in_pieces(&name("clock.mp4"));
    let of_clip = clip(&site, "12-00-04").with_extension("clock.mp4");
    let own = fs::read_to_string(of_clip.with_extension("").with_extension("vtt"));
    assert!(own.expect("subtitles").contains("12:00:06+01:00"));
    assert_eq!(times(&of_clip).len(), 3 * RATE);

    let told = fs::read_to_string(name("json")).expect("an account");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["camera"], YARD);
    assert_eq!(told["start"], "2026-03-28T11:00:01.500000000Z");
    assert_eq!(told["seconds"], 27.5);
    assert_eq!(told["tracks"][0]["codec"], told["clips"][0]["codec"]);
    let clips = told["clips"].as_array().expect("clips");
    let whole: Vec<_> = clips.iter().map(|clip| (&clip["start"], &clip["frames"])).collect();
    assert_eq!(whole[1], (&"2026-03-28T11:00:04.000000000Z".into(), &30.into()));
    assert_eq!(clips[2]["to"], "2026-03-28T11:00:29.000000000Z");
    assert_eq!((&clips[2]["width"], &clips[2]["growing"]), (&160.into(), &false.into()));
    let gap = &told["gaps"][0];
    assert_eq!(
        (&gap["start"], &gap["seconds"]),
        (&"2026-03-28T11:00:07.000000000Z".into(), &20.0.into())
    );
    assert_eq!(gap["reason"], "stopped");
    assert_eq!(told["omitted"], serde_json::json!([]));
    daemon.stop();
}

#[test]
fn made_names_without_end_leave_memory_level() {
    let site = site();
    let daemon = site.run();
    let ask = |from: u32, to: u32| {
        for number in from..to {
            let name = format!("2026-03-28T12-00-00.{number:06}--12-00-28.mp4");
            let size = fs::metadata(named(&site, &name)).expect("a range").len();
            assert!(size > 10_000, "{size}");
            let nothing = format!("{number}s--now,{number}.mp4");
            assert!(fs::metadata(named(&site, &nothing)).is_err());
        }
    };
    ask(0, 2000);
    let before = daemon.kernel_number("VmRSS");
    ask(2000, 12_000);
    let more = daemon.kernel_number("VmRSS").saturating_sub(before);
    assert!(more < 16 << 10, "{more} KiB more");
    daemon.stop();
}

#[test]
fn what_is_being_recorded_is_in_a_range_up_to_now() {
    let cameras = Cameras::start(&["--gop", "25", "--bframes", "--sound", "aac"]);
    let mut site = Site::new("64M");
    site.add_camera(YARD, &cameras.url(1), "");
    let daemon = site.run();
    wait_until("two clips", 40, || clips::clips_of(&site.mount(), YARD).len() >= 2);
    std::thread::sleep(Duration::from_secs(3));
    // Across the boundary of two clips, and into the one that grows.
    let copy = site.path("copy.mp4");
    fs::copy(named(&site, "1h--now.joined.mp4"), &copy).expect("a range");
    let frames = clips::frames(std::slice::from_ref(&copy));
    let numbers: Vec<u64> = frames.iter().map(|frame| frame.number).collect();
    assert!(numbers.len() > 250, "{} frames", numbers.len());
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
    clips::assert_plays(&copy);
    let streams = "stream=codec_type,duration";
    let words = ["-v", "error", "-show_entries", streams, "-of", "csv=p=0", text(&copy)];
    let told = run_tool("ffprobe", &words);
    let length = |kind: &str| -> f64 {
        let line = told.lines().find_map(|line| line.strip_prefix(kind)).expect("such a track");
        line.trim_matches(',').parse().expect("a length")
    };
    let off = (length("video") - length("audio")).abs();
    assert!(off < 0.1, "{off} s between the ends of pictures and sound");

    let range = named(&site, "4s--now.mp4");
    let file = File::open(&range).expect("a range");
    let (start, end) = (attribute_time(&range, "start"), attribute_time(&range, "end"));
    let length = (end - start) as f64 / 1e9;
    assert!((0.9..4.0).contains(&length), "{length} s up to the last flush");
    drop(file);
    for frame in clips::frames(&[range]) {
        if frame.time >= 0 {
            let error = start + frame.time - frame.sent;
            assert!(error.abs() < 200_000_000, "{} ms", error / 1_000_000);
        }
    }
    daemon.stop();
}
