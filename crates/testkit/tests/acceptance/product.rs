//! The product as its users start it: a store, a server that archives to it, and the commands.

use std::path::{Path, PathBuf};

use testkit::postgres::{Cluster, ClusterBuilder, RestoredBuilder};
use testkit::process::{Finished, Program};
use testkit::program::barman_program;
use testkit::scratch::Scratch;
use testkit::seaweed::{Bucket, SeaweedFs};
use testkit::{Azurite, Container, GcsBucket, GcsEmulator};

/// The name the backups of the tests go by.
pub const SERVER: &str = "main";

/// Where a test's backups go.
pub enum Store {
    Directory(Scratch),
    S3(Bucket),
    Azure(Container),
    Google(GcsBucket),
}

impl Store {
    /// A directory that the server's user owns.
    pub fn directory() -> Store {
        let scratch = Scratch::new("store");
        scratch.server_folder("archive");
        Store::Directory(scratch)
    }

    /// A bucket on S3 with TLS, a certificate of its own authority and checked signatures.
    pub fn s3() -> Store {
        Store::S3(SeaweedFs::shared().bucket())
    }

    /// A container on Azurite.
    pub fn azure() -> Store {
        Store::Azure(Azurite::shared().container())
    }

    /// A bucket on the emulator of Google Cloud Storage.
    pub fn google() -> Store {
        Store::Google(GcsEmulator::shared().bucket())
    }

    /// The option that names the provider, where the default one is another.
    pub fn provider(&self) -> Option<&'static str> {
        match self {
            Store::Directory(_) | Store::S3(_) => None,
            Store::Azure(_) => Some("--cloud-provider=azure-blob-storage"),
            Store::Google(_) => Some("--cloud-provider=google-cloud-storage"),
        }
    }

    /// The URL for the commands.
    pub fn url(&self) -> String {
        match self {
            Store::Directory(scratch) => format!("file://{}", scratch.join("archive").display()),
            Store::S3(bucket) => format!("s3://{}/some/folder", bucket.name()),
            Store::Azure(container) => format!("{}/some/folder", container.url()),
            Store::Google(bucket) => format!("gs://{}/some/folder", bucket.name()),
        }
    }

    /// Variables with which the commands reach the store.
    pub fn environment(&self) -> Vec<(String, String)> {
        match self {
            Store::Directory(_) => Vec::new(),
            Store::S3(bucket) => bucket.environment().to_vec(),
            Store::Azure(container) => container.environment(),
            Store::Google(bucket) => bucket.environment(),
        }
    }

    /// Every key in the bucket, in order; a directory has none.
    pub fn keys(&self) -> Vec<String> {
        match self {
            Store::Directory(_) => Vec::new(),
            Store::S3(bucket) => bucket.keys(),
            Store::Azure(container) => container.keys(),
            Store::Google(bucket) => bucket.keys(),
        }
    }

    /// A command of ours, as the server's user; the caller adds its arguments.
    pub fn command(&self, name: &str) -> Program {
        Program::new(barman_program(name))
            .as_server_user()
            .envs(self.environment())
            .args(self.provider())
    }

    /// A server that archives to this store with our command.
    pub fn archiving_cluster(&self, major: u32, codec: &str) -> ClusterBuilder {
        let program = barman_program("barman-cloud-wal-archive");
        let (program, provider) = (program.display(), self.provider().unwrap_or_default());
        let command = format!("{program} {provider} {codec} {} {SERVER} %p", self.url());
        let builder = Cluster::builder(major).archive_command(&command);
        let with_store =
            |builder: ClusterBuilder, (name, value): (String, String)| builder.env(&name, value);
        self.environment().into_iter().fold(builder, with_store)
    }

    /// Backs the cluster up; returns the new backup's id.
    pub fn back_up(&self, cluster: &Cluster, options: &[&str]) -> String {
        self.try_back_up(cluster, options).success();
        self.latest_id()
    }

    /// Backs the cluster up, whatever comes of it.
    pub fn try_back_up(&self, cluster: &Cluster, options: &[&str]) -> Finished {
        self.command("barman-cloud-backup")
            .envs(cluster.environment())
            .args(["-U", "postgres", "--immediate-checkpoint"])
            .args(options)
            .args([&self.url(), SERVER])
            .run()
    }

    /// The JSON of `barman-cloud-backup-list`.
    pub fn list(&self) -> serde_json::Value {
        let listed = self
            .command("barman-cloud-backup-list")
            .args(["--format", "json", &self.url(), SERVER])
            .run()
            .success();
        serde_json::from_str(&listed.stdout).unwrap()
    }

    /// The id of the newest backup, whatever its status.
    pub fn latest_id(&self) -> String {
        let list = self.list();
        let backups = list["backups_list"].as_array().unwrap();
        backups.last().expect("a backup is listed")["backup_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Restores a backup, tablespace `ts1` included, below `place`.
    pub fn restore(&self, id: &str, place: &Scratch, options: &[&str]) -> PathBuf {
        let (data, tablespace) = (place.join("data"), place.join("ts1"));
        place.server_folder("data");
        place.server_folder("ts1");
        self.command("barman-cloud-restore")
            .args(options)
            .arg("--tablespace")
            .arg(format!("ts1:{}", tablespace.display()))
            .args([&self.url(), SERVER, id])
            .arg(&data)
            .run()
            .success();
        data
    }

    /// A server on a restored directory that recovers from this store with our command.
    pub fn recovering(&self, major: u32, data: &Path) -> RestoredBuilder {
        let program = barman_program("barman-cloud-wal-restore");
        let (program, provider) = (program.display(), self.provider().unwrap_or_default());
        let command = format!("{program} {provider} {} {SERVER} %f %p", self.url());
        let builder = Cluster::on_restored(major, data).restore_command(&command);
        let with_store =
            |builder: RestoredBuilder, (name, value): (String, String)| builder.env(&name, value);
        self.environment().into_iter().fold(builder, with_store)
    }
}
