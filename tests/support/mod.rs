//! What several test files share: a disk that forgets, an interpreter that remembers.
#![allow(dead_code, reason = "each test file uses its own part of this")]

pub mod disk;
pub mod memory;
pub mod opened;
pub mod runs;
