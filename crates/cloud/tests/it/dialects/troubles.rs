//! Trouble that passes, stores that are elsewhere or away.

use cloud::diagnose;

use super::super::fake_endpoint::{play, play_on};
use super::*;

// aws-sdk-js#684, nextcloud#20519 (RequestTimeout); arrow-rs-object-store#138, opendal#6741 (409).
#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_tried_again_with_whatever_status_it_comes() {
    let passing: [fn() -> Reply; 9] = [
        || error("400 Bad Request", "RequestTimeout"),
        || reply("408 Request Timeout", ""),
        || error("409 Conflict", "ConditionalRequestConflict"),
        || error("409 Conflict", "OperationAborted"),
        || reply("425 Too Early", ""),
        || reply("429 Too Many Requests", ""),
        || error("503 Slow Down", "SlowDown"),
        || error("403 Forbidden", "RequestTimeTooSkewed"),
        || error("400 Bad Request", "BadDigest"),
    ];
    for passing in passing {
        // What a fresh signature does not mend stays as it is.
        let is_mended = matches!(passing().body.as_str(), body if body.contains("TooSkewed")
            || body.contains("BadDigest"));
        let times = if is_mended { 1 } else { 2 };
        let player = play(move |number, _| {
            if number < times {
                passing()
            } else {
                reply("200 OK", "").with("ETag: \"e\"")
            }
        });
        let player = player.await;
        let (bucket, _) = patient(&player).await;
        assert_eq!(
            create(&bucket).await.unwrap(),
            Written::Created,
            "{:?}",
            passing()
        );
        assert_eq!(player.requests().len(), times + 1, "{:?}", passing());
    }
    let player = play(|_, _| error("403 Forbidden", "RequestTimeTooSkewed")).await;
    let (bucket, _) = patient(&player).await;
    assert!(bucket.list("wals/").await.is_err());
    assert_eq!(player.requests().len(), 2, "a wrong clock stays wrong");
    let player = play(|_, _| error("409 Conflict", "ConditionalRequestConflict")).await;
    let (bucket, _) = impatient(&player).await;
    let failed = create(&bucket).await.unwrap_err();
    let code = diagnose(&failed).code;
    assert_eq!(code.as_deref(), Some("ConditionalRequestConflict"));
}

// botocore#936, aws-cli#851: another region, said in a header or in a document.
#[tokio::test(flavor = "multi_thread")]
async fn another_region_is_followed_and_remembered() {
    let answers: [fn(&Asked) -> Reply; 3] = [
        |_| {
            let moved = error("301 Moved Permanently", "PermanentRedirect");
            moved.with("x-amz-bucket-region: eu-west-1")
        },
        |_| {
            let text = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region>\
                        </Error>";
            reply("400 Bad Request", text)
        },
        |_| {
            let text = "<Error><Code>TemporaryRedirect</Code>\
                        <Endpoint>bucket.s3-eu-west-1.amazonaws.com</Endpoint></Error>";
            let away = reply("307 Temporary Redirect", text);
            away.with("Location: http://127.0.0.1:1/elsewhere")
        },
    ];
    for elsewhere in answers {
        let player = play(move |_, asked| {
            let signature = asked.header("authorization").unwrap();
            if !signature.contains("/eu-west-1/s3/") {
                elsewhere(asked)
            } else if asked.method == "GET" {
                page(KEY)
            } else {
                reply("200 OK", "").with("ETag: \"e\"")
            }
        });
        let player = player.await;
        let (bucket, _) = patient(&player).await;
        assert_eq!(keys(&bucket).await, ["wals/1"]);
        assert_eq!(create(&bucket).await.unwrap(), Written::Created);
        assert_eq!(player.requests().len(), 3, "{:?}", player.requests());
        let seen = player.seen.lock().unwrap();
        let hash = seen[2].header("x-amz-content-sha256").unwrap();
        // SHA-256 of "abc" (FIPS 180-2, appendix B.1): the body's, not that of nothing.
        assert!(hash.starts_with("ba7816bf8f01cfea"), "{hash}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_to_the_host_that_a_redirect_names() {
    let thief = play(|_, _| page("")).await;
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
    ] {
        let elsewhere = format!("Location: {}/bucket", thief.url);
        let player = play(move |_, _| reply(status, "").with(elsewhere.clone())).await;
        let (bucket, _) = impatient(&player).await;
        let failed = bucket.list("wals/").await.unwrap_err();
        let cause = diagnose(&failed).cause;
        assert!(cause.contains(&thief.url), "{cause}");
        assert!(bucket.read("wals/1").await.is_err());
        assert!(create(&bucket).await.is_err());
    }
    assert_eq!(thief.requests(), [""; 0]);
}

// plugin-barman-cloud#712 (Aliyun OSS).
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_wants_the_bucket_in_the_host_name_has_its_hint() {
    let player = play(|_, _| error("403 Forbidden", "SecondLevelDomainForbidden")).await;
    let (bucket, _) = impatient(&player).await;
    let failed = bucket.list("wals/").await.unwrap_err();
    let hint = diagnose(&failed).hint.unwrap();
    assert!(hint.contains("--addressing-style virtual"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_that_a_store_is_away_and_for_how_long_it_is_waited_for() {
    let player = play(|number, _| {
        if number < 6 {
            error("503 Service Unavailable", "SlowDown")
        } else {
            page(KEY)
        }
    });
    let player = player.await;
    let (bucket, told) = patient(&player).await;
    assert_eq!(keys(&bucket).await.len(), 1);
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1, "once, not for each attempt: {told:?}");
    assert!(
        told[0].contains("SlowDown") && told[0].contains("trying again for 1:"),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_signed_for_its_own_moment() {
    let player = play(|number, _| {
        if number < 4 {
            error("503 Service Unavailable", "SlowDown")
        } else {
            page(KEY)
        }
    });
    let player = player.await;
    let (bucket, _) = patient(&player).await;
    keys(&bucket).await;
    let seen = player.seen.lock().unwrap();
    let date = |asked: &Asked| asked.header("x-amz-date").unwrap().to_owned();
    assert_ne!(date(&seen[0]), date(&seen[4]));
}

/// Longer than any number of tries with short waits between them.
const RESTART: Duration = Duration::from_secs(7);

async fn come_back(address: String) -> Player {
    tokio::time::sleep(RESTART).await;
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    play_on(listener, |_, _| page(KEY))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_started_anew_meanwhile_is_waited_for() {
    let player = play(|_, _| page(KEY)).await;
    let (bucket, told) = patient(&player).await;
    assert_eq!(keys(&bucket).await.len(), 1);
    let address = player.url.replace("http://", "");
    player.go_away().await;
    let back = tokio::spawn(come_back(address));
    assert_eq!(keys(&bucket).await.len(), 1);
    drop(back.await.unwrap());
    let told = told.lock().unwrap();
    assert!(told[0].contains("Connection refused"), "{told:?}");
    assert!(told[0].contains("trying again for 1:"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_yet_is_waited_for_as_long_as_the_first_contact_may_take() {
    let player = play(|_, _| page(KEY)).await;
    let (url, address) = (player.url.clone(), player.url.replace("http://", ""));
    let (mut options, environment) = (StoreOptions::default(), environment());
    options.endpoint_url = Some(url);
    options.persistence.first_contact = Duration::from_secs(120);
    let location = Location::parse("s3://bucket", Provider::AwsS3).unwrap();
    let bucket = open(&location, &options, &environment).await.unwrap();
    player.go_away().await;
    let back = tokio::spawn(come_back(address));
    assert_eq!(keys(&bucket).await.len(), 1);
    drop(back.await.unwrap());
}
