//! What is purged is gone and takes nothing else with it; what is too old goes by itself; and what
//! the ring overwrites is an error to its readers, never other bytes. Promises 6 and 8.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cameras::Cameras;
use clips::{clips_of, closed_clips, identities};
use daemon::{Site, run_tool, text, wait_until};

/// How much of a sample has to turn up for it to count as found, in bytes.
const WINDOW: usize = 64;
/// Windows looked for of each sample.
const WINDOWS_PER_SAMPLE: usize = 16;
/// No two pictures have bytes in common.
const NOISE: [&str; 4] = ["-vf", "noise=alls=40:allf=t+u", "-qp", "36"];

type Window = [u8; WINDOW];

/// Windows of all samples of a clip.
fn windows(clip: &Path) -> HashSet<Window> {
    let bytes = fs::read(clip).expect("a clip");
    let words = ["-v", "error", "-show_entries", "packet=pos,size", "-of", "json", text(clip)];
    let probed = run_tool("ffprobe", &words);
    let probed: serde_json::Value = serde_json::from_str(&probed).expect("JSON");
    let mut found = HashSet::new();
    for packet in probed["packets"].as_array().expect("packets") {
        let number = |key: &str| -> usize {
            packet[key].as_str().and_then(|text| text.parse().ok()).expect("a number")
        };
        let sample = &bytes[number("pos")..][..number("size")];
        assert!(sample.len() > 2 * WINDOW, "samples worth looking for");
        let last = sample.len() - WINDOW;
        for step in 0..WINDOWS_PER_SAMPLE {
            let at = last * step / (WINDOWS_PER_SAMPLE - 1);
            found.insert(sample[at..at + WINDOW].try_into().expect("a window"));
        }
    }
    found
}

/// How many of the windows occur in a file, at any place.
fn occurring(windows: &HashSet<Window>, file: &Path) -> usize {
    let bytes = fs::read(file).expect("the ring");
    let prefix = |window: &[u8]| u64::from_le_bytes(window[..8].try_into().expect("8 bytes"));
    let prefixes: HashSet<u64> = windows.iter().map(|window| prefix(window)).collect();
    let found: HashSet<&[u8]> = bytes
        .windows(WINDOW)
        .filter(|window| prefixes.contains(&prefix(window)))
        .filter(|window| windows.contains(*window))
        .collect();
    found.len()
}

#[test]
fn no_byte_of_a_purged_clip_is_left_on_the_device_and_its_neighbours_are_intact() {
    let mut site = Site::new("16M");
    site.purge = "every = \"1s\"\ngrace = \"1s\"\nwipe = true".to_owned();
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    let file = clips::footage(&site.path(""), "yard.mp4", 60, &NOISE);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    let daemon = site.run();
    let mount = site.mount();
    let purged = "2026-03-01/yard/12-00-20.mp4";
    let windows = windows(&mount.join(purged));
    assert_eq!(occurring(&windows, &site.ring_path()), windows.len(), "the search finds");
    let mut before = identities(&mount);
    before.remove(purged).expect("it is there");
    let used = daemon.status()["ring"]["used_bytes"].as_u64();
    fs::remove_file(mount.join(purged)).expect("rm");
    wait_until("the purge", 15, || daemon.log().contains("yard: purged 1 clip"));
    assert!(daemon.log().contains("1 removed, grace over"), "{}", daemon.log());
    assert_eq!(occurring(&windows, &site.ring_path()), 0, "while it runs");
    assert_eq!(identities(&mount), before);
    assert!(daemon.status()["ring"]["used_bytes"].as_u64() <= used);
    assert_eq!(daemon.status()["ring"]["expiring_bytes"], 0);
    daemon.stop();
    assert_eq!(occurring(&windows, &site.ring_path()), 0);
    fs::remove_dir_all(site.index_path()).expect("an index");
    let daemon = site.run();
    assert_eq!(identities(&mount), before);
    daemon.stop();
}

#[test]
fn clips_older_than_their_cameras_retain_vanish_with_one_line_for_each_camera() {
    let mut site = Site::new("16M");
    site.purge = "every = \"1s\"".to_owned();
    let cameras = ["yard", "gate", "gone"];
    for name in cameras {
        site.add_camera(name, "rtsp://127.0.0.1:1/", "");
    }
    let file = clips::footage(&site.path(""), "footage.mp4", 20, &[]);
    for camera in cameras {
        site.import(camera, "2026-03-01T12:00:00Z", &file);
    }
    // What the ring knows of a camera that has left the configuration is what it was told last.
    for (name, retain) in [("yard", "14d"), ("gone", "1d")] {
        let named = format!("name = {name:?}\n");
        site.cameras = site.cameras.replace(&named, &format!("{named}retain = {retain:?}\n"));
    }
    let young = clips::footage(&site.path(""), "young.mp4", 19, &[]);
    site.import("yard", "-1h", &young);
    site.import("gone", "-23h", &young);
    // One camera has left the configuration: its last retain holds. One says nothing: its clips
    // stay.
    site.cameras = site.cameras.replace("name = \"gone\"", "name = \"new\"");
    let daemon = site.run();
    let mount = site.mount();
    wait_until("the purge", 15, || {
        let log = daemon.log();
        log.contains("yard: purged 2 clips") && log.contains("gone: purged 2 clips")
    });
    let log = daemon.log();
    for (camera, why) in [("yard", "older than 14d"), ("gone", "older than 1d")] {
        let lines: Vec<&str> =
            log.lines().filter(|line| line.contains(&format!("{camera}: purged"))).collect();
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(line.contains(" MiB, in ") && line.contains(&format!("2 {why}")), "{line}");
    }
    assert!(!log.contains("gate: purged"), "{log}");
    let may_stay = |clip: &String| !clip.contains("2026-03-01") || clip.contains("/gate/");
    wait_until("the listing follows", 5, || closed_clips(&mount).iter().all(may_stay));
    let left = closed_clips(&mount);
    assert_eq!(left.iter().filter(|clip| clip.contains("2026-03-01/gate/")).count(), 2);
    let young = clips_of(&mount, "yard");
    assert!(!young.is_empty() && young.iter().all(|clip| !clip.contains("2026-03-01")));
    wait_until("emptied directories vanish", 80, || !mount.join("2026-03-01/gone").exists());
    daemon.stop();
}

/// Reads clips again and again until told to stop; counts what it could read.
fn read_on(mount: &Path, known: &BTreeMap<String, Vec<u8>>, stop: &AtomicBool) -> usize {
    let mut read = 0;
    while !stop.load(Ordering::SeqCst) {
        for (clip, bytes) in known {
            // Evicted before it is opened, or while it is read.
            let Ok(found) = fs::read(mount.join(clip)) else { continue };
            assert!(found == *bytes, "{clip}: other bytes");
            read += 1;
        }
    }
    read
}

#[test]
fn a_file_that_is_open_while_its_clip_is_evicted_reads_its_own_bytes_or_an_error() {
    let cameras = Cameras::start(&["--gop", "25", "--bitrate", "8000k", "--size", "1280x720"]);
    let mut site = Site::new("24M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    site.add_camera("door", &cameras.url(1), "");
    let file = clips::footage(&site.path(""), "yard.mp4", 120, &NOISE);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    let mount = site.mount();
    let daemon = site.run();
    let clips = clips_of(&mount, "yard");
    let known: BTreeMap<String, Vec<u8>> = clips
        .iter()
        .map(|clip| (clip.clone(), fs::read(mount.join(clip)).expect("a clip")))
        .collect();
    let open: Vec<File> =
        clips.iter().map(|clip| File::open(mount.join(clip)).expect("a clip")).collect();
    let oldest = mount.join(&clips[0]);
    let stop = AtomicBool::new(false);
    let read = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_on(&mount, &known, &stop));
        wait_until("the oldest clips are evicted", 60, || {
            !oldest.exists() && daemon.status()["ring"]["evicted"].as_u64() >= Some(3)
        });
        stop.store(true, Ordering::SeqCst);
        reader.join().expect("no other bytes")
    });
    assert!(read > 0, "nothing could be read");
    let mut refused = 0;
    for (file, (clip, bytes)) in open.iter().zip(&known) {
        for (number, page) in bytes.chunks(4096).enumerate() {
            let mut found = vec![0; page.len()];
            match file.read_exact_at(&mut found, number as u64 * 4096) {
                Ok(()) => assert!(found == page, "{clip}: page {number} has other bytes"),
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::EIO), "{clip}: {error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 0, "nothing was evicted under an open file");
    assert_eq!(daemon.camera("door")["dropped"], serde_json::json!({}), "eviction is no loss");
    daemon.stop();
}
