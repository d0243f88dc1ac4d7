//! Deleting from a store in memory that stops working after any number of changes.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use engine::deletion::{DeletionError, Manner, check_locks, execute, gather};
use engine::store::{Bucket, Lock, Locks};
use jiff::Timestamp;
use model::backup::BackupStatus;
use model::backup::catalogue::Entry;
use model::backup::mark::BEING_DELETED;
use model::deletion::{CannotDelete, Choice, DeletionRequest, plan_delete};
use model::layout::Layout;
use object_store::memory::InMemory;
use object_store::path::Path;

use crate::stores::{Fault, bucket_on, repository};

const OLD: &str = "20261101T000000";
const MIDDLE: &str = "20261108T000000";
const NEW: &str = "20261115T000000";

fn layout() -> Layout {
    Layout::new("some/folder", "main").unwrap()
}

fn record(begin_wal: u32) -> String {
    let wal = segment(begin_wal);
    format!(
        "begin_wal={wal}\nend_wal={wal}\nstatus=DONE\ntimeline=1\n\
         end_time=2026-11-15 00:10:00+00:00\nserver_name=cloud\n"
    )
}

fn segment(number: u32) -> String {
    format!("0000000100000000{number:08X}")
}

/// Three backups, at segments 2, 4 and 6 of eight, and things that are none of ours.
async fn filled() -> Arc<InMemory> {
    let inner = Arc::new(InMemory::new());
    let (bucket, _) = bucket_on(Arc::clone(&inner), Fault::None);
    let root = "some/folder/main";
    for (id, begin) in [(OLD, 2), (MIDDLE, 4), (NEW, 6)] {
        let base = format!("{root}/base/{id}");
        put(&bucket, &format!("{base}/backup.info"), &record(begin)).await;
        for name in [
            "16384.tar.gz",
            "data.tar.gz",
            "data_0001.tar.gz",
            "annotations/damage",
        ] {
            put(&bucket, &format!("{base}/{name}"), "x").await;
        }
    }
    for number in 1..=8 {
        let name = segment(number);
        put(
            &bucket,
            &format!("{root}/wals/0000000100000000/{name}.gz"),
            "x",
        )
        .await;
    }
    for other in [
        "some/folder/main/wals/00000002.history",
        "some/folder/main/wals/0000000100000000/README",
        "some/folder/main2/wals/0000000100000000/000000010000000000000001",
        "some/folder/main/base/notes",
    ] {
        put(&bucket, other, "x").await;
    }
    inner
}

async fn put(bucket: &Bucket, key: &str, body: &str) {
    bucket.write(key, body.to_owned().into()).await.unwrap();
}

fn by_id(id: &str) -> Choice {
    Choice::Backup(id.parse().unwrap())
}

fn by_policy(policy: &str) -> Choice {
    Choice::Policy(policy.parse().unwrap())
}

async fn delete(bucket: &Bucket, choice: Choice) -> Result<(), DeletionError> {
    let facts = gather(&repository(bucket, &layout())).await?;
    let request = DeletionRequest {
        choice,
        minimum_redundancy: 0,
        now: Timestamp::UNIX_EPOCH,
    };
    let Ok(plan) = plan_delete(&request, &facts) else {
        return Ok(());
    };
    let batch = NonZeroUsize::new(2).unwrap();
    check_locks(&plan, &repository(bucket, &layout())).await?;
    execute(&plan, &repository(bucket, &layout()), &manner(batch))
        .await
        .map(|_| ())
}

async fn keys(inner: &Arc<InMemory>) -> BTreeSet<String> {
    let (_, store) = bucket_on(Arc::clone(inner), Fault::None);
    store.keys().await.into_iter().collect()
}

#[tokio::test]
async fn a_policy_deletes_the_obsolete_and_their_wal_and_nothing_else() {
    let inner = filled().await;
    let before = keys(&inner).await;
    let (bucket, _) = bucket_on(Arc::clone(&inner), Fault::None);
    delete(&bucket, by_policy("REDUNDANCY 1")).await.unwrap();
    let after = keys(&inner).await;
    let gone: Vec<&String> = before.difference(&after).collect();
    let is_old = |key: &String| {
        let wal = (1..6).any(|number| {
            key.contains(&format!(
                "/main/wals/{:.16}/{}",
                segment(number),
                segment(number)
            ))
        });
        key.contains(OLD) || key.contains(MIDDLE) || wal
    };
    assert_eq!(
        gone,
        before.iter().filter(|key| is_old(key)).collect::<Vec<_>>()
    );
    assert_eq!(gone.len(), 15);
}

/// What says DONE is whole, with all WAL from its beginning.
async fn check(inner: &Arc<InMemory>) {
    let (bucket, _) = bucket_on(Arc::clone(inner), Fault::None);
    let facts = gather(&repository(&bucket, &layout())).await.unwrap();
    let keys = keys(inner).await;
    for (id, info) in facts.backups.readable() {
        if info.status != BackupStatus::Done {
            assert!(info.error.as_ref().unwrap().starts_with(BEING_DELETED));
            continue;
        }
        assert_eq!(facts.objects[id].len(), 5, "{id}");
        let begin = info.begin_wal.clone().unwrap();
        let later = (1..=8).map(segment).filter(|name| *name >= begin);
        for name in later {
            let key = format!("some/folder/main/wals/0000000100000000/{name}.gz");
            assert!(keys.contains(&key), "{id} needs {name}");
        }
    }
}

async fn survives_an_end_at_any_change(choice: Choice) {
    let whole = filled().await;
    let (bucket, _) = bucket_on(Arc::clone(&whole), Fault::None);
    delete(&bucket, choice).await.unwrap();
    let expected = keys(&whole).await;
    for changes in 0.. {
        let inner = filled().await;
        let (bucket, _) = bucket_on(Arc::clone(&inner), Fault::After(changes));
        let interrupted = delete(&bucket, choice).await.is_err();
        check(&inner).await;
        let (bucket, _) = bucket_on(Arc::clone(&inner), Fault::None);
        delete(&bucket, choice).await.unwrap();
        check(&inner).await;
        if changes > 0 || !interrupted {
            assert_eq!(keys(&inner).await, expected, "after {changes} changes");
        }
        if !interrupted {
            assert!(changes > 5, "it was interrupted again and again");
            return;
        }
    }
}

#[tokio::test]
async fn a_policy_is_finished_by_a_second_run_wherever_the_first_one_ended() {
    survives_an_end_at_any_change(by_policy("REDUNDANCY 1")).await;
    survives_an_end_at_any_change(by_policy("REDUNDANCY 0")).await;
}

#[tokio::test]
async fn a_backup_is_gone_after_a_second_run_wherever_the_first_one_ended() {
    survives_an_end_at_any_change(by_id(OLD)).await;
    survives_an_end_at_any_change(by_id(NEW)).await;
}

#[tokio::test]
async fn a_policy_finishes_what_was_begun_by_id() {
    let inner = filled().await;
    let (bucket, _) = bucket_on(Arc::clone(&inner), Fault::After(2));
    delete(&bucket, by_id(NEW)).await.unwrap_err();
    let (bucket, _) = bucket_on(Arc::clone(&inner), Fault::None);
    delete(&bucket, by_policy("REDUNDANCY 5")).await.unwrap();
    let left = keys(&inner).await;
    assert!(!left.iter().any(|key| key.contains(NEW)), "{left:?}");
    assert!(left.iter().any(|key| key.contains(OLD)));
}

#[tokio::test]
async fn a_backup_that_is_kept_meanwhile_gets_its_record_back() {
    let inner = filled().await;
    let (bucket, _) = bucket_on(Arc::clone(&inner), Fault::None);
    let facts = gather(&repository(&bucket, &layout())).await.unwrap();
    let request = DeletionRequest {
        choice: by_policy("REDUNDANCY 1"),
        minimum_redundancy: 0,
        now: Timestamp::UNIX_EPOCH,
    };
    let plan = plan_delete(&request, &facts).unwrap();
    let before = keys(&inner).await;
    let id = MIDDLE.parse().unwrap();
    put(&bucket, &layout().annotation_keep(&id), "full").await;
    let batch = NonZeroUsize::new(1000).unwrap();
    let refused = execute(&plan, &repository(&bucket, &layout()), &manner(batch)).await;
    assert!(matches!(refused, Err(DeletionError::KeptMeanwhile(kept)) if kept == id));
    assert_eq!(keys(&inner).await.len(), before.len() + 1);
    let facts = gather(&repository(&bucket, &layout())).await.unwrap();
    for (_, entry) in facts.backups.iter() {
        assert!(matches!(entry, Entry::Readable(info) if info.status == BackupStatus::Done));
    }
}

#[tokio::test]
async fn what_the_store_lists_and_does_not_give_stops_the_deletion() {
    for (withheld, is_record) in [
        ("20261108T000000/backup.info", true),
        ("annotations/keep", false),
    ] {
        let inner = filled().await;
        let (bucket, _) = bucket_on(Arc::clone(&inner), Fault::None);
        let keep = layout().annotation_keep(&MIDDLE.parse().unwrap());
        put(&bucket, &keep, "full").await;
        let (bucket, _) = bucket_on(Arc::clone(&inner), Fault::Withheld(withheld));
        for choice in [by_id(OLD), by_policy("REDUNDANCY 1")] {
            let facts = gather(&repository(&bucket, &layout())).await.unwrap();
            let request = DeletionRequest {
                choice,
                minimum_redundancy: 0,
                now: Timestamp::UNIX_EPOCH,
            };
            let refused = plan_delete(&request, &facts).unwrap_err();
            let id = MIDDLE.parse().unwrap();
            match refused {
                CannotDelete::UnreadableRecord { id: said, .. } if is_record => {
                    assert_eq!(said, id)
                }
                CannotDelete::UnreadableKeep { id: said, .. } if !is_record => assert_eq!(said, id),
                other => panic!("{withheld}: {other}"),
            }
        }
    }
}

#[tokio::test]
async fn a_record_that_goes_while_the_catalogue_is_read_is_gone() {
    let inner = filled().await;
    let withheld = Fault::DeletedBefore("20261108T000000/backup.info");
    let (bucket, _) = bucket_on(Arc::clone(&inner), withheld);
    let facts = gather(&repository(&bucket, &layout())).await.unwrap();
    assert_eq!(facts.backups.len(), 2);
    assert_eq!(facts.backups.unreadable().count(), 0);
}

/// Locks the objects whose key ends like this.
#[derive(Debug)]
struct Ending(&'static str, Lock);

#[async_trait]
impl Locks for Ending {
    async fn lock_of(&self, key: &Path) -> object_store::Result<Option<Lock>> {
        Ok(key.as_ref().ends_with(self.0).then_some(self.1))
    }
}

#[tokio::test]
async fn a_locked_object_stops_the_deletion_before_anything_is_touched() {
    let until = "2100-01-01T00:00:00Z".parse().unwrap();
    for (ending, lock, words) in [
        (
            "data.tar.gz",
            Lock::Until(until),
            "locked until 2100-01-01T00:00:00Z",
        ),
        ("backup.info", Lock::Held, "under a legal hold"),
        ("annotations/damage", Lock::Held, "under a legal hold"),
    ] {
        let inner = filled().await;
        let before = keys(&inner).await;
        let (mut bucket, store) = bucket_on(Arc::clone(&inner), Fault::None);
        bucket.locks = Some(Arc::new(Ending(ending, lock)));
        let error = delete(&bucket, by_id(OLD)).await.unwrap_err().to_string();
        assert!(error.contains(ending) && error.ends_with(words), "{error}");
        assert_eq!(keys(&inner).await, before);
        let calls = store.calls.lock().unwrap().clone();
        assert!(
            !calls.iter().any(|call| call.starts_with("put")),
            "{calls:?}"
        );
        bucket.locks = Some(Arc::new(Ending("something else", lock)));
        delete(&bucket, by_id(OLD)).await.unwrap();
        assert!(keys(&inner).await.len() < before.len());
    }
}

fn manner(batch: NonZeroUsize) -> Manner {
    Manner {
        batch,
        words: "the test finishes it".to_owned(),
    }
}
