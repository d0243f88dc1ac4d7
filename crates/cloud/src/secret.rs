//! Keys, tokens and passwords on their way to a request, and what may go into one at all.
//!
//! Always true: neither the debug output nor an error shows a secret; and whatever becomes a header
//! was judged here where it was read, for the storage clients panic at one that is none.

use std::fmt;

use url::Url;

/// A secret: never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Secret(secret.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// No server takes a header as long as this; the longest tokens are a tenth of it.
const LONGEST: usize = 64 * 1024;

/// `text` without the line breaks that editors and `echo` leave around a secret in a file.
///
/// # Errors
/// When what is left cannot be a header's value, or a part of one: the reason, without the text.
pub(crate) fn for_header(text: &str) -> Result<&str, &'static str> {
    let text = for_signing(text)?;
    if text.is_ascii() {
        Ok(text)
    } else {
        Err("it has characters that are not ASCII")
    }
}

/// The same for what only signs a request and so may have any letters.
///
/// # Errors
/// When it cannot be meant: the reason, without the text.
pub(crate) fn for_signing(text: &str) -> Result<&str, &'static str> {
    let text = text.trim_matches(['\r', '\n']);
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() > LONGEST {
        return Err("it is longer than 64 KiB");
    }
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err("it is not UTF-8 text");
    }
    if text.chars().any(char::is_control) {
        Err("it has a line break or another control character in it")
    } else {
        Ok(text)
    }
}

/// No address of a service is as long as this; the storage clients panic at one of 64 KiB.
const LONGEST_ADDRESS: usize = 4096;

/// The address of a service, as every layer below takes it.
///
/// # Errors
/// When it is none: the reason, without the text.
pub(crate) fn for_address(text: &str) -> Result<Url, &'static str> {
    if text.len() > LONGEST_ADDRESS {
        return Err("it is longer than 4096 characters");
    }
    let url = Url::parse(text).map_err(|_| "it is not a URL; write http:// or https://")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("it must begin with http:// or https://");
    }
    match url.as_str().parse::<http::Uri>() {
        Ok(_) => Ok(url),
        Err(_) => Err("it is not the address of a service"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_header_is_taken_and_line_breaks_around_it_do_not_count() {
        for (text, taken) in [
            ("AKIA", Ok("AKIA")),
            ("\r\nAKIA\r\n\n", Ok("AKIA")),
            ("a b", Ok("a b")),
            ("", Err("empty")),
            ("\n", Err("empty")),
            ("a\nb", Err("line break")),
            ("a\0b", Err("control")),
            ("a\u{7f}", Err("control")),
            ("é", Err("ASCII")),
            ("a\u{fffd}", Err("UTF-8")),
            (&"x".repeat(LONGEST + 1), Err("64 KiB")),
        ] {
            match (for_header(text), taken) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(cause), Err(word)) => assert!(cause.contains(word), "{cause}"),
                (found, _) => panic!("{text:?}: {found:?}"),
            }
        }
        assert_eq!(for_signing("é"), Ok("é"));
        assert!(for_signing("a\nb").is_err());
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_taken_can_be_a_header(text in "\\PC*|[\\x00-\\xff]*") {
            if let Ok(taken) = for_header(&text) {
                assert!(http::HeaderValue::from_str(taken).is_ok());
            }
        }
    }
}
