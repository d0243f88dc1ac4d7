//! A container as an object store: `object_store`'s client, and what Barman's users expect beside.
//!
//! A large object is written in blocks, of the size and number in flight that the options say, and
//! becomes visible with its last request alone. Blobs are deleted many at once, or one by one where
//! that is refused. Deleting a blob that is not there is no error.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::azure::MicrosoftAzure;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::dialect::AzureIntent;
use crate::objects::already_gone::tolerate_absent;
use crate::objects::many_at_once::{self, DeletionWays};
use crate::options::AzureOptions;

/// An open container.
#[derive(Debug)]
pub(super) struct BlobContainer {
    pub(super) store: MicrosoftAzure,
    pub(super) writing: AzureOptions,
    /// Whether a deletion of many blobs at once was refused.
    pub(super) refuses_batches: Arc<AtomicBool>,
}

/// Microsoft, "Blob Batch": 256 requests.
const MOST_AT_ONCE: usize = 256;
/// Deletions of one blob each that are under way at the same time.
const SINGLE_DELETIONS: usize = 8;

/// The container's ways to delete, for a stream of their own.
#[derive(Clone)]
struct BlobDeletions {
    store: MicrosoftAzure,
    is_refused: Arc<AtomicBool>,
}

impl DeletionWays for BlobDeletions {
    fn many(&self, paths: Vec<Path>) -> BoxStream<'static, Result<Path>> {
        let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
        self.store.delete_stream(paths)
    }

    /// The storage client has no such request: it becomes one on its way out.
    fn singly(&self, paths: Vec<Path>) -> BoxStream<'static, Result<Path>> {
        let store = self.store.clone();
        let delete = move |path: Path| {
            let store = store.clone();
            async move {
                let mut options = PutOptions::default();
                options.extensions.insert(AzureIntent::Delete);
                let deleted = store.put_opts(&path, PutPayload::default(), options).await;
                deleted.map(|_| path)
            }
        };
        let deletions = stream::iter(paths).map(delete);
        deletions.buffered(SINGLE_DELETIONS).boxed()
    }

    fn may_be_sent(&self, paths: &[Path]) -> bool {
        !paths.is_empty()
    }

    fn is_refused(&self) -> &AtomicBool {
        &self.is_refused
    }
}

impl fmt::Display for BlobContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl BlobContainer {
    async fn put_blocks(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let mut extensions = options.extensions;
        if options.mode == PutMode::Create {
            extensions.insert(AzureIntent::CreateOnly);
        }
        let whole = PutMultipartOptions {
            tags: options.tags,
            attributes: options.attributes,
            extensions,
        };
        let mut upload = self.store.put_multipart_opts(location, whole).await?;
        let size = usize::try_from(self.writing.max_block_size).unwrap_or(usize::MAX);
        let blocks = blocks(&payload, size);
        let sent = blocks
            .into_iter()
            .map(|block| upload.put_part(block.into()));
        let sent = stream::iter(sent.collect::<Vec<_>>());
        let mut sent = sent.buffer_unordered(self.writing.max_concurrency);
        while let Some(result) = sent.next().await {
            result?;
        }
        match upload.complete().await {
            Err(Error::Precondition { path, source }) if options.mode == PutMode::Create => {
                Err(Error::AlreadyExists { path, source })
            }
            completed => completed,
        }
    }
}

/// Cuts a payload into blocks, the last one smaller.
fn blocks(payload: &PutPayload, size: usize) -> Vec<Bytes> {
    let mut whole = Bytes::from(payload.clone());
    let mut blocks = Vec::new();
    while whole.len() > size {
        blocks.push(whole.split_to(size));
    }
    blocks.push(whole);
    blocks
}

#[async_trait]
impl ObjectStore for BlobContainer {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let in_blocks = payload.content_length() as u64 > self.writing.max_single_put_size;
        match options.mode {
            PutMode::Overwrite | PutMode::Create if in_blocks => {
                self.put_blocks(location, payload, options).await
            }
            _ => self.store.put_opts(location, payload, options).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let ways = BlobDeletions {
            store: self.store.clone(),
            is_refused: Arc::clone(&self.refuses_batches),
        };
        tolerate_absent(many_at_once::in_chunks(ways, MOST_AT_ONCE, locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

/// `object_store` leaves out of a listing the blob whose whole name is the prefix, which is how WAL
/// files are looked for. So it is told a shorter prefix, and the transport sends the true one.
#[async_trait]
impl PaginatedListStore for BlobContainer {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        mut options: PaginatedListOptions,
    ) -> Result<PaginatedListResult> {
        let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty()) else {
            return self.store.list_paginated(None, options).await;
        };
        options
            .extensions
            .insert(AzureIntent::ListPrefix(prefix.into()));
        let mut shorter = prefix.chars();
        shorter.next_back();
        let shorter = Some(shorter.as_str()).filter(|prefix| !prefix.is_empty());
        self.store.list_paginated(shorter, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_cut_into_blocks_of_one_size_and_a_rest() {
        let sizes = |length, size| {
            let payload = PutPayload::from(vec![7u8; length]);
            blocks(&payload, size)
                .iter()
                .map(Bytes::len)
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(10, 4), [4, 4, 2]);
        assert_eq!(sizes(8, 4), [4, 4]);
        assert_eq!(sizes(3, 4), [3]);
        assert_eq!(sizes(0, 4), [0]);
    }
}
