//! Why a file can't be imported.

use std::io;
use std::path::PathBuf;

/// Why a file can't be imported.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct DemuxError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("not an mp4: it does not begin with an ftyp box")]
    NotMp4,
    /// It ends before what it announces.
    #[error("truncated: {what} ends at byte {end}, the file at byte {length}")]
    Truncated {
        /// What is cut off.
        what: String,
        /// Where it should end, in bytes from the beginning of the file.
        end: u64,
        /// Length of the file, in bytes.
        length: u64,
    },
    /// Its index was never written.
    #[error("no moov box: the recording was not finished")]
    NoIndex,
    /// It has no pictures.
    #[error("no video track")]
    NoVideo,
    /// Its video is coded in another way.
    #[error("the video is {0}, only H.264 (avc1) can be imported")]
    Codec(String),
    /// It is more than the reader handles.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// Its boxes contradict themselves or the standard.
    #[error("malformed: {0}")]
    Malformed(String),
}
