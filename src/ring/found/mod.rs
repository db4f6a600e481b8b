//! What is found on the device of a ring that nobody writes to: superblocks, the facts in force,
//! what blocks say that no fact does. Nothing but superblocks is written.

mod facts;
mod left;
mod pieces;
mod search;
mod superblocks;
mod sweep;
mod tail;

pub use facts::read_ledger;
pub use left::{LeftBehind, LostChunks, left_behind};
pub use pieces::{Piece, Pieces};
pub use search::find_superblock;
pub(in crate::ring) use superblocks::add_features;
pub use superblocks::{
    FoundSuperblock, read_superblock, repair_superblocks, restore_superblocks, tend_superblocks,
    write_superblocks,
};
pub use sweep::{Scope, Sweep, sweep};
pub use tail::LostPlace;
