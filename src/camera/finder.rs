//! Where cameras are that speak ONVIF, as far as it is known, and who looks for one that is not
//! where it was.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use super::error::CameraError;
use crate::clock::Deadline;
use crate::onvif::{self, Address, Found, Login, OnvifError};

/// How long a search listens: cameras answer within a second, and wait for up to one.
const SEARCH_WAIT: Duration = Duration::from_secs(3);
/// What a search has found is used for so long: all cameras of a network may be away at once.
const SEARCH_VALID: Duration = Duration::from_secs(5);
/// A search with all its questions is over by then: others wait for it.
const ASKING_MAX: Duration = Duration::from_secs(20);

/// See the [module](self).
#[derive(Default)]
pub(super) struct Finder {
    /// By how the configuration names the camera: one entry for each.
    known: Mutex<HashMap<(String, u16, String), Known>>,
    /// Who needs a search waits for the one that is under way, and has what it finds.
    search: tokio::sync::Mutex<Search>,
}

/// Where a camera is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Its device service.
    pub(super) service: Url,
    /// Empty where it says none.
    pub(super) serial: String,
}

/// What is known of all devices of the network.
#[derive(Clone, Default)]
struct Search {
    valid: Option<Deadline>,
    found: Vec<Found>,
    /// Serial numbers, by what the network calls a device and where it is.
    serials: HashMap<(String, Url), String>,
    /// A login that a device has refused is not tried there again: it may be another camera's, and
    /// some lock their owner out after a few.
    refused: HashSet<(Url, Login)>,
    /// Who did not say it to whom since the last search.
    silent: HashSet<(Url, Option<Login>)>,
}

impl Finder {
    /// Where a camera was last.
    pub(super) fn known(&self, address: &Address) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&address.of_camera()).cloned()
    }

    /// It is there now; answers what was known of it before.
    pub(super) fn set(&self, address: &Address, now: Known) -> Option<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(address.of_camera(), now)
    }

    /// Looks in the network for the camera with this serial number, or that the network calls so.
    ///
    /// # Errors
    /// Several say that they are that one, or no search can be sent.
    pub(super) async fn find(
        &self,
        serial: &str,
        login: Option<&Login>,
    ) -> Result<Option<Url>, CameraError> {
        let failed = |why: String| CameraError::Refused { stage: "a search", why };
        let mut search = self.search.lock().await;
        let (mut next, login) = (search.clone(), login.cloned());
        let searched =
            tokio::task::spawn_blocking(move || next.renew(login.as_ref()).map(|()| next));
        let searched = searched.await.map_err(|why| failed(why.to_string()))?;
        *search = searched.map_err(|why| failed(format!("it can't be sent: {why}")))?;
        let places = search.places_of(serial);
        match places.as_slice() {
            [] => Ok(None),
            [place] => Ok(Some(place.clone())),
            [one, other, ..] => {
                let why = format!("two cameras say that they are {serial}: at {one} and {other}");
                Err(failed(why))
            }
        }
    }
}

impl Search {
    /// Searches, unless that was done a moment ago, and asks devices who they are that have not
    /// said so yet.
    fn renew(&mut self, login: Option<&Login>) -> std::io::Result<()> {
        if self.valid.is_none_or(Deadline::is_over) {
            let own: Vec<Ipv4Addr> = onvif::interfaces()?;
            self.found = onvif::search(&own, SEARCH_WAIT)?;
            let found = &self.found;
            let is_there = |key: &(String, Url)| found.iter().any(|it| named(it) == *key);
            self.serials.retain(|key, _| is_there(key));
            self.refused.retain(|(service, _)| found.iter().any(|it| it.service == *service));
            self.silent.clear();
        }
        let until = Deadline::after(ASKING_MAX);
        let is_silent = |it: &Found| self.silent.contains(&(it.service.clone(), login.cloned()));
        let mut unknown: Vec<Found> = self
            .found
            .iter()
            .filter(|it| !self.serials.contains_key(&named(it)) && !is_silent(it))
            .cloned()
            .collect();
        unknown.dedup_by(|one, other| one.service == other.service);
        let asked = onvif::ask_each(&unknown, |found| {
            (!until.is_over()).then(|| serial_of(&found.service, login, &self.refused))
        });
        for (found, asked) in unknown.iter().zip(asked) {
            match asked.flatten() {
                Some(Asked::Said(serial)) => drop(self.serials.insert(named(found), serial)),
                Some(Asked::Refused(login)) => {
                    self.refused.insert((found.service.clone(), login));
                }
                Some(Asked::Silent) => {
                    self.silent.insert((found.service.clone(), login.cloned()));
                }
                None => {}
            }
        }
        // Counted from its end: who has waited for it is not to begin another one.
        if self.valid.is_none_or(Deadline::is_over) {
            self.valid = Some(Deadline::after(SEARCH_VALID));
        }
        Ok(())
    }

    /// Where devices are that are called so.
    fn places_of(&self, serial: &str) -> Vec<Url> {
        let is_it = |found: &&Found| {
            let said = self.serials.get(&named(found));
            found.endpoint.eq_ignore_ascii_case(serial)
                || said.is_some_and(|said| said.eq_ignore_ascii_case(serial))
        };
        let mut places: Vec<(&str, Url)> = Vec::new();
        for found in self.found.iter().filter(is_it) {
            // One device may be in two networks of this machine.
            let is_known =
                |(endpoint, _): &(&str, Url)| !endpoint.is_empty() && *endpoint == found.endpoint;
            if !places.iter().any(is_known) {
                places.push((&found.endpoint, found.service.clone()));
            }
        }
        places.into_iter().map(|(_, place)| place).collect()
    }
}

fn named(found: &Found) -> (String, Url) {
    (found.endpoint.clone(), found.service.clone())
}

/// What came of asking a device who it is.
enum Asked {
    Said(String),
    /// It refused this login.
    Refused(Login),
    Silent,
}

fn serial_of(service: &Url, login: Option<&Login>, refused: &HashSet<(Url, Login)>) -> Asked {
    match onvif::information(service, None) {
        Ok(said) => return Asked::Said(said.serial),
        Err(OnvifError::Denied { .. }) => {}
        Err(_) => return Asked::Silent,
    }
    let Some(login) = login else { return Asked::Silent };
    if refused.contains(&(service.clone(), login.clone())) {
        return Asked::Silent;
    }
    match onvif::information(service, Some(login)) {
        Ok(said) => Asked::Said(said.serial),
        Err(OnvifError::Denied { .. }) => Asked::Refused(login.clone()),
        Err(_) => Asked::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(endpoint: &str, place: &str) -> Found {
        Found {
            endpoint: endpoint.to_owned(),
            service: Url::parse(&format!("http://{place}/")).unwrap(),
            name: String::new(),
            hardware: String::new(),
        }
    }

    #[test]
    fn two_cameras_behind_one_address_are_two() {
        let address = |text: &str| Address::parse(&Url::parse(text).unwrap()).unwrap();
        let (one, two) = (address("onvif://192.0.2.1/ch1"), address("onvif://192.0.2.1/ch2"));
        let finder = Finder::default();
        let service = Url::parse("http://192.0.2.1/ch1").unwrap();
        assert_eq!(finder.set(&one, Known { service, serial: "1".to_owned() }), None);
        assert!(finder.known(&one).is_some() && finder.known(&two).is_none());
        let main_and_sub = address("onvif://192.0.2.1/ch1?profile=sub");
        assert!(finder.known(&main_and_sub).is_some());
    }

    #[test]
    fn a_device_is_found_by_its_serial_number_or_by_what_the_network_calls_it() {
        let all =
            [found("u-1", "192.0.2.1"), found("u-1", "198.51.100.1"), found("u-2", "192.0.2.2")];
        let serials = [(named(&all[0]), "A7".to_owned()), (named(&all[2]), "B7".to_owned())];
        let search =
            Search { found: all.to_vec(), serials: HashMap::from(serials), ..Search::default() };
        let places = |serial: &str| -> Vec<String> {
            search.places_of(serial).into_iter().map(String::from).collect()
        };
        assert_eq!(places("a7"), ["http://192.0.2.1/"]);
        assert_eq!(places("U-1"), ["http://192.0.2.1/"], "one device in two networks");
        assert_eq!(places("B7"), ["http://192.0.2.2/"]);
        assert_eq!(places("C7"), [""; 0]);
    }
}
