//! A store that answers nonsense at any moment: PostgreSQL is never told that the log ends.

use std::fs;
use std::time::Duration;

use testkit::proxy::{Fault, Rule};
use testkit::scratch::Scratch;

use crate::faults::Spoilt;
use crate::product::SERVER;
use crate::seen::restore_program;

const SEGMENTS: usize = 8;
const ROUNDS: usize = 50;

/// Answers that real stores, proxies, load balancers and captive portals gave.
const NONSENSE: &[Fault] = &[
    Fault::Drop,
    Fault::Answer(500),
    Fault::Answer(502),
    Fault::Answer(503),
    Fault::Answer(504),
    Fault::Answer(429),
    Fault::Refuse(403, "AccessDenied"),
    Fault::Refuse(403, "RequestTimeTooSkewed"),
    Fault::Refuse(400, "ExpiredToken"),
    Fault::Refuse(400, "RequestTimeout"),
    Fault::Refuse(401, "Unauthorized"),
    Fault::Refuse(404, "NoSuchBucket"),
    Fault::Refuse(405, "MethodNotAllowed"),
    Fault::Refuse(409, "OperationAborted"),
    Fault::Refuse(418, "Teapot"),
    Fault::Refuse(501, "NotImplemented"),
    Fault::CutAnswerAfter(0),
    Fault::CutAnswerAfter(100),
    Fault::Say(""),
    Fault::Say("HTTP/1.1 200 OK\r\n"),
    Fault::Say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
    Fault::Say("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"),
    Fault::Say("HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n"),
    Fault::Say("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
    Fault::Say(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/html\r\n\r\n\
         <!doctype html><html><body>Please log in</body></html>",
    ),
    Fault::Say(
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\
         <?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>",
    ),
    Fault::Say(
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\
         <?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTru",
    ),
    Fault::Say("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"error\": \"not found\"}"),
    Fault::Say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1048576\r\n\r\nshort"),
    Fault::Say("SSH-2.0-OpenSSH_9.2p1\r\n"),
    Fault::Say("HTTP/1.1 999 Whatever\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
];

#[test]
fn nonsense_is_never_the_end_of_the_log() {
    let spoilt = Spoilt::new();
    let cluster = spoilt
        .store
        .archiving_cluster(15, "")
        .wal_segment_mib(1)
        .start();
    cluster.sql("CREATE TABLE marks (mark int)");
    let id = spoilt.store.back_up(&cluster, &[]);
    let mut names = Vec::new();
    for mark in 0..SEGMENTS {
        names.push(cluster.sql("SELECT pg_walfile_name(pg_current_wal_lsn())"));
        cluster.sql(&format!(
            "INSERT INTO marks VALUES ({mark}); SELECT pg_switch_wal() IS NULL"
        ));
    }
    cluster.archive_now(Duration::from_secs(120));
    let content: Vec<_> = names
        .iter()
        .map(|name| fs::read(cluster.data().join("pg_wal").join(name)).unwrap())
        .collect();

    let place = Scratch::new("fetched");
    let folder = place.server_folder("pg_wal");
    for round in 0..ROUNDS {
        let fault = NONSENSE[round % NONSENSE.len()];
        // Of one fetch the listing, the object, or both; each once, or as often as it is asked.
        let rule = match round % 3 {
            0 => Rule::new(fault).target_has("list-type"),
            1 => Rule::new(fault).target_has("/wals/0"),
            _ => Rule::new(fault),
        };
        spoilt
            .proxy
            .spoil(rule.method("GET").times(1 + (round % 2) as u32));
        let (name, whole) = (&names[round % SEGMENTS], &content[round % SEGMENTS]);
        let got = folder.join(format!("got{round}"));
        let fetch = spoilt.store.command("barman-cloud-wal-restore");
        let fetch = fetch.args([
            "--stop-recovery-on-failure",
            &spoilt.store.url(),
            SERVER,
            name,
        ]);
        let ended = spoilt.through(fetch.arg(&got)).run();
        let status = ended.code;
        spoilt.proxy.heal();
        match status {
            Some(0) => assert!(fs::read(&got).unwrap() == *whole, "{fault:?}"),
            Some(200) => assert!(!got.exists(), "{fault:?}"),
            _ => panic!("round {round}, {fault:?}: {status:?}: {}", ended.stderr),
        }
    }
    recovery_opens_with_everything_or_not_at_all(&spoilt, &id);
}

fn recovery_opens_with_everything_or_not_at_all(spoilt: &Spoilt, id: &str) {
    for round in 0..3 {
        let place = Scratch::new("recovered");
        let data = place.server_folder("data");
        restore_program(&spoilt.store, id, &data).run().success();
        for (turn, fault) in NONSENSE.iter().enumerate().skip(round * 10).take(10) {
            let turn = turn as u32;
            spoilt
                .proxy
                .spoil(Rule::new(*fault).method("GET").after(turn % 10 * 2 + 1));
        }
        let options = "--stop-recovery-on-failure";
        let restored = spoilt.store.recovering_with(options, 15, &data);
        let restored = restored.env("AWS_ENDPOINT_URL", spoilt.proxy.endpoint());
        if let Ok(restored) = restored.try_start() {
            let marks = restored.sql("SELECT count(*) FROM marks");
            assert_eq!(marks, SEGMENTS.to_string(), "{}", restored.log());
        }
        spoilt.proxy.heal();
    }
}
