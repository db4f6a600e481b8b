//! Words of `reelfs status`.

use clap::Args;

use super::command::ConfigArgument;

/// `reelfs status`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Exit status: 0 every camera is recorded and nothing else is wrong, 1 something is wrong now (the \
output says what, in JSON as wrong; errors that are over and damaged places do not count), 2 no \
daemon answers, whatever the reason. So it can serve as a health check: see reelfs(7).

Example: reelfs status --check || mail -s 'the recorder' root")]
pub struct StatusArguments {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Print what is wrong, a line for each, and nothing else
    #[arg(long, conflicts_with = "json")]
    pub check: bool,
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
}
