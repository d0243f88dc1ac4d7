//! What is said beside a list of backups: which records are left out, which backups have changed.

use engine::settling::Settled;
use model::backup::catalogue::{BackupRef, Catalogue};
use model::backup::id::BackupId;
use model::backup::{BackupInfo, BackupStatus};

use super::cloud_log::{Level, Log};

/// Warns of records that cannot be read where a name or a shortcut could mean one of them.
pub fn warn_of_unreadable(backups: &Catalogue, wanted: &BackupRef, log: &Log) {
    if matches!(wanted, BackupRef::Id(_)) {
        return;
    }
    for (id, reason) in backups.unreadable() {
        let text = format!("the record of backup {id} is left out: {reason}");
        log.line(Level::Warning, &text);
    }
}

/// Says which backups have another status than their records had.
pub fn report_settled(settled: &[Settled], log: &Log) {
    for Settled { id, status, error } in settled {
        match error {
            Some(error) => log.line(Level::Warning, &format!("backup {id} is {status}: {error}")),
            None => log.line(Level::Info, &format!("the WAL of backup {id} has arrived")),
        }
    }
}

/// Warns where a shortcut led to a backup that is not complete: there was no better one.
pub fn warn_of_waiting(wanted: &BackupRef, id: &BackupId, info: &BackupInfo, log: &Log) {
    let is_shortcut = !matches!(wanted, BackupRef::Id(_) | BackupRef::Name(_));
    if is_shortcut && info.status == BackupStatus::WaitingForWals {
        let text = format!(
            "no backup is complete: `{wanted}` means {id}, which cannot be restored before its \
             WAL has arrived"
        );
        log.line(Level::Warning, &text);
    }
}
