//! Looking whether a file that is not there is missing: whether a later one is there.
//!
//! Which of them means what is decided in `model::wal::hole`. Always true: where no later segment
//! of the timeline is there, two listings beside each other have told so, and nothing was read.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

use model::postgres::SegmentSize;
use model::wal::hole::{HISTORY_PATIENCE, is_on_its_timeline, patience};
use model::wal::name::{SegmentName, WalName};
use model::wal::segment::{HEADER_LENGTH, check_segment_head};
use model::wal::timeline::{TimelineHistory, TimelineId};
use tokio::task::spawn_blocking;

use super::error::FetchError;
use super::lookup::find;
use super::neighbours::{Neighbour, after, header_of, later_history, segment_of};
use super::receive::{TEXT_LIMIT_BYTES, open_decoded};
use crate::causes;
use crate::repository::Shelf;
use crate::stop::StopFlag;
use crate::store::key_of;

/// A segment that comes after one that is not there.
pub(super) struct Later {
    pub(super) key: String,
    /// How long the earlier one may still be on its way.
    pub(super) patience: Duration,
}

/// What the archive has around a segment.
pub(super) struct Surroundings {
    pub(super) later: Option<Later>,
    /// Whether it has anything of the segment's timeline.
    pub(super) has_timeline: bool,
}

/// Looks for a later file that makes the absence of this one a hole.
///
/// # Errors
/// When the store cannot be asked.
pub(super) async fn around(shelf: &Shelf, name: &WalName) -> Result<Surroundings, FetchError> {
    match name {
        WalName::Segment(segment) => around_segment(shelf, segment).await,
        WalName::History(timeline) => {
            let mut later = later_history(shelf, *timeline).await?;
            if later.is_none() && timeline.number() > 1 {
                later = segment_of(shelf, *timeline).await?;
            }
            Ok(Surroundings {
                later: later.map(|key| Later {
                    key,
                    patience: HISTORY_PATIENCE,
                }),
                has_timeline: false,
            })
        }
        WalName::Partial(_) | WalName::BackupLabel { .. } => Ok(Surroundings {
            later: None,
            has_timeline: false,
        }),
    }
}

async fn around_segment(shelf: &Shelf, segment: &SegmentName) -> Result<Surroundings, FetchError> {
    let after = after(shelf, segment).await?;
    let has_timeline = after.has_timeline;
    let Some(next) = after.next else {
        return Ok(Surroundings {
            later: None,
            has_timeline,
        });
    };
    let has_begun = if after.has_earlier || segment.timeline() == TimelineId::new(1) {
        true
    } else {
        has_begun(shelf, segment, &next).await?
    };
    let age = SystemTime::now().duration_since(next.object.last_modified.into());
    let later = has_begun.then(|| Later {
        key: key_of(&next.object).into_owned(),
        patience: patience(age.ok()),
    });
    Ok(Surroundings {
        later,
        has_timeline,
    })
}

/// Whether the timeline had left its ancestor by then. Nobody knows without its history.
async fn has_begun(
    shelf: &Shelf,
    segment: &SegmentName,
    next: &Neighbour,
) -> Result<bool, FetchError> {
    let timeline = segment.timeline();
    let Some((key, codec)) = find(shelf, &WalName::History(timeline)).await? else {
        return Ok(false);
    };
    let object = shelf.bucket.address(&key);
    let stored = open_decoded(&shelf.bucket, (&key, codec), &StopFlag::default()).await?;
    let read = spawn_blocking(move || {
        let mut content = Vec::new();
        let mut bounded = stored.open()?.take(TEXT_LIMIT_BYTES);
        bounded.read_to_end(&mut content)?;
        Ok(content)
    });
    let content = read
        .await
        .map_err(|error| FetchError::Worker(causes::of_worker(&error)))?;
    let content = content.map_err(|source| FetchError::Decode { object, source })?;
    let history = TimelineHistory::parse(timeline, &String::from_utf8_lossy(&content));
    let facts = header_of(&shelf.bucket, next).await?;
    let size = facts.map_or(SegmentSize::DEFAULT, |facts| facts.segment_size);
    Ok(history.is_ok_and(|history| is_on_its_timeline(segment, &history, size)))
}

/// Whether PostgreSQL has this file itself, in the directory where it wants what is fetched: it
/// reads that when the archive does not have it. A recycled segment still has its old header.
pub(super) fn is_beside(destination: &Path, name: &WalName) -> bool {
    let path = destination.with_file_name(name.to_string());
    let is_file = std::fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
    let WalName::Segment(segment) = name else {
        return is_file;
    };
    let mut head = [0; HEADER_LENGTH];
    let read = is_file && File::open(&path).is_ok_and(|mut it| it.read_exact(&mut head).is_ok());
    read && check_segment_head(segment, &head).is_ok()
}
