//! The dialect of `barman.conf`: what Python's `configparser` takes for an INI file.
//!
//! Names of options are written in any case; `=` or `:` ends them. A line that begins with `#` or
//! `;` is a comment, a line that is indented deeper than its option goes on with the value, and
//! blank lines between two such lines belong to it. Sections and options may come again: the last
//! one wins. Source: Python manual, "configparser, Supported INI File Structure".
//!
//! Always true: what cannot be read is told with its line, and the rest of the file is read.

/// One file as text, with the name that messages call it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigText {
    pub file: String,
    pub text: String,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePlace {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
}

impl std::fmt::Display for FilePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, line {}", self.file, self.line)
    }
}

/// A section with its options in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IniSection {
    pub name: String,
    pub place: FilePlace,
    pub entries: Vec<OptionLine>,
}

/// One option as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionLine {
    /// In lower case.
    pub key: String,
    /// Without the white space around it; the lines of a longer one are joined by newlines.
    pub value: String,
    pub place: FilePlace,
}

/// A line that is none of a section, an option and a comment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedLine {
    #[error("{0}: an option stands before the first [section]")]
    NoSection(FilePlace),
    #[error("{0}: expected OPTION = VALUE, [SECTION] or a comment")]
    NoOption(FilePlace),
}

/// What a file says, and the lines that say nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IniFile {
    pub sections: Vec<IniSection>,
    pub bad_lines: Vec<MalformedLine>,
}

/// Reads one file.
pub fn parse(config: &ConfigText) -> IniFile {
    let mut reader = IniReader {
        file: IniFile::default(),
        indent: 0,
        is_in_value: false,
    };
    // Editors of another system put a mark in front that nobody sees.
    let text = config.text.trim_start_matches('\u{feff}');
    for (number, line) in text.lines().enumerate() {
        let place = FilePlace {
            file: config.file.clone(),
            line: number + 1,
        };
        reader.take(line, place);
    }
    let mut file = reader.file;
    for section in &mut file.sections {
        for entry in &mut section.entries {
            entry.value.truncate(entry.value.trim_end().len());
        }
    }
    file
}

struct IniReader {
    file: IniFile,
    /// How far the last option or section is indented.
    indent: usize,
    is_in_value: bool,
}

impl IniReader {
    fn take(&mut self, line: &str, place: FilePlace) {
        let text = line.trim();
        if text.starts_with(['#', ';']) {
            return;
        }
        if text.is_empty() {
            if let Some(value) = self.open_value() {
                value.push('\n');
            }
            return;
        }
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        if indent > self.indent
            && let Some(value) = self.open_value()
        {
            value.push('\n');
            value.push_str(text);
            return;
        }
        self.indent = indent;
        self.is_in_value = false;
        if let Some(name) = section_name(text) {
            self.file.sections.push(IniSection {
                name: name.to_owned(),
                place,
                entries: Vec::new(),
            });
            return;
        }
        let option = text.split_once(['=', ':']);
        let option = option.map(|(key, value)| (key.trim(), value.trim()));
        let Some(section) = self.file.sections.last_mut() else {
            return self.file.bad_lines.push(MalformedLine::NoSection(place));
        };
        match option {
            Some((key, value)) if !key.is_empty() => {
                section.entries.push(OptionLine {
                    key: key.to_lowercase(),
                    value: value.to_owned(),
                    place,
                });
                self.is_in_value = true;
            }
            _ => self.file.bad_lines.push(MalformedLine::NoOption(place)),
        }
    }

    /// The value that an indented line goes on with.
    fn open_value(&mut self) -> Option<&mut String> {
        let section = self.file.sections.last_mut().filter(|_| self.is_in_value)?;
        section.entries.last_mut().map(|entry| &mut entry.value)
    }
}

/// `[name]`; what follows the last bracket is passed over.
fn section_name(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('[')?.rsplit_once(']')?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> IniFile {
        parse(&ConfigText {
            file: "barman.conf".to_owned(),
            text: text.to_owned(),
        })
    }

    /// Section, option and value.
    type Options = &'static [(&'static str, &'static str, &'static str)];

    fn values(text: &str) -> Vec<(String, String, String)> {
        let sections = read(text).sections;
        let of = |section: IniSection| {
            let name = section.name;
            let pair = move |entry: OptionLine| (name.clone(), entry.key, entry.value);
            section.entries.into_iter().map(pair).collect::<Vec<_>>()
        };
        sections.into_iter().flat_map(of).collect()
    }

    // The right side is what Python 3.12's configparser.ConfigParser(strict=False) gives with
    // `raw=True` for the left one.
    #[test]
    fn a_file_is_read_as_python_reads_it() {
        let table: [(&str, Options); 10] = [
            ("[a]\nk = v\n", &[("a", "k", "v")]),
            ("[a]\nK: v = w ; x\n", &[("a", "k", "v = w ; x")]),
            ("  [a]\n  k=v\n", &[("a", "k", "v")]),
            (
                "[a]\nk = 1\n  2\n\n  3\n\nj = 4\n",
                &[("a", "k", "1\n2\n\n3"), ("a", "j", "4")],
            ),
            ("[a]\nk = 1\n# c\n  2\n;c\n", &[("a", "k", "1\n2")]),
            ("[a] x\nk =\n", &[("a", "k", "")]),
            ("[a] ; b]\nk = v\n", &[("a] ; b", "k", "v")]),
            ("[a]\r\nk = \"v\"\r\n", &[("a", "k", "\"v\"")]),
            (
                "[a]\nk = v\n[b]\nk = w\n[a]\nk = x\n",
                &[("a", "k", "v"), ("b", "k", "w"), ("a", "k", "x")],
            ),
            ("[a]\nk =\n  1\n  2\n", &[("a", "k", "\n1\n2")]),
        ];
        for (text, expected) in table {
            let found = values(text);
            let found: Vec<_> = found
                .iter()
                .map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str()))
                .collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_that_says_nothing_is_told_with_its_number() {
        let file = read("x = 1\n[a]\nnonsense\nk = v\n= v\n");
        let place = |line| FilePlace {
            file: "barman.conf".to_owned(),
            line,
        };
        assert_eq!(
            file.bad_lines,
            [
                MalformedLine::NoSection(place(1)),
                MalformedLine::NoOption(place(3)),
                MalformedLine::NoOption(place(5)),
            ]
        );
        assert_eq!(values("x = 1\n[a]\nnonsense\nk = v\n= v\n").len(), 1);
        let said = file.bad_lines[1].to_string();
        assert!(said.starts_with("barman.conf, line 3: expected"), "{said}");
    }

    #[test]
    fn a_mark_of_byte_order_is_no_text() {
        assert_eq!(values("\u{feff}[a]\nk = v").len(), 1);
    }
}
