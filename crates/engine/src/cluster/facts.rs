//! What a server says of itself.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use model::backup::Tablespace;
use model::postgres::{PgVersion, SegmentSize, SystemId};

use super::archiving::Archiving;

/// What must be known of a server before its WAL or its files are touched.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    pub version: PgVersion,
    pub system_id: SystemId,
    pub segment_size: SegmentSize,
    pub data_directory: String,
    pub config_file: Option<String>,
    pub hba_file: Option<String>,
    pub ident_file: Option<String>,
    /// Files that the configuration includes, other than those above.
    pub included_files: Vec<String>,
    /// `on` or `off`.
    pub data_checksums: String,
    /// `on` or `off`; `None` before version 17.
    pub summarize_wal: Option<String>,
    pub archiving: Archiving,
    pub in_recovery: bool,
    /// How long a checkpoint that is spread out usually takes.
    pub spread_checkpoint: Duration,
    pub tablespaces: Vec<Tablespace>,
    /// The sum of all tablespaces, the default ones included, in bytes.
    pub cluster_size_bytes: u64,
}

impl ServerFacts {
    /// Whether this server's own archiver is the one that archives: a standby's rests, unless it
    /// is told to archive always.
    pub fn archives_itself(&self) -> bool {
        self.archiving.has_archiver() && (!self.in_recovery || self.archiving.mode == "always")
    }

    /// Whether no backup of this server could be restored, since its WAL goes nowhere. A standby's
    /// WAL is its primary's business.
    pub fn wal_goes_nowhere(&self) -> bool {
        !self.in_recovery && self.archiving.is_off() && self.archiving.receivers == 0
    }
}

/// A tablespace's location as an absolute path: a link in `pg_tblspc` may be a relative one.
pub fn absolute_location(data: &Path, location: &str) -> String {
    if location.starts_with('/') {
        return location.to_owned();
    }
    let joined = data.join("pg_tblspc").join(location);
    let resolved = fs::canonicalize(&joined).unwrap_or_else(|_| without_dots(&joined));
    resolved.to_string_lossy().into_owned()
}

/// What the path says when none of its directories is a link.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}
