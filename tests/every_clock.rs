//! Cameras whose clock is none, or not the one that it says it is: each is a camera of its own, all
//! of them are recorded at once, and what they send is stored with the times at which it was taken.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/frames.rs"]
mod frames;
#[path = "support/odd_camera.rs"]
mod odd_camera;
#[path = "support/recording.rs"]
#[allow(dead_code, reason = "each test file uses its own part of this")]
mod recording;

use std::time::Duration;

use odd_camera::{CLOCK_RATE, GROUP, OddCamera, Oddity, RATE};
use recording::{Clip, Recording, Sample};
use reelfs::segment::EndReason;

/// For how long each camera is recorded.
const LENGTH: Duration = Duration::from_secs(20);
/// From when on times are right, in frames.
const RIGHT_FROM: u64 = 10 * RATE;
/// How far off they may be then, in milliseconds: little, and what this machine delays.
const ERROR_MAX_MILLIS: i64 = 150;

/// A camera that stamps its frame of this number so many ticks after the first one.
fn stamping(ticks: impl Fn(u64) -> u64 + Send + Sync + 'static) -> Oddity {
    let packets = move |number: u64, mut packets: Vec<odd_camera::Packet>| {
        packets.iter_mut().for_each(|packet| packet.time = ticks(number) as u32);
        packets
    };
    Oddity { packets: Box::new(packets), ..Oddity::default() }
}

/// A camera whose clock runs at so many thousandths of its rate.
fn running_at(thousandths: u64) -> Oddity {
    let interval = u64::from(CLOCK_RATE) / RATE;
    stamping(move |number| 7 + number * interval * thousandths / 1000)
}

/// A camera whose clock stands still from this frame on for so many frames.
fn standing_still(from: u64, frames: u64) -> Oddity {
    let interval = u64::from(CLOCK_RATE) / RATE;
    let risen = move |number: u64| number.min(from) + number.saturating_sub(from + frames);
    stamping(move |number| 7 + interval * risen(number))
}

fn assert_right(name: &str, sent: u64, clips: &[Clip]) {
    let samples = || clips.iter().flat_map(|clip| &clip.samples);
    let stored = samples().count() as u64;
    assert!(stored >= sent - GROUP, "{name}: {stored} of {sent} frames");
    // A frame was due at its place in a row; a machine that is busy may have marked it later.
    let stamp = |sample: &Sample| frames::stamp(&sample.data).expect("every frame has a mark");
    let due = |frame: u64| frame as i64 * 1_000_000_000 / RATE as i64;
    let begun = samples().map(|sample| stamp(sample).sent - due(stamp(sample).frame)).min();
    let begun = begun.expect("frames");
    let late = samples().filter(|sample| stamp(sample).frame >= RIGHT_FROM);
    let off = late.map(|sample| (sample.wall.0 - begun - due(stamp(sample).frame)).abs());
    let mut off_millis: Vec<i64> = off.map(|nanos| nanos / 1_000_000).collect();
    off_millis.sort_unstable();
    // All but a few, which such a machine delays.
    let worst_millis = off_millis[off_millis.len() * 95 / 100];
    let ends = clips.iter().filter_map(|clip| clip.end).map(|(reason, _)| reason);
    let cut = ends.filter(|reason| !matches!(reason, EndReason::Boundary | EndReason::Stopped));
    let cut = cut.count();
    println!("{name}: {stored} of {sent} frames, {worst_millis} ms off, {cut} cuts");
    assert!(worst_millis < ERROR_MAX_MILLIS, "{name}: {worst_millis} ms off");
    assert!(cut <= 1, "{name}: {cut} cuts");
    for pair in clips.windows(2) {
        let (reason, length) = pair[0].end.expect("only the last clip may be open");
        assert!(pair[0].start.plus_nanos(length) <= pair[1].start, "{name}: {reason:?}");
    }
}

#[test]
fn a_clock_that_is_off_by_a_steady_rate_or_says_nothing_gives_times_that_are_right() {
    let at_work: Vec<_> = [
        ("right", running_at(1000)),
        ("21 of 25 are sent", running_at(1190)),
        ("stamped 21 of 25", running_at(840)),
        ("1 % slow", running_at(990)),
        ("half", running_at(500)),
        ("twice", running_at(2000)),
        ("10.5 times", running_at(10_500)),
        ("all the same", stamping(|_| 7)),
        ("stands still for 3 s", standing_still(12 * RATE, 3 * RATE)),
    ]
    .into_iter()
    .map(|(name, oddity)| {
        let camera = OddCamera::start(oddity);
        let recording = Recording::start(&camera.url(), None);
        (name, camera, recording)
    })
    .collect();
    std::thread::sleep(LENGTH);
    for (name, camera, recording) in at_work {
        let sent = camera.sent();
        assert_right(name, sent, &recording.stop());
    }
}
