//! Deleting backups of a directory store.

use std::fs;

use tempfile::TempDir;

use super::catalogue::{ask, put, store};
use super::start;

const DELETE: &str = "barman-cloud-backup-delete";
const KEEP: &str = "barman-cloud-backup-keep";

/// Three complete backups, at segments 2, 4 and 6 of six, one of them with a name.
fn archive() -> TempDir {
    let store = TempDir::new().expect("a temporary directory");
    for (day, begin) in [(1, 2), (8, 4), (15, 6)] {
        let id = format!("202611{day:02}T000000");
        let name = if day == 8 {
            "backup_name=nightly\n"
        } else {
            ""
        };
        let wal = format!("0000000100000000{begin:08X}");
        let record = format!(
            "begin_wal={wal}\nend_wal={wal}\nstatus=DONE\ntimeline=1\n{name}\
             end_time=2026-11-{day:02} 00:10:00+00:00\nserver_name=cloud\n"
        );
        put(&store, &format!("{id}/backup.info"), &record);
        put(&store, &format!("{id}/data.tar"), "x");
    }
    for number in 1..=6 {
        let name = format!("../wals/0000000100000000/0000000100000000{number:08X}.gz");
        put(&store, &name, "x");
    }
    store
}

fn count(store: &TempDir, folder: &str) -> usize {
    fs::read_dir(store.path().join(folder)).map_or(0, Iterator::count)
}

/// How many backups and segments there are.
fn left(store: &TempDir) -> (usize, usize) {
    let segments = count(store, "main/wals/0000000100000000");
    (count(store, "main/base"), segments)
}

#[test]
fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let store = archive();
    ask(KEEP, &store, "nightly --target standalone");
    let all = ["-r redundancy\u{a0}1 --dry-run", "-b oldest --dry-run"]
        .map(|words| format!("$ {words}\n{}", ask(DELETE, &store, words).whole()));
    insta::assert_snapshot!(all.join("\n"));
    assert_eq!(left(&store), (3, 6));
}

#[test]
fn a_policy_deletes_what_it_does_not_need() {
    let store = archive();
    let said = ask(DELETE, &store, "-v -r REDUNDANCY\u{a0}1 --batch-size 1");
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert!(
        said.stderr
            .contains("deleted: 2 backups and 5 WAL files; restorable from")
    );
    assert_eq!(left(&store), (1, 1));
    let said = ask(
        DELETE,
        &store,
        "-r RECOVERY\u{a0}WINDOW\u{a0}OF\u{a0}0\u{a0}DAYS",
    );
    assert_eq!((said.status, said.stdout.as_str()), (0, ""));
    assert_eq!(left(&store), (1, 1));
}

#[test]
fn a_backup_that_never_ended_holds_wal_with_a_warning_for_a_week() {
    let store = archive();
    let hours_ago = |hours: i64| jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
    let started = |hours| {
        let time = hours_ago(hours).strftime("%Y-%m-%d %H:%M:%S+00:00");
        let record = format!(
            "begin_time={time}\nbegin_wal=000000010000000000000003\nserver_name=cloud\n\
             status=STARTED\n"
        );
        put(&store, "20261105T000000/backup.info", &record);
    };
    // Its id is older than that of the newest backup, whose end lies in the future then.
    let newest = hours_ago(-1)
        .strftime("%Y-%m-%d %H:%M:%S+00:00")
        .to_string();
    let wal = "000000010000000000000006";
    let record = format!(
        "begin_wal={wal}\nend_wal={wal}\nstatus=DONE\ntimeline=1\nend_time={newest}\n\
         server_name=cloud\n"
    );
    put(&store, "20261115T000000/backup.info", &record);
    started(24 * 6);
    let said = ask(DELETE, &store, "-r REDUNDANCY\u{a0}1");
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert_eq!(left(&store), (2, 4));
    let warning = "WARNING: 3 WAL file(s) stay only because backup 20261105T000000 is STARTED";
    for words in [warning, "HINT", "with -b 20261105T000000"] {
        assert!(said.stderr.contains(words), "{}", said.stderr);
    }
    let said = ask(DELETE, &store, "-b 20261105T000000 --dry-run");
    let warning = "backup 20261105T000000 is STARTED: if it is still being taken, it will fail";
    assert!(said.stderr.contains(warning), "{}", said.stderr);
    started(24 * 8);
    let said = ask(DELETE, &store, "-r REDUNDANCY\u{a0}1");
    let warning = "backup 20261105T000000 goes, too: its status is STARTED, and a newer one is";
    assert!(said.stderr.contains(warning), "{}", said.stderr);
    assert_eq!(left(&store), (1, 1));
}

#[test]
fn a_backup_is_deleted_by_id_by_name_and_by_shortcut() {
    let store = archive();
    for (word, expected) in [
        ("nightly", (2, 6)),
        ("20261101T000000", (1, 1)),
        ("latest", (0, 1)),
    ] {
        assert_eq!(
            ask(DELETE, &store, &format!("-b {word}")).status,
            0,
            "{word}"
        );
        assert_eq!(left(&store), expected, "{word}");
    }
}

#[test]
fn what_is_not_deleted_is_said_with_the_cause() {
    let archive = archive();
    ask(KEEP, &archive, "20261115T000000 --target full");
    let words = [
        "-b 20261201T000000",
        "-b weekly",
        "-b last-failed",
        "-b latest",
        "-b oldest -m 3",
        "-r 7d",
        "-r REDUNDANCY\u{a0}1 -b latest",
        "-b oldest --dry-run --check-object-lock",
        "-b oldest --batch-size 0",
        "",
    ];
    let mut all = words
        .map(|words| format!("$ {words}\n{}", ask(DELETE, &archive, words).whole()))
        .to_vec();
    assert_eq!(left(&archive), (3, 6));
    let unreadable = store();
    let words = "-b 20261121T081046";
    all.push(format!(
        "$ {words}\n{}",
        ask(DELETE, &unreadable, words).whole()
    ));
    assert_eq!(count(&unreadable, "main/base"), 5);
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_policy_is_checked_before_the_store_is_asked() {
    let said = start(DELETE, "--endpoint-url http://127.0.0.1:1 -r x s3://b main");
    assert_eq!(said.status, 3, "{}", said.stderr);
}
