//! Google Cloud Storage, on the test kit's emulator, which Google's own client was tried on.

use std::net::TcpListener;

use cloud::{
    Creation, Environment, ErrorKind, Location, Provider, StoreOptions, check_connectivity, open,
    open_or_create,
};
use engine::store::Bucket;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMultipartOptions, PutOptions, TagSet};
use testkit::{FaultProxy, GcsBucket, GcsEmulator, Scratch};

fn location(bucket: &str) -> Location {
    Location::parse(&format!("gs://{bucket}"), Provider::GoogleCloudStorage).unwrap()
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().copied().collect()
}

async fn open_at(bucket: &GcsBucket, options: &StoreOptions, host: &str) -> Bucket {
    let environment = environment(&[("STORAGE_EMULATOR_HOST", host)]);
    let place = location(bucket.name());
    open(&place, options, &environment).await.unwrap()
}

#[test]
fn googles_own_client_finds_the_emulator_as_documented() {
    let folder = Scratch::new("gcs-check");
    let bucket = GcsEmulator::shared().bucket();
    bucket.check_emulator(folder.path());
    assert_eq!(bucket.keys(), ["small/a b+ü"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_emulator_behaves_as_a_bucket() {
    let emulator = GcsEmulator::shared();
    let bucket = emulator.bucket();
    let opened = open_at(&bucket, &StoreOptions::default(), &emulator.address()).await;
    check_connectivity(&opened).await.unwrap();
    super::conformance::check_bucket(&opened, "conformance").await;
    assert_eq!(emulator.log(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_told_and_can_be_made() {
    let name = GcsEmulator::shared().bucket_named("made-by-us");
    let environment: Environment = name.environment().into_iter().collect();
    let (place, options) = (location(name.name()), StoreOptions::default());
    let bucket = open(&place, &options, &environment).await.unwrap();
    let error = check_connectivity(&bucket).await.unwrap_err();
    assert_eq!(error.diagnosis.kind, ErrorKind::MissingBucket, "{error:?}");
    for expected in [Creation::Created, Creation::WasThere] {
        let made = open_or_create(&place, &options, &environment).await;
        assert_eq!(made.unwrap().1, expected);
    }
    assert!(name.keys().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_unreachable_and_no_credentials_are_denied() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = port.local_addr().unwrap().to_string();
    drop(port);
    for (variables, kind, words) in [
        (
            [("STORAGE_EMULATOR_HOST", nowhere.as_str())],
            ErrorKind::Unreachable,
            "127.0.0.1",
        ),
        (
            [("GCE_METADATA_HOST", &nowhere)],
            ErrorKind::Denied,
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
    ] {
        let environment = environment(&variables);
        let (place, options) = (location("any"), StoreOptions::default());
        let bucket = open(&place, &options, &environment);
        let error = check_connectivity(&bucket.await.unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.diagnosis.kind, kind, "{error:?}");
        assert!(format!("{error:?}").contains(words), "{error:?}");
    }
}

/// What an emulator would take in silence is looked for on the wire.
#[tokio::test(flavor = "multi_thread")]
async fn the_kms_key_and_tags_are_on_every_new_object_and_nowhere_else() {
    let emulator = GcsEmulator::shared();
    let bucket = emulator.bucket();
    let proxy = FaultProxy::before(&emulator.address());
    let key = "projects/p/locations/l/keyRings/r/cryptoKeys/k";
    let options = StoreOptions {
        kms_key_name: Some(key.into()),
        ..StoreOptions::default()
    };
    let opened = open_at(&bucket, &options, &proxy.endpoint()).await;
    let mut tags = TagSet::default();
    tags.push("cost-centre", "a/b=c");
    let small = Path::from("small");
    let put = PutOptions::from(tags.clone());
    opened
        .objects
        .put_opts(&small, "x".into(), put)
        .await
        .unwrap();
    let large = Path::from("large");
    let put = PutMultipartOptions::from(tags);
    let mut upload = opened
        .objects
        .put_multipart_opts(&large, put)
        .await
        .unwrap();
    upload.put_part(vec![1; 5 << 20].into()).await.unwrap();
    upload.put_part("end".into()).await.unwrap();
    upload.complete().await.unwrap();
    for name in ["small", "large"] {
        assert_eq!(bucket.kms_key(name), key);
        assert_eq!(bucket.metadata(name), ["cost-centre=a/b=c"]);
    }
    opened.objects.get(&small).await.unwrap();
    opened.objects.delete(&small).await.unwrap();
    for seen in proxy.requests() {
        let value = |name: &str| {
            let found = seen.headers.iter().find(|(found, _)| found == name);
            found.map(|(_, value)| value.as_str())
        };
        let makes = (seen.method == "PUT" && !seen.target.contains("uploadId"))
            || seen.target.contains("uploads");
        let target = format!("{} {}", seen.method, seen.target);
        let expected = makes.then_some(key);
        assert_eq!(
            value("x-goog-encryption-kms-key-name"),
            expected,
            "{target}"
        );
        assert_eq!(
            value("authorization"),
            None,
            "an emulator gets no token: {target}"
        );
    }
}
