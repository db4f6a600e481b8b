//! Cameras that say of themselves what they are and where their streams are: ONVIF.
//!
//! [`search`] finds them in the network (WS-Discovery), [`Address`] is how a configuration names
//! one, and [`ask`] learns its serial number and the address of one of its streams. The only room
//! that knows SOAP. All of it waits for the network, for a bounded time; a camera's words are
//! handed on as they are, cut to a bearable length, and are to be cleaned before they are shown.
//!
//! | part | knows |
//! |---|---|
//! | `address` | `onvif://HOST`, `onvif://SERIAL` |
//! | `device` | requests to a camera, and what it answers |
//! | `discovery` | who is there |
//! | `soap` | envelopes, faults, how one logs in |
//! | `xml` | a document as a tree, bounded |
//!
//! Sources: ONVIF Core Specification 22.06 (5.9 and 5.12 on faults and logins, 7 on discovery, 8.1
//! on the device), Media Service 21.06, Media2 Service 21.06, WS-Discovery (April 2005),
//! WS-Security UsernameToken Profile 1.0.

mod address;
mod device;
mod discovery;
mod soap;
mod xml;

pub use address::{Address, SERVICE_PATH, Wanted};
pub use device::{Answer, Information, Profile, ask, information, of_one_lens, profiles};
pub use discovery::{Found, ask_each, interfaces, search};
pub use soap::Login;

/// Parses what comes from the network, as [`ask`] and [`search`] do; for a fuzzer.
#[doc(hidden)]
pub fn parse_anything(bytes: &[u8]) {
    let _ = discovery::matches_in(bytes);
    device::parse_anything(bytes);
}

/// Why a camera did not say what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnvifError {
    /// Nobody answers there.
    #[error("can't connect to {host}:{port}: {why}")]
    Unreachable {
        /// Which host.
        host: String,
        /// Which port.
        port: u16,
        /// What the system said.
        why: String,
    },
    /// The login is wrong or missing.
    #[error("{why}")]
    Denied {
        /// What the camera said, or what is missing.
        why: String,
    },
    /// It answers something else.
    #[error("{request}: {why}")]
    Refused {
        /// What was asked for.
        request: &'static str,
        /// What came back.
        why: String,
    },
}
