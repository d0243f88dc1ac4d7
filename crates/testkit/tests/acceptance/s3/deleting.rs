//! Locked objects, and stores that cannot delete many objects at once.

use std::time::Duration;

use testkit::proxy::{Fault, FaultProxy, Rule};
use testkit::seaweed::SeaweedFs;

use crate::product::{SERVER, Store};
use crate::seen::refused;

const DELETE: &str = "barman-cloud-backup-delete";

#[test]
fn what_is_locked_is_not_deleted_and_what_is_not_is() {
    let bucket = SeaweedFs::shared().bucket_with_locks();
    let store = Store::S3(bucket.clone());
    let cluster = store.archiving_cluster(15, "").start();
    let id = store.back_up(&cluster, &[]);
    let archive = format!("some/folder/{SERVER}/base/{id}/data.tar");
    let delete = |options: &[&str]| {
        let words = ["-b", &id, "--check-object-lock"];
        let program = store.command(DELETE).args(words).args(options);
        program.args([&store.url(), SERVER]).run()
    };
    // The server may still archive what the backup switched to.
    cluster.archive_now(Duration::from_secs(60));
    let before = bucket.keys();
    bucket.hold(&archive, "ON");
    refused(delete(&[]), 1, &[&id, "data.tar", "legal hold", "HINT"]);
    refused(delete(&["--dry-run"]), 1, &["legal hold"]);
    bucket.hold(&archive, "OFF");
    bucket.retain(&archive, "3600");
    refused(
        delete(&[]),
        1,
        &[&id, "data.tar", "locked until 20", "HINT"],
    );
    assert_eq!(bucket.keys(), before);

    let other = store.back_up(&cluster, &[]);
    let words = ["-b", &other, "--check-object-lock"];
    let program = store.command(DELETE).args(words);
    program.args([&store.url(), SERVER]).run().success();
    assert!(!bucket.keys().iter().any(|key| key.contains(&other)));
}

#[test]
fn a_store_that_cannot_delete_many_at_once_is_asked_for_one_at_a_time() {
    let store = Store::s3();
    let cluster = store.archiving_cluster(15, "").start();
    let several = ["-J", "2", "-S", "10MB"];
    for code in ["MissingContentMD5", "NotImplemented"] {
        let proxy = FaultProxy::before(&SeaweedFs::shared().plain_address());
        let batch = Rule::new(Fault::Refuse(400, code)).method("POST");
        proxy.spoil(batch.target_has("?delete").always());
        let id = store.back_up(&cluster, &several);
        let delete = store.command(DELETE).args(["-b", &id]);
        let delete = delete.args([&store.url(), SERVER]);
        delete
            .env("AWS_ENDPOINT_URL", proxy.endpoint())
            .run()
            .success();
        assert_eq!(proxy.count("POST", "?delete"), 1, "it is asked once");
        assert!(proxy.count("DELETE", &id) >= 2);
        assert!(!store.keys().iter().any(|key| key.contains(&id)));
    }
}

#[test]
fn a_batch_has_the_size_that_was_asked_for() {
    let store = Store::s3();
    let cluster = store.archiving_cluster(15, "").start();
    let id = store.back_up(&cluster, &["-J", "2", "-S", "10MB"]);
    let count = store
        .keys()
        .iter()
        .filter(|key| key.contains("data"))
        .count();
    assert!(count > 2, "{count} archives");
    let proxy = FaultProxy::before(&SeaweedFs::shared().plain_address());
    let delete = store.command(DELETE).args(["-b", &id, "--batch-size", "2"]);
    let delete = delete.args([&store.url(), SERVER]);
    delete
        .env("AWS_ENDPOINT_URL", proxy.endpoint())
        .run()
        .success();
    // The archives in pairs, the odd one by itself; then the record, and perhaps WAL.
    assert!(proxy.count("POST", "?delete") >= count / 2);
    assert_eq!(proxy.count("DELETE", "data"), count % 2);
}
