//! What the text of an option means: cleaned of its quotes, read by the option's kind.
//!
//! Always true: a text that is not understood is told with what would be.

use jiff::SignedDuration;

use super::options::OptionKind;
use crate::retention::Policy;

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// Nothing: never given, or given as `None` or as nothing at all.
    Unset,
    Text(String),
    Boolean(bool),
    Integer(i64),
    Bytes(u64),
    Length(SignedDuration),
    Words(Vec<String>),
    Policy(Policy),
}

/// A text that its option does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct BadValue {
    pub text: String,
    /// What would be right.
    pub expected: String,
}

/// Takes the quotes away, and what stands for nothing.
pub fn clean(text: &str) -> Option<&str> {
    let unquoted = ['"', '\''].into_iter().find_map(|quote| {
        let inside = text.strip_prefix(quote)?.strip_suffix(quote);
        // A single quote is both its own beginning and its end.
        inside.filter(|_| text.len() > 1)
    });
    let text = unquoted.unwrap_or(text);
    (!text.is_empty() && text != "None").then_some(text)
}

/// Reads the cleaned text of an option of this kind.
///
/// # Errors
/// When the option does not take it.
pub fn read(kind: OptionKind, text: &str) -> Result<OptionValue, BadValue> {
    let value = match kind {
        OptionKind::Text
        | OptionKind::Raw
        | OptionKind::Path
        | OptionKind::PathOrUrl
        | OptionKind::Conninfo => Some(OptionValue::Text(text.to_owned())),
        OptionKind::AbsolutePath => text
            .starts_with('/')
            .then(|| OptionValue::Text(text.to_owned())),
        OptionKind::Boolean => boolean(text),
        OptionKind::Integer(least, most) => {
            let number = text.parse::<i64>().ok();
            let number = number.filter(|number| (least..=most).contains(number));
            number.map(OptionValue::Integer)
        }
        OptionKind::Size => bytes(text).map(OptionValue::Bytes),
        OptionKind::Interval => interval(text).map(OptionValue::Length),
        OptionKind::Choice(words) => words
            .contains(&text)
            .then(|| OptionValue::Text(text.to_owned())),
        OptionKind::Set(words) => {
            let given = list(text);
            let is_known = given.iter().all(|word| words.contains(&word.as_str()));
            is_known.then_some(OptionValue::Words(given))
        }
        OptionKind::List => Some(OptionValue::Words(list(text))),
        OptionKind::SlotName => slot_name(text).map(OptionValue::Text),
        OptionKind::Level => match text {
            "low" | "medium" | "high" => Some(OptionValue::Text(text.to_owned())),
            _ => text.parse().ok().map(OptionValue::Integer),
        },
        OptionKind::Retention => text.parse().ok().map(OptionValue::Policy),
    };
    value.ok_or_else(|| BadValue {
        text: text.to_owned(),
        expected: kind.to_string(),
    })
}

fn boolean(text: &str) -> Option<OptionValue> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "1" | "on" => Some(OptionValue::Boolean(true)),
        "false" | "f" | "no" | "0" | "off" => Some(OptionValue::Boolean(false)),
        _ => None,
    }
}

/// Unlike sizes on command lines, these units mean what the standard says.
fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let factor: u64 = match unit.trim_start() {
        "" => 1,
        "k" => 1_000,
        "Ki" => 1 << 10,
        "M" => 1_000_000,
        "Mi" => 1 << 20,
        "G" => 1_000_000_000,
        "Gi" => 1 << 30,
        "T" => 1_000_000_000_000,
        "Ti" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// A month has 31 days.
fn interval(text: &str) -> Option<SignedDuration> {
    let mut words = text.split_whitespace();
    let (count, unit) = (words.next()?, words.next()?);
    let count: i64 = count.parse().ok().filter(|count| *count > 0)?;
    let unit = unit.to_ascii_lowercase();
    let hours = match unit.strip_suffix('s').unwrap_or(&unit) {
        "hour" => 1,
        "day" => 24,
        "week" => 7 * 24,
        "month" => 31 * 24,
        _ => return None,
    };
    let seconds = count.checked_mul(hours)?.checked_mul(3_600)?;
    words
        .next()
        .is_none()
        .then(|| SignedDuration::from_secs(seconds))
}

fn list(text: &str) -> Vec<String> {
    let words = text.split(',').map(str::trim);
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

fn slot_name(text: &str) -> Option<String> {
    let name = text.to_lowercase();
    let fits = |c: char| matches!(c, '0'..='9' | 'a'..='z' | '_');
    (!name.is_empty() && name.chars().all(fits)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use OptionValue::*;

    #[test]
    fn quotes_go_and_nothing_is_nothing() {
        for (text, expected) in [
            ("\"a b\"", Some("a b")),
            ("'a'", Some("a")),
            ("'a\"", Some("'a\"")),
            ("\"", Some("\"")),
            ("\"\"", None),
            ("None", None),
            ("", None),
            ("none", Some("none")),
        ] {
            assert_eq!(clean(text), expected, "{text}");
        }
    }

    #[test]
    fn a_value_is_what_its_kind_says() {
        let hours = |hours| Length(SignedDuration::from_hours(hours));
        let words = |list: &[&str]| Words(list.iter().map(|word| (*word).to_owned()).collect());
        let level = |word: &str| Text(word.to_owned());
        for (kind, text, expected) in [
            (OptionKind::Boolean, "On", Some(Boolean(true))),
            (OptionKind::Boolean, "F", Some(Boolean(false))),
            (OptionKind::Boolean, "maybe", None),
            (OptionKind::Integer(1, 72), "72", Some(Integer(72))),
            (OptionKind::Integer(1, 72), "73", None),
            (OptionKind::Integer(1, 72), "1.5", None),
            (OptionKind::Size, "100Gi", Some(Bytes(100 << 30))),
            (OptionKind::Size, "2k", Some(Bytes(2_000))),
            (OptionKind::Size, "2K", None),
            (OptionKind::Size, "99999999999Ti", None),
            (OptionKind::Interval, "1 WEEK", Some(hours(168))),
            (OptionKind::Interval, "2 months", Some(hours(2 * 31 * 24))),
            (OptionKind::Interval, "0 days", None),
            (OptionKind::Interval, "1 day ago", None),
            (
                OptionKind::Choice(&["gcp", "aws"]),
                "aws",
                Some(level("aws")),
            ),
            (OptionKind::Choice(&["gcp", "aws"]), "AWS", None),
            (
                OptionKind::Set(&["get-wal"]),
                "get-wal, ",
                Some(words(&["get-wal"])),
            ),
            (OptionKind::Set(&["get-wal"]), "put-wal", None),
            (OptionKind::List, "a, b ,c", Some(words(&["a", "b", "c"]))),
            (OptionKind::SlotName, "Barman_1", Some(level("barman_1"))),
            (OptionKind::SlotName, "a-b", None),
            (OptionKind::Level, "high", Some(level("high"))),
            (OptionKind::Level, "-3", Some(Integer(-3))),
            (OptionKind::AbsolutePath, "tmp", None),
            (
                OptionKind::Retention,
                "REDUNDANCY 2",
                Some(Policy(crate::retention::Policy::Redundancy(2))),
            ),
            (OptionKind::Retention, "two", None),
        ] {
            assert_eq!(read(kind, text).ok(), expected, "{kind:?} {text}");
        }
    }
}
