//! Backups that wait for WAL, looked at by later commands.

use engine::catalogue::{read_catalogue, read_settled, servers_beside};
use engine::settling::{Settle, settle};
use engine::store::Bucket;
use model::backup::BackupStatus;
use model::backup::catalogue::Entry;
use model::backup::id::BackupId;
use model::layout::Layout;

use crate::stores::{Fault, bucket, repository, shelf};

fn layout() -> Layout {
    Layout::new("some/folder", "main").unwrap()
}

fn id(day: u32) -> BackupId {
    format!("202511{day:02}T000000").parse().unwrap()
}

/// A backup that needs two segments, and ended a year ago by the clock of the tests.
async fn put_waiting(bucket: &Bucket, day: u32, begin: u32) {
    let record = format!(
        "begin_wal={}\nend_time=2025-11-{day:02} 00:10:00+00:00\nend_wal={}\n\
         status=WAITING_FOR_WALS\ntimeline=1\n",
        segment(begin),
        segment(begin + 1)
    );
    put(bucket, &layout().backup_info(&id(day)), &record).await;
}

fn segment(number: u32) -> String {
    format!("0000000100000000{number:08X}")
}

async fn put_wal(bucket: &Bucket, number: u32) {
    let key = format!("some/folder/main/wals/0000000100000000/{}", segment(number));
    // Its header is all that is looked at.
    let content = crate::wal::segment(number.into(), 0);
    let head = content[..8192].to_vec();
    bucket.write(&key, head.into()).await.unwrap();
}

async fn put(bucket: &Bucket, key: &str, body: &str) {
    bucket.write(key, body.to_owned().into()).await.unwrap();
}

async fn statuses(bucket: &Bucket) -> Vec<BackupStatus> {
    let found = read_catalogue(&shelf(bucket, &layout())).await.unwrap();
    found
        .backups
        .readable()
        .map(|(_, info)| info.status)
        .collect()
}

#[tokio::test]
async fn every_backup_that_waits_is_settled_however_many_there_are() {
    let (bucket, _) = bucket(Fault::None);
    for day in 1..=20 {
        put_waiting(&bucket, day, day * 2).await;
    }
    for number in 2..=40 {
        put_wal(&bucket, number).await;
    }
    // The last one's second segment has not come, and nothing later has.
    let shown = read_settled(&repository(&bucket, &layout())).await.unwrap();
    let done = shown
        .backups
        .readable()
        .filter(|(_, info)| info.status == BackupStatus::Done);
    assert_eq!(done.count(), 19);
    assert_eq!(statuses(&bucket).await, [BackupStatus::WaitingForWals; 20]);
    let mut backups = read_catalogue(&shelf(&bucket, &layout()))
        .await
        .unwrap()
        .backups;
    let settled = settle(&repository(&bucket, &layout()), &mut backups, Settle::Write)
        .await
        .unwrap();
    assert_eq!(settled.len(), 19);
    let mut expected = vec![BackupStatus::Done; 19];
    expected.push(BackupStatus::WaitingForWals);
    assert_eq!(statuses(&bucket).await, expected);
}

#[tokio::test]
async fn a_backup_whose_wal_was_passed_over_is_failed_and_done_if_it_comes_after_all() {
    let (bucket, _) = bucket(Fault::None);
    put_waiting(&bucket, 1, 2).await;
    put_wal(&bucket, 2).await;
    for number in 4..=9 {
        put_wal(&bucket, number).await;
    }
    let mut backups = read_catalogue(&shelf(&bucket, &layout()))
        .await
        .unwrap()
        .backups;
    let settled = settle(&repository(&bucket, &layout()), &mut backups, Settle::Write)
        .await
        .unwrap();
    let error = settled[0].error.as_deref().unwrap();
    assert!(
        error.contains("lacks 1 WAL file, 000000010000000000000003"),
        "{error}"
    );
    assert_eq!(statuses(&bucket).await, [BackupStatus::Failed]);
    put_wal(&bucket, 3).await;
    let mut backups = read_catalogue(&shelf(&bucket, &layout()))
        .await
        .unwrap()
        .backups;
    settle(&repository(&bucket, &layout()), &mut backups, Settle::Write)
        .await
        .unwrap();
    assert_eq!(statuses(&bucket).await, [BackupStatus::Done]);
    let entry = backups.get(&id(1)).unwrap();
    assert!(matches!(entry, Entry::Readable(info) if info.error.is_none()));
}

#[tokio::test]
async fn wal_of_another_system_is_not_what_a_backup_waits_for() {
    let (bucket, _) = bucket(Fault::None);
    put_waiting(&bucket, 1, 2).await;
    put_wal(&bucket, 2).await;
    put_wal(&bucket, 3).await;
    let (content, version) = {
        let key = layout().backup_info(&id(1));
        bucket.read_version(&key).await.unwrap()
    };
    let text = String::from_utf8(content.to_vec()).unwrap() + "systemid=1\n";
    let key = layout().backup_info(&id(1));
    assert!(bucket.replace(&key, version, text.into()).await.unwrap());
    let mut backups = read_catalogue(&shelf(&bucket, &layout()))
        .await
        .unwrap()
        .backups;
    settle(&repository(&bucket, &layout()), &mut backups, Settle::Write)
        .await
        .unwrap();
    assert_eq!(statuses(&bucket).await, [BackupStatus::WaitingForWals]);
}

#[tokio::test]
async fn a_record_that_changes_meanwhile_is_not_written_over() {
    let (bucket, _) = bucket(Fault::None);
    put_waiting(&bucket, 1, 2).await;
    let mut backups = read_catalogue(&shelf(&bucket, &layout()))
        .await
        .unwrap()
        .backups;
    for number in 2..=3 {
        put_wal(&bucket, number).await;
    }
    put(
        &bucket,
        &layout().backup_info(&id(1)),
        "error=gone\nstatus=FAILED\n",
    )
    .await;
    let settled = settle(&repository(&bucket, &layout()), &mut backups, Settle::Write)
        .await
        .unwrap();
    assert!(settled.is_empty());
    assert_eq!(statuses(&bucket).await, [BackupStatus::Failed]);
    bucket.delete(&layout().backup_info(&id(1))).await.unwrap();
    settle(&repository(&bucket, &layout()), &mut backups, Settle::Write)
        .await
        .unwrap();
    assert!(
        statuses(&bucket).await.is_empty(),
        "what is gone stays gone"
    );
}

#[tokio::test]
async fn one_record_that_is_no_record_does_not_hide_the_others() {
    let (bucket, _) = bucket(Fault::None);
    put_waiting(&bucket, 1, 2).await;
    let huge = "x".repeat(70 << 20);
    put(&bucket, &layout().backup_info(&id(2)), &huge).await;
    put(&bucket, &layout().annotation_keep(&id(1)), &huge).await;
    let found = read_catalogue(&shelf(&bucket, &layout())).await.unwrap();
    assert_eq!(found.backups.readable().count(), 1);
    let (_, reason) = found.backups.unreadable().next().unwrap();
    assert!(reason.contains("bytes"), "{reason}");
    assert!(found.unreadable_keeps.contains_key(&id(1)));
}

#[tokio::test]
async fn servers_with_backups_or_wal_are_named() {
    let (bucket, _) = bucket(Fault::None);
    for key in [
        "some/folder/one/base/20251101T000000/backup.info",
        "some/folder/two/wals/00000002.history",
        "some/folder/notes/readme",
        "some/other/three/base/x",
    ] {
        put(&bucket, key, "x").await;
    }
    let names = servers_beside(&shelf(&bucket, &layout())).await.unwrap();
    assert_eq!(names, ["one", "two"]);
}
