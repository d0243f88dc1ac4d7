//! The timelines that an archive holds after a backup's own.
//!
//! Asked as PostgreSQL asks: the next number until one is not there.

use model::backup::BackupInfo;
use model::restore::forks::{Fork, Way, way_from};
use model::wal::name::{SegmentName, WalName};
use model::wal::timeline::TimelineId;

use super::presence::read_history;
use crate::repository::Shelf;
use crate::store::StoreError;

/// More promotions than anybody follows after one backup.
const MOST_TIMELINES: u32 = 64;

/// Where recovery of a backup goes by itself, and where it may be wrong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ways {
    pub way: Way,
    /// The fork after which the timeline that was left went on: two servers archive here.
    pub went_on: Option<Fork>,
}

/// Looks at the histories; `None` if the record does not say where the backup ended.
///
/// # Errors
/// When the store cannot be asked.
pub async fn ways_from(shelf: &Shelf, info: &BackupInfo) -> Result<Option<Ways>, StoreError> {
    let Some(own) = info.timeline else {
        return Ok(None);
    };
    let mut histories = Vec::new();
    for step in 1..=MOST_TIMELINES {
        let timeline = TimelineId::new(own.number().saturating_add(step));
        let name = WalName::History(timeline);
        if !shelf
            .bucket
            .any(&format!("{}/{name}", shelf.layout.wals()))
            .await?
        {
            break;
        }
        histories.extend(read_history(shelf, timeline).await?);
    }
    let Some(way) = way_from(info, &histories) else {
        return Ok(None);
    };
    let mut went_on = None;
    if let Way::Over(forks) = &way {
        for fork in forks {
            if is_behind(shelf, (fork, info)).await? {
                went_on = Some(*fork);
                break;
            }
        }
    }
    Ok(Some(Ways { way, went_on }))
}

/// Whether the archive has a segment of the parent that begins after the fork's.
async fn is_behind(shelf: &Shelf, (fork, info): (&Fork, &BackupInfo)) -> Result<bool, StoreError> {
    let left = SegmentName::from_lsn(fork.parent, fork.at, info.xlog_segment_size);
    let Some(next) = left.next(info.xlog_segment_size) else {
        return Ok(false);
    };
    let name = WalName::Segment(next);
    let key = format!("{}/{name}", shelf.layout.wal_directory(&name));
    shelf.bucket.any(&key).await
}
