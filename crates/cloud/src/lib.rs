//! From a URL and credentials to a [`Bucket`]: the only place with HTTP clients.
//!
//! Each provider has a file and one arm in [`open`]. What an object store is used for is the
//! engine's business; words and exit codes are the command line's, which asks [`diagnose`] what an
//! error was. Settings are resolved from values ([`Environment`], [`StoreOptions`], AWS's files),
//! never from globals.

mod address;
mod create;
mod directory;
mod environment;
mod failure;
mod hint;
mod location;
mod options;
pub mod s3;

use engine::store::Bucket;

pub use address::address;
pub use create::{CreateError, Creation, open_or_create};
pub use environment::Environment;
pub use failure::{
    ConnectivityError, Diagnosis, ErrorKind, MissingDirectory, check_connectivity, classify,
    diagnose,
};
pub use location::{BadLocation, Location, Provider};
pub use options::{DEFAULT_READ_TIMEOUT, StoreOptions};
pub use s3::AddressingStyle;

/// A bucket that could not be opened. For S3 no request was sent yet.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot open {url}: {source}")]
    S3 {
        url: String,
        source: s3::S3OpenError,
    },
    #[error(transparent)]
    Directory(#[from] MissingDirectory),
}

impl OpenError {
    /// What callers branch on.
    pub fn kind(&self) -> ErrorKind {
        match self {
            OpenError::S3 {
                source: s3::S3OpenError::Settings(error),
                ..
            } => error.kind(),
            OpenError::S3 { .. } => ErrorKind::Other,
            OpenError::Directory(_) => ErrorKind::MissingBucket,
        }
    }

    /// What the user can do, when we know it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            OpenError::S3 {
                source: s3::S3OpenError::Settings(error),
                ..
            } => error.hint(),
            OpenError::S3 { .. } => None,
            OpenError::Directory(_) => Some("Create the directory first: mkdir -p."),
        }
    }
}

/// Opens the bucket of a location. Keys begin with [`Location::prefix`], which is the caller's to
/// put before them. Whether an S3 bucket exists shows at the first request or in
/// [`check_connectivity`]; a directory must exist.
pub async fn open(
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
            s3::open(bucket, url, &settings).map_err(failed)
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
