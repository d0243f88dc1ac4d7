//! The backups of one server, read whole and asked in memory.
//!
//! The engine fills it, from a bucket or a directory; every question about which backups there are
//! is answered here. Always true: entries are in the order of their ids, oldest first, and a
//! backup whose record cannot be read is still there: it must be shown, and nothing may be deleted
//! as if it did not exist.

use std::collections::BTreeMap;

use crate::backup::id::BackupId;
use crate::backup::{BackupInfo, BackupStatus, order};

pub use crate::backup::reference::BackupRef;

/// The backups of one server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    entries: BTreeMap<BackupId, Entry>,
}

/// One backup of a catalogue.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Its record.
    Readable(Box<BackupInfo>),
    /// There is a record, but it could not be fetched or parsed.
    Unreadable {
        /// Why, for a message.
        reason: String,
    },
}

/// Why a reference leads to no backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// No backup has this id.
    #[error("backup {id} does not exist")]
    UnknownId {
        /// The id.
        id: BackupId,
    },
    /// No backup that can be read has this name.
    #[error("no backup is named {name:?}")]
    UnknownName {
        /// The name.
        name: String,
    },
    /// Several backups have this name; their ids tell them apart.
    #[error("several backups are named {name:?}: {}", list(ids))]
    AmbiguousName {
        /// The name.
        name: String,
        /// Who has it, oldest first.
        ids: Vec<BackupId>,
    },
    /// The backup is there, but its record is not readable.
    #[error("the record of backup {id} cannot be read: {reason}")]
    Unreadable {
        /// The id.
        id: BackupId,
        /// Why.
        reason: String,
    },
    /// A shortcut that no backup answers to.
    #[error("`{reference}` means no backup: {}", none_such(reference))]
    NoneSuch {
        /// The shortcut.
        reference: BackupRef,
    },
    /// `auto` without a recovery target.
    #[error("`auto` means a backup only when restoring")]
    AutoNeedsTarget,
}

fn none_such(reference: &BackupRef) -> &'static str {
    match reference {
        BackupRef::LastFailed => "none has failed",
        _ => "none is complete",
    }
}

fn list(ids: &[BackupId]) -> String {
    let texts: Vec<&str> = ids.iter().map(BackupId::as_str).collect();
    texts.join(", ")
}

impl Catalogue {
    /// A catalogue without backups.
    pub fn new() -> Catalogue {
        Catalogue::default()
    }

    /// Adds a backup; an entry of the same id is replaced.
    pub fn insert(&mut self, id: BackupId, entry: Entry) {
        self.entries.insert(id, entry);
    }

    /// Takes a backup out.
    pub fn remove(&mut self, id: &BackupId) {
        self.entries.remove(id);
    }

    /// Every backup, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&BackupId, &Entry)> {
        self.entries.iter()
    }

    /// The backups whose record can be read, oldest first.
    pub fn readable(&self) -> impl DoubleEndedIterator<Item = (&BackupId, &BackupInfo)> {
        self.iter().filter_map(|(id, entry)| match entry {
            Entry::Readable(info) => Some((id, info.as_ref())),
            Entry::Unreadable { .. } => None,
        })
    }

    /// The backups whose record can be read, in the order in which they happened.
    pub fn in_order(&self) -> Vec<(&BackupId, &BackupInfo)> {
        let mut found: Vec<_> = self.readable().collect();
        order::sort(&mut found);
        found
    }

    /// The backups that can be restored as far as their records say, in the order in which they
    /// ended.
    pub fn by_end(&self) -> Vec<(&BackupId, &BackupInfo)> {
        let copied = |(_, info): &(&BackupId, &BackupInfo)| info.status.is_copied();
        let mut found: Vec<_> = self.readable().filter(copied).collect();
        order::sort(&mut found);
        found
    }

    /// The complete backups in the order in which they ended; those that wait for WAL where there
    /// is no complete one.
    fn best_by_end(&self) -> Vec<(&BackupId, &BackupInfo)> {
        let all = self.by_end();
        let done = |(_, info): &(&BackupId, &BackupInfo)| info.status == BackupStatus::Done;
        if all.iter().any(done) {
            all.into_iter().filter(done).collect()
        } else {
            all
        }
    }

    /// The backups whose record cannot be read, and why, oldest first.
    pub fn unreadable(&self) -> impl DoubleEndedIterator<Item = (&BackupId, &str)> {
        self.iter().filter_map(|(id, entry)| match entry {
            Entry::Readable(_) => None,
            Entry::Unreadable { reason } => Some((id, reason.as_str())),
        })
    }

    /// The entry of a backup.
    pub fn get(&self, id: &BackupId) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// How many backups there are, readable or not.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no backup at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The backup that is meant.
    ///
    /// `latest`, `oldest` and `latest-full` consider backups that are DONE, in the order in which
    /// they ended; only where there is none, those that are WAITING_FOR_WALS.
    /// (Barman's cloud commands take for the latest whatever is not STARTED, even a failed one.)
    /// A name is looked for in backups of every status. A shortcut passes unreadable records over,
    /// which could make a worse choice: show [`Catalogue::unreadable`] beside the result.
    pub fn resolve(&self, reference: &BackupRef) -> Result<(&BackupId, &BackupInfo), ResolveError> {
        let mut by_end = self.best_by_end().into_iter();
        let found = match reference {
            BackupRef::Id(id) => return self.with_id(id),
            BackupRef::Name(name) => return self.named(name),
            BackupRef::Auto => return Err(ResolveError::AutoNeedsTarget),
            BackupRef::Latest => by_end.next_back(),
            BackupRef::Oldest => by_end.next(),
            BackupRef::LastFailed => self
                .readable()
                .rev()
                .find(|(_, info)| info.status == BackupStatus::Failed),
            BackupRef::LatestFull => by_end.rfind(|(_, info)| info.parent_backup_id.is_none()),
        };
        found.ok_or_else(|| ResolveError::NoneSuch {
            reference: reference.clone(),
        })
    }

    fn with_id(&self, id: &BackupId) -> Result<(&BackupId, &BackupInfo), ResolveError> {
        match self.entries.get_key_value(id) {
            Some((id, Entry::Readable(info))) => Ok((id, info)),
            Some((id, Entry::Unreadable { reason })) => Err(ResolveError::Unreadable {
                id: *id,
                reason: reason.clone(),
            }),
            None => Err(ResolveError::UnknownId { id: *id }),
        }
    }

    fn named(&self, name: &str) -> Result<(&BackupId, &BackupInfo), ResolveError> {
        let mut found = self
            .readable()
            .filter(|(_, info)| info.backup_name.as_deref() == Some(name));
        let Some(first) = found.next() else {
            return Err(ResolveError::UnknownName {
                name: name.to_owned(),
            });
        };
        let others: Vec<BackupId> = found.map(|(id, _)| *id).collect();
        if others.is_empty() {
            return Ok(first);
        }
        Err(ResolveError::AmbiguousName {
            name: name.to_owned(),
            ids: std::iter::once(*first.0).chain(others).collect(),
        })
    }
}

impl FromIterator<(BackupId, Entry)> for Catalogue {
    fn from_iter<I: IntoIterator<Item = (BackupId, Entry)>>(entries: I) -> Catalogue {
        Catalogue {
            entries: entries.into_iter().collect(),
        }
    }
}

impl From<BackupInfo> for Entry {
    fn from(info: BackupInfo) -> Entry {
        Entry::Readable(Box::new(info))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(day: u32) -> BackupId {
        format!("202611{day:02}T000000").parse().unwrap()
    }

    fn info(status: BackupStatus) -> BackupInfo {
        BackupInfo {
            status,
            ..BackupInfo::default()
        }
    }

    fn named(status: BackupStatus, name: &str) -> BackupInfo {
        BackupInfo {
            backup_name: Some(name.to_owned()),
            ..info(status)
        }
    }

    /// One backup a day, of every kind.
    fn catalogue() -> Catalogue {
        let child = BackupInfo {
            parent_backup_id: Some(id(3)),
            ..info(BackupStatus::WaitingForWals)
        };
        let unreadable = Entry::Unreadable {
            reason: "line 1: unknown key \"x\"".to_owned(),
        };
        Catalogue::from_iter([
            (id(8), unreadable),
            (id(7), info(BackupStatus::Started).into()),
            (id(6), named(BackupStatus::Failed, "twice").into()),
            (id(5), info(BackupStatus::Empty).into()),
            (id(4), child.into()),
            (id(3), named(BackupStatus::Done, "twice").into()),
            (id(2), named(BackupStatus::Done, "once").into()),
            (id(1), info(BackupStatus::Failed).into()),
        ])
    }

    fn resolved(text: &str) -> Result<BackupId, ResolveError> {
        let Ok(reference) = text.parse();
        catalogue().resolve(&reference).map(|(id, _)| *id)
    }

    #[test]
    fn every_way_to_say_it_finds_its_backup() {
        let cases = [
            ("latest", 3),
            ("last", 3),
            ("oldest", 2),
            ("first", 2),
            ("last-failed", 6),
            ("latest-full", 3),
            ("once", 2),
            ("20261107T000000", 7),
        ];
        for (text, day) in cases {
            assert_eq!(resolved(text), Ok(id(day)), "{text}");
        }
    }

    #[test]
    fn where_none_is_complete_one_that_waits_is_meant() {
        let waiting = |day| (id(day), info(BackupStatus::WaitingForWals).into());
        let some = Catalogue::from_iter([waiting(1), waiting(2)]);
        assert_eq!(some.resolve(&BackupRef::Latest).unwrap().0, &id(2));
        assert_eq!(some.resolve(&BackupRef::Oldest).unwrap().0, &id(1));
    }

    #[test]
    fn a_part_of_a_shortcut_is_a_name() {
        let name = "fail".to_owned();
        assert_eq!(resolved("fail"), Err(ResolveError::UnknownName { name }));
    }

    #[test]
    fn two_backups_of_one_name_are_listed() {
        assert_eq!(
            resolved("twice").unwrap_err().to_string(),
            "several backups are named \"twice\": 20261103T000000, 20261106T000000"
        );
    }

    #[test]
    fn what_is_not_there_is_named() {
        let cases = [
            ("20261130T000000", "backup 20261130T000000 does not exist"),
            ("nobody", "no backup is named \"nobody\""),
            ("auto", "`auto` means a backup only when restoring"),
            (
                "20261108T000000",
                "the record of backup 20261108T000000 cannot be read: line 1: unknown key \"x\"",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(resolved(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn nothing_answers_to_a_shortcut_in_an_empty_catalogue() {
        let empty = Catalogue::new();
        assert!(empty.is_empty());
        for reference in [
            BackupRef::Latest,
            BackupRef::Oldest,
            BackupRef::LastFailed,
            BackupRef::LatestFull,
        ] {
            let error = empty.resolve(&reference).unwrap_err();
            assert_eq!(error, ResolveError::NoneSuch { reference });
        }
    }

    #[test]
    fn backups_come_oldest_first_readable_or_not() {
        let all = catalogue();
        let ids: Vec<BackupId> = all.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, (1..=8).map(id).collect::<Vec<_>>());
        assert_eq!(all.len(), 8);
        assert_eq!(all.readable().count(), 7);
        let (unreadable, reason) = all.unreadable().next().unwrap();
        assert_eq!((*unreadable, reason), (id(8), "line 1: unknown key \"x\""));
        assert!(matches!(all.get(&id(7)), Some(Entry::Readable(_))));
    }
}
