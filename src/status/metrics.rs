//! The status as Prometheus reads it: its text format, version 0.0.4. Pure.

use std::fmt::{Display, Write};

use super::{CameraStatus, RingStatus, Status};

/// What a family of samples is; `Gauge` goes up and down.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Counts up from the start of the daemon.
    Counter,
    /// A value of this moment.
    Gauge,
    /// Counts by size, as buckets that hold one another, their sum, and how many there are.
    Histogram,
}

/// A text in that format.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// The whole.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// Begins what goes under one name: its samples follow.
    pub fn begin(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A sample of that name; its labels may have any value.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text += name;
        for (number, (label, value)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(value));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    /// A value that stands for itself, where it is known.
    fn single(&mut self, name: &str, kind: Kind, help: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.begin(name, kind, help);
            self.sample(name, &[], value);
        }
    }

    /// A value for each camera of which it is known.
    fn each<T: Display>(
        &mut self,
        cameras: &[CameraStatus],
        (name, kind, help): (&str, Kind, &str),
        value: impl Fn(&CameraStatus) -> Option<T>,
    ) {
        self.begin(name, kind, help);
        for camera in cameras {
            if let Some(value) = value(camera) {
                self.sample(name, &[("camera", &camera.name)], value);
            }
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// What is counted elsewhere than in the status.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Lines of the log, by their level.
    pub lines: Vec<(&'static str, u64)>,
    /// Readers of what cameras send, by camera.
    pub viewers: Vec<(String, usize)>,
}

/// Every state that a camera may have; see [`CameraStatus::state`].
const CAMERA_STATES: [&str; 8] = [
    "recording",
    "connecting",
    "waiting for a key frame",
    "waiting",
    "stopped",
    "off",
    "disabled",
    "removed",
];

/// Every state that a device may have; see [`super::DeviceStatus::state`].
const DEVICE_STATES: [&str; 5] = ["present", "read-only", "failing", "stalled", "gone"];

/// All of it, but for what a door counts itself.
#[must_use]
pub fn metrics(status: &Status, counted: &Counted) -> String {
    use Kind::{Counter, Gauge};
    let mut out = Exposition::default();
    out.begin("reelfs_build_info", Gauge, "Version of the program.");
    out.sample("reelfs_build_info", &[("version", &status.version)], 1);
    let uptime = status.uptime_seconds;
    out.single("reelfs_uptime_seconds", Gauge, "For how long the daemon has run.", uptime);
    let warnings = Some(status.warnings.len());
    let help = "How many things will be wrong if nothing changes.";
    out.single("reelfs_warnings", Gauge, help, warnings);
    let wrong = Some(status.wrong.len());
    out.single("reelfs_troubles", Gauge, "How many things are wrong now.", wrong);
    let suspended = Some(u8::from(status.expiry_suspended.is_some()));
    out.single("reelfs_expiry_suspended", Gauge, "1 while nothing expires.", suspended);
    let (name, help) = ("reelfs_log_lines_total", "Lines of the log.");
    out.begin(name, Counter, help);
    counted.lines.iter().for_each(|(level, count)| out.sample(name, &[("level", level)], count));
    ring(&mut out, &status.ring);
    device(&mut out, status);
    let (name, help) = ("reelfs_view_mounted", "1 where the view is mounted.");
    out.begin(name, Gauge, help);
    for view in &status.views {
        out.sample(name, &[("view", &view.mount)], u8::from(view.mounted));
    }
    scrub(&mut out, status);
    cameras(&mut out, &status.cameras);
    let (name, help) = ("reelfs_live_viewers", "Readers of what the camera sends now.");
    out.begin(name, Gauge, help);
    for (camera, viewers) in &counted.viewers {
        out.sample(name, &[("camera", camera)], viewers);
    }
    out.into_text()
}

fn ring(out: &mut Exposition, ring: &RingStatus) {
    use Kind::{Counter, Gauge};
    let now = [
        ("size_bytes", "All blocks.", Some(ring.size_bytes)),
        ("used_bytes", "Blocks with footage.", Some(ring.used_bytes)),
        ("expiring_bytes", "Removed footage that is not purged yet.", Some(ring.expiring_bytes)),
        ("kept_bytes", "Blocks of kept footage.", Some(ring.kept_bytes)),
        ("keep_max_bytes", "What those may come to.", ring.keep_max_bytes),
        ("free_bytes", "Blocks without footage.", Some(ring.free_bytes)),
        ("bad_blocks", "Blocks that are not used any more.", Some(ring.bad_blocks.into())),
        ("clips", "Closed clips, without removed ones.", Some(ring.clips)),
        ("retention_seconds", "Age of the oldest footage.", ring.retention_seconds),
        ("forecast_seconds", "Age at which footage will make room.", ring.forecast_seconds),
    ];
    for (name, help, value) in now {
        out.single(&format!("reelfs_ring_{name}"), Gauge, help, value);
    }
    let since_start = [
        ("evicted_clips", "Clips that made room for newer ones.", ring.evicted),
        ("dropped_events", "Events that made room for newer ones.", ring.events_dropped),
        ("writes", "Writes to the device.", ring.writes),
        ("written_bytes", "Bytes in them.", ring.written_bytes),
        ("flushes", "Flushes of the device.", ring.flushes),
    ];
    for (name, help, value) in since_start {
        out.single(&format!("reelfs_ring_{name}_total"), Counter, help, Some(value));
    }
}

fn device(out: &mut Exposition, status: &Status) {
    let device = &status.device;
    let name = "reelfs_device_errors_total";
    out.begin(name, Kind::Counter, "Reads, writes and flushes that failed.");
    let errors = [
        ("read", device.read_errors),
        ("write", device.write_errors),
        ("flush", device.flush_errors),
    ];
    errors.iter().for_each(|(kind, count)| out.sample(name, &[("kind", kind)], count));
    let name = "reelfs_device_state";
    out.begin(name, Kind::Gauge, "1 of the state that the device is in.");
    for state in DEVICE_STATES {
        out.sample(name, &[("state", state)], u8::from(device.state == state));
    }
}

fn scrub(out: &mut Exposition, status: &Status) {
    let Some(scrub) = &status.scrub else { return };
    let progress = Some(scrub.progress_percent / 100.0);
    let (name, help) = ("reelfs_scrub_progress_ratio", "Part of the ring that the pass has seen.");
    out.single(name, Kind::Gauge, help, progress);
    let counts = [
        ("chunks", "Chunks that the scrub has tried.", scrub.chunks),
        ("bytes", "Bytes in them.", scrub.bytes),
        ("damaged", "Places that it found damaged.", scrub.damaged),
    ];
    for (name, help, value) in counts {
        out.single(&format!("reelfs_scrub_{name}_total"), Kind::Counter, help, Some(value));
    }
}

fn cameras(out: &mut Exposition, cameras: &[CameraStatus]) {
    use Kind::{Counter, Gauge};
    let name = "reelfs_camera_state";
    out.begin(name, Gauge, "1 of the state that the camera is in.");
    for camera in cameras {
        for state in CAMERA_STATES {
            let labels = [("camera", camera.name.as_str()), ("state", state)];
            out.sample(name, &labels, u8::from(camera.state == state));
        }
    }
    type Count = (&'static str, &'static str, fn(&CameraStatus) -> u64);
    let counts: [Count; 5] = [
        ("frames", "Frames stored.", |camera| camera.frames),
        ("bytes", "Bytes in them.", |camera| camera.bytes),
        ("damaged_frames", "Those that follow a lost one.", |camera| camera.damaged),
        ("lost_packets", "Packets that did not arrive.", |camera| camera.lost_packets),
        ("reconnects", "Connections after the first.", |camera| camera.reconnects),
    ];
    for (name, help, value) in counts {
        let name = format!("reelfs_camera_{name}_total");
        out.each(cameras, (&name, Counter, help), |camera| Some(value(camera)));
    }
    let name = "reelfs_camera_dropped_frames_total";
    out.begin(name, Counter, "Frames that were not stored.");
    for camera in cameras {
        for (reason, count) in &camera.dropped {
            out.sample(name, &[("camera", &camera.name), ("reason", reason)], count);
        }
    }
    let name = "reelfs_camera_gaps_total";
    out.begin(name, Counter, "Times without footage, or with damaged footage.");
    for camera in cameras {
        for (reason, count) in &camera.gaps {
            out.sample(name, &[("camera", &camera.name), ("reason", reason)], count);
        }
    }
    let (name, help) = ("reelfs_camera_last_frame_age_seconds", "Time since its last frame.");
    out.each(cameras, (name, Gauge, help), |camera| camera.last_frame_age_seconds);
    let (name, help) = ("reelfs_camera_bytes_per_second", "What its last day takes a second.");
    out.each(cameras, (name, Gauge, help), |camera| camera.bytes_per_second);
    type Value = (&'static str, &'static str, fn(&CameraStatus) -> Option<u64>);
    let now: [Value; 7] = [
        ("failed_tries", "Attempts in a row that failed.", |camera| Some(camera.tries)),
        ("clips", "Closed clips, without removed ones.", |camera| Some(camera.clips)),
        ("used_bytes", "Space that they take.", |camera| Some(camera.used_bytes)),
        ("retention_seconds", "Age of its oldest footage.", |camera| camera.retention_seconds),
        ("retain_seconds", "How old it is to become.", |camera| camera.retain_seconds),
        ("events", "Events that are known of it.", |camera| Some(camera.events)),
        ("held_bytes", "What would go at once, and is held.", |it| Some(it.held_bytes)),
    ];
    for (name, help, value) in now {
        out.each(cameras, (&format!("reelfs_camera_{name}"), Gauge, help), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::DeviceStatus;

    fn example() -> Status {
        let dropped = [("loss".to_owned(), 3)].into();
        let gaps = [("time jump".to_owned(), 2)].into();
        let camera = CameraStatus {
            name: "the \"yard\"\\".into(),
            state: "waiting for a key frame".into(),
            frames: 7,
            dropped,
            gaps,
            last_frame_age_seconds: Some(1.5),
            ..CameraStatus::default()
        };
        let ring = RingStatus { evicted: u64::MAX, ..RingStatus::default() };
        let device = DeviceStatus { state: "present".into(), ..DeviceStatus::default() };
        let version = "0.1.0".into();
        Status { version, ring, device, cameras: vec![camera], ..Status::default() }
    }

    #[test]
    fn metrics_have_the_values_of_the_status_to_the_last_digit() {
        let counted = Counted { lines: vec![("warn", 2)], viewers: vec![("a\nb".to_owned(), 3)] };
        let text = metrics(&example(), &counted);
        for line in [
            "reelfs_build_info{version=\"0.1.0\"} 1",
            "reelfs_ring_evicted_clips_total 18446744073709551615",
            "reelfs_device_state{state=\"present\"} 1",
            "reelfs_device_state{state=\"gone\"} 0",
            "reelfs_camera_frames_total{camera=\"the \\\"yard\\\"\\\\\"} 7",
            "reelfs_camera_gaps_total{camera=\"the \\\"yard\\\"\\\\\",reason=\"time jump\"} 2",
            "reelfs_camera_last_frame_age_seconds{camera=\"the \\\"yard\\\"\\\\\"} 1.5",
            "reelfs_log_lines_total{level=\"warn\"} 2",
            "reelfs_live_viewers{camera=\"a\\nb\"} 3",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}:\n{text}");
        }
        assert!(!text.contains("retention_seconds{"), "not known:\n{text}");
        let states = text.lines().filter(|line| line.starts_with("reelfs_camera_state{"));
        assert_eq!(states.filter(|line| line.ends_with(" 1")).count(), 1, "{text}");
    }

    #[test]
    fn every_family_of_metrics_is_told_once_and_explained() {
        let text = metrics(&example(), &Counted::default());
        let mut names: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert_eq!(names.len(), text.lines().filter(|line| line.starts_with("# HELP ")).count());
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{text}");
    }
}
