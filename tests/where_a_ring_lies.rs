//! Places for a ring, and what each of them refuses: partitions, file systems that lack something,
//! media that are read-only, limits of the process. Real ones, and the tools that make them.
//!
//! Needs root, FUSE and loop devices, as CI has them.

#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use clips::{Identity, identities};
use daemon::{Daemon, Site, run_tool, text, try_tool, wait_until};

const MIB: u64 = 1 << 20;
const CLIP: &str = "2026-03-01/yard/12-00-00.mp4";

/// A loop device; detached when dropped.
struct Loop(String);

impl Loop {
    fn of(file: &Path, options: &[&str]) -> Loop {
        let words = [&["--find", "--show"], options, &[text(file)]].concat();
        Loop(run_tool("losetup", &words).trim().to_owned())
    }

    /// A node for its first partition, which the kernel is told of.
    fn partition(&self, node: &Path) {
        run_tool("partx", &["--add", &self.0]);
        let name = self.0.trim_start_matches("/dev/");
        let numbers = fs::read_to_string(format!("/sys/block/{name}/{name}p1/dev"));
        let numbers = numbers.expect("the kernel knows it");
        let (major, minor) = numbers.trim().split_once(':').expect("two numbers");
        run_tool("mknod", &[text(node), "b", major, minor]);
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        try_tool("partx", &["--delete", &self.0]);
        try_tool("losetup", &["--detach", &self.0]);
    }
}

/// A mounted file system; unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// An image that a tool has made something of.
    fn image(image: &Path, at: &Path, options: &str) -> Mounted {
        fs::create_dir_all(at).expect("a directory");
        run_tool("mount", &["-o", options, text(image), text(at)]);
        Mounted(at.to_owned())
    }

    /// An empty one.
    fn made(site: &Site, bytes: u64, make: &[&str]) -> Mounted {
        let image = site.path("image");
        File::create(&image).and_then(|file| file.set_len(bytes)).expect("a sparse file");
        run_tool(make[0], &[&make[1..], &[text(&image)]].concat());
        Mounted::image(&image, &site.path("place"), "loop")
    }

    fn ring(&self) -> PathBuf {
        self.0.join("ring")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        wait_until("it is unmounted", 10, || {
            try_tool("umount", &[text(&self.0)]).status.success() || !daemon::is_mounted(&self.0)
        });
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Formats with blocks of 1 MiB; answers what was said besides.
fn format(site: &Site, options: &[&str], ring: &Path) -> String {
    let words = [&["format", "--block-size", "1M"], options, &[text(ring)]].concat();
    let output = site.reelfs(&words);
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

/// Twenty seconds of a camera on a ring that lies elsewhere; and what the mount shows of it.
fn filled(site: &mut Site, ring: &Path) -> BTreeMap<String, Identity> {
    symlink(ring, site.ring_path()).expect("a link");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    let file = clips::footage(&site.path(""), "yard.mp4", 20, &[]);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    let daemon = site.run();
    let shown = identities(&site.mount());
    assert_eq!(shown.len(), 2);
    daemon.stop();
    shown
}

fn move_ring(site: &Site, to: &Path) {
    fs::remove_file(site.ring_path()).expect("a link");
    symlink(to, site.ring_path()).expect("a link");
}

/// Starts the daemon on a ring that it can't write.
fn serve(site: &Site) -> Daemon {
    let daemon = site.start_under(&[]);
    wait_until("it is served", 30, || daemon.log().contains("serving read-only after"));
    assert!(is_refused(fs::remove_file(site.mount().join(CLIP))), "it is served read-only");
    assert_eq!(daemon.status()["device"]["state"], "read-only");
    daemon
}

/// Whether the error is that of a file system that is read-only.
fn is_refused(removed: std::io::Result<()>) -> bool {
    removed.is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem)
}

#[test]
fn an_empty_partition_is_formatted_and_one_with_something_in_it_is_not() {
    for table in ["gpt", "msdos"] {
        let site = Site::without_ring();
        let disk = site.path("disk");
        File::create(&disk).and_then(|file| file.set_len(64 * MIB)).expect("a sparse file");
        let kind = if table == "gpt" { "cameras" } else { "primary" };
        run_tool("parted", &["-s", text(&disk), "mklabel", table, "mkpart", kind, "1MiB", "63MiB"]);
        let device = Loop::of(&disk, &[]);
        let partition = site.path("partition");
        device.partition(&partition);
        let (whole, node) = (device.0.as_str(), text(&partition));
        let refuses = |path: &str, found: &str| {
            let output = site.reelfs(&["format", path]);
            assert!(said(&output).contains(found), "{table}: {}", said(&output));
        };
        refuses(whole, "holds a partition table");
        for (make, found) in [
            (&["mkswap", node][..], "holds swap"),
            (&["mkfs.ext4", "-q", "-F", node], "holds ext4"),
            (&["sgdisk", "-o", node], "holds a partition table (gpt)"),
        ] {
            try_tool(make[0], &make[1..]);
            refuses(node, found);
            run_tool("dd", &["if=/dev/zero", &format!("of={node}"), "bs=1M", "count=62"]);
        }
        format(&site, &[], &partition);
        refuses(node, "holds a reelfs ring");
    }
}

#[test]
fn a_file_system_that_refuses_direct_writes_has_a_ring_through_the_page_cache() {
    let mut site = Site::without_ring();
    let (branch, pool) = (site.path("branch"), site.path("pool"));
    for path in [&branch, &pool] {
        fs::create_dir(path).expect("a directory");
    }
    run_tool("mergerfs", &[text(&branch), text(&pool)]);
    let pool = Mounted(pool);
    let told = format(&site, &["--size", "32M"], &pool.ring());
    assert_eq!(told.matches("direct I/O is refused here").count(), 1, "{told}");
    let shown = filled(&mut site, &pool.ring());
    let daemon = site.run();
    assert_eq!(identities(&site.mount()), shown);
    assert_eq!(daemon.log().matches("direct I/O is").count(), 1, "{}", daemon.log());
    fs::remove_file(site.mount().join(CLIP)).expect("it can be written");
    daemon.stop();
}

#[test]
fn a_ring_that_shares_its_space_waits_for_room_and_is_served_meanwhile() {
    let mut site = Site::without_ring();
    let place = Mounted::made(&site, 320 * MIB, &["mkfs.xfs", "-q", "-m", "reflink=1"]);
    format(&site, &["--size", "32M"], &place.ring());
    let shown = filled(&mut site, &place.ring());
    let copy = place.0.join("copy");
    run_tool("cp", &["--reflink=always", text(&place.ring()), text(&copy)]);
    let fillers = ["1M", "4k"].map(|size| {
        let filler = place.0.join(size);
        let (of, bs) = (format!("of={}", text(&filler)), format!("bs={size}"));
        let full = try_tool("dd", &["if=/dev/zero", &of, &bs, "oflag=direct"]);
        assert!(said(&full).contains("No space left"), "{}", said(&full));
        filler
    });

    let daemon = serve(&site);
    let log = daemon.log();
    assert_eq!(log.matches("shared with a copy or a snapshot").count(), 1, "{log}");
    assert!(log.contains("the ring can't be written") && log.contains("No space left"), "{log}");
    assert_eq!(identities(&site.mount()), shown);
    for filler in fillers {
        fs::remove_file(filler).expect("it is removed");
    }
    wait_until("it goes on", 60, || daemon.log().contains("it can be written now"));
    assert_eq!(daemon.status()["device"]["state"], "present");
    fs::remove_file(site.mount().join(CLIP)).expect("it can be written");
    daemon.stop();
}

#[test]
fn a_medium_that_is_read_only_is_served_as_it_is() {
    let mut site = Site::without_ring();
    let (evidence, original) = (site.path("evidence"), site.path("evidence/ring"));
    fs::create_dir(&evidence).expect("a directory");
    format(&site, &["--size", "16M"], &original);
    let shown = filled(&mut site, &original);
    let before = blake3::hash(&fs::read(&original).expect("the ring"));
    let served = |site: &Site| {
        let mut daemon = serve(site);
        assert_eq!(identities(&site.mount()), shown);
        assert!(daemon.log().contains("is read-only: it is served as it is"), "{}", daemon.log());
        daemon.signal("TERM");
        assert!(daemon.wait_end().success(), "{}", daemon.log());
    };
    let image = site.path("image");
    run_tool("mksquashfs", &[text(&evidence), text(&image), "-quiet", "-no-progress"]);
    {
        let place = Mounted::image(&image, &site.path("place"), "loop,ro");
        move_ring(&site, &place.ring());
        served(&site);
        // What records or repairs says so in a sentence.
        let output = site.reelfs(&["format", "--force", text(&place.ring())]);
        assert!(said(&output).contains("place/ring is read-only"), "{}", said(&output));
    }
    let device = Loop::of(&original, &["--read-only"]);
    move_ring(&site, Path::new(&device.0));
    served(&site);
    assert_eq!(blake3::hash(&fs::read(&original).expect("the ring")), before);
}

#[test]
fn a_ring_with_holes_is_warned_of_and_the_command_that_is_named_fills_them() {
    let mut site = Site::without_ring();
    let (original, copy) = (site.path("original"), site.path("copy"));
    format(&site, &["--size", "16M"], &original);
    let shown = filled(&mut site, &original);
    let warning = "is not reserved, as in a sparse copy";
    let warned = |site: &Site| {
        let daemon = site.run();
        assert_eq!(identities(&site.mount()), shown);
        let log = daemon.log();
        daemon.stop();
        log.lines().find(|line| line.contains(warning)).map(str::to_owned)
    };
    assert_eq!(warned(&site), None, "all of it was reserved");
    run_tool("cp", &["--sparse=always", text(&original), text(&copy)]);
    fs::remove_file(site.ring_path()).expect("a link");
    fs::rename(&copy, site.ring_path()).expect("the ring");
    let line = warned(&site).expect("it is warned of");
    let command = line.split_once("full; ").expect("a command").1;
    let command = command.strip_suffix(" reserves it").expect("a command");
    let words: Vec<&str> = command.split(' ').collect();
    run_tool(words[0], &words[1..]);
    assert_eq!(warned(&site), None, "it has been reserved");
}

#[test]
fn a_limit_of_the_process_is_named_in_a_line() {
    let site = Site::new("16M");
    let ring = site.ring_path();
    for (limit, told) in [
        ("--fsize=8388608", "files are limited to 8388608 (ulimit -f"),
        ("--as=600000000", "the address space is limited to 600000000 bytes (ulimit -v"),
    ] {
        let mut daemon = site.start_under(&["prlimit", limit]);
        let status = daemon.wait_end();
        assert!(status.code().is_some_and(|code| code != 0), "{limit}: {status}");
        assert_eq!(daemon.log().matches(told).count(), 1, "{limit}: {}", daemon.log());
    }
    let words = ["--fsize=8388608", env!("CARGO_BIN_EXE_reelfs"), "format", "--size", "16M"];
    let output = try_tool("prlimit", &[&words[..], &[text(&site.path("new"))]].concat());
    assert!(said(&output).contains("files are limited to 8388608"), "{}", said(&output));
    assert!(!site.path("new").exists() && ring.exists());

    // One that is set later: recording pauses, and nothing dies.
    let mut site = site;
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    let daemon = site.run();
    run_tool("prlimit", &["--fsize=8192:", "--pid", &daemon.id().to_string()]);
    daemon.signal("XFSZ");
    std::thread::sleep(std::time::Duration::from_secs(2));
    run_tool("prlimit", &["--fsize=unlimited:", "--pid", &daemon.id().to_string()]);
    daemon.stop();
}

#[test]
fn a_file_that_takes_long_to_make_is_gone_on_with_after_an_interruption() {
    let site = Site::without_ring();
    let image = site.path("image");
    File::create(&image).and_then(|file| file.set_len(320 * MIB)).expect("a sparse file");
    run_tool("mkntfs", &["-q", "-Q", "-F", text(&image)]);
    fs::create_dir(site.path("place")).expect("a directory");
    run_tool("ntfs-3g", &[text(&image), text(&site.path("place"))]);
    let place = Mounted(site.path("place"));
    let ring = place.ring();
    let words = ["format", "--size", "256M", text(&ring)];
    let mut first =
        site.command(&words).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it runs");
    let length = || fs::metadata(&ring).map_or(0, |file| file.len());
    wait_until("it is under way", 30, || length() > 16 * MIB);
    run_tool("kill", &["-s", "INT", &first.id().to_string()]);
    assert_eq!(first.wait().expect("a child").signal(), Some(libc::SIGINT));
    let begun = length();
    assert!(begun < 256 * MIB, "it was not interrupted");

    let other = site.reelfs(&["format", "--size", "64M", text(&ring)]);
    assert!(said(&other).contains("was begun with 268435456 bytes"), "{}", said(&other));
    let again = site.reelfs(&["format", text(&ring)]);
    assert!(again.status.success(), "{}", said(&again));
    assert!(said(&again).contains("the same command goes on with it"), "{}", said(&again));
    assert_eq!(length(), 256 * MIB);
    let inspected = site.reelfs(&["inspect", text(&ring), "ring"]);
    assert!(inspected.status.success(), "{}", said(&inspected));
}
