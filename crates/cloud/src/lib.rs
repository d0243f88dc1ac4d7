//! From a URL and credentials to a [`Bucket`]: the only place with HTTP clients.
//!
//! Each provider has a file and one arm in [`open`]. What an object store is used for is the
//! engine's business; words and exit codes are the command line's, which asks [`diagnose`] what an
//! error was. Settings are resolved from values ([`Environment`], [`StoreOptions`], AWS's files),
//! never from globals.

mod absent;
mod address;
mod addresses;
mod answer;
pub mod azure;
mod bandwidth;
mod create;
mod directory;
mod encryption;
mod environment;
mod failure;
pub mod gcs;
mod hint;
mod judgement;
mod late_client;
mod listing;
mod location;
mod options;
mod own_certificate;
mod persistence;
mod proxies;
pub mod s3;
mod s3_like;
mod secret;
mod silence;
mod tags;
mod transport;
mod words;
mod xml;

use engine::store::Bucket;

pub use address::address;
pub use create::{CreateError, Creation, open_or_create};
pub use encryption::{BadCustomerKey, CustomerKey, Encryption};
pub use environment::Environment;
pub use failure::{
    ConnectivityError, Diagnosis, ErrorKind, MissingDirectory, check_connectivity, classify,
    diagnose,
};
pub use location::{BadLocation, Location, Provider};
pub use options::{AzureOptions, DEFAULT_READ_TIMEOUT, StoreOptions};
pub use persistence::{Persistence, Voice};
pub use s3::AddressingStyle;
pub use tags::{BadTag, Tag, tag_set};

/// A bucket that could not be opened. Of a cloud nothing was asked yet.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot open {url}: {source}")]
    S3 {
        url: String,
        source: s3::S3OpenError,
    },
    #[error("cannot open {url}: {source}")]
    Azure {
        url: String,
        source: azure::AzureOpenError,
    },
    #[error("cannot open {url}: {source}")]
    Google {
        url: String,
        source: gcs::GcsOpenError,
    },
    #[error(transparent)]
    Directory(#[from] MissingDirectory),
    #[error("cannot open {url}: the encryption that was asked for is that of S3")]
    NoEncryption { url: String },
}

impl OpenError {
    /// What callers branch on.
    pub fn kind(&self) -> ErrorKind {
        match self {
            OpenError::S3 {
                source: s3::S3OpenError::Settings(error),
                ..
            } => error.kind(),
            OpenError::Azure {
                source: azure::AzureOpenError::Settings(error),
                ..
            } => error.kind(),
            OpenError::Google {
                source: gcs::GcsOpenError::Settings(error),
                ..
            } => error.kind(),
            OpenError::S3 { .. } | OpenError::Azure { .. } | OpenError::Google { .. } => {
                ErrorKind::Other
            }
            OpenError::Directory(error) => error.kind(),
            OpenError::NoEncryption { .. } => ErrorKind::Other,
        }
    }

    /// What the user can do, when we know it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            OpenError::S3 {
                source: s3::S3OpenError::Settings(error),
                ..
            } => error.hint(),
            OpenError::Azure {
                source: azure::AzureOpenError::Settings(error),
                ..
            } => error.hint(),
            OpenError::Google {
                source: gcs::GcsOpenError::Settings(error),
                ..
            } => error.hint(),
            OpenError::S3 { .. } | OpenError::Azure { .. } | OpenError::Google { .. } => None,
            OpenError::Directory(error) => Some(error.hint()),
            OpenError::NoEncryption { .. } => {
                Some("Leave --encryption and --sse-customer-key out, or use s3://BUCKET/PATH.")
            }
        }
    }
}

/// The umask that keeps what is written to this store to those who may read the database; `None`
/// where files are not ours to make.
pub fn private_umask(location: &Location) -> Option<u32> {
    match location {
        Location::Directory { path } => Some(directory::private_umask(path)),
        _ => None,
    }
}

/// Opens the bucket of a location. Keys begin with [`Location::prefix`], which is the caller's to
/// put before them. Whether a cloud's bucket exists shows at the first request or in
/// [`check_connectivity`]; a directory must exist.
pub async fn open(
    location: &Location,
    options: &StoreOptions,
    environment: &Environment,
) -> Result<Bucket, OpenError> {
    let mut bucket = open_as_it_is(location, options, environment)?;
    bucket.min_part_size = bucket.min_part_size.max(options.min_part_size);
    if let Some(rate) = options.max_bandwidth {
        bucket.objects = bandwidth::limit(bucket.objects, rate);
    }
    Ok(bucket)
}

fn open_as_it_is(
    location: &Location,
    options: &StoreOptions,
    environment: &Environment,
) -> Result<Bucket, OpenError> {
    let url = location.bucket_url();
    match location {
        Location::S3 { bucket, .. } => {
            let failed = |source| OpenError::S3 {
                url: location.bucket_url(),
                source,
            };
            let settings = read_s3_settings(options, environment).map_err(failed)?;
            s3::open(bucket, url, &settings, &options.persistence).map_err(failed)
        }
        _ if options.encryption != Encryption::OfBucket => Err(OpenError::NoEncryption { url }),
        Location::Azure {
            account, container, ..
        } => {
            let failed = |source| OpenError::Azure {
                url: location.bucket_url(),
                source,
            };
            let settings = azure::AzureSettings::resolve(account, options, environment)
                .map_err(|error| failed(error.into()))?;
            azure::open(container, url, &settings, &options.persistence).map_err(failed)
        }
        Location::Google { bucket, .. } => {
            let failed = |source| OpenError::Google {
                url: location.bucket_url(),
                source,
            };
            let settings = gcs::GcsSettings::gather(options, environment)
                .map_err(|error| failed(error.into()))?;
            gcs::open(bucket, url, &settings, &options.persistence).map_err(failed)
        }
        Location::Directory { path } => Ok(directory::open(path, url)?),
    }
}

fn read_s3_settings(
    options: &StoreOptions,
    environment: &Environment,
) -> Result<s3::S3Settings, s3::S3OpenError> {
    let files = s3::AwsFiles::read(environment).map_err(s3::SettingsError::from)?;
    Ok(s3::S3Settings::resolve(options, environment, &files)?)
}
