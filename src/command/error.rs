//! Why a command did not do what it was asked to.

use std::io;
use std::path::PathBuf;

use crate::cli::plan::PlanError;
use crate::config::ConfigError;
use crate::device::OpenError;
use crate::import::ImportError;
use crate::ring::{RingError, Unsuitable};

/// Why a command did not do what it was asked to, in one line for people.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The words contradict one another or what they speak of.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The sizes that were asked for make no ring.
    #[error("{path}: {reason}")]
    Unsuitable {
        /// Of what.
        path: PathBuf,
        /// Why.
        reason: Unsuitable,
    },
    /// The cameras that were asked for make no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device is not this command's to have.
    #[error(transparent)]
    Device(#[from] OpenError),
    /// There is no ring, or it failed.
    #[error("{path}: {reason}")]
    Ring {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: RingError,
    },
    /// Something is on the device that `format` does not overwrite.
    #[error("{path}: {found}; --force overwrites it")]
    Occupied {
        /// Which device.
        path: PathBuf,
        /// What is on it.
        found: String,
    },
    /// It can't be told whether something is on the device.
    #[error(
        "{path}: can't tell whether something is on it: {reason}; --force formats it regardless"
    )]
    NotProbed {
        /// Which device.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file that can't be imported.
    #[error(transparent)]
    Footage(#[from] ImportError),
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was done, with the path.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// It can't be done, for a reason of the command's own.
    #[error("{0}")]
    Failed(String),
    /// What was to be printed can't be.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// Whether the words or the configuration are wrong, rather than the world.
    #[must_use]
    pub fn is_wrong_usage(&self) -> bool {
        matches!(
            self,
            CommandError::Usage(_)
                | CommandError::Configuration(_)
                | CommandError::Unsuitable { .. }
                | CommandError::Plan(_)
        )
    }
}
