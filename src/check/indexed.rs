//! The index against the ring: whose it is, and whether it says what the blocks say.

use std::path::Path;

use super::Checker;
use super::finding::{Cost, Finding, Place};
use crate::index::{Audit, NoAudit};
use crate::ring::ClipContents;
use crate::units::ClipId;

impl Checker<'_> {
    pub(super) fn open_index(&mut self, directory: &Path) {
        let wrong = match Audit::open(directory) {
            Ok(audit) => {
                let ring = self.inspection.superblock.ring_uuid;
                let wrong = audit.foreign(ring, self.inspection.session());
                self.index = Some(audit).filter(|_| wrong.is_none());
                wrong
            }
            Err(NoAudit::InUse) => {
                self.note("the index is in use by a daemon, and was not looked at".into());
                None
            }
            Err(NoAudit::Absent) => {
                self.note(format!("{}: no index there", directory.display()));
                None
            }
            Err(NoAudit::Failed(reason)) => {
                self.note(format!("{}: not looked at: {reason}", directory.display()));
                None
            }
            Err(NoAudit::Damaged(reason)) => Some(reason),
        };
        if let Some(found) = wrong {
            self.tell_index(Place::of("index"), found, "an index of this ring");
        }
    }

    pub(super) fn check_indexed(&mut self, clip: ClipId, contents: &ClipContents) {
        let Some(index) = &self.index else { return };
        let found = match index.contents(clip) {
            Ok(None) => return,
            Ok(Some(bytes)) if bytes == contents.encode() => return,
            Ok(Some(_)) => "other contents".to_owned(),
            Err(reason) => reason,
        };
        let place = Place::of("index").with_clip(clip);
        self.tell_index(place, found, "what the clip's chunk headers say");
    }

    fn tell_index(&mut self, place: Place, found: String, expected: &str) {
        self.report.index_differs = true;
        self.tell(Finding { place, found, expected: expected.into(), cost: Cost::Cache });
    }
}
