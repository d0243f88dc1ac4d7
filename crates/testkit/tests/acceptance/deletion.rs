//! Keeping and deleting, side by side with Python Barman on the same objects.

use std::time::Duration;

use testkit::postgres::Cluster;
use testkit::process::{Finished, Program};
use testkit::scratch::Scratch;
use testkit::{Fault, FaultProxy, Peer, Rule, SeaweedFs};

use crate::product::{SERVER, Store};

const DELETE: &str = "barman-cloud-backup-delete";
const KEEP: &str = "barman-cloud-backup-keep";
const SHOW: &str = "barman-cloud-backup-show";

/// A server with a mark in a table for each of so many backups.
fn backed_up(store: &Store, count: usize) -> (Cluster, Vec<String>) {
    let cluster = store
        .archiving_cluster(15, "--gzip")
        .tablespace("ts1")
        .start();
    cluster.sql("CREATE TABLE marks (mark int) TABLESPACE ts1");
    let mut ids = Vec::new();
    for mark in 1..=count {
        cluster.sql(&format!("INSERT INTO marks VALUES ({mark})"));
        ids.push(store.back_up(&cluster, &["--gzip"]));
        cluster.sql("SELECT pg_switch_wal(); CHECKPOINT");
    }
    cluster.sql("INSERT INTO marks VALUES (0)");
    cluster.archive_now(Duration::from_secs(60));
    (cluster, ids)
}

/// Runs a command on the store, ours or the peer's: its options stand before the URL.
fn run(program: Program, store: &Store, options: &[&str], id: Option<&str>) -> Finished {
    let url = store.url();
    let program = program.envs(store.environment()).args(options);
    program.args([url.as_str(), SERVER]).args(id).run()
}

fn ours(store: &Store, name: &str, options: &[&str], id: Option<&str>) -> Finished {
    run(store.command(name), store, options, id)
}

fn peers(store: &Store, name: &str, options: &[&str], id: Option<&str>) -> Finished {
    run(Peer::command(name), store, options, id)
}

fn keys(store: &Store) -> Vec<String> {
    match store {
        Store::S3(bucket) => bucket.keys(),
        _ => panic!("only buckets of S3 are looked at"),
    }
}

/// A bucket with the same objects, copied by boto3.
fn copy_of(store: &Store) -> Store {
    let (Store::S3(from), Store::S3(to)) = (store, Store::s3()) else {
        panic!("both are buckets");
    };
    to.copy_from(from);
    Store::S3(to)
}

/// Both delete by the same words, each in its copy; what is left must be the same.
fn both_leave_the_same(store: &Store, options: &[&str]) -> Store {
    let copy = copy_of(store);
    assert_eq!(keys(&copy), keys(store));
    ours(store, DELETE, options, None).success();
    peers(&copy, DELETE, options, None).success();
    assert_eq!(keys(store), keys(&copy), "{options:?}");
    copy
}

#[test]
fn what_one_keeps_the_other_does_not_delete() {
    let store = Store::s3();
    let (_cluster, ids) = backed_up(&store, 2);
    let (first, second) = (ids[0].as_str(), ids[1].as_str());
    ours(&store, KEEP, &["--target", "standalone"], Some(first)).success();
    peers(&store, KEEP, &["--target", "full"], Some(second)).success();
    for (id, said) in [(first, "Keep: standalone\n"), (second, "Keep: full\n")] {
        assert_eq!(ours(&store, KEEP, &["-s"], Some(id)).success().stdout, said);
        assert_eq!(
            peers(&store, KEEP, &["-s"], Some(id)).success().stdout,
            said
        );
        ours(&store, DELETE, &["-b", id], None).exits_with(1);
        peers(&store, DELETE, &["-b", id], None).exits_with(1);
    }
    for policy in ["REDUNDANCY 0", "RECOVERY WINDOW OF 0 DAYS"] {
        let before = keys(&store);
        ours(&store, DELETE, &["-r", policy], None).success();
        peers(&store, DELETE, &["-r", policy], None).success();
        assert_eq!(keys(&store), before, "{policy}");
    }
    peers(&store, KEEP, &["--release"], Some(first)).success();
    let said = ours(&store, KEEP, &["--status"], Some(first))
        .success()
        .stdout;
    assert_eq!(said, "Keep: nokeep\n");
}

#[test]
fn a_policy_removes_the_same_as_python_barman_and_the_rest_restores() {
    let store = Store::s3();
    let (_cluster, ids) = backed_up(&store, 4);
    ours(&store, KEEP, &["--target", "standalone"], Some(&ids[0])).success();
    let options = ["-r", "REDUNDANCY 2", "--dry-run"];
    let before = keys(&store);
    let our_plan = ours(&store, DELETE, &options, None).success().stdout;
    let peers_plan = peers(&store, DELETE, &options, None).success().stdout;
    assert_eq!(keys(&store), before, "a dry run deletes nothing");
    for id in &ids {
        let goes = our_plan.contains(&format!("backup {id} goes"));
        assert_eq!(
            goes,
            peers_plan.contains(id),
            "{id}: {our_plan}\n{peers_plan}"
        );
        assert_eq!(goes, *id == ids[1]);
    }
    both_leave_the_same(&store, &["-r", "REDUNDANCY 2"]);
    both_leave_the_same(&store, &["-b", &ids[2]]);
    both_leave_the_same(&store, &["-r", "REDUNDANCY 1"]);
    let count = |id: &str, targets: &[&str]| {
        let place = Scratch::new("left");
        let data = store.restore(id, &place, &[]);
        let mut recovering = store.recovering(15, &data);
        for target in targets {
            recovering = recovering.conf(target);
        }
        let mut restored = recovering.start();
        let count = restored.sql("SELECT count(*) FROM marks");
        restored.stop_and_check_data();
        count
    };
    assert_eq!(count(&ids[3], &[]), "5", "all that was archived");
    assert_eq!(count(&ids[0], &["recovery_target = 'immediate'"]), "1");
}

/// Records of made-up backups, so many hours old.
pub fn put_made_up(store: &Store, hours: i64, facts: &str) -> String {
    let Store::S3(bucket) = store else {
        panic!("it is a bucket");
    };
    let date = |form: &str| {
        let ago = format!("{hours} hours ago");
        let date = Program::new("date").args(["-u", "-d", &ago, form]).run();
        date.success().stdout.trim().to_owned()
    };
    let id = date("+%Y%m%dT%H%M%S");
    let end = date("+%Y-%m-%d %H:%M:%S+00:00");
    let begin = format!("0000000100000000000000{:02X}", 200 - hours / 6);
    let record = format!(
        "begin_time={end}\nbegin_wal={begin}\nend_time={end}\nend_wal={begin}\n\
         server_name=cloud\ntimeline=1\nversion=150018\nxlog_segment_size=16777216\n{facts}\n"
    );
    let base = format!("some/folder/{SERVER}/base/{id}");
    bucket.put(&format!("{base}/backup.info"), record);
    bucket.put(&format!("{base}/data.tar"), "x");
    let wals = format!("some/folder/{SERVER}/wals/0000000100000000");
    bucket.put(&format!("{wals}/{begin}"), "x");
    id
}

#[test]
fn both_judge_made_up_catalogues_alike() {
    let store = Store::s3();
    // 30.5 days: before a window of 30 days, within one of a month of 31.
    let all = [
        (960, "status=DONE"),
        (732, "status=DONE"),
        (480, "status=DONE"),
        (360, "status=FAILED\nerror=on purpose"),
        (240, "status=DONE"),
        (72, "status=DONE"),
        (24, "status=STARTED"),
    ];
    let ids = all.map(|(hours, facts)| put_made_up(&store, hours, facts));
    ours(&store, KEEP, &["--target", "standalone"], Some(&ids[1])).success();
    let policies = [
        ("REDUNDANCY 0", "0"),
        ("redundancy 1", "0"),
        ("REDUNDANCY 2", "4"),
        ("REDUNDANCY 3", "0"),
        ("recovery window of 2 days", "0"),
        ("RECOVERY WINDOW OF 2 WEEKS", "0"),
        ("RECOVERY WINDOW OF 2 WEEKS", "5"),
        ("RECOVERY WINDOW OF 30 DAYS", "0"),
        ("RECOVERY WINDOW OF 1 MONTHS", "0"),
        ("RECOVERY WINDOW OF 1 MONTH", "0"),
    ];
    let mut differences = Vec::new();
    for (policy, minimum) in policies {
        let options = ["-r", policy, "-m", minimum, "--dry-run"];
        let our_plan = ours(&store, DELETE, &options, None).success().stdout;
        let peers_plan = peers(&store, DELETE, &options, None).success().stdout;
        // Only ours sweeps what nobody can restore.
        let swept = |line: &&str| line.contains("nobody can restore it");
        let swept: Vec<&str> = our_plan.lines().filter(swept).collect();
        assert!(swept.len() == 1 && swept[0].contains(&ids[3]), "{our_plan}");
        let goes = |id: &&String| our_plan.contains(&format!("backup {id} goes"));
        let our = ids.iter().filter(goes).filter(|id| **id != ids[3]);
        let our: Vec<&String> = our.collect();
        let their: Vec<&String> = ids.iter().filter(|id| peers_plan.contains(*id)).collect();
        if our != their {
            differences.push(format!("{policy}: we {our:?}, they {their:?}"));
        }
    }
    // Ours needs the older one for the window's beginning: a standalone backup does not lead there.
    let known = format!("RECOVERY WINDOW OF 30 DAYS: we [], they [{:?}]", ids[0]);
    assert_eq!(differences, [known]);
}

#[test]
fn python_barman_finishes_what_we_began_to_delete() {
    let store = Store::s3();
    let (_cluster, ids) = backed_up(&store, 2);
    let Store::S3(bucket) = &store else {
        panic!("it is a bucket");
    };
    // As a deletion leaves it that was killed after its first steps.
    let base = format!("some/folder/{SERVER}/base/{}", ids[0]);
    let file = Scratch::new("record");
    let path = file.join("backup.info");
    bucket.get(&format!("{base}/backup.info"), &path);
    let record = std::fs::read_to_string(&path).unwrap();
    let error = "being deleted: barman-cloud-backup-delete finishes it when it is run again";
    let marked = record.replace("status=DONE", "status=FAILED");
    let marked = marked.replace("error=None", &format!("error={error}"));
    bucket.put(&format!("{base}/backup.info"), marked);
    bucket.delete(&format!("{base}/data.tar.gz"));
    assert_eq!(store.list()["backups_list"][0]["status"], "FAILED");
    let copy = copy_of(&store);
    ours(&store, DELETE, &["-r", "REDUNDANCY 1"], None).success();
    peers(&copy, DELETE, &["-b", &ids[0]], None).success();
    assert_eq!(keys(&store), keys(&copy));
    assert!(!keys(&store).iter().any(|key| key.contains(&ids[0])));
}

#[test]
fn what_the_store_lists_and_does_not_give_stops_the_deletion() {
    let store = Store::s3();
    let [old, new] = [96, 24].map(|hours| put_made_up(&store, hours, "status=DONE"));
    ours(&store, KEEP, &["--target", "full"], Some(&old)).success();
    let before = keys(&store);
    for withheld in ["annotations/keep", &format!("{old}/backup.info")] {
        let proxy = FaultProxy::before(&SeaweedFs::shared().plain_address());
        let get = Rule::new(Fault::Refuse(404, "NoSuchKey")).method("GET");
        proxy.spoil(get.target_has(withheld).always());
        let program = store.command(DELETE).args(["-r", "REDUNDANCY 1"]);
        let program = program.env("AWS_ENDPOINT_URL", proxy.endpoint());
        let said = program.args([&store.url(), SERVER]).run().exits_with(1);
        assert!(said.stderr.contains(&old), "{}", said.stderr);
        assert_eq!(keys(&store), before, "{withheld}: {new} is the newest");
    }
}

#[test]
fn both_end_with_the_same_status_when_no_backup_is_meant() {
    let store = Store::s3();
    let nobody = "20200101T000000";
    for (name, options, id, status) in [
        (KEEP, &["-s"][..], Some(nobody), 0),
        (KEEP, &["-r"], Some(nobody), 0),
        (KEEP, &["--target", "full"], Some(nobody), 4),
        (KEEP, &["-s"], Some("latest"), 4),
        (KEEP, &["-s"], Some("auto"), 4),
        (DELETE, &["-b", nobody], None, 0),
        (DELETE, &["-b", "latest"], None, 4),
        (DELETE, &["-b", "auto"], None, 4),
        (SHOW, &[], Some(nobody), 1),
        (SHOW, &[], Some("oldest"), 4),
    ] {
        let our = ours(&store, name, options, id).exits_with(status);
        let their = peers(&store, name, options, id).exits_with(status);
        assert_eq!(our.stdout, their.stdout, "{name} {options:?} {id:?}");
    }
    assert!(keys(&store).is_empty());
}

#[test]
fn both_find_the_wal_in_the_way_of_a_new_server() {
    const CHECK: &str = "barman-cloud-check-wal-archive";
    let store = Store::s3();
    let Store::S3(bucket) = &store else {
        panic!("it is a bucket");
    };
    let wals = format!("some/folder/{SERVER}/wals");
    let both = |options: &[&str], status| {
        ours(&store, CHECK, options, None).exits_with(status);
        peers(&store, CHECK, options, None).exits_with(status);
    };
    both(&[], 0);
    bucket.put(
        &format!("{wals}/0000000200000000/000000020000000000000003.gz"),
        "x",
    );
    both(&[], 1);
    both(&["--timeline", "2"], 1);
    both(&["--timeline", "3"], 0);
    bucket.put(&format!("{wals}/00000004.history"), "x");
    both(&["--timeline", "3"], 1);
}

#[test]
fn a_missing_bucket_is_made_for_a_new_server() {
    let made = format!("made-{}", std::process::id());
    let url = format!("s3://{made}/folder");
    let environment = SeaweedFs::shared().environment();
    let check = |options: &[&str]| {
        let program = Program::new(testkit::program::barman_program(
            "barman-cloud-check-wal-archive",
        ));
        let program = program.envs(environment.clone()).args(options);
        program.args([url.as_str(), SERVER]).run()
    };
    // As with Barman 3.20.1, which makes nothing either.
    check(&["--test"]).success();
    check(&["--test"]).success();
    let listed = Program::new(testkit::program::barman_program("barman-cloud-backup-list"));
    let listed = listed.envs(environment.clone()).arg("--test");
    listed.args([url.as_str(), SERVER]).run().exits_with(1);
    check(&[]).success();
    check(&["--test"]).success();
    check(&[]).success();
}
