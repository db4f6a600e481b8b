//! Headers of blocks against the facts, and footage in blocks that no fact knows.

use std::collections::BTreeSet;

use super::finding::{Cost, Finding, Loss, Place};
use super::names::span_of_table;
use super::{Checker, Phase};
use crate::ring::{BlockSummary, BlockUse, Fact, RingError, UnknownClip};
use crate::units::{BlockNumber, ClipId, Sequence};
use crate::view::utc_timestamp;

/// Free blocks from the frontier on that are looked at in any case: a ledger that has gone back to
/// an earlier state does not know what they hold.
const FREE_BLOCKS_TRIED: u32 = 64;

/// What the facts say of numbers.
struct Known {
    /// Clips up to this number were known to the checkpoint, or gone before it.
    horizon: Sequence,
    /// The highest number of all.
    newest: Sequence,
    /// Clips that are gone since.
    gone: BTreeSet<ClipId>,
}

impl Checker<'_> {
    pub(super) fn check_blocks(&mut self) {
        let count = self.inspection.superblock.geometry.block_count;
        let thorough = self.options.scrub || !self.report.ledger_is_complete;
        let gone = self.inspection.facts.iter().filter_map(|fact| match fact {
            Fact::Gone { clip, .. } => Some(*clip),
            _ => None,
        });
        let gone: BTreeSet<ClipId> = gone.collect();
        let known = Known {
            horizon: self.inspection.checkpoint_horizon(),
            newest: self.inspection.newest_number(),
            gone,
        };
        let frontier = self.inspection.next_free().map_or(0, |block| block.0);
        for number in 0..count {
            let block = BlockNumber(number);
            let is_free = self.inspection.holders(block) == 0;
            let ahead = (number + count - frontier) % count;
            if is_free && !thorough && ahead >= FREE_BLOCKS_TRIED {
                continue;
            }
            self.step(Phase::Blocks, u64::from(number), u64::from(count));
            match self.inspection.block(block) {
                Ok(summary) => {
                    self.check_header(&summary);
                    self.look_for_unknown(&summary, &known);
                }
                Err(error) if !is_free => self.tell_unreadable(block, &error),
                Err(error) => self.note(format!("free block {block}: {error}")),
            }
        }
    }

    fn block_place(&self, block: BlockNumber) -> Place {
        let geometry = &self.inspection.superblock.geometry;
        let life = Some(self.inspection.life(block).0);
        Place { life, ..Place::block("block", geometry, block, 0) }
    }

    fn tell_unreadable(&mut self, block: BlockNumber, error: &RingError) {
        self.tell(Finding {
            place: self.block_place(block),
            found: error.to_string(),
            expected: "the header of a block".into(),
            cost: Cost::Nothing,
        });
    }

    /// A block whose header is damaged is read all the same: its clips' facts say where they are.
    fn check_header(&mut self, summary: &BlockSummary) {
        if !matches!(summary.used_for, BlockUse::Open | BlockUse::Filled) {
            return;
        }
        let found = match &summary.header {
            None => "no header, or a damaged one".to_owned(),
            Some(header) if header.life != summary.life => format!("life {}", header.life),
            Some(_) => return,
        };
        self.tell(Finding {
            place: self.block_place(summary.block),
            found,
            expected: format!("the header of life {}", summary.life),
            cost: Cost::Nothing,
        });
    }

    fn look_for_unknown(&mut self, summary: &BlockSummary, known: &Known) {
        let Some(header) = &summary.header else { return };
        // A daemon goes on reserving, and what it has just begun is not among the facts yet.
        let later = header.life > known.newest && !self.options.live;
        // What a crash has left behind the facts is no damage: the next `run` takes it over.
        let is_growing = header.life == summary.life
            && matches!(summary.used_for, BlockUse::Open | BlockUse::Reserved);
        if is_growing || (self.report.ledger_is_complete && !later) {
            return;
        }
        match self.inspection.unknown_clips(summary.block, known.horizon, &known.gone) {
            Ok(unknown) => {
                for unknown in unknown {
                    self.tell_unknown(summary.block, &unknown, later);
                }
            }
            Err(error) => self.note(format!("block {}: {error}", summary.block)),
        }
    }

    /// `later`: the ledger has gone back to an earlier state and does not know it.
    fn tell_unknown(&mut self, block: BlockNumber, unknown: &UnknownClip, later: bool) {
        let geometry = &self.inspection.superblock.geometry;
        let [first, last] = unknown.tables.each_ref().map(|table| span_of_table(table));
        let place = Place::block("clip", geometry, block, unknown.first_page);
        self.report.has_unknown |= later;
        let loss = Loss {
            camera: unknown.name.clone(),
            clip: Some(unknown.clip.to_string()),
            clip_start: None,
            from: first.map(|span| utc_timestamp(span.0)),
            to: last.map(|span| utc_timestamp(span.1)),
        };
        let found = format!(
            "{} chunks of camera {} from {} to {} that no fact knows",
            unknown.chunks,
            loss.camera,
            loss.from.as_deref().unwrap_or("?"),
            loss.to.as_deref().unwrap_or("?")
        );
        self.tell(Finding {
            place: place.with_clip(unknown.clip),
            found,
            expected: "a fact that says where they are, or that they are gone".into(),
            // What the ledger is known to lack is looked for by the next opening.
            cost: if later { Cost::Footage(loss) } else { Cost::Facts },
        });
    }
}
