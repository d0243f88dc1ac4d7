//! Getting credentials from where [`AzureCredentialSource`] says, for each request that needs them.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::azure::{
    AzureAccessKey, AzureConfigKey, AzureCredential, MicrosoftAzureBuilder, split_sas,
};
use object_store::client::StaticCredentialProvider;
use object_store::{ClientOptions, CredentialProvider};

use super::source::{Application, AzureCredentialSource, ManagedIdentity};
use crate::failure::{ErrorKind, Explained, Explains, Explanation, diagnose};
use crate::http::transport::{self, Connector};
use crate::secret::for_header;

/// What `object_store` calls this store in its errors.
const STORE: &str = "MicrosoftAzure";

/// Neither of the last two sources of Azure's default chain gave credentials.
#[derive(Debug, thiserror::Error)]
#[error("no credentials: no managed identity ({first}) and no Azure CLI login ({second})")]
struct NoIdentity {
    first: String,
    second: String,
}

impl Explains for NoIdentity {
    fn explain(&self) -> Explanation {
        Explanation::Cause {
            kind: ErrorKind::Denied,
            text: self.to_string(),
            hint: None,
        }
    }
}

/// The credentials of a store, asked before every request.
pub(crate) type AzureCredentialProvider = Arc<dyn CredentialProvider<Credential = AzureCredential>>;

/// Makes the provider of a source; `client` is for the requests that fetch tokens.
pub(crate) fn provider(
    source: &AzureCredentialSource,
    client: &ClientOptions,
    connector: &Connector,
) -> object_store::Result<AzureCredentialProvider> {
    use AzureConfigKey as Key;
    let fixed = |credential| {
        Ok(Arc::new(StaticCredentialProvider::new(credential)) as AzureCredentialProvider)
    };
    let fetched = |kind: &str, settings: &[(Key, Option<&str>)], metadata: Option<&str>| {
        fetching(kind, settings, client, connector, metadata)
    };
    let application_settings = |application: &Application| {
        [
            (Key::AuthorityId, Some(application.tenant.clone())),
            (Key::ClientId, Some(application.client_id.clone())),
            (Key::AuthorityHost, application.authority.clone()),
        ]
    };
    match source {
        AzureCredentialSource::AccountKey(key) => {
            let key = AzureAccessKey::try_new(key.reveal().trim())?;
            fixed(AzureCredential::AccessKey(key))
        }
        AzureCredentialSource::SharedAccessSignature(token) => {
            fixed(AzureCredential::SASToken(split_sas(token.reveal().trim())?))
        }
        AzureCredentialSource::ClientSecret {
            application,
            secret,
        } => {
            let settings = application_settings(application);
            let mut settings: Vec<_> = borrowed(&settings);
            settings.push((Key::ClientSecret, Some(secret.reveal())));
            fetched("client_secret", &settings, None)
        }
        AzureCredentialSource::WorkloadIdentity {
            application,
            token_file,
        } => {
            let settings = application_settings(application);
            let mut settings: Vec<_> = borrowed(&settings);
            settings.push((Key::FederatedTokenFile, Some(token_file)));
            fetched("workload_identity", &settings, None)
        }
        AzureCredentialSource::ManagedIdentity(identity) => {
            let settings = identity.settings();
            fetched("managed_identity", &settings, Some(&identity.endpoint))
        }
        AzureCredentialSource::AzureCli => fetched("azure_cli", &[], None),
        AzureCredentialSource::ManagedIdentityOrCli(identity) => Ok(Arc::new(Either {
            first: fetched(
                "managed_identity",
                &identity.settings(),
                Some(&identity.endpoint),
            )?,
            second: fetched("azure_cli", &[], None)?,
        })),
    }
}

impl ManagedIdentity {
    fn settings(&self) -> [(AzureConfigKey, Option<&str>); 2] {
        [
            (AzureConfigKey::ClientId, self.client_id.as_deref()),
            (AzureConfigKey::MsiEndpoint, Some(&self.endpoint)),
        ]
    }
}

fn borrowed(settings: &[(AzureConfigKey, Option<String>)]) -> Vec<(AzureConfigKey, Option<&str>)> {
    let pairs = settings.iter();
    pairs.map(|(key, value)| (*key, value.as_deref())).collect()
}

/// A provider of `object_store`'s own, which only a whole client has: so one is made for it. The
/// account and container it is made with are never used.
fn fetching(
    kind: &str,
    settings: &[(AzureConfigKey, Option<&str>)],
    client: &ClientOptions,
    connector: &Connector,
    metadata: Option<&str>,
) -> object_store::Result<AzureCredentialProvider> {
    let connector = Connector {
        metadata_host: metadata.and_then(transport::authority_of),
        ..connector.clone()
    };
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account("none")
        .with_container_name("none")
        .with_client_options(client.clone().with_allow_http(true))
        .with_retry(transport::requests_for_tokens(&connector.persistence))
        .with_http_connector(connector)
        .with_config(AzureConfigKey::CredentialType, kind);
    for (key, value) in settings {
        if let Some(value) = value {
            builder = builder.with_config(*key, *value);
        }
    }
    let provider = builder.build()?.credentials().clone();
    Ok(Arc::new(Sendable(provider)))
}

/// Tokens that can become headers; at another `object_store` would panic.
#[derive(Debug)]
struct Sendable(AzureCredentialProvider);

#[async_trait]
impl CredentialProvider for Sendable {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AzureCredential>> {
        let credential = self.0.get_credential().await?;
        if let AzureCredential::BearerToken(token) = &*credential
            && let Err(cause) = for_header(token)
        {
            return Err(object_store::Error::Generic {
                store: STORE,
                source: format!("no credentials: the token that came cannot be sent: {cause}")
                    .into(),
            });
        }
        Ok(credential)
    }
}

/// Two sources of which the first that answers counts.
#[derive(Debug)]
struct Either {
    first: AzureCredentialProvider,
    second: AzureCredentialProvider,
}

#[async_trait]
impl CredentialProvider for Either {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AzureCredential>> {
        let first = match self.first.get_credential().await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let second = self.second.get_credential().await;
        second.map_err(|second| object_store::Error::Generic {
            store: STORE,
            source: Box::new(Explained::from(NoIdentity {
                first: diagnose(&first).cause,
                second: diagnose(&second).cause,
            })),
        })
    }
}
