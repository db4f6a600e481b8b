//! `reelfs expire`: what is due to go, and that it goes.

use std::io::Write;

use super::record::asked;
use super::{CommandError, unless_closed};
use crate::config::Config;
use crate::control::{Ask, ExpireAsk};

/// Has the daemon do it, and prints what it says.
///
/// # Errors
/// Nobody listens; there is no such camera, or nothing of it is held.
pub fn expire(config: &Config, ask: ExpireAsk, out: &mut dyn Write) -> Result<(), CommandError> {
    let ask = ExpireAsk { config: Some(config.absolute_file()), ..ask };
    let answer = asked(&config.control.socket, &Ask::Expire(ask))?;
    if let Some(why) = answer.error {
        return Err(CommandError::Failed(why));
    }
    unless_closed(answer.done.iter().try_for_each(|line| Ok(writeln!(out, "{line}")?)))
}
