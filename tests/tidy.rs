//! The code stays readable: lengths, names, reasons. What is over a limit today is listed with
//! its size in a ratchet, and may only shrink.

use std::fs;
use std::path::{Path, PathBuf};

const LINE_COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// Files over [`FILE_LINES_MAX`] without their tests, with the lines they have.
const LONG_FILES: [(&str, usize); 0] = [];
/// Functions over [`FUNCTION_LINES_MAX`], as `file: name`, with the lines they have.
const LONG_FUNCTIONS: [(&str, usize); 0] = [];

/// What a room is called when nobody knows what is in it.
const DRAWERS: [&str; 8] =
    ["util", "utils", "common", "misc", "helper", "helpers", "manager", "shared"];

/// What the repository consists of; what is built or recorded is not.
const TOP_LEVEL: [&str; 11] = [
    "Cargo.toml",
    "CHANGELOG.md",
    "README.md",
    "deny.toml",
    "rustfmt.toml",
    ".ci",
    "benches",
    "man",
    "scripts",
    "src",
    "tests",
];

struct Text {
    /// From the root of the repository on.
    name: String,
    lines: Vec<String>,
    /// Number of lines before the tests at the end of the file.
    product: usize,
}

fn texts() -> Vec<Text> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut waiting: Vec<PathBuf> = TOP_LEVEL.iter().map(|name| root.join(name)).collect();
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("the repository can be read");
            waiting.extend(entries.map(|entry| entry.expect("it can be read").path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            let name = path.strip_prefix(root).expect("it was found there").display().to_string();
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            let tests = lines.iter().position(|line| line.starts_with("#[cfg(test)]"));
            let all_tests = name.starts_with("tests/") || name.contains("/tests");
            let product = if all_tests { 0 } else { tests.unwrap_or(lines.len()) };
            found.push(Text { name, lines, product });
        }
    }
    assert!(found.iter().any(|text| text.name == "src/lib.rs"), "src was not found");
    found
}

fn rust() -> Vec<Text> {
    texts().into_iter().filter(|text| text.name.ends_with(".rs")).collect()
}

/// This file names what it looks for; the others must not contain it.
fn others() -> Vec<Text> {
    texts().into_iter().filter(|text| text.name != "tests/tidy.rs").collect()
}

fn product() -> Vec<Text> {
    rust().into_iter().filter(|text| text.name.starts_with("src/")).collect()
}

fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or("").trim()
}

fn refuse(what: &str, places: Vec<String>) {
    assert!(places.is_empty(), "{what}:\n{}", places.join("\n"));
}

/// Lines of `texts` for which `wrong` holds, as `file:line: text`.
fn lines_where(texts: &[Text], wrong: impl Fn(&Text, usize) -> bool) -> Vec<String> {
    let mut places = Vec::new();
    for text in texts {
        for at in (0..text.lines.len()).filter(|at| wrong(text, *at)) {
            places.push(format!("{}:{}: {}", text.name, at + 1, text.lines[at].trim()));
        }
    }
    places
}

#[test]
fn lines_fit_the_screen() {
    let long = |text: &Text, at: usize| text.lines[at].chars().count() > LINE_COLUMNS_MAX;
    refuse("lines over 100 columns", lines_where(&rust(), long));
}

#[test]
fn files_are_short() {
    let mut sizes = Vec::new();
    for text in product() {
        sizes.push((text.name, text.product));
    }
    check_ratchet("lines without tests", &sizes, FILE_LINES_MAX, &LONG_FILES);
}

#[test]
fn functions_fit_the_screen() {
    let sizes: Vec<_> = rust().iter().flat_map(functions).collect();
    assert!(sizes.len() > 50, "functions were not found");
    check_ratchet("lines in a function", &sizes, FUNCTION_LINES_MAX, &LONG_FUNCTIONS);
}

/// Refuses what is over `limit` and not in `ratchet`, what has grown, and a ratchet that has
/// become too loose.
fn check_ratchet(what: &str, sizes: &[(String, usize)], limit: usize, ratchet: &[(&str, usize)]) {
    let allowed = |name: &str| {
        ratchet.iter().find(|(known, _)| *known == name).map_or(limit, |(_, size)| *size)
    };
    let over = sizes.iter().filter(|(name, size)| *size > allowed(name));
    let over = over.map(|(name, size)| format!("{name}: {size}, allowed {}", allowed(name)));
    refuse(&format!("{what}, too many"), over.collect());
    let is_exact = |name: &str, size: usize| sizes.iter().any(|(n, s)| n == name && *s == size);
    let loose = ratchet.iter().filter(|(name, size)| !is_exact(name, *size));
    refuse(
        &format!("{what}: tighten the ratchet"),
        loose.map(|(n, s)| format!("{n}: {s}")).collect(),
    );
}

/// Every function of a file that rustfmt has formatted, as `file: name`, with its lines.
fn functions(text: &Text) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, line) in text.lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let close = format!("{indent}}}");
        // A body ends with its brace; a signature in a trait, with a semicolon.
        let signature = format!("{indent})");
        let is_end = |line: &&String| {
            **line == close || (line.starts_with(&signature) && line.ends_with(';'))
        };
        let one_line = line.ends_with('}') || line.ends_with(';');
        let end =
            if one_line { Some(0) } else { text.lines[at..].iter().position(|it| is_end(&it)) };
        found.push((format!("{}: {name}", text.name), end.unwrap_or(0) + 1));
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let before = line.split_once("fn ").map(|(before, _)| before.trim())?;
    let qualifiers = ["pub", "const", "async", "unsafe", "extern", "\"C\""];
    let is_qualifier = |word: &str| qualifiers.contains(&word) || word.starts_with("pub(");
    if !before.split(' ').filter(|word| !word.is_empty()).all(is_qualifier) {
        return None;
    }
    let behind = line.split_once("fn ")?.1;
    behind.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

#[test]
fn nothing_is_left_to_do() {
    let marks = ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "TODO", "XXX"];
    let left = |text: &Text, at: usize| marks.iter().any(|mark| text.lines[at].contains(mark));
    refuse("unfinished", lines_where(&others(), left));
}

#[test]
fn no_test_is_ignored() {
    let ignored = |text: &Text, at: usize| code(&text.lines[at]).starts_with("#[ignore");
    refuse("ignored tests", lines_where(&rust(), ignored));
}

#[test]
fn no_name_is_a_drawer() {
    let is_drawer = |part: &str| DRAWERS.contains(&part.trim_end_matches(".rs"));
    let drawers = product().into_iter().map(|text| text.name);
    refuse("drawers", drawers.filter(|name| name.split('/').any(is_drawer)).collect());
}

#[test]
fn every_unsafe_says_why_it_is_safe() {
    let unreasoned = |text: &Text, at: usize| {
        let line = code(&text.lines[at]);
        let is_unsafe = ["unsafe {", "unsafe impl", "unsafe fn"].iter().any(|it| line.contains(it));
        let above = text.lines[..at].iter().rev();
        let mut comment = above.take_while(|line| {
            let line = line.trim_start();
            line.starts_with("//") || line.starts_with("#[")
        });
        is_unsafe && !comment.any(|line| line.contains("SAFETY:") || line.contains("# Safety"))
    };
    let texts: Vec<_> = others().into_iter().filter(|text| text.name.ends_with(".rs")).collect();
    refuse("unsafe without a SAFETY: line above it", lines_where(&texts, unreasoned));
}

#[test]
fn the_product_does_not_unwrap() {
    let unwraps =
        |text: &Text, at: usize| at < text.product && code(&text.lines[at]).contains(".unwrap()");
    refuse("unwrap() outside tests", lines_where(&product(), unwraps));
}

#[test]
fn the_repository_stands_alone() {
    let foreign = ["/home/", "/root/"];
    let names_one = |text: &Text, at: usize| foreign.iter().any(|it| text.lines[at].contains(it));
    refuse("paths of somebody's machine", lines_where(&others(), names_one));
}

#[test]
fn a_long_function_would_be_found() {
    let lines =
        ["    pub(crate) const fn long(", "        a: u8,", "    ) {", "        b();", "    }"];
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    let product = lines.len();
    let text = Text { name: "x.rs".to_owned(), lines, product };
    assert_eq!(functions(&text), [("x.rs: long".to_owned(), 5)]);
    assert_eq!(function_name("    let f = |x| fn_of(x);"), None);
    assert_eq!(function_name("type F = fn (u8);"), None);
}
