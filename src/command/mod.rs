//! One command each: from plain values to printed lines and an error.
//!
//! What a command prints goes to the writer that it is given; progress bars and the log go to
//! standard error. A reader that has seen enough (`| head`) is no error.

mod check;
mod clips;
mod contents;
mod discover;
mod error;
mod event;
mod expire;
mod format;
mod import;
mod inspect;
mod login;
mod mount;
mod probe;
mod progress;
mod ready;
mod record;
mod status;

pub use check::{CHECK_FAILED, CheckRequest, check};
pub use clips::{ClipsRequest, clips};
pub use discover::{DiscoverRequest, discover};
pub use error::CommandError;
pub use event::event;
pub use expire::expire;
pub use format::{FormatRequest, PlanRequest, format, plan};
pub use import::{ImportRequest, Naming, import};
pub use inspect::{InspectRequest, Selection, Subject, inspect};
pub use login::LoginRequest;
pub use mount::{READY, in_background};
pub use probe::{ProbeRequest, probe};
pub use ready::ready;
pub use record::{RecordRequest, record};
pub use status::{NO_ANSWER, StatusRequest, status};

use std::io::{self, ErrorKind, Write};

use crate::config::{CameraConfig, Config};

/// The camera of that name; where there is none, what the configuration has.
fn camera_named<'a>(config: &'a Config, name: &str) -> Result<&'a CameraConfig, String> {
    let known = config.cameras.iter().find(|known| known.name.as_str() == name);
    known.ok_or_else(|| {
        let names: Vec<&str> = config.cameras.iter().map(|known| known.name.as_str()).collect();
        match names.is_empty() {
            true => "it has none".to_owned(),
            false => format!("it has {}", names.join(", ")),
        }
    })
}

/// Writes until nobody reads any more: what a command does besides is done to its end, and its exit
/// status is what it found.
struct WhileRead<'a> {
    out: &'a mut dyn Write,
    is_closed: bool,
}

impl<'a> WhileRead<'a> {
    fn new(out: &'a mut dyn Write) -> WhileRead<'a> {
        WhileRead { out, is_closed: false }
    }

    fn unless_closed<T>(
        &mut self,
        otherwise: T,
        write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.is_closed {
            return Ok(otherwise);
        }
        match write(self.out) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(otherwise)
            }
            outcome => outcome,
        }
    }
}

impl Write for WhileRead<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_closed(bytes.len(), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_closed((), |out| out.flush())
    }
}

/// A pipe that nobody reads any more ends a command quietly.
fn unless_closed(outcome: Result<(), CommandError>) -> Result<(), CommandError> {
    match outcome {
        Err(CommandError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}
