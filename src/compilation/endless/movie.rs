//! Fragmented mp4, a fragment for each sample (ISO/IEC 14496-12, 8.8).

use super::{Arriving, Endless, EndlessTracks, Put};
use crate::compilation::fragments::{NO_SAMPLES, fragment, usual_flags};
use crate::compilation::{SOUND, TRACKS, VIDEO};
use crate::mp4::boxes::BoxWriter;
use crate::mp4::moov::MovieClock;
use crate::mp4::mvex;
use crate::mp4::trak::{Media, Trak};
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
        let trak = |track: usize| {
            let set = self.tracks.set(track)?;
            Some(Trak {
                id: track as u32 + 1,
                media: Media::Recorded(set.codec.track_kind(), vec![set]),
                timescale: self.timescales[track],
                shown: None,
                media_length: 0,
                describes: None,
                first_duration: 0,
                counts: NO_SAMPLES,
                sample_bytes: None,
            })
        };
        let traks: Vec<Trak<'_>> = [VIDEO, SOUND].into_iter().filter_map(trak).collect();
        let clock = MovieClock::new(self.start, &traks, Some(1));
        let mut to = BoxWriter::default();
        mvex::write(&mut to, &clock, &traks, None, usual_flags);
        to.finish()
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
