//! Names are local times: on days of 23 and 25 hours, in every layout, and where two clips begin
//! in one second. A name belongs to its clip, not to which siblings survive.

#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clips::{Identity, attribute_time, closed_clips, identities};
use daemon::{Site, run_tool, text};

const NOWHERE: &str = "rtsp://127.0.0.1:1/";
const HOUR: i64 = 3600 * 1_000_000_000;

/// More than a day of footage, with a picture (a key frame) each minute.
fn long_footage(folder: &Path, hours: u32) -> PathBuf {
    let file = folder.join(format!("{hours}h.mp4"));
    let length = (hours * 3600).to_string();
    let source = "testsrc2=size=64x64:rate=1/60";
    let words = ["-v", "error", "-y", "-f", "lavfi", "-i", source, "-t", &length];
    let codec = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "1"];
    run_tool("ffmpeg", &[&words[..], &codec, &[text(&file)]].concat());
    file
}

/// The names of clips that a day of a camera should have.
fn hours(first: u32, repeated: Option<u32>, skipped: Option<u32>) -> Vec<String> {
    let mut names = Vec::new();
    for hour in (first..24).filter(|hour| skipped != Some(*hour)) {
        if repeated == Some(hour) {
            names.push(format!("{hour:02}-00-00+0100.mp4"));
            names.push(format!("{hour:02}-00-00+0200.mp4"));
        } else {
            names.push(format!("{hour:02}-00-00.mp4"));
        }
    }
    names
}

#[test]
fn days_of_23_and_25_hours_have_as_many_clips_and_no_name_twice() {
    let mut site = Site::new("64M");
    site.view = "clip = \"1h\"\nzone = \"Europe/Berlin\"".to_owned();
    site.add_camera("yard", NOWHERE, "");
    let file = long_footage(&site.path(""), 26);
    site.import("yard", "2026-03-28T23:00:00Z", &file);
    site.import("yard", "2026-10-24T22:00:00Z", &file);
    let daemon = site.run();
    let mount = site.mount();
    let short = closed_clips(&mount.join("2026-03-29/yard"));
    assert_eq!(short, hours(0, None, Some(2)), "clocks are put forward at two");
    let long = closed_clips(&mount.join("2026-10-25/yard"));
    assert_eq!(long, hours(0, Some(2), None), "clocks are put back at three");
    let day = mount.join("2026-10-25/yard");
    let start = |name: &str| attribute_time(&day.join(name), "start");
    assert_eq!(start("02-00-00+0100.mp4") - start("02-00-00+0200.mp4"), HOUR);
    assert_eq!(start("03-00-00.mp4") - start("02-00-00+0100.mp4"), HOUR);
    for name in &long {
        assert_eq!(clips::attribute(&day.join(name), "frames"), "60", "{name}");
    }
    daemon.stop();
}

/// Inodes and what else must not change, whatever the names are.
fn by_inode(mount: &Path) -> BTreeMap<u64, Identity> {
    identities(mount).into_values().map(|identity| (identity.inode, identity)).collect()
}

#[test]
fn a_layout_changes_names_and_nothing_else() {
    let mut site = Site::new("32M");
    site.add_camera("front-door", NOWHERE, "");
    let file = clips::footage(&site.path(""), "footage.mp4", 25, &[]);
    site.import("front-door", "2026-07-01T22:59:50Z", &file);
    let mount = site.mount();
    let mut known = None;
    for (layout, expected) in [
        (
            "default",
            ["00-59-50.mp4", "01-00-00.mp4", "01-00-10.mp4"]
                .map(|name| format!("2026-07-02/front-door/{name}")),
        ),
        (
            "frigate",
            [
                "2026-07-01/22/front-door/59.50.mp4".to_owned(),
                "2026-07-01/23/front-door/00.00.mp4".to_owned(),
                "2026-07-01/23/front-door/00.10.mp4".to_owned(),
            ],
        ),
        (
            "{camera}/%Y/%j/{camera}_%H%M%S.mp4",
            ["005950", "010000", "010010"]
                .map(|time| format!("front-door/2026/183/front-door_{time}.mp4")),
        ),
    ] {
        site.view = format!("clip = \"10s\"\nzone = \"Europe/Berlin\"\nlayout = {layout:?}");
        let daemon = site.run();
        assert_eq!(closed_clips(&mount), expected, "{layout}");
        let now = by_inode(&mount);
        assert_eq!(known.get_or_insert_with(|| now.clone()), &now, "{layout}");
        daemon.stop();
    }
}

#[test]
fn two_clips_in_one_second_keep_their_names_when_the_other_is_deleted() {
    let mut site = Site::new("32M");
    site.purge = "every = \"1s\"\ngrace = \"0s\"".to_owned();
    site.add_camera("yard", NOWHERE, "");
    let file = clips::footage(&site.path(""), "footage.mp4", 1, &["-frames:v", "4"]);
    for start in ["12:00:00.0", "12:00:00.5", "12:00:01.0", "12:00:01.5"] {
        site.import("yard", &format!("2026-07-01T{start}Z"), &file);
    }
    // Footage that overlaps, as a clock that was set back makes it.
    site.import_with("yard", "2026-07-01T12:00:01.5Z", &file, &["--force"]);
    let names = |words: &[&str]| -> Vec<String> {
        words.iter().map(|word| format!("2026-07-01/yard/{word}.mp4")).collect()
    };
    let mount = site.mount();
    let daemon = site.run();
    let all = ["12-00-00", "12-00-00.500", "12-00-01", "12-00-01.500", "12-00-01.500-2"];
    let mut sorted = names(&all);
    sorted.sort();
    assert_eq!(closed_clips(&mount), sorted);
    let before = identities(&mount);
    // Of the one second the first goes, of the other the second.
    for gone in names(&["12-00-00", "12-00-01.500"]) {
        fs::remove_file(mount.join(gone)).expect("rm");
    }
    let mut left = names(&["12-00-00.500", "12-00-01", "12-00-01.500-2"]);
    left.sort();
    let assert_left = || {
        assert_eq!(closed_clips(&mount), left);
        for (clip, identity) in identities(&mount) {
            assert_eq!(before.get(&clip), Some(&identity), "{clip}");
        }
    };
    assert_left();
    daemon::wait_until("the purge", 15, || daemon.log().contains("yard: purged 2 clips"));
    assert_left();
    daemon.stop();
    let daemon = site.run();
    assert_left();
    daemon.stop();
    // A free name is given out again.
    site.import("yard", "2026-07-01T12:00:00Z", &file);
    let daemon = site.run();
    assert!(mount.join("2026-07-01/yard/12-00-00.mp4").exists(), "{:?}", closed_clips(&mount));
    daemon.stop();
}
