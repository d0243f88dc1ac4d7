//! Listings and records of stores that misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use engine::catalogue::read_catalogue;
use engine::store::Bucket;
use model::backup::catalogue::Entry;
use model::layout::Layout;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta, Result};

use crate::stores::{Fault, bucket, shelf};

/// Which token a page has, by its number, and whether it has an object.
type Page = fn(usize) -> (Option<String>, bool);

struct Pages {
    page: Page,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl PaginatedListStore for Pages {
    async fn list_paginated(
        &self,
        _: Option<&str>,
        _: PaginatedListOptions,
    ) -> Result<PaginatedListResult> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let (page_token, has_object) = (self.page)(number);
        let object = ObjectMeta {
            location: Path::from(format!("p/{number}")),
            last_modified: Default::default(),
            size: 1,
            e_tag: None,
            version: None,
        };
        Ok(PaginatedListResult {
            result: ListResult {
                common_prefixes: vec![],
                objects: has_object.then_some(object).into_iter().collect(),
                extensions: Default::default(),
            },
            page_token,
        })
    }
}

fn listing(page: Page) -> (Bucket, Arc<AtomicUsize>) {
    let (mut bucket, _) = bucket(Fault::None);
    let asked = Arc::new(AtomicUsize::new(0));
    bucket.lister = Arc::new(Pages {
        page,
        asked: Arc::clone(&asked),
    });
    (bucket, asked)
}

fn cause(error: &dyn std::error::Error) -> String {
    let source = error.source().map(cause).unwrap_or_default();
    format!("{error}: {source}")
}

#[tokio::test]
async fn a_listing_that_sends_a_page_again_ends_with_an_error() {
    let pages: [Page; 2] = [
        |_| (Some("same".into()), true),
        |number| (Some(format!("{}", number % 3)), true),
    ];
    for page in pages {
        let (bucket, asked) = listing(page);
        let error = bucket.list("p/").await.unwrap_err();
        assert!(cause(&error).contains("sent before"), "{}", cause(&error));
        assert!(error.object.ends_with("p/"), "{error}");
        assert!(asked.load(Ordering::Relaxed) < 6);
    }
}

#[tokio::test]
async fn a_listing_of_empty_pages_without_end_ends_with_an_error() {
    let (bucket, _) = listing(|number| (Some(number.to_string()), false));
    for error in [
        bucket.list("p/").await.unwrap_err(),
        bucket.any("p/").await.unwrap_err(),
    ] {
        assert!(cause(&error).contains("empty pages"), "{}", cause(&error));
    }
}

#[tokio::test]
async fn an_empty_page_that_goes_on_is_no_proof_that_nothing_is_there() {
    let (bucket, _) = listing(|number| ((number < 3).then(|| number.to_string()), number == 3));
    assert!(bucket.any("p/").await.unwrap());
    let (bucket, _) = listing(|number| ((number < 3).then(|| number.to_string()), false));
    assert!(!bucket.any("p/").await.unwrap());
}

#[tokio::test]
async fn a_record_of_many_megabytes_is_not_read_and_does_not_hide_the_others() {
    let (bucket, _) = bucket(Fault::None);
    let layout = Layout::new("", "main").unwrap();
    let huge = Bytes::from(vec![b'x'; 17 << 20]);
    for (id, content) in [
        ("20261101T000000", huge.clone()),
        ("20261102T000000", Bytes::from_static(b"status=DONE\n")),
    ] {
        let key = layout.backup_info(&id.parse().unwrap());
        bucket.write(&key, content).await.unwrap();
    }
    let key = format!("{}/20261102T000000/annotations/keep", layout.backups());
    bucket.write(&key, huge).await.unwrap();
    let found = read_catalogue(&shelf(&bucket, &layout)).await.unwrap();
    let entry = found.backups.get(&"20261101T000000".parse().unwrap());
    let Some(Entry::Unreadable { reason }) = entry else {
        panic!("{entry:?}");
    };
    assert!(reason.contains("bytes"), "{reason}");
    assert!(
        found
            .backups
            .get(&"20261102T000000".parse().unwrap())
            .is_some()
    );
    assert_eq!(found.unreadable_keeps.len(), 1);
}
