//! What is under way to the disk: facts for the ledger, clips that grow, tables that are owed.

mod clips;
mod facts;
mod tables;

pub use clips::{Clips, DroppedClip, Growing, Undurable};
pub use facts::FactQueue;
pub use tables::{COPIES_OWED_MAX, OwedCopy, OwedTables, TABLE_CHUNKS_MIN};
