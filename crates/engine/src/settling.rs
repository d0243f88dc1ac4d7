//! Giving backups that wait for WAL the status that is true by now.
//!
//! What may come and what was passed over is decided in `model::backup::arrival`. Always true: a
//! backup is DONE only after each of its segments was seen in the bucket, the first and the last of
//! them of its own system, and a record is written only in place of what was read: somebody may be
//! deleting it.

use std::ops::ControlFlow;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::backup::arrival::{self, StoredWal};
use model::backup::catalogue::{Catalogue, Entry};
use model::backup::id::BackupId;
use model::backup::{BackupInfo, BackupStatus};
use model::format::backup_info;
use model::wal::name::SegmentName;
use model::wal::span::WalRange;

use crate::repository::{Repository, Shelf};
use crate::store::{StoreError, key_of};
use crate::wal::presence::{is_of_system, missing_wal};

/// What becomes of what was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// The records are rewritten.
    Write,
    /// Only the catalogue in memory tells.
    Show,
}

/// A backup that has another status now.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    pub id: BackupId,
    pub status: BackupStatus,
    /// Why it is FAILED.
    pub error: Option<String>,
}

/// Looks for the WAL of every backup that waits for some, and corrects the catalogue.
///
/// # Errors
/// When the store cannot be asked, or refuses to write.
pub async fn settle(
    repository: &Repository,
    backups: &mut Catalogue,
    how: Settle,
) -> Result<Vec<Settled>, StoreError> {
    let unsettled = backups.readable();
    let unsettled = unsettled.filter(|(_, info)| arrival::is_unsettled(info));
    let unsettled: Vec<_> = unsettled.map(|(id, info)| (*id, info.clone())).collect();
    let mut settled = Vec::new();
    for (id, info) in unsettled {
        let Some(now) = look(&repository.wals, &info).await? else {
            continue;
        };
        if how == Settle::Write && !rewrite(&repository.records, &id, (&info, &now)).await? {
            continue;
        }
        settled.push(Settled {
            id,
            status: now.status,
            error: now.error.clone(),
        });
        backups.insert(id, Entry::from(now));
    }
    Ok(settled)
}

/// The record as it should be, if it is not.
async fn look(shelf: &Shelf, info: &BackupInfo) -> Result<Option<BackupInfo>, StoreError> {
    let Some(range) = WalRange::of(info) else {
        return Ok(None);
    };
    let missing = missing_wal(shelf, &range).await?;
    if missing.is_empty() && !is_of_system(shelf, &range, info.systemid).await? {
        return Ok(None);
    }
    let passed_by = match (missing.first(), info.status) {
        (Some(first), BackupStatus::WaitingForWals) => find_passing(shelf, (info, &first)).await?,
        _ => None,
    };
    Ok(arrival::settle(info, &missing, passed_by.as_ref()))
}

/// Some WAL that tells that the missing segment was passed over.
async fn find_passing(
    shelf: &Shelf,
    (info, missing): (&BackupInfo, &SegmentName),
) -> Result<Option<StoredWal>, StoreError> {
    let name = missing.to_string();
    let timeline = name.get(..8).unwrap_or_default();
    let mut found = None;
    let see = |object: object_store::ObjectMeta| {
        let wal = shelf.layout.wal_of(&key_of(&object));
        let segment = match wal {
            Some((model::wal::name::WalName::Segment(segment), _)) => segment,
            _ => return ControlFlow::Continue(()),
        };
        let second = object.last_modified.timestamp();
        let stored = StoredWal {
            name: segment,
            since: Timestamp::from_second(second).unwrap_or(Timestamp::MIN),
        };
        if arrival::passes(&stored, missing, info) {
            found = Some(stored);
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    shelf
        .bucket
        .list_each(&format!("{}/{timeline}", shelf.layout.wals()), see)
        .await?;
    Ok(found)
}

/// Writes the record as it should be, if it still is as it was.
async fn rewrite(
    shelf: &Shelf,
    id: &BackupId,
    (was, should_be): (&BackupInfo, &BackupInfo),
) -> Result<bool, StoreError> {
    let key = shelf.layout.backup_info(id);
    let (content, version) = match shelf.bucket.read_version(&key).await {
        Ok(read) => read,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&content);
    let is_same = backup_info::parse(&text, &TimeZone::system())
        .is_ok_and(|now| backup_info::render(&now) == backup_info::render(was));
    if !is_same {
        return Ok(false);
    }
    let content = Bytes::from(backup_info::render(should_be));
    shelf.bucket.replace(&key, version, content).await
}
