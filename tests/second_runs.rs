//! A second run of a program that copies finds what the first one copied, also behind a restart of
//! the daemon, which gives the mount another device number; through file servers, too. What does
//! not is in reelfs(7).

#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/ports.rs"]
mod ports;
#[allow(dead_code, reason = "each test file uses its own part of this")]
#[path = "support/shares.rs"]
mod shares;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clips::{closed_clips, identities};
use daemon::{Daemon, Site, run_tool, text, try_tool};
use nix::mount::{MntFlags, MsFlags};
use serde_json::Value;
use shares::{Nfs, Rclone, Samba};

/// Of the clips of the site; those of two cameras end at the same time.
const CLIPS: usize = 6;
const CAMERAS: usize = 2;

/// Three days of two cameras.
fn site() -> Site {
    let mut site = Site::new("64M");
    let file = clips::footage(&site.path(""), "footage.mp4", 8, &[]);
    for camera in ["yard", "gate"] {
        site.add_camera(camera, "rtsp://127.0.0.1:1/", "");
    }
    for day in ["01", "02", "03"] {
        for camera in ["yard", "gate"] {
            site.import(camera, &format!("2026-03-{day}T12:00:00Z"), &file);
        }
    }
    site
}

/// Something mounted elsewhere takes the device number that the next mount would get; it goes with
/// this.
struct Taken(PathBuf);

impl Drop for Taken {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// Another run, whose mount has another device number.
fn restarted(site: &Site, daemon: Daemon) -> (Daemon, Taken) {
    let device = |path: &Path| fs::metadata(path).expect("it is there").dev();
    let (before, clips) = (device(&site.mount()), identities(&site.mount()));
    daemon.stop();
    let taken = site.path("taken");
    fs::create_dir(&taken).expect("a folder");
    let (nothing, flags) = (None::<&str>, MsFlags::empty());
    nix::mount::mount(Some("taken"), &taken, Some("tmpfs"), flags, nothing).expect("a mount");
    let taken = Taken(taken);
    let daemon = site.run();
    assert_ne!(device(&site.mount()), before, "or nothing is shown by this");
    assert_eq!(identities(&site.mount()), clips);
    (daemon, taken)
}

/// How many clips a program copies, in the lines of what it says.
fn clips_in(said: &str) -> usize {
    let names = said.lines().filter_map(|line| line.split_whitespace().find(|word| is_clip(word)));
    names.collect::<BTreeSet<_>>().len()
}

fn is_clip(word: &str) -> bool {
    word.trim_end_matches(':').ends_with(".mp4")
}

fn rsync(site: &Site, root: &str) -> usize {
    let target = text(&site.path("rsync")).to_owned();
    clips_in(&run_tool("rsync", &["-a", "--exclude=/now", "--out-format=%n", root, &target]))
}

/// From a tree, or what rclone calls a remote.
fn rclone(site: &Site, from: &str, to: &str) -> usize {
    let to = text(&site.path(to)).to_owned();
    let words = ["sync", "--config", "/dev/null", "-v", "--exclude", "/now/**", from, &to];
    let output = try_tool("rclone", &words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let copied: Vec<&str> = said.lines().filter(|line| line.contains(": Copied (")).collect();
    clips_in(&copied.join("\n"))
}

/// restic, into what [`restic`] began.
fn restic(site: &Site, root: &str) -> usize {
    let (key, repository) = (site.path("key"), site.path("restic"));
    let options = ["--no-cache", "-p", text(&key), "-r", text(&repository)];
    if !repository.exists() {
        fs::write(&key, "key").expect("room");
        run_tool("restic", &[&options[..], &["init"]].concat());
    }
    let said = run_tool("restic", &[&options[..], &["backup", "--json", root]].concat());
    let told: Value = serde_json::from_str(said.lines().last().expect("a line")).expect("JSON");
    let count = |name: &str| told[name].as_u64().expect("a number") as usize;
    assert_eq!(count("files_new") + count("files_changed") + count("files_unmodified"), CLIPS);
    count("files_new") + count("files_changed")
}

/// Those that it has read, whose contents it may have already.
fn borg(site: &Site, root: &str) -> usize {
    let (repository, home) = (site.path("borg"), site.path("borg-home"));
    let own = [
        format!("BORG_BASE_DIR={}", text(&home)),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes".to_owned(),
    ];
    let own: Vec<&str> = own.iter().map(String::as_str).chain(["borg"]).collect();
    if !repository.exists() {
        run_tool("env", &[&own[..], &["init", "-e", "none", text(&repository)]].concat());
    }
    let archive = format!("{}::{{now:%s.%f}}", text(&repository));
    let words = ["create", "--list", "--filter", "AM", &archive, root];
    let output = try_tool("env", &[&own[..], &words[..]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    clips_in(&said)
}

fn tar(site: &Site, root: &str, snapshot: &str, options: &[&str]) -> usize {
    let (snapshot, archive) = (site.path(snapshot), site.path("archive.tar"));
    let words = ["-c", "-g", text(&snapshot), "-f", text(&archive), "-C", root, "."];
    run_tool("tar", &[options, &words[..]].concat());
    clips_in(&run_tool("tar", &["-tf", text(&archive)]))
}

#[test]
fn programs_that_copy_find_it_unchanged_also_behind_a_restart() {
    let site = site();
    let daemon = site.run();
    let root = format!("{}/", text(&site.mount()));
    let all = || {
        [
            ("rsync", rsync(&site, &root)),
            ("rclone", rclone(&site, &root, "rclone")),
            ("restic", restic(&site, &root)),
            ("borg", borg(&site, &root)),
            ("tar -g", tar(&site, &root, "plain", &[])),
            ("tar -g --no-check-device", tar(&site, &root, "any", &["--no-check-device"])),
        ]
    };
    assert_eq!(all().map(|(_, copied)| copied), [CLIPS; 6]);
    // What has the newest time of all borg never remembers: on any file system.
    let newest = |copied: [(_, usize); 6]| copied.map(|(_, copied)| copied);
    assert_eq!(newest(all()), [0, 0, 0, CAMERAS, 0, 0]);
    let (daemon, _taken) = restarted(&site, daemon);
    assert_eq!(newest(all()), [0, 0, 0, CAMERAS, CLIPS, 0], "tar looks at the device's number");
    assert_eq!(newest(all()), [0, 0, 0, CAMERAS, 0, 0]);
    let copy = site.path("rsync");
    for clip in closed_clips(&site.mount()) {
        assert_eq!(fs::read(copy.join(&clip)).ok(), fs::read(site.mount().join(&clip)).ok());
    }
    daemon.stop();
}

/// What a web server says of a clip, and how it answers who has it already.
fn web(port: u16, clip: &str, known: Option<&str>) -> (String, String) {
    let condition = known.map(|tag| format!("If-None-Match: {tag}")).unwrap_or_default();
    let url = format!("http://127.0.0.1:{port}/{clip}");
    let words = ["-s", "-o", "/dev/null", "-D", "-", "-H", &condition, &url];
    let said = run_tool("curl", &words);
    let line = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name}: {said}")).trim().to_owned()
    };
    (line("HTTP/1.1 "), line("ETag: "))
}

fn listed_by_nfs(nfs: &Nfs, day: &str) -> BTreeSet<String> {
    let said = run_tool("nfs-ls", &["-R", &nfs.url(day)]);
    said.lines().filter(|line| is_clip(line)).map(str::to_owned).collect()
}

#[test]
fn through_file_servers_it_is_unchanged_also_behind_a_restart() {
    let site = site();
    let daemon = site.run();
    let (mount, folder) = (site.mount(), site.path(""));
    let samba = Samba::over(&folder, &mount);
    let (webdav, sftp) = (Rclone::serve("webdav", &mount), Rclone::serve("sftp", &mount));
    let nginx = ports::free_port();
    let _nginx = shares::nginx(&folder, &mount, nginx);
    let smb = format!(":smb,host=127.0.0.1,port={},user=guest:tree", samba.port);
    let all = || {
        [(&smb, "smb"), (&webdav.remote, "webdav"), (&sftp.remote, "sftp")]
            .map(|(remote, to)| rclone(&site, remote, to))
    };
    let nfs = Nfs::over(&folder, &mount);
    let clip = closed_clips(&mount).remove(0);
    let (status, tag) = web(nginx, &clip, None);
    let by_nfs = listed_by_nfs(&nfs, "2026-03-01");
    assert_eq!((status.as_str(), by_nfs.len()), ("200 OK", CAMERAS));
    assert_eq!(all(), [CLIPS; 3]);
    assert_eq!(all(), [0; 3]);
    // The one server that holds on to the mount: it serves what is there when it begins.
    drop(nfs);
    let (daemon, _taken) = restarted(&site, daemon);
    assert_eq!(all(), [0; 3]);
    assert_eq!(web(nginx, &clip, Some(&tag)).0, "304 Not Modified");
    let nfs = Nfs::over(&folder, &mount);
    assert_eq!(listed_by_nfs(&nfs, "2026-03-01"), by_nfs);
    let copy = site.path("by-nfs.mp4");
    run_tool("nfs-cp", &[&nfs.url(&clip), text(&copy)]);
    assert_eq!(fs::read(&copy).ok(), fs::read(mount.join(&clip)).ok());
    for to in ["smb", "webdav", "sftp"] {
        assert_eq!(fs::read(site.path(to).join(&clip)).ok(), fs::read(mount.join(&clip)).ok());
    }
    // OpenSSH's server, and a client without a network.
    let server = ["-q", "-D", "/usr/lib/openssh/sftp-server", "-b", "/dev/stdin"];
    let request = format!("get -rp {}/2026-03-01 {}/by-sftp", text(&mount), text(&folder));
    let command = format!("echo '{request}' | sftp {}", server.join(" "));
    run_tool("sh", &["-c", &command]);
    let (from, to) = (mount.join("2026-03-01"), site.path("by-sftp"));
    run_tool("diff", &["-r", text(&from), text(&to)]);

    // A client gets, and deletes: the clip is in the trash.
    let copy = text(&site.path("by-smb.mp4")).to_owned();
    samba.ask(&format!("get {} {copy}", clip.replace('/', "\\"))).expect("get");
    assert_eq!(fs::read(&copy).ok(), fs::read(mount.join(&clip)).ok());
    samba.ask(&format!("del {}", clip.replace('/', "\\"))).expect("del");
    assert!(!mount.join(&clip).exists());
    assert!(mount.join(".trash").join(&clip).exists());
    daemon.stop();
}
