//! `reelfs record`: cameras switched on and off by hand.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use super::{CommandError, unless_closed};
use crate::control::{Ask, ask};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct RecordRequest {
    /// Where the daemon listens.
    pub socket: PathBuf,
    /// What it is told.
    pub ask: Ask,
}

/// Has the daemon switch cameras, and prints what it has done.
///
/// # Errors
/// Nobody listens, there is no such camera, or it is not on the disk yet.
pub fn record(request: &RecordRequest, out: &mut dyn Write) -> Result<(), CommandError> {
    request.ask.length().map_err(CommandError::Usage)?;
    let socket = request.socket.display();
    let answer = ask(&request.socket, &request.ask).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            CommandError::Failed(format!("{socket}: no daemon listens there"))
        }
        _ => CommandError::Failed(format!("{socket}: {error}")),
    })?;
    let done = answer.map_err(CommandError::Failed)?;
    unless_closed(done.iter().try_for_each(|line| Ok(writeln!(out, "{line}")?)))
}
