//! Images that stay in `tests/data`: runs of an offset, a length and bytes; zeros are left out.

/// The whole image.
pub fn bytes(mut runs: &[u8], length: usize) -> Vec<u8> {
    let mut image = vec![0; length];
    while let Some((header, rest)) = runs.split_first_chunk::<12>() {
        let (offset, count) = header.split_at(8);
        let offset = u64::from_le_bytes(offset.try_into().expect("eight bytes")) as usize;
        let count = u32::from_le_bytes(count.try_into().expect("four bytes")) as usize;
        image[offset..offset + count].copy_from_slice(&rest[..count]);
        runs = &rest[count..];
    }
    image
}
