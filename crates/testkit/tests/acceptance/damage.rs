//! Damaged pages in the cluster: found, named, remembered; fatal only on request.

use std::os::unix::fs::FileExt;

use testkit::Cluster;
use testkit::postgres::StopMode;

use crate::product::{SERVER, Store};

/// A cluster with one byte wrong in block 3 of a table; returns the table's file too.
fn damaged_cluster(store: &Store) -> (Cluster, String) {
    let mut cluster = store.archiving_cluster(15, "").start();
    cluster.sql("CREATE TABLE t AS SELECT n, repeat('x', 100) FROM generate_series(1, 5000) n");
    let file = cluster.sql("SELECT pg_relation_filepath('t')");
    cluster.stop(StopMode::Fast);
    let path = cluster.data().join(&file);
    let table = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    let offset = 3 * 8192 + 4000;
    table.read_exact_at(&mut byte, offset).unwrap();
    table.write_all_at(&[byte[0] ^ 0xFF], offset).unwrap();
    cluster.start_again();
    (cluster, file)
}

#[test]
fn a_damaged_page_is_named_and_remembered_and_the_backup_goes_on() {
    let store = Store::directory();
    let (cluster, file) = damaged_cluster(&store);
    let finished = store.try_back_up(&cluster, &[]).success();
    let said = format!("{file}, block 3");
    assert!(finished.stderr.contains(&said), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("holds 1 damaged page"),
        "{}",
        finished.stderr
    );
    let shown = store
        .command("barman-cloud-backup-show")
        .args([&store.url(), SERVER, &store.latest_id()])
        .run()
        .success();
    assert!(shown.stderr.contains(&said), "{}", shown.stderr);
}

#[test]
fn a_damaged_page_fails_the_backup_on_request() {
    let store = Store::directory();
    let (cluster, _) = damaged_cluster(&store);
    let finished = store
        .try_back_up(&cluster, &["--fail-on-damage"])
        .exits_with(1);
    assert!(finished.stderr.contains("block 3"), "{}", finished.stderr);
    assert_eq!(store.list()["backups_list"][0]["status"], "FAILED");
}
