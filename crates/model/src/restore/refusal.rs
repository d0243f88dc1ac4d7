//! Why a restore is refused before anything is touched.

use std::path::PathBuf;

use crate::backup::BackupStatus;
use crate::backup::effort::TooLittleMemory;
use crate::backup::id::BackupId;
use crate::restore::space::NoRoom;
use crate::restore::tablespaces::BadTablespaceMapping;

/// Why the backup cannot be restored there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotRestore {
    #[error("backup {id} has status {status}: it is not complete")]
    NotDone { id: BackupId, status: BackupStatus },
    #[error("backup {0} is a disk snapshot, which cannot be restored from the bucket yet")]
    Snapshot(BackupId),
    #[error("backup {id} is incomplete: {file} is missing from the bucket")]
    Missing { id: BackupId, file: String },
    #[error(transparent)]
    Tablespaces(#[from] BadTablespaceMapping),
    #[error("{0} is not empty")]
    NotEmpty(PathBuf),
    #[error("{0} is what a restore left that did not end: it has no global/pg_control")]
    Interrupted(PathBuf),
    #[error("{inner} lies inside {outer}, which is a data directory of PostgreSQL")]
    InsideAnother { inner: PathBuf, outer: PathBuf },
    #[error("{0} is not a directory")]
    NotADirectory(PathBuf),
    #[error("{0} is not an absolute path")]
    NotAbsolute(PathBuf),
    #[error("{inner} lies inside {outer}: each tablespace needs a place of its own")]
    Nested { inner: PathBuf, outer: PathBuf },
    #[error("the backup's record has two tablespaces of number {0}")]
    Twice(u32),
    #[error(
        "the backup's record puts tablespace {:?} into {}, and nothing but the record says so",
        .0[0].0, .0[0].1.display()
    )]
    Unconfirmed(Vec<(String, PathBuf)>),
    #[error(transparent)]
    Memory(#[from] TooLittleMemory),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}
