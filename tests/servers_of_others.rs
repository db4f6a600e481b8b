//! RTSP servers of others, real ones: each is recorded whole, picture for picture and on time; goes
//! on being recorded when it was killed and is back; and a second viewer costs nothing.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/frames.rs"]
#[allow(dead_code, reason = "each test file uses its own part of this")]
mod frames;
#[path = "support/ports.rs"]
mod ports;
#[path = "support/recording.rs"]
#[allow(dead_code, reason = "each test file uses its own part of this")]
mod recording;
#[path = "support/servers.rs"]
mod servers;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use recording::{Clip, Recording, Sample};
use reelfs::camera::{Camera, Transport};
use reelfs::recorder::StreamStatus;
use servers::{Digest, Footage, Program, RATE, SHORT_FRAMES, Server};

/// Long enough for the keep-alives that aio-rtsp-toolkit (15 s) and the package rtsp ask for.
const BEFORE: Duration = Duration::from_secs(18);
/// From when on, and for how long, somebody else watches.
const VIEWER_AT: Duration = Duration::from_secs(5);
const VIEWER_SECONDS: u32 = 4;
/// How long the servers are away, what they take to start aside.
const AWAY: Duration = Duration::from_secs(1);
/// Once they are all there again.
const AFTER: Duration = Duration::from_secs(9);

/// Until the first picture is stored: a group, and what the servers take themselves.
const FIRST_WITHIN_MILLIS: i64 = 2_500;
/// The same when they were away.
const AGAIN_WITHIN_MILLIS: i64 = 6_000;
/// The last picture, from when the server or the recorder was stopped.
const LAST_WITHIN_MILLIS: i64 = 500;
/// Of a picture from its place in the frame rate, and of the last one from its arrival.
const TIME_ERROR_MAX_MILLIS: i64 = 200;

/// What a server sends to whoever comes.
#[derive(Clone, Copy)]
enum Sends {
    /// The footage over and over, from wherever it is.
    Over,
    /// The footage from its beginning.
    FromFirst,
    /// The short film from its beginning, and then a farewell.
    Short,
    /// What is written to this file of the footage's folder.
    Written(&'static str),
    /// The same to everybody, from wherever it is; and where somebody who joins costs the others
    /// something, or sets them back, what another client gets that was there before.
    AsBeside,
}

/// One stream of a server.
struct Stream {
    name: &'static str,
    url: String,
    sends: Sends,
    transport: Transport,
    /// What ffmpeg is told.
    viewer: &'static str,
}

impl Stream {
    fn record(&self) -> Recording {
        let camera = Camera::new("test", &self.url, None, None).expect("a URL");
        Recording::of(camera.with_transport(self.transport))
    }

    fn watch(&self, footage: &Footage, role: &str, seconds: u32) -> Program {
        servers::viewer(&self.url, self.viewer, seconds, &self.seen_by(footage, role))
    }

    /// What another client gets, as a byte stream.
    fn seen_by(&self, footage: &Footage, role: &str) -> String {
        footage.path(&format!("{}.{role}", self.name))
    }

    fn reference(&self, footage: &Footage, sends: Sends) -> Reference {
        let all = &footage.pictures;
        let read = |file: String| servers::pictures(&std::fs::read(file).expect("it was written"));
        let over = [&all[..], all].concat();
        let (all, is_from_first) = match sends {
            Sends::Over => (vec![over], false),
            Sends::FromFirst => (vec![over], true),
            Sends::Short => (vec![all[..SHORT_FRAMES].repeat(9)], true),
            Sends::Written(file) => (vec![read(footage.path(file))], false),
            Sends::AsBeside => {
                // ffmpeg also writes what is left of a picture that was cut off.
                let mut seen = read(self.seen_by(footage, BESIDE));
                seen.retain(|it| all.contains(it));
                (vec![over, seen], false)
            }
        };
        Reference { all, is_from_first }
    }
}

/// The client that is there before the recorder, and the one that joins later.
const BESIDE: &str = "beside.h264";
const JOINS: &str = "joins.h264";

/// What there is to be stored.
struct Reference {
    /// In one of these orders.
    all: Vec<Vec<Digest>>,
    is_from_first: bool,
}

/// While the servers ran once: what each had to send, and in ms since 1970 when recording could
/// begin and had to end.
struct Run {
    from: i64,
    to: i64,
    references: Vec<Reference>,
}

/// What has become of the streams, in their order.
struct Recorded {
    runs: [Run; 2],
    /// When the servers were killed.
    statuses: Vec<StreamStatus>,
    clips: Vec<Vec<Clip>>,
}

/// A stored picture and its wall time in ms since 1970.
type Stored = (Digest, i64);

fn now_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// All at once: some take seconds.
fn start(servers: &[&Server]) {
    std::thread::scope(|scope| servers.iter().for_each(|it| drop(scope.spawn(|| it.start()))));
}

/// Records the streams of servers that are killed once and started again.
fn record(footage: &Footage, servers: &[&Server], streams: &[Stream]) -> Recorded {
    start(servers);
    let is_first = |stream: &&Stream| matches!(stream.sends, Sends::AsBeside);
    let beside = streams.iter().filter(is_first).map(|it| it.watch(footage, BESIDE, 60));
    let mut others: Vec<Program> = beside.collect();
    std::thread::sleep(AWAY);
    let from = now_millis();
    let recordings: Vec<Recording> = streams.iter().map(Stream::record).collect();
    std::thread::sleep(VIEWER_AT);
    others.extend(streams.iter().map(|it| it.watch(footage, JOINS, VIEWER_SECONDS)));
    std::thread::sleep(BEFORE - VIEWER_AT);
    let statuses: Vec<StreamStatus> = recordings.iter().map(Recording::status).collect();
    let to = now_millis();
    servers.iter().for_each(|server| server.kill());
    drop(others);
    let references = streams.iter().map(|it| it.reference(footage, it.sends)).collect();
    let before = Run { from, to, references };

    std::thread::sleep(AWAY);
    start(servers);
    let from = now_millis();
    std::thread::sleep(AFTER);
    let to = now_millis();
    let clips = recordings.into_iter().map(Recording::stop).collect();
    // Nobody joins any more.
    let alone = |sends| if matches!(sends, Sends::AsBeside) { Sends::Over } else { sends };
    let references = streams.iter().map(|it| it.reference(footage, alone(it.sends))).collect();
    Recorded { runs: [before, Run { from, to, references }], statuses, clips }
}

/// Runs of the footage's pictures, for a person who looks why.
fn runs(footage: &Footage, pictures: &[Digest]) -> String {
    let index = |digest: &Digest| footage.pictures.iter().position(|it| it == digest);
    let places: Vec<Option<usize>> = pictures.iter().map(index).collect();
    let goes_on = |a: &Option<usize>, b: &Option<usize>| *b == a.map(|place| place + 1);
    let run = |run: &[Option<usize>]| match (run[0], run.len()) {
        (Some(first), count) => format!("{first} to {}", first + count - 1),
        (None, count) => format!("{count} unknown"),
    };
    places.chunk_by(goes_on).map(run).collect::<Vec<_>>().join(", ")
}

/// What one run of a server comes to.
struct Part<'a> {
    /// For a person.
    what: String,
    footage: &'a Footage,
    stored: Vec<Stored>,
    faults: Vec<String>,
}

impl Part<'_> {
    fn expect(&mut self, is_so: bool, fault: impl FnOnce() -> String) {
        if !is_so {
            self.faults.push(format!("{}: {}", self.what, fault()));
        }
    }

    /// Every picture between the first and the last one, once, in order.
    fn is_whole(&mut self, reference: &Reference) {
        let stored: Vec<Digest> = self.stored.iter().map(|(digest, _)| *digest).collect();
        let is_one = |all: &Vec<Digest>| {
            let place = all.windows(stored.len().max(1)).position(|window| window == stored);
            place.is_some_and(|place| !reference.is_from_first || place == 0)
        };
        let is_whole = reference.all.iter().any(is_one);
        let had: Vec<String> = reference.all.iter().map(|all| runs(self.footage, all)).collect();
        let stored = runs(self.footage, &stored);
        self.expect(is_whole, || format!("stored {stored}; there was {}", had.join(" or ")));
    }

    /// Pictures that follow one another are as far apart as they were taken.
    fn is_on_time(&mut self) {
        let index = |stored: &Stored| self.footage.pictures.iter().position(|it| *it == stored.0);
        let follows = |a: &Stored, b: &Stored| index(a).is_none_or(|a| index(b) == Some(a + 1));
        let error = |run: &[Stored]| {
            let due = (0..).map(|count| run[0].1 + count * 1_000 / RATE as i64);
            run.iter().zip(due).map(|((_, wall), due)| (wall - due).abs()).max()
        };
        let worst = self.stored.chunk_by(follows).filter_map(error).max().unwrap_or(0);
        self.expect(worst <= TIME_ERROR_MAX_MILLIS, || format!("a picture is {worst} ms off"));
        let back = self.stored.windows(2).find(|pair| pair[1].1 <= pair[0].1).map(<[_]>::to_vec);
        self.expect(back.is_none(), || format!("time goes back: {back:?}"));
    }

    /// Nothing is missing at the beginning and at the end.
    fn is_complete(&mut self, run: &Run, first_within: i64, last_within: i64) {
        let of = |stored: Option<&Stored>| stored.map_or(0, |(_, wall)| *wall);
        let first = of(self.stored.first()) - run.from;
        let last = run.to - of(self.stored.last());
        println!("{}: {} pictures, {first} and {last} ms", self.what, self.stored.len());
        self.expect(first <= first_within, || format!("the first after {first} ms"));
        self.expect(last <= last_within, || format!("the last {last} ms before the end"));
        self.expect(last >= -TIME_ERROR_MAX_MILLIS, || format!("{last} ms before it arrived"));
    }
}

fn faults(footage: &Footage, stream: &Stream, at: usize, recorded: &Recorded) -> Vec<String> {
    let millis = |sample: &Sample| sample.wall.0 / 1_000_000;
    let samples = || recorded.clips[at].iter().flat_map(|clip| &clip.samples);
    let [before, after] = &recorded.runs;
    let split = before.to + AWAY.as_millis() as i64 / 2;
    let ends = matches!(stream.sends, Sends::Short);
    let status = &recorded.statuses[at];
    let mut found = Vec::new();
    // A viewer that joins may set a film back: what was on its way then is lost indeed.
    let is_lossless = status.lost_packets == 0 || matches!(stream.sends, Sends::AsBeside);
    let is_over_it = status.transport.eq_ignore_ascii_case(stream.viewer);
    if (status.reconnects > 0 && !ends) || !is_lossless || !is_over_it {
        found.push(format!("{}: {status:?}", stream.name));
    }
    for (run, when, first_within) in
        [(before, "before", FIRST_WITHIN_MILLIS), (after, "after", AGAIN_WITHIN_MILLIS)]
    {
        let is_of_run = |it: &&Sample| (millis(it) < split) == (run.to < split);
        let stored = samples().filter(is_of_run).map(|it| (servers::picture(&it.data), millis(it)));
        let what = format!("{}, {when} it was killed", stream.name);
        let mut part = Part { what, footage, stored: stored.collect(), faults: Vec::new() };
        part.is_whole(&run.references[at]);
        part.is_on_time();
        let pause = if ends { FIRST_WITHIN_MILLIS } else { 0 };
        part.is_complete(run, first_within, LAST_WITHIN_MILLIS + pause);
        found.append(&mut part.faults);
    }
    let other = std::fs::read(stream.seen_by(footage, JOINS)).unwrap_or_default();
    let other = servers::pictures(&other).len() as u64;
    if other < RATE {
        found.push(format!("{}: the other viewer got {other} pictures", stream.name));
    }
    found
}

fn assert_all_recorded(footage: &Footage, servers: &[&Server], streams: &[Stream]) {
    let recorded = record(footage, servers, streams);
    let of = |(at, stream)| faults(footage, stream, at, &recorded);
    let all: Vec<String> = streams.iter().enumerate().flat_map(of).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn servers_are_recorded_whole_over_tcp() {
    let footage = Footage::encode();
    let gstreamer = servers::gstreamer(&footage);
    let aio = servers::aio_rtsp_toolkit(&footage);
    let rtsp = servers::rtsp_source(&footage);
    let stream = |name, server: &Server, path, sends| Stream {
        name,
        url: server.url(path),
        sends,
        transport: Transport::Auto,
        viewer: "tcp",
    };
    let streams = [
        stream("gst-rtsp-server, live", &gstreamer, "/live", Sends::AsBeside),
        stream("gst-rtsp-server, a film for all", &gstreamer, "/film", Sends::AsBeside),
        stream("gst-rtsp-server, a short film", &gstreamer, "/short", Sends::Short),
        stream("aio-rtsp-toolkit", &aio, "/film.mp4?play_count=0", Sends::FromFirst),
        stream("rtsp", &rtsp, "/live", Sends::Written("sent.h264")),
    ];
    assert_all_recorded(&footage, &[&gstreamer, &aio, &rtsp], &streams);
}

#[test]
fn servers_are_recorded_whole_over_udp() {
    let footage = Footage::encode();
    let vlc = servers::vlc(&footage);
    let streaming = servers::rtsp_streaming_server(&footage);
    let gstreamer = servers::gstreamer(&footage);
    let rtsp = servers::rtsp_source(&footage);
    let stream = |name, server: &Server, path, sends, transport| Stream {
        name,
        url: server.url(path),
        sends,
        transport,
        viewer: "udp",
    };
    let written = Sends::Written("sent.h264");
    let streams = [
        // These two answer 461 to TCP.
        stream("VLC", &vlc, "/film", Sends::Over, Transport::Auto),
        stream("rtsp-streaming-server", &streaming, "/live", Sends::Over, Transport::Auto),
        stream("gst-rtsp-server, live", &gstreamer, "/live", Sends::AsBeside, Transport::Udp),
        stream("rtsp", &rtsp, "/live", written, Transport::Udp),
    ];
    assert_all_recorded(&footage, &[&vlc, &streaming, &gstreamer, &rtsp], &streams);
}
