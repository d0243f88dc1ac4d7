//! Is this file what its name says, before anybody is told that it is archived?
//!
//! Everything here blocks. Always true: only a regular file is ever opened, once, and what was
//! judged is what is sent: the same open file, of the same length.
//!
//! A file may come compressed under its bare name: `barman-wal-archive --gzip` leaves it so in a
//! Barman server's `incoming` directory. Then its content is judged and sent, and not its bytes,
//! which no reader would know to decompress.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use model::codec::Codec;
use model::control_file::ControlFile;
use model::postgres::{SegmentSize, SystemId};
use model::wal::name::{SegmentName, WalName};
use model::wal::segment::{BadSegment, SegmentFacts, check_segment};
use model::wal::timeline::TimelineHistory;

use super::error::WalArchiveError;
use super::receive::{Gate, TEXT_LIMIT_BYTES};
use crate::codec::decoder;

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
    /// The cluster in the header, likewise.
    pub system_id: Option<SystemId>,
}

/// The name that a path's last part is.
///
/// # Errors
/// When it is none of a WAL file.
pub fn wal_name(path: &Path) -> Result<WalName, WalArchiveError> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    name.parse()
        .map_err(|_| WalArchiveError::NotWal(path.display().to_string()))
}

/// Opens a file and checks it against its name.
///
/// # Errors
/// When it cannot be read or must not be archived.
pub fn inspect(path: &Path) -> Result<Inspected, WalArchiveError> {
    let name = wal_name(path)?;
    let read_failed = |source| WalArchiveError::Read {
        path: path.to_path_buf(),
        source,
    };
    let refused = |cause: String| WalArchiveError::Content {
        path: path.to_path_buf(),
        cause,
    };
    // Looked at before it is opened: a pipe would block, a device might do something.
    let before = std::fs::metadata(path).map_err(read_failed)?;
    if !before.is_file() {
        return Err(refused("it is not a regular file".to_owned()));
    }
    let mut file = File::open(path).map_err(read_failed)?;
    if let Some(codec) = compressed_with(&mut file).map_err(read_failed)? {
        file = decompressed(file, codec, &name).map_err(read_failed)?;
    }
    let seen_at = SystemTime::now();
    let metadata = file.metadata().map_err(read_failed)?;
    let facts = match &name {
        WalName::Segment(segment) | WalName::Partial(segment) => {
            let mut head = Vec::new();
            let page = (&mut file).take(8192).read_to_end(&mut head);
            page.map_err(read_failed)?;
            let facts = check_head(path, segment, &head, metadata.len());
            Some(facts.map_err(|source| WalArchiveError::Segment {
                path: path.to_path_buf(),
                source,
            })?)
        }
        // PostgreSQL never writes such a file; a crash of the machine may leave one.
        WalName::History(_) if metadata.len() == 0 => {
            return Err(refused("it is empty".to_owned()));
        }
        WalName::History(timeline) => {
            let text = read_text(&mut file).map_err(read_failed)?;
            let history = TimelineHistory::parse(*timeline, &text);
            history.map_err(|error| refused(error.to_string()))?;
            None
        }
        // PostgreSQL does not flush it, so that a crash may; its archive is not to say that there
        // is a label.
        WalName::BackupLabel { .. } if metadata.len() == 0 => {
            return Err(refused("it is empty".to_owned()));
        }
        // Nothing else reads its content, and WAL behind it must not be held up.
        WalName::BackupLabel { .. } => None,
    };
    file.rewind().map_err(read_failed)?;
    Ok(Inspected {
        path: path.to_path_buf(),
        name,
        file,
        metadata,
        seen_at,
        segment_size: facts.map(|facts| facts.segment_size),
        system_id: facts.map(|facts| facts.system_id),
    })
}

fn check_head(
    path: &Path,
    segment: &SegmentName,
    head: &[u8],
    length: u64,
) -> Result<SegmentFacts, BadSegment> {
    let facts = check_segment(segment, head, length, None)?;
    for expected in neighbouring_clusters(path) {
        check_segment(segment, head, length, Some(expected))?;
    }
    Ok(facts)
}

/// The clusters that a WAL file at this path can belong to: the one around its `pg_wal` directory,
/// and the one whose data directory we were started in, as PostgreSQL does for `archive_command`
/// and `restore_command`.
pub fn neighbouring_clusters(path: &Path) -> Vec<SystemId> {
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

/// The text, whatever encoding the names of restore points in it have.
fn read_text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    let read = file.take(TEXT_LIMIT_BYTES + 1).read_to_end(&mut bytes)?;
    if read as u64 > TEXT_LIMIT_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn compressed_with(file: &mut File) -> io::Result<Option<Codec>> {
    let mut head = Vec::new();
    file.take(Codec::MAGIC_LENGTH as u64)
        .read_to_end(&mut head)?;
    file.rewind()?;
    let codec = Codec::from_magic(&head);
    Ok((codec != Codec::None).then_some(codec))
}

/// The content in a file that vanishes when it is closed; no more of it than its name allows.
fn decompressed(file: File, codec: Codec, name: &WalName) -> io::Result<File> {
    let mut source = decoder(codec, file)?;
    let mut content = tempfile::tempfile()?;
    let mut gate = Gate::before(name);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match source.read(&mut buffer)? {
            0 => break,
            count => {
                gate.pass(&buffer[..count]).map_err(io::Error::other)?;
                content.write_all(&buffer[..count])?;
            }
        }
    }
    content.rewind()?;
    Ok(content)
}
