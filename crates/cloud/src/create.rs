//! Making the bucket or directory that a server is about to archive to.
//!
//! Only `barman-cloud-check-wal-archive` does this: everything else that finds no bucket takes it
//! for a wrong name. Always true: what is there already is left as it is.

use std::fs;

use engine::store::Bucket;
use object_store::path::Path;
use object_store::{Extensions, PutOptions, PutPayload};

use crate::failure::{ConnectivityError, ErrorKind, MissingDirectory, check_connectivity};
use crate::{Environment, Location, OpenError, StoreOptions, azure, gcs, open, read_s3_settings};

/// Whether a bucket had to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    WasThere,
    Created,
}

/// A bucket that is not there and could not be made, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Unusable(#[from] ConnectivityError),
    #[error("cannot create {url}")]
    Create {
        url: String,
        #[source]
        source: object_store::Error,
    },
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
    if let Location::Directory { path } = location {
        let creation = if path.is_dir() {
            Creation::WasThere
        } else {
            Creation::Created
        };
        // Opening it tells a file in its place from a directory.
        let made = fs::create_dir_all(path);
        let made = made.map_err(|error| MissingDirectory::of(path, &error));
        made.map_err(OpenError::from)?;
        return Ok((open(location, options, environment).await?, creation));
    }
    let bucket = open(location, options, environment).await?;
    match check_connectivity(&bucket).await {
        Ok(()) => Ok((bucket, Creation::WasThere)),
        Err(error) if error.diagnosis.kind == ErrorKind::MissingBucket => {
            let request = creation(location, options, environment)?;
            create(&bucket, request).await?;
            Ok((bucket, Creation::Created))
        }
        Err(error) => Err(error.into()),
    }
}

/// The request that makes a bucket: what is put to the bucket's own address.
struct Request {
    body: PutPayload,
    extensions: Extensions,
}

/// For S3 `CreateBucket`: a PUT whose body names the region (AWS, "Amazon S3 API Reference",
/// `CreateBucket`). The other clouds want a word in the address or a header, which their transports
/// add.
fn creation(
    location: &Location,
    options: &StoreOptions,
    environment: &Environment,
) -> Result<Request, OpenError> {
    let mut request = Request {
        body: PutPayload::default(),
        extensions: Extensions::new(),
    };
    let url = location.bucket_url();
    match location {
        Location::S3 { .. } => {
            let settings = read_s3_settings(options, environment);
            let settings = settings.map_err(|source| OpenError::S3 { url, source })?;
            request.body = configuration(&settings.region);
        }
        Location::Azure { .. } => {
            request.extensions.insert(azure::Intent::CreateContainer);
        }
        Location::Google { .. } => {
            let project = gcs::project(environment);
            let source = |error: gcs::SettingsError| error.into();
            let project = project.map_err(|error| OpenError::Google {
                url,
                source: source(error),
            })?;
            request
                .extensions
                .insert(gcs::Intent::CreateBucket { project });
        }
        Location::Directory { .. } => {}
    }
    Ok(request)
}

async fn create(bucket: &Bucket, request: Request) -> Result<(), CreateError> {
    // The client expects of every PUT the entity tag of an object and calls an answer without it
    // an error; so whether the bucket is there now is asked for itself.
    let own_address = Path::default();
    let options = PutOptions {
        extensions: request.extensions,
        ..PutOptions::default()
    };
    let put = bucket.objects.put_opts(&own_address, request.body, options);
    let put = put.await;
    match (check_connectivity(bucket).await, put) {
        (Ok(()), _) => Ok(()),
        (Err(_), Err(source)) => Err(CreateError::Create {
            url: bucket.url.clone(),
            source,
        }),
        (Err(error), Ok(_)) => Err(error.into()),
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
