//! Azure and Google: either program archives and backs up, the other lists, keeps, deletes and
//! restores, and the server starts with its rows.

use std::time::Duration;

use serde_json::Value;
use testkit::Scratch;

use super::{By, add_row, fill, recover, rows, source};
use crate::product::{SERVER, Store};

const MAJOR: u32 = 15;

fn play(store: &Store, writer: By, reader: By) {
    let cluster = source(store, MAJOR, writer).start();
    fill(&cluster);
    let first = writer.back_up(store, &cluster, &["--gzip"]);
    let named = ["--name", "second", "--gzip", "-S", "2MB"];
    let second = writer.back_up(store, &cluster, &named);
    add_row(&cluster, "after");
    cluster.archive_now(Duration::from_secs(60));
    both_see_the_same(store, &second);

    // Without the first backup nothing of the second may be missing.
    delete(reader, store, &first);
    let after = store.keys();
    assert!(!after.iter().any(|key| key.contains(&first)));

    let place = Scratch::new("interop-clouds");
    let data = reader.restore(store, "second", &place);
    let mut restored = recover(store, MAJOR, data, reader);
    assert_eq!(rows(&restored), rows(&cluster));
    restored.stop_and_check_data();
}

fn both_see_the_same(store: &Store, second: &str) {
    for (name, words) in [
        ("barman-cloud-backup-list", &["--format", "json"][..]),
        ("barman-cloud-backup-list", &[]),
        ("barman-cloud-backup-show", &["--format", "json", second]),
    ] {
        let [ours, theirs] = [By::Us, By::Barman].map(|by| by.prints(store, name, words));
        assert_eq!(ours, theirs, "{name}");
    }
    for (by, target) in [(By::Us, "full"), (By::Barman, "standalone")] {
        let keep = |words: &[&str]| by.prints(store, "barman-cloud-backup-keep", words);
        keep(&[second, "--target", target]);
        for reader in [By::Us, By::Barman] {
            let said = reader.prints(store, "barman-cloud-backup-keep", &[second, "--status"]);
            assert_eq!(said.trim(), format!("Keep: {target}"));
        }
        keep(&[second, "--release"]);
    }
}

fn delete(by: By, store: &Store, id: &str) {
    let delete = by.command(store, "barman-cloud-backup-delete");
    let policy = ["-r", "REDUNDANCY 1"];
    delete
        .args(policy)
        .args([&store.url(), SERVER])
        .run()
        .success();
    let list = by.prints(store, "barman-cloud-backup-list", &["--format", "json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let left = list["backups_list"].as_array().unwrap();
    assert!(left.len() == 1 && left[0]["backup_id"] != id, "{list:#}");
}

#[test]
fn barman_reads_what_we_wrote_to_azure() {
    play(&Store::azure(), By::Us, By::Barman);
}

#[test]
fn we_read_what_barman_wrote_to_azure() {
    play(&Store::azure(), By::Barman, By::Us);
}

#[test]
fn barman_reads_what_we_wrote_to_google() {
    play(&Store::google(), By::Us, By::Barman);
}

#[test]
fn we_read_what_barman_wrote_to_google() {
    play(&Store::google(), By::Barman, By::Us);
}
