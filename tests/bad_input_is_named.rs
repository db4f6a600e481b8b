//! Bad input of every kind: a message that names the thing and the reason, the right exit status,
//! and nothing touched.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use cameras::Cameras;
use daemon::{Site, run_tool, text, wait_until};

const FAILED: i32 = 1;
const WRONG_USAGE: i32 = 2;

/// A camera that nobody answers for.
const NOWHERE: &str = "rtsp://127.0.0.1:1/";

fn digest(path: &Path) -> String {
    blake3::hash(&fs::read(path).expect("a file")).to_string()
}

/// `run` ends by itself, with the status and all of the words, and leaves the ring as it was.
fn assert_run_refused(site: &Site, status: i32, words: &[&str]) {
    let ring = site.ring_path();
    let before = ring.is_file().then(|| digest(&ring));
    let mut daemon = site.start_under(&[]);
    let ended = daemon.wait_end();
    let log = daemon.log();
    assert_eq!(ended.code(), Some(status), "{log}");
    for word in words {
        assert!(log.contains(word), "{word:?} is not in: {log}");
    }
    let last = log.lines().last().expect("a message");
    assert!(last.starts_with("reelfs: "), "{last}");
    assert_eq!(ring.is_file().then(|| digest(&ring)), before, "the ring was touched");
    assert!(!daemon::is_mounted(&site.mount()));
}

fn assert_refused(output: &Output, status: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

fn run(words: &[&str]) -> Output {
    Command::new(words[0]).args(&words[1..]).output().expect("it runs")
}

fn site() -> Site {
    let mut site = Site::new("12M");
    site.add_camera("yard", NOWHERE, "");
    site
}

#[test]
fn a_ring_that_cannot_be_used_is_refused_by_name_and_reason() {
    let ring = site();
    let path = ring.ring_path();
    let name = text(&path);
    let length = fs::metadata(&path).expect("the ring").len();
    let open = || OpenOptions::new().read(true).write(true).open(&path).expect("the ring");

    // Each superblock as a later program would write it: another version, another feature.
    let whole = fs::read(&path).expect("the ring");
    let patch = |at: usize, value: u8| {
        for begin in [0, length as usize - 4096] {
            let mut page = whole[begin..begin + 4096].to_vec();
            page[at] = value;
            page[8..12].fill(0);
            let checksum = crc32c::crc32c(&page);
            page[8..12].copy_from_slice(&checksum.to_le_bytes());
            open().write_all_at(&page, begin as u64).expect("the ring");
        }
    };
    patch(12, 2);
    assert_run_refused(&ring, FAILED, &[name, "ring format 2 is newer than this program"]);
    patch(32, 0x40);
    assert_run_refused(&ring, FAILED, &[name, "features that this program does not know", "0x40"]);
    patch(12, 1);
    ring.run().stop();

    open().set_len(length / 2).expect("the ring");
    assert_run_refused(&ring, FAILED, &[name, "truncated"]);
    fs::write(&path, vec![b'x'; length as usize]).expect("the ring");
    assert_run_refused(&ring, FAILED, &[name, "no reelfs superblock"]);
    fs::write(&path, b"").expect("the ring");
    assert_run_refused(&ring, FAILED, &[name, "too short"]);
    fs::remove_file(&path).expect("the ring");
    assert_run_refused(&ring, FAILED, &[name, "No such file"]);
    fs::create_dir(&path).expect("a directory");
    assert_run_refused(&ring, FAILED, &[name, "neither a block device nor a file"]);
}

#[test]
fn a_ring_or_a_configuration_that_is_not_there_is_named_with_what_makes_it() {
    let site = site();
    fs::remove_file(site.ring_path()).expect("a ring");
    let words = ["reelfs.toml:2: ring.device: ", "No such file", "; `reelfs format` makes a ring"];
    assert_run_refused(&site, FAILED, &words);
    let config = site.config();
    assert_refused(&site.reelfs(&["status", "--config", text(&config)]), WRONG_USAGE, &words);
    let file = clips::footage(&site.path(""), "made.mp4", 1, &[]);
    let import = ["import", "--config", text(&config), "--camera", "yard", "--start", "-1h"];
    assert_refused(&site.reelfs(&[&import[..], &[text(&file)]].concat()), FAILED, &words);

    fs::remove_file(config).expect("a configuration");
    let words = ["/etc/reelfs/reelfs.toml: can't be read", "nor is there a reelfs.toml here"];
    assert_refused(&site.reelfs(&["run"]), WRONG_USAGE, &words);
}

#[test]
fn people_see_a_status_that_fits_their_terminal() {
    let mut site = Site::new("12M");
    site.add_camera("front-door", NOWHERE, "enabled = false");
    let daemon = site.run();
    let output = site.reelfs(&["status", "--config", text(&site.config())]);
    let said = String::from_utf8_lossy(&output.stdout);
    let own = site.path("").display().to_string().len();
    let long: Vec<&str> = said.lines().filter(|line| line.len() > 80 + own).collect();
    assert_eq!(long, [] as [&str; 0], "but for a path");
    assert!(said.contains("front-door  disabled"), "{said}");
    daemon.stop();
}

#[test]
fn one_damaged_superblock_does_not_matter() {
    let site = site();
    let ring = OpenOptions::new().write(true).open(site.ring_path()).expect("the ring");
    ring.write_all_at(&[0xff; 4096], 0).expect("the ring");
    site.run().stop();
}

#[test]
fn a_mount_point_that_cannot_be_used_is_refused() {
    let site = site();
    let mount = site.mount();
    let name = text(&mount);
    fs::write(mount.join("precious"), b"x").expect("a file");
    assert_run_refused(&site, FAILED, &[name, "not empty", "precious"]);
    assert!(mount.join("precious").exists());
    fs::remove_dir_all(&mount).expect("the mount point");
    assert_run_refused(&site, FAILED, &[name, "no such directory"]);
    fs::write(&mount, b"x").expect("a file");
    assert_run_refused(&site, FAILED, &[name, "not a directory"]);
}

#[test]
fn a_start_that_fails_at_the_mount_leaves_no_camera_on_the_ring() {
    let site = site();
    let ring = site.ring_path();
    let (config, before) = (site.config(), digest(&ring));
    // Without the device it is known before the ring is opened.
    let script = "mount -t tmpfs none /dev && exec \"$@\"";
    let unshared = |script: &str, command: &[&str]| {
        run(&[&["unshare", "--mount", "sh", "-c", script, "sh"], command].concat())
    };
    let start = [env!("CARGO_BIN_EXE_reelfs"), "run", "--config", text(&config)];
    let words = [text(&site.mount()), "no /dev/fuse; try 'modprobe fuse'"].map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for more in [&[][..], &["--check"]] {
        let output = unshared(script, &[&start[..], more].concat());
        assert_refused(&output, FAILED, &words);
    }
    assert_eq!(digest(&ring), before, "the ring was touched");

    // A device that opens, and is none that the kernel would mount from.
    let script = "mount --bind /dev/null /dev/fuse && exec \"$@\"";
    let said = |what: &str| {
        String::from_utf8(site.reelfs(&["inspect", text(&ring), what]).stdout).expect("text")
    };
    for _ in 0..2 {
        assert_refused(&unshared(script, &start), FAILED, &[text(&site.mount()), "mount: "]);
        assert_eq!(said("streams").lines().count(), 1, "{}", said("streams"));
        let own = ["number", "session", "clean", "reserved", "checkpoint"];
        let is_own = |line: &&str| own.iter().any(|fact| line.contains(fact));
        let ledger = said("ledger");
        let facts: Vec<&str> = ledger.lines().filter(|line| !is_own(line)).collect();
        assert_eq!(facts, [] as [&str; 0], "beside those of every opening");
    }
    site.run().stop();
    assert!(said("streams").contains("yard"), "{}", said("streams"));
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_file_line_and_reason() {
    let mut site = site();
    let view = std::mem::take(&mut site.view);
    for (line, words) in [
        ("zone = \"Europe/Berlim\"", "view.zone"),
        ("clip = \"7m\"", "view.clip"),
        ("clip = 600", "is a number"),
        ("layout = \"%Y.mp4\"", "view.layout"),
        ("clib = \"10m\"", "did you mean `clip`?"),
        ("zone = ", "reelfs.toml:8"),
    ] {
        site.view = line.to_owned();
        assert_run_refused(&site, WRONG_USAGE, &["reelfs.toml:8", words]);
    }
    site.view = view;
    let cameras = site.cameras.clone();
    for (camera, words) in [
        ("name = \"yard\"", "camera.name"),
        ("name = \"now\"", "camera.name"),
        ("name = \"a\"\nretain = \"forever\"", "camera.retain"),
        ("name = \"a\"\nusername = \"u\"\npassword_file = \"/nowhere/password\"", "/nowhere/pass"),
    ] {
        site.cameras = format!("{cameras}\n[[camera]]\nurl = \"{NOWHERE}\"\n{camera}\n");
        assert_run_refused(&site, WRONG_USAGE, &["reelfs.toml:", words]);
    }
    site.cameras.clear();
    for name in ["a", "b", "c"] {
        site.add_camera(name, NOWHERE, "");
    }
    assert_run_refused(&site, WRONG_USAGE, &["too few for 3 cameras"]);
    let output = site.reelfs(&["run", "--config", "/nowhere/reelfs.toml"]);
    assert_refused(&output, WRONG_USAGE, &["/nowhere/reelfs.toml", "No such file"]);
    assert_refused(&site.reelfs(&["run", "--konfig", "x"]), WRONG_USAGE, &["--konfig"]);
    assert_refused(&site.reelfs(&[]), WRONG_USAGE, &[]);
}

/// A server that answers every request with noise.
fn noise() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its number");
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.read(&mut [0; 1024]);
            let _ = client.write_all(&[0xff; 65_536]);
        }
    });
    format!("rtsp://{address}/1")
}

#[test]
fn a_camera_that_cannot_be_recorded_says_why_and_disturbs_no_other() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut site = Site::new("24M");
    site.add_camera("unknown", "rtsp://no-such-host.invalid/1", "");
    site.add_camera("noise", &noise(), "");
    site.add_camera("refused", NOWHERE, "");
    site.add_camera("door", &cameras.url(1), "");
    let daemon = site.run();
    daemon.wait_recording("door");
    for (camera, reason) in [
        ("unknown", "can't resolve host"),
        ("noise", "describe failed"),
        ("refused", "Connection refused"),
    ] {
        wait_until("it waits", 20, || daemon.camera(camera)["state"] == "waiting");
        let said = daemon.camera(camera)["reason"].to_string();
        assert!(said.contains(reason), "{camera}: {said}");
        assert!(daemon.log().contains(&format!("{camera}: not recorded")), "{}", daemon.log());
    }
    let door = daemon.camera("door");
    assert_eq!((&door["state"], &door["reconnects"]), (&"recording".into(), &0.into()));
    let config = site.path("reelfs.toml");
    let check = site.reelfs(&["status", "--check", "--config", text(&config)]);
    let told = String::from_utf8_lossy(&check.stdout);
    assert_eq!((check.status.code(), told.lines().count()), (Some(1), 3), "{told}");
    assert!(told.contains("refused") && !told.contains("door"), "{told}");
    daemon.stop();
}

#[test]
fn a_ring_in_use_is_refused_to_everybody_else() {
    let site = site();
    let daemon = site.run();
    let path = site.ring_path();
    let ring = text(&path);

    // Another configuration for the same ring, mounted elsewhere.
    let mut other = Site::without_ring();
    other.add_camera("yard", NOWHERE, "");
    std::os::unix::fs::symlink(ring, other.ring_path()).expect("a link");
    let mut second = other.start_under(&[]);
    assert_eq!(second.wait_end().code(), Some(FAILED));
    assert!(second.log().contains("is in use"), "{}", second.log());
    assert!(!daemon::is_mounted(&other.mount()));

    // The same configuration twice.
    let mut second = site.start_under(&[]);
    assert_eq!(second.wait_end().code(), Some(FAILED));
    assert!(second.log().contains("already mounted"), "{}", second.log());
    let formatted = site.reelfs(&["format", "--size", "12M", "--force", ring]);
    assert_refused(&formatted, FAILED, &[ring, "in use"]);
    let file = clips::footage(&site.path(""), "footage.mp4", 1, &[]);
    let config = site.config();
    let words = ["import", "--config", text(&config), "--camera", "yard", "--start", "-1h"];
    let imported = site.reelfs(&[&words[..], &[text(&file)]].concat());
    assert_refused(&imported, FAILED, &[ring, "in use"]);
    let inspected = site.reelfs(&["inspect", ring, "ring"]);
    assert!(inspected.status.success(), "to look is allowed");
    assert_eq!(daemon.status()["running"], true);
    daemon.kill();

    let daemon = site.run();
    assert!(daemon.log().contains("the mount of a run that was killed is replaced"));
    daemon.stop();
}

/// A daemon that is stopped stands for one that hangs: no call of the system for its mount ends.
#[test]
fn a_mount_point_that_does_not_answer_is_told_and_does_not_hang_a_run() {
    let site = site();
    let daemon = site.run();
    daemon.signal("STOP");
    let (begun, config) = (Instant::now(), site.path("reelfs.toml"));
    let mut second = site.start_under(&[]);
    let checked = site.reelfs(&["run", "--check", "--config", text(&config)]);
    let mount = site.mount();
    assert_refused(&checked, FAILED, &[text(&mount), "does not answer", "umount -f"]);
    assert_eq!(second.wait_end().code(), Some(FAILED));
    assert!(second.log().contains("does not answer"), "{}", second.log());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    daemon.signal("CONT");
    assert_eq!(daemon.status()["running"], true);
    daemon.stop();
}

#[test]
fn format_refuses_what_it_should_not_overwrite_and_what_makes_no_ring() {
    let site = site();
    let ring = site.ring_path();
    let before = digest(&ring);
    let again = site.reelfs(&["format", "--size", "12M", text(&ring)]);
    assert_refused(&again, FAILED, &[text(&ring), "holds a reelfs ring", "\"test\""]);
    assert_eq!(digest(&ring), before);

    let disk = site.path("disk.img");
    fs::write(&disk, vec![0; 12 << 20]).expect("a file");
    run_tool("mkfs.ext4", &["-q", "-F", text(&disk)]);
    let before = digest(&disk);
    let refused = site.reelfs(&["format", "--size", "12M", text(&disk)]);
    assert_refused(&refused, FAILED, &[text(&disk), "ext4"]);
    assert_eq!(digest(&disk), before);
    assert!(site.reelfs(&["format", "--size", "12M", "--force", text(&disk)]).status.success());

    let new = site.path("new.img");
    let attempt = |words: &[&str]| site.reelfs(&[&["format"], words, &[text(&new)]].concat());
    let odd = attempt(&["--size", "64M", "--block-size", "3M"]);
    assert_refused(&odd, WRONG_USAGE, &["block size", "power of two"]);
    let small = attempt(&["--size", "4M"]);
    assert!(matches!(small.status.code(), Some(FAILED | WRONG_USAGE)));
    assert_refused(&attempt(&["--size", "many"]), WRONG_USAGE, &["many"]);
    assert!(!new.exists(), "nothing is left behind");
}

#[test]
fn import_refuses_what_is_no_footage() {
    let site = site();
    let config = site.config();
    let import = |camera: &str, file: &Path| {
        let words = ["import", "--config", text(&config), "--camera", camera, "--start", "-1h"];
        site.reelfs(&[&words[..], &[text(file)]].concat())
    };
    let noise = site.path("noise.mp4");
    fs::write(&noise, [0x5a; 10_000]).expect("a file");
    let before = digest(&site.ring_path());
    assert_refused(&import("yard", &noise), FAILED, &["noise.mp4"]);
    assert_refused(&import("yard", &site.path("absent.mp4")), FAILED, &["absent.mp4"]);
    assert_refused(&import("gate", &noise), WRONG_USAGE, &["no camera", "gate", "yard"]);
    assert_eq!(digest(&site.ring_path()), before, "nothing was touched");
}
