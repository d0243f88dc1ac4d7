//! From options and environment to settled settings: a pure function.
//!
//! As in Barman a connection string decides about the address too; the URL's account must be its.

use std::path::PathBuf;
use std::time::Duration;

use super::connection_string::{self, ConnectionString};
use crate::environment::Environment;
use crate::identity::azure::{self as identity, AzureCredentialSource, AzureSettingsError};
use crate::location::AccountUrl;
use crate::options::{AzureOptions, StoreOptions};

/// What the Azure client needs to know, apart from the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureSettings {
    /// Where requests go, and whose they are.
    pub account: AccountUrl,
    /// Where credentials come from.
    pub credentials: AzureCredentialSource,
    /// A PEM file whose certificates are trusted instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// How long a connection may be silent.
    pub read_timeout: Duration,
    /// How blobs are written.
    pub writing: AzureOptions,
}

impl AzureSettings {
    /// Settles every setting. No I/O.
    pub fn resolve(
        url: &AccountUrl,
        options: &StoreOptions,
        environment: &Environment,
    ) -> Result<Self, AzureSettingsError> {
        let (account, found) = account_and_credentials(url, options, environment)?;
        Ok(AzureSettings {
            account,
            credentials: found,
            ca_bundle: environment.path("REQUESTS_CA_BUNDLE"),
            read_timeout: options.read_timeout,
            writing: options.azure.clone(),
        })
    }
}

/// Barman's order: the option, then the connection string, a signature, a key, the default chain.
fn account_and_credentials(
    url: &AccountUrl,
    options: &StoreOptions,
    environment: &Environment,
) -> Result<(AccountUrl, AzureCredentialSource), AzureSettingsError> {
    if let Some(kind) = options.azure.credential {
        return Ok((url.clone(), identity::of_kind(kind, environment)?));
    }
    if let Some(text) = environment.get(connection_string::VARIABLE) {
        let string = ConnectionString::parse(text)?;
        if string.account.account() != url.account() {
            return Err(AzureSettingsError::OtherAccount {
                url: url.account().into(),
                variable: connection_string::VARIABLE,
                other: string.account.account().into(),
            });
        }
        let found = match (string.sas, string.key) {
            (Some(sas), _) => identity::sas(connection_string::VARIABLE, sas)?,
            (None, Some(key)) => identity::key(connection_string::VARIABLE, key)?,
            (None, None) => identity::default_chain(environment)?,
        };
        return Ok((string.account, found));
    }
    Ok((url.clone(), identity::find(environment)?))
}
