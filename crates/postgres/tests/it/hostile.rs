//! Servers that are none, or lie: a script of bytes plays their part on a local port.

use std::time::{Duration, Instant};

use postgres::{Client, Config, ConnectError, Environment, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Frames one message of the server.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

fn authentication(code: u32, body: &[u8]) -> Vec<u8> {
    message(b'R', &[&code.to_be_bytes()[..], body].concat())
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

/// Plays a server: before each answer of the script it waits for something from the client.
async fn serve(mut socket: TcpStream, script: Vec<Vec<u8>>) {
    let mut heard = [0; 4096];
    for answer in script {
        if socket.read(&mut heard).await.unwrap_or(0) == 0 {
            return;
        }
        let _ = socket.write_all(&answer).await;
    }
    // Until the client goes away.
    while socket.read(&mut heard).await.unwrap_or(0) > 0 {}
}

/// Connects to a server that plays this script on every connection.
async fn meet(script: Vec<Vec<u8>>, settings: &str) -> Result<Client, ConnectError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, script.clone()));
        }
    });
    let text = format!("host=127.0.0.1 port={port} user=anna password=hush {settings}");
    Client::connect(&Config::from_conninfo(&text, &Environment::empty()).unwrap()).await
}

async fn refusal(script: Vec<Vec<u8>>, settings: &str) -> String {
    let error = meet(script, settings).await.expect_err(settings);
    let text = format!("{error} {error:?} {:?}", error.hint());
    assert!(!text.contains("hush"), "{text}");
    error.to_string()
}

const PLAIN: &str = "sslmode=disable";

#[tokio::test]
async fn a_server_must_prove_itself_before_a_scram_session_is_accepted() {
    let offer = authentication(10, b"SCRAM-SHA-256\0\0");
    let early = vec![offer.clone(), [authentication(0, b""), ready()].concat()];
    let error = refusal(early, PLAIN).await;
    assert!(
        error.contains("an end of authentication during the greeting"),
        "{error}"
    );

    let foreign_nonce = authentication(11, b"r=foreign,s=QSXCR+Q6sek8bf92,i=4096");
    let error = refusal(vec![offer.clone(), foreign_nonce], PLAIN).await;
    assert!(error.contains("authentication: invalid nonce"), "{error}");

    let unknown = authentication(10, b"OAUTHBEARER\0\0");
    let error = refusal(vec![unknown], PLAIN).await;
    assert!(
        error.contains("no mechanism that is supported, only OAUTHBEARER"),
        "{error}"
    );
}

#[tokio::test]
async fn methods_that_are_not_supported_are_named() {
    let error = refusal(vec![authentication(7, b"")], PLAIN).await;
    assert!(error.contains("GSSAPI"), "{error}");
}

#[tokio::test]
async fn what_is_no_postgresql_is_not_waited_for() {
    let web = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    let error = refusal(vec![web.clone()], PLAIN).await;
    assert!(error.contains("unexpected answer"), "{error}");
    let error = refusal(vec![web], "sslmode=require").await;
    assert!(error.contains("is this a PostgreSQL server?"), "{error}");
    let huge = [&b"R"[..], &i32::MAX.to_be_bytes()].concat();
    let error = refusal(vec![huge], PLAIN).await;
    assert!(error.contains("a message of 2147483647 bytes"), "{error}");
}

#[tokio::test]
async fn a_silent_server_is_given_up_in_time() {
    let started = Instant::now();
    let error = refusal(vec![Vec::new()], "sslmode=disable connect_timeout=2").await;
    assert!(error.contains("no answer within 2 seconds"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_refusal_of_tls_does_not_show_unauthenticated_words() {
    let words = message(b'E', b"Mtrust me\0\0");
    let error = refusal(vec![words], "sslmode=require").await;
    assert!(
        error.contains("refuses the request for TLS") && !error.contains("trust"),
        "{error}"
    );
    // Words sent ahead of the handshake are not taken for the server's: they break it.
    let ahead = [b"S".to_vec(), authentication(0, b""), ready()].concat();
    let error = refusal(vec![ahead], "sslmode=require").await;
    assert!(error.contains("TLS: "), "{error}");
}

#[tokio::test]
async fn a_stream_that_breaks_the_protocol_is_not_used_again() {
    let greeting = [authentication(0, b""), ready()].concat();
    let unknown = message(b'?', b"");
    let mut client = meet(vec![greeting.clone(), unknown], PLAIN).await.unwrap();
    assert!(matches!(
        client.query("SELECT 1").await,
        Err(Error::Protocol(_))
    ));
    assert!(matches!(client.query("SELECT 1").await, Err(Error::Closed)));

    let latin1 = [
        message(
            b'T',
            b"\0\x01path\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0",
        ),
        message(b'D', b"\0\x01\0\0\0\x01\xe4"),
        message(b'C', b"SELECT 1\0"),
        ready(),
    ];
    let mut client = meet(vec![greeting, latin1.concat()], PLAIN).await.unwrap();
    let error = client.query("SELECT path").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "column \"path\" of the answer is not valid UTF-8"
    );
    assert!(client.is_open());
}
