//! Words of `reelfs probe`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::command::ConfigArgument;
use super::login::LoginArguments;
use crate::camera::Transport;
use crate::config::duration;

/// `reelfs probe`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Nothing is recorded, and a daemon may run: the camera has one guest more for so long.

The object of --json has camera (its address), server, login, transport, codec, width, height, \
stated_rate and rate (pictures a second, as it says and as they came), frames, group_seconds, \
bits_per_second, sound, sound_packets, sound_bits_per_second, records, sender_reports, \
jitter_seconds, lost_packets, began_seconds (from the first request to the first frame), and \
notes; what is not known is null.

Exit status: \
0 it can be recorded, 1 it can not, and why, 2 wrong usage or configuration.

Example: reelfs probe rtsp://192.0.2.10/stream1 --username viewer --password-file viewer.password")]
pub struct ProbeArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// The address of a camera, or the name of one of the configuration
    #[arg(value_name = "URL|CAMERA")]
    pub camera: String,
    /// How long to listen, from the first frame on: 1s to 10m
    #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = listening)]
    pub length: Duration,
    /// How to log in to an address.
    #[command(flatten)]
    pub login: LoginArguments,
    /// How packets of an address come: auto, tcp or udp
    #[arg(long, value_name = "WAY", value_parser = transport)]
    pub transport: Option<Transport>,
    /// Write what was heard to a new mp4 file
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Print JSON: one object
    #[arg(long)]
    pub json: bool,
}

fn listening(text: &str) -> Result<Duration, String> {
    duration::parse_within(text, &(Duration::from_secs(1)..=Duration::from_secs(600)))
}

fn transport(name: &str) -> Result<Transport, String> {
    Transport::named(name).ok_or_else(|| "there are auto, tcp and udp".to_owned())
}
