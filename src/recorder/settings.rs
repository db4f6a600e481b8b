//! What a recorder is told.

use std::sync::Arc;
use std::time::Duration;

use super::cutter::Boundary;
use crate::camera::{Camera, Hosts};
use crate::clock::Clock;
use crate::live::Live;
use crate::units::StreamNumber;

/// What to record, and how.
#[derive(Clone)]
pub struct RecorderSettings {
    /// Where the frames come from.
    pub camera: Camera,
    /// Sessions by camera host, shared by all recorders.
    pub hosts: Arc<Hosts>,
    /// The stream that the clips belong to.
    pub stream: StreamNumber,
    /// How often the ring is flushed.
    pub flush_interval: Duration,
    /// The most bytes that a chunk's samples may have: a block of the ring less its headers.
    pub chunk_bytes_max: usize,
    /// Where a clip that began at the given time should end.
    pub boundary: Boundary,
    /// Whether frames are kept, and marked, that follow a lost one, up to the next key frame.
    pub keeps_damaged: bool,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where those are who watch.
    pub live: Live,
}
