//! What is made durable at once: the samples that wait of each track, side by side. Pure.

use std::sync::Arc;

use super::pending::Taken;
use crate::clock::Reading;
use crate::ring::{ClockFact, Timing};
use crate::segment::{Anchor, ChunkTable, ClockQuality, TrackKind, TrackTable};
use crate::units::Ticks;

/// Samples to be made durable at once.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Whether its clip begins with it.
    pub begins_clip: bool,
    /// The reading of the clocks that the times of its clip come from.
    pub timed_by: Reading,
    /// The encoded parameter sets of its tracks, in the order in which its table counts them.
    pub parameters: Vec<Arc<[u8]>>,
    /// Its sample table.
    pub table: ChunkTable,
    /// The samples, those of one track together, in the order of its table.
    pub data: Vec<u8>,
}

impl Chunk {
    /// A chunk of the clip whose tick 0 is at `anchor`, without any track.
    pub(super) fn new(anchor: Anchor, begins_clip: bool, timed_by: Reading) -> Chunk {
        let table = ChunkTable { anchor, tracks: Vec::new() };
        Chunk { begins_clip, timed_by, parameters: Vec::new(), table, data: Vec::new() }
    }

    /// Which clocks the clip that begins with it takes its times from.
    #[must_use]
    pub fn timing(&self) -> Timing {
        let synchronised = self.table.anchor.quality == ClockQuality::Synchronised;
        Timing { clock: ClockFact::from(&self.timed_by), synchronised }
    }

    /// Number of its pictures.
    #[must_use]
    pub fn frames(&self) -> u64 {
        let pictures = self.table.tracks.iter().filter(|track| track.kind == TrackKind::Video);
        pictures.map(|track| track.samples.len() as u64).sum()
    }

    /// Adds the samples of one more track. Whatever its clock rate, a track is tied to the others
    /// by the wall: it begins as many of its ticks behind tick 0 as it begins later.
    pub(super) fn add(&mut self, taken: Taken) {
        let Taken { track, timescale, start, parameters, samples, data } = taken;
        let behind_nanos = start.nanos_since(self.table.anchor.wall);
        self.table.tracks.push(TrackTable {
            track,
            kind: parameters.format.codec.track_kind(),
            timescale,
            // Each track adds one, and tracks are numbered with a byte.
            parameters: self.parameters.len() as u8,
            codec_delay: 0,
            start: Ticks::from_nanos(behind_nanos, timescale),
            samples,
        });
        self.parameters.push(Arc::clone(&parameters.encoded));
        if self.data.is_empty() {
            self.data = data;
        } else {
            self.data.extend_from_slice(&data);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::camera::{Parameters, ReorderDepth};
    use crate::segment::{
        AudioParameters, Codec, Look, ParameterSet, Sample, SampleFlags, TrackKind, TrackNumber,
        VideoParameters,
    };
    use crate::units::{BootTime, NANOS_PER_SECOND, WallTime};

    const START: WallTime = WallTime(1_790_000_003 * NANOS_PER_SECOND);

    const READING: Reading =
        Reading { wall: WallTime(5), boot: BootTime(1), boot_id: [3; 16], synchronised: true };

    fn anchor() -> Anchor {
        let quality = ClockQuality::Synchronised;
        Anchor { wall: START, boot: BootTime(1), boot_id: [3; 16], camera: None, quality }
    }

    /// Samples of one byte each, all of them with the track's number in it.
    fn taken(track: u8, codec: Codec, clock: (u32, WallTime), durations: &[u32]) -> Taken {
        let (timescale, start) = clock;
        let is_video = codec.track_kind() == TrackKind::Video;
        let video =
            VideoParameters { width: 640, height: 360, pixel_aspect: (1, 1), look: Look::PLAIN };
        let audio = AudioParameters { sample_rate: timescale, channels: 1 };
        let set = ParameterSet {
            codec,
            configuration: vec![track; 9],
            video: is_video.then_some(video),
            audio: (!is_video).then_some(audio),
        };
        let sample = |&duration: &u32| Sample {
            duration,
            size: 1,
            composition_offset: 0,
            flags: SampleFlags { sync: true, ..SampleFlags::default() },
        };
        Taken {
            track: TrackNumber(track),
            timescale,
            start,
            parameters: Arc::new(Parameters::new(&set, set.encode().into(), ReorderDepth::Unknown)),
            samples: durations.iter().map(sample).collect(),
            data: vec![track; durations.len()],
        }
    }

    #[test]
    fn tracks_of_different_clock_rates_lie_side_by_side_and_keep_their_own_parameters() {
        let mut chunk = Chunk::new(anchor(), true, READING);
        chunk.add(taken(0, Codec::H264, (90_000, START), &[3600; 3]));
        let later = START.plus_nanos(20_000_000);
        chunk.add(taken(1, Codec::Aac, (16_000, later), &[1024; 2]));
        assert_eq!(chunk.data, [0, 0, 0, 1, 1]);
        let table = ChunkTable::decode(&chunk.table.encode()).expect("a table");
        assert_eq!(table, chunk.table);
        let told = |track: &TrackTable| (track.track.0, track.kind, track.timescale, track.start.0);
        let tracks: Vec<_> = table.tracks.iter().map(told).collect();
        assert_eq!(tracks, [(0, TrackKind::Video, 90_000, 0), (1, TrackKind::Audio, 16_000, 320)]);
        for track in &table.tracks {
            let set = &chunk.parameters[usize::from(track.parameters)];
            let set = ParameterSet::decode(set).expect("a set");
            assert_eq!(set.configuration, [track.track.0; 9]);
        }
    }

    proptest! {
        /// Chunks of a clip follow one another without a tick lost, though the wall is between
        /// the ticks of a run and those of a clip.
        #[test]
        fn a_point_of_a_track_is_the_same_to_the_tick_by_way_of_the_wall(
            timescale in 1_000_u32..=192_000,
            zero in 0_i64..1 << 40,
            ticks in 0_i64..1 << 40,
        ) {
            let wall_at = |point: i64| START.plus_nanos(Ticks(point).to_nanos(timescale));
            let mut chunk = Chunk::new(Anchor { wall: wall_at(zero), ..anchor() }, false, READING);
            chunk.add(taken(0, Codec::Aac, (timescale, wall_at(zero + ticks)), &[1]));
            prop_assert_eq!(chunk.table.tracks[0].start, Ticks(ticks));
        }
    }
}
