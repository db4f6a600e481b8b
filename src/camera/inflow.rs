//! What comes over the channels of a session, and the frames that become of it. Pure, but for what
//! it logs.

use std::collections::VecDeque;

use super::odd::Oddities;
use super::rtp::{is_report, says_goodbye};
use super::track::{Frame, Track};
use super::voice::Voice;
use crate::clock::Reading;

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

    /// Gives bytes of a channel to the track that they belong to. Answers whether its source
    /// leaves.
    pub(super) fn take(&mut self, channel: u8, bytes: &[u8], received: &Reading) -> bool {
        for track in &mut self.tracks {
            let is_second = channel == track.channel.wrapping_add(1);
            if channel != track.channel && !is_second {
                continue;
            }
            // Some cameras swap the two.
            if is_second && is_report(bytes) {
                let is_leaving = says_goodbye(bytes);
                if is_leaving {
                    track.source.left();
                }
                return is_leaving;
            }
            if let Err(error) = track.take(bytes, received, &mut self.frames) {
                self.odd.note(&self.voice, &error.to_string());
            }
            return false;
        }
        self.note(&format!("data on channel {channel}, which nobody asked for"));
        false
    }

    /// Takes note of something odd.
    pub(super) fn note(&mut self, what: &str) {
        self.odd.note(&self.voice, what);
    }

    /// Packets of the tracks so far.
    pub(super) fn packets(&self) -> u64 {
        self.tracks.iter().map(|track| track.packets).sum()
    }

    /// Whether a picture waits that may be complete.
    pub(super) fn waits(&self) -> bool {
        self.tracks.iter().any(Track::waits)
    }

    /// Nothing follows soon: what waits is complete.
    pub(super) fn flush_waiting(&mut self) {
        for track in self.tracks.iter_mut().filter(|track| track.waits()) {
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
