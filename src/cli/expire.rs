//! Words of `reelfs expire`.

use clap::{ArgGroup, Args};

use super::command::ConfigArgument;

/// `reelfs expire`.
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("what").required(true).args(["dry_run", "now", "confirm"])))]
#[command(after_help = "\
A pass comes by itself every purge.every. Without a camera it is of all of them. Where more than \
purge.brake of a camera would go at once, nothing of it does until it is confirmed: look with \
--dry-run what that would be.

Example: reelfs expire --dry-run
Example: reelfs expire --confirm front-door")]
pub struct ExpireArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Say what would go, why, and how much, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Have what is due go now
    #[arg(long)]
    pub now: bool,
    /// Have go what is held of this camera
    #[arg(long, value_name = "CAMERA")]
    pub confirm: Option<String>,
}
