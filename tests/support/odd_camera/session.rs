//! One connection: requests are answered, and frames sent at the camera's pace.

use std::fmt::Write as _;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use super::footage::GROUP;
use super::packet::{Packet, Sender, framed};
use super::request::Request;
use super::{CLOCK_RATE, Oddity, Server, State};

/// What the threads of a connection share.
struct Connection {
    writer: Mutex<TcpStream>,
    /// Where frames go, where it is not into the connection.
    datagrams: Mutex<Option<(UdpSocket, SocketAddr)>>,
    renewed: Mutex<Instant>,
    torn_down: AtomicBool,
}

impl Connection {
    fn write(&self, oddity: &Oddity, bytes: &[u8]) -> Option<()> {
        let mut writer = self.writer.lock().ok()?;
        bytes.chunks(oddity.piece_bytes).try_for_each(|piece| writer.write_all(piece)).ok()
    }

    fn close(&self) -> Option<()> {
        self.writer.lock().ok()?.shutdown(std::net::Shutdown::Both).ok()
    }
}

/// Answers until the client is gone.
pub(super) fn serve(server: &Server, client: TcpStream) -> Option<()> {
    client.set_nodelay(true).ok()?;
    let connection = Arc::new(Connection {
        writer: Mutex::new(client.try_clone().ok()?),
        datagrams: Mutex::default(),
        renewed: Mutex::new(Instant::now()),
        torn_down: AtomicBool::new(false),
    });
    let mut reader = BufReader::new(client);
    let mut last = None;
    for number in 0.. {
        let request = Request::read(&mut reader, number)?;
        let state = server.camera(&request.url).or(last)?;
        if number == 0 {
            state.seen().connections.push(SystemTime::now());
        }
        state.seen().requests.push(request.clone());
        if !request.method.starts_with("RTSP/") {
            reply(&state, &connection, &request)?;
        }
        last = Some(state);
    }
    None
}

fn reply(state: &Arc<State>, connection: &Arc<Connection>, request: &Request) -> Option<()> {
    let oddity = &state.oddity;
    let admitted = oddity.login.map_or(Ok(()), |login| login.admit(request, &state.nonces));
    let answer = match &admitted {
        Err(asked) => {
            let cseq = request.header("cseq");
            let head = format!("RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\n");
            format!("{head}WWW-Authenticate: {asked}\r\n\r\n")
        }
        Ok(()) => answer(state, connection, request)?,
    };
    let answer = (oddity.answer)(request, answer);
    let is_refused = answer.starts_with(b"RTSP/1.0 4");
    if !is_refused && oddity.timeout.is_some_and(|timeout| (timeout.renewed_by)(request)) {
        *connection.renewed.lock().ok()? = Instant::now();
    }
    connection.write(oddity, &answer)?;
    match request.method.as_str() {
        "PLAY" if !is_refused => {
            *connection.renewed.lock().ok()? = Instant::now();
            let (state, connection) = (Arc::clone(state), Arc::clone(connection));
            state.clients.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                play(&state, &connection);
                state.clients.fetch_sub(1, Ordering::SeqCst);
            });
        }
        "TEARDOWN" => connection.torn_down.store(true, Ordering::SeqCst),
        _ => {}
    }
    Some(())
}

/// As a camera without any oddity answers.
fn answer(state: &State, connection: &Connection, request: &Request) -> Option<String> {
    let oddity = &state.oddity;
    let is_busy = state.clients.load(Ordering::SeqCst) >= oddity.clients_max;
    let is_tcp = request.header("transport").contains("TCP");
    let status = match oddity.refuses {
        Some(status) => status,
        None if request.method == "SETUP" && is_tcp && oddity.udp_only => {
            "461 Unsupported Transport"
        }
        None if request.method == "DESCRIBE" && is_busy => "453 Not Enough Bandwidth",
        None => "200 OK",
    };
    let mut answer = format!("RTSP/1.0 {status}\r\nCSeq: {}\r\n", request.header("cseq"));
    let timeout = oddity.timeout.map(|it| format!(";timeout={}", it.length.as_secs()));
    let session = format!("Session: 1{}\r\n", timeout.unwrap_or_default());
    match request.method.as_str() {
        _ if status != "200 OK" => answer += "\r\n",
        "DESCRIBE" => {
            let body = (oddity.description)(description(oddity));
            let length = body.len();
            answer += "Content-Type: application/sdp\r\n";
            write!(answer, "Content-Length: {length}\r\n\r\n{body}").ok()?;
        }
        "SETUP" => {
            let transport = match is_tcp {
                true => "RTP/AVP/TCP;unicast;interleaved=0-1".to_owned(),
                false => set_up_datagrams(connection, request)?,
            };
            write!(answer, "{session}Transport: {transport}\r\n\r\n").ok()?;
        }
        "OPTIONS" => {
            let methods = "DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER, SET_PARAMETER";
            write!(answer, "Public: OPTIONS, {methods}\r\n\r\n").ok()?;
        }
        _ => write!(answer, "{session}\r\n").ok()?,
    }
    Some(answer)
}

/// The transport that is answered (RFC 2326, 12.39). Reports go nowhere.
fn set_up_datagrams(connection: &Connection, request: &Request) -> Option<String> {
    let asked = request.header("transport");
    let (_, ports) = asked.split_once("client_port=")?;
    let port = ports.split(['-', ';', ',']).next()?.parse().ok()?;
    let here = connection.writer.lock().ok()?;
    let socket = UdpSocket::bind((here.local_addr().ok()?.ip(), 0)).ok()?;
    let own = socket.local_addr().ok()?.port();
    let there = SocketAddr::new(here.peer_addr().ok()?.ip(), port);
    *connection.datagrams.lock().ok()? = Some((socket, there));
    let client = format!("client_port={port}-{}", port + 1);
    Some(format!("RTP/AVP;unicast;{client};server_port={own}-{}", own.wrapping_add(1)))
}

fn description(oddity: &Oddity) -> String {
    let sets: Vec<String> = (oddity.footage)().sets().map(|set| base64(set)).collect();
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\na=control:*\r\n\
         m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/{CLOCK_RATE}\r\n\
         a=fmtp:96 packetization-mode=1;sprop-parameter-sets={}\r\na=control:track1\r\n",
        sets.join(",")
    )
}

pub(super) fn base64(bytes: &[u8]) -> String {
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

/// Sends what a camera takes, at its pace, until the client is gone.
fn play(state: &State, connection: &Connection) -> Option<()> {
    let oddity = &state.oddity;
    let session = state.sessions.fetch_add(1, Ordering::SeqCst);
    let mut sender = Sender { sequence: 65_500, ssrc: 0x1234_5678 };
    let due = |frame: u64| Duration::from_micros(frame * 1_000_000 / oddity.rate);
    let (began, first) = match oddity.is_live {
        true => {
            let passed = state.began.elapsed().as_micros() as u64 * oddity.rate / 1_000_000;
            (state.began, (passed + 1).next_multiple_of(GROUP))
        }
        false => (Instant::now(), 0),
    };
    for frame in first.. {
        std::thread::sleep(due(frame).saturating_sub(began.elapsed()));
        if state.ended.load(Ordering::SeqCst) || connection.torn_down.load(Ordering::SeqCst) {
            break;
        }
        let idle = connection.renewed.lock().ok()?.elapsed();
        let is_over = oddity.timeout.is_some_and(|timeout| idle > timeout.length);
        if is_over || oddity.frames_max.is_some_and(|most| frame >= most) {
            return end(state, connection, &sender);
        }
        let (number, taken) = match oddity.is_live {
            true => {
                state.sent.fetch_max(frame + 1, Ordering::SeqCst);
                (frame, state.began_wall + due(frame))
            }
            false => (state.sent.fetch_add(1, Ordering::SeqCst), SystemTime::now()),
        };
        state.first.fetch_min(number, Ordering::SeqCst);
        let units = (oddity.units)(frame, (oddity.footage)().frame(frame, number, taken));
        let step = CLOCK_RATE / oddity.rate as u32;
        let offset = 7 + if oddity.is_live { session as u32 * 1_000_003 } else { 0 };
        let time = (frame as u32).wrapping_mul(step).wrapping_add(offset);
        let packets = (oddity.packets)(frame, sender.packets(&units, time));
        send(state, connection, frame, &packets)?;
    }
    None
}

fn send(state: &State, connection: &Connection, frame: u64, packets: &[Packet]) -> Option<()> {
    if let Some((socket, there)) = &*connection.datagrams.lock().ok()? {
        for packet in packets {
            // A client that is not there yet loses what it is sent, as any does.
            let _ = socket.send_to(&packet.bytes(), there);
        }
        return Some(());
    }
    let bytes = packets.iter().flat_map(|packet| framed(packet.channel, &packet.bytes()));
    let bytes = (state.oddity.bytes)(frame, bytes.collect());
    state.sent_bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
    connection.write(&state.oddity, &bytes)
}

/// Says goodbye (RFC 3550, 6.6) and stays, or goes without a word.
fn end(state: &State, connection: &Connection, sender: &Sender) -> Option<()> {
    state.seen().closed.push(SystemTime::now());
    if !state.oddity.says_goodbye {
        return connection.close();
    }
    let goodbye = [&[0x81, 203, 0, 1][..], &sender.ssrc.to_be_bytes()].concat();
    connection.write(&state.oddity, &framed(1, &goodbye))
}
