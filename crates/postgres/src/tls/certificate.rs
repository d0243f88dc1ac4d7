//! What a server certificate says: names, channel-binding hash, and the oddities that OpenSSL
//! accepts and rustls does not.
//!
//! Parsing is `x509-cert`'s; chains are built by rustls in [`super::verify`].

use std::net::IpAddr;

use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, SignatureVerificationAlgorithm, alg_id,
};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::{Certificate, Version};

/// A parsed certificate.
pub(super) struct Parsed(Certificate);

impl Parsed {
    /// Parses DER; nothing if it is malformed.
    pub(super) fn parse(der: &CertificateDer<'_>) -> Option<Self> {
        Certificate::from_der(der).ok().map(Self)
    }

    /// Whether this certificate is for the host, by libpq's rules: an alternative name of the
    /// host's kind (DNS or address) rules out the common name; DNS names are also compared with an
    /// address as text; `*.` stands for one label.
    pub(super) fn is_for_host(&self, host: &str) -> bool {
        let address: Option<IpAddr> = host.parse().ok();
        let names = self.0.tbs_certificate().get_extension::<SubjectAltName>();
        // A malformed list of names fits nobody.
        let Ok(names) = names else { return false };
        let names = names.map(|(_, names)| names.0).unwrap_or_default();
        let mut common_name_counts = true;
        for name in &names {
            let fits = match name {
                GeneralName::DnsName(pattern) => {
                    common_name_counts &= address.is_some();
                    name_fits(pattern.as_str(), host)
                }
                GeneralName::IpAddress(bytes) => {
                    common_name_counts &= address.is_none();
                    address.is_some_and(|address| octets(address) == bytes.as_bytes())
                }
                _ => false,
            };
            if fits {
                return true;
            }
        }
        common_name_counts
            && self
                .common_name()
                .is_some_and(|name| name_fits(&name, host))
    }

    fn common_name(&self) -> Option<String> {
        let name = self.0.tbs_certificate().subject().common_name().ok()??;
        Some(name.value().into_owned())
    }

    /// Version 1 has no extensions; rustls refuses it, OpenSSL makes it by default before 3.2.
    pub(super) fn is_version_1(&self) -> bool {
        self.0.tbs_certificate().version() == Version::V1
    }

    /// Whether it is marked as a certificate authority.
    pub(super) fn is_authority(&self) -> bool {
        let constraints = self.0.tbs_certificate().get_extension::<BasicConstraints>();
        matches!(
            constraints,
            Ok(Some((_, BasicConstraints { ca: true, .. })))
        )
    }

    /// Whether a TLS server may use it: no list of uses, or one with server authentication.
    pub(super) fn is_for_servers(&self) -> bool {
        match self.0.tbs_certificate().get_extension::<ExtendedKeyUsage>() {
            Ok(Some((_, uses))) => uses.0.contains(&SERVER_AUTHENTICATION),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Whether it is valid at this time, in seconds since 1970.
    pub(super) fn is_valid_at(&self, unix_seconds: u64) -> bool {
        let validity = self.0.tbs_certificate().validity();
        let from = validity.not_before.to_unix_duration().as_secs();
        let until = validity.not_after.to_unix_duration().as_secs();
        (from..=until).contains(&unix_seconds)
    }

    /// Whether the other certificate names itself as this one's issuer and its key signed this.
    pub(super) fn is_signed_by(
        &self,
        issuer: &Parsed,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> bool {
        let named = self.0.tbs_certificate().issuer() == issuer.0.tbs_certificate().subject();
        let (Ok(signed), Some(signature)) = (
            self.0.tbs_certificate().to_der(),
            self.0.signature().as_bytes(),
        ) else {
            return false;
        };
        let made_with = identifier(self.0.signature_algorithm());
        named
            && algorithms
                .iter()
                .filter(|algorithm| Some(algorithm.signature_alg_id()) == made_with)
                .any(|algorithm| issuer.has_signed(*algorithm, &signed, signature))
    }

    /// Whether this certificate's key made the signature with this algorithm.
    pub(super) fn has_signed(
        &self,
        algorithm: &dyn SignatureVerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let key = self.0.tbs_certificate().subject_public_key_info();
        identifier(&key.algorithm) == Some(algorithm.public_key_alg_id())
            && key
                .subject_public_key
                .as_bytes()
                .is_some_and(|key| algorithm.verify_signature(key, message, signature).is_ok())
    }

    /// The public key with its algorithm, in DER.
    pub(super) fn public_key_der(&self) -> Option<Vec<u8>> {
        self.0
            .tbs_certificate()
            .subject_public_key_info()
            .to_der()
            .ok()
    }
}

/// Whether a certificate is one for a TLS server, at this time in seconds since 1970.
pub fn may_serve(der: &CertificateDer<'_>, unix_seconds: u64) -> bool {
    let parsed = Parsed::parse(der);
    parsed.is_some_and(|it| it.is_for_servers() && it.is_valid_at(unix_seconds))
}

/// RFC 5929 `tls-server-end-point`: the certificate hashed as its signature was, MD5 and SHA-1
/// replaced by SHA-256. Nothing for algorithms without a hash of their own, such as Ed25519.
pub(super) fn end_point_hash(der: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(der).ok()?;
    match certificate.signature_algorithm().oid.to_string().as_str() {
        // RSA with MD5, SHA-1, SHA-256; ECDSA with SHA-1, SHA-256.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Some(Sha256::digest(der).to_vec()),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(Sha384::digest(der).to_vec()),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(Sha512::digest(der).to_vec()),
        _ => None,
    }
}

/// `id-kp-serverAuth` of RFC 5280.
const SERVER_AUTHENTICATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// The identifier as rustls writes it: without the header of the outer sequence.
fn identifier(algorithm: &AlgorithmIdentifierOwned) -> Option<AlgorithmIdentifier> {
    let der = algorithm.to_der().ok()?;
    // Identifiers of the known algorithms are shorter than 128 bytes: a header of two.
    let (header, body) = der.split_at_checked(2)?;
    let known = header[1] < 0x80;
    known
        .then(|| {
            KNOWN_IDENTIFIERS
                .iter()
                .copied()
                .find(|id| id.as_ref() == body)
        })
        .flatten()
}

/// The identifiers that certificates for servers use.
const KNOWN_IDENTIFIERS: [AlgorithmIdentifier; 14] = [
    alg_id::ECDSA_P256,
    alg_id::ECDSA_P384,
    alg_id::ECDSA_P521,
    alg_id::ECDSA_SHA256,
    alg_id::ECDSA_SHA384,
    alg_id::ECDSA_SHA512,
    alg_id::RSA_ENCRYPTION,
    alg_id::RSA_PKCS1_SHA256,
    alg_id::RSA_PKCS1_SHA384,
    alg_id::RSA_PKCS1_SHA512,
    alg_id::RSA_PSS_SHA256,
    alg_id::RSA_PSS_SHA384,
    alg_id::RSA_PSS_SHA512,
    alg_id::ED25519,
];

/// Compares a certificate's name with a host, letter case aside. A wildcard is `*.` at the start
/// and stands for one label, never for several.
fn name_fits(pattern: &str, host: &str) -> bool {
    if pattern.contains('\0') {
        return false;
    }
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(domain), Some((label, rest))) => {
            !label.is_empty() && !domain.is_empty() && domain.eq_ignore_ascii_case(rest)
        }
        _ => false,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let table = [
            ("db.example.org", "DB.example.org", true),
            ("*.example.org", "db.example.org", true),
            ("*.example.org", "a.db.example.org", false),
            ("*.example.org", "example.org", false),
            ("*.example.org", ".example.org", false),
            ("d*.example.org", "db.example.org", false),
            ("*", "db", false),
            ("db\0.example.org", "db", false),
        ];
        for (pattern, host, expected) in table {
            assert_eq!(name_fits(pattern, host), expected, "{pattern} {host}");
        }
    }
}
