//! What a range has in it, as JSON: its tracks, clips, gaps, and what could not be in it.

use std::ops::Range;

use serde_json::{Value, json};

use super::Source;
use super::building::Building;
use super::making::Making;
use super::plan::Step;
use crate::compilation::ClipSets;
use crate::mp4::codec_name;
use crate::units::{NANOS_PER_SECOND, WallTime};
use crate::view::utc_timestamp;

/// The account of a range.
pub(super) fn account(making: &Making<'_>, building: &Building) -> Vec<u8> {
    let (sources, sets) = (making.sources, making.sets);
    let ring = uuid::Uuid::from_bytes(making.archive.ring().superblock().ring_uuid);
    let mut clips = Vec::new();
    let mut used = None;
    for step in &building.steps {
        let Step::Clip(piece) = step else { continue };
        used.get_or_insert(&sets[piece.clip]);
        let source = &sources[piece.clip];
        let fact = &source.fact;
        clips.push(json!({
            "id": format!("{ring} {}", source.clip()),
            "start": utc_timestamp(fact.start),
            "end": utc_timestamp(fact.end),
            "from": utc_timestamp(piece.shown.start),
            "to": utc_timestamp(piece.shown.end),
            "codec": fact.codec,
            "width": fact.picture.0,
            "height": fact.picture.1,
            "frames": fact.frames(),
            "damaged": fact.damaged(),
            "sound": sets[piece.clip].sound.is_some(),
            "growing": source.grows(),
        }));
    }
    let gaps: Vec<Value> =
        building.gaps.iter().map(|gap| stretch(gap, before(gap, sources))).collect();
    let omitted =
        building.omitted.iter().map(|(times, why)| stretch(times, Some((*why).to_owned())));
    let omitted: Vec<Value> = omitted.collect();
    let told = json!({
        "camera": making.asked.camera,
        "start": building.start.map(utc_timestamp),
        "end": utc_timestamp(building.end),
        "seconds": seconds(building.length_nanos()),
        "tracks": used.map(tracks).unwrap_or_default(),
        "clips": clips,
        "gaps": gaps,
        "omitted": omitted,
    });
    let mut text = serde_json::to_vec_pretty(&told).unwrap_or_default();
    text.push(b'\n');
    text
}

/// What the file's tracks are: those of its first clip.
fn tracks(sets: &ClipSets) -> Vec<Value> {
    let video = sets.video.video.map(|video| {
        let (horizontal, vertical) = video.pixel_aspect;
        json!({
            "kind": "video",
            "codec": codec_name(&sets.video),
            "width": video.width,
            "height": video.height,
            "pixel_aspect": format!("{horizontal}:{vertical}"),
        })
    });
    let sound = sets.sound.as_ref().and_then(|set| {
        let audio = set.audio?;
        let (rate, channels) = (audio.sample_rate, audio.channels);
        let codec = codec_name(set);
        Some(json!({"kind": "sound", "codec": codec, "sample_rate": rate, "channels": channels}))
    });
    video.into_iter().chain(sound).collect()
}

/// Why the clip in front of a gap ended.
fn before(gap: &Range<WallTime>, sources: &[Source]) -> Option<String> {
    let last = sources
        .iter()
        .filter(|source| source.fact.end <= gap.start)
        .max_by_key(|source| source.fact.end);
    last.map(|source| source.fact.end_reason.to_string())
}

fn stretch(times: &Range<WallTime>, reason: Option<String>) -> Value {
    let length = times.end.nanos_since(times.start).max(0);
    json!({
        "start": utc_timestamp(times.start),
        "end": utc_timestamp(times.end),
        "seconds": seconds(length),
        "reason": reason,
    })
}

fn seconds(nanos: i64) -> f64 {
    nanos as f64 / NANOS_PER_SECOND as f64
}
