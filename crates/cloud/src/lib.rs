//! From a URL and credentials to a [`Bucket`]: the only place with HTTP clients.
//!
//! Each protocol has a folder in `objects` and one arm of the match in this file; what a URL means
//! is `location`'s, who we are is `identity`'s, and how requests travel `http`'s. What an object
//! store is used for is the engine's business; words and exit codes are the command line's, which
//! asks [`diagnose`] what an error was. Settings are resolved from values ([`Environment`],
//! [`StoreOptions`], AWS's files), never from globals.

mod directory;
mod environment;
mod failure;
mod http;
mod identity;
mod location;
mod objects;
mod options;
mod secret;

use engine::store::Bucket;

use crate::objects::azure::{AzurePlace, ContainerName};
use crate::objects::bandwidth;
use crate::objects::directory::DirectoryPlace;
use crate::objects::google::GooglePlace;
use crate::objects::place::ObjectPlace;
use crate::objects::s3::S3Place;

pub use directory::MissingDirectory;
pub use environment::Environment;
pub use failure::{
    ConnectivityError, Diagnosis, ErrorKind, Explained, check_connectivity, classify, diagnose,
};
pub use http::persistence::{Persistence, Voice};
pub use identity::aws::{AwsCredentialSource, AwsFiles};
pub use identity::azure::AzureCredentialSource;
pub use identity::google::GoogleCredentialSource;
pub use location::{BadLocation, Location, Provider};
pub use objects::azure::AzureSettings;
pub use objects::create::{CreateError, Creation};
pub use objects::encryption::{BadCustomerKey, CustomerKey, StoreEncryption};
pub use objects::google::GoogleSettings;
pub use objects::open_error::OpenError;
pub use objects::s3::S3Settings;
pub use objects::tags::{BadTag, Tag, tag_set};
pub use options::{
    AddressingStyle, AzureCredentialKind, AzureOptions, BadWord, DEFAULT_READ_TIMEOUT, StoreOptions,
};
pub use secret::Secret;

/// Opens the bucket of a location. Keys begin with [`Location::prefix`], which is the caller's to
/// put before them. Whether a cloud's bucket exists shows at the first request or in
/// [`check_connectivity`]; a directory must exist.
pub async fn open(
    location: &Location,
    options: &StoreOptions,
    environment: &Environment,
) -> Result<Bucket, OpenError> {
    check_encryption(location, options)?;
    let bucket = place(location, options, environment)?.open()?;
    Ok(within_limits(bucket, options))
}

/// Opens the bucket of a location, and makes it before that if it does not exist.
///
/// # Errors
/// When it can neither be used nor be made.
pub async fn open_or_create(
    location: &Location,
    options: &StoreOptions,
    environment: &Environment,
) -> Result<(Bucket, Creation), CreateError> {
    check_encryption(location, options)?;
    let place = place(location, options, environment)?;
    let (bucket, creation) = place.open_or_create().await?;
    Ok((within_limits(bucket, options), creation))
}

/// The effective address of a location's bucket, its prefix left out: for S3 with the endpoint that
/// options, environment and profile lead to. No secret is part of it, and no request is sent.
///
/// # Errors
/// As [`open`] when the settings make no sense.
pub fn address(
    location: &Location,
    options: &StoreOptions,
    environment: &Environment,
) -> Result<String, OpenError> {
    place(location, options, environment)?.address()
}

/// The umask that keeps what is written to this store to those who may read the database; `None`
/// where files are not ours to make.
pub fn private_umask(location: &Location) -> Option<u32> {
    location.directory().map(directory::private_umask)
}

/// What a location means: the one match over the stores.
fn place<'a>(
    location: &'a Location,
    options: &'a StoreOptions,
    environment: &'a Environment,
) -> Result<Box<dyn ObjectPlace + 'a>, OpenError> {
    let url = location.bucket_url();
    Ok(match location {
        Location::S3 { bucket, .. } => {
            Box::new(S3Place::gather(bucket, url, options, environment)?)
        }
        Location::Azure {
            account, container, ..
        } => {
            let name = ContainerName { account, container };
            Box::new(AzurePlace::gather(&name, url, options, environment)?)
        }
        Location::Google { bucket, .. } => {
            Box::new(GooglePlace::gather(bucket, url, options, environment)?)
        }
        Location::Directory { path } => Box::new(DirectoryPlace { path, url }),
    })
}

/// Only S3 has the encryption that options ask for: elsewhere it would silently not be done.
fn check_encryption(location: &Location, options: &StoreOptions) -> Result<(), OpenError> {
    let is_s3 = location.provider() == Some(Provider::AwsS3);
    if is_s3 || options.encryption == StoreEncryption::OfBucket {
        return Ok(());
    }
    Err(OpenError::NoEncryption {
        url: location.bucket_url(),
    })
}

fn within_limits(mut bucket: Bucket, options: &StoreOptions) -> Bucket {
    bucket.min_part_size = bucket.min_part_size.max(options.min_part_size);
    if let Some(rate) = options.max_bandwidth {
        bucket.objects = bandwidth::limit(bucket.objects, rate);
    }
    bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_url_at_two_endpoints_is_two_addresses() {
        let location = Location::parse("s3://b/p", Provider::AwsS3).unwrap();
        let with = |variables: &[(&'static str, &'static str)]| {
            let environment: Environment = variables.iter().copied().collect();
            address(&location, &StoreOptions::default(), &environment).unwrap()
        };
        let region = ("AWS_DEFAULT_REGION", "eu-west-1");
        let aws = with(&[region]);
        let own = with(&[region, ("AWS_ENDPOINT_URL", "https://store.example.org")]);
        assert_ne!(aws, own);
        assert!(own.contains("store.example.org"), "{own}");
    }
}
