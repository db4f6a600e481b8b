//! The manual pages that are made from definitions are those in `man/`.

use std::fs;
use std::path::Path;

use reelfs::cli::pages;

#[test]
fn the_pages_in_man_are_the_ones_that_the_definitions_make() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    for (name, made) in pages::manuals().expect("pages are made in memory") {
        let kept = fs::read_to_string(directory.join(name)).unwrap_or_default();
        let line = kept.lines().zip(made.lines()).take_while(|(kept, made)| kept == made).count();
        assert!(
            kept == made,
            "man/{name} differs from its definition from line {} on; \
             `cargo run -- man man` writes it anew",
            line + 1
        );
    }
}

#[test]
fn the_page_written_by_hand_has_the_same_version_and_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/reelfs.7");
    let page = fs::read_to_string(path).expect("man/reelfs.7 can be read");
    let title = reelfs::config::manual_title("reelfs", 7);
    assert_eq!(page.lines().next(), Some(title.trim_end()));
}
