//! A clock that is years ahead, while the daemon runs or when it starts, deletes nothing until
//! somebody confirms it.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/ports.rs"]
mod ports;
#[allow(dead_code, reason = "each test file uses its own part of this")]
#[path = "support/shares.rs"]
mod shares;
#[path = "support/watchers.rs"]
mod watchers;

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use cameras::Cameras;
use clips::{closed_clips, identities};
use daemon::{Site, run_tool, text, wait_until};
use watchers::{Watching, inotifywait};

/// libfaketime as Debian installs it, for the machine's architecture.
fn library() -> String {
    let found = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    let path = found.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let path = path.into_iter().find(|path| path.exists());
    text(&path.expect("this test needs the package faketime")).to_owned()
}

#[test]
fn a_clock_ten_years_ahead_deletes_nothing_until_it_is_confirmed() {
    let mut site = Site::new("16M");
    site.purge = "every = \"1s\"\nretain = \"30d\"".to_owned();
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    let file = clips::footage(&site.path(""), "footage.mp4", 30, &[]);
    site.import("yard", "-2h", &file);
    let offset = site.path("offset");
    let set = |text: &str| std::fs::write(&offset, text).expect("the offset");
    // The wall clock alone is false: the other clocks cannot be set on a real machine either.
    let preload = format!("LD_PRELOAD={}", library());
    let follow = format!("FAKETIME_TIMESTAMP_FILE={}", text(&offset));
    let words = ["env", &preload, &follow, "FAKETIME_NO_CACHE=1", "NO_FAKE_STAT=1"];
    let words = [&words[..], &["FAKETIME_DONT_FAKE_MONOTONIC=1"]].concat();

    set("+0s");
    let daemon = site.run_under(&words);
    let mount = site.mount();
    let before = identities(&mount);
    assert!(before.len() >= 3, "{before:?}");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(daemon.status()["expiry_suspended"], serde_json::Value::Null);

    set("+3650d");
    wait_until("the step is noticed", 10, || daemon.log().contains("nothing is deleted until"));
    assert!(daemon.status()["expiry_suspended"].is_string(), "the status says so, too");
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(identities(&mount), before);
    daemon.stop();

    let daemon = site.run_under(&words);
    wait_until("still doubted", 10, || daemon.log().contains("nothing is deleted until"));
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(identities(&mount), before);

    // That it would have deleted everything is what shows that the doubt has saved it.
    daemon.signal("USR1");
    wait_until("a confirmed clock is believed", 10, || closed_clips(&mount).is_empty());
    wait_until("it says why", 5, || daemon.log().contains("older than 30d"));

    // A flush later the confirmation is in the ring, and holds also for who is killed.
    std::thread::sleep(Duration::from_millis(2500));
    daemon.kill();
    let daemon = site.run_under(&words);
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!daemon.log().contains("nothing is deleted until"), "{}", daemon.log());
    assert_eq!(daemon.status()["expiry_suspended"], serde_json::Value::Null);
    daemon.stop();
}

/// A library that has the kernel say that the clock is not synchronised, as where the hypervisor or
/// `ntpdate` sets it. It may say otherwise where this test runs.
fn unsynchronised(site: &Site) -> PathBuf {
    let (source, library) = (site.path("timex.c"), site.path("timex.so"));
    let text_of = "#include <sys/timex.h>\n\
        int adjtimex(struct timex *t) { t->status = STA_UNSYNC; return TIME_ERROR; }\n";
    std::fs::write(&source, text_of).expect("the source");
    run_tool("cc", &["-shared", "-fPIC", "-o", text(&library), text(&source)]);
    library
}

/// When the footage of a clip was sent, as its first frame says, less what its name says, in s.
fn named_too_late(mount: &Path, clip: &str) -> f64 {
    let path = mount.join(clip);
    let sent = clips::frames(std::slice::from_ref(&path))[0].sent;
    (clips::attribute_time(&path, "start") - sent) as f64 / 1e9
}

/// Who watches hears of both names of clips that are redated.
fn assert_heard_of<'a>(watching: Watching, before: impl Iterator<Item = &'a String>, mount: &Path) {
    for clip in before {
        wait_until(clip, 10, || watching.count(&format!("DELETE ./{clip}")) == 1);
    }
    for clip in closed_clips(mount) {
        let file = clip.rsplit('/').next().expect("a name");
        let is_told = |line: &String| line.starts_with("MOVED_TO") && line.ends_with(file);
        // The first in a directory that is new may have come before that was watched.
        let is_first = closed_clips(&mount.join(Path::new(&clip).parent().expect("a directory")));
        let is_first = is_first.first().is_some_and(|first| first == file);
        wait_until(&clip, 10, || is_first || watching.lines().iter().any(is_told));
    }
}

#[test]
fn what_was_recorded_before_the_clock_was_right_gets_its_times_and_keeps_them() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut site = Site::new("64M");
    site.purge = "every = \"1s\"\nretain = \"30d\"".to_owned();
    site.add_camera("door", &cameras.url(1), "");
    let offset = site.path("offset");
    let set = |text: &str| std::fs::write(&offset, text).expect("the offset");
    let preload = format!("LD_PRELOAD={}:{}", library(), text(&unsynchronised(&site)));
    let follow = format!("FAKETIME_TIMESTAMP_FILE={}", text(&offset));
    let words = ["env", &preload, &follow, "FAKETIME_NO_CACHE=1", "NO_FAKE_STAT=1"];
    let words = [&words[..], &["FAKETIME_DONT_FAKE_MONOTONIC=1"]].concat();
    let mount = site.mount();
    let in_1970 = || closed_clips(&mount).iter().filter(|clip| clip.starts_with("1970")).count();

    // A machine without a battery for its clock starts, and starts again before anybody sets it.
    let days = UNIX_EPOCH.elapsed().expect("a clock").as_secs() / 86_400;
    set(&format!("-{}d", days - 5));
    let daemon = site.run_under(&words);
    daemon.wait_recording("door");
    daemon.kill();
    let daemon = site.run_under(&words);
    // The first run may have left both clips: it is this one that has to see the step.
    daemon.wait_recording("door");
    wait_until("clips of 1970", 30, || in_1970() >= 2);
    let (watching, before) = (inotifywait(&mount), identities(&mount));
    set("+0s");
    let set_forward = "the clock of this machine was set forward by";
    wait_until("the step is told", 30, || daemon.log().contains(set_forward));
    wait_until("they get their times", 30, || in_1970() == 0);
    wait_until("and no other is lost", 30, || closed_clips(&mount).len() > before.len());
    assert!(!daemon.log().contains("older than"), "{}", daemon.log());
    assert_heard_of(watching, before.keys(), &mount);
    daemon.kill();

    // A redated clip is another file, whose bytes say the same as its name; for good.
    let daemon = site.run_under(&words);
    let after = identities(&mount);
    assert!(after.len() >= before.len(), "{before:?} {after:?}");
    for (clip, identity) in &after {
        let late = named_too_late(&mount, clip);
        assert!(late.abs() < 0.5, "{clip} is named {late} s too late");
        assert!(!before.values().any(|other| other.inode == identity.inode), "{clip}");
        let words = ["-v", "error", "-show_entries", "format_tags=creation_time", "-of", "csv=p=0"];
        let made = run_tool("ffprobe", &[&words[..], &[text(&mount.join(clip))]].concat());
        assert_eq!(made.get(..10), clip.get(..10), "{clip}");
    }
    daemon.stop();
    std::fs::remove_dir_all(site.index_path()).expect("an index");

    // A clock that starts behind what is there is told of, until it is right again.
    set("-2d");
    let daemon = site.run_under(&words);
    wait_until("footage of the future", 10, || daemon.log().contains("later than the clock shows"));
    assert!(daemon.status()["footage_ahead"].is_string(), "the status says so, too");
    set("+0s");
    wait_until("it is over", 10, || daemon.log().contains("no footage is later than the clock"));
    assert_eq!(daemon.status()["footage_ahead"], serde_json::Value::Null);
    assert!(!daemon.log().contains("the camera's time jumped"), "{}", daemon.log());

    let mut again = identities(&mount);
    again.retain(|clip, _| after.contains_key(clip));
    assert_eq!(again, after, "without the index");
    daemon.stop();

    let told = site.reelfs(&["inspect", "--json", "clips", text(&site.ring_path())]);
    let told = String::from_utf8(told.stdout).expect("text");
    assert!(!told.contains("1970"), "{told}");
    let checked = site.reelfs(&["check", text(&site.ring_path())]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
