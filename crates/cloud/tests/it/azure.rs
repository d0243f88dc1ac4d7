//! Azure Blob Storage, on Azurite: every way to say who we are, and what is said when it is wrong.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cloud::AzureCredentialKind;
use cloud::{
    Creation, Environment, ErrorKind, Location, OpenError, Provider, StoreOptions,
    check_connectivity, open, open_or_create,
};
use engine::store::Bucket;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions, TagSet};
use testkit::azurite::{ACCOUNT, KEY};
use testkit::proxy::{Fault, Rule};
use testkit::{Azurite, Container, FaultProxy, Scratch};

use super::fake_endpoint::{Answer, serve};

/// A token that Azurite takes: it looks at issuer, audience and times, and at no signature.
fn token() -> &'static str {
    // {"alg":"none"} . {"aud":"https://storage.azure.com","iss":"https://sts.windows.net/
    // 11111111-1111-1111-1111-111111111111/","iat":1700000000,"nbf":1700000000,
    // "exp":4102444800} . x
    concat!(
        "eyJhbGciOiJub25lIn0.",
        "eyJhdWQiOiJodHRwczovL3N0b3JhZ2UuYXp1cmUuY29tIiwiaXNzIjoiaHR0cHM6Ly9zdHMud2luZG93",
        "cy5uZXQvMTExMTExMTEtMTExMS0xMTExLTExMTEtMTExMTExMTExMTExLyIsImlhdCI6MTcwMDAwMDAw",
        "MCwibmJmIjoxNzAwMDAwMDAwLCJleHAiOjQxMDI0NDQ4MDB9.x",
    )
}

fn location(url: &str) -> Location {
    Location::parse(url, Provider::AzureBlobStorage).unwrap()
}

fn environment(pairs: &[(&str, &str)], container: &Container) -> Environment {
    let pairs = pairs
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    pairs.chain(container.trust()).collect()
}

async fn bucket(url: &str, options: &StoreOptions, environment: &Environment) -> Bucket {
    open(&location(url), options, environment).await.unwrap()
}

async fn with_key(container: &Container, options: &StoreOptions) -> Bucket {
    let environment = container.environment().into_iter().collect();
    bucket(&container.url(), options, &environment).await
}

async fn failure(
    url: &str,
    options: &StoreOptions,
    environment: &Environment,
) -> (ErrorKind, String, Duration) {
    let started = Instant::now();
    let bucket = bucket(url, options, environment).await;
    let error = check_connectivity(&bucket).await.unwrap_err();
    let text = format!(
        "{error}; {}; {error:?}",
        error.diagnosis.hint.unwrap_or_default()
    );
    for secret in [KEY, "sig=", "eyJ"] {
        assert!(!text.contains(secret), "{text}");
    }
    (error.diagnosis.kind, text, started.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_with_a_connection_string_behaves_as_a_bucket() {
    let container = Azurite::shared().container();
    let bucket = with_key(&container, &StoreOptions::default()).await;
    check_connectivity(&bucket).await.unwrap();
    super::conformance::check_bucket(&bucket, "conformance").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_over_tls_with_an_account_key_behaves_as_a_bucket() {
    let container = Azurite::with_tls().container();
    let environment = environment(&[("AZURE_STORAGE_KEY", KEY)], &container);
    let bucket = bucket(&container.url(), &StoreOptions::default(), &environment).await;
    super::conformance::check_bucket(&bucket, "conformance").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_with_a_shared_access_signature_behaves_as_a_bucket() {
    let container = Azurite::shared().container();
    let signature = container.signature("rwdlact", 3600);
    let pairs = [("AZURE_STORAGE_SAS_TOKEN", signature.as_str())];
    let environment = environment(&pairs, &container);
    let bucket = bucket(&container.url(), &StoreOptions::default(), &environment).await;
    super::conformance::check_bucket(&bucket, "conformance").await;
}

/// An app service's identity endpoint, the machine's metadata service, a tenant's token endpoint
/// with a client secret and with a federated token: each gives a token that the store takes.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_identity_gets_a_token_and_is_let_in() {
    let container = Azurite::with_tls().container();
    let body: &'static str = Box::leak(
        format!(
            r#"{{"access_token": "{}", "expires_in": 3600, "expires_on": "4102444800"}}"#,
            token()
        )
        .into_boxed_str(),
    );
    let answer = Answer {
        delay: Duration::ZERO,
        status: "200 OK",
        body,
    };
    let endpoint = serve(vec![answer]).await;
    let url = endpoint.url.as_str();
    let scratch = Scratch::new("federated");
    let token_file = scratch.write("token", "federated").display().to_string();
    let tenant = [
        ("AZURE_AUTHORITY_HOST", url),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "client"),
    ];
    let secret = [&tenant[..], &[("AZURE_CLIENT_SECRET", "hunter2")]].concat();
    let federated = [&tenant[..], &[("AZURE_FEDERATED_TOKEN_FILE", &token_file)]].concat();
    let service = format!("{url}/msi/token");
    for (kind, variables) in [
        (None, secret),
        (None, federated),
        (
            Some(AzureCredentialKind::ManagedIdentity),
            vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", url)],
        ),
        (
            Some(AzureCredentialKind::Default),
            vec![
                ("IDENTITY_ENDPOINT", service.as_str()),
                ("IDENTITY_HEADER", "h"),
            ],
        ),
    ] {
        let mut options = StoreOptions::default();
        options.azure.credential = kind;
        let environment = environment(&variables, &container);
        let bucket = bucket(&container.url(), &options, &environment).await;
        let key = Path::from("who");
        let put = bucket.objects.put(&key, "x".into()).await;
        put.unwrap_or_else(|error| panic!("{kind:?} {variables:?}: {error}"));
        bucket.objects.delete(&key).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credentials_anywhere_is_denied_with_a_hint() {
    let container = Azurite::shared().container();
    let metadata = format!("http://127.0.0.1:{}", free_port());
    let pairs = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.as_str())];
    let environment = environment(&pairs, &container);
    let (kind, text, took) =
        failure(&container.url(), &StoreOptions::default(), &environment).await;
    assert_eq!(kind, ErrorKind::Denied, "{text}");
    assert!(
        text.contains("no credentials") && text.contains("az login"),
        "{text}"
    );
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_denied_with_a_hint() {
    let container = Azurite::shared().container();
    let reading = container.signature("rl", 3600);
    let old = container.signature("rwdlact", -3600);
    for (variable, value, word) in [
        ("AZURE_STORAGE_KEY", "d3Jvbmc=", "account key"),
        (
            "AZURE_STORAGE_SAS_TOKEN",
            "sv=2023-11-03&sr=c&sp=rl&sig=x",
            "account key",
        ),
        ("AZURE_STORAGE_SAS_TOKEN", old.as_str(), "account key"),
    ] {
        let environment = environment(&[(variable, value)], &container);
        let (kind, text, _) =
            failure(&container.url(), &StoreOptions::default(), &environment).await;
        assert_eq!(kind, ErrorKind::Denied, "{text}");
        assert!(text.contains(word), "{text}");
    }
    let environment = environment(&[("AZURE_STORAGE_SAS_TOKEN", &reading)], &container);
    let bucket = bucket(&container.url(), &StoreOptions::default(), &environment).await;
    check_connectivity(&bucket).await.unwrap();
    let error = bucket
        .objects
        .put(&Path::from("x"), "x".into())
        .await
        .unwrap_err();
    assert_eq!(cloud::classify(&error), ErrorKind::Denied, "{error}");
    assert!(!format!("{error} {error:?}").contains("sig="), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_container_is_a_missing_bucket_and_can_be_made() {
    for server in [Azurite::shared(), Azurite::with_tls()] {
        let container = server.container_named("made-by-us");
        let environment: Environment = container.environment().into_iter().collect();
        let options = StoreOptions::default();
        let (kind, text, _) = failure(&container.url(), &options, &environment).await;
        assert_eq!(kind, ErrorKind::MissingBucket, "{text}");
        assert!(text.contains("Create the container first"), "{text}");
        let place = location(&container.url());
        for expected in [Creation::Created, Creation::WasThere] {
            let (_, creation) = open_or_create(&place, &options, &environment)
                .await
                .unwrap();
            assert_eq!(creation, expected);
        }
        assert!(container.keys().is_empty());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_and_a_strange_certificate_are_unreachable() {
    let options = StoreOptions::default();
    let signature = [("AZURE_STORAGE_SAS_TOKEN", "sv=2023-11-03&sig=c2VjcmV0")];
    let environment: Environment = signature.into_iter().collect();
    let closed = format!("http://127.0.0.1:{}/acc/c", free_port());
    let (kind, text, _) = failure(&closed, &options, &environment).await;
    assert_eq!(kind, ErrorKind::Unreachable, "{text}");
    let container = Azurite::with_tls().container_named("any");
    let (kind, text, _) = failure(&container.url(), &options, &environment).await;
    assert_eq!(kind, ErrorKind::Unreachable, "{text}");
    assert!(text.contains("REQUESTS_CA_BUNDLE"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_of_another_account_than_the_connection_string_is_refused() {
    let container = Azurite::shared().container_named("any");
    let environment = container.environment().into_iter().collect();
    let url = container.url().replace(ACCOUNT, "other");
    let error = open(&location(&url), &StoreOptions::default(), &environment).await;
    let Some(OpenError::Settings { source, .. }) = error.err() else {
        panic!("it opens")
    };
    assert!(source.to_string().contains("account other"), "{source}");
}

fn in_blocks() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.azure.max_block_size = 100_000;
    options.azure.max_concurrency = 3;
    options.azure.max_single_put_size = 200_000;
    options.azure.encryption_scope = Some("my-scope".into());
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_one_put_goes_in_blocks_and_is_created_only_once() {
    let container = Azurite::shared().container();
    let bucket = with_key(&container, &in_blocks()).await;
    let key = Path::from("large");
    let create = || PutOptions::from(PutMode::Create);
    let content: Vec<u8> = (0..450_000u32).map(|n| (n % 251) as u8).collect();
    let put = bucket
        .objects
        .put_opts(&key, content.clone().into(), create());
    put.await.unwrap();
    assert_eq!(
        container.block_sizes("large"),
        [100_000, 100_000, 100_000, 100_000, 50_000]
    );
    let got = bucket
        .objects
        .get(&key)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(got == content);
    let other = vec![9u8; 300_000];
    let error = bucket
        .objects
        .put_opts(&key, other.into(), create())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error:?}");
    let got = bucket
        .objects
        .get(&key)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(got == content, "the first one stays");
    bucket
        .objects
        .put(&Path::from("small"), vec![1; 200_000].into())
        .await
        .unwrap();
    assert!(container.block_sizes("small").len() <= 1);
}

/// Azurite takes the header of an encryption scope and forgets it, so it is looked for on the wire;
/// that the signatures are right without and with it, Azurite says.
#[tokio::test(flavor = "multi_thread")]
async fn the_encryption_scope_and_tags_are_on_every_write_and_nowhere_else() {
    let container = Azurite::shared().container();
    let proxy = FaultProxy::before(&Azurite::shared().address());
    let through = container
        .url()
        .replace("http://", "")
        .replace(&Azurite::shared().address(), &proxy.endpoint());
    let environment = environment(&[("AZURE_STORAGE_KEY", KEY)], &container);
    let bucket = bucket(&through, &in_blocks(), &environment).await;
    let mut tags = TagSet::default();
    tags.push("Cost centre", "a/b=c");
    for (name, size) in [("small", 10), ("large", 450_000)] {
        let options = PutOptions::from(tags.clone());
        let content = vec![1u8; size];
        bucket
            .objects
            .put_opts(&Path::from(name), content.into(), options)
            .await
            .unwrap();
        assert_eq!(container.tags(name), ["Cost centre=a/b=c"]);
    }
    bucket.objects.get(&Path::from("small")).await.unwrap();
    bucket.objects.delete(&Path::from("small")).await.unwrap();
    let requests = proxy.requests();
    assert_eq!(
        requests.iter().filter(|seen| seen.method == "PUT").count(),
        7
    );
    for seen in requests {
        let scope = seen
            .headers
            .iter()
            .find(|(name, _)| name == "x-ms-encryption-scope");
        let scope = scope.map(|(_, value)| value.as_str());
        let expected = (seen.method == "PUT").then_some("my-scope");
        assert_eq!(scope, expected, "{} {}", seen.method, seen.target);
    }
}

// As S3's dialects have it: a batch may be refused to whoever may well delete, or not be there.
#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_deleted_singly_where_a_batch_is_refused() {
    let container = Azurite::shared().container();
    let proxy = FaultProxy::before(&Azurite::shared().address());
    let through = container
        .url()
        .replace("http://", "")
        .replace(&Azurite::shared().address(), &proxy.endpoint());
    for (round, status) in [501, 403, 404, 400, 405].into_iter().enumerate() {
        let signature = container.signature("rwdlact", 3600);
        let identity = match round % 2 {
            0 => ("AZURE_STORAGE_KEY", KEY),
            _ => ("AZURE_STORAGE_SAS_TOKEN", signature.as_str()),
        };
        let environment = environment(&[identity], &container);
        let bucket = bucket(&through, &StoreOptions::default(), &environment).await;
        let keys: Vec<_> = (0..5).map(|n| Path::from(format!("gone/{n} ü"))).collect();
        for key in &keys {
            bucket.objects.put(key, "x".into()).await.unwrap();
        }
        proxy.spoil(
            Rule::new(Fault::Refuse(status, "AuthorizationPermissionMismatch"))
                .method("POST")
                .always(),
        );
        for _ in 0..2 {
            // The second time nothing is there any more.
            let all = stream::iter(keys.clone().into_iter().map(Ok)).boxed();
            let deleted: Vec<_> = bucket
                .objects
                .delete_stream(all)
                .try_collect()
                .await
                .unwrap();
            assert_eq!(deleted, keys, "{status}");
            assert!(bucket.list("gone/").await.unwrap().is_empty(), "{status}");
        }
        assert_eq!(
            proxy.count("POST", "comp=batch"),
            1,
            "{status}: it is not asked for again"
        );
        proxy.heal();
        proxy.forget();
    }
    // Who may delete nothing is told so after one request of each kind.
    let reading = container.signature("rwlact", 3600);
    let environment = environment(&[("AZURE_STORAGE_SAS_TOKEN", reading.as_str())], &container);
    let bucket = bucket(&through, &StoreOptions::default(), &environment).await;
    bucket
        .objects
        .put(&Path::from("stays"), "x".into())
        .await
        .unwrap();
    let all = ["stays", "b", "c"].map(|key| Ok(Path::from(key)));
    let deleted: Vec<_> = bucket
        .objects
        .delete_stream(stream::iter(all).boxed())
        .collect()
        .await;
    let error = deleted.iter().find_map(|it| it.as_ref().err()).unwrap();
    assert_eq!(cloud::classify(error), ErrorKind::Denied, "{error}");
    assert_eq!(proxy.count("DELETE", ""), 1);
    assert!(bucket.exists("stays").await.unwrap());
}

/// `az` as a script that prints a token, found by `PATH`: in a process of its own, for its sake.
#[test]
fn the_azure_cli_is_asked_for_a_token() {
    let folder = Scratch::new("az");
    let script = format!(
        "#!/bin/sh\n[ \"$2\" = get-access-token ] || exit 1\ncat <<end\n\
         {{\"accessToken\": \"{}\", \"expiresOn\": \"2099-12-31 00:00:00.000000\", \
         \"tokenType\": \"Bearer\"}}\nend\n",
        token()
    );
    let az = folder.write("az", &script);
    std::fs::set_permissions(&az, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut path: Vec<PathBuf> = vec![folder.path().into()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "azure::put_with_the_azure_cli"])
        .env("PATH", std::env::join_paths(path).unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the test above, with an az of its own"]
async fn put_with_the_azure_cli() {
    let container = Azurite::with_tls().container();
    // The first is the option, the second the end of the default chain.
    let metadata = format!("http://127.0.0.1:{}", free_port());
    let variables = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.as_str())];
    for kind in [Some(AzureCredentialKind::AzureCli), None] {
        let mut options = StoreOptions::default();
        options.azure.credential = kind;
        let environment = environment(&variables, &container);
        let bucket = bucket(&container.url(), &options, &environment).await;
        bucket
            .objects
            .put(&Path::from("who"), "x".into())
            .await
            .unwrap();
    }
}
