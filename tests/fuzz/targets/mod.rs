//! What is fuzzed: for each way in from outside a function that takes any bytes. It panics, hangs
//! or fills the memory where the program would.

#[path = "../../support/disk.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod disk;

mod blocks;
mod config;
mod footage;
mod image;
mod import;
mod input;
mod ledger;
mod movie;
mod names;
mod onvif;
mod patterns;
mod ring;
mod seal;
mod session;
mod superblock;
mod tables;

/// A name, and an input that real code has made.
pub type Seed = (&'static str, Vec<u8>);

/// One of the targets.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Whether the program itself catches panics of what it calls there.
    #[allow(dead_code, reason = "nobody but libFuzzer has to know")]
    pub catches: bool,
    /// What the fuzzer starts from.
    #[allow(dead_code, reason = "libFuzzer reads them from the corpus")]
    pub seeds: fn() -> Vec<Seed>,
}

const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Seed>) -> Target {
    Target { name, run, catches: false, seeds }
}

/// All of them.
pub const TARGETS: [Target; 14] = [
    target("superblock", superblock::run, superblock::seeds),
    target("ledger", ledger::run, ledger::seeds),
    target("blocks", blocks::run, blocks::seeds),
    target("ring", ring::run, ring::seeds),
    target("tables", tables::run, tables::seeds),
    target("movie", movie::run, movie::seeds),
    target("config", config::run, config::seeds),
    target("names", names::run, names::seeds),
    target("session", session::run, session::seeds),
    Target { catches: true, ..target("import", import::run, import::seeds) },
    Target { catches: true, ..target("transport", import::run, Vec::new) },
    Target { catches: true, ..target("matroska", import::run, Vec::new) },
    target("patterns", patterns::run, patterns::seeds),
    target("onvif", onvif::run, onvif::seeds),
];
