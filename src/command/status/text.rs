//! What people see of a status.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use crate::cli::quantity::{duration_text, size_text};
use crate::cli::table::{Align, Table};
use crate::command::CommandError;
use crate::status::{
    CameraStatus, DeviceStatus, RingStatus, ScrubFinding, ScrubStatus, SettingsStatus, Status,
    ViewStatus,
};
use crate::units::{ByteCount, Counted};

/// Stands where nothing is known.
const UNKNOWN: &str = "-";

/// Up to here, in seconds, an age has a decimal: a camera's pictures are not seconds apart.
const SPLIT_SECONDS_MAX: f64 = 10.0;
/// What every terminal shows in one line, in characters.
const LINE_CHARS_MAX: usize = 80;
/// Where what is told of a name begins, and goes on in the next line.
const TOLD_AT: usize = 12;
/// Between two columns of a table.
const COLUMN_GAP: usize = 2;

pub(super) fn print(status: &Status, out: &mut dyn Write) -> Result<(), CommandError> {
    let is_running = status.uptime_seconds.is_some();
    for (name, told) in rows(status) {
        print_folded(out, &format!("{name:<TOLD_AT$}"), &told)?;
    }
    if !status.cameras.is_empty() {
        print_table(out, &cameras_table(&status.cameras))?;
        if is_running {
            print_table(out, &sessions_table(&status.cameras))?;
        }
    }
    for camera in &status.cameras {
        let name = format!("{}: ", camera.name);
        if let Some(reason) = &camera.reason {
            print_folded(out, &name, reason)?;
        }
        if camera.reason.is_some() && !camera.server.is_empty() {
            print_folded(out, &name, &format!("says that it is \"{}\"", camera.server))?;
        }
        if let Some(dropped) = dropped_text(camera) {
            print_folded(out, &name, &format!("frames not recorded: {dropped}"))?;
        }
    }
    Ok(out.flush()?)
}

/// All that is not of one camera, each under a name.
fn rows(status: &Status) -> Vec<(&'static str, String)> {
    let daemon = match status.uptime_seconds {
        Some(uptime) => format!("running for {}", seconds_text(uptime)),
        None if status.running => "does not answer; this is what the ring says".to_owned(),
        None => "none answers; this is what the ring says".to_owned(),
    };
    let mut rows = vec![("daemon", daemon)];
    let mut add = |name, told: Option<String>| rows.extend(told.map(|told| (name, told)));
    if status.uptime_seconds.is_some() {
        // Without a daemon, the line above says it.
        status.wrong.iter().for_each(|wrong| add("wrong", Some(wrong.clone())));
    }
    status.warnings.iter().for_each(|warning| add("warning", Some(warning.clone())));
    add("settings", status.settings.as_ref().map(settings_text));
    if status.views.len() > 1 {
        status.views.iter().for_each(|view| add("view", Some(view_text(view))));
    }
    for (name, told) in ring_rows(&status.ring, status.uptime_seconds.is_some()) {
        add(name, Some(told));
    }
    add("device", device_text(&status.device));
    let suspended = status.expiry_suspended.as_ref();
    add("purge", suspended.map(|reason| format!("nothing expires: {reason}")));
    add("clock", status.footage_ahead.clone());
    add("scrub", status.scrub.as_ref().map(scrub_text));
    rows
}

/// Where a view is, and in what it differs from others.
fn view_text(view: &ViewStatus) -> String {
    let ViewStatus { mount, layout, zone, cameras, read_only, mounted } = view;
    let mut text = format!("{mount}: {layout}, {zone}");
    if !cameras.is_empty() {
        text += &format!(", of {}", cameras.join(", "));
    }
    text += if *read_only { ", read-only" } else { "" };
    text += if *mounted { "" } else { ", not mounted" };
    text
}

/// One line, or more of them where it is too long for one; a word stays whole.
fn print_folded(out: &mut dyn Write, head: &str, told: &str) -> std::io::Result<()> {
    let mut line = head.to_owned();
    for (number, word) in told.split(' ').enumerate() {
        let chars = line.chars().count() + 1 + word.chars().count();
        if number > 0 && chars > LINE_CHARS_MAX {
            writeln!(out, "{line}")?;
            line = " ".repeat(TOLD_AT);
        } else if number > 0 {
            line.push(' ');
        }
        line += word;
    }
    writeln!(out, "{line}")
}

/// A heading, and what stands below it.
struct Column {
    heading: &'static str,
    align: Align,
    values: Vec<String>,
}

impl Column {
    fn chars(&self) -> usize {
        let values = self.values.iter().map(|value| value.chars().count());
        values.chain([self.heading.len()]).max().unwrap_or(0)
    }
}

/// A table whose first column is names; as several of them where it is too wide for one.
fn print_table(out: &mut dyn Write, columns: &[Column]) -> std::io::Result<()> {
    let Some((names, mut rest)) = columns.split_first() else { return Ok(()) };
    while !rest.is_empty() {
        let mut chars = names.chars();
        let fit = rest.iter().take_while(|column| {
            chars += COLUMN_GAP + column.chars();
            chars <= LINE_CHARS_MAX
        });
        let (now, later) = rest.split_at(fit.count().max(1));
        let all: Vec<&Column> = std::iter::once(names).chain(now).collect();
        let headings: Vec<_> = all.iter().map(|column| (column.heading, column.align)).collect();
        let mut table = Table::new(&headings);
        for row in 0..names.values.len() {
            table.push(all.iter().map(|column| column.values[row].clone()));
        }
        write!(out, "\n{table}")?;
        rest = later;
    }
    Ok(())
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

/// What is kept, and how much may be; nothing where nothing is.
fn kept_text(ring: &RingStatus) -> String {
    let size = |bytes| size_text(ByteCount(bytes));
    match ring.keep_max_bytes {
        _ if ring.kept_bytes == 0 => String::new(),
        Some(most) => format!(", {} kept of {} at most", size(ring.kept_bytes), size(most)),
        None => format!(", {} kept", size(ring.kept_bytes)),
    }
}

fn ring_rows(ring: &RingStatus, has_counted: bool) -> Vec<(&'static str, String)> {
    let size = |bytes| size_text(ByteCount(bytes));
    let mut name = ring.device.clone();
    if !ring.label.is_empty() {
        let _ = write!(name, " ({})", ring.label);
    }
    let space = format!(
        "{}: {} used, {} of that expiring{}, {} free",
        size(ring.size_bytes),
        size(ring.used_bytes),
        size(ring.expiring_bytes),
        kept_text(ring),
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
    if let Some(forecast) = ring.forecast_seconds {
        let told =
            format!("goes back {} when full, at the last day's rates", seconds_text(forecast));
        rows.insert(4, ("forecast", told));
    }
    if ring.bad_blocks > 0 {
        rows.push(("bad blocks", format!("{}, not used any more", ring.bad_blocks)));
    }
    if has_counted {
        let work = format!(
            "{} in {}, {}, {}, {} evicted",
            size(ring.written_bytes),
            Counted(ring.writes, "write"),
            flushes_text(ring.flushes),
            Counted(ring.device_errors, "error"),
            Counted(ring.evicted, "clip")
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
        (device.read_errors, Counted(device.read_errors, "read").to_string()),
        (device.write_errors, Counted(device.write_errors, "write").to_string()),
        (device.flush_errors, flushes_text(device.flush_errors)),
    ];
    let failed = kinds.iter().filter(|(count, _)| *count > 0);
    told.extend(failed.map(|(_, text)| format!("{text} failed since start")));
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
fn cameras_table(cameras: &[CameraStatus]) -> [Column; 7] {
    let age = |seconds: Option<u64>| seconds.map_or_else(|| UNKNOWN.to_owned(), seconds_text);
    let column = |heading, align, value: &dyn Fn(&CameraStatus) -> String| Column {
        heading,
        align,
        values: cameras.iter().map(value).collect(),
    };
    [
        column("camera", Align::Left, &|camera| camera.name.clone()),
        column("state", Align::Left, &|camera| camera.state.clone()),
        column("last frame", Align::Right, &|camera| match camera.last_frame_age_seconds {
            Some(age) if age < SPLIT_SECONDS_MAX => format!("{age:.1}s ago"),
            Some(age) => format!("{} ago", seconds_text(age as u64)),
            None => UNKNOWN.to_owned(),
        }),
        column("clips", Align::Right, &|camera| camera.clips.to_string()),
        column("used", Align::Right, &|camera| size_text(ByteCount(camera.used_bytes))),
        column("oldest", Align::Right, &|camera| age(camera.retention_seconds)),
        column("asked", Align::Right, &|camera| match camera.retain_seconds {
            // What events claim, and nothing else.
            Some(0) => "events".to_owned(),
            seconds => age(seconds),
        }),
    ]
}

/// What came of each camera since the start, where a daemon runs.
fn sessions_table(cameras: &[CameraStatus]) -> [Column; 9] {
    let is_tried = |camera: &&CameraStatus| !matches!(&*camera.state, "removed" | "disabled");
    let tried: Vec<&CameraStatus> = cameras.iter().filter(is_tried).collect();
    let column = |heading, align, value: &dyn Fn(&CameraStatus) -> String| Column {
        heading,
        align,
        values: tried.iter().map(|camera| value(camera)).collect(),
    };
    let sessions = |camera: &CameraStatus| {
        camera.reconnects + u64::from(camera.last_frame_age_seconds.is_some())
    };
    let dropped = |camera: &CameraStatus| camera.dropped.values().sum::<u64>();
    [
        column("since start", Align::Left, &|camera| camera.name.clone()),
        column("over", Align::Left, &|camera| told(&camera.transport)),
        column("sound", Align::Left, &|camera| told(&camera.sound)),
        column("frames", Align::Right, &|camera| camera.frames.to_string()),
        column("received", Align::Right, &|camera| size_text(ByteCount(camera.bytes))),
        column("dropped", Align::Right, &|camera| dropped(camera).to_string()),
        column("lost", Align::Right, &|camera| camera.lost_packets.to_string()),
        column("damaged", Align::Right, &|camera| camera.damaged.to_string()),
        column("sessions", Align::Right, &|camera| sessions(camera).to_string()),
    ]
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

fn flushes_text(count: u64) -> String {
    if count == 1 { "1 flush".to_owned() } else { format!("{count} flushes") }
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
    fn people_see_the_views_where_there_are_several() {
        let view = |mount: &str| ViewStatus {
            mount: mount.to_owned(),
            layout: "day".to_owned(),
            zone: "UTC".to_owned(),
            mounted: true,
            ..ViewStatus::default()
        };
        let told = |views: Vec<ViewStatus>| {
            let rows = rows(&Status { views, ..Status::default() });
            let views = rows.into_iter().filter(|(name, _)| *name == "view");
            views.map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(told(vec![view("/a")]), Vec::<String>::new());
        let cameras = vec!["x".to_owned(), "y*".to_owned()];
        let other = ViewStatus { cameras, read_only: true, mounted: false, ..view("/b") };
        let wanted = ["/a: day, UTC", "/b: day, UTC, of x, y*, read-only, not mounted"];
        assert_eq!(told(vec![view("/a"), other]), wanted);
    }

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

    fn printed(status: &Status) -> String {
        let mut out = Vec::new();
        print(status, &mut out).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    /// As many cameras, with names of 30 characters and whatever can be told of one.
    fn cameras(count: u64) -> Vec<CameraStatus> {
        let states = ["recording", "waiting for a key frame", "waiting"];
        let camera = |number: u64| CameraStatus {
            name: format!("camera-at-the-gate-of-house-{number:02}"),
            state: states[number as usize % 3].into(),
            reason: (number % 3 == 2).then(|| {
                "the camera says 404 Not Found to what it was asked for; next try in 1m, after \
                 1234 tries"
                    .into()
            }),
            server: "Example Streaming Server 12.3 of a firmware that tells much of itself".into(),
            last_frame_age_seconds: Some(number as f64 * 86_400.5),
            frames: 788_400_000,
            bytes: 3 << 40,
            dropped: BTreeMap::from([("queue full".into(), 12_345_678), ("loss".into(), 7)]),
            damaged: 12_345_678,
            lost_packets: 12_345_678,
            reconnects: 123_456,
            transport: "a pipe".into(),
            sound: "L16 44.1 kHz stereo as FLAC".into(),
            clips: 1_234_567,
            used_bytes: 15 << 40,
            retention_seconds: Some(364 * 86_400 + 82_800),
            retain_seconds: Some(3650 * 86_400),
            ..CameraStatus::default()
        };
        (0..count).map(camera).collect()
    }

    #[test]
    fn no_line_is_longer_than_a_terminal_is_wide_however_much_there_is_to_say() {
        let ring = RingStatus {
            device: "/dev/disk/by-id/ata-EXAMPLE_DISK_16T_0123456789".into(),
            label: "a label of some length".into(),
            uuid: "d4be38f3-d1c5-4f25-afc8-01b3a61492f5".into(),
            written_bytes: 100 << 40,
            writes: 123_456_789,
            flushes: 123_456_789,
            evicted: 1_234_567,
            device_errors: 1_234,
            bad_blocks: 17,
            ..RingStatus::default()
        };
        let settings = SettingsStatus {
            file: "/etc/reelfs/reelfs.toml".into(),
            since: "2026-11-21T06:17:01.5Z".into(),
            at_restart: ["ring.device", "view.layout", "view.mount"].map(str::to_owned).into(),
            ..SettingsStatus::default()
        };
        let finding = ScrubFinding {
            camera: "camera-at-the-gate-of-house-00".into(),
            from: "2026-11-21T06:17:01.5Z".into(),
            to: "2026-11-21T06:17:02.5Z".into(),
            ..ScrubFinding::default()
        };
        let last_complete = Some("2026-11-21T06:17:01.5Z".into());
        let scrub = ScrubStatus { last_complete, latest: vec![finding], ..ScrubStatus::default() };
        let mut status = Status {
            running: true,
            uptime_seconds: Some(90_000),
            settings: Some(settings),
            ring,
            scrub: Some(scrub),
            cameras: cameras(12),
            ..Status::default()
        };
        status.wrong = status.troubles();
        let text = printed(&status);
        let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
        assert_eq!(long, [] as [&str; 0], "{text}");
        for heading in ["camera ", "since start ", " asked\n", " damaged", " sessions\n", "sound"] {
            assert!(text.contains(heading), "{heading}: {text}");
        }
        assert!(text.contains(" 1d ago ") && !text.contains("86400"), "{text}");
        let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            one_line.contains("ring.device, view.layout, view.mount at the next start"),
            "{text}"
        );
    }

    #[test]
    fn one_is_told_as_one() {
        let mut status = Status { uptime_seconds: Some(1), running: true, ..Status::default() };
        let ring = &mut status.ring;
        (ring.writes, ring.flushes, ring.device_errors, ring.evicted) = (1, 1, 1, 1);
        status.device.flush_errors = 1;
        let text = printed(&status);
        assert!(text.contains("in 1 write, 1 flush, 1 error, 1 clip evicted\n"), "{text}");
        assert!(text.contains("1 flush failed since start\n"), "{text}");
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
        let text = printed(&status);
        assert!(text.contains("yard    waiting"), "{text}");
        assert!(text.contains("  0 B   1d 1h      -"), "{text}");
        assert!(text.contains("yard: connection refused, next attempt in 4 s"), "{text}");
        assert!(text.contains("yard: frames not recorded: 3 (loss)\n"), "{text}");
    }
}
