//! A TOML file as sections that know their lines.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Repeats, SectionKind};
use super::nearest::nearest;
use super::section::{Section, type_of};

/// What is wrong with a configuration: file, line, key, reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    /// Counted from 1; `None` where no line is to blame.
    line: Option<usize>,
    key: Option<String>,
    reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    pub(super) fn of_file(file: &Path, reason: String) -> ConfigError {
        ConfigError { file: file.to_path_buf(), line: None, key: None, reason }
    }

    pub(super) fn of_key(
        file: &Path,
        line: Option<usize>,
        key: String,
        reason: String,
    ) -> ConfigError {
        ConfigError { file: file.to_path_buf(), line, key: Some(key), reason }
    }
}

/// A value that knows where it stands.
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) file: PathBuf,
    pub(super) line: Option<usize>,
    pub(super) label: String,
}

impl<T> Located<T> {
    /// The error that says `reason` of this value.
    pub(super) fn refuse(&self, reason: impl Into<String>) -> ConfigError {
        ConfigError::of_key(&self.file, self.line, self.label.clone(), reason.into())
    }

    pub(super) fn map<U>(self, to: impl FnOnce(T) -> U) -> Located<U> {
        let Located { value, file, line, label } = self;
        Located { value: to(value), file, line, label }
    }

    pub(super) fn with<U>(&self, value: U) -> Located<U> {
        Located { value, file: self.file.clone(), line: self.line, label: self.label.clone() }
    }
}

/// The whole file.
pub(super) struct Document<'t> {
    file: &'t Path,
    text: &'t str,
    root: DeTable<'t>,
}

impl<'t> Document<'t> {
    pub(super) fn parse(file: &'t Path, text: &'t str) -> Result<Document<'t>, ConfigError> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Document { file, text, root: root.into_inner() }),
            Err(error) => Err(ConfigError {
                file: file.to_path_buf(),
                line: error.span().map(|span| line_of(text, &span)),
                key: None,
                reason: reason_of(&error, text),
            }),
        }
    }

    /// Looks at every key before any value: what is misspelt is found before its absence is.
    pub(super) fn refuse_unknown_keys(&self) -> Result<(), ConfigError> {
        for (name, _) in &self.root {
            let known = keys::SECTIONS.iter().find(|kind| kind.name == name.get_ref());
            let Some(kind) = known else {
                return Err(self.refuse(name, name.get_ref(), unknown_section(name.get_ref())));
            };
            for section in self.sections(kind)? {
                section.refuse_unknown_keys()?;
            }
        }
        Ok(())
    }

    /// The one section of a kind that is not repeated.
    pub(super) fn section(
        &'t self,
        kind: &'static SectionKind,
    ) -> Result<Section<'t>, ConfigError> {
        let absent = Section::new(self, kind, None, None);
        Ok(self.sections(kind)?.pop().unwrap_or(absent))
    }

    /// All sections of a kind, in the order of the file.
    pub(super) fn sections(
        &self,
        kind: &'static SectionKind,
    ) -> Result<Vec<Section<'_>>, ConfigError> {
        let Some((name, value)) = self.root.get_key_value(kind.name) else {
            return Ok(Vec::new());
        };
        let section = |place: &Spanned<DeValue<'t>>, keys| {
            let line = Some(self.line(place.span()));
            Section::new(self, kind, line, Some(keys))
        };
        match (kind.repeats, value.get_ref()) {
            (Repeats::Never | Repeats::AtWill, DeValue::Table(keys)) => {
                Ok(vec![section(value, keys)])
            }
            (Repeats::Never, other) => {
                let reason = format!("is {}, has to be a section [{}]", type_of(other), kind.name);
                Err(self.refuse(name, kind.name, reason))
            }
            (_, DeValue::Array(sections)) => sections
                .iter()
                .map(|each| match each.get_ref() {
                    DeValue::Table(keys) => Ok(section(each, keys)),
                    _ => Err(self.refuse(each, kind.name, not_repeated(kind))),
                })
                .collect(),
            (_, _) => Err(self.refuse(name, kind.name, not_repeated(kind))),
        }
    }

    /// The line of every key of the sections that are there once, by its label.
    pub(super) fn lines(&self) -> BTreeMap<String, usize> {
        let known = keys::KEYS.iter().filter(|key| key.section.repeats != Repeats::Always);
        known
            .filter_map(|key| {
                let section = self.root.get(key.section.name)?.get_ref().as_table()?;
                Some((key.label(), self.line(section.get(key.name)?.span())))
            })
            .collect()
    }

    pub(super) fn file(&self) -> &Path {
        self.file
    }

    pub(super) fn line(&self, span: Range<usize>) -> usize {
        line_of(self.text, &span)
    }

    pub(super) fn refuse<T>(&self, at: &Spanned<T>, label: &str, reason: String) -> ConfigError {
        ConfigError::of_key(self.file, Some(self.line(at.span())), label.to_owned(), reason)
    }
}

/// What the parser says; of a key that is there twice it does not say which.
fn reason_of(error: &toml::de::Error, text: &str) -> String {
    let found = error.span().and_then(|span| text.get(span));
    match (error.message(), found) {
        ("duplicate key", Some(key)) => format!("duplicate key: `{key}`"),
        (message, _) => message.to_owned(),
    }
}

fn not_repeated(kind: &SectionKind) -> String {
    match kind.repeats {
        Repeats::AtWill => format!("write [{0}], or [[{0}]] once for each {0}", kind.name),
        _ => format!("write [[{0}]], once for each {0}", kind.name),
    }
}

fn unknown_section(name: &str) -> String {
    if let Some(near) = nearest(name, keys::SECTIONS.iter().map(|kind| kind.name)) {
        return format!("no such section; did you mean `{near}`?");
    }
    match keys::KEYS.iter().find(|key| key.name == name) {
        Some(key) => format!("no such section; `{name}` belongs to [{}]", key.section.name),
        None => {
            let known: Vec<_> = keys::SECTIONS.iter().map(|kind| kind.name).collect();
            format!("no such section; there are {}", known.join(", "))
        }
    }
}

/// The line on which `span` begins, counted from 1.
fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.as_bytes().get(..span.start).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
