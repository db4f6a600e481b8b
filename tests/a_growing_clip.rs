//! What is being recorded can be looked at: each lookup in `now/` is one consistent, playable
//! snapshot. And what the mount says of the whole: `.status.json`, `df`.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cameras::Cameras;
use daemon::{Daemon, Site, run_tool, text, try_tool};
use serde_json::Value;

/// Reads an open snapshot to its end, and checks that it is as long as it said.
fn read_whole(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("its bytes");
    assert_eq!(bytes.len() as u64, file.metadata().expect("its size").len());
    bytes
}

fn numbers(path: &Path) -> Vec<u64> {
    clips::frames(&[path.to_owned()]).iter().map(|frame| frame.number).collect()
}

#[test]
fn two_snapshots_that_are_open_at_once_are_each_consistent() {
    let cameras = Cameras::start(&["--gop", "25", "--bframes"]);
    let mut site = Site::new("64M");
    site.view = "clip = \"1h\"\nzone = \"UTC\"".to_owned();
    site.add_camera("door", &cameras.url(1), "");
    let daemon = site.run();
    daemon.wait_recording("door");
    let growing = site.mount().join("now/door.mp4");
    let mut first = File::open(&growing).expect("a snapshot");
    let opened = first.metadata().expect("its inode");
    let (first_inode, first_size) = (opened.ino(), opened.len());
    // Half of it now, half of it after the clip has grown.
    let mut begun = vec![0; 20_000];
    first.read_exact(&mut begun).expect("its beginning");
    std::thread::sleep(Duration::from_secs(4));
    let mut second = File::open(&growing).expect("a snapshot");
    assert_eq!(first_inode, second.metadata().expect("its inode").ino());
    let later = read_whole(&mut second);
    begun.extend({
        let mut rest = Vec::new();
        first.read_to_end(&mut rest).expect("the rest");
        rest
    });
    assert_eq!(begun.len() as u64, first_size, "what it was when it was opened");
    assert!(later.len() > begun.len() + 100_000, "it has grown by four seconds");
    let (early, late) = (site.path("early.mp4"), site.path("late.mp4"));
    std::fs::write(&early, begun).expect("a file");
    std::fs::write(&late, later).expect("a file");
    for snapshot in [&early, &late] {
        clips::assert_plays(snapshot);
    }
    let (early, late) = (numbers(&early), numbers(&late));
    assert_eq!(late[..early.len()], early[..]);
    // A player holds it open, seeks in it, and decodes it from the mount itself.
    clips::assert_plays(&growing);
    daemon.stop();
}

#[test]
fn syncing_a_snapshot_brings_what_was_seen_to_the_disk() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut site = Site::new("64M");
    // Nothing is on disk by itself while this test runs.
    site.ring = "flush = \"60s\"".to_owned();
    // And no clip ends meanwhile.
    site.view = "clip = \"1h\"\nzone = \"UTC\"".to_owned();
    site.add_camera("door", &cameras.url(1), "");
    let daemon = site.run();
    std::thread::sleep(Duration::from_secs(4));
    let root = File::open(site.mount()).expect("the root");
    root.sync_all().expect("fsync of a directory");
    let growing = site.mount().join("now/door.mp4");
    let seen = numbers(&growing).len();
    std::thread::sleep(Duration::from_secs(2));
    let asked = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as i64;
    let took = Instant::now();
    File::open(&growing).and_then(|file| file.sync_all()).expect("fsync");
    assert!(took.elapsed() < Duration::from_secs(2), "{:?}", took.elapsed());
    daemon.kill();
    let daemon = site.run();
    let paths: Vec<_> =
        clips::clips_of(&site.mount(), "door").iter().map(|clip| site.mount().join(clip)).collect();
    let frames = clips::frames(&paths);
    assert!(frames.len() > seen + 25, "{} frames, {seen} seen before", frames.len());
    let behind = asked - frames.last().expect("frames").sent;
    assert!(behind < 500_000_000, "{} ms before the fsync are missing", behind / 1_000_000);
    daemon.stop();
}

fn assert_promised_fields(status: &Value) {
    for (pointer, is_right) in [
        ("/version", Value::is_string as fn(&Value) -> bool),
        ("/at", Value::is_string),
        ("/running", Value::is_boolean),
        ("/ring/size_bytes", Value::is_u64),
        ("/ring/used_bytes", Value::is_u64),
        ("/ring/expiring_bytes", Value::is_u64),
        ("/ring/free_bytes", Value::is_u64),
        ("/cameras/0/name", Value::is_string),
        ("/cameras/0/state", Value::is_string),
        ("/cameras/0/last_frame_age_seconds", Value::is_f64),
        ("/cameras/0/frames", Value::is_u64),
        ("/cameras/0/bytes", Value::is_u64),
        ("/cameras/0/dropped", Value::is_object),
        ("/cameras/0/reconnects", Value::is_u64),
    ] {
        let found = status.pointer(pointer);
        assert!(found.is_some_and(is_right), "{pointer}: {found:?}");
    }
}

fn assert_df_agrees(daemon: &Daemon, mount: &Path) {
    let said = run_tool("df", &["-B1", "--output=source,size,used,avail", text(mount)]);
    let words: Vec<&str> = said.lines().nth(1).expect("a line").split_whitespace().collect();
    assert_eq!(words[0], "test", "the label is what df shows: {said}");
    let number = |at: usize| words[at].parse::<u64>().expect("a number");
    let status = daemon.status();
    let bytes = |name: &str| status["ring"][name].as_u64().expect("a number");
    assert_eq!(number(1), bytes("size_bytes"));
    // A block may have been taken in between.
    assert!(number(2).abs_diff(bytes("used_bytes")) <= 2 << 20, "{said} {status}");
    assert!(number(3).abs_diff(bytes("free_bytes")) <= 2 << 20, "{said} {status}");
    assert!(number(2) + number(3) <= number(1), "{said}");
}

#[test]
fn the_mount_says_how_it_goes() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut site = Site::new("64M");
    site.add_camera("door", &cameras.url(1), "");
    let daemon = site.run();
    daemon.wait_recording("door");
    let status = daemon.status();
    assert_promised_fields(&status);
    let camera = &status["cameras"][0];
    assert_eq!((&status["running"], &camera["state"]), (&true.into(), &"recording".into()));
    assert_eq!(status["wrong"], serde_json::json!([]));
    assert!(camera["last_frame_age_seconds"].as_f64() < Some(1.0), "{camera}");
    assert_df_agrees(&daemon, &site.mount());
    let config = site.config();
    let output = site.reelfs(&["status", "--json", "--config", text(&config)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&told["running"], &told["ring"]["uuid"]), (&true.into(), &status["ring"]["uuid"]));
    let hidden = try_tool("ls", &["-a", text(&site.mount())]);
    assert!(!String::from_utf8_lossy(&hidden.stdout).contains(".status.json"), "not listed");
    daemon.stop();
    let output = site.reelfs(&["status", "--json", "--config", text(&config)]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["running"], false, "without a daemon the ring itself is asked");
}

#[test]
fn the_exit_status_of_status_is_the_recorders_health() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut site = Site::new("64M");
    site.add_camera("door", &cameras.url(1), "");
    let config = site.config();
    let health = |expected: i32, said: &str| {
        let begun = Instant::now();
        let output = site.reelfs(&["status", "--config", text(&config)]);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(expected), "{printed}");
        assert!(printed.contains(said), "{printed}");
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    };
    health(2, "none answers");
    let daemon = site.run();
    daemon.wait_recording("door");
    health(0, "running for");
    daemon.signal("STOP");
    health(2, "does not answer");
    daemon.signal("CONT");
    drop(cameras);
    daemon::wait_until("the outage", 20, || daemon.camera("door")["state"] == "waiting");
    health(1, "wrong       door is not recorded: ");
    daemon.stop();
    health(2, "none answers");
}

#[test]
fn clips_of_a_camera_whose_footage_stays_for_a_minute_are_of_a_quarter_of_it() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut site = Site::new("64M");
    site.view = "clip = \"10m\"\nzone = \"UTC\"".to_owned();
    site.add_camera("door", &cameras.url(1), "retain = \"1m\"");
    let daemon = site.run();
    daemon.wait_recording("door");
    let status = daemon.status();
    let oldest = [&status["ring"]["oldest"], &status["cameras"][0]["oldest"]];
    assert!(oldest.iter().all(|oldest| oldest.is_string()), "what grows can be read: {status}");
    daemon::wait_until("a closed clip", 25, || daemon.camera("door")["clips"] == 1);
    let closed = clips::closed_clips(&site.mount());
    // It began at the start; the one after it at a quarter of a minute.
    daemon::wait_until("another one", 25, || daemon.camera("door")["clips"] == 2);
    let next = clips::closed_clips(&site.mount());
    let name = next.iter().find(|name| !closed.contains(name)).expect("a new one");
    let second: u32 = name[name.len() - 6..name.len() - 4].parse().expect("its second");
    assert!(second % 15 <= 1, "at a key frame behind a quarter of a minute: {name}");
    daemon.stop();
}
