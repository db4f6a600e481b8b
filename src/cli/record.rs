//! Words of `reelfs record`.

use clap::{Args, ValueEnum};

use super::command::ConfigArgument;

/// `reelfs record`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The daemon does it at once, and keeps it over restarts. What was off is told as wanted, not as a \
fault. Exit status: 0 done, 1 there is no such camera or nobody who does it, 2 wrong usage or \
configuration.

Example: reelfs record off living-room --for 2h")]
pub struct RecordArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// To what
    pub to: Recording,
    /// Names of cameras, with all their streams, or of single streams such as yard.sub
    #[arg(value_name = "CAMERA", required = true)]
    pub cameras: Vec<String>,
    /// For how long, 1s to 366d; by default until somebody says so
    #[arg(long = "for", value_name = "TIME")]
    pub length: Option<String>,
}

/// What is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Recording {
    /// Record it, whatever its hours are
    On,
    /// Do not record it
    Off,
    /// As its settings say
    Auto,
}
