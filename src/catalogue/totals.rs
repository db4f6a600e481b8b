//! Sums over the clips of a stream, for `status`.

use super::Clip;
use crate::units::{ByteCount, WallTime};

/// Sums over the clips of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamTotals {
    /// Listed clips: closed or kept.
    pub clips: u64,
    /// Space that they take on the device.
    pub used: ByteCount,
    /// Clips that expire or are being purged.
    pub hidden_clips: u64,
    /// Space that those take on the device.
    pub hidden_used: ByteCount,
    /// Start of the oldest listed clip.
    pub oldest: Option<WallTime>,
    /// End of the newest listed clip.
    pub newest: Option<WallTime>,
    /// Length of the longest clip that the stream ever had in this process, in nanoseconds: how
    /// far before a time a clip may begin that reaches into it.
    pub(super) clip_length_max: i64,
}

impl StreamTotals {
    pub(super) fn add(&mut self, clip: &Clip) {
        let length = clip.fact.end.nanos_since(clip.fact.start);
        self.clip_length_max = self.clip_length_max.max(length);
        let (clips, used) = self.of(clip);
        *clips += 1;
        used.0 = used.0.saturating_add(clip.used.bytes.0);
    }

    pub(super) fn take(&mut self, clip: &Clip) {
        let (clips, used) = self.of(clip);
        *clips = clips.saturating_sub(1);
        used.0 = used.0.saturating_sub(clip.used.bytes.0);
    }

    fn of(&mut self, clip: &Clip) -> (&mut u64, &mut ByteCount) {
        if clip.listed() {
            (&mut self.clips, &mut self.used)
        } else {
            (&mut self.hidden_clips, &mut self.hidden_used)
        }
    }
}
