//! What is kept is protected until its time is over, or somebody takes that back: on a mount, with
//! the tools that people use, over crashes, and under a ring that turns round.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clips::identities;
use daemon::{Site, wait_until};

const DAY: &str = "2026-03-01";
const CLIP: &str = "2026-03-01/yard/12-00-20.mp4";
const KEEP: &str = "user.reelfs.keep";

/// A ring with a minute of footage of the camera `yard`, which can't be reached.
fn site(keep_max: &str) -> Site {
    let mut site = Site::new("64M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    site.ring = format!("flush = \"1s\"\nkeep_max = {keep_max:?}");
    let file = clips::footage(&site.path(""), "yard.mp4", 60, &[]);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    site
}

/// What a program says on standard error; nothing where it succeeds.
fn fails(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("it is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{program} {arguments:?}: {said}");
    said
}

fn keep(file: &Path, until: &str) -> String {
    fails("setfattr", &["-n", KEEP, "-v", until, daemon::text(file)])
}

fn release(file: &Path) -> String {
    fails("setfattr", &["-x", KEEP, daemon::text(file)])
}

/// An attribute of a file; nothing where it has none.
fn attribute(file: &Path, name: &str) -> String {
    let arguments = ["--only-values", "-n", name, daemon::text(file)];
    let output = Command::new("getfattr").args(arguments).output().expect("it is installed");
    String::from_utf8(output.stdout).expect("text")
}

fn sync(directory: &Path) {
    File::open(directory).and_then(|directory| directory.sync_all()).expect("fsync");
}

#[test]
fn what_is_kept_can_not_be_removed_and_is_in_kept_over_a_crash() {
    let site = site("50%");
    let (mount, kept): (PathBuf, PathBuf) = (site.mount(), site.mount().join(".kept"));
    let daemon = site.run();
    let before = identities(&mount);
    assert_eq!(identities(&kept).len(), 0);
    assert_eq!(keep(&mount.join(CLIP), "forever"), "");
    assert_eq!(attribute(&mount.join(CLIP), KEEP), "forever", "at once");
    assert_eq!(attribute(&mount.join(CLIP), "user.reelfs.state"), "kept");
    assert_eq!(identities(&kept), [(CLIP.to_owned(), before[CLIP].clone())].into());
    assert!(fs::read_dir(&mount).expect("the root").flatten().all(|it| it.file_name() != ".kept"));
    for path in [&mount, &kept] {
        let said = fails("rm", &["-f", daemon::text(&path.join(CLIP))]);
        assert!(said.contains("Operation not permitted"), "{said}");
    }
    let log = || fs::read_to_string(mount.join(".log")).expect("the log");
    let reason = "yard: not removed, because kept: 2 clips";
    wait_until("the reason in the log", 5, || log().contains(reason));
    sync(&mount.join(DAY));
    daemon.kill();

    let daemon = site.run();
    assert_eq!(identities(&kept), [(CLIP.to_owned(), before[CLIP].clone())].into());
    assert_eq!(identities(&mount), before);
    let all = fails("rm", &["-rf", daemon::text(&mount.join(DAY))]);
    assert!(all.contains("Operation not permitted"), "{all}");
    assert_eq!(identities(&mount).into_keys().collect::<Vec<_>>(), [CLIP], "all others are gone");
    assert_eq!(release(&kept.join(CLIP)), "");
    assert_eq!(attribute(&mount.join(CLIP), KEEP), "");
    assert!(!kept.join(CLIP).exists());
    assert!(release(&mount.join(CLIP)).contains("No such attribute"));
    fs::remove_file(mount.join(CLIP)).expect("rm");
    assert!(keep(&mount.join(".trash").join(CLIP), "forever").contains("not permitted"), "removed");
    drop(daemon);
}

#[test]
fn ranges_directories_and_lengths_are_kept_and_nonsense_is_refused_with_its_reason() {
    let site = site("90%");
    let (mount, kept) = (site.mount(), site.mount().join(".kept"));
    let daemon = site.run();
    let names = || identities(&kept).into_keys().collect::<Vec<_>>();
    let range = mount.join(".range/yard/2026-03-01T12-00-15--12-00-25.mp4");
    assert_eq!(keep(&range, "2099-01-31"), "");
    let wanted = ["12-00-10", "12-00-20"].map(|time| format!("{DAY}/yard/{time}.mp4"));
    assert_eq!(names(), wanted);
    assert_eq!(attribute(&mount.join(CLIP), KEEP), "2099-02-01T00:00:00.000000000Z");
    assert_eq!(release(&range), "");
    assert_eq!(names(), Vec::<String>::new());
    assert_eq!(keep(&mount.join(DAY), "90d"), "");
    assert_eq!(names().len(), 6);
    assert_eq!(release(&mount.join(DAY).join("yard")), "");
    assert_eq!(names(), Vec::<String>::new());
    for (value, why) in [
        ("soon", "\"soon\" is no time"),
        ("2020-01-01", "\"2020-01-01\" is over"),
        ("0m", "\"0m\" is over"),
    ] {
        assert!(keep(&mount.join(CLIP), value).contains("Invalid argument"), "{value}");
        let log = fs::read_to_string(mount.join(".log")).expect("the log");
        assert!(log.contains(&format!("not kept: {why}")), "{log}");
    }
    let refused = ["now", "live", ".range", ".status.json", ".trash"];
    for name in refused {
        let said = keep(&mount.join(name), "1d");
        assert!(
            said.contains("not permitted") || said.contains("No such attribute"),
            "{name}: {said}"
        );
    }
    let other = fails("setfattr", &["-n", "user.x", "-v", "1", daemon::text(&mount.join(CLIP))]);
    assert!(other.contains("Read-only file system"), "{other}");
    assert_eq!(names(), Vec::<String>::new());
    drop(daemon);
}

/// Bytes in all, in use and free, as df says them.
fn df(path: &Path) -> [u64; 3] {
    let arguments = ["-B1", "--output=size,used,avail", daemon::text(path)];
    let output = Command::new("df").args(arguments).output().expect("df");
    let said = String::from_utf8(output.stdout).expect("text");
    let numbers = said.lines().nth(1).expect("a line").split_whitespace();
    let numbers: Vec<u64> = numbers.map(|word| word.parse().expect("a number")).collect();
    numbers.try_into().expect("three")
}

#[test]
fn no_more_is_kept_than_may_be_and_df_and_status_say_how_much_that_is() {
    let mut site = site("30%");
    let (mount, kept) = (site.mount(), site.mount().join(".kept"));
    let daemon = site.run();
    let [size, used, _] = df(&mount);
    let [budget, none, _] = df(&kept);
    assert_eq!((budget, none), (size / 100 * 30 / 4096 * 4096, 0));
    // All that was imported lies in the blocks that are in use.
    assert_eq!(keep(&mount, "forever"), "", "{used} of {size}");
    let [_, of_budget, left] = df(&kept);
    let ring = daemon.status()["ring"].clone();
    assert_eq!((ring["kept_bytes"].as_u64(), of_budget + left), (Some(of_budget), budget));
    assert!(of_budget > 0 && of_budget <= used, "{of_budget} of {used}");
    assert_eq!(ring["keep_max_bytes"].as_u64(), Some(size / 100 * 30));
    assert_eq!(release(&mount), "");
    site.ring = "flush = \"1s\"\nkeep_max = \"0%\"".to_owned();
    site.config();
    daemon.signal("HUP");
    wait_until("other settings", 10, || df(&kept)[0] == 0);
    assert!(keep(&mount.join(CLIP), "1d").contains("No space left"));
    let log = || fs::read_to_string(mount.join(".log")).expect("the log");
    let reason = "yard: not kept, because ring.keep_max allows no more: the clip from \
                  2026-03-01T12:00:20Z";
    wait_until("the reason in the log", 5, || log().contains(reason));
    assert_eq!(identities(&kept).len(), 0);
}

/// What the program says of clips; its exit status.
fn reelfs(site: &Site, words: &[&str]) -> (i32, String) {
    let config = site.path("reelfs.toml");
    let output =
        site.reelfs(&[&words[..1], &["--config", daemon::text(&config)], &words[1..]].concat());
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).expect("text"));
    (output.status.code().expect("it ends"), said.concat())
}

#[test]
fn commands_keep_release_remove_and_restore_by_path_and_by_time() {
    let site = site("90%");
    let (mount, kept) = (site.mount(), site.mount().join(".kept"));
    let daemon = site.run();
    let before = identities(&mount);
    let say = |words: &[&str]| {
        let (status, said) = reelfs(&site, words);
        assert_eq!(status, 0, "{words:?}: {said}");
        said
    };
    let time =
        ["--camera", "yard", "--from", "2026-03-01T12:00:15Z", "--to", "2026-03-01T12:00:25Z"];
    let by_time = |verb: &'static str, more: &[&'static str]| [&[verb], &time[..], more].concat();
    let all = identities(&kept);
    let told = say(&by_time("keep", &["--dry-run", "--until", "90d"]));
    assert!(told.contains("would be kept: yard, the clip from 2026-03-01T12:00:20Z"), "{told}");
    assert!(told.contains("2 clips, ") && told.contains(" at most"), "{told}");
    assert_eq!(identities(&kept), all, "nothing is done");
    let told = say(&by_time("keep", &["--until", "2099-01-31"]));
    assert!(told.starts_with("kept 2 clips, ") && told.contains("until 2099-02-01T00:00:00Z"));
    let names = || identities(&kept).into_keys().collect::<Vec<_>>();
    assert_eq!(names(), ["12-00-10", "12-00-20"].map(|time| format!("{DAY}/yard/{time}.mp4")));
    let file = mount.join(CLIP);
    let (status, told) = reelfs(&site, &["rm", daemon::text(&mount.join(DAY))]);
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("removed 4 clips, ") && told.contains("because kept: 2 clips"), "{told}");
    assert_eq!(identities(&mount).len(), 2);
    let trash = mount.join(".trash").join(DAY);
    assert!(say(&["restore", daemon::text(&trash)]).starts_with("restored 4 clips, "));
    assert_eq!(identities(&mount), before);
    assert!(say(&["unkeep", daemon::text(&file)]).starts_with("released 1 clip, "));
    assert!(say(&["unkeep", daemon::text(&kept)]).starts_with("released 1 clip, "));
    assert_eq!(names(), Vec::<String>::new());
    let range = mount.join(".range/yard/2026-03-01T12-00-15--12-00-25.mp4");
    assert!(say(&["rm", daemon::text(&range)]).starts_with("removed 2 clips, "));
    assert!(say(&by_time("restore", &[])).starts_with("restored 2 clips, "));
    say(&by_time("rm", &[]));
    let in_trash = mount.join(".trash").join(CLIP);
    let told = say(&["rm", "--dry-run", daemon::text(&in_trash)]);
    assert!(told.contains("would be removed for good: yard"), "{told}");
    assert!(say(&["rm", daemon::text(&in_trash)]).contains("for good"));
    assert!(!in_trash.exists());
    for (words, why) in [
        (vec!["keep", daemon::text(&file)], "No such file"),
        (vec!["keep", daemon::text(&site.ring_path())], "it is not in"),
        (vec!["keep", "--until", "soon", daemon::text(&mount)], "\"soon\" is no time"),
        (vec!["rm", "--camera", "shed", "--from", "1d"], "not a time"),
        (vec!["rm", "--camera", "shed", "--to", "today"], "\"shed\" is no camera"),
        (vec!["rm", "--camera", "yard"], "--camera needs --from or --to"),
        (vec!["rm"], "PATH"),
    ] {
        let (status, said) = reelfs(&site, &words);
        assert!(status != 0 && said.contains(why), "{words:?}: {said}");
    }
    // What the answer said is on the disk.
    daemon.kill();
    let _daemon = site.run();
    assert_eq!(identities(&mount).len(), before.len() - 2);
}

/// A camera that goes on in real time, with a key frame a second, and a name.
fn recorded(name: &str) -> Site {
    let mut site = Site::new("64M");
    site.view = "clip = \"1h\"\nzone = \"UTC\"".to_owned();
    let footage = clips::footage(&site.path(""), "door.mp4", 120, &[]);
    let words = ["-v", "error", "-re", "-i", daemon::text(&footage), "-c", "copy"];
    site.add_program(name, &[&["ffmpeg"], &words[..], &["-f", "mpegts", "-"]].concat());
    site
}

#[test]
fn what_was_recorded_just_now_is_kept_at_once() {
    let site = recorded("door");
    let daemon = site.run();
    daemon.wait_recording("door");
    let kept = site.mount().join(".kept");
    let growing = site.mount().join("now/door.mp4");
    wait_until("something grows", 20, || growing.exists());
    std::thread::sleep(Duration::from_secs(3));
    let (status, told) =
        reelfs(&site, &["keep", "--dry-run", "--camera", "door", "--from", "-10m"]);
    assert!(status == 0 && told.contains("door: the clip that grows would be ended"), "{told}");
    assert!(clips::closed_clips(&site.mount()).is_empty(), "nothing is done");
    let begun = Instant::now();
    let (status, told) = reelfs(&site, &["keep", "--camera", "door", "--from", "-10m"]);
    assert!(status == 0 && told.starts_with("kept 1 clip, "), "{told}");
    // A group of a second, and a flush.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let first = identities(&kept).into_keys().collect::<Vec<_>>();
    assert_eq!(first.len(), 1);
    // By its path, too; and the next one goes on where it ended.
    wait_until("the next one grows", 20, || growing.exists());
    let (status, told) = reelfs(&site, &["keep", "--until", "1d", daemon::text(&growing)]);
    assert!(status == 0 && told.contains("kept 1 clip, "), "{told}");
    let both = identities(&kept).into_keys().collect::<Vec<_>>();
    assert_eq!((both.len(), &both[0]), (2, &first[0]));
    let time = |clip: &str, name| clips::attribute_time(&site.mount().join(clip), name);
    assert_eq!(time(&both[0], "end"), time(&both[1], "start"), "not a picture is missing");
    // It is ended once for each time that somebody asks.
    wait_until("another grows", 20, || growing.exists());
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(clips::closed_clips(&site.mount()).len(), 2);
    // It is on the disk.
    daemon.kill();
    let daemon = site.run();
    assert_eq!(identities(&kept).into_keys().collect::<Vec<_>>(), both);
    daemon.stop();
}

/// Ten times as much as fits is recorded behind a clip that is kept, and one that was.
#[test]
fn kept_footage_outlives_a_ring_that_turns_round_ten_times() {
    let mut site = Site::new("64M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    site.ring = "flush = \"1s\"\nkeep_max = \"60%\"".to_owned();
    let noise = ["-vf", "noise=alls=60:allf=t", "-b:v", "6M", "-maxrate", "6M", "-bufsize", "6M"];
    let film = clips::footage(&site.path(""), "film.mp4", 20, &noise);
    let megabytes = fs::metadata(&film).expect("a film").len() >> 20;
    assert!((8..=20).contains(&megabytes), "{megabytes} MB");
    let import = |minute: u64| {
        let (hour, minute) = (minute / 60, minute % 60);
        site.import_with(
            "yard",
            &format!("2026-03-01T{hour:02}:{minute:02}:00Z"),
            &film,
            &["--force"],
        );
    };
    import(0);
    let daemon = site.run();
    let (mount, first) = (site.mount(), format!("{DAY}/yard/00-00-00.mp4"));
    let before = identities(&mount);
    let [kept, released] = ["00-00-00", "00-00-10"].map(|time| format!("{DAY}/yard/{time}.mp4"));
    assert!(before.contains_key(&released), "{before:?}");
    assert_eq!((&kept, keep(&mount.join(&kept), "forever").as_str()), (&first, ""));
    assert_eq!(keep(&mount.join(&released), "forever"), "");
    daemon.stop();
    let turns = 10 * 64 / megabytes;
    let until = turns / 2;
    (1..until).for_each(import);
    let daemon = site.run();
    let half = identities(&mount);
    assert_eq!((&half[&kept], &half[&released]), (&before[&kept], &before[&released]));
    assert_eq!(release(&mount.join(&released)), "");
    daemon.stop();
    (until..turns + 1).for_each(import);
    let _daemon = site.run();
    let after = identities(&mount);
    assert_eq!(after[&kept], before[&kept]);
    assert!(!after.contains_key(&released) && after.len() < half.len() + 4, "{after:?}");
}
