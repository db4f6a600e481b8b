//! What a daemon says of itself in its mount, beside the status for people: its log, and what it
//! counts.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/daemon.rs"]
mod daemon;

use std::fs::{self, File};
use std::process::{Command, Stdio};

use cameras::Cameras;
use daemon::{Daemon, Site, run_tool, text, try_tool, wait_until};

/// A daemon that records one camera, named `yard`.
fn recording(cameras: &Cameras) -> (Site, Daemon) {
    let mut site = Site::new("64M");
    site.view += "list_special = true\n";
    fs::write(site.path("password"), "geheim").expect("room");
    let login = format!("username = \"user\"\npassword_file = {:?}", site.path("password"));
    site.add_camera("yard", &cameras.url(1), &login);
    let daemon = site.run();
    daemon.wait_recording("yard");
    (site, daemon)
}

fn read(site: &Site, name: &str) -> String {
    fs::read_to_string(site.mount().join(name)).expect("it is there")
}

#[test]
fn the_log_is_in_the_mount_as_it_is_on_standard_error_and_tells_no_secret() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let (site, daemon) = recording(&cameras);
    wait_until("both are the same", 5, || read(&site, ".log") == daemon.log());
    let log = read(&site, ".log");
    assert!(log.contains("INFO  reelfs::daemon] recording after"), "{log}");
    assert!(!log.contains("geheim"), "{log}");
    // As a file it is like any other.
    let path = site.mount().join(".log");
    let size = fs::metadata(&path).expect("it is there").len();
    assert!(size >= log.len() as u64, "{size}");
    let listed = run_tool("ls", &["-A", text(&site.mount())]);
    assert!(listed.lines().any(|name| name == ".log"), "{listed}");
    assert!(!try_tool("rm", &["-f", text(&path)]).status.success());
    assert_eq!(run_tool("tail", &["-n", "1", text(&path)]).lines().count(), 1);
    daemon.stop();
}

/// The value of a sample: of its name with its labels.
fn value(metrics: &str, sample: &str) -> f64 {
    let lines = metrics.lines().filter_map(|line| line.rsplit_once(' '));
    let mut found = lines.filter(|(name, _)| *name == sample);
    let (_, value) = found.next().unwrap_or_else(|| panic!("no {sample}:\n{metrics}"));
    assert!(found.next().is_none(), "{sample} is there twice:\n{metrics}");
    value.parse().expect("a number")
}

#[test]
fn metrics_are_those_of_the_status_and_please_prometheus() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let (site, daemon) = recording(&cameras);
    let mut watching = File::open(site.mount().join("live/yard.mp4")).expect("it is sent");
    let before = daemon.camera("yard");
    let metrics = read(&site, ".metrics");
    let after = daemon.camera("yard");
    for (name, told) in [("frames_total", "frames"), ("bytes_total", "bytes")] {
        let counted = value(&metrics, &format!("reelfs_camera_{name}{{camera=\"yard\"}}"));
        let [least, most] = [&before, &after].map(|status| status[told].as_f64().expect(told));
        assert!((least..=most).contains(&counted) && counted > 0.0, "{name}: {counted}");
    }
    assert_eq!(value(&metrics, "reelfs_camera_state{camera=\"yard\",state=\"recording\"}"), 1.0);
    assert_eq!(value(&metrics, "reelfs_live_viewers{camera=\"yard\"}"), 1.0);
    let early = "{camera=\"yard\",reason=\"the device does not keep up\"}";
    assert_eq!(value(&metrics, &format!("reelfs_camera_dropped_frames_total{early}")), 0.0);
    assert!(value(&metrics, "reelfs_log_lines_total{level=\"info\"}") >= 3.0);
    let opened = "reelfs_fuse_request_duration_seconds_count{operation=\"open\"}";
    let opened_before = value(&metrics, opened);
    assert!(opened_before >= 2.0, "{metrics}");
    assert!(value(&read(&site, ".metrics"), opened) > opened_before);

    // What waits for the camera is not what a disk is slow at.
    let mut some = vec![0; 1 << 16];
    std::io::Read::read(&mut watching, &mut some).expect("what the camera sends");
    drop(watching);
    let metrics = read(&site, ".metrics");
    let live = "reelfs_fuse_request_duration_seconds_count{operation=\"read_live\"}";
    assert!(value(&metrics, live) >= 1.0, "{metrics}");

    let file = File::open(site.mount().join(".metrics")).expect("it is there");
    let mut judge = Command::new("promtool");
    judge.args(["check", "metrics"]).stdin(Stdio::from(file));
    let judged = judge.output().expect("promtool, of the package prometheus");
    let said =
        [judged.stdout, judged.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(judged.status.success() && said == ["", ""], "{said:?}\n{metrics}");
    daemon.stop();
}

/// Names on standard error what is wrong with a status, the second file, by its schema, the first
/// one, with which nothing may be in it that is not described.
const JUDGE: &str = r##"
import json, sys
from jsonschema import Draft202012Validator, FormatChecker
schema, status = (json.load(open(path)) for path in sys.argv[1:])
Draft202012Validator.check_schema(schema)
def close(part):
    if isinstance(part, dict):
        if "properties" in part:
            part["additionalProperties"] = False
            for name, told in part["properties"].items():
                if not told.get("description"):
                    sys.exit(f"{name}: no description")
        for inner in part.values():
            close(inner)
    elif isinstance(part, list):
        for inner in part:
            close(inner)
close(schema)
errors = list(Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(status))
for error in errors:
    print("/".join(map(str, error.absolute_path)), error.message, file=sys.stderr)
sys.exit(1 if errors else 0)
"##;

/// What the judge says of a status.
fn judged(site: &Site, status: &str) -> String {
    let path = site.path("status.json");
    fs::write(&path, status).expect("room");
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/src/status/schema.json");
    let output = try_tool("/usr/bin/python3", &["-c", JUDGE, schema, text(&path)]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

#[test]
fn the_status_is_as_its_schema_says_with_a_daemon_and_without_one() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut site = Site::new("64M");
    site.add_camera("yard", &cameras.url(1), "");
    site.add_camera("nowhere", "rtsp://127.0.0.1:9/1", "");
    let daemon = site.run();
    daemon.wait_recording("yard");
    wait_until("an error", 10, || daemon.camera("nowhere")["error"].is_object());
    let status = read(&site, ".status.json");
    assert_eq!(judged(&site, &status), "");
    let other = status.replacen("\"frames\"", "\"framez\"", 1);
    let said = judged(&site, &other);
    assert!(said.contains("framez") && said.contains("'frames' is a required"), "{said}");
    daemon.stop();
    let config = site.config();
    let output = site.reelfs(&["status", "--json", "--config", text(&config)]);
    assert_eq!(judged(&site, &String::from_utf8_lossy(&output.stdout)), "");
}
