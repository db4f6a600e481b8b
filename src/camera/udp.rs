//! Packets over UDP: a pair of ports for each track, and a window in which their order is mended
//! (RFC 3550, 11; RFC 2326, 12.39).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use tokio::net::UdpSocket;

use super::header::TransportAnswer;
use super::rtp::empty_report;
use super::voice::Voice;
use crate::clock::Deadline;

/// What the kernel is asked to hold for us, in bytes: a key frame of a large camera, or a second of
/// a machine that is busy.
const RECEIVE_BYTES: usize = 4 << 20;
/// A datagram at most, in bytes.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Pairs that are tried until an even port and the next one are free.
const PAIRS_TRIED_MAX: usize = 64;
/// Packets that wait for one that is missing.
const WINDOW_PACKETS_MAX: usize = 256;
/// The same, in bytes.
const WINDOW_BYTES_MAX: usize = 2 << 20;
/// A packet that has not come so long after those behind it is lost.
const WINDOW_WAIT: Duration = Duration::from_millis(100);
/// Farther ahead a number belongs to another count.
const AHEAD_MAX: u16 = 1000;
/// Less far behind it is late, or comes twice.
const LATE_MAX: u16 = 1000;
/// After so many in a row of another count that one is followed; where they may be late ones, after
/// as many as can be late.
const STRANGE_MAX: u32 = 3;
const STRANGE_LATE_MAX: u32 = LATE_MAX as u32;
/// Between two reports to the camera, and to what is between us and it.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// An RTP packet without contents, which opens the way back.
const OPENING: [u8; 12] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Who we are in reports; nobody else is in the session.
const OWN_SSRC: u32 = 0x7265_656c;

/// The ports of one track.
pub(super) struct Ports {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    peer: IpAddr,
    source: Option<IpAddr>,
    server: Option<(u16, u16)>,
    buffer: Vec<u8>,
}

/// What has come.
pub(super) enum Datagram<'a> {
    Rtp(&'a [u8]),
    Rtcp(&'a [u8]),
}

impl Ports {
    /// An even port and the next one, on the address that the camera is reached from.
    ///
    /// # Errors
    /// If there is no such pair.
    pub(super) async fn bind(local: IpAddr, peer: IpAddr, voice: &Voice) -> io::Result<Ports> {
        for _ in 0..PAIRS_TRIED_MAX {
            let rtp = UdpSocket::bind(SocketAddr::new(local, 0)).await?;
            let port = rtp.local_addr()?.port();
            if !port.is_multiple_of(2) {
                continue;
            }
            let Ok(rtcp) = UdpSocket::bind(SocketAddr::new(local, port + 1)).await else {
                continue;
            };
            ask_for_room(&rtp, voice);
            let buffer = vec![0; DATAGRAM_BYTES_MAX];
            return Ok(Ports { rtp, rtcp, peer, source: None, server: None, buffer });
        }
        let why = "no even port with a free one behind it";
        Err(io::Error::new(io::ErrorKind::AddrInUse, why))
    }

    /// What is asked of the camera.
    pub(super) fn transport(&self) -> String {
        let port = self.rtp.local_addr().map_or(0, |address| address.port());
        format!("RTP/AVP;unicast;client_port={port}-{}", port.saturating_add(1))
    }

    /// Takes where the camera sends from.
    pub(super) fn settle(&mut self, answer: &TransportAnswer) {
        (self.source, self.server) = (answer.source, answer.server_ports);
    }

    /// Says that somebody is there. What is lost of it is lost.
    pub(super) fn report(&self) {
        let Some((rtp, rtcp)) = self.server else { return };
        let to = |port| SocketAddr::new(self.peer, port);
        let sent = [
            self.rtp.try_send_to(&OPENING, to(rtp)),
            self.rtcp.try_send_to(&empty_report(OWN_SSRC), to(rtcp)),
        ];
        for error in sent.into_iter().filter_map(Result::err) {
            log::debug!("a report over UDP: {error}");
        }
    }

    /// Waits until something has come.
    ///
    /// # Errors
    /// If the ports are of no use any more.
    pub(super) async fn readable(&self) -> io::Result<()> {
        tokio::select! {
            ready = self.rtp.readable() => ready,
            ready = self.rtcp.readable() => ready,
        }
    }

    /// A datagram of the camera that is there.
    ///
    /// # Errors
    /// If the ports are of no use any more.
    pub(super) fn take(&mut self) -> io::Result<Option<Datagram<'_>>> {
        let Ports { rtp, rtcp, buffer, peer, source, .. } = self;
        if let Some(length) = received(rtp, buffer, *peer, *source)? {
            return Ok(Some(Datagram::Rtp(&self.buffer[..length])));
        }
        let length = received(rtcp, buffer, *peer, *source)?;
        Ok(length.map(|length| Datagram::Rtcp(&self.buffer[..length])))
    }
}

/// One datagram of the camera that is there.
fn received(
    socket: &UdpSocket,
    buffer: &mut [u8],
    peer: IpAddr,
    source: Option<IpAddr>,
) -> io::Result<Option<usize>> {
    loop {
        match socket.try_recv_from(buffer) {
            Ok((length, from)) if from.ip() == peer || Some(from.ip()) == source => {
                return Ok(Some(length));
            }
            // Of a stranger.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            // Nobody listens on the camera's side, which is its own affair.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
}

/// Asks for a receive buffer, and says where it is smaller.
fn ask_for_room(socket: &UdpSocket, voice: &Voice) {
    // Who may goes beyond the limit of the system.
    let asked = setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BYTES)
        .or_else(|_| setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BYTES));
    // The kernel tells twice what counts (socket(7)).
    let given = getsockopt(socket, sockopt::RcvBuf).unwrap_or(0) / 2;
    if asked.is_err() || given < RECEIVE_BYTES {
        let text = format!(
            "a receive buffer of {} KiB, {} were asked for: raise net.core.rmem_max",
            given >> 10,
            RECEIVE_BYTES >> 10
        );
        voice.say(log::Level::Warn, &text);
    }
}

/// Holds packets back until those before them are there, or given up.
pub(super) struct Reorder {
    /// The number that comes next.
    next: Option<u16>,
    /// By how far ahead of `next` they were when that was 0: unwrapped.
    waiting: BTreeMap<u64, Vec<u8>>,
    bytes: usize,
    base: u64,
    since: Option<Deadline>,
    /// Packets of another count that came in a row.
    strange: u32,
}

impl Reorder {
    pub(super) fn new() -> Reorder {
        let waiting = BTreeMap::new();
        Reorder { next: None, waiting, bytes: 0, base: 0, since: None, strange: 0 }
    }

    /// Takes a packet, and hands on what is in order by now.
    pub(super) fn push(&mut self, packet: &[u8], mut hand_on: impl FnMut(&[u8])) {
        let Some(number) = packet.get(2..4).map(|two| u16::from_be_bytes([two[0], two[1]])) else {
            return;
        };
        let next = *self.next.get_or_insert(number);
        let ahead = number.wrapping_sub(next);
        if ahead == 0 {
            self.strange = 0;
            self.pass(packet, &mut hand_on);
            self.drain(&mut hand_on);
            return;
        }
        let is_late = number.wrapping_sub(next) >= u16::MAX - LATE_MAX;
        if is_late || ahead > AHEAD_MAX {
            // Late, or twice; or the camera counts anew, once nothing else comes.
            self.strange += 1;
            let least = if is_late { STRANGE_LATE_MAX } else { STRANGE_MAX };
            if self.strange > least {
                self.give_up(&mut hand_on);
                (self.next, self.strange) = (Some(number), 0);
                self.pass(packet, &mut hand_on);
            }
            return;
        }
        self.strange = 0;
        if let Entry::Vacant(place) = self.waiting.entry(self.base + u64::from(ahead)) {
            place.insert(packet.to_vec());
            self.bytes += packet.len();
        }
        self.since.get_or_insert_with(|| Deadline::after(WINDOW_WAIT));
        while self.waiting.len() > WINDOW_PACKETS_MAX || self.bytes > WINDOW_BYTES_MAX {
            self.skip(&mut hand_on);
        }
    }

    /// When what is missing is given up.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.since
    }

    /// What is missing is lost, where it was waited for long enough.
    pub(super) fn tick(&mut self, mut hand_on: impl FnMut(&[u8])) {
        if self.since.is_some_and(Deadline::is_over) {
            self.skip(&mut hand_on);
        }
    }

    fn pass(&mut self, packet: &[u8], hand_on: &mut impl FnMut(&[u8])) {
        hand_on(packet);
        self.next = self.next.map(|next| next.wrapping_add(1));
        self.base += 1;
    }

    fn drain(&mut self, hand_on: &mut impl FnMut(&[u8])) {
        while let Some(packet) = self.waiting.remove(&self.base) {
            self.bytes -= packet.len();
            self.pass(&packet, hand_on);
        }
        let more = !self.waiting.is_empty();
        self.since = more.then(|| Deadline::after(WINDOW_WAIT));
    }

    /// Goes on with the first packet that is there.
    fn skip(&mut self, hand_on: &mut impl FnMut(&[u8])) {
        if let Some((&first, _)) = self.waiting.first_key_value() {
            let missing = (first - self.base) as u16;
            self.next = self.next.map(|next| next.wrapping_add(missing));
            self.base = first;
        }
        self.drain(hand_on);
    }

    /// What is missing is not waited for.
    pub(super) fn give_up(&mut self, mut hand_on: impl FnMut(&[u8])) {
        while !self.waiting.is_empty() {
            self.skip(&mut hand_on);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(number: u16) -> Vec<u8> {
        let [high, low] = number.to_be_bytes();
        vec![0x80, 96, high, low]
    }

    fn run(numbers: &[u16]) -> Vec<u16> {
        let mut reorder = Reorder::new();
        let mut got = Vec::new();
        for number in numbers {
            reorder.push(&packet(*number), |it| got.push(u16::from_be_bytes([it[2], it[3]])));
        }
        reorder.give_up(|it: &[u8]| got.push(u16::from_be_bytes([it[2], it[3]])));
        got
    }

    #[test]
    fn the_order_is_mended_and_what_comes_twice_or_late_is_left_out() {
        assert_eq!(run(&[7, 9, 8, 10]), [7, 8, 9, 10]);
        assert_eq!(run(&[65_535, 1, 0, 2]), [65_535, 0, 1, 2]);
        assert_eq!(run(&[1, 2, 2, 3, 1, 4]), [1, 2, 3, 4]);
        assert_eq!(run(&[1, 3, 4]), [1, 3, 4], "2 is lost");
        let again: Vec<u16> = (0..20).chain(10..20).chain(20..25).collect();
        assert_eq!(run(&again), (0..25).collect::<Vec<u16>>(), "ten come again");
        assert_eq!(run(&[1, 2, 20_000, 20_001, 20_002, 20_003, 20_004]), [1, 2, 20_003, 20_004]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut reorder = Reorder::new();
        let mut handed = 0;
        reorder.push(&packet(0), |_| handed += 1);
        for number in 2..900 {
            reorder.push(&packet(number), |_| handed += 1);
            assert!(reorder.waiting.len() <= WINDOW_PACKETS_MAX);
        }
        assert!(handed > 600);
    }

    proptest! {
        #[test]
        fn any_order_within_the_window_gives_all_of_them(
            start in any::<u16>(),
            swaps in prop::collection::vec(0_usize..100, 0..60),
        ) {
            let sent: Vec<u16> = (0..100).map(|number| start.wrapping_add(number)).collect();
            let mut mixed = sent.clone();
            // The first one says where the count begins.
            for at in swaps {
                mixed.swap(at.max(1), (at + 5).clamp(1, 99));
            }
            prop_assert_eq!(run(&mixed), sent);
        }
    }
}
