//! Whatever a camera says, sends, or fails to send: it costs bounded memory and space, a line or
//! two in the log with its name, and no one else a frame. On a real daemon.

#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/odd_camera.rs"]
mod odd_camera;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clips::{assert_plays, clips_of, frames, mkvmerge_tracks_but};
use daemon::{Daemon, Site, text, wait_until};
use odd_camera::footage::{
    is_key, of_short_groups, of_two_picture_sets, of_two_sequence_sets, plain, with_number,
};
use odd_camera::{OddCamera, Oddity, Packet, RATE, Request, Timeout, Units};

/// In a log, with its time and its origin before it, and an address in it.
const LINE_LETTERS_MAX: usize = 350;
/// What turns a line around, ends it, or colours it, and a great deal of it.
fn unfit_words() -> String {
    "\u{1b}[31mred\u{202e}tfel\u{7}\u{9b}2J\u{200b} ".repeat(2_500)
}

fn of_description(change: impl Fn(String) -> String + Send + Sync + 'static) -> Oddity {
    Oddity { description: Box::new(change), ..Oddity::default() }
}

/// With a header in each answer.
fn with_header(header: String) -> Oddity {
    let answer = move |_: &Request, answer: String| {
        let (first, rest) = answer.split_once("\r\n").expect("a status line");
        format!("{first}\r\n{header}\r\n{rest}").into_bytes()
    };
    Oddity { answer: Box::new(answer), ..Oddity::default() }
}

/// One picture in fifty has so many bytes more.
fn of_large_pictures(bytes: usize) -> Oddity {
    let units = move |frame: u64, mut units: Units| {
        if frame % 50 == 30 {
            units.last_mut().expect("a slice").extend(vec![0x55; bytes]);
        }
        units
    };
    Oddity { units: Box::new(units), ..Oddity::default() }
}

/// With each key frame a PPS that is another one, and so long.
fn of_new_sets(bytes: usize) -> Oddity {
    let units = move |frame: u64, mut units: Units| {
        if is_key(&units) {
            units[1].extend((frame as u32 | 0x0101_0101).to_be_bytes());
            units[1].extend(vec![0x55; bytes]);
        }
        units
    };
    Oddity { units: Box::new(units), footage: of_short_groups, ..Oddity::default() }
}

/// The same with a long SPS, which comes once.
fn of_new_sets_and_a_long_one() -> Oddity {
    let units = move |frame: u64, mut units: Units| {
        if is_key(&units) {
            units[1].extend((frame as u32 | 0x0101_0101).to_be_bytes());
            match frame {
                0 => units[0].extend(vec![0x55; 60_000]),
                _ => drop(units.remove(0)),
            }
        }
        units
    };
    Oddity { units: Box::new(units), footage: of_short_groups, ..Oddity::default() }
}

/// With each key frame one more PPS, of another number, and long.
fn of_more_and_more_sets() -> Oddity {
    let units = move |frame: u64, mut units: Units| {
        if is_key(&units) {
            let mut more = with_number(&units[1], 1 + (frame / 5 % 255) as u8);
            more.extend(vec![0x55; 8_000]);
            units.insert(2, more);
        }
        units
    };
    Oddity { units: Box::new(units), footage: of_short_groups, ..Oddity::default() }
}

/// All four seconds a session ends: what could keep it is refused.
fn unkept() -> Oddity {
    let answer = |request: &Request, answer: String| match request.is_keep_alive() {
        true => answer.replace("200 OK", "405 Method Not Allowed").into_bytes(),
        false => answer.into_bytes(),
    };
    let timeout = Timeout { length: Duration::from_secs(4), renewed_by: |_| false };
    let timeout = Some(timeout);
    Oddity { answer: Box::new(answer), timeout, is_live: true, ..Oddity::default() }
}

fn without_key_frames() -> Oddity {
    let units = |_, units: Units| match is_key(&units) {
        true => vec![vec![9, 0xF0]],
        false => units,
    };
    Oddity { units: Box::new(units), ..Oddity::default() }
}

/// A daemon that records odd cameras, each under its name.
fn site(cameras: &BTreeMap<&str, OddCamera>) -> Site {
    let mut site = Site::new("512M");
    for (name, camera) in cameras {
        site.add_camera(name, &camera.url(), "");
    }
    site
}

fn started(oddities: Vec<(&'static str, Oddity)>) -> BTreeMap<&'static str, OddCamera> {
    oddities.into_iter().map(|(name, oddity)| (name, OddCamera::start(oddity))).collect()
}

/// Lines of the log that are about a camera; that clips are closed is about the ring.
fn lines<'a>(log: &'a str, name: &str) -> Vec<&'a str> {
    let named = format!("{name}: ");
    log.lines().filter(|line| line.contains(&named) && !line.contains(" is closed: ")).collect()
}

/// The log is fit for a terminal, and says of each camera what there is to say in a few lines.
fn assert_readable(log: &str, cameras: &BTreeMap<&str, OddCamera>) {
    for line in log.lines() {
        let letters = line.chars().count();
        assert!(letters <= LINE_LETTERS_MAX, "a line of {letters} letters: {}", &line[..200]);
        let is_unfit = |letter: char| letter.is_control() || "\u{202e}\u{200b}".contains(letter);
        assert!(!line.contains(is_unfit), "{}", line.escape_debug());
        assert!(line.contains(" reelfs::") || line.contains(" reelfs]"), "not ours: {line}");
    }
    for name in cameras.keys() {
        let lines = lines(log, name);
        assert!(lines.len() <= 10, "{} lines of {name}:\n{}", lines.len(), lines.join("\n"));
    }
}

/// The camera that has nothing odd about it was recorded from its first frame on.
fn assert_undisturbed(daemon: &Daemon, name: &str, camera: &OddCamera) {
    let (sent, said) = (camera.sent(), daemon.camera(name));
    let stored = said["frames"].as_u64().expect("a number");
    // What is in the chunk that grows is not handed over yet.
    assert!(stored + 3 * RATE > sent, "{name}: {stored} of {sent} frames: {said}");
    assert_eq!((said["lost_packets"].as_u64(), said["reconnects"].as_u64()), (Some(0), Some(0)));
    let dropped = said["dropped"].as_object().expect("by reason");
    assert!(dropped.values().all(|count| count == 0), "{dropped:?}");
}

#[test]
fn what_is_larger_than_it_has_reason_to_be_is_refused_by_its_limit_and_costs_no_other() {
    let filler = |bytes: usize| "a=x-filler:".to_owned() + &"z".repeat(bytes) + "\r\n";
    let many = "m=audio 0 RTP/AVP 0\r\na=control:x\r\n".repeat(3_000);
    let cameras = started(vec![
        ("good", Oddity::default()),
        ("head", with_header(format!("X-Filler: {}", "z".repeat(65 << 10)))),
        ("description", of_description(move |text| text + &filler(1_000).repeat(260))),
        ("media", of_description(move |text| text + &many)),
        ("picture", of_large_pictures(9 << 20)),
        ("block", of_large_pictures(1_200 << 10)),
    ]);
    let site = site(&cameras);
    let daemon = site.run();
    let before = daemon.kernel_number("VmRSS") >> 10;
    std::thread::sleep(Duration::from_secs(12));
    assert_undisturbed(&daemon, "good", &cameras["good"]);
    let (log, peak) = (daemon.log(), daemon.kernel_number("VmHWM") >> 10);
    println!("{before} MiB at first, {peak} MiB at most");
    for (name, size) in [("head", "64 KiB"), ("description", "256 KiB"), ("picture", "MiB")] {
        let lines = lines(&log, name);
        let names_it = |line: &&str| line.contains("limit") && line.contains(size);
        assert!(lines.iter().any(names_it), "{name}: {lines:?}");
    }
    for name in ["media", "picture", "block"] {
        let (sent, said) = (cameras[name].sent(), daemon.camera(name));
        let stored = said["frames"].as_u64().expect("a number");
        assert!(stored > sent / 3, "{name}: {stored} of {sent} frames: {said}");
        assert_eq!(said["reconnects"], 0, "{name}");
    }
    assert!(peak < before + 64 * cameras.len() as u64, "{peak} MiB");
    assert_readable(&log, &cameras);
    daemon.stop();
}

#[test]
fn words_of_a_camera_are_a_line_with_its_name_and_a_camera_without_key_frames_says_so() {
    let refused = |_: &Request, answer: String| {
        let status = format!("404 {}", unfit_words());
        answer.replace("200 OK", &status).into_bytes()
    };
    let nonsense = |request: &Request, answer: String| match request.method.as_str() {
        "DESCRIBE" => unfit_words().into_bytes(),
        _ => answer.into_bytes(),
    };
    let unknown = |text: String| {
        text.replace("H264/90000", &format!("{}/90000", &unfit_words()[..3_000].replace(' ', "-")))
    };
    let named = move |text: String| {
        text.replace("s=camera", &format!("s={0}\r\na=tool:{0}", unfit_words()))
    };
    let cameras = started(vec![
        ("good", Oddity::default()),
        ("reason", Oddity { answer: Box::new(refused), ..Oddity::default() }),
        ("nonsense", Oddity { answer: Box::new(nonsense), ..Oddity::default() }),
        ("server", with_header(format!("Server: {}", &unfit_words()[..50_000]))),
        ("tool", of_description(named)),
        ("coding", of_description(unknown)),
        ("keyless", without_key_frames()),
        ("unkept", unkept()),
    ]);
    let site = site(&cameras);
    let daemon = site.run();
    std::thread::sleep(Duration::from_secs(14));
    // An answer that never comes is waited for.
    wait_until("noise", 10, || !lines(&daemon.log(), "nonsense").is_empty());
    assert_undisturbed(&daemon, "good", &cameras["good"]);
    let log = daemon.log();
    for name in cameras.keys() {
        println!("{name}: {:?}", lines(&log, name));
    }
    for name in ["reason", "nonsense", "coding"] {
        assert!(!lines(&log, name).is_empty(), "{name} is not recorded, and nobody says why");
    }
    for name in ["server", "tool"] {
        assert_undisturbed(&daemon, name, &cameras[name]);
    }
    let unkept = lines(&log, "unkept");
    assert!(unkept.len() <= 3, "said once: {unkept:?}");
    let waiting = "waiting for a key frame";
    let said = daemon.camera("keyless");
    assert!(said.to_string().contains(waiting), "{said}");
    assert_ne!(said["state"], "recording");
    let told = lines(&log, "keyless").into_iter().filter(|line| line.contains("key frame"));
    assert_eq!(told.count(), 1, "{log}");
    assert_readable(&log, &cameras);
    daemon.stop();
}

#[test]
fn parameter_sets_that_change_with_each_key_frame_are_few_clips_and_take_no_more_space() {
    let cameras = started(vec![
        ("constant", Oddity { footage: of_short_groups, ..Oddity::default() }),
        ("sets", of_new_sets(8)),
        ("large", of_new_sets(64_000)),
        ("long", of_new_sets_and_a_long_one()),
        ("many", of_more_and_more_sets()),
    ]);
    let site = site(&cameras);
    let daemon = site.run();
    std::thread::sleep(Duration::from_secs(14));
    let log = daemon.log();
    let clips = |name| clips_of(&site.mount(), name).len();
    let counted = ["constant", "sets", "large", "long", "many"].map(clips);
    println!("closed clips: {counted:?}");
    assert!(counted.iter().all(|count| *count <= counted[0] + 2), "{counted:?}");
    for name in ["sets", "large", "long", "many"] {
        assert_undisturbed(&daemon, name, &cameras[name]);
    }
    let sent = |name: &str| cameras[name].sent_bytes();
    let sent: BTreeMap<&str, u64> = cameras.keys().map(|name| (*name, sent(name))).collect();
    daemon.stop();
    let config = site.config();
    let output = site.reelfs(&["status", "--json", "--config", text(&config)]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut wrong = Vec::new();
    for camera in status["cameras"].as_array().expect("a list") {
        let name = camera["name"].as_str().expect("a name");
        let (used, sent) = (camera["used_bytes"].as_u64().expect("bytes"), sent[name]);
        println!("{name}: {sent} bytes came, {used} are taken");
        if used == 0 || used > 2 * sent {
            wrong.push(format!("{name}: {sent} bytes came, {used} are taken"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_readable(&log, &cameras);
}

#[test]
fn parameter_sets_of_several_ids_are_all_kept_and_every_judge_decodes_the_clips() {
    let behind = |_, mut units: Units| {
        if is_key(&units) {
            units.push(vec![6, 6, 1, 0xC4, 0x80]);
        }
        units
    };
    let of = |footage| Oddity { footage, ..Oddity::default() };
    let cameras = started(vec![
        ("one", of(plain)),
        ("pictures", of(of_two_picture_sets)),
        ("sequences", of(of_two_sequence_sets)),
        ("trailing", Oddity { units: Box::new(behind), ..Oddity::default() }),
    ]);
    let site = site(&cameras);
    let daemon = site.run();
    std::thread::sleep(Duration::from_secs(8));
    daemon.stop();
    // A clip that ended is closed, and is there; no other begins.
    let names: Vec<&str> = cameras.keys().copied().collect();
    drop(cameras);
    let daemon = site.run();
    let clips = |name: &str| clips_of(&site.mount(), name);
    let counted = clips("one").len();
    for name in names {
        let clips = clips(name);
        println!("{name}: {} clips", clips.len());
        assert!((counted..counted + 2).contains(&clips.len()), "{name}: {} clips", clips.len());
        let paths: Vec<PathBuf> = clips.iter().map(|clip| site.mount().join(clip)).collect();
        let found = frames(&paths);
        let numbers: Vec<u64> = found.iter().map(|frame| frame.number).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{name}: {numbers:?}");
        let mut demuxed = 0;
        for path in &paths {
            assert_plays(path);
            // It takes one decoder configuration, and warns where a clip has learned another.
            let tracks = mkvmerge_tracks_but(path, Some("more than one FourCC"));
            demuxed += tracks[0].times.len();
        }
        assert_eq!(demuxed, found.len(), "{name}: another demuxer finds others");
    }
    daemon.stop();
}

/// Answers nothing to TEARDOWN, and sends what is of no session before its answers, as one does
/// that mixes its clients up; from its tenth frame on it is another source, too.
fn broken() -> Oddity {
    let stray = |channel: u8| [&[b'$', channel, 0, 12, 0x80, 96][..], &[0; 10]].concat();
    let answer = move |request: &Request, answer: String| match request.method.as_str() {
        "TEARDOWN" => Vec::new(),
        "DESCRIBE" | "SETUP" | "PLAY" => [stray(0), stray(4), answer.into_bytes()].concat(),
        _ => answer.into_bytes(),
    };
    let packets = |frame, mut packets: Vec<Packet>| {
        packets.iter_mut().for_each(|packet| packet.ssrc += u32::from(frame >= 10));
        packets
    };
    Oddity { answer: Box::new(answer), packets: Box::new(packets), ..Oddity::default() }
}

/// Not understood from its tenth frame on.
fn noisy() -> Oddity {
    let bytes = |frame, bytes| if frame < 10 { bytes } else { b"RTSP/1.0 2x0 no\r\n".to_vec() };
    Oddity { bytes: Box::new(bytes), ..broken() }
}

#[test]
fn a_broken_camera_delays_no_neighbour_at_its_address() {
    let again = || Oddity { frames_max: Some(6 * RATE), ..Oddity::default() };
    let mut cameras = started(vec![("broken", broken()), ("noisy", noisy()), ("alone", again())]);
    // Another channel of the recorder that is broken.
    let channel = cameras["broken"].neighbour("channel", again());
    cameras.insert("channel", channel);
    let site = site(&cameras);
    let daemon = site.run();
    std::thread::sleep(Duration::from_secs(14));
    for name in ["alone", "channel"] {
        let (sessions, closed) = (cameras[name].connections(), cameras[name].closed());
        println!("{name}: {} connections, closed {} times", sessions.len(), closed.len());
        assert!(!closed.is_empty(), "{name}: closed {} times", closed.len());
        for (at, closed) in closed.iter().enumerate() {
            let next = sessions.get(at + 1).copied().unwrap_or_else(SystemTime::now);
            let away = next.duration_since(*closed).expect("it is in order");
            assert!(away < Duration::from_millis(1_500), "{name}: away for {away:?}");
        }
    }
    daemon.stop();
}
