//! Archiving one WAL file: check it, compress it, store it, and only then say so.
//!
//! PostgreSQL removes or recycles the file after it was told that it is archived, so the answer
//! must be true: the file was whole and belonged to this cluster, and the store has confirmed it.
//! Always true: an object is never replaced; the same name with the same content is success, with
//! other content it is an error.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use model::cloud::Layout;
use model::codec::Codec;
use model::control_file::ControlFile;
use model::format::backup_label;
use model::postgres::SystemId;
use model::wal::name::{SegmentName, WalName};
use model::wal::segment::{BadSegment, check_segment};
use model::wal::timeline::TimelineHistory;
use object_store::{PutPayload, TagSet};
use tokio::task::spawn_blocking;

use crate::codec::Encoder;
use crate::store::{Bucket, StoreError, Written};
use crate::upload::{Destination, StopFlag, Uploaded, part_channel, part_size, upload};
use crate::wal::fetch::{find, open_decoded};

/// A WAL file to archive.
#[derive(Debug, Clone)]
pub struct ArchiveRequest {
    /// Where the file is; its name decides what it is.
    pub path: PathBuf,
    pub codec: Codec,
    /// The codec's own level, `None` for its default.
    pub level: Option<i32>,
    pub tags: WalTags,
}

/// The tags that WAL files get.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalTags {
    pub all: TagSet,
    /// What history files get instead.
    pub history: Option<TagSet>,
}

impl WalTags {
    /// The tags of one file.
    pub fn of(&self, name: &WalName) -> &TagSet {
        match (name, &self.history) {
            (WalName::History(_), Some(tags)) => tags,
            _ => &self.all,
        }
    }
}

/// What became of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Archived {
    /// Stored under this key.
    Stored(String),
    /// The same content was there already under this key.
    AlreadyThere(String),
}

/// Why the file is not archived.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
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
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a worker ended unexpectedly: {0}")]
    Worker(String),
}

/// Larger files are not compressed in memory but uploaded in parts.
const WHOLE_LIMIT_BYTES: u64 = 64 * 1024 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;

/// Archives one WAL file.
///
/// # Errors
/// See [`ArchiveError`]; whatever is in the store already is untouched.
pub async fn archive_wal(
    bucket: &Bucket,
    layout: &Layout,
    request: &ArchiveRequest,
) -> Result<Archived, ArchiveError> {
    let name = wal_name(&request.path)?;
    let length = check(request, &name)?;
    // In whatever codec it is there: a change of the codec must not hide other content.
    if let Some((key, codec)) = find(bucket, layout, &name).await? {
        return confirm(bucket, key, codec, request).await;
    }
    let key = layout.wal(&name, request.codec);
    let tags = request.tags.of(&name);
    let written = if length > WHOLE_LIMIT_BYTES {
        let destination = Destination { key: &key, tags };
        store_in_parts(bucket, destination, request, length).await?
    } else {
        let payload = blocking(request, compress).await?;
        bucket.create(&key, payload, tags).await?
    };
    match written {
        Written::Created => Ok(Archived::Stored(key)),
        Written::AlreadyExists => confirm(bucket, key, request.codec, request).await,
    }
}

fn wal_name(path: &Path) -> Result<WalName, ArchiveError> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    name.parse()
        .map_err(|_| ArchiveError::NotWal(path.display().to_string()))
}

/// Checks the file against its name and returns its length in bytes.
fn check(request: &ArchiveRequest, name: &WalName) -> Result<u64, ArchiveError> {
    let path = &request.path;
    let read_failed = |source| ArchiveError::Read {
        path: path.clone(),
        source,
    };
    let mut file = File::open(path).map_err(read_failed)?;
    let metadata = file.metadata().map_err(read_failed)?;
    if !metadata.is_file() {
        let cause = "it is not a regular file".to_owned();
        return Err(ArchiveError::Content {
            path: path.clone(),
            cause,
        });
    }
    let length = metadata.len();
    match name {
        WalName::Segment(segment) | WalName::Partial(segment) => {
            check_head(path, segment, &mut file, length)?;
        }
        WalName::BackupLabel { .. } | WalName::History(_) => {
            let mut text = String::new();
            file.take(1024 * 1024)
                .read_to_string(&mut text)
                .map_err(read_failed)?;
            check_text(path, name, &text)?;
        }
    }
    Ok(length)
}

fn check_head(
    path: &Path,
    segment: &SegmentName,
    file: &mut File,
    length: u64,
) -> Result<(), ArchiveError> {
    let mut head = Vec::new();
    let read_failed = |source| ArchiveError::Read {
        path: path.to_path_buf(),
        source,
    };
    file.take(8192)
        .read_to_end(&mut head)
        .map_err(read_failed)?;
    let facts = check_segment(segment, &head, length, None);
    let facts = facts.map_err(segment_refused(path))?;
    for expected in neighbouring_clusters(path) {
        if expected != facts.system_id {
            let refused = check_segment(segment, &head, length, Some(expected));
            refused.map_err(segment_refused(path))?;
        }
    }
    Ok(())
}

fn segment_refused(path: &Path) -> impl FnOnce(BadSegment) -> ArchiveError {
    move |source| ArchiveError::Segment {
        path: path.to_path_buf(),
        source,
    }
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

fn check_text(path: &Path, name: &WalName, text: &str) -> Result<(), ArchiveError> {
    let outcome = match name {
        WalName::History(timeline) => TimelineHistory::parse(*timeline, text)
            .map(drop)
            .map_err(|error| error.to_string()),
        _ => backup_label::parse(text)
            .map(drop)
            .map_err(|error| error.to_string()),
    };
    outcome.map_err(|cause| ArchiveError::Content {
        path: path.to_path_buf(),
        cause,
    })
}

async fn blocking<T: Send + 'static>(
    request: &ArchiveRequest,
    work: fn(&ArchiveRequest) -> io::Result<T>,
) -> Result<T, ArchiveError> {
    let owned = request.clone();
    let done = spawn_blocking(move || work(&owned)).await;
    let done = done.map_err(|error| ArchiveError::Worker(error.to_string()))?;
    done.map_err(|source| ArchiveError::Read {
        path: request.path.clone(),
        source,
    })
}

fn compress(request: &ArchiveRequest) -> io::Result<PutPayload> {
    let mut file = File::open(&request.path)?;
    let mut encoder = Encoder::create(request.codec, request.level, Vec::new())?;
    copy(&mut file, &mut encoder)?;
    Ok(PutPayload::from(encoder.finish()?))
}

fn copy(source: &mut impl Read, sink: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(()),
            count => sink.write_all(&buffer[..count])?,
        }
    }
}

/// Multipart uploads cannot be conditional everywhere, so existence is asked for first.
async fn store_in_parts(
    bucket: &Bucket,
    destination: Destination<'_>,
    request: &ArchiveRequest,
    length: u64,
) -> Result<Written, ArchiveError> {
    let key = destination.key;
    if bucket.exists(key).await? {
        return Ok(Written::AlreadyExists);
    }
    let (mut writer, queue) = part_channel(part_size(bucket, length));
    let owned = request.clone();
    let write = spawn_blocking(move || {
        let mut file = File::open(&owned.path)?;
        let mut encoder = Encoder::create(owned.codec, owned.level, &mut writer)?;
        copy(&mut file, &mut encoder)?;
        encoder.finish()?;
        writer.finish()
    });
    let never = StopFlag::default();
    let (uploaded, written) = tokio::join!(upload(bucket, destination, queue, &never), write);
    let uploaded = uploaded?;
    let written = written.map_err(|error| ArchiveError::Worker(error.to_string()))?;
    written.map_err(|source| ArchiveError::Read {
        path: request.path.clone(),
        source,
    })?;
    match uploaded {
        Uploaded::Complete { .. } => Ok(Written::Created),
        Uploaded::Abandoned => Err(ArchiveError::Worker(format!("{key} was not finished"))),
    }
}

/// An object of that name exists: success if it holds the same bytes.
async fn confirm(
    bucket: &Bucket,
    key: String,
    codec: Codec,
    request: &ArchiveRequest,
) -> Result<Archived, ArchiveError> {
    let stored = open_decoded(bucket, &key, codec).await?;
    let owned = request.clone();
    let compared = spawn_blocking(move || {
        let local = File::open(&owned.path)?;
        same_content(
            io::BufReader::with_capacity(BUFFER_BYTES, local),
            stored.open()?,
        )
    });
    let same = compared
        .await
        .map_err(|error| ArchiveError::Worker(error.to_string()))?;
    match same {
        Ok(true) => Ok(Archived::AlreadyThere(key)),
        // What cannot be decoded is not the same content either.
        Ok(false) | Err(_) => Err(ArchiveError::Conflict {
            path: request.path.clone(),
            existing: bucket.address(&key),
        }),
    }
}

fn same_content(mut left: impl Read, mut right: impl Read) -> io::Result<bool> {
    let (mut one, mut other) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    loop {
        let count = fill(&mut left, &mut one)?;
        if fill(&mut right, &mut other)? != count || one[..count] != other[..count] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
