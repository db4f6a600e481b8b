//! Promise 5: a crash costs at most the flush interval plus one second of each stream, and nothing
//! that was flushed before; what was growing is found, closed, and plays to its end.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cameras::Cameras;
use clips::{attribute, clips_of};
use daemon::Site;

const FLUSH: Duration = Duration::from_secs(2);
const SECOND: i64 = 1_000_000_000;

#[test]
fn a_killed_daemon_loses_no_more_than_the_flush_interval_and_a_second() {
    // A camera with rare key frames, and one with many: neither may cost more.
    let servers = [Cameras::start(&["--gop", "25"]), Cameras::start(&["--gop", "250"])];
    let mut site = Site::new("64M");
    site.ring = format!("flush = \"{}s\"", FLUSH.as_secs());
    site.view = "clip = \"1h\"\nzone = \"UTC\"".to_owned();
    site.add_camera("often", &servers[0].url(1), "");
    site.add_camera("rarely", &servers[1].url(1), "");
    let daemon = site.run();
    for camera in ["often", "rarely"] {
        daemon.wait_recording(camera);
    }
    std::thread::sleep(Duration::from_millis(7700));
    let killed_at = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let killed_at = killed_at.as_nanos() as i64;
    daemon.kill();

    let daemon = site.run();
    assert!(daemon.log().contains("2 clips closed"), "{}", daemon.log());
    let mount = site.mount();
    for (camera, server) in ["often", "rarely"].iter().zip(&servers) {
        let paths: Vec<PathBuf> =
            clips_of(&mount, camera).iter().map(|clip| mount.join(clip)).collect();
        let frames = clips::frames(&paths);
        // A file that says more than it holds would end early, or with an error.
        for path in &paths {
            clips::assert_plays(path);
            assert_eq!(attribute(path, "digest").len(), 64, "it is closed");
            let frames = clips::frames(std::slice::from_ref(path));
            assert_eq!(attribute(path, "frames"), frames.len().to_string());
            assert_eq!(clips::mkvmerge_tracks(path)[0].times.len(), frames.len());
        }
        let sent = server.sent();
        for pair in frames.windows(2) {
            assert_eq!(pair[0].number + 1, pair[1].number, "{camera}: a frame is missing");
        }
        let last = frames.last().expect("frames");
        assert!(sent.contains_key(&(1, last.number)));
        let lost = killed_at - last.sent;
        let allowed = FLUSH.as_nanos() as i64 + SECOND;
        assert!(lost <= allowed, "{camera}: {} ms are lost", lost / 1_000_000);
    }
    daemon.stop();
}
