//! The service file (`~/.pg_service.conf`): sections of connection keywords.
//!
//! Parsing only; which files are read, and in which order, is [`crate::config`]'s part. No blanks
//! may surround `=`, values are taken as they are up to the line's end. Source: PostgreSQL manual,
//! "The Connection Service File".

use super::keyword::{self, Keyword};

/// A service file that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadServiceFile {
    /// A line of the section is not `keyword=value`.
    #[error("line {0} is not of the form keyword=value")]
    Syntax(usize),
    /// A line of the section names a keyword that libpq does not know.
    #[error("line {0} names an unknown connection keyword")]
    UnknownKeyword(usize),
    /// A service may not name another service.
    #[error("line {0} names another service, which is not possible")]
    Nested(usize),
    /// LDAP look-ups need an LDAP library.
    #[error("line {0} asks for an LDAP look-up, which is not supported")]
    Ldap(usize),
}

/// The settings of one section in their order, or nothing when the file has no such section.
///
/// Only this section is checked. A keyword that occurs twice is returned twice; the first counts.
pub fn find_service<'a>(
    text: &'a str,
    name: &str,
) -> Result<Option<Vec<(&'static Keyword, &'a str)>>, BadServiceFile> {
    let mut found: Option<Vec<_>> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if header
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(']'))
            {
                found = Some(Vec::new());
            }
        } else if let Some(settings) = &mut found {
            settings.push(parse_line(line, index + 1)?);
        }
    }
    Ok(found)
}

fn parse_line(line: &str, number: usize) -> Result<(&'static Keyword, &str), BadServiceFile> {
    if line.starts_with("ldap") && !line.contains('=') || line.starts_with("ldap://") {
        return Err(BadServiceFile::Ldap(number));
    }
    let (name, value) = line.split_once('=').ok_or(BadServiceFile::Syntax(number))?;
    if matches!(name, "service" | "servicefile") {
        return Err(BadServiceFile::Nested(number));
    }
    let keyword = keyword::find(name).ok_or(BadServiceFile::UnknownKeyword(number))?;
    Ok((keyword, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# two services\n[first]\n  host=db\nport=6432\n\n[second]\nhost=a=b \n";

    fn section(name: &str) -> Option<Vec<(&'static str, String)>> {
        let found = find_service(FILE, name).unwrap()?;
        Some(
            found
                .iter()
                .map(|(keyword, value)| (keyword.name, (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn only_the_named_section_is_read() {
        assert_eq!(
            section("first"),
            Some(vec![("host", "db".to_owned()), ("port", "6432".to_owned())])
        );
        assert_eq!(section("second"), Some(vec![("host", "a=b".to_owned())]));
        assert_eq!(section("fir"), None);
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        let table = [
            ("[s]\nhost db", BadServiceFile::Syntax(2)),
            ("[s]\n\nhost =db", BadServiceFile::UnknownKeyword(3)),
            ("[s]\nservice=t", BadServiceFile::Nested(2)),
            ("[s]\nldap://h/dc=x?y?one?z", BadServiceFile::Ldap(2)),
        ];
        for (text, expected) in table {
            assert_eq!(find_service(text, "s"), Err(expected), "{text:?}");
        }
    }
}
