//! What is removed can be moved back until its deadline, with the tools that people use; what is
//! removed in the trash is gone for good. With the real program, over crashes.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use clips::{Identity, clips_of, identities};
use daemon::{Daemon, Site, wait_until};

const DAY: &str = "2026-03-01";
const CLIP: &str = "2026-03-01/yard/12-00-20.mp4";

/// A ring with a minute of footage of the camera `yard`, which can't be reached.
fn site() -> Site {
    let mut site = Site::new("64M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    site.ring = "flush = \"1s\"".to_owned();
    let file = clips::footage(&site.path(""), "yard.mp4", 60, &[]);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    site
}

fn mv(from: &Path, to: &Path) -> bool {
    let moved = Command::new("mv").arg(from).arg(to).output().expect("mv");
    println!("{}", String::from_utf8_lossy(&moved.stderr));
    moved.status.success()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
    let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    names.sort();
    names
}

fn sync(directory: &Path) {
    File::open(directory).and_then(|directory| directory.sync_all()).expect("fsync");
}

fn identity(root: &Path, clip: &str) -> Identity {
    identities(root).remove(clip).unwrap_or_else(|| panic!("{clip} is not in {}", root.display()))
}

#[test]
fn a_removed_clip_is_in_the_trash_over_a_crash_and_mv_brings_it_back() {
    let site = site();
    let (mount, trash): (PathBuf, PathBuf) = (site.mount(), site.mount().join(".trash"));
    let daemon = site.run();
    let before = identities(&mount);
    fs::remove_file(mount.join(CLIP)).expect("rm");
    assert!(!mount.join(CLIP).exists() && trash.join(CLIP).exists(), "it moves at once");
    assert!(!names(&mount).contains(&".trash".to_owned()), "found by name, not listed");
    sync(&mount.join(DAY));
    daemon.kill();

    let daemon = site.run();
    assert!(!mount.join(CLIP).exists());
    assert_eq!(identity(&trash, CLIP), before[CLIP], "the same file in the trash");
    assert!(!mv(&trash.join(CLIP), &mount.join(DAY).join("yard/other.mp4")), "a name of its own");
    assert!(!mv(&mount.join(DAY).join("yard/12-00-30.mp4"), &trash), "rm is how to remove");
    assert!(mv(&trash.join(CLIP), &mount.join(DAY).join("yard")), "mv");
    assert_eq!(identities(&mount), before, "as if nothing had happened");
    assert!(!daemon.log().contains("is closed"), "nothing has been recorded: {}", daemon.log());
    assert!(!trash.join(CLIP).exists());
    sync(&mount.join(DAY));
    daemon.kill();

    let mut daemon = site.run();
    assert_eq!(identities(&mount), before);
    fs::remove_file(mount.join(CLIP)).expect("rm");
    assert!(mv(&trash.join(CLIP), &mount.join(DAY).join("yard")), "mv");
    daemon.signal("TERM");
    daemon.wait_end();
    let wanted = ["removed", "restored"]
        .map(|verb| format!("yard: {verb} the clip from 2026-03-01T12:00:20Z"));
    assert_eq!(deeds(&daemon), wanted, "also at the end");
}

/// What the log says of removals and restores, without times and sizes.
fn deeds(daemon: &Daemon) -> Vec<String> {
    let log = daemon.log();
    let lines = log.lines().filter_map(|line| line.split_once("reelfs::daemon::deeds] "));
    lines.map(|(_, text)| text.split(", ").next().expect("a part").to_owned()).collect()
}

#[test]
fn a_whole_day_is_removed_and_moved_back_into_the_root_and_the_log_has_a_line_for_each() {
    let mut site = site();
    site.add_camera("door", "rtsp://127.0.0.1:1/", "");
    let file = clips::footage(&site.path(""), "door.mp4", 20, &[]);
    site.import("door", "2026-03-01T12:00:00Z", &file);
    let (mount, trash) = (site.mount(), site.mount().join(".trash"));
    let daemon = site.run();
    let before = identities(&mount);
    fs::remove_dir_all(mount.join(DAY)).expect("rm -r");
    wait_until("the line of a removal", 5, || deeds(&daemon).len() == 1);
    assert!(!mount.join(DAY).exists());
    assert_eq!(clips_of(&trash, "yard").len() + clips_of(&trash, "door").len(), before.len());
    assert!(mv(&trash.join(DAY), &mount), "mv");
    wait_until("the kernel to have forgotten the name in the trash", 5, || {
        names(&trash).is_empty() && mount.join(DAY).join("yard").exists()
    });
    assert_eq!(identities(&mount), before);
    wait_until("the line of a restore", 5, || deeds(&daemon).len() == 2);
    let clips = before.len();
    let wanted = ["removed", "restored"].map(|verb| format!("{verb} {clips} clips of 2 cameras"));
    assert_eq!(deeds(&daemon), wanted);
    assert!(daemon.log().contains(" MiB, restorable until 20"), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn what_is_removed_in_the_trash_is_gone_for_good() {
    let mut site = site();
    site.purge = "every = \"1s\"".to_owned();
    let (mount, trash) = (site.mount(), site.mount().join(".trash"));
    let daemon = site.run();
    fs::remove_file(mount.join(CLIP)).expect("rm");
    fs::remove_file(trash.join(CLIP)).expect("rm in the trash");
    assert!(!trash.join(CLIP).exists() && !mount.join(CLIP).exists());
    sync(&mount.join(DAY));
    daemon.kill();

    let daemon = site.run();
    assert!(!trash.join(CLIP).exists() && !mount.join(CLIP).exists());
    assert_eq!(clips_of(&mount, "yard").len(), 5);
    daemon.stop();
}
