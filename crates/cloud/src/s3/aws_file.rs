//! The syntax of `~/.aws/config` and `~/.aws/credentials`: sections, `key = value`, nested blocks.
//!
//! The rules are those of botocore's parser (Python's `configparser` without interpolation): keys
//! in any case, `#` and `;` begin a comment line, a line deeper than its key continues it, which
//! after an empty value makes a nested block (`s3 =`). What a section means is for
//! [`super::profile`]. Errors give file and line and never a line's text: it may be a secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One file, parsed.
#[derive(Clone, Default)]
pub struct AwsFile {
    sections: BTreeMap<String, Section>,
}

/// The keys of one section, in lower case.
pub(super) type Section = BTreeMap<String, Entry>;

/// One key's value.
#[derive(Clone, Default)]
pub(super) struct Entry {
    pub(super) value: String,
    /// The nested block after an empty value: key and value.
    pub(super) nested: BTreeMap<String, String>,
    /// Counted from 1.
    pub(super) line: usize,
}

/// A file that cannot be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}:{line}: {cause}", path.display())]
pub struct BadAwsFile {
    path: PathBuf,
    line: usize,
    cause: &'static str,
}

impl AwsFile {
    /// Parses the text of the file at `path`; the path is for errors only.
    pub fn parse(text: &str, path: &Path) -> Result<Self, BadAwsFile> {
        let mut parser = Parser::default();
        for (number, line) in text.lines().enumerate() {
            let line_number = number + 1;
            parser
                .read_line(line, line_number)
                .map_err(|cause| BadAwsFile {
                    path: path.into(),
                    line: line_number,
                    cause,
                })?;
        }
        Ok(AwsFile {
            sections: parser.sections,
        })
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.get(name)
    }

    /// The section `[kind name]`, the name perhaps in quotes: `[profile x]`, `[services "x"]`.
    pub(super) fn section_of_kind(&self, kind: &str, name: &str) -> Option<&Section> {
        let matches = |title: &String| {
            let rest = title.strip_prefix(kind)?;
            let trimmed = rest.trim();
            let bare = trimmed
                .strip_prefix(['"', '\''])
                .and_then(|inner| inner.strip_suffix(['"', '\'']))
                .unwrap_or(trimmed);
            (rest.starts_with(char::is_whitespace) && bare == name).then_some(())
        };
        self.sections
            .iter()
            .find(|(title, _)| matches(title).is_some())
            .map(|(_, keys)| keys)
    }
}

#[derive(Default)]
struct Parser {
    sections: BTreeMap<String, Section>,
    section: Option<String>,
    /// The key that a deeper line would continue, and its indentation.
    key: Option<(String, usize)>,
}

impl Parser {
    fn read_line(&mut self, line: &str, number: usize) -> Result<(), &'static str> {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            return Ok(());
        }
        let indentation = line.len() - line.trim_start().len();
        if let Some((key, depth)) = &self.key
            && indentation > *depth
        {
            let key = key.clone();
            return self.continue_value(&key, content);
        }
        match content.strip_prefix('[') {
            Some(rest) => self.open_section(rest),
            None => self.read_key(content, indentation, number),
        }
    }

    fn open_section(&mut self, rest: &str) -> Result<(), &'static str> {
        let (name, _) = rest.split_once(']').ok_or("the section's ] is missing")?;
        let name = name.trim().to_owned();
        if self.sections.insert(name.clone(), Section::new()).is_some() {
            return Err("this section is here twice");
        }
        (self.section, self.key) = (Some(name), None);
        Ok(())
    }

    fn read_key(
        &mut self,
        content: &str,
        indentation: usize,
        number: usize,
    ) -> Result<(), &'static str> {
        let (key, value) = content
            .split_once(['=', ':'])
            .ok_or("this is not key = value")?;
        let key = key.trim().to_ascii_lowercase();
        if key.is_empty() {
            return Err("the key is missing");
        }
        let entry = Entry {
            value: value.trim().into(),
            line: number,
            ..Entry::default()
        };
        let section = self
            .current()
            .ok_or("this comes before the first section")?;
        if section.insert(key.clone(), entry).is_some() {
            return Err("this key is in the section twice");
        }
        self.key = Some((key, indentation));
        Ok(())
    }

    fn continue_value(&mut self, key: &str, content: &str) -> Result<(), &'static str> {
        let entry = self.current().and_then(|section| section.get_mut(key));
        let entry = entry.ok_or("this continues nothing")?;
        if !entry.value.is_empty() {
            return Err("this line is indented, so it would continue the value above");
        }
        let (name, value) = content.split_once('=').ok_or("this is not key = value")?;
        entry
            .nested
            .insert(name.trim().to_ascii_lowercase(), value.trim().into());
        Ok(())
    }

    fn current(&mut self) -> Option<&mut Section> {
        self.sections.get_mut(self.section.as_ref()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AwsFile, BadAwsFile> {
        AwsFile::parse(text, Path::new("/home/me/.aws/config"))
    }

    #[test]
    fn sections_keys_comments_and_nested_blocks_are_read() {
        let file = parse(
            "# mine\n[default]\nREGION=eu-west-1\n; no\ns3 =\n  addressing_style = path\n\n  \
             # inside\n  max_queue_size=1=2\noutput = json\n[profile \"my own\"]\n  region: x\n  \
             ca_bundle = /ca.pem\n",
        )
        .unwrap();
        let default = file.section("default").unwrap();
        assert_eq!(default["region"].value, "eu-west-1");
        assert_eq!(default["region"].line, 3);
        assert_eq!(default["s3"].nested["addressing_style"], "path");
        assert_eq!(default["s3"].nested["max_queue_size"], "1=2");
        assert_eq!(default["output"].value, "json");
        let own = file.section_of_kind("profile", "my own").unwrap();
        assert_eq!(
            (own["region"].value.as_str(), own["ca_bundle"].line),
            ("x", 13)
        );
        assert!(file.section_of_kind("profile", "my").is_none());
    }

    #[test]
    fn a_bad_line_is_refused_with_its_place_and_without_its_text() {
        for (text, line) in [
            ("region = x\n", 1),
            ("[default\n", 1),
            ("[default]\n\nhunter2\n", 3),
            ("[default]\na=1\na=2\n", 3),
            ("[default]\n[default]\n", 2),
            ("[default]\naws_secret_access_key = a\n  hunter2\n", 3),
            ("[default]\ns3 =\n  hunter2\n", 3),
        ] {
            let error = parse(text).err().unwrap().to_string();
            assert!(
                error.starts_with(&format!("/home/me/.aws/config:{line}: ")),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
