//! What is said of cameras keeps what it is about, and nothing else stays: by the command line and
//! by the socket, over crashes, late and early.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use clips::{Identity, attribute, identities, identities_left};
use daemon::{Site, wait_until};
use serde_json::{Value, json};

const DAY: &str = "2026-03-01";
/// Everything is old enough to be decided about; what events claim stays for decades.
const STRICT: &str = "every = \"1s\"\n[retain]\ncontinuous = \"0s\"\ndetections = \"3000w\"\n\
                      alerts = \"3000w\"\nmanual = \"3000w\"\npre = \"2s\"\npost = \"2s\"\n\
                      hold = \"1m\"\nlate = \"1d\"";

/// A ring with a minute of footage of the camera `yard`, which can't be reached, in six clips.
fn site() -> Site {
    let mut site = Site::new("64M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    site.ring = "flush = \"1s\"".to_owned();
    let file = clips::footage(&site.path(""), "yard.mp4", 60, &[]);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    site
}

fn seconds_of(found: &BTreeMap<String, Identity>) -> Vec<u32> {
    let second = |path: &String| path.split('-').next_back()?.strip_suffix(".mp4")?.parse().ok();
    found.keys().filter_map(second).collect()
}

fn listed(site: &Site) -> Vec<u32> {
    seconds_of(&identities_left(&site.mount()))
}

fn in_trash(site: &Site) -> Vec<u32> {
    seconds_of(&identities_left(&site.mount().join(".trash")))
}

/// What the program prints, which succeeds.
fn done(site: &Site, words: &[&str]) -> String {
    let output = site.reelfs(words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    String::from_utf8(output.stdout).expect("text")
}

/// Why it does not.
fn refused(site: &Site, words: &[&str]) -> String {
    let output = site.reelfs(words);
    assert!(!output.status.success(), "{words:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn list(site: &Site, words: &[&str]) -> Vec<Value> {
    let printed = done(site, &[&["event", "list", "--json"], words].concat());
    serde_json::from_str::<Vec<Value>>(&printed).expect("JSON")
}

/// What the daemon answers at its socket: the status of HTTP, and the rest.
fn post(site: &Site, path: &str, body: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(site.path("control")).expect("it listens");
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let json = answer.split("\r\n\r\n").nth(1).expect("a body");
    (status.expect("a status"), serde_json::from_str(json).expect("JSON"))
}

#[test]
fn what_events_claim_stays_over_a_crash_and_all_else_is_quiet_until_one_comes_late() {
    let mut site = site();
    let daemon = site.run();
    let before = identities(&site.mount());
    let (from, to) = ("2026-03-01T12:00:23Z", "2026-03-01T12:00:27Z");
    let add = ["event", "add", "yard", "Delivery Van", "--class", "alert", "--from", from];
    let said = done(&site, &[&add[..], &["--to", to, "--id", "van-1"]].concat());
    assert_eq!(said, "yard: added alert delivery_van, van-1\n");
    assert_eq!(listed(&site), [0, 10, 20, 30, 40, 50], "nothing is to go yet");
    daemon.kill();

    site.purge = STRICT.to_owned();
    let daemon = site.run();
    wait_until("the rest is in the trash", 20, || listed(&site) == [20]);
    assert_eq!(in_trash(&site), [0, 10, 30, 40, 50]);
    let quiet = site.mount().join(format!(".trash/{DAY}/yard/12-00-40.mp4"));
    assert_eq!(attribute(&quiet, "reason"), "quiet");
    wait_until("the log", 5, || {
        daemon.log().contains("yard: footage that nothing claims is in the trash: 5 clips")
    });

    // Late, and by another door.
    let body = json!({"camera": "yard", "label": "person", "id": "p", "source": "door-bell",
        "start": "2026-03-01T12:00:42.5Z", "end": "2026-03-01T12:00:49Z", "sync": true});
    let (status, answer) = post(&site, "/events", &body.to_string());
    assert_eq!(
        (status, answer["done"][0].as_str()),
        (200, Some("yard: added detection person, p"))
    );
    wait_until("it is back, and what is within post", 20, || listed(&site) == [20, 40, 50]);
    assert_eq!(in_trash(&site), [0, 10, 30]);
    let back = identities(&site.mount());
    assert!(back.iter().all(|(path, file)| before[path] == *file), "as it was");
    let (_, again) = post(&site, "/events", &body.to_string());
    assert_eq!(again["done"][0].as_str(), Some("yard: updated detection person, p"), "heard later");

    // By hand, out of the trash: that keeps it.
    let name = format!("{DAY}/yard/12-00-10.mp4");
    fs::rename(site.mount().join(".trash").join(&name), site.mount().join(&name)).expect("mv");
    assert_eq!(attribute(&site.mount().join(&name), "state"), "kept");
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(listed(&site), [10, 20, 40, 50], "passes have come since");
    drop(daemon);

    let daemon = site.run();
    let known: Vec<Value> = list(&site, &["--camera", "yard"]);
    let told: Vec<_> = known.iter().map(|event| (&event["id"], &event["clips"])).collect();
    assert_eq!(told, [(&json!("van-1"), &json!(1)), (&json!("p"), &json!(2))]);
    assert_eq!(known[0]["footage"], "some");
    assert_eq!(daemon.camera("yard")["events"], 2);

    // Forgotten, it claims nothing any more.
    assert_eq!(done(&site, &["event", "rm", "van-1"]), "yard: removed alert delivery_van, van-1\n");
    wait_until("what it claimed is quiet", 20, || listed(&site) == [10, 40, 50]);
    assert!(refused(&site, &["event", "rm", "van-1"]).contains("there is no event \"van-1\""));
    let kept = done(&site, &["event", "keep", "p", "--until", "2099-01-31"]);
    assert!(kept.contains("2 clips"), "{kept}");
    done(&site, &["event", "rm", "p"]);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(listed(&site), [10, 40, 50], "they are kept");
    drop(daemon);
}

#[test]
fn a_camera_has_events_by_hand_that_begin_and_end() {
    let site = site();
    let daemon = site.run();
    let said = done(&site, &["event", "add", "yard"]);
    assert!(said.starts_with("yard: added manual event, "), "{said}");
    let open = list(&site, &[]);
    assert_eq!(
        (open.len(), &open[0]["end"], &open[0]["class"]),
        (1, &Value::Null, &json!("manual"))
    );
    assert_eq!(open[0]["footage"], "none", "nothing is recorded");
    let ended = done(&site, &["event", "end", "yard"]);
    assert!(ended.starts_with("yard: ended manual event, "), "{ended}");
    assert!(refused(&site, &["event", "end", "yard"]).contains("yard: no event goes on"));
    done(&site, &["event", "add", "yard", "parcel", "--for", "30s", "--zone", "porch"]);
    let newest = &list(&site, &["--newest", "--limit", "1"])[0];
    assert_eq!((&newest["label"], &newest["zones"]), (&json!("parcel"), &json!(["porch"])));
    let table = done(&site, &["event", "list", "--label", "parcel"]);
    assert!(table.contains("parcel") && table.contains("30s") && table.contains("none"), "{table}");
    assert_eq!(done(&site, &["event", "list", "--from", "2026-03-01", "--to", "2026-03-02"]), "");
    drop(daemon);
}

#[test]
fn what_can_be_no_event_is_refused_with_its_reason_and_changes_nothing() {
    let site = site();
    let daemon = site.run();
    let ahead = json!({"camera": "yard", "start": "2099-01-01T00:00:00Z"}).to_string();
    let long = json!({"camera": "yard", "text": "x".repeat(257)}).to_string();
    let huge = json!({"camera": "yard", "text": "x".repeat(70_000)}).to_string();
    let deep = "[".repeat(100_000);
    for (body, status, why) in [
        (r#"{"camera":"gate"}"#, 422, "\"gate\" is no camera; there are yard"),
        (r#"{}"#, 422, "no camera is named"),
        (r#"{"camera":"yard","start":1}"#, 422, "start: 1970-01-01T00:00:01.000000000Z is before"),
        (ahead.as_str(), 422, "is more than an hour from now"),
        (r#"{"camera":"yard","start":2e9,"end":1e9}"#, 422, "is more than an hour"),
        (r#"{"camera":"yard","start":1700000001,"end":1700000000}"#, 422, "it ends before"),
        (r#"{"camera":"yard","for":"25h"}"#, 422, "for: 25h is not from 1s"),
        (r#"{"camera":"yard","for":"1s","end":1700000000}"#, 422, "say one of end and for"),
        (r#"{"camera":"yard","class":"war"}"#, 422, "\"war\" is no class of events; there are"),
        (r#"{"camera":"yard","label":"??"}"#, 422, "label \"??\" has no letter"),
        (r#"{"camera":"yard","score":1.5}"#, 422, "score 1.5 is not from 0 to 1"),
        (long.as_str(), 422, "its text has 257 bytes"),
        (r#"{"camera":"yard","lable":"x"}"#, 400, "unknown field `lable`"),
        (huge.as_str(), 400, "length limit exceeded"),
        (deep.as_str(), 400, "length limit exceeded"),
        ("garbage", 400, "expected value"),
    ] {
        let (answered, answer) = post(&site, "/events", body);
        let said = answer["error"].as_str().unwrap_or_default();
        assert!(answered == status && said.contains(why), "{body:.60}: {answered} {answer}");
    }
    assert_eq!(list(&site, &[]), Vec::<Value>::new());
    assert!(refused(&site, &["event", "add", "gate"]).contains("there are yard"));
    drop(daemon);
}

#[test]
fn what_is_due_is_told_before_it_goes() {
    let mut site = site();
    site.purge = STRICT.replace("\"1s\"", "\"1h\"").replace("hold = \"1m\"", "hold = \"7d\"");
    let daemon = site.run();
    wait_until("the first pass is over", 10, || listed(&site).is_empty());
    done(&site, &["restore", "--camera", "yard", "--from", "2026-03-01T12:00:35Z"]);
    done(&site, &["unkeep", "--camera", "yard", "--from", "2026-03-01T12:00:50Z"]);
    let due = done(&site, &["expire", "--dry-run"]);
    assert!(due.starts_with("yard: 1 clip, ") && due.contains("into the trash"), "{due}");
    assert_eq!(listed(&site), [30, 40, 50], "nothing has been done");
    assert_eq!(done(&site, &["expire", "--now"]), "what is due goes now\n");
    wait_until("it is done", 10, || listed(&site) == [30, 40]);
    assert_eq!(done(&site, &["expire", "--dry-run"]), "nothing is due\n");
    assert!(refused(&site, &["expire", "--confirm", "yard"]).contains("nothing of it is held"));
    assert!(refused(&site, &["expire"]).contains("required"));
    drop(daemon);
}

#[test]
fn a_camera_has_no_more_than_it_may_and_its_oldest_goes_first() {
    let mut site = Site::new("128M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "max = \"16M\"");
    site.add_camera("gate", "rtsp://127.0.0.1:1/", "");
    site.ring = "flush = \"1s\"".to_owned();
    site.purge = "every = \"1s\"".to_owned();
    let file = clips::footage(&site.path(""), "yard.mp4", 200, &["-qp", "0"]);
    for camera in ["yard", "gate"] {
        site.import(camera, "2026-03-01T12:00:00Z", &file);
    }
    let daemon = site.run();
    let used = |camera: &str| daemon.camera(camera)["used_bytes"].as_u64().expect("a number");
    assert!(used("gate") > 16 << 20, "{} are too few for this test", used("gate"));
    wait_until("it has no more", 20, || used("yard") <= 16 << 20);
    wait_until("the log", 5, || {
        daemon.log().contains("yard: purged") && daemon.log().contains("over 16.0 MiB")
    });
    let left = clips::clips_of(&site.mount(), "yard");
    let all = clips::clips_of(&site.mount(), "gate");
    assert_eq!(all.len(), 20, "the other one has no such bound");
    let newest: Vec<String> =
        all.iter().map(|path| path.replace("gate", "yard")).skip(20 - left.len()).collect();
    assert!((1..20).contains(&left.len()) && left == newest, "{left:?}");
    assert!(used("yard") + used("gate") / 10 > 16 << 20, "no more than it has to");
    drop(daemon);
}

#[test]
fn a_thousand_messages_at_once_cost_no_frame_and_none_of_them_is_lost() {
    let mut site = Site::new("128M");
    let cameras = cameras::Cameras::start(&["--gop", "25"]);
    site.add_camera("door", &cameras.url(1), "");
    site.ring = "flush = \"1s\"".to_owned();
    let daemon = site.run();
    daemon.wait_recording("door");
    let began = Instant::now();
    std::thread::scope(|scope| {
        for source in 0..4 {
            let site = &site;
            scope.spawn(move || {
                for number in 0..250 {
                    let id = format!("{source}-{number}");
                    let body = json!({"camera": "door", "id": id, "for": "5s"}).to_string();
                    let (status, answer) = post(site, "/events", &body);
                    assert_eq!(status, 200, "{answer}");
                }
            });
        }
    });
    let took = began.elapsed();
    println!("a thousand messages in {took:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    let known = list(&site, &[]);
    assert_eq!(known.len(), 1000);
    assert_eq!(daemon.camera("door")["dropped"], json!({}));
    // Twice the interval of flushes: they are on the disk by then.
    std::thread::sleep(Duration::from_secs(2));
    daemon.kill();
    let daemon = site.run();
    assert_eq!(list(&site, &[]).len(), 1000);
    drop(daemon);
}

#[test]
fn what_was_recorded_before_an_event_that_is_told_late_is_there() {
    let mut site = Site::new("256M");
    let cameras = cameras::Cameras::start(&[]);
    site.add_camera("door", &cameras.url(1), "");
    site.ring = "flush = \"1s\"".to_owned();
    site.purge = "every = \"1s\"\n[retain]\ncontinuous = \"0s\"\nmanual = \"30d\"\npre = \"5s\"\n\
                  post = \"0s\"\nhold = \"3s\"\nlate = \"1h\""
        .to_owned();
    let daemon = site.run();
    daemon.wait_recording("door");
    std::thread::sleep(Duration::from_secs(26));
    // Of two seconds, eight seconds ago.
    done(&site, &["event", "add", "door", "bell", "--from", "-8s", "--to", "-6s"]);
    let bell = &list(&site, &[])[0];
    let at = |key: &str| {
        let time = chrono::DateTime::parse_from_rfc3339(bell[key].as_str().expect("a time"));
        time.expect("a time").timestamp_nanos_opt().expect("in range")
    };
    let trash = site.mount().join(".trash");
    wait_until("what follows is quiet", 60, || {
        let quiet = clips::clips_of(&trash, "door");
        quiet.iter().any(|path| clips::attribute_time(&trash.join(path), "start") > at("end"))
    });
    let kept = clips::clips_of(&site.mount(), "door");
    let time = |path: &String, key: &str| clips::attribute_time(&site.mount().join(path), key);
    let covers = |nanos: i64| {
        kept.iter().any(|path| time(path, "start") <= nanos && nanos < time(path, "end"))
    };
    for nanos in [at("start") - 5_000_000_000, at("start"), at("end")] {
        assert!(covers(nanos), "{nanos}: {kept:?}");
    }
    // It touches two clips at most; the newest may not be decided about.
    assert!((1..=3).contains(&kept.len()), "{kept:?}");
    drop(daemon);
}
