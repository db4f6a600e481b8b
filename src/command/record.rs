//! `reelfs record`: cameras switched on and off by hand.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{CommandError, unless_closed};
use crate::control::{Answer, Ask, RecordAsk, ask};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct RecordRequest {
    /// Where the daemon listens.
    pub socket: PathBuf,
    /// What it is told.
    pub ask: RecordAsk,
}

/// Has the daemon switch cameras, and prints what it has done.
///
/// # Errors
/// Nobody listens, there is no such camera, or it is not on the disk yet.
pub fn record(request: &RecordRequest, out: &mut dyn Write) -> Result<(), CommandError> {
    request.ask.length().map_err(CommandError::Usage)?;
    let answer = asked(&request.socket, &Ask::Record(request.ask.clone()))?;
    if let Some(why) = answer.error {
        return Err(CommandError::Failed(why));
    }
    unless_closed(answer.done.iter().try_for_each(|line| Ok(writeln!(out, "{line}")?)))
}

/// What the daemon answers.
///
/// # Errors
/// Nobody listens, or answers.
pub(super) fn asked(socket: &Path, what: &Ask) -> Result<Answer, CommandError> {
    ask(socket, what).map_err(|error| {
        let socket = socket.display();
        CommandError::Failed(match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                format!("{socket}: no daemon listens there")
            }
            _ => format!("{socket}: {error}"),
        })
    })
}
