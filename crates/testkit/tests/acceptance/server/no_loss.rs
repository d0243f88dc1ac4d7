//! The receiver as PostgreSQL's synchronous standby: a commit that was acknowledged is in the WAL
//! that was received, whoever is killed and when.

use std::fs;
use std::path::Path;
use std::time::Duration;

use testkit::postgres::{Cluster, StopMode};
use testkit::process::{Program, Running};
use testkit::scratch::Scratch;

use super::host::{BarmanHost, DEADLINE, streaming_section};

/// How often both are killed; `KILL_ROUNDS` asks for more.
fn rounds() -> u32 {
    let asked = std::env::var("KILL_ROUNDS").ok();
    asked.and_then(|it| it.parse().ok()).unwrap_or(3)
}

/// Commits numbers from `first` on, one by one, and says each that was acknowledged.
fn committing(cluster: &Cluster, first: u64) -> Running {
    let statement =
        |number| format!("INSERT INTO acknowledged VALUES ({number}) RETURNING number;\n");
    let script: String = (first..first + 100_000).map(statement).collect();
    let psql = cluster.client(&cluster.tools().psql);
    psql.args(["-X", "-A", "-t", "-q"]).input(script).start()
}

/// Kills the server with every process of it.
fn kill_server(cluster: &mut Cluster) {
    let file = fs::read_to_string(cluster.data().join("postmaster.pid")).unwrap();
    let postmaster = file.lines().next().unwrap().to_owned();
    let children = format!("/proc/{postmaster}/task/{postmaster}/children");
    let children = fs::read_to_string(children).unwrap_or_default();
    let processes = std::iter::once(postmaster.as_str()).chain(children.split_whitespace());
    // One of them may end by itself meanwhile.
    Program::new("kill").arg("-KILL").args(processes).run();
    cluster.stop(StopMode::Immediate);
}

/// A server of what was received alone: a base backup, and the WAL as the receiver left it.
fn restored(cluster: &Cluster, base: &Path, received: &Path, scratch: &Scratch) -> Cluster {
    let (data, wal) = (scratch.join("data"), scratch.join("wal"));
    for (from, to) in [(base, &data), (received, &wal)] {
        Program::new("cp")
            .arg("-a")
            .arg(from)
            .arg(to)
            .run()
            .success();
    }
    let wal = wal.display();
    let command = format!("cp {wal}/%f %p 2>/dev/null || cp {wal}/%f.partial %p 2>/dev/null");
    Cluster::on_restored(cluster.tools().major, data)
        .restore_command(&command)
        .start()
}

#[test]
fn no_acknowledged_commit_is_missing_from_the_received_wal_whoever_is_killed() {
    let mut cluster = Cluster::builder(18)
        .conf("synchronous_standby_names = 'barman_receive_wal'")
        .conf("synchronous_commit = local")
        .conf("max_wal_size = 64MB")
        .start();
    let host = BarmanHost::new(&(streaming_section("main", &cluster) + "create_slot = auto\n"));
    cluster.sql("CREATE TABLE acknowledged (number bigint, padding text DEFAULT repeat('x', 400))");
    let mut receiver = host.receive("main");
    let bases = Scratch::new("base");
    let base = bases.join("base");
    let program = cluster.tools().program("pg_basebackup").unwrap();
    let copy = cluster
        .client(program)
        .args(["-X", "none", "-c", "fast", "-D"]);
    copy.arg(&base).run().success();
    cluster.sql("ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();");
    let mut last = 0;
    for round in 0..rounds() {
        let first = u64::from(round) * 1_000_000 + 1;
        let client = committing(&cluster, first);
        let is_busy = format!("SELECT count(*) > 20 FROM acknowledged WHERE number >= {first}");
        let waited = cluster.wait_until(DEADLINE, || cluster.sql(&is_busy) == "t");
        waited.unwrap();
        // Another moment each time, and now the one first, now the other.
        std::thread::sleep(Duration::from_millis(200 + 37 * u64::from(round % 20)));
        if round % 2 == 0 {
            receiver.kill();
        }
        kill_server(&mut cluster);
        receiver.kill();
        let said = client.finish().stdout;
        let acknowledged: Vec<u64> = said.lines().filter_map(|it| it.parse().ok()).collect();
        assert!(
            !acknowledged.is_empty(),
            "round {round}: nothing was committed"
        );
        last = last.max(*acknowledged.last().unwrap());

        let scratch = Scratch::new("restored");
        let found = restored(&cluster, &base, &host.home("main/streaming"), &scratch);
        let there = found.sql(&format!(
            "SELECT count(*) FROM acknowledged WHERE number BETWEEN {first} AND {last}"
        ));
        let there: usize = there.parse().unwrap();
        assert!(
            there >= acknowledged.len(),
            "round {round}: {} commits were acknowledged, {there} are in the WAL",
            acknowledged.len()
        );
        cluster.start_again();
        receiver = host.receive("main");
        let waiting = "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        cluster
            .wait_until(DEADLINE, || cluster.sql(waiting) == "t")
            .unwrap();
    }
    let names = fs::read_dir(host.home("main/streaming")).unwrap().count();
    assert!(names >= 1);
}
