//! A camera with sound is recorded, and every sample of it is in the clips, in its place.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/sounds.rs"]
mod sounds;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use cameras::Cameras;
use clips::clips_of;
use daemon::{Site, run_tool, wait_until};
use sounds::{extent, samples};

/// What a camera sends, and what ffmpeg calls that, or nothing where it stays as it is.
const SOUNDS: [(&str, &[&str]); 3] = [
    ("pcmu", &["-f", "mulaw", "-ar", "8000", "-ac", "1"]),
    ("l16", &["-f", "s16be", "-ar", "16000", "-ac", "1"]),
    ("aac", &[]),
];

#[test]
fn sound_begins_with_the_pictures_of_its_clip_and_goes_on_in_the_next_one() {
    let servers = SOUNDS.map(|(name, _)| Cameras::start(&["--gop", "25", "--sound", name]));
    let mut site = Site::new("64M");
    for ((name, _), server) in SOUNDS.iter().zip(&servers) {
        site.add_camera(name, &server.url(1), "");
    }
    let other = Cameras::start(&["--gop", "25", "--sound", "pcmu"]);
    site.add_camera("silent", &other.url(1), "audio = false\n");
    let daemon = site.run();
    let mount = site.mount();
    wait_until("three clips of each camera", 60, || {
        SOUNDS.iter().all(|(name, _)| clips_of(&mount, name).len() >= 3)
    });
    let clips_of = |camera: &str| -> Vec<PathBuf> {
        clips_of(&mount, camera).iter().map(|name| mount.join(name)).collect()
    };
    let silent = clips_of("silent");
    let told = run_tool(
        "ffprobe",
        &[
            "-v",
            "error",
            "-show_entries",
            "stream=codec_type",
            "-of",
            "csv=p=0",
            silent[0].to_str().expect("a name"),
        ],
    );
    assert_eq!(told.trim(), "video");
    for ((name, format), server) in SOUNDS.iter().zip(&servers) {
        let status = daemon.camera(name);
        assert_eq!(status["state"], "recording", "{status}");
        let clips = clips_of(name);
        for clip in &clips {
            clips::assert_plays(clip);
            let [(_, pictures), (begins, sounds)] =
                ["v:0", "a:0"].map(|stream| extent(clip, stream).expect("it is there"));
            assert!(begins.abs() < 0.001, "{clip:?}: sound begins at {begins} s");
            assert!((pictures - sounds).abs() < 0.2, "{clip:?}: {sounds} s for {pictures} s");
        }
        if format.is_empty() {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("sent");
        std::fs::write(&log, server.sound().concat()).expect("it is written");
        let sent = samples(format, &log);
        let stored: Vec<i16> = clips[..3].iter().flat_map(|clip| samples(&[], clip)).collect();
        // The first clip begins with a picture, and with silence up to the first sound.
        let begin = stored.len() / 3;
        let probe = &stored[begin..begin + 500];
        let at = sent.windows(500).position(|window| window == probe).expect("it was sent");
        let (sent, stored) = (&sent[at..], &stored[begin..]);
        let same = sent.iter().zip(stored).take_while(|(sent, stored)| sent == stored).count();
        assert_eq!(same, stored.len(), "{name}: other samples from there on");
    }
    drop(daemon);
}

/// How often the threads that listen to cameras have waited for something so far.
fn waits(id: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).expect("it runs");
    let of = |thread: PathBuf| {
        let name = std::fs::read_to_string(thread.join("comm")).ok()?;
        let status = std::fs::read_to_string(thread.join("status")).ok()?;
        let waits = status.lines().find_map(|it| it.strip_prefix("voluntary_ctxt_switches:"))?;
        (name.trim() == "camera").then(|| waits.trim().parse::<u64>().expect("a number"))
    };
    threads.filter_map(|thread| of(thread.ok()?.path())).sum()
}

#[test]
fn packets_of_sound_wake_nobody_between_pictures() {
    let server = Cameras::start(&["--gop", "25", "--sound", "pcma"]);
    let mut site = Site::new("64M");
    site.add_camera("yard", &server.url(1), "");
    let daemon = site.run();
    daemon.wait_recording("yard");
    // Young sessions listen to each packet, and all do for the eighth second.
    std::thread::sleep(Duration::from_millis(5300));
    let (before, begun) = (waits(daemon.id()), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    let rate = (waits(daemon.id()) - before) as f64 / begun.elapsed().as_secs_f64();
    // 25 pictures a second come, and 50 packets of sound.
    assert!(rate < 50.0, "woken {rate:.0} times a second");
}
