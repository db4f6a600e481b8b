//! The sound of a camera and its records come whole beside its pictures, by the clock that both
//! have in common, and whatever is wrong with them does not disturb the pictures.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/odd_camera.rs"]
mod odd_camera;

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use claxon::FlacReader;
use odd_camera::beside::{self, Medium, UNIT, byte, record, unit};
use odd_camera::{OddCamera, Oddity, Packet, RATE, Request, Timeout};
use reelfs::camera::{Camera, Frame, Hosts, Received, SessionFacts, Sound, Transport, connect};
use reelfs::clock::{Clock, SystemClock};
use reelfs::segment::{Codec, ParameterSet};
use reelfs::units::Ticks;

/// How long a session is listened to.
const LENGTH: Duration = Duration::from_secs(5);
/// Frames of pictures that may be under way at the end of one.
const UNDER_WAY: usize = 15;
/// What two tracks are told to be off by at most, where they are not.
const APART_NANOS_MAX: i64 = 2_000_000;

/// What came of a camera: frames by the number of their track.
struct Heard {
    tracks: BTreeMap<u8, Vec<Frame>>,
    facts: SessionFacts,
}

/// Listens to a camera for so long, over as many sessions as it takes.
async fn listen(camera: Camera, length: Duration) -> Heard {
    let (hosts, until) = (Arc::new(Hosts::default()), Instant::now() + length);
    let mut heard = Heard { tracks: BTreeMap::new(), facts: SessionFacts::default() };
    while Instant::now() < until {
        let Ok(mut frames) = connect(&camera, &hosts, Arc::new(SystemClock::new())).await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, frames.next()).await {
                Ok(Ok(Received::Frame(frame))) => {
                    heard.tracks.entry(frame.track.0).or_default().push(frame);
                }
                Ok(Ok(Received::NoBeginning(why))) => println!("{why}"),
                Ok(Err(error)) => {
                    println!("{error}");
                    break;
                }
                Err(_) => break,
            }
        }
        heard.facts = frames.facts();
        frames.close().await;
    }
    heard
}

/// The same of several at once.
fn listen_to(cameras: &[(OddCamera, Transport)], length: Duration) -> Vec<Heard> {
    let cameras = cameras.iter().map(|(camera, transport)| {
        let camera = Camera::new("test", &camera.url(), None, None).expect("a camera");
        camera.with_transport(*transport)
    });
    listen_to_all(cameras.collect(), length)
}

fn listen_to_all(cameras: Vec<Camera>, length: Duration) -> Vec<Heard> {
    let _ = env_logger::builder().is_test(true).try_init();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let tasks: Vec<_> =
            cameras.into_iter().map(|it| tokio::spawn(listen(it, length))).collect();
        let mut heard = Vec::new();
        for task in tasks {
            heard.push(task.await.expect("nobody died"));
        }
        heard
    })
}

impl Heard {
    fn sound(&self) -> &[Frame] {
        self.tracks.get(&1).map_or(&[], Vec::as_slice)
    }

    fn records(&self) -> &[Frame] {
        self.tracks.get(&2).map_or(&[], Vec::as_slice)
    }

    /// Pictures are all there, and what follows one is the next one.
    fn pictures_are_whole(&self, camera: &OddCamera) -> Result<(), String> {
        let pictures = self.tracks.get(&0).map_or(&[][..], Vec::as_slice);
        let (stored, sent) = (pictures.len(), camera.sent() as usize);
        let steps = pictures.windows(2).map(|pair| pair[1].pts - pair[0].pts);
        let odd = steps.filter(|step| *step != 90_000 / RATE as i64).count();
        let is_whole = stored + UNDER_WAY >= sent && stored > 50 && odd == 0;
        is_whole.then_some(()).ok_or(format!("{stored} of {sent} pictures, {odd} odd steps"))
    }

    fn set(&self) -> ParameterSet {
        let mut parameters = self.sound().iter().filter_map(|frame| frame.parameters.as_ref());
        let parameters = parameters.next().expect("the first frame says what decodes it");
        ParameterSet::decode(&parameters.encoded).expect("a set")
    }

    /// Where frames of sound do not go on as the one before says.
    fn seams(&self) -> Vec<(i64, u32)> {
        let seams = self.sound().windows(2).filter_map(|pair| {
            let end = pair[0].pts + i64::from(pair[0].duration.expect("sound has a length"));
            (end != pair[1].pts).then_some((pair[1].pts - end, pair[1].lost_packets))
        });
        seams.collect()
    }

    /// The samples, which come back from what a clip holds of them.
    fn samples(&self) -> Vec<i16> {
        let pcm: Vec<u8> = self.sound().iter().flat_map(|frame| frame.data.clone()).collect();
        let samples = pcm.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]]));
        let samples: Vec<i16> = samples.collect();
        let stream = self.flac(&pcm);
        let mut reader = FlacReader::new(&stream[..]).expect("FLAC");
        let decoded = reader.samples().map(|sample| sample.expect("a sample") as i16);
        assert!(decoded.eq(samples.iter().copied()), "FLAC of other samples");
        assert!(ffmpeg(&[], &stream) == samples, "two decoders agree");
        samples
    }

    fn flac(&self, pcm: &[u8]) -> Vec<u8> {
        let parameters = self.sound()[0].parameters.as_ref().expect("with the first frame");
        let Some(Sound::Pcm(coder)) = &parameters.sound else { panic!("no samples") };
        let mut stream = [b"fLaC", &self.set().configuration[..]].concat();
        let frames = coder.code(pcm, 0);
        assert!(frames.iter().all(|(ticks, _)| ticks * 1000 / coder.sample_rate() <= 128));
        frames.iter().for_each(|(_, frame)| stream.extend(frame));
        stream
    }
}

/// Bytes as ffmpeg decodes them: of a format, to samples of 16 bits.
fn ffmpeg(format: &[&str], bytes: &[u8]) -> Vec<i16> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sound");
    std::fs::write(&file, bytes).expect("it is written");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error"]).args(format).arg("-i").arg(&file);
    let command = command.args(["-f", "s16le", "-c:a", "pcm_s16le", "-"]).stderr(Stdio::inherit());
    let out = command.output().expect("ffmpeg is installed");
    assert!(out.status.success());
    out.stdout.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect()
}

fn with(beside: Vec<Medium>) -> Oddity {
    Oddity { beside, ..Oddity::default() }
}

fn ulaw() -> Medium {
    beside::samples("PCMU/8000", 8000, 1)
}

/// The first byte of the samples that came, by the time of their first frame: of so many each.
fn place(heard: &Heard, width: u64) -> u64 {
    let first = heard.sound().first().expect("some came").pts;
    ((first as u32).wrapping_sub(0xffff_f000)) as u64 * width
}

#[test]
fn samples_of_every_coding_come_bit_by_bit_over_both_transports() {
    let codings: [(&str, u32, u64, &[&str]); 5] = [
        ("PCMU/8000", 8000, 1, &["-f", "mulaw", "-ar", "8000", "-ac", "1"]),
        ("PCMA/8000/1", 8000, 1, &["-f", "alaw", "-ar", "8000", "-ac", "1"]),
        ("L16/16000", 16_000, 2, &["-f", "s16be", "-ar", "16000", "-ac", "1"]),
        ("L16/44100/2", 44_100, 4, &["-f", "s16be", "-ar", "44100", "-ac", "2"]),
        ("PCMU/16000", 16_000, 1, &["-f", "mulaw", "-ar", "16000", "-ac", "1"]),
    ];
    let ways = [Transport::Tcp, Transport::Udp];
    let cameras: Vec<_> = codings
        .iter()
        .flat_map(|coding| ways.map(|way| (coding, way)))
        .map(|((map, rate, width, _), way)| {
            (OddCamera::start(with(vec![beside::samples(map, *rate, *width)])), way)
        })
        .collect();
    let heard = listen_to(&cameras, LENGTH);
    for (number, heard) in heard.iter().enumerate() {
        let (map, rate, width, format) = codings[number / 2];
        let (camera, way) = &cameras[number];
        assert_eq!(heard.pictures_are_whole(camera), Ok(()), "{map} {way:?}");
        assert_eq!(heard.set().codec, Codec::Flac);
        assert_eq!(heard.seams(), [], "{map} {way:?}");
        let samples = heard.samples();
        let first = place(heard, width);
        // Each sample has a byte or two.
        let sample_width = if map.starts_with("L16") { 2 } else { 1 };
        let behind = first + samples.len() as u64 * sample_width;
        let sent: Vec<u8> = (first..behind).map(byte).collect();
        assert!(samples == ffmpeg(format, &sent), "{map} {way:?}: other samples");
        let seconds = samples.len() as f64 / rate as f64 / (width / sample_width) as f64;
        assert!(seconds > 3.5, "{map} {way:?}: {seconds} s");
        let facts = heard.facts.sound.as_ref().expect("there is sound");
        assert_eq!((facts.sample_rate, facts.stored_as), (rate, Some("FLAC")));
    }
}

#[test]
fn units_of_aac_and_records_come_as_they_are_sent() {
    let both = || with(vec![beside::aac(), beside::records()]);
    let cameras = [Transport::Tcp, Transport::Udp].map(|way| (OddCamera::start(both()), way));
    let heard = listen_to(&cameras, LENGTH);
    for (heard, (camera, way)) in heard.iter().zip(&cameras) {
        assert_eq!(heard.pictures_are_whole(camera), Ok(()), "{way:?}");
        assert_eq!((heard.set().codec, heard.set().configuration), (Codec::Aac, vec![0x14, 0x08]));
        assert_eq!(heard.seams(), [], "{way:?}");
        let first = place(heard, 1) / UNIT;
        for (number, frame) in (first..).zip(heard.sound()) {
            assert!(frame.data == unit(number), "{way:?}: unit {number}");
        }
        assert!(heard.sound().len() > 55, "{} units", heard.sound().len());
        let first = heard.records()[0].pts as u64 / (90_000 / RATE * 5);
        for (number, frame) in (first..).zip(heard.records()) {
            assert_eq!(String::from_utf8_lossy(&frame.data), record(number), "{way:?}");
            assert_eq!((frame.pts, frame.timescale), ((number * 18_000) as i64, 90_000));
        }
        assert!(heard.records().len() > 17, "{} records", heard.records().len());
        assert_eq!(
            heard.facts.sound.as_ref().map(ToString::to_string).as_deref(),
            Some("AAC 16 kHz")
        );
    }
}

#[test]
fn packets_that_are_lost_cost_the_sound_that_was_in_them() {
    let mut lossy = ulaw();
    let all = lossy.packets;
    lossy.packets = Box::new(move |frame| {
        let mut packets = all(frame);
        if frame % 20 == 10 {
            packets.remove(1);
        }
        packets
    });
    let cameras = [(OddCamera::start(with(vec![lossy])), Transport::Udp)];
    let heard = &listen_to(&cameras, LENGTH)[0];
    let seams = heard.seams();
    assert!(seams.len() >= 4 && seams.iter().all(|seam| *seam == (160, 1)), "{seams:?}");
    let mut missing = heard.samples().into_iter();
    for frame in heard.sound() {
        let length = u64::from(frame.duration.expect("a length"));
        let first = u64::from((frame.pts as u32).wrapping_sub(0xffff_f000));
        let sent: Vec<u8> = (first..first + length).map(byte).collect();
        let wanted = ffmpeg(&["-f", "mulaw", "-ar", "8000", "-ac", "1"], &sent);
        assert!(missing.by_ref().take(length as usize).eq(wanted), "at {first}");
    }
    assert_eq!(heard.pictures_are_whole(&cameras[0].0), Ok(()));
}

fn answering(change: impl Fn(&Request, String) -> String + Send + Sync + 'static) -> Oddity {
    Oddity {
        answer: Box::new(move |request, answer| change(request, answer).into_bytes()),
        ..with(vec![ulaw()])
    }
}

/// Its sound with other packets.
fn sounding(change: impl Fn(u64, Vec<Packet>) -> Vec<Packet> + Send + Sync + 'static) -> Oddity {
    let medium = ulaw();
    let packets = medium.packets;
    let packets = Box::new(move |frame| change(frame, packets(frame)));
    with(vec![Medium { packets, ..medium }])
}

/// A report on the channel of the sound that its source leaves.
fn farewell(frame: u64, packets: Vec<Packet>) -> Vec<Packet> {
    if frame != 50 {
        return packets;
    }
    // As RTCP: the payload type of RTP is its packet type there.
    let leaves =
        Packet { channel: 1, marker: true, payload_type: 203 & 0x7f, ..packets[0].clone() };
    [packets, vec![leaves]].concat()
}

/// Whether it is about the sound.
fn is_sound(request: &Request) -> bool {
    request.url.ends_with("/track2")
}

/// Cameras with something wrong with their sound, and whether any comes.
fn odd_sounds() -> Vec<(&'static str, Oddity, bool)> {
    let refused = |status: &'static str| with(vec![Medium { refuses: Some(status), ..ulaw() }]);
    let one_channel = answering(move |request, answer| match is_sound(request) {
        true => answer.replace("interleaved=2-3", "interleaved=0-1"),
        false => answer,
    });
    // Into the channel of the pictures: two less than its own.
    let shared = sounding(|_, mut packets| {
        packets.iter_mut().for_each(|packet| packet.channel = 254);
        packets
    });
    let shared = Oddity { answer: one_channel.answer, ..shared };
    let another_channel = answering(move |request, answer| match is_sound(request) {
        true => answer.replace("interleaved=2-3", "interleaved=6-7"),
        false => answer,
    });
    let stalls = sounding(|frame, packets| if frame < 60 { packets } else { Vec::new() });
    let silent = sounding(|_, _| Vec::new());
    let anew = sounding(|frame, mut packets| {
        for packet in packets.iter_mut().filter(|_| frame >= 60) {
            packet.ssrc = 0x7777;
            packet.sequence = packet.sequence.wrapping_mul(3);
            packet.time = packet.time.wrapping_add(0x3456_7890);
        }
        packets
    });
    let lies = sounding(|frame, mut packets| {
        for packet in &mut packets {
            packet.time = packet.time.wrapping_mul(0x9e37_79b9);
            packet.payload.truncate((frame % 40) as usize * 4);
        }
        packets
    });
    let floods = sounding(|_, packets| {
        let packets = packets.iter().flat_map(|packet| vec![packet.clone(); 40]);
        packets.map(|packet| Packet { payload: vec![1; 1400], ..packet }).collect()
    });
    let back = Medium { lines: format!("{}a=sendonly\r\n", ulaw().lines), ..ulaw() };
    vec![
        ("not found", refused("404 Not Found"), false),
        ("busy", refused("453 Not Enough Bandwidth"), false),
        ("forbidden", refused("401 Unauthorized"), false),
        ("no such transport", refused("461 Unsupported Transport"), false),
        ("wants to be spoken to", with(vec![back]), false),
        ("is silent", silent, false),
        ("over one channel", shared, true),
        ("over another channel than it says", another_channel, true),
        ("stalls", stalls, true),
        ("begins anew", anew, true),
        ("lies", lies, true),
        ("floods", floods, true),
        ("leaves", sounding(farewell), true),
    ]
}

#[test]
fn whatever_is_wrong_with_sound_does_not_disturb_the_pictures() {
    let mut cameras = Vec::new();
    for (name, oddity, has_sound) in odd_sounds() {
        cameras.push((name, has_sound, (OddCamera::start(oddity), Transport::Auto)));
    }
    let pairs: Vec<_> = cameras.iter().map(|(.., (camera, _))| camera.url()).collect();
    let made = |url: &String| Camera::new("test", url, None, None).expect("a camera");
    let heard = listen_to_all(pairs.iter().map(made).collect(), LENGTH);
    let mut wrong = Vec::new();
    for (heard, (name, has_sound, (camera, _))) in heard.iter().zip(&cameras) {
        println!("{name}: {} frames of sound", heard.sound().len());
        wrong.extend(heard.pictures_are_whole(camera).err().map(|why| format!("{name}: {why}")));
        if heard.sound().is_empty() == *has_sound {
            wrong.push(format!("{name}: {} frames of sound", heard.sound().len()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    let asked = |name: &str| {
        let camera = cameras.iter().find(|it| it.0 == name).map(|it| &it.2.0).expect("it is there");
        camera.requests().iter().filter(|it| it.method == "SETUP" && is_sound(it)).count()
    };
    assert_eq!((asked("wants to be spoken to"), asked("busy")), (0, 1));
}

#[test]
fn a_camera_that_does_not_play_with_sound_plays_without_it() {
    let both = || {
        let has_sound = AtomicBool::new(false);
        answering(move |request, answer| match request.method.as_str() {
            "DESCRIBE" => {
                has_sound.store(false, Ordering::SeqCst);
                answer
            }
            "SETUP" if is_sound(request) => {
                has_sound.store(true, Ordering::SeqCst);
                answer
            }
            "PLAY" if has_sound.load(Ordering::SeqCst) => {
                answer.replace("200 OK", "500 Internal Server Error")
            }
            _ => answer,
        })
    };
    let cameras = [both(), both()].map(OddCamera::start);
    let made = |camera: &OddCamera| Camera::new("test", &camera.url(), None, None).expect("one");
    let [plain, without] = cameras.each_ref().map(made);
    let heard = listen_to_all(vec![plain, without.with_audio(false)], LENGTH);
    for ((heard, camera), asked) in heard.iter().zip(&cameras).zip([1, 0]) {
        assert_eq!(heard.pictures_are_whole(camera), Ok(()));
        assert!(heard.sound().is_empty());
        let setups = camera.requests();
        let setups = setups.iter().filter(|it| it.method == "SETUP" && is_sound(it)).count();
        assert_eq!(setups, asked, "once, and never by who wants none");
    }
}

/// What comes of so many sessions in a row with a camera of sound whose first requests to play have
/// these answers: for each whether there is sound, or why nothing plays.
fn played(statuses: &'static [&'static str], sessions: usize) -> Vec<Result<bool, String>> {
    let plays = AtomicUsize::new(0);
    let refusing = answering(move |request, answer| match request.method.as_str() {
        "PLAY" => match statuses.get(plays.fetch_add(1, Ordering::SeqCst)) {
            Some(status) => answer.replace("200 OK", status),
            None => answer,
        },
        _ => answer,
    });
    let camera = OddCamera::start(refusing);
    let made = || Camera::new("test", &camera.url(), None, None).expect("a camera");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hosts = Arc::new(Hosts::default());
    let session = |_| {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let facts = runtime.block_on(async {
            connect(&made(), &hosts, clock).await.map(|session| session.facts())
        });
        facts.map(|facts| facts.sound.is_some()).map_err(|error| error.to_string())
    };
    (0..sessions).map(session).collect()
}

#[test]
fn a_camera_that_is_busy_keeps_its_sound() {
    let sessions = played(&["503 Service Unavailable"], 2);
    assert!(sessions[0].as_ref().is_err_and(|why| why.contains("503")), "{sessions:?}");
    assert_eq!(sessions[1], Ok(true));
}

#[test]
fn a_camera_that_plays_nothing_for_a_while_has_its_sound_behind_that() {
    const FAILED: &str = "500 Internal Server Error";
    const BUSY: &str = "453 Not Enough Bandwidth";
    let plays = |statuses, sessions| -> Vec<Option<bool>> {
        played(statuses, sessions).into_iter().map(Result::ok).collect()
    };
    assert_eq!(plays(&[FAILED], 2), [None, Some(false)], "the sound is why, it seems");
    assert_eq!(plays(&[FAILED, FAILED], 3), [None, None, Some(true)], "it is not");
    assert_eq!(plays(&[FAILED, BUSY], 3), [None, None, Some(false)], "that says nothing of it");
}

#[test]
fn reports_of_senders_say_what_belongs_together() {
    let sane = |_, ntp| ntp;
    let zero = |_, _| 0;
    let still = |_, ntp: u64| ntp >> 40 << 40;
    let wild = |frame: u64, ntp: u64| ntp.wrapping_add((frame % 3) << 33);
    let reporting = |clock: fn(u64, u64) -> u64| Oddity {
        clock: Some(Box::new(clock)),
        ..with(vec![ulaw(), beside::records()])
    };
    // Few cameras say anything of the clock of their records.
    let mute = |medium: Medium| Medium { reports: false, ..medium };
    let partly = |beside| Oddity { beside, ..reporting(sane) };
    let (tcp, udp) = (Transport::Tcp, Transport::Udp);
    // Whether it counts, and the tracks of which something is told.
    let cases: [(Oddity, Transport, bool, &[u8]); 8] = [
        (reporting(sane), tcp, true, &[0, 1, 2]),
        (reporting(sane), udp, true, &[0, 1, 2]),
        (partly(vec![ulaw(), mute(beside::records())]), tcp, true, &[0, 1]),
        (partly(vec![mute(ulaw()), beside::records()]), tcp, false, &[0, 2]),
        (reporting(zero), tcp, false, &[]),
        (reporting(still), tcp, false, &[]),
        (reporting(wild), tcp, false, &[]),
        (with(vec![ulaw()]), tcp, false, &[]),
    ];
    let (cameras, wanted): (Vec<_>, Vec<_>) = cases
        .into_iter()
        .map(|(oddity, way, counts, tracks)| ((OddCamera::start(oddity), way), (counts, tracks)))
        .unzip();
    let heard = listen_to(&cameras, LENGTH);
    for (number, (heard, (counts, tracks))) in heard.iter().zip(wanted).enumerate() {
        let told: Vec<&Frame> =
            heard.tracks.values().flatten().filter(|frame| frame.captured.is_some()).collect();
        let of: BTreeSet<u8> = told.iter().map(|frame| frame.track.0).collect();
        let of: Vec<u8> = of.into_iter().collect();
        assert_eq!((heard.facts.has_sender_reports, &of[..]), (counts, tracks), "{number}");
        for track in of {
            let frames = told.iter().filter(|frame| frame.track.0 == track);
            // Everything was taken when the camera began, and since then by its clocks.
            let begun = frames.map(|frame| {
                let first = if track == 1 { 0xffff_f000 } else { i64::from(track == 0) * 7 };
                let since = Ticks(frame.pts - first).to_nanos(frame.timescale);
                frame.captured.expect("it is told").0 - since
            });
            let begun: Vec<i64> = begun.collect();
            assert!(begun.len() > 5, "track {track}: {}", begun.len());
            let wanted = told[0].captured.expect("it is told").0
                - Ticks(told[0].pts - 7).to_nanos(told[0].timescale);
            let off = begun.iter().map(|begun| begun.abs_diff(wanted)).max();
            assert!(off < Some(APART_NANOS_MAX as u64), "track {track}: {off:?}");
        }
    }
}

#[test]
fn a_session_that_is_renewed_goes_on_with_its_sound() {
    let ending = |medium: Medium| {
        let timeout = Timeout { length: Duration::from_secs(8), renewed_by: |_| false };
        let answer = |request: &Request, answer: String| match request.is_keep_alive() {
            true => answer.replace("200 OK", "405 Method Not Allowed").into_bytes(),
            false => answer.into_bytes(),
        };
        let timeout = Some(timeout);
        Oddity { timeout, is_live: true, answer: Box::new(answer), ..with(vec![medium]) }
    };
    let cameras =
        [ulaw(), beside::aac()].map(|medium| (OddCamera::start(ending(medium)), Transport::Tcp));
    let heard = listen_to(&cameras, Duration::from_secs(10));
    for (heard, (camera, _)) in heard.iter().zip(&cameras) {
        assert_eq!(heard.pictures_are_whole(camera), Ok(()));
        assert!(camera.requests().iter().filter(|it| it.method == "PLAY").count() > 1);
    }
    assert_eq!(heard[0].seams(), []);
    let samples = heard[0].samples();
    let first = place(&heard[0], 1);
    let sent: Vec<u8> = (first..first + samples.len() as u64).map(byte).collect();
    assert!(samples == ffmpeg(&["-f", "mulaw", "-ar", "8000", "-ac", "1"], &sent));
    let first = place(&heard[1], 1) / UNIT;
    for (number, frame) in (first..).zip(heard[1].sound()) {
        assert!(frame.data == unit(number), "unit {number}");
    }
    assert_eq!(heard[1].seams(), []);
}

/// Where a part of something is in all of it.
fn position<T: PartialEq>(all: &[T], part: &[T]) -> Option<usize> {
    all.windows(part.len()).position(|window| window == part)
}

#[test]
fn the_sound_of_a_server_of_others_is_whole() {
    let codings: [(&str, &[&str]); 4] = [
        ("pcmu", &["-f", "mulaw", "-ar", "8000", "-ac", "1"]),
        ("pcma", &["-f", "alaw", "-ar", "8000", "-ac", "1"]),
        ("l16", &["-f", "s16be", "-ar", "16000", "-ac", "1"]),
        ("aac", &[]),
    ];
    let servers = codings.map(|(name, _)| cameras::Cameras::start(&["--sound", name]));
    let ways = [Transport::Tcp, Transport::Udp, Transport::Udp, Transport::Tcp];
    let cameras = servers.iter().zip(ways).map(|(server, way)| {
        let camera = Camera::new("test", &server.url(1), None, None).expect("a camera");
        camera.with_transport(way)
    });
    let heard = listen_to_all(cameras.collect(), LENGTH);
    for ((server, heard), (name, format)) in servers.iter().zip(&heard).zip(codings) {
        let sent = server.sound();
        assert_eq!(heard.seams(), [], "{name}");
        assert!(heard.tracks[&0].len() > 50, "{name}: {} pictures", heard.tracks[&0].len());
        if name == "aac" {
            // A unit each, behind a header of four bytes.
            let units: Vec<&[u8]> = sent.iter().map(|payload| &payload[4..]).collect();
            let stored: Vec<&[u8]> = heard.sound().iter().map(|frame| &frame.data[..]).collect();
            assert!(stored.len() > 40 && position(&units, &stored).is_some(), "{name}");
            continue;
        }
        let (sent, stored) = (ffmpeg(format, &sent.concat()), heard.samples());
        assert!(stored.len() > 3 * 8000, "{name}: {} samples", stored.len());
        let at = position(&sent, &stored[..500]).expect("it was sent");
        let same = sent[at..].iter().zip(&stored).take_while(|(a, b)| a == b).count();
        let (of, sent) = (stored.len(), sent.len());
        assert_eq!(same, of, "{name}: other samples from there, of {sent} sent, found at {at}");
    }
}
