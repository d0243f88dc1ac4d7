//! An object store as the engine sees it: a bucket (or container, or directory) behind two traits.
//!
//! Whoever opens a bucket (the `cloud` crate, or a test with an in-memory store) decides about
//! retries, credentials and addresses. Here a key is always relative to the bucket's root.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::list::PaginatedListStore;

/// One bucket, open. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    /// Reads, writes, multipart uploads, deletions.
    pub objects: Arc<dyn ObjectStore>,
    /// Listing by raw key prefix: `ObjectStore::list` only takes whole path segments.
    pub lister: Arc<dyn PaginatedListStore>,
    /// The bucket for messages, such as `s3://backups`: never with a secret in it.
    pub url: String,
    /// The smallest part a multipart upload may have, in bytes (the last one may be smaller).
    pub min_part_size: u64,
    /// How many parts one multipart upload may have.
    pub max_parts: u64,
}
