//! Words of `reelfs keep`, `unkeep`, `rm` and `restore`.

use std::path::PathBuf;

use clap::Args;

use super::command::ConfigArgument;
use super::moment::Moment;

/// Which clips are meant.
#[derive(Args, Clone, Debug)]
pub struct ClipsArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// All that this camera recorded from --from on, or up to --to: every clip that has some of it
    #[arg(long, value_name = "NAME", conflicts_with = "paths")]
    pub camera: Option<String>,
    /// From this time on; by default from the camera's oldest footage on
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "camera")]
    pub from: Option<Moment>,
    /// Up to this time; by default up to now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "camera")]
    pub to: Option<Moment>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Clips, ranges, or directories of clips, in the mount of any view
    #[arg(value_name = "PATH", required_unless_present = "camera")]
    pub paths: Vec<PathBuf>,
}

/// `reelfs keep`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
As setfattr -n user.reelfs.keep does it. Kept clips refuse to be removed, do not grow old, and are \
never overwritten; .kept of the mount has them all. No more is kept than ring.keep_max allows: \
then none of these is. A clip that is being recorded is ended with its next key frame, which takes \
some seconds.

Example: reelfs keep --camera yard --from -10m
Example: reelfs keep --until 2027-01-31 2026-11-21/yard/13-10-00.mp4
Example: reelfs keep --camera yard --from 13:05 --to 13:20 --until 90d")]
pub struct KeepArguments {
    /// Until when: forever, a day (up to its end), a time, or a length from now on such as 90d
    #[arg(long, value_name = "TIME", default_value = "forever")]
    pub until: String,
    /// Which.
    #[command(flatten)]
    pub clips: ClipsArguments,
}
