//! Several commands at once on one catalogue, in every order that chance gives: each request to
//! the store may be overtaken by those of the others.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use engine::deletion::{DeletionError, Manner, execute, gather};
use engine::keep::keep;
use engine::store::Bucket;
use engine::strangers::PassedOver;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::backup::BackupStatus;
use model::backup::id::BackupId;
use model::backup::mark::is_being_deleted;
use model::deletion::{Choice, DeletionRequest, plan_delete};
use model::keep::KeepTarget;
use model::layout::Layout;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::stores::{repository, shelf};

const OLD: &str = "20261101T000000";
const OTHER: &str = "20261108T000000";
const NEW: &str = "20261115T000000";

/// A store whose answers let others go first, as a seed says.
#[derive(Debug)]
struct Hesitant {
    inner: InMemory,
    chance: AtomicU64,
    /// What was asked of it: the story of a failure.
    story: Mutex<Vec<String>>,
}

impl Hesitant {
    async fn hesitate(&self) {
        // Knuth's generator: the same seed gives the same order.
        let step = |at: u64| at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let before = self
            .chance
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |at| Some(step(at)));
        for _ in 0..(before.unwrap_or_default() >> 60) {
            tokio::task::yield_now().await;
        }
    }

    fn note(&self, what: String) {
        self.story.lock().unwrap().push(what);
    }
}

impl std::fmt::Display for Hesitant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hesitant")
    }
}

#[async_trait]
impl ObjectStore for Hesitant {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.hesitate().await;
        let text: Vec<u8> = payload.iter().flat_map(|part| part.to_vec()).collect();
        let text = String::from_utf8_lossy(&text).replace('\n', " ");
        let mode = format!("{:?}", options.mode);
        let put = self.inner.put_opts(location, payload, options).await;
        self.note(format!(
            "put {location} {:.8}: {} {text}",
            mode,
            put.is_ok()
        ));
        put
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.hesitate().await;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
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

#[async_trait]
impl PaginatedListStore for Hesitant {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        _: PaginatedListOptions,
    ) -> Result<PaginatedListResult> {
        self.hesitate().await;
        let mut objects: Vec<ObjectMeta> = self.inner.list(None).boxed().try_collect().await?;
        let prefix = prefix.unwrap_or_default();
        objects.retain(|object| object.location.as_ref().starts_with(prefix));
        Ok(PaginatedListResult {
            page_token: None,
            result: ListResult {
                common_prefixes: vec![],
                objects,
                extensions: Default::default(),
            },
        })
    }
}

fn layout() -> Layout {
    Layout::new("p", "main").unwrap()
}

fn segment(number: u32) -> String {
    format!("0000000100000000{number:08X}")
}

/// Three backups at segments 2, 4 and 6 of eight.
async fn filled(seed: u64) -> (Bucket, Arc<Hesitant>) {
    let store = Arc::new(Hesitant {
        inner: InMemory::new(),
        chance: AtomicU64::new(seed),
        story: Mutex::default(),
    });
    let bucket = Bucket {
        objects: Arc::clone(&store) as Arc<dyn ObjectStore>,
        lister: Arc::clone(&store) as _,
        url: "memory://bucket".to_owned(),
        min_part_size: 5 * 1024 * 1024,
        max_parts: 10_000,
        locks: None,
        passed_over: PassedOver::default(),
    };
    for (id, begin) in [(OLD, 2), (OTHER, 4), (NEW, 6)] {
        let wal = segment(begin);
        let record = format!(
            "begin_wal={wal}\nend_wal={wal}\nstatus=DONE\ntimeline=1\n\
             end_time=2026-11-{:02} 00:10:00+00:00\nserver_name=cloud\n",
            10 + begin
        );
        let base = format!("p/main/base/{id}");
        for (name, body) in [("backup.info", record.as_str()), ("data.tar", "x")] {
            let key = format!("{base}/{name}");
            bucket.write(&key, body.to_owned().into()).await.unwrap();
        }
    }
    for number in 1..=8 {
        let key = format!("p/main/wals/0000000100000000/{}", segment(number));
        bucket.write(&key, "x".into()).await.unwrap();
    }
    store.story.lock().unwrap().clear();
    (bucket, store)
}

async fn delete(bucket: &Bucket, choice: Choice) -> Option<DeletionError> {
    let request = DeletionRequest {
        choice,
        minimum_redundancy: 0,
        now: Timestamp::UNIX_EPOCH,
    };
    let facts = gather(&repository(bucket, &layout())).await.unwrap();
    let plan = plan_delete(&request, &facts).ok()?;
    let batch = NonZeroUsize::new(1).unwrap();
    execute(&plan, &repository(bucket, &layout()), &manner(batch))
        .await
        .err()
}

/// What says DONE has its data and all WAL from its beginning.
async fn check(bucket: &Bucket, story: &str) -> Vec<(BackupId, BackupStatus)> {
    let facts = gather(&repository(bucket, &layout())).await.unwrap();
    let mut found = Vec::new();
    for (id, info) in facts.backups.readable() {
        found.push((*id, info.status));
        assert!(info.status == BackupStatus::Done || is_being_deleted(info));
        if info.status != BackupStatus::Done {
            continue;
        }
        let objects = &facts.objects[id];
        assert!(
            objects.iter().any(|name| name == "data.tar"),
            "{id}: {story}"
        );
        let begin = info.begin_wal.clone().unwrap();
        for name in (1..=8).map(segment).filter(|name| *name >= begin) {
            let mut wal = facts.wal.iter();
            let is_there = wal.any(|(wal, _)| wal.to_string() == name);
            assert!(is_there, "{id} needs {name}: {story}");
        }
    }
    found
}

async fn at_once(seed: u64) {
    let (bucket, store) = filled(seed).await;
    let other: BackupId = OTHER.parse().unwrap();
    let policy = Choice::Policy("REDUNDANCY 1".parse().unwrap());
    let by_id = Choice::Backup(OLD.parse().unwrap());
    let layout = layout();
    let records = shelf(&bucket, &layout);
    let (kept, one, two, three) = tokio::join!(
        keep(&records, &other, KeepTarget::Full),
        delete(&bucket, policy),
        delete(&bucket, by_id),
        delete(&bucket, policy),
    );
    let ends = [one, two, three];
    let story = store.story.lock().unwrap().join("\n");
    let story = format!("seed {seed}, kept {kept:?}, {ends:?}\n{story}");
    let found = check(&bucket, &story).await;
    if kept.is_ok() {
        assert!(found.contains(&(other, BackupStatus::Done)), "{story}");
    }
    assert!(
        found
            .iter()
            .any(|(id, status)| id.as_str() == NEW && *status == BackupStatus::Done)
    );
    // What is left over is swept by the next run, and what is kept stays.
    let ended = delete(&bucket, policy).await;
    assert!(ended.is_none(), "{ended:?}: {story}");
    let found = check(&bucket, &story).await;
    assert!(
        found
            .iter()
            .all(|(_, status)| *status == BackupStatus::Done),
        "{story}"
    );
    assert_eq!(
        found.len(),
        if kept.is_ok() { 2 } else { 1 },
        "{found:?}: {story}"
    );
}

#[tokio::test]
async fn deletions_and_a_keep_at_once_leave_no_record_without_its_data_and_wal() {
    for seed in 0..3000 {
        at_once(seed).await;
    }
}

fn manner(batch: NonZeroUsize) -> Manner {
    Manner {
        batch,
        words: "the test finishes it".to_owned(),
    }
}
