//! An object store as the engine sees it: a bucket (or container, or directory) behind two traits.
//!
//! Whoever opens a bucket (the `cloud` crate, or a test with an in-memory store) decides about
//! retries, credentials and addresses. Here a key is always relative to the bucket's root, and
//! every error names the object. Always true: nothing is acknowledged before the store has said
//! that it has it.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};

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

impl StoreError {
    /// Whether the object does not exist (as opposed to: could not be asked for).
    pub fn is_not_found(&self) -> bool {
        matches!(self.source, object_store::Error::NotFound { .. })
    }
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Created,
    /// An object of that key exists; it was left as it is.
    AlreadyExists,
}

impl Bucket {
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
    /// When the key has empty, `.` or `..` segments.
    pub fn path(&self, key: &str) -> Result<Path, StoreError> {
        let parsed = Path::parse(key).map_err(|source| source.into());
        parsed.map_err(self.error("address", key))
    }

    /// Reads a whole small object.
    ///
    /// # Errors
    /// When it does not exist ([`StoreError::is_not_found`]) or cannot be read.
    pub async fn read(&self, key: &str) -> Result<Bytes, StoreError> {
        let got = self
            .objects
            .get(&self.path(key)?)
            .await
            .map_err(self.error("read", key))?;
        got.bytes().await.map_err(self.error("read", key))
    }

    /// Writes a whole small object, replacing what was there.
    ///
    /// # Errors
    /// When the store did not confirm the write.
    pub async fn write(&self, key: &str, content: Bytes) -> Result<(), StoreError> {
        let path = self.path(key)?;
        self.objects
            .put(&path, content.into())
            .await
            .map_err(self.error("write", key))?;
        Ok(())
    }

    /// Writes an object only if there is none of that key.
    ///
    /// # Errors
    /// When the store did not confirm the write, or cannot write conditionally.
    pub async fn create(&self, key: &str, content: PutPayload) -> Result<Written, StoreError> {
        let path = self.path(key)?;
        let options = PutOptions::from(PutMode::Create);
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
        let content = got.bytes().await.map_err(self.error("read", key))?;
        Ok((content, version))
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
        use object_store::Error::{NotFound, NotImplemented, Precondition};
        let path = self.path(key)?;
        let options = PutOptions::from(PutMode::Update(version.clone()));
        let put = self
            .objects
            .put_opts(&path, content.clone().into(), options);
        match put.await {
            Ok(_) => Ok(true),
            Err(Precondition { .. } | NotFound { .. }) => Ok(false),
            Err(NotImplemented { .. }) => match self.objects.head(&path).await {
                Ok(now) if now.e_tag == version.e_tag => {
                    self.write(key, content).await.map(|()| true)
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
    /// it has seen enough.
    ///
    /// # Errors
    /// When a page of the listing cannot be had.
    pub async fn list_each(
        &self,
        prefix: &str,
        mut see: impl FnMut(ObjectMeta) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions {
                page_token,
                ..Default::default()
            };
            let page = self.lister.list_paginated(Some(prefix), options).await;
            let page = page.map_err(self.error("list", prefix))?;
            page_token = page.page_token;
            let mut objects = page.result.objects.into_iter();
            if objects.try_for_each(&mut see).is_break() || page_token.is_none() {
                return Ok(());
            }
        }
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
        let options = PaginatedListOptions {
            max_keys: Some(1),
            ..Default::default()
        };
        let page = self.lister.list_paginated(Some(prefix), options).await;
        let page = page.map_err(self.error("list", prefix))?;
        Ok(!page.result.objects.is_empty())
    }
}
