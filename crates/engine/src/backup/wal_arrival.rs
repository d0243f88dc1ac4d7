//! Waiting for the WAL of a backup, and giving earlier backups that waited in vain their status.
//!
//! Always true: a backup is DONE only after each of its segments was seen in the bucket.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::tz::TimeZone;
use model::backup::BackupStatus;
use model::backup::catalogue::Entry;
use model::backup::id::BackupId;
use model::format::backup_info;
use model::wal::span::{MissingWal, WalRange};

use super::{World, step};
use crate::catalogue::{backup_ids, read_backup};
use crate::progress::Event;
use crate::store::StoreError;
use crate::wal::presence::{missing_wal, still_missing};

const POLL: Duration = Duration::from_millis(500);

/// Waits until every segment of the range is there, at most `patience`; returns what is missing.
/// A store that cannot be asked has nothing, as far as anybody knows: the copy is complete, and
/// a later look decides.
pub async fn wait_for_wal(world: &World, range: &WalRange, patience: Duration) -> MissingWal {
    let deadline = Instant::now() + patience;
    let mut missing = MissingWal {
        spans: range.spans(None),
        history: range.history(),
    };
    let mut refusal;
    loop {
        refusal = None;
        match still_missing(&world.bucket, &world.layout, (range, &missing)).await {
            Ok(still) => missing = still,
            Err(error) => refusal = Some(error),
        }
        let is_over = Instant::now() >= deadline || *world.cancel.borrow();
        if missing.is_empty() || is_over {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    if let Some(error) = refusal {
        warn(world, &format!("cannot see which WAL has arrived: {error}"));
    }
    missing
}

/// How many earlier backups are looked at: a catalogue may hold thousands.
const LOOK_BACK: usize = 8;

/// Makes the backups before this one DONE whose last WAL has arrived since they were taken. A
/// failure is only worth a warning: the next backup looks again.
pub async fn settle_waiting(world: &World, but: &BackupId) {
    if let Err(error) = settle_each(world, but).await {
        let text = format!("cannot look after backups that wait for WAL: {error}");
        warn(world, &text);
    }
}

async fn settle_each(world: &World, but: &BackupId) -> Result<(), StoreError> {
    let known = backup_ids(&world.bucket, &world.layout).await?;
    let earlier = known.iter().rev().filter(|id| *id < but);
    for id in earlier.take(LOOK_BACK) {
        let Some(Entry::Readable(info)) = read_backup(&world.bucket, &world.layout, id).await?
        else {
            continue;
        };
        let range = WalRange::of(&info);
        let Some(range) = range.filter(|_| info.status == BackupStatus::WaitingForWals) else {
            continue;
        };
        let missing = missing_wal(&world.bucket, &world.layout, &range).await?;
        if missing.is_empty() && settle(world, id).await? {
            step(world, &format!("the WAL of backup {id} has arrived"));
        }
    }
    Ok(())
}

/// Rewrites the record if it still is as it was when it was read: somebody may be deleting it.
async fn settle(world: &World, id: &BackupId) -> Result<bool, StoreError> {
    let key = world.layout.backup_info(id);
    let (content, version) = world.bucket.read_version(&key).await?;
    let text = String::from_utf8_lossy(&content);
    let Ok(mut info) = backup_info::parse(&text, &TimeZone::system()) else {
        return Ok(false);
    };
    if info.status != BackupStatus::WaitingForWals {
        return Ok(false);
    }
    info.status = BackupStatus::Done;
    let content = Bytes::from(backup_info::render(&info));
    world.bucket.replace(&key, version, content).await
}

fn warn(world: &World, text: &str) {
    world.progress.event(Event::Warning { text });
}
