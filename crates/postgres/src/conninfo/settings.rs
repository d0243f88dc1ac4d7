//! Connection keywords with their values and where each was found.
//!
//! Always true: a keyword has one value at most, and a secret one is never shown.

use std::collections::BTreeMap;
use std::fmt;

use super::keyword::{self, Keyword, Support};

/// Where a setting was found; named in errors about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The connection string or an option of the command.
    Explicit,
    /// The service file's section of this name.
    Service(String),
    /// The environment variable of this name.
    Variable(&'static str),
}

/// One value with its origin.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) value: String,
    source: Source,
}

/// Connection keywords with their values, each at most once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings {
    pub(super) values: BTreeMap<&'static str, Setting>,
}

/// A connection string that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadConninfo {
    /// A keyword that libpq does not know either.
    #[error("unknown connection keyword \"{0}\"")]
    UnknownKeyword(String),
    /// An unknown word right after a secret, which may be a part of it and is not repeated.
    #[error("unknown connection keyword after the value of \"{after}\"; quote values with spaces")]
    UnknownKeywordAfterSecret {
        /// The keyword whose value came before.
        after: &'static str,
    },
    /// A word that no `=` follows.
    #[error("missing \"=\" after word {word} of the connection string")]
    MissingEquals {
        /// The number of the word, from 1.
        word: usize,
    },
    /// A quoted value without its closing quote.
    #[error("the quoted value of \"{0}\" has no closing quote")]
    UnterminatedQuote(String),
    /// A `%` without two hexadecimal digits, or one that stands for a zero byte or broken UTF-8.
    #[error("the {0} in the connection URI is not validly percent-encoded")]
    BadPercentEncoding(String),
    /// An IPv6 address without its bracket, empty, or followed by something else than a port.
    #[error("the IPv6 address in the connection URI is malformed")]
    BadIpv6,
    /// A query parameter without `=`, or with two.
    #[error("query parameter {0} of the connection URI is not of the form name=value")]
    BadParameter(usize),
}

impl Settings {
    /// The value of a keyword, which may be empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|setting| setting.value.as_str())
    }

    /// Sets a keyword, replacing what was there.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), BadConninfo> {
        let keyword = known(name)?;
        self.store(keyword, value.to_owned(), Source::Explicit);
        Ok(())
    }

    /// Sets a keyword unless it has a value, even an empty one: how a weaker source adds to a
    /// stronger one.
    pub(crate) fn add(&mut self, keyword: &'static Keyword, value: &str, source: Source) {
        if !self.values.contains_key(keyword.name) {
            self.store(keyword, value.to_owned(), source);
        }
    }

    /// The first setting that this crate cannot honour: keyword, value unless secret, origin.
    pub(crate) fn unsupported(&self) -> Option<(&'static str, Option<&str>, &Source)> {
        self.values.iter().find_map(|(name, setting)| {
            let refused = match keyword::find(name)?.support {
                Support::Honoured | Support::NoEffect => false,
                Support::Refused => !setting.value.is_empty(),
                Support::Only(values) => {
                    !setting.value.is_empty() && !values.contains(&setting.value.as_str())
                }
            };
            let shown = (!keyword::is_secret(name)).then_some(setting.value.as_str());
            refused.then_some((*name, shown, &setting.source))
        })
    }

    /// Sets a keyword, replacing what was there.
    pub(super) fn store(&mut self, keyword: &'static Keyword, value: String, source: Source) {
        self.values.insert(keyword.name, Setting { value, source });
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.values.iter().map(|(name, setting)| {
            let secret = keyword::is_secret(name);
            (
                name,
                if secret {
                    "(hidden)"
                } else {
                    setting.value.as_str()
                },
            )
        });
        f.debug_map().entries(shown).finish()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Explicit => f.write_str("the connection string"),
            Source::Service(name) => write!(f, "service \"{name}\""),
            Source::Variable(name) => write!(f, "the environment variable {name}"),
        }
    }
}

/// The keyword of this name.
///
/// # Errors
/// When libpq does not know it either.
pub(super) fn known(name: &str) -> Result<&'static Keyword, BadConninfo> {
    keyword::find(name).ok_or_else(|| BadConninfo::UnknownKeyword(name.to_owned()))
}
