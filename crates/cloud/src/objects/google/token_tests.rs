//! Tokens of every kind of source, from servers of the test that write down what they are asked.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::endpoint::GoogleEndpoint;
use super::settings::GoogleSettings;
use super::{GooglePlace, ObjectPlace};
use crate::http::transport::{self, Connector, Scheme};
use crate::identity::google::{self as identity, GoogleCredentialSource};
use crate::{Environment, ErrorKind, StoreOptions, diagnose};

/// A server that answers requests in turn, the last answer for ever, and keeps what it was asked.
struct TokenServer {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

fn serve(answers: Vec<(u16, &'static str)>) -> TokenServer {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = seen.clone();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (status, body) = answers[number.min(answers.len() - 1)];
            let mut stream = stream.unwrap();
            // Kept before the answer: a test that has the answer may look at once.
            kept.lock().unwrap().push(request(&mut stream));
            answer(&mut stream, status, body);
        }
    });
    TokenServer { url, seen }
}

fn request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        let count = stream.read(&mut chunk).unwrap();
        request.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, sent)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1);
        let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        if sent.len() >= length {
            return String::from_utf8(request).unwrap();
        }
    }
}

fn answer(stream: &mut TcpStream, status: u16, body: &str) {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
}

impl TokenServer {
    fn seen(&self, number: usize) -> String {
        self.seen.lock().unwrap()[number].clone()
    }
}

/// A store at the server, for whom the key file names.
fn bucket_at(server: &TokenServer, key_file: &str) -> engine::store::Bucket {
    let (credentials, _folder) = source(key_file);
    let settings = GoogleSettings {
        endpoint: GoogleEndpoint::Google {
            url: server.url.clone(),
        },
        credentials,
        ca_bundle: None,
        read_timeout: Duration::from_secs(5),
        kms_key_name: None,
    };
    let persistence = crate::Persistence::default();
    let environment = Environment::default();
    let place = GooglePlace {
        bucket: "backups",
        url: "gs://backups".into(),
        settings,
        persistence: &persistence,
        environment: &environment,
    };
    place.open().unwrap()
}

fn source(key_file: &str) -> (GoogleCredentialSource, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adc.json");
    std::fs::write(&path, key_file).unwrap();
    let path = path.to_str().unwrap();
    let environment: Environment = [("GOOGLE_APPLICATION_CREDENTIALS", path)]
        .into_iter()
        .collect();
    let settings = GoogleSettings::gather(&StoreOptions::default(), &environment).unwrap();
    (settings.credentials, folder)
}

fn provider(source: &GoogleCredentialSource) -> identity::GoogleCredentialProvider {
    let client = transport::client_options(Scheme::Https, None).unwrap();
    let connector = Connector {
        read_timeout: Duration::from_secs(5),
        metadata_host: None,
        ca_bundle: None,
        persistence: crate::Persistence::default(),
    };
    identity::provider(source, super::SCOPE, &client, &connector).unwrap()
}

const GRANTED: &str = r#"{"access_token": "granted", "expires_in": 3600}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_users_token_is_refreshed_once_and_kept() {
    let server = serve(vec![(503, "busy"), (200, GRANTED)]);
    let (source, _folder) = source(&format!(
        r#"{{"type": "authorized_user", "client_id": "me", "client_secret": "s&1",
        "refresh_token": "r=2", "token_uri": "{}/token"}}"#,
        server.url
    ));
    let provider = provider(&source);
    for _ in 0..3 {
        assert_eq!(provider.get_credential().await.unwrap().bearer, "granted");
    }
    assert_eq!(
        server.seen.lock().unwrap().len(),
        2,
        "one refusal that passes, one token"
    );
    let form = "grant_type=refresh_token&client_id=me&client_secret=s%261&refresh_token=r%3D2";
    assert!(server.seen(1).ends_with(form), "{}", server.seen(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metadata_server_is_asked_as_it_wants_to_be() {
    let server = serve(vec![(200, GRANTED)]);
    let host = server.url.replace("http://", "");
    let provider = provider(&GoogleCredentialSource::MetadataServer { host });
    assert_eq!(provider.get_credential().await.unwrap().bearer, "granted");
    let asked = server.seen(0).to_lowercase();
    let path = "get /computemetadata/v1/instance/service-accounts/default/token ";
    assert!(asked.starts_with(path), "{asked}");
    assert!(asked.contains("metadata-flavor: google"), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_federations_token_by_file_is_exchanged() {
    let server = serve(vec![(200, GRANTED)]);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "subject\n").unwrap();
    let (source, _folder) = source(&format!(
        r#"{{"type": "external_account", "audience": "//iam/pool", "token_url": "{}/v1/token",
        "subject_token_type": "urn:jwt", "credential_source": {{"file": "{}"}}}}"#,
        server.url,
        token.display()
    ));
    assert_eq!(
        provider(&source).get_credential().await.unwrap().bearer,
        "granted"
    );
    let asked = server.seen(0);
    for word in [
        "subject_token=subject",
        "audience=%2F%2Fiam%2Fpool",
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange",
        "devstorage",
    ] {
        assert!(asked.contains(word), "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_federation_by_url_may_go_on_to_a_service_account() {
    let subject = serve(vec![(200, r#"{"id_token": "subject"}"#)]);
    let sts = serve(vec![(
        200,
        r#"{"access_token": "federated", "expires_in": 60}"#,
    )]);
    let impersonated = r#"{"accessToken": "of the account", "expireTime": "2099-01-01T00:00:00Z"}"#;
    let iam = serve(vec![(200, impersonated)]);
    let (source, _folder) = source(&format!(
        r#"{{"type": "external_account", "audience": "a", "token_url": "{}",
        "subject_token_type": "t", "service_account_impersonation_url": "{}/x",
        "credential_source": {{"url": "{}/idp", "headers": {{"X-Key": "k"}},
        "format": {{"type": "json", "subject_token_field_name": "id_token"}}}}}}"#,
        sts.url, iam.url, subject.url
    ));
    let got = provider(&source).get_credential().await.unwrap();
    assert_eq!(got.bearer, "of the account");
    assert!(subject.seen(0).to_lowercase().contains("x-key: k"));
    assert!(sts.seen(0).contains("subject_token=subject"));
    let asked = iam.seen(0);
    assert!(
        asked
            .to_lowercase()
            .contains("authorization: bearer federated"),
        "{asked}"
    );
    assert!(asked.contains(r#""lifetime":"3600s""#), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_denied_with_the_cause_and_without_secrets() {
    let body = r#"{"error": "invalid_grant", "error_description": "Token has been revoked."}"#;
    let server = serve(vec![(400, body)]);
    let (source, _folder) = source(&format!(
        r#"{{"type": "authorized_user", "client_id": "me", "client_secret": "hunter2",
        "refresh_token": "hunter3", "token_uri": "{}/token"}}"#,
        server.url
    ));
    let error = provider(&source).get_credential().await.unwrap_err();
    let diagnosis = diagnose(&error);
    assert_eq!(diagnosis.kind, ErrorKind::Denied, "{diagnosis:?}");
    assert!(diagnosis.cause.contains("revoked"), "{diagnosis:?}");
    assert!(
        diagnosis.hint.is_some_and(|hint| hint.contains("GOOGLE_")),
        "{diagnosis:?}"
    );
    assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
}

const REFUSED: &str = "<Error><Code>AccessDenied</Code><Message>No.</Message></Error>";

#[tokio::test(flavor = "multi_thread")]
async fn a_service_accounts_key_signs_a_token_that_goes_to_the_store() {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
    let key_file = serde_json::json!({
        "type": "service_account", "client_email": "me@example.org", "private_key_id": "1",
        "private_key": key.unwrap().serialize_pem(), "project_id": "p",
    });
    let store = serve(vec![(403, REFUSED)]);
    let bucket = bucket_at(&store, &key_file.to_string());
    let error = crate::check_connectivity(&bucket).await.unwrap_err();
    assert_eq!(error.diagnosis.kind, ErrorKind::Denied, "{error:?}");
    assert_eq!(error.diagnosis.code.as_deref(), Some("AccessDenied"));
    let asked = store.seen(0);
    let token = asked.split("uthorization: Bearer ").nth(1).unwrap();
    let token = token.lines().next().unwrap();
    assert_eq!(token.split('.').count(), 3, "a signed JWT: {token}");
    assert!(!format!("{error:?}").contains(token), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetched_token_goes_to_the_store() {
    let tokens = serve(vec![(200, GRANTED)]);
    let store = serve(vec![(403, REFUSED)]);
    let key_file = format!(
        r#"{{"type": "authorized_user", "client_id": "me", "client_secret": "s",
        "refresh_token": "r", "token_uri": "{}/token"}}"#,
        tokens.url
    );
    crate::check_connectivity(&bucket_at(&store, &key_file))
        .await
        .unwrap_err();
    let asked = store.seen(0).to_lowercase();
    assert!(asked.contains("authorization: bearer granted"), "{asked}");
}
