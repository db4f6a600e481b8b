//! reelfs: a recorder for cameras whose archive is a file system.

pub mod catalogue;
pub mod clock;
pub mod device;
pub mod mount;
pub mod retention;
pub mod ring;
pub mod segment;
pub mod units;
pub mod view;
pub mod wire;
