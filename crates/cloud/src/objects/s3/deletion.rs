//! Deleting many objects with one request, and one by one where that does not do it.
//!
//! Some stores have no such request (Google's S3 interface, riak_cs), some want another header with
//! it, and some refuse it to accounts that may well delete. Whatever a request for many did not
//! delete is deleted singly, and what the store says to that counts. Always true: a store that
//! refused it once is not asked for it again; a single object never is.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
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
use crate::failure::{ErrorKind, diagnose};
use crate::http::answer::said_in;

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

    async fn delete(&self, paths: Vec<Path>) -> Vec<Result<Path>> {
        let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
        match self.client() {
            Ok(client) => client.delete_stream(paths).collect().await,
            Err(error) => vec![Err(error)],
        }
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
    // A request for many has the keys in its body, where the dialect does not spell them as stored.
    let is_odd = known.iter().any(object_key::is_marked);
    if known.len() < 2 || is_odd || single.needed.load(Ordering::Relaxed) {
        return single.delete(known).await;
    }
    let stream = many.delete_stream(stream::iter(paths).boxed());
    let answers: Vec<_> = stream.collect().await;
    let failure = answers.iter().find_map(|answer| answer.as_ref().err());
    let Some(failure) = failure else {
        return answers;
    };
    if diagnose(failure).kind == ErrorKind::Unreachable {
        return answers;
    }
    // A refusal of each object comes with a status that says that all is well.
    let is_refused = said_in(failure).is_none_or(|said| !said.status.is_success());
    // Who may delete nothing at all is told so after one request, not after a thousand.
    let mut known = known.into_iter();
    let mut deleted = single.delete(known.by_ref().take(1).collect()).await;
    if deleted.iter().all(is_done) {
        deleted.extend(single.delete(known.collect()).await);
        let all_done = deleted.iter().all(is_done);
        single
            .needed
            .fetch_or(is_refused && all_done, Ordering::Relaxed);
    }
    deleted
}

fn is_done(answer: &Result<Path>) -> bool {
    matches!(answer, Ok(_) | Err(object_store::Error::NotFound { .. }))
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
