//! One command each: from plain values to printed lines and an error.
//!
//! What a command prints goes to the writer that it is given; progress bars and the log go to
//! standard error. A reader that has seen enough (`| head`) is no error.

mod check;
mod contents;
mod error;
mod format;
mod import;
mod inspect;
mod status;

pub use check::{CHECK_FAILED, CheckRequest, check};
pub use error::CommandError;
pub use format::{FormatRequest, PlanRequest, format, plan};
pub use import::{ImportRequest, import};
pub use inspect::{InspectRequest, Selection, Subject, inspect};
pub use status::{StatusRequest, status};

use std::io::ErrorKind;

/// A pipe that nobody reads any more ends a command quietly.
fn unless_closed(outcome: Result<(), CommandError>) -> Result<(), CommandError> {
    match outcome {
        Err(CommandError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}
