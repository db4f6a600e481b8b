//! The clocks of the machine.

use std::sync::atomic::{AtomicI64, Ordering};

use nix::time::{ClockId, clock_gettime};

use super::{Clock, Reading};
use crate::units::{BootTime, NANOS_PER_SECOND, WallTime};

const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";

/// Both clocks are read within this, in nanoseconds: what they differ by is known as well as that.
const MOMENT_NANOS: i64 = 100_000;
/// How often they are read anew for that.
const TRIES_MAX: usize = 4;

/// Whether the wall clock is synchronised is asked again after so long, in nanoseconds.
const SYNCHRONISED_NANOS: i64 = NANOS_PER_SECOND;

/// The clocks of the machine. Never fails: what the kernel does not tell counts as not known, and
/// a clock of which nothing is known as not synchronised.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    boot_id: [u8; 16],
}

impl SystemClock {
    /// The boot id can't change while this process lives, and is read once.
    #[must_use]
    pub fn new() -> SystemClock {
        SystemClock { boot_id: boot_id().unwrap_or_default() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn read(&self) -> Reading {
        // The two that are compared with each other are read with nothing between them: no more
        // than a moment at least, unless the process is kept from running again and again.
        let (mut wall, mut boot) = (None, None);
        for _ in 0..TRIES_MAX {
            let before = nanos(ClockId::CLOCK_BOOTTIME);
            wall = nanos(ClockId::CLOCK_REALTIME);
            boot = nanos(ClockId::CLOCK_BOOTTIME);
            if boot.zip(before).is_none_or(|(boot, before)| boot - before < MOMENT_NANOS) {
                break;
            }
        }
        Reading {
            wall: WallTime(wall.unwrap_or(0)),
            boot: BootTime(boot.unwrap_or(0)),
            boot_id: self.boot_id,
            synchronised: wall.is_some() && boot.is_some_and(synchronised_at),
        }
    }

    fn boot(&self) -> BootTime {
        since_boot()
    }
}

/// Time since the machine was started (`CLOCK_BOOTTIME`); 0 where the kernel does not tell.
#[must_use]
pub fn since_boot() -> BootTime {
    BootTime(nanos(ClockId::CLOCK_BOOTTIME).unwrap_or(0))
}

/// Seconds by which the C library's local time is ahead of UTC at `wall`; `None` where it does not
/// tell. It goes by `TZ` and `/etc/localtime`, as all programs do that ask it.
#[must_use]
pub fn system_offset_seconds(wall: WallTime) -> Option<i32> {
    let time = wall.0.div_euclid(NANOS_PER_SECOND);
    // SAFETY: all fields are integers and a pointer that may be null, for which zeros are a value.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both live through the call, which writes `local` alone. It reads the environment,
    // which nothing in this program changes.
    let answer = unsafe { libc::localtime_r(&raw const time, &raw mut local) };
    if answer.is_null() { None } else { i32::try_from(local.tm_gmtoff).ok() }
}

fn nanos(clock: ClockId) -> Option<i64> {
    let time = clock_gettime(clock).ok()?;
    time.tv_sec().checked_mul(NANOS_PER_SECOND)?.checked_add(time.tv_nsec())
}

/// What the kernel said last, and when: twice the boot time in nanoseconds, and one more where the
/// wall clock was synchronised.
static SYNCHRONISED: AtomicI64 = AtomicI64::new(i64::MIN);

/// Whether the kernel says that the wall clock is synchronised; as it did a moment ago, since
/// recorders ask with each picture.
fn synchronised_at(boot: i64) -> bool {
    let said = SYNCHRONISED.load(Ordering::Relaxed);
    if (0..SYNCHRONISED_NANOS).contains(&boot.saturating_sub(said >> 1)) {
        return said & 1 == 1;
    }
    let synchronised = synchronised();
    SYNCHRONISED.store(boot << 1 | i64::from(synchronised), Ordering::Relaxed);
    synchronised
}

fn synchronised() -> bool {
    // SAFETY: all fields are integers (padding included), for which zeros are a value.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `state` lives through the call; with `modes` zero the call only reads.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    answer >= 0 && state.status & (libc::STA_UNSYNC | libc::STA_CLOCKERR) == 0
}

fn boot_id() -> Option<[u8; 16]> {
    let text = std::fs::read_to_string(BOOT_ID_PATH).ok()?;
    uuid::Uuid::try_parse(text.trim()).ok().map(uuid::Uuid::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_run_at_the_same_rate_and_belong_to_one_boot() {
        let clock = SystemClock::new();
        let first = clock.read();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let second = clock.read();
        assert_eq!(first.boot_id, second.boot_id);
        assert_ne!(first.boot_id, [0; 16]);
        let boot = second.boot.0 - first.boot.0;
        let wall = second.wall.nanos_since(first.wall);
        assert!(boot >= 20_000_000, "the boot clock stands still: {boot} ns");
        assert!((wall - boot).abs() < NANOS_PER_SECOND, "wall {wall} ns, boot {boot} ns");
    }

    #[test]
    fn the_wall_clock_is_the_one_that_the_standard_library_reads() {
        let wall = SystemClock::new().read().wall;
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock behind 1970");
        assert!((now.as_nanos() as i64 - wall.0).abs() < NANOS_PER_SECOND);
    }
}
