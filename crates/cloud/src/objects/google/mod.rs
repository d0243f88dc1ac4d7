//! Google Cloud Storage and its emulators: settings, credentials, transport, then a bucket.
//!
//! Objects go over the XML API, whose multipart uploads keep memory small; Google's clients and
//! Barman see the same objects through the JSON API.

mod bucket;
mod dialect;
mod endpoint;
mod settings;
#[cfg(test)]
mod token_tests;

use std::sync::Arc;

use async_trait::async_trait;
use engine::store::Bucket;
use engine::strangers::PassedOver;
use http::HeaderValue;
use object_store::gcp::GoogleCloudStorageBuilder;

use self::bucket::Objects;
use self::dialect::GoogleIntent;
pub use self::settings::GoogleSettings;
use self::settings::project;
use super::create::{self, CreateError, Creation, Making};
use super::open_error::{NoClient, OpenError};
use super::place::ObjectPlace;
use crate::environment::Environment;
use crate::failure::Explained;
use crate::http::persistence::Persistence;
use crate::http::transport::{self, Connector, Scheme, StoreConnector};
use crate::identity::google::{self as identity, GoogleCredentialSource, GoogleSettingsError};
use crate::options::StoreOptions;

/// What tokens are for (Google Cloud, "Cloud Storage authentication", "OAuth 2.0 scopes").
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.full_control";
/// Google Cloud, "XML API multipart uploads", "Requirements and limits".
const MIN_PART_SIZE: u64 = 5 * 1024 * 1024;
/// Google Cloud, "XML API multipart uploads", "Requirements and limits".
const MAX_PARTS: u64 = 10_000;

/// A bucket and the settings for it.
pub(crate) struct GooglePlace<'a> {
    bucket: &'a str,
    url: String,
    settings: GoogleSettings,
    persistence: &'a Persistence,
    /// For what only the creation of a bucket asks.
    environment: &'a Environment,
}

impl<'a> GooglePlace<'a> {
    /// Reads the credentials file and settles the settings.
    pub(crate) fn gather(
        bucket: &'a str,
        url: String,
        options: &'a StoreOptions,
        environment: &'a Environment,
    ) -> Result<GooglePlace<'a>, OpenError> {
        let settings = GoogleSettings::gather(options, environment);
        let settings = settings.map_err(|error| OpenError::of(&url)(error.into()))?;
        Ok(GooglePlace {
            bucket,
            url,
            settings,
            persistence: &options.persistence,
            environment,
        })
    }
}

#[async_trait]
impl ObjectPlace for GooglePlace<'_> {
    fn address(&self) -> Result<String, OpenError> {
        Ok(format!("{} {}", self.settings.endpoint.url(), self.bucket))
    }

    fn open(&self) -> Result<Bucket, OpenError> {
        open(self).map_err(OpenError::of(&self.url))
    }

    /// A header says whose project the bucket will be in; the dialect adds it.
    async fn open_or_create(&self) -> Result<(Bucket, Creation), CreateError> {
        let making = || {
            let project = project(self.environment);
            let project = project.map_err(|error| OpenError::of(&self.url)(error.into()))?;
            let mut making = Making::default();
            making
                .extensions
                .insert(GoogleIntent::CreateBucket { project });
            Ok(making)
        };
        create::unless_there(self.open()?, making).await
    }
}

fn open(place: &GooglePlace<'_>) -> Result<Bucket, Explained> {
    let (bucket, settings) = (place.bucket, &place.settings);
    let failed = |source| NoClient {
        bucket: format!("bucket {bucket}"),
        source,
    };
    let scheme = if settings.endpoint.url().starts_with("https:") {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let client = transport::client_options(scheme, settings.ca_bundle.as_deref())?;
    let connector = Connector {
        read_timeout: settings.read_timeout,
        metadata_host: None,
        ca_bundle: settings.ca_bundle.clone(),
        persistence: place.persistence.clone(),
    };
    let dialect = dialect::GoogleDialect {
        kms_key_name: kms_key_name(settings)?,
        is_anonymous: settings.credentials == GoogleCredentialSource::Anonymous,
    };
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_base_url(settings.endpoint.url())
        .with_client_options(client.clone())
        .with_retry(transport::resumptions())
        .with_http_connector(StoreConnector {
            plain: connector.clone(),
            dialect: Arc::new(dialect),
        });
    let builder = match &settings.credentials {
        GoogleCredentialSource::ServiceAccount(key) => {
            builder.with_service_account_key(key.reveal())
        }
        source => {
            let provider = identity::provider(source, SCOPE, &client, &connector);
            builder.with_credentials(provider.map_err(failed)?)
        }
    };
    let store = builder.build().map_err(failed)?;
    Ok(Bucket {
        lister: Arc::new(store.clone()),
        objects: Arc::new(Objects(store)),
        url: place.url.clone(),
        min_part_size: MIN_PART_SIZE,
        max_parts: MAX_PARTS,
        locks: None,
        passed_over: PassedOver::default(),
    })
}

fn kms_key_name(settings: &GoogleSettings) -> Result<Option<HeaderValue>, GoogleSettingsError> {
    let bad = |_| GoogleSettingsError::BadValue {
        name: "KMS key name".into(),
        cause: "it has characters that no key name can have",
    };
    let name = settings.kms_key_name.as_deref();
    name.map(HeaderValue::from_str).transpose().map_err(bad)
}
