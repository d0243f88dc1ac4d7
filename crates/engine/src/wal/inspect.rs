//! Is this file what its name says, before anybody is told that it is archived?
//!
//! Everything here blocks. Always true: only a regular file is ever opened, once, and what was
//! judged is what is sent: the same open file, of the same length.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use model::control_file::ControlFile;
use model::format::backup_label;
use model::postgres::{SegmentSize, SystemId};
use model::wal::name::{SegmentName, WalName};
use model::wal::segment::{BadSegment, check_segment};
use model::wal::timeline::TimelineHistory;

use super::archive::ArchiveError;

/// A file that may be archived, open at its beginning.
#[derive(Debug)]
pub struct Inspected {
    pub path: PathBuf,
    pub name: WalName,
    pub file: File,
    pub metadata: Metadata,
    /// A moment before `metadata` was read.
    pub seen_at: SystemTime,
    /// The size in the header; `None` for what is no segment.
    pub segment_size: Option<SegmentSize>,
}

/// The name that a path's last part is.
///
/// # Errors
/// When it is none of a WAL file.
pub fn wal_name(path: &Path) -> Result<WalName, ArchiveError> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    name.parse()
        .map_err(|_| ArchiveError::NotWal(path.display().to_string()))
}

/// Opens a file and checks it against its name.
///
/// # Errors
/// When it cannot be read or must not be archived.
pub fn inspect(path: &Path) -> Result<Inspected, ArchiveError> {
    let name = wal_name(path)?;
    let read_failed = |source| ArchiveError::Read {
        path: path.to_path_buf(),
        source,
    };
    let refused = |cause: String| ArchiveError::Content {
        path: path.to_path_buf(),
        cause,
    };
    // Looked at before it is opened: a pipe would block, a device might do something.
    let before = std::fs::metadata(path).map_err(read_failed)?;
    if !before.is_file() {
        return Err(refused("it is not a regular file".to_owned()));
    }
    let mut file = File::open(path).map_err(read_failed)?;
    let seen_at = SystemTime::now();
    let metadata = file.metadata().map_err(read_failed)?;
    let segment_size = match &name {
        WalName::Segment(segment) | WalName::Partial(segment) => {
            let mut head = Vec::new();
            let page = (&mut file).take(8192).read_to_end(&mut head);
            page.map_err(read_failed)?;
            let size = check_head(path, segment, &head, metadata.len());
            Some(size.map_err(|source| ArchiveError::Segment {
                path: path.to_path_buf(),
                source,
            })?)
        }
        WalName::BackupLabel { .. } | WalName::History(_) => {
            let text = read_text(&mut file).map_err(read_failed)?;
            check_text(&name, &text).map_err(refused)?;
            None
        }
    };
    file.rewind().map_err(read_failed)?;
    Ok(Inspected {
        path: path.to_path_buf(),
        name,
        file,
        metadata,
        seen_at,
        segment_size,
    })
}

fn check_head(
    path: &Path,
    segment: &SegmentName,
    head: &[u8],
    length: u64,
) -> Result<SegmentSize, BadSegment> {
    let facts = check_segment(segment, head, length, None)?;
    for expected in neighbouring_clusters(path) {
        check_segment(segment, head, length, Some(expected))?;
    }
    Ok(facts.segment_size)
}

/// The clusters this segment can belong to: the one around its `pg_wal` directory, and the one
/// whose data directory we were started in, as PostgreSQL does for `archive_command`.
fn neighbouring_clusters(path: &Path) -> Vec<SystemId> {
    let around = path
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."));
    let controls = [
        around.join("global/pg_control"),
        PathBuf::from("global/pg_control"),
    ];
    let contents = controls
        .iter()
        .filter_map(|control| std::fs::read(control).ok());
    let parsed = contents.filter_map(|content| ControlFile::parse(&content).ok());
    parsed.map(|control| control.system_id).collect()
}

fn read_text(file: &mut File) -> io::Result<String> {
    const LONGEST_BYTES: u64 = 1024 * 1024;
    let mut text = String::new();
    let read = file.take(LONGEST_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > LONGEST_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

fn check_text(name: &WalName, text: &str) -> Result<(), String> {
    match name {
        WalName::History(timeline) => TimelineHistory::parse(*timeline, text)
            .map(drop)
            .map_err(|error| error.to_string()),
        _ => backup_label::parse(text)
            .map(drop)
            .map_err(|error| error.to_string()),
    }
}
