//! Listings and reads.

use cloud::{ErrorKind, diagnose};

use super::super::fake_endpoint::play;
use super::*;

// botocore#3276, aws-sdk-go-v2#3493, arrow-rs#6508; a captive portal's page; half a document.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_is_none_is_never_an_empty_one() {
    let bad: [fn() -> Reply; 7] = [
        || error("200 OK", "InternalError"),
        || error("200 OK", "AccessDenied"),
        || reply("200 OK", "<html><body>Log in</body></html>").with("Content-Type: text/html"),
        || reply("200 OK", ""),
        || reply("204 No Content", ""),
        || {
            reply(
                "200 OK",
                "<ListBucketResult><IsTruncated>false</IsTruncated>",
            )
        },
        || reply("200 OK", "{\"objects\": []}").with("Content-Type: application/json"),
    ];
    for bad in bad {
        let player = play(move |_, _| bad()).await;
        let (bucket, _) = impatient(&player).await;
        let listed = bucket.list("wals/").await;
        assert!(listed.is_err(), "{:?}: {listed:?}", bad());
        assert!(bucket.any("wals/").await.is_err());
        assert!(player.requests().len() >= 6, "it is tried again");
        let player = play(move |number, _| match number {
            0 | 1 => bad(),
            _ => page(KEY),
        });
        let player = player.await;
        let (bucket, _) = patient(&player).await;
        assert_eq!(keys(&bucket).await, ["wals/1"], "{:?}", bad());
    }
}

// cloudnative-pg#2429; minio-go#1703 (Huawei OBS), awscr-s3#71 (Ceph): more, without a token.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_goes_on_without_a_token_is_followed_by_the_keys_after_its_last() {
    let player = play(|_, asked| {
        if asked.target.contains("start-after=wals%2F1") {
            page("<Contents><Key>wals/2</Key><Size>3</Size></Contents>")
        } else {
            page(&format!("<IsTruncated>true</IsTruncated>{KEY}"))
        }
    });
    let player = player.await;
    let (bucket, _) = patient(&player).await;
    assert_eq!(keys(&bucket).await, ["wals/1", "wals/2"]);
    assert!(player.requests()[1].contains("marker=wals%2F1"));
    assert!(!player.requests()[1].contains("continuation-token"));
}

// rust-s3#92: a token on a page that does not go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_on_the_last_page_is_not_followed() {
    let last = "<IsTruncated>false</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
    let player = play(move |_, _| page(&format!("{last}{KEY}"))).await;
    let (bucket, _) = patient(&player).await;
    assert_eq!(keys(&bucket).await.len(), 1);
    assert_eq!(player.requests().len(), 1);
}

// riak_cs#63 (RFC 1123), s3rver#181 (no zone); dates and tags that are absent; elements of others.
#[tokio::test(flavor = "multi_thread")]
async fn fields_that_nobody_uses_are_not_asked_for() {
    let entry = |number: u32, rest: &str| {
        format!("<Contents><Key>wals/{number}</Key><Size>3</Size>{rest}</Contents>")
    };
    let entries = [
        entry(
            1,
            "<LastModified>Wed, 05 Mar 2014 14:17:56 GMT</LastModified>",
        ),
        entry(
            2,
            "<LastModified>2014-03-05T14:17:56.000</LastModified><ETag/>",
        ),
        entry(
            3,
            "<Owner><ID>x</ID></Owner><StorageClass/><RestoreStatus><A/></RestoreStatus>",
        ),
        entry(
            4,
            "<LastModified></LastModified><ETag>\"e\"</ETag><Type>Normal</Type>",
        ),
    ];
    let all = entries.concat();
    let player = play(move |_, asked| {
        if asked.target.contains("list-type") {
            page(&all)
        } else {
            reply("200 OK", "abc").with("Last-Modified: 2014-03-05T14:17:56")
        }
    });
    let player = player.await;
    let (bucket, _) = patient(&player).await;
    assert_eq!(keys(&bucket).await.len(), 4);
    assert_eq!(bucket.read("wals/1").await.unwrap(), "abc");
}

// The bare 404 of a proxy or a load balancer; NoSuchBucket; each for a read and for a head.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_absent_only_in_the_stores_own_words() {
    let player = play(|_, asked| no_such_key(asked)).await;
    let (bucket, _) = patient(&player).await;
    assert!(!bucket.exists("wals/1").await.unwrap());
    assert_eq!(
        player.count("GET", "wals/1"),
        1,
        "what a head cannot say is asked for"
    );
    assert!(bucket.read("wals/1").await.unwrap_err().is_not_found());
    let bad: [fn() -> Reply; 3] = [
        || reply("404 Not Found", "<html>nginx</html>").with("Content-Type: text/html"),
        || reply("404 Not Found", ""),
        || error("404 Not Found", "NoSuchBucket"),
    ];
    for bad in bad {
        let player = play(move |_, _| bad()).await;
        let (bucket, _) = impatient(&player).await;
        let exists = bucket.exists("wals/1").await;
        assert!(exists.is_err(), "{:?}", bad());
        let failed = bucket.read("wals/1").await.unwrap_err();
        assert!(!failed.is_not_found(), "{failed:?}");
        assert!(bucket.delete("wals/1").await.is_err());
    }
    let player = play(|_, _| error("404 Not Found", "NoSuchBucket")).await;
    let (bucket, _) = impatient(&player).await;
    let failed = bucket.read("wals/1").await.unwrap_err();
    assert_eq!(diagnose(&failed).kind, ErrorKind::MissingBucket);
}

// A portal that says 200 to everything; 204, and a part of the object that nobody asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_good_status_alone_is_no_object_and_no_write() {
    let bad: [fn() -> Reply; 3] = [
        || reply("200 OK", "<html>Log in</html>").with("Content-Type: text/html; charset=utf-8"),
        || reply("204 No Content", ""),
        || {
            let part = reply("206 Partial Content", "ab").with("ETag: \"e\"");
            part.with("Content-Range: bytes 0-1/3")
        },
    ];
    for bad in bad {
        let player = play(move |_, _| bad()).await;
        let (bucket, _) = impatient(&player).await;
        assert!(bucket.read("wals/1").await.is_err(), "{:?}", bad());
        assert!(bucket.exists("wals/1").await.is_err(), "{:?}", bad());
    }
    let portal = || reply("200 OK", "<html>Log in</html>").with("Content-Type: text/html");
    let player = play(move |_, _| portal()).await;
    let (bucket, _) = impatient(&player).await;
    assert!(create(&bucket).await.is_err());
    assert!(
        bucket
            .write("wals/1", Bytes::from_static(b"abc"))
            .await
            .is_err()
    );
    assert!(bucket.delete("wals/1").await.is_err());
}

// etcd-operator#2145: an object in chunks, without its length.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_comes_in_chunks_is_read() {
    let player = play(|_, _| {
        let chunks = reply("200 OK", "3\r\nabc\r\n0\r\n\r\n");
        chunks.with("Transfer-Encoding: chunked")
    });
    let player = player.await;
    let (bucket, _) = patient(&player).await;
    assert_eq!(bucket.read("wals/1").await.unwrap(), "abc");
}
