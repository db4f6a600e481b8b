//! How a configuration names a camera that speaks ONVIF.

use std::net::{IpAddr, ToSocketAddrs};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::{Host, Url};

/// Where the service of every device is (ONVIF Core, 5.1.1).
pub const SERVICE_PATH: &str = "/onvif/device_service";
/// The port where an address names none.
const PORT: u16 = 80;
/// What of a serial number is not written as it is.
const NOT_IN_HOSTS: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_');
/// What names a profile in an address.
const PROFILE: &str = "profile";

/// `onvif://HOST[:PORT][/PATH][?profile=TOKEN]`, or a serial number in the host's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A host or a serial number, as it was written.
    pub name: String,
    port: u16,
    path: String,
    /// The stream.
    pub wanted: Wanted,
}

/// Which of a camera's streams is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The one with the largest pictures.
    Main,
    /// The one with the smallest pictures, another one than [`Wanted::Main`].
    Sub,
    /// The profile with this token.
    Profile(String),
}

impl Address {
    /// Takes an address apart. What names no profile is [`Wanted::Main`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &Url) -> Result<Address, String> {
        let host = url.host_str().filter(|host| !host.is_empty());
        let name = percent_decode_str(host.ok_or("names no host")?);
        let name = name.decode_utf8().map_err(|_| "has a host that is not UTF-8".to_owned())?;
        let mut wanted = Wanted::Main;
        for (key, value) in url.query_pairs() {
            if key != PROFILE || value.is_empty() {
                return Err(format!("?{PROFILE}=TOKEN alone may stand behind it"));
            }
            wanted = Wanted::Profile(value.into_owned());
        }
        let path = if url.path().len() > 1 { url.path() } else { SERVICE_PATH };
        let port = url.port().unwrap_or(PORT);
        Ok(Address { name: name.into_owned(), port, path: path.to_owned(), wanted })
    }

    /// Whether the name is that of a host, and can't be a serial number: it has a dot or a colon.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.name.contains(['.', ':'])
    }

    /// The address of its device service, unless the name is a serial number: one that can't be
    /// that of a host, or can't be resolved. May wait for a name server.
    #[must_use]
    pub fn service(&self) -> Option<Url> {
        let is_host = self.is_host()
            || !is_number(&self.name)
                && (self.name.as_str(), self.port)
                    .to_socket_addrs()
                    .is_ok_and(|mut all| all.next().is_some());
        if !is_host {
            return None;
        }
        service_at(&self.name, self.port, &self.path)
    }

    /// The address of a camera with this serial number; `None` where that would be taken for a
    /// host, or is none.
    #[must_use]
    pub fn of_serial(serial: &str) -> Option<String> {
        let is_fit = !serial.is_empty() && !serial.contains(['.', ':']);
        is_fit.then(|| format!("onvif://{}", utf8_percent_encode(serial, &NOT_IN_HOSTS)))
    }

    /// The same without the stream: what names a camera.
    #[must_use]
    pub fn of_camera(&self) -> (String, u16, String) {
        (self.name.clone(), self.port, self.path.clone())
    }
}

/// Whether resolvers take a name for an IPv4 address, which is written so by nobody (inet_aton(3)).
fn is_number(name: &str) -> bool {
    let digits = name.strip_prefix("0x").or(name.strip_prefix("0X"));
    match digits {
        Some(hex) => hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => name.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

fn service_at(host: &str, port: u16, path: &str) -> Option<Url> {
    let mut url = Url::parse("http://h/").ok()?;
    url.set_host(Some(host)).ok()?;
    url.set_port(Some(port)).ok()?;
    url.set_path(path);
    Some(url)
}

/// An address that a camera has said of itself, as it is reached from here: where it names no
/// host that could be meant, or is known to be elsewhere, the host is the one that was asked.
/// `None` where it can't be understood.
pub(super) fn reached(said: &str, asked: &Url) -> Option<Url> {
    let mut url = Url::parse(said.trim()).ok()?;
    let is_nobody = match url.host()? {
        Host::Ipv4(address) => is_nobody(IpAddr::V4(address), asked),
        Host::Ipv6(address) => is_nobody(IpAddr::V6(address), asked),
        // Schemes that are not of the web leave an address as it is written.
        Host::Domain(name) => match name.parse() {
            Ok(address) => is_nobody(address, asked),
            Err(_) => name.is_empty(),
        },
    };
    if is_nobody {
        url.set_host(asked.host_str()).ok()?;
    }
    Some(url)
}

/// A service of the camera that was asked: what it says of the host counts where that is the one
/// that was asked, who may reach it by another address than it knows of.
pub(super) fn beside(said: &str, asked: &Url) -> Option<Url> {
    let mut url = Url::parse(said.trim()).ok()?;
    if url.host_str() != asked.host_str() {
        url.set_host(asked.host_str()).ok()?;
        url.set_port(asked.port()).ok()?;
    }
    Some(url)
}

/// Whether an address is that of no other machine: of none, of this one, or one that is given
/// where there is no network.
fn is_nobody(address: IpAddr, asked: &Url) -> bool {
    let is_loopback = |host: &str| {
        host == "localhost"
            || host.trim_matches(['[', ']']).parse().is_ok_and(|it: IpAddr| it.is_loopback())
    };
    let is_here = asked.host_str().is_some_and(is_loopback);
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(_) => false,
    };
    address.is_unspecified() || is_link_local || address.is_loopback() && !is_here
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, String> {
        Address::parse(&Url::parse(text).unwrap())
    }

    #[test]
    fn an_address_has_what_devices_have_where_it_says_nothing() {
        let service = |text: &str| parse(text).unwrap().service().map(String::from);
        let own = |text: &str| Some(text.to_owned());
        assert_eq!(service("onvif://192.0.2.1"), own("http://192.0.2.1/onvif/device_service"));
        assert_eq!(
            service("onvif://192.0.2.1:8000/"),
            own("http://192.0.2.1:8000/onvif/device_service")
        );
        assert_eq!(service("onvif://cam.example/other"), own("http://cam.example/other"));
        assert_eq!(service("onvif://[::1]:81"), own("http://[::1]:81/onvif/device_service"));
        for serial in ["4419-XK%2F7", "4419", "00000000", "2130706433", "0x7f000001"] {
            assert_eq!(service(&format!("onvif://{serial}")), None, "{serial}");
        }
        assert_eq!(parse("onvif://4419-XK%2F7").unwrap().name, "4419-XK/7");
    }

    #[test]
    fn a_serial_number_is_an_address_and_comes_back_from_it() {
        for serial in ["4419-XK_7", "DS-2CD2143 G2/é", "00000000"] {
            let address = Address::of_serial(serial).unwrap();
            assert_eq!(parse(&address).unwrap().name, serial, "{address}");
        }
        assert_eq!(Address::of_serial(""), None);
        assert_eq!(Address::of_serial("192.0.2.1"), None);
    }

    #[test]
    fn a_profile_is_named_and_nothing_else() {
        assert_eq!(parse("onvif://h").unwrap().wanted, Wanted::Main);
        let named = parse("onvif://h?profile=Profile_2").unwrap().wanted;
        assert_eq!(named, Wanted::Profile("Profile_2".to_owned()));
        assert!(parse("onvif://h?channel=2").is_err());
        assert!(parse("onvif://h?profile=").is_err());
        assert_eq!(parse("onvif:").unwrap_err(), "names no host");
    }

    #[test]
    fn an_address_that_nobody_else_could_reach_is_that_of_the_camera() {
        let asked = Url::parse("http://192.0.2.7:8000/onvif/device_service").unwrap();
        let at = |said: &str| reached(said, &asked).map(String::from);
        let own = |text: &str| Some(text.to_owned());
        assert_eq!(at("rtsp://192.0.2.9:554/1"), own("rtsp://192.0.2.9:554/1"));
        assert_eq!(at("rtsp://0.0.0.0:554/1"), own("rtsp://192.0.2.7:554/1"));
        assert_eq!(at(" rtsp://127.0.0.1/1\n"), own("rtsp://192.0.2.7/1"));
        assert_eq!(at("http://169.254.3.4/onvif/media"), own("http://192.0.2.7/onvif/media"));
        assert_eq!(at("/onvif/media"), None);
        let beside = |said: &str| beside(said, &asked).map(String::from);
        assert_eq!(beside("http://10.0.0.1/onvif/m?a=1"), own("http://192.0.2.7:8000/onvif/m?a=1"));
        assert_eq!(beside("http://192.0.2.7:81/m"), own("http://192.0.2.7:81/m"));
        let here = Url::parse("http://127.0.0.1/").unwrap();
        let at = reached("rtsp://127.0.0.1:8554/1", &here).map(String::from);
        assert_eq!(at, own("rtsp://127.0.0.1:8554/1"));
    }
}
