//! Words of `reelfs import`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::command::ConfigArgument;
use super::moment::{Moment, MomentError};
use crate::config::{CameraName, duration};

/// `reelfs import`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
All files are looked at before anything is written. What is in the ring already is known by its \
pictures, and passed: where an import ended half way, the same words go on. No daemon may run on \
the ring. Ends with 1 where something was left out, which is said.

Examples: reelfs import --camera yard --start \"2026-11-21 13:05\" yard.mp4
          reelfs import --name-pattern \"%Y-%m-%d/%H/{camera}/%M.%S.mp4\" --name-zone UTC \
                 /media/frigate/recordings")]
pub struct ImportArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// The camera that it is the footage of; with {camera} in the pattern of names, only its files
    /// are taken
    #[arg(long, value_name = "NAME", required_unless_present = "name_pattern")]
    pub camera: Option<CameraName>,
    /// How files are named, from some folder on: {camera}, %Y (or %y), %m, %d, %H, %M, %S, %f (a
    /// fraction of a second), %s (since 1970), and * for anything within a name. Their names say
    /// when they begin then, and folders are looked through
    #[arg(long, value_name = "PATTERN", conflicts_with = "start")]
    pub name_pattern: Option<String>,
    /// Time zone of the names, as Europe/Berlin or UTC [default: that of the configuration]
    #[arg(long, value_name = "ZONE", requires = "name_pattern")]
    pub name_zone: Option<String>,
    /// When the first picture of the first file was taken; each other file begins where the one
    /// before it ends. With "file", the files' own times say it, which have to be seconds since
    /// 1970. By default those do where they are, else the creation time of each
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub start: Option<StartArgument>,
    /// Keep what is taken for so long, whatever the camera's retain is
    #[arg(long, value_name = "LENGTH", value_parser = duration::parse)]
    pub keep: Option<Duration>,
    /// Say what would be done and how much it takes, and change nothing
    #[arg(long)]
    pub plan: bool,
    /// Take footage, too, that overlaps other footage, pushes newer footage out of the ring, or
    /// would end in the future
    #[arg(long)]
    pub force: bool,
    /// mp4, mov, Matroska or MPEG-TS files with H.264, H.265 or JPEG video, or folders of such
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// What says when imported files begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartArgument {
    /// Somebody does.
    At(Moment),
    /// Their own times.
    File,
}

impl FromStr for StartArgument {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<StartArgument, MomentError> {
        match text {
            "file" => Ok(StartArgument::File),
            _ => text.parse().map(StartArgument::At),
        }
    }
}
