//! reelfs: a recorder for cameras whose archive is a file system.

pub mod clock;
pub mod device;
pub mod ring;
pub mod segment;
pub mod units;
pub mod wire;
