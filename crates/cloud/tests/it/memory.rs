//! The conformance checks on `object_store`'s memory: they ask for nothing that only we do.

use std::sync::Arc;

use async_trait::async_trait;
use engine::store::Bucket;
use engine::strangers::PassedOver;
use futures_util::TryStreamExt;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::memory::InMemory;
use object_store::{ListResult, ObjectMeta, ObjectStore, Result};

struct Lister(Arc<InMemory>);

#[async_trait]
impl PaginatedListStore for Lister {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        opts: PaginatedListOptions,
    ) -> Result<PaginatedListResult> {
        let all: Vec<ObjectMeta> = self.0.list(None).try_collect().await?;
        let after = opts.page_token.as_deref().unwrap_or("");
        let mut objects: Vec<_> = all
            .into_iter()
            .filter(|object| object.location.as_ref().starts_with(prefix.unwrap_or("")))
            .filter(|object| object.location.as_ref() > after)
            .collect();
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        let more = opts.max_keys.is_some_and(|limit| objects.len() > limit);
        objects.truncate(opts.max_keys.unwrap_or(usize::MAX));
        let last = objects.last().map(|object| object.location.to_string());
        let page_token = last.filter(|_| more);
        let common_prefixes = Vec::new();
        let result = ListResult {
            common_prefixes,
            objects,
            extensions: Default::default(),
        };
        Ok(PaginatedListResult { result, page_token })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_behaves_as_a_bucket() {
    let store = Arc::new(InMemory::new());
    let bucket = Bucket {
        objects: store.clone(),
        lister: Arc::new(Lister(store)),
        url: "memory".into(),
        min_part_size: 5 * 1024 * 1024,
        max_parts: 10_000,
        locks: None,
        passed_over: PassedOver::default(),
    };
    super::conformance::check_bucket(&bucket, "conformance").await;
}
