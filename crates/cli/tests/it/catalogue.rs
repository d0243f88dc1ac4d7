//! Listing and showing backups of a directory store that holds records written by Barman 3.20.1.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::{Said, start};

/// Records of Barman 3.20.1, laid out as in a bucket; `docs/formats` tells where each key goes.
pub fn store() -> TempDir {
    let store = TempDir::new().expect("a temporary directory");
    let records = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../model/fixtures/barman-3.20.1/backup_info"
    );
    for (record, id) in [
        ("inc-20261121T082329-backup.info", "20261121T082329"),
        ("stream-20261121T081046-backup.info", "20261121T081046"),
        ("main-20261121T081044-backup.info", "20261121T081044"),
    ] {
        let text = fs::read_to_string(Path::new(records).join(record)).expect("a fixture");
        put(&store, &format!("{id}/backup.info"), &text);
    }
    let failed = "error=disk full\nserver_name=cloud\nstatus=FAILED\n";
    put(&store, "20261122T000000/backup.info", failed);
    put(&store, "20261123T000000/backup.info", "no_such_key=1\n");
    put(&store, "20261121T081044/annotations/keep", "standalone");
    store
}

pub fn put(store: &TempDir, key: &str, text: &str) {
    let path = store.path().join("main/base").join(key);
    fs::create_dir_all(path.parent().expect("a key has a folder")).expect("a new folder");
    fs::write(path, text).expect("a new file");
}

pub fn ask(name: &str, store: &TempDir, words: &str) -> Said {
    start(
        name,
        &format!("file://{} main {words}", store.path().display()),
    )
}

#[test]
fn the_list_has_every_backup_that_can_be_read_and_a_warning_for_the_rest() {
    insta::assert_snapshot!(ask("barman-cloud-backup-list", &store(), "").whole());
}

#[test]
fn the_list_in_json_is_oldest_first() {
    let said = ask("barman-cloud-backup-list", &store(), "--format json");
    let list: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let backups = list["backups_list"].as_array().unwrap();
    let ids: Vec<_> = backups
        .iter()
        .map(|backup| backup["backup_id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        [
            "20261121T081044",
            "20261121T081046",
            "20261121T082329",
            "20261122T000000"
        ]
    );
}

#[test]
fn a_backup_is_shown_by_id_and_by_shortcut() {
    let store = store();
    let all = ["20261121T081044", "latest", "last-failed"]
        .map(|id| ask("barman-cloud-backup-show", &store, id).whole());
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_backup_in_json_stands_under_the_server_name_of_its_record() {
    let said = ask("barman-cloud-backup-show", &store(), "oldest --format=json");
    let shown: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(shown["main"]["backup_id"], "20261121T081044");
    assert_eq!(
        shown["main"]["begin_time_iso"],
        "2026-11-21T08:10:44.432349+00:00"
    );
}

#[test]
fn a_restore_that_its_memory_is_too_little_for_makes_nothing() {
    let store = TempDir::new().expect("a temporary directory");
    let id = "20261121T081044";
    put(&store, &format!("{id}/backup.info"), "status=DONE\n");
    put(&store, &format!("{id}/data.tar.zst"), "");
    let target = store.path().join("data");
    let words = format!("{id} {} --max-memory 16MB", target.display());
    let said = ask("barman-cloud-restore", &store, &words);
    insta::assert_snapshot!(said.whole());
    assert!(!target.exists());
    let words = format!("{id} {} --max-memory 64", target.display());
    let said = ask("barman-cloud-restore", &store, &words);
    assert!(said.stderr.contains("0 MiB of memory"), "{}", said.stderr);
}

#[test]
fn a_backup_that_ended_after_the_target_is_refused_before_anything_is_made() {
    let store = store();
    let id = "20261121T081044";
    put(&store, &format!("{id}/data.tar"), "");
    let target = store.path().join("data");
    for (option, value, told) in [
        (
            "--target-time",
            "2026-11-21T08:10:45Z",
            "ended at 2026-11-21T08:10:45.106787Z, after",
        ),
        (
            "--target-lsn",
            "0/70000FF",
            "ended at 0/7000100, after the target 0/70000FF",
        ),
    ] {
        let words = format!("{id} {} {option} {value}", target.display());
        let said = ask("barman-cloud-restore", &store, &words);
        assert!(
            said.status == 1 && said.stderr.contains(told),
            "{}",
            said.stderr
        );
        assert!(said.stderr.contains("HINT: Say auto"), "{}", said.stderr);
        assert!(!target.exists());
    }
}

#[test]
fn a_dry_run_of_a_restore_prints_each_step_and_touches_nothing() {
    let store = store();
    let id = "20261121T081044";
    put(&store, &format!("{id}/data.tar.gz"), "1234");
    put(&store, &format!("{id}/16384.tar.gz"), "12");
    let target = store.path().join("data");
    let elsewhere = store.path().join("ts");
    let (to, ts) = (target.display(), elsewhere.display());
    let words = format!("{id} {to} --dry-run --tablespace ts1:{ts} --target-time 2026-11-22");
    let said = ask("barman-cloud-restore", &store, &words);
    assert_eq!(said.status, 0, "{}", said.stderr);
    let from = format!("file://{}/main/base/{id}", store.path().display());
    for line in [
        format!("backup {id} is restored into {to}: 2 objects of 6 B, up to 2 at a time"),
        format!("fetch {from}/16384.tar.gz (2 B) and unpack it into {ts}"),
        format!("fetch {from}/data.tar.gz (4 B) and unpack it into {to}"),
        format!("link tablespace ts1 (OID 16384) to {ts}"),
        "flush all to disk, then put global/pg_control in its place".to_owned(),
    ] {
        assert!(said.stdout.lines().any(|it| it == line), "{}", said.stdout);
    }
    let needed = "then PostgreSQL needs the WAL from 000000010000000000000007 to \
                  000000010000000000000007 at least\nset restore_command = '";
    assert!(said.stdout.contains(needed), "{}", said.stdout);
    assert!(
        said.stdout
            .contains("\nset recovery_target_time = '2026-11-2")
    );
    let lacks = "the archive lacks WAL that it needs: 1 WAL file, 000000010000000000000007";
    assert!(said.stderr.contains(lacks), "{}", said.stderr);
    assert!(!target.exists() && !elsewhere.exists());
}

#[test]
fn what_an_interrupted_restore_left_is_named_with_the_way_to_remove_it() {
    let store = store();
    let id = "20261121T081044";
    put(&store, &format!("{id}/data.tar"), "");
    let target = store.path().join("data");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("PG_VERSION"), "15\n").unwrap();
    let words = format!("{id} {}", target.display());
    let said = ask("barman-cloud-restore", &store, &words);
    let hint = format!("rm -r {}", target.display());
    assert!(
        said.status == 1 && said.stderr.contains(&hint),
        "{}",
        said.stderr
    );
}

// multistore#116, cloudnative-pg#4890: what others left among the backups.
#[test]
fn what_others_left_among_the_backups_stops_nothing_and_is_named_on_request() {
    let store = store();
    for key in [
        "readme.txt",
        "lost/a",
        "lost/b",
        "lost/c",
        "20261121/backup.info",
    ] {
        put(&store, key, "x");
    }
    let quiet = ask("barman-cloud-backup-list", &store, "");
    assert!(!quiet.stderr.contains("passed over"), "{}", quiet.stderr);
    for command in [
        "barman-cloud-backup-list",
        "barman-cloud-backup-show latest",
    ] {
        let (name, words) = command.split_once(' ').unwrap_or((command, ""));
        let said = ask(name, &store, &format!("{words} -v"));
        assert_eq!(said.status, 0, "{}", said.stderr);
        let told = "5 objects below file://";
        let named = "main/base/ passed over, not of ours: main/base/20261121/backup.info, \
                     main/base/lost/a, main/base/lost/b, …";
        let line = said.stderr.lines().find(|line| line.contains(told));
        let line = line.unwrap_or_else(|| panic!("{}", said.stderr));
        assert!(line.contains(named) && line.contains("INFO"), "{line}");
    }
}

#[test]
fn a_record_that_is_no_file_hides_no_other() {
    for (what, words) in [
        ("pipe", "is no regular file"),
        ("device", "is no regular file"),
        ("dangling", "is a link to nothing"),
    ] {
        let store = store();
        let record = store.path().join("main/base/20261121T082329/backup.info");
        fs::remove_file(&record).expect("it was there");
        match what {
            "pipe" => {
                let made = std::process::Command::new("mkfifo").arg(&record).status();
                assert!(made.expect("mkfifo starts").success());
            }
            "device" => symlink("/dev/zero", &record).expect("a new link"),
            _ => symlink("/nonexistent", &record).expect("a new link"),
        }
        let said = ask("barman-cloud-backup-list", &store, "");
        assert_eq!(said.status, 0, "{what}: {}", said.stderr);
        assert!(said.stdout.contains("20261121T081046"), "{}", said.stdout);
        let warning = said
            .stderr
            .lines()
            .find(|line| line.contains("20261121T082329"));
        let warning = warning.unwrap_or_else(|| panic!("{what}: {}", said.stderr));
        assert!(warning.contains(words), "{warning}");
        // What it needs is not known.
        let deleted = ask("barman-cloud-backup-delete", &store, "-r REDUNDANCY\u{a0}1");
        assert_ne!(deleted.status, 0, "{what}: {}", deleted.stderr);
    }
}
