//! An HTTP client that is made when its first request needs it, and trusts no more than that asks.
//!
//! Programs that send one request, such as an `archive_command`, pay for every certificate they
//! parse. So plain HTTP loads none; TLS trusts the one file in which the system keeps all its
//! authorities; and only when those did not sign the server's certificate is everything loaded
//! that the system trusts, its directories included, and the request sent again. Always true:
//! what is trusted in the end is exactly what `rustls-native-certs` finds, or the bundle that was
//! chosen; a request is sent again only if nobody got it, for the certificate comes first.

use std::sync::OnceLock;

use async_trait::async_trait;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest,
    HttpResponse, HttpService, ReqwestConnector,
};
use object_store::{Certificate, ClientOptions};

use crate::failure::diagnose;

/// A client for these options, made late.
#[derive(Debug)]
pub(crate) struct LateClient {
    options: ClientOptions,
    /// The client that trusts the little that usually suffices.
    usual: OnceLock<Option<HttpClient>>,
    /// The client that trusts all that there is to trust.
    full: OnceLock<Result<HttpClient, Unusable>>,
}

/// A client that cannot be made; nothing was sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot make an HTTP client: {cause}")]
pub(crate) struct Unusable {
    cause: String,
}

impl LateClient {
    /// Reads nothing and connects to nothing yet.
    pub(crate) fn new(options: ClientOptions) -> LateClient {
        LateClient {
            options,
            usual: OnceLock::new(),
            full: OnceLock::new(),
        }
    }

    fn full(&self) -> Result<&HttpClient, HttpError> {
        let make = || make(&self.options);
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
        let chosen = ClientConfigKey::NoSystemCertificates;
        if self.options.get_config_value(&chosen).as_deref() == Some("true") {
            return None;
        }
        let mut options = self.options.clone().with_no_system_certificates(true);
        if !is_plain {
            for certificate in system_file()? {
                options = options.with_root_certificate(certificate);
            }
        }
        make(&options).ok()
    }
}

fn make(options: &ClientOptions) -> Result<HttpClient, Unusable> {
    let made = ReqwestConnector::default().connect(options);
    made.map_err(|error| Unusable {
        cause: diagnose(&error).cause,
    })
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
impl HttpService for LateClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let Some(usual) = self.usual(&request) else {
            return self.full()?.execute(request).await;
        };
        if self.full.get().is_some() {
            return self.full()?.execute(request).await;
        }
        match usual.execute(request.clone()).await {
            Err(error) if is_about_certificates(&error) => self.full()?.execute(request).await,
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
