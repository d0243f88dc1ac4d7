//! A backup that somebody interferes with while it runs: what says DONE at the end is there.

use std::thread::sleep;
use std::time::{Duration, Instant};

use testkit::postgres::Cluster;
use testkit::process::Running;
use testkit::seaweed::Bucket;

use crate::product::{SERVER, Store};
use crate::seen::{backup_program, records, refused};

/// Small archives, one after the other, slowly.
const SLOWLY: [&str; 6] = ["-J", "1", "-S", "5MB", "--max-bandwidth", "3MB"];

/// A backup of which an archive is there, and that archive's key.
fn begun(store: &Store, bucket: &Bucket, cluster: &Cluster) -> (Running, String) {
    let before = bucket.keys();
    let mut running = backup_program(store, cluster, &SLOWLY).start();
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let is_new = |key: &String| key.contains(".tar") && !before.contains(key);
        if let Some(key) = bucket.keys().into_iter().find(is_new) {
            assert!(running.is_running(), "it was too fast to interfere with");
            return (running, key);
        }
        assert!(Instant::now() < deadline, "no archive has come");
        sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_backup_that_is_deleted_while_it_runs_fails_and_leaves_nothing() {
    let store = Store::s3();
    let Store::S3(bucket) = &store else {
        panic!("it is a bucket")
    };
    let cluster = store.archiving_cluster(15, "").start();
    let kept = store.back_up(&cluster, &[]);

    let (running, key) = begun(&store, bucket, &cluster);
    let id = key.split('/').rev().nth(1).unwrap();
    assert_ne!(id, kept);
    store
        .command("barman-cloud-backup-delete")
        .args(["-b", id, &store.url(), SERVER])
        .run()
        .success();
    refused(running.finish(), 1, &["deleted", id]);
    let left: Vec<_> = bucket.keys();
    let of_it: Vec<_> = left.iter().filter(|key| key.contains(id)).collect();
    assert!(of_it.is_empty(), "{of_it:?}");
    assert!(bucket.unfinished_uploads().is_empty());
    let statuses: Vec<_> = records(&store).into_iter().map(|record| record.1).collect();
    assert_eq!(statuses, ["DONE"]);

    // Only an archive goes: whoever lost it, the store or a person, the backup is none.
    let (running, key) = begun(&store, bucket, &cluster);
    bucket.delete(&key);
    refused(running.finish(), 1, &[&key, "not there"]);
    let statuses: Vec<_> = records(&store).into_iter().map(|record| record.1).collect();
    assert_eq!(statuses, ["DONE", "FAILED"]);
}
