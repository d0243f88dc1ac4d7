//! Giving earlier backups that waited for their WAL in vain their status.
//!
//! Always true: a backup is DONE only after each of its segments was seen in the bucket.

use bytes::Bytes;
use jiff::tz::TimeZone;
use model::backup::BackupStatus;
use model::backup::catalogue::Entry;
use model::backup::id::BackupId;
use model::format::backup_info;
use model::postgres::SystemId;
use model::wal::span::WalRange;

use super::{World, step};
use crate::catalogue::{backup_ids, read_backup};
use crate::progress::Event;
use crate::store::StoreError;
use crate::wal::presence::{Header, missing_wal, read_header};

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
        let is_ours = missing.is_empty() && is_of(world, &range, info.systemid).await?;
        if is_ours && settle(world, id).await? {
            step(world, &format!("the WAL of backup {id} has arrived"));
        }
    }
    Ok(())
}

/// Whether both ends of the range are the WAL of this system: names are claims.
async fn is_of(
    world: &World,
    range: &WalRange,
    system: Option<SystemId>,
) -> Result<bool, StoreError> {
    for segment in [range.first, range.last] {
        let header = read_header(&world.bucket, &world.layout, segment).await?;
        if !matches!(header, Header::Of(found) if system.is_none_or(|system| system == found)) {
            return Ok(false);
        }
    }
    Ok(true)
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
