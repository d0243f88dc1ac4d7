//! What is known about one backup: the record that makes it a backup.
//!
//! The text form is [`crate::format::backup_info`], the JSON form is in `json`; which backups
//! exist and which one is meant is [`catalogue`]'s and [`mod@reference`]'s. The record does not
//! hold its own id: that is the name of the directory or object prefix it lies in.
//! Always true: [`BackupStatus::Done`] is written last, so a backup that says so is complete.

pub mod agreement;
pub mod arrival;
pub mod catalogue;
pub mod contents;
pub mod drift;
pub mod effort;
pub mod id;
mod json;
pub mod mark;
pub mod needed_wal;
pub mod order;
pub mod plan;
pub mod reference;

use std::fmt;
use std::str::FromStr;

use crate::backup::id::BackupId;
use crate::format::python_literal::Value;
use crate::moment::Moment;
use crate::postgres::{PgVersion, SegmentSize, SystemId};
use crate::wal::lsn::Lsn;
use crate::wal::timeline::TimelineId;

/// Everything `backup.info` records, in the file's order and under the file's names.
///
/// `docs/formats/backup-info.md` explains each key. `None` is a fact nobody knows or that does not
/// apply. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BackupInfo {
    /// The content of PostgreSQL's `backup_label`, with its line breaks.
    pub backup_label: Option<String>,
    /// A name people gave the backup; see [`reference::check_backup_name`].
    pub backup_name: Option<String>,
    /// Where in `begin_wal` the backup begins.
    pub begin_offset: Option<u64>,
    /// When the copy began, by the PostgreSQL server's clock.
    pub begin_time: Option<Moment>,
    /// The WAL segment in which the backup begins.
    pub begin_wal: Option<String>,
    /// The LSN at which the backup begins.
    pub begin_xlog: Option<Lsn>,
    /// Incremental backups that build on this one.
    pub children_backup_ids: Option<Vec<BackupId>>,
    /// The size of the whole cluster when the backup began.
    pub cluster_size: Option<u64>,
    /// The compression of `pg_basebackup`'s tar files.
    pub compression: Option<String>,
    /// The path of `postgresql.conf`.
    pub config_file: Option<String>,
    /// How long which part of the copy took, in seconds: Barman's own dictionary.
    pub copy_stats: Option<Value>,
    /// PostgreSQL's `data_checksums`: `on` or `off`.
    pub data_checksums: Option<String>,
    /// The size without files shared with other backups through hard links.
    pub deduplicated_size: Option<u64>,
    /// `gpg`, or none.
    pub encryption: Option<String>,
    /// Where in `end_wal` the backup ends.
    pub end_offset: Option<u64>,
    /// When the copy ended, by the PostgreSQL server's clock.
    pub end_time: Option<Moment>,
    /// The WAL segment in which the backup ends.
    pub end_wal: Option<String>,
    /// The LSN from which on a restored server is consistent.
    pub end_xlog: Option<Lsn>,
    /// Why the backup failed.
    pub error: Option<String>,
    /// The path of `pg_hba.conf`.
    pub hba_file: Option<String>,
    /// The path of `pg_ident.conf`.
    pub ident_file: Option<String>,
    /// Configuration files included from elsewhere.
    pub included_files: Option<Vec<String>>,
    /// The backup method: `postgres`, `rsync-concurrent`, …; none for `barman-cloud-backup`.
    pub mode: Option<String>,
    /// The backup this incremental one builds on.
    pub parent_backup_id: Option<BackupId>,
    /// The path of the data directory.
    pub pgdata: Option<String>,
    /// The server's name in the configuration; `cloud` for `barman-cloud-backup`.
    pub server_name: Option<String>,
    /// The disk snapshots a backup consists of: Barman's own dictionary.
    pub snapshots_info: Option<Value>,
    /// The size of what was copied.
    pub size: Option<u64>,
    /// How far the backup got.
    pub status: BackupStatus,
    /// PostgreSQL's `summarize_wal`: `on` or `off`, from PostgreSQL 17.
    pub summarize_wal: Option<String>,
    /// The cluster's system identifier.
    pub systemid: Option<SystemId>,
    /// The tablespaces outside the data directory.
    pub tablespaces: Option<Vec<Tablespace>>,
    /// The timeline the server was on.
    pub timeline: Option<TimelineId>,
    /// The server's version.
    pub version: Option<PgVersion>,
    /// The size of a WAL segment.
    pub xlog_segment_size: SegmentSize,
}

/// How far a backup got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BackupStatus {
    /// Nothing has happened yet.
    #[default]
    Empty,
    /// The copy is going on, or was interrupted.
    Started,
    /// Copied; the WAL it needs has not all arrived.
    WaitingForWals,
    /// Complete.
    Done,
    /// A passive node is fetching it.
    Syncing,
    /// It failed, and `error` says why.
    Failed,
}

/// Text that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a backup status")]
pub struct BadStatus {
    /// What was given.
    pub text: String,
}

/// A tablespace outside the data directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tablespace {
    /// Its SQL name.
    pub name: String,
    /// Its OID, which names its archive and its link in `pg_tblspc`.
    pub oid: u32,
    /// Where it lies on the server.
    pub location: String,
}

impl BackupStatus {
    const ALL: [BackupStatus; 6] = [
        BackupStatus::Empty,
        BackupStatus::Started,
        BackupStatus::WaitingForWals,
        BackupStatus::Done,
        BackupStatus::Syncing,
        BackupStatus::Failed,
    ];

    /// The word in `backup.info`.
    pub const fn name(self) -> &'static str {
        match self {
            BackupStatus::Empty => "EMPTY",
            BackupStatus::Started => "STARTED",
            BackupStatus::WaitingForWals => "WAITING_FOR_WALS",
            BackupStatus::Done => "DONE",
            BackupStatus::Syncing => "SYNCING",
            BackupStatus::Failed => "FAILED",
        }
    }

    /// Whether the copy itself is complete, with or without its WAL.
    pub const fn is_copied(self) -> bool {
        matches!(self, BackupStatus::Done | BackupStatus::WaitingForWals)
    }
}

impl fmt::Display for BackupStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for BackupStatus {
    type Err = BadStatus;

    fn from_str(text: &str) -> Result<BackupStatus, BadStatus> {
        BackupStatus::ALL
            .into_iter()
            .find(|status| status.name() == text)
            .ok_or_else(|| BadStatus {
                text: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_leads_back_from_its_word() {
        for status in BackupStatus::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
        }
        assert_eq!(
            "done".parse::<BackupStatus>().unwrap_err().to_string(),
            "\"done\" is not a backup status"
        );
    }

    #[test]
    fn a_record_without_facts_is_empty() {
        let info = BackupInfo::default();
        assert_eq!(info.status, BackupStatus::Empty);
        assert_eq!(info.xlog_segment_size, SegmentSize::DEFAULT);
    }
}
