//! Clips shown to a real browser: a page plays them, and says what it showed and what was heard.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::Value;

use crate::daemon::{text, wait_until};

const PAGE: &str = include_str!("player.html");

/// What a browser made of one clip.
#[derive(Debug)]
pub struct Played {
    /// `ended`, or what the browser says of the error.
    pub how: String,
    /// Number of each picture, its time in the file and by the wall, in s.
    pub shown: Vec<(u64, f64, f64)>,
    /// When each beep began, by the wall, in s.
    pub heard: Vec<f64>,
}

/// A program that ends with the test.
pub struct Running(Child);

impl Running {
    /// Starts it.
    pub fn start(command: &mut Command) -> Running {
        let child = command.spawn();
        Running(child.unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program())))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A sound card that nobody hears: without one, Firefox decodes no sound.
pub fn sound_card(folder: &Path) -> Running {
    let socket = folder.join("sound");
    let door = format!("module-native-protocol-unix auth-anonymous=1 socket={}", text(&socket));
    let mut card = Command::new("pulseaudio");
    card.args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-L", &door]);
    card.args(["-L", "module-null-sink rate=48000"]);
    let running = Running::start(quiet(&mut card, folder));
    wait_until("there is a sound card", 20, || socket.exists());
    running
}

/// Shows `clips` to a browser, one after another.
pub fn play(browser: &str, folder: &Path, clips: &[PathBuf]) -> Vec<Played> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let (sender, told) = channel();
    let served = clips.to_vec();
    std::thread::spawn(move || serve(&listener, &served, &sender));
    let names: Vec<String> = (0..clips.len()).map(|number| number.to_string()).collect();
    let page = format!("http://{address}/?{}", names.join(","));
    let _running = open(browser, folder, &page);
    played(browser, &told)
}

/// Shows a page to a browser.
pub fn open(browser: &str, folder: &Path, page: &str) -> Running {
    let profile = folder.join(browser);
    std::fs::create_dir_all(&profile).expect("a folder");
    let mut command = Command::new(browser);
    if browser == "chromium" {
        command.args(["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"]);
        command.arg("--autoplay-policy=no-user-gesture-required");
        command.arg(format!("--user-data-dir={}", text(&profile)));
    } else {
        let preferences = "user_pref('media.autoplay.default', 0);\n\
             user_pref('media.autoplay.block-webaudio', false);\n\
             user_pref('datareporting.policy.dataSubmissionEnabled', false);\n";
        std::fs::write(profile.join("user.js"), preferences).expect("its settings");
        command.args(["--headless", "--no-remote", "--profile", text(&profile)]);
    }
    let door = format!("unix:{}", text(&folder.join("sound")));
    command.env("PULSE_SERVER", door).arg(page);
    Running::start(quiet(&mut command, &profile))
}

fn quiet<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn played(browser: &str, told: &Receiver<String>) -> Vec<Played> {
    let told = told.recv_timeout(Duration::from_secs(100));
    let told = told.unwrap_or_else(|_| panic!("{browser} tells nothing"));
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let list = told.as_array().unwrap_or_else(|| panic!("{browser}: {told}"));
    let float = |value: &Value| value.as_f64().expect("a number");
    let one = |clip: &Value| Played {
        how: clip["how"].as_str().expect("a word").to_owned(),
        shown: clip["shown"]
            .as_array()
            .expect("pictures")
            .iter()
            .map(|picture| {
                let number = picture[0].as_u64().expect("a number");
                (number, float(&picture[1]), float(&picture[2]))
            })
            .collect(),
        heard: clip["heard"].as_array().expect("beeps").iter().map(float).collect(),
    };
    list.iter().map(one).collect()
}

fn serve(listener: &TcpListener, clips: &[PathBuf], told: &Sender<String>) {
    for connection in listener.incoming().flatten() {
        let (clips, told) = (clips.to_vec(), told.clone());
        // A browser that goes away in the middle of an answer is no failure.
        std::thread::spawn(move || answer(connection, &clips, &told));
    }
}

fn answer(connection: TcpStream, clips: &[PathBuf], told: &Sender<String>) -> std::io::Result<()> {
    let (mut from, mut to) = (BufReader::new(connection.try_clone()?), connection);
    let (mut words, mut first, mut length) = (String::new(), 0, 0);
    from.read_line(&mut words)?;
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            first = range.split('-').next().and_then(|first| first.parse().ok()).unwrap_or(0);
        } else if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.parse().unwrap_or(0);
        } else if line.is_empty() {
            break;
        }
    }
    let path = words.split(' ').nth(1).unwrap_or("/");
    let clip = path.strip_prefix("/clip/").and_then(|number| number.parse::<usize>().ok());
    if words.starts_with("POST") {
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        let _ = told.send(String::from_utf8_lossy(&body).into_owned());
        to.write_all(b"HTTP/1.1 204 Told\r\nConnection: close\r\n\r\n")
    } else if let Some(clip) = clip.and_then(|number| clips.get(number)) {
        let mut file = File::open(clip)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(first))?;
        write!(to, "HTTP/1.1 206 Part\r\nContent-Type: video/mp4\r\nAccept-Ranges: bytes\r\n")?;
        write!(to, "Content-Range: bytes {first}-{}/{end}\r\n", end - 1)?;
        write!(to, "Content-Length: {}\r\nConnection: close\r\n\r\n", end - first)?;
        std::io::copy(&mut file, &mut to).map(|_| ())
    } else {
        write!(to, "HTTP/1.1 200 Page\r\nContent-Type: text/html\r\n")?;
        write!(to, "Content-Length: {}\r\nConnection: close\r\n\r\n{PAGE}", PAGE.len())
    }
}
