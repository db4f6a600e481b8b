//! How packets come: on the connection of the requests, or beside it.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::dialogue::{Described, Dialogue};
use super::endpoint::{Endpoint, Transport};
use super::error::{CameraError, one_line};
use super::hosts::Hosts;
use super::opening::say_once;
use super::order::{Arrived, Order};
use super::track::Track;
use super::udp::{Datagram, Ports, REPORT_INTERVAL};
use crate::clock::{Clock, Deadline, Reading};

/// So many datagrams are taken before anything else is looked at.
const DATAGRAMS_AT_ONCE: usize = 256;

/// How the packets of a session come.
pub(super) enum Way {
    /// On its connection, each with its channel: the order of each of those.
    Tcp(BTreeMap<u8, Order>),
    /// Beside it.
    Udp(Udp),
}

/// One pair of ports for each track.
pub(super) struct Udp {
    lines: Vec<Line>,
    report: Deadline,
}

struct Line {
    channel: u8,
    ports: Ports,
    order: Order,
}

/// Sets up all tracks: over TCP, unless the camera or the configuration wants UDP. What is granted
/// stays in `tracks`; sound and records that are refused are left out, and that is said once.
///
/// # Errors
/// If the pictures are refused, or the connection is over.
pub(super) async fn set_up(
    dialogue: &mut Dialogue,
    described: &Described,
    tracks: &mut Vec<Track>,
    camera: &Endpoint,
    hosts: &Hosts,
) -> Result<Way, CameraError> {
    let mut asked = std::mem::take(tracks).into_iter();
    let mut pictures = asked.next().ok_or(CameraError::Ended)?;
    let mut way = of_pictures(dialogue, described, &mut pictures, camera, hosts).await?;
    tracks.push(pictures);
    for mut track in asked {
        // One of its own, whatever the camera has made of those before.
        let channels = tracks.iter().map(|track| track.channel);
        track.channel = channels.max().unwrap_or_default().saturating_add(2);
        let granted = match way.add(dialogue, described, &mut track, camera).await {
            Err(
                CameraError::Refused { why, .. }
                | CameraError::Busy { why, .. }
                | CameraError::Authentication { why },
            ) => Err(why),
            Err(error) => return Err(error),
            Ok(true) => Ok(()),
            Ok(false) => Err("461 Unsupported Transport".to_owned()),
        };
        match granted {
            Ok(()) => tracks.push(track),
            Err(why) => say_once(camera, hosts, &format!("left out: {}: {why}", track.name())),
        }
    }
    Ok(way)
}

/// Sets up the pictures, and with them how all packets come.
async fn of_pictures(
    dialogue: &mut Dialogue,
    described: &Described,
    track: &mut Track,
    camera: &Endpoint,
    hosts: &Hosts,
) -> Result<Way, CameraError> {
    let is_tcp_first = match camera.transport {
        Transport::Auto => !hosts.known(&camera.url).wants_udp,
        Transport::Tcp => true,
        Transport::Udp => false,
    };
    if is_tcp_first {
        if over_tcp(dialogue, described, track).await? {
            return Ok(Way::Tcp(BTreeMap::new()));
        }
        if camera.transport == Transport::Tcp {
            let why = "the camera does not send over TCP: set transport to \"auto\"".to_owned();
            return Err(CameraError::Refused { stage: "set-up", why });
        }
        // Some close the connection with that.
        hosts.change(&camera.url, |known| known.wants_udp = true);
    }
    let Some(line) = over_udp(dialogue, described, track, camera).await? else {
        hosts.change(&camera.url, |known| known.wants_udp = false);
        let why = "the camera sends neither over TCP nor over UDP (461)".to_owned();
        return Err(CameraError::Refused { stage: "set-up", why });
    };
    Ok(Way::Udp(Udp { lines: vec![line], report: Deadline::after(REPORT_INTERVAL) }))
}

/// Whether the camera has this transport.
async fn over_tcp(
    dialogue: &mut Dialogue,
    described: &Described,
    track: &mut Track,
) -> Result<bool, CameraError> {
    let (channel, url) = (track.channel, described.medium(track.stream));
    let transport = format!("RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel + 1);
    let answer = dialogue.set_up(&url, transport).await?;
    if let Some(answer) = &answer {
        track.channel = answer.channel.unwrap_or(channel);
    }
    Ok(answer.is_some())
}

/// The ports of a track; `None` where the camera does not have this transport.
async fn over_udp(
    dialogue: &mut Dialogue,
    described: &Described,
    track: &mut Track,
    camera: &Endpoint,
) -> Result<Option<Line>, CameraError> {
    track.source.may_lose_packets();
    let ends = dialogue.wire.local().zip(dialogue.wire.peer());
    let (local, peer) = ends.ok_or(CameraError::Ended)?;
    let ports = Ports::bind(local, peer, &camera.voice).await;
    let mut ports = ports.map_err(|error| failed(&error))?;
    let url = described.medium(track.stream);
    let answer = dialogue.set_up(&url, ports.transport()).await?;
    Ok(answer.map(|answer| {
        ports.settle(&answer);
        Line { channel: track.channel, ports, order: Order::over_udp() }
    }))
}

fn failed(error: &io::Error) -> CameraError {
    CameraError::Protocol { stage: "UDP", why: one_line(&error.to_string()) }
}

impl Way {
    pub(super) fn is_udp(&self) -> bool {
        matches!(self, Way::Udp(_))
    }

    /// Adds a track to those that come like this. Answers whether the camera has that.
    async fn add(
        &mut self,
        dialogue: &mut Dialogue,
        described: &Described,
        track: &mut Track,
        camera: &Endpoint,
    ) -> Result<bool, CameraError> {
        let Way::Udp(udp) = self else { return over_tcp(dialogue, described, track).await };
        let line = over_udp(dialogue, described, track, camera).await?;
        let has_line = line.is_some();
        udp.lines.extend(line);
        Ok(has_line)
    }

    /// Says that somebody is there.
    pub(super) fn report(&self) {
        if let Way::Udp(udp) = self {
            udp.lines.iter().for_each(|line| line.ports.report());
        }
    }

    /// Takes what came on the connection, and hands on what is in order.
    pub(super) fn take(
        &mut self,
        channel: u8,
        packet: Arrived<'_>,
        mut hand_on: impl FnMut(u8, Arrived<'_>),
    ) {
        match self {
            Way::Tcp(orders) => {
                let order = orders.entry(channel).or_insert_with(Order::over_tcp);
                order.push(packet, |packet| hand_on(channel, packet));
            }
            // Of a camera that mixes both.
            Way::Udp(_) => hand_on(channel, packet),
        }
    }

    /// Until there is something to do.
    pub(super) fn left(&self) -> Duration {
        let (tcp, udp) = match self {
            Way::Tcp(orders) => (Some(orders), None),
            Way::Udp(udp) => (None, Some(udp)),
        };
        let lines = udp.into_iter().flat_map(|udp| &udp.lines).map(|line| &line.order);
        let orders = tcp.into_iter().flat_map(BTreeMap::values).chain(lines);
        let deadlines = orders.filter_map(Order::deadline).chain(udp.map(|udp| udp.report));
        deadlines.map(Deadline::left).min().unwrap_or(REPORT_INTERVAL)
    }

    /// Hands on what has come already: the connection is over.
    pub(super) fn take_rest(&mut self, now: &Reading, mut hand_on: impl FnMut(u8, Arrived<'_>)) {
        if let Way::Udp(udp) = self {
            for line in &mut udp.lines {
                // A port of which nothing can be read has nothing.
                let _ = line.take(now, &mut hand_on);
            }
        }
        for (channel, order) in self.orders() {
            order.give_up(|packet| hand_on(channel, packet));
        }
    }

    /// The order of the packets of each channel.
    fn orders(&mut self) -> impl Iterator<Item = (u8, &mut Order)> {
        let (tcp, udp) = match self {
            Way::Tcp(orders) => (Some(orders), None),
            Way::Udp(udp) => (None, Some(udp)),
        };
        let tcp = tcp.into_iter().flatten().map(|(channel, order)| (*channel, order));
        let lines = udp.into_iter().flat_map(|udp| &mut udp.lines);
        tcp.chain(lines.map(|line| (line.channel, &mut line.order)))
    }

    /// Hands on what waited long enough for those before it. Answers whether that is any.
    pub(super) fn tick(&mut self, mut hand_on: impl FnMut(u8, Arrived<'_>)) -> bool {
        let mut is_any = false;
        for (channel, order) in self.orders() {
            order.tick(|packet| {
                is_any = true;
                hand_on(channel, packet);
            });
        }
        is_any
    }

    /// Waits for what comes beside the connection, and hands on what is in order, with its channel.
    /// Cancelling the future loses nothing.
    ///
    /// # Errors
    /// If a port is of no use any more.
    pub(super) async fn receive(
        &mut self,
        clock: &dyn Clock,
        mut hand_on: impl FnMut(u8, Arrived<'_>),
    ) -> Result<(), CameraError> {
        if self.tick(&mut hand_on) {
            return Ok(());
        }
        let Way::Udp(udp) = self else { return std::future::pending().await };
        if udp.report.is_over() {
            udp.report = Deadline::after(REPORT_INTERVAL);
            udp.lines.iter().for_each(|line| line.ports.report());
        }
        let waits = udp.lines.iter().map(|line| Box::pin(line.ports.readable()));
        let (ready, ..) = futures::future::select_all(waits).await;
        ready.map_err(|error| failed(&error))?;
        // Of all that waits in the ports: the clocks are asked once.
        let now = clock.read();
        for line in &mut udp.lines {
            line.take(&now, &mut hand_on).map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}

impl Line {
    /// Takes what is there.
    fn take(&mut self, now: &Reading, hand_on: &mut impl FnMut(u8, Arrived<'_>)) -> io::Result<()> {
        let channel = self.channel;
        for _ in 0..DATAGRAMS_AT_ONCE {
            match self.ports.take()? {
                None => break,
                Some(Datagram::Rtp(bytes)) => {
                    let packet = Arrived { bytes, at: now };
                    self.order.push(packet, |packet| hand_on(channel, packet));
                }
                Some(Datagram::Rtcp(bytes)) => hand_on(channel + 1, Arrived { bytes, at: now }),
            }
        }
        Ok(())
    }
}
