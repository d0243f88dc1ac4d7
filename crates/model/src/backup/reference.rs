//! How people say which backup they mean: an id, a name, or a shortcut.
//!
//! Finding the backup that is meant is [`crate::backup::catalogue`]'s part. Always true: no name
//! that [`check_backup_name`] lets through can be mistaken for a shortcut or an id.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::backup::id::BackupId;

/// Which backup is meant. Every text means something: what is neither an id nor a shortcut is a
/// name.
///
/// Barman takes any part of the word `last-failed`, `fail` say, for that shortcut in its server
/// commands; here, as in its cloud commands, only the whole word counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BackupRef {
    /// The backup with this id.
    Id(BackupId),
    /// The backup with this name.
    Name(String),
    /// `latest`, `last`: the newest complete one.
    Latest,
    /// `oldest`, `first`: the oldest complete one.
    Oldest,
    /// `last-failed`: the newest one that failed.
    LastFailed,
    /// `latest-full`, `last-full`: the newest complete one that needs no other.
    LatestFull,
    /// `auto`: whichever suits a recovery target, see [`crate::restore::choose`].
    Auto,
}

/// The words that are shortcuts.
const SHORTCUTS: [(&str, BackupRef); 8] = [
    ("latest", BackupRef::Latest),
    ("last", BackupRef::Latest),
    ("oldest", BackupRef::Oldest),
    ("first", BackupRef::Oldest),
    ("last-failed", BackupRef::LastFailed),
    ("latest-full", BackupRef::LatestFull),
    ("last-full", BackupRef::LatestFull),
    ("auto", BackupRef::Auto),
];

impl FromStr for BackupRef {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<BackupRef, Infallible> {
        if let Ok(id) = text.parse() {
            return Ok(BackupRef::Id(id));
        }
        let shortcut = SHORTCUTS.into_iter().find(|(word, _)| *word == text);
        Ok(match shortcut {
            Some((_, meant)) => meant,
            None => BackupRef::Name(text.to_owned()),
        })
    }
}

impl fmt::Display for BackupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackupRef::Id(id) => id.fmt(f),
            BackupRef::Name(name) => f.write_str(name),
            BackupRef::Latest => f.write_str("latest"),
            BackupRef::Oldest => f.write_str("oldest"),
            BackupRef::LastFailed => f.write_str("last-failed"),
            BackupRef::LatestFull => f.write_str("latest-full"),
            BackupRef::Auto => f.write_str("auto"),
        }
    }
}

/// A text that cannot be a backup's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBackupName {
    /// Nothing.
    #[error("a backup name cannot be empty")]
    Empty,
    /// One of the shortcuts.
    #[error("backup name {name:?} is a reserved word")]
    Reserved {
        /// What was given.
        name: String,
    },
    /// It has the form of an id.
    #[error("backup name {name:?} has the form of a backup id")]
    LikeAnId {
        /// What was given.
        name: String,
    },
    /// `backup.info` would lose or change it: a space at an end, a line break, or `None`.
    #[error("backup name {name:?} cannot be kept in backup.info")]
    Unkeepable {
        /// What was given.
        name: String,
    },
}

/// Whether a backup may be given this name.
pub fn check_backup_name(name: &str) -> Result<(), BadBackupName> {
    let owned = || name.to_owned();
    let kept = name.trim() == name && !name.contains(char::is_control) && name != "None";
    let Ok(meant) = name.parse();
    match meant {
        _ if name.is_empty() => Err(BadBackupName::Empty),
        BackupRef::Id(_) => Err(BadBackupName::LikeAnId { name: owned() }),
        BackupRef::Name(_) if kept => Ok(()),
        BackupRef::Name(_) => Err(BadBackupName::Unkeepable { name: owned() }),
        _ => Err(BadBackupName::Reserved { name: owned() }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meant(text: &str) -> BackupRef {
        let Ok(reference) = text.parse();
        reference
    }

    #[test]
    fn shortcuts_ids_and_names_are_told_apart() {
        assert_eq!(meant("last"), BackupRef::Latest);
        assert_eq!(meant("first"), BackupRef::Oldest);
        assert_eq!(meant("last-full"), BackupRef::LatestFull);
        let id = "20261121T081044".parse().unwrap();
        assert_eq!(meant("20261121T081044"), BackupRef::Id(id));
        for name in ["fail", "-", "LATEST", "last-failed ", "20261121", ""] {
            assert_eq!(meant(name), BackupRef::Name(name.to_owned()));
        }
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        // barman-cloud-backup 3.20.1 refuses the first five; it would lose the rest.
        let names = [
            ("", "a backup name cannot be empty"),
            ("latest", "backup name \"latest\" is a reserved word"),
            ("auto", "backup name \"auto\" is a reserved word"),
            (
                "last-failed",
                "backup name \"last-failed\" is a reserved word",
            ),
            (
                "20261121T081044",
                "backup name \"20261121T081044\" has the form of a backup id",
            ),
            (" x", "backup name \" x\" cannot be kept in backup.info"),
            (
                "a\nb",
                "backup name \"a\\nb\" cannot be kept in backup.info",
            ),
            ("None", "backup name \"None\" cannot be kept in backup.info"),
        ];
        for (name, message) in names {
            assert_eq!(check_backup_name(name).unwrap_err().to_string(), message);
        }
        for name in ["before upgrade", "LATEST", "2026", "größe=☃", "first-full"] {
            assert_eq!(check_backup_name(name), Ok(()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_means_the_same(text in "\\PC{0,20}|[0-9]{8}T[0-9]{6}") {
            let reference = meant(&text);
            prop_assert_eq!(meant(&reference.to_string()), reference);
        }
    }

    #[test]
    fn every_shortcut_is_written_as_one_of_its_words() {
        for (_, shortcut) in SHORTCUTS {
            assert_eq!(meant(&shortcut.to_string()), shortcut);
        }
    }
}
