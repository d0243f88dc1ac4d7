//! Deleting many objects with one request, and one by one where a store cannot do that.
//!
//! Google's S3 interface has no such request, and some stores want a header that newer clients do
//! not send. Always true: a store that refused it once is not asked for it again.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::failure::diagnose;

/// AWS, "Amazon S3 API Reference", `DeleteObjects`.
const MOST_AT_ONCE: usize = 1000;
/// What stores answer that do not know the request, or want another header with it.
const REFUSALS: [&str; 4] = [
    "MissingContentMD5",
    "NotImplemented",
    "MethodNotAllowed",
    "InvalidRequest",
];

/// One bucket through two clients: one that deletes many at once, and one that does not.
#[derive(Debug)]
pub(super) struct Deleting {
    pub(super) many: Arc<AmazonS3>,
    pub(super) single: Arc<SingleDeletions>,
}

/// The client that deletes one by one: made only for a store that needs it.
#[derive(Debug)]
pub(super) struct SingleDeletions {
    builder: AmazonS3Builder,
    refused: OnceLock<std::result::Result<AmazonS3, String>>,
}

impl SingleDeletions {
    pub(super) fn new(builder: AmazonS3Builder) -> SingleDeletions {
        SingleDeletions {
            builder: builder.with_disable_bulk_delete(true),
            refused: OnceLock::new(),
        }
    }

    fn client(&self) -> Result<&AmazonS3> {
        let make = || {
            self.builder
                .clone()
                .build()
                .map_err(|error| error.to_string())
        };
        let made = self.refused.get_or_init(make).as_ref();
        made.map_err(|cause| object_store::Error::Generic {
            store: "S3",
            source: cause.clone().into(),
        })
    }
}

impl fmt::Display for Deleting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.many.fmt(f)
    }
}

async fn delete(
    many: Arc<AmazonS3>,
    single: Arc<SingleDeletions>,
    paths: Vec<Result<Path>>,
) -> Vec<Result<Path>> {
    let known: Vec<Path> = paths.iter().flatten().cloned().collect();
    if single.refused.get().is_none() {
        let answers: Vec<_> = many
            .delete_stream(stream::iter(paths).boxed())
            .collect()
            .await;
        let is_refusal = |error: &object_store::Error| {
            let code = diagnose(error).code;
            code.is_some_and(|code| REFUSALS.contains(&code.as_str()))
        };
        if !answers.iter().any(|it| it.as_ref().is_err_and(is_refusal)) {
            return answers;
        }
    }
    let known = stream::iter(known.into_iter().map(Ok)).boxed();
    match single.client() {
        Ok(client) => client.delete_stream(known).collect().await,
        Err(error) => vec![Err(error)],
    }
}

#[async_trait]
impl ObjectStore for Deleting {
    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (many, single) = (Arc::clone(&self.many), Arc::clone(&self.single));
        locations
            .chunks(MOST_AT_ONCE)
            .then(move |paths| {
                let (many, single) = (Arc::clone(&many), Arc::clone(&single));
                delete(many, single, paths)
            })
            .flat_map(stream::iter)
            .boxed()
    }

    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.many.put_opts(location, payload, options).await
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
