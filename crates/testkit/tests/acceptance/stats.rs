//! `--stats` says what every stage did, on every cloud, with archives that are read in ranges.

use std::collections::BTreeMap;
use std::time::Duration;

use testkit::scratch::Scratch;

use crate::product::{SERVER, Store};

/// Busy seconds, blocked seconds and MiB by stage.
type Table = BTreeMap<String, Vec<f64>>;

fn table(stdout: &str) -> Table {
    let rows = stdout.lines().skip(1).map(|line| {
        let mut cells = line.split_whitespace();
        let stage = cells.next().unwrap().to_owned();
        (stage, cells.map(|cell| cell.parse().unwrap()).collect())
    });
    rows.collect()
}

fn stages(table: &Table) -> Vec<&str> {
    table.keys().map(String::as_str).collect()
}

/// The same bytes, to the tenth of a MiB that is shown and the headers of tar.
fn about_equal(one: f64, other: f64) -> bool {
    (one - other).abs() < 2.0 + one / 50.0
}

/// Rows are rounded to the thousandth.
const ROUNDING: f64 = 0.001;

/// Times that contradict each other on no machine, however busy.
fn times_are_possible(table: &Table, jobs: u32, took: Duration) {
    let whole = table["whole"][0];
    assert!(
        whole <= took.as_secs_f64() + ROUNDING,
        "{took:?}: {table:?}"
    );
    for (stage, row) in table.iter().filter(|(stage, _)| *stage != "whole") {
        assert!(row[0] >= 0.0 && row[1] >= 0.0, "{stage}: {table:?}");
        // Requests of a job overlap; everything else is done by one thread of it.
        let overlaps = ["upload", "download"].contains(&stage.as_str());
        let most = f64::from(jobs) * whole + ROUNDING;
        assert!(overlaps || row[0] <= most, "{stage}: {table:?}");
    }
}

fn every_stage_is_accounted_for(store: &Store) {
    let cluster = store.archiving_cluster(18, "").start();
    // 45 MiB: more than one range of an object.
    cluster.pgbench_init(3);
    let finished = store.try_back_up(&cluster, &["--stats"]).success();
    let backup = table(&finished.stdout);
    assert_eq!(
        stages(&backup),
        ["check", "pack", "read", "upload", "whole"]
    );
    times_are_possible(&backup, 2, finished.took);
    // No machine packs 40 MiB in half a thousandth of a second, or unpacks and writes them.
    assert!(backup["pack"][0] > 0.0, "{backup:?}");
    let mib = |table: &Table, stage: &str| table[stage][2];
    assert!(mib(&backup, "read") > 40.0, "{backup:?}");
    for stage in ["check", "pack", "upload"] {
        let equal = about_equal(mib(&backup, "read"), mib(&backup, stage));
        assert!(equal, "{stage}: {backup:?}");
    }
    let place = Scratch::new("restore");
    let data = place.join("data");
    place.server_folder("data");
    // More jobs than archives: decompressing has a thread of its own.
    let finished = store
        .command("barman-cloud-restore")
        .args(["--stats", "-J", "4", &store.url(), SERVER, "latest"])
        .arg(&data)
        .run()
        .success();
    let restore = table(&finished.stdout);
    let expected = ["check", "download", "unpack", "whole", "write"];
    assert_eq!(stages(&restore), expected);
    times_are_possible(&restore, 4, finished.took);
    for stage in ["unpack", "write"] {
        assert!(restore[stage][0] > 0.0, "{stage}: {restore:?}");
    }
    for stage in ["check", "download", "unpack", "write"] {
        let equal = about_equal(mib(&backup, "upload"), mib(&restore, stage));
        assert!(equal, "{stage}: {restore:?}");
    }
    let mut restored = store.recovering(18, &data).start();
    assert_eq!(
        restored.sql("SELECT count(*) FROM pgbench_accounts"),
        "300000"
    );
    restored.stop_and_check_data();
}

#[test]
fn every_stage_is_accounted_for_on_s3() {
    every_stage_is_accounted_for(&Store::s3());
}

#[test]
fn every_stage_is_accounted_for_on_azure() {
    every_stage_is_accounted_for(&Store::azure());
}

#[test]
fn every_stage_is_accounted_for_on_google() {
    every_stage_is_accounted_for(&Store::google());
}
