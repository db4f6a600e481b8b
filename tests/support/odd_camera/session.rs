//! One connection: requests are answered, and frames sent at the camera's pace.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::footage::GROUP;
use super::packet::{Packet, Sender, framed, report};
use super::request::Request;
use super::{CLOCK_RATE, Oddity, Server, State};

/// From one report of the clocks to the next.
const REPORT_FRAMES: u64 = 10;
/// From 1900 to 1970 (RFC 5905, 6).
const SECONDS_FROM_1900: u64 = 2_208_988_800;

/// What the threads of a connection share.
struct Connection {
    writer: Mutex<TcpStream>,
    /// Where the tracks go: by number of the medium, that of the pictures first.
    tracks: Mutex<BTreeMap<usize, Way>>,
    renewed: Mutex<Instant>,
    torn_down: AtomicBool,
}

/// Where packets of a track go.
enum Way {
    /// Into the connection, over this channel.
    Channel(u8),
    Datagrams(UdpSocket, SocketAddr),
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
        tracks: Mutex::default(),
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
    let track = track_of(&request.url);
    let beside = track.checked_sub(1).and_then(|place| oddity.beside.get(place));
    let status = match oddity.refuses.or(beside.and_then(|medium| medium.refuses)) {
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
                true => set_up_channel(connection, track)?,
                false => set_up_datagrams(connection, track, request)?,
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

/// The number of the medium that an address is about: that of the pictures where it is of none.
fn track_of(url: &str) -> usize {
    let number = url.rsplit_once("/track").and_then(|(_, number)| number.parse().ok());
    number.map_or(0, |number: usize| number.saturating_sub(1))
}

/// The transport that is answered (RFC 2326, 12.39): the channels are the camera's choice.
fn set_up_channel(connection: &Connection, track: usize) -> Option<String> {
    let channel = 2 * track as u8;
    connection.tracks.lock().ok()?.insert(track, Way::Channel(channel));
    Some(format!("RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel + 1))
}

/// The same over UDP.
fn set_up_datagrams(connection: &Connection, track: usize, request: &Request) -> Option<String> {
    let asked = request.header("transport");
    let (_, ports) = asked.split_once("client_port=")?;
    let port = ports.split(['-', ';', ',']).next()?.parse().ok()?;
    let here = connection.writer.lock().ok()?;
    let socket = UdpSocket::bind((here.local_addr().ok()?.ip(), 0)).ok()?;
    let own = socket.local_addr().ok()?.port();
    let there = SocketAddr::new(here.peer_addr().ok()?.ip(), port);
    connection.tracks.lock().ok()?.insert(track, Way::Datagrams(socket, there));
    let client = format!("client_port={port}-{}", port + 1);
    Some(format!("RTP/AVP;unicast;{client};server_port={own}-{}", own.wrapping_add(1)))
}

fn description(oddity: &Oddity) -> String {
    let sets: Vec<String> = (oddity.footage)().sets().map(|set| base64(set)).collect();
    let beside = oddity.beside.iter().zip(2..);
    let beside: String =
        beside.map(|(it, number)| format!("{}a=control:track{number}\r\n", it.lines)).collect();
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\na=control:*\r\n\
         m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/{CLOCK_RATE}\r\n\
         a=fmtp:96 packetization-mode=1;sprop-parameter-sets={}\r\na=control:track1\r\n{beside}",
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
    let (began, began_wall, first) = match oddity.is_live {
        true => {
            let passed = state.began.elapsed().as_micros() as u64 * oddity.rate / 1_000_000;
            (state.began, state.began_wall, (passed + 1).next_multiple_of(GROUP))
        }
        false => (Instant::now(), SystemTime::now(), 0),
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
        send_beside(oddity, connection, frame)?;
        if frame.is_multiple_of(REPORT_FRAMES) {
            send_reports(oddity, connection, frame, (began_wall + due(frame), time))?;
        }
    }
    None
}

fn send(state: &State, connection: &Connection, frame: u64, packets: &[Packet]) -> Option<()> {
    if let Some(Way::Datagrams(socket, there)) = connection.tracks.lock().ok()?.get(&0) {
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

/// Sends what goes with a frame of the pictures, where somebody asked for it.
fn send_beside(oddity: &Oddity, connection: &Connection, frame: u64) -> Option<()> {
    for (track, medium) in (1..).zip(&oddity.beside) {
        for packet in (medium.packets)(frame) {
            // A channel of its own choice is added to that of the track.
            send_on(oddity, connection, track, packet.channel, &packet.bytes())?;
        }
    }
    Some(())
}

/// Sends what each track's clock shows: pictures and what is beside them are taken at one moment.
fn send_reports(
    oddity: &Oddity,
    connection: &Connection,
    frame: u64,
    (taken, time): (SystemTime, u32),
) -> Option<()> {
    let Some(clock) = &oddity.clock else { return Some(()) };
    let since_1970 = taken.duration_since(UNIX_EPOCH).ok()?;
    let seconds = since_1970.as_secs() + SECONDS_FROM_1900;
    let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
    let ntp = clock(frame, seconds << 32 | fraction);
    send_on(oddity, connection, 0, 1, &report(0x1234_5678, ntp, time))?;
    let media = (1..).zip(&oddity.beside).filter(|(_, medium)| medium.reports);
    for (track, medium) in media {
        let (rate, first) = medium.clock;
        let time = (frame * u64::from(rate) / oddity.rate) as u32;
        let source = (medium.packets)(0).first().map_or(0, |packet| packet.ssrc);
        let bytes = report(source, ntp, time.wrapping_add(first));
        send_on(oddity, connection, track, 1, &bytes)?;
    }
    Some(())
}

/// Sends a packet of RTP (0) or RTCP (1) of a track, where that was asked for.
fn send_on(
    oddity: &Oddity,
    connection: &Connection,
    track: usize,
    second: u8,
    bytes: &[u8],
) -> Option<()> {
    match connection.tracks.lock().ok()?.get(&track) {
        None => Some(()),
        Some(Way::Datagrams(socket, there)) => {
            let there = SocketAddr::new(there.ip(), there.port() + u16::from(second));
            let _ = socket.send_to(bytes, there);
            Some(())
        }
        Some(Way::Channel(channel)) => {
            connection.write(oddity, &framed(channel.wrapping_add(second), bytes))
        }
    }
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
