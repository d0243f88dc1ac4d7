//! The mark of a backup whose deletion was begun: FAILED, and an error that says so.
//!
//! Barman has no such status; a record so marked is one that it lists as failed and deletes.

use crate::backup::{BackupInfo, BackupStatus};

/// How the error of a record begins whose backup is being deleted.
pub const BEING_DELETED: &str = "being deleted";

/// Whether a deletion of the backup was begun.
pub fn is_being_deleted(info: &BackupInfo) -> bool {
    let marked = |error: &String| error.starts_with(BEING_DELETED);
    info.status == BackupStatus::Failed && info.error.as_ref().is_some_and(marked)
}

/// The record that says that the backup is being deleted, in words that say how it goes on, and by
/// which run: two runs that mean the same backup can tell their marks apart.
pub fn mark(info: &BackupInfo, words: &str, run: &str) -> BackupInfo {
    BackupInfo {
        status: BackupStatus::Failed,
        error: Some(format!("{BEING_DELETED}: {words} ({run})")),
        ..info.clone()
    }
}
