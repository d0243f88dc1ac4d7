//! The syntax of `~/.aws/config` and `~/.aws/credentials`: sections, `key = value`, nested blocks.
//!
//! The rules are those of botocore's parser (Python's `configparser` without interpolation): keys
//! in any case, a line that begins with `#` or `;` is a comment and nothing behind a value is, a
//! line deeper than its key continues the value, which after an empty first line makes a nested
//! block (`s3 =`); what stands in `[DEFAULT]` counts in every section. More lenient than it in one
//! thing: a byte order mark is passed over. What a section means is for [`super::profile`]. Errors
//! give file and line and never a line's text: it may be a secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::shell_words;

/// One file, parsed.
#[derive(Clone, Default)]
pub struct AwsFile {
    /// In the order of the file.
    sections: Vec<(String, Section)>,
}

/// The keys of one section, in lower case.
pub(super) type Section = BTreeMap<String, AwsFileEntry>;

/// One key's value.
#[derive(Clone, Default)]
pub(super) struct AwsFileEntry {
    /// Its lines; empty for a nested block.
    pub(super) value: String,
    /// The nested block after an empty first line: key and value.
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
        let bad = |(line, cause)| BadAwsFile {
            path: path.into(),
            line,
            cause,
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // Python takes each of the three for the end of a line.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut parser = Parser::default();
        for (number, line) in text.split('\n').enumerate() {
            let read = parser.read_line(line, number + 1);
            read.map_err(|cause| bad((number + 1, cause)))?;
        }
        let sections = parser.finish().map_err(bad)?;
        Ok(AwsFile { sections })
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.last(|title| title == name)
    }

    /// The section `[kind name]`, the name perhaps in quotes: `[profile x]`, `[services "x"]`. Of
    /// several, as botocore has it, the last.
    pub(super) fn section_of_kind(&self, kind: &str, name: &str) -> Option<&Section> {
        self.last(|title| is_of_kind(title, kind, name))
    }

    /// A profile of the config file; the default one may be `[default]`, too.
    pub(super) fn profile(&self, name: &str) -> Option<&Section> {
        let is_default = |title: &str| name == "default" && title == name;
        self.last(|title| is_default(title) || is_of_kind(title, "profile", name))
    }

    fn last(&self, fits: impl Fn(&str) -> bool) -> Option<&Section> {
        let mut sections = self.sections.iter().rev();
        sections
            .find(|(title, _)| fits(title))
            .map(|(_, keys)| keys)
    }
}

fn is_of_kind(title: &str, kind: &str, name: &str) -> bool {
    let words = title.starts_with(kind).then(|| shell_words::split(title));
    matches!(words.flatten().as_deref(), Some([_, found]) if found == name)
}

/// What counts in every section.
const FOR_ALL: &str = "DEFAULT";

/// The lines of one value, and the number of the first.
struct ValueLines {
    first: usize,
    lines: Vec<String>,
}

#[derive(Default)]
struct Parser {
    sections: Vec<(String, BTreeMap<String, ValueLines>)>,
    /// The section that is being read.
    section: Option<usize>,
    /// The key that a deeper line would continue.
    key: Option<String>,
    indentation: usize,
}

impl Parser {
    fn read_line(&mut self, line: &str, number: usize) -> Result<(), &'static str> {
        let content = line.trim();
        if content.starts_with(['#', ';']) {
            return Ok(());
        }
        if content.is_empty() {
            if let Some(lines) = self.current_value() {
                lines.push(String::new());
            }
            return Ok(());
        }
        let indentation = line.len() - line.trim_start().len();
        let is_deeper = indentation > self.indentation;
        if is_deeper && let Some(lines) = self.current_value() {
            lines.push(content.to_owned());
            return Ok(());
        }
        self.indentation = indentation;
        let title = content.strip_prefix('[');
        let title = title.and_then(|rest| Some(&rest[..rest.rfind(']')?]));
        match title.filter(|title| !title.is_empty()) {
            Some(title) => self.open_section(title),
            None => self.read_key(content, number),
        }
    }

    fn open_section(&mut self, title: &str) -> Result<(), &'static str> {
        let known = self.sections.iter().position(|(other, _)| other == title);
        self.section = Some(match known {
            Some(position) if title == FOR_ALL => position,
            Some(_) => return Err("this section is here twice"),
            None => {
                self.sections.push((title.to_owned(), BTreeMap::new()));
                self.sections.len() - 1
            }
        });
        self.key = None;
        Ok(())
    }

    fn read_key(&mut self, content: &str, number: usize) -> Result<(), &'static str> {
        let section = self.section.ok_or(if content.starts_with('[') {
            "the section's ] is missing"
        } else {
            "this comes before the first section"
        })?;
        let (key, value) = content
            .split_once(['=', ':'])
            .ok_or("this is not key = value")?;
        let key = key.trim().to_lowercase();
        if key.is_empty() {
            return Err("the key is missing");
        }
        let value = ValueLines {
            first: number,
            lines: vec![value.trim().to_owned()],
        };
        let keys = &mut self.sections[section].1;
        if keys.insert(key.clone(), value).is_some() {
            return Err("this key is in the section twice");
        }
        self.key = Some(key);
        Ok(())
    }

    fn current_value(&mut self) -> Option<&mut Vec<String>> {
        let keys = &mut self.sections.get_mut(self.section?)?.1;
        Some(&mut keys.get_mut(self.key.as_ref()?)?.lines)
    }

    fn finish(self) -> Result<Vec<(String, Section)>, (usize, &'static str)> {
        let (mut sections, mut for_all) = (Vec::new(), Section::new());
        for (title, keys) in self.sections {
            let mut section = Section::new();
            for (key, lines) in keys {
                section.insert(key, entry_of(&lines)?);
            }
            if title == FOR_ALL {
                for_all = section
            } else {
                sections.push((title, section))
            }
        }
        for (_, section) in &mut sections {
            for (key, entry) in &for_all {
                section.entry(key.clone()).or_insert_with(|| entry.clone());
            }
        }
        Ok(sections)
    }
}

fn entry_of(value: &ValueLines) -> Result<AwsFileEntry, (usize, &'static str)> {
    let text = value.lines.join("\n");
    let text = text.trim_end();
    let mut entry = AwsFileEntry {
        line: value.first,
        ..AwsFileEntry::default()
    };
    if !text.starts_with('\n') {
        text.clone_into(&mut entry.value);
        return Ok(entry);
    }
    for line in value.lines.iter().filter(|line| !line.is_empty()) {
        let pair = line.split_once('=');
        let (key, value) = pair.ok_or((
            value.first,
            "in the block of this key not all lines are key = value",
        ))?;
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        entry.nested.insert(key, value);
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AwsFile, BadAwsFile> {
        AwsFile::parse(text, Path::new("/home/me/.aws/config"))
    }

    fn value<'a>(file: &'a AwsFile, section: &str, key: &str) -> &'a str {
        &file.section(section).unwrap()[key].value
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

    // Each as botocore 1.44.8 reads it.
    #[test]
    fn odd_lines_are_read_as_botocore_reads_them() {
        let file = parse(
            "\u{feff}[default] # mine\r\nregion = x # no comment\r\nrole_arn = a\r\n   b\r\n\r\n   \
             c\r\n; a comment\rempty =\r\n[DEFAULT]\noutput = json\n[ spaced ]\na = 1\n[x]y]\n\
             b: 2 = 3\n",
        )
        .unwrap();
        assert_eq!(value(&file, "default", "region"), "x # no comment");
        assert_eq!(value(&file, "default", "role_arn"), "a\nb\n\nc");
        assert_eq!(value(&file, "default", "empty"), "");
        assert_eq!(value(&file, "default", "output"), "json");
        assert_eq!(value(&file, " spaced ", "a"), "1");
        assert_eq!(value(&file, "x]y", "b"), "2 = 3");
        assert!(file.section("spaced").is_none() && file.section("DEFAULT").is_none());
    }

    #[test]
    fn of_several_sections_for_one_profile_the_last_counts() {
        for (text, region) in [
            ("[default]\nregion=a\n[profile default]\nregion=b\n", "b"),
            ("[profile default]\nregion=a\n[default]\nregion=b\n", "b"),
            (
                "[profile 'default']\nregion=a\n[profile default]\nregion=b\n",
                "b",
            ),
            (
                "[profiledefault]\nregion=a\n[default]\nregion=b\n[profile it's]\n",
                "b",
            ),
        ] {
            let file = parse(text).unwrap();
            assert_eq!(
                file.profile("default").unwrap()["region"].value,
                region,
                "{text}"
            );
        }
        assert!(parse("[x]\na=1\n").unwrap().profile("x").is_none());
    }

    #[test]
    fn a_bad_line_is_refused_with_its_place_and_without_its_text() {
        for (text, line) in [
            ("region = x\n", 1),
            ("[default\n", 1),
            ("[]\n", 1),
            ("[default]\n\nhunter2\n", 3),
            ("[default]\n = hunter2\n", 2),
            ("[default]\na=1\na=2\n", 3),
            ("[default]\n[default]\n", 2),
            ("[default]\ns3 =\n  hunter2\n", 2),
        ] {
            let error = parse(text).err().unwrap().to_string();
            assert!(
                error.starts_with(&format!("/home/me/.aws/config:{line}: ")),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    /// Pieces of which such files are made, and some that have no business there.
    const PIECES: &str = "([\\[\\]=:#; \t\r\na-c\"'\\\\é\\x00]|profile |default|s3 =\n)*";

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_fall_over(text in PIECES) {
            drop(parse(&text));
        }
    }
}
