//! A server that recovers from a spoilt archive never opens with data missing, when its
//! restore_command is told to stop it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use testkit::postgres::Cluster;
use testkit::process::Program;
use testkit::scratch::Scratch;
use testkit::user::give_to_server_user;

use crate::bad_input::finished_segment;
use crate::product::{SERVER, Store};
use crate::seen::{refused, restore_program};

const MARKS: usize = 12;

/// A backup, and segments after it, each with a mark; not compressed, in a directory.
struct Archived {
    store: Store,
    id: String,
    _cluster: Cluster,
}

impl Archived {
    fn new() -> Archived {
        let store = Store::directory();
        let cluster = store.archiving_cluster(15, "").wal_segment_mib(1).start();
        cluster.sql("CREATE TABLE marks (mark int)");
        let id = store.back_up(&cluster, &[]);
        for mark in 0..MARKS {
            cluster.sql(&format!(
                "INSERT INTO marks SELECT {mark} FROM generate_series(1, 3000); \
                 SELECT pg_switch_wal() IS NULL"
            ));
        }
        cluster.archive_now(Duration::from_secs(120));
        Archived {
            store,
            id,
            _cluster: cluster,
        }
    }

    /// The archived segments, in order.
    fn segments(&self) -> Vec<PathBuf> {
        let root = self.store.url().replace("file://", "");
        let wals = Path::new(&root).join(SERVER).join("wals");
        let directories = fs::read_dir(wals)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let files = directories
            .filter_map(|path| fs::read_dir(path).ok())
            .flatten();
        let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.file_name().unwrap().len() == 24);
        files.sort();
        files
    }

    /// What recovery comes to with this option: the number of marks, or the log of a server that
    /// would not open.
    fn recover(&self, option: &str) -> Result<(usize, String), String> {
        let place = Scratch::new("recovered");
        let data = place.server_folder("data");
        restore_program(&self.store, &self.id, &data)
            .run()
            .success();
        let spool = place.server_folder("spool");
        let options = format!("{option} --spool-dir {}", spool.display());
        let restored = self.store.recovering_with(&options, 15, &data);
        let restored = restored.try_start()?;
        let marks = restored.sql("SELECT count(DISTINCT mark) FROM marks");
        Ok((marks.parse().unwrap(), restored.log()))
    }
}

/// Long enough ago that nobody is uploading any more.
fn make_old(paths: &[PathBuf]) {
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    for path in paths {
        let file = fs::File::options().append(true).open(path).unwrap();
        file.set_modified(long_ago).unwrap();
    }
}

#[test]
fn recovery_stops_at_a_hole_at_damage_and_at_a_foreign_segment() {
    let archived = Archived::new();
    let segments = archived.segments();
    make_old(&segments);
    let (marks, log) = archived.recover("--stop-recovery-on-failure").unwrap();
    assert_eq!(marks, MARKS, "{log}");
    assert!(!log.contains("ERROR:"), "an ordinary end alarms: {log}");

    let spoilt = &segments[segments.len() - 6];
    let whole = fs::read(spoilt).unwrap();
    let name = spoilt.file_name().unwrap().to_str().unwrap().to_owned();
    a_hole_is_no_end(&archived, spoilt, &name);

    fs::write(spoilt, &whole).unwrap();
    let mut flipped = whole.clone();
    flipped[40_000] ^= 4;
    fs::write(spoilt, &flipped).unwrap();
    stops(&archived, &["broken", &name]);

    let theirs = Cluster::builder(15).wal_segment_mib(1).start();
    let foreign = segment_named(&theirs, &name);
    fs::write(spoilt, foreign).unwrap();
    stops(&archived, &["system identifier", &name]);

    fs::remove_file(spoilt).unwrap();
    std::os::unix::fs::symlink("nowhere", spoilt).unwrap();
    stops(&archived, &[&name]);

    fs::remove_file(spoilt).unwrap();
    fs::write(spoilt, whole).unwrap();
    give_to_server_user(spoilt);
    assert_eq!(
        archived.recover("--stop-recovery-on-failure").unwrap().0,
        MARKS
    );
    the_archive_takes_no_damaged_segment(&archived.store, spoilt);
}

fn a_hole_is_no_end(archived: &Archived, missing: &Path, name: &str) {
    fs::remove_file(missing).unwrap();
    for option in [
        "--stop-recovery-on-failure",
        "--stop-recovery-on-failure -p 8",
    ] {
        let log = archived
            .recover(option)
            .expect_err("opened with data missing");
        assert!(
            log.contains(&format!("ERROR: {name} is missing")),
            "{option}: {log}"
        );
    }
    let (marks, log) = archived.recover("").unwrap();
    assert!(marks < MARKS);
    assert!(log.contains(&format!("ERROR: {name} is missing")), "{log}");
}

fn stops(archived: &Archived, words: &[&str]) {
    let ended = archived.recover("--stop-recovery-on-failure");
    let log = ended
        .map(|(marks, _)| marks)
        .expect_err("opened with data missing");
    assert!(
        words.iter().all(|word| log.contains(word)),
        "{words:?}: {log}"
    );
}

/// The segment of this name, of a cluster that has not come so far yet.
fn segment_named(cluster: &Cluster, name: &str) -> Vec<u8> {
    loop {
        let segment = finished_segment(cluster);
        let found = segment.file_name().unwrap().to_str().unwrap();
        assert!(found <= name, "{found} is beyond {name}");
        if found == name {
            return fs::read(segment).unwrap();
        }
    }
}

fn the_archive_takes_no_damaged_segment(store: &Store, spoilt: &Path) {
    let place = Scratch::new("damaged");
    let copy = place
        .server_folder("pg_wal")
        .join(spoilt.file_name().unwrap());
    let archive = || {
        let archive = store.command("barman-cloud-wal-archive");
        archive.args([&store.url(), "another"]).arg(&copy)
    };
    let mut content = fs::read(spoilt).unwrap();
    content[40_000] ^= 1;
    fs::write(&copy, &content).unwrap();
    give_to_server_user(&copy);
    let words = ["is not archived", "its log is broken at", ".partial"];
    refused(archive().run(), 1, &words);
    content[40_000] ^= 1;
    fs::write(&copy, &content).unwrap();
    archive().run().success();
}

#[test]
fn a_machine_without_threads_stops_recovery() {
    let store = Store::directory();
    let place = Scratch::new("fetched");
    let got = place.server_folder("pg_wal").join("RECOVERYXLOG");
    let program = testkit::program::barman_program("barman-cloud-wal-restore");
    let fetch = |option: &[&str]| {
        let limited = Program::new("bash").as_server_user();
        let limited = limited
            .args(["-c", "ulimit -u 1; exec \"$0\" \"$@\""])
            .arg(&program);
        let words = [&store.url(), SERVER, "000000010000000000000001"];
        limited.args(option).args(words).arg(&got).run()
    };
    let words = ["cannot start threads", "ulimit -u"];
    refused(fetch(&["--stop-recovery-on-failure"]), 200, &words);
    refused(fetch(&[]), 4, &words);
}

#[test]
fn segments_of_every_version_are_sound_to_us() {
    for major in 13..=18 {
        let store = Store::directory();
        let cluster = store
            .archiving_cluster(major, "--zstd")
            .wal_segment_mib(1)
            .start();
        cluster.pgbench_init(1);
        // Records that cross pages and segments, and switches at any place.
        cluster
            .sql("SELECT length(pg_logical_emit_message(false, 'p', repeat('x', 2500000))::text)");
        for rows in [1, 40, 700] {
            cluster.sql(&format!(
                "CREATE TABLE t{rows} AS SELECT n, repeat(md5(n::text), n % 90) AS text \
                 FROM generate_series(1, {rows}) n; SELECT pg_switch_wal() IS NULL; CHECKPOINT"
            ));
        }
        cluster.archive_now(Duration::from_secs(150));
        let failed = cluster.sql("SELECT failed_count FROM pg_stat_archiver");
        assert_eq!(failed, "0", "PostgreSQL {major}: {}", cluster.log());
    }
}
