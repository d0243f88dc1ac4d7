//! Whether a bucket can be used: the question of `--test`.

use engine::store::Bucket;
use object_store::list::PaginatedListOptions;

use super::diagnose::{Diagnosis, diagnose};
use crate::location::Provider;

/// A bucket that `-t` found unusable.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {url}: {}", diagnosis.cause)]
pub struct ConnectivityError {
    /// The bucket.
    pub url: String,
    /// Kind, cause and hint.
    pub diagnosis: Diagnosis,
    /// Whose bucket it is; a directory has no provider.
    pub provider: Option<Provider>,
    #[source]
    source: object_store::Error,
}

/// Whether the bucket exists and may be listed: one request, at most one key.
pub async fn check_connectivity(bucket: &Bucket) -> Result<(), ConnectivityError> {
    let options = PaginatedListOptions {
        max_keys: Some(1),
        ..Default::default()
    };
    match bucket.lister.list_paginated(None, options).await {
        Ok(_) => Ok(()),
        Err(source) => {
            let diagnosis = diagnose(&source);
            Err(ConnectivityError {
                url: bucket.url.clone(),
                diagnosis,
                provider: Provider::of_bucket_url(&bucket.url),
                source,
            })
        }
    }
}
