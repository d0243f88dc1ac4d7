//! Fetching one WAL file for recovery.
//!
//! Always true: the destination appears whole, checked and under its name, or not at all; "not in
//! the archive" is told apart from every other failure, since PostgreSQL ends recovery on it.

use std::io;
use std::path::PathBuf;

use model::cloud::{Layout, parse_wal_file};
use model::codec::Codec;
use model::postgres::SegmentSize;
use model::wal::name::WalName;
use model::wal::segment::BadSegment;
use tokio::task::spawn_blocking;

use super::receive::{Decoded, Expected, open_decoded, receive};
use crate::durable::{Durability, remove_abandoned};
use crate::store::{Bucket, StoreError};
use crate::upload::StopFlag;

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
    /// The size in a segment's header; `None` for any other file.
    pub segment_size: Option<SegmentSize>,
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

/// Fetches one WAL file. What a killed process left of an earlier attempt is removed first.
///
/// # Errors
/// See [`FetchError`]; the destination is then as it was, with nothing left beside it.
pub async fn fetch_wal(
    bucket: &Bucket,
    layout: &Layout,
    request: FetchRequest,
    stop: &StopFlag,
) -> Result<Fetched, FetchError> {
    let destination = request.destination.clone();
    // While the store is asked: that directory may be large.
    let clearing = spawn_blocking(move || remove_abandoned(&destination));
    let locate = async {
        let found = search(bucket, layout, &request.name, request.partial).await?;
        let Some((key, codec)) = found else {
            return Err(not_found(bucket, layout, request.name).await?);
        };
        let decoded = open_decoded(bucket, (&key, codec), stop).await?;
        Ok((key, decoded))
    };
    let located = tokio::select! {
        biased;
        () = stop.raised() => Err(FetchError::Stopped),
        located = locate => located,
    };
    let cleared = clearing.await;
    cleared.map_err(|error| FetchError::Worker(error.to_string()))?;
    let (key, decoded) = located?;
    let (object, stop) = (bucket.address(&key), stop.clone());
    let write = spawn_blocking(move || put_in_place(&request, decoded, &object, &stop));
    let segment_size = write
        .await
        .map_err(|error| FetchError::Worker(error.to_string()))??;
    Ok(Fetched { key, segment_size })
}

fn put_in_place(
    request: &FetchRequest,
    decoded: Decoded,
    object: &str,
    stop: &StopFlag,
) -> Result<Option<SegmentSize>, FetchError> {
    let expected = Expected {
        name: &request.name,
        object,
        destination: &request.destination,
    };
    let received = receive(decoded, &expected, stop)?;
    // Recovery asks again after a crash, so the disk need not have it before we say so.
    let placed = received.file.finish(Durability::Atomic);
    placed.map_err(|source| FetchError::Write {
        path: request.destination.clone(),
        source,
    })?;
    Ok(received.segment_size)
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
