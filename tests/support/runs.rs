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

/// The runs of an image.
pub fn of(bytes: &[u8]) -> Vec<u8> {
    const GAP: usize = 32;
    let mut runs = Vec::new();
    let mut at = 0;
    while let Some(begin) = bytes[at..].iter().position(|byte| *byte != 0) {
        let begin = at + begin;
        let mut end = begin + 1;
        while let Some(next) = bytes[end..].iter().take(GAP).position(|byte| *byte != 0) {
            end += next + 1;
        }
        runs.extend((begin as u64).to_le_bytes());
        runs.extend(((end - begin) as u32).to_le_bytes());
        runs.extend(&bytes[begin..end]);
        at = end;
    }
    runs
}
