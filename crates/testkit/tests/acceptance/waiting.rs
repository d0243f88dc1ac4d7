//! A backup whose WAL has not arrived: what its record says, to us and to Python Barman, and how
//! it becomes DONE.

use std::time::Duration;

use testkit::Peer;
use testkit::scratch::Scratch;

use crate::product::{SERVER, Store};
use crate::seen::{answer_of_restored, done_backups, records, refused, restore_program};

#[test]
fn a_backup_waits_for_its_wal_and_the_next_one_finds_that_it_has_come() {
    let store = Store::s3();
    let cluster = store.archiving_cluster(15, "--zstd").start();
    let command = cluster.sql("SHOW archive_command");
    let set = |command: &str| {
        cluster.sql(&format!("ALTER SYSTEM SET archive_command = '{command}'"));
        cluster.sql("SELECT pg_reload_conf()");
    };
    cluster.sql("CREATE TABLE rows AS SELECT generate_series(1, 1000)");
    set("false");
    let taken = store.try_back_up(&cluster, &["--zstd"]);
    // The backup is kept, and nobody takes it for one that can be restored.
    let words = [
        "its status is WAITING_FOR_WALS",
        "HINT: archive_command fails on",
    ];
    refused(taken, 1, &words);
    let waiting = store.latest_id();
    assert_eq!(records(&store)[0].1, "WAITING_FOR_WALS");
    let place = Scratch::new("early");
    let early = restore_program(&store, "latest", &place.server_folder("ours")).run();
    let early = early.success();
    let warning = "PostgreSQL cannot start on this backup yet";
    assert!(early.stderr.contains(warning), "{}", early.stderr);
    barman_takes_it(&store, &waiting);

    set(&command);
    cluster.archive_now(Duration::from_secs(60));
    let next = store.back_up(&cluster, &["--zstd"]);
    assert_eq!(done_backups(&store), [waiting.as_str(), next.as_str()]);
    let question = "SELECT count(*) FROM rows";
    let rows = answer_of_restored(&store, &cluster, &waiting, question);
    assert_eq!(rows, "1000");
}

/// Python Barman lists such a backup with its status, does not count it, and restores it.
fn barman_takes_it(store: &Store, id: &str) {
    let run = |name: &str, options: &[&str], more: &[&str]| {
        let program = Peer::command(name).envs(store.environment()).args(options);
        program.args([&store.url(), SERVER]).args(more).run()
    };
    let listed = run("barman-cloud-backup-list", &[], &[]).success().stdout;
    assert!(listed.contains("WAITING_FOR_WALS"), "{listed}");
    let options = ["-r", "REDUNDANCY 1", "--dry-run"];
    let planned = run("barman-cloud-backup-delete", &options, &[]).success();
    assert!(!planned.stdout.contains(id), "{}", planned.stdout);
    let place = Scratch::new("peer");
    let data = place.server_folder("data");
    let data = data.to_str().unwrap();
    run("barman-cloud-restore", &[], &[id, data]).success();
}
