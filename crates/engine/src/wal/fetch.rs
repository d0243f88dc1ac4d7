//! Fetching one WAL file for recovery.
//!
//! Always true: the destination appears whole, checked and under its name, or not at all; "not in
//! the archive" is told apart from every other failure, since PostgreSQL ends recovery on it.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use model::cloud::{Layout, parse_wal_file};
use model::codec::Codec;
use model::wal::name::WalName;
use model::wal::segment::{BadSegment, check_segment};
use tokio::task::spawn_blocking;

use crate::codec::decoder;
use crate::download::{Download, open_download};
use crate::durable::{Durability, PendingFile};
use crate::store::{Bucket, StoreError};

/// Whether an incomplete last segment may stand in for a complete one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialPolicy {
    Accept,
    Refuse,
}

/// A WAL file to fetch.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    pub name: WalName,
    pub destination: PathBuf,
    pub partial: PartialPolicy,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The key of the object it came from.
    pub key: String,
}

/// Why there is no file at the destination.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{name} is not in the archive {archive}")]
    NotFound { name: WalName, archive: String },
    #[error("{name} is not in the archive, and there is nothing else below {server}")]
    NothingThere { name: WalName, server: String },
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
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("a worker ended unexpectedly: {0}")]
    Worker(String),
}

/// An object whose decoded content is about to be read.
pub struct Decoded {
    download: Download,
    codec: Codec,
}

impl Decoded {
    /// Opens the content, on the blocking thread that reads it.
    ///
    /// # Errors
    /// When the codec cannot be set up.
    pub fn open(self) -> io::Result<Box<dyn Read>> {
        decoder(self.codec, self.download)
    }
}

/// Begins to download an object that is compressed with `codec`.
///
/// # Errors
/// When the store does not have it or refuses.
pub async fn open_decoded(bucket: &Bucket, key: &str, codec: Codec) -> Result<Decoded, StoreError> {
    Ok(Decoded {
        download: open_download(bucket, key).await?,
        codec,
    })
}

/// Fetches one WAL file.
///
/// # Errors
/// See [`FetchError`]; the destination is then as it was.
pub async fn fetch_wal(
    bucket: &Bucket,
    layout: &Layout,
    request: FetchRequest,
) -> Result<Fetched, FetchError> {
    let Some((key, codec)) = search(bucket, layout, &request.name, request.partial).await? else {
        return Err(not_found(bucket, layout, request.name).await?);
    };
    let decoded = open_decoded(bucket, &key, codec).await?;
    let object = bucket.address(&key);
    let write = spawn_blocking(move || write_checked(&request, decoded, object));
    write
        .await
        .map_err(|error| FetchError::Worker(error.to_string()))??;
    Ok(Fetched { key })
}

/// The key and codec of the object that holds exactly this WAL file, in whatever codec.
///
/// # Errors
/// When the store cannot be asked.
pub async fn find(
    bucket: &Bucket,
    layout: &Layout,
    name: &WalName,
) -> Result<Option<(String, Codec)>, StoreError> {
    search(bucket, layout, name, PartialPolicy::Refuse).await
}

async fn search(
    bucket: &Bucket,
    layout: &Layout,
    name: &WalName,
    partial: PartialPolicy,
) -> Result<Option<(String, Codec)>, StoreError> {
    let objects = bucket.list(&layout.wal(name, Codec::None)).await?;
    let files = objects
        .iter()
        .filter_map(|object| object.location.filename());
    let found = choose(name, partial, files);
    let directory = layout.wal_directory(name);
    Ok(found.map(|(file, codec)| (format!("{directory}/{file}"), codec)))
}

/// Why there is nothing to fetch: a segment of a server that has nothing at all in the store was
/// probably asked for in the wrong place.
async fn not_found(
    bucket: &Bucket,
    layout: &Layout,
    name: WalName,
) -> Result<FetchError, StoreError> {
    let server = format!("{}/", layout.server_root());
    let is_segment = matches!(name, WalName::Segment(_));
    if is_segment && !bucket.any(&server).await? {
        let server = bucket.address(&server);
        return Ok(FetchError::NothingThere { name, server });
    }
    let archive = bucket.address(&layout.wal(&name, Codec::None));
    Ok(FetchError::NotFound { name, archive })
}

/// The object to take: the complete file wins over a partial one.
fn choose<'a>(
    name: &WalName,
    partial: PartialPolicy,
    files: impl Iterator<Item = &'a str>,
) -> Option<(String, Codec)> {
    let mut second = None;
    for file in files {
        match (parse_wal_file(file), name) {
            (Some((found, codec)), wanted) if found == *wanted => {
                return Some((file.to_owned(), codec));
            }
            (Some((WalName::Partial(found), codec)), WalName::Segment(wanted))
                if found == *wanted && partial == PartialPolicy::Accept =>
            {
                second = Some((file.to_owned(), codec));
            }
            _ => {}
        }
    }
    second
}

fn write_checked(
    request: &FetchRequest,
    decoded: Decoded,
    object: String,
) -> Result<(), FetchError> {
    let write_failed = |source| FetchError::Write {
        path: request.destination.clone(),
        source,
    };
    let mut source = decoded.open().map_err(|source| FetchError::Decode {
        object: object.clone(),
        source,
    })?;
    let mut file = PendingFile::create(&request.destination).map_err(write_failed)?;
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let mut buffer = vec![0; 256 * 1024];
    let mut length = 0;
    loop {
        let count = source
            .read(&mut buffer)
            .map_err(|source| FetchError::Decode {
                object: object.clone(),
                source,
            })?;
        if count == 0 {
            break;
        }
        let wanted = HEAD_BYTES.saturating_sub(head.len()).min(count);
        head.extend_from_slice(&buffer[..wanted]);
        file.write_all(&buffer[..count]).map_err(write_failed)?;
        length += count as u64;
    }
    if let WalName::Segment(name) | WalName::Partial(name) = &request.name {
        let checked = check_segment(name, &head, length, None);
        checked.map_err(|source| FetchError::Segment { object, source })?;
    }
    // Recovery asks again after a crash, so the disk need not have it before we say so.
    file.finish(Durability::Atomic).map_err(write_failed)
}

const HEAD_BYTES: usize = 8192;
