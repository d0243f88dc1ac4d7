//! HTTP as object stores need it: limits by the kind of request, and a quick end when no server is
//! there.
//!
//! Downloads and small requests have a limit on silence (`--read-timeout`). A long upload on a slow
//! line would hit it while bytes still flow: requests with a body have a deadline by their size
//! instead, and the kernel's limit on data that is not read, which is the read timeout, too. The
//! limits of the HTTP client itself, which would be the same for all requests, are off, so that all
//! share its connections: an upload goes out on the one that a listing has opened.
//!
//! An endpoint that never answered in this process is given up sooner; one that did answer gets the
//! whole of the patience, because then the trouble is probably passing (`persistence`).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use reqwest::Certificate;

use super::contact::{NeverAnswered, NoMetadataService};
use super::dialect::Dialect;
use super::lazy_client::{
    CONNECT_TIMEOUT, ClientManner, LazyClient, Unusable, is_about_certificates,
};
use super::persistence::{Persistence, Persistent};
use super::read_timeout::{NothingCame, limited};
use crate::failure::{ErrorKind, Explained, Explains, Explanation};

/// An upload may be as slow as this before it counts as stuck: 32 KiB/s.
const SLOWEST_UPLOAD: u64 = 32 * 1024;

/// Whether the store's address begins with `https://`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// A file of certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read CA bundle {}: {cause}", path.display())]
pub struct BadCaBundle {
    path: PathBuf,
    cause: String,
}

impl Explains for BadCaBundle {
    fn explain(&self) -> Explanation {
        Explanation::Cause {
            kind: ErrorKind::Other,
            text: self.to_string(),
            hint: None,
        }
    }
}

/// The options of a client for a store at such an address; a bundle must be one that can be used.
pub(crate) fn client_options(
    scheme: Scheme,
    ca_bundle: Option<&Path>,
) -> Result<ClientOptions, BadCaBundle> {
    // Where nothing needs it the file is not even looked at.
    if let Some(path) = ca_bundle.filter(|_| scheme == Scheme::Https) {
        read_certificates(path)?;
    }
    Ok(ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(scheme == Scheme::Http))
}

/// How often an answer is resumed that breaks off. Requests that fail are not the storage client's
/// to try again: see `persistence`.
pub(crate) fn resumptions() -> RetryConfig {
    RetryConfig {
        max_retries: 8,
        retry_timeout: Duration::from_secs(24 * 3600),
        ..requests_for_tokens(&Persistence::default())
    }
}

/// How requests for credentials are tried again, which the storage client sends itself: by time.
pub(crate) fn requests_for_tokens(persistence: &Persistence) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        max_retries: 1000,
        // Below the 15 minutes that a signature is good for.
        retry_timeout: persistence.passing.min(Duration::from_secs(600)),
    }
}

/// The certificates in a file in PEM form, at least one.
fn read_certificates(path: &Path) -> Result<Vec<Certificate>, BadCaBundle> {
    let bad = |cause: String| BadCaBundle {
        path: path.into(),
        cause,
    };
    let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|error| bad(error.to_string()))?;
    if certificates.is_empty() {
        Err(bad("it holds no certificate in PEM form".into()))
    } else {
        Ok(certificates)
    }
}

/// Host and port of an address, as requests to it name them.
pub(crate) fn authority_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// Makes the clients; `metadata_host` is where the machine's credentials would come from.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) read_timeout: Duration,
    pub(crate) metadata_host: Option<String>,
    /// Certificates that are trusted instead of the system's.
    pub(crate) ca_bundle: Option<PathBuf>,
    pub(crate) persistence: Persistence,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let manner = ClientManner::new(options, self.read_timeout, self.ca_bundle.clone());
        Ok(HttpClient::new(LimitedTransport {
            connector: self.clone(),
            client: LazyClient::new(manner),
            contact: Arc::default(),
        }))
    }
}

/// Makes the clients of a store: those that try again what its dialect says will pass.
#[derive(Clone, Debug)]
pub(crate) struct StoreConnector {
    pub(crate) plain: Connector,
    pub(crate) dialect: Arc<dyn Dialect>,
}

impl HttpConnector for StoreConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Persistent {
            client: self.plain.connect(options)?,
            dialect: Arc::clone(&self.dialect),
            persistence: self.plain.persistence.clone(),
            told: Mutex::default(),
            is_spent: AtomicBool::default(),
        }))
    }
}

#[derive(Debug)]
struct LimitedTransport {
    connector: Connector,
    client: LazyClient,
    contact: Arc<Contact>,
}

/// Whether the other side was ever there.
#[derive(Debug, Default)]
struct Contact {
    answered: AtomicBool,
    failures: AtomicU32,
    first_attempt: std::sync::OnceLock<Instant>,
}

#[async_trait]
impl HttpService for LimitedTransport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let started = *self.contact.first_attempt.get_or_init(Instant::now);
        let authority = request
            .uri()
            .authority()
            .map(ToString::to_string)
            .unwrap_or_default();
        let result = self.send(request).await;
        match result {
            Ok(response) => {
                self.contact.answered.store(true, Ordering::Relaxed);
                Ok(response)
            }
            Err(error) => Err(self.judge(error, authority, started.elapsed())),
        }
    }
}

impl LimitedTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let length = request.body().content_length() as u64;
        let silence = self.connector.read_timeout;
        let limit = silence + Duration::from_secs(length / SLOWEST_UPLOAD);
        let answer = tokio::time::timeout(limit, self.client.call(request)).await;
        let answer = answer.map_err(|_| NothingCame::after(limit))??;
        Ok(answer.map(|body| limited(body, limit)))
    }

    /// Decides whether `object_store` may try again: an error of kind `Unknown` is final.
    fn judge(&self, error: HttpError, endpoint: String, elapsed: Duration) -> HttpError {
        let attempts = self.contact.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let is_ours = std::error::Error::source(&error).is_some_and(|it| it.is::<Unusable>());
        if self.contact.answered.load(Ordering::Relaxed) || is_ours {
            return error;
        }
        if self.connector.metadata_host.as_ref() == Some(&endpoint) {
            let source = NoMetadataService {
                endpoint,
                source: error,
            };
            return HttpError::new(HttpErrorKind::Unknown, Explained::from(source));
        }
        // A certificate that is wrong now is wrong a second later too.
        let patience = self.connector.persistence.first_contact;
        let hopeless = is_about_certificates(&error)
            || elapsed >= patience
            || (elapsed >= patience / 2 && attempts > 1);
        let kind = if hopeless {
            HttpErrorKind::Unknown
        } else {
            error.kind()
        };
        let never = NeverAnswered {
            endpoint,
            attempts,
            source: error,
        };
        HttpError::new(kind, Explained::from(never))
    }
}
