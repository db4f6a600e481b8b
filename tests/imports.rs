//! Files that others wrote, imported: what comes back is what was in them, and what is missing is
//! said.

#[path = "support/clips.rs"]
mod clips;
#[path = "support/copies.rs"]
mod copies;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/imported.rs"]
mod imported;
#[path = "support/tables.rs"]
mod tables;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use daemon::{run_tool, text};
use imported::{
    Bench, LEFT_OUT, Packet, START, assert_same, assert_same_sound, cut, packets, string,
};
use serde_json::Value;
use tables::{Row, box_at, rows, samples_at, with_rows};

/// Whoever owns nothing.
const NOBODY: u32 = 65_534;

/// How a file is written: a name, and what ffmpeg is told.
const WRITTEN: [(&str, &str); 32] = [
    ("plain.mp4", ""),
    ("reordered.mp4", "-bf 3 -b_strategy 0"),
    ("pyramid.mp4", "-bf 4 -b_strategy 0 -x264-params b-pyramid=normal"),
    ("front.mp4", "-movflags +faststart"),
    ("fragments.mp4", "-bf 2 -movflags frag_keyframe+empty_moov"),
    ("of_moof.mp4", "-bf 2 -movflags frag_keyframe+empty_moov+default_base_moof"),
    ("no_offset.mp4", "-movflags frag_keyframe+empty_moov+omit_tfhd_offset"),
    ("delayed.mp4", "-bf 2 -movflags frag_keyframe+delay_moov"),
    ("negative.mp4", "-bf 2 -movflags frag_keyframe+empty_moov+negative_cts_offsets"),
    ("separate.mp4", "-movflags frag_keyframe+empty_moov+separate_moof"),
    ("by_time.mp4", "-movflags empty_moov -frag_duration 700000"),
    ("each.mp4", "-an -movflags frag_every_frame+empty_moov"),
    ("cmaf.mp4", "-bf 2 -movflags cmaf+frag_keyframe+empty_moov"),
    ("dash.mp4", "-movflags dash+frag_keyframe+empty_moov+global_sidx"),
    ("smooth.ismv", "-movflags frag_keyframe+empty_moov+isml"),
    ("quicktime.mov", "-bf 2"),
    ("apple.m4v", "-bf 2 -f ipod"),
    ("coarse.mp4", "-bf 2 -video_track_timescale 25"),
    ("millis.mp4", "-bf 2 -video_track_timescale 1000"),
    ("fine.mp4", "-bf 2 -video_track_timescale 10000000"),
    ("slices.mp4", "-x264-params slices=4"),
    ("fields.mp4", "-flags +ildct+ilme -bf 2"),
    ("refresh.mp4", "-x264-params intra-refresh=1"),
    ("open.mp4", "-bf 2 -x264-params open-gop=1"),
    ("h265.mp4", "-c:v libx265 -x265-params log-level=none -tag:v hvc1"),
    ("in_band.mp4", "-c:v libx265 -x265-params log-level=none:keyint=50 -tag:v hev1"),
    ("pictures.mov", "-c:v mjpeg -pix_fmt yuvj420p"),
    ("opus.mp4", "-c:a libopus -ar 48000"),
    ("flac.mp4", "-c:a flac -ar 48000 -strict -2"),
    ("stereo.mp4", "-c:a aac -ac 2 -ar 96000 -strict -2"),
    ("stereo.mov", "-c:a aac -ac 2 -ar 96000 -bf 2"),
    ("no_sound.mp4", "-an"),
];

/// The same of GStreamer: what stands between a parser of H.264 and the file.
const MUXED: [(&str, &str); 5] = [
    ("gst.mp4", "mp4mux"),
    ("gst.mov", "qtmux"),
    ("gst_front.mp4", "mp4mux faststart=true"),
    ("gst_fragments.mp4", "mp4mux fragment-duration=1000 streamable=true"),
    ("gst_in_band.mp4", "video/x-h264,stream-format=avc3,alignment=au ! mp4mux"),
];

#[test]
fn files_of_many_programs_come_in_bit_by_bit() {
    let bench = Bench::new("64M");
    let mut files: Vec<PathBuf> =
        WRITTEN.iter().map(|(name, words)| bench.source(name, 3, words)).collect();
    for (name, muxer) in MUXED {
        files.push(bench.launched(name, muxer));
    }
    for file in &files {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let said = bench.ended(0, &["--start", START], &[file]);
        assert!(said.contains("1 file in 1 clip"), "{said}");
        assert_same(&name, &bench.packets("v"), &packets(file, "v"));
        assert_same_sound(&name, &bench.packets("a"), &packets(file, "a"));
        // It is known again.
        let said = bench.ended(0, &["--start", START], &[file]);
        assert!(said.contains("imported before"), "{name}: {said}");
        bench.emptied();
    }
}

/// What `scripts/servers` installs.
const SERVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/servers");

#[test]
fn files_of_libraries_for_browsers_and_of_ffmpeg_8_come_in_bit_by_bit() {
    let bench = Bench::new("64M");
    let source = bench.source("source.mp4", 8, "-bf 2");
    let folder = bench.path("written");
    fs::create_dir(&folder).expect("a folder");
    let package = format!("{SERVERS}/node/package.json");
    let written = ["tests/support/written.mjs", text(&source), text(&folder), &package];
    run_tool("node", &written);
    let python = format!("{SERVERS}/python/bin/python");
    let by_ffmpeg = |name: &str, flags: &str, killed_behind: &[&str]| {
        let file = folder.join(name);
        let words = ["tests/support/written.py", text(&source), text(&file), flags];
        let output = daemon::try_tool(&python, &[&words[..], killed_behind].concat());
        let expected = if killed_behind.is_empty() { 0 } else { 9 };
        assert_eq!(output.status.code(), Some(expected), "{name}: {output:?}");
    };
    by_ffmpeg("hybrid.mp4", "hybrid_fragmented", &[]);
    by_ffmpeg("hybrid-groups.mp4", "frag_keyframe+hybrid_fragmented", &[]);
    let files: Vec<PathBuf> =
        fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
    assert_eq!(files.len(), 8);
    let pictures = packets(&source, "v");
    for file in &files {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let said = bench.ended(0, &["--start", START], &[file]);
        assert!(said.contains("1 file in 1 clip"), "{said}");
        assert_same(&name, &bench.packets("v"), &pictures);
        let with_sound = name.starts_with("hybrid");
        assert_eq!(bench.packets("a").is_empty(), !with_sound, "{name}");
        bench.emptied();
    }
    // What one that was killed leaves has no index.
    by_ffmpeg("left.mp4", "frag_keyframe+hybrid_fragmented", &["300"]);
    let said = bench.ended(0, &["--start", START], &[&folder.join("left.mp4")]);
    let found = bench.packets("v");
    assert!(found.len() >= 50 && found.len() < pictures.len(), "{} of it: {said}", found.len());
    assert_same("left.mp4", &found, &pictures[..found.len()]);
}

/// The file with its sample entry twice, of which the second one counts.
fn with_two_entries(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let index = box_at(&bytes, b"moov");
    let within = |bytes: &[u8], kind: &[u8; 4]| index + box_at(&bytes[index..], kind);
    let number =
        |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
    let chunks = within(&bytes, b"stsc");
    for run in 0..number(&bytes, chunks + 12) as usize {
        let at = chunks + 16 + 12 * run + 8;
        bytes[at..at + 4].copy_from_slice(&2_u32.to_be_bytes());
    }
    let (list, entry) = (within(&bytes, b"stsd"), within(&bytes, b"avc1"));
    let length = number(&bytes, entry);
    bytes[list + 12..list + 16].copy_from_slice(&2_u32.to_be_bytes());
    let copy = bytes[entry..entry + length as usize].to_vec();
    for parent in [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"] {
        let at = within(&bytes, parent);
        let longer = number(&bytes, at) + length;
        bytes[at..at + 4].copy_from_slice(&longer.to_be_bytes());
    }
    bytes.splice(entry..entry, copy);
    bytes
}

/// Those packets of a kind of a file that lie within so many bytes, and how many there are in all.
fn within(file: &Path, kind: &str, bytes: usize) -> (Vec<Packet>, usize) {
    let mut all = packets(file, kind);
    let count = all.len();
    all.retain(|packet| packet.end.expect("a place") <= bytes);
    (all, count)
}

fn digests(packets: &[Packet]) -> Vec<&str> {
    packets.iter().map(|packet| packet.digest.as_str()).collect()
}

/// All that is whole of a file that was cut off behind so many bytes is in the ring.
fn assert_whole(bench: &Bench, name: &str, whole: &Path, bytes: usize) {
    let (wanted, _) = within(whole, "v", bytes);
    let found = bench.packets("v");
    assert_eq!(digests(&found).len(), wanted.len(), "{name}");
    assert!(digests(&found) == digests(&wanted), "{name}: other pictures");
    let (heard, _) = within(whole, "a", bytes);
    let end = wanted.iter().map(|packet| packet.at).fold(0.0, f64::max);
    let heard: Vec<Packet> = heard.into_iter().filter(|packet| packet.at < end).collect();
    assert_same_sound(name, &bench.packets("a"), &heard);
}

#[test]
fn of_a_file_that_was_cut_off_all_is_taken_that_is_whole_and_the_rest_is_told() {
    let bench = Bench::new("64M");
    let front = bench.source("front.mp4", 10, "-bf 2 -movflags +faststart");
    let fragments = bench.source("fragments.mp4", 10, "-bf 2 -movflags frag_keyframe+empty_moov");
    for (name, whole) in [("front", &front), ("fragments", &fragments)] {
        let length = fs::metadata(whole).expect("a file").len() as usize * 6 / 10;
        let part = cut(&bench, whole, &format!("{name}-part.mp4"), length);
        let said = bench.ended(LEFT_OUT, &["--start", START], &[&part]);
        let ((there, count), is_front) = (within(whole, "v", length), name == "front");
        let missing = count - there.len();
        let told = format!("video: {missing} of {count} samples are not in the file, which is cut");
        assert_eq!(said.contains(&told), is_front, "{said}");
        assert!(is_front || said.contains("the file ends within the mdat box at byte"), "{said}");
        assert!(there.len() > 100 && there.len() < 200, "{name}: {}", there.len());
        assert_whole(&bench, name, whole, length);
        bench.emptied();
    }
    let behind = bench.source("behind.mp4", 4, "");
    let index = box_at(&fs::read(&behind).expect("a file"), b"moov");
    let unfinished = cut(&bench, &behind, "unfinished.mp4", index);
    let output = bench.import(&["--start", START], &[&unfinished]);
    assert_eq!(output.status.code(), Some(1));
    assert!(string(&output.stderr).contains("no moov box: the recording was not finished"));
}

#[test]
fn of_what_a_writer_left_that_was_killed_all_is_taken_that_is_whole() {
    let bench = Bench::new("64M");
    let gst = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1 ! \
               x264enc key-int-max=12 tune=zerolatency ! h264parse ! mp4mux \
               fragment-duration=500 ! filesink location=";
    let other = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let path = bench.path("gst.mp4");
            let line = format!("{gst}{}", text(&path));
            let words = line.split_whitespace();
            bench.killed_program(Command::new("gst-launch-1.0").arg("-q").args(words));
            path
        });
        let own = bench.killed("killed.mp4", "-movflags frag_keyframe+empty_moov");
        [own, other.join().expect("it is killed")]
    });
    for killed in &other {
        let name = text(killed);
        let length = fs::metadata(killed).expect("a file").len() as usize;
        let output = bench.import(&["--start", START], &[killed]);
        let said = string(&output.stdout);
        let is_told = said.contains("the file ends within the");
        assert_eq!(output.status.code(), Some(if is_told { LEFT_OUT } else { 0 }), "{said}");
        assert!(bench.packets("v").len() >= 50, "two seconds of it are there: {said}");
        assert_whole(&bench, name, killed, length);
        bench.emptied();
    }
}

#[test]
fn fragments_are_found_where_a_writer_began_anew_or_meant_to_wrap_them() {
    let bench = Bench::new("64M");
    let words = "-an -movflags frag_keyframe+empty_moov+default_base_moof";
    let file = bench.source("fragments.mp4", 4, words);
    let (bytes, wanted) = (fs::read(&file).expect("a file"), packets(&file, "v"));
    let (moov, moof) = (box_at(&bytes, b"moov"), box_at(&bytes, b"moof"));

    let again = bench.path("again.mp4");
    fs::write(&again, [&bytes[..], &bytes[moof..]].concat()).expect("a file");
    let said = bench.ended(0, &["--start", START], &[&again]);
    assert!(said.contains("its times begin anew at sample 101"), "{said}");
    let found = bench.packets("v");
    let times: BTreeSet<i64> = found.iter().map(|it| (it.at * 25.0).round() as i64).collect();
    assert_eq!(times, (0..200).collect(), "one behind another");
    bench.emptied();

    // What is to become one box in the end, and was not finished.
    let wrapped = bench.path("wrapped.mp4");
    let wrap = [&1_u32.to_be_bytes()[..], b"mdat", &(1_u64 << 40).to_be_bytes()].concat();
    fs::write(&wrapped, [&bytes[..moov], &wrap, &bytes[moov..]].concat()).expect("a file");
    bench.ended(0, &["--start", START], &[&wrapped]);
    assert_same("wrapped.mp4", &bench.packets("v"), &wanted);
    bench.emptied();
    // And was cut off, too.
    let bytes = fs::read(&wrapped).expect("a file");
    let mdat = bytes.windows(4).rposition(|window| window == b"mdat").expect("a box");
    let last = mdat + (bytes.len() - mdat) / 2;
    fs::write(&wrapped, &bytes[..last]).expect("a file");
    let said = bench.ended(LEFT_OUT, &["--start", START], &[&wrapped]);
    assert!(said.contains("the file ends within the mdat box at byte"), "{said}");
    let there = within(&file, "v", last - wrap.len()).0;
    assert!(digests(&bench.packets("v")) == digests(&there) && there.len() < 100, "{said}");
}

#[test]
fn what_a_recorder_decides_of_a_stream_is_decided_of_a_file() {
    let bench = Bench::new("64M");
    // Of so many seconds those from one to another are missing.
    let lacking = |name: &str, seconds: u32, from: u32, to: u32| {
        let words = format!(
            "-f lavfi -i testsrc2=size=320x240:rate=25:duration={seconds} -vf \
             select=lt(t\\,{from})+gte(t\\,{to}) -fps_mode passthrough -c:v libx264 -g 25 \
             -pix_fmt yuv420p"
        );
        bench.make(name, &words)
    };
    let gap = lacking("gap.mp4", 26, 3, 23);
    let said = bench.ended(0, &["--start", START], &[&gap]);
    assert!(said.contains("1 file in 2 clips"), "{said}");
    let spans = bench.spans();
    assert!((spans[0].1 - 3.0).abs() < 0.1 && (spans[1].0 - 23.0).abs() < 0.01, "{spans:?}");
    bench.emptied();
    // For four seconds nothing comes, which a clip lasts through.
    let pause = lacking("pause.mp4", 9, 2, 6);
    let said = bench.ended(0, &["--start", START], &[&pause]);
    assert!(said.contains("1 file in 1 clip"), "{said}");
    assert_same("pause.mp4", &bench.packets("v"), &packets(&pause, "v"));
    bench.emptied();

    let (small, large) =
        (bench.source("a.mp4", 4, "-an"), bench.source("b.mp4", 4, "-an -s 640x480"));
    let list = bench.path("list");
    fs::write(&list, format!("file {small:?}\nfile {large:?}\n").replace('"', "'"))
        .expect("a list");
    let both = bench.make("both.mp4", &format!("-f concat -safe 0 -i {} -c copy", text(&list)));
    bench.ended(0, &["--start", START], &[&both]);
    let sizes: Vec<Value> =
        bench.clips().into_iter().map(|clip| clip["end_reason"].clone()).collect();
    assert_eq!(sizes, ["parameters changed", "stopped"], "{:?}", bench.clips());
    assert_eq!(bench.packets("v").len(), 200);
    bench.emptied();

    // Open groups: a clip goes on to where none of their pictures is lost.
    for (name, words) in [
        ("open264.mp4", "-bf 2 -x264-params open-gop=1:keyint=25"),
        (
            "open265.mp4",
            "-c:v libx265 -x265-params log-level=none:keyint=25:open-gop=1 -tag:v hvc1",
        ),
    ] {
        let file = bench.source(name, 15, &format!("-an {words}"));
        bench.ended(0, &["--start", START], &[&file]);
        assert_same(name, &bench.packets("v"), &packets(&file, "v"));
        bench.emptied();
    }
}

#[test]
fn times_are_those_of_the_first_picture_and_what_says_them_is_told() {
    let bench = Bench::new("64M");
    let whole = bench.source("whole.mp4", 20, "-bf 2");
    let made = "-metadata creation_time=2026-03-01T12:00:00Z";
    let parts = bench.path("part-%d.mp4");
    let words = format!(
        "-v error -y -i {} -c copy {made} -f segment -segment_time 2 {}",
        text(&whole),
        text(&parts)
    );
    run_tool("ffmpeg", &words.split_whitespace().collect::<Vec<_>>());
    let parts: Vec<PathBuf> = (0..10).map(|part| bench.path(&format!("part-{part}.mp4"))).collect();
    let mut shell: Vec<&Path> = parts.iter().map(PathBuf::as_path).collect();
    shell.swap(1, 8);
    // One behind another, by creation times that are all the same, and by the first of all.
    for words in [&["--start", START][..], &[]] {
        let said = bench.ended(0, words, &shell);
        assert!(said.contains("the files are taken in the order of their"), "{said}");
        assert!(said.contains("10 files in 2 clips"), "{said}");
        let (found, wanted) = (bench.packets("v"), packets(&whole, "v"));
        assert_same("parts", &found, &wanted);
        let end = bench.spans().last().expect("clips").1;
        // The first part has its first picture two pictures behind its own zero.
        assert!((end - 20.0).abs() < 0.1, "{end}");
        bench.emptied();
    }
    let said = bench.ended(0, &[], &[&parts[3]]);
    assert!(said.contains("12:00:06.0") && said.contains("(its creation time; --start"), "{said}");
    bench.emptied();

    // Times since 1970.
    let epoch = bench.make(
        "epoch.mp4",
        &format!(
            "-i {} -c copy -output_ts_offset 1772366430 -avoid_negative_ts disabled",
            text(&whole)
        ),
    );
    let said = bench.ended(0, &["--start", START], &[&epoch]);
    assert!(said.contains("its own times are seconds since 1970; --start file takes"), "{said}");
    assert!(bench.spans()[0].0.abs() < 0.001, "{:?}", bench.spans());
    bench.emptied();
    bench.ended(0, &["--start", "file"], &[&epoch]);
    assert!((bench.spans()[0].0 - 30.0).abs() < 0.001, "{:?}", bench.spans());
    bench.emptied();

    let output = bench.import(&["--start", "file"], &[&whole]);
    assert!(string(&output.stderr).contains("are not seconds since 1970"), "{output:?}");
    let late = bench.make(
        "late.mp4",
        &format!("-i {} -c copy -metadata creation_time=2039-01-01T00:00:00Z", text(&whole)),
    );
    let output = bench.import(&[], &[&late]);
    assert!(string(&output.stderr).contains("is in the future (its creation time"), "{output:?}");
    assert!(bench.clips().is_empty());
    let said = bench.ended(0, &["--force"], &[&late]);
    assert!(said.contains("yard from 2039-01-01T00:00:00.0"), "{said}");
    assert_eq!(bench.packets("v").len(), 500);
}

/// Puts a box into another one, behind what is in it, and makes all that hold it longer. Boxes that
/// samples lie in have to be in front of it.
fn with_box(mut bytes: Vec<u8>, path: &[&[u8; 4]], body: &[u8]) -> Vec<u8> {
    let (mut from, mut to) = (0, bytes.len());
    let mut sizes = Vec::new();
    for kind in path {
        while &bytes[from + 4..from + 8] != *kind {
            from += u32::from_be_bytes(bytes[from..from + 4].try_into().expect("four")) as usize;
            assert!(from + 8 <= to, "no {kind:?}");
        }
        sizes.push(from);
        to = from + u32::from_be_bytes(bytes[from..from + 4].try_into().expect("four")) as usize;
        from += 8;
    }
    for at in sizes {
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
        let size = size + body.len() as u32;
        bytes[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    bytes.splice(to..to, body.iter().copied());
    bytes
}

#[test]
fn what_nobody_needs_does_not_keep_a_file_out() {
    let bench = Bench::new("64M");
    let plain = bench.source("plain.mp4", 4, "-bf 2 -an");
    let bytes = fs::read(&plain).expect("a file");
    let wanted = packets(&plain, "v");
    let write = |name: &str, bytes: &[u8]| {
        let path = bench.path(name);
        fs::write(&path, bytes).expect("a file");
        path
    };
    // Types of boxes are brands of the file, too.
    let index = box_at(&bytes, b"moov");
    let renamed = |behind: usize, from: &[u8; 4], to: &[u8; 4]| {
        let mut bytes = bytes.clone();
        let at = behind + box_at(&bytes[behind..], from) + 4;
        bytes[at..at + 4].copy_from_slice(to);
        bytes
    };
    let quiet = bench.make(
        "quiet.mp4",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=3 -f lavfi -i anullsrc=r=48000 -t 3 \
         -c:v libx264 -g 50 -pix_fmt yuv420p -c:a libopus -b:a 6k",
    );
    let quiet_bytes = fs::read(&quiet).expect("a file");
    let files = [
        write("stray.mp4", &[&bytes[..], b"stray"].concat()),
        write("zeros.mov", &with_box(bytes.clone(), &[b"moov", b"udta"], &[0; 4])),
        write("no_type.mov", &renamed(0, b"ftyp", b"free")),
        write("avc3.mp4", &renamed(index, b"avc1", b"avc3")),
        write("odd_box.mp4", &with_box(bytes.clone(), &[b"moov", b"trak"], b"\0\0\0\x0codd!odd!")),
        write("stz2.mp4", &tables::with_short_sizes(&bytes, 16)),
        write("entries.mp4", &with_two_entries(&bytes)),
    ];
    for file in &files {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        bench.ended(0, &["--start", START], &[file]);
        assert_same(&name, &bench.packets("v"), &wanted);
        bench.emptied();
    }

    for width in [4, 8] {
        let name = format!("stz2_{width}.mp4");
        let file = write(&name, &tables::with_short_sizes(&quiet_bytes, width));
        bench.ended(0, &["--start", START], &[&file]);
        assert!(bench.packets("a").len() > 140, "{name}");
        assert_same_sound(&name, &bench.packets("a"), &packets(&quiet, "a"));
        bench.emptied();
    }

    // A cover first, another video, and sound that is not recorded.
    let cover = bench.make("cover.png", "-f lavfi -i testsrc2=size=320x240 -frames:v 1");
    let covered = bench.make(
        "covered.mp4",
        &format!(
            "-i {} -i {} -f lavfi -i sine=d=4 -map 0:v -map 1:v -map 1:v -map 2:a \
             -c:v copy -c:a libmp3lame",
            text(&cover),
            text(&plain)
        ),
    );
    let said = bench.ended(0, &["--start", START], &[&covered]);
    for what in ["track 1 is left out", "track 3 is left out: another video (H.264)", "MP3 is not"]
    {
        assert!(said.contains(what), "{said}");
    }
    assert_same("covered.mp4", &bench.packets("v"), &wanted);
}

#[test]
fn how_pictures_are_to_be_seen_is_kept_where_the_container_alone_says_it() {
    let bench = Bench::new("64M");
    let source = bench.source("source.mp4", 4, "-an");
    let copied = |name: &str, words: &str| {
        bench.make(name, &format!("-i {} -c copy {words}", text(&source)))
    };
    let turned = copied("turned.mp4", "-metadata:s:v rotate=90");
    let wide = copied("wide.mp4", "-aspect 16:9");
    let colours = "-color_primaries bt709 -color_trc smpte170m -colorspace bt470bg";
    let words = format!("-c:v mjpeg -pix_fmt yuvj420p -movflags write_colr {colours}");
    let coloured = bench.make("coloured.mov", &format!("-i {} {words}", text(&source)));
    // 300 of 320 pixels, from the middle on.
    let numbers = [300_u32, 1, 240, 1, 0, 1, 0, 1];
    let body: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    let bytes = fs::read(&source).expect("a file");
    let cropped = bench.path("cropped.mp4");
    fs::write(&cropped, tables::with_entry_box(&bytes, b"clap", &body)).expect("a file");
    // BT.709, SMPTE 170M and BT.470 BG, of the full range.
    let in_mp4 = bench.path("in_mp4.mp4");
    let colours = b"nclx\x00\x01\x00\x06\x00\x05\x80";
    fs::write(&in_mp4, tables::with_entry_box(&bytes, b"colr", colours)).expect("a file");
    for (file, shown) in [
        (&turned, "stream_side_data=rotation"),
        (&wide, "stream=sample_aspect_ratio,display_aspect_ratio"),
        (&coloured, "stream=color_space,color_transfer,color_primaries"),
        (&in_mp4, "stream=color_range,color_space,color_transfer,color_primaries"),
    ] {
        bench.ended(0, &["--start", START], &[file]);
        let copies = copies::of_ring(&bench.site.ring_path(), &bench.path(""));
        let told = |file: &Path| {
            let words = ["-v", "error", "-select_streams", "v", "-show_entries", shown];
            run_tool("ffprobe", &[&words[..], &["-of", "csv", text(file)]].concat())
        };
        assert_eq!(told(&copies[0]), told(file), "{}", file.display());
        assert!(!told(file).contains("unknown"), "{}: {}", file.display(), told(file));
        bench.emptied();
    }
    assert!(
        run_tool("ffprobe", &["-v", "error", "-show_streams", text(&turned)]).contains("rotation=")
    );
    bench.ended(0, &["--start", START], &[&cropped]);
    let copies = copies::of_ring(&bench.site.ring_path(), &bench.path(""));
    let copy = fs::read(&copies[0]).expect("a copy");
    assert!(copy.windows(32).any(|window| window == body), "what is to be seen of it");
}

#[test]
fn no_forged_number_ends_in_more_than_a_reason() {
    let bench = Bench::new("64M");
    for (name, words) in
        [("table.mp4", "-bf 2"), ("run.mp4", "-bf 2 -movflags frag_keyframe+empty_moov")]
    {
        let file = bench.source(name, 2, words);
        let bytes = fs::read(&file).expect("a file");
        let index = box_at(&bytes, b"moov");
        let end = (index + 2600).min(bytes.len());
        // Here and there: the fuzzer tries all.
        for at in (index..end).step_by(29) {
            let mut forged = bytes.clone();
            forged[at] ^= 0xff;
            let path = bench.path("forged.mp4");
            fs::write(&path, &forged).expect("a file");
            let output = bench.import(&["--plan", "--start", START], &[&path]);
            let said = string(&output.stderr);
            assert!(matches!(output.status.code(), Some(0..=2)), "byte {at}: {said}");
            assert!(!said.contains("panicked"), "byte {at}: {said}");
        }
    }
}

#[test]
fn what_an_edit_leaves_out_is_left_out() {
    let bench = Bench::new("64M");
    let whole = bench.source("whole.mp4", 10, "-bf 2 -an");
    let cut = bench.make("cut.mp4", &format!("-ss 3.2 -i {} -t 4 -c copy", text(&whole)));
    let (shown, all) = (packets(&cut, "v"), packets(&whole, "v"));
    bench.ended(0, &["--start", START], &[&cut]);
    let found = bench.packets("v");
    // What the first picture needs is there, each a tick long; then each where it was.
    let first = found.iter().position(|packet| packet.digest == shown[0].digest).expect("it");
    assert!(found[..first].iter().all(|packet| packet.at.abs() < 0.01), "{:?}", &found[..first]);
    let key =
        all.iter().rposition(|packet| packet.is_key && packet.at <= 3.2).expect("a key frame");
    assert_eq!(found[0].digest, all[key].digest);
    for packet in shown.iter().filter(|packet| packet.at >= 0.0) {
        let at = found.iter().find(|it| it.digest == packet.digest).expect("it is there").at;
        assert!((at - packet.at + shown_first(&shown)).abs() < 0.01, "{at} and {}", packet.at);
    }
    assert_eq!(bench.clips().len(), 1);
    bench.emptied();

    // One that ends early, by ticks of a millisecond.
    let ends = bench.path("ends.mp4");
    let bytes = fs::read(&whole).expect("a file");
    fs::write(&ends, tables::with_edit_of(&bytes, 3210)).expect("a file");
    bench.ended(0, &["--start", START], &[&ends]);
    let last = all.iter().rposition(|packet| packet.at < 3.21).expect("a picture");
    assert!(last < 85, "{last}");
    assert_eq!(digests(&bench.packets("v")), digests(&all[..=last]), "nothing behind its end");
}

fn shown_first(packets: &[Packet]) -> f64 {
    packets.iter().map(|packet| packet.at).filter(|at| *at >= 0.0).fold(f64::MAX, f64::min)
}

/// A file of pictures behind delimiters, without sound, and what its tables say.
fn delimited(bench: &Bench) -> (PathBuf, Vec<u8>, Vec<Row>) {
    let file = bench.source("delimited.mp4", 4, "-an -bf 2 -bsf:v h264_metadata=aud=insert");
    let bytes = fs::read(&file).expect("a file");
    let rows = rows(&bytes);
    (file, bytes, rows)
}

/// What VLC makes of a file.
fn by_vlc(bench: &Bench, file: &Path) -> PathBuf {
    fs::set_permissions(bench.path(""), Permissions::from_mode(0o777)).expect("for all");
    let path = bench.path("vlc.mp4");
    let mut command = Command::new("timeout");
    command.args(["20", "cvlc", "-q", text(file), "--sout"]);
    command.arg(format!("#std{{access=file,mux=mp4,dst={}}}", text(&path))).arg("vlc://quit");
    // It does not want to run as root.
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.env("HOME", bench.path("")).output().expect("timeout");
    assert!(output.status.success() && path.exists(), "this test needs cvlc: {output:?}");
    path
}

/// Each delimiter as a sample of its own, in front of its picture and of the same times.
fn parted(bytes: &[u8], rows: &[Row]) -> Vec<Row> {
    let mut at = samples_at(bytes);
    let mut parted = Vec::new();
    for row in rows {
        let length = 4 + tables::number(bytes, at);
        assert_eq!((length, bytes[at + 4] & 0x1f), (6, 9), "a delimiter");
        at += row.size as usize;
        parted.push(Row { size: length, duration: 0, ..row.clone() });
        parted.push(Row { size: row.size - length, is_key: false, ..row.clone() });
    }
    parted
}

#[test]
fn pictures_of_equal_decode_times_and_those_in_several_samples_all_come_in() {
    let bench = Bench::new("64M");
    let (file, bytes, rows) = delimited(&bench);
    let wanted = packets(&file, "v");
    // Two pictures each are decoded at one time, and shown when they were.
    let mut pairs = rows.clone();
    for pair in pairs.chunks_mut(2) {
        let late = pair[0].duration;
        (pair[0].duration, pair[1].duration) = (0, 2 * late);
        pair[1].composition += late as i32;
    }
    // One is shown when the one behind it is.
    let mut doubled = rows.clone();
    doubled[31].composition = doubled[32].composition + doubled[31].duration as i32;
    let split = parted(&bytes, &rows);
    for (name, rows) in [("pairs", &pairs), ("split", &split), ("doubled", &doubled)] {
        let path = bench.path(&format!("{name}.mp4"));
        fs::write(&path, with_rows(&bytes, rows)).expect("a file");
        let said = bench.ended(0, &["--start", START], &[&path]);
        assert!(!said.contains("left out") && said.contains("100 frames"), "{name}: {said}");
        match name {
            "doubled" => assert_eq!(digests(&bench.packets("v")), digests(&wanted), "{said}"),
            _ => assert_same(name, &bench.packets("v"), &wanted),
        }
        let said = bench.ended(0, &["--start", START], &[&path]);
        assert!(said.contains("imported before"), "{name}: {said}");
        bench.emptied();
    }
    let file = by_vlc(&bench, &file);
    let said = bench.ended(0, &["--start", START], &[&file]);
    assert!(!said.contains("left out"), "{said}");
    // It moves pictures to the first key frame and before it: a clip has them, and does not show
    // them.
    let count = packets(&file, "v").len();
    assert!(count > 90 && bench.frames() == count as u64, "{count}: {said}");
    assert!(bench.packets("v").len() + 3 >= count, "{said}");
}

#[test]
fn why_samples_of_tables_are_left_out_is_told_truly() {
    let bench = Bench::new("64M");
    let (file, bytes, rows) = delimited(&bench);
    let wanted = packets(&file, "v");
    let written = |name: &str, rows: &[Row]| {
        let path = bench.path(name);
        fs::write(&path, with_rows(&bytes, rows)).expect("a file");
        path
    };
    // Without a byte there is nothing to be left out.
    let mut empty = rows.clone();
    empty.extend(rows.iter().take(2).map(|row| Row { size: 0, is_key: false, ..row.clone() }));
    let path = written("empty.mp4", &empty);
    let said = bench.ended(0, &["--start", START], &[&path]);
    assert!(said.contains("video: 2 of its samples are empty, and passed"), "{said}");
    assert!(!said.contains("cut off") && said.contains("100 frames"), "{said}");
    assert_eq!(digests(&bench.packets("v")), digests(&wanted));
    bench.emptied();

    // Of a picture nothing says how it is coded; what lies before the next one is none.
    let mut unknown = parted(&bytes, &rows);
    unknown[120].entry = 7;
    unknown[121].entry = 7;
    let path = written("unknown.mp4", &unknown);
    let said = bench.ended(LEFT_OUT, &["--start", START], &[&path]);
    assert!(said.contains("video: nothing says how 2 of its samples are coded"), "{said}");
    let found = bench.packets("v");
    assert_eq!(digests(&found), digests(&[&wanted[..60], &wanted[61..]].concat()));
    let damaged = bench.clips()[0]["damaged_frames"].as_u64().expect("a number");
    assert_eq!(damaged, 100 - 61, "up to the next key frame: {:?}", bench.clips());
}

#[test]
fn forged_durations_end_in_clips_that_are_no_longer_than_any() {
    let bench = Bench::new("64M");
    let file = bench.source("long.mp4", 4, "-an -bf 2 -g 10");
    let bytes = tables::without_edits(&fs::read(&file).expect("a file"));
    let plain = bench.source("plain.mp4", 2, "-an");
    for (name, seconds) in [("days.mp4", 3900), ("minutes.mp4", 100)] {
        let mut rows = rows(&bytes);
        let ticks = rows[0].duration * 25 * seconds;
        for row in &mut rows {
            row.composition = row.composition / row.duration as i32 * ticks as i32;
            row.duration = ticks;
        }
        let path = bench.path(name);
        fs::write(&path, with_rows(&bytes, &rows)).expect("a file");
        let start = "2020-03-01T12:00:00Z";
        let said = bench.ended(0, &["--start", start], &[&path]);
        assert!(said.contains("100 frames") && !said.contains("left out"), "{name}: {said}");
        assert_eq!(bench.frames(), 100, "{name}");
        // Two hours without a key frame are too many; a picture lasts into the next one.
        let (spans, step) = (bench.spans(), f64::from(seconds));
        for (start, end) in &spans {
            assert!(end - start <= 7200.0 + 2.0 * step, "{name}: {start} to {end}");
        }
        assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{name}: {spans:?}");
        // What comes right behind it is not over it.
        let end = bench.clips().last().expect("a clip")["end"].clone();
        let end = end.as_str().expect("a time").to_owned();
        bench.ended(0, &["--start", &end], &[&plain]);
        assert_eq!(bench.frames(), 150, "{name}");
        bench.emptied();
    }
}

/// When the picture with a digest is shown that is shown nearest to a time.
fn shown_near(found: &[Packet], digest: &str, at: f64) -> f64 {
    let near = found.iter().filter(|packet| packet.digest == digest).map(|packet| packet.at);
    near.min_by(|one, other| (one - at).abs().total_cmp(&(other - at).abs())).expect("it is there")
}

#[test]
fn files_in_a_row_follow_one_another_to_the_millisecond() {
    let bench = Bench::new("64M");
    let whole = bench.source("whole.mp4", 12, "-bf 2 -an");
    let fragments = "movflags=frag_keyframe+empty_moov";
    let words = format!(
        "-v error -y -i {} -c copy -f segment -segment_time 2 -reset_timestamps 1 \
         -segment_format_options {fragments} {}",
        text(&whole),
        text(&bench.path("f%d.mp4"))
    );
    run_tool("ffmpeg", &words.split_whitespace().collect::<Vec<_>>());
    let fragments: Vec<PathBuf> = (0..6).map(|it| bench.path(&format!("f{it}.mp4"))).collect();
    // What begins amid a group has pictures in front that are not shown.
    let pieces: Vec<PathBuf> = (0..4)
        .map(|it| {
            let words = format!("-ss {}.2 -i {} -t 2.7 -c copy", it * 3, text(&whole));
            bench.make(&format!("p{it}.mp4"), &words)
        })
        .collect();
    // Those of splitmuxsink, each of a group.
    let sink = "splitmuxsink max-size-time=2000000000 location=s%d.mp4";
    let parts = bench.launched_parts(sink, 150);
    for (name, files) in [("fragments", &fragments), ("pieces", &pieces), ("parts", &parts)] {
        let given: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let said = bench.ended(0, &["--start", START], &given);
        let found = bench.packets("v");
        let mut expected = 0.0;
        for file in files {
            let shown = packets(file, "v");
            let shown: Vec<&Packet> = shown.iter().filter(|packet| packet.at >= 0.0).collect();
            let at = |packet: &&&Packet| (packet.at * 1e6) as i64;
            let (first, last) = (shown.iter().min_by_key(at), shown.iter().max_by_key(at));
            let (first, last) = (first.expect("a picture"), last.expect("a picture"));
            let begins = shown_near(&found, &first.digest, expected);
            assert!((begins - expected).abs() < 0.001, "{name}: {begins} for {expected}: {said}");
            expected += last.at - first.at + 0.04;
        }
        let end = bench.spans().last().expect("a clip").1;
        assert!((end - expected).abs() < 0.001, "{name}: {end} for {expected}: {said}");
        bench.emptied();
    }
}

#[test]
fn a_copy_of_a_file_is_known_and_not_taken_beside_it() {
    let bench = Bench::new("64M");
    let made = "-an -metadata creation_time=2026-03-01T12:00:00Z";
    let file = bench.source("file.mp4", 2, made);
    let copy = bench.path("copy.mp4");
    fs::copy(&file, &copy).expect("a copy");
    // Both at once would lie over one another.
    let output = bench.import(&[], &[&file, &copy]);
    assert_eq!(output.status.code(), Some(1));
    assert!(string(&output.stderr).contains("overlaps"), "{output:?}");
    assert!(bench.clips().is_empty());
    bench.ended(0, &[], &[&file]);
    let said = bench.ended(0, &[], &[&copy]);
    assert!(said.contains("copy.mp4: imported before"), "{said}");
    assert_eq!(bench.packets("v").len(), 50);
}
