//! Connection strings, service files and passfiles: the words in which a connection is described.
//!
//! Parsing is pure: text in, [`Settings`] out. What the words mean together, with the environment
//! and the defaults, is decided in [`crate::config`]. No error repeats what may be a secret.

pub mod keyword;
mod pairs;
pub mod passfile;
pub mod service;
mod settings;
mod uri;

pub use settings::{BadConninfo, Settings, Source};

/// Parses a connection string: keyword/value pairs, or a URI that starts with `postgresql://` or
/// `postgres://`.
pub fn parse(text: &str) -> Result<Settings, BadConninfo> {
    match uri::without_scheme(text) {
        Some(rest) => uri::parse(rest),
        None => pairs::parse(text),
    }
}

/// Whether a database name is in fact a connection string, by libpq's rule: it contains `=` or
/// starts as a URI.
pub fn is_conninfo(dbname: &str) -> bool {
    dbname.contains('=') || uri::without_scheme(dbname).is_some()
}

/// The first keyword of a connection string whose value should be seen by nobody.
pub fn secret_in(text: &str) -> Option<&'static str> {
    let settings = parse(text).ok()?;
    let mut names = settings.values.iter();
    let found = names.find(|(name, it)| keyword::is_secret(name) && !it.value.is_empty());
    found.map(|(name, _)| *name)
}

#[cfg(test)]
mod tests;
