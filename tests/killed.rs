//! The real program, killed at random while real cameras record, with the index kept, deleted or
//! garbled in between: whatever was listed is there and the same, whatever was shown as durable is
//! in its clip, everything plays, and no camera loses more than the flush interval and a second.
//!
//! `REELFS_ROUNDS=n` kills it `n` times; `REELFS_SEED=n` plays the same accidents again.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/chance.rs"]
mod chance;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cameras::Cameras;
use chance::Dice;
use clips::{Frame, Identity, attribute, clips_of, identities_left};
use daemon::{Daemon, Site, wait_until};

const FLUSH: Duration = Duration::from_secs(1);
const SECOND: i64 = 1_000_000_000;
const CAMERAS: [&str; 3] = ["often", "rarely", "reordered"];

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|value| value.parse().expect("a number"))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    since.as_nanos() as i64
}

/// All files of the index.
fn index_files(site: &Site) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![site.index_path()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { waiting.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Some accident to the index; the ring is the truth without it.
fn hurt_index(site: &Site, dice: &mut Dice) -> &'static str {
    match dice.below(4) {
        0 => "kept",
        1 => {
            fs::remove_dir_all(site.index_path()).expect("an index");
            "deleted"
        }
        2 => {
            for file in index_files(site) {
                let mut bytes = fs::read(&file).expect("a file");
                for _ in 0..=bytes.len() / 500 {
                    let at = dice.below(bytes.len().max(1) as u64) as usize;
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << dice.below(8);
                    }
                }
                fs::write(&file, bytes).expect("a file");
            }
            "garbled"
        }
        _ => {
            for file in index_files(site) {
                let length = fs::metadata(&file).expect("a file").len();
                let file = File::options().write(true).open(&file).expect("a file");
                file.set_len(dice.below(length + 1)).expect("a shorter file");
            }
            "cut short"
        }
    }
}

/// What was true when the daemon was killed.
struct Before {
    clips: BTreeMap<String, Identity>,
    /// What was shown of each growing clip: only what a flush covered.
    shown: BTreeMap<&'static str, Vec<Frame>>,
    removed: Option<String>,
    killed_at: i64,
}

fn removed_for_good(mount: &Path, clips: &BTreeMap<String, Identity>, dice: &mut Dice) -> String {
    // One of the newer half: the oldest may go by themselves.
    let mut by_age: Vec<(&String, u64)> = clips.iter().map(|(clip, i)| (clip, i.inode)).collect();
    by_age.sort_by_key(|(_, inode)| *inode);
    let at = clips.len() / 2 + dice.below(clips.len() as u64 / 2) as usize;
    let clip = by_age[at].0.clone();
    let path = mount.join(&clip);
    fs::remove_file(&path).expect("rm");
    let directory = path.parent().expect("it is in a directory");
    File::open(directory).and_then(|directory| directory.sync_all()).expect("fsync");
    clip
}

/// Records for a while and is killed.
fn record(site: &Site, daemon: Daemon, dice: &mut Dice) -> Before {
    let mount = site.mount();
    for camera in CAMERAS {
        daemon.wait_recording(camera);
    }
    std::thread::sleep(Duration::from_millis(1500 + dice.below(3000)));
    let clips = identities_left(&mount);
    let removed = (clips.len() > 6).then(|| removed_for_good(&mount, &clips, dice));
    let mut shown = BTreeMap::new();
    for camera in CAMERAS {
        // Copied first: by the next lookup it has grown, or has become a clip.
        let copy = site.path(&format!("{camera}.mp4"));
        if fs::copy(mount.join(format!("now/{camera}.mp4")), &copy).is_ok() {
            shown.insert(camera, clips::frames(&[copy]));
        }
    }
    std::thread::sleep(Duration::from_millis(dice.below(1200)));
    let killed_at = now();
    daemon.kill();
    Before { clips, shown, removed, killed_at }
}

/// Clips leave from the oldest on, and in no other order; of the others nothing has changed.
fn check_clips(site: &Site, before: &Before, after: &BTreeMap<String, Identity>) {
    let left: BTreeMap<&String, &Identity> =
        before.clips.iter().filter(|(clip, _)| before.removed.as_ref() != Some(clip)).collect();
    let oldest_left =
        left.iter().filter(|(clip, _)| after.contains_key(**clip)).map(|(_, i)| i.inode).min();
    for (clip, identity) in left {
        match after.get(clip) {
            Some(found) => assert_eq!(found, identity, "{clip} has changed"),
            None => assert!(
                oldest_left.is_none_or(|oldest| identity.inode < oldest),
                "{clip} is lost, and older ones are there"
            ),
        }
    }
    if let Some(removed) = &before.removed {
        assert!(!site.mount().join(removed).exists(), "{removed} is back");
    }
}

/// Answers how much of the camera's footage is lost, in ns.
fn check_camera(site: &Site, before: &Before, camera: &str) -> i64 {
    let mount = site.mount();
    let mut clips = clips_of(&mount, camera);
    clips.sort();
    let newest: Vec<PathBuf> = clips.iter().rev().take(3).rev().map(|c| mount.join(c)).collect();
    let frames = clips::frames(&newest);
    let digests: BTreeSet<&str> = frames.iter().map(|frame| frame.md5.as_str()).collect();
    for frame in before.shown.get(camera).into_iter().flatten() {
        assert!(digests.contains(frame.md5.as_str()), "{camera}: frame {frame:?} was shown");
    }
    let last = frames.iter().map(|frame| frame.sent).filter(|sent| *sent <= before.killed_at).max();
    let lost = before.killed_at - last.expect("frames of the run that was killed");
    let allowed = FLUSH.as_nanos() as i64 + SECOND;
    assert!(lost <= allowed, "{camera}: {} ms are lost", lost / 1_000_000);
    lost
}

fn seconds(nanos: i64) -> f64 {
    nanos as f64 / SECOND as f64
}

/// What each camera has lost, given in ns.
fn by_camera(lost: &[i64; CAMERAS.len()]) -> String {
    let of = |(camera, lost): (&&str, &i64)| format!("{camera} {:.2}", seconds(*lost));
    CAMERAS.iter().zip(lost).map(of).collect::<Vec<_>>().join(", ")
}

/// Two demuxers read it to its end, and one decodes it.
fn check_plays(mount: &Path, clip: &str) {
    let path = mount.join(clip);
    if !path.exists() {
        return;
    }
    clips::assert_plays(&path);
    let frames: usize = attribute(&path, "frames").parse().expect("a number");
    assert_eq!(clips::mkvmerge_tracks(&path)[0].times.len(), frames, "{clip}");
}

#[test]
fn a_daemon_that_is_killed_again_and_again_keeps_what_it_had() {
    let rounds = number("REELFS_ROUNDS").unwrap_or(4);
    let seed = number("REELFS_SEED").unwrap_or(now() as u64 | 1);
    println!("REELFS_SEED={seed}");
    let mut dice = Dice(seed | 1);
    let servers = [
        Cameras::start(&["--gop", "25", "--bitrate", "1500k"]),
        Cameras::start(&["--gop", "250"]),
        Cameras::start(&["--gop", "50", "--bframes"]),
    ];
    let mut site = Site::new("32M");
    site.ring = format!("flush = \"{}s\"", FLUSH.as_secs());
    for (camera, server) in CAMERAS.iter().zip(&servers) {
        site.add_camera(camera, &server.url(1), "");
    }
    let mut played = BTreeSet::new();
    let mut lost_max = [0; CAMERAS.len()];
    for round in 0..rounds {
        let daemon = site.run();
        let before = record(&site, daemon, &mut dice);
        let accident = hurt_index(&site, &mut dice);
        println!("round {round} of {rounds}: {} clips, index {accident}", before.clips.len());
        let daemon = site.run();
        let after = identities_left(&site.mount());
        check_clips(&site, &before, &after);
        let lost = CAMERAS.map(|camera| check_camera(&site, &before, camera));
        println!("round {round} of {rounds}: seconds lost: {}", by_camera(&lost));
        for (most, lost) in lost_max.iter_mut().zip(lost) {
            *most = lost.max(*most);
        }
        for clip in after.keys() {
            if played.insert(clip.clone()) {
                check_plays(&site.mount(), clip);
            }
        }
        daemon.stop();
    }
    wait_until("the mount to be gone", 10, || !daemon::is_mounted(&site.mount()));
    println!("seconds lost at most: {}", by_camera(&lost_max));
    println!(
        "torture: kills rounds={rounds} cuts={rounds} seconds-lost-max={:.2} failures=0",
        seconds(lost_max.into_iter().max().unwrap_or(0))
    );
}
