//! The order of the packets that come one way: each has a number, one more than the last
//! (RFC 3550, 5.1). Where some are missing, those behind wait for them a while. Pure, but for the
//! clock.
//!
//! Over UDP packets overtake each other, and what comes late or twice is of no use. Over TCP they
//! come as the camera sent them: most out of order come from what relays them from somewhere else,
//! and numbers that are odd otherwise are the camera's own. So there only a small gap is waited
//! for, all else passes as it is, and a camera whose gaps are never filled is not waited for any
//! more.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rtp::{self, is_report};
use crate::clock::{Deadline, Reading};

/// Packets that wait for one that is missing.
const WINDOW_PACKETS_MAX: usize = 256;
/// The same, in bytes.
const WINDOW_BYTES_MAX: usize = 2 << 20;
/// A packet that has not come so long after those behind it is lost.
const WINDOW_WAIT: Duration = Duration::from_millis(100);
/// Over UDP, farther ahead a number belongs to another count.
const AHEAD_MAX: u16 = 1000;
/// Less far behind it is late, or comes twice.
const LATE_MAX: u16 = 1000;
/// After so many in a row of another count that one is followed; where they may be late ones, after
/// as many as can be late.
const STRANGE_MAX: u32 = 3;
const STRANGE_LATE_MAX: u32 = LATE_MAX as u32;
/// Over TCP, so many that are missing may still come.
const GAP_MAX: u16 = 32;
/// Over TCP, so many gaps in a row that were waited for in vain are the camera's way of counting.
const IN_VAIN_MAX: u32 = 16;

/// A packet, and when it came: whatever it waits for afterwards is no delay of its way.
#[derive(Clone, Copy)]
pub(super) struct Arrived<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: &'a Reading,
}

/// Holds packets back until those before them are there, or given up.
pub(super) struct Order {
    rules: Rules,
    /// The number that comes next.
    next: Option<u16>,
    /// By how far ahead of `next` they were when that was 0: unwrapped.
    waiting: BTreeMap<u64, Waiting>,
    bytes: usize,
    base: u64,
    since: Option<Deadline>,
}

/// A packet that waits for those before it, when it came, and how long it waits.
struct Waiting {
    packet: Vec<u8>,
    at: Reading,
    until: Deadline,
}

/// What is made of a number that does not come next.
enum Rules {
    Udp {
        /// Packets of another count that came in a row.
        strange: u32,
    },
    Tcp {
        source: u32,
        /// Gaps in a row that nothing filled.
        in_vain: u32,
    },
}

impl Order {
    pub(super) fn over_udp() -> Order {
        Order::new(Rules::Udp { strange: 0 })
    }

    pub(super) fn over_tcp() -> Order {
        Order::new(Rules::Tcp { source: 0, in_vain: 0 })
    }

    fn new(rules: Rules) -> Order {
        Order { rules, next: None, waiting: BTreeMap::new(), bytes: 0, base: 0, since: None }
    }

    /// Takes a packet, and hands on what is in order by now.
    pub(super) fn push(&mut self, packet: Arrived<'_>, mut hand_on: impl FnMut(Arrived<'_>)) {
        match rtp::number(packet.bytes) {
            Some((number, source)) if !is_report(packet.bytes) => match self.rules {
                Rules::Udp { .. } => self.push_datagram(number, packet, &mut hand_on),
                Rules::Tcp { .. } => self.push_interleaved(number, source, packet, &mut hand_on),
            },
            // No packet of a count: what it is, is seen elsewhere.
            _ => hand_on(packet),
        }
    }

    fn push_datagram(
        &mut self,
        number: u16,
        packet: Arrived<'_>,
        hand_on: &mut impl FnMut(Arrived<'_>),
    ) {
        let Rules::Udp { strange } = &mut self.rules else { return };
        let ahead = number.wrapping_sub(*self.next.get_or_insert(number));
        let is_late = ahead >= u16::MAX - LATE_MAX;
        if is_late || ahead > AHEAD_MAX {
            // Late, or twice; or the camera counts anew, once nothing else comes.
            *strange += 1;
            let least = if is_late { STRANGE_LATE_MAX } else { STRANGE_MAX };
            if *strange > least {
                *strange = 0;
                self.begin_at(number, packet, hand_on);
            }
            return;
        }
        *strange = 0;
        match ahead {
            0 => self.go_on(packet, hand_on),
            _ => self.hold(ahead, packet, hand_on),
        }
    }

    fn push_interleaved(
        &mut self,
        number: u16,
        source: u32,
        packet: Arrived<'_>,
        hand_on: &mut impl FnMut(Arrived<'_>),
    ) {
        let held_up_to = self.held_up_to();
        let gap_max = GAP_MAX + held_up_to;
        let Rules::Tcp { source: last, in_vain } = &mut self.rules else { return };
        let is_other = std::mem::replace(last, source) != source;
        let Some(next) = self.next.filter(|_| !is_other) else {
            return self.begin_at(number, packet, hand_on);
        };
        let ahead = number.wrapping_sub(next);
        if ahead == 0 {
            if self.since.is_some() {
                *in_vain = 0;
            }
            self.go_on(packet, hand_on);
        } else if ahead >= u16::MAX - GAP_MAX {
            // Somebody may have waited too short for it; or it comes twice.
            *in_vain = 0;
            hand_on(packet);
        } else if ahead <= gap_max && *in_vain < IN_VAIN_MAX {
            let place = self.base + u64::from(ahead);
            if ahead < held_up_to && !self.waiting.contains_key(&place) {
                // It fills a gap behind the one that all wait for.
                *in_vain = 0;
            }
            self.hold(ahead, packet, hand_on);
        } else {
            self.begin_at(number, packet, hand_on);
        }
    }

    /// When what is missing is given up.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.since
    }

    /// What is missing is lost, where it was waited for long enough.
    pub(super) fn tick(&mut self, mut hand_on: impl FnMut(Arrived<'_>)) {
        while self.since.is_some_and(Deadline::is_over) {
            self.skip(&mut hand_on);
        }
    }

    /// What is missing is not waited for.
    pub(super) fn give_up(&mut self, mut hand_on: impl FnMut(Arrived<'_>)) {
        while !self.waiting.is_empty() {
            self.skip(&mut hand_on);
        }
    }

    /// How far ahead of the next one the last one is that waits.
    fn held_up_to(&self) -> u16 {
        self.waiting.last_key_value().map_or(0, |(last, _)| (last - self.base) as u16)
    }

    /// Counts anew from a packet.
    fn begin_at(
        &mut self,
        number: u16,
        packet: Arrived<'_>,
        hand_on: &mut impl FnMut(Arrived<'_>),
    ) {
        self.give_up(&mut *hand_on);
        self.next = Some(number);
        self.pass(packet, hand_on);
    }

    /// With the packet that comes next.
    fn go_on(&mut self, packet: Arrived<'_>, hand_on: &mut impl FnMut(Arrived<'_>)) {
        self.pass(packet, hand_on);
        self.drain(hand_on);
    }

    fn hold(&mut self, ahead: u16, packet: Arrived<'_>, hand_on: &mut impl FnMut(Arrived<'_>)) {
        let until = Deadline::after(WINDOW_WAIT);
        self.waiting.entry(self.base + u64::from(ahead)).or_insert_with(|| {
            self.bytes += packet.bytes.len();
            Waiting { packet: packet.bytes.to_vec(), at: *packet.at, until }
        });
        self.since.get_or_insert(until);
        while self.waiting.len() > WINDOW_PACKETS_MAX || self.bytes > WINDOW_BYTES_MAX {
            self.skip(hand_on);
        }
    }

    fn pass(&mut self, packet: Arrived<'_>, hand_on: &mut impl FnMut(Arrived<'_>)) {
        hand_on(packet);
        self.next = self.next.map(|next| next.wrapping_add(1));
        self.base += 1;
    }

    fn drain(&mut self, hand_on: &mut impl FnMut(Arrived<'_>)) {
        while let Some(Waiting { packet, at, .. }) = self.waiting.remove(&self.base) {
            self.bytes -= packet.len();
            self.pass(Arrived { bytes: &packet, at: &at }, hand_on);
        }
        // What is behind the next gap may have waited for long: where more packets are lost than
        // there are waits in a second, one wait after the other would never end.
        self.since = self.waiting.values().map(|waiting| waiting.until).min();
    }

    /// Goes on with the first packet that is there.
    fn skip(&mut self, hand_on: &mut impl FnMut(Arrived<'_>)) {
        if let Rules::Tcp { in_vain, .. } = &mut self.rules {
            *in_vain += 1;
        }
        if let Some((&first, _)) = self.waiting.first_key_value() {
            let missing = (first - self.base) as u16;
            self.next = self.next.map(|next| next.wrapping_add(missing));
            self.base = first;
        }
        self.drain(hand_on);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(number: u16) -> Vec<u8> {
        let [high, low] = number.to_be_bytes();
        let mut packet = vec![0x80, 96, high, low];
        packet.resize(16, 0);
        packet
    }

    fn at() -> Reading {
        let (wall, boot) = (crate::units::WallTime(0), crate::units::BootTime(0));
        Reading { wall, boot, boot_id: [0; 16], synchronised: true }
    }

    fn number(it: Arrived<'_>) -> u16 {
        u16::from_be_bytes([it.bytes[2], it.bytes[3]])
    }

    fn push(order: &mut Order, packet: &[u8], hand_on: impl FnMut(Arrived<'_>)) {
        order.push(Arrived { bytes: packet, at: &at() }, hand_on);
    }

    fn pushed(order: &mut Order, numbers: impl IntoIterator<Item = u16>) -> Vec<u16> {
        let mut got = Vec::new();
        for sent in numbers {
            push(order, &packet(sent), |it| got.push(number(it)));
        }
        got
    }

    fn run(mut order: Order, numbers: &[u16]) -> Vec<u16> {
        let mut got = pushed(&mut order, numbers.iter().copied());
        order.give_up(|it| got.push(number(it)));
        got
    }

    #[test]
    fn the_order_is_mended_and_what_comes_twice_or_late_is_left_out() {
        let run = |numbers: &[u16]| run(Order::over_udp(), numbers);
        assert_eq!(run(&[7, 9, 8, 10]), [7, 8, 9, 10]);
        assert_eq!(run(&[65_535, 1, 0, 2]), [65_535, 0, 1, 2]);
        assert_eq!(run(&[1, 2, 2, 3, 1, 4]), [1, 2, 3, 4]);
        assert_eq!(run(&[1, 3, 4]), [1, 3, 4], "2 is lost");
        let again: Vec<u16> = (0..20).chain(10..20).chain(20..25).collect();
        assert_eq!(run(&again), (0..25).collect::<Vec<u16>>(), "ten come again");
        assert_eq!(run(&[1, 2, 20_000, 20_001, 20_002, 20_003, 20_004]), [1, 2, 20_003, 20_004]);
    }

    #[test]
    fn over_tcp_gaps_are_waited_for_and_numbers_that_are_odd_pass() {
        let run = |numbers: &[u16]| run(Order::over_tcp(), numbers);
        assert_eq!(run(&[7, 9, 8, 10]), [7, 8, 9, 10]);
        assert_eq!(run(&[65_535, 1, 0, 2]), [65_535, 0, 1, 2]);
        assert_eq!(run(&[7, 9, 9, 8, 10]), [7, 8, 9, 10], "what waits came twice");
        assert_eq!(run(&[1, 3, 4, 40, 50]), [1, 3, 4, 40, 50], "2 and others are lost");
        for odd in [&[5, 5, 5, 5][..], &[9, 8, 7, 6], &[1, 300, 2, 301], &[1, 2, 60_000, 1, 2]] {
            assert_eq!(pushed(&mut Order::over_tcp(), odd.iter().copied()), odd, "at once");
        }
    }

    #[test]
    fn over_tcp_another_source_ends_the_wait() {
        let mut order = Order::over_tcp();
        assert_eq!(pushed(&mut order, [1, 3, 4]), [1]);
        let mut other = packet(2);
        other[11] = 7;
        let mut got = Vec::new();
        push(&mut order, &other, |it| got.push((number(it), it.bytes[11])));
        assert_eq!(got, [(3, 0), (4, 0), (2, 7)]);
        assert!(order.deadline().is_none());
    }

    #[test]
    fn over_tcp_a_camera_that_leaves_numbers_out_is_not_waited_for_any_more() {
        let mut order = Order::over_tcp();
        pushed(&mut order, (0..2 * u16::try_from(IN_VAIN_MAX).unwrap()).map(|at| at * 3));
        while order.deadline().is_some() {
            order.skip(&mut |_| ());
        }
        assert_eq!(pushed(&mut order, [200, 202, 204]), [200, 202, 204]);
        assert_eq!(pushed(&mut order, [203]), [203], "and one that does fill them");
        assert_eq!(pushed(&mut order, [205, 207, 206]), [205, 206, 207], "is waited for again");
    }

    #[test]
    fn over_tcp_what_fills_a_gap_behind_another_one_was_not_waited_for_in_vain() {
        for (fills, wanted) in [(true, [103, 104]), (false, [104, 103])] {
            let mut order = Order::over_tcp();
            // Behind a gap that is never filled: one that is, or one that comes twice.
            for gap in 0..u16::try_from(IN_VAIN_MAX).unwrap() {
                let begin = gap * 6;
                let places = if fills { [0, 2, 4, 3, 5, 5] } else { [0, 2, 3, 4, 3, 5] };
                pushed(&mut order, places.map(|place| begin + place));
                order.give_up(|_| ());
            }
            pushed(&mut order, 96..103);
            assert_eq!(pushed(&mut order, [104, 103]), wanted, "{fills}");
        }
    }

    #[test]
    fn what_waited_behind_several_gaps_is_handed_on_when_its_own_wait_is_over() {
        for mut order in [Order::over_udp(), Order::over_tcp()] {
            let mut got = pushed(&mut order, [0, 2, 4, 6]);
            let until = order.deadline().expect("1 is missing");
            std::thread::sleep(until.left() / 2);
            got.extend(pushed(&mut order, [8, 1]));
            assert_eq!(got, [0, 1, 2]);
            assert!(order.deadline().expect("3 is missing").left() < WINDOW_WAIT / 2);
            std::thread::sleep(until.left() + Duration::from_millis(2));
            order.tick(|it| got.push(number(it)));
            assert!(got.starts_with(&[0, 1, 2, 4, 6]), "{got:?}: 7 may still come");
        }
    }

    #[test]
    fn what_waited_came_when_it_came() {
        let mut order = Order::over_tcp();
        let mut got = Vec::new();
        for (came, sent) in [1, 3, 4, 2].into_iter().enumerate() {
            let at = Reading { boot: crate::units::BootTime(came as i64), ..at() };
            let it = packet(sent);
            order.push(Arrived { bytes: &it, at: &at }, |it| got.push((number(it), it.at.boot.0)));
        }
        assert_eq!(got, [(1, 0), (2, 3), (3, 1), (4, 2)]);
    }

    #[test]
    fn what_waits_is_bounded() {
        for mut order in [Order::over_udp(), Order::over_tcp()] {
            let mut handed = 0;
            for number in std::iter::once(0).chain(2..900) {
                push(&mut order, &packet(number), |_| handed += 1);
                assert!(order.waiting.len() <= WINDOW_PACKETS_MAX);
            }
            assert!(handed > 600);
        }
    }

    proptest! {
        #[test]
        fn any_order_within_the_window_gives_all_of_them(
            start in any::<u16>(),
            is_tcp in any::<bool>(),
            swaps in prop::collection::vec(0_usize..100, 0..60),
        ) {
            let sent: Vec<u16> = (0..100).map(|number| start.wrapping_add(number)).collect();
            let mut mixed = sent.clone();
            // The first one says where the count begins.
            for at in swaps {
                mixed.swap(at.max(1), (at + 5).clamp(1, 99));
            }
            let order = if is_tcp { Order::over_tcp() } else { Order::over_udp() };
            prop_assert_eq!(run(order, &mixed), sent);
        }

        #[test]
        fn over_tcp_nothing_is_left_out_but_what_comes_twice(
            numbers in prop::collection::vec(0_u16..80, 0..200),
        ) {
            let mut all = numbers.clone();
            let mut got = run(Order::over_tcp(), &numbers);
            all.sort_unstable();
            all.dedup();
            got.sort_unstable();
            got.dedup();
            prop_assert_eq!(got, all);
        }
    }
}
