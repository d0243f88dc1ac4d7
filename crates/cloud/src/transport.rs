//! HTTP as object stores need it: limits by the kind of request, and a quick end when nobody is
//! there.
//!
//! Downloads and small requests have a limit on silence (`--read-timeout`). A long upload on a slow
//! line would hit it while bytes still flow: requests with a body have a deadline by their size
//! instead, and the kernel's 30 s limit on unacknowledged data. The limits of the HTTP client
//! itself, which would be the same for all requests, are off, so that all share its connections:
//! an upload goes out on the one that a listing has opened.
//!
//! An endpoint that never answered in this process is given up after some seconds; one that did
//! answer gets the whole of the retries, because then the trouble is probably passing.
//!
//! Retries: at most 8, none begun more than 180 s after the request's first attempt, waits growing
//! from 0.2 s to at most 10 s; 5xx, 429, lost connections and time limits are tried again, refusals
//! are not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};

use crate::failure::{NeverAnswered, NoMetadataService};
use crate::late_client::{LateClient, Unusable, is_about_certificates};
use crate::silence::{Silent, limited};

/// How long a connection may take to open, TLS included.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An upload may be as slow as this before it counts as stuck: 32 KiB/s.
const SLOWEST_UPLOAD: u64 = 32 * 1024;
/// An endpoint that never answered is given up at the second failure after this time ...
const GIVE_UP_AFTER: Duration = Duration::from_secs(4);
/// ... and at any failure after this one.
const GIVE_UP_AT_ONCE_AFTER: Duration = Duration::from_secs(8);

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

/// The options of a client for a store at such an address; with a bundle, its certificates are
/// trusted instead of the system's.
pub(crate) fn client_options(
    scheme: Scheme,
    ca_bundle: Option<&Path>,
) -> Result<ClientOptions, BadCaBundle> {
    let mut client = ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(scheme == Scheme::Http);
    if let Some(path) = ca_bundle {
        client = client.with_no_system_certificates(true);
        for certificate in read_certificates(path)? {
            client = client.with_root_certificate(certificate);
        }
    }
    Ok(client)
}

pub(crate) fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        max_retries: 8,
        // Below the 15 minutes that a signature is good for.
        retry_timeout: Duration::from_secs(180),
    }
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, BadCaBundle> {
    let bad = |cause: String| BadCaBundle {
        path: path.into(),
        cause,
    };
    let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|error| bad(error.to_string()))?;
    match certificates.is_empty() {
        true => Err(bad("it holds no certificate in PEM form".into())),
        false => Ok(certificates),
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
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let options = options.clone().with_read_timeout_disabled();
        Ok(HttpClient::new(Transport {
            connector: self.clone(),
            client: LateClient::new(options),
            contact: Arc::default(),
        }))
    }
}

#[derive(Debug)]
struct Transport {
    connector: Connector,
    client: LateClient,
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
impl HttpService for Transport {
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

impl Transport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let length = request.body().content_length() as u64;
        let silence = self.connector.read_timeout;
        let limit = silence + Duration::from_secs(length / SLOWEST_UPLOAD);
        let answer = tokio::time::timeout(limit, self.client.call(request)).await;
        let answer = answer.map_err(|_| Silent::after(limit))??;
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
            return HttpError::new(HttpErrorKind::Unknown, source);
        }
        // A certificate that is wrong now is wrong a second later too.
        let hopeless = is_about_certificates(&error)
            || elapsed >= GIVE_UP_AT_ONCE_AFTER
            || (elapsed >= GIVE_UP_AFTER && attempts > 1);
        let kind = if hopeless {
            HttpErrorKind::Unknown
        } else {
            error.kind()
        };
        HttpError::new(
            kind,
            NeverAnswered {
                endpoint,
                attempts,
                source: error,
            },
        )
    }
}
