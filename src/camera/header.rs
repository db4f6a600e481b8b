//! Values of the headers of RTSP that a session depends on, as cameras write them. Pure.

use std::net::IpAddr;
use std::time::Duration;

use url::Url;

/// How long a session lives without a word, where the camera does not say (RFC 2326, 12.37).
pub(super) const SESSION_TIMEOUT: Duration = Duration::from_secs(60);

/// Longer ones are as good as this one.
const SESSION_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// The value of `Session:` (RFC 2326, 12.37).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SessionId {
    pub(super) id: String,
    /// It ends when nothing is heard of us for so long.
    pub(super) timeout: Duration,
}

impl SessionId {
    /// `None` where there is no name.
    pub(super) fn parse(value: &str) -> Option<SessionId> {
        let mut parts = value.split(';').map(str::trim);
        let id = parts.next().filter(|id| !id.is_empty())?.to_owned();
        let seconds = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let value = value.trim().trim_matches('"');
            let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
            name.trim().eq_ignore_ascii_case("timeout").then(|| value[..digits].parse().ok())?
        });
        let timeout = seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let timeout = timeout.map(|timeout| timeout.min(SESSION_TIMEOUT_MAX));
        Some(SessionId { id, timeout: timeout.unwrap_or(SESSION_TIMEOUT) })
    }
}

/// What a camera's `Transport:` (RFC 2326, 12.39) says; what it does not say is as it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TransportAnswer {
    /// The channel of RTP; that of RTCP is the next one.
    pub(super) channel: Option<u8>,
    /// The camera's port of RTP, and of RTCP.
    pub(super) server_ports: Option<(u16, u16)>,
    /// Where it sends from.
    pub(super) source: Option<IpAddr>,
}

impl TransportAnswer {
    pub(super) fn parse(value: &str) -> TransportAnswer {
        let mut answer = TransportAnswer::default();
        // Of several only the first was asked for.
        for part in value.split(',').next().unwrap_or_default().split(';') {
            let Some((name, value)) = part.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "interleaved" => {
                    let first = value.split('-').next().unwrap_or_default();
                    answer.channel = first.trim().parse().ok();
                }
                "server_port" => answer.server_ports = ports(value),
                "source" => answer.source = value.parse().ok(),
                _ => {}
            }
        }
        answer
    }
}

fn ports(value: &str) -> Option<(u16, u16)> {
    let (first, second) = value.split_once('-').unwrap_or((value, ""));
    let first: u16 = first.trim().parse().ok().filter(|port| *port > 0)?;
    let second = second.trim().parse().ok().filter(|port| *port > 0);
    Some((first, second.unwrap_or(first.saturating_add(1))))
}

/// The address that a control attribute means (RFC 2326, C.1.1). It is put behind the base as a
/// whole, behind its query, too, as cameras expect it.
pub(super) fn control(base: &Url, control: Option<&str>) -> Url {
    let control = match control.map(str::trim) {
        None | Some("" | "*") => return base.clone(),
        Some(control) => control,
    };
    if let Ok(absolute) = Url::parse(control)
        && absolute.has_host()
    {
        return without_credentials(absolute);
    }
    let between = if base.as_str().ends_with('/') { "" } else { "/" };
    let joined = format!("{base}{between}{control}");
    Url::parse(&joined).unwrap_or_else(|_| base.clone())
}

/// The address that others are relative to: what the answer to DESCRIBE says, or what was asked.
pub(super) fn base(asked: &Url, said: Option<&str>) -> Url {
    let absolute = said.and_then(|said| Url::parse(said.trim()).ok());
    absolute.filter(Url::has_host).map_or_else(|| asked.clone(), without_credentials)
}

/// A URL that is sent says nothing of users and passwords.
pub(super) fn without_credentials(mut url: Url) -> Url {
    // Both fail only for what has no host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_understood_as_they_are_written() {
        for (value, id, seconds) in [
            ("12345678", "12345678", 60),
            ("a;timeout=30", "a", 30),
            ("a;Timeout=30", "a", 30),
            ("a; timeout = 30 ;x=1", "a", 30),
            ("a;", "a", 60),
            ("a;timeout=0", "a", 60),
            ("a;timeout=45.0", "a", 45),
            ("a;timeout=\"45\"", "a", 45),
            ("a;timeout=99999999999999999999", "a", 60),
            ("a;timeout=18446744073709551615", "a", 24 * 3600),
            ("a;x=1;timeout=20", "a", 20),
        ] {
            let session = SessionId::parse(value).expect(value);
            let timeout = Duration::from_secs(seconds);
            assert_eq!((session.id.as_str(), session.timeout), (id, timeout), "{value}");
        }
        assert_eq!(SessionId::parse(" ;timeout=3"), None);
    }

    #[test]
    fn transports_are_understood_as_they_are_written() {
        let channel = |value: &str| TransportAnswer::parse(value).channel;
        assert_eq!(channel("RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=00000000"), Some(2));
        assert_eq!(channel("rtp/avp/tcp; unicast; Interleaved = 4 - 5"), Some(4));
        assert_eq!(channel("RTP/AVP/TCP;interleaved=6"), Some(6));
        assert_eq!(channel("RTP/AVP/TCP;unicast;source=cam.local;ssrc=123456"), None);
        assert_eq!(channel(""), None);
        let udp = TransportAnswer::parse("RTP/AVP;server_port=7000-7001;source=192.0.2.7");
        assert_eq!(udp.server_ports, Some((7000, 7001)));
        assert_eq!(udp.source, Some([192, 0, 2, 7].into()));
        assert_eq!(TransportAnswer::parse("server_port=9").server_ports, Some((9, 10)));
        assert_eq!(TransportAnswer::parse("server_port=0-0").server_ports, None);
    }

    #[test]
    fn controls_are_relative_to_their_base_or_absolute() {
        let url = |text: &str| Url::parse(text).unwrap();
        let asked = url("rtsp://cam/live?u=1");
        assert_eq!(control(&asked, None), asked);
        assert_eq!(control(&asked, Some("*")), asked);
        assert_eq!(control(&asked, Some("track1")).as_str(), "rtsp://cam/live?u=1/track1");
        assert_eq!(control(&asked, Some("rtsp://u:p@nat/x")).as_str(), "rtsp://nat/x");
        assert_eq!(control(&asked, Some("trackID:1")).as_str(), "rtsp://cam/live?u=1/trackID:1");
        assert_eq!(base(&asked, Some("rtsp://10.0.0.1/live/")).as_str(), "rtsp://10.0.0.1/live/");
        assert_eq!(base(&asked, Some("/live/")), asked);
        assert_eq!(base(&asked, None), asked);
    }
}
