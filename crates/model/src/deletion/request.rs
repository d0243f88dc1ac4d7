//! What is to be deleted, what is known, and why nothing may be.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::backup::catalogue::Catalogue;
use crate::backup::id::BackupId;
use crate::codec::Codec;
use crate::keep::KeepTarget;
use crate::retention::Policy;
use crate::wal::name::WalName;

/// What is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionRequest {
    /// Which backups.
    pub choice: Choice,
    /// So many complete backups stay.
    pub minimum_redundancy: u32,
    /// The time by which a recovery window is measured.
    pub now: Timestamp,
}

/// How the backups to delete are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    Backup(BackupId),
    /// Those that the policy does not need.
    Policy(Policy),
}

/// What is in the bucket.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Every record.
    pub backups: Catalogue,
    /// Every annotation that keeps a backup.
    pub kept: BTreeMap<BackupId, KeepTarget>,
    /// Annotations that could not be understood, and why.
    pub unreadable_keeps: BTreeMap<BackupId, String>,
    /// For each backup the rest of the keys below its folder.
    pub objects: BTreeMap<BackupId, Vec<String>>,
    /// Every WAL file, in any order.
    pub wal: Vec<(WalName, Codec)>,
    /// When the newest object was stored, by the store's clock.
    pub newest_object: Option<Timestamp>,
}

/// Why nothing may be deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotDelete {
    /// What an unreadable backup needs is not known.
    #[error("nothing is deleted, for the record of backup {id} cannot be read: {reason}")]
    UnreadableRecord { id: BackupId, reason: String },
    /// So it is not known either whether a backup is kept.
    #[error("nothing is deleted, for it is unclear whether backup {id} is kept: {reason}")]
    UnreadableKeep { id: BackupId, reason: String },
    /// No such backup.
    #[error("backup {id} does not exist")]
    Unknown { id: BackupId },
    /// It must be released first.
    #[error("backup {id} is not deleted: it is kept ({target})")]
    Kept { id: BackupId, target: KeepTarget },
    /// Too few would be left.
    #[error(
        "backup {id} is not deleted: there are {count} complete backups, and {minimum} must stay"
    )]
    MinimumRedundancy {
        id: BackupId,
        count: usize,
        minimum: u32,
    },
    /// Another backup could not be restored without it.
    #[error("backup {id} is not deleted: backup {child} builds on it")]
    HasChild { id: BackupId, child: BackupId },
    /// The clock, not the policy, would decide.
    #[error(
        "nothing is deleted: by the clock it is {now:.0}, but the newest backup and WAL are of \
         {newest:.0}"
    )]
    ClockFarAhead { now: Timestamp, newest: Timestamp },
    /// Disk snapshots would be left behind.
    #[error("backup {id} is not deleted: deleting disk snapshots is not there yet")]
    Snapshots { id: BackupId },
}
