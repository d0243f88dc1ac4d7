//! A bucket in memory, with a record of what was asked of it and faults on demand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use engine::repository::{Repository, Shelf};
use engine::store::Bucket;
use engine::strangers::PassedOver;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use model::layout::Layout;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};

/// Where the store fails, if at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The n-th part of any upload, counted from 1.
    Part(usize),
    /// The completion of an upload.
    Complete,
    /// Parts are never answered.
    SilentPart,
    /// The completion of an upload is done, and its answer lost.
    LostComplete,
    /// The completion of an upload is never answered.
    SilentComplete,
    /// The completion of an upload whose key ends like this.
    CompleteOf(&'static str),
    /// The completion of an upload whose key ends like this is confirmed, and nothing is there.
    Forgets(&'static str),
    /// The same, and there is an object that lacks its end.
    Shortens(&'static str),
    /// The completion of an upload whose key ends like this is never answered.
    SilentCompleteOf(&'static str),
    /// The completion of an upload whose key ends like this is never answered; every part of
    /// another one is refused, a moment later than it was sent.
    SilentCompleteAndPartOf {
        silent: &'static str,
        refused: &'static str,
    },
    /// Every plain write.
    Put,
    /// Every write and deletion after so many of them; a deletion counts for each object.
    After(usize),
    /// Reading an object whose key ends like this: it is not there, says the store that lists it.
    Withheld(&'static str),
    /// Another one deletes such an object just before it is read.
    DeletedBefore(&'static str),
    /// Every read after so many of them.
    ReadsAfter(usize),
    /// Reading an object whose key ends like this is never answered.
    SilentReadOf(&'static str),
    /// Every read of a part of an object.
    Ranges,
    /// Every read ends one byte early.
    ShortAnswers,
    /// Every answer's bytes come half a second later: 32 MiB at less than 100 MB/s.
    SlowAnswers,
    /// Every answer breaks off after so many bytes, if it has them; be they all.
    AnswersBreakOffAfter(usize),
}

/// Until a refusal comes, what needs no answer is done.
const A_MOMENT: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<InMemory>,
    fault: Fault,
    parts: Arc<AtomicUsize>,
    changes: Arc<AtomicUsize>,
    reads: AtomicUsize,
    pub calls: Arc<Mutex<Vec<String>>>,
}

/// A bucket of 5 MiB parts in memory, and the store behind it.
pub fn bucket(fault: Fault) -> (Bucket, Arc<FaultyStore>) {
    bucket_on(Arc::new(InMemory::new()), fault)
}

/// The same on a store that may already hold something.
pub fn bucket_on(inner: Arc<InMemory>, fault: Fault) -> (Bucket, Arc<FaultyStore>) {
    let store = Arc::new(FaultyStore {
        inner: Arc::clone(&inner),
        fault,
        parts: Arc::default(),
        changes: Arc::default(),
        reads: AtomicUsize::default(),
        calls: Arc::default(),
    });
    let bucket = Bucket {
        objects: Arc::clone(&store) as Arc<dyn ObjectStore>,
        lister: Arc::new(Lister(inner)),
        url: "memory://bucket".to_owned(),
        min_part_size: 5 * 1024 * 1024,
        max_parts: 10_000,
        locks: None,
        passed_over: PassedOver::default(),
    };
    (bucket, store)
}

fn broken<T>() -> Result<T> {
    Err(object_store::Error::Generic {
        store: "faulty",
        source: "on purpose".into(),
    })
}

/// Counts a change, and says whether it is one too many.
fn is_over(fault: Fault, changes: &AtomicUsize) -> bool {
    let before = changes.fetch_add(1, Ordering::Relaxed);
    matches!(fault, Fault::After(most) if before >= most)
}

impl FaultyStore {
    fn note(&self, call: &str, location: &Path) {
        self.calls
            .lock()
            .unwrap()
            .push(format!("{call} {location}"));
    }

    pub async fn keys(&self) -> Vec<String> {
        let objects: Vec<_> = self.inner.list(None).try_collect().await.unwrap();
        let mut keys: Vec<_> = objects
            .into_iter()
            .map(|o| o.location.to_string())
            .collect();
        keys.sort();
        keys
    }
}

impl std::fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.note("put", location);
        if self.fault == Fault::Put || is_over(self.fault, &self.changes) {
            return broken();
        }
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.note("upload", location);
        Ok(Box::new(FaultyUpload {
            inner: self.inner.put_multipart_opts(location, options).await?,
            store: Arc::clone(&self.inner),
            key: location.to_string(),
            fault: self.fault,
            parts: Arc::clone(&self.parts),
            calls: Arc::clone(&self.calls),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.note("get", location);
        let before = self.reads.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            Fault::ReadsAfter(most) if before >= most => return broken(),
            Fault::Ranges if options.range.is_some() => return broken(),
            Fault::Withheld(ending) if location.as_ref().ends_with(ending) => {
                return Err(object_store::Error::NotFound {
                    path: location.to_string(),
                    source: "on purpose".into(),
                });
            }
            Fault::SilentReadOf(ending) if location.as_ref().ends_with(ending) => {
                return std::future::pending().await;
            }
            Fault::DeletedBefore(ending) if location.as_ref().ends_with(ending) => {
                self.inner.delete(location).await?;
            }
            _ => {}
        }
        let got = self.inner.get_opts(location, options).await?;
        match self.fault {
            Fault::ShortAnswers => Ok(spoiled(got, |chunks| {
                let one_less = |chunk: Bytes| chunk.slice(..chunk.len() - 1);
                chunks.map_ok(one_less).boxed()
            })),
            Fault::AnswersBreakOffAfter(most) => Ok(spoiled(got, |chunks| {
                let cut = move |chunk: Bytes| match chunk.len() >= most {
                    true => vec![Ok(chunk.slice(..most)), broken()],
                    false => vec![Ok(chunk)],
                };
                let chunks = chunks.map_ok(move |chunk| stream::iter(cut(chunk)));
                chunks.try_flatten().boxed()
            })),
            Fault::SlowAnswers => Ok(spoiled(got, |chunks| {
                let begin = async {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    chunks
                };
                begin.flatten_stream().boxed()
            })),
            _ => Ok(got),
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (fault, changes) = (self.fault, Arc::clone(&self.changes));
        let calls = Arc::clone(&self.calls);
        let locations = locations.and_then(move |location| {
            calls.lock().unwrap().push(format!("delete {location}"));
            let over = is_over(fault, &changes);
            async move { if over { broken() } else { Ok(location) } }
        });
        self.inner.delete_stream(locations.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

type Chunks = BoxStream<'static, Result<Bytes>>;

/// The same answer with other chunks.
fn spoiled(got: GetResult, spoil: impl FnOnce(Chunks) -> Chunks) -> GetResult {
    let (range, meta) = (got.range.clone(), got.meta.clone());
    let (attributes, extensions) = (got.attributes.clone(), got.extensions.clone());
    GetResult {
        payload: GetResultPayload::Stream(spoil(got.into_stream())),
        meta,
        range,
        attributes,
        extensions,
    }
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    store: Arc<InMemory>,
    key: String,
    fault: Fault,
    parts: Arc<AtomicUsize>,
    calls: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let number = self.parts.fetch_add(1, Ordering::Relaxed) + 1;
        if self.fault == Fault::Part(number) {
            return Box::pin(async { broken() });
        }
        if self.fault == Fault::SilentPart {
            return Box::pin(std::future::pending());
        }
        match self.fault {
            Fault::SilentCompleteAndPartOf { refused, .. } if self.key.ends_with(refused) => {
                Box::pin(async {
                    tokio::time::sleep(A_MOMENT).await;
                    broken()
                })
            }
            _ => self.inner.put_part(data),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        match self.fault {
            Fault::Complete => broken(),
            Fault::LostComplete => {
                self.inner.complete().await?;
                broken()
            }
            Fault::SilentComplete => std::future::pending().await,
            Fault::CompleteOf(ending) if self.key.ends_with(ending) => broken(),
            Fault::Forgets(ending) if self.key.ends_with(ending) => {
                let completed = self.inner.complete().await?;
                self.store.delete(&Path::from(self.key.as_str())).await?;
                Ok(completed)
            }
            Fault::Shortens(ending) if self.key.ends_with(ending) => {
                self.inner.complete().await?;
                let short = PutPayload::from_static(b"short");
                self.store.put(&Path::from(self.key.as_str()), short).await
            }
            Fault::SilentCompleteOf(ending)
            | Fault::SilentCompleteAndPartOf { silent: ending, .. }
                if self.key.ends_with(ending) =>
            {
                std::future::pending().await
            }
            _ => self.inner.complete().await,
        }
    }

    async fn abort(&mut self) -> Result<()> {
        self.calls.lock().unwrap().push("abort".to_owned());
        self.inner.abort().await
    }
}

/// Lists by raw prefix, three objects a page, so that paging is always exercised.
struct Lister(Arc<InMemory>);

#[async_trait]
impl PaginatedListStore for Lister {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> Result<PaginatedListResult> {
        let mut objects: Vec<ObjectMeta> = self.0.list(None).boxed().try_collect().await?;
        objects.retain(|object| {
            object
                .location
                .as_ref()
                .starts_with(prefix.unwrap_or_default())
        });
        objects.sort_by(|one, other| one.location.cmp(&other.location));
        if let Some(delimiter) = options.delimiter.as_deref() {
            return Ok(grouped(&objects, prefix.unwrap_or_default(), delimiter));
        }
        if let Some(after) = &options.page_token {
            objects.retain(|object| object.location.as_ref() > after.as_str());
        }
        let page = options.max_keys.unwrap_or(3).min(3);
        let more = objects.len() > page;
        objects.truncate(page);
        let last = objects.last().map(|object| object.location.to_string());
        Ok(PaginatedListResult {
            page_token: last.filter(|_| more),
            result: ListResult {
                common_prefixes: vec![],
                objects,
                extensions: Default::default(),
            },
        })
    }
}

/// What lies below a prefix, by the next part of the names: on one page.
fn grouped(objects: &[ObjectMeta], prefix: &str, delimiter: &str) -> PaginatedListResult {
    let next = objects.iter().filter_map(|object| {
        let (name, _) = object
            .location
            .as_ref()
            .strip_prefix(prefix)?
            .split_once(delimiter)?;
        Some(Path::from(format!("{prefix}{name}")))
    });
    let mut common_prefixes: Vec<Path> = next.collect();
    common_prefixes.dedup();
    let is_here = |object: &&ObjectMeta| {
        let below = object.location.as_ref().strip_prefix(prefix);
        below.is_some_and(|name| !name.contains(delimiter))
    };
    let here = objects.iter().filter(is_here).cloned().collect();
    PaginatedListResult {
        page_token: None,
        result: ListResult {
            common_prefixes,
            objects: here,
            extensions: Default::default(),
        },
    }
}

/// The place of one server's things.
pub fn shelf(bucket: &Bucket, layout: &Layout) -> Shelf {
    Shelf {
        bucket: bucket.clone(),
        layout: layout.clone(),
    }
}

/// The same for records, backups and WAL.
pub fn repository(bucket: &Bucket, layout: &Layout) -> Repository {
    Repository::on_one(shelf(bucket, layout))
}
