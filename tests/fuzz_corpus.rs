//! What the fuzzer starts from and what it has found goes through the same functions in every
//! test run. `REELFS_WRITE_CORPUS=1` writes the seeds anew; `scripts/fuzz` looks for more.

#[path = "fuzz/targets/mod.rs"]
mod targets;

use std::path::{Path, PathBuf};

use targets::TARGETS;

/// The corpus is to stay small enough to be read by a human being's tools, in bytes.
const CORPUS_BYTES_MAX: u64 = 200 << 10;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

/// The cases of a target, in the order of their names.
fn cases(target: &str) -> Vec<PathBuf> {
    let folder = corpus().join(target);
    let entries = std::fs::read_dir(&folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    cases.sort();
    cases
}

#[test]
fn every_case_that_was_ever_found_stays_harmless() {
    for target in &TARGETS {
        let cases = cases(target.name);
        for case in &cases {
            println!("{}", case.display());
            (target.run)(&std::fs::read(case).expect("a case"));
        }
        println!("torture: corpus target={} rounds={} failures=0", target.name, cases.len());
    }
}

#[test]
fn every_target_starts_from_what_real_code_makes() {
    for target in &TARGETS {
        for (name, bytes) in (target.seeds)() {
            let path = corpus().join(target.name).join(name);
            if std::env::var_os("REELFS_WRITE_CORPUS").is_some() {
                std::fs::create_dir_all(corpus().join(target.name)).expect("a folder");
                std::fs::write(&path, &bytes).expect("a seed");
            }
            // What an earlier program made is as good a beginning.
            assert!(path.is_file(), "{}: write the corpus anew", path.display());
        }
    }
}

#[test]
fn the_corpus_stays_small_and_each_folder_is_a_target() {
    let mut length = 0;
    for entry in std::fs::read_dir(corpus()).expect("the corpus") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        assert!(TARGETS.iter().any(|target| target.name == name), "{name} is no target");
        length += cases(&name)
            .iter()
            .map(|case| std::fs::metadata(case).expect("a case").len())
            .sum::<u64>();
    }
    assert!(length <= CORPUS_BYTES_MAX, "{length} bytes");
}
