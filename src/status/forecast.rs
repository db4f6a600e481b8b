//! How far back the ring will go at the rates of today, and for whom that is not enough: said
//! before anything is missing. Pure.
//!
//! A rate is what a camera's footage of the last day takes on the device, by the clips that are
//! there: it takes ten minutes of them. The ring is taken as full, whether or not it is: footage
//! older than its camera's `retain` is gone by then, and the oldest of the rest makes room.

use super::{CameraStatus, Status};
use crate::catalogue::Catalogue;
use crate::ring::{Geometry, Usage};
use crate::units::{NANOS_PER_SECOND, StreamKey, WallTime};

/// How far back rates are measured, in nanoseconds: cameras send more by day than by night.
const MEASURED_NANOS: i64 = 86_400 * NANOS_PER_SECOND;
/// Less is no measure: a clip that is not closed yet does not count.
const MEASURED_NANOS_MIN: i64 = 600 * NANOS_PER_SECOND;
/// How many clips of a stream are added up at most: a day of clips of a minute and a half.
const CLIPS_MAX: usize = 1000;
/// What is kept ready for what comes next: a part of a small ring, or so many bytes.
const READY_PART: u64 = 4;
const READY_BYTES_MAX: u64 = 64 << 20;

/// What the footage of a stream takes a second, in bytes; `None` where too little is there.
pub(super) fn rate(catalogue: &Catalogue, stream: StreamKey, now: WallTime) -> Option<f64> {
    let day = now.plus_nanos(-MEASURED_NANOS)..now;
    let (mut bytes, mut from) = (0, None);
    for clip in catalogue.clips_starting(stream, day).rev().take(CLIPS_MAX) {
        bytes += clip.used.bytes.0;
        from = Some(clip.fact.start);
    }
    let growing = catalogue.growing_of(stream).map(|(_, growth)| growth.start);
    let nanos = growing.unwrap_or(now).nanos_since(from?);
    (nanos >= MEASURED_NANOS_MIN).then(|| bytes as f64 / (nanos as f64 / NANOS_PER_SECOND as f64))
}

/// How old footage will be, in seconds, when it makes room for new, in a ring that holds so many
/// bytes of cameras with such rates, in bytes a second, each with its `retain`. `None` where
/// nothing has to: all of it expires before.
fn overwritten_after(capacity: u64, cameras: &[(f64, Option<u64>)]) -> Option<u64> {
    let mut bounded: Vec<(u64, f64)> =
        cameras.iter().filter_map(|(rate, retain)| Some(((*retain)?, *rate))).collect();
    bounded.sort_by_key(|(retain, _)| *retain);
    let unbounded: f64 =
        cameras.iter().filter(|(_, retain)| retain.is_none()).map(|(rate, _)| rate).sum();
    let (mut age, mut room) = (0, capacity as f64);
    for (number, (retain, _)) in bounded.iter().enumerate() {
        // All that is of this age, and has not expired by then.
        let rate = unbounded + bounded[number..].iter().map(|(_, rate)| rate).sum::<f64>();
        let taken = rate * (retain - age) as f64;
        if taken > room {
            return Some(age + (room / rate) as u64);
        }
        (age, room) = (*retain, room - taken);
    }
    (unbounded > 0.0).then(|| age.saturating_add((room / unbounded) as u64))
}

/// Says it in a status of which all else is there.
pub fn foresee(status: &mut Status, geometry: &Geometry, usage: &Usage) {
    let cameras: Vec<(f64, Option<u64>)> = status
        .cameras
        .iter()
        .filter(|camera| is_to_come(camera))
        .filter_map(|camera| Some((camera.bytes_per_second?, camera.retain_seconds)))
        .collect();
    let ready = (usage.size.0 / READY_PART).min(READY_BYTES_MAX);
    // The block that each camera is filling is no part of it, as `format --plan` has it.
    let blocks = u64::from(usage.bad_blocks) + cameras.len() as u64;
    let lost = blocks.saturating_mul(geometry.block_length.0).saturating_add(ready);
    let forecast = overwritten_after(usage.size.0.saturating_sub(lost), &cameras);
    status.ring.forecast_seconds = forecast;
    status.warnings = unkept(status).into_iter().map(|(_, warning)| warning).collect();
}

/// Cameras whose `retain` can't be kept, in a status that says how far back the ring will go, with
/// what is to be said of each.
#[must_use]
pub fn unkept(status: &Status) -> Vec<(String, String)> {
    let Some(forecast) = status.ring.forecast_seconds else { return Vec::new() };
    let unkept = status.cameras.iter().filter(|camera| is_to_come(camera)).filter_map(|camera| {
        let retain = camera.retain_seconds.filter(|retain| *retain > forecast)?;
        let [forecast, retain] = [forecast, retain].map(length_text);
        let name = camera.name.clone();
        let warning = format!(
            "{name}: at today's rates footage is overwritten after {forecast}, and its retain is \
             {retain}"
        );
        Some((name, warning))
    });
    unkept.collect()
}

/// Whether footage of it will come.
fn is_to_come(camera: &CameraStatus) -> bool {
    !matches!(camera.state.as_str(), "removed" | "disabled")
}

/// For people: hours up to two days, then days.
fn length_text(seconds: u64) -> String {
    let hours = seconds as f64 / 3600.0;
    if hours < 48.0 { format!("{hours:.1} hours") } else { format!("{:.1} days", hours / 24.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::ByteCount;

    #[test]
    fn a_ring_is_overwritten_when_what_has_not_expired_fills_it() {
        let after = |cameras: &[(f64, Option<u64>)]| overwritten_after(1000, cameras);
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[(0.0, None)]), None);
        assert_eq!(after(&[(2.0, None)]), Some(500));
        assert_eq!(after(&[(2.0, Some(400))]), None, "all of it expires before");
        assert_eq!(after(&[(2.0, Some(600))]), Some(500));
        // The first one is gone after 100, and what is left is the other's.
        assert_eq!(after(&[(2.0, Some(100)), (1.0, None)]), Some(800));
        assert_eq!(after(&[(1.0, Some(900)), (2.0, Some(100))]), Some(800));
        assert_eq!(after(&[(1.0, Some(700)), (2.0, Some(100))]), None);
    }

    #[test]
    fn a_camera_whose_retain_can_not_be_kept_is_warned_of_before_it_happens() {
        let camera = |name: &str, state: &str, days: Option<u64>| CameraStatus {
            name: name.into(),
            state: state.into(),
            bytes_per_second: Some(1e6),
            retain_seconds: days.map(|days| days * 86_400),
            ..CameraStatus::default()
        };
        let cameras = vec![
            camera("yard", "recording", Some(30)),
            camera("door", "off", Some(2)),
            camera("cellar", "removed", Some(900)),
            CameraStatus { bytes_per_second: None, ..camera("new", "recording", None) },
        ];
        let geometry = Geometry::plan(ByteCount(1 << 40), None).expect("a geometry");
        let (size, none) = (ByteCount(1 << 40), ByteCount(0));
        let usage =
            Usage { size, used: none, expiring: none, kept: none, free: size, bad_blocks: 0 };
        let mut status = Status { cameras, ..Status::default() };
        foresee(&mut status, &geometry, &usage);
        let days = status.ring.forecast_seconds.expect("a forecast") as f64 / 86_400.0;
        assert!((10.6..10.8).contains(&days), "{days}");
        assert_eq!(
            status.warnings,
            ["yard: at today's rates footage is overwritten after 10.7 days, and its retain is \
              30.0 days"]
        );
    }
}
