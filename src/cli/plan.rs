//! How much time a ring of a given size will hold: `reelfs format --plan`. Pure.

use std::time::Duration;

use crate::units::ByteCount;

/// What the format takes for itself, as the ring defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overhead {
    /// Superblocks and ledger areas, in bytes.
    pub fixed: ByteCount,
    /// Header of a block, in bytes.
    pub block_header: ByteCount,
    /// Header, sample table and padding of a chunk, in bytes, on the average.
    pub chunk: ByteCount,
    /// How much of a stream's time is one chunk, on the average; not zero.
    pub chunk_length: Duration,
}

/// What a ring will hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Blocks that fit.
    pub blocks: u64,
    /// What all cameras send together, in bits per second.
    pub bit_rate: u64,
    /// How long it lasts until the oldest footage is overwritten.
    pub retention: Duration,
    /// Part of the whole that is not footage, from 0 to 1.
    pub overhead: f64,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nothing to plan for.
    #[error("no camera")]
    NoCamera,
    /// Not even one block for each camera.
    #[error("{blocks} blocks for {cameras} cameras: too small")]
    TooSmall {
        /// Blocks that fit.
        blocks: u64,
        /// Cameras to plan for.
        cameras: usize,
    },
}

/// What a ring of `size` with blocks of `block_size` holds of cameras that send so many bits per
/// second each. The block that each camera is filling is taken off: on the average half of it is
/// empty, and the oldest one is gone before the newest is full.
///
/// # Errors
/// No camera, or fewer blocks than cameras.
pub fn plan(
    size: ByteCount,
    block_size: ByteCount,
    cameras: &[u64],
    overhead: &Overhead,
) -> Result<Plan, PlanError> {
    if cameras.is_empty() {
        return Err(PlanError::NoCamera);
    }
    let blocks = size.0.saturating_sub(overhead.fixed.0) / block_size.0.max(1);
    let filled = blocks.saturating_sub(cameras.len() as u64);
    if filled == 0 {
        return Err(PlanError::TooSmall { blocks, cameras: cameras.len() });
    }
    let bit_rate = cameras.iter().fold(0u64, |sum, rate| sum.saturating_add(*rate));
    let sample_bytes_a_second = bit_rate as f64 / 8.0;
    let chunk_bytes_a_second =
        cameras.len() as f64 * overhead.chunk.0 as f64 / overhead.chunk_length.as_secs_f64();
    let in_block = block_size.0.saturating_sub(overhead.block_header.0) as f64;
    let seconds = filled as f64 * in_block / (sample_bytes_a_second + chunk_bytes_a_second);
    Ok(Plan {
        blocks,
        bit_rate,
        retention: Duration::from_secs(seconds as u64),
        overhead: 1.0 - seconds * sample_bytes_a_second / size.0 as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVERHEAD: Overhead = Overhead {
        fixed: ByteCount((2 << 20) + (512 << 10)),
        block_header: ByteCount(4096),
        chunk: ByteCount(2560),
        chunk_length: Duration::from_millis(1500),
    };
    const BLOCK: ByteCount = ByteCount(4 << 20);

    #[test]
    fn two_terabytes_hold_four_4_megabit_cameras_for_twelve_days() {
        let plan = plan(ByteCount(2 << 40), BLOCK, &[4_000_000; 4], &OVERHEAD).unwrap();
        let days = plan.retention.as_secs_f64() / 86_400.0;
        assert!((12.6..12.8).contains(&days), "{days} days");
        assert!((0.001..0.01).contains(&plan.overhead), "{}", plan.overhead);
        assert_eq!(plan.bit_rate, 16_000_000);
    }

    #[test]
    fn a_slower_camera_is_held_longer_at_more_overhead() {
        let of = |rate| plan(ByteCount(1 << 40), BLOCK, &[rate], &OVERHEAD).unwrap();
        let (slow, fast) = (of(500_000), of(4_000_000));
        assert!(slow.retention > fast.retention * 7 && slow.retention < fast.retention * 8);
        assert!(slow.overhead > fast.overhead);
    }

    #[test]
    fn what_can_not_be_planned_is_refused() {
        let of = |size, cameras: &[u64]| plan(ByteCount(size), BLOCK, cameras, &OVERHEAD);
        assert_eq!(of(1 << 40, &[]), Err(PlanError::NoCamera));
        let error = of(10 << 20, &[4_000_000]).unwrap_err();
        assert_eq!(error, PlanError::TooSmall { blocks: 1, cameras: 1 });
        assert!(of(0, &[4_000_000]).is_err());
        assert!(of(u64::MAX, &[u64::MAX, u64::MAX]).is_ok());
    }
}
