//! `reelfs probe` says what a real camera is, saves what it heard, and why one can't be recorded.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use cameras::Cameras;
use daemon::{Site, text};
use serde_json::Value;

#[test]
fn a_camera_is_measured_and_what_was_heard_is_a_file() {
    let cameras = Cameras::start(&["--gop", "50", "--bframes", "--sound", "aac"]);
    let site = Site::without_ring();
    let save = site.path("heard.mp4");
    let url = cameras.url(1);
    let words = ["probe", &url, "--for", "6s", "--json", "--save", text(&save)];
    let output = site.reelfs(&words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let number = |key: &str| told[key].as_f64().unwrap_or_else(|| panic!("{key}: {told}"));
    assert!(told["codec"].as_str().is_some_and(|codec| codec.starts_with("avc1.")), "{told}");
    assert_eq!((number("width"), number("height")), (640.0, 360.0));
    assert!((number("rate") - 25.0).abs() < 0.2, "{told}");
    assert!((number("group_seconds") - 2.0).abs() < 0.05, "{told}");
    assert!((500_000.0..2_000_000.0).contains(&number("bits_per_second")), "{told}");
    assert!(told["sound"].as_str().is_some_and(|sound| sound.starts_with("AAC")), "{told}");
    assert!(number("sound_packets") > 50.0 && number("lost_packets") == 0.0, "{told}");
    assert_eq!((&told["transport"], &told["login"]), (&"TCP".into(), &"".into()));
    // They take a few seconds to come.
    let notes = told["notes"].as_array().expect("a list");
    let is_amiss = |note: &&Value| !note.to_string().contains("sender reports");
    assert_eq!(notes.iter().filter(is_amiss).count(), 0, "{told}");
    let frames = clips::frames(std::slice::from_ref(&save));
    assert!(frames.len() > 75, "{} frames", frames.len());
    assert!(frames.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
    clips::assert_plays(&save);

    // It is not written over, and nobody waits to hear that.
    let output = site.reelfs(&words);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is there already"));

    let output = site.reelfs(&["probe", &url, "--for", "3s", "--transport", "udp"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for words in [
        "groups      a key frame each 2.00 s, 50 pictures",
        "transport   UDP",
        "login       not asked for",
        &format!("[[camera]]\nname = \"camera\"\nurl = \"{url}\"\ntransport = \"udp\"\n"),
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_camera_of_the_configuration_is_asked_as_it_says_and_a_fault_is_named() {
    let cameras = Cameras::start(&["--gop", "25", "--auth", "viewer:secret"]);
    let mut site = Site::new("12M");
    let password = site.path("password");
    std::fs::write(&password, "secret\n").expect("room");
    let login = format!("username = \"viewer\"\npassword_file = {password:?}\n");
    site.add_camera("yard", &cameras.url(1), &login);
    let config = site.config();
    let probe = |more: &[&str]| {
        let words = ["probe", "--for", "2s", "--config", text(&config)];
        let output = site.reelfs(&[&words[..], more].concat());
        let said = [&output.stdout[..], &output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (status, said) = probe(&["yard"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("login       Digest") && !said.contains("[[camera]]"), "{said}");
    assert!(!said.contains("secret"), "{said}");
    let url = cameras.url(1);
    let words = [url.as_str(), "--username", "viewer", "--password-file", text(&password)];
    let (status, said) = probe(&words);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("username = \"viewer\"\npassword_file = \""), "{said}");

    let absent = cameras.url(9);
    for (words, status, reason) in [
        (&["gate"][..], 2, "no camera of the configuration: it has yard"),
        (&[url.as_str()][..], 1, "the camera asks for a user, and none is set"),
        (&["rtsp://127.0.0.1:1/"][..], 1, "can't connect to 127.0.0.1:1"),
        (
            &[absent.as_str(), "--username", "viewer", "--password-file", text(&password)][..],
            1,
            "describe failed: the camera has no stream /9 (404 Not Found)",
        ),
        (&["http://127.0.0.1/"][..], 2, "scheme \"http\""),
        (&["yard", "--username", "viewer"][..], 2, "are for an address"),
    ] {
        let (ended, said) = probe(words);
        assert_eq!(ended, Some(status), "{said}");
        assert!(said.contains(reason), "{reason}: {said}");
    }
    let output = site.reelfs(&["probe", "--for", "1ms", "rtsp://127.0.0.1:1/"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not from 1s to 10m"));
}

#[test]
fn everything_that_recording_needs_is_looked_at_and_nothing_is_changed() {
    let cameras = Cameras::start(&["--cameras", "2", "--gop", "25"]);
    let mut site = Site::new("64M");
    site.add_camera("yard", &cameras.url(1), "");
    site.add_camera("gate", &cameras.url(2), "");
    site.add_camera("attic", "rtsp://127.0.0.1:1/", "enabled = false");
    let ring = std::fs::read(site.ring_path()).expect("the ring");
    let check = |site: &Site| {
        let output = site.reelfs(&["run", "--check", "--config", text(&site.config())]);
        let said = [&output.stdout[..], &output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (status, said) = check(&site);
    assert_eq!(status, Some(0), "{said}");
    for words in ["reelfs.toml: 3 cameras", "(test): 58 blocks", "yard        H.264 avc1."] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!daemon::is_mounted(&site.mount()));
    assert!(std::fs::read(site.ring_path()).expect("the ring") == ring, "it is untouched");

    // Also beside a daemon; one camera that can't be reached is enough.
    let daemon = site.run();
    daemon.wait_recording("yard");
    site.cameras = site.cameras.replace("enabled = false", "");
    let (status, said) = check(&site);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("attic       can't be recorded: can't connect"), "{said}");
    assert!(said.contains("1 of 3 cameras can't be recorded"), "{said}");
    daemon.stop();
    std::fs::write(site.mount().join("stray"), b"").expect("room");
    let (status, said) = check(&site);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("stray"), "{said}");
    site.view = site.view.replace("10s", "7m");
    assert_eq!(check(&site).0, Some(2));
}
