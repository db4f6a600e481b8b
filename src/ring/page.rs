//! A page of the ledger: 4 KiB of facts that are there as a whole or not at all.

use super::layout::{checksum_around, fields, get, get_u32, get_u64, put};
use crate::units::PAGE_BYTES;

const MAGIC_BYTES: [u8; 4] = *b"rlLP";

fields! {
    MAGIC: 4,
    CHECKSUM: 4,
    RING_UUID: 16,
    /// Which filling of the area: counts up with every checkpoint.
    GENERATION: 8,
    /// How many flushes had completed when the page was written.
    EPOCH: 8,
    /// Counts from 0 in each generation.
    NUMBER: 4,
    /// Checksum of the page before; 0 for the first. Pages that a failed flush should have
    /// covered do not count: the next one names the last that is safe.
    PREVIOUS: 4,
    /// Bytes of records that follow.
    USED: 2,
    FLAGS: 2,
    /// Number of the first page written since the last flush: those before it are durable.
    FLUSHED_PAGES: 4,
}

/// Set once the checkpoint that the generation begins with is complete.
const FLAG_CHECKPOINTED: u16 = 1;

/// Generations and epochs count up by one; beyond this they are forged, and adding to them could
/// overflow.
pub const COUNT_MAX: u64 = u64::MAX >> 1;

/// Room for records in a page, in bytes.
pub const RECORDS_BYTES_MAX: usize = PAGE_BYTES as usize - END;

/// What identifies a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHeader {
    /// Which filling of the area.
    pub generation: u64,
    /// Flushes completed before it was written.
    pub epoch: u64,
    /// Its number in the generation.
    pub number: u32,
    /// Checksum of the page before.
    pub previous: u32,
    /// Pages of the generation that a flush had covered when it was written.
    pub flushed_pages: u32,
    /// Whether the checkpoint that the generation begins with was complete.
    pub checkpointed: bool,
}

/// What a page-sized piece of a ledger area turns out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Slot<'a> {
    /// Never written.
    Blank,
    /// Not a whole page of this ring's ledger.
    Torn,
    /// A page.
    Sealed {
        /// Its header.
        header: PageHeader,
        /// Its checksum: what the next page names as its predecessor.
        checksum: u32,
        /// Its records, one behind another.
        records: &'a [u8],
    },
}

/// Makes a page; answers its checksum, too.
///
/// # Panics
/// If `records` are longer than [`RECORDS_BYTES_MAX`].
#[must_use]
pub fn seal(ring_uuid: &[u8; 16], header: &PageHeader, records: &[u8]) -> (Vec<u8>, u32) {
    let mut page = vec![0; PAGE_BYTES as usize];
    put(&mut page, MAGIC, MAGIC_BYTES);
    put(&mut page, RING_UUID, *ring_uuid);
    put(&mut page, GENERATION, header.generation.to_le_bytes());
    put(&mut page, EPOCH, header.epoch.to_le_bytes());
    put(&mut page, NUMBER, header.number.to_le_bytes());
    put(&mut page, PREVIOUS, header.previous.to_le_bytes());
    put(&mut page, FLUSHED_PAGES, header.flushed_pages.to_le_bytes());
    let flags = if header.checkpointed { FLAG_CHECKPOINTED } else { 0 };
    put(&mut page, FLAGS, flags.to_le_bytes());
    put(&mut page, USED, (records.len() as u16).to_le_bytes());
    page[END..END + records.len()].copy_from_slice(records);
    let checksum = checksum_around(&page, CHECKSUM);
    put(&mut page, CHECKSUM, checksum.to_le_bytes());
    (page, checksum)
}

/// Reads a page. Shorter input is torn.
#[must_use]
pub fn open<'a>(ring_uuid: &[u8; 16], page: &'a [u8]) -> Slot<'a> {
    if page.iter().all(|byte| *byte == 0) {
        return Slot::Blank;
    }
    if page.len() != PAGE_BYTES as usize
        || page[MAGIC] != MAGIC_BYTES
        || page[RING_UUID] != *ring_uuid
        || get_u32(page, CHECKSUM) != checksum_around(page, CHECKSUM)
    {
        return Slot::Torn;
    }
    let used = usize::from(u16::from_le_bytes(get(page, USED)));
    let Some(records) = page.get(END..END.saturating_add(used)) else { return Slot::Torn };
    let header = PageHeader {
        generation: get_u64(page, GENERATION),
        epoch: get_u64(page, EPOCH),
        number: get_u32(page, NUMBER),
        previous: get_u32(page, PREVIOUS),
        flushed_pages: get_u32(page, FLUSHED_PAGES),
        checkpointed: u16::from_le_bytes(get(page, FLAGS)) & FLAG_CHECKPOINTED != 0,
    };
    if header.generation > COUNT_MAX || header.epoch > COUNT_MAX {
        return Slot::Torn;
    }
    Slot::Sealed { header, checksum: u32::from_le_bytes(get(page, CHECKSUM)), records }
}

/// The ring that a page names.
#[must_use]
pub fn ring_uuid(page: &[u8]) -> [u8; 16] {
    get(page, RING_UUID)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: [u8; 16] = [9; 16];

    fn header() -> impl Strategy<Value = PageHeader> {
        let counts = (0..=COUNT_MAX, 0..=COUNT_MAX);
        (counts, any::<[u32; 3]>(), any::<bool>()).prop_map(|((generation, epoch), n, flag)| {
            let [number, previous, flushed_pages] = n;
            let checkpointed = flag;
            PageHeader { generation, epoch, number, previous, flushed_pages, checkpointed }
        })
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_opened(
            header in header(),
            records in proptest::collection::vec(any::<u8>(), 0..=RECORDS_BYTES_MAX),
        ) {
            let (page, checksum) = seal(&UUID, &header, &records);
            let opened = open(&UUID, &page);
            prop_assert_eq!(opened, Slot::Sealed { header, checksum, records: &records });
            prop_assert_eq!(open(&[8; 16], &page), Slot::Torn, "another ring's page");
        }

        #[test]
        fn a_page_torn_anywhere_is_torn(header in header(), sectors in 1_usize..8) {
            let (page, _) = seal(&UUID, &header, &[7; RECORDS_BYTES_MAX]);
            let mut torn = vec![0; PAGE_BYTES as usize];
            torn[..sectors * 512].copy_from_slice(&page[..sectors * 512]);
            prop_assert_eq!(open(&UUID, &torn), Slot::Torn);
        }

        #[test]
        fn any_bytes_are_a_page_or_not(
            bytes in proptest::collection::vec(any::<u8>(), 0..PAGE_BYTES as usize + 1),
        ) {
            let sealed = matches!(open(&UUID, &bytes), Slot::Sealed { .. });
            prop_assert!(!sealed, "no checksum comes about by chance");
        }
    }

    #[test]
    fn nothing_written_is_blank_and_forged_counts_are_torn() {
        assert_eq!(open(&UUID, &[0; PAGE_BYTES as usize]), Slot::Blank);
        let header = PageHeader {
            generation: u64::MAX,
            epoch: 0,
            number: 0,
            previous: 0,
            flushed_pages: 0,
            checkpointed: false,
        };
        assert_eq!(open(&UUID, &seal(&UUID, &header, &[]).0), Slot::Torn);
    }
}
