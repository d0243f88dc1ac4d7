//! Keys that the storage trait's paths cannot hold as they are: those with nothing between two
//! slashes, as Barman makes them of `s3://bucket/path//`.
//!
//! In a path such a part is a character that no text has (a Unicode noncharacter, meant for use
//! within a program), which the clouds' wires take out again. Always true: a key survives the way
//! into a path and back; what no request could name, a part `.` or `..` or a control character, is
//! no key of ours, and is told apart from all that are.

use std::borrow::Cow;

use object_store::path::{Error, Path};

/// Stands for nothing at the beginning of a part; doubled, for itself.
const MARK: char = '\u{FDD0}';
/// The same in the path of an address.
const MARK_IN_ADDRESS: &str = "%EF%B7%90";

/// A key as a path.
///
/// # Errors
/// When the key has a part `.` or `..`, or a control character.
pub fn to_path(key: &str) -> Result<Path, Error> {
    Path::parse(marked(key).as_ref())
}

fn marked(key: &str) -> Cow<'_, str> {
    let is_plain = |part: &str| !part.is_empty() && !part.starts_with(MARK);
    if key.is_empty() || key.split('/').all(is_plain) {
        return Cow::Borrowed(key);
    }
    let parts = key.split('/').map(|part| {
        if is_plain(part) {
            Cow::Borrowed(part)
        } else {
            Cow::Owned(format!("{MARK}{part}"))
        }
    });
    Cow::Owned(parts.collect::<Vec<_>>().join("/"))
}

/// The key of a path; `None` for what no request could name.
pub fn of_path(path: &Path) -> Option<Cow<'_, str>> {
    let text = path.as_ref();
    if !text.contains(MARK) {
        return Some(Cow::Borrowed(text));
    }
    let parts = text.split('/').map(|part| match part.strip_prefix(MARK) {
        None => Some(part),
        Some(rest) if rest.is_empty() || rest.starts_with(MARK) => Some(rest),
        Some(_) => None,
    });
    let parts: Option<Vec<&str>> = parts.collect();
    Some(Cow::Owned(parts?.join("/")))
}

/// The path of what no request could name, for people: as the store listed it, but for letters that
/// would move a cursor.
pub fn for_people(path: &Path) -> String {
    let unmarked = |part: &'_ str| match part.strip_prefix(MARK) {
        // Such a part has a dot of its own in front, lest it be taken for a key's.
        Some(rest) => rest.strip_prefix('.').unwrap_or(rest).to_owned(),
        None => part.to_owned(),
    };
    let parts: Vec<String> = path.as_ref().split('/').map(unmarked).collect();
    parts.join("/")
}

/// Whether the path tells its key in this way: where a key does not travel in an address, such a
/// path cannot be used.
pub fn is_marked(path: &Path) -> bool {
    path.as_ref().contains(MARK)
}

/// A key that a store lists, as a listing may have it whose keys become paths: whatever it is.
pub fn for_listing(key: &str) -> Cow<'_, str> {
    let is_unnameable =
        |part: &str| part == "." || part == ".." || part.contains(|c: char| c.is_ascii_control());
    if !key.split('/').any(is_unnameable) {
        return marked(key);
    }
    let clean = key.replace(|c: char| c.is_ascii_control(), "?");
    let parts = clean.split('/').map(|part| match part {
        "" => MARK.to_string(),
        _ => format!("{MARK}.{part}"),
    });
    Cow::Owned(parts.collect::<Vec<_>>().join("/"))
}

/// The path of an address as the store is to get it; `None` if it is so already.
pub fn in_address(path: &str) -> Option<String> {
    if !path.contains(MARK_IN_ADDRESS) {
        return None;
    }
    let parts = path
        .split('/')
        .map(|part| match part.strip_prefix(MARK_IN_ADDRESS) {
            Some(rest) if rest.is_empty() || rest.starts_with(MARK_IN_ADDRESS) => rest,
            _ => part,
        });
    Some(parts.collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_the_way_into_a_path_and_back() {
        for key in [
            "a/b",
            "a//b",
            "/a",
            "a/",
            "p///srv/base/20261121T081044/backup.info",
            "//",
            "größe %20/x",
            "a/\u{FDD0}/b",
            "a/\u{FDD0}\u{FDD0}x//b",
        ] {
            let path = to_path(key).unwrap();
            assert_eq!(of_path(&path).as_deref(), Some(key));
            let listed = for_listing(key);
            assert_eq!(Path::parse(listed.as_ref()).unwrap(), path, "{key}");
        }
        assert_eq!(to_path("a/b").unwrap().as_ref(), "a/b");
    }

    #[test]
    fn what_no_request_could_name_is_no_key_and_stops_no_listing() {
        for key in ["a/./b", "..", "a/../b", "a\nb/c", "a//../b", "."] {
            assert!(to_path(key).is_err(), "{key}");
            let path = Path::parse(for_listing(key).as_ref()).unwrap();
            assert_eq!(of_path(&path), None, "{key}");
            assert_eq!(for_people(&path), key.replace('\n', "?"), "{key}");
        }
    }

    #[test]
    fn an_address_gets_the_key_as_it_is() {
        assert_eq!(in_address("/bucket/a/b"), None);
        let marked = "/bucket/p/%EF%B7%90/%EF%B7%90/srv/wals";
        assert_eq!(in_address(marked).as_deref(), Some("/bucket/p///srv/wals"));
        let own = "/b/%EF%B7%90%EF%B7%90x/%EF%B7%90";
        assert_eq!(in_address(own).as_deref(), Some("/b/%EF%B7%90x/"));
    }
}
