//! The ledger: what of its two copies can't be read, and what that leaves open.

use super::Checker;
use super::finding::{Cost, Finding, Place};

impl Checker<'_> {
    pub(super) fn check_ledger(&mut self) {
        let geometry = self.inspection.superblock.geometry;
        let findings = self.inspection.findings.clone();
        // Either area says everything: what one of them has lost costs nothing.
        let cost = if findings.doubtful { Cost::Facts } else { Cost::Nothing };
        for &(area, page) in &findings.rotten {
            self.tell(Finding {
                place: Place::ledger(&geometry, area, Some(page)),
                found: "no sound page".into(),
                expected: "a page that had been flushed".into(),
                cost: cost.clone(),
            });
        }
        if let Some(area) = findings.area_lost {
            self.tell(Finding {
                place: Place::ledger(&geometry, area, None),
                found: "no page of this ring's ledger".into(),
                expected: "a copy of the ledger".into(),
                cost: cost.clone(),
            });
        }
        if let Some((area, page)) = findings.cut_short {
            self.tell(Finding {
                place: Place::ledger(&geometry, area, Some(page)),
                found: "the end of the log".into(),
                expected: "what a flush covered in the other copy".into(),
                cost: cost.clone(),
            });
        }
        let contradictions = self.inspection.contradictions();
        for (clip, words) in &contradictions {
            let place = Place::of("facts");
            let place = match clip {
                Some(clip) => place.with_clip(*clip),
                None => place,
            };
            self.tell(Finding {
                place,
                found: words.clone(),
                expected: "facts that follow from one another".into(),
                cost: Cost::Facts,
            });
        }
        let unread =
            u64::from(findings.unreadable_facts).saturating_sub(contradictions.len() as u64);
        if unread > 0 {
            self.tell(Finding {
                place: Place::of("facts"),
                found: format!("{unread} records that can't be made sense of"),
                expected: "facts".into(),
                cost: Cost::Facts,
            });
        }
        self.report.ledger_is_sound = findings.rotten.is_empty()
            && findings.area_lost.is_none()
            && findings.cut_short.is_none()
            && findings.unreadable_facts == 0
            && !findings.fell_back
            && !findings.doubtful;
        self.report.ledger_is_complete = !findings.doubtful && findings.unreadable_facts == 0;
        self.note_ledger();
    }

    fn note_ledger(&mut self) {
        let findings = self.inspection.findings.clone();
        if findings.doubtful {
            self.note(
                "both copies of a part of the ledger are lost: the next `run`, or --repair, puts \
                 what nobody can vouch for among the deleted clips that can be restored"
                    .into(),
            );
        }
        if findings.clips_restored > 0 {
            self.note(format!(
                "{} clips are known from the older ledger area alone",
                findings.clips_restored
            ));
        }
        if findings.torn_tail > 0 {
            self.note(format!(
                "{} ledger pages at the end that no flush had covered: what a power cut leaves",
                findings.torn_tail
            ));
        }
    }
}
