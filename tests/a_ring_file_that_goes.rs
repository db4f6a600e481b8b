//! A ring in a file that somebody moves, deletes or cuts off while it is recorded to: nothing fails
//! by itself then, and all of it would go into nothing.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::fs::{self, File};
use std::path::PathBuf;

use cameras::Cameras;
use daemon::{Daemon, Site, text, wait_until};

struct Bench {
    _cameras: Cameras,
    site: Site,
    daemon: Daemon,
}

impl Bench {
    fn new() -> Bench {
        let cameras = Cameras::start(&["--gop", "25"]);
        let mut site = Site::new("64M");
        site.add_camera("door", &cameras.url(1), "");
        let daemon = site.run();
        let bench = Bench { _cameras: cameras, site, daemon };
        bench.wait_more_frames();
        bench
    }

    fn frames(&self) -> u64 {
        self.daemon.camera("door")["frames"].as_u64().expect("a number")
    }

    fn wait_more_frames(&self) {
        let before = self.frames();
        wait_until("more frames", 20, || self.frames() > before + 25);
    }

    fn state(&self) -> String {
        self.daemon.status()["device"]["state"].as_str().expect("a state").to_owned()
    }

    /// Waits until it is missed, which is told, and counts as a fault.
    fn wait_missed(&self, words: &str) {
        wait_until("it is missed", 10, || self.state() == "gone");
        let log = self.daemon.log();
        assert!(log.contains("recording pauses: ") && log.contains(words), "{log}");
        let config = self.site.path("reelfs.toml");
        let told = self.site.reelfs(&["status", "--config", text(&config)]);
        assert_eq!(told.status.code(), Some(1), "{}", String::from_utf8_lossy(&told.stdout));
    }

    fn wait_back(&self) {
        wait_until("it is back", 20, || self.state() == "present");
        self.wait_more_frames();
    }

    /// What was recorded is there, before and after, and the ring is in order.
    fn finish(self, pauses: usize) {
        assert_eq!(self.daemon.log().matches("recording goes on").count(), pauses);
        let session = self.daemon.camera("door");
        assert_eq!(session["reconnects"], 0, "{session}");
        self.daemon.stop();
        let checked = self.site.reelfs(&["check", "--scrub", text(&self.site.ring_path())]);
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
        let daemon = self.site.run();
        let clips: Vec<PathBuf> = clips::clips_of(&self.site.mount(), "door")
            .into_iter()
            .map(|clip| self.site.mount().join(clip))
            .collect();
        assert!(clips.len() > pauses, "{clips:?}");
        clips.iter().for_each(|clip| clips::assert_plays(clip));
        daemon.stop();
    }
}

#[test]
fn a_ring_that_is_moved_or_deleted_is_missed_and_used_again_when_it_is_back() {
    let bench = Bench::new();
    let (ring, away) = (bench.site.ring_path(), bench.site.path("away"));
    fs::rename(&ring, &away).expect("the same directory");
    bench.wait_missed("it was moved, replaced or deleted");
    fs::write(&ring, b"something else").expect("room");
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(bench.state(), "gone");
    assert_eq!(fs::read(&ring).expect("the file"), b"something else", "untouched");
    fs::rename(&away, &ring).expect("the same directory");
    bench.wait_back();

    fs::remove_file(&ring).expect("it is there");
    bench.wait_missed("what it holds is in /proc/");
    let log = bench.daemon.log();
    let (_, rest) = log.rsplit_once("what it holds is in ").expect("its place");
    let place = rest.split(' ').next().expect("a path");
    fs::copy(place, &ring).expect("all of it is there still");
    bench.wait_back();
    bench.finish(2);
}

#[test]
fn a_ring_that_is_cut_off_is_missed() {
    let bench = Bench::new();
    let ring = File::options().write(true).open(bench.site.ring_path()).expect("the ring");
    ring.set_len(32 << 20).expect("cut off");
    bench.wait_missed("it was cut off to 33554432 of 67108864 bytes");
    let frames = bench.frames();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(bench.frames(), frames, "nothing goes into nothing");
    let refused = &bench.daemon.status()["device"]["refused"];
    assert!(refused.as_str().is_some_and(|why| why.contains("expected")), "{refused}");
    bench.daemon.kill();
}
