//! Does the test kit work? Each component is started and does its part once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use testkit::postgres::{StopMode, verify_backup};
use testkit::process::Signal;
use testkit::{
    Cluster, Fault, FaultProxy, Finished, Peer, Program, Rule, Scratch, SeaweedFs, SmallDisk,
};

fn a_server_of_this_major_archives_and_its_backup_recovers(major: u32) {
    let archive = Scratch::new("archive");
    let wal = archive.shared_folder("wal");
    let wal = wal.display();
    let mut origin = Cluster::builder(major)
        .tablespace("ts1")
        .archive_command(&format!("test ! -f {wal}/%f && cp %p {wal}/%f"))
        .start();
    assert_eq!(origin.sql("SHOW server_version_num").len(), 6);
    origin.pgbench_init(1);
    origin.sql("CREATE TABLE t TABLESPACE ts1 AS SELECT generate_series(1, 1000) AS i");
    let load = origin.pgbench(Duration::from_secs(1));

    let copy = archive.join("copy");
    take_base_backup(&origin, &archive);
    verify_backup(origin.tools(), &copy);
    load.finish().success();
    origin.sql("INSERT INTO t VALUES (1001); SELECT pg_create_restore_point('here')");
    origin.archive_now(Duration::from_secs(20));
    origin.stop_and_check_data();

    let mut restored = Cluster::on_restored(major, &copy)
        .restore_command(&format!("cp {wal}/%f %p"))
        .conf("recovery_target_name = 'here'")
        .start();
    assert_eq!(restored.sql("SELECT count(*) FROM t"), "1001");
    restored.stop_and_check_data();
}

// pg_basebackup of 18 serves the majors whose packages lack it; for 17 the manifest has another
// version there, so its own is taken.
fn take_base_backup(origin: &Cluster, archive: &Scratch) {
    let newest = testkit::Tools::of(18).program("pg_basebackup");
    let own = origin.tools().program("pg_basebackup");
    let program = own.or(newest).expect("the package of 18 has all programs");
    let backup = origin
        .client(program)
        .args(["-X", "none", "-c", "fast", "-D"]);
    let mapping = format!(
        "{}={}",
        origin.scratch().join("ts1").display(),
        archive.join("copy-ts1").display()
    );
    backup
        .arg(archive.join("copy"))
        .arg("-T")
        .arg(mapping)
        .run()
        .success();
}

macro_rules! for_each_major {
    ($($name:ident $major:literal)*) => {$(
        #[test]
        fn $name() {
            a_server_of_this_major_archives_and_its_backup_recovers($major);
        }
    )*};
}

for_each_major! {
    postgresql_13_archives_and_its_backup_recovers 13
    postgresql_14_archives_and_its_backup_recovers 14
    postgresql_15_archives_and_its_backup_recovers 15
    postgresql_16_archives_and_its_backup_recovers 16
    postgresql_17_archives_and_its_backup_recovers 17
    postgresql_18_archives_and_its_backup_recovers 18
}

#[test]
fn a_server_survives_an_immediate_stop_and_goes_with_its_value() {
    let mut cluster = Cluster::builder(18).start();
    cluster.sql("CREATE TABLE t AS SELECT 1 AS i");
    cluster.stop(StopMode::Immediate);
    cluster.start_again();
    assert_eq!(cluster.sql("SELECT i FROM t"), "1");
    assert!(cluster.try_sql("SELECT no_such_column").is_err());
    assert!(TcpStream::connect(("127.0.0.1", cluster.port())).is_ok());
    let (folder, port) = (cluster.scratch().path().to_owned(), cluster.port());
    drop(cluster);
    assert!(!folder.exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_server_that_cannot_recover_shows_its_log() {
    let mut origin = Cluster::builder(18).start();
    origin.stop(StopMode::Fast);
    let scratch = Scratch::new("broken");
    let copy = scratch.join("copy");
    Program::new("cp")
        .arg("-r")
        .arg(origin.data())
        .arg(&copy)
        .run()
        .success();
    let log = Cluster::on_restored(18, copy)
        .restore_command("false")
        .conf("recovery_target_name = 'nowhere'")
        .try_start()
        .expect_err("no such restore point");
    assert!(
        log.contains("recovery ended before configured recovery target"),
        "{log}"
    );
}

#[test]
fn the_s3_server_takes_what_boto3_puts_and_lists_it() {
    let scratch = Scratch::new("got");
    let bucket = SeaweedFs::shared().bucket();
    bucket.put("folder/key", "body");
    assert_eq!(bucket.keys(), ["folder/key"]);
    let file = scratch.join("file");
    bucket.get("folder/key", &file);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "body");
    bucket.delete("folder/key");
    assert!(bucket.keys().is_empty());
    assert!(bucket.unfinished_uploads().is_empty());
}

#[test]
fn several_threads_ask_the_s3_server_at_once_and_a_refusal_harms_nobody() {
    let scratch = Scratch::new("got");
    let bucket = SeaweedFs::shared().bucket();
    let body = "a line\n\0{\"words\": [\"keys\"]}\n";
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let (bucket, file) = (&bucket, scratch.join(name));
            scope.spawn(move || {
                let missing = bucket.clone();
                assert!(std::panic::catch_unwind(|| missing.tags("nothing")).is_err());
                bucket.put(name, body);
                bucket.get(name, &file);
                assert_eq!(std::fs::read_to_string(file).unwrap(), body);
            });
        }
    });
    assert_eq!(bucket.keys(), ["a", "b", "c", "d"]);
}

#[test]
fn the_s3_server_refuses_a_wrong_key() {
    let bucket = SeaweedFs::shared().bucket();
    let refused = bucket.boto3_with(&["keys"], &[("AWS_SECRET_ACCESS_KEY", "wrong")]);
    assert!(refused.unwrap_err().contains("SignatureDoesNotMatch"));
}

#[test]
fn a_client_that_does_not_know_the_authority_refuses_the_s3_server() {
    let bucket = SeaweedFs::shared().bucket();
    let system = "/etc/ssl/certs/ca-certificates.crt";
    let refused = bucket.boto3_with(&["keys"], &[("AWS_CA_BUNDLE", system)]);
    assert!(refused.unwrap_err().contains("CERTIFICATE_VERIFY_FAILED"));
}

#[test]
fn python_barman_says_its_version_and_reaches_the_s3_server() {
    let version = Peer::version();
    let said = Peer::command("barman-cloud-restore")
        .arg("--version")
        .run()
        .success()
        .stdout;
    assert_eq!(said.trim(), format!("barman-cloud-restore {version}"));
    let bucket = SeaweedFs::shared().bucket();
    let list = peer_lists(&bucket, "");
    assert_eq!(list.success().stdout.trim(), r#"{"backups_list": []}"#);
}

#[test]
fn python_barman_runs_under_the_account_of_the_servers() {
    Peer::command("barman-cloud-wal-archive")
        .arg("--help")
        .as_server_user()
        .run()
        .success();
}

fn peer_lists(bucket: &testkit::Bucket, endpoint: &str) -> Finished {
    let url = format!("s3://{}/prefix", bucket.name());
    let mut list = Peer::command("barman-cloud-backup-list").args(["--format", "json"]);
    list = list.envs(
        bucket
            .environment()
            .iter()
            .map(|(name, value)| (name, value)),
    );
    if !endpoint.is_empty() {
        list = list.args(["--endpoint-url", endpoint]);
    }
    list.arg(url).arg("main").run()
}

#[test]
fn the_proxy_keeps_signatures_valid_counts_and_spoils() {
    let server = SeaweedFs::shared();
    let bucket = server.bucket();
    let proxy = FaultProxy::before(&server.plain_address());
    let endpoint = proxy.endpoint();
    let through = |words: &[&str]| bucket.boto3_with(words, &[("AWS_ENDPOINT_URL", &endpoint)]);

    through(&["put", "passes"]).unwrap();
    proxy.spoil(
        Rule::new(Fault::Answer(503))
            .method("PUT")
            .target_has("refused"),
    );
    let refused = through(&["put", "refused"]).unwrap_err();
    assert!(refused.contains("SlowDown"), "{refused}");
    proxy.spoil(
        Rule::new(Fault::LoseAnswer)
            .method("PUT")
            .target_has("done-but-lost"),
    );
    through(&["put", "done-but-lost"]).unwrap_err();
    proxy.spoil(Rule::new(Fault::Drop).method("PUT").target_has("dropped"));
    through(&["put", "dropped"]).unwrap_err();

    assert_eq!(bucket.keys(), ["done-but-lost", "passes"]);
    assert_eq!(proxy.count("PUT", "/"), 4);
    assert_eq!(
        proxy
            .requests()
            .iter()
            .filter(|seen| seen.fault.is_some())
            .count(),
        3
    );
}

#[test]
fn the_proxy_cuts_an_answer_short_and_delays_one() {
    let server = SeaweedFs::shared();
    let proxy = FaultProxy::before(&server.plain_address());
    proxy.spoil(Rule::new(Fault::CutAnswerAfter(10)));
    proxy.spoil(Rule::new(Fault::Delay(Duration::from_millis(300))));
    let ask = || {
        let address = proxy.endpoint().replace("http://", "");
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(b"GET /nobody HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.len()
    };
    assert_eq!(ask(), 10);
    let started = Instant::now();
    assert!(ask() > 10);
    assert!(started.elapsed() > Duration::from_millis(300));
}

#[test]
fn a_small_disk_fills_up() {
    let Some(disk) = SmallDisk::mount(8) else {
        return;
    };
    disk.fill_but(64 * 1024);
    assert_eq!(disk.bytes_free(), 64 * 1024);
    let refused = std::fs::write(disk.path().join("more"), vec![0; 128 * 1024]);
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn the_memory_of_a_program_and_its_children_is_measured() {
    let hungry = "x = bytearray(64 * 1024 * 1024); import time; time.sleep(0.5)";
    let child = Program::new("sh").args(["-c", "\"$0\" -c \"$1\"; true"]);
    let finished = child.arg(Peer::path("python")).arg(hungry).run().success();
    let mib = finished.peak_memory_bytes / (1024 * 1024);
    assert!((64..128).contains(&mib), "{mib} MiB");
}

#[test]
fn a_program_is_ended_by_its_deadline_and_by_a_signal() {
    let sleeper = Program::new("sleep").arg("60").start();
    sleeper.signal(Signal::TERM);
    assert_eq!(sleeper.finish().signal, Some(15));
    let slow = Program::new("sleep")
        .arg("60")
        .deadline(Duration::from_millis(100));
    let ended = std::panic::catch_unwind(|| slow.run());
    assert!(ended.is_err());
}
