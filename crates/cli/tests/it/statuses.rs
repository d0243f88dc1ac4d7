//! What goes wrong without a database or a network, and the status it ends with.

use std::fs;

use tempfile::TempDir;

use super::{start, start_with};

/// Programs and words; STORE is a directory with a short segment in it and a folder that is full.
const FAILURES: [(&str, &str); 25] = [
    ("barman-cloud-backup-list", "file://STORE main"),
    ("barman-cloud-backup-list", "--test file://STORE main"),
    (
        "barman-cloud-backup-list",
        "--test file://STORE/missing main",
    ),
    ("barman-cloud-backup-list", "file://STORE/missing main"),
    ("barman-cloud-backup-list", "ftp://host main"),
    ("barman-cloud-backup-list", "gs://bucket main"),
    ("barman-cloud-backup-list", "file://STORE /a"),
    (
        "barman-cloud-backup-show",
        "file://STORE main 20261121T081523",
    ),
    ("barman-cloud-backup-show", "file://STORE main nightly"),
    ("barman-cloud-backup-show", "file://STORE main latest"),
    ("barman-cloud-backup", "-S 10Gi file://STORE main"),
    ("barman-cloud-backup", "-n latest file://STORE main"),
    (
        "barman-cloud-backup",
        "-h /no/socket -U anna file://STORE main",
    ),
    ("barman-cloud-wal-archive", "file://STORE main"),
    ("barman-cloud-wal-archive", "file://STORE main STORE/no-wal"),
    (
        "barman-cloud-wal-archive",
        "file://STORE main STORE/000000010000000000000001",
    ),
    (
        "barman-cloud-wal-archive",
        "file://STORE main STORE/000000010000000000000002",
    ),
    (
        "barman-cloud-wal-archive",
        "-z --compression-level best file://STORE main x",
    ),
    (
        "barman-cloud-wal-restore",
        "file://STORE main 000000010000000000000001 STORE/x",
    ),
    (
        "barman-cloud-wal-restore",
        "file://STORE main no-wal STORE/x",
    ),
    ("barman-cloud-restore", "file://STORE main auto STORE/full"),
    (
        "barman-cloud-restore",
        "--tablespace x file://STORE main latest STORE/full",
    ),
    (
        "barman-cloud-restore",
        "--target-lsn x file://STORE main auto STORE/full",
    ),
    (
        "barman-cloud-restore",
        "--target-time x file://STORE main auto STORE/full",
    ),
    (
        "barman-cloud-restore",
        "--target-tli x file://STORE main auto STORE/full",
    ),
];

#[test]
fn every_failure_has_its_status_words_and_hint() {
    let store = TempDir::new().expect("a temporary directory");
    let at = store.path().display().to_string();
    fs::write(store.path().join("000000010000000000000001"), "short").expect("a new file");
    fs::create_dir(store.path().join("full")).expect("a new folder");
    fs::write(store.path().join("full/file"), "").expect("a new file");
    let all = FAILURES.map(|(name, words)| {
        let said = start(name, &words.replace("STORE", &at))
            .whole()
            .replace(&at, "STORE");
        format!("$ {name} {words}\n{said}")
    });
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn no_failure_but_a_missing_file_looks_like_the_end_of_the_archive_in_safe_mode() {
    let store = TempDir::new().expect("a temporary directory");
    let at = store.path().display();
    let status = |words: &str| start("barman-cloud-wal-restore", words).status;
    let segment = "000000010000000000000001";
    let safe = "--stop-recovery-on-failure";
    // Nothing at all of this server: an unmounted directory, or a name that is mistyped.
    let request = format!("{safe} file://{at} main {segment} {at}/x");
    assert_eq!(status(&request), 200);
    fs::create_dir_all(store.path().join("main/wals")).expect("a new folder");
    fs::write(store.path().join("main/wals/00000002.history"), "").expect("a new file");
    assert_eq!(status(&request), 1);
    assert_eq!(
        status(&format!("{safe} file://{at} main no-wal {at}/x")),
        200
    );
    assert_eq!(
        status(&format!("{safe} file://{at}/missing main {segment} {at}/x")),
        200
    );
    assert_eq!(
        status(&format!(
            "{safe} --nonsense file://{at} main {segment} {at}/x"
        )),
        200
    );
    assert_eq!(
        status(&format!(
            "--stop-rec --sse-customer-key file:///k file://{at} main {segment} {at}/x"
        )),
        200
    );
}

#[test]
fn an_endpoint_that_does_not_answer_is_status_2() {
    let check = |(name, words): (&str, &str)| {
        let credentials = [
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        let words = format!("--endpoint-url http://127.0.0.1:1 {words}");
        let said = start_with(name, &words, &credentials);
        assert_eq!(said.status, 2, "{name}: {}", said.stderr);
        assert!(
            said.stderr.contains("127.0.0.1:1"),
            "{name}: {}",
            said.stderr
        );
        assert!(!said.stderr.contains("secret"), "{name}: {}", said.stderr);
    };
    // Each tries for some seconds before it gives up.
    std::thread::scope(|scope| {
        for case in [
            ("barman-cloud-backup-list", "s3://b main"),
            ("barman-cloud-backup-list", "-t s3://b main"),
            ("barman-cloud-restore", "s3://b main latest /tmp/never"),
            (
                "barman-cloud-wal-restore",
                "s3://b main 000000010000000000000001 /tmp/never",
            ),
        ] {
            scope.spawn(move || check(case));
        }
    });
}

#[test]
fn a_wal_file_that_a_barman_server_names_in_a_hook_is_archived() {
    let store = TempDir::new().expect("a temporary directory");
    let at = store.path().display();
    let history = store.path().join("00000002.history");
    fs::write(&history, "1\t0/3000148\tno reason\n").expect("a new file");
    let file = history.display().to_string();
    let archive = |phase| {
        let variables = [
            ("BARMAN_HOOK", "archive_retry_script"),
            ("BARMAN_PHASE", phase),
            ("BARMAN_FILE", file.as_str()),
        ];
        start_with(
            "barman-cloud-wal-archive",
            &format!("file://{at} main"),
            &variables,
        )
    };
    assert_eq!(archive("post").status, 3);
    let archived = archive("pre");
    assert_eq!(archived.status, 0, "{}", archived.stderr);
    assert!(store.path().join("main/wals/00000002.history").exists());
}

#[test]
fn a_backup_label_that_a_crash_left_empty_is_refused_with_the_way_on() {
    let folder = TempDir::new().expect("a temporary directory");
    let name = "000000010000000000000003.00000028.backup";
    fs::write(folder.path().join(name), "").expect("a new file");
    let place = folder.path().display();
    let said = start(
        "barman-cloud-wal-archive",
        &format!("file://{place} main {place}/{name}"),
    );
    assert_eq!(said.status, 1, "{}", said.stderr);
    assert!(said.stderr.contains("it is empty"), "{}", said.stderr);
    assert!(said.stderr.contains("archive_status"), "{}", said.stderr);
}

/// The end of the archive is an answer that recovery ends by: nothing else may look like it.
#[test]
fn what_lies_in_the_place_of_wal_is_not_its_absence() {
    let flag = "--stop-recovery-on-failure";
    for (name, in_the_way) in [
        ("00000002.history", "main/wals/00000002.history/"),
        ("00000002.history", "main/wals/00000002.history.gz/"),
        (
            "00000001000000000000000A",
            "main/wals/0000000100000000/00000001000000000000000A/",
        ),
        (
            "00000001000000000000000A",
            "main/wals/0000000100000000/00000001000000000000000A.zst/",
        ),
        ("00000001000000000000000A", "main/wals/0000000100000000"),
        ("00000001000000000000000A", "main/wals"),
        ("00000002.history", "main/wals"),
        ("00000002.history", "main"),
    ] {
        let folder = TempDir::new().expect("a temporary directory");
        let place = folder.path().join(in_the_way);
        match in_the_way.ends_with('/') {
            true => fs::create_dir_all(&place).expect("a new directory"),
            false => {
                let above = place.parent().expect("it is in the store");
                fs::create_dir_all(above).expect("a new directory");
                fs::write(&place, "").expect("a new file");
            }
        }
        let store = folder.path().display();
        let words = format!("{flag} file://{store} main {name} {store}/got");
        let said = start("barman-cloud-wal-restore", &words);
        assert_eq!(said.status, 200, "{in_the_way}: {}", said.stderr);
        let told = in_the_way.trim_end_matches('/');
        assert!(said.stderr.contains(told), "{in_the_way}: {}", said.stderr);
        let without = words.replace(flag, "");
        assert_eq!(
            start("barman-cloud-wal-restore", &without).status,
            4,
            "{in_the_way}"
        );
    }
}
