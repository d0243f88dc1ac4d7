//! Why a WAL file was not archived, or not fetched.

use std::io;
use std::path::PathBuf;

use model::postgres::SystemId;
use model::wal::name::WalName;
use model::wal::segment::BadSegment;

use crate::store::StoreError;

/// Why the file is not archived.
#[derive(Debug, thiserror::Error)]
pub enum WalArchiveError {
    #[error("{0} is not the name of a WAL file")]
    NotWal(String),
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not archived")]
    Segment {
        path: PathBuf,
        #[source]
        source: BadSegment,
    },
    #[error("{path} is not archived: {cause}")]
    Content { path: PathBuf, cause: String },
    #[error("{existing} exists with other content than {path}")]
    Conflict { path: PathBuf, existing: String },
    #[error(
        "{path} is not archived: it comes from the cluster with system identifier {system_id}, \
         and {existing} from {found}"
    )]
    ForeignArchive {
        path: PathBuf,
        system_id: SystemId,
        existing: String,
        found: SystemId,
    },
    #[error("cannot compare {existing}, which exists, with {path}")]
    Compare {
        path: PathBuf,
        existing: String,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a worker ended unexpectedly: {0}")]
    Worker(String),
}

/// Why there is no file at the destination.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{name} is not in the archive {archive}")]
    NotFound { name: WalName, archive: String },
    #[error("{name} is not in the archive, and there is nothing else below {server}")]
    NothingThere { name: WalName, server: String },
    #[error("{name} is missing in the archive: {later}, which comes after it, is there")]
    Hole { name: WalName, later: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot decompress {object}")]
    Decode {
        object: String,
        #[source]
        source: io::Error,
    },
    #[error("{object} is damaged")]
    Segment {
        object: String,
        #[source]
        source: BadSegment,
    },
    #[error("{object} is damaged: it is empty")]
    Empty { object: String },
    #[error("{object} is damaged: it is larger than {limit} bytes")]
    TooLong { object: String, limit: u64 },
    #[error("stopped by a signal")]
    Stopped,
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("a worker ended unexpectedly: {0}")]
    Worker(String),
}
