//! `postgresql.conf`, as far as a restore must know it: which settings and includes it has.
//!
//! The grammar is PostgreSQL's (manual, "Parameter Interaction via the Configuration File"): a
//! name, an optional `=`, a value, bare or in single quotes, and `#` for comments. What a setting
//! means is not known here. Always true: whatever stands in a line that cannot be read, the others
//! are.

/// A line that sets or includes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Counted from 1.
    pub line: usize,
    /// In lower case: PostgreSQL takes names in any.
    pub name: String,
    pub value: String,
}

/// The directives of a file, in order. Of two for one setting the last counts.
pub fn parse(text: &str) -> Vec<Directive> {
    let numbered = text.lines().enumerate();
    let directive = |(index, line): (usize, &str)| {
        let (name, value) = parse_line(line)?;
        Some(Directive {
            line: index + 1,
            name,
            value,
        })
    };
    numbered.filter_map(directive).collect()
}

/// The value of a setting, if the file sets it.
pub fn value_of<'a>(directives: &'a [Directive], name: &str) -> Option<&'a str> {
    let mut of_name = directives.iter().rev();
    let found = of_name.find(|directive| directive.name == name)?;
    Some(&found.value)
}

fn parse_line(line: &str) -> Option<(String, String)> {
    let line = line.trim_start();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
    let end = line.find(|c| !is_name(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return None;
    }
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let value = match rest.strip_prefix('\'') {
        Some(quoted) => unquote(quoted)?,
        None => {
            let end = rest.find(|c: char| c.is_whitespace() || c == '#');
            rest[..end.unwrap_or(rest.len())].to_owned()
        }
    };
    let is_empty = value.is_empty() && !rest.starts_with('\'');
    (!is_empty).then(|| (name.to_ascii_lowercase(), value))
}

/// What stands before the closing quote; a quote in it is doubled or has a backslash before it.
fn unquote(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut chars = text.chars().peekable();
    loop {
        match chars.next()? {
            '\'' if chars.peek() == Some(&'\'') => value.extend(chars.next()),
            '\'' => return Some(value),
            '\\' => value.push(chars.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_values_quotes_and_comments_are_told_apart() {
        let text = "# port = 1\nport = 5433\t# (change requires restart)\n\
                    Data_Directory='/var/lib/it''s'\n  include_dir 'conf.d'\nnonsense\n= 3\n\
                    work_mem 4MB#x\nexternal_pid_file = ''\nunfinished = 'abc\n\
                    my.setting = a\nport = 5434";
        let found = parse(text);
        let all: Vec<_> = found
            .iter()
            .map(|found| (found.line, found.name.as_str(), found.value.as_str()))
            .collect();
        let expected = [
            (2, "port", "5433"),
            (3, "data_directory", "/var/lib/it's"),
            (4, "include_dir", "conf.d"),
            (7, "work_mem", "4MB"),
            (8, "external_pid_file", ""),
            (10, "my.setting", "a"),
            (11, "port", "5434"),
        ];
        assert_eq!(all, expected);
        assert_eq!(value_of(&found, "port"), Some("5434"));
        assert_eq!(value_of(&found, "ssl"), None);
    }
}
