//! Memory stays bounded, however much data there is: `scripts/memory`, the project's own
//! measurement, with the program under test and one codec.

use std::fs;
use std::time::Duration;

use testkit::process::Program;
use testkit::program::barman_binary;
use testkit::seaweed::SeaweedFs;
use testkit::tools::checkout;

use crate::product::{SERVER, Store};

/// The largest figure that the issue allows.
const LIMIT_MIB: u64 = 300;
/// What `model::backup::effort` promises for two jobs without a codec.
const BACKUP_MIB: u64 = 66;
/// The same with Zstandard, two threads of which may share one archive.
const ZSTD_MIB: u64 = 88;
/// What `model::restore::effort` promises for two jobs without a codec.
const RESTORE_MIB: u64 = 52;

/// Runs the script and returns the peaks of backup and restore in MiB.
fn measured(options: &[&str], environment: &[(String, String)]) -> Vec<u64> {
    let script = Program::new(checkout().join("scripts/memory"));
    let script = script.arg("--program").arg(barman_binary()).args(options);
    let script = script
        .envs(environment.iter().cloned())
        .deadline(Duration::from_secs(600));
    let table = script.run().success().stdout;
    let row = table.lines().last().unwrap();
    let figures: Vec<_> = row.split_whitespace().collect();
    [figures[1], figures[3]]
        .map(|figure| figure.parse().unwrap())
        .into()
}

#[test]
fn three_gigabytes_are_backed_up_and_restored_in_little_memory() {
    let peaks = measured(&["--codec", "zstd", "--size", "3072"], &[]);
    assert!(peaks.iter().all(|peak| *peak < LIMIT_MIB), "{peaks:?}");
}

#[test]
fn a_bucket_takes_no_more_memory_than_a_directory() {
    let bucket = SeaweedFs::shared().bucket();
    let url = format!("s3://{}/memory", bucket.name());
    let options = ["--codec", "none", "--size", "700", "--store", &url];
    let peaks = measured(&options, bucket.environment());
    assert!(peaks[0] <= BACKUP_MIB, "{peaks:?}");
    assert!(peaks[1] <= RESTORE_MIB, "{peaks:?}");
}

/// Archives that end while others begin, some of them much slower than others.
#[test]
fn archives_of_all_kinds_take_no_more_memory_than_promised() {
    let bucket = SeaweedFs::shared().bucket();
    let url = format!("s3://{}/memory", bucket.name());
    let options = ["--codec", "zstd", "--size", "300", "--text", "600"];
    let more = ["--archive-size", "150MB", "--store", &url];
    let options = [&options[..], &more].concat();
    let peaks = measured(&options, bucket.environment());
    assert!(peaks[0] <= ZSTD_MIB, "{peaks:?}");
}

#[test]
fn eight_jobs_keep_to_the_memory_that_they_are_allowed() {
    let bucket = SeaweedFs::shared().bucket();
    let url = format!("s3://{}/memory", bucket.name());
    for codec in ["none", "zstd"] {
        let options = ["--codec", codec, "--size", "400", "--store", &url];
        let more = [
            "--jobs",
            "8",
            "--archive-size",
            "40MB",
            "--max-memory",
            "64",
        ];
        let peaks = measured(&[&options[..], &more].concat(), bucket.environment());
        assert!(peaks.iter().all(|peak| *peak <= 64), "{codec}: {peaks:?}");
    }
}

/// Files in one directory.
const FILES: &str = "200000";
/// Their headers and their manifest fill a part of the upload, of 7 MiB, which stays small without
/// them (measured: 6 to 10 MiB more); a restore notes 20 bytes of each. A list of them in memory
/// would come on top of that, with at least 70 bytes of each: 13 MiB.
const FILES_MIB: u64 = 14;

#[test]
fn two_hundred_thousand_files_take_hardly_more_memory_than_none() {
    let options = ["--codec", "zstd", "--size", "0"];
    let few = measured(&options, &[]);
    let many = measured(&[&options[..], &["--files", FILES]].concat(), &[]);
    for (few, many) in few.iter().zip(&many) {
        assert!(*many <= few + FILES_MIB, "{few} MiB, then {many}");
    }
}

#[test]
fn a_figure_above_the_limit_fails_the_measurement() {
    let script = Program::new(checkout().join("scripts/memory"));
    let script = script.arg("--program").arg(barman_binary());
    let finished = script
        .args(["--codec", "lz4", "--size", "10", "--limit", "1"])
        .run();
    let finished = finished.exits_with(1);
    assert!(
        finished.stderr.contains("above the limit of 1 MiB"),
        "{}",
        finished.stderr
    );
}

/// What listing and retention may take, by the issue about speed and memory.
const CATALOGUE_LIMIT_MIB: u64 = 100;
const WAL_FILES: u32 = 100_000;

#[test]
fn a_hundred_thousand_wal_files_are_judged_in_little_memory() {
    let store = Store::directory();
    let url = store.url();
    let server = url.strip_prefix("file://").unwrap().to_owned() + "/" + SERVER;
    for log in 0..WAL_FILES.div_ceil(256) {
        let folder = format!("{server}/wals/00000001{log:08X}");
        fs::create_dir_all(&folder).unwrap();
        for segment in 0..256.min(WAL_FILES - log * 256) {
            fs::write(format!("{folder}/00000001{log:08X}{segment:08X}.zst"), "").unwrap();
        }
    }
    // The backup begins behind all of them but the last: they all go.
    let (id, begin) = ("20261121T081044", "0000000100000186000000A0");
    let base = format!("{server}/base/{id}");
    fs::create_dir_all(&base).unwrap();
    let record = format!(
        "begin_time=2026-11-21 08:10:44+00:00\nbegin_wal={begin}\nbegin_xlog=186/A0000028\n\
         end_time=2026-11-21 08:11:44+00:00\nend_wal={begin}\nend_xlog=186/A0000100\n\
         server_name={SERVER}\nstatus=DONE\ntimeline=1\nversion=150018\n\
         xlog_segment_size=16777216\n"
    );
    fs::write(format!("{base}/backup.info"), record).unwrap();
    let ran = |name: &str, options: &[&str]| {
        let command = Program::new(testkit::program::barman_program(name)).args(options);
        let finished = command.args([&url, SERVER]).run();
        let mib = finished.peak_memory_bytes / (1024 * 1024);
        assert!(mib < CATALOGUE_LIMIT_MIB, "{name} {options:?}: {mib} MiB");
        finished
    };
    ran("barman-cloud-backup-list", &[]).success();
    ran("barman-cloud-check-wal-archive", &[]).exits_with(1);
    let policy = ["--retention-policy", "REDUNDANCY 1", "--dry-run"];
    ran("barman-cloud-backup-delete", &policy).success();
    let plan = ran(
        "barman-cloud-backup-delete",
        &["--backup-id", id, "--dry-run"],
    )
    .success();
    assert!(
        plan.stdout.contains(&WAL_FILES.to_string()),
        "{}",
        plan.stdout
    );
}
