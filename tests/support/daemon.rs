//! A ring, a configuration and a mount of a test's own, and the real `reelfs` that runs on them.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Between start and "recording", and between SIGTERM and the end: a loaded machine takes its time.
const PATIENCE: u64 = 30;

/// Looks every 50 ms whether something has come true.
///
/// # Panics
/// When it has not within `seconds`.
pub fn wait_until(what: &str, seconds: u64, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(seconds);
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within {seconds} s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a tool and answers what it says, which is text.
///
/// # Panics
/// When the tool is missing, or does not succeed.
pub fn run_tool(name: &str, words: &[&str]) -> String {
    let output = try_tool(name, words);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {words:?}: {}: {error}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// Runs a tool that may fail.
///
/// # Panics
/// When it is missing.
pub fn try_tool(name: &str, words: &[&str]) -> Output {
    let output = Command::new(name).args(words).env("LC_ALL", "C").output();
    output.unwrap_or_else(|error| panic!("this test needs {name}: {error}"))
}

/// A place for one ring. Everything in it goes when it is dropped.
pub struct Site {
    folder: tempfile::TempDir,
    starts: AtomicU32,
    /// Lines of the section `[ring]`, device and index aside.
    pub ring: String,
    /// Lines of the section `[view]`, the mount aside.
    pub view: String,
    /// Further views, where there are any, and where they are mounted.
    views: Vec<(PathBuf, String)>,
    /// Lines of the section `[purge]`.
    pub purge: String,
    /// The sections `[[camera]]`.
    pub cameras: String,
}

impl Site {
    /// With an empty ring: a file of `size` and with blocks of 1 MiB, so that little footage fills
    /// several of them.
    pub fn new(size: &str) -> Site {
        let site = Site::without_ring();
        let ring = site.ring_path();
        let words = ["format", "--size", size, "--block-size", "1M", "--label", "test"];
        let output = site.reelfs(&[&words[..], &[text(&ring)]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        site
    }

    /// With everything but the ring.
    pub fn without_ring() -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("mount")).expect("a mount point");
        Site {
            folder,
            starts: AtomicU32::new(0),
            ring: "flush = \"1s\"\n".to_owned(),
            view: "clip = \"10s\"\nzone = \"UTC\"\n".to_owned(),
            views: Vec::new(),
            purge: String::new(),
            cameras: String::new(),
        }
    }

    /// Adds a camera; `more` are lines of its section.
    pub fn add_camera(&mut self, name: &str, url: &str, more: &str) {
        let section = format!("[[camera]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}\n");
        self.cameras.push_str(&section);
    }

    /// Adds a program as a camera.
    pub fn add_program(&mut self, name: &str, command: &[&str]) {
        let section = format!("[[camera]]\nname = \"{name}\"\ncommand = {command:?}\n");
        self.cameras.push_str(&section);
    }

    /// Adds a view that is mounted at `name` below the folder; `lines` are those of its section.
    pub fn add_view(&mut self, name: &str, lines: &str) -> PathBuf {
        let mount = self.path(name);
        std::fs::create_dir(&mount).expect("a mount point");
        let section = format!("[[view]]\nmount = {mount:?}\n{lines}\n");
        self.views.push((mount.clone(), section));
        mount
    }

    /// Something below the folder.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// The file with the ring.
    pub fn ring_path(&self) -> PathBuf {
        self.path("ring.img")
    }

    /// The directory of the index.
    pub fn index_path(&self) -> PathBuf {
        self.path("index")
    }

    /// The root of the tree.
    pub fn mount(&self) -> PathBuf {
        self.path("mount")
    }

    /// The configuration, written anew.
    pub fn config(&self) -> PathBuf {
        let path = self.path("reelfs.toml");
        let [ring, index, mount] = [self.ring_path(), self.index_path(), self.mount()];
        let view = if self.views.is_empty() { "[view]" } else { "[[view]]" };
        let views: String = self.views.iter().map(|(_, section)| section.as_str()).collect();
        let written = format!(
            "[ring]\ndevice = {ring:?}\nindex = {index:?}\n{}\n\
             {view}\nmount = {mount:?}\n{}\n{views}[control]\nsocket = {:?}\n[purge]\n{}\n{}",
            self.ring,
            self.view,
            self.path("control"),
            self.purge,
            self.cameras
        );
        std::fs::write(&path, written).expect("the configuration");
        path
    }

    /// Runs another command than `run` to its end.
    pub fn reelfs(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("reelfs runs")
    }

    /// The same, not started yet.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reelfs"));
        command.args(words).env_remove("RUST_LOG").current_dir(self.folder.path());
        command
    }

    /// Puts an mp4 file into the ring as footage of a camera.
    pub fn import(&self, camera: &str, start: &str, file: &Path) {
        self.import_with(camera, start, file, &[]);
    }

    /// The same with options.
    pub fn import_with(&self, camera: &str, start: &str, file: &Path, options: &[&str]) {
        let config = self.config();
        let words =
            ["import", "--config", text(&config), "--camera", camera, "--start", start, text(file)];
        let output = self.reelfs(&[&words[..], options].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the daemon and waits until it records and serves.
    pub fn run(&self) -> Daemon {
        self.run_under(&[])
    }

    /// Starts the daemon under another program, which has to become it, and waits until it
    /// records and serves.
    pub fn run_under(&self, words: &[&str]) -> Daemon {
        let mut daemon = self.start_under(words);
        wait_until("the daemon starts", PATIENCE, || {
            let ended = daemon.child.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended: {ended:?}:\n{}", daemon.log());
            daemon.log().contains("recording after")
        });
        daemon
    }

    /// Starts the daemon, and waits for nothing.
    pub fn start_under(&self, words: &[&str]) -> Daemon {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        let log = self.path(&format!("log.{number}"));
        let mut all = words.to_vec();
        let config = self.config();
        all.extend([env!("CARGO_BIN_EXE_reelfs"), "run", "--config", text(&config)]);
        let child = Command::new(all[0])
            .args(&all[1..])
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs {}: {error}", all[0]));
        Daemon { child, log, mount: self.mount() }
    }

    /// Unmounts whatever is mounted.
    pub fn unmount(&self) {
        let mounts = self.views.iter().map(|(mount, _)| mount.clone()).chain([self.mount()]);
        for mount in mounts {
            while nix::mount::umount2(&mount, nix::mount::MntFlags::MNT_DETACH).is_ok() {}
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.unmount();
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Whether something is mounted at a path.
pub fn is_mounted(path: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("the mounts");
    mounts.lines().any(|line| line.split(' ').nth(1) == Some(text(path)))
}

/// A daemon that runs. Killed when dropped; its log is printed when a test has failed.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    mount: PathBuf,
}

impl Daemon {
    /// All that it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("its log")
    }

    /// What it says of itself.
    pub fn status(&self) -> Value {
        let json = std::fs::read(self.mount.join(".status.json")).expect("the status");
        serde_json::from_slice(&json).expect("JSON")
    }

    /// What it says of a camera.
    pub fn camera(&self, name: &str) -> Value {
        let status = self.status();
        let cameras = status["cameras"].as_array().expect("a list");
        let found = cameras.iter().find(|camera| camera["name"] == name);
        found.unwrap_or_else(|| panic!("no camera {name}: {status}")).clone()
    }

    /// Waits until it has frames of a camera in a snapshot that can be opened.
    pub fn wait_recording(&self, camera: &str) {
        let growing = self.mount.join(format!("now/{camera}.mp4"));
        wait_until("a growing clip", PATIENCE, || growing.exists());
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A number that the kernel tells of its process (proc(5), `/proc/PID/status`), such as `VmRSS`
    /// in KiB.
    pub fn kernel_number(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).expect("a line with a number")
    }

    /// Waits until a stream has a state; one that has left and has no closed clip yet has none.
    pub fn wait_state(&self, camera: &str, state: &str, seconds: u64) {
        wait_until(&format!("{camera} is {state}"), seconds, || {
            let status = self.status();
            let mut cameras = status["cameras"].as_array().expect("a list").iter();
            cameras.any(|it| it["name"] == camera && it["state"] == state)
        });
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        run_tool("kill", &["-s", name, &self.child.id().to_string()]);
    }

    /// Stops it as a service manager does.
    ///
    /// # Panics
    /// Where it does not end in order, or leaves its mount behind.
    pub fn stop(mut self) {
        self.signal("TERM");
        let status = self.wait_end();
        assert!(status.success(), "{status}");
        assert!(!is_mounted(&self.mount), "the mount is left behind");
    }

    /// Ends it as a crash does.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.wait_end();
    }

    /// Waits until it has ended by itself.
    pub fn wait_end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the daemon ends", PATIENCE, || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("just seen")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), self.log());
        }
    }
}
