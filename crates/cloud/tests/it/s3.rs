//! `s3://` on a real SeaweedFS, and on endpoints that misbehave.

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cloud::{
    AddressingStyle, ConnectivityError, Environment, ErrorKind, Location, Provider, StoreOptions,
    check_connectivity, diagnose, open,
};
use engine::store::Bucket;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::fake_endpoint::{Answer, serve};
use super::seaweed::{ACCESS_KEY, BUCKET, SECRET_KEY, server};

const NO_FILES: [(&str, &str); 2] = [
    ("AWS_CONFIG_FILE", "/nonexistent/c"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/s"),
];

/// The right keys and no files, with `extra` over them.
fn environment(extra: &[(&str, &str)]) -> Environment {
    let keys = [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ];
    NO_FILES
        .iter()
        .chain(&keys)
        .chain(extra)
        .map(|(name, value)| (*name, *value))
        .collect()
}

fn endpoint(url: &str) -> StoreOptions {
    StoreOptions {
        endpoint_url: Some(url.into()),
        ..StoreOptions::default()
    }
}

async fn bucket(name: &str, options: &StoreOptions, environment: &Environment) -> Bucket {
    let location = Location::parse(&format!("s3://{name}"), Provider::AwsS3).unwrap();
    open(&location, options, environment).await.unwrap()
}

async fn failure(
    name: &str,
    options: &StoreOptions,
    environment: &Environment,
) -> (ConnectivityError, Duration) {
    let started = Instant::now();
    let error = check_connectivity(&bucket(name, options, environment).await)
        .await
        .unwrap_err();
    assert!(!error.to_string().contains(SECRET_KEY), "{error}");
    (error, started.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_over_tls_with_a_private_authority_behaves_as_a_bucket() {
    let ca = server().ca.to_str().unwrap();
    let environment = environment(&[("AWS_CA_BUNDLE", ca)]);
    let bucket = bucket(BUCKET, &endpoint(&server().https), &environment).await;
    check_connectivity(&bucket).await.unwrap();
    super::conformance::check_bucket(&bucket, "over-tls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_over_http_with_signed_bodies_behaves_as_a_bucket() {
    let bucket = bucket(BUCKET, &endpoint(&server().http), &environment(&[])).await;
    super::conformance::check_bucket(&bucket, "over-http").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_alone_is_enough() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    let config = format!(
        "[profile backup]\nregion = eu-west-1\nca_bundle = {}\nservices = weed\n\
         [services weed]\ns3 =\n  endpoint_url = {}\n",
        server().ca.display(),
        server().https
    );
    let credentials = format!(
        "[backup]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    );
    fs::write(home.path().join(".aws/config"), config).unwrap();
    fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
    let options = StoreOptions {
        profile: Some("backup".into()),
        ..StoreOptions::default()
    };
    let environment = [("HOME", home.path().to_str().unwrap())]
        .into_iter()
        .collect();
    check_connectivity(&bucket(BUCKET, &options, &environment).await)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_denied_with_a_hint() {
    for (variable, code, word) in [
        (
            "AWS_SECRET_ACCESS_KEY",
            "SignatureDoesNotMatch",
            "secret key",
        ),
        ("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId", "access key"),
    ] {
        let environment = environment(&[(variable, "wrong")]);
        let (error, _) = failure(BUCKET, &endpoint(&server().http), &environment).await;
        assert_eq!(error.diagnosis.kind, ErrorKind::Denied, "{error}");
        assert_eq!(error.diagnosis.code.as_deref(), Some(code));
        assert!(error.diagnosis.hint.unwrap().contains(word), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_told_from_a_missing_object() {
    let options = endpoint(&server().http);
    let (error, _) = failure("absent", &options, &environment(&[])).await;
    assert_eq!(error.diagnosis.kind, ErrorKind::MissingBucket, "{error}");
    assert_eq!(error.url, "s3://absent");
    let absent = bucket("absent", &options, &environment(&[])).await;
    let error = absent.objects.get(&Path::from("x")).await.unwrap_err();
    assert_eq!(diagnose(&error).kind, ErrorKind::MissingBucket, "{error}");
    let present = bucket(BUCKET, &options, &environment(&[])).await;
    let error = present
        .objects
        .get(&Path::from("absent"))
        .await
        .unwrap_err();
    assert_eq!(diagnose(&error).kind, ErrorKind::NotFound, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_did_not_sign_is_unreachable_with_a_hint_about_tls() {
    let ca = server().other_ca.to_str().unwrap();
    for extra in [vec![("AWS_CA_BUNDLE", ca)], vec![]] {
        let environment = environment(&extra);
        let (error, took) = failure(BUCKET, &endpoint(&server().https), &environment).await;
        assert_eq!(error.diagnosis.kind, ErrorKind::Unreachable, "{error}");
        assert!(
            error.diagnosis.hint.unwrap().contains("AWS_CA_BUNDLE"),
            "{error:?}"
        );
        assert!(error.to_string().contains("certificate"), "{error}");
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_on_a_plain_port_is_unreachable() {
    let url = server().http.replace("http:", "https:");
    let (error, _) = failure(BUCKET, &endpoint(&url), &environment(&[])).await;
    assert_eq!(error.diagnosis.kind, ErrorKind::Unreachable, "{error}");
    assert!(
        error.diagnosis.hint.unwrap().contains("http://"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_unreachable_within_seconds() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let (error, took) = failure(BUCKET, &endpoint(&url), &environment(&[])).await;
    assert_eq!(error.diagnosis.kind, ErrorKind::Unreachable, "{error}");
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{port}")),
        "{error}"
    );
    assert!(error.to_string().contains("Connection refused"), "{error}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_an_address_is_unreachable_within_seconds() {
    let options = StoreOptions {
        addressing_style: Some(AddressingStyle::Virtual),
        ..endpoint("https://s3.nowhere.invalid")
    };
    let (error, took) = failure(BUCKET, &options, &environment(&[])).await;
    assert_eq!(error.diagnosis.kind, ErrorKind::Unreachable, "{error}");
    assert!(
        error.to_string().contains("backups.s3.nowhere.invalid"),
        "{error}"
    );
    assert!(
        error.diagnosis.hint.unwrap().contains("host name"),
        "{error:?}"
    );
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credentials_anywhere_is_denied_and_not_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let metadata = format!("http://127.0.0.1:{port}");
    let mut pairs = NO_FILES.to_vec();
    pairs.push(("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata));
    let environment = pairs.into_iter().collect();
    let (error, took) = failure(BUCKET, &endpoint(&server().http), &environment).await;
    assert_eq!(error.diagnosis.kind, ErrorKind::Denied, "{error:?}");
    assert!(error.to_string().contains("no credentials"), "{error}");
    assert!(error.diagnosis.hint.unwrap().contains("AWS_ACCESS_KEY_ID"));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_does_not_hit_the_limit_on_silence() {
    let delay = Duration::from_millis(2500);
    let fake = serve(vec![Answer {
        delay,
        status: "200 OK",
        body: "",
    }])
    .await;
    let options = StoreOptions {
        read_timeout: Duration::from_secs(1),
        ..endpoint(&fake.url)
    };
    let bucket = bucket(BUCKET, &options, &environment(&[])).await;
    let content = vec![0u8; 256 * 1024];
    bucket
        .objects
        .put(&Path::from("x"), content.into())
        .await
        .unwrap();
    assert_eq!(fake.requests.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_endpoint_is_unreachable() {
    let delay = Duration::from_secs(3600);
    let fake = serve(vec![Answer {
        delay,
        status: "200 OK",
        body: "",
    }])
    .await;
    let options = StoreOptions {
        read_timeout: Duration::from_secs(1),
        ..endpoint(&fake.url)
    };
    let (error, took) = failure(BUCKET, &options, &environment(&[])).await;
    assert_eq!(error.diagnosis.kind, ErrorKind::Unreachable, "{error}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_trouble_is_tried_again() {
    let body = "<Error><Code>SlowDown</Code></Error>";
    let busy = Answer {
        delay: Duration::ZERO,
        status: "503 Slow Down",
        body,
    };
    let good = Answer {
        delay: Duration::ZERO,
        status: "200 OK",
        body: "content",
    };
    let fake = serve(vec![busy, busy, good]).await;
    let bucket = bucket(BUCKET, &endpoint(&fake.url), &environment(&[])).await;
    let got = bucket.objects.get(&Path::from("x")).await;
    // The answer lacks a date, so reading its metadata fails; that it was asked for is the point.
    assert!(
        got.is_ok() || fake.requests.load(Ordering::SeqCst) >= 3,
        "{got:?}"
    );
    assert_eq!(fake.requests.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_region_is_told_with_a_hint() {
    let body = "<Error><Code>PermanentRedirect</Code><Message>Elsewhere.</Message></Error>";
    let away = Answer {
        delay: Duration::ZERO,
        status: "301 Moved Permanently",
        body,
    };
    let fake = serve(vec![away]).await;
    let (error, _) = failure(BUCKET, &endpoint(&fake.url), &environment(&[])).await;
    assert_eq!(error.diagnosis.kind, ErrorKind::Other, "{error:?}");
    assert!(
        error.diagnosis.hint.unwrap().contains("region"),
        "{error:?}"
    );
}
