//! Azure Blob Storage and its emulators: settings, credentials, transport, then a container.
//!
//! Always true: the account's key signs requests and never leaves the process; a shared access
//! signature is part of every address, and no address that has one is shown.

mod connection_string;
mod container;
mod credentials;
mod endpoint;
mod listing;
mod settings;
#[cfg(test)]
mod settings_tests;
mod transport;

use std::sync::Arc;

use engine::store::Bucket;
use http::HeaderValue;
use object_store::azure::{AzureAccessKey, AzureCredential, MicrosoftAzureBuilder};

use crate::persistence::Persistence;
use crate::transport::{self as http_transport, BadCaBundle, Connector, Scheme, StoreConnector};

use container::Container;
pub use credentials::{CredentialKind, CredentialSource};
pub use endpoint::AccountUrl;
pub(crate) use endpoint::{is_account_host, parse_url};
pub use settings::{AzureSettings, SettingsError};
pub(crate) use transport::Intent;

/// What `object_store` calls this store in its errors.
pub(crate) const STORE: &str = "MicrosoftAzure";
/// Barman's smallest part; Azure itself has no limit below.
const MIN_PART_SIZE: u64 = 64 * 1024;
/// Microsoft, "Scalability targets for Blob storage", blocks in a block blob.
const MAX_PARTS: u64 = 50_000;

/// A client that could not be made; no request was sent.
#[derive(Debug, thiserror::Error)]
pub enum AzureOpenError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    CaBundle(#[from] BadCaBundle),
    #[error("cannot make a client for container {container}: {source}")]
    Client {
        container: String,
        source: object_store::Error,
    },
}

/// Opens a container: no request is sent yet.
pub(crate) fn open(
    container: &str,
    url: String,
    settings: &AzureSettings,
    persistence: &Persistence,
) -> Result<Bucket, AzureOpenError> {
    let failed = |source| AzureOpenError::Client {
        container: container.into(),
        source,
    };
    let scheme = if settings.account.is_tls() {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let client = http_transport::client_options(scheme, settings.ca_bundle.as_deref())?;
    let connector = Connector {
        read_timeout: settings.read_timeout,
        metadata_host: None,
        ca_bundle: settings.ca_bundle.clone(),
        persistence: persistence.clone(),
    };
    let asking = match settings.credentials {
        CredentialSource::AccountKey(_) | CredentialSource::SharedAccessSignature(_) => scheme,
        _ => Scheme::Https,
    };
    let asking = http_transport::client_options(asking, settings.ca_bundle.as_deref())?;
    let provider = credentials::provider(&settings.credentials, &asking, &connector);
    let dialect = transport::Blobs {
        encryption_scope: encryption_scope(settings)?,
        key: signing_key(settings).map_err(failed)?,
    };
    let connector = StoreConnector {
        plain: connector,
        dialect: Arc::new(dialect),
    };
    let builder = MicrosoftAzureBuilder::new()
        .with_account(settings.account.account())
        .with_endpoint(settings.account.to_string())
        .with_container_name(container)
        .with_credentials(provider.map_err(failed)?)
        .with_client_options(client)
        .with_retry(http_transport::resumptions())
        .with_http_connector(connector);
    let store = builder.build().map_err(failed)?;
    let container = Arc::new(Container {
        store,
        writing: settings.writing.clone(),
    });
    Ok(Bucket {
        objects: container.clone(),
        lister: container,
        url,
        min_part_size: MIN_PART_SIZE,
        max_parts: MAX_PARTS,
        locks: None,
    })
}

fn encryption_scope(settings: &AzureSettings) -> Result<Option<HeaderValue>, SettingsError> {
    let bad = |_| SettingsError::BadValue {
        name: "encryption scope".into(),
        cause: "it has characters that no scope can have",
    };
    let scope = settings.writing.encryption_scope.as_deref();
    scope.map(HeaderValue::from_str).transpose().map_err(bad)
}

fn signing_key(
    settings: &AzureSettings,
) -> object_store::Result<Option<(String, Arc<AzureCredential>)>> {
    let CredentialSource::AccountKey(key) = &settings.credentials else {
        return Ok(None);
    };
    let key = AzureAccessKey::try_new(key.reveal().trim())?;
    let account = settings.account.account().to_owned();
    Ok(Some((account, Arc::new(AzureCredential::AccessKey(key)))))
}
