//! What is wrong with the device: places that it refuses, room that it has not, flushes that fail;
//! and what the log has been told of that.
//!
//! A block that refuses a write, or again and again a read, is bad only if the device takes writes
//! elsewhere: it is said in the ledger with the next flush, and holds once the ledger has taken it.
//! Where that fails, too, nothing is said of any block, and recording pauses until a flush
//! succeeds.

use std::io::{self, ErrorKind};
use std::time::Duration;

use crate::clock::Throttle;
use crate::device::is_of_one_place;
use crate::units::{BlockNumber, BootTime};

/// Blocks that may refuse a write between two flushes before no more are tried.
const SUSPECTS_MAX: usize = 16;
/// Flushes in a row that may fail before nothing more is taken until one succeeds: each costs
/// every stream a block.
const FAILURES_MAX: u64 = 2;
/// Between two lines in the log about a device that fails, or a ledger that is full.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(600);
/// So many blocks become bad because they can't be read, at most, ...
const UNREAD_MAX: usize = 4;
/// ... in this time: where more can't, it is the disk that is in trouble, perhaps for a moment, and
/// a ring must not lose all its blocks for that.
const UNREAD_INTERVAL: Duration = Duration::from_secs(600);
/// Between two lines in the log about blocks that are bad, ...
const BAD_INTERVAL: Duration = Duration::from_secs(60);
/// ... and how many of them it names.
const BAD_NAMED: usize = 16;
/// How long nothing is tried after the device had no room (a file in a full file system), or said
/// no to everything. This and the other intervals count while the machine sleeps, too.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// What the device has refused lately.
pub struct Trouble {
    /// Blocks that have refused a write since the last flush.
    suspects: Vec<BlockNumber>,
    /// When blocks were called bad lately because they can't be read.
    unread_at: Vec<BootTime>,
    /// Bad blocks that the log has not told of.
    bad_untold: Vec<BlockNumber>,
    bad_lines: Throttle,
    /// When the device last said no to a block, and would have to any other.
    refused: Option<BootTime>,
    /// That the device fails.
    failure_lines: Throttle,
    /// Clips evicted since the log last said that the ledger is full.
    evicted_for_ledger: u64,
    ledger_lines: Throttle,
}

impl Default for Trouble {
    fn default() -> Trouble {
        Trouble {
            suspects: Vec::new(),
            unread_at: Vec::new(),
            bad_untold: Vec::new(),
            bad_lines: Throttle::every(BAD_INTERVAL),
            refused: None,
            failure_lines: Throttle::every(COMPLAINT_INTERVAL),
            evicted_for_ledger: 0,
            ledger_lines: Throttle::every(COMPLAINT_INTERVAL),
        }
    }
}

impl Trouble {
    /// Whether blocks have refused a write since the last flush.
    pub fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Whether a chunk may be tried, after so many flushes in a row that failed.
    pub fn lets_try(&self, failed: u64, now: BootTime) -> bool {
        let waits = self.refused.is_some_and(|refused| now.since(refused) < REFUSED_PAUSE);
        failed < FAILURES_MAX && self.suspects.len() < SUSPECTS_MAX && !waits
    }

    /// The device has taken a chunk.
    pub fn taken_again(&mut self) {
        if self.refused.take().is_some() {
            log::warn!("ring: the device takes it again, recording goes on");
        }
    }

    /// The block has refused a write. That there is no room for it, or no permission, says nothing
    /// of the block: the ring is a file with holes, say, in a file system that is full. Where
    /// flushes fail, the log has been told so.
    pub fn suspect(
        &mut self,
        block: BlockNumber,
        error: &io::Error,
        flushes_fail: bool,
        now: BootTime,
    ) {
        if !is_of_one_place(error) {
            if self.refused.replace(now).is_none() {
                let until = match error.kind() {
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "there is room for",
                    _ => "the device takes",
                };
                log::error!("ring: recording pauses until {until} block {block}: {error}");
            }
            return;
        }
        if self.suspects.is_empty() && !flushes_fail && self.bad_lines.is_ready(now) {
            log::error!("ring: block {block} refuses a write: {error}");
        }
        self.suspects.push(block);
    }

    /// Takes the blocks that are to be marked bad: those that have refused a write, and of those
    /// that can't be read as many as may be lost to that. The rest is met again, if it is they.
    pub fn take_suspects(
        &mut self,
        unreadable: Vec<BlockNumber>,
        now: BootTime,
    ) -> Vec<BlockNumber> {
        let mut suspects = std::mem::take(&mut self.suspects);
        self.unread_at.retain(|at| now.since(*at) < UNREAD_INTERVAL);
        let some = UNREAD_MAX.saturating_sub(self.unread_at.len());
        for block in unreadable.into_iter().take(some) {
            self.unread_at.push(now);
            suspects.push(block);
        }
        suspects
    }

    /// Blocks are bad: the log is told with the others of an interval.
    pub fn marked_bad(&mut self, blocks: &[BlockNumber]) {
        self.bad_untold.extend(blocks);
    }

    /// Tells of bad blocks: at once of the first, then of all that there were in an interval.
    pub fn tell_of_bad_blocks(&mut self, now: BootTime) {
        if self.bad_untold.is_empty() || !self.bad_lines.take(now) {
            return;
        }
        let blocks = std::mem::take(&mut self.bad_untold);
        let named = blocks.iter().take(BAD_NAMED).map(|block| format!("block {block}"));
        let named = named.collect::<Vec<String>>().join(", ");
        match blocks.len().saturating_sub(BAD_NAMED) {
            0 => log::error!("ring: bad, and not used any more: {named}"),
            more => log::error!("ring: bad, and not used any more: {named} and {more} others"),
        }
    }

    /// So many flushes in a row have failed.
    pub fn flush_failed(&mut self, failed: u64, error: &io::Error, now: BootTime) {
        if self.failure_lines.take(now) {
            log::error!("ring: nothing since the last flush is safe: {error}");
        } else if failed == FAILURES_MAX {
            log::error!("ring: recording pauses until the device takes a flush");
        }
    }

    /// A flush has succeeded after so many that failed.
    pub fn flushed_after(&mut self, failed: u64) {
        if failed > 0 {
            log::warn!("ring: the device is well again after {failed} flushes that failed");
            self.failure_lines = Throttle::every(COMPLAINT_INTERVAL);
        }
    }

    /// So many clips were evicted because the ledger is full.
    pub fn evicted_for_ledger(&mut self, clips: u64, now: BootTime) {
        self.evicted_for_ledger += clips;
        if self.evicted_for_ledger > 0 && self.ledger_lines.take(now) {
            let evicted = std::mem::take(&mut self.evicted_for_ledger);
            log::warn!(
                "ring: the ledger is full of short clips, {evicted} oldest evicted before their \
                 time"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(numbers: std::ops::Range<u32>) -> Vec<BlockNumber> {
        numbers.map(BlockNumber).collect()
    }

    const NOW: BootTime = BootTime(1);

    fn after(time: Duration) -> BootTime {
        BootTime(NOW.0 + time.as_nanos() as i64)
    }

    fn refused(kind: ErrorKind) -> io::Error {
        kind.into()
    }

    #[test]
    fn nothing_is_tried_while_flushes_fail_or_many_blocks_refuse() {
        let (mut trouble, now) = (Trouble::default(), NOW);
        assert!(trouble.lets_try(FAILURES_MAX - 1, now) && !trouble.lets_try(FAILURES_MAX, now));
        for block in blocks(0..SUSPECTS_MAX as u32) {
            assert!(trouble.lets_try(0, now));
            trouble.suspect(block, &refused(ErrorKind::Other), false, now);
        }
        assert!(trouble.has_suspects() && !trouble.lets_try(0, now));
        let suspects = trouble.take_suspects(Vec::new(), now);
        assert_eq!(suspects, blocks(0..SUSPECTS_MAX as u32));
        assert!(!trouble.has_suspects() && trouble.lets_try(0, now));
    }

    #[test]
    fn a_full_file_system_or_a_limit_says_nothing_of_blocks_and_is_waited_for() {
        let (mut trouble, now) = (Trouble::default(), NOW);
        for kind in [ErrorKind::FileTooLarge, ErrorKind::PermissionDenied, ErrorKind::StorageFull] {
            trouble.suspect(BlockNumber(3), &refused(kind), false, now);
            assert!(!trouble.has_suspects(), "{kind}");
        }
        assert!(!trouble.lets_try(0, after(REFUSED_PAUSE / 2)));
        assert!(trouble.lets_try(0, after(REFUSED_PAUSE)));
        // It has room before that, as a chunk shows that was under way.
        trouble.taken_again();
        assert!(trouble.lets_try(0, now));
    }

    #[test]
    fn few_blocks_are_lost_to_reads_that_fail_in_one_interval() {
        let (mut trouble, now) = (Trouble::default(), NOW);
        assert_eq!(trouble.take_suspects(blocks(0..3), now), blocks(0..3));
        let later = after(UNREAD_INTERVAL / 2);
        assert_eq!(trouble.take_suspects(blocks(3..9), later), blocks(3..4));
        assert!(trouble.take_suspects(blocks(4..9), later).is_empty());
        // The first three count no more.
        assert_eq!(trouble.take_suspects(blocks(4..9), after(UNREAD_INTERVAL)), blocks(4..7));
    }

    #[test]
    fn blocks_that_refuse_writes_are_taken_however_many_can_not_be_read() {
        let (mut trouble, now) = (Trouble::default(), NOW);
        drop(trouble.take_suspects(blocks(10..20), now));
        trouble.suspect(BlockNumber(3), &refused(ErrorKind::Other), false, now);
        assert_eq!(trouble.take_suspects(blocks(20..30), now), blocks(3..4));
    }

    #[test]
    fn the_log_hears_of_bad_blocks_once_in_an_interval() {
        let (mut trouble, now) = (Trouble::default(), NOW);
        trouble.marked_bad(&blocks(0..1));
        trouble.tell_of_bad_blocks(now);
        assert!(trouble.bad_untold.is_empty());
        trouble.marked_bad(&blocks(1..3));
        trouble.tell_of_bad_blocks(after(BAD_INTERVAL / 2));
        assert_eq!(trouble.bad_untold, blocks(1..3));
        trouble.tell_of_bad_blocks(after(BAD_INTERVAL));
        assert!(trouble.bad_untold.is_empty());
    }

    #[test]
    fn the_log_hears_of_a_full_ledger_once_in_an_interval() {
        let (mut trouble, now) = (Trouble::default(), NOW);
        trouble.evicted_for_ledger(0, now);
        assert!(trouble.ledger_lines.is_ready(now));
        trouble.evicted_for_ledger(2, now);
        trouble.evicted_for_ledger(3, after(COMPLAINT_INTERVAL / 2));
        assert_eq!(trouble.evicted_for_ledger, 3);
        assert!(!trouble.ledger_lines.is_ready(now));
        trouble.evicted_for_ledger(0, after(COMPLAINT_INTERVAL));
        assert_eq!(trouble.evicted_for_ledger, 0);
    }
}
