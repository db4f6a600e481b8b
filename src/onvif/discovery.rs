//! Who is there: WS-Discovery (April 2005) as cameras speak it (ONVIF Core, 7.3).

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Mutex;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use percent_encoding::percent_decode_str;
use socket2::{Domain, Protocol, Socket, Type};
use url::Url;

use super::address::reached;
use super::xml::Element;
use crate::clock::Deadline;

/// Where all devices listen (WS-Discovery, 2.4).
const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 3702);
/// Each probe is sent so often, and so far apart: datagrams get lost.
const REPEATS: u32 = 3;
const REPEAT_INTERVAL: Duration = Duration::from_millis(400);
/// Devices that are asked at once.
const ASKED_AT_ONCE: usize = 16;
/// How long one wait for an answer lasts.
const READ_WAIT: Duration = Duration::from_millis(100);
/// More than a datagram can hold.
const ANSWER_BYTES_MAX: usize = 1 << 16;
/// More devices than a network has that is worth a list.
const FOUND_MAX: usize = 1024;
/// A recorder may answer for as many of its cameras.
const OF_SENDER_MAX: usize = 64;
/// What stands before what a scope says (ONVIF Core, 7.3.2.2).
const SCOPE: &str = "onvif://www.onvif.org/";

/// A device that has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is called in the network for as long as it lives, a UUID as a rule.
    pub endpoint: String,
    /// Its device service.
    pub service: Url,
    /// What people call it; may be empty.
    pub name: String,
    /// What it is; may be empty.
    pub hardware: String,
}

/// The addresses of this machine that a search is sent from: of all networks that it is in, or of
/// the loopback interface where there is no other.
///
/// # Errors
/// What the system says.
pub fn interfaces() -> io::Result<Vec<Ipv4Addr>> {
    let all: Vec<(Ipv4Addr, InterfaceFlags)> = getifaddrs()?
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|it| Some((it.address?.as_sockaddr_in()?.ip(), it.flags)))
        .collect();
    let is_loopback = |flags: &InterfaceFlags| flags.contains(InterfaceFlags::IFF_LOOPBACK);
    let has_network = all.iter().any(|(_, flags)| !is_loopback(flags));
    let mut own: Vec<Ipv4Addr> = all
        .iter()
        .filter(|(_, flags)| {
            is_loopback(flags) != has_network
                && (!has_network || flags.contains(InterfaceFlags::IFF_MULTICAST))
        })
        .map(|(address, _)| *address)
        .collect();
    own.sort_unstable();
    own.dedup();
    Ok(own)
}

/// Asks who is there, in the networks of these addresses of this machine, and waits for answers for
/// so long. Each device is there once, in the order of their addresses.
///
/// # Errors
/// Nothing could be sent from any of them.
pub fn search(from: &[Ipv4Addr], wait: Duration) -> io::Result<Vec<Found>> {
    let found = Mutex::new(Vec::new());
    let sent = std::thread::scope(|scope| {
        let searches: Vec<_> = from
            .iter()
            .map(|from| scope.spawn(|| search_from(*from, Deadline::after(wait), &found)))
            .collect();
        let ended = searches.into_iter().map(|search| {
            search.join().unwrap_or_else(|_| Err(io::Error::other("a search has failed")))
        });
        ended.collect::<Vec<io::Result<()>>>()
    });
    let mut found = found.into_inner().unwrap_or_default();
    found.sort_by(|one, other| one.service.as_str().cmp(other.service.as_str()));
    match sent.into_iter().reduce(|one, other| one.or(other)) {
        Some(Err(error)) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// Asks devices, several of them at once; answers in their order, none of one where asking failed.
#[must_use]
pub fn ask_each<T: Send>(found: &[Found], ask: impl Fn(&Found) -> T + Sync) -> Vec<Option<T>> {
    let mut answers = Vec::with_capacity(found.len());
    for some in found.chunks(ASKED_AT_ONCE) {
        std::thread::scope(|scope| {
            let asked: Vec<_> = some.iter().map(|found| scope.spawn(|| ask(found))).collect();
            answers.extend(asked.into_iter().map(|asked| asked.join().ok()));
        });
    }
    answers
}

fn search_from(from: Ipv4Addr, until: Deadline, found: &Mutex<Vec<Found>>) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.set_multicast_if_v4(&from)?;
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(READ_WAIT))?;
    let mut sent = 0;
    let mut again = Deadline::after(Duration::ZERO);
    let mut buffer = vec![0; ANSWER_BYTES_MAX];
    let mut of_senders: HashMap<Ipv4Addr, usize> = HashMap::new();
    while !until.is_over() {
        if sent < REPEATS && again.is_over() {
            for kind in ["dn:NetworkVideoTransmitter", "tds:Device"] {
                socket.send_to(probe(kind).as_bytes(), GROUP)?;
            }
            sent += 1;
            again = Deadline::after(REPEAT_INTERVAL);
        }
        let Ok((length, SocketAddr::V4(sender))) = socket.recv_from(&mut buffer) else { continue };
        let of_sender = of_senders.entry(*sender.ip()).or_default();
        let Ok(sender) = Url::parse(&format!("http://{}/", sender.ip())) else { continue };
        let matches = matches_in(&buffer[..length]);
        let Ok(mut found) = found.lock() else { return Ok(()) };
        for device in matches.into_iter().filter_map(|it| it.reached_from(&sender)) {
            let is_known = found
                .iter()
                .any(|known| known.endpoint == device.endpoint && known.service == device.service);
            if !is_known && found.len() < FOUND_MAX && *of_sender < OF_SENDER_MAX {
                *of_sender += 1;
                found.push(device);
            }
        }
    }
    Ok(())
}

/// The question who is there that is of this kind.
fn probe(kind: &str) -> String {
    let id = uuid::Uuid::new_v4();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\"><s:Header>\
         <a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>\
         <a:MessageID>uuid:{id}</a:MessageID>\
         <a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header><s:Body>\
         <d:Probe xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\">\
         <d:Types xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\" \
         xmlns:tds=\"http://www.onvif.org/ver10/device/wsdl\">{kind}</d:Types></d:Probe></s:Body>\
         </s:Envelope>"
    )
}

/// What one device says of itself.
#[derive(Debug)]
pub(super) struct Match {
    endpoint: String,
    /// Where it says that its service is, in its own order.
    addresses: Vec<String>,
    name: String,
    hardware: String,
}

impl Match {
    /// The device, where it is reached: of several addresses the one that has answered.
    fn reached_from(self, sender: &Url) -> Option<Found> {
        let mut services: Vec<Url> = self
            .addresses
            .iter()
            .filter_map(|said| reached(said, sender))
            .filter(|url| url.scheme() == "http")
            .collect();
        let own = services.iter().position(|url| url.host_str() == sender.host_str());
        let service = (!services.is_empty()).then(|| services.swap_remove(own.unwrap_or(0)))?;
        let Match { endpoint, name, hardware, .. } = self;
        Some(Found { endpoint, service, name, hardware })
    }
}

/// What a datagram says of devices.
pub(super) fn matches_in(bytes: &[u8]) -> Vec<Match> {
    let Ok(envelope) = Element::parse(bytes) else { return Vec::new() };
    let Some(matches) = envelope.at(&["Body", "ProbeMatches"]) else { return Vec::new() };
    let device = |said: &Element| {
        let scopes = said.text_at(&["Scopes"]).unwrap_or_default();
        let scope = |kind: &str| {
            let found =
                scopes.split_whitespace().find_map(|it| it.strip_prefix(SCOPE)?.strip_prefix(kind));
            percent_decode_str(found.unwrap_or_default()).decode_utf8_lossy().into_owned()
        };
        let addresses = said.text_at(&["XAddrs"])?.split_whitespace().map(str::to_owned).collect();
        let endpoint = said.text_at(&["EndpointReference", "Address"]).unwrap_or_default();
        let endpoint = endpoint.trim_start_matches("urn:").trim_start_matches("uuid:").to_owned();
        Some(Match { endpoint, addresses, name: scope("name/"), hardware: scope("hardware/") })
    };
    matches.all("ProbeMatch").take(FOUND_MAX).filter_map(device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(addresses: &str) -> String {
        format!(
            "<e:Envelope xmlns:e='x'><e:Body><d:ProbeMatches xmlns:d='y'><d:ProbeMatch>\
             <a:EndpointReference xmlns:a='z'><a:Address>urn:uuid:4419d68a</a:Address>\
             </a:EndpointReference><d:Scopes>onvif://www.onvif.org/type/ptz \
             onvif://www.onvif.org/name/Front%20Door onvif://www.onvif.org/hardware/X-1</d:Scopes>\
             <d:XAddrs>{addresses}</d:XAddrs></d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>"
        )
    }

    fn found(addresses: &str) -> Option<Found> {
        let sender = Url::parse("http://192.0.2.9/").unwrap();
        matches_in(answer(addresses).as_bytes()).pop()?.reached_from(&sender)
    }

    #[test]
    fn an_answer_says_who_is_where() {
        let device = found("http://192.0.2.9:8000/onvif/device_service").unwrap();
        assert_eq!((device.name.as_str(), device.hardware.as_str()), ("Front Door", "X-1"));
        assert_eq!(device.endpoint, "4419d68a");
        assert_eq!(device.service.as_str(), "http://192.0.2.9:8000/onvif/device_service");
    }

    #[test]
    fn of_several_addresses_the_one_counts_that_has_answered() {
        let at = |addresses: &str| found(addresses).map(|device| String::from(device.service));
        let own = |text: &str| Some(text.to_owned());
        assert_eq!(at("http://10.9.9.9/a http://192.0.2.9/b"), own("http://192.0.2.9/b"));
        assert_eq!(at("http://10.9.9.9/a"), own("http://10.9.9.9/a"));
        assert_eq!(at("http://169.254.1.1/a"), own("http://192.0.2.9/a"));
        assert_eq!(at("https://192.0.2.9/a"), None);
        assert_eq!(at(""), None);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for bytes in [&b""[..], b"M-SEARCH * HTTP/1.1", b"<a/>", probe("tds:Device").as_bytes()] {
            assert!(matches_in(bytes).is_empty());
        }
    }
}
