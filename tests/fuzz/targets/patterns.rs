//! Patterns of names of other recorders, and names that are read by them: a line each.

use std::path::Path;

use reelfs::import::NamePattern;
use reelfs::zone::Zone;

use super::Seed;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (pattern, path) = text.split_once('\n').unwrap_or((text, ""));
    match NamePattern::parse(pattern) {
        Err(reason) => assert!(!reason.is_empty()),
        Ok(pattern) => {
            let zone = Zone::named("Europe/Berlin").expect("a zone");
            if let Ok(Some(read)) = pattern.read(Path::new(path), &zone) {
                assert!(read.named.rounded_nanos > 0);
                assert_eq!(read.camera.is_some(), pattern.has_camera);
            }
        }
    }
}

pub fn seeds() -> Vec<Seed> {
    let frigate = "%Y-%m-%d/%H/{camera}/%M.%S.mp4\n2026-03-01/13/yard/05.10.mp4";
    let mediamtx = "{camera}/%Y-%m-%d_%H-%M-%S-%f.mp4\nyard/2026-03-01_13-05-10-000125.mp4";
    let epoch = "a*/100%%_%s.ts\nabc/100%_1772370310.ts";
    [("frigate", frigate), ("mediamtx", mediamtx), ("epoch", epoch)]
        .map(|(name, text)| (name, text.as_bytes().to_vec()))
        .to_vec()
}
