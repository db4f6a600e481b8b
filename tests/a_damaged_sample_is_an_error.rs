//! Promise 8: a bit that has flipped on the device is an error to who reads it, never other bytes;
//! and the rest of the clip reads.

#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

use daemon::Site;

/// What one checksum covers, in bytes: see `src/ring/FORMAT.md`.
const UNIT: usize = 16 << 10;
const PAGE: usize = 4096;

#[test]
fn a_flipped_bit_is_an_error_where_it_is_and_nowhere_else() {
    let mut site = Site::new("16M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    let noise = ["-vf", "noise=alls=40:allf=t+u", "-qp", "36"];
    let file = clips::footage(&site.path(""), "yard.mp4", 20, &noise);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    let clip = site.mount().join("2026-03-01/yard/12-00-00.mp4");
    let neighbour = site.mount().join("2026-03-01/yard/12-00-10.mp4");
    let daemon = site.run();
    let whole = fs::read(&clip).expect("a clip");
    let other = fs::read(&neighbour).expect("a clip");
    daemon.stop();

    // A place well within the samples, found on the device by its bytes.
    let at = whole.len() / 2;
    let ring = fs::read(site.ring_path()).expect("the ring");
    let mut places =
        ring.windows(32).enumerate().filter(|(_, bytes)| *bytes == &whole[at..at + 32]);
    let (place, _) = places.next().expect("it is on the device");
    assert!(places.next().is_none(), "there once");
    let device = OpenOptions::new().write(true).open(site.ring_path()).expect("the ring");
    device.write_all_at(&[ring[place] ^ 1], place as u64).expect("the ring");

    let daemon = site.run();
    let file = File::open(&clip).expect("it opens");
    let mut refused = Vec::new();
    for begin in (0..whole.len()).step_by(PAGE) {
        let expected = &whole[begin..whole.len().min(begin + PAGE)];
        let mut found = vec![0; expected.len()];
        match file.read_exact_at(&mut found, begin as u64) {
            Ok(()) => assert!(found == expected, "other bytes at {begin}"),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EIO), "{error}");
                refused.push(begin);
            }
        }
    }
    assert!(refused.contains(&(at - at % PAGE)), "the damage was read: {refused:?}");
    let reach = UNIT + PAGE;
    assert!(refused.iter().all(|begin| begin.abs_diff(at) <= reach), "{at}: {refused:?}");
    assert!(fs::read(&neighbour).expect("its neighbour") == other);
    assert!(daemon.log().contains("a reader gets EIO"), "{}", daemon.log());
    daemon.stop();
}
