//! Types for offsets, counts, ticks, sequences and names: a number that has a unit never travels as
//! a bare integer between rooms.
//!
//! Arithmetic that could overflow on hostile input is checked at the place that read the input;
//! the operators here are for values that are known to be in range.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// Smallest unit of a durable write: what the formats below are aligned to, in bytes.
pub const PAGE_BYTES: u64 = 4096;

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;

macro_rules! plain_number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

plain_number! {
    /// A number of bytes.
    ByteCount(u64)
}
plain_number! {
    /// A place on a device, in bytes from its beginning.
    DeviceOffset(u64)
}
plain_number! {
    /// A block of the ring, counted from 0.
    BlockNumber(u32)
}
plain_number! {
    /// A stream of the ring; given out once and never reused. Other rings number theirs alike.
    StreamNumber(u32)
}
plain_number! {
    /// A ring among those that stand in one tree: 0 for the first, or the only one. It is in the
    /// ring's superblock, so that it stays whatever device the ring is on and in whichever order
    /// devices are named; a tree gives each out once, also where the ring that had it is gone.
    RingNumber(u8)
}
/// An event of a stream, wherever it is spoken of: a digest of who told of it and of what they call
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 16]);

impl fmt::Display for EventId {
    /// In 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// A stream of one of the rings that stand in one tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    /// Which ring it is on.
    pub ring: RingNumber,
    /// What it is called there.
    pub stream: StreamNumber,
}

impl fmt::Display for StreamKey {
    /// As on its ring, and for all but ring 0 the ring before it: `3/stream`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ring {
            RingNumber(0) => self.stream.fmt(f),
            ring => write!(f, "{ring}/{}", self.stream),
        }
    }
}

plain_number! {
    /// A start of the daemon (or an import) on this ring; 1 is the first. See [`Sequence`].
    SessionNumber(u32)
}
plain_number! {
    /// A point or a length on a track's time line, in units of its timescale.
    Ticks(i64)
}
plain_number! {
    /// Wall-clock time: nanoseconds since 1970-01-01 00:00 UTC, leap seconds not counted.
    WallTime(i64)
}
plain_number! {
    /// `CLOCK_BOOTTIME`: nanoseconds since this boot, suspension included.
    BootTime(i64)
}

impl Add<ByteCount> for DeviceOffset {
    type Output = DeviceOffset;
    fn add(self, rhs: ByteCount) -> DeviceOffset {
        DeviceOffset(self.0 + rhs.0)
    }
}

impl Add for ByteCount {
    type Output = ByteCount;
    fn add(self, rhs: ByteCount) -> ByteCount {
        ByteCount(self.0 + rhs.0)
    }
}

impl AddAssign for ByteCount {
    fn add_assign(&mut self, rhs: ByteCount) {
        self.0 += rhs.0;
    }
}

impl ByteCount {
    /// The smallest multiple of `unit` that is not below this count; saturates at the top.
    #[must_use]
    pub fn rounded_up(self, unit: u64) -> ByteCount {
        ByteCount(self.0.checked_next_multiple_of(unit).unwrap_or(u64::MAX - u64::MAX % unit))
    }
}

impl Add<Ticks> for Ticks {
    type Output = Ticks;
    fn add(self, rhs: Ticks) -> Ticks {
        Ticks(self.0 + rhs.0)
    }
}

impl Sub for Ticks {
    type Output = Ticks;
    fn sub(self, rhs: Ticks) -> Ticks {
        Ticks(self.0 - rhs.0)
    }
}

impl Ticks {
    /// This length in nanoseconds, rounded to the nearest; saturates.
    /// `timescale` is in ticks a second; 0 counts as 1.
    #[must_use]
    pub fn to_nanos(self, timescale: u32) -> i64 {
        let scale = i128::from(timescale.max(1));
        let scaled = i128::from(self.0) * i128::from(NANOS_PER_SECOND);
        let nanos = (scaled + scale / 2).div_euclid(scale);
        nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// The length of `nanos` nanoseconds in ticks, rounded to the nearest; saturates.
    #[must_use]
    pub fn from_nanos(nanos: i64, timescale: u32) -> Ticks {
        let second = i128::from(NANOS_PER_SECOND);
        let scaled = i128::from(nanos) * i128::from(timescale.max(1));
        let ticks = (scaled + second / 2).div_euclid(second);
        Ticks(ticks.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

/// A length of time as the nanoseconds that facts and headers hold; saturates at 292 years.
#[must_use]
pub fn nanos_of(length: Duration) -> i64 {
    i64::try_from(length.as_nanos()).unwrap_or(i64::MAX)
}

/// The length of time that so many nanoseconds are; none where they are negative.
#[must_use]
pub fn length_of(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

impl BootTime {
    /// This time and so much more; saturates.
    #[must_use]
    pub fn plus(self, length: Duration) -> BootTime {
        BootTime(self.0.saturating_add(nanos_of(length)))
    }

    /// Time from `earlier` to this; none where that is later.
    #[must_use]
    pub fn since(self, earlier: BootTime) -> Duration {
        length_of(self.0.saturating_sub(earlier.0))
    }
}

impl WallTime {
    /// This time and so much more; saturates.
    #[must_use]
    pub fn plus(self, length: Duration) -> WallTime {
        self.plus_nanos(nanos_of(length))
    }

    /// This time less so much; saturates.
    #[must_use]
    pub fn minus(self, length: Duration) -> WallTime {
        WallTime(self.0.saturating_sub(nanos_of(length)))
    }

    /// Time from `earlier` to this; none where that is later.
    #[must_use]
    pub fn since(self, earlier: WallTime) -> Duration {
        length_of(self.nanos_since(earlier))
    }

    /// This time moved by `nanos` nanoseconds; saturates.
    #[must_use]
    pub fn plus_nanos(self, nanos: i64) -> WallTime {
        WallTime(self.0.saturating_add(nanos))
    }

    /// Nanoseconds from `earlier` to this time; saturates.
    #[must_use]
    pub fn nanos_since(self, earlier: WallTime) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A number that is never used twice on one ring: the session in the 22 bits from bit 40 on, a
/// counter in the low 32. The eight bits between are zero: they are the ring's ([`ClipKey`]).
/// Blocks' lives and clips are numbered from the same counter, so that "older" has one meaning for
/// both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Bits of the counter. A hundred cameras in clips of ten seconds and blocks of 4 MiB take
    /// some 35 numbers a second: after four years without a restart they go on in the numbers of
    /// the next session.
    const COUNTER_BITS: u32 = 32;
    /// Where the session begins.
    const SESSION_SHIFT: u32 = 40;
    /// The last session number that fits; a ring restarted once a second gets there in 48 days
    /// of nothing else, once a minute in eight years.
    pub const SESSION_MAX: SessionNumber = SessionNumber((1 << 22) - 1);

    /// The number `counter` of `session`.
    ///
    /// # Panics
    /// If either does not fit; both are counted by this program.
    #[must_use]
    pub fn new(session: SessionNumber, counter: u64) -> Sequence {
        assert!(session <= Self::SESSION_MAX && counter < 1 << Self::COUNTER_BITS);
        Sequence(u64::from(session.0) << Self::SESSION_SHIFT | counter)
    }

    /// The number that is `count` behind the first of `session`; beyond the last of them it is
    /// one of the next session.
    ///
    /// # Panics
    /// Beyond [`Sequence::SESSION_MAX`].
    #[must_use]
    pub fn counted(session: SessionNumber, count: u64) -> Sequence {
        let (sessions, counter) = (count >> Self::COUNTER_BITS, count % (1 << Self::COUNTER_BITS));
        let session =
            u32::try_from(sessions).map_or(u32::MAX, |more| session.0.saturating_add(more));
        Sequence::new(SessionNumber(session), counter)
    }

    /// The session that gave this number out.
    #[must_use]
    pub fn session(self) -> SessionNumber {
        SessionNumber((self.0 >> Self::SESSION_SHIFT) as u32)
    }
}

impl fmt::Display for Sequence {
    /// `session.counter`, as `inspect` and the log print it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.session(), self.0 & ((1 << Self::SESSION_SHIFT) - 1))
    }
}

/// A clip of the ring. Other rings number theirs alike: see [`ClipKey`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClipId(pub Sequence);

impl ClipId {
    /// The number that the ring gave it.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0.0
    }
}

impl fmt::Display for ClipId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A clip of one of the rings that stand in one tree: the clip's id, with the ring's number in the
/// eight bits that are zero in every id. Also the file's inode: below 2⁶², never reused. A clip of
/// ring 0 has its id as its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClipKey(u64);

impl ClipKey {
    const RING_SHIFT: u32 = Sequence::COUNTER_BITS;
    const RING_MASK: u64 = 0xFF << Self::RING_SHIFT;
    /// Before all others, in the order of numbers.
    pub const MIN: ClipKey = ClipKey(2);
    /// Behind all others.
    pub const MAX: ClipKey = ClipKey((1 << 62) - 1);

    /// The clip of a ring; `None` where no ring gives out such an id.
    #[must_use]
    pub fn new(ring: RingNumber, clip: ClipId) -> Option<ClipKey> {
        let is_sound = clip.number() & Self::RING_MASK == 0;
        let number = u64::from(ring.0) << Self::RING_SHIFT | clip.number();
        is_sound.then_some(number).and_then(ClipKey::from_number)
    }

    /// The clip that has a number; `None` where it is no clip's. 0 and 1 are none: sessions count
    /// from 1 on, and so do their numbers.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<ClipKey> {
        if number >= Self::MIN.0 && number <= Self::MAX.0 { Some(ClipKey(number)) } else { None }
    }

    /// The number that stands for this clip as an inode and in listings.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// Which ring it is on.
    #[must_use]
    pub fn ring(self) -> RingNumber {
        RingNumber((self.0 >> Self::RING_SHIFT) as u8)
    }

    /// What it is called on its ring.
    #[must_use]
    pub fn clip(self) -> ClipId {
        ClipId(Sequence(self.0 & !Self::RING_MASK))
    }
}

impl fmt::Display for ClipKey {
    /// As on its ring, and for all but ring 0 the ring before it: `3/session.counter`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ring() {
            RingNumber(0) => self.clip().fmt(f),
            ring => write!(f, "{ring}/{}", self.clip()),
        }
    }
}

/// How many of what: "1 clip", "2 clips".
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a, N>(pub N, pub &'a str);

impl<N: fmt::Display + PartialEq + From<u8>> fmt::Display for Counted<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counted(count, thing) = self;
        write!(f, "{count} {thing}{}", if *count == N::from(1) { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_keeps_its_id_on_ring_0_and_has_its_ring_in_it_on_others() {
        let clip = ClipId(Sequence::new(SessionNumber(7), 9));
        let key = |ring| ClipKey::new(RingNumber(ring), clip).expect("a sound id");
        let written = [
            (0, 0x0000_0700_0000_0009, "7.9"),
            (1, 0x0000_0701_0000_0009, "1/7.9"),
            (255, 0x0000_07FF_0000_0009, "255/7.9"),
        ];
        for (ring, number, text) in written {
            assert_eq!((key(ring).number(), key(ring).to_string()), (number, text.to_owned()));
            assert_eq!((key(ring).ring(), key(ring).clip()), (RingNumber(ring), clip));
            assert_eq!(ClipKey::from_number(number), Some(key(ring)));
        }
        let last = ClipId(Sequence::new(Sequence::SESSION_MAX, u64::from(u32::MAX)));
        let last = ClipKey::new(RingNumber(255), last).expect("a sound id");
        assert_eq!(last.number(), (1 << 62) - 1);
    }

    #[test]
    fn an_id_that_no_ring_gives_out_is_no_key() {
        for number in [0, 1, 1 << 32, 1 << 39, 1 << 62, u64::MAX] {
            assert_eq!(ClipKey::new(RingNumber(0), ClipId(Sequence(number))), None, "{number:#x}");
        }
        assert_eq!(ClipKey::from_number(1), None);
        assert_eq!(ClipKey::from_number(1 << 62), None);
    }

    #[test]
    fn one_is_not_counted_as_many() {
        let counted = |count: u32| Counted(count, "clip").to_string();
        assert_eq!([0, 1, 2].map(counted), ["0 clips", "1 clip", "2 clips"]);
    }
}
