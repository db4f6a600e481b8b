//! The mount behaves as people expect of a disk, with the tools that they use, while recording
//! goes on in it.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::fs;
use std::path::Path;

use cameras::Cameras;
use clips::{clips_of, closed_clips};
use daemon::{Daemon, Site, run_tool, text, try_tool, wait_until};

/// Three days of two imported cameras, and a third camera that records.
fn site(cameras: &Cameras) -> Site {
    let mut site = Site::new("64M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    site.add_camera("gate", "rtsp://127.0.0.1:1/", "");
    site.add_camera("door", &cameras.url(1), "");
    let file = clips::footage(&site.path(""), "footage.mp4", 20, &[]);
    for day in ["01", "02", "03"] {
        for camera in ["yard", "gate"] {
            site.import(camera, &format!("2026-03-{day}T12:00:00Z"), &file);
        }
    }
    site
}

fn assert_recording(daemon: &Daemon) {
    let frames = |daemon: &Daemon| daemon.camera("door")["frames"].as_u64().expect("a number");
    let before = frames(daemon);
    wait_until("recording goes on", 5, || frames(daemon) > before);
    assert_eq!(daemon.camera("door")["reconnects"], 0);
}

/// `rm -r` as people do it, and what it leaves behind.
fn assert_removes_whole(mount: &Path, below: &str) {
    run_tool("rm", &["-r", text(&mount.join(below))]);
    assert!(!mount.join(below).exists(), "{below} is still there");
    let parent = Path::new(below).parent().expect("a path");
    let names = fs::read_dir(mount.join(parent)).expect("a directory");
    let name = Path::new(below).file_name();
    assert!(names.flatten().all(|entry| Some(entry.file_name().as_os_str()) != name));
}

/// What the modifying system calls answer: `touch`, `mkdir`, `mv` and their like.
fn assert_refuses_changes(mount: &Path) {
    let clip = text(&mount.join("2026-03-03/yard/12-00-00.mp4")).to_owned();
    let new = text(&mount.join("new")).to_owned();
    let moved = format!("{clip}.old");
    let attempts: [&[&str]; 9] = [
        &["touch", &new],
        &["touch", &clip],
        &["mkdir", &new],
        &["mv", &clip, &moved],
        &["chmod", "600", &clip],
        &["chown", "1", &clip],
        &["ln", &clip, &new],
        &["truncate", "-s", "0", &clip],
        &["setfattr", "-n", "user.other", "-v", "1", &clip],
    ];
    for words in attempts {
        let output = try_tool(words[0], &words[1..]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{words:?} succeeded");
        let truthful =
            ["Read-only file system", "Operation not permitted", "Operation not supported"];
        assert!(truthful.iter().any(|reason| said.contains(reason)), "{words:?}: {said}");
    }
}

/// Files that a copy brought over, as `rsync -i` lists them.
fn copied(mount: &Path, to: &Path) -> usize {
    let from = format!("{}/", text(mount));
    let said = run_tool("rsync", &["-a", "-i", "--exclude", "/now", &from, text(to)]);
    said.lines().filter(|line| line.starts_with(">f")).count()
}

#[test]
fn copying_listing_and_removing_work_as_on_any_disk_while_recording_goes_on() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let site = site(&cameras);
    let mount = site.mount();
    let daemon = site.run();
    daemon.wait_recording("door");
    let imported = 3 * 2 * 2;
    assert_eq!(clips_of(&mount, "yard").len() + clips_of(&mount, "gate").len(), imported);

    let (first, second) = (site.path("copy"), site.path("copy-again"));
    let brought = copied(&mount, &first);
    assert!(brought >= imported, "{brought} files");
    run_tool("cp", &["-a", text(&mount.join("2026-03-01")), text(&second)]);
    run_tool("diff", &["-r", text(&mount.join("2026-03-01")), text(&second)]);
    // Not the day of the recording: a clip may have closed in between.
    for day in ["2026-03-01", "2026-03-02", "2026-03-03"] {
        assert_eq!(copied(&mount.join(day), &first.join(day)), 0, "{day}: a second copy");
    }
    let found = run_tool("find", &[text(&mount.join("2026-03-01")), "-name", "*.mp4"]);
    assert_eq!(found.lines().count(), 4);
    let listed = run_tool("ls", &["-l", text(&mount.join("2026-03-01/yard"))]);
    assert_eq!(listed.matches("-r--r--r-- 1 ").count(), 2, "{listed}");
    let listed = run_tool("ls", &["-la", text(&mount.join("2026-03-01"))]);
    assert_eq!(listed.matches("drwxr-xr-x").count(), 4, "{listed}");
    let clip = mount.join("2026-03-01/yard/12-00-10.mp4");
    let modified = run_tool("stat", &["-c", "%y", text(&clip)]);
    let end = clips::attribute(&clip, "end");
    assert_eq!(modified[..19].replace(' ', "T"), end[..19], "mtime is the end of the footage");

    let of = |name| clips::attribute(&clip, name);
    assert_eq!((of("width").as_str(), of("state").as_str()), ("320", "closed"));
    assert_eq!((of("clock").as_str(), of("ended").as_str()), ("given", "stopped"));
    let [frames, keys, bytes, used] = ["frames", "keyframes", "bytes", "used"]
        .map(|name| of(name).parse::<u64>().expect("a number"));
    assert!(keys > 0 && keys < frames && bytes > frames && used > bytes, "{keys} {bytes} {used}");
    let [day, yard] = ["2026-03-01", "2026-03-01/yard"].map(|below| mount.join(below));
    assert_eq!(["clips", "end"].map(|name| clips::attribute(&day, name))[0], "4");
    let sizes = clips_of(&mount, "yard").into_iter().filter(|it| it.starts_with("2026-03-01"));
    let sizes: u64 = sizes.map(|it| mount.join(it).metadata().expect("a clip").len()).sum();
    assert_eq!(clips::attribute(&yard, "bytes"), sizes.to_string());

    assert_refuses_changes(&mount);
    assert_recording(&daemon);

    assert_removes_whole(&mount, "2026-03-01/yard");
    assert_eq!(clips_of(&mount, "yard").len(), 4);
    assert!(mount.join("2026-03-01/gate").exists());
    assert_removes_whole(&mount, "2026-03-02");
    assert_eq!(clips_of(&mount, "gate").len(), 4);
    assert_recording(&daemon);
    let expiring = daemon.status()["ring"]["expiring_bytes"].as_u64();
    assert!(expiring > Some(0), "removed, and restorable: {expiring:?}");
    daemon.stop();
}

#[test]
fn the_day_of_the_recording_itself_can_be_removed_and_comes_back_with_the_next_clip() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut site = Site::new("64M");
    site.add_camera("door", &cameras.url(1), "");
    let mount = site.mount();
    let daemon = site.run();
    wait_until("a closed clip", 25, || !clips_of(&mount, "door").is_empty());
    let removed = clips_of(&mount, "door");
    let day = removed[0].split('/').next().expect("a day");
    assert_removes_whole(&mount, day);
    assert_recording(&daemon);
    wait_until("the next clip", 25, || !clips_of(&mount, "door").is_empty());
    let left = clips_of(&mount, "door");
    assert!(!removed.contains(&left[0]), "{left:?}");
    clips::assert_plays(&mount.join(&left[0]));
    daemon.stop();
}

#[test]
fn rmdir_takes_what_is_empty_and_nothing_else() {
    let mut site = Site::new("16M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    let file = clips::footage(&site.path(""), "footage.mp4", 20, &[]);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    let daemon = site.run();
    let day = site.mount().join("2026-03-01");
    for directory in [&day, &day.join("yard")] {
        let full = fs::remove_dir(directory).expect_err("it is not empty");
        assert_eq!(full.raw_os_error(), Some(libc::ENOTEMPTY));
    }
    for clip in closed_clips(&day) {
        fs::remove_file(day.join(clip)).expect("rm");
    }
    fs::remove_dir(day.join("yard")).expect("rmdir");
    fs::remove_dir(&day).expect("rmdir");
    assert_eq!(closed_clips(&site.mount()), Vec::<String>::new());
    daemon.stop();
}

/// Whether the kernel is at least of this version.
fn kernel_is(major: u32, minor: u32) -> bool {
    let release = run_tool("uname", &["-r"]);
    let mut numbers = release.split(['.', '-']).map_while(|part| part.trim().parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

#[test]
fn a_container_may_have_the_mount_with_ids_of_its_own() {
    let mut site = Site::new("64M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    site.view.push_str("allow_other = true\n");
    let file = clips::footage(&site.path(""), "footage.mp4", 20, &[]);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    let daemon = site.run();
    let elsewhere = site.path("elsewhere");
    fs::create_dir(&elsewhere).expect("a mount point");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/idmapped.py");
    let output = try_tool("python3", &[script, text(&site.mount()), text(&elsewhere), "4321"]);
    let said = String::from_utf8_lossy(&output.stderr);
    if kernel_is(6, 12) {
        assert!(output.status.success(), "{said}");
        let clip = elsewhere.join("2026-03-01/yard/12-00-00.mp4");
        assert_eq!(run_tool("stat", &["-c", "%u %g", text(&clip)]).trim(), "4321 4321");
        run_tool("chmod", &["a+rx", text(&site.path(""))]);
        let as_other = ["--reuid", "4321", "--regid", "4321", "--clear-groups", "rm", "-f"];
        run_tool("setpriv", &[&as_other[..], &[text(&clip)]].concat());
        assert!(!site.mount().join("2026-03-01/yard/12-00-00.mp4").exists());
        run_tool("umount", &[text(&elsewhere)]);
    } else {
        assert!(said.contains("Invalid argument"), "no FUSE mount has that before 6.12: {said}");
    }
    daemon.stop();
}

#[test]
fn who_may_not_set_the_read_ahead_is_told_who_may_and_how() {
    let mut site = Site::new("64M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    // As a user or a container has it.
    let read_only = "mount -o remount,bind,ro /sys && exec \"$@\"";
    let daemon = site.run_under(&["unshare", "-m", "sh", "-c", read_only, "sh"]);
    let hint = format!(
        "read_ahead_kb: Read-only file system (os error 30); root may: echo 2048 > \
        /sys/class/bdi/$(mountpoint -d {})/read_ahead_kb",
        text(&site.mount())
    );
    assert!(daemon.log().contains(&hint), "{}", daemon.log());
    daemon.stop();

    let daemon = site.run();
    let device = run_tool("mountpoint", &["-d", text(&site.mount())]);
    let setting = format!("/sys/class/bdi/{}/read_ahead_kb", device.trim());
    let kib = || fs::read_to_string(&setting).expect("the kernel says").trim().to_owned();
    assert_eq!(kib(), "2048");
    let command = daemon.log().lines().find(|line| line.contains("root may")).map(str::to_owned);
    assert_eq!(command, None, "there is nothing to say");
    daemon.stop();
}
