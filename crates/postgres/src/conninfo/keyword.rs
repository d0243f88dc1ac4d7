//! The table of connection keywords: every one that libpq 18 knows, the environment variable that
//! sets it, and what this crate makes of it.
//!
//! A keyword that libpq does not know is an error. One that we know and do not support is an error
//! too when ignoring it could weaken a connection or change its meaning; it is accepted without
//! effect when it cannot. Source: PostgreSQL 18 manual, "Parameter Key Words" and "Environment
//! Variables".

/// What this crate does with a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It means what it means to libpq.
    Honoured,
    /// It is accepted and changes nothing here.
    NoEffect,
    /// Only these values are accepted, and they change nothing here.
    Only(&'static [&'static str]),
    /// Any value that is not empty is refused.
    Refused,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyword {
    /// The keyword as it is written in a connection string.
    pub name: &'static str,
    /// The environment variable that gives its default.
    pub variable: Option<&'static str>,
    /// What becomes of it here.
    pub support: Support,
}

/// Looks a keyword up by its exact name.
pub fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}

/// Keywords whose value must never be shown.
pub fn is_secret(name: &str) -> bool {
    let secrets = [
        "password",
        "sslpassword",
        "scram_client_key",
        "scram_server_key",
        "oauth_client_secret",
    ];
    secrets.contains(&name)
}

const fn row(name: &'static str, variable: &'static str, support: Support) -> Keyword {
    Keyword {
        name,
        variable: Some(variable),
        support,
    }
}

const fn unset_by_environment(name: &'static str, support: Support) -> Keyword {
    Keyword {
        name,
        variable: None,
        support,
    }
}

use Support::{Honoured, NoEffect, Only, Refused};

/// Every keyword of libpq 18.
///
/// Remarks on those that are not simply honoured:
/// - `client_encoding`: text is always asked for as UTF-8, whatever is set.
/// - `gssencmode`, `krbsrvname`, `gsslib`, `gssdelegation`: GSSAPI is never used; a server that
///   insists on it is refused when it asks.
/// - `sslcompression`: libpq itself ignores it since version 14.
/// - `sslcrl`, `sslcrldir`: revocation lists are not read, so naming one is refused.
/// - `sslcertmode`: `allow` is what happens, `disable` is honoured by the TLS settings.
/// - `min_protocol_version`, `max_protocol_version`: version 3.0 is spoken, which every supported
///   server understands.
pub const KEYWORDS: &[Keyword] = &[
    row("service", "PGSERVICE", Honoured),
    row("servicefile", "PGSERVICEFILE", Honoured),
    row("user", "PGUSER", Honoured),
    row("password", "PGPASSWORD", Honoured),
    row("passfile", "PGPASSFILE", Honoured),
    row("require_auth", "PGREQUIREAUTH", Refused),
    row("channel_binding", "PGCHANNELBINDING", Honoured),
    row("connect_timeout", "PGCONNECT_TIMEOUT", Honoured),
    row("dbname", "PGDATABASE", Honoured),
    row("host", "PGHOST", Honoured),
    row("hostaddr", "PGHOSTADDR", Honoured),
    row("port", "PGPORT", Honoured),
    row("client_encoding", "PGCLIENTENCODING", NoEffect),
    row("options", "PGOPTIONS", Honoured),
    row("application_name", "PGAPPNAME", Honoured),
    unset_by_environment("fallback_application_name", Honoured),
    unset_by_environment("keepalives", Honoured),
    unset_by_environment("keepalives_idle", Honoured),
    unset_by_environment("keepalives_interval", Honoured),
    unset_by_environment("keepalives_count", Honoured),
    unset_by_environment("tcp_user_timeout", Honoured),
    row("sslmode", "PGSSLMODE", Honoured),
    row("sslnegotiation", "PGSSLNEGOTIATION", Honoured),
    row("sslcompression", "PGSSLCOMPRESSION", NoEffect),
    row("sslcert", "PGSSLCERT", Honoured),
    row("sslkey", "PGSSLKEY", Honoured),
    row("sslcertmode", "PGSSLCERTMODE", Honoured),
    unset_by_environment("sslpassword", NoEffect),
    row("sslrootcert", "PGSSLROOTCERT", Honoured),
    row("sslcrl", "PGSSLCRL", Refused),
    row("sslcrldir", "PGSSLCRLDIR", Refused),
    row("sslsni", "PGSSLSNI", Honoured),
    row("requirepeer", "PGREQUIREPEER", Honoured),
    row(
        "ssl_min_protocol_version",
        "PGSSLMINPROTOCOLVERSION",
        Honoured,
    ),
    row(
        "ssl_max_protocol_version",
        "PGSSLMAXPROTOCOLVERSION",
        Honoured,
    ),
    row(
        "min_protocol_version",
        "PGMINPROTOCOLVERSION",
        Only(&["3.0"]),
    ),
    row(
        "max_protocol_version",
        "PGMAXPROTOCOLVERSION",
        Only(&["3.0", "3.2", "latest"]),
    ),
    row("gssencmode", "PGGSSENCMODE", Only(&["disable", "prefer"])),
    row("krbsrvname", "PGKRBSRVNAME", NoEffect),
    row("gsslib", "PGGSSLIB", NoEffect),
    row("gssdelegation", "PGGSSDELEGATION", NoEffect),
    unset_by_environment("replication", Honoured),
    row("target_session_attrs", "PGTARGETSESSIONATTRS", Honoured),
    row(
        "load_balance_hosts",
        "PGLOADBALANCEHOSTS",
        Only(&["disable"]),
    ),
    unset_by_environment("scram_client_key", Refused),
    unset_by_environment("scram_server_key", Refused),
    unset_by_environment("sslkeylogfile", Refused),
    unset_by_environment("oauth_issuer", Refused),
    unset_by_environment("oauth_client_id", Refused),
    unset_by_environment("oauth_client_secret", Refused),
    unset_by_environment("oauth_scope", Refused),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_and_a_variable_occur_once() {
        let mut names: Vec<_> = KEYWORDS.iter().map(|keyword| keyword.name).collect();
        let mut variables: Vec<_> = KEYWORDS.iter().filter_map(|row| row.variable).collect();
        let counts = (names.len(), variables.len());
        names.sort_unstable();
        names.dedup();
        variables.sort_unstable();
        variables.dedup();
        assert_eq!((names.len(), variables.len()), counts);
    }
}
