//! One bucket with backups by both programs, finished, failed and broken off: both say the same.
//!
//! Nothing is normalised: both read the same records, so their texts are equal byte for byte.

use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::process::Finished;
use testkit::tools::checkout;
use testkit::{Cluster, Fault, FaultProxy, Rule, SeaweedFs};

use super::{By, fill, source};
use crate::product::{SERVER, Store};

/// The bucket, and what is in it in the order in which it came there.
struct Mixed {
    store: Store,
    ids: Vec<(By, &'static str, String)>,
}

fn mixed() -> &'static Mixed {
    static MIXED: OnceLock<Mixed> = OnceLock::new();
    MIXED.get_or_init(|| {
        let store = Store::s3();
        let cluster = source(&store, 17, By::Us).start();
        fill(&cluster);
        let mut ids = Vec::new();
        for by in [By::Us, By::Barman] {
            ids.push((by, "DONE", by.back_up(&store, &cluster, &[])));
            let name = format!("named by {by:?}");
            let options = ["--gzip", "--name", name.as_str()];
            ids.push((by, "DONE", by.back_up(&store, &cluster, &options)));
        }
        for by in [By::Us, By::Barman] {
            ids.push((by, "FAILED", fail(by, &store, &cluster)));
            ids.push((by, "STARTED", break_off(by, &store, &cluster)));
        }
        Mixed { store, ids }
    })
}

/// A backup whose data the store refuses.
fn fail(by: By, store: &Store, cluster: &Cluster) -> String {
    let proxy = FaultProxy::before(&SeaweedFs::shared().plain_address());
    proxy.spoil(
        Rule::new(Fault::Answer(403))
            .target_has("data.tar")
            .always(),
    );
    // The proxy's refusal names a passing trouble, which ours would wait for.
    let backup = by
        .backup(store, cluster)
        .env("BARMAN_STORE_PATIENCE", "2")
        .env("AWS_ENDPOINT_URL", proxy.endpoint());
    let refused = backup.run();
    assert!(
        refused.code.is_some_and(|code| code != 0),
        "{by:?}: {}",
        refused.stderr
    );
    newest_id(store)
}

/// A backup that is killed while its data waits to be uploaded.
fn break_off(by: By, store: &Store, cluster: &Cluster) -> String {
    let proxy = FaultProxy::before(&SeaweedFs::shared().plain_address());
    let delay = Fault::Delay(Duration::from_secs(30));
    proxy.spoil(Rule::new(delay).target_has("data.tar").always());
    let backup = by
        .backup(store, cluster)
        .env("AWS_ENDPOINT_URL", proxy.endpoint());
    let mut running = backup.start();
    let patience = Instant::now() + Duration::from_secs(30);
    while !proxy
        .requests()
        .iter()
        .any(|seen| seen.target.contains("data.tar"))
    {
        assert!(Instant::now() < patience, "{by:?} does not begin to upload");
        std::thread::sleep(Duration::from_millis(20));
    }
    running.kill();
    newest_id(store)
}

fn newest_id(store: &Store) -> String {
    // The next backup gets another id: those are times in whole seconds.
    std::thread::sleep(Duration::from_millis(1100));
    let keys = store.keys();
    let begin = format!("some/folder/{SERVER}/base/");
    let ids = keys
        .iter()
        .filter_map(|key| key.strip_prefix(&begin)?.split_once('/'));
    ids.map(|(id, _)| id).max().unwrap().to_owned()
}

/// What both programs print for the same arguments, ours first.
fn both_print(name: &str, arguments: &[&str]) -> [String; 2] {
    [By::Us, By::Barman].map(|by| by.prints(&mixed().store, name, arguments))
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn both_list_the_same_records_in_json() {
    let [ours, theirs] = both_print("barman-cloud-backup-list", &["--format", "json"]);
    let records = |text: &str| parsed(text)["backups_list"].as_array().unwrap().clone();
    for (ours, theirs) in records(&ours).iter().zip(&records(&theirs)) {
        same_fields(ours, theirs);
    }
    assert_eq!(ours, theirs, "byte for byte");
}

/// Names the fields that differ: a whole record is too much to look through.
fn same_fields(ours: &Value, theirs: &Value) {
    let (ours, theirs) = (ours.as_object().unwrap(), theirs.as_object().unwrap());
    let names = ours.keys().chain(theirs.keys());
    let differing: Vec<_> = names
        .filter(|name| ours.get(*name) != theirs.get(*name))
        .map(|name| format!("{name}: {:?} {:?}", ours.get(name), theirs.get(name)))
        .collect();
    assert!(
        differing.is_empty(),
        "{}: {differing:#?}",
        ours["backup_id"]
    );
}

#[test]
fn both_show_every_backup_with_the_same_json() {
    for (_, _, id) in &mixed().ids {
        let [ours, theirs] = both_print("barman-cloud-backup-show", &["--format", "json", id]);
        same_fields(&parsed(&ours)["cloud"], &parsed(&theirs)["cloud"]);
        assert_eq!(ours, theirs, "byte for byte");
    }
}

#[test]
fn both_print_the_same_table() {
    let [ours, theirs] = both_print("barman-cloud-backup-list", &[]);
    assert_eq!(ours, theirs);
}

#[test]
fn both_print_the_same_sheet() {
    for (_, _, id) in &mixed().ids {
        let [ours, theirs] = both_print("barman-cloud-backup-show", &[id]);
        assert_eq!(ours, theirs);
    }
}

#[test]
fn failed_and_broken_off_backups_are_what_they_are_to_both() {
    for by in [By::Us, By::Barman] {
        let records = by.records(&mixed().store);
        assert_eq!(records.len(), mixed().ids.len());
        for (record, (_, status, id)) in records.iter().zip(&mixed().ids) {
            assert_eq!(
                (&record["backup_id"], &record["status"]),
                (&json!(id), &json!(status))
            );
        }
    }
}

/// What Barman's `latest` skips is a broken-off backup, not a failed one; ours means a backup that
/// can be restored.
#[test]
fn latest_is_our_newest_finished_backup_and_barmans_newest_that_ended() {
    let ids: Vec<_> = mixed().ids.iter().map(|(_, _, id)| id.as_str()).collect();
    for word in ["latest", "last"] {
        assert_eq!(shown(By::Us, word), ids[3]);
        assert_eq!(shown(By::Barman, word), ids[6]);
    }
}

#[test]
fn shortcuts_and_names_mean_the_same_backup_to_both() {
    let ids: Vec<_> = mixed().ids.iter().map(|(_, _, id)| id.as_str()).collect();
    let table = [
        ("oldest", ids[0]),
        ("first", ids[0]),
        ("last-failed", ids[6]),
        ("named by Us", ids[1]),
        ("named by Barman", ids[3]),
    ];
    for (word, id) in table {
        for by in [By::Us, By::Barman] {
            assert_eq!(shown(by, word), id, "{word} {by:?}");
        }
    }
}

/// The id of the backup that is shown for a word.
fn shown(by: By, word: &str) -> String {
    let arguments = ["--format", "json", word];
    let document = parsed(&by.prints(&mixed().store, "barman-cloud-backup-show", &arguments));
    document["cloud"]["backup_id"].as_str().unwrap().to_owned()
}

fn show(by: By, word: &str) -> Finished {
    let show = by.command(&mixed().store, "barman-cloud-backup-show");
    show.args([&mixed().store.url(), SERVER, word]).run()
}

#[test]
fn an_unknown_backup_ends_both_with_the_same_status() {
    for (word, status) in [("20000101T000000", 1), ("no such name", 4)] {
        for by in [By::Us, By::Barman] {
            show(by, word).exits_with(status);
        }
    }
}

/// Records that Barman 3.20.1 wrote, of servers with all kinds of backups, and one with next to
/// nothing in it.
fn records_of_every_kind() -> Store {
    let store = Store::s3();
    let Store::S3(bucket) = &store else {
        panic!("Barman reads only S3")
    };
    let put = |id: &str, record: &[u8]| {
        bucket.put(
            &format!("some/folder/{SERVER}/base/{id}/backup.info"),
            record,
        );
    };
    let folder = checkout().join("crates/model/fixtures/barman-3.20.1/backup_info");
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let id = name
            .split('-')
            .find(|word| word.len() == 15 && word.contains('T'));
        put(
            id.expect("the name holds the id"),
            &fs::read(file.path()).unwrap(),
        );
    }
    put(
        "20261122T000000",
        b"error=disk full\nserver_name=cloud\nstatus=FAILED\n",
    );
    store
}

#[test]
fn both_say_the_same_of_records_of_every_kind() {
    let store = records_of_every_kind();
    let print =
        |name: &str, words: &[&str]| [By::Us, By::Barman].map(|by| by.prints(&store, name, words));
    let [ours, theirs] = print("barman-cloud-backup-list", &["--format", "json"]);
    assert_eq!(ours, theirs);
    let [ours, theirs] = print("barman-cloud-backup-list", &[]);
    assert_eq!(ours, theirs);
    for record in By::Us.records(&store) {
        let id = record["backup_id"].as_str().unwrap();
        let [ours, theirs] = print("barman-cloud-backup-show", &[id]);
        assert_eq!(ours, theirs);
    }
}
