//! What a client sends: requests, answers, and packets that nobody looks at.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

/// A request. What the client answers to one of the camera's own has a version for a method.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub url: String,
    /// From the beginning of its connection.
    pub number: u64,
    /// By name in lower case.
    headers: Vec<(String, String)>,
}

impl Request {
    /// A header by its name in lower case; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// Whether it comes at a time when all is set up: it keeps the session alive, and no more.
    pub fn is_keep_alive(&self) -> bool {
        let names = ["OPTIONS", "GET_PARAMETER", "SET_PARAMETER"];
        names.contains(&self.method.as_str()) && !self.header("session").is_empty()
    }

    /// The next one of a connection; `None` where the client is gone.
    pub(super) fn read(reader: &mut BufReader<TcpStream>, number: u64) -> Option<Request> {
        while reader.fill_buf().ok()?.first() == Some(&b'$') {
            let mut head = [0; 4];
            reader.read_exact(&mut head).ok()?;
            skip(reader, u16::from_be_bytes([head[2], head[3]]).into())?;
        }
        let mut request = Request { number, ..Request::default() };
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if request.method.is_empty() {
                let mut words = line.split(' ').map(str::to_owned);
                (request.method, request.url) = (words.next()?, words.next()?);
            } else if let Some((name, value)) = line.split_once(':') {
                request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        skip(reader, request.header("content-length").parse().unwrap_or(0))?;
        Some(request)
    }
}

fn skip(reader: &mut BufReader<TcpStream>, length: u64) -> Option<()> {
    let skipped = std::io::copy(&mut reader.take(length), &mut std::io::sink());
    (skipped.ok()? == length).then_some(())
}
