//! SIGTERM and SIGKILL at every step: what is left behind is never taken for more than it is.
//!
//! A step is a request that reached the proxy: the signal comes while its answer is awaited.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use testkit::postgres::{Cluster, StopMode, verify_backup};
use testkit::process::{Finished, Program, Running, Signal};
use testkit::proxy::{Fault, Rule};
use testkit::scratch::Scratch;

use crate::faults::{QUESTION, ROWS, Spoilt, large_cluster};
use crate::product::{SERVER, Store};
use crate::seen::{
    answer_of_restored, backup_program, comes_back_whole, done_backups, latest_status, records,
    refused, restore_program,
};

/// How long a request is held back, so that the signal comes before its answer.
const HOLD: Duration = Duration::from_millis(300);
/// So many steps after which the backup is complete are enough.
const LAST_STEPS: u32 = 3;
/// How long a command may take to end after SIGTERM.
const PROMPT: Duration = Duration::from_secs(10);

/// Signals a command while its `step`-th request (from 1) is held. Nothing when the command ended
/// before it made that many.
pub fn signal_at_request(
    spoilt: &Spoilt,
    program: Program,
    step: u32,
    signal: Signal,
) -> Option<Finished> {
    let last = spoilt.proxy.requests().len() + step as usize;
    spoilt
        .proxy
        .spoil(Rule::new(Fault::Delay(HOLD)).after(step - 1));
    let mut running = program.start();
    while spoilt.proxy.requests().len() < last && running.is_running() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let reached = running.is_running();
    let finished = ended_by(running, signal);
    spoilt.proxy.heal();
    // The request that was held reaches the store even if nobody waits for its answer.
    std::thread::sleep(HOLD);
    reached.then_some(finished)
}

fn ended_by(running: Running, signal: Signal) -> Finished {
    running.signal(signal);
    let signalled = Instant::now();
    let finished = running.finish();
    let took = signalled.elapsed();
    assert!(took < PROMPT, "{took:?}: {}", finished.stderr);
    finished
}

/// No backup is under way in the server: the session that it lived in is gone.
fn server_is_idle(cluster: &Cluster) {
    let sessions = "SELECT count(*) = 0 FROM pg_stat_activity
                    WHERE application_name = 'barman_cloud_backup'";
    let waited = cluster.wait_until(PROMPT, || cluster.sql(sessions) == "t");
    waited.unwrap_or_else(|log| panic!("a session is left: {log}"));
}

/// Every backup that is listed as DONE can be restored, and the next one is taken as ever.
fn done_means_done(spoilt: &Spoilt, cluster: &Cluster) {
    for id in done_backups(&spoilt.store) {
        comes_back_whole(&spoilt.store, cluster, &id);
    }
    let id = spoilt.store.back_up(cluster, &[]);
    let answer = answer_of_restored(&spoilt.store, cluster, &id, "SELECT count(*) FROM marks");
    assert_eq!(answer, "1");
}

fn small_cluster(spoilt: &Spoilt) -> Cluster {
    let cluster = spoilt.store.archiving_cluster(15, "").start();
    cluster.sql("CREATE TABLE marks AS SELECT 1 AS mark");
    cluster
}

#[test]
fn a_backup_ends_failed_on_sigterm_at_every_step() {
    let spoilt = Spoilt::new();
    let cluster = small_cluster(&spoilt);
    let (mut steps, mut ended_well) = (0, 0);
    // After its own record a backup looks at all the others, of which there is one more each time.
    while ended_well < LAST_STEPS
        && let Some(finished) = signal_at_request(
            &spoilt,
            spoilt.backup(&cluster, &[]),
            steps + 1,
            Signal::TERM,
        )
    {
        steps += 1;
        ended_well += u32::from(finished.code == Some(0));
        let newest = records(&spoilt.store).pop();
        let status = newest.as_ref().map(|(_, status, _)| status.as_str());
        match finished.code {
            // While the bucket is looked at, before the first record; and after the last archive
            // nothing is left to stop.
            Some(143) if status.is_none() => assert!(steps < 6, "step {steps}"),
            Some(143) => assert_eq!(status, Some("FAILED"), "step {steps}: {newest:?}"),
            // What was still missing of its WAL when the signal came is not waited for.
            Some(0) => assert!(
                matches!(status, Some("DONE" | "WAITING_FOR_WALS")),
                "step {steps}: {newest:?}"
            ),
            _ => panic!("step {steps} ends with {finished:?}"),
        }
        assert!(finished.stderr.contains("SIGTERM"), "{}", finished.stderr);
        server_is_idle(&cluster);
    }
    assert!(steps > 7, "a backup makes more than {steps} requests");
    assert!(spoilt.unfinished_uploads().is_empty());
    done_means_done(&spoilt, &cluster);
}

/// A part of 7 MiB at 100 kB a second is paid for after more than a minute.
#[test]
fn a_backup_with_a_narrow_line_says_at_once_that_it_has_failed() {
    let spoilt = Spoilt::new();
    let cluster = small_cluster(&spoilt);
    cluster.pgbench_init(2);
    let slow = ["--max-bandwidth", "100kB", "-J", "1"];
    let running = spoilt.backup(&cluster, &slow).start();
    let is_sending = || spoilt.proxy.count("PUT", "partNumber=") > 0;
    let waited = cluster.wait_until(Duration::from_secs(120), is_sending);
    waited.unwrap_or_else(|log| panic!("nothing is sent: {log}"));
    std::thread::sleep(Duration::from_secs(1));
    let finished = ended_by(running, Signal::TERM);
    assert_eq!(finished.code, Some(143), "{}", finished.stderr);
    assert_eq!(
        latest_status(&spoilt.store),
        "FAILED",
        "{}",
        finished.stderr
    );
    server_is_idle(&cluster);
}

#[test]
fn a_backup_that_is_killed_at_any_step_is_not_listed_as_done() {
    let spoilt = Spoilt::new();
    let cluster = small_cluster(&spoilt);
    let (mut steps, mut were_done) = (0, 0);
    while were_done < LAST_STEPS
        && let Some(finished) = signal_at_request(
            &spoilt,
            spoilt.backup(&cluster, &[]),
            steps + 1,
            Signal::KILL,
        )
    {
        steps += 1;
        assert_eq!(finished.signal, Some(9));
        let status = latest_status(&spoilt.store);
        were_done += u32::from(status == "DONE");
        // DONE only if it was the very last request that was held.
        assert!(
            ["", "STARTED", "DONE"].contains(&&*status),
            "step {steps}: {status}"
        );
        assert!(steps > 6 || status != "DONE", "step {steps}: {status}");
        server_is_idle(&cluster);
    }
    assert!(steps > 7, "a backup makes more than {steps} requests");
    done_means_done(&spoilt, &cluster);
}

#[test]
fn a_backup_ends_on_sigterm_when_the_store_does_not_answer() {
    let spoilt = Spoilt::new();
    let cluster = small_cluster(&spoilt);
    let silent = || Rule::new(Fault::Delay(Duration::from_secs(40))).always();
    let stop_while_silent = |rule: Rule| {
        spoilt.proxy.spoil(rule);
        let running = spoilt.backup(&cluster, &[]).start();
        std::thread::sleep(Duration::from_secs(2));
        let finished = ended_by(running, Signal::TERM);
        spoilt.proxy.heal();
        refused(finished, 143, &["SIGTERM"]);
        server_is_idle(&cluster);
    };
    // Parts hang, everything else works: the record is FAILED, the upload is aborted.
    stop_while_silent(silent().method("PUT").target_has("partNumber="));
    assert_eq!(latest_status(&spoilt.store), "FAILED");
    assert!(spoilt.unfinished_uploads().is_empty());
    stop_while_silent(
        Rule::new(Fault::Answer(503))
            .method("PUT")
            .target_has("part")
            .always(),
    );
    assert_eq!(latest_status(&spoilt.store), "FAILED");
    // The record was made, and cannot be written any more.
    let record = silent().method("PUT").target_has("backup.info");
    stop_while_silent(record.after(1));
    assert_eq!(latest_status(&spoilt.store), "STARTED");
    done_means_done(&spoilt, &cluster);
}

/// A backup whose first part is held for so long.
fn backup_that_uploads(spoilt: &Spoilt, cluster: &Cluster, hold: Duration) -> Running {
    let parts = |spoilt: &Spoilt| spoilt.proxy.count("PUT", "partNumber=");
    let before = parts(spoilt);
    let held = Rule::new(Fault::Delay(hold)).method("PUT");
    spoilt.proxy.spoil(held.target_has("partNumber=").always());
    let mut running = spoilt.backup(cluster, &[]).start();
    while parts(spoilt) == before {
        assert!(running.is_running(), "a backup uploads parts");
        std::thread::sleep(Duration::from_millis(1));
    }
    running
}

#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let spoilt = Spoilt::new();
    let cluster = small_cluster(&spoilt);
    // GNU timeout signals its command and then the process group that it is in. Two signals of the
    // same kind may become one on their way; two kinds never do.
    for twin in [Signal::TERM, Signal::INT] {
        let running = backup_that_uploads(&spoilt, &cluster, HOLD);
        running.signal(Signal::TERM);
        let finished = ended_by(running, twin);
        spoilt.proxy.heal();
        assert!(matches!(finished.code, Some(143 | 130)), "{finished:?}");
        assert_eq!(latest_status(&spoilt.store), "FAILED", "{finished:?}");
        server_is_idle(&cluster);
    }
    assert!(spoilt.unfinished_uploads().is_empty());
    done_means_done(&spoilt, &cluster);
}

#[test]
fn one_more_signal_later_ends_a_command_at_once() {
    let spoilt = Spoilt::new();
    let cluster = small_cluster(&spoilt);
    let mut running = backup_that_uploads(&spoilt, &cluster, Duration::from_secs(40));
    // Nothing works any more: cleaning up would take until it is given up.
    let silent = Rule::new(Fault::Delay(Duration::from_secs(40)));
    spoilt.proxy.spoil(silent.always());
    while running.is_running() {
        running.signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(200));
    }
    let finished = running.finish();
    spoilt.proxy.heal();
    assert!(!finished.stderr.contains("given up"), "{finished:?}");
    refused(finished, 143, &["SIGTERM"]);
    assert_eq!(latest_status(&spoilt.store), "STARTED");
    server_is_idle(&cluster);
    done_means_done(&spoilt, &cluster);
}

#[test]
fn a_backup_fails_when_its_server_goes_down() {
    let spoilt = Spoilt::new();
    let mut cluster = large_cluster(&spoilt.store);
    // Only a few parts are on their way at a time, so most of the files are still unread.
    let hold = Rule::new(Fault::Delay(Duration::from_secs(4)));
    spoilt
        .proxy
        .spoil(hold.method("PUT").target_has("partNumber=1&"));
    let running = spoilt.backup(&cluster, &["-J", "1"]).start();
    while spoilt.proxy.count("PUT", "partNumber=1&") == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    cluster.stop(StopMode::Immediate);
    refused(running.finish(), 1, &["PostgreSQL"]);
    assert_eq!(latest_status(&spoilt.store), "FAILED");
    assert!(spoilt.unfinished_uploads().is_empty());
    cluster.start_again();
    spoilt.backup(&cluster, &[]).run().success();
    let id = spoilt.store.latest_id();
    let answer = answer_of_restored(&spoilt.store, &cluster, &id, QUESTION);
    assert_eq!(answer, ROWS.to_string());
}

/// A directory that a restore left: without `pg_control` no server starts on it, and with it
/// everything is there.
fn cannot_be_started_unless_whole(cluster: &Cluster, data: &Path) -> bool {
    let is_there = data.join("global/pg_control").exists();
    if is_there {
        verify_backup(cluster.tools(), data);
    } else if data.join("PG_VERSION").exists() {
        let refused = Cluster::on_restored(15, data).try_start();
        let log = refused.expect_err("a server on half a restore");
        let missing = ["global/pg_control", "postgresql.conf", "does not exist"];
        assert!(missing.iter().any(|word| log.contains(word)), "{log}");
    }
    is_there
}

#[test]
fn a_restore_that_is_stopped_leaves_nothing_that_starts() {
    let spoilt = Spoilt::new();
    let cluster = large_cluster(&spoilt.store);
    let id = spoilt.store.back_up(&cluster, &[]);
    // Files that exist from a certain moment on: the first, one in the middle, the last steps.
    let moments = ["PG_VERSION", "base/1", "base/5", "pg_wal/archive_status"];
    for signal in [Signal::TERM, Signal::KILL] {
        for moment in moments {
            let place = Scratch::new("restore");
            let data = place.server_folder("data");
            let mut running = restore_program(&spoilt.store, &id, &data).start();
            while !data.join(moment).exists() && running.is_running() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let finished = ended_by(running, signal);
            let is_whole = cannot_be_started_unless_whole(&cluster, &data);
            let ended_well = finished.code == Some(0);
            assert!(is_whole || !ended_well, "{moment}: {finished:?}");
            let by_term = finished.code == Some(143) || ended_well;
            let by_kill = finished.signal == Some(9) || ended_well;
            assert!(
                if signal == Signal::TERM {
                    by_term
                } else {
                    by_kill
                },
                "{finished:?}"
            );
        }
        restore_is_stopped_at_every_request(&spoilt, &cluster, &id, signal);
    }
    let answer = answer_of_restored(&spoilt.store, &cluster, &id, QUESTION);
    assert_eq!(answer, ROWS.to_string());
}

fn restore_is_stopped_at_every_request(
    spoilt: &Spoilt,
    cluster: &Cluster,
    id: &str,
    signal: Signal,
) {
    let mut steps = 0;
    loop {
        let place = Scratch::new("restore");
        let data = place.server_folder("data");
        let program = spoilt.through(restore_program(&spoilt.store, id, &data));
        let finished = signal_at_request(spoilt, program, steps + 1, signal);
        let is_whole = cannot_be_started_unless_whole(cluster, &data);
        match finished {
            Some(finished) => assert!(is_whole || finished.code != Some(0), "{finished:?}"),
            None => break,
        }
        steps += 1;
    }
    assert!(steps > 3, "a restore makes more than {steps} requests");
}

#[test]
fn a_restore_ends_on_sigterm_when_the_store_does_not_answer() {
    let spoilt = Spoilt::new();
    let cluster = small_cluster(&spoilt);
    let id = spoilt.store.back_up(&cluster, &[]);
    for after in [0, 3] {
        let place = Scratch::new("restore");
        let data = place.server_folder("data");
        spoilt.proxy.spoil(
            Rule::new(Fault::Delay(Duration::from_secs(40)))
                .after(after)
                .always(),
        );
        let running = spoilt
            .through(restore_program(&spoilt.store, &id, &data))
            .start();
        std::thread::sleep(Duration::from_secs(2));
        refused(ended_by(running, Signal::TERM), 143, &["SIGTERM"]);
        spoilt.proxy.heal();
        assert!(!cannot_be_started_unless_whole(&cluster, &data));
    }
}

/// A finished segment, and the directory store or bucket it goes to.
fn archive_killed_and_repeated(store: &Store, archive: impl Fn() -> Program, name: &str) {
    let place = Scratch::new("wal");
    let got = place.shared_folder("pg_wal").join(name);
    let fetch = || {
        let fetch = store.command("barman-cloud-wal-restore");
        fetch.args([&store.url(), SERVER, name]).arg(&got).run()
    };
    for milliseconds in [0, 5, 10, 15, 20, 30, 40, 60, 80] {
        let mut running = archive().start();
        std::thread::sleep(Duration::from_millis(milliseconds));
        running.kill();
        // Whole or not there: what is half would be refused as damaged, with another status.
        let fetched = fetch();
        assert!(
            matches!(fetched.code, Some(0 | 1)),
            "{milliseconds} ms: {fetched:?}"
        );
    }
    archive().run().success();
    archive().run().success();
    fetch().success();
}

#[test]
fn a_wal_file_is_archived_after_all_when_its_command_was_killed() {
    let cluster = Cluster::builder(15).start();
    cluster.sql("CREATE TABLE t AS SELECT generate_series(1, 100000)");
    let name = cluster.sql("SELECT pg_walfile_name(pg_current_wal_lsn())");
    cluster.sql("SELECT pg_switch_wal()");
    let segment = cluster.data().join("pg_wal").join(&name);
    for store in [Store::directory(), Store::s3()] {
        let archive = || {
            let archive = store.command("barman-cloud-wal-archive").arg("--gzip");
            archive.args([&store.url(), SERVER]).arg(&segment)
        };
        archive_killed_and_repeated(&store, archive, &name);
    }
    let spoilt = Spoilt::new();
    for signal in [Signal::TERM, Signal::KILL] {
        let archive = || {
            let archive = spoilt.store.command("barman-cloud-wal-archive");
            let archive = archive.args([&spoilt.store.url(), SERVER]).arg(&segment);
            spoilt.through(archive)
        };
        let ended = signal_at_request(&spoilt, archive(), 1, signal).unwrap();
        assert!(
            ended.code == Some(143) || ended.signal == Some(9),
            "{ended:?}"
        );
        archive().run().success();
    }
}

#[test]
fn two_commands_archive_one_segment_at_the_same_time() {
    let cluster = Cluster::builder(15).start();
    cluster.sql("CREATE TABLE t AS SELECT generate_series(1, 100000)");
    let name = cluster.sql("SELECT pg_walfile_name(pg_current_wal_lsn())");
    cluster.sql("SELECT pg_switch_wal()");
    let segment = cluster.data().join("pg_wal").join(&name);
    for store in [Store::directory(), Store::s3()] {
        let archive = |_| {
            let archive = store.command("barman-cloud-wal-archive").arg("--zstd");
            archive.args([&store.url(), SERVER]).arg(&segment).start()
        };
        let running: Vec<_> = (0..4).map(archive).collect();
        for program in running {
            program.finish().success();
        }
        let place = Scratch::new("wal");
        let got = place.shared_folder("pg_wal").join(&name);
        let fetch = store.command("barman-cloud-wal-restore");
        fetch
            .args([&store.url(), SERVER, &name])
            .arg(&got)
            .run()
            .success();
        assert_eq!(fs::read(got).unwrap(), fs::read(&segment).unwrap());
    }
}

#[test]
fn two_backups_at_the_same_time_do_not_harm_each_other() {
    let spoilt = Spoilt::new();
    let cluster = small_cluster(&spoilt);
    let running = [(); 2].map(|()| backup_program(&spoilt.store, &cluster, &[]).start());
    for backup in running {
        backup.finish().success();
    }
    // The id is the second of the start: the later one takes the next.
    assert_eq!(done_backups(&spoilt.store).len(), 2);
    done_means_done(&spoilt, &cluster);
}
