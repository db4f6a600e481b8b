//! What the ring's bytes mean to everybody else: the catalogue kept in step, clips closed, clips
//! opened as mp4 files.
//!
//! [`CatalogueUpdater`] sits on the ring's writer thread: it adds up what becomes durable, and says
//! what a clip came to when it ends. [`Archive`] is for readers: it lays a clip's chunks out as a
//! file, from the index where that has them, and reads it piece by piece, checked.

mod attributes;
mod fact;
mod file;
mod open;
mod range;
mod recent;
mod register;
mod updater;

pub use attributes::{Whose, attributes, range_attributes};
pub use fact::fact_in_force;
pub use file::{Bytes, ClipFile};
pub use open::{Archive, GrowingFile};
pub use range::{OpenedRange, RangeContent, RangeFile};
pub use register::{Registration, mixed_up_with, register, retire};
pub use updater::{CatalogueUpdater, Listener};

use crate::mp4::Mp4Error;
use crate::ring::ReadError;
use crate::segment::Malformed;
use crate::units::ClipId;

/// Why a clip can't be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// No such clip, or no longer.
    #[error("clip {0} is gone")]
    Gone(ClipId),
    /// Nothing that could be in a file; says why.
    #[error("{0}")]
    NoFootage(String),
    /// The ring can't give its bytes.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its tables make no file.
    #[error("clip {clip}: {reason}")]
    Movie {
        /// Which.
        clip: ClipId,
        /// Why.
        reason: Mp4Error,
    },
    /// Its tables can't be understood.
    #[error("clip {clip}: {reason}")]
    Malformed {
        /// Which.
        clip: ClipId,
        /// Why.
        reason: Malformed,
    },
}

impl ArchiveError {
    /// The clip that can't be had, where the error is of one.
    #[must_use]
    pub fn clip(&self) -> Option<ClipId> {
        match self {
            ArchiveError::Gone(clip)
            | ArchiveError::Movie { clip, .. }
            | ArchiveError::Malformed { clip, .. } => Some(*clip),
            ArchiveError::NoFootage(_) | ArchiveError::Read(_) => None,
        }
    }
}
