//! S3 and everything that speaks its protocol: settings, credentials, transport, then a bucket.
//!
//! Over TLS bodies are not hashed for the signature (TLS protects them, and hashing costs
//! CPU time); over plain HTTP they are. Checksum headers are off: not every store takes them.

mod aws_file;
mod credentials;
mod endpoint;
mod profile;
mod settings;
#[cfg(test)]
mod settings_tests;

use std::sync::Arc;

use engine::store::Bucket;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use crate::transport::{self, BadCaBundle, Scheme};

pub use aws_file::{AwsFile, BadAwsFile};
pub use credentials::{CredentialSource, Secret};
pub use endpoint::{AddressingStyle, Endpoint};
pub use profile::{AwsFiles, AwsFilesError};
pub use settings::{S3Settings, SettingsError};

/// AWS, "Amazon S3 multipart upload limits".
const MIN_PART_SIZE: u64 = 5 * 1024 * 1024;
/// AWS, "Amazon S3 multipart upload limits".
const MAX_PARTS: u64 = 10_000;
/// The machine's metadata service (AWS, "Use the Instance Metadata Service").
const METADATA_HOST: &str = "169.254.169.254";

/// An S3 client that could not be made; no request was sent.
#[derive(Debug, thiserror::Error)]
pub enum S3OpenError {
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
    settings: &S3Settings,
) -> Result<Bucket, S3OpenError> {
    let scheme = match settings.endpoint.is_tls() {
        true => Scheme::Https,
        false => Scheme::Http,
    };
    let client = transport::client_options(scheme, settings.ca_bundle.as_deref())?;
    let connector = transport::Connector {
        read_timeout: settings.read_timeout,
        metadata_host: metadata_host(&settings.credentials),
    };
    let builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&settings.region)
        .with_endpoint(settings.endpoint.url_for(bucket)?)
        .with_virtual_hosted_style_request(settings.endpoint.is_virtual_hosted(bucket))
        .with_unsigned_payload(settings.endpoint.is_tls())
        .with_client_options(client)
        .with_retry(transport::retries())
        .with_http_connector(connector);
    let builder = with_credentials(builder, &settings.credentials);
    let store = builder.build();
    let store = store.map_err(|source| S3OpenError::Client {
        bucket: bucket.into(),
        source,
    })?;
    let store = Arc::new(store);
    Ok(Bucket {
        objects: store.clone(),
        lister: store,
        url,
        min_part_size: MIN_PART_SIZE,
        max_parts: MAX_PARTS,
    })
}

/// The host of the metadata service, as requests to it name it.
fn metadata_host(credentials: &CredentialSource) -> Option<String> {
    let CredentialSource::InstanceMetadata { endpoint } = credentials else {
        return None;
    };
    let Some(endpoint) = endpoint else {
        return Some(METADATA_HOST.into());
    };
    transport::authority_of(endpoint)
}

fn with_credentials(builder: AmazonS3Builder, source: &CredentialSource) -> AmazonS3Builder {
    match source {
        CredentialSource::Static {
            access_key_id,
            secret_access_key,
            session_token,
        } => {
            let builder = builder
                .with_access_key_id(access_key_id)
                .with_secret_access_key(secret_access_key.reveal());
            match session_token {
                Some(token) => builder.with_token(token.reveal()),
                None => builder,
            }
        }
        CredentialSource::WebIdentity {
            token_file,
            role_arn,
            session_name,
        } => {
            let builder = builder
                .with_config(AmazonS3ConfigKey::WebIdentityTokenFile, token_file)
                .with_config(AmazonS3ConfigKey::RoleArn, role_arn);
            match session_name {
                Some(name) => builder.with_config(AmazonS3ConfigKey::RoleSessionName, name),
                None => builder,
            }
        }
        CredentialSource::EcsTask { relative_uri } => builder.with_config(
            AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
            relative_uri,
        ),
        CredentialSource::EksPod {
            full_uri,
            token_file,
        } => builder
            .with_config(AmazonS3ConfigKey::ContainerCredentialsFullUri, full_uri)
            .with_config(
                AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
                token_file,
            ),
        CredentialSource::InstanceMetadata {
            endpoint: Some(endpoint),
        } => builder.with_metadata_endpoint(endpoint.trim_end_matches('/')),
        CredentialSource::InstanceMetadata { endpoint: None } => builder,
    }
}
