//! What a daemon says of itself in its mount, beside the status for people: its log.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/daemon.rs"]
mod daemon;

use std::fs;

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
