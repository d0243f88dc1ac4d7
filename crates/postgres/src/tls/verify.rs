//! Whether a server's certificate is good enough, by libpq's rules.
//!
//! Three steps: without root certificates nothing is asked; with them the chain must lead to one;
//! with a host (`verify-full`) the certificate must be for it. Chains are verified by rustls.
//! Where OpenSSL accepts what rustls refuses on principle - a certificate that is its own root,
//! one marked as an authority, one of X.509 version 1 - it must be a root itself or be signed
//! directly by one.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::verify_tls13_signature_with_raw_key;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificate::Parsed;

/// The root certificates.
#[derive(Debug)]
pub(super) struct Trust {
    certificates: Vec<CertificateDer<'static>>,
    store: RootCertStore,
}

impl Trust {
    pub(super) fn new(certificates: Vec<CertificateDer<'static>>) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates.iter().cloned());
        Self {
            certificates,
            store,
        }
    }
}

/// Verifies the server of one connection.
#[derive(Debug)]
pub(super) struct Verifier {
    /// Nothing means that any certificate will do.
    pub trust: Option<Trust>,
    /// The host that the certificate must be for.
    pub host: Option<String>,
    pub algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn verify_chain(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        trust: &Trust,
        now: UnixTime,
    ) -> Result<(), Error> {
        let verified = ParsedCertificate::try_from(server).and_then(|parsed| {
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &trust.store,
                intermediates,
                now,
                self.algorithms.all,
            )
        });
        verified.or_else(|error| self.verify_directly(server, trust, now).ok_or(error))
    }

    /// A certificate that rustls takes for no server's at all, yet is trusted without a chain.
    fn verify_directly(
        &self,
        server: &CertificateDer<'_>,
        trust: &Trust,
        now: UnixTime,
    ) -> Option<()> {
        let parsed = Parsed::parse(server)?;
        let is_root = trust.certificates.iter().any(|root| root == server);
        let unusual = is_root || parsed.is_version_1() || parsed.is_authority();
        if !unusual || !parsed.is_for_servers() || !parsed.is_valid_at(now.as_secs()) {
            return None;
        }
        let signed = || {
            let mut roots = trust.certificates.iter().filter_map(Parsed::parse);
            roots.any(|root| {
                (root.is_authority() || root.is_version_1())
                    && parsed.is_signed_by(&root, self.algorithms.all)
            })
        };
        (is_root || signed()).then_some(())
    }

    fn verify_host(&self, server: &CertificateDer<'_>, host: &str) -> Result<(), Error> {
        match Parsed::parse(server) {
            Some(parsed) if parsed.is_for_host(host) => Ok(()),
            Some(_) => {
                let text = format!("it is not for host \"{host}\"");
                Err(
                    CertificateError::Other(rustls::OtherError(std::sync::Arc::new(
                        std::io::Error::other(text),
                    )))
                    .into(),
                )
            }
            None => Err(CertificateError::BadEncoding.into()),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trust) = &self.trust {
            self.verify_chain(end_entity, intermediates, trust, now)?;
        }
        if let Some(host) = &self.host {
            self.verify_host(end_entity, host)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = verify_tls12_signature(message, cert, dss, &self.algorithms);
        verified.or_else(|error| {
            let parsed = Parsed::parse(cert).filter(Parsed::is_version_1);
            let schemes = self
                .algorithms
                .mapping
                .iter()
                .filter(|(scheme, _)| *scheme == dss.scheme);
            let mut algorithms = schemes.flat_map(|(_, algorithms)| *algorithms);
            let valid = parsed.is_some_and(|parsed| {
                algorithms.any(|it| parsed.has_signed(*it, message, dss.signature()))
            });
            if valid {
                Ok(HandshakeSignatureValid::assertion())
            } else {
                Err(error)
            }
        })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let parsed = Parsed::parse(cert).filter(Parsed::is_version_1);
        match parsed.and_then(|parsed| parsed.public_key_der()) {
            None => verify_tls13_signature(message, cert, dss, &self.algorithms),
            Some(key) => {
                let key = SubjectPublicKeyInfoDer::from(key);
                verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms)
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
