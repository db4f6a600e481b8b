//! Matroska without lengths (RFC 9559, "Matroska Streaming"): a cluster for each key frame.

use super::{Arriving, Endless, EndlessTracks, Put};
use crate::compilation::ebml::EbmlWriter;
use crate::compilation::matroska::{
    CLUSTER_NANOS, block_head, file_type, info, milliseconds, track_entry,
};
use crate::matroska::id;
use crate::units::WallTime;

/// The least that a `Void` of the writer takes, in bytes.
const VOID_BYTES: u64 = 9;

/// See the [module](self).
pub(super) struct Clusters {
    tracks: EndlessTracks,
    start: WallTime,
    /// When the cluster begins that the next block may be in, in milliseconds.
    cluster: Option<i64>,
}

impl Clusters {
    pub(super) fn new(tracks: EndlessTracks, start: WallTime) -> Clusters {
        Clusters { tracks, start, cluster: None }
    }
}

impl Endless for Clusters {
    fn header(&self) -> Vec<u8> {
        let mut to = EbmlWriter::default();
        file_type(&mut to);
        to.begin_endless(id::SEGMENT);
        info(&mut to, self.start, None);
        to.master(id::TRACKS, |to| {
            self.tracks.each().for_each(|(track, set)| track_entry(to, track, set));
        });
        to.finish()
    }

    fn put(&mut self, sample: &Arriving<'_>) -> Put {
        let shown = milliseconds(sample.shown_nanos);
        let is_far = |begin: i64| (shown - begin).abs() >= milliseconds(CLUSTER_NANOS);
        let begins_group = sample.is_sync && !sample.is_sound;
        let mut to = EbmlWriter::default();
        let begin = match self.cluster.filter(|begin| !begins_group && !is_far(*begin)) {
            Some(begin) => begin,
            None => {
                let begin = shown.max(0);
                to.begin_endless(id::CLUSTER);
                to.integer(id::TIMESTAMP, begin.unsigned_abs());
                self.cluster = Some(begin);
                begin
            }
        };
        let size = sample.data.len() as u32;
        to.raw(&block_head(sample.track(), size, shown - begin, sample.is_sync));
        Put::InFront(to.finish())
    }

    fn nothing(&self) -> Vec<u8> {
        let mut to = EbmlWriter::default();
        to.void(VOID_BYTES);
        to.finish()
    }
}
