//! Findings: a place, what was found there, what was expected, and what that costs.

use std::fmt;

use serde::Serialize;

use crate::ring::Geometry;
use crate::units::{BlockNumber, ClipId, PAGE_BYTES};

/// Where something was found. Shown in words for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// What it is: `superblock`, `superblock copy`, `ledger`, `facts`, `block`, `chunk`, `table`,
    /// `clip`, `index`.
    pub part: &'static str,
    /// Place on the device, in bytes from its beginning.
    pub offset: Option<u64>,
    /// Ledger area, 0 or 1.
    pub area: Option<usize>,
    /// Block.
    pub block: Option<u32>,
    /// Page of 4 KiB, counted from the beginning of the block or of the ledger area.
    pub page: Option<u32>,
    /// Clip, as `session.counter`.
    pub clip: Option<String>,
    /// Chunk, counted in its clip.
    pub chunk: Option<u32>,
    /// The life of the block that this was said of.
    #[serde(skip)]
    pub life: Option<u64>,
    /// The clip, to look it up.
    #[serde(skip)]
    pub clip_id: Option<ClipId>,
}

impl Place {
    /// Part of the ring without a place of its own.
    #[must_use]
    pub fn of(part: &'static str) -> Place {
        Place { part, ..Place::default() }
    }

    /// A page of a ledger area.
    #[must_use]
    pub fn ledger(geometry: &Geometry, area: usize, page: Option<u32>) -> Place {
        let start = geometry.ledger_start(area).0;
        let offset = start + u64::from(page.unwrap_or(0)) * PAGE_BYTES;
        let (area, offset) = (Some(area), Some(offset));
        Place { area, page, offset, ..Place::of("ledger") }
    }

    /// A page of a block.
    #[must_use]
    pub fn block(part: &'static str, geometry: &Geometry, block: BlockNumber, page: u32) -> Place {
        let offset = Some(geometry.page_start(block, page).0);
        Place { offset, block: Some(block.0), page: Some(page), ..Place::of(part) }
    }

    /// The same place, of a clip.
    #[must_use]
    pub fn with_clip(self, clip: ClipId) -> Place {
        Place { clip: Some(clip.to_string()), clip_id: Some(clip), ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.part)?;
        if let Some(area) = self.area {
            write!(f, " area {area}")?;
        }
        if let (Some(block), true) = (self.block, self.part != "block") {
            write!(f, " in block {block}")?;
        } else if let Some(block) = self.block {
            write!(f, " {block}")?;
        }
        if let Some(page) = self.page {
            write!(f, " page {page}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " (byte {offset})")?;
        }
        if let Some(clip) = &self.clip {
            write!(f, " clip {clip}")?;
        }
        if let Some(chunk) = self.chunk {
            write!(f, " chunk {chunk}")?;
        }
        Ok(())
    }
}

/// Footage that can't be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Name of the camera.
    pub camera: String,
    /// The clip, as `session.counter`, where one is known.
    pub clip: Option<String>,
    /// When the clip begins that the footage is part of: what its name says. RFC 3339, UTC.
    pub clip_start: Option<String>,
    /// When what is lost begins, where that is known. RFC 3339, UTC.
    pub from: Option<String>,
    /// When it ends, where that is known. RFC 3339, UTC.
    pub to: Option<String>,
}

/// What a finding costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Cost {
    /// Nothing: something else says the same.
    Nothing,
    /// Speed: what is damaged is a cache.
    Cache,
    /// Something that was said: a removal or a mark may be forgotten.
    Facts,
    /// Footage.
    Footage(Loss),
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loss = match self {
            Cost::Nothing => return f.write_str("nothing"),
            Cost::Cache => return f.write_str("cache"),
            Cost::Facts => return f.write_str("facts: a removal or a mark may be forgotten"),
            Cost::Footage(loss) => loss,
        };
        write!(f, "footage of camera {}", loss.camera)?;
        if let (Some(from), Some(to)) = (&loss.from, &loss.to) {
            write!(f, " from {from} to {to}")?;
        }
        Ok(())
    }
}

/// A disagreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What is there.
    pub found: String,
    /// What should be.
    pub expected: String,
    /// What it costs.
    pub cost: Cost,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { place, found, expected, cost } = self;
        write!(f, "{place}: found {found}, expected {expected}; costs {cost}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Sequence;

    #[test]
    fn a_finding_is_a_line_for_people_and_an_object_for_programs() {
        let place = Place {
            offset: Some(8192),
            block: Some(3),
            page: Some(2),
            chunk: Some(1),
            ..Place::of("chunk")
        };
        let loss = Loss {
            camera: "yard".into(),
            clip: Some("1.7".into()),
            clip_start: None,
            from: Some("a".into()),
            to: Some("b".into()),
        };
        let finding = Finding {
            place: place.with_clip(ClipId(Sequence(1 << 40 | 7))),
            found: "x".into(),
            expected: "y".into(),
            cost: Cost::Footage(loss),
        };
        assert_eq!(
            finding.to_string(),
            "chunk in block 3 page 2 (byte 8192) clip 1.7 chunk 1: found x, expected y; \
             costs footage of camera yard from a to b"
        );
        let json = serde_json::to_value(&finding).expect("JSON");
        assert_eq!(json["place"]["clip"], "1.7");
        assert_eq!(json["cost"]["kind"], "footage");
        assert_eq!(json["cost"]["camera"], "yard");
    }
}
