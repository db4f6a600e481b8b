//! A document as a tree of elements, without name spaces: makers get prefixes wrong more often than
//! two elements of one name mean two things. Bounded in depth and number. Pure.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// Deeper than any message of ONVIF by far.
const DEPTH_MAX: usize = 32;
/// A camera with a hundred profiles has fewer.
const ELEMENTS_MAX: usize = 20_000;
/// Of a text, in bytes: names, tokens and addresses are shorter.
const TEXT_BYTES_MAX: usize = 4096;

/// An element: its name without prefix, and what is in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    /// Without blanks at its ends.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The root of a document.
    ///
    /// # Errors
    /// Why it is none that is taken, in a few words.
    pub(super) fn parse(bytes: &[u8]) -> Result<Element, String> {
        let text = String::from_utf8_lossy(bytes);
        let mut reader = Reader::from_str(text.trim_start_matches('\u{FEFF}').trim_start());
        let mut open: Vec<Element> = Vec::new();
        let mut count = 0;
        loop {
            let event = reader.read_event().map_err(|error| format!("no XML: {error}"))?;
            let closed = match event {
                Event::Start(start) => {
                    open.push(Element::of(&start, &mut count)?);
                    None
                }
                Event::Empty(start) => Some(Element::of(&start, &mut count)?),
                Event::End(_) => Some(open.pop().ok_or("no XML: an end without a beginning")?),
                Event::Text(text) => {
                    add(&mut open, &text);
                    None
                }
                Event::CData(text) => {
                    add(&mut open, &text);
                    None
                }
                Event::GeneralRef(name) => {
                    let letter = name.resolve_char_ref().ok().flatten().map(String::from);
                    let named = || resolve_predefined_entity(&name).map(str::to_owned);
                    add(&mut open, &letter.or_else(named).unwrap_or_default());
                    None
                }
                Event::DocType(_) => {
                    return Err("a document type, which SOAP has none of".to_owned());
                }
                Event::Eof => return Err("no XML: it ends too soon".to_owned()),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => None,
            };
            if open.len() > DEPTH_MAX || count > ELEMENTS_MAX {
                return Err("more elements than any answer has".to_owned());
            }
            if let Some(mut closed) = closed {
                closed.text.truncate(closed.text.trim_end().len());
                match open.last_mut() {
                    Some(parent) => parent.children.push(closed),
                    None => return Ok(closed),
                }
            }
        }
    }

    fn of(start: &BytesStart<'_>, count: &mut usize) -> Result<Element, String> {
        *count += 1;
        let name = start.local_name().as_ref().to_owned();
        let mut attributes = Vec::new();
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| format!("no XML: {error}"))?;
            let key = attribute.key.local_name().as_ref().to_owned();
            let value = &attribute.value;
            let value =
                quick_xml::escape::unescape(value).map_or_else(|_| value.to_string(), Into::into);
            *count += 1;
            attributes.push((key, value));
        }
        Ok(Element { name, attributes, ..Element::default() })
    }

    /// The first element of that name directly in this one.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The same over several steps.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The text there, where there is one.
    pub(super) fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path).map(|element| element.text.as_str()).filter(|text| !text.is_empty())
    }

    /// The number there.
    pub(super) fn number_at<N: std::str::FromStr>(&self, path: &[&str]) -> Option<N> {
        self.text_at(path)?.parse().ok()
    }

    /// All elements of that name directly in this one.
    pub(super) fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element of that name, anywhere in this one, itself included.
    pub(super) fn find(&self, name: &str) -> Option<&Element> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Adds to the text of the innermost element, up to its bound.
fn add(open: &mut [Element], more: &str) {
    let Some(element) = open.last_mut() else { return };
    let more = if element.text.is_empty() { more.trim_start() } else { more };
    let room = TEXT_BYTES_MAX.saturating_sub(element.text.len());
    element.text.push_str(&more[..more.floor_char_boundary(room)]);
}

/// A text as it stands in a document.
pub(super) fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_a_tree_of_names_without_prefixes() {
        let text = "\u{FEFF}<?xml version='1.0'?>\n<a:Root xmlns:a='x'><!-- c --><b:One \
                    t=\"1 &amp; 2\"> rtsp://h/?a=1&amp;b=&#50; </b:One><One><![CDATA[<raw>]]></One>\
                    <Empty/></a:Root>";
        let root = Element::parse(text.as_bytes()).unwrap();
        assert_eq!(root.name, "Root");
        assert_eq!(root.text_at(&["One"]), Some("rtsp://h/?a=1&b=2"));
        assert_eq!(root.child("One").unwrap().attribute("t"), Some("1 & 2"));
        assert_eq!(root.all("One").nth(1).unwrap().text, "<raw>");
        assert_eq!(root.text_at(&["Empty"]), None);
        assert!(root.find("Empty").is_some() && root.find("empty").is_none());
    }

    #[test]
    fn what_is_no_document_or_too_much_of_one_is_refused() {
        for text in ["", "hello", "<a>", "<a></b>", "</a>", "<a", "<!DOCTYPE a []><a/>"] {
            assert!(Element::parse(text.as_bytes()).is_err(), "{text}");
        }
        let deep = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
        assert!(Element::parse(deep(DEPTH_MAX).as_bytes()).is_ok());
        assert!(Element::parse(deep(DEPTH_MAX + 1).as_bytes()).is_err());
        let wide = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS_MAX));
        assert!(Element::parse(wide.as_bytes()).is_err());
        let long = format!("<a>{}</a>", "ü".repeat(TEXT_BYTES_MAX));
        assert_eq!(Element::parse(long.as_bytes()).unwrap().text.len(), TEXT_BYTES_MAX);
    }
}
