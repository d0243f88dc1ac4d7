//! An HTTP client that is made when its first request needs it, and trusts no more than that asks.
//!
//! Programs that send one request, such as an `archive_command`, pay for every certificate they
//! parse. So plain HTTP loads none; TLS trusts the one file in which the system keeps all its
//! authorities; and only when those did not sign the server's certificate is everything loaded
//! that the system trusts, its directories included, and the request sent again. Always true:
//! what is trusted in the end is exactly what `rustls-native-certs` finds, or the bundle that was
//! chosen (as authorities, and as servers' own certificates); a request is sent again only if
//! no server got it, for the certificate comes first.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::Certificate;
use reqwest::redirect::Policy;

use super::own_certificate;
use super::proxies::NoProxyPorts;
use super::resolver::Shuffled;
use crate::failure::innermost;

/// How long a connection may take to open, TLS included.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What all clients of one store have in common.
#[derive(Clone, Debug)]
pub(crate) struct ClientManner {
    allows_http: bool,
    connect_timeout: Duration,
    /// For all of a request, where there is such a limit.
    timeout: Option<Duration>,
    /// How long sent bytes may stay unread: the kernel's limit for a connection.
    unread_timeout: Duration,
    /// Certificates that are trusted instead of the system's.
    ca_bundle: Option<PathBuf>,
}

impl ClientManner {
    /// As the storage client's options have it, with what they cannot say.
    pub(crate) fn new(
        options: &ClientOptions,
        read_timeout: Duration,
        ca_bundle: Option<PathBuf>,
    ) -> ClientManner {
        let value = |key| options.get_config_value(&key).unwrap_or_default();
        let duration = |key| {
            let parsed = value(key).parse::<jiff::SignedDuration>().ok();
            parsed.and_then(|it| Duration::try_from(it).ok())
        };
        ClientManner {
            allows_http: value(ClientConfigKey::AllowHttp) == "true",
            connect_timeout: duration(ClientConfigKey::ConnectTimeout).unwrap_or(CONNECT_TIMEOUT),
            timeout: duration(ClientConfigKey::Timeout),
            unread_timeout: read_timeout.max(CONNECT_TIMEOUT),
            ca_bundle,
        }
    }
}

/// The clients of a store, made late.
#[derive(Debug)]
pub(crate) struct LazyClient {
    exempt: NoProxyPorts,
    /// As the proxy variables say.
    usual_way: Clients,
    /// Past every proxy.
    direct: Clients,
}

/// Clients that trust little, or all that there is to trust.
#[derive(Debug)]
struct Clients {
    manner: ClientManner,
    is_direct: bool,
    /// The client that trusts the little that usually suffices.
    usual: OnceLock<Option<HttpClient>>,
    full: OnceLock<Result<HttpClient, Unusable>>,
}

/// Whose word counts for who a server is.
enum TrustedRoots {
    System,
    Only(Vec<Certificate>),
    /// The chosen bundle, with what it may hold besides authorities.
    Bundle(Box<rustls::ClientConfig>),
}

/// A client that cannot be made; nothing was sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot make an HTTP client: {cause}")]
pub(crate) struct Unusable {
    cause: String,
}

impl LazyClient {
    /// Reads nothing and connects to nothing yet.
    pub(crate) fn new(manner: ClientManner) -> LazyClient {
        LazyClient {
            exempt: NoProxyPorts::gather(),
            usual_way: Clients::new(manner.clone(), false),
            direct: Clients::new(manner, true),
        }
    }
}

impl Clients {
    fn new(manner: ClientManner, is_direct: bool) -> Clients {
        Clients {
            manner,
            is_direct,
            usual: OnceLock::new(),
            full: OnceLock::new(),
        }
    }

    fn full(&self) -> Result<&HttpClient, HttpError> {
        let make = || {
            let trust = match &self.manner.ca_bundle {
                None => TrustedRoots::System,
                Some(path) => {
                    let config = own_certificate::config(path);
                    TrustedRoots::Bundle(Box::new(config.map_err(|cause| Unusable { cause })?))
                }
            };
            self.make(trust)
        };
        let made = self.full.get_or_init(make).as_ref();
        made.map_err(|unusable| HttpError::new(HttpErrorKind::Unknown, unusable.clone()))
    }

    /// `None` where there is no cheaper one: for a chosen bundle, or what OpenSSL's variables say.
    fn usual(&self, request: &HttpRequest) -> Option<&HttpClient> {
        let is_plain = request.uri().scheme_str() == Some("http");
        self.usual
            .get_or_init(|| self.make_usual(is_plain))
            .as_ref()
    }

    fn make_usual(&self, is_plain: bool) -> Option<HttpClient> {
        if self.manner.ca_bundle.is_some() && !is_plain {
            return None;
        }
        let trusted = if is_plain { Vec::new() } else { system_file()? };
        self.make(TrustedRoots::Only(trusted)).ok()
    }

    /// A client that trusts so much. It follows no redirect: what a request carries is for the host
    /// that it was made for.
    fn make(&self, trust: TrustedRoots) -> Result<HttpClient, Unusable> {
        let ClientManner {
            allows_http,
            connect_timeout,
            timeout,
            unread_timeout,
            ..
        } = self.manner;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("barman-rs/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .dns_resolver(Shuffled)
            .http1_only()
            .connect_timeout(connect_timeout)
            .tcp_user_timeout(unread_timeout)
            .https_only(!allows_http);
        builder = match trust {
            TrustedRoots::System => builder,
            TrustedRoots::Only(certificates) => builder.tls_certs_only(certificates),
            TrustedRoots::Bundle(config) => builder.tls_backend_preconfigured(*config),
        };
        if let Some(timeout) = timeout {
            builder = builder.timeout(timeout);
        }
        if self.is_direct {
            builder = builder.no_proxy();
        }
        let made = builder.build().map(HttpClient::new);
        made.map_err(|error| Unusable {
            cause: innermost(&error),
        })
    }
}

/// The authorities in the system's file; `None` without one, when not all of it can be read, or
/// when something else was chosen.
fn system_file() -> Option<Vec<Certificate>> {
    if openssl_probe::has_ssl_cert_env_vars() {
        return None;
    }
    let pem = std::fs::read(openssl_probe::probe().cert_file?).ok()?;
    let certificates = Certificate::from_pem_bundle(&pem).ok()?;
    (!certificates.is_empty()).then_some(certificates)
}

#[async_trait]
impl HttpService for LazyClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let clients = if self.exempt.names(request.uri()) {
            &self.direct
        } else {
            &self.usual_way
        };
        let Some(usual) = clients.usual(&request) else {
            return clients.full()?.execute(request).await;
        };
        if clients.full.get().is_some() {
            return clients.full()?.execute(request).await;
        }
        match usual.execute(request.clone()).await {
            Err(error) if is_about_certificates(&error) => clients.full()?.execute(request).await,
            result => result,
        }
    }
}

/// Whether the server's certificate was refused, which happens before a request is sent.
pub(crate) fn is_about_certificates(error: &HttpError) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.to_string().contains("invalid peer certificate") {
            return true;
        }
        let inside = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match inside {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_lost_after_the_read_timeout() {
        let options = ClientOptions::new().with_allow_http(true);
        for (read_timeout, expected) in [(1, 5), (60, 60), (600, 600)] {
            let manner = ClientManner::new(&options, Duration::from_secs(read_timeout), None);
            assert_eq!(manner.unread_timeout, Duration::from_secs(expected));
        }
    }

    #[test]
    fn the_limits_of_the_storage_clients_hold() {
        let options = ClientOptions::new()
            .with_timeout(Duration::from_secs(7))
            .with_connect_timeout(Duration::from_millis(1500));
        let manner = ClientManner::new(&options, Duration::from_secs(60), None);
        assert!(!manner.allows_http);
        assert_eq!(manner.timeout, Some(Duration::from_secs(7)));
        assert_eq!(manner.connect_timeout, Duration::from_millis(1500));
        let manner = ClientManner::new(&options.with_timeout_disabled(), Duration::ZERO, None);
        assert_eq!(manner.timeout, None);
    }
}
