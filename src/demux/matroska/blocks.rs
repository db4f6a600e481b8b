//! Blocks: samples of one track (RFC 9559, 10 and 11).

use super::elements::variable;
use crate::demux::Problem;
use crate::demux::Source;
use crate::demux::cursor::Cursor;

/// What is read of the beginning of a block, in bytes: with it the lengths of what is in it.
const HEADER_BYTES_MAX: usize = 4 << 10;
/// Flags (RFC 9559, 10.2).
const KEY: u8 = 0x80;
const INVISIBLE: u8 = 0x08;

/// A block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) track: u64,
    /// In ticks from the time of the cluster.
    pub(super) timestamp: i16,
    pub(super) is_key: bool,
    pub(super) is_shown: bool,
    /// Where its samples lie, in bytes from the beginning of the file, and how long they are.
    pub(super) samples: Vec<(u64, u32)>,
}

impl Block {
    /// The one that lies there; `None` where it contradicts itself.
    pub(super) fn read(
        source: &dyn Source,
        start: u64,
        end: u64,
    ) -> Result<Option<Block>, Problem> {
        let mut bytes = [0; HEADER_BYTES_MAX];
        let length = (end - start).min(bytes.len() as u64) as usize;
        // Most have one sample and a short header.
        let first = bytes.get_mut(..length.min(16)).unwrap_or_default();
        source.read_at(start, first)?;
        let block = Block::parse(first, start, end);
        if block.is_some() || length <= 16 {
            return Ok(block);
        }
        let all = bytes.get_mut(..length).unwrap_or_default();
        source.read_at(start, all)?;
        Ok(Block::parse(all, start, end))
    }

    fn parse(bytes: &[u8], start: u64, end: u64) -> Option<Block> {
        let mut at = Cursor(bytes);
        let track = variable(&mut at)?;
        let timestamp = at.u16()?.cast_signed();
        let flags = at.u8()?;
        let behind = |at: &Cursor<'_>| start + (bytes.len() - at.0.len()) as u64;
        let sizes = match flags >> 1 & 3 {
            0 => Vec::new(),
            lacing => {
                let count = usize::from(at.u8()?);
                match lacing {
                    1 => xiph(&mut at, count)?,
                    3 => of_ebml(&mut at, count)?,
                    _ => {
                        let all = end - behind(&at);
                        vec![all / (count as u64 + 1); count]
                    }
                }
            }
        };
        let mut samples = Vec::with_capacity(sizes.len() + 1);
        let mut place = behind(&at);
        // The last one takes what is left.
        for size in sizes {
            samples.push((place, u32::try_from(size).ok()?));
            place = place.checked_add(size)?;
        }
        samples.push((place, u32::try_from(end.checked_sub(place)?).ok()?));
        let (is_key, is_shown) = (flags & KEY != 0, flags & INVISIBLE == 0);
        Some(Block { track, timestamp, is_key, is_shown, samples })
    }
}

/// Lengths of all samples but the last one, each as bytes that are added up (RFC 9559, 10.3.2).
fn xiph(at: &mut Cursor<'_>, count: usize) -> Option<Vec<u64>> {
    let mut sizes = Vec::with_capacity(count);
    for _ in 0..count {
        let mut size = 0;
        loop {
            let byte = at.u8()?;
            size += u64::from(byte);
            if byte < 255 {
                break;
            }
        }
        sizes.push(size);
    }
    Some(sizes)
}

/// The same, the first one, and by how much each other is longer than that before (RFC 9559,
/// 10.3.3).
fn of_ebml(at: &mut Cursor<'_>, count: usize) -> Option<Vec<u64>> {
    let mut sizes = Vec::with_capacity(count);
    for _ in 0..count {
        let bytes = at.0.first()?.leading_zeros() + 1;
        let value = variable(at)?;
        let size = match sizes.last() {
            None => value,
            Some(last) => {
                let half = (1_i64 << (7 * bytes - 1)) - 1;
                u64::try_from(i64::try_from(*last).ok()? + i64::try_from(value).ok()? - half)
                    .ok()?
            }
        };
        sizes.push(Some(size).filter(|size| *size <= u32::MAX.into())?);
    }
    Some(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(flags: u8, body: &[u8]) -> Option<Vec<(u64, u32)>> {
        let bytes = [&[0x81, 0xff, 0xfe, flags], body].concat();
        let block = Block::parse(&bytes, 100, 100 + bytes.len() as u64)?;
        assert_eq!((block.track, block.timestamp), (1, -2));
        Some(block.samples)
    }

    #[test]
    fn samples_of_a_block_lie_one_behind_another() {
        assert_eq!(parsed(0x80, &[7; 9]), Some(vec![(104, 9)]));
        let xiph = [&[2, 255, 1, 3], &[7; 300][..]].concat();
        assert_eq!(parsed(2, &xiph), Some(vec![(108, 256), (364, 3), (367, 41)]));
        assert_eq!(parsed(4, &[1, 7, 7, 7, 7]), Some(vec![(105, 2), (107, 2)]));
        let ebml = [&[2, 0x83, 0xbe], &[7; 9][..]].concat();
        assert_eq!(parsed(6, &ebml), Some(vec![(107, 3), (110, 2), (112, 4)]));
    }

    #[test]
    fn a_block_that_contradicts_itself_is_none() {
        assert_eq!(parsed(2, &[1, 200, 7, 7]), None);
        assert_eq!(parsed(6, &[2, 0x81, 0x80]), None);
        let forged = [&[255][..], &[1, 255, 255, 255, 255, 255, 255, 255].repeat(255)].concat();
        assert_eq!(parsed(6, &forged), None);
        assert_eq!(parsed(2, &[9, 255]), None);
        assert_eq!(Block::parse(&[0, 0, 0], 0, 3), None);
    }
}
