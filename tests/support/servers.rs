//! RTSP servers of others, which `scripts/servers` installs, with footage to send: started on
//! loopback, killed, started again.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::ports::{free_port, free_ports};

/// Pictures a second.
pub const RATE: u64 = 25;
/// What each server has to send, and the film that ends soon.
const FOOTAGE_SECONDS: u32 = 60;
const SHORT_SECONDS: usize = 6;
/// Frames of the film that ends soon.
pub const SHORT_FRAMES: usize = SHORT_SECONDS * RATE as usize;
/// Between the start of a server and its first answer: PyAV alone takes seconds to be loaded.
const PATIENCE: Duration = Duration::from_secs(20);
/// Debian's user and group "nobody": VLC refuses to be run by root.
const NOBODY: u32 = 65_534;

/// Of the slices of a picture, in their order, without what servers add or leave out.
pub type Digest = blake3::Hash;

/// The digests of the pictures of a byte stream (ITU-T H.264, annex B).
pub fn pictures(stream: &[u8]) -> Vec<Digest> {
    let starts: Vec<usize> = (0..stream.len().saturating_sub(3))
        .filter(|at| stream[*at..].starts_with(&[0, 0, 1]))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    let mut found: Vec<Picture> = Vec::new();
    for (start, end) in starts.iter().zip(ends) {
        let unit = &stream[start + 3..end];
        let trailing = unit.iter().rev().take_while(|byte| **byte == 0).count();
        let unit = &unit[..unit.len() - trailing];
        // first_mb_in_slice is 0 (7.3.3): a one in front.
        if is_slice(unit) && unit[1] & 0x80 != 0 {
            found.push(Picture::default());
        }
        if let Some(picture) = found.last_mut() {
            picture.add(unit);
        }
    }
    found.into_iter().map(|picture| picture.0.finalize()).collect()
}

/// The same of a stored sample: NAL units, each with a length of four bytes.
pub fn picture(mut sample: &[u8]) -> Digest {
    let mut picture = Picture::default();
    while let Some((length, rest)) = sample.split_first_chunk::<4>() {
        let (unit, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        picture.add(unit);
        sample = rest;
    }
    picture.0.finalize()
}

#[derive(Default)]
struct Picture(blake3::Hasher);

impl Picture {
    fn add(&mut self, unit: &[u8]) {
        if is_slice(unit) {
            self.0.update(&(unit.len() as u64).to_le_bytes()).update(unit);
        }
    }
}

fn is_slice(unit: &[u8]) -> bool {
    unit.len() > 1 && matches!(unit[0] & 31, 1 | 5)
}

/// A minute of a test picture, 25 a second in groups of 25, two slices each.
pub struct Footage {
    folder: tempfile::TempDir,
    /// All different.
    pub pictures: Vec<Digest>,
}

impl Footage {
    pub fn encode() -> Footage {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))
            .expect("it is ours");
        let mut footage = Footage { folder, pictures: Vec::new() };
        let [film, short, stream] =
            ["film.mp4", "short.mp4", "stream.h264"].map(|it| footage.path(it));
        let (source, length) =
            (format!("testsrc2=size=320x240:rate={RATE}"), FOOTAGE_SECONDS.to_string());
        let input = ["-f", "lavfi", "-i", &source, "-t", &length];
        let coding = ["-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "main", "-pix_fmt"];
        let groups = "keyint=25:scenecut=0:bframes=0:sliced-threads=0:slices=2";
        let more = ["yuv420p", "-x264-params", groups, &film];
        ffmpeg(&[&input[..], &coding, &more].concat());
        let copy = ["-i", &film, "-c", "copy"];
        let length = SHORT_SECONDS.to_string();
        ffmpeg(&[&copy[..], &["-t", &length, &short]].concat());
        ffmpeg(
            &[&copy[..], &["-bsf:v", "h264_mp4toannexb,h264_metadata=aud=insert", &stream]]
                .concat(),
        );
        footage.pictures = pictures(&std::fs::read(stream).expect("the stream"));
        assert_eq!(footage.pictures.len() as u64, u64::from(FOOTAGE_SECONDS) * RATE);
        footage
    }

    /// Of something in its folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a path in UTF-8").to_owned()
    }
}

fn ffmpeg(words: &[&str]) {
    let status =
        Command::new("ffmpeg").args(["-v", "error", "-nostdin", "-y"]).args(words).status();
    assert!(status.expect("ffmpeg is installed").success(), "{words:?}");
}

/// One program that takes part in a server, and how one sees that it is up.
struct Part {
    command: Command,
    ready: Ready,
}

enum Ready {
    /// It says so.
    Said,
    /// This URL is answered.
    Answered(String),
}

/// A program that runs; killed when dropped.
pub struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Part {
    fn start(mut self) -> Program {
        let child = self.command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut program = Program(child.unwrap_or_else(|error| {
            panic!("{:?}: {error}; scripts/servers installs it", self.command.get_program())
        }));
        let output = BufReader::new(program.0.stdout.take().expect("its output"));
        let (say, said) = mpsc::channel();
        // Read to its end, so that the program is never held up.
        std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines.filter(|line| line == "READY").for_each(|_| _ = say.send(()));
        });
        let is_up = match &self.ready {
            Ready::Said => said.recv_timeout(PATIENCE).is_ok(),
            Ready::Answered(url) => is_answered(url),
        };
        let ended = program.0.try_wait().expect("a child");
        assert!(is_up && ended.is_none(), "it does not start: {:?}: {ended:?}", self.command);
        program
    }
}

/// Waits until a URL has a description.
fn is_answered(url: &str) -> bool {
    let address = url.strip_prefix("rtsp://").and_then(|it| it.split('/').next()).expect("a host");
    let ask = || -> Option<bool> {
        let mut server = TcpStream::connect(address).ok()?;
        server.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        write!(server, "DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n")
            .ok()?;
        let mut status = [0; 12];
        server.read_exact(&mut status).ok()?;
        Some(status == *b"RTSP/1.0 200")
    };
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if ask() == Some(true) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// A server, started anew as often as one likes, on the same ports.
pub struct Server {
    parts: Box<dyn Fn() -> Vec<Part> + Sync>,
    programs: Mutex<Vec<Program>>,
    address: String,
}

impl Server {
    fn new(port: u16, parts: impl Fn() -> Vec<Part> + Sync + 'static) -> Server {
        let address = format!("rtsp://127.0.0.1:{port}");
        Server { parts: Box::new(parts), programs: Mutex::default(), address }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Starts it and waits until it answers.
    pub fn start(&self) {
        let programs = (self.parts)().into_iter().map(Part::start).collect();
        *self.programs.lock().expect("nobody died") = programs;
    }

    /// Ends it as a power cut does.
    pub fn kill(&self) {
        self.programs.lock().expect("nobody died").clear();
    }
}

fn support(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/servers").join(name)
}

/// A program that says when it is ready.
fn speaking(interpreter: &str, script: &str, words: &[String]) -> Part {
    let mut command = Command::new(interpreter);
    command.arg(support(script)).args(words).current_dir(env!("CARGO_MANIFEST_DIR"));
    Part { command, ready: Ready::Said }
}

/// The interpreter that has the packages of `requirements.txt`.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/servers/python/bin/python");

/// `/live`, `/film` and `/short`: see `gstreamer.py`.
pub fn gstreamer(footage: &Footage) -> Server {
    let port = free_port();
    let files = ["stream.h264", "film.mp4", "short.mp4"].map(|name| footage.path(name));
    let words = [vec![port.to_string()], files.to_vec()].concat();
    Server::new(port, move || vec![speaking("/usr/bin/python3", "gstreamer.py", &words)])
}

/// `/film.mp4?play_count=0`: see `aio_toolkit.py`.
pub fn aio_rtsp_toolkit(footage: &Footage) -> Server {
    let port = free_port();
    let words = [port.to_string(), footage.path("")];
    Server::new(port, move || vec![speaking(PYTHON, "aio_toolkit.py", &words)])
}

/// `/live`: see `rtsp_source.py`. What it has sent since it was started last is in `sent.h264`.
pub fn rtsp_source(footage: &Footage) -> Server {
    let port = free_port();
    let words = [port.to_string(), footage.path("film.mp4"), footage.path("sent.h264")];
    Server::new(port, move || vec![speaking(PYTHON, "rtsp_source.py", &words)])
}

/// `/film`, for everybody, from its beginning when the server is started; over UDP alone. Sessions
/// that say nothing for 10 s are closed.
pub fn vlc(footage: &Footage) -> Server {
    let (port, film, home) = (free_port(), footage.path("film.mp4"), footage.path(""));
    Server::new(port, move || {
        let url = format!("rtsp://127.0.0.1:{port}/film");
        let output = format!("#rtp{{sdp={url}}}");
        let options = ["-I", "dummy", "--quiet", "--no-audio", "--sout-keep", "--loop"];
        let mut command = Command::new("vlc");
        command.args(options).args(["--rtsp-timeout=10", &film, "--sout", &output]);
        command.env("HOME", &home).stderr(Stdio::null());
        if nix::unistd::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        vec![Part { command, ready: Ready::Answered(url) }]
    })
}

/// `/live`, the film over and over, which ffmpeg announces; over UDP alone.
pub fn rtsp_streaming_server(footage: &Footage) -> Server {
    let (publishers, clients, packets) = (free_port(), free_port(), free_ports(32));
    let film = footage.path("film.mp4");
    Server::new(clients, move || {
        let words = [publishers, clients, packets].map(|port| port.to_string());
        let server = speaking("node", "streaming_server.js", &words);
        let to = format!("rtsp://127.0.0.1:{publishers}/live");
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", &film]);
        command.args(["-c", "copy", "-f", "rtsp", &to]);
        let ready = Ready::Answered(format!("rtsp://127.0.0.1:{clients}/live"));
        vec![server, Part { command, ready }]
    })
}

/// Another client: ffmpeg, which writes what it gets to a file, as it is.
pub fn viewer(url: &str, transport: &str, seconds: u32, file: &str) -> Program {
    let length = seconds.to_string();
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "fatal", "-nostdin", "-y", "-rtsp_transport", transport, "-i", url]);
    command.args(["-c", "copy", "-t", &length, "-flush_packets", "1", "-f", "h264", file]);
    Program(command.spawn().expect("ffmpeg is installed"))
}
