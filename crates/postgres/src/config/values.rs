//! The settings that are a choice among words, and how numbers and switches are read.
//!
//! An empty value stands for the default. (libpq refuses some empty values; a variable that a
//! container sets to nothing should not stop a backup.)

use super::ConfigError;
use crate::conninfo::Settings;

/// Declares an enum whose variants are the words of one keyword.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident of $keyword:literal, default $default:ident:
        $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Reads the keyword; absent or empty means the default.
            pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
                match settings.get($keyword) {
                    None | Some("") => Ok(Self::$default),
                    $(Some($word) => Ok(Self::$variant),)+
                    Some(value) => Err(ConfigError::BadValue {
                        keyword: $keyword,
                        value: value.to_owned(),
                        expected: [$($word),+].join(", "),
                    }),
                }
            }

            /// The word of the connection string.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

choice! {
    /// How much TLS is asked for. Unix sockets never use TLS, whatever is asked for.
    SslMode of "sslmode", default Prefer:
    /// Never.
    Disable = "disable",
    /// Without first, with TLS if that fails.
    Allow = "allow",
    /// With TLS first, without if that fails.
    Prefer = "prefer",
    /// Only with TLS; the chain is verified if a root certificate is at hand.
    Require = "require",
    /// Only with TLS and a verified chain.
    VerifyCa = "verify-ca",
    /// Only with TLS, a verified chain and a certificate for this host.
    VerifyFull = "verify-full",
}

choice! {
    /// How TLS begins.
    SslNegotiation of "sslnegotiation", default Postgres:
    /// With a request that the server may refuse.
    Postgres = "postgres",
    /// At once, as PostgreSQL 17 can.
    Direct = "direct",
}

choice! {
    /// Whether a client certificate is sent.
    SslCertMode of "sslcertmode", default Allow:
    /// Never.
    Disable = "disable",
    /// When there is one.
    Allow = "allow",
}

choice! {
    /// Whether SCRAM is bound to the TLS channel.
    ChannelBinding of "channel_binding", default Prefer:
    /// Never.
    Disable = "disable",
    /// When the server offers it.
    Prefer = "prefer",
    /// Always; any other authentication is refused.
    Require = "require",
}

choice! {
    /// Which kind of session is acceptable.
    TargetSession of "target_session_attrs", default Any:
    /// Any.
    Any = "any",
    /// One that can write.
    ReadWrite = "read-write",
    /// One that cannot.
    ReadOnly = "read-only",
    /// A server that is not in recovery.
    Primary = "primary",
    /// A server in recovery.
    Standby = "standby",
    /// A standby if there is one, else any.
    PreferStandby = "prefer-standby",
}

/// A number that may be absent; absent or empty is `None`.
pub(super) fn number(
    settings: &Settings,
    keyword: &'static str,
) -> Result<Option<i32>, ConfigError> {
    let Some(text) = settings
        .get(keyword)
        .map(str::trim)
        .filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| ConfigError::BadValue {
        keyword,
        value: text.to_owned(),
        expected: "an integer".to_owned(),
    })
}

/// A switch that is on unless it is set to `0`.
pub(super) fn on_by_default(
    settings: &Settings,
    keyword: &'static str,
) -> Result<bool, ConfigError> {
    Ok(number(settings, keyword)? != Some(0))
}
