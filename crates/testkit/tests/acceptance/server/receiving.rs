//! WAL over the replication protocol, beside pg_receivewal on the same server.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use testkit::full_disk::SmallDisk;
use testkit::postgres::{Cluster, StopMode, WaitFor};
use testkit::process::{Program, Running, Signal};
use testkit::scratch::Scratch;
use testkit::tools::{MAJORS, Tools};

use super::host::{BarmanHost, DEADLINE, streaming_section};

/// Files of a receiver's directory with what they hold.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        // A part can be renamed between the two looks.
        Some((name, fs::read(entry.path()).ok()?))
    };
    entries.filter_map(file).collect()
}

/// Waits until this file is there.
fn wait_for(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(
            began.elapsed() < DEADLINE,
            "{} does not come",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ends the segment that is being written; gives its name.
fn end_segment(cluster: &Cluster) -> String {
    let sql = "SELECT pg_walfile_name(pg_create_restore_point('end of a segment'));
               SELECT pg_switch_wal() IS NULL;";
    cluster.sql(sql).lines().next().unwrap().to_owned()
}

/// PostgreSQL's own receiver, of the newest version, which serves all.
fn pg_receivewal(cluster: &Cluster, folder: &Path) -> Running {
    let program = Tools::of(18).program("pg_receivewal").unwrap();
    let slot = ["--slot", "oracle", "--create-slot", "--if-not-exists"];
    let receiver = || {
        cluster
            .client(&program)
            .as_server_user()
            .arg("-D")
            .arg(folder)
    };
    receiver().args(slot).run().success();
    receiver()
        .args(["--slot", "oracle", "--synchronous"])
        .start()
}

fn same_files_as_pg_receivewal(major: u32) {
    let cluster = Cluster::builder(major).start();
    let host = BarmanHost::new(&streaming_section("main", &cluster));
    let said = host
        .ours(&["receive-wal", "--create-slot", "main"])
        .run()
        .success();
    assert!(said.stdout.contains("barman_main"), "{}", said.stdout);
    let oracle = Scratch::new("oracle");
    let other = oracle.server_folder("wal");
    let folder = host.home("main/streaming");

    let theirs = pg_receivewal(&cluster, &other);
    let mut ours = host.receive("main");
    cluster.pgbench_init(1);
    let first = end_segment(&cluster);
    wait_for(&folder.join(&first));
    // Killed at any moment, and resumed.
    ours.kill();
    cluster.pgbench_init(1);
    let ours = host.receive("main");
    let last = end_segment(&cluster);
    cluster.sql("SELECT pg_create_restore_point('in the last one')");
    wait_for(&folder.join(&last));
    wait_for(&other.join(&last));
    let flushed = "SELECT pg_current_wal_flush_lsn() <= min(flush_lsn) FROM pg_stat_replication";
    cluster
        .wait_until(DEADLINE, || cluster.sql(flushed) == "t")
        .unwrap();

    ours.signal(Signal::TERM);
    let said = ours.finish().success();
    assert!(
        said.stdout.contains("everything received is flushed"),
        "{}",
        said.stdout
    );
    theirs.signal(Signal::INT);
    theirs.finish().success();
    let (own, other) = (files(&folder), files(&other));
    let names: Vec<_> = own.keys().collect();
    assert_eq!(names, other.keys().collect::<Vec<_>>());
    assert!(names.len() >= 4, "{names:?}");
    for (name, content) in &own {
        assert!(
            *content == other[name],
            "{name} differs in PostgreSQL {major}"
        );
    }
    let lock = fs::read_to_string(host.home(".main-receive-wal.lock")).unwrap();
    assert!(lock.trim().parse::<u32>().is_ok(), "{lock}");
}

macro_rules! for_each_major {
    ($($name:ident $major:literal)*) => {
        $(
            #[test]
            fn $name() {
                same_files_as_pg_receivewal($major);
            }
        )*

        #[test]
        fn no_major_is_left_out() {
            assert_eq!([$($major),*], MAJORS);
        }
    };
}

for_each_major! {
    wal_of_postgresql_13_is_received_as_pg_receivewal_does 13
    wal_of_postgresql_14_is_received_as_pg_receivewal_does 14
    wal_of_postgresql_15_is_received_as_pg_receivewal_does 15
    wal_of_postgresql_16_is_received_as_pg_receivewal_does 16
    wal_of_postgresql_17_is_received_as_pg_receivewal_does 17
    wal_of_postgresql_18_is_received_as_pg_receivewal_does 18
}

#[test]
fn slots_are_made_and_dropped_and_one_receiver_runs_at_a_time() {
    let cluster = Cluster::builder(13).start();
    let host = BarmanHost::new(&streaming_section("main", &cluster));
    a_slot_is_made_once(&host);
    one_receiver_runs_at_a_time(&host);
    receiving_begins_anew_where_the_slot_stands(&host);
}

fn a_slot_is_made_once(host: &BarmanHost) {
    let run = |words: &[&str], code| host.ours(words).run().exits_with(code);
    let said = run(&["receive-wal", "main"], 1);
    assert!(
        said.stderr
            .contains("barman receive-wal --create-slot main"),
        "{}",
        said.stderr
    );
    let create = ["receive-wal", "--create-slot", "main"];
    run(&create, 0);
    assert!(run(&create, 1).stderr.contains("is there already"));
    run(
        &["receive-wal", "--create-slot", "--if-not-exists", "main"],
        0,
    );
}

fn one_receiver_runs_at_a_time(host: &BarmanHost) {
    let run = |words: &[&str], code| host.ours(words).run().exits_with(code);
    // Python's takes the lock that we then find, and the other way round.
    let theirs = host.peer(&["receive-wal", "main"]).start();
    wait_for(&host.home("main/streaming/000000010000000000000001.partial"));
    assert!(
        run(&["receive-wal", "main"], 1)
            .stderr
            .contains("another process")
    );
    assert!(
        run(&["receive-wal", "--reset", "main"], 1)
            .stderr
            .contains("another process")
    );
    assert!(
        run(&["receive-wal", "--drop-slot", "main"], 1)
            .stderr
            .contains("in use")
    );
    run(&["receive-wal", "--stop", "main"], 0);
    theirs.finish();
    let ours = host.receive("main");
    host.peer(&["receive-wal", "main"]).run().exits_with(1);
    let listed = host
        .peer(&["list-processes", "main"])
        .run()
        .success()
        .stdout;
    assert!(
        listed.contains(&format!("{} receive-wal", ours.id())),
        "{listed}"
    );
    // It looks until the process is gone, which only we can see to.
    let stopping = host
        .peer(&["terminate-process", "main", "receive-wal"])
        .start();
    ours.finish().success();
    stopping.finish().success();
}

fn receiving_begins_anew_where_the_slot_stands(host: &BarmanHost) {
    let run = |words: &[&str], code| host.ours(words).run().exits_with(code);
    // A part that lies behind the slot's position goes.
    let partial = |name: &str| host.home("main/streaming").join(name);
    let old = fs::rename(
        partial("000000010000000000000001.partial"),
        partial("000000010000000000000009.partial"),
    );
    old.unwrap();
    let said = run(&["receive-wal", "--reset", "main"], 0);
    assert!(
        said.stdout.contains("000000010000000000000009.partial"),
        "{}",
        said.stdout
    );
    let left = files(&host.home("main/streaming"));
    let left: Vec<_> = left
        .iter()
        .map(|(name, it)| (name.as_str(), it.len()))
        .collect();
    assert_eq!(left, [("000000010000000000000001.partial", 0)]);
    assert!(
        run(&["receive-wal", "--reset", "main"], 0)
            .stdout
            .contains("nothing to do")
    );
    run(&["receive-wal", "--drop-slot", "main"], 0);
    assert!(
        run(&["receive-wal", "--drop-slot", "main"], 1)
            .stderr
            .contains("does not exist")
    );
}

/// A standby of this server, streaming from it.
fn standby(origin: &Cluster, folder: &Path) -> Cluster {
    let program = origin.tools().program("pg_basebackup").unwrap();
    let copy = origin
        .client(program)
        .args(["-X", "stream", "-c", "fast", "-R", "-D"]);
    copy.arg(folder).run().success();
    Cluster::on_restored(origin.tools().major, folder)
        .conf("hot_standby = on")
        .wait_for(WaitFor::Connections)
        .start()
}

#[test]
fn a_promotion_is_followed_to_the_new_timeline_with_its_history() {
    let mut origin = Cluster::builder(15).start();
    let copies = Scratch::new("standby");
    let standby = standby(&origin, &copies.join("data"));
    let section = streaming_section("main", &standby) + "create_slot = auto\n";
    let host = BarmanHost::new(&section);
    let running = host.receive("main");
    origin.sql("CREATE TABLE t AS SELECT generate_series(1, 1000)");
    let before = end_segment(&origin);
    let folder = host.home("main/streaming");
    wait_for(&folder.join(&before));
    origin.sql("SELECT pg_create_restore_point('on the old timeline')");
    origin.stop(StopMode::Fast);
    standby.sql("SELECT pg_promote()");
    let after = end_segment(&standby);
    assert!(after.starts_with("00000002"), "{after}");
    wait_for(&folder.join(&after));
    running.signal(Signal::INT);
    let said = running.finish().success().stdout;
    assert!(said.contains("going on with timeline 2"), "{said}");
    let received = files(&folder);
    let kept = |name: &str| standby.data().join("pg_wal").join(name);
    for name in ["00000002.history", before.as_str(), after.as_str()] {
        assert!(received[name] == fs::read(kept(name)).unwrap(), "{name}");
    }
    let left = format!("00000001{}.partial", &after[8..]);
    assert!(received.contains_key(&left), "{:?}", received.keys());
}

#[test]
fn a_server_that_restarts_is_found_again() {
    let mut cluster = Cluster::builder(17).start();
    let host = BarmanHost::new(&(streaming_section("main", &cluster) + "create_slot = auto\n"));
    let running = host.receive("main");
    cluster.stop(StopMode::Fast);
    cluster.start_again();
    let last = end_segment(&cluster);
    wait_for(&host.home("main/streaming").join(last));
    running.signal(Signal::TERM);
    let said = running.finish().success();
    assert!(
        said.stderr.contains("trying again in 1 s"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_full_disk_ends_the_receiver_and_nothing_is_lost_once_there_is_room() {
    let Some(disk) = SmallDisk::mount(40) else {
        return;
    };
    let cluster = Cluster::builder(16).start();
    let place = disk.path().join("streaming");
    fs::create_dir(&place).unwrap();
    testkit::user::give_to_server_user(&place);
    let place_line = format!("streaming_wals_directory = {}\n", place.display());
    let section = streaming_section("main", &cluster) + "create_slot = auto\n" + &place_line;
    let host = BarmanHost::new(&section);
    let running = host.receive("main");
    let mut ended: Vec<String> = Vec::new();
    for _ in 0..3 {
        cluster.sql("CREATE TABLE IF NOT EXISTS t (i int); INSERT INTO t VALUES (1)");
        ended.push(end_segment(&cluster));
    }
    cluster.sql("INSERT INTO t VALUES (2)");
    let said = running.finish().exits_with(1);
    assert!(
        said.stderr.contains("No space left on device"),
        "{}",
        said.stderr
    );
    let names: Vec<_> = files(&place).into_keys().collect();
    assert_eq!(names, ended[..2], "no half part stays");
    // What archives WAL takes it away.
    let archived: PathBuf = host.home("archived");
    fs::create_dir(&archived).unwrap();
    Program::new("mv")
        .args([place.join(&ended[0]), archived.clone()])
        .run()
        .success();
    let running = host.receive("main");
    wait_for(&place.join(&ended[2]));
    drop(running);
    let received = files(&place);
    for name in &ended[1..] {
        let kept = cluster.data().join("pg_wal").join(name);
        assert!(received[name] == fs::read(kept).unwrap(), "{name}");
    }
}
