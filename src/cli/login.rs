//! Words of a login that is not of the configuration.

use std::path::PathBuf;

use clap::Args;

/// `--username`, `--password-file`.
#[derive(Args, Clone, Debug, Default)]
pub struct LoginArguments {
    /// Name to log in with
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    /// File with the password, on one line
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
}
