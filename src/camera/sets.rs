//! Parameter sets that a camera has told: every one of every number, as decoders need them. Pure.

use std::collections::BTreeMap;

use super::units::{Kind, Syntax};

/// All that is kept of a camera, in bytes: real sets have some dozens each.
const KNOWN_BYTES_MAX: usize = 128 << 10;
/// Sets that are put in front of a key frame which came without them, in bytes.
const ADDED_BYTES_MAX: usize = 4 << 10;

/// What a decoder configuration is worth, in bytes: larger sets stand in front of key frames only.
pub(super) const CONFIGURATION_BYTES_MAX: usize = 4 << 10;

/// The latest set of each number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sets(BTreeMap<(u8, u32), Vec<u8>>);

impl Sets {
    /// Takes a unit, if it is a set. Answers whether it is news.
    pub(super) fn take(&mut self, syntax: &Syntax, unit: &[u8]) -> bool {
        if unit.is_empty() {
            return false;
        }
        let Kind::Set(order, number) = (syntax.kind)(unit) else { return false };
        if self.0.get(&(order, number)).is_some_and(|known| known == unit) {
            return false;
        }
        let bytes: usize = self.0.values().map(Vec::len).sum();
        if bytes + unit.len() > KNOWN_BYTES_MAX {
            self.0.clear();
        }
        self.0.insert((order, number), unit.to_owned());
        true
    }

    /// Those of one order, by number.
    pub(super) fn of(&self, order: u8) -> impl Iterator<Item = &[u8]> {
        self.0.range((order, 0)..=(order, u32::MAX)).map(|(_, set)| set.as_slice())
    }

    /// Those of one order for which there is `room` in bytes; takes it.
    pub(super) fn fitting(&self, order: u8, room: &mut usize) -> Vec<&[u8]> {
        let fits = |set: &&[u8]| {
            let does = set.len() <= *room;
            *room -= if does { set.len() } else { 0 };
            does
        };
        self.of(order).filter(fits).collect()
    }

    /// The one of that order and number.
    pub(super) fn get(&self, order: u8, number: u32) -> Option<&[u8]> {
        self.0.get(&(order, number)).map(Vec::as_slice)
    }

    /// What stands in front of a key frame, each with its length: all of them. Those that did not
    /// come with it (`own`) only up to a bearable length.
    pub(super) fn in_front(&self, own: &[Vec<u8>]) -> Vec<u8> {
        let mut front = Vec::new();
        let mut added = 0;
        for set in self.0.values() {
            if !own.contains(set) {
                added += set.len();
                if added > ADDED_BYTES_MAX {
                    continue;
                }
            }
            push_unit(&mut front, set);
        }
        front
    }

    /// Sets, each with its length.
    pub(super) fn joined(sets: &[Vec<u8>]) -> Vec<u8> {
        let mut joined = Vec::new();
        for set in sets {
            push_unit(&mut joined, set);
        }
        joined
    }
}

/// Puts units in front of those of a picture, but behind its delimiter, which is its first (ITU-T
/// H.264, 7.4.1.2.3; H.265, 7.4.2.4.4).
pub(super) fn with_front(syntax: &Syntax, front: &[u8], data: &[u8]) -> Vec<u8> {
    let first = data
        .split_first_chunk::<4>()
        .filter(|(_, unit)| !unit.is_empty() && matches!((syntax.kind)(unit), Kind::Delimiter));
    let delimiter = first.map_or(0, |(length, _)| 4 + u32::from_be_bytes(*length) as usize);
    let (delimiter, rest) = data.split_at(delimiter.min(data.len()));
    [delimiter, front, rest].concat()
}

/// Appends a unit with a length of four bytes before it (ISO/IEC 14496-15, 5.3.2).
pub(super) fn push_unit(data: &mut Vec<u8>, unit: &[u8]) {
    data.extend((unit.len() as u32).to_be_bytes());
    data.extend_from_slice(unit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::h264::SYNTAX;

    /// A picture parameter set of that number, below 7.
    fn set(number: u8, length: usize) -> Vec<u8> {
        let coded = [0b1000_0000, 0b0100_0000, 0b0110_0000, 0b0010_0000, 0b0010_1000];
        [&[0x68, coded[usize::from(number)]][..], &vec![0x55; length - 2]].concat()
    }

    #[test]
    fn every_number_is_kept_and_the_latest_of_each() {
        let mut sets = Sets::default();
        assert!(sets.take(&SYNTAX, &set(1, 4)) && sets.take(&SYNTAX, &set(0, 4)));
        assert!(!sets.take(&SYNTAX, &set(1, 4)), "known");
        assert!(sets.take(&SYNTAX, &set(1, 6)), "other bytes");
        assert!(!sets.take(&SYNTAX, &[0x65, 0x88]), "a slice");
        assert_eq!(sets.of(1).collect::<Vec<_>>(), [&set(0, 4)[..], &set(1, 6)]);
        let mut front = Vec::new();
        push_unit(&mut front, &set(0, 4));
        push_unit(&mut front, &set(1, 6));
        assert_eq!(sets.in_front(&[]), front);
    }

    #[test]
    fn large_ones_are_neither_added_nor_piled_up() {
        let mut sets = Sets::default();
        for number in 0..5 {
            sets.take(&SYNTAX, &set(number, 40_000));
        }
        let kept: usize = sets.of(1).map(<[u8]>::len).sum();
        assert!(kept <= KNOWN_BYTES_MAX);
        assert!(sets.in_front(&[]).is_empty());
        assert_eq!(sets.in_front(&[set(4, 40_000)]).len(), 40_004);
    }
}
