//! The tree shown by a web server, nginx, to browsers with players for playlists.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::{self, Running};
use crate::daemon::{Site, text, wait_until};
use crate::ports::free_port;

const PAGE: &str = include_str!("hls.html");
/// What `scripts/servers` installs.
const NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/servers/node/node_modules");

/// A web server, with all its files in the folder of a site; it ends with the test.
pub struct Web {
    address: String,
    told: Receiver<String>,
    _nginx: Running,
}

/// What a player made of a playlist.
#[derive(Debug)]
pub struct Shown {
    /// `sought`, `ended`, or what went wrong.
    pub how: String,
    /// What the player said its time was, in s since 1970, and the number of the picture shown.
    pub pictures: Vec<(f64, i64)>,
    /// Errors, also those that it got over.
    pub said: Vec<String>,
    /// What the player said its time was when a beep began.
    pub heard: Vec<f64>,
}

/// What a player is to do: play a playlist, or seek in it.
pub fn job(player: &str, url: &str, seeks: &[f64]) -> Value {
    json!({ "player": player, "url": url, "seeks": seeks })
}

impl Web {
    /// Shows the mount of a site under `/footage/`.
    pub fn start(site: &Site) -> Web {
        let folder = site.path("web");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("hls.html"), PAGE).expect("the page");
        assert!(Path::new(NODE).join("hls.js").exists(), "scripts/servers installs hls.js");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let teller = listener.local_addr().expect("its address").to_string();
        let (sender, told) = channel();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if let Ok(body) = posted(connection) {
                    let _ = sender.send(body);
                }
            }
        });
        let address = format!("127.0.0.1:{}", free_port());
        let config = folder.join("nginx.conf");
        fs::write(&config, configuration(site, &folder, &address, &teller)).expect("its settings");
        let log = folder.join("first.log");
        let mut nginx = Command::new("/usr/sbin/nginx");
        nginx.args(["-p", text(&folder), "-c", text(&config), "-e", text(&log)]);
        nginx.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let nginx = Running::start(&mut nginx);
        wait_until("nginx serves", 20, || TcpStream::connect(&address).is_ok());
        Web { address, told, _nginx: nginx }
    }

    /// Where something of the mount is.
    pub fn url(&self, below: &str) -> String {
        format!("http://{}/footage/{below}", self.address)
    }

    /// Has a new browser do what [`job`] says, all at once.
    pub fn show(&self, folder: &Path, jobs: &[Value]) -> Vec<Shown> {
        let asked = serde_json::to_string(jobs).expect("JSON");
        let asked = percent_encoding::utf8_percent_encode(&asked, percent_encoding::CONTROLS);
        let asked = asked.to_string().replace('"', "%22");
        let page = format!("http://{}/hls.html?{asked}", self.address);
        let _browser = browser::open("chromium", folder, &page);
        let told = self.told.recv_timeout(Duration::from_secs(100));
        let told = told.expect("the browser tells something");
        let told: Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told}"));
        told.as_array().expect("a list").iter().map(shown).collect()
    }
}

fn shown(told: &Value) -> Shown {
    let list = |name: &str| told[name].as_array().expect("a list").iter();
    let picture = |picture: &Value| {
        let time = picture[0].as_f64().unwrap_or(f64::NAN);
        (time, picture[1].as_i64().expect("a number"))
    };
    Shown {
        how: told["how"].as_str().expect("a word").to_owned(),
        pictures: list("shown").map(picture).collect(),
        said: list("said").map(|word| word.as_str().expect("words").to_owned()).collect(),
        heard: list("heard").map(|time| time.as_f64().unwrap_or(f64::NAN)).collect(),
    }
}

/// As the manual shows it, and what the test itself needs beside that. One process, so that none
/// is left when it is killed.
fn configuration(site: &Site, folder: &Path, address: &str, teller: &str) -> String {
    let (folder, mount) = (text(folder), site.mount());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\n\
         error_log {folder}/error.log;\nevents {{}}\n\
         http {{\naccess_log {folder}/access.log;\n{temporary}\
         server {{\nlisten {address};\n\
         location /footage/ {{\nalias {mount}/;\n\
         types {{ application/vnd.apple.mpegurl m3u8; video/mp4 mp4; text/vtt vtt; }}\n}}\n\
         location /node/ {{ alias {NODE}/; types {{ text/javascript js; }} }}\n\
         location /told {{ proxy_pass http://{teller}; client_max_body_size 9m; }}\n\
         location / {{ root {folder}; types {{ text/html html; }} }}\n}}\n}}\n",
        mount = text(&mount),
    )
}

/// What a page posts.
fn posted(connection: TcpStream) -> std::io::Result<String> {
    let (mut from, mut to) = (BufReader::new(connection.try_clone()?), connection);
    let mut length = 0;
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.parse().unwrap_or(0);
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    to.write_all(b"HTTP/1.1 204 Told\r\nConnection: close\r\n\r\n")?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}
