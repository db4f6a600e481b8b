//! One camera, listened to for a while: what its stream is, how it comes, which settings suit it.
//!
//! Nothing is recorded, and what is measured is what a recorder would be given.

mod advice;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use crate::camera::{Camera, CameraError, Frame, Frames, Hosts, Received, SessionFacts, connect};
use crate::clock::{Clock, Stopwatch};
use crate::units::{NANOS_PER_SECOND, Ticks, length_of};

pub use advice::{advice, better_transport};
pub use snapshot::{SnapshotError, snapshot};

/// How often whoever waits is told how it goes.
const TELL_INTERVAL: Duration = Duration::from_millis(100);
/// What is kept for a snapshot, in bytes.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// Numbers of the tracks of a session.
const PICTURES: u8 = 0;
const SOUND: u8 = 1;

/// Why nothing was heard of a camera.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Of the camera.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// Of the system.
    #[error("no thread to listen with: {0}")]
    System(#[from] std::io::Error),
}

/// Frames of a track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub frames: u64,
    /// Their length, in bytes.
    pub bytes: u64,
    /// When the first and the last of them were captured, by their stamps, in nanoseconds.
    pub captured: Option<(i64, i64)>,
}

impl Counted {
    fn add(&mut self, at: i64, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
        let (first, last) = self.captured.unwrap_or((at, at));
        self.captured = Some((first.min(at), last.max(at)));
    }

    /// From one to the next, in nanoseconds, on average; `None` below two.
    #[must_use]
    pub fn interval_nanos(&self) -> Option<f64> {
        let (first, last) = self.captured?;
        let intervals = self.frames.checked_sub(1).filter(|intervals| *intervals > 0)?;
        Some(last.saturating_sub(first) as f64 / intervals as f64)
    }

    /// How many come in a second.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        let interval = self.interval_nanos().filter(|interval| *interval > 0.0)?;
        Some(NANOS_PER_SECOND as f64 / interval)
    }

    /// Bits a second.
    #[must_use]
    pub fn bit_rate(&self) -> Option<f64> {
        Some(self.rate()? * 8.0 * self.bytes as f64 / self.frames as f64)
    }
}

/// What was heard of a camera.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// What it says of itself, and how it was reached.
    pub facts: SessionFacts,
    /// From the first request to the first frame.
    pub waited: Duration,
    /// Its pictures.
    pub pictures: Counted,
    /// Those of them that decoding can begin with.
    pub keys: Counted,
    /// Packets of sound.
    pub sound: Counted,
    /// Records: events, and what a camera sees.
    pub records: u64,
    /// RTP packets that did not arrive.
    pub lost_packets: u64,
    /// The least and the most that a picture took longer than its stamp says, in nanoseconds.
    delays: Option<(i64, i64)>,
    /// What came instead of a picture that decoding can begin with.
    pub no_beginning: Option<String>,
}

impl Heard {
    /// Takes a frame.
    fn take(&mut self, frame: &Frame) {
        self.lost_packets += u64::from(frame.lost_packets);
        let at = Ticks(frame.pts).to_nanos(frame.timescale);
        match frame.track.0 {
            PICTURES => {
                self.pictures.add(at, frame.data.len());
                if frame.is_key {
                    self.keys.add(at, frame.data.len());
                }
                let delay = frame.lead_nanos();
                let (least, most) = self.delays.unwrap_or((delay, delay));
                self.delays = Some((least.min(delay), most.max(delay)));
            }
            SOUND => self.sound.add(at, frame.data.len()),
            _ => self.records += 1,
        }
    }

    /// By how much pictures come later than others of them, at most.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        self.delays.map_or(Duration::ZERO, |(least, most)| length_of(most.saturating_sub(least)))
    }

    /// From one key frame to the next, on average; `None` where there were not two.
    #[must_use]
    pub fn group(&self) -> Option<Duration> {
        self.keys.interval_nanos().map(|nanos| length_of(nanos as i64))
    }
}

/// What is listened for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// For how long, from the first frame on.
    pub length: Duration,
    /// Whether frames are kept for a [`snapshot()`].
    pub keeps_frames: bool,
}

/// Listens to a camera. `told` is called now and then with what was heard so far, and how long ago
/// the first frame came.
///
/// # Errors
/// The camera can't be recorded, and why.
pub fn listen(
    camera: &Camera,
    clock: &Arc<dyn Clock>,
    wanted: Wanted,
    told: &mut dyn FnMut(&Heard, Duration),
) -> Result<(Heard, Vec<Frame>), ProbeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let began = Stopwatch::start();
        let hosts = Arc::new(Hosts::default());
        let connecting = connect(camera, &hosts, Arc::clone(clock));
        let mut frames = told_meanwhile(connecting, &mut || {
            told(&Heard::default(), Duration::ZERO);
        })
        .await?;
        let heard = hear(&mut frames, began, wanted, told).await;
        frames.close().await;
        Ok(heard?)
    })
}

/// Waits for something, and calls `tell` meanwhile.
async fn told_meanwhile<T>(waited: impl Future<Output = T>, tell: &mut dyn FnMut()) -> T {
    let mut waited = std::pin::pin!(waited);
    loop {
        tokio::select! {
            biased;
            done = &mut waited => return done,
            () = tokio::time::sleep(TELL_INTERVAL) => tell(),
        }
    }
}

async fn hear(
    frames: &mut Frames,
    began: Stopwatch,
    wanted: Wanted,
    told: &mut dyn FnMut(&Heard, Duration),
) -> Result<(Heard, Vec<Frame>), CameraError> {
    let mut heard = Heard::default();
    let (mut kept, mut kept_bytes) = (Vec::new(), 0);
    let mut since_first: Option<Stopwatch> = None;
    loop {
        let elapsed = since_first.map_or(Duration::ZERO, |since| since.elapsed());
        if elapsed >= wanted.length {
            break;
        }
        let mut tell = || {
            let elapsed = since_first.map_or(Duration::ZERO, |since| since.elapsed());
            told(&heard, elapsed);
        };
        let next = told_meanwhile(frames.next(), &mut tell);
        let left = wanted.length.saturating_sub(elapsed);
        // A camera may send nothing any more while its session lasts.
        let received = match since_first {
            None => next.await?,
            Some(_) => match tokio::time::timeout(left, next).await {
                Ok(received) => received?,
                Err(_) => break,
            },
        };
        match received {
            Received::NoBeginning(why) => heard.no_beginning = Some(why),
            Received::Frame(frame) => {
                if since_first.is_none() {
                    since_first = Some(Stopwatch::start());
                    heard.waited = began.elapsed();
                }
                heard.take(&frame);
                kept_bytes += frame.data.len();
                if wanted.keeps_frames && kept_bytes <= KEPT_BYTES_MAX {
                    kept.push(frame);
                }
            }
        }
    }
    heard.facts = frames.facts();
    Ok((heard, kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_groups_are_those_of_the_stamps() {
        let mut pictures = Counted::default();
        assert_eq!((pictures.rate(), pictures.bit_rate()), (None, None));
        // Out of order, as they are decoded.
        for number in [0, 3, 1, 2, 4] {
            pictures.add(number * 40_000_000, 1000);
        }
        assert_eq!(pictures.rate(), Some(25.0));
        assert_eq!(pictures.bit_rate(), Some(200_000.0));
        let mut at_once = Counted::default();
        (0..3).for_each(|_| at_once.add(7, 10));
        assert_eq!(at_once.rate(), None, "stamps that say nothing");
        let mut heard = Heard::default();
        heard.keys.add(0, 1);
        assert_eq!(heard.group(), None);
        heard.keys.add(2_000_000_000, 1);
        assert_eq!(heard.group(), Some(Duration::from_secs(2)));
    }
}
