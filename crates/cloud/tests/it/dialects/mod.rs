//! A second opinion: answers as lesser stores, and what stands between them and us, were reported
//! to give them.
//!
//! Each is written by hand from the report that is cited; a function plays the endpoint.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cloud::{Environment, Location, Persistence, Provider, StoreOptions, Voice, open};
use engine::store::{Bucket, TagSet, Written};

use super::fake_endpoint::{Asked, Player, Reply, reply};

mod reads;
mod troubles;
mod writes;

/// What people were told.
type Told = Arc<Mutex<Vec<String>>>;

fn environment() -> Environment {
    [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token-of-the-session"),
        ("AWS_CONFIG_FILE", "/nonexistent/c"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/s"),
    ]
    .into_iter()
    .collect()
}

async fn bucket_with(player: &Player, passing: Duration) -> (Bucket, Told) {
    let told: Told = Arc::default();
    let heard = Arc::clone(&told);
    let options = StoreOptions {
        endpoint_url: Some(player.url.clone()),
        persistence: Persistence {
            passing,
            voice: Voice::new(move |text| heard.lock().unwrap().push(text.into())),
            ..Persistence::default()
        },
        ..StoreOptions::default()
    };
    let location = Location::parse("s3://bucket", Provider::AwsS3).unwrap();
    (
        open(&location, &options, &environment()).await.unwrap(),
        told,
    )
}

/// For answers that get better, however slow the machine is.
async fn patient(player: &Player) -> (Bucket, Told) {
    bucket_with(player, Duration::from_secs(120)).await
}

/// For answers that stay bad: three tries.
async fn impatient(player: &Player) -> (Bucket, Told) {
    bucket_with(player, Duration::ZERO).await
}

fn page(inside: &str) -> Reply {
    let root = "ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
    let text = format!("<?xml version=\"1.0\"?><{root}>{inside}</ListBucketResult>");
    reply("200 OK", text).with("Content-Type: application/xml")
}

fn error(status: &'static str, code: &str) -> Reply {
    let text = format!("<Error><Code>{code}</Code><Message>Says {code}.</Message></Error>");
    reply(status, text).with("Content-Type: application/xml")
}

fn no_such_key(asked: &Asked) -> Reply {
    match asked.method.as_str() {
        "HEAD" => reply("404 Not Found", ""),
        _ => error("404 Not Found", "NoSuchKey"),
    }
}

const KEY: &str = "<Contents><Key>wals/1</Key><Size>3</Size></Contents>";

async fn keys(bucket: &Bucket) -> Vec<String> {
    let listed = bucket.list("wals/").await.unwrap();
    listed.iter().map(|it| it.location.to_string()).collect()
}

async fn create(bucket: &Bucket) -> Result<Written, engine::store::StoreError> {
    let content = Bytes::from_static(b"abc");
    bucket
        .create("wals/1", content.into(), &TagSet::default())
        .await
}
