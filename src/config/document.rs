//! A TOML file as sections and keys that know their line.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration;
use super::keys::{self, Absent, Key, Kind, SectionKind};
use super::nearest::nearest;

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
    file: PathBuf,
    pub(super) line: Option<usize>,
    label: String,
}

impl<T> Located<T> {
    /// The error that says `reason` of this value.
    pub(super) fn refuse(&self, reason: impl Into<String>) -> ConfigError {
        ConfigError::of_key(&self.file, self.line, self.label.clone(), reason.into())
    }

    fn map<U>(self, to: impl FnOnce(T) -> U) -> Located<U> {
        let Located { value, file, line, label } = self;
        Located { value: to(value), file, line, label }
    }

    fn with<U>(&self, value: U) -> Located<U> {
        Located { value, file: self.file.clone(), line: self.line, label: self.label.clone() }
    }
}

/// The whole file.
pub(super) struct Document<'t> {
    file: &'t Path,
    text: &'t str,
    root: DeTable<'t>,
}

/// One section of it; an absent one has no keys.
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    kind: &'static SectionKind,
    line: Option<usize>,
    keys: Option<&'d DeTable<'d>>,
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
        let absent = Section { document: self, kind, line: None, keys: None };
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
            Section { document: self, kind, line, keys: Some(keys) }
        };
        match (kind.repeated, value.get_ref()) {
            (false, DeValue::Table(keys)) => Ok(vec![section(value, keys)]),
            (false, other) => {
                let reason = format!("is {}, has to be a section [{}]", type_of(other), kind.name);
                Err(self.refuse(name, kind.name, reason))
            }
            (true, DeValue::Array(sections)) => sections
                .iter()
                .map(|each| match each.get_ref() {
                    DeValue::Table(keys) => Ok(section(each, keys)),
                    _ => Err(self.refuse(each, kind.name, not_repeated(kind))),
                })
                .collect(),
            (true, _) => Err(self.refuse(name, kind.name, not_repeated(kind))),
        }
    }

    /// The line of every key of the sections that are not repeated, by its label.
    pub(super) fn lines(&self) -> BTreeMap<String, usize> {
        let known = keys::KEYS.iter().filter(|key| !key.section.repeated);
        known
            .filter_map(|key| {
                let section = self.root.get(key.section.name)?.get_ref().as_table()?;
                Some((key.label(), self.line(section.get(key.name)?.span())))
            })
            .collect()
    }

    fn line(&self, span: Range<usize>) -> usize {
        line_of(self.text, &span)
    }

    fn refuse<T>(&self, at: &Spanned<T>, label: &str, reason: String) -> ConfigError {
        ConfigError::of_key(self.file, Some(self.line(at.span())), label.to_owned(), reason)
    }
}

impl Section<'_> {
    /// What stands for the section where no value is to blame.
    pub(super) fn refuse(&self, reason: &str) -> ConfigError {
        let label = self.kind.name.to_owned();
        ConfigError::of_key(self.document.file, self.line, label, reason.to_owned())
    }

    fn refuse_unknown_keys(&self) -> Result<(), ConfigError> {
        for (name, _) in self.keys.into_iter().flatten() {
            if !keys::of(self.kind).any(|key| key.name == name.get_ref()) {
                let label = format!("{}.{}", self.kind.name, name.get_ref());
                let reason = unknown_key(self.kind, name.get_ref());
                return Err(self.document.refuse(name, &label, reason));
            }
        }
        Ok(())
    }

    /// A text: the file's or the default.
    pub(super) fn string(&self, key: &Key) -> Result<Located<String>, ConfigError> {
        match self.optional_string(key)? {
            Some(string) => Ok(string),
            None => Ok(self.default_of(key)?.map(str::to_owned)),
        }
    }

    /// A text, where the file has it; never an empty one.
    pub(super) fn optional_string(
        &self,
        key: &Key,
    ) -> Result<Option<Located<String>>, ConfigError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match value.value.as_str() {
            Some("") => Err(value.refuse("is empty")),
            Some(text) => Ok(Some(value.with(text.to_owned()))),
            None => Err(wrong_type(&value, key)),
        }
    }

    /// A list of texts, where the file has it.
    pub(super) fn optional_words(
        &self,
        key: &Key,
    ) -> Result<Option<Located<Vec<String>>>, ConfigError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let words = value.value.as_array().and_then(|list| {
            let word = |word: &Spanned<DeValue<'_>>| word.get_ref().as_str().map(str::to_owned);
            list.iter().map(word).collect::<Option<Vec<String>>>()
        });
        let words = words.ok_or_else(|| wrong_type(&value, key))?;
        Ok(Some(value.with(words)))
    }

    /// A path, from the file's own directory on where it is relative.
    pub(super) fn path(&self, key: &Key) -> Result<Located<PathBuf>, ConfigError> {
        Ok(self.string(key)?.map(|text| self.absolute(&text)))
    }

    /// As [`Section::path`], where the file has it.
    pub(super) fn optional_path(&self, key: &Key) -> Result<Option<Located<PathBuf>>, ConfigError> {
        Ok(self.optional_string(key)?.map(|text| text.map(|text| self.absolute(&text))))
    }

    /// A path, from the file's own directory on where it is relative.
    pub(super) fn absolute(&self, path: &str) -> PathBuf {
        self.document.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// True or false: the file's or the default.
    pub(super) fn boolean(&self, key: &Key) -> Result<Located<bool>, ConfigError> {
        match self.value(key) {
            Some(value) => {
                let boolean = value.value.as_bool().ok_or_else(|| wrong_type(&value, key))?;
                Ok(value.with(boolean))
            }
            None => Ok(self.default_of(key)?.map(|default| default == "true")),
        }
    }

    /// A length of time: the file's or the default; within the key's range.
    pub(super) fn duration(&self, key: &Key) -> Result<Located<Duration>, ConfigError> {
        duration_in_range(self.string(key)?, key)
    }

    /// A length of time: the file's or the default; `None` where it says [`keys::OFF`].
    pub(super) fn duration_or_off(&self, key: &Key) -> Result<Option<Duration>, ConfigError> {
        let text = self.string(key)?;
        if text.value == keys::OFF {
            return Ok(None);
        }
        Ok(Some(duration_in_range(text, key)?.value))
    }

    /// A length of time within the key's range, where the file has it.
    pub(super) fn optional_duration(
        &self,
        key: &Key,
    ) -> Result<Option<Located<Duration>>, ConfigError> {
        self.optional_string(key)?.map(|text| duration_in_range(text, key)).transpose()
    }

    fn value(&self, key: &Key) -> Option<Located<&DeValue<'_>>> {
        let value = self.keys?.get(key.name)?;
        Some(Located {
            value: value.get_ref(),
            file: self.document.file.to_path_buf(),
            line: Some(self.document.line(value.span())),
            label: key.label(),
        })
    }

    fn default_of(&self, key: &Key) -> Result<Located<&'static str>, ConfigError> {
        let file = self.document.file.to_path_buf();
        match key.absent {
            Absent::Default(value) => {
                Ok(Located { value, file, line: self.line, label: key.label() })
            }
            Absent::Missing | Absent::Means(_) => {
                let section = match self.kind.repeated {
                    true => format!("[[{}]]", self.kind.name),
                    false => format!("[{}]", self.kind.name),
                };
                let reason = format!("missing: say `{} = \"…\"` in {section}", key.name);
                Err(ConfigError::of_key(&file, self.line, key.label(), reason))
            }
        }
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

fn duration_in_range(text: Located<String>, key: &Key) -> Result<Located<Duration>, ConfigError> {
    let value = duration::parse(&text.value).map_err(|error| text.refuse(error.to_string()))?;
    match key.kind {
        Kind::Duration { least, most } | Kind::DurationOrOff { least, most }
            if value < least || value > most =>
        {
            let [value, least, most] = [value, least, most].map(duration::text);
            Err(text.refuse(format!("{value} is not from {least} to {most}")))
        }
        _ => Ok(text.with(value)),
    }
}

fn wrong_type(value: &Located<&DeValue<'_>>, key: &Key) -> ConfigError {
    let right = match key.kind {
        Kind::Boolean => "true or false".to_owned(),
        Kind::Duration { .. } => format!("a duration such as {}", key.example),
        Kind::DurationOrOff { .. } => {
            format!("a duration such as {}, or \"{}\"", key.example, keys::OFF)
        }
        Kind::Words => format!("a list of texts such as {}", key.example),
        Kind::Text | Kind::Path => format!("a text in quotes such as {}", key.example),
    };
    value.refuse(format!("is {}, has to be {right}", type_of(value.value)))
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

fn not_repeated(kind: &SectionKind) -> String {
    format!("write [[{0}]], once for each {0}", kind.name)
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

fn unknown_key(section: &SectionKind, name: &str) -> String {
    if let Some(elsewhere) = keys::KEYS.iter().find(|key| key.name == name) {
        return format!("no such key; `{name}` belongs to [{}]", elsewhere.section.name);
    }
    match nearest(name, keys::of(section).map(|key| key.name)) {
        Some(near) => format!("no such key; did you mean `{near}`?"),
        None => {
            let known: Vec<_> = keys::of(section).map(|key| key.name).collect();
            format!("no such key; there are {}", known.join(", "))
        }
    }
}

/// The line on which `span` begins, counted from 1.
fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.as_bytes().get(..span.start).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
