//! Where a cluster lies: links, volumes, tablespaces in odd places, disks that are not there, and
//! who may read what comes of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use testkit::postgres::Cluster;
use testkit::process::Program;
use testkit::program::barman_program;
use testkit::scratch::Scratch;
use testkit::user::give_to_server_user;

use crate::product::{SERVER, Store};
use crate::seen::{records, refused};

/// The server's own directory in a tablespace.
fn version_directory(location: &Path) -> PathBuf {
    let mut entries = fs::read_dir(location).unwrap().map(Result::unwrap);
    entries.next().expect("the tablespace has one").path()
}

#[test]
fn a_tablespace_whose_disk_is_not_mounted_fails_the_backup_before_it_begins() {
    let store = Store::directory();
    let cluster = Cluster::builder(15).tablespace("ts1").start();
    let location = cluster.scratch().join("ts1");
    let own = version_directory(&location);
    let aside = cluster.scratch().join("aside");
    fs::rename(&own, &aside).unwrap();
    let name = own.file_name().unwrap().to_str().unwrap();
    let words = [
        "tablespace ts1",
        &location.to_string_lossy(),
        name,
        "mounted",
    ];
    refused(store.try_back_up(&cluster, &[]), 1, &words);
    assert!(records(&store).is_empty(), "nothing was begun");
    fs::rename(&aside, &own).unwrap();
    // The location itself is gone, as an automounted one is.
    let parent = cluster.scratch().join("moved");
    fs::rename(&location, &parent).unwrap();
    refused(store.try_back_up(&cluster, &[]), 1, &words);
    fs::rename(&parent, &location).unwrap();
}

#[test]
fn a_store_inside_the_data_directory_is_refused() {
    let cluster = Cluster::builder(15).start();
    let inside = cluster.data().join("backups");
    fs::create_dir(&inside).unwrap();
    give_to_server_user(&inside);
    let way = cluster.scratch().join("way");
    symlink(&inside, &way).unwrap();
    let store = Store::directory();
    let backup = store.command("barman-cloud-backup");
    let url = format!("file://{}", way.display());
    let backup = backup
        .envs(cluster.environment())
        .args([url.as_str(), "main"]);
    refused(backup.run(), 1, &["which it is a backup of"]);
    assert_eq!(fs::read_dir(&inside).unwrap().count(), 0);
}

/// The paths in the archives of a backup that are not compressed.
fn members(store: &Store, id: &str) -> Vec<String> {
    let Store::Directory(scratch) = store else {
        panic!("a directory is looked into")
    };
    let base = scratch.join("archive").join("main/base").join(id);
    let mut paths = Vec::new();
    for entry in fs::read_dir(base).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "tar") {
            let listed = Program::new("tar").arg("-tf").arg(path).run().success();
            paths.extend(listed.stdout.lines().map(str::to_owned));
        }
    }
    paths
}

fn tablespace_location(store: &Store) -> String {
    let list = store.list();
    let newest = list["backups_list"].as_array().unwrap().last().unwrap();
    let tablespace = &newest["tablespaces"][0];
    tablespace[2].as_str().unwrap().to_owned()
}

#[test]
fn a_tablespace_inside_the_data_directory_is_archived_once_whatever_path_leads_to_it() {
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").start();
    let inside = cluster.data().join("inside");
    fs::create_dir(&inside).unwrap();
    give_to_server_user(&inside);
    let way = cluster.scratch().join("way");
    symlink(cluster.data(), &way).unwrap();
    cluster.sql(&format!(
        "CREATE TABLESPACE ts1 LOCATION '{}/inside'",
        way.display()
    ));
    cluster.sql("CREATE TABLE t TABLESPACE ts1 AS SELECT generate_series(1, 1000) AS n");
    // The data directory as the top of a volume: only root may read what the volume keeps there.
    let lost = cluster.data().join("lost+found");
    fs::create_dir(&lost).unwrap();
    fs::set_permissions(&lost, fs::Permissions::from_mode(0o700)).unwrap();

    let finished = store.try_back_up(&cluster, &[]).success();
    assert!(
        finished
            .stderr
            .contains("ts1 lies inside the data directory"),
        "{}",
        finished.stderr
    );
    let ways = [way.join("inside"), fs::canonicalize(&inside).unwrap()];
    assert_eq!(Path::new(&tablespace_location(&store)), ways[0]);
    let paths = members(&store, &store.latest_id());
    let once = |found: &[String]| {
        assert!(found.iter().any(|path| path.starts_with("PG_15_")));
        let twice = |path: &&String| path.contains("inside") || path.contains("lost+found");
        assert_eq!(found.iter().find(twice), None);
    };
    once(&paths);

    // The same place by a relative link, as an administrator made it.
    let oid = cluster.sql("SELECT oid FROM pg_tablespace WHERE spcname = 'ts1'");
    let link = cluster.data().join("pg_tblspc").join(oid);
    fs::remove_file(&link).unwrap();
    symlink("../inside", &link).unwrap();
    let id = store.back_up(&cluster, &[]);
    assert_eq!(Path::new(&tablespace_location(&store)), ways[1]);
    once(&members(&store, &id));

    let place = Scratch::new("restore");
    let data = store.restore(&id, &place, &[]);
    let mut restored = store.recovering(15, &data).start();
    assert_eq!(restored.sql("SELECT count(*) FROM t"), "1000");
    restored.stop_and_check_data();
}

#[test]
fn files_that_may_not_be_read_are_all_told_before_anything_is_archived() {
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").start();
    let closed = ["base/closed", "copy.conf", "zz"].map(|name| cluster.data().join(name));
    for path in &closed {
        fs::write(path, "x").unwrap();
        give_to_server_user(path);
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    }
    let reader = Program::new("cat").arg(&closed[0]).as_server_user();
    if reader.run().code == Some(0) {
        eprintln!("SKIPPED: the server's account may read everything here");
        return;
    }
    let first = closed[0].to_string_lossy().into_owned();
    let words = [
        "cannot read",
        first.as_str(),
        "and 2 more",
        "permission denied",
    ];
    refused(store.try_back_up(&cluster, &[]), 1, &words);
    let id = store.latest_id();
    assert!(members(&store, &id).is_empty(), "no archive was begun");
}

/// The modes of everything below a directory, without those of its own.
fn modes(top: &Path, found: &mut Vec<(u32, PathBuf)>) {
    for entry in fs::read_dir(top).unwrap().map(Result::unwrap) {
        // What is being written has another name when it is done.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        found.push((metadata.mode() & 0o7777, entry.path()));
        if metadata.is_dir() {
            modes(&entry.path(), found);
        }
    }
}

#[test]
fn what_is_stored_in_a_directory_is_closed_to_others() {
    for (own, directories, files) in [(0o755, 0o700, 0o600), (0o2770, 0o2770, 0o660)] {
        let store = Store::directory();
        let Store::Directory(scratch) = &store else {
            panic!("it is a directory")
        };
        let archive = scratch.join("archive");
        fs::set_permissions(&archive, fs::Permissions::from_mode(own)).unwrap();
        let cluster = store.archiving_cluster(15, "").start();
        let id = store.back_up(&cluster, &["--gzip"]);
        let keep = store.command("barman-cloud-backup-keep");
        keep.args(["--target", "full", &store.url(), "main", &id])
            .run()
            .success();
        // As root, if these tests are: the account of the server stays the owner of everything.
        let history = scratch.write("00000002.history", "1\t0/3000000\tno reason\n");
        Program::new(barman_program("barman-cloud-wal-archive"))
            .args([&store.url(), "other"])
            .arg(history)
            .run()
            .success();
        assert!(archive.join("other/wals/00000002.history").is_file());
        let mut found = Vec::new();
        modes(&archive, &mut found);
        assert!(found.len() > 8, "{found:?}");
        for (mode, path) in found {
            let expected = if path.is_dir() { directories } else { files };
            assert_eq!(mode, expected, "{}: {mode:o}", path.display());
            let owner = |path: &Path| fs::metadata(path).unwrap().uid();
            assert_eq!(owner(&path), owner(&archive), "{}", path.display());
        }
    }
}

#[test]
fn a_record_that_may_not_be_read_hides_no_other() {
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").start();
    let first = store.back_up(&cluster, &[]);
    let second = store.back_up(&cluster, &[]);
    let folder = store.url().trim_start_matches("file://").to_owned();
    let record = Path::new(&folder)
        .join(SERVER)
        .join("base")
        .join(&first)
        .join("backup.info");
    let theirs = fs::Permissions::from_mode(0o000);
    fs::set_permissions(&record, theirs).unwrap();
    if testkit::user::is_root() {
        std::os::unix::fs::chown(&record, Some(0), Some(0)).unwrap();
    }
    let list = store.command("barman-cloud-backup-list");
    let said = list.args([&store.url(), SERVER]).run().success();
    assert!(
        said.stdout.contains(&second) && !said.stdout.contains(&first),
        "{}",
        said.stdout
    );
    assert!(said.stderr.contains(&first), "{}", said.stderr);
    assert!(said.stderr.contains("permission denied"), "{}", said.stderr);
}
