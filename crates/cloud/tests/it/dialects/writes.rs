//! Writes, uploads and deletions.

use futures_util::{StreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::super::fake_endpoint::play;
use super::*;

// filen-s3#146: no tag. A store that took nothing is found out by its size.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_answered_without_a_tag_is_looked_for() {
    for (size, is_done) in [(3, true), (0, false)] {
        let player = play(move |_, asked| match asked.method.as_str() {
            "HEAD" => reply("200 OK", "x".repeat(size)),
            _ => reply("200 OK", ""),
        });
        let player = player.await;
        let (bucket, _) = patient(&player).await;
        assert_eq!(create(&bucket).await.is_ok(), is_done);
    }
    let player = play(|_, _| error("200 OK", "AccessDenied")).await;
    let (bucket, _) = impatient(&player).await;
    assert!(create(&bucket).await.is_err());
}

// ovh/public-cloud-roadmap#671, arrow-rs-object-store#416 and walgit#67 (Aliyun OSS),
// obsidian-s3-sync-and-backup#78 (Backblaze B2): NotImplemented; others say 400 or 405.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_conditional_writes_is_looked_into_first() {
    for (status, code) in [
        ("501 Not Implemented", "NotImplemented"),
        ("400 Bad Request", "InvalidArgument"),
        ("405 Method Not Allowed", "MethodNotAllowed"),
        ("412 Precondition Failed", "PreconditionFailed"),
    ] {
        let stored: Arc<Mutex<bool>> = Arc::default();
        let is_stored = Arc::clone(&stored);
        let player = play(move |_, asked| {
            let mut stored = is_stored.lock().unwrap();
            match asked.method.as_str() {
                "PUT" if asked.header("if-none-match").is_some() => error(status, code),
                "PUT" => {
                    *stored = true;
                    reply("200 OK", "").with("ETag: \"e\"")
                }
                _ if *stored => reply("200 OK", "abc").with("ETag: \"e\""),
                _ => no_such_key(asked),
            }
        });
        let player = player.await;
        let (bucket, told) = patient(&player).await;
        assert_eq!(create(&bucket).await.unwrap(), Written::Created, "{code}");
        assert_eq!(
            create(&bucket).await.unwrap(),
            Written::AlreadyExists,
            "{code}"
        );
        assert_eq!(
            player.count("PUT", "wals/1"),
            2,
            "{code}: it is not asked again"
        );
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("no conditional writes"), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_compared_by_us_where_the_store_does_not() {
    for (tag, is_replaced) in [("\"e\"", true), ("\"other\"", false)] {
        let player = play(move |_, asked| match asked.method.as_str() {
            "PUT" if asked.header("if-match").is_some() => {
                error("501 Not Implemented", "NotImplemented")
            }
            "PUT" => reply("200 OK", "").with("ETag: \"n\""),
            "HEAD" => reply("200 OK", "abc").with(format!("ETag: {tag}")),
            _ => reply("200 OK", "abc").with("ETag: \"e\""),
        });
        let player = player.await;
        let (bucket, _) = patient(&player).await;
        let (_, version) = bucket.read_version("wals/1").await.unwrap();
        let replaced = bucket
            .replace("wals/1", version, Bytes::from_static(b"x"))
            .await;
        assert_eq!(replaced.unwrap(), is_replaced);
    }
}

async fn delete(bucket: &Bucket, count: usize) -> Vec<object_store::Result<Path>> {
    let paths = (0..count).map(|number| Ok(Path::from(format!("wals/{number}"))));
    let paths = stream::iter(paths.collect::<Vec<_>>()).boxed();
    bucket.objects.delete_stream(paths).collect().await
}

// riak_cs#549 (404), boto3#2293 (Google: InvalidArgument), plugin-barman-cloud#1049 (AccessDenied
// for this alone), barman#1146 (PowerScale: MissingContentMD5), 405, 501; automq#1027 (no body).
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_deleted_at_once_is_deleted_singly() {
    let refusals: [fn() -> Reply; 9] = [
        || error("404 Not Found", "NoSuchKey"),
        || error("404 Not Found", "NoSuchResource"),
        || error("400 Bad Request", "InvalidArgument"),
        || error("403 Forbidden", "AccessDenied"),
        || error("400 Bad Request", "MissingContentMD5"),
        || reply("405 Method Not Allowed", ""),
        || error("501 Not Implemented", "NotImplemented"),
        || reply("200 OK", ""),
        || reply("204 No Content", ""),
    ];
    for refusal in refusals {
        let player = play(move |_, asked| match asked.method.as_str() {
            "POST" => refusal(),
            _ => reply("204 No Content", ""),
        });
        let player = player.await;
        let (bucket, _) = patient(&player).await;
        let deleted = delete(&bucket, 3).await;
        assert!(
            deleted.len() == 3 && deleted.iter().all(Result::is_ok),
            "{:?}",
            refusal()
        );
        assert_eq!(player.count("DELETE", "wals/"), 3, "{:?}", refusal());
        let at_once = player.count("POST", "delete");
        delete(&bucket, 2).await;
        let again = player.count("POST", "delete") - at_once;
        // An answer with a good status is no refusal.
        assert_eq!(
            again == 0,
            !refusal().status.starts_with('2'),
            "{:?}",
            refusal()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_delete_nothing_is_told_after_one_more_request() {
    let player = play(|_, _| error("403 Forbidden", "AccessDenied")).await;
    let (bucket, _) = patient(&player).await;
    let deleted = delete(&bucket, 500).await;
    assert!(deleted.iter().any(Result::is_err));
    assert_eq!(player.count("DELETE", ""), 1);
}

// A key that the store spells differently in its answer, or that only it knows.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_about_an_unknown_key_is_no_reason_to_fall_over() {
    let failed = "<DeleteResult><Error><Key>odd//key</Key><Code>Odd</Code></Error></DeleteResult>";
    let player = play(move |_, asked| match asked.method.as_str() {
        "POST" => reply("200 OK", failed),
        _ => reply("204 No Content", ""),
    });
    let player = player.await;
    let (bucket, _) = patient(&player).await;
    assert!(delete(&bucket, 3).await.iter().all(Result::is_ok));
}

// automq#1027: an empty document; entries without keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_of_which_nothing_is_said_in_a_whole_document_is_done() {
    for inside in ["", "<Deleted/>", "<Deleted><Key>wals/0</Key></Deleted>"] {
        let text = format!("<DeleteResult>{inside}</DeleteResult>");
        let player = play(move |_, _| reply("200 OK", text.clone())).await;
        let (bucket, _) = patient(&player).await;
        assert!(
            delete(&bucket, 3).await.iter().all(Result::is_ok),
            "{inside}"
        );
        assert_eq!(player.count("DELETE", ""), 0);
    }
    let player = play(|_, _| reply("204 No Content", "")).await;
    let (bucket, _) = patient(&player).await;
    bucket.delete("wals/1").await.unwrap();
    assert_eq!(delete(&bucket, 1).await.len(), 1);
    assert_eq!(player.count("POST", ""), 0, "one object is deleted as one");
}

fn upload_answers(asked: &Asked, end: Reply) -> Reply {
    let begun = "<InitiateMultipartUploadResult><UploadId>id</UploadId>\
                 </InitiateMultipartUploadResult>";
    match asked.method.as_str() {
        "POST" if asked.target.contains("uploads") => reply("200 OK", begun),
        "POST" => end,
        "PUT" => reply("200 OK", "").with("ETag: \"p\""),
        _ => reply("204 No Content", ""),
    }
}

async fn upload(bucket: &Bucket) -> object_store::Result<object_store::PutResult> {
    let mut upload = bucket.objects.put_multipart(&Path::from("big")).await?;
    upload.put_part(Bytes::from(vec![7; 4096]).into()).await?;
    upload.complete().await
}

// AWS, "CompleteMultipartUpload": 200 comes before the work is done, and may hold an error.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_upload_is_done_only_with_its_document() {
    let done = || {
        let text = "  \n<CompleteMultipartUploadResult><Location>x</Location>\
                    </CompleteMultipartUploadResult>";
        reply("200 OK", text)
    };
    let player = play(move |number, asked| {
        let end = match number {
            2 => error("200 OK", "InternalError"),
            3 => reply("200 OK", "<html/>").with("Content-Type: text/html"),
            _ => done(),
        };
        upload_answers(asked, end)
    });
    let player = player.await;
    let (bucket, _) = patient(&player).await;
    upload(&bucket).await.unwrap();
    assert_eq!(player.count("POST", "uploadId"), 3);
    for bad in [error("200 OK", "InvalidPart"), reply("200 OK", "")] {
        let player = play(move |_, asked| upload_answers(asked, bad.clone())).await;
        let (bucket, _) = impatient(&player).await;
        assert!(upload(&bucket).await.is_err());
        assert_eq!(
            player.count("POST", "uploadId"),
            1,
            "an answer that stays is not asked for"
        );
    }
}

// minio-java#845, aws-sdk-php#1694, s3cmd#1436: buckets with a default retention.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_with_object_lock_gets_the_digests_that_it_wants() {
    let player = play(|_, asked| match asked.header("content-md5") {
        None if asked.method == "PUT" => error("400 Bad Request", "InvalidRequest"),
        _ => upload_answers(asked, reply("200 OK", "<CompleteMultipartUploadResult/>")),
    });
    let player = player.await;
    let (bucket, _) = patient(&player).await;
    assert_eq!(create(&bucket).await.unwrap(), Written::Created);
    let after = player.requests().len();
    // The MD5 of "abc" (RFC 1321, A.5), whose case is lost with that of the head.
    let seen = player.seen.lock().unwrap()[after - 1].clone();
    let expected = "kAFQmDzST7DWlj99KOF/cg==".to_ascii_lowercase();
    assert_eq!(seen.header("content-md5"), Some(expected.as_str()));
    assert!(
        seen.header("authorization")
            .unwrap()
            .contains("content-md5"),
        "it is signed"
    );
    upload(&bucket).await.unwrap();
    assert_eq!(player.count("PUT", "partNumber"), 1, "it is remembered");
    let player = play(|_, _| error("400 Bad Request", "InvalidRequest")).await;
    let (bucket, _) = patient(&player).await;
    assert!(
        bucket
            .write("wals/1", Bytes::from_static(b"abc"))
            .await
            .is_err()
    );
    assert_eq!(player.requests().len(), 2);
}
