//! Keeping backups of a store in memory.

use std::sync::Arc;

use engine::keep::{KeepError, keep, kept, release};
use engine::store::Bucket;
use model::backup::BackupStatus;
use model::backup::id::BackupId;
use model::keep::KeepTarget;
use model::layout::Layout;
use object_store::memory::InMemory;

use crate::stores::{Fault, bucket, bucket_on, shelf};

async fn put_record(bucket: &Bucket, layout: &Layout, id: &BackupId, status: BackupStatus) {
    let text = format!("status={status}\n");
    let key = layout.backup_info(id);
    bucket.write(&key, text.into()).await.unwrap();
}

#[tokio::test]
async fn only_a_complete_backup_is_kept() {
    let (bucket, store) = bucket(Fault::None);
    let layout = Layout::new("some/folder", "main").unwrap();
    let id: BackupId = "20261121T081044".parse().unwrap();
    let records = shelf(&bucket, &layout);
    let try_keep = || keep(&records, &id, KeepTarget::Full);
    assert!(matches!(try_keep().await, Err(KeepError::Gone { .. })));
    put_record(&bucket, &layout, &id, BackupStatus::Failed).await;
    assert!(matches!(try_keep().await, Err(KeepError::NotDone { .. })));
    assert_eq!(store.keys().await.len(), 1);
    put_record(&bucket, &layout, &id, BackupStatus::Done).await;
    try_keep().await.unwrap();
    assert_eq!(
        kept(&shelf(&bucket, &layout), &id).await.unwrap(),
        Some(KeepTarget::Full)
    );
    for _ in 0..2 {
        release(&shelf(&bucket, &layout), &id).await.unwrap();
        assert_eq!(kept(&shelf(&bucket, &layout), &id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_store_that_fails_at_the_second_look_takes_no_annotation_away() {
    let layout = Layout::new("some/folder", "main").unwrap();
    let id: BackupId = "20261121T081044".parse().unwrap();
    for (before, after) in [
        (None, KeepTarget::Standalone),
        (Some(KeepTarget::Full), KeepTarget::Full),
    ] {
        let inner = Arc::new(InMemory::new());
        let (bucket, _) = bucket_on(Arc::clone(&inner), Fault::None);
        put_record(&bucket, &layout, &id, BackupStatus::Done).await;
        if let Some(target) = before {
            keep(&shelf(&bucket, &layout), &id, target).await.unwrap();
        }
        // The record, the annotation; then the record again.
        let (failing, _) = bucket_on(inner, Fault::ReadsAfter(2));
        let refused = keep(&shelf(&failing, &layout), &id, KeepTarget::Standalone).await;
        let Err(KeepError::Unchecked { target, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(target, after);
        assert_eq!(
            kept(&shelf(&bucket, &layout), &id).await.unwrap(),
            Some(after)
        );
    }
}

#[tokio::test]
async fn an_annotation_that_says_something_else_is_an_error() {
    let (bucket, _) = bucket(Fault::None);
    let layout = Layout::new("", "main").unwrap();
    let id: BackupId = "20261121T081044".parse().unwrap();
    let key = layout.annotation_keep(&id);
    bucket.write(&key, "perhaps".into()).await.unwrap();
    assert!(matches!(
        kept(&shelf(&bucket, &layout), &id).await,
        Err(KeepError::Annotation { .. })
    ));
}
