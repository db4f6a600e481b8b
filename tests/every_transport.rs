//! However a camera wants to be reached and kept: its transport, its logins, where it sends one to,
//! and how long its sessions last. Those of one test are recorded at once.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/frames.rs"]
mod frames;
#[path = "support/losses.rs"]
mod losses;
#[path = "support/odd_camera.rs"]
mod odd_camera;
#[path = "support/odd_recordings.rs"]
mod odd_recordings;
#[path = "support/recording.rs"]
#[allow(dead_code, reason = "each test file uses its own part of this")]
mod recording;

use std::sync::Mutex;
use std::time::Duration;

use losses::{Account, Codec, judge_losses, losing};
use odd_camera::coded::Coded;
use odd_camera::footage::sliced;
use odd_camera::{GROUP, Login, OddCamera, Oddity, Packet, Request, Timeout};
use odd_recordings::{AtWork, LENGTH, Seen, judge, record};

/// Over UDP, with changed packets.
fn datagrams(change: impl Fn(u64, Vec<Packet>) -> Vec<Packet> + Send + Sync + 'static) -> Oddity {
    Oddity { udp_only: true, packets: Box::new(change), ..Oddity::default() }
}

/// Over TCP, with changed packets.
fn interleaved(change: impl Fn(u64, Vec<Packet>) -> Vec<Packet> + Send + Sync + 'static) -> Oddity {
    Oddity { packets: Box::new(change), ..Oddity::default() }
}

/// Some packets come behind those that follow them, within a frame and beyond it; but not in the
/// first frame, which tells where the count begins.
fn out_of_order() -> impl Fn(u64, Vec<Packet>) -> Vec<Packet> {
    let held: Mutex<Vec<Packet>> = Mutex::default();
    move |frame, mut packets| {
        if frame == 0 {
            return packets;
        }
        packets.chunks_mut(3).for_each(<[Packet]>::reverse);
        let mut held = held.lock().expect("nobody died");
        let late = std::mem::take(&mut *held);
        if frame % 7 == 3 {
            held.extend(packets.pop());
        }
        let at = packets.len().min(1);
        packets.splice(at..at, late);
        packets
    }
}

/// Each packet comes again, some of them behind others.
fn twice_and_out_of_order() -> impl Fn(u64, Vec<Packet>) -> Vec<Packet> {
    let mixed = out_of_order();
    move |frame, packets| {
        let mut packets = mixed(frame, packets);
        packets = packets.into_iter().flat_map(|packet| [packet.clone(), packet]).collect();
        packets.chunks_mut(4).for_each(|four| four.swap(0, 1));
        let last = packets.len() - 1;
        packets.swap(last / 2, (last / 2 + 1).min(last));
        packets
    }
}

#[test]
fn what_arrives_whole_over_a_network_that_loses_packets_is_kept_and_the_rest_counted() {
    // So many of a thousand, at such a rate: in twelve seconds some are lost of each.
    let ways = [
        ("H.264, 0.1 %", Codec::H264, 1, 240, true),
        ("H.264, 1 %", Codec::H264, 10, 60, true),
        ("H.264, 5 %", Codec::H264, 50, 60, true),
        ("H.264, 5 %, what is relayed over TCP", Codec::H264, 50, 60, false),
        ("H.265, 0.1 %", Codec::H265, 1, 240, true),
        ("H.265, 1 %", Codec::H265, 10, 60, true),
        ("H.265, 5 %", Codec::H265, 50, 60, true),
        ("H.265, 5 %, what is relayed over TCP", Codec::H265, 50, 60, false),
        ("MJPEG, 0.1 %", Codec::Jpeg, 1, 60, true),
        ("MJPEG, 1 %", Codec::Jpeg, 10, 25, true),
        ("MJPEG, 5 %", Codec::Jpeg, 50, 25, true),
        ("MJPEG, 5 %, what is relayed over TCP", Codec::Jpeg, 50, 25, false),
    ];
    let accounts: Vec<Account> = ways.iter().map(|_| Account::default()).collect();
    let cameras = ways.iter().zip(&accounts).map(|((name, codec, lost, rate, is_udp), account)| {
        let udp_only = *is_udp;
        let oddity = interleaved(losing(*codec, *lost, account));
        let oddity = Oddity { rate: *rate, udp_only, ..oddity };
        let oddity = match codec {
            Codec::H264 if *lost == 50 => Oddity { footage: sliced, ..oddity },
            Codec::H264 => oddity,
            Codec::H265 => Coded::h265().sent_by(oddity),
            Codec::Jpeg => Coded::jpeg().sent_by(oddity),
        };
        (*name, oddity)
    });
    let seen = record(cameras.collect());
    let mut wrong = Vec::new();
    for (((name, codec, _, rate, _), (_, seen)), account) in ways.iter().zip(&seen).zip(&accounts) {
        print!("{name}: ");
        let sent = account.lock().expect("nobody died");
        let judged = judge_losses(*codec, seen, &sent, *rate as usize);
        let judged = judged.and_then(|()| seen.is_in_one_session());
        wrong.extend(judged.err().map(|why| format!("{name}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn packets_in_any_order_and_twice_are_recorded_over_udp_where_tcp_is_refused_and_over_tcp() {
    let twice = |_, packets: Vec<Packet>| {
        packets.into_iter().flat_map(|packet| [packet.clone(), packet]).collect()
    };
    // One of a P-frame: the rest of its group is of no use.
    let lossy = |frame, mut packets: Vec<Packet>| {
        if frame == 2 * GROUP + 10 {
            packets.pop();
        }
        packets
    };
    // One of many of a key frame: the same.
    let lossy_key = |frame, mut packets: Vec<Packet>| {
        if frame == 2 * GROUP {
            packets.remove(packets.len() / 2);
        }
        packets
    };
    let late = |frame: u64, mut packets: Vec<Packet>| {
        // Of a number that is far behind, as of a session that is over.
        if frame % 50 == 20 {
            let old = packets[0].clone();
            packets.push(Packet { sequence: old.sequence.wrapping_sub(3_000), ..old });
        }
        packets
    };
    let seen = record(vec![
        ("in order", datagrams(|_, packets| packets)),
        ("out of order", datagrams(out_of_order())),
        ("each twice", datagrams(twice)),
        ("late ones", datagrams(late)),
        ("out of order, TCP", interleaved(out_of_order())),
        ("each twice and out of order, TCP", interleaved(twice_and_out_of_order())),
        ("one is lost", datagrams(lossy)),
        ("one of a key frame is lost", datagrams(lossy_key)),
    ]);
    judge(&seen, |seen| {
        let lost = seen.sent - seen.frames.len() as u64;
        seen.is_undisturbed(1)?;
        let last = seen.clips.last().ok_or("nothing is stored")?;
        let reaches = last.samples.last().and_then(|sample| frames::stamp(&sample.data));
        let reaches = reaches.ok_or("no mark")?.frame + 2 * GROUP > seen.sent;
        reaches.then_some(()).ok_or(format!("it ended, {lost} lost"))
    });
    for (name, seen) in &seen[..6] {
        assert_eq!(seen.is_whole(0), Ok(()), "{name}");
        assert_eq!(seen.status.lost_packets, 0, "{name}");
    }
    for (name, seen) in &seen[6..] {
        assert_eq!(seen.marks_damage(), Ok(1), "{name}: one frame is missing");
        assert_eq!(seen.status.lost_packets, 1, "{name}");
    }
}

/// One that sends its clients on, with the answer to a method.
fn moved(method: &'static str, status: &'static str, to: String) -> Oddity {
    let answer = move |request: &Request, answer: String| {
        if request.method != method || answer.contains(" 401 ") {
            return answer.into_bytes();
        }
        let cseq = request.header("cseq");
        format!("RTSP/1.0 {status}\r\nCSeq: {cseq}\r\nLocation: {to}\r\n\r\n").into_bytes()
    };
    Oddity { answer: Box::new(answer), ..Oddity::default() }
}

fn was_told_a_password(camera: &OddCamera) -> bool {
    camera.requests().iter().any(|request| !request.header("authorization").is_empty())
}

#[test]
fn a_camera_that_has_moved_is_followed_five_times_and_told_no_password_of_another_host() {
    let there = OddCamera::start(Oddity::default());
    let mut hops = vec![there.neighbour("hop", moved("DESCRIBE", "302 Found", there.url()))];
    for number in 1..6 {
        let to = hops[number - 1].url();
        let hop = moved("DESCRIBE", "301 Moved Permanently", to);
        hops.push(there.neighbour(&format!("hop{number}"), hop));
    }
    let relative = there.neighbour("moved", moved("DESCRIBE", "302 Found", "/stream".to_owned()));
    let round = there.url().replace("stream", "round");
    let round = there.neighbour("round", moved("DESCRIBE", "302 Found", round));
    let elsewhere = there.neighbour("web", moved("DESCRIBE", "302 Found", "http://x/".to_owned()));
    // Two that ask for a password, and send on to others that do so, too.
    let asking = |oddity| Oddity { login: Some(Login::Basic), ..oddity };
    let same_host = OddCamera::start(asking(Oddity::default()));
    let other_host = OddCamera::start_at("127.0.0.2", asking(Oddity::default()));
    let to = |camera: &OddCamera| asking(moved("DESCRIBE", "302 Found", camera.url()));
    let to_same = same_host.neighbour("same", to(&same_host));
    let to_other = same_host.neighbour("other", to(&other_host));
    let sixth = hops.pop().expect("the last one");
    let fifth = hops.pop().expect("the one before");
    let _others = hops;
    let at_work = [fifth, sixth, relative, round, elsewhere].map(|it| AtWork::begin(it, false));
    let with_login = [to_same, to_other].map(|it| AtWork::begin(it, true));
    std::thread::sleep(LENGTH / 2);
    let [fifth, sixth, relative, round, elsewhere] = at_work.map(AtWork::end);
    let [to_same, to_other] = with_login.map(AtWork::end);
    let stored = |seen: &Seen| seen.clips.iter().map(|clip| clip.samples.len()).sum::<usize>();
    assert!(stored(&fifth) > 80, "five are followed: {}", stored(&fifth));
    assert_eq!(stored(&sixth), 0, "and no more");
    assert!(stored(&relative) > 80, "a path alone: {}", stored(&relative));
    assert!(round.requests.len() < 40, "asked {} times", round.requests.len());
    assert_eq!(stored(&elsewhere), 0);
    assert!(stored(&to_same) > 80, "the same host is told the password: {}", stored(&to_same));
    assert!(was_told_a_password(&same_host));
    assert_eq!(stored(&to_other), 0);
    assert!(!other_host.requests().is_empty(), "it is asked");
    assert!(!was_told_a_password(&other_host), "without the password");
}

fn digest(algorithm: &'static str, has_qop: bool) -> Login {
    let nonce_age_max = Duration::from_secs(3);
    Login::Digest { algorithm, has_qop, nonce_age_max, says_stale: true }
}

/// All four seconds a session wants to be renewed, by one of the requests that it says.
fn renewed_by(renewed_by: fn(&Request) -> bool) -> Oddity {
    let timeout = Timeout { length: Duration::from_secs(4), renewed_by };
    Oddity { timeout: Some(timeout), is_live: true, ..Oddity::default() }
}

/// The same of one method alone: the others are refused.
fn renewed_with(method: &'static str, renewed: fn(&Request) -> bool) -> Oddity {
    let answer = move |request: &Request, answer: String| {
        let is_refused = request.is_keep_alive() && request.method != method;
        let refused = answer.replace("200 OK", "405 Method Not Allowed");
        if is_refused { refused } else { answer }.into_bytes()
    };
    Oddity { answer: Box::new(answer), ..renewed_by(renewed) }
}

/// Frames from the first to the last one that are not stored.
fn missing(seen: &Seen) -> u64 {
    let (first, last) = (seen.frames.keys().next(), seen.frames.keys().last());
    let range = first.zip(last).map_or(0, |(first, last)| last - first + 1);
    range - seen.frames.len() as u64
}

#[test]
fn a_session_is_kept_by_whatever_the_camera_takes() {
    let any: fn(&Request) -> bool = |_| true;
    let with_login = |login| Oddity { login: Some(login), ..renewed_by(any) };
    let silent = Login::Digest {
        algorithm: "",
        has_qop: false,
        nonce_age_max: Duration::from_secs(3),
        says_stale: false,
    };
    let seen = record(vec![
        ("anything", renewed_by(any)),
        ("OPTIONS", renewed_with("OPTIONS", |it| it.method == "OPTIONS")),
        ("GET_PARAMETER", renewed_with("GET_PARAMETER", |it| it.method == "GET_PARAMETER")),
        ("SET_PARAMETER", renewed_with("SET_PARAMETER", |it| it.method == "SET_PARAMETER")),
        ("Basic", with_login(Login::Basic)),
        ("Digest", with_login(digest("", false))),
        ("MD5", with_login(digest("MD5", true))),
        ("SHA-256", with_login(digest("SHA-256", true))),
        ("SHA-256 of old", with_login(digest("SHA-256", false))),
        ("another nonce, without a word", with_login(silent)),
    ]);
    judge(&seen, |seen| {
        seen.is_undisturbed(0)?;
        match missing(seen) {
            0 => Ok(()),
            missing => Err(format!("{missing} frames are missing")),
        }
    });
}

#[test]
fn a_session_that_nothing_keeps_is_renewed_before_it_ends() {
    let never: fn(&Request) -> bool = |_| false;
    let anew = Oddity { is_live: false, ..renewed_with("NOTHING", never) };
    let gone = |request: &Request, answer: String| match request.is_keep_alive() {
        true => answer.replace("200 OK", "454 Session Not Found").into_bytes(),
        false => answer.into_bytes(),
    };
    let gone = Oddity { answer: Box::new(gone), ..renewed_by(|_| true) };
    let six_seconds = Timeout { length: Duration::from_secs(6), renewed_by: never };
    let single = renewed_with("NOTHING", never);
    let single = Oddity { clients_max: 1, timeout: Some(six_seconds), ..single };
    let seen = record(vec![
        ("all is refused", renewed_with("NOTHING", never)),
        ("nothing is heard", renewed_by(never)),
        ("the session is said to be gone", gone),
        ("one client at a time", single),
        ("each client has pictures of its own", anew),
    ]);
    // Of two sessions with pictures of their own those of one are stored.
    judge(&seen, |seen| seen.is_whole(seen.sent / 3));
    let live = &seen[..4];
    let missing: Vec<u64> = live.iter().map(|(_, seen)| missing(seen)).collect();
    println!("missing: {missing:?}");
    assert_eq!((missing[0], missing[2]), (0, 0), "another session begins before this one ends");
    // What ends in spite of its keep-alives does so once by surprise, what allows no other is
    // followed by one: from the next key frame on.
    assert!(missing[1] <= 2 * GROUP && missing[3] <= 4 * GROUP, "{missing:?}");
}
