//! Tags that travel with uploaded objects: their two spellings, and what every store accepts.
//!
//! `--tag KEY,VALUE` is strict; the older `--tags` reads a row of CSV and takes every letter. Both
//! are judged before anything is uploaded: Barman leaves most of `--tags` to the store. What a
//! provider makes of a set is its own business: the set travels as `object_store` has it.

use object_store::TagSet;

/// AWS, "Categorizing your storage using tags".
const MAX_TAGS: usize = 10;
/// The same page.
const MAX_KEY: usize = 128;
/// The same page.
const MAX_VALUE: usize = 256;

/// One tag, within the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    key: String,
    value: String,
}

/// A tag that no store would take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTag {
    #[error("invalid tag {word}: it must be KEY,VALUE")]
    Form { word: String },
    #[error("invalid tag {word}: {cause}")]
    Content { word: String, cause: &'static str },
    #[error("{count} tags are too many: an object can have 10")]
    TooMany { count: usize },
    #[error("tag key {key} is given twice")]
    Twice { key: String },
}

/// Which letters a tag may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letters {
    Ascii,
    Any,
}

impl Tag {
    /// Reads the word after `--tag` or `--history-tag`; spaces around key and value do not count.
    ///
    /// # Errors
    /// When there is not one comma, or a part breaks a rule.
    pub fn parse(word: &str) -> Result<Tag, BadTag> {
        let mut fields = word.split(',');
        match (fields.next(), fields.next(), fields.next()) {
            (Some(key), Some(value), None) => {
                Tag::check(word, [key.trim(), value.trim()], Letters::Ascii)
            }
            _ => Err(BadTag::Form { word: word.into() }),
        }
    }

    /// Reads a word after `--tags` or `--history-tags`: a row of CSV with two fields, where quotes
    /// go around a field and are doubled inside one.
    ///
    /// # Errors
    /// When the row has not two fields, or a part breaks a rule.
    pub fn parse_row(word: &str) -> Result<Tag, BadTag> {
        match &csv_fields(word)[..] {
            [key, value] => Tag::check(word, [key, value], Letters::Any),
            _ => Err(BadTag::Form { word: word.into() }),
        }
    }

    fn check(word: &str, [key, value]: [&str; 2], letters: Letters) -> Result<Tag, BadTag> {
        let bad = |cause| BadTag::Content {
            word: word.into(),
            cause,
        };
        let allowed = |c: char| {
            let letter = match letters {
                Letters::Ascii => c.is_ascii_alphanumeric(),
                Letters::Any => c.is_alphanumeric(),
            };
            letter || " _.:/=+-@".contains(c)
        };
        if key.is_empty() || key.chars().count() > MAX_KEY {
            return Err(bad("the key must have 1 to 128 characters"));
        }
        if value.chars().count() > MAX_VALUE {
            return Err(bad("the value may have at most 256 characters"));
        }
        if !key.chars().chain(value.chars()).all(allowed) {
            return Err(bad(
                "only letters, digits, spaces and _ . : / = + - @ may be in it",
            ));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(bad("keys that begin with aws: are reserved"));
        }
        Ok(Tag {
            key: key.into(),
            value: value.into(),
        })
    }
}

/// The set that one object gets.
///
/// # Errors
/// When there are more than ten tags, or a key comes twice.
pub fn tag_set(tags: &[Tag]) -> Result<TagSet, BadTag> {
    if tags.len() > MAX_TAGS {
        return Err(BadTag::TooMany { count: tags.len() });
    }
    let mut set = TagSet::default();
    for (position, tag) in tags.iter().enumerate() {
        if tags[..position].iter().any(|other| other.key == tag.key) {
            let key = tag.key.clone();
            return Err(BadTag::Twice { key });
        }
        set.push(&tag.key, &tag.value);
    }
    Ok(set)
}

fn csv_fields(row: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = row.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        let field = fields.last_mut().expect("there is always one");
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            letter => field.push(letter),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    // What Barman 3.20.1 sends as x-amz-tagging, seen through a recording proxy.
    #[test]
    fn both_spellings_give_the_header_that_barman_sends() {
        let strict = [Tag::parse("a b,c d").unwrap(), Tag::parse(" x , ").unwrap()];
        assert_eq!(tag_set(&strict).unwrap().encoded(), "a+b=c+d&x=");
        let rows = ["k,v", "k2,v=2/:+-@é"].map(|row| Tag::parse_row(row).unwrap());
        let expected = "k=v&k2=v%3D2%2F%3A%2B-%40%C3%A9";
        assert_eq!(tag_set(&rows).unwrap().encoded(), expected);
        assert_eq!(tag_set(&[]).unwrap().encoded(), "");
    }

    #[test]
    fn a_row_is_read_as_csv() {
        assert_eq!(csv_fields(r#""k,1",v"#), ["k,1", "v"]);
        assert_eq!(csv_fields(r#""say ""no""",v"w"#), [r#"say "no""#, r#"v"w"#]);
        let quoted = Tag::parse_row(r#""k","v""#).unwrap();
        assert_eq!(quoted, Tag::parse("k,v").unwrap());
    }

    #[test]
    fn what_breaks_a_rule_is_refused_with_the_rule() {
        let long = format!("k,{}", "v".repeat(257));
        let wide = format!("{},v", "k".repeat(129));
        for (word, rule) in [
            ("k", "KEY,VALUE"),
            ("a,b,c", "KEY,VALUE"),
            ("", "KEY,VALUE"),
            (",v", "1 to 128"),
            (&wide, "1 to 128"),
            (&long, "at most 256"),
            ("k!,v", "only letters"),
            ("AWS:k,v", "reserved"),
        ] {
            for refused in [Tag::parse(word), Tag::parse_row(word)] {
                let error = refused.unwrap_err().to_string();
                assert!(error.contains(rule), "{word}: {error}");
            }
        }
        assert!(Tag::parse("größe,v").is_err());
        assert!(Tag::parse_row("größe,v").is_ok());
        assert!(Tag::parse(&format!("{},{}", "k".repeat(128), "v".repeat(256))).is_ok());
    }

    #[test]
    fn a_set_has_at_most_ten_tags_with_keys_of_their_own() {
        let tags: Vec<Tag> = (0..11)
            .map(|n| Tag::parse(&format!("k{n},v")).unwrap())
            .collect();
        assert!(tag_set(&tags[..10]).is_ok());
        assert_eq!(tag_set(&tags), Err(BadTag::TooMany { count: 11 }));
        let twice = [Tag::parse("k,v").unwrap(), Tag::parse("k,w").unwrap()];
        assert!(matches!(tag_set(&twice), Err(BadTag::Twice { .. })));
    }
}
