//! How much has to have come over a connection before it is read. Pure, but for the clock.
//!
//! Sound comes in small packets, up to fifty a second: to be woken by each of them costs more than
//! all that is done with it. Read together nothing of it is lost but when it came; and of that the
//! least delay of half a minute counts (`recorder`). So most of the time a connection that carries
//! sound is read when pictures come, or enough sound; and for a second now and then, and as long as
//! a session is young, at once. Where nothing wakes it for a moment, what is there is read.

use std::time::Duration;

use crate::clock::since_boot;
use crate::units::BootTime;

/// In bytes: more than a few packets of sound, and less than one of pictures.
const NAP_BYTES: u32 = 1000;
/// What came is read after so long at the latest: a few packets of sound, or two pictures.
pub(super) const NAP_MAX: Duration = Duration::from_millis(100);
/// A session is young for so long: how its packets come is not known.
const YOUNG: Duration = Duration::from_secs(5);
/// Of so many seconds one is spent awake.
const CYCLE_SECONDS: u64 = 8;

/// Whether a session naps.
#[derive(Debug)]
pub(super) struct Nap {
    begun: BootTime,
    may_nap: bool,
    /// Nothing woke it the last time: it is awake once.
    is_over: bool,
}

impl Nap {
    /// Of a session that begins. One `may_nap` where sound, or records, come on the connection of
    /// its requests.
    pub(super) fn new(may_nap: bool) -> Nap {
        Nap { begun: since_boot(), may_nap, is_over: false }
    }

    /// The connection is waited for. Answers how many bytes have to be there before it is read,
    /// where that is not at once.
    pub(super) fn begin(&mut self) -> Option<u32> {
        let is_over = std::mem::take(&mut self.is_over);
        (self.may_nap && !is_over && is_asleep(since_boot().since(self.begun))).then_some(NAP_BYTES)
    }

    /// Nothing has woken it.
    pub(super) fn over(&mut self) {
        self.is_over = true;
    }
}

/// Whether a session of that age does not listen to each packet.
fn is_asleep(age: Duration) -> bool {
    age >= YOUNG && !age.as_secs().is_multiple_of(CYCLE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether one naps that is so many seconds old.
    fn naps(nap: &mut Nap, seconds: u64) -> bool {
        let age = Duration::from_millis(seconds * 1000 + 1);
        nap.begun = BootTime(since_boot().0 - age.as_nanos() as i64);
        nap.begin().is_some()
    }

    #[test]
    fn a_second_of_eight_is_spent_awake_and_the_first_ones_are() {
        let mut nap = Nap::new(true);
        let awake: Vec<u64> = (0..30).filter(|second| !naps(&mut nap, *second)).collect();
        assert_eq!(awake, [0, 1, 2, 3, 4, 8, 16, 24]);
        let mut without_sound = Nap::new(false);
        assert!((0..30).all(|second| !naps(&mut without_sound, second)));
    }

    #[test]
    fn where_nothing_wakes_it_what_is_there_is_read() {
        let mut nap = Nap::new(true);
        nap.over();
        assert!(!naps(&mut nap, 6));
        assert!(naps(&mut nap, 6), "once");
    }
}
