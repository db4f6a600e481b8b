//! What is removed stays removed, and what is not stays what it is: after a crash, after an
//! orderly stop, and without the index. Promises 1, 3 and 6.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use cameras::Cameras;
use clips::{Identity, clips_of, identities};
use daemon::{Daemon, Site, wait_until};

/// A ring with a minute of imported footage of the camera `yard`, and the camera `door`, which
/// records.
fn site(cameras: &Cameras) -> Site {
    let mut site = Site::new("64M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    site.add_camera("door", &cameras.url(1), "");
    let file = clips::footage(&site.path(""), "yard.mp4", 60, &[]);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    site
}

/// Everything that was there is there, unchanged; and recording goes on in a new clip.
fn assert_unchanged(site: &Site, daemon: &Daemon, before: &BTreeMap<String, Identity>, gone: &str) {
    let mount = site.mount();
    let after = identities(&mount);
    for (clip, identity) in before {
        assert_eq!(after.get(clip), Some(identity), "{clip}");
    }
    assert!(!after.contains_key(gone) && !mount.join(gone).exists(), "{gone} is back");
    daemon.wait_recording("door");
    let growing = clips::attribute_time(&mount.join("now/door.mp4"), "start");
    let newest = clips_of(&mount, "door").pop().expect("a clip of the run before");
    assert!(clips::attribute_time(&mount.join(newest), "end") <= growing, "a clip of its own");
}

/// What takes the index's place after an accident.
fn garble(index: &Path) {
    let mut garbled = 0;
    let mut waiting = vec![index.to_path_buf()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory");
            waiting.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else {
            let length = fs::metadata(&path).expect("a file").len() as usize;
            let noise: Vec<u8> = (0..length).map(|at| (at * 167 % 251) as u8).collect();
            fs::write(&path, noise).expect("a file");
            garbled += length;
        }
    }
    assert!(garbled > 0, "there was no index");
}

#[test]
fn removed_clips_stay_hidden_and_all_others_as_they_were_without_the_index() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let site = site(&cameras);
    let mount = site.mount();
    let daemon = site.run();
    wait_until("a closed clip", 20, || !clips_of(&mount, "door").is_empty());
    let gone = "2026-03-01/yard/12-00-20.mp4";
    fs::remove_file(mount.join(gone)).expect("rm");
    assert!(!mount.join(gone).exists(), "gone at once");
    std::thread::sleep(Duration::from_millis(1500));
    let before = identities(&mount);
    daemon.kill();

    fs::remove_dir_all(site.index_path()).expect("an index");
    let daemon = site.run();
    assert!(daemon.log().contains("did not end in order"), "it knows of the crash");
    assert_unchanged(&site, &daemon, &before, gone);
    let before = identities(&mount);
    daemon.stop();

    let daemon = site.run();
    assert!(!daemon.log().contains("did not end in order"), "the last stop was in order");
    assert_unchanged(&site, &daemon, &before, gone);
    let before = identities(&mount);
    daemon.stop();

    garble(&site.index_path());
    let daemon = site.run();
    assert_unchanged(&site, &daemon, &before, gone);
    daemon.stop();
}

#[test]
fn a_synced_removal_is_durable_at_once() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut site = site(&cameras);
    // No flush comes by itself.
    site.ring = "flush = \"60s\"".to_owned();
    let daemon = site.run();
    let directory = site.mount().join("2026-03-01/yard");
    fs::remove_file(directory.join("12-00-20.mp4")).expect("rm");
    File::open(&directory).and_then(|directory| directory.sync_all()).expect("fsync");
    daemon.kill();

    let daemon = site.run();
    let left = clips_of(&site.mount(), "yard");
    assert_eq!(left.len(), 5, "{left:?}");
    assert!(!left.iter().any(|clip| clip.ends_with("12-00-20.mp4")), "{left:?}");
    daemon.stop();
}
