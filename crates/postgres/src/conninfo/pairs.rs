//! The keyword/value form: `host=db dbname='my db' application_name = back\ up`.
//!
//! Blanks may surround `=`. A backslash takes the next character as it is; single quotes hold
//! blanks. A keyword given twice keeps its last value. Source: PostgreSQL manual, "Keyword/Value
//! Connection Strings"; corners checked against libpq, see the tests.

use super::keyword;
use super::settings::{BadConninfo, Settings, Source};

/// Parses a whole keyword/value string; an empty one has no settings.
pub(super) fn parse(text: &str) -> Result<Settings, BadConninfo> {
    let mut settings = Settings::default();
    let mut rest = text.trim_start_matches(is_space);
    let mut previous = None;
    let mut word = 0;
    while !rest.is_empty() {
        word += 1;
        let end = rest.find(|c| c == '=' || is_space(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let after = after.trim_start_matches(is_space);
        let after = after
            .strip_prefix('=')
            .ok_or(BadConninfo::MissingEquals { word })?;
        let (value, after) = take_value(name, after.trim_start_matches(is_space))?;
        let keyword = keyword::find(name).ok_or_else(|| unknown(name, previous))?;
        settings.store(keyword, value, Source::Explicit);
        previous = Some(keyword.name);
        rest = after.trim_start_matches(is_space);
    }
    Ok(settings)
}

/// Splits one value, unescaped, from what follows it.
fn take_value<'a>(name: &str, text: &'a str) -> Result<(String, &'a str), BadConninfo> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text[usize::from(quoted)..].char_indices();
    let offset = usize::from(quoted);
    while let Some((position, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, &text[offset + position + 1..])),
            blank if !quoted && is_space(blank) => return Ok((value, &text[position..])),
            other => value.push(other),
        }
    }
    if quoted {
        let shown = if keyword::find(name).is_some() {
            name
        } else {
            "a keyword"
        };
        return Err(BadConninfo::UnterminatedQuote(shown.to_owned()));
    }
    Ok((value, ""))
}

/// What C's `isspace` says in the C locale.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn unknown(name: &str, previous: Option<&'static str>) -> BadConninfo {
    match previous {
        Some(after) if keyword::is_secret(after) => {
            BadConninfo::UnknownKeywordAfterSecret { after }
        }
        _ => BadConninfo::UnknownKeyword(name.to_owned()),
    }
}
