//! Why there is no backup.

use std::path::PathBuf;

use model::backup::effort::TooLittleMemory;
use model::postgres::SystemId;
use model::wal::name::SegmentName;

use super::places::PlaceError;
use crate::cluster::control::ControlError;
use crate::cluster::session::SessionError;
use crate::source::walk::WalkError;
use crate::store::StoreError;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An archive's upload failed, in the middle of the backup.
    #[error(transparent)]
    Upload(StoreError),
    #[error(transparent)]
    Walk(#[from] WalkError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("cannot keep the list of files in {directory}")]
    Spool {
        directory: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the backup label that PostgreSQL returned is not usable: {0}")]
    Label(String),
    #[error(
        "archive_mode is off and nothing receives the server's WAL: a backup could never be \
         restored"
    )]
    NotArchived,
    #[error(
        "{archive} has segment {segment} of another system (system identifier {found}), so the \
         WAL of this server (system identifier {expected}) cannot be archived there"
    )]
    ForeignArchive {
        archive: String,
        segment: SegmentName,
        found: SystemId,
        expected: SystemId,
    },
    #[error(
        "tablespace {name} (OID {oid}) was being made when the backup began, and is in none of \
         its archives"
    )]
    LostTablespace { name: String, oid: u32 },
    #[error("cannot read {path}, the history of the timeline that the standby is on now")]
    History {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} does not lead back to where the backup began: {cause}")]
    OtherHistory { path: PathBuf, cause: String },
    #[error("cannot read the configuration file {path}")]
    Configuration {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{0} cannot be backed up: another configuration file has the same name")]
    SameName(PathBuf),
    #[error("{count} damaged pages in the cluster; the first is block {block} of {file}")]
    Damaged {
        count: usize,
        file: String,
        block: u32,
    },
    #[error("cannot send the backup in {directory}: {cause}")]
    Taken { directory: PathBuf, cause: String },
    #[error("the object store has confirmed {object}, and it is not there")]
    Forgotten { object: String },
    #[error("{object} was sent with {sent} bytes and has {found}")]
    OtherSize {
        object: String,
        sent: u64,
        found: u64,
    },
    /// Nothing of this backup may be called complete any more.
    #[error("somebody has deleted the backup while it ran: {record} is gone")]
    Deleted { record: String },
    #[error("somebody has changed the backup while it ran: {record} is not as it was written")]
    Changed { record: String },
    #[error(transparent)]
    Memory(#[from] TooLittleMemory),
    #[error("the backup was stopped by a signal")]
    Cancelled,
    #[error("a worker ended unexpectedly: {0}")]
    Worker(String),
}

/// A file that could not be archived.
#[derive(Debug, thiserror::Error)]
#[error("cannot archive {path}")]
pub struct ArchiveError {
    pub path: String,
    #[source]
    pub source: std::io::Error,
}

pub(crate) fn spool_failed(source: std::io::Error) -> BackupError {
    BackupError::Spool {
        directory: std::env::temp_dir().display().to_string(),
        source,
    }
}
