//! Backups that nobody will ever restore, and that would hold their place and all WAL for ever.
//!
//! Barman leaves them to whoever deletes them by id. Always true: what may still be going on, or
//! may still get its WAL, is left alone for long, and nothing is swept before a backup that is
//! newer is complete.

use jiff::{SignedDuration, Timestamp};

use super::verdict::{Judged, Reason, Standing, Verdict, verdict};
use crate::backup::id::BackupId;
use crate::backup::{BackupInfo, BackupStatus, order};

/// A backup that says STARTED is taken for broken off after this time: a large one takes days.
const STILL_GOING_ON: SignedDuration = SignedDuration::from_hours(7 * 24);
/// WAL is waited for this long.
const STILL_COMING: SignedDuration = SignedDuration::from_hours(24);

/// What is asked to judge backups that are not DONE.
pub(super) struct Sweep<'a> {
    /// From the first that happened to the last.
    in_order: &'a [(&'a BackupId, &'a BackupInfo)],
    now: Timestamp,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(in_order: &'a [(&'a BackupId, &'a BackupInfo)], now: Timestamp) -> Sweep<'a> {
        Sweep { in_order, now }
    }

    /// The verdict on a backup that is not DONE.
    pub(super) fn judge(&self, backup: &Judged<'_>) -> Verdict {
        let status = backup.info.status;
        match self.newer(backup.id) {
            Some(newer) if backup.kept.is_none() && self.is_over(backup) => verdict(
                backup,
                Standing::Obsolete,
                Reason::Useless { status, newer },
            ),
            _ => verdict(backup, Standing::NotJudged, Reason::Status(status)),
        }
    }

    /// A complete backup that happened later; the first such.
    fn newer(&self, id: &BackupId) -> Option<BackupId> {
        let at = self.in_order.iter().position(|(other, _)| *other == id)?;
        let mut later = self.in_order[at + 1..].iter();
        let done = later.find(|(_, info)| info.status == BackupStatus::Done);
        done.map(|(id, _)| **id)
    }

    /// Whether nothing can come of it any more.
    fn is_over(&self, backup: &Judged<'_>) -> bool {
        let (since, patience) = match backup.info.status {
            BackupStatus::Failed => return true,
            BackupStatus::WaitingForWals => (backup.info.end_time, STILL_COMING),
            BackupStatus::Started | BackupStatus::Empty => (backup.info.begin_time, STILL_GOING_ON),
            BackupStatus::Done | BackupStatus::Syncing => return false,
        };
        let since = since.map(|since| since.timestamp());
        let since = since.unwrap_or_else(|| order::named_time(backup.id));
        self.now.duration_since(since) >= patience
    }
}
