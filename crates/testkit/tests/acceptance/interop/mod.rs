//! Barman beside ours on one store: what either wrote, the other reads.
//!
//! Here is what both sides have in common: each test names who does what. Always true: nothing is
//! compared through our own code; PostgreSQL's checks and SQL say whether a restore is right.

mod catalogue;
mod clouds;
mod keys;
mod links;
mod restores;
mod wal_files;

use std::path::PathBuf;

use testkit::postgres::{Cluster, ClusterBuilder};
use testkit::process::Program;
use testkit::program::barman_program;
use testkit::{Peer, Scratch};

use crate::product::{SERVER, Store};

/// Whose programs do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Us,
    Barman,
}

impl By {
    fn program(self, name: &str) -> PathBuf {
        match self {
            By::Us => barman_program(name),
            By::Barman => Peer::path(name),
        }
    }

    /// A command with the store's environment and account; the caller adds its arguments.
    fn command(self, store: &Store, name: &str) -> Program {
        match self {
            By::Us => store.command(name),
            By::Barman => Peer::command(name)
                .as_server_user()
                .envs(store.environment())
                .args(store.provider()),
        }
    }

    /// What a backup command needs, without options of its own.
    fn backup(self, store: &Store, cluster: &Cluster) -> Program {
        let command = self
            .command(store, "barman-cloud-backup")
            .envs(cluster.environment());
        command.args(["--immediate-checkpoint", &store.url(), SERVER])
    }

    /// Backs up and returns the new backup's id.
    fn back_up(self, store: &Store, cluster: &Cluster, options: &[&str]) -> String {
        self.backup(store, cluster).args(options).run().success();
        let listed = self.records(store);
        let newest = listed.last().expect("a backup is listed");
        assert_eq!(newest["status"], "DONE", "{newest:#}");
        newest["backup_id"].as_str().unwrap().to_owned()
    }

    /// What a listing command prints.
    fn prints(self, store: &Store, name: &str, arguments: &[&str]) -> String {
        let command = self.command(store, name).args([&store.url(), SERVER]);
        command.args(arguments).run().success().stdout
    }

    /// The records of the JSON list, oldest first.
    fn records(self, store: &Store) -> Vec<serde_json::Value> {
        let text = self.prints(store, "barman-cloud-backup-list", &["--format", "json"]);
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        document["backups_list"].as_array().unwrap().clone()
    }

    /// Restores a backup with tablespace `ts1` below `place`; returns the data directory.
    fn restore(self, store: &Store, id: &str, place: &Scratch) -> PathBuf {
        let data = place.server_folder("data");
        let mapping = format!("ts1:{}", place.server_folder("ts1").display());
        let restore = self.command(store, "barman-cloud-restore");
        let restore = restore.args(["--tablespace", &mapping, &store.url(), SERVER, id]);
        restore.arg(&data).run().success();
        data
    }

    /// An `archive_command`.
    fn archive_command(self, store: &Store, codec: &str) -> String {
        let program = self.program("barman-cloud-wal-archive");
        let (program, provider) = (program.display(), store.provider().unwrap_or_default());
        format!("{program} {provider} {codec} {} {SERVER} %p", store.url())
    }

    /// A `restore_command`.
    fn restore_command(self, store: &Store) -> String {
        let program = self.program("barman-cloud-wal-restore");
        let (program, provider) = (program.display(), store.provider().unwrap_or_default());
        format!("{program} {provider} {} {SERVER} %f %p", store.url())
    }
}

/// A server with tablespace `ts1` whose `archive_command` finds the store.
fn source(store: &Store, major: u32, by: By) -> ClusterBuilder {
    let builder = Cluster::builder(major).tablespace("ts1");
    let builder = builder.archive_command(&by.archive_command(store, ""));
    let with_store =
        |builder: ClusterBuilder, (name, value): (String, String)| builder.env(&name, value);
    store.environment().into_iter().fold(builder, with_store)
}

/// Tables on both sides of a tablespace's border, about 2 MB that compress little.
fn fill(cluster: &Cluster) {
    cluster.sql(
        "CREATE TABLE near AS SELECT n, md5(n::text) || md5((-n)::text) AS t
             FROM generate_series(1, 10000) n;
         CREATE TABLE far (LIKE near) TABLESPACE ts1;
         INSERT INTO far SELECT * FROM near;",
    );
}

fn add_row(cluster: &Cluster, text: &str) {
    cluster.sql(&format!(
        "INSERT INTO near VALUES (0, '{text}'); INSERT INTO far VALUES (0, '{text}')"
    ));
}

/// A fingerprint of every row.
fn rows(cluster: &Cluster) -> String {
    let digest =
        |table| format!("SELECT md5(string_agg(x::text, ',' ORDER BY n, t)) FROM {table} x;");
    cluster.sql(&[digest("near"), digest("far")].concat())
}

/// Recovers a restored directory to the end of the archive, which `by` reads.
fn recover(store: &Store, major: u32, data: PathBuf, by: By) -> Cluster {
    let mut recovering = Cluster::on_restored(major, data);
    recovering = recovering.restore_command(&by.restore_command(store));
    for (name, value) in store.environment() {
        recovering = recovering.env(&name, value);
    }
    recovering.start()
}
