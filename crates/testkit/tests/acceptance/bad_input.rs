//! Bad input: the message names the object and the cause, the status is the documented one, and
//! nothing is changed or lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::postgres::Cluster;
use testkit::process::Program;
use testkit::program::barman_program;
use testkit::scratch::Scratch;
use testkit::user::{is_root, server_user};

use crate::product::{SERVER, Store};
use crate::seen::{backup_program, records, refused, restore_program};

/// A segment that the server has finished.
pub fn finished_segment(cluster: &Cluster) -> PathBuf {
    let name = cluster.sql(
        "CREATE TABLE IF NOT EXISTS filler (n int); INSERT INTO filler VALUES (1);
         SELECT pg_walfile_name(pg_current_wal_lsn());",
    );
    cluster.sql("SELECT pg_switch_wal()");
    cluster.data().join("pg_wal").join(name)
}

/// The place of `barman-cloud-wal-archive` among [`every_command`].
const WAL_ARCHIVE: usize = 1;

/// Every command on a store, each with what else it needs.
fn every_command(store: &Store, url: &str, cluster: &Cluster, place: &Scratch) -> Vec<Program> {
    let segment = finished_segment(cluster);
    let name = segment.file_name().unwrap().to_str().unwrap().to_owned();
    let command = |name: &str| store.command(name);
    let backup = command("barman-cloud-backup").envs(cluster.environment());
    let wal_archive = command("barman-cloud-wal-archive").args([url, SERVER]);
    let wal_restore = command("barman-cloud-wal-restore").args([url, SERVER, &name]);
    let restore = command("barman-cloud-restore").args([url, SERVER, "latest"]);
    vec![
        backup.arg("--immediate-checkpoint").args([url, SERVER]),
        wal_archive.arg(segment),
        wal_restore.arg(place.join("got")),
        restore.arg(place.join("data")),
        command("barman-cloud-backup-list").args([url, SERVER]),
        command("barman-cloud-backup-show").args([url, SERVER, "latest"]),
    ]
}

/// Runs all at once and expects the same end of each.
#[track_caller]
fn all_refused(programs: Vec<Program>, code: i32, words: &[&str]) {
    let running: Vec<_> = programs.into_iter().map(Program::start).collect();
    for program in running {
        let finished = refused(program.finish(), code, words);
        assert!(
            finished.took < Duration::from_secs(15),
            "{:?}",
            finished.took
        );
    }
}

fn with_variable(programs: Vec<Program>, name: &str, value: &str) -> Vec<Program> {
    programs
        .into_iter()
        .map(|program| program.env(name, value))
        .collect()
}

#[test]
fn a_store_that_cannot_be_used_is_named_by_every_command() {
    let cluster = Cluster::builder(15).archive_command("true").start();
    let store = Store::s3();
    let place = Scratch::new("got");
    let here = place.server_folder("here");
    let commands = |url: &str| every_command(&store, url, &cluster, &place);
    let url = store.url();

    let mut on_no_bucket = commands("s3://no-such-bucket/p");
    // SeaweedFS makes the bucket of whoever writes into one that is missing.
    on_no_bucket.remove(WAL_ARCHIVE);
    all_refused(on_no_bucket, 4, &["s3://no-such-bucket", "HINT: Create"]);
    let wrong = with_variable(commands(&url), "AWS_SECRET_ACCESS_KEY", "wrong");
    all_refused(wrong, 4, &["SignatureDoesNotMatch", "HINT: The secret key"]);
    let wrong = with_variable(commands(&url), "AWS_ACCESS_KEY_ID", "AKIANOBODY");
    all_refused(wrong, 4, &["InvalidAccessKeyId", "HINT: The access key"]);
    // A store may be starting: without this, half a minute would pass before each is sure.
    let hasty = |url: &str| with_variable(commands(url), "BARMAN_STORE_PATIENCE", "2");
    // Nothing listens on port 9 of loopback.
    let nobody = with_variable(hasty(&url), "AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    all_refused(nobody, 2, &["127.0.0.1:9", "HINT: Check the endpoint"]);
    let no_name = with_variable(
        hasty(&url),
        "AWS_ENDPOINT_URL",
        "http://no-such-host.invalid",
    );
    all_refused(no_name, 2, &["no-such-host.invalid", "HINT"]);
    let missing = format!("file://{}", here.join("missing").display());
    all_refused(
        commands(&missing),
        4,
        &["missing", "HINT: Create the directory"],
    );
    all_refused(commands("gopher://bucket/p"), 4, &["gopher"]);

    assert!(records(&store).is_empty());
    assert!(!place.join("got").exists() && !place.join("data").exists());
    assert!(
        !here.join("missing").exists(),
        "no store is made by the way"
    );
}

#[test]
fn an_endpoint_that_swallows_everything_is_given_up_after_a_while() {
    // Connections are accepted by the kernel and never served.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let store = Store::s3();
    let list = store.command("barman-cloud-backup-list");
    let list = list
        .env("AWS_ENDPOINT_URL", &endpoint)
        .args(["--read-timeout", "3"]);
    let finished = list.args([&store.url(), SERVER]).run();
    let finished = refused(finished, 2, &[&endpoint["http://".len()..], "HINT"]);
    assert!(
        finished.took < Duration::from_secs(15),
        "{:?}",
        finished.took
    );
}

#[test]
fn a_backup_that_is_not_there_is_not_found() {
    let store = Store::s3();
    let place = Scratch::new("restore");
    let data = place.server_folder("data");
    let show = |id: &str| {
        let show = store.command("barman-cloud-backup-show");
        show.args([&store.url(), SERVER, id]).run()
    };
    let restore = |id: &str| restore_program(&store, id, &data).run();
    for (id, code) in [
        ("20260101T000000", 1),
        ("nightly", 4),
        ("latest", 4),
        ("oldest", 4),
    ] {
        refused(show(id), code, &[id, "HINT: barman-cloud-backup-list"]);
        refused(restore(id), code, &[id, "HINT: barman-cloud-backup-list"]);
    }
    refused(restore("auto"), 1, &["HINT: barman-cloud-backup-list"]);
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
}

#[test]
fn a_server_that_is_down_is_an_error_of_the_backup() {
    let store = Store::directory();
    let nowhere = store.url();
    let backup = |options: &[&str]| {
        let backup = store.command("barman-cloud-backup").env_remove("PGHOST");
        backup.args(options).args([&nowhere, SERVER]).run()
    };
    refused(
        backup(&["-h", "127.0.0.1", "-p", "9"]),
        1,
        &["127.0.0.1", "9", "refused"],
    );
    refused(backup(&["-d", "host=/nowhere port=9"]), 1, &["/nowhere"]);
    refused(backup(&["-d", "host=127.0.0.1 prot=9"]), 1, &["prot"]);
    assert!(records(&store).is_empty());
}

#[test]
fn a_server_that_lets_us_do_nothing_is_an_error_of_the_backup() {
    let store = Store::directory();
    let cluster = Cluster::builder(15).archive_command("true").start();
    cluster.sql("CREATE ROLE guest LOGIN");
    let as_guest = || backup_program(&store, &cluster, &["-U", "guest"]).run();
    refused(as_guest(), 1, &["pg_read_all_settings"]);
    cluster.sql("GRANT pg_read_all_settings, pg_read_all_stats TO guest");
    refused(
        as_guest(),
        1,
        &["permission denied for function pg_backup_start"],
    );
    let as_nobody = backup_program(&store, &cluster, &["-U", "no_such_role"]).run();
    refused(as_nobody, 1, &["no_such_role", "does not exist"]);
    let elsewhere = backup_program(&store, &cluster, &["-d", "no_such_database"]).run();
    refused(elsewhere, 1, &["no_such_database", "does not exist"]);
    // Where the backup had begun, the catalogue knows why it failed.
    let [(_, status, error)] = &records(&store)[..] else {
        panic!("one backup had begun")
    };
    assert_eq!(status, "FAILED");
    assert!(error.contains("permission denied"), "{error}");
    if is_root() {
        data_directory_of_another_account_is_named(&store, &cluster);
    }
    // No superuser is needed: these are the grants that Barman's users make.
    cluster.sql(
        "GRANT EXECUTE ON FUNCTION pg_backup_start, pg_backup_stop, pg_switch_wal,
             pg_create_restore_point TO guest",
    );
    as_guest().success();
}

// Only root can become somebody else.
fn data_directory_of_another_account_is_named(store: &Store, cluster: &Cluster) {
    let name = if server_user().unwrap().name() == "nobody" {
        "daemon"
    } else {
        "nobody"
    };
    let place = Scratch::new("stranger");
    let program = place.join("barman-cloud-backup");
    fs::copy(barman_program("barman"), &program).unwrap();
    let stranger = Program::new("setpriv").args(["--reuid", name, "--clear-groups"]);
    let stranger = stranger
        .arg(program)
        .envs(cluster.environment())
        .current_dir("/");
    let finished = stranger.args([&store.url(), SERVER]).run();
    refused(finished, 1, &["global/pg_control", "permission denied"]);
    assert!(!records(store).iter().any(|(_, status, _)| status == "DONE"));
}

#[test]
fn a_restore_goes_only_where_nothing_is() {
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").tablespace("ts1").start();
    cluster.sql("CREATE TABLE t TABLESPACE ts1 AS SELECT 1 AS n");
    let id = store.back_up(&cluster, &[]);
    let place = Scratch::new("restore");
    let (data, spare) = (place.server_folder("data"), place.server_folder("spare"));
    let full = place.server_folder("full");
    fs::write(full.join("precious"), "rows").unwrap();
    let restore = |mapping: &str, data: &Path| {
        let restore = restore_program(&store, &id, data);
        restore.arg("--tablespace").arg(mapping).run()
    };
    let spare_mapping = format!("ts1:{}", spare.display());
    let path = |path: &Path| path.to_str().unwrap().to_owned();

    let words = [
        &*path(&full),
        "not empty",
        "HINT: Restore into an empty directory",
    ];
    refused(restore(&spare_mapping, &full), 1, &words);
    refused(
        restore(&format!("ts1:{}", full.display()), &data),
        1,
        &words,
    );
    // Without a mapping the tablespace goes where it was, and there it still is.
    let there = path(&cluster.scratch().join("ts1"));
    refused(
        restore_program(&store, &id, &data).run(),
        1,
        &[&there, "not empty", "--tablespace"],
    );
    let file = full.join("precious");
    refused(
        restore(&spare_mapping, &file),
        1,
        &[&path(&file), "not a directory"],
    );
    refused(
        restore(&format!("ts2:{}", spare.display()), &data),
        3,
        &["ts2"],
    );
    refused(restore("nonsense", &data), 3, &["nonsense"]);
    refused(restore("ts1:relative", &data), 3, &["relative", "absolute"]);
    let inside = data.join("base/inside");
    refused(
        restore(&format!("ts1:{}", inside.display()), &data),
        1,
        &[&path(&inside), "inside"],
    );

    for untouched in [&data, &spare] {
        assert_eq!(fs::read_dir(untouched).unwrap().count(), 0);
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "rows");
    assert_eq!(cluster.sql("SELECT n FROM t"), "1");
}

#[test]
fn a_wrong_command_line_is_status_three_and_does_nothing() {
    let store = Store::directory();
    let url = store.url();
    let run = |program: &str, words: &[&str]| store.command(program).args(words).run();
    let wrong: [(&str, &[&str], &str); 8] = [
        (
            "barman-cloud-backup",
            &[&url, SERVER, "--no-such"],
            "--no-such",
        ),
        (
            "barman-cloud-backup",
            &[&url, SERVER, "--gzip", "--zstd"],
            "--zstd",
        ),
        ("barman-cloud-backup", &[&url, SERVER, "-J", "0"], "--jobs"),
        ("barman-cloud-backup", &[&url, SERVER, "-S", "10Q"], "10Q"),
        ("barman-cloud-backup", &[&url], "SERVER_NAME"),
        (
            "barman-cloud-backup",
            &[&url, SERVER, "-n", "latest"],
            "latest",
        ),
        (
            "barman-cloud-restore",
            &[&url, SERVER, "auto", "/x", "--target-lsn", "y"],
            "y",
        ),
        (
            "barman-cloud-wal-archive",
            &[&url, SERVER, "x", "--compression-level", "best"],
            "best",
        ),
    ];
    for (program, words, said) in wrong {
        refused(run(program, words), 3, &[said]);
    }
    let later: [(&str, &[&str], &str); 2] = [
        (
            "barman-cloud-backup",
            &[&url, SERVER, "--snapshot-disk", "d"],
            "--snapshot-disk",
        ),
        (
            "barman-cloud-restore",
            &[
                &url,
                SERVER,
                "auto",
                "/x",
                "--snapshot-recovery-instance",
                "i",
            ],
            "--snapshot-recovery-instance",
        ),
    ];
    for (program, words, said) in later {
        refused(run(program, words), 3, &[said, "yet"]);
    }
    assert!(records(&store).is_empty());
}

#[test]
fn the_secret_key_is_never_said() {
    let store = Store::s3();
    let list = store.command("barman-cloud-backup-list").args(["-vvv"]);
    let list = list.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let finished = list.args([&store.url(), SERVER]).run().exits_with(2);
    assert!(!finished.stderr.contains(testkit::seaweed::SECRET_KEY));
}
