//! Azure Blob Storage and its emulators: settings, credentials, transport, then a container.
//!
//! Always true: the account's key signs requests and never leaves the process; a shared access
//! signature is part of every address, and no address that has one is shown.

mod connection_string;
mod container;
mod dialect;
mod listing;
mod settings;
#[cfg(test)]
mod settings_tests;

use std::sync::Arc;

use async_trait::async_trait;
use engine::store::Bucket;
use engine::strangers::PassedOver;
use http::HeaderValue;
use object_store::azure::{AzureAccessKey, AzureCredential, MicrosoftAzureBuilder};

use self::container::BlobContainer;
use self::dialect::AzureIntent;
pub use self::settings::AzureSettings;
use super::create::{self, CreateError, Creation, Making};
use super::open_error::{NoClient, OpenError};
use super::place::ObjectPlace;
use crate::environment::Environment;
use crate::failure::Explained;
use crate::http::persistence::Persistence;
use crate::http::transport::{self, Connector, Scheme, StoreConnector};
use crate::identity::azure::{self as identity, AzureCredentialSource, AzureSettingsError};
use crate::location::AccountUrl;
use crate::options::StoreOptions;

/// Barman's smallest part; Azure itself has no limit below.
const MIN_PART_SIZE: u64 = 64 * 1024;
/// Microsoft, "Scalability targets for Blob storage", blocks in a block blob.
const MAX_PARTS: u64 = 50_000;

/// A container and the settings for it.
pub(crate) struct AzurePlace<'a> {
    container: &'a str,
    url: String,
    settings: AzureSettings,
    persistence: &'a Persistence,
}

/// Which container of which account.
pub(crate) struct ContainerName<'a> {
    pub(crate) account: &'a AccountUrl,
    pub(crate) container: &'a str,
}

impl<'a> AzurePlace<'a> {
    /// Settles the settings.
    pub(crate) fn gather(
        name: &ContainerName<'a>,
        url: String,
        options: &'a StoreOptions,
        environment: &Environment,
    ) -> Result<AzurePlace<'a>, OpenError> {
        let settings = AzureSettings::resolve(name.account, options, environment);
        let settings = settings.map_err(|error| OpenError::of(&url)(error.into()))?;
        Ok(AzurePlace {
            container: name.container,
            url,
            settings,
            persistence: &options.persistence,
        })
    }
}

#[async_trait]
impl ObjectPlace for AzurePlace<'_> {
    fn address(&self) -> Result<String, OpenError> {
        Ok(format!("{} {}", self.settings.account, self.container))
    }

    fn open(&self) -> Result<Bucket, OpenError> {
        open(self).map_err(OpenError::of(&self.url))
    }

    /// A word in the address says that a container is meant; the dialect adds it.
    async fn open_or_create(&self) -> Result<(Bucket, Creation), CreateError> {
        let making = || {
            let mut making = Making::default();
            making.extensions.insert(AzureIntent::CreateContainer);
            Ok(making)
        };
        create::unless_there(self.open()?, making).await
    }
}

fn open(place: &AzurePlace<'_>) -> Result<Bucket, Explained> {
    let (container, settings) = (place.container, &place.settings);
    let failed = |source| NoClient {
        bucket: format!("container {container}"),
        source,
    };
    let scheme = if settings.account.is_tls() {
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
    let asking = match settings.credentials {
        AzureCredentialSource::AccountKey(_) | AzureCredentialSource::SharedAccessSignature(_) => {
            scheme
        }
        _ => Scheme::Https,
    };
    let asking = transport::client_options(asking, settings.ca_bundle.as_deref())?;
    let provider = identity::provider(&settings.credentials, &asking, &connector);
    let dialect = dialect::AzureDialect {
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
        .with_retry(transport::resumptions())
        .with_http_connector(connector);
    let store = builder.build().map_err(failed)?;
    let container = Arc::new(BlobContainer {
        store,
        writing: settings.writing.clone(),
        refuses_batches: Arc::default(),
    });
    Ok(Bucket {
        objects: container.clone(),
        lister: container,
        url: place.url.clone(),
        min_part_size: MIN_PART_SIZE,
        max_parts: MAX_PARTS,
        locks: None,
        passed_over: PassedOver::default(),
    })
}

fn encryption_scope(settings: &AzureSettings) -> Result<Option<HeaderValue>, AzureSettingsError> {
    let bad = |_| AzureSettingsError::BadValue {
        name: "encryption scope".into(),
        cause: "it has characters that no scope can have",
    };
    let scope = settings.writing.encryption_scope.as_deref();
    scope.map(HeaderValue::from_str).transpose().map_err(bad)
}

fn signing_key(
    settings: &AzureSettings,
) -> object_store::Result<Option<(String, Arc<AzureCredential>)>> {
    let AzureCredentialSource::AccountKey(key) = &settings.credentials else {
        return Ok(None);
    };
    let key = AzureAccessKey::try_new(key.reveal().trim())?;
    let account = settings.account.account().to_owned();
    Ok(Some((account, Arc::new(AzureCredential::AccessKey(key)))))
}
