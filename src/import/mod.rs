//! Puts existing footage into a ring: reads mp4 files that other recorders wrote.

mod demux;
mod walk;

pub use demux::{DemuxError, Footage, MediaSample, Problem};
