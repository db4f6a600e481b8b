//! The commands, as somebody types them: what they print, what they refuse, how they end.

#[path = "support/copies.rs"]
mod copies;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use reelfs::device::{Access, FileDevice};
use reelfs::ring::read_superblock;
use reelfs::units::PAGE_BYTES;

const FAILED: i32 = 1;
/// Of `status`: no daemon answers.
const NO_ANSWER: i32 = 2;
const WRONG_USAGE: i32 = 2;

/// A folder with a configuration, for one test.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let bench = Bench { folder: tempfile::tempdir().expect("a folder") };
        fs::create_dir(bench.path("mount")).expect("a mount point");
        bench.configure("");
        bench
    }

    /// A bench with a ring of 64 MiB in `ring.img`.
    fn with_ring() -> Bench {
        let bench = Bench::new();
        bench.done("format --size 64M --sparse --label test ring.img");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration, with `more` for the camera.
    fn configure(&self, more: &str) {
        let text = format!(
            "[ring]\ndevice = \"ring.img\"\nindex = \"index\"\n\
             [view]\nmount = \"mount\"\nzone = \"UTC\"\nclip = \"10s\"\n\
             [[camera]]\nname = \"yard\"\nurl = \"rtsp://192.0.2.1/yard\"\n{more}\n"
        );
        fs::write(self.path("reelfs.toml"), text).expect("a configuration");
    }

    fn run(&self, line: &str) -> Output {
        let words = line.split(' ').map(|word| word.replace('_', " "));
        Command::new(env!("CARGO_BIN_EXE_reelfs"))
            .args(words)
            .current_dir(self.folder.path())
            .env("RUST_LOG", "warn")
            .env("TZ", "UTC")
            .output()
            .expect("the program")
    }

    /// What a command prints that succeeds.
    fn done(&self, line: &str) -> String {
        self.ended(0, line)
    }

    /// What a command prints that ends with `status`.
    fn ended(&self, status: i32, line: &str) -> String {
        let output = self.run(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{line}: {said}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What a command says that ends with `status`.
    fn refused(&self, status: i32, line: &str) -> String {
        let output = self.run(line);
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(status), "{line}: {said}");
        assert!(said.contains("reelfs: ") || said.contains("error: "), "{line}: {said}");
        said
    }

    fn json(&self, line: &str) -> serde_json::Value {
        serde_json::from_str(&self.done(&format!("{line} --json"))).expect("JSON")
    }

    /// Makes an mp4 with B-frames and a key frame each two seconds.
    fn footage(&self, name: &str, seconds: u32, more: &[&str]) {
        let source = format!("testsrc2=size=320x240:rate=25:duration={seconds}");
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "lavfi", "-i", &source])
            .args(["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "50"])
            .args(more)
            .arg(self.path(name))
            .output()
            .expect("ffmpeg is needed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The digest of each packet of a file, in decode order.
fn packets(path: &Path) -> Vec<String> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_data_hash", "md5"])
        .args(["-show_entries", "packet=data_hash", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .expect("ffprobe is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn format_prints_what_it_made_and_inspect_agrees() {
    let bench = Bench::new();
    let made = bench.done("format --size 64M --block-size 1M --label front_yard ring.img");
    for line in ["label       front yard", "size        64.0 MiB", "block size  1.00 MiB"] {
        assert!(made.contains(line), "{made}");
    }
    assert_eq!(fs::metadata(bench.path("ring.img")).expect("the file").len(), 64 << 20);
    let ring = bench.json("inspect ring.img ring");
    assert_eq!(ring["label"], "front yard");
    assert!(made.contains(ring["uuid"].as_str().expect("a UUID")), "{made}");
    assert!(made.contains(&format!("blocks      {}\n", ring["blocks"])), "{made}");
    assert_eq!(ring["clean"], true);
}

#[test]
fn a_size_that_does_not_suit_is_refused_and_leaves_no_file() {
    let bench = Bench::new();
    let said = bench.refused(WRONG_USAGE, "format --size 64M --block-size 3M ring.img");
    assert!(said.contains("3145728 is not a power of two"), "{said}");
    let said = bench.refused(WRONG_USAGE, "format --size 8M ring.img");
    assert!(said.contains("too small"), "{said}");
    let said = bench.refused(WRONG_USAGE, "format ring.img");
    assert!(said.contains("--size"), "{said}");
    bench.refused(WRONG_USAGE, "format --size 64X ring.img");
    let long = "x".repeat(65);
    bench.refused(WRONG_USAGE, &format!("format --size 64M --label {long} ring.img"));
    bench.refused(FAILED, "format --size 64M nowhere/ring.img");
    bench.refused(FAILED, "format mount");
    assert!(!bench.path("ring.img").exists());
}

#[test]
fn a_file_is_never_cut_to_another_size() {
    let bench = Bench::new();
    fs::write(bench.path("ring.img"), vec![0; 32 << 20]).expect("a file");
    let said = bench.refused(WRONG_USAGE, "format --size 64M ring.img");
    assert!(said.contains("has 33554432 bytes"), "{said}");
    assert!(bench.done("format ring.img").contains("32.0 MiB"));
    assert_eq!(fs::metadata(bench.path("ring.img")).expect("the file").len(), 32 << 20);
}

#[test]
fn format_says_what_it_found_and_only_force_overwrites_it() {
    let bench = Bench::with_ring();
    let uuid = bench.json("inspect ring.img ring")["uuid"].to_string().replace('"', "");
    let said = bench.refused(FAILED, "format ring.img");
    assert!(said.contains("reelfs ring \"test\"") && said.contains(&uuid), "{said}");
    fs::File::create(bench.path("ext4.img")).and_then(|f| f.set_len(64 << 20)).expect("a file");
    let made = Command::new("mkfs.ext4")
        .args(["-q", "-L", "photos"])
        .arg(bench.path("ext4.img"))
        .status()
        .expect("mkfs.ext4 is needed");
    assert!(made.success());
    let said = bench.refused(FAILED, "format ext4.img");
    assert!(said.contains("ext4") && said.contains("photos"), "{said}");
    bench.done("format --force ext4.img");
    bench.done("format --force ring.img");
    assert_ne!(bench.json("inspect ring.img ring")["uuid"], uuid.as_str());
}

#[test]
fn a_ring_in_use_is_neither_formatted_nor_imported_to() {
    let bench = Bench::with_ring();
    bench.footage("a.mp4", 2, &[]);
    let held = FileDevice::open(&bench.path("ring.img"), Access::Exclusive).expect("the ring");
    let said = bench.refused(FAILED, "format --force ring.img");
    assert!(said.contains("in use"), "{said}");
    let said = bench.refused(FAILED, "import --camera yard --start 2026-11-20 a.mp4");
    assert!(said.contains("stop the daemon first"), "{said}");
    bench.done("inspect ring.img clips");
    bench.ended(NO_ANSWER, "status");
    drop(held);
    bench.done("import --camera yard --start 2026-11-20 a.mp4");
}

#[test]
fn a_plan_says_hours_and_changes_nothing() {
    let bench = Bench::new();
    let plan = bench.done("format --plan --size 2T --camera 4M --camera 500K ring.img");
    assert!(plan.contains("together 4.50 Mbit/s"), "{plan}");
    let hours: f64 = plan
        .lines()
        .find_map(|line| line.strip_prefix("holds")?.trim().split(' ').next()?.parse().ok())
        .expect("hours");
    let most = (2_u64 << 40) as f64 * 8.0 / 4.5e6 / 3600.0;
    assert!(hours > most * 0.98 && hours < most, "{hours} of {most}");
    assert!(!bench.path("ring.img").exists());
    bench.refused(WRONG_USAGE, "format --plan --size 8M --camera 4M ring.img");
}

#[test]
fn every_imported_frame_is_in_clips_that_follow_one_another() {
    let bench = Bench::with_ring();
    bench.footage("a.mp4", 35, &["-metadata", "creation_time=2026-11-20T10:00:03Z"]);
    let said = bench.done("import --camera yard a.mp4");
    assert!(said.contains("875 frames") && said.contains("1 file in 4 clips"), "{said}");
    let clips = bench.json("inspect ring.img clips");
    let clips = clips.as_array().expect("an array");
    assert_eq!(clips[0]["start"], "2026-11-20T10:00:03.000000000Z");
    for pair in clips.windows(2) {
        assert_eq!(pair[0]["end"], pair[1]["start"]);
        assert_eq!(pair[0]["end_reason"], "boundary");
    }
    assert_eq!(clips.last().expect("clips")["end"], "2026-11-20T10:00:38.000000000Z");
    let copies = copies::of_ring(&bench.path("ring.img"), bench.folder.path());
    for (copy, clip) in copies.iter().zip(clips) {
        assert_eq!(clip["mp4_bytes"], fs::metadata(copy).expect("a copy").len());
        assert_eq!(clip["clock"], "given");
    }
    let imported: Vec<_> = copies.iter().flat_map(|copy| packets(copy)).collect();
    assert_eq!(imported, packets(&bench.path("a.mp4")));
}

#[test]
fn several_files_follow_one_another_from_the_given_start() {
    let bench = Bench::with_ring();
    bench.footage("a.mp4", 4, &["-metadata", "creation_time=2026-11-20T10:00:03Z"]);
    bench.footage("b.mp4", 6, &[]);
    let said = bench.done("import --camera yard --start 2026-11-20T09:00:00 b.mp4 a.mp4");
    assert!(
        said.contains("a.mp4: yard from 2026-11-20T09:00:06.000000000Z (right behind"),
        "{said}"
    );
    let clips = bench.json("inspect ring.img clips");
    assert_eq!(clips[0]["start"], "2026-11-20T09:00:00.000000000Z");
    assert_eq!(clips[0]["end"], "2026-11-20T09:00:10.000000000Z");
    assert_eq!(clips.as_array().map(Vec::len), Some(1), "they are one session");
}

#[test]
fn import_refuses_what_can_not_be_meant_before_anything_is_written() {
    let bench = Bench::with_ring();
    bench.footage("a.mp4", 4, &[]);
    bench.footage("b.mp4", 4, &["-metadata", "creation_time=2026-11-20T10:00:00Z"]);
    fs::write(bench.path("text.mp4"), "no film").expect("a file");
    let said = bench.refused(WRONG_USAGE, "import --camera yrad b.mp4");
    assert!(said.contains("it has yard"), "{said}");
    let said = bench.refused(WRONG_USAGE, "import --camera yard b.mp4 a.mp4");
    assert!(said.contains("a.mp4") && said.contains("--start"), "{said}");
    let said = bench.refused(FAILED, "import --camera yard b.mp4 text.mp4");
    assert!(said.contains("text.mp4: neither mp4, nor Matroska, nor MPEG-TS"), "{said}");
    bench.refused(FAILED, "import --camera yard absent.mp4");
    bench.footage("c.mp4", 4, &["-metadata", "creation_time=2026-11-20T10:00:02Z"]);
    let said = bench.refused(FAILED, "import --camera yard b.mp4 c.mp4");
    assert!(said.contains("overlaps b.mp4"), "{said}");
    assert_eq!(bench.json("inspect ring.img clips").as_array().map(Vec::len), Some(0));
    let said = bench.done("import --camera yard b.mp4 b.mp4");
    assert!(said.contains("b.mp4: given twice, and taken once"), "{said}");
    let said = bench.refused(FAILED, "import --camera yard c.mp4");
    assert!(said.contains("overlaps the camera's clip"), "{said}");
    let said = bench.done("import --camera yard b.mp4");
    assert!(said.contains("b.mp4: imported before"), "{said}");
    bench.done("import --camera yard --force c.mp4");
    let clips = bench.json("inspect ring.img clips");
    assert_eq!(clips.as_array().map(Vec::len), Some(2));
}

#[test]
fn footage_older_than_retain_is_refused_or_kept() {
    let bench = Bench::with_ring();
    bench.configure("retain = \"14d\"");
    bench.footage("a.mp4", 2, &[]);
    for words in ["import --camera yard", "import --camera yard --force"] {
        let said = bench.refused(FAILED, &format!("{words} --start 2020-01-01 a.mp4"));
        assert!(said.contains("retain is 14d") && said.contains("--keep 30d"), "{said}");
    }
    bench.done("import --camera yard --keep 30d --start 2020-01-01 a.mp4");
    let clips = bench.json("inspect ring.img clips");
    assert_eq!(clips[0]["state"], "kept", "{clips}");
    let streams = bench.json("inspect ring.img streams");
    assert_eq!(streams[0]["retain_seconds"], 14 * 86_400);
    assert_eq!(streams[0]["oldest"], "2020-01-01T00:00:00.000000000Z");
    // Also what an import before this one had taken.
    bench.footage("b.mp4", 2, &["-qp", "30"]);
    bench.configure("");
    bench.done("import --camera yard --start 2021-01-01 b.mp4");
    bench.configure("retain = \"14d\"");
    bench.done("import --camera yard --keep 30d --start 2021-01-01 b.mp4");
    let clips = bench.json("inspect ring.img clips");
    assert_eq!(clips[1]["state"], "kept", "{clips}");
}

#[test]
fn status_without_a_daemon_comes_from_the_ring() {
    let bench = Bench::with_ring();
    bench.footage("a.mp4", 22, &[]);
    bench.done("import --camera yard --start 2026-11-20 a.mp4");
    let status: serde_json::Value =
        serde_json::from_str(&bench.ended(NO_ANSWER, "status --json")).expect("JSON");
    assert_eq!(status["wrong"][0], "no daemon runs");
    assert_eq!(status["running"], false);
    assert_eq!(status["ring"]["label"], "test");
    assert_eq!(status["ring"]["clips"], 3);
    assert_eq!(status["cameras"][0]["name"], "yard");
    assert_eq!(status["cameras"][0]["state"], "stopped");
    assert_eq!(status["cameras"][0]["oldest"], "2026-11-20T00:00:00.000000000Z");
    let text = bench.ended(NO_ANSWER, "status");
    assert!(text.contains("none answers") && text.contains("yard"), "{text}");
    fs::remove_file(bench.path("ring.img")).expect("removed");
    let said = bench.refused(NO_ANSWER, "status");
    assert!(said.contains("ring.img"), "{said}");
}

#[test]
fn a_wrong_configuration_is_named_with_its_line() {
    let bench = Bench::with_ring();
    bench.configure("retian = \"14d\"");
    for line in ["status", "import --camera yard a.mp4"] {
        let said = bench.refused(WRONG_USAGE, line);
        assert!(said.contains("reelfs.toml:11") && said.contains("retian"), "{said}");
    }
    bench.configure("username = \"viewer\"\npassword_file = \"absent\"");
    let said = bench.refused(WRONG_USAGE, "status");
    assert!(said.contains("absent"), "{said}");
    bench.refused(WRONG_USAGE, "status --config absent.toml");
}

#[test]
fn what_is_no_ring_or_not_ours_is_said() {
    let bench = Bench::with_ring();
    fs::write(bench.path("text.img"), vec![b'x'; 16 << 20]).expect("a file");
    let said = bench.refused(FAILED, "inspect text.img ring");
    assert!(said.contains("text.img: no reelfs superblock"), "{said}");
    bench.refused(FAILED, "inspect absent.img ring");
    let path = bench.path("ring.img");
    let (mut superblock, _) = {
        let device = FileDevice::open(&path, Access::ReadOnly).expect("the ring");
        read_superblock(&device).expect("a superblock")
    };
    let file = fs::OpenOptions::new().write(true).open(&path).expect("the ring");
    superblock.incompat = 1 << 40;
    let copy = superblock.geometry.length.0 - PAGE_BYTES;
    for offset in [0, copy] {
        file.write_all_at(&superblock.encode(), offset).expect("written");
    }
    for (status, line) in [(FAILED, "inspect ring.img ring"), (NO_ANSWER, "status")] {
        let said = bench.refused(status, line);
        assert!(said.contains("features that this program does not know"), "{said}");
    }
    let said = bench.refused(FAILED, "format ring.img");
    assert!(said.contains("reelfs ring that can't be used"), "{said}");
    superblock.incompat = 0;
    file.write_all_at(&superblock.encode(), 0).expect("written");
    file.set_len(32 << 20).expect("cut");
    let said = bench.refused(FAILED, "inspect ring.img ring");
    assert!(said.contains("truncated"), "{said}");
}

#[test]
fn inspect_selects_by_camera_time_and_page() {
    let bench = Bench::with_ring();
    bench.footage("a.mp4", 50, &[]);
    bench.done("import --camera yard --start 2026-11-20T10:00:00 a.mp4");
    let starts = |line: &str| -> Vec<String> {
        let clips = bench.json(&format!("inspect ring.img clips {line}"));
        let start = |clip: &serde_json::Value| clip["start"].as_str().map(|s| s[17..19].to_owned());
        clips.as_array().expect("an array").iter().filter_map(start).collect()
    };
    assert_eq!(starts("--camera yard"), ["00", "10", "20", "30", "40"]);
    assert_eq!(starts("--from 2026-11-20T10:00:10 --to 2026-11-20T10:00:30"), ["10", "20"]);
    assert_eq!(starts("--at 2026-11-20T10:00:25 -n 1"), ["10", "20", "30"]);
    assert_eq!(starts("--newest --limit 2 --offset 1"), ["30", "20"]);
    bench.refused(WRONG_USAGE, "inspect ring.img clips --camera street");
    bench.refused(WRONG_USAGE, "inspect ring.img block 4000");
    let blocks = bench.json("inspect ring.img blocks --at 2026-11-20T10:00:25 -n 0");
    assert_eq!(blocks.as_array().map(Vec::len), Some(1));
    assert_eq!(blocks[0]["camera"], "yard");
    let ledger = bench.json("inspect ring.img ledger");
    let facts = ledger.as_array().expect("an array");
    assert_eq!(facts.iter().filter(|fact| fact["fact"] == "clip").count(), 5);
}

#[test]
fn a_flipped_bit_is_shown_where_it_is() {
    let bench = Bench::with_ring();
    bench.footage("a.mp4", 4, &[]);
    bench.done("import --camera yard --start 2026-11-20T10:00:00 a.mp4");
    let sound = bench.json("inspect ring.img block 0");
    let chunks = sound[0]["chunks"].as_array().expect("chunks");
    let media = chunks.iter().position(|chunk| chunk["kind"] == "media").expect("a media chunk");
    assert!(chunks.iter().all(|chunk| chunk["verdict"] == "ok"), "{sound}");
    let samples = chunks[media]["samples"].as_array().expect("samples");
    assert_eq!(samples[0]["time"], "2026-11-20T10:00:00.000000000Z");
    assert_eq!((&samples[0]["sync"], &samples[1]["sync"]), (&true.into(), &false.into()));
    let first = samples[0]["first_bytes"].as_str().expect("digits");

    let path = bench.path("ring.img");
    let mut image = Vec::new();
    fs::File::open(&path).and_then(|mut f| f.read_to_end(&mut image)).expect("the image");
    let bytes: Vec<u8> = (0..first.len() / 2)
        .map(|at| u8::from_str_radix(&first[2 * at..2 * at + 2], 16).expect("digits"))
        .collect();
    let at = image.windows(bytes.len()).position(|window| window == bytes).expect("the sample");
    let file = fs::OpenOptions::new().write(true).open(&path).expect("the ring");
    file.write_all_at(&[image[at] ^ 0x80], at as u64).expect("a flipped bit");

    let damaged = bench.json("inspect ring.img block 0");
    let chunk = &damaged[0]["chunks"][media];
    let verdict = chunk["verdict"].as_str().expect("a verdict");
    assert!(verdict.starts_with("damaged: units 0"), "{verdict}");
    assert_eq!(chunk["samples"][0]["sound"], false);
    let text = bench.done("inspect ring.img block 0");
    assert!(text.contains("*    ") && text.contains("damaged"), "{text}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let bench = Bench::with_ring();
    bench.footage("a.mp4", 40, &[]);
    bench.done("import --camera yard --start 2026-11-20T10:00:00 a.mp4");
    for subject in [&["block", "0"][..], &["block", "0", "--json"], &["ledger"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_reelfs"))
            .arg("inspect")
            .arg(bench.path("ring.img"))
            .args(subject)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("its end");
        let said = String::from_utf8_lossy(&output.stderr);
        std::io::stderr().write_all(said.as_bytes()).expect("standard error");
        assert!(output.status.success(), "{subject:?}: {said}");
        assert!(!said.contains("reelfs:"), "{subject:?}: {said}");
    }
}
