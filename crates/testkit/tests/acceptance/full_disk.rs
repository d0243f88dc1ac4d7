//! A disk that is full, under the store or under what is restored: said by name, nothing lost, and
//! once there is space the same command succeeds.

use std::fs;
use std::path::{Path, PathBuf};

use testkit::full_disk::SmallDisk;
use testkit::postgres::Cluster;
use testkit::process::Program;
use testkit::scratch::Scratch;

use crate::product::{SERVER, Store};
use crate::seen::{answer_of_restored, backup_program, latest_status, refused, restore_program};

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files_below(&path)),
            path => found.push(path),
        }
    }
    found
}

/// A server, and commands on a store that lies on a small disk.
struct World {
    disk: SmallDisk,
    store: Store,
    cluster: Cluster,
}

impl World {
    fn on_disk_of(mib: u32) -> Option<World> {
        let disk = SmallDisk::mount(mib)?;
        // Only its words and account are used; its own directory stays empty.
        let store = Store::directory();
        let cluster = Cluster::builder(15).archive_command("true").start();
        cluster.sql("CREATE TABLE marks AS SELECT generate_series(1, 1000) AS mark");
        Some(World {
            disk,
            store,
            cluster,
        })
    }

    fn url(&self) -> String {
        format!("file://{}", self.disk.path().display())
    }

    fn backup(&self) -> Program {
        let backup = self
            .store
            .command("barman-cloud-backup")
            .arg("--immediate-checkpoint");
        backup
            .envs(self.cluster.environment())
            .args([&self.url(), SERVER])
    }

    fn listed(&self) -> String {
        let list = self
            .store
            .command("barman-cloud-backup-list")
            .args(["--format", "json"]);
        list.args([&self.url(), SERVER]).run().success().stdout
    }

    fn free(&self) {
        fs::remove_file(self.disk.path().join("filler")).unwrap();
    }
}

#[test]
fn a_backup_that_fills_the_store_is_not_done() {
    // The data directory of a new server has about 23 MiB that are archived.
    let Some(world) = World::on_disk_of(60) else {
        return;
    };
    for free in [0, 64 * 1024, 1 << 20, 12 << 20] {
        world.disk.fill_but(free);
        let finished = world.backup().run();
        let words = [
            world.disk.path().to_str().unwrap(),
            "no space left",
            "HINT: Free space",
        ];
        // With no room for its record a backup does not begin; later, it fails.
        let status = if free == 0 { 4 } else { 1 };
        refused(finished, status, &words);
        let listed = world.listed();
        assert!(!listed.contains("DONE"), "{free}: {listed}");
        world.free();
        let archives = files_below(world.disk.path());
        let left = |path: &&PathBuf| !path.ends_with("backup.info");
        let left: Vec<_> = archives.iter().filter(left).collect();
        assert!(
            left.is_empty(),
            "what was not finished is gone again: {left:?}"
        );
    }
    world.backup().run().success();
    assert!(world.listed().contains("DONE"));
}

#[test]
fn a_full_directory_for_temporary_files_is_told_as_what_it_is() {
    let Some(disk) = SmallDisk::mount(8) else {
        return;
    };
    let store = Store::directory();
    let cluster = Cluster::builder(15).archive_command("true").start();
    let backup =
        |options: &[&str]| backup_program(&store, &cluster, options).env("TMPDIR", disk.path());
    let words = format!("cannot keep the list of files in {}", disk.path().display());
    // A new server has some thousand files: 30 KB of the list, 130 KB of the manifest. So the first
    // has no room for the list; the others run out while archives are made.
    for free in [0, 96 << 10, 128 << 10] {
        disk.fill_but(free);
        let finished = backup(&["-J", "1"]).run();
        refused(finished, 1, &[&words, "no space left", "HINT: Set TMPDIR"]);
        assert_eq!(latest_status(&store), "FAILED", "{free}");
        fs::remove_file(disk.path().join("filler")).unwrap();
    }
    backup(&[]).run().success();
}

#[test]
fn a_wal_file_that_fills_the_store_is_not_acknowledged() {
    let Some(world) = World::on_disk_of(40) else {
        return;
    };
    let name = world
        .cluster
        .sql("SELECT pg_walfile_name(pg_current_wal_lsn())");
    world.cluster.sql("SELECT pg_switch_wal()");
    let segment = world.cluster.data().join("pg_wal").join(&name);
    let archive = || {
        let archive = world.store.command("barman-cloud-wal-archive");
        archive.args([&world.url(), SERVER]).arg(&segment).run()
    };
    let place = Scratch::new("wal");
    let got = place.shared_folder("pg_wal").join(&name);
    let fetch = || {
        let fetch = world.store.command("barman-cloud-wal-restore");
        fetch.args([&world.url(), SERVER, &name]).arg(&got).run()
    };
    for free in [0, 64 * 1024, 8 << 20] {
        world.disk.fill_but(free);
        let words = [
            world.disk.path().to_str().unwrap(),
            &name,
            "no space left",
            "HINT: Free",
        ];
        refused(archive(), 4, &words);
        refused(fetch(), 1, &[&name, "not in the archive"]);
        world.free();
        assert!(
            files_below(world.disk.path()).is_empty(),
            "{:?}",
            files_below(world.disk.path())
        );
    }
    archive().success();
    fetch().success();
    assert_eq!(fs::read(&got).unwrap(), fs::read(&segment).unwrap());
    // And back again onto a full disk: no half segment for the server to read.
    world.disk.fill_but(1 << 20);
    let full = world.disk.path().join("RECOVERYXLOG");
    let fetch = world.store.command("barman-cloud-wal-restore");
    let fetched = fetch.args([&world.url(), SERVER, &name]).arg(&full).run();
    refused(
        fetched,
        4,
        &[full.to_str().unwrap(), "no space left", "HINT: Free space"],
    );
    assert!(!full.exists());
}

#[test]
fn a_server_keeps_what_a_full_store_did_not_take() {
    let Some(disk) = SmallDisk::mount(60) else {
        return;
    };
    let url = format!("file://{}", disk.path().display());
    disk.fill_but(1 << 20);
    let archive = testkit::program::barman_program("barman-cloud-wal-archive");
    let command = format!("{} {url} {SERVER} %p", archive.display());
    let cluster = Cluster::builder(15).archive_command(&command).start();
    cluster.sql("CREATE TABLE marks AS SELECT 1 AS mark; SELECT pg_switch_wal();");
    let failed = "SELECT failed_count > 0 AND archived_count = 0 FROM pg_stat_archiver";
    let deadline = std::time::Duration::from_secs(30);
    cluster
        .wait_until(deadline, || cluster.sql(failed) == "t")
        .unwrap();
    assert!(
        cluster.log().contains("No space left on device"),
        "{}",
        cluster.log()
    );
    fs::remove_file(disk.path().join("filler")).unwrap();
    // The archiver waits a minute after three failures; a new segment wakes it.
    let archived = "SELECT archived_count > 0 FROM pg_stat_archiver";
    let waited = cluster.wait_until(std::time::Duration::from_secs(70), || {
        cluster.sql("SELECT pg_reload_conf()");
        cluster.sql(archived) == "t"
    });
    waited.unwrap();
}

#[test]
fn a_restore_onto_a_full_disk_leaves_nothing_that_starts() {
    let Some(disk) = SmallDisk::mount(40) else {
        return;
    };
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").start();
    cluster.sql("CREATE TABLE marks AS SELECT generate_series(1, 1000) AS mark");
    let backup = backup_program(&store, &cluster, &["--zstd"]).run();
    backup.success();
    let id = store.latest_id();
    for free in [0, 64 * 1024, 10 << 20, 20 << 20] {
        let data = disk.path().join(format!("data{free}"));
        disk.fill_but(free);
        let early = restore_program(&store, &id, &data).run();
        refused(
            early,
            1,
            &[disk.path().to_str().unwrap(), "--no-space-check"],
        );
        assert!(!data.join("PG_VERSION").exists(), "nothing was begun");
        let restore = restore_program(&store, &id, &data);
        let finished = restore.args(["--no-space-check"]).run();
        refused(
            finished,
            1,
            &[data.to_str().unwrap(), "no space left", "HINT: Free space"],
        );
        assert!(!data.join("global/pg_control").exists());
        fs::remove_file(disk.path().join("filler")).unwrap();
        let _ = fs::remove_dir_all(&data);
    }
    let answer = answer_of_restored(&store, &cluster, &id, "SELECT count(*) FROM marks");
    assert_eq!(answer, "1000");
}
