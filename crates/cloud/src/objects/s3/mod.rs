//! S3 and everything that speaks its protocol: settings, credentials, transport, then a bucket.
//!
//! Over TLS bodies are not hashed for the signature (TLS protects them, and hashing costs
//! CPU time); over plain HTTP they are. Checksum headers are off: not every store takes them.

mod conditions;
mod deletion;
mod dialect;
mod endpoint;
mod locks;
#[cfg(test)]
mod refusal_tests;
mod settings;
#[cfg(test)]
mod settings_tests;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use engine::store::Bucket;
use engine::strangers::PassedOver;
use object_store::PutPayload;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

pub use settings::S3Settings;

use super::create::{self, CreateError, Creation, Making};
use super::encryption::StoreEncryption;
use super::open_error::{NoClient, OpenError};
use super::place::ObjectPlace;
use crate::environment::Environment;
use crate::failure::Explained;
use crate::http::persistence::Persistence;
use crate::http::transport::{self, Scheme};
use crate::identity::aws::{self as identity, AwsFiles};
use crate::options::StoreOptions;

/// AWS, "Amazon S3 multipart upload limits".
const MIN_PART_SIZE: u64 = 5 * 1024 * 1024;
/// AWS, "Amazon S3 multipart upload limits".
const MAX_PARTS: u64 = 10_000;

/// A bucket and the settings for it.
pub(crate) struct S3Place<'a> {
    bucket: &'a str,
    url: String,
    settings: S3Settings,
    persistence: &'a Persistence,
}

impl<'a> S3Place<'a> {
    /// Reads AWS's files and settles the settings.
    pub(crate) fn gather(
        bucket: &'a str,
        url: String,
        options: &'a StoreOptions,
        environment: &Environment,
    ) -> Result<S3Place<'a>, OpenError> {
        let settings = read_settings(options, environment).map_err(OpenError::of(&url))?;
        Ok(S3Place {
            bucket,
            url,
            settings,
            persistence: &options.persistence,
        })
    }
}

fn read_settings(
    options: &StoreOptions,
    environment: &Environment,
) -> Result<S3Settings, Explained> {
    let files = AwsFiles::read(environment).map_err(identity::AwsSettingsError::from)?;
    Ok(S3Settings::resolve(options, environment, &files)?)
}

#[async_trait]
impl ObjectPlace for S3Place<'_> {
    fn address(&self) -> Result<String, OpenError> {
        let endpoint = self.settings.endpoint.url_for(self.bucket);
        let endpoint = endpoint.map_err(|error| OpenError::of(&self.url)(error.into()))?;
        Ok(format!("{endpoint} {}", self.bucket))
    }

    fn open(&self) -> Result<Bucket, OpenError> {
        open(self).map_err(OpenError::of(&self.url))
    }

    /// `CreateBucket`: a PUT whose body names the region (AWS, "Amazon S3 API Reference",
    /// `CreateBucket`).
    async fn open_or_create(&self) -> Result<(Bucket, Creation), CreateError> {
        let making = || {
            Ok(Making {
                body: configuration(&self.settings.identity.region),
                ..Making::default()
            })
        };
        create::unless_there(self.open()?, making).await
    }
}

fn open(place: &S3Place<'_>) -> Result<Bucket, Explained> {
    let (bucket, settings, persistence) = (place.bucket, &place.settings, place.persistence);
    let ca_bundle = &settings.identity.ca_bundle;
    let scheme = if settings.endpoint.is_tls() {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let client = transport::client_options(scheme, ca_bundle.as_deref())?;
    let plain = transport::Connector {
        read_timeout: settings.read_timeout,
        metadata_host: None,
        ca_bundle: ca_bundle.clone(),
        persistence: persistence.clone(),
    };
    let failed = |source| NoClient {
        bucket: format!("bucket {bucket}"),
        source,
    };
    let credentials = identity::provider(&settings.identity, persistence)?;
    let credentials = credentials.map_err(failed)?;
    let dialect = dialect::S3Dialect {
        credentials: Arc::clone(&credentials),
        bucket: bucket.into(),
        region: settings.identity.region.clone(),
        endpoint: settings.endpoint.clone(),
        moved: Mutex::default(),
        wants_digests: AtomicBool::default(),
    };
    let connector = transport::StoreConnector {
        plain,
        dialect: Arc::new(dialect),
    };
    let builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&settings.identity.region)
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
        url: place.url.clone(),
        min_part_size: MIN_PART_SIZE,
        max_parts: MAX_PARTS,
        locks: Some(Arc::new(locks::Heads(many))),
        passed_over: PassedOver::default(),
    })
}

fn with_encryption(builder: AmazonS3Builder, encryption: &StoreEncryption) -> AmazonS3Builder {
    let kind: AmazonS3ConfigKey = "aws_server_side_encryption"
        .parse()
        .expect("object_store documents this key");
    match encryption {
        StoreEncryption::OfBucket => builder,
        StoreEncryption::Managed => builder.with_config(kind, "AES256"),
        StoreEncryption::Kms { key_id: None } => builder.with_config(kind, "aws:kms"),
        StoreEncryption::Kms { key_id: Some(id) } => builder.with_sse_kms_encryption(id),
        StoreEncryption::Customer(key) => builder.with_ssec_encryption(key.reveal()),
    }
}

/// The region of the new bucket; for the oldest region the body must be empty.
fn configuration(region: &str) -> PutPayload {
    if region == "us-east-1" {
        return PutPayload::default();
    }
    format!(
        "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_of_a_new_bucket_is_named_except_the_oldest() {
        let body = |region| configuration(region).content_length();
        assert_eq!(body("us-east-1"), 0);
        assert!(body("eu-west-1") > 100);
    }
}
