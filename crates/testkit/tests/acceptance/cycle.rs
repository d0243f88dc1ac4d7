//! The main job on every PostgreSQL: back up under load, go on, restore to each kind of target.

use std::path::Path;
use std::time::Duration;

use testkit::postgres::{Cluster, verify_backup};
use testkit::scratch::Scratch;

use crate::product::Store;

/// What there is to restore to, taken between the row `before` and the row `after`.
struct Moment {
    time: String,
    xid: String,
    lsn: String,
}

fn loaded_cluster(store: &Store, major: u32, codec: &str) -> Cluster {
    let cluster = store
        .archiving_cluster(major, codec)
        .tablespace("ts1")
        .start();
    cluster.pgbench_init(3);
    cluster.sql(
        "CREATE TABLE marks (mark text PRIMARY KEY) TABLESPACE ts1;
         CREATE TABLE bulk TABLESPACE ts1 AS
            SELECT n, repeat('x', 200) FROM generate_series(1, 20000) n;
         CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS n;",
    );
    cluster
}

fn marked(cluster: &Cluster) -> Moment {
    // The transaction that a restore to its id must still include.
    let xid =
        cluster.sql("BEGIN; INSERT INTO marks VALUES ('before'); SELECT txid_current(); COMMIT;");
    let xid = xid.lines().last().unwrap().to_owned();
    std::thread::sleep(Duration::from_millis(1100));
    let time = cluster.sql("SELECT clock_timestamp()");
    let lsn = cluster.sql("SELECT pg_current_wal_insert_lsn()");
    cluster.sql("SELECT pg_create_restore_point('the_point')");
    std::thread::sleep(Duration::from_millis(1100));
    cluster.sql("INSERT INTO marks VALUES ('after')");
    cluster.archive_now(Duration::from_secs(60));
    Moment { time, xid, lsn }
}

/// Restores, recovers to a target, and says which marks are there.
fn marks_at(store: &Store, major: u32, id: &str, target: &[String]) -> Vec<String> {
    let place = Scratch::new("restore");
    let data = store.restore(id, &place, &[]);
    verify_if_there(major, &data);
    let mut recovering = store.recovering(major, &data);
    for setting in target {
        recovering = recovering.conf(setting);
    }
    let mut restored = recovering.start();
    let marks = restored.sql("SELECT mark FROM marks ORDER BY mark");
    assert_eq!(restored.sql("SELECT count(*) FROM bulk"), "20000");
    assert_eq!(restored.sql("SELECT count(*) FROM fleeting"), "0");
    let bid = "SELECT (SELECT sum(bbalance) FROM pgbench_branches)
                    = (SELECT sum(abalance) FROM pgbench_accounts)";
    assert_eq!(restored.sql(bid), "t", "pgbench's invariant holds");
    restored.stop_and_check_data();
    marks.lines().map(str::to_owned).collect()
}

fn verify_if_there(major: u32, data: &Path) {
    verify_backup(&testkit::tools::Tools::of(major), data);
}

fn cycle(store: &Store, major: u32, archive_codec: &[&str], wal_codec: &str) {
    let cluster = loaded_cluster(store, major, wal_codec);
    let load = cluster.pgbench(Duration::from_secs(6));
    let id = store.back_up(&cluster, archive_codec);
    load.finish().success();
    let moment = marked(&cluster);
    let targets = [
        (
            vec![format!("recovery_target_time = '{}'", moment.time)],
            vec!["before"],
        ),
        (
            vec![format!("recovery_target_xid = '{}'", moment.xid)],
            vec!["before"],
        ),
        (
            vec![format!("recovery_target_lsn = '{}'", moment.lsn)],
            vec!["before"],
        ),
        (
            vec!["recovery_target_name = 'the_point'".to_owned()],
            vec!["before"],
        ),
        (vec!["recovery_target = 'immediate'".to_owned()], vec![]),
        (vec![], vec!["after", "before"]),
    ];
    for (target, expected) in targets {
        let marks = marks_at(store, major, &id, &target);
        assert_eq!(marks, expected, "PostgreSQL {major}, {target:?}");
    }
}

macro_rules! cycles {
    ($($name:ident: $store:expr, $major:literal, $archive:expr, $wal:literal;)*) => {
        $(#[test]
        fn $name() {
            cycle(&$store, $major, $archive, $wal);
        })*
    };
}

cycles! {
    postgres_13_comes_back_from_a_directory: Store::directory(), 13, &["--gzip"], "--gzip";
    postgres_14_comes_back_from_a_directory: Store::directory(), 14, &["--zstd"], "--zstd";
    postgres_15_comes_back_from_a_directory: Store::directory(), 15, &[], "";
    postgres_16_comes_back_from_a_directory: Store::directory(), 16, &["--lz4"], "--lz4";
    postgres_17_comes_back_from_a_directory: Store::directory(), 17, &["--snappy"], "--snappy";
    postgres_18_comes_back_from_a_directory: Store::directory(), 18, &["--bzip2"], "--bzip2";
    postgres_13_comes_back_from_s3: Store::s3(), 13, &["--snappy"], "--xz";
    postgres_14_comes_back_from_s3: Store::s3(), 14, &["--bzip2"], "--bzip2";
    postgres_15_comes_back_from_s3: Store::s3(), 15, &["--zstd", "-J", "3"], "--zstd";
    postgres_16_comes_back_from_s3: Store::s3(), 16, &[], "--gzip";
    postgres_17_comes_back_from_s3: Store::s3(), 17, &["--gzip", "-J", "1"], "--gzip";
    postgres_18_comes_back_from_s3: Store::s3(), 18, &["--lz4"], "--lz4";
}
