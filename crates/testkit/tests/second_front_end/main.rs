//! A front end that nobody ships: it lists, keeps and deletes in a repository of two places, with
//! statuses and words of its own. That it is this short shows that nothing it needs is in `cli`.
#![allow(
    clippy::unwrap_used,
    reason = "a panic in a test is a failed test with its line"
)]

mod front_end;

use cloud::{Environment, Location, Provider, StoreOptions};
use engine::repository::{Repository, Shelf};
use jiff::Timestamp;
use model::backup::id::BackupId;
use model::backup::{BackupInfo, BackupStatus};
use model::format::backup_info;
use model::layout::Layout;
use testkit::{Scratch, SeaweedFs};

use front_end::{FORBIDDEN, UNKNOWN, run};

/// Somewhere to keep things of the server `main`.
async fn shelf(url: &str, environment: &Environment) -> Shelf {
    let location = Location::parse(url, Provider::AwsS3).unwrap();
    let options = StoreOptions::default();
    Shelf {
        bucket: cloud::open(&location, &options, environment).await.unwrap(),
        layout: Layout::new(location.prefix(), "main").unwrap(),
    }
}

async fn put_backup(archive: &Repository, id: &BackupId, segment: &str) {
    let info = BackupInfo {
        status: BackupStatus::Done,
        begin_wal: Some(segment.to_owned()),
        end_wal: Some(segment.to_owned()),
        end_time: Some(Timestamp::now().into()),
        ..BackupInfo::default()
    };
    let (records, bases, wals) = (&archive.records, &archive.bases, &archive.wals);
    let record = records.layout.backup_info(id);
    records
        .bucket
        .write(&record, backup_info::render(&info).into())
        .await
        .unwrap();
    let data = format!("{}/data.tar", bases.layout.base(id));
    bases.bucket.write(&data, "files".into()).await.unwrap();
    let wal = wals
        .layout
        .wal(&segment.parse().unwrap(), model::codec::Codec::None);
    wals.bucket.write(&wal, "log".into()).await.unwrap();
}

#[tokio::test]
async fn a_second_front_end_lists_keeps_and_deletes_where_records_and_backups_are_apart() {
    let home = Scratch::new("second-front-end");
    let bucket = SeaweedFs::shared().bucket();
    let environment: Environment = bucket.environment().iter().cloned().collect();
    let far = shelf(&format!("s3://{}/far", bucket.name()), &environment).await;
    let archive = Repository {
        records: shelf(&format!("file://{}", home.path().display()), &environment).await,
        bases: far.clone(),
        wals: far,
    };
    let (old, new) = ("20261101T000000", "20261102T000000");
    put_backup(&archive, &old.parse().unwrap(), "000000010000000000000001").await;
    put_backup(&archive, &new.parse().unwrap(), "000000010000000000000002").await;

    let say = async |words: &[&str]| run(words, &archive).await;
    assert_eq!(
        say(&["treasure", new]).await,
        Ok(format!("{new} is treasured"))
    );
    assert_eq!(
        say(&["what"]).await,
        Ok(format!("{old}: DONE\n{new}: DONE <3\n"))
    );
    let refused = Err((FORBIDDEN, format!("{new} is treasured")));
    assert_eq!(say(&["burn", new]).await, refused);
    let unknown = "20261103T000000";
    let never = Err((UNKNOWN, format!("{unknown}? never heard of it")));
    assert_eq!(say(&["burn", unknown]).await, never);
    assert_eq!(say(&["treasure", unknown]).await, never);
    assert_eq!(
        say(&["burn", old]).await,
        Ok("burnt: 1 and 1 WAL".to_owned())
    );
    assert_eq!(say(&["what"]).await, Ok(format!("{new}: DONE <3\n")));
    let left = [
        format!("far/main/base/{new}/data.tar"),
        "far/main/wals/0000000100000000/000000010000000000000002".to_owned(),
    ];
    assert_eq!(bucket.keys(), left);
    assert!(!home.path().join("main/base").join(old).exists());
    assert!(
        home.path()
            .join("main/base")
            .join(new)
            .join("annotations/keep")
            .exists()
    );
}
