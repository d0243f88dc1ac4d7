//! The main job on the other clouds, from `archive_command` to a server with its rows, and what is
//! said when a cloud says no.

use std::net::TcpListener;
use std::time::Duration;

use testkit::azurite::{ACCOUNT, KEY};
use testkit::postgres::Cluster;
use testkit::process::Program;
use testkit::scratch::Scratch;
use testkit::{Azurite, GcsEmulator};

use crate::product::{SERVER, Store};
use crate::seen::refused;

const MAJOR: u32 = 15;
const OPTIONS: [&str; 5] = ["--zstd", "-J", "3", "--tag", "kind,base backup"];

fn loaded_cluster(store: &Store) -> Cluster {
    let cluster = store
        .archiving_cluster(MAJOR, "--gzip --tag kind,wal")
        .tablespace("ts1")
        .start();
    cluster.pgbench_init(2);
    cluster.sql("CREATE TABLE marks (mark int) TABLESPACE ts1");
    cluster
}

fn run(store: &Store, name: &str, words: &[&str]) -> String {
    let url = store.url();
    let program = store.command(name).args([url.as_str(), SERVER]).args(words);
    program.run().success().stdout
}

/// Three backups, of which one is kept and one is let go by a policy; the newest comes back.
fn cycle(store: &Store) {
    run(store, "barman-cloud-check-wal-archive", &[]);
    let cluster = loaded_cluster(store);
    let mut ids = Vec::new();
    for mark in 1..=3 {
        cluster.sql(&format!("INSERT INTO marks VALUES ({mark})"));
        let load = cluster.pgbench(Duration::from_secs(2));
        ids.push(store.back_up(&cluster, &OPTIONS));
        load.finish().success();
    }
    cluster.sql("INSERT INTO marks VALUES (4)");
    cluster.archive_now(Duration::from_secs(60));
    every_object_is_tagged(store);
    let in_the_way = store.command("barman-cloud-check-wal-archive");
    in_the_way.args([&store.url(), SERVER]).run().exits_with(1);

    run(
        store,
        "barman-cloud-backup-keep",
        &[&ids[0], "--target", "standalone"],
    );
    run(store, "barman-cloud-backup-delete", &["-r", "REDUNDANCY 1"]);
    let list = store.list();
    let left = list["backups_list"].as_array().unwrap();
    let left: Vec<_> = left.iter().map(|backup| &backup["backup_id"]).collect();
    assert_eq!(left, [ids[0].as_str(), ids[2].as_str()]);
    let shown = run(store, "barman-cloud-backup-show", &[&ids[2]]);
    assert!(shown.contains("DONE"), "{shown}");
    assert!(!store.keys().iter().any(|key| key.contains(&ids[1])));

    for (id, marks) in [(&ids[2], 4), (&ids[0], 1)] {
        let place = Scratch::new("clouds");
        let data = store.restore(id, &place, &[]);
        testkit::postgres::verify_backup(cluster.tools(), &data);
        let mut recovering = store.recovering(MAJOR, &data);
        if marks == 1 {
            recovering = recovering.conf("recovery_target = 'immediate'");
        }
        let mut restored = recovering.start();
        let found = restored.sql("SELECT count(*) FROM marks");
        assert_eq!(found, marks.to_string());
        restored.stop_and_check_data();
    }
}

fn every_object_is_tagged(store: &Store) {
    let keys = store.keys();
    assert!(
        keys.iter().any(|key| key.ends_with("16384.tar.zst")),
        "{keys:#?}"
    );
    let newest = |part: &str| keys.iter().filter(|key| key.contains(part)).max().unwrap();
    for (key, tag) in [
        (newest("data.tar"), "kind=base backup"),
        (newest("backup.info"), "kind=base backup"),
        (newest("/wals/"), "kind=wal"),
    ] {
        let tags = match store {
            Store::Azure(container) => container.tags(key),
            Store::Google(bucket) => bucket.metadata(key),
            Store::Directory(_) | Store::S3(_) => panic!("these are looked at elsewhere"),
        };
        assert_eq!(tags, [tag], "{key}");
    }
}

#[test]
fn postgres_15_comes_back_from_azure() {
    cycle(&Store::azure());
}

#[test]
fn postgres_15_comes_back_from_google() {
    cycle(&Store::google());
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A listing, or a test of connectivity, with just these variables.
fn list(url: &str, options: &[&str], variables: &[(&str, &str)]) -> Program {
    let provider = match url.starts_with("gs:") {
        true => "google-cloud-storage",
        false => "azure-blob-storage",
    };
    Program::new(testkit::program::barman_program("barman-cloud-backup-list"))
        .envs(variables.iter().copied())
        .args(["--cloud-provider", provider])
        .args(options)
        .args([url, SERVER])
}

/// The statuses are Barman's: with `-t` a missing bucket is 1, no answer is 2; without credentials
/// it is 4.
#[test]
fn google_that_says_no_has_its_status_and_hint() {
    let there = GcsEmulator::shared().bucket();
    let url = format!("gs://{}/x", there.name());
    let host = there.environment();
    let host = ("STORAGE_EMULATOR_HOST", host[0].1.as_str());
    let nowhere = format!("127.0.0.1:{}", free_port());
    let silent = ("STORAGE_EMULATOR_HOST", nowhere.as_str());
    let nobody = ("GCE_METADATA_HOST", nowhere.as_str());
    let no_home = ("HOME", "/nonexistent");
    let no_file = ("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key.json");
    for (url, options, variable, status, words) in [
        (url.as_str(), &["-t"][..], host, 0, &[][..]),
        (
            "gs://missing",
            &["-t"],
            host,
            1,
            &["NoSuchBucket", "create the bucket"],
        ),
        (
            "gs://missing",
            &[],
            host,
            4,
            &["NoSuchBucket", "create the bucket"],
        ),
        (&url, &["-t"], silent, 2, &["127.0.0.1"]),
        (&url, &[], silent, 2, &["127.0.0.1"]),
        (
            &url,
            &["-t"],
            nobody,
            4,
            &["no credentials", "GOOGLE_APPLICATION_CREDENTIALS"],
        ),
        (
            &url,
            &[],
            nobody,
            4,
            &["no credentials", "GOOGLE_APPLICATION_CREDENTIALS"],
        ),
        (&url, &["-t"], no_file, 4, &["/nonexistent/key.json"]),
    ] {
        refused(
            list(url, options, &[variable, no_home]).run(),
            status,
            words,
        );
    }
}

/// The statuses are Barman's: with `-t` every refusal of Azure is a store out of reach.
#[test]
fn azure_that_says_no_has_its_status_and_hint() {
    let there = Azurite::shared().container();
    let missing = Azurite::shared().container_named("missing");
    let key = ("AZURE_STORAGE_KEY", KEY);
    let wrong = ("AZURE_STORAGE_KEY", "d3Jvbmc=");
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let nobody = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", nowhere.as_str());
    for (container, options, variable, status, words) in [
        (&there, &["-t"][..], key, 0, &[][..]),
        (
            &there,
            &["-t"],
            wrong,
            2,
            &["AuthorizationFailure", "account key"],
        ),
        (
            &there,
            &[],
            wrong,
            4,
            &["AuthorizationFailure", "account key"],
        ),
        (
            &missing,
            &["-t"],
            key,
            1,
            &["ContainerNotFound", "create the container"],
        ),
        (
            &missing,
            &[],
            key,
            4,
            &["ContainerNotFound", "create the container"],
        ),
        (
            &there,
            &["-t"],
            nobody,
            2,
            &["no credentials", "AZURE_STORAGE_KEY"],
        ),
        (
            &there,
            &[],
            nobody,
            4,
            &["no credentials", "AZURE_STORAGE_KEY"],
        ),
    ] {
        let said = refused(
            list(&container.url(), options, &[variable]).run(),
            status,
            words,
        );
        assert!(!said.stderr.contains(KEY), "{}", said.stderr);
    }
    let string = format!("AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={nowhere}/{ACCOUNT}");
    let variables = [("AZURE_STORAGE_CONNECTION_STRING", string.as_str())];
    for options in [&["-t"][..], &[]] {
        let said = list(&there.url(), options, &variables).run();
        let said = refused(said, 2, &["127.0.0.1"]);
        assert!(!said.stderr.contains(KEY), "{}", said.stderr);
    }
}
