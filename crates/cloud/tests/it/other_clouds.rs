//! The same doubts about the answers of Azure and Google: a function plays them.

use std::time::Duration;

use bytes::Bytes;
use cloud::{Environment, ErrorKind, Location, Persistence, Provider, StoreOptions};
use cloud::{diagnose, open};
use engine::store::{Bucket, TagSet, Written};

use super::fake_endpoint::{Asked, Player, Reply, play, reply};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cloud {
    Azure,
    Google,
}

const BOTH: [Cloud; 2] = [Cloud::Azure, Cloud::Google];

impl Cloud {
    async fn bucket(self, player: &Player, passing: Duration) -> Bucket {
        let string = format!(
            "AccountName=account;AccountKey=c2VjcmV0;BlobEndpoint={}/account",
            player.url
        );
        let (url, provider, variable) = match self {
            Cloud::Azure => (
                "https://account.blob.core.windows.net/container",
                Provider::AzureBlobStorage,
                ("AZURE_STORAGE_CONNECTION_STRING", string.as_str()),
            ),
            Cloud::Google => (
                "gs://bucket",
                Provider::GoogleCloudStorage,
                ("STORAGE_EMULATOR_HOST", player.url.as_str()),
            ),
        };
        let environment: Environment = [variable].into_iter().collect();
        let options = StoreOptions {
            persistence: Persistence {
                passing,
                ..Persistence::default()
            },
            ..StoreOptions::default()
        };
        let location = Location::parse(url, provider).unwrap();
        open(&location, &options, &environment).await.unwrap()
    }

    /// A page with one object.
    fn page(self) -> Reply {
        let text = match self {
            Cloud::Azure => {
                "\u{feff}<?xml version=\"1.0\"?><EnumerationResults><Blobs><Blob>\
                 <Name>wals/1</Name>\
                 <Properties><Content-Length>3</Content-Length></Properties></Blob></Blobs>\
                 <NextMarker/></EnumerationResults>"
            }
            Cloud::Google => {
                "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>wals/1</Key>\
                 <Size>3</Size></Contents></ListBucketResult>"
            }
        };
        reply("200 OK", text)
    }

    fn error(self, status: &'static str, code: &str) -> Reply {
        let body = format!("<Error><Code>{code}</Code><Message>Says {code}.</Message></Error>");
        match self {
            Cloud::Azure => reply(status, body).with(format!("x-ms-error-code: {code}")),
            Cloud::Google => reply(status, body),
        }
    }

    fn absent(self, what: &str) -> Reply {
        let code = match (self, what) {
            (Cloud::Azure, "bucket") => "ContainerNotFound",
            (Cloud::Azure, _) => "BlobNotFound",
            (Cloud::Google, "bucket") => "NoSuchBucket",
            (Cloud::Google, _) => "NoSuchKey",
        };
        self.error("404 Not Found", code)
    }
}

fn object() -> Reply {
    let object = reply("200 OK", "abc").with("ETag: \"e\"");
    object
        .with("Last-Modified: odd")
        .with("x-ms-blob-type: BlockBlob")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_is_none_is_never_an_empty_one() {
    let bad: [fn(Cloud) -> Reply; 5] = [
        |cloud| cloud.error("200 OK", "InternalError"),
        |_| reply("200 OK", "<html>Log in</html>").with("Content-Type: text/html"),
        |_| reply("200 OK", ""),
        |_| reply("200 OK", "<EnumerationResults><Blobs/>"),
        |_| reply("200 OK", "<ListBucketResult>"),
    ];
    for cloud in BOTH {
        for bad in bad {
            let player = play(move |_, _| bad(cloud)).await;
            let bucket = cloud.bucket(&player, Duration::ZERO).await;
            let listed = bucket.list("wals/").await;
            assert!(listed.is_err(), "{cloud:?} {:?}: {listed:?}", bad(cloud));
            let player = play(move |number, _| match number {
                0 => bad(cloud),
                _ => cloud.page(),
            });
            let player = player.await;
            let bucket = cloud.bucket(&player, Duration::from_secs(120)).await;
            assert_eq!(bucket.list("wals/").await.unwrap().len(), 1, "{cloud:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_absent_only_in_the_stores_own_words() {
    for cloud in BOTH {
        let player = play(move |_, asked| match (cloud, asked.method.as_str()) {
            (Cloud::Google, "HEAD") => reply("404 Not Found", ""),
            _ => cloud.absent("object"),
        });
        let player = player.await;
        let bucket = cloud.bucket(&player, Duration::from_secs(120)).await;
        assert!(!bucket.exists("wals/1").await.unwrap(), "{cloud:?}");
        assert!(bucket.read("wals/1").await.unwrap_err().is_not_found());
        // Azure is asked with its batch, whose answers are documents of their own.
        if cloud == Cloud::Google {
            bucket.delete("wals/1").await.unwrap();
        }
        let bare: fn(Cloud) -> Reply = |_| reply("404 Not Found", "<html/>");
        for bad in [bare, |cloud| cloud.absent("bucket")] {
            let player = play(move |_, _| bad(cloud)).await;
            let bucket = cloud.bucket(&player, Duration::ZERO).await;
            assert!(bucket.exists("wals/1").await.is_err(), "{cloud:?}");
            assert!(!bucket.read("wals/1").await.unwrap_err().is_not_found());
            assert!(bucket.delete("wals/1").await.is_err(), "{cloud:?}");
        }
        let player = play(move |_, _| cloud.absent("bucket")).await;
        let bucket = cloud.bucket(&player, Duration::ZERO).await;
        let failed = bucket.list("wals/").await.unwrap_err();
        assert_eq!(
            diagnose(&failed).kind,
            ErrorKind::MissingBucket,
            "{cloud:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_tried_again_and_what_nobody_uses_is_not_asked_for() {
    for cloud in BOTH {
        let passing = move |number: usize| match (number, cloud) {
            (0, Cloud::Azure) => cloud.error("409 Conflict", "ContainerBeingDeleted"),
            (0, Cloud::Google) => reply("408 Request Timeout", ""),
            (1, _) => cloud
                .error("503 Service Unavailable", "ServerBusy")
                .with("Retry-After: 1"),
            (2, _) => reply("429 Too Many Requests", ""),
            _ => object(),
        };
        let player = play(move |number, _: &Asked| passing(number)).await;
        let bucket = cloud.bucket(&player, Duration::from_secs(120)).await;
        assert_eq!(bucket.read("wals/1").await.unwrap(), "abc");
        assert_eq!(player.requests().len(), 4, "{cloud:?}");
        let player = play(move |number, _: &Asked| match passing(number).status {
            "200 OK" => reply("201 Created", "").with("ETag: \"e\""),
            _ => passing(number),
        });
        let player = player.await;
        let bucket = cloud.bucket(&player, Duration::from_secs(120)).await;
        let content = Bytes::from_static(b"abc");
        let created = bucket
            .create("wals/1", content.into(), &TagSet::default())
            .await;
        assert_eq!(created.unwrap(), Written::Created, "{cloud:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_to_the_host_that_a_redirect_names() {
    let thief = play(|_, _| object()).await;
    for cloud in BOTH {
        let elsewhere = format!("Location: {}/x", thief.url);
        let player = play(move |_, _| reply("307 Temporary Redirect", "").with(elsewhere.clone()));
        let player = player.await;
        let bucket = cloud.bucket(&player, Duration::ZERO).await;
        assert!(bucket.list("wals/").await.is_err());
        assert!(bucket.read("wals/1").await.is_err());
    }
    assert!(thief.requests().is_empty());
}
