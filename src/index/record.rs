//! Records of the index: contents cut into parts, each with its checksum. Pure.
//!
//! ```text
//! key   "m"                          value  crc32c, version, ring UUID, session
//! key   "c" clip:u64be part:u16be    value  crc32c, bytes; part 0: their whole length:u32le first
//! ```
//! A checksum covers the key, too: a value that turns up under another one is damage.

use std::ops::Range;

use super::{CONTENTS_BYTES_MAX, IndexIdentity};
use crate::units::{ClipId, SessionNumber};

/// What a newer program that writes something else counts up.
const VERSION: u8 = 1;

/// Bytes of contents in one part: sled wants values of a few KB at most.
pub(super) const PART_BYTES: usize = 4000;

/// Key of the record that says whose index this is.
pub(super) const IDENTITY_KEY: &[u8] = b"m";

const CHECKSUM: Range<usize> = 0..4;
const LENGTH_BYTES: usize = 4;

const _: () = assert!(CONTENTS_BYTES_MAX.div_ceil(PART_BYTES) <= u16::MAX as usize);
const _: () = assert!(CONTENTS_BYTES_MAX <= u32::MAX as usize);

/// A record is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damaged {
    #[error("a record's checksum is wrong")]
    Checksum,
    #[error("a part of some contents is missing or of the wrong length")]
    Parts,
}

/// The key of one part of a clip's contents.
pub(super) fn key(clip: ClipId, part: u16) -> [u8; 11] {
    let mut key = [b'c'; 11];
    key[1..9].copy_from_slice(&clip.number().to_be_bytes());
    key[9..].copy_from_slice(&part.to_be_bytes());
    key
}

/// `bytes` behind a checksum over `key` and them.
fn with_checksum(key: &[u8], bytes: &[&[u8]]) -> Vec<u8> {
    let mut value = vec![0; CHECKSUM.end];
    bytes.iter().for_each(|part| value.extend_from_slice(part));
    let checksum = crc32c::crc32c_append(crc32c::crc32c(key), &value[CHECKSUM.end..]);
    value[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    value
}

fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], Damaged> {
    let (checksum, bytes) = value.split_at_checked(CHECKSUM.end).ok_or(Damaged::Checksum)?;
    let expected = crc32c::crc32c_append(crc32c::crc32c(key), bytes);
    if checksum == expected.to_le_bytes() { Ok(bytes) } else { Err(Damaged::Checksum) }
}

/// The records that contents become, in order.
pub(super) fn split(clip: ClipId, contents: &[u8]) -> Vec<([u8; 11], Vec<u8>)> {
    let length = (contents.len() as u32).to_le_bytes();
    let empty: &[u8] = &[];
    let parts = contents.chunks(PART_BYTES).chain(contents.is_empty().then_some(empty));
    let numbered = (0_u16..).zip(parts);
    numbered
        .map(|(number, part)| {
            let key = key(clip, number);
            let head = if number == 0 { &length[..] } else { empty };
            (key, with_checksum(&key, &[head, part]))
        })
        .collect()
}

/// Puts contents together again; `part` answers the value of a key. `None` where there is no
/// first part.
pub(super) fn join<E: From<Damaged>, V: AsRef<[u8]>>(
    clip: ClipId,
    mut part: impl FnMut(&[u8]) -> Result<Option<V>, E>,
) -> Result<Option<Vec<u8>>, E> {
    let first_key = key(clip, 0);
    let Some(first) = part(&first_key)? else { return Ok(None) };
    let bytes = open(&first_key, first.as_ref())?;
    let (length, bytes) = bytes.split_first_chunk::<LENGTH_BYTES>().ok_or(Damaged::Parts)?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > CONTENTS_BYTES_MAX {
        return Err(Damaged::Parts.into());
    }
    let mut contents = Vec::with_capacity(length);
    contents.extend_from_slice(bytes);
    for number in 1..length.div_ceil(PART_BYTES) as u16 {
        let key = key(clip, number);
        let value = part(&key)?.ok_or(Damaged::Parts)?;
        contents.extend_from_slice(open(&key, value.as_ref())?);
    }
    if contents.len() == length { Ok(Some(contents)) } else { Err(Damaged::Parts.into()) }
}

/// The record that says whose index this is.
pub(super) fn encode_identity(identity: &IndexIdentity) -> Vec<u8> {
    let session = identity.session.0.to_le_bytes();
    with_checksum(IDENTITY_KEY, &[&[VERSION], &identity.ring, &session])
}

/// Reads what [`encode_identity`] wrote; another version is damage, too.
pub(super) fn decode_identity(value: &[u8]) -> Result<IndexIdentity, Damaged> {
    let bytes = open(IDENTITY_KEY, value)?;
    let (version, bytes) = bytes.split_first().ok_or(Damaged::Parts)?;
    let (ring, session) = bytes.split_first_chunk().ok_or(Damaged::Parts)?;
    let session: [u8; 4] = session.try_into().map_err(|_| Damaged::Parts)?;
    if *version != VERSION {
        return Err(Damaged::Parts);
    }
    Ok(IndexIdentity { ring: *ring, session: SessionNumber(u32::from_le_bytes(session)) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::units::Sequence;

    const CLIP: ClipId = ClipId(Sequence(0x0102_0304_0506));

    fn joined(records: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Option<Vec<u8>>, Damaged> {
        join(CLIP, |key| Ok(records.get(key)))
    }

    fn records(contents: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        split(CLIP, contents).into_iter().map(|(key, value)| (key.to_vec(), value)).collect()
    }

    #[test]
    fn contents_of_any_length_come_back() {
        for length in [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, CONTENTS_BYTES_MAX] {
            let contents: Vec<u8> = (0..length).map(|at| at as u8).collect();
            assert_eq!(joined(&records(&contents)), Ok(Some(contents)));
        }
        assert_eq!(joined(&BTreeMap::new()), Ok(None));
    }

    #[test]
    fn the_owner_comes_back_and_another_version_does_not() {
        let identity = IndexIdentity { ring: [7; 16], session: SessionNumber(9) };
        assert_eq!(decode_identity(&encode_identity(&identity)), Ok(identity));
        let newer = with_checksum(IDENTITY_KEY, &[&[VERSION + 1], &[7; 16], &[9, 0, 0, 0]]);
        assert_eq!(decode_identity(&newer), Err(Damaged::Parts));
    }

    proptest! {
        #[test]
        fn a_changed_or_missing_record_is_damage_or_absence(
            contents in prop::collection::vec(any::<u8>(), 0..3 * PART_BYTES),
            which in any::<prop::sample::Index>(),
            byte in any::<prop::sample::Index>(),
            change in prop::option::of(1..=255_u8),
        ) {
            let mut records = records(&contents);
            let key = records.keys().nth(which.index(records.len())).cloned();
            let key = key.expect("a record");
            match change {
                None => drop(records.remove(&key)),
                Some(change) => {
                    let value = records.get_mut(&key).expect("the record");
                    let at = byte.index(value.len());
                    value[at] ^= change;
                }
            }
            prop_assert!(!matches!(joined(&records), Ok(Some(_))));
        }

        #[test]
        fn arbitrary_bytes_are_refused(value in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(decode_identity(&value).is_err());
            let one = BTreeMap::from([(key(CLIP, 0).to_vec(), value)]);
            prop_assert!(joined(&one).is_err());
        }
    }
}
