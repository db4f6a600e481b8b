//! Footage by the rules: tables, parameter sets and facts that the targets start from.

use std::sync::Arc;

use reelfs::ring::{ClipContents, NewChunk};
use reelfs::segment::{
    Anchor, AudioParameters, ChunkTable, ClockQuality, Codec, Look, ParameterSet, Sample,
    SampleFlags, TrackKind, TrackNumber, TrackTable, VideoParameters,
};
use reelfs::units::{BlockNumber, BootTime, ClipId, Sequence, StreamNumber, Ticks, WallTime};

/// When everything here begins, in ns since 1970.
pub const START: i64 = 1_795_267_800_000_000_000;

/// One set for video and one for audio, encoded.
pub fn parameters() -> Vec<Arc<[u8]>> {
    let video = ParameterSet {
        codec: Codec::H264,
        configuration: vec![1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 2, 0x67, 0x64, 1, 0, 2, 0x68, 0xee],
        video: Some(VideoParameters {
            width: 320,
            height: 240,
            pixel_aspect: (1, 1),
            look: Look::PLAIN,
        }),
        audio: None,
    };
    let audio = ParameterSet {
        codec: Codec::Aac,
        configuration: vec![0x12, 0x10],
        video: None,
        audio: Some(AudioParameters { sample_rate: 44_100, channels: 2 }),
    };
    [video, audio].iter().map(|set| Arc::from(set.encode())).collect()
}

fn sample(duration: u32, size: u32, composition_offset: i32, sync: bool) -> Sample {
    let flags = SampleFlags { sync, ..SampleFlags::default() };
    Sample { duration, size, composition_offset, flags }
}

fn track(track: u8, start: i64, samples: Vec<Sample>) -> TrackTable {
    TrackTable {
        track: TrackNumber(track),
        kind: if track == 0 { TrackKind::Video } else { TrackKind::Audio },
        timescale: if track == 0 { 90_000 } else { 44_100 },
        parameters: track,
        codec_delay: u32::from(track) * 2112,
        start: Ticks(start),
        samples,
    }
}

/// The table of the `number`th chunk of a clip: 160 ms of pictures, out of order, and sound.
pub fn table(number: i64) -> ChunkTable {
    let pictures = vec![
        sample(3600, 60, 3600, true),
        sample(3600, 30, 7200, false),
        sample(3600, 20, 0, false),
        sample(3600, 25, 0, false),
    ];
    let packets = (0..7).map(|at| sample(1024, 10 + at, 0, true)).collect();
    let anchor = Anchor {
        wall: WallTime(START),
        boot: BootTime(5),
        boot_id: [9; 16],
        camera: Some(WallTime(START - 1)),
        quality: ClockQuality::Synchronised,
    };
    let tracks = vec![track(0, number * 14_400, pictures), track(1, number * 7168, packets)];
    ChunkTable { anchor, tracks }
}

/// The `number`th chunk of a clip, for a ring.
pub fn chunk(clip: ClipId, stream: StreamNumber, number: i64) -> NewChunk {
    let table = table(number);
    let data = vec![number as u8; table.byte_count() as usize];
    NewChunk { clip, stream, parameters: parameters(), table: table.encode().into(), data }
}

/// A clip of some chunks, as it would be found in a ring.
pub fn contents(chunks: i64) -> ClipContents {
    let mut contents = ClipContents::default();
    for number in 0..chunks {
        let table = table(number);
        let place = reelfs::ring::ChunkPlace {
            block: BlockNumber(1),
            life: Sequence(7 << 40),
            first_page: 1 + number as u32,
            header_length: 300,
            data_length: table.byte_count() as u32,
        };
        contents.push(place, &parameters(), table.encode().into());
    }
    contents
}
