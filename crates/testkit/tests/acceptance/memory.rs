//! Memory stays bounded, however much data there is: `scripts/memory`, the project's own
//! measurement, with the program under test and one codec.

use std::time::Duration;

use testkit::process::Program;
use testkit::program::barman_binary;
use testkit::seaweed::SeaweedFs;
use testkit::tools::checkout;

/// The largest figure that the issue allows.
const LIMIT_MIB: u64 = 300;
/// What `model::backup::effort` promises for two jobs and any codec but bzip2 and Zstandard; a
/// debug build is some megabytes larger.
const USUAL_MIB: u64 = 96;

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
    assert!(peaks.iter().all(|peak| *peak < USUAL_MIB), "{peaks:?}");
}

#[test]
fn a_backup_keeps_to_the_memory_that_it_is_allowed() {
    let bucket = SeaweedFs::shared().bucket();
    let url = format!("s3://{}/memory", bucket.name());
    for codec in ["none", "zstd"] {
        let options = ["--codec", codec, "--size", "400", "--store", &url];
        let options = [&options[..], &["--max-memory", "64"]].concat();
        let peaks = measured(&options, bucket.environment());
        assert!(peaks[0] <= 64, "{codec}: {peaks:?}");
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
