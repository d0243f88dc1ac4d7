//! Why there is no restored data directory.

use std::io;
use std::path::{Path, PathBuf};

use model::restore::refusal::CannotRestore;
use model::wal::lsn::Lsn;

use super::member_error::ExtractError;
use crate::store::StoreError;

/// What the comparison found.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is damaged: {cause}")]
    Manifest { path: PathBuf, cause: String },
    #[error("{count} files differ from the backup manifest; the first is {first}: {cause}")]
    Differs {
        count: usize,
        first: String,
        cause: &'static str,
    },
    #[error("{count} files are not in the backup's manifest; the first is {first}")]
    Unlisted { count: usize, first: String },
}

/// Why there is no restored data directory.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Cannot(#[from] CannotRestore),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot extract {object}")]
    Extract {
        object: String,
        #[source]
        source: ExtractError,
    },
    #[error("the backup has no usable global/pg_control: {0}")]
    Control(String),
    #[error(
        "the archives are those of another backup: their backup_label begins at {label}, the \
         record at {record}"
    )]
    OtherBackup { label: Lsn, record: Lsn },
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error("cannot {action} {path}")]
    Directory {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("another restore is writing into {0}")]
    Busy(PathBuf),
    #[error("the restore was stopped by a signal")]
    Cancelled,
    #[error("a worker ended unexpectedly: {0}")]
    Worker(String),
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_path_buf();
    move |source| RestoreError::Directory {
        action,
        path,
        source,
    }
}
