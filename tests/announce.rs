//! Programs that watch directories hear of what appears in the tree and of what goes, once and in
//! order; and however the daemon ends meanwhile, it ends, and the next one serves.
//!
//! `REELFS_ROUNDS=n` ends it `n` times; `REELFS_SEED=n` plays the same accidents again.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/chance.rs"]
mod chance;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/ports.rs"]
mod ports;
#[allow(dead_code, reason = "each test file uses its own part of this")]
#[path = "support/shares.rs"]
mod shares;
#[path = "support/watchers.rs"]
mod watchers;

use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cameras::Cameras;
use chance::Dice;
use clips::closed_clips;
use daemon::{Daemon, Site, run_tool, text, try_tool, wait_until};
use watchers::{Syncthing, fswatch, inotifywait, minidlna, samba};

const YARD: &str = "2026-03-01/yard";
const CLIP: &str = "2026-03-01/yard/12-00-20.mp4";
/// How many clips a minute of it is.
const CLIPS: u64 = 6;
const EVENTS: &str = "reelfs_announcements_total";

/// A ring with footage of the camera `yard`, which can't be reached.
fn site(seconds: u32) -> Site {
    let mut site = Site::new("64M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    site.view += "allow_other = true\n";
    let file = clips::footage(&site.path(""), "yard.mp4", seconds, &["-b:v", "64k"]);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    site
}

/// Removes clips, or brings them back, as a command asks the daemon for it.
fn reelfs(site: &Site, verb: &str, path: &str) {
    let config = site.path("reelfs.toml");
    let root = if verb == "restore" { site.mount().join(".trash") } else { site.mount() };
    let path = root.join(path);
    let output = site.reelfs(&[verb, "--config", text(&config), text(&path)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A number in `.metrics`.
fn counted(site: &Site, sample: &str) -> u64 {
    let metrics = fs::read_to_string(site.mount().join(".metrics")).expect("the metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample}: {metrics}")).parse().expect("a number")
}

fn wait_announced(site: &Site, count: u64) {
    wait_until("announcements", 10, || counted(site, EVENTS) >= count);
}

/// Processes that a daemon has started to make calls.
fn callers(daemon: &Daemon) -> Vec<u32> {
    let found =
        try_tool("pgrep", &["-P", &daemon.id().to_string(), "-f", "^reelfs announce"]).stdout;
    let found = String::from_utf8(found).expect("text");
    found.lines().map(|line| line.parse().expect("a number")).collect()
}

fn caller(daemon: &Daemon) -> u32 {
    wait_until("a process that makes calls", 10, || callers(daemon).len() == 1);
    callers(daemon)[0]
}

#[test]
fn each_change_is_heard_of_once_and_in_order() {
    let site = site(60);
    let daemon = site.run();
    let mount = site.mount();
    let size = fs::metadata(mount.join(CLIP)).expect("a clip").len();
    let open = File::open(mount.join(CLIP)).expect("a clip");
    let watching = inotifywait(&mount);
    reelfs(&site, "rm", CLIP);
    wait_announced(&site, 1);
    assert!(!mount.join(CLIP).exists());
    let removed = fs::metadata(mount.join(".trash").join(CLIP)).expect("in the trash");
    assert_eq!((removed.len(), std::os::unix::fs::MetadataExt::nlink(&removed)), (size, 1));
    reelfs(&site, "restore", CLIP);
    wait_announced(&site, 2);
    assert_eq!(fs::metadata(mount.join(CLIP)).expect("restored").len(), size);
    assert_eq!(fs::read(mount.join(CLIP)).expect("its bytes").len() as u64, size);
    // What is done in the mount raises its events itself.
    let heard = |event: &str, times: usize| {
        let line = format!("{event} ./{CLIP}");
        wait_until(&line, 10, || watching.count(&line) >= times);
    };
    let (clip, trash) = (mount.join(CLIP), mount.join(".trash").join(CLIP));
    run_tool("rm", &[text(&clip)]);
    heard("DELETE", 2);
    run_tool("mv", &[text(&trash), text(&mount.join(YARD))]);
    heard("MOVED_TO", 2);
    run_tool("rm", &["-r", text(&mount.join("2026-03-01"))]);
    heard("DELETE", 3);
    run_tool("mv", &[text(&mount.join(".trash/2026-03-01")), text(&mount)]);
    watching.wait_for("MOVED_TO,ISDIR ./2026-03-01");
    // When it watches what is in there is its own matter: the clips may have come before.
    wait_announced(&site, 2 + 1 + CLIPS);
    assert_eq!(watching.count("MOVED_TO,ISDIR ./2026-03-01"), 1, "{:#?}", watching.lines());
    assert_eq!(watching.count("CREATE,ISDIR ./2026-03-01"), 0, "{:#?}", watching.lines());
    let of_clip: Vec<_> =
        watching.lines().into_iter().filter(|line| line.ends_with(CLIP)).collect();
    let expected = ["DELETE", "MOVED_TO", "DELETE", "MOVED_TO", "DELETE"];
    let expected = expected.map(|event| format!("{event} ./{CLIP}"));
    assert_eq!(of_clip[..expected.len()], expected, "{:#?}", watching.lines());
    assert!(of_clip.len() <= expected.len() + 1, "{:#?}", watching.lines());
    assert_eq!(open.metadata().expect("open").len(), size, "whoever has it open keeps it");
    daemon.stop();
}

#[test]
fn what_is_recorded_is_heard_of_with_its_directories() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut site = Site::new("64M");
    site.add_camera("gate", &cameras.url(1), "");
    let daemon = site.run();
    let watching = inotifywait(&site.mount());
    watching.wait_for("MOVED_TO ./");
    let lines = watching.lines();
    let mut heard: Vec<_> = lines.iter().filter(|line| line.contains(" ./20")).collect();
    let clip = heard.iter().position(|line| line.starts_with("MOVED_TO")).expect("a clip");
    let name = heard[clip].strip_prefix("MOVED_TO ./").expect("a clip").to_owned();
    let (path, _) = name.rsplit_once('/').expect("a directory");
    let (day, _) = path.split_once('/').expect("a day");
    assert_eq!(heard[0], &format!("CREATE,ISDIR ./{day}"), "{lines:#?}");
    // A machine that is busy may have made the second one before the first was watched.
    let camera = format!("CREATE,ISDIR ./{path}");
    assert!(heard[1..clip].iter().all(|line| **line == camera), "{lines:#?}");
    let count = heard.len();
    heard.sort();
    heard.dedup();
    assert_eq!(heard.len(), count, "each is heard of once: {lines:#?}");
    assert!(counted(&site, EVENTS) >= 3, "the day, the camera and the clip");
    let metadata = fs::metadata(site.mount().join(&name)).expect("it is there");
    let bytes = fs::read(site.mount().join(&name)).expect("its bytes");
    assert_eq!((metadata.len(), metadata.len() > 0), (bytes.len() as u64, true));
    daemon.stop();
}

#[test]
fn what_expires_is_heard_of_and_so_is_the_directory_that_is_empty_then() {
    let mut site = site(60);
    site.purge = "every = \"1s\"".to_owned();
    let daemon = site.run();
    let watching = inotifywait(&site.mount());
    let gone = || watching.lines().iter().filter(|it| it.starts_with("DELETE ./")).count();
    assert_eq!((closed_clips(&site.mount()).len() as u64, gone()), (CLIPS, 0));
    // Settings that change are read again by themselves.
    let config = site.path("reelfs.toml");
    let settings = fs::read_to_string(&config).expect("the settings");
    fs::write(&config, settings.replace("name = \"yard\"", "name = \"yard\"\nretain = \"30d\""))
        .expect("the settings");
    wait_until("all are told of", 30, || gone() as u64 == CLIPS);
    watching.wait_for(&format!("DELETE ./{CLIP}"));
    assert_eq!(closed_clips(&site.mount()), Vec::<String>::new());
    assert!(site.mount().join(YARD).exists(), "for a minute");
    let heard = || watching.count(&format!("DELETE,ISDIR ./{YARD}"));
    wait_until("its directory goes", 100, || heard() == 1);
    assert!(!site.mount().join(YARD).exists());
    daemon.stop();
}

#[test]
fn what_makes_room_is_heard_of() {
    let mut site = Site::new("64M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    let noise = ["-vf", "noise=alls=100:allf=t", "-b:v", "8M"];
    let full = clips::footage(&site.path(""), "full.mp4", 32, &noise);
    site.import("yard", "2026-03-01T12:00:00Z", &full);
    let words = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-re", "-i", text(&full)];
    site.add_program("gate", &[&words[..], &["-c", "copy", "-f", "mpegts", "-"]].concat());
    let daemon = site.run();
    let watching = inotifywait(&site.mount());
    let oldest = closed_clips(&site.mount()).remove(0);
    wait_until("the oldest makes room", 60, || watching.count(&format!("DELETE ./{oldest}")) == 1);
    assert!(!site.mount().join(&oldest).exists());
    assert_eq!(daemon.status()["ring"]["evicted"].as_u64().map(|count| count > 0), Some(true));
    daemon.stop();
}

#[test]
fn programs_that_people_run_see_a_clip_that_appears_and_goes() {
    let site = site(60);
    let daemon = site.run();
    let (mount, folder) = (site.mount(), site.path(""));
    reelfs(&site, "rm", CLIP);
    wait_announced(&site, 1);
    let fswatch = fswatch(&mount);
    let minidlna = minidlna(&folder, &mount);
    let (_server, client) = samba(&folder, &mount, YARD);
    let syncthing = Syncthing::start(&folder, &mount);
    assert!(syncthing.has(&CLIP.replace("20.mp4", "10.mp4")) && !syncthing.has(CLIP));
    reelfs(&site, "restore", CLIP);
    fswatch.wait_for(&format!("{CLIP} Created"));
    client.wait_for("12-00-20.mp4");
    minidlna.wait_for(CLIP);
    wait_until("syncthing sees it", 20, || syncthing.has(CLIP));
    let told = (client.lines().len(), minidlna.lines().len());
    reelfs(&site, "rm", CLIP);
    fswatch.wait_for(&format!("{CLIP} Removed"));
    wait_until("the client is told", 10, || client.lines().len() > told.0);
    wait_until("minidlna is told", 10, || {
        minidlna.lines()[told.1..].iter().any(|line| line.contains(CLIP))
    });
    wait_until("syncthing sees that it is gone", 30, || !syncthing.has(CLIP));
    drop((fswatch, minidlna, client, _server, syncthing));
    daemon.stop();
}

/// What a call says that nobody may make, as a shell command.
fn refused(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).env("LC_ALL", "C").output();
    let output = output.expect("a shell");
    assert!(!output.status.success(), "{command}");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn nobody_else_can_make_such_a_call_and_the_process_has_nothing_of_the_daemon() {
    let site = site(60);
    let daemon = site.run();
    let mount = site.mount();
    let process = caller(&daemon);
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).expect("it runs");
    let mut open: Vec<_> = descriptors
        .map(|entry| fs::read_link(entry.expect("an entry").path()).expect("a link"))
        .map(|link| text(&link).split(':').next().expect("a word").to_owned())
        .collect();
    open.sort();
    assert_eq!(open, ["/dev/null", "pipe", "pipe"]);
    let mode = fs::metadata(mount.join(".announce")).expect("the daemon's way").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o7777, 0o700);
    let listed = run_tool("ls", &["-A", text(&mount)]);
    assert!(!listed.contains("announce"), "{listed}");
    let root = text(&mount);
    for (command, why) in [
        (format!("mkdir {root}/2026-03-02"), "Read-only file system"),
        (format!("mkdir {root}/{YARD}/new"), "Read-only file system"),
        (format!("mkdir {root}/.announce/new"), "Read-only file system"),
        (format!("touch {root}/.announce/new"), "Read-only file system"),
        (format!("mv {root}/.announce/{:032x} {root}/{YARD}/a.mp4", 7), "No such file"),
        (format!("mv -T {root}/{CLIP} {root}/.announce/a"), "Operation not permitted"),
        (format!("mv -T {root}/{CLIP} {root}/{YARD}/a.mp4"), "Operation not permitted"),
        (format!("rmdir {root}/.announce"), "Operation not permitted"),
        (format!("rmdir {root}/{YARD}"), "Directory not empty"),
        (format!("rm {root}/{YARD}/no.mp4"), "No such file"),
    ] {
        let said = refused(&command);
        assert!(said.contains(why), "{command}: {said}");
    }
    // Also while the process makes calls all the time.
    let mut guesses = 0;
    for verb in ["rm", "restore", "rm", "restore"] {
        reelfs(&site, verb, "2026-03-01");
        let end = Instant::now() + Duration::from_millis(50);
        while Instant::now() < end {
            let name = format!("{guesses:032x}");
            let guess = mount.join(".announce").join(&name);
            assert!(fs::rename(&guess, mount.join(CLIP)).is_err());
            assert!(fs::create_dir(mount.join(YARD).join(&name)).is_err());
            guesses += 1;
        }
    }
    assert!(guesses > 100, "{guesses}");
    assert_eq!(counted(&site, &format!("{SKIPPED}{{reason=\"refused\"}}")), 0);
    daemon.stop();
}

const SKIPPED: &str = "reelfs_announcements_skipped_total";

#[test]
fn a_process_that_is_killed_is_started_again_and_one_that_is_not_wanted_never() {
    let mut site = site(60);
    let daemon = site.run();
    let first = caller(&daemon);
    for (round, verb) in (1..).zip(["rm", "restore", "rm"]) {
        let process = caller(&daemon);
        run_tool("kill", &["-s", "KILL", &process.to_string()]);
        reelfs(&site, verb, CLIP);
        wait_announced(&site, round);
    }
    assert_ne!(caller(&daemon), first);
    let process = caller(&daemon);
    daemon.stop();
    let ended = || !Path::new(&format!("/proc/{process}")).exists();
    wait_until("it ends with the daemon", 5, ended);
    site.view += "announce = false\n";
    let daemon = site.run();
    reelfs(&site, "restore", CLIP);
    assert!(site.mount().join(CLIP).exists() && !site.mount().join(".announce").exists());
    assert_eq!(callers(&daemon), Vec::<u32>::new());
    daemon.stop();
}

/// Memory that nobody gives any bytes: who writes to it waits until it is dropped.
struct Bottomless {
    faults: Option<OwnedFd>,
    memory: *mut libc::c_void,
}

const PAGE: usize = 4096;
/// `UFFDIO_API` and `UFFDIO_REGISTER` with `UFFDIO_REGISTER_MODE_MISSING` (userfaultfd(2)).
const UFFDIO_API: libc::c_ulong = 0xC018_AA3F;
const UFFDIO_REGISTER: libc::c_ulong = 0xC020_AA00;

impl Bottomless {
    fn new() -> Bottomless {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, of which nobody has a reference.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, -1, 0) };
        assert_ne!(memory, libc::MAP_FAILED);
        // SAFETY: a call that takes a number and answers a descriptor that is nobody else's.
        let faults = unsafe {
            let descriptor = libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC);
            assert!(descriptor >= 0, "userfaultfd: {}", std::io::Error::last_os_error());
            OwnedFd::from_raw_fd(descriptor as i32)
        };
        let mut interface = [0xAA_u64, 0, 0];
        let mut region = [memory as u64, PAGE as u64, 1, 0];
        // SAFETY: both point to as many bytes as their request says.
        unsafe {
            let descriptor = faults.as_raw_fd();
            assert_eq!(libc::ioctl(descriptor, UFFDIO_API, interface.as_mut_ptr()), 0);
            assert_eq!(libc::ioctl(descriptor, UFFDIO_REGISTER, region.as_mut_ptr()), 0);
        }
        Bottomless { faults: Some(faults), memory }
    }
}

#[test]
fn a_directory_that_is_locked_costs_its_events_and_nothing_else() {
    let site = site(60);
    let daemon = site.run();
    let mount = site.mount();
    let mut slow = Bottomless::new();
    let directory = File::open(mount.join(YARD)).expect("a directory");
    let (descriptor, memory) = (directory.as_raw_fd(), slow.memory as usize);
    // A listing whose reader does not take it holds the lock.
    let listing = std::thread::spawn(move || {
        // SAFETY: a page that stays mapped to the end of the process.
        unsafe { libc::syscall(libc::SYS_getdents64, descriptor, memory, PAGE) }
    });
    std::thread::sleep(Duration::from_millis(200));
    assert!(!listing.is_finished(), "the lock is held");
    let begun = Instant::now();
    reelfs(&site, "rm", CLIP);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let busy = format!("{SKIPPED}{{reason=\"directory busy\"}}");
    wait_until("it is given up", 10, || counted(&site, &busy) >= 1);
    assert!(daemon.log().contains("a change is not told to who watches directories"));
    assert_eq!(counted(&site, EVENTS), 0);
    slow.faults.take();
    assert!(listing.join().expect("no panic") > 0);
    reelfs(&site, "restore", CLIP);
    wait_announced(&site, 1);
    assert!(mount.join(CLIP).exists(), "what was late has changed nothing");
    daemon.stop();
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|value| value.parse().expect("a number"))
}

#[test]
fn a_daemon_that_is_ended_while_it_announces_ends_and_the_next_one_serves() {
    let rounds = number("REELFS_ROUNDS").unwrap_or(6);
    let seed = number("REELFS_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("REELFS_SEED={seed}");
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let site = site(600);
    let (mut announced, mut slowest) = (0, Duration::ZERO);
    for round in 0..rounds {
        let mut daemon = site.run();
        let watching = inotifywait(&site.mount());
        let config = site.path("reelfs.toml");
        let script = format!(
            "while :; do {program} rm --config {config:?} {mount}/2026-03-01; \
             {program} restore --config {config:?} {mount}/.trash/2026-03-01; done",
            program = env!("CARGO_BIN_EXE_reelfs"),
            mount = text(&site.mount()),
        );
        let mut busy = Command::new("sh")
            .args(["-c", &script])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        // A listing of the directory takes its lock, too.
        let mut lister = Command::new("sh")
            .args(["-c", &format!("while ls -l {:?}; do :; done", site.mount().join(YARD))])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        std::thread::sleep(Duration::from_millis(200 + dice.below(600)));
        let begun = Instant::now();
        daemon.signal(if dice.below(2) == 0 { "KILL" } else { "ABRT" });
        daemon.wait_end();
        slowest = slowest.max(begun.elapsed());
        for child in [&mut busy, &mut lister] {
            child.kill().expect("a child");
            child.wait().expect("a child");
        }
        announced += watching.lines().iter().filter(|line| line.ends_with(".mp4")).count();
        assert!(slowest < Duration::from_secs(2), "round {round}: {slowest:?}");
    }
    let daemon = site.run();
    run_tool("ls", &["-R", text(&site.mount())]);
    daemon.stop();
    println!(
        "torture: announcements rounds={rounds} cuts={announced} failures=0 seconds-lost-max={:.2}",
        slowest.as_secs_f64()
    );
    assert!(announced as u64 > rounds * 10, "{announced}");
}
