//! Files of the WAL archive one by one: every kind and every codec, in both directions.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::{Cluster, Scratch};

use super::By;
use crate::product::Store;

/// Real files of a server: a segment, the same as a last incomplete one, the record of a backup,
/// and the history of a timeline.
struct WalFiles {
    scratch: Scratch,
    segment: String,
    label: String,
}

impl WalFiles {
    fn of_a_server() -> WalFiles {
        let cluster = Cluster::builder(17).archive_command("true").start();
        cluster.sql("SELECT pg_backup_start('here', true); SELECT pg_backup_stop(false);");
        cluster.archive_now(Duration::from_secs(20));
        let wal = cluster.data().join("pg_wal");
        let mut names: Vec<_> = fs::read_dir(&wal)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let label = names.iter().find(|name| name.ends_with(".backup"));
        let label = label.expect("a backup leaves its record").clone();
        let segment = label[..24].to_owned();
        let scratch = Scratch::new("wal");
        let folder = scratch.shared_folder("wal");
        // Written and not copied: a copy would be as closed to others as PostgreSQL's own files.
        let partial = format!("{segment}.partial");
        for (from, to) in [(&segment, &segment), (&segment, &partial), (&label, &label)] {
            fs::write(folder.join(to), fs::read(wal.join(from)).unwrap()).unwrap();
        }
        // PostgreSQL manual, "Timelines": parent, switch point, reason.
        fs::write(folder.join("00000002.history"), "1\t0/3000148\tno reason\n").unwrap();
        WalFiles {
            scratch,
            segment,
            label,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.join("wal").join(name)
    }
}

fn archive(store: &Store, by: By, server: &str, words: &[&str], file: &Path) {
    let archive = by.command(store, "barman-cloud-wal-archive").args(words);
    archive
        .args([&store.url(), server])
        .arg(file)
        .run()
        .success();
}

fn fetch(store: &Store, by: By, server: &str, name: &str) -> Result<Vec<u8>, Option<i32>> {
    let place = Scratch::new("fetched");
    let file = place.shared_folder("fetched").join("file");
    let fetch = by.command(store, "barman-cloud-wal-restore");
    let done = fetch.args([&store.url(), server, name]).arg(&file).run();
    match done.code {
        Some(0) => Ok(fs::read(&file).unwrap()),
        code => Err(code),
    }
}

const CODECS: [&[&str]; 7] = [
    &[],
    &["--gzip"],
    &["--bzip2"],
    &["--xz"],
    &["--snappy"],
    &["--zstd"],
    &["--lz4"],
];

fn every_file_arrives(writer: By, reader: By) {
    let files = WalFiles::of_a_server();
    let store = Store::s3();
    for codec in CODECS {
        let server = format!("with{}", codec.concat());
        let mut kinds = vec![files.segment.as_str()];
        // A file's kind and its codec do not meet in either program: three codecs show as much.
        if ["", "--gzip", "--zstd"].contains(&codec.concat().as_str()) {
            kinds.push("00000002.history");
        }
        for name in kinds {
            archive(&store, writer, &server, codec, &files.path(name));
            let fetched = fetch(&store, reader, &server, name);
            let original = fs::read(files.path(name)).unwrap();
            assert!(fetched == Ok(original), "{name} {codec:?}");
        }
    }
}

#[test]
fn barman_fetches_wal_that_we_archived_with_every_codec() {
    every_file_arrives(By::Us, By::Barman);
}

#[test]
fn we_fetch_wal_that_barman_archived_with_every_codec() {
    every_file_arrives(By::Barman, By::Us);
}

#[test]
fn both_give_every_kind_of_wal_file_the_same_key_and_find_it_under_that() {
    let files = WalFiles::of_a_server();
    let store = Store::s3();
    let partial = format!("{}.partial", files.segment);
    let names = [files.label.as_str(), &partial, "00000002.history"];
    for (by, server) in [(By::Us, "ours"), (By::Barman, "theirs")] {
        for name in names {
            archive(&store, by, server, &["--gzip"], &files.path(name));
        }
    }
    let keys = |server: &str| -> Vec<String> {
        let begin = format!("some/folder/{server}/");
        let keys = store.keys().into_iter();
        keys.filter_map(|key| Some(key.strip_prefix(&begin)?.to_owned()))
            .collect()
    };
    assert_eq!(keys("ours"), keys("theirs"));
    assert_eq!(keys("ours").len(), names.len());

    let original = |name: &str| Ok(fs::read(files.path(name)).unwrap());
    for (by, server) in [(By::Us, "theirs"), (By::Barman, "ours")] {
        for name in [&partial, "00000002.history"] {
            assert!(
                fetch(&store, by, server, name) == original(name),
                "{by:?} {name}"
            );
        }
        // The segment is there only as a partial one, which stands in for it.
        assert!(
            fetch(&store, by, server, &files.segment) == original(&partial),
            "{by:?}"
        );
        assert_eq!(
            fetch(&store, by, server, "00000003.history"),
            Err(Some(1)),
            "{by:?}"
        );
    }
    // Barman fetches no records of backups; recovery does not ask for them.
    assert_eq!(
        fetch(&store, By::Us, "theirs", &files.label),
        original(&files.label)
    );
    assert_eq!(
        fetch(&store, By::Barman, "ours", &files.label),
        Err(Some(1))
    );
}
