//! Ranges and clips as fragments, and their playlists: any stretch of time is played segment by
//! segment, and each segment is right by itself.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/yard.rs"]
mod yard;

use std::fs;
use std::ops::Range;
use std::path::Path;

use cameras::Cameras;
use clips::{attribute, packet_digests};
use daemon::{Site, run_tool, text, try_tool, wait_until};
use yard::{RATE, YARD, assert_reads_in_pieces, assert_times, clip, digest, named, site, times};

/// A segment as a playlist tells it.
struct Entry {
    bytes: Range<u64>,
    seconds: f64,
    time: String,
}

/// What a playlist says: its map, its segments, and the one file that they are in.
fn entries(playlist: &Path) -> (Range<u64>, Vec<Entry>, String) {
    let playlist = fs::read_to_string(playlist).expect("a playlist");
    let range = |text: &str| {
        let (length, begin) = text.split_once('@').expect("a byte range");
        let [length, begin] = [length, begin].map(|text| text.parse::<u64>().expect("bytes"));
        begin..begin + length
    };
    let (mut map, mut all, mut names) = (0..0, Vec::new(), Vec::new());
    let (mut time, mut seconds, mut bytes) = (String::new(), 0.0, 0..0);
    for line in playlist.lines() {
        if let Some(told) = line.strip_prefix("#EXT-X-MAP:URI=") {
            let parts: Vec<&str> = told.split('"').collect();
            names.push(parts[1].to_owned());
            map = range(parts[3]);
        } else if let Some(told) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
            time = told.to_owned();
        } else if let Some(told) = line.strip_prefix("#EXTINF:") {
            seconds = told.trim_end_matches(',').parse().expect("seconds");
        } else if let Some(told) = line.strip_prefix("#EXT-X-BYTERANGE:") {
            bytes = range(told);
        } else if !line.starts_with('#') {
            names.push(line.to_owned());
            all.push(Entry { bytes: bytes.clone(), seconds, time: time.clone() });
        }
    }
    assert!(!playlist.contains("DISCONTINUITY") && !playlist.contains("EXT-X-GAP"), "{playlist}");
    let name = names.pop().expect("a file");
    assert!(names.iter().all(|other| *other == name), "one file: {names:?}");
    (map, all, name)
}

/// The playlist's segments are all that is in its file, and each decodes by itself.
fn assert_segments(site: &Site, playlist: &Path) -> Vec<Entry> {
    let (map, entries, name) = entries(playlist);
    let file = playlist.parent().expect("a directory").join(name);
    let bytes = fs::read(&file).expect("fragments");
    assert_eq!((map.start, map.end), (0, entries[0].bytes.start), "all but the segments");
    let part = site.path("part.mp4");
    let mut pictures = 0;
    for (number, entry) in entries.iter().enumerate() {
        let next = entries.get(number + 1).map_or(bytes.len() as u64, |next| next.bytes.start);
        assert_eq!(entry.bytes.end, next, "without a gap between them");
        let own = &bytes[entry.bytes.start as usize..entry.bytes.end as usize];
        fs::write(&part, [&bytes[..map.end as usize], own].concat()).expect("a segment");
        clips::assert_plays(&part);
        pictures += times(&part).len();
    }
    assert_eq!(pictures, times(&file).len());
    entries
}

#[test]
fn fragments_have_the_pictures_of_a_range_and_a_playlist_says_where() {
    let site = site();
    let daemon = site.run();
    // It begins with the key frame before it, and the time on the wall goes on in it.
    let file = named(&site, "2026-03-28T12-00-01--12-00-29.frag.mp4");
    assert_eq!(attribute(&file, "start"), "2026-03-28T11:00:00.000000000Z");
    assert_eq!(attribute(&file, "duration"), "29.000000000");
    assert_eq!(attribute(&file, "gaps"), "2026-03-28T11:00:07.000000000Z 20.000");
    let told = times(&file);
    // ffmpeg shows all as much later as pictures of the second clip lag behind.
    let earlier: Vec<f64> = told.iter().map(|time| time - told[0]).collect();
    assert_times(&earlier, 7);
    let own = packet_digests(&clip(&site, "12-00-04"));
    let found = packet_digests(&file);
    let same = own.iter().zip(&found[4 * RATE..]).filter(|(own, found)| own == found).count();
    assert_eq!(same, 3 * RATE - 1, "all but the key frame");
    clips::assert_plays(&file);
    assert_eq!(clips::mkvmerge_tracks(&file)[0].times.len(), told.len());
    assert_reads_in_pieces(&file);

    let playlist = named(&site, "2026-03-28T12-00-01--12-00-29.m3u8");
    let entries = assert_segments(&site, &playlist);
    assert_eq!(entries[0].time, "2026-03-28T11:00:00.000Z");
    let sum: f64 = entries.iter().map(|entry| entry.seconds).sum();
    assert!((sum - 29.0).abs() < 0.000_1, "{sum}");
    assert!(entries.iter().all(|entry| entry.seconds <= 10.0));
    let (_, but_last) = entries.split_last().expect("segments");
    assert!(but_last.iter().all(|entry| entry.seconds >= 3.999));
    // Where gaps are left out, what is behind one begins a segment that says when it was.
    let joined = named(&site, "2026-03-28T12-00-01--12-00-29.joined.m3u8");
    let entries = assert_segments(&site, &joined);
    assert!(entries.iter().any(|entry| entry.time == "2026-03-28T11:00:27.000Z"));
    // Other programs play a playlist to its end.
    assert_eq!(packet_digests(&playlist), found);
    // How each clip is coded, in the order of their times: Baseline, Main, and Baseline again.
    let master = playlist.with_extension("master.m3u8");
    let master = fs::read_to_string(master).expect("a master playlist");
    let (_, codecs) = master.split_once("CODECS=\"").expect("codecs");
    let codecs = codecs.split('"').next().expect("an end").split(',');
    let profiles: Vec<&str> = codecs.map(|codec| &codec[..7]).collect();
    assert_eq!(profiles, ["avc1.42", "avc1.4D", "avc1.42"], "{master}");
    daemon.stop();
}

#[test]
fn clips_have_fragments_and_playlists_beside_them_by_name() {
    let site = site();
    let daemon = site.run();
    let beside = |end: &str| clip(&site, "12-00-04").with_extension(end);
    assert_eq!(packet_digests(&beside("frag.mp4")), packet_digests(&clip(&site, "12-00-04")));
    assert_eq!(entries(&beside("m3u8")).2, "12-00-04.frag.mp4");
    assert_segments(&site, &beside("m3u8"));
    let master = fs::read_to_string(beside("master.m3u8")).expect("a master playlist");
    assert!(master.ends_with("\n12-00-04.m3u8\n"), "{master}");
    assert!(master.contains(",CODECS=\"avc1.4D") && master.contains(",RESOLUTION=320x240\n"));
    let account = fs::read_to_string(beside("json")).expect("an account");
    assert!(account.contains("\"gaps\": []"), "{account}");
    let listed = fs::read_dir(site.mount().join("2026-03-28/yard")).expect("a directory");
    assert_eq!(listed.count(), 3, "they are not listed");
    for absent in ["12-00-05.frag.mp4", "12-00-04.held.mp4", "12-00-04.avi", "m3u8"] {
        assert!(fs::metadata(clip(&site, "x").with_file_name(absent)).is_err(), "{absent}");
    }
    let error = fs::remove_file(beside("frag.mp4")).expect_err("not to be removed");
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{error}");

    let names = ["frag.mp4", "m3u8", "master.m3u8"];
    let digests = || names.map(|name| digest(&beside(name)));
    let before = digests();
    daemon.stop();
    let daemon = site.run();
    assert_eq!(digests(), before, "after a restart");
    fs::remove_file(clip(&site, "12-00-04")).expect("removed");
    assert!(fs::metadata(beside("frag.mp4")).is_err(), "with its clip");
    daemon.stop();
}

#[test]
fn matroska_has_the_same_pictures_and_other_readers_find_no_fault() {
    let site = site();
    let daemon = site.run();
    let file = named(&site, "2026-03-28T12-00-01--12-00-29.mkv");
    let fragments = named(&site, "2026-03-28T12-00-01--12-00-29.frag.mp4");
    assert_eq!(attribute(&file, "start"), attribute(&fragments, "start"));
    let (own, others) = (times(&file), times(&fragments));
    assert_eq!((own.len(), own[0]), (others.len(), 0.0));
    let off = own.iter().zip(&others).map(|(own, other)| (own - other + others[0]).abs());
    assert!(off.fold(0.0, f64::max) < 0.001, "{own:?}");
    assert_eq!(packet_digests(&file), packet_digests(&fragments));
    clips::assert_plays(&file);
    assert_reads_in_pieces(&file);
    let tracks = clips::mkvmerge_tracks(&file);
    assert_eq!(tracks[0].times.len(), own.len());
    // A reader that goes through every element.
    let told = run_tool("mkvinfo", &["-v", "-v", text(&file)]);
    assert_eq!(told.matches("Simple block: key").count(), keys(&file));
    for wrong in ["unknown", "Unknown", "skipp", "invalid", "Error"] {
        let lines = told.lines().filter(|line| line.contains(wrong));
        assert_eq!(lines.collect::<Vec<_>>(), Vec::<&str>::new(), "{wrong}");
    }
    let told = run_tool("mediainfo", &["--Output=JSON", text(&file)]);
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let general = &told["media"]["track"][0];
    assert_eq!((&general["Format"], &general["Duration"]), (&"Matroska".into(), &"29.000".into()));
    assert_eq!(told["media"]["track"][1]["Format"], "AVC");
    // It is read from its middle by where its index says that this is.
    let words = ["-v", "error", "-read_intervals", "15%+#1", "-select_streams", "v"];
    let words = [&words[..], &["-show_entries", "packet=pts_time", "-of", "csv=p=0"]].concat();
    let found = run_tool("ffprobe", &[&words[..], &[text(&file)]].concat());
    let found: f64 = found.trim().trim_end_matches(',').parse().expect("a time");
    assert!((10.0..=15.0).contains(&found), "{found}");
    daemon.stop();
}

#[test]
fn a_transport_stream_has_the_same_pictures_and_an_analyser_finds_no_fault() {
    let site = site();
    let daemon = site.run();
    let file = named(&site, "2026-03-28T12-00-01--12-00-29.ts");
    let fragments = named(&site, "2026-03-28T12-00-01--12-00-29.frag.mp4");
    let (own, others) = (times(&file), times(&fragments));
    assert_eq!(own.len(), others.len());
    let later = own[0] - others[0];
    let off = own.iter().zip(&others).map(|(own, other)| (own - other - later).abs());
    assert!(off.fold(0.0, f64::max) < 0.001, "{own:?}");
    clips::assert_plays(&file);
    assert_reads_in_pieces(&file);
    assert_eq!(fs::metadata(&file).expect("packets").len() % 188, 0);
    // Every packet, clock and table, by a program that knows nothing else.
    let told = run_tool("tsreport", &["-b", text(&file)]);
    assert!(told.contains("Bad (>.1s) gaps: 0"), "{told}");
    assert!(!told.contains("###") && told.contains("duplicate packets: 0"), "{told}");
    let told = run_tool("tsinfo", &[text(&file)]);
    assert!(told.contains("Stream type 1b") && !told.contains("!!!"), "{told}");
    let told = run_tool("mediainfo", &["--Output=JSON", text(&file)]);
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["media"]["track"][0]["Format"], "MPEG-TS");
    assert_eq!(told["media"]["track"][1]["Format"], "AVC");
    daemon.stop();
}

/// How many key frames a demuxer finds.
fn keys(path: &Path) -> usize {
    let words = ["-v", "error", "-select_streams", "v", "-show_entries", "packet=flags"];
    let lines = run_tool("ffprobe", &[&words[..], &["-of", "csv=p=0", text(path)]].concat());
    lines.lines().filter(|line| line.starts_with('K')).count()
}

#[test]
fn what_grows_is_played_up_to_its_last_whole_group() {
    let cameras = Cameras::start(&["--gop", "25", "--bframes", "--sound", "aac"]);
    let mut site = Site::new("64M");
    site.add_camera(YARD, &cameras.url(1), "");
    let daemon = site.run();
    let playlist = named(&site, "1h--now.m3u8");
    wait_until("two segments are there", 60, || {
        let is_grey = |entry: &Entry| (entry.seconds - 5.0).abs() < 0.1;
        playlist.exists() && !entries(&playlist).1.iter().rev().take(3).any(is_grey)
    });
    // What it names is the same later on.
    let kept = site.path("kept.m3u8");
    let text_of = fs::read_to_string(&playlist).expect("a playlist");
    let (_, told, name) = entries(&playlist);
    let file = named(&site, &name);
    fs::write(&kept, text_of.replace(&name, text(&file))).expect("a playlist");
    std::thread::sleep(std::time::Duration::from_secs(6));
    let size = fs::metadata(&file).expect("fragments").len();
    let account = || fs::read_to_string(file.with_file_name(name.replace("frag.mp4", "json")));
    assert_eq!(size, told.last().expect("segments").bytes.end, "{:?}", account());
    let output =
        try_tool("ffmpeg", &["-v", "error", "-xerror", "-i", text(&kept), "-f", "null", "-"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(attribute(&file, "gaps").lines().count(), 1, "before it was recorded");
    daemon.stop();
}
