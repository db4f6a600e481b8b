//! A section of a TOML file: keys that know their line, values of the type that a key has.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{ConfigError, Document, Located};
use super::duration;
use super::keys::{self, Absent, Key, Kind, Repeats, SectionKind};
use super::permissions;
use super::share;
use super::size;
use super::unknown::{unknown_key, unknown_to};
use crate::units::ByteCount;

/// One section; an absent one has no keys.
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    kind: &'static SectionKind,
    line: Option<usize>,
    keys: Option<&'d DeTable<'d>>,
    /// Of a camera: the one of its streams that this is of.
    stream: Option<Stream<'d>>,
    /// Of a section below another one: what messages call it.
    label: Option<String>,
}

/// One stream of a camera that has several.
struct Stream<'d> {
    name: &'d str,
    /// Its address, or keys of its own.
    said: &'d Spanned<DeValue<'d>>,
    /// What messages call it.
    label: String,
}

/// The stream that has the name of its camera.
pub(super) const MAIN: &str = "main";

/// What no stream has from its camera.
const OWN: [&Key; 3] = [&keys::CAMERA_URL, &keys::CAMERA_COMMAND, &keys::CAMERA_STREAMS];

impl<'d> Section<'d> {
    pub(super) fn new(
        document: &'d Document<'d>,
        kind: &'static SectionKind,
        line: Option<usize>,
        keys: Option<&'d DeTable<'d>>,
    ) -> Section<'d> {
        Section { document, kind, line, keys, stream: None, label: None }
    }
}

impl Section<'_> {
    /// What stands for the section where no value is to blame.
    pub(super) fn refuse(&self, reason: &str) -> ConfigError {
        let label = self.kind.name.to_owned();
        ConfigError::of_key(self.document.file(), self.line, label, reason.to_owned())
    }

    pub(super) fn refuse_unknown_keys(&self) -> Result<(), ConfigError> {
        for (name, _) in self.keys.into_iter().flatten() {
            if !keys::of(self.kind).any(|key| key.name == name.get_ref()) {
                let own = self.label.as_deref().unwrap_or(self.kind.name);
                let label = format!("{own}.{}", name.get_ref());
                let reason = unknown_key(self.kind, name.get_ref());
                return Err(self.document.refuse(name, &label, reason));
            }
        }
        if *self.kind != keys::CAMERA {
            return Ok(());
        }
        let streams = self.streams()?;
        for section in std::iter::once(self).chain(&streams) {
            section.retain()?.map_or(Ok(()), |retain| retain.refuse_unknown_keys())?;
        }
        Ok(())
    }

    /// What a camera, or a stream of one, says of `[retain]`, where that is a section.
    pub(super) fn retain(&self) -> Result<Option<Section<'_>>, ConfigError> {
        let Some(said) = self.value(&keys::CAMERA_RETAIN) else { return Ok(None) };
        let Some(keys) = said.value.as_table() else { return Ok(None) };
        let new = Section::new(self.document, &keys::RETAIN_SECTION, said.line, Some(keys));
        Ok(Some(Section { label: Some(said.label), ..new }))
    }

    /// The streams of a camera that names them, its main one first; none where it has one alone.
    pub(super) fn streams(&self) -> Result<Vec<Section<'_>>, ConfigError> {
        let Some(streams) = self.value(&keys::CAMERA_STREAMS) else { return Ok(Vec::new()) };
        for key in [&keys::CAMERA_URL, &keys::CAMERA_COMMAND] {
            if let Some(other) = self.value(key) {
                return Err(other.refuse("is of a camera with one stream; this one has `streams`"));
            }
        }
        let Some(table) = streams.value.as_table() else {
            return Err(wrong_type(&streams, &keys::CAMERA_STREAMS));
        };
        let mut sections: Vec<Section<'_>> =
            table.iter().map(|(name, said)| self.stream(name, said)).collect::<Result<_, _>>()?;
        if sections.is_empty() {
            return Err(streams.refuse("names none"));
        }
        sections.sort_by_key(|section| section.stream_name() != Some(MAIN));
        Ok(sections)
    }

    fn stream<'s>(
        &'s self,
        name: &'s Spanned<Cow<'s, str>>,
        said: &'s Spanned<DeValue<'s>>,
    ) -> Result<Section<'s>, ConfigError> {
        let label = format!("{}.{}.{}", self.kind.name, keys::CAMERA_STREAMS.name, name.get_ref());
        // With a dot it could be taken for a stream of another one.
        let is_fit = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.get_ref().is_empty() || !name.get_ref().chars().all(is_fit) {
            let reason = "a stream is called by letters a to z, digits, `-` and `_`".to_owned();
            return Err(self.document.refuse(name, &label, reason));
        }
        match said.get_ref() {
            DeValue::String(_) => {}
            DeValue::Table(own) => {
                let is_known = |name: &str| keys::OF_STREAM.iter().any(|known| known.name == name);
                let unknown = own.iter().map(|(name, _)| name).find(|it| !is_known(it.get_ref()));
                if let Some(unknown) = unknown {
                    let label = format!("{label}.{}", unknown.get_ref());
                    let reason = unknown_to(keys::OF_STREAM, unknown.get_ref());
                    return Err(self.document.refuse(unknown, &label, reason));
                }
            }
            other => {
                let reason = format!("is {}, has to be an address or a section", type_of(other));
                return Err(self.document.refuse(said, &label, reason));
            }
        }
        let line = Some(self.document.line(name.span()));
        let stream = Stream { name: name.get_ref(), said, label };
        let new = Section::new(self.document, self.kind, line, self.keys);
        Ok(Section { stream: Some(stream), ..new })
    }

    /// Which stream of its camera this is, where it is one of several.
    pub(super) fn stream_name(&self) -> Option<&str> {
        self.stream.as_ref().map(|stream| stream.name)
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

    /// A path from the root on, from the file's own directory where it is relative.
    pub(super) fn absolute(&self, path: &str) -> PathBuf {
        let path = self.document.file().parent().unwrap_or(Path::new("")).join(path);
        std::path::absolute(&path).unwrap_or(path)
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

    /// A share, in percent: the file's or the default; within the key's range.
    pub(super) fn share(&self, key: &Key) -> Result<u8, ConfigError> {
        let text = self.string(key)?;
        let most = if let Kind::Share { most } = key.kind { most } else { u8::MAX };
        share::parse(&text.value, most).map_err(|why| text.refuse(why))
    }

    /// The same; `None` where it says [`keys::OFF`].
    pub(super) fn share_or_off(&self, key: &Key) -> Result<Option<u8>, ConfigError> {
        let text = self.string(key)?;
        if text.value == keys::OFF {
            return Ok(None);
        }
        let most = if let Kind::ShareOrOff { most } = key.kind { most } else { u8::MAX };
        share::parse(&text.value, most).map(Some).map_err(|why| text.refuse(why))
    }

    /// A size in bytes, where the file has it; no smaller than the key allows.
    pub(super) fn optional_size(&self, key: &Key) -> Result<Option<ByteCount>, ConfigError> {
        let Some(text) = self.optional_string(key)? else { return Ok(None) };
        let bytes = size::parse(&text.value, 1024).map_err(|why| text.refuse(why.to_string()))?;
        match key.kind {
            Kind::Size { least } if bytes < least => {
                Err(text.refuse(format!("{} is less than {}M", text.value, least >> 20)))
            }
            _ => Ok(Some(ByteCount(bytes))),
        }
    }

    /// A whole number within the key's range, where the file has it.
    pub(super) fn optional_number(&self, key: &Key) -> Result<Option<u32>, ConfigError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let DeValue::Integer(number) = value.value else { return Err(wrong_type(&value, key)) };
        let most = if let Kind::Number { most } = key.kind { most } else { u32::MAX };
        let read = u32::from_str_radix(number.as_str(), number.radix()).ok();
        match read.filter(|number| *number <= most) {
            Some(number) => Ok(Some(number)),
            None => Err(value.refuse(format!("{number} is not from 0 to {most}"))),
        }
    }

    /// Bits of permissions: the file's or the default.
    pub(super) fn permissions(&self, key: &Key) -> Result<u16, ConfigError> {
        let text = self.string(key)?;
        permissions::parse(&text.value).map_err(|why| text.refuse(why))
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

    /// What the file says under a key: a stream's own, or else its camera's.
    fn value(&self, key: &Key) -> Option<Located<&DeValue<'_>>> {
        let of_camera = || {
            let is_own = OWN.iter().any(|own| own.name == key.name);
            let is_inherited = self.stream.is_none() || !is_own;
            self.keys.filter(|_| is_inherited)?.get(key.name)
        };
        match self.own(key) {
            None if self.stream.is_some() => Some(self.located(of_camera()?, key.label())),
            own => own,
        }
    }

    /// The same, without what a stream has from its camera.
    pub(super) fn own(&self, key: &Key) -> Option<Located<&DeValue<'_>>> {
        let Some(stream) = &self.stream else {
            return Some(self.located(self.keys?.get(key.name)?, self.label(key)));
        };
        let value = match stream.said.get_ref() {
            DeValue::Table(own) => own.get(key.name)?,
            _ if key.name == keys::CAMERA_URL.name => stream.said,
            _ => return None,
        };
        Some(self.located(value, self.label(key)))
    }

    fn located<'s>(
        &self,
        value: &'s Spanned<DeValue<'s>>,
        label: String,
    ) -> Located<&'s DeValue<'s>> {
        let file = self.document.file().to_path_buf();
        Located {
            value: value.get_ref(),
            file,
            line: Some(self.document.line(value.span())),
            label,
        }
    }

    /// What messages call a key of this section.
    fn label(&self, key: &Key) -> String {
        match (&self.stream, &self.label) {
            (Some(stream), _) => format!("{}.{}", stream.label, key.name),
            (None, Some(own)) => format!("{own}.{}", key.name),
            (None, None) => key.label(),
        }
    }

    fn default_of(&self, key: &Key) -> Result<Located<&'static str>, ConfigError> {
        let file = self.document.file().to_path_buf();
        match key.absent {
            Absent::Default(value) => {
                Ok(Located { value, file, line: self.line, label: self.label(key) })
            }
            Absent::Missing | Absent::Means(_) => {
                let section = match &self.stream {
                    Some(stream) => format!("[{}]", stream.label),
                    None if self.kind.repeats == Repeats::Always => {
                        format!("[[{}]]", self.kind.name)
                    }
                    None => format!("[{}]", self.kind.name),
                };
                let reason = format!("missing: say `{} = \"…\"` in {section}", key.name);
                Err(ConfigError::of_key(&file, self.line, self.label(key), reason))
            }
        }
    }
}

fn duration_in_range(text: Located<String>, key: &Key) -> Result<Located<Duration>, ConfigError> {
    let range = match key.kind {
        Kind::Duration { least, most }
        | Kind::DurationOrOff { least, most }
        | Kind::DurationOrSection { least, most } => least..=most,
        _ => Duration::ZERO..=Duration::MAX,
    };
    let value = duration::parse_within(&text.value, &range).map_err(|why| text.refuse(why))?;
    Ok(text.with(value))
}

fn wrong_type(value: &Located<&DeValue<'_>>, key: &Key) -> ConfigError {
    let right = match key.kind {
        Kind::Boolean => "true or false".to_owned(),
        Kind::Duration { .. } => format!("a duration such as {}", key.example),
        Kind::DurationOrOff { .. } => {
            format!("a duration such as {}, or \"{}\"", key.example, keys::OFF)
        }
        Kind::Share { .. } => format!("a share such as {}", key.example),
        Kind::Size { .. } => format!("a size such as {}", key.example),
        Kind::ShareOrOff { .. } => {
            format!("a share such as {}, or \"{}\"", key.example, keys::OFF)
        }
        Kind::DurationOrSection { .. } => {
            format!("a duration such as {}, or a section of keys of [retain]", key.example)
        }
        Kind::Number { .. } => format!("a whole number such as {}", key.example),
        Kind::Permissions => format!("a text in quotes such as {}", key.example),
        Kind::Words => format!("a list of texts such as {}", key.example),
        Kind::Streams => format!("addresses by name such as {}", key.example),
        Kind::Text | Kind::Path => format!("a text in quotes such as {}", key.example),
    };
    value.refuse(format!("is {}, has to be {right}", type_of(value.value)))
}

pub(super) fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
