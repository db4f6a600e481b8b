//! Records odd cameras, all at once, and says of each what it comes to.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use reelfs::recorder::StreamStatus;

use crate::frames;
use crate::odd_camera::{OddCamera, Oddity, PASSWORD, Request, USER};
use crate::recording::{Clip, Recording};

/// For how long each camera is recorded.
pub const LENGTH: Duration = Duration::from_secs(12);
/// Where all that is odd about it comes at once.
pub const SHORT_LENGTH: Duration = Duration::from_secs(9);
/// Frames that may be under way at the end.
const UNDER_WAY: u64 = 5;
/// So late a frame may be told: frames are told by their arrival, and many at a time.
const ERROR_MILLIS_MAX: i64 = 250;
/// So early it may be.
const EARLY_MILLIS_MAX: i64 = 500;

/// What a recording of a camera comes to.
pub struct Seen {
    pub sent: u64,
    /// By number, with how often each was stored.
    pub frames: BTreeMap<u64, u32>,
    /// Samples without a mark: parts of a frame.
    pub parts: u64,
    /// From the moment that a frame tells to the one at which it is stored, in ms: the latest.
    pub error_millis: i64,
    pub clips: Vec<Clip>,
    pub connections: Vec<SystemTime>,
    pub closed: Vec<SystemTime>,
    pub requests: Vec<Request>,
    /// What the recorder says of itself.
    pub status: StreamStatus,
}

/// A camera that is recorded.
pub struct AtWork {
    camera: OddCamera,
    recording: Recording,
}

impl AtWork {
    pub fn begin(camera: OddCamera, has_login: bool) -> AtWork {
        let recording = Recording::start(&camera.url(), has_login.then_some((USER, PASSWORD)));
        AtWork { camera, recording }
    }

    pub fn end(self) -> Seen {
        let AtWork { camera, recording } = self;
        let (sent, connections, closed) = (camera.sent(), camera.connections(), camera.closed());
        let (requests, status) = (camera.requests(), recording.status());
        let (clips, _) = recording.finish();
        let (mut frames, mut parts, mut error_millis) = (BTreeMap::new(), 0, 0);
        let (mut next, step_nanos) = (None::<(u64, i64)>, 1_000_000_000 / camera.rate() as i64);
        for sample in clips.iter().flat_map(|clip| &clip.samples).rev() {
            let Some(stamp) = frames::stamp(&sample.data) else {
                parts += 1;
                continue;
            };
            *frames.entry(stamp.frame).or_insert(0) += 1;
            // On a machine with much to do it is sent late: it was due so long before those behind.
            let due = next.filter(|(number, _)| *number > stamp.frame).map_or(stamp.sent, |next| {
                stamp.sent.min(next.1 - (next.0 - stamp.frame) as i64 * step_nanos)
            });
            next = Some((stamp.frame, due));
            let early = (due - sample.wall.0) / 1_000_000;
            let late = (sample.wall.0 - stamp.sent) / 1_000_000;
            let error = if early > EARLY_MILLIS_MAX { early } else { late };
            error_millis = error_millis.max(error);
        }
        Seen { sent, frames, parts, error_millis, clips, connections, closed, requests, status }
    }
}

/// Records all of the cameras at once.
pub fn record(oddities: Vec<(&'static str, Oddity)>) -> Vec<(&'static str, Seen)> {
    record_for(LENGTH, oddities)
}

/// The same for so long.
pub fn record_for(
    length: Duration,
    oddities: Vec<(&'static str, Oddity)>,
) -> Vec<(&'static str, Seen)> {
    let at_work: Vec<_> = oddities
        .into_iter()
        .map(|(name, oddity)| {
            let has_login = oddity.login.is_some();
            (name, AtWork::begin(OddCamera::start(oddity), has_login))
        })
        .collect();
    std::thread::sleep(length);
    at_work.into_iter().map(|(name, at_work)| (name, at_work.end())).collect()
}

impl Seen {
    /// Whether every frame is stored, once, but for `lost_max`.
    pub fn is_whole(&self, lost_max: u64) -> Result<(), String> {
        let stored = self.frames.len() as u64;
        let twice = self.frames.values().filter(|times| **times > 1).count();
        if stored + lost_max + UNDER_WAY < self.sent {
            return Err(format!("{stored} of {} frames", self.sent));
        }
        if twice > 0 || self.parts > 0 {
            return Err(format!("{twice} frames twice, {} parts of frames", self.parts));
        }
        for pair in self.clips.windows(2) {
            let (_, length) = pair[0].end.expect("only the last clip may be open");
            let over_nanos = pair[0].start.plus_nanos(length).0 - pair[1].start.0;
            if over_nanos > 0 {
                return Err(format!("clips overlap, by {} ms", over_nanos / 1_000_000));
            }
        }
        // A session that did not work must not pass for one that sent little.
        let wanted = 2 * SHORT_LENGTH.as_secs() / 3;
        if self.sent < wanted {
            return Err(format!("only {} frames were sent", self.sent));
        }
        Ok(())
    }

    /// The same, within one session and each at its moment.
    pub fn is_undisturbed(&self, lost_max: u64) -> Result<(), String> {
        self.is_whole(lost_max)?;
        self.is_in_one_session()
    }

    /// Whether all of it came in one session, and each frame with a mark is at its moment.
    pub fn is_in_one_session(&self) -> Result<(), String> {
        if self.error_millis.abs() > ERROR_MILLIS_MAX {
            return Err(format!("{} ms off", self.error_millis));
        }
        let plays = self.requests.iter().filter(|request| request.method == "PLAY").count();
        match plays {
            1 => Ok(()),
            _ => Err(format!("{plays} sessions")),
        }
    }

    /// Whether all frames behind one that is missing are marked, up to the next key frame, and no
    /// others. Answers how many frames are missing between others.
    pub fn marks_damage(&self) -> Result<u64, String> {
        let (mut last, mut missing) = (None, 0);
        for clip in &self.clips {
            if !clip.samples[0].sync {
                return Err("a clip begins amid a group".to_owned());
            }
            let mut is_damaged = false;
            for sample in &clip.samples {
                let number = frames::stamp(&sample.data).ok_or("no mark")?.frame;
                let gap = last.replace(number).map_or(0, |last| number - last - 1);
                missing += gap;
                is_damaged = !sample.sync && (is_damaged || gap > 0);
                if sample.damaged != is_damaged {
                    let (marked, sync) = (sample.damaged, sample.sync);
                    return Err(format!("frame {number}: damaged {marked}, key {sync}, gap {gap}"));
                }
            }
        }
        Ok(missing)
    }

    /// In a line, for whoever reads the output.
    fn line(&self) -> String {
        let (stored, sent, clips) = (self.frames.len(), self.sent, self.clips.len());
        let (connections, error) = (self.connections.len(), self.error_millis);
        let (parts, lost) = (self.parts, self.status.lost_packets);
        format!(
            "{stored} of {sent} frames, {parts} parts, {clips} clips, {connections} connections, \
             {lost} packets lost, {error} ms off"
        )
    }
}

/// Fails with all cameras that are not what they should be.
pub fn judge(seen: &[(&'static str, Seen)], is_right: impl Fn(&Seen) -> Result<(), String>) {
    let judged = seen.iter().filter_map(|(name, seen)| {
        println!("{name}: {}", seen.line());
        is_right(seen).err().map(|why| format!("{name}: {why}"))
    });
    let wrong: Vec<String> = judged.collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), seen.len(), wrong.join("\n"));
}
