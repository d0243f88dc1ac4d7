//! What the engine relies on in every bucket, written once and run on each kind of store.

use bytes::Bytes;
use cloud::{ErrorKind, classify};
use engine::store::Bucket;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use object_store::list::PaginatedListOptions;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions, PutPayload};

/// Runs every check below `prefix`, which must be free.
pub async fn check_bucket(bucket: &Bucket, prefix: &str) {
    let subject = Subject { bucket, prefix };
    subject.an_object_comes_back_and_can_be_overwritten().await;
    subject.a_range_of_an_object_can_be_read().await;
    subject.odd_keys_come_back_as_they_were().await;
    subject.a_raw_prefix_lists_in_pages().await;
    subject.a_multipart_upload_becomes_visible_at_once().await;
    subject.an_aborted_upload_leaves_nothing_visible().await;
    subject.create_only_refuses_what_exists().await;
    subject.a_version_replaces_only_what_was_read().await;
    subject.deleted_objects_are_gone().await;
    subject.a_missing_object_is_not_found().await;
}

struct Subject<'a> {
    bucket: &'a Bucket,
    prefix: &'a str,
}

impl Subject<'_> {
    fn key(&self, name: &str) -> Path {
        Path::parse(format!("{}/{name}", self.prefix)).unwrap()
    }

    async fn put(&self, key: &Path, content: &str) {
        self.bucket
            .objects
            .put(key, content.to_owned().into())
            .await
            .unwrap();
    }

    async fn read(&self, key: &Path) -> Bytes {
        self.bucket
            .objects
            .get(key)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
    }

    /// Every key that begins with `prefix`, in pages of `max_keys`, sorted.
    async fn list(&self, prefix: &str, max_keys: usize) -> Vec<String> {
        let prefix = format!("{}/{prefix}", self.prefix);
        let (mut keys, mut page_token) = (Vec::new(), None);
        loop {
            let options = PaginatedListOptions {
                max_keys: Some(max_keys),
                page_token,
                ..Default::default()
            };
            let page = self
                .bucket
                .lister
                .list_paginated(Some(&prefix), options)
                .await
                .unwrap();
            assert!(page.result.objects.len() <= max_keys);
            keys.extend(
                page.result
                    .objects
                    .iter()
                    .map(|object| object.location.to_string()),
            );
            page_token = page.page_token;
            if page_token.is_none() {
                keys.sort();
                return keys;
            }
        }
    }

    async fn an_object_comes_back_and_can_be_overwritten(&self) {
        let key = self.key("plain/a");
        for content in ["first", "", "second and longer"] {
            self.put(&key, content).await;
            assert_eq!(self.read(&key).await, content);
            assert_eq!(
                self.bucket.objects.head(&key).await.unwrap().size,
                content.len() as u64
            );
        }
    }

    async fn a_range_of_an_object_can_be_read(&self) {
        let key = self.key("plain/range");
        self.put(&key, "0123456789").await;
        assert_eq!(
            self.bucket.objects.get_range(&key, 3..6).await.unwrap(),
            "345"
        );
    }

    async fn odd_keys_come_back_as_they_were(&self) {
        let names = [
            "odd/größe",
            "odd/a b+c",
            "odd/50%20",
            "odd/x=&;:,@'(1)!~*[2]{3}#x",
            "odd/.h",
        ];
        for name in names {
            self.put(&self.key(name), name).await;
        }
        for name in names {
            assert_eq!(self.read(&self.key(name)).await, name);
        }
        let mut expected: Vec<_> = names.map(|name| self.key(name).to_string()).into();
        expected.sort();
        assert_eq!(self.list("odd/", 1000).await, expected);
    }

    async fn a_raw_prefix_lists_in_pages(&self) {
        let names: Vec<_> = (0..25)
            .map(|n| format!("wals/{:016X}/{n:024X}.gz", n / 10))
            .collect();
        try_join_all(names.iter().map(|name| async {
            self.bucket
                .objects
                .put(&self.key(name), name.clone().into())
                .await
        }))
        .await
        .unwrap();
        let expected = |part: &str| -> Vec<String> {
            let chosen = names.iter().filter(|name| name.starts_with(part));
            chosen.map(|name| self.key(name).to_string()).collect()
        };
        for part in [
            "wals/",
            "wals/0000000000000001",
            "wals/0000000000000002/00000",
            // The whole name of one of them, as a WAL file is looked for.
            "wals/0000000000000001/00000000000000000000000C.gz",
            "none",
        ] {
            for page in [1, 7, 1000] {
                assert_eq!(
                    self.list(part, page).await,
                    expected(part),
                    "{part} by {page}"
                );
            }
        }
    }

    async fn a_multipart_upload_becomes_visible_at_once(&self) {
        let key = self.key("parts/data.tar");
        let size = self.bucket.min_part_size as usize;
        let parts: Vec<Bytes> = (0..12u8)
            .map(|n| vec![n; if n == 11 { 1234 } else { size }].into())
            .collect();
        let mut upload = self.bucket.objects.put_multipart(&key).await.unwrap();
        let sending: Vec<_> = parts
            .iter()
            .map(|part| upload.put_part(PutPayload::from_bytes(part.clone())))
            .collect();
        let mut sending = stream::iter(sending).buffer_unordered(3);
        while let Some(sent) = sending.next().await {
            sent.unwrap();
        }
        assert!(
            self.list("parts/", 10).await.is_empty(),
            "visible before it is complete"
        );
        upload.complete().await.unwrap();
        assert_eq!(self.list("parts/", 10).await.len(), 1);
        assert_eq!(
            self.bucket.objects.head(&key).await.unwrap().size,
            11 * size as u64 + 1234
        );
        let mut stored = self.bucket.objects.get(&key).await.unwrap().into_stream();
        let (mut offset, mut good) = (0usize, true);
        while let Some(chunk) = stored.try_next().await.unwrap() {
            good &= chunk
                .iter()
                .enumerate()
                .all(|(n, byte)| *byte == ((offset + n) / size) as u8);
            offset += chunk.len();
        }
        assert!(good && offset == 11 * size + 1234);
    }

    async fn an_aborted_upload_leaves_nothing_visible(&self) {
        let key = self.key("aborted/data.tar");
        let mut upload = self.bucket.objects.put_multipart(&key).await.unwrap();
        let part = vec![1; self.bucket.min_part_size as usize];
        upload.put_part(part.into()).await.unwrap();
        upload.abort().await.unwrap();
        assert!(self.list("aborted/", 10).await.is_empty());
        let error = self.bucket.objects.get(&key).await.unwrap_err();
        assert_eq!(classify(&error), ErrorKind::NotFound);
    }

    async fn create_only_refuses_what_exists(&self) {
        let key = self.key("create/a");
        let create = || PutOptions {
            mode: PutMode::Create,
            ..Default::default()
        };
        self.bucket
            .objects
            .put_opts(&key, "first".into(), create())
            .await
            .unwrap();
        let error = self
            .bucket
            .objects
            .put_opts(&key, "second".into(), create())
            .await;
        let error = error.unwrap_err();
        assert!(matches!(error, Error::AlreadyExists { .. }), "{error:?}");
        assert_eq!(self.read(&key).await, "first");
    }

    async fn a_version_replaces_only_what_was_read(&self) {
        let key = self.key("version/a").to_string();
        self.put(&self.key("version/a"), "first").await;
        let (_, version) = self.bucket.read_version(&key).await.unwrap();
        let replace = |content: &'static str| {
            let content = Bytes::from_static(content.as_bytes());
            self.bucket.replace(&key, version.clone(), content)
        };
        assert!(replace("second").await.unwrap());
        assert!(!replace("third, by one who read the first").await.unwrap());
        assert_eq!(self.read(&self.key("version/a")).await, "second");
    }

    async fn deleted_objects_are_gone(&self) {
        let keys: Vec<_> = (0..20)
            .map(|n| self.key(&format!("deleted/{n}/x")))
            .collect();
        for key in &keys {
            self.put(key, "x").await;
        }
        // An absent one among them is no error.
        let all = keys.iter().cloned().chain([self.key("deleted/never")]);
        let all = stream::iter(all.map(Ok).collect::<Vec<_>>()).boxed();
        let gone: Vec<_> = self
            .bucket
            .objects
            .delete_stream(all)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(gone.len(), 21);
        assert!(self.list("deleted/", 100).await.is_empty());
        self.bucket.objects.delete(&keys[0]).await.unwrap();
    }

    async fn a_missing_object_is_not_found(&self) {
        let key = self.key("missing");
        for error in [
            self.bucket.objects.get(&key).await.unwrap_err(),
            self.bucket.objects.head(&key).await.unwrap_err(),
        ] {
            assert_eq!(classify(&error), ErrorKind::NotFound, "{error:?}");
        }
    }
}
