//! What comes over the channels of a session, and the frames that become of it. Pure, but for what
//! it logs.

use std::collections::VecDeque;
use std::time::Duration;

use super::odd::Oddities;
use super::order::Arrived;
use super::rtp::{is_report, is_surely_report, says_goodbye, sender_reports};
use super::track::{Frame, Track};
use super::voice::Voice;
use crate::units::BootTime;

/// A record whose end was not marked is complete when nothing more has come for so long.
const STALE: Duration = Duration::from_secs(1);

/// The tracks of a session, and their frames that nobody has taken yet.
pub(super) struct Inflow {
    pub(super) tracks: Vec<Track>,
    pub(super) frames: VecDeque<Frame>,
    odd: Oddities,
    voice: Voice,
}

impl Inflow {
    pub(super) fn new(tracks: Vec<Track>, voice: &Voice) -> Inflow {
        Inflow { tracks, frames: VecDeque::new(), odd: Oddities::new(), voice: voice.clone() }
    }

    /// Gives bytes of a channel to the track that they belong to. Answers whether the source of the
    /// pictures leaves.
    pub(super) fn take(&mut self, channel: u8, packet: Arrived<'_>) -> bool {
        let Arrived { bytes, at: received } = packet;
        let Some(at) = self.track_of(channel, bytes).or_else(|| self.adopt(channel, bytes)) else {
            self.note(&format!("data on channel {channel}, which nobody asked for"));
            return false;
        };
        let track = &mut self.tracks[at];
        // Some cameras swap the two channels, some use one for both.
        let is_second = channel != track.channel;
        if is_second && is_report(bytes) || is_surely_report(bytes) {
            for report in sender_reports(bytes) {
                track.take_report(&report);
            }
            let is_leaving = says_goodbye(bytes);
            if is_leaving {
                track.source.left();
            }
            return is_leaving && at == 0;
        }
        if let Err(error) = track.take(bytes, received, &mut self.frames) {
            self.odd.note(&self.voice, &error.to_string());
        }
        false
    }

    /// The track of a channel; where cameras give one to several, the one of that type.
    fn track_of(&self, channel: u8, bytes: &[u8]) -> Option<usize> {
        let has = |track: &Track| channel.wrapping_sub(track.channel) < 2;
        let mut those = (0..self.tracks.len()).filter(|at| has(&self.tracks[*at]));
        let first = those.next()?;
        let is_meant = |at: &usize| self.tracks[*at].is_type(bytes);
        Some(std::iter::once(first).chain(those).find(is_meant).unwrap_or(first))
    }

    /// The track of a channel that was not agreed on: that of this type, while nothing else came of
    /// it.
    fn adopt(&mut self, channel: u8, bytes: &[u8]) -> Option<usize> {
        let mut tracks = self.tracks.iter();
        let at = tracks.position(|track| track.packets == 0 && track.is_type(bytes))?;
        self.tracks[at].channel = channel;
        Some(at)
    }

    /// Takes note of something odd.
    pub(super) fn note(&mut self, what: &str) {
        self.odd.note(&self.voice, what);
    }

    /// Packets of the pictures so far.
    pub(super) fn packets(&self) -> u64 {
        self.tracks.first().map_or(0, |track| track.packets)
    }

    /// Whether a picture waits that may be complete.
    pub(super) fn waits(&self) -> bool {
        self.tracks.first().is_some_and(Track::waits)
    }

    /// No packet of pictures follows soon: the one that waits is complete.
    pub(super) fn flush_waiting(&mut self) {
        if let Some(track) = self.tracks.first_mut() {
            track.flush(&mut self.frames);
        }
    }

    /// The same of records, and of sound, of which nothing has come for a while.
    pub(super) fn flush_stale(&mut self, now: BootTime) {
        for track in self.tracks.iter_mut().filter(|track| track.is_stale(now, STALE)) {
            track.flush(&mut self.frames);
        }
    }

    /// Nothing more comes.
    pub(super) fn flush(&mut self) {
        for track in &mut self.tracks {
            track.flush(&mut self.frames);
        }
    }
}
