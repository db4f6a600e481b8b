//! Several views of one ring, each a mount of its own: with its own names, cameras, owner and
//! permissions. What happens in one is seen in all that show it; none disturbs another.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use cameras::Cameras;
use clips::{Identity, identities};
use daemon::{Daemon, Site, is_mounted, text, wait_until};

const NOWHERE: &str = "rtsp://127.0.0.1:1/";
const KEEP: &str = "user.reelfs.keep";
/// One clip of `door` in each of the views.
const CLIP: [&str; 3] = [
    "2026-03-01/door/12-00-20.mp4",
    "2026-03-01/12/door/00.20.mp4",
    "door/main/2026-03-01/17-45-20.mp4",
];

/// A ring with some footage of `yard` and of `door`, and three views: of all of it, of all of it
/// read-only, and of the door for somebody who is to know of nothing else.
fn site() -> (Site, [PathBuf; 3]) {
    let mut site = Site::new("64M");
    site.add_camera("yard", NOWHERE, "");
    site.add_camera("door", NOWHERE, "");
    let file = clips::footage(&site.path(""), "footage.mp4", 30, &[]);
    for camera in ["yard", "door"] {
        site.import(camera, "2026-03-01T12:00:00Z", &file);
    }
    let frigate = "layout = \"frigate\"\nzone = \"Europe/Berlin\"\nread_only = true";
    let frigate = site.add_view("frigate", frigate);
    let door = "layout = \"{camera}/{stream}/%F/%H-%M-%S.mp4\"\nzone = \"Asia/Kathmandu\"\n\
                cameras = [\"doo?\"]\nlist_special = true\nallow_other = true\n\
                uid = 1234\ngid = 5678\numask = \"027\"";
    let door = site.add_view("door", door);
    // Others than root are to come in.
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(site.path(""), open).expect("the test's own");
    let views = [site.mount(), frigate, door];
    (site, views)
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    output.unwrap_or_else(|error| panic!("this test needs {program}: {error}"))
}

/// What a program says on standard error; nothing where it succeeds.
fn fails(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{program} {arguments:?}: {said}");
    said
}

/// Where the clips of each view are: the root of the last one lists what has no end, too.
fn trees(views: &[PathBuf; 3]) -> [PathBuf; 3] {
    [views[0].clone(), views[1].clone(), views[2].join("door")]
}

/// Clips by their inodes, which are those of all views.
fn by_inode(tree: &Path) -> BTreeMap<u64, Identity> {
    identities(tree).into_values().map(|identity| (identity.inode, identity)).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|it| it.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// In which of the views there is something at the path of the clip, behind `before`.
fn has(views: &[PathBuf; 3], before: &str) -> [bool; 3] {
    let found = |at: usize| views[at].join(before).join(CLIP[at]).exists();
    [found(0), found(1), found(2)]
}

#[test]
fn each_view_has_its_own_names_cameras_owner_and_permissions_over_a_restart() {
    let (site, views) = site();
    let [all, frigate, door] = &views;
    let daemon = site.run();
    let known = trees(&views).map(|tree| by_inode(&tree));
    assert_eq!((known[0].len(), known[2].len()), (6, 3));
    assert_eq!(known[0], known[1], "the same bytes, sizes and inodes");
    assert!(known[2].iter().all(|(inode, identity)| known[0][inode] == *identity));
    assert_eq!(has(&views, ""), [true; 3]);
    assert_eq!(names(&frigate.join("2026-03-01/12")), ["door", "yard"]);
    let clip = |hour: &str| ["00", "10", "20"].map(|second| format!("{hour}{second}.mp4"));
    assert_eq!(names(&frigate.join("2026-03-01/12/yard")), clip("00."), "as Frigate names them");
    assert_eq!(names(&door.join("door/main/2026-03-01")), clip("17-45-"));

    // Nothing tells of another camera.
    let special = [".kept", ".range", ".trash", "door", "live", "now"];
    assert_eq!(names(door), special);
    assert_eq!(names(&door.join(".range")), ["door"]);
    assert_eq!(names(&door.join("live")), ["door.mkv", "door.mp4", "door.ts"]);
    for missing in [".status.json", ".metrics", ".log", ".range/yard", "live/yard.mp4", "yard"] {
        let error = fs::metadata(door.join(missing)).expect_err(missing);
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{missing}");
    }
    let range = "2026-03-01T12-00-05--12-00-15.mp4";
    assert!(fs::metadata(all.join(".range/yard").join(range)).is_ok());
    assert!(door.join(".range/door/2026-03-01T17-45-05--17-45-15.mp4").exists(), "local times");

    let modes = |path: &Path| {
        let told = fs::metadata(path).expect("it is there");
        (told.uid(), told.gid(), told.mode() & 0o7777)
    };
    assert_eq!((modes(all), modes(&all.join(CLIP[0]))), ((0, 0, 0o755), (0, 0, 0o444)));
    let own = ((1234, 5678, 0o750), (1234, 5678, 0o440));
    assert_eq!((modes(door), modes(&door.join(CLIP[2]))), own);
    let as_user = |user: &str, program: &[&str]| {
        let user = ["--reuid", user, "--regid", user, "--clear-groups"];
        fails("setpriv", &[&user[..], program].concat())
    };
    assert!(as_user("4321", &["ls", text(door)]).contains("Permission denied"));
    assert!(as_user("1234", &["ls", text(all)]).contains("Permission denied"), "no allow_other");
    assert_eq!(as_user("1234", &["rm", "-f", text(&door.join(CLIP[2]))]), "", "it is the user's");
    wait_until("it is gone", 5, || has(&views, "") == [false; 3]);
    assert_eq!(has(&views, ".trash"), [true; 3]);

    let known = trees(&views).map(|tree| identities(&tree));
    daemon.stop();
    assert!(views.iter().all(|view| !is_mounted(view)), "all are unmounted");
    let daemon = site.run();
    assert_eq!(trees(&views).map(|tree| identities(&tree)), known);
    daemon.stop();
}

#[test]
fn what_happens_in_one_view_is_seen_in_all_and_nothing_changes_through_one_that_is_read_only() {
    let (site, views) = site();
    let [all, frigate, door] = &views;
    let daemon = site.run();
    let mounts = fs::read_to_string("/proc/self/mounts").expect("the mounts");
    let options = |mount: &Path| {
        let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some(text(mount)));
        line.and_then(|line| line.split(' ').nth(3)).expect("it is mounted").to_owned()
    };
    assert!(options(frigate).starts_with("ro,") && options(all).starts_with("rw,"));
    let clip = frigate.join(CLIP[1]);
    let refused = |when: &str| {
        for (program, arguments) in [
            ("rm", &["-f", text(&clip)][..]),
            ("rmdir", &[text(&frigate.join("2026-03-01"))]),
            ("mv", &[text(&clip), text(frigate)]),
            ("setfattr", &["-n", KEEP, "-v", "forever", text(&clip)]),
            ("setfattr", &["-x", KEEP, text(&clip)]),
        ] {
            let said = fails(program, arguments);
            assert!(said.contains("Read-only file system"), "{when}: {program}: {said}");
        }
    };
    refused("by the kernel");
    assert_eq!(fails("mount", &["-i", "-o", "remount,rw", text(frigate)]), "");
    refused("by the daemon");

    fs::remove_file(all.join(CLIP[0])).expect("rm");
    wait_until("it is removed in all", 5, || has(&views, "") == [false; 3]);
    assert_eq!(has(&views, ".trash"), [true; 3]);
    fs::rename(door.join(".trash").join(CLIP[2]), door.join(CLIP[2])).expect("mv");
    wait_until("it is restored in all", 5, || has(&views, "") == [true; 3]);
    assert_eq!(fails("setfattr", &["-n", KEEP, "-v", "forever", text(&door.join(CLIP[2]))]), "");
    assert_eq!(has(&views, ".kept"), [true; 3]);
    assert!(fs::remove_file(all.join(CLIP[0])).is_err(), "it is kept");

    let config = site.config();
    let reelfs = |verb: &str, path: &Path| {
        let output = site.reelfs(&[verb, "--config", text(&config), text(path)]);
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let (done, said) = reelfs("unkeep", &door.join(".kept").join(CLIP[2]));
    assert!(done && said.contains("released 1 clip"), "{said}");
    let (done, said) = reelfs("rm", &clip);
    assert!(!done && said.contains("frigate: the view is read-only"), "{said}");
    let (done, said) = reelfs("rm", &door.join(CLIP[2]));
    assert!(done && said.contains("removed 1 clip"), "{said}");
    wait_until("it is removed in all", 5, || has(&views, "") == [false; 3]);
    let (done, said) = reelfs("rm", &site.path("reelfs.toml"));
    assert!(!done && said.contains("it is not in") && said.contains("door"), "{said}");
    let (done, said) = reelfs("restore", &door.join(".trash").join(CLIP[2]));
    assert!(done && said.contains("restored 1 clip"), "{said}");
    wait_until("it is restored in all", 5, || has(&views, "") == [true; 3]);
    daemon.stop();
}

/// A view that is cut off, and one in whose place somebody else mounts something.
fn assert_comes_back(door: &Path, daemon: &Daemon) {
    let gone = format!("{}: somebody has unmounted it", door.display());
    // Somebody who can't unmount it, because it is in use, has cut it off.
    let clip = fs::File::open(door).expect("a directory");
    let forced = nix::mount::umount2(door, nix::mount::MntFlags::MNT_FORCE);
    assert_eq!(forced, Err(nix::errno::Errno::EBUSY));
    wait_until("it is mounted again", 15, || {
        daemon.log().matches("door: mounted again").count() == 2 && is_mounted(door)
    });
    drop(clip);
    let cut_off = format!("{}: somebody has cut it off ('umount -f'", door.display());
    let log = daemon.log();
    assert!(log.contains(&cut_off) && log.matches(&gone).count() == 1, "{log}");
    // What somebody else mounts in its place stays.
    nix::mount::umount2(door, nix::mount::MntFlags::MNT_DETACH).expect("it is mounted");
    let nothing = None::<&str>;
    nix::mount::mount(Some("others"), door, Some("tmpfs"), nix::mount::MsFlags::empty(), nothing)
        .expect("a mount of somebody else");
    wait_until("it is noticed", 15, || daemon.log().matches(&gone).count() == 2);
    fs::write(door.join("theirs"), b"x").expect("their file");
    std::thread::sleep(Duration::from_secs(2));
    assert!(door.join("theirs").exists(), "{}", daemon.log());
    nix::mount::umount(door).expect("it is mounted");
    wait_until("it is mounted again", 15, || is_mounted(door));
}

#[test]
fn what_is_recorded_goes_into_all_and_a_view_that_is_unmounted_comes_back() {
    let cameras = Cameras::start(&["--cameras", "2", "--gop", "12"]);
    let mut site = Site::new("64M");
    site.add_camera("yard", &cameras.url(1), "");
    site.add_camera("door", &cameras.url(2), "");
    let door = site.add_view("door", "layout = \"camera\"\nzone = \"UTC\"\ncameras = [\"door\"]");
    let all = site.mount();
    let daemon = site.run();
    daemon.wait_recording("yard");
    daemon.wait_recording("door");
    // Between two clips nothing grows, until the next key frame.
    let grows = || names(&door.join("now")) == ["door.mp4"];
    wait_until("what grows", 10, grows);
    assert!(fs::metadata(door.join("now/yard.mp4")).is_err());
    let growing = || fs::read(door.join("now/door.mp4")).is_ok_and(|bytes| bytes.len() > 1000);
    wait_until("what there is", 10, growing);
    let status = daemon.status();
    let views = status["views"].as_array().expect("a list");
    let told = |view: usize, key: &str| views[view][key].clone();
    assert_eq!((told(0, "mount"), told(1, "layout")), (text(&all).into(), "camera".into()));
    assert_eq!((told(0, "mounted"), told(1, "mounted")), (true.into(), true.into()));
    assert_eq!(told(1, "cameras"), serde_json::json!(["door"]));
    let metrics = fs::read_to_string(all.join(".metrics")).expect("the metrics");
    for line in [
        format!("reelfs_view_mounted{{view={:?}}} 1", text(&door)),
        format!("_count{{view={:?},operation=\"rename\"}} 0", text(&door)),
        format!("_count{{view={:?},operation=\"rename\"}} 0", text(&all)),
    ] {
        assert!(metrics.contains(&line), "{line}:\n{metrics}");
    }

    let device = |mount: &Path| fs::metadata(mount).expect("it is there").dev();
    let before = device(&all);
    nix::mount::umount2(&door, nix::mount::MntFlags::MNT_DETACH).expect("it is mounted");
    wait_until("it is mounted again", 15, || is_mounted(&door));
    let log = daemon.log();
    let gone = format!("{}: somebody has unmounted it", door.display());
    assert!(log.contains(&gone) && log.contains("door: mounted again"), "{log}");
    assert_eq!(device(&all), before, "the other one has not noticed");

    assert_comes_back(&door, &daemon);
    wait_until("what grows there", 10, grows);
    daemon.stop();

    let daemon = site.run();
    let clips: Vec<String> = identities(&all).into_keys().collect();
    assert!(clips.iter().any(|clip| clip.contains("/yard/")), "{clips:?}");
    let expected = clips.iter().filter(|clip| clip.contains("/door/")).map(|clip| {
        let (day, rest) = clip.split_once("/door/").expect("its day");
        format!("door/{day}/{rest}")
    });
    let expected: Vec<String> = expected.collect();
    assert!(!expected.is_empty());
    assert_eq!(identities(&door).into_keys().collect::<Vec<_>>(), expected);
    daemon.stop();
}

#[test]
fn a_view_that_can_not_be_mounted_is_named_and_none_is_left_behind() {
    let mut site = Site::new("64M");
    let other = site.add_view("other", "");
    fs::write(other.join("file"), "").expect("room");
    let error = |site: &Site| {
        let mut daemon = site.start_under(&[]);
        assert!(!daemon.wait_end().success());
        assert!(!is_mounted(&site.mount()));
        daemon.log()
    };
    let said = error(&site);
    assert!(said.contains("other: not empty (\"file\" is in it)"), "{said}");
    fs::remove_file(other.join("file")).expect("it is there");
    fs::remove_dir(&other).expect("it is empty");
    fs::create_dir(site.mount().join("inner")).expect("room");
    std::os::unix::fs::symlink(site.mount().join("inner"), &other).expect("a link");
    let said = error(&site);
    assert!(said.contains("mount: not empty"), "{said}");
    fs::remove_dir(site.mount().join("inner")).expect("it is empty");
    fs::remove_file(&other).expect("a link");
    std::os::unix::fs::symlink(site.mount(), &other).expect("a link");
    let said = error(&site);
    assert!(said.contains("lies in mount point"), "{said}");
    fs::remove_file(&other).expect("a link");
    fs::create_dir(&other).expect("room");
    let config = site.config();
    let said = |words: &[&str]| {
        let output = site.reelfs(&[words, &["--config", text(&config)]].concat());
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let checked = said(&["run", "--check"]);
    for mount in [&site.mount(), &other] {
        assert!(checked.contains(&format!("mount       {}\n", mount.display())), "{checked}");
    }
    let daemon = site.run();
    assert!(is_mounted(&other));
    let status = said(&["status"]);
    assert_eq!(status.lines().filter(|line| line.starts_with("view ")).count(), 2, "{status}");
    daemon.stop();
}

#[test]
fn a_status_that_no_view_shows_is_said_to_be_none() {
    let mut site = Site::without_ring();
    site.view = "cameras = [\"door\"]".to_owned();
    let output = site.reelfs(&["status", "--config", text(&site.config())]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no view shows the status"), "{said}");
}
