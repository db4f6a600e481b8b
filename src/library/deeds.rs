//! What was done to clips on somebody's request, gathered: a day that is removed is one line of the
//! log, not hundreds.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::units::{BootTime, ByteCount, WallTime};

/// When nothing more of its kind has come for so long, it is over: between two clips `rm` and `mv`
/// take far less, and who waits for the line does not notice.
const QUIET: Duration = Duration::from_secs(1);
/// What goes on and on is told once in this time.
const GATHERED_MAX: Duration = Duration::from_secs(60);

/// What can be done to a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It is in the trash.
    Removed,
    /// It has been brought back from there.
    Restored,
    /// It was in the trash, and has been given up before its deadline.
    GivenUp,
    /// It is protected.
    Kept,
    /// It is protected no more.
    Released,
    /// It was to be removed, and is protected.
    NotRemoved,
    /// It was to be protected, and there is no room for more.
    NotKept,
    /// It was to be protected with one that grows.
    Grows,
}

/// The clip that it was done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoneTo {
    /// Whose it is.
    pub camera: String,
    /// When it begins.
    pub start: WallTime,
    /// Space that it takes on the device.
    pub bytes: ByteCount,
    /// Until when it can be restored, if it is removed, or is protected, if that ends.
    pub until: Option<WallTime>,
}

/// The same, done to so many clips at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// What.
    pub deed: Deed,
    /// The first of them; it has the nearest deadline.
    pub first: DoneTo,
    /// How many.
    pub clips: u64,
    /// Space that they take.
    pub bytes: ByteCount,
    /// Whose they are: no more than the ring has cameras.
    pub cameras: BTreeSet<String>,
    began: BootTime,
    last: BootTime,
}

impl Gathered {
    fn is_over(&self, now: BootTime) -> bool {
        now.since(self.last) >= QUIET || now.since(self.began) >= GATHERED_MAX
    }
}

/// What has been done lately, and is still to be told. Of each kind there is one at most.
#[derive(Debug, Default)]
pub struct Deeds(Mutex<Vec<Gathered>>);

impl Deeds {
    fn gathered(&self) -> MutexGuard<'_, Vec<Gathered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This has been done, at a time that [`Deeds::take_over`] goes by, too.
    pub fn gather(&self, deed: Deed, clip: DoneTo, now: BootTime) {
        let mut all = self.gathered();
        match all.iter_mut().find(|gathered| gathered.deed == deed) {
            Some(gathered) => {
                gathered.clips += 1;
                gathered.bytes += clip.bytes;
                gathered.last = now;
                gathered.cameras.insert(clip.camera);
            }
            None => all.push(Gathered {
                deed,
                clips: 1,
                bytes: clip.bytes,
                cameras: BTreeSet::from([clip.camera.clone()]),
                first: clip,
                began: now,
                last: now,
            }),
        }
    }

    /// What is over, each told once, in the order in which it began.
    #[must_use]
    pub fn take_over(&self, now: BootTime) -> Vec<Gathered> {
        self.gathered().extract_if(.., |gathered| gathered.is_over(now)).collect()
    }

    /// The same, with what is not over yet.
    #[must_use]
    pub fn take_all(&self) -> Vec<Gathered> {
        std::mem::take(&mut *self.gathered())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(camera: &str, start: i64) -> DoneTo {
        let until = Some(WallTime(start + 1000));
        DoneTo { camera: camera.to_owned(), start: WallTime(start), bytes: ByteCount(7), until }
    }

    fn millis(millis: i64) -> BootTime {
        BootTime(millis * 1_000_000)
    }

    fn told(gathered: &[Gathered]) -> Vec<(Deed, u64, usize)> {
        gathered.iter().map(|it| (it.deed, it.clips, it.cameras.len())).collect()
    }

    #[test]
    fn what_is_done_at_once_is_told_once_when_nothing_more_has_come_for_a_second() {
        let deeds = Deeds::default();
        for number in 0..300 {
            let camera = if number % 3 == 0 { "yard" } else { "door" };
            deeds.gather(Deed::Removed, clip(camera, number), millis(number * 10));
            assert_eq!(told(&deeds.take_over(millis(number * 10 + 9))), []);
        }
        deeds.gather(Deed::Restored, clip("yard", 5), millis(3100));
        assert_eq!(told(&deeds.take_over(millis(3900))), []);
        let over = deeds.take_over(millis(3990));
        assert_eq!(told(&over), [(Deed::Removed, 300, 2)]);
        assert_eq!((over[0].bytes, &over[0].first), (ByteCount(2100), &clip("yard", 0)));
        assert_eq!(told(&deeds.take_over(millis(4100))), [(Deed::Restored, 1, 1)]);
        assert_eq!(told(&deeds.take_over(millis(9000))), []);
    }

    #[test]
    fn what_goes_on_is_told_once_a_minute_and_at_the_end_all_of_it() {
        let deeds = Deeds::default();
        let mut lines = Vec::new();
        for second in 0..150 {
            deeds.gather(Deed::GivenUp, clip("yard", second), millis(second * 900));
            lines.extend(told(&deeds.take_over(millis(second * 900 + 1))));
        }
        assert_eq!(lines, [(Deed::GivenUp, 68, 1), (Deed::GivenUp, 68, 1)]);
        deeds.gather(Deed::Removed, clip("yard", 0), millis(150_000));
        let rest = [(Deed::GivenUp, 14, 1), (Deed::Removed, 1, 1)];
        assert_eq!(told(&deeds.take_all()), rest);
        assert_eq!(told(&deeds.take_all()), []);
    }
}
