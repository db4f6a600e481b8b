//! Cameras of each codec, with sound, that go through every fault of the rig (`cameras.py`): what
//! goes out whole is in the clips, bit for bit, once, in order, at its time, and what is lost is
//! told. The judge knows what was sent, and reads mounted files with tools that are not ours.
//!
//! `REELFS_MINUTES=n` lets the faults come at random times, all at once, for so many minutes,
//! beside a camera that has none (`scripts/soak`); `REELFS_SEED=n` has the same ones again.
//! `REELFS_SCRIPT='20 freeze 3;30 stall 1;35'` plays this instead of the short script, to all
//! cameras of the long one, to look at something closely: commands, each behind the second at which
//! it is given.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/sounds.rs"]
mod sounds;
#[path = "support/verdict.rs"]
mod verdict;

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cameras::Cameras;
use clips::clips_of;
use daemon::{Daemon, Site, text};
use verdict::{Judged, Row, Sounds, Verdict};

/// A camera, with what its server is told.
struct Kind {
    name: &'static str,
    options: &'static [&'static str],
    sounds: Sounds,
    transport: &'static str,
}

const PCMU: Sounds = Sounds::Pcm(&["-f", "mulaw", "-ar", "8000", "-ac", "1"]);
const PCMA: Sounds = Sounds::Pcm(&["-f", "alaw", "-ar", "8000", "-ac", "1"]);
const L16: Sounds = Sounds::Pcm(&["-f", "s16be", "-ar", "16000", "-ac", "1"]);

const H264: Kind = Kind {
    name: "h264",
    options: &["--apart", "--gop", "25", "--nokey", "4", "--sound", "pcmu"],
    sounds: PCMU,
    transport: "tcp",
};
const H265: Kind = Kind {
    name: "h265",
    options: &[
        "--apart",
        "--codec",
        "h265",
        "--gop",
        "25",
        "--nokey",
        "4",
        "--samesize",
        "--sound",
        "aac",
    ],
    sounds: Sounds::Aac,
    transport: "tcp",
};
const JPEG: Kind = Kind {
    name: "jpeg",
    // One length for each picture of its loop: it is known again by its bytes.
    options: &[
        "--apart",
        "--codec",
        "jpeg",
        "--bitrate",
        "3000k",
        "--seconds",
        "60",
        "--sound",
        "l16",
    ],
    sounds: L16,
    transport: "tcp",
};

/// One of each codec.
const KINDS: [Kind; 3] = [H264, H265, JPEG];

/// The same for a long time, one over UDP, and one with no fault at all.
const SOAKED: [Kind; 5] = [
    H264,
    H265,
    JPEG,
    Kind {
        name: "h264-udp",
        options: &["--apart", "--bframes", "--gop", "30", "--nokey", "4", "--sound", "pcma"],
        sounds: PCMA,
        transport: "udp",
    },
    Kind {
        name: UNDISTURBED,
        options: &["--gop", "25", "--sound", "aac"],
        sounds: Sounds::Aac,
        transport: "tcp",
    },
];
const UNDISTURBED: &str = "undisturbed";

/// What happens to the others, with how many seconds lie between on average (see `cameras.py`).
const FAULTS: [&str; 15] = [
    "drop:40,3",
    "loss:50,2",
    "reorder:50,2",
    "dup:50,2",
    "stall:70,4",
    "burst:60,2",
    "freeze:80,3",
    "paramchange:60",
    "nokey:80,4",
    "clockjump:110,3600",
    "clockjump:150,-60",
    "clockdrift:170,250",
    "clockdrift:190,-150",
    "disconnect:100",
    "refuse:140,3",
];

/// Every fault in turn, and when, in seconds.
const SCRIPT: [(f64, &str); 18] = [
    (1.0, "drop 3"),
    (2.5, "reorder 5"),
    (5.0, "reorder 0"),
    (5.5, "loss 3"),
    (8.0, "loss 0"),
    (8.5, "dup 5"),
    (10.0, "dup 0"),
    (10.5, "stall 2.5"),
    (14.5, "burst 1.5"),
    (17.5, "freeze 1.5"),
    (18.0, "paramchange"),
    (20.0, "nokey 4"),
    (22.0, "clockdrift 300"),
    (25.5, "clockjump 3600"),
    (28.0, "clockjump -60"),
    (30.0, "disconnect"),
    (33.0, "refuse 1"),
    (38.0, "clockdrift 0"),
];

fn now_nanos() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as i64
}

/// A server for each, which take a while to have their pictures.
fn started(options: &[Vec<String>]) -> Vec<Cameras> {
    std::thread::scope(|scope| {
        let start = |options: &Vec<String>| {
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            Cameras::start(&options)
        };
        let starting: Vec<_> =
            options.iter().map(|options| scope.spawn(move || start(options))).collect();
        starting.into_iter().map(|server| server.join().expect("it starts")).collect()
    })
}

/// Judges all cameras at once, and prints their table.
fn judged(site: &Site, kinds: &[Kind], servers: &[Cameras], ran: (i64, i64)) -> Vec<String> {
    let mount = site.mount();
    let judge = |kind: &Kind, server: &Cameras| {
        let clips = clips_of(&mount, kind.name).iter().map(|clip| mount.join(clip)).collect();
        let has_groups = !kind.options.contains(&"jpeg");
        Judged { camera: kind.name, server, has_groups, sounds: kind.sounds, clips, ran }.verdict()
    };
    let verdicts: Vec<Verdict> = std::thread::scope(|scope| {
        let pairs = kinds.iter().zip(servers);
        let judging: Vec<_> =
            pairs.map(|(kind, server)| scope.spawn(move || judge(kind, server))).collect();
        judging.into_iter().map(|verdict| verdict.join().expect("it is judged")).collect()
    });
    println!("{}", Row::HEADING);
    let mut wrong = Vec::new();
    for (kind, Verdict { row, wrong: more }) in kinds.iter().zip(verdicts) {
        println!("{row}");
        wrong.extend(more.into_iter().map(|line| format!("{}: {line}", kind.name)));
    }
    wrong
}

/// What is recorded of cameras while something happens to them, and the verdict on it.
struct Trial<'a> {
    kinds: &'a [Kind],
    servers: Vec<Cameras>,
    site: Site,
}

impl<'a> Trial<'a> {
    fn new(kinds: &'a [Kind], more: impl Fn(&Kind) -> Vec<String>, ring: &str) -> Trial<'a> {
        let options = kinds.iter().map(|kind| {
            let own = kind.options.iter().map(|option| (*option).to_owned());
            own.chain(more(kind)).collect()
        });
        let servers = started(&options.collect::<Vec<_>>());
        let mut site = Site::new(ring);
        for (kind, server) in kinds.iter().zip(&servers) {
            let transport = format!("transport = \"{}\"\n", kind.transport);
            site.add_camera(kind.name, &server.url(1), &transport);
        }
        Trial { kinds, servers, site }
    }

    /// Records for as long as something is done, and judges. Answers what is wrong.
    fn record(mut self, go: impl FnOnce(&Daemon, &mut [Cameras])) -> Vec<String> {
        let began = now_nanos();
        let daemon = self.site.run();
        for kind in self.kinds {
            daemon.wait_recording(kind.name);
        }
        go(&daemon, &mut self.servers);
        let ran = (began, now_nanos());
        println!("{}", Costs::of(&daemon));
        let log = daemon.log();
        daemon.stop();
        let checked = self.site.reelfs(&["check", text(&self.site.ring_path())]);
        println!("reelfs check: {}", checked.status);
        self.site.cameras.clear();
        self.site.add_camera("none", "rtsp://127.0.0.1:1/", "");
        let daemon = self.site.run();
        let mut wrong = judged(&self.site, self.kinds, &self.servers, ran);
        daemon.stop();
        if !checked.status.success() {
            wrong.push(format!("reelfs check: {}", String::from_utf8_lossy(&checked.stdout)));
        }
        if !wrong.is_empty() {
            println!("{log}");
        }
        wrong
    }
}

/// What a daemon took.
struct Costs {
    resident_kib: u64,
    processor_seconds: f64,
    log_lines: usize,
}

impl Costs {
    fn of(daemon: &Daemon) -> Costs {
        let read = |name: &str| {
            std::fs::read_to_string(format!("/proc/{}/{name}", daemon.id())).expect("it runs")
        };
        let status = read("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
        let stat = read("stat");
        let (_, behind_name) = stat.rsplit_once(')').expect("a name");
        let ticks = behind_name.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        Costs {
            resident_kib: peak.trim().trim_end_matches(" kB").parse().expect("a number"),
            // As Linux tells it everywhere: in hundredths of a second.
            processor_seconds: ticks as f64 / 100.0,
            log_lines: daemon.log().lines().count(),
        }
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Costs { resident_kib, processor_seconds, log_lines } = self;
        let resident = resident_kib / 1024;
        write!(f, "{resident} MiB at most, {processor_seconds:.1} s of CPU, {log_lines} log lines")
    }
}

/// A number that somebody gave.
fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().expect("a number"))
}

/// The commands of a script that somebody gave.
fn commands(given: &str) -> Vec<(f64, &str)> {
    let lines = given.split(';').filter_map(|line| {
        let (at, command) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        Some((at.parse().ok()?, command))
    });
    lines.collect()
}

/// Gives commands, each at its time.
fn play(commands: &[(f64, &str)], servers: &mut [Cameras]) {
    let begun = Instant::now();
    for (at, command) in commands {
        let until = begun + Duration::from_secs_f64(*at);
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        if !command.is_empty() {
            servers.iter_mut().for_each(|server| server.tell(command));
        }
    }
}

/// Says each minute how it goes.
fn watch(minutes: u64, daemon: &Daemon, servers: &[Cameras]) {
    let begun = Instant::now();
    for minute in 1..=minutes {
        let until = begun + Duration::from_secs(60 * minute);
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        let cameras = SOAKED.iter().map(|kind| {
            let said = daemon.camera(kind.name);
            format!("{} {} frames, {} sessions", kind.name, said["frames"], said["reconnects"])
        });
        let cameras = cameras.collect::<Vec<_>>().join("; ");
        println!("soak: {minute} of {minutes} min: {cameras}; {}", Costs::of(daemon));
        for server in servers {
            if let Err(why) = server.answers() {
                println!("soak: FAILED: {why}");
            }
        }
    }
}

fn soak(minutes: u64) -> Vec<String> {
    let seed = given("REELFS_SEED").unwrap_or(now_nanos() as u64 % 1_000_000);
    println!("REELFS_SEED={seed}");
    let faults = |kind: &Kind| match kind.name {
        UNDISTURBED => Vec::new(),
        _ => {
            let number = SOAKED.iter().position(|it| it.name == kind.name).expect("one of them");
            let seed = ["--seed".to_owned(), (seed + number as u64).to_string()];
            let faults =
                FAULTS.iter().flat_map(|fault| ["--fault".to_owned(), (*fault).to_owned()]);
            faults.chain(seed).collect()
        }
    };
    let mut trial = Trial::new(&SOAKED, faults, &format!("{}M", 256 + 80 * minutes));
    trial.site.view = "clip = \"30s\"\nzone = \"UTC\"\n".to_owned();
    trial.record(|daemon, servers| watch(minutes, daemon, servers))
}

#[test]
fn every_fault_costs_what_it_touches_and_no_more() {
    let wrong = match given("REELFS_MINUTES") {
        Some(minutes) => soak(minutes),
        None => {
            let given = std::env::var("REELFS_SCRIPT").unwrap_or_default();
            let given = commands(&given);
            let (kinds, script, ring) = match given.is_empty() {
                true => (&KINDS[..], &SCRIPT[..], "128M"),
                false => (&SOAKED[..], &given[..], "256M"),
            };
            Trial::new(kinds, |_| Vec::new(), ring).record(|_, servers| play(script, servers))
        }
    };
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
