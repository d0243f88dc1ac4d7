//! Archiving the segments that PostgreSQL will hand over next, beside the one it hands over now.
//!
//! PostgreSQL marks finished segments with `.ready` files in `archive_status` and gives them to
//! `archive_command` one by one. Those that follow the requested one without a gap are archived at
//! the same time, each checked and stored like any other, and then noted; when PostgreSQL hands one
//! over, the note answers without a request. Always true: a note is written after the store has
//! confirmed the object, and believed only for the very file, unchanged; without notes everything
//! is archived again, which finds the same content there.

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use model::wal::ahead::Position;
use model::wal::name::{SegmentName, WalName};
use tokio::sync::Semaphore;

use super::archive::{ArchiveRequest, Archived};
use super::archive::{ArchivingWay, archive_inspected, on_blocking_thread};
use super::archived_notes::{ArchivedNotes, FileState};
use super::error::WalArchiveError;
use super::inspect::{Inspected, inspect, wal_name};
use super::lookup::Lookup;
use super::owner::ArchiveOwner;
use super::pack::Cores;
use crate::repository::Shelf;

/// The requested file is archived: its answer waits no longer than this for the others.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many files are archived at the same time, and where is noted which.
#[derive(Debug, Clone, Copy)]
pub struct Ahead<'a> {
    /// The requested one among them.
    pub file_count: usize,
    pub notes: &'a ArchivedNotes,
}

/// What became of the requested file and of the others.
#[derive(Debug)]
pub struct ArchivedAhead {
    pub requested: Archived,
    /// The files that were not archived ahead, and why: PostgreSQL will ask for them.
    pub failed: Vec<(PathBuf, WalArchiveError)>,
    /// How many were.
    pub stored_count: usize,
}

/// Archives a file and those that follow it.
///
/// # Errors
/// When the requested one is not archived; the others may be.
pub async fn archive_ahead(
    shelf: &Shelf,
    request: &ArchiveRequest,
    ahead: Ahead<'_>,
) -> Result<ArchivedAhead, WalArchiveError> {
    let path = request.path.clone();
    let inspected = on_blocking_thread(move || inspect(&path)).await?;
    let name = inspected.name;
    let ready = gather_ready(&inspected, ahead);
    let segments: Vec<_> = ready.iter().filter_map(|path| segment_of(path)).collect();
    let way = &if segments.is_empty() {
        ArchivingWay {
            cores: Cores::All,
            lookup: &Lookup::default(),
            turns: Semaphore::new(1),
            owner: ArchiveOwner::default(),
        }
    } else {
        ArchivingWay {
            cores: Cores::One,
            lookup: &Lookup::of(
                &shelf.layout,
                segment_of(&inspected.path).iter().chain(&segments),
            ),
            turns: Semaphore::new(available_parallelism().map_or(1, usize::from)),
            owner: ArchiveOwner::default(),
        }
    };
    let requested = archive_inspected(shelf, request, inspected, way);
    let others: FuturesUnordered<_> = ready
        .into_iter()
        .map(|path| {
            let other = ArchiveRequest {
                path,
                ..request.clone()
            };
            async move {
                let archived = archive_and_note(shelf, &other, way, ahead.notes).await;
                (other.path, archived)
            }
        })
        .collect();
    let outcome = drive(requested, others).await;
    // PostgreSQL asks for this one no more, unless it was not archived; then nothing was noted.
    ahead.notes.forget(&name);
    outcome
}

type Other = (PathBuf, Result<(), WalArchiveError>);

async fn drive(
    requested: impl Future<Output = Result<super::archive::SentWal, WalArchiveError>>,
    mut others: FuturesUnordered<impl Future<Output = Other>>,
) -> Result<ArchivedAhead, WalArchiveError> {
    let mut failed = Vec::new();
    let mut stored_count = 0;
    let mut note = |(path, archived): Other| match archived {
        Ok(()) => stored_count += 1,
        Err(error) => failed.push((path, error)),
    };
    tokio::pin!(requested);
    let sent = loop {
        tokio::select! {
            biased;
            sent = &mut requested => break sent?,
            Some(other) = others.next() => note(other),
        }
    };
    // What is cut off is as if it had not been begun: an object appears whole or not at all.
    let patience = tokio::time::sleep(PATIENCE);
    tokio::pin!(patience);
    loop {
        tokio::select! {
            other = others.next() => match other {
                Some(other) => note(other),
                None => break,
            },
            () = &mut patience => break,
        }
    }
    Ok(ArchivedAhead {
        requested: sent.archived,
        failed,
        stored_count,
    })
}

fn segment_of(path: &Path) -> Option<SegmentName> {
    match wal_name(path).ok()? {
        WalName::Segment(segment) => Some(segment),
        _ => None,
    }
}

async fn archive_and_note(
    shelf: &Shelf,
    request: &ArchiveRequest,
    way: &ArchivingWay<'_>,
    notes: &ArchivedNotes,
) -> Result<(), WalArchiveError> {
    let path = request.path.clone();
    let inspected = on_blocking_thread(move || inspect(&path)).await?;
    let name = inspected.name;
    let state = FileState::of(&inspected.metadata, inspected.seen_at);
    let sent = archive_inspected(shelf, request, inspected, way).await?;
    // Without the note it is archived again, which succeeds.
    let _ = notes.add(&name, state, &sent);
    Ok(())
}

/// The files that PostgreSQL will hand over next, as far as they follow without a gap.
fn gather_ready(requested: &Inspected, ahead: Ahead<'_>) -> Vec<PathBuf> {
    let (WalName::Segment(segment), Some(size)) = (requested.name, requested.segment_size) else {
        return Vec::new();
    };
    let position = Position {
        segment,
        size,
        segment_count: ahead.file_count.saturating_sub(1),
    };
    let status = requested
        .path
        .parent()
        .unwrap_or(Path::new("."))
        .join("archive_status");
    let is_ready = |segment: &_| status.join(format!("{segment}.ready")).exists();
    let following = position.following().take_while(is_ready);
    following
        .filter(|segment| !ahead.notes.has(&WalName::Segment(*segment)))
        .map(|segment| requested.path.with_file_name(segment.to_string()))
        .collect()
}
