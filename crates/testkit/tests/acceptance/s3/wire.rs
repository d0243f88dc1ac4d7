//! Tags, encryption, part sizes and bandwidth: which requests carry what, beside Python Barman.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use testkit::postgres::Cluster;
use testkit::process::Program;
use testkit::proxy::{FaultProxy, SeenRequest};
use testkit::scratch::Scratch;
use testkit::seaweed::SeaweedFs;
use testkit::{Moto, Peer};

use super::{header, kinds};
use crate::product::{SERVER, Store};
use crate::seen::{backup_program, refused, restore_program};

const KEY: &str = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";

/// A store, a proxy that records, and a server whose segments come from its `pg_wal`.
struct World {
    store: Store,
    proxy: FaultProxy,
    cluster: Cluster,
}

impl World {
    fn new() -> World {
        let store = Store::s3();
        World {
            proxy: FaultProxy::before(&SeaweedFs::shared().plain_address()),
            cluster: store.archiving_cluster(15, "").start(),
            store,
        }
    }

    fn recorded(&self, program: Program) -> Program {
        program.env("AWS_ENDPOINT_URL", self.proxy.endpoint())
    }

    fn back_up(&self, options: &[&str]) {
        let program = backup_program(&self.store, &self.cluster, options);
        self.recorded(program).run().success();
    }

    fn peer_backs_up(&self, options: &[&str]) {
        let program = Peer::command("barman-cloud-backup")
            .as_server_user()
            .envs(self.store.environment())
            .envs(self.cluster.environment())
            .arg("--immediate-checkpoint")
            .args(options)
            .args([&self.store.url(), SERVER]);
        self.recorded(program).run().success();
    }

    fn archive(&self, program: Program, options: &[&str], file: &PathBuf) {
        let program = program.envs(self.store.environment()).args(options);
        let program = program.args([&self.store.url(), "other"]).arg(file);
        self.recorded(program).run().success();
    }

    fn kinds(&self, see: impl Fn(&SeenRequest) -> Option<String>) -> Vec<String> {
        let kinds = kinds(&self.proxy, see);
        self.proxy.forget();
        kinds
    }
}

fn tags(request: &SeenRequest) -> Option<String> {
    header(request, "x-amz-tagging").map(str::to_owned)
}

/// What a request says about encryption, without the key.
fn encryption(request: &SeenRequest) -> Option<String> {
    let about = request.headers.iter().filter(|(name, _)| {
        name.starts_with("x-amz-server-side-encryption") && !name.ends_with("customer-key")
    });
    let mut words: Vec<String> = about
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    words.sort();
    Some(words.join(" ")).filter(|words| !words.is_empty())
}

/// A segment and a history file that a server could hand over.
fn wal_files(world: &World) -> (Scratch, PathBuf, PathBuf) {
    let scratch = Scratch::new("wal");
    let folder = scratch.shared_folder("files");
    let name = world
        .cluster
        .sql("SELECT pg_walfile_name(pg_current_wal_lsn())");
    let segment = folder.join(&name);
    fs::copy(world.cluster.data().join("pg_wal").join(&name), &segment).unwrap();
    let history = folder.join("00000002.history");
    fs::write(&history, "1\t0/3000000\tno recovery target specified\n").unwrap();
    (scratch, segment, history)
}

#[test]
fn the_same_requests_as_barmans_carry_tags() {
    let world = World::new();
    world.back_up(&["--tag", "env,prod 1", "--tag", "a/b,x=y"]);
    let ours = world.kinds(tags);
    world.peer_backs_up(&["--tag", "env,prod 1", "--tag", "a/b,x=y"]);
    assert_eq!(ours, world.kinds(tags));
    assert_eq!(ours.len(), 2, "the record and the archives: {ours:?}");
    let Store::S3(bucket) = &world.store else {
        panic!("it is a bucket");
    };
    for key in bucket.keys().iter().filter(|key| key.contains("/base/")) {
        assert_eq!(bucket.tags(key), "a/b=x=y&env=prod 1", "{key}");
    }
}

#[test]
fn history_files_get_tags_of_their_own_as_barmans_do() {
    let world = World::new();
    let (_scratch, segment, history) = wal_files(&world);
    for options in [
        vec![
            "--tag",
            "all,1",
            "--history-tag",
            "only,2",
            "--history-tag",
            "b,",
        ],
        vec!["--history-tags", "only,2", "\"b\",\"3\"", "--tags", "all,1"],
        vec!["--tags", "all,1"],
        vec!["--history-tag", "only,2"],
    ] {
        let mut seen = Vec::new();
        for command in [Peer::command, ours] {
            for file in [&segment, &history] {
                // What is there already would not be sent again.
                empty(&world.store);
                // The older form would take the URL for a tag.
                let words = [&options[..], &["--"]].concat();
                world.archive(command("barman-cloud-wal-archive"), &words, file);
            }
            seen.push(world.kinds(tags));
        }
        assert_eq!(seen[0], seen[1], "{options:?}");
    }
}

fn ours(name: &str) -> Program {
    Program::new(testkit::program::barman_program(name))
}

fn empty(store: &Store) {
    let Store::S3(bucket) = store else {
        panic!("it is a bucket");
    };
    for key in bucket.keys().iter().filter(|key| key.contains("/other/")) {
        bucket.delete(key);
    }
}

#[test]
fn the_same_requests_as_barmans_ask_for_encryption() {
    let world = World::new();
    world.back_up(&["-e", "AES256"]);
    let ours = world.kinds(encryption);
    world.peer_backs_up(&["-e", "AES256"]);
    assert_eq!(ours, world.kinds(encryption));
    let Store::S3(bucket) = &world.store else {
        panic!("it is a bucket");
    };
    let keys = bucket.keys();
    let archive = keys.iter().find(|key| key.ends_with("data.tar")).unwrap();
    assert_eq!(bucket.encryption(archive), "AES256 None");
}

#[test]
fn a_customers_key_is_needed_for_every_reading_and_seen_nowhere() {
    let world = World::new();
    let scratch = Scratch::new("keys");
    let folder = scratch.shared_folder("keys");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        format!("file://{}", path.display())
    };
    let key = file("key", KEY);
    let wrong = file("wrong", &KEY.replace("a2t", "a3t"));
    world.back_up(&["--sse-customer-key", &key]);
    let ours = world.kinds(encryption);
    world.peer_backs_up(&["--sse-customer-key", &key]);
    let peers = world.kinds(encryption);
    let writes = |kinds: &[String]| -> Vec<String> {
        let writes = kinds.iter().filter(|kind| !kind.starts_with("GET"));
        let writes = writes.filter(|kind| !kind.starts_with("complete"));
        writes.cloned().collect()
    };
    assert_eq!(writes(&ours), writes(&peers));
    let id = {
        let list = world.store.command("barman-cloud-backup-list");
        let list = list.args(["--format=json", "--sse-customer-key", &key]);
        let list = list.args([&world.store.url(), SERVER]).run().success();
        let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
        list["backups_list"][0]["backup_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let place = Scratch::new("restore");
    let restore = |key: &str, folder: &str| {
        restore_program(&world.store, &id, &place.server_folder(folder))
            .args(["-vv", "--sse-customer-key", key])
            .run()
    };
    let restored = restore(&key, "data").success();
    testkit::postgres::verify_backup(world.cluster.tools(), &place.join("data"));
    let refusal = restore(&wrong, "wrong");
    assert_ne!(refusal.code, Some(0));
    assert!(refusal.stderr.contains("HINT"), "{}", refusal.stderr);
    for said in [&restored.stderr, &refusal.stderr] {
        assert!(!said.contains(KEY) && !said.contains("a3t"), "{said}");
    }
    let without = restore_program(&world.store, &id, &place.server_folder("without")).run();
    assert_ne!(without.code, Some(0));
    refused(
        world
            .store
            .command("barman-cloud-backup-list")
            .args(["--sse-customer-key", "file:///nonexistent"])
            .args([&world.store.url(), SERVER])
            .run(),
        4,
        &["/nonexistent", "openssl rand"],
    );
}

#[test]
fn a_key_of_the_key_management_service_is_used() {
    let moto = Moto::start();
    let arn = moto.boto3("print(boto3.client('kms').create_key()['KeyMetadata']['Arn'])");
    let seaweed = SeaweedFs::with_kms(&moto);
    let store = Store::S3(seaweed.bucket());
    let cluster = store.archiving_cluster(15, "").start();
    let options = ["-e", "aws:kms", "--sse-kms-key-id", &arn];
    backup_program(&store, &cluster, &options).run().success();
    let Store::S3(bucket) = &store else {
        panic!("it is a bucket");
    };
    let keys = bucket.keys();
    for key in keys.iter().filter(|key| key.contains("/base/")) {
        assert_eq!(bucket.encryption(key), format!("aws:kms {arn}"), "{key}");
    }
    crate::seen::comes_back_whole(&store, &cluster, &store.latest_id());
}

#[test]
fn parts_have_the_size_and_bytes_have_the_rate_that_were_asked_for() {
    let world = World::new();
    world.cluster.sql(
        "CREATE TABLE bulk AS SELECT repeat(md5(n::text), 60) FROM generate_series(1, 20000) n",
    );
    world.proxy.forget();
    let options = [
        "-J",
        "1",
        "--min-chunk-size",
        "20MB",
        "--max-bandwidth",
        "10MB",
    ];
    let program = backup_program(&world.store, &world.cluster, &options);
    let finished = world.recorded(program).run().success();
    let requests = world.proxy.requests();
    let parts = requests
        .iter()
        .filter(|seen| seen.target.contains("partNumber="));
    let sizes: Vec<u64> = parts.map(|seen| seen.body_bytes).collect();
    let (last, full) = sizes.split_last().unwrap();
    assert!(full.iter().all(|size| *size == 20 << 20), "{sizes:?}");
    // Each part but the last has been paid for before the next one went; a second's worth is free.
    let paid = full.iter().sum::<u64>() as f64 / (10 << 20) as f64 - 1.5;
    let took = finished.took;
    assert!(
        took > Duration::from_secs_f64(paid),
        "{took:?} for {sizes:?} and {last}"
    );
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[test]
fn proxies_and_authorities_of_the_environment_are_used() {
    let store = Store::s3();
    let seaweed = SeaweedFs::shared();
    let list = || {
        let list = store.command("barman-cloud-backup-list");
        let list = list.args([&store.url(), SERVER]);
        let of_others = ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"];
        of_others.into_iter().fold(list, Program::env_remove)
    };
    for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"] {
        list().env(name, seaweed.authority()).run().success();
    }
    refused(list().run(), 2, &["certificate", "AWS_CA_BUNDLE"]);
    let proxy = FaultProxy::before(&seaweed.plain_address());
    let through = || {
        list()
            .env(
                "AWS_ENDPOINT_URL",
                format!("http://{}", seaweed.plain_address()),
            )
            .env("HTTP_PROXY", proxy.endpoint())
    };
    through().run().success();
    let seen = proxy.requests().len();
    assert!(seen > 0);
    through().env("NO_PROXY", "127.0.0.1").run().success();
    assert_eq!(proxy.requests().len(), seen);
}
