//! Symbolic links in the data directory, which administrators put there.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use testkit::postgres::{StopMode, verify_backup};
use testkit::process::Program;
use testkit::{Cluster, Scratch};

use super::{By, add_row, fill, recover, rows, source};
use crate::product::{SERVER, Store};

/// Puts `pg_wal` elsewhere, as `initdb --waldir` does.
fn move_wal(cluster: &mut Cluster) {
    cluster.stop(StopMode::Fast);
    let (inside, outside) = (cluster.data().join("pg_wal"), cluster.scratch().join("wal"));
    fs::rename(&inside, &outside).unwrap();
    symlink(&outside, &inside).unwrap();
    cluster.start_again();
}

fn goes_to_the_other(writer: By, reader: By) {
    let store = Store::s3();
    let mut cluster = source(&store, 16, writer).start();
    fill(&cluster);
    move_wal(&mut cluster);
    let id = writer.back_up(&store, &cluster, &["--gzip"]);
    add_row(&cluster, "after");
    cluster.archive_now(Duration::from_secs(60));
    let place = Scratch::new("links");
    let data = reader.restore(&store, &id, &place);
    assert!(
        fs::symlink_metadata(data.join("pg_wal")).unwrap().is_dir(),
        "not a link any more"
    );
    if writer == By::Us {
        verify_backup(cluster.tools(), &data);
    }
    let mut restored = recover(&store, 16, data, reader);
    assert_eq!(rows(&restored), rows(&cluster));
    restored.stop_and_check_data();
}

#[test]
fn barman_restores_a_server_of_ours_whose_wal_lay_elsewhere() {
    goes_to_the_other(By::Us, By::Barman);
}

#[test]
fn we_restore_a_server_of_barmans_whose_wal_lay_elsewhere() {
    goes_to_the_other(By::Barman, By::Us);
}

/// The names of an archive's members as GNU tar lists them, with ` -> ` and the target of a link.
fn members(store: &Store, id: &str) -> BTreeSet<String> {
    let Store::S3(bucket) = store else {
        panic!("Barman reads only S3")
    };
    let place = Scratch::new("members");
    let file = place.join("archive");
    bucket.get(&format!("some/folder/{SERVER}/base/{id}/data.tar"), &file);
    let list = Program::new("tar")
        .args(["--list", "--verbose", "--file"])
        .arg(&file);
    let lines = list.run().success().stdout;
    let names = lines.lines().map(|line| {
        let words: Vec<_> = line.split_whitespace().skip(5).collect();
        let name = words.join(" ");
        let name = name.strip_prefix("./").unwrap_or(&name);
        name.strip_suffix('/').unwrap_or(name).to_owned()
    });
    // The entry of the directory itself: `.` or `./`.
    names
        .filter(|name| !name.is_empty() && name != ".")
        .collect()
}

/// Files and directories that a data directory has and that are not all to be archived.
fn add_oddities(data: &Path) {
    let files = [
        "postmaster.opts",
        "kept.conf",
        "base/1/t5_16390",
        "base/pgsql_tmp/pgsql_tmp77.0",
        "base/pgsql_tmp/pgsql_tmp77.0.fileset/0.0",
        "pg_stat_tmp/x",
        "log/x",
    ];
    for name in files {
        let path = data.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "odd").unwrap();
    }
    fs::create_dir_all(data.join("pg_replslot/slot")).unwrap();
}

#[test]
fn both_archive_the_same_files_apart_from_what_is_written_down_as_a_difference() {
    let store = Store::s3();
    let cluster = source(&store, 16, By::Us).start();
    fill(&cluster);
    add_oddities(cluster.data());
    let [ours, theirs] =
        [By::Us, By::Barman].map(|by| members(&store, &by.back_up(&store, &cluster, &[])));
    let difference = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> Vec<String> {
        a.difference(b).cloned().collect()
    };
    assert_eq!(difference(&ours, &theirs), ["backup_manifest"]);
    // Its pattern for files of temporary relations does not match anything.
    assert_eq!(difference(&theirs, &ours), ["base/1/t5_16390"]);
}

#[test]
fn we_archive_what_links_lead_to_and_barman_archives_links_to_files_alone() {
    let store = Store::s3();
    let cluster = source(&store, 16, By::Us).start();
    let data = cluster.data();
    let outside = cluster.scratch().server_folder("outside");
    fs::write(outside.join("file"), "outside").unwrap();
    symlink(outside.join("file"), data.join("a_file")).unwrap();
    symlink(&outside, data.join("a_folder")).unwrap();
    symlink("base", data.join("a_way_to_base")).unwrap();
    symlink("/nowhere", data.join("a_way_to_nothing")).unwrap();
    let [ours, theirs] = [By::Us, By::Barman].map(|by| by.back_up(&store, &cluster, &[]));
    let links = |id: &str| -> Vec<String> {
        let names = members(&store, id).into_iter();
        names
            .filter(|name| name.starts_with("a_") && !name.contains("base/"))
            .collect()
    };
    let target = outside.display();
    assert_eq!(
        links(&ours),
        ["a_file", "a_folder", "a_folder/file", "a_way_to_base"]
    );
    let expected = [
        format!("a_file -> {target}/file"),
        "a_way_to_nothing -> /nowhere".into(),
    ];
    assert_eq!(links(&theirs), expected);
    assert!(members(&store, &ours).contains("base/1/PG_VERSION"));

    // A link in an archive could lead anywhere: we do not make it, and say which one it is.
    let place = Scratch::new("refused");
    let restore = By::Us.command(&store, "barman-cloud-restore");
    let restore = restore
        .args([&store.url(), SERVER, &theirs])
        .arg("--tablespace");
    let restore = restore.arg(format!("ts1:{}", place.server_folder("ts1").display()));
    let refused = restore.arg(place.server_folder("data")).run().exits_with(1);
    assert!(
        refused.stderr.contains("is refused: it is a link"),
        "{}",
        refused.stderr
    );
    By::Barman.restore(&store, &ours, &Scratch::new("links"));
}

/// Python's `tarfile` archives the second name of a file as a hard link to the first.
#[test]
fn we_restore_both_names_of_a_file_that_barman_archived_once() {
    let store = Store::s3();
    let cluster = source(&store, 16, By::Us).start();
    fill(&cluster);
    let data = cluster.data();
    fs::write(data.join("a_first.conf"), "# shared").unwrap();
    fs::create_dir(data.join("z_folder")).unwrap();
    for second in ["b_second.conf", "z_folder/third.conf"] {
        fs::hard_link(data.join("a_first.conf"), data.join(second)).unwrap();
    }
    testkit::user::give_to_server_user(data);
    let id = By::Barman.back_up(&store, &cluster, &[]);
    let archived = members(&store, &id);
    assert!(
        archived.iter().any(|name| name.contains(" link to ")),
        "{archived:?}"
    );
    let place = Scratch::new("names");
    let restored = By::Us.restore(&store, &id, &place);
    for name in ["a_first.conf", "b_second.conf", "z_folder/third.conf"] {
        let path = restored.join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), "# shared", "{name}");
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(
            std::os::unix::fs::MetadataExt::nlink(&metadata),
            1,
            "{name}"
        );
    }
}
