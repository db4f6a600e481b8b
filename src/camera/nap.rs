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
    /// Nothing woke it.
    is_over: bool,
}

impl Nap {
    /// Of a session that begins. One `may_nap` where sound comes on the connection of its requests.
    pub(super) fn new(may_nap: bool) -> Nap {
        Nap { begun: since_boot(), may_nap, is_over: false }
    }

    /// So many bytes have to be there before the connection is read, where that is not at once.
    pub(super) fn bytes(&self) -> Option<u32> {
        self.bytes_at(since_boot())
    }

    fn bytes_at(&self, now: BootTime) -> Option<u32> {
        let age = now.since(self.begun);
        let is_awake = age < YOUNG || age.as_secs().is_multiple_of(CYCLE_SECONDS);
        (self.may_nap && !self.is_over && !is_awake).then_some(NAP_BYTES)
    }

    /// It has been woken: by what came, or because the time is over.
    pub(super) fn woken(&mut self, is_over: bool) {
        self.is_over = is_over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naps(nap: &Nap, seconds: u64) -> bool {
        nap.bytes_at(nap.begun.plus(Duration::from_millis(seconds * 1000 + 1))).is_some()
    }

    #[test]
    fn a_second_of_eight_is_spent_awake_and_the_first_ones_are() {
        let nap = Nap::new(true);
        let awake: Vec<u64> = (0..30).filter(|second| !naps(&nap, *second)).collect();
        assert_eq!(awake, [0, 1, 2, 3, 4, 8, 16, 24]);
        let without_sound = Nap::new(false);
        assert!((0..30).all(|second| !naps(&without_sound, second)));
    }

    #[test]
    fn where_nothing_wakes_it_what_is_there_is_read() {
        let mut nap = Nap::new(true);
        nap.woken(true);
        assert!(!naps(&nap, 6));
        nap.woken(false);
        assert!(naps(&nap, 6));
    }
}
