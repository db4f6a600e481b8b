//! `reelfs`: the thin binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let mut words = std::env::args_os().skip(1);
    let path = match (words.next(), words.next(), words.next()) {
        (Some(_), Some(_), Some(path)) => path.into(),
        _ => reelfs::config::Config::default_path(),
    };
    let config = match reelfs::config::Config::load(&path) {
        Ok(config) => config,
        Err(error) => {
            log::error!("{error}");
            return ExitCode::from(2);
        }
    };
    match reelfs::daemon::run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::from(if error.is_configuration() { 2 } else { 1 })
        }
    }
}
