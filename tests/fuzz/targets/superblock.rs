//! The first page of a device, by itself and as both copies of a ring's superblock.

use reelfs::ring::Superblock;

use super::Seed;
use super::image::{base, exercise, superblock};
use super::seal::{PAGE, SUPERBLOCK_CHECKSUM, seal};

pub fn run(data: &[u8]) {
    let mut page = data[..data.len().min(PAGE)].to_vec();
    page.resize(PAGE, 0);
    // What a checksum would refuse is refused first.
    drop(Superblock::decode(&page));
    seal(&mut page, SUPERBLOCK_CHECKSUM);
    let Ok(read) = Superblock::decode(&page) else { return };
    let again = Superblock::decode(&read.encode()).map(|again| again.geometry);
    assert_eq!(again, Ok(read.geometry), "what was read is written");
    let mut image = base();
    image.write(0, &page);
    image.write(image.length() - PAGE as u64, &page);
    exercise(image);
}

pub fn seeds() -> Vec<Seed> {
    let mut features = superblock().clone();
    (features.compat, features.ro_compat) = (1 << 63, 2);
    let mut foreign = superblock().clone();
    foreign.ring_uuid = [9; 16];
    // The rest of the page is zeros.
    let short = |superblock: &Superblock| superblock.encode()[..256].to_vec();
    vec![
        ("made", short(superblock())),
        ("features", short(&features)),
        ("foreign", short(&foreign)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealing_a_sound_superblock_changes_nothing() {
        let mut page = superblock().encode();
        seal(&mut page, SUPERBLOCK_CHECKSUM);
        assert_eq!(page, superblock().encode());
    }
}
