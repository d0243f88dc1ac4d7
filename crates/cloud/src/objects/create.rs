//! Making the bucket that a server is about to archive to.
//!
//! Only `barman-cloud-check-wal-archive` does this: everything else that finds no bucket takes it
//! for a wrong name. Always true: what is there already is left as it is.

use engine::store::Bucket;
use object_store::path::Path;
use object_store::{Extensions, PutOptions, PutPayload};

use super::open_error::OpenError;
use crate::failure::{ConnectivityError, ErrorKind, check_connectivity};

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

/// The request that makes a bucket: what is put to the bucket's own address.
#[derive(Debug, Default)]
pub(crate) struct Making {
    pub(crate) body: PutPayload,
    /// What the cloud's dialect is to make of it.
    pub(crate) extensions: Extensions,
}

/// Makes a cloud's bucket, with the request that `making` gives, if it does not exist.
///
/// # Errors
/// When it can neither be used nor be made.
pub(crate) async fn unless_there(
    bucket: Bucket,
    making: impl FnOnce() -> Result<Making, OpenError> + Send,
) -> Result<(Bucket, Creation), CreateError> {
    match check_connectivity(&bucket).await {
        Ok(()) => Ok((bucket, Creation::WasThere)),
        Err(error) if error.diagnosis.kind == ErrorKind::MissingBucket => {
            create(&bucket, making()?).await?;
            Ok((bucket, Creation::Created))
        }
        Err(error) => Err(error.into()),
    }
}

async fn create(bucket: &Bucket, making: Making) -> Result<(), CreateError> {
    // The client expects of every PUT the entity tag of an object and calls an answer without it
    // an error; so whether the bucket is there now is asked for itself.
    let own_address = Path::default();
    let options = PutOptions {
        extensions: making.extensions,
        ..PutOptions::default()
    };
    let put = bucket.objects.put_opts(&own_address, making.body, options);
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
