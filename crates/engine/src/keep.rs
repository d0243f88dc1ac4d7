//! Keeping a backup from retention: the annotation beside its record.
//!
//! What a kept backup is spared is decided in `model::retention` and `model::deletion`. Always
//! true: only a complete backup gets an annotation, and one that a deletion reached at the same
//! moment does not have it in the end; a store that fails takes no annotation away.

use bytes::Bytes;
use model::backup::BackupStatus;
use model::backup::catalogue::Entry;
use model::backup::id::BackupId;
use model::keep::{BadKeep, KeepTarget};

use crate::catalogue::read_backup;
use crate::repository::Shelf;
use crate::store::StoreError;

/// Why a backup is not kept, or why nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("cannot keep backup {id}: its status is {status}, and only a DONE backup can be kept")]
    NotDone { id: BackupId, status: BackupStatus },
    #[error("cannot keep backup {id}: it is not there any longer")]
    Gone { id: BackupId },
    #[error("cannot keep backup {id}: its record cannot be read: {reason}")]
    Unreadable { id: BackupId, reason: String },
    #[error("cannot tell whether backup {id} is kept")]
    Annotation {
        id: BackupId,
        #[source]
        source: BadKeep,
    },
    #[error("backup {id} is kept ({target}), but nobody could look whether it is still complete")]
    Unchecked {
        id: BackupId,
        target: KeepTarget,
        #[source]
        source: StoreError,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps a complete backup, or changes what of it is kept.
///
/// The record is looked at before and after: a deletion first marks the record and then looks for
/// the annotation, so that one of the two gives way.
///
/// # Errors
/// When the backup is not complete, or the store refuses. If it refuses only the second look, the
/// backup is kept: as before, if it was, else as asked for.
pub async fn keep(shelf: &Shelf, id: &BackupId, target: KeepTarget) -> Result<(), KeepError> {
    check_done(shelf, id).await?;
    let before = match kept(shelf, id).await {
        Ok(before) => before,
        // Now it gets one that can be understood.
        Err(KeepError::Annotation { .. }) => None,
        Err(error) => return Err(error),
    };
    annotate(shelf, id, target).await?;
    match check_done(shelf, id).await {
        Err(error @ (KeepError::NotDone { .. } | KeepError::Gone { .. })) => {
            shelf
                .bucket
                .delete(&shelf.layout.annotation_keep(id))
                .await?;
            Err(error)
        }
        Err(KeepError::Store(source)) => {
            let id = *id;
            let mut target = target;
            if let Some(before) = before
                && annotate(shelf, &id, before).await.is_ok()
            {
                target = before;
            }
            Err(KeepError::Unchecked { id, target, source })
        }
        looked => looked,
    }
}

async fn annotate(shelf: &Shelf, id: &BackupId, target: KeepTarget) -> Result<(), StoreError> {
    let body = Bytes::from_static(target.render().as_bytes());
    shelf
        .bucket
        .write(&shelf.layout.annotation_keep(id), body)
        .await
}

/// Hands a backup back to retention; one that is not kept stays as it is.
///
/// # Errors
/// When the store refuses.
pub async fn release(shelf: &Shelf, id: &BackupId) -> Result<(), StoreError> {
    shelf.bucket.delete(&shelf.layout.annotation_keep(id)).await
}

/// What is kept of a backup, if it is kept.
///
/// # Errors
/// When the annotation cannot be read or says something else.
pub async fn kept(shelf: &Shelf, id: &BackupId) -> Result<Option<KeepTarget>, KeepError> {
    let body = match shelf.bucket.read(&shelf.layout.annotation_keep(id)).await {
        Ok(body) => body,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let target = KeepTarget::parse(&String::from_utf8_lossy(&body));
    target
        .map(Some)
        .map_err(|source| KeepError::Annotation { id: *id, source })
}

async fn check_done(shelf: &Shelf, id: &BackupId) -> Result<(), KeepError> {
    let id = *id;
    match read_backup(shelf, &id).await? {
        Some(Entry::Readable(info)) if info.status == BackupStatus::Done => Ok(()),
        Some(Entry::Readable(info)) => Err(KeepError::NotDone {
            id,
            status: info.status,
        }),
        Some(Entry::Unreadable { reason }) => Err(KeepError::Unreadable { id, reason }),
        None => Err(KeepError::Gone { id }),
    }
}
