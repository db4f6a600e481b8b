//! Runs `cameras.py`: a real RTSP server with cameras that say what they sent.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that does not end by itself within this is killed: its loop may have got stuck.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// One that takes sessions answers within this.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// Cameras that run; stopped when dropped.
pub struct Cameras {
    child: Child,
    commands: ChildStdin,
    port: u16,
    folder: tempfile::TempDir,
}

impl Cameras {
    /// Starts the server with the given options and waits until it takes connections.
    pub fn start(options: &[&str]) -> Cameras {
        let folder = tempfile::tempdir().expect("a folder");
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support/cameras.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .args(options)
            .arg("--until-eof")
            .arg("--log")
            .arg(folder.path().join("log"))
            .arg("--samples")
            .arg(folder.path().join("samples"))
            .arg("--sound-log")
            .arg(folder.path().join("sound"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("/usr/bin/python3");
        let mut line = String::new();
        let output = child.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut line).expect("its first line");
        let port = line.strip_prefix("READY ").and_then(|port| port.trim().parse().ok());
        let port = port.unwrap_or_else(|| {
            panic!("cameras.py did not start (needs ffmpeg and gir1.2-gst-rtsp-server-1.0): {line}")
        });
        let commands = child.stdin.take().expect("its input");
        Cameras { child, commands, port, folder }
    }

    /// Where a camera is.
    pub fn url(&self, camera: u16) -> String {
        format!("rtsp://127.0.0.1:{}/{camera}", self.port)
    }

    /// Gives the server a command.
    pub fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("the server listens");
    }

    /// All that the server says, see `cameras.py`.
    pub fn said(&self) -> Vec<serde_json::Value> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).expect("the log");
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What the server says of each frame that it sent.
    pub fn log(&self) -> Vec<serde_json::Value> {
        self.said().into_iter().filter(|line| line["md5"].is_string()).collect()
    }

    /// Asks the server whether it is there.
    ///
    /// # Errors
    /// Where it takes no connection, or answers nothing on one: gst-rtsp-server may do so for ever
    /// behind a client that left.
    pub fn answers(&self) -> Result<(), String> {
        self.takes("OPTIONS")
    }

    /// Asks the server, which nobody plays, whether it has anything to play.
    ///
    /// # Errors
    /// The same, and where it has not.
    pub fn has_media(&self) -> Result<(), String> {
        self.takes("DESCRIBE")
    }

    fn takes(&self, method: &str) -> Result<(), String> {
        let asked = || -> std::io::Result<String> {
            let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
            connection.set_read_timeout(Some(ANSWER_PATIENCE))?;
            write!(connection, "{method} {} RTSP/1.0\r\nCSeq: 1\r\n\r\n", self.url(1))?;
            let mut answer = [0; 12];
            connection.read_exact(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        // It may have been told to refuse connections.
        let until = Instant::now() + ANSWER_PATIENCE;
        let mut answer = asked();
        while !answer.as_ref().is_ok_and(|answer| answer == "RTSP/1.0 200")
            && Instant::now() < until
        {
            std::thread::sleep(Duration::from_millis(500));
            answer = asked();
        }
        match answer {
            Ok(answer) if answer == "RTSP/1.0 200" => Ok(()),
            Ok(answer) => Err(format!("the server of {} answers {answer:?}", self.url(1))),
            Err(error) => Err(format!(
                "the server of {}, process {}, is stuck and takes no session: {error}",
                self.url(1),
                self.child.id()
            )),
        }
    }

    /// The payloads of all packets of sound that were sent, one session behind another.
    pub fn sound(&self) -> Vec<Vec<u8>> {
        self.sound_by_session().into_values().flatten().collect()
    }

    /// The same, by the number of the session.
    pub fn sound_by_session(&self) -> BTreeMap<u64, Vec<Vec<u8>>> {
        let bytes = std::fs::read(self.folder.path().join("sound")).expect("the sound");
        let (mut rest, mut sound) = (&bytes[..], BTreeMap::<u64, Vec<Vec<u8>>>::new());
        while let Some((session, behind)) = rest.split_first_chunk::<4>() {
            let Some((length, behind)) = behind.split_first_chunk::<2>() else { break };
            let length = usize::from(u16::from_be_bytes(*length));
            let Some((payload, behind)) = behind.split_at_checked(length) else { break };
            let session = u64::from(u32::from_be_bytes(*session));
            sound.entry(session).or_default().push(payload.to_vec());
            rest = behind;
        }
        sound
    }

    /// All frames sent, by camera and number: whether a key frame, and the bytes.
    pub fn sent(&self) -> HashMap<(u16, u64), (bool, Vec<u8>)> {
        let samples = std::fs::read(self.folder.path().join("samples")).expect("the samples");
        let number = |line: &serde_json::Value, key: &str| line[key].as_u64().expect("a number");
        let log = self.log();
        let entries = log.iter().map(|line| {
            let at = number(line, "at") as usize;
            let bytes = samples[at..at + number(line, "bytes") as usize].to_vec();
            let key = line["key"].as_bool().expect("a mark");
            ((number(line, "camera") as u16, number(line, "frame")), (key, bytes))
        });
        entries.collect()
    }
}

impl Drop for Cameras {
    fn drop(&mut self) {
        let _ = self.commands.write_all(b"quit\n");
        let until = Instant::now() + END_PATIENCE;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
