//! Where a scrub stands in its pass, as a function of time. Pure.

use std::time::Duration;

/// Blocks counted on through all passes: a pass is as many as the ring has.
///
/// Where the scrub should stand follows from the wall clock alone, so that a restart goes on where
/// the daemon that ran on would be, and nothing has to be written down for it. What was due while
/// none ran is left to the next pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Blocks of the ring; not 0.
    pub blocks: u32,
    /// Time of one pass; not 0.
    pub every: Duration,
}

impl Schedule {
    /// The block that is due at a time, in nanoseconds since 1970.
    pub fn due(&self, wall_nanos: i64) -> u64 {
        let nanos = u128::from(wall_nanos.max(0).unsigned_abs());
        let due = nanos * u128::from(self.blocks) / self.every.as_nanos().max(1);
        u64::try_from(due).unwrap_or(u64::MAX)
    }

    /// How long one block may take.
    pub fn per_block(&self) -> Duration {
        self.every / self.blocks.max(1)
    }

    /// The same block in the pass in which `due` is: after a step of the clock, or where the
    /// device does not keep up. No block is passed over by that.
    pub fn in_pass_of(&self, position: u64, due: u64) -> u64 {
        let blocks = u64::from(self.blocks.max(1));
        let behind = due.saturating_sub(position) / blocks;
        let ahead = position.saturating_sub(due) / blocks;
        position + behind * blocks - ahead * blocks
    }

    /// The number of the block at a position.
    pub fn block(&self, position: u64) -> u32 {
        (position % u64::from(self.blocks.max(1))) as u32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY_NANOS: i64 = 86_400_000_000_000;
    const MONTH: Schedule = Schedule { blocks: 1000, every: Duration::from_secs(30 * 86_400) };

    #[test]
    fn a_pass_takes_its_time_and_a_restart_goes_on_where_it_would_be() {
        let start = 700 * DAY_NANOS;
        let first = MONTH.due(start);
        assert_eq!(MONTH.due(start + 30 * DAY_NANOS), first + 1000);
        assert_eq!(MONTH.due(start + 15 * DAY_NANOS), first + 500);
        assert_eq!(MONTH.per_block(), Duration::from_secs(2592));
    }

    proptest! {
        #[test]
        fn a_step_of_the_clock_passes_over_no_block(
            position in 0..1_u64 << 40,
            due in 0..1_u64 << 40,
        ) {
            let moved = MONTH.in_pass_of(position, due);
            prop_assert_eq!(MONTH.block(moved), MONTH.block(position));
            prop_assert!(moved.abs_diff(due) < 1000);
        }

        #[test]
        fn any_clock_and_any_ring_have_a_place(wall: i64, blocks in 1_u32.., nanos in 1_u64..) {
            let schedule = Schedule { blocks, every: Duration::from_nanos(nanos) };
            let due = schedule.due(wall);
            prop_assert!(schedule.block(due) < blocks);
            prop_assert_eq!(schedule.in_pass_of(due, due), due);
        }
    }
}
