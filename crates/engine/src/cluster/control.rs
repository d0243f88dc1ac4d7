//! `global/pg_control` of the local cluster: proof that this host holds the cluster the session
//! talks to, and the member of a backup that is read last.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::control_file::{ClusterState, ControlFile};
use model::postgres::SystemId;
use model::wal::lsn::Lsn;

use super::facts::ServerFacts;

/// Why the control file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("cannot read {path}, the control file of the server's data directory")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is damaged: {cause}")]
    Damaged { path: PathBuf, cause: String },
    #[error(
        "{path} is not of the server that the session is with: its last checkpoint is at {redo}, \
         the backup begins at {begin}, or only one of them is in recovery"
    )]
    OtherServer {
        path: PathBuf,
        redo: Lsn,
        begin: Lsn,
    },
    #[error("{path} belongs to cluster {found}, but the session is with cluster {expected}")]
    OtherCluster {
        path: PathBuf,
        expected: SystemId,
        found: SystemId,
    },
}

/// PostgreSQL rewrites the file in one go; a reader can still see half of the old one.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Reads the control file of a data directory until it is whole.
///
/// # Errors
/// When it cannot be read or stays damaged.
pub fn read_control(data: &Path) -> Result<(Vec<u8>, ControlFile), ControlError> {
    let path = data.join("global/pg_control");
    let mut attempt = 0;
    loop {
        attempt += 1;
        let content = std::fs::read(&path).map_err(|source| ControlError::Unreadable {
            path: path.clone(),
            source,
        })?;
        match ControlFile::parse(&content) {
            Ok(control) => return Ok((content, control)),
            Err(_) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
            Err(error) => {
                return Err(ControlError::Damaged {
                    path,
                    cause: error.to_string(),
                });
            }
        }
    }
}

/// Makes sure that the files here are those of the server whose backup has just begun.
///
/// A standby has its primary's system identifier. On the host of the one, connected to the other,
/// the label would come from the one and the files from the other.
///
/// # Errors
/// When the control file's state or checkpoint cannot be that of a server in this backup.
pub fn check_same_server(facts: &ServerFacts, begin: Lsn) -> Result<(), ControlError> {
    let (_, control) = read_control(Path::new(&facts.data_directory))?;
    let in_recovery = control.state != ClusterState::InProduction;
    if in_recovery == facts.in_recovery && control.redo_lsn >= begin {
        return Ok(());
    }
    Err(ControlError::OtherServer {
        path: PathBuf::from(&facts.data_directory).join("global/pg_control"),
        redo: control.redo_lsn,
        begin,
    })
}

/// Makes sure that the data directory here is the one of the server at the other end.
///
/// # Errors
/// When the file is not readable here, or belongs to another cluster.
pub fn check_same_cluster(facts: &ServerFacts) -> Result<ControlFile, ControlError> {
    let (_, control) = read_control(Path::new(&facts.data_directory))?;
    if control.system_id == facts.system_id {
        return Ok(control);
    }
    Err(ControlError::OtherCluster {
        path: PathBuf::from(&facts.data_directory).join("global/pg_control"),
        expected: facts.system_id,
        found: control.system_id,
    })
}
