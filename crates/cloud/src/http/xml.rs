//! Small XML documents of stores: listings, errors, and what became of a deletion.
//!
//! Always true: what is read is one whole document, closed at its end; names come without their
//! namespaces; nothing is read that is nested deeper than any store nests.

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

const DEEPEST: usize = 16;

/// An element with its text and what is in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// The root of a document.
    pub(crate) fn parse(document: &[u8]) -> Result<Element, String> {
        let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
        let text = std::str::from_utf8(document).map_err(|_| "it is not UTF-8".to_owned())?;
        let mut reader = Reader::from_str(text);
        // The first one gathers the root.
        let mut open = vec![Element::default()];
        loop {
            let event = reader.read_event().map_err(|error| error.to_string())?;
            let depth = open.len();
            let top = open.last_mut().ok_or("it closes what it never opened")?;
            match event {
                Event::Start(start) if depth <= DEEPEST => open.push(named(&start)),
                Event::Start(_) => return Err("it is nested too deeply".into()),
                Event::Empty(start) => top.children.push(named(&start)),
                Event::End(_) => {
                    let closed = open.pop().unwrap_or_default();
                    let parent = open.last_mut().ok_or("it closes what it never opened")?;
                    parent.children.push(closed);
                }
                Event::Text(text) => {
                    let text = text.decode().map_err(|error| error.to_string())?;
                    top.text.push_str(&text);
                }
                Event::CData(text) => {
                    let text = text.decode().map_err(|error| error.to_string())?;
                    top.text.push_str(&text);
                }
                Event::GeneralRef(entity) => {
                    let character = entity.resolve_char_ref();
                    if let Some(character) = character.map_err(|error| error.to_string())? {
                        top.text.push(character);
                        continue;
                    }
                    let name = entity.decode().map_err(|error| error.to_string())?;
                    let known = resolve_xml_entity(&name);
                    top.text.push_str(known.ok_or("it has an unknown entity")?);
                }
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        let is_closed = open.len() == 1;
        let mut outside = open.pop().unwrap_or_default();
        match (is_closed, outside.children.len()) {
            (false, _) => Err("it breaks off".into()),
            (true, 1) if outside.text.trim().is_empty() => Ok(outside.children.remove(0)),
            (true, 0) if outside.text.trim().is_empty() => Err("it is empty".into()),
            _ => Err("it is no XML document".into()),
        }
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of a child; `None` also when there is none in it.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        let text = self.child(name)?.text.as_str();
        (!text.is_empty()).then_some(text)
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

fn named(start: &BytesStart<'_>) -> Element {
    Element {
        name: String::from_utf8_lossy(start.local_name().as_ref()).into_owned(),
        ..Element::default()
    }
}

/// Adds an element with a text to a document.
pub(crate) fn push(document: &mut String, name: &str, text: &str) {
    let text = quick_xml::escape::escape(text);
    document.push_str(&format!("<{name}>{text}</{name}>"));
}

/// What stands between two words of a text, which need be no document.
pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(&rest[..rest.find(end)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_with_its_entities_and_without_namespaces() {
        let text = "\u{feff}<?xml version=\"1.0\"?><!-- x --><a:L xmlns:a='u'><K>x &amp; &#252;\
                    <![CDATA[<]]></K><E/></a:L>\n";
        let root = Element::parse(text.as_bytes()).unwrap();
        assert_eq!(root.name, "L");
        assert_eq!(root.text_of("K"), Some("x & \u{fc}<"));
        assert_eq!((root.text_of("E"), root.text_of("F")), (None, None));
        let mut again = "<L>".to_owned();
        push(&mut again, "K", "x & \u{fc}<");
        again.push_str("</L>");
        let again = Element::parse(again.as_bytes()).unwrap();
        assert_eq!(again.text_of("K"), root.text_of("K"));
    }

    #[test]
    fn what_is_no_whole_document_is_refused() {
        let deep = "<a>".repeat(40) + &"</a>".repeat(40);
        for text in [
            "",
            "  \n",
            "text",
            "<a>",
            "<a><b></a>",
            "<a></a><b></b>",
            "<a>&x;</a>",
            "</a>",
            "<a></a>rest",
            "{\"a\": 1}",
            &deep,
        ] {
            assert!(Element::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Element::parse(b"<a>\xff</a>").is_err());
    }
}
