//! Where a camera is that speaks RTSP, and how to log in to it.

use std::fmt;
use std::sync::Arc;

use url::Url;

use super::error::CameraError;
use super::secret;
use super::voice::Voice;

/// A camera that speaks RTSP.
#[derive(Clone)]
pub struct Endpoint {
    /// The name that log lines carry.
    pub name: String,
    /// What is logged of it.
    pub voice: Voice,
    pub(super) transport: Transport,
    pub(super) has_sound: bool,
    pub(super) url: Url,
    /// The same without secrets.
    address: String,
    pub(super) username: Option<String>,
    /// Or why there is none.
    pub(super) password: Result<String, String>,
    password_source: Option<PasswordSource>,
    /// Whether the password may be told as it is (Basic).
    pub(super) is_told_plainly: bool,
}

/// How packets come (RFC 2326, 12.39).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Over TCP, and over UDP where the camera refuses that.
    #[default]
    Auto,
    /// On the connection of the requests, or not at all.
    Tcp,
    /// Beside it.
    Udp,
}

/// What people call the way of packets that come beside the connection.
pub const UDP: &str = "UDP";

impl Transport {
    /// All of them, by the name that a configuration has.
    pub const NAMES: [(&str, Transport); 3] =
        [("auto", Transport::Auto), ("tcp", Transport::Tcp), ("udp", Transport::Udp)];

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Transport> {
        let known = Transport::NAMES.into_iter().find(|(known, _)| *known == name);
        known.map(|(_, transport)| transport)
    }
}

/// Tells a camera's password anew, or why there is none. May wait for a disk.
pub type PasswordSource = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

impl Endpoint {
    /// A camera at `url` (`rtsp://host[:port]/path`). A user and a password in the URL count
    /// where none are given beside it.
    ///
    /// # Errors
    /// If the URL can't be read, has no host, or is not `rtsp:`.
    pub fn new(
        name: &str,
        url: &str,
        username: Option<String>,
        password: Option<String>,
    ) -> Result<Endpoint, CameraError> {
        let url = Url::parse(url).map_err(|error| CameraError::Url { why: error.to_string() })?;
        let Placed { url, username: within, password: password_within } = Placed::of(url)?;
        let (username, password) = match username {
            Some(username) => (Some(username), password.or(password_within)),
            None => (within, password.or(password_within)),
        };
        Ok(Endpoint {
            name: name.to_string(),
            voice: Voice::of(name),
            transport: Transport::default(),
            has_sound: true,
            address: secret::hidden(url.as_str()),
            url,
            username,
            password: Ok(password.unwrap_or_default()),
            password_source: None,
            is_told_plainly: true,
        })
    }

    /// The same camera, at an address that it has said itself: a login in that counts where none
    /// is given, and the password is told as it is where that may be.
    ///
    /// # Errors
    /// As [`Endpoint::new`].
    pub(super) fn at(&self, url: Url, is_told_plainly: bool) -> Result<Endpoint, CameraError> {
        let Placed { url, username, password } = Placed::of(url)?;
        let address = secret::hidden(url.as_str());
        let mut placed = Endpoint { address, url, is_told_plainly, ..self.clone() };
        if placed.username.is_none() && username.is_some() {
            placed.username = username;
            placed.password = Ok(password.unwrap_or_default());
        }
        Ok(placed)
    }

    /// The same camera, whose packets come that way.
    #[must_use]
    pub fn with_transport(mut self, transport: Transport) -> Endpoint {
        self.transport = transport;
        self
    }

    /// The same camera, whose sound is recorded or not.
    #[must_use]
    pub fn with_audio(mut self, audio: bool) -> Endpoint {
        self.has_sound = audio;
        self
    }

    /// The same camera, whose password `source` tells anew when a login was refused.
    #[must_use]
    pub fn with_password_source(mut self, source: PasswordSource) -> Endpoint {
        self.password_source = Some(source);
        self
    }

    /// What tells its password anew.
    #[must_use]
    pub fn password_source(&self) -> Option<PasswordSource> {
        self.password_source.clone()
    }

    /// Takes what its password is now. Answers whether that is another one; where there is none at
    /// the moment it is not.
    pub fn take_password(&mut self, password: Result<String, String>) -> bool {
        let is_new = password.is_ok() && password != self.password;
        self.password = password;
        is_new
    }

    /// The address without user and password, and without the secrets in its path and query, fit
    /// for a log.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// An address, and the login that stood in it: that is sent as a login, and neither in a request
/// nor in a log.
struct Placed {
    url: Url,
    username: Option<String>,
    password: Option<String>,
}

impl Placed {
    fn of(mut url: Url) -> Result<Placed, CameraError> {
        let bad = |why: String| CameraError::Url { why };
        if url.scheme() != "rtsp" {
            return Err(bad(format!("scheme \"{}\", expected \"rtsp\"", url.scheme())));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(bad("no host".to_string()));
        }
        let username = (!url.username().is_empty()).then(|| percent_decoded(url.username()));
        let password = url.password().map(percent_decoded);
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| bad("credentials that can't be taken out of it".to_string()))?;
        Ok(Placed { url, username, password })
    }
}

/// The port of `rtsp:` where a URL names none (RFC 7826, 19.2).
pub(super) const RTSP_PORT: u16 = 554;

impl fmt::Debug for Endpoint {
    /// Without the password: values end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("address", &self.address)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Undoes `%41`; what is no valid escape stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        let escape = (first == b'%').then(|| others.get(..2)).flatten();
        let value = escape
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| !digits.starts_with('+'))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_a_url_are_taken_out_and_used() {
        let camera =
            Endpoint::new("door", "rtsp://vi%40wer:p%3Ass@[::1]:8554/a", None, None).unwrap();
        assert_eq!(camera.address(), "rtsp://[::1]:8554/a");
        assert_eq!(camera.username.as_deref(), Some("vi@wer"));
        assert_eq!(camera.password.as_deref(), Ok("p:ss"));
        assert!(!format!("{camera:?}").contains("p:ss"));
    }

    #[test]
    fn credentials_beside_a_url_win() {
        let name = Some("admin".to_string());
        let camera =
            Endpoint::new("door", "rtsp://a:b@host/", name, Some("c".to_string())).unwrap();
        assert_eq!(camera.username.as_deref(), Some("admin"));
        assert_eq!(camera.password.as_deref(), Ok("c"));
    }

    #[test]
    fn secrets_in_a_url_are_not_shown() {
        let camera = Endpoint::new("door", "rtsp://h/live?user=a&pwd=geheim", None, None).unwrap();
        assert_eq!(camera.address(), "rtsp://h/live?user=a&pwd=…");
        assert!(!format!("{camera:?}").contains("geheim"));
        assert!(camera.url.as_str().contains("geheim"), "the camera is told");
    }

    #[test]
    fn a_password_is_taken_from_its_source_and_is_news_where_it_is_another() {
        let camera = Endpoint::new("door", "rtsp://h/", Some("a".to_string()), None).unwrap();
        let mut camera = camera.with_password_source(Arc::new(|| Err("no file".to_string())));
        let source = camera.password_source().unwrap();
        assert!(!camera.take_password(source()));
        assert!(camera.password.is_err());
        assert!(camera.take_password(Ok("b".to_string())));
        assert!(!camera.take_password(Ok("b".to_string())));
    }

    #[test]
    fn a_url_that_is_not_rtsp_is_refused_with_a_reason() {
        for (url, word) in [("http://host/", "http"), ("rtsp:", "host"), ("nonsense", "relative")] {
            let error = Endpoint::new("door", url, None, None).unwrap_err();
            assert!(error.to_string().contains(word), "{url}: {error}");
        }
    }

    #[test]
    fn a_broken_escape_stays_as_it_is() {
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%+1%zz%41"), "%+1%zzA");
    }
}
