//! What the server does, or does not, while it is backed up: tablespaces come, primaries fail over,
//! sessions end, WAL goes elsewhere or nowhere.

use std::path::Path;
use std::time::Duration;

use testkit::postgres::{Cluster, StopMode, WaitFor};
use testkit::process::{Running, Signal};
use testkit::scratch::Scratch;

use crate::product::{SERVER, Store};
use crate::seen::{
    answer_of_restored, backup_program, comes_back_whole, done_backups, records, refused,
    restore_program,
};

const DEADLINE: Duration = Duration::from_secs(120);

/// Waits until the backup's session is seen in the server.
fn wait_for_session(cluster: &Cluster, condition: &str) {
    let sql = format!(
        "SELECT count(*) > 0 FROM pg_stat_activity
          WHERE application_name = 'barman_cloud_backup' AND {condition}"
    );
    let waited = cluster.wait_until(DEADLINE, || cluster.sql(&sql) == "t");
    waited.unwrap_or_else(|log| panic!("no such session: {log}"));
}

/// A backup that takes its time and is copying files by now: 70 MiB at 2 MiB a second, three parts
/// of which wait in memory.
fn slow_backup(store: &Store, cluster: &Cluster) -> Running {
    let slow = ["-U", "postgres", "--max-bandwidth", "2MB", "-J", "1"];
    let slow = backup_program(store, cluster, &slow).args(["--keepalive-interval", "1"]);
    let running = slow.start();
    let sign_of_life = "query LIKE 'SELECT pg_backend_pid()%pg_is_in_recovery()%'";
    wait_for_session(cluster, sign_of_life);
    running
}

#[test]
fn a_tablespace_made_while_the_server_checkpoints_is_archived() {
    let store = Store::directory();
    let builder = store.archiving_cluster(15, "");
    let cluster = builder.conf("checkpoint_timeout = 300").start();
    cluster.pgbench_init(1);
    let backup = store.command("barman-cloud-backup").arg("-v");
    let backup = backup.envs(cluster.environment());
    let backup = backup
        .args(["-U", "postgres", &store.url(), SERVER])
        .start();
    wait_for_session(
        &cluster,
        "state = 'active' AND query LIKE '%pg_backup_start%'",
    );
    let place = cluster.scratch().server_folder("late");
    cluster.sql(&format!(
        "CREATE TABLESPACE late LOCATION '{}'",
        place.display()
    ));
    cluster.sql("CREATE TABLE t TABLESPACE late AS SELECT generate_series(1, 1000)");
    std::thread::sleep(Duration::from_secs(2));
    // Whoever asks for one at once hurries the one that is being made.
    cluster.sql("CHECKPOINT");
    let said = backup.finish().success().stderr;
    assert!(
        said.contains("waiting for the server's checkpoint"),
        "{said}"
    );
    let restored = Scratch::new("late");
    let (data, moved) = (
        restored.server_folder("data"),
        restored.server_folder("late"),
    );
    let restore = store.command("barman-cloud-restore").arg("--tablespace");
    let restore = restore.arg(format!("late:{}", moved.display()));
    let restore = restore.args([&store.url(), SERVER, "latest"]).arg(&data);
    restore.run().success();
    let files = std::fs::read_dir(&moved).unwrap().count();
    assert_eq!(files, 1, "its version directory is there");
}

#[test]
fn a_server_that_archives_nothing_is_refused_unless_somebody_receives_its_wal() {
    let store = Store::directory();
    let cluster = Cluster::builder(15).start();
    let words = ["archive_mode is off", "HINT: Set archive_mode = on"];
    refused(store.try_back_up(&cluster, &[]), 1, &words);
    assert!(records(&store).is_empty(), "nothing had begun");
    cluster.sql("SELECT pg_create_physical_replication_slot('receiver')");
    let taken = store.try_back_up(&cluster, &[]).success();
    assert!(
        taken.stderr.contains("no WAL of main was ever in"),
        "{}",
        taken.stderr
    );
    assert_eq!(done_backups(&store).len(), 1);
}

#[test]
fn wal_that_goes_elsewhere_is_a_warning_and_a_wrong_place_is_named() {
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").start();
    let set = |command: &str| {
        cluster.sql(&format!("ALTER SYSTEM SET archive_command = '{command}'"));
        cluster.sql("SELECT pg_reload_conf()");
    };
    let right = cluster.sql("SHOW archive_command");
    set("true");
    let taken = store.try_back_up(&cluster, &["-n", "nightly"]).success();
    assert!(
        taken.stderr.contains("no WAL of main was ever in"),
        "{}",
        taken.stderr
    );
    assert!(
        !taken.stderr.contains("archive_command writes to"),
        "{}",
        taken.stderr
    );
    let wrong = right.replace(&format!(" {SERVER} "), " mainn ");
    set(&wrong);
    let taken = store.try_back_up(&cluster, &["-n", "nightly"]).success();
    let hint = format!("HINT: archive_command writes to {} mainn", store.url());
    assert!(taken.stderr.contains(&hint), "{}", taken.stderr);
    assert!(
        taken.stderr.contains("has the name \"nightly\" already"),
        "{}",
        taken.stderr
    );
    assert_eq!(done_backups(&store).len(), 2);
    // Where there is WAL of the server, its WAL belongs.
    set(&right);
    cluster.archive_now(DEADLINE);
    set(&wrong);
    let late = store.try_back_up(&cluster, &[]);
    refused(
        late,
        1,
        &["its status is WAITING_FOR_WALS", &hint["HINT: ".len()..]],
    );
    assert_eq!(done_backups(&store).len(), 2);
}

#[test]
fn another_systems_wal_is_no_wal_of_this_server() {
    let store = Store::directory();
    let mut old = store.archiving_cluster(15, "--gzip").start();
    let id = store.back_up(&old, &[]);
    old.stop(StopMode::Fast);
    let new = store.archiving_cluster(15, "--gzip").start();
    let words = [
        "of another system (system identifier",
        "HINT: Give this server a SERVER_NAME",
    ];
    refused(store.try_back_up(&new, &[]), 1, &words);
    // Behind the old server's WAL the names are free, and the WAL in between is not its own.
    new.sql("ALTER SYSTEM SET archive_command = 'true'; SELECT pg_reload_conf();");
    for _ in 0..8 {
        new.archive_now(DEADLINE);
    }
    let words = [
        "should have a name of its own",
        "WAITING_FOR_WALS",
        "has archived it, and not here",
    ];
    refused(store.try_back_up(&new, &[]), 1, &words);
    assert_eq!(done_backups(&store), [id]);
}

#[test]
fn the_end_of_its_session_ends_a_backup_at_once() {
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").start();
    cluster.pgbench_init(3);
    let backup = slow_backup(&store, &cluster);
    cluster.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE application_name = 'barman_cloud_backup'",
    );
    let words = [
        "the server ended the session of the backup",
        "HINT: The server's log says why",
    ];
    refused(backup.finish(), 1, &words);
    assert_eq!(records(&store)[0].1, "FAILED");
}

/// A standby on a restored backup that streams from another server.
fn standby(store: &Store, data: &Path, from: &Cluster, archives: bool) -> Cluster {
    restore_program(store, "latest", data).run().success();
    std::fs::write(data.join("standby.signal"), "").unwrap();
    testkit::user::give_to_server_user(data);
    let fetch = testkit::program::barman_program("barman-cloud-wal-restore");
    let fetch = format!("{} {} {SERVER} %f %p", fetch.display(), store.url());
    let builder = Cluster::on_restored(15, data)
        .conf(&format!("primary_conninfo = '{}'", from.conninfo()))
        .conf(&format!("restore_command = '{fetch}'"))
        .conf("wal_retrieve_retry_interval = 500ms")
        .wait_for(WaitFor::Connections);
    let archives = if archives { "on" } else { "off" };
    builder.conf(&format!("archive_mode = {archives}")).start()
}

#[test]
fn a_standby_whose_primary_fails_over_is_backed_up_across_the_timelines() {
    let store = Store::directory();
    let mut primary = store.archiving_cluster(15, "").start();
    primary.pgbench_init(3);
    primary.sql("CREATE TABLE rows AS SELECT generate_series(1, 1000) AS i");
    store.back_up(&primary, &[]);
    let place = Scratch::new("standbys");
    let heir = standby(&store, &place.server_folder("heir"), &primary, true);
    let source = standby(&store, &place.server_folder("source"), &heir, false);

    let backup = slow_backup(&store, &source);
    // It sleeps until its server is on the next timeline.
    backup.signal(Signal::STOP);
    primary.sql("INSERT INTO rows VALUES (1001)");
    primary.archive_now(DEADLINE);
    let arrived = "SELECT count(*) = 1001 FROM rows";
    source
        .wait_until(DEADLINE, || source.sql(arrived) == "t")
        .unwrap();
    primary.stop(StopMode::Immediate);
    heir.sql("SELECT pg_promote()");
    heir.sql("INSERT INTO rows VALUES (1002); CHECKPOINT; INSERT INTO rows VALUES (1003)");
    let arrived = "SELECT count(*) = 1003 FROM rows";
    source
        .wait_until(DEADLINE, || source.sql(arrived) == "t")
        .unwrap();
    source.sql("CHECKPOINT");
    let control = "SELECT min_recovery_end_timeline = 2 FROM pg_control_recovery()";
    assert_eq!(source.sql(control), "t", "the test brought it about");
    backup.signal(Signal::CONT);
    // The heir goes on, so that the segment of the backup's end is finished and archived.
    let going_on = std::thread::scope(|scope| {
        let finished = scope.spawn(|| backup.finish());
        while !finished.is_finished() {
            heir.archive_now(DEADLINE);
            std::thread::sleep(Duration::from_millis(500));
        }
        finished.join().unwrap()
    });
    going_on.success();
    it_is_on_two_timelines(&store, &source);
    a_promotion_ends_it(&store, &source);
}

fn it_is_on_two_timelines(store: &Store, source: &Cluster) {
    let list = store.list();
    let taken = list["backups_list"].as_array().unwrap().last().unwrap();
    let text = |key: &str| taken[key].as_str().unwrap_or_default();
    assert_eq!(text("status"), "DONE");
    assert!(text("begin_wal").starts_with("00000001"), "{taken}");
    assert!(text("end_wal").starts_with("00000002"), "{taken}");
    let id = store.latest_id();
    comes_back_whole(store, source, &id);
    let restored = Scratch::new("manifest");
    let data = restored.server_folder("data");
    restore_program(store, &id, &data).run().success();
    let manifest = std::fs::read_to_string(data.join("backup_manifest")).unwrap();
    let (_, ranges) = manifest.split_once("WAL-Ranges").unwrap();
    assert!(
        ranges.contains("\"Timeline\": 2") && ranges.contains("\"Timeline\": 1"),
        "{ranges}"
    );
    assert_eq!(
        answer_of_restored(store, source, &id, "SELECT count(*) FROM rows"),
        "1003"
    );
}

/// A standby that is promoted ends its backup: that is told while there is time.
fn a_promotion_ends_it(store: &Store, source: &Cluster) {
    let backup = slow_backup(store, source);
    source.sql("SELECT pg_promote()");
    refused(
        backup.finish(),
        1,
        &["the standby was promoted", "HINT: Take another backup"],
    );
}

/// What the hint says is all that a role needs.
fn the_hints_role_may_back_up(major: u32) {
    let store = Store::directory();
    let cluster = store.archiving_cluster(major, "").start();
    cluster.sql("CREATE ROLE \"the guest\" LOGIN");
    let back_up = || backup_program(&store, &cluster, &["-U", "the guest"]).run();
    let words = ["HINT: Back up as a superuser, or have one run this in database postgres: GRANT"];
    let said = refused(back_up(), 1, &words).stderr;
    let (_, grants) = said.split_once("in database postgres: ").unwrap();
    cluster.sql(grants.lines().next().unwrap());
    back_up().success();
    assert_eq!(done_backups(&store).len(), 1);
}

macro_rules! for_each_major {
    ($($name:ident $major:literal)*) => {$(
        #[test]
        fn $name() {
            the_hints_role_may_back_up($major);
        }
    )*};
}

for_each_major! {
    a_role_made_as_the_hint_says_backs_up_postgresql_13 13
    a_role_made_as_the_hint_says_backs_up_postgresql_14 14
    a_role_made_as_the_hint_says_backs_up_postgresql_15 15
    a_role_made_as_the_hint_says_backs_up_postgresql_16 16
    a_role_made_as_the_hint_says_backs_up_postgresql_17 17
    a_role_made_as_the_hint_says_backs_up_postgresql_18 18
}

#[test]
fn files_that_the_configuration_includes_from_elsewhere_are_named() {
    let store = Store::directory();
    let elsewhere = Scratch::new("etc");
    let folder = elsewhere.shared_folder("conf.d");
    std::fs::write(folder.join("memory.conf"), "work_mem = 5MB\n").unwrap();
    std::fs::write(folder.join("log.conf"), "log_connections = on\n").unwrap();
    let include = format!("include_dir = '{}'", folder.display());
    let cluster = store.archiving_cluster(15, "").conf(&include).start();
    let said = store.try_back_up(&cluster, &[]).success().stderr;
    let line = said
        .lines()
        .find(|line| line.contains("WARNING"))
        .unwrap_or_default();
    for file in ["memory.conf", "log.conf"] {
        let path = folder.join(file).display().to_string();
        assert!(line.contains(&path), "{file} is not named: {said}");
    }
    assert!(line.contains("not in the backup"), "{said}");
}

#[test]
fn pages_without_checksums_are_not_said_to_be_verified() {
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").without_checksums().start();
    let plain = store.try_back_up(&cluster, &["--stats"]).success();
    let remark = "pages were not verified: data checksums are off";
    assert!(plain.stdout.contains(remark), "{}", plain.stdout);
    let show = store.command("barman-cloud-backup-show");
    let show = show.args([&store.url(), SERVER, "latest"]).run().success();
    let line = show.stdout.lines().find(|line| line.contains("Checksums"));
    assert!(
        line.is_some_and(|line| line.ends_with(": off")),
        "{}",
        show.stdout
    );

    let other = Store::directory();
    let cluster = other.archiving_cluster(15, "").start();
    let checked = other.try_back_up(&cluster, &["--stats"]).success();
    assert!(
        !checked.stdout.contains("not verified"),
        "{}",
        checked.stdout
    );
}
