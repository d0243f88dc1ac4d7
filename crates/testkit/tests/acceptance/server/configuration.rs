//! One configuration, read by Python Barman and by ours.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use testkit::postgres::Cluster;

use super::host::{BarmanHost, streaming_section};

const SERVERS: &str = r#"
[main]
description = "Main: by %(backup_method)s"
conninfo = host=127.0.0.1 port=1 user=postgres dbname=postgres
ssh_command = ssh
backup_method = rsync
archiver = True
backup_options = concurrent_backup
retention_policy = RECOVERY WINDOW OF 4 WEEKS
last_wal_maximum_age = 2 hours
last_backup_minimum_size = 10Mi
slot_name = Barman_X
bandwidth_limit = 100
tablespace_bandwidth_limit = ts:100
  ts2:200
reuse_backup = link
compression_level = 3
minimum_redundancy = 2
parallel_jobs = 4
pre_backup_script = 'sh -c "x; y"'
path_prefix = None
# A comment.
wals_directory: HOME/elsewhere
[off]
active = false
streaming_archiver = on
backup_method = postgres
create_slot = auto
compression = None
[copy]
primary_ssh_command = ssh other
description = a copy
[lacking]
backup_method = local-rsync
ssh_command = ssh
conninfo = host=127.0.0.1 port=1
archiver = on
[model_a]
model = true
cluster = main
conninfo = host=other
"#;

/// Which of Barman's values depend on the programs that it finds, on the moment, or on chance.
fn is_comparable(key: &str) -> bool {
    let own = ["pg_basebackup_", "pg_receivexlog_"];
    let passing = [
        "connection_error",
        "current_archived_wals_per_second",
        "current_lsn",
        "current_size",
        // A table there, and as it is written here.
        "tablespace_bandwidth_limit",
        "xlogpos",
    ];
    !own.iter().any(|start| key.starts_with(start)) && !passing.contains(&key)
}

fn compare(server: &str, ours: &Map<String, Value>, peers: &Map<String, Value>) {
    let keys = |map: &Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
    let (own_keys, peer_keys) = (keys(ours), keys(peers));
    assert_eq!(own_keys, peer_keys, "{server}");
    let is_disabled = peers["disabled"] == true;
    let mut differing = Vec::new();
    for (key, value) in peers.iter().filter(|(key, _)| is_comparable(key)) {
        // Barman does not get so far with each fault.
        if is_disabled && key == "backup_options" {
            continue;
        }
        if ours[key] != *value {
            differing.push(format!("{server}: {key}: {} and not {value}", ours[key]));
        }
    }
    assert_eq!(differing, [""; 0]);
}

#[test]
fn servers_are_listed_and_shown_as_barman_lists_and_shows_them() {
    let cluster = Cluster::builder(15)
        .conf("synchronous_standby_names = 'x, \"y\"'")
        .start();
    let streams = streaming_section("streams", &cluster);
    let conninfo = cluster.conninfo();
    let ships = format!(
        "[ships]\nconninfo = {conninfo}\nbackup_method = local-rsync\narchiver = on\n\
         backup_options = concurrent_backup\n"
    );
    let host = BarmanHost::new(&format!("{SERVERS}{streams}{ships}"));
    for words in [
        &["list-servers"][..],
        &["list-server", "--minimal"],
        &["-f", "json", "list-servers"],
        &["-q", "list-servers"],
    ] {
        let ours = host.ours(words).run().success();
        let peers = host.peer(words).run().success();
        assert_eq!(
            ours.stdout,
            peers.stdout.trim_end_matches('\n').to_owned()
                + if ours.stdout.ends_with('\n') {
                    "\n"
                } else {
                    ""
                },
            "{words:?}"
        );
        assert_eq!(ours.stderr, "", "{words:?}");
    }
    host.ours(&["receive-wal", "--create-slot", "streams"])
        .run()
        .success();
    let words = ["--format", "json", "show-servers", "all"];
    let ours = BarmanHost::json(host.ours(&words));
    let peers = BarmanHost::json(host.peer(&words));
    let (ours, peers) = (ours.as_object().unwrap(), peers.as_object().unwrap());
    let names = peers.keys().filter(|key| !key.starts_with('_'));
    assert_eq!(names.clone().count(), 6);
    for name in names {
        compare(
            name,
            ours[name].as_object().unwrap(),
            peers[name].as_object().unwrap(),
        );
    }
    let words = ["show-servers", "off", "copy"];
    let ours = host.ours(&words).run().success();
    let peers = host.peer(&words).run().success();
    assert_eq!(ours.stdout.trim_end(), peers.stdout.trim_end());
}

#[test]
fn what_is_wrong_with_a_configuration_is_told_with_its_line() {
    let host = BarmanHost::new("[main]\nconninfo = password=hush\nretention_polcy = x\n");
    let said = host.ours(&["list-servers"]).run().success();
    assert_eq!(said.stdout, "main -  (WARNING: disabled)\n");
    assert!(
        said.stderr
            .contains("servers.conf, line 3: unknown option retention_polcy")
            && said.stderr.contains("is retention_policy meant?"),
        "{}",
        said.stderr
    );
    let said = host
        .ours(&["-f", "json", "show-servers", "main", "nobody"])
        .run()
        .exits_with(1);
    assert!(
        said.stdout.contains("password=*REDACTED*"),
        "{}",
        said.stdout
    );
    assert!(!said.stdout.contains("hush") && said.stderr.is_empty());
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    let error = document["_ERROR"][0].as_str().unwrap();
    assert_eq!(error, "there is no server nobody in the configuration");
    assert!(host.log().contains("WARNING: "), "{}", host.log());
    let said = host.ours(&["receive-wal", "main"]).run().exits_with(1);
    assert!(
        said.stderr.contains("server main is disabled"),
        "{}",
        said.stderr
    );
    let said = host.ours(&["receive-wal"]).run().exits_with(2);
    assert!(
        said.stderr.contains("Usage: barman receive-wal"),
        "{}",
        said.stderr
    );
    let clash = BarmanHost::new("[a]\nconninfo=x\n[b]\nconninfo=x\nwals_directory = HOME/a/wals\n");
    let said = clash.ours(&["list-servers"]).run().exits_with(1);
    assert!(
        said.stderr.contains("are the same directory"),
        "{}",
        said.stderr
    );
    assert_eq!(said.stdout, "");
}
