//! How many connections requests take: each costs a handshake, which is most of what archiving a
//! WAL segment costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cloud::{Environment, Location, Provider, StoreOptions, open};
use engine::store::{Bucket, TagSet, Written};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An endpoint that keeps its connections open, and how many there were.
async fn serve() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let connections = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer_all(stream));
        }
    });
    (url, count)
}

async fn answer_all(mut stream: TcpStream) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.lines().next());
        let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
        stream.read_exact(&mut body).await.unwrap();
        let body = if head.contains("list-type=2") {
            "<ListBucketResult></ListBucketResult>"
        } else {
            ""
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

async fn bucket(url: &str) -> Bucket {
    bucket_with(url, &[], StoreOptions::default()).await
}

async fn bucket_with(url: &str, variables: &[(&str, &str)], options: StoreOptions) -> Bucket {
    let environment: Environment = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_CONFIG_FILE", "/nonexistent/c"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/s"),
    ]
    .into_iter()
    .chain(variables.iter().copied())
    .collect();
    let options = StoreOptions {
        endpoint_url: Some(url.into()),
        ..options
    };
    let location = Location::parse("s3://bucket", Provider::AwsS3).unwrap();
    open(&location, &options, &environment).await.unwrap()
}

#[tokio::test]
async fn an_upload_goes_out_on_the_connection_of_the_listing_before_it() {
    let (url, connections) = serve().await;
    let bucket = bucket(&url).await;
    assert_eq!(connections.load(Ordering::SeqCst), 0, "opening asks nobody");
    for number in 0..3 {
        assert!(bucket.list("wals/").await.unwrap().is_empty());
        // As long as it takes to compress something.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let content = Bytes::from(vec![7; 300_000]);
        let key = format!("wals/{number}");
        let tags = TagSet::default();
        let written = bucket.create(&key, content.into(), &tags).await;
        assert_eq!(written.unwrap(), Written::Created);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_first_message_of_a_handshake_has_the_key_that_servers_ask_for() {
    // A server that prefers the hybrid of X25519 and ML-KEM (Go since 1.24, OpenSSL since 3.5)
    // would ask for its key otherwise: a round trip more for every connection.
    const ML_KEM_768_KEY_BYTES: usize = 1184; // FIPS 203, table 3.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let first = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.unwrap();
        usize::from(u16::from_be_bytes([head[3], head[4]]))
    });
    let bucket = bucket(&url).await;
    tokio::select! {
        first = first => assert!(first.unwrap() > ML_KEM_768_KEY_BYTES),
        _ = bucket.any("wals/") => unreachable!("nobody answers"),
    }
}

/// A store that reads nothing of a body for so long, and then all of it; how many connections came.
async fn serve_slowly(pause: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let connections = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                answer_all(stream).await;
            });
        }
    });
    (url, count)
}

/// The kernel's limit on what is sent and not read was of 30 seconds once, whatever the option.
#[tokio::test]
async fn a_store_may_leave_an_upload_unread_for_as_long_as_the_option_says() {
    let (url, connections) = serve_slowly(Duration::from_secs(34)).await;
    let options = StoreOptions {
        read_timeout: Duration::from_secs(600),
        ..StoreOptions::default()
    };
    let bucket = bucket_with(&url, &[], options).await;
    let segment = Bytes::from(vec![7; 16 << 20]);
    let tags = TagSet::default();
    let written = bucket.create("wals/1", segment.into(), &tags).await;
    assert_eq!(written.unwrap(), Written::Created);
    assert_eq!(connections.load(Ordering::SeqCst), 1, "it was sent again");
}

// CloudNativePG names its endpoint's authorities in AWS_CA_BUNDLE, for whatever endpoint.
#[tokio::test]
async fn a_bundle_of_authorities_that_is_missing_is_not_missed_without_tls() {
    let (url, _) = serve().await;
    let missing = [("AWS_CA_BUNDLE", "/nonexistent/ca.pem")];
    let bucket = bucket_with(&url, &missing, StoreOptions::default()).await;
    assert!(bucket.list("wals/").await.unwrap().is_empty());
    let location = Location::parse("s3://bucket", Provider::AwsS3).unwrap();
    let options = StoreOptions {
        endpoint_url: Some(url.replace("http:", "https:")),
        ..StoreOptions::default()
    };
    let environment: Environment = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ]
    .into_iter()
    .chain(missing)
    .collect();
    let refused = open(&location, &options, &environment).await;
    let words = refused
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(words.contains("/nonexistent/ca.pem"), "{words}");
}
