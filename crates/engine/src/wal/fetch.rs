//! Fetching one WAL file for recovery.
//!
//! Always true: the destination appears whole, checked and under its name, or not at all; "not in
//! the archive" is told apart from every other failure, since PostgreSQL ends recovery on it. It
//! means that the log ends there: where a later segment is there, the log has a hole.

use std::path::PathBuf;
use std::time::Duration;

use model::codec::Codec;
use model::layout::parse_wal_file;
use model::postgres::SegmentSize;
use model::wal::name::WalName;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::error::FetchError;
use super::hole;
use super::inspect::neighbouring_clusters;
use super::receive::{Decoded, Expected, open_decoded, receive};
use crate::causes;
use crate::durable::{Durability, remove_abandoned};
use crate::repository::Shelf;
use crate::stop::StopFlag;
use crate::store::StoreError;

/// How often a segment is looked for that a later one has overtaken.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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
    /// How long at most to look again for a segment that a later one may have overtaken.
    pub longest_wait: Duration,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The key of the object it came from.
    pub key: String,
    /// The size in a segment's header; `None` for any other file.
    pub segment_size: Option<SegmentSize>,
}

/// Fetches one WAL file. What a killed process left of an earlier attempt is removed first.
///
/// # Errors
/// See [`FetchError`]; the destination is then as it was, with nothing left beside it.
pub async fn fetch_wal(
    shelf: &Shelf,
    request: FetchRequest,
    stop: &StopFlag,
) -> Result<Fetched, FetchError> {
    let destination = request.destination.clone();
    // While the store is asked: that directory may be large.
    let clearing = spawn_blocking(move || remove_abandoned(&destination));
    let locate = async {
        let found = locate(shelf, &request).await?;
        let decoded = open_decoded(&shelf.bucket, (&found.key, found.codec), stop).await?;
        Ok((found, decoded))
    };
    let located = tokio::select! {
        biased;
        () = stop.raised() => Err(FetchError::Stopped),
        located = locate => located,
    };
    let cleared = clearing.await;
    cleared.map_err(|error| FetchError::Worker(causes::of_worker(&error)))?;
    let (found, decoded) = located?;
    let (object, stop) = (shelf.bucket.address(&found.key), stop.clone());
    let key = found.key.clone();
    let write = spawn_blocking(move || {
        let content = Content {
            decoded,
            object,
            name: found.name,
        };
        put_in_place(&request, content, &stop)
    });
    let segment_size = write
        .await
        .map_err(|error| FetchError::Worker(causes::of_worker(&error)))??;
    Ok(Fetched { key, segment_size })
}

struct Content {
    decoded: Decoded,
    object: String,
    /// Of the object: it may be the partial one.
    name: WalName,
}

fn put_in_place(
    request: &FetchRequest,
    content: Content,
    stop: &StopFlag,
) -> Result<Option<SegmentSize>, FetchError> {
    let expected = Expected {
        name: &content.name,
        object: &content.object,
        destination: &request.destination,
        system_id: neighbouring_clusters(&request.destination).first().copied(),
    };
    let received = receive(content.decoded, &expected, stop)?;
    // Recovery asks again after a crash, so the disk need not have it before we say so.
    let placed = received.file.finish(Durability::Atomic);
    placed.map_err(|source| FetchError::Write {
        path: request.destination.clone(),
        source,
    })?;
    Ok(received.segment_size)
}

/// An object in the archive.
struct FoundWal {
    key: String,
    codec: Codec,
    name: WalName,
}

/// The object to fetch. Nothing, or half a segment, is an answer only at the end of the log.
async fn locate(shelf: &Shelf, request: &FetchRequest) -> Result<FoundWal, FetchError> {
    let look = || search(shelf, &request.name, request.partial);
    let is_whole = |found: &FoundWal| found.name == request.name;
    let mut found = match look().await? {
        Some(found) if is_whole(&found) => return Ok(found),
        found => found,
    };
    let began = Instant::now();
    let mut surroundings = hole::around(shelf, &request.name).await?;
    if let Some(later) = &surroundings.later {
        while began.elapsed() < later.patience.min(request.longest_wait) {
            tokio::time::sleep(LOOK_AGAIN).await;
            found = match look().await? {
                Some(found) if is_whole(&found) => return Ok(found),
                found => found,
            };
        }
        surroundings = hole::around(shelf, &request.name).await?;
    }
    match (surroundings.later, found) {
        (Some(_), _) if hole::is_beside(&request.destination, &request.name) => {}
        (Some(later), _) => {
            let (name, later) = (request.name, shelf.bucket.address(&later.key));
            return Err(FetchError::Hole { name, later });
        }
        (None, Some(found)) => return Ok(found),
        (None, None) => {}
    }
    Err(not_found(shelf, request.name, surroundings.has_timeline).await?)
}

async fn search(
    shelf: &Shelf,
    name: &WalName,
    partial: PartialPolicy,
) -> Result<Option<FoundWal>, StoreError> {
    let objects = shelf
        .bucket
        .list(&shelf.layout.wal(name, Codec::None))
        .await?;
    let files = objects
        .iter()
        .filter_map(|object| object.location.filename());
    let found = choose(name, partial, files);
    let directory = shelf.layout.wal_directory(name);
    Ok(found.map(|(file, name, codec)| FoundWal {
        key: format!("{directory}/{file}"),
        codec,
        name,
    }))
}

/// Why there is nothing to fetch: a segment of a server that has nothing at all in the store was
/// probably asked for in the wrong place.
async fn not_found(
    shelf: &Shelf,
    name: WalName,
    is_somebody_there: bool,
) -> Result<FetchError, StoreError> {
    let server = format!("{}/", shelf.layout.server_root());
    let is_segment = matches!(name, WalName::Segment(_));
    if is_segment && !is_somebody_there && !shelf.bucket.any(&server).await? {
        let server = shelf.bucket.address(&server);
        return Ok(FetchError::NothingThere { name, server });
    }
    let archive = shelf.bucket.address(&shelf.layout.wal(&name, Codec::None));
    Ok(FetchError::NotFound { name, archive })
}

/// The object to take: the complete file wins over a partial one.
fn choose<'a>(
    name: &WalName,
    partial: PartialPolicy,
    files: impl Iterator<Item = &'a str>,
) -> Option<(String, WalName, Codec)> {
    let mut second = None;
    for file in files {
        match (parse_wal_file(file), name) {
            (Some((found, codec)), wanted) if found == *wanted => {
                return Some((file.to_owned(), found, codec));
            }
            (Some((found @ WalName::Partial(segment), codec)), WalName::Segment(wanted))
                if segment == *wanted && partial == PartialPolicy::Accept =>
            {
                second = Some((file.to_owned(), found, codec));
            }
            _ => {}
        }
    }
    second
}
