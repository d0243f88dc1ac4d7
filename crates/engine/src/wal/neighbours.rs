//! What the archive has around a segment, asked for only where that alone is not the answer.
//!
//! Bounded in archives of any size: the objects of one directory, which are at most 4096 segments,
//! and the names of a timeline's directories, of which each stands for 4 GiB of log. Always true:
//! a neighbour is a segment, complete or partial, that lies where a reader would look for it.

use std::borrow::Cow;
use std::io::Read;
use std::ops::ControlFlow;

use model::codec::Codec;
use model::wal::name::{SegmentName, WalName};
use model::wal::segment::{HEADER_LENGTH, SegmentFacts, check_segment_head};
use model::wal::timeline::TimelineId;
use object_store::ObjectMeta;
use tokio::task::spawn_blocking;

use super::receive::open_decoded;
use crate::repository::Shelf;
use crate::stop::StopFlag;
use crate::store::{Bucket, StoreError, key_of};

/// A segment in the archive.
#[derive(Debug, Clone)]
pub(super) struct Neighbour {
    pub(super) segment: SegmentName,
    pub(super) codec: Codec,
    pub(super) object: ObjectMeta,
}

/// What lies after a segment on its timeline.
pub(super) struct After {
    /// The next one that is there.
    pub(super) next: Option<Neighbour>,
    /// Whether anything of the timeline is there at all.
    pub(super) has_timeline: bool,
    /// Whether something of the timeline lies before the segment.
    pub(super) has_earlier: bool,
}

/// Looks at what follows a segment on its own timeline.
///
/// # Errors
/// When the store cannot be listed.
pub(super) async fn after(shelf: &Shelf, segment: &SegmentName) -> Result<After, StoreError> {
    let own = shelf.layout.wal_directory(&WalName::Segment(*segment));
    let timeline = format!("{}/{}", shelf.layout.wals(), segment.timeline());
    let (here, level) =
        tokio::try_join!(segments(shelf, &own), shelf.bucket.list_level(&timeline),)?;
    let directories = level.directories;
    let has_earlier = directories.iter().any(|directory| *directory < own)
        || here.iter().any(|other| other.segment < *segment);
    let mut later = directories.clone();
    later.retain(|directory| *directory > own);
    later.sort();
    let mut next = first_after(here, segment);
    for directory in &later {
        if next.is_some() {
            break;
        }
        next = first_after(segments(shelf, directory).await?, segment);
    }
    Ok(After {
        next,
        has_timeline: !directories.is_empty(),
        has_earlier,
    })
}

fn first_after(all: Vec<Neighbour>, segment: &SegmentName) -> Option<Neighbour> {
    let later = all.into_iter().filter(|other| other.segment > *segment);
    later.min_by_key(|other| other.segment)
}

/// Those that tell whose archive this is: the last one before a segment, and the last one of all.
///
/// # Errors
/// When the store cannot be listed.
pub(super) async fn witnesses(
    shelf: &Shelf,
    segment: &SegmentName,
) -> Result<Vec<Neighbour>, StoreError> {
    let own = shelf.layout.wal_directory(&WalName::Segment(*segment));
    let level = shelf
        .bucket
        .list_level(&format!("{}/", shelf.layout.wals()))
        .await?;
    let mut directories = level.directories;
    directories.sort();
    let before = directories.iter().rev().find(|name| **name <= own);
    let mut found = Vec::new();
    if let Some(directory) = before {
        let mut all = segments(shelf, directory).await?;
        all.retain(|other| other.segment < *segment);
        found.extend(all.into_iter().max_by_key(|other| other.segment));
    }
    if let Some(directory) = directories.last() {
        let mut all = segments(shelf, directory).await?;
        all.retain(|other| other.segment != *segment);
        found.extend(all.into_iter().max_by_key(|other| other.segment));
    }
    found.dedup_by_key(|other| other.segment);
    Ok(found)
}

/// The key of a history of a later timeline, if there is one. PostgreSQL numbers timelines without
/// a gap and asks for their histories one by one.
///
/// # Errors
/// When the store cannot be listed.
pub(super) async fn later_history(
    shelf: &Shelf,
    timeline: TimelineId,
) -> Result<Option<String>, StoreError> {
    let level = shelf
        .bucket
        .list_level(&format!("{}/", shelf.layout.wals()))
        .await?;
    let mut keys = level.objects.iter().map(key_of);
    let later = keys.find(|key| match shelf.layout.wal_of(key) {
        Some((WalName::History(found), _)) => found > timeline,
        _ => false,
    });
    Ok(later.map(Cow::into_owned))
}

/// The key of some segment of a timeline, if there is one. Only what PostgreSQL has begun has
/// segments, and it archives the history before them.
///
/// # Errors
/// When the store cannot be listed.
pub(super) async fn segment_of(
    shelf: &Shelf,
    timeline: TimelineId,
) -> Result<Option<String>, StoreError> {
    let mut found = None;
    let see = |object: object_store::ObjectMeta| {
        let key = key_of(&object);
        let of_timeline = match shelf.layout.wal_of(&key) {
            Some((WalName::Segment(segment) | WalName::Partial(segment), _)) => {
                segment.timeline() == timeline
            }
            _ => false,
        };
        if of_timeline {
            found = Some(key.into_owned());
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let prefix = format!("{}/{timeline}", shelf.layout.wals());
    shelf.bucket.list_each(&prefix, see).await?;
    Ok(found)
}

async fn segments(shelf: &Shelf, directory: &str) -> Result<Vec<Neighbour>, StoreError> {
    let objects = shelf.bucket.list(&format!("{directory}/")).await?;
    let segments =
        objects
            .into_iter()
            .filter_map(|object| match shelf.layout.wal_of(&key_of(&object))? {
                (WalName::Segment(segment) | WalName::Partial(segment), codec) => Some(Neighbour {
                    segment,
                    codec,
                    object,
                }),
                _ => None,
            });
    Ok(segments.collect())
}

/// What the header of a segment in the archive says; `None` if it cannot be read as one.
///
/// # Errors
/// When the store does not give it.
pub(super) async fn header_of(
    bucket: &Bucket,
    neighbour: &Neighbour,
) -> Result<Option<SegmentFacts>, StoreError> {
    let key = key_of(&neighbour.object);
    let stored = open_decoded(bucket, (&key, neighbour.codec), &StopFlag::default()).await?;
    let segment = neighbour.segment;
    let read = spawn_blocking(move || {
        let mut head = [0; HEADER_LENGTH];
        stored.open()?.read_exact(&mut head)?;
        std::io::Result::Ok(head)
    });
    // A worker that ended, or content that cannot be decompressed, says nothing of the cluster.
    let head = read.await.ok().and_then(Result::ok);
    Ok(head.and_then(|head| check_segment_head(&segment, &head).ok()))
}
