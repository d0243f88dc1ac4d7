//! `backup.info`: the small text file that makes a backup a backup.
//!
//! One `key=value` per line, sorted by key, as `docs/formats/backup-info.md` describes. [`parse`]
//! and [`render`] are inverse: what Barman wrote is rendered byte for byte. Writing the file
//! durably, and last, is the engine's part. Always true: no key is written that Barman does not
//! know, because Barman refuses the whole catalogue then.

mod keys;

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use crate::backup::BackupInfo;

use keys::{Absent, KEYS};

/// Text that is no `backup.info`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {cause}")]
pub struct BadBackupInfo {
    /// Where, from 1.
    pub line: usize,
    /// What is wrong there.
    pub cause: BadLine,
}

/// What is wrong with a line of a `backup.info`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// Neither `key=value` nor a comment nor blank.
    #[error("no `=` between a key and a value")]
    NoEquals,
    /// A key nobody here knows: written by a newer program, whose meaning must not be guessed.
    #[error("unknown key {key:?}")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// The same key twice.
    #[error("key {key:?} was already given")]
    Repeated {
        /// The key.
        key: String,
    },
    /// A value that is not of its key's form.
    #[error("{key}: {cause}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong with the value, quoting it.
        cause: String,
    },
}

/// Every key, in the order of the file.
pub fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// Reads a `backup.info`.
///
/// Keys may come in any order and may be missing; blank lines and lines beginning with `#` are
/// skipped. A time without an offset (none of Barman's own) is a wall-clock time in `zone`.
pub fn parse(text: &str, zone: &TimeZone) -> Result<BackupInfo, BadBackupInfo> {
    let mut info = BackupInfo::default();
    let mut seen = BTreeSet::new();
    for (place, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = read_line(&mut info, line, zone).and_then(|name| {
            if seen.insert(name) {
                Ok(())
            } else {
                let key = name.to_owned();
                Err(BadLine::Repeated { key })
            }
        });
        name.map_err(|cause| BadBackupInfo {
            line: place + 1,
            cause,
        })?;
    }
    Ok(info)
}

/// Puts one line's value into the record; gives back its key.
fn read_line(info: &mut BackupInfo, line: &str, zone: &TimeZone) -> Result<&'static str, BadLine> {
    let (name, value) = line.split_once('=').ok_or(BadLine::NoEquals)?;
    let (name, value) = (name.trim_end(), value.trim_start());
    let Some(key) = KEYS.iter().find(|key| key.name == name) else {
        let key = name.to_owned();
        return Err(BadLine::UnknownKey { key });
    };
    if value != "None" {
        (key.read)(info, value, zone).map_err(|cause| BadLine::Value {
            key: name.to_owned(),
            cause,
        })?;
    }
    Ok(key.name)
}

/// The text of a `backup.info`, every line ended.
///
/// A line break within a text, such as an error's, becomes a space: the format has no place for
/// it. A text cannot begin or end with a space or be `None`.
pub fn render(info: &BackupInfo) -> String {
    let mut text = String::new();
    for key in &KEYS {
        let value = match (key.write)(info) {
            Some(value) => value,
            None if key.absent == Absent::LeftOut => continue,
            None => "None".to_owned(),
        };
        text.push_str(key.name);
        text.push('=');
        text.push_str(&value);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
