//! A backup that waits for its WAL: whether it is complete now, or never will be.
//!
//! PostgreSQL archives in order, so WAL that is missing while later WAL of the same timeline has
//! been there for long does not come by itself any more. It may be brought by hand; so a backup
//! that was given up like this is looked at again, and becomes DONE after all. Always true: a
//! backup is given up only by a clear margin of time: archivers may overtake each other.

use jiff::{SignedDuration, Timestamp};

use crate::backup::{BackupInfo, BackupStatus};
use crate::wal::name::SegmentName;
use crate::wal::span::MissingWal;

/// How the error of a record begins whose WAL never came.
pub const LOST: &str = "its WAL did not come: ";

/// So long after the end of a backup, later WAL tells that what is missing was passed over.
const MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// WAL that is in the archive, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredWal {
    pub name: SegmentName,
    pub since: Timestamp,
}

/// Whether a look at the archive may change what the record says.
pub fn is_unsettled(info: &BackupInfo) -> bool {
    match info.status {
        BackupStatus::WaitingForWals => true,
        BackupStatus::Failed => is_given_up(info),
        _ => false,
    }
}

/// Whether the record was given up because its WAL did not come.
fn is_given_up(info: &BackupInfo) -> bool {
    let error = info.error.as_deref();
    error.is_some_and(|error| error.starts_with(LOST))
}

/// Whether this WAL tells that the missing segment was passed over.
pub fn passes(stored: &StoredWal, missing: &SegmentName, info: &BackupInfo) -> bool {
    let Some(end) = info.end_time else {
        return false;
    };
    let is_later = stored.name.timeline() == missing.timeline() && stored.name > *missing;
    is_later && stored.since.duration_since(end.timestamp()) >= MARGIN
}

/// The record as it should be; `None` where it is right as it is. `passed_by` is WAL for which
/// [`passes`] holds.
pub fn settle(
    info: &BackupInfo,
    missing: &MissingWal,
    passed_by: Option<&StoredWal>,
) -> Option<BackupInfo> {
    if !is_unsettled(info) {
        return None;
    }
    if missing.is_empty() {
        return Some(BackupInfo {
            status: BackupStatus::Done,
            error: None,
            ..info.clone()
        });
    }
    let passed_by = passed_by.filter(|_| !is_given_up(info))?;
    let error = format!(
        "{LOST}the archive lacks {missing}, but has had {} since {:.0}",
        passed_by.name, passed_by.since
    );
    Some(BackupInfo {
        status: BackupStatus::Failed,
        error: Some(error),
        ..info.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::span::SegmentSpan;

    fn waiting() -> BackupInfo {
        let end: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        BackupInfo {
            status: BackupStatus::WaitingForWals,
            end_time: Some(end.into()),
            ..BackupInfo::default()
        }
    }

    fn missing(names: &[&str]) -> MissingWal {
        let span = |name: &&str| {
            let name = name.parse().unwrap();
            SegmentSpan::new(name, name, crate::postgres::SegmentSize::DEFAULT).unwrap()
        };
        MissingWal {
            spans: names.iter().map(span).collect(),
            history: None,
        }
    }

    fn stored(name: &str, since: &str) -> StoredWal {
        StoredWal {
            name: name.parse().unwrap(),
            since: since.parse().unwrap(),
        }
    }

    #[test]
    fn a_backup_is_complete_once_nothing_is_missing() {
        let settled = settle(&waiting(), &missing(&[]), None).unwrap();
        assert_eq!((settled.status, settled.error), (BackupStatus::Done, None));
        let one = missing(&["000000010000000000000005"]);
        assert_eq!(settle(&waiting(), &one, None), None);
    }

    #[test]
    fn wal_is_passed_over_by_later_wal_of_its_timeline_an_hour_after_the_backup() {
        let wanted = "000000010000000000000005".parse().unwrap();
        for (name, since, expected) in [
            ("000000010000000000000006", "2026-11-20T13:00:00Z", true),
            // Archivers that run side by side overtake each other.
            ("000000010000000000000006", "2026-11-20T12:59:59Z", false),
            ("000000010000000000000004", "2026-11-21T13:00:00Z", false),
            // After a promotion the old timeline may still be archived.
            ("000000020000000000000006", "2026-11-21T13:00:00Z", false),
        ] {
            let found = passes(&stored(name, since), &wanted, &waiting());
            assert_eq!(found, expected, "{name} {since}");
        }
        let endless = BackupInfo {
            end_time: None,
            ..waiting()
        };
        let late = stored("000000010000000000000006", "2030-01-01T00:00:00Z");
        assert!(!passes(&late, &wanted, &endless));
    }

    #[test]
    fn what_was_given_up_says_why_and_becomes_complete_if_the_wal_comes_after_all() {
        let later = stored("000000010000000000000009", "2026-11-20T14:00:00.5Z");
        let one = missing(&["000000010000000000000005"]);
        let lost = settle(&waiting(), &one, Some(&later)).unwrap();
        assert_eq!(lost.status, BackupStatus::Failed);
        assert_eq!(
            lost.error.as_deref(),
            Some(
                "its WAL did not come: the archive lacks 1 WAL file, 000000010000000000000005, but \
                 has had 000000010000000000000009 since 2026-11-20T14:00:00Z"
            )
        );
        assert_eq!(settle(&lost, &one, Some(&later)), None);
        let done = settle(&lost, &missing(&[]), None).unwrap();
        assert_eq!((done.status, done.error), (BackupStatus::Done, None));
        let failed = BackupInfo {
            status: BackupStatus::Failed,
            error: Some("the disk was full".to_owned()),
            ..waiting()
        };
        assert_eq!(settle(&failed, &missing(&[]), None), None);
    }
}
