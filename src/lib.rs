//! reelfs: a recorder for cameras whose archive is a file system.

pub mod archive;
pub mod camera;
pub mod catalogue;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod device;
pub mod index;
pub mod mount;
pub mod mp4;
pub mod purge;
pub mod recorder;
pub mod retention;
pub mod ring;
pub mod segment;
pub mod status;
pub mod units;
pub mod view;
pub mod wire;
