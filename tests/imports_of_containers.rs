//! Footage that is in no mp4, imported: MPEG-TS and Matroska, whole, damaged and joined; and whole
//! folders of other recorders.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/copies.rs"]
mod copies;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/imported.rs"]
mod imported;
#[path = "support/media_recorder.rs"]
mod media_recorder;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use daemon::{run_tool, text};
use imported::{
    Bench, LEFT_OUT, Packet, START, assert_same, assert_same_sound, by_names, cut, packets,
};

/// Length of a packet of MPEG-TS.
const PACKET_BYTES: usize = 188;

/// How a file is written: a name, and what ffmpeg is told.
const WRITTEN: [(&str, &str); 16] = [
    ("plain.ts", ""),
    ("reordered.ts", "-bf 3 -b_strategy 0"),
    ("open.ts", "-bf 2 -x264-params open-gop=1"),
    ("slices.ts", "-x264-params slices=4:aud=1"),
    ("blu_ray.m2ts", "-an -bf 2 -mpegts_m2ts_mode 1"),
    ("long.ts", "-an -output_ts_offset 95440"),
    ("h265.ts", "-c:v libx265 -x265-params log-level=none:keyint=50"),
    ("opus.ts", "-c:a libopus -ar 48000"),
    ("plain.mkv", ""),
    ("reordered.mkv", "-bf 3 -b_strategy 0 -c:a flac -ar 48000"),
    ("live.mkv", "-bf 2 -live 1 -c:a libopus -ar 48000"),
    ("pipe.mkv", "-c:v libx265 -x265-params log-level=none:keyint=50 -c:a pcm_s16le"),
    ("mulaw.mkv", "-c:v mjpeg -pix_fmt yuvj420p -c:a pcm_mulaw -ar 8000"),
    ("small.mkv", "-cluster_time_limit 300 -c:a aac -ac 2 -ar 44100"),
    ("vfw.mkv", "-an -allow_raw_vfw 1 -c:v mjpeg -pix_fmt yuvj420p"),
    ("large.ts", "-pes_payload_size 60000 -c:a aac -ar 44100 -ac 2"),
];

/// Those whose sound is not compressed.
const SAMPLES: [&str; 2] = ["pipe.mkv", "mulaw.mkv"];

/// What ffmpeg makes of a file, without delimiters of pictures.
fn as_mp4(bench: &Bench, file: &Path) -> PathBuf {
    let name = format!("{}.as.mp4", text(file));
    let delimiter = if name.contains("h265") { 35 } else { 9 };
    let units = format!("filter_units=remove_types={delimiter}");
    bench.make(&name, &format!("-i {} -c copy -bsf:v {units}", text(file)))
}

#[test]
fn files_of_containers_come_in_bit_by_bit() {
    let bench = Bench::new("64M");
    let mut files: Vec<PathBuf> =
        WRITTEN.iter().map(|(name, words)| bench.source(name, 3, words)).collect();
    files.push(bench.launched("gst.ts", "mpegtsmux"));
    files.push(bench.launched("gst.mkv", "matroskamux"));
    files.push(bench.launched("gst_live.mkv", "matroskamux streamable=true"));
    // Sound of which several packets are in a block; blocks in groups.
    for (name, hacks) in
        [("xiph.mkv", "lacing_xiph"), ("groups.mkv", "lacing_ebml,no_simpleblocks")]
    {
        let (file, plain) = (bench.path(name), bench.path("reordered.mkv"));
        run_tool("mkvmerge", &["-q", "-o", text(&file), "--engage", hacks, text(&plain)]);
        files.push(file);
    }
    for file in &files {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let said = bench.ended(0, &["--start", START], &[file]);
        assert!(said.contains("1 file in 1 clip"), "{said}");
        let is_matroska = name.ends_with(".mkv");
        let wanted = if is_matroska { file.clone() } else { as_mp4(&bench, file) };
        assert_same(&name, &bench.packets("v"), &packets(&wanted, "v"));
        let (sound, wanted) = (bench.packets("a"), packets(&wanted, "a"));
        // Samples become frames of FLAC of another length.
        if SAMPLES.contains(&name.as_str()) {
            assert!(sound.len() > 10, "{name}: {} frames of sound", sound.len());
        } else {
            assert_same_sound(&name, &sound, &wanted);
        }
        let said = bench.ended(0, &["--start", START], &[file]);
        assert!(said.contains("imported before"), "{name}: {said}");
        bench.emptied();
    }
}

fn digests(packets: &[Packet]) -> Vec<&str> {
    packets.iter().map(|packet| packet.digest.as_str()).collect()
}

#[test]
fn what_a_browser_records_comes_in_bit_by_bit() {
    let bench = Bench::new("64M");
    let forms = [
        ("page.mp4", "video/mp4;codecs=avc1.42E01E"),
        ("page.mkv", "video/x-matroska;codecs=avc1"),
        ("page.webm", "video/webm;codecs=h264"),
    ];
    let folder = bench.path("browser");
    fs::create_dir(&folder).expect("a folder");
    let files = media_recorder::recorded(&folder, &forms.map(|(_, form)| form));
    for ((name, _), bytes) in forms.iter().zip(files) {
        let file = bench.path(name);
        fs::write(&file, bytes).expect("room");
        let said = bench.ended(0, &["--start", START], &[&file]);
        assert!(said.contains("1 file in 1 clip"), "{said}");
        // Chromium has start codes in Matroska, too.
        let wanted = if name.ends_with(".mp4") { file } else { as_mp4(&bench, &file) };
        let pictures = packets(&wanted, "v");
        assert!(pictures.len() > 30, "{name}: {} pictures", pictures.len());
        assert_same(name, &bench.packets("v"), &pictures);
        bench.emptied();
    }
}

#[test]
fn of_damaged_packets_the_rest_is_taken_and_told() {
    let bench = Bench::new("64M");
    let file = bench.source("whole.ts", 8, "-an -g 25 -bf 0");
    let bytes = fs::read(&file).expect("a file");
    let wanted = packets(&as_mp4(&bench, &file), "v");
    // Bytes that are no packets, a packet that is missing, and one that comes twice.
    let third = bytes.len() / PACKET_BYTES / 3;
    let packet = |number: usize| &bytes[number * PACKET_BYTES..(number + 1) * PACKET_BYTES];
    // Amid a picture.
    let is_of_pictures =
        |number: &usize| (*number..*number + 2).all(|at| packet(at)[1..3] == [1, 0]);
    let missing = (third..).find(is_of_pictures).expect("a packet of pictures");
    let twice = (2 * third..).find(is_of_pictures).expect("a packet of pictures");
    let mut damaged = vec![7; 33];
    for number in 0..bytes.len() / PACKET_BYTES {
        match number {
            number if number == missing => {}
            number if number == twice => damaged.extend([packet(number), packet(number)].concat()),
            number => damaged.extend(packet(number)),
        }
    }
    damaged.extend(&packet(missing)[..100]);
    let path = bench.path("damaged.ts");
    fs::write(&path, damaged).expect("a file");
    let said = bench.ended(LEFT_OUT, &["--start", START], &[&path]);
    assert!(said.contains("packets are missing of 2 of its samples"), "{said}");
    assert!(said.contains("33 bytes are of no packet"), "{said}");
    let found = bench.packets("v");
    let (found, wanted) = (digests(&found), digests(&wanted));
    let torn = wanted.iter().zip(&found).position(|(wanted, found)| wanted != found);
    let torn = torn.expect("one is missing");
    assert_eq!(found[torn..], wanted[torn + 1..wanted.len() - 1], "and the last one");
    bench.emptied();

    // A part of it, from anywhere to anywhere.
    let part = bench.path("part.ts");
    fs::write(&part, &bytes[bytes.len() / 5 + 50..bytes.len() * 4 / 5 + 11]).expect("a file");
    bench.ended(LEFT_OUT, &["--start", START], &[&part]);
    let found = bench.packets("v");
    assert!(found.len() > 90 && found[0].is_key, "{}", found.len());
    let all = digests(&found);
    assert!(wanted.windows(all.len()).any(|part| part == all), "other pictures");
}

#[test]
fn why_sound_of_packets_is_left_out_is_told_truly() {
    let bench = Bench::new("64M");
    let file = bench.source("whole.ts", 3, "");
    bench.ended(0, &["--start", START], &[&file]);
    let wanted = bench.packets("a");
    bench.emptied();
    // Of a frame behind a header of ADTS, that it holds two packets.
    let mut bytes = fs::read(&file).expect("a file");
    let header = |at: &usize| {
        let begins = bytes[*at..].starts_with(&[0xff, 0xf1]) && bytes[*at + 6] == 0xfc;
        begins && *at % PACKET_BYTES < PACKET_BYTES - 7 && bytes[*at + 2] & 0xc0 == 0x40
    };
    let header = (bytes.len() / 2..bytes.len() - 7).find(header).expect("a header");
    bytes[header + 6] |= 1;
    let path = bench.path("several.ts");
    fs::write(&path, &bytes).expect("a file");
    let said = bench.ended(LEFT_OUT, &["--start", START], &[&path]);
    assert!(said.contains("sound: 1 frames hold several packets of AAC each"), "{said}");
    let found = bench.packets("a");
    let found = digests(&found);
    let gone = wanted.iter().filter(|packet| !found.contains(&packet.digest.as_str())).count();
    // It takes the time of two: one behind it may have none left.
    assert!((1..=2).contains(&gone), "{gone}: {said}");
    bench.emptied();

    let hidden = bench.source("hidden.m2ts", 2, "-mpegts_m2ts_mode 1");
    let said = bench.ended(0, &["--start", START], &[&hidden]);
    let told = "is left out: AAC that the table of streams calls private data";
    assert!(said.contains(told) && said.contains("50 frames"), "{said}");
}

#[test]
fn one_damaged_packet_moves_no_other_picture() {
    let bench = Bench::new("64M");
    let file = bench.source("whole.ts", 8, "-an -g 25 -bf 0");
    let bytes = fs::read(&file).expect("a file");
    // Behind the header of a packet, and fields that may follow: a start code, and a time stamp.
    let stamp = |packet: &[u8]| {
        let begins = packet.windows(4).position(|window| window == [0, 0, 1, 0xe0])?;
        (packet[1] & 0x40 != 0).then_some(begins + 9)
    };
    let starts = (0..bytes.len() / PACKET_BYTES).map(|number| number * PACKET_BYTES);
    let starts: Vec<usize> =
        starts.filter_map(|at| Some(at + stamp(&bytes[at..at + PACKET_BYTES])?)).collect();
    let mut damaged = bytes.clone();
    damaged[starts[50]] ^= 4;
    let path = bench.path("stamp.ts");
    fs::write(&path, &damaged).expect("a file");
    bench.ended(0, &["--start", START], &[&path]);
    let times: BTreeSet<i64> =
        bench.packets("v").iter().map(|it| (it.at * 25.0).round() as i64).collect();
    assert_eq!(times, (0..200).collect());
    bench.emptied();

    // As many packets as a counter counts.
    let at = bytes.len() / PACKET_BYTES / 2 * PACKET_BYTES;
    let mut damaged = bytes;
    damaged[at..at + 16 * PACKET_BYTES].fill(0);
    let path = bench.path("sixteen.ts");
    fs::write(&path, damaged).expect("a file");
    let said = bench.ended(LEFT_OUT, &["--start", START], &[&path]);
    assert!(said.contains("packets are missing of 1 of its samples"), "{said}");
}

#[test]
fn times_that_run_over_or_begin_anew_go_on() {
    let bench = Bench::new("64M");
    let file = bench.source("whole.ts", 4, "");
    let bytes = fs::read(&file).expect("a file");
    let twice = bench.path("twice.ts");
    fs::write(&twice, [&bytes[..], &bytes].concat()).expect("a file");
    let said = bench.ended(0, &["--start", START], &[&twice]);
    assert!(said.contains("its times begin anew at sample 101"), "{said}");
    let found = bench.packets("v");
    let times: BTreeSet<i64> = found.iter().map(|it| (it.at * 25.0).round() as i64).collect();
    assert_eq!(times, (0..200).collect());
    let sound = bench.packets("a").len();
    assert!(sound > 330, "{sound} packets of sound in 8 s");
    let clipped = cut(&bench, &file, "none.ts", 100);
    let said = bench.import(&["--start", START], &[&clipped]);
    let wrong = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(wrong.contains("none.ts: neither mp4, nor Matroska, nor MPEG-TS"), "{wrong}");
}

#[test]
fn of_matroska_that_is_cut_off_damaged_or_joined_the_rest_is_taken_and_told() {
    let bench = Bench::new("64M");
    let words = "-an -g 25 -bf 0 -cluster_time_limit 500";
    let file = bench.source("whole.mkv", 8, words);
    let (bytes, wanted) = (fs::read(&file).expect("a file"), packets(&file, "v"));
    let wanted = digests(&wanted);

    let part = cut(&bench, &file, "part.mkv", bytes.len() * 6 / 10);
    let said = bench.ended(LEFT_OUT, &["--start", START], &[&part]);
    assert!(said.contains("the file ends within the block at byte"), "{said}");
    let found = bench.packets("v");
    let count = digests(&found).len();
    assert!((100..190).contains(&count) && digests(&found) == wanted[..count], "{count}");
    bench.emptied();

    // What a disk has lost: a hole.
    let mut holed = bytes.clone();
    holed[bytes.len() / 2..bytes.len() / 2 + 5000].fill(0);
    let path = bench.path("holed.mkv");
    fs::write(&path, holed).expect("a file");
    let said = bench.ended(LEFT_OUT, &["--start", START], &[&path]);
    assert!(said.contains("are damaged: what was in them is left out"), "{said}");
    let found = bench.packets("v");
    let left = digests(&found);
    let known = left.iter().filter(|digest| wanted.contains(digest)).count();
    assert!(left.len() > 150 && known + 2 > left.len(), "{known} of {}: {said}", left.len());
    assert_eq!(left.last(), wanted.last());
    bench.emptied();

    // One bit of the name of a block, whose length has two bytes.
    let is_block = |it: &[u8]| it[0] == 0xa3 && it[1] >> 6 == 1 && it[3] == 0x81 && it[6] == 0;
    let block = bytes.windows(7).position(is_block).expect("a block");
    let mut flipped = bytes.clone();
    flipped[block] ^= 1;
    let path = bench.path("flipped.mkv");
    fs::write(&path, flipped).expect("a file");
    let said = bench.ended(LEFT_OUT, &["--start", START], &[&path]);
    assert!(said.contains("damaged"), "{said}");
    bench.emptied();

    let twice = bench.path("twice.mkv");
    fs::write(&twice, [&bytes[..], &bytes].concat()).expect("a file");
    let said = bench.ended(0, &["--start", START], &[&twice]);
    assert!(said.contains("its times begin anew at sample 201"), "{said}");
    let found = bench.packets("v");
    let times: BTreeSet<i64> = found.iter().map(|it| (it.at * 25.0).round() as i64).collect();
    assert_eq!(times, (0..400).collect());
    bench.emptied();

    // A recorder that is killed.
    let killed = bench.killed("killed.mkv", "-tune zerolatency -cluster_time_limit 500");
    bench.import(&["--start", START], &[&killed]);
    assert!(bench.packets("v").len() >= 50, "two seconds of it are there");
}

/// Cuts footage into parts of two seconds, named by number.
fn parts(bench: &Bench, whole: &Path, folder: &str, more: &[&str]) -> Vec<PathBuf> {
    let folder = bench.path(folder);
    fs::create_dir(&folder).expect("a folder");
    let name = folder.join("%d.mp4");
    let words = ["-v", "error", "-y", "-i", text(whole), "-c", "copy", "-f", "segment"];
    let more = [&["-segment_time", "2", "-reset_timestamps", "1"], more, &[text(&name)]].concat();
    run_tool("ffmpeg", &[&words[..], &more].concat());
    (0..4).map(|number| folder.join(format!("{number}.mp4"))).collect()
}

/// Puts files where another recorder would have them.
fn put(bench: &Bench, parts: &[PathBuf], names: &[&str]) {
    for (part, name) in parts.iter().zip(names) {
        let path = bench.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::copy(part, path).expect("a copy");
    }
}

#[test]
fn folders_of_other_recorders_are_imported_once() {
    let mut bench = Bench::new("64M");
    bench.site.add_camera("front", "rtsp://127.0.0.1:1/", "");
    let whole = bench.source("whole.mp4", 8, "-bf 0");
    let plain = parts(&bench, &whole, "plain", &[]);
    // Frigate: a folder for each hour, in UTC, and whole seconds.
    let names = ["00.00", "00.02", "00.04", "00.06"];
    for camera in ["yard", "front"] {
        let names: Vec<String> =
            names.iter().map(|name| format!("frigate/2026-03-01/12/{camera}/{name}.mp4")).collect();
        put(&bench, &plain, &names.iter().map(String::as_str).collect::<Vec<_>>());
    }
    fs::write(bench.path("frigate/2026-03-01/12/yard/.00.08.mp4.tmp"), "x").expect("a file");
    let broken = bench.path("frigate/2026-03-01/12/yard/00.08.mp4");
    fs::write(&broken, "not finished").expect("a file");
    let large = bench.path("frigate/2026-03-01/12/yard/00.10.mp4");
    let noise = ["-v", "error", "-f", "rawvideo", "-s", "1600x1200", "-pix_fmt", "yuvj420p"];
    let noise = [&noise[..], &["-i", "/dev/urandom", "-frames:v", "1", "-c:v", "mjpeg"]].concat();
    run_tool("ffmpeg", &[&noise[..], &["-q:v", "1", text(&large)]].concat());
    let import = |pattern: &str, more: &[&str]| by_names(&bench, pattern, more, "frigate");
    let pattern = "%Y-%m-%d/%H/{camera}/%M.%S.mp4";
    let (status, said) = import(pattern, &["--name-zone", "UTC"]);
    assert_eq!(status, Some(LEFT_OUT), "{said}");
    assert!(said.contains("00.08.mp4: neither mp4, nor Matroska") && said.contains("left out"));
    assert!(said.contains("1 file not named like the pattern, as "), "{said}");
    assert!(said.contains("00.00.mp4: yard from 2026-03-01T12:00:00.000000000Z (its name)"));
    let frame = said.lines().find(|line| line.contains("00.10.mp4")).unwrap_or_default();
    assert!(frame.contains("does not fit a block of the ring") && frame.ends_with(": left out"));
    assert!(said.contains("something of 2 files is left out"), "{said}");
    let clips = bench.clips();
    let of = |camera: &str| {
        let own = clips.iter().filter(|clip| clip["camera"] == camera);
        own.map(|clip| clip["frames"].as_u64().expect("a number")).sum::<u64>()
    };
    assert_eq!((of("yard"), of("front"), clips.len()), (200, 200, 2), "one session each");
    [broken, large].iter().for_each(|file| fs::remove_file(file).expect("it is gone"));
    let (status, said) = import(pattern, &["--name-zone", "UTC"]);
    assert_eq!((status, said.matches("imported before").count()), (Some(0), 8), "{said}");
    assert_eq!(bench.clips(), clips);
    // Only one camera of it, an hour later by another zone.
    let (status, said) = import(pattern, &["--name-zone", "-1", "--plan"]);
    assert_eq!(status, Some(2), "{said}");
    let more = ["--name-zone", "Atlantic/Azores", "--camera", "yard", "--plan"];
    let (status, said) = import(pattern, &more);
    assert!(said.contains("yard from 2026-03-01T13:00:00") && !said.contains("front"), "{said}");
    assert_eq!(status, Some(0));
}

#[test]
fn folders_of_fragments_are_imported_once() {
    let bench = Bench::new("64M");
    let whole = bench.source("whole.mp4", 8, "-bf 0");
    let import = |pattern: &str, more: &[&str]| by_names(&bench, pattern, more, "mediamtx");
    // MediaMTX: a folder for each camera, and microseconds.
    let fragments = parts(
        &bench,
        &whole,
        "fragments",
        &["-segment_format_options", "movflags=frag_keyframe+empty_moov"],
    );
    let names = ["00-000125", "02-000125", "04-000125", "06-000125"];
    let names = names.map(|name| format!("mediamtx/yard/2026-03-01_12-00-{name}.mp4"));
    put(&bench, &fragments, &names.each_ref().map(String::as_str));
    let pattern = "{camera}/%Y-%m-%d_%H-%M-%S-%f.mp4";
    for again in [false, true] {
        let (status, said) = import(pattern, &["--name-zone", "UTC"]);
        assert_eq!(
            (status, said.matches("imported before").count()),
            (Some(0), if again { 4 } else { 0 })
        );
        assert_eq!(bench.packets("v").len(), 200, "{said}");
    }
    bench.emptied();
    // The same as MPEG-TS.
    let folder = bench.path("ts");
    fs::create_dir(&folder).expect("a folder");
    let name = folder.join("%d.ts");
    let words = ["-v", "error", "-i", text(&whole), "-c", "copy", "-f", "segment"];
    let more = ["-segment_time", "2", "-reset_timestamps", "1", text(&name)];
    run_tool("ffmpeg", &[&words[..], &more].concat());
    let parts: Vec<PathBuf> = (0..4).map(|it| folder.join(format!("{it}.ts"))).collect();
    let names = names.each_ref().map(|name| name.replace(".mp4", ".ts"));
    put(&bench, &parts, &names.each_ref().map(String::as_str));
    let (status, said) = import(&pattern.replace(".mp4", ".ts"), &["--name-zone", "UTC"]);
    assert!(status == Some(0) && said.contains("4 files in 1 clip"), "{said}");
    assert!(said.contains("4 files not named like the pattern"), "{said}");
    let slots = bench.packets("v").iter().map(|it| (it.at * 25.0).round() as i64).collect();
    assert_eq!(BTreeSet::from_iter(0..200), slots, "{said}");
    let (status, said) = import("{camera}/%q.mp4", &[]);
    assert!(status == Some(2) && said.contains("--name-pattern: %q is no field of it"), "{said}");
    let (status, said) = import("%s.mp4", &[]);
    assert!(status == Some(2) && said.contains("no file to import"), "{said}");
    let output = bench.import(&["--start", START], &[&bench.path("mediamtx")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("is a folder: --name-pattern says what its files are"), "{said}");
}
