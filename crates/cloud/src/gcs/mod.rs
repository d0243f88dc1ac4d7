//! Google Cloud Storage and its emulators: settings, credentials, transport, then a bucket.
//!
//! Objects go over the XML API, whose multipart uploads keep memory small; Google's clients and
//! Barman see the same objects through the JSON API.

mod credentials;
mod endpoint;
mod key_file;
mod objects;
mod settings;
#[cfg(test)]
mod token_tests;
mod tokens;
mod transport;

use std::sync::Arc;

use engine::store::Bucket;
use http::HeaderValue;
use object_store::gcp::GoogleCloudStorageBuilder;

use crate::persistence::Persistence;
use crate::transport::{self as http_transport, BadCaBundle, Connector, Scheme, StoreConnector};

pub use credentials::CredentialSource;
pub use endpoint::Endpoint;
pub(crate) use endpoint::{CONSOLE, parse_path};
use objects::Objects;
pub(crate) use settings::project;
pub use settings::{GcsSettings, SettingsError};
pub(crate) use transport::Intent;

/// What `object_store` calls this store in its errors.
pub(crate) const STORE: &str = "GCS";
/// Google Cloud, "XML API multipart uploads", "Requirements and limits".
const MIN_PART_SIZE: u64 = 5 * 1024 * 1024;
/// Google Cloud, "XML API multipart uploads", "Requirements and limits".
const MAX_PARTS: u64 = 10_000;

/// A client that could not be made; no request was sent.
#[derive(Debug, thiserror::Error)]
pub enum GcsOpenError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    CaBundle(#[from] BadCaBundle),
    #[error("cannot make a client for bucket {bucket}: {source}")]
    Client {
        bucket: String,
        source: object_store::Error,
    },
}

/// Opens a bucket: no request is sent yet.
pub(crate) fn open(
    bucket: &str,
    url: String,
    settings: &GcsSettings,
    persistence: &Persistence,
) -> Result<Bucket, GcsOpenError> {
    let failed = |source| GcsOpenError::Client {
        bucket: bucket.into(),
        source,
    };
    let scheme = if settings.endpoint.url().starts_with("https:") {
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
    let dialect = transport::Speaker {
        kms_key_name: kms_key_name(settings)?,
        is_anonymous: settings.credentials == CredentialSource::Anonymous,
    };
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_base_url(settings.endpoint.url())
        .with_client_options(client.clone())
        .with_retry(http_transport::resumptions())
        .with_http_connector(StoreConnector {
            plain: connector.clone(),
            dialect: Arc::new(dialect),
        });
    let builder = match &settings.credentials {
        CredentialSource::ServiceAccount(key) => builder.with_service_account_key(key.reveal()),
        source => {
            let provider = tokens::provider(source, &client, &connector);
            builder.with_credentials(provider.map_err(failed)?)
        }
    };
    let store = builder.build().map_err(failed)?;
    Ok(Bucket {
        lister: Arc::new(store.clone()),
        objects: Arc::new(Objects(store)),
        url,
        min_part_size: MIN_PART_SIZE,
        max_parts: MAX_PARTS,
        locks: None,
    })
}

fn kms_key_name(settings: &GcsSettings) -> Result<Option<HeaderValue>, SettingsError> {
    let bad = |_| SettingsError::BadValue {
        name: "KMS key name".into(),
        cause: "it has characters that no key name can have",
    };
    let name = settings.kms_key_name.as_deref();
    name.map(HeaderValue::from_str).transpose().map_err(bad)
}
