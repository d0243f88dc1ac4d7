//! Checking a directory store for WAL that is in the way of a new server.

use std::fs;

use tempfile::TempDir;

use super::{Said, start};

fn check(store: &TempDir, words: &str) -> Said {
    let at = store.path().display();
    start(
        "barman-cloud-check-wal-archive",
        &format!("file://{at}/archive main {words}"),
    )
}

fn put_wal(store: &TempDir, name: &str) {
    let folder = store
        .path()
        .join("archive/main/wals")
        .join(&name[..16.min(name.len())]);
    fs::create_dir_all(&folder).expect("a new folder");
    fs::write(folder.join(name), "").expect("a new file");
}

#[test]
fn an_empty_place_is_fine_and_a_missing_one_is_made() {
    let store = TempDir::new().expect("a temporary directory");
    for _ in 0..2 {
        let said = check(&store, "");
        assert_eq!((said.status, said.stderr.as_str()), (0, ""));
        assert!(store.path().join("archive").is_dir());
    }
}

#[test]
fn a_test_of_the_connection_makes_nothing() {
    let store = TempDir::new().expect("a temporary directory");
    assert_eq!(check(&store, "--test").status, 0, "it would be made");
    assert!(!store.path().join("archive").exists());
}

#[test]
fn wal_is_in_the_way_from_the_given_timeline_on() {
    let store = TempDir::new().expect("a temporary directory");
    put_wal(&store, "000000020000000000000003.gz");
    let cases = [("", 1), ("--timeline 1", 1), ("--timeline 2", 1)];
    for (words, status) in cases {
        let said = check(&store, words);
        assert_eq!(said.status, status, "{words}");
        assert!(
            said.stderr.contains("000000020000000000000003"),
            "{}",
            said.stderr
        );
    }
    assert_eq!(check(&store, "--timeline 3").status, 0);
    assert_eq!(check(&store, "--timeline 0").status, 3);
}

#[test]
fn what_is_no_wal_is_not_in_the_way() {
    let store = TempDir::new().expect("a temporary directory");
    put_wal(&store, "0000000100000000.README");
    assert_eq!(check(&store, "").status, 0);
}
