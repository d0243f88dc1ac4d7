//! Whether the WAL that a backup needs is in the bucket.
//!
//! A base backup can be restored only with every segment from its start to its end. Archiving is
//! the server's own doing; here is only the look whether it has been done.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use model::backup::BackupInfo;
use model::cloud::{Layout, parse_wal_file};
use model::postgres::SegmentSize;
use model::wal::name::{SegmentName, WalName};

use crate::store::{Bucket, StoreError};

/// The segments of a backup, first and last included.
#[derive(Debug, Clone, Copy)]
pub struct WalRange {
    pub first: SegmentName,
    pub last: SegmentName,
    pub segment_size: SegmentSize,
}

impl WalRange {
    /// What a backup needs by its record; `None` if that does not say it, as one that was never
    /// finished.
    pub fn of(info: &BackupInfo) -> Option<WalRange> {
        let segment = |text: &Option<String>| text.as_deref()?.parse().ok();
        Some(WalRange {
            first: segment(&info.begin_wal)?,
            last: segment(&info.end_wal)?,
            segment_size: info.xlog_segment_size,
        })
    }

    /// Every segment of the range, in order.
    pub fn segments(&self) -> Vec<SegmentName> {
        let following = |name: &SegmentName| name.next(self.segment_size);
        let names = std::iter::successors(Some(self.first), following);
        names.take_while(|name| *name <= self.last).collect()
    }
}

/// Those of the segments that are not in the bucket, whatever the codec.
///
/// # Errors
/// When the store cannot be asked.
pub async fn missing_segments(
    bucket: &Bucket,
    layout: &Layout,
    segments: Vec<SegmentName>,
) -> Result<Vec<SegmentName>, StoreError> {
    let directory = |name: &SegmentName| layout.wal_directory(&WalName::Segment(*name));
    let directories: BTreeSet<_> = segments.iter().map(directory).collect();
    let mut missing: BTreeSet<_> = segments.into_iter().collect();
    for directory in directories {
        let see = |object: object_store::ObjectMeta| {
            let file = object.location.filename().unwrap_or_default();
            if let Some((WalName::Segment(segment), _)) = parse_wal_file(file) {
                missing.remove(&segment);
            }
            ControlFlow::Continue(())
        };
        bucket.list_each(&format!("{directory}/"), see).await?;
    }
    Ok(missing.into_iter().collect())
}
