//! What people see of a status.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use crate::cli::quantity::{duration_text, size_text};
use crate::cli::table::{Align, Table};
use crate::command::CommandError;
use crate::status::{
    CameraStatus, DeviceStatus, RingStatus, ScrubFinding, ScrubStatus, SettingsStatus, Status,
};
use crate::units::ByteCount;

/// Stands where nothing is known.
const UNKNOWN: &str = "-";

pub(super) fn print(status: &Status, out: &mut dyn Write) -> Result<(), CommandError> {
    let daemon = match status.uptime_seconds {
        Some(uptime) => format!("running for {}", seconds_text(uptime)),
        None if status.running => "does not answer; this is what the ring says".to_owned(),
        None => "none answers; this is what the ring says".to_owned(),
    };
    writeln!(out, "{:<12}{daemon}", "daemon")?;
    if status.uptime_seconds.is_some() {
        // Without a daemon, the line above says it.
        status.wrong.iter().try_for_each(|wrong| writeln!(out, "{:<12}{wrong}", "wrong"))?;
    }
    if let Some(settings) = &status.settings {
        writeln!(out, "{:<12}{}", "settings", settings_text(settings))?;
    }
    for (name, value) in ring_rows(&status.ring, status.uptime_seconds.is_some()) {
        writeln!(out, "{name:<12}{value}")?;
    }
    if let Some(text) = device_text(&status.device) {
        writeln!(out, "{:<12}{text}", "device")?;
    }
    if let Some(reason) = &status.expiry_suspended {
        writeln!(out, "{:<12}nothing expires: {reason}", "purge")?;
    }
    if let Some(reason) = &status.footage_ahead {
        writeln!(out, "{:<12}{reason}", "clock")?;
    }
    if let Some(scrub) = &status.scrub {
        writeln!(out, "{:<12}{}", "scrub", scrub_text(scrub))?;
    }
    if !status.cameras.is_empty() {
        write!(out, "\n{}", cameras_table(&status.cameras))?;
        if status.uptime_seconds.is_some() {
            write!(out, "\n{}", sessions_table(&status.cameras))?;
        }
    }
    for camera in &status.cameras {
        if let Some(reason) = &camera.reason {
            writeln!(out, "{}: {reason}", camera.name)?;
        }
        if camera.reason.is_some() && !camera.server.is_empty() {
            writeln!(out, "{}: says that it is \"{}\"", camera.name, camera.server)?;
        }
        if let Some(dropped) = dropped_text(camera) {
            writeln!(out, "{}: frames not recorded: {dropped}", camera.name)?;
        }
    }
    Ok(out.flush()?)
}

/// Which settings are in force, and what is not in force yet. Why others were refused is told as
/// wrong.
fn settings_text(settings: &SettingsStatus) -> String {
    let SettingsStatus { file, since, at_restart, .. } = settings;
    let later = match at_restart.as_slice() {
        [] => String::new(),
        keys => format!("; {} at the next start", keys.join(", ")),
    };
    format!("{file}, since {}{later}", whole_second(since))
}

fn ring_rows(ring: &RingStatus, has_counted: bool) -> Vec<(&'static str, String)> {
    let size = |bytes| size_text(ByteCount(bytes));
    let mut name = ring.device.clone();
    if !ring.label.is_empty() {
        let _ = write!(name, " ({})", ring.label);
    }
    let space = format!(
        "{}: {} used, {} of that expiring, {} free",
        size(ring.size_bytes),
        size(ring.used_bytes),
        size(ring.expiring_bytes),
        size(ring.free_bytes)
    );
    let oldest = match (&ring.oldest, ring.retention_seconds) {
        (Some(oldest), Some(age)) => {
            format!("{} ({} ago)", whole_second(oldest), seconds_text(age))
        }
        _ => "no footage".to_owned(),
    };
    let mut rows = vec![
        ("ring", name),
        ("UUID", ring.uuid.clone()),
        ("size", space),
        ("oldest", oldest),
        ("clips", ring.clips.to_string()),
    ];
    if ring.bad_blocks > 0 {
        rows.push(("bad blocks", format!("{}, not used any more", ring.bad_blocks)));
    }
    if has_counted {
        let work = format!(
            "{} in {} writes, {} flushes, {} errors, {} clips evicted",
            size(ring.written_bytes),
            ring.writes,
            ring.flushes,
            ring.device_errors,
            ring.evicted
        );
        rows.push(("since start", work));
    }
    rows
}

/// What is wrong with the device, if anything is.
fn device_text(device: &DeviceStatus) -> Option<String> {
    let since = seconds_text(device.since_seconds.unwrap_or(0));
    let mut told = match device.state.as_str() {
        "gone" => vec![format!("gone for {since}: nothing is recorded until it is back")],
        "failing" => vec!["takes no flush: recording pauses until it does".to_owned()],
        "read-only" => vec!["served read-only: nothing is recorded".to_owned()],
        "stalled" => vec![format!("has not answered for {since}")],
        _ => Vec::new(),
    };
    told.extend(device.refused.as_ref().map(|reason| format!("left alone: {reason}")));
    told.extend(device.unwritable.clone());
    let kinds = [
        ("reads", device.read_errors),
        ("writes", device.write_errors),
        ("flushes", device.flush_errors),
    ];
    let failed = kinds.iter().filter(|(_, count)| *count > 0);
    told.extend(failed.map(|(kind, count)| format!("{count} {kind} failed since start")));
    (!told.is_empty()).then(|| told.join("; "))
}

fn scrub_text(scrub: &ScrubStatus) -> String {
    let last = match &scrub.last_complete {
        Some(at) => format!("the last was complete at {}", whole_second(at)),
        None => "none complete".to_owned(),
    };
    let mut text = format!(
        "{:.1} % of a pass, {last}; {} tried, damaged places: {}",
        scrub.progress_percent,
        size_text(ByteCount(scrub.bytes)),
        scrub.damaged
    );
    if let Some(latest) = scrub.latest.last() {
        let ScrubFinding { camera, clip, from, to, .. } = latest;
        let [from, to] = [from, to].map(|time| whole_second(time));
        let _ = write!(text, "; latest: {camera} from {from} to {to} (clip {clip})");
    }
    text
}

/// What there is of each camera.
fn cameras_table(cameras: &[CameraStatus]) -> Table {
    let mut table = Table::new(&[
        ("camera", Align::Left),
        ("state", Align::Left),
        ("last frame", Align::Right),
        ("clips", Align::Right),
        ("used", Align::Right),
        ("oldest", Align::Right),
        ("asked", Align::Right),
    ]);
    let age = |seconds: Option<u64>| seconds.map_or_else(|| UNKNOWN.to_owned(), seconds_text);
    for camera in cameras {
        let last = camera.last_frame_age_seconds.map(|age| format!("{age:.1}s ago"));
        table.push([
            camera.name.clone(),
            camera.state.clone(),
            last.unwrap_or_else(|| UNKNOWN.to_owned()),
            camera.clips.to_string(),
            size_text(ByteCount(camera.used_bytes)),
            age(camera.retention_seconds),
            age(camera.retain_seconds),
        ]);
    }
    table
}

/// What came of each camera since the start, where a daemon runs.
fn sessions_table(cameras: &[CameraStatus]) -> Table {
    let mut table = Table::new(&[
        ("since start", Align::Left),
        ("over", Align::Left),
        ("sound", Align::Left),
        ("frames", Align::Right),
        ("received", Align::Right),
        ("dropped", Align::Right),
        ("lost", Align::Right),
        ("damaged", Align::Right),
        ("sessions", Align::Right),
    ]);
    let is_tried = |camera: &&CameraStatus| !matches!(&*camera.state, "removed" | "disabled");
    for camera in cameras.iter().filter(is_tried) {
        table.push([
            camera.name.clone(),
            told(&camera.transport),
            told(&camera.sound),
            camera.frames.to_string(),
            size_text(ByteCount(camera.bytes)),
            camera.dropped.values().sum::<u64>().to_string(),
            camera.lost_packets.to_string(),
            camera.damaged.to_string(),
            (camera.reconnects + u64::from(camera.last_frame_age_seconds.is_some())).to_string(),
        ]);
    }
    table
}

/// A text that may not be there yet.
fn told(text: &str) -> String {
    if text.is_empty() { UNKNOWN.to_owned() } else { text.to_owned() }
}

fn dropped_text(camera: &CameraStatus) -> Option<String> {
    let counts = camera.dropped.iter().filter(|(_, count)| **count > 0);
    let texts: Vec<_> = counts.map(|(reason, count)| format!("{count} ({reason})")).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn seconds_text(seconds: u64) -> String {
    duration_text(Duration::from_secs(seconds))
}

/// RFC 3339 without the decimals of its second.
fn whole_second(timestamp: &str) -> String {
    match timestamp.split_once('.') {
        Some((second, _)) => format!("{second}Z"),
        None => timestamp.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn people_see_what_is_wrong_with_the_device_and_nothing_where_nothing_is() {
        let well = DeviceStatus { state: "present".into(), ..DeviceStatus::default() };
        assert_eq!(device_text(&well), None);
        let gone = DeviceStatus {
            state: "gone".into(),
            since_seconds: Some(90),
            refused: Some("another ring is there".into()),
            write_errors: 2,
            ..DeviceStatus::default()
        };
        let text = device_text(&gone).expect("something is wrong");
        assert!(text.starts_with("gone for 1m 30s: nothing is recorded"), "{text}");
        assert!(text.contains("left alone: another ring is there"), "{text}");
        assert!(text.ends_with("2 writes failed since start"), "{text}");
        let protected = DeviceStatus {
            state: "read-only".into(),
            unwritable: Some("no space left".into()),
            ..DeviceStatus::default()
        };
        let text = device_text(&protected).expect("something is wrong");
        assert_eq!(text, "served read-only: nothing is recorded; no space left");
    }

    #[test]
    fn people_see_a_line_for_each_camera_and_why_it_waits() {
        let camera = CameraStatus {
            name: "yard".into(),
            state: "waiting".into(),
            reason: Some("connection refused, next attempt in 4 s".into()),
            dropped: BTreeMap::from([("loss".into(), 3), ("queue full".into(), 0)]),
            oldest: Some("2026-11-21T12:10:00.040000000Z".into()),
            retention_seconds: Some(90_000),
            ..CameraStatus::default()
        };
        let status = Status { running: true, cameras: vec![camera], ..Status::default() };
        let mut out = Vec::new();
        print(&status, &mut out).expect("memory takes it");
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains("yard    waiting"), "{text}");
        assert!(text.contains("  0 B   1d 1h      -"), "{text}");
        assert!(text.contains("yard: connection refused, next attempt in 4 s"), "{text}");
        assert!(text.contains("yard: frames not recorded: 3 (loss)\n"), "{text}");
    }
}
