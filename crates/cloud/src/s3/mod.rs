//! S3 and everything that speaks its protocol: settings, credentials, transport, then a bucket.
//!
//! Over TLS bodies are not hashed for the signature (TLS protects them, and hashing costs
//! CPU time); over plain HTTP they are. Checksum headers are off: not every store takes them.

mod aws_file;
mod conditions;
mod credentials;
mod deletion;
mod endpoint;
mod identity;
mod locks;
mod machine;
mod profile;
#[cfg(test)]
mod refusal_tests;
mod settings;
#[cfg(test)]
mod settings_tests;
mod wire;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use engine::store::Bucket;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};

use crate::transport::{self, BadCaBundle, Scheme};

use crate::encryption::Encryption;
use crate::persistence::Persistence;

pub use aws_file::{AwsFile, BadAwsFile};
pub use credentials::{Authorization, CredentialSource, Role, Secret, SsoLogin};
pub use endpoint::{AddressingStyle, Endpoint};
pub use identity::IdentityError;
pub use machine::{Machine, WithoutToken};
pub use profile::AwsFiles;
pub use settings::{S3Settings, SettingsError};

/// AWS, "Amazon S3 multipart upload limits".
const MIN_PART_SIZE: u64 = 5 * 1024 * 1024;
/// AWS, "Amazon S3 multipart upload limits".
const MAX_PARTS: u64 = 10_000;

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
    persistence: &Persistence,
) -> Result<Bucket, S3OpenError> {
    let scheme = if settings.endpoint.is_tls() {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let client = transport::client_options(scheme, settings.ca_bundle.as_deref())?;
    let plain = transport::Connector {
        read_timeout: settings.read_timeout,
        metadata_host: None,
        ca_bundle: settings.ca_bundle.clone(),
        persistence: persistence.clone(),
    };
    let failed = |source| S3OpenError::Client {
        bucket: bucket.into(),
        source,
    };
    let credentials = credentials_of(settings)?;
    let wire = wire::Wire {
        credentials: Arc::clone(&credentials),
        bucket: bucket.into(),
        region: settings.region.clone(),
        endpoint: settings.endpoint.clone(),
        moved: Mutex::default(),
        wants_digests: AtomicBool::default(),
    };
    let connector = transport::StoreConnector {
        plain,
        dialect: Arc::new(wire),
    };
    let builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&settings.region)
        .with_endpoint(settings.endpoint.url_for(bucket)?)
        .with_virtual_hosted_style_request(settings.endpoint.is_virtual_hosted(bucket))
        .with_unsigned_payload(settings.endpoint.is_tls())
        .with_client_options(client)
        .with_retry(transport::resumptions())
        .with_http_connector(connector)
        .with_credentials(credentials);
    let builder = with_encryption(builder, &settings.encryption);
    let single = deletion::SingleDeletions::new(builder.clone());
    let many = Arc::new(builder.build().map_err(failed)?);
    let objects = deletion::Deleting {
        many: Arc::clone(&many),
        single: Arc::new(single),
        conditions: conditions::Conditions::new(persistence.voice.clone()),
    };
    Ok(Bucket {
        objects: Arc::new(objects),
        lister: Arc::clone(&many) as _,
        url,
        min_part_size: MIN_PART_SIZE,
        max_parts: MAX_PARTS,
        locks: Some(Arc::new(locks::Heads(many))),
    })
}

/// Who we are for S3. No request is sent yet.
fn credentials_of(settings: &S3Settings) -> Result<AwsCredentialProvider, BadCaBundle> {
    let scheme = settings.credentials.scheme();
    let surroundings = identity::Surroundings {
        region: settings.region.clone(),
        sts_endpoint: settings.sts_endpoint.clone(),
        sso_endpoint: settings.sso_endpoint.clone(),
        client: transport::client_options(scheme, settings.ca_bundle.as_deref())?,
        ca_bundle: settings
            .ca_bundle
            .clone()
            .filter(|_| scheme == Scheme::Https),
    };
    Ok(identity::provider(&settings.credentials, &surroundings))
}

fn with_encryption(builder: AmazonS3Builder, encryption: &Encryption) -> AmazonS3Builder {
    let kind: AmazonS3ConfigKey = "aws_server_side_encryption"
        .parse()
        .expect("object_store documents this key");
    match encryption {
        Encryption::OfBucket => builder,
        Encryption::Managed => builder.with_config(kind, "AES256"),
        Encryption::Kms { key_id: None } => builder.with_config(kind, "aws:kms"),
        Encryption::Kms { key_id: Some(id) } => builder.with_sse_kms_encryption(id),
        Encryption::Customer(key) => builder.with_ssec_encryption(key.reveal()),
    }
}
