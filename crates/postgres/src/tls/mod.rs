//! TLS on a socket, with libpq's idea of whom to trust.
//!
//! Certificates and keys are read when a connection is made. The cryptography is aws-lc-rs, named
//! here, so no process-wide default is needed. What is verified is [`verify`]'s part, what a
//! certificate says is [`certificate`]'s. Differences from libpq: encrypted client keys, keys in
//! hardware and revocation lists are refused; a trusted file may hold an intermediate certificate
//! alone, or the server's own, which OpenSSL would not take for a root.

mod certificate;
mod verify;

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::values::{SslCertMode, SslMode, SslNegotiation};
use crate::config::{RootCertificates, TlsSettings};
pub use certificate::may_serve;
use verify::{Trust, Verifier};

/// Whom the socket leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server<'a> {
    /// The host as the user named it; nothing if only an address was given.
    pub name: Option<&'a str>,
    /// The address that was connected to.
    pub address: IpAddr,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot read {}: {cause}", path.display())]
    Read { path: PathBuf, cause: io::Error },
    #[error("{} holds no usable {what}: {cause}", path.display())]
    Pem {
        path: PathBuf,
        what: &'static str,
        cause: String,
    },
    #[error(
        "sslmode={mode} needs root certificates, but {} does not exist; name a file with \
         sslrootcert, or use sslrootcert=system", path.display()
    )]
    NoRootFile { mode: &'static str, path: PathBuf },
    #[error("sslmode={0} needs root certificates; name a file with sslrootcert")]
    NoRoot(&'static str),
    #[error("the system has no root certificates")]
    NoSystemRoots,
    #[error("revocation lists are not supported, but {} exists", .0.display())]
    RevocationList(PathBuf),
    #[error("client certificate {} has no private key {}", cert.display(), key.display())]
    NoKey { cert: PathBuf, key: PathBuf },
    #[error("private key {} is not a plain file", .0.display())]
    KeyNotAFile(PathBuf),
    #[error(
        "others have access to private key {}; it must be 0600, or 0640 if root owns it",
        .0.display()
    )]
    KeyPermissions(PathBuf),
    #[error("private key {} is encrypted, which is not supported", .0.display())]
    EncryptedKey(PathBuf),
    #[error("sslmode=verify-full needs a host name")]
    NoHostName,
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
    #[error("{}", handshake_text(.0))]
    Handshake(io::Error),
}

/// Speaks TLS to the server.
pub(crate) async fn connect(
    settings: &TlsSettings,
    server: Server<'_>,
    socket: TcpStream,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let config = client_config(settings, server)?;
    let connector = TlsConnector::from(Arc::new(config));
    connector
        .connect(sni_name(server), socket)
        .await
        .map_err(TlsError::Handshake)
}

/// The hash of the server's certificate, for SCRAM's channel binding.
pub(crate) fn end_point_hash(stream: &TlsStream<TcpStream>) -> Option<Vec<u8>> {
    certificate::end_point_hash(stream.get_ref().1.peer_certificates()?.first()?)
}

fn client_config(settings: &TlsSettings, server: Server<'_>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = match (settings.tls12, settings.tls13) {
        (true, false) => &[&rustls::version::TLS12],
        (false, true) => &[&rustls::version::TLS13],
        _ => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let host = match (settings.mode, server.name) {
        (SslMode::VerifyFull, None) => return Err(TlsError::NoHostName),
        (SslMode::VerifyFull, Some(name)) => Some(name.to_owned()),
        _ => None,
    };
    let verifier = Verifier {
        trust: read_trust(settings)?,
        host,
        algorithms: provider.signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match read_client_certificate(settings, &provider)? {
        Some(certified) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = settings.sni && server.name.is_some();
    if settings.negotiation == SslNegotiation::Direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(config)
}

/// The name that is sent ahead. A name that DNS could not hold is not sent, the address is put in
/// its place; what is verified does not depend on it.
fn sni_name(server: Server<'_>) -> ServerName<'static> {
    let name = server
        .name
        .and_then(|name| ServerName::try_from(name.to_owned()).ok());
    name.unwrap_or_else(|| ServerName::from(server.address))
}

/// Root certificates are needed by the verifying modes; as in libpq, a file that exists is used in
/// every mode, so `require` with a root file is `verify-ca`.
fn read_trust(settings: &TlsSettings) -> Result<Option<Trust>, TlsError> {
    let needed = matches!(settings.mode, SslMode::VerifyCa | SslMode::VerifyFull);
    let certificates = match &settings.root {
        RootCertificates::System => {
            let found = rustls_native_certs::load_native_certs().certs;
            if found.is_empty() {
                return Err(TlsError::NoSystemRoots);
            }
            found
        }
        RootCertificates::File(path) if path.exists() => read_certificates(path)?,
        RootCertificates::File(path) if needed => {
            let (mode, path) = (settings.mode.word(), path.clone());
            return Err(TlsError::NoRootFile { mode, path });
        }
        RootCertificates::Nowhere if needed => return Err(TlsError::NoRoot(settings.mode.word())),
        RootCertificates::File(_) | RootCertificates::Nowhere => return Ok(None),
    };
    if let Some(path) = settings.default_crl.as_ref().filter(|path| path.exists()) {
        return Err(TlsError::RevocationList(path.clone()));
    }
    Ok(Some(Trust::new(certificates)))
}

/// The client's certificate if its file exists; then its key must exist too.
fn read_client_certificate(
    settings: &TlsSettings,
    provider: &CryptoProvider,
) -> Result<Option<CertifiedKey>, TlsError> {
    let cert = settings.cert.as_ref().filter(|path| path.exists());
    let Some(cert) = cert.filter(|_| settings.cert_mode != SslCertMode::Disable) else {
        return Ok(None);
    };
    let chain = read_certificates(cert)?;
    let Some(key) = settings.key.as_ref().filter(|path| path.exists()) else {
        let key = settings.key.clone().unwrap_or_default();
        return Err(TlsError::NoKey {
            cert: cert.clone(),
            key,
        });
    };
    let key = provider.key_provider.load_private_key(read_key(key)?)?;
    // Whether key and certificate belong together is left to the server: the check of rustls does
    // not take certificates of X.509 version 1, as `openssl x509 -req` makes them.
    Ok(Some(CertifiedKey::new(chain, key)))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let bad = |cause| TlsError::Pem {
        path: path.to_owned(),
        what: "certificate",
        cause,
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates.map_err(|error| bad(error.to_string()))? {
        empty if empty.is_empty() => Err(bad("there is no PEM section".to_owned())),
        certificates => Ok(certificates),
    }
}

/// A key must be private by libpq's rule: 0600, or 0640 when it belongs to root.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let unreadable = |cause| TlsError::Read {
        path: path.to_owned(),
        cause,
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(TlsError::KeyNotAFile(path.to_owned()));
    }
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.permissions().mode() & forbidden != 0 {
        return Err(TlsError::KeyPermissions(path.to_owned()));
    }
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let encrypted = bytes.windows(9).any(|window| window == b"ENCRYPTED");
        if encrypted {
            return TlsError::EncryptedKey(path.to_owned());
        }
        TlsError::Pem {
            path: path.to_owned(),
            what: "private key",
            cause: error.to_string(),
        }
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|cause| TlsError::Read {
        path: path.to_owned(),
        cause,
    })
}

/// The cause inside an I/O error of the handshake, in words.
fn handshake_text(error: &io::Error) -> String {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(rustls::Error::InvalidCertificate(cause)) => {
            let cause = match cause {
                CertificateError::UnknownIssuer => "no trusted root certificate leads to it".into(),
                CertificateError::BadEncoding => "it is malformed".into(),
                CertificateError::BadSignature => "its signature is wrong".into(),
                CertificateError::InvalidPurpose => "it is not for servers".into(),
                CertificateError::Other(other) => other.0.to_string(),
                other => other.to_string(),
            };
            format!("the server's certificate is not accepted: {cause}")
        }
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    }
}
