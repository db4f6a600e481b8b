//! A clock that is years ahead, while the daemon runs or when it starts, deletes nothing until
//! somebody confirms it.

#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::time::Duration;

use clips::{closed_clips, identities};
use daemon::{Site, text, wait_until};

/// libfaketime as Debian installs it, for the machine's architecture.
fn library() -> String {
    let found = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    let path = found.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let path = path.into_iter().find(|path| path.exists());
    text(&path.expect("this test needs the package faketime")).to_owned()
}

#[test]
fn a_clock_ten_years_ahead_deletes_nothing_until_it_is_confirmed() {
    let mut site = Site::new("16M");
    site.purge = "every = \"1s\"\nretain = \"30d\"".to_owned();
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    let file = clips::footage(&site.path(""), "footage.mp4", 30, &[]);
    site.import("yard", "-2h", &file);
    let offset = site.path("offset");
    let set = |text: &str| std::fs::write(&offset, text).expect("the offset");
    // The wall clock alone is false: the other clocks cannot be set on a real machine either.
    let preload = format!("LD_PRELOAD={}", library());
    let follow = format!("FAKETIME_TIMESTAMP_FILE={}", text(&offset));
    let words = ["env", &preload, &follow, "FAKETIME_NO_CACHE=1", "NO_FAKE_STAT=1"];
    let words = [&words[..], &["FAKETIME_DONT_FAKE_MONOTONIC=1"]].concat();

    set("+0s");
    let daemon = site.run_under(&words);
    let mount = site.mount();
    let before = identities(&mount);
    assert!(before.len() >= 3, "{before:?}");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(daemon.status()["expiry_suspended"], serde_json::Value::Null);

    set("+3650d");
    wait_until("the step is noticed", 10, || daemon.log().contains("nothing is deleted until"));
    assert!(daemon.status()["expiry_suspended"].is_string(), "the status says so, too");
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(identities(&mount), before);
    daemon.stop();

    let daemon = site.run_under(&words);
    wait_until("still doubted", 10, || daemon.log().contains("nothing is deleted until"));
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(identities(&mount), before);

    // That it would have deleted everything is what shows that the doubt has saved it.
    daemon.signal("USR1");
    wait_until("a confirmed clock is believed", 10, || closed_clips(&mount).is_empty());
    wait_until("it says why", 5, || daemon.log().contains("older than 30d"));

    // A flush later the confirmation is in the ring, and holds also for who is killed.
    std::thread::sleep(Duration::from_millis(2500));
    daemon.kill();
    let daemon = site.run_under(&words);
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!daemon.log().contains("nothing is deleted until"), "{}", daemon.log());
    assert_eq!(daemon.status()["expiry_suspended"], serde_json::Value::Null);
    daemon.stop();
}
