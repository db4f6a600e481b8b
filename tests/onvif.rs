//! Cameras that are searched, asked for their streams, and found again where they have moved to:
//! with a device server that somebody else has written.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/onvif_device.rs"]
mod onvif_device;

use std::fs;
use std::path::PathBuf;

use cameras::Cameras;
use daemon::{Site, text, wait_until};
use onvif_device::{Model, OnvifDevice, USERNAME, leave_the_network};

const SERIAL: &str = "SN 42/7";
const PASSWORD: &str = "s3cret";

fn model(cameras: &Cameras) -> Model {
    Model {
        serial: SERIAL,
        password: PASSWORD,
        streams: vec![
            ("still", "JPEG", (1920, 1080), cameras.url(3)),
            ("small", "H264", (320, 180), cameras.url(2)),
            ("large", "H264", (1280, 720), cameras.url(1)),
        ],
    }
}

/// A file with the password, and the words that log in with it.
fn password(site: &Site, password: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let file = site.path("password");
    fs::write(&file, password).expect("room");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    file
}

fn discovered(site: &Site, words: &[&str]) -> (Option<i32>, String, String) {
    let output = site.reelfs(&[&["discover", "--for", "1s"][..], words].concat());
    let told = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), told(output.stdout), told(output.stderr))
}

fn frames(site: &Site, stream: &str) -> Vec<u64> {
    let clips = clips::clips_of(&site.mount(), stream);
    let clips: Vec<PathBuf> = clips.into_iter().map(|clip| site.mount().join(clip)).collect();
    clips::frames(&clips).iter().map(|frame| frame.number).collect()
}

#[test]
fn a_camera_is_found_recorded_and_found_again_where_it_has_moved_to() {
    leave_the_network();
    let mut site = Site::new("64M");
    let (status, _, said) = discovered(&site, &[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("no camera has answered within 1 s"), "{said}");

    let mut cameras = Cameras::start(&["--cameras", "3", "--gop", "25"]);
    let device = OnvifDevice::start(model(&cameras), "127.0.0.1", 8000);
    let (status, told, said) = discovered(&site, &[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(told.contains("--username and --password-file log in"), "{told}");
    let file = password(&site, PASSWORD);
    let login = ["--username", USERNAME, "--password-file", text(&file)];
    let (_, told, _) = discovered(&site, &login);
    let other = "127.0.0.1:8000: behind its address, ?profile=still is 1920x1080 JPEG";
    for words in ["Example X-1", SERIAL, "1280x720 H264, 320x180 H264", other] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let (_, json, _) = discovered(&site, &[&login[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json[0]["serial"], json[1].is_null()), (&SERIAL.into(), true), "{json}");
    assert_eq!(json[0]["profiles"].as_array().map(Vec::len), Some(3), "{json}");

    // What it prints is a section that works.
    let (_, sections) = told.split_once("for reelfs.toml\n").expect("sections");
    site.cameras = sections.replace("name = \"x-1\"", "name = \"yard\"");
    let daemon = site.run();
    for stream in ["yard", "yard.sub"] {
        daemon.wait_state(stream, "recording", 40);
    }
    let log = daemon.log();
    assert!(log.contains(": is at 127.0.0.1:8000: Example X-1, serial number SN 42/7"), "{log}");
    let (wide, narrow) = ("yard: recording onvif://SN%2042%2F7: H.264", "yard.sub: recording");
    assert!(log.contains(wide) && log.contains(narrow), "{log}");

    // Another address and port, as of a router that has begun anew.
    drop(device);
    let _device = OnvifDevice::start(model(&cameras), "127.0.0.2", 8001);
    cameras.tell("disconnect");
    wait_until("it is found again", 40, || {
        daemon.log().contains("found again at 127.0.0.2:8001 by its serial number SN 42/7")
    });
    for stream in ["yard", "yard.sub"] {
        daemon.wait_state(stream, "recording", 40);
        wait_until("frames of it", 30, || daemon.camera(stream)["reconnects"] == 1);
    }
    daemon.stop();
    let daemon = site.run();
    daemon.wait_state("yard.sub", "recording", 40);
    for stream in ["yard", "yard.sub"] {
        assert!(frames(&site, stream).len() > 25, "{stream}");
    }
    daemon.stop();
}

#[test]
fn a_camera_that_says_no_says_why() {
    leave_the_network();
    let mut site = Site::new("64M");
    let cameras = Cameras::start(&["--cameras", "3", "--gop", "25"]);
    let _device = OnvifDevice::start(model(&cameras), "127.0.0.1", 8000);
    let file = password(&site, "wrong");
    let login = format!("username = \"{USERNAME}\"\npassword_file = {:?}", text(&file));
    site.add_camera("denied", "onvif://127.0.0.1:8000", &login);
    site.add_camera("none", "onvif://127.0.0.1:8000", "");
    // Who looks for another camera tries its login at this one, too, which is no affair of the one
    // that it belongs to.
    let other = Model { serial: "4419", password: "another", ..model(&cameras) };
    let _other = OnvifDevice::start(other, "127.0.0.1", 8003);
    let own = site.path("own");
    fs::copy(&file, &own).expect("room");
    fs::write(&own, "another").expect("room");
    let login_of = |file| format!("username = \"{USERNAME}\"\npassword_file = {:?}", text(file));
    site.add_camera("lost", "onvif://SN-13", &login);
    site.add_camera("other", "onvif://4419", &login_of(&own));
    site.add_camera("away", "onvif://127.0.0.1:8002", "");
    let daemon = site.run();
    let reason = |camera: &str, words: &str| {
        wait_until(&format!("{camera}: {words}"), 20, || {
            let status = daemon.camera(camera);
            status["reason"].as_str().is_some_and(|reason| reason.contains(words))
        });
    };
    reason("denied", "authentication failed");
    reason("none", "authentication failed");
    reason("lost", "no camera with the serial number SN-13 answers in the network");
    reason("away", "can't connect to 127.0.0.1:8002: Connection refused");
    daemon.wait_state("other", "recording", 40);
    assert_eq!(daemon.camera("denied")["error"]["kind"], "denied");
    // With the right password it goes on by itself.
    password(&site, PASSWORD);
    daemon.wait_state("denied", "recording", 40);
    daemon.stop();
    // By its profile, and one that is not there.
    let probe = |url: &str| {
        let words = ["probe", url, "--for", "1s", "--username", USERNAME, "--password-file"];
        site.reelfs(&[&words[..], &[text(&file)]].concat())
    };
    let told = probe("onvif://127.0.0.1:8000?profile=small");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told = probe("onvif://127.0.0.1:8000?profile=tiny");
    let said = String::from_utf8_lossy(&told.stderr);
    assert!(said.contains("no profile \"tiny\"; there are still, small, large"), "{said}");
    assert_eq!(told.status.code(), Some(1));
}
