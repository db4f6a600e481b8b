//! What a browser's MediaRecorder writes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use crate::browser;

const PAGE: &str = include_str!("media_recorder.html");
/// How long it may take, browser included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has Chromium record some seconds in each of these forms, all at once.
pub fn recorded(folder: &Path, forms: &[&str]) -> Vec<Vec<u8>> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let (sender, told) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || serve(connection, &sender));
        }
    });
    let asked = forms.join("|");
    let asked = percent_encoding::utf8_percent_encode(&asked, percent_encoding::NON_ALPHANUMERIC);
    let _browser = browser::open("chromium", folder, &format!("http://{address}/?{asked}"));
    let mut files = Vec::new();
    loop {
        let (name, body) = told.recv_timeout(PATIENCE).expect("the browser tells something");
        match name.as_str() {
            "done" => return files,
            "error" => panic!("{}", String::from_utf8_lossy(&body)),
            _ => files.push(body),
        }
    }
}

/// Gives the page, or takes what it posts.
fn serve(connection: TcpStream, sender: &Sender<(String, Vec<u8>)>) {
    let mut to = connection.try_clone().expect("a connection");
    let mut from = BufReader::new(connection);
    let (mut first, mut length) = (String::new(), 0);
    if from.read_line(&mut first).is_err() {
        return;
    }
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).is_err() || line.trim().is_empty() {
            break;
        }
        let line = line.to_ascii_lowercase();
        if let Some(bytes) = line.strip_prefix("content-length:") {
            length = bytes.trim().parse().expect("a length");
        }
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or("/"));
    if method == "POST" {
        let mut body = vec![0; length];
        from.read_exact(&mut body).expect("what it says");
        let _ = sender.send((path.trim_start_matches('/').to_owned(), body));
        let _ = to.write_all(b"HTTP/1.1 204 Taken\r\nConnection: close\r\n\r\n");
        return;
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
    let _ = write!(to, "{head}Content-Length: {}\r\n\r\n{PAGE}", PAGE.len());
}
