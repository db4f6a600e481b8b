//! A ring on a block device: it wraps, restarts and survives a kill as one in a file does, and is
//! written around the page cache. Needs root and loop devices.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use cameras::Cameras;
use clips::{closed_clips, identities};
use daemon::{Daemon, Site, run_tool, text, try_tool, wait_until};

/// A loop device; detached when dropped.
struct Loop(String);

impl Loop {
    fn of(size: u64, site: &Site) -> Loop {
        let backing = site.path("backing");
        File::create(&backing).and_then(|file| file.set_len(size)).expect("a file");
        Loop(run_tool("losetup", &["--find", "--show", text(&backing)]).trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        try_tool("losetup", &["--detach", &self.0]);
    }
}

/// Whether every descriptor that the daemon has of a device goes around the page cache.
fn is_direct(daemon: &Daemon, device: &str) -> bool {
    let process = PathBuf::from(format!("/proc/{}", daemon.id()));
    let mut flags = Vec::new();
    for entry in fs::read_dir(process.join("fd")).expect("its descriptors").flatten() {
        if fs::read_link(entry.path()).is_ok_and(|target| target == Path::new(device)) {
            let info = fs::read_to_string(process.join("fdinfo").join(entry.file_name()));
            let info = info.expect("its flags");
            let line = info.lines().find_map(|line| line.strip_prefix("flags:"));
            flags.push(i32::from_str_radix(line.expect("its flags").trim(), 8).expect("octal"));
        }
    }
    assert!(!flags.is_empty(), "{device} is not open");
    flags.iter().all(|flags| flags & libc::O_DIRECT != 0)
}

#[test]
fn a_ring_on_a_block_device_wraps_restarts_and_survives_a_kill() {
    let options = ["--gop", "25", "--bitrate", "8000k", "--size", "1280x720"];
    let mut cameras = Cameras::start(&options);
    let mut site = Site::without_ring();
    let device = Loop::of(24 << 20, &site);
    std::os::unix::fs::symlink(&device.0, site.ring_path()).expect("a link");
    let formatted = site.reelfs(&["format", "--block-size", "1M", &device.0]);
    assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
    site.add_camera("door", &cameras.url(1), "");
    let daemon = site.run();
    assert!(is_direct(&daemon, &device.0), "writes go through the page cache");
    assert!(!daemon.log().contains("direct I/O is not possible"));
    wait_until("the ring wraps", 90, || daemon.status()["ring"]["evicted"].as_u64() >= Some(2));
    let refused = site.reelfs(&["format", "--force", &device.0]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("in use"));
    // Nothing is evicted while nothing comes.
    cameras.tell("stall 60");
    std::thread::sleep(std::time::Duration::from_millis(3500));
    let before = identities(&site.mount());
    daemon.kill();

    site.cameras = site.cameras.replace(&cameras.url(1), "rtsp://127.0.0.1:1/");
    let mut known = before;
    for _ in 0..2 {
        let daemon = site.run();
        let found = identities(&site.mount());
        for (clip, identity) in &known {
            assert_eq!(found.get(clip), Some(identity), "{clip}");
        }
        for clip in closed_clips(&site.mount()) {
            clips::assert_plays(&site.mount().join(clip));
        }
        assert!(!found.is_empty());
        known = found;
        daemon.stop();
    }
}
