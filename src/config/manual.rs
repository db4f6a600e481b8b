//! The manual page `reelfs.toml.5`, made from the definition of the keys.

use std::fmt::Write;

use super::changes::needs_restart;
use super::duration;
use super::keys::{self, Absent, Key, Kind, Repeats, SectionKind};
use super::{CAMERAS_MAX, FILE_NAME, SYSTEM_FILE, VIEWS_MAX};

/// When the pages were last gone over as a whole. A fixed date: a page that is made twice from one
/// definition is the same.
const DATE: &str = "2026-11-21";

/// The first line of a manual page of this program.
#[must_use]
pub fn manual_title(name: &str, section: u8) -> String {
    format!(".TH {name} {section} {DATE} \"reelfs {}\"\n", env!("CARGO_PKG_VERSION"))
}

/// `reelfs.toml.5` in man(7) macros.
#[must_use]
pub fn manual() -> String {
    let mut page = String::new();
    page += &manual_title("reelfs.toml", 5);
    page += ".SH NAME\nreelfs.toml \\- configuration of reelfs\n.SH DESCRIPTION\n";
    page += &escaped(&format!(
        "Settings of \\fBreelfs run\\fR, \\fBstatus\\fR and \\fBimport\\fR, in TOML. They are read \
         from the file that \\fB--config\\fR names, or else from {FILE_NAME} in the current \
         directory, or else from {SYSTEM_FILE}."
    ));
    page += ".PP\n";
    page += &escaped(
        "A key that is not listed here, a value of the wrong type or out of its range ends the \
         program with exit status 2, before anything is touched, and a message that names file, \
         line, key and reason.",
    );
    page += ".PP\n";
    page += &escaped(
        "A duration is a text: a whole number and one of the units ms, s, m, h, d (24 hours) and \
         w (7 days). A relative path counts from the directory of the configuration file.",
    );
    page += ".PP\n";
    page += &escaped(
        "While the daemon runs, it takes the file again when it changes, and on SIGHUP, without a \
         break in what it records; keys that take effect at the next start say so. See \
         \\fISETTINGS THAT CHANGE\\fR in \\fBreelfs\\fR(7).",
    );
    for section in keys::SECTIONS {
        write_section(&mut page, section);
    }
    write_example(&mut page);
    page += ".SH SEE ALSO\n.BR reelfs (1),\n.BR reelfs (7)\n";
    page
}

fn write_section(page: &mut String, section: &SectionKind) {
    let heading = match section.repeats {
        Repeats::Always => format!("[[{}]]", section.name),
        Repeats::AtWill => format!("[{0}] or [[{0}]]", section.name),
        Repeats::Never => format!("[{}]", section.name),
    };
    let _ = writeln!(page, ".SH {heading}");
    *page += &escaped(section.text);
    if *section == keys::VIEW {
        *page += &escaped(&format!("At most {VIEWS_MAX}."));
    }
    if *section == keys::CAMERA {
        *page += &escaped(&format!("At most {CAMERAS_MAX}."));
    }
    for key in keys::of(section) {
        let _ = writeln!(page, ".TP\n\\fB{}\\fR = {}", key.name, escaped(key.example).trim_end());
        *page += &escaped(key.text);
        *page += ".br\n";
        let at_restart = if needs_restart(key) { " Takes effect at the next start." } else { "" };
        let (kind, absent) = (kind_in_words(&key.kind), absent_in_words(key));
        *page += &escaped(&format!("{kind}. {absent}.{at_restart}"));
    }
}

fn kind_in_words(kind: &Kind) -> String {
    match kind {
        Kind::Text => "Text".to_owned(),
        Kind::Path => "Path".to_owned(),
        Kind::Words => "List of texts".to_owned(),
        Kind::Streams => "Addresses, or sections of keys, by name".to_owned(),
        Kind::Boolean => "True or false".to_owned(),
        Kind::Number { most } => format!("Whole number, 0 to {most}"),
        Kind::Permissions => "Octal digits".to_owned(),
        Kind::Share { most } => format!("Share, 0% to {most}%"),
        Kind::Size { least } => format!("Size, {}M or more", least >> 20),
        Kind::ShareOrOff { most } => format!("Share, 0% to {most}%, or \"{}\"", keys::OFF),
        Kind::DurationOrSection { least, most } => {
            let [least, most] = [*least, *most].map(duration::text);
            format!("Duration, {least} to {most}, or a section")
        }
        Kind::Duration { least, most } => {
            format!("Duration, {} to {}", duration::text(*least), duration::text(*most))
        }
        Kind::DurationOrOff { least, most } => {
            let [least, most] = [*least, *most].map(duration::text);
            format!("Duration, {least} to {most}, or \"{}\"", keys::OFF)
        }
    }
}

fn absent_in_words(key: &Key) -> String {
    match (key.absent, key.kind) {
        (Absent::Missing, _) => "Required".to_owned(),
        (Absent::Default(value), Kind::Boolean) => format!("Default: {value}"),
        (Absent::Default(value), _) => format!("Default: \"{value}\""),
        (Absent::Means(words), _) => format!("Without it: {words}"),
    }
}

fn write_example(page: &mut String) {
    *page += ".SH EXAMPLE\n.nf\n";
    for section in keys::SECTIONS {
        let heading = match section.repeats {
            Repeats::Always => format!("[[{}]]", section.name),
            Repeats::AtWill | Repeats::Never => format!("[{}]", section.name),
        };
        let _ = writeln!(page, "{heading}");
        // A camera has an address, several, or a command; an age is said in one place.
        let is_one_of_several = |key: &Key| {
            matches!(key.kind, Kind::Words | Kind::Streams) || *key == keys::PURGE_RETAIN
        };
        for key in keys::of(section).filter(|key| !is_one_of_several(key)) {
            *page += &escaped(&format!("{} = {}", key.name, key.example));
        }
    }
    *page += ".fi\n";
}

/// One line of text that means the same to roff: no hyphen that becomes a dash, no control
/// character at its beginning. Backquotes set what they enclose in bold; font changes stay.
fn escaped(text: &str) -> String {
    let mut line = String::new();
    if text.starts_with(['.', '\'']) {
        line += "\\&";
    }
    let mut bold = false;
    for c in text.chars() {
        match c {
            '-' => line += "\\-",
            '`' => {
                line += if bold { "\\fR" } else { "\\fB" };
                bold = !bold;
            }
            '~' => line += "\\(ti",
            c => line.push(c),
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    #[test]
    fn every_key_has_its_place_in_the_page() {
        let page = manual();
        for key in keys::KEYS {
            assert!(page.contains(&format!("\n\\fB{}\\fR = ", key.name)), "{}", key.label());
        }
    }

    #[test]
    fn the_example_of_the_page_is_a_configuration() {
        let page = manual();
        let example = page.split(".nf\n").nth(1).and_then(|rest| rest.split(".fi\n").next());
        let example = example.unwrap().replace("\\-", "-");
        // The password file of the example is not there: the only thing that may be said of it.
        let error = Config::parse(Path::new("reelfs.toml"), &example).unwrap_err().to_string();
        assert!(error.contains("/etc/reelfs/front-door.password: can't be read"), "{error}");
    }

    #[test]
    fn no_line_is_taken_for_a_request() {
        assert_eq!(escaped(".range - `x`"), "\\&.range \\- \\fBx\\fR\n");
    }
}
