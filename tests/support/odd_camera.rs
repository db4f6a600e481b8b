//! A small RTSP server, over TCP and interleaved, that is a camera with one oddity: what it says
//! and what it sends can be changed on the way. Its frames carry the marks of `frames.rs`, with the
//! time at which they were "taken".

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Ticks of the RTP clock in a second.
pub const CLOCK_RATE: u32 = 90_000;
/// Pictures a second.
pub const RATE: u64 = 25;
/// Frames from one key frame to the next.
pub const GROUP: u64 = 25;
/// Bytes of a packet's payload at most.
const PAYLOAD_BYTES_MAX: usize = 1400;

/// One packet, before it is put into bytes.
#[derive(Clone, Debug)]
pub struct Packet {
    pub channel: u8,
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub time: u32,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

/// What is odd about a camera; by default nothing.
pub struct Oddity {
    /// Changes an answer, head and body; told the method that is answered.
    pub answer: fn(&str, String) -> String,
    /// Changes the packets of a frame; told its number from the beginning of the session.
    pub packets: Box<dyn Fn(u64, Vec<Packet>) -> Vec<Packet> + Send + Sync>,
    /// Closes the connection behind so many frames.
    pub frames_max: Option<u64>,
    /// Says goodbye instead, and keeps it open.
    pub says_goodbye: bool,
    /// Every answer is of this status.
    pub refuses: Option<&'static str>,
}

impl Default for Oddity {
    fn default() -> Oddity {
        Oddity {
            answer: |_, it| it,
            packets: Box::new(|_, it| it),
            frames_max: None,
            says_goodbye: false,
            refuses: None,
        }
    }
}

/// The camera, until it is dropped.
pub struct OddCamera {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    oddity: Oddity,
    /// Of all sessions.
    sent: AtomicU64,
    connections: Mutex<Vec<SystemTime>>,
    closed: Mutex<Vec<SystemTime>>,
    ended: AtomicBool,
}

impl OddCamera {
    pub fn start(oddity: Oddity) -> OddCamera {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its number");
        let state = Arc::new(State {
            oddity,
            sent: AtomicU64::new(0),
            connections: Mutex::default(),
            closed: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    break;
                }
                let state = shared.clone();
                state.connections.lock().expect("nobody died").push(SystemTime::now());
                // A client that goes away ends its thread, and no more.
                std::thread::spawn(move || client.map(|client| serve(&state, client)));
            }
        });
        OddCamera { address, state }
    }

    pub fn url(&self) -> String {
        format!("rtsp://{}/stream", self.address)
    }

    /// Frames that were sent, in all sessions.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::SeqCst)
    }

    /// When it closed a connection.
    pub fn closed(&self) -> Vec<SystemTime> {
        self.state.closed.lock().expect("nobody died").clone()
    }

    /// When somebody connected.
    pub fn connections(&self) -> Vec<SystemTime> {
        self.state.connections.lock().expect("nobody died").clone()
    }
}

impl Drop for OddCamera {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes who listens.
        let _ = TcpStream::connect(self.address);
    }
}

/// The NAL units of each frame: 20 s of a test picture, without B-frames, one slice each.
fn footage() -> &'static Vec<Vec<Vec<u8>>> {
    static FOOTAGE: OnceLock<Vec<Vec<Vec<u8>>>> = OnceLock::new();
    FOOTAGE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("footage.h264");
        encode(&file);
        let bytes = std::fs::read(file).expect("the footage");
        let mut frames: Vec<Vec<Vec<u8>>> = Vec::new();
        let mut ahead = Vec::new();
        for unit in units(&bytes) {
            match unit[0] & 31 {
                1 | 5 => {
                    ahead.push(unit);
                    frames.push(std::mem::take(&mut ahead));
                }
                7 | 8 => ahead.push(unit),
                _ => {}
            }
        }
        assert_eq!(frames.len() as u64, 20 * RATE);
        frames
    })
}

fn encode(file: &Path) {
    let group = GROUP.to_string();
    let source = format!("testsrc2=size=320x240:rate={RATE}");
    let words = ["-v", "error", "-f", "lavfi", "-i", &source, "-t", "20", "-c:v", "libx264"];
    let coding = ["-profile:v", "main", "-pix_fmt", "yuv420p", "-g", &group, "-bf", "0"];
    let more = ["-x264-params", "scenecut=0:sliced-threads=0:slices=1:repeat-headers=1"];
    let mut command = Command::new("ffmpeg");
    let status = command.args(words).args(coding).args(more).args(["-f", "h264"]).arg(file);
    assert!(status.status().expect("ffmpeg is installed").success());
}

/// Between start codes (ITU-T H.264, annex B).
fn units(bytes: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> = (0..bytes.len().saturating_sub(2))
        .filter(|at| bytes[*at..].starts_with(&[0, 0, 1]))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let unit = |(start, end): (&usize, usize)| {
        let unit = &bytes[start + 3..end];
        let trailing = unit.iter().rev().take_while(|byte| **byte == 0).count();
        unit[..unit.len() - trailing].to_vec()
    };
    starts.iter().zip(ends).map(unit).collect()
}

/// The mark that `frames.rs` reads, as supplemental enhancement information.
fn mark(frame: u64) -> Vec<u8> {
    let taken = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let mut body = b"reelfs-test-cam!".to_vec();
    body.extend(1_u16.to_be_bytes());
    body.extend(frame.to_be_bytes());
    body.extend(taken.to_be_bytes());
    let mut unit = vec![6, 5, body.len() as u8];
    for byte in body {
        if byte <= 3 && unit.ends_with(&[0, 0]) {
            unit.push(3);
        }
        unit.push(byte);
    }
    unit.push(0x80);
    unit
}

/// What a session counts on.
struct Sender {
    sequence: u16,
    ssrc: u32,
}

impl Sender {
    fn packets(&mut self, units: &[Vec<u8>], time: u32) -> Vec<Packet> {
        let mut payloads = Vec::new();
        for unit in units {
            if unit.len() <= PAYLOAD_BYTES_MAX {
                payloads.push(unit.clone());
                continue;
            }
            let pieces: Vec<&[u8]> = unit[1..].chunks(PAYLOAD_BYTES_MAX).collect();
            for (index, piece) in pieces.iter().enumerate() {
                let start = u8::from(index == 0) << 7;
                let end = u8::from(index + 1 == pieces.len()) << 6;
                let head = [unit[0] & 0xE0 | 28, start | end | unit[0] & 31];
                payloads.push([&head[..], piece].concat());
            }
        }
        let count = payloads.len();
        let packet = |(index, payload)| {
            let sequence = self.sequence.wrapping_add(index as u16);
            let (marker, ssrc) = (index + 1 == count, self.ssrc);
            Packet { channel: 0, marker, payload_type: 96, sequence, time, ssrc, payload }
        };
        let packets = payloads.into_iter().enumerate().map(packet).collect();
        self.sequence = self.sequence.wrapping_add(count as u16);
        packets
    }
}

/// A packet in its frame (RFC 2326, 10.12; RFC 3550, 5.1).
fn in_bytes(packet: &Packet) -> Vec<u8> {
    let mut bytes = vec![b'$', packet.channel];
    bytes.extend((12 + packet.payload.len() as u16).to_be_bytes());
    bytes.extend([0x80, u8::from(packet.marker) << 7 | packet.payload_type]);
    bytes.extend(packet.sequence.to_be_bytes());
    bytes.extend(packet.time.to_be_bytes());
    bytes.extend(packet.ssrc.to_be_bytes());
    bytes.extend(&packet.payload);
    bytes
}

fn description() -> String {
    let sets: Vec<String> = footage()[0]
        .iter()
        .filter(|unit| matches!(unit[0] & 31, 7 | 8))
        .map(|it| base64(it))
        .collect();
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\na=control:*\r\n\
         m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/{CLOCK_RATE}\r\n\
         a=fmtp:96 packetization-mode=1;sprop-parameter-sets={}\r\na=control:track1\r\n",
        sets.join(",")
    )
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = three.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        let number = number << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

fn serve(state: &Arc<State>, client: TcpStream) -> Option<()> {
    client.set_nodelay(true).ok()?;
    let writer = Arc::new(Mutex::new(client.try_clone().ok()?));
    let mut reader = BufReader::new(client);
    loop {
        let (method, sequence) = request(&mut reader)?;
        let status = state.oddity.refuses.unwrap_or("200 OK");
        let mut answer = format!("RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n");
        match method.as_str() {
            "DESCRIBE" if state.oddity.refuses.is_none() => {
                let body = description();
                write!(
                    answer,
                    "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
                .ok()?;
            }
            "SETUP" => {
                answer += "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n";
            }
            _ => answer += "Session: 1\r\n\r\n",
        }
        let answer = (state.oddity.answer)(&method, answer);
        writer.lock().ok()?.write_all(answer.as_bytes()).ok()?;
        if method == "PLAY" {
            let (state, writer) = (state.clone(), writer.clone());
            std::thread::spawn(move || play(&state, &writer));
        }
    }
}

/// The method of the next request and its number.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let (mut method, mut sequence) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Some((method, sequence));
        }
        if method.is_empty() {
            line.split(' ').next()?.clone_into(&mut method);
        } else if let Some(number) = line.to_ascii_lowercase().strip_prefix("cseq:") {
            number.trim().clone_into(&mut sequence);
        }
    }
}

/// Sends what a camera takes, at its pace, until the client is gone.
fn play(state: &State, writer: &Mutex<TcpStream>) -> Option<()> {
    let began = std::time::Instant::now();
    let mut sender = Sender { sequence: 65_500, ssrc: 0x1234_5678 };
    let mut frame = 0;
    while !state.ended.load(Ordering::SeqCst) {
        if state.oddity.frames_max.is_some_and(|most| frame >= most) {
            state.closed.lock().ok()?.push(SystemTime::now());
            if state.oddity.says_goodbye {
                let goodbye = [&[0x81, 203, 0, 1][..], &sender.ssrc.to_be_bytes()].concat();
                let framed = [&[b'$', 1, 0, goodbye.len() as u8][..], &goodbye].concat();
                return writer.lock().ok()?.write_all(&framed).ok();
            }
            writer.lock().ok()?.shutdown(std::net::Shutdown::Both).ok()?;
            return None;
        }
        let due = Duration::from_micros(frame * 1_000_000 / RATE);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let number = state.sent.fetch_add(1, Ordering::SeqCst);
        let units = &footage()[(frame % (20 * RATE)) as usize];
        let (sets, slices) = units.split_at(units.len() - 1);
        let units = [sets, &[mark(number)], slices].concat();
        let time = (frame as u32).wrapping_mul(CLOCK_RATE / RATE as u32).wrapping_add(7);
        let packets = (state.oddity.packets)(frame, sender.packets(&units, time));
        let bytes: Vec<u8> = packets.iter().flat_map(in_bytes).collect();
        writer.lock().ok()?.write_all(&bytes).ok()?;
        frame += 1;
    }
    None
}
