//! Promise 4 and half of promise 9, against a real RTSP server: every frame that the server sent
//! after the first key frame is handed to the ring bit-exact and in order, clips join exactly,
//! time in a clip is time on the wall, and a camera that fails is recorded again.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/frames.rs"]
mod frames;
#[path = "support/recording.rs"]
mod recording;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cameras::Cameras;
use recording::{Clip, Recording};
use reelfs::recorder::State;
use reelfs::segment::{EndReason, ObservationKind};

/// What "on the wall" means: promise 4, in nanoseconds.
const CLOCK_ERROR_MAX: i64 = 200_000_000;

fn seconds(count: u64) {
    std::thread::sleep(Duration::from_secs(count));
}

/// The number of parameter sets of a sample (H.264), and its other units as they are.
fn parted(mut sample: &[u8]) -> (usize, Vec<u8>) {
    let (mut sets, mut rest) = (0, Vec::with_capacity(sample.len()));
    while let Some((length, behind)) = sample.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        match behind.first().map(|header| header & 0x1f) {
            Some(7 | 8) => sets += 1,
            _ => rest.extend_from_slice(&sample[..4 + length]),
        }
        sample = &behind[length..];
    }
    (sets, rest)
}

/// Every frame of the clips is what the server sent, none is missing between the first and the
/// last of each, and none was lost between clips that join.
fn assert_exact(cameras: &Cameras, clips: &[Clip]) -> usize {
    let sent = cameras.sent();
    let is_lossy = clips.iter().flat_map(|clip| &clip.samples).any(|sample| sample.damaged);
    let mut next = None;
    let mut count = 0;
    let mut joint = None;
    for clip in clips {
        // The first chunk behind a boundary may have been refused: then a gap follows it.
        if joint.is_some_and(|end| end != clip.start) {
            next = None;
        }
        assert!(clip.samples.first().is_some_and(|sample| sample.sync), "begins with a key frame");
        for sample in &clip.samples {
            let Some(stamp) = frames::stamp(&sample.data) else {
                // The mark is a packet of its own.
                assert!(sample.damaged || sample.sync, "the server marks every frame");
                next = None;
                continue;
            };
            let may_lack = sample.damaged || sample.resumed || (sample.sync && is_lossy);
            let expected = next.filter(|_| !may_lack).unwrap_or(stamp.frame);
            assert_eq!(expected, stamp.frame, "frames follow one another");
            let (key, bytes) = &sent[&(stamp.camera, stamp.frame)];
            let (sets, rest) = parted(&sample.data);
            assert_eq!(*key, sample.sync);
            assert!(*bytes == rest, "the bytes of frame {}", stamp.frame);
            assert!(!sample.sync || sets >= 2, "a key frame has its parameter sets in front");
            next = Some(stamp.frame + 1);
            count += 1;
        }
        joint = clip.end.map(|(_, length)| clip.start.plus_nanos(length));
        if clip.end.is_some_and(|(reason, _)| reason != EndReason::Boundary) {
            next = None;
        }
    }
    count
}

/// Where a clip ends at a boundary the next one begins, to the nanosecond.
fn assert_joined(clips: &[Clip]) {
    for pair in clips.windows(2) {
        let (reason, length) = pair[0].end.expect("only the last clip may be open");
        if reason == EndReason::Boundary {
            assert_eq!(pair[0].start.plus_nanos(length), pair[1].start);
        }
    }
}

/// Clips do not overlap, and the times in each are those of the sender.
fn assert_on_the_wall(clips: &[Clip], offset_max: i64) {
    for pair in clips.windows(2) {
        let (reason, length) = pair[0].end.expect("only the last clip may be open");
        assert!(pair[0].start.plus_nanos(length) <= pair[1].start, "{reason:?}");
    }
    for sample in clips.iter().flat_map(|clip| &clip.samples) {
        // The mark of a frame behind a loss may be what was lost.
        let Some(stamp) = frames::stamp(&sample.data) else { continue };
        let error = sample.wall.0 - stamp.sent;
        assert!(error.abs() < CLOCK_ERROR_MAX + offset_max, "{} ms", error / 1_000_000);
    }
}

#[test]
fn every_frame_is_recorded_bit_exact_across_clips() {
    let cameras = Cameras::start(&["--cameras", "2", "--gop", "25"]);
    let both = [cameras.record(1), cameras.record(2)];
    seconds(18);
    for (number, recording) in both.into_iter().enumerate() {
        let status = recording.status();
        assert_eq!(status.state, State::Recording);
        assert_eq!((status.dropped.losses(), status.reconnects), (0, 0));
        let clips = recording.stop();
        let count = assert_exact(&cameras, &clips);
        assert!(count > 15 * 25, "{count} frames");
        assert_eq!(Some(count), cameras.received_since_first(number as u16 + 1, &clips));
        assert!(clips.len() >= 4, "{} clips", clips.len());
        assert_joined(&clips);
        assert_on_the_wall(&clips, 0);
        for clip in &clips[1..] {
            let late = clip.start.0.rem_euclid(5_000_000_000);
            assert!(late < 1_100_000_000, "begins {late} ns behind a boundary");
        }
        assert_eq!(
            clips.last().and_then(|clip| clip.end).map(|end| end.0),
            Some(EndReason::Stopped)
        );
        let steady = clips.iter().flat_map(|clip| &clip.samples);
        let odd = steady.filter(|sample| !sample.last && sample.duration.abs_diff(3600) > 1);
        assert_eq!(odd.count(), 0, "a steady camera has steady durations");
    }
}

#[test]
fn reordered_pictures_keep_their_times() {
    let cameras = Cameras::start(&["--bframes", "--gop", "30"]);
    let recording = cameras.record(1);
    seconds(9);
    let clips = recording.stop();
    assert!(assert_exact(&cameras, &clips) > 6 * 25);
    // A frame is sent when it is coded, and shown up to two frames later.
    assert_joined(&clips);
    assert_on_the_wall(&clips, 80_000_000);
    let samples = || clips.iter().flat_map(|clip| &clip.samples);
    assert!(samples().any(|sample| sample.offset > 3600), "pictures are reordered");
    let odd = samples().filter(|sample| !sample.last && sample.duration.abs_diff(3600) > 1);
    assert_eq!(odd.count(), 0);
}

#[test]
fn a_camera_that_fails_in_any_way_is_recorded_again() {
    let mut cameras = Cameras::start(&["--gop", "25"]);
    let recording = cameras.record(1);
    seconds(5);
    // Twice within a group of one second: nothing is behind a loss in its last frame.
    cameras.tell("drop 3");
    std::thread::sleep(Duration::from_millis(400));
    cameras.tell("drop 3");
    seconds(4);
    cameras.tell("paramchange");
    seconds(4);
    cameras.tell("stall 3");
    seconds(6);
    cameras.tell("refuse 1");
    // The server may leave a connection unanswered that it was told to close: longer than all of
    // its time-outs.
    let patience = Instant::now() + Duration::from_secs(40);
    while recording.status().reconnects == 0 && Instant::now() < patience {
        seconds(1);
    }
    seconds(3);
    let status = recording.status();
    assert!(status.reconnects >= 1 && status.lost_packets >= 3, "{status:?}");
    let gaps: BTreeMap<&str, u64> = status.gaps.kinds().collect();
    let count = |kind| gaps.get(kind).copied().unwrap_or(0);
    assert!(count("disconnected") >= 1 && count("pause") == 1 && count("damaged") >= 1, "{gaps:?}");
    let (clips, observed) = recording.finish();
    assert_exact(&cameras, &clips);
    assert_joined(&clips);
    assert_on_the_wall(&clips, 0);
    let ends: Vec<EndReason> = clips.iter().filter_map(|clip| clip.end).map(|end| end.0).collect();
    for reason in [EndReason::ParametersChanged, EndReason::Disconnected, EndReason::Stopped] {
        assert!(ends.contains(&reason), "{reason:?} of {ends:?}");
    }
    assert!(!ends.contains(&EndReason::Loss), "a loss and a pause end no clip: {ends:?}");
    for kind in [ObservationKind::Damaged, ObservationKind::Pause, ObservationKind::Disconnected] {
        assert!(observed.iter().any(|seen| seen.kind == kind), "{kind:?} of {observed:?}");
    }
    // A camera that is silent has a clock that is right.
    assert!(observed.iter().all(|seen| seen.kind != ObservationKind::TimeJump), "{observed:?}");
    assert!(observed.iter().any(|seen| seen.text.contains("sent nothing for")), "{observed:?}");
}

#[test]
fn a_ring_that_does_not_keep_up_costs_whole_groups_and_nothing_else() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let recording = cameras.record(1);
    seconds(5);
    // Behind a clip's first chunk: one whose first chunk is refused is not there to end.
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let into_clip = since_1970.as_nanos() % recording::CLIP.as_nanos();
    let wanted = recording::CLIP.as_nanos() * 7 / 10;
    let wait = (wanted + recording::CLIP.as_nanos() - into_clip) % recording::CLIP.as_nanos();
    std::thread::sleep(Duration::from_nanos(wait as u64));
    recording.refuse(2);
    seconds(8);
    let dropped = recording.status().dropped.losses();
    let (clips, observed) = recording.finish();
    assert_exact(&cameras, &clips);
    assert_on_the_wall(&clips, 0);
    assert!(dropped > 0);
    assert!(clips.iter().any(|clip| clip.end.is_some_and(|end| end.0 == EndReason::Loss)));
    assert!(observed.iter().any(|seen| seen.kind == ObservationKind::Dropped));
}

/// The error that a recorder shows after its first attempt at a URL.
fn first_error(url: &str, password: Option<&str>) -> String {
    let recording = Recording::start(url, password.map(|word| ("viewer", word)));
    for _ in 0..200 {
        if let State::Waiting { error, .. } = recording.status().state {
            return error;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{url}: {:?}", recording.status());
}

/// A server that offers pictures in a coding that no camera sends, and sound.
fn vp8_camera() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its number");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a client");
            let mut request = [0; 2048];
            let length = client.read(&mut request).expect("a request");
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let sequence = request.lines().find(|line| line.starts_with("CSeq")).expect("CSeq");
            let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n\
                         m=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=control:1\r\n\
                         m=audio 0 RTP/AVP 0\r\na=control:2\r\n";
            let head =
                format!("RTSP/1.0 200 OK\r\n{sequence}\r\nContent-Type: application/sdp\r\n");
            let answer = format!("{head}Content-Length: {}\r\n\r\n{offer}", offer.len());
            client.write_all(answer.as_bytes()).expect("an answer");
            let _ = client.read(&mut [0; 64]);
        }
    });
    format!("rtsp://{address}/")
}

#[test]
fn each_failure_is_named_in_one_line() {
    let cameras = Cameras::start(&["--auth", "viewer:secret"]);
    let url = cameras.url(1);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let garbage = listener.local_addr().expect("its number");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a client");
            let _ = client.read(&mut [0; 1024]);
            let _ = client.write_all(&[0xff; 4096]);
        }
    });
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr();
    let closed = closed.expect("its number");
    for (url, password, words) in [
        (url.clone(), Some("wrong"), "authentication failed"),
        (url.clone(), None, "authentication failed"),
        (format!("rtsp://{closed}/"), None, "can't connect to 127.0.0.1"),
        (format!("rtsp://{garbage}/"), None, "describe failed"),
        ("rtsp://no-such-host.invalid/".to_string(), None, "can't resolve host"),
        (
            vp8_camera(),
            None,
            "no H.264, H.265 or MJPEG video: the camera offers video vp8, audio pcmu",
        ),
        (format!("{url}7"), Some("secret"), "describe failed"),
    ] {
        let error = first_error(&url, password);
        assert!(error.contains(words), "{url}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let recording = Recording::start(&url, Some(("viewer", "secret")));
    seconds(4);
    assert_eq!(recording.status().state, State::Recording);
    drop(recording.stop());
}
