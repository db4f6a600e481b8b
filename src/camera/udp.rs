//! Packets over UDP: a pair of ports for each track (RFC 3550, 11; RFC 2326, 12.39).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use tokio::net::UdpSocket;

use super::header::TransportAnswer;
use super::rtp::empty_report;
use super::voice::Voice;

/// What the kernel is asked to hold for us, in bytes: a key frame of a large camera, or a second of
/// a machine that is busy.
const RECEIVE_BYTES: usize = 4 << 20;
/// A datagram at most, in bytes.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Pairs that are tried until an even port and the next one are free.
const PAIRS_TRIED_MAX: usize = 64;
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
