//! A bucket through two clients: one that deletes many objects with one request, and one that does
//! not, for stores that refuse that. Always true: a single object is never deleted as one of many.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use engine::object_key;
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::conditions::Conditions;
use crate::objects::many_at_once::{self, DeletionWays};

/// AWS, "Amazon S3 API Reference", `DeleteObjects`.
const MOST_AT_ONCE: usize = 1000;
/// One bucket through two clients: one that deletes many at once, and one that does not.
#[derive(Debug)]
pub(super) struct Deleting {
    pub(super) many: Arc<AmazonS3>,
    pub(super) single: Arc<SingleDeletions>,
    pub(super) conditions: Conditions,
}

/// The client that deletes one by one: made only for a store that needs it.
#[derive(Debug)]
pub(super) struct SingleDeletions {
    builder: AmazonS3Builder,
    client: OnceLock<std::result::Result<AmazonS3, String>>,
    /// Whether the store refused to delete many at once.
    needed: AtomicBool,
}

impl SingleDeletions {
    pub(super) fn new(builder: AmazonS3Builder) -> SingleDeletions {
        SingleDeletions {
            builder: builder.with_disable_bulk_delete(true),
            client: OnceLock::new(),
            needed: AtomicBool::new(false),
        }
    }

    fn client(&self) -> Result<&AmazonS3> {
        let make = || {
            self.builder
                .clone()
                .build()
                .map_err(|error| error.to_string())
        };
        let made = self.client.get_or_init(make).as_ref();
        made.map_err(|cause| object_store::Error::Generic {
            store: "S3",
            source: cause.clone().into(),
        })
    }

    fn delete(&self, paths: Vec<Path>) -> BoxStream<'static, Result<Path>> {
        let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
        match self.client() {
            Ok(client) => client.delete_stream(paths),
            Err(error) => many_at_once::only(error),
        }
    }
}

/// One bucket's two ways, for a stream of their own.
#[derive(Clone)]
struct Both {
    many: Arc<AmazonS3>,
    single: Arc<SingleDeletions>,
}

impl DeletionWays for Both {
    fn many(&self, paths: Vec<Path>) -> BoxStream<'static, Result<Path>> {
        let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
        self.many.delete_stream(paths)
    }

    fn singly(&self, paths: Vec<Path>) -> BoxStream<'static, Result<Path>> {
        self.single.delete(paths)
    }

    fn may_be_sent(&self, paths: &[Path]) -> bool {
        // A request for many has the keys in its body, where the dialect does not spell them as
        // stored.
        paths.len() >= 2 && !paths.iter().any(object_key::is_marked)
    }

    fn is_refused(&self) -> &AtomicBool {
        &self.single.needed
    }
}

impl fmt::Display for Deleting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.many.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Deleting {
    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let ways = Both {
            many: Arc::clone(&self.many),
            single: Arc::clone(&self.single),
        };
        many_at_once::in_chunks(ways, MOST_AT_ONCE, locations)
    }

    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let (store, conditions) = (&self.many, &self.conditions);
        conditions.put(store, location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.many.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.many.get_opts(location, options).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.many.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.many.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.many.copy_opts(from, to, options).await
    }
}
