//! A small RTSP server, over TCP and interleaved or over UDP, that is a camera with one oddity:
//! what it says and what it sends can be changed on the way, down to the bytes. Its frames carry
//! the marks of `frames.rs`, with the time at which they were "taken".
#![allow(dead_code, unused_imports, reason = "each test file uses its own part of this")]

#[path = "odd_camera/beside.rs"]
pub mod beside;
#[path = "odd_camera/coded.rs"]
pub mod coded;
#[path = "odd_camera/footage.rs"]
pub mod footage;
#[path = "odd_camera/login.rs"]
mod login;
#[path = "odd_camera/packet.rs"]
mod packet;
#[path = "odd_camera/request.rs"]
mod request;
#[path = "odd_camera/session.rs"]
mod session;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

pub use footage::{Footage, GROUP, Units};
pub use login::{Login, PASSWORD, USER};
pub use packet::{Packet, framed};
pub use request::Request;

/// Ticks of the RTP clock in a second.
pub const CLOCK_RATE: u32 = 90_000;
/// Pictures a second, where a camera has no other rate.
pub const RATE: u64 = 25;

/// Changes something of a frame; told its number from the beginning of the session.
pub type Change<T> = Box<dyn Fn(u64, T) -> T + Send + Sync>;
/// Changes an answer, head and body, into any bytes: none, or more than the answer.
pub type ChangeAnswer = Box<dyn Fn(&Request, String) -> Vec<u8> + Send + Sync>;

/// What is odd about a camera; by default nothing.
pub struct Oddity {
    /// What it films.
    pub footage: fn() -> &'static Footage,
    /// Pictures a second.
    pub rate: u64,
    /// Frames have the number, the mark and the moment that the camera gives them, whoever asks:
    /// each session begins with the next key frame. Without it each session is given its own.
    pub is_live: bool,

    /// What it sends beside pictures.
    pub beside: Vec<beside::Medium>,
    /// Changes what sender reports say of the camera's clock (RFC 3550, 6.4.1), told the number of
    /// the frame; without it there are none.
    pub clock: Option<Change<u64>>,

    /// Changes the session description.
    pub description: Box<dyn Fn(String) -> String + Send + Sync>,
    pub answer: ChangeAnswer,
    /// Changes the NAL units of a frame, the mark included.
    pub units: Change<Units>,
    /// Changes the packets of a frame.
    pub packets: Change<Vec<Packet>>,
    /// Changes all bytes of a frame on their way into the TCP connection.
    pub bytes: Change<Vec<u8>>,
    /// So many bytes are written into it at a time.
    pub piece_bytes: usize,

    /// Closes the connection behind so many frames.
    pub frames_max: Option<u64>,
    /// Says goodbye instead, and keeps it open.
    pub says_goodbye: bool,
    /// Every answer is of this status.
    pub refuses: Option<&'static str>,
    /// Who may watch.
    pub login: Option<Login>,
    /// A transport over TCP is answered with 461.
    pub udp_only: bool,
    /// What ends its sessions.
    pub timeout: Option<Timeout>,
    /// While so many watch, another one is told that the camera is busy.
    pub clients_max: u64,
}

/// A session ends, with its connection, where nothing has renewed it for so long.
#[derive(Clone, Copy)]
pub struct Timeout {
    /// As it is told, in whole seconds.
    pub length: Duration,
    /// What counts as a renewal, of all that is authorised.
    pub renewed_by: fn(&Request) -> bool,
}

impl Default for Oddity {
    fn default() -> Oddity {
        Oddity {
            footage: footage::plain,
            rate: RATE,
            is_live: false,
            beside: Vec::new(),
            clock: None,
            description: Box::new(|it| it),
            answer: Box::new(|_, it| it.into_bytes()),
            units: Box::new(|_, it| it),
            packets: Box::new(|_, it| it),
            bytes: Box::new(|_, it| it),
            piece_bytes: usize::MAX,
            frames_max: None,
            says_goodbye: false,
            refuses: None,
            login: None,
            udp_only: false,
            timeout: None,
            clients_max: u64::MAX,
        }
    }
}

/// The camera, until it is dropped.
pub struct OddCamera {
    server: Arc<Server>,
    path: String,
    state: Arc<State>,
}

/// An address with one camera or several, each a path of its own.
struct Server {
    address: SocketAddr,
    cameras: Mutex<BTreeMap<String, Arc<State>>>,
    ended: AtomicBool,
}

struct State {
    oddity: Oddity,
    began: Instant,
    began_wall: SystemTime,
    /// Number of the first frame that was sent.
    first: AtomicU64,
    /// Behind that of the last one.
    sent: AtomicU64,
    /// Bytes of them.
    sent_bytes: AtomicU64,
    sessions: AtomicU64,
    /// Those that play.
    clients: AtomicU64,
    nonces: login::Nonces,
    seen: Mutex<Seen>,
    ended: AtomicBool,
}

#[derive(Default)]
struct Seen {
    connections: Vec<SystemTime>,
    closed: Vec<SystemTime>,
    requests: Vec<Request>,
}

impl OddCamera {
    pub fn start(oddity: Oddity) -> OddCamera {
        OddCamera::start_at("127.0.0.1", oddity)
    }

    /// At an address of this machine.
    pub fn start_at(host: &str, oddity: Oddity) -> OddCamera {
        let listener = TcpListener::bind((host, 0)).expect("a port");
        let address = listener.local_addr().expect("its number");
        let server =
            Arc::new(Server { address, cameras: Mutex::default(), ended: AtomicBool::new(false) });
        let shared = Arc::clone(&server);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    break;
                }
                let server = Arc::clone(&shared);
                // A client that goes away ends its thread, and no more.
                std::thread::spawn(move || client.map(|client| session::serve(&server, client)));
            }
        });
        OddCamera::at(server, "stream", oddity)
    }

    /// Another camera at the same address: an NVR's channel.
    pub fn neighbour(&self, path: &str, oddity: Oddity) -> OddCamera {
        OddCamera::at(Arc::clone(&self.server), path, oddity)
    }

    fn at(server: Arc<Server>, path: &str, oddity: Oddity) -> OddCamera {
        // It takes its time, and the camera's begins now.
        let _ = (oddity.footage)();
        let state = Arc::new(State {
            oddity,
            began: Instant::now(),
            began_wall: SystemTime::now(),
            first: AtomicU64::new(u64::MAX),
            sent: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            clients: AtomicU64::new(0),
            nonces: login::Nonces::default(),
            seen: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let mut cameras = server.cameras.lock().expect("nobody died");
        cameras.insert(path.to_owned(), Arc::clone(&state));
        drop(cameras);
        OddCamera { server, path: path.to_owned(), state }
    }

    pub fn url(&self) -> String {
        format!("rtsp://{}/{}", self.server.address, self.path)
    }

    /// Pictures a second.
    pub fn rate(&self) -> u64 {
        self.state.oddity.rate
    }

    /// Frames that were sent, in all sessions; of a camera that is live those, too, that nobody
    /// asked for, from the first one on.
    pub fn sent(&self) -> u64 {
        let sent = self.state.sent.load(Ordering::SeqCst);
        sent.saturating_sub(self.state.first.load(Ordering::SeqCst))
    }

    /// Bytes of all frames that were sent.
    pub fn sent_bytes(&self) -> u64 {
        self.state.sent_bytes.load(Ordering::SeqCst)
    }

    /// When it closed a connection.
    pub fn closed(&self) -> Vec<SystemTime> {
        self.state.seen().closed.clone()
    }

    /// When somebody asked for something over a new connection.
    pub fn connections(&self) -> Vec<SystemTime> {
        self.state.seen().connections.clone()
    }

    /// All that was asked, and answered to what it asked itself.
    pub fn requests(&self) -> Vec<Request> {
        self.state.seen().requests.clone()
    }
}

impl State {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().expect("nobody died")
    }
}

impl Server {
    /// The camera that a URL is about.
    fn camera(&self, url: &str) -> Option<Arc<State>> {
        let path = url.strip_prefix("rtsp://").and_then(|rest| rest.split_once('/'))?.1;
        let name = path.split(['/', '?']).next()?;
        self.cameras.lock().expect("nobody died").get(name).cloned()
    }
}

impl Drop for OddCamera {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        let mut cameras = self.server.cameras.lock().expect("nobody died");
        cameras.remove(&self.path);
        if cameras.is_empty() {
            self.server.ended.store(true, Ordering::SeqCst);
            // Wakes who listens.
            let _ = TcpStream::connect(self.server.address);
        }
    }
}
