//! The TLS settings of a connection, and which of them contradict each other.
//!
//! Files are named here and read in [`crate::tls`], when a connection is made. Source: PostgreSQL
//! manual, "SSL Support".

use std::path::PathBuf;

use super::ConfigError;
use super::values::{self, SslCertMode, SslMode, SslNegotiation};
use crate::Environment;
use crate::conninfo::Settings;

/// TLS settings of a connection; files are read when a connection is made.
#[derive(Debug, Clone)]
pub(crate) struct TlsSettings {
    pub mode: SslMode,
    pub negotiation: SslNegotiation,
    pub cert_mode: SslCertMode,
    pub root: RootCertificates,
    pub default_crl: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub sni: bool,
    pub tls12: bool,
    pub tls13: bool,
}

/// Where trusted certificate authorities come from.
#[derive(Debug, Clone)]
pub(crate) enum RootCertificates {
    /// `sslrootcert=system`.
    System,
    /// A file, which verification needs and the weaker modes use if it exists.
    File(PathBuf),
    /// No file named and no home directory to look in.
    Nowhere,
}

/// Reads the TLS keywords; files are only named here.
pub(super) fn read(
    settings: &Settings,
    environment: &Environment,
) -> Result<TlsSettings, ConfigError> {
    let path = |name| {
        settings
            .get(name)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    let in_home = |file: &str| Some(environment.home()?.join(".postgresql").join(file));
    let named_root = settings.get("sslrootcert").filter(|name| !name.is_empty());
    let mut mode = SslMode::read(settings)?;
    let root = match named_root {
        Some("system") => RootCertificates::System,
        Some(path) => RootCertificates::File(path.into()),
        None => in_home("root.crt").map_or(RootCertificates::Nowhere, RootCertificates::File),
    };
    if matches!(root, RootCertificates::System) {
        match settings.get("sslmode") {
            None | Some("" | "verify-full") => mode = SslMode::VerifyFull,
            Some(_) => {
                let conflict = "sslrootcert=system needs sslmode=verify-full";
                return Err(ConfigError::Conflict(conflict));
            }
        }
    }
    let negotiation = SslNegotiation::read(settings)?;
    let weak = matches!(mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer);
    if negotiation == SslNegotiation::Direct && weak {
        let conflict = "sslnegotiation=direct needs sslmode=require or stronger";
        return Err(ConfigError::Conflict(conflict));
    }
    let (tls12, tls13) = read_versions(settings)?;
    Ok(TlsSettings {
        mode,
        negotiation,
        cert_mode: SslCertMode::read(settings)?,
        root,
        default_crl: in_home("root.crl"),
        cert: path("sslcert").or_else(|| in_home("postgresql.crt")),
        key: path("sslkey").or_else(|| in_home("postgresql.key")),
        sni: values::on_by_default(settings, "sslsni")?,
        tls12,
        tls13,
    })
}

/// Which of TLS 1.2 and 1.3 lie between minimum and maximum; older ones are never spoken.
fn read_versions(settings: &Settings) -> Result<(bool, bool), ConfigError> {
    let version = |keyword, default| {
        let word = settings.get(keyword).unwrap_or("");
        match word.to_ascii_lowercase().as_str() {
            "" => Ok(default),
            "tlsv1" => Ok(10),
            "tlsv1.1" => Ok(11),
            "tlsv1.2" => Ok(12),
            "tlsv1.3" => Ok(13),
            _ => Err(ConfigError::BadValue {
                keyword,
                value: word.to_owned(),
                expected: "TLSv1, TLSv1.1, TLSv1.2, TLSv1.3".to_owned(),
            }),
        }
    };
    let lowest = version("ssl_min_protocol_version", 12)?;
    let highest = version("ssl_max_protocol_version", 13)?;
    let within = |version| (lowest..=highest).contains(&version);
    match (within(12), within(13)) {
        (false, false) => Err(ConfigError::Conflict(
            "ssl_max_protocol_version allows neither TLS 1.2 nor 1.3",
        )),
        versions => Ok(versions),
    }
}
