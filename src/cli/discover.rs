//! Words of `reelfs discover`.

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Args;

use super::login::LoginArguments;
use crate::config::duration;

/// `reelfs discover`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Cameras answer that speak ONVIF, and in which it is not switched off. Most of them say their \
serial number and their streams only to who logs in; the login is tried at every camera that \
answers, once.

An object of --json has url, service, endpoint, name, hardware, manufacturer, model, serial, \
profiles (token, name, encoding, width, height), and error, why it did not say so much; what is \
not known is null.

Exit status: 0 some were found, 1 none was, 2 wrong usage.

Example: reelfs discover --username viewer --password-file viewer.password")]
pub struct DiscoverArguments {
    /// How long to wait for answers: 1s to 1m
    #[arg(long = "for", value_name = "TIME", default_value = "4s", value_parser = waiting)]
    pub length: Duration,
    /// An IPv4 address of this machine whose network is searched; by default all are
    #[arg(long = "interface", value_name = "ADDRESS")]
    pub interfaces: Vec<Ipv4Addr>,
    /// How to log in.
    #[command(flatten)]
    pub login: LoginArguments,
    /// Print JSON: a list with an object for each camera
    #[arg(long)]
    pub json: bool,
}

fn waiting(text: &str) -> Result<Duration, String> {
    duration::parse_within(text, &(Duration::from_secs(1)..=Duration::from_secs(60)))
}
