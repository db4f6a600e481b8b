//! Programs in place of cameras: what they write is recorded, whatever else they do.

#[path = "support/clips.rs"]
mod clips;
#[path = "support/copies.rs"]
mod copies;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/imported.rs"]
mod imported;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daemon::{Daemon, Site, run_tool, text, wait_until};
use imported::packets;

/// How long the footage of the programs is, in seconds.
const LENGTH_S: u32 = 8;

/// A program in Python that behaves as its first argument says: the second one is footage, the
/// third one a file for what it has to tell.
const ODD: &str = r#"
import os, subprocess, sys, time
how, footage, told = sys.argv[1:]
if how == "silent":
    time.sleep(1000)
if how == "status":
    print("no such device", file=sys.stderr)
    sys.exit(3)
if how == "garbage":
    while True:
        sys.stdout.buffer.write(b"\x11" * 65536)
if how == "looks":
    at = "/proc/self/fd"
    fds = [fd for fd in sorted(os.listdir(at), key=int) if os.path.exists(f"{at}/{fd}")]
    fds = [os.readlink(f"{at}/{fd}") for fd in fds]
    child = subprocess.Popen(["sleep", "1000"])
    with open(told + ".new", "w") as to:
        to.write("\n".join([str(os.getpid()), str(child.pid), str(os.getpgid(0))] + fds))
    os.rename(told + ".new", told)
data = open(footage, "rb").read()
begun = time.monotonic()
# A tenth of a second at a time.
pieces = 80
for piece in range(pieces):
    part = data[len(data) * piece // pieces : len(data) * (piece + 1) // pieces]
    sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()
    if how == "flood":
        sys.stderr.write(f"warning {piece}: " + "x" * 3000 + "\n")
        sys.stderr.write("rtsp://viewer:secret@h/ again\n" * 200)
    if how == "hangs" and piece == 30:
        time.sleep(1000)
    time.sleep(max(0, begun + (piece + 1) / 10 - time.monotonic()))
"#;

/// A site whose cameras are programs.
struct Bench {
    site: Site,
    footage: PathBuf,
    script: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        let mut site = Site::new("96M");
        // One clip, but for the one hour of the day that ends within a test.
        site.view = "clip = \"1h\"\n".to_owned();
        let (footage, script) = (site.path("footage.ts"), site.path("odd.py"));
        fs::write(&script, ODD).expect("a script");
        let words = format!(
            "-v error -y -f lavfi -i testsrc2=size=320x240:rate=25:duration={LENGTH_S} -f lavfi \
             -i sine=duration={LENGTH_S} -c:v libx264 -preset veryfast -g 25 -bf 2 -threads 1 -c:a \
             aac {}",
            text(&footage)
        );
        run_tool("ffmpeg", &words.split_whitespace().collect::<Vec<_>>());
        Bench { site, footage, script }
    }

    fn add_odd(&mut self, how: &str) {
        let (script, footage) = (text(&self.script).to_owned(), text(&self.footage).to_owned());
        let told = text(&self.told(how)).to_owned();
        self.site.add_program(how, &["python3", &script, how, &footage, &told]);
    }

    fn told(&self, how: &str) -> PathBuf {
        self.site.path(&format!("told-{how}"))
    }
}

fn wait_log(daemon: &Daemon, words: &str, seconds: u64) {
    wait_until(words, seconds, || daemon.log().contains(words));
}

fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn every_frame_of_a_program_is_recorded_and_it_is_run_again_when_it_ends() {
    let mut bench = Bench::new();
    let footage = text(&bench.footage).to_owned();
    let words = ["-v", "error", "-re", "-i", &footage, "-c", "copy", "-f", "mpegts", "-"];
    bench.site.add_program("yard", &[&["ffmpeg"], &words[..]].concat());
    let daemon = bench.site.run();
    wait_log(&daemon, "yard: recording ffmpeg: H.264 avc1", 20);
    wait_log(&daemon, "AAC 44.1 kHz, over a pipe, from \"ffmpeg\"", 1);
    wait_log(&daemon, "yard: recording has ended after 8 s: ffmpeg ended; trying again", 20);
    wait_until("it is run again", 30, || daemon.camera("yard")["reconnects"] == 1);
    run_tool("pkill", &["-KILL", "--parent", &daemon.id().to_string(), "ffmpeg"]);
    wait_log(&daemon, ": ffmpeg ended: signal: 9 (SIGKILL)", 10);
    wait_until("and once more", 30, || daemon.camera("yard")["reconnects"] == 2);
    assert_eq!(daemon.camera("yard")["transport"], "a pipe");
    daemon.stop();

    let copies = copies::of_ring(&bench.site.ring_path(), &bench.site.path(""));
    let digests = |file: &Path, kind: &str| -> Vec<String> {
        packets(file, kind).into_iter().map(|packet| packet.digest).collect()
    };
    let source = bench.site.path("source.mp4");
    let (from, to) = (text(&bench.footage), text(&source));
    let words = "-v error -y -i FROM -c copy -bsf:v filter_units=remove_types=9";
    let words: Vec<&str> =
        words.split(' ').map(|word| if word == "FROM" { from } else { word }).collect();
    run_tool("ffmpeg", &[&words[..], &[to]].concat());
    let (pictures, sound) = (digests(&source, "v"), digests(&source, "a"));
    assert_eq!(pictures.len() as u32, LENGTH_S * 25);
    let seen = digests(&copies[0], "v");
    let first = pictures.iter().zip(&seen).position(|(one, other)| one != other);
    assert!(seen == pictures, "{} pictures; another one at {first:?}", seen.len());
    let heard = digests(&copies[0], "a");
    assert!(heard.len() + 4 > sound.len(), "{} of {} packets", heard.len(), sound.len());
    let places: Vec<Option<usize>> =
        heard.iter().map(|packet| sound.iter().position(|known| known == packet)).collect();
    assert!(sound.windows(heard.len()).any(|part| part == heard), "other sound: {places:?}");
}

#[test]
fn programs_that_fail_are_told_and_tried_again_and_disturb_no_other() {
    let mut bench = Bench::new();
    for how in ["flood", "garbage", "hangs", "looks", "silent", "status"] {
        bench.add_odd(how);
    }
    bench.site.add_program("absent", &["reelfs-no-such-program", "-x", "secret"]);
    let daemon = bench.site.run();
    let started = daemon.log();
    assert!(!started.contains("secret"), "{started}");
    wait_log(&daemon, "absent: not recorded: can't run reelfs-no-such-program: No such file", 10);
    let ended = "status: not recorded: python3 ended: exit status: 3: no such device";
    wait_log(&daemon, ended, 10);
    wait_log(&daemon, "garbage: not recorded: python3 writes no MPEG-TS", 10);
    wait_log(&daemon, "hangs: recording has ended after 3 s: waiting for a picture: nothing", 40);
    wait_log(&daemon, "silent: not recorded: waiting for MPEG-TS: nothing for 30 s", 40);
    wait_until("the one that hangs is run again", 30, || {
        daemon.camera("hangs")["reconnects"].as_u64() >= Some(1)
    });
    let status = daemon.status();
    assert_eq!(status["schema"], 1);
    let error = || daemon.camera("absent")["error"].clone();
    wait_until("it waits", 10, || !error().is_null());
    let error = error();
    assert_eq!(error["kind"], "away", "{error}");
    assert!(error["text"].as_str().is_some_and(|text| text.contains("No such file")), "{error}");
    assert!(error["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{error}");
    let log = daemon.log();
    let flooded = log.lines().filter(|line| line.contains("flood: ")).count();
    assert!(flooded < 60, "{flooded} lines of the log are of one program's errors");
    assert!(!log.contains("secret"), "a password is in the log");
    assert!(daemon.camera("flood")["frames"].as_u64() >= Some(u64::from(LENGTH_S) * 25));

    // It has nothing but its pipes, and goes with all that it has started.
    let told = fs::read_to_string(bench.told("looks")).expect("what it saw");
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(told[2], told[0], "a group of its own");
    let folder = text(&bench.site.path("")).to_owned();
    let is_ours = |it: &&&str| {
        ["/dev/fuse", "socket", "anon_inode", &folder].iter().any(|word| it.contains(word))
    };
    assert!(told.len() >= 6 && !told[3..].iter().any(|it| is_ours(&it)), "{told:?}");
    wait_until("it ends, and its child", 30, || !told[..2].iter().any(|pid| is_running(pid)));
    assert!(daemon.log().contains("looks: recording python3: H.264"));
    daemon.stop();
    std::thread::sleep(Duration::from_millis(100));
    let last = fs::read_to_string(bench.told("looks")).expect("what it saw");
    assert!(last.lines().take(2).all(|pid| !is_running(pid)), "they outlive the daemon");
}

#[test]
fn a_command_that_is_wrong_is_refused_by_line() {
    for (section, words) in [
        ("command = []", "names no program"),
        ("command = [\"\"]", "names no program"),
        ("command = \"ffmpeg -i x\"", "is a text, has to be a list of texts such as"),
        ("command = [\"ffmpeg\", 1]", "has to be a list of texts such as"),
        ("command = [\"./none\"]", "/none is no file"),
        ("command = [\"cat\"]\nurl = \"rtsp://h/\"", "this one has `command`"),
        ("command = [\"cat\"]\nusername = \"me\"", "this one has `command`"),
        ("command = [\"cat\"]\ntransport = \"udp\"", "this one has `command`"),
    ] {
        let mut site = Site::without_ring();
        site.cameras.push_str(&format!("[[camera]]\nname = \"a\"\n{section}\n"));
        let output = site.reelfs(&["run", "--config", text(&site.config())]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("reelfs.toml:") && said.contains(words), "{section}: {said}");
    }
}
