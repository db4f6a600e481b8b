//! The facts with one another: places, lives, streams, and what clips say of themselves.

use std::collections::BTreeMap;

use super::Checker;
use super::finding::{Cost, Finding, Place};
use crate::archive::fact_in_force;
use crate::mp4;
use crate::ring::{ClipRecord, Extent};
use crate::units::{BlockNumber, ClipId};

impl Checker<'_> {
    pub(super) fn check_facts(&mut self) {
        let mut places: BTreeMap<BlockNumber, Vec<(ClipId, Extent)>> = BTreeMap::new();
        let mut wrong = Vec::new();
        for (clip, record) in self.inspection.clips() {
            if record.is_purging() {
                continue;
            }
            wrong.extend(self.wrong_with_clip(clip, record));
            wrong.extend(self.wrong_with_lives(clip, record));
            for extent in record.all_extents() {
                places.entry(extent.block).or_default().push((clip, *extent));
            }
        }
        for (block, mut extents) in places {
            extents.sort_by_key(|(_, extent)| (extent.first_page, extent.end_page));
            for pair in extents.windows(2) {
                let ((one, before), (other, behind)) = (pair[0], pair[1]);
                if behind.first_page < before.end_page && before.life == behind.life {
                    wrong.push(self.overlap(block, (one, before), (other, behind)));
                }
            }
        }
        for finding in wrong {
            self.tell(finding);
        }
    }

    fn wrong_with_clip(&self, clip: ClipId, record: &ClipRecord) -> Vec<Finding> {
        let mut wrong = Vec::new();
        let place = Place::of("clip").with_clip(clip);
        if !self.names.knows(record.stream) {
            wrong.push(Finding {
                place: place.clone(),
                found: format!("stream {}, of which nothing is known", record.stream),
                expected: "a stream with a name".into(),
                cost: Cost::Nothing,
            });
        }
        if record.state.is_some() {
            let shown = fact_in_force(record).map_err(|error| error.to_string());
            let shown = shown.and_then(|fact| mp4::size(&fact).map_err(|error| error.to_string()));
            if let Err(found) = shown {
                let expected = "a fact that a file can be made of".into();
                let cost = self.names.loss(clip, record, None);
                wrong.push(Finding { place: place.clone(), found, expected, cost });
            }
        }
        let mut chunks = 0;
        for extent in &record.extents {
            if extent.clip_chunks < chunks {
                wrong.push(Finding {
                    place: self.place_of("clip", extent, clip),
                    found: format!("{} chunks up to here", extent.clip_chunks),
                    expected: format!("{chunks} at least"),
                    cost: Cost::Nothing,
                });
            }
            chunks = extent.clip_chunks;
        }
        wrong
    }

    /// A block that has begun another life since holds another clip's samples there.
    fn wrong_with_lives(&self, clip: ClipId, record: &ClipRecord) -> Vec<Finding> {
        let tables = record.table.iter().chain(&record.table_copy).map(|extent| (extent, true));
        let extents = record.extents.iter().map(|extent| (extent, false)).chain(tables);
        let other = extents.filter(|(e, _)| self.inspection.life(e.block) != e.life);
        let finding = |(extent, is_table): (&Extent, bool)| Finding {
            place: self.place_of(if is_table { "table" } else { "clip" }, extent, clip),
            found: format!("life {} of the block", self.inspection.life(extent.block)),
            expected: format!("life {}", extent.life),
            cost: if is_table { Cost::Cache } else { self.names.loss(clip, record, None) },
        };
        other.map(finding).collect()
    }

    fn overlap(
        &self,
        block: BlockNumber,
        (one, before): (ClipId, Extent),
        (other, behind): (ClipId, Extent),
    ) -> Finding {
        let geometry = &self.inspection.superblock.geometry;
        let record = self.inspection.clips().find(|(clip, _)| *clip == other);
        Finding {
            place: Place::block("clip", geometry, block, behind.first_page).with_clip(other),
            found: format!(
                "pages {}-{}, of which clip {one} has {}-{}",
                behind.first_page,
                behind.end_page.saturating_sub(1),
                before.first_page,
                before.end_page.saturating_sub(1)
            ),
            expected: "pages of one clip each".into(),
            cost: record.map_or(Cost::Facts, |(clip, record)| self.names.loss(clip, record, None)),
        }
    }

    pub(super) fn place_of(&self, part: &'static str, extent: &Extent, clip: ClipId) -> Place {
        let geometry = &self.inspection.superblock.geometry;
        let place = Place::block(part, geometry, extent.block, extent.first_page);
        Place { life: Some(extent.life.0), ..place }.with_clip(clip)
    }
}
