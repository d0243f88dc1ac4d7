//! Our commands as hook scripts of a real Barman server: Python Barman takes a backup with
//! `pg_basebackup`, and we send it on into a bucket.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use testkit::Peer;
use testkit::postgres::Cluster;
use testkit::process::Program;
use testkit::program::barman_program;
use testkit::scratch::Scratch;
use testkit::user::server_user;

use crate::product::{SERVER, Store};
use crate::seen::{done_backups, refused};

/// A Barman server for one cluster, which copies its WAL into the server's own archive.
struct Barman {
    place: Scratch,
    config: PathBuf,
}

impl Barman {
    fn serving(cluster: &Cluster, options: &str) -> Barman {
        let place = Scratch::new("barman");
        let home = place.server_folder("home");
        let tools = cluster.tools().program("pg_basebackup");
        let tools = tools.expect("pg_basebackup is there");
        let conninfo = cluster.conninfo();
        let config = format!(
            "[barman]\nbarman_user = {user}\nbarman_home = {home}\nlog_file = {home}/log\n\
             configuration_files_directory = {home}\n\n\
             [{SERVER}]\ndescription = test\nconninfo = {conninfo}\n\
             streaming_conninfo = {conninfo}\nbackup_method = postgres\narchiver = on\n\
             immediate_checkpoint = on\npath_prefix = {tools}\n{options}\n",
            user = account(),
            home = home.display(),
            tools = tools.parent().unwrap().display(),
        );
        let config = place.write("barman.conf", &config);
        place.server_folder("home/main");
        let incoming = place.server_folder("home/main/incoming");
        let copy = format!("cp %p {}/%f", incoming.display());
        cluster.sql(&format!("ALTER SYSTEM SET archive_command = '{copy}'"));
        cluster.sql("SELECT pg_reload_conf()");
        Barman { place, config }
    }

    fn command(&self, words: &[&str]) -> Program {
        let command = Peer::command("barman").as_server_user();
        command.arg("--config").arg(&self.config).args(words)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.join("home/log")).unwrap_or_default()
    }
}

/// Barman wants to know which account it runs under.
fn account() -> String {
    server_user().map_or_else(
        || std::env::var("USER").unwrap(),
        |user| user.name().to_owned(),
    )
}

fn cluster() -> Cluster {
    let builder = Cluster::builder(15).tablespace("ts1");
    builder.archive_command("true").start()
}

#[test]
fn a_backup_of_a_barman_server_is_sent_into_a_bucket_and_comes_back() {
    let store = Store::s3();
    let cluster = cluster();
    cluster.sql("CREATE TABLE rows TABLESPACE ts1 AS SELECT generate_series(1, 1000)");
    let program = barman_program("barman-cloud-backup");
    let hook = format!(
        "post_backup_retry_script = {} --zstd {} {SERVER}",
        program.display(),
        store.url()
    );
    let barman = Barman::serving(&cluster, &hook);
    let backup = barman.command(&["backup", "--wait", SERVER]);
    backup.envs(store.environment()).run().success();
    let sent = done_backups(&store);
    assert_eq!(sent.len(), 1, "{}", barman.log());
    let id = &sent[0];
    let keys = store.keys();
    assert!(keys.iter().any(|key| key.ends_with("/data.tar.zst")));

    let place = Scratch::new("sent");
    let data = store.restore(id, &place, &[]);
    let restore_command = format!(
        "{} --config {} get-wal {SERVER} %f > %p",
        Peer::path("barman").display(),
        barman.config.display()
    );
    let restored = Cluster::on_restored(15, &data).restore_command(&restore_command);
    let mut restored = restored.start();
    assert_eq!(restored.sql("SELECT count(*) FROM rows"), "1000");
    restored.stop_and_check_data();
    barmans_reader_restores_it(&store, id);

    // The hook is run again, by hand: what is there is left there.
    let hook = || hook_program(&store, &barman, id);
    hook().run().success();
    refused(hook().arg("--name=again").run(), 4, &["--name"]);
    let waiting = hook().env("BARMAN_STATUS", "WAITING_FOR_WALS");
    refused(waiting.run(), 63, &["--wait"]);
    let other = hook().env("BARMAN_HOOK", "delete_script");
    refused(other.run(), 4, &["post_backup_script"]);
}

#[test]
fn wal_of_a_barman_server_is_sent_into_a_bucket_however_it_came() {
    let store = Store::s3();
    let cluster = cluster();
    let program = barman_program("barman-cloud-wal-archive");
    let hook = format!(
        "pre_archive_retry_script = {} --zstd {} {SERVER}",
        program.display(),
        store.url()
    );
    let barman = Barman::serving(&cluster, &hook);
    cluster.sql("CREATE TABLE t (n int)");
    for _ in 0..3 {
        cluster.sql("INSERT INTO t VALUES (1)");
        cluster.sql("SELECT pg_switch_wal()");
    }
    let incoming = barman.place.join("home/main/incoming");
    let whole: Vec<_> = (1..=3)
        .map(|n| format!("00000001000000000000000{n}"))
        .collect();
    cluster.archive_now(Duration::from_secs(60));
    let last = incoming.join(&whole[2]);
    let contents: Vec<_> = whole
        .iter()
        .map(|name| fs::read(incoming.join(name)).unwrap())
        .collect();
    // As `barman-wal-archive --gzip` leaves it: compressed, under the bare name.
    let gzip = Program::new("gzip").as_server_user();
    gzip.arg(&last).run().success();
    fs::rename(last.with_extension("gz"), &last).unwrap();
    let archive = barman.command(&["archive-wal", SERVER]);
    archive.envs(store.environment()).run().success();

    let place = Scratch::new("fetched");
    let fetched = place.server_folder("wal").join("file");
    for (name, content) in whole.iter().zip(contents) {
        assert!(!incoming.join(name).exists(), "{name}: {}", barman.log());
        let fetch = store.command("barman-cloud-wal-restore");
        let fetch = fetch.args([&store.url(), SERVER, name]).arg(&fetched);
        fetch.run().success();
        assert!(fs::read(&fetched).unwrap() == content, "{name}");
    }
    let keys = store.keys();
    let stored = keys.iter().filter(|key| key.ends_with(".zst")).count();
    assert!(stored >= 3, "{keys:?}");
}

/// The variables that Barman's manual names for a hook after a backup.
fn hook_program(store: &Store, barman: &Barman, id: &str) -> Program {
    let server = barman.place.join("home/main");
    let info = server.join(format!("meta/{id}-backup.info"));
    let info = match info.exists() {
        true => info,
        false => server.join(format!("base/{id}/backup.info")),
    };
    store
        .command("barman-cloud-backup")
        .env("BARMAN_HOOK", "backup_retry_script")
        .env("BARMAN_PHASE", "post")
        .env("BARMAN_STATUS", "DONE")
        .env("BARMAN_BACKUP_ID", id)
        .env("BARMAN_BACKUP_DIR", server.join("base").join(id))
        .env("BARMAN_BACKUP_INFO_PATH", info)
        .args(["--zstd", &store.url(), SERVER])
}

fn barmans_reader_restores_it(store: &Store, id: &str) {
    let place = Scratch::new("peer");
    let (data, tablespace) = (place.server_folder("data"), place.server_folder("ts1"));
    Peer::command("barman-cloud-restore")
        .envs(store.environment())
        .arg("--tablespace")
        .arg(format!("ts1:{}", tablespace.display()))
        .args([&store.url(), SERVER, id])
        .arg(&data)
        .run()
        .success();
    assert!(data.join("backup_label").exists());
}
