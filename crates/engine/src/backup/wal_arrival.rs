//! Whether the WAL that a backup needs has arrived in the bucket.
//!
//! A base backup without its WAL cannot be restored. Archiving is the server's own doing, so all
//! that can be done here is to wait for a while and to name what is missing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use model::cloud::parse_wal_file;
use model::postgres::SegmentSize;
use model::wal::name::{SegmentName, WalName};

use super::World;
use crate::store::StoreError;

const POLL: Duration = Duration::from_millis(500);

/// The segments of a backup, first and last included.
pub struct WalRange {
    pub first: SegmentName,
    pub last: SegmentName,
    pub segment_size: SegmentSize,
}

/// Waits until every segment of the range is there, at most `patience`; returns what is missing.
///
/// # Errors
/// When the store cannot be asked.
pub async fn wait_for_wal(
    world: &World,
    range: &WalRange,
    patience: Duration,
) -> Result<Vec<SegmentName>, StoreError> {
    let deadline = Instant::now() + patience;
    let mut missing = needed(range);
    loop {
        missing = still_missing(world, missing).await?;
        if missing.is_empty() || Instant::now() >= deadline || *world.cancel.borrow() {
            return Ok(missing);
        }
        tokio::time::sleep(POLL).await;
    }
}

fn needed(range: &WalRange) -> Vec<SegmentName> {
    let following = |name: &SegmentName| name.next(range.segment_size);
    let names = std::iter::successors(Some(range.first), following);
    names.take_while(|name| *name <= range.last).collect()
}

async fn still_missing(
    world: &World,
    names: Vec<SegmentName>,
) -> Result<Vec<SegmentName>, StoreError> {
    let directory = |name: &SegmentName| world.layout.wal_directory(&WalName::Segment(*name));
    let directories: BTreeSet<_> = names.iter().map(directory).collect();
    let mut present = BTreeSet::new();
    for directory in directories {
        let prefix = format!("{directory}/");
        for object in world.bucket.list(&prefix).await? {
            let file = object.location.filename().unwrap_or_default();
            if let Some((WalName::Segment(segment), _)) = parse_wal_file(file) {
                present.insert(segment);
            }
        }
    }
    Ok(names
        .into_iter()
        .filter(|name| !present.contains(name))
        .collect())
}
