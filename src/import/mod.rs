//! Puts existing footage into a ring: reads mp4 files that other recorders wrote.

mod demux;
mod files;
mod problem;

pub use demux::{Footage, MediaSample};
pub use problem::{DemuxError, Problem};
