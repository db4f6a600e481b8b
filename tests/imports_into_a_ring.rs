//! An import and its ring: what has no room, what fails half way, what is gone on with, and what is
//! kept.

#[path = "support/clips.rs"]
mod clips;
#[path = "support/copies.rs"]
mod copies;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/faultfs.rs"]
mod faultfs;
#[path = "support/imported.rs"]
mod imported;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use daemon::{Site, run_tool, text, try_tool, wait_until};
use faultfs::{FaultFs, Kind};
use imported::{Bench, NOWHERE, Packet, START, by_names, packets, string};

/// A time before `START`, and one behind it.
const EARLIER: &str = "2026-02-01T12:00:00Z";
const LATER: &str = "2026-04-01T12:00:00Z";
/// Nobody has waited as long since `START`.
const LONG: &str = "retain = \"36500d\"";

/// Beginnings of clips, and why they ended.
fn told(bench: &Bench) -> Vec<(String, String)> {
    let word = |value: &serde_json::Value| value.as_str().expect("a word").to_owned();
    let clips = bench.clips();
    clips.iter().map(|clip| (word(&clip["start"]), word(&clip["end_reason"]))).collect()
}

#[test]
fn an_import_takes_no_room_from_what_is_newer_or_from_itself() {
    // Twenty blocks of 1 MiB, of which five are ready for what comes next.
    let bench = Bench::new("24M");
    let refused = |words: &[&str], file: &Path, why: &str| {
        let before = told(&bench);
        for plan in [&[][..], &["--plan"]] {
            let output = bench.import(&[words, plan].concat(), &[file]);
            let said = string(&output.stderr);
            assert!(output.status.code() == Some(1) && said.contains(why), "{output:?}");
        }
        assert_eq!(told(&bench), before);
    };
    let (itself, newer) = ("their end would push out their beginning", "make room that are newer");
    let [large, most, other] =
        [("large", 220), ("most", 170), ("other", 60)].map(|(name, pictures)| {
            let file = bench.noise(&format!("{name}.mp4"), pictures);
            let mebibytes = fs::metadata(&file).expect("a file").len() as f64 / f64::from(1 << 20);
            (file, mebibytes)
        });
    assert!(
        (16.0..20.0).contains(&large.1) && (12.0..14.5).contains(&most.1),
        "{large:?} {most:?}"
    );
    let (large, most, other) = (large.0, most.0, other.0);
    refused(&["--start", START], &large, itself);
    bench.ended(0, &["--start", START], &[&most]);
    assert_eq!(bench.packets("v").len(), 170, "all of it is there");
    refused(&["--start", EARLIER], &other, newer);
    let said = bench.ended(0, &["--plan", "--start", LATER], &[&other]);
    assert!(said.contains("; 1 clip would make room. Nothing was changed"), "{said}");
    bench.ended(0, &["--start", LATER], &[&other]);
    let starts: Vec<String> = told(&bench).into_iter().map(|(start, _)| start).collect();
    assert_eq!(starts.len(), 2, "{starts:?}");
    assert!(starts[0].contains("03-01T12:00:10") && starts[1].contains("04-01"), "{starts:?}");
    // All the same where somebody wants that.
    bench.ended(0, &["--force", "--start", EARLIER], &[&most]);
    let starts: Vec<String> = told(&bench).into_iter().map(|(start, _)| start).collect();
    assert!(starts[0].contains("02-01T12:00:00") && starts[1].contains("02-01"), "{starts:?}");
}

#[test]
fn an_import_takes_no_room_from_what_a_camera_is_to_retain() {
    let mut bench = Bench::new("24M");
    let file = bench.noise("most.mp4", 170);
    bench.ended(0, &["--start", START], &[&file]);
    let before = told(&bench);
    bench.site.cameras.push_str(LONG);
    let output = bench.import(&["--start", LATER], &[&file]);
    let said = string(&output.stderr);
    assert!(said.contains("or that their cameras are to retain, up to 2026-03-01T"), "{said}");
    assert_eq!((output.status.code(), told(&bench)), (Some(1), before));
    bench.ended(0, &["--force", "--start", LATER], &[&file]);
    assert!(told(&bench).iter().any(|(start, _)| start.contains("04-01")), "{:?}", told(&bench));
}

#[test]
fn the_cameras_of_a_folder_have_room_together_or_not_at_all() {
    let mut bench = Bench::new("24M");
    bench.site.add_camera("front", NOWHERE, "");
    let file = bench.noise("whole.mp4", 75);
    for camera in ["yard", "front"] {
        let folder = bench.path(&format!("folder/{camera}"));
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(&file, folder.join("20260301120000.mp4")).expect("a copy");
    }
    let import = |more: &[&str]| {
        by_names(
            &bench,
            "{camera}/%Y%m%d%H%M%S.mp4",
            &[&["--name-zone", "UTC"], more].concat(),
            "folder",
        )
    };
    let (status, said) = import(&["--plan"]);
    assert!(status == Some(0) && said.contains("2 files, 11."), "{said}");
    assert!(said.contains("20.0 MiB of 20.0 MiB are free; 0 clips would make room"), "{said}");
    // Either of them has room beside this clip, which is newer.
    bench.ended(0, &["--start", LATER], &[&bench.noise("newer.mp4", 45)]);
    let before = told(&bench);
    for plan in [&["--plan"][..], &[]] {
        let (status, said) = import(plan);
        assert!(
            status == Some(1) && said.contains("clips would make room that are newer"),
            "{said}"
        );
        assert_eq!(told(&bench), before);
        let (status, said) = import(&["--camera", "yard", "--plan"]);
        assert!(status == Some(0) && said.contains("; 0 clips would make room"), "{said}");
    }
    let (status, said) = import(&["--plan", "--force"]);
    assert!(status == Some(0) && said.contains("; 1 clip would make room"), "{said}");
    let (status, said) = import(&["--force"]);
    assert_eq!(status, Some(0), "{said}");
    let cameras: BTreeSet<String> =
        bench.clips().iter().map(|clip| clip["camera"].to_string()).collect();
    assert_eq!((cameras.len(), told(&bench).len()), (2, 2), "{:?}", told(&bench));
}

/// Two files, of which the second one fails half way; `mend` makes the disk whole. What is said to
/// be in the ring is, and the same words go on behind it.
fn fails_half_way(bench: &Bench, mend: impl FnOnce()) {
    let files = ["first.mp4", "second.mp4"].map(|name| bench.noise(name, 60));
    let files = files.each_ref().map(PathBuf::as_path);
    let output = bench.import(&["--start", START], &files);
    let said = string(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    mend();
    let end = bench.spans().last().expect("a clip").1;
    assert!(end > 6.0 && end < 12.0, "{end}: {said}");
    let told = format!("up to 2026-03-01T12:00:{end:04.1}");
    let line =
        said.lines().find(|line| line.starts_with(&told)).unwrap_or_else(|| panic!("{said}"));
    assert!(line.ends_with("Z it is in the ring; the same words go on behind that"), "{line}");
    assert_eq!(bench.packets("v").len(), (end * 10.0).round() as usize);
    let said = bench.ended(0, &["--start", START], &files);
    assert!(said.contains("first.mp4: imported before"), "{said}");
    assert!(said.contains("second.mp4: yard from") && said.contains("the rest, "), "{said}");
    let wanted: Vec<Packet> = files.iter().flat_map(|file| packets(file, "v")).collect();
    let digests = |packets: &[Packet]| -> Vec<String> {
        packets.iter().map(|packet| packet.digest.clone()).collect()
    };
    assert!(digests(&bench.packets("v")) == digests(&wanted), "all of it, once: {said}");
}

/// An empty ring of 24 MiB at a path.
fn formatted(path: &Path, site: Site, more: &[&str]) -> Bench {
    let words = ["format", "--size", "24M", "--block-size", "1M", text(path)];
    let output = site.reelfs(&[&words[..], more].concat());
    assert!(output.status.success(), "{output:?}");
    let mut bench = Bench { site };
    bench.site.add_camera("yard", NOWHERE, "");
    bench
}

#[test]
fn a_disk_that_fails_on_command() {
    faultfs::serve_if_asked();
    let site = Site::without_ring();
    let folder = site.path("faulty");
    fs::create_dir(&folder).expect("a folder");
    let bench = formatted(&folder.join("backing"), site, &[]);
    let mut faulty = FaultFs::start(&folder);
    symlink(faulty.disk(), bench.site.ring_path()).expect("a link");
    // No block behind the first eight takes anything.
    faulty.fail(Kind::Write, 12 << 20..24 << 20, 0);
    fails_half_way(&bench, || faulty.mend());
}

#[test]
fn a_file_system_that_is_full_ends_an_import_that_goes_on_when_there_is_room() {
    let site = Site::without_ring();
    let folder = site.path("small");
    fs::create_dir(&folder).expect("a folder");
    run_tool("mount", &["-t", "tmpfs", "-o", "size=12m", "tmpfs", text(&folder)]);
    let bench = formatted(&folder.join("ring"), site, &["--sparse"]);
    symlink(folder.join("ring"), bench.site.ring_path()).expect("a link");
    let resize = || {
        run_tool("mount", &["-o", "remount,size=32m", text(&folder)]);
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| fails_half_way(&bench, resize)));
    try_tool("umount", &["--lazy", text(&folder)]);
    outcome.unwrap_or_else(|panic| resume_unwind(panic));
}

#[test]
fn a_frame_without_room_is_refused_before_anything_is_written() {
    let bench = Bench::new("16M");
    let small = bench.noise("small.mp4", 3);
    let words = "-f rawvideo -s 1600x1200 -pix_fmt yuvj420p -i /dev/urandom -frames:v 1 -c:v mjpeg";
    let large = bench.make("large.mp4", &format!("{words} -q:v 1"));
    let output = bench.import(&["--start", START], &[&small, &large]);
    let (said, wrong) = (string(&output.stdout), string(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}{wrong}");
    assert!(wrong.contains("large.mp4: a frame of ") && wrong.contains("does not fit a block"));
    assert!(bench.clips().is_empty() && !said.contains("small.mp4"), "{said}");
}

#[test]
fn what_is_to_be_kept_outlives_what_is_too_old() {
    let mut bench = Bench::new("24M");
    bench.site.purge = "every = \"1s\"".to_owned();
    bench.site.add_camera("front", NOWHERE, "");
    let file = bench.noise("both.mp4", 20);
    // Without a limit of age anything may come in.
    bench.site.import("front", START, &file);
    let config = &mut bench.site.cameras;
    *config = config.replace("url =", "retain = \"1d\"\nurl =");
    let output = bench.import(&["--start", START], &[&file]);
    let said = string(&output.stderr);
    assert!(said.contains("it would expire at once; --keep 30d keeps it for 30 days"), "{said}");
    bench.ended(0, &["--keep", "30d", "--start", START], &[&file]);
    let daemon = bench.site.run();
    wait_until("the purge", 15, || daemon.log().contains("front: purged 1 clip"));
    let kept = bench.site.mount().join("2026-03-01/yard/12-00-00.mp4");
    clips::assert_plays(&kept);
    assert!(!bench.site.mount().join("2026-03-01/front/12-00-00.mp4").exists(), "it was too old");
    daemon.stop();
    let states: Vec<String> = bench.clips().iter().map(|clip| clip["state"].to_string()).collect();
    assert!(states.len() == 1 && states[0].contains("kept"), "{states:?}");
}

#[test]
fn an_import_that_is_killed_goes_on_where_it_ended() {
    /// At so many moments.
    const STEPS: u32 = 6;
    let bench = Bench::new("96M");
    let words = "-vf noise=alls=60:allf=t -qp 26 -bf 2 -g 60 -an";
    let files: Vec<PathBuf> = (0..3)
        .map(|number| {
            bench.source(&format!("f{number}.mp4"), 8, &format!("{words} -b_qfactor 1.{number}"))
        })
        .collect();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let wanted: Vec<Packet> = files.iter().flat_map(|file| packets(file, "v")).collect();
    let began = Instant::now();
    bench.ended(0, &["--start", START], &files);
    let whole = began.elapsed();
    let config = bench.site.config();
    let head = ["import", "--config", text(&config), "--camera", "yard", "--start", START];
    let words: Vec<&str> = head.into_iter().chain(files.iter().map(|file| text(file))).collect();
    let (mut were_killed, mut went_on) = (0, 0);
    for step in 0..STEPS {
        bench.emptied();
        let mut command = bench.site.command(&words);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it");
        std::thread::sleep(whole * step / STEPS);
        were_killed += u32::from(child.try_wait().expect("a child").is_none());
        child.kill().and_then(|()| child.wait()).expect("it is killed");
        let said = bench.ended(0, &["--start", START], &files);
        went_on += u32::from(said.contains("imported before") || said.contains("the rest"));
        assert_all_once(&bench.packets("v"), &wanted, &said);
        let end = bench.spans().last().expect("clips").1;
        assert!((end - 24.0).abs() < 0.05, "{end}");
    }
    assert!(were_killed > STEPS / 2 && went_on > 1, "{were_killed} killed, {went_on} went on");
    let said = bench.ended(0, &["--start", START], &files);
    assert_eq!(said.matches("imported before").count(), files.len(), "{said}");
}

/// All packets are there at their times. Where an import ended amid a group, what the rest of it
/// needs is there once more, a tick long.
fn assert_all_once(found: &[Packet], wanted: &[Packet], said: &str) {
    let digest = |packet: &Packet| packet.digest.clone();
    let all: BTreeSet<String> = found.iter().map(digest).collect();
    let missing = wanted.iter().filter(|packet| !all.contains(&packet.digest)).count();
    assert_eq!(missing, 0, "of {}: {said}", wanted.len());
    let step = 0.04;
    let shown: BTreeSet<i64> = found.iter().map(|it| (it.at / step).round() as i64).collect();
    let gone: Vec<i64> = (0..wanted.len() as i64).filter(|slot| !shown.contains(slot)).collect();
    let near = |slot: &i64| -> Vec<(f64, bool)> {
        let at = *slot as f64 * step;
        let near = found.iter().filter(|it| (it.at - at).abs() < 0.3);
        near.map(|it| (it.at, it.is_key)).collect()
    };
    assert_eq!(gone, [0; 0], "{said}{:?}", gone.first().map(near));
}
