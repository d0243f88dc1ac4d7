//! One place for objects, its settings settled: where it is, and how it is opened and made.

use async_trait::async_trait;
use engine::store::Bucket;

use super::create::{CreateError, Creation};
use super::open_error::OpenError;

/// A place that a location, options and environment lead to. Nothing was asked of it yet.
#[async_trait]
pub(crate) trait ObjectPlace: Send + Sync {
    /// Where its requests go: what tells two stores apart that have one URL. Without a secret.
    fn address(&self) -> Result<String, OpenError>;

    /// A bucket for it; no request is sent.
    fn open(&self) -> Result<Bucket, OpenError>;

    /// A bucket for it, which is made if it is not there.
    async fn open_or_create(&self) -> Result<(Bucket, Creation), CreateError>;
}
