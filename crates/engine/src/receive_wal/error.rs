//! Why a receiver of WAL ends, and what it may try again.

use std::io;
use std::path::{Path, PathBuf};

use model::postgres::SystemId;
use model::wal::lsn::Lsn;

/// Why WAL is not received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    #[error("cannot {action} {}: {cause}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("the replication slot {0} does not exist")]
    NoSlot(String),
    #[error("PostgreSQL is cluster {found}, and WAL of cluster {expected} is kept here")]
    OtherCluster { expected: SystemId, found: SystemId },
    #[error("PostgreSQL says {value:?} for {setting}")]
    Setting {
        setting: &'static str,
        value: String,
    },
    #[error("the history of timeline {timeline} does not say which timeline {position} is on")]
    History { timeline: u32, position: Lsn },
}

impl ReceiveError {
    pub(super) fn file(action: &'static str, path: &Path, cause: io::Error) -> ReceiveError {
        ReceiveError::File {
            action,
            path: path.to_owned(),
            cause,
        }
    }

    /// Whether it passes by itself: the server restarts, the network is away, a predecessor's
    /// session has not been noticed to have ended.
    pub fn passes(&self) -> bool {
        let ReceiveError::Postgres(error) = self else {
            return false;
        };
        match error.sqlstate() {
            // In use; shutting down, crashed, starting; too many connections.
            Some(code) => matches!(code, "55006" | "57P01" | "57P02" | "57P03" | "53300"),
            None => !matches!(error, postgres::Error::Statement(_)),
        }
    }

    /// Whether the server no longer has the WAL that comes next.
    pub fn is_wal_gone(&self) -> bool {
        // Both answers of a WAL sender: undefined file, and a slot that lost its WAL.
        matches!(self, ReceiveError::Postgres(error)
            if matches!(error.sqlstate(), Some("58P01" | "55000")))
    }
}
