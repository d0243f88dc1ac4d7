//! The command lines that CloudNativePG builds, word for word, on a real store.
//!
//! Its instance manager calls the commands by name with `TMPDIR` set, reads the version and the
//! JSON, and tells exit statuses apart. (CloudNativePG documentation, "Backup on object stores";
//! the words are those of its `barman-cloud` library.)

use std::time::Duration;

use serde_json::Value;
use testkit::postgres::Cluster;
use testkit::process::{Finished, Program};
use testkit::scratch::Scratch;

use crate::deletion::put_made_up;
use crate::product::{SERVER, Store};

struct Operator {
    store: Store,
    temporary: Scratch,
}

impl Operator {
    fn new() -> Operator {
        let temporary = Scratch::new("controller");
        temporary.server_folder("tmp");
        Operator {
            store: Store::s3(),
            temporary,
        }
    }

    fn endpoint(&self) -> String {
        let found = self.store.environment();
        let found = found.iter().find(|(name, _)| name == "AWS_ENDPOINT_URL");
        found.expect("the store has an endpoint").1.clone()
    }

    /// A command with the options and the two words that every one of them ends with.
    fn command(&self, name: &str, options: &[&str]) -> Program {
        let endpoint = self.endpoint();
        self.store
            .command(name)
            .env("TMPDIR", self.temporary.join("tmp"))
            .env_remove("AWS_ENDPOINT_URL")
            .args(options)
            .args(["--endpoint-url", &endpoint, "--cloud-provider", "aws-s3"])
            .args([&self.store.url(), SERVER])
    }

    fn back_up(&self, cluster: &Cluster, name: &str) -> Finished {
        let options = [
            "--user",
            "postgres",
            "--name",
            name,
            "--gzip",
            "--encryption",
            "AES256",
            "--jobs",
            "2",
            "--immediate-checkpoint",
            "--tags",
            "team,dba",
        ];
        let backup = self.command("barman-cloud-backup", &options);
        backup.envs(cluster.environment()).run()
    }

    fn json(&self, name: &str, more: &[&str]) -> Value {
        let shown = self.command(name, &["--format", "json"]).args(more);
        serde_json::from_str(&shown.run().success().stdout).unwrap()
    }
}

fn the_tags_are_those_that_were_asked_for(store: &Store) {
    let Store::S3(bucket) = store else {
        panic!("it is a bucket");
    };
    bucket.keys().iter().for_each(|key| {
        let tags = match key {
            key if key.contains("/wals/") => "a=b",
            _ => "team=dba",
        };
        assert!(
            bucket.tags(key).contains(tags),
            "{key}: {}",
            bucket.tags(key)
        );
        assert!(bucket.encryption(key).starts_with("AES256"), "{key}");
    });
}

#[test]
fn what_cloudnativepg_asks_for_works_word_for_word() {
    let operator = Operator::new();
    let check = |name: &str| operator.command(name, &[]).run();
    check("barman-cloud-check-wal-archive").success();

    let version = Program::new(testkit::program::barman_program("barman-cloud-backup"));
    let version = version.arg("--version").run().success().stdout;
    assert!(
        version.starts_with("barman-cloud-backup 3.20.1"),
        "{version}"
    );

    let options = "--gzip -e AES256 --tags a,b --history-tags c,d --cloud-provider aws-s3";
    let cluster = operator.store.archiving_cluster(16, options).start();
    cluster.sql("CREATE TABLE orders AS SELECT generate_series(1, 100) AS id; CHECKPOINT");
    operator
        .back_up(&cluster, "backup-20261121120000")
        .success();
    cluster.sql("INSERT INTO orders VALUES (101)");
    cluster.archive_now(Duration::from_secs(60));

    the_tags_are_those_that_were_asked_for(&operator.store);
    let list = operator.json("barman-cloud-backup-list", &[]);
    let backup = &list["backups_list"][0];
    assert_eq!(backup["backup_name"], "backup-20261121120000");
    for key in [
        "backup_id",
        "begin_wal",
        "end_wal",
        "begin_xlog",
        "end_xlog",
        "systemid",
    ] {
        assert!(backup[key].is_string(), "{key}: {backup}");
    }
    assert!(backup["end_time_iso"].is_string() && backup["begin_time_iso"].is_string());
    let id = backup["backup_id"].as_str().unwrap().to_owned();
    let shown = operator.json("barman-cloud-backup-show", &["backup-20261121120000"]);
    assert_eq!(shown["cloud"]["backup_id"], id.as_str());
    assert_eq!(shown["cloud"]["status"], "DONE");

    let policy = ["--retention-policy", "RECOVERY WINDOW OF 7 DAYS"];
    operator
        .command("barman-cloud-backup-delete", &policy)
        .run()
        .success();
    assert_eq!(operator.store.latest_id(), id);

    let place = Scratch::new("restored");
    let data = place.server_folder("data");
    let restore = operator.command("barman-cloud-restore", &[]);
    restore.arg(&id).arg(&data).run().success();
    let mut restored = operator.store.recovering(16, &data).start();
    assert_eq!(restored.sql("SELECT count(*) FROM orders"), "101");
    restored.stop_and_check_data();

    // The archive is in use now: a new cluster must not write there.
    check("barman-cloud-check-wal-archive").exits_with(1);
}

#[test]
fn the_statuses_that_cloudnativepg_tells_apart() {
    let operator = Operator::new();
    let place = Scratch::new("statuses");
    let folder = place.server_folder("wal");
    let fetch = |name: &str| {
        let fetch = operator.command("barman-cloud-wal-restore", &[]);
        fetch.arg(name).arg(folder.join("fetched"))
    };
    fetch("000000010000000000000001").run().exits_with(1);
    fetch("not-a-wal-file").run().exits_with(3);
    let unreachable = operator.store.command("barman-cloud-wal-restore");
    unreachable
        .args([
            "--endpoint-url",
            "http://127.0.0.1:9",
            &operator.store.url(),
            SERVER,
        ])
        .arg("000000010000000000000001")
        .arg(folder.join("fetched"))
        .run()
        .exits_with(2);
    let missing = operator.store.command("barman-cloud-wal-restore");
    missing
        .args(["s3://no-such-bucket-anywhere/x", SERVER])
        .arg("000000010000000000000001")
        .arg(folder.join("fetched"))
        .run()
        .exits_with(4);
    for credential in ["managed-identity", "default"] {
        let list = operator.store.command("barman-cloud-backup-list");
        let list = list.args(["--cloud-provider", "azure-blob-storage", "--test"]);
        // Understood: only there is nobody to be asked for a token.
        let list = list
            .env("IDENTITY_ENDPOINT", "http://127.0.0.1:9/token")
            .env("IDENTITY_HEADER", "header")
            .args(["--credential", credential])
            .args([
                "https://account.blob.core.windows.net/container/path",
                SERVER,
            ]);
        let said = list.run().exits_with(2).stderr.to_lowercase();
        assert!(said.contains("no credentials"), "{credential}: {said}");
    }
}

/// Each command as the operator runs it, at `options` and `url`.
fn statuses(operator: &Operator, options: &[&str], url: &str) -> Vec<(&'static str, i32)> {
    let cluster = operator.store.archiving_cluster(16, "").start();
    let segment = "000000010000000000000001";
    let wal = cluster.data().join("pg_wal").join(segment);
    let wal = wal.to_str().unwrap();
    let policy = "RECOVERY WINDOW OF 7 DAYS";
    let commands: [(&str, &[&str]); 7] = [
        ("barman-cloud-backup", &["--user", "postgres"]),
        ("barman-cloud-wal-archive", &[wal]),
        ("barman-cloud-wal-restore", &[segment, "/tmp/nowhere"]),
        ("barman-cloud-backup-list", &["--format", "json"]),
        ("barman-cloud-backup-show", &["20261121T120000"]),
        (
            "barman-cloud-backup-delete",
            &["--retention-policy", policy],
        ),
        ("barman-cloud-check-wal-archive", &["--timeline", "1"]),
    ];
    commands
        .into_iter()
        .map(|(name, words)| {
            let command = operator.store.command(name).args(options);
            let command = command.envs(cluster.environment()).args([url, SERVER]);
            (name, command.args(words).run().code.unwrap())
        })
        .collect()
}

#[test]
fn every_command_tells_the_network_the_command_line_and_the_rest_apart() {
    let operator = Operator::new();
    let url = operator.store.url();
    let unreachable = ["--endpoint-url", "http://127.0.0.1:9"];
    for (name, status) in statuses(&operator, &unreachable, &url) {
        assert_eq!(status, 2, "{name}, unreachable");
    }
    for (name, status) in statuses(&operator, &["--nonsense"], &url) {
        assert_eq!(status, 3, "{name}, wrong option");
    }
    for (name, status) in statuses(&operator, &["-P", "no-such-profile"], &url) {
        assert_eq!(status, 4, "{name}, no such profile");
    }
}

#[test]
fn backups_older_than_the_window_go_and_those_it_needs_stay() {
    let operator = Operator::new();
    // Days: 30, 10, 3. The one of ten days ago leads into a window of seven.
    let ids = [720, 240, 72].map(|hours| put_made_up(&operator.store, hours, "status=DONE"));
    let policy = ["--retention-policy", "RECOVERY WINDOW OF 7 DAYS"];
    let delete = operator.command("barman-cloud-backup-delete", &policy);
    delete.run().success();
    let list = operator.json("barman-cloud-backup-list", &[]);
    let left = list["backups_list"].as_array().unwrap();
    let left: Vec<_> = left
        .iter()
        .map(|one| one["backup_id"].as_str().unwrap())
        .collect();
    assert_eq!(left, ids[1..]);
}
