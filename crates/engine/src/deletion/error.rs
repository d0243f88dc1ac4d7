//! Why a deletion was not finished.

use model::backup::id::BackupId;

use crate::store::{Lock, StoreError};

/// Why a deletion was not finished.
#[derive(Debug, thiserror::Error)]
pub enum DeletionError {
    #[error("nothing is deleted: backup {0} is kept since a moment ago")]
    KeptMeanwhile(BackupId),
    #[error("nothing is deleted: {object} of backup {id} is {}", words(lock))]
    Locked {
        id: BackupId,
        object: String,
        lock: Lock,
    },
    /// The plan is no longer that of this catalogue.
    #[error("nothing is deleted: the record of backup {0} has changed since it was read")]
    ChangedMeanwhile(BackupId),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn words(lock: &Lock) -> String {
    match lock {
        Lock::Until(moment) => format!("locked until {moment}"),
        Lock::Held => "under a legal hold".to_owned(),
    }
}
