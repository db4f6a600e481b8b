//! `reelfs`: words in, one command carried out, an exit status.
//!
//! 0: done. 1: failed. 2: wrong usage or configuration.

use std::process::ExitCode;

use reelfs::cli::{Command, RunArguments, pages, parse};
use reelfs::config::Config;
use reelfs::daemon::{self, DaemonError};

/// The command could not be carried out.
const FAILED: u8 = 1;
/// The words or the configuration are wrong.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let log = env_logger::Env::default().default_filter_or("info");
    env_logger::Builder::from_env(log).init();
    match cli.command {
        Command::Run(arguments) => run(&arguments),
        Command::Completions(arguments) => {
            pages::write_completions(arguments.shell, &mut std::io::stdout().lock());
            ExitCode::SUCCESS
        }
        Command::Man { directory } => match pages::write_manuals(&directory) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(FAILED, &format!("{}: {error}", directory.display())),
        },
        _ => ExitCode::SUCCESS,
    }
}

fn run(arguments: &RunArguments) -> ExitCode {
    let config = match Config::load(&arguments.config.path()) {
        Ok(config) => config,
        Err(error) => return fail(WRONG_USAGE, &error),
    };
    match daemon::run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(status_of(&error), &error),
    }
}

fn status_of(error: &DaemonError) -> u8 {
    if error.is_configuration() { WRONG_USAGE } else { FAILED }
}

fn fail(status: u8, error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("reelfs: {error}");
    ExitCode::from(status)
}
