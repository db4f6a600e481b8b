//! Arrows between rooms point down, and each outside crate stays in its rooms.
//!
//! A room is a file or folder of `src/`. What it may name is what stands below it in [`ROOMS`].
//! Tests at the end of a file (from `#[cfg(test)]` on) may look anywhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Highest first; rooms of one row do not name one another.
const ROOMS: [&[&str]; 33] = [
    &["main"],
    &["command"],
    &["daemon", "import", "probe"],
    &["control"],
    &["cli"],
    &["config"],
    &["mount"],
    &["shown"],
    &["library"],
    &["recorder"],
    &["camera"],
    &["onvif"],
    &["purge"],
    &["status"],
    &["check"],
    &["archive"],
    &["playlist"],
    &["retention"],
    &["dating"],
    &["view"],
    &["live"],
    &["compilation"],
    &["mp4"],
    &["blank"],
    &["catalogue"],
    &["index"],
    &["segment"],
    &["ring"],
    &["device"],
    &["clock"],
    &["captions", "demux", "flac", "named"],
    &["audio", "bits", "logged", "matroska", "wire", "zone"],
    &["units"],
];

/// The same for the files and folders of `src/ring`.
const SUBROOMS: [&[&str]; 22] = [
    &["mod"],
    &["follow"],
    &["wipe"],
    &["recovery", "writer"],
    &["append"],
    &["tables"],
    &["core"],
    &["restore", "scrub"],
    &["root"],
    &["inspect", "read"],
    &["found", "placement", "trouble", "under_way", "zero"],
    &["format", "state"],
    &["ledger", "space"],
    &["walk"],
    &["blocks"],
    &["block", "chunk"],
    &["fact"],
    &["page"],
    &["contents", "error"],
    &["superblock"],
    &["disk_label", "geometry"],
    &["layout", "sequences", "types"],
];

/// Crates that one room, or a few, keep to themselves, so that they can be replaced from there.
const CRATES: [(&str, &[&str]); 34] = [
    ("base64", &["camera", "onvif"]),
    ("chrono", &["cli", "import", "named", "onvif", "playlist", "view", "zone"]),
    ("chrono_tz", &["zone"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("crc", &["compilation", "demux"]),
    ("crc32c", &["index", "ring", "view"]),
    ("env_logger", &["main"]),
    ("flate2", &["camera"]),
    ("fuser", &["mount"]),
    ("futures", &["camera"]),
    ("h264_reader", &["camera"]),
    ("http_auth", &["camera", "onvif"]),
    ("http_body_util", &["control"]),
    ("hyper", &["control"]),
    ("hyper_util", &["control"]),
    ("indicatif", &["command"]),
    ("jiff", &["zone"]),
    ("memchr", &["camera", "demux"]),
    ("notify", &["daemon"]),
    ("percent_encoding", &["onvif", "playlist"]),
    ("quick_xml", &["onvif"]),
    ("regex_lite", &["import"]),
    ("retina", &["camera"]),
    ("serde_json", &["archive", "check", "command", "control", "daemon"]),
    ("sha1", &["onvif"]),
    ("signal_hook", &["daemon"]),
    ("sled", &["index"]),
    ("socket2", &["onvif"]),
    ("tokio", &["camera", "control", "daemon", "probe", "recorder"]),
    ("toml", &["config"]),
    ("ureq", &["onvif"]),
    ("url", &["camera", "config", "onvif"]),
];

struct Source {
    room: String,
    path: PathBuf,
    /// Without comments, and without the tests at its end.
    code: Vec<String>,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(source(path));
            }
        }
    }
    assert!(found.len() > 10, "src was not found");
    found
}

fn source(path: PathBuf) -> Source {
    let text = fs::read_to_string(&path).expect("a source is UTF-8");
    let below = path.strip_prefix(root()).expect("it was found there");
    let first = below.components().next().expect("a file has a name").as_os_str();
    let room = first.to_string_lossy().trim_end_matches(".rs").to_owned();
    let is_test =
        below.components().any(|part| part.as_os_str() == "tests") || below.ends_with("tests.rs");
    let product = text.lines().take_while(|line| !is_test && !line.starts_with("#[cfg(test)]"));
    let code = product.map(|line| line.split("//").next().unwrap_or("").to_owned()).collect();
    Source { room, path, code, text }
}

fn level(room: &str) -> Option<usize> {
    ROOMS.iter().position(|row| row.contains(&room))
}

/// The words that stand directly behind `prefix` and before `::`, `;`, `,` or `}`; of a group in
/// braces, all.
fn named_behind(prefix: &str, code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let whole_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = &code[at + prefix.len()..];
        if !whole_word {
            continue;
        }
        match rest.strip_prefix('{') {
            Some(group) => names.extend(first_words_of_group(group)),
            None => names.extend(first_word(rest)),
        }
    }
    names
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

fn first_words_of_group(group: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut depth = 0;
    let mut item = String::new();
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => words.extend(first_word(std::mem::take(&mut item).trim())),
            _ => {}
        }
        if !(c == ',' && depth == 0) {
            item.push(c);
        }
    }
    words.extend(first_word(item.trim()));
    words
}

#[test]
fn every_room_has_its_place() {
    let rooms: BTreeSet<_> = sources().into_iter().map(|source| source.room).collect();
    let unplaced: Vec<_> =
        rooms.iter().filter(|room| *room != "lib" && level(room).is_none()).collect();
    assert!(unplaced.is_empty(), "not in ROOMS of tests/layers.rs: {unplaced:?}");
}

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.room != "lib") {
        let code = source.code.join("\n");
        let mut named = named_behind("crate::", &code);
        named.extend(named_behind("reelfs::", &code));
        for other in named.iter().filter(|other| **other != source.room) {
            match level(other) {
                Some(below) if Some(below) > level(&source.room) => {}
                Some(_) => wrong.push(format!("{}: names {other}", source.path.display())),
                None => wrong.push(format!("{}: {other} is no room", source.path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that do not point down:\n{}", wrong.join("\n"));
}

/// The file or folder of `src/ring` that a source belongs to, and whether it is one of several
/// files in a folder of theirs.
fn subroom(source: &Source) -> Option<(String, bool)> {
    let below = source.path.strip_prefix(root().join("ring")).ok()?;
    let mut parts = below.components().map(|part| part.as_os_str().to_string_lossy());
    let first = parts.next()?.trim_end_matches(".rs").to_owned();
    Some((first, parts.next().is_some_and(|second| second != "mod.rs")))
}

/// What a source of `src/ring` names of that folder.
fn subrooms_named(source: &Source, is_inside: bool) -> BTreeSet<String> {
    let code = source.code.join("\n");
    let above = if is_inside { "super::super::" } else { "super::" };
    let mut named = named_behind("crate::ring::", &code);
    named.extend(named_behind(above, &code));
    named
}

/// The code of the blocks that begin with `impl Core {`.
fn methods_of_core(source: &Source) -> String {
    let mut is_inside = false;
    let mut code = String::new();
    for line in &source.code {
        is_inside = (is_inside || line == "impl Core {") && line != "}";
        if is_inside {
            code += line;
            code.push('\n');
        }
    }
    code
}

#[test]
fn arrows_in_the_ring_point_down() {
    let level = |name: &str| SUBROOMS.iter().position(|row| row.contains(&name));
    let mut wrong = Vec::new();
    for source in sources() {
        let Some((own, is_inside)) = subroom(&source) else { continue };
        let place = source.path.display();
        if level(&own).is_none() {
            wrong.push(format!("{place}: not in SUBROOMS of tests/layers.rs"));
        }
        for other in subrooms_named(&source, is_inside).iter().filter(|other| **other != own) {
            match level(other) {
                Some(below) if Some(below) > level(&own) => {}
                Some(_) => wrong.push(format!("{place}: names {other}")),
                None => wrong.push(format!("{place}: {other} is no file of the ring")),
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that do not point down:\n{}", wrong.join("\n"));
}

/// The writer's state has methods in several files: a call of one is an arrow, too.
#[test]
fn calls_of_the_writers_methods_point_one_way() {
    let sources: Vec<Source> =
        sources().into_iter().filter(|source| subroom(source).is_some()).collect();
    let arrows: Vec<(PathBuf, PathBuf)> = sources
        .iter()
        .flat_map(|from| {
            let called = named_behind("self.", &methods_of_core(from));
            let has = |to: &&Source| {
                let code = methods_of_core(to);
                called.iter().any(|name| code.contains(&format!("fn {name}(")))
            };
            let to = sources.iter().filter(has).filter(|to| to.path != from.path);
            to.map(|to| (from.path.clone(), to.path.clone())).collect::<Vec<_>>()
        })
        .collect();
    assert!(arrows.len() > 10, "the calls were not found: {arrows:?}");
    assert_eq!(circle(&arrows), Vec::<PathBuf>::new(), "these call one another");
}

/// Files that no order brings behind all that they name.
fn circle(arrows: &[(PathBuf, PathBuf)]) -> Vec<PathBuf> {
    let mut left: BTreeSet<PathBuf> =
        arrows.iter().flat_map(|(from, to)| [from.clone(), to.clone()]).collect();
    loop {
        let lowest =
            |file: &PathBuf| !arrows.iter().any(|(from, to)| from == file && left.contains(to));
        let Some(file) = left.iter().find(|file| lowest(file)).cloned() else { break };
        left.remove(&file);
    }
    left.into_iter().collect()
}

/// Files of one folder name one another one way: those of the ring's folders, and the importer's.
#[test]
fn files_of_a_folder_name_one_another_one_way() {
    let mut arrows = Vec::new();
    for source in sources() {
        let Some(folder) = source.path.parent().filter(|folder| **folder != root()) else {
            continue;
        };
        let is_held = folder.starts_with(root().join("ring")) || folder.ends_with("import");
        if !is_held || source.path.ends_with("mod.rs") {
            continue;
        }
        let named = named_behind("super::", &source.code.join("\n"));
        let beside = |name: &String| folder.join(format!("{name}.rs"));
        let named = named.iter().map(beside).filter(|path| path.exists());
        arrows.extend(named.map(|to| (source.path.clone(), to)));
    }
    assert!(arrows.len() > 20, "the arrows were not found: {arrows:?}");
    assert_eq!(circle(&arrows), Vec::<PathBuf>::new(), "these name one another");
}

#[test]
fn a_circle_would_be_found() {
    let arrow = |(from, to): (&str, &str)| (PathBuf::from(from), PathBuf::from(to));
    let down = [("a", "b"), ("b", "c"), ("a", "c")].map(arrow);
    assert!(circle(&down).is_empty());
    let round = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")].map(arrow);
    assert_eq!(circle(&round), ["a", "b", "c"].map(PathBuf::from));
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for source in sources() {
        let code = source.code.join("\n");
        for (name, rooms) in CRATES {
            let used = !named_behind(&format!("{name}::"), &code).is_empty()
                || code.contains(&format!("use {name};"))
                || code.contains(&format!("use {name} as "));
            if used && !rooms.contains(&source.room.as_str()) {
                wrong.push(format!("{}: uses {name}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "crates outside of their rooms:\n{}", wrong.join("\n"));
}

/// Crates of `Cargo.toml` that any room may use.
const COMMON_CRATES: [&str; 7] = ["blake3", "libc", "log", "nix", "serde", "thiserror", "uuid"];

/// Names of the crates that the program depends on, as its code writes them.
fn dependencies() -> BTreeSet<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = fs::read_to_string(manifest).expect("the manifest");
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| Some(line.split_once(" = ")?.0.replace('-', "_"))).collect()
}

#[test]
fn every_outside_crate_has_its_rooms_or_is_everybodys() {
    let placed = CRATES.iter().map(|(name, _)| *name).chain(COMMON_CRATES);
    let placed: BTreeSet<String> = placed.map(str::to_owned).collect();
    let dependencies = dependencies();
    assert!(dependencies.len() > 10, "the manifest was not read: {dependencies:?}");
    let apart: Vec<_> = placed.symmetric_difference(&dependencies).collect();
    assert!(apart.is_empty(), "in one of tests/layers.rs and Cargo.toml alone: {apart:?}");
}

/// Rooms of each line of the map's table, from the top.
fn rooms_of_the_map() -> Vec<Vec<String>> {
    let map = fs::read_to_string(root().join("lib.rs")).expect("the map");
    let lines = map.lines().skip_while(|line| *line != "//! | room | purpose |").skip(2);
    let lines = lines.take_while(|line| line.starts_with("//! | "));
    let names = |line: &str| {
        let cell = line.trim_start_matches("//! | ").split(" | ").next().unwrap_or("").to_owned();
        let linked = cell.split('`').skip(1).step_by(2);
        linked.map(|name| name.trim_start_matches("mod@").to_owned()).collect()
    };
    lines.map(names).collect()
}

#[test]
fn the_map_shows_the_rooms_as_they_stand() {
    let map = rooms_of_the_map();
    let shown: BTreeSet<&str> = map.iter().flatten().map(String::as_str).collect();
    let placed: BTreeSet<&str> = ROOMS.iter().flat_map(|row| row.iter().copied()).collect();
    let apart: Vec<_> = shown.symmetric_difference(&placed).collect();
    assert_eq!(apart, [&"main"], "in one of src/lib.rs and tests/layers.rs alone");
    let levels: Vec<_> = map.iter().flatten().map(|room| level(room)).collect();
    assert!(levels.is_sorted(), "the map's order is not that of tests/layers.rs: {map:?}");
}

/// What reads a clock behind the back of `clock`.
const CLOCK_READINGS: [&str; 5] =
    ["Instant::now", "SystemTime::now", "UNIX_EPOCH.elapsed", "Utc::now", "Local::now"];

#[test]
fn time_enters_by_one_door() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.room != "clock") {
        let code = source.code.join("\n");
        for reading in CLOCK_READINGS.iter().filter(|reading| code.contains(**reading)) {
            wrong.push(format!("{}: {reading}", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "read a clock past the room `clock`:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_its_purpose_in_its_first_line() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path)
        .collect();
    assert!(silent.is_empty(), "no `//!` in the first line: {silent:?}");
}

#[test]
fn a_wrong_arrow_would_be_found() {
    let names = |code: &str| named_behind("crate::", code).into_iter().collect::<Vec<_>>();
    assert_eq!(names("use crate::ring::{Ring, Writer};"), ["ring"]);
    assert_eq!(
        names("use crate::{ring::{A, B}, view::Tree,\n    units};"),
        ["ring", "units", "view"]
    );
    assert_eq!(names("let x = crate::mount::serve();"), ["mount"]);
    assert_eq!(names("$crate::x mycrate::y"), ["x"]);
}

/// Names behind `test: ` in the map, and those in all tables of the format that name tests.
fn tests_that_are_promised() -> Vec<String> {
    let map = fs::read_to_string(root().join("lib.rs")).expect("the map");
    let format = fs::read_to_string(root().join("ring/FORMAT.md")).expect("the format");
    let named = map.split("`test: ").skip(1).filter_map(|rest| rest.split('`').next());
    let leaned_on = format_tables_of_tests(&format);
    assert!(leaned_on.len() >= 2, "what is leaned on, and what is assumed: {leaned_on:?}");
    assert!(leaned_on.iter().all(|table| !table.is_empty()), "a table without a test");
    named.map(str::to_owned).chain(leaned_on.into_iter().flatten()).collect()
}

/// Of each table whose last column is headed `test`, every name in that column.
fn format_tables_of_tests(text: &str) -> Vec<Vec<String>> {
    let last_cell = |row: &str| row.trim_matches('|').rsplit('|').next().map(str::to_owned);
    let mut tables = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with('|') {
            continue;
        }
        let rows = lines.by_ref().take_while(|row| row.starts_with('|')).skip(1);
        let last: Vec<String> = rows.filter_map(last_cell).collect();
        if last_cell(line).is_some_and(|head| head.trim() == "test") {
            tables.push(last.iter().flat_map(|cell| names_in(cell)).collect());
        }
    }
    tables
}

/// What stands between backticks.
fn names_in(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_name_in_every_table_of_tests_is_seen() {
    let text = "| a | test |\n|---|---|\n| x `y` | `one`, `two` |\n| x | the same; `three` |\n\n\
                | a | b |\n|---|---|\n| c | `no` |\n\n| a | test |\n|--|--|\n| b | `four` |";
    let tables = format_tables_of_tests(text);
    assert_eq!(tables, [vec!["one", "two", "three"], vec!["four"]]);
}

#[test]
fn every_test_that_a_promise_names_exists() {
    let mut code: String = sources().into_iter().map(|source| source.text).collect();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for entry in fs::read_dir(tests).expect("tests can be read") {
        let path = entry.expect("tests can be read").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            code += &fs::read_to_string(&path).expect("a test is UTF-8");
        }
    }
    let promised = tests_that_are_promised();
    assert!(promised.len() > 45, "{promised:?}");
    let missing: Vec<_> =
        promised.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
