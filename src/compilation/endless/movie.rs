//! Fragmented mp4, a fragment for each sample (ISO/IEC 14496-12, 8.8).

use super::{Arriving, Endless, EndlessTracks, Put};
use crate::compilation::TRACKS;
use crate::compilation::fragments::{fragment, header};
use crate::units::WallTime;

/// Ticks a second of the pictures.
const TIMESCALE: u32 = 90_000;

/// See the [module](self).
pub(super) struct Movie {
    tracks: EndlessTracks,
    timescales: [u32; TRACKS],
    start: WallTime,
    fragments: usize,
}

impl Movie {
    pub(super) fn new(tracks: EndlessTracks, start: WallTime) -> Movie {
        let audio = tracks.sound.as_ref().and_then(|sound| sound.audio);
        let rate = audio.map_or(TIMESCALE, |audio| audio.sample_rate.max(1));
        Movie { tracks, timescales: [TIMESCALE, rate], start, fragments: 0 }
    }
}

impl Endless for Movie {
    fn header(&self) -> Vec<u8> {
        let tracks = self.tracks.each();
        let tracks = tracks.map(|(track, set)| (track, self.timescales[track], set));
        header(self.start, tracks, None)
    }

    fn put(&mut self, sample: &Arriving<'_>) -> Put {
        let track = sample.track();
        let placed = [sample.placed(self.timescales[track])];
        let mut samples: [&[_]; TRACKS] = [&[]; TRACKS];
        samples[track] = &placed;
        let made = fragment(self.fragments, samples, |_| 0, |_| 0);
        self.fragments += 1;
        Put::InFront(made)
    }

    /// An empty box (8.1.2).
    fn nothing(&self) -> Vec<u8> {
        [&8_u32.to_be_bytes()[..], b"free"].concat()
    }
}
