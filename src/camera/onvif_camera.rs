//! A camera that is asked where its stream is each time that a session with it is begun, and found
//! again by its serial number where it has moved to.

use std::fmt;
use std::sync::Arc;

use log::Level;
use url::Url;

use super::endpoint::Endpoint;
use super::error::{CameraError, one_line};
use super::finder::Known;
use super::hosts::Hosts;
use super::secret;
use crate::onvif::{self, Address, Answer, Login, OnvifError, Wanted};

/// Stands for the stream's address until the camera has said it.
const NOT_ASKED_YET: &str = "rtsp://0.0.0.0/";

/// A camera that speaks ONVIF.
#[derive(Clone)]
pub struct OnvifCamera {
    /// All but where its stream is.
    endpoint: Endpoint,
    address: Address,
    /// The same as a text that is fit for a log.
    shown: String,
}

impl OnvifCamera {
    /// A camera at `url` (`onvif://HOST[:PORT][/PATH]`, or a serial number in the host's place);
    /// where that names no profile, the stream is the one that is `wanted`.
    ///
    /// # Errors
    /// If the URL can't be understood.
    pub fn new(
        name: &str,
        url: &Url,
        wanted: Wanted,
        (username, password): (Option<String>, Option<String>),
    ) -> Result<OnvifCamera, CameraError> {
        let mut address = Address::parse(url).map_err(|why| CameraError::Url { why })?;
        if address.wanted == Wanted::Main {
            address.wanted = wanted;
        }
        let endpoint = Endpoint::new(name, NOT_ASKED_YET, username, password)?;
        Ok(OnvifCamera { endpoint, address, shown: secret::hidden(url.as_str()) })
    }

    /// The same with another endpoint.
    pub(super) fn with(mut self, change: impl FnOnce(Endpoint) -> Endpoint) -> OnvifCamera {
        self.endpoint = change(self.endpoint);
        self
    }

    /// All but where its stream is.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The same, to be changed.
    pub(super) fn endpoint_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// How the configuration names it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.shown
    }

    /// Where its stream is.
    ///
    /// # Errors
    /// It does not say so, refuses the login, or is nowhere to be found.
    pub(super) async fn locate(&self, hosts: &Arc<Hosts>) -> Result<Endpoint, CameraError> {
        let known = hosts.finder.known(&self.address);
        let place = match &known {
            Some(known) => Some(known.service.clone()),
            None => self.configured().await,
        };
        let (mut refused, mut other) = (None, None);
        if let Some(service) = &place {
            match self.ask(service).await {
                Ok(answer) if is_same(known.as_ref(), &answer) => {
                    return self.taken(hosts, service, &answer);
                }
                Ok(answer) => other = Some((service, answer)),
                Err(error) => refused = Some(CameraError::from(error)),
            }
        }
        // Who refuses the login may be another camera that has this one's address now.
        let known = known.map(|known| known.serial).filter(|serial| !serial.is_empty());
        let named = (!self.address.is_host()).then(|| self.address.name.clone());
        if let Some(serial) = known.as_ref().or(named.as_ref()) {
            let login = self.login(None)?;
            let found = hosts.finder.find(serial, login.as_ref()).await?;
            if let Some(service) = found.filter(|found| place.as_ref() != Some(found)) {
                let answer = self.ask(&service).await?;
                return self.taken(hosts, &service, &answer);
            }
        }
        match (other, refused) {
            (Some((service, answer)), _) => self.taken(hosts, service, &answer),
            (None, Some(error)) => Err(error),
            (None, None) => {
                let serial = known.or(named).unwrap_or_default();
                let why =
                    format!("no camera with the serial number {serial} answers in the network");
                Err(CameraError::Refused { stage: "a search", why: one_line(&why) })
            }
        }
    }

    /// The same at the host that was asked, where the stream is said to be elsewhere: the camera
    /// may not know the address by which it is reached.
    pub(super) fn beside(&self, said: &Endpoint, hosts: &Hosts) -> Option<Endpoint> {
        let known = hosts.finder.known(&self.address)?;
        let host = known.service.host_str().filter(|host| said.url.host_str() != Some(host))?;
        let mut url = said.url.clone();
        url.set_host(Some(host)).ok()?;
        let is_told_plainly = self.is_named(&url);
        said.at(url, is_told_plainly).ok()
    }

    /// What the camera at a device service is asked with, or any that answers a search.
    fn login(&self, service: Option<&Url>) -> Result<Option<Login>, CameraError> {
        let Some(username) = self.endpoint.username.clone() else { return Ok(None) };
        let password = self.endpoint.password.clone();
        let password = password.map_err(|why| CameraError::Authentication { why })?;
        let is_told_plainly = service.is_some_and(|service| self.is_named(service));
        Ok(Some(Login { username, password, is_told_plainly }))
    }

    /// Whether the configuration names the host of this address: what a search has found is told no
    /// password as it is.
    fn is_named(&self, url: &Url) -> bool {
        self.address.is_host() && url.host_str() == Some(self.address.name.as_str())
    }

    /// Where the configuration says that it is, unless that is a serial number.
    async fn configured(&self) -> Option<Url> {
        let address = self.address.clone();
        // A name server may take its time.
        tokio::task::spawn_blocking(move || address.service()).await.ok().flatten()
    }

    async fn ask(&self, service: &Url) -> Result<Answer, OnvifError> {
        let login = self.login(Some(service));
        let login = login.map_err(|why| OnvifError::Denied { why: why.to_string() })?;
        let (service, wanted) = (service.clone(), self.address.wanted.clone());
        let asked =
            tokio::task::spawn_blocking(move || onvif::ask(&service, &wanted, login.as_ref()));
        asked.await.unwrap_or_else(|why| {
            Err(OnvifError::Refused { request: "a question", why: why.to_string() })
        })
    }

    /// Takes what the camera there has said, and tells what is new about that.
    fn taken(
        &self,
        hosts: &Hosts,
        service: &Url,
        answer: &Answer,
    ) -> Result<Endpoint, CameraError> {
        let is_told_plainly = self.is_named(service) && self.is_named(&answer.url);
        let endpoint = self.endpoint.at(answer.url.clone(), is_told_plainly)?;
        let now = Known { service: service.clone(), serial: answer.information.serial.clone() };
        if let Some(text) =
            news(hosts.finder.set(&self.address, now.clone()).as_ref(), &now, answer)
        {
            self.endpoint.voice.say(Level::Info, &one_line(&text));
        }
        Ok(endpoint)
    }
}

/// Whether the camera that has answered is the one that was there before.
fn is_same(known: Option<&Known>, answer: &Answer) -> bool {
    let is_other = |known: &Known| {
        let (before, now) = (&known.serial, &answer.information.serial);
        !before.is_empty() && !now.is_empty() && before != now
    };
    !known.is_some_and(is_other)
}

/// What is worth a line of where a camera is now, and which one it is.
fn news(before: Option<&Known>, now: &Known, answer: &Answer) -> Option<String> {
    let place = |known: &Known| {
        let (host, port) = (known.service.host_str()?, known.service.port_or_known_default()?);
        Some(format!("{host}:{port}"))
    };
    let at = place(now)?;
    let onvif::Information { manufacturer, model, serial } = &answer.information;
    match before {
        Some(before) if before == now => None,
        Some(before) if before.serial == now.serial => {
            Some(format!("found again at {at} by its serial number {serial}"))
        }
        Some(before) => {
            let former = &before.serial;
            Some(format!("another camera is at {at}: its serial number is {serial}, not {former}"))
        }
        None => Some(format!("is at {at}: {manufacturer} {model}, serial number {serial}")),
    }
}

impl fmt::Debug for OnvifCamera {
    /// Without the password: values end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnvifCamera").field("address", &self.shown).finish_non_exhaustive()
    }
}

impl From<OnvifError> for CameraError {
    fn from(error: OnvifError) -> CameraError {
        match error {
            OnvifError::Unreachable { host, port, why } => {
                CameraError::Connect { host, port, why: one_line(&why) }
            }
            OnvifError::Denied { why } => CameraError::Authentication { why: one_line(&why) },
            OnvifError::Refused { request, why } => {
                CameraError::Refused { stage: request, why: one_line(&why) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(place: &str, serial: &str) -> Known {
        let service = Url::parse(&format!("http://{place}/onvif/device_service")).unwrap();
        Known { service, serial: serial.to_owned() }
    }

    fn answer(serial: &str) -> Answer {
        let information = onvif::Information {
            manufacturer: "Maker".to_owned(),
            model: "X-1".to_owned(),
            serial: serial.to_owned(),
        };
        let url = Url::parse("rtsp://192.0.2.1/1").unwrap();
        Answer { information, profile: onvif::Profile::default(), url }
    }

    #[test]
    fn a_camera_is_the_same_where_both_say_so_or_one_says_nothing() {
        assert!(is_same(None, &answer("1")));
        assert!(is_same(Some(&known("a", "1")), &answer("1")));
        assert!(is_same(Some(&known("a", "")), &answer("1")));
        assert!(is_same(Some(&known("a", "1")), &answer("")));
        assert!(!is_same(Some(&known("a", "1")), &answer("2")));
    }

    #[test]
    fn what_is_new_of_a_camera_s_place_is_said_once() {
        let news = |before: Option<Known>, now: Known| {
            let answer = answer(&now.serial);
            news(before.as_ref(), &now, &answer)
        };
        let first = news(None, known("192.0.2.1", "7"));
        assert_eq!(first.as_deref(), Some("is at 192.0.2.1:80: Maker X-1, serial number 7"));
        assert_eq!(news(Some(known("192.0.2.1", "7")), known("192.0.2.1", "7")), None);
        let moved = news(Some(known("192.0.2.1", "7")), known("192.0.2.5:8000", "7"));
        assert_eq!(moved.as_deref(), Some("found again at 192.0.2.5:8000 by its serial number 7"));
        let other = news(Some(known("192.0.2.1", "7")), known("192.0.2.1", "8")).unwrap();
        assert!(other.ends_with("its serial number is 8, not 7"), "{other}");
    }
}
