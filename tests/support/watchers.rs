//! Programs that watch directories, as people run them: what each of them has heard of.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::daemon::{run_tool, text, wait_until};
use crate::ports::{free_port, free_ports};
use crate::shares::Samba;

/// A file server, an indexer or a client takes so many seconds at most, on a loaded machine.
const PATIENCE: u64 = 30;

/// A program that runs and says something; ended when dropped.
pub struct Watching {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Watching {
    fn start(command: &mut Command) -> Watching {
        // Some of them start others, which would outlive them.
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = child.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (said, told) = (child.stdout.take(), child.stderr.take());
        hear(said.expect("a pipe"), &lines);
        hear(told.expect("a pipe"), &lines);
        Watching { child, lines }
    }

    /// All lines that it has said so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no panic").clone()
    }

    /// How many of them are `line`.
    pub fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|said| *said == line).count()
    }

    /// Waits until a line has a part.
    pub fn wait_for(&self, part: &str) {
        let says = || self.lines().iter().any(|line| line.contains(part));
        for _ in 0..PATIENCE * 20 {
            if says() {
                return;
            }
            thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("nothing with {part:?}: {:#?}", self.lines());
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.child.id() as i32);
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

fn hear(said: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    thread::spawn(move || {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            lines.lock().expect("no panic").push(line);
        }
    });
}

/// inotifywait on a tree: a line for each change, with its event and its path below `root`.
pub fn inotifywait(root: &Path) -> Watching {
    let mut command = Command::new("inotifywait");
    command.args(["-m", "-r", "-e", "create,moved_to,moved_from,delete,close_write"]);
    command.args(["--format", "%e %w%f"]).arg(".").current_dir(root);
    let watching = Watching::start(&mut command);
    watching.wait_for("Watches established");
    watching
}

/// fswatch on a tree.
pub fn fswatch(root: &Path) -> Watching {
    let mut command = Command::new("fswatch");
    command.args(["-r", "-x", "--event=MovedTo", "--event=Removed", "--event=Created"]);
    command.args(["-m", "inotify_monitor", "-l", "0.2"]).arg(root);
    let watching = Watching::start(&mut command);
    // It does not say when it is ready; the last directory that it watches is.
    let watches = || inotify_watches(watching.child.id()) >= directories(root);
    wait_until("fswatch watches", PATIENCE, watches);
    watching
}

fn directories(root: &Path) -> usize {
    run_tool("find", &[text(root), "-type", "d"]).lines().count()
}

/// How many watches a process has (proc(5), `fdinfo`).
fn inotify_watches(process: u32) -> usize {
    let entries = fs::read_dir(format!("/proc/{process}/fdinfo")).into_iter().flatten().flatten();
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.map(|text| text.lines().filter(|line| line.starts_with("inotify ")).count()).sum()
}

/// minidlna over a tree.
pub fn minidlna(folder: &Path, root: &Path) -> Watching {
    let settings = format!(
        "port={}\nnetwork_interface=lo\nmedia_dir=V,{}\ndb_dir={}\nlog_dir={}\ninotify=yes\n\
         log_level=general,artwork,database,inotify,scanner,metadata,http,ssdp,tivo=debug\n\
         minissdpdsocket={}\n",
        free_port(),
        text(root),
        text(folder),
        text(folder),
        text(&folder.join("no-ssdp")),
    );
    let file = folder.join("minidlna.conf");
    fs::write(&file, settings).expect("room");
    let mut command = Command::new("minidlnad");
    command.args(["-d", "-f", text(&file), "-P", text(&folder.join("minidlna.pid"))]);
    let watching = Watching::start(&mut command);
    let watches = || inotify_watches(watching.child.id()) >= directories(root) - 1;
    wait_until("minidlna watches", PATIENCE, watches);
    watching
}

/// A client of Samba's server that is told of what happens in a directory of a tree.
pub fn samba(folder: &Path, root: &Path, directory: &str) -> (Samba, Watching) {
    let samba = Samba::over(folder, root);
    let mut command = Command::new("stdbuf");
    command.args(["-oL", "smbclient"]).args(&samba.client).arg(format!("notify {directory}"));
    let client = Watching::start(&mut command);
    // It is the server that watches, in a process of the client's own.
    let watches = || {
        let children = run_tool("pgrep", &["-P", &samba.server.id().to_string()]);
        let children = children.lines().filter_map(|line| line.parse().ok());
        children.map(inotify_watches).sum::<usize>() > 0
    };
    wait_until("the file server watches", PATIENCE, watches);
    (samba, client)
}

/// Syncthing with a tree as a folder to send, which is never scanned again.
pub struct Syncthing {
    _program: Watching,
    port: u16,
}

const KEY: &str = "of-the-test";

impl Syncthing {
    /// Starts it, and waits until it has seen all that there is.
    pub fn start(folder: &Path, root: &Path) -> Syncthing {
        let (home, port) = (folder.join("syncthing"), free_ports(2));
        run_tool("syncthing", &["generate", "--home", text(&home), "--no-default-folder"]);
        let settings = format!(
            "<configuration version=\"35\">\
             <folder id=\"tree\" path={root:?} type=\"sendonly\" rescanIntervalS=\"0\" \
             fsWatcherEnabled=\"true\" fsWatcherDelayS=\"1\" ignorePerms=\"true\">\
             <markerName>now</markerName></folder>\
             <gui enabled=\"true\" tls=\"false\"><address>127.0.0.1:{port}</address>\
             <apikey>{KEY}</apikey></gui>\
             <options><listenAddress>tcp://127.0.0.1:{}</listenAddress>\
             <globalAnnounceEnabled>false</globalAnnounceEnabled>\
             <localAnnounceEnabled>false</localAnnounceEnabled>\
             <relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled>\
             <startBrowser>false</startBrowser><urAccepted>-1</urAccepted>\
             <autoUpgradeIntervalH>0</autoUpgradeIntervalH>\
             <crashReportingEnabled>false</crashReportingEnabled></options></configuration>",
            port + 1
        );
        fs::write(home.join("config.xml"), settings).expect("room");
        let mut command = Command::new("syncthing");
        command.args(["serve", "--home", text(&home), "--no-browser", "--no-restart"]);
        // Without a process that watches over it, which leaves it behind.
        command.env("STNOUPGRADE", "1").env("STMONITORED", "yes");
        let syncthing = Syncthing { _program: Watching::start(&mut command), port };
        let ready = || {
            let status = syncthing.ask("/rest/db/status?folder=tree");
            status.contains("\"state\": \"idle\"") && !status.contains("\"globalFiles\": 0,")
        };
        wait_until("syncthing has scanned", PATIENCE, ready);
        syncthing
    }

    /// Whether a file is there, as far as it knows.
    pub fn has(&self, path: &str) -> bool {
        let told = self.ask(&format!("/rest/db/file?folder=tree&file={path}"));
        told.contains("\"deleted\": false")
    }

    fn ask(&self, what: &str) -> String {
        let mut answer = String::new();
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return answer };
        let request = format!("GET {what} HTTP/1.0\r\nHost: localhost\r\nX-API-Key: {KEY}\r\n\r\n");
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read_to_string(&mut answer);
        answer
    }
}
