//! A WAL sender: a real one, asked everything, and false ones that break the protocol.

use std::time::Duration;

use postgres::replication::{self, Identity, Replied, StreamEvent, StreamStart, WalSender};
use postgres::{Config, Environment};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::cluster::Cluster;

fn config(text: &str) -> Config {
    replication::config(text, "receiver", &Environment::empty()).unwrap()
}

async fn open(cluster: &Cluster) -> WalSender {
    let (host, port) = (cluster.path("run"), cluster.port);
    let text = format!("host={} port={port} user=postgres", host.display());
    WalSender::open(&config(&text)).await.unwrap()
}

#[tokio::test]
async fn a_wal_sender_tells_who_it_is_and_keeps_slots() {
    let cluster = Cluster::start().await;
    let mut session = open(&cluster).await;
    let Identity {
        system_id,
        timeline,
        flushed,
    } = session.identify().await.unwrap();
    assert!(system_id > 0 && timeline == 1 && flushed > 0x100_0000);
    assert_eq!(session.show("wal_segment_size").await.unwrap(), "16MB");
    let refused = session.show("no_such_setting").await.unwrap_err();
    assert_eq!(refused.sqlstate(), Some("42704"));

    session.create_slot("a \"b").await.unwrap_err();
    session.create_slot("receiver").await.unwrap();
    let again = session.create_slot("receiver").await.unwrap_err();
    assert_eq!(again.sqlstate(), Some("42710"));
    let read = session.read_slot("receiver").await.unwrap();
    let mut client = cluster.connect("user=postgres").await.unwrap();
    let queried = replication::query_slot(&mut client, "receiver")
        .await
        .unwrap();
    assert_eq!(read.unwrap(), Default::default());
    assert_eq!(queried.unwrap(), Default::default());
    assert_eq!(session.read_slot("nobody").await.unwrap(), None);
    let queried = replication::query_slot(&mut client, "no'body")
        .await
        .unwrap();
    assert_eq!(queried, None);
    session.drop_slot("receiver").await.unwrap();
    let gone = session.drop_slot("receiver").await.unwrap_err();
    assert_eq!(gone.sqlstate(), Some("42704"));
    // The session is as good as before.
    assert_eq!(session.identify().await.unwrap().system_id, system_id);
}

#[tokio::test]
async fn wal_comes_without_a_gap_and_a_commit_waits_for_its_flush() {
    let cluster = Cluster::start().await;
    let mut session = open(&cluster).await;
    let mut client = cluster.connect("user=postgres").await.unwrap();
    let wait_for_us = "ALTER SYSTEM SET synchronous_standby_names = 'receiver'";
    client.execute(wait_for_us).await.unwrap();
    client.execute("SELECT pg_reload_conf()").await.unwrap();
    let begin = session.identify().await.unwrap().flushed;
    let start = StreamStart {
        slot: None,
        timeline: 1,
        position: begin,
    };
    let mut stream = session.stream_wal(start).await.unwrap();
    let commit = tokio::spawn(async move { client.execute("CREATE TABLE t (i int)").await });
    let mut next = begin;
    while !commit.is_finished() {
        let event = tokio::time::timeout(Duration::from_millis(50), stream.next()).await;
        match event {
            Ok(Ok(StreamEvent::Wal { position, bytes })) => {
                assert_eq!(position, next);
                next += bytes.len() as u64;
            }
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => panic!("{error}"),
        }
        let replied = Replied {
            written: next,
            flushed: next,
            wants_reply: true,
        };
        stream.reply(replied).await.unwrap();
    }
    commit.await.unwrap().unwrap();
    assert!(next > begin);
    stream.finish().await;
}

/// Frames one message of the server.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

fn row(values: &[&str]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        body.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value.as_bytes());
    }
    message(b'D', &body)
}

/// A session with a server that lets everybody in and gives this answer to the first command.
async fn false_server(answer: Vec<u8>) -> WalSender {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut heard = [0; 4096];
        let version = message(b'S', b"server_version\x0015.1\x00");
        let greeting = [message(b'R', &[0; 4]), version, message(b'Z', b"I")].concat();
        for words in [greeting, answer] {
            if socket.read(&mut heard).await.unwrap_or(0) == 0 {
                return;
            }
            let _ = socket.write_all(&words).await;
        }
        // Then nothing more, until the client goes away.
        while socket.read(&mut heard).await.unwrap_or(0) > 0 {}
    });
    let text = format!("host=127.0.0.1 port={port} user=anna sslmode=disable");
    WalSender::open(&config(&text)).await.unwrap()
}

#[tokio::test]
async fn answers_that_break_the_protocol_are_errors() {
    let ready = message(b'Z', b"I");
    let table = [
        (
            message(b'D', &[0, 4, 0, 0, 0, 9, b'1']),
            "a row that ends too early",
        ),
        (
            [row(&["7", "1"]), ready.clone()].concat(),
            "nothing in column 2",
        ),
        (
            [row(&["x", "1", "0/1"]), ready.clone()].concat(),
            "\"x\" where a number",
        ),
        (
            [row(&["7", "1", "0-1"]), ready.clone()].concat(),
            "\"0-1\" where a position",
        ),
        (ready.clone(), "no row for IDENTIFY_SYSTEM"),
        (message(b'?', b""), "a message of kind '?'"),
        (message(b'W', &[0; 3]), "a copy that nobody asked for"),
        (
            [&b"D"[..], &i32::MAX.to_be_bytes()].concat(),
            "a message of 2147483647 bytes",
        ),
    ];
    for (answer, expected) in table {
        let mut session = false_server(answer).await;
        let error = session.identify().await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}, not {expected}");
    }
}

#[tokio::test]
async fn what_is_no_wal_in_a_stream_is_an_error() {
    let both = message(b'W', &[0; 3]);
    let wal = |position: u64, bytes: &[u8]| {
        let head = [&b"w"[..], &position.to_be_bytes(), &[0; 16]].concat();
        message(b'd', &[&head[..], bytes].concat())
    };
    let end = [row(&["2", "0/2000100"]), message(b'Z', b"I")].concat();
    let table = [
        (message(b'd', b""), "ends too early"),
        (message(b'd', b"w123"), "ends too early"),
        (message(b'd', b"x"), "a message of kind 'x' among the WAL"),
        (
            wal(0x200_0001, b"a"),
            "WAL from 0/2000001 where 0/2000000 comes next",
        ),
        (
            [wal(0x200_0000, b"abc"), wal(0x200_0002, b"c")].concat(),
            "where 0/2000003 comes next",
        ),
        (message(b'D', &[0, 0]), "something else than WAL"),
        (message(b'C', b"COPY 0\0"), "the server is shutting down"),
        (
            [message(b'c', b""), message(b'Z', b"I")].concat(),
            "without a next one",
        ),
    ];
    for (answer, expected) in table {
        let session = false_server([both.clone(), answer].concat()).await;
        let start = StreamStart {
            slot: Some("s"),
            timeline: 1,
            position: 0x200_0000,
        };
        let mut stream = session.stream_wal(start).await.unwrap();
        let error = loop {
            if let Err(error) = stream.next().await {
                break error.to_string();
            }
        };
        assert!(error.contains(expected), "{error}, not {expected}");
    }
    // A timeline of which nothing is left is over before it begins.
    for answer in [end.clone(), [both, message(b'c', b""), end].concat()] {
        let session = false_server(answer).await;
        let start = StreamStart {
            slot: None,
            timeline: 1,
            position: 0x200_0000,
        };
        let mut stream = session.stream_wal(start).await.unwrap();
        let event = stream.next().await.unwrap();
        assert!(matches!(event, StreamEvent::TimelineEnd(next)
            if next.timeline == 2 && next.begins_at == 0x200_0100));
    }
}
