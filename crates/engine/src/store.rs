//! An object store as the engine sees it: a bucket (or container, or directory) behind two traits.
//!
//! Whoever opens a bucket (the `cloud` crate, or a test with an in-memory store) decides about
//! retries, credentials and addresses. Here a key is always relative to the bucket's root, and
//! every error names the object. Always true: nothing is acknowledged before the store has said
//! that it has it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use model::backup::effort::PartRules;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};

use crate::object_key;
use crate::strangers::{PassedOver, Strangers};

/// What an object is tagged with, as the storage trait takes it.
pub use object_store::TagSet;

/// What is read into memory whole, such as a backup's record, is of some KiB.
const LARGEST_READ_BYTES: u64 = 16 * 1024 * 1024;
/// Pages of a listing in a row that may be empty although it goes on: some stores leave out of a
/// page what was deleted.
const MOST_EMPTY_PAGES: usize = 1000;

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
    /// Who can say which objects are locked; `None` where objects cannot be locked.
    pub locks: Option<Arc<dyn Locks>>,
    /// Where it is told what listings pass over.
    pub passed_over: PassedOver,
}

/// What keeps an object from being deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Until this moment.
    Until(Timestamp),
    /// Until somebody takes it away.
    Held,
}

/// A store that can lock objects.
#[async_trait]
pub trait Locks: std::fmt::Debug + Send + Sync {
    /// The lock on an object, if there is one that still holds.
    async fn lock_of(&self, key: &Path) -> object_store::Result<Option<Lock>>;
}

/// A store's refusal, with the object it is about.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {object}")]
pub struct StoreError {
    /// What was tried: `read`, `write`, `list`, `upload`, `delete`.
    pub action: &'static str,
    /// The full address of the object, without secrets.
    pub object: String,
    /// The store's own words.
    #[source]
    pub source: object_store::Error,
}

/// An object that nobody wrote who writes such objects.
#[derive(Debug, thiserror::Error)]
#[error("it is of {size_bytes} bytes, and no such object is of more than {LARGEST_READ_BYTES}")]
struct TooLarge {
    size_bytes: u64,
}

/// A listing that does not come to its end.
#[derive(Debug, thiserror::Error)]
enum Endless {
    #[error("the store goes on with a page that it has sent before")]
    Repeats,
    #[error("the store goes on after {MOST_EMPTY_PAGES} empty pages")]
    Empty,
}

fn of_engine(source: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic {
        store: "store",
        source: Box::new(source),
    }
}

impl StoreError {
    /// Whether the object is larger than any that is read whole.
    pub fn is_too_large(&self) -> bool {
        let source = std::error::Error::source(&self.source);
        source.is_some_and(|source| source.is::<TooLarge>())
    }

    /// Whether the store answered that this may not be done, or cannot be with such an object.
    pub fn is_refusal(&self) -> bool {
        use object_store::Error::{NotSupported, PermissionDenied, Unauthenticated};
        matches!(
            self.source,
            NotSupported { .. } | PermissionDenied { .. } | Unauthenticated { .. }
        )
    }

    /// Whether the object does not exist (as opposed to: could not be asked for).
    pub fn is_not_found(&self) -> bool {
        matches!(self.source, object_store::Error::NotFound { .. })
    }
}

/// The key of an object that was listed.
pub fn key_of(object: &ObjectMeta) -> Cow<'_, str> {
    object_key::of_path(&object.location).unwrap_or_default()
}

/// Whether a request could name it: objects of others that none could are passed over.
fn has_key(object: &ObjectMeta, strangers: &mut Strangers) -> bool {
    let has_key = object_key::of_path(&object.location).is_some();
    if !has_key {
        strangers.add(&object_key::for_people(&object.location));
    }
    has_key
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Created,
    /// An object of that key exists; it was left as it is.
    AlreadyExists,
}

/// One level of the keys below a prefix.
#[derive(Debug, Clone, Default)]
pub struct ListedLevel {
    pub directories: Vec<String>,
    pub objects: Vec<ObjectMeta>,
}

impl Bucket {
    /// What a multipart upload to it must keep to.
    pub fn part_rules(&self) -> PartRules {
        PartRules {
            min_bytes: self.min_part_size,
            max_count: self.max_parts,
        }
    }

    /// The address of an object for messages.
    pub fn address(&self, key: &str) -> String {
        format!("{}/{key}", self.url.trim_end_matches('/'))
    }

    /// Wraps a store's error with what was tried and on which object.
    pub fn error(
        &self,
        action: &'static str,
        key: &str,
    ) -> impl FnOnce(object_store::Error) -> StoreError {
        let object = self.address(key);
        move |source| StoreError {
            action,
            object,
            source,
        }
    }

    /// A key as the store's path type, byte for byte.
    ///
    /// # Errors
    /// When the key has `.` or `..` segments.
    pub fn path(&self, key: &str) -> Result<Path, StoreError> {
        let parsed = object_key::to_path(key).map_err(|source| source.into());
        parsed.map_err(self.error("address", key))
    }

    /// Reads a whole small object.
    ///
    /// # Errors
    /// When it does not exist ([`StoreError::is_not_found`]) or cannot be read.
    pub async fn read(&self, key: &str) -> Result<Bytes, StoreError> {
        Ok(self.read_version(key).await?.0)
    }

    /// Writes a whole small object without tags, replacing what was there.
    ///
    /// # Errors
    /// When the store did not confirm the write.
    pub async fn write(&self, key: &str, content: Bytes) -> Result<(), StoreError> {
        self.write_tagged(key, content, &TagSet::default()).await
    }

    /// Writes a whole small object, replacing what was there.
    ///
    /// # Errors
    /// When the store did not confirm the write.
    pub async fn write_tagged(
        &self,
        key: &str,
        content: Bytes,
        tags: &TagSet,
    ) -> Result<(), StoreError> {
        let path = self.path(key)?;
        let options = PutOptions::from(tags.clone());
        self.objects
            .put_opts(&path, content.into(), options)
            .await
            .map_err(self.error("write", key))?;
        Ok(())
    }

    /// Writes an object only if there is none of that key.
    ///
    /// # Errors
    /// When the store did not confirm the write, or cannot write conditionally.
    pub async fn create(
        &self,
        key: &str,
        content: PutPayload,
        tags: &TagSet,
    ) -> Result<Written, StoreError> {
        let path = self.path(key)?;
        let options = PutOptions {
            mode: PutMode::Create,
            tags: tags.clone(),
            ..PutOptions::default()
        };
        match self.objects.put_opts(&path, content, options).await {
            Ok(_) => Ok(Written::Created),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Written::AlreadyExists),
            Err(source) => Err(self.error("write", key)(source)),
        }
    }

    /// Reads a whole small object, and which version of it that was.
    ///
    /// # Errors
    /// When it does not exist ([`StoreError::is_not_found`]) or cannot be read.
    pub async fn read_version(&self, key: &str) -> Result<(Bytes, UpdateVersion), StoreError> {
        let got = self.objects.get(&self.path(key)?).await;
        let got = got.map_err(self.error("read", key))?;
        let version = UpdateVersion {
            e_tag: got.meta.e_tag.clone(),
            version: got.meta.version.clone(),
        };
        let size_bytes = got.meta.size;
        let content = if size_bytes <= LARGEST_READ_BYTES {
            got.bytes().await
        } else {
            Err(of_engine(TooLarge { size_bytes }))
        };
        Ok((content.map_err(self.error("read", key))?, version))
    }

    /// Writes an object in place of the version that was read; returns false if another one is
    /// there by now, or none. A store without conditional writes, such as a directory, is asked
    /// for the version just before.
    ///
    /// # Errors
    /// When the store did not confirm the write.
    pub async fn replace(
        &self,
        key: &str,
        version: UpdateVersion,
        content: Bytes,
    ) -> Result<bool, StoreError> {
        let tags = TagSet::default();
        self.replace_tagged(key, version, content, &tags).await
    }

    /// The same, with tags.
    ///
    /// # Errors
    /// As [`Bucket::replace`].
    pub async fn replace_tagged(
        &self,
        key: &str,
        version: UpdateVersion,
        content: Bytes,
        tags: &TagSet,
    ) -> Result<bool, StoreError> {
        use object_store::Error::{NotFound, NotImplemented, Precondition};
        let path = self.path(key)?;
        let options = PutOptions {
            mode: PutMode::Update(version.clone()),
            tags: tags.clone(),
            ..PutOptions::default()
        };
        let put = self
            .objects
            .put_opts(&path, content.clone().into(), options);
        match put.await {
            Ok(_) => Ok(true),
            // The answer to our own first attempt may have been lost.
            Err(Precondition { .. }) => match self.read(key).await {
                Ok(now) => Ok(now == content),
                Err(error) if error.is_not_found() => Ok(false),
                Err(error) => Err(error),
            },
            Err(NotFound { .. }) => Ok(false),
            Err(NotImplemented { .. }) => match self.objects.head(&path).await {
                Ok(now) if now.e_tag == version.e_tag => {
                    let written = self.write_tagged(key, content, tags).await;
                    written.map(|()| true)
                }
                Ok(_) | Err(NotFound { .. }) => Ok(false),
                Err(source) => Err(self.error("read", key)(source)),
            },
            Err(source) => Err(self.error("write", key)(source)),
        }
    }

    /// Whether an object of that key exists.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        match self.objects.head(&self.path(key)?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(self.error("read", key)(source)),
        }
    }

    /// The objects whose keys begin with `prefix` (any bytes, not only whole segments).
    ///
    /// # Errors
    /// When a page of the listing cannot be had.
    pub async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        let mut found = Vec::new();
        self.list_each(prefix, |object| {
            found.push(object);
            ControlFlow::Continue(())
        })
        .await?;
        Ok(found)
    }

    /// Shows `see` every object whose key begins with `prefix`, a page in memory at a time, until
    /// it has seen enough. [`key_of`] tells the key. Objects of others that no request could name
    /// are passed over.
    ///
    /// # Errors
    /// When a page of the listing cannot be had.
    pub async fn list_each(
        &self,
        prefix: &str,
        mut see: impl FnMut(ObjectMeta) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut strangers = Strangers::default();
        let listed = self
            .list_pages(prefix, None, &mut strangers, &mut see)
            .await;
        self.tell_of(prefix, &strangers);
        listed
    }

    async fn list_pages(
        &self,
        prefix: &str,
        max_keys: Option<usize>,
        strangers: &mut Strangers,
        see: &mut impl FnMut(ObjectMeta) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let (mut seen, mut empty_pages) = (HashSet::new(), 0);
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions {
                page_token,
                max_keys,
                ..Default::default()
            };
            let page = self.lister.list_paginated(Some(prefix), options).await;
            let page = page.map_err(self.error("list", prefix))?;
            page_token = page.page_token;
            empty_pages = if page.result.objects.is_empty() {
                empty_pages + 1
            } else {
                0
            };
            let objects = page.result.objects.into_iter();
            let mut objects = objects.filter(|object| has_key(object, strangers));
            if objects.try_for_each(&mut *see).is_break() {
                return Ok(());
            }
            let Some(token) = &page_token else {
                return Ok(());
            };
            let endless = match () {
                () if !seen.insert(token.clone()) => Endless::Repeats,
                () if empty_pages >= MOST_EMPTY_PAGES => Endless::Empty,
                () => continue,
            };
            return Err(self.error("list", prefix)(of_engine(endless)));
        }
    }

    /// What begins with `prefix` (any bytes) and has no slash after it, and directories: the
    /// beginnings of all other keys, up to the first slash after the prefix and without it.
    ///
    /// # Errors
    /// When a page of the listing cannot be had.
    pub async fn list_level(&self, prefix: &str) -> Result<ListedLevel, StoreError> {
        let mut strangers = Strangers::default();
        let found = self.list_level_pages(prefix, &mut strangers).await;
        self.tell_of(prefix, &strangers);
        found
    }

    async fn list_level_pages(
        &self,
        prefix: &str,
        strangers: &mut Strangers,
    ) -> Result<ListedLevel, StoreError> {
        let mut found = ListedLevel::default();
        let (mut seen, mut page_token) = (HashSet::new(), None);
        loop {
            let options = PaginatedListOptions {
                page_token,
                delimiter: Some("/".into()),
                ..Default::default()
            };
            let page = self.lister.list_paginated(Some(prefix), options).await;
            let page = page.map_err(self.error("list", prefix))?;
            let names = page.result.common_prefixes.into_iter();
            let names = names.filter_map(|name| Some(object_key::of_path(&name)?.into_owned()));
            found.directories.extend(names);
            let objects = page.result.objects.into_iter();
            let objects = objects.filter(|object| has_key(object, strangers));
            found.objects.extend(objects);
            page_token = page.page_token;
            let Some(token) = &page_token else {
                return Ok(found);
            };
            if !seen.insert(token.clone()) {
                return Err(self.error("list", prefix)(of_engine(Endless::Repeats)));
            }
            let is_empty = found.directories.is_empty() && found.objects.is_empty();
            if is_empty && seen.len() >= MOST_EMPTY_PAGES {
                return Err(self.error("list", prefix)(of_engine(Endless::Empty)));
            }
        }
    }

    /// Tells of what a listing of this folder passed over.
    pub(crate) fn tell_of(&self, folder: &str, strangers: &Strangers) {
        self.passed_over.tell(&self.address(folder), strangers);
    }

    /// Deletes an object; one that is not there is no error.
    ///
    /// # Errors
    /// When the store did not confirm the deletion.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match self.objects.delete(&self.path(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(self.error("delete", key)(source)),
        }
    }

    /// Whether any object's key begins with `prefix`.
    ///
    /// # Errors
    /// When the listing cannot be had.
    pub async fn any(&self, prefix: &str) -> Result<bool, StoreError> {
        let mut found = false;
        let mut see = |_| {
            found = true;
            ControlFlow::Break(())
        };
        let mut strangers = Strangers::default();
        self.list_pages(prefix, Some(1), &mut strangers, &mut see)
            .await?;
        Ok(found)
    }
}
