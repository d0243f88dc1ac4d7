//! A WAL sender that is none: silent, cut off, another cluster's. What is told to it is compared
//! with what the disk has.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use engine::receive_wal::{ReceiveError, ReceiveRequest, SilenceLimits, Told, receive};
use engine::stop::StopFlag;
use postgres::{Config, Environment, replication};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MIB: u64 = 1 << 20;
/// Where the server of these tests is: in the middle of its second segment of 1 MiB.
const BEGIN: u64 = MIB;

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
    [message(b'D', &body), message(b'Z', b"I")].concat()
}

fn wal(position: u64, bytes: &[u8]) -> Vec<u8> {
    let head = [&b"w"[..], &position.to_be_bytes(), &[0; 16]].concat();
    message(b'd', &[&head[..], bytes].concat())
}

/// One message of the client: its kind and body.
async fn hear(socket: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    socket.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut body = vec![0; length - 4];
    socket.read_exact(&mut body).await.ok()?;
    Some((head[0], body))
}

/// Lets the client in and answers until it wants WAL; gives the command that wants it.
async fn greet(socket: &mut TcpStream, system_id: &str) -> Option<String> {
    let mut length = [0; 4];
    socket.read_exact(&mut length).await.ok()?;
    let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
    socket.read_exact(&mut rest).await.ok()?;
    let version = message(b'S', b"server_version\x0015.1\x00");
    let greeting = [message(b'R', &[0; 4]), version, message(b'Z', b"I")].concat();
    socket.write_all(&greeting).await.ok()?;
    loop {
        let (_, body) = hear(socket).await?;
        let command = String::from_utf8_lossy(&body)
            .trim_end_matches('\0')
            .to_owned();
        let answer = match command.split(' ').next()? {
            "IDENTIFY_SYSTEM" => row(&[system_id, "1", "0/180000", ""]),
            "SHOW" => row(&["1MB"]),
            _ => {
                socket.write_all(&message(b'W', &[0; 3])).await.ok()?;
                return Some(command);
            }
        };
        socket.write_all(&answer).await.ok()?;
    }
}

/// What the client told: written and flushed, and how much of the segment was there by then.
#[derive(Debug, Clone, Copy)]
struct Heard {
    written: u64,
    flushed: u64,
    wants_reply: bool,
}

async fn hear_reply(socket: &mut TcpStream) -> Option<Heard> {
    loop {
        let (tag, body) = hear(socket).await?;
        if tag == b'd' && body[0] == b'r' {
            let number = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().unwrap());
            return Some(Heard {
                written: number(1),
                flushed: number(9),
                wants_reply: body[33] == 1,
            });
        }
    }
}

fn request(port: u16, folder: &Path) -> ReceiveRequest {
    let text = format!("host=127.0.0.1 port={port} user=anna sslmode=disable");
    let environment = Environment::empty();
    ReceiveRequest {
        replication: replication::config(&text, "receiver", &environment).unwrap(),
        plain: Config::from_conninfo(&text, &environment).unwrap(),
        slot: None,
        folder: folder.to_owned(),
        system_id: None,
        patience: SilenceLimits {
            ask_after: Duration::from_millis(300),
            lost_after: Duration::from_millis(1_500),
        },
    }
}

/// Receives from this port until it is stopped; gives what was told.
async fn received(
    port: u16,
    folder: PathBuf,
    stop: StopFlag,
) -> (Result<(), ReceiveError>, String) {
    let told = Mutex::new(Vec::new());
    let listener = |event: Told<'_>| {
        let text = match event {
            Told::Lost { error, .. } => format!("lost: {error}"),
            other => format!("{other:?}"),
        };
        told.lock().unwrap().push(text);
    };
    let ended = receive(&request(port, &folder), &stop, &listener).await;
    let told = told.into_inner().unwrap().join("\n");
    (ended, told)
}

fn content(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_to_be_flushed_is_in_the_file_and_silence_is_asked_about_then_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = StopFlag::default();
    let receiving = tokio::spawn(received(port, path.clone(), stop.clone()));

    let (mut socket, _) = listener.accept().await.unwrap();
    let command = greet(&mut socket, "7").await.unwrap();
    assert_eq!(command, "START_REPLICATION PHYSICAL 0/100000 TIMELINE 1");
    let mut end = BEGIN;
    while end < BEGIN + MIB + 300_000 {
        let bytes = vec![u8::try_from(end / 50_000 % 250).unwrap(); 50_000];
        socket.write_all(&wal(end, &bytes)).await.unwrap();
        end += 50_000;
        let heard = loop {
            let heard = hear_reply(&mut socket).await.unwrap();
            assert!(heard.flushed <= heard.written && heard.written <= end);
            if heard.flushed == end {
                break heard;
            }
        };
        assert_eq!(heard.written, end);
        // Told to be flushed: so it can be read back, whatever happens to the receiver.
        let name = match end < BEGIN + MIB {
            true => "000000010000000000000001.partial",
            false => "000000010000000000000002.partial",
        };
        let there = content(&path, name);
        assert_eq!(there.len() as u64, MIB);
        let last = usize::try_from((end - 1) % MIB).unwrap();
        assert_eq!(there[last], bytes[0], "{name} at {last}");
    }
    assert_eq!(content(&path, "000000010000000000000001").len() as u64, MIB);
    // Now nothing: a sign of life is asked for, then the connection is given up and made again.
    let asked = async { while !hear_reply(&mut socket).await.unwrap().wants_reply {} };
    tokio::time::timeout(Duration::from_secs(60), asked)
        .await
        .unwrap();
    let (mut socket, _) = listener.accept().await.unwrap();
    let command = greet(&mut socket, "7").await.unwrap();
    assert_eq!(command, "START_REPLICATION PHYSICAL 0/200000 TIMELINE 1");
    hear_reply(&mut socket).await.unwrap();
    stop.raise();
    let (ended, told) = receiving.await.unwrap();
    ended.unwrap();
    assert!(told.contains("lost: PostgreSQL said nothing for"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_behind_the_same_address_is_not_received() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let path = folder.path().to_owned();
    let receiving = tokio::spawn(received(port, path.clone(), StopFlag::default()));
    let (mut socket, _) = listener.accept().await.unwrap();
    greet(&mut socket, "7").await.unwrap();
    socket.write_all(&wal(BEGIN, b"abc")).await.unwrap();
    while hear_reply(&mut socket).await.unwrap().flushed < BEGIN + 3 {}
    drop(socket);
    let (mut socket, _) = listener.accept().await.unwrap();
    assert_eq!(greet(&mut socket, "8").await, None);
    let (ended, told) = receiving.await.unwrap();
    let error = ended.unwrap_err().to_string();
    assert_eq!(
        error,
        "PostgreSQL is cluster 8, and WAL of cluster 7 is kept here"
    );
    assert!(
        told.contains("lost: lost the connection to PostgreSQL"),
        "{told}"
    );
    assert_eq!(
        &content(&path, "000000010000000000000001.partial")[..4],
        b"abc\0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wal_of_another_cluster_in_the_directory_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let header = crate::wal::segment(1, 0);
    std::fs::write(path.join("000000010000000000000001"), header).unwrap();
    // What was just begun has no header yet.
    std::fs::write(path.join("000000010000000000000002.partial"), [0; 4096]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let receiving = tokio::spawn(received(port, path, StopFlag::default()));
    let (mut socket, _) = listener.accept().await.unwrap();
    assert_eq!(greet(&mut socket, "8").await, None);
    let (ended, told) = receiving.await.unwrap();
    assert!(
        matches!(ended, Err(ReceiveError::OtherCluster { .. })),
        "{ended:?}"
    );
    assert_eq!(told, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_where_a_segment_belongs_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let victim = path.join("victim");
    std::fs::write(&victim, "keep me").unwrap();
    let partial = path.join("000000010000000000000001.partial");
    std::os::unix::fs::symlink(&victim, &partial).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let receiving = tokio::spawn(received(port, path, StopFlag::default()));
    let (mut socket, _) = listener.accept().await.unwrap();
    greet(&mut socket, "7").await.unwrap();
    socket.write_all(&wal(BEGIN, b"abc")).await.unwrap();
    let (ended, _) = receiving.await.unwrap();
    assert!(matches!(ended, Err(ReceiveError::File { .. })), "{ended:?}");
    assert_eq!(std::fs::read(&victim).unwrap(), b"keep me");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_connection_that_fails_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let path = folder.path().to_owned();
    let (ended, told) = received(port, path, StopFlag::default()).await;
    assert!(matches!(ended, Err(error) if error.passes()));
    assert_eq!(told, "");
}
