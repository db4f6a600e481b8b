//! What may become of a file that is open: whoever writes to it goes on into nothing.

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::units::ByteCount;

/// What has become of a file that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misfortune {
    /// Somebody has cut it off.
    #[error("it was cut off to {length} of {before} bytes")]
    Shortened {
        /// How long it is.
        length: u64,
        /// How long it was.
        before: u64,
    },
    /// Somebody has moved or deleted it, or put another one in its place. It is there as long as it
    /// is open.
    #[error(
        "it was moved, replaced or deleted; what it holds is in /proc/{}/fd/{descriptor} until the \
         daemon ends",
        std::process::id()
    )]
    Elsewhere {
        /// Under which number it is open.
        descriptor: RawFd,
    },
}

impl Misfortune {
    /// What has become of a file that was opened at `path`, and was so long. Where the system does
    /// not tell, and of a block device, it is as it was.
    pub(super) fn of(file: &File, path: &Path, length: ByteCount) -> Option<Misfortune> {
        let own = file.metadata().ok().filter(Metadata::is_file)?;
        if own.len() < length.0 {
            return Some(Misfortune::Shortened { length: own.len(), before: length.0 });
        }
        let is_it = |found: Metadata| (found.dev(), found.ino()) == (own.dev(), own.ino());
        let is_elsewhere = match std::fs::metadata(path) {
            Ok(found) => !is_it(found),
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        is_elsewhere.then(|| Misfortune::Elsewhere { descriptor: file.as_raw_fd() })
    }
}
