//! A server whose own certificate is in the bundle that the user chose.
//!
//! `openssl req -x509` marks what it makes as an authority, and rustls takes no authority for a
//! server; OpenSSL, and so Python, trusts what is in the bundle as what it is. So does this client.
//! Always true: it must be the very certificate, in its time, for servers, and for this host.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// A TLS client that trusts the certificates of a PEM file, also as servers' own.
pub(crate) fn config(bundle: &Path) -> Result<ClientConfig, String> {
    let config = read_config(bundle);
    config.map_err(|error| format!("CA bundle {}: {error}", bundle.display()))
}

fn read_config(bundle: &Path) -> Result<ClientConfig, Box<dyn std::error::Error>> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(bundle)?.collect::<Result<_, _>>()?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates.iter().cloned());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = Arc::new(roots);
    let usual =
        WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?;
    let verifier = BundleVerifier {
        usual,
        certificates,
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[derive(Debug)]
struct BundleVerifier {
    usual: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for BundleVerifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = self
            .usual
            .verify_server_cert(server, intermediates, name, ocsp_response, now);
        chain.or_else(|error| {
            let is_trusted = self.certificates.iter().any(|trusted| trusted == server);
            if !is_trusted || !postgres::may_serve(server, now.as_secs()) {
                return Err(error);
            }
            verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
            Ok(ServerCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn certificate(is_ca: IsCa, days: i64) -> (String, CertificateDer<'static>) {
        let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        parameters.is_ca = is_ca;
        parameters.not_after = parameters.not_before
            + std::time::Duration::from_secs(86_400 * u64::try_from(days).unwrap());
        let made = parameters
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap();
        (made.pem(), made.der().clone())
    }

    fn verify(
        bundle: &str,
        server: &CertificateDer<'_>,
        name: &str,
        now: u64,
    ) -> Result<(), Error> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bundle.pem");
        std::fs::write(&path, bundle).unwrap();
        let certificates: Vec<_> = CertificateDer::pem_file_iter(&path)
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        let verifier = BundleVerifier {
            usual,
            certificates,
        };
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
        let verified = verifier.verify_server_cert(server, &[], &name, &[], now);
        verified.map(|_| ())
    }

    /// A day after rcgen's first, in 1975.
    const THEN: u64 = 157_766_400 + 86_400;

    #[test]
    fn a_certificate_in_the_bundle_is_trusted_as_what_it_is() {
        for is_ca in [
            IsCa::Ca(BasicConstraints::Unconstrained),
            IsCa::NoCa,
            IsCa::ExplicitNoCa,
        ] {
            let (pem, der) = certificate(is_ca, 9);
            verify(&pem, &der, "localhost", THEN).unwrap();
            verify(&pem, &der, "elsewhere", THEN).unwrap_err();
            verify(&pem, &der, "localhost", THEN + 86_400 * 30).unwrap_err();
            let (other, _) = certificate(IsCa::Ca(BasicConstraints::Unconstrained), 9);
            verify(&other, &der, "localhost", THEN).unwrap_err();
        }
    }
}
