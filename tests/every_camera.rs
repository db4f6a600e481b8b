//! Cameras of a hundred makers, each a little wrong: every oddity is a camera of its own, all of
//! them are recorded at once, and each costs no more than it has to.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/frames.rs"]
mod frames;
#[path = "support/odd_camera.rs"]
mod odd_camera;
#[path = "support/odd_recordings.rs"]
mod odd_recordings;
#[path = "support/recording.rs"]
#[allow(dead_code, reason = "each test file uses its own part of this")]
mod recording;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use cameras::Cameras;
use odd_camera::{CLOCK_RATE, GROUP, Oddity, Packet, RATE, Request};
use odd_recordings::{judge, record, record_for};
use recording::Recording;
use reelfs::camera::Camera;
use reelfs::recorder::State;
use reelfs::segment::EndReason;

/// An odd unit as a packet of its own in front of a frame, all five seconds.
fn with_an_odd_unit(unit: &[u8], frame: u64, mut packets: Vec<Packet>) -> Vec<Packet> {
    // Numbers behind it move on.
    let before = frame.saturating_sub(60).div_ceil(50) as u16;
    for packet in &mut packets {
        packet.sequence = packet.sequence.wrapping_add(before);
    }
    if frame >= 60 && (frame - 60).is_multiple_of(50) {
        let first = packets[0].clone();
        let odd = Packet { payload: unit.to_vec(), marker: false, ..first };
        for packet in &mut packets {
            packet.sequence = packet.sequence.wrapping_add(1);
        }
        packets.insert(0, odd);
    }
    packets
}

/// The same amid every second key frame, which is sent in fragments.
fn amid_key_frames(frame: u64, mut packets: Vec<Packet>) -> Vec<Packet> {
    let before = frame.div_ceil(2 * GROUP) as u16;
    for packet in &mut packets {
        packet.sequence = packet.sequence.wrapping_add(before);
    }
    if frame.is_multiple_of(2 * GROUP) {
        let at = packets.len() - 1;
        let last = packets[at].clone();
        packets[at].sequence = last.sequence.wrapping_add(1);
        packets.insert(at, Packet { payload: vec![0x7E, 1, 2, 3], marker: false, ..last });
    }
    packets
}

#[test]
fn an_odd_packet_amid_a_picture_costs_that_picture_and_what_follows_is_marked() {
    let packets = Box::new(amid_key_frames);
    let seen = record(vec![("amid", Oddity { packets, ..Oddity::default() })]);
    judge(&seen, |seen| {
        // Each second key frame, and at the start what can't be decoded without it.
        let torn = seen.sent.div_ceil(2 * GROUP);
        seen.is_undisturbed(torn + GROUP)?;
        let missing = seen.marks_damage()?;
        let is_right = missing + 2 >= torn && missing <= torn;
        is_right.then_some(()).ok_or(format!("{missing} missing of {torn}"))
    });
}

#[test]
fn an_odd_packet_costs_one_picture_at_most_and_no_session() {
    type Change = fn(u64, Vec<Packet>) -> Vec<Packet>;
    let odd = |packets: Change| Oddity { packets: Box::new(packets), ..Oddity::default() };
    let seen = record(vec![
        ("nothing odd", Oddity::default()),
        ("a unit of type 0", odd(|n, packets| with_an_odd_unit(&[0x60, 1, 2, 3], n, packets))),
        ("of type 29", odd(|n, packets| with_an_odd_unit(&[0x7D, 0x85, 0, 0, 1], n, packets))),
        ("of type 30", odd(|n, packets| with_an_odd_unit(&[0x7E, 1, 2, 3], n, packets))),
        ("of type 31", odd(|n, packets| with_an_odd_unit(&[0x7F, 1, 2, 3], n, packets))),
        ("STAP-B", odd(|n, packets| with_an_odd_unit(&[0x79, 0, 0, 0, 1, 0x41], n, packets))),
        ("a forbidden bit", odd(|n, packets| with_an_odd_unit(&[0xE1, 1, 2, 3], n, packets))),
        ("no beginning", odd(|n, packets| with_an_odd_unit(&[0x7C, 0x01, 1, 2], n, packets))),
    ]);
    for (name, seen) in seen {
        let odd = if name == "nothing odd" { 0 } else { seen.sent.saturating_sub(60).div_ceil(50) };
        // The first group may be missed, and what was under way at the end.
        let wanted = seen.sent - odd - GROUP;
        let stored = seen.frames.len() as u64;
        println!("{name}: {stored} of {} frames, {} clips", seen.sent, seen.clips.len());
        assert!(stored >= wanted, "{name}: {stored} of {} frames", seen.sent);
        assert_eq!(seen.connections.len(), 1, "{name}");
        assert!(seen.frames.values().all(|times| *times == 1), "{name}");
    }
}

fn refusing(status: &'static str) -> Oddity {
    let answer = |_: &Request, answer: String| {
        let (head, rest) = answer.split_once("\r\n").expect("a status line");
        format!("{head}\r\nWWW-Authenticate: Basic realm=\"camera\"\r\n{rest}").into_bytes()
    };
    Oddity { answer: Box::new(answer), refuses: Some(status), ..Oddity::default() }
}

#[test]
fn a_camera_is_tried_again_as_its_failure_asks_for() {
    let flapping = Oddity { frames_max: Some(6 * RATE), ..Oddity::default() };
    let seen = record(vec![
        ("closes every 6 s", flapping),
        ("busy", refusing("453 Not Enough Bandwidth")),
        ("overloaded", refusing("503 Service Unavailable")),
        ("denies", refusing("401 Unauthorized")),
        ("is none", refusing("404 Not Found")),
    ]);
    let connections: BTreeMap<&str, usize> =
        seen.iter().map(|(name, seen)| (*name, seen.connections.len())).collect();
    println!("{connections:?}");
    let (_, flapping) = &seen[0];
    let away = flapping.connections[1].duration_since(flapping.closed[0]).expect("it is in order");
    assert!(away < Duration::from_millis(700), "{away:?}");
    flapping.is_whole(0).expect("none is lost but what is under way at the end");
    let is_each = flapping.frames.keys().copied().eq(0..flapping.frames.len() as u64);
    assert!(is_each, "none is lost in between: {:?}", flapping.frames.keys());
    // Two logins, and none for minutes; the one that is busy is left alone for ten seconds.
    assert_eq!(connections["denies"], 2);
    assert!(connections["busy"] <= 2 && connections["overloaded"] <= 2);
    assert!((3..=5).contains(&connections["is none"]));
}

#[test]
fn a_password_that_changes_is_tried_at_once() {
    let cameras = Cameras::start(&["--auth", "viewer:secret"]);
    let is_right = Arc::new(AtomicBool::new(false));
    let told = is_right.clone();
    let password =
        move || Ok(if told.load(Ordering::SeqCst) { "secret" } else { "wrong" }.to_owned());
    let viewer = Some("viewer".to_owned());
    let mut camera = Camera::new("door", &cameras.url(1), viewer, None).expect("a URL");
    camera.take_password(password());
    let recording = Recording::of(camera.with_password_source(Arc::new(password)));
    std::thread::sleep(Duration::from_secs(8));
    assert!(matches!(recording.status().state, State::Waiting { .. }), "it is denied");
    is_right.store(true, Ordering::SeqCst);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(recording.status().state, State::Recording);
    drop(recording.stop());
}

#[test]
fn a_camera_that_sends_a_picture_now_and_then_is_waited_for() {
    const STEP: Duration = Duration::from_secs(17);
    let stamped = |frame: u64, mut packets: Vec<Packet>| {
        let time = frame as u32 * STEP.as_secs() as u32 * CLOCK_RATE;
        packets.iter_mut().for_each(|packet| packet.time = time);
        packets
    };
    let late = |frame: u64, bytes: Vec<u8>| {
        std::thread::sleep(if frame > 0 { STEP } else { Duration::ZERO });
        bytes
    };
    let (packets, bytes) = (Box::new(stamped), Box::new(late));
    let slow = Oddity { packets, bytes, ..Oddity::default() };
    let seen = record_for(2 * STEP + Duration::from_secs(3), vec![("slow", slow)]);
    let (_, seen) = &seen[0];
    assert_eq!(seen.connections.len(), 1, "it answers, so it is no dead one");
    assert!(seen.sent >= 3, "{} frames", seen.sent);
}

/// Every frame twice, as some servers send the last one they have.
fn twice() -> Oddity {
    let sent = AtomicU16::new(0);
    let packets = move |_, packets: Vec<Packet>| {
        let again = packets.clone();
        let all = packets.into_iter().chain(again).map(|packet| {
            let sequence = sent.fetch_add(1, Ordering::SeqCst);
            Packet { sequence, ..packet }
        });
        all.collect()
    };
    Oddity { packets: Box::new(packets), ..Oddity::default() }
}

#[test]
fn a_frame_that_is_sent_twice_is_stored_once_and_a_farewell_is_an_end() {
    let leaving = Oddity { frames_max: Some(6 * RATE), says_goodbye: true, ..Oddity::default() };
    let seen = record(vec![("twice", twice()), ("goodbye", leaving)]);
    let (_, twice) = &seen[0];
    assert!(twice.frames.values().all(|times| *times == 1));
    assert!(twice.frames.len() as u64 >= twice.sent - GROUP, "{} stored", twice.frames.len());
    let (_, leaving) = &seen[1];
    let away = leaving.connections[1].duration_since(leaving.closed[0]).expect("in order");
    assert!(away < Duration::from_millis(2_500), "{away:?}");
    assert_eq!(leaving.frames.len() as u64, leaving.sent);
}

/// One frame in fifty is stamped so many seconds off.
fn astray(seconds: i64) -> Oddity {
    let packets = move |number: u64, mut packets: Vec<Packet>| {
        if number >= 30 && number.is_multiple_of(50) {
            let ticks = (seconds * i64::from(CLOCK_RATE)) as u32;
            packets.iter_mut().for_each(|packet| packet.time = packet.time.wrapping_add(ticks));
        }
        packets
    };
    Oddity { packets: Box::new(packets), ..Oddity::default() }
}

#[test]
fn a_frame_that_is_stamped_hours_off_is_stored_at_its_place() {
    let seen = record(vec![
        ("9800 s back", astray(-9_800)),
        ("9800 s ahead", astray(9_800)),
        ("37600 s ahead", astray(37_600)),
    ]);
    for (name, seen) in seen {
        let stored = seen.frames.len() as u64;
        println!("{name}: {stored} of {} frames, {} clips", seen.sent, seen.clips.len());
        assert!(stored >= seen.sent - GROUP, "{name}: {stored} of {}", seen.sent);
        let ends = seen.clips.iter().filter_map(|clip| clip.end).map(|(reason, _)| reason);
        let cut = ends.filter(|reason| !matches!(reason, EndReason::Boundary | EndReason::Stopped));
        assert_eq!(cut.count(), 0, "{name}: a clip was cut");
        for sample in seen.clips.iter().flat_map(|clip| &clip.samples) {
            let sent = frames::stamp(&sample.data).expect("a mark").sent;
            let error_millis = (sample.wall.0 - sent) / 1_000_000;
            assert!(error_millis.abs() < 250, "{name}: {error_millis} ms off");
        }
    }
}
