//! A store that fails: dropped connections, errors that pass and errors that stay, answers that
//! are lost. Whatever happens, a backup is DONE and can be restored, or it is FAILED.

use std::fs;
use std::time::Duration;

use testkit::postgres::Cluster;
use testkit::process::Program;
use testkit::proxy::{Fault, FaultProxy, Rule};
use testkit::scratch::Scratch;
use testkit::seaweed::SeaweedFs;

use crate::product::{SERVER, Store};
use crate::seen::{
    answer_of_restored, backup_program, comes_back_whole, done_backups, latest_status, records,
    refused, restore_program,
};

/// How long a store that fails for good is waited for, in seconds.
pub const PATIENCE: &str = "20";

/// A bucket, and a proxy that some commands reach it through.
pub struct Spoilt {
    pub store: Store,
    pub proxy: FaultProxy,
}

impl Spoilt {
    pub fn new() -> Spoilt {
        Spoilt {
            store: Store::s3(),
            proxy: FaultProxy::before(&SeaweedFs::shared().plain_address()),
        }
    }

    /// Sends a command through the proxy.
    pub fn through(&self, program: Program) -> Program {
        program
            .env("AWS_ENDPOINT_URL", self.proxy.endpoint())
            .env("BARMAN_STORE_PATIENCE", PATIENCE)
    }

    /// A backup through the proxy.
    pub fn backup(&self, cluster: &Cluster, options: &[&str]) -> Program {
        self.through(backup_program(&self.store, cluster, options))
    }

    /// Multipart uploads that were left behind.
    pub fn unfinished_uploads(&self) -> Vec<String> {
        match &self.store {
            Store::S3(bucket) => bucket.unfinished_uploads(),
            _ => Vec::new(),
        }
    }
}

/// Rows of which four fill a page: about 100 MB.
pub const ROWS: u32 = 51_200;

/// A server with [`ROWS`] that archives to the store, not through the proxy.
pub fn large_cluster(store: &Store) -> Cluster {
    let cluster = store.archiving_cluster(15, "--lz4").start();
    cluster.sql(&format!(
        "CREATE TABLE bulk AS SELECT n, repeat(md5(n::text), 60) AS text
         FROM generate_series(1, {ROWS}) n; CHECKPOINT"
    ));
    cluster
}

pub const QUESTION: &str = "SELECT count(*) FROM bulk WHERE text = repeat(md5(n::text), 60)";

/// The newest backup is DONE and a server comes back from it.
fn newest_comes_back(spoilt: &Spoilt, cluster: &Cluster) {
    assert_eq!(latest_status(&spoilt.store), "DONE");
    let id = spoilt.store.latest_id();
    let answer = answer_of_restored(&spoilt.store, cluster, &id, QUESTION);
    assert_eq!(answer, ROWS.to_string());
}

fn seventh_part() -> Rule {
    Rule::new(Fault::Drop)
        .method("PUT")
        .target_has("partNumber=7&")
}

#[test]
fn a_connection_lost_in_part_seven_is_made_again() {
    let spoilt = Spoilt::new();
    let cluster = large_cluster(&spoilt.store);
    spoilt.proxy.spoil(seventh_part());
    spoilt.backup(&cluster, &["-J", "1"]).run().success();
    assert_eq!(spoilt.proxy.count("PUT", "partNumber=7&"), 2);
    newest_comes_back(&spoilt, &cluster);
    assert!(spoilt.unfinished_uploads().is_empty());
}

#[test]
fn a_store_that_never_takes_part_seven_fails_the_backup() {
    let spoilt = Spoilt::new();
    let cluster = large_cluster(&spoilt.store);
    spoilt.proxy.spoil(
        Rule::new(Fault::Answer(400))
            .method("PUT")
            .target_has("partNumber=7&")
            .always(),
    );
    let finished = spoilt.backup(&cluster, &["-J", "1"]).run();
    refused(
        finished,
        1,
        &[&spoilt.store.url(), "/data", "SlowDown", "HINT"],
    );
    let (_, status, error) = records(&spoilt.store).pop().unwrap();
    assert_eq!(status, "FAILED");
    assert!(
        error.contains("/data") && error.contains("SlowDown"),
        "{error}"
    );
    assert!(spoilt.unfinished_uploads().is_empty());

    let place = Scratch::new("restore");
    let id = spoilt.store.latest_id();
    let restore = restore_program(&spoilt.store, &id, &place.server_folder("data")).run();
    refused(restore, 1, &[&id, "FAILED"]);
}

#[test]
fn a_store_that_goes_away_for_good_leaves_no_done_backup() {
    let spoilt = Spoilt::new();
    let cluster = large_cluster(&spoilt.store);
    // From the first part on, not even the record can be written any more.
    spoilt
        .proxy
        .spoil(Rule::new(Fault::Drop).method("PUT").always());
    let gone = spoilt.backup(&cluster, &[]).run();
    refused(gone, 2, &[&spoilt.store.url(), "HINT: Check the endpoint"]);
    assert!(
        records(&spoilt.store).is_empty(),
        "{:?}",
        records(&spoilt.store)
    );
    spoilt.proxy.heal();

    spoilt.proxy.spoil(
        Rule::new(Fault::Drop)
            .method("PUT")
            .target_has("partNumber=")
            .always(),
    );
    let gone = spoilt.backup(&cluster, &[]).run();
    refused(
        gone,
        2,
        &[&spoilt.store.url(), "/data", "HINT: Check the endpoint"],
    );
    assert_eq!(latest_status(&spoilt.store), "FAILED");
    assert!(spoilt.unfinished_uploads().is_empty());
    spoilt.proxy.heal();

    spoilt.backup(&cluster, &[]).run().success();
    newest_comes_back(&spoilt, &cluster);
}

#[test]
fn a_storm_of_errors_that_ends_is_waited_out() {
    let spoilt = Spoilt::new();
    let cluster = large_cluster(&spoilt.store);
    for (skip, fault) in [
        (0, Fault::Answer(503)),
        (9, Fault::Answer(500)),
        (20, Fault::Drop),
    ] {
        spoilt.proxy.spoil(Rule::new(fault).after(skip).times(3));
    }
    spoilt.backup(&cluster, &["--lz4"]).run().success();
    newest_comes_back(&spoilt, &cluster);
    assert!(spoilt.unfinished_uploads().is_empty());
}

#[test]
fn an_answer_that_is_lost_never_makes_a_wrong_backup() {
    let spoilt = Spoilt::new();
    let cluster = spoilt.store.archiving_cluster(15, "").start();
    let lost = || Rule::new(Fault::LoseAnswer);
    let rules = [
        (
            "the first record",
            lost().method("PUT").target_has("backup.info"),
        ),
        (
            "the last record",
            lost().method("PUT").target_has("backup.info").after(1),
        ),
        ("a part", lost().method("PUT").target_has("partNumber=1&")),
        (
            "the end of an upload",
            lost().method("POST").target_has("uploadId="),
        ),
        (
            "the end of the last upload",
            lost().method("POST").target_has("uploadId=").after(1),
        ),
    ];
    for (what, rule) in rules {
        spoilt.proxy.spoil(rule);
        let finished = spoilt.backup(&cluster, &["--zstd"]).run();
        let spoilt_requests = spoilt.proxy.requests();
        let met = spoilt_requests
            .iter()
            .filter(|seen| seen.fault.is_some())
            .count();
        eprintln!("{what}: {:?} {} {met}", finished.code, finished.stderr);
        let expected = if finished.code == Some(0) {
            "DONE"
        } else {
            "FAILED"
        };
        assert_eq!(
            latest_status(&spoilt.store),
            expected,
            "{what}: {}",
            finished.stderr
        );
        spoilt.proxy.heal();
    }
    for id in done_backups(&spoilt.store) {
        comes_back_whole(&spoilt.store, &cluster, &id);
    }
    assert!(spoilt.unfinished_uploads().is_empty());
}

#[test]
fn a_restore_goes_on_where_its_connection_was_lost() {
    let spoilt = Spoilt::new();
    let cluster = large_cluster(&spoilt.store);
    let id = spoilt.store.back_up(&cluster, &["-J", "1"]);
    let place = Scratch::new("restore");
    let data = place.server_folder("data");
    let archives = || {
        Rule::new(Fault::CutAnswerAfter(3 << 20))
            .method("GET")
            .target_has("/data")
    };
    spoilt.proxy.spoil(archives().times(4));
    let restore = || spoilt.through(restore_program(&spoilt.store, &id, &data));
    restore().run().success();
    let cut = spoilt
        .proxy
        .requests()
        .into_iter()
        .filter(|seen| seen.fault.is_some())
        .count();
    assert_eq!(cut, 4);
    testkit::postgres::verify_backup(cluster.tools(), &data);
    let restored = spoilt.store.recovering(15, &data).start();
    assert_eq!(restored.sql(QUESTION), ROWS.to_string());
}

#[test]
fn a_restore_that_cannot_read_an_archive_leaves_nothing_that_starts() {
    let spoilt = Spoilt::new();
    let cluster = large_cluster(&spoilt.store);
    let id = spoilt.store.back_up(&cluster, &["-J", "1"]);
    let place = Scratch::new("restore");
    let data = place.server_folder("data");
    // Every answer gives a little more, but a store that always stops is not worth waiting for.
    let archives = Rule::new(Fault::Answer(403))
        .method("GET")
        .target_has("/data");
    spoilt.proxy.spoil(archives.always());
    let restore = spoilt
        .through(restore_program(&spoilt.store, &id, &data))
        .run();
    refused(restore, 4, &[&id, "/data", "SlowDown"]);
    assert!(!data.join("global/pg_control").exists());
}

#[test]
fn a_failing_store_never_looks_like_the_end_of_the_archive() {
    let spoilt = Spoilt::new();
    let cluster = spoilt.store.archiving_cluster(15, "--gzip").start();
    let segment = cluster.sql("SELECT pg_walfile_name(pg_current_wal_lsn())");
    cluster.archive_now(Duration::from_secs(30));
    let place = Scratch::new("wal");
    let got = place.shared_folder("pg_wal").join("RECOVERYXLOG");
    let fetch = |options: &[&str]| {
        let fetch = spoilt
            .store
            .command("barman-cloud-wal-restore")
            .args(options);
        let fetch = fetch
            .args([&spoilt.store.url(), SERVER, &segment])
            .arg(&got);
        spoilt.through(fetch).run()
    };
    let url = spoilt.store.url();
    for fault in [Fault::Answer(503), Fault::Answer(403)] {
        spoilt.proxy.spoil(Rule::new(fault).method("GET").always());
        refused(fetch(&[]), 4, &[&url, &segment, "SlowDown"]);
        refused(
            fetch(&["--stop-recovery-on-failure"]),
            200,
            &[&url, &segment],
        );
        spoilt.proxy.heal();
    }
    spoilt.proxy.spoil(Rule::new(Fault::Drop).always());
    refused(fetch(&[]), 2, &[&url, &segment, "HINT"]);
    spoilt.proxy.heal();
    // The listing works, the object does not come; or half of it comes, again and again.
    let body = |fault| {
        Rule::new(fault)
            .method("GET")
            .target_has(&segment)
            .target_has(".gz")
    };
    spoilt.proxy.spoil(body(Fault::Answer(500)).always());
    refused(fetch(&[]), 4, &[&url, &segment]);
    spoilt.proxy.heal();
    assert_eq!(
        fs::read_dir(place.join("pg_wal")).unwrap().count(),
        0,
        "nothing, not even half"
    );

    spoilt.proxy.spoil(body(Fault::CutAnswerAfter(1000)));
    fetch(&[]).success();
    let archived = fs::read(cluster.data().join("pg_wal").join(&segment));
    assert!(archived.is_err() || archived.unwrap() == fs::read(&got).unwrap());
}
